//! Receipts add up to what was delivered, whatever happens in between.

use crate::collection::{BROKEN, Collection, HOUR, answer, settings};
use salesforce_sim::{FaultAction, Objects, PlannedFault};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What was delivered: the events of each file and of each object, and the receipts.
#[derive(Default)]
struct Told {
    events: BTreeMap<String, u64>,
    receipts: Vec<Value>,
}

impl Told {
    fn add(&mut self, event: &str) {
        let event: Value = serde_json::from_str(event).expect("an event");
        let salesforce = &event["salesforce"];
        let source = salesforce["event_log_file"]["id"].as_str().or(salesforce["object_name"].as_str());
        let source = source.expect("where it comes from").to_owned();
        if event["data_stream"]["dataset"] == "salesforce.collector" {
            self.receipts.push(event);
        } else {
            *self.events.entry(source).or_default() += 1;
        }
    }

    /// What the receipts say of each file or object: how many, and how many events.
    fn summed(&self, field: &str) -> BTreeMap<String, (u64, u64)> {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for receipt in &self.receipts {
            let salesforce = &receipt["salesforce"];
            let Some(count) = salesforce["receipt"][field].as_u64() else { continue };
            let source = salesforce["event_log_file"]["id"].as_str().or(salesforce["object_name"].as_str());
            let sum = sums.entry(source.expect("where it comes from").to_owned()).or_default();
            *sum = (sum.0 + 1, sum.1 + count);
        }
        sums
    }
}

fn with_receipts(run: &mut Collection) {
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    config["receipts"] = json!(true);
    run.config = config.to_string();
    run.restart();
}

/// Polls for hours; with a new instance for each poll, as a host that keeps none.
fn collect(run: &mut Collection, hours: i64, told: &mut Told) {
    let end = run.world.org_ms() + hours * HOUR;
    while run.world.org_ms() < end {
        run.restart();
        let polled = run.poll();
        polled.events.iter().for_each(|event| told.add(event));
        run.world.pass(i64::from(polled.next_poll_ms).min(end - run.world.org_ms()).max(1));
    }
}

#[test]
fn each_file_has_one_receipt_and_they_add_up_to_the_events_that_were_delivered() {
    let streams = json!({
        "login": {"event_log_file": {}, "initial_interval": "1d"},
        "logout": {"object": {}, "initial_interval": "1d"},
        "setupaudittrail": {"object": {}, "initial_interval": "1d"},
    });
    let mut run = Collection::in_batches_of(70, settings(200, 8, Objects::default()), &streams);
    with_receipts(&mut run);
    // A download that breaks off, a query that fails, and a file that ends early.
    let cut = PlannedFault {
        method: None,
        path_contains: String::from("/LogFile"),
        nth: Some(2),
        action: FaultAction::CutConnection { after: 9000 },
    };
    run.world.org.org().plan_fault(cut);
    run.world.org.org().plan_fault(answer("FROM+LogoutEvent", Some(3), 500, BROKEN));
    let mut told = Told::default();
    collect(&mut run, 8, &mut told);

    let files = told.summed("rows");
    assert!(files.len() > 10, "{files:?}");
    for (file, (receipts, rows)) in &files {
        assert_eq!((*receipts, Some(rows)), (1, told.events.get(file)), "{file}");
    }
    for object in ["LogoutEvent", "SetupAuditTrail"] {
        let (windows, records) = told.summed("records")[object];
        assert!(windows > 5, "{object}: {windows} windows");
        assert_eq!(Some(&records), told.events.get(object), "{object}");
    }
    // One window begins where the one before it ended, or behind it by the overlap.
    for (object, overlaps) in [("LogoutEvent", false), ("SetupAuditTrail", true)] {
        let of = |receipt: &&Value| receipt["salesforce"]["object_name"] == object;
        let windows: Vec<&Value> = told.receipts.iter().filter(of).map(|receipt| &receipt["event"]).collect();
        for pair in windows.windows(2) {
            let (end, start) = (pair[0]["end"].as_str(), pair[1]["start"].as_str());
            assert!(start == end || (overlaps && start < end), "{object}: {pair:?}");
        }
    }
    assert!(told.receipts.iter().all(|receipt| receipt["event"]["outcome"] == "success"));
    let tries = told.receipts.iter().filter_map(|r| r["salesforce"]["receipt"]["tries"].as_u64());
    assert!(tries.max() > Some(1), "the download that broke off is told");
}

#[test]
fn a_receipt_that_comes_again_has_the_same_id() {
    let range = ("2026-03-04T12:00:00Z", "2026-03-04T18:00:00Z");
    let streams = json!({
        "login": {"event_log_file": {}, "from": range.0, "until": range.1},
        "logout": {"object": {}, "from": range.0, "until": range.1},
    });
    let mut run = Collection::new(settings(20, 4, Objects::default()), &streams);
    with_receipts(&mut run);
    let mut ids = Vec::new();
    for _ in 0..2 {
        run.state = None;
        run.restart();
        let mut told = Told::default();
        run.poll().events.iter().for_each(|event| told.add(event));
        ids.push(told.receipts.iter().map(|receipt| receipt["event"]["id"].to_string()).collect::<Vec<_>>());
    }
    assert!(ids[0].len() >= 3 && ids[0] == ids[1], "{ids:?}");
}
