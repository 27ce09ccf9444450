//! How far the records of an object are collected.

use super::{capacity::Capacity, defaults::is_default};
use crate::schedule::backoff::Backoff;
use documents::time::Time;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How far an object is collected.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ObjectState {
    /// When to look for new records, on the host's clock.
    pub due: Time,
    /// Name of the object.
    pub name: String,
    /// The field with the date and time to collect by.
    pub cursor_field: String,
    /// Every record before this is delivered, and none that appears late is looked for; none = the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_watermark: Option<Time>,
    /// Of the records at the low watermark itself, those up to this key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub low_watermark_key: String,
    /// Whether a round has begun, and the cursor went back to the low watermark for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub begun: bool,
    /// Every record before this that was there is delivered.
    #[serde(alias = "next")]
    pub cursor: Time,
    /// Up to when all of it is delivered, where it has an end and nothing more is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_until: Option<Time>,
    /// Of the records at that very instant, those up to this key are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Keys of records that are delivered, at or after the low watermark, by date.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remembered: BTreeMap<Time, BTreeSet<String>>,
    /// What is collected of the window that is not whole yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Collected>,
    /// Whether the fields of other objects are left out that the built-in query asks for, since the org refused them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alone: bool,
    /// Since when, on the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_since: Option<Time>,
    /// How much time one query covers, in milliseconds, since a longer one held too many records. 0 = a part of those of
    /// one instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// The width of a window that failed, in milliseconds: no wider ones are asked for, until some windows have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_wide: Option<u64>,
    /// How many windows have come since.
    #[serde(default, skip_serializing_if = "is_default")]
    pub came: u32,
    /// How often wider windows were tried since, and one failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vain: u32,
    /// When it last did something, counted in slices of all sources.
    #[serde(default, rename = "turn")]
    pub served: u64,
    /// Set while the object cannot be queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// What is collected of a window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub struct Collected {
    /// Where it begins.
    pub from: Time,
    /// Records of it that came, those included that are left out.
    pub records: u64,
    /// Those among them that could not be understood in full.
    #[serde(default, skip_serializing_if = "is_default")]
    pub malformed: u64,
    /// Records that were left out, as the configuration has it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub left_out: u64,
    /// Queries that were sent for it, failed ones included.
    pub queries: u32,
}

impl Collected {
    /// Nothing of it.
    pub fn from(from: Time) -> Self {
        Self { from, records: 0, malformed: 0, left_out: 0, queries: 0 }
    }
}

impl ObjectState {
    /// Nothing of it is collected.
    pub fn new(name: &str, cursor_field: &str, now: Time, cursor: Time) -> Self {
        Self {
            due: now,
            name: name.to_owned(),
            cursor_field: cursor_field.to_owned(),
            low_watermark: Some(cursor),
            low_watermark_key: String::new(),
            begun: false,
            cursor,
            complete_until: None,
            after: None,
            remembered: BTreeMap::new(),
            collected: None,
            alone: false,
            alone_since: None,
            window: None,
            too_wide: None,
            came: 0,
            vain: 0,
            served: 0,
            backoff: None,
        }
    }

    /// Begins a round: goes back by the overlap, but not behind the low watermark.
    pub fn begin_round(&mut self, overlap: Duration) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let low = self.low_watermark.unwrap_or(self.cursor);
        let mark = low.max(self.cursor.before(overlap));
        if mark > low {
            self.low_watermark_key.clear();
        }
        self.low_watermark = Some(mark);
        self.forget_before(mark);
        if mark < self.cursor {
            self.cursor = mark;
            self.after = Some(self.low_watermark_key.clone()).filter(|key| !key.is_empty());
        }
    }

    /// Whether nothing is left to do, now or later, if that is the end of it.
    pub fn is_complete(&self, until: Option<Time>) -> bool {
        self.complete_until.is_some_and(|complete| until.is_some_and(|until| until <= complete))
    }

    /// Goes on to a record that is delivered.
    pub fn pass(&mut self, at: Time, key: String) {
        self.cursor = at;
        self.after = Some(key);
    }

    /// Remembers a record that is delivered, in the place of the oldest ones where there is no capacity. Those are not asked for
    /// again, and neither is what shows up late before them.
    pub fn remember(&mut self, at: Time, key: String, capacity: Capacity) {
        self.remembered.entry(at).or_default().insert(key);
        let mut excess =
            self.remembered.values().map(BTreeSet::len).sum::<usize>().saturating_sub(capacity.remembered);
        while excess > 0
            && let Some(mut oldest) = self.remembered.first_entry()
        {
            let at = *oldest.key();
            let forgotten = oldest.get_mut().pop_first();
            if oldest.get().is_empty() {
                oldest.remove();
            }
            excess -= 1;
            if self.low_watermark.is_none_or(|low| low <= at)
                && let Some(key) = forgotten.filter(|key| is_id(key))
            {
                (self.low_watermark, self.low_watermark_key) = (Some(at), key);
            }
        }
    }

    /// Whether a record of this date is remembered; where it tells none, whether one with its key is.
    pub fn remembers(&self, at: Option<Time>, key: &str) -> bool {
        match at {
            Some(at) => self.remembered.get(&at).is_some_and(|keys| keys.contains(key)),
            None => self.remembered.values().any(|keys| keys.contains(key)),
        }
    }

    /// Forgets what no query from this instant on can bring again.
    pub fn forget_before(&mut self, time: Time) {
        if self.remembered.first_key_value().is_some_and(|(first, _)| *first < time) {
            self.remembered = self.remembered.split_off(&time);
        }
    }
}

/// Whether a text can be the id of a record: 15 or 18 letters and digits.
pub fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
