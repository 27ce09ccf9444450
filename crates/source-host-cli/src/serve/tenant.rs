//! One tenant: its file, and the pipeline that it says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_output::{Check, Closing, Delivery, Output as EventOutput, OutputError};
use source_host::{Admission, Error, MemoryBudget, Observer, Options, Plugin, Runtime, Scheduler};
use state_store::{Database, Owner, Settings as StateSettings, StateFile, StateStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backfill::{Backfill, TimeRange};
use super::folder::{Stamp, TenantFile};
use super::settings::Settings;
use crate::config::{Config, Output, lines_to_allow};
use crate::run::ending::End;
use crate::run::opinion::{everything_wrong, in_source, whom_to_ask};
use crate::run::pipeline::{HeldEvents, Next, Pipeline, Policy};
use crate::run::pollable::Configured;
use crate::run::told::{Backfilled, Told};
use crate::run::watcher::Watcher;
use crate::watch::{Audit, Metrics, Observers, TenantMetrics};

/// Components that are read and wait for the compiler; each holds as much memory as its file has bytes.
const LOADING: usize = 32;

/// What all tenants share.
pub(super) struct Shared {
    pub(super) runtime: Runtime,
    pub(super) scheduler: Scheduler,
    pub(super) memory: MemoryBudget,
    pub(super) held: HeldEvents,
    /// Where the states lie of those that say nothing else.
    pub(super) states: Database,
    pub(super) slice: Duration,
    pub(super) keep_for: Duration,
    /// How many instances may be kept by tenants that wait.
    pub(super) instances: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    pub(super) audit: Option<Audit>,
    pub(super) backfills: PathBuf,
    retry_after: Duration,
    plugins: Mutex<HashMap<PathBuf, Vec<Known>>>,
    /// One tenant at a time reads a component, and the others that want the same wait for it.
    loads: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Who may hold a component in memory that waits for the compiler.
    loading: Semaphore,
}

impl Shared {
    pub(super) fn new(
        runtime: Runtime,
        settings: &Settings,
        states: Database,
        metrics: Metrics,
        audit: Option<Audit>,
    ) -> Self {
        Self {
            runtime,
            scheduler: Scheduler::default(),
            memory: MemoryBudget::new(settings.memory),
            held: HeldEvents::new(settings.held_events),
            states,
            slice: settings.slice,
            keep_for: settings.keep_for,
            instances: Arc::new(Semaphore::new(settings.instances)),
            metrics,
            audit,
            backfills: settings.backfills.clone(),
            retry_after: settings.retry_after,
            plugins: Mutex::default(),
            loads: Mutex::default(),
            loading: Semaphore::new(LOADING),
        }
    }

    /// What is compiled already.
    fn known(&self, wanted: &Wanted) -> Result<Option<Plugin>, Error> {
        let path = &wanted.component;
        let metadata = std::fs::metadata(path);
        let metadata = metadata.map_err(|reason| Error::Unreadable { path: path.clone(), reason })?;
        let stamp = Stamp::of(&metadata);
        let mut plugins = locked(&self.plugins);
        let Some(known) = plugins.get_mut(path) else { return Ok(None) };
        known.retain(|known| known.stamp == stamp);
        Ok(known.iter().find(|known| known.admission == wanted.admission).map(|known| known.plugin.clone()))
    }

    /// A component, compiled once for all tenants that want the same.
    pub(super) async fn load(&self, wanted: Box<Wanted>) -> Box<Loaded> {
        let plugin = self.compiled(&wanted).await.map_err(|error| error.to_string());
        Box::new(Loaded { wanted: *wanted, plugin })
    }

    async fn compiled(&self, wanted: &Wanted) -> Result<Plugin, Error> {
        let path = &wanted.component;
        let of_this_file = Arc::clone(locked(&self.loads).entry(path.clone()).or_default());
        let _alone = of_this_file.lock().await;
        // Who came first may have done it.
        if let Some(plugin) = self.known(wanted)? {
            return Ok(plugin);
        }
        // Fails only if the semaphore is closed, and it never is.
        let _room = self.loading.acquire().await;
        let metadata = std::fs::metadata(path);
        let metadata = metadata.map_err(|reason| Error::Unreadable { path: path.clone(), reason })?;
        let stamp = Stamp::of(&metadata);
        let plugin = self.runtime.load(path, &wanted.admission).await?;
        let known = Known { stamp, admission: wanted.admission.clone(), plugin: plugin.clone() };
        locked(&self.plugins).entry(path.clone()).or_default().push(known);
        Ok(plugin)
    }

    /// Has components read again.
    pub(super) fn forget_components(&self) {
        locked(&self.plugins).clear();
        locked(&self.loads).clear();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A component that a tenant wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    component: PathBuf,
    admission: Admission,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Loaded {
    wanted: Wanted,
    plugin: Result<Plugin, String>,
}

struct Known {
    stamp: Stamp,
    admission: Admission,
    plugin: Plugin,
}

/// Why a tenant is not open.
#[derive(Debug)]
pub(super) enum NotOpen {
    /// Its component has to be compiled first, and then it is to be opened again with what became of that.
    Compile(Box<Wanted>),
    /// Everything that is wrong, in words, each with its line.
    Wrong(String),
}

impl From<String> for NotOpen {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// A tenant that can be polled.
pub(super) struct Tenant {
    collection: Line,
    /// What it collects besides, of a range of time.
    backfill: Option<(Backfill, Line)>,
    /// Events and polls of backfills that are over.
    past: (u64, u64),
    retry_after: Duration,
    /// Stops a call that is under way.
    pub(super) cancel: CancellationToken,
    /// What it holds while it waits with its instance.
    pub(super) kept: Option<OwnedSemaphorePermit>,
}

/// A pipeline, and when it goes on.
struct Line {
    pipeline: Pipeline<Configured>,
    due: Instant,
}

impl Line {
    fn new(pipeline: Pipeline<Configured>) -> Self {
        Self { pipeline, due: Instant::now() }
    }

    /// Goes on for a while.
    async fn go_on(&mut self, slice: Duration, stopping: &CancellationToken) -> Result<Option<End>, String> {
        let started = Instant::now();
        let wait = loop {
            match self.pipeline.step().await.map_err(|error| error.to_string())? {
                Next::Again if started.elapsed() < slice && !stopping.is_cancelled() => {}
                Next::Again => break Duration::ZERO,
                Next::Wait(wait) => break wait,
                Next::End(End::ReaderGone) => return Err("the reader of the events is gone".to_owned()),
                Next::End(end) => return Ok(Some(end)),
            }
        };
        self.due = Instant::now() + wait;
        Ok(None)
    }

    /// Lets go of what another line of the same tenant needs: a file can be written to by one alone.
    async fn close_output(&mut self) {
        if !self.pipeline.has_pending() {
            // What could not be closed is opened anew.
            let _ = self.pipeline.output().close().await;
        }
    }
}

/// How a time slice ended.
#[derive(Debug)]
pub(super) enum SliceEnd {
    /// It has more to do at once.
    More,
    /// Nothing until then.
    Wait(Duration),
    /// Its component has to be compiled before it can be opened.
    Compile(Box<Wanted>),
    /// That was done, well or not.
    Compiled(Box<Loaded>),
    /// It is to be opened again at once.
    Reopen,
    /// It cannot go on as it is: it has to be opened again, later.
    Failed(String),
}

impl Tenant {
    /// Opens what a tenant's file says.
    ///
    /// # Errors
    ///
    /// [`NotOpen`]: what has to be done first, or everything that is wrong.
    pub(super) async fn open(
        name: &str,
        file: &TenantFile,
        shared: &Shared,
        metrics: &Arc<TenantMetrics>,
        loaded: Option<Box<Loaded>>,
    ) -> Result<Self, NotOpen> {
        let mut loaded = loaded;
        let mut plugin = |wanted: Wanted| match loaded.take().filter(|loaded| loaded.wanted == wanted) {
            Some(loaded) => Ok(loaded.plugin),
            None => match shared.known(&wanted) {
                Ok(Some(plugin)) => Ok(Ok(plugin)),
                Ok(None) => Err(NotOpen::Compile(Box::new(wanted))),
                Err(error) => Ok(Err(error.to_string())),
            },
        };
        let path = &file.path;
        let in_file = |found: Vec<String>| format!("{}: {}", path.display(), found.join("; "));
        let config = match Config::read(path) {
            Ok(config) => config,
            Err(mistakes) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let wanted = whom_to_ask(&text, &mistakes)
                    .map(|component| Wanted { component, admission: Admission::default() });
                let plugin = wanted.map(plugin).transpose()?;
                let options =
                    Options::new().scheduler(shared.scheduler.clone()).memory_budget(shared.memory.clone());
                return Err(in_file(everything_wrong(&text, mistakes, plugin, options).await).into());
            }
        };
        let wanted = Wanted { component: config.component.clone(), admission: config.admission.clone() };
        let plugin = plugin(wanted)??;
        let cancel = CancellationToken::new();
        let mut observers = vec![Arc::clone(metrics) as Arc<dyn Observer>];
        if let Some(audit) = &shared.audit {
            observers.push(audit.tenant(name, &plugin.digest().to_string()));
        }
        let observer: Arc<dyn Observer> = Arc::new(Observers::new(observers));
        metrics.call_time(config.limits.call_time);
        let options = || {
            let transport = config.transport.clone();
            Options::new()
                .observer(Arc::clone(&observer))
                .limits(config.limits.clone())
                .egress(config.egress.clone())
                .transport_made_by(move || transport.build())
                .scheduler(shared.scheduler.clone())
                .memory_budget(shared.memory.clone())
                .cancelled_by(cancel.clone())
        };
        let opened = Configured::open(&plugin, options(), config.source.clone()).await;
        let (mut source, grants) =
            opened.inspect_err(|error| metrics.poll_failed(error)).map_err(|error| match error {
                Error::Configuration(problems) => {
                    let text = std::fs::read_to_string(path).unwrap_or_default();
                    in_file(problems.iter().map(|problem| in_source(&text, problem)).collect())
                }
                error => error.to_string(),
            })?;
        for warning in &grants.warnings {
            tracing::warn!("{warning}");
        }
        let denied = source.source().denied();
        if !denied.is_empty() {
            let lines = lines_to_allow(&config.allow, denied).replace('\n', " ");
            return Err(NotOpen::Wrong(in_file(vec![format!(
                "does not allow what the source has to contact: {}; if it may, write {lines}",
                denied.join(", ")
            )])));
        }
        let described = source.source().describe().await.map_err(|error| error.to_string())?;
        // The same as before, which knows now what it is of.
        shared.metrics.tenant(name, &described.name);
        let owner =
            Owner::new(name, described.name, described.version).with_digest(plugin.digest().to_string());
        let pipeline = |source, store, told: Arc<dyn Watcher>| {
            let output = Box::new(OnDemand { output: config.output.clone(), open: None });
            Pipeline::new(source, output, store)
                .held_events(shared.held.clone())
                .log_lines(config.limits.log_lines_per_minute)
                .watcher(told)
        };
        let backfill = Backfill::of(&shared.backfills, name)
            .map_err(|error| format!("the backfill that is under way cannot be read: {error}"))?;
        let backfill = match backfill {
            None => None,
            Some(backfill) => {
                tracing::info!("a backfill goes on, {}", backfill.range);
                let opened = Configured::open(&plugin, options(), config.source.clone()).await;
                let (mut source, _) = opened.map_err(|error| error.to_string())?;
                source.confine(backfill.range.times()).await.map_err(|error| error.to_string())?;
                let store = backfill.store(&owner).map_err(|error| error.to_string())?;
                let policy = Policy { until_complete: true, ..Policy::default() };
                let told = Arc::new(Backfilled::new(Arc::clone(metrics)));
                let line = Line::new(pipeline(source, Box::new(store), told).policy(policy));
                Some((backfill, line))
            }
        };
        let store: Box<dyn StateStore> = match &config.state {
            Some(path) => {
                let store = StateFile::open(path, owner, StateSettings::default());
                Box::new(store.map_err(|error| error.to_string())?)
            }
            None => Box::new(shared.states.tenant(owner).map_err(|error| error.to_string())?),
        };
        let collection = Line::new(pipeline(source, store, Arc::new(Told::new(Arc::clone(metrics)))));
        Ok(Self { collection, backfill, past: (0, 0), retry_after: shared.retry_after, cancel, kept: None })
    }

    /// Has its collection due now, whenever it would have been.
    pub(super) fn poll_now(&mut self) {
        self.collection.due = Instant::now();
    }

    /// Polls and delivers for a while, what is due.
    pub(super) async fn run_slice(&mut self, slice: Duration, stopping: &CancellationToken) -> SliceEnd {
        if self.is_backfill_next() {
            self.collection.close_output().await;
            self.go_on_with_backfill(slice, stopping).await;
        } else if !self.has_backfill_pending() && self.collection.due <= Instant::now() {
            if let Some((_, line)) = &mut self.backfill {
                line.close_output().await;
            }
            if let Err(why) = self.collection.go_on(slice, stopping).await {
                return SliceEnd::Failed(why);
            }
        }
        let next = match &self.backfill {
            // Until its events are safe, nobody else writes.
            Some((_, line)) if line.pipeline.has_pending() => line.due,
            Some((_, line)) if !self.collection.pipeline.has_pending() => line.due.min(self.collection.due),
            _ => self.collection.due,
        };
        match next.saturating_duration_since(Instant::now()) {
            Duration::ZERO => SliceEnd::More,
            wait => SliceEnd::Wait(wait),
        }
    }

    fn has_backfill_pending(&self) -> bool {
        self.backfill.as_ref().is_some_and(|(_, line)| line.pipeline.has_pending())
    }

    /// Whether it is the backfill that goes on. Both are polled as they are due, but whoever has events that the output has not
    /// taken keeps the output until it has.
    fn is_backfill_next(&self) -> bool {
        let Some((_, line)) = &self.backfill else { return false };
        let is_due = line.due <= Instant::now();
        is_due
            && !self.collection.pipeline.has_pending()
            && (line.pipeline.has_pending() || line.due <= self.collection.due)
    }

    async fn go_on_with_backfill(&mut self, slice: Duration, stopping: &CancellationToken) {
        let Some((backfill, line)) = &mut self.backfill else { return };
        match line.go_on(slice, stopping).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                line.close_output().await;
                let events = line.pipeline.report().events;
                tracing::info!(events, "the backfill {} is complete", backfill.range);
                if let Err(error) = backfill.end() {
                    tracing::error!(%error, "the backfill cannot be removed; the next start ends it again");
                }
                self.past.0 += events;
                self.past.1 += line.pipeline.report().polls;
                self.backfill = None;
            }
            // The collection goes on.
            Err(why) => {
                tracing::error!(
                    again_in_s = self.retry_after.as_secs(),
                    "the backfill {}: {why}",
                    backfill.range
                );
                line.due = Instant::now() + self.retry_after;
            }
        }
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut Line> {
        std::iter::once(&mut self.collection).chain(self.backfill.as_mut().map(|(_, line)| line))
    }

    /// Lets go of all that a tenant does not need while it waits.
    pub(super) async fn rest(&mut self) {
        for line in self.lines() {
            line.pipeline.source().suspend().await;
            line.close_output().await;
        }
    }

    /// Where the state of its collection lies.
    pub(super) fn store(&mut self) -> &mut dyn StateStore {
        self.collection.pipeline.store()
    }

    /// The range of its backfill, and the events of it so far.
    pub(super) fn backfill(&self) -> Option<(TimeRange, u64)> {
        self.backfill.as_ref().map(|(backfill, line)| (backfill.range, line.pipeline.report().events))
    }

    /// What keeps it from going on.
    pub(super) fn last_error(&self) -> Option<&str> {
        let backfill = self.backfill.as_ref().and_then(|(_, line)| line.pipeline.last_error());
        self.collection.pipeline.last_error().or(backfill)
    }

    /// Events that it has delivered since it was opened, and polls.
    pub(super) fn done(&self) -> (u64, u64) {
        let lines = std::iter::once(&self.collection).chain(self.backfill.as_ref().map(|(_, line)| line));
        lines
            .map(|line| line.pipeline.report())
            .fold(self.past, |(events, polls), report| (events + report.events, polls + report.polls))
    }
}

/// An output that is opened when there is something for it. Ten thousand that wait hold no file and no connection.
struct OnDemand {
    output: Output,
    open: Option<Box<dyn EventOutput>>,
}

impl OnDemand {
    fn opened(&mut self) -> Result<&mut Box<dyn EventOutput>, OutputError> {
        match &mut self.open {
            Some(open) => Ok(open),
            none => Ok(none.insert(self.output.open()?)),
        }
    }
}

impl EventOutput for OnDemand {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(async { self.opened()?.deliver(events).await })
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(async { self.opened()?.check().await })
    }

    fn reopen(&mut self) {
        if let Some(open) = &mut self.open {
            open.reopen();
        }
    }

    fn close<'a>(&'a mut self) -> Closing<'a> {
        Box::pin(async {
            match self.open.take() {
                Some(mut open) => open.close().await,
                None => Ok(()),
            }
        })
    }
}
