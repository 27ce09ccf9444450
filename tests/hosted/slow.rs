//! Slow networks: a download may take any time as long as it flows, and each wait ends when the configuration says.

use e2e::{hosted::plugin, org::TestOrg, truth::Delivered};
use salesforce_sim::{FaultAction, Interval, OrgSettings, PlannedFault, Rows, Workload};
use serde_json::json;
use source_host::{Clock, Egress, Error, Options, ProblemKind, Source};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

async fn org(rows: u64) -> TestOrg {
    let workload = Workload { hours: 1, rows: Rows::Total(rows), ..Workload::default() };
    TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org")
}

/// The system's clocks, the one on the wall ahead by so many milliseconds.
struct Ahead(Arc<AtomicU64>, Instant);

impl Clock for Ahead {
    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        self.1.elapsed()
    }
}

/// A source that sees the system's clock, ahead by `ahead` milliseconds.
async fn open(org: &TestOrg, ahead: &Arc<AtomicU64>) -> Source {
    let egress = Egress::allow([org.authority()]).expect("a rule");
    let plugin = plugin().expect("the component");
    let options = Options::new().egress(egress).clock(Ahead(Arc::clone(ahead), Instant::now()));
    let mut source = plugin.open(options).await.expect("an instance");
    let mut config = org.source().expect("a configuration");
    config["timeouts"] = json!({"connect": "1s", "first_byte": "1s", "between_bytes": "1s"});
    config["batch"] = json!({"max_time": "500ms"});
    source.configure(&config.to_string()).await.expect("a valid configuration");
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_flows_takes_longer_than_any_timeout_and_is_whole() {
    let org = org(60).await;
    let drip = FaultAction::Drip { bytes: NonZeroUsize::new(48).expect("some"), millis: 20 };
    org.simulator.org().plan_fault(PlannedFault::every("", drip));
    let mut source = open(&org, &Arc::default()).await;
    let (mut delivered, mut state, started) = (Delivered::default(), None::<String>, Instant::now());
    loop {
        let batch = source.poll(state.as_deref()).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    let took = started.elapsed();
    assert!(took > Duration::from_secs(3), "too fast to prove anything: {took:?}");
    assert!(delivered.compare(org.simulator.org(), Interval::Hourly).is_clean());
    assert_eq!(org.simulator.org().requests().count("/LogFile"), 1, "it was one download");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_begin_is_given_up_when_the_configuration_says() {
    let org = org(5).await;
    org.simulator.org().plan_fault(PlannedFault::every("/query", FaultAction::Delay { millis: 30_000 }));
    let mut source = open(&org, &Arc::default()).await;
    let started = Instant::now();
    let Err(Error::Failure(failure)) = source.poll(None).await else { panic!("no failure") };
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(failure.problem.kind, ProblemKind::Transient);
    assert!(failure.problem.message.contains("nothing came for too long"), "{}", failure.problem);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_stops_flowing_is_given_up_and_goes_on_later() {
    let org = org(500).await;
    let action = FaultAction::Stall { after: 200_000 };
    org.simulator.org().plan_fault(PlannedFault {
        method: None,
        path_contains: "/LogFile".into(),
        nth: Some(1),
        action,
    });
    let ahead = Arc::default();
    let mut source = open(&org, &ahead).await;
    let started = Instant::now();
    let (mut delivered, mut state, mut problems) = (Delivered::default(), None::<String>, Vec::new());
    loop {
        let batch = source.poll(state.as_deref()).await.expect("a batch");
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        problems.extend(batch.problems);
        state = Some(batch.state);
        if batch.next_poll_ms > 0 && batch.stats.backlog_files == 0 {
            break;
        }
        // The wait is over once its clock says so.
        ahead.fetch_add(batch.next_poll_ms.into(), Ordering::SeqCst);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].message.contains("broke off") && problems[0].message.contains("timeout"),
        "{}",
        problems[0]
    );
    assert!(delivered.compare(org.simulator.org(), Interval::Hourly).is_clean());
}
