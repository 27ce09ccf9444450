//! The source of a tenant, made of its record, its component and the secrets of this host.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_output::event_id;
use fleet::{Components, Event, PollError, Polled, Record, Source, Sources, Tenants, TimeRange};
use source_host::{
    Admission, Digest, Error, Failure, MemoryBudget, Observer, Options, Plugin, ProblemKind, Runtime,
    Scheduler,
};
use tokio::time::Instant;

use super::settings::Settings;
use crate::config::{Config, lines_to_allow};
use crate::run::opinion::in_source;
use crate::run::pollable::{Configured, Pollable as _};
use crate::watch::{Audit, Delivered, Metrics, Observers, TenantMetrics};

/// Tenants of which a worker keeps what is needed to go on without signing in anew. Of others that are polled meanwhile the
/// oldest is forgotten.
const KEPT: usize = 4096;
/// Components that are kept compiled.
const PLUGINS: usize = 16;
/// What the variables are called that a tenant's configuration may name: others are of this host.
const VARIABLES: &str = "TENANT_";
/// A backfill that is complete is looked at once more after so long, and then it ends.
const SOON: Duration = Duration::from_secs(1);

/// The sources of a host.
pub(super) struct Hosted {
    runtime: Runtime,
    scheduler: Scheduler,
    memory: MemoryBudget,
    secrets: PathBuf,
    folder: PathBuf,
    tenants: Tenants,
    components: Components,
    metrics: Metrics,
    audit: Option<Audit>,
    /// One at a time fetches and compiles a component, and the others that want the same wait for it.
    plugins: Mutex<Vec<(String, Arc<Known>)>>,
    kept: Mutex<Kept>,
    /// Of those that are being polled.
    opened: Mutex<HashMap<String, Opened>>,
    busy: Arc<AtomicU64>,
}

type Known = tokio::sync::Mutex<Vec<(Admission, Plugin)>>;

/// A tenant that is being polled.
struct Opened {
    /// By how many places: a lease may have run out.
    places: usize,
    /// What the first of these knew of how it is configured.
    version: (u64, u64),
}

#[derive(Default)]
struct Kept {
    sources: HashMap<String, (u64, HostedSource)>,
    clock: u64,
}

/// A tenant's source, open or at rest.
pub(super) struct HostedSource {
    configured: Configured,
    metrics: Arc<TenantMetrics>,
    /// Of which record it was made.
    revision: u64,
    backfill: Option<(TimeRange, Tenants)>,
    tenant: String,
    /// Whether it is not to be kept: it crashed, or what it was configured with was refused, and may be another one by now.
    is_spent: bool,
    /// What the last poll brought. Whoever polls again has committed it.
    committing: Option<Delivered>,
    /// Whether its backfill is complete by the state that it was polled with. It ends once that state is known to be the last: whoever is
    /// late may have read the one of an earlier range.
    is_complete: bool,
    _busy: Option<Busy>,
}

impl Drop for HostedSource {
    fn drop(&mut self) {
        // Whoever goes on with the tenant says how it is: what this one knows of it grows old.
        self.metrics.left();
    }
}

/// Counts for as long as it lives.
struct Busy(Arc<AtomicU64>);

impl Busy {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose job it is.
fn name_of(job: &str) -> &str {
    job.split('.').next().unwrap_or(job)
}

/// What is wrong for longer than a moment: whoever mends it has the tenant woken.
fn wrong(message: impl ToString) -> PollError {
    PollError { message: message.to_string(), retry_after: None, state: None }
}

impl Hosted {
    pub(super) fn new(
        runtime: Runtime,
        settings: &Settings,
        tenants: Tenants,
        components: Components,
        metrics: Metrics,
        audit: Option<Audit>,
    ) -> Self {
        Self {
            runtime,
            scheduler: Scheduler::default(),
            memory: MemoryBudget::new(settings.memory),
            secrets: settings.secrets.clone(),
            folder: settings.components.clone(),
            tenants,
            components,
            metrics,
            audit,
            plugins: Mutex::default(),
            kept: Mutex::default(),
            opened: Mutex::default(),
            busy: Arc::default(),
        }
    }

    /// How many are being polled.
    pub(super) fn busy(&self) -> u64 {
        self.busy.load(Relaxed)
    }

    /// What is known of a component; of others the one that was wanted least lately is forgotten, and its file with it.
    fn known(&self, digest: &str) -> Arc<Known> {
        let mut plugins = locked(&self.plugins);
        if let Some(at) = plugins.iter().position(|(of, _)| of == digest) {
            let wanted = plugins.remove(at);
            plugins.push(wanted);
        } else {
            if plugins.len() >= PLUGINS {
                let (of, _) = plugins.remove(0);
                Components::forget(&of, &self.folder);
            }
            plugins.push((digest.to_owned(), Arc::default()));
        }
        plugins.last().map(|(_, known)| Arc::clone(known)).unwrap_or_default()
    }

