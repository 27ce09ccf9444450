//! Which requests a fault strikes, and when.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::action::FaultAction;
use crate::objects::stored::{Kind, StoredObject};

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

    pub(super) fn matches(&self, request: &Asked<'_>) -> bool {
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

/// A request as faults see it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// With its query, as sent.
    pub(crate) path: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The object that it asks, found out only where a fault wants to know.
    pub(crate) object: &'a dyn Fn() -> Option<String>,
}
