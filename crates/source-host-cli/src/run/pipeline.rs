//! A source, where its events go and where its state lies, one step after the other: poll, deliver, save, wait.
//!
//! The order is the whole point. Events are delivered before the state is saved, so a host that dies in between delivers
//! them again and loses none. Whatever goes wrong, the stored state never runs ahead of the events delivered.
//!
//! What could not be delivered or saved is held and tried again before the source is polled again: an output that is down
//! pauses its source, and nothing is asked for twice.
//!
//! Time is tokio's, so that a test can pause it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_output::{Output, OutputError, OutputErrorKind};
use source_host::{Batch, Error, Failure, Limits, Problem, ProblemKind, Throttle};
use state_store::{StateError, StateStore};
use tokio::time::Instant;

use super::ending::{End, RunError};
use super::pollable::Pollable;
use super::report::{Progress, Report};
use super::watcher::Watcher;

/// The wait after a failure that names none.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The shortest wait after a failure, whatever it names: no source makes the host hammer a service.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// The wait after the first crash of a component, or the first refusal of an output; doubled with each further one in a row.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// Crashes in a row after which `until_caught_up` gives up.
const CRASHES: u32 = 3;
/// Polls in a row that promise more at once and bring nothing, after which each costs a wait.
const EMPTY_PROMISES: u32 = 10;
/// A source that wants to be polled again sooner than that promises more at once.
const SOON: Duration = Duration::from_secs(1);
/// For how long a source goes on at full speed that reads and has no events: of some files all may be left out.
const FRUITLESS: Duration = Duration::from_secs(60);
/// The wait after each such poll from then on. Nobody can poll, save and log without end more often than that.
const FRUITLESS_WAIT: Duration = Duration::from_millis(100);

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Ends when nothing is left to read. Otherwise runs until it is stopped.
    pub until_caught_up: bool,
    /// Ends when a source that has an end has come to it ([`source_host::Source::is_complete`]).
    pub until_complete: bool,
    /// With `until_caught_up`: how long errors that pass by themselves are waited out without any progress.
    pub give_up_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { until_caught_up: false, until_complete: false, give_up_after: Duration::from_secs(300) }
    }
}

/// How many bytes of undelivered events the pipelines of a process may hold together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HeldEvents(Arc<(usize, AtomicUsize)>);

impl HeldEvents {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new((bytes, AtomicUsize::new(0))))
    }

    /// Bytes that are held now.
    pub fn bytes(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn hold(&self, bytes: usize) -> Option<Held> {
        let (most, held) = &*self.0;
        let within = |held: usize| held.checked_add(bytes).filter(|after| after <= most);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        Some(Held { of: self.clone(), bytes })
    }
}

struct Held {
    of: HeldEvents,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.0.1.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A batch on its way.
struct Pending {
    batch: Batch,
    /// Events of it that are safe.
    delivered: usize,
    /// Where it counts against what all may hold; only while it waits.
    held: Option<Held>,
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more at once.
    Again,
    /// Nothing until then.
    Wait(Duration),
    /// That was all.
    End(End),
}

/// A source, where its events go and where its state lies.
pub struct Pipeline<P> {
    source: P,
    output: Box<dyn Output>,
    store: Box<dyn StateStore>,
    policy: Policy,
    held: Option<HeldEvents>,
    watcher: Option<Arc<dyn Watcher>>,
    /// What is stored; none before it was loaded.
    state: Option<State>,
    pending: Option<Pending>,
    /// Set when the source has to be opened again before it is polled.
    crashed: Option<Error>,
    tally: Tally,
    /// Of lines about problems, and of those about batches.
    problem_lines: Throttle,
    batch_lines: Throttle,
    report: Report,
    /// What keeps it from going on, until something is delivered again.
    last_error: Option<String>,
}

#[derive(Default)]
struct State {
    text: Option<String>,
    revision: Option<u64>,
}

impl<P> std::fmt::Debug for Pipeline<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<P: Pollable> Pipeline<P> {
    /// One that goes on until it is stopped.
    pub fn new(source: P, output: Box<dyn Output>, store: Box<dyn StateStore>) -> Self {
        let lines = Limits::default().log_lines_per_minute;
        Self {
            source,
            output,
            store,
            policy: Policy::default(),
            held: None,
            watcher: None,
            state: None,
            pending: None,
            crashed: None,
            tally: Tally::new(),
            problem_lines: Throttle::per_minute(lines),
            batch_lines: Throttle::per_minute(lines),
            report: Report::default(),
            last_error: None,
        }
    }

