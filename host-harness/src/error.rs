//! What can go wrong between a host and a source: one type, so that `?` carries all of it.

use std::path::PathBuf;
use std::time::Duration;

use crate::contract::{Failure, Problem};
use crate::units::bytes;

/// What can go wrong between a host and a source.
///
/// [`Configuration`](Self::Configuration) and [`Failure`](Self::Failure) are answers that the contract provides for: the
/// source is well and may be called again. All others are the host's own findings.
///
/// ```
/// use source_host::Error;
///
/// /// Whether somebody has to act before trying again makes sense.
/// fn needs_somebody(error: &Error) -> bool {
///     match error {
///         Error::Unreadable { .. } | Error::NotAdmitted { .. } | Error::Configuration(_) => true,
///         Error::Failure(failure) => !failure.problem.kind.passes(),
///         _ => false,
///     }
/// }
///
/// let late = Error::Timeout { call: "poll", limit: std::time::Duration::from_secs(300) };
/// assert!(!needs_somebody(&late));
/// assert_eq!(late.to_string(), "a call of `poll` took longer than its limit of 300 s and was stopped");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The component's file could not be read.
    #[error("cannot read the component {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// It is not a component, not a source, or wants more than a source gets.
    #[error("{name} is not admitted: {reason}")]
    NotAdmitted {
        /// The file, or what the embedder called it.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// It could not be compiled, for reasons that are not known to be its own.
    #[error("compiling {name} failed: {reason}")]
    Compiler {
        /// The file, or what the embedder called it.
        name: String,
        /// What happened to the compiler.
        reason: String,
    },
    /// The engine, the transport or a limit could not be set up.
    #[error("cannot set up the host: {0}")]
    Setup(String),
    /// `configure` refused the configuration. Every problem, in the component's words.
    #[error("the source refuses its configuration: {}", list(.0))]
    Configuration(Vec<Problem>),
    /// `poll` could do nothing at all. See [`Failure::problem`] for who must act.
    #[error("{}", .0.problem)]
    Failure(Box<Failure>),
    /// A call asked for more memory than the limit. The instance is spent.
    #[error("the component needs more memory than its limit of {}; raise `limits.memory` if it should have it", bytes(*limit))]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The component makes the host hold more than its limit. The instance is spent, unless it was the batch of a poll that
    /// was too much.
    #[error("the component makes the host hold more than its limit of {}; raise `limits.total_memory` if it should", bytes(*limit))]
    TotalMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// A call took longer than the limit and was stopped. The instance is spent.
    #[error("a call of `{call}` took longer than its limit of {} s and was stopped", limit.as_secs_f64())]
    Timeout {
        /// The function called.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// What all sources may have together is used up. The instance is spent, unless it was the batch of a poll that was too
    /// much.
    #[error("the component was stopped, for the memory that all sources share is used up")]
    SharedMemory,
    /// A call computed for longer than the limit and was stopped. The instance is spent.
    #[error("a call of `{call}` computed for longer than its limit of {} s and was stopped", limit.as_secs_f64())]
    CpuTime {
        /// The function called.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The embedder stopped the call. The instance is spent.
    #[error("a call of `{call}` was cancelled")]
    Cancelled {
        /// The function called.
        call: &'static str,
    },
    /// The component trapped. The instance is spent.
    #[error("the component failed in `{call}`: {reason}")]
    Trap {
        /// The function called.
        call: &'static str,
        /// What wasmtime said.
        reason: String,
    },
    /// What came back breaks the contract or a limit. Nothing of it may be delivered.
    #[error("the component returned {0}")]
    Refused(String),
    /// The component has no such function: it is one of another contract.
    #[error("the component has no `{call}`")]
    NoSuchCall {
        /// The function.
        call: &'static str,
    },
    /// The instance was spent by an earlier call; open a new one.
    #[error("this instance was stopped in an earlier call and cannot be called again; open a new one")]
    Spent,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
