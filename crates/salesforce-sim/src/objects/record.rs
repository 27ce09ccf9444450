//! One record: when it happened, who did it, and its fields, made when they are asked for.

use std::cell::OnceCell;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::{CROWD, Group, Kind, LAST_ID, Place, Records, StoredObject, scrambled};
use super::{api, audit_trail, aura, login, report};
use crate::damage::{Damage, DamagedRecord, Strike, first_text, has_text};
use crate::ids::push_base62;
use crate::login_rows::{Hour, LOGS_OUT, Row as LoginRow, logout_millis};
use crate::prng::{Rng, mix};
use crate::soql::eval::{Row, Value};
use crate::truth::event_id;

/// `Id` of every record of a big object, and of an Event Log Object.
pub(crate) const CONSTANT_ID: &str = "000000000000000AAA";

/// Milliseconds at most from a login to what its user does then.
const ACTS_WITHIN: u64 = 30_000;

/// A record.
pub(crate) struct Record<'a> {
    records: Records<'a>,
    pub(super) object: StoredObject,
    pub(super) place: Place,
    pub(super) date: DateTime<Utc>,
    /// When it was stored.
    pub(super) created: DateTime<Utc>,
    queryable: DateTime<Utc>,
    identifier: OnceCell<String>,
    id: OnceCell<String>,
    login: OnceCell<LoginRow>,
}

