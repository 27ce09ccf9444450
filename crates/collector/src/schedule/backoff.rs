//! Waiting after failures: longer each time, never in step with others, and remembered in the state.
//!
//! Why in the state: a host that restarts in a loop would otherwise try again at once each time, and hammer an org that
//! has asked for patience.

use crate::problem::{Kind, Problem};
use documents::time::Time;
use serde::{Deserialize, Serialize};

/// The first wait, and the longest, in milliseconds.
const SHORT: (i64, i64) = (2_000, 15 * 60_000);
/// The same where somebody must act first, or an allowance must come back.
const LONG: (i64, i64) = (60_000, 60 * 60_000);
/// The longest wait for a single file that has failed for days.
const LONGEST_OF_FILE: i64 = 6 * 60 * 60_000;

/// How much of a reason is kept, in characters.
const LONGEST_REASON: usize = 160;

/// A wait that is under way.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Backoff {
    /// Failures in a row.
    pub attempts: u32,
    /// When the last failure was, on the host's clock.
    pub since: Time,
    /// When to try again, on the host's clock.
    pub until: Time,
    /// Kind of the last failure.
    pub kind: String,
    /// What the last failure was.
    pub reason: String,
}

impl Backoff {
    /// The wait after one more failure. `seed` tells apart those who fail at the same time.
    pub fn after(earlier: Option<&Self>, problem: &Problem, now: Time, seed: &str) -> Self {
        let (first, longest) = bounds(problem.kind);
        let attempts = attempts(earlier);
        Self::new(attempts, grown(first, attempts - 1, longest), problem, now, seed)
    }

    /// The same for one file that has failed for so long, in milliseconds: in the end an eighth of that.
    pub fn of_file(
        earlier: Option<&Self>,
        problem: &Problem,
        now: Time,
        seed: &str,
        failing_for: u64,
    ) -> Self {
        let (first, longest) = bounds(problem.kind);
        let longest = i64::try_from(failing_for / 8).unwrap_or(i64::MAX).clamp(longest, LONGEST_OF_FILE);
        let attempts = attempts(earlier);
        let backoff = Self::new(attempts, grown(first, attempts - 1, longest), problem, now, seed);
        // There may be many.
        Self { reason: documents::quoted(&problem.message, LONGEST_REASON / 2), ..backoff }
    }

    /// The same where so many failures are free, and cost no wait: a file may be the only one that cannot be read, and a
    /// window that is too wide is found by asking for narrower ones.
    pub fn after_free(earlier: Option<&Self>, problem: &Problem, now: Time, seed: &str, free: u32) -> Self {
        let attempts = earlier.map_or(0, |backoff| backoff.attempts).saturating_add(1);
        match attempts.checked_sub(free + 1) {
            None => Self { until: now, ..Self::new(attempts, 0, problem, now, seed) },
            Some(times) => Self::new(attempts, grown(SHORT.0, times, SHORT.1), problem, now, seed),
        }
    }

    /// The wait after so many failures.
    pub fn nth(attempts: u32, problem: &Problem, now: Time, seed: &str) -> Self {
        let (first, longest) = bounds(problem.kind);
        Self::new(attempts, grown(first, attempts.saturating_sub(1), longest), problem, now, seed)
    }

    /// Whether the last failure cost no wait.
    pub fn is_free(&self) -> bool {
        self.until <= self.since
    }

    fn new(attempts: u32, full: i64, problem: &Problem, now: Time, seed: &str) -> Self {
        let asked = problem.retry_after_ms.map_or(0, i64::from);
        // Between three quarters and the whole of it.
        let digest = blake3::hash(format!("{seed}\0{attempts}\0{}", now.0).as_bytes());
        let jitter = i64::from(digest.as_bytes()[0]) * full / 4 / 255;
        Self {
            attempts,
            since: now,
            until: Time(now.0.saturating_add((full - jitter).max(asked))),
            kind: problem.kind.name().to_owned(),
            reason: documents::quoted(&problem.message, LONGEST_REASON),
        }
    }

    /// Whether what it waits for passes by itself.
    pub fn passes(&self) -> bool {
        let kind = Kind::from_name(&self.kind);
        !matches!(kind, Some(Kind::Config | Kind::Auth | Kind::Permission))
    }

    /// Milliseconds still to wait. Nothing if the clock went back behind the failure: it cannot tell any more.
    pub fn remaining(&self, now: Time) -> i64 {
        if now < self.since { 0 } else { self.until.0.saturating_sub(now.0).max(0) }
    }
}

