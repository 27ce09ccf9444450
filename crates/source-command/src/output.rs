//! Where events go: standard output, or a file.

use crate::files::LogFile;
use crate::log;
use crate::streams::{self, WriteError};
use std::io;
use std::path::{Path, PathBuf};

/// What is read at once where the last line of a file begins.
const PART: u64 = 64 << 10;

/// Where events go.
pub(crate) enum Output {
    Stream,
    File(EventFile),
}

impl Output {
    /// Writes events, a line each. They are safe when it returns: they have left this program, or lie on the disk.
    pub(crate) fn write(&mut self, events: &[String]) -> Result<(), WriteError> {
        match self {
            Self::Stream => streams::write_lines(events.iter().map(String::as_str)),
            Self::File(file) => file.append(events),
        }
    }
}

/// A file to which events are appended. It ends with a whole line, whenever this program was killed.
pub(crate) struct EventFile {
    path: PathBuf,
    file: LogFile,
    /// How long it was when this program was done with it.
    length: u64,
    /// Whether half a batch may stand at its end.
    is_torn: bool,
}

impl EventFile {
    /// Opens a file, or makes one, and mends its end.
    ///
    /// # Errors
    ///
    /// In words, if that cannot be, or it does not end as one of events.
    pub(crate) fn open(path: PathBuf) -> Result<Self, String> {
        let file = LogFile::open(&path).map_err(|error| failed(&path, &error))?;
        let length = mend(&file, &path)?;
        Ok(Self { path, file, length, is_torn: false })
    }

    /// All lines stand there then, or none.
    fn append(&mut self, events: &[String]) -> Result<(), WriteError> {
        if events.is_empty() {
            return Ok(());
        }
        // Whoever rotates files gives them other names.
        if self.is_torn || !self.file.is_in_place() {
            *self = Self::open(std::mem::take(&mut self.path)).map_err(WriteError::Failed)?;
        }
        let failed = |error: &io::Error| WriteError::Passes(failed(&self.path, error));
        let start = self.file.length().map_err(|error| failed(&error))?;
        if start > self.length {
            let path = self.path.display();
            return Err(WriteError::Failed(format!(
                "another program writes to {path} as well; give each a file"
            )));
        }
        let mut lines = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            lines.extend_from_slice(event.as_bytes());
            lines.push(b'\n');
        }
        let written = self.file.write(start, &lines).and_then(|()| self.file.sync());
        if let Err(error) = written {
            let error = failed(&error);
            // A full disk leaves half a batch: it is taken back.
            self.is_torn = self.file.cut(start).is_err();
            return Err(error);
        }
        self.length = start + lines.len() as u64;
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("cannot write events to {}: {error}", path.display())
}

/// Cuts off a last line that a killed program left, and returns how long the file is then.
fn mend(file: &LogFile, path: &Path) -> Result<u64, String> {
    let io = |error: io::Error| failed(path, &error);
    let length = file.length().map_err(io)?;
    let start = last_line(file, length).map_err(io)?;
    let line = file.read(start, length - start).map_err(io)?;
    if line.is_empty() {
        return Ok(length);
    }
    if line.first() != Some(&b'{') {
        return Err(format!(
            "the file {} does not end with a line of events; it is left as it is: choose another file or move it away",
            path.display()
        ));
    }
    // Whole, but for the line's end.
    if serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok() {
        file.write(length, b"\n").map_err(io)?;
        return Ok(length + 1);
    }
    log::info(&format!("cutting off a line of {} that was torn when a program was killed", path.display()));
    file.cut(start).and_then(|()| file.sync()).map_err(io)?;
    Ok(start)
}

/// Where the last line begins: behind the last line's end.
fn last_line(file: &LogFile, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(PART);
        let part = file.read(start, end - start)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
