//! Counts what happens, and writes it down for Prometheus.
//!
//! Why `prometheus-client` and not `metrics`: its [`Collector`] reads our own numbers when somebody asks. So a tenant is one
//! struct of atomics (below 1.5 KiB; a registry of handles takes some hundred bytes for *each* of its series), it vanishes
//! with all its series at once, what depends on the time is computed when it is read, and there is no global recorder that
//! tests would share.
//!
//! Why a label never breaks a scrape: a tenant's name comes from a file's name and may hold anything. It is cut to
//! [`LONGEST_LABEL`], control characters become spaces, and a name that was changed gets a hash behind it, so that two names
//! stay two series. Quotes are escaped by the encoder. All other labels are words of this file.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use source_host::{Batch, CallRecord, Error, Observer, ProblemKind, RequestRecord, printable};

use super::audit::Audit;
use super::clock::{Clock, SystemClock};

/// The longest text of a label, in characters. A hash may follow.
const LONGEST_LABEL: usize = 100;
/// How long a call may take where nobody has said so: as in `Limits`.
const CALL_TIME: Duration = Duration::from_secs(300);

/// What is counted for each tenant. The place of each in [`TenantMetrics::counts`].
#[derive(Clone, Copy)]
enum Count {
    Polls,
    PollNanos,
    PollsFailed,
    Rows,
    RowsMalformed,
    FilesCompleted,
    FilesGivenUp,
    Events,
    EventBytes,
    SetAside,
    DeliveryNanos,
    OutputFailures,
    SaveFailures,
    RequestBytes,
    ResponseBytes,
    Calls,
    CpuNanos,
    LagMillis,
}

const STATUSES: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "denied", "failed"];
const DENIED: usize = 5;
const FAILED: usize = 6;
const KINDS: [&str; 16] = [
    "config",
    "auth",
    "permission",
    "rate-limited",
    "transient",
    "data",
    "state",
    "internal",
    "not-admitted",
    "setup",
    "memory",
    "time",
    "cpu",
    "trap",
    "answer",
    "other",
];
const LIMITS: [&str; 9] =
    ["requests", "connections", "request-bytes", "problems", "memory", "time", "cpu", "answer", "other"];
/// Upper bounds in seconds. Log files of an hour come after the hour; a backlog may be days old.
const LAG: [f64; 9] = [10.0, 60.0, 300.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 86_400.0, f64::INFINITY];
const REQUEST: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, f64::INFINITY];

const STATUS_AT: usize = Count::LagMillis as usize + 1;
const KIND_AT: usize = STATUS_AT + STATUSES.len();
const LIMIT_AT: usize = KIND_AT + KINDS.len();
const LAG_AT: usize = LIMIT_AT + LIMITS.len();
const CELLS: usize = LAG_AT + LAG.len();

/// A number that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// A moment that may be none: when something began, or is due.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Moment {
    fn set(&self, now: Duration) {
        self.0.store(millis(now).saturating_add(1), Relaxed);
    }

    /// Keeps the first: something has been going on since then.
    fn begin(&self, now: Duration) {
        let _ = self.0.compare_exchange(0, millis(now).saturating_add(1), Relaxed, Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }

    fn age(&self, now: Duration) -> Option<Duration> {
        let since = self.0.load(Relaxed).checked_sub(1)?;
        // What is due later is not due: `None`, not zero.
        millis(now).checked_sub(since).map(Duration::from_millis)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(UNKNOWN)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(UNKNOWN)
}

/// What a delivery was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivered {
    /// Events that are safe now.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events that the output would not have, and that lie in a file of their own.
    pub set_aside: u64,
    /// When the oldest of them happened, where that is known. The lag is that of the oldest.
    pub oldest: Option<SystemTime>,
    /// When the newest of them happened, where that is known.
    pub newest: Option<SystemTime>,
    /// How long the delivery took.
    pub took: Duration,
}

