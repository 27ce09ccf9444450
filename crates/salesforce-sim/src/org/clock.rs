//! The org's own clock, which is not the host's.
//!
//! Everything an org dates (`Date` header, `issued_at`, the check of `exp`, which files are visible yet) follows this
//! clock, so a test can skew it against the host's and move it without waiting.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that runs with the host's or stands still, plus an offset that can be moved.
#[derive(Debug)]
pub struct Clock {
    /// Milliseconds since the epoch where the clock stands still; none while it follows the host.
    fixed: Option<i64>,
    offset: AtomicI64,
}

impl Clock {
    /// A clock that follows the host's or, given a time, stands still at it; in either case ahead by `skew` (behind, if
    /// negative).
    pub fn new(fixed_at: Option<DateTime<Utc>>, skew: TimeDelta) -> Self {
        Self {
            fixed: fixed_at.map(|at| at.timestamp_millis()),
            offset: AtomicI64::new(skew.num_milliseconds()),
        }
    }

    /// The org's time now, in whole milliseconds.
    pub fn now(&self) -> DateTime<Utc> {
        let base = self.fixed.unwrap_or_else(|| Utc::now().timestamp_millis());
        let millis = base.saturating_add(self.offset.load(Ordering::SeqCst));
        DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Moves the clock by `delta`, back if it is negative.
    pub fn advance(&self, delta: TimeDelta) {
        self.offset.fetch_add(delta.num_milliseconds(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_advanced() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = Clock::new(Some(at), TimeDelta::zero());
        assert_eq!(clock.now(), at);
        clock.advance(TimeDelta::hours(2));
        assert_eq!(clock.now(), at + TimeDelta::hours(2));
        clock.advance(TimeDelta::hours(-3));
        assert_eq!(clock.now(), at - TimeDelta::hours(1));
    }

    #[test]
    fn a_skewed_clock_is_ahead_of_the_hosts() {
        let before = Utc::now();
        assert!(Clock::new(None, TimeDelta::minutes(5)).now() >= before + TimeDelta::minutes(4));
    }
}
