//! Rows of event log files and records of objects as documents in the Elastic Common Schema.
//!
//! What a document looks like is written down as a tree ([`login::DOCUMENT`]). When a file is opened the tree is laid
//! out against the columns that this file really has, by name, never by position: Salesforce inserts columns in the
//! middle. A row is then written in one pass over that plan. Columns that no tree mentions are passed on under their own
//! name in snake case, so that nothing new is lost. Empty values are left out. The fields of a record are columns too.
//!
//! A value that is not what its column promises does not lose the event: it is reported in `error.message`.

mod generic;
mod login;
mod names;

use crate::{
    event_id::{EventId, Id},
    json::{Key, Writer},
    rows::Rows,
    state::FileInfo,
    time::Time,
};
use std::{borrow::Cow, io::Read, net::IpAddr};

/// The values of a row or of a record, by column.
pub trait Fields {
    /// The value of a column, empty where there is none.
    fn field(&self, index: usize) -> &[u8];

    /// Whether the value is JSON and no text: a number, `true` or `false`.
    fn is_bare(&self, _: usize) -> bool {
        false
    }
}

impl<R: Read> Fields for Rows<R> {
    fn field(&self, index: usize) -> &[u8] {
        Self::field(self, index)
    }
}

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
    /// An object with these parts, named after the event type or the object in snake case.
    Typed(&'static [Node]),
    /// `@timestamp`, from TIMESTAMP_DERIVED or TIMESTAMP, or from the date of a record.
    Timestamp,
    /// `id`, the key of a record or the digest of a row.
    Id,
    /// `dataset`, after the stream.
    Dataset,
    /// `provider`: which view of the event this is, `EventLogFile` or the name of the object.
    Provider,
    /// What is known of the org and the file.
    Provenance,
    /// The columns that no part mentions.
    Rest,
}

impl Node {
    fn key(&self) -> Option<&'static str> {
        match self {
            Self::Object(key, _) | Self::Fixed(key, _) | Self::Column(key, ..) | Self::Distinct(key, ..) => {
                Some(key)
            }
            Self::Dataset => Some("dataset"),
            Self::Provider => Some("provider"),
            Self::Id => Some("id"),
            Self::Typed(_) | Self::Timestamp | Self::Provenance | Self::Rest => None,
        }
    }
}

/// How a column becomes a value.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// As it is, as text.
    Keyword,
    /// As it is, a number as a number.
    Given,
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

/// What the documents of a file, or of an object, have in common.
pub struct Common<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Address of the org.
    pub instance_url: &'a str,
    /// The time of a row that tells none: the beginning of what was asked for.
    pub since: Time,
    /// Where they come from.
    pub origin: Origin<'a>,
}

/// Where documents come from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// An event log file.
    File(&'a FileInfo),
    /// An object that is queried.
    Object {
        /// Its name.
        name: &'a str,
        /// The field with the time of the event.
        date: &'a str,
        /// The field with the key of a record, if it has one.
        key: Option<&'a str>,
    },
}

/// What is done to write a document.
enum Step {
    /// Members that are the same in every document, up to a comma or the brace that opens an object.
    Put(String),
    /// Ends an object that [`Step::Put`] began.
    End,
    /// Begins an object that may stay empty.
    Open(Key),
    /// Ends it.
    Close,
    Column(Key, usize, Form),
    Distinct(Key, Vec<usize>, Form),
    Timestamp(Key),
    Id(Key),
}

/// Writes the documents of one file.
pub struct Mapper {
    columns: Vec<String>,
    plan: Vec<Step>,
    id: EventId,
    /// The column of the id, if one of them has it.
    key: Option<usize>,
    date: Option<usize>,
    /// The column of TIMESTAMP, for rows without a usable TIMESTAMP_DERIVED.
    timestamp: Option<usize>,
    /// The columns of addresses, and of each column whether it holds one in this row.
    address_columns: Vec<usize>,
    is_address: Vec<bool>,
    /// The members `salesforce.instance_url` and `salesforce.event_log_file`.
    provenance: String,
    dataset: String,
    provider: String,
    since: Time,
    errors: Vec<String>,
    json: Writer,
}

