//! Receipts: what the collector says of a file that it has read, and of a window of an object. They are mapped like records, of
//! which the collector itself is the author.

use super::parts::{EVENT, HEAD};
use crate::grammar::{
    form::Form::*,
    node::Node::{self, *},
};

/// A receipt for a file or for a window.
pub const DOCUMENT: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[Parts(EVENT), Success("Complete"), Column("start", "From", Date), Column("end", "Until", Date)],
    ),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "receipt",
                &[
                    Column("stream", "Stream", Keyword),
                    Column("event_type", "EventType", Keyword),
                    Column("rows", "Rows", Long),
                    Column("records", "Records", Long),
                    Column("malformed", "Malformed", Long),
                    Column("left_out", "LeftOut", Long),
                    Column("bytes", "Bytes", Long),
                    Column("length", "Length", Long),
                    Column("tries", "Tries", Long),
                    Column("queries", "Queries", Long),
                    Column("created_after_seconds", "CreatedAfterSeconds", Long),
                    Column("collected_after_seconds", "CollectedAfterSeconds", Long),
                    Rest,
                ],
            ),
        ],
    ),
];
