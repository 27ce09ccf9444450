//! The records of an object: window after window, each delivered in the order of (date, key) once all of it is there.
//!
//! # Why windows
//!
//! LoginEvent, LogoutEvent and their like are big objects: filtered by EventDate alone, answered newest first
//! ("LoginEvent", platform events guide). With answers in that order the cursor may only move on once the last page is in, or
//! everything older than a failure is lost. So a query covers a window `from <= date < until` that is small enough to be
//! held as a whole: all of its pages are read, then it is put in order and delivered, and a batch may end between any two
//! records of it. If it holds more than [`MAX_RECORDS`], or more bytes than there is room for, or its pages take longer than
//! a poll should, or it fails twice in whatever way, a narrower one is asked for; once windows are sparse, in records and
//! in bytes, they grow again.
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
//! the answer itself, since an earlier answer's may be old. What is younger is left for the next time.
//!
//! Ordinary objects can show a record much later: a row of SetupAuditTrail carries the time at which it was made and appears
//! when its deployment commits. So each round over one begins behind the cursor, by the overlap, and the keys of what was
//! delivered there are remembered.
//!
//! # What is doubted
//!
//! What an answer says of itself, and what its records say of their dates, is a hint. If it has fewer records than it says, it
//! is asked for once more. A record whose date cannot be read, or lies a little beside what was asked for (an org may compare
//! dates more finely than it shows them), is delivered in its place in the answer, and remembered by its key. One that lies
//! far beside it is left to the window that it belongs to, and named.

mod reader;

use crate::{
    config::streams::{ObjectSource, Paging},
    objects::reader::{Held, Reader},
    org::{
        errors::{Remedy, Scope},
        pages::{Pages, read_page},
        session::{Org, RequestError},
        soql::{query_path, records, records_at},
    },
    problem::{Kind, Problem},
    schedule::{
        backoff::Backoff,
        slice::{Slice, Step},
    },
    state::{Capacity, ObjectState},
};
use documents::time::{Time, millis};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

/// Records of one window at most: as many as a full page of Salesforce has.
const MAX_RECORDS: usize = 2000;
/// Records of an ordinary object that are asked for where a millisecond of them was too much.
const FEW_RECORDS: usize = 50;
/// How often more is asked for of an ordinary object whose answer held nothing new, four times as much each time.
const REPETITIONS: u32 = 2;
/// How often in a row a window that is too much is made narrower without a wait: from a year to two hours.
const NARROWED_AT_ONCE: u32 = 6;
/// After how many windows that came wider ones are tried than one that failed, each four times as wide, until one fails. Twice
/// as many after each time that the first of them did, up to so many times: a failure may take two minutes.
const CAME: u32 = 16;
const MOST_VAIN: u32 = 6;
/// Windows that come between the one from which on wider ones are tried, and the second that is wider.
const FIRST_WIDER: u32 = 2;
/// Bytes of the events that are held at most, all objects together, and what each object may hold in any case.
const MAX_HELD: usize = 12 << 20;
const MIN_HELD: usize = 256 << 10;
/// A window wider than this is as good as none.
const WIDEST_MS: u64 = 3650 * 24 * 3_600_000;
/// For how long the fields of other objects are left out once they were refused, in milliseconds.
const ALONE_MS: i64 = 24 * 3_600_000;
/// How far beside a window the date of a record may lie that belongs to it, in milliseconds.
const BESIDE_MS: i64 = 1000;
/// Answers in a row that said they had more than came, also when asked again, after which they are not asked again.
const LIES: u32 = 3;

/// What is kept in memory of an object. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct ObjectWork {
    /// Records that are still to be delivered.
    held: VecDeque<Placed>,
    /// Where the cursor is once they are.
    reached: Option<Cursor>,
    round: Option<Round>,
    /// Answers in a row that said they had more than came.
    lies: u32,
}

/// An instant, and a key of the last record that was delivered there.
type Cursor = (Time, Option<String>);

/// From one look for new records to the next.
#[derive(Clone, Copy)]
struct Round {
    /// When it began, on the host's clock.
    began: Time,
    /// Up to where it goes, on the org's clock.
    until: Time,
    /// Whether a doubt was said already.
    doubted: bool,
}

/// A record in its place in the answer.
struct Placed {
    at: Time,
    /// Until when it is remembered, where its date does not tell its place.
    remembered_at: Option<Time>,
    record: Held,
}

/// What came of a query.
enum Fetched {
    /// All records of the window.
    All(Answer),
    /// Some records; there are more behind the last of them.
    Some(Answer),
    /// More than a window may hold, or than there is time for; how many records, if the org told.
    TooMuch(Option<u64>),
}

/// The records of an answer, in order, and what is to be doubted of it.
#[derive(Default)]
struct Answer {
    records: Vec<Placed>,
    bytes: usize,
    /// How many records it said it had, and how many came, if that is less.
    shortage: Option<(u64, u64)>,
    /// Records that were not asked for, and one of them.
    foreign: Option<(u32, String)>,
}

