//! The event log files of a stream: looked for when it is time, read one after another, oldest first.
//!
//! Streams that look for files at the same time share one query, whatever types they take: every request counts against
//! the allowance of the org. So a stream that would be due within half its interval joins a listing that is made anyway, and
//! streams with the same interval are due together from then on. A stream whose listing failed lists alone until it works: what
//! is wrong with one stream's types does not reach the others.

mod download;
mod file;
pub mod listing;
mod reading;

use crate::{
    config::{
        Config,
        streams::{Cadence, FilesSource},
    },
    files::{
        download::Ahead,
        file::OpenFile,
        listing::{Listing, list},
        reading::Job,
    },
    org::{
        session::{Org, RequestError},
        soql::IntervalField,
    },
    problem::{Kind, Problem},
    schedule::slice::{Slice, Step},
    state::{Capacity, FilesState, LATEST, Reading, State, StreamState},
};
use documents::{
    EventLogFile,
    time::{Time, millis},
};
use std::collections::VecDeque;

/// How much time a part of a listing covers at least, however often listings fail; and from when on it may cover all.
const SHORTEST_PART_MS: u64 = 10 * 60_000;
const LONGEST_PART_MS: u64 = 400 * 24 * 3_600_000;

/// What is kept in memory of a stream's files. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct FilesWork {
    queue: VecDeque<EventLogFile>,
    /// What the queue came from; none = it has to be listed.
    listed: Option<ListedPart>,
    open: Option<Box<OpenFile>>,
    /// Downloads of what comes next in the queue.
    ahead: Ahead,
}

/// The listing that a queue came from.
#[derive(Clone, Copy)]
struct ListedPart {
    /// When it was made, on the host's clock.
    at: Time,
    /// The same on the org's.
    now: Time,
    /// If it did not hold all files: everything created before this was in it.
    until: Option<Time>,
}

/// What a stream needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To know which files there are.
    Listing,
    /// To read one.
    Reading,
    /// Nothing for now.
    Nothing,
}

/// Makes a stream's cursor if it has none, and brings it in line with the configuration.
///
/// # Errors
/// When nobody can sign in.
pub fn prepare(
    org: &mut Org<'_>,
    source: &FilesSource,
    cursor: &mut Option<FilesState>,
) -> Result<(), Problem> {
    let now = Time(org.clock.now_ms());
    let interval = source.cadence.name();
    if cursor.as_ref().is_none_or(|cursor| !cursor.takes(&source.event_types)) {
        // The org's clock decides how far back the beginning lies.
        org.learn_time().map_err(|error| error.problem("the sign-in"))?;
    }
    // No file is created before the time that it covers.
    let first = source.range.first_file(source.cadence);
    let beginning = first.unwrap_or_else(|| org.now().before(source.initial_interval));
    let state = cursor.get_or_insert_with(|| FilesState::new(interval, &source.event_types, now, beginning));
    state.change_interval(interval, now);
    state.change_event_types(&source.event_types, now, beginning);
    state.change_until(source.range.until, now);
    Ok(())
}

