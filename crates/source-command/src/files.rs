//! Files in the folders that the program was given.
//!
//! WASI knows no paths from a root: there are some open folders, each with the name under which it was given, and paths within
//! them. What lies in none of them is not there.

use crate::bindings::wasi::cli0_2_0::environment;
use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use std::io;
use std::path::Path;

/// What is written at once. Each part is a call of the host, and before each the file is looked at.
const WRITTEN: usize = 512 << 10;

/// A folder that the program was given, and a path in it.
struct Place {
    folder: Descriptor,
    path: String,
}

/// A path with all that leads nowhere taken out.
struct Route<'a> {
    has_root: bool,
    names: Vec<&'a str>,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Self {
        let has_root = path.starts_with('/');
        let mut names = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
                // Above the root lies the root.
                ".." if has_root => {}
                name => names.push(name),
            }
        }
        Self { has_root, names }
    }

    /// The rest of it behind a folder, if it leads there.
    fn behind(&self, folder: &Route<'_>) -> Option<String> {
        let rest =
            self.names.strip_prefix(folder.names.as_slice()).filter(|_| self.has_root == folder.has_root)?;
        Some(if rest.is_empty() { String::from(".") } else { rest.join("/") })
    }

    /// Of the folders that the program was given, the one with the longest name that it leads to.
    fn place(&self) -> Option<Place> {
        let folders = get_directories().into_iter();
        let found = folders.filter_map(|(folder, name)| {
            let name = Route::of(&name);
            Some((name.names.len(), Place { folder, path: self.behind(&name)? }))
        });
        found.max_by_key(|(length, _)| *length).map(|(_, place)| place)
    }
}

/// Where a path leads. One without a root leads to a folder that was given by a name without one, or it begins where the program
/// was started.
fn find(path: &Path) -> io::Result<Place> {
    let path = path.to_str().ok_or_else(|| error(ErrorCode::IllegalByteSequence))?;
    let started = environment::initial_cwd().unwrap_or_default();
    let from_root = format!("/{started}/{path}");
    let place = Route::of(path).place();
    let place = if path.starts_with('/') { place } else { place.or_else(|| Route::of(&from_root).place()) };
    place.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "it lies in no folder that this program was given (wasmtime: --dir FOLDER::NAME)",
        )
    })
}

/// What lies there; none where nothing does.
pub(crate) fn kind(path: &Path) -> io::Result<Option<DescriptorType>> {
    let Place { folder, path } = find(path)?;
    match folder.stat_at(PathFlags::empty(), &path) {
        Ok(stat) => Ok(Some(stat.type_)),
        Err(ErrorCode::NoEntry) => Ok(None),
        Err(code) => Err(error(code)),
    }
}

/// Whether it is a file. Asked before it is opened: opening a pipe would wait for ever.
fn is_file(folder: &Descriptor, path: &str) -> io::Result<()> {
    match folder.stat_at(PathFlags::SYMLINK_FOLLOW, path).map_err(error)?.type_ {
        DescriptorType::RegularFile => Ok(()),
        DescriptorType::Directory => Err(error(ErrorCode::IsDirectory)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

/// Reads a file, but no more than so many bytes of it.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let Place { folder, path } = find(path)?;
    is_file(&folder, &path)?;
    let file = folder
        .open_at(PathFlags::SYMLINK_FOLLOW, &path, OpenFlags::empty(), DescriptorFlags::READ)
        .map_err(error)?;
    read_from(&file, 0, most)
}

/// What a file has from here on, but no more than so many bytes of it.
fn read_from(file: &Descriptor, start: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let left = most.saturating_sub(bytes.len() as u64);
        if left == 0 {
            return Ok(bytes);
        }
        let (more, is_end) = file.read(left.min(64 << 10), start + bytes.len() as u64).map_err(error)?;
        bytes.extend(more);
        if is_end {
            return Ok(bytes);
        }
    }
}

/// A file that stays open, and grows.
pub(crate) struct LogFile {
    folder: Descriptor,
    path: String,
    file: Descriptor,
}

impl LogFile {
    /// Opens one, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let Place { folder, path } = find(path)?;
        match is_file(&folder, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let file =
            folder.open_at(PathFlags::SYMLINK_FOLLOW, &path, OpenFlags::CREATE, flags).map_err(error)?;
        // The name of a new one has to survive as well, or its events are lost and the state is kept.
        sync_folder_of(&folder, &path)?;
        Ok(Self { folder, path, file })
    }

    /// Whether its name still leads to it.
    pub(crate) fn is_in_place(&self) -> bool {
        let there = self.folder.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, &self.path);
        let own = self.file.metadata_hash();
        matches!((there, own), (Ok(there), Ok(own)) if (there.lower, there.upper) == (own.lower, own.upper))
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.file.stat().map_err(error)?.size)
    }

    pub(crate) fn read(&self, start: u64, most: u64) -> io::Result<Vec<u8>> {
        read_from(&self.file, start, most)
    }

    /// Writes at its end, which has to be where it is taken to be: before each part, since others may write as well.
    pub(crate) fn append(&self, start: u64, bytes: &[u8]) -> io::Result<()> {
        write_to(&self.file, start, bytes, |end| if self.length()? == end { Ok(()) } else { Err(taken()) })
    }

    pub(crate) fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_size(length).map_err(error)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(error)
    }
}

