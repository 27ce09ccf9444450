//! The records of an object: window after window, each delivered in the order of (date, key) once all of it is there.
//!
//! # Why windows
//!
//! LoginEvent, LogoutEvent and their like are big objects: filtered by EventDate alone, answered newest first
//! ("LoginEvent", platform events guide). With answers in that order the cursor may only move on once the last page is in, or
//! everything older than a failure is lost. So a query covers a window `from <= date < until` that is small enough to be
//! held as a whole: all of its pages are read, then it is put in order and delivered, and a batch may end between any two
//! records of it. If it holds more than [`MAX_RECORDS`], or more bytes than there is capacity for, or its pages take longer than
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
//! dates more finely than it shows them), is delivered at its position in the answer, and remembered by its key. One that lies
//! far beside it is left to the window that it belongs to, and named.

mod answer;
mod query;
mod reader;
mod window;

use crate::{
    config::streams::{ObjectSource, Paging},
    org::{
        errors::{Remedy, Scope},
        session::RequestError,
    },
    problem::{Kind, Problem},
    receipt,
    schedule::{
        backoff::Backoff,
        slice::{Slice, Step},
    },
    state::{Capacity, Collected, ObjectState},
};
use answer::{Answer, Fetched, Positioned};
use documents::time::{Time, millis};
use query::FetchLimits;
use std::{collections::VecDeque, time::Duration};
use window::{CAME, FIRST_WIDER, MAX_RECORDS, MOST_VAIN, Window, settled};

/// How often in a row a window that is too much is made narrower without a wait: from a year to two hours.
const NARROWED_AT_ONCE: u32 = 6;
/// Bytes of the events that are held at most, all objects together, and what each object may hold in any case.
const MAX_HELD: usize = 12 << 20;
const MIN_HELD: usize = 256 << 10;
/// For how long the fields of other objects are left out once they were refused, in milliseconds.
const ALONE_MS: i64 = 24 * 3_600_000;
/// Answers in a row that said they had more than came, also when asked again, after which they are not asked again.
const LIES: u32 = 3;

/// What is kept in memory of an object. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct ObjectWork {
    /// Records that are still to be delivered.
    held: VecDeque<Positioned>,
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
    /// Whether it was said that records lack what the configuration names.
    misnamed: bool,
}

impl ObjectWork {
    /// Bytes of the events that are held.
    pub fn held(&self) -> usize {
        self.held.iter().map(|positioned| positioned.record.length()).sum()
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
        slot: &mut Option<ObjectState>,
    ) -> Result<Step, Problem> {
        let now = slice.now();
        let is_of = |state: &ObjectState| state.name == source.object && state.cursor_field == source.date;
        if !slot.as_ref().is_some_and(is_of) {
            // The org's clock decides how far back the beginning lies.
            slice.org.learn_time().map_err(|error| error.problem("the sign-in"))?;
            let now_there = slice.org.now();
            let beginning = source.range.from.unwrap_or_else(|| now_there.before(source.initial_interval));
            if beginning > now_there {
                // A cursor in the future would be one that has to go back.
                return Ok(Step::Idle);
            }
            *slot = Some(ObjectState::new(&source.object, &source.date, now, beginning));
        }
        let Some(state) = slot else { return Ok(Step::Idle) };
        if state.backoff.as_ref().is_some_and(|backoff| backoff.remaining(now) > 0) {
            return Ok(Step::Idle);
        }
        if self.reached.is_none() {
            if self.round.is_none() && wait_for_round(state, source, now) > 0 {
                return Ok(Step::Idle);
            }
            return self.query(&mut slice, source, capacity, held, state);
        }
        self.deliver(&mut slice, source, capacity, state);
        Ok(Step::Worked)
    }

