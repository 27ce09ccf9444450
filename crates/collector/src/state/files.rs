//! How far the event log files of a stream are collected.

use super::{capacity::Capacity, defaults::is_default, event_types};
use crate::{config::streams::EventTypes, schedule::backoff::Backoff};
use documents::{EventLogFile, time::Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Earlier choices of event types remembered at most.
pub(super) const MAX_EARLIER: usize = 2;
/// How late a file may come. Salesforce says that files can be created within three days ("Using Event Monitoring",
/// REST API guide).
pub const LATEST: Duration = Duration::from_secs(4 * 24 * 3600);
/// A wait that is not worth shortening, in milliseconds.
pub(super) const SHORT_WAIT: i64 = 60_000;
/// How far the low watermark of a stream without new files trails the last listing, besides the overlap.
pub(super) const QUIET: Duration = Duration::from_secs(24 * 3600);
/// What counts as time of trying between two tries, beyond twice the wait that they agreed on, in milliseconds.
pub(super) const UNAGREED_MS: i64 = 10 * 60_000;

/// How far the event log files of a stream are collected.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct FilesState {
    /// When to look for new files, on the host's clock.
    pub due: Time,
    /// `Interval` of the files: `Hourly` or `Daily`. Empty where version 1 did not say.
    #[serde(default)]
    pub interval: String,
    /// Their types.
    #[serde(default = "login_alone", with = "event_types")]
    pub event_types: EventTypes,
    /// Raised when interval or types change.
    #[serde(default, skip_serializing_if = "is_default")]
    pub generation: u32,
    /// Types that were collected before, and from when on they still have to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// Everything created before this is done or set aside.
    #[serde(alias = "floor")]
    pub low_watermark: Time,
    /// Of what was created at the low watermark itself, everything up to this id is done or set aside.
    #[serde(default, alias = "floor_id", skip_serializing_if = "String::is_empty")]
    pub low_watermark_id: String,
    /// Files that are done and were created at or after the low watermark.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub done: BTreeMap<Time, BTreeSet<String>>,
    /// How far a listing of several parts has got: what was created before this is done or set aside, and the next part
    /// begins here. None where the next listing is the first of its round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Time>,
    /// Up to when the files' content was wanted, where that had an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Set once a round listed all of that, when no file could come any more: what was created before this is done or set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_listed: Option<Time>,
    /// What was all of it before the end was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered: Option<Covered>,
    /// How much time one part of a listing covers, in milliseconds, since longer ones failed; none = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// The file that is being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// Files that could not be read and will be tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<Reading>,
    /// When it last did something, counted in slices of all sources.
    #[serde(default, rename = "turn")]
    pub served: u64,
    /// Set while the files cannot be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Set while downloads fail, one file after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads: Option<Backoff>,
}

/// An earlier choice of event types. When types are added to a stream, its low watermark goes back for them; of those that
/// it had before, everything up to the old one is done.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Earlier {
    /// The types.
    #[serde(with = "event_types")]
    pub event_types: EventTypes,
    /// The low watermark at that time.
    #[serde(alias = "floor")]
    pub low_watermark: Time,
}

/// What is done of a stream that had an end: files that cover a time before it, and were created before it was looked at last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub struct Covered {
    /// The end.
    pub until: Time,
    /// What was created since is not known.
    pub created: Time,
}

pub(super) fn login_alone() -> EventTypes {
    EventTypes::one("Login")
}

/// How far a file is read.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Reading {
    /// The file.
    #[serde(flatten)]
    pub file: EventLogFile,
    /// The generation of the stream in which it was found.
    #[serde(default, skip_serializing_if = "is_default")]
    pub generation: u32,
    /// How far it is read; none = nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The last failure, if nothing was read since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Its failures since something was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// How often it was not the file any more that the checkpoint was made in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub changes: u32,
    /// The length at which the file ended, if it ended before its `LogFileLength`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Rows that are read, up to the checkpoint.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rows: u64,
    /// Those among them that could not be understood.
    #[serde(default, skip_serializing_if = "is_default")]
    pub malformed: u64,
    /// Those that were left out, as the configuration has it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub left_out: u64,
    /// How often reading it failed, whether something was read since or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: u32,
}

impl Reading {
    /// The beginning of a file.
    pub fn new(file: EventLogFile, generation: u32) -> Self {
        Self {
            file,
            generation,
            checkpoint: None,
            backoff: None,
            failing: None,
            changes: 0,
            ended_at: None,
            rows: 0,
            malformed: 0,
            left_out: 0,
            failures: 0,
        }
    }

