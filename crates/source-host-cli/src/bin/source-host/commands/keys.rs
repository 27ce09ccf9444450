//! `source-host keygen` and `source-host sign`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use source_host::{Admission, SigningKey};

use super::exit::Exit;
use super::registry;

pub(crate) fn generate(name: &Path) -> Result<ExitCode, Exit> {
    let (private, public) = (beside(name, ".pem"), beside(name, ".pub"));
    if public.exists() {
        return Err(Exit::mistake(format!("{} is there already, and is not overwritten", public.display())));
    }
    let (key, pem) = SigningKey::generate_pem().map_err(Exit::failure)?;
    create(&private, pem.as_bytes(), 0o600)?;
    create(&public, key.public().to_pem().as_bytes(), 0o644)?;
    say!("{}  the private key: keep it secret, for whoever has it signs in your name", private.display())?;
    say!("{}  the public key, for [admission] signed_by and --signed-by", public.display())?;
    say!("\n  id  {}", key.public().id())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn sign(component: &Path, key: &Path) -> Result<ExitCode, Exit> {
    let key = registry::signing_key(key)?;
    let content = content(component)?;
    // What cannot be run is not signed: a file that was cut, or the wrong one.
    let digest = examined(component, &content)?;
    let beside = beside(component, ".sig");
    std::fs::write(&beside, key.sign(&content)).map_err(failed(&beside))?;
    say!("{}  signed {digest} by {}", beside.display(), key.public().id())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a file is a component that a host would take, and its digest.
pub(super) fn examined(path: &Path, content: &[u8]) -> Result<source_host::Digest, Exit> {
    let mut admission = Admission::default();
    admission.wasi_0_3 = true;
    Ok(admission.examine(&path.display().to_string(), content, None)?)
}

/// What is in a component's file, which may have so many bytes.
pub(super) fn content(path: &Path) -> Result<Vec<u8>, Exit> {
    use std::io::Read as _;
    let most = Admission::default().component_bytes;
    let no =
        |reason: &dyn std::fmt::Display| Exit::mistake(format!("cannot read {}: {reason}", path.display()));
    if !std::fs::metadata(path).map_err(|error| no(&error))?.is_file() {
        return Err(no(&"it is not a file"));
    }
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut content));
    read.map_err(|error| no(&error))?;
    if content.len() as u64 > most {
        return Err(no(&format!("it is larger than {}", source_host::bytes(most))));
    }
    Ok(content)
}

/// The path with something added to its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), Exit> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let written = options.open(path).and_then(|mut file| file.write_all(content));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Exit::mistake(format!("{} is there already, and is not overwritten", path.display()))
        }
        _ => failed(path)(error),
    })
}

pub(super) fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Exit {
    let path = path.to_owned();
    move |error| Exit::failure(format!("cannot write {}: {error}", path.display()))
}
