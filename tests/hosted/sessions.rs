//! A source that is dropped while it waits, and goes on later with what it was signed in with: each sign-in that this saves is
//! one event less in the log of the org.

use e2e::{hosted::plugin, org::TestOrg, truth::Delivered};
use salesforce_sim::{Fault, FaultAction, Interval, OrgSettings, Rows, Workload};
use source_host::{Egress, MemoryBudget, Options, Plugin, Source};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Compiled once for all tests.
static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| plugin().expect("the component"));

async fn org() -> TestOrg {
    let workload = Workload { hours: 3, rows: Rows::Total(2_000), ..Workload::default() };
    TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org")
}

fn config(org: &TestOrg) -> String {
    let mut config = org.source().expect("a configuration");
    config["batch"] = serde_json::json!({"max_events": 150});
    config.to_string()
}

async fn open(org: &TestOrg, budget: &MemoryBudget) -> Source {
    let egress = Egress::allow([org.authority()]).expect("a rule");
    let options = Options::new().egress(egress).memory_budget(budget.clone());
    let mut source = PLUGIN.open(options).await.expect("an instance");
    source.configure(&config(org)).await.expect("configured");
    source
}

/// What a source delivered until nothing was left.
struct Run {
    events: Vec<String>,
    polls: u32,
    token_requests: u32,
    /// How long it took to drop instances and to make new ones, all together.
    spent: Duration,
}

/// Polls until nothing is left; `drops` says whether the instance is dropped between polls.
async fn collect(org: &TestOrg, drops: bool) -> Run {
    let budget = MemoryBudget::new(1 << 30);
    let mut source = open(org, &budget).await;
    let mut run = Run { events: Vec::new(), polls: 0, token_requests: 0, spent: Duration::ZERO };
    let mut state: Option<String> = None;
    loop {
        let mut batch = source.poll(state.as_deref()).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        run.polls += 1;
        run.token_requests += batch.stats.token_requests;
        run.events.append(&mut batch.events);
        state = Some(batch.state.clone());
        if batch.next_poll_ms > 0 {
            return run;
        }
        drop(batch);
        if drops {
            let started = Instant::now();
            let session = source.suspend().await.expect("suspended");
            assert_eq!(budget.held(), 0, "what is suspended holds memory");
            source.revive(&config(org), session).await.expect("revived");
            run.spent += started.elapsed();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_suspended_after_each_poll_delivers_the_same_with_one_sign_in() {
    let org = org().await;
    let stays = collect(&org, false).await;
    let requests = org.simulator.org().requests();
    let before = requests.count("/oauth2/token");
    let dropped = collect(&org, true).await;
    println!(
        "{} polls; {:?} to suspend and revive",
        dropped.polls,
        dropped.spent / dropped.polls.saturating_sub(1).max(1)
    );
    assert!(dropped.polls > 10);
    assert_eq!(dropped.events, stays.events);
    assert_eq!((stays.token_requests, dropped.token_requests), (1, 1));
    assert_eq!(requests.count("/oauth2/token"), before + 1);
    // The time is known as well: the host's clock goes on from one instance to the next.
    assert_eq!(requests.records().iter().filter(|record| record.path == "/services/data").count(), 0);
    let mut delivered = Delivered::default();
    for event in &dropped.events {
        delivered.add(event).expect("an event");
    }
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_revoked_meanwhile_costs_one_sign_in_and_no_event() {
    let org = org().await;
    let expected = collect(&org, false).await.events;
    let action = FaultAction::RevokeSessions;
    org.simulator.org().plan_fault(Fault { path_contains: String::from("/LogFile"), nth: 2, action });
    let dropped = collect(&org, true).await;
    assert_eq!(dropped.events, expected);
    assert_eq!(dropped.token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_source_is_ignored() {
    let (own, other) = (org().await, org().await);
    let budget = MemoryBudget::new(1 << 30);
    let (mut source, mut foreign) = (open(&own, &budget).await, open(&other, &budget).await);
    foreign.poll(None).await.expect("a batch");
    let session = foreign.suspend().await.expect("suspended");
    assert!(session.is_some());
    source.revive(&config(&own), session).await.expect("revived");
    let batch = source.poll(None).await.expect("a batch");
    assert_eq!((batch.stats.token_requests, batch.events.len()), (1, 150));
    assert!(batch.problems.is_empty(), "{:?}", batch.problems);
}
