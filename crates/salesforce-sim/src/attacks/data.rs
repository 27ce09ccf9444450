//! Attacks on what the org holds.

use super::scene::{ATTACKER, Scene, text};
use crate::objects::stored::StoredObject;
use crate::soql::object::Value;

pub(super) fn report_theft(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    for n in 0..30 {
        let columns = vec![
            ("URI", format!("/00O5j000000ab{n:02}")),
            ("REPORT_DESCRIPTION", format!("All contacts, part {}", n + 1)),
            ("CLIENT_INFO", "Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
        ];
        scene.row("ReportExport", &user, columns);
        scene.wait(30);
    }
    let fields = vec![
        ("Name", text("All contacts")),
        ("EventSource", text("Lightning")),
        ("Operation", text("ReportExported")),
        ("ExportFileFormat", text("csv")),
        ("QueriedEntities", text("Account, Contact")),
        ("RowsProcessed", Value::Double(48_211.0)),
        ("IsScheduled", Value::Boolean(false)),
    ];
    scene.record(StoredObject::ReportEvent, &user, ATTACKER.0, fields);
}

pub(super) fn api_theft(scene: &mut Scene<'_>) {
    let user = scene.extra(2, "chat.connector@example.com");
    for entity in ["Account", "Contact", "Case", "User"] {
        let fields = vec![
            ("ApiType", text("REST")),
            ("Client", Value::Null),
            ("Application", text("Chat connector")),
            ("Operation", text("Query")),
            ("Query", text(&format!("SELECT FIELDS(ALL) FROM {entity}"))),
            ("QueriedEntities", text(entity)),
            ("RowsProcessed", Value::Double(181_406.0)),
            ("RowsReturned", Value::Double(2_000.0)),
            ("UserAgent", text("Salesforce-Multi-Org-Fetcher/1.0")),
        ];
        scene.record(StoredObject::ApiEvent, &user, ATTACKER.0, fields);
        scene.wait(40);
        let job = vec![
            ("JOB_ID", format!("7505j000000{entity:.4}")),
            ("OPERATION_TYPE", "query".to_owned()),
            ("ENTITY_TYPE", entity.to_owned()),
            ("ROWS_PROCESSED", "181406".to_owned()),
            ("CLIENT_IP", ATTACKER.0.to_owned()),
        ];
        scene.row("BulkApi2", &user, job);
    }
}

pub(super) fn guest_reads(scene: &mut Scene<'_>) {
    let guest = scene.extra(3, "help_center@example.com");
    let controllers = [
        "aura://HostConfigController/ACTION$getConfigData",
        "serviceComponent://ui.force.components.controllers.lists.selectableListDataProvider.\
         SelectableListDataProviderController/ACTION$getItems",
    ];
    for n in 0..6 {
        let action = controllers[n.min(1)];
        let fields = vec![
            ("ActionMessage", text(&format!("{}${action}=31", 100 + n))),
            ("Uri", text("/s/sfsites/aura")),
            ("UserAgent", text("python-requests/2.32.4")),
            ("UserType", text("Guest")),
        ];
        scene.record(StoredObject::AuraRequestEventLog, &guest, ATTACKER.0, fields);
        scene.wait(10);
    }
}

pub(super) fn mass_deletion(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    for n in 0..60 {
        let columns = vec![
            ("URI", format!("/services/data/v65.0/sobjects/Account/0015j000000{n:04}")),
            ("METHOD", "DELETE".to_owned()),
            ("REQUEST_STATUS", "S".to_owned()),
            ("STATUS_CODE", "204".to_owned()),
            ("ENTITY_NAME", "Account".to_owned()),
            ("ROWS_PROCESSED", "1".to_owned()),
            ("CLIENT_IP", ATTACKER.0.to_owned()),
        ];
        scene.row("RestApi", &admin, columns);
        scene.wait(4);
    }
    let batch = vec![
        ("OPERATION_TYPE", "delete".to_owned()),
        ("ENTITY_TYPE", "Contact".to_owned()),
        ("ROWS_PROCESSED", "9800".to_owned()),
        ("SUCCESS", "1".to_owned()),
        ("CLIENT_IP", ATTACKER.0.to_owned()),
    ];
    scene.row("BulkApi", &admin, batch);
    let job = vec![
        ("OPERATION_TYPE", "hardDelete".to_owned()),
        ("ENTITY_TYPE", "Case".to_owned()),
        ("ROWS_PROCESSED", "640".to_owned()),
        ("CLIENT_IP", ATTACKER.0.to_owned()),
    ];
    scene.row("BulkApi2", &admin, job);
    let display = "Emptied 9860 record(s) from the Recycle Bin";
    scene.setup(&admin, "emptiedUserRecycleBin", "Data Management", display);
}
