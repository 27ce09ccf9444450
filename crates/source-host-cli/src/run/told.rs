//! What metrics are told of a pipeline.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use event_output::OutputError;
use source_host::{Batch, Error};
use state_store::StateError;

use super::watcher::Watcher;
use crate::watch::{Delivered, TenantMetrics};

/// What the metrics of a tenant are told of its pipeline.
#[derive(Debug)]
pub struct Told(Arc<TenantMetrics>);

impl Told {
    /// Tells these.
    pub fn new(metrics: Arc<TenantMetrics>) -> Self {
        Self(metrics)
    }
}

impl Watcher for Told {
    fn polled(&self, batch: &Batch, took: Duration) {
        self.0.polled(batch, took);
    }

    fn poll_failed(&self, error: &Error) {
        self.0.poll_failed(error);
    }

    fn delivered(&self, delivered: &event_output::Delivered, events: &[String], took: Duration) {
        self.0.delivered(&delivery(delivered, events, took));
    }

    fn output_failed(&self, _: &OutputError) {
        self.0.output_failed();
    }

    fn saved(&self, bytes: usize) {
        self.0.saved(bytes as u64);
    }

    fn save_failed(&self, _: &StateError) {
        self.0.save_failed();
    }
}

/// What the metrics are told of a backfill: what it delivers and what fails. How old its events are says nothing of how far the
/// collection is behind, and so does what is left of it.
pub(crate) struct Backfilled(Arc<TenantMetrics>);

impl Backfilled {
    pub(crate) fn new(metrics: Arc<TenantMetrics>) -> Self {
        Self(metrics)
    }
}

impl Watcher for Backfilled {
    fn delivered(&self, delivered: &event_output::Delivered, events: &[String], took: Duration) {
        self.0.delivered(&Delivered { oldest: None, newest: None, ..delivery(delivered, events, took) });
    }

    fn output_failed(&self, _: &OutputError) {
        self.0.output_failed();
    }
}

fn delivery(delivered: &event_output::Delivered, events: &[String], took: Duration) -> Delivered {
    // They come in the order of their files and windows: the first and the last are about as old as it gets.
    let mut times = [events.first(), events.last()].map(|event| event.and_then(|event| time_of(event)));
    times.sort();
    let [oldest, newest] = times;
    Delivered {
        events: events.len() as u64 - delivered.set_aside.min(events.len() as u64),
        bytes: events.iter().map(|event| event.len() as u64).sum(),
        set_aside: delivered.set_aside,
        oldest,
        newest,
        took,
    }
}

/// When an event happened: its `@timestamp`, or the `time` of OCSF, in milliseconds since 1970, that stands before all that a
/// row can say.
fn time_of(event: &str) -> Option<SystemTime> {
    if let Some((_, rest)) = event.split_once("\"@timestamp\":\"") {
        let (text, _) = rest.split_once('"')?;
        return chrono::DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from);
    }
    let (_, rest) = event.split_once("\"time\":")?;
    let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(digits.parse().ok()?))
}