impl ObjectWork {
    /// Bytes of the events that are held.
    pub fn held(&self) -> usize {
        self.held.iter().map(|placed| placed.record.event.len()).sum()
    }

    /// Does the next thing there is to do. `held` bytes are held of all objects together.
    ///
    /// # Errors
    /// When nobody can sign in, and no other source needs to try.
    pub fn step(
        &mut self,
        mut slice: Slice<'_, '_, '_>,
        source: &ObjectSource,
        capacity: Capacity,
        held: usize,
        place: &mut Option<ObjectState>,
    ) -> Result<Step, Problem> {
        let now = slice.now();
        let is_of = |state: &ObjectState| state.name == source.object && state.cursor_field == source.date;
        if !place.as_ref().is_some_and(is_of) {
            // The org's clock decides how far back the beginning lies.
            slice.org.learn_time().map_err(|error| error.problem("the sign-in"))?;
            let beginning = slice.org.now().before(source.initial_interval);
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
            return self.look(&mut slice, source, capacity, held, state);
        }
        self.deliver(&mut slice, source, capacity, state);
        Ok(Step::Worked)
    }

    /// Asks for the next window.
    fn look(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        capacity: Capacity,
        held: usize,
        state: &mut ObjectState,
    ) -> Result<Step, Problem> {
        slice.org.learn_time().map_err(|error| error.problem("the sign-in"))?;
        go_back(slice, source, state);
        state.begin_round(source.overlap);
        let began = slice.now();
        let until = settled(slice.org, source);
        let mut round = *self.round.get_or_insert(Round { began, until, doubted: false });
        if state.cursor >= round.until {
            self.end_round(slice, source, state, round);
            return Ok(Step::Idle);
        }
        let asked = Window::next(source, state, round.until);
        let capacity_bytes = MAX_HELD.saturating_sub(held).max(MIN_HELD);
        let limits =
            FetchLimits { bytes: capacity_bytes, time: slice.progress.time(), ask_again: self.lies < LIES };
        // Once a day all of it is asked for again: the refusal may have been one of a moment.
        let is_over = |since: Time| !(0..ALONE_MS).contains(&began.0.saturating_sub(since.0));
        if state.alone && state.alone_since.is_none_or(is_over) {
            (state.alone, state.alone_since) = (false, None);
        }
        let alone = source.alone().filter(|_| state.alone);
        let fetched = asked.fetch(slice.org, alone.as_ref().unwrap_or(source), state, limits);
        slice.progress.check_time();
        if fetched.is_ok() && go_back(slice, source, state) {
            self.round = None;
            return Ok(Step::Worked);
        }
        // The clock of the answer decides what is old enough.
        round.until = round.until.min(settled(slice.org, source));
        self.round = Some(round);
        let (answer, mut reached) = match fetched {
            Ok(Fetched::All(answer)) => (answer, (asked.until, None)),
            Ok(Fetched::Some(answer)) => {
                let last = answer.records.iter().rfind(|placed| placed.remembered_at.is_none());
                let last = last.map(|last| (last.at, Some(last.record.key.clone())));
                (answer, last.unwrap_or((asked.from, asked.after.clone())))
            }
            Ok(Fetched::TooMuch(total)) => {
                // What is said of the number is a hint, and goes wrong by a factor of its own.
                let times = total.map_or(2, |total| 2 * total / MAX_RECORDS as u64).min(16);
                state.window = Some(asked.narrower(times));
                slice.progress.moved();
                return Ok(Step::Worked);
            }
            Err(error) => return self.fail(slice, source, state, &asked, &error),
        };
        state.backoff = None;
        self.doubt(slice, source, &asked, &answer, &mut round);
        let Answer { mut records, bytes, .. } = answer;
        if reached.0 > round.until {
            records.retain(|placed| placed.at < round.until);
            reached = (round.until.max(state.cursor), None);
        }
        asked.adapt(state, records.len(), bytes, capacity_bytes, reached.1.is_none());
        self.round = Some(round);
        self.held = records.into();
        self.reached = Some(reached);
        self.deliver(slice, source, capacity, state);
        Ok(Step::Worked)
    }

