//! Collects Salesforce logs: signs in, finds what is new, reads it, makes events of it, and knows where it stands.
//!
//! The network and the clock come in through two traits ([`io::Http`], [`io::Clock`]); nothing here knows that WASM
//! exists. Data flows one way: configuration, plan, request, rows, events, batch. What a row or a record becomes is the crate
//! `documents`.
//!
//! | to read about | look into |
//! |---|---|
//! | what a poll does | `collector` |
//! | which source gets a slice when | `sources` |
//! | how a configuration is checked, and what can be configured | `schema`, `config` |
//! | signing in | `sign_in`, `org/session` |
//! | going on with another instance's sign-in | `org/session/resumption` |
//! | what an error means, and how much may be asked | `org/errors`, `org/quota` |
//! | what is asked, and how answers of several pages are read | `org/soql`, `org/pages` |
//! | how a compressed answer is read | `org/gzip` |
//! | how much one poll does, and when it tries again | `schedule` |
//! | which files are read when | `files`, `files/listing` |
//! | what happens when a file cannot be read | `files/reading` |
//! | reading one file, and finding a checkpoint in it again | `files/file` |
//! | how the windows of a LoginEvent work | `objects`, `objects/window` |
//! | what is asked for a window, and what is kept of the answer | `objects/query`, `objects/answer` |
//! | what becomes of a record | `objects/reader` |
//! | proof that an hour is complete | `receipt` |
//! | what there is to collect of a range of time | `plan` |
//! | what stands in the state, and how large it gets | `state` |
//!
//! Each of these knows only what stands below it: `about`, `problem`, `secret`; `io`, `schema`; `address`; `sign_in`; `config`; `org`;
//! `schedule`; `state`; `receipt`; `files` and `objects`; `sources` and `check`; `plan`; `collector`.
//!
//! ```
//! # use collector::Collector;
//! let mut collector = Collector::new();
//! let problems = collector.configure(r#"{"instance_url": "acme.my.salesforce.com"}"#).unwrap_err();
//! assert_eq!(problems[0].to_string(),
//!     "instance_url: 'instance_url' has no scheme (use \"https://acme.my.salesforce.com\")");
//! ```

#![deny(missing_docs)]

mod about;
mod address;
pub mod check;
mod collector;
mod config;
mod files;
pub mod io;
mod objects;
mod org;
mod plan;
pub mod problem;
mod receipt;
mod schedule;
mod schema;
pub mod secret;
mod sign_in;
mod sources;
mod state;

pub use about::{NAME, STREAMS, VERSION};
pub use collector::{Collector, Grants};
pub use schedule::batch;

/// The JSON Schema of the configuration, draft 2020-12.
pub fn config_schema() -> String {
    config::json_schema().to_string()
}
