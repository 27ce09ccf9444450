//! Poll, write, save, wait; and again.
//!
//! The order is the whole point. Events have left this program before their state is saved, so one that is killed in between
//! writes them again and loses none. The decisions are those of `source-host`: what is waited for and for how long, what ends a
//! run, and how.

#[path = "../../../host-harness/src/component/event.rs"]
mod event;
#[path = "../../../host-harness/src/units.rs"]
mod figures;

use crate::bindings::pipeline::source::source::{self, Batch, Failure, Problem, ProblemKind};
use crate::output::Output;
use crate::state::StateFile;
use crate::streams::WriteError;
use crate::{clock, log, words};
use event::Checker;
use figures::{bytes, grouped};
use state_store::StateError;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The wait after a failure that names none.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The shortest wait after a failure, whatever it names.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// The longest wait that a source may ask for: a mistake must not silence it.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The wait after the first save that failed; doubled with each further one in a row.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// Polls in a row that promise more at once and bring nothing, after which each costs a wait.
const EMPTY_PROMISES: u32 = 10;
/// A source that wants to be polled again sooner than that promises more at once.
const SOON: Duration = Duration::from_secs(1);

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
    /// Never.
    Follow,
    /// When nothing is left to read, or for so long nothing came.
    CaughtUp(Duration),
    /// When all of its range of time is there, or for so long nothing came.
    Complete(Duration),
}

impl Policy {
    fn patience(self) -> Option<Duration> {
        match self {
            Self::Follow => None,
            Self::CaughtUp(patience) | Self::Complete(patience) => Some(patience),
        }
    }
}

/// How a run ended, when it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    CaughtUp,
    Complete,
    ReaderGone,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CaughtUp => "caught up",
            Self::Complete => "complete",
            Self::ReaderGone => "the reader of the events is gone",
        })
    }
}

/// Why a run could not go on, and whether it lies with what was given.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) message: String,
    pub(crate) is_users: bool,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        let message = format!("{}: {}", words::kind(problem.kind), words::of(&problem));
        Self { message, is_users: words::is_users(problem.kind) }
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self { message: error.to_string(), is_users: error.is_users() }
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Report {
    events: u64,
    files: u64,
    received: u64,
    requests: u64,
    given_up: u64,
}

impl Report {
    fn add(&mut self, batch: &Batch) {
        self.events += batch.events.len() as u64;
        self.files += u64::from(batch.stats.files_completed);
        self.received += u64::from(batch.stats.bytes_received);
        self.requests += u64::from(batch.stats.requests);
        self.given_up += u64::from(batch.stats.files_given_up);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, files, received, requests, given_up } = self;
        let (events, files, requests) = (grouped(*events), grouped(*files), grouped(*requests));
        write!(
            f,
            "{events} events from {files} files, {} received in {requests} requests",
            bytes(*received)
        )?;
        match given_up {
            0 => Ok(()),
            given_up => write!(f, "; {} files were given up", grouped(*given_up)),
        }
    }
}

/// A run of one source.
pub(crate) struct Collection {
    state: StateFile,
    output: Output,
    policy: Policy,
    progress_at: Duration,
    /// Whether a poll has brought a batch that was written.
    has_worked: bool,
    checker: Checker,
    empty_promises: u32,
    /// Streams that failed last time, each with the time of its next attempt.
    pending: BTreeMap<String, (Problem, Duration)>,
    pub(crate) report: Report,
}

enum Next {
    Again,
    Wait(Duration),
    End(End),
}

