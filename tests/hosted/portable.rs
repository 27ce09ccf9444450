//! The very same component file in the Python and the Node host: same events as in the Rust host, byte for byte.
//!
//! Where there is no Python 3.11 or no Node 20, `make setup` leaves that host out and says so, and so does this.

use e2e::{hosted, org::TestOrg, truth::Delivered};
use salesforce_sim::{Interval, OrgSettings, Rows, Workload};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("the repository")
}

/// Collects with the Rust host and with another, which loads `component`, and compares.
async fn compare_with(mut other: Command, component: &Path) {
    let workload = Workload { hours: 3, rows: Rows::Total(6000), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let output = "kind = \"file\"\npath = \"rust.ndjson\"";
    let config = org.write_config(folder.path(), output, "").expect("a configuration");
    let mut rust = crate::host();
    rust.arg("run").arg(config).args(["--until-caught-up", "-q"]);
    fs::write(path("config.json"), org.source().expect("a configuration").to_string()).expect("written");
    other
        .arg(component)
        .arg(path("config.json"))
        .arg("--state")
        .arg(path("other-state.json"))
        .arg("--output")
        .arg(path("other.ndjson"))
        .arg("--until-caught-up");
    let ended = tokio::task::spawn_blocking(move || (rust.status(), other.output())).await.expect("a thread");
    assert!(ended.0.expect("the Rust host").success());
    let other = ended.1.expect("the other host");
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stderr));

    let rust = fs::read(path("rust.ndjson")).expect("events");
    let other = fs::read(path("other.ndjson")).expect("events");
    assert!(rust == other, "the hosts deliver different events");
    let mut delivered = Delivered::default();
    delivered.read(&other[..]).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    println!("{comparison}");
    assert!(comparison.is_clean(), "{comparison}");
}

fn left_out(what: &str, part: &Path) -> bool {
    let left_out = !part.exists();
    if left_out {
        println!("{what} host left out: {} is not there", part.display());
    }
    left_out
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_host_delivers_the_same_events() {
    let python = root().join("embed/python/.venv/bin/python");
    if left_out("Python", &python) {
        return;
    }
    let mut command = Command::new(python);
    command.arg(root().join("embed/python/collect.py"));
    compare_with(command, &hosted::component_path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_host_delivers_the_same_events() {
    let module = root().join("embed/node/transpiled/salesforce-source.js");
    if left_out("Node", &module) {
        return;
    }
    let mut command = Command::new("node");
    command.arg(root().join("embed/node/collect.mjs"));
    compare_with(command, &module).await;
}
