//! Slow networks: a download may take any time as long as it flows, and each wait ends when the configuration says.

use e2e::{hosted::plugin, org::TestOrg, truth::Delivered};
use salesforce_sim::{FaultAction, Interval, OrgSettings, PlannedFault, Rows, Workload};
use serde_json::json;
use source_host::{Egress, Error, Options, ProblemKind, Source, WallClock};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// A way to an org on which answers come in drops.
struct SlowWay {
    address: SocketAddr,
    drops: Arc<AtomicU64>,
    task: AbortHandle,
}

impl SlowWay {
    /// Drops of so many bytes, with a pause between them.
    async fn to(org: &TestOrg, bytes: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (target, drops) = (org.authority().to_owned(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&drops);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.expect("the org");
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                    let mut drop = vec![0; bytes];
                    while let Ok(count @ 1..) = from_server.read(&mut drop).await {
                        if to_client.write_all(&drop[..count]).await.is_err() {
                            return;
                        }
                        counted.fetch_add(1, Ordering::SeqCst);
                        // The slowness itself, not a wait for something.
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        Self { address, drops, task: task.abort_handle() }
    }
}

impl Drop for SlowWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn org(rows: u64) -> TestOrg {
    let workload = Workload { hours: 1, rows: Rows::Total(rows), ..Workload::default() };
    TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org")
}

/// A source that sees the system's clock, ahead by `ahead` milliseconds.
async fn open(org: &TestOrg, authority: &str, ahead: &Arc<AtomicU64>) -> Source {
    let egress = Egress::allow([authority]).expect("a rule");
    let plugin = plugin().expect("the component");
    let ahead = Arc::clone(ahead);
    let clock: WallClock = Arc::new(move || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now + Duration::from_millis(ahead.load(Ordering::SeqCst))
    });
    let options = Options { egress, wall_clock: Some(clock), ..Options::default() };
    let mut source = plugin.open(options).await.expect("an instance");
    let mut config = org.source().expect("a configuration");
    config["instance_url"] = json!(format!("http://{authority}"));
    config["timeouts"] = json!({"connect": "1s", "first_byte": "1s", "between_bytes": "1s"});
    config["batch"] = json!({"max_time": "500ms"});
    source.configure(&config.to_string()).await.expect("a valid configuration");
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_flows_takes_longer_than_any_timeout_and_is_whole() {
    let org = org(60).await;
    let way = SlowWay::to(&org, 48, Duration::from_millis(20)).await;
    let mut source = open(&org, &way.address.to_string(), &Arc::default()).await;
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
    let (took, drops) = (started.elapsed(), way.drops.load(Ordering::SeqCst));
    println!("{drops} drops in {took:?}");
    assert!(took > Duration::from_secs(3), "too fast to prove anything: {took:?}");
    assert!(delivered.compare(org.simulator.org(), Interval::Hourly).is_clean());
    assert_eq!(org.simulator.org().requests().count("/LogFile"), 1, "it was one download");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_begin_is_given_up_when_the_configuration_says() {
    let org = org(5).await;
    let action = FaultAction::Delay { millis: 30_000 };
    org.simulator.org().plan_fault(PlannedFault {
        method: None,
        path_contains: "/query".into(),
        nth: None,
        action,
    });
    let mut source = open(&org, org.authority(), &Arc::default()).await;
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
    let mut source = open(&org, org.authority(), &ahead).await;
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
