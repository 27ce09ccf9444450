//! Tries each thing that a poll needs, one cheap request each.
//!
//! What is not needed by the configuration is not tried, and what depends on something that failed is left out. A check
//! minds no share of the allowance: who asks wants to know.

use crate::{
    config::{
        lookup::Lookup,
        streams::{Cadence, EventTypes, FilesSource, ObjectSource},
    },
    files::{lacks_interval, no_hourly_files},
    org::{
        errors::needs,
        quota::written,
        session::{Org, RequestError, Version, nearest_version, version_problem},
        soql::{query_all_path, query_path, records},
    },
    problem::{Problem, not_configured},
};
use documents::quoted;
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

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
    /// Short and stable, fit to be matched by a program: `sign-in`; of a stream or an address, where it stands in the
    /// configuration.
    pub name: String,
    /// Whether it works.
    pub verdict: Verdict,
    /// What was seen.
    pub message: String,
    /// What to do, unless it passed.
    pub hint: Option<String>,
    /// What there is to collect, where the configuration bounds the time.
    pub backlog: Vec<Backlog>,
}

/// What there is to collect of one kind on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The type of event log files, or the name of the object.
    pub kind: String,
    /// `2026-01-02`, in UTC; none = all days together.
    pub day: Option<String>,
    /// How many files or records; none = the org does not tell.
    pub items: Option<u32>,
    /// Bytes of the files.
    pub bytes: Option<u64>,
}

impl Finding {
    fn new(name: &str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict, message: message.into(), hint: None, backlog: Vec::new() }
    }

    /// One that passes.
    pub fn pass(name: &str, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Pass, message)
    }

    /// One that deserves a look.
    pub fn warn(name: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::new(name, Verdict::Warn, message) }
    }

    /// One that fails.
    pub fn fail(name: &str, problem: Problem) -> Self {
        Self { hint: problem.hint, ..Self::new(name, Verdict::Fail, problem.message) }
    }

    /// The only finding before there is a configuration.
    pub fn not_configured() -> Self {
        Self::fail("configuration", not_configured())
    }
}

/// A clock that is further off than this is worth mending: Salesforce accepts assertions for 3 minutes.
const NOTABLE_SKEW_MS: i64 = 60_000;
/// How far back to look for files, to tell which there are. A daily file comes once a day.
const SEEN: Duration = Duration::from_secs(2 * 24 * 3600);
/// How much of an object's time is asked for.
const GLANCE: Duration = Duration::from_secs(60);

/// Tries everything.
pub fn check(org: &mut Org<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match org.get_versions() {
        Ok(versions) => {
            findings.push(Finding::pass("instance-url", format!("{} answers", org.config.instance)));
            findings.push(api_version(org, &versions));
        }
        Err(error) => {
            findings.push(Finding::fail("instance-url", error.problem("the list of API versions")));
            return findings;
        }
    }
    findings.extend(org.config.address_warnings().into_iter().map(address));
    findings.extend(org.session.skew_ms().map(clock));
    if let Err(error) = org.sign_in() {
        findings.push(Finding::fail("sign-in", error.problem("the sign-in")));
        return findings;
    }
    let auth = &org.config.auth;
    findings.push(Finding::pass("sign-in", format!("{} grants a token ({})", auth.token_host, auth.flow())));
    let enabled =
        org.api_version().and_then(|version| org.get_json(&format!("/services/data/v{version}/limits")));
    findings.extend(org_address(org));
    if let Err(error) = enabled {
        findings.push(Finding::fail("api-enabled", error.problem("a request to the API")));
        return findings;
    }
    findings.push(Finding::pass("api-enabled", "the API answers this user"));
    findings.extend(quota(org));
    let streams = &org.config.streams;
    if !streams.files.is_empty() {
        findings.extend(event_log_files(org, &streams.files));
    }
    findings.extend(streams.objects.iter().map(|source| object(org, source)));
    let lookups: Vec<&Lookup> = org.config.lookups.all().collect();
    findings.extend(lookups.into_iter().map(|lookup| names(org, lookup)));
    findings
}

