//! SetupAuditTrail: who changed what in Setup.
//!
//! Object reference, `sforce_api_objects_setupaudittrail`: an ordinary object, filtered and sorted as one likes but for
//! `Display` and `Section`, which are sorted by and not filtered. `CreatedDate` has whole seconds, so several rows share
//! one: here three of them, which a cursor that is strictly greater than the last date loses. `count()` works, and so do
//! Email, Name and Username of the relationship CreatedBy.

use super::record::{Record, text};
use crate::soql::object::Value;

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
