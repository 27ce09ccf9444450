//! `source-host check`: the component's own check of everything a poll needs.

use std::path::Path;
use std::process::ExitCode;

use source_host::{Finding, Verdict};
use source_host_cli::config::Config;
use state_store::{Owner, Settings, StateError, StateFile, StateStore as _};

use super::exit::Exit;
use super::setup;

pub(crate) async fn run(config: &Path, json: bool, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let setup::Opened { config, mut source, owner } = setup::source(config, cache).await?;
    let mut findings = source.source().check().await?;
    let state = state(&config, owner).await;
    // Who has the state has the output as well.
    let is_running = state.verdict == Verdict::Warn;
    findings.push(state);
    if !is_running {
        findings.push(output(&config).await);
    }
    if json {
        say!("{}", serde_json::to_string_pretty(&findings).map_err(Exit::failure)?)?;
    } else {
        let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
        for finding in &findings {
            let verdict = match finding.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            say!("{verdict}  {:width$}  {}", finding.name, finding.message)?;
            if let Some(hint) = &finding.hint {
                say!("      {:width$}  -> {hint}", "")?;
            }
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn finding(name: &str, outcome: Result<String, String>) -> Finding {
    let verdict = if outcome.is_ok() { Verdict::Pass } else { Verdict::Fail };
    let message = outcome.unwrap_or_else(|error| error);
    Finding { name: name.to_owned(), verdict, message, hint: None }
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
        return Finding { verdict: Verdict::Warn, ..finding("state", Err(error.to_string())) };
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