impl Collection {
    pub(crate) fn new(state: StateFile, output: Output, policy: Policy) -> Self {
        Self {
            state,
            output,
            policy,
            progress_at: clock::elapsed(),
            has_worked: false,
            checker: Checker::default(),
            empty_promises: 0,
            pending: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) -> Result<End, Stop> {
        loop {
            match self.step()? {
                Next::Again => {}
                Next::Wait(wait) => {
                    log::debug(&format!("waiting for {:.1} s", wait.as_secs_f64()));
                    clock::sleep(wait);
                }
                Next::End(end) => return Ok(end),
            }
        }
    }

    fn step(&mut self) -> Result<Next, Stop> {
        // What is tried again in this poll says so again if it fails again.
        let now = clock::elapsed();
        self.pending.retain(|_, (_, again_at)| *again_at > now);
        match source::poll(self.state.text()) {
            Ok(batch) => self.deliver(&batch),
            Err(failure) => self.failed(failure),
        }
    }

    fn deliver(&mut self, batch: &Batch) -> Result<Next, Stop> {
        if !batch.events.iter().all(|event| self.checker.is_object_on_a_line(event)) {
            let message = "internal: the source returned an event that is not a JSON object on one line; nothing of its batch was \
                           written: report it to the source's author";
            return Err(Stop { message: message.to_owned(), is_users: false });
        }
        if !self.write(&batch.events)? {
            return Ok(Next::End(End::ReaderGone));
        }
        let has_changed = self.state.text() != Some(&batch.state);
        self.save(&batch.state)?;
        self.report.add(batch);
        self.note(batch, has_changed);
        log::debug(&format!(
            "{} events, {} files left, next poll in {} ms",
            batch.events.len(),
            batch.stats.backlog_files,
            batch.next_poll_ms
        ));
        batch.problems.iter().for_each(tell);
        self.after(batch)
    }

    /// Brings events to where they are safe. Returns whether somebody still reads them.
    fn write(&mut self, events: &[String]) -> Result<bool, Stop> {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            match self.output.write(events) {
                Ok(()) => return Ok(true),
                Err(WriteError::Closed) => return Ok(false),
                Err(WriteError::Failed(message)) => return Err(Stop { message, is_users: false }),
                Err(WriteError::Passes(message)) => {
                    self.check_patience(back_off, || message.clone())?;
                    log::error(&format!("{message}; again in {} s", back_off.as_secs()));
                    clock::sleep(back_off);
                    back_off = (back_off * 2).min(LONGEST_BACK_OFF);
                }
            }
        }
    }

