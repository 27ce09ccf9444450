//! The objects that are queried record by record, and the records they have.
//!
//! No record is held: each is made out of its [`Place`], and a query result is a list of places. Which records a query may
//! look through follows from the condition on the date alone, so a narrow window costs little however many there are.
//!
//! - Big objects of Real-Time Event Monitoring (platform events guide): newest first, filtered as [`rules`] says, all with
//!   one constant `Id`; `EventIdentifier` is their key.
//! - Event Log Objects (object reference, `sforce_api_objects_aurarequesteventlog`): filtered and sorted as one likes, within
//!   15 days a query; `Id` is a constant here too, and there is no other key.
//! - Ordinary objects: filtered and sorted as one likes, `Id` is their key.

mod api;
mod audit_trail;
mod aura;
mod login;
mod record;
mod report;
mod rules;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

pub(crate) use self::record::{CONSTANT_ID, Record};
use crate::damage::{DamagedRecords, Strike};
use crate::event_log_file::Catalogue;
use crate::ids::Ids;
use crate::login_rows::{Hour, LOGS_OUT};
use crate::oddities::Oddities;
use crate::prng::mix;
use crate::settings::{Crowd, Objects};
use crate::soql::eval::{Field, FieldType, Object, Plan};
use crate::soql::parser::Query;
use crate::soql::{Fault, SoqlError};

/// An object whose records are queried one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum StoredObject {
    /// Stored logins; the id of an event is its `EventIdentifier`.
    LoginEvent,
    /// Stored logouts; the id of an event is its `EventIdentifier`.
    LogoutEvent,
    /// Stored API calls; the id of an event is its `EventIdentifier`.
    ApiEvent,
    /// Stored runs of reports; the id of an event is its `EventIdentifier`.
    ReportEvent,
    /// Logins as every org keeps them; the id of an event is its `Id`.
    LoginHistory,
    /// The setup audit trail; the id of an event is its `Id`.
    SetupAuditTrail,
    /// Anomalies among API calls; the id of an event is its `Id`.
    ApiAnomalyEventStore,
    /// Requests of Lightning pages. Its records have no key: the id of an event is [`crate::event_id()`] over the fields of
    /// the record as `FIELDS(STANDARD)` gives them, numbers as they stand in JSON, without `attributes`.
    AuraRequestEventLog,
}

/// The relationship that a field of an object stands for, if fields of it can be selected.
pub(crate) fn relationship(object: &Object, field: &Field) -> Option<&'static str> {
    let stem = field.name.strip_suffix("Id").filter(|_| field.kind == FieldType::Id)?;
    let of_it = |other: &Field| other.related().is_some_and(|(relationship, _)| relationship == stem);
    object.fields.iter().any(of_it).then_some(stem)
}

/// What may be asked of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Big,
    EventLog,
    Ordinary,
}

impl StoredObject {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::LoginEvent,
        Self::LogoutEvent,
        Self::ApiEvent,
        Self::ReportEvent,
        Self::LoginHistory,
        Self::SetupAuditTrail,
        Self::ApiAnomalyEventStore,
        Self::AuraRequestEventLog,
    ];

    /// Its name in SOQL.
    pub fn name(self) -> &'static str {
        self.object().name
    }

    /// The object as SOQL sees it.
    pub(crate) fn object(self) -> &'static Object {
        match self {
            Self::LoginEvent => &login::LOGIN_EVENT,
            Self::LogoutEvent => &login::LOGOUT_EVENT,
            Self::ApiEvent => &api::API_EVENT,
            Self::ReportEvent => &report::REPORT_EVENT,
            Self::LoginHistory => &login::LOGIN_HISTORY,
            Self::SetupAuditTrail => &audit_trail::SETUP_AUDIT_TRAIL,
            Self::ApiAnomalyEventStore => &api::API_ANOMALY_EVENT_STORE,
            Self::AuraRequestEventLog => &aura::AURA_REQUEST_EVENT_LOG,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::LoginEvent | Self::LogoutEvent | Self::ApiEvent | Self::ReportEvent => Kind::Big,
            Self::AuraRequestEventLog => Kind::EventLog,
            Self::LoginHistory | Self::SetupAuditTrail | Self::ApiAnomalyEventStore => Kind::Ordinary,
        }
    }

    /// The field that says when a record happened.
    pub(crate) fn date_name(self) -> &'static str {
        match self {
            Self::LoginHistory => "LoginTime",
            Self::SetupAuditTrail => "CreatedDate",
            Self::AuraRequestEventLog => "Timestamp",
            _ => "EventDate",
        }
    }

    /// Its place among the fields.
    pub(crate) fn date(self) -> usize {
        self.object().fields.iter().position(|field| field.name == self.date_name()).unwrap_or(0)
    }

    /// The field that tells its records apart, as far as one does.
    pub(crate) fn key(self) -> &'static str {
        if self.kind() == Kind::Big { "EventIdentifier" } else { "Id" }
    }

    /// Whether its dates are shown in whole seconds.
    pub(crate) fn has_whole_seconds(self) -> bool {
        matches!(self, Self::LoginHistory | Self::SetupAuditTrail)
    }

    /// How much later than an hour of logins its records happen.
    fn after_logins(self) -> TimeDelta {
        TimeDelta::hours(i64::from(self == Self::LogoutEvent))
    }

    /// How long a record is kept.
    fn retention(self) -> TimeDelta {
        if self.kind() == Kind::EventLog { TimeDelta::days(30) } else { TimeDelta::days(36_500) }
    }
}

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    group: Group,
    /// Its number within the group.
    n: u64,
}

