//! The configuration: a file as `source-host` takes it, or the document for the source alone, as JSON.
//!
//! One file serves both programs, as far as this one can do what it says. What it cannot is a mistake and not passed over.

#[path = "../../source-host-cli/src/config/lines.rs"]
mod lines;
#[path = "../../source-host-cli/src/config/mistake.rs"]
mod mistake;
#[expect(dead_code, reason = "what the other tables of source-host ask of it")]
#[path = "../../source-host-cli/src/config/reader.rs"]
mod reader;

use crate::bindings::pipeline::command::egress;
use crate::bindings::pipeline::source::source::Problem;
use crate::bindings::wasi::cli0_2_0::environment;
use crate::files;
use crate::secrets::{Secret, Vault};
use crate::words::{self, printable};
use lines::Lines;
use mistake::Mistake;
use reader::{Reader, not_toml};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The tables and keys that a file may have.
const KEYS: [&str; 7] = ["component", "source", "state", "output", "egress", "limits", "admission"];

/// What `[egress]` of source-host has besides the rules.
const HOW_REQUESTS_TRAVEL: [&str; 6] =
    ["private", "ca_file", "roots", "client_certificate", "client_key", "proxy"];

/// Where a configuration lies, and what is given beside it.
pub(crate) struct Given<'a> {
    /// The text of it.
    pub(crate) text: &'a str,
    /// Relative paths begin there.
    pub(crate) folder: &'a Path,
    /// Of a JSON document: the file of the state.
    pub(crate) state: Option<PathBuf>,
    /// Of a JSON document: the file for the events.
    pub(crate) output: Option<PathBuf>,
    /// Of a JSON document: where the source may connect to.
    pub(crate) allow: Vec<String>,
}

/// What a run needs.
pub(crate) struct Config {
    /// The document for the source's `configure`, secrets included.
    pub(crate) source: Secret,
    /// The file of the state.
    pub(crate) state: Option<PathBuf>,
    /// The file for the events; none is standard output.
    pub(crate) output: Option<PathBuf>,
}

/// Reads a configuration, and gives the rules of it to the gate.
///
/// # Errors
///
/// All mistakes at once.
pub(crate) fn read(given: Given<'_>) -> Result<Config, Vec<String>> {
    let env = |name: &str| {
        let variables = environment::get_environment().into_iter();
        variables.rev().find(|(key, _)| key == name).map(|(_, value)| OsString::from(value))
    };
    let vault = || Vault { base: given.folder, env: &env, confined: false, read: &files::read };
    let mut reader = Reader { vault: vault(), lines: Lines::default(), mistakes: Vec::new() };
    let config = if is_json(given.text) {
        document(&mut reader, vault(), given.text).map(|source| {
            rules(&mut reader, given.allow, "--allow");
            Config { source, state: given.state, output: given.output }
        })
    } else {
        let beside = [
            ("--state", given.state.is_some()),
            ("--output", given.output.is_some()),
            ("--allow", !given.allow.is_empty()),
        ];
        for (option, _) in beside.iter().filter(|(_, is_given)| *is_given) {
            reader.note(String::new(), format!("{option} is for JSON; a TOML file says it itself"));
        }
        table(&mut reader, vault(), given.text)
    };
    match config {
        Some(config) if reader.mistakes.is_empty() => Ok(config),
        _ => Err(reader.mistakes.iter().map(Mistake::to_string).collect()),
    }
}

/// No TOML file begins with a brace.
pub(crate) fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

/// The document for the source, with its secrets in their places.
fn document(reader: &mut Reader<'_>, vault: Vault<'_>, text: &str) -> Option<Secret> {
    match serde_json::from_str::<Table>(text) {
        Ok(table) => vault.document(&table, "", |path, message| reader.note(path, message)),
        Err(error) => {
            // The position and no more: what stands there may be a secret.
            let message =
                format!("not JSON without `null` at line {}, column {}", error.line(), error.column());
            reader.wrong("", &message)
        }
    }
}