fn api_version(org: &Org<'_>, versions: &[Version]) -> Finding {
    let name = "api-version";
    match &org.config.api_version {
        None => match nearest_version(versions, None) {
            Some(newest) => {
                Finding::pass(name, format!("the newest version of the API is {}", quoted(newest, 20)))
            }
            None => Finding::fail(name, version_problem(versions, "latest")),
        },
        Some(wanted) if versions.iter().any(|known| *known.version == **wanted) => {
            Finding::pass(name, format!("the org has version {wanted} of the API"))
        }
        Some(wanted) => Finding::fail(name, version_problem(versions, wanted)),
    }
}

/// What looks wrong with where the org is, or whose users sign in where. It comes before the sign-in, which it may explain.
fn address(warning: Problem) -> Finding {
    let name = warning.path.unwrap_or_default();
    Finding::warn(&name, warning.message, warning.hint.unwrap_or_default())
}

fn clock(skew_ms: i64) -> Finding {
    let seconds = skew_ms.abs() / 1000;
    let direction = if skew_ms > 0 { "behind" } else { "ahead of" };
    let message = format!("this host's clock is {seconds} s {direction} the org's");
    if skew_ms.abs() < NOTABLE_SKEW_MS {
        return Finding::pass("clock", message);
    }
    Finding::warn(
        "clock",
        message,
        "set it by NTP; sign-in makes up for it, but times in your own logs will not fit",
    )
}

/// Whether the token answer names the address that is configured.
fn org_address(org: &Org<'_>) -> Option<Finding> {
    let (told, follows) = org.session.told()?;
    let used = if follows { "requests go there" } else { "requests go to instance_url all the same" };
    let configured = &org.config.instance;
    let message =
        format!("Salesforce says that the org is at {told}, and instance_url is {configured}; {used}");
    Some(Finding::warn("org-address", message, format!("set instance_url to \"{told}\" if that is your org")))
}

fn quota(org: &Org<'_>) -> Option<Finding> {
    let usage = org.session.api_usage()?;
    let share = org.config.quota_share;
    if usage.is_beyond(share) {
        let problem = usage.problem(share);
        return Some(Finding::warn("api-quota", problem.message, problem.hint.unwrap_or_default()));
    }
    let message = format!(
        "{} of {} API requests of 24 hours are used; this source stops at {}",
        usage.used,
        usage.maximum,
        written(share)
    );
    Some(Finding::pass("api-quota", message))
}

/// Event type and interval of a file.
type Seen = Vec<(String, Option<String>)>;

/// Looks at the files of the last days, and compares them with what is to be collected.
fn event_log_files(org: &mut Org<'_>, sources: &[FilesSource]) -> Vec<Finding> {
    let name = "event-log-file";
    let (seen, knows_interval) = match seen_files(org, ", Interval") {
        Err(error) if lacks_interval(&error) => (seen_files(org, ""), false),
        seen => (seen, true),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return vec![Finding::fail(name, error.problem("the list of event log files"))],
    };
    let of = |cadence: Cadence| {
        let daily = cadence == Cadence::Daily;
        let is = |interval: Option<&str>| interval.map_or(daily, |interval| interval == cadence.name());
        let files = seen.iter().filter(|(_, interval)| is(interval.as_deref()));
        files.map(|(event_type, _)| quoted(event_type, 60)).collect::<BTreeSet<String>>()
    };
    let (hourly, daily) = (of(Cadence::Hourly), of(Cadence::Daily));
    let mut findings = vec![if seen.is_empty() {
        Finding::warn(
            name,
            "event log files can be listed, and there is none of the last two days",
            "a new org makes its first daily files after a day; without Event Monitoring there are only a few types",
        )
    } else {
        let (hourly, daily) = (listed(&hourly), listed(&daily));
        Finding::pass(name, format!("files of the last two days: hourly {hourly}; daily {daily}"))
    }];
    if let Some(wants) = sources.iter().find(|source| source.cadence == Cadence::Hourly) {
        let name = "hourly-files";
        findings.push(if !knows_interval {
            Finding::fail(name, no_hourly_files(wants))
        } else if hourly.is_empty() {
            let hint = "they come with the Event Monitoring add-on, and where something happened; set log_file_interval to \
                        \"daily\" if the org has none";
            Finding::warn(name, "there is no hourly file of the last two days", hint)
        } else {
            Finding::pass(name, "the org makes hourly files")
        });
    }
    for source in sources.iter().filter(|source| knows_interval || source.cadence == Cadence::Daily) {
        findings.push(files_of(source, if source.cadence == Cadence::Hourly { &hourly } else { &daily }));
    }
    findings
}

