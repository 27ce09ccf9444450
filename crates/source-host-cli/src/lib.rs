//! What the program `source-host` is made of: from a configuration file to events that are safe.
//!
//! - [`config`] is the configuration file, [`schema`] the JSON Schema of it.
//! - [`Pipeline`] is a source, where its events go and where its state lies: it polls, delivers, saves, waits out errors and
//!   starts crashed components again. [`Runner`] is the loop around one, [`serve`] what runs those of a folder.
//!
//! | to read about | look into |
//! |---|---|
//! | the configuration file, its schema, and secrets in it | `config`, `schema`, `secrets` |
//! | one step of a pipeline, and how a run ends | `run/pipeline`, `run/ending` |
//! | many tenants in one process | `serve` |
//! | one of many hosts that share their tenants | `fleet` |
//! | metrics, health, and the audit trail | `watch` |
//! | the program's flags and commands | `bin/source-host` |
//!
//! Where events go is in the crate `event-output`, where states lie in `state-store`.
//!
//! Each of these knows only what stands below it: `units`, `secrets`, `watch`; `config`; `schema` and `run`; `serve` and `fleet`; the program.

#![deny(missing_docs)]

pub mod config;
pub mod fleet;
mod run;
pub mod schema;
mod secrets;
pub mod serve;
mod units;
pub mod watch;

pub use run::ending::{End, Finished, RunError};
pub use run::opinion::{everything_wrong, in_source, whom_to_ask};
pub use run::pipeline::{HeldEvents, Next, Pipeline, Policy};
pub use run::pollable::{Configured, Pollable};
pub use run::report::{Progress, Report};
pub use run::runner::{Reopener, Runner, Stopper};
pub use run::told::Told;
pub use run::watcher::Watcher;
pub use secrets::Secret;
pub use units::{parse_instant, parse_size, parse_time};
