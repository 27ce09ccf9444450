//! SetupAuditTrail: who changed what in Setup.
//!
//! Object reference, `sforce_api_objects_setupaudittrail`: an ordinary object, filtered and sorted as one likes but for
//! `Display` and `Section`, which are sorted by and not filtered. `CreatedDate` has whole seconds, so several rows share
//! one: here three of them, which a cursor that is strictly greater than the last date loses. `count()` works, and so do
//! Email, Name and Username of the relationship CreatedBy.

use super::record::{Record, text};
use crate::login_rows::Hour;
use crate::prng::Rng;
use crate::soql::eval::{FieldType, Object, Value, field, sortable};

/// Rows that share one second.
const TOGETHER: u64 = 3;

/// How many users change anything in Setup.
const ADMINISTRATORS: u64 = 20;

#[derive(Debug)]
struct Change {
    action: &'static str,
    section: &'static str,
    display: &'static str,
}

const fn change(action: &'static str, section: &'static str, display: &'static str) -> Change {
    Change { action, section, display }
}

static CHANGES: [Change; 8] = [
    change("changedpassword", "Manage Users", "Changed password for user björn.smith@example.com"),
    change("createduser", "Manage Users", "Created new user \"Anna Müller\""),
    change("PermSetAssign", "Manage Users", "Permission set Event_Monitoring: assigned to user Anna Müller"),
    change("deactivateduser", "Manage Users", "Deactivated user Carlos García"),
    change("changedApexClass", "Apex Class", "Changed Invoices Apex Class code"),
    change(
        "changedsessiontimeout",
        "Session Settings",
        "Changed session timeout from 2 hours\nto 15 minutes",
    ),
    change("connectedAppInstalled", "Connected Apps", "Installed connected app Log Collector"),
    change("suOrgAdminLogin", "", "Logged in using Login-As access for Grace Singh"),
];

/// The groups of rows that an hour of `count` has.
fn groups(count: u64) -> u64 {
    count.div_ceil(TOGETHER).max(1)
}

/// The first second of the hour that row `n` of `count` can have.
pub(super) fn earliest(count: u64, n: u64) -> u64 {
    n / TOGETHER * 3_600 / groups(count)
}

/// How many seconds later it can be.
pub(super) fn spread(count: u64) -> u64 {
    3_600 / groups(count).min(3_600)
}

/// The second of the hour that row `n` of `count` has.
pub(super) fn second(seed: u64, hour: &Hour, count: u64, n: u64) -> u64 {
    let more = Rng::of(&[seed, hour.number, n / TOGETHER, 0xaf]).below(spread(count));
    (earliest(count, n) + more).min(3_599)
}

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let change = record.pick(1, &CHANGES);
    let by = || record.user_id(record.below(2, ADMINISTRATORS));
    match field {
        "Id" => text(record.id()),
        "Action" => text(change.action),
        "CreatedById" => Value::Text(by().into()),
        "CreatedDate" => Value::DateTime(record.date),
        "DelegateUser" if record.below(3, 12) == 0 => text("support@example.com"),
        "Display" => text(change.display),
        "Section" => text(change.section),
        _ => Value::Null,
    }
}

pub(super) static SETUP_AUDIT_TRAIL: Object = Object {
    name: "SetupAuditTrail",
    fields: &[
        field("Id", FieldType::Id),
        field("Action", FieldType::Text),
        field("CreatedByContext", FieldType::Text),
        field("CreatedById", FieldType::Id),
        field("CreatedByIssuer", FieldType::Text),
        field("CreatedDate", FieldType::DateTime),
        field("DelegateUser", FieldType::Text),
        sortable("Display"),
        field("ResponsibleNamespacePrefix", FieldType::Text),
        sortable("Section"),
        field("CreatedBy.Email", FieldType::Text),
        field("CreatedBy.Name", FieldType::Text),
        field("CreatedBy.Profile.Name", FieldType::Text),
        field("CreatedBy.Username", FieldType::Text),
    ],
};
