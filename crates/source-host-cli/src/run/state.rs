//! Where the state lies between runs.
//!
//! The state decides what is collected next: a lost one means everything again, a broken one means a gap. So a file is
//! replaced as a whole or not at all (written beside, synced, renamed, folder synced), only one host may hold it, and a
//! file that is not a state is left alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The largest state that is read, in bytes: what the contract allows.
const LARGEST: u64 = 1 << 20;

/// Keeps the state of one source.
pub trait StateStore: Send {
    /// What was saved last; none at the very beginning.
    ///
    /// # Errors
    ///
    /// If there is something and it cannot be used. Then it must not be overwritten.
    fn load(&mut self) -> Result<Option<String>, StateError>;

    /// Keeps the state, so that it is there after a power failure.
    ///
    /// # Errors
    ///
    /// If that is not certain.
    fn save(&mut self, state: &str) -> Result<(), StateError>;
}

/// Why a state cannot be loaded or saved. The message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another host holds it.
    #[error("the state {} is in use by another host; stop that one, or give this one a state of its own", path.display())]
    InUse {
        /// The state's file.
        path: PathBuf,
    },
    /// There is a file, and it is not a state.
    #[error("the state {} {reason}; it is left as it is: restore it, or move it away to start from the beginning", path.display())]
    NotAState {
        /// The state's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

impl StateError {
    /// Whether the operator has to act on what is there, rather than on the machine.
    pub fn is_users(&self) -> bool {
        !matches!(self, Self::Io { action: WRITE, .. })
    }
}

const WRITE: &str = "write the state";

/// A state in a file, held by this host alone as long as this lives.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    beside: PathBuf,
    folder: PathBuf,
    saved: Option<String>,
    _lock: File,
}

impl StateFile {
    /// Takes hold of the file, which need not exist yet; its folder must.
    ///
    /// # Errors
    ///
    /// If another host holds it, or its folder cannot be written to.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let Some(name) = path.file_name() else {
            return Err(StateError::NotAState { path: path.to_owned(), reason: "is not the path of a file" });
        };
        let sibling = |extension: &str| {
            let mut name = name.to_owned();
            name.push(extension);
            path.with_file_name(name)
        };
        let lock_path = sibling(".lock");
        let io = |reason| StateError::Io { action: "create the lock", path: lock_path.clone(), reason };
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(reason)) => return Err(io(reason)),
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path: path.to_owned(), beside: sibling(".tmp"), folder, saved: None, _lock: lock })
    }

    fn replace(&self, state: &str) -> io::Result<()> {
        let mut file = File::create(&self.beside)?;
        file.write_all(state.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&self.beside, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl StateStore for StateFile {
    fn load(&mut self) -> Result<Option<String>, StateError> {
        let unusable = |reason| StateError::NotAState { path: self.path.clone(), reason };
        let io = |reason| StateError::Io { action: "read the state", path: self.path.clone(), reason };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > LARGEST {
            return Err(unusable("is larger than 1 MiB, so no source wrote it"));
        }
        if bytes.is_empty() {
            return Err(unusable("is empty"));
        }
        let state = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8, so no source wrote it"))?;
        self.saved = Some(state.clone());
        Ok(Some(state))
    }

    fn save(&mut self, state: &str) -> Result<(), StateError> {
        if self.saved.as_deref() == Some(state) {
            return Ok(());
        }
        self.replace(state).map_err(|reason| StateError::Io {
            action: WRITE,
            path: self.path.clone(),
            reason,
        })?;
        self.saved = Some(state.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        (folder, path)
    }

    #[test]
    fn there_is_no_state_at_the_beginning() {
        let (_folder, path) = place();
        assert_eq!(StateFile::open(&path).unwrap().load().unwrap(), None);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_saved_is_loaded_verbatim() {
        let (_folder, path) = place();
        let state = "{\"a\": \"ü\"}\n  ";
        StateFile::open(&path).unwrap().save(state).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), state);
        assert_eq!(StateFile::open(&path).unwrap().load().unwrap().as_deref(), Some(state));
    }

    #[test]
    fn a_half_written_state_beside_it_does_no_harm() {
        let (_folder, path) = place();
        std::fs::write(&path, "old").unwrap();
        std::fs::write(path.with_file_name("state.json.tmp"), "ne").unwrap();
        let mut store = StateFile::open(&path).unwrap();
        assert_eq!(store.load().unwrap().as_deref(), Some("old"));
        store.save("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert!(!path.with_file_name("state.json.tmp").exists());
    }

    #[test]
    fn a_second_host_is_refused_until_the_first_is_gone() {
        let (_folder, path) = place();
        let first = StateFile::open(&path).unwrap();
        let error = StateFile::open(&path).unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }) && error.is_users());
        drop(first);
        assert!(StateFile::open(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_no_state_is_refused_and_left_alone() {
        for content in [&b"\xff\xfe"[..], b"", &vec![b'x'; (1 << 20) + 1]] {
            let (_folder, path) = place();
            std::fs::write(&path, content).unwrap();
            let error = StateFile::open(&path).unwrap().load().unwrap_err();
            assert!(matches!(error, StateError::NotAState { .. }), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let (folder, _) = place();
        let error = StateFile::open(&folder.path().join("no/such/state.json")).unwrap_err().to_string();
        assert!(error.contains("no/such/state.json.lock"), "{error}");
    }

    #[test]
    fn a_save_that_fails_leaves_the_old_state() {
        let (_folder, path) = place();
        std::fs::write(&path, "old").unwrap();
        let mut store = StateFile::open(&path).unwrap();
        std::fs::create_dir(path.with_file_name("state.json.tmp")).unwrap();
        assert!(!store.save("new").unwrap_err().is_users());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
