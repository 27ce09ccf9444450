//! `source-host push`: a component into a registry, with what it says of itself and its signature.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use component_registry::{DESCRIPTION, Package, Purpose, Reference, Repository, SIGNATURE};
use serde_json::json;
use source_host::{Digest, Options, PublicKey, SIGNATURE as SIGNATURE_BYTES, SIGNATURES, bytes};

use super::exit::{Exit, say_json};
use super::{describe, keys, registry, setup, wit};
use crate::arguments::PushArgs;

/// A component or a WIT package, and what is attached to it.
struct Wares {
    name: String,
    package: Package,
    description: Option<String>,
    /// Each of [`SIGNATURE_BYTES`].
    signatures: Vec<Vec<u8>>,
    /// Whose they are, if they were made here.
    key: Option<PublicKey>,
}

pub(crate) async fn run(args: PushArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let reference: Reference = args.reference.parse()?;
    let access = registry::access(&reference, &args.registry)?;
    let wares = match args.wit {
        true => {
            let (package, name) = wit::package(&args.component)?;
            Wares { name, package, description: None, signatures: Vec::new(), key: None }
        }
        false => component(&args, cache).await?,
    };
    let mut package = wares.package;
    package.created = created()?;
    let repository = Repository::open(&reference, &access, Purpose::Push)?;
    let before = repository.under_tag().await?;
    let artifact = repository.prepare(&package)?;
    if let Some(before) = before.filter(|before| *before != artifact.manifest && !args.replace) {
        return Err(Exit::mistake(format!(
            "{reference} leads to {before} already, which is another one. Choose another tag, or move this one with --replace: whoever has pulled it will be told"
        )));
    }
    repository.push(&package).await?;
    let key = wares.key.as_ref().map(|key| key.id().to_string());
    for signature in &wares.signatures {
        let said = key.iter().map(|id| ("vnd.pipeline.source.key".to_owned(), id.clone())).collect();
        repository.attach(&artifact, SIGNATURE, signature, said).await?;
    }
    if let Some(description) = &wares.description {
        repository.attach(&artifact, DESCRIPTION, description.as_bytes(), BTreeMap::new()).await?;
    }
    let pinned = reference.pinned(artifact.manifest);
    let size = package.content.len() as u64;
    if args.json {
        say_json(&json!({
            "reference": reference.to_string(),
            "name": wares.name,
            "manifest": artifact.manifest.to_string(),
            "component": artifact.component.to_string(),
            "bytes": size,
            "signed": !wares.signatures.is_empty(),
            "signed_by": key,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{reference}\n\n  name       {}", wares.name)?;
    say!(
        "  manifest   {}\n  component  {}\n  size       {}",
        artifact.manifest,
        artifact.component,
        bytes(size)
    )?;
    match key {
        _ if args.wit => {}
        _ if wares.signatures.is_empty() => say!("  signed by  nobody: see `sign`, and --key")?,
        Some(key) => say!("  signed by  {key}")?,
        None => say!("  signed by  whoever made {}", keys::beside(&args.component, ".sig").display())?,
    }
    if args.wit {
        say!(
            "\nIt is taken with:\n\n  wkg oci pull {}",
            pinned.to_string().trim_start_matches(Reference::SCHEME)
        )?;
    } else {
        say!("\nIt is run with:\n\n  component = \"{pinned}\"")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A component: examined, compiled, and asked what it is.
async fn component(args: &PushArgs, cache: Option<&Path>) -> Result<Wares, Exit> {
    let path = &args.component;
    let key = args.key.as_deref().map(registry::signing_key).transpose()?;
    let plugin = setup::load(cache, path).await?;
    let mut source = plugin.open(Options::new()).await?;
    let described = source.describe().await?;
    let content = keys::content(path)?;
    // Between the two somebody may have written another one.
    if Digest::of(&content) != plugin.digest() {
        return Err(Exit::failure(format!("{} changes while it is pushed", path.display())));
    }
    let signatures = match &key {
        Some(key) => vec![key.sign(&content)],
        None => beside(path)?,
    };
    let key = key.map(|key| key.public());
    let known = plugin.annotations().iter().filter(|(name, _)| **name != "name");
    let known = known.map(|(name, text)| match *name {
        "homepage" => ("org.opencontainers.image.url".to_owned(), text.clone()),
        name => (format!("org.opencontainers.image.{name}"), text.clone()),
    });
    let mut package = Package { annotations: known.collect(), ..Package::default() };
    package.annotations.insert("org.opencontainers.image.title".into(), described.name.clone());
    package.annotations.insert("org.opencontainers.image.version".into(), described.version.clone());
    package.exports = vec![plugin.contract().to_owned()];
    package.imports = plugin.imports().to_vec();
    package.content = content;
    let description = describe::document(&plugin, &described)?;
    let description = serde_json::to_string_pretty(&description).map_err(Exit::failure)?;
    let name = format!("{} {}", described.name, described.version);
    Ok(Wares { name, package, description: Some(description), signatures, key })
}

/// The signatures beside a component, one behind the other, as a pull writes them.
fn beside(component: &Path) -> Result<Vec<Vec<u8>>, Exit> {
    let path = keys::beside(component, ".sig");
    match std::fs::read(&path) {
        Ok(all) if (1..=SIGNATURES).any(|count| all.len() == count * SIGNATURE_BYTES) => {
            Ok(all.chunks_exact(SIGNATURE_BYTES).map(<[u8]>::to_vec).collect())
        }
        Ok(_) => Err(Exit::mistake(format!(
            "{} is no signature: that has {SIGNATURE_BYTES} bytes, or several one behind the other have a multiple of it",
            path.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Exit::mistake(format!("cannot read {}: {error}", path.display()))),
    }
}

/// When the artifact was made, if whoever builds says so (reproducible-builds.org/specs/source-date-epoch).
fn created() -> Result<Option<String>, Exit> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = std::env::var_os(NAME) else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    let time = time.ok_or_else(|| Exit::mistake(format!("{NAME} is not a number of seconds since 1970")))?;
    Ok(Some(time.format("%Y-%m-%dT%H:%M:%SZ").to_string()))
}