/// What one tenant has done and is doing. Its methods are called by the loop, and as an [`Observer`] by the source.
pub struct TenantMetrics {
    label: Box<str>,
    component: Mutex<Box<str>>,
    shared: Arc<Shared>,
    counts: [AtomicU64; CELLS],
    backlog_files: AtomicU64,
    backlog_bytes: AtomicU64,
    api_used: AtomicU64,
    api_maximum: AtomicU64,
    state_bytes: AtomicU64,
    peak_memory: AtomicU64,
    call_time: AtomicU64,
    wait: AtomicU64,
    newest_event: AtomicU64,
    running: Moment,
    due: Moment,
    polled: Moment,
    output_failing: Moment,
    failing: Moment,
    failing_with: AtomicU8,
    save_failing: AtomicBool,
    paused: AtomicBool,
    open: AtomicBool,
}

impl fmt::Debug for TenantMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantMetrics").field("tenant", &self.label).finish_non_exhaustive()
    }
}

/// How a tenant stands, for a judgement.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) tenant: Box<str>,
    pub(super) paused: bool,
    pub(super) running: Option<Duration>,
    pub(super) overdue: Option<Duration>,
    pub(super) wait: Duration,
    pub(super) call_time: Duration,
    pub(super) output_failing: Option<Duration>,
    pub(super) save_failing: bool,
    pub(super) failing: Option<(&'static str, Duration)>,
}

impl TenantMetrics {
    fn new(label: Box<str>, component: &str, shared: &Arc<Shared>) -> Self {
        let tenant = Self {
            label,
            component: Mutex::new(bounded(component)),
            shared: Arc::clone(shared),
            counts: [const { AtomicU64::new(0) }; CELLS],
            backlog_files: AtomicU64::new(0),
            backlog_bytes: AtomicU64::new(0),
            api_used: AtomicU64::new(UNKNOWN),
            api_maximum: AtomicU64::new(UNKNOWN),
            state_bytes: AtomicU64::new(UNKNOWN),
            peak_memory: AtomicU64::new(0),
            call_time: AtomicU64::new(millis(CALL_TIME)),
            wait: AtomicU64::new(0),
            newest_event: AtomicU64::new(UNKNOWN),
            running: Moment::default(),
            due: Moment::default(),
            polled: Moment::default(),
            output_failing: Moment::default(),
            failing: Moment::default(),
            failing_with: AtomicU8::new(0),
            save_failing: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            open: AtomicBool::new(false),
        };
        // One that nobody ever polls is overdue from its beginning.
        tenant.due.set(shared.clock.now());
        tenant
    }

    fn add(&self, count: Count, by: u64) {
        self.cell(count as usize, by);
    }

    fn cell(&self, at: usize, by: u64) {
        self.counts[at].fetch_add(by, Relaxed);
    }

    fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// How long a call may take: `Limits::call_time`. A poll that runs for twice as long is stuck.
    pub fn call_time(&self, limit: Duration) {
        self.call_time.store(millis(limit), Relaxed);
    }

    /// A poll begins, or has ended well or not. What waits for its turn does not run: it is due.
    pub fn running(&self, running: bool) {
        if running {
            self.due.clear();
            self.running.set(self.now());
        } else {
            self.running.clear();
        }
    }

    /// A poll brought a batch.
    pub fn polled(&self, batch: &Batch, took: Duration) {
        let stats = &batch.stats;
        self.add(Count::Polls, 1);
        self.add(Count::PollNanos, nanos(took));
        self.add(Count::Rows, stats.rows_read.into());
        self.add(Count::RowsMalformed, stats.rows_malformed.into());
        self.add(Count::FilesCompleted, stats.files_completed.into());
        self.add(Count::FilesGivenUp, stats.files_given_up.into());
        for problem in &batch.problems {
            self.problem(problem.kind.as_str());
        }
        self.backlog_files.store(stats.backlog_files.into(), Relaxed);
        self.backlog_bytes.store(stats.backlog_bytes, Relaxed);
        if let Some(usage) = stats.api_usage {
            self.api_used.store(usage.used.into(), Relaxed);
            self.api_maximum.store(usage.maximum.into(), Relaxed);
        }
        self.failing.clear();
        self.polled.set(self.now());
    }