    /// Asks for the next window.
    fn query(
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
        let until = end_of_round(slice, source);
        let mut round = *self.round.get_or_insert(Round { began, until, doubted: false, misnamed: false });
        if state.cursor >= round.until {
            self.end_round(slice, source, state, round);
            return Ok(Step::Idle);
        }
        let asked = Window::next(source, state, round.until);
        let collected = state.collected.get_or_insert(Collected::from(state.cursor));
        collected.queries = collected.queries.saturating_add(1);
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
        round.until = round.until.min(end_of_round(slice, source));
        self.round = Some(round);
        let (answer, mut reached) = match fetched {
            Ok(Fetched::All(answer)) => (answer, (asked.until, None)),
            Ok(Fetched::Some(answer)) => {
                let last = answer.records.iter().rfind(|positioned| positioned.remembered_at.is_none());
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
            records.retain(|positioned| positioned.at < round.until);
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
        let doubts = answer.doubts.iter().filter(|_| !round.misnamed);
        slice.problems.extend(doubts.map(|problem| problem.clone().in_stream(&source.stream)));
        round.misnamed |= !answer.doubts.is_empty();
        let before = slice.problems.len();
        slice.problems.extend(said.map(|problem| problem.in_stream(&source.stream)));
        round.doubted |= slice.problems.len() > before;
    }

    /// Puts what is held into the batch, as far as there is capacity.
    fn deliver(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &ObjectSource,
        capacity: Capacity,
        state: &mut ObjectState,
    ) {
        while slice.progress.has_capacity()
            && let Some(Positioned { at, remembered_at, record }) = self.held.pop_front()
        {
            slice.progress.count_bytes(record.bytes);
            if let Some(collected) = &mut state.collected {
                collected.records += 1;
                collected.malformed += u64::from(record.malformed && record.event.is_some());
                collected.left_out += u64::from(record.event.is_none());
            }
            match record.event {
                Some(event) if record.malformed => slice.progress.push_malformed(event),
                Some(event) => slice.progress.push(event),
                None => slice.progress.leave_out(),
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
        // A receipt is an event more: where there is no capacity for it, the window ends in the next batch.
        if self.held.is_empty()
            && (slice.progress.has_capacity() || !slice.org.config.receipts)
            && let Some((cursor, after)) = self.reached.take()
        {
            // Where a window was cut at an instant that records were delivered of, the cursor is behind them.
            if (cursor, after.is_some()) > (state.cursor, state.after.is_some()) {
                (state.cursor, state.after) = (cursor, after);
            }
            state.forget_before(state.cursor.before(source.overlap));
            slice.progress.moved();
            if state.after.is_none()
                && let Some(collected) = state.collected.take()
                && slice.org.config.receipts
            {
                let (stream, object) = (&source.stream, &source.object);
                let receipt = receipt::of_window(slice.org, stream, object, &collected, state.cursor);
                slice.progress.push_receipt(receipt);
            }
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
        let range = source.range;
        if range.is_over(state.cursor) && range.is_over(settled(slice.org, source).before(source.overlap)) {
            state.complete_until = range.until;
        }
        self.round = None;
        slice.progress.moved();
    }
}

/// Up to where records are asked for now, on the org's clock.
fn end_of_round(slice: &Slice<'_, '_, '_>, source: &ObjectSource) -> Time {
    let settled = settled(slice.org, source);
    source.range.until.map_or(settled, |until| until.min(settled))
}

/// How much earlier than the last round the collection begins again, where the org's clock was ahead in it.
const AHEAD_SLACK: Duration = Duration::from_secs(3600);

/// Goes back where the cursor is in the future: then the org's clock was ahead when it was reached, and what is dated until
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
    (state.cursor, state.after, state.begun, state.collected) = (back, None, false, None);
    (state.low_watermark, state.low_watermark_key) = (Some(back), String::new());
    slice.progress.moved();
    true
}

/// Milliseconds until the object has something to do.
pub fn wait(state: &ObjectState, source: &ObjectSource, now: Time) -> i64 {
    match state.backoff.as_ref().map(|backoff: &Backoff| backoff.remaining(now)) {
        Some(remaining) if remaining > 0 => remaining,
        _ => wait_for_round(state, source, now),
    }
}

/// Milliseconds until new records are looked for; without end where all are there that are wanted. Nothing if that is further off than the interval: then the clock went
/// back, or the interval was longer before.
fn wait_for_round(state: &ObjectState, source: &ObjectSource, now: Time) -> i64 {
    if state.is_complete(source.range.until) {
        return i64::MAX;
    }
    let wait = state.due.0.saturating_sub(now.0).max(0);
    if wait > millis(source.interval) { 0 } else { wait }
}

#[cfg(test)]
pub mod tests {
    use super::{
        answer::Found,
        reader::Held,
        window::{FEW_RECORDS, WIDEST_MS},
        *,
    };
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

    /// An object that is collected up to ten seconds.
    fn state(window: Option<u64>) -> ObjectState {
        ObjectState { window, ..ObjectState::new("LoginEvent", "EventDate", Time(0), Time(10_000)) }
    }

    fn held(at: Option<i64>, key: &str, length: usize) -> Held {
        let event = Some("e".repeat(length));
        Held { at: at.map(Time), key: key.to_owned(), keyed: true, event, bytes: 0, malformed: false }
    }

    fn found(window: &Window, capacity: usize, records: Vec<Held>) -> Found {
        let mut found = Found::new(window, capacity, MAX_RECORDS);
        for record in records {
            found.add(window, &state(None), record);
        }
        found
    }

    fn some(found: Found, window: &Window) -> Vec<Positioned> {
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
        let position = |record: Held| {
            let found = found(&window, 1 << 20, vec![record]);
            let positioned = found.sorted.into_values().next();
            (
                positioned.map(|positioned| (positioned.at.0, positioned.remembered_at.map(|at| at.0))),
                found.foreign.is_some(),
            )
        };
        for at in [10_000, 19_999] {
            assert_eq!(position(held(Some(at), "k", 1)), (Some((at, None)), false));
        }
        let beside = (Some((10_000, Some(19_999))), false);
        for at in [Some(9999), Some(9000), Some(20_000), Some(20_999), None] {
            assert_eq!(position(held(at, "k", 1)), beside, "{at:?}");
        }
        for at in [8999, 21_000] {
            assert_eq!(position(held(Some(at), "k", 1)), (None, true), "{at}");
        }
        for (at, positioned) in
            [(10_000, Some((10_000, Some(19_999)))), (19_999, Some((19_999, Some(19_999))))]
        {
            let keyless = Held { keyed: false, ..held(Some(at), "k", 1) };
            assert_eq!(position(keyless), (positioned, false), "{at} without a key");
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
            let (sorted, positioned) = (found.sorted.into_values(), found.positioned.into_iter());
            sorted.chain(positioned).map(|positioned| positioned.record.key).collect::<String>()
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
        assert_eq!((fits.positioned.len(), fits.bytes, fits.cut, fits.is_in_order), (2, 100, false, true));
        let cut = of(100, &[(10_000, 50), (10_001, 51), (10_002, 1)]);
        assert_eq!((cut.positioned.len(), cut.bytes, cut.cut), (1, 50, true));
        assert_eq!(some(cut, &window).len(), 1);
        assert_eq!(of(100, &[(10_000, 101)]).positioned.len(), 1);
        // All of it can be put in order; of a part nobody knows what is missing.
        match of(100, &[(10_001, 1), (10_000, 1)]).finish(&window, None) {
            Fetched::All(answer) => {
                assert!(
                    answer.records.iter().map(|positioned| positioned.at).eq([Time(10_000), Time(10_001)])
                );
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
        // One with a position is known by date and key.
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
        assert!(found.sorted.into_values().map(|positioned| positioned.at).eq([Time(10_000)]));
    }
}
