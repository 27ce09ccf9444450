//! The fields of a record, however damaged it is.

use crate::bytes::{
    json::{Key, Writer},
    row::Row,
    scan::{Oddity, Scanner, Soundness, decode, has_twins, is_literal, is_usual, number},
    text::quoted,
};
use memchr::memchr;
use std::borrow::Cow;

/// How deep related records are followed (SOQL itself ends at five). What lies deeper comes as JSON text.
const MAX_DEPTH: usize = 5;
/// Levels of brackets that any reader of JSON takes, with those that a document puts around a record.
const MOST_LEVELS: usize = 100;
/// More fields than any object has ("Salesforce Features and Edition Allocations": 900 custom ones); those behind are kept out.
pub(super) const MAX_FIELDS: usize = 2000;
/// Fewer fields than this have most objects.
const USUAL_FIELDS: usize = 64;
/// How many damages of one record are told one by one.
pub(super) const MAX_DAMAGES: usize = 16;
const NO_VALUE: &str = "was no JSON value, and is given as it came";
/// The name of what Salesforce adds to each record, and the texts in it, names and values: a type and an address.
const ATTRIBUTES: &str = "attributes";
const ATTRIBUTES_TEXTS: usize = 4;
/// What every record begins with.
pub(super) const BEGINNING: &[u8] = b"{\"attributes\"";

/// A record: its fields in the order in which they came.
#[derive(Default)]
pub struct Record<'a> {
    json: &'a [u8],
    is_object: bool,
    names: Vec<Cow<'a, str>>,
    values: Vec<Value<'a>>,
    damages: Vec<String>,
    /// Whether it holds numbers that no double holds, or brackets within brackets, as JSON may and many readers do not take.
    unusual: bool,
    /// Its type and its address, as they came.
    attributes: Option<&'a [u8]>,
    /// Whether it holds objects or lists other than these.
    is_nested: bool,
    /// Whether the names of fields without a value are not shown.
    is_withheld: bool,
}

enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as JSON.
    Bare(&'a str),
    /// A text that did not come with the record.
    Added(Cow<'a, str>),
}

impl Value<'_> {
    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Bare(json) => Value::Bare(json),
            Self::Added(text) => Value::Added(Cow::Borrowed(text)),
        }
    }
}

impl<'a> Record<'a> {
    /// Takes a record apart, as far as it can be read. What is no object has no fields.
    pub fn parse(json: &'a [u8]) -> Self {
        let json = json.trim_ascii();
        // One whose first bracket is damaged is an object all the same.
        let beginning = match json.first() {
            Some(b'{') => Some(1),
            Some(b'[') => next_name(json, 1).filter(|at| *at == 1),
            _ => next_name(json, 0),
        };
        let mut record = Self { json, is_object: beginning.is_some(), ..Self::default() };
        let Some(at) = beginning else { return record };
        record.names.reserve(USUAL_FIELDS);
        record.values.reserve(USUAL_FIELDS);
        let mut reader = RecordReader {
            json: Scanner::new(json, at),
            record,
            doubtful: (0, String::new()),
            more: 0,
            again: 0,
        };
        if !json.starts_with(b"{") {
            reader.damage("the record", "does not begin as one");
        }
        reader.members("", 1);
        reader.leave_out_twins();
        reader.count_the_others();
        reader.record
    }

    /// Whether it is an object, as every record should be.
    pub fn is_object(&self) -> bool {
        self.is_object
    }