fn seen_files(org: &mut Org<'_>, interval: &str) -> Result<Seen, RequestError> {
    let since = org.now().before(SEEN);
    // Without a condition on the sequence, Salesforce answers daily files alone.
    let soql = format!(
        "SELECT EventType{interval} FROM EventLogFile WHERE Sequence >= 0 AND CreatedDate >= {since} ORDER BY CreatedDate \
         DESC LIMIT 2000"
    );
    let path = query_path(&org.api_version()?, &soql);
    let page = org.get_json(&path)?;
    let text = |record: &Value, key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
    let records = page.get("records").and_then(Value::as_array).into_iter().flatten();
    Ok(records.filter_map(|record| Some((text(record, "EventType")?, text(record, "Interval")))).collect())
}

/// Whether there are files of the types that a stream collects.
fn files_of(source: &FilesSource, there: &BTreeSet<String>) -> Finding {
    let name = format!("streams.{}.event_log_file", source.stream);
    let cadence = source.cadence.name().to_ascii_lowercase();
    let found = there.iter().filter(|event_type| source.event_types.include(event_type)).count();
    match &source.event_types {
        EventTypes::Only(wanted) => {
            let missing: BTreeSet<String> = wanted.difference(there).cloned().collect();
            if missing.is_empty() {
                return Finding::pass(&name, format!("there are {cadence} files of each of its types"));
            }
            let hint =
                "there is a file only where something happened; if it did, the org does not have the type";
            Finding::warn(
                &name,
                format!("no {cadence} file of the last two days is of {}", listed(&missing)),
                hint,
            )
        }
        EventTypes::AllBut(_) => Finding::pass(&name, format!("there are {cadence} files of {found} types")),
    }
}

/// Names, as many as fit a line.
fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return String::from("none");
    }
    quoted(&names.iter().map(String::as_str).collect::<Vec<_>>().join(", "), 1200)
}

/// Asks for a record of an object with names.
fn names(org: &mut Org<'_>, lookup: &Lookup) -> Finding {
    let (name, object) = ("lookup", lookup.object);
    let soql = lookup.glance();
    let answer = org.api_version().and_then(|version| org.get_json(&query_all_path(&version, &soql)));
    match answer {
        Ok(_) => Finding::pass(name, format!("names can be asked of {object}")),
        Err(error) => {
            let problem = error.problem_with(&format!("the query for names of {object}"), object);
            Finding::warn(
                name,
                format!("{}; ids stay ids", problem.message),
                format!("{}, or take '{}' out of lookup", needs(object), lookup.word),
            )
        }
    }
}

/// Asks for a minute of an object, as a poll would.
fn object(org: &mut Org<'_>, source: &ObjectSource) -> Finding {
    let name = format!("streams.{}.object", source.stream);
    let until = org.now().before(source.settle);
    let mut ask = |source: &ObjectSource| {
        let soql = records(source, until.before(GLANCE), None, until, 1);
        org.api_version().and_then(|version| org.get_json(&query_path(&version, &soql)))
    };
    let answer = ask(source);
    if answer.is_err()
        && let Some(alone) = source.alone()
        && ask(&alone).is_ok()
    {
        return Finding::warn(
            &name,
            format!("{} can be queried, but not the names of the users in it", source.object),
            "give the user the permission 'View All Users', or leave it at that: ids are there",
        );
    }
    match answer {
        Ok(_) => Finding::pass(&name, format!("{} can be queried", source.object)),
        Err(error) => {
            let what = format!("the query of {}", source.object);
            Finding::fail(&name, error.problem_with(&what, &source.object))
        }
    }
}