    /// A poll failed, or a component could not be opened or configured. What the host cancelled itself is no failure.
    pub fn poll_failed(&self, error: &Error) {
        if !matches!(error, Error::Cancelled { .. }) {
            self.failed(kind(error));
        }
    }

    /// A poll failed with a problem of that kind.
    pub fn poll_failed_with(&self, kind: ProblemKind) {
        self.failed(kind.as_str());
    }

    fn failed(&self, kind: &'static str) {
        self.add(Count::Polls, 1);
        self.add(Count::PollsFailed, 1);
        let at = self.problem(kind);
        // What passes by itself says nothing about what went wrong before: only a batch ends that.
        if !matches!(kind, "rate-limited" | "transient") {
            self.failing_with.store(at, Relaxed);
            self.failing.begin(self.now());
        }
    }

    fn problem(&self, kind: &str) -> u8 {
        let at = place(&KINDS, kind);
        self.cell(KIND_AT + at, 1);
        u8::try_from(at).unwrap_or_default()
    }

    /// Events are safe. The output has recovered with that.
    pub fn delivered(&self, delivered: &Delivered) {
        self.add(Count::Events, delivered.events);
        self.add(Count::EventBytes, delivered.bytes);
        self.add(Count::SetAside, delivered.set_aside);
        self.add(Count::DeliveryNanos, nanos(delivered.took));
        let wall = self.shared.clock.wall();
        if let Some(oldest) = delivered.oldest.or(delivered.newest) {
            // An event of the future has a clock that is wrong, and no lag.
            let lag = wall.duration_since(oldest).unwrap_or_default();
            self.add(Count::LagMillis, millis(lag));
            self.cell(LAG_AT + bucket(&LAG, lag), 1);
        }
        if let Some(newest) = delivered.newest.or(delivered.oldest) {
            let newest = millis(newest.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
            // The newest of all, though batches may come out of order.
            let _ = self.newest_event.fetch_update(Relaxed, Relaxed, |known| {
                (known == UNKNOWN || newest > known).then_some(newest)
            });
        }
        self.output_recovered();
    }

    /// An attempt to deliver has failed. From the first such attempt until it recovers, the output is down.
    pub fn output_failed(&self) {
        self.add(Count::OutputFailures, 1);
        self.output_failing.begin(self.now());
    }

    /// The output takes events again.
    pub fn output_recovered(&self) {
        self.output_failing.clear();
    }

    /// The state was saved.
    pub fn saved(&self, state_bytes: u64) {
        self.state_bytes.store(state_bytes, Relaxed);
        self.save_failing.store(false, Relaxed);
    }

    /// The state could not be saved.
    pub fn save_failed(&self) {
        self.add(Count::SaveFailures, 1);
        self.save_failing.store(true, Relaxed);
    }

    /// The next poll is due after that time.
    pub fn scheduled(&self, wait: Duration) {
        self.wait.store(millis(wait), Relaxed);
        self.due.set(self.now().saturating_add(wait));
    }

    /// Whether the operator has paused it. One that goes on is due from now.
    pub fn paused(&self, paused: bool) {
        if self.paused.swap(paused, Relaxed) && !paused {
            self.scheduled(Duration::ZERO);
            // What failed before the pause has not been failing through it.
            for moment in [&self.failing, &self.output_failing] {
                if moment.age(Duration::MAX).is_some() {
                    moment.set(self.now());
                }
            }
        }
    }

    /// An instance of its component was opened, or is gone. A new one has no peak yet.
    pub fn instance_open(&self, open: bool) {
        self.open.store(open, Relaxed);
        if open {
            self.peak_memory.store(0, Relaxed);
        }
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let failing_with = KINDS[usize::from(self.failing_with.load(Relaxed)).min(KINDS.len() - 1)];
        Standing {
            tenant: self.label.clone(),
            paused: self.paused.load(Relaxed),
            running: self.running.age(now),
            overdue: self.due.age(now).filter(|_| self.running.age(now).is_none()),
            wait: Duration::from_millis(self.wait.load(Relaxed)),
            call_time: Duration::from_millis(self.call_time.load(Relaxed)),
            output_failing: self.output_failing.age(now),
            save_failing: self.save_failing.load(Relaxed),
            failing: self.failing.age(now).map(|age| (failing_with, age)),
        }
    }

    fn snapshot(&self, now: Duration, wall: SystemTime) -> Snapshot {
        let standing = self.standing(now);
        let active = |age: Option<Duration>| age.filter(|_| !standing.paused).unwrap_or_default();
        let known = |value: &AtomicU64| Some(value.load(Relaxed)).filter(|value| *value != UNKNOWN);
        let newest = known(&self.newest_event).map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at));
        Snapshot {
            counts: std::array::from_fn(|at| self.counts[at].load(Relaxed)),
            backlog_files: self.backlog_files.load(Relaxed),
            backlog_bytes: self.backlog_bytes.load(Relaxed),
            state_bytes: known(&self.state_bytes),
            api: known(&self.api_used).zip(known(&self.api_maximum)),
            memory: self.peak_memory.load(Relaxed),
            output_up: standing.output_failing.is_none(),
            save_failing: standing.save_failing,
            undelivered: standing.output_failing.unwrap_or_default(),
            poll_age: self.polled.age(now).filter(|_| !standing.paused),
            event_age: newest.map(|at| wall.duration_since(at).unwrap_or_default()),
            overdue: active(standing.overdue),
            running: active(standing.running),
        }
    }
}

