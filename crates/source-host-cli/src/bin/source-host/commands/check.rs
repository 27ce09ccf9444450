//! `source-host check`: the component's own check of everything a poll needs.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use source_host::{BacklogDay, Finding, Verdict};
use source_host_cli::config::Config;
use state_store::{Owner, Settings, StateError, StateFile, StateStore as _};

use super::exit::{Exit, say_json};
use super::setup;
use crate::arguments::CheckArgs;

pub(crate) async fn run(arguments: &CheckArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let setup::Opened { config, mut source, owner } = setup::source(&arguments.config, cache).await?;
    if let Some(from) = arguments.from {
        source.source().confine(from..arguments.until.unwrap_or_else(SystemTime::now)).await?;
    }
    let mut findings = source.source().check().await?;
    let state = state(&config, owner).await;
    // Who has the state has the output as well.
    let is_running = state.verdict == Verdict::Warn;
    findings.push(state);
    if !is_running {
        findings.push(output(&config).await);
    }
    if arguments.json {
        say_json(&findings)?;
    } else {
        let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
        for finding in &findings {
            let verdict = match finding.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
                _ => "?",
            };
            say!("{verdict}  {:width$}  {}", finding.name, finding.message)?;
            if let Some(hint) = &finding.hint {
                say!("      {:width$}  -> {hint}", "")?;
            }
        }
        if arguments.plan {
            table(&findings)?;
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What there is to collect, stream by stream.
fn table(findings: &[Finding]) -> Result<(), Exit> {
    let planned: Vec<&Finding> = findings.iter().filter(|finding| !finding.backlog.is_empty()).collect();
    if planned.is_empty() {
        say!(
            "\nnothing to plan: no stream has `from` or `until`, or nothing was found; name a time with --from"
        )?;
    }
    for finding in planned {
        let stream = finding.name.trim_start_matches("streams.").trim_end_matches(".backlog");
        let kinds = finding.backlog.iter().map(|day| day.kind.chars().count());
        let width = kinds.max().unwrap_or(0).max("kind".len());
        say!("\n{stream}")?;
        say!("  {:10}  {:width$}  {:>9}  {:>11}", "day", "kind", "items", "bytes")?;
        let count = |items: Option<u64>| items.map_or_else(|| "unknown".to_owned(), source_host::grouped);
        let size = |size: Option<u64>| size.map_or_else(|| "unknown".to_owned(), source_host::bytes);
        for BacklogDay { kind, day, items, bytes, .. } in &finding.backlog {
            let day = day.as_deref().unwrap_or("all");
            let items = count(items.map(u64::from));
            say!("  {day:10}  {kind:width$}  {items:>9}  {:>11}", size(*bytes))?;
        }
        if finding.backlog.len() > 1 {
            let items = finding.backlog.iter().map(|day| day.items.map(u64::from)).sum::<Option<u64>>();
            let bytes = finding.backlog.iter().map(|day| day.bytes).sum::<Option<u64>>();
            say!("  {:10}  {:width$}  {:>9}  {:>11}", "total", "", count(items), size(bytes))?;
        }
        say!("  {}", finding.message)?;
    }
    Ok(())
}

fn finding(name: &str, outcome: Result<String, String>) -> Finding {
    let verdict = if outcome.is_ok() { Verdict::Pass } else { Verdict::Fail };
    let message = outcome.unwrap_or_else(|error| error);
    Finding::new(name, verdict, message)
}

/// Whether the state could be saved now.
async fn state(config: &Config, owner: Owner) -> Finding {
    let Some(path) = &config.state else {
        return finding("state", Ok("the host keeps it: `source-host serve`".to_owned()));
    };
    let checked = async {
        let mut store = StateFile::open(path, owner, Settings::default())?;
        let stored = store.load().await?;
        store.check().await.map(|()| stored)
    };
    let checked = checked.await;
    if let Err(error @ StateError::InUse { .. }) = &checked {
        return Finding::new("state", Verdict::Warn, error.to_string());
    }
    let outcome = checked.map_err(|error| error.to_string()).map(|stored| match stored {
        Some(stored) => format!("{} is ours, at revision {}", path.display(), stored.revision),
        None => format!("{} does not exist yet and can be written", path.display()),
    });
    finding("state", outcome)
}

/// Whether events would be taken now.
async fn output(config: &Config) -> Finding {
    let checked = async {
        let mut output = config.output.open()?;
        let seen = output.check().await;
        // What it held is let go of.
        let _ = output.close().await;
        seen
    };
    finding("output", checked.await.map_err(|error| error.to_string()))
}
