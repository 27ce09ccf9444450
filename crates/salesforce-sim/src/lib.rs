//! A simulated Salesforce org: the ground that tests of a log collector stand on.
//!
//! It speaks real HTTP, verifies real JWT signatures, parses SOQL for real and refuses what Salesforce refuses. Its event
//! log files are seeded and made while they are sent, so a file of any size costs no memory; its clock is moved by hand;
//! and it knows the exact set of event ids that a complete collection delivers ([`Org::truth`]).
//!
//! ```
//! use salesforce_sim::{Interval, OrgSettings, Rows, Simulator, Workload, generate_key};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = generate_key()?; // give key.pkcs8_pem()? to the client
//! let simulator = Simulator::start(OrgSettings {
//!     public_key: Some(key.public_key()?),
//!     workload: Workload { hours: 3, rows: Rows::Total(1_000), ..Workload::default() },
//!     ..OrgSettings::default()
//! })
//! .await?;
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(simulator.org().truth(Interval::Hourly).count(), 1_000);
//! # Ok(())
//! # }
//! ```
//!
//! Tests that need no HTTP ask an [`OfflineOrg`] instead, in their own thread and without waiting for anything.
//!
//! A request passes `server` (HTTP) or `offline`, `reply` (planned faults, the request log, content coding), `rest` (session,
//! version, path) and one of `oauth`, `query` and `download`. Each module says which page of Salesforce's documentation it follows.

mod answer;
mod body;
mod clock;
mod control;
mod cost;
mod damage;
mod download;
mod event_log_file;
mod event_types;
mod faults;
mod ids;
mod keys;
mod login_rows;
mod oauth;
mod objects;
mod oddities;
mod offline;
mod org;
mod people;
mod prng;
mod query;
mod reply;
mod requests;
mod rest;
mod schema;
mod server;
mod sessions;
mod settings;
mod sobjects;
mod soql;
mod truth;
mod userinfo;

pub use clock::Clock;
pub use cost::Failure;
pub use damage::{Damage, DamagedRecord, DamagedRecords, Which};
pub use event_log_file::{EventLogFile, Interval};
pub use faults::{Fault, FaultAction, FaultRule, PlanMistakes, PlannedFault, QueriesOf, Total};
pub use keys::{KeyError, PrivateKey, PublicKey, generate_key};
pub use objects::StoredObject;
pub use oddities::{Doubles, EmptyFiles, FileEnd, LateRecords, LocatorRefusal, Oddities};
pub use offline::{OfflineAnswer, OfflineOrg, Unanswered};
pub use org::Org;
pub use requests::{RequestLog, RequestRecord, RequestTotals};
pub use server::Simulator;
pub use settings::{Crowd, Files, Objects, Obstacle, OrgSettings, Rows, SessionRefusal, Workload};
pub use truth::{EventId, TrueEvent, Truth, event_id};

/// The names of all event types that an org can have files of.
pub fn event_types() -> Vec<&'static str> {
    let others = event_types::all().into_iter().map(|event_type| event_type.name);
    ["Login", "Logout"].into_iter().chain(others).collect()
}
