//! Names for ids. How they stand in documents is in the cases `names-*`.

use crate::collection::{BROKEN, Collection, HOUR, MINUTE, answer, settings, unescaped};
use e2e::simulation::engine::Engine as _;
use salesforce_sim::Objects;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REFUSED: &str =
    r#"[{"errorCode":"INSUFFICIENT_ACCESS","message":"insufficient access rights on object id"}]"#;
const NOBODY: &str = r#"{"totalSize":0,"done":true,"records":[]}"#;

/// A collection of files and of objects, with more keys beside its streams.
fn collection(top: &Value) -> Collection {
    let streams = json!({
        "login": {"event_log_file": {}, "initial_interval": "6h"},
        "logout": {"object": {}, "initial_interval": "6h"},
        "report": {"object": {"name": "ReportEvent"}, "initial_interval": "6h"},
    });
    let mut run = Collection::new(settings(300, 6, Objects::default()), &streams);
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    for (key, value) in top.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    run.config = config.to_string();
    run.restart();
    run
}

/// Polls until there is something to wait for; a new instance for each poll, as in a host that keeps none, if asked to.
fn collect(run: &mut Collection, anew: bool) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        if anew {
            run.restart();
        }
        let polled = run.native.poll(run.state.as_deref()).expect("a poll");
        run.state = polled.state.or(run.state.take());
        run.problems.extend(polled.problems);
        events.extend(polled.events.iter().map(|event| serde_json::from_str::<Value>(event).expect("JSON")));
        if polled.next_poll_ms > 0 {
            return events;
        }
    }
}

/// The queries for names so far.
fn look_ups(run: &Collection) -> Vec<String> {
    let records = run.world.org.org().requests().records();
    let queries = records.iter().filter_map(|request| request.path.split_once("/queryAll?q="));
    queries.map(|(_, query)| unescaped(query)).collect()
}

fn text<'e>(event: &'e Value, pointer: &str) -> Option<&'e str> {
    event.pointer(pointer).and_then(Value::as_str)
}

/// A document without what was looked up.
fn without_names(event: &Value) -> Value {
    let mut event = event.clone();
    let object = |event: &mut Value, pointer: &str, keys: &[&str]| {
        if let Some(object) = event.pointer_mut(pointer).and_then(Value::as_object_mut) {
            keys.iter().for_each(|key| drop(object.remove(*key)));
        }
    };
    object(&mut event, "/user", &["name", "full_name"]);
    object(&mut event, "/user/effective", &["name"]);
    let others = ["user_email", "created_by_username", "created_by_full_name"];
    object(&mut event, "/salesforce/login", &others);
    object(&mut event, "/salesforce/logout", &others);
    object(&mut event, "/salesforce/report_event", &others);
    object(&mut event, "/salesforce/report_event", &["owner_username", "owner_full_name", "report_name"]);
    event
}

#[test]
fn ids_have_names_and_all_else_of_an_event_is_as_without_them() {
    let plain = collect(&mut collection(&json!({})), false);
    let mut run = collection(&json!({"lookup": ["user", "report"]}));
    let named = collect(&mut run, false);
    assert_eq!(run.problems, [""; 0]);
    assert_eq!(plain.len(), named.len());
    let mut users = BTreeSet::new();
    let mut reports = 0;
    for (plain, named) in plain.iter().zip(&named) {
        assert_eq!(*plain, without_names(named));
        let Some(id) = text(named, "/user/id") else { continue };
        users.insert(id.to_owned());
        let (name, full_name) = (text(named, "/user/name"), text(named, "/user/full_name"));
        // In the simulated org the name that somebody signs in with is in the event, too.
        assert_eq!(name, text(named, "/user/email"), "{named}");
        assert!(full_name.is_some_and(|name| !name.is_empty() && !name.contains('@')), "{named}");
        if text(named, "/salesforce/report_event/report_id").is_some() {
            assert!(text(named, "/salesforce/report_event/report_name").is_some(), "{named}");
            assert!(text(named, "/salesforce/report_event/owner_username").is_some(), "{named}");
            reports += 1;
        }
    }
    assert!(users.len() > 100 && reports > 50, "{} users, {reports} reports", users.len());
    // Each id is asked for once, and many together.
    let look_ups = look_ups(&run);
    let ids: Vec<&str> = look_ups.iter().flat_map(|query| query.split('\'').skip(1).step_by(2)).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    assert!(look_ups.len() < 10, "{}", look_ups.len());
}

