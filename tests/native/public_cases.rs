//! What others met when they collected Salesforce logs, as inputs, with the right outcome. `docs/public-cases.md` lists them all,
//! with the test of each: most stand where their subject does, and the rest is here.

use crate::{
    cases::NOW,
    collection::{Collection, HOUR, MINUTE, answer, settings},
};
use chrono::TimeDelta;
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use salesforce_sim::{
    Crowd, Doubles, FaultAction, Objects, Oddities, OrgSettings, PlannedFault, StoredObject,
};
use serde_json::{Value, json};
use std::path::Path;

const DAY: TimeDelta = TimeDelta::days(1);

#[test]
fn a_download_cut_at_two_thirds_of_a_length_in_scientific_form_is_noticed_and_all_rows_come() {
    for doubles in [Doubles::Plain, Doubles::Java, Doubles::Scientific] {
        let streams = json!({"login": {"initial_interval": "1d", "event_log_file": {"interval": "1h"}}});
        let oddities = Oddities { doubles, ..Oddities::default() };
        let mut run =
            Collection::new(OrgSettings { oddities, ..settings(60, 0, Objects::default()) }, &streams);
        run.world
            .org
            .org()
            .plan_fault(PlannedFault::every("/LogFile", FaultAction::CutSilently { after: 26_000 }).times(4));
        run.go_on_for(8 * HOUR);
        let truth = run.world.org.org().truth(salesforce_sim::Interval::Hourly).count();
        assert!(
            truth > 400 && run.delivered.count() as usize == truth,
            "{} of {truth}",
            run.delivered.count()
        );
        assert!(run.problems.iter().any(|problem| problem.contains("ended after")), "{:?}", run.problems);
    }
}

#[test]
fn a_field_that_an_object_does_not_have_is_named_and_the_other_streams_go_on() {
    let refusal = r#"[{"errorCode":"INVALID_FIELD","message":"\nSELECT EventIdentifier, PlannerId FROM ApiEvent\n^\nERROR at Row:1:Column:25\nNo such column 'PlannerId' on entity 'ApiEvent'."}]"#;
    let collect = |fields: &Value| {
        let mut object = json!({"name": "ApiEvent", "interval": "5m"});
        if !fields.is_null() {
            object["fields"] = fields.clone();
        }
        let streams = json!({
            "api": {"initial_interval": "1d", "object": object},
            "login": {"initial_interval": "1d", "object": {"interval": "5m"}},
        });
        let objects = Objects { api_rows_per_hour: 10, ..Objects::default() };
        let mut run = Collection::new(settings(10, 2, objects), &streams);
        run.world.org.org().plan_fault(answer("PlannerId", None, 400, refusal));
        run.go_on_for(2 * HOUR);
        run
    };
    let run = collect(&Value::Null);
    assert!(
        run.compare("api", StoredObject::ApiEvent, DAY).missing == 0 && run.problems.is_empty(),
        "{:?}",
        run.problems
    );
    let run = collect(&json!(["UserId", "PlannerId"]));
    assert!(
        run.problems.iter().all(|problem| problem.contains("'PlannerId' on entity 'ApiEvent'")),
        "{:?}",
        run.problems
    );
    let behind = run.world.org_ms() - run.cursor("login").timestamp_millis();
    assert!(!run.problems.is_empty() && behind < 15 * MINUTE, "{behind}");
}

#[test]
fn sixty_logins_twenty_a_second_come_once_in_batches_of_seven() {
    let crowds = [0, 1, 2].map(|second| Crowd {
        at: crate::collection::beginning() - TimeDelta::hours(2) + TimeDelta::seconds(second),
        rows: 20,
        objects: vec![StoredObject::LoginHistory],
    });
    for crowd in crowds {
        let streams = json!({"history": {"initial_interval": "1d", "object": {"name": "LoginHistory"}}});
        let objects = Objects { crowd: Some(crowd), ..Objects::default() };
        let mut run = Collection::in_batches_of(7, settings(3, 0, objects), &streams);
        while run.poll().next_poll_ms == 0 {
            run.restart();
        }
        let comparison = run.compare("history", StoredObject::LoginHistory, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 40, "{comparison}");
    }
}

#[test]
fn a_locator_that_is_lost_at_the_eighth_page_and_again_later_loses_and_repeats_nothing() {
    let lost = r#"[{"errorCode":"INVALID_QUERY_LOCATOR","message":"invalid query locator"}]"#;
    for (stream, object) in
        [("login", StoredObject::LoginEvent), ("setupaudittrail", StoredObject::SetupAuditTrail)]
    {
        let objects = Objects { audit_rows_per_hour: 20, ..Objects::default() };
        let settings = OrgSettings { page_size: 20, ..settings(20, 0, objects) };
        let streams = json!({stream: {"initial_interval": "1d", "object": {"interval": "5m"}}});
        let mut run = Collection::new(settings, &streams);
        run.world.org.org().plan_fault(answer("/query/", Some(7), 400, lost));
        run.world.org.org().plan_fault(answer("/query/", Some(20), 400, lost));
        run.go_on_for(HOUR);
        let comparison = run.compare(stream, object, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 200, "{stream}: {comparison}");
    }
}

#[test]
fn a_maintenance_page_is_waited_out_for_token_query_and_file_and_nothing_of_it_is_quoted() {
    let page = "<!DOCTYPE html><html><body><h1>We are down for maintenance</h1></body></html>";
    for path in ["/token", "/query", "/LogFile"] {
        let row = "\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"1\"\n".as_bytes().to_vec();
        let mut org = CannedOrg::with(vec![CannedFile::new(1, row)]);
        for _ in 0..3 {
            org.mishaps.push(Mishap { path, what: What::Answer(503, page) });
        }
        let (clock, mut state, mut events, mut said) = (StillClock::at(NOW), None::<String>, 0, Vec::new());
        while events == 0 {
            let wait = match crate::cases::configured("").poll(&mut org, &clock, state.as_deref()) {
                Ok(batch) => {
                    events += batch.events.len();
                    said.extend(batch.problems);
                    state = Some(batch.state);
                    batch.next_poll_ms
                }
                Err(failure) => {
                    state = failure.state.or(state);
                    let wait = failure.problem.retry_after_ms.expect("a wait");
                    said.push(failure.problem);
                    wait
                }
            };
            if events == 0 {
                clock.advance(i64::from(wait));
            }
            assert!(collector::io::Clock::now_ms(&clock) - NOW < HOUR, "{path}: {said:?}");
        }
        assert!(!said.is_empty(), "{path}");
        for problem in said {
            assert_eq!(problem.kind, collector::problem::Kind::Transient, "{path}: {problem}");
            assert!(
                !problem.to_string().contains('<') && !problem.to_string().contains("maintenance"),
                "{problem}"
            );
        }
    }
}

#[test]
fn each_public_case_names_a_test_or_a_case_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = std::fs::read_to_string(root.join("docs/public-cases.md")).expect("docs/public-cases.md");
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in table.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [source, input, outcome, tests] = cells[..] else { continue };
        if source == "source" || source.starts_with("---") {
            continue;
        }
        rows += 1;
        if input.is_empty() || outcome.is_empty() {
            wrong.push(format!("{source} lacks an input or an outcome"));
        }
        wrong.extend(
            crate::behaviours::missing_tests(&root, tests)
                .into_iter()
                .map(|name| format!("{source}: {name}")),
        );
    }
    assert!(rows >= 28, "{rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
