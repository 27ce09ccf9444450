//! What the records of ReportEvent say.

use super::record::{Record, text};
use super::store::Records;
use crate::people::TableRow;
use crate::soql::object::Value;

/// A report of the org: name, scope, entities, columns.
static REPORTS: [(&str, &str, &str, &str); 4] = [
    ("Open opportunities", "organization", "Opportunity", "[OPPORTUNITY_NAME, AMOUNT, CLOSE_DATE]"),
    ("Kontakte, \"München\"", "user", "Account, Contact", "[ACCOUNT.NAME, FULL_NAME, EMAIL, PHONE1]"),
    ("All leads", "organization", "Lead", "[LAST_NAME, COMPANY, EMAIL]"),
    ("Cases this month", "team", "Case", "[CASE_NUMBER, SUBJECT, STATUS, CREATED_DATE]"),
];

/// How a report is run: source, operation, format, file.
static RUNS: [(&str, &str, &str, &str); 4] = [
    ("Lightning", "ReportRunFromLightning", "Tabular", ""),
    ("Lightning", "ReportExported", "Tabular", "csv"),
    ("Classic", "ReportRunFromClassic", "Summary", ""),
    ("API", "ReportRunFromReportingApi", "Matrix", ""),
];

impl Records<'_> {
    /// All rows of `Report`, in the order of its fields.
    pub(crate) fn reports(self) -> Vec<TableRow> {
        let row = |(number, (name, ..)): (u64, &(&str, &str, &str, &str))| {
            TableRow::of_texts([self.store.report_ids.nth_18(number), (*name).to_owned()])
        };
        (0..).zip(&REPORTS).map(row).collect()
    }
}

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let number = record.below(1, REPORTS.len() as u64);
    let (name, scope, entities, columns) = REPORTS[number as usize];
    let (source, operation, format, file) = *record.pick(2, &RUNS);
    match field {
        "Id" => text(record.id()),
        "EventDate" => Value::DateTime(record.date),
        "EventIdentifier" => text(record.identifier()),
        "ColumnHeaders" => text(columns),
        "CreatedDate" => Value::DateTime(record.created),
        "DisplayedFieldEntities" | "QueriedEntities" => text(entities),
        "EvaluationTime" => Value::Double(0.0),
        "EventSource" => text(source),
        "ExecutionIdentifier" => record.key(3),
        "ExportFileFormat" => text(file),
        "Format" => text(format),
        "GroupedColumnHeaders" => text("[]"),
        "IsScheduled" => Value::Boolean(record.below(4, 10) == 0),
        "LoginHistoryId" => record.login_history_id(),
        "LoginKey" => record.login("LOGIN_KEY"),
        "Name" => text(name),
        "NumberOfColumns" => Value::Int(columns.split(',').count() as i64),
        "Operation" => text(operation),
        "OwnerId" => Value::Text(record.user_id(number).into()),
        "Records" => text(r#"{"totalSize":1,"rows":[{"datacells":["a \"quoted\" cell"]}]}"#),
        "ReportId" => record.report_id(number),
        "RowsProcessed" => Value::Double((1 + record.below(5, 2_000)) as f64),
        "Scope" => text(scope),
        "Sequence" => Value::Int(1),
        "SessionKey" => record.key(6),
        "SessionLevel" => text("STANDARD"),
        "SourceIp" => record.login("SOURCE_IP"),
        "UserId" => record.login("USER_ID_DERIVED"),
        "Username" => record.login("USER_NAME"),
        _ => Value::Null,
    }
}
