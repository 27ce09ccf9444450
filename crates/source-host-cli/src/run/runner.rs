//! The loop: poll, deliver, save the state, wait.
//!
//! The order is the whole point. Events are delivered before the state is saved, so a host that dies in between delivers
//! them again and loses none. Whatever goes wrong, the state on disk never runs ahead of the events delivered.
//!
//! Time is tokio's, so that a test can pause it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ending::{End, Finished, RunError};
use super::pollable::Pollable;
use super::report::{Progress, Report};
use super::sink::{Sink, SinkError};
use super::state::StateStore;
use source_host::Error;
use source_host::{Batch, Problem, ProblemKind};

/// The wait after a failure that names none.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The shortest wait after a failure, whatever it names: no source makes the host hammer a service.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// The wait after the first crash of a component; doubled with each further one in a row.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// Crashes in a row after which `until_caught_up` gives up.
const CRASHES: u32 = 3;
/// Polls in a row that promise more at once and bring nothing, after which each costs a wait.
const EMPTY_PROMISES: u32 = 10;

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Ends when nothing is left to read. Otherwise runs until it is stopped.
    pub until_caught_up: bool,
    /// With `until_caught_up`: how long trouble that passes by itself is waited out without any progress.
    pub give_up_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { until_caught_up: false, give_up_after: Duration::from_secs(300) }
    }
}

/// Asks a runner to stop after the batch it is at.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

