//! Takes a job, polls its tenant's source, commits what came, and has the tenant wake again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::engine::{CommitError, Engine, EngineError};
use crate::job::{Checkpoint, Event, Job, Wake};

/// The wait after the first failure in a row; doubled with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// Polls in a row that promise more at once and bring nothing, after which the tenant rests: it is not to hold a worker with that.
const EMPTY_PROMISES: u32 = 10;
/// For how long.
const REST: Duration = Duration::from_secs(1);
/// A tenant that is not to be polled is looked at again after so long. Who puts it back has it woken, but may not be heard.
const ABSENCE: Duration = Duration::from_secs(3600);
/// Where an engine does not answer.
const ENGINE_AWAY: Duration = Duration::from_secs(1);

/// What polls: a component that is configured for one tenant, or a stand-in for tests.
pub trait Source: Send {
    /// What comes after this state.
    fn poll(&mut self, state: Option<&str>) -> impl Future<Output = Result<Polled, PollError>> + Send;
}

/// Where a worker has the sources of tenants from.
pub trait Sources: Sync {
    /// The source of a tenant.
    type Source: Source;

    /// That of this tenant, as it is configured now. None: it is paused or gone, and is not to be polled until somebody puts it
    /// back.
    fn open(&self, tenant: &str) -> impl Future<Output = Result<Option<Self::Source>, PollError>> + Send;

    /// Takes a source back that may be wanted again soon. Whether what its last poll brought is committed: it may be polled again
    /// from where it was.
    fn close(
        &self,
        _tenant: &str,
        _source: Self::Source,
        _is_committed: bool,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The tenant has been put to sleep, or may have been. A change that came while it was polled has woken nobody, so it is looked for now.
    fn slept(&self, _tenant: &str) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What came of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// The events.
    pub events: Vec<Event>,
    /// What covers exactly these events and those before.
    pub state: String,
    /// When there may be more. Zero: there is, now.
    pub wait: Duration,
}

/// A source that could not be polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollError {
    /// What happened, and what to do.
    pub message: String,
    /// When to try again at the soonest.
    pub retry_after: Option<Duration>,
    /// The position that there was, with what is to be remembered of the failure. It is stored like that of a poll.
    pub state: Option<String>,
}

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For how long a tenant goes on that has more at once: then it goes to the end of the queue.
    pub slice: Duration,
    /// The longest wait after a failure that names none.
    pub longest_back_off: Duration,
    /// The longest wait of all: however long a source wants to sleep.
    pub longest_sleep: Duration,
    /// Deliveries of the same job after which it is put off without a poll: whoever polls it seems to die of it.
    pub deliveries: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            slice: Duration::from_secs(10),
            longest_back_off: Duration::from_secs(600),
            longest_sleep: Duration::from_secs(86_400),
            deliveries: 4,
        }
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The tenant was polled, and sleeps.
    Slept {
        /// Events committed.
        events: u64,
        /// Calls of the source.
        polls: u64,
        /// How long it sleeps.
        wait: Duration,
        /// Whether it may be known as one that could not be polled.
        may_be_in_trouble: bool,
    },
    /// It could not be polled, and is tried again later.
    Failed {
        /// Why.
        why: String,
        /// The wait.
        wait: Duration,
        /// How often in a row.
        failures: u32,
    },
    /// Another worker has it. Nothing of this one was committed since, and its job was left alone.
    Fenced,
    /// It is paused or gone.
    Absent,
    /// The engine did not answer. The job comes again once its lease runs out.
    Left(String),
}

/// Works on the jobs of an engine.
#[derive(Debug)]
pub struct Worker<'a, E, S> {
    engine: &'a E,
    sources: &'a S,
    settings: Settings,
    name: &'a str,
}

impl<'a, E: Engine, S: Sources> Worker<'a, E, S> {
    /// A place of a worker by this name, which nothing else has that takes jobs.
    pub fn new(engine: &'a E, sources: &'a S, name: &'a str, settings: Settings) -> Self {
        Self { engine, sources, settings, name }
    }

    /// Takes jobs, one after the other, until the future given is done; what is under way then is finished. Tells how each ended.
    pub async fn run(&self, stopped: impl Future<Output = ()> + Send, mut told: impl FnMut(&str, &Done)) {
        tokio::pin!(stopped);
        loop {
            let job = tokio::select! {
                biased;
                () = &mut stopped => return,
                job = self.engine.next_job() => job,
            };
            match job {
                Ok(job) => {
                    let tenant = job.tenant.clone();
                    let done = self.work(job).await;
                    self.say(&tenant, &done);
                    told(&tenant, &done);
                }
                Err(error) => {
                    tracing::warn!(place = self.name, %error, "no job can be had");
                    tokio::select! {
                        biased;
                        () = &mut stopped => return,
                        () = sleep(ENGINE_AWAY) => {}
                    }
                }
            }
        }
    }

    /// Works on one job, and extends its lease meanwhile.
    pub async fn work(&self, job: Job<E::Lease>) -> Done {
        let lease = &job.lease;
        let extend = async {
            loop {
                sleep(self.engine.lease_time() / 3).await;
                // Whoever holds it for too long is fenced when it commits.
                if let Err(error) = self.engine.extend(lease).await {
                    tracing::debug!(place = self.name, tenant = job.tenant, %error, "the lease is not extended");
                }
            }
        };
        let done = tokio::select! {
            biased;
            done = self.poll(&job) => done,
            () = extend => unreachable!("it goes on for ever"),
        };
        // However it ended: an answer that was lost may have been the one that it sleeps.
        self.sources.slept(&job.tenant).await;
        done
    }