    /// Notes that a query failed, and what is asked for next time.
    fn fail(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        state: &mut ObjectState,
        asked: &Window,
        error: &RequestError,
    ) -> Result<Step, Problem> {
        self.round = None;
        let meaning = error.meaning();
        let problem = error.problem_with(&asked.name(source), &source.object);
        if meaning.remedy == Remedy::StopAsking && meaning.scope == Scope::Stream && source.alone().is_some()
        {
            // It may be the fields of other objects alone. If not, all of it is asked for again after the wait.
            state.alone = !state.alone;
            state.alone_since = state.alone.then(|| slice.now());
            if state.alone {
                let message = format!("{}; the names of users are left out", problem.message);
                let hint =
                    "give the user the permission 'View All Users', or leave it at that: ids are there";
                slice.problems.push(Problem::new(problem.kind, message).in_stream(&source.stream).hint(hint));
                slice.progress.moved();
                return Ok(Step::Worked);
            }
        }
        let narrower = meaning.remedy == Remedy::Narrower;
        let repeats = state.backoff.is_some();
        if meaning.scope != Scope::Everything && (narrower || repeats) && asked.can_be_narrower() {
            // Where wider ones came for a while, it is not the width alone: records may be dense here.
            match state.came.checked_sub(CAME << state.vain.min(MOST_VAIN)) {
                Some(since) if since > FIRST_WIDER => state.vain = 0,
                Some(_) => state.vain = (state.vain + 1).min(MOST_VAIN),
                None => {}
            }
            state.too_wide = Some(asked.span().min(state.too_wide.unwrap_or(u64::MAX)));
            state.came = 0;
            // Only what says that it was too much leads to less than a millisecond.
            state.window = Some(asked.narrower(4).max(u64::from(!narrower)));
            if narrower {
                let now = slice.now();
                let backoff = state.backoff.as_ref();
                let backoff = Backoff::after_free(backoff, &problem, now, &source.stream, NARROWED_AT_ONCE);
                if backoff.is_free() {
                    state.backoff = Some(backoff);
                    slice.progress.moved();
                    return Ok(Step::Worked);
                }
            }
        }
        slice.fail(&source.stream, &mut state.backoff, error, problem)
    }

    /// Says what is doubtful about an answer, once in a round.
    fn doubt(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        asked: &Window,
        answer: &Answer,
        round: &mut Round,
    ) {
        self.lies = if answer.shortage.is_some() { self.lies.saturating_add(1) } else { 0 };
        let query = asked.name(source);
        let shortage = answer.shortage.map(|(total, came)| {
            let message =
                format!("{query} is said to have {total} records and has {came}, asked again as well");
            Problem::new(Kind::Data, message)
                .hint("what came is delivered; compare the number of records with the org's own count")
        });
        let foreign = answer.foreign.as_ref().map(|(count, first)| {
            let message = format!("{query} has {count} records that were not asked for, such as {first}");
            Problem::new(Kind::Data, message)
                .hint("they are left out here, and delivered with the span of time that they belong to")
        });
        let said = shortage.into_iter().chain(foreign).filter(|_| !round.doubted);
        let before = slice.problems.len();
        slice.problems.extend(said.map(|problem| problem.in_stream(&source.stream)));
        round.doubted |= slice.problems.len() > before;
    }

    /// Puts what is held into the batch, as far as there is room.
    fn deliver(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        capacity: Capacity,
        state: &mut ObjectState,
    ) {
        while slice.progress.has_capacity()
            && let Some(Placed { at, remembered_at, record }) = self.held.pop_front()
        {
            slice.progress.count_bytes(record.bytes);
            if record.malformed {
                slice.progress.push_malformed(record.event);
            } else {
                slice.progress.push(record.event);
            }
            match remembered_at {
                Some(until) => state.remember(until, record.key, capacity),
                None => {
                    if source.paging == Paging::Ascending {
                        state.remember(at, record.key.clone(), capacity);
                        state.forget_before(at.before(source.overlap));
                    }
                    state.pass(at, record.key);
                }
            }
        }
        if self.held.is_empty()
            && let Some((cursor, after)) = self.reached.take()
        {
            // Where a window was cut at an instant that records were delivered of, the cursor is behind them.
            if (cursor, after.is_some()) > (state.cursor, state.after.is_some()) {
                (state.cursor, state.after) = (cursor, after);
            }
            state.forget_before(state.cursor.before(source.overlap));
            slice.progress.moved();
            if let Some(round) = self.round.filter(|round| state.cursor >= round.until) {
                self.end_round(slice, source, state, round);
            }
        }
    }

    fn end_round(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        state: &mut ObjectState,
        round: Round,
    ) {
        state.due = round.began.after(source.interval);
        state.begun = false;
        self.round = None;
        slice.progress.moved();
    }
}

/// How much earlier than the last round the collection begins again, where the org's clock was ahead in it.
const AHEAD_SLACK: Duration = Duration::from_secs(3600);

/// Goes back where the place is in the future: then the org's clock was ahead when it was reached, and what is dated until
/// then was not there yet.
fn go_back(slice: &mut Slice<'_, '_, '_>, source: &ObjectSource, state: &mut ObjectState) -> bool {
    let now = slice.org.now();
    // As far as two servers of an org may differ.
    if state.cursor.0 <= now.0.saturating_add(60_000) {
        return false;
    }
    let began = state.due.before(source.interval);
    let back = now.min(began).before(source.settle).before(AHEAD_SLACK);
    let message = format!(
        "the clock of the org shows {now}, and it was ahead before: {} is collected up to {}",
        source.object, state.cursor
    );
    let hint = format!("nothing to do: it is collected again from {back} on, with the same ids");
    slice.problems.push(Problem::new(Kind::Data, message).in_stream(&source.stream).hint(hint));
    (state.cursor, state.after, state.begun) = (back, None, false);
    (state.low_watermark, state.low_watermark_key) = (Some(back), String::new());
    slice.progress.moved();
    true
}

