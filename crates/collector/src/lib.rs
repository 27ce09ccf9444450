//! Collects Salesforce logs: signs in, finds what is new, reads it, makes events of it, and knows where it stands.
//!
//! The network and the clock come in through two traits ([`io::Http`], [`io::Clock`]); nothing here knows that WASM
//! exists. Data flows one way: configuration, plan, request, rows, events, batch.
//!
//! | to read about | look into |
//! |---|---|
//! | what a poll does | `collector` |
//! | which source has its turn when | `turns` |
//! | which files are read when | `files`, `listing` |
//! | what happens when a file cannot be read | `reading` |
//! | reading one file, and finding a place in it again | `file`, `gzip`, `rows` |
//! | how the windows of a LoginEvent work | `objects`, `pages` |
//! | what becomes of a record, and of a damaged one | `reader`, `record`, `scan` |
//! | what stands in the state, and how large it gets | `state` |
//! | what an event looks like | `ecs`, `event_id` |
//! | which fields there are, for documentation and index templates | [`fields`] |
//! | writing it fast | `json`, `buffer` |
//! | signing in | `flows`, `key`, `encrypted_key`, `session` |
//! | what an error means, and how much may be asked | `errors`, `quota` |
//!
//! ```
//! # use collector::Collector;
//! let mut collector = Collector::new();
//! let problems = collector.configure(r#"{"instance_url": "acme.my.salesforce.com"}"#).unwrap_err();
//! assert_eq!(problems[0].to_string(),
//!     "instance_url: 'instance_url' has no scheme (use \"https://acme.my.salesforce.com\")");
//! ```

#![deny(missing_docs)]

mod backoff;
pub mod batch;
mod buffer;
pub mod check;
mod collector;
mod config;
mod ecs;
mod encrypted_key;
mod errors;
mod event_id;
pub mod fields;
mod file;
mod files;
mod flows;
mod gzip;
pub mod io;
mod json;
mod key;
mod listing;
mod objects;
mod origin;
mod pages;
pub mod problem;
mod quota;
mod reader;
mod reading;
mod record;
mod rows;
mod scan;
pub mod secret;
mod session;
mod soql;
mod state;
mod time;
mod turn;
mod turns;

pub use collector::{Collector, Grants};

/// Name of the source.
pub const NAME: &str = "salesforce-source";
/// Version of the source.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The streams it can emit: name, and what their events are.
pub const STREAMS: &[(&str, &str)] = &[
    ("login", "Logins, successful and failed, from event log files and from LoginEvent."),
    ("logout", "Logouts, from event log files and from LogoutEvent."),
    ("apex", "Callouts, executions, REST and SOAP calls and triggers of Apex code, from event log files."),
    ("setupaudittrail", "Changes made in Setup, from SetupAuditTrail."),
];

/// The JSON Schema of the configuration, draft 2020-12.
pub fn config_schema() -> String {
    config::json_schema().to_string()
}
