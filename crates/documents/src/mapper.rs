//! Rows of event log files and records of objects as documents.
//!
//! What a document looks like is written down as a tree (`trees`). When a file is opened the tree is laid
//! out against the columns that this file really has, by name, never by position: Salesforce inserts columns in the
//! middle. A row is then written in one pass over that plan. Columns that no tree mentions are passed on under their own
//! name in snake case, so that nothing new is lost. Empty values are left out. The fields of a record are columns too.
//!
//! A value that is not what its column promises does not lose the event: it is reported in `error.message`.

mod digest;
pub mod event_id;
mod layout;
pub mod names;
pub mod origin;
mod plan;
mod treatment;

use crate::{
    bytes::{
        csv::Fields,
        json::{Key, Writer},
        row::Row,
        text::quoted,
        time::Time,
    },
    grammar::{
        class::{self, Class, Rules},
        form::{self, Form, canonical, epoch, is_address, written},
        kinds::Kind,
    },
    records::Record,
    trees::{self, raw, receipt},
};
use digest::{Digest, Messages};
use event_id::{DIGITS, EventId, Id, RecordId};
use layout::Layout;
use names::{Nameless, Names, Wanted};
use origin::{Common, Format, Origin};
use plan::Step;
use redaction::Treatment;
use std::ops::Range;

/// What stands in place of what cannot be taken apart, and may not leave as it is.
const WITHHELD: &[u8] = b"(withheld: fields of this stream are redacted)";
/// Columns that a list of different values is made of at most.
const MOST_DISTINCT: usize = 24;

/// Writes the documents of one file, or of one object.
pub struct Mapper {
    columns: Vec<String>,
    /// How many of the columns a row has. The others are made here.
    width: usize,
    preparation: Option<Box<Preparation>>,
    plans: Plans,
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
    /// The columns of a row as it came, by their index, and their keys; none where it is not written.
    raw_keys: Vec<(usize, Key)>,
    /// The members `salesforce.instance_url` and `salesforce.event_log_file`.
    provenance: String,
    dataset: String,
    provider: String,
    /// The name of the type or the object.
    kind: String,
    format: Format,
    /// The stream, where documents name it.
    stream: Option<String>,
    since: Time,
    errors: Vec<String>,
    json: Writer,
    /// Documents that are written but for the digest of their row.
    pending: Vec<Pending>,
    /// What those digests are of, and the digests.
    messages: Messages,
    digests: Vec<Digest>,
}

/// How documents are written: in one way, or in that of the class that a column tells, by what its actions are.
struct Plans {
    column: Option<usize>,
    plans: Vec<(Rules, Vec<Step>)>,
}

impl Plans {
    /// How a row is written.
    fn of(&self, row: &impl Row) -> &[Step] {
        let fits = |(rules, _): &&(Rules, Vec<Step>)| {
            self.column.is_some_and(|column| rules.iter().any(|rule| class::fits(rule, row.field(column))))
        };
        let told = if self.plans.len() > 1 { self.plans.iter().find(fits) } else { None };
        told.or(self.plans.last()).map_or(&[], |(_, steps)| steps)
    }
}

/// What is done to a row before a document is made of it.
struct Preparation {
    /// Names are put beside its ids.
    names: Option<names::Plan>,
    /// What is not to leave is taken out.
    treatment: Option<treatment::Plan>,
}

/// A document that waits for its id.
struct Pending {
    range: Range<usize>,
    /// Where the id belongs; none where it has one.
    hole: Option<usize>,
}

/// Documents that wait for the digests of their rows at most. So many digests are made at once.
const MOST_PENDING: usize = 4;
/// Bytes of such documents from which on no more are added: of long ones nothing is gained, and they are held twice.
const MOST_PENDING_BYTES: usize = 64 << 10;