impl<'a> Record<'a> {
    pub(super) fn new(records: Records<'a>, object: StoredObject, place: Place) -> Self {
        let date = date(records, object, place);
        let mut rng = Rng::of(&[records.store.seed, hour(records, place).number, number(place), tag(object)]);
        let monitored = object.kind() == Kind::Big || object == StoredObject::ApiAnomalyEventStore;
        let stored = date + TimeDelta::milliseconds(4_000 + rng.below(4_000) as i64);
        let settle = records.store.settings.settle.num_milliseconds().max(0) as u64;
        let late = if rng.one_in(8) { rng.below(settle + 1) as i64 } else { 0 };
        let queryable = match object.kind() {
            _ if monitored => stored + TimeDelta::milliseconds(late),
            Kind::EventLog => date + TimeDelta::seconds(1_500 + rng.below(1_200) as i64),
            Kind::Big | Kind::Ordinary => date,
        };
        let queryable = queryable.max(committed(records, object, place, date).unwrap_or(queryable));
        let created = if monitored { stored } else { date };
        Self {
            records,
            object,
            place,
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
        scrambled(seed, hour(self.records, self.place).number, number(self.place))
    }

    /// A number below `bound` that `what` tells apart from the other numbers of the record.
    pub(super) fn below(&self, what: u64, bound: u64) -> u64 {
        Rng::of(&[self.random(), what]).below(bound)
    }

    /// One of some, told apart as by [`Self::below`].
    pub(super) fn pick<T>(&self, what: u64, items: &'static [T]) -> &'static T {
        Rng::of(&[self.random(), what]).pick(items)
    }

    /// Its number among the records of its hour.
    pub(super) fn n(&self) -> u64 {
        self.place.n
    }

    /// A column of the login that it came of.
    pub(super) fn login(&self, column: &str) -> Value<'_> {
        text(self.login_text(column))
    }

    /// See [`Self::login`].
    pub(super) fn login_text(&self, column: &str) -> &str {
        let login = self.login.get_or_init(|| {
            let mut row = LoginRow::default();
            let hour = hour(self.records, self.place);
            self.records.catalogue.logins().fill(hour, self.login_number(), &mut row);
            row
        });
        login.login(column)
    }

    fn login_number(&self) -> u64 {
        login_of(self.records, self.object, self.place)
    }

    /// `Id` of the login in LoginHistory.
    pub(super) fn login_history_id(&self) -> Value<'static> {
        let number = match self.place.group {
            Group::Hour(hour) => self.id_number(hour, self.records.store.widest, self.login_number()),
            Group::Crowd => LAST_ID - 1 - (self.login_number() - CROWD) % LAST_ID,
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
                _ => return CONSTANT_ID.to_owned(),
            };
            ids.nth_18(match self.place.group {
                Group::Hour(hour) => self.id_number(hour, widest, self.place.n),
                Group::Crowd => LAST_ID - 1 - self.place.n % LAST_ID,
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

    /// A field of the user that a field of this record refers to, such as `CreatedBy.Name`.
    fn of_user(&self, (relationship, field): (&str, &str)) -> Value<'_> {
        let fields = self.object.object().fields;
        let lookup = fields.iter().position(|field| field.name.strip_suffix("Id") == Some(relationship));
        let Some(Value::Text(id)) = lookup.map(|place| self.value(place)) else { return Value::Null };
        self.records.catalogue.people().field_of(&id, field)
    }

    /// A key of 16 characters, such as that of a session.
    pub(super) fn key(&self, what: u64) -> Value<'static> {
        let mut key = Vec::with_capacity(16);
        push_base62(&mut key, mix(self.random() ^ what), 11);
        push_base62(&mut key, self.below(what, 1 << 29), 5);
        Value::Text(String::from_utf8_lossy(&key).into_owned().into())
    }

    /// What is wrong with it; `sound` gives what it is without that.
    pub(crate) fn damaged(&self, sound: impl Fn(Place) -> serde_json::Value) -> Option<DamagedRecord> {
        let Strike { how, field } = self.records.damage(self.object, self.place)?;
        let (key, fields) = (self.object.key(), self.object.object().fields);
        let place = |name: &str| fields.iter().position(|field| field.name == name);
        let field = match how {
            Damage::Record(_) => None,
            Damage::Value { field, .. } => Some(place(field)?),
            Damage::NullDate | Damage::UnreadableDate => Some(self.object.date()),
            Damage::MissingKey | Damage::NullKey => Some(place(key)?),
            Damage::LoneSurrogate | Damage::ControlCharacter | Damage::NotUtf8 => {
                let all: Vec<usize> = (0..fields.len()).collect();
                let of_choice = || first_text(self, self.object.object(), &all, key);
                let text = field.map_or_else(of_choice, place)?;
                Some(text).filter(|text| has_text(self, *text)).map(Some)?
            }
        };
        let field = field.map(|place| fields[place].name.to_owned());
        // A record without a key of its own has all its fields for one.
        let keyless = self.object.kind() == Kind::EventLog;
        Some(DamagedRecord {
            event_id: self.event_id(),
            id_survives: !keyless && field.as_deref().is_some_and(|field| field != key),
            number: self.records.number(self.object, self.place)?,
            date: self.date,
            how: how.clone(),
            field,
            sound: sound(self.place),
        })
    }

    /// The `event.id` that a collection gives it.
    pub(crate) fn event_id(&self) -> String {
        match self.object.kind() {
            Kind::Big => self.identifier().to_owned(),
            Kind::Ordinary => self.id().to_owned(),
            Kind::EventLog => {
                let fields = self.object.object().fields.iter().enumerate();
                let texts: Vec<(&str, String)> = fields
                    .filter_map(|(place, field)| {
                        Some((
                            field.name,
                            self.value(place).as_json_gives_it(self.records.store.oddities.doubles)?,
                        ))
                    })
                    .collect();
                event_id(texts.iter().map(|(name, text)| (*name, text.as_bytes()))).to_string()
            }
        }
    }
}

impl Row for Record<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        let field = &self.object.object().fields[field];
        if let Some(related) = field.related() {
            return self.of_user(related);
        }
        let name = field.name;
        match self.object {
            StoredObject::LoginEvent | StoredObject::LogoutEvent | StoredObject::LoginHistory => {
                login::value(self, name)
            }
            StoredObject::ApiEvent | StoredObject::ApiAnomalyEventStore => api::value(self, name),
            StoredObject::ReportEvent => report::value(self, name),
            StoredObject::SetupAuditTrail => audit_trail::value(self, name),
            StoredObject::AuraRequestEventLog => aura::value(self, name),
        }
    }
}

/// When a record that is one of [`Oddities::late`](crate::Oddities::late) can be queried.
fn committed(
    records: Records<'_>,
    object: StoredObject,
    place: Place,
    date: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let number = records.number(object, place)?;
    let late = records.store.oddities.late.iter().filter(|late| {
        late.object == object && (late.from..late.committed).contains(&date) && late.which.has(number)
    });
    late.map(|late| late.committed).max()
}

/// A text, or nothing.
pub(super) fn text(text: &str) -> Value<'_> {
    if text.is_empty() { Value::Null } else { Value::Text(text.into()) }
}

/// Tells the objects of an org apart where they draw from one seed.
fn tag(object: StoredObject) -> u64 {
    0x0b1 + ((object as u64) << 12)
}

fn hour<'a>(records: Records<'a>, place: Place) -> &'a Hour {
    match place.group {
        Group::Hour(hour) => &records.catalogue.hours()[hour],
        Group::Crowd => &records.store.crowd,
    }
}

