//! SetupAuditTrail: who changed what in Setup.
//!
//! Object reference, `sforce_api_objects_setupaudittrail`: an ordinary object, filtered and sorted as one likes but for
//! `Display` and `Section`, which are sorted by and not filtered. `CreatedDate` has whole seconds, so several rows share
//! one: here three of them, which a cursor that is strictly greater than the last date loses. `count()` works.

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::Ids;
use crate::login_rows::Hour;
use crate::prng::Rng;
use crate::soql::SoqlError;
use crate::soql::eval::{Field, FieldType, Object, Plan, Row, Value, field, unfilterable};
use crate::soql::parser::Query;

/// Rows that share one second.
const TOGETHER: u64 = 3;

/// The rows of an org, made as they are asked for.
pub(crate) struct AuditTrail {
    seed: u64,
    per_hour: u64,
    ids: Ids,
    users: Ids,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) created_date: DateTime<Utc>,
    created_by: String,
    change: &'static Change,
    delegate: Option<&'static str>,
}

#[derive(Debug)]
struct Change {
    action: &'static str,
    section: &'static str,
    display: &'static str,
}

const fn change(action: &'static str, section: &'static str, display: &'static str) -> Change {
    Change { action, section, display }
}

const CHANGES: [Change; 8] = [
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

impl AuditTrail {
    pub(crate) fn new(seed: u64, per_hour: u32) -> Self {
        Self { seed, per_hour: per_hour.into(), ids: Ids::new("0Ym", seed), users: Ids::new("005", seed) }
    }

    /// The rows of these hours up to `now`, in the order of their time.
    pub(crate) fn rows<'a>(
        &'a self,
        hours: &'a [Hour],
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Entry> + 'a {
        let all =
            hours.iter().flat_map(move |hour| (0..self.per_hour).map(move |index| self.entry(hour, index)));
        all.filter(move |entry| entry.created_date <= now)
    }

    fn entry(&self, hour: &Hour, index: u64) -> Entry {
        let group = index / TOGETHER;
        let groups = self.per_hour.div_ceil(TOGETHER).max(1);
        let second = group * 3_600 / groups
            + Rng::of(&[self.seed, hour.number, group, 0xaf]).below(3_600 / groups.min(3_600));
        let mut rng = Rng::of(&[self.seed, hour.number, index, 0xa0]);
        Entry {
            id: self.ids.nth_18((hour.number * self.per_hour + index) % 56_000_000_000),
            created_date: hour.start() + TimeDelta::seconds(second.min(3_599) as i64),
            created_by: self.users.nth_18(rng.below(20)),
            change: rng.pick(&CHANGES),
            delegate: rng.one_in(12).then_some("support@example.com"),
        }
    }

    /// Runs a query.
    pub(crate) fn query(
        &self,
        query: &Query,
        hours: &[Hour],
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<Entry>), SoqlError> {
        let plan = Plan::new(query, &OBJECT, &[])?;
        let rows = plan.run(self.rows(hours, now));
        Ok((plan, rows))
    }
}

impl Row for Entry {
    fn value(&self, field: usize) -> Value<'_> {
        let text = |text: &'static str| if text.is_empty() { Value::Null } else { Value::Text(text.into()) };
        match OBJECT.fields[field].name {
            "Id" => Value::Text(self.id.as_str().into()),
            "Action" => text(self.change.action),
            "CreatedById" => Value::Text(self.created_by.as_str().into()),
            "CreatedDate" => Value::DateTime(self.created_date),
            "DelegateUser" => text(self.delegate.unwrap_or("")),
            "Display" => text(self.change.display),
            "Section" => text(self.change.section),
            _ => Value::Null,
        }
    }
}

/// A field to sort by and not to filter.
const fn sortable(name: &'static str) -> Field {
    Field { sortable: true, ..unfilterable(name, FieldType::Text) }
}

/// The object as SOQL sees it.
pub(crate) const OBJECT: Object = Object {
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
    ],
};
