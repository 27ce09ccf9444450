//! The collector as a WASI 0.2 component: the contract of `wit/source.wit` on one side, `collector` on the other.
//!
//! Glue alone. What is about Salesforce stands in `collector`; a component for WASI 0.3 would be a crate beside this one.

mod bindings;
mod http;

use bindings::Plugin;
use bindings::exports::pipeline::source::source::{
    ApiUsage, BacklogDay, Batch, Description, Failure, Finding, Grants, Guest, Problem, ProblemKind, Stats,
    StreamDescription, TimeRange, Verdict,
};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use collector::{Collector, batch, check, problem, secret::Secret};
use std::{cell::RefCell, time::Duration};

thread_local! {
    /// One instance is one configured source.
    static COLLECTOR: RefCell<Collector> = RefCell::new(Collector::new());
}

impl Guest for Plugin {
    fn describe() -> Description {
        let stream = |(name, summary): &(&str, &str)| StreamDescription {
            name: (*name).to_owned(),
            summary: (*summary).to_owned(),
        };
        Description {
            name: collector::NAME.to_owned(),
            version: collector::VERSION.to_owned(),
            config_schema: collector::config_schema(),
            streams: collector::STREAMS.iter().map(stream).collect(),
        }
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        // It holds secrets: it is wiped when it is dropped.
        let config = Secret::new(config);
        match COLLECTOR.with_borrow_mut(|collector| collector.configure(config.reveal())) {
            Ok(collector::Grants { authorities, warnings }) => {
                Ok(Grants { authorities, warnings: warnings.into_iter().map(Problem::from).collect() })
            }
            Err(problems) => Err(problems.into_iter().map(Problem::from).collect()),
        }
    }

    fn check() -> Vec<Finding> {
        let findings =
            COLLECTOR.with_borrow_mut(|collector| collector.check(&mut http::WasiHttp, &WasiClock));
        findings.into_iter().map(Finding::from).collect()
    }

    fn poll(state: Option<String>) -> Result<Batch, Failure> {
        let result = COLLECTOR
            .with_borrow_mut(|collector| collector.poll(&mut http::WasiHttp, &WasiClock, state.as_deref()));
        result.map(Batch::from).map_err(Failure::from)
    }

    fn suspend() -> Option<String> {
        // The copy that goes to the host cannot be wiped here: it goes with the instance.
        COLLECTOR.with_borrow(Collector::suspend).map(|session| session.reveal().to_owned())
    }

    fn resume(session: String) {
        let session = Secret::new(session);
        COLLECTOR.with_borrow_mut(|collector| collector.resume(session.reveal()));
    }

    fn confine(range: TimeRange) -> Result<(), Problem> {
        let confined =
            COLLECTOR.with_borrow_mut(|collector| collector.confine(range.from_ms, range.until_ms));
        confined.map_err(Problem::from)
    }

    fn is_complete(state: String) -> bool {
        COLLECTOR.with_borrow(|collector| collector.is_complete(&state))
    }
}

struct WasiClock;

impl collector::io::Clock for WasiClock {
    fn now_ms(&self) -> i64 {
        let now = wall_clock::now();
        i64::try_from(now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)).unwrap_or(i64::MAX)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }
}

impl From<problem::Kind> for ProblemKind {
    fn from(kind: problem::Kind) -> Self {
        match kind {
            problem::Kind::Config => Self::Config,
            problem::Kind::Auth => Self::Auth,
            problem::Kind::Permission => Self::Permission,
            problem::Kind::RateLimited => Self::RateLimited,
            problem::Kind::Transient => Self::Transient,
            problem::Kind::Data => Self::Data,
            problem::Kind::State => Self::State,
            problem::Kind::Internal => Self::Internal,
        }
    }
}

impl From<problem::Problem> for Problem {
    fn from(problem: problem::Problem) -> Self {
        Self {
            kind: problem.kind.into(),
            stream: problem.stream,
            path: problem.path,
            message: problem.message,
            hint: problem.hint,
            retry_after_ms: problem.retry_after_ms,
        }
    }
}

impl From<check::Finding> for Finding {
    fn from(finding: check::Finding) -> Self {
        let verdict = match finding.verdict {
            check::Verdict::Pass => Verdict::Pass,
            check::Verdict::Warn => Verdict::Warn,
            check::Verdict::Fail => Verdict::Fail,
        };
        let backlog = finding.backlog.into_iter().map(|day| BacklogDay {
            kind: day.kind,
            day: day.day,
            items: day.items,
            bytes: day.bytes,
        });
        Self {
            name: finding.name,
            verdict,
            message: finding.message,
            hint: finding.hint,
            backlog: backlog.collect(),
        }
    }
}

impl From<batch::Batch> for Batch {
    fn from(batch: batch::Batch) -> Self {
        Self {
            events: batch.events,
            state: batch.state,
            next_poll_ms: batch.next_poll_ms,
            problems: batch.problems.into_iter().map(Problem::from).collect(),
            stats: batch.stats.into(),
        }
    }
}

impl From<batch::Failure> for Failure {
    fn from(failure: batch::Failure) -> Self {
        Self { problem: failure.problem.into(), state: failure.state }
    }
}

impl From<batch::Stats> for Stats {
    fn from(stats: batch::Stats) -> Self {
        let fit = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            requests: stats.requests,
            token_requests: stats.token_requests,
            bytes_received: fit(stats.bytes_received),
            bytes_read: fit(stats.bytes_read),
            rows_read: stats.rows_read,
            rows_malformed: stats.rows_malformed,
            files_completed: stats.files_completed,
            files_given_up: stats.files_given_up,
            api_usage: stats.api_usage.map(|(used, maximum)| ApiUsage { used, maximum }),
            backlog_files: stats.backlog_files,
            backlog_bytes: stats.backlog_bytes,
        }
    }
}
