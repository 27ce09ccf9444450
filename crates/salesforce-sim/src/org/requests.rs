//! What the org was asked and what it sent, and a way to wait for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// How many requests the log remembers; older ones are counted and forgotten.
const REMEMBERED: usize = 65_536;

/// One request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// HTTP method.
    pub method: String,
    /// Path with its query, as sent.
    pub path: String,
    /// The X-SFDC-REQUEST-ID that the client sent, by which the org's own logs would call it.
    pub request_id: Option<String>,
    /// HTTP status of the answer; 0 until there is one.
    pub status: u16,
    /// Body bytes handed to the connection so far, as encoded on the wire.
    pub body_bytes: u64,
    /// Body bytes made so far, before any content coding.
    pub decoded_bytes: u64,
    /// Whether the body was sent to its end, which a cut one never is.
    pub complete: bool,
}

/// Sums over all requests since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestTotals {
    /// Requests received.
    pub requests: u64,
    /// Body bytes handed to connections, as encoded on the wire.
    pub body_bytes: u64,
}

/// The requests that an org received, in order; the last 65,536 of them.
#[derive(Debug)]
pub struct RequestLog {
    entries: Mutex<VecDeque<Arc<Entry>>>,
    requests: AtomicU64,
    body_bytes: AtomicU64,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    method: String,
    path: String,
    request_id: Option<String>,
    status: AtomicU16,
    body_bytes: AtomicU64,
    decoded_bytes: AtomicU64,
    complete: AtomicBool,
}

impl Entry {
    /// Notes bytes made before any content coding.
    pub(crate) fn made(&self, bytes: u64) {
        self.decoded_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn record(&self) -> RequestRecord {
        RequestRecord {
            method: self.method.clone(),
            path: self.path.clone(),
            request_id: self.request_id.clone(),
            status: self.status.load(Ordering::SeqCst),
            body_bytes: self.body_bytes.load(Ordering::SeqCst),
            decoded_bytes: self.decoded_bytes.load(Ordering::SeqCst),
            complete: self.complete.load(Ordering::SeqCst),
        }
    }
}

impl Default for RequestLog {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            requests: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            changed: watch::channel(()).0,
        }
    }
}

impl RequestLog {
    /// The requests so far, oldest first.
    pub fn records(&self) -> Vec<RequestRecord> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|entry| entry.record())
            .collect()
    }

    /// Sums since the start.
    pub fn totals(&self) -> RequestTotals {
        RequestTotals {
            requests: self.requests.load(Ordering::SeqCst),
            body_bytes: self.body_bytes.load(Ordering::SeqCst),
        }
    }

    /// How many remembered requests have a path that contains `text`.
    pub fn count(&self, text: &str) -> usize {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| entry.path.contains(text)).count()
    }

    /// Waits until `n` requests whose path contains `text` have been received.
    pub async fn wait_for_requests(&self, n: usize, text: &str) {
        self.wait_until(|records| records.iter().filter(|record| record.path.contains(text)).count() >= n)
            .await;
    }

    /// Waits until `n` body bytes have been sent in answers to requests whose path contains `text`.
    pub async fn wait_for_body_bytes(&self, n: u64, text: &str) {
        self.wait_until(|records| {
            let matching = records.iter().filter(|record| record.path.contains(text));
            matching.map(|record| record.body_bytes).sum::<u64>() >= n
        })
        .await;
    }

    /// Waits until the log fulfils a condition; looks again at every change. Put a timeout around it.
    pub async fn wait_until(&self, condition: impl Fn(&[RequestRecord]) -> bool) {
        let mut changes = self.changed.subscribe();
        while !condition(&self.records()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn received(&self, method: &str, path: &str, request_id: Option<&str>) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            method: method.to_owned(),
            path: path.to_owned(),
            request_id: request_id.map(str::to_owned),
            status: AtomicU16::new(0),
            body_bytes: AtomicU64::new(0),
            decoded_bytes: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        });
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == REMEMBERED {
            entries.pop_front();
        }
        entries.push_back(Arc::clone(&entry));
        drop(entries);
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.changed.send_replace(());
        entry
    }

    pub(crate) fn answered(&self, entry: &Entry, status: u16) {
        entry.status.store(status, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    pub(crate) fn sent(&self, entry: &Entry, bytes: u64) {
        entry.body_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.body_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    pub(crate) fn completed(&self, entry: &Entry) {
        entry.complete.store(true, Ordering::SeqCst);
        self.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_when_the_nth_matching_request_arrives() {
        let log = Arc::new(RequestLog::default());
        let waiting = tokio::spawn({
            let log = Arc::clone(&log);
            async move { log.wait_for_requests(2, "/query").await }
        });
        log.received("GET", "/query?1", None);
        log.received("GET", "/other", None);
        assert_eq!(log.count("/query"), 1);
        log.received("GET", "/query?2", None);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn waiting_ends_when_enough_bytes_were_sent() {
        let log = RequestLog::default();
        let entry = log.received("GET", "/file", None);
        log.sent(&entry, 10);
        log.sent(&entry, 5);
        log.wait_for_body_bytes(15, "/file").await;
        assert_eq!(log.totals(), RequestTotals { requests: 1, body_bytes: 15 });
    }
}