impl Mapper {
    /// For rows with these columns.
    pub fn new(common: &Common<'_>, columns: Vec<String>) -> Self {
        let provenance = common.members();
        let dataset = format!("salesforce.{}", common.stream);
        let (document, kind, provider, date, key) = match common.origin {
            Origin::File(file) => {
                let document = document_of_file(&file.event_type);
                (document, file.event_type.as_str(), "EventLogFile", "TIMESTAMP_DERIVED", None)
            }
            Origin::Object { name, date, key } => (document_of_object(name), name, name, date, key),
        };
        let mut layout = Layout {
            columns: &columns,
            mentioned: mentioned(document),
            kind: &names::snake_case(kind),
            dataset: &dataset,
            provider,
            provenance: &provenance,
            plan: Vec::new(),
        };
        layout.mentioned.push(date);
        layout.mentioned.extend(key);
        layout.add(document);
        let plan = layout.plan;
        let mut address_columns: Vec<usize> = plan.iter().flat_map(Step::addresses).copied().collect();
        address_columns.sort_unstable();
        address_columns.dedup();
        let position = |name: &str| columns.iter().position(|column| column == name);
        Self {
            plan,
            id: EventId::new(&columns),
            key: key.and_then(position),
            date: position(date),
            timestamp: position("TIMESTAMP"),
            address_columns,
            is_address: vec![false; columns.len()],
            provenance,
            dataset,
            provider: provider.to_owned(),
            since: common.since,
            errors: Vec::new(),
            json: Writer::default(),
            columns,
        }
    }

    /// How many columns a row must have.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Whether these are the columns.
    pub fn fits<'n>(&self, columns: impl Iterator<Item = &'n str>) -> bool {
        self.columns.iter().eq(columns)
    }

    /// Whether a row is the header once more, as it stands in files that were put together of several.
    pub fn is_header(&self, row: &impl Fields) -> bool {
        self.columns.iter().enumerate().all(|(index, name)| row.field(index) == name.as_bytes())
    }

    /// The id of a row: its key if it has one, else the digest of its content.
    pub fn id<'r>(&mut self, row: &'r impl Fields) -> Cow<'r, [u8]> {
        match self.key.map(|key| row.field(key)).filter(|key| !key.is_empty()) {
            Some(key) => Cow::Borrowed(key),
            None => Cow::Owned(self.id.of(|index| row.field(index)).as_str().as_bytes().to_vec()),
        }
    }

    /// The document of a row.
    pub fn event(&mut self, rows: &impl Fields) -> String {
        self.errors.clear();
        for column in &self.address_columns {
            self.is_address[*column] = is_address(rows.field(*column));
        }
        let json = &mut self.json;
        json.begin();
        for step in &self.plan {
            match step {
                Step::Put(members) => json.put(members),
                Step::End => json.end(),
                Step::Open(key) => json.open(key),
                Step::Close => json.close(),
                Step::Id(key) => {
                    match self.key.map(|key| rows.field(key)).filter(|key| !key.is_empty()) {
                        Some(id) => json.text(key, id),
                        None => json.text(key, self.id.of(|index| rows.field(index)).as_str().as_bytes()),
                    };
                }
                Step::Timestamp(key) => {
                    let field = |index: Option<usize>| index.map_or(&[][..], |index| rows.field(index));
                    let date = field(self.date);
                    let time = timestamp(date, field(self.timestamp)).unwrap_or_else(|| {
                        let column = self.date.map_or("TIMESTAMP_DERIVED", |date| &self.columns[date]);
                        self.errors.push(format!("{column}: '{}' is not a time", shown(date)));
                        Cow::Owned(self.since.to_rfc3339())
                    });
                    json.text(key, time.as_bytes());
                }
                Step::Column(key, column, form) => {
                    let value = rows.field(*column);
                    if *form == Form::Given && rows.is_bare(*column) {
                        json.raw(key, value);
                    } else if !value.is_empty() && !write(json, key, value, *form, self.is_address[*column]) {
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
                        let fits = match form {
                            Form::Ip => self.is_address[*column],
                            _ => !value.is_empty() && str::from_utf8(value).is_ok(),
                        };
                        let seen = || columns[..nth].iter().any(|earlier| rows.field(*earlier) == value);
                        (fits && !seen()).then_some(value)
                    });
                    json.list(key, values);
                }
            }
        }
        if !self.errors.is_empty() {
            json.open(&Key::new("error"));
            json.list(&Key::new("message"), self.errors.iter().map(String::as_bytes));
            json.close();
        }
        json.finish()
    }

    /// The document of a row that cannot be understood, so that it is not lost: its text, and what is wrong.
    pub fn malformed(&mut self, row: &[u8], reason: &str) -> String {
        let key = Key::new;
        let line_break = row.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let json = &mut self.json;
        json.begin();
        json.text(&key("@timestamp"), self.since.to_rfc3339().as_bytes());
        json.open(&key("data_stream"));
        json.text(&key("dataset"), self.dataset.as_bytes());
        json.close();
        json.open(&key("event"));
        json.text(&key("id"), Id::of(row).as_str().as_bytes());
        json.text(&key("kind"), b"pipeline_error");
        json.text(&key("provider"), self.provider.as_bytes());
        json.text(&key("original"), &row[..row.len() - line_break]);
        json.close();
        json.open(&key("salesforce"));
        json.put(&self.provenance);
        json.close();
        json.open(&key("error"));
        json.list(&key("message"), [reason.as_bytes()]);
        json.close();
        json.finish()
    }
}