impl Observer for TenantMetrics {
    fn request(&self, request: &RequestRecord<'_>) {
        let status = match request {
            RequestRecord { denied: true, .. } => DENIED,
            RequestRecord { error: None, status: Some(status @ 100..=599), .. } => {
                usize::from(status / 100) - 1
            }
            _ => FAILED,
        };
        self.cell(STATUS_AT + status, 1);
        self.add(Count::RequestBytes, request.bytes_sent);
        self.add(Count::ResponseBytes, request.bytes_received);
        if status != DENIED {
            self.shared.request_nanos.fetch_add(nanos(request.duration), Relaxed);
            self.shared.requests[bucket(&REQUEST, request.duration)].fetch_add(1, Relaxed);
        }
    }

    fn call(&self, call: &CallRecord) {
        self.add(Count::Calls, 1);
        self.add(Count::CpuNanos, nanos(call.cpu));
        self.peak_memory.fetch_max(call.peak_memory, Relaxed);
        // What else ends a call is no limit: a trap, or the host itself.
        if let Some(limit) =
            call.ended_by.filter(|limit| matches!(*limit, "memory" | "time" | "cpu" | "answer"))
        {
            self.limit(limit);
        }
    }

    fn limit(&self, limit: &'static str) {
        self.cell(LIMIT_AT + place(&LIMITS, limit), 1);
    }
}

/// Where a word stands; the last is for all others.
fn place(words: &[&str], word: &str) -> usize {
    words.iter().position(|known| *known == word).unwrap_or(words.len() - 1)
}

fn bucket(bounds: &[f64], value: Duration) -> usize {
    bounds.iter().position(|bound| value.as_secs_f64() <= *bound).unwrap_or(bounds.len() - 1)
}

