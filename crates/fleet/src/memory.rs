//! An engine in this process, for tests: what it does is what every engine has to do, without a network.
//!
//! Each worker has a handle of its own, and may have faults of its own: a call that does nothing, one whose answer is lost, one
//! that never ends. Time is tokio's, so that a test can pause it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::engine::{CommitError, Engine, EngineError, has_room};
use crate::job::{Checkpoint, Event, Job, Revision, Wake};
use crate::ledger::{At, Ledger, Refusal, is_committed, replace};

/// At which step of a call something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A job is taken.
    Take,
    /// A lease is extended.
    Extend,
    /// An event is published.
    Publish,
    /// A checkpoint is read.
    Read,
    /// A checkpoint is replaced.
    Replace,
    /// A job is done with.
    Sleep,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not done, and the caller hears of it.
    Fails,
    /// It is done, and the caller hears that it was not.
    LosesAnswer,
    /// At [`Moment::Replace`]: it is not done, and the store says that the revision is a wrong one.
    RefusesRevision,
}

type Faults = dyn Fn(Moment) -> std::pin::Pin<Box<dyn Future<Output = Fault> + Send>> + Send + Sync;

/// An engine in this process. Clones share everything but their faults.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
    faults: Option<Arc<Faults>>,
}

struct Shared {
    lease_time: Duration,
    window: Duration,
    /// Events of one tenant that there is room for.
    room: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<String, Queued>,
    checkpoints: BTreeMap<String, Vec<(Revision, Checkpoint)>>,
    events: Vec<(String, Event)>,
    waiting: HashMap<String, usize>,
    ids: HashMap<String, Instant>,
    last: u64,
}

struct Queued {
    /// Another one for each job of the tenant.
    number: u64,
    due: Instant,
    failures: u32,
    woken: bool,
    deliveries: u64,
}

/// What was stored of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its events, in order.
    pub events: Vec<Event>,
    /// Every checkpoint there has been, in order.
    pub checkpoints: Vec<(Revision, Checkpoint)>,
}

/// A job of [`Memory`].
#[derive(Clone, Debug)]
pub struct Lease {
    tenant: String,
    number: u64,
    /// How often the job had been handed out.
    delivery: u64,
    known: Arc<Mutex<At>>,
}

impl Lease {
    /// Whose job it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    fn known(&self) -> MutexGuard<'_, At> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another has got the job meanwhile.
    fn is_late(&self, state: &State) -> bool {
        state
            .jobs
            .get(&self.tenant)
            .is_none_or(|queued| (queued.number, queued.deliveries) != (self.number, self.delivery))
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    /// An empty one. Equal events within the window are one; of each tenant there is room for so many that nobody has taken.
    pub fn new(lease_time: Duration, window: Duration, room: usize) -> Self {
        let shared = Shared { lease_time, window, room, state: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared), faults: None }
    }

    /// The same engine, with faults.
    #[must_use]
    pub fn with_faults<F, R>(&self, faults: F) -> Self
    where
        F: Fn(Moment) -> R + Send + Sync + 'static,
        R: Future<Output = Fault> + Send + 'static,
    {
        let faults: Arc<Faults> = Arc::new(move |moment| Box::pin(faults(moment)));
        Self { shared: Arc::clone(&self.shared), faults: Some(faults) }
    }

    /// Has a tenant polled now, unless it waits for that already.
    pub fn wake(&self, tenant: &str) {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        let queued = Queued { number, due: Instant::now(), failures: 0, woken: true, deliveries: 0 };
        state.jobs.entry(tenant.to_owned()).or_insert(queued);
        self.shared.changed.notify_waiters();
    }

    /// What was stored of a tenant.
    pub fn stored(&self, tenant: &str) -> Stored {
        let state = self.state();
        let events = state.events.iter().filter(|(of, _)| of == tenant).map(|(_, event)| event.clone());
        let checkpoints = state.checkpoints.get(tenant).cloned().unwrap_or_default();
        Stored { events: events.collect(), checkpoints }
    }

    /// Takes the tenant's events away, so that there is room for more.
    pub fn drain(&self, tenant: &str) {
        self.state().waiting.remove(tenant);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it panics half-way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fault(&self, moment: Moment) -> Fault {
        match &self.faults {
            Some(faults) => faults(moment).await,
            None => Fault::None,
        }
    }

    /// What a step did, as its caller hears of it.
    async fn step<T>(&self, moment: Moment, act: impl FnOnce(&mut State) -> T) -> Result<T, EngineError> {
        let fault = self.fault(moment).await;
        if fault == Fault::Fails {
            return Err(EngineError::Unavailable(format!("{moment:?} failed")));
        }
        let done = act(&mut self.state());
        // A look at the jobs alone changes nothing that anybody waits for.
        if moment != Moment::Take {
            self.shared.changed.notify_waiters();
        }
        match fault {
            Fault::LosesAnswer => Err(EngineError::Unavailable(format!("the answer to {moment:?} was lost"))),
            _ => Ok(done),
        }
    }

    async fn publish(&self, tenant: &str, event: &Event) -> Result<(), CommitError> {
        let Shared { window, room, .. } = *self.shared;
        let took = self.step(Moment::Publish, |state| {
            let now = Instant::now();
            state.ids.retain(|_, at| now.duration_since(*at) < window);
            let id = event.id.as_ref().map(|id| format!("{tenant} {id}"));
            if id.as_ref().is_some_and(|id| state.ids.contains_key(id)) {
                return true;
            }
            let waiting = state.waiting.entry(tenant.to_owned()).or_default();
            if *waiting >= room {
                return false;
            }
            *waiting += 1;
            if let Some(id) = id {
                state.ids.insert(id, now);
            }
            state.events.push((tenant.to_owned(), event.clone()));
            true
        });
        if took.await? { Ok(()) } else { Err(CommitError::Full(format!("{room} events wait"))) }
    }

    /// The job that is due longest, and else when the next one is.
    fn take(state: &mut State, lease_time: Duration) -> Result<(String, Queued), Option<Instant>> {
        let now = Instant::now();
        let first = state.jobs.iter_mut().min_by_key(|(_, queued)| queued.due);
        let Some((tenant, queued)) = first else { return Err(None) };
        if queued.due > now {
            return Err(Some(queued.due));
        }
        queued.due = now + lease_time;
        queued.deliveries += 1;
        Ok((tenant.clone(), Queued { ..*queued }))
    }
}

impl Ledger for Memory {
    async fn read(&self, tenant: &str) -> Result<(Option<Checkpoint>, Revision), EngineError> {
        let last = |state: &mut State| {
            let last = state.checkpoints.get(tenant).and_then(|all| all.last());
            last.map_or((None, Revision(0)), |(revision, checkpoint)| (Some(checkpoint.clone()), *revision))
        };
        self.step(Moment::Read, last).await
    }