/// Up to when records are old enough to be there, on the org's clock.
fn settled(org: &Org<'_>, source: &ObjectSource) -> Time {
    whole_second(org.now().before(source.settle))
}

/// The whole second before. Windows end there where that is possible: an org may show dates less finely than it compares
/// them.
fn whole_second(time: Time) -> Time {
    Time(time.0 - time.0.rem_euclid(1000))
}

/// How much one query may bring, and how long it may take.
#[derive(Clone, Copy)]
struct FetchLimits {
    /// Bytes of events.
    bytes: usize,
    /// After which no further page is asked for, if that can be helped.
    time: Duration,
    /// Whether an answer that is shorter than it says is asked for again.
    ask_again: bool,
}

/// What one query asks for: `from <= date < until`, of the first instant only what lies behind a key.
struct Window {
    from: Time,
    after: Option<String>,
    until: Time,
    /// Its width, in milliseconds, before it was cut at what is old enough.
    width: u64,
    /// Whether it is a part of one instant.
    instant: bool,
    ascending: bool,
    /// Whether a query can go on behind a key.
    is_keyed: bool,
}

impl Window {
    fn next(source: &ObjectSource, state: &ObjectState, until: Time) -> Self {
        let longest = u64::try_from(millis(source.paging.longest_window())).unwrap_or(u64::MAX);
        let width = state.window.unwrap_or(u64::MAX).min(longest).max(1);
        let end = state.cursor.after(Duration::from_millis(width)).min(until);
        let whole = whole_second(end);
        let ascending = source.paging == Paging::Ascending;
        Self {
            from: state.cursor,
            after: state.after.clone(),
            until: if whole > state.cursor && end < until { whole } else { end },
            width,
            instant: state.window == Some(0) && !ascending,
            ascending,
            is_keyed: matches!(source.paging, Paging::Ascending | Paging::BigObject),
        }
    }

    /// The time that it covers, in milliseconds.
    fn span(&self) -> u64 {
        u64::try_from(self.until.0.saturating_sub(self.from.0)).unwrap_or(0)
    }

    fn can_be_narrower(&self) -> bool {
        !self.instant
    }

    /// The width, in milliseconds, of a window so many times narrower; 0 where it is one instant already.
    fn narrower(&self, times: u64) -> u64 {
        self.span() / times.max(2)
    }

    /// How many records of an ordinary object are asked for.
    fn limit(&self, state: &ObjectState) -> usize {
        if self.ascending && state.window == Some(0) { FEW_RECORDS } else { MAX_RECORDS }
    }

