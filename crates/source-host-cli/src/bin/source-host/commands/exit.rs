//! How a command ends that does not end well, and lines on standard output, which may end it.

use std::path::Path;

use serde::Serialize;
use source_host::{Error, printable_json};

/// Prints a line to standard output. A reader that has gone, as in `source-host schema … | head`, is no failure.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::commands::exit::printed(std::io::Write::write_fmt(
            &mut std::io::stdout(),
            format_args!("{}\n", format_args!($($text)*)),
        ))
    };
}

/// An end with an error message.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: u8,
    pub(crate) message: String,
}

impl Exit {
    /// A mistake in what was given: status 2.
    pub(crate) fn mistake(message: impl ToString) -> Self {
        Self { status: 2, message: message.to_string() }
    }

    /// Mistakes in a file, a line each.
    pub(crate) fn mistakes(path: &Path, lines: &[String]) -> Self {
        let mistakes =
            if lines.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
        Self::mistake(format!("{} has {mistakes}:\n  - {}", path.display(), lines.join("\n  - ")))
    }

    /// Something failed that was asked for rightly: status 1.
    pub(crate) fn failure(message: impl ToString) -> Self {
        Self { status: 1, message: message.to_string() }
    }
}

/// Prints JSON to standard output. What a component says in it does nothing to a terminal.
pub(crate) fn say_json(value: &(impl Serialize + ?Sized)) -> Result<(), Exit> {
    say!("{}", printable_json(&serde_json::to_string_pretty(value).map_err(Exit::failure)?))
}

/// What became of a line: a reader that has gone is no failure.
pub(crate) fn printed(outcome: std::io::Result<()>) -> Result<(), Exit> {
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Exit::failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        match error {
            Error::Unreadable { .. } | Error::NotAdmitted { .. } | Error::Configuration(_) => {
                Self::mistake(error)
            }
            Error::Setup(_) => Self::mistake(error),
            error => Self::failure(error),
        }
    }
}

impl From<component_registry::Error> for Exit {
    fn from(error: component_registry::Error) -> Self {
        if error.is_users() { Self::mistake(error) } else { Self::failure(error) }
    }
}

impl From<fleet::EngineError> for Exit {
    fn from(error: fleet::EngineError) -> Self {
        match error {
            fleet::EngineError::Refused(why) => Self::mistake(why),
            error => Self::failure(error),
        }
    }
}
