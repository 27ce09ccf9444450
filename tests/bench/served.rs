//! What a tenant costs that waits: `source-host serve` with a folder of many, each polled once and then due in a minute.

use crate::report::Table;
use anyhow::{Context as _, Result, bail, ensure};
use e2e::hosted::{component_path, program};
use indicatif::ProgressBar;
use serde::Serialize;
use source_host::{bytes, grouped};
use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// When a server is given up that does not come to rest.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a server says, in its folder.
const SAID: &str = "said.txt";

/// A folder of so many tenants, once all of them wait.
#[derive(Serialize)]
pub struct Served {
    tenants: usize,
    /// Of the whole process; none where the system does not tell.
    resident_bytes: Option<u64>,
    /// From the start until each was opened and polled once.
    seconds: f64,
    states_bytes: u64,
}

impl Served {
    /// Serves so many.
    pub fn measure(tenants: usize, bar: &ProgressBar) -> Result<Self> {
        bar.set_message(format!("{tenants} tenants"));
        let folder = tempfile::tempdir()?;
        // It does nothing but say when it wants to be asked again.
        let component = component_path().with_file_name("hostile-source.wasm");
        let config =
            format!("component = {component:?}\n[source]\nnote = \"waits\"\n[output]\nkind = \"file\"\n");
        for nth in 0..tenants {
            let output = folder.path().join(format!("{nth:05}.ndjson"));
            let text = format!("{config}path = {output:?}\n");
            fs::write(folder.path().join(format!("tenant-{nth:05}.toml")), text)?;
        }
        let said = folder.path().join(SAID);
        let started = Instant::now();
        let mut server = Server::start(folder.path())?;
        let asked = || -> Result<bool> {
            let mut ask = Command::new(program("source-host"));
            let output = ask.arg("tenants").arg(folder.path()).args(["list", "--json"]).output()?;
            let Ok(all) = serde_json::from_slice::<Vec<serde_json::Value>>(&output.stdout) else {
                return Ok(false);
            };
            ensure!(all.len() <= tenants, "{} tenants", all.len());
            Ok(all.len() == tenants && all.iter().all(|one| one["state"] == "waiting"))
        };
        while !asked()? {
            if let Some(status) = server.0.try_wait()? {
                bail!("the server ended with {status}: {}", fs::read_to_string(&said)?);
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "the tenants do not come to rest: {}",
                fs::read_to_string(&said)?
            );
        }
        let seconds = started.elapsed().as_secs_f64();
        let resident_bytes = resident(server.0.id());
        let states = folder.path().join("states.sqlite");
        Ok(Self {
            tenants,
            resident_bytes,
            seconds,
            states_bytes: fs::metadata(states).context("the states")?.len(),
        })
    }

    /// Many of them for people.
    pub fn text(all: &[Self]) -> String {
        let mut table = Table::new([
            "tenants that wait",
            "memory",
            "for each further one",
            "opened and polled",
            "a second",
        ]);
        let first = all.first();
        for one in all {
            let further = first.filter(|first| first.tenants < one.tenants).and_then(|first| {
                let more = one.resident_bytes?.saturating_sub(first.resident_bytes?);
                Some(bytes(more / (one.tenants - first.tenants) as u64))
            });
            table.add([
                grouped(one.tenants as u64),
                one.resident_bytes.map_or_else(|| String::from("-"), bytes),
                further.unwrap_or_else(|| String::from("-")),
                format!("{:.1} s", one.seconds),
                grouped((one.tenants as f64 / one.seconds) as u64),
            ]);
        }
        format!("\nsource-host serve, each tenant with an output and a state of its own:\n\n{}", table.text())
    }
}

/// Killed when it is no longer needed, or when something fails.
pub struct Server(Child);

impl Server {
    /// Serves a folder, and writes what it says to a file in it.
    pub fn start(folder: &Path) -> Result<Self> {
        let said = File::create(folder.join(SAID))?;
        let mut command = Command::new(program("source-host"));
        command.args(["--quiet", "serve"]).arg(folder);
        Ok(Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}
