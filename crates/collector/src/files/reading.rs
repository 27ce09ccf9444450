//! The reading of one event log file, as far as it goes in one slice, and what becomes of a file that cannot be read.
//!
//! # No file holds up another
//!
//! A download that fails is that file's own error, whatever the answer says, unless it reaches everything (nobody can sign
//! in, the allowance is used up). The file is set aside with its checkpoint and tried again, ever more rarely. Only when the
//! next file fails as well does the stream wait before it tries one more, since then it may be the downloads and not the
//! files; the wait grows from file to file, and ends with the first that can be read.
//!
//! # When a file is given up
//!
//! One rule, for whatever went wrong: it was tried often enough, over time enough, *and* the org does not list it any more.
//! The org is asked for that file once more before it is believed. While it is listed, it is asked for. Time counts as far
//! as tries were spread over it: neither a host that was switched off nor a clock that jumped makes a file old.

use crate::{
    config::streams::FilesSource,
    files::{
        download::Taken,
        file::{OpenFile, Stop},
        listing::{Listed, look_up},
    },
    org::session::RequestError,
    problem::{Kind, Problem},
    receipt,
    schedule::{
        backoff::Backoff,
        slice::{Slice, Step},
    },
    state::{Capacity, FilesState, Reading},
};
use documents::time::{Time, millis};
use std::time::Duration;

/// How often a file must have failed before it is given up.
const TRIES: u32 = 4;
/// Over how much time, where the answer is that there is no such file. `give_up_after` counts for all other answers.
const GONE_AFTER: Duration = Duration::from_secs(3600);
/// After so many tries that ended at the same position, the org is asked whether the file has the length that it had.
const LENGTH_DOUBTED: u32 = 2;

/// The reading of one file, as far as it goes in one slice.
pub struct Job<'j, 'a, 'o, 'p> {
    /// What there is to work with.
    pub slice: &'j mut Slice<'a, 'o, 'p>,
    /// What is collected.
    pub source: &'j FilesSource,
    /// The cursor of the stream, with no file that is being read.
    pub state: &'j mut FilesState,
    /// How much the stream may remember.
    pub capacity: Capacity,
    /// The time on the host's clock.
    pub now: Time,
    /// The download, if it is open already.
    pub open: &'j mut Option<Box<OpenFile>>,
    /// The download, if it was begun.
    pub begun: Option<Taken>,
}

/// Why a file could not be read on.
struct Failed {
    problem: Problem,
    /// Whether the answer was that there is no such file.
    gone: bool,
}

