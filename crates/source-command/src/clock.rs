//! The two clocks of WASI.

use crate::bindings::wasi::clocks0_2_0::{monotonic_clock, wall_clock};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The time of day.
pub(crate) fn now() -> DateTime<Utc> {
    let now = wall_clock::now();
    let seconds = i64::try_from(now.seconds).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, now.nanoseconds).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Time that goes on evenly, from some moment in the past.
pub(crate) fn elapsed() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

/// Waits.
pub(crate) fn sleep(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    monotonic_clock::subscribe_duration(nanoseconds).block();
}
