//! Event log files: which ones there are, when they become visible, what is in them.
//!
//! Object reference, `sforce_api_objects_eventlogfile`; REST guide, `event_log_file_hourly_diff`,
//! `event_log_file_hourly_query` and `using_resources_event_log_files`:
//! - An hourly file covers one hour (`Sequence` 1, `LogDate` its start), a daily file one UTC day (`Sequence` 0). Both
//!   hold the same events. An hour or a day without events has no file.
//! - `CreatedDate` is when the file was made, 3 to 6 hours after `LogDate` of an hourly one and in the quiet hours of the
//!   next day for a daily one. So the order of `CreatedDate` is not that of `LogDate`, and several files can share one.
//! - A query means daily files unless it says otherwise: it says so by filtering on `Interval` or `Sequence`, and also by
//!   any condition on `Id`, which brings both kinds (reported from live orgs in elastic/integrations pull request 20931).
//! - An org without hourly files has no field `Interval`.
//! - Late data comes as one more hourly file with the next `Sequence`, which can repeat rows of an earlier one, and makes
//!   the daily file be issued again with everything; the first issue is gone then.
//! - A file can be listed later than others with a later `CreatedDate`, and expires (30 days after it, by default).

mod catalogue;
mod csv;
mod file;
mod issue;
mod query;
mod truth;

pub(crate) use self::catalogue::Catalogue;
pub(crate) use self::csv::{CHUNK, Cursor};
pub use self::file::{EventLogFile, Interval};
pub(crate) use self::query::FileRow;
pub use self::truth::{TrueEvent, Truth};