    /// Lets windows grow again once they are sparse, in records and in bytes. One that was cut says nothing of wider ones.
    fn adapt(&self, state: &mut ObjectState, records: usize, bytes: usize, capacity: usize, complete: bool) {
        let Some(window) = state.window else { return };
        if !complete || self.span() < self.width / 2 {
            return;
        }
        let sparse = |parts: usize| records < MAX_RECORDS / parts && bytes < capacity / parts;
        let times = if sparse(64) {
            32
        } else if sparse(8) {
            4
        } else {
            1
        };
        let mut wider = window.max(1).saturating_mul(times);
        if let Some(too_wide) = state.too_wide {
            wider = wider.min((too_wide / 2).max(window));
            state.came = state.came.saturating_add(1);
            if state.came >= CAME << state.vain.min(MOST_VAIN) {
                state.too_wide = Some(too_wide.saturating_mul(4)).filter(|width| *width < WIDEST_MS);
                state.vain = if state.too_wide.is_some() { state.vain } else { 0 };
            }
        }
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

    /// Asks, and reads all pages of the answer; once more if a page of it was lost, or if it is shorter than it says.
    fn fetch(
        &self,
        org: &mut Org<'_>,
        source: &ObjectSource,
        state: &ObjectState,
        limits: FetchLimits,
    ) -> Result<Fetched, RequestError> {
        let (mut lost, mut short, mut repetitions) = (false, false, 0);
        let mut limit = self.limit(state);
        loop {
            let mut pages = Pages::new(String::new());
            match self.fetch_once(org, source, state, limits, limit, &mut pages) {
                // An answer is bound to the session that asked, and may be gone before its last page: then the query
                // begins anew, and nobody must act.
                Err(RequestError::Refused(refusal)) if pages.has_begun() && refusal.is_lost_answer() => {
                    if lost {
                        return Err(RequestError::Garbled(format!(
                            "its pages are lost again and again: {}",
                            refusal.said()
                        )));
                    }
                    lost = true;
                }
                Ok(Fetched::All(answer)) if answer.shortage.is_some() && limits.ask_again && !short => {
                    short = true
                }
                // A query that went on from there would never end.
                Ok(Fetched::Some(answer)) if self.ascending && answer.records.is_empty() => {
                    repetitions += 1;
                    if repetitions > REPETITIONS {
                        let message = "it answers records that were asked for before";
                        return Err(RequestError::Garbled(String::from(message)));
                    }
                    limit *= 4;
                }
                fetched => return fetched,
            }
        }
    }

    fn fetch_once(
        &self,
        org: &mut Org<'_>,
        source: &ObjectSource,
        state: &ObjectState,
        limits: FetchLimits,
        limit: usize,
        pages: &mut Pages,
    ) -> Result<Fetched, RequestError> {
        let after = self.after.as_deref();
        let soql = if self.instant {
            records_at(source, self.from, after)
        } else {
            records(source, self.from, after, self.until, limit)
        };
        let instance_url = org.config.instance.to_string();
        let output = org.config.output;
        let mut reader = Reader::new(source, instance_url, self.from, output);
        *pages = Pages::new(query_path(&org.api_version()?, &soql));
        let mut found = Found::new(self, limits.bytes, limit);
        // Pages of one instant may be many, and only a part of them is kept.
        let headers: &[_] = if self.instant { &[("sforce-query-options", "batchSize=500")] } else { &[] };
        let began = org.clock.elapsed();
        while let Some(path) = pages.path() {
            let body = org.get_body(path, headers)?;
            let page = read_page(&body)?;
            let is_last = page.next.is_none();
            let (before, records) = (found.seen, page.records.len());
            for raw in page.records {
                found.add(self, state, reader.read(raw));
                if found.is_too_much() && !is_last && !self.instant && !self.ascending {
                    return Ok(Fetched::TooMuch(pages.total()));
                }
                found.drop_excess();
            }
            pages.read(records, found.seen - before, page.total, page.done, page.next.as_deref())?;
            if pages.path().is_none() {
                break;
            }
            let late = org.clock.elapsed().saturating_sub(began) >= limits.time;
            if self.ascending {
                // In order, so that what is there is good without the rest.
                if late && !found.placed.is_empty() && found.is_in_order {
                    found.cut = true;
                    break;
                }
            } else if !self.instant {
                let told = pages.total().filter(|total| *total > MAX_RECORDS as u64);
                if told.is_some() || late {
                    return Ok(Fetched::TooMuch(told));
                }
            }
        }
        Ok(found.finish(self, pages.shortage()))
    }
}

/// The records found so far.
struct Found {
    /// By (date, key), where the answer has no order of its own.
    sorted: BTreeMap<(Time, String), Placed>,
    /// As they came, where it has.
    placed: Vec<Placed>,
    /// Keys of records that came, of this answer or the last one.
    keys: HashSet<String>,
    /// Records that came.
    records: usize,
    /// Those not counted that came twice.
    seen: usize,
    bytes: usize,
    capacity: usize,
    limit: usize,
    /// Whether some were left out.
    cut: bool,
    ascending: bool,
    is_in_order: bool,
    foreign: Option<(u32, String)>,
}

impl Found {
    fn new(window: &Window, capacity: usize, limit: usize) -> Self {
        Self {
            sorted: BTreeMap::new(),
            placed: Vec::new(),
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
        }
    }

    /// Adds a record, unless it came twice, or was delivered before, or was not asked for.
    fn add(&mut self, window: &Window, state: &ObjectState, record: Held) {
        self.records += 1;
        if !self.keys.insert(record.key.clone()) {
            return;
        }
        self.seen += 1;
        // One without a key of its own, or with a date beside the window, is remembered by the window it came in.
        let is_within = record.at.is_some_and(|at| at >= window.from && at < window.until);
        let is_placed = is_within && (record.keyed || !window.is_keyed);
        if state.remembers(record.at.filter(|_| is_placed), &record.key) {
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
            // Its date does not tell its place. It is remembered for as long as this window may be asked for.
            _ => (self.place(window), Some(Time(window.until.0 - 1))),
        };
        let placed = Placed { at, remembered_at, record };
        if self.ascending {
            self.append(placed);
        } else {
            self.bytes += placed.record.event.len();
            self.sorted.insert((at, placed.record.key.clone()), placed);
        }
    }

    /// The place of a record whose date does not tell it.
    fn place(&self, window: &Window) -> Time {
        self.placed.last().map_or(window.from, |last| last.at)
    }

    /// Adds a record of an answer that is in order.
    fn append(&mut self, placed: Placed) {
        self.is_in_order &= self.placed.last().is_none_or(|last| last.at <= placed.at);
        self.cut |= !self.placed.is_empty() && self.bytes + placed.record.event.len() > self.capacity;
        if !self.cut {
            self.bytes += placed.record.event.len();
            self.placed.push(placed);
        }
    }

    fn is_too_much(&self) -> bool {
        self.sorted.len() > MAX_RECORDS || (self.bytes > self.capacity && self.sorted.len() > 1)
    }

    /// Keeps the first ones alone.
    fn drop_excess(&mut self) {
        while self.is_too_much()
            && let Some((_, last)) = self.sorted.pop_last()
        {
            self.bytes -= last.record.event.len();
            self.cut = true;
        }
    }

