//! What the records of SetupAuditTrail say.

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

/// What is changed in Setup on a day on which nobody does anything that matters to security.
static ROUTINE: [Change; 8] = [
    change("createduser", "Manage Users", "Created new user Anna Müller"),
    change("deactivateduser", "Manage Users", "Deactivated user Carlos García (UserID: [0055j000001AbCd])"),
    change(
        "PermSetAssign",
        "Manage Users",
        "Permission set Event_Monitoring: assigned to user Anna Müller (UserID: [0055j000001AbCd])",
    ),
    change("changedApexClass", "Apex Class", "Changed Invoices Apex Class code"),
    change("createdCFCustom", "Custom Objects", "Created custom field Colour (Picklist) on Invoice"),
    change(
        "PermSetEnableUserPerm",
        "Manage Users",
        "Changed permission set Sales: Edit Tasks permission was changed from disabled to enabled",
    ),
    change(
        "passwordlockout",
        "Password Policies",
        "Changed password lockout period policy from 15 minutes to 30 minutes",
    ),
    change("groupMembership", "Groups", "Changed membership of Group Sales"),
];

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let change = record.pick(1, if record.is_quiet() { &ROUTINE } else { &CHANGES });
    let by = || record.user_id(record.below(2, ADMINISTRATORS));
    match field {
        "Id" => text(record.id()),
        "Action" => text(change.action),
        "CreatedById" => Value::Text(by().into()),
        "CreatedDate" => Value::DateTime(record.date),
        "DelegateUser" if !record.is_quiet() && record.below(3, 12) == 0 => text("support@example.com"),
        "Display" => text(change.display),
        "Section" => text(change.section),
        _ => Value::Null,
    }
}
