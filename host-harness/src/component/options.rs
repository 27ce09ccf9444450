//! How one source is run: what it may use, where it may connect to, and what its clocks show.

use std::sync::Arc;
use std::time::Duration;

use super::limits::Limits;
use crate::network::egress::Egress;
use crate::network::transport::Transport;

/// Clocks other than the system's, for tests that travel in time.
pub trait Clock: Send + Sync {
    /// What the wall clock shows: the time since 1970-01-01T00:00:00Z.
    fn now(&self) -> Duration;

    /// What the monotonic clock shows: the time since a moment that stays the same. It never goes back.
    fn elapsed(&self) -> Duration;
}

/// How one source is run.
#[derive(Clone, Default)]
pub struct Options {
    /// What it may use.
    pub limits: Limits,
    /// Where it may connect to. Nowhere by default.
    pub egress: Egress,
    /// How its requests travel. By default a new [`crate::HttpTransport`] for each source opened. Do not pass the same
    /// one to sources of different tenants.
    pub transport: Option<Arc<dyn Transport>>,
    /// The clocks it sees. By default the system's. Limits go by the system's in any case.
    pub clock: Option<Arc<dyn Clock>>,
}