    /// Saves a state. The events are safe and it is not: nothing is read until it can be saved.
    fn save(&mut self, text: &str) -> Result<(), Stop> {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            match self.state.save(text) {
                Err(error) if error.passes() => {
                    self.check_patience(back_off, || error.to_string())?;
                    log::error(&format!("{error}; again in {} s", back_off.as_secs()));
                    clock::sleep(back_off);
                    back_off = (back_off * 2).min(LONGEST_BACK_OFF);
                }
                saved => return Ok(saved?),
            }
        }
    }

    /// The source could do nothing at all.
    fn failed(&mut self, failure: Failure) -> Result<Next, Stop> {
        let Failure { problem, state } = failure;
        tell(&problem);
        self.note_problem(&problem);
        // The old place and the back-off: whoever starts this again soon does not hammer the service.
        if let Some(state) = state.filter(|_| problem.kind != ProblemKind::State) {
            match self.state.save(&state) {
                Err(error) if error.passes() => log::error(&error.to_string()),
                saved => saved?,
            }
        }
        let is_hopeless = words::is_users(problem.kind) && problem.stream.is_none() && !self.has_worked;
        let ends = self.policy.patience().is_some();
        if is_hopeless || (ends && !words::passes(problem.kind)) {
            return Err(problem.into());
        }
        let wait = problem.retry_after_ms.map_or(RETRY_AFTER, milliseconds).max(SHORTEST_RETRY);
        self.wait(wait, || words::of(&problem))
    }

    fn after(&mut self, batch: &Batch) -> Result<Next, Stop> {
        let wait = milliseconds(batch.next_poll_ms);
        let least = if self.empty_promises > EMPTY_PROMISES { FIRST_BACK_OFF } else { Duration::ZERO };
        if wait.is_zero() {
            if least.is_zero() {
                return Ok(Next::Again);
            }
            return self.wait(least, || String::from("the source promises more and brings nothing"));
        }
        match self.policy {
            Policy::Follow => Ok(Next::Wait(wait.max(least))),
            Policy::Complete(_) if source::is_complete(&batch.state) => Ok(Next::End(End::Complete)),
            Policy::Complete(_) | Policy::CaughtUp(_) => self.caught_up(batch, wait),
        }
    }

    /// What is left once a source wants a pause.
    fn caught_up(&mut self, batch: &Batch, wait: Duration) -> Result<Next, Stop> {
        let now = clock::elapsed();
        let next_attempt = self.pending.values().map(|(_, again_at)| again_at.saturating_sub(now)).min();
        // The clocks of the source and of this program may differ by some milliseconds.
        let wait = next_attempt.map_or(wait, |next| wait.min(next + Duration::from_millis(5)));
        // A stream that failed and waits for its next attempt does not say so in every batch.
        let problems = || batch.problems.iter().chain(self.pending.values().map(|(problem, _)| problem));
        let passing = problems().find(|problem| words::passes(problem.kind)).cloned();
        let lasting =
            problems().find(|problem| blocks(problem.kind) && !words::passes(problem.kind)).cloned();
        match (passing, lasting, batch.stats.backlog_files) {
            (None, None, 0) if matches!(self.policy, Policy::CaughtUp(_)) => Ok(Next::End(End::CaughtUp)),
            (None, None, 0) => self.wait(wait, || String::from("the range of time is not complete yet")),
            (None, Some(problem), 0) => Err(problem.into()),
            (Some(problem), ..) => self.wait(wait, || words::of(&problem)),
            (None, _, files) => self.wait(wait, || format!("{files} files are not read yet")),
        }
    }

    /// Waits, unless that would end after the patience does.
    fn wait(&self, wait: Duration, why: impl FnOnce() -> String) -> Result<Next, Stop> {
        self.check_patience(wait, why)?;
        Ok(Next::Wait(wait))
    }

    fn check_patience(&self, wait: Duration, why: impl FnOnce() -> String) -> Result<(), Stop> {
        let waited = clock::elapsed().saturating_sub(self.progress_at);
        match self.policy.patience() {
            Some(patience) if waited + wait > patience => {
                let message = format!(
                    "given up, as nothing came for {} s and the next attempt is {} s away: {}",
                    waited.as_secs(),
                    wait.as_secs(),
                    why()
                );
                Err(Stop { message, is_users: false })
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, batch: &Batch, has_changed: bool) {
        self.has_worked = true;
        batch.problems.iter().for_each(|problem| self.note_problem(problem));
        let stats = &batch.stats;
        let has_read = stats.bytes_read > 0 || stats.rows_read > 0 || stats.files_completed > 0;
        if !batch.events.is_empty() || (has_read && has_changed) {
            self.progress_at = clock::elapsed();
            self.empty_promises = 0;
        } else if milliseconds(batch.next_poll_ms) < SOON {
            self.empty_promises = self.empty_promises.saturating_add(1);
        }
    }

    fn note_problem(&mut self, problem: &Problem) {
        if let (Some(stream), Some(wait)) = (&problem.stream, problem.retry_after_ms)
            && blocks(problem.kind)
        {
            let again_at = clock::elapsed() + milliseconds(wait);
            self.pending.insert(stream.clone(), (problem.clone(), again_at));
        }
    }
}

fn tell(problem: &Problem) {
    let is_error = !words::passes(problem.kind) && problem.kind != ProblemKind::Data;
    log::problem(is_error, words::kind(problem.kind), &words::of(problem));
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count.into()).min(LONGEST_WAIT)
}

/// Whether a problem in a batch means that something may be missing that could still be read.
fn blocks(kind: ProblemKind) -> bool {
    !matches!(kind, ProblemKind::Data | ProblemKind::State)
}
