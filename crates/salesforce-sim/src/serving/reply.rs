//! From a request to what goes over the wire, without the wire: planned faults, the request log, content coding.
//!
//! The server and [`crate::OfflineOrg`] both answer through here.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Arc;

use chrono::TimeDelta;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::body::Pace;
use super::download::{BodyFaults, Download};
use super::piece::{CutAt, CutEnd};
use crate::faults::cost::Cost;
use crate::faults::{self, Asked, FaultAction, QueryFaults};
use crate::org::Org;
use crate::org::requests::Entry;
use crate::rest::answer::{Answer, Content, Lost};
use crate::rest::{self, oauth, query};

/// Most bytes of a request body.
pub(crate) const MAX_REQUEST: usize = 64 * 1024;

/// JSON answers from this length on are compressed for clients that accept it.
const COMPRESSED_FROM: usize = 1024;

/// What goes over the wire.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
    /// How the body drips, if it does.
    pub(crate) pace: Option<Pace>,
}

/// The body of a reply.
pub(crate) enum ReplyBody {
    /// With what comes behind it.
    Whole(Vec<u8>, CutEnd),
    Download(Box<Download>),
}

/// A request that the faults planned for it have struck.
pub(crate) struct Received {
    pub(crate) entry: Arc<Entry>,
    /// Milliseconds that its answer comes later.
    pub(crate) delay: u64,
    /// What it is answered with, whatever it asks.
    pub(crate) planned: Option<Answer>,
    /// What becomes of the answer if it is one to a query.
    pub(crate) query_faults: QueryFaults,
    gzip: bool,
    way: Way,
}

/// What faults do to an answer on its way.
#[derive(Debug, Clone, Default)]
struct Way {
    body: BodyFaults,
    pace: Option<Pace>,
    length_off: i64,
    date: DateHeader,
}

/// The header field `Date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum DateHeader {
    #[default]
    Right,
    /// By so many seconds.
    Ahead(i64),
    Absent,
}

impl Received {
    /// Notes a request, and lets the faults happen that are planned for it.
    pub(crate) fn new(org: &Org, request: &Parts) -> Self {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let method = request.method.as_str();
        let id = request.headers.get("x-sfdc-request-id").and_then(|id| id.to_str().ok());
        let entry = org.requests().received(method, path, id);
        let gzip = accepts_gzip(&request.headers);
        let (mut planned, mut way, mut delay) = (None, Way::default(), 0_u64);
        let mut query_faults = QueryFaults::default();
        let object = || query::object_asked(org, request.uri.path(), request.uri.query().unwrap_or(""));
        let asked = Asked { method, path, now: org.clock().now(), object: &object };
        for action in org.faults.strike(&asked) {
            let cut = |after, end| Some(CutAt { after, end });
            match action {
                FaultAction::Answer { status, body, headers } => {
                    planned = Some(planned_answer(path, status, body, &headers));
                }
                FaultAction::Close => planned = Some(Answer::lost(Lost::Closed)),
                FaultAction::Delay { millis } => delay = delay.saturating_add(millis),
                FaultAction::CutSilently { after } => way.body.cut = cut(after, CutEnd::Complete),
                FaultAction::CutConnection { after } => way.body.cut = cut(after, CutEnd::Breaks),
                FaultAction::Stall { after } => way.body.cut = cut(after, CutEnd::Stalls),
                FaultAction::Drip { bytes, millis } => way.pace = Some(Pace { bytes, millis }),
                FaultAction::CorruptGzip { at } => way.body.wrong_byte = Some(at),
                FaultAction::BehindGzip { text } => way.body.behind_gzip += &text,
                FaultAction::Append { text } => way.body.append += &text,
                FaultAction::WrongLength { by } => way.length_off = by,
                FaultAction::Total { says } => query_faults.total = Some(says),
                FaultAction::FewerRecords { by } => query_faults.fewer = by,
                FaultAction::Costly { wider_than_seconds, more_than, failure } => {
                    let widest = wider_than_seconds.and_then(|seconds| i64::try_from(seconds).ok());
                    let widest = widest.and_then(TimeDelta::try_seconds);
                    query_faults.costs.push(Cost { widest, most: more_than, failure });
                }
                FaultAction::DamageRecord { place, how, field } => {
                    query_faults.damages.push((place, how, field));
                }
                FaultAction::DateHeader { ahead_seconds } => {
                    way.date = ahead_seconds.map_or(DateHeader::Absent, DateHeader::Ahead);
                }
                FaultAction::ForgetLocators => org.locators.forget(),
                FaultAction::RevokeSessions => {
                    org.expire_sessions();
                }
                FaultAction::ExhaustQuota => org.exhaust_quota(),
            }
        }
        Self { entry, delay, planned, query_faults, gzip, way }
    }

