//! What is counted of a tenant, and the series that show it.
//!
//! `docs/metrics.md` has the same list, and a test holds them together.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// What is counted for each tenant. The index of each in [`Snapshot::counts`].
#[derive(Clone, Copy)]
pub(super) enum Count {
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

pub(super) const STATUSES: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "denied", "failed"];
pub(super) const DENIED: usize = 5;
pub(super) const FAILED: usize = 6;
pub(super) const KINDS: [&str; 16] = [
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
pub(super) const LIMITS: [&str; 13] = [
    "requests",
    "connections",
    "request-bytes",
    "response-bytes",
    "response-headers",
    "request-time",
    "wait",
    "problems",
    "memory",
    "time",
    "cpu",
    "answer",
    "other",
];
/// Upper bounds in seconds. Log files of an hour come after the hour; a backlog may be days old.
pub(super) const LAG: [f64; 9] =
    [10.0, 60.0, 300.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 86_400.0, f64::INFINITY];
pub(super) const REQUEST: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, f64::INFINITY];

pub(super) const STATUS_AT: usize = Count::LagMillis as usize + 1;
pub(super) const KIND_AT: usize = STATUS_AT + STATUSES.len();
pub(super) const LIMIT_AT: usize = KIND_AT + KINDS.len();
pub(super) const LAG_AT: usize = LIMIT_AT + LIMITS.len();
pub(super) const CELLS: usize = LAG_AT + LAG.len();

/// Where a word stands; the last is for all others.
pub(super) fn index_of(words: &[&str], word: &str) -> usize {
    words.iter().position(|known| *known == word).unwrap_or(words.len() - 1)
}

pub(super) fn bucket(bounds: &[f64], value: Duration) -> usize {
    bounds.iter().position(|bound| value.as_secs_f64() <= *bound).unwrap_or(bounds.len() - 1)
}

/// What one tenant, or all together, looked like at one moment.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) counts: [u64; CELLS],
    pub(super) backlog_files: u64,
    pub(super) backlog_bytes: u64,
    pub(super) state_bytes: Option<u64>,
    pub(super) api: Option<(u64, u64)>,
    pub(super) memory: u64,
    pub(super) output_up: bool,
    pub(super) save_failing: bool,
    pub(super) undelivered: Duration,
    pub(super) poll_age: Option<Duration>,
    pub(super) event_age: Option<Duration>,
    pub(super) overdue: Duration,
    pub(super) running: Duration,
}

impl Snapshot {
    pub(super) fn none() -> Self {
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
    pub(super) fn merge(&mut self, other: &Self) {
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

pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
    shows: Shows,
}

const fn family(name: &'static str, unit: Option<Unit>, help: &'static str, shows: Shows) -> Family {
    Family { name, unit, help, shows }
}

const BYTES: Option<Unit> = Some(Unit::Bytes);
pub(super) const SECONDS: Option<Unit> = Some(Unit::Seconds);

fn seconds(time: Duration) -> Option<f64> {
    Some(time.as_secs_f64())
}

fn flag(yes: bool) -> Option<f64> {
    Some(if yes { 1.0 } else { 0.0 })
}

/// All that is told of a tenant. `docs/metrics.md` has the same list, and a test holds them together.
pub(super) static FAMILIES: [Family; 33] = [
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
pub(super) struct Labels<'a>(pub(super) [Option<(&'a str, &'a str)>; 2]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.iter().flatten().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

impl Family {
    pub(super) fn kind(&self) -> MetricType {
        match self.shows {
            Shows::Count(_) | Shows::Seconds(_) | Shows::Words { .. } => MetricType::Counter,
            Shows::Lag => MetricType::Histogram,
            Shows::Gauge(_) => MetricType::Gauge,
        }
    }

    pub(super) fn encode(
        &self,
        encoder: &mut MetricEncoder<'_>,
        tenant: Option<&str>,
        seen: &Snapshot,
    ) -> fmt::Result {
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

pub(super) fn histogram(
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
