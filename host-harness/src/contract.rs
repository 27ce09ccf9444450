//! What a source says, as plain Rust types.
//!
//! They mirror `wit/source.wit` one to one and serialize to JSON with the same names in snake case. All text meant for
//! people has passed [`printable`] on its way in: a component is not trusted, and a message with control characters in
//! it could forge log lines or send escape sequences to the operator's terminal.

use std::fmt;

use serde::Serialize;

use crate::account::Held;
use crate::bindings::exports::pipeline::source::source as wit;

/// The longest message, hint, path or name kept of what a component says, in characters.
const LONGEST_TEXT: usize = 4096;

/// Who must act on a problem, and so what a host should do about it.
///
/// ```
/// use source_host::ProblemKind;
///
/// assert!(ProblemKind::RateLimited.passes() && ProblemKind::Config.is_users());
/// // Somebody has to act at the service: neither waiting nor another configuration helps.
/// assert!(!ProblemKind::Permission.passes() && !ProblemKind::Permission.is_users());
/// assert_eq!(ProblemKind::RateLimited.to_string(), "rate-limited");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The configuration is wrong. Polling again will not help.
    Config,
    /// The credentials were refused.
    Auth,
    /// Signed in, but not allowed to read something.
    Permission,
    /// The service asks for patience.
    RateLimited,
    /// The network or the service failed in a way that passes.
    Transient,
    /// The service sent something that is not what it promises. Reported and stepped around.
    Data,
    /// The state is not one that this source wrote, or a newer version wrote it.
    State,
    /// A mistake in the component.
    Internal,
}

impl ProblemKind {
    /// The name as the contract spells it: `rate-limited`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::RateLimited => "rate-limited",
            Self::Transient => "transient",
            Self::Data => "data",
            Self::State => "state",
            Self::Internal => "internal",
        }
    }

    /// Whether waiting is the answer, with nobody having to act.
    pub fn passes(self) -> bool {
        matches!(self, Self::RateLimited | Self::Transient)
    }

    /// Whether it lies with what the operator gave: the configuration or the state. Polling again cannot help.
    pub fn is_users(self) -> bool {
        matches!(self, Self::Config | Self::State)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that went wrong, in words for a person.
///
/// ```
/// use source_host::{Problem, ProblemKind};
///
/// let mut problem = Problem::new(ProblemKind::Config, "is missing");
/// problem.path = Some("auth.user".into());
/// problem.hint = Some("add it".into());
/// assert_eq!(problem.to_string(), "auth.user: is missing (add it)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Who must act.
    pub kind: ProblemKind,
    /// The stream it happened in, if in one.
    pub stream: Option<String>,
    /// Where in the configuration, as dotted keys: `auth.private_key`.
    pub path: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do about it, where something can be done.
    pub hint: Option<String>,
    /// Milliseconds after which trying again makes sense.
    pub retry_after_ms: Option<u32>,
}

impl Problem {
    /// One of which no more is known.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, stream: None, path: None, message, hint: None, retry_after_ms: None }
    }
}

impl fmt::Display for Problem {
    /// `path: message (hint)`, or with the stream in front where there is no path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, &self.stream) {
            (Some(path), _) => write!(f, "{path}: ")?,
            (None, Some(stream)) => write!(f, "{stream}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// A stream of events that the source can emit. One of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamDescription {
    /// As it stands in the configuration and in each event's `data_stream.dataset`.
    pub name: String,
    /// What its events are. One sentence.
    pub summary: String,
}

/// What the source is, as [`crate::Source::describe`] returns it.
///
/// ```
/// /// The keys of a configuration, for a form that asks for them.
/// fn keys(description: &source_host::Description) -> Vec<String> {
///     let schema: serde_json::Value = serde_json::from_str(&description.config_schema).unwrap_or_default();
///     schema["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
/// }
/// let mut description = source_host::Description::new("logs", "1.0.0");
/// description.config_schema = r#"{"properties": {"url": {}}}"#.into();
/// assert_eq!(keys(&description), ["url"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The source's name.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// JSON Schema (draft 2020-12) of the document that `configure` takes. As the component gave it.
    pub config_schema: String,
    /// The streams it can emit.
    pub streams: Vec<StreamDescription>,
}

