//! A time slice of a source: what it works with, and what came of it.

use crate::{
    org::session::{Org, RequestError},
    problem::Problem,
    schedule::{backoff::Backoff, batch::Progress},
};
use documents::time::Time;

/// What a source works with.
pub struct Slice<'a, 'o, 'p> {
    /// Where to collect from.
    pub org: &'a mut Org<'o>,
    /// Where to put events.
    pub progress: &'a mut Progress<'p>,
    /// Where errors are noted.
    pub problems: &'a mut Vec<Problem>,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was listed or read.
    Worked,
    /// Something was tried and noted as a problem. There may be more to do.
    Failed,
    /// There is nothing to do now.
    Idle,
}

impl<'o, 'p> Slice<'_, 'o, 'p> {
    /// The same, for a part of the slice.
    pub fn reborrow(&mut self) -> Slice<'_, 'o, 'p> {
        Slice { org: self.org, progress: self.progress, problems: self.problems }
    }
}

impl Slice<'_, '_, '_> {
    /// The time on the host's clock.
    pub fn now(&self) -> Time {
        Time(self.org.clock.now_ms())
    }

    /// Notes an error that every request of a source would meet, and makes the source wait.
    ///
    /// # Errors
    /// When every other source would meet it as well: nobody can sign in, or the allowance is used up.
    pub fn fail(
        &mut self,
        stream: &str,
        backoff: &mut Option<Backoff>,
        error: &RequestError,
        problem: Problem,
    ) -> Result<Step, Problem> {
        if let RequestError::Everywhere(problem) = error {
            return Err(problem.clone());
        }
        Ok(self.hold_up(stream, backoff, problem))
    }

    /// Makes a source wait.
    pub fn hold_up(&mut self, stream: &str, backoff: &mut Option<Backoff>, problem: Problem) -> Step {
        let now = self.now();
        let wait = Backoff::after(backoff.as_ref(), &problem, now, stream);
        self.problems.push(problem.in_stream(stream).retry_after_ms(wait.remaining(now)));
        *backoff = Some(wait);
        self.progress.moved();
        Step::Failed
    }
}
