//! An org in memory: canned event log files behind just enough of the REST API to collect them, without a network.
//!
//! It knows nothing that Salesforce might refuse; that is the simulated org's job. Here a test says exactly which bytes
//! come, and where they break off.

use collector::io::{Clock, Http, Request, Response, TransportError};
use flate2::{Compression, read::GzEncoder};
use serde_json::json;
use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Cursor, Read},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A file that the org has.
#[derive(Clone)]
pub struct CannedFile {
    /// `Id`
    pub id: String,
    /// `EventType`
    pub event_type: String,
    /// `CreatedDate`
    pub created: String,
    /// `LogDate`
    pub log_date: &'static str,
    /// The log.
    pub body: Arc<[u8]>,
    /// `LogFileLength`, where it differs from the truth.
    pub length: Option<u64>,
    /// The log as gzip, made ahead; where it is missing an org that compresses does so while it answers.
    pub gzip: Option<Arc<[u8]>>,
}

impl CannedFile {
    /// A file of an hour in June 2026, created three hours later.
    pub fn new(n: u32, body: impl Into<Arc<[u8]>>) -> Self {
        Self {
            id: format!("0AT{n:015}"),
            event_type: String::from("Login"),
            created: String::from("2026-06-01T13:00:00.000+0000"),
            log_date: "2026-06-01T10:00:00.000+0000",
            body: body.into(),
            length: None,
            gzip: None,
        }
    }
}

/// What happens to a request whose path contains a text, once.
pub struct Mishap {
    /// Part of the path.
    pub path: &'static str,
    /// What happens.
    pub what: What,
}

/// What can happen to a request.
pub enum What {
    /// This answer instead.
    Answer(u16, &'static str),
    /// These bytes instead, which may be no text.
    Bytes(u16, Vec<u8>),
    /// These bytes instead, which are said to be gzip.
    Gzip(Vec<u8>),
    /// No answer.
    NoAnswer,
    /// The decoded body ends after so many bytes, with or without an error.
    Cut {
        /// Bytes that come.
        after: usize,
        /// Whether an error follows them.
        error: bool,
    },
    /// The host denies the request.
    Denied,
}

/// The org.
#[derive(Default)]
pub struct CannedOrg {
    /// Its files.
    pub files: Vec<CannedFile>,
    /// Whether it compresses what is downloaded, and the pages of a history.
    pub gzip: bool,
    /// What will happen.
    pub mishaps: Vec<Mishap>,
    /// Paths asked for so far.
    pub requests: Vec<String>,
    /// The `Date` it answers.
    pub date: Option<&'static str>,
    /// Records on a page.
    pub page: Option<usize>,
    /// The answer to any query that is not about files, as a JSON list of records.
    pub records: Option<String>,
    /// The answers to queries for names, each a JSON list of records, by object.
    pub names: BTreeMap<String, String>,
    /// The records of an object that is asked for by its EventDate.
    pub history: Option<Arc<History>>,
    /// `Interval` of its files; hourly if empty.
    pub interval: &'static str,
    /// What is answered each time to requests whose path contains a text.
    pub always: Vec<(String, u16, &'static str)>,
}

/// The body of an answer.
pub type Body = Box<dyn Read + Send>;
/// Status, headers and body of an answer.
pub type Answer = (u16, Vec<(String, String)>, Body);

impl CannedOrg {
    /// An org with some files.
    pub fn with(files: Vec<CannedFile>) -> Self {
        Self { files, ..Self::default() }
    }

