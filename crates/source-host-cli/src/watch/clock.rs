//! What time it is.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Where the time comes from, so that a test can say what time it is.
pub trait Clock: Send + Sync {
    /// Since some beginning. Never goes back, and does not jump when somebody sets the clock on the wall: no tenant looks
    /// stuck for that.
    fn now(&self) -> Duration;

    /// The time on the wall, which events bear.
    fn wall(&self) -> SystemTime;
}

/// The time of the system, or tokio's where a test has paused it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
