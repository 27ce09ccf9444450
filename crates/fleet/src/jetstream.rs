//! The engine that many hosts share: NATS JetStream, which has the queue, the leases, the timers and the compare-and-set that a
//! fleet needs, so that none of them is made here.
//!
//! | what | where it lies |
//! |---|---|
//! | who is to be polled now | a work queue, one message at most for each tenant; a newer one takes the place of an older |
//! | who is to be polled later | the same stream, as message schedules; what fires takes the place of what waits |
//! | how far a tenant has come | a bucket, whose revisions fence |
//! | its events | a stream with a subject for each tenant; a full subject refuses, and keeps no other from going on |
//! | who there is, and how it is configured | a bucket, see [`Tenants`] |
//!
//! Why schedules and not a negative acknowledgement with a delay: one that is delayed counts as under way, and the server hands out
//! no more than `max_ack_pending` of these. Why the newest job of a tenant takes the place of the one that waits, where a full
//! subject could refuse it: a schedule that fires while the last job is still being acknowledged would be lost, and the tenant
//! forgotten.

mod bucket;
mod clock;
mod components;
mod engine;
mod errors;
mod layout;
mod queue;
mod roster;
mod tenants;

pub use components::{Components, NotLoaded};
pub use engine::{JetStream, JobLease};
pub use layout::{Layout, OLDEST_SERVER};
pub use queue::{Depth, Progress, Standing, Swept};
pub use roster::{Presence, Roster, Trouble};
pub use tenants::{Record, Tenants, TimeRange};

pub use async_nats::Client;
