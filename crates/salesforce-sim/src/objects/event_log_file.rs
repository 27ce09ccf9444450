//! EventLogFile: a file is read over its own address, and found by a query of this object (object reference,
//! `sforce_api_objects_eventlogfile`).

use crate::soql::object::{FieldType, Object, field, unfilterable};

/// Indices of its fields.
pub(crate) const ID: usize = 0;
pub(crate) const CREATED_DATE: usize = 2;
pub(crate) const INTERVAL: usize = 4;
pub(crate) const LOG_FILE_LENGTH: usize = 10;
pub(crate) const SEQUENCE: usize = 11;

/// `EventLogFile` as SOQL sees it.
pub(crate) static EVENT_LOG_FILE: Object = Object {
    name: "EventLogFile",
    fields: &[
        field("Id", FieldType::Id),
        field("ApiVersion", FieldType::Double),
        field("CreatedDate", FieldType::DateTime),
        field("EventType", FieldType::Text),
        field("Interval", FieldType::Text),
        field("LogDate", FieldType::DateTime),
        unfilterable("LogFile", FieldType::Base64),
        field("LogFileContentType", FieldType::Text),
        unfilterable("LogFileFieldNames", FieldType::Text),
        unfilterable("LogFileFieldTypes", FieldType::Text),
        field("LogFileLength", FieldType::Double),
        field("Sequence", FieldType::Int),
        field("LastModifiedDate", FieldType::DateTime),
        field("SystemModstamp", FieldType::DateTime),
        field("CreatedById", FieldType::Id),
        field("IsDeleted", FieldType::Boolean),
        field("CreatedBy.Email", FieldType::Text),
        field("CreatedBy.Name", FieldType::Text),
        field("CreatedBy.Username", FieldType::Text),
    ],
};
