//! Documents of the Open Cybersecurity Schema Framework: whatever a row says, they are what the schema of their class allows, and
//! nothing of the row is lost. `docs/ocsf.md` is made of the trees that they are written by; `UPDATE_DOCS=1` makes it anew.

use crate::cases::{NOW, expected_events, expected_ocsf_events};
use collector::io::{Http, Request, Response, TransportError};
use documents::fields::{categories, classes, views};
use e2e::{
    canned::{CannedFile, CannedOrg, StillClock},
    inputs::configured,
    ocsf::Schema,
};
use salesforce_sim::{Files, OfflineOrg, OrgSettings, Rows, Simulator, Workload, event_types};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

/// The documents that come of an org. It is asked with a secret, for a signature for each of hundreds of files takes its time.
fn events(streams: &Value, mut org: CannedOrg, original: bool) -> Vec<Value> {
    let config = json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": {"flow": "client-credentials", "client_id": "3MVG9.acme", "client_secret": "secret"},
        "format": "ocsf",
        "preserve_original_event": original,
        "streams": streams,
    });
    let mut collector = configured(&config.to_string()).expect("a valid configuration");
    let batch = collector.poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
    batch.events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
}

/// The documents of a file with these columns and rows.
fn rows(event_type: &str, columns: &[&str], rows: &[Vec<String>], original: bool) -> Vec<Value> {
    let line = |cells: Vec<&str>| {
        let cells: Vec<_> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        cells.join(",") + "\n"
    };
    let mut body = line(columns.to_vec());
    for row in rows {
        body += &line(row.iter().map(String::as_str).collect());
    }
    let file = CannedFile { event_type: event_type.to_owned(), ..CannedFile::new(1, body.into_bytes()) };
    let stream = match event_type {
        "Login" => json!({"login": {"event_log_file": {}}}),
        "Logout" => json!({"logout": {"event_log_file": {}}}),
        _ if documents::APEX_TYPES.contains(&event_type) => json!({"apex": {"event_log_file": {}}}),
        _ => json!({"own": {"event_log_file": {"event_types": [event_type]}}}),
    };
    events(&stream, CannedOrg::with(vec![file]), original)
}

/// The documents of records.
fn records(object: &str, records: &[Value]) -> Vec<Value> {
    let stream = match object {
        "LoginEvent" => json!({"login": {"object": {}}}),
        "LogoutEvent" => json!({"logout": {"object": {}}}),
        "SetupAuditTrail" => json!({"setupaudittrail": {"object": {}}}),
        _ => json!({"own": {"object": {"name": object}}}),
    };
    let org = CannedOrg { records: Some(Value::from(records.to_vec()).to_string()), ..CannedOrg::default() };
    events(&stream, org, false)
}

/// The document of a record of the audit trail.
fn audited(action: &str, display: &str) -> Value {
    let record = json!({"Id": "0Ym5j00000AbCdECAV", "CreatedDate": "2026-06-01T10:15:30.000+0000", "Action": action,
        "CreatedById": "0055j000004XYz1AAE", "Section": "Manage Users", "Display": display});
    records("SetupAuditTrail", &[record]).remove(0)
}

