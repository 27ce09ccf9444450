//! What a tenant waits beside others that compute without end: `source-host serve`, one good tenant, alone and beside twenty.

use crate::served::Server;
use anyhow::{Context as _, Result, bail, ensure};
use e2e::hosted::component_path;
use indicatif::ProgressBar;
use serde::Serialize;
use source_host_cli::serve::{Answer, Ask, TenantStatus, ask};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const SPINNERS: usize = 20;
const POLLS: usize = 100;
/// When a poll is given up that does not come.
const PATIENCE: Duration = Duration::from_secs(300);
/// Sorts after the others, and so comes last.
const GOOD: &str = "zz-good";

/// How long a good tenant waits for a poll that is asked for, in milliseconds.
#[derive(Serialize)]
pub struct Beside {
    spinners: usize,
    polls: usize,
    alone: Waits,
    beside: Waits,
}

#[derive(Serialize)]
struct Waits {
    /// From the start of the server.
    first_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Beside {
    /// Serves it alone, and then beside twenty.
    pub fn measure(bar: &ProgressBar) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let measure = |spinners| {
            bar.set_message(format!("a good tenant beside {spinners} that compute"));
            runtime.block_on(waits(spinners))
        };
        Ok(Self { spinners: SPINNERS, polls: POLLS, alone: measure(0)?, beside: measure(SPINNERS)? })
    }

    /// For people.
    pub fn text(&self) -> String {
        let line = |name: &str, Waits { first_ms, p50_ms, p99_ms }: &Waits| {
            format!("  {name:24}  {p50_ms:7.1} ms  {p99_ms:7.1} ms  {first_ms:8.1} ms\n")
        };
        let beside = format!("beside {} that compute", self.spinners);
        format!(
            "\nA good tenant waits for a poll that is asked for, of {}:\n\n  {:24}  {:>10}  {:>10}  {:>11}\n{}{}",
            self.polls,
            "",
            "p50",
            "p99",
            "first one",
            line("alone", &self.alone),
            line(&beside, &self.beside)
        )
    }
}

async fn waits(spinners: usize) -> Result<Waits> {
    let folder = tempfile::tempdir()?;
    let component = component_path().with_file_name("hostile-source.wasm");
    let names = (0..spinners).map(|nth| (format!("spinner-{nth:02}"), "spin"));
    for (name, does) in names.chain([(GOOD.to_owned(), "nothing")]) {
        let output = folder.path().join(format!("{name}.ndjson"));
        let text = format!(
            "component = {component:?}\n[source]\ndo = {does:?}\n[output]\nkind = \"file\"\npath = {output:?}\n"
        );
        fs::write(folder.path().join(format!("{name}.toml")), text)?;
    }
    let started = Instant::now();
    let _server = Server::start(folder.path())?;
    let first = polled(folder.path(), 0).await? - started;
    let mut took = Vec::new();
    for _ in 0..POLLS {
        let before = good(folder.path()).await?.polls;
        let started = Instant::now();
        let asked = ask(folder.path(), &Ask::Poll { tenant: GOOD.to_owned() }).await?;
        ensure!(matches!(asked, Answer::Done(_)), "{asked:?}");
        took.push(polled(folder.path(), before).await? - started);
    }
    took.sort();
    let at = |percent: usize| took.get((POLLS * percent).div_ceil(100) - 1).context("no polls");
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Waits { first_ms: ms(first), p50_ms: ms(*at(50)?), p99_ms: ms(*at(99)?) })
}

/// When it has been polled more than so often.
async fn polled(folder: &Path, more_than: u64) -> Result<Instant> {
    let started = Instant::now();
    loop {
        // There may be no server yet.
        if let Ok(good) = good(folder).await
            && good.polls > more_than
            && good.state == "waiting"
        {
            return Ok(Instant::now());
        }
        ensure!(started.elapsed() < PATIENCE, "the good tenant is never polled");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

async fn good(folder: &Path) -> Result<TenantStatus> {
    match ask(folder, &Ask::Status).await? {
        Answer::Tenants(all) => {
            all.into_iter().find(|one| one.tenant == GOOD).context("there is no such tenant")
        }
        other => bail!("{other:?}"),
    }
}
