//! Where a collection stands: all that a fresh instance needs to go on, as versioned JSON that a person can read.
//!
//! Of a stream's files it holds a low watermark and the files that are done above it. Everything created before the low
//! watermark is done (or set aside by name); at or above it, what is done is listed. It trails the newest file by the
//! overlap, so that a file which becomes visible late, with an older CreatedDate than files that were already read, is
//! found. Of a stream without new files it trails the last listing by a day more, so that a quiet stream does not make
//! every listing begin where it last had a file.
//!
//! Low watermark, interval and types of a stream are one thing, of one *generation*: when the interval or the types change,
//! the low watermark goes back and a new generation begins. What was begun in an earlier one is finished, and moves nothing.
//!
//! Of an object it holds a cursor, an instant and a key: everything before it is delivered. Where records can appear late,
//! each round begins at a low watermark behind the cursor, and what was delivered above it is remembered by key.
//!
//! # How large it gets
//!
//! At most 1 MiB, as the contract asks, whatever an org does: [`MAX_STREAM_STATES`] streams; [`MAX_NAMES`] names of event types (with
//! more, what was configured before is forgotten); [`MAX_DONE`] files remembered above the low watermarks of all streams
//! together (with more of them within the overlap, the low watermark rises early, and only a file that shows up late is at
//! risk); [`MAX_REMEMBERED`] keys of records, in the same way; [`MAX_SET_ASIDE`] files set aside in all, each stream its share
//! (with more, the stream waits for its next file); texts from outside are cut.

mod capacity;
mod defaults;
mod event_types;
pub mod files;
mod object;

pub use capacity::Capacity;
pub use files::{Checkpoint, FilesState, LATEST, Reading};
pub use object::{Collected, ObjectState, is_id};

use crate::{
    problem::{Kind, Problem},
    schedule::backoff::Backoff,
};
use defaults::is_default;
use documents::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What tells our states from other documents.
const FORMAT: &str = "salesforce-source/state";
/// Raised when an older program could not go on from a newer state.
///
/// 1: Login files alone. 2: event types, objects. 3: generations, low watermarks of objects.
const VERSION: u64 = 3;
/// Streams that are remembered at most, those that are not configured any more included.
pub const MAX_STREAM_STATES: usize = 32;
/// Files remembered above the low watermarks at most, all streams together.
const MAX_DONE: usize = 4800;
/// Files set aside at most, all streams together.
const MAX_SET_ASIDE: usize = 320;
/// Keys of records remembered above the low watermarks at most, all objects together.
const MAX_REMEMBERED: usize = 3200;
/// Names of event types at most, all streams together; a configuration has fewer than half as many.
const MAX_NAMES: usize = 1000;

/// The state of a collection.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct State {
    format: String,
    version: u64,
    /// Host of the org that it stands in; of another org it would skip what it has never seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    instance: String,
    /// Fingerprint of the configuration that the waits in it belong to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    config: String,
    /// Where each stream stands. What is known of streams that are not configured (any more) is kept as long as there is capacity.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamState>,
    /// Set while no request makes sense: nobody can sign in, or the allowance is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Polls in a row that ran out of time before anything moved on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stalled: u32,
    /// Objects that are not asked for names, by until when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<Time, BTreeSet<String>>,
}

/// Where a stream stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct StreamState {
    /// In its event log files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log_file: Option<FilesState>,
    /// In its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectState>,
    /// What left today, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<Today>,
}

/// What left of a stream on a day.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub struct Today {
    /// The beginning of the day in UTC, on the host's clock.
    pub since: Time,
    /// Bytes of events.
    pub bytes: u64,
}

const DAY_MS: i64 = 24 * 3_600_000;

impl StreamState {
    /// Counts bytes that leave.
    pub fn count(&mut self, bytes: u64, now: Time) {
        let since = Time(now.0 - now.0.rem_euclid(DAY_MS));
        let today = self.today.filter(|today| today.since == since).map_or(0, |today| today.bytes);
        self.today = Some(Today { since, bytes: today.saturating_add(bytes) });
    }

