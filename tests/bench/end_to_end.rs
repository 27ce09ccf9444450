//! The program `source-host` as an operator runs it: its own process, real HTTP on the loopback, a state file. Only the
//! events go nowhere, so that no disk is measured.
//!
//! The simulated org makes and compresses what it sends while it sends it, in this process; what is told of processor time and
//! memory is that of the host's process alone, and time on the wall is that of both.

use crate::{
    cpu::Cpu,
    report::{Spread, Table},
    tenants::Tenants,
};
use anyhow::{Context, Result, bail, ensure};
use collector::io::Clock as _;
use e2e::{
    canned::CannedOrg,
    hosted,
    inputs::{clock, configured},
    org::TestOrg,
};
use indicatif::ProgressBar;
use salesforce_sim::{Files, OrgSettings, Rows, Workload};
use serde::Serialize;
use serde_json::{Value, json};
use source_host::{bytes, grouped};
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    time::{interval, timeout},
};

const GIGABYTE: u64 = 1_000_000_000;
const SMALL_FILES: u32 = 10_000;
const SMALL_ROWS: u64 = 10;
const STARTS: usize = 5;
/// When a collection is given up, and a start: far beyond what either takes on any machine that can build this.
const PATIENCE: Duration = Duration::from_secs(1800);
const DAY_MS: i64 = 24 * 3_600_000;

/// All that is measured of the whole.
#[derive(Serialize)]
pub struct EndToEnd {
    /// From the start of the process to its first request on the wire, with the component compiled already.
    cold_start_ms: Option<Spread>,
    /// Requests of a day on which nothing happens, the sign-in among them.
    requests_of_an_idle_day: usize,
    /// None where the system does not tell.
    memory_of_a_tenant: Option<Tenants>,
    collections: Vec<Collection>,
}

/// A collection from beginning to end.
#[derive(Serialize)]
struct Collection {
    what: String,
    events: u64,
    files: u64,
    requests: u64,
    log_bytes: u64,
    wire_bytes: u64,
    wall_seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    /// Of the host's process; none where the system does not tell.
    peak_resident_bytes: Option<u64>,
    component_peak_bytes: u64,
}

impl EndToEnd {
    /// Measures what is quick, or everything, with a file of so many gigabytes.
    pub fn measure(gigabytes: Option<u64>, bar: &ProgressBar) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let cache = tempfile::tempdir()?;
        // First, as long as nothing that was freed is left to be used again.
        bar.set_message("tenants");
        let memory_of_a_tenant = Tenants::measure()?;
        bar.set_message("compiling the component into a cache");
        let mut host = host(cache.path());
        host.arg("describe").arg(hosted::component_path()).stdout(Stdio::null());
        ensure!(host.status()?.success(), "source-host describes no component");

        bar.set_message("cold starts");
        let starts: Vec<f64> =
            (0..STARTS).map(|_| cold_start(&runtime, cache.path())).collect::<Result<_>>()?;
        let mut collections = Vec::new();
        if let Some(gigabytes) = gigabytes {
            bar.set_message(format!("{gigabytes} GB through source-host"));
            let rows = Rows::OneFileOfBytes(gigabytes * GIGABYTE);
            let workload = Workload { hours: 1, rows, ..Workload::default() };
            let settings = OrgSettings { workload, ..OrgSettings::default() };
            collections.push(collection(
                &format!("{gigabytes} GB of Login rows"),
                &runtime,
                settings,
                cache.path(),
            )?);

            bar.set_message("10,000 small files through source-host");
            let workload =
                Workload { hours: SMALL_FILES, rows: Rows::PerHour(SMALL_ROWS), ..Workload::default() };
            let files = Files { retention: None, ..Files::default() };
            let settings = OrgSettings { workload, files, ..OrgSettings::default() };
            collections.push(collection("10,000 files of 10 rows", &runtime, settings, cache.path())?);
        }
        Ok(Self {
            cold_start_ms: Spread::of(starts.into_iter()),
            requests_of_an_idle_day: idle_day()?,
            memory_of_a_tenant,
            collections,
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "\nCold start of source-host, from the process to its first request: {} ms.\n\
             Requests of an idle day, four streams of hourly files: {}.\n",
            self.cold_start_ms.map_or_else(|| String::from("-"), |ms| ms.text(0)),
            self.requests_of_an_idle_day,
        );
        text.push_str(&self.memory_of_a_tenant.as_ref().map(Tenants::text).unwrap_or_default());
        if self.collections.is_empty() {
            return text;
        }
        text.push_str(
            "\nsource-host, over HTTP with gzip, events to /dev/null; the host's process alone.\n\n",
        );
        let columns =
            ["collection", "events", "requests", "CPU, user", "CPU, system", "wall", "peak RSS", "component"];
        let mut table = Table::new(columns);
        for one in &self.collections {
            table.add([
                one.what.clone(),
                grouped(one.events),
                grouped(one.requests),
                format!("{:.2} s", one.user_seconds),
                format!("{:.2} s", one.system_seconds),
                format!("{:.1} s", one.wall_seconds),
                one.peak_resident_bytes.map_or_else(|| String::from("-"), bytes),
                bytes(one.component_peak_bytes),
            ]);
        }
        text.push_str(&table.text());
        text
    }
}

