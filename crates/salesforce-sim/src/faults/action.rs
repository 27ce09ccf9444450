//! What happens to a request that a fault strikes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::cost::{Cost, Failure};
use super::damage::Damage;

/// What happens to the request. In a plan: an object with the variant's name as `kind` (`cut-silently`) and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// It is answered with this, and nothing else of the org sees it.
    Answer {
        /// HTTP status.
        status: u16,
        /// Sent as JSON if it begins with `[` or `{`, otherwise as HTML.
        #[serde(default)]
        body: String,
        /// Header fields that come with it, such as `Retry-After`; one that HTTP does not allow is left out, and a
        /// mistake in a plan.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The connection closes before the first byte of an answer, and the org never looks at the request.
    Close,
    /// The answer comes so much later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The answer ends after so many decoded bytes and looks complete to HTTP (and to gzip).
    CutSilently {
        /// Bytes before any content coding.
        after: u64,
    },
    /// The connection breaks after so many decoded bytes.
    CutConnection {
        /// Bytes before any content coding.
        after: u64,
    },
    /// Nothing comes after so many decoded bytes, and the connection stays open.
    Stall {
        /// Bytes before any content coding.
        after: u64,
    },
    /// The body comes in drops: one byte a second, if nothing else is said.
    Drip {
        /// Bytes of a drop on the wire, before any chunking.
        #[serde(default = "one_byte")]
        bytes: NonZeroUsize,
        /// Milliseconds from one drop to the next.
        #[serde(default = "a_second")]
        millis: u64,
    },
    /// One byte of a gzip body is wrong; a body without gzip stays as it is.
    CorruptGzip {
        /// Where, in bytes on the wire; a shorter body is wrong at its end.
        #[serde(default = "behind_the_header")]
        at: u64,
    },
    /// Bytes come behind the end of a gzip stream; a body without gzip stays as it is.
    BehindGzip {
        /// What comes there, such as zeros.
        text: String,
    },
    /// A text comes at the end of the body, such as a blank line at the end of a file. `LogFileLength` does not count it.
    Append {
        /// That text.
        text: String,
    },
    /// Every `LogFileLength` in the answer to a query is off.
    WrongLength {
        /// By so many bytes, too few if negative.
        by: i64,
    },
    /// `totalSize` of a query is another one.
    Total {
        /// Which.
        says: Total,
    },
    /// The last records of a page are missing, no page follows (`done` is true), and `totalSize` still counts them.
    FewerRecords {
        /// How many are missing.
        by: usize,
    },
    /// A query that costs too much fails; one that costs less is answered as ever, and so are further pages.
    Costly {
        /// Fails if WHERE leaves more time than so many seconds of the object's date, up to now.
        #[serde(default)]
        wider_than_seconds: Option<u64>,
        /// Fails if it would answer more than so many records.
        #[serde(default)]
        more_than: Option<u64>,
        /// How it fails.
        failure: Failure,
    },
    /// A record of the page comes damaged; the same record is sound in another answer. For damage that stays see
    /// [`crate::DamagedRecords`].
    DamageRecord {
        /// Its index in the page, from 0; a shorter page has no such record.
        #[serde(default)]
        place: usize,
        /// What is wrong with it.
        how: Damage,
        /// The field whose text is damaged; the first that can be, if left out.
        #[serde(default)]
        field: Option<String>,
    },
    /// The header field `Date` is off, or not there.
    DateHeader {
        /// How many seconds it is ahead of the org's clock, behind if negative; null for none at all.
        ahead_seconds: Option<i64>,
    },
    /// Every locator of a query is forgotten before the request is looked at: further pages get `INVALID_QUERY_LOCATOR`.
    ForgetLocators,
    /// Every session is revoked before the request is looked at.
    RevokeSessions,
    /// The quota is used up before the request is looked at.
    ExhaustQuota,
}

/// What `totalSize` says where it is not right. The answer to `count()` has the right one always: there it is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Total {
    /// -1, as of big objects in some orgs.
    MinusOne,
    /// How many records the page has.
    OfThePage,
    /// Nothing: there is no `totalSize`.
    Absent,
    /// So many too many, or too few if negative.
    Off(i64),
}

impl FaultAction {
    /// An answer with this status and body.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::answer_with(status, body, [])
    }

    /// The same with header fields.
    pub fn answer_with<const N: usize>(
        status: u16,
        body: impl Into<String>,
        headers: [(&str, &str); N],
    ) -> Self {
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self::Answer { status, body: body.into(), headers }
    }

    /// A query fails that covers more than `width` of its object's date.
    pub fn wider_than(width: chrono::TimeDelta, failure: Failure) -> Self {
        let wider_than_seconds = Some(u64::try_from(width.num_seconds()).unwrap_or(0));
        Self::Costly { wider_than_seconds, more_than: None, failure }
    }

    /// A query fails that would answer more than so many records.
    pub fn more_than(records: u64, failure: Failure) -> Self {
        Self::Costly { wider_than_seconds: None, more_than: Some(records), failure }
    }
}

fn one_byte() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn a_second() -> u64 {
    1_000
}

/// The header of gzip has ten bytes (RFC 1952); a few of the data follow.
fn behind_the_header() -> u64 {
    20
}

/// A header field as HTTP allows it (RFC 9110 section 5).
pub(crate) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// What faults do to the answer to a query before it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryFaults {
    pub(crate) total: Option<Total>,
    pub(crate) fewer: usize,
    pub(crate) costs: Vec<Cost>,
    pub(crate) damages: Vec<(usize, Damage, Option<String>)>,
}