    /// Bytes of the file still to read.
    pub fn remaining(&self) -> u64 {
        self.file.length.saturating_sub(self.read())
    }

    /// Bytes of the file that are read.
    pub fn read(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset)
    }

    /// Notes one more failure without progress.
    pub fn failed(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        let agreed = self.backoff.as_ref().map_or(0, |backoff| backoff.until.0 - backoff.since.0);
        let failing = self.failing.get_or_insert(Failing { tries: 0, for_ms: 0, last: now, alone: false });
        // A host that was switched off, or whose clock jumped, was not trying all the time.
        let counts = agreed.max(0).saturating_mul(2).saturating_add(UNAGREED_MS);
        let passed = now.0.saturating_sub(failing.last.0).clamp(0, counts);
        failing.for_ms = failing.for_ms.saturating_add(passed.unsigned_abs());
        failing.tries = failing.tries.saturating_add(1);
        failing.last = now;
    }

    /// Whether this is a later issue of the same log: a daily file that replaces another as a whole.
    pub fn replaces(&self, other: &Self) -> bool {
        let (new, old) = (&self.file, &other.file);
        let daily = |file: &EventLogFile| file.interval.eq_ignore_ascii_case("daily");
        let what = |file: &EventLogFile| (file.event_type.clone(), file.log_date, file.sequence);
        daily(new) && daily(old) && what(new) == what(old) && new.created > old.created
    }
}

/// Failures in a row, without anything read between them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub struct Failing {
    /// How many.
    pub tries: u32,
    /// Over how much time that tries were spread over, in milliseconds.
    pub for_ms: u64,
    /// When the last one was, on the host's clock.
    pub last: Time,
    /// Whether other files were read meanwhile.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alone: bool,
}

/// A checkpoint between two rows.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Checkpoint {
    /// Bytes read, after decompression.
    pub offset: u64,
    /// Length of the last row read, with its line break.
    pub row_length: u64,
    /// Digest of the last row read.
    pub row_digest: String,
}

impl FilesState {
    /// Nothing of them is collected.
    pub fn new(interval: &str, event_types: &EventTypes, now: Time, low_watermark: Time) -> Self {
        Self {
            due: now,
            interval: interval.to_owned(),
            event_types: event_types.clone(),
            generation: 0,
            earlier: Vec::new(),
            served: 0,
            low_watermark,
            low_watermark_id: String::new(),
            done: BTreeMap::new(),
            listed: None,
            until: None,
            all_listed: None,
            covered: None,
            window: None,
            reading: None,
            set_aside: Vec::new(),
            backoff: None,
            downloads: None,
        }
    }

    /// Whether files of this interval are collected.
    pub fn is_of(&self, interval: &str) -> bool {
        self.interval == interval
    }

    /// Goes over to files of another interval. Files of one interval say nothing of those of the other, and either may
    /// lag days behind, so the low watermark goes back: rows that come again have the same ids.
    pub fn change_interval(&mut self, interval: &str, now: Time) {
        if self.is_of(interval) {
            return;
        }
        if self.interval.is_empty() {
            // Version 1 did not say, and nobody says that it was another.
            interval.clone_into(&mut self.interval);
            return;
        }
        interval.clone_into(&mut self.interval);
        self.earlier.clear();
        self.done.clear();
        self.begin_generation(self.low_watermark.before(LATEST), now);
    }

    /// Whether these types are collected.
    pub fn takes(&self, event_types: &EventTypes) -> bool {
        self.event_types == *event_types
    }

    /// Goes over to other event types. For types that are new, the low watermark goes back as far as a new stream would
    /// begin.
    pub fn change_event_types(&mut self, event_types: &EventTypes, now: Time, beginning: Time) {
        if self.takes(event_types) {
            return;
        }
        let earlier = std::mem::replace(&mut self.event_types, event_types.clone());
        if earlier.cover(event_types) {
            return;
        }
        self.due = now;
        // The parts that were listed before were listed without them.
        self.listed = None;
        if beginning < self.low_watermark {
            self.earlier.push(Earlier { event_types: earlier, low_watermark: self.low_watermark });
            // Without the oldest, some files are read again.
            let excess = self.earlier.len().saturating_sub(MAX_EARLIER);
            self.earlier.drain(..excess);
            self.begin_generation(beginning, now);
        }
    }