    /// Sets when it ends by itself.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Bounds what is held of undelivered events, together with others. What would be beyond is dropped and polled for again.
    /// One among others outlives an output that refuses events: it waits, where one alone ends if it never worked.
    #[must_use]
    pub fn held_events(mut self, held: HeldEvents) -> Self {
        self.held = Some(held);
        self
    }

    /// Bounds the lines of the log a minute about problems of the source, and likewise those about its batches.
    #[must_use]
    pub fn log_lines(mut self, per_minute: u32) -> Self {
        self.problem_lines = Throttle::per_minute(per_minute);
        self.batch_lines = Throttle::per_minute(per_minute);
        self
    }

    /// Has somebody told what happens.
    #[must_use]
    pub fn watcher(mut self, watcher: Arc<dyn Watcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// What was done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where it stands.
    pub fn progress(&self, wait: Option<Duration>) -> Progress<'_> {
        let (backlog_files, backlog_bytes) = self.tally.backlog;
        Progress { report: &self.report, backlog_files, backlog_bytes, wait }
    }

    /// The source, to be suspended while it waits.
    pub fn source(&mut self) -> &mut P {
        &mut self.source
    }

    /// Where events go.
    pub fn output(&mut self) -> &mut dyn Output {
        &mut *self.output
    }

    /// Where its state lies.
    pub fn store(&mut self) -> &mut dyn StateStore {
        &mut *self.store
    }

    /// What keeps it from going on, in words: the last poll failed, or its events or its state wait.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Whether events wait for the output.
    pub fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Does what is next: delivers what waits, or polls, delivers and saves. Can be dropped at any point: then the same comes
    /// again.
    ///
    /// # Errors
    ///
    /// Why it cannot go on.
    pub async fn step(&mut self) -> Result<Next, RunError> {
        let next = self.advance().await;
        self.report.peak_memory_bytes = self.source.peak_memory();
        self.report.caught_up = matches!(next, Ok(Next::End(End::CaughtUp | End::Complete)));
        next
    }

    async fn advance(&mut self) -> Result<Next, RunError> {
        if self.state.is_none() {
            let stored = self.store.load().await?;
            let (text, revision) = stored.map(|stored| (stored.state, stored.revision)).unzip();
            self.state = Some(State { text, revision });
        }
        if self.pending.is_some() {
            return self.deliver().await;
        }
        // Kept until there is a new instance: this may be dropped in between.
        if let Some(error) = &self.crashed {
            if let Err(again) = self.source.renew().await {
                self.report.problems += 1;
                self.tell(|watcher| watcher.poll_failed(&again));
                return self.after_crash(again);
            }
            tracing::debug!(%error, "a new instance goes on");
            self.crashed = None;
        }
        self.report.polls += 1;
        self.tally.begin_poll();
        let started = Instant::now();
        let text = self.state.as_ref().and_then(|state| state.text.as_deref());
        match self.source.poll(text).await {
            Ok(batch) => {
                self.tell(|watcher| watcher.polled(&batch, started.elapsed()));
                self.pending = Some(Pending { batch, delivered: 0, held: None });
                self.deliver().await
            }
            Err(error) => {
                self.report.problems += 1;
                self.tell(|watcher| watcher.poll_failed(&error));
                match error {
                    Error::Failure(failure) => self.failed(*failure).await,
                    error => self.after_crash(error),
                }
            }
        }
    }

