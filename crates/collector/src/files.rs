//! The event log files of a stream: looked for when it is time, read one after another, oldest first.
//!
//! A file that cannot be read to its end is set aside with its place, so that it does not hold up the others, and tried
//! again later. Trouble that every request would meet (no network, no permission, no allowance) holds up the stream.

use crate::{
    backoff::Backoff,
    batch::Progress,
    collector::ends_poll,
    config::{Cadence, Source},
    file::{Failure, OpenFile, Opened, Stop},
    listing::{Listing, list},
    problem::{Kind, Problem},
    session::{Org, Trouble},
    soql::IntervalField,
    state::{FileInfo, FilesState, MAX_SET_ASIDE, Reading, StreamState},
    time::Time,
};
use std::{collections::VecDeque, time::Duration};

/// How long a file must have ended at the same length, before its LogFileLength, until that is taken for its true end.
const ACCEPTED_AFTER: Duration = Duration::from_secs(6 * 3600);
/// How long Salesforce must have said that it has no such file, until it is believed.
const GONE_AFTER: Duration = Duration::from_secs(3600);
/// How often a refused download holds up the whole stream, before the trouble is taken for the file's own.
const HOLD_UPS: u32 = 2;

/// What is kept in memory of a stream's files. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct FilesWork {
    queue: VecDeque<FileInfo>,
    /// When the queue was listed; none = it has to be.
    listed: Option<Time>,
    /// Whether the queue held all files that there were.
    complete: bool,
    open: Option<Box<OpenFile>>,
    interval_unknown: bool,
}

/// One turn of a stream: what it works with.
pub struct Turn<'a, 'o, 'p> {
    /// What to collect.
    pub source: &'a Source,
    /// Where from.
    pub org: &'a mut Org<'o>,
    /// Where to.
    pub progress: &'a mut Progress<'p>,
    /// Where trouble is noted.
    pub problems: &'a mut Vec<Problem>,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was listed or read.
    Worked,
    /// Something was tried and noted as a problem. There may be more to do.
    Failed,
    /// There is nothing to do now.
    Idle,
}

impl FilesWork {
    /// Does the next thing there is to do.
    ///
    /// # Errors
    /// When nobody can sign in, and no other stream needs to try.
    pub fn step(
        &mut self,
        mut turn: Turn<'_, '_, '_>,
        place: &mut Option<FilesState>,
    ) -> Result<Step, Problem> {
        let now = Time(turn.org.clock.now_ms());
        if place.is_none() {
            // The org's clock decides how far back the beginning lies, and a sign-in tells it.
            turn.org.sign_in().map_err(|trouble| trouble.problem("the sign-in"))?;
            let floor = turn.org.now().before(turn.source.initial_interval);
            *place = Some(FilesState::new(turn.source.cadence.name(), now, floor));
        }
        let Some(state) = place else { return Ok(Step::Idle) };
        state.change_interval(turn.source.cadence.name(), now);
        if state.backoff.as_ref().is_some_and(|backoff| backoff.remaining(now) > 0) {
            return Ok(Step::Idle);
        }
        if self.listed.is_none() && wait_for_listing(state, turn.source, now) == 0 {
            return self.list(&mut turn, state, now);
        }
        if state.reading.is_none() {
            state.reading = self.next_file(state, now);
        }
        let step = match state.reading.take() {
            Some(reading) => self.read(&mut turn, state, reading, now)?,
            None => Step::Idle,
        };
        if let Some(listed) = self.listed
            && state.reading.is_none()
            && self.queue.is_empty()
        {
            // Until here a fresh instance would have had to list again.
            state.due = if self.complete { listed.after(turn.source.interval) } else { now };
            self.listed = None;
        }
        Ok(step)
    }

    /// Files known of and not read to their end, and the bytes of them still to read.
    pub fn backlog(&self, place: Option<&StreamState>) -> (u32, u64) {
        let state = place.and_then(|place| place.event_log_file.as_ref());
        let started = state.into_iter().flat_map(|state| state.reading.iter().chain(&state.set_aside));
        let (mut files, mut bytes) = (0u32, 0u64);
        for remaining in started.map(Reading::remaining).chain(self.queue.iter().map(|file| file.length)) {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(remaining);
        }
        (files, bytes)
    }

    fn list(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        now: Time,
    ) -> Result<Step, Problem> {
        let source = turn.source;
        let interval = if self.interval_unknown { IntervalField::Unknown } else { IntervalField::Known };
        match list(turn.org, source, EVENT_TYPE, state, interval) {
            Ok(Listing { files, complete, unusable }) => {
                if !unusable.is_empty() {
                    let message = format!(
                        "{} records of EventLogFile lack Id or CreatedDate: {}",
                        unusable.len(),
                        unusable[0]
                    );
                    turn.problems.push(Problem::new(Kind::Data, message).in_stream(&source.stream));
                }
                self.queue = files;
                self.complete = complete;
                self.listed = Some(now);
                state.backoff = None;
                Ok(Step::Worked)
            }
            Err(trouble) if lacks_interval(&trouble) => {
                if source.cadence == Cadence::Daily && !self.interval_unknown {
                    self.interval_unknown = true;
                    return Ok(Step::Failed);
                }
                hold_up(turn, state, no_hourly_files(source), now);
                Ok(Step::Failed)
            }
            Err(trouble) => {
                let problem = trouble.problem("the list of event log files");
                self.trouble(turn, state, &trouble, problem, now)
            }
        }
    }

