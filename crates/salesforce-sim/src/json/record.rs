//! A record as it stands in the answer to a query: its attributes, then the fields in the order of SELECT.
//!
//! Written byte by byte, as a damaged record need be neither JSON nor UTF-8.

use chrono::{DurationRound as _, TimeDelta};
use serde::Serialize;

use super::value::{DATE_TIME, Doubles};
use crate::faults::damage::{Damage, Strike, first_text};
use crate::objects::stored::{CONSTANT_ID, StoredObject};
use crate::soql::group::Aggregates;
use crate::soql::object::{Object, Row, Value};

/// How the records of an answer are written.
pub(crate) struct Form {
    pub(crate) version: u32,
    pub(crate) doubles: Doubles,
    /// Whether dates are shown in whole seconds.
    pub(crate) whole_seconds: bool,
    /// The field that tells records apart.
    pub(crate) key: &'static str,
    /// The field that says when a record happened.
    pub(crate) date: &'static str,
}

impl Form {
    /// That of a stored object.
    pub(crate) fn of(object: StoredObject, version: u32, doubles: Doubles) -> Self {
        let (key, date, whole_seconds) = (object.key(), object.date_name(), object.has_whole_seconds());
        Self { version, doubles, whole_seconds, key, date }
    }

    /// That of files, users and profiles.
    pub(crate) fn of_others(version: u32, doubles: Doubles) -> Self {
        Self { version, doubles, whole_seconds: true, key: "Id", date: "CreatedDate" }
    }
}

/// Writes a record with these fields.
pub(crate) fn write_record(
    row: &dyn Row,
    object: &Object,
    select: &[usize],
    form: &Form,
    strike: Option<Strike<'_>>,
    out: &mut Vec<u8>,
) {
    if let Some(Strike { how: Damage::Record(json), .. }) = strike {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    let field = |index: &usize| &object.fields[*index];
    let strike = strike.map(|strike| match strike.field {
        None if strike.how.is_of_a_text() => {
            let text = first_text(row, object, select, form.key);
            Strike { field: text.map(|index| object.fields[index].name), ..strike }
        }
        _ => strike,
    });
    write_attributes(object.name, &id_of(row, object), form, out);
    for (n, index) in select.iter().enumerate() {
        let Some((relationship, _)) = field(index).related() else {
            write_field(field(index).name, &row.value(*index), form, strike, out);
            continue;
        };
        // Fields of one related record stand together, where the first of them was asked for.
        let of_it = |index: &&usize| field(index).related().is_some_and(|(of, _)| of == relationship);
        if !select[..n].iter().any(|before| of_it(&before)) {
            let fields: Vec<(&str, usize)> = select
                .iter()
                .filter_map(|index| {
                    let (of, name) = field(index).related()?;
                    (of == relationship).then_some((name, *index))
                })
                .collect();
            let lookup =
                object.fields.iter().position(|field| field.name.strip_suffix("Id") == Some(relationship));
            let id = lookup.map(|index| row.value(index));
            write_json(",", relationship, out);
            out.push(b':');
            write_related(relationship, id, &fields, row, form, out);
        }
    }
    out.push(b'}');
}

/// Writes the user or the profile that a record refers to, by the names that its fields have there.
fn write_related(
    relationship: &str,
    id: Option<Value<'_>>,
    fields: &[(&str, usize)],
    row: &dyn Row,
    form: &Form,
    out: &mut Vec<u8>,
) {
    if id == Some(Value::Null) {
        out.extend_from_slice(b"null");
        return;
    }
    let r#type = if relationship == "Profile" { "Profile" } else { "User" };
    let id = if let Some(Value::Text(id)) = id { id.into_owned() } else { CONSTANT_ID.to_owned() };
    write_attributes(r#type, &id, form, out);
    for (n, (name, index)) in fields.iter().enumerate() {
        let Some((of, _)) = name.split_once('.') else {
            write_field(name, &row.value(*index), form, None, out);
            continue;
        };
        let nested: Vec<(&str, usize)> = fields
            .iter()
            .filter_map(|(name, index)| {
                let (relationship, name) = name.split_once('.')?;
                (relationship == of).then_some((name, *index))
            })
            .collect();
        if nested.first().is_some_and(|(_, first)| *first == fields[n].1) {
            write_json(",", of, out);
            out.push(b':');
            write_related(of, None, &nested, row, form, out);
        }
    }
    out.push(b'}');
}

/// Writes a row of an aggregate query.
pub(crate) fn write_aggregates(row: &Aggregates, form: &Form, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"attributes\":{\"type\":\"AggregateResult\"}");
    for (name, value) in row {
        write_field(name, value, form, None, out);
    }
    out.push(b'}');
}

/// The id of a record.
fn id_of(row: &dyn Row, object: &Object) -> String {
    let value = object.fields.iter().position(|field| field.name == "Id").map(|index| row.value(index));
    if let Some(Value::Text(id)) = value { id.into_owned() } else { CONSTANT_ID.to_owned() }
}

#[derive(Serialize)]
struct Attributes<'a> {
    r#type: &'a str,
    url: String,
}

/// Writes the beginning of a record.
fn write_attributes(r#type: &str, id: &str, form: &Form, out: &mut Vec<u8>) {
    let url = format!("/services/data/v{}.0/sobjects/{type}/{id}", form.version);
    write_json("{\"attributes\":", &Attributes { r#type, url }, out);
}

fn write_field(name: &str, value: &Value<'_>, form: &Form, strike: Option<Strike<'_>>, out: &mut Vec<u8>) {
    let is_key = name == form.key;
    let is_date = name == form.date;
    let how = strike.map(|strike| (strike.how, strike.field == Some(name)));
    if is_key && matches!(how, Some((Damage::MissingKey, _))) {
        return;
    }
    write_json(",", name, out);
    out.push(b':');
    match how {
        Some((Damage::NullDate, _)) if is_date => out.extend_from_slice(b"null"),
        Some((Damage::NullKey, _)) if is_key => out.extend_from_slice(b"null"),
        Some((Damage::UnreadableDate, _)) if is_date => out.extend_from_slice(b"\"2026-13-45T99:99:99\""),
        Some((Damage::Value { field, json }, _)) if field == name => out.extend_from_slice(json.as_bytes()),
        Some((damage, true)) if damage.is_of_a_text() && matches!(value, Value::Text(_)) => {
            let mut json = Vec::new();
            write_value(value, form, &mut json);
            damage.write_text(&json, out);
        }
        _ => write_value(value, form, out),
    }
}

fn write_value(value: &Value<'_>, form: &Form, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) => write_json("", text.as_ref(), out),
        Value::DateTime(at) => {
            let seconds = at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(*at);
            let shown = if form.whole_seconds { seconds } else { *at };
            out.extend_from_slice(format!("\"{}\"", shown.format(DATE_TIME)).as_bytes());
        }
        Value::Double(number) => out.extend_from_slice(form.doubles.write(*number).as_bytes()),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
    }
}

fn write_json(before: &str, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    out.extend_from_slice(before.as_bytes());
    // A text or two go into JSON, and into memory, always.
    let _ = serde_json::to_writer(out, value);
}
