//! `make bench`: how fast log content becomes events, natively and in the component, in one run on one machine.
//!
//! Both run whole polls on the same org in memory: sign-in, listing, download, decompression, CSV, ids, ECS documents,
//! batches of the default size. What differs is the sandbox. Nothing is written and nothing goes over a network.

use anyhow::{Result, bail};
use collector::Collector;
use e2e::{
    canned::{CannedFile, CannedOrg, StillClock},
    hosted,
};
use source_host::Limits;
use std::{sync::Arc, time::Instant};

const MEGABYTES: usize = 128;
/// 2026-06-01T14:00:00Z
const NOW: i64 = 1_780_322_400_000;

struct Row {
    what: &'static str,
    events: usize,
    seconds: f64,
    memory: Option<u64>,
}

fn main() -> Result<()> {
    let body: Arc<[u8]> = content(MEGABYTES << 20).into();
    let rows = body.iter().filter(|byte| **byte == b'\n').count() - 1;
    let average = body.len() / rows;
    println!(
        "{} rows of {average} bytes on average, {MEGABYTES} MiB of CSV; three runs each, the best counts\n",
        rows
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plugin = hosted::plugin()?;
    let mut table = Vec::new();
    for (gzip, native, component) in
        [(false, "native, plain", "component, plain"), (true, "native, gzip", "component, gzip")]
    {
        let org = || CannedOrg { gzip, ..CannedOrg::with(vec![CannedFile::new(1, Arc::clone(&body))]) };
        table.push(best(|| in_native(native, org()))?);
        table.push(best(|| runtime.block_on(in_component(component, &plugin, org())))?);
    }
    println!("| from CSV to events | rows/s | MB/s | seconds | peak memory of the component |");
    println!("|---|---|---|---|---|");
    for row in table {
        if row.events != rows {
            bail!("{}: {} events of {rows} rows", row.what, row.events);
        }
        let per_second = rows as f64 / row.seconds;
        let megabytes = body.len() as f64 / 1e6 / row.seconds;
        let memory = row.memory.map_or_else(|| String::from("-"), source_host::bytes);
        println!("| {} | {per_second:.0} | {megabytes:.0} | {:.2} | {memory} |", row.what, row.seconds);
    }
    Ok(())
}

fn best(mut run: impl FnMut() -> Result<Row>) -> Result<Row> {
    let mut best = run()?;
    for _ in 0..2 {
        let row = run()?;
        if row.seconds < best.seconds {
            best = row;
        }
    }
    Ok(best)
}

fn config() -> String {
    let key = include_str!("../crates/collector/tests/keys/pkcs8.pem");
    serde_json::json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": {"flow": "jwt-bearer", "client_id": "3MVG9.acme", "username": "collector@acme.com", "private_key": key},
        "streams": {"login": {"initial_interval": "365d", "event_log_file": {}}},
    })
    .to_string()
}

fn in_native(what: &'static str, mut org: CannedOrg) -> Result<Row> {
    let mut collector = Collector::new();
    if let Err(problems) = collector.configure(&config()) {
        bail!("{}", problems[0]);
    }
    let clock = StillClock::at(NOW);
    let (mut state, mut events) = (None, 0);
    let start = Instant::now();
    loop {
        let batch = match collector.poll(&mut org, &clock, state.as_deref()) {
            Ok(batch) => batch,
            Err(failure) => bail!("{}", failure.problem),
        };
        events += batch.events.len();
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            return Ok(Row { what, events, seconds: start.elapsed().as_secs_f64(), memory: None });
        }
    }
}

async fn in_component(what: &'static str, plugin: &source_host::Plugin, org: CannedOrg) -> Result<Row> {
    let mut source = hosted::open(plugin, org, Limits::default()).await?;
    source.configure(&config()).await?;
    let (mut state, mut events) = (None, 0);
    let start = Instant::now();
    loop {
        let batch = source.poll(state.as_deref()).await?;
        events += batch.events.len();
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            let seconds = start.elapsed().as_secs_f64();
            return Ok(Row { what, events, seconds, memory: Some(source.peak_memory()) });
        }
    }
}

/// Rows of a Login file as an org of 2026 writes them, until there are so many bytes.
fn content(bytes: usize) -> Vec<u8> {
    let full = include_str!("cases/files/login-full/file.csv");
    let (header, row) = full.split_once('\n').unwrap_or_default();
    let mut content = Vec::with_capacity(bytes + 1024);
    content.extend_from_slice(header.as_bytes());
    content.push(b'\n');
    let mut n = 0;
    while content.len() < bytes {
        let row = row.replace("4Ytkf2fEw5GaH40fHw22i-", &format!("4Ytkf2fEw5GaH{n:09}"));
        content.extend_from_slice(row.as_bytes());
        n += 1;
    }
    content
}
