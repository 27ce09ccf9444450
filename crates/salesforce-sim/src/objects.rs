//! The objects that an org has, and their fields. Where their records come from is said above it, in `people`,
//! `event_log_file` and `records`.

mod api;
mod audit_trail;
mod aura;
pub(crate) mod event_log_file;
mod login;
mod of_attacks;
pub(crate) mod people;
pub(crate) mod report;
pub(crate) mod stored;

use self::event_log_file::EVENT_LOG_FILE;
use self::people::{PROFILE, USER};
use self::report::REPORT;
use self::stored::StoredObject;
use crate::soql::object::{Field, FieldType, Object};

/// Every object, by its name in SOQL.
pub(crate) fn all() -> impl Iterator<Item = &'static Object> {
    let stored = StoredObject::ALL.into_iter().map(StoredObject::object);
    stored.chain([&EVENT_LOG_FILE, &USER, &PROFILE, &REPORT])
}

/// An object by its name, in any case.
pub(crate) fn named(name: &str) -> Option<&'static Object> {
    all().find(|object| object.name.eq_ignore_ascii_case(name))
}

/// The relationship that a field of an object stands for, if fields of it can be selected.
pub(crate) fn relationship(object: &Object, field: &Field) -> Option<&'static str> {
    let stem = field.name.strip_suffix("Id").filter(|_| field.kind == FieldType::Id)?;
    let of_it = |other: &Field| other.related().is_some_and(|(relationship, _)| relationship == stem);
    object.fields.iter().any(of_it).then_some(stem)
}
