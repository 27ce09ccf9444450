//! LoginEvent and LogoutEvent, stored events of Real-Time Event Monitoring.
//!
//! Platform events guide, `sforce_api_objects_loginevent` and `sforce_api_objects_logoutevent`: big objects with the index
//! (EventDate, EventIdentifier). WHERE takes a condition on EventDate, or EventDate `=` and after it one on
//! EventIdentifier; there is no `!=`, `LIKE`, `OR`, `NOT`, `IN` and no aggregate. A range of two conditions on EventDate is
//! accepted, as production collectors use it. Records come newest first, and their `Id` is one constant. Too wide a range
//! ends with QUERY_TIMEOUT.
//!
//! A record is made out of the row of the Login file that tells of the same login, so both agree. `CreatedDate` is 4 to 8
//! seconds after `EventDate`; a record becomes queryable then, or later within the settle delay.

use chrono::{DateTime, TimeDelta, Utc};

use crate::event_log_file::Catalogue;
use crate::ids::{Ids, push_base62};
use crate::login_rows::{Hour, LOGS_OUT, Row as LoginRow};
use crate::prng::{Rng, mix};
use crate::settings::Objects;
use crate::soql::eval::{Condition, FieldType, Object, Plan, Row, Value, field, unfilterable};
use crate::soql::parser::{Literal, Operator, Query};
use crate::soql::{Fault, SoqlError};

/// `Id` of every record.
pub(crate) const CONSTANT_ID: &str = "000000000000000AAA";

const EVENT_DATE: usize = 0;
const EVENT_IDENTIFIER: usize = 1;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BigObject {
    Login,
    Logout,
}

/// Where a record comes from: the hour of its login and the row in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    hour: usize,
    index: u64,
}

/// A record.
pub(crate) struct Event {
    object: BigObject,
    place: Place,
    login: LoginRow,
    event_date: DateTime<Utc>,
    created_date: DateTime<Utc>,
    queryable: DateTime<Utc>,
    identifier: String,
    session_key: String,
}

impl BigObject {
    /// The object as SOQL sees it.
    pub(crate) fn object(self) -> &'static Object {
        match self {
            Self::Login => &LOGIN_EVENT,
            Self::Logout => &LOGOUT_EVENT,
        }
    }

    /// The time from a login to the event.
    fn after_login(self) -> TimeDelta {
        match self {
            Self::Login => TimeDelta::zero(),
            Self::Logout => TimeDelta::hours(1),
        }
    }

    /// How many records come from an hour of logins.
    fn records(self, hour: &Hour) -> u64 {
        match self {
            Self::Login => hour.rows,
            Self::Logout => hour.rows.div_ceil(LOGS_OUT),
        }
    }

    /// The records of one hour of logins, in no order.
    fn of_hour(self, source: Source<'_>, hour: usize) -> impl Iterator<Item = Event> {
        let step = if self == Self::Login { 1 } else { LOGS_OUT };
        let count = self.records(&source.catalogue.hours()[hour]);
        (0..count).map(move |n| source.event(self, Place { hour, index: n * step }))
    }
}

/// The records of an org.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) seed: u64,
    pub(crate) objects: &'a Objects,
}

