//! Real servers and workers in processes of their own, which are killed, stopped for longer than their lease, and cut off, while they work:
//! what lies in the stream is the truth, once; no checkpoint goes back; nobody claims a commit that another made.
//!
//! The short form runs with the others; the whole one is asked for by `make test-fleet`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::JetStream;
use futures_util::StreamExt as _;
use tokio::time::sleep;

use crate::support::dice::Dice;
use crate::support::nats::{Servers, program};
use crate::support::proxy::Proxy;
use crate::support::worker::{Log, Process, Said, Task};

/// How large a run is.
struct Size {
    nodes: usize,
    workers: usize,
    places: usize,
    tenants: usize,
    events: u64,
    /// How many blows there are.
    blows: usize,
}

const SHORT: Size = Size { nodes: 1, workers: 2, places: 4, tenants: 20, events: 80, blows: 3 };
const WHOLE: Size = Size { nodes: 3, workers: 4, places: 8, tenants: 200, events: 300, blows: 24 };
const LEASE: Duration = Duration::from_secs(2);
/// How long it may take after the last blow until all is there.
const CALM: Duration = Duration::from_secs(180);

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    KillWorker,
    StopWorker,
    CutNetwork,
    KillNode,
    StopNode,
}

struct Place {
    process: Process,
    /// Its ways to the servers.
    proxies: Vec<Proxy>,
}

/// What was seen of checkpoints, in the order of the bucket.
type Seen = Arc<std::sync::Mutex<Vec<(u64, String, u64)>>>;

