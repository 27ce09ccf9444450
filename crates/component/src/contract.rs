//! What the collector says, in the words of the contract. Both components have this file: their types are the same, generated
//! for each of them.

use crate::bindings::contract::{
    ApiUsage, BacklogDay, Batch, Description, Failure, Finding, Grants, Problem, ProblemKind, Stats,
    StreamDescription, Verdict,
};
use collector::{batch, check, problem};

pub(crate) fn description() -> Description {
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

pub(crate) fn grants(
    configured: Result<collector::Grants, Vec<problem::Problem>>,
) -> Result<Grants, Vec<Problem>> {
    match configured {
        Ok(collector::Grants { authorities, warnings }) => {
            Ok(Grants { authorities, warnings: warnings.into_iter().map(Problem::from).collect() })
        }
        Err(problems) => Err(problems.into_iter().map(Problem::from).collect()),
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
