//! Where events go. A sink returns once the events are safe; only then does the runner save the state.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use serde::de::IgnoredAny;

/// Longer than any event, in bytes; a last line beyond is torn.
const LONGEST_LINE: u64 = 64 << 20;

/// A delivery, to come.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'a>>;

/// Takes events.
pub trait Sink: Send {
    /// Takes the events of one batch, each one JSON object on one line, and returns once they are safe. After an error
    /// the same events come again in a later run; a sink that took half of them may see that half twice.
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a>;
}

/// Why events could not be delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Whoever read the events has gone. Not a mistake: `source-host run ... | head` ends like this.
    #[error("the reader of the events is gone")]
    Closed,
    /// The output file ends with something that this program did not write.
    #[error("the output {} does not end with a line of events; it is left as it is: choose another file or move it away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write events to {to}: {reason}")]
    Io {
        /// The file, or standard output.
        to: String,
        /// What the system said.
        reason: io::Error,
    },
}

impl SinkError {
    /// Whether the operator has to act on what is there, rather than on the machine.
    pub fn is_users(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }
}

/// All lines of a batch in one piece, so that a write is one system call and a reader sees whole lines.
fn lines(events: &[String]) -> Vec<u8> {
    let mut text = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
    for event in events {
        text.extend_from_slice(event.as_bytes());
        text.push(b'\n');
    }
    text
}

/// Standard output, or any other writer: one event per line.
#[derive(Debug)]
pub struct Lines<W> {
    writer: W,
}

impl Lines<io::Stdout> {
    /// To standard output.
    pub fn stdout() -> Self {
        Self { writer: io::stdout() }
    }
}

impl<W: Write + Send> Lines<W> {
    /// To a writer.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        let written = self.writer.write_all(&lines(events)).and_then(|()| self.writer.flush());
        let result = written.map_err(|reason| match reason.kind() {
            io::ErrorKind::BrokenPipe => SinkError::Closed,
            _ => SinkError::Io { to: "standard output".into(), reason },
        });
        Box::pin(std::future::ready(result))
    }
}

/// A file that events are appended to, one per line, synced to the disk after each batch.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Opens or creates the file. A last line without its line break was left by a host that was killed while it wrote:
    /// the state of its batch was never saved, so the batch comes again, and the torn line is cut off. That is done only
    /// where it begins like an event and is none; a whole one gets its line break (and may come twice, as any event may
    /// after a kill), and anything else is not ours to touch.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or ends with something else.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let io = |reason| SinkError::Io { to: path.display().to_string(), reason };
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(io)?;
        let (start, first) = last_line(&mut file).map_err(io)?;
        match first {
            None => {}
            Some(b'{') if is_whole(&mut file, start).map_err(io)? => file.write_all(b"\n").map_err(io)?,
            Some(b'{') => {
                tracing::info!(file = %path.display(), "cutting off a line that was torn when a host was killed");
                file.set_len(start).and_then(|()| file.sync_all()).map_err(io)?;
            }
            Some(_) => return Err(SinkError::Foreign { path: path.to_owned() }),
        }
        // The name of a new file must survive a power failure as well, or its events would be lost with the state kept.
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn append(&mut self, events: &[String]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(&lines(events)).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // A full disk leaves half a batch. Take it back if that works; opening the file mends it otherwise.
            let _ = self.file.set_len(before);
        }
        written
    }
}

impl Sink for EventFile {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        let result = self
            .append(events)
            .map_err(|reason| SinkError::Io { to: self.path.display().to_string(), reason });
        Box::pin(std::future::ready(result))
    }
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
    use super::*;

    fn place(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn events(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn events_are_appended_one_per_line() {
        let (_folder, path) = place(b"{\"n\":1}\n");
        let mut sink = EventFile::open(&path).unwrap();
        sink.deliver(&events(&["{\"n\":2}", "{\"n\":3}"])).await.unwrap();
        sink.deliver(&[]).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    }

    #[test]
    fn a_file_that_does_not_exist_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.ndjson");
        EventFile::open(&path).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a_line_torn_by_a_kill_is_cut_off() {
        let (_folder, path) = place(b"{\"n\":1}\n{\"n\":2,\"te");
        EventFile::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
    }

    #[test]
    fn a_last_line_that_lacks_nothing_but_its_line_break_is_kept() {
        let (_folder, path) = place(b"{\"n\":1}\n{\"n\":2}");
        EventFile::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_torn_line_longer_than_any_buffer_is_cut_off() {
        let mut content = b"{\"n\":1}\n{".to_vec();
        content.extend(std::iter::repeat_n(b'x', 200_000));
        let (_folder, path) = place(&content);
        EventFile::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
        let (_folder, path) = place(&content[8..]);
        EventFile::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_left_alone() {
        let (_folder, path) = place(b"{\"n\":1}\nmy notes");
        let error = EventFile::open(&path).unwrap_err();
        assert!(error.is_users());
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"n\":1}\nmy notes");
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_told_apart_from_a_failure() {
        let error = Lines::new(Closed).deliver(&events(&["{}"])).await.unwrap_err();
        assert!(matches!(error, SinkError::Closed));
    }

    #[tokio::test]
    async fn lines_go_to_a_writer_with_a_line_break_each() {
        let mut written = Vec::new();
        Lines::new(&mut written).deliver(&events(&["{}", "{\"a\":1}"])).await.unwrap();
        assert_eq!(written, b"{}\n{\"a\":1}\n");
    }
}
