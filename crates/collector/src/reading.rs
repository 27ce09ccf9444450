//! The reading of one event log file, as far as it goes in one turn, and what becomes of a file that cannot be read.
//!
//! It is set aside with its place, so that it does not hold up the others, and tried again, ever more rarely, until it is
//! given up. Trouble that every request would meet (no network, no permission, no allowance) holds up the stream.

use crate::{
    backoff::Backoff,
    config::streams::FilesSource,
    file::{Failure, OpenFile, Opened, Stop},
    problem::{Kind, Problem},
    session::Trouble,
    state::{FilesState, Gone, Reading, Room},
    time::Time,
    turn::{Step, Turn},
};
use std::time::Duration;

/// How long a file must have ended at the same length, before its LogFileLength, until that is taken for its true end.
const ACCEPTED_AFTER: Duration = Duration::from_secs(6 * 3600);
/// How long Salesforce must have said that it has no such file, and how often in a row, until it is believed.
const GONE_AFTER: Duration = Duration::from_secs(3600);
const GONE_TIMES: u32 = 4;
/// How often a refused download holds up the whole stream, before the trouble is taken for the file's own.
const HOLD_UPS: u32 = 2;

/// The reading of one file, as far as it goes in one self.turn.
pub struct Job<'j, 'a, 'o, 'p> {
    /// What there is to work with.
    pub turn: &'j mut Turn<'a, 'o, 'p>,
    /// What is collected.
    pub source: &'j FilesSource,
    /// The place of the stream, with no file that is being read.
    pub state: &'j mut FilesState,
    /// How many files the stream may remember.
    pub room: Room,
    /// The time on the host's clock.
    pub now: Time,
    /// The download, if it is open already.
    pub open: &'j mut Option<Box<OpenFile>>,
}

impl Job<'_, '_, '_, '_> {
    /// Reads a file on from where it was left.
    ///
    /// # Errors
    /// When nobody can sign in.
    pub fn read(mut self, mut reading: Reading) -> Result<Step, Problem> {
        let now = self.now;
        let file = reading.file.clone();
        if self.open.is_none() {
            let checkpoint = reading.checkpoint.as_ref();
            let opened = OpenFile::open(self.turn.org, &self.source.stream, &file, checkpoint);
            if !matches!(&opened, Err(Failure::Trouble(Trouble::Refused(refusal))) if refusal.is_gone()) {
                reading.gone = None;
            }
            match opened {
                Ok(Opened::Ready(open)) => *self.open = Some(open),
                Ok(Opened::Short(0)) if file.length == 0 => {
                    return Ok(self.complete(&reading, 0));
                }
                Ok(Opened::Short(length)) if accepted_end(&reading, now) == Some(length) => {
                    return Ok(self.complete(&reading, length));
                }
                Ok(Opened::Short(length)) => return Ok(self.short(reading, length)),
                Ok(Opened::Changed) => {
                    reading.checkpoint = None;
                    let message = format!("event log file {} is not what it was when reading began", file.id);
                    let problem = Problem::new(Kind::Data, message).in_stream(&self.source.stream);
                    self.turn.problems.push(
                        problem
                            .hint("it is read from its beginning; rows that did not change keep their ids"),
                    );
                    self.state.reading = Some(reading);
                    return Ok(Step::Worked);
                }
                Err(Failure::Trouble(Trouble::Refused(refusal))) if refusal.is_gone() => {
                    return Ok(self.gone(reading));
                }
                Err(Failure::Trouble(trouble)) => return self.refused(reading, &trouble),
                Err(Failure::File(problem)) => return Ok(self.set_aside(reading, problem)),
            }
        }
        let Some(open) = self.open.as_mut() else { return Ok(Step::Idle) };
        if let Some(length) = accepted_end(&reading, now) {
            open.accept_end_at(length);
        }
        let before = self.turn.progress.stats.rows_read;
        let stop = open.read(&file, self.turn.progress);
        if self.turn.progress.stats.rows_read > before {
            reading.backoff = None;
            reading.failing_since = None;
            reading.checkpoint = Some(open.checkpoint());
        }
        self.state.backoff = None;
        match stop {
            Ok(Stop::Full) => {
                self.state.reading = Some(reading);
                Ok(Step::Worked)
            }
            Ok(Stop::End) => {
                let length = open.position();
                Ok(self.complete(&reading, length))
            }
            Ok(Stop::Short(length)) => Ok(self.short(reading, length)),
            Err(problem) => Ok(self.set_aside(reading, problem)),
        }
    }

