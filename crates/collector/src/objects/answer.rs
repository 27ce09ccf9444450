//! The records of an answer: which of them were asked for, in order, and as many as can be held.

use super::{
    reader::Held,
    window::{MAX_RECORDS, Window},
};
use crate::{problem::Problem, state::ObjectState};
use documents::time::Time;
use std::collections::{BTreeMap, HashSet};

/// How far beside a window the date of a record may lie that belongs to it, in milliseconds.
pub const BESIDE_MS: i64 = 1000;

/// A record at its position in the answer.
pub struct Positioned {
    pub at: Time,
    /// Until when it is remembered, where its date does not tell its position.
    pub remembered_at: Option<Time>,
    pub record: Held,
}

/// What came of a query.
pub enum Fetched {
    /// All records of the window.
    All(Answer),
    /// Some records; there are more behind the last of them.
    Some(Answer),
    /// More than a window may hold, or than there is time for; how many records, if the org told.
    TooMuch(Option<u64>),
}

/// The records of an answer, in order, and what is to be doubted of it.
#[derive(Default)]
pub struct Answer {
    pub records: Vec<Positioned>,
    pub bytes: usize,
    /// How many records it said it had, and how many came, if that is less.
    pub shortage: Option<(u64, u64)>,
    /// Records that were not asked for, and one of them.
    pub foreign: Option<(u32, String)>,
    /// What is doubtful about the configuration.
    pub doubts: Vec<Problem>,
}

/// The records found so far.
pub struct Found {
    /// By (date, key), where the answer has no order of its own.
    pub sorted: BTreeMap<(Time, String), Positioned>,
    /// As they came, where it has.
    pub positioned: Vec<Positioned>,
    /// Keys of records that came, of this answer or the last one.
    pub keys: HashSet<String>,
    /// Records that came.
    pub records: usize,
    /// Those not counted that came twice.
    pub seen: usize,
    pub bytes: usize,
    pub capacity: usize,
    pub limit: usize,
    /// Whether some were left out.
    pub cut: bool,
    pub ascending: bool,
    pub is_in_order: bool,
    pub foreign: Option<(u32, String)>,
    pub doubts: Vec<Problem>,
}

impl Found {
    pub fn new(window: &Window, capacity: usize, limit: usize) -> Self {
        Self {
            sorted: BTreeMap::new(),
            positioned: Vec::new(),
            keys: HashSet::new(),
            records: 0,
            seen: 0,
            bytes: 0,
            capacity,
            limit,
            cut: false,
            ascending: window.ascending,
            is_in_order: true,
            foreign: None,
            doubts: Vec::new(),
        }
    }

    /// Adds a record, unless it came twice, or was delivered before, or was not asked for.
    pub fn add(&mut self, window: &Window, state: &ObjectState, record: Held) {
        self.records += 1;
        if !self.keys.insert(record.key.clone()) {
            return;
        }
        self.seen += 1;
        // One without a key of its own, or with a date beside the window, is remembered by the window it came in.
        let is_within = record.at.is_some_and(|at| at >= window.from && at < window.until);
        let is_positioned = is_within && (record.keyed || !window.is_keyed);
        if state.remembers(record.at.filter(|_| is_positioned), &record.key) {
            return;
        }
        let (at, remembered_at) = match record.at {
            // Without a key of its own, no query can go on behind it.
            Some(at) if at >= window.from && at < window.until && !record.keyed && window.is_keyed => {
                (at, Some(Time(window.until.0 - 1)))
            }
            Some(at) if at >= window.from && at < window.until => {
                // Where the answer is in an order of its own, the query leaves those before out.
                let delivered = |after: &String| {
                    if self.ascending { record.key == *after } else { record.key <= *after }
                };
                if at == window.from && window.after.as_ref().is_some_and(delivered) {
                    return;
                }
                (at, None)
            }
            Some(at) if at.0 < window.from.0 - BESIDE_MS || at.0 >= window.until.0 + BESIDE_MS => {
                let (count, _) = self.foreign.get_or_insert_with(|| (0, format!("{} at {at}", record.key)));
                *count = count.saturating_add(1);
                return;
            }
            // Its date does not tell its position. It is remembered for as long as this window may be asked for.
            _ => (self.position(window), Some(Time(window.until.0 - 1))),
        };
        let positioned = Positioned { at, remembered_at, record };
        if self.ascending {
            self.append(positioned);
        } else {
            self.bytes += positioned.record.length();
            self.sorted.insert((at, positioned.record.key.clone()), positioned);
        }
    }

    /// The position of a record whose date does not tell it.
    pub fn position(&self, window: &Window) -> Time {
        self.positioned.last().map_or(window.from, |last| last.at)
    }

    /// Adds a record of an answer that is in order.
    pub fn append(&mut self, positioned: Positioned) {
        self.is_in_order &= self.positioned.last().is_none_or(|last| last.at <= positioned.at);
        self.cut |= !self.positioned.is_empty() && self.bytes + positioned.record.length() > self.capacity;
        if !self.cut {
            self.bytes += positioned.record.length();
            self.positioned.push(positioned);
        }
    }

    pub fn is_too_much(&self) -> bool {
        self.sorted.len() > MAX_RECORDS || (self.bytes > self.capacity && self.sorted.len() > 1)
    }

    /// Keeps the first ones alone.
    pub fn drop_excess(&mut self) {
        while self.is_too_much()
            && let Some((_, last)) = self.sorted.pop_last()
        {
            self.bytes -= last.record.length();
            self.cut = true;
        }
    }

    pub fn finish(self, window: &Window, shortage: Option<(u64, u64)>) -> Fetched {
        let is_full = self.ascending && self.records >= self.limit;
        let partial = self.cut || is_full;
        let mut records = if self.ascending { self.positioned } else { self.sorted.into_values().collect() };
        if !self.is_in_order {
            // All of it can be put in order; of a part nobody knows what is missing.
            if partial && window.span() > 1 {
                return Fetched::TooMuch(None);
            }
            records.sort_unstable_by(|a, b| (a.at, &a.record.key).cmp(&(b.at, &b.record.key)));
        }
        let (foreign, doubts) = (self.foreign, self.doubts);
        let answer = Answer { records, bytes: self.bytes, shortage, foreign, doubts };
        if partial { Fetched::Some(answer) } else { Fetched::All(answer) }
    }
}
