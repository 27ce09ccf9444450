//! What may differ from store to store.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What may differ from store to store.
#[derive(Clone)]
pub struct Settings {
    pub(crate) history: usize,
    pub(crate) interval: Duration,
    pub(crate) patience: Duration,
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
    pub(crate) fn now(&self) -> u64 {
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
