//! What leaves and what does not. What becomes of single fields and rows is in the cases `redacted*`, `left-out` and `sampled`.

use crate::{
    cases::configured_with,
    collection::{Collection, HOUR, settings},
};
use collector::{Collector, problem::Problem};
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use e2e::simulation::engine::Engine as _;
use salesforce_sim::Objects;
use serde_json::{Value, json};

const LOGIN: &str = r#""login": {"event_log_file": {}}"#;

fn with(run: &mut Collection, path: &str, value: Value) {
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    *config.pointer_mut(path).expect("a value") = value;
    run.config = config.to_string();
    run.restart();
}

fn id(event: &str) -> String {
    let event: Value = serde_json::from_str(event).expect("JSON");
    event["event"]["id"].as_str().expect("an id").to_owned()
}

/// A collection of files and of an object, with more keys for both of its streams.
fn collected(more: &Value, top: &Value) -> Vec<String> {
    let mut streams = json!({"login": {"event_log_file": {}}, "logout": {"object": {}}});
    for (_, stream) in streams.as_object_mut().into_iter().flatten() {
        stream["initial_interval"] = json!("12h");
        for (key, value) in more.as_object().into_iter().flatten() {
            stream[key] = value.clone();
        }
    }
    // Keys for all of it come later, and a key for hashes with them.
    let mut run =
        Collection::new(settings(300, 4, Objects::default()), &json!({"login": {"event_log_file": {}}}));
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    config["streams"] = streams;
    for (key, value) in top.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    run.config = config.to_string();
    run.restart();
    let mut events = Vec::new();
    loop {
        // Not all formats are those of the index template.
        let polled = run.native.poll(run.state.as_deref()).expect("a poll");
        run.state = polled.state.or(run.state);
        events.extend(polled.events);
        if polled.next_poll_ms > 0 {
            return events;
        }
    }
}

#[test]
fn nothing_of_a_redacted_field_leaves_in_any_format_and_the_ids_are_those_of_the_full_rows() {
    let key = json!({"hash_key": "0123456789abcdef", "preserve_original_event": true});
    let plain = collected(&json!({}), &key);
    let wanted: Vec<String> = plain.iter().map(|event| id(event)).collect();
    // Users and addresses of the simulated org, as they stand in documents that are not redacted.
    let mut secrets: Vec<String> = Vec::new();
    for event in &plain {
        let event: Value = serde_json::from_str(event).expect("JSON");
        for pointer in ["/user/email", "/user/name", "/source/ip", "/user/id", "/salesforce/login/user_id"] {
            secrets.extend(event.pointer(pointer).and_then(Value::as_str).map(str::to_owned));
        }
    }
    secrets.sort_unstable();
    secrets.dedup();
    assert!(secrets.len() > 20, "{}", secrets.len());
    for format in ["ecs", "ocsf", "raw"] {
        for action in ["hash_fields", "mask_fields", "drop_fields"] {
            let fields = json!({action: ["*USER*", "*IP*", "*URI*", "*URL*", "*CREATEDBY*"]});
            let mut top = key.clone();
            top["format"] = json!(format);
            if format == "raw" {
                top.as_object_mut().expect("a table").remove("preserve_original_event");
            }
            let events = collected(&fields, &top);
            let at = if format == "ocsf" { "/metadata/uid" } else { "/event/id" };
            let ids = events.iter().map(|event| {
                let event: Value = serde_json::from_str(event).expect("JSON");
                event.pointer(at).and_then(Value::as_str).expect("an id").to_owned()
            });
            assert!(ids.eq(wanted.iter().cloned()), "{format} {action}");
            let all = events.join("\n");
            for secret in &secrets {
                assert!(!all.contains(&format!("\"{secret}\"")), "{format} {action}: {secret}");
                assert!(!all.contains(&format!("\\\"{secret}\\\"")), "{format} {action}: {secret}");
            }
        }
    }
}

