//! What a run tells: while it runs, and at its end.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use source_host::Batch;
use source_host::{bytes, grouped};

/// What a run has done so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Events delivered.
    pub events: u64,
    /// Events among them that the output never takes, written to the dead-letter file instead.
    pub events_set_aside: u64,
    /// Bytes of all events, line breaks not counted.
    pub event_bytes: u64,
    /// Files read to their end.
    pub files: u64,
    /// Files given up before their end: the service does not have them any more.
    pub files_given_up: u64,
    /// Bytes of response bodies as they came over the wire.
    pub bytes_received: u64,
    /// Bytes of log content read, after decompression.
    pub bytes_read: u64,
    /// Records read, malformed ones included.
    pub rows: u64,
    /// Records that could not be understood.
    pub rows_malformed: u64,
    /// HTTP requests sent, token requests included.
    pub requests: u64,
    /// Requests for a token.
    pub token_requests: u64,
    /// Calls of `poll`.
    pub polls: u64,
    /// Problems and failures reported by the source, and its crashes.
    pub problems: u64,
    /// How long the run took.
    pub seconds: f64,
    /// The most memory the component has held.
    pub peak_memory_bytes: u64,
    /// Whether the run ended because nothing was left to read.
    pub caught_up: bool,
}

impl Report {
    pub(crate) fn add(&mut self, batch: &Batch) {
        let stats = &batch.stats;
        self.events += batch.events.len() as u64;
        self.event_bytes += batch.events.iter().map(|event| event.len() as u64).sum::<u64>();
        self.files += u64::from(stats.files_completed);
        self.files_given_up += u64::from(stats.files_given_up);
        self.bytes_received += u64::from(stats.bytes_received);
        self.bytes_read += u64::from(stats.bytes_read);
        self.rows += u64::from(stats.rows_read);
        self.rows_malformed += u64::from(stats.rows_malformed);
        self.requests += u64::from(stats.requests);
        self.token_requests += u64::from(stats.token_requests);
        self.problems += batch.problems.len() as u64;
    }
}

/// The one line for people at the end of a run.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events from {} files, {} received in {} requests, {:.1} s, component's peak memory {}",
            grouped(self.events),
            grouped(self.files),
            bytes(self.bytes_received),
            grouped(self.requests),
            self.seconds,
            bytes(self.peak_memory_bytes),
        )?;
        if self.events_set_aside > 0 {
            write!(f, "; {} events were set aside", grouped(self.events_set_aside))?;
        }
        match self.files_given_up {
            0 => Ok(()),
            1 => write!(f, "; 1 file was given up"),
            files => write!(f, "; {} files were given up", grouped(files)),
        }
    }
}

/// Where a run stands, after each poll.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What was done so far.
    pub report: &'a Report,
    /// Files known of and not read to their end.
    pub backlog_files: u32,
    /// Bytes of them still to read.
    pub backlog_bytes: u64,
    /// The wait that begins now, if any.
    pub wait: Option<Duration>,
}
