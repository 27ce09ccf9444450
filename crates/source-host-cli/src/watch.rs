//! What a host of many tenants shows of itself: metrics, health, and an audit trail.
//!
//! [`Metrics`] counts, [`Health`] judges what was counted, [`Server`] answers `/metrics`, `/healthz` and `/readyz`, [`Audit`]
//! writes one line for each request. None of them can hold up a poll: counting is an atomic addition, and an audit line that
//! does not fit is dropped and counted.
//!
//! | to read about | look into |
//! |---|---|
//! | what time it is, and how a test says so | `clock` |
//! | every metric: its name, its meaning, its words | `families` |
//! | what a loop has to tell of a tenant | `tenant` |
//! | all tenants together, and a scrape | `metrics` |
//! | when a tenant is stuck, and when the host is ready | `health` |
//! | one line for each request | `audit` |
//! | the three addresses | `server` |
//!
//! The metrics are listed in `docs/metrics.md`, the rules that watch them stand in `docs/alerts.yml`.

mod audit;
mod clock;
mod families;
mod health;
mod metrics;
mod observers;
mod server;
mod tenant;

pub use audit::{Audit, TenantAudit};
pub use clock::{Clock, SystemClock};
pub use health::{Health, Report, Stuck, Thresholds};
pub use metrics::{Metrics, Queue};
pub use observers::Observers;
pub use server::{Server, ServerError, ServerLimits};
pub use tenant::{Delivered, TenantMetrics};