    async fn poll(&self, job: &Job<E::Lease>) -> Done {
        if job.deliveries > self.settings.deliveries {
            let why = format!(
                "the job was handed out {} times and nobody came to an end with it: each time its worker ended over it, or could not \
                 reach the servers",
                job.deliveries
            );
            return self.failed(job, job.failures.saturating_add(1), why, None).await;
        }
        if let Some(why) = &job.unreadable {
            return self.failed(job, job.failures.saturating_add(1), why.clone(), None).await;
        }
        let mut source = match self.sources.open(&job.tenant).await {
            Ok(Some(source)) => source,
            Ok(None) => {
                let wake = Wake { after: ABSENCE, failures: 0 };
                let slept = self.engine.sleep_until(&job.lease, wake).await;
                return slept.map_or_else(not_slept, |()| Done::Absent);
            }
            Err(error) => {
                let failures = job.failures.saturating_add(1);
                return self.failed(job, failures, error.message, error.retry_after).await;
            }
        };
        let (done, is_committed) = self.go_on(job, &mut source).await;
        match done {
            // What it knows may be of a collection that went on without it.
            Done::Fenced => {}
            _ => self.sources.close(&job.tenant, source, is_committed).await,
        }
        done
    }

    /// How it ended, and whether what the last poll brought is committed.
    async fn go_on(&self, job: &Job<E::Lease>, source: &mut S::Source) -> (Done, bool) {
        let started = Instant::now();
        let mut checkpoint = job.checkpoint.clone();
        let mut revision = job.revision;
        let (mut events, mut polls) = (0, 0);
        let mut promises = 0;
        let mut failures = job.failures;
        loop {
            let polled = match source.poll(checkpoint.as_ref().map(|at| &*at.state)).await {
                Ok(polled) => polled,
                Err(error) => {
                    if let Some(state) = error.state {
                        let next = after(checkpoint.as_ref(), state, 0, self.name);
                        let kept = self.engine.commit(&job.lease, &[], &next, revision).await;
                        if let Err(CommitError::Fenced(_)) = kept {
                            return (Done::Fenced, true);
                        }
                        // By the contract nothing but a back-off is lost with it, and that is waited out here all the same.
                    }
                    let failures = failures.saturating_add(1);
                    return (self.failed(job, failures, error.message, error.retry_after).await, true);
                }
            };
            polls += 1;
            let count = polled.events.len() as u64;
            let next = after(checkpoint.as_ref(), polled.state, count, self.name);
            match self.engine.commit(&job.lease, &polled.events, &next, revision).await {
                Ok(new) => revision = new,
                Err(CommitError::Fenced(_)) => return (Done::Fenced, false),
                Err(CommitError::Engine(EngineError::Unavailable(why))) => return (Done::Left(why), false),
                Err(error) => {
                    let failures = failures.saturating_add(1);
                    return (self.failed(job, failures, error.to_string(), None).await, false);
                }
            }
            events += count;
            failures = 0;
            checkpoint = Some(next);
            promises = if count == 0 { promises + 1 } else { 0 };
            let wait = if polled.wait.is_zero() && promises >= EMPTY_PROMISES { REST } else { polled.wait };
            if wait.is_zero() && started.elapsed() < self.settings.slice {
                continue;
            }
            let wait = wait.min(self.settings.longest_sleep);
            let slept = self.engine.sleep_until(&job.lease, Wake { after: wait, failures: 0 }).await;
            let may_be_in_trouble = job.failures > 0 || job.woken || job.deliveries > 1;
            let done =
                slept.map_or_else(not_slept, |()| Done::Slept { events, polls, wait, may_be_in_trouble });
            return (done, true);
        }
    }

    async fn failed(
        &self,
        job: &Job<E::Lease>,
        failures: u32,
        why: String,
        retry_after: Option<Duration>,
    ) -> Done {
        let settings = &self.settings;
        let back_off = FIRST_BACK_OFF.saturating_mul(1 << failures.clamp(1, 20).saturating_sub(1));
        let wait = back_off.min(settings.longest_back_off).max(retry_after.unwrap_or_default());
        let wait = wait.min(settings.longest_sleep);
        let slept = self.engine.sleep_until(&job.lease, Wake { after: wait, failures }).await;
        slept.map_or_else(not_slept, |()| Done::Failed { why, wait, failures })
    }

    fn say(&self, tenant: &str, done: &Done) {
        let place = self.name;
        match done {
            Done::Slept { events, polls, wait, .. } => {
                tracing::debug!(place, tenant, events, polls, ?wait, "polled");
            }
            Done::Failed { why, wait, .. } => tracing::warn!(place, tenant, ?wait, "{why}"),
            Done::Fenced => tracing::warn!(
                place,
                tenant,
                "fenced: another worker has gone on with this tenant, so what was polled here is thrown away"
            ),
            Done::Absent => tracing::debug!(place, tenant, "paused or gone"),
            Done::Left(why) => {
                tracing::warn!(place, tenant, "the job is left until its lease runs out: {why}")
            }
        }
    }
}

fn not_slept(error: CommitError) -> Done {
    match error {
        CommitError::Fenced(_) => Done::Fenced,
        error => Done::Left(error.to_string()),
    }
}

fn after(before: Option<&Checkpoint>, state: String, events: u64, writer: &str) -> Checkpoint {
    let (commits, so_far) = before.map_or((0, 0), |before| (before.commits, before.events));
    let (commits, events) = (commits.saturating_add(1), so_far.saturating_add(events));
    Checkpoint { state, commits, events, writer: writer.to_owned() }
}
