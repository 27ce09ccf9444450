//! The host's clocks.

use crate::bindings::clocks::{monotonic_clock, system_clock};
use std::time::Duration;

/// The host's clocks.
pub(crate) struct Clock;

impl collector::io::Clock for Clock {
    fn now_ms(&self) -> i64 {
        let now = system_clock::now();
        now.seconds.saturating_mul(1000).saturating_add(i64::from(now.nanoseconds / 1_000_000))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }
}
