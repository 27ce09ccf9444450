//! `make demo-fleet`: fifty simulated orgs, three servers, two workers of which one is killed while it works, and a reader that takes the
//! events as a pipeline would. Then what it took is held against what there was. Everything it makes is in the folder `demo-fleet`.

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream::RetentionPolicy};
use chrono::{DateTime, Utc};
use e2e::nats::{Servers, program};
use e2e::{hosted, org::TestOrg, truth::Delivered};
use futures_util::StreamExt as _;
use salesforce_sim::{Files, Interval, Org, OrgSettings, Rows, StoredObject, Workload};
use source_host::grouped;
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

const TENANTS: usize = 50;
const NODES: usize = 3;
const HOURS: u32 = 6;
/// Rows of Login files of an org; those of other files come besides.
const ROWS: u64 = 2_000;
const LEASE: &str = "10s";
const STREAMS: &str = r#"[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.setupaudittrail]
object = { interval = "1h" }
"#;
/// After so long what lacks is lacking.
const PATIENCE: Duration = Duration::from_secs(240);

/// A worker, killed at the end.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let Some(nats_server) = program() else {
        println!(
            "There is no nats-server: `make setup-nats` installs one where there is Python 3.11 with venv."
        );
        return Ok(ExitCode::FAILURE);
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo-fleet");
    // What an earlier demo left: this one starts from the beginning.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder)?;
    let secrets = folder.join("secrets");

    println!(
        "Starting {TENANTS} simulated orgs with {HOURS} hours of logs, and a cluster of {NODES} nats-servers."
    );
    let mut orgs = BTreeMap::new();
    let mut configs = Vec::new();
    for number in 1..=TENANTS {
        let name = format!("org-{number:02}");
        let workload = Workload { hours: HOURS, rows: Rows::Total(ROWS), ..Workload::default() };
        let files = Files { event_types: vec!["Login".to_owned()], ..Files::default() };
        let settings = OrgSettings { seed: number as u64, workload, files, ..OrgSettings::default() };
        let org = TestOrg::start(settings).await?;
        configs.push((name.clone(), org.write_tenant(STREAMS, &name, &secrets)?));
        orgs.insert(name, org);
    }
    let servers = Servers::start(&nats_server, NODES);
    let urls = servers.urls().join(",");
    println!("Servers: {urls}");
    let fleet = |arguments: &[&str]| {
        let mut command = Command::new(hosted::program("source-host"));
        command.arg("fleet").args(["--nats", &urls, "--lease", LEASE]).args(arguments);
        command
    };
    // A cluster takes some seconds until it has leaders.
    drop(servers.connect().await);

    println!("source-host fleet tenants add org-01 secrets/org-01.toml, and the others");
    for (name, config) in &configs {
        let config = config.to_str().context("a path")?;
        let done = fleet(&["tenants", "add", name, config]).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let events = Reader::of(&servers).await?;

    println!("source-host fleet worker, two of them\n");
    let mut workers = Vec::new();
    for number in 1..=2 {
        workers.push(worker(&fleet, &folder, number)?);
    }
    let began = Instant::now();
    let wanted: u64 = orgs.values().map(|org| truth(org.simulator.org()).count() as u64).sum();
    let mut reader = events;
    reader.take(wanted / 10, began + PATIENCE).await?;
    println!("{} events are read. One of the two workers is killed (kill -9).", grouped(reader.count()));
    drop(workers.remove(0));
    let killed = Instant::now();
    let status = fleet(&["status"]).output()?;
    ensure!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    println!("\nsource-host fleet status\n{}", String::from_utf8_lossy(&status.stdout));
    reader.take(wanted, began + PATIENCE).await?;
    println!(
        "All is read {:.1} s after the kill, {:.1} s after the start; a lease is {LEASE}.",
        killed.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    // What comes twice would come now.
    let quiet = Instant::now() + Duration::from_secs(3);
    reader.take(u64::MAX, quiet).await?;
    let list = fleet(&["tenants", "list"]).output()?;
    let list = String::from_utf8_lossy(&list.stdout);
    println!("\nsource-host fleet tenants list");
    list.lines().take(4).for_each(|line| println!("{line}"));
    println!("and {} more\n", list.lines().count().saturating_sub(4));

    let mut sum = e2e::truth::Comparison::default();
    for (name, org) in &orgs {
        let of = reader.delivered.remove(name).unwrap_or_default();
        let one = of.compare_with(truth(org.simulator.org()));
        if !one.is_clean() {
            println!("{name}: {one}");
        }
        sum.wanted += one.wanted;
        sum.delivered += one.delivered;
        sum.missing += one.missing;
        sum.duplicated += one.duplicated;
        sum.unknown += one.unknown;
    }
    println!("{TENANTS} tenants: {sum}");
    Ok(if sum.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn worker(fleet: &dyn Fn(&[&str]) -> Command, folder: &Path, number: usize) -> Result<Worker> {
    let log: PathBuf = folder.join(format!("worker-{number}.log"));
    let (secrets, components) = (folder.join("secrets"), folder.join("components"));
    let (Some(secrets), Some(components)) = (secrets.to_str(), components.to_str()) else {
        bail!("the folder has no name");
    };
    let mut command = fleet(&["worker", "--secrets", secrets, "--components", components, "--places", "8"]);
    let log = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    Ok(Worker(command.stdout(Stdio::null()).stderr(log).spawn()?))
}

/// The ids of all that a complete collection delivers.
fn truth(org: &Org) -> impl Iterator<Item = String> {
    let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
    let files = org.truth(Interval::Hourly).map(|event| event.event_id.to_string());
    files.chain(org.object_truth(StoredObject::SetupAuditTrail, always))
}

/// Takes events from the fleet's stream as a pipeline does: a durable consumer, each event acknowledged.
struct Reader {
    messages: pull::Stream,
    /// By their numbers in the stream: one that is handed out again is no other event.
    seen: HashSet<u64>,
    delivered: BTreeMap<String, Delivered>,
}

impl Reader {
    async fn of(servers: &Servers) -> Result<Self> {
        let context = jetstream::new(servers.connect().await);
        let stream = context.get_stream("fleet-events").await?;
        ensure!(stream.cached_info().config.retention == RetentionPolicy::WorkQueue, "what is read goes");
        let config = pull::Config {
            durable_name: Some("pipeline".to_owned()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 10_000,
            ..pull::Config::default()
        };
        let messages = stream.create_consumer(config).await?.messages().await?;
        Ok(Self { messages, seen: HashSet::new(), delivered: BTreeMap::new() })
    }

    fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Takes until there are so many, or it is too late.
    async fn take(&mut self, until: u64, deadline: Instant) -> Result<()> {
        while self.count() < until {
            let next = tokio::time::timeout_at(deadline.into(), self.messages.next()).await;
            let Ok(Some(message)) = next else { return Ok(()) };
            let message = message?;
            let number = message.info().map_err(|error| anyhow::anyhow!("{error}"))?.stream_sequence;
            if self.seen.insert(number) {
                let tenant = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                self.delivered.entry(tenant).or_default().add(std::str::from_utf8(&message.payload)?)?;
            }
            message.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
        }
        Ok(())
    }
}