/// The word for an error, as `problems_total` has it.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Failure(failure) => failure.problem.kind.as_str(),
        Error::Configuration(_) => "config",
        Error::Unreadable { .. } | Error::NotAdmitted { .. } => "not-admitted",
        Error::Setup(_) => "setup",
        Error::Memory { .. } | Error::SharedMemory => "memory",
        Error::Timeout { .. } => "time",
        Error::CpuTime { .. } => "cpu",
        Error::Trap { .. } | Error::Spent => "trap",
        Error::Refused(_) => "answer",
        _ => "other",
    }
}

/// Text as a label: bounded, without control characters, and still another for another text.
fn bounded(text: &str) -> Box<str> {
    // Enough to know that it is too long, so that a text without an end is not copied.
    let label = printable(text.chars().take(LONGEST_LABEL + 1).collect());
    if label == text && label.chars().count() <= LONGEST_LABEL && !label.contains('~') {
        return label.into();
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let short: String = label.chars().take(LONGEST_LABEL).collect();
    format!("{short}~{:016x}", hasher.finish()).into()
}

/// What one tenant, or all together, looked like at one moment.
#[derive(Clone)]
struct Snapshot {
    counts: [u64; CELLS],
    backlog_files: u64,
    backlog_bytes: u64,
    state_bytes: Option<u64>,
    api: Option<(u64, u64)>,
    memory: u64,
    output_up: bool,
    save_failing: bool,
    undelivered: Duration,
    poll_age: Option<Duration>,
    event_age: Option<Duration>,
    overdue: Duration,
    running: Duration,
}

impl Snapshot {
    fn none() -> Self {
        Self {
            counts: [0; CELLS],
            backlog_files: 0,
            backlog_bytes: 0,
            state_bytes: None,
            api: None,
            memory: 0,
            output_up: true,
            save_failing: false,
            undelivered: Duration::ZERO,
            poll_age: None,
            event_age: None,
            overdue: Duration::ZERO,
            running: Duration::ZERO,
        }
    }

    /// Sums what can be summed; of all else the worst.
    fn merge(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(count);
        }
        self.backlog_files = self.backlog_files.saturating_add(other.backlog_files);
        self.backlog_bytes = self.backlog_bytes.saturating_add(other.backlog_bytes);
        self.state_bytes = self.state_bytes.max(other.state_bytes);
        self.memory = self.memory.max(other.memory);
        self.output_up &= other.output_up;
        self.save_failing |= other.save_failing;
        self.undelivered = self.undelivered.max(other.undelivered);
        self.poll_age = self.poll_age.max(other.poll_age);
        self.event_age = self.event_age.max(other.event_age);
        self.overdue = self.overdue.max(other.overdue);
        self.running = self.running.max(other.running);
        let share =
            |api: Option<(u64, u64)>| api.map_or(-1.0, |(used, maximum)| used as f64 / maximum.max(1) as f64);
        if share(other.api) > share(self.api) {
            self.api = other.api;
        }
    }

    fn count(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }
}

/// What a family of series shows of a tenant.
enum Shows {
    Count(Count),
    /// Counted in nanoseconds, shown in seconds.
    Seconds(Count),
    /// One series for each word that has ever been counted, and for those that an alert waits for: what appears with 1 has not
    /// increased, as Prometheus sees it.
    Words {
        label: &'static str,
        words: &'static [&'static str],
        at: usize,
        always: &'static [&'static str],
    },
    Lag,
    Gauge(fn(&Snapshot) -> Option<f64>),
}

struct Family {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    shows: Shows,
}

const fn family(name: &'static str, unit: Option<Unit>, help: &'static str, shows: Shows) -> Family {
    Family { name, unit, help, shows }
}

const BYTES: Option<Unit> = Some(Unit::Bytes);
const SECONDS: Option<Unit> = Some(Unit::Seconds);

fn seconds(time: Duration) -> Option<f64> {
    Some(time.as_secs_f64())
}

fn flag(yes: bool) -> Option<f64> {
    Some(if yes { 1.0 } else { 0.0 })
}

