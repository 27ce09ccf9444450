//! Where a collection stands: all that a fresh instance needs to go on, as versioned JSON that a person can read.
//!
//! The place in a stream's files is a floor and the files that are done above it. Everything created before the floor
//! is done (or set aside by name); at or above it, what is done is listed. The floor trails the newest file by the
//! overlap, so that a file which becomes visible late, with an older CreatedDate than files that were already read, is
//! found. The place in an object is an instant and a key: everything before it is delivered.
//!
//! # How large it gets
//!
//! At most 1 MiB, as the contract asks, whatever an org does: [`MAX_PLACES`] streams; [`MAX_NAMES`] names of event types (with
//! more, what was configured before is forgotten); [`MAX_DONE`] files remembered above the floors of all streams together
//! (with more of them within the overlap, the floor rises early, and only a file that shows up late is at risk);
//! [`MAX_SET_ASIDE`] files set aside in all (with more, the stream waits); texts from outside are cut.

use crate::{
    backoff::Backoff,
    config::streams::EventTypes,
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
///
/// 1: Login files alone. 2: event types, objects.
const VERSION: u64 = 2;
/// Streams with a place at most, those that are not configured any more included.
pub const MAX_PLACES: usize = 32;
/// Files remembered above the floors at most, all streams together.
const MAX_DONE: usize = 6000;
/// Files set aside at most, all streams together.
const MAX_SET_ASIDE: usize = 128;
/// Names of event types at most, all streams together; a configuration has fewer than half as many.
const MAX_NAMES: usize = 1000;
/// Earlier choices of event types remembered at most.
const MAX_EARLIER: usize = 2;
/// How late a file may come. Salesforce says that files can be created within three days ("Using Event Monitoring",
/// REST API guide).
const LATEST: Duration = Duration::from_secs(4 * 24 * 3600);

/// The state of a collection.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct State {
    format: String,
    version: u64,
    /// Host of the org that it stands in; of another org it would skip what it has never seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    instance: String,
    /// Places by stream. Those of streams that are not configured (any more) are kept as long as there is room.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamState>,
    /// Set while no request makes sense: nobody can sign in, or the allowance is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// The places of a stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct StreamState {
    /// The place in its event log files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log_file: Option<FilesState>,
    /// The place in its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectState>,
}

/// The place in an object.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ObjectState {
    /// When to look for new records, on the host's clock.
    pub due: Time,
    /// Name of the object.
    pub name: String,
    /// The field with the date and time to collect by.
    pub cursor_field: String,
    /// Every record before this is delivered.
    pub next: Time,
    /// Of the records at that very instant, those up to this key are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How much time one query covers, in milliseconds, since a longer one held too many records. 0 = a part of those of
    /// one instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// When it last filled a batch, counted in batches.
    #[serde(default)]
    pub turn: u64,
    /// Set while the object cannot be queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

impl ObjectState {
    /// The place before the first record.
    pub fn new(name: &str, cursor_field: &str, now: Time, next: Time) -> Self {
        Self {
            due: now,
            name: name.to_owned(),
            cursor_field: cursor_field.to_owned(),
            next,
            after: None,
            window: None,
            turn: 0,
            backoff: None,
        }
    }

    /// Goes on to a record that is delivered.
    pub fn pass(&mut self, at: Time, key: String) {
        self.next = at;
        self.after = Some(key);
    }
}

/// The place in the event log files of a stream.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct FilesState {
    /// When to look for new files, on the host's clock.
    pub due: Time,
    /// `Interval` of the files: `Hourly` or `Daily`.
    #[serde(default)]
    pub interval: String,
    /// Their types.
    #[serde(default = "login_alone", with = "event_types")]
    pub event_types: EventTypes,
    /// Types that were collected before, and from when on they still have to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
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
    /// When it last filled a batch, counted in batches.
    #[serde(default)]
    pub turn: u64,
    /// Set while the files cannot be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// An earlier choice of event types. When types are added to a stream, its floor goes back for them; of those that it had
/// before, everything up to the old floor is done.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Earlier {
    /// The types.
    #[serde(with = "event_types")]
    pub event_types: EventTypes,
    /// The floor at that time.
    pub floor: Time,
}

