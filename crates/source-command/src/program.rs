//! From arguments to an exit status.

use crate::arguments::{self, Arguments, HELP, Task};
use crate::bindings::pipeline::command::egress;
use crate::bindings::pipeline::source::source::{self, Description, Finding, TimeRange, Verdict};
use crate::bindings::wasi::cli0_2_0::environment;
use crate::collect::{Collection, Policy, Stop};
use crate::config::{self, Config, Given};
use crate::output::{EventFile, Output};
use crate::state::StateFile;
use crate::streams::{self, WriteError};
use crate::words::printable;
use crate::{clock, files, log};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use state_store::Owner;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

const FAILURE: u8 = 1;
const MISTAKE: u8 = 2;
/// The largest configuration that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// An end with an error message.
struct Exit {
    status: u8,
    message: String,
}

impl Exit {
    fn mistake(message: impl ToString) -> Self {
        Self { status: MISTAKE, message: message.to_string() }
    }
}

impl From<Stop> for Exit {
    fn from(stop: Stop) -> Self {
        Self { status: if stop.is_users { MISTAKE } else { FAILURE }, message: stop.message }
    }
}

impl From<WriteError> for Exit {
    fn from(error: WriteError) -> Self {
        let message = match error {
            WriteError::Closed => String::from("cannot write to standard output: its reader has gone"),
            WriteError::Failed(message) | WriteError::Passes(message) => message,
        };
        Self { status: FAILURE, message }
    }
}

/// Runs the program, and returns its exit status.
pub(crate) fn run() -> u8 {
    let done = arguments::parse(given()).map_err(Exit::mistake).and_then(|arguments| {
        log::set_style(log::Style {
            is_json: arguments.is_json_log,
            is_verbose: arguments.is_verbose,
            is_quiet: arguments.is_quiet,
        });
        obey(arguments)
    });
    match done {
        Ok(status) => status,
        Err(Exit { status, message }) => {
            log::error(&message);
            status
        }
    }
}

/// The arguments; of a runtime that gives none, what stands in a variable.
fn given() -> Vec<String> {
    let arguments = environment::get_arguments();
    if arguments.len() > 1 {
        return arguments;
    }
    let variable = environment::get_environment().into_iter().find(|(name, _)| name == "SOURCE_ARGUMENTS");
    let written = variable.map(|(_, value)| value).unwrap_or_default();
    let name = arguments.into_iter().next().unwrap_or_default();
    std::iter::once(name).chain(written.split_whitespace().map(str::to_owned)).collect()
}

fn obey(arguments: Arguments) -> Result<u8, Exit> {
    match arguments.task {
        Task::Help => say([HELP])?,
        Task::Version => {
            let Description { name, version, .. } = source::describe();
            say([format!("source-command {} with {name} {version}", env!("CARGO_PKG_VERSION")).as_str()])?;
        }
        Task::Describe => say([described(source::describe()).as_str()])?,
        Task::Check | Task::Collect => return with_source(arguments),
    }
    Ok(0)
}

/// Prints lines. A reader that has gone is no failure.
fn say<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<(), WriteError> {
    match streams::write_lines(lines) {
        Err(WriteError::Closed) => Ok(()),
        written => written,
    }
}

fn described(source: Description) -> String {
    let streams =
        source.streams.iter().map(|stream| json!({ "name": stream.name, "summary": stream.summary }));
    let schema: serde_json::Value = serde_json::from_str(&source.config_schema).unwrap_or_default();
    let described = json!({
        "name": source.name,
        "version": source.version,
        "streams": streams.collect::<Vec<_>>(),
        "config_schema": schema,
    });
    format!("{described:#}")
}

fn with_source(arguments: Arguments) -> Result<u8, Exit> {
    let name = arguments.config.clone().unwrap_or_default();
    let text = text(&name)?;
    let path = Path::new(&name);
    let shown = if name == "-" { "standard input" } else { name.as_str() };
    let given = Given {
        text: &text,
        folder: if name == "-" { Path::new("") } else { path.parent().unwrap_or(Path::new("")) },
        state: arguments.state.clone(),
        output: arguments.output.clone(),
        allow: arguments.allow.clone(),
    };
    let config = config::read(given).map_err(|mistakes| listed(shown, &mistakes))?;
    configure(shown, &text, &config)?;
    let tenant = arguments.tenant.clone().unwrap_or_else(|| match path.file_stem() {
        Some(stem) if name != "-" => stem.to_string_lossy().into_owned(),
        _ => String::from("default"),
    });
    let Description { name, version, .. } = source::describe();
    let owner = Owner::new(tenant, name, version);
    match arguments.task {
        Task::Check => check(config.state, config.output, owner),
        _ => {
            let state = config.state.ok_or_else(|| {
                Exit::mistake(match config::is_json(&text) {
                    true => format!("--state is missing: the file that remembers how far collection has come, beside {shown}"),
                    false => format!(
                        "{shown} says not where the state lies, which remembers how far collection has come. Write:\n\n    \
                         [state]\n    path = \"/state/state.json\"\n"
                    ),
                })
            })?;
            collect(&arguments, state, config.output, owner)
        }
    }
}