/// Lists the files of all streams that need it now and take the same kind of files, in one query. The cursor of every stream
/// must be [prepared](prepare): what stands in one for other files would be passed over.
///
/// # Errors
/// When nobody can sign in.
pub fn list_together(
    mut slice: Slice<'_, '_, '_>,
    config: &Config,
    first: usize,
    work: &mut [FilesWork],
    state: &mut State,
    interval_unknown: &mut bool,
) -> Result<Step, Problem> {
    let now = slice.now();
    let cadence = config.streams.files[first].cadence;
    let mut group = Vec::new();
    for (index, source) in config.streams.files.iter().enumerate() {
        let stream = state.streams.get(&source.stream);
        let Some(cursor) = stream.and_then(|stream| stream.event_log_file.as_ref()) else { continue };
        if index == first || (source.cadence == cadence && work[index].may_join(cursor, source, now)) {
            group.push((index, source, cursor.clone()));
        }
    }
    if group.iter().any(|(index, _, cursor)| *index == first && fails_again(cursor)) {
        group.retain(|(index, ..)| *index == first);
    }
    let wanted: Vec<_> = group.iter().map(|(_, source, cursor)| (*source, cursor)).collect();
    let interval = if *interval_unknown { IntervalField::Unknown } else { IntervalField::Known };
    let (began, most) = (slice.progress.elapsed(), slice.progress.time());
    let clock = slice.org.clock;
    let enough = || clock.elapsed().saturating_sub(began) >= most;
    let error = match list(slice.org, &wanted, cadence, interval, &enough) {
        Ok(listing) => {
            slice.progress.worked();
            note(&mut slice, listing, &group, work, state, now);
            return Ok(Step::Worked);
        }
        // Orgs without hourly files do not know the field, and all their files are daily.
        Err(error) if lacks_interval(&error) && cadence == Cadence::Daily && !*interval_unknown => {
            *interval_unknown = true;
            return Ok(Step::Worked);
        }
        Err(error) => error,
    };
    for (_, source, _) in &group {
        let problem = if lacks_interval(&error) {
            no_hourly_files(source)
        } else {
            error.problem("the list of event log files")
        };
        let Some(cursor) = cursor_of(state, source) else { continue };
        if cursor.backoff.is_some() {
            let all = slice.org.now().0.saturating_sub(cursor.list_from().0).max(0).unsigned_abs();
            cursor.window = Some((cursor.window.unwrap_or(all).min(all) / 4).max(SHORTEST_PART_MS));
        }
        slice.fail(&source.stream, &mut cursor.backoff, &error, problem)?;
    }
    Ok(Step::Failed)
}

/// Takes a listing over.
fn note(
    slice: &mut Slice<'_, '_, '_>,
    listing: Listing,
    group: &[(usize, &FilesSource, FilesState)],
    work: &mut [FilesWork],
    state: &mut State,
    now: Time,
) {
    let Listing { queues, now: org_now, until, unusable, shortage } = listing;
    let org_now = org_now.unwrap_or_else(|| slice.org.now());
    for ((index, source, _), queue) in group.iter().zip(queues) {
        work[*index].queue = queue;
        work[*index].listed = Some(ListedPart { at: now, now: org_now, until });
        if let Some(cursor) = cursor_of(state, source) {
            cursor.backoff = None;
            // A part that was listed lets the next one be longer.
            cursor.window = cursor
                .window
                .map(|window| window.saturating_mul(8))
                .filter(|window| *window < LONGEST_PART_MS);
        }
    }
    let Some((_, source, _)) = group.first() else { return };
    let mut say = |message: String, hint: &str| {
        slice.problems.push(Problem::new(Kind::Data, message).in_stream(&source.stream).hint(hint));
    };
    if let Some(first) = unusable.first() {
        let count = unusable.len();
        say(
            format!("{count} records of EventLogFile lack Id, EventType or CreatedDate: {first}"),
            "they are asked for again with the next listing",
        );
    }
    if let Some((total, came)) = shortage {
        say(
            format!(
                "the list of event log files is said to have {total} records and has {came}, asked twice"
            ),
            "what is missing is found by later listings, if it is there",
        );
    }
}

/// Whether a listing has failed for this stream more than once in a row.
fn fails_again(cursor: &FilesState) -> bool {
    cursor.backoff.as_ref().is_some_and(|backoff| backoff.attempts > 1)
}

fn cursor_of<'s>(state: &'s mut State, source: &FilesSource) -> Option<&'s mut FilesState> {
    state.streams.get_mut(&source.stream)?.event_log_file.as_mut()
}

impl FilesWork {
    /// Ends the download that is open. It goes on from its checkpoint later.
    pub fn close(&mut self) {
        self.open = None;
        self.ahead.give_up();
    }

    /// Gives up what was begun for later: a poll is over, and nobody knows when the next one comes.
    pub fn end_poll(&mut self) {
        self.ahead.give_up();
    }

