//! What every store does, with what, and for whom.

use std::fmt;
use std::pin::Pin;
use std::time::SystemTime;

use crate::error::StateError;

/// What a store is about to answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// Keeps the state of one source of one tenant.
///
/// A future that is dropped before it is ready may or may not have done its work. The same call can then be made again:
/// a store knows a save of its own that its caller has not heard of, and takes it for no conflict.
pub trait StateStore: Send {
    /// What was saved last; none at the very beginning.
    ///
    /// # Errors
    ///
    /// If there is something and it cannot be used. It is left as it is and must not be overwritten.
    fn load(&mut self) -> Answer<'_, Option<Stored>>;

    /// Keeps the state so that it is there after a power failure, and returns its revision. `expected` is the revision
    /// that the state continues: that of [`load`](Self::load) or of the last save, none if there was nothing.
    ///
    /// The same text again is not written, and keeps its revision.
    ///
    /// # Errors
    ///
    /// If another host has saved meanwhile ([`StateError::is_conflict`]), if the state is one that would be refused at
    /// the next start, or if it is not certain that the state is kept. What was saved before is then still there; after
    /// an error that [passes](StateError::passes) the same save can be tried again.
    fn save<'a>(&'a mut self, state: &'a str, expected: Option<u64>) -> Answer<'a, u64>;

    /// The earlier states that [`roll_back`](Self::roll_back) can go back to, newest first.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn history(&mut self) -> Answer<'_, Vec<Past>>;

    /// Saves an earlier state again, under a new revision. The state it replaces goes into the history, so that this can
    /// be undone; a host that still runs gets a conflict at its next save.
    ///
    /// # Errors
    ///
    /// If there is no such revision, or as for [`save`](Self::save).
    fn roll_back(&mut self, to: u64) -> Answer<'_, Stored>;

    /// Whether a save would work: the state is ours alone or can be shared, its folder can be written to, and the disk
    /// has space for the largest state. Changes nothing.
    ///
    /// # Errors
    ///
    /// What a save would fail with.
    fn check(&mut self) -> Answer<'_, ()>;
}

/// Whom a state belongs to. Tenant and component bind it; version and digest are kept beside it, and tell when a
/// component was upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The tenant, as the operator names it.
    pub tenant: String,
    /// The component's name, such as `salesforce`.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The digest of the component's file.
    pub digest: Option<String>,
}

impl Owner {
    /// An owner without a digest.
    pub fn new(tenant: impl Into<String>, component: impl Into<String>, version: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), component: component.into(), version: version.into(), digest: None }
    }

    /// With the digest of the component's file.
    #[must_use]
    pub fn with_digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = Some(digest.into());
        self
    }
}

/// A state as it was saved.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The component's text, verbatim.
    pub state: String,
    /// Grows with every save. 0 for the plain file of a host that knew no revisions.
    pub revision: u64,
    /// When it was saved; none for a plain file.
    pub saved_at: Option<SystemTime>,
    /// The version of the component that wrote it; none for a plain file.
    pub version: Option<String>,
    /// The digest of the component that wrote it.
    pub digest: Option<String>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("bytes", &self.state.len())
            .field("revision", &self.revision)
            .field("saved_at", &self.saved_at)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// An earlier state, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Past {
    /// Its revision.
    pub revision: u64,
    /// When it was saved; none if a host that knew no revisions saved it.
    pub saved_at: Option<SystemTime>,
    /// The size of its text, in bytes.
    pub bytes: usize,
    /// The version of the component that wrote it; none if a host that knew no revisions saved it.
    pub version: Option<String>,
}