    /// Goes over to another end. What was not wanted before may lie below the low watermark, so that goes back to the end that
    /// there was: no file that covers a later time was created before it.
    pub fn change_until(&mut self, until: Option<Time>, now: Time) {
        let earlier = std::mem::replace(&mut self.until, until);
        if earlier == until {
            return;
        }
        let all_listed = self.all_listed.take();
        self.due = now;
        if let Some(earlier) = earlier
            && until.is_none_or(|until| earlier < until)
            && earlier < self.low_watermark
        {
            self.earlier.clear();
            self.begin_generation(earlier, now);
            self.covered = all_listed.map(|created| Covered { until: earlier, created });
        }
    }

    /// Whether nothing is left to do, now or later.
    pub fn is_complete(&self) -> bool {
        self.all_listed.is_some() && self.reading.is_none() && self.set_aside.is_empty()
    }

    pub(super) fn begin_generation(&mut self, low_watermark: Time, now: Time) {
        self.generation = self.generation.wrapping_add(1);
        self.low_watermark = low_watermark;
        self.low_watermark_id.clear();
        self.listed = None;
        self.covered = None;
        self.due = now;
    }

    /// From when on files are to be listed.
    pub fn list_from(&self) -> Time {
        self.listed.map_or(self.low_watermark, |listed| listed.max(self.low_watermark))
    }

    /// Notes that something of a file was read. What failed until now may have failed for a reason that is over: each such file
    /// is due once, whatever it would have waited. From then on its errors are its own.
    pub fn downloads_work(&mut self, now: Time) {
        self.downloads = None;
        for reading in &mut self.set_aside {
            let Reading { backoff: Some(backoff), failing: Some(failing), .. } = reading else { continue };
            if !failing.alone && backoff.remaining(now) > SHORT_WAIT {
                failing.alone = true;
                backoff.until = now;
            }
        }
    }

    /// Whether a file was done before the end of the stream was put off.
    pub fn is_covered(&self, file: &EventLogFile) -> bool {
        self.covered.is_some_and(|covered| file.log_date < covered.until && file.created < covered.created)
    }

    /// Whether a file need not be read (again), or not now.
    pub fn is_known(&self, event_type: &str, id: &str, created: Time) -> bool {
        let before =
            |earlier: &Earlier| created < earlier.low_watermark && earlier.event_types.include(event_type);
        // One that is issued again may keep its id; what is read then is the earlier one.
        let is_it = |reading: &Reading| reading.file.id == id && reading.file.created == created;
        (created, id) <= (self.low_watermark, self.low_watermark_id.as_str())
            || self.earlier.iter().any(before)
            || self.done.get(&created).is_some_and(|ids| ids.contains(id))
            || self.reading.as_ref().is_some_and(is_it)
            || self.set_aside.iter().any(is_it)
    }

    /// Notes that a file is done or set aside, and lets the low watermark follow. Files come in the order of their
    /// creation, so everything older of the same generation is done or set aside as well, or not visible.
    pub fn pass(&mut self, reading: &Reading, overlap: Duration, capacity: Capacity) {
        let file = &reading.file;
        let of_this_interval = self.interval.eq_ignore_ascii_case(&file.interval);
        if file.created >= self.low_watermark && of_this_interval {
            self.done.entry(file.created).or_default().insert(file.id.clone());
        }
        if reading.generation == self.generation {
            self.raise(file.created.before(overlap));
        }
        let mut excess = self.done.values().map(BTreeSet::len).sum::<usize>().saturating_sub(capacity.done);
        while excess > 0
            && let Some(mut oldest) = self.done.first_entry()
        {
            // What was done before the low watermark went back for new types says nothing of theirs: it is forgotten, and
            // read again.
            let catching_up = !self.earlier.is_empty() && *oldest.key() > file.created;
            let moves = reading.generation == self.generation && !catching_up;
            let at = *oldest.key();
            if let Some(id) = oldest.get_mut().pop_first() {
                if moves {
                    (self.low_watermark, self.low_watermark_id) = (at, id);
                }
                excess -= 1;
            }
            if oldest.get().is_empty() {
                oldest.remove();
            }
        }
        self.earlier.retain(|earlier| earlier.low_watermark > self.low_watermark);
    }

    /// Notes that all files are done or set aside that were created before this, on the org's clock, and visible.
    pub fn end_round(&mut self, listed: Time, overlap: Duration) {
        self.listed = None;
        self.raise(listed.before(overlap).before(QUIET));
        self.earlier.retain(|earlier| earlier.low_watermark > self.low_watermark);
    }

    pub(super) fn raise(&mut self, low_watermark: Time) {
        if low_watermark > self.low_watermark {
            self.low_watermark = low_watermark;
            self.low_watermark_id.clear();
            self.done = self.done.split_off(&low_watermark);
        }
    }
}
