//! A file of lines that this program alone appends to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::output::OutputError;

/// Longer than any event, in bytes; a last line beyond is torn.
const LONGEST_LINE: u64 = 64 << 20;

/// Which file it is, whatever its name.
type Identity = (u64, u64);

#[derive(Debug)]
pub(crate) struct Appender {
    path: PathBuf,
    file: File,
    /// Half a batch may stand at the end.
    torn: bool,
    _lock: File,
}

impl Appender {
    /// Opens or creates the file, for its owner alone, and holds it: of two programs that are told to write to one file
    /// the second is told so. The lock lies beside the file, since the file itself goes away when it is rotated.
    ///
    /// A last line without its line break was left by a host that was killed while it wrote: the state of its batch was
    /// never saved, so the batch comes again, and the torn line is cut off. That is done only where it begins like an
    /// event and is none; a whole one gets its line break (and may come twice, as any event may after a kill), and
    /// anything else is not ours to touch.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let (path, lock) = lock(path)?;
        Ok(Self { file: open_and_mend(&path)?, path, torn: false, _lock: lock })
    }

    /// Where the file lies, all links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long the file is, in bytes, and when it was created, where the file system knows.
    pub fn metadata(&self) -> Result<fs::Metadata, OutputError> {
        self.file.metadata().map_err(|reason| failure(&self.path, &reason))
    }

    /// Opens what stands under the name now.
    fn reopen(&mut self) -> Result<(), OutputError> {
        self.file = open_and_mend(&self.path)?;
        self.torn = false;
        Ok(())
    }

    /// Opens the file anew if another stands under its name, or none: somebody rotated it.
    pub fn follow(&mut self) -> Result<(), OutputError> {
        let open = identity(&self.metadata()?);
        let there = fs::metadata(&self.path).ok().map(|metadata| identity(&metadata));
        if self.torn || there != Some(open) {
            tracing::debug!(file = %self.path.display(), "opening the file again");
            self.reopen()?;
        }
        Ok(())
    }

    /// Appends whole lines and syncs them. All of them stand there then, or none.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        if lines.is_empty() {
            return Ok(());
        }
        write_whole(&mut self.file, lines).map_err(|(reason, torn)| {
            self.torn = torn;
            failure(&self.path, &reason)
        })
    }

    /// Gives the file another name, and begins a new one.
    pub fn move_to(&mut self, name: &Path) -> Result<(), OutputError> {
        fs::rename(&self.path, name).map_err(|reason| failure(&self.path, &reason))?;
        self.reopen()
    }
}

/// What is done to the file, so that a test can have a full disk.
trait Storage: Write {
    fn length(&self) -> io::Result<u64>;
    fn sync(&self) -> io::Result<()>;
    fn cut(&self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A full disk leaves half a batch: it is taken back. Otherwise told is whether half of it may stand there still.
fn write_whole(file: &mut impl Storage, lines: &[u8]) -> Result<(), (io::Error, bool)> {
    let before = file.length().map_err(|reason| (reason, false))?;
    file.write_all(lines).and_then(|()| file.sync()).map_err(|reason| (reason, file.cut(before).is_err()))
}

fn failure(path: &Path, reason: &io::Error) -> OutputError {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, QuotaExceeded};
    use io::ErrorKind::{ReadOnlyFilesystem, StorageFull};
    let what = format!("cannot write events to {}: {reason}", path.display());
    match reason.kind() {
        StorageFull | QuotaExceeded => OutputError::unavailable(format!("{what}; free some space")),
        NotFound | NotADirectory => OutputError::refused(format!("{what}; create its folder")),
        PermissionDenied | ReadOnlyFilesystem => {
            OutputError::refused(format!("{what}; let this program's user write there"))
        }
        IsADirectory => OutputError::mistake(format!("{what}; name a file in it")),
        _ => OutputError::unavailable(what),
    }
}

/// The folder a file lies in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes hold of the file, and returns where it really lies.
fn lock(path: &Path) -> Result<(PathBuf, File), OutputError> {
    let io = |reason: io::Error| failure(path, &reason);
    let Some(name) = path.file_name() else {
        return Err(OutputError::mistake(format!("{} is not the path of a file; name one", path.display())));
    };
    // One file, one lock: whichever way leads to it.
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        // One that leads nowhere yet would have another lock as soon as it leads somewhere.
        Err(_) if path.is_symlink() => {
            private().append(true).open(path).map_err(io)?;
            fs::canonicalize(path).map_err(io)?
        }
        Err(_) => fs::canonicalize(folder(path)).map_err(io)?.join(name),
    };
    if real.exists() && !real.is_file() {
        return Err(OutputError::mistake(format!("{} is not a file; name one", path.display())));
    }
    let mut beside = real.clone().into_os_string();
    beside.push(".lock");
    let lock = private().truncate(false).write(true).open(beside).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok((real, lock)),
        Err(TryLockError::WouldBlock) => Err(OutputError::mistake(format!(
            "{} is in use by another host; stop that one, or give this one a file of its own",
            path.display()
        ))),
        Err(TryLockError::Error(reason)) => Err(io(reason)),
    }
}

