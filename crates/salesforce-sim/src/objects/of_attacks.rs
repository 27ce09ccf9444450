//! The objects that an org has where an attack, or the routine of a quiet day, put something in: what Threat Detection found,
//! the use of Login-As, changes of permission sets (platform events guide, `sforce_api_objects_sessionhijackingeventstore` and so
//! on).

use crate::soql::object::{FieldType, Object, field, unfilterable};

/// An object of Threat Detection: an ordinary one, all of whose fields but the long texts are filtered.
macro_rules! threat {
    ($static:ident, $name:literal, [$($own:expr),* $(,)?]) => {
        pub(super) static $static: Object = Object {
            name: $name,
            fields: &[
                field("Id", FieldType::Id),
                field("CreatedDate", FieldType::DateTime),
                field("EvaluationTime", FieldType::Double),
                field("EventDate", FieldType::DateTime),
                field("EventIdentifier", FieldType::Text),
                field("LastModifiedDate", FieldType::DateTime),
                field("LoginKey", FieldType::Text),
                field("PolicyId", FieldType::Id),
                field("PolicyOutcome", FieldType::Text),
                field("Score", FieldType::Double),
                unfilterable("SecurityEventData", FieldType::Text),
                field("SessionKey", FieldType::Text),
                field("SourceIp", FieldType::Text),
                unfilterable("Summary", FieldType::Text),
                field("SystemModstamp", FieldType::DateTime),
                field("UserId", FieldType::Id),
                field("Username", FieldType::Text),
                $($own,)*
            ],
        };
    };
}

threat!(
    SESSION_HIJACKING,
    "SessionHijackingEventStore",
    [
        field("CurrentIp", FieldType::Text),
        field("CurrentPlatform", FieldType::Text),
        field("CurrentScreen", FieldType::Text),
        field("CurrentUserAgent", FieldType::Text),
        field("PreviousIp", FieldType::Text),
        field("PreviousPlatform", FieldType::Text),
        field("PreviousScreen", FieldType::Text),
        field("PreviousUserAgent", FieldType::Text),
    ]
);
threat!(
    CREDENTIAL_STUFFING,
    "CredentialStuffingEventStore",
    [
        field("AcceptLanguage", FieldType::Text),
        field("LoginType", FieldType::Text),
        field("LoginUrl", FieldType::Text),
        field("UserAgent", FieldType::Text),
    ]
);
threat!(LOGIN_ANOMALY, "LoginAnomalyEventStore", []);
threat!(REPORT_ANOMALY, "ReportAnomalyEventStore", [field("Report", FieldType::Text)]);
threat!(
    GUEST_USER_ANOMALY,
    "GuestUserAnomalyEventStore",
    [
        unfilterable("RequestedEntities", FieldType::Text),
        unfilterable("SoqlCommands", FieldType::Text),
        field("TotalControllerEvents", FieldType::Int),
        field("UserAgent", FieldType::Text),
        field("UserType", FieldType::Text),
    ]
);

/// A big object.
pub(super) static LOGIN_AS_EVENT: Object = Object {
    name: "LoginAsEvent",
    fields: &[
        field("EventDate", FieldType::DateTime),
        field("EventIdentifier", FieldType::Text),
        unfilterable("Id", FieldType::Id),
        unfilterable("Application", FieldType::Text),
        unfilterable("Browser", FieldType::Text),
        unfilterable("CreatedDate", FieldType::DateTime),
        unfilterable("DelegatedOrganizationId", FieldType::Id),
        unfilterable("DelegatedUsername", FieldType::Text),
        unfilterable("LoginAsCategory", FieldType::Text),
        unfilterable("LoginKey", FieldType::Text),
        unfilterable("LoginType", FieldType::Text),
        unfilterable("Platform", FieldType::Text),
        unfilterable("SessionKey", FieldType::Text),
        unfilterable("SourceIp", FieldType::Text),
        unfilterable("TargetUrl", FieldType::Text),
        unfilterable("UserId", FieldType::Id),
        unfilterable("Username", FieldType::Text),
    ],
};

/// A big object.
pub(super) static PERMISSION_SET_EVENT_STORE: Object = Object {
    name: "PermissionSetEventStore",
    fields: &[
        field("EventDate", FieldType::DateTime),
        field("EventIdentifier", FieldType::Text),
        unfilterable("Id", FieldType::Id),
        unfilterable("CreatedDate", FieldType::DateTime),
        unfilterable("EvaluationTime", FieldType::Double),
        unfilterable("EventSource", FieldType::Text),
        unfilterable("HasExternalUsers", FieldType::Boolean),
        unfilterable("ImpactedUserIds", FieldType::Text),
        unfilterable("LoginKey", FieldType::Text),
        unfilterable("Operation", FieldType::Text),
        unfilterable("PermissionList", FieldType::Text),
        unfilterable("PermissionType", FieldType::Text),
        unfilterable("SessionKey", FieldType::Text),
        unfilterable("SourceIp", FieldType::Text),
        unfilterable("UserCount", FieldType::Text),
        unfilterable("UserId", FieldType::Id),
        unfilterable("Username", FieldType::Text),
    ],
};
