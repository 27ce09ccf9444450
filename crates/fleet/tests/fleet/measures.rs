//! What it costs. Prints figures, and fails only where something does not work at all.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fleet::{Engine as _, JetStream, Wake};
use tokio::time::sleep;

use crate::support::nats::{Servers, program};
use crate::support::worker::{Log, Process, Task};

const LONGEST: Duration = Duration::from_secs(240);

fn task(servers: &Servers) -> Task {
    Task {
        urls: servers.urls(),
        replicas: servers.replicas(),
        lease: Duration::from_secs(5),
        room: 1_000_000,
        places: 16,
        events: 200,
        batch: 10,
        poll: Duration::from_millis(100),
        wait: Duration::from_millis(1),
        rest: Duration::from_secs(3600),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: make test-fleet"]
async fn polls_and_events_a_second_with_one_two_and_four_workers() {
    let Some(program) = program() else { return };
    for workers in [1, 2, 4] {
        let servers = Servers::start(&program, 3);
        let task = task(&servers);
        let engine = JetStream::open(servers.connect().await, task.layout()).await.unwrap();
        let tenants = 100;
        for number in 0..tenants {
            engine.wake(&format!("tenant-{number}")).await.unwrap();
        }
        let log = Log::default();
        let processes: Vec<Process> =
            (0..workers).map(|number| Process::start(&task, number, &log)).collect();
        let wanted = usize::try_from(tenants * task.events / task.batch).unwrap();
        let began = Instant::now();
        let commits = || log.lock().unwrap().iter().filter(|said| said.words[0] == "commit").count();
        while commits() < wanted {
            assert!(began.elapsed() < LONGEST, "{} commits of {wanted}", commits());
            sleep(Duration::from_millis(50)).await;
        }
        drop(processes);
        let said = log.lock().unwrap().clone();
        let times: Vec<Instant> =
            said.iter().filter(|said| said.words[0] == "commit").map(|said| said.at).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            panic!("nothing was committed")
        };
        let seconds = (*last - *first).as_secs_f64();
        println!(
            "{workers} workers of 16 places, a poll takes 100 ms and brings 10 events: {:.0} polls/s, {:.0} events/s",
            wanted as f64 / seconds,
            wanted as f64 * 10.0 / seconds
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: make test-fleet"]
async fn the_time_until_somebody_goes_on_after_a_worker_is_killed() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 3);
    let mut task = task(&servers);
    // Polls that last longer than all this.
    (task.poll, task.places) = (Duration::from_secs(120), 16);
    let engine = JetStream::open(servers.connect().await, task.layout()).await.unwrap();
    let log = Log::default();
    let mut holder = Process::start(&task, 0, &log);
    let mut found = Vec::new();
    for round in 0..5 {
        let tenant = format!("tenant-{round}");
        let other = Process::start(&task, round + 1, &log);
        let heard = |word: &str, tenant: &str, worker: usize| {
            let log = log.lock().unwrap();
            log.iter()
                .find(|said| {
                    said.words[0] == word
                        && said.words.get(1).is_none_or(|of| of == tenant)
                        && said.worker == worker
                })
                .map(|said| said.at)
        };
        let began = Instant::now();
        while heard("ready", "", round + 1).is_none() {
            assert!(began.elapsed() < LONGEST);
            sleep(Duration::from_millis(10)).await;
        }
        // Whichever gets it is killed.
        engine.wake(&tenant).await.unwrap();
        while heard("start", &tenant, holder.number).is_none()
            && heard("start", &tenant, other.number).is_none()
        {
            assert!(began.elapsed() < LONGEST);
            sleep(Duration::from_millis(5)).await;
        }
        let (dies, lives) =
            if heard("start", &tenant, holder.number).is_some() { (holder, other) } else { (other, holder) };
        dies.signal("-KILL");
        let killed = Instant::now();
        let at = loop {
            if let Some(at) = heard("start", &tenant, lives.number) {
                break at;
            }
            assert!(killed.elapsed() < LONGEST);
            sleep(Duration::from_millis(5)).await;
        };
        found.push(at - killed);
        holder = lives;
    }
    found.sort();
    println!("a lease of {:?}; taken over after {found:.1?}", task.lease);
}

/// Resident memory of a process in MiB, and the processor time that it took.
fn usage(pid: u32) -> (f64, Duration) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
    (resident.unwrap_or_default() / 1024.0, Duration::from_millis(ticks * 10))
}

fn bytes_in(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: make test-fleet"]
async fn what_ten_thousand_tenants_cost_that_sleep() {
    let Some(program) = program() else { return };
    let servers = Servers::start(&program, 3);
    let mut task = task(&servers);
    (task.places, task.poll) = (64, Duration::ZERO);
    let client = servers.connect().await;
    let engine = JetStream::open(client.clone(), task.layout()).await.unwrap();
    let node = &servers.nodes[0];
    let (before, _) = usage(node.pid());
    let tenants = 10_000;
    let began = Instant::now();
    let mut waking = tokio::task::JoinSet::new();
    for part in 0..16 {
        let engine = engine.clone();
        waking.spawn(async move {
            for number in (part..tenants).step_by(16) {
                engine.wake(&format!("tenant-{number}")).await.unwrap();
            }
        });
    }
    waking.join_all().await;
    let woken = began.elapsed();
    // Each is put to sleep, with a commit before that.
    let began = Instant::now();
    let mut sleeping = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let engine = engine.clone();
        sleeping.spawn(async move {
            while let Ok(Ok(job)) = tokio::time::timeout(Duration::from_secs(8), engine.next_job()).await {
                let checkpoint = fleet::Checkpoint {
                    state: "x".repeat(2000),
                    commits: 1,
                    events: 0,
                    writer: "w".to_owned(),
                };
                engine.commit(&job.lease, &[], &checkpoint, job.revision).await.unwrap();
                let wake = Wake { after: Duration::from_secs(3600), failures: 0 };
                engine.sleep_until(&job.lease, wake).await.unwrap();
            }
        });
    }
    let mut slept = Duration::ZERO;
    while slept.is_zero() {
        assert!(began.elapsed() < LONGEST, "they do not sleep: {:?}", engine.depth().await);
        sleep(Duration::from_millis(200)).await;
        if engine.depth().await.is_ok_and(|depth| depth.asleep == tenants) {
            slept = began.elapsed();
        }
    }
    sleeping.join_all().await;
    let (after, cpu) = usage(node.pid());
    // A worker with its places is there, and has nothing to do.
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let engine = engine.clone();
        waiting.spawn(async move { engine.next_job().await.map(|job| job.tenant) });
    }
    let sent = || client.statistics().out_messages.load(Relaxed);
    let (idle, sent_before) = (Instant::now(), sent());
    sleep(Duration::from_secs(10)).await;
    let (_, later) = usage(node.pid());
    let requests = (sent() - sent_before) as f64 / idle.elapsed().as_secs_f64();
    assert!(waiting.try_join_next().is_none(), "somebody woke");
    waiting.shutdown().await;
    let share = (later - cpu).as_secs_f64() / idle.elapsed().as_secs_f64();
    let depth = engine.depth().await.unwrap();
    println!(
        "{tenants} tenants: woken in {woken:.1?}, polled once and put to sleep in {slept:.1?} ({:.0}/s); a server of three: {before:.0} \
         MiB before, {after:.0} MiB with them, {:.1} MiB on the disk; while they sleep {:.1} % of a processor, and {requests:.1} requests \
         a second of a worker with 16 places; {depth:?}",
        tenants as f64 / slept.as_secs_f64(),
        bytes_in(&node.store()) as f64 / 1_048_576.0,
        share * 100.0
    );
}