/// Records that were made together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// An hour of logins, by its place in the catalogue.
    Hour(usize),
    /// Those of [`Objects::crowd`].
    Crowd,
}

/// Numbers of the crowd's logins begin here, so that none is that of a login of the workload.
const CROWD: u64 = 1 << 35;

/// Ids of ordinary objects are numbered from 0 by the workload and from here down by the crowd.
const LAST_ID: u64 = 56_000_000_000;

/// What the records of an org are made of, besides its logins.
pub(crate) struct Store {
    seed: u64,
    settings: Objects,
    oddities: Oddities,
    /// For objects with damaged records, the number of the first record of each hour, and of the crowd at the end.
    numbers: HashMap<StoredObject, Vec<u64>>,
    /// The hour that the crowd belongs to; it has as many logins.
    crowd: Hour,
    history_ids: Ids,
    audit_ids: Ids,
    anomaly_ids: Ids,
    report_ids: Ids,
    users: Ids,
    created_by: String,
    /// Most logins of an hour.
    widest: u64,
}

impl Store {
    pub(crate) fn new(seed: u64, settings: &Objects, oddities: &Oddities, catalogue: &Catalogue) -> Self {
        let crowd = settings.crowd.as_ref().map_or(Hour { number: 0, rows: 0 }, |crowd| Hour {
            number: crowd.at.timestamp().div_euclid(3_600).max(0) as u64,
            rows: crowd.rows,
        });
        let counted = oddities.damaged.iter().map(|damaged| damaged.object);
        let counted = counted.chain(oddities.late.iter().map(|late| late.object));
        let numbers = counted.map(|object| (object, numbers(object, settings, catalogue.hours()))).collect();
        Self {
            seed,
            settings: settings.clone(),
            oddities: oddities.clone(),
            numbers,
            crowd,
            history_ids: Ids::new("0Ya", seed),
            audit_ids: Ids::new("0Ym", seed),
            anomaly_ids: Ids::new("0bC", seed),
            report_ids: Ids::new("00O", seed),
            users: Ids::new("005", seed),
            created_by: Ids::new("005", 1).nth_18(0),
            widest: catalogue.hours().iter().map(|hour| hour.rows).max().unwrap_or(0),
        }
    }
}

/// The numbers of the first records of all hours, and how many records there are.
fn numbers(object: StoredObject, settings: &Objects, hours: &[Hour]) -> Vec<u64> {
    let counts = hours.iter().map(|hour| count(object, settings, hour));
    let ends = counts.scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    });
    [0].into_iter().chain(ends).collect()
}

/// How many records an object has in an hour of logins.
fn count(object: StoredObject, settings: &Objects, hour: &Hour) -> u64 {
    match object {
        StoredObject::LoginEvent | StoredObject::LoginHistory => hour.rows,
        StoredObject::LogoutEvent => hour.rows.div_ceil(LOGS_OUT),
        StoredObject::ApiEvent => settings.api_rows_per_hour.into(),
        StoredObject::ReportEvent => settings.report_rows_per_hour.into(),
        StoredObject::SetupAuditTrail => settings.audit_rows_per_hour.into(),
        StoredObject::ApiAnomalyEventStore => settings.anomaly_rows_per_hour.into(),
        StoredObject::AuraRequestEventLog => settings.aura_rows_per_hour.into(),
    }
}

/// The records of an org.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) store: &'a Store,
}

