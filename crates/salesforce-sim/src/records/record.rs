//! One record: when it happened, who did it, and what its fields are made of, made when it is asked for.

use std::cell::OnceCell;

use chrono::{DateTime, TimeDelta, Utc};

use super::dates::{committed, date, login_of};
use super::origin::{CROWD, Group, LAST_ID, Origin, number, scrambled, tag};
use super::store::Records;
use crate::attacks::ToldRecord;
use crate::ids::push_base62;
use crate::objects::stored::{CONSTANT_ID, Kind, StoredObject};
use crate::prng::{Rng, mix};
use crate::rows::login::Row as LoginRow;
use crate::soql::object::Value;

/// A record.
pub(crate) struct Record<'a> {
    pub(super) records: Records<'a>,
    pub(super) object: StoredObject,
    pub(super) origin: Origin,
    pub(super) date: DateTime<Utc>,
    /// When it was stored.
    pub(super) created: DateTime<Utc>,
    queryable: DateTime<Utc>,
    identifier: OnceCell<String>,
    id: OnceCell<String>,
    login: OnceCell<LoginRow>,
}

impl<'a> Record<'a> {
    pub(super) fn new(records: Records<'a>, object: StoredObject, origin: Origin) -> Self {
        let date = date(records, object, origin);
        let mut rng =
            Rng::of(&[records.store.seed, records.hour(origin).number, number(origin), tag(object)]);
        let monitored = object.is_monitored();
        let stored = date + TimeDelta::milliseconds(4_000 + rng.below(4_000) as i64);
        let settle = records.store.settings.settle.num_milliseconds().max(0) as u64;
        let late = if rng.one_in(8) { rng.below(settle + 1) as i64 } else { 0 };
        let queryable = match object.kind() {
            _ if monitored => stored + TimeDelta::milliseconds(late),
            Kind::EventLog => date + TimeDelta::seconds(1_500 + rng.below(1_200) as i64),
            Kind::Big | Kind::Ordinary => date,
        };
        let queryable = queryable.max(committed(records, object, origin, date).unwrap_or(queryable));
        let created = if monitored { stored } else { date };
        Self {
            records,
            object,
            origin,
            date,
            created,
            queryable,
            identifier: OnceCell::new(),
            id: OnceCell::new(),
            login: OnceCell::new(),
        }
    }

    /// Whether it can be queried.
    pub(super) fn is_there(&self, now: DateTime<Utc>) -> bool {
        self.queryable <= now && now - self.date <= self.object.retention()
    }

    /// `EventIdentifier`.
    pub(super) fn identifier(&self) -> &str {
        self.identifier.get_or_init(|| uuid(self.random(), mix(self.random() ^ 0x1d)))
    }

    /// A number of its own.
    pub(super) fn random(&self) -> u64 {
        let seed = self.records.store.seed ^ tag(self.object);
        scrambled(seed, self.records.hour(self.origin).number, number(self.origin))
    }

    /// A number below `bound` that `what` tells apart from the other numbers of the record.
    pub(super) fn below(&self, what: u64, bound: u64) -> u64 {
        Rng::of(&[self.random(), what]).below(bound)
    }

    /// One of some, told apart as by [`Self::below`].
    pub(super) fn pick<T>(&self, what: u64, items: &'static [T]) -> &'static T {
        Rng::of(&[self.random(), what]).pick(items)
    }

    /// Whether nothing happens that matters to security.
    pub(super) fn is_quiet(&self) -> bool {
        self.records.catalogue.is_quiet()
    }

    /// Its number among the records of its hour.
    pub(super) fn n(&self) -> u64 {
        self.origin.n
    }

    /// What an attack said of it.
    pub(super) fn told(&self) -> Option<&'a ToldRecord> {
        self.records.told(self.object, self.origin)
    }

    /// A column of the login that it came of.
    pub(super) fn login(&self, column: &str) -> Value<'_> {
        text(self.login_text(column))
    }

    /// See [`Self::login`].
    pub(super) fn login_text(&self, column: &str) -> &str {
        if let Some(told) = self.told() {
            return told.login(column);
        }
        let login = self.login.get_or_init(|| {
            let mut row = LoginRow::default();
            let hour = self.records.hour(self.origin);
            self.records.catalogue.logins().fill(hour, self.login_number(), &mut row);
            row
        });
        login.login(column)
    }

    fn login_number(&self) -> u64 {
        login_of(self.records, self.object, self.origin)
    }

    /// `Id` of the login in LoginHistory.
    pub(super) fn login_history_id(&self) -> Value<'static> {
        let number = match self.origin.group {
            Group::Hour(hour) => self.id_number(hour, self.records.store.widest, self.login_number()),
            Group::Crowd => LAST_ID - 1 - (self.login_number() - CROWD) % LAST_ID,
            Group::Told(hour) => told_id(hour, self.origin.n),
        };
        Value::Text(self.records.store.history_ids.nth_18(number).into())
    }

    /// `Id`.
    pub(super) fn id(&self) -> &str {
        self.id.get_or_init(|| {
            let store = self.records.store;
            let (ids, widest) = match self.object {
                StoredObject::LoginHistory => (&store.history_ids, store.widest),
                StoredObject::SetupAuditTrail => {
                    (&store.audit_ids, store.settings.audit_rows_per_hour.into())
                }
                StoredObject::ApiAnomalyEventStore => {
                    (&store.anomaly_ids, store.settings.anomaly_rows_per_hour.into())
                }
                object if object.kind() == Kind::Ordinary => (&store.anomaly_ids, 1),
                _ => return CONSTANT_ID.to_owned(),
            };
            ids.nth_18(match self.origin.group {
                Group::Hour(hour) => self.id_number(hour, widest, self.origin.n),
                Group::Crowd => LAST_ID - 1 - self.origin.n % LAST_ID,
                Group::Told(hour) => told_id(hour, self.origin.n),
            })
        })
    }

    fn id_number(&self, hour: usize, widest: u64, n: u64) -> u64 {
        (hour as u64 * widest + n) % LAST_ID
    }

    /// `Id` of the automated process user, who stores events.
    pub(super) fn created_by(&self) -> Value<'_> {
        Value::Text(self.records.store.created_by.as_str().into())
    }

    /// `Id` of one of the reports of the org.
    pub(super) fn report_id(&self, number: u64) -> Value<'static> {
        Value::Text(self.records.store.report_ids.nth_18(number).into())
    }

    /// Id of one of the users of the org, by number.
    pub(super) fn user_id(&self, number: u64) -> String {
        self.records.store.users.nth_18(number)
    }

    /// A key of 16 characters, such as that of a session.
    pub(super) fn key(&self, what: u64) -> Value<'static> {
        let mut key = Vec::with_capacity(16);
        push_base62(&mut key, mix(self.random() ^ what), 11);
        push_base62(&mut key, self.below(what, 1 << 29), 5);
        Value::Text(String::from_utf8_lossy(&key).into_owned().into())
    }
}

/// The number of the id of a record that an attack told of: far from those of the workload and of the crowd.
fn told_id(hour: usize, n: u64) -> u64 {
    (LAST_ID / 2 + hour as u64 * 100_000 + n) % LAST_ID
}

/// A text, or nothing.
pub(super) fn text(text: &str) -> Value<'_> {
    if text.is_empty() { Value::Null } else { Value::Text(text.into()) }
}

/// A UUID of these bits, marked as version 4.
fn uuid(first: u64, second: u64) -> String {
    let text = format!("{first:016x}{second:016x}");
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[12..15], &text[15..18], &text[18..30])
}
