//! What a quiet day has of types and objects that otherwise attacks alone have: work that harms nobody, and comes near to what
//! would. Of Login-As and of Threat Detection there is nothing, as whatever those tell of is worth a look.

use super::scene::{Scene, Who, text};
use crate::objects::stored::StoredObject;
use crate::soql::object::Value;

/// An address that some users have.
const OFFICE: &str = "203.0.113.20";

/// The work of an hour.
pub(super) fn hour(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    permissions(scene, &admin, &user);
    bulk(scene, &admin);
}

/// Staff of Salesforce, who came the day before, leave.
pub(super) fn support_leaves(scene: &mut Scene<'_>) {
    let columns = vec![
        ("ACTUAL_USER_ID", "0055j00000SUPPT".to_owned()),
        ("OPERATION", "Logout".to_owned()),
        ("IP_ADDRESS", OFFICE.to_owned()),
        ("CASE_ID", "5005j00000AbCdE".to_owned()),
    ];
    scene.row_alone("SalesforceLoginAs", columns);
}

/// A permission that reads nobody's data is given, and one that does is taken away.
fn permissions(scene: &mut Scene<'_>, admin: &Who, user: &Who) {
    for description in ["UserPerm: ConvertLeads enabled", "UserPerm: ModifyAllData disabled"] {
        let update =
            vec![("PERMISSION_TYPE", "UserPermission".to_owned()), ("DESCRIPTION", description.to_owned())];
        scene.row("PermissionUpdate", admin, update);
        scene.wait(60);
    }
    let changes =
        [("AssignedToUsers", "MonitorLoginHistory"), ("UnassignedFromUsers", "ModifyAllData,ViewAllData")];
    for (operation, permissions) in changes {
        let fields = vec![
            ("EventSource", text("Lightning")),
            ("Operation", text(operation)),
            ("PermissionType", text("UserPermission")),
            ("PermissionList", text(permissions)),
            ("ImpactedUserIds", text(&user.id18)),
            ("UserCount", text("1")),
            ("HasExternalUsers", Value::Boolean(false)),
        ];
        scene.record(StoredObject::PermissionSetEventStore, admin, OFFICE, fields);
        scene.wait(60);
    }
}

/// Integrations insert much, delete little, and read a part of an object.
fn bulk(scene: &mut Scene<'_>, admin: &Who) {
    let job = |operation: &str, rows: &str| {
        vec![
            ("OPERATION_TYPE", operation.to_owned()),
            ("ENTITY_TYPE", "Contact".to_owned()),
            ("ROWS_PROCESSED", rows.to_owned()),
        ]
    };
    for (operation, rows) in [("insert", "9800"), ("delete", "40")] {
        scene.row("BulkApi", admin, job(operation, rows));
        scene.row("BulkApi2", admin, job(operation, rows));
        scene.wait(60);
    }
    scene.row("BulkApi2", admin, job("query", "12500"));
}