impl Description {
    /// Of a source without a configuration and without streams.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let (name, version) = (name.into(), version.into());
        Self { name, version, config_schema: "{}".into(), streams: Vec::new() }
    }
}

/// What a configuration needs of the host, as [`crate::Source::configure`] returns it.
///
/// ```no_run
/// # async fn example(mut source: source_host::Source) -> Result<(), source_host::Error> {
/// let grants = source.configure(r#"{"url": "https://logs.example.com"}"#).await?;
/// assert_eq!(grants.authorities, ["logs.example.com"]);
/// for warning in grants.warnings {
///     println!("{warning}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Grants {
    /// The authorities (`host` or `host:port`) it will contact. What is not in [`crate::Egress`] as well stays denied.
    pub authorities: Vec<String>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// The outcome of one check: part of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It works.
    Pass,
    /// It works, but something is probably not meant.
    Warn,
    /// A poll cannot do without it, and it does not work.
    Fail,
}

/// The result of trying one thing that a poll needs, as [`crate::Source::check`] returns it.
///
/// ```
/// use source_host::{Finding, Verdict};
///
/// fn is_ready(findings: &[Finding]) -> bool {
///     findings.iter().all(|finding| finding.verdict != Verdict::Fail)
/// }
///
/// let refused = Finding::new("sign-in", Verdict::Fail, "refused");
/// assert!(is_ready(&[]) && !is_ready(&[refused]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Short and stable, fit to be matched by a program: `sign-in`.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was seen.
    pub message: String,
    /// What to do, unless it passed.
    pub hint: Option<String>,
    /// What there is to collect, where the configuration or [`crate::Source::confine`] bounds the time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backlog: Vec<BacklogDay>,
}

impl Finding {
    /// One of which no more is known.
    pub fn new(name: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        Self { name, verdict, message, hint: None, backlog: Vec::new() }
    }
}

/// What there is to collect of one kind on one day: part of a [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BacklogDay {
    /// What the source calls it, such as the type of an event log file.
    pub kind: String,
    /// `2026-01-02`, in UTC; none = of all days together.
    pub day: Option<String>,
    /// How many files or records there are; none = the service does not tell.
    pub items: Option<u32>,
    /// Bytes of them, where the service tells.
    pub bytes: Option<u64>,
}

/// How much of the service's allowance is used, as the service last told. Part of [`Stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApiUsage {
    /// Used so far.
    pub used: u32,
    /// Allowed at most.
    pub maximum: u32,
}

impl ApiUsage {
    /// So much of so much.
    pub fn new(used: u32, maximum: u32) -> Self {
        Self { used, maximum }
    }
}

/// What one poll did. Counts are of this poll alone; the last three describe the present.
///
/// ```
/// use source_host::{ApiUsage, Stats};
///
/// let mut stats = Stats::default();
/// stats.api_usage = Some(ApiUsage::new(9_000, 15_000));
/// let share = stats.api_usage.map(|usage| f64::from(usage.used) / f64::from(usage.maximum));
/// assert_eq!(share, Some(0.6));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// HTTP requests sent, token requests included.
    pub requests: u32,
    /// Requests for a token among them.
    pub token_requests: u32,
    /// Bytes of response bodies as they came over the wire.
    pub bytes_received: u32,
    /// Bytes of log content read, after decompression.
    pub bytes_read: u32,
    /// Records read from files or query answers, malformed ones included.
    pub rows_read: u32,
    /// Records that could not be understood.
    pub rows_malformed: u32,
    /// Files read to their end.
    pub files_completed: u32,
    /// Files given up before their end, each named in a problem: the service does not have them any more.
    pub files_given_up: u32,
    /// Absent until the service has told.
    pub api_usage: Option<ApiUsage>,
    /// Files known of and not read to their end.
    pub backlog_files: u32,
    /// Bytes of them still to read, after decompression.
    pub backlog_bytes: u64,
}

