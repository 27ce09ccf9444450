//! `GET /services/data/vNN.0/query`: SOQL over HTTP, page by page.
//!
//! REST guide, `dome_query` and `headers_queryoptions`: a page has at most 2,000 records, or as many as
//! `Sforce-Query-Options: batchSize=` asks for between 200 and 2,000; `nextRecordsUrl` names the next one as
//! `<locator>-<offset>`. Results are kept two days (cursor limits of API 56 and later), or as
//! long as the settings say.

use http::{HeaderMap, StatusCode};

use super::answer::{Answer, JSON};
use super::failure::failed;
use super::session::bearer;
use crate::faults::cost::Failure;
use crate::faults::damage::Strike;
use crate::faults::{QueryFaults, Total};
use crate::json::record::{Form, write_aggregates, write_record};
use crate::oddities::LocatorRefusal;
use crate::org::Org;
use crate::results::{QueryResult, Selection, select};
use crate::soql::error::{Fault, SoqlError};
use crate::soql::group::Aggregates;
use crate::soql::parser::parse;

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
        Err(NoResult::TooCostly(failure)) => return failed(failure),
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
    match refusal.filter(|_| bearer(asking.headers) != Some(&result.session)) {
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
    let hourly = org.settings.hourly_files;
    let Selection { plan, found, span } = select(&query, org.records(), hourly, asking.version, now)?;
    let costs = &asking.faults.costs;
    if let Some(failure) = costs.iter().find_map(|cost| cost.failure(span, now, found.len())) {
        return Err(NoResult::TooCostly(failure));
    }
    if let Some(grouped) = &plan.grouped {
        // Nothing of it is held but the rows, which an org has few enough of where it groups them.
        let length = |index: &usize| found.object().fields[*index].name == "LogFileLength";
        let lengths = (0..found.object().fields.len()).find(length).is_some_and(|index| grouped.names(index));
        let rows = found.records(org.records(), asking.version, 0..found.len(), lengths);
        let rows = grouped.run(rows.iter().map(AsRef::as_ref));
        if rows.len() > MAX_GROUPS {
            let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a \
                           single batch";
            return Err(SoqlError::new(Fault::ExceededIdLimit, query.object.at, message).into());
        }
        let form = found.form(asking.version, org.settings.oddities.doubles);
        return Ok(Outcome::Groups(rows, form));
    }
    Ok(Outcome::Rows(QueryResult {
        select: plan.select,
        found,
        page_size: page_size(org, asking.headers),
        since: now,
        session: bearer(asking.headers).unwrap_or("").to_owned(),
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
    let rows = result.found.records(org.records(), version, given.clone(), lengths);
    let form = result.found.form(version, org.settings.oddities.doubles);
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
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        let of_this_answer = faults.damages.iter().find(|(at, ..)| *at == index);
        let strike = match of_this_answer {
            Some((_, how, field)) => Some(Strike { how, field: field.as_deref() }),
            None => result.found.damage(org.records(), given.start + index),
        };
        write_record(row.as_ref(), object, &result.select, &form, strike, &mut bytes);
    }
    bytes.extend_from_slice(b"]}");
    Answer::new(StatusCode::OK, JSON, bytes)
}

/// The answer to an aggregate query.
fn groups(rows: &[Aggregates], form: &Form) -> Vec<u8> {
    let mut bytes = format!("{{\"totalSize\":{},\"done\":true,\"records\":[", rows.len()).into_bytes();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_aggregates(row, form, &mut bytes);
    }
    bytes.extend_from_slice(b"]}");
    bytes
}
