//! `source-host inspect`: which component it is, who says so, and what it could do.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use source_host::Options;

use super::exit::{Exit, say_json};
use super::setup;

/// What an import lets a component do, in words. What it needs for these (streams, errors, waiting) reaches nothing by itself.
const PERMISSIONS: [(&str, &str); 5] = [
    ("wasi:http/outgoing-handler@", SEND),
    ("wasi:http/client@", SEND),
    ("wasi:clocks/wall-clock@", TIME),
    ("wasi:clocks/system-clock@", TIME),
    ("wasi:clocks/monotonic-clock@", "measure time, and wait"),
];

const SEND: &str = "send HTTP requests, to hosts that [egress] allows and its own configuration names";
const TIME: &str = "read the time of day";

pub(crate) async fn run(component: &Path, as_json: bool, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let plugin = setup::load(cache, component).await?;
    let described = plugin.open(Options::new()).await?.describe().await?;
    let bytes = std::fs::metadata(component).map_err(Exit::failure)?.len();
    let may: Vec<&str> = PERMISSIONS
        .iter()
        .filter(|(import, _)| plugin.imports().iter().any(|one| one.starts_with(import)))
        .map(|(_, words)| *words)
        .collect();
    if as_json {
        let all = json!({
            "name": described.name,
            "version": described.version,
            "digest": plugin.digest().to_string(),
            "bytes": bytes,
            "annotations": plugin.annotations(),
            "contract": plugin.contract(),
            "permissions": may,
            "imports": plugin.imports(),
        });
        say_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} {}\n", described.name, described.version)?;
    say!("  digest       {}", plugin.digest())?;
    say!("  size         {}", source_host::bytes(bytes))?;
    say!("  contract     {}", plugin.contract())?;
    for (name, text) in plugin.annotations() {
        say!("  {name:11}  {text}")?;
    }
    say!("\nIt may:")?;
    for words in may {
        say!("  - {words}")?;
    }
    say!("\nAnd nothing else: no files, no environment, no other sockets. To run this one alone, write:")?;
    say!("\n  [admission]\n  digest = \"{}\"", plugin.digest())?;
    if plugin.contract().starts_with("pipeline:source/async-source") {
        say!("  wasi_0_3 = true")?;
    }
    Ok(ExitCode::SUCCESS)
}
