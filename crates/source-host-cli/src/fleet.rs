//! One of many hosts that share their tenants: the worker of a fleet.
//!
//! Which tenant is polled by whom, and when, is decided by what the crate `fleet` keeps in JetStream. Here a job becomes a poll: the
//! tenant's configuration is read, with the secrets that this host has for it; its component is fetched by its digest; and it runs
//! within the limits of every other host.

mod inline;
mod settings;
mod sources;

use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use event_output::OutputError;
use fleet::{
    Components, Done, EngineError, JetStream, Layout, Presence, Roster, Settings as WorkSettings, Tenants,
    Trouble, Worker,
};
use source_host::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::inline::inline_secrets;
pub use self::settings::Settings;
use self::sources::Hosted;
use crate::watch::{self, Audit, Health, Metrics, Queue, ServerLimits, Thresholds};

/// How often a worker says that it is there.
const PRESENT: Duration = Duration::from_secs(5);
/// How often it looks how deep the queue is, where metrics are told.
const LOOK: Duration = Duration::from_secs(15);
/// How often it looks whether somebody is forgotten; a part of it is added, which differs from worker to worker.
const SWEEP: Duration = Duration::from_secs(60);
/// After so long whoever lost its watch asks for another.
const AGAIN: Duration = Duration::from_secs(2);

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The servers cannot be reached.
    #[error(transparent)]
    Connection(#[from] OutputError),
    /// The servers, or what lies there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address for metrics.
    #[error(transparent)]
    Metrics(#[from] watch::ServerError),
    /// The audit trail.
    #[error("cannot write the audit trail {}: {reason}", path.display())]
    Audit {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
}

/// What a worker came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Jobs that came to an end.
    pub jobs: u64,
    /// Events committed.
    pub events: u64,
    /// Jobs that another worker had gone on with.
    pub fenced: u64,
    /// Jobs that had to be broken off, as they took longer than the drain. Others go on with them.
    pub broken_off: usize,
}

#[derive(Debug, Default)]
struct Count {
    jobs: AtomicU64,
    polls: AtomicU64,
    events: AtomicU64,
    failed: AtomicU64,
    fenced: AtomicU64,
}

/// A name that no other run has: of the machine, the process and the moment.
pub fn worker_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let host = if host.is_empty() { "host".to_owned() } else { host };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{host}-{}-{:x}", std::process::id(), since.as_millis())
}