impl Step {
    /// The columns of which it has to be known whether they hold an address.
    fn addresses(&self) -> &[usize] {
        match self {
            Self::Column(_, column, Form::Ip | Form::NoIp) => std::slice::from_ref(column),
            Self::Distinct(_, columns, Form::Ip) => columns,
            _ => &[],
        }
    }
}

/// What a row of an event log file looks like.
fn document_of_file(event_type: &str) -> &'static [Node] {
    match event_type {
        "Login" => login::DOCUMENT,
        _ => generic::FILE,
    }
}

/// What a record of an object looks like.
fn document_of_object(_: &str) -> &'static [Node] {
    generic::OBJECT
}

impl Common<'_> {
    /// Where they come from, as members, each with a comma behind it.
    fn members(&self) -> String {
        let key = Key::new;
        let mut json = Writer::default();
        json.begin();
        json.text(&key("instance_url"), self.instance_url.as_bytes());
        if let Origin::File(file) = self.origin {
            json.open(&key("event_log_file"));
            json.text(&key("id"), file.id.as_bytes());
            json.text(&key("log_date"), file.log_date.to_rfc3339().as_bytes());
            json.text(&key("created_date"), file.created.to_rfc3339().as_bytes());
            json.text(&key("interval"), file.interval.as_bytes());
            json.raw(&key("sequence"), file.sequence.to_string().as_bytes());
            json.text(&key("api_version"), file.api_version.as_bytes());
            json.close();
        }
        let object = json.finish();
        format!("{},", &object[1..object.len() - 1])
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
fn mentioned<'a>(nodes: &'static [Node]) -> Vec<&'a str> {
    let mut names = vec!["TIMESTAMP", "TIMESTAMP_DERIVED"];
    for node in nodes {
        match node {
            Node::Object(_, parts) | Node::Typed(parts) => names.extend(mentioned(parts)),
            Node::Column(_, name, _) => names.push(name),
            Node::Distinct(_, columns, _) => names.extend(*columns),
            Node::Fixed(..)
            | Node::Timestamp
            | Node::Id
            | Node::Dataset
            | Node::Provider
            | Node::Provenance
            | Node::Rest => {}
        }
    }
    names
}

/// A document laid out against the columns of a file. What would stay empty in every row is left out.
struct Layout<'a> {
    columns: &'a [String],
    mentioned: Vec<&'a str>,
    kind: &'a str,
    dataset: &'a str,
    provider: &'a str,
    provenance: &'a str,
    plan: Vec<Step>,
}

