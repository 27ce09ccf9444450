//! `event-view`: opens dashboards over files of events.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use event_view::{definitions, export, index::Index, server};
use std::{
    env,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

/// Opens dashboards over files of events in the Elastic Common Schema (NDJSON), in a browser on this machine.
///
/// Files are followed as they grow. An index is made of them, which is kept so that the next look begins at once;
/// the files themselves are only read. Nothing leaves this machine: the page is served on 127.0.0.1 and loads nothing
/// from anywhere else.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    /// Files of events, or folders with such (*.ndjson, *.jsonl, and what rotation makes of them)
    #[arg(required = true)]
    events: Vec<PathBuf>,
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, default_value_t = 7880)]
    port: u16,
    /// A folder of dashboards (*.toml) to show instead of those that come with the program
    #[arg(long, value_name = "FOLDER")]
    dashboards: Option<PathBuf>,
    /// Where the index is kept [default: event-view in the folder for caches]
    #[arg(long, value_name = "FOLDER")]
    index: Option<PathBuf>,
    /// Keeps the index in memory alone
    #[arg(long, conflicts_with = "index")]
    no_index: bool,
    /// Opens no browser
    #[arg(long)]
    no_open: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the dashboards for another program, to standard output
    Export {
        /// For which
        target: Target,
        /// A folder of dashboards (*.toml) instead of those that come with the program
        #[arg(long, value_name = "FOLDER")]
        dashboards: Option<PathBuf>,
        /// The one dashboard; Grafana takes one at a time
        #[arg(long)]
        only: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// Saved objects, to be imported under Stack Management
    Kibana,
    /// A dashboard over a data source of Elasticsearch
    Grafana,
    /// A dashboard of Grafana over a data source of Loki
    GrafanaLoki,
}

const EXAMPLES: &str = "\
Examples:
  event-view events.ndjson
  event-view /var/log/salesforce --no-open --port 0
  event-view export kibana > dashboards.ndjson
  event-view export grafana --only login > login.json";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("event-view: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let load = |folder: Option<PathBuf>| match folder {
        Some(folder) => definitions::of_folder(&folder),
        None => definitions::bundled(),
    };
    if let Some(Task::Export { target, dashboards, only }) = arguments.command {
        let text = match target {
            Target::Kibana => export::kibana(&load(dashboards)?, only.as_deref())?,
            Target::Grafana => {
                export::grafana(&load(dashboards)?, only.as_deref(), export::Source::Elasticsearch)?
            }
            Target::GrafanaLoki => {
                export::grafana(&load(dashboards)?, only.as_deref(), export::Source::Loki)?
            }
        };
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        return Ok(());
    }
    let folder = match (arguments.no_index, arguments.index) {
        (true, _) => None,
        (false, Some(folder)) => Some(folder),
        (false, None) => caches(),
    };
    let index = Index::new(&arguments.events, folder)?;
    let server = server::Server::bind(arguments.port, load(arguments.dashboards)?).await?;
    let address = server.address();
    if server::has_page() {
        println!("{address}");
    } else {
        println!("{address} (built without its page; `make view` builds it where there is Node 20 with npm)");
    }
    if server::has_page() && !arguments.no_open && std::io::stdout().is_terminal() {
        open(&address);
    }
    let last = AtomicU64::new(u64::MAX);
    server
        .run(index, move |read, total| {
            // Files that grow are followed silently; a first reading is told of by the tenth.
            let tenth = read.saturating_mul(10) / total.max(1);
            if total > 100 << 20 && last.swap(tenth, Ordering::Relaxed) != tenth {
                eprintln!("event-view: read {} of {} MiB", read >> 20, total >> 20);
            }
        })
        .await
}

fn caches() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("event-view"))
}

/// Whether it works does not matter: the address is printed.
fn open(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(program).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