    /// The next file to read: first what is new, then what was set aside long enough.
    fn next_file(&mut self, state: &mut FilesState, now: Time) -> Option<Reading> {
        if state.set_aside.len() < MAX_SET_ASIDE
            && let Some(file) = self.queue.pop_front()
        {
            return Some(Reading::new(file));
        }
        let due =
            |reading: &Reading| reading.backoff.as_ref().is_none_or(|backoff| backoff.remaining(now) == 0);
        state.set_aside.iter().position(due).map(|index| state.set_aside.remove(index))
    }

    fn read(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        mut reading: Reading,
        now: Time,
    ) -> Result<Step, Problem> {
        let file = reading.file.clone();
        if self.open.is_none() {
            match OpenFile::open(turn.org, &turn.source.stream, &file, reading.checkpoint.as_ref()) {
                Ok(Opened::Ready(open)) => self.open = Some(open),
                Ok(Opened::Short(0)) if file.length == 0 => {
                    return Ok(self.complete(turn, state, &reading, 0));
                }
                Ok(Opened::Short(length)) if accepted_end(&reading, now) == Some(length) => {
                    return Ok(self.complete(turn, state, &reading, length));
                }
                Ok(Opened::Short(length)) => return Ok(self.short(turn, state, reading, length, now)),
                Ok(Opened::Changed) => {
                    reading.checkpoint = None;
                    let message = format!("event log file {} is not what it was when reading began", file.id);
                    let problem = Problem::new(Kind::Data, message).in_stream(&turn.source.stream);
                    turn.problems.push(
                        problem
                            .hint("it is read from its beginning; rows that did not change keep their ids"),
                    );
                    state.reading = Some(reading);
                    return Ok(Step::Worked);
                }
                Err(Failure::Trouble(Trouble::Refused(refusal))) if refusal.is_gone() => {
                    return Ok(self.gone(turn, state, reading, now));
                }
                Err(Failure::Trouble(trouble)) => return self.refused(turn, state, reading, &trouble, now),
                Err(Failure::File(problem)) => return Ok(self.set_aside(turn, state, reading, problem, now)),
            }
        }
        let Some(open) = &mut self.open else { return Ok(Step::Idle) };
        if let Some(length) = accepted_end(&reading, now) {
            open.accept_end_at(length);
        }
        let before = turn.progress.stats.rows_read;
        let stop = open.read(&file, turn.progress);
        if turn.progress.stats.rows_read > before {
            reading.backoff = None;
            reading.failing_since = None;
            reading.checkpoint = Some(open.checkpoint());
        }
        state.backoff = None;
        match stop {
            Ok(Stop::Full) => {
                state.reading = Some(reading);
                Ok(Step::Worked)
            }
            Ok(Stop::End) => {
                let length = open.position();
                Ok(self.complete(turn, state, &reading, length))
            }
            Ok(Stop::Short(length)) => Ok(self.short(turn, state, reading, length, now)),
            Err(problem) => Ok(self.set_aside(turn, state, reading, problem, now)),
        }
    }

    /// A file that is read to its end.
    fn complete(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        reading: &Reading,
        length: u64,
    ) -> Step {
        let file = &reading.file;
        if length < file.length {
            let message = format!(
                "event log file {} still ends after {length} of {} bytes and is taken to be complete",
                file.id, file.length
            );
            turn.problems.push(Problem::new(Kind::Data, message).in_stream(&turn.source.stream));
        }
        turn.progress.stats.files_completed = turn.progress.stats.files_completed.saturating_add(1);
        self.done(turn, state, reading)
    }

    /// A file of which nothing more is wanted.
    fn done(&mut self, turn: &mut Turn<'_, '_, '_>, state: &mut FilesState, reading: &Reading) -> Step {
        self.open = None;
        state.pass(&reading.file, turn.source.overlap);
        turn.progress.moved();
        Step::Worked
    }

    /// A file that ended before its LogFileLength: most likely a download that was cut.
    fn short(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        mut reading: Reading,
        length: u64,
        now: Time,
    ) -> Step {
        let file = &reading.file;
        let message = format!("event log file {} ended after {length} of {} bytes", file.id, file.length);
        if reading.ended_at != Some(length) {
            reading.backoff = None;
            reading.failing_since = None;
        }
        reading.ended_at = Some(length);
        let problem = Problem::new(Kind::Data, message).hint("it is asked for again, and goes on from there");
        self.set_aside(turn, state, reading, problem, now)
    }

