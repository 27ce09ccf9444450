//! One observer that tells several.

use std::fmt;
use std::sync::Arc;

use source_host::{CallRecord, Observer, RequestRecord};

/// Tells several observers, in order: a source takes one.
#[derive(Clone, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// One that tells those.
    pub fn new(observers: impl IntoIterator<Item = Arc<dyn Observer>>) -> Self {
        Self(observers.into_iter().collect())
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.0.len())
    }
}

impl Observer for Observers {
    fn request(&self, request: &RequestRecord<'_>) {
        self.0.iter().for_each(|observer| observer.request(request));
    }

    fn call(&self, call: &CallRecord) {
        self.0.iter().for_each(|observer| observer.call(call));
    }

    fn limit(&self, limit: &'static str) {
        self.0.iter().for_each(|observer| observer.limit(limit));
    }
}
