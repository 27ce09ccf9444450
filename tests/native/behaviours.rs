//! What a collector must do about windows, cursors, failures and slices, against the simulated org; and the proof that each
//! behaviour in `docs/behaviours.md` names a test that exists.

use crate::{
    cases::{NOW, configured, configured_with},
    collection::{BROKEN, Collection, HOUR, MINUTE, answer, beginning, settings, time},
};
use chrono::{DateTime, TimeDelta};
use collector::io::{Http, Request, Response, TransportError};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use salesforce_sim::{Crowd, Objects, OrgSettings, StoredObject};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

fn logins() -> Value {
    // Begins before the first record, so that what lies before it need not be told apart.
    json!({"login": {"initial_interval": "1d", "object": {"interval": "5m"}}})
}

const DAY: TimeDelta = TimeDelta::days(1);

#[test]
fn each_window_begins_where_the_last_one_ended_and_ends_before_the_settle_time() {
    let objects = Objects { settle: TimeDelta::minutes(1), ..Objects::default() };
    let mut run = Collection::new(settings(60, 3, objects), &logins());
    for _ in 0..20 {
        let asked = run.windows().len();
        let before = run.state.is_some().then(|| run.cursor("login"));
        let wait = run.round();
        let new = &run.windows()[asked..];
        let now = DateTime::from_timestamp_millis(run.world.org_ms()).expect("a time");
        assert!(new.len() == 1 && time(&new[0].1) <= now - TimeDelta::minutes(3), "{new:?} at {now}");
        assert!(before.is_none_or(|before| before == time(&new[0].0)), "{new:?} after {before:?}");
        assert!(run.cursor("login") <= time(&new[0].1) && run.cursor("login") > time(&new[0].0));
        run.world.pass(wait);
    }
    assert!(run.windows()[0].0.starts_with("2026-03-03T18:20:0"), "{:?}", run.windows()[0]);
    let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
    assert!(comparison.is_clean() && run.problems.is_empty(), "{comparison}, {:?}", run.problems);
}

#[test]
fn a_record_on_the_bound_of_two_windows_is_delivered_once() {
    let mut first = Collection::new(settings(1, 1, Objects::default()), &logins());
    first.round();
    let bound = first.cursor("login");
    for ms in [-1, 0, 1] {
        let at = bound + TimeDelta::milliseconds(ms);
        let crowd = Crowd { at, rows: 3, objects: vec![StoredObject::LoginEvent] };
        let objects = Objects { crowd: Some(crowd), ..Objects::default() };
        let mut run = Collection::new(settings(1, 1, objects), &logins());
        let wait = run.round();
        assert_eq!(run.cursor("login"), bound, "the windows are others");
        run.world.pass(wait);
        run.round();
        let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 3, "{ms}: {comparison}");
    }
}

#[test]
fn a_page_that_fails_leaves_the_cursor_and_delivers_nothing_twice() {
    for (stream, object) in
        [("login", StoredObject::LoginEvent), ("setupaudittrail", StoredObject::SetupAuditTrail)]
    {
        let objects = Objects { audit_rows_per_hour: 60, ..Objects::default() };
        let settings = OrgSettings { page_size: 20, ..settings(60, 0, objects) };
        let mut run = Collection::new(settings, &json!({stream: {"initial_interval": "1d", "object": {}}}));
        run.world.org.org().plan_fault(answer("/query/", Some(3), 500, BROKEN));
        let failed = run.poll();
        assert!(failed.failed && failed.events.is_empty(), "{failed:?}");
        let cursor = run.cursor(stream);
        run.world.pass(i64::from(failed.next_poll_ms));
        run.restart();
        run.round();
        let comparison = run.compare(stream, object, DAY);
        assert!(comparison.is_clean() && run.cursor(stream) > cursor, "{stream}: {comparison}");
        assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
    }
}

#[test]
fn a_window_that_fails_is_asked_for_again_and_those_before_it_are_not() {
    let objects = Objects { max_rows: 40, ..Objects::default() };
    let mut run = Collection::new(settings(60, 0, objects), &logins());
    run.world.org.org().plan_fault(answer("/query?q=", Some(20), 500, BROKEN));
    let failed = run.poll();
    assert!(!failed.events.is_empty() && failed.problems.len() == 1, "{failed:?}");
    let asked = run.windows();
    let cursor = run.cursor("login");
    assert_eq!(time(&asked.last().expect("windows").0), cursor);
    run.world.pass(i64::from(failed.next_poll_ms));
    run.round();
    assert_eq!(time(&run.windows()[asked.len()].0), cursor);
    let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
    assert!(comparison.is_clean(), "{comparison}");
}

#[test]
fn after_an_outage_of_days_one_round_catches_up_whatever_the_interval() {
    for interval in ["1m", "5m", "6h"] {
        let streams = json!({"login": {"initial_interval": "1d", "object": {"interval": interval}}});
        let mut run = Collection::new(settings(20, 72, Objects::default()), &streams);
        run.round();
        let asked = run.windows().len();
        run.restart();
        run.world.pass(70 * HOUR);
        run.round();
        let behind = run.world.org_ms() - run.cursor("login").timestamp_millis();
        assert!(behind < 4 * MINUTE, "{behind} ms behind");
        assert_eq!(run.windows().len() - asked, 1, "{:?}", run.windows());
        let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 1000, "{interval}: {comparison}");
    }
}

