//! What a person writes behind the component's name.

use crate::units::{parse_instant, parse_time};
use lexopt::{Arg, Parser, ValueExt as _};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What `--help` prints.
pub(crate) const HELP: &str = r#"Collects the events of the source that it is composed with, and writes them to standard output, or into a file, as NDJSON.

Usage: wasmtime run -S http --dir FOLDER::NAME ... COMPONENT [OPTIONS] CONFIG

CONFIG is a file in a folder that is given with --dir, or - for standard input. It is a file of source-host,
in which paths are relative to it:

  [source]                                # for the source; see --describe
  url   = "https://logs.example.com"
  token = { env = "LOGS_TOKEN" }          # or { file = "token.txt" }
  [state]
  path = "/state/state.json"              # how far collection has come; shared with source-host
  [output]
  kind = "file"                           # or "stdout", which is the default
  path = "/events/events.ndjson"          # a last line that a killed program left is cut off; nobody else writes there
  [egress]
  allow = ["logs.example.com"]            # or "*.example.com", "host:port"; nothing else

or the JSON document that stands under [source], with --state, --output and --allow. For example:

  wasmtime run -S http --dir ./config::/config --dir ./state::/state --dir ./events::/events --env LOGS_TOKEN \
      COMPONENT /config/source.toml

Options:
      --until-caught-up        End when nothing is left to read; the default
      --follow                 Go on until stopped. It may be stopped at any time: nothing is lost
      --from TIME              Collect a range of time alone, from here on (2026-11-01, or 2026-11-01T10:00:00Z),
      --until TIME             up to here. Events have the same ids; they, where they go into a file, and the state lie
                               beside the others, in files that have the range in their names
      --give-up-after TIME     How long to wait out, without any progress, what passes by itself [default: 5m];
                               without --follow
      --check                  Try each thing that collecting needs, and say how to mend what fails
      --describe               Print name, version, streams and the schema of the configuration as JSON
      --state FILE             With JSON: remembers how far collection has come
      --output FILE            With JSON: appends events to a file [default: standard output]
      --allow HOST             With JSON: a host, host:port or *.suffix that may be contacted; may be given several
                               times
      --tenant NAME            Whose state it is [default: the name of CONFIG without its ending]
      --log text|json          How lines are written to standard error [default: text]
  -v, --verbose                Say more: each batch and each wait
  -q, --quiet                  Say nothing but warnings and errors
  -h, --help                   Print this
  -V, --version                Print the version of this program and of its source

A runtime that gives no arguments gives them in the variable SOURCE_ARGUMENTS, parted by spaces.

The source gets clocks, and HTTP to the authorities that its configuration needs and the rules cover (by name: what address a
name has is for the host to check). Files, arguments and variables are for this program alone.

Exit status: 0 done, 1 something failed, 2 a mistake in what was given (configuration, state)."#;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Collect,
    Check,
    Describe,
    Help,
    Version,
}

/// What a person wrote.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) config: Option<String>,
    pub(crate) follow: bool,
    pub(crate) range: Option<(SystemTime, SystemTime)>,
    pub(crate) give_up_after: Duration,
    pub(crate) state: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) allow: Vec<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) is_json_log: bool,
    pub(crate) is_verbose: bool,
    pub(crate) is_quiet: bool,
}

/// Reads the component's name, which says nothing, and what stands behind it.
///
/// # Errors
///
/// A sentence about the first of them that is wrong.
pub(crate) fn parse(arguments: Vec<String>) -> Result<Arguments, String> {
    let mut parser = Parser::from_iter(arguments.into_iter().map(OsString::from));
    let mut read = Arguments {
        task: Task::Collect,
        config: None,
        follow: false,
        range: None,
        give_up_after: Duration::from_secs(300),
        state: None,
        output: None,
        allow: Vec::new(),
        tenant: None,
        is_json_log: false,
        is_verbose: false,
        is_quiet: false,
    };
    let (mut from, mut until, mut until_caught_up) = (None, None, false);
    while let Some(argument) = parser.next().map_err(words)? {
        match argument {
            Arg::Value(config) if read.config.is_none() => {
                read.config = Some(config.string().map_err(words)?)
            }
            Arg::Short('h') | Arg::Long("help") => read.task = Task::Help,
            Arg::Short('V') | Arg::Long("version") => read.task = Task::Version,
            Arg::Long("check") => read.task = Task::Check,
            Arg::Long("describe") => read.task = Task::Describe,
            Arg::Long("follow") => read.follow = true,
            Arg::Long("until-caught-up") => until_caught_up = true,
            Arg::Long("from") => from = Some(value(&mut parser, "--from", parse_instant)?),
            Arg::Long("until") => until = Some(value(&mut parser, "--until", parse_instant)?),
            Arg::Long("give-up-after") => {
                read.give_up_after = value(&mut parser, "--give-up-after", parse_time)?;
            }
            Arg::Long("state") => read.state = Some(value(&mut parser, "--state", text)?.into()),
            Arg::Long("output") => read.output = Some(value(&mut parser, "--output", text)?.into()),
            Arg::Long("allow") => read.allow.push(value(&mut parser, "--allow", text)?),
            Arg::Long("tenant") => read.tenant = Some(value(&mut parser, "--tenant", text)?),
            Arg::Long("log") => read.is_json_log = value(&mut parser, "--log", log)?,
            Arg::Short('v') | Arg::Long("verbose") => read.is_verbose = true,
            Arg::Short('q') | Arg::Long("quiet") => read.is_quiet = true,
            other => return Err(words(other.unexpected())),
        }
    }
    if matches!(read.task, Task::Collect | Task::Check) && read.config.is_none() {
        return Err(String::from("CONFIG is missing; --help shows what stands in it"));
    }
    if read.follow && until_caught_up {
        return Err(String::from("--follow goes on, and --until-caught-up ends: one of them"));
    }
    read.range = match (from, until) {
        (None, None) => None,
        (Some(from), Some(until)) if from < until => Some((from, until)),
        (Some(_), Some(_)) => return Err(String::from("--until must be later than --from")),
        _ => return Err(String::from("--from and --until go together")),
    };
    if read.follow && read.range.is_some() {
        return Err(String::from("--follow goes on, and a range of time has an end: one of them"));
    }
    Ok(read)
}

fn words(error: lexopt::Error) -> String {
    format!("{error}; --help lists the options")
}

fn value<T>(parser: &mut Parser, option: &str, read: fn(&str) -> Result<T, String>) -> Result<T, String> {
    let text = parser.value().and_then(|value| value.string()).map_err(words)?;
    read(&text).map_err(|why| format!("{option}: {why}"))
}

fn text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err(String::from("a text that is not empty is expected"))
    } else {
        Ok(text.to_owned())
    }
}

fn log(text: &str) -> Result<bool, String> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(String::from("\"text\" or \"json\" is expected")),
    }
}
