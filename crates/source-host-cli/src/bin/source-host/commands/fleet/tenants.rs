//! `source-host fleet tenants`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fleet::{Components, EngineError, JetStream, Progress, Record, Roster, Standing, Tenants, TimeRange};
use serde::Serialize;
use source_host::{grouped, printable};
use source_host_cli::config::{Config, Mistake};
use source_host_cli::fleet::inline_secrets;

use super::super::exit::{Exit, say_json};
use super::super::{schema, setup};
use crate::arguments::FleetTenantsCommand;

/// What is shown of a tenant.
#[derive(Serialize)]
struct Shown {
    tenant: String,
    state: &'static str,
    commits: u64,
    events: u64,
    /// Seconds since the last commit.
    last_commit_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

pub(super) async fn run(
    engine: &JetStream,
    command: FleetTenantsCommand,
    cache: Option<&Path>,
) -> Result<(), Exit> {
    let tenants = Tenants::open(engine).await.map_err(Exit::from)?;
    match command {
        FleetTenantsCommand::Add { tenant, config } => {
            let (config, component) = read(&config, cache).await?;
            add(engine, &tenants, &tenant, config, &component).await
        }
        FleetTenantsCommand::List { json } => {
            let all = shown(engine, &tenants).await?;
            if json { say_json(&all) } else { table(&all) }
        }
        FleetTenantsCommand::Show { tenant, json } => show(engine, &tenants, &tenant, json).await,
        FleetTenantsCommand::Pause { tenant } => pause(engine, &tenants, &tenant, true).await,
        FleetTenantsCommand::Resume { tenant } => pause(engine, &tenants, &tenant, false).await,
        FleetTenantsCommand::Backfill { tenant, range } => {
            backfill(engine, &tenants, &tenant, range.times()).await
        }
        FleetTenantsCommand::Remove { tenant } => {
            let was_there = tenants.remove(&tenant).await.map_err(Exit::from)?;
            well(engine, &tenant).await?;
            well(engine, &Tenants::backfill_of(&tenant)).await?;
            if !was_there {
                return Err(unknown(&tenant));
            }
            say!("{tenant} is removed; its events that wait are still there")
        }
    }
}

/// The configuration of a tenant, and the component that it names.
async fn read(path: &Path, cache: Option<&Path>) -> Result<(String, Vec<u8>), Exit> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Exit::mistake(format!("cannot read the configuration {}: {error}", path.display()))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mistakes = |found: &[Mistake]| {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        Exit::mistakes(path, &lines)
    };
    let (wanted, admission) = Config::of_fleet(&text, folder).map_err(|wrong| mistakes(&wrong.found))?;
    let bytes = std::fs::read(&wanted)
        .map_err(|error| Exit::mistake(format!("cannot read the component {}: {error}", wanted.display())))?;
    let plugin = setup::runtime(cache)?.load(&wanted, &admission).await?;
    let inline = inline_secrets(&schema::of_plugin(&plugin).await?, &text);
    if inline.is_empty() { Ok((text, bytes)) } else { Err(mistakes(&inline)) }
}

async fn add(
    engine: &JetStream,
    tenants: &Tenants,
    tenant: &str,
    config: String,
    component: &[u8],
) -> Result<(), Exit> {
    // All of a fleet is there once it has a tenant, whether a worker has come or not.
    let _ = Roster::open(engine).await.map_err(Exit::from)?;
    let components = Components::open(engine).await.map_err(Exit::from)?;
    let component = components.put(component).await.map_err(Exit::from)?;
    loop {
        let (revision, _) = tenants.version(tenant).await.map_err(Exit::from)?;
        let before = match tenants.get(tenant).await {
            // What lies there is no record, and this takes its place.
            Err(EngineError::Refused(_)) => None,
            other => other.map_err(Exit::from)?.map(|(record, _)| record),
        };
        let paused = before.as_ref().is_some_and(|record| record.paused);
        let record = Record { config: config.clone(), component: component.clone(), paused };
        // Somebody else may have paused it meanwhile.
        if !tenants.replace(tenant, &record, revision).await.map_err(Exit::from)? {
            continue;
        }
        return match before {
            None => say!("{tenant} is added, with {component}"),
            Some(_) if paused => say!("{tenant} is changed, and still paused"),
            Some(_) => say!("{tenant} is changed, with {component}"),
        };
    }
}

/// A tenant is in trouble no more.
async fn well(engine: &JetStream, tenant: &str) -> Result<(), Exit> {
    let roster = Roster::open(engine).await.map_err(Exit::from)?;
    roster.trouble(tenant, None).await.map_err(Exit::from)
}

async fn pause(engine: &JetStream, tenants: &Tenants, tenant: &str, paused: bool) -> Result<(), Exit> {
    if !tenants.pause(tenant, paused).await.map_err(Exit::from)? {
        return Err(unknown(tenant));
    }
    if paused {
        // Nothing is tried that could be stuck.
        well(engine, tenant).await?;
    }
    say!("{tenant} is {}", if paused { "paused" } else { "resumed" })
}