/// Looks on, through everything, and remembers each checkpoint that it sees.
async fn look_on(urls: Vec<String>, seen: Seen) {
    use async_nats::jetstream::consumer::{DeliverPolicy, pull};
    let client = crate::support::nats::connect(&urls).await;
    let context = async_nats::jetstream::new(client);
    loop {
        let next = seen.lock().unwrap().last().map_or(1, |(sequence, ..)| sequence + 1);
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
            filter_subject: "$KV.test-checkpoints.>".to_owned(),
            ..pull::OrderedConfig::default()
        };
        if let Ok(stream) = context.get_stream_no_info("KV_test-checkpoints").await
            && let Ok(consumer) = stream.create_consumer(config).await
            && let Ok(mut messages) = consumer.messages().await
        {
            while let Some(Ok(message)) = messages.next().await {
                let Ok(info) = message.info() else { break };
                let header = |name: &str| message.headers.as_ref().and_then(|all| all.get(name).cloned());
                let commits = header("Fleet-Commits").unwrap().as_str().parse().unwrap();
                let tenant = message.subject.rsplit('.').next().unwrap().to_owned();
                seen.lock().unwrap().push((info.stream_sequence, tenant, commits));
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn new_place(task: &Task, ports: &[u16], number: usize, log: &Log) -> Place {
    let mut proxies = Vec::new();
    for port in ports {
        proxies.push(Proxy::to(*port).await);
    }
    let urls = proxies.iter().map(Proxy::url).collect();
    Place { process: Process::start(&Task { urls, ..task.clone() }, number, log), proxies }
}

/// How many events of each tenant there are in the stream, and how many of them are others.
async fn in_stream(engine: &JetStream, tenants: &[String]) -> BTreeMap<String, (usize, usize)> {
    let mut found = BTreeMap::new();
    for tenant in tenants {
        let events = engine.waiting_events(tenant).await.unwrap();
        let others: BTreeSet<&String> = events.iter().collect();
        found.insert(tenant.clone(), (events.len(), others.len()));
    }
    found
}

async fn committed(engine: &JetStream) -> u64 {
    engine.progress().await.map_or(0, |all| all.iter().map(|one| one.checkpoint.events).sum())
}

async fn storm(size: &Size, seed: u64) {
    let Some(program) = program() else { return };
    let began = Instant::now();
    let dice = Dice::new(seed);
    let mut servers = Servers::start(&program, size.nodes);
    let ports: Vec<u16> = servers.nodes.iter().map(|node| node.port()).collect();
    let task = Task {
        urls: Vec::new(),
        replicas: size.nodes,
        lease: LEASE,
        room: 100_000,
        places: size.places,
        events: size.events,
        batch: 10,
        poll: Duration::from_millis(400),
        wait: Duration::from_secs(1),
        rest: Duration::from_secs(3600),
    };
    let engine = JetStream::open(servers.connect().await, task.layout()).await.unwrap();
    let tenants: Vec<String> = (0..size.tenants).map(|number| format!("tenant-{number}")).collect();
    for tenant in &tenants {
        engine.wake(tenant).await.unwrap();
    }
    let seen = Seen::default();
    let looking = tokio::spawn(look_on(servers.urls(), Arc::clone(&seen)));
    let log = Log::default();
    let mut places = Vec::new();
    for number in 0..size.workers {
        places.push(new_place(&task, &ports, number, &log).await);
    }
    let mut born = size.workers;
    let wanted = size.events * size.tenants as u64;
    let mut struck: BTreeMap<Blow, u32> = BTreeMap::new();
    let mut killed: Vec<(Instant, usize)> = Vec::new();
    // They work before the first blow.
    while committed(&engine).await == 0 {
        assert!(began.elapsed() < CALM, "nobody works");
        sleep(Duration::from_millis(100)).await;
    }
    let kinds = if size.nodes > 1 { 5 } else { 3 };
    for blow in 0..size.blows {
        let at = dice.below(places.len() as u64) as usize;
        let node = dice.below(size.nodes as u64) as usize;
        // Each kind comes, and then by chance.
        let kind = if blow < kinds { blow as u64 } else { dice.below(kinds as u64) };
        let blow = [Blow::StopWorker, Blow::KillWorker, Blow::CutNetwork, Blow::KillNode, Blow::StopNode]
            [kind as usize];
        *struck.entry(blow).or_default() += 1;
        let past_lease = LEASE + dice.millis(2000) + Duration::from_millis(500);
        match blow {
            Blow::KillWorker => {
                places[at].process.signal("-KILL");
                killed.push((Instant::now(), places[at].process.number));
                sleep(dice.millis(1000)).await;
                places[at] = new_place(&task, &ports, born, &log).await;
                born += 1;
            }
            Blow::StopWorker => {
                places[at].process.signal("-STOP");
                sleep(past_lease).await;
                places[at].process.signal("-CONT");
            }
            Blow::CutNetwork => {
                places[at].proxies.iter().for_each(|proxy| proxy.cut(true));
                sleep(past_lease).await;
                places[at].proxies.iter().for_each(|proxy| proxy.cut(false));
            }
            Blow::KillNode => {
                servers.nodes[node].kill();
                sleep(dice.millis(2000)).await;
                servers.revive();
            }
            Blow::StopNode => {
                servers.nodes[node].signal("-STOP");
                sleep(past_lease).await;
                servers.nodes[node].signal("-CONT");
            }
        }
        sleep(dice.millis(1500)).await;
    }
    let calm = Instant::now();
    while committed(&engine).await < wanted {
        assert!(calm.elapsed() < CALM, "seed {seed}: {} of {wanted} are committed", committed(&engine).await);
        sleep(Duration::from_millis(200)).await;
    }
    drop(places);
    looking.abort();
    let said = log.lock().unwrap().clone();
    let seen = seen.lock().unwrap().clone();
    judge(seed, size, &engine, &tenants, &said, &seen).await;
    let count = |word: &str| said.iter().filter(|said| said.words[0] == word).count();
    let takeovers = takeovers(&said, &killed);
    let mut why: BTreeMap<String, usize> = BTreeMap::new();
    for said in said.iter().filter(|said| matches!(&*said.words[0], "failed" | "left")) {
        // Not the numbers, of which each is another.
        let text: Vec<&str> =
            said.words[2..].iter().filter(|word| word.parse::<u64>().is_err()).map(|word| &**word).collect();
        let text = text.join(" ").replace(&*said.words[1], "TENANT");
        *why.entry(text.chars().take(90).collect()).or_default() += 1;
    }
    println!(
        "seed {seed}: {} nodes, {} workers, {} tenants: {wanted} events in the stream, once; {struck:?}; commits {}, fenced {}, left {}, \
         failed {}; taken over after a kill in {takeovers:?}; {:.0} s",
        size.nodes,
        size.workers,
        size.tenants,
        count("commit"),
        count("fenced"),
        count("left"),
        count("failed"),
        began.elapsed().as_secs_f64()
    );
    why.iter().for_each(|(why, count)| println!("  {count} times: {why}"));
}

async fn judge(
    seed: u64,
    size: &Size,
    engine: &JetStream,
    tenants: &[String],
    said: &[Said],
    seen: &[(u64, String, u64)],
) {
    for (tenant, (count, others)) in in_stream(engine, tenants).await {
        let wanted = size.events as usize;
        assert_eq!((count, others), (wanted, wanted), "seed {seed}: {tenant}: events, and others among them");
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (sequence, tenant, commits) in seen {
        let before = last.insert(tenant, *commits).unwrap_or(0);
        assert!(*commits > before, "seed {seed}: {tenant}: {commits} commits at {sequence}, after {before}");
    }
    assert_eq!(last.len(), tenants.len(), "checkpoints were seen of all");
    // Who was overtaken says so, and claims nothing.
    let mut claims: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for said in said.iter().filter(|said| said.words[0] == "commit") {
        let (claim, writer) = ((&*said.words[1], &*said.words[2]), &*said.words[4]);
        if let Some(other) = claims.insert(claim, writer) {
            assert_eq!(other, writer, "seed {seed}: two workers claim the commit {claim:?}");
        }
    }
    if size.nodes > 1 {
        assert!(said.iter().any(|said| said.words[0] == "fenced"), "seed {seed}: nobody was overtaken");
    }
}

/// How long after each kill the last tenant that the worker had was handed to another.
fn takeovers(said: &[Said], killed: &[(Instant, usize)]) -> Vec<Duration> {
    let mut found = Vec::new();
    for (at, worker) in killed {
        let mut held = BTreeSet::new();
        for said in said.iter().filter(|said| said.worker == *worker) {
            match &*said.words[0] {
                "start" => held.insert(&*said.words[1]),
                "slept" | "fenced" | "failed" | "left" => held.remove(&*said.words[1]),
                _ => false,
            };
        }
        let taken = held.iter().filter_map(|tenant| {
            let is_it = |said: &&Said| {
                said.at > *at
                    && said.worker != *worker
                    && said.words[0] == "start"
                    && said.words[1] == **tenant
            };
            said.iter().find(is_it).map(|said| said.at - *at)
        });
        found.extend(taken.max());
    }
    found
}

fn seed() -> u64 {
    std::env::var("SEED").ok().map_or(1, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_stream_is_the_truth_once_whatever_happens_to_two_workers() {
    storm(&SHORT, seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make test-fleet"]
async fn what_is_in_the_stream_is_the_truth_once_whatever_happens_to_four_workers_and_three_servers() {
    storm(&WHOLE, seed()).await;
}
