//! Tries each thing that a poll needs, one cheap request each.

use crate::{
    collector::not_configured,
    config::streams::{Cadence, FilesSource},
    files::{lacks_interval, no_hourly_files},
    problem::Problem,
    session::Org,
    soql::{IntervalField, event_log_files, query_path},
};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Whether a thing works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Pass,
    /// It works, but something about it deserves a look.
    Warn,
    /// It does not work.
    Fail,
}

/// The result of trying one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Short and stable, fit to be matched by a program.
    pub name: &'static str,
    /// Whether it works.
    pub verdict: Verdict,
    /// What was seen.
    pub message: String,
    /// What to do, unless it passed.
    pub hint: Option<String>,
}

impl Finding {
    fn new(name: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name, verdict, message: message.into(), hint: None }
    }

    fn failed(name: &'static str, problem: Problem) -> Self {
        Self { name, verdict: Verdict::Fail, message: problem.message, hint: problem.hint }
    }

    /// The only finding before there is a configuration.
    pub fn not_configured() -> Self {
        Self::failed("configuration", not_configured())
    }
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// A clock that is further off than this is worth mending: Salesforce accepts assertions for 3 minutes.
const NOTABLE_SKEW_MS: i64 = 60_000;

/// Tries everything; what depends on something that failed is left out.
pub fn check(org: &mut Org<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match org.get_versions::<Vec<Version>>() {
        Ok(versions) => findings.extend(api_versions(org, &versions)),
        Err(trouble) => {
            findings.push(Finding::failed("instance-url", trouble.problem("the list of API versions")));
            return findings;
        }
    }
    if let Some(skew) = org.session.skew_ms() {
        findings.push(clock(skew));
    }
    match org.sign_in() {
        Ok(()) => findings.push(Finding::new("sign-in", Verdict::Pass, "a token was granted")),
        Err(trouble) => {
            findings.push(Finding::failed("sign-in", trouble.problem("the sign-in")));
            return findings;
        }
    }
    let config = org.config;
    findings.extend(config.streams.files.iter().map(|source| event_log_file(org, source)));
    findings
}

fn api_versions(org: &Org<'_>, versions: &[Version]) -> [Finding; 2] {
    let reachable = format!("{} answers", org.config.instance);
    let wanted = org.config.api_version.as_str();
    let newest = versions.last().map_or("", |version| version.version.as_str());
    let version = if versions.iter().any(|version| version.version == wanted) {
        Finding::new("api-version", Verdict::Pass, format!("the org has version {wanted} of the API"))
    } else {
        let newest = crate::problem::quoted(newest, 20);
        Finding {
            hint: Some(format!("set api_version to \"{newest}\", the newest that it has")),
            ..Finding::new(
                "api-version",
                Verdict::Fail,
                format!("the org does not have version {wanted} of the API"),
            )
        }
    };
    [Finding::new("instance-url", Verdict::Pass, reachable), version]
}

fn clock(skew_ms: i64) -> Finding {
    let seconds = skew_ms.abs() / 1000;
    let direction = if skew_ms > 0 { "behind" } else { "ahead of" };
    let message = format!("this host's clock is {seconds} s {direction} the org's");
    if skew_ms.abs() < NOTABLE_SKEW_MS {
        return Finding::new("clock", Verdict::Pass, message);
    }
    let hint =
        String::from("set it by NTP; sign-in makes up for it, but times in your own logs will not fit");
    Finding { hint: Some(hint), ..Finding::new("clock", Verdict::Warn, message) }
}

/// Lists one file as a poll would.
fn event_log_file(org: &mut Org<'_>, source: &FilesSource) -> Finding {
    let soql = event_log_files(&[&source.event_types], source.cadence, org.now(), IntervalField::Known);
    let path = query_path(&org.config.api_version, &format!("{soql} LIMIT 1"));
    let cadence = source.cadence.name().to_ascii_lowercase();
    let listed = format!("{cadence} event log files can be listed");
    match org.get_json::<IgnoredAny>(&path) {
        Ok(_) => Finding::new("event-log-file", Verdict::Pass, listed),
        Err(trouble) if lacks_interval(&trouble) && source.cadence == Cadence::Daily => {
            Finding::new("event-log-file", Verdict::Pass, listed)
        }
        Err(trouble) if lacks_interval(&trouble) => {
            Finding::failed("event-log-file", no_hourly_files(source))
        }
        Err(trouble) => Finding::failed("event-log-file", trouble.problem("the list of event log files")),
    }
}
