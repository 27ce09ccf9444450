//! What the commands that talk to a registry have in common.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use component_registry::{Access, Artifact, Credentials, Reference, Repository, SIGNATURE};
use source_host::{PublicKey, SIGNATURE as SIGNATURE_BYTES, SIGNATURES, SigningKey};
use zeroize::Zeroizing;

use super::exit::Exit;
use crate::arguments::RegistryArgs;

const PASSWORD: &str = "SOURCE_HOST_REGISTRY_PASSWORD";
/// Bytes of a key or a password.
const SECRET: u64 = 64 << 10;

/// The reference that was given, if it is one and not a file.
pub(super) fn reference(target: &OsStr) -> Result<Option<Reference>, Exit> {
    let text = target.to_str().filter(|text| text.starts_with(Reference::SCHEME));
    Ok(text.map(str::parse).transpose()?)
}

/// How a registry is reached, as the flags say.
pub(super) fn access(reference: &Reference, args: &RegistryArgs) -> Result<Access, Exit> {
    let mut access = Access::default();
    access.ca_file.clone_from(&args.ca_file);
    access.insecure = args.insecure;
    access.credentials = match (&args.username, &args.password_file) {
        (Some(username), file) => {
            let password = match file {
                Some(file) => secret(file)?,
                None => Zeroizing::new(std::env::var(PASSWORD).map_err(|_| {
                    Exit::mistake(format!(
                        "--username needs a password: give --password-file, or set {PASSWORD}"
                    ))
                })?),
            };
            Some(Credentials { username: username.clone(), password })
        }
        (None, _) => match Credentials::docker_file(|name| std::env::var_os(name)) {
            Some(file) => Credentials::of_docker(&file, reference.registry())?,
            None => None,
        },
    };
    Ok(access)
}

/// A text that is not for printing, without the line break that an editor ends a file with.
fn secret(file: &Path) -> Result<Zeroizing<String>, Exit> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(file).and_then(|opened| opened.take(SECRET).read_to_string(&mut text));
    read.map_err(|error| Exit::mistake(format!("cannot read {}: {error}", file.display())))?;
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

pub(super) fn public_key(file: &Path) -> Result<PublicKey, Exit> {
    let pem = secret(file)?;
    PublicKey::from_pem(&pem).map_err(|error| Exit::mistake(format!("{}: {error}", file.display())))
}

pub(super) fn signing_key(file: &Path) -> Result<SigningKey, Exit> {
    let pem = secret(file)?;
    SigningKey::from_pem(&pem).map_err(|error| Exit::mistake(format!("{}: {error}", file.display())))
}

/// The signature of an artifact's component that is of this key: that one alone, whatever else is attached with it.
pub(super) async fn signature(
    repository: &Repository,
    artifact: &Artifact,
    content: &[u8],
    key: &PublicKey,
    name: &str,
) -> Result<Vec<u8>, Exit> {
    let attached = repository.attached(artifact, SIGNATURE).await?;
    let count = attached.len();
    let each = attached.iter().flat_map(|one| one.content.chunks_exact(SIGNATURE_BYTES).take(SIGNATURES));
    let found = each.into_iter().find(|one| key.has_signed(content, one));
    found.map(<[u8]>::to_vec).ok_or_else(|| {
        Exit::mistake(match count {
            0 => format!("{name} is refused: it has to be signed, and no signature is attached to it"),
            _ => format!(
                "{name} is refused: of the {count} signatures that are attached to it none is of the key {}",
                key.id()
            ),
        })
    })
}
