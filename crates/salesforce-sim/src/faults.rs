//! Faults that are planned ahead: one by one by a test, or as a plan in JSON by anyone.
//!
//! A plan is a list; each entry says which requests it matches, which of them it strikes and what happens:
//!
//! ```json
//! [
//!   {"path": "/query", "nth": 2, "action": {"kind": "answer", "status": 503, "body": "<h1>Down</h1>"}},
//!   {"method": "GET", "path": "/LogFile", "every": true, "action": {"kind": "drip"}},
//!   {"of": "LoginEvent", "every": true, "until": "2026-03-05T00:00:00Z", "action": {"kind": "total", "says": "minus-one"}}
//! ]
//! ```
//!
//! `method` and `path` (a part of the path with its query, as sent) match all if left out; `of` matches queries of one object
//! (or of all `big` ones) and their further pages; `from` and `until` bound it in time, by the org's clock. `nth` counts
//! matching requests from 1, which it is if left out, and the fault happens once; with `every` it happens each time, and
//! with `times` so many times, one after the other.

mod plan;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

pub use self::plan::PlanMistakes;
use crate::cost::{Cost, Failure};
use crate::damage::Damage;
use crate::objects::{Kind, StoredObject};

/// Misbehaviour on one request; each fault happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Matches requests whose path, with its query as sent, contains this text.
    pub path_contains: String,
    /// Which of the matching requests it strikes, counted from 1 since the fault was planned.
    pub nth: u32,
    /// What happens.
    pub action: FaultAction,
}

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
        /// Its place in the page, from 0; a shorter page has no such record.
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

/// A fault that strikes one matching request, or every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Matches requests with this method; none matches all.
    pub method: Option<String>,
    /// Matches requests whose path, with its query as sent, contains this text.
    pub path_contains: String,
    /// Which of the matching requests it strikes, counted from 1; none strikes every one.
    pub nth: Option<u32>,
    /// What happens.
    pub action: FaultAction,
}

impl From<Fault> for PlannedFault {
    fn from(Fault { path_contains, nth, action }: Fault) -> Self {
        Self { method: None, path_contains, nth: Some(nth), action }
    }
}

impl PlannedFault {
    /// Strikes every request whose path, with its query as sent, contains this text.
    pub fn every(path_contains: impl Into<String>, action: FaultAction) -> Self {
        Self { method: None, path_contains: path_contains.into(), nth: None, action }
    }

    /// The same for queries of these objects alone, and for their further pages.
    pub fn of(self, queries: QueriesOf) -> FaultRule {
        FaultRule::from(self).of(queries)
    }

    /// The same in a span of time alone, by the org's clock: from its start up to its end.
    pub fn during(self, span: Range<DateTime<Utc>>) -> FaultRule {
        FaultRule::from(self).during(span)
    }

    /// Strikes so many matching requests, one after the other.
    pub fn times(self, times: u32) -> FaultRule {
        FaultRule::from(self).times(times)
    }
}

/// A fault within bounds: for some objects alone, for a while, so many times.
///
/// ```
/// use salesforce_sim::{Failure, FaultAction, PlannedFault, QueriesOf, StoredObject, Total};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Every answer about a big object says -1, for as long as the org is there.
/// let totals = PlannedFault::every("", FaultAction::Total { says: Total::MinusOne }).of(QueriesOf::Big);
/// // For one night, a query of LoginEvent that covers more than an hour never gets an answer.
/// let night = "2026-03-04T20:00:00Z".parse()?.."2026-03-05T06:00:00Z".parse()?;
/// let slow = FaultAction::wider_than(chrono::TimeDelta::hours(1), Failure::Stall);
/// let slow = PlannedFault::every("", slow).of(StoredObject::LoginEvent.into()).during(night);
/// # let (_, _): (salesforce_sim::FaultRule, salesforce_sim::FaultRule) = (totals, slow);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// The fault.
    pub fault: PlannedFault,
    /// Which queries it is about, if not about any request.
    pub of: QueriesOf,
    /// How many matching requests it strikes from the first one on; if none is said, one if it strikes the n-th, and else all.
    pub times: Option<u32>,
    /// When it matches, by the org's clock; none is always.
    pub during: Option<Range<DateTime<Utc>>>,
}

impl FaultRule {
    /// See [`PlannedFault::of`].
    pub fn of(self, queries: QueriesOf) -> Self {
        Self { of: queries, ..self }
    }

    /// See [`PlannedFault::during`].
    pub fn during(self, span: Range<DateTime<Utc>>) -> Self {
        Self { during: Some(span), ..self }
    }

    /// See [`PlannedFault::times`].
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn matches(&self, request: &Asked<'_>) -> bool {
        let PlannedFault { method, path_contains, .. } = &self.fault;
        method.as_ref().is_none_or(|wanted| wanted == request.method)
            && request.path.contains(path_contains.as_str())
            && self.during.as_ref().is_none_or(|span| span.contains(&request.now))
            && (self.of == QueriesOf::Any || self.of.is_about((request.object)().as_deref()))
    }
}

impl From<PlannedFault> for FaultRule {
    fn from(fault: PlannedFault) -> Self {
        Self { fault, of: QueriesOf::Any, times: None, during: None }
    }
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        PlannedFault::from(fault).into()
    }
}

