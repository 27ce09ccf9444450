//! The rows of event log files: which columns each event type has, and plausible values for them.
//!
//! A row is made out of the seed, its hour and its number in the hour, and of nothing else. In which files it comes, and when,
//! is said above, in `event_log_file`.

pub(crate) mod event_types;
pub(crate) mod login;
pub(crate) mod schema;