    /// A file that Salesforce says it does not have. That is final only if it goes on saying so.
    fn gone(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        reading: Reading,
        now: Time,
    ) -> Step {
        let message =
            format!("event log file {} is gone: expired, or deleted by an administrator", reading.file.id);
        let problem = Problem::new(Kind::Data, message);
        if reading.failing_since.is_none_or(|since| now < since.after(GONE_AFTER)) {
            let problem =
                problem.hint("it is asked for again for an hour, in case this is not the last word");
            return self.set_aside(turn, state, reading, problem, now);
        }
        let problem = problem.hint("poll more often than files expire; what it held cannot be collected");
        turn.problems.push(problem.in_stream(&turn.source.stream));
        self.done(turn, state, &reading)
    }

    /// A download that was refused, or not answered. At first that is taken for trouble that every request would meet; if
    /// it stays with this file, the file is set aside.
    fn refused(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        mut reading: Reading,
        trouble: &Trouble,
        now: Time,
    ) -> Result<Step, Problem> {
        let problem = trouble.problem(&format!("the download of event log file {}", reading.file.id));
        let everywhere = matches!(problem.kind, Kind::Auth | Kind::RateLimited);
        let attempts = reading.backoff.as_ref().map_or(0, |backoff| backoff.attempts);
        if ends_poll(trouble).is_none() && !everywhere && attempts >= HOLD_UPS {
            return Ok(self.set_aside(turn, state, reading, problem, now));
        }
        if !everywhere {
            reading.backoff = Some(Backoff::after(reading.backoff.as_ref(), &problem, now, &reading.file.id));
        }
        state.reading = Some(reading);
        self.trouble(turn, state, trouble, problem, now)
    }

    fn set_aside(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        mut reading: Reading,
        problem: Problem,
        now: Time,
    ) -> Step {
        self.open = None;
        let backoff = Backoff::after(reading.backoff.as_ref(), &problem, now, &reading.file.id);
        turn.problems.push(problem.in_stream(&turn.source.stream).retry_after_ms(backoff.remaining(now)));
        reading.backoff = Some(backoff);
        reading.failing_since.get_or_insert(now);
        state.pass(&reading.file, turn.source.overlap);
        state.set_aside.push(reading);
        turn.progress.moved();
        Step::Failed
    }

    /// Trouble that every request of the stream would meet.
    fn trouble(
        &mut self,
        turn: &mut Turn<'_, '_, '_>,
        state: &mut FilesState,
        trouble: &Trouble,
        problem: Problem,
        now: Time,
    ) -> Result<Step, Problem> {
        self.open = None;
        if let Some(problem) = ends_poll(trouble) {
            return Err(problem);
        }
        hold_up(turn, state, problem, now);
        Ok(Step::Failed)
    }
}

/// The event type of the stream.
pub const EVENT_TYPE: &str = "Login";

/// Whether the org said that it does not know `EventLogFile.Interval`.
pub fn lacks_interval(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused(refusal) if refusal.is("INVALID_FIELD") && refusal.message.contains("'Interval'"))
}

/// What to say of that to an operator who wants hourly files.
pub fn no_hourly_files(source: &Source) -> Problem {
    Problem::new(Kind::Config, "this org has no hourly event log files")
        .at(format!("streams.{}.event_log_file.log_file_interval", source.stream))
        .hint("set it to \"daily\"; hourly files come with the Event Monitoring add-on")
}

fn hold_up(turn: &mut Turn<'_, '_, '_>, state: &mut FilesState, problem: Problem, now: Time) {
    let backoff = Backoff::after(state.backoff.as_ref(), &problem, now, &turn.source.stream);
    turn.problems.push(problem.in_stream(&turn.source.stream).retry_after_ms(backoff.remaining(now)));
    state.backoff = Some(backoff);
    turn.progress.moved();
}

/// The length at which a file has ended for so long before its LogFileLength that it is taken for its true one.
fn accepted_end(reading: &Reading, now: Time) -> Option<u64> {
    reading.ended_at.filter(|_| reading.failing_since.is_some_and(|since| now >= since.after(ACCEPTED_AFTER)))
}

/// Milliseconds until the stream has something to do.
pub fn wait(state: &FilesState, source: &Source, now: Time) -> i64 {
    if let Some(backoff) = state.backoff.as_ref().filter(|backoff| backoff.remaining(now) > 0) {
        return backoff.remaining(now);
    }
    let set_aside = state.set_aside.iter().filter_map(|reading| reading.backoff.as_ref());
    let retry = set_aside.map(|backoff| backoff.remaining(now)).min().unwrap_or(i64::MAX);
    if state.set_aside.len() >= MAX_SET_ASIDE {
        retry
    } else {
        retry.min(wait_for_listing(state, source, now))
    }
}

/// Milliseconds until files are looked for again. Nothing if that is further off than the interval: then the clock went
/// back, or the interval was longer before.
fn wait_for_listing(state: &FilesState, source: &Source, now: Time) -> i64 {
    let wait = state.due.0.saturating_sub(now.0).max(0);
    if wait > crate::time::millis(source.interval) { 0 } else { wait }
}
