//! ReportEvent: who ran or exported which report (platform events guide, `sforce_api_objects_reportevent`).

use crate::soql::object::{FieldType, Object, field, unfilterable};

/// `Report` as SOQL sees it (object reference, `sforce_api_objects_report`).
pub(crate) static REPORT: Object =
    Object { name: "Report", fields: &[field("Id", FieldType::Id), field("Name", FieldType::Text)] };

pub(super) static REPORT_EVENT: Object = Object {
    name: "ReportEvent",
    fields: &[
        field("EventDate", FieldType::DateTime),
        field("EventIdentifier", FieldType::Text),
        unfilterable("Id", FieldType::Id),
        unfilterable("ColumnHeaders", FieldType::Text),
        unfilterable("CreatedDate", FieldType::DateTime),
        unfilterable("DashboardId", FieldType::Id),
        unfilterable("DashboardName", FieldType::Text),
        unfilterable("Description", FieldType::Text),
        unfilterable("DisplayedFieldEntities", FieldType::Text),
        unfilterable("EvaluationTime", FieldType::Double),
        unfilterable("EventSource", FieldType::Text),
        unfilterable("ExecutionIdentifier", FieldType::Text),
        unfilterable("ExportFileFormat", FieldType::Text),
        unfilterable("Format", FieldType::Text),
        unfilterable("GroupedColumnHeaders", FieldType::Text),
        unfilterable("IsScheduled", FieldType::Boolean),
        unfilterable("LoginHistoryId", FieldType::Id),
        unfilterable("LoginKey", FieldType::Text),
        unfilterable("Name", FieldType::Text),
        unfilterable("NumberOfColumns", FieldType::Int),
        unfilterable("Operation", FieldType::Text),
        unfilterable("OwnerId", FieldType::Id),
        unfilterable("PolicyId", FieldType::Id),
        unfilterable("PolicyOutcome", FieldType::Text),
        unfilterable("QueriedEntities", FieldType::Text),
        unfilterable("Records", FieldType::Text),
        unfilterable("RelatedEventIdentifier", FieldType::Text),
        unfilterable("ReportId", FieldType::Id),
        unfilterable("RowsProcessed", FieldType::Double),
        unfilterable("Scope", FieldType::Text),
        unfilterable("Sequence", FieldType::Int),
        unfilterable("SessionKey", FieldType::Text),
        unfilterable("SessionLevel", FieldType::Text),
        unfilterable("SourceIp", FieldType::Text),
        unfilterable("UserId", FieldType::Id),
        unfilterable("Username", FieldType::Text),
    ],
};
