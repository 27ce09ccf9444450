//! What Salesforce's Threat Detection found.

use super::scene::{ATTACKER, Scene, Who, text};
use crate::objects::stored::StoredObject;
use crate::soql::object::Value;

const OTHER_BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                             Chrome/131.0.0.0 Safari/537.36";

fn found(
    scene: &mut Scene<'_>,
    object: StoredObject,
    who: &Who,
    score: f64,
    summary: &str,
    more: Vec<(&'static str, Value<'static>)>,
) {
    let all = [("Score", Value::Double(score)), ("Summary", text(summary))];
    scene.record(object, who, ATTACKER.0, more.into_iter().chain(all).collect());
}

pub(super) fn session_hijacking(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let more = vec![
        ("CurrentIp", text(ATTACKER.0)),
        ("PreviousIp", text("198.51.100.41")),
        ("CurrentUserAgent", text(OTHER_BROWSER)),
        ("PreviousUserAgent", text("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Firefox/140.0")),
    ];
    let summary = "The user agent, platform and screen of the session changed";
    found(scene, StoredObject::SessionHijackingEventStore, &user, 0.97, summary, more);
}

pub(super) fn credential_stuffing(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let more = vec![
        ("AcceptLanguage", text("en-US")),
        ("LoginUrl", text("/")),
        ("LoginType", text("Application")),
        ("UserAgent", text("python-requests/2.32.4")),
    ];
    let summary = "Successful login from Credential Stuffing attack";
    found(scene, StoredObject::CredentialStuffingEventStore, &user, 1.0, summary, more);
}

pub(super) fn login_anomaly(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let summary = "The login came from a place and a network that the user never came from";
    found(scene, StoredObject::LoginAnomalyEventStore, &user, 0.92, summary, Vec::new());
}

pub(super) fn api_anomaly(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let more = vec![
        ("Operation", text("Query")),
        ("QueriedEntities", text("Contact")),
        ("RowsProcessed", Value::Double(312_000.0)),
    ];
    let summary = "API was used in an unusual way: many rows of Contact";
    found(scene, StoredObject::ApiAnomalyEventStore, &user, 0.95, summary, more);
}

pub(super) fn report_anomaly(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let more = vec![("Report", text("00O5j000000abcd"))];
    let summary = "Report was exported from an infrequent network with many rows";
    found(scene, StoredObject::ReportAnomalyEventStore, &user, 0.9, summary, more);
}

pub(super) fn guest_user_anomaly(scene: &mut Scene<'_>) {
    let guest = scene.extra(3, "help_center@example.com");
    let more = vec![
        ("RequestedEntities", text("[\"User\",\"Contact\"]")),
        ("SoqlCommands", text("[]")),
        ("TotalControllerEvents", Value::Int(214)),
        ("UserType", text("Guest")),
        ("UserAgent", text("python-requests/2.32.4")),
    ];
    let summary = "A guest user asked for objects that guests do not read";
    found(scene, StoredObject::GuestUserAnomalyEventStore, &guest, 0.88, summary, more);
}