/// Replaces a file as a whole or not at all: written beside, synced, renamed, folder synced. What a killed program left beside
/// it is removed rather than written to.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Place { folder, path } = find(path)?;
    let beside = format!("{path}.tmp");
    remove(&folder, &beside)?;
    let written = write(&folder, &beside, bytes)
        .and_then(|()| folder.rename_at(&beside, &folder, &path).map_err(error));
    if let Err(error) = written {
        // Half a state takes space that a full disk needs.
        let _ = remove(&folder, &beside);
        return Err(error);
    }
    sync_folder_of(&folder, &path)
}

/// Whether a file could be replaced. Changes nothing.
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    let Place { folder, path } = find(path)?;
    let beside = format!("{path}.tmp");
    remove(&folder, &beside)?;
    let written = write(&folder, &beside, b"x");
    written.and(remove(&folder, &beside))
}

fn write(folder: &Descriptor, path: &str, bytes: &[u8]) -> io::Result<()> {
    let flags = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = folder.open_at(PathFlags::empty(), path, flags, DescriptorFlags::WRITE).map_err(error)?;
    write_to(&file, 0, bytes, |_| Ok(()))?;
    file.sync().map_err(error)
}

fn write_to(
    file: &Descriptor,
    start: u64,
    bytes: &[u8],
    may_go_on: impl Fn(u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let part = &bytes[done..bytes.len().min(done + WRITTEN)];
        may_go_on(start + done as u64)?;
        let written = file.write(part, start + done as u64).map_err(error)?;
        done += usize::try_from(written).unwrap_or_default();
    }
    Ok(())
}

fn remove(folder: &Descriptor, path: &str) -> io::Result<()> {
    match folder.unlink_file_at(path) {
        Err(code) if code != ErrorCode::NoEntry => Err(error(code)),
        _ => Ok(()),
    }
}

/// A rename is safe once its folder is. A host that cannot sync folders has said all it can.
fn sync_folder_of(folder: &Descriptor, path: &str) -> io::Result<()> {
    let synced = match path.rsplit_once('/') {
        None => folder.sync(),
        Some((within, _)) => folder
            .open_at(PathFlags::SYMLINK_FOLLOW, within, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .and_then(|within| within.sync()),
    };
    match synced {
        Ok(()) | Err(ErrorCode::Unsupported | ErrorCode::BadDescriptor | ErrorCode::Invalid) => Ok(()),
        Err(code) => Err(error(code)),
    }
}

/// What is said where a file is another program's as well.
pub(crate) fn taken() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another program writes to it as well; give each a file")
}

pub(crate) fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

/// Whether it goes by itself, or once somebody has made room; of anything else, a person has to change what was given.
pub(crate) fn passes(error: &io::Error) -> bool {
    use io::ErrorKind;
    !matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::ResourceBusy
    )
}

/// The error of the system that it stands for, in the words of systems.
fn error(code: ErrorCode) -> io::Error {
    use io::ErrorKind;
    let (kind, words) = match code {
        ErrorCode::NoEntry => (ErrorKind::NotFound, "No such file or directory"),
        ErrorCode::Access | ErrorCode::NotPermitted => (ErrorKind::PermissionDenied, "Permission denied"),
        ErrorCode::ReadOnly => (ErrorKind::ReadOnlyFilesystem, "Read-only file system"),
        ErrorCode::InsufficientSpace => (ErrorKind::StorageFull, "No space left on device"),
        ErrorCode::Quota => (ErrorKind::QuotaExceeded, "Disk quota exceeded"),
        ErrorCode::FileTooLarge => (ErrorKind::FileTooLarge, "File too large"),
        ErrorCode::NotDirectory => (ErrorKind::NotADirectory, "Not a directory"),
        ErrorCode::IsDirectory => (ErrorKind::IsADirectory, "Is a directory"),
        ErrorCode::Exist => (ErrorKind::AlreadyExists, "File exists"),
        ErrorCode::NameTooLong => (ErrorKind::InvalidFilename, "File name too long"),
        other => return io::Error::other(other.message().to_owned()),
    };
    io::Error::new(kind, words)
}
