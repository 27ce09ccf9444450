//! Standard input, output and error.

use crate::bindings::wasi::cli0_2_0::{stderr, stdin, stdout};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};

/// What is written at once. Hosts take a little more.
const PART: usize = 64 << 10;

/// Why something cannot be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Whoever read it has gone.
    Closed,
    /// In words.
    Failed(String),
    /// The same of what passes by itself, or once somebody has made room.
    Passes(String),
}

impl From<StreamError> for WriteError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::Closed,
            StreamError::LastOperationFailed(error) => {
                Self::Failed(format!("cannot write to standard output: {}", error.to_debug_string()))
            }
        }
    }
}

/// Reads standard input to its end, but no more than so many bytes.
pub(crate) fn read_input(most: usize) -> Result<Vec<u8>, String> {
    let stream = stdin::get_stdin();
    let mut bytes = Vec::new();
    while bytes.len() < most {
        match stream.blocking_read(PART as u64) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    Ok(bytes)
}

/// Writes lines to standard output. They have left this program when it returns.
pub(crate) fn write_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<(), WriteError> {
    let stream = stdout::get_stdout();
    let mut part = Vec::with_capacity(PART);
    for line in lines {
        part.extend_from_slice(line.as_bytes());
        part.push(b'\n');
        if part.len() >= PART {
            write(&stream, &part)?;
            part.clear();
        }
    }
    write(&stream, &part)?;
    Ok(stream.blocking_flush()?)
}

/// Writes a line to standard error. That nobody can read it is no reason to stop.
pub(crate) fn complain(line: &str) {
    let stream = stderr::get_stderr();
    let _ = write(&stream, format!("{line}\n").as_bytes()).and_then(|()| Ok(stream.blocking_flush()?));
}

fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), WriteError> {
    while !bytes.is_empty() {
        let fits = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if fits == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(fits.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}
