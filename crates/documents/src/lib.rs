//! What a row of a Salesforce event log file, or a record of an object, becomes: a document in the Elastic Common Schema, or one
//! of the Open Cybersecurity Schema Framework.
//!
//! Bytes go in and documents come out. No request, no clock, no state: the same bytes give the same documents.
//!
//! ```
//! use documents::{Common, EventLogFile, Mapper, Origin, Output, csv::{Next, Rows}, time::Time};
//!
//! let content = "\"EVENT_TYPE\",\"TIMESTAMP_DERIVED\",\"USER_NAME\"\n\"Login\",\"2026-06-01T10:15:30.123Z\",\"anna@acme.com\"\n";
//! let file = EventLogFile {
//!     id: "0AT5j00000AbCdEGAV".into(),
//!     event_type: "Login".into(),
//!     created: Time::parse("2026-06-01T13:00:00Z").unwrap(),
//!     log_date: Time::parse("2026-06-01T10:00:00Z").unwrap(),
//!     length: content.len() as u64,
//!     interval: "Hourly".into(),
//!     sequence: 1,
//!     api_version: "65.0".into(),
//! };
//! let common = Common {
//!     stream: "login",
//!     instance_url: "https://acme.my.salesforce.com",
//!     since: file.log_date,
//!     output: Output::default(),
//!     origin: Origin::File(&file),
//! };
//!
//! let mut rows = Rows::new(content.as_bytes(), 0);
//! assert_eq!(rows.advance_while(|| true)?, Next::Row);
//! let columns = (0..rows.width()).map(|index| String::from_utf8_lossy(rows.field(index)).into_owned()).collect();
//! let mut mapper = Mapper::new(&common, columns);
//! while rows.advance_while(|| true)? == Next::Row {
//!     mapper.add(rows.fields());
//! }
//! let mut events = Vec::new();
//! mapper.take(&mut events);
//! assert!(events[0].starts_with(r#"{"@timestamp":"2026-06-01T10:15:30.123Z","ecs":{"version":"8.11.0"},"#));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | to read about | look into |
//! |---|---|
//! | how rows are read | `bytes/csv`, `bytes/lanes` |
//! | how JSON is written, and read where it is damaged | `bytes/json`, `bytes/scan` |
//! | pages of query answers, and their records | `records` |
//! | what a tree is made of, and how a value is written | `grammar/node`, `grammar/form` |
//! | the categories of an event | `grammar/kinds` |
//! | what a Login looks like | `trees/login` |
//! | classes of the Open Cybersecurity Schema Framework, and what their documents look like | `grammar/class`, `trees/ocsf` |
//! | how a tree becomes the steps that write a document | `mapper/layout`, `mapper/plan` |
//! | names for ids | `mapper/names` |
//! | what is hashed, masked, dropped, left out | `mapper/treatment` |
//! | `event.id` | `mapper/event_id`, `mapper/digest` |
//! | which fields there are, for documentation and index templates | [`fields`] |
//!
//! Each of these knows only what stands below it: `bytes`; `grammar`, `records`; `trees`; `mapper`, `fields`.
//!
//! # Why it is a crate of its own
//!
//! What runs for every row is here and is compiled for speed; what runs once for a request is in `collector` and is compiled for
//! size. A function that is generic over a type of the caller's is compiled with the caller. So what does the work for a row
//! (`csv::regular`, `csv::carefully`, `Mapper::add`) is generic over none; [`csv::Rows`] is, and only hands bytes on.

#![deny(missing_docs)]

mod bytes;
pub mod fields;
mod grammar;
mod mapper;
mod records;
mod trees;

pub use bytes::{csv, text::quoted, time};
pub use mapper::{
    Mapper,
    event_id::Id,
    names::{Name, Nameless, Names, Wanted},
    origin::{Common, EventLogFile, Format, Origin, Output},
};
pub use records::{Flaw, Page, Record};
pub use trees::apex::TYPES as APEX_TYPES;

/// The program in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
