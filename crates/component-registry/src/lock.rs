//! `source-host.lock`: what each reference led to when it was pulled, and the folder in which components lie.
//!
//! A tag may lead to something else tomorrow. What it led to when somebody pulled it, and looked at it, is written down beside the
//! configuration; what is run is that, until somebody asks for something newer.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use source_host::{Digest, SIGNATURE, SIGNATURES};

use crate::error::Error;
use crate::reference::Reference;

const NAME: &str = "source-host.lock";
/// The folder of pulled components, beside the lock file.
pub const STORE: &str = ".source-host";
/// How large the file may be that is read.
const MOST: u64 = 4 << 20;
const HEADING: &str = "# Written by `source-host pull`: which component each reference of this folder stands for. Keep it with the configuration.\n";

/// The lock file of a folder.
#[derive(Clone, Debug)]
pub struct Lock {
    folder: PathBuf,
    entries: Vec<Entry>,
}

/// What a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The reference, without its digest.
    pub reference: String,
    /// The digest of the manifest, which the registry knows it by.
    #[serde(with = "text")]
    pub manifest: Digest,
    /// The digest of the component, which the host knows it by.
    #[serde(with = "text")]
    pub component: Digest,
    /// The component's bytes.
    pub size: u64,
    /// When it was pulled.
    pub pulled: DateTime<Utc>,
    /// The key that had signed it, by its id. None where no key was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_text")]
    pub signed_by: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    component: Vec<Entry>,
}

impl Lock {
    /// That of a folder. One that is not there has no entries.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no lock file.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        use std::io::Read as _;
        let path = folder.join(NAME);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(MOST).read_to_string(&mut text));
        let entries = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::file("read", path)(error)),
            Ok(_) => {
                let no = |reason: &str| Error::File {
                    action: "read",
                    path: path.clone(),
                    reason: reason.to_owned(),
                };
                let document: Document = toml::from_str(&text).map_err(|error| no(error.message()))?;
                if document.version != 1 {
                    return Err(no("it was written by another version of this program"));
                }
                document.component
            }
        };
        Ok(Self { folder: folder.to_owned(), entries })
    }

    /// What a reference stands for, whatever digest it pins.
    pub fn entry(&self, reference: &Reference) -> Option<&Entry> {
        let unpinned = reference.unpinned();
        self.entries.iter().find(|entry| entry.reference == unpinned)
    }

    /// Where a component of this digest lies, or would.
    pub fn path_of(&self, component: Digest) -> PathBuf {
        let digest = component.to_string();
        let digits = digest.strip_prefix("sha256:").unwrap_or(&digest);
        self.folder.join(STORE).join(format!("{digits}.wasm"))
    }

    /// Puts a component into the folder, and its signature beside it, and writes down what its reference stands for. The component first,
    /// each as a whole or not at all: whoever reads the lock file finds what it says.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn put(&mut self, entry: Entry, content: &[u8], signature: Option<&[u8]>) -> Result<PathBuf, Error> {
        let path = self.path_of(entry.component);
        let store = self.folder.join(STORE);
        fs::create_dir_all(&store).map_err(Error::file("write", &store))?;
        // Two that pull at the same time write one after the other, and neither loses what the other wrote.
        let guard = store.join("pulling");
        let alone = File::create(&guard).and_then(|file| file.lock().map(|()| file));
        let _alone = alone.map_err(Error::file("write", &guard))?;
        self.entries = Self::read(&self.folder)?.entries;
        if let Some(signature) = signature {
            add_signature(&path.with_extension("wasm.sig"), signature)?;
        }
        replace(&path, content)?;
        self.entries.retain(|one| one.reference != entry.reference);
        self.entries.push(entry);
        self.entries.sort_by(|a, b| a.reference.cmp(&b.reference));
        let document = Document { version: 1, component: self.entries.clone() };
        let text = toml::to_string(&document).map_err(|error| Error::Settings(error.to_string()))?;
        replace(&self.folder.join(NAME), format!("{HEADING}{text}").as_bytes())?;
        Ok(path)
    }
}

/// Puts a signature behind those of other keys: two configurations of a folder may ask for one each, of the same component.
fn add_signature(path: &Path, signature: &[u8]) -> Result<(), Error> {
    let mut all = match fs::read(path) {
        Ok(all) => all,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    // What is none, a killed program or a person has left there.
    if all.len() % SIGNATURE != 0 {
        all.clear();
    }
    if all.chunks(SIGNATURE).any(|one| one == signature) {
        return Ok(());
    }
    // Whoever verifies looks at no more. The oldest are in front.
    let too_many = all.len().saturating_sub(SIGNATURE * (SIGNATURES - 1));
    all.drain(..too_many);
    all.extend_from_slice(signature);
    replace(path, &all)
}

/// Writes a file as a whole or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::file("write", path))
}

/// None of it is secret, and another user may run what one pulled.
#[cfg(unix)]
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// A digest as its text.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use source_host::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Digest, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod maybe_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use source_host::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Option<Digest>, to: S) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => to.collect_str(digest),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Digest>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str, component: &[u8]) -> Entry {
        Entry {
            reference: reference.to_owned(),
            manifest: Digest::of(reference.as_bytes()),
            component: Digest::of(component),
            size: component.len() as u64,
            pulled: "2026-11-28T07:00:00Z".parse().unwrap(),
            signed_by: None,
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_a_reference_stands_for_one_component() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = Lock::read(folder.path()).unwrap();
        let reference: Reference = "oci://ghcr.io/acme/logs:1".parse().unwrap();
        assert!(lock.entry(&reference).is_none());
        lock.put(entry("oci://ghcr.io/acme/logs:1", b"old"), b"old", None).unwrap();
        // Another program has read the file before that, and writes after it.
        let mut other = Lock { folder: folder.path().to_owned(), entries: Vec::new() };
        other.put(entry("oci://ghcr.io/acme/audit:2", b"audit"), b"audit", None).unwrap();
        let mut newer = entry("oci://ghcr.io/acme/logs:1", b"new");
        newer.signed_by = Some(Digest::of(b"a key"));
        let path = lock.put(newer.clone(), b"new", Some(&[7; 64])).unwrap();
        let read = Lock::read(folder.path()).unwrap();
        assert_eq!(read.entries.len(), 2);
        assert_eq!(read.entry(&reference), Some(&newer));
        assert_eq!(read.entry(&reference.pinned(newer.manifest)), Some(&newer));
        assert_eq!(
            (path.as_path(), fs::read(&path).unwrap().as_slice()),
            (read.path_of(newer.component).as_path(), &b"new"[..])
        );
        assert_eq!(fs::read(path.with_extension("wasm.sig")).unwrap(), [7; 64]);
        // That of another key, and each of them once more.
        for signature in [[8; 64], [7; 64], [8; 64]] {
            lock.put(newer.clone(), b"new", Some(&signature)).unwrap();
        }
        assert_eq!(fs::read(path.with_extension("wasm.sig")).unwrap(), [[7; 64], [8; 64]].concat());
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();
        assert!(text.starts_with("# Written by"), "{text}");
    }

    #[test]
    fn a_lock_file_that_is_damaged_or_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (text, reason) in [
            ("version = 2", "another version"),
            ("version = 1\n[[component]]\nreference = \"x\"", "missing field"),
            ("version = ", ""),
        ] {
            fs::write(folder.path().join(NAME), text).unwrap();
            let error = Lock::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(NAME) && error.contains(reason), "{error}");
        }
    }
}
