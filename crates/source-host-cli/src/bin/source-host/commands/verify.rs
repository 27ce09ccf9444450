//! `source-host verify`: whether a component is signed by a key.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use component_registry::{Purpose, Repository};
use serde_json::json;
use source_host::{Digest, PublicKey};

use super::exit::{Exit, say_json};
use super::{keys, registry};
use crate::arguments::VerifyArgs;

pub(crate) async fn run(args: &VerifyArgs) -> Result<ExitCode, Exit> {
    let key = registry::public_key(&args.signed_by)?;
    let (name, digest) = match registry::reference(&args.component)? {
        None => (args.component.to_string_lossy().into_owned(), of_file(Path::new(&args.component), &key)?),
        Some(reference) => {
            let access = registry::access(&reference, &args.registry)?;
            let repository = Repository::open(&reference, &access, Purpose::Pull)?;
            let artifact = repository.resolve().await?;
            let name = reference.pinned(artifact.manifest).to_string();
            let content = repository.component(&artifact).await?;
            registry::signature(&repository, &artifact, &content, &key, &name).await?;
            (name, artifact.component)
        }
    };
    if args.json {
        let (component, signed_by) = (digest.to_string(), key.id().to_string());
        say_json(&json!({"name": name, "component": component, "signed_by": signed_by}))?;
    } else {
        say!("{name}\n\n  component  {digest}\n  signed by  {}", key.id())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A component in a file, with its signature beside it.
fn of_file(path: &Path, key: &PublicKey) -> Result<Digest, Exit> {
    let content = keys::content(path)?;
    let beside = keys::beside(path, ".sig");
    let refused = |why: String| Exit::mistake(format!("{} is refused: {why}", path.display()));
    let signature = std::fs::read(&beside).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused(format!("it has to be signed, and there is no {}", beside.display())),
        _ => Exit::mistake(format!("cannot read {}: {error}", beside.display())),
    })?;
    if key.has_signed(&content, &signature) {
        return Ok(Digest::of(&content));
    }
    Err(refused(format!("{} is not a signature of it by the key {}", beside.display(), key.id())))
}