fn table(reader: &mut Reader<'_>, vault: Vault<'_>, text: &str) -> Option<Config> {
    let root: Table = match text.parse() {
        Ok(root) => root,
        Err(error) => return reader.wrong("", &printable(&not_toml(text, &error))),
    };
    reader.lines = Lines::of(text);
    reader.known(&root, "", &KEYS);
    let source = match root.get("source") {
        None => Some(Secret::new(String::from("{}"))),
        Some(Value::Table(source)) => {
            vault.document(source, "source", |path, message| reader.note(path, message))
        }
        Some(_) => reader.wrong("source", "a table is expected: [source]"),
    };
    let state = reader.table(&root, "state", &["path"]).and_then(|state| match state.get("path") {
        None => reader.missing("state.path", "the file that remembers how far collection has come"),
        Some(path) => reader.path(path, "state.path"),
    });
    let output = output(reader, &root);
    for (table, whose) in [
        (
            "limits",
            "the limits of this program are those of its host: `wasmtime run -W max-memory-size=...,timeout=...`",
        ),
        (
            "admission",
            "the source is part of this program: whoever runs it decides whether it is the right one",
        ),
    ] {
        if root.contains_key(table) {
            reader.note(table.to_owned(), format!("is for source-host; {whose}"));
        }
    }
    let allow = allowed(reader, &root);
    rules(reader, allow, "egress.allow");
    Some(Config { source: source?, state, output })
}

/// The file for the events; none for `kind = "stdout"`, or no output at all.
fn output(reader: &mut Reader<'_>, root: &Table) -> Option<PathBuf> {
    let output = match root.get("output")? {
        Value::Table(output) => output,
        _ => return reader.wrong("output", "a table is expected: [output]"),
    };
    match output.get("kind").map(Value::as_str) {
        Some(Some("file")) => {
            reader.known(output, "output", &["kind", "path"]);
            match output.get("path") {
                None => reader.missing("output.path", "the file for the events"),
                Some(path) => reader.path(path, "output.path"),
            }
        }
        None | Some(Some("stdout")) => {
            reader.known(output, "output", &["kind"]);
            None
        }
        _ => {
            let message = "\"stdout\" or \"file\" is expected: this program writes to standard output or into a file; the other outputs \
                           are those of source-host";
            reader.wrong("output.kind", message)
        }
    }
}

fn allowed(reader: &mut Reader<'_>, root: &Table) -> Vec<String> {
    let Some(Value::Table(egress)) = root.get("egress") else {
        if root.contains_key("egress") {
            reader.note("egress".to_owned(), "a table is expected: [egress]".to_owned());
        }
        return Vec::new();
    };
    let mut own = egress.clone();
    for key in HOW_REQUESTS_TRAVEL.iter().filter(|key| own.remove(**key).is_some()) {
        let message = "is for source-host; how the requests of this program travel is decided by its host";
        reader.note(format!("egress.{key}"), message.to_owned());
    }
    reader.known(&own, "egress", &["allow"]);
    match egress.get("allow") {
        None => Vec::new(),
        Some(Value::Array(rules)) => {
            let rules = (0..).zip(rules);
            rules
                .filter_map(|(index, rule): (usize, _)| {
                    reader.text(rule, &format!("egress.allow[{index}]")).map(str::to_owned)
                })
                .collect()
        }
        Some(_) => {
            let message = "a list is expected: allow = [\"logs.example.com\"]";
            reader.note("egress.allow".to_owned(), message.to_owned());
            Vec::new()
        }
    }
}

/// Gives the rules to the gate, which knows what is none.
fn rules(reader: &mut Reader<'_>, allow: Vec<String>, path: &str) {
    for mistake in egress::allow(&allow).err().into_iter().flatten() {
        reader.note(format!("{path}[{}]", mistake.index), mistake.message);
    }
}

/// What the source finds wrong with its document, with its line and the path as it stands in the file.
pub(crate) fn in_file(text: &str, problem: &Problem) -> String {
    if is_json(text) {
        return words::of(problem);
    }
    let path = match problem.path.as_deref() {
        None | Some("") => "source".to_owned(),
        Some(path) => format!("source.{path}"),
    };
    let line = Lines::of(text).line(&path).map_or(String::new(), |line| format!("line {line}: "));
    format!("{line}{}", words::of(&Problem { path: Some(path), ..problem.clone() }))
}
