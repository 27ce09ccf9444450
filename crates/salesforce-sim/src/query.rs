//! `GET /services/data/vNN.0/query`: SOQL over HTTP, page by page.
//!
//! REST guide, `dome_query` and `headers_queryoptions`: a page has at most 2,000 records, or as many as
//! `Sforce-Query-Options: batchSize=` asks for between 200 and 2,000; `nextRecordsUrl` names the next one as
//! `<locator>-<offset>`. Results are kept two days (cursor limits of API 56 and later), or as
//! long as the settings say.

mod locators;
mod record;

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

pub(crate) use self::locators::Locators;
use self::record::{Form, write_aggregates, write_record};
use crate::answer::{Answer, JSON};
use crate::cost::Failure;
use crate::damage::Strike;
use crate::event_log_file::{self, EventLogFile, FileRow};
use crate::faults::{QueryFaults, Total};
use crate::objects::{Place, StoredObject};
use crate::oddities::LocatorRefusal;
use crate::org::Org;
use crate::people::{PROFILE, TableRow, USER};
use crate::rest;
use crate::soql::eval::{Object, Plan, Row};
use crate::soql::group::Aggregates;
use crate::soql::parser::parse;
use crate::soql::{Fault, SoqlError};

#[derive(Clone)]
struct QueryResult {
    select: Vec<usize>,
    found: Found,
    page_size: usize,
    since: DateTime<Utc>,
    /// The token of the session that asked.
    session: String,
}

/// What a query selected. Of records none is held, only where each comes from.
#[derive(Clone)]
enum Found {
    Files(Arc<[EventLogFile]>),
    Records(StoredObject, Arc<[Place]>),
    Table(&'static Object, Arc<[TableRow]>),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Records(_, places) => places.len(),
            Self::Table(_, rows) => rows.len(),
        }
    }

    fn object(&self) -> &'static Object {
        match self {
            Self::Files(_) => &event_log_file::OBJECT,
            Self::Records(object, _) => object.object(),
            Self::Table(object, _) => object,
        }
    }

    /// How its records are written.
    fn form(&self, org: &Org, version: u32) -> Form {
        let (key, date, whole_seconds) = match self {
            Self::Files(_) => ("Id", "CreatedDate", true),
            Self::Table(..) => ("Id", "CreatedDate", true),
            Self::Records(object, _) => (object.key(), object.date_name(), object.has_whole_seconds()),
        };
        Form { version, doubles: org.settings.oddities.doubles, whole_seconds, key, date }
    }

    /// What is always wrong with the record at a place.
    fn damage<'a>(&self, org: &'a Org, place: usize) -> Option<Strike<'a>> {
        match self {
            Self::Files(_) | Self::Table(..) => None,
            Self::Records(object, places) => org.records().damage(*object, *places.get(place)?),
        }
    }

    /// The records from one place to another; the lengths of files are measured if they are wanted.
    fn records<'a>(
        &'a self,
        org: &'a Org,
        version: u32,
        range: Range<usize>,
        lengths: bool,
    ) -> Vec<Box<dyn Row + 'a>> {
        match self {
            Self::Files(files) => {
                if lengths {
                    org.catalogue.measure(&files[range.clone()].iter().collect::<Vec<_>>());
                }
                let row = |file| Box::new(FileRow::new(&org.catalogue, file, version)) as Box<dyn Row>;
                files[range].iter().map(row).collect()
            }
            Self::Records(object, places) => {
                let record = |place: &Place| Box::new(org.records().record(*object, *place)) as Box<dyn Row>;
                places[range].iter().map(record).collect()
            }
            Self::Table(_, rows) => {
                rows[range].iter().map(|row| Box::new(row.clone()) as Box<dyn Row>).collect()
            }
        }
    }
}

/// A query as it was asked.
pub(crate) struct Asking<'a> {
    pub(crate) version: u32,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) faults: &'a QueryFaults,
}

/// What a query comes to.
enum Outcome {
    Rows(QueryResult),
    /// The rows of an aggregate query, which come in one page.
    Groups(Vec<Aggregates>, Form),
}

/// Most rows of an aggregate query.
const MAX_GROUPS: usize = 2_000;

/// Why a query has no result.
enum NoResult {
    Soql(SoqlError),
    TooCostly(Failure),
}

impl From<SoqlError> for NoResult {
    fn from(error: SoqlError) -> Self {
        Self::Soql(error)
    }
}