impl Mapper {
    /// For rows with these columns.
    #[cold]
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
            Origin::FileReceipt(_) | Origin::WindowReceipt(_) => {
                let is_file = matches!(common.origin, Origin::FileReceipt(_));
                let kind = if is_file { "FileReceipt" } else { "WindowReceipt" };
                (receipt::DOCUMENT, kind, "Collector", "Collected", Some("Receipt"))
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
        let times: Vec<usize> = date.into_iter().chain(timestamp).collect();
        let format = common.output.format;
        let plan = |class: (Class, &'static str, Rules)| {
            let mut layout = Layout {
                columns: &columns,
                used: used.clone(),
                common,
                kind,
                dataset: &dataset,
                provider,
                provenance: &provenance,
                times: &times,
                tree: document,
                class,
                within: Vec::new(),
                plan: Vec::new(),
                taken: Vec::new(),
                has_own_field: vec![false; columns.len()],
                closed: 0,
            };
            layout.add(match format {
                Format::Ecs => document,
                Format::Ocsf => trees::ocsf::document(class.0),
                Format::Raw => raw::DOCUMENT,
            });
            if format != Format::Ocsf {
                layout.plan.push(Step::Errors);
            }
            (class.2, layout.plan)
        };
        let plans = match (format, kind) {
            (Format::Ocsf, "SetupAuditTrail") => {
                class::AUDITED.iter().map(|(class, rules)| plan((*class, "Action", rules))).collect()
            }
            _ => {
                let class = Kind::of(kind).class;
                let (column, rules) = class.rules();
                vec![plan((class, column, rules))]
            }
        };
        let plans = Plans { column: position("Action"), plans };
        let steps = plans.plans.iter().flat_map(|(_, steps)| steps);
        let mut address_columns: Vec<usize> = steps.flat_map(Step::addresses).collect();
        address_columns.sort_unstable();
        address_columns.dedup();
        let writes_rows = is_file && (format == Format::Raw || common.output.original);
        Self {
            plans,
            id: EventId::new(&columns),
            key,
            record_id: in_its_org.then(|| RecordId::new(common.host(), kind)),
            date,
            timestamp,
            address_columns,
            is_address: vec![false; columns.len()],
            raw_keys: if writes_rows { raw_keys(&columns) } else { Vec::new() },
            provenance,
            dataset,
            provider: provider.to_owned(),
            kind: kind.to_owned(),
            format,
            stream: (format == Format::Raw).then(|| common.stream.to_owned()),
            since: common.since,
            errors: Vec::new(),
            json: Writer::default(),
            pending: Vec::with_capacity(MOST_PENDING),
            messages: Messages::default(),
            digests: Vec::with_capacity(MOST_PENDING),
            width: columns.len(),
            preparation: None,
            columns,
        }
    }

    /// For rows with these columns, of which not everything may leave, and some of whose ids have names.
    #[cold]
    pub fn with_treatment(
        common: &Common<'_>,
        mut columns: Vec<String>,
        treatment: &Treatment,
        wanted: Wanted,
    ) -> Self {
        let width = columns.len();
        // A record as it came has no names but its own.
        let is_raw = common.output.format == Format::Raw;
        let names = if is_raw { None } else { names::Plan::new(wanted, &columns) };
        columns.extend(names.iter().flat_map(names::Plan::columns).map(str::to_owned));
        let named = columns.len();
        let mut treatment = treatment::Plan::new(treatment, common, &columns);
        for (names, treatment) in names.iter().zip(&mut treatment) {
            names.aliases(&columns).for_each(|(column, aliases)| treatment.include(column, &aliases));
        }
        let weight = treatment.as_ref().and_then(|plan| plan.weight_column(common));
        columns.extend(weight.map(str::to_owned));
        let mut mapper = Self::new(common, columns);
        mapper.raw_keys.retain(|(column, _)| !(width..named).contains(column));
        mapper.width = width;
        let is_needed = names.is_some() || treatment.is_some();
        mapper.preparation = is_needed.then(|| Box::new(Preparation { names, treatment }));
        mapper
    }

    /// Columns that its treatment names and that are not there.
    pub fn unknown(&self) -> &[String] {
        self.treatment().map_or(&[], |plan| plan.unknown())
    }

    fn treatment(&self) -> Option<&treatment::Plan> {
        self.preparation.as_ref()?.treatment.as_ref()
    }

    /// Whether names of ids are wanted, and there are ids.
    pub fn has_names(&self) -> bool {
        self.preparation.as_ref().is_some_and(|preparation| preparation.names.is_some())
    }

    /// What stands in the columns of ids of which names are wanted.
    pub fn ids<'r>(&'r self, row: &'r impl Row) -> impl Iterator<Item = &'r [u8]> {
        let names = self.preparation.iter().filter_map(|preparation| preparation.names.as_ref());
        names.flat_map(|names| names.ids(row))
    }