    /// The source could do nothing at all.
    async fn failed(&mut self, failure: Failure) -> Result<Next, RunError> {
        self.tally.crashes = 0;
        self.last_error = Some(failure.problem.to_string());
        self.log(&failure.problem);
        self.tally.note_problem(&failure.problem);
        if let Some(new) = failure.state
            && failure.problem.kind != ProblemKind::State
            && let Err(error) = self.save(new).await
        {
            if !error.passes() {
                return Err(error.into());
            }
            // By the contract nothing is lost with it but a back-off, and that is waited out here all the same.
            self.tell(|watcher| watcher.save_failed(&error));
            tracing::error!(%error, "the state of a failure cannot be saved");
        }
        self.after_failure(failure.problem)
    }

    /// Delivers the batch that waits, as far as it is not delivered, and saves its state.
    async fn deliver(&mut self) -> Result<Next, RunError> {
        let Some(pending) = &mut self.pending else { return Ok(Next::Again) };
        let events = pending.batch.events.get(pending.delivered..).unwrap_or_default();
        if !events.is_empty() {
            let started = Instant::now();
            match self.output.deliver(events).await {
                Ok(delivered) => {
                    self.report.events_set_aside += delivered.set_aside;
                    pending.delivered = pending.batch.events.len();
                    if let Some(watcher) = &self.watcher {
                        watcher.delivered(&delivered, events, started.elapsed());
                    }
                }
                Err(error) => return self.after_refusal(error, started.elapsed()),
            }
        }
        self.tally.refusals = 0;
        let state = pending.batch.state.clone();
        let has_changed = self.state.as_ref().is_none_or(|stored| stored.text.as_ref() != Some(&state));
        if let Err(error) = self.save(state).await {
            return self.after_unsaved(error);
        }
        let Some(Pending { batch, .. }) = self.pending.take() else { return Ok(Next::Again) };
        self.report.add(&batch);
        self.tally.note(&batch, has_changed);
        self.last_error = None;
        if let Some(suppressed) = self.batch_lines.admit() {
            tracing::info!(
                target: "source_host_cli::progress",
                events = batch.events.len(),
                requests = batch.stats.requests,
                files_left = batch.stats.backlog_files,
                bytes_left = batch.stats.backlog_bytes,
                next_poll_ms = batch.next_poll_ms,
                suppressed = (suppressed > 0).then_some(suppressed),
                "batch delivered"
            );
        }
        batch.problems.iter().for_each(|problem| self.log(problem));
        self.after_batch(&batch).await
    }

    async fn save(&mut self, text: String) -> Result<(), StateError> {
        let state = self.state.get_or_insert_default();
        state.revision = Some(self.store.save(&text, state.revision).await?);
        if let Some(watcher) = &self.watcher {
            watcher.saved(text.len());
        }
        state.text = Some(text);
        Ok(())
    }

    /// The output has not taken everything: the rest waits for it, and the source with it.
    fn after_refusal(&mut self, error: OutputError, took: Duration) -> Result<Next, RunError> {
        self.last_error = Some(error.to_string());
        let Some(pending) = &mut self.pending else { return Ok(Next::Again) };
        let before = pending.delivered;
        pending.delivered = (before + error.accepted()).min(pending.batch.events.len());
        let safe = pending.batch.events.get(before..pending.delivered).unwrap_or_default();
        if !safe.is_empty() {
            self.tally.progress_at = Instant::now();
        }
        if let Some(watcher) = &self.watcher {
            if !safe.is_empty() {
                watcher.delivered(&error.delivered(), safe, took);
            }
            watcher.output_failed(&error);
        }
        self.report.events_set_aside += error.delivered().set_aside;
        let act = match error.kind() {
            OutputErrorKind::Closed => return Ok(Next::End(End::ReaderGone)),
            OutputErrorKind::Unavailable => false,
            _ => true,
        };
        if act && (self.policy.until_caught_up || !self.tally.worked) && self.held.is_none() {
            return Err(RunError::Output(error));
        }
        self.tally.refusals += 1;
        let back_off = back_off(self.tally.refusals).max(error.retry_after().unwrap_or_default());
        let again_in_s = back_off.as_secs();
        if act {
            tracing::error!(%error, again_in_s, "the output refuses events; they wait");
        } else {
            tracing::warn!(%error, again_in_s, "the output cannot take events; they wait");
        }
        if let (Some(held), Some(pending)) = (&self.held, &mut self.pending) {
            // It no longer counts while it is asked whether it fits.
            drop(pending.held.take());
            let bytes = pending.batch.events.iter().map(String::len).sum();
            pending.held = held.hold(bytes);
            if pending.held.is_none() {
                tracing::warn!(bytes, "no room for events that wait; they are polled for again");
                self.pending = None;
            }
        }
        self.wait(back_off, || error.to_string())
    }