/// Works on the jobs of a fleet until it is stopped.
///
/// # Errors
///
/// If it cannot begin. What goes wrong later is logged, and tried again.
pub async fn work(
    settings: Settings,
    layout: Layout,
    client: fleet::Client,
    runtime: Runtime,
    stop: CancellationToken,
) -> Result<Worked, FleetError> {
    let engine = JetStream::open(client, layout).await?;
    let tenants = Tenants::open(&engine).await?;
    let components = Components::open(&engine).await?;
    let roster = Roster::open(&engine).await?;
    let metrics = Metrics::new(settings.metrics_per_tenant);
    let audit = match &settings.audit {
        None => None,
        Some(path) => {
            let audit = Audit::to_file(path);
            let audit = audit.map_err(|reason| FleetError::Audit { path: path.clone(), reason })?;
            metrics.watch_audit(&audit);
            Some(audit)
        }
    };
    let health = Health::new(metrics.clone(), Thresholds::default());
    health.folder_read([]);
    if let Some(address) = settings.metrics {
        let bound =
            watch::Server::bind(address, metrics.clone(), health.clone(), ServerLimits::default()).await?;
        tracing::info!(address = %bound.address(), "metrics and health are told");
        tokio::spawn(bound.run(CancellationToken::new()));
    }
    let name = worker_name();
    tracing::info!(worker = name, fleet = engine.layout().fleet, places = settings.places, "working");
    let sources = Arc::new(Hosted::new(
        runtime,
        &settings,
        tenants.clone(),
        components,
        metrics.clone(),
        audit.clone(),
    ));
    let count = Arc::new(Count::default());
    let mut around = JoinSet::new();
    around.spawn(be_present(
        roster.clone(),
        name.clone(),
        settings.places,
        Arc::clone(&sources),
        Arc::clone(&count),
    ));
    around.spawn(sweep(engine.clone(), tenants.clone(), roster.clone(), name.clone()));
    around.spawn(listen(tenants));
    if settings.metrics.is_some() {
        around.spawn(look_at_queue(engine.clone(), metrics));
    }

    let mut places = JoinSet::new();
    let begun = AtomicU64::new(0);
    let place = || {
        let (engine, sources, name) = (engine.clone(), Arc::clone(&sources), name.clone());
        // What two places of a process write is told apart, as is that of two processes.
        let writer = format!("{name}/{}", begun.fetch_add(1, Relaxed));
        let (count, roster, stop) = (Arc::clone(&count), roster.clone(), stop.clone());
        let work = WorkSettings { slice: settings.slice, ..WorkSettings::default() };
        async move {
            let worker = Worker::new(&engine, &*sources, &writer, work);
            let told = |tenant: &str, done: &Done| tell(&count, &roster, &name, tenant, done);
            worker.run(stop.cancelled(), told).await;
        }
    };
    keep(&mut places, settings.places.max(1), place, &stop).await;
    health.draining();
    tracing::info!("stopping; jobs under way come to an end first");
    let deadline = Instant::now() + settings.drain;
    let mut worked = Worked::default();
    while !places.is_empty() {
        if timeout_at(deadline, places.join_next()).await.is_err() {
            worked.broken_off = places.len();
            tracing::warn!(
                jobs = worked.broken_off,
                "breaking off; others go on with these once their leases run out"
            );
            places.shutdown().await;
        }
    }
    around.shutdown().await;
    if let Err(error) = roster.gone(&name).await {
        tracing::debug!(%error, "it is not told that this worker is gone");
    }
    if let Some(audit) = &audit {
        audit.flush();
    }
    worked.jobs = count.jobs.load(Relaxed);
    worked.events = count.events.load(Relaxed);
    worked.fenced = count.fenced.load(Relaxed);
    Ok(worked)
}

/// Has so many places at work until it is stopped. One that panics is begun anew: its job comes again after a lease.
async fn keep<F>(places: &mut JoinSet<()>, count: usize, place: impl Fn() -> F, stop: &CancellationToken)
where
    F: Future<Output = ()> + Send + 'static,
{
    for _ in 0..count {
        places.spawn(place());
    }
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            ended = places.join_next() => match ended {
                Some(Err(error)) => {
                    tracing::error!(%error, "a place has panicked, and begins anew");
                    places.spawn(place());
                }
                Some(Ok(())) => {}
                // They end by themselves only as they are stopped.
                None => return stop.cancelled().await,
            }
        }
    }
}

/// Counts how a job ended, and has it known who is in trouble.
fn tell(count: &Count, roster: &Roster, worker: &str, tenant: &str, done: &Done) {
    count.jobs.fetch_add(1, Relaxed);
    let trouble = |why: &str, failures: u32, wait: Duration| Trouble {
        why: why.to_owned(),
        failures,
        again_in_s: wait.as_secs(),
        worker: worker.to_owned(),
    };
    let trouble = match done {
        Done::Slept { events, polls, may_be_in_trouble, .. } => {
            count.polls.fetch_add(*polls, Relaxed);
            count.events.fetch_add(*events, Relaxed);
            if !may_be_in_trouble {
                return;
            }
            None
        }
        Done::Failed { why, wait, failures } => {
            count.failed.fetch_add(1, Relaxed);
            Some(trouble(why, *failures, *wait))
        }
        Done::Absent => None,
        Done::Fenced => {
            count.fenced.fetch_add(1, Relaxed);
            return;
        }
        // Its answer alone may have been lost, and nobody would take it back. Where it goes on like that, the job comes again too often.
        Done::Left(_) => return,
    };
    let (roster, tenant) = (roster.clone(), tenant.to_owned());
    // The next job need not wait for it.
    tokio::spawn(async move {
        if let Err(error) = roster.trouble(&tenant, trouble.as_ref()).await {
            tracing::debug!(tenant, %error, "its trouble is not told");
        }
    });
}

