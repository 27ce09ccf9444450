//! `make demo`: a day of logins from a simulated org to a file, by the programs that an operator runs, and the proof
//! that each event came exactly once. Everything it makes is in the folder `demo`.

use anyhow::{Context, Result, bail};
use e2e::{hosted, org::TestOrg, truth::Delivered};
use salesforce_sim::{Interval, OrgSettings, Rows, Workload};
use source_host::{bytes, grouped};
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, ExitCode},
};

const HOURS: u32 = 24;
const ROWS: u64 = 50_123;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder)?;
    for name in ["state.json", "events.ndjson", "report.json"] {
        // What an earlier demo left: this one starts from the beginning.
        let _ = fs::remove_file(folder.join(name));
    }

    println!("Starting a simulated org with {HOURS} hours of logins, and making a key for it.");
    let workload = Workload { hours: HOURS, rows: Rows::Total(ROWS), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await?;
    let config = org.write_config(&folder, "kind = \"file\"\npath = \"events.ndjson\"", "")?;

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
    delivered.read(File::open(&events)?)?;
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
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
    Ok(if comparison.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