#[test]
fn what_is_no_record_or_has_lost_the_name_of_a_field_leaves_with_nothing_in_it() {
    let of = |members: &str| {
        format!(
            r#"[{{"attributes": {{"type": "X"}}, "Id": "0Ym5j00000AbCd1CAV", "CreatedDate": "2026-06-01T10:15:31.123+0000", {members}}}]"#
        )
    };
    for records in [
        String::from(r#"["anna"]"#),
        String::from(r#"[["anna", 1]]"#),
        of(r#""DelegateUse\q": "anna""#),
        of(r#""DelegateUser: "anna","Section":"y""#),
        of(r#""Section": "say "anna": x", "DelegateUser": "b""#),
    ] {
        for format in ["ecs", "ocsf", "raw"] {
            let stream = r#""setupaudittrail": {"object": {}, "mask_fields": ["DelegateUser"]}"#;
            let top =
                format!("{{\"format\": \"{format}\", \"preserve_original_event\": {},", format != "raw");
            let top = if format == "raw" { String::from("{\"format\": \"raw\",") } else { top };
            let mut collector = configured_with(&[(LOGIN, stream), ("{", &top)]);
            let mut org = CannedOrg { records: Some(records.clone()), ..CannedOrg::default() };
            let batch = collector.poll(&mut org, &StillClock::at(crate::cases::NOW), None).expect("a batch");
            assert_eq!(batch.events.len(), 1, "{records}");
            assert!(!batch.events[0].contains("anna"), "{format}, {records}: {}", batch.events[0]);
            assert!(!format!("{:?}", batch.problems).contains("anna"), "{:?}", batch.problems);
        }
    }
}

#[test]
fn of_a_damaged_record_nothing_but_its_date_leaves() {
    // A quote is missing, so that one field holds another.
    let records = r#"[{"attributes": {"type": "SetupAuditTrail"}, "Id": "0Ym5j00000AbCd1CAV",
        "CreatedDate": "2026-06-01T10:15:31.123+0000", "Display": "anna", "Section": "Manage", "Action": "x anna, "CreatedById": "anna"}]"#;
    for format in ["ecs", "ocsf", "raw"] {
        let stream = r#""setupaudittrail": {"object": {}, "mask_fields": ["CreatedById"]}"#;
        let top = format!("{{\"format\": \"{format}\",");
        let mut collector = configured_with(&[(LOGIN, stream), ("{", &top)]);
        let mut org = CannedOrg { records: Some(records.to_owned()), ..CannedOrg::default() };
        let batch = collector.poll(&mut org, &StillClock::at(crate::cases::NOW), None).expect("a batch");
        assert_eq!(batch.events.len(), 1);
        let event = &batch.events[0];
        assert!(!event.contains("anna") && event.contains("2026-06-01T10:15:31.123"), "{event}");
        assert!(event.contains("withheld"), "{event}");
    }
}

#[test]
fn a_sample_is_the_same_whenever_it_is_taken_and_a_part_of_what_there_is() {
    let all: Vec<String> = collected(&json!({}), &json!({})).iter().map(|event| id(event)).collect();
    let sample = || -> Vec<String> {
        collected(&json!({"sample": 5}), &json!({})).iter().map(|event| id(event)).collect()
    };
    let taken = sample();
    assert_eq!(taken, sample());
    assert!(taken.iter().all(|id| all.contains(id)));
    let share = all.len() as f64 / taken.len() as f64;
    assert!((4.0..6.5).contains(&share), "{} of {}", taken.len(), all.len());
}

#[test]
fn a_stream_beyond_the_bytes_of_its_day_waits_for_the_next_one_and_loses_nothing() {
    let streams = json!({
        "login": {"event_log_file": {}, "initial_interval": "12h", "daily_bytes": "600KiB"},
        "logout": {"object": {}, "initial_interval": "12h"},
    });
    let mut run = Collection::in_batches_of(100, settings(40, 2, Objects::default()), &streams);
    let day = |run: &Collection| run.world.org_ms().div_euclid(24 * HOUR);
    let mut per_day = std::collections::BTreeMap::<i64, usize>::new();
    let (mut waited, mut logouts) = (0, 0);
    for _ in 0..2000 {
        let polled = run.poll();
        for event in &polled.events {
            let event_json: Value = serde_json::from_str(event).expect("JSON");
            if event_json["event"]["dataset"] == "salesforce.login" {
                *per_day.entry(day(&run)).or_default() += event.len();
            } else {
                // Another stream goes on while it waits.
                logouts += usize::from(waited > 0);
            }
        }
        waited += polled.problems.iter().filter(|problem| problem.contains("bytes of the day")).count();
        run.world.pass(i64::from(polled.next_poll_ms).max(1));
        if run.world.org_ms() > crate::collection::beginning().timestamp_millis() + 4 * 24 * HOUR {
            break;
        }
    }
    assert!((1..=3).contains(&waited), "{waited}: {:?}", run.problems);
    assert!(logouts > 0);
    assert!(per_day.len() >= 2, "{per_day:?}");
    // A slice is a batch of 100 events of less than 3 KB.
    assert!(per_day.values().all(|bytes| *bytes < (600 << 10) + 300_000), "{per_day:?}");
    let org = run.world.org.org();
    let comparison = run.delivered.compare_with(
        org.truth(salesforce_sim::Interval::Hourly)
            .map(|event| event.event_id.to_string())
            .chain(std::iter::empty()),
    );
    assert_eq!(comparison.missing, 0, "{comparison}");
}

fn file(body: &str) -> CannedOrg {
    CannedOrg::with(vec![CannedFile::new(1, body.as_bytes().to_vec())])
}

fn problems(collector: &mut Collector, org: &mut CannedOrg) -> Vec<String> {
    let batch = collector.poll(org, &StillClock::at(crate::cases::NOW), None).expect("a batch");
    batch.problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_name_that_rows_do_not_have_is_told_with_the_nearest_one() {
    let mut org =
        file("\"EVENT_TYPE\",\"TIMESTAMP\",\"USER_NAME\"\n\"Login\",\"20260601101530.123\",\"anna\"\n");
    let stream = r#""login": {"event_log_file": {}, "drop_fields": ["USERNAME", "USER_*", "SHOE_SIZE"]}"#;
    let said = problems(&mut configured_with(&[(LOGIN, stream)]), &mut org);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("no field 'username'") && said[0].contains("did you mean 'USER_NAME'?"),
        "{said:?}"
    );
    assert!(said[1].contains("no field 'shoe_size'"), "{said:?}");
}

#[test]
fn every_mistake_in_what_is_to_leave_is_named_at_once() {
    let stream = r#""login": {"event_log_file": {}, "hash_fields": ["USER NAME"], "mask_fields": [], "drop_fields": ["a/b"],
        "drop_events": ["USER_TYPE"], "sample": 0, "daily_bytes": "1B", "drop_field": ["X"]}"#;
    let config = crate::cases::CONFIG.replace(LOGIN, stream).replacen('{', "{\"hash_key\": \"short\",", 1);
    let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem").replace('\n', "\\n");
    let found = Collector::new().configure(&config.replace("@KEY@", &key)).expect_err("mistakes");
    let mut paths: Vec<_> = found.iter().filter_map(|problem| problem.path.clone()).collect();
    paths.sort_unstable();
    let of = |key: &str| format!("streams.login.{key}");
    let keys =
        ["daily_bytes", "drop_events", "drop_field", "drop_fields", "hash_fields", "mask_fields", "sample"];
    let expected: Vec<_> = std::iter::once(String::from("hash_key")).chain(keys.map(of)).collect();
    assert_eq!(paths, expected, "{found:?}");
    let near = found.iter().find(|problem| problem.path == Some(of("drop_field"))).expect("a problem");
    assert!(near.to_string().contains("did you mean 'drop_fields'?"), "{near}");
    assert!(!format!("{found:?}").contains("short\""), "a key is not shown");
}

#[test]
fn a_line_break_behind_a_key_is_none_of_it() {
    let hashed = |key: &str| collected(&json!({"hash_fields": ["*USER*"]}), &json!({"hash_key": key}));
    let plain = hashed("0123456789abcdef");
    assert!(!plain.is_empty() && plain == hashed("0123456789abcdef\r\n"));
    assert_ne!(plain, hashed("0123456789abcdeg"));
}

#[test]
fn hashes_without_a_key_are_refused() {
    let stream = r#""login": {"event_log_file": {}, "hash_fields": ["USER_*"]}"#;
    let config = crate::cases::CONFIG.replace(LOGIN, stream);
    let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem").replace('\n', "\\n");
    let found = Collector::new().configure(&config.replace("@KEY@", &key)).expect_err("a mistake");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path.as_deref(), Some("streams.login.hash_fields"));
}

#[test]
fn the_state_holds_no_digest_of_the_key_of_hashes() {
    let configuration = |key: &str| {
        let top = json!({"hash_key": key});
        let mut run =
            Collection::new(settings(1, 1, Objects::default()), &json!({"login": {"event_log_file": {}}}));
        let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
        config["hash_key"] = top["hash_key"].clone();
        run.config = config.to_string();
        run.restart();
        run.poll();
        let state: Value = serde_json::from_str(run.state.as_deref().expect("a state")).expect("JSON");
        state["config"].as_str().expect("a fingerprint").to_owned()
    };
    assert_eq!(configuration("0123456789abcdef"), configuration("fedcba9876543210"));
}

#[test]
fn every_request_can_be_told_from_those_of_others_in_the_logs_of_the_org() {
    let streams = json!({"login": {"event_log_file": {}}, "logout": {"object": {}}});
    let mut run = Collection::new(settings(5, 4, Objects::default()), &streams);
    with(&mut run, "/streams/login", json!({"event_log_file": {}}));
    run.go_on_for(2 * HOUR);
    let requests = run.world.org.org().requests().records();
    assert!(requests.len() > 20);
    let mut ids = std::collections::BTreeSet::new();
    for request in &requests {
        let id = request.request_id.as_deref().unwrap_or_default();
        assert!(id.len() == 32 && id.starts_with("c011ec70"), "{}: {id}", request.path);
        assert!(id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{id}");
        assert_eq!(id[8..16], requests[0].request_id.as_deref().unwrap_or_default()[8..16]);
        ids.insert(id.to_owned());
    }
    assert_eq!(ids.len(), requests.len(), "each has its own");
}
