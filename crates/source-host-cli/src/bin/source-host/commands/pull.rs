//! `source-host pull`: from a registry to the folder in which components lie, and what `run`, `check` and `serve` pull themselves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::Utc;
use component_registry::{Access, Entry, Lock, Purpose, Reference, Repository};
use serde_json::json;
use source_host::{Admission, Digest, bytes};
use source_host_cli::config::{Config, Mistakes};

use super::exit::{Exit, say_json};
use super::{keys, registry};
use crate::arguments::PullArgs;

/// What is pulled, and what it has to be.
struct Wanted {
    reference: Reference,
    access: Access,
    admission: Admission,
    folder: PathBuf,
    /// Whether a tag may lead to something else than before.
    update: bool,
}

/// What was pulled.
struct Pulled {
    entry: Entry,
    path: PathBuf,
    signature: Option<Vec<u8>>,
    /// What the lock file had before, if that was another one.
    before: Option<Digest>,
}

pub(crate) async fn run(args: PullArgs) -> Result<ExitCode, Exit> {
    let wanted = wanted(&args)?;
    let Pulled { entry, path, signature, before } = pull(&wanted).await?;
    if let Some(output) = &args.output {
        let content = keys::content(&path)?;
        std::fs::write(output, content).map_err(keys::failed(output))?;
        if let Some(signature) = signature {
            let beside = keys::beside(output, ".sig");
            std::fs::write(&beside, signature).map_err(keys::failed(&beside))?;
        }
    }
    if args.json {
        let signed_by = entry.signed_by.map(|key| key.to_string());
        let before = before.map(|before| before.to_string());
        say_json(&json!({
            "reference": entry.reference,
            "manifest": entry.manifest.to_string(),
            "component": entry.component.to_string(),
            "bytes": entry.size,
            "signed_by": signed_by,
            "before": before,
            "path": path.display().to_string(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}\n", entry.reference)?;
    say!("  manifest   {}", entry.manifest)?;
    say!("  component  {}", entry.component)?;
    say!("  size       {}", bytes(entry.size))?;
    match entry.signed_by {
        Some(key) => say!("  signed by  {key}")?,
        None => say!("  signed by  nobody was asked for: see --signed-by, and [admission] signed_by")?,
    }
    if let Some(before) = before {
        say!("  before     {before}")?;
    }
    say!("\n{} has it from now on; run it with:\n", wanted.folder.join("source-host.lock").display())?;
    say!("  component = \"{}\"", wanted.reference.pinned(entry.manifest))?;
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: &PullArgs) -> Result<Wanted, Exit> {
    let update = args.update;
    if let Some(reference) = registry::reference(&args.target)? {
        let access = registry::access(&reference, &args.registry)?;
        let mut admission = Admission::default();
        admission.wasi_0_3 = true;
        admission.signed_by = args.signed_by.as_deref().map(registry::public_key).transpose()?;
        let folder = args.folder.clone().unwrap_or_default();
        return Ok(Wanted { reference, access, admission, folder, update });
    }
    let path = Path::new(&args.target);
    if args.signed_by.is_some() || args.folder.is_some() {
        return Err(Exit::mistake(
            "--signed-by and --folder are for a reference; a configuration has [admission] signed_by, and its folder is its own",
        ));
    }
    let found = Config::from_registry(path).map_err(|mistakes| listed(path, &mistakes))?;
    let found = found.ok_or_else(|| {
        Exit::mistake(format!("{} takes its component from a file, and from no registry", path.display()))
    })?;
    let mut access = found.access;
    if args.registry.username.is_some() {
        access.credentials = registry::access(&found.reference, &args.registry)?.credentials;
    }
    access.insecure |= args.registry.insecure;
    access.ca_file = args.registry.ca_file.clone().or(access.ca_file);
    Ok(Wanted {
        reference: found.reference,
        access,
        admission: found.admission,
        folder: found.folder,
        update,
    })
}

fn listed(path: &Path, mistakes: &Mistakes) -> Exit {
    Exit::mistakes(path, &mistakes.found.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Takes the component from its registry. Nothing is written before all of it was looked at.
async fn pull(wanted: &Wanted) -> Result<Pulled, Exit> {
    let Wanted { reference, access, admission, folder, update } = wanted;
    let mut lock = Lock::read(folder)?;
    let before = lock.entry(reference).map(|entry| entry.manifest);
    let repository = Repository::open(reference, access, Purpose::Pull)?;
    let artifact = repository.resolve().await?;
    let before = before.filter(|before| *before != artifact.manifest);
    if let Some(before) = before.filter(|_| !update && reference.digest().is_none()) {
        let now = reference.pinned(artifact.manifest);
        return Err(Exit::mistake(format!(
            "{reference} was {before} when it was pulled, and leads to {} now: somebody has moved the tag. What it was is what is run. To look at the other one: source-host inspect {now}. To take it: pull with --update",
            artifact.manifest
        )));
    }
    let name = reference.pinned(artifact.manifest).to_string();
    if let Some(expected) = admission.digest.filter(|expected| *expected != artifact.component) {
        return Err(Exit::mistake(format!(
            "{name} is refused: its component has the digest {}, and {expected} is expected (`digest`)",
            artifact.component
        )));
    }
    tracing::info!("pulling {name}, {}", bytes(artifact.size));
    let content = repository.component(&artifact).await?;
    let signature = match &admission.signed_by {
        Some(key) => Some(registry::signature(&repository, &artifact, &content, key, &name).await?),
        None => None,
    };
    admission.examine(&name, &content, signature.as_deref())?;
    let entry = Entry {
        reference: reference.unpinned(),
        manifest: artifact.manifest,
        component: artifact.component,
        size: artifact.size,
        pulled: Utc::now(),
        signed_by: admission.signed_by.as_ref().map(source_host::PublicKey::id),
    };
    let path = lock.put(entry.clone(), &content, signature.as_deref())?;
    Ok(Pulled { entry, path, signature, before })
}

/// Reads a configuration. If its component lacks and is pinned, here or in the lock file, it is pulled: what comes is what it has to be, or
/// nothing. What is not pinned is not pulled without being asked for.
pub(super) async fn read(path: &Path) -> Result<Result<Config, Mistakes>, Exit> {
    let mut mistakes = match Config::read(path) {
        Ok(config) => return Ok(Ok(config)),
        Err(mistakes) => mistakes,
    };
    if !mistakes.found.iter().any(|mistake| mistake.path == "component") {
        return Ok(Err(mistakes));
    }
    let found = match Config::from_registry(path) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Err(mistakes)),
        Err(more) => {
            // Why it cannot be pulled either, such as a password that is not there.
            let known: Vec<String> = mistakes.found.iter().map(ToString::to_string).collect();
            let news = more.found.into_iter().filter(|one| !known.contains(&one.to_string()));
            mistakes.found.extend(news);
            return Ok(Err(mistakes));
        }
    };
    let Some(pin) = found.pin()? else { return Ok(Err(mistakes)) };
    pull(&Wanted {
        reference: found.reference.pinned(pin),
        access: found.access,
        admission: found.admission,
        folder: found.folder,
        update: false,
    })
    .await?;
    Ok(Config::read(path))
}

/// The same for all tenants of a folder. What does not come is told; the tenant is without its component then, and says so itself.
pub(super) async fn for_folder(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    for path in paths {
        if let Err(exit) = read(&path).await {
            tracing::warn!("{}: {}", path.display(), exit.message);
        }
    }
}
