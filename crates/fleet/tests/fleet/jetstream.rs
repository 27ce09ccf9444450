//! The engine over JetStream, with a real server, does what every engine has to do.

use std::time::Duration;

use fleet::conformance::{ROOM, Rig, conforms};
use fleet::{
    Checkpoint, CommitError, Components, Engine as _, EngineError, Event, JetStream, Layout, NotLoaded,
    Record, Roster, Standing, Tenants, TimeRange, Wake,
};

use crate::support::nats::{Servers, connect, program};
use crate::support::proxy::Proxy;

struct OverJetStream(JetStream);

impl Rig for OverJetStream {
    type Engine = JetStream;

    fn engine(&self) -> &JetStream {
        &self.0
    }

    async fn wake(&self, tenant: &str) {
        self.0.wake(tenant).await.unwrap();
    }

    async fn published(&self, tenant: &str) -> Vec<String> {
        self.0.waiting_events(tenant).await.unwrap()
    }
}

fn layout(servers: &Servers) -> Layout {
    let mut layout = Layout::new("test").unwrap();
    layout.replicas = servers.replicas();
    layout.lease = Duration::from_secs(2);
    layout.waiting_events = ROOM as u32;
    layout
}

/// A server, and the engine over it; none where there is no program.
async fn opened() -> Option<(Servers, JetStream)> {
    let servers = Servers::start(&program()?, 1);
    let engine = JetStream::open(servers.connect().await, layout(&servers)).await.unwrap();
    Some((servers, engine))
}