/// The statement in a query string.
fn statement(query: &str) -> String {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The name of the object that a request asks, if it is a query or a further page of one.
pub(crate) fn object_asked(org: &Org, path: &str, query: &str) -> Option<String> {
    let mut segments = path.trim_start_matches("/services/data/").split('/').skip(1);
    if !matches!(segments.next(), Some("query" | "queryAll")) {
        return None;
    }
    match segments.next() {
        Some(locator) => {
            let (locator, _) = locator.rsplit_once('-')?;
            Some(org.locators.get(locator, org.clock().now())?.found.object().name.to_owned())
        }
        None => Some(parse(&statement(query)).ok()?.object.text),
    }
}

/// Runs the statement in `q` and answers with its first page.
pub(crate) fn first_page(org: &Org, query: &str, asking: &Asking<'_>) -> Answer {
    let statement = statement(query);
    let result = match run(org, &statement, asking) {
        Ok(Outcome::Rows(result)) => result,
        Ok(Outcome::Groups(rows, form)) => {
            return Answer::new(StatusCode::OK, JSON, groups(&rows, &form));
        }
        Err(NoResult::TooCostly(failure)) => return failure.answer(),
        Err(NoResult::Soql(error)) if error.fault == Fault::NotImplemented => {
            let message = format!("the simulator does not implement: {}", error.message);
            return Answer::error(StatusCode::NOT_IMPLEMENTED, error.fault.code(), &message);
        }
        Err(NoResult::Soql(error)) => {
            return Answer::error(StatusCode::BAD_REQUEST, error.fault.code(), &error.render(&statement));
        }
    };
    if result.select.is_empty() {
        let json = format!("{{\"totalSize\":{},\"done\":true,\"records\":[]}}", result.found.len());
        return Answer::new(StatusCode::OK, JSON, json.into_bytes());
    }
    let locator = (result.found.len() > result.page_size).then(|| org.locators.keep(result.clone()));
    page(org, &result, 0, locator.as_deref(), asking)
}

/// Answers with a further page, `<locator>-<offset>`.
pub(crate) fn next_page(org: &Org, locator: &str, asking: &Asking<'_>) -> Answer {
    let found = locator.rsplit_once('-').and_then(|(locator, offset)| {
        let offset = offset.parse().ok()?;
        let result = org.locators.get(locator, org.clock().now())?;
        (offset < result.found.len()).then_some((result, offset, locator))
    });
    let invalid = || Answer::error(StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let Some((result, offset, locator)) = found else { return invalid() };
    let refusal = org.settings.oddities.locator_refusal;
    match refusal.filter(|_| rest::bearer(asking.headers) != Some(&result.session)) {
        None => page(org, &result, offset, Some(locator), asking),
        Some(LocatorRefusal::BadRequest) => invalid(),
        Some(LocatorRefusal::Unauthorized) => {
            Answer::error(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid")
        }
        Some(LocatorRefusal::Forbidden) => {
            let message = "insufficient access rights on cross-reference id";
            Answer::error(StatusCode::FORBIDDEN, "INSUFFICIENT_ACCESS", message)
        }
    }
}

fn run(org: &Org, statement: &str, asking: &Asking<'_>) -> Result<Outcome, NoResult> {
    let query = parse(statement)?;
    let now = org.clock().now();
    let is = |name: &str| query.object.text.eq_ignore_ascii_case(name);
    let (plan, found, span) = match StoredObject::ALL.into_iter().find(|object| is(object.name())) {
        Some(object) => {
            let (plan, places) = org.records().query(object, &query, now)?;
            let span = plan.span(object.date());
            (plan, Found::Records(object, places.into()), span)
        }
        None if is(event_log_file::OBJECT.name) => {
            let hourly = org.settings.hourly_files;
            let (plan, rows) = org.catalogue.query(&query, hourly, asking.version, now)?;
            let span = plan.span(event_log_file::CREATED_DATE);
            (plan, Found::Files(rows.into_iter().map(|row| row.file.clone()).collect()), span)
        }
        None if is(USER.name) || is(PROFILE.name) => {
            let people = org.catalogue.people();
            let (object, rows) =
                if is(USER.name) { (&USER, people.users()) } else { (&PROFILE, people.profiles()) };
            let plan = Plan::new(&query, object, &[], now)?;
            let rows = plan.run(rows.into_iter());
            let span = (now, now);
            (plan, Found::Table(object, rows.into()), span)
        }
        None => {
            let message = format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
                 the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                query.object.text
            );
            return Err(SoqlError::new(Fault::InvalidType, query.object.at, message).into());
        }
    };
    let costs = &asking.faults.costs;
    if let Some(failure) = costs.iter().find_map(|cost| cost.failure(span, now, found.len())) {
        return Err(NoResult::TooCostly(failure));
    }
    if let Some(grouped) = &plan.grouped {
        // Nothing of it is held but the rows, which an org has few enough of where it groups them.
        let length = |place: &usize| found.object().fields[*place].name == "LogFileLength";
        let lengths = (0..found.object().fields.len()).find(length).is_some_and(|place| grouped.names(place));
        let rows = found.records(org, asking.version, 0..found.len(), lengths);
        let rows = grouped.run(rows.iter().map(AsRef::as_ref));
        if rows.len() > MAX_GROUPS {
            let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a \
                           single batch";
            return Err(SoqlError::new(Fault::ExceededIdLimit, query.object.at, message).into());
        }
        let form = found.form(org, asking.version);
        return Ok(Outcome::Groups(rows, form));
    }
    Ok(Outcome::Rows(QueryResult {
        select: plan.select,
        found,
        page_size: page_size(org, asking.headers),
        since: now,
        session: rest::bearer(asking.headers).unwrap_or("").to_owned(),
    }))
}

fn page_size(org: &Org, headers: &HeaderMap) -> usize {
    let options = headers.get("sforce-query-options").and_then(|value| value.to_str().ok()).unwrap_or("");
    let asked = options.split([',', ';']).find_map(|option| {
        let (name, value) = option.split_once('=')?;
        let size = value.trim().parse::<usize>().ok()?;
        name.trim().eq_ignore_ascii_case("batchSize").then(|| size.clamp(200, 2_000))
    });
    asked.unwrap_or(2_000).min(org.settings.page_size.max(1))
}

fn page(
    org: &Org,
    result: &QueryResult,
    offset: usize,
    locator: Option<&str>,
    asking: &Asking<'_>,
) -> Answer {
    let Asking { version, faults, .. } = *asking;
    let end = (offset + result.page_size).min(result.found.len());
    let given = offset..end.saturating_sub(faults.fewer).max(offset);
    let object = result.found.object();
    let lengths = result.select.iter().any(|field| object.fields[*field].name == "LogFileLength");
    let rows = result.found.records(org, version, given.clone(), lengths);
    let form = result.found.form(org, version);
    let total = match faults.total {
        None => Some(result.found.len() as i64),
        Some(Total::MinusOne) => Some(-1),
        Some(Total::OfThePage) => Some(rows.len() as i64),
        Some(Total::Absent) => None,
        Some(Total::Off(by)) => Some(result.found.len() as i64 + by),
    };
    let next = locator.filter(|_| end < result.found.len() && faults.fewer == 0);
    let mut json = match total {
        Some(total) => format!("{{\"totalSize\":{total},\"done\":{}", next.is_none()),
        None => format!("{{\"done\":{}", next.is_none()),
    };
    if let Some(locator) = next {
        json += &format!(",\"nextRecordsUrl\":\"/services/data/v{version}.0/query/{locator}-{end}\"");
    }
    json += ",\"records\":[";
    let mut bytes = json.into_bytes();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        let of_this_answer = faults.damages.iter().find(|(at, ..)| *at == place);
        let strike = match of_this_answer {
            Some((_, how, field)) => Some(Strike { how, field: field.as_deref() }),
            None => result.found.damage(org, given.start + place),
        };
        write_record(row.as_ref(), object, &result.select, &form, strike, &mut bytes);
    }
    bytes.extend_from_slice(b"]}");
    Answer::new(StatusCode::OK, JSON, bytes)
}

/// The answer to an aggregate query.
fn groups(rows: &[Aggregates], form: &Form) -> Vec<u8> {
    let mut bytes = format!("{{\"totalSize\":{},\"done\":true,\"records\":[", rows.len()).into_bytes();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        write_aggregates(row, form, &mut bytes);
    }
    bytes.extend_from_slice(b"]}");
    bytes
}

/// A record without damage, with all fields that `FIELDS(STANDARD)` gives.
pub(crate) fn sound(org: &Org, object: StoredObject, place: Place) -> Value {
    const VERSION: u32 = 65;
    let fields = object.object().fields;
    let standard: Vec<usize> = (0..fields.len()).filter(|place| fields[*place].related().is_none()).collect();
    let record = org.records().record(object, place);
    let (found, mut json) = (Found::Records(object, Arc::new([])), Vec::new());
    write_record(&record, object.object(), &standard, &found.form(org, VERSION), None, &mut json);
    serde_json::from_slice(&json).unwrap_or_default()
}
