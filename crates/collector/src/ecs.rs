//! Rows of event log files as documents in the Elastic Common Schema.
//!
//! What a document looks like is written down as a tree ([`login::DOCUMENT`]). When a file is opened the tree is laid
//! out against the columns that this file really has, by name, never by position: Salesforce inserts columns in the
//! middle. A row is then written in one pass over that plan. Columns that no tree mentions are passed on under their own
//! name in snake case, so that nothing new is lost. Empty values are left out.
//!
//! A value that is not what its column promises does not lose the event: it is reported in `error.message`.

pub mod login;

use crate::{
    event_id::{EventId, Id},
    json::Writer,
    rows::Rows,
    time::Time,
};
use std::{borrow::Cow, io::Read, net::IpAddr};

/// A part of a document.
pub enum Node {
    /// An object with these parts.
    Object(&'static str, &'static [Node]),
    /// A fixed value, in JSON.
    Fixed(&'static str, &'static str),
    /// A value made of a column.
    Column(&'static str, &'static str, Form),
    /// The different values of some columns.
    Distinct(&'static str, &'static [&'static str], Form),
    /// `@timestamp`, from TIMESTAMP_DERIVED or TIMESTAMP.
    Timestamp,
    /// `id`, the digest of the row.
    Id,
    /// What is known of the file.
    File,
    /// The columns that no part mentions.
    Rest,
}

/// How a column becomes a value.
#[derive(Clone, Copy)]
pub enum Form {
    /// As it is.
    Keyword,
    /// As a list of one.
    ListOfOne,
    /// A whole number.
    Long,
    /// Milliseconds, written in nanoseconds.
    MillisAsNanos,
    /// An address; left out where it is none.
    Ip,
    /// The other values of a column of addresses, such as `Salesforce.com IP`.
    NoIp,
    /// A code with a meaning; others as they are.
    Code(&'static [(&'static str, &'static str)]),
    /// `success` for this value, else `failure`.
    Outcome(&'static str),
    /// `1.2` of `TLSv1.2`.
    TlsVersion,
    /// `tls` of `TLSv1.2`.
    TlsProtocol,
}

/// What the documents of a file have in common.
pub struct File<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Address of the org.
    pub instance_url: &'a str,
    /// `EventLogFile.Id`
    pub id: &'a str,
    /// `EventLogFile.LogDate`
    pub log_date: Time,
    /// `EventLogFile.CreatedDate`
    pub created_date: Time,
    /// `EventLogFile.Interval`
    pub interval: &'a str,
    /// `EventLogFile.Sequence`
    pub sequence: u32,
    /// `EventLogFile.ApiVersion`
    pub api_version: &'a str,
}

enum Step {
    Open(&'static str),
    Close,
    Fixed(&'static str, &'static str),
    Column(Cow<'static, str>, usize, Form),
    Distinct(&'static str, Vec<usize>, Form),
    Timestamp,
    Id,
    File,
}

/// Writes the documents of one file.
pub struct Mapper {
    columns: Vec<String>,
    plan: Vec<Step>,
    id: EventId,
    timestamp_derived: Option<usize>,
    timestamp: Option<usize>,
    /// The members `salesforce.instance_url` and `salesforce.event_log_file`.
    file: String,
    dataset: String,
    log_date: Time,
    errors: Vec<String>,
    pending: Vec<&'static str>,
}

impl Mapper {
    /// For a file with these columns.
    pub fn new(document: &'static [Node], file: &File<'_>, columns: Vec<String>) -> Self {
        let mut plan = Vec::new();
        let mentioned = mentioned(document);
        lay_out(document, &columns, &mentioned, &mut plan);
        let position = |name: &str| columns.iter().position(|column| column == name);
        Self {
            plan,
            id: EventId::new(&columns),
            timestamp_derived: position("TIMESTAMP_DERIVED"),
            timestamp: position("TIMESTAMP"),
            file: file.members(),
            dataset: format!("salesforce.{}", file.stream),
            log_date: file.log_date,
            errors: Vec::new(),
            pending: Vec::new(),
            columns,
        }
    }

    /// How many columns a row must have.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Whether a row is the header once more, as it stands in files that were put together of several.
    pub fn is_header<R: Read>(&self, rows: &Rows<R>) -> bool {
        self.columns.iter().enumerate().all(|(index, name)| rows.field(index) == name.as_bytes())
    }

    /// Writes the document of a row.
    pub fn event<R: Read>(&mut self, rows: &Rows<R>, out: &mut String) {
        self.errors.clear();
        let id = self.id.of(|index| rows.field(index));
        let mut json = Writer::new(out, &mut self.pending);
        for step in &self.plan {
            match step {
                Step::Open(key) => json.open(key),
                Step::Close => json.close(),
                Step::Fixed(key, value) => json.raw(key, value),
                Step::Id => json.text("id", id.as_str()),
                Step::File => json.members(&self.file),
                Step::Timestamp => {
                    let field = |index: Option<usize>| index.map_or(&[][..], |index| rows.field(index));
                    let derived = field(self.timestamp_derived);
                    let time = timestamp(derived, field(self.timestamp)).unwrap_or_else(|| {
                        self.errors.push(format!("TIMESTAMP: '{}' is not a time", shown(derived)));
                        Cow::Owned(self.log_date.to_rfc3339())
                    });
                    json.text("@timestamp", &time);
                }
                Step::Column(key, column, form) => {
                    let value = rows.field(*column);
                    if !value.is_empty() && !write(&mut json, key, value, *form) {
                        self.errors.push(format!(
                            "{}: '{}' {}",
                            self.columns[*column],
                            shown(value),
                            form.promise()
                        ));
                    }
                }
                Step::Distinct(key, columns, form) => {
                    let values = columns.iter().enumerate().filter_map(|(nth, column)| {
                        let value = rows.field(*column);
                        let seen = columns[..nth].iter().any(|earlier| rows.field(*earlier) == value);
                        let text = str::from_utf8(value).ok().filter(|text| !text.is_empty() && !seen)?;
                        (!matches!(form, Form::Ip) || is_ip(text)).then_some(text)
                    });
                    json.list(key, values);
                }
            }
        }
        if !self.errors.is_empty() {
            json.open("error");
            json.list("message", self.errors.iter().map(String::as_str));
            json.close();
        }
        json.finish();
    }

    /// Writes a document for a row that cannot be understood, so that it is not lost: its text, and what is wrong.
    pub fn malformed(&mut self, row: &[u8], reason: &str, out: &mut String) {
        let text = String::from_utf8_lossy(row);
        let id = Id::of(row);
        let mut json = Writer::new(out, &mut self.pending);
        json.text("@timestamp", &self.log_date.to_rfc3339());
        json.open("data_stream");
        json.text("dataset", &self.dataset);
        json.close();
        json.open("event");
        json.text("id", id.as_str());
        json.raw("kind", "\"pipeline_error\"");
        json.raw("provider", "\"EventLogFile\"");
        json.text("original", text.trim_end_matches(['\r', '\n']));
        json.close();
        json.open("salesforce");
        json.members(&self.file);
        json.close();
        json.open("error");
        json.list("message", [reason]);
        json.close();
        json.finish();
    }
}

impl File<'_> {
    fn members(&self) -> String {
        let (mut out, mut pending) = (String::new(), Vec::new());
        let mut json = Writer::new(&mut out, &mut pending);
        json.text("instance_url", self.instance_url);
        json.open("event_log_file");
        json.text("id", self.id);
        json.text("log_date", &self.log_date.to_rfc3339());
        json.text("created_date", &self.created_date.to_rfc3339());
        json.text("interval", self.interval);
        json.raw("sequence", &self.sequence.to_string());
        json.text("api_version", self.api_version);
        json.close();
        json.finish();
        out[1..out.len() - 1].to_owned()
    }
}

impl Form {
    fn promise(self) -> &'static str {
        match self {
            Self::Long | Self::MillisAsNanos => "is not a whole number",
            Self::TlsVersion | Self::TlsProtocol => "is not a TLS version",
            _ => "is not valid UTF-8; what is not was replaced",
        }
    }
}

/// The names of all columns that a document mentions.
fn mentioned(nodes: &[Node]) -> Vec<&'static str> {
    let mut names = vec!["TIMESTAMP", "TIMESTAMP_DERIVED"];
    for node in nodes {
        match node {
            Node::Object(_, parts) => names.extend(mentioned(parts)),
            Node::Column(_, name, _) => names.push(name),
            Node::Distinct(_, columns, _) => names.extend(*columns),
            Node::Fixed(..) | Node::Timestamp | Node::Id | Node::File | Node::Rest => {}
        }
    }
    names
}

/// Lays a document out against the columns of a file. What would stay empty in every row is left out.
fn lay_out(nodes: &'static [Node], columns: &[String], mentioned: &[&str], plan: &mut Vec<Step>) {
    let position = |name: &str| columns.iter().position(|column| column == name);
    for node in nodes {
        match node {
            Node::Object(key, parts) => {
                plan.push(Step::Open(key));
                lay_out(parts, columns, mentioned, plan);
                plan.push(Step::Close);
            }
            Node::Fixed(key, value) => plan.push(Step::Fixed(key, value)),
            Node::Column(key, name, form) => {
                plan.extend(position(name).map(|index| Step::Column(Cow::Borrowed(key), index, *form)));
            }
            Node::Distinct(key, names, form) => {
                let present = names.iter().filter_map(|name| position(name)).collect();
                plan.push(Step::Distinct(key, present, *form));
            }
            Node::Timestamp => plan.push(Step::Timestamp),
            Node::Id => plan.push(Step::Id),
            Node::File => plan.push(Step::File),
            Node::Rest => plan.extend(rest(columns, mentioned)),
        }
    }
}

/// Columns that are not mentioned, each under a key of its own.
fn rest(columns: &[String], mentioned: &[&str]) -> Vec<Step> {
    let mut keys: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for (index, name) in columns.iter().enumerate() {
        // The second column of a name that was mentioned is as unknown as a new one.
        let first = columns.iter().position(|other| other == name) == Some(index);
        if first && mentioned.contains(&name.as_str()) {
            continue;
        }
        let mut key: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        if key.is_empty() || keys.contains(&key) || !first {
            key = format!("{key}_{}", index + 1);
        }
        keys.push(key.clone());
        steps.push(Step::Column(Cow::Owned(key), index, Form::Keyword));
    }
    steps
}

/// Writes a value in its form. False if it is not what the form promises; what can be written is written all the same.
fn write(json: &mut Writer<'_>, key: &str, bytes: &[u8], form: Form) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        if matches!(form, Form::Keyword | Form::ListOfOne) {
            json.text(key, &String::from_utf8_lossy(bytes));
        }
        return false;
    };
    match form {
        Form::Keyword => json.text(key, text),
        Form::ListOfOne => json.list(key, [text]),
        Form::Long => match whole_number(text) {
            Some(digits) => json.raw(key, digits),
            None => return false,
        },
        Form::MillisAsNanos => match whole_number(text) {
            Some("0") => json.raw(key, "0"),
            // Below zero it is not known, which its own field says as well.
            Some(digits) if digits.starts_with('-') => {}
            Some(digits) if digits.len() <= 12 => json.raw(key, &format!("{digits}000000")),
            _ => return false,
        },
        Form::Ip => {
            if is_ip(text) {
                json.text(key, text);
            }
        }
        Form::NoIp => {
            if !is_ip(text) {
                json.text(key, text);
            }
        }
        Form::Code(table) => {
            let meaning = table.iter().find(|(code, _)| *code == text).map_or(text, |(_, meaning)| meaning);
            json.text(key, meaning);
        }
        Form::Outcome(success) => json.raw(key, if text == success { "\"success\"" } else { "\"failure\"" }),
        Form::TlsVersion | Form::TlsProtocol => match text.split_once(['v', 'V', ' ']) {
            Some((protocol, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => match form {
                Form::TlsVersion => json.text(key, version),
                _ => json.text(key, &protocol.to_ascii_lowercase()),
            },
            _ => return false,
        },
    }
    true
}

/// A whole number that JSON and a `long` can hold, as its digits. Salesforce writes some with a fraction of zero.
fn whole_number(text: &str) -> Option<&str> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || (!digits.starts_with('0') && !digits.is_empty());
    // 18 digits are below 2^63.
    (canonical && digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `2026-01-02T03:04:05.678Z` as it is, everything else brought into this form.
fn timestamp<'a>(derived: &'a [u8], compact: &[u8]) -> Option<Cow<'a, str>> {
    let derived = str::from_utf8(derived).unwrap_or_default();
    if is_canonical(derived) {
        return Some(Cow::Borrowed(derived));
    }
    let time = Time::parse(derived).or_else(|| Time::parse_compact(str::from_utf8(compact).ok()?))?;
    Some(Cow::Owned(time.to_rfc3339()))
}

/// Whether a text is a time in the form that is written by far most often.
fn is_canonical(text: &str) -> bool {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let bytes = text.as_bytes();
    let number = |from: usize| (bytes[from] - b'0') * 10 + bytes[from + 1] - b'0';
    bytes.len() == FORM.len()
        && bytes
            .iter()
            .zip(FORM)
            .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
        && (1..=12).contains(&number(5))
        && (1..=28).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60
}

fn shown(value: &[u8]) -> String {
    crate::problem::quoted(&String::from_utf8_lossy(value), 100)
}