/// The number of the next attempt. Those that were free do not make it wait longer.
fn attempts(earlier: Option<&Backoff>) -> u32 {
    earlier.filter(|backoff| !backoff.is_free()).map_or(0, |backoff| backoff.attempts).saturating_add(1)
}

/// The first wait and the longest one for a kind of failure.
fn bounds(kind: Kind) -> (i64, i64) {
    match kind {
        Kind::Transient | Kind::Internal | Kind::State => SHORT,
        Kind::Data => (SHORT.0, LONG.1),
        Kind::Auth | Kind::Config | Kind::Permission | Kind::RateLimited => LONG,
    }
}

/// A wait that was doubled so many times.
fn grown(first: i64, times: u32, longest: i64) -> i64 {
    first.saturating_mul(1 << times.min(30)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(kind: Kind, seed: &str) -> Vec<i64> {
        let problem = Problem::new(kind, "x");
        let mut backoff = None;
        (0..12)
            .map(|_| {
                let next = Backoff::after(backoff.as_ref(), &problem, Time(0), seed);
                let wait = next.remaining(Time(0));
                backoff = Some(next);
                wait
            })
            .collect()
    }

    #[test]
    fn waits_grow_up_to_a_bound_and_differ_between_tenants() {
        let one = waits(Kind::Transient, "a");
        assert!((1500..=2000).contains(&one[0]), "{one:?}");
        assert!(one.windows(2).take(5).all(|pair| pair[1] > pair[0]), "{one:?}");
        assert!(one.iter().all(|wait| *wait <= 900_000), "{one:?}");
        assert_eq!(one, waits(Kind::Transient, "a"));
        assert_ne!(one, waits(Kind::Transient, "b"));
        assert!(waits(Kind::RateLimited, "a")[0] >= 45_000);
    }

    #[test]
    fn a_clock_that_went_back_ends_a_wait() {
        let backoff = Backoff::after(None, &Problem::new(Kind::Transient, "x"), Time(1_000_000), "a");
        assert!(backoff.remaining(Time(1_000_000)) > 0);
        assert_eq!(backoff.remaining(Time(999_999)), 0);
    }

    #[test]
    fn what_the_service_asks_for_is_waited_at_least() {
        let problem = Problem::new(Kind::RateLimited, "x").retry_after_ms(7_200_000);
        assert_eq!(Backoff::after(None, &problem, Time(5), "a").remaining(Time(5)), 7_200_000);
    }

    #[test]
    fn what_somebody_must_mend_does_not_pass_by_itself() {
        for (kind, passes) in [
            (Kind::Transient, true),
            (Kind::RateLimited, true),
            (Kind::Data, true),
            (Kind::Config, false),
            (Kind::Auth, false),
            (Kind::Permission, false),
        ] {
            assert_eq!(
                Backoff::after(None, &Problem::new(kind, "x"), Time(0), "x").passes(),
                passes,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn so_many_failures_are_free_and_then_waits_double() {
        let problem = Problem::new(Kind::Transient, "x").retry_after_ms(100);
        let mut backoff = None;
        let waits: Vec<i64> = (0..5)
            .map(|_| {
                let next = Backoff::after_free(backoff.as_ref(), &problem, Time(0), "x", 2);
                let wait = next.remaining(Time(0));
                backoff = Some(next);
                wait
            })
            .collect();
        assert_eq!(waits[..2], [0, 0], "whatever the service asks for");
        for (wait, full) in waits[2..].iter().zip([2000, 4000, 8000]) {
            assert!((full * 3 / 4..=full).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn a_file_that_failed_for_days_is_asked_for_once_in_an_eighth_of_them() {
        let problem = Problem::new(Kind::Transient, "y".repeat(400));
        let hour = 3_600_000;
        let waits = |failing_for: i64| {
            let mut backoff: Option<Backoff> = None;
            for _ in 0..20 {
                let earlier = backoff.as_ref();
                backoff = Some(Backoff::of_file(earlier, &problem, Time(0), "x", failing_for.unsigned_abs()));
            }
            backoff.expect("a wait")
        };
        for (failing_for, full) in [(0, hour / 4), (8 * hour, hour), (1000 * hour, 6 * hour)] {
            let wait = waits(failing_for).remaining(Time(0));
            assert!((full * 3 / 4..=full).contains(&wait), "{wait} after {failing_for}");
        }
        let first = Backoff::of_file(None, &problem, Time(0), "x", 0);
        assert!((1500..=2000).contains(&first.remaining(Time(0))), "{first:?}");
        assert!(first.reason.starts_with("yyy"), "{first:?}");
        assert!(first.reason.chars().count() <= LONGEST_REASON / 2 + 3, "{}", first.reason);
    }
}