/// All that is told of a tenant. `docs/metrics.md` has the same list, and a test holds them together.
static FAMILIES: [Family; 33] = [
    family("polls", None, "Polls that have ended, well or not.", Shows::Count(Count::Polls)),
    family("polls_failed", None, "Polls that could do nothing at all.", Shows::Count(Count::PollsFailed)),
    family("poll", SECONDS, "Time that polls took.", Shows::Seconds(Count::PollNanos)),
    family("rows", None, "Records read, malformed ones included.", Shows::Count(Count::Rows)),
    family("rows_malformed", None, "Records not understood.", Shows::Count(Count::RowsMalformed)),
    family("files_completed", None, "Files read to their end.", Shows::Count(Count::FilesCompleted)),
    family("files_given_up", None, "Files given up before their end.", Shows::Count(Count::FilesGivenUp)),
    family("events", None, "Events delivered.", Shows::Count(Count::Events)),
    family("event", BYTES, "Bytes of events delivered.", Shows::Count(Count::EventBytes)),
    family(
        "events_set_aside",
        None,
        "Events that the output refused, kept aside.",
        Shows::Count(Count::SetAside),
    ),
    family("delivery", SECONDS, "Time that deliveries took.", Shows::Seconds(Count::DeliveryNanos)),
    family("output_failures", None, "Attempts to deliver that failed.", Shows::Count(Count::OutputFailures)),
    family("save_failures", None, "Attempts to save a state that failed.", Shows::Count(Count::SaveFailures)),
    family("request", BYTES, "Bytes of request bodies sent.", Shows::Count(Count::RequestBytes)),
    family("response", BYTES, "Bytes of response bodies read.", Shows::Count(Count::ResponseBytes)),
    family("calls", None, "Calls of the component.", Shows::Count(Count::Calls)),
    family("cpu", SECONDS, "Processor time of the component.", Shows::Seconds(Count::CpuNanos)),
    family(
        "requests",
        None,
        "Requests by class of status, denied, or failed.",
        Shows::Words { label: "status", words: &STATUSES, at: STATUS_AT, always: &["denied", "failed"] },
    ),
    family(
        "problems",
        None,
        "Problems and failures by kind.",
        Shows::Words { label: "kind", words: &KINDS, at: KIND_AT, always: &["auth"] },
    ),
    family(
        "limit_refusals",
        None,
        "What ran into a limit.",
        Shows::Words { label: "limit", words: &LIMITS, at: LIMIT_AT, always: &[] },
    ),
    family("delivery_lag", SECONDS, "From the oldest event of a batch to its delivery.", Shows::Lag),
    family(
        "backlog_files",
        None,
        "Files not read to their end.",
        Shows::Gauge(|s| Some(s.backlog_files as f64)),
    ),
    family("backlog", BYTES, "Bytes still to read.", Shows::Gauge(|s| Some(s.backlog_bytes as f64))),
    family(
        "state",
        BYTES,
        "Size of the state saved last.",
        Shows::Gauge(|s| s.state_bytes.map(|b| b as f64)),
    ),
    family("api_usage_used", None, "Of the service's allowance.", Shows::Gauge(|s| Some(s.api?.0 as f64))),
    family("api_usage_maximum", None, "The service's allowance.", Shows::Gauge(|s| Some(s.api?.1 as f64))),
    family("component_memory", BYTES, "Peak of the instance.", Shows::Gauge(|s| Some(s.memory as f64))),
    family("output_up", None, "Whether the output takes events.", Shows::Gauge(|s| flag(s.output_up))),
    family(
        "undelivered_age",
        SECONDS,
        "How long the output has refused.",
        Shows::Gauge(|s| seconds(s.undelivered)),
    ),
    family("successful_poll_age", SECONDS, "Since a poll succeeded.", Shows::Gauge(|s| seconds(s.poll_age?))),
    family(
        "newest_event_age",
        SECONDS,
        "Of the newest delivered event.",
        Shows::Gauge(|s| seconds(s.event_age?)),
    ),
    family("poll_overdue", SECONDS, "How long a poll has been due.", Shows::Gauge(|s| seconds(s.overdue))),
    family(
        "poll_running",
        SECONDS,
        "How long a poll has been running.",
        Shows::Gauge(|s| seconds(s.running)),
    ),
];

