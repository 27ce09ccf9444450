//! What the program says beside the events: lines on standard error, for people or for programs.

use crate::{clock, streams};
use chrono::SecondsFormat;
use serde_json::json;
use std::cell::Cell;

/// How lines are written, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// As JSON, with the members that lines of `source-host` have.
    pub(crate) is_json: bool,
    /// Those about each batch and each wait too.
    pub(crate) is_verbose: bool,
    /// Warnings and errors alone.
    pub(crate) is_quiet: bool,
}

thread_local! {
    static STYLE: Cell<Style> = const { Cell::new(Style { is_json: false, is_verbose: false, is_quiet: false }) };
}

pub(crate) fn set_style(style: Style) {
    STYLE.set(style);
}

pub(crate) fn error(message: &str) {
    say("ERROR", None, message);
}

pub(crate) fn warn(message: &str) {
    say("WARN", None, message);
}

/// A problem, of which others know the kind.
pub(crate) fn problem(is_error: bool, kind: &str, message: &str) {
    say(if is_error { "ERROR" } else { "WARN" }, Some(kind), message);
}

pub(crate) fn info(message: &str) {
    if !STYLE.get().is_quiet {
        say("INFO", None, message);
    }
}

pub(crate) fn debug(message: &str) {
    if STYLE.get().is_verbose {
        say("DEBUG", None, message);
    }
}

fn say(level: &str, kind: Option<&str>, message: &str) {
    let line = if STYLE.get().is_json {
        let timestamp = clock::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut line = json!({ "timestamp": timestamp, "level": level, "message": message });
        if let Some(kind) = kind {
            line["kind"] = kind.into();
        }
        line.to_string()
    } else {
        let front = match level {
            "ERROR" => "error: ",
            "WARN" => "warning: ",
            _ => "",
        };
        let kind = kind.map(|kind| format!("{kind}: ")).unwrap_or_default();
        format!("{front}{kind}{message}")
    };
    streams::complain(&line);
}
