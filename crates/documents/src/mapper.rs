//! Rows of event log files and records of objects as documents in the Elastic Common Schema.
//!
//! What a document looks like is written down as a tree (`trees`). When a file is opened the tree is laid
//! out against the columns that this file really has, by name, never by position: Salesforce inserts columns in the
//! middle. A row is then written in one pass over that plan. Columns that no tree mentions are passed on under their own
//! name in snake case, so that nothing new is lost. Empty values are left out. The fields of a record are columns too.
//!
//! A value that is not what its column promises does not lose the event: it is reported in `error.message`.

pub mod event_id;
mod layout;
pub mod origin;
mod plan;

use crate::{
    bytes::{
        json::{Key, Writer},
        row::Row,
        text::quoted,
        time::Time,
    },
    grammar::form::{self, Form, canonical, is_address, written},
    trees::{self, raw},
};
use event_id::{EventId, Id, RecordId};
use layout::Layout;
use origin::{Common, Origin};
use plan::Step;

/// Writes the documents of one file, or of one object.
pub struct Mapper {
    columns: Vec<String>,
    plan: Vec<Step>,
    id: EventId,
    /// The column of the key, if one of them has it.
    key: Option<usize>,
    /// Makes the id of a key that is one in its org alone.
    record_id: Option<RecordId>,
    date: Option<usize>,
    /// The column of TIMESTAMP, for rows without a usable TIMESTAMP_DERIVED.
    timestamp: Option<usize>,
    /// The columns of addresses, and of each column whether it holds one in this row.
    address_columns: Vec<usize>,
    is_address: Vec<bool>,
    /// The keys of a row as it came; none where it is not written.
    raw_keys: Vec<Key>,
    /// The members `salesforce.instance_url` and `salesforce.event_log_file`.
    provenance: String,
    dataset: String,
    provider: String,
    /// The stream, where documents name it.
    stream: Option<String>,
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
                let document = trees::document_of_file(&file.event_type);
                (document, file.event_type.as_str(), "EventLogFile", "TIMESTAMP_DERIVED", None)
            }
            Origin::Object { name, date, key } => {
                (trees::document_of_object(name), name, "Object", date, key)
            }
        };
        let position = |name: &str| columns.iter().position(|column| column == name);
        let in_its_org = key == Some("Id");
        let (date, key) = (position(date), key.and_then(position));
        let is_file = matches!(common.origin, Origin::File(_));
        let timestamp = position("TIMESTAMP").filter(|_| is_file);
        let mut used = vec![false; columns.len()];
        for column in [date, key, timestamp].into_iter().flatten() {
            used[column] = true;
        }
        let mut layout = Layout {
            columns: &columns,
            used,
            common,
            kind,
            dataset: &dataset,
            provider,
            provenance: &provenance,
            within: Vec::new(),
            plan: Vec::new(),
        };
        layout.add(if common.output.raw { raw::DOCUMENT } else { document });
        let plan = layout.plan;
        let mut address_columns: Vec<usize> = plan.iter().flat_map(Step::addresses).collect();
        address_columns.sort_unstable();
        address_columns.dedup();
        let writes_rows = is_file && (common.output.raw || common.output.original);
        Self {
            plan,
            id: EventId::new(&columns),
            key,
            record_id: in_its_org.then(|| RecordId::new(common.instance_url, kind)),
            date,
            timestamp,
            address_columns,
            is_address: vec![false; columns.len()],
            raw_keys: if writes_rows { raw_keys(&columns) } else { Vec::new() },
            provenance,
            dataset,
            provider: provider.to_owned(),
            stream: common.output.raw.then(|| common.stream.to_owned()),
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
    pub fn is_header(&self, row: &impl Row) -> bool {
        self.columns.iter().enumerate().all(|(index, name)| row.field(index) == name.as_bytes())
    }

    /// The digest of a row's content.
    pub fn digest(&mut self, row: &impl Row) -> Id {
        self.id.of(|index| row.field(index))
    }

    /// The document of a row.
    pub fn event(&mut self, row: &impl Row) -> String {
        self.errors.clear();
        self.errors.extend_from_slice(row.damages());
        for column in &self.address_columns {
            self.is_address[*column] = is_address(row.field(*column));
        }
        let Self { json, errors, columns, .. } = self;
        json.begin();
        let mut steps = self.plan.iter();
        while let Some(step) = steps.next() {
            match step {
                Step::Put(members) => json.put(members),
                Step::End => json.end(),
                Step::Open(key) => json.open(key),
                Step::Close => json.close(),
                Step::Id(key) => {
                    let own = self.key.map(|key| row.field(key)).filter(|key| !key.is_empty());
                    match (own, &mut self.record_id) {
                        (Some(own), Some(record_id)) => json.text(key, record_id.of(own).as_str().as_bytes()),
                        (Some(own), None) => json.text(key, own),
                        (None, _) => json.text(key, self.id.of(|index| row.field(index)).as_str().as_bytes()),
                    };
                }
                Step::Timestamp(key) => {
                    let field = |index: Option<usize>| index.map_or(&[][..], |index| row.field(index));
                    let date = field(self.date);
                    match canonical(date).or_else(|| timestamp(date, field(self.timestamp))) {
                        Some(time) => json.text(key, &time),
                        None => {
                            let column = self.date.map_or("TIMESTAMP_DERIVED", |date| &columns[date]);
                            let compact = field(self.timestamp);
                            if !date.is_empty() || compact.is_empty() {
                                report(errors, column, date, "is not a time");
                            }
                            if !compact.is_empty() {
                                report(errors, "TIMESTAMP", compact, "is not a time");
                            }
                            json.text(key, self.since.to_rfc3339().as_bytes())
                        }
                    };
                }
                Step::First(key, of) => {
                    let filled = || of.iter().filter(|(column, _)| !row.field(*column).is_empty());
                    let has_part = |(column, form): &&(usize, Form)| {
                        form.part(row.field(*column), self.is_address[*column]).is_some()
                    };
                    if let Some((column, form)) = filled().find(has_part).or_else(|| filled().next())
                        && !form.write(json, key, row.field(*column), self.is_address[*column])
                    {
                        report(errors, &columns[*column], row.field(*column), form.promise());
                    }
                }
                Step::Success(key, of) => {
                    if let Some(outcome) = form::outcome_of(of.iter().map(|column| row.field(*column))) {
                        json.text(key, outcome);
                    }
                }
                Step::Behind { person, user, steps: skipped } => {
                    if !is_another(row, person, user) {
                        steps.by_ref().take(*skipped).for_each(drop);
                    }
                }
                Step::Column(key, column, form) => {
                    let value = row.field(*column);
                    if value.is_empty() {
                        continue;
                    }
                    let fits = if matches!(form, Form::Given) && row.is_bare(*column) {
                        Form::write_bare(json, key, value)
                    } else {
                        form.write(json, key, value, self.is_address[*column])
                    };
                    if !fits {
                        report(errors, &columns[*column], value, form.promise());
                    }
                }
                Step::Distinct(key, of) => {
                    let part = |(column, form): &(usize, Form)| {
                        let value = row.field(*column);
                        let part = form.part(value, self.is_address[*column]);
                        part.filter(|part| !part.is_empty() && str::from_utf8(part).is_ok())
                    };
                    let values = of.iter().enumerate().filter_map(|(nth, one)| {
                        let value = part(one)?;
                        (!of[..nth].iter().any(|earlier| part(earlier) == Some(value))).then_some(value)
                    });
                    json.list(key, values);
                }
                Step::Location(key, latitude, longitude) => {
                    let (lat, lon) = (row.field(*latitude), row.field(*longitude));
                    if !form::location(json, key, lat, lon) {
                        for (column, value) in [(latitude, lat), (longitude, lon)] {
                            if !value.is_empty() {
                                report(errors, &columns[*column], value, "is no part of a location");
                            }
                        }
                    }
                }
                Step::Record(key) => match row.json() {
                    Some(record) => json.raw_lines(key, record.as_bytes()),
                    None => {
                        json.open(key);
                        write_row(json, &self.raw_keys, columns, row, errors);
                        json.close();
                    }
                },
                Step::Original(key) => match row.json() {
                    Some(record) => {
                        json.text(key, record.as_bytes());
                    }
                    None => json.quoted(key, |json| write_row(json, &self.raw_keys, columns, row, errors)),
                },
            }
        }
        if !errors.is_empty() {
            json.open(&Key::new("error"));
            json.list(&Key::new("message"), errors.iter().map(String::as_bytes));
            json.close();
        }
        json.finish()
    }

    /// The document of a row that cannot be understood, so that it is not lost: its text, and what is wrong.
    pub fn malformed(&mut self, row: &[u8], reason: &str) -> String {
        let key = Key::new;
        // The last row of a file may come without a line break, and with one when the file is issued again.
        let line_break = row.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let row = &row[..row.len() - line_break];
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
        json.text(&key("original"), row);
        json.close();
        json.open(&key("salesforce"));
        json.put(&self.provenance);
        json.close();
        json.open(&key("error"));
        json.list(&key("message"), [reason.as_bytes()]);
        json.close();
        if let Some(stream) = &self.stream {
            json.text(&key("stream"), stream.as_bytes());
        }
        json.finish()
    }
}

