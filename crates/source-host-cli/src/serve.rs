//! Many tenants in one process: a folder with a file for each.
//!
//! A tenant that waits is a record and not an instance: what it needs to go on stands in its state, and ten thousand of them
//! wake nobody. When one is due it gets one of a bounded number of places for a time slice, those first that have used little
//! of late ([`places`] has the rule), and of the processor what is fair. What goes wrong with one (a file that cannot be read,
//! credentials that are refused, an output that is down, a component that computes without end) stays with it.

mod backfill;
mod control;
mod error;
mod folder;
mod places;
mod settings;
mod tenant;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use source_host::Runtime;
use state_store::{Database, Settings as StateSettings};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;
use tracing::Instrument as _;

use self::backfill::Backfill;
pub use self::backfill::TimeRange;
pub use self::control::{Answer, Ask, BackfillStatus, EarlierState, TenantStatus, ask, socket};
use self::control::{Control, Request};
pub use self::error::ServeError;
use self::folder::{Changes, TenantFile, scan};
use self::places::{Places, Usage};
pub use self::settings::Settings;
use self::tenant::{Loaded, NotOpen, Shared, SliceEnd, Tenant, Wanted};
use crate::watch::{self, Audit, Health, Metrics, ServerLimits, TenantMetrics, Thresholds};

/// What a served folder came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Tenants at the end.
    pub tenants: usize,
    /// Slices that had to be broken off, as they took longer than the drain.
    pub broken_off: usize,
    /// Events delivered.
    pub events: u64,
}

/// What stops a server, and what has it look at its files again.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Ends it.
    pub stop: CancellationToken,
    /// Has it read everything again: the folder, and of each tenant the file, secrets, authorities and component. Outputs and the
    /// audit trail are opened again.
    pub reload: Arc<tokio::sync::Notify>,
}

/// Serves the tenants of a folder until it is stopped.
///
/// # Errors
///
/// If the folder, its states or the socket cannot be used. What is wrong with one tenant is logged, and stops nobody.
pub async fn serve(settings: Settings, runtime: Runtime, signals: Signals) -> Result<Served, ServeError> {
    let folder_error = |reason: &dyn std::fmt::Display| ServeError::Folder {
        folder: settings.folder.clone(),
        reason: reason.to_string(),
    };
    let mut changes = Changes::of(&settings.folder).map_err(|error| folder_error(&error))?;
    let files = scan(&settings.folder).map_err(|error| folder_error(&error))?;
    let states = Database::open(&settings.states, StateSettings::default())?;
    let mut control = Control::listen(&settings.folder).await?;
    let metrics = Metrics::new(settings.metrics_per_tenant);
    let audit = match &settings.audit {
        None => None,
        Some(path) => {
            let audit = Audit::to_file(path);
            let audit = audit.map_err(|reason| ServeError::Audit { path: path.clone(), reason })?;
            metrics.watch_audit(&audit);
            Some(audit)
        }
    };
    let health = Health::new(metrics.clone(), Thresholds::default());
    if let Some(address) = settings.metrics {
        let limits = ServerLimits::default();
        let bound = watch::Server::bind(address, metrics.clone(), health.clone(), limits).await?;
        tracing::info!(address = %bound.address(), "metrics and health are told");
        // It is asked for until the last slice has ended.
        tokio::spawn(bound.run(CancellationToken::new()));
    }
    let shared = Arc::new(Shared::new(runtime, &settings, states, metrics, audit));
    let mut server = Server::new(settings, shared, health, signals.stop.clone());
    server.health.folder_read(files.keys().cloned());
    server.adopt(files);
    tracing::info!(tenants = server.slots.len(), "serving");
    loop {
        server.start_slices();
        let changes_at = server.places.changes_at();
        let places_change = async {
            match changes_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signals.stop.cancelled() => break,
            () = places_change => {}
            Some(due) = server.due.next() => server.is_due(due.into_inner()),
            Some(done) = server.running.join_next_with_id() => server.slice_ended(done),
            Some(()) = changes.seen.recv() => server.reread(),
            () = signals.reload.notified() => {
                server.reread();
                server.reopen();
            }
            Some(request) = control.requests.recv() => server.answer(request),
        }
    }
    server.drain().await
}

/// What a tenant is at.
enum Slot {
    /// It waits until it is due.
    Waiting { tenant: Option<Box<Tenant>>, key: Key, until: Instant },
    /// It is due and waits for a slice.
    Ready { tenant: Option<Box<Tenant>> },
    /// It has a slice.
    Running { cancel: CancellationToken },
    /// Somebody has paused it.
    Paused { tenant: Option<Box<Tenant>> },
}