async fn backfill(
    engine: &JetStream,
    tenants: &Tenants,
    tenant: &str,
    times: Option<Range<SystemTime>>,
) -> Result<(), Exit> {
    if tenants.get(tenant).await.map_err(Exit::from)?.is_none() {
        return Err(unknown(tenant));
    }
    let Some(times) = times else {
        let ended = tenants.end_backfill(tenant).await.map_err(Exit::from)?;
        well(engine, &Tenants::backfill_of(tenant)).await?;
        return match ended {
            Some(range) => say!("{tenant} has no backfill any more; it was one {range}"),
            None => Err(Exit::mistake(format!("{tenant} has no backfill"))),
        };
    };
    let range = TimeRange { from: times.start.into(), until: times.end.into() };
    if range.from >= range.until {
        return Err(Exit::mistake(format!("there is nothing in a range {range}")));
    }
    if SystemTime::from(range.from) > SystemTime::now() {
        return Err(Exit::mistake(format!(
            "{} is in the future: there is nothing to go back for",
            range.from
        )));
    }
    match tenants.begin_backfill(tenant, range).await.map_err(Exit::from)? {
        None => say!("{tenant} collects {range} besides"),
        Some(under_way) => Err(Exit::mistake(format!(
            "{tenant} has a backfill under way, {under_way}; wait until it is complete, or end it with --end"
        ))),
    }
}

fn unknown(tenant: &str) -> Exit {
    Exit::mistake(format!("there is no tenant {tenant}"))
}

async fn shown(engine: &JetStream, tenants: &Tenants) -> Result<Vec<Shown>, Exit> {
    let records = tenants.all().await.map_err(Exit::from)?;
    let progress = engine.progress().await.map_err(Exit::from)?;
    let progress: HashMap<String, Progress> =
        progress.into_iter().map(|progress| (progress.tenant.clone(), progress)).collect();
    let standings: HashMap<String, Standing> =
        engine.standings().await.map_err(Exit::from)?.into_iter().rev().collect();
    let roster = Roster::open(engine).await.map_err(Exit::from)?;
    let troubles = roster.troubles().await.map_err(Exit::from)?;
    let troubles: HashMap<String, String> =
        troubles.into_iter().map(|(tenant, trouble, _)| (tenant, trouble.why)).collect();
    let of = |(tenant, record): (String, Result<Record, EngineError>)| {
        let progress = progress.get(&tenant);
        let (record, wrong) = match record {
            Ok(record) => (Some(record), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let failed = wrong.or_else(|| troubles.get(&tenant).cloned());
        let state = match (&record, standings.get(&tenant)) {
            (Some(record), _) if record.paused => "paused",
            (_, Some(Standing::Due)) => "due",
            _ if failed.is_some() => "failed",
            (_, Some(Standing::Asleep)) => "asleep",
            (_, None) => "forgotten",
        };
        Shown {
            state,
            commits: progress.map_or(0, |progress| progress.checkpoint.commits),
            events: progress.map_or(0, |progress| progress.checkpoint.events),
            last_commit_s: progress.map(|progress| progress.at.elapsed().unwrap_or_default().as_secs()),
            component: record.map(|record| record.component),
            failed,
            tenant,
        }
    };
    Ok(records.into_iter().map(of).collect())
}

fn table(tenants: &[Shown]) -> Result<(), Exit> {
    let width = tenants.iter().map(|one| one.tenant.len()).max().unwrap_or(0).max("tenant".len());
    say!("{:width$}  {:9}  {:>11}  {:>12}  {:>8}  ", "tenant", "state", "last commit", "events", "commits")?;
    for one in tenants {
        let last = one.last_commit_s.map_or_else(|| "-".to_owned(), ago);
        let (events, commits) = (grouped(one.events), grouped(one.commits));
        let why = one.failed.as_deref().map(|why| printable(why.to_owned())).unwrap_or_default();
        say!("{:width$}  {:9}  {last:>11}  {events:>12}  {commits:>8}  {why}", one.tenant, one.state)?;
    }
    Ok(())
}

pub(super) fn ago(seconds: u64) -> String {
    match Duration::from_secs(seconds).as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

async fn show(engine: &JetStream, tenants: &Tenants, tenant: &str, json: bool) -> Result<(), Exit> {
    let Some((record, _)) = tenants.get(tenant).await.map_err(Exit::from)? else {
        return Err(unknown(tenant));
    };
    let all = shown(engine, tenants).await?;
    let Some(one) = all.into_iter().find(|one| one.tenant == tenant) else { return Err(unknown(tenant)) };
    let backfill = tenants.backfill(tenant).await.map_err(Exit::from)?;
    if json {
        #[derive(Serialize)]
        struct Whole {
            #[serde(flatten)]
            shown: Shown,
            backfill: Option<TimeRange>,
            config: String,
        }
        return say_json(&Whole { shown: one, backfill, config: record.config });
    }
    table(&[one])?;
    if let Some(range) = backfill {
        say!("backfill   {range}")?;
    }
    say!("component  {}\n", record.component)?;
    for line in record.config.trim_end().lines() {
        say!("{}", printable(line.to_owned()))?;
    }
    Ok(())
}