    /// Answers a request, or does not.
    pub fn answer(&mut self, path: &str) -> Option<Answer> {
        self.requests.push(path.to_owned());
        let mut headers = Vec::new();
        if let Some(date) = self.date {
            headers.push((String::from("date"), date.to_owned()));
        }
        let mut cut = None;
        if let Some(index) = self.mishaps.iter().position(|mishap| path.contains(mishap.path)) {
            match self.mishaps.remove(index).what {
                What::Answer(status, body) => return Some((status, headers, Box::new(body.as_bytes()))),
                What::Bytes(status, body) => return Some((status, headers, Box::new(Cursor::new(body)))),
                What::Gzip(body) => {
                    headers.push((String::from("content-encoding"), String::from("gzip")));
                    return Some((200, headers, Box::new(Cursor::new(body))));
                }
                What::NoAnswer | What::Denied => return None,
                What::Cut { after, error } => cut = Some((after, error)),
            }
        }
        if let Some((_, status, body)) = self.always.iter().find(|(part, ..)| path.contains(part)) {
            return Some((*status, headers, Box::new(body.as_bytes())));
        }
        if path.ends_with("/LogFile") {
            let file = self.files.iter().find(|file| path.contains(&file.id))?;
            let body: Body = match cut {
                None => Box::new(Cursor::new(Arc::clone(&file.body))),
                Some((after, error)) => Box::new(Broken {
                    body: Cursor::new(file.body[..after.min(file.body.len())].to_vec()),
                    error,
                }),
            };
            if self.gzip && cut.is_none() {
                headers.push((String::from("content-encoding"), String::from("gzip")));
                if let Some(gzip) = &file.gzip {
                    return Some((200, headers, Box::new(Cursor::new(Arc::clone(gzip)))));
                }
                return Some((200, headers, Box::new(GzEncoder::new(body, Compression::fast()))));
            }
            return Some((200, headers, body));
        }
        let text = match path {
            "/services/oauth2/token" => json!({"access_token": "00D!token"}).to_string(),
            "/services/data" => json!([{"version": "64.0"}, {"version": "65.0"}]).to_string(),
            _ if path.contains("/queryAll?") => {
                let names = self.names.iter().find(|(object, _)| path.contains(&format!("FROM+{object}+")));
                let records = names.map_or("[]", |(_, records)| records);
                format!("{{\"done\":true,\"records\":{records}}}")
            }
            _ => match (&self.records, &self.history) {
                (_, Some(history)) if let Some((first, end)) = history.asked_for(path) => {
                    if self.gzip && cut.is_none() {
                        headers.push((String::from("content-encoding"), String::from("gzip")));
                        return Some((
                            200,
                            headers,
                            Box::new(Cursor::new(history.compressed(first, end).ok()?)),
                        ));
                    }
                    history.page(first, end)
                }
                (Some(records), _) if !path.contains("FROM+EventLogFile") => {
                    format!("{{\"done\":true,\"records\":{records}}}")
                }
                _ => self.listing(path),
            },
        };
        let body: Body = match cut {
            None => Box::new(Cursor::new(text.into_bytes())),
            Some((after, error)) => {
                Box::new(Broken { body: Cursor::new(text.as_bytes()[..after].to_vec()), error })
            }
        };
        Some((200, headers, body))
    }

    fn listing(&self, path: &str) -> String {
        let page = self.page.unwrap_or(2000);
        let from = path.rsplit_once("/query/from-").and_then(|(_, from)| from.parse().ok()).unwrap_or(0);
        // To the second.
        let since = path.split_once("CreatedDate+%3E%3D+").map_or("", |(_, rest)| rest).replace("%3A", ":");
        let since = since.get(..19).unwrap_or_default();
        let mut files: Vec<_> = self.files.iter().filter(|file| &file.created[..19] >= since).collect();
        files.sort_by_key(|file| (&file.created, &file.id));
        let records: Vec<_> = files
            .iter()
            .skip(from)
            .take(page)
            .map(|file| {
                json!({
                    "attributes": {"type": "EventLogFile"},
                    "Id": file.id, "EventType": file.event_type, "CreatedDate": file.created, "LogDate": file.log_date,
                    "LogFileLength": file.length.unwrap_or(file.body.len() as u64) as f64,
                    "Sequence": 1, "ApiVersion": 65.0,
                    "Interval": if self.interval.is_empty() { "Hourly" } else { self.interval },
                })
            })
            .collect();
        let mut answer = json!({"totalSize": files.len(), "done": true, "records": records});
        if files.len() > from + page {
            answer["done"] = json!(false);
            answer["nextRecordsUrl"] = json!(format!("/services/data/v65.0/query/from-{}", from + page));
        }
        answer.to_string()
    }
}

type Pages = BTreeMap<(usize, usize), Arc<[u8]>>;

/// Records of a big object in the order of their dates, each written before anything is measured: what is left to do for a
/// query is to copy those between two dates. A compressed answer is kept, so that who asks the same again gets it without
/// work.
#[derive(Default)]
pub struct History {
    json: String,
    /// Of each page that was asked for compressed, from which record to which, the answer.
    compressed: Mutex<Pages>,
    /// Of each record its EventDate, in milliseconds since 1970, and where it begins.
    offsets: Vec<(i64, usize)>,
}

impl History {
    /// Records on a page, as many as Salesforce puts there.
    const PAGE: usize = 2000;