    /// The names of the columns that a row has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns[..self.width].iter().map(String::as_str)
    }

    /// How many columns a row must have.
    pub fn columns(&self) -> usize {
        self.width
    }

    /// Whether these are the columns.
    pub fn fits<'n>(&self, columns: impl Iterator<Item = &'n str>) -> bool {
        self.columns[..self.width].iter().eq(columns)
    }

    /// Whether a row is the header once more, as it stands in files that were put together of several.
    pub fn is_header(&self, row: Fields<'_>) -> bool {
        let columns = self.columns[..self.width].iter().enumerate();
        columns.into_iter().all(|(index, name)| row.field(index) == name.as_bytes())
    }

    /// The digest of a record's content.
    pub fn digest(&mut self, record: &Record<'_>) -> Id {
        self.id.of(record)
    }

    /// The document of a record; none if it is left out.
    pub fn event(&mut self, record: &Record<'_>, names: &dyn Names) -> Option<String> {
        match self.preparation.take() {
            None => drop(self.write(record, record, false)),
            Some(mut preparation) => {
                let is_kept = self.write_prepared(&mut preparation, record, names);
                self.preparation = Some(preparation);
                is_kept?;
            }
        }
        Some(self.json.finish())
    }

    #[cold]
    fn write_prepared(
        &mut self,
        preparation: &mut Preparation,
        record: &Record<'_>,
        names: &dyn Names,
    ) -> Option<()> {
        let Preparation { names: named, treatment } = preparation;
        let named = named.as_ref().map(|plan| plan.record(record, names));
        let row = named.as_ref().unwrap_or(record);
        let Some(plan) = treatment else {
            self.write(row, record, false);
            return Some(());
        };
        // What was damaged may stand in a field that it does not belong to: nothing tells that it can be left out.
        let is_sound = record.damages().is_empty();
        if is_sound && !plan.keeps(row, &mut || self.key_of(record)) {
            return None;
        }
        let weight = if is_sound { plan.weight_of_records() } else { String::from("1") };
        self.write(&plan.record(row, &weight), record, false);
        Some(())
    }

    /// Adds the document of a row to those that [`take`](Self::take) takes. Returns its length in bytes; none if it is left out.
    /// The ids of several are made faster together than one by one.
    pub fn add(&mut self, row: Fields<'_>) -> Option<usize> {
        self.add_named(row, &Nameless)
    }

    /// The same, with the names of its ids.
    pub fn add_named(&mut self, row: Fields<'_>, names: &dyn Names) -> Option<usize> {
        let hole = match self.preparation.take() {
            None => self.write(&row, &row, true),
            Some(mut preparation) => {
                let hole = self.add_prepared(&mut preparation, row, names);
                self.preparation = Some(preparation);
                hole?
            }
        };
        let range = self.json.keep();
        let length = range.len();
        self.pending.push(Pending { range, hole });
        Some(length)
    }

    #[cold]
    fn add_prepared(
        &mut self,
        preparation: &mut Preparation,
        row: Fields<'_>,
        names: &dyn Names,
    ) -> Option<Option<usize>> {
        let Preparation { names: named, treatment } = preparation;
        let prepared = named.as_mut().map_or(row, |plan| plan.row(row, names));
        let Some(plan) = treatment else { return Some(self.write(&prepared, &row, true)) };
        let is_kept = plan.keeps(&prepared, &mut || self.key_of(&row));
        is_kept.then(|| self.write(&plan.row(prepared), &row, true))
    }

    /// What tells a row from others.
    fn key_of(&mut self, row: &impl Row) -> Vec<u8> {
        let own = self.key.map_or(&[][..], |key| row.field(key)).to_owned();
        if own.is_empty() { self.id.of(row).as_str().as_bytes().to_owned() } else { own }
    }

    /// Whether so many documents were added that nothing is gained by adding more before they are taken.
    pub fn is_full(&self) -> bool {
        self.pending.len() >= MOST_PENDING
            || self.pending.last().is_some_and(|document| document.range.end >= MOST_PENDING_BYTES)
    }

    /// Takes the documents that were added, in their order.
    pub fn take(&mut self, events: &mut Vec<String>) {
        if self.pending.is_empty() {
            return;
        }
        self.messages.digests(&mut self.digests);
        let holes = self.pending.iter().filter_map(|document| document.hole);
        for (hole, digest) in holes.zip(&self.digests) {
            self.json.fill(hole, Id::new(digest).as_str().as_bytes());
        }
        self.json.take(self.pending.drain(..).map(|document| document.range), |event| events.push(event));
    }

    /// Writes the document of a row, with the id of what it is of. Returns where the id belongs, if that may wait and does. Not inlined: it is
    /// called in several places, and is large.
    #[inline(never)]
    fn write<R: Row>(&mut self, row: &R, original: &R, may_wait: bool) -> Option<usize> {
        let mut hole = None;
        self.errors.clear();
        self.errors.extend_from_slice(row.damages());
        for column in &self.address_columns {
            self.is_address[*column] = is_address(row.field(*column));
        }
        let Self { json, errors, columns, .. } = self;
        let plain = row.is_plain();
        json.begin_row(plain);
        let mut steps = self.plans.of(row).iter();
        while let Some(step) = steps.next() {
            match step {
                Step::Put(members) => json.put(members),
                Step::End => json.end(),
                Step::Open(key) => json.open(key),
                Step::Close => json.close(),
                Step::Id(key) => {
                    let own = self.key.map(|key| original.field(key)).filter(|key| !key.is_empty());
                    match (own, &mut self.record_id) {
                        (Some(own), Some(record_id)) => json.plain(key, record_id.of(own).padded()),
                        (Some(own), None) => drop(json.part(key, own)),
                        (None, _) if may_wait => {
                            self.messages.add(|content| self.id.write(original, content));
                            hole = Some(json.hole(key, DIGITS));
                        }
                        (None, _) => json.plain(key, self.id.of(original).padded()),
                    };
                }
                Step::Timestamp(key) | Step::Time(key) => {
                    let field = |index: Option<usize>| index.map_or(&[][..], |index| row.field(index));
                    let date = field(self.date);
                    let is_text = matches!(step, Step::Timestamp(_));
                    match canonical(date).or_else(|| timestamp(date, field(self.timestamp))) {
                        Some(time) if is_text => drop(json.part(key, &time)),
                        Some(time) => json.integer(key, epoch(&time)),
                        None => {
                            let column = self.date.map_or("TIMESTAMP_DERIVED", |date| &columns[date]);
                            let compact = field(self.timestamp);
                            if !date.is_empty() || compact.is_empty() {
                                report(errors, column, date, "is not a time");
                            }
                            if !compact.is_empty() {
                                report(errors, "TIMESTAMP", compact, "is not a time");
                            }
                            if is_text {
                                json.part(key, self.since.to_rfc3339().as_bytes());
                            } else {
                                json.integer(key, self.since.0);
                            }
                        }
                    }
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
                        json.part(key, outcome);
                    }
                }
                Step::Behind { person, user, steps: skipped } => {
                    if !is_another(row, person, user) {
                        steps.by_ref().take(*skipped).for_each(drop);
                    }
                }
                Step::Column(key, column, Form::Keyword | Form::Given) if plain => {
                    let value = row.padded(*column);
                    if !value.is_empty() {
                        json.plain(key, value);
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
                    let mut seen: [&[u8]; MOST_DISTINCT] = [&[]; MOST_DISTINCT];
                    let mut count = 0;
                    for (column, form) in of.iter().take(MOST_DISTINCT) {
                        let Some(part) = form.part(row.field(*column), self.is_address[*column]) else {
                            continue;
                        };
                        let is_new = !part.is_empty() && !seen[..count].contains(&part);
                        if is_new && (plain || str::from_utf8(part).is_ok()) {
                            seen[count] = part;
                            count += 1;
                        }
                    }
                    json.list_of_parts(key, seen[..count].iter().copied());
                }
                Step::Observables(key, of) => {
                    let mut seen: [&[u8]; 2 * MOST_DISTINCT] = [&[]; 2 * MOST_DISTINCT];
                    let mut count = 0;
                    json.open_list(key);
                    for (column, form, item) in of.iter().take(seen.len()) {
                        let Some(part) = form.part(row.field(*column), self.is_address[*column]) else {
                            continue;
                        };
                        let is_new = !part.is_empty() && !seen[..count].contains(&part);
                        if is_new && (plain || str::from_utf8(part).is_ok()) {
                            seen[count] = part;
                            count += 1;
                            json.item(item, part);
                        }
                    }
                    json.close_list();
                }
                Step::Location(around, latitude, longitude) => {
                    let (lat, lon) = (row.field(*latitude), row.field(*longitude));
                    if !form::location(json, around, lat, lon) {
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
                Step::Mark => json.mark(),
                Step::Or(skipped) => {
                    if json.has_grown() {
                        steps.by_ref().take(*skipped).for_each(drop);
                    }
                }
                Step::Filled(of, skipped) => {
                    if of.iter().all(|column| row.field(*column).is_empty()) {
                        steps.by_ref().take(*skipped).for_each(drop);
                    }
                }
                Step::EndList => json.end_list(),
                Step::Activity(activity) => {
                    let value = row.field(activity.column);
                    let told = activity.rules.iter().zip(&activity.members);
                    let mut told =
                        told.filter(|(rule, _)| class::fits(rule, value)).map(|(_, members)| members);
                    json.put(match told.next() {
                        Some(members) => members,
                        None if value.is_empty() => &activity.none,
                        None => &activity.other,
                    });
                }
                Step::Status(of, success) => {
                    let success = match (success, of.first().map(|column| row.field(*column))) {
                        (Some(success), Some(value)) => {
                            (!value.is_empty()).then(|| value == success.as_bytes())
                        }
                        _ => form::success_of(of.iter().map(|column| row.field(*column))),
                    };
                    json.put(match success {
                        Some(true) => "\"status_id\":1,\"status\":\"Success\",",
                        Some(false) => "\"status_id\":2,\"status\":\"Failure\",",
                        None => "\"status_id\":0,\"status\":\"Unknown\",",
                    });
                }
                Step::Errors => {
                    if !errors.is_empty() {
                        json.open(&Key::new("error"));
                        json.list(&Key::new("message"), errors.iter().map(String::as_bytes));
                        json.close();
                    }
                }
            }
        }
        hole
    }

    /// The document of a row that cannot be understood, so that it is not lost: its text, and what is wrong.
    pub fn malformed(&mut self, row: &[u8], reason: &str) -> String {
        // The last row of a file may come without a line break, and with one when the file is issued again.
        let line_break = row.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let row = &row[..row.len() - line_break];
        let id = Id::of(row);
        // What stands where in it nobody knows.
        let is_withheld = self.treatment().is_some_and(treatment::Plan::withholds);
        let row = if is_withheld { WITHHELD } else { row };
        if self.format == Format::Ocsf {
            return self.malformed_in_ocsf(id, row, reason);
        }
        let json = &mut self.json;
        json.begin();
        json.rare("", &[("@timestamp", self.since.to_rfc3339().as_bytes())]);
        json.rare("data_stream", &[("dataset", self.dataset.as_bytes())]);
        json.rare(
            "event",
            &[
                ("id", id.as_str().as_bytes()),
                ("kind", b"pipeline_error"),
                ("provider", self.provider.as_bytes()),
                ("original", row),
            ],
        );
        json.put_all(&[b"\"salesforce\":{", self.provenance.as_bytes()]);
        json.end();
        json.put("\"error\":{");
        json.list(&Key::new("message"), [reason.as_bytes()]);
        json.end();
        if let Some(stream) = &self.stream {
            json.rare("", &[("stream", stream.as_bytes())]);
        }
        json.finish()
    }
}

impl Mapper {
    fn malformed_in_ocsf(&mut self, id: Id, row: &[u8], reason: &str) -> String {
        let json = &mut self.json;
        json.begin();
        json.put(&Class::Base.members());
        json.put(&Class::Base.activity(0));
        json.put("\"severity_id\":0,\"severity\":\"Unknown\",\"status_id\":0,\"status\":\"Unknown\",");
        json.integer(&Key::new("time"), self.since.0);
        json.rare("", &[("message", reason.as_bytes())]);
        json.put(&format!(
            "\"metadata\":{{\"version\":\"{}\",\"product\":{{\"name\":\"Salesforce\",\"vendor_name\":\"Salesforce\"}},",
            class::VERSION
        ));
        let metadata = [
            ("uid", id.as_str()),
            ("log_name", &self.kind),
            ("log_provider", &self.provider),
            ("log_source", &self.dataset),
        ];
        json.rare("", &metadata.map(|(name, value)| (name, value.as_bytes())));
        json.end();
        json.rare("", &[("raw_data", row)]);
        json.put_all(&[b"\"unmapped\":{\"salesforce\":{", self.provenance.as_bytes()]);
        json.end();
        json.put("\"error\":{");
        json.list(&Key::new("message"), [reason.as_bytes()]);
        json.end();
        json.end();
        json.finish()
    }
}

/// The columns of a row, as texts.
fn write_row(
    json: &mut Writer,
    keys: &[(usize, Key)],
    columns: &[String],
    row: &impl Row,
    errors: &mut Vec<String>,
) {
    for (index, key) in keys {
        let value = row.field(*index);
        if !json.text(key, value) {
            report(errors, &columns[*index], value, Form::Keyword.promise());
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
fn raw_keys(columns: &[String]) -> Vec<(usize, Key)> {
    let mut taken: Vec<String> = Vec::with_capacity(columns.len());
    for (index, name) in columns.iter().enumerate() {
        let is_first = !columns[..index].contains(name);
        let is_free = |name: &String| !taken.contains(name) && !columns.contains(name);
        let numbered = || (2..).map(|nth| format!("{name}_{nth}")).find(is_free);
        let key = if is_first { None } else { numbered() };
        taken.push(key.unwrap_or_else(|| name.clone()));
    }
    taken.iter().map(|name| Key::escaped(name)).enumerate().collect()
}

/// A time that is not in the form that is written by far most often.
fn timestamp(date: &[u8], compact: &[u8]) -> Option<[u8; 24]> {
    let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
    Time::parse(text(date)).or_else(|| Time::parse_compact(text(compact))).and_then(written)
}

#[cfg(test)]
mod tests {
    use super::{
        origin::{EventLogFile, Output},
        *,
    };
    use crate::{
        bytes::csv::{Next, Rows},
        grammar::node::Node,
    };

    const COLUMNS: &str = "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,RUN_TIME,CPU_TIME,URI,SESSION_KEY,USER_TYPE,\
        LOGIN_TYPE,BROWSER_TYPE,USER_NAME,TLS_PROTOCOL,CIPHER_SUITE,REQUEST_STATUS,TIMESTAMP_DERIVED,USER_ID_DERIVED,CLIENT_IP,\
        SOURCE_IP,LOGIN_STATUS,LATITUDE,LONGITUDE,ACTION_MESSAGE,IS_NEW,NUMBER_ROWS,SCORE,USER_AGENT,DELEGATED_USER_NAME";
    const VALUES: &[&str] = &[
        "",
        "a",
        "0",
        "1",
        "17",
        "1.5E3",
        "-1",
        "true",
        "Login",
        "S",
        "F",
        "i",
        "TLSv1.3",
        "203.0.113.7",
        "2001:db8::1",
        "not an address",
        "2026-06-01T10:15:30.123Z",
        "20260601101530.123",
        "0055j000004XYz1AAE",
        "0055j000004XYz1",
        "anna.berg@acme.com",
        "https://acme.my.salesforce.com/services/%7Bx%7D/a.json?b=c",
        "Mozilla/5.0 (X11; Linux x86_64)",
        "10010511",
        "1;a://b.c/ACTION$d=12;",
        "\"\"in quotes\"\"",
        "back\\slash",
        "é and 💥",
        "a\ttab",
        "two\nlines",
        "\0",
        "59.3",
        "18.07",
        "a text that is longer than the sixty-four bytes which are looked at and copied together, so that it takes the other way",
    ];

    fn mapper(event_type: &str, output: Output) -> Mapper {
        let time = Time(1_780_308_000_000);
        let file = EventLogFile {
            id: String::from("0AT000000000000001"),
            event_type: event_type.to_owned(),
            created: time,
            log_date: time,
            length: 0,
            interval: String::from("Hourly"),
            sequence: 1,
            api_version: String::from("65.0"),
        };
        let origin = Origin::File(&file);
        let common = Common {
            stream: "s",
            instance_url: "https://acme.my.salesforce.com",
            since: time,
            output,
            origin,
        };
        Mapper::new(&common, COLUMNS.split(',').map(str::to_owned).collect())
    }

    fn documents(event_type: &str, output: Output, text: &[u8], careful: bool) -> Vec<String> {
        let rows = Rows::new(text, 0);
        let mut rows = if careful { rows.carefully() } else { rows };
        let mut mapper = mapper(event_type, output);
        let (mut all, mut lengths) = (Vec::new(), Vec::new());
        while rows.advance().expect("no error") == Next::Row {
            assert_eq!(rows.width(), mapper.columns());
            if careful {
                mapper.write(&rows.fields(), &rows.fields(), false);
                all.push(mapper.json.finish());
                continue;
            }
            let length = mapper.add(rows.fields());
            lengths.push(length);
            if mapper.is_full() {
                mapper.take(&mut all);
            }
        }
        mapper.take(&mut all);
        assert!(careful || lengths.into_iter().eq(all.iter().map(|event| Some(event.len()))));
        all
    }

    #[test]
    fn the_fast_path_and_the_careful_path_write_the_same_documents() {
        let mut seed = 5u64;
        let mut random = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        for event_type in ["Login", "Logout", "ApexExecution", "AuraRequest", "Report", "Unknown"] {
            let mut text = Vec::new();
            for row in 0..600 {
                // Half of the rows are plain, and some have one odd value.
                let odd = random(COLUMNS.split(',').count());
                let values: Vec<String> = COLUMNS
                    .split(',')
                    .enumerate()
                    .map(|(column, _)| {
                        let any = row % 3 == 2 || (row % 3 == 1 && column == odd);
                        let value = VALUES[random(if any { VALUES.len() } else { 25 })];
                        format!("\"{value}\"")
                    })
                    .collect();
                text.extend_from_slice(values.join(",").as_bytes());
                text.push(b'\n');
            }
            for output in [
                Output::default(),
                Output { format: Format::Raw, original: false },
                Output { original: true, ..Output::default() },
                Output { format: Format::Ocsf, original: true },
            ] {
                let (fast, careful) =
                    (documents(event_type, output, &text, false), documents(event_type, output, &text, true));
                assert_eq!(fast.len(), 600);
                for (fast, careful) in fast.iter().zip(&careful) {
                    assert_eq!(fast, careful);
                    assert!(serde_json::from_str::<serde_json::Value>(fast).is_ok(), "{fast}");
                }
            }
        }
    }

    /// All nodes of all trees, with the parts of each.
    fn nodes_of_trees() -> Vec<Vec<&'static Node>> {
        fn walk(nodes: &'static [Node], found: &mut Vec<&'static Node>) {
            for node in nodes {
                found.push(node);
                match node {
                    Node::Object(_, parts)
                    | Node::Parts(parts)
                    | Node::Typed(parts)
                    | Node::Monitored(parts) => {
                        walk(parts, found);
                    }
                    Node::Behind { parts, .. } => walk(parts, found),
                    _ => {}
                }
            }
        }
        let others = [trees::generic::FILE, trees::generic::OBJECT, raw::DOCUMENT];
        let nodes = |tree: &&'static [Node]| {
            let mut found = Vec::new();
            walk(tree, &mut found);
            found
        };
        trees::ALL.iter().chain(&others).map(nodes).collect()
    }

    #[test]
    fn every_document_has_one_id() {
        for tree in nodes_of_trees() {
            assert_eq!(tree.iter().filter(|node| matches!(node, Node::Id(_))).count(), 1);
        }
    }

    #[test]
    fn long_documents_do_not_wait_for_others() {
        let values = |long: usize| {
            let values = COLUMNS
                .split(',')
                .map(|column| if column == "URI" { "x".repeat(long) } else { String::new() });
            values.collect::<Vec<_>>().join(",") + "\n"
        };
        for (long, expected) in [(10, MOST_PENDING), (MOST_PENDING_BYTES / 2, 2), (MOST_PENDING_BYTES, 1)] {
            let text = values(long).repeat(2 * MOST_PENDING);
            let mut rows = Rows::new(text.as_bytes(), 0);
            let mut mapper = mapper("Login", Output::default());
            let mut count = 0;
            while !mapper.is_full() && rows.advance().expect("no error") == Next::Row {
                mapper.add(rows.fields());
                count += 1;
            }
            assert_eq!(count, expected, "documents of {long} bytes and more");
        }
    }

    #[test]
    fn no_list_of_different_values_has_more_columns_than_are_looked_at() {
        let nodes = nodes_of_trees().into_iter().flatten();
        let columns = nodes.filter_map(|node| match node {
            Node::Distinct(_, columns) => Some(columns.len()),
            _ => None,
        });
        let most = columns.max().expect("lists");
        assert!((2..=MOST_DISTINCT).contains(&most), "{most}");
    }
}