    /// The events are safe, their state is not: it is saved before anything else is done.
    fn after_unsaved(&mut self, error: StateError) -> Result<Next, RunError> {
        if !error.passes() {
            return Err(error.into());
        }
        self.last_error = Some(error.to_string());
        self.tell(|watcher| watcher.save_failed(&error));
        self.tally.unsaved += 1;
        let back_off = back_off(self.tally.unsaved);
        tracing::error!(%error, again_in_s = back_off.as_secs(), "the state cannot be saved; nothing is read until it can");
        self.wait(back_off, || error.to_string())
    }

    async fn after_batch(&mut self, batch: &Batch) -> Result<Next, RunError> {
        self.tally.unsaved = 0;
        if batch.next_poll_ms == 0 {
            let wait = self.tally.least_wait(batch);
            return if wait.is_zero() {
                Ok(Next::Again)
            } else {
                self.wait(wait, || "the source promises more and brings nothing".into())
            };
        }
        if self.policy.until_complete {
            match self.source.is_complete(&batch.state).await {
                Ok(true) => return Ok(Next::End(End::Complete)),
                Ok(false) => {}
                // The batch is safe, so nothing is lost; the same is asked after the next one.
                Err(error) => return self.after_crash(error),
            }
        }
        let wait = Duration::from_millis(batch.next_poll_ms.into());
        if !self.policy.until_caught_up {
            return Ok(Next::Wait(wait.max(self.tally.least_wait(batch))));
        }
        // The clocks of the source and of this run may differ by some milliseconds.
        let wait = self.tally.next_attempt().map_or(wait, |next| wait.min(next + Duration::from_millis(5)));
        // A stream that failed and waits for its next attempt does not say so in every batch.
        let problems =
            || batch.problems.iter().chain(self.tally.pending.values().map(|(problem, _)| problem));
        let passing = problems().find(|problem| problem.kind.passes());
        let lasting = problems().find(|problem| blocks(problem.kind) && !problem.kind.passes());
        match (passing, lasting, batch.stats.backlog_files) {
            (None, None, 0) => Ok(Next::End(End::CaughtUp)),
            (None, Some(problem), 0) => Err(RunError::Problem(Box::new(problem.clone()))),
            (Some(problem), ..) => self.wait(wait, || problem.to_string()),
            (None, _, files) => self.wait(wait, || format!("{files} files are not read yet")),
        }
    }

    /// What no poll of this run has got past, and waiting cannot mend, ends the run. But not what concerns one stream, and not
    /// what comes up after the source has worked: nobody may be there to start it again.
    fn after_failure(&self, problem: Problem) -> Result<Next, RunError> {
        let hopeless = problem.kind.is_users() && problem.stream.is_none() && !self.tally.worked;
        if hopeless || (self.policy.until_caught_up && !problem.kind.passes()) {
            return Err(RunError::Problem(Box::new(problem)));
        }
        let wait = problem.retry_after_ms.map_or(RETRY_AFTER, |ms| Duration::from_millis(ms.into()));
        self.wait(wait.max(SHORTEST_RETRY), || problem.to_string())
    }

    fn after_crash(&mut self, error: Error) -> Result<Next, RunError> {
        self.tally.crashes += 1;
        self.last_error = Some(error.to_string());
        if self.policy.until_caught_up && self.tally.crashes >= CRASHES {
            return Err(RunError::Crashed { times: self.tally.crashes, last: error });
        }
        let back_off = back_off(self.tally.crashes);
        tracing::error!(%error, again_in_s = back_off.as_secs(), "the component failed; starting a new instance");
        self.crashed = Some(error);
        Ok(Next::Wait(back_off))
    }

