//! The records of an object: window after window, each delivered in the order of (date, key) once all of it is there.
//!
//! # Why windows
//!
//! LoginEvent, LogoutEvent and their like are big objects: filtered by EventDate alone, answered newest first
//! ("LoginEvent", platform events guide). With answers in that order the place may only move on once the last page is in, or
//! everything older than a failure is lost. So a query covers a window `from <= date < until` that is small enough to be
//! held as a whole: all of its pages are read, then it is put in order and delivered, and a batch may end between any two
//! records of it. If it holds more than [`MAX_RECORDS`], or takes the org too long (`QUERY_TIMEOUT`), a narrower one is
//! asked for; once windows are sparse they grow again.
//!
//! An instant alone may hold more than that. Then a query asks for that instant, behind the last key that was delivered
//! (`EventDate = x AND EventIdentifier > 'y'`); of what it answers the lowest keys are kept. So no query grows with the
//! number of records, and no order of the answer is relied on.
//!
//! Ordinary objects are sorted by (date, Id), and a query starts behind the last record.
//!
//! # Why the newest records wait
//!
//! A record can be queried seconds to minutes after its date. A window ends before the settle time, on the org's clock: that of
//! the answer itself, since the host's may be wrong and an earlier answer's may be old. What is younger is left for the
//! next time.

use crate::{
    backoff::Backoff,
    config::streams::{ObjectSource, Paging},
    pages::Pages,
    problem::Problem,
    reader::{Held, Reader},
    record::Page,
    session::{Org, Trouble},
    soql::{query_path, records, records_at},
    state::ObjectState,
    time::{Time, millis},
    turn::{Step, Turn},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Records of one window at most: as many as a full page of Salesforce has.
const MAX_RECORDS: usize = 2000;
/// Bytes of the events that are held at most, all objects together.
const MAX_HELD: usize = 12 << 20;
/// A window wider than this is as good as none.
const WIDEST_MS: u64 = 3650 * 24 * 3_600_000;

/// What is kept in memory of an object. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct ObjectWork {
    /// Records that are still to be delivered.
    held: VecDeque<Held>,
    /// Where the place is once they are.
    reached: Option<Place>,
    round: Option<Round>,
}

/// An instant, and a key of the last record that was delivered there.
type Place = (Time, Option<String>);

/// From one look for new records to the next.
#[derive(Clone, Copy)]
struct Round {
    /// When it began, on the host's clock.
    began: Time,
    /// Up to where it goes, on the org's clock.
    until: Time,
}

/// What came of a query.
enum Fetched {
    /// All records of the window.
    All(Vec<Held>),
    /// Some records; there are more behind the last of them.
    Some(Vec<Held>),
    /// More records than a window may hold; how many, if the org told.
    TooMany(Option<u64>),
}

impl ObjectWork {
    /// Does the next thing there is to do.
    ///
    /// # Errors
    /// When nobody can sign in, and no other source needs to try.
    pub fn step(
        &mut self,
        mut turn: Turn<'_, '_, '_>,
        source: &ObjectSource,
        sources: usize,
        place: &mut Option<ObjectState>,
    ) -> Result<Step, Problem> {
        let now = turn.now();
        let is_of = |state: &ObjectState| state.name == source.object && state.cursor_field == source.date;
        if !place.as_ref().is_some_and(is_of) {
            // The org's clock decides how far back the beginning lies, and a sign-in tells it.
            turn.org.sign_in().map_err(|trouble| trouble.problem("the sign-in"))?;
            let beginning = turn.org.now().before(source.initial_interval);
            *place = Some(ObjectState::new(&source.object, &source.date, now, beginning));
        }
        let Some(state) = place else { return Ok(Step::Idle) };
        if state.backoff.as_ref().is_some_and(|backoff| backoff.remaining(now) > 0) {
            return Ok(Step::Idle);
        }
        if self.reached.is_none() {
            if self.round.is_none() && wait_for_round(state, source, now) > 0 {
                return Ok(Step::Idle);
            }
            return self.look(&mut turn, source, sources, state);
        }
        self.deliver(&mut turn, source, state);
        Ok(Step::Worked)
    }

