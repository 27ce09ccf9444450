//! All tenants together, and how they are written down for Prometheus.
//!
//! Why `prometheus-client` and not `metrics`: its [`Collector`] reads our own numbers when somebody asks. So a tenant is one
//! struct of atomics (1 KiB; a registry of handles takes some hundred bytes for *each* of its series), it vanishes with all
//! its series at once, what depends on the time is computed when it is read, and there is no global recorder that tests
//! would share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::audit::Audit;
use super::clock::{Clock, SystemClock};
use super::families::{CELLS, FAMILIES, Labels, REQUEST, SECONDS, Snapshot, histogram};
use super::tenant::{Common, Standing, TenantMetrics, bounded, locked};

/// All tenants. One lock for both, so that a scrape finds each either here or there: a sum that shrank would look like a
/// restart.
struct Tenants {
    known: BTreeMap<Box<str>, Arc<TenantMetrics>>,
    /// What is left of those that were removed, where all are summed.
    gone: [u64; CELLS],
}

struct Shared {
    per_tenant: bool,
    common: Arc<Common>,
    started: Duration,
    tenants: Mutex<Tenants>,
    audit: Mutex<Option<Audit>>,
    queue: Mutex<Option<Queue>>,
}

/// The queue that hosts of a fleet share, as one of them has looked at it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Jobs that wait for a worker.
    pub waiting: u64,
    /// Jobs that a worker has.
    pub under_way: u64,
    /// Tenants that sleep.
    pub asleep: u64,
    /// How long the oldest job has been there.
    pub oldest_job: Duration,
    /// Events that nobody has taken yet.
    pub events: u64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("per_tenant", &self.per_tenant).finish_non_exhaustive()
    }
}

/// The metrics of a host. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("per_tenant", &self.shared.per_tenant).finish_non_exhaustive()
    }
}

impl Metrics {
    /// With series for each tenant, or with the sums of all: a tenant costs about 50 series, so from some thousands on the
    /// one who stores them will want the sums.
    pub fn new(per_tenant: bool) -> Self {
        Self::with_clock(per_tenant, Arc::new(SystemClock::default()))
    }

    /// The same, by another clock.
    pub fn with_clock(per_tenant: bool, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared {
            per_tenant,
            started: clock.now(),
            common: Arc::new(Common {
                clock,
                requests: [const { AtomicU64::new(0) }; REQUEST.len()],
                request_nanos: AtomicU64::new(0),
            }),
            tenants: Mutex::new(Tenants { known: BTreeMap::new(), gone: [0; CELLS] }),
            audit: Mutex::default(),
            queue: Mutex::default(),
        });
        let mut registry = Registry::with_prefix("source_host");
        registry.register_collector(Box::new(Arc::clone(&shared)));
        Self { shared, registry: Arc::new(registry) }
    }

    /// The metrics of a tenant; the same as before where it is known. What it runs is a component's name or digest.
    pub fn tenant(&self, tenant: &str, component: &str) -> Arc<TenantMetrics> {
        let label = bounded(tenant);
        let mut tenants = locked(&self.shared.tenants);
        if let Some(known) = tenants.known.get(&label) {
            *locked(&known.component) = bounded(component);
            return Arc::clone(known);
        }
        let new = Arc::new(TenantMetrics::new(label.clone(), component, &self.shared.common));
        tenants.known.insert(label, Arc::clone(&new));
        new
    }

    /// Forgets a tenant and all its series. What it has counted stays in the sums.
    pub fn remove(&self, tenant: &str) {
        let mut tenants = locked(&self.shared.tenants);
        let removed = tenants.known.remove(&bounded(tenant));
        if let (Some(tenant), false) = (removed, self.shared.per_tenant) {
            for (sum, count) in tenants.gone.iter_mut().zip(&tenant.counts) {
                *sum = sum.saturating_add(count.load(Relaxed));
            }
        }
    }

    /// Tells how many audit lines were dropped as well.
    pub fn watch_audit(&self, audit: &Audit) {
        *locked(&self.shared.audit) = Some(audit.clone());
    }

    /// Tells of the queue of a fleet as well. None: it is not known any more.
    pub fn queue(&self, queue: Option<Queue>) {
        *locked(&self.shared.queue) = queue;
    }

    /// Everything, in the text format of `OpenMetrics` 1.0, which Prometheus reads. Takes as long as there are tenants: on a
    /// thread that may block.
    pub fn scrape(&self) -> String {
        let tenants = locked(&self.shared.tenants).known.len();
        let mut text = String::with_capacity(8 << 10);
        if self.shared.per_tenant {
            text.reserve(tenants.saturating_mul(4 << 10));
        }
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    pub(super) fn standings(&self) -> Vec<Standing> {
        let now = self.shared.common.clock.now();
        let (tenants, _) = self.shared.all();
        tenants.iter().map(|tenant| tenant.standing(now)).collect()
    }
}

impl Shared {
    /// Those there are, and what is left of those there were.
    fn all(&self) -> (Vec<Arc<TenantMetrics>>, [u64; CELLS]) {
        let tenants = locked(&self.tenants);
        (tenants.known.values().cloned().collect(), tenants.gone)
    }

