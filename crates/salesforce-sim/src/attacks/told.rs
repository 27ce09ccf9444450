//! What attacks, and the routine of a quiet day, told of: rows by type and hour, records by object and hour.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use crate::objects::stored::StoredObject;
use crate::rows::login::{Hour, Row, push_iso, push_timestamp};
use crate::rows::schema::{Maker, NEWEST};
use crate::soql::object::Value;

/// What an attack says of a row; the other columns are those of an ordinary one.
pub(crate) struct ToldRow {
    /// Into its hour.
    pub(super) millis: u64,
    pub(super) columns: Vec<(&'static str, String)>,
}

impl ToldRow {
    /// Turns an ordinary row into this one.
    pub(crate) fn put_into(&self, row: &mut Row, maker: &Maker, hour: &Hour) {
        let values = maker.columns(NEWEST).into_iter().filter_map(|(index, name, _)| {
            let mut value = Vec::new();
            match name {
                "TIMESTAMP" => push_timestamp(&mut value, hour, self.millis),
                "TIMESTAMP_DERIVED" => push_iso(&mut value, hour, self.millis),
                _ => {
                    let (_, text) = self.columns.iter().find(|(column, _)| *column == name)?;
                    value.extend_from_slice(text.as_bytes());
                }
            }
            Some((index, value))
        });
        row.put(&values.collect());
    }
}

/// What an attack says of a record; the other fields are those of an ordinary one.
pub(crate) struct ToldRecord {
    pub(crate) date: DateTime<Utc>,
    pub(crate) fields: Vec<(&'static str, Value<'static>)>,
    /// Columns of the login that it came of.
    pub(crate) login: Vec<(&'static str, String)>,
}

impl ToldRecord {
    /// A column of the login that it came of; empty if the attack says nothing of it.
    pub(crate) fn login(&self, column: &str) -> &str {
        self.login.iter().find(|(name, _)| *name == column).map_or("", |(_, text)| text)
    }
}

/// A user outside the logins, who has a part in an attack.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) id18: String,
    pub(crate) name: &'static str,
}

/// What attacks told of.
#[derive(Default)]
pub(crate) struct Told {
    pub(super) rows: BTreeMap<&'static str, HashMap<usize, Vec<ToldRow>>>,
    pub(super) records: HashMap<StoredObject, HashMap<usize, Vec<ToldRecord>>>,
    pub(super) extras: Vec<Extra>,
}

impl Told {
    /// The event types that have rows, in the order of their names.
    pub(crate) fn event_types(&self) -> impl Iterator<Item = &'static str> {
        self.rows.keys().copied()
    }

    /// The rows of a type in an hour, by its index among the hours of logins.
    pub(crate) fn rows(&self, event_type: &str, hour: usize) -> &[ToldRow] {
        self.rows.get(event_type).and_then(|hours| hours.get(&hour)).map_or(&[], Vec::as_slice)
    }

    /// The objects that have records.
    pub(crate) fn objects(&self) -> impl Iterator<Item = StoredObject> {
        StoredObject::EVERY.into_iter().filter(|object| self.records.contains_key(object))
    }

    /// The records of an object in an hour.
    pub(crate) fn records(&self, object: StoredObject, hour: usize) -> &[ToldRecord] {
        self.records.get(&object).and_then(|hours| hours.get(&hour)).map_or(&[], Vec::as_slice)
    }

    /// Users who are not among those of the logins.
    pub(crate) fn extras(&self) -> &[Extra] {
        &self.extras
    }
}
