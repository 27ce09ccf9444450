//! Where the states of sources lie between runs.
//!
//! A state decides what is collected next: a lost one means everything again, an older one means duplicates, and one of
//! another tenant, or a broken one, means a gap. So every store promises the same, and [`conformance`] asks it of each:
//!
//! - A state is replaced as a whole or not at all, and is on the disk when [`StateStore::save`] returns.
//! - Whoever saves says which revision it continues. If another host has saved meanwhile, that is a conflict and nothing
//!   is overwritten.
//! - A state belongs to one tenant and one component. What was saved for another is refused and left as it is.
//! - What the next start would refuse is refused when it is saved: an empty state, and one larger than
//!   [`LARGEST_STATE`]. A component cannot lock itself out.
//! - A few earlier states are kept, so that a component that is put back to an older version gets a state it can read.
//! - Errors say in words what to do. Neither they nor any `Debug` show a state's content.
//!
//! | store | for | a second host |
//! |---|---|---|
//! | [`StateFile`] | one source, one file | is refused at the start |
//! | [`Database`] | many tenants in one file | works on other tenants; on the same one it gets conflicts |
//! | [`Memory`] | tests | as with the database |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("state.json");
//! use state_store::{Owner, Settings, StateFile, StateStore};
//!
//! let owner = Owner::new("acme", "salesforce", "1.4.0");
//! let mut store = StateFile::open(&path, owner, Settings::default())?;
//! let stored = store.load().await?;
//! let mut revision = stored.as_ref().map(|stored| stored.revision);
//! // Poll with the state, deliver the events, and only then:
//! revision = Some(store.save("{\"cursor\": 17}", revision).await?);
//! # assert_eq!(revision, Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # Why SQLite and not redb
//!
//! Both were tried with 10,000 tenants; the figures stand in the README. What decided is that several processes must work
//! on one database: redb locks its file for one process (a second `open` is refused), so neither `check` nor an upgrade
//! that overlaps with the old host would work. SQLite is also what an operator can read, back up while it runs and repair
//! with tools that every system has. Its price is C code to compile, which `ring` asks of this repository already.

pub mod conformance;
mod database;
mod disk;
mod envelope;
mod error;
mod file;
mod memory;
mod rules;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use database::{Database, TenantState};
pub use error::{Bound, StateError};
pub use file::StateFile;
pub use memory::{Memory, MemoryState};

/// The largest state, in bytes: what the contract of components allows.
pub const LARGEST_STATE: usize = 1 << 20;

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
    /// has room for the largest state. Changes nothing.
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

/// What may differ from store to store.
#[derive(Clone)]
pub struct Settings {
    history: usize,
    interval: Duration,
    patience: Duration,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Default for Settings {
    /// Five earlier states, at most one an hour; five seconds of patience; the clock of the system.
    fn default() -> Self {
        Self {
            history: 5,
            interval: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(5),
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl Settings {
    /// How many earlier states are kept; 0 for none. The last one that another version of the component wrote is always
    /// among them, so that it outlives the hours after an upgrade.
    #[must_use]
    pub fn history(mut self, states: usize) -> Self {
        self.history = states;
        self
    }

    /// How far apart earlier states are at least, as long as the component's version stays the same. A backfill saves
    /// every few seconds, and five states of the last half minute help nobody.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long a database waits while another process writes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What tells the time.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Milliseconds since 1970.
    fn now(&self) -> u64 {
        let since = (self.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("history", &self.history)
            .field("interval", &self.interval)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