    /// The component of a record, fetched and compiled once.
    async fn plugin(&self, digest: &str, admission: Admission) -> Result<Plugin, PollError> {
        let known = self.known(digest);
        let mut known = known.lock().await;
        if let Some((_, plugin)) = known.iter().find(|(as_it_was, _)| *as_it_was == admission) {
            return Ok(plugin.clone());
        }
        // A fleet has few ways to admit a component, and one after the other while somebody changes them.
        if known.len() >= PLUGINS {
            known.remove(0);
        }
        let path = self.components.fetch(digest, &self.folder, admission.component_bytes).await;
        let path = path.map_err(wrong)?;
        let plugin = match self.runtime.load(&path, &admission).await {
            Ok(plugin) => plugin,
            Err(error) => {
                // What lay here may have been damaged, and is fetched anew.
                let _ = std::fs::remove_file(&path);
                return Err(wrong(error));
            }
        };
        known.push((admission, plugin.clone()));
        Ok(plugin)
    }

    /// What the first of those places knew that had a job lately, once the last of them is done with it.
    fn known_before(&self, job: &str) -> Option<(u64, u64)> {
        let mut opened = locked(&self.opened);
        let known = opened.get_mut(job)?;
        known.places = known.places.saturating_sub(1);
        let version = (known.places == 0).then_some(known.version)?;
        opened.remove(job);
        Some(version)
    }

    /// Forgets what was kept of a job that is not to be polled.
    fn give_up(&self, job: &str) {
        locked(&self.kept).sources.remove(job);
        self.metrics.remove(job);
    }

    async fn make(
        &self,
        tenant: &str,
        record: &Record,
        revision: u64,
        range: Option<TimeRange>,
    ) -> Result<HostedSource, PollError> {
        let metrics = self.metrics.tenant(tenant, "");
        let made = self.made(tenant, record, revision, range, &metrics).await;
        // What a worker knows of tenants that it cannot open is no more than of those that it never had.
        made.inspect_err(|_| self.metrics.remove(tenant))
    }

    async fn made(
        &self,
        tenant: &str,
        record: &Record,
        revision: u64,
        range: Option<TimeRange>,
        metrics: &Arc<TenantMetrics>,
    ) -> Result<HostedSource, PollError> {
        let text = &record.config;
        let of = |found: Vec<String>| wrong(format!("the configuration of {tenant}: {}", found.join("; ")));
        let env = |name: &str| name.starts_with(VARIABLES).then(|| std::env::var_os(name)).flatten();
        let config = Config::parse_confined(text, &self.secrets, &env);
        let config =
            config.map_err(|mistakes| of(mistakes.found.iter().map(ToString::to_string).collect()))?;
        let digest: Digest = record.component.parse().map_err(wrong)?;
        let mut admission = config.admission.clone();
        admission.digest = Some(digest);
        let plugin = self.plugin(&record.component, admission).await?;
        let name = name_of(tenant);
        let mut observers = vec![Arc::clone(metrics) as Arc<dyn Observer>];
        if let Some(audit) = &self.audit {
            observers.push(audit.tenant(name, &record.component));
        }
        let observer: Arc<dyn Observer> = Arc::new(Observers::new(observers));
        metrics.call_time(config.limits.call_time);
        let transport = config.transport.clone();
        let options = Options::new()
            .observer(observer)
            .limits(config.limits.clone())
            .egress(config.egress.clone())
            .transport_made_by(move || transport.build())
            .scheduler(self.scheduler.clone())
            .memory_budget(self.memory.clone());
        let opened = Configured::open(&plugin, options, config.source.clone()).await;
        let (mut configured, grants) =
            opened.inspect_err(|error| metrics.poll_failed(error)).map_err(|error| match error {
                Error::Configuration(problems) => {
                    of(problems.iter().map(|problem| in_source(text, problem)).collect())
                }
                error => wrong(error),
            })?;
        for warning in &grants.warnings {
            tracing::warn!(tenant, "{warning}");
        }
        let denied = configured.source().denied();
        if !denied.is_empty() {
            let lines = lines_to_allow(&config.allow, denied).replace('\n', " ");
            let denied = denied.join(", ");
            return Err(of(vec![format!(
                "it does not allow what the source has to contact: {denied}; if it may, write {lines}"
            )]));
        }
        if let Some(range) = range {
            let times = range.from.into()..range.until.into();
            configured.confine(times).await.map_err(wrong)?;
        }
        let backfill = range.map(|range| (range, self.tenants.clone()));
        let tenant = tenant.to_owned();
        Ok(HostedSource {
            configured,
            metrics: Arc::clone(metrics),
            revision,
            backfill,
            tenant,
            is_spent: false,
            committing: None,
            is_complete: false,
            _busy: None,
        })
    }
}

impl Sources for Hosted {
    type Source = HostedSource;

