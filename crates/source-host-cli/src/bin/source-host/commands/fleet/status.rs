//! `source-host fleet status`.

use std::time::Duration;

use fleet::{Depth, JetStream, Presence, Roster};
use serde::Serialize;
use source_host::{grouped, printable};
use tokio::time::sleep;

use super::super::exit::{Exit, say_json};
use super::tenants::ago;

/// How often it is shown again.
const AGAIN: Duration = Duration::from_secs(2);
/// Tenants in trouble that a table shows.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct Status {
    queue: Queue,
    workers: Vec<Worker>,
    /// Tenants that do not go on, those first that failed most often.
    stuck: Vec<Stuck>,
}

#[derive(Serialize)]
struct Queue {
    /// Jobs that wait for a worker: what workers are scaled by.
    waiting: u64,
    under_way: u64,
    asleep: u64,
    /// How long the oldest job has been there, in seconds: what the fleet is behind.
    lag_s: u64,
    events_waiting: u64,
}

#[derive(Serialize)]
struct Worker {
    #[serde(flatten)]
    presence: Presence,
    said_s_ago: u64,
}

#[derive(Serialize)]
struct Stuck {
    tenant: String,
    failures: u32,
    why: String,
    /// When it is tried again, in seconds from now.
    again_in_s: u64,
    worker: String,
}

pub(super) async fn run(engine: &JetStream, json: bool, watch: bool) -> Result<(), Exit> {
    let roster = Roster::open(engine).await.map_err(Exit::from)?;
    loop {
        let status = look(engine, &roster).await?;
        if json {
            say_json(&status)?;
        } else {
            if watch {
                // To the top, and all away.
                say!("\u{1b}[H\u{1b}[2J")?;
            }
            table(&status)?;
        }
        if !watch {
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

async fn look(engine: &JetStream, roster: &Roster) -> Result<Status, Exit> {
    let Depth { waiting, under_way, asleep, oldest, events } = engine.depth().await.map_err(Exit::from)?;
    let workers = roster.workers().await.map_err(Exit::from)?.into_iter();
    let workers = workers
        .map(|(presence, at)| Worker { presence, said_s_ago: at.elapsed().unwrap_or_default().as_secs() });
    let troubles = roster.troubles().await.map_err(Exit::from)?.into_iter();
    let mut stuck: Vec<Stuck> = troubles
        .map(|(tenant, trouble, at)| Stuck {
            tenant,
            failures: trouble.failures,
            why: trouble.why,
            again_in_s: trouble.again_in_s.saturating_sub(at.elapsed().unwrap_or_default().as_secs()),
            worker: trouble.worker,
        })
        .collect();
    stuck.sort_by_key(|one| std::cmp::Reverse(one.failures));
    let queue = Queue { waiting, under_way, asleep, lag_s: oldest.as_secs(), events_waiting: events };
    Ok(Status { queue, workers: workers.collect(), stuck })
}

fn table(status: &Status) -> Result<(), Exit> {
    let Queue { waiting, under_way, asleep, lag_s, events_waiting } = status.queue;
    let (waiting, under_way, asleep) = (grouped(waiting), grouped(under_way), grouped(asleep));
    say!(
        "queue    {waiting} due, {under_way} under way, {asleep} asleep; the oldest job is {} old",
        ago(lag_s)
    )?;
    say!("events   {} wait to be read", grouped(events_waiting))?;
    let width = status.workers.iter().map(|one| one.presence.worker.len()).max().unwrap_or(0).max(6);
    say!(
        "\n{:width$}  {:>7}  {:>6}  {:>9}  {:>12}  {:>8}  {:>9}  {:>6}  {:>6}",
        "worker",
        "busy",
        "up",
        "polls",
        "events",
        "polls/s",
        "events/s",
        "failed",
        "fenced"
    )?;
    for Worker { presence: one, said_s_ago } in &status.workers {
        let silent = if *said_s_ago > 20 { format!("  silent for {said_s_ago} s") } else { String::new() };
        let busy = format!("{}/{}", one.busy, one.places);
        let (up, polls, events) = (ago(one.up_s), grouped(one.polls), grouped(one.events));
        let (failed, fenced) = (grouped(one.failed), grouped(one.fenced));
        say!(
            "{:width$}  {busy:>7}  {up:>6}  {polls:>9}  {events:>12}  {:>8.1}  {:>9.1}  {failed:>6}  {fenced:>6}{silent}",
            one.worker,
            one.polls_per_s,
            one.events_per_s
        )?;
    }
    if status.workers.is_empty() {
        say!("none; start one with `source-host fleet worker`")?;
    }
    if !status.stuck.is_empty() {
        let width = status.stuck.iter().map(|one| one.tenant.len()).max().unwrap_or(0).max(6);
        say!("\n{:width$}  {:>8}  {:>8}  why", "stuck", "failures", "again in")?;
        for one in status.stuck.iter().take(SHOWN) {
            let why = printable(one.why.clone());
            say!("{:width$}  {:>8}  {:>8}  {why}", one.tenant, one.failures, ago(one.again_in_s))?;
        }
        if let more @ 1.. = status.stuck.len().saturating_sub(SHOWN) {
            say!("and {} more; --json shows all", grouped(more as u64))?;
        }
    }
    Ok(())
}