    /// Adds a record that is not older than the last.
    pub fn push(&mut self, event_date: i64, record: &str) {
        self.offsets.push((event_date, self.json.len()));
        self.json.push_str(record);
        self.json.push(',');
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// How many answers were compressed so far.
    pub fn compressed_answers(&self) -> usize {
        self.compressed.lock().map_or(0, |pages| pages.len())
    }

    /// Bytes of them.
    pub fn compressed_bytes(&self) -> usize {
        self.compressed.lock().map_or(0, |pages| pages.values().map(|page| page.len()).sum())
    }

    /// From which record to which the answer to a query of a window reaches if it were one page, or that for one of its
    /// further pages.
    fn asked_for(&self, path: &str) -> Option<(usize, usize)> {
        if let Some((_, rest)) = path.split_once("/query/history-") {
            let (first, end) = rest.split_once('-')?;
            return Some((first.parse().ok()?, end.parse().ok()?));
        }
        let date = |operator| {
            let (_, rest) = path.split_once(operator)?;
            let date = rest.split('+').next()?.replace("%3A", ":");
            let date = chrono::DateTime::parse_from_rfc3339(&date).ok()?.timestamp_millis();
            Some(self.offsets.partition_point(|(at, _)| *at < date))
        };
        Some((date("EventDate+%3E%3D+")?, date("EventDate+%3C+")?))
    }

    fn compressed(&self, first: usize, end: usize) -> io::Result<Arc<[u8]>> {
        let mut pages = self.compressed.lock().map_err(|_| io::Error::other("a page could not be made"))?;
        if let Some(page) = pages.get(&(first, end)) {
            return Ok(Arc::clone(page));
        }
        let mut page = Vec::new();
        let text = Cursor::new(self.page(first, end));
        GzEncoder::new(text, Compression::default()).read_to_end(&mut page)?;
        let page: Arc<[u8]> = page.into();
        pages.insert((first, end), Arc::clone(&page));
        Ok(page)
    }

    fn page(&self, first: usize, end: usize) -> String {
        let last = end.min(first + Self::PAGE);
        let offset = |nth: usize| self.offsets.get(nth).map_or(self.json.len(), |(_, at)| *at);
        let records = self.json.get(offset(first)..offset(last)).unwrap_or_default().trim_end_matches(',');
        let next = match last < end {
            true => format!("\"nextRecordsUrl\":\"/services/data/v65.0/query/history-{last}-{end}\","),
            false => String::new(),
        };
        let (total, done) = (end - first.min(end), last >= end);
        format!("{{\"totalSize\":{total},\"done\":{done},{next}\"records\":[{records}]}}")
    }
}

impl Http for CannedOrg {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        let denied = self
            .mishaps
            .first()
            .is_some_and(|next| matches!(next.what, What::Denied) && request.path.contains(next.path));
        match self.answer(&request.path) {
            Some((status, headers, body)) => Ok(Response { status, headers, body }),
            None if denied => Err(TransportError::Denied(String::from("denied"))),
            None => Err(TransportError::Failed(String::from("connection refused"))),
        }
    }
}

struct Broken {
    body: Cursor<Vec<u8>>,
    error: bool,
}

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.body.read(buffer)? {
            0 if self.error => Err(io::Error::other("connection reset")),
            count => Ok(count),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct StillClock(Rc<Cell<i64>>);

impl StillClock {
    /// A clock that shows a moment, in milliseconds since 1970.
    pub fn at(now_ms: i64) -> Self {
        Self(Rc::new(Cell::new(now_ms)))
    }

    /// Moves it forward.
    pub fn advance(&self, by_ms: i64) {
        self.0.set(self.0.get() + by_ms);
    }
}

impl Clock for StillClock {
    fn now_ms(&self) -> i64 {
        self.0.get()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.get().unsigned_abs())
    }
}
