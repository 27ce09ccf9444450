//! `source-host inspect`: which component it is, who says so, and what it could do.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use component_registry::{Attached, DESCRIPTION, Purpose, Reference, Repository, SIGNATURE};
use serde_json::{Value, json};
use source_host::{Options, printable};

use super::exit::{Exit, say_json};
use super::{registry, setup};
use crate::arguments::RegistryArgs;

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

pub(crate) async fn run(
    component: &OsStr,
    registry: &RegistryArgs,
    as_json: bool,
    cache: Option<&Path>,
) -> Result<ExitCode, Exit> {
    match registry::reference(component)? {
        Some(reference) => in_registry(&reference, registry, as_json).await,
        None => file(Path::new(component), as_json, cache).await,
    }
}

/// What a registry says of a component. None of it was looked at: only its digests are sure.
async fn in_registry(reference: &Reference, args: &RegistryArgs, as_json: bool) -> Result<ExitCode, Exit> {
    let repository = Repository::open(reference, &registry::access(reference, args)?, Purpose::Pull)?;
    let artifact = repository.resolve().await?;
    let descriptions = repository.attached(&artifact, DESCRIPTION).await?;
    let described = descriptions.first().and_then(|one| serde_json::from_slice::<Value>(&one.content).ok());
    let signatures = repository.attached(&artifact, SIGNATURE).await?;
    let key = |one: &Attached| one.annotations.get("vnd.pipeline.source.key").cloned();
    let keys: Vec<Option<String>> = signatures.iter().map(key).collect();
    if as_json {
        say_json(&json!({
            "reference": reference.to_string(),
            "manifest": artifact.manifest.to_string(),
            "digest": artifact.component.to_string(),
            "bytes": artifact.size,
            "annotations": artifact.annotations,
            "signatures": keys,
            "description": described,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{reference}\n")?;
    say!("  manifest     {}", artifact.manifest)?;
    say!("  digest       {}", artifact.component)?;
    say!("  size         {}", source_host::bytes(artifact.size))?;
    for (name, text) in &artifact.annotations {
        let name = name.strip_prefix("org.opencontainers.image.").unwrap_or(name);
        say!("  {:11}  {}", printable(name.to_owned()), printable(text.clone()))?;
    }
    if signatures.is_empty() {
        say!("  signatures   none")?;
    }
    for key in keys {
        let key = key.map_or_else(|| "a key that is not named".to_owned(), printable);
        say!("  signature    says that it is of {key}")?;
    }
    if let Some(streams) = described.as_ref().and_then(|all| all.get("streams")).and_then(Value::as_array) {
        say!("\nStreams, as it is described there:")?;
        for stream in streams {
            let text =
                |key: &str| printable(stream.get(key).and_then(Value::as_str).unwrap_or_default().to_owned());
            say!("  {}  {}", text("name"), text("summary"))?;
        }
    }
    say!(
        "\nThe registry says so. `source-host verify` looks who signed it, `source-host pull` takes it; to run this one alone, write:"
    )?;
    say!("\n  component = \"{}\"", reference.pinned(artifact.manifest))?;
    Ok(ExitCode::SUCCESS)
}

async fn file(component: &Path, as_json: bool, cache: Option<&Path>) -> Result<ExitCode, Exit> {
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
