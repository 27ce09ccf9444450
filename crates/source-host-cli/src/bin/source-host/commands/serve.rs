//! `source-host serve`: the sources of many tenants in one process, and `source-host tenants`, which asks it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use source_host::grouped;
use source_host_cli::serve::{Answer, Ask, Settings, Signals, TenantStatus, TimeRange, ask, serve};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, say_json};
use super::{pull, setup, states};
use crate::arguments::{ServeArgs, TenantsCommand};

pub(crate) async fn run(args: ServeArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let mut settings = Settings::new(&args.folder);
    settings.concurrency = args.turns;
    settings.instances = args.instances;
    settings.memory = args.memory;
    settings.drain = args.drain;
    settings.metrics = args.watch.metrics;
    settings.metrics_per_tenant = !args.metrics_summed;
    settings.audit = args.watch.audit;
    if let Some(states) = args.states {
        settings.states = states;
    }
    pull::for_folder(&args.folder).await;
    let signals = Signals::default();
    listen(signals.clone())?;
    let served = serve(settings, setup::runtime(cache)?, signals).await.map_err(Exit::mistake)?;
    eprintln!("stopped: {} events of {} tenants", grouped(served.events), grouped(served.tenants as u64));
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and SIGINT end it, SIGHUP has it look at its files again.
pub(super) fn listen(signals: Signals) -> Result<(), Exit> {
    let listen = |kind| signal(kind).map_err(|e| Exit::failure(format!("cannot listen for signals: {e}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hang_up.recv() => signals.reload.notify_one(),
            }
        }
        signals.stop.cancel();
    });
    Ok(())
}

pub(crate) async fn tenants(folder: &Path, command: TenantsCommand) -> Result<ExitCode, Exit> {
    let (question, as_json) = match command {
        TenantsCommand::Backfill { tenant, range } => match range.times() {
            None => (Ask::EndBackfill { tenant }, false),
            Some(times) => {
                let range = TimeRange::new(times.start, times.end).map_err(Exit::mistake)?;
                (Ask::Backfill { tenant, range }, false)
            }
        },
        TenantsCommand::History { tenant, json } => (Ask::History { tenant }, json),
        TenantsCommand::RollBack { tenant, revision } => (Ask::RollBack { tenant, revision }, false),
        TenantsCommand::List { json } => (Ask::Status, json),
        TenantsCommand::Pause { tenant } => (Ask::Pause { tenant }, false),
        TenantsCommand::Resume { tenant } => (Ask::Resume { tenant }, false),
        TenantsCommand::Poll { tenant } => (Ask::Poll { tenant }, false),
    };
    let answer = ask(folder, &question).await.map_err(|error| {
        Exit::failure(format!(
            "no server answers for {}: {error}; start one with `source-host serve {}`",
            folder.display(),
            folder.display()
        ))
    })?;
    match answer {
        Answer::Done(what) => say!("{what}")?,
        Answer::Refused(why) => return Err(Exit::mistake(why)),
        Answer::Tenants(tenants) if as_json => {
            say_json(&tenants)?;
        }
        Answer::Tenants(tenants) => table(&tenants)?,
        Answer::States(states) => states::show(&states, as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(tenants: &[TenantStatus]) -> Result<(), Exit> {
    let width = tenants.iter().map(|one| one.tenant.len()).max().unwrap_or(0).max("tenant".len());
    say!("{:width$}  {:8}  {:>9}  {:>12}  {:>8}  ", "tenant", "state", "next poll", "events", "polls")?;
    for one in tenants {
        let next = one
            .next_poll_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{} s", Duration::from_millis(ms).as_secs()));
        let backfill = one.backfill.as_ref();
        let backfill = backfill.map(|it| format!("backfill {}: {} events", it.range, grouped(it.events)));
        let why = one.failed.clone().into_iter().chain(backfill).collect::<Vec<_>>().join("; ");
        let (events, polls) = (grouped(one.events), grouped(one.polls));
        say!("{:width$}  {:8}  {next:>9}  {events:>12}  {polls:>8}  {why}", one.tenant, one.state)?;
    }
    Ok(())
}
