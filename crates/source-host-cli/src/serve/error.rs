//! Why a folder cannot be served.

use std::path::PathBuf;

use crate::watch::ServerError;

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The folder cannot be read or watched.
    #[error("cannot read the folder {}: {reason}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The states cannot be used.
    #[error(transparent)]
    States(#[from] state_store::StateError),
    /// Metrics cannot be told there.
    #[error(transparent)]
    Metrics(#[from] ServerError),
    /// The audit trail cannot be written.
    #[error("cannot write the audit trail {}: {reason}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The socket for commands cannot be used.
    #[error("cannot listen at {}: {reason}", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
