//! `source-host describe`: what a component says about itself. Runs it without configuration and without network.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use source_host::{Description, Options, Plugin, printable};

use super::exit::{Exit, say_json};
use super::setup;

pub(crate) async fn run(component: &Path, as_json: bool, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let plugin = setup::load(cache, component).await?;
    let mut source = plugin.open(Options::new()).await?;
    let description = source.describe().await?;
    let all = document(&plugin, &description)?;
    if as_json {
        say_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let schema = &all["config_schema"];
    say!("{} {}\n\nStreams:", description.name, description.version)?;
    let width = description.streams.iter().map(|stream| stream.name.chars().count()).max().unwrap_or(0);
    for stream in &description.streams {
        say!("  {:width$}  {}", stream.name, stream.summary)?;
    }
    say!("\nConfiguration ([source]; all of it with --json):")?;
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|keys| keys.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let width = properties.keys().map(|key| key.chars().count()).max().unwrap_or(0);
        for (key, property) in properties {
            let need = if required.contains(&key.as_str()) { "required" } else { "optional" };
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            say!("  {:width$}  {need}  {}", printable(key.clone()), printable(text.to_owned()))?;
        }
    }
    say!("\nImports, all that it can reach:")?;
    for import in plugin.imports() {
        say!("  {import}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a component says of itself, as JSON: what is printed, and what is attached to it in a registry.
pub(super) fn document(plugin: &Plugin, described: &Description) -> Result<Value, Exit> {
    let schema: Value = serde_json::from_str(&described.config_schema)
        .map_err(|e| Exit::failure(format!("the component's configuration schema is not JSON: {e}")))?;
    Ok(json!({
        "name": described.name,
        "version": described.version,
        "streams": described.streams,
        "imports": plugin.imports(),
        "config_schema": schema,
    }))
}