/// The configuration's text. It may hold secrets.
fn text(name: &str) -> Result<Zeroizing<String>, Exit> {
    let (shown, read) = match name {
        "-" => ("standard input", streams::read_input(LARGEST + 1)),
        name => (name, files::read(Path::new(name), LARGEST as u64 + 1).map_err(|error| error.to_string())),
    };
    let wrong = |why: &str| Exit::mistake(format!("cannot read the configuration {shown}: {why}"));
    let bytes = read.map_err(|why| wrong(&why))?;
    if bytes.len() > LARGEST {
        return Err(wrong("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| wrong("it is not text in UTF-8"))
}

/// Configures the source, and opens the gate for what it needs and the rules cover.
fn configure(shown: &str, text: &str, config: &Config) -> Result<(), Exit> {
    let grants = source::configure(config.source.expose()).map_err(|problems| {
        let found: Vec<String> = problems.iter().map(|problem| config::in_file(text, problem)).collect();
        listed(shown, &found)
    })?;
    for warning in &grants.warnings {
        log::warn(&config::in_file("", warning));
    }
    let denied = egress::grant(&grants.authorities);
    if denied.is_empty() {
        return Ok(());
    }
    let way = match config::is_json(text) {
        true => denied.iter().map(|authority| format!("--allow {authority}")).collect::<Vec<_>>().join(" "),
        false => {
            let quoted: Vec<String> = denied.iter().map(|authority| format!("{authority:?}")).collect();
            format!("[egress]\n    allow = [{}]", quoted.join(", "))
        }
    };
    let denied = denied.join(", ");
    Err(Exit::mistake(format!(
        "{shown} does not allow what the source has to contact: {denied}. If it may, add:\n\n    {way}\n"
    )))
}

fn listed(shown: &str, lines: &[String]) -> Exit {
    let mistakes =
        if lines.len() == 1 { String::from("a mistake") } else { format!("{} mistakes", lines.len()) };
    Exit::mistake(format!("{shown} has {mistakes}:\n  - {}", lines.join("\n  - ")))
}

fn check(state: Option<PathBuf>, output: Option<PathBuf>, owner: Owner) -> Result<u8, Exit> {
    let mut findings = source::check();
    let own = |name: &str, outcome: Result<String, String>| Finding {
        name: name.to_owned(),
        verdict: if outcome.is_ok() { Verdict::Pass } else { Verdict::Fail },
        message: outcome.unwrap_or_else(|error| error),
        hint: None,
        backlog: Vec::new(),
    };
    let outcome = match state {
        None => Err(String::from("it is said nowhere where it lies: [state] path, or --state")),
        Some(path) => {
            let shown = path.display().to_string();
            StateFile::open(path, owner)
                .and_then(|state| state.check().map(|()| state.revision()))
                .map(|revision| match revision {
                    Some(revision) => format!("{shown} is ours, at revision {revision}"),
                    None => format!("{shown} does not exist yet and can be written"),
                })
                .map_err(|error| error.to_string())
        }
    };
    findings.push(own("state", outcome));
    if let Some(path) = output {
        let shown = path.display().to_string();
        let outcome = EventFile::new(path).check();
        findings.push(own("output", outcome.map(|()| format!("events can be written to {shown}"))));
    }
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in &findings {
        let verdict = match finding.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        lines.push(printable(&format!("{verdict}  {:width$}  {}", finding.name, finding.message)));
        if let Some(hint) = &finding.hint {
            lines.push(printable(&format!("      {:width$}  -> {hint}", "")));
        }
    }
    say(lines.iter().map(String::as_str))?;
    let has_failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if has_failed { FAILURE } else { 0 })
}

fn collect(
    arguments: &Arguments,
    mut state: PathBuf,
    mut output: Option<PathBuf>,
    mut owner: Owner,
) -> Result<u8, Exit> {
    let patience = arguments.give_up_after;
    let policy = match arguments.range {
        None if arguments.follow => Policy::Follow,
        None => Policy::CaughtUp(patience),
        Some((from, until)) => {
            let range = TimeRange { from_ms: since_1970(from), until_ms: since_1970(until) };
            source::confine(range).map_err(|problem| Exit::from(Stop::from(problem)))?;
            let [from, until] = [from, until].map(DateTime::<Utc>::from);
            let compact = |time: DateTime<Utc>| time.format("%Y%m%dT%H%M%SZ");
            let exact = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            // As `source-host run` names them; and without locks, events too need a file that no other run writes to.
            for path in [Some(&mut state), output.as_mut()].into_iter().flatten() {
                path.as_mut_os_string().push(format!(".{}-{}", compact(from), compact(until)));
            }
            if let Some(output) = &output {
                log::info(&format!("the events of this range go to {}", output.display()));
            }
            owner.tenant = format!("{} from {} until {}", owner.tenant, exact(from), exact(until));
            Policy::Complete(patience)
        }
    };
    let started = clock::elapsed();
    let stop = |error| Exit::from(Stop::from(error));
    let state = StateFile::open(state, owner).map_err(stop)?;
    // Before anything is collected that could not be remembered.
    state.check().map_err(stop)?;
    let output = match output {
        None => Output::Stream,
        Some(path) => {
            let mut file = EventFile::new(path);
            match file.open() {
                Ok(()) => {}
                // It is opened again with the first batch, and waited for.
                Err(WriteError::Passes(message)) => log::warn(&message),
                Err(WriteError::Failed(message)) => return Err(Exit::mistake(message)),
                Err(error @ WriteError::Closed) => return Err(error.into()),
            }
            Output::File(file)
        }
    };
    let mut collection = Collection::new(state, output, policy);
    let end = collection.run();
    let how = end.as_ref().map_or_else(|_| String::from("failed"), ToString::to_string);
    let seconds = clock::elapsed().saturating_sub(started).as_secs_f64();
    log::info(&format!("{how}: {}, {seconds:.1} s", collection.report));
    end?;
    Ok(0)
}

fn since_1970(time: SystemTime) -> i64 {
    DateTime::<Utc>::from(time).timestamp_millis()
}
