//! Objects as SOQL knows them: their fields, and the values that rows have there.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Utc};

/// An object that can be queried.
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldType,
    /// Whether WHERE may name it.
    pub(crate) filterable: bool,
    /// Whether ORDER BY may name it.
    pub(crate) sortable: bool,
}

impl Field {
    /// Relationship and field of a field of a related record, such as `CreatedBy.Name`; `FIELDS(STANDARD)` has none of
    /// those.
    pub(crate) fn related(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once('.')
    }

    pub(crate) fn is_text(&self) -> bool {
        self.kind == FieldType::Text
    }
}

/// A field that WHERE and ORDER BY may name.
pub(crate) const fn field(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, filterable: true, sortable: true }
}

/// A field that can only be selected.
pub(crate) const fn unfilterable(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, filterable: false, sortable: false }
}

/// A text that is sorted by and not filtered.
pub(crate) const fn sortable(name: &'static str) -> Field {
    Field { sortable: true, ..unfilterable(name, FieldType::Text) }
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Id,
    Text,
    DateTime,
    Double,
    Int,
    Boolean,
    Base64,
}

impl FieldType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "string",
            Self::DateTime => "dateTime",
            Self::Double => "double",
            Self::Int => "int",
            Self::Boolean => "boolean",
            Self::Base64 => "base64",
        }
    }
}

/// The value of a field in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    DateTime(DateTime<Utc>),
    Double(f64),
    Int(i64),
    Boolean(bool),
}

/// A row of an object: gives the value of a field by its index in [`Object::fields`].
pub(crate) trait Row {
    fn value(&self, field: usize) -> Value<'_>;
}

/// The order of two values of one field.
pub(super) fn ascending(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