    /// A file that is read to its end.
    fn complete(&mut self, reading: &Reading, length: u64) -> Step {
        let file = &reading.file;
        if length < file.length {
            let message = format!(
                "event log file {} still ends after {length} of {} bytes and is taken to be complete",
                file.id, file.length
            );
            self.turn.problems.push(Problem::new(Kind::Data, message).in_stream(&self.source.stream));
        }
        self.turn.progress.stats.files_completed = self.turn.progress.stats.files_completed.saturating_add(1);
        self.done(reading)
    }

    /// A file of which nothing more is wanted.
    fn done(&mut self, reading: &Reading) -> Step {
        *self.open = None;
        self.state.pass(&reading.file, self.source.overlap, self.room);
        self.turn.progress.moved();
        Step::Worked
    }

    /// A file that ended before its LogFileLength: most likely a download that was cut.
    fn short(&mut self, mut reading: Reading, length: u64) -> Step {
        let file = &reading.file;
        let message = format!("event log file {} ended after {length} of {} bytes", file.id, file.length);
        if reading.ended_at != Some(length) {
            reading.backoff = None;
            reading.failing_since = None;
        }
        reading.ended_at = Some(length);
        let problem = Problem::new(Kind::Data, message).hint("it is asked for again, and goes on from there");
        self.set_aside(reading, problem)
    }

    /// A file that Salesforce says it does not have. That is final only if it goes on saying so.
    fn gone(&mut self, mut reading: Reading) -> Step {
        let message =
            format!("event log file {} is gone: expired, or deleted by an administrator", reading.file.id);
        let problem = Problem::new(Kind::Data, message);
        let gone = reading.gone.get_or_insert(Gone { since: self.now, times: 0 });
        gone.times = gone.times.saturating_add(1);
        if self.now < gone.since.after(GONE_AFTER) || gone.times < GONE_TIMES {
            let problem =
                problem.hint("it is asked for again for an hour, in case this is not the last word");
            return self.set_aside(reading, problem);
        }
        let problem = problem.hint("poll more often than files expire; what it held cannot be collected");
        self.turn.problems.push(problem.in_stream(&self.source.stream));
        self.done(&reading)
    }

    /// A download that was refused, or not answered. At first that is taken for trouble that every request would meet; if
    /// it stays with this file, the file is set aside.
    fn refused(&mut self, mut reading: Reading, trouble: &Trouble) -> Result<Step, Problem> {
        let problem = trouble.problem(&format!("the download of event log file {}", reading.file.id));
        let everywhere = matches!(problem.kind, Kind::Auth | Kind::RateLimited);
        let attempts = reading.backoff.as_ref().map_or(0, |backoff| backoff.attempts);
        if !matches!(trouble, Trouble::Everywhere(_)) && !everywhere && attempts >= HOLD_UPS {
            return Ok(self.set_aside(reading, problem));
        }
        if !everywhere {
            reading.backoff =
                Some(Backoff::after(reading.backoff.as_ref(), &problem, self.now, &reading.file.id));
        }
        self.state.reading = Some(reading);
        self.trouble(trouble, problem)
    }

    fn set_aside(&mut self, mut reading: Reading, problem: Problem) -> Step {
        *self.open = None;
        let give_up_after = self.source.give_up_after;
        if reading.failing_since.is_some_and(|since| self.now >= since.after(give_up_after)) {
            let at = reading.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset);
            let message = format!(
                "event log file {} is given up: what lies behind byte {at} of {} is not collected ({})",
                reading.file.id, reading.file.length, problem.message
            );
            let problem = Problem::new(problem.kind, message).in_stream(&self.source.stream);
            self.turn.problems.push(problem.hint("it failed for as long as give_up_after says"));
            return self.done(&reading);
        }
        let backoff = Backoff::after(reading.backoff.as_ref(), &problem, self.now, &reading.file.id);
        self.turn
            .problems
            .push(problem.in_stream(&self.source.stream).retry_after_ms(backoff.remaining(self.now)));
        reading.backoff = Some(backoff);
        reading.failing_since.get_or_insert(self.now);
        self.state.pass(&reading.file, self.source.overlap, self.room);
        self.state.set_aside.push(reading);
        self.turn.progress.moved();
        Step::Failed
    }

    /// Trouble that every request of the stream would meet.
    fn trouble(&mut self, trouble: &Trouble, problem: Problem) -> Result<Step, Problem> {
        *self.open = None;
        self.turn.trouble(&self.source.stream, &mut self.state.backoff, trouble, problem)
    }
}

/// The length at which a file has ended for so long before its LogFileLength that it is taken for its true one.
fn accepted_end(reading: &Reading, now: Time) -> Option<u64> {
    reading.ended_at.filter(|_| reading.failing_since.is_some_and(|since| now >= since.after(ACCEPTED_AFTER)))
}