#[test]
fn windows_without_records_move_the_cursor_and_a_few_between_them_are_found() {
    let crowd =
        Crowd { at: beginning() + TimeDelta::minutes(95), rows: 1, objects: vec![StoredObject::LoginEvent] };
    let objects = Objects { crowd: Some(crowd), ..Objects::default() };
    let mut run = Collection::new(settings(0, 0, objects), &logins());
    run.round();
    let first = run.cursor("login");
    run.go_on_for(3 * HOUR);
    assert!(run.cursor("login") - first > TimeDelta::minutes(170), "{}", run.cursor("login"));
    let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
    assert!(comparison.is_clean() && comparison.wanted == 1, "{comparison}");
}

#[test]
fn records_that_share_a_second_are_resumed_behind_the_last_of_them() {
    let streams = json!({"setupaudittrail": {"initial_interval": "1d", "object": {}}});
    let mut run = Collection::in_batches_of(1, settings(1, 0, Objects::default()), &streams);
    while run.poll().next_poll_ms == 0 {
        run.restart();
    }
    let comparison = run.compare("setupaudittrail", StoredObject::SetupAuditTrail, DAY);
    assert!(comparison.is_clean() && comparison.wanted > 100, "{comparison}");
    let behind_an_id = |query: &String| query.contains(" AND Id > '");
    assert!(run.queries().iter().filter(|query| behind_an_id(query)).count() > 100, "{:?}", run.queries());
    // Neither where there is no record yet nor where all before the cursor are delivered.
    assert!(!run.queries().first().is_some_and(behind_an_id), "{:?}", run.queries().first());
    run.go_on_for(HOUR);
    assert!(!run.queries().last().is_some_and(behind_an_id), "{:?}", run.queries().last());
    assert_eq!(run.delivered.count(), comparison.wanted);
}

/// Login files each hour, and the audit trail every five minutes.
fn both_kinds() -> Value {
    json!({
        "login": {"initial_interval": "1d", "event_log_file": {"interval": "1h"}},
        "setupaudittrail": {"initial_interval": "1d", "object": {"interval": "5m"}},
    })
}

#[test]
fn files_and_objects_are_collected_at_once_and_then_each_at_its_interval() {
    let mut run = Collection::new(settings(10, 6, Objects::default()), &both_kinds());
    let wait = run.round();
    assert!((4 * MINUTE..=5 * MINUTE).contains(&wait), "{wait}");
    // What is minutes old comes before what is hours old.
    let first = &run.queries()[..2];
    assert!(first[0].contains("FROM SetupAuditTrail") && first[1].contains("FROM EventLogFile"), "{first:?}");
    let (files, objects) = (run.queries_of("EventLogFile"), run.queries_of("SetupAuditTrail"));
    run.go_on_for(50 * MINUTE);
    let asked = run.queries_of("SetupAuditTrail") - objects;
    assert!((9..=11).contains(&asked), "{asked} queries");
    assert_eq!(run.queries_of("EventLogFile"), files);
    run.go_on_for(20 * MINUTE);
    assert_eq!(run.queries_of("EventLogFile"), files + 1);
    assert!(run.problems.is_empty(), "{:?}", run.problems);
}

#[test]
fn a_source_that_fails_holds_up_no_other_and_is_asked_less_and_less_often() {
    for (broken, sound) in [("EventLogFile", "SetupAuditTrail"), ("SetupAuditTrail", "EventLogFile")] {
        let mut run = Collection::new(settings(10, 6, Objects::default()), &both_kinds());
        run.world.org.org().plan_fault(answer(broken, None, 500, BROKEN));
        run.go_on_for(HOUR);
        assert!(run.delivered.count() > 30, "{sound}: {} events", run.delivered.count());
        let attempts = run.queries_of(broken);
        assert!((6..=15).contains(&attempts), "{broken}: {attempts} queries in an hour");
        assert_eq!(run.problems.iter().filter(|problem| problem.contains("500")).count(), attempts);
        run.world.org.org().clear_faults();
        let before = run.delivered.count();
        run.go_on_for(HOUR);
        assert!(run.delivered.count() > before + 30 && run.queries_of(broken) > attempts, "{broken}");
    }
}

#[test]
fn a_query_that_the_org_refuses_is_a_problem_with_its_reason_and_not_with_the_query() {
    let streams = json!({"history": {"object": {"name": "LoginHistory", "fields": ["Nope"]}}});
    let mut run = Collection::new(settings(1, 0, Objects::default()), &streams);
    let failed = run.poll();
    let problem = failed.problems.first().expect("a problem");
    assert!(problem.contains("Nope") && problem.contains("LoginHistory"), "{problem}");
    assert!(!problem.contains("SELECT") && failed.next_poll_ms >= 45_000, "{problem}");
}

