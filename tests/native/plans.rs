//! What `check` says of a range of time before it is collected.

use crate::collection::{BROKEN, Collection, HOUR, answer, settings};
use collector::check::{Backlog, Finding, Verdict};
use e2e::simulation::engine::Engine as _;
use salesforce_sim::{Files, Objects, OrgSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Files of several types, of 36 hours.
fn org() -> OrgSettings {
    let files =
        Files { event_types: ["Login", "Logout", "RestApi"].map(String::from).to_vec(), ..Files::default() };
    OrgSettings { files, ..settings(40, 24, Objects::default()) }
}

/// A collection of some streams in a range of time, days later.
fn collection(org: OrgSettings, streams: &Value) -> Collection {
    let mut run = Collection::new(org, streams);
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    config["receipts"] = json!(true);
    run.config = config.to_string();
    run.restart();
    run.world.pass(3 * 24 * HOUR);
    run
}

fn finding(findings: &[Finding], name: &str) -> Finding {
    let found = findings.iter().find(|finding| finding.name == name);
    found.unwrap_or_else(|| panic!("no finding {name} in {findings:?}")).clone()
}

/// How many files, and bytes of them, by type and day.
type Days = BTreeMap<(String, String), (u64, u64)>;

fn by_kind_and_day(finding: &Finding) -> Days {
    let day = |day: &Backlog| {
        let counts = (u64::from(day.items.expect("a count")), day.bytes.expect("bytes"));
        ((day.kind.clone(), day.day.clone().expect("a day")), counts)
    };
    finding.backlog.iter().map(day).collect()
}

/// What the receipts of a collection say: files and bytes of each type and day, and records.
fn collected(run: &mut Collection) -> (Days, u64) {
    let (mut files, mut records) = (Days::new(), 0);
    loop {
        let polled = run.native.poll(run.state.as_deref()).expect("a poll");
        run.state = polled.state.or(run.state.take());
        for event in &polled.events {
            let event: Value = serde_json::from_str(event).expect("JSON");
            let receipt = &event["salesforce"]["receipt"];
            records += receipt["records"].as_u64().unwrap_or(0);
            let Some(kind) = receipt["event_type"].as_str() else { continue };
            let day = event["event"]["start"].as_str().expect("a start").chars().take(10).collect();
            let sums = files.entry((kind.to_owned(), day)).or_default();
            *sums = (sums.0 + 1, sums.1 + receipt["length"].as_u64().expect("a length"));
        }
        if polled.next_poll_ms > 0 {
            return (files, records);
        }
    }
}

const FROM: &str = "2026-03-04T08:20:00.000Z";
const UNTIL: &str = "2026-03-05T13:20:00.000Z";

#[test]
fn a_plan_names_the_files_that_are_collected_then_and_counts_the_records() {
    for cadence in ["hourly", "daily"] {
        let streams = json!({
            "rest": {"event_log_file": {"event_types": "*", "log_file_interval": cadence}, "from": FROM, "until": UNTIL},
            "setupaudittrail": {"object": {}, "from": FROM, "until": UNTIL},
            "login": {"object": {}, "from": FROM, "until": UNTIL},
            "logout": {"object": {}},
        });
        let mut run = collection(org(), &streams);
        let findings = run.native.check();
        let files = finding(&findings, "streams.rest.event_log_file.backlog");
        let planned = by_kind_and_day(&files);
        let audit = finding(&findings, "streams.setupaudittrail.object.backlog");
        let (read, _) = collected(&mut run);
        assert_eq!(planned, read, "{cadence}");
        // Of daily files, today's does not exist yet.
        assert!(planned.len() >= 3, "{cadence}: {planned:?}");
        let count: u64 = planned.values().map(|(files, _)| files).sum();
        assert!(
            files.message.starts_with(&format!("{count} {cadence} files of 3 types from {FROM}")),
            "{}",
            files.message
        );
        assert!(files.message.ends_with("requests and 1 minute"), "{}", files.message);
        let truth = run.world.org.org().object_truth(
            salesforce_sim::StoredObject::SetupAuditTrail,
            FROM.parse().expect("a time")..UNTIL.parse().expect("a time"),
        );
        assert_eq!(audit.backlog[0].items.map(|items| items as usize), Some(truth.count()));
        // A big object is not counted, and a stream without a range is not planned.
        let login = finding(&findings, "streams.login.object.backlog");
        assert_eq!((login.backlog[0].items, login.verdict), (None, Verdict::Pass));
        assert!(
            !findings
                .iter()
                .any(|finding| finding.name.starts_with("streams.logout") && !finding.backlog.is_empty())
        );
    }
}

#[test]
fn a_plan_counts_the_files_on_all_pages_of_the_list() {
    let streams = json!({"login": {"event_log_file": {}, "from": FROM, "until": UNTIL}});
    let whole = collection(org(), &streams).native.check();
    let paged = collection(OrgSettings { page_size: 5, ..org() }, &streams).native.check();
    let name = "streams.login.event_log_file.backlog";
    assert_eq!(finding(&whole, name).backlog, finding(&paged, name).backlog);
    assert!(by_kind_and_day(&finding(&paged, name)).values().map(|(files, _)| files).sum::<u64>() > 10);
}

#[test]
fn a_plan_says_what_the_org_does_not_have_any_more() {
    let name = "streams.login.event_log_file.backlog";
    for (from, until, said) in [
        ("2026-01-01", "2026-02-01", "the org lists no hourly file from 2026-01-01T00:00:00"),
        ("2026-03-01", UNTIL, "; the oldest is of 2026-03-04T06:00:00"),
    ] {
        let streams = json!({"login": {"event_log_file": {}, "from": from, "until": until}});
        let finding = finding(&collection(org(), &streams).native.check(), name);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.message.contains(said), "{}", finding.message);
        assert!(finding.hint.is_some());
    }
}

#[test]
fn an_org_that_knows_no_interval_is_asked_for_its_daily_files() {
    let name = "streams.login.event_log_file.backlog";
    let streams = |cadence: &str| json!({"login": {"event_log_file": {"log_file_interval": cadence}, "from": FROM, "until": UNTIL}});
    let without = || OrgSettings { hourly_files: false, ..org() };
    let daily = finding(&collection(without(), &streams("daily")).native.check(), name);
    assert!(!daily.backlog.is_empty() && daily.verdict == Verdict::Pass, "{daily:?}");
    let hourly = finding(&collection(without(), &streams("hourly")).native.check(), name);
    assert_eq!(hourly.verdict, Verdict::Fail, "{hourly:?}");
}

#[test]
fn where_nobody_can_sign_in_nothing_is_planned_and_a_list_that_fails_is_said() {
    let streams = json!({"login": {"event_log_file": {}, "from": FROM, "until": UNTIL}});
    let mut run = collection(org(), &streams);
    run.world.org.org().plan_fault(answer("ORDER+BY+CreatedDate+ASC", None, 500, BROKEN));
    let findings = run.native.check();
    assert_eq!(finding(&findings, "streams.login.event_log_file.backlog").verdict, Verdict::Fail);
    let mut run = collection(org(), &streams);
    run.world.org.org().plan_fault(answer("oauth2/token", None, 400, r#"{"error":"invalid_grant"}"#));
    let findings = run.native.check();
    assert!(
        findings.iter().all(|finding| finding.backlog.is_empty() && !finding.name.ends_with("backlog")),
        "{findings:?}"
    );
}