/// The next events, and where they lead to, as [`crate::Source::poll`] returns them. It is taken out of
/// [`crate::Limits::total_memory`] and [`crate::MemoryBudget`] until it and all copies of it are dropped, whoever has the events.
///
/// ```no_run
/// # async fn example(mut source: source_host::Source, state: Option<&str>) -> Result<(), source_host::Error> {
/// let batch = source.poll(state).await?;
/// for event in &batch.events {
///     // One line of NDJSON each.
///     println!("{event}");
/// }
/// // Something went wrong in one stream; the others are in the batch.
/// for problem in &batch.problems {
///     eprintln!("{problem}");
/// }
/// if batch.next_poll_ms == 0 {
///     eprintln!("more is ready, behind {} files", batch.stats.backlog_files);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Batch {
    /// Each is one JSON object without line breaks; the host has checked that.
    pub events: Vec<String>,
    /// To be stored once the events are safe, and passed to the next poll. Opaque.
    pub state: String,
    /// When to poll again, in milliseconds from now. 0 = more is ready now.
    pub next_poll_ms: u32,
    /// What went wrong in single streams while others went on.
    pub problems: Vec<Problem>,
    /// What the poll did.
    pub stats: Stats,
    /// What is taken of the source's account until all copies are dropped.
    #[serde(skip)]
    pub(crate) held: Held,
}

impl Batch {
    /// Bytes that it holds.
    pub(crate) fn size(&self) -> u64 {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let problem = |problem: &Problem| {
            let texts = [&problem.stream, &problem.path, &problem.hint].map(text);
            size_of::<Problem>() + problem.message.len() + texts.iter().sum::<usize>()
        };
        let events: usize = self.events.iter().map(|event| size_of::<String>() + event.len()).sum();
        let problems: usize = self.problems.iter().map(problem).sum();
        (events + self.state.len() + problems) as u64
    }
}

/// A poll that could do nothing at all: what [`crate::Error::Failure`] holds.
///
/// ```no_run
/// # fn save(_: &str) {}
/// # async fn example(mut source: source_host::Source, state: Option<&str>) -> Result<(), source_host::Error> {
/// use source_host::Error;
///
/// match source.poll(state).await {
///     Err(Error::Failure(failure)) if failure.problem.kind.passes() => {
///         // So that a restart does not ask again at once.
///         if let Some(state) = &failure.state {
///             save(state);
///         }
///     }
///     other => drop(other?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub problem: Problem,
    /// The old position plus the back-off, where waiting is part of the answer. Worth storing, never necessary.
    pub state: Option<String>,
}

impl Failure {
    /// For a problem, with a state that is worth storing, if there is one.
    pub fn new(problem: Problem, state: Option<String>) -> Self {
        Self { problem, state }
    }
}

/// Characters that do something on a terminal other than to be seen: control characters, and those that reorder text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes JSON with texts of an untrusted component fit for a terminal: what [`printable`] takes out is written as `\u202e` and the
/// like, so that it stays the same document. Line breaks between its parts stay as they are.
///
/// ```
/// let json = serde_json::to_string(&["\u{9b}2J \u{202e}"]).unwrap();
/// assert_eq!(source_host::printable_json(&json), r#"["\u009b2J \u202e"]"#);
/// ```
pub fn printable_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        // Within a text JSON has no line break; all others stand in texts, and none of them needs two halves.
        match is_unprintable(c) && c != '\n' {
            true => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => clean.push(c),
        }
    }
    clean
}

