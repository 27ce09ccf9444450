//! `source-host run`: collects until caught up, or until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use source_host_cli::serve::TimeRange;
use source_host_cli::{End, Pipeline, Policy, Reopener, Report, RunError, Runner, Stopper, Told};
use state_store::{Settings, StateFile, StateStore as _};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use super::setup;
use super::watched::Watched;
use crate::arguments::RunArgs;
use crate::console::Console;

/// What a shell reports for a program that was interrupted.
const INTERRUPTED: i32 = 130;

pub(crate) async fn run(args: RunArgs, cache: Option<&Path>, console: &Console) -> Result<ExitCode, Exit> {
    // From the beginning: whoever rotates files does not ask whether a component is being compiled.
    let hang_up = signalled(SignalKind::hangup())?;
    let watched = Watched::start(&args.watch, &setup::tenant(&args.config)).await?;
    let opened = setup::observed(&args.config, cache, |plugin| Some(watched.observer(plugin))).await?;
    let setup::Opened { config, mut source, mut owner } = opened;
    let component = owner.component.clone();
    let Some(mut state) = config.state.clone() else {
        return Err(Exit::mistake(format!(
            "{} says not where the state lies, which remembers how far collection has come. Write:\n\n    [state]\n    path = \"state.json\"\n",
            args.config.display()
        )));
    };
    if let Some((from, until)) = args.from.zip(args.until) {
        let range = TimeRange::new(from, until).map_err(Exit::mistake)?;
        source.confine(from..until).await?;
        let compact = |time: SystemTime| DateTime::<Utc>::from(time).format("%Y%m%dT%H%M%SZ").to_string();
        state.as_mut_os_string().push(format!(".{}-{}", compact(from), compact(until)));
        owner.tenant = format!("{} {range}", owner.tenant);
        tracing::info!(state = %state.display(), "collecting {range}");
    }
    // The state before the output: who does not hold the state must not touch the events of another host.
    let mut store = StateFile::open(&state, owner, Settings::default()).map_err(|e| exit(&e.into()))?;
    store.load().await.map_err(|e| exit(&e.into()))?;
    let file = config.output.event_file().map(Path::to_owned);
    let output = config.output.open().map_err(|e| exit(&e.into()))?;
    let policy = Policy {
        until_caught_up: args.until_caught_up,
        until_complete: args.from.is_some(),
        give_up_after: args.give_up_after,
    };
    watched.metrics.call_time(config.limits.call_time);
    watched.opened(&component);
    let (shown, metrics) = (console.clone(), Arc::clone(&watched.metrics));
    let lines = config.limits.log_lines_per_minute;
    let pipeline = Pipeline::new(source, output, Box::new(store)).policy(policy).log_lines(lines);
    let pipeline = pipeline.watcher(Arc::new(Told::new(Arc::clone(&watched.metrics))));
    let runner = Runner::new(pipeline).show(move |progress| {
        metrics.running(progress.wait.is_none());
        metrics.scheduled(progress.wait.unwrap_or_default());
        shown.show(progress);
    });
    listen(runner.stopper(), runner.reopener(), watched.reopener(), hang_up)?;

    let finished = runner.run().await;
    watched.end();
    console.clear();
    let report = finished.report;
    let how = match &finished.end {
        Ok(End::CaughtUp) => "caught up",
        Ok(End::Complete) => "complete",
        Ok(End::Stopped) => "stopped",
        Ok(End::ReaderGone) => "the reader of the events is gone",
        Err(_) => "failed",
    };
    eprintln!("{how}: {report}");
    if let Some(file) = file.filter(|_| report.events > 0) {
        eprintln!("to look at them in a browser: event-view {}", file.display());
    }
    let written = args.report.as_deref().map_or(Ok(()), |path| write(path, &report));
    match finished.end {
        Ok(_) => written.map(|()| ExitCode::SUCCESS),
        Err(error) => Err(exit(&error)),
    }
}

fn exit(error: &RunError) -> Exit {
    if error.is_users() { Exit::mistake(error) } else { Exit::failure(error) }
}

fn write(path: &Path, report: &Report) -> Result<(), Exit> {
    let failed =
        |e: &dyn std::fmt::Display| Exit::failure(format!("cannot write the report {}: {e}", path.display()));
    let mut text = serde_json::to_string(report).map_err(|e| failed(&e))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|e| failed(&e))
}

fn signalled(kind: SignalKind) -> Result<Signal, Exit> {
    signal(kind).map_err(|error| Exit::failure(format!("cannot listen for signals: {error}")))
}

/// SIGINT and SIGTERM end the run after the batch under way, the second one at once. SIGHUP opens the output and the audit trail again.
fn listen(
    stopper: Stopper,
    reopener: Reopener,
    reopen_trail: impl Fn() + Send + 'static,
    mut hang_up: Signal,
) -> Result<(), Exit> {
    let mut interrupt = signalled(SignalKind::interrupt())?;
    let mut terminate = signalled(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut stops = false;
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    tracing::info!("the output is opened again");
                    reopener.reopen();
                    reopen_trail();
                    continue;
                }
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if std::mem::replace(&mut stops, true) {
                std::process::exit(INTERRUPTED);
            }
            tracing::info!("stopping after this batch; a second signal stops at once");
            stopper.stop();
        }
    });
    Ok(())
}
