//! Why a state cannot be loaded or saved.

use std::fmt;
use std::io;

use crate::limits::LARGEST_STATE;

/// Why a state cannot be loaded or saved. The message names the file and says what to do. It never shows the state.
///
/// Every error is exactly one of three: somebody must act ([`is_users`](Self::is_users)), another host was first
/// ([`is_conflict`](Self::is_conflict)), or it [`passes`](Self::passes).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another host holds it.
    #[error(
        "the state {location} is in use by another host; stop that one, or give this one a state of its own"
    )]
    InUse {
        /// The state.
        location: String,
    },
    /// There is something, and it is not a state.
    #[error(
        "the state {location} {reason}; it is left as it is: restore it, or move it away to start from the beginning"
    )]
    NotAState {
        /// The state.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is the state of somebody else.
    #[error(
        "the state {location} was saved for {found} and not for {asked}; it is left as it is: correct the path, or move \
         it away to start from the beginning"
    )]
    OtherOwner {
        /// The state.
        location: String,
        /// Whom it was saved for.
        found: Bound,
        /// Who asks for it.
        asked: Bound,
    },
    /// Another host has saved meanwhile.
    #[error(
        "the state {location} was changed by another host: it should be at {}, and is at {}; nothing was written: make \
         sure that only one host collects for this tenant, and load the state again",
        Revision(*expected), Revision(*found)
    )]
    Conflict {
        /// The state.
        location: String,
        /// The revision that the save continued.
        expected: Option<u64>,
        /// The revision that is there.
        found: Option<u64>,
    },
    /// The new state is empty.
    #[error(
        "the component returned an empty state for {location}, which the next start would refuse; the state saved before \
         is kept: report it to the component's author"
    )]
    Empty {
        /// The state.
        location: String,
    },
    /// The new state is too large.
    #[error(
        "the component returned a state of {bytes} bytes for {location}, and {LARGEST_STATE} are allowed; the state saved \
         before is kept: report it to the component's author"
    )]
    TooLarge {
        /// The state.
        location: String,
        /// Its size, in bytes.
        bytes: usize,
    },
    /// The history has no such revision.
    #[error(
        "the state {location} cannot go back to revision {revision}: its history has {}",
        List(available)
    )]
    NoSuchRevision {
        /// The state.
        location: String,
        /// The one asked for.
        revision: u64,
        /// Those that are there, newest first.
        available: Vec<u64>,
    },
    /// A name that nothing can be bound to.
    #[error("{what} must have 1 to 256 bytes and no control characters: correct it in the configuration")]
    Name {
        /// Which name.
        what: &'static str,
    },
    /// The file was removed or replaced while this host used it.
    #[error(
        "{location} was removed or replaced while this host used it, so another host may use the state too; nothing more \
         is saved: see to it that nothing cleans up that folder, restore the file if it is the state, and start again"
    )]
    Replaced {
        /// The state's file or its lock.
        location: String,
    },
    /// The system refused.
    #[error("cannot {action} {location}: {reason}{}", hint(reason.kind()))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        location: String,
        /// What the system said.
        reason: io::Error,
    },
    /// The database refused.
    #[error("cannot {action} {location}: {reason}{}", if *passes { "" } else { "; it is left as it is: check the file and its permissions, or restore it" })]
    Database {
        /// What was tried.
        action: &'static str,
        /// The database.
        location: String,
        /// What the database said.
        reason: String,
        /// Whether it may work the next time.
        passes: bool,
    },
}

impl StateError {
    /// Whether somebody must act: on the configuration, on what lies there, or on the component.
    pub fn is_users(&self) -> bool {
        !self.is_conflict() && !self.passes()
    }

    /// Whether another host has saved meanwhile. Nothing was overwritten.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether it may work the next time, without anybody acting on the state: a full disk, a failing disk, a database
    /// that is busy.
    pub fn passes(&self) -> bool {
        match self {
            Self::Io { reason, .. } => !lasts(reason.kind()),
            Self::Database { passes, .. } => *passes,
            _ => false,
        }
    }
}

/// What does not go away by itself.
fn lasts(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidInput, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(kind, NotFound | PermissionDenied | ReadOnlyFilesystem | NotADirectory | InvalidInput)
}

fn hint(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::{
        FileTooLarge, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    match kind {
        NotFound | NotADirectory => "; create the folder, or mount it again",
        PermissionDenied => "; give the host's user the right to read and write it and its folder",
        ReadOnlyFilesystem => "; mount it so that it can be written to",
        StorageFull | QuotaExceeded | FileTooLarge => {
            "; make room, then it goes on from the state saved before"
        }
        _ => "",
    }
}

/// A tenant and a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The tenant.
    pub tenant: String,
    /// The component's name.
    pub component: String,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant {:?} and component {:?}", self.tenant, self.component)
    }
}

struct Revision(Option<u64>);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(revision) => write!(f, "revision {revision}"),
            None => f.write_str("no revision (nothing is saved)"),
        }
    }
}

struct List<'a>(&'a [u64]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, revision) in self.0.iter().enumerate() {
            write!(f, "{}{revision}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
