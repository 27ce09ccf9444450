//! What a source says, as `source-host` writes it.

use crate::bindings::pipeline::source::source::{Problem, ProblemKind};

/// A kind, as it stands in messages.
pub(crate) fn kind(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Config => "config",
        ProblemKind::Auth => "auth",
        ProblemKind::Permission => "permission",
        ProblemKind::RateLimited => "rate-limited",
        ProblemKind::Transient => "transient",
        ProblemKind::Data => "data",
        ProblemKind::State => "state",
        ProblemKind::Internal => "internal",
    }
}

/// Whether waiting is the answer, with nobody having to act.
pub(crate) fn passes(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::RateLimited | ProblemKind::Transient)
}

/// Whether it lies with what the operator gave: the configuration or the state.
pub(crate) fn is_users(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::Config | ProblemKind::State)
}

/// `path: message (hint)`, or with the stream in front where there is no path. Fit for a terminal or a log.
pub(crate) fn of(problem: &Problem) -> String {
    let place = problem.path.as_ref().or(problem.stream.as_ref());
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    printable(&format!("{place}{}{hint}", problem.message))
}

/// The text of a source without what would forge lines of a log, move a cursor or reorder what is read.
pub(crate) fn printable(text: &str) -> String {
    let is_bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_bad(c) { ' ' } else { c }).collect()
}