#[test]
fn only_an_answer_about_the_session_leads_to_a_new_sign_in() {
    for (status, body, sign_ins) in [
        (401, r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#, 2),
        (400, r#"[{"errorCode":"INVALID_AUTH_HEADER","message":"INVALID_HEADER_TYPE"}]"#, 2),
        (401, "", 2),
        (403, r#"[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]"#, 1),
        (500, BROKEN, 1),
        (400, r#"[{"errorCode":"INVALID_FIELD","message":"no 00Q401abc, status code 401"}]"#, 1),
    ] {
        let mut org = CannedOrg::with(vec![]);
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(status, body) });
        let result = configured("").poll(&mut org, &StillClock::at(NOW), None);
        assert_eq!(result.is_ok(), sign_ins == 2, "{status} {body}");
        let asked = org.requests.iter().filter(|path| path.contains("/token")).count();
        assert_eq!(asked, sign_ins, "{status} {body}");
    }
}

/// An org that notes which host is asked for what.
struct Hosts(CannedOrg, Vec<(String, String)>);

impl Http for Hosts {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        self.1.push((request.authority.clone(), request.path.clone()));
        self.0.send(request)
    }
}

#[test]
fn tokens_are_asked_for_at_the_org_or_at_the_token_url_in_either_form() {
    for (token_url, host) in [
        ("", "acme.my.salesforce.com"),
        ("https://test.salesforce.com", "test.salesforce.com"),
        ("https://test.salesforce.com/services/oauth2/token", "test.salesforce.com"),
    ] {
        let more = format!("\"auth\": {{\"token_url\": \"{token_url}\", ");
        let replaced = if token_url.is_empty() { "\"auth\": {" } else { &more };
        let mut collector = configured_with(&[("\"auth\": {", replaced)]);
        let mut hosts = Hosts(CannedOrg::with(vec![]), Vec::new());
        collector.poll(&mut hosts, &StillClock::at(NOW), None).expect("a batch");
        let asked: Vec<_> = hosts.1.iter().filter(|(_, path)| path.contains("/token")).collect();
        assert_eq!(asked, [&(host.to_owned(), String::from("/services/oauth2/token"))]);
    }
}

#[test]
fn files_of_one_instant_are_all_read_and_none_again_after_a_restart() {
    let row = |n: u32| format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"{n}\"\n").into_bytes();
    let mut org = CannedOrg::with(vec![CannedFile::new(1, row(1))]);
    let clock = StillClock::at(NOW);
    let first = configured("").poll(&mut org, &clock, None).expect("a batch");
    org.files.push(CannedFile::new(2, row(2)));
    clock.advance(HOUR);
    let second = configured("").poll(&mut org, &clock, Some(&first.state)).expect("a batch");
    assert_eq!((first.events.len(), second.events.len()), (1, 1));
    assert_ne!(first.events, second.events);
    let downloads = org.requests.iter().filter(|path| path.ends_with("/LogFile")).count();
    assert_eq!(downloads, 2, "{:?}", org.requests);
}

/// What is named in a table and is not there: a file, then names of tests in it, each between backticks; or a folder of a
/// case, which ends with a slash.
pub fn missing_tests(root: &Path, named: &str) -> Vec<String> {
    let (mut source, mut missing, mut count) = (None, Vec::new(), 0);
    for name in named.split('`').skip(1).step_by(2) {
        if name.ends_with(".rs") {
            source = Some(fs::read_to_string(root.join(name)).unwrap_or_default());
            continue;
        }
        count += 1;
        if name.ends_with('/') || name.ends_with(".json") {
            if !root.join(name).exists() {
                missing.push(format!("there is no case {name}"));
            }
            continue;
        }
        let test = format!("fn {name}()");
        let text = source.as_deref().unwrap_or_default();
        let before = text.split_once(&test).map(|(before, _)| before);
        let marked = before.and_then(|before| before.rsplit_once("test")).map(|(_, between)| between);
        if !marked.is_some_and(|between| between.len() < 200 && !between.contains("fn ")) {
            missing.push(format!("there is no test {name}"));
        }
    }
    if count == 0 {
        missing.push(String::from("no test is named"));
    }
    missing
}

#[test]
fn each_behaviour_has_a_verdict_and_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("docs/behaviours.md")).expect("docs/behaviours.md");
    let (mut numbers, mut wrong) = (BTreeSet::new(), Vec::new());
    for line in table.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, verdict, tests] = cells[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        if !numbers.insert(number) {
            wrong.push(format!("{number} comes twice"));
        }
        let reason = verdict.strip_prefix("better: ").or(verdict.strip_prefix("not applicable: "));
        if verdict != "same" && reason.is_none_or(str::is_empty) {
            wrong.push(format!("{number}: '{verdict}' is no verdict"));
        }
        wrong.extend(missing_tests(&root, tests).into_iter().map(|name| format!("{number}: {name}")));
    }
    wrong.extend((1..=70).filter(|number| !numbers.contains(number)).map(|number| format!("no {number}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
