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
//! A request passes `serving/server` (HTTP) or `serving/offline`, `serving/reply` (planned faults, the request log,
//! content coding), `rest` (session, version, path) and one of the modules in it. What is odd about answers stands in
//! `oddities` (for good) and `faults` (by plan). Each module says which page of Salesforce's documentation it follows.
//!
//! | to read about | look into |
//! |---|---|
//! | what can be set about an org | `settings`, `oddities` |
//! | what a planned fault can do, when, and how a plan is written | `faults` |
//! | records that come damaged, and queries that cost too much | `faults/damage`, `faults/cost` |
//! | which SOQL is understood, and what is refused of the rest | `soql` |
//! | which objects and fields there are | `objects` |
//! | the columns of event log files, and what stands in them | `rows` |
//! | which files there are, and when | `event_log_file` |
//! | attacks that an org can have suffered | `attacks` |
//! | the records of objects, and which of them a query selects | `records`, `records/rules` |
//! | how a record stands in an answer | `json` |
//! | users and profiles | `people` |
//! | what a complete collection delivers | `event_id`, `event_log_file/truth` |
//! | results that have pages left to fetch | `results` |
//! | the clock, sessions, the quota, the log of requests | `org` |
//! | signing in | `rest/oauth` |
//! | what a query, or another call, is answered with | `rest/query`, `rest` |
//! | downloads, and bodies that are cut, dripped or stalled | `serving/download`, `serving/body` |
//! | what another process may see and do | `serving/control` |
//!
//! Each of these knows only what stands below it: `prng`, `keys`, `event_id`; `ids`; `rows` and `soql`; `objects`; `people`
//! and `faults`; `json`; `oddities`; `attacks`; `settings`; `event_log_file`; `records`; `results`; `org`; `rest`; `serving`. In a
//! folder, no file knows the one that the folder is named after.

mod attacks;
mod event_id;
mod event_log_file;
mod faults;
mod ids;
mod json;
mod keys;
mod objects;
mod oddities;
mod org;
mod people;
mod prng;
mod records;
mod rest;
mod results;
mod rows;
mod serving;
mod settings;
mod soql;

pub use attacks::Attack;
pub use event_id::{EventId, event_id};
pub use event_log_file::{EventLogFile, Interval, TrueEvent, Truth};
pub use faults::cost::Failure;
pub use faults::damage::{Damage, DamagedRecord, DamagedRecords, Which};
pub use faults::{Fault, FaultAction, FaultRule, PlanMistakes, PlannedFault, QueriesOf, Total};
pub use json::value::Doubles;
pub use keys::{KeyError, PrivateKey, PublicKey, generate_key};
pub use objects::stored::StoredObject;
pub use oddities::{EmptyFiles, FileEnd, LateRecords, LocatorRefusal, Oddities};
pub use org::Org;
pub use org::clock::Clock;
pub use org::requests::{RequestLog, RequestRecord, RequestTotals};
pub use rows::schema::{event_types, event_types_of_attacks};
pub use serving::offline::{OfflineAnswer, OfflineOrg, Unanswered};
pub use serving::server::Simulator;
pub use settings::{Crowd, Files, Objects, Obstacle, OrgSettings, Rows, SessionRefusal, Workload};