/// Which requests a fault is about, by the object that they ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QueriesOf {
    /// Any request, also one that asks no object.
    #[default]
    Any,
    /// Queries of big objects, and their further pages.
    Big,
    /// Queries of the object with this name, and their further pages.
    Object(String),
}

impl QueriesOf {
    fn is_about(&self, object: Option<&str>) -> bool {
        match (self, object) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Big, Some(name)) => {
                let known =
                    StoredObject::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
                known.is_some_and(|object| object.kind() == Kind::Big)
            }
            (Self::Object(wanted), Some(name)) => wanted.eq_ignore_ascii_case(name),
        }
    }
}

impl From<StoredObject> for QueriesOf {
    fn from(object: StoredObject) -> Self {
        Self::Object(object.name().to_owned())
    }
}

/// A header field as HTTP allows it (RFC 9110 section 5).
pub(crate) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// A request as faults see it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// With its query, as sent.
    pub(crate) path: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The object that it asks, found out only where a fault wants to know.
    pub(crate) object: &'a dyn Fn() -> Option<String>,
}

/// What faults do to the answer to a query before it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryFaults {
    pub(crate) total: Option<Total>,
    pub(crate) fewer: usize,
    pub(crate) costs: Vec<Cost>,
    pub(crate) damages: Vec<(usize, Damage, Option<String>)>,
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(FaultRule, u32)>>);

impl Faults {
    pub(crate) fn new(rules: &[FaultRule]) -> Self {
        Self(Mutex::new(rules.iter().map(|rule| (rule.clone(), 0)).collect()))
    }

    pub(crate) fn plan(&self, rule: FaultRule) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((rule, 0));
    }

    /// Forgets every fault that is still to come.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a request and takes the faults that strike it.
    pub(crate) fn strike(&self, request: &Asked<'_>) -> Vec<FaultAction> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        planned.retain_mut(|(rule, seen)| {
            if !rule.matches(request) {
                return true;
            }
            *seen = seen.saturating_add(1);
            let first = rule.fault.nth.unwrap_or(1);
            if *seen < first {
                return true;
            }
            due.push(rule.fault.action.clone());
            match rule.times.or(rule.fault.nth.map(|_| 1)) {
                Some(times) => *seen - first + 1 < times,
                None => true,
            }
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(path: &'a str, now: &str, object: &'a dyn Fn() -> Option<String>) -> Asked<'a> {
        Asked { method: "GET", path, now: now.parse().unwrap(), object }
    }

    fn strike(faults: &Faults, path: &str) -> Vec<FaultAction> {
        faults.strike(&asked(path, "2026-03-04T18:20:00Z", &|| None))
    }

    #[test]
    fn a_fault_strikes_the_nth_match_and_no_other() {
        let faults = Faults::default();
        let fault = Fault { path_contains: "/query".to_owned(), nth: 2, action: FaultAction::RevokeSessions };
        faults.plan(fault.into());
        assert!(strike(&faults, "/query?a").is_empty());
        assert!(strike(&faults, "/other").is_empty());
        assert_eq!(strike(&faults, "/query?b"), [FaultAction::RevokeSessions]);
        assert!(strike(&faults, "/query?c").is_empty());
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_planned_to() {
        let faults = Faults::default();
        let nth = PlannedFault { nth: Some(2), ..PlannedFault::every("/a", FaultAction::Close) };
        faults.plan(nth.times(3));
        faults.plan(PlannedFault::every("/b", FaultAction::Close).times(2));
        let struck = |path| (0..7).map(|_| strike(&faults, path).len()).collect::<Vec<_>>();
        assert_eq!(struck("/a"), [0, 1, 1, 1, 0, 0, 0]);
        assert_eq!(struck("/b"), [1, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_fault_strikes_in_its_span_of_time_and_not_before_and_not_after() {
        let faults = Faults::default();
        let span = "2026-03-04T10:00:00Z".parse().unwrap().."2026-03-04T11:00:00Z".parse().unwrap();
        faults.plan(PlannedFault::every("", FaultAction::Close).during(span));
        let at = |now| faults.strike(&asked("/", now, &|| None)).len();
        assert_eq!(at("2026-03-04T09:59:59Z"), 0);
        assert_eq!((at("2026-03-04T10:00:00Z"), at("2026-03-04T10:59:59Z")), (1, 1));
        assert_eq!(at("2026-03-04T11:00:00Z"), 0);
    }

    #[test]
    fn a_fault_of_an_object_strikes_its_queries_alone() {
        for (of, about) in [
            (QueriesOf::Any, [true, true, true, true]),
            (QueriesOf::Big, [true, false, false, false]),
            (StoredObject::LoginHistory.into(), [false, true, false, false]),
            (QueriesOf::Object("eventlogfile".to_owned()), [false, false, true, false]),
        ] {
            let faults = Faults::default();
            faults.plan(PlannedFault::every("", FaultAction::Close).of(of.clone()));
            let objects = [Some("LoginEvent"), Some("LoginHistory"), Some("EventLogFile"), None];
            let struck = objects.map(|object| {
                let object = || object.map(str::to_owned);
                !faults.strike(&asked("/", "2026-03-04T18:20:00Z", &object)).is_empty()
            });
            assert_eq!(struck, about, "{of:?}");
        }
    }
}
