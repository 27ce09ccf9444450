//! Files: of events, and of events that nobody takes.

mod appender;
mod dead_letters;
mod event_file;

pub use dead_letters::DeadLetters;
pub(crate) use dead_letters::{Letter, check_dead_letters, set_aside};
pub use event_file::{EventFile, FileSettings};