    /// What the stream needs.
    pub fn need(&self, state: &FilesState, source: &FilesSource, now: Time) -> Need {
        if is_waiting(state.downloads.as_ref(), now) {
            return Need::Nothing;
        }
        if state.reading.is_some() || state.set_aside.iter().any(|r| is_hopeful(r) && is_due(r, now)) {
            return Need::Reading;
        }
        if self.listed.is_none()
            && !is_waiting(state.backoff.as_ref(), now)
            && wait_for_listing(state, source, now) == 0
        {
            return Need::Listing;
        }
        // What has failed often waits until what is new is read; but the round ends before it is tried.
        let again = self.listed.is_none() && state.set_aside.iter().any(|reading| is_due(reading, now));
        if again || !self.queue.is_empty() { Need::Reading } else { Need::Nothing }
    }

    /// Whether a listing that another stream needs can serve this one as well.
    fn may_join(&self, state: &FilesState, source: &FilesSource, now: Time) -> bool {
        self.listed.is_none()
            && !fails_again(state)
            && state.reading.is_none()
            && !is_waiting(state.downloads.as_ref(), now)
            && wait_for_listing(state, source, now) <= millis(source.interval) / 2
    }

    /// Whether it has files to read now.
    pub fn is_reading(&self, cursor: Option<&StreamState>) -> bool {
        let state = cursor.and_then(|cursor| cursor.event_log_file.as_ref());
        !self.queue.is_empty() || state.is_some_and(|state| state.reading.is_some())
    }

    /// Reads on: the file that was begun, or the next one. So many streams have files to read and take turns.
    ///
    /// # Errors
    /// When nobody can sign in, and no other source needs to try.
    pub fn read_on(
        &mut self,
        mut slice: Slice<'_, '_, '_>,
        source: &FilesSource,
        state: &mut FilesState,
        capacity: Capacity,
        sharing: u64,
    ) -> Result<Step, Problem> {
        let now = slice.now();
        if state.reading.is_none() {
            self.open = None;
            state.reading = self.next_file(state, now);
        }
        let step = match state.reading.take() {
            Some(reading) => {
                let begun = self.ahead.take(&reading.file.id);
                if state.downloads.is_none() {
                    self.ahead.begin(slice.org, reading.remaining(), &self.queue, sharing, slice.progress);
                }
                let (before, bytes) = (slice.progress.stats, slice.progress.bytes());
                let step =
                    Job { slice: &mut slice, source, state, capacity, now, open: &mut self.open, begun }
                        .read(reading)?;
                let after = slice.progress.stats;
                self.ahead.learn(
                    after.rows_read - before.rows_read,
                    after.bytes_read - before.bytes_read,
                    slice.progress.bytes() - bytes,
                );
                step
            }
            None => Step::Idle,
        };
        if step == Step::Failed {
            // The next ones may fail as well.
            self.ahead.give_up();
        }
        self.end_part(&mut slice, source, state);
        Ok(step)
    }

    /// Once all is read that was listed, the next part is due at once, or the next listing after the interval. Returns
    /// whether there is a next part.
    pub fn end_part(
        &mut self,
        slice: &mut Slice<'_, '_, '_>,
        source: &FilesSource,
        state: &mut FilesState,
    ) -> bool {
        if let Some(listed) = self.listed
            && state.reading.is_none()
            && self.queue.is_empty()
        {
            // Until here a fresh instance would have had to list again.
            match listed.until {
                None => {
                    state.due = listed.at.after(source.interval);
                    // By the earlier of both clocks: one that was ahead once would pass over what comes until then.
                    let settled = listed.now.min(listed.at).before(source.settle);
                    state.end_round(settled, source.overlap);
                    let is_over = source.range.is_over(settled.before(source.overlap.max(LATEST)));
                    state.all_listed = is_over.then(|| settled.before(source.overlap));
                }
                Some(until) => {
                    state.due = listed.at;
                    state.listed = Some(until);
                }
            }
            self.listed = None;
            slice.progress.moved();
            return listed.until.is_some();
        }
        false
    }

    /// Files known of and not read to their end, and the bytes of them still to read.
    pub fn backlog(&self, cursor: Option<&StreamState>) -> (u32, u64) {
        let state = cursor.and_then(|cursor| cursor.event_log_file.as_ref());
        let started = state.into_iter().flat_map(|state| state.reading.iter().chain(&state.set_aside));
        let (mut files, mut bytes) = (0u32, 0u64);
        for remaining in started.map(Reading::remaining).chain(self.queue.iter().map(|file| file.length)) {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(remaining);
        }
        (files, bytes)
    }