/// Makes text of an untrusted component fit for a terminal or a log: control characters (line breaks, escape sequences)
/// and invisible characters that reorder text become spaces, and text beyond 4096 characters is cut.
///
/// ```
/// let text = source_host::printable("done\n2026-01-01 ERROR forged".to_owned());
/// assert_eq!(text, "done 2026-01-01 ERROR forged");
/// ```
pub fn printable(text: String) -> String {
    let bad = is_unprintable;
    if text.len() <= LONGEST_TEXT && !text.chars().any(bad) {
        return text;
    }
    let mut clean: String = text.chars().take(LONGEST_TEXT).map(|c| if bad(c) { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        clean.push('…');
    }
    clean
}

impl From<wit::ProblemKind> for ProblemKind {
    fn from(kind: wit::ProblemKind) -> Self {
        match kind {
            wit::ProblemKind::Config => Self::Config,
            wit::ProblemKind::Auth => Self::Auth,
            wit::ProblemKind::Permission => Self::Permission,
            wit::ProblemKind::RateLimited => Self::RateLimited,
            wit::ProblemKind::Transient => Self::Transient,
            wit::ProblemKind::Data => Self::Data,
            wit::ProblemKind::State => Self::State,
            wit::ProblemKind::Internal => Self::Internal,
        }
    }
}

impl From<wit::Problem> for Problem {
    fn from(problem: wit::Problem) -> Self {
        Self {
            kind: problem.kind.into(),
            stream: problem.stream.map(printable),
            path: problem.path.map(printable),
            message: printable(problem.message),
            hint: problem.hint.map(printable),
            retry_after_ms: problem.retry_after_ms,
        }
    }
}

impl From<wit::Description> for Description {
    fn from(description: wit::Description) -> Self {
        Self {
            name: printable(description.name),
            version: printable(description.version),
            config_schema: description.config_schema,
            streams: description
                .streams
                .into_iter()
                .map(|s| StreamDescription { name: printable(s.name), summary: printable(s.summary) })
                .collect(),
        }
    }
}

impl From<wit::Grants> for Grants {
    fn from(grants: wit::Grants) -> Self {
        Self {
            authorities: grants.authorities.into_iter().map(printable).collect(),
            warnings: problems(grants.warnings),
        }
    }
}

impl From<wit::Finding> for Finding {
    fn from(finding: wit::Finding) -> Self {
        Self {
            name: printable(finding.name),
            verdict: match finding.verdict {
                wit::Verdict::Pass => Verdict::Pass,
                wit::Verdict::Warn => Verdict::Warn,
                wit::Verdict::Fail => Verdict::Fail,
            },
            message: printable(finding.message),
            hint: finding.hint.map(printable),
            backlog: finding.backlog.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wit::BacklogDay> for BacklogDay {
    fn from(day: wit::BacklogDay) -> Self {
        Self { kind: printable(day.kind), day: day.day.map(printable), items: day.items, bytes: day.bytes }
    }
}

impl From<wit::Stats> for Stats {
    fn from(stats: wit::Stats) -> Self {
        Self {
            requests: stats.requests,
            token_requests: stats.token_requests,
            bytes_received: stats.bytes_received,
            bytes_read: stats.bytes_read,
            rows_read: stats.rows_read,
            rows_malformed: stats.rows_malformed,
            files_completed: stats.files_completed,
            files_given_up: stats.files_given_up,
            api_usage: stats.api_usage.map(|u| ApiUsage { used: u.used, maximum: u.maximum }),
            backlog_files: stats.backlog_files,
            backlog_bytes: stats.backlog_bytes,
        }
    }
}

impl From<wit::Batch> for Batch {
    fn from(batch: wit::Batch) -> Self {
        Self {
            events: batch.events,
            state: batch.state,
            next_poll_ms: batch.next_poll_ms,
            problems: problems(batch.problems),
            stats: batch.stats.into(),
            held: Held::default(),
        }
    }
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        Self { problem: failure.problem.into(), state: failure.state }
    }
}

pub(crate) fn problems(problems: Vec<wit::Problem>) -> Vec<Problem> {
    problems.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_line_breaks_do_not_reach_the_terminal() {
        let forged = "ok\u{1b}[2J\r\n2026-01-01 ERROR forged\u{202e}gnp.exe\u{7}".to_owned();
        assert_eq!(printable(forged), "ok [2J  2026-01-01 ERROR forged gnp.exe ");
    }

    #[test]
    fn honest_text_passes_unchanged() {
        let text = "Zugriff verweigert: „Login“ – 権限がありません".to_owned();
        assert_eq!(printable(text.clone()), text);
    }

    #[test]
    fn endless_text_is_cut() {
        assert_eq!(printable("a".repeat(1 << 20)).chars().count(), LONGEST_TEXT + 1);
    }

    #[test]
    fn a_problem_reads_as_path_message_hint() {
        let problem = Problem {
            kind: ProblemKind::Config,
            stream: None,
            path: Some("auth.user".into()),
            message: "is missing".into(),
            hint: Some("add it".into()),
            retry_after_ms: None,
        };
        assert_eq!(problem.to_string(), "auth.user: is missing (add it)");
    }
}
