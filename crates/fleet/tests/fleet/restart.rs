//! All servers end at once in the middle of writing, and come again: what was acknowledged is there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::{Checkpoint, Engine as _, Event, JetStream, Layout, Ledger as _, Revision, replace};
use tokio::time::{Instant, sleep};

use crate::support::dice::Dice;
use crate::support::nats::{Servers, program};

const TENANTS: u64 = 4;
const ROUNDS: u64 = 4;

/// Of each tenant: the last commit that was acknowledged, with how many events there were by then.
type Acknowledged = Arc<Mutex<Vec<u64>>>;

/// Commits one event after the other, as long as the servers take them.
async fn write(engine: JetStream, tenant: u64, acknowledged: Acknowledged) {
    let name = format!("tenant-{tenant}");
    engine.wake(&name).await.unwrap();
    let job = loop {
        let job = engine.next_job().await.unwrap();
        if job.tenant == name {
            break job;
        }
        // Another of these wants it.
        let wake = fleet::Wake { after: Duration::ZERO, failures: 0 };
        engine.sleep_until(&job.lease, wake).await.unwrap();
    };
    let mut revision = job.revision;
    let mut at = job.checkpoint.map_or(0, |checkpoint| checkpoint.commits);
    loop {
        let events = [Event { id: Some(at.to_string()), text: format!("{{\"event\":{{\"id\":\"{at}\"}}}}") }];
        let checkpoint = Checkpoint {
            state: at.to_string(),
            commits: at + 1,
            events: at + 1,
            writer: format!("w{tenant}"),
        };
        match engine.commit(&job.lease, &events, &checkpoint, revision).await {
            Ok(new) => {
                revision = new;
                at += 1;
                acknowledged.lock().unwrap()[tenant as usize] = at;
            }
            Err(_) => return,
        }
    }
}

/// What a machine leaves that lost its power while it wrote: a part of a record behind the last one, in every file that was written to.
fn tear(store: &Path, dice: &Dice) -> usize {
    let mut torn = 0;
    let mut folders = vec![store.to_owned()];
    let mut newest: std::collections::BTreeMap<PathBuf, (u64, PathBuf)> = std::collections::BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "blk")
                && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
            {
                let known = newest.entry(path.parent().unwrap().to_owned()).or_default();
                if number >= known.0 {
                    *known = (number, path);
                }
            }
        }
    }
    for (_, path) in newest.values() {
        let mut bytes = std::fs::read(path).unwrap();
        let part = (dice.below(60) as usize + 4).min(bytes.len());
        if part > 0 {
            bytes.extend_from_within(..part);
            std::fs::write(path, bytes).unwrap();
            torn += 1;
        }
    }
    torn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: make test-fleet"]
async fn what_was_acknowledged_is_there_after_all_servers_ended_in_the_middle_of_writing() {
    let Some(program) = program() else { return };
    let mut servers = Servers::start(&program, 3);
    let dice = Dice::new(5);
    let mut layout = Layout::new("test").unwrap();
    layout.lease = Duration::from_secs(2);
    let acknowledged: Acknowledged = Arc::new(Mutex::new(vec![0; TENANTS as usize]));
    let mut torn = 0;
    for round in 0..ROUNDS {
        let engine = JetStream::open(servers.connect().await, layout.clone()).await.unwrap();
        let before: u64 = acknowledged.lock().unwrap().iter().sum();
        let mut writers = tokio::task::JoinSet::new();
        for tenant in 0..TENANTS {
            writers.spawn(write(engine.clone(), tenant, Arc::clone(&acknowledged)));
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while acknowledged.lock().unwrap().iter().sum::<u64>() < before + 200 {
            assert!(Instant::now() < deadline, "round {round}: nothing is acknowledged");
            sleep(Duration::from_millis(20)).await;
        }
        sleep(dice.millis(200)).await;
        servers.kill_all();
        writers.shutdown().await;
        for node in &servers.nodes {
            torn += tear(&node.store(), &dice);
        }
        servers.revive();
        let engine = JetStream::open(servers.connect().await, layout.clone()).await.unwrap();
        let acknowledged = acknowledged.lock().unwrap().clone();
        for (tenant, commits) in acknowledged.iter().enumerate() {
            let name = format!("tenant-{tenant}");
            let (checkpoint, revision) = engine.read(&name).await.unwrap();
            let there = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.commits);
            assert!(there >= *commits, "round {round}: {name}: {there} commits of {commits} acknowledged");
            let events = engine.waiting_events(&name).await.unwrap();
            for number in 0..*commits {
                let id = format!("{{\"event\":{{\"id\":\"{number}\"}}}}");
                assert!(events.contains(&id), "round {round}: {name} lacks event {number} of {commits}");
            }
            // And the place of the last one is the one that is replaced.
            assert_ne!(revision, Revision(0));
            let stale = replace(&engine, &name, &Checkpoint::default(), Revision(revision.0 - 1)).await;
            assert!(stale.is_err(), "{stale:?}");
        }
    }
    let all: u64 = acknowledged.lock().unwrap().iter().sum();
    assert!(torn > 0, "no file of a server was found to put half a record into");
    println!(
        "{ROUNDS} times all three servers ended; {torn} files had half a record behind their last; {all} commits were acknowledged and are there"
    );
}