#[test]
fn an_id_without_a_name_stays_an_id_and_is_asked_for_again_when_that_is_old() {
    let mut run = collection(&json!({"lookup": ["user"], "lookup_age": "2h"}));
    run.world.org.org().plan_fault(answer("/queryAll", None, 200, NOBODY));
    let events = collect(&mut run, false);
    assert_eq!(run.problems, [""; 0]);
    assert!(events.iter().all(|event| text(event, "/user/name").is_none()));
    let asked = look_ups(&run).len();
    assert!(asked > 0);
    let users: BTreeSet<String> =
        events.iter().filter_map(|event| text(event, "/user/id")).map(str::to_owned).collect();
    let known = |query: &str| {
        query.split('\'').skip(1).step_by(2).any(|id| users.iter().any(|user| user.starts_with(id)))
    };
    run.world.pass(HOUR);
    assert!(!collect(&mut run, false).is_empty());
    assert!(!look_ups(&run)[asked..].iter().any(|query| known(query)), "{:?}", look_ups(&run));
    run.world.pass(2 * HOUR);
    assert!(!collect(&mut run, false).is_empty());
    assert!(look_ups(&run)[asked..].iter().any(|query| known(query)));
}

#[test]
fn a_refusal_is_said_once_an_hour_and_costs_a_request() {
    let plain = collect(&mut collection(&json!({})), false);
    for anew in [false, true] {
        let mut run = collection(&json!({"lookup": ["user"]}));
        run.world.org.org().plan_fault(answer("/queryAll", None, 403, REFUSED));
        let mut events = collect(&mut run, anew);
        assert_eq!(events, plain);
        for _ in 0..5 {
            run.world.pass(10 * MINUTE);
            events.extend(collect(&mut run, anew));
        }
        assert!(events.len() > plain.len());
        assert_eq!(look_ups(&run).len(), 1, "{anew}");
        assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
        let problem = &run.problems[0];
        for part in ["the query for names of User failed", "View All Users", "ids stay ids"] {
            assert!(problem.contains(part), "{problem}");
        }
        run.world.pass(20 * MINUTE);
        collect(&mut run, anew);
        assert_eq!((look_ups(&run).len(), run.problems.len()), (2, 2), "{:?}", run.problems);
    }
}

#[test]
fn an_org_that_does_not_answer_for_names_is_asked_again_after_minutes() {
    let mut run = collection(&json!({"lookup": ["user"]}));
    run.world.org.org().plan_fault(answer("/queryAll", Some(1), 500, BROKEN));
    let events = collect(&mut run, false);
    assert!(!events.is_empty() && events.iter().all(|event| text(event, "/user/name").is_none()));
    assert_eq!((look_ups(&run).len(), run.problems.len()), (1, 1), "{:?}", run.problems);
    run.world.pass(10 * MINUTE);
    let events = collect(&mut run, false);
    assert!(events.iter().any(|event| text(event, "/user/name").is_some()));
    assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
}

#[test]
fn whoever_hashes_the_names_of_a_user_or_the_ids_finds_no_name_of_a_user_in_what_leaves() {
    let wanted = json!({"lookup": ["user", "report"]});
    let mut names = BTreeSet::new();
    for event in collect(&mut collection(&wanted), false) {
        for pointer in ["/user/name", "/user/full_name", "/salesforce/report_event/owner_full_name"] {
            names.extend(text(&event, pointer).map(str::to_owned));
        }
    }
    assert!(names.len() > 50, "{}", names.len());
    for format in ["ecs", "ocsf"] {
        for (fields, shows_reports) in [
            (json!(["USER_NAME", "Username"]), true),
            (json!(["USER_ID*", "UserId", "USER_NAME", "Username", "*OWNER*"]), true),
            (json!(["*.FullName", "*Username", "USER_NAME"]), true),
            (json!(["*"]), false),
        ] {
            let mut run = collection(&json!({
                "lookup": ["user", "report"], "format": format, "preserve_original_event": true,
                "hash_key": "0123456789abcdef",
            }));
            let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
            for (_, stream) in config["streams"].as_object_mut().expect("streams") {
                stream["hash_fields"] = fields.clone();
            }
            run.config = config.to_string();
            run.restart();
            let events = collect(&mut run, false);
            let all: String = events.iter().map(|event| format!("{event}\n")).collect();
            for name in &names {
                assert!(!all.contains(&format!("\"{name}\"")), "{format} {fields}: {name}");
                assert!(!all.contains(&format!("\\\"{name}\\\"")), "{format} {fields}: {name}");
            }
            assert_eq!(
                all.contains("\"report_name\":\"Open opportunities\""),
                shows_reports,
                "{format} {fields}"
            );
        }
    }
}
