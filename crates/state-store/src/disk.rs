//! What both stores on a disk do to it.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StateError;

/// The path with links followed, so that two names of one state have one lock, and so that a link is not replaced by a
/// file. The file need not exist; its folder must.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StateError> {
    let not = |reason| StateError::NotAState { location: path.display().to_string(), reason };
    let Some(name) = path.file_name() else {
        return Err(not("is not the path of a file"));
    };
    match path.canonicalize() {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(reason) => return Err(failure("open", path)(reason)),
    }
    if path.is_symlink() {
        return Err(not("is a link that leads nowhere"));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(failure("open", path))?;
    Ok(folder.join(name))
}

/// The path with something added to its last name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A path beside it that nobody else uses.
pub(crate) fn unique(path: &Path, what: &str) -> PathBuf {
    static USED: AtomicU64 = AtomicU64::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    beside(path, &format!(".{what}-{}-{number}", std::process::id()))
}

/// Makes an error of what the system said.
pub(crate) fn failure(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StateError {
    move |reason| StateError::Io { action, location: path.display().to_string(), reason }
}

/// A new file that its owner alone may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Readable by the owner alone: a state names users and objects of the tenant.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Replaces the file as a whole or not at all: written beside, synced, renamed, folder synced. What a killed host left
/// beside it is removed rather than written to, for it may be a link to somewhere else, or readable by all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    remove(&temporary)?;
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        // Half a state takes space that a full disk needs. If it cannot be removed, the next save tries again.
        let _ = remove(&temporary);
        return Err(error);
    }
    sync_folder_of(path)
}

/// Tries whether so many bytes can be written to this file, which nobody needs, and removes it again.
pub(crate) fn probe(file: &Path, bytes: usize) -> Result<(), StateError> {
    let tried = remove(file).and_then(|()| create(file)).and_then(|mut file| {
        file.write_all(&vec![b'x'; bytes])?;
        file.sync_all()
    });
    let removed = remove(file);
    tried.and(removed).map_err(failure("write beside the state", file))
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A rename is safe once its folder is.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Self(metadata.dev(), metadata.ino())
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Self(0, 0)
        }
    }

    /// Refuses to go on if the path does not lead to this file any more. What is written to a removed file is lost, and
    /// a lock on one holds nobody off.
    pub fn still_at(self, path: &Path) -> Result<(), StateError> {
        let metadata = std::fs::metadata(path).map_err(failure("find", path))?;
        if Self::of(&metadata) == self {
            return Ok(());
        }
        Err(StateError::Replaced { location: path.display().to_string() })
    }
}