/// The columns of a row, as texts.
fn write_row(json: &mut Writer, keys: &[Key], columns: &[String], row: &impl Row, errors: &mut Vec<String>) {
    for (index, key) in keys.iter().enumerate() {
        let value = row.field(index);
        if !json.text(key, value) {
            report(errors, &columns[index], value, Form::Keyword.promise());
        }
    }
}

/// Notes once that a value is not what its column promises.
#[cold]
fn report(errors: &mut Vec<String>, column: &str, value: &[u8], what: &str) {
    let value = quoted(&String::from_utf8_lossy(value), 100);
    let error = format!("{column}: '{value}' ");
    if !errors.iter().any(|known| known.starts_with(&error)) {
        errors.push(error + what);
    }
}

/// Whether a person is named, and is not the user of the row.
fn is_another(row: &impl Row, person: &[usize], user: &[usize]) -> bool {
    let person = person.iter().map(|column| row.field(*column)).find(|person| !person.is_empty());
    person.is_some_and(|person| !user.iter().any(|column| form::is_same_user(person, row.field(*column))))
}

/// The names of columns as keys, no two of them the same: the second of one name has a number behind it.
fn raw_keys(columns: &[String]) -> Vec<Key> {
    let mut taken: Vec<String> = Vec::with_capacity(columns.len());
    for (index, name) in columns.iter().enumerate() {
        let is_first = !columns[..index].contains(name);
        let is_free = |name: &String| !taken.contains(name) && !columns.contains(name);
        let numbered = || (2..).map(|nth| format!("{name}_{nth}")).find(is_free);
        let key = if is_first { None } else { numbered() };
        taken.push(key.unwrap_or_else(|| name.clone()));
    }
    taken.iter().map(|name| Key::escaped(name)).collect()
}

/// A time that is not in the form that is written by far most often.
fn timestamp(date: &[u8], compact: &[u8]) -> Option<[u8; 24]> {
    let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
    Time::parse(text(date)).or_else(|| Time::parse_compact(text(compact))).and_then(written)
}
