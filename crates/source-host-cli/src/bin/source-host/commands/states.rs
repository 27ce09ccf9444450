//! `source-host states`: the earlier states of a source, and going back to one of them.

use std::path::Path;
use std::process::ExitCode;

use source_host::grouped;
use source_host_cli::serve::EarlierState;
use state_store::{Settings, StateFile, StateStore as _};

use super::exit::{Exit, say_json};
use super::setup;
use crate::arguments::StatesArgs;

pub(crate) async fn run(args: StatesArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let setup::Opened { config, owner, .. } = setup::source(&args.config, cache).await?;
    let Some(path) = &config.state else {
        let which = "`source-host tenants FOLDER history TENANT`";
        return Err(Exit::mistake(format!("the server of a folder keeps its states: ask it with {which}")));
    };
    let mut store = StateFile::open(path, owner, Settings::default()).map_err(Exit::mistake)?;
    match args.roll_back {
        None => {
            let past = store.history().await.map_err(Exit::mistake)?;
            let states: Vec<EarlierState> = past.into_iter().map(EarlierState::from).collect();
            show(&states, args.json)?;
        }
        Some(revision) => {
            let now = store.roll_back(revision).await.map_err(Exit::mistake)?.revision;
            say!("the next run goes on from the state {revision}, which is now {now}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints earlier states, newest first.
pub(crate) fn show(states: &[EarlierState], as_json: bool) -> Result<(), Exit> {
    if as_json {
        return say_json(states);
    }
    if states.is_empty() {
        return say!("no earlier state is kept");
    }
    say!("{:>10}  {:20}  {:>12}  component", "revision", "saved", "bytes")?;
    for state in states {
        let saved =
            state.saved_at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        let version = state.version.as_deref().unwrap_or("-");
        say!("{:>10}  {saved:20}  {:>12}  {version}", state.revision, grouped(state.bytes as u64))?;
    }
    Ok(())
}