/// Over so many servers, with a lease of so many seconds.
async fn conforms_over(nodes: usize, lease: u64) {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, nodes);
    let mut layout = layout(&servers);
    layout.lease = Duration::from_secs(lease);
    let engine = JetStream::open(servers.connect().await, layout).await.unwrap();
    conforms(&OverJetStream(engine)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_over_jetstream_conforms() {
    conforms_over(1, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_over_a_cluster_of_three_conforms() {
    // Three that sync each message to one disk take longer to extend a lease.
    conforms_over(3, 5).await;
}

async fn refusal(opened: impl Future<Output = Result<JetStream, EngineError>>) -> String {
    match opened.await {
        Err(EngineError::Refused(why)) => why,
        other => panic!("refused is expected: {other:?}"),
    }
}

fn is_one_sentence(text: &str) -> bool {
    !text.contains('\n') && text.len() < 400
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_jetstream_is_refused_in_one_sentence() {
    let Some(program) = program() else { return };
    let server = Servers::start_with(&program, 1, "");
    let why = refusal(JetStream::open(server.connect().await, layout(&server))).await;
    assert!(why.contains("has no JetStream") && is_one_sentence(&why), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_is_refused_in_one_sentence() {
    // What it says of itself is all that is asked.
    let port = fake_server("2.9.10").await;
    let client = connect(&[format!("nats://127.0.0.1:{port}")]).await;
    let why = refusal(JetStream::open(client, Layout::new("test").unwrap())).await;
    assert!(why.contains("2.9.10") && why.contains("2.14 at least") && is_one_sentence(&why), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_something_else_by_the_same_name_is_refused_in_one_sentence() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 1);
    let client = servers.connect().await;
    let context = async_nats::jetstream::new(client.clone());
    let config = async_nats::jetstream::stream::Config {
        name: "test-jobs".to_owned(),
        subjects: vec!["test.job.>".to_owned(), "test.wake.>".to_owned()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let why = refusal(JetStream::open(client.clone(), layout(&servers))).await;
    assert!(why.contains("test-jobs already") && is_one_sentence(&why), "{why}");
    assert!(why.contains("retention") && why.contains("name the fleet otherwise"), "{why}");
    // Another stream has the subjects.
    let config = async_nats::jetstream::stream::Config {
        name: "other".to_owned(),
        subjects: vec!["second.events.*".to_owned()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let mut second = Layout::new("second").unwrap();
    second.replicas = 1;
    let why = refusal(JetStream::open(client.clone(), second)).await;
    assert!(why.contains("second-events") && is_one_sentence(&why), "{why}");
    // Three replicas of one server.
    let why = refusal(JetStream::open(client, Layout::new("third").unwrap())).await;
    assert!(why.contains("3 replicas need a cluster") && is_one_sentence(&why), "{why}");
    for name in ["", "a.b", "a b", "-a", "a>"] {
        assert!(matches!(Layout::new(name), Err(EngineError::Refused(_))), "{name}");
    }
}

/// The stream as it should be, but for one thing.
type Change = fn(&mut async_nats::jetstream::stream::Config);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_would_lose_or_stop_what_a_fleet_keeps_in_it_is_refused() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 1);
    let client = servers.connect().await;
    let context = async_nats::jetstream::new(client.clone());
    drop(JetStream::open(client.clone(), layout(&servers)).await.unwrap());
    use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy};
    let changes: [(&str, &str, Change); 7] = [
        ("test-jobs", "max_msgs", |config| config.max_messages = 1000),
        ("test-jobs", "max_bytes", |config| config.max_bytes = 1 << 20),
        ("test-jobs", "max_age", |config| config.max_age = Duration::from_secs(3600)),
        ("test-jobs", "no_ack", |config| config.no_ack = true),
        // Dropped unread where nobody reads yet, and never taken away.
        ("test-events", "retention", |config| config.retention = RetentionPolicy::Interest),
        ("test-events", "retention", |config| config.retention = RetentionPolicy::Limits),
        ("test-events", "discard", |config| {
            config.discard = DiscardPolicy::Old;
            config.discard_new_per_subject = false;
        }),
    ];
    for (name, what, change) in changes {
        let right = context.get_stream(name).await.unwrap().cached_info().config.clone();
        let mut wrong = right.clone();
        change(&mut wrong);
        context.delete_stream(name).await.unwrap();
        context.create_stream(wrong).await.unwrap();
        let why = refusal(JetStream::open(client.clone(), layout(&servers))).await;
        assert!(why.contains(name) && why.contains(&format!("its {what} is")), "{what}: {why}");
        assert!(is_one_sentence(&why), "{why}");
        context.delete_stream(name).await.unwrap();
        context.create_stream(right).await.unwrap();
    }
    drop(JetStream::open(client, layout(&servers)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_at_a_fleet_changes_nothing_of_it() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 1);
    let client = servers.connect().await;
    let made = layout(&servers);
    drop(JetStream::open(client.clone(), made.clone()).await.unwrap());
    let mut other = made.clone();
    (other.lease, other.make) = (Duration::from_secs(300), false);
    let engine = JetStream::open(client.clone(), other).await.unwrap();
    assert_eq!((engine.lease_time(), engine.layout().lease), (made.lease, made.lease));
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream("test-jobs").await.unwrap();
    assert_eq!(stream.consumer_info("workers").await.unwrap().config.ack_wait, made.lease);
    // One that is not there is told, and not made.
    let mut mistyped = Layout::new("tset").unwrap();
    mistyped.make = false;
    let why = refusal(JetStream::open(client, mistyped)).await;
    assert!(why.contains("there is no fleet by the name tset") && is_one_sentence(&why), "{why}");
    assert!(context.get_stream("tset-jobs").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_of_all_looks_whether_anybody_is_forgotten_and_is_no_worker_for_that() {
    let Some((_servers, engine)) = opened().await else { return };
    let (one, other) = (Roster::open(&engine).await.unwrap(), Roster::open(&engine).await.unwrap());
    assert!(one.may_sweep("one").await.unwrap());
    assert!(!other.may_sweep("other").await.unwrap() && !one.may_sweep("one").await.unwrap());
    assert_eq!(one.workers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_for_the_servers_is_refused_before_any_of_its_batch_is_published() {
    let Some((_servers, engine)) = opened().await else { return };
    engine.wake("acme").await.unwrap();
    let job = engine.next_job().await.unwrap();
    // What servers take in a message by default is 1 MiB, its headers included.
    let long = "x".repeat((1 << 20) - 50);
    let event = |number: u32, text: &str| Event { id: Some(number.to_string()), text: text.to_owned() };
    let at =
        |state: &str| Checkpoint { state: state.to_owned(), commits: 1, events: 2, writer: "w".to_owned() };
    let refused = engine.commit(&job.lease, &[event(1, "{}"), event(2, &long)], &at("s"), job.revision).await;
    let Err(CommitError::Engine(EngineError::Refused(why))) = refused else { panic!("{refused:?}") };
    assert!(why.contains("an event of acme has 1048526 bytes") && why.contains("max_payload"), "{why}");
    let refused = engine.commit(&job.lease, &[event(1, "{}")], &at(&long), job.revision).await;
    let Err(CommitError::Engine(EngineError::Refused(why))) = refused else { panic!("{refused:?}") };
    assert!(why.contains("the state of acme has 1048526 bytes") && is_one_sentence(&why), "{why}");
    assert_eq!(engine.waiting_events("acme").await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_none_is_told_with_its_job_and_the_tenant_can_be_put_to_sleep() {
    let Some((servers, engine)) = opened().await else { return };
    let client = servers.connect().await;
    let bucket = async_nats::jetstream::new(client).get_key_value("test-checkpoints").await.unwrap();
    bucket.put("acme", "a state that somebody wrote by hand".into()).await.unwrap();
    engine.wake("acme").await.unwrap();
    let job = engine.next_job().await.unwrap();
    assert!(job.unreadable.as_ref().is_some_and(|why| why.contains("is no checkpoint")), "{job:?}");
    assert!(job.woken && job.checkpoint.is_none());
    engine.sleep_until(&job.lease, Wake { after: Duration::ZERO, failures: 3 }).await.unwrap();
    let job = engine.next_job().await.unwrap();
    assert_eq!((job.failures, job.woken, job.deliveries), (3, false, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_takes_the_place_of_another_begins_at_its_own_beginning() {
    let Some((_servers, engine)) = opened().await else { return };
    let tenants = Tenants::open(&engine).await.unwrap();
    let record = Record { config: "x = 1".to_owned(), component: "sha256:0".to_owned(), paused: true };
    tenants.put("acme", &record).await.unwrap();
    let day = |from: u32| TimeRange {
        from: format!("2026-11-{from:02}T00:00:00Z").parse().unwrap(),
        until: format!("2026-11-{:02}T00:00:00Z", from + 1).parse().unwrap(),
    };
    let at =
        |state: &str| Checkpoint { state: state.to_owned(), commits: 1, events: 0, writer: "w".to_owned() };
    // The first poll of the wrong range is under way when the right one takes its place.
    tenants.begin_backfill("acme", day(20)).await.unwrap();
    let late = engine.next_job().await.unwrap();
    tenants.end_backfill("acme").await.unwrap();
    tenants.begin_backfill("acme", day(1)).await.unwrap();
    let fenced = engine.commit(&late.lease, &[], &at("of the wrong range"), late.revision).await;
    assert!(matches!(fenced, Err(CommitError::Fenced(_))), "{fenced:?}");
    // Nor does it end what is not its own.
    tenants.complete_backfill("acme.backfill", day(20)).await.unwrap();
    assert_eq!(tenants.backfill("acme").await.unwrap(), Some(day(1)));
    let job = engine.next_job().await.unwrap();
    assert_eq!((&*job.tenant, &job.checkpoint), ("acme.backfill", &None));
    engine.commit(&job.lease, &[], &at("of the right one"), job.revision).await.unwrap();
    tenants.complete_backfill("acme.backfill", day(1)).await.unwrap();
    assert_eq!(tenants.backfill("acme").await.unwrap(), None);
    // So it is with a tenant that is removed and added while it is polled for the first time.
    tenants.put("beta", &record).await.unwrap();
    engine.wake("beta").await.unwrap();
    let late = engine.next_job().await.unwrap();
    tenants.remove("beta").await.unwrap();
    tenants.put("beta", &record).await.unwrap();
    let fenced = engine.commit(&late.lease, &[], &at("of the one that is gone"), late.revision).await;
    assert!(matches!(fenced, Err(CommitError::Fenced(_))), "{fenced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ranges_that_are_begun_at_once_one_is_taken_and_a_job_is_no_tenant() {
    let Some((_servers, engine)) = opened().await else { return };
    let tenants = Tenants::open(&engine).await.unwrap();
    let record = Record { config: "x = 1".to_owned(), component: "sha256:0".to_owned(), paused: true };
    tenants.put("acme", &record).await.unwrap();
    let range = |day: u32| TimeRange {
        from: format!("2026-11-{day:02}T00:00:00Z").parse().unwrap(),
        until: "2026-11-28T00:00:00Z".parse().unwrap(),
    };
    let begun = (1..=8).map(|day| tenants.begin_backfill("acme", range(day)));
    let begun = futures_util::future::join_all(begun).await;
    let there = tenants.backfill("acme").await.unwrap().unwrap();
    let taken: Vec<usize> =
        (0..begun.len()).filter(|number| begun[*number].as_ref().unwrap().is_none()).collect();
    let [taken] = taken[..] else { panic!("{begun:?}") };
    assert_eq!(there, range(u32::try_from(taken).unwrap() + 1));
    assert!(begun.iter().all(|other| matches!(other, Ok(None)) || *other == Ok(Some(there))), "{begun:?}");
    assert_eq!(engine.next_job().await.unwrap().tenant, "acme.backfill");
    // `status` names jobs. Who takes one for a tenant is told so.
    let refused = [
        tenants.pause("acme.backfill", true).await.err(),
        tenants.begin_backfill("acme.backfill", range(9)).await.err(),
        tenants.end_backfill("acme.backfill").await.err(),
        tenants.remove("acme.backfill").await.err(),
    ];
    let is_told =
        |why: &Option<EngineError>| matches!(why, Some(EngineError::Refused(why)) if is_one_sentence(why));
    assert!(refused.iter().all(is_told), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_places_publish_at_once_all_of_them_come_to_an_end() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 1);
    let mut layout = layout(&servers);
    layout.waiting_events = 1000;
    let engine = JetStream::open(servers.connect().await, layout).await.unwrap();
    let events: Vec<Event> =
        (0..300).map(|number| Event { id: Some(number.to_string()), text: "{}".to_owned() }).collect();
    let mut jobs = Vec::new();
    for number in 0..24 {
        engine.wake(&format!("tenant-{number}")).await.unwrap();
        jobs.push(engine.next_job().await.unwrap());
    }
    let commits = jobs.into_iter().map(|job| {
        let (engine, events) = (engine.clone(), events.clone());
        tokio::spawn(async move {
            let at =
                Checkpoint { state: "s".to_owned(), commits: 1, events: 300, writer: job.tenant.clone() };
            engine.commit(&job.lease, &events, &at, job.revision).await.map(drop)
        })
    });
    let commits = futures_util::future::join_all(commits);
    let commits =
        tokio::time::timeout(Duration::from_secs(60), commits).await.expect("they hold each other up");
    assert!(commits.iter().all(|commit| matches!(commit, Ok(Ok(())))), "{commits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answers_are_lost_ends_long_before_ids_are_forgotten() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 1);
    let proxy = Proxy::to(servers.nodes[0].port()).await;
    let mut layout = layout(&servers);
    layout.waiting_events = 1000;
    let engine = JetStream::open(connect(&[proxy.url()]).await, layout).await.unwrap();
    let event = |number: u32| Event {
        id: Some(number.to_string()),
        text: if number == 20 { "here".to_owned() } else { "{}".to_owned() },
    };
    let events: Vec<Event> = (0..300).map(event).collect();
    let at = Checkpoint { state: "s".to_owned(), commits: 1, events: 300, writer: "w".to_owned() };
    engine.wake("acme").await.unwrap();
    let job = engine.next_job().await.unwrap();
    proxy.cut_at("here");
    let commit = engine.commit(&job.lease, &events, &at, job.revision);
    let left = tokio::time::timeout(Duration::from_secs(30), commit).await;
    let left = left.expect("each answer is waited for by itself");
    assert!(matches!(left, Err(CommitError::Engine(EngineError::Unavailable(_)))), "{left:?}");
    // Nor is a schedule sent that would arrive when another has gone on.
    let wake = Wake { after: Duration::from_secs(3600), failures: 1 };
    assert!(engine.sleep_until(&job.lease, wake).await.is_err());
    proxy.cut(false);
    // Whoever is next commits the same, and it stands there once.
    let other = JetStream::open(servers.connect().await, engine.layout().clone()).await.unwrap();
    let job = other.next_job().await.unwrap();
    assert_eq!((&*job.tenant, job.failures), ("acme", 0));
    other.commit(&job.lease, &events, &at, job.revision).await.unwrap();
    assert_eq!(other.waiting_events("acme").await.unwrap().len(), events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_changes_only_if_it_is_still_the_one_that_was_read() {
    let Some((servers, engine)) = opened().await else { return };
    let client = servers.connect().await;
    let tenants = Tenants::open(&engine).await.unwrap();
    let record = Record { config: "x = 1".to_owned(), component: "sha256:0".to_owned(), paused: false };
    assert!(tenants.replace("acme", &record, 0).await.unwrap());
    let (read, _) = tenants.version("acme").await.unwrap();
    assert!(tenants.pause("acme", true).await.unwrap());
    assert!(!tenants.replace("acme", &record, read).await.unwrap(), "somebody has paused it meanwhile");
    assert!(tenants.get("acme").await.unwrap().unwrap().0.paused);
    // Removed, and added anew.
    assert!(tenants.remove("acme").await.unwrap());
    let (gone, _) = tenants.version("acme").await.unwrap();
    assert!(gone > read && tenants.replace("acme", &record, gone).await.unwrap());
    // What is no record is there, until it is removed.
    let bucket = async_nats::jetstream::new(client).get_key_value("test-tenants").await.unwrap();
    bucket.put("broken", "no record".into()).await.unwrap();
    assert!(tenants.remove("broken").await.unwrap() && !tenants.remove("broken").await.unwrap());
    assert!(!engine.wake("acme").await.unwrap(), "its job waits already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_added_paused_removed_and_found_when_they_are_forgotten() {
    let Some((servers, engine)) = opened().await else { return };
    let client = servers.connect().await;
    let tenants = Tenants::open(&engine).await.unwrap();
    let record = Record { config: "x = 1".to_owned(), component: "sha256:0".to_owned(), paused: false };
    tenants.put("acme", &record).await.unwrap();
    tenants.put("beta", &record).await.unwrap();
    for name in ["a.b", "", "a*", "acme.backfill"] {
        assert!(matches!(tenants.put(name, &record).await, Err(EngineError::Refused(_))), "{name}");
    }
    assert_eq!(tenants.get("acme").await.unwrap().unwrap().0, record);
    let job = engine.next_job().await.unwrap();
    assert_eq!(job.tenant, "acme");
    let wake = Wake { after: Duration::from_secs(3600), failures: 0 };
    engine.sleep_until(&job.lease, wake).await.unwrap();
    let mut standings = engine.standings().await.unwrap();
    standings.sort();
    assert_eq!(standings, [("acme".to_owned(), Standing::Asleep), ("beta".to_owned(), Standing::Due)]);
    let depth = engine.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.under_way, depth.asleep), (1, 0, 1));

    assert!(tenants.pause("acme", true).await.unwrap());
    assert!(tenants.get("acme").await.unwrap().unwrap().0.paused);
    assert!(!tenants.pause("nobody", true).await.unwrap());
    assert!(tenants.pause("acme", false).await.unwrap());

    // A record that is none is told by name, and the others go on.
    let bucket = async_nats::jetstream::new(client.clone()).get_key_value("test-tenants").await.unwrap();
    bucket.put("broken", "no record".into()).await.unwrap();
    let all = tenants.all().await.unwrap();
    let wrong: Vec<&str> =
        all.iter().filter(|(_, record)| record.is_err()).map(|(name, _)| &**name).collect();
    assert_eq!((all.len(), wrong), (3, vec!["broken"]));
    let Err(EngineError::Refused(why)) = tenants.get("broken").await else { panic!("it is no record") };
    assert!(why.contains("broken") && is_one_sentence(&why), "{why}");

    // A range of time besides: a job of its own, with a position of its own.
    let range = TimeRange {
        from: "2026-11-01T00:00:00Z".parse().unwrap(),
        until: "2026-11-02T00:00:00Z".parse().unwrap(),
    };
    assert_eq!(tenants.begin_backfill("beta", range).await.unwrap(), None);
    assert_eq!(tenants.begin_backfill("beta", range).await.unwrap(), Some(range));
    assert_eq!(tenants.backfill("beta.backfill").await.unwrap(), Some(range));
    assert_eq!(engine.layout().events_of("beta.backfill"), engine.layout().events_of("beta"));

    // Whoever has neither a job nor a schedule is found, and so is a job of nobody.
    let stream = async_nats::jetstream::new(client).get_stream("test-jobs").await.unwrap();
    stream.purge().await.unwrap();
    engine.wake("nobody").await.unwrap();
    let swept = engine.sweep(&tenants).await.unwrap();
    assert_eq!(swept.woken, ["acme", "beta", "beta.backfill", "broken"]);
    assert_eq!(swept.removed, ["nobody"]);
    assert_eq!(engine.sweep(&tenants).await.unwrap(), fleet::Swept::default());
    assert_eq!(tenants.end_backfill("beta").await.unwrap(), Some(range));
    assert!(tenants.remove("beta").await.unwrap());
    assert!(!tenants.remove("beta").await.unwrap());
    let names: Vec<String> = engine.standings().await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names.into_iter().collect::<std::collections::BTreeSet<_>>(),
        ["acme", "broken"].map(str::to_owned).into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_is_the_one_of_its_digest_or_is_not_used() {
    let Some((servers, engine)) = opened().await else { return };
    let client = servers.connect().await;
    let components = Components::open(&engine).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..700_000_u32).map(|number| number as u8).collect();
    let digest = components.put(&bytes).await.unwrap();
    assert_eq!(components.put(&bytes).await.unwrap(), digest);
    let path = components.fetch(&digest, folder.path(), 1 << 20).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    let other = tempfile::tempdir().unwrap();
    let refused = components.fetch(&digest, other.path(), 1000).await;
    assert!(matches!(refused, Err(NotLoaded::TooLarge { .. })), "{refused:?}");
    let absent = format!("sha256:{}", "0".repeat(64));
    let refused = components.fetch(&absent, other.path(), 1 << 20).await;
    assert!(matches!(refused, Err(NotLoaded::Absent { .. })), "{refused:?}");
    for digest in ["sha256:../../etc/passwd", "", "sha256:", "sha256:XX"] {
        let refused = components.fetch(digest, other.path(), 1 << 20).await;
        assert!(matches!(refused, Err(NotLoaded::NoDigest { .. })), "{refused:?}");
    }
    // What has its size and its name is looked at too, and replaced.
    let store = async_nats::jetstream::new(client.clone()).get_object_store("test-components").await.unwrap();
    store.put(&*digest, &mut &vec![0_u8; bytes.len()][..]).await.unwrap();
    assert!(components.fetch(&digest, other.path(), 1 << 20).await.is_err());
    assert_eq!(components.put(&bytes).await.unwrap(), digest);
    let again = tempfile::tempdir().unwrap();
    assert_eq!(
        std::fs::read(components.fetch(&digest, again.path(), 1 << 20).await.unwrap()).unwrap(),
        bytes
    );
    // Somebody puts something else in its place.
    store.put(&*digest, &mut &b"something else"[..]).await.unwrap();
    let refused = components.fetch(&digest, other.path(), 1 << 20).await.unwrap_err();
    assert!(matches!(refused, NotLoaded::Other { .. }), "{refused}");
    assert!(is_one_sentence(&refused.to_string()), "{refused}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0, "nothing of it is kept");
}

/// Says of itself that it is a server of this version, and answers nothing but pings.
async fn fake_server(version: &str) -> u16 {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = format!(
        "INFO {{\"server_id\":\"x\",\"server_name\":\"old\",\"version\":\"{version}\",\"go\":\"go1\",\"host\":\"127.0.0.1\",\"port\":{port},\
         \"headers\":true,\"max_payload\":1048576,\"proto\":1,\"jetstream\":true}}\r\n"
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let info = info.clone();
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let _ = writer.write_all(info.as_bytes()).await;
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        let _ = writer.write_all(b"PONG\r\n").await;
                    }
                }
            });
        }
    });
    port
}
