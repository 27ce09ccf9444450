//! Results that have pages left to fetch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::found::Found;
use crate::ids::Ids;

/// The result of a query, with what its further pages need to know.
#[derive(Clone)]
pub(crate) struct QueryResult {
    pub(crate) select: Vec<usize>,
    pub(crate) found: Found,
    pub(crate) page_size: usize,
    pub(crate) since: DateTime<Utc>,
    /// The token of the session that asked.
    pub(crate) session: String,
}

/// Results that have pages left to fetch.
pub(crate) struct Locators {
    ids: Ids,
    kept: TimeDelta,
    count: AtomicU64,
    results: Mutex<HashMap<String, QueryResult>>,
}

impl Locators {
    pub(crate) fn new(seed: u64, kept: TimeDelta) -> Self {
        Self { ids: Ids::new("0r8", seed), kept, count: AtomicU64::new(0), results: Mutex::default() }
    }

    /// Keeps a result and returns its locator; drops those that are too old.
    pub(crate) fn keep(&self, result: QueryResult) -> String {
        let locator = self.ids.nth_18(self.count.fetch_add(1, Ordering::SeqCst));
        let now = result.since;
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.retain(|_, kept| now - kept.since <= self.kept);
        results.insert(locator.clone(), result);
        locator
    }

    pub(crate) fn get(&self, locator: &str, now: DateTime<Utc>) -> Option<QueryResult> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.get(locator).filter(|kept| now - kept.since <= self.kept).cloned()
    }

    /// Forgets every result.
    pub(crate) fn forget(&self) {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
