//! What the program `source-host` is made of: from a configuration file to events that are safe.
//!
//! - [`config`] is the configuration file, [`schema`] the JSON Schema of it.
//! - [`Runner`] is the loop: it polls, delivers to a [`Sink`], saves to a [`StateStore`], waits out errors and starts
//!   crashed components again.
//!
//! | to read about | look into |
//! |---|---|
//! | the configuration file, its schema, and secrets in it | `config`, `schema`, `secrets` |
//! | the loop, and how a run ends | `run/runner`, `run/ending` |
//! | where events and states go | `run/sink`, `run/state` |
//! | metrics, health, and the audit trail | `watch` |
//! | the program's flags and commands | `bin/source-host` |
//!
//! Each of these knows only what stands below it: `units`, `secrets`, `schema`, `watch`; `config` and `run`; the program.

#![deny(missing_docs)]

pub mod config;
mod run;
pub mod schema;
mod secrets;
mod units;
pub mod watch;

pub use run::ending::{End, Finished, RunError};
pub use run::pollable::{Configured, Pollable};
pub use run::report::{Progress, Report};
pub use run::runner::{Policy, Runner, Stopper};
pub use run::sink::{Delivery, EventFile, Lines, Sink, SinkError};
pub use run::state::{StateError, StateFile, StateStore};
pub use secrets::Secret;
pub use units::{parse_size, parse_time};