impl<'a> Source<'a> {
    /// Runs a query: the places of the records that it selects, newest first.
    pub(crate) fn query(
        &self,
        object: BigObject,
        query: &Query,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<Place>), SoqlError> {
        let plan = Plan::new(query, object.object(), &[])?;
        check(&plan, query)?;
        let (from, to) = bounds(&plan);
        let limit = plan.limit.unwrap_or(usize::MAX);
        let (mut found, mut seen) = (Vec::new(), 0);
        for (place, hour) in self.catalogue.hours().iter().enumerate().rev() {
            let start = hour.start() + object.after_login();
            if start > to || start + TimeDelta::hours(1) < from {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            let inside = start >= from && start + TimeDelta::hours(1) <= to.min(now);
            // A whole hour counts before it is made, so that a query that will not end in time is not waited for.
            if inside && seen + object.records(hour) > self.objects.max_rows {
                return Err(timeout());
            }
            let mut of_hour: Vec<(DateTime<Utc>, String, Place)> = object
                .of_hour(*self, place)
                .filter(|event| event.queryable <= now && plan.selects(event))
                .map(|event| (event.event_date, event.identifier, event.place))
                .collect();
            seen += of_hour.len() as u64;
            if seen > self.objects.max_rows {
                return Err(timeout());
            }
            of_hour.sort_unstable_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
            found.extend(of_hour.into_iter().map(|(_, _, place)| place));
        }
        found.truncate(limit);
        Ok((plan, found))
    }

    /// The record at a place.
    pub(crate) fn event(&self, object: BigObject, place: Place) -> Event {
        let hour = &self.catalogue.hours()[place.hour];
        let mut login = LoginRow::default();
        self.catalogue.fill(place.hour, place.index, &mut login);
        let at = login.login("TIMESTAMP_DERIVED").parse::<DateTime<Utc>>().unwrap_or_default();
        let tag = if object == BigObject::Login { 0x1e } else { 0x0e };
        let mut rng = Rng::of(&[self.seed, hour.number, place.index, tag]);
        let event_date = match object {
            BigObject::Login => at,
            BigObject::Logout => logout_time(self.seed, hour, place.index, at),
        };
        let created_date = event_date + TimeDelta::milliseconds(4_000 + rng.below(4_000) as i64);
        let settle = self.objects.settle.num_milliseconds().max(0) as u64;
        let late = if rng.one_in(8) { rng.below(settle + 1) as i64 } else { 0 };
        // The first half is a bijection of (hour, index), and each object has its own.
        let first = mix(self.seed ^ tag ^ mix(hour.number << 36 ^ place.index));
        let mut session_key = Vec::new();
        push_base62(&mut session_key, mix(first), 16);
        Event {
            object,
            place,
            event_date,
            created_date,
            queryable: created_date + TimeDelta::milliseconds(late),
            identifier: uuid(first, rng.next()),
            session_key: String::from_utf8(session_key).unwrap_or_default(),
            login,
        }
    }

    /// EventIdentifier of every record that is queryable at `now` and happened in the span, newest hour first.
    pub(crate) fn identifiers(
        self,
        object: BigObject,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = String> + 'a {
        let near = move |hour: &Hour| {
            let start = hour.start() + object.after_login();
            start < to && start + TimeDelta::hours(1) > from
        };
        let hours = self.catalogue.hours().iter().enumerate().rev().filter(move |(_, hour)| near(hour));
        hours
            .flat_map(move |(place, _)| object.of_hour(self, place))
            .filter(move |event| event.queryable <= now && from <= event.event_date && event.event_date < to)
            .map(|event| event.identifier)
    }
}

/// When the user of a login logs out: an hour later and up to a minute, within that hour.
pub(crate) fn logout_time(seed: u64, hour: &Hour, index: u64, login: DateTime<Utc>) -> DateTime<Utc> {
    let millis = (login - hour.start()).num_milliseconds()
        + Rng::of(&[seed, hour.number, index, 0x10]).below(60_000) as i64;
    hour.start() + TimeDelta::hours(1) + TimeDelta::milliseconds(millis.clamp(0, 3_599_999))
}

fn timeout() -> SoqlError {
    SoqlError::new(Fault::QueryTimeout, 0, "Your query request was running for too long.")
}

/// What the index of a big object does not serve is refused.
fn check(plan: &Plan, query: &Query) -> Result<(), SoqlError> {
    let refuse =
        |at: usize, message: &str| Err(SoqlError::new(Fault::BigObjectUnsupportedOperation, at, message));
    if plan.select.is_empty() {
        return refuse(query.object.at, "aggregate functions are not supported on big objects");
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
    let mut compared = Vec::new();
    for term in terms {
        match term {
            Condition::Compare(_, Operator::NotEqual | Operator::Like, _)
            | Condition::Compare(_, _, Literal::Null) => {
                return refuse(query.object.at, "big objects are filtered with =, <, >, <= and >= alone");
            }
            Condition::Compare(field, operator, _) => compared.push((*field, *operator)),
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

/// The span of EventDate that a filter leaves, both ends included.
fn bounds(plan: &Plan) -> (DateTime<Utc>, DateTime<Utc>) {
    let terms: &[Condition] = match &plan.filter {
        Some(Condition::All(terms)) => terms,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let (mut from, mut to) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    for term in terms {
        if let Condition::Compare(EVENT_DATE, operator, Literal::DateTime(at)) = term {
            if matches!(operator, Operator::Equal | Operator::Greater | Operator::GreaterOrEqual) {
                from = from.max(*at);
            }
            if matches!(operator, Operator::Equal | Operator::Less | Operator::LessOrEqual) {
                to = to.min(*at);
            }
        }
    }
    (from, to)
}

/// A UUID of these bits, marked as version 4.
fn uuid(first: u64, second: u64) -> String {
    let text = format!("{first:016x}{second:016x}");
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[12..15], &text[15..18], &text[18..30])
}

impl Row for Event {
    fn value(&self, field: usize) -> Value<'_> {
        let text = |text: &str| match text {
            "" => Value::Null,
            text => Value::Text(text.to_owned().into()),
        };
        let login = |column: &str| text(self.login.login(column));
        match self.object.object().fields[field].name {
            "EventDate" => Value::DateTime(self.event_date),
            "EventIdentifier" => Value::Text(self.identifier.as_str().into()),
            "Id" => Value::Text(CONSTANT_ID.into()),
            "CreatedDate" => Value::DateTime(self.created_date),
            "CreatedById" => Value::Text(Ids::new("005", 1).nth_18(0).into()),
            "ApiType" => login("API_TYPE"),
            "ApiVersion" => login("API_VERSION"),
            "Application" => text(match self.login.login("LOGIN_TYPE") {
                "A" | "8" => "Browser",
                "I" => "Data Loader",
                "6" => "Salesforce for iOS",
                _ => "Log collector",
            }),
            "AuthMethodReference" => login("AUTHENTICATION_METHOD_REFERENCE"),
            "AuthServiceId" => login("AUTHENTICATION_SERVICE_ID"),
            "Browser" => login("BROWSER_TYPE"),
            "CipherSuite" => login("CIPHER_SUITE"),
            "CountryIso" => login("COUNTRY_CODE"),
            "EvaluationTime" => Value::Double(0.0),
            "ForwardedForIp" => login("FORWARDED_FOR_IP"),
            "HttpMethod" => text("POST"),
            "HttpReferer" => login("HTTP_REFERER"),
            "LoginKey" => login("LOGIN_KEY"),
            "LoginSubType" => login("LOGIN_SUB_TYPE"),
            "LoginType" => text(match self.login.login("LOGIN_TYPE") {
                "A" => "Application",
                "8" => "SAML Sfdc Initiated SSO",
                "i" => "Remote Access 2.0",
                "6" => "Remote Access Client",
                _ => "Other Apex API",
            }),
            "LoginUrl" => login("LOGIN_URL"),
            "Platform" => text(if self.login.login("BROWSER_TYPE").contains("Windows") {
                "Windows 10"
            } else {
                "Unknown"
            }),
            "SessionKey" if self.object == BigObject::Logout => text(&self.session_key),
            "SessionLevel" => text("STANDARD"),
            "SourceIp" => login("SOURCE_IP"),
            "Status" => text(match self.login.login("LOGIN_STATUS") {
                "LOGIN_NO_ERROR" => "Success",
                "LOGIN_ERROR_INVALID_PASSWORD" => "Invalid Password",
                "LOGIN_ERROR_INVALID_USERNAME" => "Failed: Invalid Username",
                "LOGIN_ERROR_PASSWORD_LOCKOUT" => "Password Lockout",
                "LOGIN_ERROR_RESTRICTED_DOMAIN" => "Restricted IP",
                "LOGIN_ERROR_EXPIRED_PASSWORD" => "Failed: Expired Password",
                _ => "Failed: InResponseTo Invalid",
            }),
            "TlsProtocol" => {
                text(if self.login.login("TLS_PROTOCOL") == "TLSv1.3" { "TLS 1.3" } else { "TLS 1.2" })
            }
            "UseApiToken" => login("USE_API_TOKEN"),
            "UserId" => login("USER_ID_DERIVED"),
            "Username" => login("USER_NAME"),
            "UserType" => login("USER_TYPE"),
            _ => Value::Null,
        }
    }
}

/// Fields of LoginEvent; only the first two are filtered and sorted by.
const LOGIN_EVENT: Object = Object {
    name: "LoginEvent",
    fields: &[
        field("EventDate", FieldType::DateTime),
        field("EventIdentifier", FieldType::Text),
        unfilterable("Id", FieldType::Id),
        unfilterable("AdditionalInfo", FieldType::Text),
        unfilterable("ApiType", FieldType::Text),
        unfilterable("ApiVersion", FieldType::Text),
        unfilterable("Application", FieldType::Text),
        unfilterable("AuthMethodReference", FieldType::Text),
        unfilterable("AuthServiceId", FieldType::Id),
        unfilterable("Browser", FieldType::Text),
        unfilterable("CipherSuite", FieldType::Text),
        unfilterable("City", FieldType::Text),
        unfilterable("ClientVersion", FieldType::Text),
        unfilterable("Country", FieldType::Text),
        unfilterable("CountryIso", FieldType::Text),
        unfilterable("CreatedById", FieldType::Id),
        unfilterable("CreatedDate", FieldType::DateTime),
        unfilterable("EvaluationTime", FieldType::Double),
        unfilterable("ForwardedForIp", FieldType::Text),
        unfilterable("HttpMethod", FieldType::Text),
        unfilterable("HttpReferer", FieldType::Text),
        unfilterable("LoginGeoId", FieldType::Id),
        unfilterable("LoginHistoryId", FieldType::Id),
        unfilterable("LoginKey", FieldType::Text),
        unfilterable("LoginLatitude", FieldType::Double),
        unfilterable("LoginLongitude", FieldType::Double),
        unfilterable("LoginSubType", FieldType::Text),
        unfilterable("LoginType", FieldType::Text),
        unfilterable("LoginUrl", FieldType::Text),
        unfilterable("NetworkId", FieldType::Id),
        unfilterable("Platform", FieldType::Text),
        unfilterable("PolicyId", FieldType::Id),
        unfilterable("PolicyOutcome", FieldType::Text),
        unfilterable("PostalCode", FieldType::Text),
        unfilterable("RelatedEventIdentifier", FieldType::Text),
        unfilterable("RemoteIdentifier", FieldType::Text),
        unfilterable("SessionKey", FieldType::Text),
        unfilterable("SessionLevel", FieldType::Text),
        unfilterable("SourceIp", FieldType::Text),
        unfilterable("Status", FieldType::Text),
        unfilterable("Subdivision", FieldType::Text),
        unfilterable("TlsProtocol", FieldType::Text),
        unfilterable("UseApiToken", FieldType::Text),
        unfilterable("UserId", FieldType::Id),
        unfilterable("Username", FieldType::Text),
        unfilterable("UserType", FieldType::Text),
    ],
};

const LOGOUT_EVENT: Object = Object {
    name: "LogoutEvent",
    fields: &[
        field("EventDate", FieldType::DateTime),
        field("EventIdentifier", FieldType::Text),
        unfilterable("Id", FieldType::Id),
        unfilterable("CreatedById", FieldType::Id),
        unfilterable("CreatedDate", FieldType::DateTime),
        unfilterable("LoginKey", FieldType::Text),
        unfilterable("RelatedEventIdentifier", FieldType::Text),
        unfilterable("SessionKey", FieldType::Text),
        unfilterable("SessionLevel", FieldType::Text),
        unfilterable("SourceIp", FieldType::Text),
        unfilterable("UserId", FieldType::Id),
        unfilterable("Username", FieldType::Text),
    ],
};