/// The labels of a series.
struct Labels<'a>([Option<(&'a str, &'a str)>; 2]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.iter().flatten().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

impl Family {
    fn kind(&self) -> MetricType {
        match self.shows {
            Shows::Count(_) | Shows::Seconds(_) | Shows::Words { .. } => MetricType::Counter,
            Shows::Lag => MetricType::Histogram,
            Shows::Gauge(_) => MetricType::Gauge,
        }
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>, tenant: Option<&str>, seen: &Snapshot) -> fmt::Result {
        let tenant = tenant.map(|name| ("tenant", name));
        let labels = Labels([tenant, None]);
        match &self.shows {
            Shows::Count(count) => counter(encoder, &labels, seen.count(*count)),
            Shows::Seconds(count) => {
                let seconds = Duration::from_nanos(seen.count(*count)).as_secs_f64();
                encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&seconds, None)
            }
            Shows::Words { label, words, at, always } => {
                words.iter().zip(&seen.counts[*at..]).try_for_each(|(word, count)| {
                    if *count == 0 && !always.contains(word) {
                        return Ok(());
                    }
                    counter(encoder, &Labels([tenant, Some((label, word))]), *count)
                })
            }
            Shows::Lag => {
                let sum = Duration::from_millis(seen.count(Count::LagMillis)).as_secs_f64();
                histogram(encoder, &labels, sum, &LAG, &seen.counts[LAG_AT..])
            }
            Shows::Gauge(read) => match read(seen) {
                Some(value) => encoder.encode_family(&labels)?.encode_gauge(&value),
                None => Ok(()),
            },
        }
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, labels: &Labels<'_>, count: u64) -> fmt::Result {
    encoder.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

fn histogram(
    encoder: &mut MetricEncoder<'_>,
    labels: &Labels<'_>,
    sum: f64,
    bounds: &[f64],
    counts: &[u64],
) -> fmt::Result {
    let buckets: Vec<(f64, u64)> = bounds.iter().copied().zip(counts.iter().copied()).collect();
    let all = counts.iter().take(bounds.len()).sum();
    encoder.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, all, &buckets, None)
}

/// What is left of tenants that were removed, where all are summed: a sum that shrank would look like a restart.
type Gone = [u64; CELLS];

