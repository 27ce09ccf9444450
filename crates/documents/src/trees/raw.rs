//! `format = "raw"`: the record as it came, and what a consumer needs to order and deduplicate it (`docs/raw.md`).

use crate::grammar::node::Node::{self, *};

/// A row of any file, or a record of any object.
pub const DOCUMENT: &[Node] = &[
    Timestamp,
    Object("event", &[Id("id"), Dataset("dataset"), Provider("provider")]),
    Object("salesforce", &[Provenance]),
    Stream,
    Record,
];
