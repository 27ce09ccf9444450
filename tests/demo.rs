//! `make demo`: a day of five streams from a simulated org to a file, by the programs that an operator runs, and the proof
//! that each event came exactly once. Everything it makes is in the folder `demo`.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use e2e::{hosted, org::TestOrg, truth::Delivered};
use salesforce_sim::{Files, Interval, Org, OrgSettings, Rows, StoredObject, Workload};
use source_host::{bytes, grouped};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode},
};

const HOURS: u32 = 24;
const ROWS: u64 = 50_123;
const STREAMS: &str = r#"[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.logout]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
object = { interval = "5m" }
[source.streams.apex]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.setupaudittrail]
object = { interval = "1h" }
[source.streams.aura_request]
event_log_file = { event_types = ["AuraRequest"], interval = "1h", log_file_interval = "hourly" }
object = { name = "AuraRequestEventLog", interval = "15m" }
"#;
const TYPES: [&str; 9] = [
    "Login",
    "Logout",
    "ApexCallout",
    "ApexExecution",
    "ApexRestApi",
    "ApexSoap",
    "ApexTrigger",
    "ExternalCustomApexCallout",
    "AuraRequest",
];

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder)?;
    for name in ["state.json", "events.ndjson", "report.json"] {
        // What an earlier demo left: this one starts from the beginning.
        let _ = fs::remove_file(folder.join(name));
    }

    println!("Starting a simulated org with {HOURS} hours of logs, and making a key for it.");
    let workload = Workload { hours: HOURS, rows: Rows::Total(ROWS), ..Workload::default() };
    let files = Files { event_types: TYPES.map(str::to_owned).into(), ..Files::default() };
    let org = TestOrg::start(OrgSettings { workload, files, ..OrgSettings::default() }).await?;
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config_of(STREAMS, &folder, output, "")?;
    // What the dashboards Completeness and Collector are made of.
    let text = fs::read_to_string(&config)?.replace("[source.auth]", "receipts = true\n[source.auth]");
    fs::write(&config, text)?;

    println!("source-host run {} --until-caught-up\n", config.display());
    let report = folder.join("report.json");
    let mut host = Command::new(hosted::program("source-host"));
    host.arg("run").arg(&config).arg("--until-caught-up").arg("--report").arg(&report);
    let status = tokio::task::spawn_blocking(move || host.status()).await??;
    if !status.success() {
        bail!("source-host ended with {status}");
    }

    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    let count = |name: &str| report[name].as_u64().unwrap_or_default();
    let events = folder.join("events.ndjson");
    let mut delivered = Delivered::default();
    for line in BufReader::new(File::open(&events)?).lines() {
        let line = line?;
        // A receipt is an event of the collector's, and not of the org's.
        if !line.contains(r#""dataset":"salesforce.collector""#) {
            delivered.add(&line)?;
        }
    }
    let comparison = delivered.compare_with(truth(org.simulator.org()));
    println!();
    for (stream, count) in streams(&events)? {
        println!("{stream:<44} {:>9}", grouped(count));
    }
    println!();
    println!("events       {}, {}", grouped(count("events")), bytes(count("event_bytes")));
    println!("files        {}", grouped(count("files")));
    println!("log content  {}, {} over the wire", bytes(count("bytes_read")), bytes(count("bytes_received")));
    println!("requests     {}, {} for a token", grouped(count("requests")), grouped(count("token_requests")));
    println!("seconds      {:.1}", report["seconds"].as_f64().unwrap_or_default());
    println!("peak memory  {} in the component", bytes(count("peak_memory_bytes")));
    println!("written to   {}", events.display());
    println!();
    println!("{comparison}");
    println!();
    println!("make view    opens them in a browser: dashboards, search, and each event whole");
    Ok(if comparison.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The ids of all that a complete collection of the five streams delivers.
fn truth(org: &Org) -> impl Iterator<Item = String> {
    let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
    let files = org.truth(Interval::Hourly).map(|event| event.event_id.to_string());
    let objects =
        [StoredObject::LogoutEvent, StoredObject::SetupAuditTrail, StoredObject::AuraRequestEventLog];
    files.chain(objects.into_iter().flat_map(move |object| org.object_truth(object, always.clone())))
}

/// Events by stream, and by the view that they are of.
fn streams(events: &Path) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in BufReader::new(File::open(events)?).lines() {
        let event: serde_json::Value = serde_json::from_str(&line?)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (dataset, provider) = (text(&event["data_stream"]["dataset"]), text(&event["event"]["provider"]));
        let object = text(&event["salesforce"]["object_name"]);
        let view = if object.is_empty() || provider == "Collector" { provider } else { object };
        *counts.entry(format!("{dataset} from {view}")).or_default() += 1;
    }
    Ok(counts)
}
