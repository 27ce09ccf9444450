//! Why something was not pulled or pushed.

use std::path::PathBuf;

/// Why something was not pulled or pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that is none.
    #[error(
        "{text:?} is no reference to a component: {reason}; write oci://HOST/REPOSITORY:TAG, with @sha256:… behind it to pin it"
    )]
    Reference {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that was set does not do.
    #[error("{0}")]
    Settings(String),
    /// The registry does not answer as it should.
    #[error("{registry} {reason}")]
    Registry {
        /// Its host.
        registry: String,
        /// What it did.
        reason: String,
    },
    /// There is no such thing.
    #[error("{0} is not there")]
    Missing(String),
    /// What came is not what was promised or asked for. Nothing of it was kept.
    #[error("{name} is refused: {reason}")]
    Refused {
        /// Which artifact.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    /// Whether somebody has to act before trying again makes sense.
    pub fn is_users(&self) -> bool {
        !matches!(self, Self::Registry { .. } | Self::File { .. })
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { action, path, reason: error.to_string() }
    }
}