    fn finish(self, window: &Window, shortage: Option<(u64, u64)>) -> Fetched {
        let is_full = self.ascending && self.records >= self.limit;
        let partial = self.cut || is_full;
        let mut records = if self.ascending { self.placed } else { self.sorted.into_values().collect() };
        if !self.is_in_order {
            // All of it can be put in order; of a part nobody knows what is missing.
            if partial && window.span() > 1 {
                return Fetched::TooMuch(None);
            }
            records.sort_by(|a, b| (a.at, &a.record.key).cmp(&(b.at, &b.record.key)));
        }
        let answer = Answer { records, bytes: self.bytes, shortage, foreign: self.foreign };
        if partial { Fetched::Some(answer) } else { Fetched::All(answer) }
    }
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

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::config::Config;

    /// A configuration with one stream, as it is without settings.
    pub fn config(stream: &str, source: &str) -> Config {
        let key = include_str!("../tests/keys/pkcs8.pem").replace('\n', "\\n");
        let config = r#"{
            "instance_url": "https://acme.my.salesforce.com",
            "auth": {"flow": "jwt-bearer", "client_id": "3MVG9.acme", "username": "a@b.c", "private_key": "@KEY@"},
            "streams": {"@STREAM@": {"@SOURCE@": {}}}
        }"#;
        let config = config.replace("@KEY@", &key).replace("@STREAM@", stream).replace("@SOURCE@", source);
        Config::parse(&config).expect("a configuration")
    }

    /// The object of a stream.
    pub fn source(stream: &str) -> ObjectSource {
        config(stream, "object").streams.objects.remove(0)
    }

    /// The place in an object at ten seconds.
    fn state(window: Option<u64>) -> ObjectState {
        ObjectState { window, ..ObjectState::new("LoginEvent", "EventDate", Time(0), Time(10_000)) }
    }

    fn held(at: Option<i64>, key: &str, length: usize) -> Held {
        let event = "e".repeat(length);
        Held { at: at.map(Time), key: key.to_owned(), keyed: true, event, bytes: 0, malformed: false }
    }

    fn found(window: &Window, capacity: usize, records: Vec<Held>) -> Found {
        let mut found = Found::new(window, capacity, MAX_RECORDS);
        for record in records {
            found.add(window, &state(None), record);
        }
        found
    }

    fn some(found: Found, window: &Window) -> Vec<Placed> {
        match found.finish(window, None) {
            Fetched::Some(answer) => answer.records,
            _ => panic!("not a part"),
        }
    }

    #[test]
    fn a_window_ends_at_a_whole_second_where_that_leaves_something_of_it() {
        let source = source("login");
        let until = |window, until| Window::next(&source, &state(window), Time(until)).until;
        assert_eq!(until(Some(1500), 100_000), Time(11_000));
        assert_eq!(until(Some(500), 100_000), Time(10_500));
        assert_eq!(until(Some(1000), 100_000), Time(11_000));
        // What is old enough is asked for to its end.
        assert_eq!(until(None, 100_500), Time(100_500));
        assert_eq!(until(Some(1500), 11_500), Time(11_500));
        assert_eq!(until(Some(0), 100_000), Time(10_001));
    }

    #[test]
    fn only_an_object_without_an_order_is_asked_for_a_single_instant() {
        let login = Window::next(&source("login"), &state(Some(0)), Time(100_000));
        assert!(login.instant && !login.can_be_narrower());
        let login = Window::next(&source("login"), &state(Some(1)), Time(100_000));
        assert!(!login.instant && login.can_be_narrower());
        let audit = Window::next(&source("setupaudittrail"), &state(Some(0)), Time(100_000));
        assert!(!audit.instant && audit.can_be_narrower());
        assert_eq!(audit.limit(&state(Some(0))), FEW_RECORDS);
        assert_eq!(audit.limit(&state(Some(1))), MAX_RECORDS);
    }

