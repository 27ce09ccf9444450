//! The daily quota: calls of the last 24 hours count against `DailyApiRequests` (REST guide, `headers_api_usage`).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

/// The calls of the last 24 hours, in buckets of a minute.
pub(crate) struct Quota {
    limit: u64,
    minutes: Mutex<VecDeque<(i64, u64)>>,
}

impl Quota {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, minutes: Mutex::default() }
    }

    /// Takes one call; none if the quota is used up.
    pub(crate) fn take(&self, now: DateTime<Utc>) -> Option<()> {
        let mut minutes = self.at(now);
        if minutes.iter().map(|(_, calls)| calls).sum::<u64>() >= self.limit {
            return None;
        }
        add(&mut minutes, now, 1);
        Some(())
    }

    /// Takes all that is left.
    pub(crate) fn exhaust(&self, now: DateTime<Utc>) {
        let left = self.limit.saturating_sub(self.used(now));
        add(&mut self.at(now), now, left);
    }

    pub(crate) fn used(&self, now: DateTime<Utc>) -> u64 {
        self.at(now).iter().map(|(_, calls)| calls).sum()
    }

    /// The value of `Sforce-Limit-Info`.
    pub(crate) fn limit_info(&self, now: DateTime<Utc>) -> String {
        format!("api-usage={}/{}", self.used(now), self.limit)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn at(&self, now: DateTime<Utc>) -> MutexGuard<'_, VecDeque<(i64, u64)>> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = minute(now) - 24 * 60;
        minutes.retain(|(minute, _)| *minute > oldest);
        minutes
    }
}

fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

fn add(minutes: &mut VecDeque<(i64, u64)>, now: DateTime<Utc>, calls: u64) {
    match minutes.back_mut() {
        Some((last, so_far)) if *last == minute(now) => *so_far += calls,
        _ => minutes.push_back((minute(now), calls)),
    }
}