impl Job<'_, '_, '_, '_> {
    /// Reads a file on from where it was left.
    ///
    /// # Errors
    /// When nobody can sign in, or the allowance is used up.
    pub fn read(mut self, mut reading: Reading) -> Result<Step, Problem> {
        let file = reading.file.clone();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                match OpenFile::open(self.slice.org, &file, reading.checkpoint.as_ref(), self.begun.take()) {
                    Ok(open) => open,
                    Err(RequestError::Everywhere(problem)) => {
                        self.state.reading = Some(reading);
                        return Err(problem);
                    }
                    Err(error) => return Ok(self.refused(reading, &error)),
                }
            }
        };
        let (before, left_out) = (self.slice.progress.stats, self.slice.progress.left_out());
        let stop = open.read(self.slice.org, self.source, &file, self.slice.progress);
        let after = self.slice.progress.stats;
        let doubts = open.doubts.drain(..).map(|doubt| doubt.in_stream(&self.source.stream));
        self.slice.problems.extend(doubts);
        if after.rows_read > before.rows_read {
            reading.rows += u64::from(after.rows_read - before.rows_read);
            reading.malformed += u64::from(after.rows_malformed - before.rows_malformed);
            reading.left_out += self.slice.progress.left_out() - left_out;
            reading.backoff = None;
            reading.failing = None;
            reading.checkpoint = open.checkpoint();
            self.state.downloads_work(self.now);
        }
        match stop {
            Ok(Stop::Full) => {
                self.state.reading = Some(reading);
                *self.open = Some(open);
                Ok(Step::Worked)
            }
            Ok(Stop::End) => {
                self.state.downloads_work(self.now);
                Ok(self.complete(&reading, open.position()))
            }
            Ok(Stop::Short(length)) => Ok(self.short(reading, length)),
            Ok(Stop::Changed) => Ok(self.changed(reading)),
            Err(problem) => Ok(self.failed(reading, Failed { problem, gone: false })),
        }
    }

    /// A file that is not the one that the checkpoint was made in. It is read from its beginning: at once the first time, and
    /// after ever longer waits if it goes on to change.
    fn changed(&mut self, mut reading: Reading) -> Step {
        reading.checkpoint = None;
        (reading.rows, reading.malformed, reading.left_out) = (0, 0, 0);
        reading.changes = reading.changes.saturating_add(1);
        let message = format!("event log file {} is not what it was when reading began", reading.file.id);
        let problem = Problem::new(Kind::Data, message)
            .hint("it is read from its beginning; rows that did not change keep their ids");
        if reading.changes > 1 {
            let wait = Backoff::nth(reading.changes, &problem, self.now, &reading.file.id);
            return self.failed(
                reading,
                Failed { problem: problem.retry_after_ms(wait.remaining(self.now)), gone: false },
            );
        }
        self.slice.problems.push(problem.in_stream(&self.source.stream));
        self.state.reading = Some(reading);
        self.slice.progress.moved();
        Step::Worked
    }

    /// A file that is read to its end.
    fn complete(&mut self, reading: &Reading, read: u64) -> Step {
        self.slice.progress.stats.files_completed =
            self.slice.progress.stats.files_completed.saturating_add(1);
        // What an earlier issue of it held stands in it.
        self.state.set_aside.retain(|earlier| !reading.replaces(earlier));
        self.done(reading, read, true)
    }

    /// A file of which nothing more is wanted.
    fn done(&mut self, reading: &Reading, read: u64, complete: bool) -> Step {
        if self.slice.org.config.receipts {
            let (stream, span) = (&self.source.stream, self.source.cadence.span());
            let receipt = receipt::of_file(self.slice.org, stream, span, reading, read, complete);
            self.slice.progress.push_receipt(receipt);
        }
        self.state.pass(reading, self.source.overlap, self.capacity);
        self.slice.progress.moved();
        Step::Worked
    }

    /// A file that ended before its LogFileLength: most likely a download that was cut.
    fn short(&mut self, mut reading: Reading, length: u64) -> Step {
        // Further than ever before is progress; another position is none.
        if reading.ended_at.is_none_or(|before| length > before) {
            reading.backoff = None;
            reading.failing = None;
            reading.ended_at = Some(length);
        }
        let tries = reading.failing.map_or(0, |failing| failing.tries);
        if tries >= LENGTH_DOUBTED
            && let Ok(Some(listed)) = look_up(self.slice.org, &reading.file)
        {
            reading.file.length = listed.length;
            if length >= listed.length {
                return self.complete(&reading, length);
            }
        }
        let file = &reading.file;
        let message = format!("event log file {} ended after {length} of {} bytes", file.id, file.length);
        let problem = Problem::new(Kind::Data, message).hint("it is asked for again, and goes on from there");
        self.failed(reading, Failed { problem, gone: false })
    }

    /// A download that was refused, or not answered.
    fn refused(&mut self, reading: Reading, error: &RequestError) -> Step {
        let gone = matches!(error, RequestError::Refused(refusal) if refusal.is_gone());
        let problem = if gone {
            let message = format!("Salesforce says that it has no event log file {}", reading.file.id);
            Problem::new(Kind::Data, message).hint("it is asked for again as long as it is listed")
        } else {
            error.problem(&format!("the download of event log file {}", reading.file.id))
        };
        // A file that failed before says nothing about the others.
        if reading.failing.is_none() {
            let downloads = self.state.downloads.as_ref();
            self.state.downloads =
                Some(Backoff::after_free(downloads, &problem, self.now, &self.source.stream, 1));
        }
        self.failed(reading, Failed { problem, gone })
    }

    /// Sets a file aside, or gives it up.
    fn failed(&mut self, mut reading: Reading, failed: Failed) -> Step {
        reading.failed(self.now);
        if self.is_over(&mut reading, &failed) {
            let (read, length) = (reading.read(), reading.file.length);
            let message = format!(
                "event log file {} is given up: the org does not list it any more; {read} of its {length} bytes were read, and \
                 what lies behind them is not collected ({})",
                reading.file.id, failed.problem.message
            );
            let problem = Problem::new(Kind::Data, message).in_stream(&self.source.stream);
            let hint = "it expired, or an administrator deleted it; poll more often than files expire";
            self.slice.problems.push(problem.hint(hint));
            self.slice.progress.gave_up();
            return self.done(&reading, read, false);
        }
        let (id, for_ms) = (&reading.file.id, reading.failing.map_or(0, |failing| failing.for_ms));
        let backoff = Backoff::of_file(reading.backoff.as_ref(), &failed.problem, self.now, id, for_ms);
        let problem = failed.problem.in_stream(&self.source.stream);
        self.slice.problems.push(problem.retry_after_ms(backoff.remaining(self.now)));
        if self.state.set_aside.len() < self.capacity.set_aside {
            reading.backoff = Some(backoff);
            self.state.pass(&reading, self.source.overlap, self.capacity);
            self.state.set_aside.push(reading);
        } else {
            // Without capacity for it, the stream waits for it.
            self.state.downloads = Some(backoff.clone());
            reading.backoff = Some(backoff);
            self.state.reading = Some(reading);
        }
        self.slice.progress.moved();
        Step::Failed
    }

    /// Whether a file was tried often enough, for long enough, and is not listed any more.
    fn is_over(&mut self, reading: &mut Reading, failed: &Failed) -> bool {
        let bound =
            if failed.gone { GONE_AFTER.min(self.source.give_up_after) } else { self.source.give_up_after };
        let enough = reading
            .failing
            .is_some_and(|failing| failing.tries >= TRIES && failing.for_ms >= millis(bound).unsigned_abs());
        if !enough {
            return false;
        }
        match look_up(self.slice.org, &reading.file) {
            Ok(Some(Listed { length })) => {
                reading.file.length = length;
                false
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }
}