/// What is known of a tenant besides.
struct Record {
    file: TenantFile,
    slot: Slot,
    metrics: Arc<TenantMetrics>,
    /// To be done when its slice is over.
    removed: bool,
    /// It is to be opened anew, and polled at once.
    changed: bool,
    /// It is to be opened anew when it is due.
    reopen: bool,
    paused: bool,
    /// What became of the component that it needs.
    loaded: Option<Box<Loaded>>,
    usage: Usage,
    /// What the metrics had counted of the processor when that was added to its usage last.
    cpu: Duration,
    failed: Option<(String, SystemTime)>,
    backfill: Option<BackfillStatus>,
    /// Events delivered and polls, since the server began.
    events: u64,
    polls: u64,
    /// Those of them before it was opened last.
    before: (u64, u64),
}

impl Record {
    /// Takes note of what it has delivered since it was opened, and how often it was polled. Returns how many events that are more.
    fn count(&mut self, (events, polls): (u64, u64)) -> u64 {
        let known = self.events;
        (self.events, self.polls) = (self.before.0 + events, self.before.1 + polls);
        self.events.saturating_sub(known)
    }

    /// It will be opened anew.
    fn closed(&mut self) {
        self.before = (self.events, self.polls);
    }
}

type EndedSlice = (String, Option<Box<Tenant>>, SliceEnd);

struct Server {
    settings: Settings,
    shared: Arc<Shared>,
    health: Health,
    stop: CancellationToken,
    slots: BTreeMap<String, Record>,
    due: DelayQueue<String>,
    places: Places,
    running: JoinSet<EndedSlice>,
    /// Whose slice a task is.
    tasks: HashMap<tokio::task::Id, String>,
    delivered: u64,
}

impl Server {
    fn new(settings: Settings, shared: Arc<Shared>, health: Health, stop: CancellationToken) -> Self {
        Self {
            places: Places::new(settings.concurrency, settings.slice),
            settings,
            shared,
            health,
            stop,
            slots: BTreeMap::new(),
            due: DelayQueue::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            delivered: 0,
        }
    }

    /// Takes over what lies in the folder now.
    fn adopt(&mut self, mut files: BTreeMap<String, TenantFile>) {
        let known: Vec<String> = self.slots.keys().cloned().collect();
        for name in known {
            let Some(record) = self.slots.get_mut(&name) else { continue };
            match files.remove(&name) {
                None => self.remove(&name),
                Some(file) if file != record.file => {
                    record.removed = false;
                    record.file = file;
                    record.changed = true;
                    record.failed = None;
                    tracing::info!(tenant = name, "changed");
                    // A slice under way ends first.
                    if !matches!(record.slot, Slot::Running { .. }) {
                        self.schedule(&name, None, Duration::ZERO);
                    }
                }
                Some(_) => record.removed = false,
            }
        }
        for (name, file) in files {
            tracing::info!(tenant = name, "added");
            let slot = Slot::Ready { tenant: None };
            let metrics = self.shared.metrics.tenant(&name, "");
            let record = Record {
                file,
                slot,
                metrics,
                removed: false,
                changed: false,
                reopen: false,
                paused: false,
                loaded: None,
                usage: Usage::default(),
                cpu: Duration::ZERO,
                failed: None,
                backfill: None,
                events: 0,
                polls: 0,
                before: (0, 0),
            };
            self.slots.insert(name.clone(), record);
            self.places.queue(name, Usage::default());
        }
    }

    fn reread(&mut self) {
        match scan(&self.settings.folder) {
            Ok(files) => self.adopt(files),
            Err(error) => {
                tracing::error!(%error, folder = %self.settings.folder.display(), "cannot read the folder; all goes on as it is");
            }
        }
    }