    #[test]
    fn windows_grow_by_how_sparse_they_are_and_not_at_once_to_what_failed() {
        let source = source("login");
        let adapted = |mut state: ObjectState, until: i64, records, bytes, complete| {
            let window = Window::next(&source, &state, Time(until));
            window.adapt(&mut state, records, bytes, 6400, complete);
            (state.window, state.too_wide, state.came)
        };
        let minute = || state(Some(60_000));
        let long = 10_000_000;
        for (records, bytes, times) in
            [(30, 99, 32), (31, 99, 4), (30, 100, 4), (249, 799, 4), (250, 799, 1), (249, 800, 1)]
        {
            let window = adapted(minute(), long, records, bytes, true).0;
            assert_eq!(window, Some(60_000 * times), "{records} records, {bytes} bytes");
        }
        assert_eq!(adapted(minute(), long, 0, 0, false).0, Some(60_000));
        // One that was cut at what is old enough says little.
        assert_eq!(adapted(minute(), 39_999, 0, 0, true).0, Some(60_000));
        assert_eq!(adapted(minute(), 40_000, 0, 0, true).0, Some(60_000 * 32));
        let failed = |too_wide, came| ObjectState { too_wide: Some(too_wide), came, ..minute() };
        assert_eq!(adapted(failed(400_000, 0), long, 0, 0, true), (Some(200_000), Some(400_000), 1));
        assert_eq!(adapted(failed(400_000, CAME - 1), long, 0, 0, true).1, Some(1_600_000));
        assert_eq!(adapted(failed(400_000, CAME - 2), long, 0, 0, true).1, Some(400_000));
        assert_eq!(adapted(failed(80_000, 0), long, 0, 0, true).0, Some(60_000));
        assert_eq!(adapted(failed(WIDEST_MS / 4, CAME), long, 0, 0, true).1, None);
        let longest = u64::try_from(millis(source.paging.longest_window())).expect("a span");
        let wide = ObjectState { window: Some(WIDEST_MS / 32), ..minute() };
        let all = i64::try_from(longest.min(WIDEST_MS)).expect("a span");
        assert_eq!(adapted(wide, all, 0, 0, true).0, None);
    }

    #[test]
    fn of_more_than_can_be_held_of_an_instant_the_lowest_keys_are_kept() {
        let window = Window::next(&source("login"), &state(Some(0)), Time(100_000));
        let records = || (0..MAX_RECORDS + 3).rev().map(|n| held(Some(10_000), &format!("{n:04}"), 2));
        let mut all = found(&window, 1 << 20, records().take(MAX_RECORDS).collect());
        assert!(!all.is_too_much());
        all.drop_excess();
        assert!(!all.cut);
        let mut more = found(&window, 1 << 20, records().collect());
        assert!(more.is_too_much());
        more.drop_excess();
        assert_eq!(more.bytes, 2 * MAX_RECORDS);
        let kept = some(more, &window);
        assert_eq!(kept.len(), MAX_RECORDS);
        assert_eq!(kept.last().map(|last| last.record.key.as_str()), Some("1999"));
        // The same in bytes; one is kept in any case.
        let of = |lengths: &[usize]| {
            let key = |n: usize| n.to_string();
            let records = lengths.iter().enumerate().map(|(n, length)| held(Some(10_000), &key(n), *length));
            let mut found = found(&window, 100, records.collect());
            found.drop_excess();
            (found.sorted.len(), found.bytes, found.cut)
        };
        assert_eq!(of(&[50, 50]), (2, 100, false));
        assert_eq!(of(&[50, 50, 1]), (2, 100, true));
        assert_eq!(of(&[101]), (1, 101, false));
        assert_eq!(of(&[101, 1]), (1, 101, true));
    }

    #[test]
    fn a_record_is_placed_by_its_date_where_that_can_be_and_by_its_window_where_not() {
        let source = source("login");
        let window = Window::next(&source, &state(Some(10_000)), Time(100_000));
        assert_eq!((window.from, window.until), (Time(10_000), Time(20_000)));
        let place = |record: Held| {
            let found = found(&window, 1 << 20, vec![record]);
            let placed = found.sorted.into_values().next();
            (placed.map(|placed| (placed.at.0, placed.remembered_at.map(|at| at.0))), found.foreign.is_some())
        };
        for at in [10_000, 19_999] {
            assert_eq!(place(held(Some(at), "k", 1)), (Some((at, None)), false));
        }
        let beside = (Some((10_000, Some(19_999))), false);
        for at in [Some(9999), Some(9000), Some(20_000), Some(20_999), None] {
            assert_eq!(place(held(at, "k", 1)), beside, "{at:?}");
        }
        for at in [8999, 21_000] {
            assert_eq!(place(held(Some(at), "k", 1)), (None, true), "{at}");
        }
        for (at, placed) in [(10_000, Some((10_000, Some(19_999)))), (19_999, Some((19_999, Some(19_999))))] {
            let keyless = Held { keyed: false, ..held(Some(at), "k", 1) };
            assert_eq!(place(keyless), (placed, false), "{at} without a key");
        }
    }

    #[test]
    fn of_the_first_instant_what_lies_up_to_the_last_key_is_left_out() {
        let begun = ObjectState { after: Some(String::from("k")), ..state(Some(10_000)) };
        let keys = |stream: &str| {
            let window = Window::next(&source(stream), &begun, Time(100_000));
            let mut found = found(&window, 1 << 20, Vec::new());
            for (at, key) in [(10_000, "j"), (10_000, "k"), (10_000, "l"), (10_001, "i")] {
                found.add(&window, &begun, held(Some(at), key, 1));
            }
            let (sorted, placed) = (found.sorted.into_values(), found.placed.into_iter());
            sorted.chain(placed).map(|placed| placed.record.key).collect::<String>()
        };
        assert_eq!(keys("login"), "li");
        // Where the answer is in an order of its own, that order decides.
        assert_eq!(keys("setupaudittrail"), "jli");
    }