impl Layout<'_> {
    fn add(&mut self, nodes: &'static [Node]) {
        for node in nodes {
            match node {
                Node::Object(key, parts) => self.object(key, parts),
                Node::Typed(parts) => self.object(self.kind, parts),
                Node::Fixed(key, value) => self.put(&format!("\"{key}\":{value},")),
                Node::Column(key, name, form) => {
                    let index = self.position(name);
                    self.plan.extend(index.map(|index| Step::Column(Key::new(key), index, *form)));
                }
                Node::Distinct(key, names, form) => {
                    let present = names.iter().filter_map(|name| self.position(name)).collect();
                    self.plan.push(Step::Distinct(Key::new(key), present, *form));
                }
                Node::Timestamp => self.plan.push(Step::Timestamp(Key::new("@timestamp"))),
                Node::Id => self.plan.push(Step::Id(Key::new("id"))),
                Node::Dataset => self.put(&format!("\"dataset\":\"{}\",", self.dataset)),
                Node::Provider => self.put(&format!("\"provider\":\"{}\",", self.provider)),
                Node::Provenance => self.put(self.provenance),
                Node::Rest => self.rest(nodes),
            }
        }
    }

    fn object(&mut self, key: &str, parts: &'static [Node]) {
        if never_empty(parts) {
            self.put(&format!("\"{key}\":{{"));
            self.add(parts);
            self.end();
        } else {
            self.plan.push(Step::Open(Key::new(key)));
            self.add(parts);
            self.plan.push(Step::Close);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Adds to what is the same in every document, in one piece with what comes before it.
    fn put(&mut self, members: &str) {
        match self.plan.last_mut() {
            Some(Step::Put(text)) => text.push_str(members),
            _ => self.plan.push(Step::Put(members.to_owned())),
        }
    }

    /// Ends an object that is never empty.
    fn end(&mut self) {
        match self.plan.last_mut() {
            Some(Step::Put(text)) if text.ends_with(',') => {
                text.pop();
                text.push_str("},");
            }
            _ => self.plan.push(Step::End),
        }
    }

    /// The columns that no part mentions, each under a key of its own beside `siblings`.
    fn rest(&mut self, siblings: &[Node]) {
        let mut keys: Vec<String> = siblings.iter().filter_map(Node::key).map(str::to_owned).collect();
        for (index, name) in self.columns.iter().enumerate() {
            // The second column of a name that was mentioned is as unknown as a new one.
            let first = self.position(name) == Some(index);
            if first && self.mentioned.contains(&name.as_str()) {
                continue;
            }
            let mut key = names::snake_case(name);
            if key.is_empty() || keys.contains(&key) || !first {
                key = format!("{key}_{}", index + 1);
            }
            self.plan.push(Step::Column(Key::new(&key), index, Form::Given));
            keys.push(key);
        }
    }
}

/// Whether an object of these parts has a member in every document.
fn never_empty(parts: &[Node]) -> bool {
    parts.iter().any(|part| match part {
        Node::Object(_, parts) | Node::Typed(parts) => never_empty(parts),
        Node::Fixed(..) | Node::Timestamp | Node::Id | Node::Dataset | Node::Provider | Node::Provenance => {
            true
        }
        Node::Column(..) | Node::Distinct(..) | Node::Rest => false,
    })
}

/// Writes a value in its form. False if it is not what the form promises; what can be written is written all the same.
fn write(json: &mut Writer, key: &Key, value: &[u8], form: Form, is_address: bool) -> bool {
    match form {
        Form::Keyword | Form::Given => return json.text(key, value),
        Form::ListOfOne => return json.list(key, [value]),
        Form::Long => match whole_number(value) {
            Some(digits) => json.raw(key, digits),
            None => return false,
        },
        Form::MillisAsNanos => match whole_number(value) {
            Some(b"0") => json.raw(key, b"0"),
            // Below zero it is not known, which its own field says as well.
            Some([b'-', ..]) => {}
            Some(digits) if digits.len() <= 12 => json.raw(key, &[digits, b"000000"].concat()),
            _ => return false,
        },
        Form::Ip if is_address => return json.text(key, value),
        Form::NoIp if is_address => {}
        _ if str::from_utf8(value).is_err() => return false,
        Form::Ip => {}
        Form::NoIp => return json.text(key, value),
        Form::Code(table) => {
            let meaning = table.iter().find(|(code, _)| code.as_bytes() == value);
            return json.text(key, meaning.map_or(value, |(_, meaning)| meaning.as_bytes()));
        }
        Form::Outcome(success) => {
            return json.text(key, if value == success.as_bytes() { b"success" } else { b"failure" });
        }
        Form::TlsVersion | Form::TlsProtocol => {
            let Some((protocol, [_, version @ ..])) =
                value.iter().position(|byte| matches!(byte, b'v' | b'V' | b' ')).map(|at| value.split_at(at))
            else {
                return false;
            };
            if !version.first().is_some_and(u8::is_ascii_digit) {
                return false;
            }
            return match form {
                Form::TlsVersion => json.text(key, version),
                _ => json.text(key, &protocol.to_ascii_lowercase()),
            };
        }
    }
    true
}

/// A whole number that JSON and a `long` can hold, as its digits. Salesforce writes some with a fraction of zero.
fn whole_number(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_suffix(b".0").unwrap_or(text);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = digits == b"0" || (!digits.starts_with(b"0") && !digits.is_empty());
    // 18 digits are below 2^63.
    (canonical && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit)).then_some(text)
}

fn is_address(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
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
