//! `source-host schema`: the JSON Schema of a configuration file for a component.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use source_host::{Options, Plugin};
use source_host_cli::schema;

use super::exit::{Exit, say_json};
use super::setup;

pub(crate) async fn run(component: &Path, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    say_json(&of(component, cache).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// The schema of the whole file for a component.
pub(super) async fn of(component: &Path, cache: Option<&Path>) -> Result<Value, Exit> {
    of_plugin(&setup::load(cache, component).await?).await
}

/// The same for one that is loaded.
pub(super) async fn of_plugin(plugin: &Plugin) -> Result<Value, Exit> {
    let description = plugin.open(Options::default()).await?.describe().await?;
    let source = serde_json::from_str(&description.config_schema)
        .map_err(|e| Exit::failure(format!("the component's configuration schema is not JSON: {e}")))?;
    Ok(schema::whole(&description.name, source))
}