    /// What its answer becomes on its way, if it gets one.
    pub(crate) fn reply(&self, org: &Arc<Org>, mut answer: Answer) -> Result<Reply, Lost> {
        let Way { body: faults, pace, length_off, date } = &self.way;
        if *length_off != 0 {
            shift_lengths(&mut answer, *length_off);
        }
        let (entry, gzip) = (&self.entry, self.gzip);
        let mut headers = HeaderMap::from_iter(answer.headers);
        let ahead = match date {
            DateHeader::Right => Some(0),
            DateHeader::Ahead(seconds) => Some(*seconds),
            DateHeader::Absent => None,
        };
        let date =
            ahead.and_then(TimeDelta::try_seconds).and_then(|by| org.clock().now().checked_add_signed(by));
        let date = date.map(|date| date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        if let Some(Ok(date)) = date.as_deref().map(HeaderValue::from_str) {
            headers.entry(DATE).or_insert(date);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        let body = match answer.content {
            Content::Lost(how) => return Err(how),
            Content::LogFile(file) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
                if gzip {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                ReplyBody::Download(Box::new(Download::new(org, entry, file, gzip, faults.clone())))
            }
            Content::Whole { content_type, mut bytes } => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
                bytes.extend_from_slice(faults.append.as_bytes());
                let short = faults.cut.filter(|cut| cut.after < bytes.len() as u64);
                if let Some(cut) = short {
                    bytes.truncate(cut.after as usize);
                }
                entry.made(bytes.len() as u64);
                let compressible = gzip && bytes.len() >= COMPRESSED_FROM && short.is_none();
                if let Some(compressed) = compressible.then(|| compress(&bytes)).and_then(Result::ok) {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    bytes = compressed;
                    let last = bytes.len().saturating_sub(1);
                    if let Some(byte) = faults.wrong_byte.and_then(|at| bytes.get_mut(last.min(at as usize)))
                    {
                        *byte ^= 0xff;
                    }
                    bytes.extend_from_slice(faults.behind_gzip.as_bytes());
                }
                ReplyBody::Whole(bytes, short.map_or(CutEnd::Complete, |cut| cut.end))
            }
        };
        org.requests().answered(entry, answer.status.as_u16());
        Ok(Reply { status: answer.status, headers, body, pace: *pace })
    }
}

/// What the org says to a request; none of its body is given if it was too long to read.
pub(crate) fn answer(org: &Org, request: &Parts, body: Option<&[u8]>, faults: &QueryFaults) -> Answer {
    match body.filter(|body| body.len() <= MAX_REQUEST) {
        Some(body) => rest::answer(org, request, body, faults),
        None => {
            let message = format!("request bodies end at {MAX_REQUEST} bytes");
            Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", &message)
        }
    }
}

/// Makes every `LogFileLength` wrong by so many bytes, and leaves everything else as it is.
fn shift_lengths(answer: &mut Answer, by: i64) {
    const FIELD: &[u8] = b"\"LogFileLength\":"; // nothing but a field: in a text its quotes are escaped
    let Content::Whole { bytes, .. } = &mut answer.content else { return };
    let mut shifted = Vec::with_capacity(bytes.len() + 16);
    let mut rest = bytes.as_slice();
    while let Some(at) = memchr::memmem::find(rest, FIELD) {
        let (before, value) = rest.split_at(at + FIELD.len());
        let end = value.iter().position(|byte| b",}".contains(byte)).unwrap_or(value.len());
        let (value, behind) = value.split_at(end);
        shifted.extend_from_slice(before);
        match std::str::from_utf8(value).ok().and_then(|number| number.parse::<f64>().ok()) {
            Some(length) => shifted.extend_from_slice(format!("{:.1}", length + by as f64).as_bytes()),
            None => shifted.extend_from_slice(value),
        }
        rest = behind;
    }
    shifted.extend_from_slice(rest);
    *bytes = shifted;
}

fn planned_answer(path: &str, status: u16, body: String, headers: &BTreeMap<String, String>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = body.starts_with(['[', '{']);
    let content_type = if json { "application/json;charset=UTF-8" } else { "text/html;charset=UTF-8" };
    let mut answer = Answer::new(status, content_type, body.into_bytes());
    answer.headers.extend(headers.iter().filter_map(|(name, value)| faults::header(name, value)));
    if path.starts_with(oauth::PATH) { answer.with(CACHE_CONTROL, "no-store") } else { answer }
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Whether `Accept-Encoding` lists gzip with a weight other than 0 (RFC 9110 section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !zero
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_the_client_lists_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(accepts("gzip") && accepts("deflate, GZIP;q=0.5"));
        assert!(!accepts("identity") && !accepts("gzip;q=0") && !accepts_gzip(&HeaderMap::new()));
    }
}
