//! What may be asked of an object, beyond what its fields allow.
//!
//! Platform events guide, `sforce_api_objects_loginevent`: big objects have the index (EventDate, EventIdentifier). WHERE
//! takes a condition on EventDate, or EventDate `=` and after it one on EventIdentifier; there is no `!=`, `LIKE`, `OR`,
//! `NOT`, `IN` and no aggregate; a date literal such as `TODAY` stands at the end alone. A range of two conditions on EventDate is accepted, as production collectors use it.
//!
//! A query of an Event Log Object covers 15 days at most (the Elastic integration's README says so of
//! AuraRequestEventLog; how Salesforce words the refusal was not found, the words here are the simulator's own).

use chrono::{DateTime, TimeDelta, Utc};

use crate::objects::stored::{Kind, StoredObject};
use crate::soql::error::{Fault, SoqlError};
use crate::soql::eval::{Condition, Plan};
use crate::soql::syntax::{Literal, Operator, Query};

/// Index of EventDate in big objects.
const EVENT_DATE: usize = 0;
/// Index of EventIdentifier in big objects.
const EVENT_IDENTIFIER: usize = 1;

/// How much time one query of an Event Log Object covers at most.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(15);

/// Refuses the aggregates and groups that an object has not.
pub(super) fn check_aggregates(object: StoredObject, query: &Query) -> Result<(), SoqlError> {
    let refuse = |fault, message: &str| Err(SoqlError::new(fault, query.object.at, message));
    match query.grouped {
        Some(_) if object.kind() == Kind::Big => refuse(Fault::BigObjectUnsupportedOperation, NO_AGGREGATES),
        // Its rows are counted, and nothing else is.
        Some(_) if object == StoredObject::SetupAuditTrail => {
            refuse(Fault::InvalidField, "SetupAuditTrail does not support aggregate functions and GROUP BY")
        }
        _ => Ok(()),
    }
}

const NO_AGGREGATES: &str = "aggregate functions are not supported on big objects";

/// Refuses what Salesforce refuses. `span` is what WHERE leaves of the object's date.
pub(super) fn check(
    object: StoredObject,
    plan: &Plan,
    query: &Query,
    span: (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<(), SoqlError> {
    match object.kind() {
        Kind::Big => big_object(plan, query),
        Kind::EventLog if span.1.min(now).signed_duration_since(span.0) > LONGEST_WINDOW => {
            let message = "a query of an event log object covers 15 days of Timestamp at most";
            Err(SoqlError::new(Fault::InvalidQueryFilterOperator, query.object.at, message))
        }
        Kind::EventLog | Kind::Ordinary => Ok(()),
    }
}

/// What the index of a big object does not serve is refused.
fn big_object(plan: &Plan, query: &Query) -> Result<(), SoqlError> {
    let refuse =
        |at: usize, message: &str| Err(SoqlError::new(Fault::BigObjectUnsupportedOperation, at, message));
    if plan.select.is_empty() {
        return refuse(query.object.at, NO_AGGREGATES);
    }
    if plan.order.iter().any(|(field, descending, _)| *field != EVENT_DATE || !descending)
        || plan.order.len() > 1
    {
        return refuse(query.order[0].field.at, "big objects are sorted by EventDate DESC alone");
    }
    let terms: &[Condition] = match &plan.filter {
        None => &[],
        Some(Condition::All(terms)) => terms,
        Some(single) => std::slice::from_ref(single),
    };
    let (mut compared, mut relative) = (Vec::new(), false);
    for term in terms {
        match term {
            Condition::Compare(_, Operator::NotEqual | Operator::Like, _)
            | Condition::Compare(_, _, Literal::Null) => {
                return refuse(query.object.at, "big objects are filtered with =, <, >, <= and >= alone");
            }
            Condition::Compare(..) if relative => {
                return refuse(query.object.at, "a date literal is the last condition on a big object");
            }
            Condition::Compare(field, operator, literal) => {
                relative = matches!(literal, Literal::Span(..));
                compared.push((*field, *operator));
            }
            _ => return refuse(query.object.at, "big objects are filtered with AND alone"),
        }
    }
    let on_date = |(field, _): &(usize, Operator)| *field == EVENT_DATE;
    let both_ways = |terms: &[(usize, Operator)]| {
        let up = |(_, operator): &(usize, Operator)| {
            matches!(operator, Operator::Greater | Operator::GreaterOrEqual)
        };
        let down =
            |(_, operator): &(usize, Operator)| matches!(operator, Operator::Less | Operator::LessOrEqual);
        terms.iter().any(up) && terms.iter().any(down)
    };
    match compared.as_slice() {
        [] => Ok(()),
        [one] if on_date(one) => Ok(()),
        range @ [one, other] if on_date(one) && on_date(other) && both_ways(range) => Ok(()),
        [(EVENT_DATE, Operator::Equal), (EVENT_IDENTIFIER, _)] => Ok(()),
        _ => refuse(
            query.object.at,
            "filters must follow the index (EventDate, EventIdentifier), a range at its end alone",
        ),
    }
}
