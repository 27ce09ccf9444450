//! `GET /services/data/vNN.0/query`: SOQL over HTTP, page by page.
//!
//! REST guide, `dome_query` and `headers_queryoptions`: a page has at most 2,000 records, or as many as
//! `Sforce-Query-Options: batchSize=` asks for between 200 and 2,000; `nextRecordsUrl` names the next one as
//! `<locator>-<offset>`. Results are kept two days (cursor limits of API 56 and later), or as
//! long as the settings say.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::answer::Answer;
use crate::event_log_file::{self, EventLogFile, FileRow};
use crate::ids::Ids;
use crate::objects::{CONSTANT_ID, Place, StoredObject};
use crate::org::Org;
use crate::soql::eval::{DATE_TIME, Field, Object, Row, Value};
use crate::soql::parser::parse;
use crate::soql::{Fault, SoqlError};

/// Results that have pages left to fetch.
pub(crate) struct Locators {
    ids: Ids,
    kept: TimeDelta,
    count: AtomicU64,
    results: Mutex<HashMap<String, QueryResult>>,
}

#[derive(Clone)]
struct QueryResult {
    select: Vec<usize>,
    found: Found,
    page_size: usize,
    since: DateTime<Utc>,
}

/// What a query selected. Of records none is held, only where each comes from.
#[derive(Clone)]
enum Found {
    Files(Arc<[EventLogFile]>),
    Records(StoredObject, Arc<[Place]>),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Records(_, places) => places.len(),
        }
    }

    fn object(&self) -> &'static Object {
        match self {
            Self::Files(_) => &event_log_file::OBJECT,
            Self::Records(object, _) => object.object(),
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
        }
    }
}

impl Locators {
    pub(crate) fn new(seed: u64, kept: TimeDelta) -> Self {
        Self { ids: Ids::new("0r8", seed), kept, count: AtomicU64::new(0), results: Mutex::default() }
    }

    /// Keeps a result and returns its locator; drops those that are too old.
    fn keep(&self, result: QueryResult) -> String {
        let locator = self.ids.nth_18(self.count.fetch_add(1, Ordering::SeqCst));
        let now = result.since;
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.retain(|_, kept| now - kept.since <= self.kept);
        results.insert(locator.clone(), result);
        locator
    }

    fn get(&self, locator: &str, now: DateTime<Utc>) -> Option<QueryResult> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.get(locator).filter(|kept| now - kept.since <= self.kept).cloned()
    }
}

/// Runs the statement in `q` and answers with its first page.
pub(crate) fn first_page(org: &Org, version: u32, query: &str, headers: &HeaderMap) -> Answer {
    let statement =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q").map(|(_, value)| value);
    let statement = statement.as_deref().unwrap_or("");
    let result = match run(org, version, statement, page_size(org, headers)) {
        Ok(result) => result,
        Err(error) if error.fault == Fault::NotImplemented => {
            let message = format!("the simulator does not implement: {}", error.message);
            return Answer::error(StatusCode::NOT_IMPLEMENTED, error.fault.code(), &message);
        }
        Err(error) => {
            return Answer::error(StatusCode::BAD_REQUEST, error.fault.code(), &error.render(statement));
        }
    };
    if result.select.is_empty() {
        return Answer::json(
            StatusCode::OK,
            &Page { total_size: result.found.len(), done: true, next_records_url: None, records: Vec::new() },
        );
    }
    let locator = (result.found.len() > result.page_size).then(|| org.locators.keep(result.clone()));
    page(org, version, &result, 0, locator.as_deref())
}