/// Types as a list of names.
mod event_types {
    use super::EventTypes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(types: &EventTypes, serializer: S) -> Result<S::Ok, S::Error> {
        types.to_list().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTypes, D::Error> {
        Vec::deserialize(deserializer).map(EventTypes::from_list)
    }
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

fn login_alone() -> EventTypes {
    EventTypes::one("Login")
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
    /// Salesforce says that it has no such file; none = it said something else since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// The length at which the file ended, if it ended before its `LogFileLength`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

impl Reading {
    /// The beginning of a file.
    pub fn new(file: FileInfo) -> Self {
        Self { file, checkpoint: None, backoff: None, failing_since: None, gone: None, ended_at: None }
    }

    /// Bytes of the file still to read.
    pub fn remaining(&self) -> u64 {
        self.file.length.saturating_sub(self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset))
    }
}

/// What Salesforce says of a file that it does not have.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub struct Gone {
    /// Since when, on the host's clock.
    pub since: Time,
    /// How often in a row.
    pub times: u32,
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

/// How many files a stream may remember.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Done and above the floor.
    pub done: usize,
    /// Set aside.
    pub set_aside: usize,
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
            // What version 1 lacks has a default that means what version 1 meant.
            Some(1 | VERSION) => {}
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
                foreign(format!("the state is damaged: {}", crate::problem::quoted(&error.to_string(), 200)))
            }
        }
    }

    /// Makes a place for each configured stream; if there is no room, those of streams that are not configured any more
    /// go, the least recently used first, and then earlier choices of event types, for which files are read again.
    pub fn make_room<'s>(&mut self, configured: impl Iterator<Item = &'s str>) {
        let configured: BTreeSet<&str> = configured.collect();
        let due = |stream: &StreamState| {
            let files = stream.event_log_file.as_ref().map(|files| files.due);
            files.max(stream.object.as_ref().map(|object| object.due))
        };
        for name in &configured {
            self.streams.entry((*name).to_owned()).or_default();
        }
        while self.streams.len() > MAX_PLACES || self.names() > MAX_NAMES {
            let retired = self.streams.iter().filter(|(name, _)| !configured.contains(name.as_str()));
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

    /// How much room each stream has for files that it remembers.
    pub fn room(&self) -> Room {
        let places = self.streams.values().filter(|stream| stream.event_log_file.is_some()).count();
        let places = places.clamp(1, MAX_PLACES);
        Room { done: MAX_DONE / places, set_aside: MAX_SET_ASIDE / places }
    }

    /// The number of the next batch that is filled.
    pub fn next_turn(&self) -> u64 {
        let files = self.streams.values().filter_map(|stream| Some(stream.event_log_file.as_ref()?.turn));
        let objects = self.streams.values().filter_map(|stream| Some(stream.object.as_ref()?.turn));
        files.chain(objects).max().unwrap_or(0).saturating_add(1)
    }

    /// As text, to be given to the host.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl FilesState {
    /// The place before the first file.
    pub fn new(interval: &str, event_types: &EventTypes, now: Time, floor: Time) -> Self {
        Self {
            due: now,
            interval: interval.to_owned(),
            event_types: event_types.clone(),
            earlier: Vec::new(),
            turn: 0,
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
            self.earlier.clear();
            self.due = now;
        }
    }

    /// Goes over to other event types. For types that are new, the floor goes back as far as a new stream would begin.
    pub fn change_event_types(&mut self, event_types: &EventTypes, now: Time, beginning: Time) {
        if self.event_types == *event_types {
            return;
        }
        let earlier = std::mem::replace(&mut self.event_types, event_types.clone());
        if earlier.cover(event_types) {
            return;
        }
        self.due = now;
        if beginning < self.floor {
            self.earlier.push(Earlier { event_types: earlier, floor: self.floor });
            // Without the oldest, some files are read again.
            let excess = self.earlier.len().saturating_sub(MAX_EARLIER);
            self.earlier.drain(..excess);
            self.floor = beginning;
            self.floor_id.clear();
        }
    }

    /// Whether a file need not be read (again), or not now.
    pub fn is_known(&self, event_type: &str, id: &str, created: Time) -> bool {
        let before = |earlier: &Earlier| created < earlier.floor && earlier.event_types.include(event_type);
        (created, id) <= (self.floor, self.floor_id.as_str())
            || self.earlier.iter().any(before)
            || self.done.get(&created).is_some_and(|ids| ids.contains(id))
            // One that is issued again may keep its id; what is read then is the earlier one.
            || self.reading.as_ref().is_some_and(|reading| reading.file.id == id && reading.file.created == created)
    }

    /// Notes that a file is done or set aside, and lets the floor follow. Files come in the order of their creation,
    /// so everything older is done or set aside as well, or not visible.
    pub fn pass(&mut self, file: &FileInfo, overlap: Duration, room: Room) {
        if file.created >= self.floor {
            self.done.entry(file.created).or_default().insert(file.id.clone());
        }
        let floor = file.created.before(overlap);
        if floor > self.floor {
            self.floor = floor;
            self.floor_id.clear();
            self.done = self.done.split_off(&floor);
        }
        let mut excess = self.done.values().map(BTreeSet::len).sum::<usize>().saturating_sub(room.done);
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
        self.earlier.retain(|earlier| earlier.floor > self.floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const ROOM: Room = Room { done: MAX_DONE, set_aside: MAX_SET_ASIDE };

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
        let mut files = FilesState::new("Hourly", &login_alone(), Time(1000), Time(0));
        files.pass(&file(1, 5000), HOUR, ROOM);
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
        state
            .streams
            .insert(String::from("login"), StreamState { event_log_file: Some(files), object: None });
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
        files.pass(&file(1, 10 * day), Duration::ZERO, ROOM);
        files.change_interval("Hourly", Time(7));
        assert_eq!((files.floor, files.due), (Time(10 * day), Time(0)));
        files.change_interval("Daily", Time(7));
        assert_eq!((files.floor, files.due), (Time(6 * day), Time(7)));
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
            (r#"{"format":"salesforce-source/state","version":3}"#, "version 3"),
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
        files.pass(&file(1, 10_000_000), HOUR, ROOM);
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
            files.pass(&file(n, 5000), HOUR, ROOM);
        }
        assert!((0..all).all(|n| files.is_known("Login", &file(n, 0).id, Time(5000))));
    }

    #[test]
    fn the_state_stays_below_its_bound_whatever_an_org_and_its_operator_do() {
        // Nothing takes more room in JSON than a control character, and in a message nothing more than four bytes.
        let worst = |count: usize| "\u{1}".repeat(count);
        let problem = Problem::new(Kind::Permission, "\u{10FFFF}".repeat(400));
        let backoff = || Some(Backoff::after(None, &problem, Time(i64::from(i32::MAX)), "x"));
        let types = |n: usize| EventTypes::from_list((0..6).map(|m| format!("{n:030}{m:030}")).collect());
        let mut state = State::new();
        let names: Vec<String> = (0..MAX_PLACES).map(|n| format!("{n:040}")).collect();
        state.make_room(names.iter().map(String::as_str));
        for place in state.streams.values_mut() {
            let mut object = ObjectState::new(&"o".repeat(80), &"f".repeat(80), Time(0), Time(0));
            object.pass(Time(0), worst(255));
            object.backoff = backoff();
            let mut files = FilesState::new("Hourly", &types(0), Time(0), Time(0));
            for n in 1..5 {
                files.change_event_types(&types(n), Time(0), Time(-1 - i64::try_from(n).expect("small")));
            }
            *place = StreamState { event_log_file: Some(files), object: Some(object) };
        }
        let room = state.room();
        for (stream, place) in state.streams.values_mut().enumerate() {
            let Some(files) = &mut place.event_log_file else { continue };
            let reading = |n: u32| Reading {
                backoff: backoff(),
                ended_at: Some(u64::MAX),
                failing_since: Some(Time(0)),
                gone: Some(Gone { since: Time(0), times: u32::MAX }),
                checkpoint: Some(Checkpoint {
                    offset: u64::MAX,
                    row_length: u64::MAX,
                    row_digest: "0".repeat(32),
                }),
                ..Reading::new(FileInfo {
                    event_type: worst(80),
                    interval: worst(20),
                    api_version: worst(20),
                    ..file(n, 0)
                })
            };
            for n in 0..u32::try_from(2 * room.done).expect("small") {
                let id = u32::try_from(stream).expect("small") * 100_000 + n;
                files.pass(&file(id, 1_000_000_000 + i64::from(n)), HOUR, room);
            }
            files.set_aside = (0..u32::try_from(room.set_aside).expect("small")).map(reading).collect();
            files.reading = Some(reading(0));
            files.backoff = backoff();
        }
        state.backoff = backoff();
        let size = state.to_json().len();
        assert!((500_000..=1 << 20).contains(&size), "{size}");
    }

    #[test]
    fn what_was_configured_before_is_forgotten_where_it_takes_too_much_room() {
        let types = |n: u32| EventTypes::from_list((0..200).map(|m| format!("Type{n}x{m}")).collect());
        let mut state = State::new();
        for n in 0..20 {
            let name = format!("stream{n}");
            state.make_room([name.as_str(), "kept"].into_iter());
            let mut files = FilesState::new("Hourly", &types(n), Time(0), Time(0));
            files.due = Time(i64::from(n));
            state.streams.insert(name, StreamState { event_log_file: Some(files), object: None });
        }
        state.make_room(["stream19", "kept"].into_iter());
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
            files.pass(&file(n, 10_000_000 + i64::from(n / 3)), HOUR, ROOM);
        }
        let known = files.done.values().map(BTreeSet::len).sum::<usize>();
        assert!(known <= MAX_DONE, "{known}");
        assert!(files.is_known("Login", &file(19_999, 0).id, Time(10_000_000 + 6666)));
        let mut state = State::new();
        state
            .streams
            .insert(String::from("login"), StreamState { event_log_file: Some(files), object: None });
        assert!(state.to_json().len() < 256 * 1024, "{}", state.to_json().len());
    }
}
