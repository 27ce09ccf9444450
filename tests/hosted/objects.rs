//! Objects through the component: views of one thing, records on one instant, windows that take too long.

use chrono::{DateTime, TimeDelta, Utc};
use e2e::{org::TestOrg, truth::Delivered};
use salesforce_sim::{Crowd, Objects, OrgSettings, Rows, StoredObject, Workload};
use serde_json::{Value, json};
use source_host::{Batch, Limits, Source};

fn settings(hours: u32, rows: u64, objects: Objects) -> OrgSettings {
    let workload = Workload { hours, rows: Rows::Total(rows), ..Workload::default() };
    OrgSettings { workload, objects, ..OrgSettings::default() }
}

async fn open(org: &TestOrg, streams: Value) -> Source {
    let mut limits = Limits::default();
    limits.memory = 32 << 20;
    org.open(limits, json!({"streams": streams})).await.expect("an instance with a valid configuration")
}

/// Polls until nothing is ready. Returns what was delivered, and the last batch.
async fn collect(source: &mut Source) -> (Delivered, Batch) {
    let (mut delivered, mut state) = (Delivered::default(), None::<String>);
    loop {
        let batch = source.poll(state.as_deref()).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        if batch.next_poll_ms > 0 {
            return (delivered, batch);
        }
        state = Some(batch.state);
    }
}

fn always() -> std::ops::Range<DateTime<Utc>> {
    DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_on_one_instant_are_collected_by_queries_that_do_not_grow() {
    let objects = [StoredObject::LoginEvent, StoredObject::SetupAuditTrail, StoredObject::LoginHistory];
    let crowd = Crowd { at: Utc::now() - TimeDelta::hours(7), rows: 10_000, objects: objects.into() };
    let org = TestOrg::start(settings(4, 400, Objects { crowd: Some(crowd), ..Objects::default() }))
        .await
        .expect("an org");
    let streams = json!({
        "login": {"object": {}}, "setupaudittrail": {"object": {}}, "history": {"object": {"name": "LoginHistory"}}
    });
    let mut source = open(&org, streams).await;
    let (delivered, _) = collect(&mut source).await;
    let truth = objects.iter().flat_map(|object| org.simulator.org().object_truth(*object, always()));
    let comparison = delivered.compare_with(truth);
    println!("{comparison}, peak memory {}", source_host::bytes(source.peak_memory()));
    assert!(comparison.is_clean() && comparison.wanted > 30_000, "{comparison}");
    let longest = org.simulator.org().requests().records().iter().map(|request| request.path.len()).max();
    assert!(longest < Some(400), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_takes_the_org_too_long_is_split_until_it_does_not() {
    let org = TestOrg::start(settings(24, 3000, Objects { max_rows: 40, ..Objects::default() }))
        .await
        .expect("an org");
    let mut source = open(&org, json!({"login": {"object": {}}})).await;
    let (delivered, _) = collect(&mut source).await;
    let comparison =
        delivered.compare_with(org.simulator.org().object_truth(StoredObject::LoginEvent, always()));
    assert!(comparison.is_clean(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_seen_twice_says_which_view_it_is_and_configuring_both_warns() {
    let org = TestOrg::start(settings(2, 60, Objects::default())).await.expect("an org");
    let streams = json!({"login": {"event_log_file": {}, "object": {}}});
    let mut source = open(&org, streams.clone()).await;
    let mut config = org.source().expect("a configuration");
    config["streams"] = streams;
    let grants = source.configure(&config.to_string()).await.expect("a valid configuration");
    assert!(grants.warnings.iter().any(|warning| warning.message.contains("counts twice")), "{grants:?}");
    let batch = source.poll(None).await.expect("a batch");
    let provider = |event: &String| {
        let event: Value = serde_json::from_str(event).expect("JSON");
        event["event"]["provider"].as_str().expect("a provider").to_owned()
    };
    let views: Vec<String> = batch.events.iter().map(provider).collect();
    let count = |view: &str| views.iter().filter(|other| *other == view).count();
    assert_eq!((count("EventLogFile"), count("Object"), views.len()), (60, 60, 120));
}
