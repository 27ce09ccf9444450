//! Data-driven: `cases/files/<name>/file.csv` is an event log file, `expected.ndjson` the events that come of it, one a
//! line. `problems.txt`, where there is one, holds the problems. To add a case, add a folder with a `file.csv` and run the
//! tests with `UPDATE_CASES=1`; then read what was written.

use collector::Collector;
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use std::{env, fs, path::Path};

/// 2026-06-01T14:00:00Z
pub const NOW: i64 = 1_780_322_400_000;

pub const CONFIG: &str = r#"{
    "instance_url": "https://acme.my.salesforce.com",
    "auth": {"flow": "jwt-bearer", "client_id": "3MVG9.acme", "username": "collector@acme.com", "private_key": "@KEY@"},
    "streams": {"login": {"event_log_file": {}}}
}"#;

/// A configured collector. `more` are members for the top of the document, each with a comma behind it.
pub fn configured(more: &str) -> Collector {
    configured_with(&[("{", &format!("{{{more}"))])
}

/// A configured collector, with parts of the document replaced once each.
pub fn configured_with(replacements: &[(&str, &str)]) -> Collector {
    let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem").replace('\n', "\\n");
    let mut config = CONFIG.to_owned();
    for (from, to) in replacements {
        config = config.replacen(from, to, 1);
    }
    let config = config.replace("@KEY@", &key);
    let mut collector = Collector::new();
    collector.configure(&config).expect("a valid configuration");
    collector
}

#[test]
fn each_file_becomes_the_expected_events() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/files");
    let mut names: Vec<_> =
        fs::read_dir(&folder).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    names.sort();
    let mut wrong = Vec::new();
    for case in names {
        let body = fs::read(case.join("file.csv")).expect("file.csv");
        let mut org = CannedOrg::with(vec![CannedFile::new(1, body)]);
        let batch = configured("").poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
        let events: String = batch.events.iter().map(|event| format!("{event}\n")).collect();
        let problems: String = batch.problems.iter().map(|problem| format!("{problem}\n")).collect();
        for event in &batch.events {
            serde_json::from_str::<serde_json::Value>(event).expect("each event is JSON");
        }
        for (name, text) in [("expected.ndjson", events), ("problems.txt", problems)] {
            let path = case.join(name);
            if env::var_os("UPDATE_CASES").is_some() {
                if text.is_empty() && name == "problems.txt" {
                    let _ = fs::remove_file(path);
                } else {
                    fs::write(path, text).expect("write");
                }
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(format!("{}: got\n{text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