    /// The next file to read: first what was set aside long enough, which is one attempt each, then what is new, then what
    /// has failed often: each attempt may take a minute, and many of them would leave no time for what is new.
    fn next_file(&mut self, state: &mut FilesState, now: Time) -> Option<Reading> {
        if let Some(index) = state.set_aside.iter().position(|r| is_hopeful(r) && is_due(r, now)) {
            return Some(state.set_aside.remove(index));
        }
        if let Some(file) = self.queue.pop_front() {
            return Some(Reading::new(file, state.generation));
        }
        let index = state.set_aside.iter().position(|reading| is_due(reading, now))?;
        Some(state.set_aside.remove(index))
    }
}

/// Failures in a row up to which a file is tried before what is new.
const HOPEFUL_TRIES: u32 = 4;

fn is_hopeful(reading: &Reading) -> bool {
    reading.failing.is_none_or(|failing| failing.tries < HOPEFUL_TRIES)
}

fn is_due(reading: &Reading, now: Time) -> bool {
    !is_waiting(reading.backoff.as_ref(), now)
}

fn is_waiting(backoff: Option<&crate::schedule::backoff::Backoff>, now: Time) -> bool {
    backoff.is_some_and(|backoff| backoff.remaining(now) > 0)
}

/// Whether the org said that it does not know `EventLogFile.Interval`.
pub fn lacks_interval(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refusal) if refusal.lacks_interval())
}

/// What to say of that to an operator who wants hourly files.
pub fn no_hourly_files(source: &FilesSource) -> Problem {
    Problem::new(Kind::Config, "this org has no hourly event log files")
        .at(format!("streams.{}.event_log_file.log_file_interval", source.stream))
        .hint("set it to \"daily\"; hourly files come with the Event Monitoring add-on")
}

/// Milliseconds until the stream has something to do.
pub fn wait(state: &FilesState, source: &FilesSource, now: Time) -> i64 {
    let remaining = |backoff: &Option<crate::schedule::backoff::Backoff>| {
        backoff.as_ref().map_or(0, |b| b.remaining(now))
    };
    let downloads = remaining(&state.downloads);
    let listing = wait_for_listing(state, source, now).max(remaining(&state.backoff));
    let begun = state.reading.as_ref().map(|_| 0);
    let set_aside = state.set_aside.iter().map(|reading| remaining(&reading.backoff));
    // While downloads are held up there is nothing to do, and afterwards what there is.
    begun.into_iter().chain(set_aside).min().map_or(listing, |reading| reading.min(listing)).max(downloads)
}

