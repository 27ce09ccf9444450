//! Who is told what a pipeline does: for metrics and for health.

use std::time::Duration;

use event_output::{Delivered, OutputError};
use source_host::{Batch, Error};
use state_store::StateError;

/// Is told what a pipeline does. Each method returns at once and does not block.
pub trait Watcher: Send + Sync {
    /// A poll has brought a batch.
    fn polled(&self, batch: &Batch, took: Duration) {
        let _ = (batch, took);
    }

    /// A poll has brought none: the source could do nothing at all, or the component failed, or no new instance of it could
    /// be opened.
    fn poll_failed(&self, error: &Error) {
        let _ = error;
    }

    /// These events are safe.
    fn delivered(&self, delivered: &Delivered, events: &[String], took: Duration) {
        let _ = (delivered, events, took);
    }

    /// The output has not taken everything. What it took all the same was told as delivered.
    fn output_failed(&self, error: &OutputError) {
        let _ = error;
    }

    /// A state of so many bytes is stored.
    fn saved(&self, bytes: usize) {
        let _ = bytes;
    }

    /// A state could not be stored, and is tried again.
    fn save_failed(&self, error: &StateError) {
        let _ = error;
    }
}