    /// The record as it came.
    pub fn as_it_came(&self) -> &'a [u8] {
        self.json
    }

    /// What could not be read, by field, in words.
    pub fn damages(&self) -> &[String] {
        &self.damages
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// A text field that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A number, also where it comes as a text. Salesforce writes whole ones as `5199.0`, and from eight digits on as
    /// `1.23E7`.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Text(text) => number(text),
            Value::Bare(json) => number(json),
            Value::Null | Value::Added(_) => None,
        }
    }

    /// The same, to which fields can be added.
    pub fn borrowed(&self) -> Record<'_> {
        Record {
            json: self.json,
            is_object: self.is_object,
            names: self.names.iter().map(|name| Cow::Borrowed(&**name)).collect(),
            values: self.values.iter().map(Value::borrowed).collect(),
            damages: self.damages.clone(),
            unusual: self.unusual,
            attributes: self.attributes,
            is_nested: self.is_nested,
            is_withheld: self.is_withheld,
        }
    }

    /// Adds a field that did not come with the record. It is no part of [`json`](Row::json).
    pub fn add(&mut self, name: &'a str, text: &'a str) {
        self.names.push(Cow::Borrowed(name));
        self.values.push(Value::Added(Cow::Borrowed(text)));
    }

    /// The same with other texts in some fields, by index and value as it came. One that is empty is no value. What belongs to
    /// related records stands beside the other fields, under its full name.
    pub fn rewritten(&self, mut text: impl FnMut(usize, &[u8]) -> Option<String>) -> Record<'_> {
        let values =
            self.values.iter().enumerate().map(|(index, value)| match text(index, self.field(index)) {
                Some(text) if matches!(value, Value::Added(_)) => Value::Added(text.into()),
                Some(text) if text.is_empty() => Value::Null,
                Some(text) => Value::Text(text.into()),
                None => value.borrowed(),
            });
        let values = values.collect();
        Record { json: b"", values, unusual: true, is_withheld: false, ..self.borrowed() }
    }

    /// Adds a field with a number.
    pub fn push(&mut self, name: &'a str, number: &'a str) {
        self.names.push(Cow::Borrowed(name));
        self.values.push(Value::Bare(number));
    }

    /// Shows nothing but the fields with a value, and of its damages no more than these words: what was taken for a name may be
    /// another thing.
    pub fn withhold(&mut self, words: &str) {
        self.damages = vec![words.to_owned()];
        self.is_withheld = true;
    }

    /// Whether an object in it has a name twice, or may have. Fields that do are damages; what they hold, and an object that is
    /// no field, is looked through here.
    fn has_twins(&self) -> bool {
        if self.is_nested {
            return has_twins(self.json);
        }
        self.attributes
            .is_some_and(|json| has_twins(json) || self.names.iter().any(|name| name == ATTRIBUTES))
    }

    fn value(&self, name: &str) -> Option<&Value<'a>> {
        let at = self.names.iter().position(|other| other == name)?;
        self.values.get(at)
    }
}

impl Row for Record<'_> {
    fn field(&self, index: usize) -> &[u8] {
        match self.values.get(index) {
            Some(Value::Text(text) | Value::Added(text)) => text.as_bytes(),
            Some(Value::Bare(json)) => json.as_bytes(),
            Some(Value::Null) | None => b"",
        }
    }

    fn is_bare(&self, index: usize) -> bool {
        matches!(self.values.get(index), Some(Value::Bare(_)))
    }

    fn damages(&self) -> &[String] {
        &self.damages
    }

    /// As it came; if it is damaged, or such that not every reader takes it (an object has a name twice), field by field.
    fn json(&self) -> Option<Cow<'_, str>> {
        if self.damages.is_empty()
            && !self.unusual
            && !self.has_twins()
            && let Ok(json) = str::from_utf8(self.json)
        {
            return Some(Cow::Borrowed(json));
        }
        let mut json = Writer::default();
        json.begin();
        for (name, value) in self.names.iter().zip(&self.values) {
            let key = Key::escaped(name);
            match value {
                Value::Null if self.is_withheld => {}
                Value::Added(_) => {}
                Value::Null => json.raw(&key, b"null"),
                Value::Bare(bare) if is_usual(bare.as_bytes()) => json.raw(&key, bare.as_bytes()),
                Value::Bare(bare) => {
                    json.text(&key, bare.as_bytes());
                }
                Value::Text(text) => {
                    json.text(&key, text.as_bytes());
                }
            }
        }
        Some(Cow::Owned(json.finish()))
    }
}

struct RecordReader<'a> {
    json: Scanner<'a>,
    record: Record<'a>,
    /// How many fields there were before the last one where something could not be read, and in which object it was.
    doubtful: (usize, String),
    /// Damages that are not told one by one.
    more: usize,
    /// Bytes that were read in vain, and will be read again.
    again: usize,
}