    #[test]
    fn of_an_answer_in_order_what_fits_is_kept_and_what_is_out_of_order_is_doubted() {
        let window = Window::next(&source("setupaudittrail"), &state(Some(10_000)), Time(100_000));
        let of = |capacity, records: &[(i64, usize)]| {
            let record = |(n, (at, length)): (usize, &(i64, usize))| held(Some(*at), &n.to_string(), *length);
            found(&window, capacity, records.iter().enumerate().map(record).collect())
        };
        let fits = of(100, &[(10_000, 50), (10_000, 50)]);
        assert_eq!((fits.placed.len(), fits.bytes, fits.cut, fits.is_in_order), (2, 100, false, true));
        let cut = of(100, &[(10_000, 50), (10_001, 51), (10_002, 1)]);
        assert_eq!((cut.placed.len(), cut.bytes, cut.cut), (1, 50, true));
        assert_eq!(some(cut, &window).len(), 1);
        assert_eq!(of(100, &[(10_000, 101)]).placed.len(), 1);
        // All of it can be put in order; of a part nobody knows what is missing.
        match of(100, &[(10_001, 1), (10_000, 1)]).finish(&window, None) {
            Fetched::All(answer) => {
                assert!(answer.records.iter().map(|placed| placed.at).eq([Time(10_000), Time(10_001)]));
            }
            _ => panic!("not all"),
        }
        let part = of(2, &[(10_001, 1), (10_000, 1), (10_002, 1)]).finish(&window, None);
        assert!(matches!(part, Fetched::TooMuch(None)));
        let narrow = Window { until: Time(10_001), ..window };
        let part =
            found(&narrow, 2, vec![held(None, "b", 1), held(Some(10_000), "a", 1), held(None, "c", 1)]);
        assert!(matches!(part.finish(&narrow, None), Fetched::Some(_)));
    }

    #[test]
    fn an_object_waits_until_it_is_due_and_until_its_failure_is_over() {
        let source = source("login");
        let interval = millis(source.interval);
        let due = |ms| ObjectState { due: Time(ms), ..state(None) };
        assert_eq!(wait(&due(700), &source, Time(100)), 600);
        assert_eq!(wait(&due(100), &source, Time(700)), 0);
        assert_eq!(wait(&due(interval), &source, Time(0)), interval);
        assert_eq!(wait(&due(interval + 1), &source, Time(0)), 0, "the clock went back");
        let backoff = Backoff::after(None, &Problem::new(Kind::Transient, "x"), Time(0), "x");
        let until = backoff.until.0;
        let failed = ObjectState { backoff: Some(backoff), ..due(until + 50) };
        assert_eq!(wait(&failed, &source, Time(0)), until);
        assert_eq!(wait(&failed, &source, Time(until)), 50);
    }

    #[test]
    fn an_answer_as_long_as_was_asked_for_is_not_taken_for_all() {
        let window = Window::next(&source("setupaudittrail"), &state(None), Time(100_000));
        let is_part = |limit| {
            let mut found = Found::new(&window, 1 << 20, limit);
            for key in ["a", "b"] {
                found.add(&window, &state(None), held(Some(10_000), key, 1));
            }
            matches!(found.finish(&window, None), Fetched::Some(_))
        };
        assert!(is_part(2) && !is_part(3));
    }

    #[test]
    fn what_is_remembered_is_left_out_by_its_date_or_by_its_key_alone() {
        // `remembered` is a record that was delivered, the other one comes now; whether it is left out.
        let is_left_out = |stream: &str, remembered: i64, record: Held| {
            let mut state = state(Some(10_000));
            let window = Window::next(&source(stream), &state, Time(100_000));
            let capacity = Capacity { done: 9, set_aside: 9, remembered: 9 };
            state.remember(Time(remembered), String::from("k"), capacity);
            let mut found = Found::new(&window, 1 << 20, MAX_RECORDS);
            found.add(&window, &state, record);
            found.sorted.is_empty()
        };
        let keyed = |at| held(Some(at), "k", 1);
        let keyless = |at| Held { keyed: false, ..held(Some(at), "k", 1) };
        // One with a place is known by date and key.
        assert!(is_left_out("login", 15_000, keyed(15_000)));
        assert!(!is_left_out("login", 19_999, keyed(15_000)));
        // One without is remembered at the end of its window.
        for at in [9999, 20_000] {
            assert!(is_left_out("login", 19_999, keyed(at)), "{at}");
        }
        assert!(is_left_out("login", 19_999, keyless(15_000)));
        assert!(is_left_out("login", 19_999, held(None, "k", 1)));
    }

    #[test]
    fn a_record_without_a_key_at_the_end_of_its_window_is_placed_in_it() {
        let window = Window::next(&source("login"), &state(Some(10_000)), Time(100_000));
        let keyless = Held { keyed: false, ..held(Some(20_000), "k", 1) };
        let found = found(&window, 1 << 20, vec![keyless]);
        assert!(found.sorted.into_values().map(|placed| placed.at).eq([Time(10_000)]));
    }
}
