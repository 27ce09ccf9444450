//! How a run ends, well or not, and who must act then.

use std::time::Duration;

use super::report::Report;
use event_output::{OutputError, OutputErrorKind};
use source_host::Error;
use source_host::Problem;
use state_store::StateError;

/// How a run ended, when it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is left to read.
    CaughtUp,
    /// All is read that there will ever be: the range of time is over.
    Complete,
    /// It was asked to stop.
    Stopped,
    /// Whoever read the events has gone.
    ReaderGone,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The state cannot be loaded or saved.
    #[error(transparent)]
    State(#[from] StateError),
    /// Events cannot be delivered.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The component crashed too often.
    #[error("given up after {times} failures in a row: {last}")]
    Crashed {
        /// How often in a row.
        times: u32,
        /// How it ended the last time.
        last: Error,
    },
    /// The source reports what waiting cannot mend.
    #[error("{}: {}", .0.kind, .0)]
    Problem(Box<Problem>),
    /// Nothing came for too long.
    #[error("given up, as nothing came for {} s and the next attempt is {} s away: {why}", waited.as_secs(), next.as_secs())]
    NoProgress {
        /// How long nothing came.
        waited: Duration,
        /// When the source wants to be asked again.
        next: Duration,
        /// What it waits for.
        why: String,
    },
}

impl RunError {
    /// Whether it lies with what the operator gave: configuration, state or output.
    pub fn is_users(&self) -> bool {
        match self {
            Self::State(error) => error.is_users(),
            Self::Output(error) => error.kind() == OutputErrorKind::Mistake,
            Self::Problem(problem) => problem.kind.is_users(),
            Self::Crashed { .. } | Self::NoProgress { .. } => false,
        }
    }
}

/// The end of a run: what was done in any case, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// What was done.
    pub report: Report,
    /// How it ended.
    pub end: Result<End, RunError>,
}
