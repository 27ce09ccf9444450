//! The host's clocks.

use crate::bindings::clocks::{monotonic_clock, wall_clock};
use std::time::Duration;

/// The host's clocks.
pub(crate) struct Clock;

impl collector::io::Clock for Clock {
    fn now_ms(&self) -> i64 {
        let now = wall_clock::now();
        i64::try_from(now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)).unwrap_or(i64::MAX)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }
}
