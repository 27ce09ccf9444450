//! What an org can do that nobody expects of it.

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::faults::FaultRule;
use crate::faults::damage::{DamagedRecords, Which};
use crate::json::value::Doubles;
use crate::objects::stored::StoredObject;

/// Odd answers of an org, each of them seen in public reports or thinkable. The default has none.
///
/// ```
/// use salesforce_sim::{Damage, DamagedRecords, Oddities, OrgSettings, StoredObject, Which};
///
/// let damaged = DamagedRecords {
///     object: StoredObject::LoginEvent,
///     which: Which::OneIn(5),
///     how: Damage::LoneSurrogate,
///     field: Some("Application".to_owned()),
/// };
/// let settings = OrgSettings {
///     oddities: Oddities { damaged: vec![damaged], ..Oddities::default() },
///     ..OrgSettings::default()
/// };
/// assert_eq!(settings.oddities.damaged.len(), 1);
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oddities {
    /// Faults that are planned when the org begins.
    #[serde(skip)]
    pub faults: Vec<FaultRule>,
    /// Records that come damaged in every answer. Where several are about one record, the first is.
    pub damaged: Vec<DamagedRecords>,
    /// Records that become visible late.
    pub late: Vec<LateRecords>,
    /// Objects whose dates the org compares more finely than it shows them: to the microsecond where it shows
    /// milliseconds, to the millisecond where it shows whole seconds. A crowd has its instant still.
    pub finer_dates: Vec<StoredObject>,
    /// What a page of a query says to another session than the one that asked the query; none does not mind.
    pub locator_refusal: Option<LocatorRefusal>,
    /// How numbers with a fraction are written, `LogFileLength` among them.
    pub doubles: Doubles,
    /// What comes behind the last row of files.
    pub file_end: Option<FileEnd>,
    /// What an hour without rows has; none has no file.
    pub empty_files: Option<EmptyFiles>,
}

/// Records that carry the time they were made and appear together when what made them is committed: the rows that a long
/// deployment leaves in SetupAuditTrail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateRecords {
    /// The object, which is SetupAuditTrail if left out in JSON.
    #[serde(default = "setup_audit_trail")]
    pub object: StoredObject,
    /// The first instant that they can carry.
    #[serde(deserialize_with = "time")]
    pub from: DateTime<Utc>,
    /// When they can be queried. They were made before it.
    #[serde(deserialize_with = "time")]
    pub committed: DateTime<Utc>,
    /// Which of the records of that time are of the deployment; the others can be queried as ever. All, if left out in JSON.
    #[serde(default = "all")]
    pub which: Which,
}

/// A time such as `2026-03-04T18:00:00Z`.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn setup_audit_trail() -> StoredObject {
    StoredObject::SetupAuditTrail
}

fn all() -> Which {
    Which::OneIn(1)
}

/// What a page of a query says to another session than the one that asked the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LocatorRefusal {
    /// 400 `INVALID_QUERY_LOCATOR`
    BadRequest,
    /// 401 `INVALID_SESSION_ID`
    Unauthorized,
    /// 403 `INSUFFICIENT_ACCESS`
    Forbidden,
}

/// What comes behind the last row of files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEnd {
    /// Such as one more line break.
    pub text: String,
    /// Whether `LogFileLength` counts it.
    pub counted: bool,
    /// One file in so many has it; zero for none.
    #[serde(default = "one")]
    pub one_in: u32,
}

fn one() -> u32 {
    1
}

/// What an hour without rows has in the way of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyFiles {
    /// A file of no bytes that is answered with 204.
    NoContent,
    /// A file of no bytes that is answered with 200.
    NoBytes,
    /// A file that has its header alone.
    HeaderAlone,
}