impl<'a> Records<'a> {
    /// Runs a query: the places of the records that it selects, in its order.
    pub(crate) fn query(
        self,
        object: StoredObject,
        query: &Query,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<Place>), SoqlError> {
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
            let records = self.places(object, &group, span).map(|place| self.record(object, place));
            held.extend(records.filter(|record| record.is_there(now) && plan.selects(record)));
            if by_group {
                held.sort_by(|a, b| in_order(object, &plan, a, b));
                found.extend(held.drain(..).map(|record| record.place));
            }
            budget.foresee(found.len() as u64)?;
        }
        held.sort_by(|a, b| in_order(object, &plan, a, b));
        found.extend(held.drain(..).map(|record| record.place));
        if object.kind() == Kind::EventLog && plan.order.is_empty() {
            // In no order that a client could rely on.
            found.sort_by_cached_key(|place| self.record(object, *place).random());
        }
        found.truncate(limit);
        Ok((plan, found))
    }

    /// The record at a place.
    pub(crate) fn record(self, object: StoredObject, place: Place) -> Record<'a> {
        Record::new(self, object, place)
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
            .flat_map(move |group| self.places(object, &group, ends))
            .map(move |place| self.record(object, place))
            .filter(move |record| record.is_there(now) && span.contains(&record.date))
    }

    /// The number of a record among those of its object; none for objects whose records nobody counts.
    fn number(self, object: StoredObject, place: Place) -> Option<u64> {
        let numbers = self.store.numbers.get(&object)?;
        let first = match place.group {
            Group::Hour(hour) => numbers.get(hour)?,
            Group::Crowd => numbers.last()?,
        };
        Some(first + place.n)
    }

    /// What is always wrong with the record at a place.
    pub(crate) fn damage(self, object: StoredObject, place: Place) -> Option<Strike<'a>> {
        let number = self.number(object, place)?;
        let of_it = |damaged: &&DamagedRecords| damaged.object == object && damaged.which.has(number);
        let DamagedRecords { how, field, .. } = self.store.oddities.damaged.iter().find(of_it)?;
        Some(Strike { how, field: field.as_deref() })
    }

    /// The groups that have records in a span, both its ends included, oldest first. Groups that overlap stand together.
    fn groups(self, object: StoredObject, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<Vec<Group>> {
        let hours = self.catalogue.hours();
        let start = |hour: &Hour| hour.start() + object.after_logins();
        let first = hours.partition_point(|hour| start(hour) + TimeDelta::hours(1) <= from);
        let end = hours.partition_point(|hour| start(hour) <= to).max(first);
        let mut groups: Vec<Vec<Group>> = (first..end).map(|place| vec![Group::Hour(place)]).collect();
        if let Some(crowd) = self.crowd(object) {
            let at = record::rounded(object, crowd.at);
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

    fn crowd(self, object: StoredObject) -> Option<&'a Crowd> {
        self.store.settings.crowd.as_ref().filter(|crowd| crowd.objects.contains(&object))
    }

    /// The places in some groups that can lie in a span.
    fn places(
        self,
        object: StoredObject,
        groups: &[Group],
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> impl Iterator<Item = Place> + use<> {
        let ranges: Vec<(Group, Range<u64>)> = groups
            .iter()
            .map(|group| match group {
                Group::Crowd => (*group, 0..self.store.crowd.rows),
                Group::Hour(place) => {
                    let hour = &self.catalogue.hours()[*place];
                    let start = hour.start() + object.after_logins();
                    let millis = |at: DateTime<Utc>| (at - start).num_milliseconds();
                    let count = self.count(object, hour);
                    // Records follow each other in time, give or take so much; an hour is cut where none can be.
                    let (early, late) = record::slack(self, object, hour);
                    let least = |n: u64| record::about(self, object, hour, n);
                    let first = point(count, |n| least(n) + late < millis(from.max(start)));
                    let end =
                        point(count, |n| least(n) <= millis(to.min(start + TimeDelta::hours(1))) + early);
                    (*group, first..end.max(first))
                }
            })
            .collect();
        ranges.into_iter().flat_map(|(group, range)| range.map(move |n| Place { group, n }))
    }

    /// How many records an object has in an hour of logins.
    fn count(self, object: StoredObject, hour: &Hour) -> u64 {
        count(object, &self.store.settings, hour)
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
            Group::Crowd => 0,
            Group::Hour(_) if self.store.oddities.late.iter().any(|late| late.object == object) => 0,
            Group::Hour(place) => {
                let hour = &self.catalogue.hours()[*place];
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

/// A number that looks random and is another one for each record of an hour.
fn scrambled(seed: u64, hour: u64, n: u64) -> u64 {
    mix(seed ^ mix(hour << 36 ^ n))
}