async fn be_present(roster: Roster, worker: String, places: usize, sources: Arc<Hosted>, count: Arc<Count>) {
    let started = Instant::now();
    let mut before = (started, 0, 0);
    let mut ticks = interval(PRESENT);
    loop {
        ticks.tick().await;
        let (polls, events) = (count.polls.load(Relaxed), count.events.load(Relaxed));
        let seconds = before.0.elapsed().as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| ((now - then) as f64 / seconds * 10.0).round() / 10.0;
        let presence = Presence {
            worker: worker.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            places: places as u64,
            busy: sources.busy(),
            up_s: started.elapsed().as_secs(),
            jobs: count.jobs.load(Relaxed),
            polls,
            events,
            failed: count.failed.load(Relaxed),
            fenced: count.fenced.load(Relaxed),
            polls_per_s: rate(polls, before.1),
            events_per_s: rate(events, before.2),
        };
        before = (Instant::now(), polls, events);
        if let Err(error) = roster.here(&presence).await {
            tracing::debug!(%error, "it is not told that this worker is there");
        }
    }
}

/// A part of a minute that differs from worker to worker, so that those that were started together do not sweep together.
fn part_of(worker: &str) -> Duration {
    let mut hasher = std::hash::DefaultHasher::new();
    worker.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % 60_000)
}

async fn sweep(engine: JetStream, tenants: Tenants, roster: Roster, worker: String) {
    let part = part_of(&worker);
    sleep(part / 4).await;
    loop {
        let swept = match roster.may_sweep(&worker).await {
            Ok(true) => engine.sweep(&tenants).await.map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match swept {
            Ok(None) => {}
            Ok(Some(swept)) => {
                for tenant in swept.woken {
                    tracing::warn!(tenant, "it had neither a job nor a schedule, and is polled now");
                }
                for tenant in swept.removed {
                    tracing::info!(tenant, "its jobs are removed, as it is gone");
                    // A poll that was under way may have told of some after it was removed.
                    if let Err(error) = roster.trouble(&tenant, None).await {
                        tracing::debug!(tenant, %error, "its trouble is not taken back");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "not swept"),
        }
        sleep(SWEEP + part).await;
    }
}

async fn look_at_queue(engine: JetStream, metrics: Metrics) {
    let mut ticks = interval(LOOK);
    loop {
        ticks.tick().await;
        let queue = match engine.depth().await {
            Ok(depth) => Some(Queue {
                waiting: depth.waiting,
                under_way: depth.under_way,
                asleep: depth.asleep,
                oldest_job: depth.oldest,
                events: depth.events,
            }),
            Err(error) => {
                tracing::debug!(%error, "how deep the queue is cannot be told");
                None
            }
        };
        metrics.queue(queue);
    }
}

async fn listen(tenants: Tenants) {
    loop {
        let told = |tenant: &str, record: Option<&fleet::Record>| match record {
            None => tracing::info!(tenant, "removed"),
            Some(record) if record.paused => tracing::info!(tenant, "paused"),
            Some(_) => tracing::info!(tenant, "added, changed or resumed"),
        };
        if let Err(error) = tenants.watch(told).await {
            tracing::debug!(%error, "changes of tenants are not heard for a while");
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_panics_is_begun_anew() {
        let (began, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let place = || {
            let (began, stop) = (Arc::clone(&began), stop.clone());
            async move {
                let number = began.fetch_add(1, Relaxed);
                assert!(number >= 5, "the first five panic, as this one is to");
                if number == 6 {
                    stop.cancel();
                }
                stop.cancelled().await;
            }
        };
        let mut places = JoinSet::new();
        keep(&mut places, 2, place, &stop).await;
        assert_eq!(began.load(Relaxed), 7, "two places, and five panics");
        places.join_all().await;
    }

    #[test]
    fn workers_that_start_together_sweep_one_after_the_other() {
        let parts: std::collections::BTreeSet<Duration> =
            (0..40).map(|number| part_of(&format!("host-1-19abcdef{number:03x}"))).collect();
        assert!(parts.len() > 35 && parts.iter().all(|part| *part < SWEEP), "{parts:?}");
    }
}