impl<'a> RecordReader<'a> {
    /// Reads the members of an object, behind its bracket.
    fn members(&mut self, prefix: &str, depth: usize) {
        self.json.space();
        let mut at_name = self.json.peek() != Some(b'}');
        loop {
            if at_name {
                at_name = self.member(prefix, depth);
                continue;
            }
            self.json.space();
            match self.json.peek() {
                None => {
                    if depth == 1 {
                        self.move_out();
                    }
                    return self.damage("the record", "has no end");
                }
                Some(b',') => {
                    self.json.at += 1;
                    at_name = true;
                }
                Some(b'}') => {
                    self.json.at += 1;
                    self.json.space();
                    if depth > 1 || self.json.peek().is_none() {
                        return;
                    }
                    // What stands behind the last bracket of a record is more of it.
                    at_name = self.pass_over(self.json.at, prefix);
                }
                Some(_) => at_name = self.pass_over(self.json.at, prefix),
            }
        }
    }

    /// Where a bracket is missing, and one of an object within the record may be it: what follows the damage there is a field
    /// of the record.
    fn move_out(&mut self) {
        let (from, prefix) = &self.doubtful;
        for name in self.record.names.iter_mut().skip(*from) {
            if let Some(own) = name.strip_prefix(prefix.as_str()).and_then(|name| name.strip_prefix('.')) {
                *name = Cow::Owned(own.to_owned());
            }
        }
    }

    /// Reads a member. Whether another name follows, without a comma.
    fn member(&mut self, prefix: &str, depth: usize) -> bool {
        let start = self.json.at;
        let Ok(name) = self.json.name() else { return self.pass_over(start, prefix) };
        let name = self.name(prefix, name);
        let start = self.json.at;
        let mut said = Vec::new();
        let value = match self.json.peek() {
            Some(b'"') => self.json.text().map(|raw| {
                let (text, oddities) = decode(raw);
                said.extend(oddities.iter().map(Oddity::to_string));
                Some(Value::Text(text))
            }),
            Some(b'{') if depth < MAX_DEPTH && !is_attributes(&name) => {
                self.record.is_nested = true;
                self.json.at += 1;
                self.members(&name, depth + 1);
                Ok(None)
            }
            Some(bracket @ (b'{' | b'[')) => {
                let mut sound = Soundness { sound: true, usual: true, texts: 0 };
                let attributes = bracket == b'{' && is_attributes(&name);
                let value = self.json.value(&mut sound);
                self.record.unusual |= !sound.usual || depth + self.json.deepest > MOST_LEVELS;
                if attributes && value.is_ok() && sound.texts > ATTRIBUTES_TEXTS {
                    self.json.at = start + 1;
                    self.open_attributes(&name, prefix, depth);
                }
                value.map(|raw| {
                    if attributes && self.record.attributes.is_none() {
                        self.record.attributes = Some(raw);
                    } else {
                        self.record.is_nested = true;
                    }
                    if !sound.sound || str::from_utf8(raw).is_err() {
                        said.push(String::from("held damaged JSON, which is given as it came"));
                    }
                    (!attributes).then(|| Value::Text(String::from_utf8_lossy(raw)))
                })
            }
            _ => self.json.bare().map(|token| {
                let value = literal(token);
                self.record.unusual |= !is_usual(token);
                if matches!(value, Value::Text(_)) {
                    said.push(NO_VALUE.to_owned());
                }
                Some(value)
            }),
        };
        let end = self.json.at;
        self.json.space();
        if let Ok(value) = value {
            let at_name = match self.json.peek() {
                None | Some(b',' | b'}') => false,
                Some(_) => match self.rubbish(start, end, prefix) {
                    Some(at_name) => at_name,
                    None => return self.unreadable(name, start, prefix),
                },
            };
            for what in said {
                self.damage(&name, &what);
            }
            self.add(name, value);
            return at_name;
        }
        self.unreadable(name, start, prefix)
    }

    /// The attributes of a record hold its type and its address. Where they hold more, their bracket is missing, and that is
    /// the record.
    fn open_attributes(&mut self, name: &str, prefix: &str, depth: usize) {
        let from = self.record.names.len();
        self.members(name, depth + 1);
        let names = self.record.names.split_off(from);
        let values = self.record.values.split_off(from);
        for (own, value) in names.into_iter().zip(values) {
            let own = own[name.len()..].trim_start_matches('.').to_owned();
            if own != "type" && own != "url" {
                let own = if prefix.is_empty() { own } else { format!("{prefix}.{own}") };
                self.add(Cow::Owned(own), Some(value));
            }
        }
        self.damage(name, "held more than type and address");
    }