/// Answers with a further page, `<locator>-<offset>`.
pub(crate) fn next_page(org: &Org, version: u32, locator: &str) -> Answer {
    let found = locator.rsplit_once('-').and_then(|(locator, offset)| {
        let offset = offset.parse().ok()?;
        let result = org.locators.get(locator, org.clock().now())?;
        (offset < result.found.len()).then_some((result, offset, locator))
    });
    match found {
        Some((result, offset, locator)) => page(org, version, &result, offset, Some(locator)),
        None => Answer::error(StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    }
}

fn run(org: &Org, version: u32, statement: &str, page_size: usize) -> Result<QueryResult, SoqlError> {
    let query = parse(statement)?;
    let now = org.clock().now();
    let is = |name: &str| query.object.text.eq_ignore_ascii_case(name);
    let (plan, found) = match StoredObject::ALL.into_iter().find(|object| is(object.name())) {
        Some(object) => {
            let (plan, places) = org.records().query(object, &query, now)?;
            (plan, Found::Records(object, places.into()))
        }
        None if is(event_log_file::OBJECT.name) => {
            let (plan, rows) = org.catalogue.query(&query, org.settings.hourly_files, version, now)?;
            (plan, Found::Files(rows.into_iter().map(|row| row.file.clone()).collect()))
        }
        None => {
            let message = format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
                 the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                query.object.text
            );
            return Err(SoqlError::new(Fault::InvalidType, query.object.at, message));
        }
    };
    Ok(QueryResult { select: plan.select, found, page_size, since: now })
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

fn page(org: &Org, version: u32, result: &QueryResult, offset: usize, locator: Option<&str>) -> Answer {
    let end = (offset + result.page_size).min(result.found.len());
    let object = result.found.object();
    let lengths = result.select.iter().any(|field| object.fields[*field].name == "LogFileLength");
    let rows = result.found.records(org, version, offset..end, lengths);
    let records =
        rows.into_iter().map(|row| Record { row, object, version, select: &result.select }).collect();
    let next = locator.filter(|_| end < result.found.len());
    Answer::json(
        StatusCode::OK,
        &Page {
            total_size: result.found.len(),
            done: next.is_none(),
            next_records_url: next
                .map(|locator| format!("/services/data/v{version}.0/query/{locator}-{end}")),
            records,
        },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    total_size: usize,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_records_url: Option<String>,
    records: Vec<Record<'a>>,
}

/// A record: its attributes, then the fields in the order of SELECT.
struct Record<'a> {
    row: Box<dyn Row + 'a>,
    object: &'static Object,
    version: u32,
    select: &'a [usize],
}

#[derive(Serialize)]
struct Attributes {
    r#type: &'static str,
    url: String,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_map(Some(self.select.len() + 1))?;
        let id = self.object.fields.iter().position(|field| field.name == "Id").map(|id| self.row.value(id));
        let id = if let Some(Value::Text(id)) = id { id } else { CONSTANT_ID.into() };
        let Self { object: Object { name: r#type, .. }, version, .. } = self;
        let url = format!("/services/data/v{version}.0/sobjects/{type}/{id}");
        let attributes = Attributes { r#type, url };
        record.serialize_entry("attributes", &attributes)?;
        let field = |place: &usize| &self.object.fields[*place];
        for (n, place) in self.select.iter().enumerate() {
            let Some((relationship, _)) = field(place).related() else {
                record.serialize_entry(field(place).name, &Json(self.row.value(*place)))?;
                continue;
            };
            // Fields of one related record stand together, where the first of them was asked for.
            let of_it = |place: &&usize| field(place).related().is_some_and(|(of, _)| of == relationship);
            if !self.select[..n].iter().any(|before| of_it(&before)) {
                let fields: Vec<usize> = self.select.iter().filter(of_it).copied().collect();
                record.serialize_entry(relationship, &Related { record: self, relationship, fields })?;
            }
        }
        record.end()
    }
}

/// The user that a record refers to, with the fields that were asked for.
struct Related<'a> {
    record: &'a Record<'a>,
    relationship: &'static str,
    fields: Vec<usize>,
}

impl Serialize for Related<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Record { row, object, version, .. } = self.record;
        let is_lookup = |field: &Field| field.name.strip_suffix("Id") == Some(self.relationship);
        let id = object.fields.iter().position(is_lookup).map(|place| row.value(place));
        let id = if let Some(Value::Text(id)) = id { id } else { CONSTANT_ID.into() };
        let url = format!("/services/data/v{version}.0/sobjects/User/{id}");
        let mut related = serializer.serialize_map(Some(self.fields.len() + 1))?;
        related.serialize_entry("attributes", &Attributes { r#type: "User", url })?;
        for place in &self.fields {
            if let Some((_, name)) = object.fields[*place].related() {
                related.serialize_entry(name, &Json(row.value(*place)))?;
            }
        }
        related.end()
    }
}

/// A value as it stands in a record.
struct Json<'a>(Value<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Null => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::DateTime(at) => serializer.collect_str(&at.format(DATE_TIME)),
            Value::Double(number) => serializer.serialize_f64(*number),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Boolean(flag) => serializer.serialize_bool(*flag),
        }
    }
}
