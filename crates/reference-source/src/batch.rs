//! A batch with nothing in it. The sources of the tests share this file: their types are the same, generated for each of them.

use crate::bindings::contract::{Batch, Stats};

pub(crate) fn empty() -> Batch {
    let stats = Stats {
        requests: 0,
        token_requests: 0,
        bytes_received: 0,
        bytes_read: 0,
        rows_read: 0,
        rows_malformed: 0,
        files_completed: 0,
        files_given_up: 0,
        api_usage: None,
        backlog_files: 0,
        backlog_bytes: 0,
    };
    Batch { events: Vec::new(), state: String::new(), next_poll_ms: 0, problems: Vec::new(), stats }
}