    /// Passes over what stands between a value and the next field; if it can be told from the value, that is, if it
    /// holds no quote, and the value is none that goes on with a space. Whether a name comes next.
    fn rubbish(&mut self, start: usize, end: usize, prefix: &str) -> Option<bool> {
        let at = self.json.at;
        let is_closed = matches!(self.json.bytes()[start], b'"' | b'{' | b'[');
        let (raw, at_name) = self.lost(end, prefix);
        if is_closed && memchr(b'"', raw).is_none() {
            self.damage("the record", &format!("held what is no field: '{}'", shown(raw)));
            return Some(at_name);
        }
        self.json.at = at;
        None
    }

    /// A field whose value ends nobody knows where: all up to the next field.
    fn unreadable(&mut self, name: Cow<'a, str>, start: usize, prefix: &str) -> bool {
        let (raw, at_name) = self.lost(start, prefix);
        self.damage(&name, NO_VALUE);
        self.add(name, Some(Value::Text(String::from_utf8_lossy(raw))));
        self.doubtful = (self.record.names.len(), prefix.to_owned());
        at_name
    }

    fn name(&mut self, prefix: &str, raw: &'a [u8]) -> Cow<'a, str> {
        let (name, oddities) = decode(raw);
        for oddity in oddities {
            self.damage("the name of a field", &oddity.to_string());
        }
        if prefix.is_empty() { name } else { Cow::Owned(format!("{prefix}.{name}")) }
    }

    fn add(&mut self, name: Cow<'a, str>, value: Option<Value<'a>>) {
        let Some(value) = value else { return };
        if self.record.names.len() < MAX_FIELDS {
            self.record.names.push(name);
            self.record.values.push(value);
        } else {
            self.damage(&name, "is one field too many, and left out");
        }
    }

    /// Goes on at the next field, and leaves out what stands before it. Whether its name comes next.
    fn pass_over(&mut self, start: usize, prefix: &str) -> bool {
        let (raw, at_name) = self.lost(start, prefix);
        self.damage("the record", &format!("held what is no field: '{}'", shown(raw)));
        self.doubtful = (self.record.names.len(), prefix.to_owned());
        at_name
    }

    /// Goes on at the next field, and gives what stands between it and `start`. Whether its name comes next, or what ends
    /// the field before it.
    fn lost(&mut self, start: usize, prefix: &str) -> (&'a [u8], bool) {
        let bytes = self.json.bytes();
        // Objects within objects could each be read up to the end in vain.
        self.again += self.json.at.saturating_sub(start);
        let next = if self.again > 4 * bytes.len() { None } else { next_name(bytes, start) };
        let end = next.unwrap_or(bytes.len());
        let raw = bytes[start..end].trim_ascii_end();
        let before_comma = raw.strip_suffix(b",").map(<[u8]>::trim_ascii_end);
        let before_bracket = before_comma.unwrap_or(raw).strip_suffix(b"}");
        let inner = before_bracket.filter(|_| !prefix.is_empty() || next.is_none()).or(before_comma);
        self.json.at = inner.map_or(end, |inner| start + inner.len());
        (inner.unwrap_or(raw).trim_ascii(), inner.is_none() && next.is_some())
    }

    #[cold]
    fn damage(&mut self, name: &str, what: &str) {
        if self.record.damages.len() < MAX_DAMAGES {
            self.record.damages.push(format!("{}: {what}", quoted(name, 80)));
        } else {
            self.more += 1;
        }
    }

    /// Of fields with the same name the first counts: a second key or date must not be able to hide it.
    fn leave_out_twins(&mut self) {
        let names = &self.record.names;
        // Nearly all records have no twins, and a bit for each name tells so.
        let mut seen = [0_u64; 64];
        let is_twin = |(at, name): (usize, &Cow<'a, str>)| {
            let hash = hash(name.as_bytes());
            let (word, bit) = ((hash >> 58) as usize, 1 << (hash >> 52 & 63));
            let maybe = seen[word] & bit != 0;
            seen[word] |= bit;
            (maybe && names[..at].contains(name)).then_some(at)
        };
        let twins: Vec<usize> = names.iter().enumerate().filter_map(is_twin).collect();
        for at in twins.into_iter().rev() {
            let name = self.record.names.remove(at);
            let value = self.record.values.remove(at);
            let shown = match &value {
                Value::Null => String::from("null"),
                Value::Text(text) | Value::Added(text) => quoted(text, 100),
                Value::Bare(json) => quoted(json, 100),
            };
            self.damage(&name, &format!("came again as '{shown}', which is left out"));
        }
    }

    fn count_the_others(&mut self) {
        if self.more > 0 {
            self.record.damages.push(format!("and {} more", self.more));
        }
    }
}

/// A number that is nearly always another for another name of a field: of its length and its last eight bytes.
fn hash(name: &[u8]) -> u64 {
    let mut end = [0; 8];
    match name.last_chunk() {
        Some(last) => end = *last,
        None => end[..name.len()].copy_from_slice(name),
    }
    (u64::from_le_bytes(end) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn literal(token: &[u8]) -> Value<'_> {
    match str::from_utf8(token) {
        Ok("null") => Value::Null,
        Ok(literal) if is_literal(token) => Value::Bare(literal),
        _ => Value::Text(String::from_utf8_lossy(token)),
    }
}

/// Bytes as they stand in a message.
fn shown(raw: &[u8]) -> String {
    quoted(&String::from_utf8_lossy(raw), 100)
}

/// Whether a field is the type and address of a record, which Salesforce adds to each.
fn is_attributes(name: &str) -> bool {
    name.rsplit('.').next() == Some(ATTRIBUTES)
}

/// The beginning of the next name of a field: `"Name":`.
fn next_name(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + memchr(b'"', bytes.get(from..)?)?;
        let rest = &bytes[quote + 1..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        if length > 0
            && let Some(behind) = rest[length..].strip_prefix(b"\"")
            && behind.iter().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) == Some(&b':')
        {
            return Some(quote);
        }
        from = quote + 1 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, value, and whether it is bare, of each field.
    fn fields(record: &Record<'_>) -> Vec<(String, String, bool)> {
        let value = |at: usize| String::from_utf8(record.field(at).to_vec()).expect("UTF-8");
        record
            .names()
            .enumerate()
            .map(|(at, name)| (name.to_owned(), value(at), record.is_bare(at)))
            .collect()
    }

    fn read(json: &str) -> Vec<(String, String, bool)> {
        let record = Record::parse(json.as_bytes());
        assert_eq!((record.is_object(), record.damages()), (true, &[][..]), "{json}");
        assert_eq!(record.json().as_deref(), Some(json), "as it came");
        fields(&record)
    }

    fn owned(fields: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
        fields.iter().map(|(name, value, bare)| ((*name).to_owned(), (*value).to_owned(), *bare)).collect()
    }

    #[test]
    fn a_record_gives_its_fields_as_they_were_written() {
        let json = r#"{"attributes": {"type": "X", "url": "/x"}, "Id": "0Ya1", "Big": 12345678901234567890123, "Half": 0.50,
            "Yes": true, "Gone": null, "Text": "a\nb\"\u00e9", "CreatedBy": {"attributes": {}, "Name": "Ann", "Up": {"Id": 1}},
            "List": [1, {"a": 2}], "Huge": 1e99, "None": {}}"#;
        let expected = [
            ("Id", "0Ya1", false),
            ("Big", "12345678901234567890123", true),
            ("Half", "0.50", true),
            ("Yes", "true", true),
            ("Gone", "", false),
            ("Text", "a\nb\"é", false),
            ("CreatedBy.Name", "Ann", false),
            ("CreatedBy.Up.Id", "1", true),
            ("List", "[1, {\"a\": 2}]", false),
            ("Huge", "1e99", true),
        ];
        assert_eq!(read(json), owned(&expected));
    }

    #[test]
    fn what_lies_too_deep_comes_as_text_and_what_is_no_object_has_no_fields() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        let fields = read(&deep);
        assert_eq!((fields.len(), fields[0].0.as_str(), fields[0].2), (1, "a.a.a.a.a", false));
        for json in ["1", "null", "\"x\"", "[]", "[{\"Id\": \"x\"}]", "", "nul", "\u{1}"] {
            let record = Record::parse(json.as_bytes());
            assert_eq!((record.is_object(), record.names().count()), (false, 0), "{json}");
        }
        assert_eq!(read("{}"), []);
    }