    /// Asks for the next window.
    fn look(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        source: &ObjectSource,
        sources: usize,
        state: &mut ObjectState,
    ) -> Result<Step, Problem> {
        turn.org.sign_in().map_err(|trouble| trouble.problem("the sign-in"))?;
        let began = turn.now();
        let until = turn.org.now().before(source.settle);
        let mut round = *self.round.get_or_insert(Round { began, until });
        if state.next >= round.until {
            self.end_round(turn, source, state, round);
            return Ok(Step::Idle);
        }
        let asked = Window::next(source, state, round.until);
        let fetched = asked.fetch(turn.org, source, MAX_HELD / sources.max(1));
        turn.progress.look_at_the_clock();
        // The clock of the answer decides what is old enough.
        round.until = round.until.min(turn.org.now().before(source.settle));
        self.round = Some(round);
        let (mut held, mut reached) = match fetched {
            Ok(Fetched::All(held)) => (held, (asked.until, None)),
            Ok(Fetched::Some(held)) => {
                let last = held.iter().rfind(|record| can_go_on(source, record)).or(held.last());
                let last = last.and_then(|last| Some((last.at?, Some(last.key.clone()))));
                (held, last.unwrap_or((asked.until, None)))
            }
            Ok(Fetched::TooMany(total)) => {
                state.window = Some(asked.narrower(total.map_or(2, |total| 2 * total / MAX_RECORDS as u64)));
                turn.progress.moved();
                return Ok(Step::Worked);
            }
            Err(Trouble::Refused(refusal))
                if refusal.is("QUERY_TIMEOUT") && asked.can_be_narrower(source) =>
            {
                state.window = Some(asked.narrower(4));
                turn.progress.moved();
                return Ok(Step::Worked);
            }
            Err(Trouble::TooLong) if asked.can_be_narrower(source) => {
                state.window = Some(asked.narrower(4));
                turn.progress.moved();
                return Ok(Step::Worked);
            }
            Err(trouble) => {
                self.round = None;
                let problem = trouble.problem_with(&asked.name(source), &source.object);
                return turn.trouble(&source.stream, &mut state.backoff, &trouble, problem);
            }
        };
        state.backoff = None;
        if reached.0 > round.until {
            held.retain(|record| record.at < Some(round.until));
            reached = (round.until.max(state.next), None);
        }
        asked.adapt(state, held.len(), reached.1.is_none());
        self.held = held.into();
        self.reached = Some(reached);
        self.deliver(turn, source, state);
        Ok(Step::Worked)
    }

    /// Puts what is held into the batch, as far as there is room.
    fn deliver(&mut self, turn: &mut Turn<'_, '_, '_>, source: &ObjectSource, state: &mut ObjectState) {
        // A batch does not end behind a record that a query cannot go on behind.
        let mut goes_on = true;
        while (!turn.progress.is_full() || !goes_on)
            && let Some(record) = self.held.pop_front()
        {
            goes_on = can_go_on(source, &record);
            turn.progress.count_bytes(record.bytes);
            if record.malformed {
                turn.progress.push_malformed(record.event);
            } else {
                turn.progress.push(record.event);
            }
            if let Some(at) = record.at.filter(|_| goes_on) {
                state.pass(at, record.key);
            }
        }
        if self.held.is_empty()
            && let Some((next, after)) = self.reached.take()
        {
            // Where a window was cut at an instant that records were delivered of, the place is behind them.
            if (next, after.is_some()) > (state.next, state.after.is_some()) {
                (state.next, state.after) = (next, after);
            }
            turn.progress.moved();
            if let Some(round) = self.round.filter(|round| state.next >= round.until) {
                self.end_round(turn, source, state, round);
            }
        }
    }

    fn end_round(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        source: &ObjectSource,
        state: &mut ObjectState,
        round: Round,
    ) {
        state.due = round.began.after(source.interval);
        self.round = None;
        turn.progress.moved();
    }
}

