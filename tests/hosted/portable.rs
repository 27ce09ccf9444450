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

/// The hosts that are there besides the Rust one: name, program, its script, and the component as it loads it.
pub fn others() -> Vec<(&'static str, PathBuf, PathBuf, PathBuf)> {
    let python = root().join("embed/python/.venv/bin/python");
    let module = root().join("embed/node/transpiled/salesforce-source.js");
    let mut others = Vec::new();
    if !left_out("Python", &python) {
        let script = root().join("embed/python/collect.py");
        others.push(("Python", python, script, hosted::component_path()));
    }
    if !left_out("Node", &module) {
        others.push(("Node", PathBuf::from("node"), root().join("embed/node/collect.mjs"), module));
    }
    others
}

/// The same with one of the others, where it is there.
async fn compare_with_host(host: &str) {
    for (_, program, script, component) in others().into_iter().filter(|(name, ..)| *name == host) {
        let mut command = Command::new(program);
        command.arg(script);
        compare_with(command, &component).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_host_delivers_the_same_events() {
    compare_with_host("Python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_host_delivers_the_same_events() {
    compare_with_host("Node").await;
}

#[test]
fn no_host_repeats_a_secret_that_stands_in_the_place_of_its_name() {
    for (host, program, script, component) in others() {
        for document in [
            r#"{"auth": {"client_secret": {"file": "c4n4ry"}}}"#,
            r#"{"auth": {"client_secret": {"env": "c4n4ry"}}}"#,
            r#"{"auth": {"client_secret": "c4n4ry" "x"}}"#,
            r#"{"auth": {"client_secret": c4n4ry}}"#,
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let config = folder.path().join("config.json");
            fs::write(&config, document).expect("written");
            let output = Command::new(&program).arg(&script).arg(&component).arg(&config).output();
            let output = output.expect("the host");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{host}: {said}");
            assert!(!said.contains("c4n4ry") && said.len() > 20, "{host}, {document}: {said}");
        }
    }
}
