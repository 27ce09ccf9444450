//! One file: the span it covers, when it is there, and the rows it is made of.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How long a span a file covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// One hour.
    Hourly,
    /// One UTC day.
    Daily,
}

/// One event log file of the org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogFile {
    /// 18 characters, beginning with `0AT`.
    pub id: String,
    /// What kind of events it has, such as `Login`.
    pub event_type: &'static str,
    /// The span it covers.
    pub interval: Interval,
    /// 0 for a daily file; 1 for the first hourly one, more for late ones.
    pub sequence: u32,
    /// Start of that span.
    pub log_date: DateTime<Utc>,
    /// When the file was made, in whole seconds; no query shows it before.
    pub created_date: DateTime<Utc>,
    /// How many rows it has.
    pub rows: u64,
    /// The version whose columns it has.
    pub api_version: u32,
    /// When it is there: from the first moment up to the second.
    pub(crate) there: Range<DateTime<Utc>>,
    /// Its index among the streams of the catalogue.
    pub(super) stream: usize,
    /// The rows it is made of.
    pub(crate) parts: Vec<Part>,
}

impl EventLogFile {
    pub(super) fn is_there(&self, now: DateTime<Utc>) -> bool {
        self.there.contains(&now)
    }

    /// What the lengths of its parts depend on.
    pub(super) fn part_keys(&self) -> impl Iterator<Item = PartKey> {
        let version = self.api_version;
        self.parts.iter().map(move |part| (self.stream, part.hour, part.rows.start, part.rows.end, version))
    }
}

/// Some rows of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its index among the hours of the stream.
    pub(crate) hour: usize,
    pub(crate) rows: Range<u64>,
}

/// What the length of a part depends on: stream, hour, first and last row, API version.
pub(super) type PartKey = (usize, usize, u64, u64, u32);
