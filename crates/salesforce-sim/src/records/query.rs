//! Which records a query selects.
//!
//! Which of them it may look through follows from the condition on the date alone, so a narrow window costs little however
//! many there are.

use std::cmp::Ordering;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::dates::{about, rounded, slack};
use super::origin::{Group, Origin};
use super::record::Record;
use super::rules;
use super::store::Records;
use crate::objects::stored::{Kind, StoredObject};
use crate::rows::login::Hour;
use crate::soql::error::{Fault, SoqlError};
use crate::soql::eval::Plan;
use crate::soql::syntax::Query;

impl<'a> Records<'a> {
    /// Runs a query: the origins of the records that it selects, in its order.
    pub(crate) fn query(
        self,
        object: StoredObject,
        query: &Query,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<Origin>), SoqlError> {
        rules::check_aggregates(object, query)?;
        let plan = Plan::new(query, object.object(), &[], now)?;
        let span = plan.span(object.date());
        rules::check(object, &plan, query, span, now)?;
        let descending = match object.kind() {
            Kind::Big => Some(true),
            _ => plan.sorts_by(object.date()),
        };
        let mut groups = self.groups(object, span);
        if descending == Some(true) {
            groups.reverse();
        }
        let limit = plan.limit.unwrap_or(usize::MAX);
        // Records are held for one group at a time, unless they are sorted by something else than their date.
        let by_group = descending.is_some() || plan.order.is_empty();
        let (mut found, mut held) = (Vec::new(), Vec::new());
        let budget = Budget::new(object, span, self.store.settings.max_rows);
        for group in groups {
            if by_group && found.len() >= limit {
                break;
            }
            // A whole group counts before it is made, so that a query that will not end in time is not waited for.
            budget.foresee(found.len() as u64 + self.sure(object, &group, span, now))?;
            let records = self.origins(object, &group, span).map(|origin| self.record(object, origin));
            held.extend(records.filter(|record| record.is_there(now) && plan.selects(record)));
            if by_group {
                held.sort_by(|a, b| in_order(object, &plan, a, b));
                found.extend(held.drain(..).map(|record| record.origin));
            }
            budget.foresee(found.len() as u64)?;
        }
        held.sort_by(|a, b| in_order(object, &plan, a, b));
        found.extend(held.drain(..).map(|record| record.origin));
        if object.kind() == Kind::EventLog && plan.order.is_empty() {
            // In no order that a client could rely on.
            found.sort_by_cached_key(|origin| self.record(object, *origin).random());
        }
        found.truncate(limit);
        Ok((plan, found))
    }

    /// The record of an origin.
    pub(crate) fn record(self, object: StoredObject, origin: Origin) -> Record<'a> {
        Record::new(self, object, origin)
    }

    /// The records that are there at `now` and happened in the span, group by group.
    pub(crate) fn all(
        self,
        object: StoredObject,
        span: Range<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Record<'a>> + 'a {
        let ends = (span.start, span.end);
        let groups = self.groups(object, ends).into_iter();
        groups
            .flat_map(move |group| self.origins(object, &group, ends))
            .map(move |origin| self.record(object, origin))
            .filter(move |record| record.is_there(now) && span.contains(&record.date))
    }

    /// The groups that have records in a span, both its ends included, oldest first. Groups that overlap stand together.
    fn groups(self, object: StoredObject, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<Vec<Group>> {
        let hours = self.catalogue.hours();
        let start = |hour: &Hour| hour.start() + object.after_logins();
        let first = hours.partition_point(|hour| start(hour) + TimeDelta::hours(1) <= from);
        let end = hours.partition_point(|hour| start(hour) <= to).max(first);
        let mut groups: Vec<Vec<Group>> = (first..end).map(|hour| vec![Group::Hour(hour)]).collect();
        for (group, hour) in groups.iter_mut().zip(first..end) {
            if !self.catalogue.told().records(object, hour).is_empty() {
                group.push(Group::Told(hour));
            }
        }
        if let Some(crowd) = self.crowd(object) {
            let at = rounded(object, crowd.at);
            if (from..=to).contains(&at) {
                let next = hours[first..end].partition_point(|hour| start(hour) <= at);
                match next
                    .checked_sub(1)
                    .filter(|before| start(&hours[first + before]) + TimeDelta::hours(1) > at)
                {
                    Some(same_hour) => groups[same_hour].push(Group::Crowd),
                    None => groups.insert(next, vec![Group::Crowd]),
                }
            }
        }
        groups
    }

    /// The origins in some groups that can lie in a span.
    fn origins(
        self,
        object: StoredObject,
        groups: &[Group],
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> impl Iterator<Item = Origin> + use<> {
        let ranges: Vec<(Group, Range<u64>)> = groups
            .iter()
            .map(|group| match group {
                Group::Crowd => (*group, 0..self.store.crowd.rows),
                Group::Told(hour) => (*group, 0..self.catalogue.told().records(object, *hour).len() as u64),
                Group::Hour(index) => {
                    let hour = &self.catalogue.hours()[*index];
                    let start = hour.start() + object.after_logins();
                    let millis = |at: DateTime<Utc>| (at - start).num_milliseconds();
                    let count = self.count(object, hour);
                    // Records follow each other in time, give or take so much; an hour is cut where none can be.
                    let (early, late) = slack(self, object, hour);
                    let least = |n: u64| about(self, object, hour, n);
                    let first = point(count, |n| least(n) + late < millis(from.max(start)));
                    let end =
                        point(count, |n| least(n) <= millis(to.min(start + TimeDelta::hours(1))) + early);
                    (*group, first..end.max(first))
                }
            })
            .collect();
        ranges.into_iter().flat_map(|(group, range)| range.map(move |n| Origin { group, n }))
    }

    /// How many records of some groups a query finds for sure, as far as that is known without making them.
    fn sure(
        self,
        object: StoredObject,
        groups: &[Group],
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> u64 {
        let of = |group: &Group| match group {
            Group::Crowd | Group::Told(_) => 0,
            Group::Hour(_) if self.store.oddities.late.iter().any(|late| late.object == object) => 0,
            Group::Hour(index) => {
                let hour = &self.catalogue.hours()[*index];
                let start = hour.start() + object.after_logins();
                let settled =
                    start + TimeDelta::hours(1) + TimeDelta::seconds(8) + self.store.settings.settle <= now;
                let inside = start >= from && start + TimeDelta::hours(1) <= to;
                if inside && settled { self.count(object, hour) } else { 0 }
            }
        };
        groups.iter().map(of).sum()
    }
}

/// The first number below `count` for which `before` does not hold; it must hold for all smaller ones.
fn point(count: u64, before: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Which of two records a query answers first.
fn in_order(object: StoredObject, plan: &Plan, a: &Record<'_>, b: &Record<'_>) -> Ordering {
    match object.kind() {
        Kind::Big => b.date.cmp(&a.date).then_with(|| b.identifier().cmp(a.identifier())),
        Kind::EventLog | Kind::Ordinary => plan.compare(a, b),
    }
}

/// The rows that a query may still come by.
struct Budget(Option<u64>);

impl Budget {
    fn new(object: StoredObject, (from, to): (DateTime<Utc>, DateTime<Utc>), max_rows: u64) -> Self {
        Self(Some(max_rows).filter(|_| object.kind() == Kind::Big && from != to))
    }

    fn foresee(&self, rows: u64) -> Result<(), SoqlError> {
        let message = "Your query request was running for too long.";
        match self.0 {
            Some(max) if rows > max => Err(SoqlError::new(Fault::QueryTimeout, 0, message)),
            _ => Ok(()),
        }
    }
}