    async fn update(
        &self,
        tenant: &str,
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> Result<Revision, Refusal> {
        let fault = self.fault(Moment::Replace).await;
        match fault {
            Fault::Fails => return Err(Refusal::Unknown("the store is away".to_owned())),
            Fault::RefusesRevision => return Err(Refusal::WrongRevision),
            Fault::None | Fault::LosesAnswer => {}
        }
        let mut state = self.state();
        let last = state.checkpoints.get(tenant).and_then(|all| all.last());
        if last.map_or(Revision(0), |(at, _)| *at) != revision {
            return Err(Refusal::WrongRevision);
        }
        state.last += 1;
        let new = Revision(state.last);
        state.checkpoints.entry(tenant.to_owned()).or_default().push((new, checkpoint.clone()));
        match fault {
            Fault::LosesAnswer => Err(Refusal::Unknown("the answer was lost".to_owned())),
            _ => Ok(new),
        }
    }
}

impl Engine for Memory {
    type Lease = Lease;

    async fn next_job(&self) -> Result<Job<Lease>, EngineError> {
        let lease_time = self.shared.lease_time;
        let (tenant, queued) = loop {
            // Before it is looked, so that nothing is missed in between.
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.step(Moment::Take, |state| Self::take(state, lease_time)).await? {
                Ok(taken) => break taken,
                Err(Some(due)) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
                Err(None) => changed.await,
            }
        };
        let (checkpoint, revision) = self.read(&tenant).await?;
        Ok(Job {
            failures: queued.failures,
            woken: queued.woken,
            deliveries: queued.deliveries,
            checkpoint,
            unreadable: None,
            revision,
            lease: Lease {
                tenant: tenant.clone(),
                number: queued.number,
                delivery: queued.deliveries,
                known: Arc::new(Mutex::new(At::read(revision))),
            },
            tenant,
        })
    }

    async fn extend(&self, lease: &Lease) -> Result<(), EngineError> {
        let lease_time = self.shared.lease_time;
        let extend = |state: &mut State| {
            if let Some(queued) = state.jobs.get_mut(&lease.tenant)
                && queued.number == lease.number
            {
                queued.due = Instant::now() + lease_time;
            }
        };
        self.step(Moment::Extend, extend).await
    }

    async fn commit(
        &self,
        lease: &Lease,
        events: &[Event],
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> Result<Revision, CommitError> {
        if lease.is_late(&self.state())
            && let Some(at) = is_committed(self, &lease.tenant, checkpoint, revision).await?
        {
            lease.known().written(at);
            return Ok(at);
        }
        let room = self.shared.room;
        let waiting = self.state().waiting.get(&lease.tenant).copied().unwrap_or_default();
        has_room(events.len() as u64, waiting as u64, room as u64)?;
        for event in events {
            self.publish(&lease.tenant, event).await?;
        }
        lease.known().writes(checkpoint);
        let new = replace(self, &lease.tenant, checkpoint, revision).await?;
        lease.known().written(new);
        Ok(new)
    }

    async fn sleep_until(&self, lease: &Lease, wake: Wake) -> Result<(), CommitError> {
        if lease.is_late(&self.state()) {
            let known = lease.known().clone();
            known.is_last(self, &lease.tenant).await?;
        }
        let sleep = |state: &mut State| {
            state.last += 1;
            let number = state.last;
            let due = Instant::now() + wake.after;
            let queued = Queued { number, due, failures: wake.failures, woken: false, deliveries: 0 };
            // Whoever is late and does not know acknowledges the job of another, or takes the place of what it planned.
            state.jobs.insert(lease.tenant.clone(), queued);
        };
        Ok(self.step(Moment::Sleep, sleep).await?)
    }

    fn lease_time(&self) -> Duration {
        self.shared.lease_time
    }
}

impl Stored {
    /// How many of its events came more than once.
    pub fn repeats(&self) -> usize {
        let mut seen = HashSet::new();
        self.events.iter().filter(|event| event.id.as_ref().is_some_and(|id| !seen.insert(id))).count()
    }
}
