//! Saves per second and bytes per tenant of a database of 10,000 tenants.
//!
//! ```sh
//! cargo run --release -p state-store --example throughput -- FOLDER [TENANTS] [BYTES]
//! ```

use std::path::Path;
use std::time::Instant;

use state_store::{Database, Owner, Settings, StateFile, StateStore, TenantState};
use tokio::task::JoinSet;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: throughput FOLDER [TENANTS] [BYTES]")?;
    let tenants: usize = arguments.next().map_or(Ok(10_000), |n| n.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(2048), |n| n.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("states.db");
    let database = Database::open(&path, Settings::default())?;
    let mut states = Vec::new();
    for i in 0..tenants {
        states.push((database.tenant(Owner::new(format!("tenant-{i}"), "salesforce", "1.0.0"))?, None));
    }
    // The first time a state is saved, and the second time: then the first one goes into the history.
    for round in 0..2 {
        let begun = Instant::now();
        states = save_all(states, round, bytes).await?;
        report(&format!("save {round}, all at once"), tenants, begun);
        println!("  {} bytes per tenant", size(folder.path())? / tenants as u64);
    }
    for (round, at_once) in [(2, 1), (3, 10), (4, 100), (5, 1000)] {
        let count = tenants.min(at_once * 50) / at_once;
        let begun = Instant::now();
        for _ in 0..count {
            let group = states.split_off(states.len() - at_once.min(states.len()));
            states.splice(0..0, save_all(group, round, bytes).await?);
        }
        report(&format!("{at_once} at a time"), count * at_once, begun);
    }
    let begun = Instant::now();
    for (state, _) in &mut states {
        state.load().await?.ok_or("a state is missing")?;
    }
    report("loads, one at a time", tenants, begun);

    let owner = Owner::new("tenant", "salesforce", "1.0.0");
    let mut file = StateFile::open(&folder.path().join("state.json"), owner, Settings::default())?;
    let (begun, mut revision) = (Instant::now(), None);
    for round in 0..200 {
        revision = Some(file.save(&text(round, bytes), revision).await?);
    }
    report("one file", 200, begun);
    Ok(())
}

fn text(round: u64, bytes: usize) -> String {
    format!("{round:>bytes$}")
}

type Tenant = (TenantState, Option<u64>);

async fn save_all(states: Vec<Tenant>, round: u64, bytes: usize) -> Result<Vec<Tenant>, Error> {
    let mut saves = JoinSet::new();
    for (mut state, revision) in states {
        saves.spawn(async move {
            let revision = state.save(&text(round, bytes), revision).await?;
            Ok::<Tenant, Error>((state, Some(revision)))
        });
    }
    saves.join_all().await.into_iter().collect()
}

fn report(what: &str, count: usize, begun: Instant) {
    println!("{what}: {:.0} a second", count as f64 / begun.elapsed().as_secs_f64());
}

fn size(folder: &Path) -> Result<u64, Error> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
