//! Attacks by which somebody gets more rights, or those of somebody else.

use super::scene::{ATTACKER, Scene, Who, text};
use crate::objects::stored::StoredObject;
use crate::soql::object::Value;

const USERS: &str = "Manage Users";

pub(super) fn login_as(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    let display = format!("Logged in using Login-As access for {}", user.name);
    scene.setup(&admin, "suOrgAdminLogin", USERS, &display);
    let fields = vec![
        ("DelegatedUsername", text(&admin.name)),
        ("LoginAsCategory", text("OrgAdmin")),
        ("LoginType", text("Application")),
        ("TargetUrl", text("/home/home.jsp")),
    ];
    scene.record(StoredObject::LoginAsEvent, &user, ATTACKER.0, fields);
    for uri in ["/servlet/servlet.su", "/home/home.jsp", "/003/o", "/00O/o"] {
        scene.wait(30);
        scene.row("LoginAs", &user, delegated(&admin, uri));
    }
    scene.setup(&admin, "suOrgAdminLogout", USERS, &display.replace("in using", "out using"));
}

fn delegated(by: &Who, uri: &str) -> Vec<(&'static str, String)> {
    vec![
        ("URI", uri.to_owned()),
        ("CLIENT_IP", ATTACKER.0.to_owned()),
        ("DELEGATED_USER_ID", by.id15.clone()),
        ("DELEGATED_USER_ID_DERIVED", by.id18.clone()),
        ("DELEGATED_USER_NAME", by.name.clone()),
    ]
}

pub(super) fn support_login(scene: &mut Scene<'_>) {
    let columns = vec![
        ("ACTUAL_USER_ID", "0055j00000SUPPT".to_owned()),
        ("OPERATION", "Login".to_owned()),
        ("IP_ADDRESS", ATTACKER.0.to_owned()),
        ("CASE_ID", "5005j00000AbCdE".to_owned()),
    ];
    scene.row_alone("SalesforceLoginAs", columns);
}

pub(super) fn delegated_administrator(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    scene.setup(
        &admin,
        "overridegrantaccessenabledoff",
        USERS,
        "Changed Administrators Can Log in as Any User from off to on",
    );
    let display = "Enabled login access on delegated group Regional_Support";
    scene.setup(&admin, "changeDelegateGroupLoginAccess", "Security Controls", display);
    let display = format!("Reset password for user {}", user.name);
    scene.setup_as(&admin, Some(&user), "resetpassword", USERS, &display);
}

pub(super) fn all_data_permission(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    let display = "Changed permission set Sales_Helper: Modify All Data permission was changed from disabled to enabled";
    scene.setup(&admin, "PermSetEnableUserPerm", USERS, display);
    let update = vec![
        ("PERMISSION_TYPE", "UserPermission".to_owned()),
        ("DESCRIPTION", "UserPerm: ModifyAllData enabled".to_owned()),
    ];
    scene.row("PermissionUpdate", &admin, update);
    let display =
        "Changed profile Sales: administrative permission View All Data was changed from disabled to enabled";
    scene.setup(&admin, "profilePermChangedCustom", USERS, display);
    let id = &user.id15;
    let display = format!("Permission set Data_Admin: assigned to user {} (UserID: [{id}])", user.name);
    scene.setup(&admin, "PermSetAssign", USERS, &display);
    let fields = vec![
        ("EventSource", text("Lightning")),
        ("Operation", text("AssignedToUsers")),
        ("PermissionType", text("UserPermission")),
        ("PermissionList", text("ModifyAllData,ViewAllData")),
        ("ImpactedUserIds", text(&user.id18)),
        ("UserCount", text("1")),
        ("HasExternalUsers", Value::Boolean(false)),
    ];
    scene.record(StoredObject::PermissionSetEventStore, &admin, ATTACKER.0, fields);
    let display = format!("Changed profile for user {} from Sales to System Administrator", user.name);
    scene.setup(&admin, "changedprofileforusercusttostd", USERS, &display);
}
