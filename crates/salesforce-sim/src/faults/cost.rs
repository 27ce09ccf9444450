//! Queries that cost too much, and how they fail.
//!
//! Salesforce says of no query beforehand whether it ends in time. What covers too much ends in many ways (public reports:
//! airbytehq/airbyte 27969, elastic/beats 48196): an error of the REST API, an error or a page of the edge, a connection
//! that closes, or nothing at all.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// How a query fails that costs too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// 400 `QUERY_TIMEOUT`
    QueryTimeout,
    /// 500 `REQUEST_RUNNING_TOO_LONG`
    RequestRunningTooLong,
    /// 400 `OPERATION_TOO_LARGE`
    OperationTooLarge,
    /// This status with an error in JSON, as of the REST API.
    Json(u16),
    /// This status with a page in HTML, as of the edge.
    Page(u16),
    /// The connection closes before the first byte.
    Closed,
    /// Nothing comes, and the connection stays open.
    Stall,
}

/// What a query may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) widest: Option<TimeDelta>,
    pub(crate) most: Option<u64>,
    pub(crate) failure: Failure,
}

impl Cost {
    /// The failure of a query that covers this span, up to now, and would answer so many records; none if it may.
    pub(crate) fn failure(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
        records: usize,
    ) -> Option<Failure> {
        let too_wide = self.widest.is_some_and(|widest| to.min(now).signed_duration_since(from) > widest);
        let too_many = self.most.is_some_and(|most| records as u64 > most);
        (too_wide || too_many).then_some(self.failure)
    }
}
