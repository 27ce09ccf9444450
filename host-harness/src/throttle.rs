//! How many lines of the log somebody else may cause.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Lets so many lines a minute through and counts the rest, so that nobody fills a disk with what he is refused.
///
/// ```
/// let mut throttle = source_host::Throttle::per_minute(2);
/// assert_eq!([throttle.admit(), throttle.admit(), throttle.admit()], [Some(0), Some(0), None]);
/// ```
#[derive(Debug)]
pub struct Throttle {
    per_minute: u32,
    since: Instant,
    admitted: u32,
    suppressed: u64,
}

impl Throttle {
    /// So many lines in each minute.
    pub fn per_minute(lines: u32) -> Self {
        Self { per_minute: lines, since: Instant::now(), admitted: 0, suppressed: 0 }
    }

    /// Whether there may be a line now, and then how many were suppressed since the last one.
    pub fn admit(&mut self) -> Option<u64> {
        if self.since.elapsed() >= MINUTE {
            self.since = Instant::now();
            self.admitted = 0;
        }
        if self.admitted >= self.per_minute {
            self.suppressed += 1;
            return None;
        }
        self.admitted += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_suppressed_in_one_minute_is_told_in_the_next() {
        let mut throttle = Throttle::per_minute(1);
        assert_eq!(throttle.admit(), Some(0));
        for _ in 0..1_000 {
            assert_eq!(throttle.admit(), None);
        }
        tokio::time::advance(MINUTE).await;
        assert_eq!(throttle.admit(), Some(1_000));
        assert_eq!(throttle.admit(), None);
    }
}