/// The number of a record in its hour; that of the crowd is none of an hour's.
fn number(place: Place) -> u64 {
    match place.group {
        Group::Hour(_) => place.n,
        Group::Crowd => CROWD + place.n,
    }
}

/// The login that a record came of, by its number in the hour. Only logins that went well lead to anything: every fourth
/// does for sure.
fn login_of(records: Records<'_>, object: StoredObject, place: Place) -> u64 {
    match (place.group, object) {
        (_, StoredObject::LoginEvent | StoredObject::LoginHistory) => number(place),
        (Group::Hour(_), StoredObject::LogoutEvent) => place.n * LOGS_OUT,
        (Group::Hour(hour), _) => {
            let hour = &records.catalogue.hours()[hour];
            nth_login(hour, records.count(object, hour), place.n)
        }
        (Group::Crowd, _) => CROWD + place.n * LOGS_OUT,
    }
}

/// The login behind record `n` of `count` in an hour.
fn nth_login(hour: &Hour, count: u64, n: u64) -> u64 {
    let good = hour.rows.div_ceil(LOGS_OUT);
    (u128::from(n) * u128::from(good) / u128::from(count.max(1))) as u64 * LOGS_OUT
}

/// A date as an object keeps it: to the millisecond, or to the second.
pub(super) fn rounded(object: StoredObject, at: DateTime<Utc>) -> DateTime<Utc> {
    let unit = if object.has_whole_seconds() { TimeDelta::seconds(1) } else { TimeDelta::milliseconds(1) };
    at.duration_trunc(unit).unwrap_or(at)
}

/// When a record happened.
fn date(records: Records<'_>, object: StoredObject, place: Place) -> DateTime<Utc> {
    let hour = match place.group {
        Group::Hour(hour) => &records.catalogue.hours()[hour],
        Group::Crowd => {
            let at = records.store.settings.crowd.as_ref().map_or(DateTime::<Utc>::MIN_UTC, |crowd| crowd.at);
            return rounded(object, at);
        }
    };
    let logins = records.catalogue.logins();
    let seed = records.store.seed;
    let millis = match object {
        StoredObject::SetupAuditTrail => {
            audit_trail::second(seed, hour, records.count(object, hour), place.n) * 1_000
        }
        StoredObject::LoginEvent => logins.millis(hour, place.n),
        StoredObject::LoginHistory => logins.millis(hour, place.n) / 1_000 * 1_000,
        StoredObject::LogoutEvent => logout_millis(logins, hour, place.n * LOGS_OUT),
        _ => {
            let login = logins.millis(hour, login_of(records, object, place));
            let left = (3_600_000 - login).min(ACTS_WITHIN);
            login + Rng::of(&[seed, hour.number, place.n, tag(object), 1]).below(left)
        }
    };
    let shown = hour.start() + object.after_logins() + TimeDelta::milliseconds(millis as i64);
    if !records.store.oddities.finer_dates.contains(&object) {
        return shown;
    }
    // More of it than is shown, but never nothing.
    let more = 1 + Rng::of(&[seed, hour.number, place.n, tag(object), 2]).below(999) as i64;
    shown
        + if object.has_whole_seconds() {
            TimeDelta::milliseconds(more)
        } else {
            TimeDelta::microseconds(more)
        }
}

/// About when record `n` of an hour happened, in milliseconds; never less for a later one. See [`slack`].
pub(super) fn about(records: Records<'_>, object: StoredObject, hour: &Hour, n: u64) -> i64 {
    let login = match object {
        StoredObject::LoginEvent | StoredObject::LoginHistory => n,
        StoredObject::LogoutEvent => n * LOGS_OUT,
        StoredObject::SetupAuditTrail => {
            return audit_trail::earliest(records.count(object, hour), n) as i64 * 1_000;
        }
        _ => nth_login(hour, records.count(object, hour), n),
    };
    (u128::from(login) * 3_600_000 / u128::from(hour.rows.max(1))) as i64
}

/// How many milliseconds before [`about`] a record can have happened, and how many after it.
pub(super) fn slack(records: Records<'_>, object: StoredObject, hour: &Hour) -> (i64, i64) {
    match object {
        StoredObject::SetupAuditTrail => (0, audit_trail::spread(records.count(object, hour)) as i64 * 1_000),
        // A login is up to four seconds later than its number says, and may be cut to its second.
        _ => (1_000, 4_000 + 60_000),
    }
}

/// A UUID of these bits, marked as version 4.
fn uuid(first: u64, second: u64) -> String {
    let text = format!("{first:016x}{second:016x}");
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[12..15], &text[15..18], &text[18..30])
}
