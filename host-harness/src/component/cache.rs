//! Machine code that was made once, kept in a folder for the next start.
//!
//! What lies there is mapped and run as it is, and nothing in it shows who made it: that nobody else can write to the folder, to one
//! that it lies in, or to the entry is all that vouches for it. The folder may have been open before, so each entry is looked at by
//! itself. An entry belongs to one component, by its digest, and to one engine, by its settings; it is never
//! changed in place, since somebody may be running it.

use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::digest::Digest;
use crate::error::Error;

/// What all entries may take. The oldest go first.
const MOST: u64 = 512 << 20;

const SUFFIX: &str = ".machine-code";

/// A folder of machine code. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cache {
    folder: Arc<Path>,
}

impl Cache {
    /// Uses a folder, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be used, or others may write to it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self { folder: private(folder)?.into() })
    }

    /// The component, if it was compiled before. What is damaged or of another engine is as good as absent.
    pub(crate) fn find(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.entry(engine, digest);
        match path.symlink_metadata().map(|entry| is_ours(&entry)) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(path = %path.display(), "compiled anew: somebody else made it, or may write to it");
                return None;
            }
            Err(_) => return None,
        }
        #[expect(unsafe_code, reason = "no machine code can be checked: it is trusted or not used")]
        // SAFETY: the folder and the file are ours alone, so this is what `keep` wrote, which never changes a file that is there.
        let component = unsafe { Component::deserialize_file(engine, &path) };
        component
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "compiled anew, for it does not fit"),
            )
            .ok()
    }

    /// Keeps what the compiler made of a component.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().suffix(SUFFIX).tempfile_in(&self.folder)?;
        file.write_all(code)?;
        // A crash of the machine leaves all of it or nothing under its name.
        file.as_file().sync_all()?;
        file.persist(self.entry(engine, digest))?;
        self.prune(MOST)
    }

    fn entry(&self, engine: &Engine, digest: Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let digest = digest.to_string();
        let digits = digest.trim_start_matches("sha256:");
        self.folder.join(format!("{digits}-{:016x}{SUFFIX}", hasher.finish()))
    }

    fn prune(&self, most: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
                let metadata = entry.metadata()?;
                entries.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        entries.sort();
        let mut total = 0;
        for (_, bytes, path) in entries.into_iter().rev() {
            total += bytes;
            if total > most {
                // Another process may have done so.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// Others than the owner may write.
#[cfg(unix)]
const OTHERS_WRITE: u32 = 0o022;

/// Whether an entry is a file that nobody else can have written.
#[cfg(unix)]
fn is_ours(entry: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    entry.is_file() && entry.uid() == rustix::process::geteuid().as_raw() && entry.mode() & OTHERS_WRITE == 0
}

#[cfg(not(unix))]
fn is_ours(entry: &fs::Metadata) -> bool {
    entry.is_file()
}

/// Makes a directory, and refuses one that others may write to, or may put another in the place of. Returns where it really is.
#[cfg(unix)]
fn private(directory: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    /// Whoever may write there can only rename and remove what is his own.
    const STICKY: u32 = 0o1000;
    let unusable = |why: &dyn fmt::Display| Error::Setup(format!("the cache {} {why}", directory.display()));
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| unusable(&format_args!("cannot be made: {error}")))?;
    let cannot = |error: io::Error| unusable(&format_args!("cannot be used: {error}"));
    // From here on no link on the way to it counts.
    let real = directory.canonicalize().map_err(cannot)?;
    let own = rustix::process::geteuid().as_raw();
    let found = real.metadata().map_err(cannot)?;
    if found.uid() != own {
        return Err(unusable(&"belongs to somebody else; what lies there is run as machine code"));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(unusable(
            &"can be written to by others, and what lies there is run as machine code; take that right away (chmod go-w)",
        ));
    }
    for parent in real.ancestors().skip(1) {
        let found = parent.metadata().map_err(cannot)?;
        let is_trusted = [0, own].contains(&found.uid());
        // Where each user has a group of his own, of the same number, folders can be open to it: it is he alone.
        let is_private_group = own != 0 && found.gid() == own && rustix::process::getegid().as_raw() == own;
        let others = if is_private_group { OTHERS_WRITE & !0o020 } else { OTHERS_WRITE };
        if !is_trusted || found.mode() & others != 0 && found.mode() & STICKY == 0 {
            return Err(unusable(&format_args!(
                "lies in {}, where others can put another in its place, and what lies there is run as machine code; \
                 take that right away (chmod go-w) or choose another folder",
                parent.display()
            )));
        }
    }
    Ok(real)
}

#[cfg(not(unix))]
fn private(directory: &Path) -> Result<PathBuf, Error> {
    let unusable = |error: io::Error| Error::Setup(error.to_string());
    fs::create_dir_all(directory).map_err(unusable)?;
    directory.canonicalize().map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::admission::Contract;

    #[test]
    fn the_oldest_entries_go_when_all_together_take_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, second) in [("old.machine-code", 1), ("new.machine-code", 3), ("middle.machine-code", 2)] {
            fs::write(at(name), [0; 40]).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            fs::File::options().write(true).open(at(name)).unwrap().set_modified(time).unwrap();
        }
        fs::write(at("something.else"), [0; 400]).unwrap();
        cache.prune(80).unwrap();
        assert!(!at("old.machine-code").exists());
        for kept in ["middle.machine-code", "new.machine-code", "something.else"] {
            assert!(at(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn an_entry_belongs_to_one_component_and_one_engine() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let engine = crate::component::compiler::engine(Contract::Source).unwrap();
        let content = b"\0asm\x0d\0\x01\0";
        let digest = Digest::of(content);
        cache.keep(&engine, digest, &engine.precompile_component(content).unwrap()).unwrap();
        assert!(cache.find(&engine, digest).is_some());
        assert!(cache.find(&engine, Digest::of(b"another")).is_none());
        let asynchronous = crate::component::compiler::engine(Contract::AsyncSource).unwrap();
        assert!(cache.find(&asynchronous, digest).is_none());
        let mut other = wasmtime::Config::new();
        other.consume_fuel(true);
        assert!(cache.find(&Engine::new(&other).unwrap(), digest).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_write_to_or_put_another_in_the_place_of_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let top = tempfile::tempdir().unwrap();
        let (parent, folder) = (top.path().join("parent"), top.path().join("parent/between/cache"));
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refusal = || Cache::open(&folder).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(refusal(), "");
        for mode in [0o770, 0o707, 0o1777] {
            chmod(&folder, mode);
            assert!(refusal().contains("can be written to by others"), "{mode:o}: {}", refusal());
        }
        chmod(&folder, 0o750);
        for (mode, is_refused) in [(0o775, true), (0o757, true), (0o1777, false), (0o755, false)] {
            chmod(&parent, mode);
            let place = format!("lies in {},", parent.canonicalize().unwrap().display());
            assert_eq!(refusal().contains(&place), is_refused, "{mode:o}: {}", refusal());
        }
        // A link in a place of others leads where it leads.
        let link = top.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!(*Cache::open(&link).unwrap().folder, *folder.canonicalize().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn an_entry_that_others_made_or_may_write_to_is_as_good_as_absent() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let engine = crate::component::compiler::engine(Contract::Source).unwrap();
        let content = b"\0asm\x0d\0\x01\0";
        let digest = Digest::of(content);
        let code = engine.precompile_component(content).unwrap();
        cache.keep(&engine, digest, &code).unwrap();
        let path = cache.entry(&engine, digest);
        for (mode, is_found) in [(0o660, false), (0o602, false), (0o644, true), (0o400, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(cache.find(&engine, digest).is_some(), is_found, "{mode:o}");
        }
        // Somebody else's: only root can give files away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(cache.find(&engine, digest).is_none(), "of another owner");
            cache.keep(&engine, digest, &code).unwrap();
            assert!(cache.find(&engine, digest).is_some(), "made anew");
        }
        // A link, whatever it leads to.
        let aside = folder.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(cache.find(&engine, digest).is_none(), "a link");
    }
}