/// What one query asks for: `from <= date < until`, of the first instant only what lies behind a key.
struct Window {
    from: Time,
    after: Option<String>,
    until: Time,
    /// Whether it is a part of one instant.
    instant: bool,
}

impl Window {
    fn next(source: &ObjectSource, state: &ObjectState, until: Time) -> Self {
        let longest = u64::try_from(millis(source.paging.longest_window())).unwrap_or(u64::MAX);
        let width = state.window.unwrap_or(u64::MAX).min(longest).max(1);
        let end = state.next.after(Duration::from_millis(width));
        Self {
            from: state.next,
            after: state.after.clone(),
            until: end.min(until),
            instant: state.window == Some(0) && source.paging != Paging::Ascending,
        }
    }

    fn width(&self) -> u64 {
        u64::try_from(self.until.0.saturating_sub(self.from.0)).unwrap_or(0)
    }

    fn can_be_narrower(&self, source: &ObjectSource) -> bool {
        !self.instant && (self.width() > 1 || source.paging != Paging::Ascending)
    }

    /// The width, in milliseconds, of a window so many times narrower; 0 where it is one instant already.
    fn narrower(&self, times: u64) -> u64 {
        self.width() / times.max(2)
    }

    /// Lets windows grow again once they are sparse.
    fn adapt(&self, state: &mut ObjectState, records: usize, complete: bool) {
        let Some(width) = state.window else { return };
        let times = match records {
            _ if !complete => return,
            0..32 => 32,
            32..512 => 4,
            _ => 1,
        };
        let wider = width.max(1).saturating_mul(times);
        state.window = (wider < WIDEST_MS).then_some(wider);
    }

    /// As it stands in a problem.
    fn name(&self, source: &ObjectSource) -> String {
        let object = &source.object;
        if self.instant {
            format!("the query of {object} at {}", self.from)
        } else {
            format!("the query of {object} from {} to {}", self.from, self.until)
        }
    }

    /// Whether a record lies in it.
    fn holds(&self, at: Time, key: &str) -> bool {
        let behind = at > self.from || self.after.as_deref().is_none_or(|after| key > after);
        at >= self.from && at < self.until && behind
    }

    /// Asks, and reads all pages of the answer.
    fn fetch(&self, org: &mut Org<'_>, source: &ObjectSource, room: usize) -> Result<Fetched, Trouble> {
        let after = self.after.as_deref();
        let soql = if self.instant {
            records_at(source, self.from, after)
        } else {
            records(source, self.from, after, self.until, MAX_RECORDS)
        };
        let instance_url = org.config.instance.to_string();
        let mut reader = Reader::new(source, instance_url, self.from, org.config.output);
        let mut pages = Pages::new(query_path(&org.api_version()?, &soql));
        let mut found = Found::new(source.paging, room);
        // Pages of one instant may be many, and only a part of them is kept.
        let headers: &[_] = if self.instant { &[("sforce-query-options", "batchSize=500")] } else { &[] };
        while let Some(path) = pages.path() {
            let body = org.get_body(path, headers)?;
            let page = Page::parse(&body)
                .map_err(|flaw| Trouble::Garbled(format!("the answer is no page of records: {flaw}")))?;
            pages.read(page.records.len(), page.total, page.done, page.next.as_deref())?;
            let told = pages.total().filter(|_| source.paging != Paging::Ascending && !self.instant);
            if told.is_some_and(|total| total > MAX_RECORDS as u64) {
                return Ok(Fetched::TooMany(told));
            }
            for raw in page.records {
                let mut record = reader.read(raw);
                // One that tells no date stands where the one before it stands.
                let last = found.appended.last().and_then(|last| last.at);
                let at = record.at.or(last).unwrap_or(self.from);
                record.keyed &= record.at.is_some();
                record.at = Some(at);
                if source.paging == Paging::Ascending {
                    found.append(self, at, record)?;
                } else if self.holds(at, &record.key) {
                    found.insert(record);
                    if found.is_too_much() && !self.instant {
                        return Ok(Fetched::TooMany(None));
                    }
                    found.drop_excess();
                }
            }
        }
        if found.is_a_repetition() {
            return Err(Trouble::Garbled(String::from("it answers records that were asked for before")));
        }
        Ok(found.finish())
    }
}

