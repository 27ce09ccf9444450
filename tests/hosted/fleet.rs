//! A fleet, by the programs that an operator runs, over a real nats-server. Left out, and said so, where there is none.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ::fleet::{JetStream, Layout};
use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use chrono::{DateTime, TimeDelta, Utc};
use e2e::nats::{Servers, program};
use e2e::{hosted, org::TestOrg, truth::Delivered};
use salesforce_sim::{Files, Interval, OrgSettings, Rows, Workload};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const STREAMS: &str = r#"[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
"#;
/// How long something is waited for.
const LONGEST: Duration = Duration::from_secs(60);

struct Fleet {
    servers: Servers,
    engine: JetStream,
    folder: tempfile::TempDir,
}

/// A process that is ended with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fleet {
    async fn start(program: &Path) -> Result<Self> {
        let servers = Servers::start(program, 1);
        let mut layout = Layout::new("fleet")?;
        layout.replicas = 1;
        layout.lease = Duration::from_secs(3);
        let engine = JetStream::open(servers.connect().await, layout).await?;
        Ok(Self { servers, engine, folder: tempfile::tempdir()? })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(hosted::program("source-host"));
        let url = self.servers.urls().join(",");
        command.args(["fleet", "--nats", &url, "--replicas", "1", "--lease", "3s"]).args(arguments);
        command
    }

    fn ask(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments).output()?)
    }

    /// What it prints, where it ends well.
    fn told(&self, arguments: &[&str]) -> Result<String> {
        let output = self.ask(arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.told(arguments)?)?)
    }

    fn worker(&self, log: &str) -> Result<Running> {
        let path = self.folder.path().to_str().context("a path")?;
        let mut command = self.command(&["worker", "--secrets", path, "--components", path, "--places", "4"]);
        let log = File::create(self.folder.path().join(log))?;
        Ok(Running(command.stdout(Stdio::null()).stderr(log).spawn()?))
    }

    fn state_of(&self, tenant: &str) -> Result<Value> {
        let all = self.json(&["tenants", "list", "--json"])?;
        let all = all.as_array().context("a list")?;
        Ok(all.iter().find(|one| one["tenant"] == tenant).cloned().unwrap_or_default())
    }

    async fn delivered(&self, tenant: &str) -> Result<Delivered> {
        let mut delivered = Delivered::default();
        for event in self.engine.waiting_events(tenant).await? {
            delivered.add(&event)?;
        }
        Ok(delivered)
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LONGEST;
    while !holds()? {
        ensure!(Instant::now() < deadline, "{what} does not come");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

async fn org(seed: u64, end: Option<DateTime<Utc>>) -> Result<TestOrg> {
    let workload = Workload { hours: 4, rows: Rows::Total(300), end, ..Workload::default() };
    let files = Files { event_types: vec!["Login".to_owned()], ..Files::default() };
    TestOrg::start(OrgSettings { seed, workload, files, ..OrgSettings::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_collects_and_what_is_wrong_with_one_tenant_stays_with_it() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let fleet = Fleet::start(&program).await?;
    let folder = fleet.folder.path();
    let mut configs = Vec::new();
    let mut orgs = Vec::new();
    for (number, name) in ["acme", "beta", "late"].into_iter().enumerate() {
        // What the last one has is older than what is collected at first.
        let end = (name == "late").then(|| days_ago(10));
        let org = org(number as u64 + 1, end).await?;
        configs.push(org.write_tenant(STREAMS, name, folder)?);
        orgs.push(org);
    }
    let config = |number: usize| configs[number].to_str().context("a path");
    for (number, name) in ["acme", "beta"].into_iter().enumerate() {
        let said = fleet.told(&["tenants", "add", name, config(number)?])?;
        assert!(said.starts_with(&format!("{name} is added, with sha256:")), "{said}");
    }
    // A configuration with mistakes is not added, and each is told with its line.
    let broken = folder.join("broken.toml");
    let text = std::fs::read_to_string(&configs[0])?;
    std::fs::write(&broken, format!("{text}\n[output]\nkind = \"stdout\"\n[limits]\nmemry = \"1MiB\"\n"))?;
    let refused = fleet.ask(&["tenants", "add", "broken", broken.to_str().context("a path")?])?;
    let why = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("output: events go to the fleet's stream") && why.contains("limits.memry"), "{why}");
    // What is secret stands in no record.
    let key = "private_key = { file = \"acme/client-key.pem\" }";
    let text = text.replace(key, "client_secret = \"do-not-store\"");
    let text = text.replace("[egress]", "[egress]\nproxy = \"http://me:do-not-store@127.0.0.1:9\"");
    std::fs::write(&broken, text.replace("jwt-bearer", "client-credentials"))?;
    let refused = fleet.ask(&["tenants", "add", "broken", broken.to_str().context("a path")?])?;
    let why = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("source.auth.client_secret: a secret stands in the file"), "{why}");
    assert!(why.contains("egress.proxy: a secret stands") && !why.contains("do-not-store"), "{why}");
    assert_eq!(fleet.state_of("broken")?, Value::Null);
    // Somebody puts records there that are none, with a configuration that does not parse, and with a component that is another one.
    let context = jetstream::new(fleet.servers.connect().await);
    let records = context.get_key_value("fleet-tenants").await?;
    let acme: Value = serde_json::from_slice(&records.get("acme").await?.context("a record")?)?;
    let put = |name: &'static str, record: String| {
        let records = records.clone();
        async move { records.put(name, record.into()).await }
    };
    put("no-record", "what is this".to_owned()).await?;
    let with = |key: &str, value: &str| {
        let mut record = acme.clone();
        record[key] = value.into();
        record.to_string()
    };
    put("no-toml", with("config", "component = [")).await?;
    let other = format!("sha256:{}", "1".repeat(64));
    put("other", with("component", &other)).await?;
    let store = context.get_object_store("fleet-components").await?;
    store.put(&*other, &mut &b"no component"[..]).await?;
    for name in ["no-record", "no-toml", "other"] {
        fleet.engine.wake(name).await?;
    }

    let _worker = fleet.worker("one.log")?;
    until("the end of both collections", || {
        Ok(fleet.state_of("acme")?["state"] == "asleep" && fleet.state_of("beta")?["state"] == "asleep")
    })
    .await?;
    for (number, name) in ["acme", "beta"].into_iter().enumerate() {
        let comparison = fleet.delivered(name).await?.compare(orgs[number].simulator.org(), Interval::Hourly);
        assert!(comparison.is_clean(), "{name}: {comparison}");
    }
    for (name, says) in [
        ("no-record", "the record of no-record is none"),
        ("no-toml", "not TOML at line 1"),
        ("other", "it is not used; store it again"),
    ] {
        until(name, || Ok(fleet.state_of(name)?["failed"].as_str().is_some_and(|why| why.contains(says))))
            .await?;
        let why = fleet.state_of(name)?["failed"].as_str().unwrap_or_default().to_owned();
        assert!(!why.contains('\n'), "{why}");
    }
    let status = fleet.json(&["status", "--json"])?;
    assert!(status["stuck"].as_array().is_some_and(|stuck| stuck.len() == 3), "{status}");
    assert!(status["workers"][0]["places"] == 4, "{status}");
    assert!(fleet.told(&["status"])?.contains("store it again"));

    // Another one comes while it works, is paused and resumed, collects a range besides, and goes.
    fleet.told(&["tenants", "add", "late", config(2)?])?;
    until("its collection", || Ok(fleet.state_of("late")?["commits"].as_u64() > Some(0))).await?;
    assert_eq!(fleet.delivered("late").await?.count(), 0);
    fleet.told(&["tenants", "pause", "late"])?;
    assert_eq!(fleet.state_of("late")?["state"], "paused");
    fleet.told(&["tenants", "resume", "late"])?;
    let (from, until_day) = (days_ago(11).to_rfc3339(), days_ago(9).to_rfc3339());
    fleet.told(&["tenants", "backfill", "late", "--from", &from, "--until", &until_day])?;
    let again = fleet.ask(&["tenants", "backfill", "late", "--from", &from, "--until", &until_day])?;
    assert_eq!(again.status.code(), Some(2), "one at a time");
    let shown = fleet.json(&["tenants", "show", "late", "--json"])?;
    assert!(shown["config"].as_str().is_some_and(|text| text.contains("late/client-key.pem")), "{shown}");
    assert!(!shown.to_string().contains("PRIVATE KEY"), "a secret is no part of a record");
    until("the end of its backfill", || {
        Ok(fleet.json(&["tenants", "show", "late", "--json"])?["backfill"].is_null())
    })
    .await?;
    let comparison = fleet.delivered("late").await?.compare(orgs[2].simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
    fleet.told(&["tenants", "remove", "late"])?;
    assert_eq!(fleet.state_of("late")?, Value::Null);
    let gone = fleet.ask(&["tenants", "pause", "late"])?;
    assert_eq!(gone.status.code(), Some(2));

    // Whoever is mended is in trouble no more.
    let is_well = |name: &'static str| {
        let one = fleet.state_of(name);
        move || one.map(|one| one["state"] == "asleep" && one["failed"].is_null())
    };
    fleet.told(&["tenants", "add", "no-toml", config(0)?])?;
    until("the tenant that was mended", || is_well("no-toml")()).await?;
    // A key that takes the place of another is read without anybody saying so.
    let org = org(9, None).await?;
    let path = org.write_tenant(STREAMS, "rotated", folder)?;
    let key = folder.join("rotated/client-key.pem");
    let right = std::fs::read(&key)?;
    std::fs::copy(folder.join("acme/client-key.pem"), &key)?;
    fleet.told(&["tenants", "add", "rotated", path.to_str().context("a path")?])?;
    until("a refused key", || Ok(!fleet.state_of("rotated")?["failed"].is_null())).await?;
    std::fs::write(&key, right)?;
    until("the tenant with another key", || is_well("rotated")()).await?;
    let comparison = fleet.delivered("rotated").await?.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
    let status = fleet.json(&["status", "--json"])?;
    let stuck = status["stuck"].as_array().context("a list")?.iter().map(|one| one["tenant"].as_str());
    assert_eq!(stuck.flatten().collect::<BTreeSet<_>>(), BTreeSet::from(["no-record", "other"]), "{status}");
    Ok(())
}