type Watcher = Box<dyn FnMut(Progress<'_>) + Send>;

/// Drives one source.
pub struct Runner<P> {
    source: P,
    sink: Box<dyn Sink>,
    store: Box<dyn StateStore>,
    policy: Policy,
    stopped: watch::Receiver<bool>,
    stopper: Stopper,
    watcher: Option<Watcher>,
}

impl<P> std::fmt::Debug for Runner<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// What to do after a poll.
enum Next {
    Again,
    Wait(Duration),
    End(End),
}

impl<P: Pollable> Runner<P> {
    /// A runner that goes on until it is stopped.
    pub fn new(source: P, sink: Box<dyn Sink>, store: Box<dyn StateStore>) -> Self {
        let (sender, stopped) = watch::channel(false);
        let policy = Policy::default();
        Self { source, sink, store, policy, stopped, stopper: Stopper(sender), watcher: None }
    }

    /// Sets when it ends by itself.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Has a function called after each poll.
    #[must_use]
    pub fn watch(mut self, watcher: impl FnMut(Progress<'_>) + Send + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// What stops this runner, from anywhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs to the end.
    pub async fn run(mut self) -> Finished {
        let started = Instant::now();
        let mut report = Report::default();
        let end = self.drive(&mut report).await;
        report.seconds = started.elapsed().as_secs_f64();
        report.peak_memory_bytes = self.source.peak_memory();
        report.caught_up = matches!(end, Ok(End::CaughtUp));
        Finished { report, end }
    }

    async fn drive(&mut self, report: &mut Report) -> Result<End, RunError> {
        let mut state = self.store.load()?;
        let mut tally = Tally::new();
        loop {
            if *self.stopped.borrow() {
                return Ok(End::Stopped);
            }
            report.polls += 1;
            tally.begin_poll();
            let next = match self.source.poll(state.as_deref()).await {
                Ok(batch) => self.deliver(batch, &mut state, report, &mut tally).await?,
                Err(Error::Failure(failure)) => {
                    tally.crashes = 0;
                    report.problems += 1;
                    log(&failure.problem);
                    tally.note_problem(&failure.problem);
                    if let Some(new) = failure.state
                        && failure.problem.kind != ProblemKind::State
                    {
                        self.store.save(&new)?;
                        state = Some(new);
                    }
                    self.after_failure(failure.problem, &tally)?
                }
                Err(error) => {
                    report.problems += 1;
                    self.after_crash(error, &mut tally).await?
                }
            };
            let wait = match next {
                Next::Wait(wait) => Some(wait),
                Next::Again | Next::End(_) => None,
            };
            if let Some(watcher) = &mut self.watcher {
                report.peak_memory_bytes = self.source.peak_memory();
                let (backlog_files, backlog_bytes) = tally.backlog;
                watcher(Progress { report, backlog_files, backlog_bytes, wait });
            }
            match next {
                Next::Again => {}
                Next::End(end) => return Ok(end),
                Next::Wait(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        // Fails only if all senders are gone, and one of them is ours.
                        _ = self.stopped.wait_for(|stop| *stop) => return Ok(End::Stopped),
                    }
                }
            }
        }
    }

    async fn deliver(
        &mut self,
        batch: Batch,
        state: &mut Option<String>,
        report: &mut Report,
        tally: &mut Tally,
    ) -> Result<Next, RunError> {
        if !batch.events.is_empty() {
            match self.sink.deliver(&batch.events).await {
                Ok(()) => {}
                Err(SinkError::Closed) => return Ok(Next::End(End::ReaderGone)),
                Err(error) => return Err(RunError::Sink(error)),
            }
        }
        self.store.save(&batch.state)?;
        report.add(&batch);
        tally.note(&batch);
        tracing::info!(
            target: "source_host_cli::progress",
            events = batch.events.len(),
            requests = batch.stats.requests,
            files_left = batch.stats.backlog_files,
            bytes_left = batch.stats.backlog_bytes,
            next_poll_ms = batch.next_poll_ms,
            "batch delivered"
        );
        batch.problems.iter().for_each(log);
        let next = self.after_batch(&batch, tally);
        *state = Some(batch.state);
        next
    }

    fn after_batch(&self, batch: &Batch, tally: &Tally) -> Result<Next, RunError> {
        if batch.next_poll_ms == 0 {
            return if tally.empty_promises <= EMPTY_PROMISES {
                Ok(Next::Again)
            } else {
                self.wait(FIRST_BACK_OFF, tally, || "the source promises more and brings nothing".into())
            };
        }
        let wait = Duration::from_millis(batch.next_poll_ms.into());
        if !self.policy.until_caught_up {
            return Ok(Next::Wait(wait));
        }
        // The clocks of the source and of this run may differ by some milliseconds.
        let wait = tally.next_attempt().map_or(wait, |next| wait.min(next + Duration::from_millis(5)));
        // A stream that failed and waits for its next attempt does not say so in every batch.
        let problems = || batch.problems.iter().chain(tally.pending.values().map(|(problem, _)| problem));
        let passing = problems().find(|problem| problem.kind.passes());
        let lasting = problems().find(|problem| blocks(problem.kind) && !problem.kind.passes());
        match (passing, lasting, batch.stats.backlog_files) {
            (None, None, 0) => Ok(Next::End(End::CaughtUp)),
            (None, Some(problem), 0) => Err(RunError::Problem(Box::new(problem.clone()))),
            (Some(problem), ..) => self.wait(wait, tally, || problem.to_string()),
            (None, _, files) => self.wait(wait, tally, || format!("{files} files are not read yet")),
        }
    }

    /// What no poll of this run has got past, and waiting cannot mend, ends the run. But not what concerns one stream, and not
    /// what comes up after the source has worked: nobody may be there to start it again.
    fn after_failure(&self, problem: Problem, tally: &Tally) -> Result<Next, RunError> {
        let hopeless = problem.kind.is_users() && problem.stream.is_none() && !tally.worked;
        if hopeless || (self.policy.until_caught_up && !problem.kind.passes()) {
            return Err(RunError::Problem(Box::new(problem)));
        }
        let wait = problem.retry_after_ms.map_or(RETRY_AFTER, |ms| Duration::from_millis(ms.into()));
        self.wait(wait.max(SHORTEST_RETRY), tally, || problem.to_string())
    }

    async fn after_crash(&mut self, mut error: Error, tally: &mut Tally) -> Result<Next, RunError> {
        loop {
            tally.crashes += 1;
            if self.policy.until_caught_up && tally.crashes >= CRASHES {
                return Err(RunError::Crashed { times: tally.crashes, last: error });
            }
            let back_off = FIRST_BACK_OFF.saturating_mul(1 << tally.crashes.min(7).saturating_sub(1));
            let back_off = back_off.min(LONGEST_BACK_OFF);
            tracing::error!(%error, again_in_s = back_off.as_secs(), "the component failed; starting a new instance");
            tokio::select! {
                () = sleep(back_off) => {}
                _ = self.stopped.wait_for(|stop| *stop) => return Ok(Next::End(End::Stopped)),
            }
            match self.source.renew().await {
                Ok(()) => return Ok(Next::Again),
                Err(again) => error = again,
            }
        }
    }

    /// Waits, unless the wait would end after the patience of `until_caught_up` does.
    fn wait(&self, wait: Duration, tally: &Tally, why: impl FnOnce() -> String) -> Result<Next, RunError> {
        let waited = tally.progress_at.elapsed();
        if self.policy.until_caught_up && waited + wait > self.policy.give_up_after {
            return Err(RunError::NoProgress { waited, next: wait, why: why() });
        }
        tracing::debug!(wait_ms = wait.as_millis(), "waiting");
        Ok(Next::Wait(wait))
    }
}

/// What the runner remembers from poll to poll.
struct Tally {
    progress_at: Instant,
    crashes: u32,
    empty_promises: u32,
    backlog: (u32, u64),
    /// Whether a poll of this run has brought a batch.
    worked: bool,
    /// Streams that failed last time, each with the time of its next attempt.
    pending: BTreeMap<String, (Problem, Instant)>,
}

impl Tally {
    fn new() -> Self {
        Self {
            progress_at: Instant::now(),
            crashes: 0,
            empty_promises: 0,
            backlog: (0, 0),
            worked: false,
            pending: BTreeMap::new(),
        }
    }

    /// Forgets the streams that are tried again in this poll: if they fail again, they say so again.
    fn begin_poll(&mut self) {
        let now = Instant::now();
        self.pending.retain(|_, (_, again_at)| *again_at > now);
    }

    /// How long it is until the next stream that failed is tried again.
    fn next_attempt(&self) -> Option<Duration> {
        let now = Instant::now();
        self.pending.values().map(|(_, again_at)| again_at.saturating_duration_since(now)).min()
    }

    fn note_problem(&mut self, problem: &Problem) {
        if let (Some(stream), Some(wait)) = (&problem.stream, problem.retry_after_ms)
            && blocks(problem.kind)
        {
            let again_at = Instant::now() + Duration::from_millis(wait.into());
            self.pending.insert(stream.clone(), (problem.clone(), again_at));
        }
    }

    fn note(&mut self, batch: &Batch) {
        let stats = &batch.stats;
        self.crashes = 0;
        self.worked = true;
        batch.problems.iter().for_each(|problem| self.note_problem(problem));
        self.backlog = (stats.backlog_files, stats.backlog_bytes);
        if !batch.events.is_empty()
            || stats.bytes_read > 0
            || stats.rows_read > 0
            || stats.files_completed > 0
        {
            self.progress_at = Instant::now();
            self.empty_promises = 0;
        } else {
            self.empty_promises = self.empty_promises.saturating_add(1);
        }
    }
}

/// Whether a problem in a batch means that something may be missing that could still be read.
fn blocks(kind: ProblemKind) -> bool {
    !matches!(kind, ProblemKind::Data | ProblemKind::State)
}

fn log(problem: &Problem) {
    let kind = problem.kind.as_str();
    if problem.kind.passes() || problem.kind == ProblemKind::Data {
        tracing::warn!(kind, "{problem}");
    } else {
        tracing::error!(kind, "{problem}");
    }
}
