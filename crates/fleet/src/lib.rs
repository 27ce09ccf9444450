//! Many hosts that poll the sources of many tenants.
//!
//! - [`Engine`] is what a fleet needs of a system that its workers share: four verbs.
//! - [`Worker`] takes a job, polls its tenant's source, commits what came, and has the engine wake the tenant again.
//! - [`JetStream`] is the engine that many hosts share, [`Memory`] one in this process, for tests.
//!
//! The order is the whole point: events are published, then the checkpoint is replaced if it is still the one that the poll
//! began with, then the job is done with. A lease keeps two workers from polling the same tenant for nothing; it fences
//! nobody, since whoever was stopped for longer than its lease does not know. What fences is the revision of the checkpoint.
//!
//! Nothing here knows what a source is made of: the program that hosts components brings [`Sources`].
//!
//! Each of these knows only what stands below it: `job`; `engine`; `ledger`; `memory`, `jetstream`, `worker`; `conformance`.

#![deny(missing_docs)]

#[cfg(feature = "conformance")]
#[expect(clippy::expect_used, reason = "a suite for tests, which fails by panicking")]
pub mod conformance;
mod engine;
mod jetstream;
mod job;
mod ledger;
mod memory;
mod worker;

pub use engine::{CommitError, Engine, EngineError};
pub use jetstream::{
    Client, Components, Depth, JetStream, JobLease, Layout, NotLoaded, OLDEST_SERVER, Presence, Progress,
    Record, Roster, Standing, Swept, Tenants, TimeRange, Trouble,
};
pub use job::{Checkpoint, Event, Job, Revision, Wake};
pub use ledger::{Ledger, Refusal, replace};
pub use memory::{Fault, Lease, Memory, Moment, Stored};
pub use worker::{Done, PollError, Polled, Settings, Source, Sources, Worker};