/// The records found so far.
struct Found {
    /// By (date, key), where the answer has no order of its own.
    sorted: BTreeMap<(Option<Time>, String), Held>,
    /// As they came, where it has.
    appended: Vec<Held>,
    records: usize,
    bytes: usize,
    room: usize,
    /// Whether some were left out.
    cut: bool,
    /// Whether the record that the answer should begin behind stands in the middle of it.
    repeated: bool,
    ascending: bool,
}

impl Found {
    fn new(paging: Paging, room: usize) -> Self {
        let ascending = paging == Paging::Ascending;
        Self {
            sorted: BTreeMap::new(),
            appended: Vec::new(),
            records: 0,
            bytes: 0,
            room,
            cut: false,
            repeated: false,
            ascending,
        }
    }

    /// Adds a record of an answer that is in order.
    fn append(&mut self, window: &Window, at: Time, record: Held) -> Result<(), Trouble> {
        self.records += 1;
        let again = at == window.from && window.after.as_ref() == Some(&record.key);
        self.repeated |= again && self.records > 1;
        if again || at < window.from || at >= window.until {
            return Ok(());
        }
        if self.appended.last().is_some_and(|last| last.at > Some(at)) {
            return Err(Trouble::Garbled(String::from(
                "its records are not in the order that was asked for",
            )));
        }
        self.cut |= !self.appended.is_empty() && self.bytes + record.event.len() > self.room;
        if !self.cut {
            self.bytes += record.event.len();
            self.appended.push(record);
        }
        Ok(())
    }

    /// Adds a record of an answer in no order. One that is there already came twice.
    fn insert(&mut self, record: Held) {
        self.bytes += record.event.len();
        if let Some(twin) = self.sorted.insert((record.at, record.key.clone()), record) {
            self.bytes -= twin.event.len();
        }
    }

    /// Whether a full answer held nothing that was asked for, or the last answer once more: a query that went on from there
    /// would never end.
    fn is_a_repetition(&self) -> bool {
        self.ascending && self.records >= MAX_RECORDS && (self.appended.is_empty() || self.repeated)
    }

    fn is_too_much(&self) -> bool {
        self.sorted.len() > MAX_RECORDS || (self.bytes > self.room && self.sorted.len() > 1)
    }

    /// Keeps the first ones alone.
    fn drop_excess(&mut self) {
        while self.is_too_much()
            && let Some((_, last)) = self.sorted.pop_last()
        {
            self.bytes -= last.event.len();
            self.cut = true;
        }
    }

    fn finish(self) -> Fetched {
        let held = if self.ascending { self.appended } else { self.sorted.into_values().collect() };
        if self.cut || (self.ascending && self.records >= MAX_RECORDS) {
            Fetched::Some(held)
        } else {
            Fetched::All(held)
        }
    }
}

/// Whether a query can go on behind a record: where the org sorts by the key, it must be one that the org knows, beside a
/// date.
fn can_go_on(source: &ObjectSource, record: &Held) -> bool {
    record.keyed || source.paging != Paging::Ascending
}

/// Milliseconds until the object has something to do.
pub fn wait(state: &ObjectState, source: &ObjectSource, now: Time) -> i64 {
    match state.backoff.as_ref().map(|backoff: &Backoff| backoff.remaining(now)) {
        Some(remaining) if remaining > 0 => remaining,
        _ => wait_for_round(state, source, now),
    }
}

/// Milliseconds until new records are looked for. Nothing if that is further off than the interval: then the clock went
/// back, or the interval was longer before.
fn wait_for_round(state: &ObjectState, source: &ObjectSource, now: Time) -> i64 {
    let wait = state.due.0.saturating_sub(now.0).max(0);
    if wait > millis(source.interval) { 0 } else { wait }
}
