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
use std::collections::VecDeque;

/// How often a file may end at the same length before its LogFileLength before that is taken for its true end.
const SHORT_ATTEMPTS: u32 = 5;

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
            *place = Some(FilesState::new(now, floor));
        }
        let Some(state) = place else { return Ok(Step::Idle) };
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
                        "{} records of EventLogFile lack Id, CreatedDate or LogDate: {}",
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
            Err(Trouble::Refused(refusal))
                if refusal.is("INVALID_FIELD") && refusal.message.contains("'Interval'") =>
            {
                if source.cadence == Cadence::Daily && !self.interval_unknown {
                    self.interval_unknown = true;
                    return Ok(Step::Failed);
                }
                let problem = Problem::new(Kind::Config, "this org has no hourly event log files")
                    .at(format!("streams.{}.event_log_file.log_file_interval", source.stream))
                    .hint("set it to \"daily\"; hourly files come with the Event Monitoring add-on");
                hold_up(turn, state, problem, now);
                Ok(Step::Failed)
            }
            Err(trouble) => self.trouble(turn, state, &trouble, "the list of event log files", now),
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
                Ok(Opened::Empty) if file.length == 0 || accepted_end(&reading) == Some(0) => {
                    return Ok(self.complete(turn, state, &reading, 0));
                }
                Ok(Opened::Empty) => return Ok(self.short(turn, state, reading, 0, now)),
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
                Err(Failure::Trouble(Trouble::Refused(refusal))) if refusal.status == 404 => {
                    let message = format!(
                        "event log file {} is gone: expired, or deleted by an administrator",
                        file.id
                    );
                    let problem = Problem::new(Kind::Data, message).in_stream(&turn.source.stream);
                    turn.problems.push(
                        problem.hint("poll more often than files expire; what it held cannot be collected"),
                    );
                    return Ok(self.done(turn, state, &reading));
                }
                Err(Failure::Trouble(trouble)) => {
                    state.reading = Some(reading);
                    let what = format!("the download of event log file {}", file.id);
                    return self.trouble(turn, state, &trouble, &what, now);
                }
                Err(Failure::File(problem)) => return Ok(self.set_aside(turn, state, reading, problem, now)),
            }
        }
        let Some(open) = &mut self.open else { return Ok(Step::Idle) };
        if let Some(length) = accepted_end(&reading) {
            open.accept_end_at(length);
        }
        let before = turn.progress.stats.rows_read;
        let stop = open.read(&file, turn.progress);
        if turn.progress.stats.rows_read > before {
            reading.backoff = None;
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
            Err(Failure::File(problem)) => Ok(self.set_aside(turn, state, reading, problem, now)),
            Err(Failure::Trouble(trouble)) => {
                state.reading = Some(reading);
                self.trouble(turn, state, &trouble, "a download", now)
            }
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
                "event log file {} ended after {length} of {} bytes {SHORT_ATTEMPTS} times and is taken to be complete",
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
        }
        reading.ended_at = Some(length);
        let problem = Problem::new(Kind::Transient, message).hint("it goes on from there");
        self.set_aside(turn, state, reading, problem, now)
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
        what: &str,
        now: Time,
    ) -> Result<Step, Problem> {
        self.open = None;
        if let Some(problem) = ends_poll(trouble) {
            return Err(problem);
        }
        hold_up(turn, state, trouble.problem(what), now);
        Ok(Step::Failed)
    }
}

/// The event type of the stream.
const EVENT_TYPE: &str = "Login";

fn hold_up(turn: &mut Turn<'_, '_, '_>, state: &mut FilesState, problem: Problem, now: Time) {
    let backoff = Backoff::after(state.backoff.as_ref(), &problem, now, &turn.source.stream);
    turn.problems.push(problem.in_stream(&turn.source.stream).retry_after_ms(backoff.remaining(now)));
    state.backoff = Some(backoff);
    turn.progress.moved();
}

/// The length at which a file ended so often before its LogFileLength that it is taken for its true one.
fn accepted_end(reading: &Reading) -> Option<u64> {
    let attempts = reading.backoff.as_ref().map_or(0, |backoff| backoff.attempts);
    reading.ended_at.filter(|_| attempts + 1 >= SHORT_ATTEMPTS)
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

/// Milliseconds until files are looked for again. Never more than the interval, should a clock have jumped.
fn wait_for_listing(state: &FilesState, source: &Source, now: Time) -> i64 {
    (state.due.0 - now.0).clamp(0, crate::time::millis(source.interval))
}