    async fn open(&self, tenant: &str) -> Result<Option<HostedSource>, PollError> {
        let busy = Busy::new(&self.busy);
        let version = self.tenants.version(tenant).await.map_err(wrong)?;
        locked(&self.opened).entry(tenant.to_owned()).or_insert(Opened { places: 0, version }).places += 1;
        let found = self.tenants.get(tenant).await.map_err(wrong)?;
        let Some((record, revision)) = found.filter(|(record, _)| !record.paused) else {
            self.give_up(tenant);
            return Ok(None);
        };
        let range = if Tenants::is_backfill(tenant) {
            let range = self.tenants.backfill(tenant).await.map_err(wrong)?;
            if range.is_none() {
                self.give_up(tenant);
                return Ok(None);
            }
            range
        } else {
            None
        };
        let kept = locked(&self.kept).sources.remove(tenant).map(|(_, source)| source);
        let fits = |source: &HostedSource| {
            source.revision == revision && source.backfill.as_ref().map(|(range, _)| *range) == range
        };
        let mut source = match kept.filter(fits) {
            Some(source) => source,
            None => self.make(tenant, &record, revision, range).await?,
        };
        source._busy = Some(busy);
        Ok(Some(source))
    }

    async fn close(&self, tenant: &str, mut source: HostedSource, is_committed: bool) {
        if is_committed {
            source.committed();
        } else {
            source.committing = None;
        }
        let is_complete = std::mem::take(&mut source.is_complete) && is_committed;
        if let (true, Some((range, tenants))) = (is_complete, &source.backfill) {
            match tenants.complete_backfill(tenant, *range).await {
                Ok(()) => tracing::info!(tenant, "its backfill is complete, {range}"),
                Err(error) => {
                    tracing::warn!(tenant, %error, "its backfill is complete, and is to end at its next poll")
                }
            }
        }
        source.metrics.left();
        if source.is_spent {
            self.metrics.remove(tenant);
            return;
        }
        source._busy = None;
        source.configured.suspend().await;
        let mut kept = locked(&self.kept);
        kept.clock += 1;
        let now = kept.clock;
        if kept.sources.len() >= KEPT
            && let Some(oldest) =
                kept.sources.iter().min_by_key(|(_, (at, _))| *at).map(|(name, _)| name.clone())
        {
            kept.sources.remove(&oldest);
            self.metrics.remove(&oldest);
        }
        kept.sources.insert(tenant.to_owned(), (now, source));
    }

    async fn slept(&self, tenant: &str) {
        let Some(opened) = self.known_before(tenant) else { return };
        let now = self.tenants.version(tenant).await;
        let woken = match now {
            Ok(now) if now != opened => self.tenants.wake(tenant).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = woken {
            tracing::warn!(tenant, %error, "whether it was changed meanwhile is not known: if so, it is polled at its next time");
        }
    }
}

impl Source for HostedSource {
    async fn poll(&mut self, state: Option<&str>) -> Result<Polled, PollError> {
        if let (Some(_), Some(state)) = (&self.backfill, state)
            && self.configured.is_complete(state).await.map_err(wrong)?
        {
            self.is_complete = true;
            return Ok(Polled { events: Vec::new(), state: state.to_owned(), wait: SOON });
        }
        self.committed();
        let started = Instant::now();
        self.metrics.running(true);
        let polled = self.configured.poll(state).await;
        self.metrics.running(false);
        let batch = match polled {
            Ok(batch) => batch,
            Err(error) => {
                self.metrics.poll_failed(&error);
                return Err(self.failed(error));
            }
        };
        if self.backfill.is_none() {
            self.metrics.polled(&batch, started.elapsed());
        }
        for problem in &batch.problems {
            tracing::warn!(tenant = self.tenant, kind = problem.kind.as_str(), "{problem}");
        }
        let bytes = batch.events.iter().map(|event| event.len() as u64).sum();
        self.committing =
            Some(Delivered { events: batch.events.len() as u64, bytes, ..Delivered::default() });
        let events = batch.events.into_iter().map(|text| Event { id: event_id(&text), text }).collect();
        let wait = Duration::from_millis(batch.next_poll_ms.into());
        // It ends with the next poll: before that its last events have to be safe.
        let ends = self.backfill.is_some()
            && !wait.is_zero()
            && self.configured.is_complete(&batch.state).await.map_err(wrong)?;
        let wait = if ends { SOON } else { wait };
        Ok(Polled { events, state: batch.state, wait })
    }
}

impl HostedSource {
    fn committed(&mut self) {
        if let Some(delivered) = self.committing.take() {
            self.metrics.delivered(&delivered);
        }
    }

    fn failed(&mut self, error: Error) -> PollError {
        match error {
            Error::Failure(failure) => {
                let Failure { problem, state, .. } = *failure;
                self.is_spent =
                    matches!(problem.kind, ProblemKind::Config | ProblemKind::Auth | ProblemKind::Permission);
                PollError {
                    message: problem.to_string(),
                    retry_after: problem.retry_after_ms.map(|ms| Duration::from_millis(ms.into())),
                    state: state.filter(|_| problem.kind != ProblemKind::State),
                }
            }
            error => {
                self.is_spent = true;
                wrong(error)
            }
        }
    }
}
