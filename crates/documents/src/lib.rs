//! What a row of a Salesforce event log file, or a record of an object, becomes: a document in the Elastic Common Schema.
//!
//! No request, no clock, no state: bytes go in, documents come out, and the same bytes give the same documents.

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
    origin::{Common, EventLogFile, Origin, Output},
};
pub use records::{Flaw, Page, Record};
pub use trees::apex::TYPES as APEX_TYPES;