    #[test]
    fn numbers_are_read_in_every_form_in_which_salesforce_writes_them() {
        let json = br#"{"a": 5199.0, "b": 1.23E7, "c": "5199", "d": "x", "e": null, "f": true, "g": 1e999, "h": "", "i": -1}"#;
        let record = Record::parse(json);
        let numbers = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| record.number(name));
        let (same, none) = (Some(5199.0), None);
        assert_eq!(numbers, [same, Some(1.23e7), same, none, none, none, none, none, Some(-1.0), none]);
    }

    /// A field that is damaged, between two that are not: what it comes as, and what is said of it.
    #[test]
    fn what_not_every_reader_takes_is_given_field_by_field_in_a_form_that_any_takes() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for (value, as_it_came) in [
            ("1e99", true),
            ("-1.7976931348623157e+08", true),
            ("1e999", false),
            ("[1e999]", false),
            ("{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":-1E+400}}}}}", false),
            (&*"1".repeat(400), false),
            (&*nested(90), true),
            (&*nested(127), false),
            (&*nested(100_000), false),
        ] {
            let json = format!("{{\"Id\":\"k\",\"N\":{value},\"B\":1.5}}");
            let record = Record::parse(json.as_bytes());
            assert_eq!(record.damages(), [""; 0]);
            let written = record.json().expect("JSON");
            assert_eq!(*written == json, as_it_came, "{written}");
            let read: serde_json::Value = serde_json::from_str(&written).expect("JSON that any reader takes");
            assert_eq!((&read["Id"], &read["B"]), (&"k".into(), &1.5.into()));
        }
    }

    #[test]
    fn a_damaged_field_spoils_no_other_field_of_its_record() {
        for (damaged, value, said) in [
            (
                &br#""B": "ab\ud83dcd""#[..],
                Some("ab\u{fffd}cd"),
                "B: held a lone surrogate at character 3, replaced by U+FFFD",
            ),
            (
                b"\"B\": \"ab\xffcd\"",
                Some("ab\u{fffd}cd"),
                "B: held bytes that are not UTF-8 at character 3, replaced by U+FFFD",
            ),
            (b"\"B\": \"a\tb\"", Some("a\tb"), "B: held a raw control character at character 2, kept"),
            (b"\"B\": \"a\nb\"", Some("a\nb"), "B: held a raw control character at character 2, kept"),
            (
                br#""B": "a\xb""#,
                Some("a\\xb"),
                "B: held an escape that JSON does not have at character 2, kept as written",
            ),
            (br#""B": nul"#, Some("nul"), "B: was no JSON value, and is given as it came"),
            (br#""B": NaN"#, Some("NaN"), "B: was no JSON value, and is given as it came"),
            (br#""B": 0x1F"#, Some("0x1F"), "B: was no JSON value, and is given as it came"),
            (
                br#""B": 2026-06-01T10:00:00Z"#,
                Some("2026-06-01T10:00:00Z"),
                "B: was no JSON value, and is given as it came",
            ),
            (
                br#""B": Mozilla/5.0 (X11; Linux)"#,
                Some("Mozilla/5.0 (X11; Linux)"),
                "B: was no JSON value, and is given as it came",
            ),
            (br#""B": "a"b""#, Some("\"a\"b\""), "B: was no JSON value, and is given as it came"),
            (br#""B": "a"b"c""#, Some("\"a\"b\"c\""), "B: was no JSON value, and is given as it came"),
            (br#""B": "a"#, Some("\"a"), "B: was no JSON value, and is given as it came"),
            (br#""B": a""#, Some("a\""), "B: was no JSON value, and is given as it came"),
            (br#""B": "#, Some(""), "B: was no JSON value, and is given as it came"),
            (
                br#""B": [1, "\ud800"]"#,
                Some(r#"[1, "\ud800"]"#),
                "B: held damaged JSON, which is given as it came",
            ),
            (br#""B": [1, nul]"#, Some("[1, nul]"), "B: held damaged JSON, which is given as it came"),
            (b"\"B\": [\"\xff\"]", Some("[\"\u{fffd}\"]"), "B: held damaged JSON, which is given as it came"),
            (br#""B" "x""#, None, "the record: held what is no field: '\"B\" \"x\"'"),
            (br#"B": "x""#, None, "the record: held what is no field: 'B\": \"x\"'"),
            (br#""B: "x""#, None, "the record: held what is no field: '\"B: \"x\"'"),
            (b"", None, "the record: held what is no field: ''"),
            (br#""A": "y""#, None, "A: came again as 'y', which is left out"),
            (br#""Id": "y""#, None, "Id: came again as 'y', which is left out"),
            (
                br#""attributes": {"type": "\ud800"}"#,
                None,
                "attributes: held damaged JSON, which is given as it came",
            ),
        ] {
            let json = [
                &br#"{"attributes":{"type":"X"},"Id":"k","A":1,"#[..],
                damaged,
                br#","Y":{"Z":"z"},"Last":"l"}"#,
            ]
            .concat();
            let shown = String::from_utf8_lossy(&json);
            let record = Record::parse(&json);
            let mut expected =
                owned(&[("Id", "k", false), ("A", "1", true), ("Y.Z", "z", false), ("Last", "l", false)]);
            if let Some(value) = value {
                expected.insert(2, (String::from("B"), value.to_owned(), false));
            }
            assert_eq!(fields(&record), expected, "{shown}");
            assert_eq!(record.damages(), [said], "{shown}");
            let json = record.json().expect("JSON");
            let written: serde_json::Value = serde_json::from_str(&json).expect("JSON that any reader takes");
            assert_eq!((&written["Id"], &written["Y.Z"]), (&"k".into(), &"z".into()), "{json}");
        }
    }

    #[test]
    fn damage_within_a_related_record_stays_there() {
        let json = br#"{"CreatedBy":{"Name":"a"b","Email":"e"},"Action":"x","By":{"Name":"a"b"},"Id":1}"#;
        let record = Record::parse(json);
        let names: Vec<&str> = record.names().collect();
        assert_eq!(
            names,
            ["CreatedBy.Name", "CreatedBy.Email", "Action", "By.Name", "Id"],
            "{:?}",
            record.damages()
        );
        assert_eq!(
            (record.text("By.Name"), record.damages().len()),
            (Some("\"a\"b\""), 2),
            "{:?}",
            record.damages()
        );
    }

    #[test]
    fn a_record_whose_brackets_are_damaged_gives_its_fields_all_the_same() {
        for json in [
            r#"{"attributes":{"type":"X"}}"Id":"k","B":"b"}"#,
            r#"{"attributes":{"type":"X"},"Id":"k"}"B":"b"}"#,
            r#"{"attributes":{"type":"X"},"Id":"k","B":"b"]"#,
            r#"{"attributes":{"type":"X"},"Id":"k""B":"b"}"#,
            r#"{"attributes":{"type":"X"},,"Id":"k","B":"b",}"#,
            r#"{"attributes":{"type":"X","Id":"k","B":"b"}"#,
            r#"{"Id":"k","L":[1,{"a":2],"B":"b"}"#,
            r#"{"L":{"a":1],"Id":"k","B":"b"}"#,
            r#"x"attributes":{"type":"X"},"Id":"k","B":"b"}"#,
            r#"{"Id":"k"]"B":"b"}"#,
            r#"{"Id":"k";"B":"b"}"#,
            r#"{"Id":"k" "B":"b"}"#,
            r#"{"Id":"k","B":"b"}}}}"#,
            r#"{"Id":"k","B":"b"},}"#,
            r#"{"Id":"k","B":"b""#,
            "{\u{c}\"Id\"\u{c}:\"x\",\"Id\":\"k\",\"B\":\"b\"}",
        ] {
            let record = Record::parse(json.as_bytes());
            let lies_in_attributes = json.contains("\"X\",\"Id\"");
            assert!(record.text("Id") == Some("k") || lies_in_attributes, "{json}: {:?}", fields(&record));
            assert!(!record.damages().is_empty(), "{json}");
            assert!(
                serde_json::from_str::<serde_json::Value>(&record.json().expect("JSON")).is_ok(),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_told_of_damages_is_bounded() {
        let member = format!("\"{}\": \"\\ud800\"", "n".repeat(500));
        let json = format!("{{{}}}", vec![member; 3000].join(","));
        let record = Record::parse(json.as_bytes());
        assert_eq!((record.names().count(), record.damages().len()), (1, MAX_DAMAGES + 1));
        assert!(record.damages().iter().all(|damage| damage.len() < 300), "{:?}", record.damages());
        assert_eq!(record.damages().last().map(String::as_str), Some("and 5983 more"));
    }
}
