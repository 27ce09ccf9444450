//! Where events go: standard output, or a file.

use crate::files::{self, LogFile};
use crate::streams::{self, WriteError};
use crate::{clock, log};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is read at once to find where the last line of a file begins.
const PART: u64 = 64 << 10;
/// The longest line that is looked at. Events are smaller, whoever wrote them.
const LONGEST_LINE: u64 = 64 << 20;
/// Until it is looked again whether a torn line is one that another program is writing.
const SECOND_LOOK: Duration = Duration::from_millis(300);

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
///
/// WASI has no locks. So whoever else writes to it is looked out for at each step: a second program ends with that in words, before
/// it saves a state whose events might not be there.
pub(crate) struct EventFile {
    path: PathBuf,
    /// None before it is opened, and where half a batch may stand at its end.
    opened: Option<Opened>,
}

struct Opened {
    file: LogFile,
    /// How long it was when this program was done with it.
    length: u64,
}

impl EventFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, opened: None }
    }

    /// Opens the file, or makes one, and mends its end; again where its name leads to another one, since whoever rotates files
    /// gives them other names.
    ///
    /// # Errors
    ///
    /// [`WriteError::Failed`] where a person has to change something, and it does not end as one of events.
    pub(crate) fn open(&mut self) -> Result<(), WriteError> {
        if !self.opened.as_ref().is_some_and(|opened| opened.file.is_in_place()) {
            self.opened = None;
            let file = LogFile::open(&self.path).map_err(|error| failed(&self.path, &error))?;
            let length = mend(&file, &self.path)?;
            self.opened = Some(Opened { file, length });
        }
        Ok(())
    }

    /// Whether it could be written to. Changes nothing.
    pub(crate) fn check(&self) -> Result<(), String> {
        let last = match files::kind(&self.path) {
            Ok(None) => files::probe(&self.path).map(|()| Vec::new()),
            Ok(Some(_)) => LogFile::open(&self.path).and_then(|file| last_line(&file)),
            Err(error) => Err(error),
        };
        match last.map(|line| line.first().copied()) {
            Ok(None | Some(b'{')) => Ok(()),
            Ok(Some(_)) => Err(not_of_events(&self.path)),
            Err(error) => Err(cannot(&self.path, &error)),
        }
    }

    /// All lines stand there then, or none.
    fn append(&mut self, events: &[String]) -> Result<(), WriteError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            lines.extend_from_slice(event.as_bytes());
            lines.push(b'\n');
        }
        self.open()?;
        // Nothing of it is known any more unless all goes well.
        let Some(Opened { file, length }) = self.opened.take() else { return Ok(()) };
        let failed = |error: io::Error| failed(&self.path, &error);
        let start = file.length().map_err(failed)?;
        if start > length {
            return Err(failed(files::taken()));
        }
        let written = file.append(start, &lines).and_then(|()| file.sync());
        if let Err(error) = written {
            // A full disk leaves half a batch, which is taken back; what another program wrote is not.
            let is_taken_back = !files::is_taken(&error) && file.cut(start).is_ok();
            self.opened = is_taken_back.then_some(Opened { file, length: start });
            return Err(failed(error));
        }
        self.opened = Some(Opened { file, length: start + lines.len() as u64 });
        Ok(())
    }
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!("cannot write events to {}: {error}", path.display())
}

fn failed(path: &Path, error: &io::Error) -> WriteError {
    let message = cannot(path, error);
    if files::passes(error) { WriteError::Passes(message) } else { WriteError::Failed(message) }
}

fn not_of_events(path: &Path) -> String {
    format!(
        "the file {} does not end with a line of events; it is left as it is: choose another file or move it away",
        path.display()
    )
}

/// Cuts off a last line that a killed program left, and returns how long the file is then.
fn mend(file: &LogFile, path: &Path) -> Result<u64, WriteError> {
    let io = |error: io::Error| failed(path, &error);
    let line = last_line(file).map_err(io)?;
    let length = file.length().map_err(io)?;
    match line.first() {
        None => return Ok(length),
        Some(b'{') => {}
        Some(_) => return Err(WriteError::Failed(not_of_events(path))),
    }
    // Whole, but for the line's end.
    if serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok() {
        file.append(length, b"\n").map_err(io)?;
        return Ok(length + 1);
    }
    // Half a line may also be what a program is writing just now.
    clock::sleep(SECOND_LOOK);
    if file.length().map_err(io)? != length {
        return Err(io(files::taken()));
    }
    log::info(&format!("cutting off a line of {} that was torn when a program was killed", path.display()));
    let start = length - line.len() as u64;
    file.cut(start).and_then(|()| file.sync()).map_err(io)?;
    Ok(start)
}

/// What stands behind the last line's end; of a file that is none of lines, no more than the largest event.
fn last_line(file: &LogFile) -> io::Result<Vec<u8>> {
    let length = file.length()?;
    let mut end = length;
    let mut start = 0;
    while end > 0 && length - end < LONGEST_LINE {
        let part_start = end.saturating_sub(PART);
        let part = file.read(part_start, end - part_start)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            start = part_start + at as u64 + 1;
            break;
        }
        (start, end) = (part_start, part_start);
    }
    file.read(start, length - start)
}