struct Shared {
    per_tenant: bool,
    clock: Arc<dyn Clock>,
    started: Duration,
    tenants: Mutex<BTreeMap<Box<str>, Arc<TenantMetrics>>>,
    gone: Mutex<Gone>,
    // For all tenants together: a histogram for each would be half of all series.
    requests: [AtomicU64; REQUEST.len()],
    request_nanos: AtomicU64,
    audit: Mutex<Option<Audit>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("per_tenant", &self.per_tenant).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            clock,
            tenants: Mutex::default(),
            gone: Mutex::new([0; CELLS]),
            requests: [const { AtomicU64::new(0) }; REQUEST.len()],
            request_nanos: AtomicU64::new(0),
            audit: Mutex::default(),
        });
        let mut registry = Registry::with_prefix("source_host");
        registry.register_collector(Box::new(Arc::clone(&shared)));
        Self { shared, registry: Arc::new(registry) }
    }

    /// The metrics of a tenant; the same as before where it is known. What it runs is a component's name or digest.
    pub fn tenant(&self, tenant: &str, component: &str) -> Arc<TenantMetrics> {
        let label = bounded(tenant);
        let mut tenants = locked(&self.shared.tenants);
        if let Some(known) = tenants.get(&label) {
            *locked(&known.component) = bounded(component);
            return Arc::clone(known);
        }
        let new = Arc::new(TenantMetrics::new(label.clone(), component, &self.shared));
        tenants.insert(label, Arc::clone(&new));
        new
    }

    /// Forgets a tenant and all its series. What it has counted stays in the sums.
    pub fn remove(&self, tenant: &str) {
        let removed = locked(&self.shared.tenants).remove(&bounded(tenant));
        if let (Some(tenant), false) = (removed, self.shared.per_tenant) {
            for (sum, count) in locked(&self.shared.gone).iter_mut().zip(&tenant.counts) {
                *sum = sum.saturating_add(count.load(Relaxed));
            }
        }
    }

    /// Tells how many audit lines were dropped as well.
    pub fn watch_audit(&self, audit: &Audit) {
        *locked(&self.shared.audit) = Some(audit.clone());
    }

    /// Everything, in the text format of `OpenMetrics` 1.0, which Prometheus reads. Takes as long as there are tenants: on a
    /// thread that may block.
    pub fn scrape(&self) -> String {
        let tenants = locked(&self.shared.tenants).len();
        let mut text = String::with_capacity(8 << 10);
        if self.shared.per_tenant {
            text.reserve(tenants.saturating_mul(4 << 10));
        }
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    pub(super) fn standings(&self) -> Vec<Standing> {
        let now = self.shared.clock.now();
        self.shared.all().iter().map(|tenant| tenant.standing(now)).collect()
    }
}

impl Shared {
    fn all(&self) -> Vec<Arc<TenantMetrics>> {
        locked(&self.tenants).values().cloned().collect()
    }

    fn encode_process(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        tenants: &[Arc<TenantMetrics>],
    ) -> fmt::Result {
        let now = self.clock.now();
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
        let counts: [u64; REQUEST.len()] = std::array::from_fn(|at| self.requests[at].load(Relaxed));
        let sum = Duration::from_nanos(self.request_nanos.load(Relaxed)).as_secs_f64();
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
    ) -> fmt::Result {
        let (now, wall) = (self.clock.now(), self.clock.wall());
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
            all.counts = *locked(&self.gone);
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

impl Collector for Shared {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let tenants = self.all();
        self.encode_process(&mut encoder, &tenants)?;
        self.encode_tenants(&mut encoder, &tenants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_bounded_and_stays_another_for_another_name() {
        assert_eq!(&*bounded("acme-eu.prod"), "acme-eu.prod");
        assert_eq!(bounded(&"a".repeat(LONGEST_LABEL)).len(), LONGEST_LABEL);
        let texts = [
            "a".repeat(101),
            "a".repeat(102),
            "a\nb".into(),
            "a b".into(),
            "a\u{202e}b".into(),
            "a~b".into(),
        ];
        let labels: std::collections::BTreeSet<_> = texts.iter().map(|text| bounded(text)).collect();
        assert_eq!(labels.len(), texts.len());
        for label in labels {
            assert!(label.chars().count() <= LONGEST_LABEL + 17, "{label}");
            assert!(!label.contains(char::is_control), "{label}");
        }
    }

    #[test]
    fn nobody_gets_the_label_of_another_by_writing_the_hash_into_a_name() {
        let cut = bounded("a\nb");
        assert_ne!(bounded(&cut), cut);
    }

    #[test]
    fn every_kind_of_problem_has_its_word() {
        for kind in [
            ProblemKind::Config,
            ProblemKind::Auth,
            ProblemKind::Permission,
            ProblemKind::RateLimited,
            ProblemKind::Transient,
            ProblemKind::Data,
            ProblemKind::State,
            ProblemKind::Internal,
        ] {
            assert!(KINDS[..8].contains(&kind.as_str()), "{kind}");
        }
    }
}
