//! What a loop tells of one tenant.
//!
//! Why a label never breaks a scrape: a tenant's name comes from a file's name and may hold anything. It is cut to
//! [`LONGEST_LABEL`], control characters become spaces, and a name that was changed gets a hash behind it, so that two names
//! stay two series. Quotes are escaped by the encoder. All other labels are words of `families`.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use source_host::{Batch, CallRecord, Error, Limits, Observer, ProblemKind, RequestRecord, printable};

use super::clock::Clock;
use super::families::{
    CELLS, Count, DENIED, FAILED, KIND_AT, KINDS, LAG, LAG_AT, LIMIT_AT, LIMITS, REQUEST, STATUS_AT,
    Snapshot, bucket, index_of,
};

/// The longest text of a label, in characters. A hash may follow.
const LONGEST_LABEL: usize = 100;

/// A number that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// What all tenants have in common: the time, and the histogram of requests, which would be a quarter of all series if each
/// tenant had its own.
pub(super) struct Common {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) requests: [AtomicU64; REQUEST.len()],
    pub(super) request_nanos: AtomicU64,
}

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
    pub(super) label: Box<str>,
    pub(super) component: Mutex<Box<str>>,
    common: Arc<Common>,
    pub(super) counts: [AtomicU64; CELLS],
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
    pub(super) open: AtomicBool,
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
    pub(super) fn new(label: Box<str>, component: &str, common: &Arc<Common>) -> Self {
        let tenant = Self {
            label,
            component: Mutex::new(bounded(component)),
            common: Arc::clone(common),
            counts: [const { AtomicU64::new(0) }; CELLS],
            backlog_files: AtomicU64::new(0),
            backlog_bytes: AtomicU64::new(0),
            api_used: AtomicU64::new(UNKNOWN),
            api_maximum: AtomicU64::new(UNKNOWN),
            state_bytes: AtomicU64::new(UNKNOWN),
            peak_memory: AtomicU64::new(0),
            call_time: AtomicU64::new(millis(Limits::default().call_time)),
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
        let now = common.clock.now();
        tenant.due.set(now);
        // And the age of its last success is its own until there is one, so that one that never succeeds is seen.
        tenant.polled.set(now);
        tenant
    }

    fn add(&self, count: Count, by: u64) {
        self.cell(count as usize, by);
    }

    fn cell(&self, at: usize, by: u64) {
        self.counts[at].fetch_add(by, Relaxed);
    }

    fn now(&self) -> Duration {
        self.common.clock.now()
    }

    /// How long a call may take: `Limits::call_time`. A poll that runs for twice as long is stuck.
    pub fn call_time(&self, limit: Duration) {
        self.call_time.store(millis(limit), Relaxed);
    }

    /// A poll begins, or has ended well or not. What waits for a slice does not run: it is due.
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
        let at = index_of(&KINDS, kind);
        self.cell(KIND_AT + at, 1);
        u8::try_from(at).unwrap_or_default()
    }

    /// Events are safe. The output has recovered with that.
    pub fn delivered(&self, delivered: &Delivered) {
        self.add(Count::Events, delivered.events);
        self.add(Count::EventBytes, delivered.bytes);
        self.add(Count::SetAside, delivered.set_aside);
        self.add(Count::DeliveryNanos, nanos(delivered.took));
        let wall = self.common.clock.wall();
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

    /// Another host may go on with it: nothing is due here, and nothing is known of how it is. What was counted stays.
    pub fn left(&self) {
        for moment in [&self.running, &self.due, &self.polled, &self.failing, &self.output_failing] {
            moment.clear();
        }
        self.open.store(false, Relaxed);
    }

    /// What its component has used of the processor.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.counts[Count::CpuNanos as usize].load(Relaxed))
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

    pub(super) fn snapshot(&self, now: Duration, wall: SystemTime) -> Snapshot {
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
        self.cell(STATUS_AT + status, 1 + request.untold_before);
        self.add(Count::RequestBytes, request.bytes_sent);
        self.add(Count::ResponseBytes, request.bytes_received);
        if status != DENIED {
            self.common.request_nanos.fetch_add(nanos(request.duration), Relaxed);
            self.common.requests[bucket(&REQUEST, request.duration)].fetch_add(1, Relaxed);
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
        self.cell(LIMIT_AT + index_of(&LIMITS, limit), 1);
    }
}

/// The word for an error, as `problems_total` has it.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Failure(failure) => failure.problem.kind.as_str(),
        Error::Configuration(_) => "config",
        Error::Unreadable { .. } | Error::NotAdmitted { .. } => "not-admitted",
        Error::Setup(_) => "setup",
        Error::Memory { .. } | Error::TotalMemory { .. } | Error::SharedMemory => "memory",
        Error::Timeout { .. } => "time",
        Error::CpuTime { .. } => "cpu",
        Error::Trap { .. } | Error::Spent => "trap",
        Error::Refused(_) => "answer",
        _ => "other",
    }
}

/// Text as a label: bounded, without control characters, and still another for another text.
pub(super) fn bounded(text: &str) -> Box<str> {
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

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
