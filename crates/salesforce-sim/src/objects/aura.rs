//! AuraRequestEventLog: requests of Lightning pages to Apex methods (object reference,
//! `sforce_api_objects_aurarequesteventlog`), an Event Log Object.

use crate::soql::object::{FieldType, Object, field};

pub(super) static AURA_REQUEST_EVENT_LOG: Object = Object {
    name: "AuraRequestEventLog",
    fields: &[
        field("Id", FieldType::Id),
        field("ActionMessage", FieldType::Text),
        field("ClientIp", FieldType::Text),
        field("CpuTime", FieldType::Double),
        field("DatabaseTotalTime", FieldType::Double),
        field("LoginKey", FieldType::Text),
        field("RequestIdentifier", FieldType::Text),
        field("RequestMethod", FieldType::Text),
        field("RunTime", FieldType::Double),
        field("SessionKey", FieldType::Text),
        field("Timestamp", FieldType::DateTime),
        field("Uri", FieldType::Text),
        field("UserAgent", FieldType::Text),
        field("UserIdentifier", FieldType::Id),
        field("UserType", FieldType::Text),
    ],
};
