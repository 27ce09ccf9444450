//! What the records of objects say that only attacks put something in, beyond what the attack told.

use super::record::{Record, text};
use crate::soql::object::Value;

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    match field {
        "Id" => text(record.id()),
        "EventDate" => Value::DateTime(record.date),
        "EventIdentifier" => text(record.identifier()),
        "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(record.created),
        "EvaluationTime" => Value::Double(0.0),
        "LoginKey" => record.login("LOGIN_KEY"),
        "SessionKey" => record.key(1),
        "SourceIp" => record.login("SOURCE_IP"),
        "UserId" => record.login("USER_ID_DERIVED"),
        "Username" => record.login("USER_NAME"),
        _ => Value::Null,
    }
}
