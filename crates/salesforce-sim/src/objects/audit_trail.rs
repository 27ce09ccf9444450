//! SetupAuditTrail: who changed what in Setup.
//!
//! Object reference, `sforce_api_objects_setupaudittrail`: an ordinary object, filtered and sorted as one likes but for
//! `Display` and `Section`, which are sorted by and not filtered. `count()` works, and so do Email, Name and
//! Username of the relationship CreatedBy.

use crate::soql::object::{FieldType, Object, field, sortable};

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