    /// Waits, unless the wait would end after the patience of `until_caught_up` does.
    fn wait(&self, wait: Duration, why: impl FnOnce() -> String) -> Result<Next, RunError> {
        let waited = self.tally.progress_at.elapsed();
        if self.policy.until_caught_up && waited + wait > self.policy.give_up_after {
            return Err(RunError::NoProgress { waited, next: wait, why: why() });
        }
        tracing::debug!(wait_ms = wait.as_millis(), "waiting");
        Ok(Next::Wait(wait))
    }

    fn tell(&self, what: impl FnOnce(&dyn Watcher)) {
        if let Some(watcher) = &self.watcher {
            what(&**watcher);
        }
    }

    fn log(&mut self, problem: &Problem) {
        let Some(suppressed) = self.problem_lines.admit() else { return };
        let kind = problem.kind.as_str();
        let suppressed = (suppressed > 0).then_some(suppressed);
        if problem.kind.passes() || problem.kind == ProblemKind::Data {
            tracing::warn!(kind, suppressed, "{problem}");
        } else {
            tracing::error!(kind, suppressed, "{problem}");
        }
    }
}

fn back_off(times: u32) -> Duration {
    FIRST_BACK_OFF.saturating_mul(1 << times.min(7).saturating_sub(1)).min(LONGEST_BACK_OFF)
}

/// What is remembered from poll to poll.
struct Tally {
    progress_at: Instant,
    crashes: u32,
    refusals: u32,
    unsaved: u32,
    empty_promises: u32,
    /// Since when no batch has had events, and no long wait was asked for.
    fruitless_since: Option<Instant>,
    backlog: (u32, u64),
    /// Whether a poll has brought a batch that was delivered.
    worked: bool,
    /// Streams that failed last time, each with the time of its next attempt.
    pending: BTreeMap<String, (Problem, Instant)>,
}

impl Tally {
    fn new() -> Self {
        Self {
            progress_at: Instant::now(),
            crashes: 0,
            refusals: 0,
            unsaved: 0,
            empty_promises: 0,
            fruitless_since: None,
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

    fn note(&mut self, batch: &Batch, has_changed: bool) {
        let stats = &batch.stats;
        self.crashes = 0;
        self.worked = true;
        batch.problems.iter().for_each(|problem| self.note_problem(problem));
        self.backlog = (stats.backlog_files, stats.backlog_bytes);
        let now = Instant::now();
        // What was read is what the source says; that it goes on from somewhere else is seen. Events are there.
        let has_read = stats.bytes_read > 0 || stats.rows_read > 0 || stats.files_completed > 0;
        let wait = Duration::from_millis(batch.next_poll_ms.into());
        if !batch.events.is_empty() || (has_read && has_changed) {
            self.progress_at = now;
            self.empty_promises = 0;
        } else if wait < SOON {
            self.empty_promises = self.empty_promises.saturating_add(1);
        }
        if !batch.events.is_empty() || wait >= FRUITLESS {
            self.fruitless_since = None;
        } else {
            self.fruitless_since.get_or_insert(now);
        }
    }

    /// How long it is at least until the source is polled again, whatever it wants itself.
    fn least_wait(&self, batch: &Batch) -> Duration {
        if !batch.events.is_empty() || u128::from(batch.next_poll_ms) >= SOON.as_millis() {
            return Duration::ZERO;
        }
        if self.empty_promises > EMPTY_PROMISES {
            return FIRST_BACK_OFF;
        }
        let fruitless = self.fruitless_since.map_or(Duration::ZERO, |since| since.elapsed());
        if fruitless >= FRUITLESS { FRUITLESS_WAIT } else { Duration::ZERO }
    }
}

/// Whether a problem in a batch means that something may be missing that could still be read.
fn blocks(kind: ProblemKind) -> bool {
    !matches!(kind, ProblemKind::Data | ProblemKind::State)
}