    /// Has all tenants opened anew when they are due, and those at once that something keeps from going on: it may be mended.
    /// Slices under way end first.
    fn reopen(&mut self) {
        tracing::info!("everything is read again");
        if let Some(audit) = &self.shared.audit {
            audit.reopen();
        }
        self.shared.forget_components();
        let known: Vec<String> = self.slots.keys().cloned().collect();
        for name in known {
            let Some(record) = self.slots.get_mut(&name) else { continue };
            record.reopen = true;
            let wait = match &record.slot {
                Slot::Running { .. } => continue,
                Slot::Waiting { until, .. } if record.failed.is_none() => {
                    until.saturating_duration_since(Instant::now())
                }
                _ => Duration::ZERO,
            };
            self.schedule(&name, None, wait);
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(record) = self.slots.get_mut(name) else { return };
        tracing::info!(tenant = name, "removed");
        self.health.settled(name);
        if let Slot::Running { .. } = record.slot {
            record.removed = true;
            return;
        }
        if let Some(record) = self.slots.remove(name) {
            self.shared.metrics.remove(name);
            self.forget(record.slot);
        }
    }

    /// Takes a tenant out of the queue, if it stands there.
    fn forget(&mut self, slot: Slot) -> Option<Box<Tenant>> {
        match slot {
            Slot::Waiting { tenant, key, .. } => {
                self.due.try_remove(&key);
                tenant
            }
            Slot::Ready { tenant } | Slot::Paused { tenant } => tenant,
            Slot::Running { .. } => None,
        }
    }

    /// Puts a tenant into the queue. One that is to be opened anew has no instance.
    fn schedule(&mut self, name: &str, tenant: Option<Box<Tenant>>, wait: Duration) {
        let Some(record) = self.slots.get_mut(name) else { return };
        let before = std::mem::replace(&mut record.slot, Slot::Ready { tenant: None });
        let paused = record.paused;
        let earlier = self.forget(before);
        let Some(record) = self.slots.get_mut(name) else { return };
        let mut tenant = tenant.or(earlier);
        if record.changed || record.reopen {
            record.metrics.instance_open(false);
            (tenant, record.loaded) = (None, None);
            record.closed();
            (record.changed, record.reopen) = (false, false);
        }
        record.metrics.paused(paused);
        if !paused {
            record.metrics.scheduled(wait);
        }
        record.slot = if paused {
            Slot::Paused { tenant }
        } else if wait.is_zero() {
            self.places.queue(name.to_owned(), record.usage);
            Slot::Ready { tenant }
        } else {
            let key = self.due.insert(name.to_owned(), wait);
            Slot::Waiting { tenant, key, until: Instant::now() + wait }
        };
    }

    fn is_due(&mut self, name: String) {
        let Some(record) = self.slots.get_mut(&name) else { return };
        if let Slot::Waiting { tenant, .. } = &mut record.slot {
            record.slot = Slot::Ready { tenant: tenant.take() };
            self.places.queue(name, record.usage);
        }
    }

    /// Starts as many slices as may run at the same time.
    fn start_slices(&mut self) {
        while let Some(name) = self.places.next() {
            let Some(record) = self.slots.get_mut(&name) else { continue };
            let Slot::Ready { tenant } = &mut record.slot else { continue };
            let tenant = tenant.take();
            // Before it is opened there is nothing to cancel.
            let cancel = tenant.as_ref().map(|tenant| tenant.cancel.clone()).unwrap_or_default();
            record.slot = Slot::Running { cancel };
            self.places.take(name.clone(), record.usage);
            let span = tracing::info_span!("tenant", tenant = name);
            let slice = run_slice(
                name.clone(),
                record.file.clone(),
                tenant,
                record.loaded.take(),
                Arc::clone(&self.shared),
                Arc::clone(&record.metrics),
                self.stop.clone(),
            );
            let task = self.running.spawn(slice.instrument(span));
            self.tasks.insert(task.id(), name);
        }
    }

    fn slice_ended(&mut self, done: Result<(tokio::task::Id, EndedSlice), tokio::task::JoinError>) {
        let (name, tenant, end) = match done {
            Ok((id, ended)) => {
                self.tasks.remove(&id);
                ended
            }
            Err(error) => {
                let Some(name) = self.tasks.remove(&error.id()) else { return };
                (name, None, SliceEnd::Failed(format!("a mistake of the host ended its turn: {error}")))
            }
        };
        let held = self.places.give_back(&name);
        let Some(record) = self.slots.get_mut(&name) else { return };
        record.metrics.running(false);
        let cpu = record.metrics.cpu();
        record.usage.add(held + cpu.saturating_sub(record.cpu));
        record.cpu = cpu;
        if let Some(tenant) = &tenant {
            self.delivered += record.count(tenant.done());
            record.backfill = tenant.backfill().map(|(range, events)| BackfillStatus { range, events });
        }
        if record.removed {
            self.slots.remove(&name);
            self.shared.metrics.remove(&name);
            return;
        }
        let end = match end {
            SliceEnd::Compile(wanted) if !record.changed && !record.paused => {
                return self.compile(name, wanted);
            }
            SliceEnd::Compile(_) => SliceEnd::More,
            SliceEnd::Compiled(loaded) => {
                record.loaded = Some(loaded);
                SliceEnd::More
            }
            end => {
                self.health.settled(&name);
                end
            }
        };
        let (tenant, wait) = match end {
            SliceEnd::More | SliceEnd::Compile(_) | SliceEnd::Compiled(_) => (tenant, Duration::ZERO),
            SliceEnd::Reopen => {
                record.closed();
                (None, Duration::ZERO)
            }
            SliceEnd::Wait(wait) => {
                let error = tenant.as_ref().and_then(|tenant| tenant.last_error());
                record.failed = error.map(|why| (why.to_owned(), SystemTime::now()));
                (tenant, wait)
            }
            SliceEnd::Failed(why) => {
                tracing::error!(tenant = name, again_in_s = self.settings.retry_after.as_secs(), "{why}");
                record.failed = Some((why, SystemTime::now()));
                record.closed();
                (None, self.settings.retry_after)
            }
        };
        let is_next = record.changed || (record.reopen && record.failed.is_some());
        let wait = if is_next { Duration::ZERO } else { wait };
        self.schedule(&name, tenant, wait);
    }

    /// Has a component compiled that a tenant needs, which holds no place meanwhile.
    fn compile(&mut self, name: String, wanted: Box<Wanted>) {
        let Some(record) = self.slots.get(&name) else { return };
        record.metrics.scheduled(Duration::ZERO);
        let (shared, stop, owned) = (Arc::clone(&self.shared), self.stop.clone(), name.clone());
        let load = async move {
            tokio::select! {
                loaded = shared.load(wanted) => (owned, None, SliceEnd::Compiled(loaded)),
                () = stop.cancelled() => (owned, None, SliceEnd::More),
            }
        };
        let task = self.running.spawn(load.instrument(tracing::info_span!("tenant", tenant = name)));
        self.tasks.insert(task.id(), name);
    }

    fn answer(&mut self, request: Request) {
        let answer = match request.ask {
            Ask::History { tenant } => return self.order(&tenant, Order::History, request.answer),
            Ask::RollBack { tenant, revision } => {
                return self.order(&tenant, Order::RollBack(revision), request.answer);
            }
            Ask::Backfill { tenant, range } => self.backfill(&tenant, range),
            Ask::EndBackfill { tenant } => self.end_backfill(&tenant),
            Ask::Status => {
                Answer::Tenants(self.slots.iter().map(|(name, record)| status(name, record)).collect())
            }
            Ask::Pause { tenant } => self.pause(&tenant, true),
            Ask::Resume { tenant } => self.pause(&tenant, false),
            Ask::Poll { tenant } => match self.slots.get_mut(&tenant) {
                None => unknown(&tenant),
                Some(record) if record.paused => Answer::Refused(format!("{tenant} is paused")),
                Some(record) => {
                    if !matches!(record.slot, Slot::Running { .. } | Slot::Ready { .. }) {
                        self.poll_now(&tenant);
                    }
                    Answer::Done(format!("{tenant} is polled"))
                }
            },
        };
        // Who asked may have gone.
        let _ = request.answer.send(answer);
    }

    /// Puts a tenant that has no slice into the queue, unless it is paused, and has it polled when it has one.
    fn poll_now(&mut self, name: &str) {
        let Some(record) = self.slots.get_mut(name) else { return };
        if let Slot::Waiting { tenant: Some(tenant), .. } | Slot::Paused { tenant: Some(tenant) } =
            &mut record.slot
        {
            tenant.poll_now();
        }
        self.schedule(name, None, Duration::ZERO);
    }

    /// Has a tenant collect a range of time besides.
    fn backfill(&mut self, name: &str, range: TimeRange) -> Answer {
        if !self.slots.contains_key(name) {
            return unknown(name);
        }
        if let Err(why) = TimeRange::new(range.from.into(), range.until.into()) {
            return Answer::Refused(why);
        }
        if range.from > chrono::Utc::now() {
            return Answer::Refused(format!(
                "{} is in the future: there is nothing to go back for",
                range.from
            ));
        }
        match Backfill::of(&self.settings.backfills, name) {
            Ok(None) => {}
            Ok(Some(under_way)) => {
                let range = under_way.range;
                return Answer::Refused(format!(
                    "{name} has a backfill under way, {range}; wait until it is complete, or end it with `tenants ... backfill {name} --end`"
                ));
            }
            Err(error) => return Answer::Refused(format!("the backfills cannot be read: {error}")),
        }
        if let Err(error) = Backfill::begin(&self.settings.backfills, name, range) {
            return Answer::Refused(format!("a backfill cannot be written down: {error}"));
        }
        self.open_again(name);
        Answer::Done(format!("{name} collects {range} besides"))
    }

    fn end_backfill(&mut self, name: &str) -> Answer {
        if !self.slots.contains_key(name) {
            return unknown(name);
        }
        match Backfill::of(&self.settings.backfills, name) {
            Ok(Some(backfill)) => match backfill.end() {
                Ok(()) => {
                    tracing::info!(tenant = name, "its backfill was ended, {}", backfill.range);
                    self.open_again(name);
                    Answer::Done(format!("{name} has no backfill any more; it was one {}", backfill.range))
                }
                Err(error) => Answer::Refused(format!("its backfill cannot be removed: {error}")),
            },
            Ok(None) => Answer::Refused(format!("{name} has no backfill")),
            Err(error) => Answer::Refused(format!("the backfills cannot be read: {error}")),
        }
    }

    /// Has a tenant opened anew, as if its file had changed. A slice under way ends first.
    fn open_again(&mut self, name: &str) {
        let Some(record) = self.slots.get_mut(name) else { return };
        record.changed = true;
        record.backfill = None;
        if !matches!(record.slot, Slot::Running { .. }) {
            self.schedule(name, None, Duration::ZERO);
        }
    }

    /// Does something with a tenant that has no slice. While it does, it has none.
    fn order(&mut self, name: &str, order: Order, answer: oneshot::Sender<Answer>) {
        let record = match self.slots.get_mut(name) {
            Some(record) if !matches!(record.slot, Slot::Running { .. }) => record,
            there => {
                let why = format!("{name} has its turn; ask again, or pause it first");
                let refusal = there.map_or_else(|| unknown(name), |_| Answer::Refused(why));
                // Who asked may have gone.
                let _ = answer.send(refusal);
                return;
            }
        };
        let cancel = CancellationToken::new();
        let slot = std::mem::replace(&mut record.slot, Slot::Running { cancel });
        let wait = match &slot {
            Slot::Waiting { until, .. } => until.saturating_duration_since(Instant::now()),
            _ => Duration::ZERO,
        };
        let (file, metrics) = (record.file.clone(), Arc::clone(&record.metrics));
        let tenant = self.forget(slot);
        let shared = Arc::clone(&self.shared);
        let owned = name.to_owned();
        let task = self.running.spawn(
            async move {
                let (tenant, end, said) =
                    ordered(&owned, &file, tenant, &shared, &metrics, order, wait).await;
                let _ = answer.send(said);
                (owned, tenant, end)
            }
            .instrument(tracing::info_span!("tenant", tenant = name)),
        );
        self.tasks.insert(task.id(), name.to_owned());
    }

    fn pause(&mut self, name: &str, paused: bool) -> Answer {
        let Some(record) = self.slots.get_mut(name) else { return unknown(name) };
        let was = std::mem::replace(&mut record.paused, paused);
        if paused {
            self.health.settled(name);
        }
        if was != paused && !matches!(record.slot, Slot::Running { .. }) {
            self.poll_now(name);
        }
        Answer::Done(format!("{name} is {}", if paused { "paused" } else { "resumed" }))
    }

    /// Lets slices under way come to an end, and breaks off those that take too long. Nothing is lost either way.
    async fn drain(mut self) -> Result<Served, ServeError> {
        self.health.draining();
        tracing::info!(turns = self.running.len(), "stopping; turns under way come to an end first");
        let deadline = Instant::now() + self.settings.drain;
        let mut served = Served { tenants: self.slots.len(), ..Served::default() };
        while !self.running.is_empty() {
            tokio::select! {
                Some(done) = self.running.join_next_with_id() => self.slice_ended(done),
                () = sleep_until(deadline) => {
                    served.broken_off = self.running.len();
                    tracing::warn!(turns = served.broken_off, "breaking off; what they had read comes again");
                    for record in self.slots.values() {
                        if let Slot::Running { cancel } = &record.slot {
                            cancel.cancel();
                        }
                    }
                    self.running.shutdown().await;
                }
            }
        }
        served.events = self.delivered;
        if let Some(audit) = &self.shared.audit {
            audit.flush();
        }
        Ok(served)
    }
}

fn unknown(name: &str) -> Answer {
    Answer::Refused(format!("there is no tenant {name}"))
}

fn status(name: &str, record: &Record) -> TenantStatus {
    let (state, next) = match &record.slot {
        Slot::Paused { .. } => ("paused", None),
        Slot::Running { .. } => ("running", None),
        Slot::Ready { .. } => ("ready", None),
        Slot::Waiting { until, .. } if record.failed.is_some() => ("failed", Some(*until)),
        Slot::Waiting { until, .. } => ("waiting", Some(*until)),
    };
    TenantStatus {
        tenant: name.to_owned(),
        state: state.to_owned(),
        next_poll_ms: next.map(|until| until.saturating_duration_since(Instant::now()).as_millis() as u64),
        events: record.events,
        polls: record.polls,
        failed: record.failed.as_ref().map(|(why, _)| why.clone()),
        backfill: record.backfill.clone(),
    }
}

/// What is done with a tenant between its slices.
enum Order {
    /// Tells its earlier states.
    History,
    /// Goes back to one of them.
    RollBack(u64),
}

/// Does what was ordered. A tenant whose state is another one is opened anew.
async fn ordered(
    name: &str,
    file: &TenantFile,
    tenant: Option<Box<Tenant>>,
    shared: &Shared,
    metrics: &Arc<TenantMetrics>,
    order: Order,
    wait: Duration,
) -> (Option<Box<Tenant>>, SliceEnd, Answer) {
    let mut loaded = None;
    let mut tenant = match tenant {
        Some(tenant) => tenant,
        None => loop {
            match Tenant::open(name, file, shared, metrics, loaded).await {
                Ok(tenant) => break Box::new(tenant),
                Err(NotOpen::Compile(wanted)) => loaded = Some(shared.load(wanted).await),
                Err(NotOpen::Wrong(why)) => {
                    return (None, SliceEnd::Failed(why.clone()), Answer::Refused(why));
                }
            }
        },
    };
    let refused = |error: state_store::StateError| Answer::Refused(error.to_string());
    match order {
        Order::History => {
            let states = tenant.store().history().await;
            let said = states
                .map_or_else(refused, |past| Answer::States(past.into_iter().map(Into::into).collect()));
            (Some(tenant), SliceEnd::Wait(wait), said)
        }
        Order::RollBack(revision) => match tenant.store().roll_back(revision).await {
            Ok(stored) => {
                let (from, now) = (revision, stored.revision);
                tracing::warn!(
                    from,
                    now,
                    "goes on from an earlier state; what it had collected since comes again"
                );
                let said = format!("{name} goes on from the state {from}, which is now {now}");
                metrics.instance_open(false);
                (None, SliceEnd::Reopen, Answer::Done(said))
            }
            Err(error) => (Some(tenant), SliceEnd::Wait(wait), refused(error)),
        },
    }
}

/// One slice: opens the tenant if it is not open, lets it go on for a while, and lets go of what it does not need then.
async fn run_slice(
    name: String,
    file: TenantFile,
    tenant: Option<Box<Tenant>>,
    loaded: Option<Box<Loaded>>,
    shared: Arc<Shared>,
    metrics: Arc<TenantMetrics>,
    stop: CancellationToken,
) -> EndedSlice {
    metrics.running(true);
    let mut tenant = match tenant {
        Some(tenant) => tenant,
        None => match Tenant::open(&name, &file, &shared, &metrics, loaded).await {
            Ok(tenant) => Box::new(tenant),
            Err(NotOpen::Compile(wanted)) => return (name, None, SliceEnd::Compile(wanted)),
            Err(NotOpen::Wrong(why)) => return (name, None, SliceEnd::Failed(why)),
        },
    };
    let end = tenant.run_slice(shared.slice, &stop).await;
    let is_soon = match &end {
        SliceEnd::More => true,
        SliceEnd::Wait(wait) => *wait < shared.keep_for,
        _ => false,
    };
    if is_soon && tenant.kept.is_none() {
        tenant.kept = Arc::clone(&shared.instances).try_acquire_owned().ok();
    }
    if is_soon && tenant.kept.is_some() {
        metrics.instance_open(true);
    } else {
        tenant.rest().await;
        metrics.instance_open(false);
        tenant.kept = None;
    }
    (name, Some(tenant), end)
}