fn assert_valid<'v>(documents: impl IntoIterator<Item = (String, &'v Value)>) -> usize {
    let schema = Schema::default();
    let mut count = 0;
    let mut wrong = BTreeSet::new();
    for (what, document) in documents {
        count += 1;
        wrong.extend(schema.check(document).into_iter().map(|reason| format!("{what}: {reason}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    count
}

#[test]
fn every_expected_event_is_what_its_class_allows() {
    let events = expected_ocsf_events();
    let count = assert_valid(events.iter().map(|(case, event)| (case.clone(), event)));
    assert!(count > 100, "{count} events");
}

#[test]
fn an_event_has_the_same_id_and_time_in_both_schemas() {
    let (ecs, ocsf) = (expected_events(), expected_ocsf_events());
    let of = |case: &str, events: &[(String, Value)]| -> Vec<Value> {
        events.iter().filter(|(other, _)| other == case).map(|(_, event)| event.clone()).collect()
    };
    let mut compared = 0;
    for case in ocsf.iter().map(|(case, _)| case).collect::<BTreeSet<_>>() {
        let (ecs, ocsf) = (of(case, &ecs), of(case, &ocsf));
        assert_eq!(ecs.len(), ocsf.len(), "{case}");
        for (ecs, ocsf) in ecs.iter().zip(&ocsf) {
            assert_eq!(ecs["event"]["id"], ocsf["metadata"]["uid"], "{case}");
            let time =
                ecs["@timestamp"].as_str().and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
            assert_eq!(time.map(|time| time.timestamp_millis()), ocsf["time"].as_i64(), "{case}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

/// Columns that any type may have, and values that are what they promise, or are not.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "1.5E3",
    "59.3",
    "a",
    "S",
    "GET",
    "post",
    "Query",
    "203.0.113.7",
    "2001:db8::1",
    "Salesforce.com IP",
    "anna.berg@acme.com",
    "anna@@acme",
    "0055j000004XYz1AAE",
    "2026-06-01T10:15:30.123Z",
    "20260601101530.123",
    "9999-12-31T23:59:59.999Z",
    "https://a.b:8443/x/y.z?q=1#f",
    "Mozilla/5.0 (X11; Linux x86_64)",
    "10010511",
    "\"in quotes\"",
    "back\\slash",
    "é and 💥",
    "two\nlines",
];

/// Every column that a tree or a class names, for files or for objects.
fn all_columns(provider: &str) -> Vec<&'static str> {
    let is_of_files = |name: &str| !name.chars().any(|c| c.is_ascii_lowercase());
    let of_trees = views().into_iter().flat_map(|view| view.mappings).flat_map(|of| of.column.split('|'));
    let of_classes = classes::columns();
    let mut columns: Vec<_> =
        of_trees.chain(of_classes).filter(|name| is_of_files(name) == (provider == "EventLogFile")).collect();
    columns.extend(if provider == "EventLogFile" {
        ["EVENT_TYPE", "TIMESTAMP", "TIMESTAMP_DERIVED", "NEW_COLUMN"]
    } else {
        ["EventDate", "EventIdentifier", "Id", "NewField"]
    });
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn random(seed: &mut u64, n: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % n
}

#[test]
fn whatever_a_row_says_its_document_is_what_its_class_allows() {
    let columns = all_columns("EventLogFile");
    let mut types: Vec<String> = categories().into_iter().map(|[name, ..]| name).collect();
    types.extend(["ApexExecution", "BrandNew", "BrandNewAnomaly"].map(str::to_owned));
    let (mut seed, mut count, mut seen) = (7, 0, BTreeSet::new());
    for event_type in types.iter().filter(|name| *name != "SetupAuditTrail") {
        for share in [0, 30, 100] {
            let present: Vec<&str> =
                columns.iter().copied().filter(|_| random(&mut seed, 100) < share).collect();
            // A file without columns is none.
            let present = if present.is_empty() { vec!["EVENT_TYPE"] } else { present };
            let mut cells: Vec<Vec<String>> = vec![present.iter().map(|_| String::new()).collect()];
            cells.extend((0..12).map(|_| {
                present.iter().map(|_| VALUES[random(&mut seed, VALUES.len())].to_owned()).collect::<Vec<_>>()
            }));
            let documents = rows(event_type, &present, &cells, true);
            seen.extend(documents.iter().filter_map(|document| document["class_uid"].as_u64()));
            count += assert_valid(documents.iter().map(|document| (event_type.clone(), document)));
        }
    }
    assert!(count > 1500, "{count} documents");
    let all: BTreeSet<u64> = classes::all().into_iter().map(|(uid, _)| u64::from(uid)).collect();
    let of_objects = BTreeSet::from([3001]);
    assert_eq!(
        all.difference(&seen).copied().collect::<BTreeSet<_>>(),
        of_objects,
        "classes of objects alone"
    );
}

#[test]
fn whatever_a_record_says_its_document_is_what_its_class_allows() {
    let columns = all_columns("Object");
    let names = categories().into_iter().map(|[name, ..]| name);
    let objects = names.flat_map(|name| match name.as_str() {
        "SetupAuditTrail" | "LoginHistory" => vec![name],
        _ => vec![format!("{name}Event"), format!("{name}EventStore"), format!("{name}EventLog")],
    });
    let (mut seed, mut count) = (11, 0);
    for object in objects {
        let mut list = Vec::new();
        for nth in 0..8 {
            let mut record = Map::new();
            for column in &columns {
                let value = match random(&mut seed, 4) {
                    0 => Value::Null,
                    1 => [json!(3.5), json!(17), json!(-1)][random(&mut seed, 3)].clone(),
                    _ => json!(VALUES[random(&mut seed, VALUES.len())]),
                };
                record.insert((*column).to_owned(), if nth == 0 { Value::Null } else { value });
            }
            for date in ["EventDate", "CreatedDate", "Timestamp", "LoginTime"] {
                record.insert(date.to_owned(), json!("2026-06-01T10:15:30.000+0000"));
            }
            record.insert(String::from("Id"), json!(format!("0Ym5j00000AbCd{nth}CAV")));
            record.insert(String::from("EventIdentifier"), json!(format!("e{nth}")));
            list.push(Value::Object(record));
        }
        let documents = records(&object, &list);
        assert_eq!(documents.len(), list.len(), "{object}");
        count += assert_valid(documents.iter().map(|document| (object.clone(), document)));
    }
    assert!(count > 500, "{count} documents");
}

/// A simulated org without a network.
struct Simulated(OfflineOrg);

impl Http for Simulated {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.reveal())).collect();
        let body = request.body.as_ref().map(|body| body.reveal().as_bytes());
        let method = if body.is_some() { "POST" } else { "GET" };
        let answer = self.0.answer(method, &request.path, &headers, body.unwrap_or_default());
        let answer = answer.map_err(|error| TransportError::Failed(error.to_string()))?;
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

#[test]
fn whatever_the_simulated_org_has_becomes_what_its_class_allows() {
    let now = "2026-03-04T18:20:00Z".parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    let settings = OrgSettings {
        clock_fixed_at: Some(now),
        workload: Workload { hours: 6, rows: Rows::Total(600), ..Workload::default() },
        files: Files {
            event_types: event_types().into_iter().map(str::to_owned).collect(),
            ..Files::default()
        },
        ..OrgSettings::default()
    };
    let (client_id, client_secret) = (settings.client_id.clone(), settings.client_secret.clone());
    let mut org = Simulated(Simulator::offline(settings).expect("an org"));
    let own: Vec<&str> = event_types()
        .into_iter()
        .filter(|name| !["Login", "Logout"].contains(name) && !documents::APEX_TYPES.contains(name))
        .collect();
    let from = json!({"initial_interval": "7d"});
    let with = |source: Value| {
        let mut stream = from.clone();
        stream.as_object_mut().expect("a stream").extend(source.as_object().cloned().unwrap_or_default());
        stream
    };
    let both = || with(json!({"event_log_file": {}, "object": {}}));
    let object = |name: &str| with(json!({"object": {"name": name}}));
    let config = json!({
        "instance_url": org.0.url(),
        "auth": {"flow": "client-credentials", "client_id": client_id, "client_secret": client_secret},
        "format": "ocsf",
        "streams": {
            "login": both(), "logout": both(), "apex": with(json!({"event_log_file": {}})),
            "setupaudittrail": with(json!({"object": {}})),
            "others": with(json!({"event_log_file": {"event_types": own}})),
            "history": object("LoginHistory"), "api": object("ApiEvent"), "reports": object("ReportEvent"),
            "threats": object("ApiAnomalyEventStore"), "aura": object("AuraRequestEventLog"),
        },
    });
    let mut collector = configured(&config.to_string()).expect("a valid configuration");
    let (mut state, mut seen, mut count) = (None::<String>, BTreeSet::new(), 0);
    loop {
        let clock = StillClock::at(now.timestamp_millis());
        let batch = collector.poll(&mut org, &clock, state.as_deref()).expect("a batch");
        assert!(batch.problems.is_empty(), "{}", batch.problems[0]);
        let events: Vec<Value> =
            batch.events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
        let name = |event: &Value| event["metadata"]["log_name"].as_str().unwrap_or_default().to_owned();
        count += assert_valid(events.iter().map(|event| (name(event), event)));
        seen.extend(events.iter().map(name));
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    let objects = [
        "LoginEvent",
        "LogoutEvent",
        "SetupAuditTrail",
        "LoginHistory",
        "ApiEvent",
        "ReportEvent",
        "ApiAnomalyEventStore",
        "AuraRequestEventLog",
    ];
    let missing: Vec<_> =
        event_types().into_iter().chain(objects).filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty() && count > 1000, "{count} events, none of {missing:?}");
}

#[test]
fn a_row_that_makes_no_sense_becomes_an_event_of_no_class_with_its_text() {
    let text = "\"EVENT_TYPE\",\"USER_ID\"\n\"Login\"\n";
    let org = CannedOrg::with(vec![CannedFile::new(1, text.as_bytes().to_vec())]);
    let documents = events(&json!({"login": {"event_log_file": {}}}), org, false);
    let [document] = &documents[..] else { panic!("{documents:?}") };
    assert_valid([(String::from("row"), document)]);
    assert_eq!((&document["class_uid"], &document["raw_data"]), (&json!(0), &json!("\"Login\"")));
    assert!(document["message"].as_str().is_some_and(|reason| reason.contains("byte")), "{document}");
    assert_eq!(document["unmapped"]["error"]["message"], json!([document["message"]]));
}

#[test]
fn no_value_of_any_column_is_dropped() {
    let columns = all_columns("EventLogFile");
    let mut types: Vec<String> = categories().into_iter().map(|[name, ..]| name).collect();
    types.push(String::from("BrandNew"));
    let mut tried = 0;
    for event_type in types.iter().filter(|name| *name != "SetupAuditTrail") {
        let cells: Vec<Vec<String>> = (0..columns.len())
            .map(|nth| {
                (0..columns.len())
                    .map(|at| if at == nth { format!("marker-{nth}") } else { String::new() })
                    .collect()
            })
            .collect();
        let documents = rows(event_type, &columns, &cells, false);
        for (nth, (document, column)) in documents.iter().zip(&columns).enumerate() {
            assert!(
                holds(document, &format!("marker-{nth}")),
                "{event_type}: {column} is dropped: {document}"
            );
            tried += 1;
        }
    }
    assert!(tried > 5000, "{tried}");
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::Object(members) => members.values().any(|value| holds(value, text)),
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::String(is) => is == text || is.contains(&format!("'{text}'")),
        _ => false,
    }
}

#[test]
fn the_record_as_it_came_is_there_if_it_was_asked_for() {
    let cells = [vec![String::from("Login"), String::from("a")]];
    let of = |original: bool| rows("Login", &["EVENT_TYPE", "USER_ID"], &cells, original).remove(0);
    assert_eq!(of(false)["raw_data"], Value::Null);
    let document = of(true);
    assert_eq!(document["raw_data"], r#"{"EVENT_TYPE":"Login","USER_ID":"a"}"#);
}

#[test]
fn what_happens_to_users_permissions_and_settings_is_told_apart_in_the_audit_trail() {
    for (action, class, activity) in [
        ("createduser", 3001, "Create"),
        ("deactivateduser", 3001, "Disable"),
        ("frozeuser", 3001, "Lock"),
        ("resetpassword", 3001, "Password Reset"),
        ("changeduseremail", 3001, "Other"),
        ("PermSetAssign", 3005, "Assign Privileges"),
        ("PermSetUnassign", 3005, "Revoke Privileges"),
        ("changedprofileforuser", 3005, "Assign Privileges"),
        ("changedPasswordPolicy", 3004, "Update"),
        ("PermSetEnableUserPerm", 3004, "Update"),
        ("createdConnectedApplication", 3004, "Create"),
        ("deletedApexClass", 3004, "Delete"),
        ("enabledSomething", 3004, "Enable"),
        ("suOrgAdminLogin", 3004, "Other"),
    ] {
        let document = audited(action, "For user erik.ek@acme.com, changed");
        assert_eq!(
            (&document["class_uid"], &document["activity_name"]),
            (&json!(class), &json!(activity)),
            "{action}"
        );
        assert_eq!(document["actor"]["user"]["uid"], "0055j000004XYz1AAE", "{action}");
        assert_eq!(document["metadata"]["event_code"], action);
        assert_valid([(action.to_owned(), &document)]);
        if class != 3004 {
            let user = json!({"name": "erik.ek", "domain": "acme.com", "email_addr": "erik.ek@acme.com"});
            assert_eq!(document["user"], user, "{action}");
        }
    }
}

#[test]
fn the_method_of_a_request_tells_the_activity() {
    let of = |event_type: &str, method: &str| {
        let cells = [vec![String::from(event_type), String::from(method)]];
        let document = rows(event_type, &["EVENT_TYPE", "METHOD"], &cells, false).remove(0);
        document["activity_name"].as_str().unwrap_or_default().to_owned()
    };
    for (method, http, api) in [
        ("GET", "Get", "Read"),
        ("POST", "Post", "Create"),
        ("PATCH", "Patch", "Update"),
        ("delete", "Delete", "Delete"),
        ("BREW", "Other", "Other"),
        ("", "Unknown", "Unknown"),
    ] {
        assert_eq!((of("URI", method).as_str(), of("RestApi", method).as_str()), (http, api), "{method}");
    }
}

/// A document with one thing changed.
fn changed(document: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut document = document.clone();
    change(&mut document);
    document
}

#[test]
fn a_document_that_is_not_what_its_class_allows_is_found_out() {
    let cells =
        ["Login", "S", "0055j000004XYz1AAE", "203.0.113.7", "LOGIN_NO_ERROR"].map(str::to_owned).to_vec();
    let columns = ["EVENT_TYPE", "REQUEST_STATUS", "USER_ID", "SOURCE_IP", "LOGIN_STATUS"];
    let document = rows("Login", &columns, &[cells], false).remove(0);
    let schema = Schema::default();
    assert_eq!(schema.check(&document), Vec::<String>::new());
    type Change = (fn(&mut Value), &'static str);
    let changes: &[Change] = &[
        (|it| it["flavour"] = json!("sweet"), "flavour is no attribute"),
        (|it| it["user"]["nickname"] = json!("a"), "user.nickname is no attribute"),
        (|it| it["tls"] = json!({"version": "1.3"}), "tls is no attribute"),
        (|it| drop(it.as_object_mut().expect("it").remove("user")), "user is missing"),
        (|it| drop(it.as_object_mut().expect("it").remove("time")), "time is missing"),
        (|it| it["metadata"] = json!({"version": "1.8.0"}), "metadata.product is missing"),
        (|it| it["user"] = json!({"type": "Standard"}), "user has 0 of"),
        (|it| it["user"] = json!("anna"), "user is no object"),
        (|it| it["time"] = json!("2026-06-01T10:15:30Z"), "time is no timestamp"),
        (|it| it["status_detail"] = json!(7), "status_detail is no string"),
        (|it| it["src_endpoint"]["ip"] = json!("home"), "src_endpoint.ip is no ip"),
        (|it| it["user"]["email_addr"] = json!("anna@home"), "user.email_addr is no email"),
        (|it| it["observables"] = json!({"type_id": 2}), "observables is no list"),
        (|it| it["observables"][0]["type_id"] = json!(4_711), "observables.type_id may not be"),
        (|it| it["activity_id"] = json!(77), "activity_id may not be 77"),
        (|it| it["severity_id"] = json!(7), "severity_id may not be 7"),
        (|it| it["category_uid"] = json!(4), "category_uid may not be 4"),
        (|it| it["status_id"] = json!(2), "status_id is 2"),
        (|it| it["type_uid"] = json!(300_202), "type_uid may not be 300202"),
        (|it| it["class_uid"] = json!(3999), "class_uid may not be 3999"),
        (|it| it["metadata"]["profiles"] = json!([]), "is of a profile that is not claimed"),
        (|it| it["metadata"]["version"] = json!("1.0.0"), "metadata.version may not be"),
        (|it| drop(it.as_object_mut().expect("it").remove("cloud")), "cloud is missing"),
        (|it| it["user"]["credential_uid"] = json!("a"), "user.credential_uid is deprecated"),
        (|it| it["http_request"] = json!({"http_method": "BREW"}), "http_request.http_method may not be"),
    ];
    for (change, expected) in changes {
        let wrong = schema.check(&changed(&document, change));
        assert!(wrong.iter().any(|reason| reason.contains(expected)), "{expected}: {wrong:?}");
    }
}

#[test]
fn the_tables_of_classes_are_what_documents_are_made_by() {
    let mut types = String::from("\n| class | activity | types and objects |\n|---|---|---|\n");
    let told = classes::activities();
    let uid =
        |class: &str| classes::all().into_iter().find(|(_, name)| *name == class).map_or(0, |(uid, _)| uid);
    let mut by_class: Vec<([&str; 2], Vec<&str>)> = Vec::new();
    for [name, class, activity] in
        classes::of_types().into_iter().filter(|[name, ..]| *name != "SetupAuditTrail")
    {
        match by_class.iter_mut().find(|(other, _)| *other == [class, activity]) {
            Some((_, names)) => names.push(name),
            None => by_class.push(([class, activity], vec![name])),
        }
    }
    for ([class, activity], names) in by_class {
        types.push_str(&format!("| {class} ({}) | {activity} | {} |\n", uid(class), names.join(", ")));
    }
    let mut activities = String::from("\n| class | columns | what they begin with |\n|---|---|---|\n");
    for (class, columns, rules) in &told {
        let mut by_activity: Vec<(&str, Vec<String>)> = Vec::new();
        for (word, activity) in rules {
            match by_activity.iter_mut().find(|(other, _)| other == activity) {
                Some((_, words)) => words.push(format!("`{word}`")),
                None => by_activity.push((activity, vec![format!("`{word}`")])),
            }
        }
        let words: Vec<_> =
            by_activity.iter().map(|(activity, words)| format!("{activity}: {}", words.join(", "))).collect();
        let columns = columns.replace('|', ", else ");
        activities.push_str(&format!("| {class} | {columns} | {} |\n", words.join("; ")));
    }
    let mut attributes: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (class, found) in classes::attributes() {
        for (path, from) in found {
            let classes = attributes.entry((path, from)).or_default();
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
    }
    let mut table = String::from("\n| attribute | made of | in |\n|---|---|---|\n");
    for ((path, from), of) in &attributes {
        let others: Vec<_> =
            classes::all().into_iter().map(|(_, name)| name).filter(|name| !of.contains(name)).collect();
        let of = match others.len() {
            0 => String::from("all"),
            1..=4 => format!("all but {}", others.join(", ")),
            _ => of.join(", "),
        };
        table.push_str(&format!("| `{path}` | {from} | {of} |\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ocsf.md");
    let was = fs::read_to_string(&path).expect("docs/ocsf.md");
    let mut text = was.clone();
    for (mark, part) in [("types", types), ("activities", activities), ("attributes", table)] {
        let (start, end) = (format!("<!-- {mark}: made by tests -->\n"), format!("<!-- {mark}: end -->\n"));
        let (before, rest) = text.split_once(&start).expect("a mark in docs/ocsf.md");
        let (_, after) = rest.split_once(&end).expect("the end of it");
        text = format!("{before}{start}{part}\n{end}{after}");
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, text).expect("write");
    } else {
        assert!(was == text, "docs/ocsf.md is not what documents are made by; UPDATE_DOCS=1 makes it anew");
    }
}
