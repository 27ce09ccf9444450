//! What the README shows is what there is.

use http::Method;
use salesforce_sim::{
    FaultAction, FaultRule, Oddities, PlannedFault, Rows, Simulator, StoredObject, event_types,
};

use crate::client::{call, settings};

const README: &str = include_str!("../../README.md");

#[test]
fn the_plan_in_the_readme_has_every_kind_of_fault() {
    let (_, rest) = README.split_once("```json\n").unwrap();
    let plan = PlannedFault::plan(rest.split_once("```").unwrap().0).unwrap();
    let kind = |rule: &FaultRule| match rule.fault.action {
        FaultAction::Answer { .. } => "answer",
        FaultAction::Close => "close",
        FaultAction::BehindGzip { .. } => "behind-gzip",
        FaultAction::Append { .. } => "append",
        FaultAction::Total { .. } => "total",
        FaultAction::FewerRecords { .. } => "fewer-records",
        FaultAction::Costly { .. } => "costly",
        FaultAction::DamageRecord { .. } => "damage-record",
        FaultAction::DateHeader { .. } => "date-header",
        FaultAction::ForgetLocators => "forget-locators",
        FaultAction::Delay { .. } => "delay",
        FaultAction::CutSilently { .. } => "cut-silently",
        FaultAction::CutConnection { .. } => "cut-connection",
        FaultAction::Stall { .. } => "stall",
        FaultAction::Drip { .. } => "drip",
        FaultAction::CorruptGzip { .. } => "corrupt-gzip",
        FaultAction::WrongLength { .. } => "wrong-length",
        FaultAction::RevokeSessions => "revoke-sessions",
        FaultAction::ExhaustQuota => "exhaust-quota",
    };
    let kinds: std::collections::BTreeSet<&str> = plan.iter().map(kind).collect();
    assert_eq!(kinds.len(), 19, "{kinds:?}");
    for kind in kinds {
        assert!(README.contains(&format!("| `{kind}` | ")), "{kind} is explained");
    }
}

#[test]
fn the_oddities_in_the_readme_are_read_and_each_is_explained() {
    let shown = README.split("```json\n").nth(2).unwrap().split_once("```").unwrap().0;
    let oddities: Oddities = serde_json::from_str(shown).unwrap();
    assert!(oddities.damaged.len() > 1 && oddities.late.len() == 1 && !oddities.finer_dates.is_empty());
    assert!(
        oddities.file_end.is_some() && oddities.empty_files.is_some() && oddities.locator_refusal.is_some()
    );
    let names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(shown).unwrap();
    assert_eq!(names.len(), 7);
    for name in names.keys() {
        assert!(README.contains(&format!("| `{name}` | ")), "{name} is explained");
    }
}

#[tokio::test]
async fn every_request_of_the_readme_to_the_control_port_is_served() {
    let simulator = Simulator::start(settings(3, Rows::PerHour(4))).await.unwrap();
    let mut asked = 0;
    for line in README.lines().filter(|line| line.contains("\"$CONTROL")) {
        let (before, rest) = line.split_once("\"$CONTROL").unwrap();
        let (path, rest) = rest.split_once('"').unwrap();
        let method = match before.trim() {
            "curl" => Method::GET,
            "curl -X POST" => Method::POST,
            "curl -X DELETE" => Method::DELETE,
            other => panic!("{other}"),
        };
        let body = rest.trim().strip_prefix("-d '").and_then(|body| body.strip_suffix('\'')).unwrap_or("");
        let answer = call(simulator.control_url(), method, path, &[], body).await;
        assert_eq!(answer.status.as_u16(), 200, "{line}");
        asked += 1;
    }
    assert_eq!(asked, 9);
}

#[test]
fn the_readme_names_every_object_and_counts_the_event_types() {
    for object in StoredObject::ALL {
        assert!(README.contains(&format!("`{}`", object.name())), "{object:?}");
    }
    assert!(README.contains(&format!("{} event types", event_types().len())), "{}", event_types().len());
}
