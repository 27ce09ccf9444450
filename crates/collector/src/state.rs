//! Where a collection stands: all that a fresh instance needs to go on, as versioned JSON that a person can read.
//!
//! The place in a stream's files is a floor and the files that are done above it. Everything created before the floor
//! is done (or set aside by name); at or above it, what is done is listed. The floor trails the newest file by the
//! overlap, so that a file which becomes visible late, with an older CreatedDate than files that were already read, is
//! found. That makes the size of the state a matter of how many files an org creates within the overlap; beyond
//! [`MAX_DONE`] of them the floor rises early.

use crate::{
    backoff::Backoff,
    problem::{Kind, Problem},
    time::Time,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What tells our states from other documents.
const FORMAT: &str = "salesforce-source/state";
/// Raised when an older program could not go on from a newer state.
const VERSION: u64 = 1;
/// Files remembered above the floor at most; about 120 KiB of state.
pub const MAX_DONE: usize = 4000;
/// How late a file may come. Salesforce says that files can be created within three days ("Using Event Monitoring",
/// REST API guide).
const LATEST: Duration = Duration::from_secs(4 * 24 * 3600);
/// Files set aside at most. With more, something other than the files is wrong, and the stream waits.
pub const MAX_SET_ASIDE: usize = 100;

/// The state of a collection.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct State {
    format: String,
    version: u64,
    /// Host of the org that it stands in; of another org it would skip what it has never seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    instance: String,
    /// Places by stream. Those of streams that are not configured (any more) are kept as they are.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamState>,
    /// Set while nobody can sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// The places of a stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct StreamState {
    /// The place in its event log files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log_file: Option<FilesState>,
}

/// The place in the event log files of a stream.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct FilesState {
    /// When to look for new files, on the host's clock.
    pub due: Time,
    /// `Interval` of the files: `Hourly` or `Daily`.
    #[serde(default)]
    pub interval: String,
    /// Everything created before this is done or set aside.
    pub floor: Time,
    /// Of what was created at the floor itself, everything up to this id is done or set aside.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub floor_id: String,
    /// Files that are done and were created at or after the floor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub done: BTreeMap<Time, BTreeSet<String>>,
    /// The file that is being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// Files that could not be read and will be tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<Reading>,
    /// Set while the files cannot be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// What is known of a file from its record in EventLogFile.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct FileInfo {
    /// `Id`
    pub id: String,
    /// `EventType`
    #[serde(default = "login")]
    pub event_type: String,
    /// `CreatedDate`
    pub created: Time,
    /// `LogDate`
    pub log_date: Time,
    /// `LogFileLength`: bytes after decompression.
    pub length: u64,
    /// `Interval`
    pub interval: String,
    /// `Sequence`
    pub sequence: u32,
    /// `ApiVersion`
    pub api_version: String,
}

/// The event type of all files that version 1 of the state knew.
fn login() -> String {
    String::from("Login")
}

/// A place in a file.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Reading {
    /// The file.
    #[serde(flatten)]
    pub file: FileInfo,
    /// How far it is read; none = nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The last failure, if nothing was read since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// When it first failed in the way it fails now, on the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// The length at which the file ended, if it ended before its `LogFileLength`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

impl Reading {
    /// The beginning of a file.
    pub fn new(file: FileInfo) -> Self {
        Self { file, checkpoint: None, backoff: None, failing_since: None, ended_at: None }
    }

    /// Bytes of the file still to read.
    pub fn remaining(&self) -> u64 {
        self.file.length.saturating_sub(self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset))
    }
}

/// A place between two rows.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Checkpoint {
    /// Bytes read, after decompression.
    pub offset: u64,
    /// Length of the last row read, with its line break.
    pub row_length: u64,
    /// Digest of the last row read.
    pub row_digest: String,
}