    fn encode_process(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        tenants: &[Arc<TenantMetrics>],
    ) -> fmt::Result {
        let now = self.common.clock.now();
        let mut states =
            [("polling", 0_u64), ("waiting", 0), ("output-down", 0), ("failing", 0), ("paused", 0)];
        let (mut running, mut waiting, mut open) = (0_u64, 0_u64, 0_u64);
        for tenant in tenants {
            let standing = tenant.standing(now);
            let state = match &standing {
                Standing { paused: true, .. } => 4,
                Standing { output_failing: Some(_), .. } => 2,
                Standing { failing: Some(_), .. } => 3,
                Standing { running: Some(_), .. } => 0,
                _ => 1,
            };
            states[state].1 += 1;
            running += u64::from(standing.running.is_some());
            waiting += u64::from(standing.overdue.is_some() && !standing.paused);
            open += u64::from(tenant.open.load(Relaxed));
        }
        let mut gauge = encoder.encode_descriptor("tenants", "Tenants by state.", None, MetricType::Gauge)?;
        for (state, count) in states {
            gauge.encode_family(&Labels([None, Some(("state", state))]))?.encode_gauge(&count)?;
        }
        let simple = [
            ("polls_running", "Polls under way.", running),
            ("polls_waiting", "Polls that are due and wait for their turn.", waiting),
            ("instances_open", "Instances of components.", open),
        ];
        for (name, help, count) in simple {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&count)?;
        }
        let uptime = now.saturating_sub(self.started).as_secs_f64();
        encoder
            .encode_descriptor("uptime", "Since the host was started.", SECONDS.as_ref(), MetricType::Gauge)?
            .encode_gauge(&uptime)?;
        let dropped = locked(&self.audit).as_ref().map_or(0, Audit::dropped);
        encoder
            .encode_descriptor("audit_lines_dropped", "Audit lines not written.", None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&dropped, None)?;
        let counts: [u64; REQUEST.len()] = std::array::from_fn(|at| self.common.requests[at].load(Relaxed));
        let sum = Duration::from_nanos(self.common.request_nanos.load(Relaxed)).as_secs_f64();
        let mut requests = encoder.encode_descriptor(
            "request",
            "From sending a request until its answer was read.",
            SECONDS.as_ref(),
            MetricType::Histogram,
        )?;
        histogram(&mut requests, &Labels([None, None]), sum, &REQUEST, &counts)?;
        encoder
            .encode_descriptor("build_info", "The version of the host.", None, MetricType::Gauge)?
            .encode_family(&Labels([Some(("version", env!("CARGO_PKG_VERSION"))), None]))?
            .encode_gauge(&1_u64)
    }

    fn encode_tenants(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        tenants: &[Arc<TenantMetrics>],
        gone: [u64; CELLS],
    ) -> fmt::Result {
        let (now, wall) = (self.common.clock.now(), self.common.clock.wall());
        let snapshots = tenants.iter().map(|tenant| (&*tenant.label, tenant.snapshot(now, wall)));
        let mut all = Snapshot::none();
        let mut each = Vec::new();
        if self.per_tenant {
            let mut info = encoder.encode_descriptor(
                "tenant_info",
                "The component that a tenant runs.",
                None,
                MetricType::Gauge,
            )?;
            for tenant in tenants {
                let component = locked(&tenant.component).clone();
                let labels = Labels([Some(("tenant", &*tenant.label)), Some(("component", &*component))]);
                info.encode_family(&labels)?.encode_gauge(&1_u64)?;
            }
            each.extend(snapshots);
        } else {
            all.counts = gone;
            snapshots.for_each(|(_, snapshot)| all.merge(&snapshot));
        }
        for family in &FAMILIES {
            let mut encoder =
                encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), family.kind())?;
            if self.per_tenant {
                for (tenant, snapshot) in &each {
                    family.encode(&mut encoder, Some(tenant), snapshot)?;
                }
            } else {
                family.encode(&mut encoder, None, &all)?;
            }
        }
        Ok(())
    }
}

impl Shared {
    fn encode_queue(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(queue) = *locked(&self.queue) else { return Ok(()) };
        let mut jobs =
            encoder.encode_descriptor("fleet_jobs", "Jobs of a fleet by state.", None, MetricType::Gauge)?;
        for (state, count) in
            [("waiting", queue.waiting), ("under-way", queue.under_way), ("asleep", queue.asleep)]
        {
            jobs.encode_family(&Labels([None, Some(("state", state))]))?.encode_gauge(&count)?;
        }
        encoder
            .encode_descriptor("fleet_oldest_job", "Of the oldest job.", SECONDS.as_ref(), MetricType::Gauge)?
            .encode_gauge(&queue.oldest_job.as_secs_f64())?;
        encoder
            .encode_descriptor("fleet_events_waiting", "Events that wait.", None, MetricType::Gauge)?
            .encode_gauge(&queue.events)
    }
}

impl Collector for Shared {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (tenants, gone) = self.all();
        self.encode_queue(&mut encoder)?;
        self.encode_process(&mut encoder, &tenants)?;
        self.encode_tenants(&mut encoder, &tenants, gone)
    }
}