fn host(cache: &Path) -> Command {
    let mut host = Command::new(hosted::program("source-host"));
    host.arg("--quiet").arg("--cache").arg(cache).stdin(Stdio::null());
    host
}

/// Collects all that an org has.
fn collection(
    what: &str,
    runtime: &tokio::runtime::Runtime,
    settings: OrgSettings,
    cache: &Path,
) -> Result<Collection> {
    const STREAMS: &str = "[source.streams.login]\ninitial_interval = \"450d\"\n\
        event_log_file = { interval = \"1h\", log_file_interval = \"hourly\" }\n";
    let folder = tempfile::tempdir()?;
    let org = runtime.block_on(TestOrg::start(settings))?;
    let config = org.write_config_of(STREAMS, folder.path(), "kind = \"stdout\"", "")?;
    let report = folder.path().join("report.json");
    let mut command = host(cache);
    command.arg("run").arg(config).arg("--until-caught-up").arg("--report").arg(&report);
    let said = folder.path().join("said.txt");
    command.stdout(File::options().write(true).open("/dev/null")?).stderr(File::create(&said)?);
    let before = Cpu::of_children()?;
    let (success, peak_resident_bytes) = runtime.block_on(wait(command))?;
    let cpu = Cpu::of_children()? - before;
    ensure!(success, "{what}: source-host failed: {}", fs::read_to_string(said)?);

    let report: Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    let count = |name: &str| report[name].as_u64().unwrap_or_default();
    Ok(Collection {
        what: what.to_owned(),
        events: count("events"),
        files: count("files"),
        requests: count("requests"),
        log_bytes: count("bytes_read"),
        wire_bytes: count("bytes_received"),
        wall_seconds: report["seconds"].as_f64().unwrap_or_default(),
        user_seconds: cpu.user.as_secs_f64(),
        system_seconds: cpu.system.as_secs_f64(),
        peak_resident_bytes,
        component_peak_bytes: count("peak_memory_bytes"),
    })
}

/// Waits for a process, and looks now and then how much memory it has held: what the system tells of it at its end may be that
/// of this process, which it was a part of at its beginning.
async fn wait(host: Command) -> Result<(bool, Option<u64>)> {
    let mut host = tokio::process::Command::from(host).kill_on_drop(true).spawn()?;
    let status = host.id().map(|id| format!("/proc/{id}/status")).unwrap_or_default();
    let (mut looks, mut peak) = (interval(Duration::from_millis(20)), None);
    let ended = async {
        loop {
            tokio::select! {
                status = host.wait() => break status,
                _ = looks.tick() => {
                    let status = fs::read_to_string(&status).unwrap_or_default();
                    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
                    peak = peak.max(kibibytes.map(|kibibytes| kibibytes << 10));
                }
            }
        }
    };
    let ended = timeout(PATIENCE, ended).await.context("source-host did not end in time")?;
    Ok((ended?.success(), peak))
}

/// Milliseconds from the start of a process to its first request. Nobody answers it.
fn cold_start(runtime: &tokio::runtime::Runtime, cache: &Path) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let org = TestOrg::start(OrgSettings::default()).await?;
        let config = org.write_config(folder.path(), "kind = \"stdout\"", "")?;
        let text = fs::read_to_string(&config)?;
        fs::write(&config, text.replace(org.authority(), &listener.local_addr()?.to_string()))?;
        let mut command = host(cache);
        command.arg("run").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        // It would go on to try.
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let started = Instant::now();
        let mut host = command.spawn()?;
        let request = async {
            tokio::select! {
                arrived = first_byte(&listener) => arrived,
                status = host.wait() => bail!("source-host ended with {} before its first request", status?),
            }
        };
        timeout(PATIENCE, request).await.context("source-host sent no request")??;
        let passed = started.elapsed();
        host.kill().await?;
        Ok(passed.as_secs_f64() * 1e3)
    })
}

/// Waits until something arrives on the first connection.
async fn first_byte(listener: &TcpListener) -> Result<()> {
    let (mut stream, _) = listener.accept().await.context("no connection")?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

/// How many requests a day takes on which no file comes, with a clock that jumps from poll to poll.
fn idle_day() -> Result<usize> {
    let config = json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": {"flow": "client-credentials", "client_id": "3MVG9.acme", "client_secret": "secret"},
        "streams": {
            "login": {"event_log_file": {"interval": "1h"}},
            "logout": {"event_log_file": {"interval": "1h"}},
            "apex": {"event_log_file": {"interval": "1h"}},
            "exports": {"event_log_file": {"interval": "1h", "event_types": ["ReportExport"]}},
        },
    });
    let mut collector = configured(&config.to_string())?;
    let (mut org, clock, mut state) = (CannedOrg::default(), clock(), None);
    let end = clock.now_ms() + DAY_MS;
    while clock.now_ms() < end {
        let batch = match collector.poll(&mut org, &clock, state.as_deref()) {
            Ok(batch) => batch,
            Err(failure) => bail!("{}", failure.problem),
        };
        state = Some(batch.state);
        clock.advance(i64::from(batch.next_poll_ms));
    }
    Ok(org.requests.len())
}