    /// Milliseconds until more may leave, if that is so much a day. A day that lies ahead is none: the clock went back.
    pub fn wait_for_day(&self, daily: Option<u64>, now: Time) -> i64 {
        let (Some(today), Some(daily)) = (self.today, daily) else { return 0 };
        let passed = now.0.saturating_sub(today.since.0);
        if today.bytes < daily || !(0..DAY_MS).contains(&passed) { 0 } else { DAY_MS - passed }
    }
}

impl State {
    /// The state before the first poll.
    pub fn new() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            instance: String::new(),
            config: String::new(),
            streams: BTreeMap::new(),
            backoff: None,
            stalled: 0,
            lookups: BTreeMap::new(),
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
        let theirs = documents::quoted(&self.instance, 100);
        let message = format!("the state is one of the org {theirs}, and instance_url names {instance}");
        Err(Problem::new(Kind::State, message).hint(
            "give each org a state of its own; if it is the same org under a new name, change 'instance' in the state",
        ))
    }

    /// Takes over a configuration. If it is another than before, what could only be mended in it, or beside it, is tried at
    /// once.
    pub fn belongs_to_configuration(&mut self, fingerprint: &str) {
        if self.config == fingerprint {
            return;
        }
        fingerprint.clone_into(&mut self.config);
        let forget = |backoff: &mut Option<Backoff>| {
            backoff.take_if(|backoff| !backoff.passes());
        };
        forget(&mut self.backoff);
        self.lookups.clear();
        for stream in self.streams.values_mut() {
            if let Some(files) = &mut stream.event_log_file {
                forget(&mut files.backoff);
                forget(&mut files.downloads);
            }
            if let Some(object) = &mut stream.object {
                forget(&mut object.backoff);
                object.alone = false;
            }
        }
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
            return foreign(format!("the state was not written by {}", crate::about::NAME));
        }
        match value.get("version").and_then(Value::as_u64) {
            // What earlier versions lack has a default that means what they meant.
            Some(1 | 2 | VERSION) => {}
            Some(newer) if newer > VERSION => {
                let message =
                    format!("the state has version {newer}, and this program knows {VERSION} at most");
                return Err(Problem::new(Kind::State, message)
                    .hint("a newer program wrote it: use that one again; nothing was changed"));
            }
            _ => return foreign(String::from("the state has no known version")),
        }
        match serde_json::from_value(value) {
            Ok(state) => Ok(Self { version: VERSION, ..state }),
            Err(error) => {
                foreign(format!("the state is damaged: {}", documents::quoted(&error.to_string(), 200)))
            }
        }
    }

    /// Makes sure that each configured stream can be remembered; if there is no capacity left, those that are not configured
    /// any more go, the least recently used first, and then earlier choices of event types, for which files are read again.
    pub fn evict<'s>(&mut self, configured: impl Iterator<Item = &'s str>) {
        let configured: Vec<&str> = configured.collect();
        let due = |stream: &StreamState| {
            let files = stream.event_log_file.as_ref().map(|files| files.due);
            files.max(stream.object.as_ref().map(|object| object.due))
        };
        for name in &configured {
            self.streams.entry((*name).to_owned()).or_default();
        }
        while self.streams.len() > MAX_STREAM_STATES || self.names() > MAX_NAMES {
            let retired = self.streams.iter().filter(|(name, _)| !configured.contains(&name.as_str()));
            let Some(oldest) = retired.min_by_key(|(_, stream)| due(stream)).map(|(name, _)| name.clone())
            else {
                let files = self.streams.values_mut().filter_map(|stream| stream.event_log_file.as_mut());
                files.for_each(|files| files.earlier.clear());
                break;
            };
            self.streams.remove(&oldest);
        }
    }

    /// How many names of event types it holds.
    fn names(&self) -> usize {
        let files = self.streams.values().filter_map(|stream| stream.event_log_file.as_ref());
        let earlier = |files: &FilesState| files.earlier.iter().map(|e| e.event_types.len()).sum::<usize>();
        files.map(|files| files.event_types.len() + earlier(files)).sum()
    }

    /// How much each stream may remember.
    pub fn capacity(&self) -> Capacity {
        let files = || self.streams.values().filter_map(|stream| stream.event_log_file.as_ref());
        let objects = self.streams.values().filter(|stream| stream.object.is_some()).count();
        Capacity {
            done: MAX_DONE / files().count().clamp(1, MAX_STREAM_STATES),
            set_aside: MAX_SET_ASIDE / files().count().clamp(1, MAX_STREAM_STATES),
            remembered: MAX_REMEMBERED / objects.clamp(1, MAX_STREAM_STATES),
        }
    }

    /// The number of the next slice.
    pub fn next_serial(&self) -> u64 {
        let files = self.streams.values().filter_map(|stream| Some(stream.event_log_file.as_ref()?.served));
        let objects = self.streams.values().filter_map(|stream| Some(stream.object.as_ref()?.served));
        files.chain(objects).max().unwrap_or(0).saturating_add(1)
    }

    /// As text, to be given to the host.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        files::{Earlier, Failing, MAX_EARLIER, QUIET, UNAGREED_MS, login_alone},
        *,
    };
    use crate::config::streams::EventTypes;
    use documents::EventLogFile;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);
    const CAPACITY: Capacity =
        Capacity { done: MAX_DONE, set_aside: MAX_SET_ASIDE, remembered: MAX_REMEMBERED };

    fn file(id: u32, created: i64) -> EventLogFile {
        EventLogFile {
            id: format!("0AT{id:015}"),
            event_type: String::from("Login"),
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
        let mut files = FilesState::new("Hourly", &login_alone(), Time(1000), Time(0));
        files.pass(&Reading::new(file(1, 5000), 0), HOUR, CAPACITY);
        files.reading = Some(Reading {
            checkpoint: Some(Checkpoint { offset: 7, row_length: 3, row_digest: String::from("ab") }),
            ..Reading::new(file(2, 6000), 0)
        });
        let problem = Problem::new(Kind::Transient, "cut");
        files.set_aside.push(Reading {
            backoff: Some(Backoff::after(None, &problem, Time(9), "seed")),
            ended_at: Some(4),
            ..Reading::new(file(3, 1), 0)
        });
        let mut state = State::new();
        state.streams.insert(
            String::from("login"),
            StreamState { event_log_file: Some(files), ..StreamState::default() },
        );
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
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        files.pass(&Reading::new(file(1, 10 * day), 0), Duration::ZERO, CAPACITY);
        files.change_interval("Hourly", Time(7));
        assert_eq!((files.low_watermark, files.due), (Time(10 * day), Time(0)));
        files.change_interval("Daily", Time(7));
        assert_eq!((files.low_watermark, files.due), (Time(6 * day), Time(7)));
        assert!(!files.is_known("Login", &file(1, 0).id, Time(10 * day)));
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
            (r#"{"format":"salesforce-source/state","version":0}"#, "no known version"),
            (r#"{"format":"salesforce-source/state","version":4}"#, "version 4"),
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
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        files.pass(&Reading::new(file(1, 10_000_000), 0), HOUR, CAPACITY);
        assert!(files.is_known("Login", "0AT000000000000001", Time(10_000_000)));
        assert!(!files.is_known("Login", "0AT000000000000002", Time(10_000_000)));
        assert!(!files.is_known("Login", "0AT000000000000002", Time(6_400_000)));
        assert!(files.is_known("Login", "0AT000000000000002", Time(6_399_999)));
    }

    #[test]
    fn files_of_one_instant_are_not_passed_over_when_the_state_is_full() {
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        let all = 2 * u32::try_from(MAX_DONE).expect("small");
        for n in 0..all {
            assert!(!files.is_known("Login", &file(n, 0).id, Time(5000)), "{n}");
            files.pass(&Reading::new(file(n, 5000), 0), HOUR, CAPACITY);
        }
        assert!((0..all).all(|n| files.is_known("Login", &file(n, 0).id, Time(5000))));
    }

    #[test]
    fn the_state_stays_below_its_bound_whatever_an_org_and_its_operator_do() {
        // Nothing takes more bytes in JSON than a control character, and in a message nothing more than four bytes.
        let worst = |count: usize| "\u{1}".repeat(count);
        let problem = Problem::new(Kind::Permission, "\u{10FFFF}".repeat(400));
        let backoff = || Some(Backoff::after(None, &problem, Time(i64::from(i32::MAX)), "x"));
        let types = |n: usize| EventTypes::from_list((0..6).map(|m| format!("{n:030}{m:030}")).collect());
        let mut state = State::new();
        let names: Vec<String> = (0..MAX_STREAM_STATES).map(|n| format!("{n:040}")).collect();
        state.evict(names.iter().map(String::as_str));
        for source in state.streams.values_mut() {
            let mut object = ObjectState::new(&"o".repeat(80), &"f".repeat(80), Time(0), Time(0));
            object.pass(Time(0), worst(255));
            object.low_watermark_key = "k".repeat(18);
            object.backoff = backoff();
            let mut files = FilesState::new("Hourly", &types(0), Time(0), Time(0));
            for n in 1..5 {
                files.change_event_types(&types(n), Time(0), Time(-1 - i64::try_from(n).expect("small")));
            }
            *source = StreamState { event_log_file: Some(files), object: Some(object), today: None };
        }
        let capacity = state.capacity();
        let set_aside = MAX_SET_ASIDE / MAX_STREAM_STATES;
        assert_eq!((capacity.set_aside, capacity.done), (set_aside, MAX_DONE / MAX_STREAM_STATES));
        assert_eq!(capacity.remembered, MAX_REMEMBERED / MAX_STREAM_STATES);
        for (stream, source) in state.streams.values_mut().enumerate() {
            let Some(files) = &mut source.event_log_file else { continue };
            let reading = |n: u32| Reading {
                backoff: backoff(),
                ended_at: Some(u64::MAX),
                failing: Some(Failing { tries: u32::MAX, for_ms: u64::MAX, last: Time(0), alone: true }),
                checkpoint: Some(Checkpoint {
                    offset: u64::MAX,
                    row_length: u64::MAX,
                    row_digest: "0".repeat(32),
                }),
                ..Reading::new(
                    EventLogFile {
                        event_type: "T".repeat(80),
                        interval: "\"".repeat(20),
                        api_version: "\"".repeat(20),
                        ..file(n, 0)
                    },
                    u32::MAX,
                )
            };
            for n in 0..u32::try_from(2 * capacity.done).expect("small") {
                let id = u32::try_from(stream).expect("small") * 100_000 + n;
                let found = Reading::new(file(id, 1_000_000_000 + i64::from(n)), files.generation);
                files.pass(&found, HOUR, capacity);
            }
            files.set_aside = (0..u32::try_from(set_aside).expect("small")).map(reading).collect();
            files.reading = Some(reading(0));
            files.backoff = backoff();
            files.downloads = backoff();
            let Some(object) = &mut source.object else { continue };
            for n in 0..2 * capacity.remembered {
                object.remember(Time(i64::try_from(n).expect("small")), format!("0Ym{n:015}"), capacity);
            }
        }
        state.backoff = backoff();
        let size = state.to_json().len();
        assert!((500_000..=1 << 20).contains(&size), "{size}");
    }

    #[test]
    fn what_was_configured_before_is_forgotten_where_it_takes_too_much_capacity() {
        let types = |n: u32| EventTypes::from_list((0..200).map(|m| format!("Type{n}x{m}")).collect());
        let mut state = State::new();
        for n in 0..20 {
            let name = format!("stream{n}");
            state.evict([name.as_str(), "kept"].into_iter());
            let mut files = FilesState::new("Hourly", &types(n), Time(0), Time(0));
            files.due = Time(i64::from(n));
            state.streams.insert(name, StreamState { event_log_file: Some(files), ..StreamState::default() });
        }
        state.evict(["stream19", "kept"].into_iter());
        assert!(state.names() <= MAX_NAMES, "{}", state.names());
        assert!(["stream19", "stream18", "kept"].iter().all(|name| state.streams.contains_key(*name)));
        assert!(!state.streams.contains_key("stream0"));
        let Some(files) = state.streams.get_mut("stream19").and_then(|s| s.event_log_file.as_mut()) else {
            panic!("it is gone");
        };
        for n in 20..30 {
            files.change_event_types(&types(n), Time(0), Time(-i64::from(n)));
        }
        assert_eq!(files.earlier.len(), MAX_EARLIER);
    }

    #[test]
    fn the_state_stays_small_however_many_files_appear_at_once() {
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        for n in 0..20_000 {
            files.pass(&Reading::new(file(n, 10_000_000 + i64::from(n / 3)), 0), HOUR, CAPACITY);
        }
        let known = files.done.values().map(BTreeSet::len).sum::<usize>();
        assert!(known <= MAX_DONE, "{known}");
        assert!(files.is_known("Login", &file(19_999, 0).id, Time(10_000_000 + 6666)));
        let mut state = State::new();
        state.streams.insert(
            String::from("login"),
            StreamState { event_log_file: Some(files), ..StreamState::default() },
        );
        assert!(state.to_json().len() < 256 * 1024, "{}", state.to_json().len());
    }

    #[test]
    fn what_was_begun_before_the_interval_or_the_types_changed_moves_nothing() {
        let day = 24 * 3_600_000;
        let types = EventTypes::from_list(vec![String::from("Login"), String::from("API")]);
        for change_interval in [true, false] {
            let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
            files.pass(&Reading::new(file(1, 10 * day), 0), HOUR, CAPACITY);
            let begun = Reading::new(file(2, 10 * day + 1), files.generation);
            if change_interval {
                files.change_interval("Daily", Time(7));
            } else {
                files.change_event_types(&types, Time(7), Time(day));
            }
            let low = files.low_watermark;
            assert!(low < Time(10 * day), "{low}");
            files.pass(&begun, HOUR, CAPACITY);
            assert_eq!(files.low_watermark, low);
            files.pass(&Reading::new(file(3, 10 * day + 2), files.generation), HOUR, CAPACITY);
            assert!(files.low_watermark > low);
        }
    }

    #[test]
    fn a_state_of_version_1_does_not_go_back() {
        let text = r#"{"format":"salesforce-source/state","version":1,"streams":{"login":{"event_log_file":
            {"due":"2026-06-01T00:00:00Z","floor":"2026-05-01T00:00:00Z"}}}}"#;
        let mut state = State::parse(text).expect("a state");
        let files = state.streams.get_mut("login").and_then(|stream| stream.event_log_file.as_mut());
        let files = files.expect("its files");
        let low = Time::parse("2026-05-01T00:00:00Z").expect("a time");
        files.change_interval("Hourly", Time(0));
        assert_eq!((files.low_watermark, files.interval.as_str()), (low, "Hourly"));
    }

    #[test]
    fn time_in_which_nothing_was_tried_makes_no_file_old() {
        let day = 24 * 3_600_000;
        let mut reading = Reading::new(file(1, 0), 0);
        for now in [0, 8 * day, 8 * day + 1, 2 * day] {
            reading.failed(Time(now));
        }
        let failing = reading.failing.expect("failures");
        assert_eq!(failing.tries, 4);
        assert!(failing.for_ms <= 2 * UNAGREED_MS.unsigned_abs(), "{failing:?}");
        // What was agreed on counts.
        let problem = Problem::new(Kind::Data, "x");
        let mut now = 0;
        for _ in 0..100 {
            let failing_for = reading.failing.map_or(0, |failing| failing.for_ms);
            let backoff = Backoff::of_file(reading.backoff.as_ref(), &problem, Time(now), "x", failing_for);
            now += backoff.remaining(Time(now));
            reading.backoff = Some(backoff);
            reading.failed(Time(now));
        }
        assert!(reading.failing.expect("failures").for_ms >= 7 * 86_400_000, "{:?}", reading.failing);
    }

    #[test]
    fn the_low_watermark_of_a_stream_without_files_follows_the_listings() {
        let day = 24 * 3_600_000;
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        files.pass(&Reading::new(file(1, day), 0), HOUR, CAPACITY);
        files.end_round(Time(30 * day), HOUR);
        assert_eq!(files.low_watermark, Time(29 * day).before(HOUR));
        files.end_round(Time(3 * day), HOUR);
        assert_eq!(files.low_watermark, Time(29 * day).before(HOUR));
    }

    #[test]
    fn only_a_later_issue_of_the_same_day_replaces_a_file() {
        let issue = |created: i64, interval: &str, sequence: u32| {
            Reading::new(EventLogFile { interval: interval.to_owned(), sequence, ..file(1, created) }, 0)
        };
        assert!(issue(2, "Daily", 0).replaces(&issue(1, "Daily", 0)));
        assert!(!issue(1, "Daily", 0).replaces(&issue(2, "Daily", 0)));
        assert!(!issue(1, "Daily", 0).replaces(&issue(1, "Daily", 0)));
        assert!(!issue(2, "Hourly", 1).replaces(&issue(1, "Hourly", 1)));
        let mut other = issue(1, "Daily", 0);
        other.file.log_date = Time(86_400_000);
        assert!(!issue(2, "Daily", 0).replaces(&other));
    }

    #[test]
    fn a_round_goes_back_by_the_overlap_once_and_never_behind_the_beginning() {
        let minute = 60_000;
        let mut object = ObjectState::new("SetupAuditTrail", "CreatedDate", Time(0), Time(100 * minute));
        object.begin_round(HOUR);
        assert_eq!(object.cursor, Time(100 * minute));
        for n in 0..300 {
            let id = format!("0Ym{n:015}");
            object.remember(Time((100 + n) * minute), id.clone(), CAPACITY);
            object.pass(Time((100 + n) * minute), id);
        }
        object.begin_round(HOUR);
        assert_eq!(object.cursor, Time(399 * minute), "the round had begun");
        object.begun = false;
        object.begin_round(HOUR);
        assert_eq!((object.cursor, object.after.as_deref()), (Time(339 * minute), None));
        assert!(object.remembers(Some(Time(339 * minute)), "0Ym000000000000239"));
        assert!(!object.remembers(Some(Time(338 * minute)), "0Ym000000000000238"));
    }

    #[test]
    fn records_that_are_not_remembered_any_more_are_not_asked_for_again() {
        let capacity = Capacity { remembered: 10, ..CAPACITY };
        let mut object = ObjectState::new("SetupAuditTrail", "CreatedDate", Time(0), Time(0));
        object.begin_round(HOUR);
        for n in 0..25 {
            let id = format!("0Ym{n:015}");
            object.remember(Time(5000), id.clone(), capacity);
            object.pass(Time(5000), id);
        }
        object.pass(Time(6000), String::from("0Ym000000000000025"));
        object.begun = false;
        object.begin_round(HOUR);
        assert_eq!((object.cursor, object.after.as_deref()), (Time(5000), Some("0Ym000000000000014")));
        assert!((15..25).all(|n| object.remembers(Some(Time(5000)), &format!("0Ym{n:015}"))));
    }

    #[test]
    fn a_state_of_an_earlier_version_goes_on_as_one_of_this() {
        let text = r#"{"format":"salesforce-source/state","version":1,"streams":{"login":{"event_log_file":
            {"due":"2026-06-01T00:00:00Z","floor":"2026-05-01T00:00:00Z","reading":{"id":"0AT000000000000001",
            "created":"2026-05-02T00:00:00Z","log_date":"2026-05-01T00:00:00Z","length":9,"interval":"Daily",
            "sequence":0,"api_version":"65.0"}}}}}"#;
        let state = State::parse(text).expect("a state");
        let files = state.streams.get("login").and_then(|stream| stream.event_log_file.as_ref());
        let reading = files.and_then(|files| files.reading.as_ref()).expect("a file that was begun");
        assert_eq!(reading.file.event_type, "Login");
        // An older program would pass over what is new in it.
        assert!(state.to_json().contains(r#""version":3"#), "{}", state.to_json());
    }

    #[test]
    fn what_is_left_of_a_file_is_what_lies_behind_its_checkpoint() {
        let checkpoint = |offset| Checkpoint { offset, row_length: 3, row_digest: String::new() };
        let mut reading = Reading::new(EventLogFile { length: 100, ..file(1, 0) }, 0);
        assert_eq!((reading.read(), reading.remaining()), (0, 100));
        reading.checkpoint = Some(checkpoint(30));
        assert_eq!((reading.read(), reading.remaining()), (30, 70));
        // It may be longer than its record says.
        reading.checkpoint = Some(checkpoint(130));
        assert_eq!((reading.read(), reading.remaining()), (130, 0));
    }

    #[test]
    fn of_a_long_pause_no_more_counts_than_was_agreed_on() {
        let problem = Problem::new(Kind::Data, "x");
        let begin = 1_700_000_000_000;
        let backoff = Backoff::after(None, &problem, Time(begin), "x");
        let agreed = backoff.until.0 - backoff.since.0;
        let mut reading = Reading::new(file(1, 0), 0);
        reading.failed(Time(begin));
        reading.backoff = Some(backoff);
        reading.failed(Time(begin + 8 * 24 * 3_600_000));
        let for_ms = reading.failing.expect("failures").for_ms;
        assert_eq!(for_ms, (2 * agreed + UNAGREED_MS).unsigned_abs());
    }

    #[test]
    fn as_many_streams_and_names_are_kept_as_there_is_capacity_for() {
        let mut state = State::new();
        for n in 0..=MAX_STREAM_STATES {
            state.evict([format!("stream{n}").as_str()].into_iter());
            assert_eq!(state.streams.len(), (n + 1).min(MAX_STREAM_STATES));
        }
        // More than one too many, as a state of another program may hold.
        for n in 0..3 {
            state.streams.insert(format!("more{n}"), StreamState::default());
        }
        state.evict(["stream32"].into_iter());
        assert_eq!(state.streams.len(), MAX_STREAM_STATES);

        let types =
            |from: usize, to: usize| EventTypes::from_list((from..to).map(|n| format!("Type{n}")).collect());
        let mut state = State::new();
        let mut files = FilesState::new("Hourly", &types(0, MAX_NAMES - 1), Time(0), Time(0));
        files.earlier.push(Earlier { event_types: types(0, 1), low_watermark: Time(1) });
        let before = StreamState { event_log_file: Some(files), ..StreamState::default() };
        state.streams.insert(String::from("before"), before);
        assert_eq!(state.names(), MAX_NAMES);
        state.evict(["now"].into_iter());
        assert!(state.streams.contains_key("before"));
        let files = FilesState::new("Hourly", &types(0, 2), Time(0), Time(0));
        state.streams.insert(
            String::from("now"),
            StreamState { event_log_file: Some(files), ..StreamState::default() },
        );
        state.evict(["now"].into_iter());
        assert!(!state.streams.contains_key("before"));
    }

    #[test]
    fn a_round_that_begins_behind_the_low_watermark_leaves_no_record_of_its_instant_out() {
        let capacity = Capacity { remembered: 1, ..CAPACITY };
        let mut object = ObjectState::new("SetupAuditTrail", "CreatedDate", Time(0), Time(0));
        object.begin_round(HOUR);
        for n in 0..2 {
            let id = format!("0Ym{n:015}");
            object.remember(Time(5000), id.clone(), capacity);
            object.pass(Time(5000), id);
        }
        assert!(!object.low_watermark_key.is_empty());
        object.pass(Time(10 * 3_600_000), String::from("0Ym000000000000009"));
        object.begun = false;
        object.begin_round(HOUR);
        assert_eq!((object.cursor, object.after.as_deref()), (Time(9 * 3_600_000), None));
        assert_eq!(object.low_watermark_key, "");
    }

    #[test]
    fn a_round_without_overlap_goes_on_behind_the_last_record() {
        let mut object = ObjectState::new("LoginEvent", "EventDate", Time(0), Time(0));
        object.pass(Time(5000), String::from("key"));
        object.begin_round(Duration::ZERO);
        assert_eq!((object.cursor, object.after.as_deref()), (Time(5000), Some("key")));
    }

    #[test]
    fn what_is_no_id_is_no_cursor_to_go_on_behind() {
        assert!(is_id("0Ym000000000000") && is_id("0Ym000000000000AAA"));
        assert!(!is_id("0Ym0000000000001") && !is_id("0Ym00000000000'") && !is_id("short"));
        let capacity = Capacity { remembered: 1, ..CAPACITY };
        let mut object = ObjectState::new("SetupAuditTrail", "CreatedDate", Time(0), Time(1000));
        for key in ["a digest of a record", "another"] {
            object.remember(Time(5000), String::from(key), capacity);
        }
        assert_eq!((object.low_watermark, object.low_watermark_key.as_str()), (Some(Time(1000)), ""));
    }

    #[test]
    fn what_is_done_set_aside_or_being_read_is_known_by_its_id_and_its_date() {
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(1000));
        let of = |n: u32, created: i64| Reading::new(file(n, created), 0);
        files.reading = Some(of(1, 5000));
        files.set_aside.push(of(2, 6000));
        for (n, created, known) in [
            (1, 5000, true),
            (2, 6000, true),
            // Issued again under its id, or another of the same instant.
            (1, 5001, false),
            (2, 6001, false),
            (3, 5000, false),
            (3, 6000, false),
        ] {
            assert_eq!(files.is_known("Login", &file(n, 0).id, Time(created)), known, "{n} of {created}");
        }
    }

    #[test]
    fn types_that_were_there_before_are_known_up_to_where_they_were() {
        let both = EventTypes::from_list(vec![String::from("Login"), String::from("API")]);
        let id = file(1, 0).id;
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(5000));
        assert!(files.takes(&login_alone()) && !files.takes(&both));
        files.change_event_types(&both, Time(7), Time(1000));
        assert!(files.is_known("Login", &id, Time(4999)));
        assert!(!files.is_known("Login", &id, Time(5000)));
        assert!(!files.is_known("API", &id, Time(4999)));
        // It is remembered until the low watermark is there again.
        let mut by_listing = files.clone();
        let of = |created: i64| Reading::new(file(2, created), 1);
        files.pass(&of(4999), Duration::ZERO, CAPACITY);
        assert_eq!((files.low_watermark, files.earlier.len()), (Time(4999), 1));
        files.pass(&of(5000), Duration::ZERO, CAPACITY);
        assert_eq!((files.low_watermark, files.earlier.len()), (Time(5000), 0));
        by_listing.end_round(Time(4999).after(QUIET), Duration::ZERO);
        assert_eq!((by_listing.low_watermark, by_listing.earlier.len()), (Time(4999), 1));
        by_listing.end_round(Time(5000).after(QUIET), Duration::ZERO);
        assert_eq!((by_listing.low_watermark, by_listing.earlier.len()), (Time(5000), 0));
        // Where nothing lies behind the beginning, there is nothing to go back for.
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(5000));
        files.change_event_types(&both, Time(7), Time(5000));
        assert_eq!((files.generation, files.earlier.len()), (0, 0));
    }

    #[test]
    fn no_more_is_forgotten_than_there_is_no_capacity_for() {
        let capacity = Capacity { done: 10, ..CAPACITY };
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        for n in 0..13 {
            files.pass(&Reading::new(file(n, 5000 + i64::from(n)), 0), HOUR, capacity);
        }
        assert_eq!(files.done.len(), 10);
        assert_eq!((files.low_watermark, &files.low_watermark_id), (Time(5002), &file(2, 0).id));
        // Several too many at once, as where another stream was added.
        files.pass(&Reading::new(file(13, 5013), 0), HOUR, Capacity { done: 4, ..CAPACITY });
        assert_eq!(files.done.len(), 4);
        assert_eq!(files.low_watermark, Time(5009));
    }

    #[test]
    fn the_memory_that_is_full_while_types_are_caught_up_with_does_not_pass_over_their_files() {
        let both = EventTypes::from_list(vec![String::from("Login"), String::from("API")]);
        let capacity = Capacity { done: 4, ..CAPACITY };
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        for n in 0..4 {
            files.pass(&Reading::new(file(n, 5000 + i64::from(n)), 0), HOUR, capacity);
        }
        files.raise(Time(5000));
        files.change_event_types(&both, Time(7), Time(1000));
        // The oldest that is done is newer than what is read now: forgetting it moves nothing.
        files.pass(&Reading::new(file(9, 2000), files.generation), HOUR, capacity);
        assert_eq!((files.low_watermark, files.done.len()), (Time(2000), 4));
        files.pass(&Reading::new(file(10, 2000), files.generation), HOUR, capacity);
        assert_eq!((files.low_watermark, files.done.len()), (Time(2000), 4));
        // What was begun before moves nothing, wherever it lies.
        let low = files.low_watermark;
        files.pass(&Reading::new(file(11, 9000), 0), HOUR, capacity);
        assert_eq!(files.low_watermark, low);
    }

    #[test]
    fn files_of_one_instant_stay_known_without_an_overlap() {
        let capacity = Capacity { done: 10, ..CAPACITY };
        let mut files = FilesState::new("Hourly", &login_alone(), Time(0), Time(0));
        for n in 0..30 {
            files.pass(&Reading::new(file(n, 5000), 0), Duration::ZERO, capacity);
        }
        assert!((0..30).all(|n| files.is_known("Login", &file(n, 0).id, Time(5000))));
        // There is more capacity again, as where another stream is gone.
        files.pass(&Reading::new(file(30, 5000), 0), Duration::ZERO, CAPACITY);
        assert!((0..31).all(|n| files.is_known("Login", &file(n, 0).id, Time(5000))));
    }
}