/// Milliseconds until files are looked for again; without end where all are known that will be wanted. Nothing if that is further off than the interval: then the clock went
/// back, or the interval was longer before.
fn wait_for_listing(state: &FilesState, source: &FilesSource, now: Time) -> i64 {
    if state.all_listed.is_some() {
        return i64::MAX;
    }
    let wait = state.due.0.saturating_sub(now.0).max(0);
    if wait > millis(source.interval) { 0 } else { wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::streams::EventTypes, schedule::backoff::Backoff, state::files::Failing};

    fn source() -> FilesSource {
        crate::objects::tests::config("login", "event_log_file").streams.files.remove(0)
    }

    /// The cursor of a stream that is due at this time.
    fn due(ms: i64) -> FilesState {
        FilesState::new("Hourly", &EventTypes::one("Login"), Time(ms), Time(0))
    }

    fn file(id: &str) -> EventLogFile {
        EventLogFile {
            id: id.to_owned(),
            event_type: String::from("Login"),
            created: Time(0),
            log_date: Time(0),
            length: 10,
            interval: String::from("Hourly"),
            sequence: 1,
            api_version: String::from("65.0"),
        }
    }

    /// A file that failed so often, and waits until this time.
    fn failed(id: &str, tries: u32, until: i64) -> Reading {
        let waiting = Backoff { until: Time(until), ..backoff(tries) };
        let failing = Failing { tries, for_ms: 0, last: Time(0), alone: false };
        Reading { backoff: Some(waiting), failing: Some(failing), ..Reading::new(file(id), 0) }
    }

    fn backoff(attempts: u32) -> Backoff {
        Backoff::nth(attempts, &Problem::new(Kind::Transient, "x"), Time(0), "x")
    }

    fn listed() -> Option<ListedPart> {
        Some(ListedPart { at: Time(0), now: Time(0), until: None })
    }

    #[test]
    fn a_stream_joins_a_listing_of_others_where_it_is_nearly_due_and_nothing_speaks_against_it() {
        let (source, work) = (source(), FilesWork::default());
        let half = millis(source.interval) / 2;
        let joins = |work: &FilesWork, state: &FilesState| work.may_join(state, &source, Time(0));
        assert!(joins(&work, &due(0)) && joins(&work, &due(half)));
        assert!(!joins(&work, &due(half + 1)));
        let waiting = FilesWork { listed: listed(), ..FilesWork::default() };
        assert!(!joins(&waiting, &due(0)), "what was listed is not read yet");
        assert!(joins(&work, &FilesState { backoff: Some(backoff(1)), ..due(0) }));
        assert!(!joins(&work, &FilesState { backoff: Some(backoff(2)), ..due(0) }), "it failed again");
        assert!(!joins(&work, &FilesState { backoff: Some(backoff(3)), ..due(0) }));
        assert!(!joins(&work, &FilesState { reading: Some(Reading::new(file("a"), 0)), ..due(0) }));
        assert!(!joins(&work, &FilesState { downloads: Some(backoff(1)), ..due(0) }));
    }

    #[test]
    fn what_failed_a_few_times_comes_before_what_is_new_and_what_failed_often_after_it() {
        let mut work = FilesWork { queue: [file("new")].into(), ..FilesWork::default() };
        let mut state = due(0);
        for (id, tries, until) in [("often", 4, 5), ("waits", 1, 50), ("few", 3, 5)] {
            state.set_aside.push(failed(id, tries, until));
        }
        let mut next = |now| work.next_file(&mut state, Time(now)).map(|reading| reading.file.id);
        let order: Vec<_> = [10, 10, 10, 10, 50].map(&mut next).into_iter().flatten().collect();
        assert_eq!(order, ["few", "new", "often", "waits"]);
    }

    #[test]
    fn a_stream_needs_a_listing_a_file_or_nothing() {
        let source = source();
        let need = |work: &FilesWork, state: &FilesState| work.need(state, &source, Time(10));
        let (empty, after) = (FilesWork::default(), FilesWork { listed: listed(), ..FilesWork::default() });
        let queue = || [file("new")].into();
        assert_eq!(need(&empty, &due(0)), Need::Listing);
        assert_eq!(need(&empty, &due(11)), Need::Nothing);
        assert_eq!(need(&empty, &FilesState { backoff: Some(backoff(1)), ..due(0) }), Need::Nothing);
        assert_eq!(need(&after, &due(0)), Need::Nothing);
        let full = FilesWork { queue: queue(), listed: listed(), ..FilesWork::default() };
        assert_eq!(need(&full, &due(0)), Need::Reading);
        assert_eq!(need(&full, &FilesState { downloads: Some(backoff(1)), ..due(0) }), Need::Nothing);
        assert_eq!(
            need(&after, &FilesState { reading: Some(Reading::new(file("a"), 0)), ..due(0) }),
            Need::Reading
        );
        // What failed often waits for the listing, and does not hold up the end of a round.
        for (tries, until, before, behind) in [
            (3, 5, Need::Reading, Need::Reading),
            (3, 50, Need::Nothing, Need::Nothing),
            (4, 5, Need::Reading, Need::Nothing),
            (4, 50, Need::Nothing, Need::Nothing),
        ] {
            let state = FilesState { set_aside: vec![failed("a", tries, until)], ..due(11) };
            assert_eq!(
                (need(&empty, &state), need(&after, &state)),
                (before, behind),
                "{tries} until {until}"
            );
        }
        let state = FilesState { set_aside: vec![failed("a", 4, 5)], ..due(0) };
        assert_eq!(need(&empty, &state), Need::Listing);
    }
}