/// Creates a file for its owner alone: what is logged is nobody else's.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere an open file cannot be renamed or deleted.
#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {
    (0, 0)
}

fn open_and_mend(path: &Path) -> Result<File, OutputError> {
    let io = |reason: io::Error| failure(path, &reason);
    let mut file = private().append(true).read(true).open(path).map_err(io)?;
    let (start, first) = last_line(&mut file).map_err(io)?;
    match first {
        None => {}
        Some(b'{') if is_whole(&mut file, start).map_err(io)? => file.write_all(b"\n").map_err(io)?,
        Some(b'{') => {
            tracing::info!(file = %path.display(), "cutting off a line that was torn when a host was killed");
            file.set_len(start).and_then(|()| file.sync_all()).map_err(io)?;
        }
        Some(_) => {
            return Err(OutputError::mistake(format!(
                "the file {} does not end with a line of events; it is left as it is: choose another file or move it away",
                path.display()
            )));
        }
    }
    // The name of a new file must survive a power failure as well, or its events would be lost with the state kept.
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(file)
}

/// Whether what stands from here to the end is a whole JSON document.
fn is_whole(file: &mut File, start: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    Read::by_ref(file).take(LONGEST_LINE).read_to_end(&mut line)?;
    Ok(serde_json::from_slice::<IgnoredAny>(&line).is_ok())
}

/// Where the last line begins and its first byte, if it has no line break at its end.
fn last_line(file: &mut File) -> io::Result<(u64, Option<u8>)> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = Vec::new();
    let mut first = None;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(index) = block.iter().rposition(|b| *b == b'\n') {
            return Ok((start + index as u64 + 1, block.get(index + 1).copied().or(first)));
        }
        first = block.first().copied();
        end = start;
    }
    Ok((0, first))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::output::OutputErrorKind;

    fn file_with(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_that_does_not_exist_is_created_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.ndjson");
        Appender::open(&path).unwrap();
        assert!(path.exists());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
    }

    #[test]
    fn a_line_torn_by_a_kill_is_cut_off() {
        let (_folder, path) = file_with(b"{\"n\":1}\n{\"n\":2,\"te");
        Appender::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
    }

    #[test]
    fn a_last_line_that_lacks_nothing_but_its_line_break_is_kept() {
        let (_folder, path) = file_with(b"{\"n\":1}\n{\"n\":2}");
        Appender::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_torn_line_longer_than_any_buffer_is_cut_off() {
        let mut content = b"{\"n\":1}\n{".to_vec();
        content.extend(std::iter::repeat_n(b'x', 200_000));
        let (_folder, path) = file_with(&content);
        Appender::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
        let (_folder, path) = file_with(&content[8..]);
        Appender::open(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_left_alone() {
        let (_folder, path) = file_with(b"{\"n\":1}\nmy notes");
        let error = Appender::open(&path).unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Mistake);
        assert_eq!(fs::read(&path).unwrap(), b"{\"n\":1}\nmy notes");
    }

    #[test]
    fn a_second_host_is_told_that_the_file_is_in_use() {
        let (folder, path) = file_with(b"");
        let first = Appender::open(&path).unwrap();
        let error = Appender::open(&path).unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Mistake);
        assert!(error.to_string().contains("in use by another host"), "{error}");
        #[cfg(unix)]
        {
            let link = folder.path().join("link.ndjson");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert_eq!(Appender::open(&link).unwrap_err().kind(), OutputErrorKind::Mistake);
            // One that leads nowhere yet, too.
            let (new, ahead) = (folder.path().join("new.ndjson"), folder.path().join("ahead.ndjson"));
            std::os::unix::fs::symlink(&new, &ahead).unwrap();
            let _second = Appender::open(&ahead).unwrap();
            assert_eq!(Appender::open(&new).unwrap_err().kind(), OutputErrorKind::Mistake);
        }
        drop(first);
        Appender::open(&path).unwrap();
        drop(folder);
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Appender::open(folder.path()).unwrap_err().kind(), OutputErrorKind::Mistake);
        let error = Appender::open(&folder.path().join("none/x")).unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Refused);
        assert!(error.to_string().contains("create its folder"), "{error}");
    }

    /// Takes ten bytes in all.
    struct FullDisk(RefCell<Vec<u8>>);

    impl Write for FullDisk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut content = self.0.borrow_mut();
            let free = text.len().min(10 - content.len());
            content.extend_from_slice(&text[..free]);
            if free == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(free) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for FullDisk {
        fn length(&self) -> io::Result<u64> {
            Ok(self.0.borrow().len() as u64)
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn cut(&self, length: u64) -> io::Result<()> {
            self.0.borrow_mut().truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    #[test]
    fn half_a_batch_on_a_full_disk_is_taken_back() {
        let mut disk = FullDisk(RefCell::new(b"{}\n".to_vec()));
        let (reason, torn) = write_whole(&mut disk, b"{\"n\":1}\n{\"n\":2}\n").unwrap_err();
        assert_eq!(failure(Path::new("x"), &reason).kind(), OutputErrorKind::Unavailable);
        assert!(!torn);
        assert_eq!(*disk.0.borrow(), b"{}\n");
    }
}