impl State {
    /// The state before the first poll.
    pub fn new() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            instance: String::new(),
            streams: BTreeMap::new(),
            backoff: None,
        }
    }

    /// Makes sure that it stands in this org.
    ///
    /// # Errors
    /// When it stands in another.
    pub fn belongs_to(&mut self, instance: &str) -> Result<(), Problem> {
        if self.instance.is_empty() {
            instance.clone_into(&mut self.instance);
        }
        if self.instance == instance {
            return Ok(());
        }
        let theirs = crate::problem::quoted(&self.instance, 100);
        let message = format!("the state is one of the org {theirs}, and instance_url names {instance}");
        Err(Problem::new(Kind::State, message).hint(
            "give each org a state of its own; if it is the same org under a new name, change 'instance' in the state",
        ))
    }

    /// Reads a state that [`State::to_json`] wrote.
    ///
    /// # Errors
    /// When it is not one of ours, or a newer version wrote it.
    pub fn parse(json: &str) -> Result<Self, Problem> {
        let foreign = |message: String| {
            Err(Problem::new(Kind::State, message)
                .hint("give the state file of this source, or none to begin anew; nothing was changed"))
        };
        let Ok(value) = serde_json::from_str::<Value>(json) else {
            return foreign(String::from("the state is not JSON: it is damaged, or not a state"));
        };
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return foreign(format!("the state was not written by {}", crate::NAME));
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                let message =
                    format!("the state has version {newer}, and this program knows {VERSION} at most");
                return Err(Problem::new(Kind::State, message)
                    .hint("a newer program wrote it: use that one again; nothing was changed"));
            }
            _ => return foreign(String::from("the state has no known version")),
        }
        let state = serde_json::from_value(value);
        state.or_else(|error| {
            foreign(format!("the state is damaged: {}", crate::problem::quoted(&error.to_string(), 200)))
        })
    }

    /// As text, to be given to the host.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl FilesState {
    /// The place before the first file.
    pub fn new(interval: &str, now: Time, floor: Time) -> Self {
        Self {
            due: now,
            interval: interval.to_owned(),
            floor,
            floor_id: String::new(),
            done: BTreeMap::new(),
            reading: None,
            set_aside: Vec::new(),
            backoff: None,
        }
    }

    /// Goes over to files of another interval. Files of one interval say nothing of those of the other, and either may
    /// lag days behind, so the floor goes back: rows that come again have the same ids.
    pub fn change_interval(&mut self, interval: &str, now: Time) {
        if self.interval != interval {
            interval.clone_into(&mut self.interval);
            self.floor = self.floor.before(LATEST);
            self.floor_id.clear();
            self.done.clear();
            self.due = now;
        }
    }

    /// Whether a file need not be read (again), or not now.
    pub fn is_known(&self, id: &str, created: Time) -> bool {
        (created, id) <= (self.floor, self.floor_id.as_str())
            || self.done.get(&created).is_some_and(|ids| ids.contains(id))
            || self.reading.as_ref().is_some_and(|reading| reading.file.id == id)
    }

    /// Notes that a file is done or set aside, and lets the floor follow. Files come in the order of their creation,
    /// so everything older is done or set aside as well, or not visible.
    pub fn pass(&mut self, file: &FileInfo, overlap: Duration) {
        if file.created >= self.floor {
            self.done.entry(file.created).or_default().insert(file.id.clone());
        }
        let floor = file.created.before(overlap);
        if floor > self.floor {
            self.floor = floor;
            self.floor_id.clear();
            self.done = self.done.split_off(&floor);
        }
        let mut excess = self.done.values().map(BTreeSet::len).sum::<usize>().saturating_sub(MAX_DONE);
        while excess > 0
            && let Some(mut oldest) = self.done.first_entry()
        {
            self.floor = *oldest.key();
            if let Some(id) = oldest.get_mut().pop_first() {
                self.floor_id = id;
                excess -= 1;
            }
            if oldest.get().is_empty() {
                oldest.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: u32, created: i64) -> FileInfo {
        FileInfo {
            id: format!("0AT{id:015}"),
            event_type: login(),
            created: Time(created),
            log_date: Time(0),
            length: 1,
            interval: String::from("Hourly"),
            sequence: 1,
            api_version: String::from("65.0"),
        }
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        let mut files = FilesState::new("Hourly", Time(1000), Time(0));
        files.pass(&file(1, 5000), Duration::from_secs(3600));
        files.reading = Some(Reading {
            checkpoint: Some(Checkpoint { offset: 7, row_length: 3, row_digest: String::from("ab") }),
            ..Reading::new(file(2, 6000))
        });
        let problem = Problem::new(Kind::Transient, "cut");
        files.set_aside.push(Reading {
            backoff: Some(Backoff::after(None, &problem, Time(9), "seed")),
            ended_at: Some(4),
            ..Reading::new(file(3, 1))
        });
        let mut state = State::new();
        state.streams.insert(String::from("login"), StreamState { event_log_file: Some(files) });
        assert_eq!(State::parse(&state.to_json()).as_ref(), Ok(&state));
    }

    #[test]
    fn a_state_of_another_org_is_refused() {
        let mut state = State::new();
        assert_eq!(state.belongs_to("acme.my.salesforce.com"), Ok(()));
        let mut state = State::parse(&state.to_json()).expect("a state");
        assert_eq!(state.belongs_to("acme.my.salesforce.com"), Ok(()));
        let problem = state.belongs_to("other.my.salesforce.com").expect_err("another org");
        assert_eq!(problem.kind, Kind::State);
    }

    #[test]
    fn another_interval_begins_as_far_back_as_files_may_be_late() {
        let day = 24 * 3_600_000;
        let mut files = FilesState::new("Hourly", Time(0), Time(0));
        files.pass(&file(1, 10 * day), Duration::ZERO);
        files.change_interval("Hourly", Time(7));
        assert_eq!((files.floor, files.due), (Time(10 * day), Time(0)));
        files.change_interval("Daily", Time(7));
        assert_eq!((files.floor, files.due), (Time(6 * day), Time(7)));
        assert!(!files.is_known(&file(1, 0).id, Time(10 * day)));
    }

    #[test]
    fn a_state_that_is_not_ours_is_refused_with_a_reason() {
        for (text, said) in [
            ("", "not JSON"),
            ("[1", "not JSON"),
            ("[]", "not written by"),
            ("\"checkpoint\"", "not written by"),
            (r#"{"cursor":1}"#, "not written by"),
            (r#"{"format":"salesforce-source/state"}"#, "no known version"),
            (r#"{"format":"salesforce-source/state","version":2}"#, "version 2"),
            (r#"{"format":"salesforce-source/state","version":1,"streams":[]}"#, "damaged"),
            (
                r#"{"format":"salesforce-source/state","version":1,"streams":{"login":{"event_log_file":{"due":"x"}}}}"#,
                "damaged",
            ),
        ] {
            let problem = State::parse(text).expect_err(text);
            assert_eq!(problem.kind, Kind::State);
            assert!(problem.message.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn a_file_that_appears_late_is_not_known_as_long_as_the_overlap_covers_it() {
        let mut files = FilesState::new("Hourly", Time(0), Time(0));
        files.pass(&file(1, 10_000_000), Duration::from_secs(3600));
        assert!(files.is_known("0AT000000000000001", Time(10_000_000)));
        assert!(!files.is_known("0AT000000000000002", Time(10_000_000)));
        assert!(!files.is_known("0AT000000000000002", Time(6_400_000)));
        assert!(files.is_known("0AT000000000000002", Time(6_399_999)));
    }

    #[test]
    fn files_of_one_instant_are_not_passed_over_when_the_state_is_full() {
        let mut files = FilesState::new("Hourly", Time(0), Time(0));
        let all = 2 * u32::try_from(MAX_DONE).expect("small");
        for n in 0..all {
            assert!(!files.is_known(&file(n, 0).id, Time(5000)), "{n}");
            files.pass(&file(n, 5000), Duration::from_secs(3600));
        }
        assert!((0..all).all(|n| files.is_known(&file(n, 0).id, Time(5000))));
    }

    #[test]
    fn the_state_stays_small_however_many_files_appear_at_once() {
        let mut files = FilesState::new("Hourly", Time(0), Time(0));
        for n in 0..20_000 {
            files.pass(&file(n, 10_000_000 + i64::from(n / 3)), Duration::from_secs(3600));
        }
        let known = files.done.values().map(BTreeSet::len).sum::<usize>();
        assert!(known <= MAX_DONE, "{known}");
        assert!(files.is_known(&file(19_999, 0).id, Time(10_000_000 + 6666)));
        let mut state = State::new();
        state.streams.insert(String::from("login"), StreamState { event_log_file: Some(files) });
        assert!(state.to_json().len() < 256 * 1024, "{}", state.to_json().len());
    }
}
