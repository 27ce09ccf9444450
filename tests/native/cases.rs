//! Data-driven: `cases/files/<name>/file.csv` is an event log file, `cases/objects/<name>/records.json` a list of records,
//! `expected.ndjson` the events that come of it, one a line, and `expected.ocsf.ndjson` the same with `format = "ocsf"`.
//! `problems.txt`, where there is one, holds the problems, and `names.json` the records that queries for names are answered with, by object.
//! `case.json` says what differs from a file of the type Login in the stream `login`: `event_type`, and members of the
//! configuration. To add a case, add a folder and run the tests with `UPDATE_CASES=1`; then read what was written.

use collector::{Collector, batch::Batch};
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use salesforce_sim::{StoredObject, event_types, event_types_of_attacks};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

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
    let mut config = CONFIG.to_owned();
    for (from, to) in replacements {
        config = config.replacen(from, to, 1);
    }
    configured_by(&config)
}

fn configured_by(config: &str) -> Collector {
    let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem").replace('\n', "\\n");
    let config = config.replace("@KEY@", &key);
    let mut collector = Collector::new();
    collector.configure(&config).expect("a valid configuration");
    collector
}

/// A case as its folder describes it.
struct Case {
    folder: PathBuf,
    /// Members for the top of the configuration, in the place of those of [`CONFIG`].
    config: Map<String, Value>,
    /// `EventLogFile.EventType`
    event_type: String,
}

impl Case {
    /// All of them, in the order of their names.
    fn all() -> Vec<Self> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let entries =
            ["files", "objects"].iter().flat_map(|kind| fs::read_dir(cases.join(kind)).expect("cases"));
        let mut folders: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let case = fs::read_to_string(folder.join("case.json")).unwrap_or_else(|_| String::from("{}"));
        let case: Value = serde_json::from_str(&case).expect("case.json");
        Self {
            config: case["config"].as_object().cloned().unwrap_or_default(),
            event_type: case["event_type"].as_str().unwrap_or("Login").to_owned(),
            folder,
        }
    }

    /// The object whose records it has.
    fn object(&self) -> &str {
        let (stream, sources) =
            self.config["streams"].as_object().and_then(|streams| streams.iter().next()).expect("a stream");
        match (stream.as_str(), sources["object"]["name"].as_str()) {
            (_, Some(name)) => name,
            ("login", None) => "LoginEvent",
            ("logout", None) => "LogoutEvent",
            ("setupaudittrail", None) => "SetupAuditTrail",
            (other, None) => panic!("{other} has no object"),
        }
    }

    fn collector(&self) -> Collector {
        let mut document: Value = serde_json::from_str(CONFIG).expect("JSON");
        for (key, value) in &self.config {
            document[key] = value.clone();
        }
        configured_by(&document.to_string())
    }

    /// The same case with another format, unless it is about one.
    fn with_format(&self, format: &str) -> Option<Self> {
        let mut config = self.config.clone();
        let is_free = config.insert(String::from("format"), format.into()).is_none();
        is_free.then(|| Self { config, event_type: self.event_type.clone(), folder: self.folder.clone() })
    }

    /// Polls an org whose file is that of the case.
    fn run(&self) -> Batch {
        self.run_with(fs::read(self.folder.join("file.csv")).ok())
    }

    /// The same with another file.
    fn run_with(&self, file: Option<Vec<u8>>) -> Batch {
        let mut org = match file {
            Some(body) => CannedOrg::with(vec![CannedFile {
                event_type: self.event_type.clone(),
                ..CannedFile::new(1, body)
            }]),
            None => {
                let records =
                    fs::read_to_string(self.folder.join("records.json")).expect("file.csv or records.json");
                CannedOrg { records: Some(records), ..CannedOrg::default() }
            }
        };
        if let Ok(names) = fs::read_to_string(self.folder.join("names.json")) {
            let names: Map<String, Value> = serde_json::from_str(&names).expect("names.json");
            org.names = names.into_iter().map(|(object, records)| (object, records.to_string())).collect();
        }
        self.collector().poll(&mut org, &StillClock::at(NOW), None).expect("a batch")
    }
}

#[test]
fn each_type_and_each_object_of_the_simulated_org_has_a_case_in_both_schemas() {
    let in_both = |case: &Case| {
        ["expected.ndjson", "expected.ocsf.ndjson"]
            .iter()
            .all(|file| fs::read_to_string(case.folder.join(file)).is_ok_and(|events| !events.is_empty()))
    };
    let cases: Vec<Case> = Case::all().into_iter().filter(in_both).collect();
    let has_records = |case: &&Case| case.folder.join("records.json").exists();
    let types = event_types().into_iter().chain(event_types_of_attacks());
    let without: Vec<&str> = types
        .filter(|name| !cases.iter().any(|case| !has_records(&case) && case.event_type == *name))
        .chain(
            StoredObject::EVERY
                .map(StoredObject::name)
                .into_iter()
                .filter(|name| !cases.iter().filter(has_records).any(|case| case.object() == *name)),
        )
        .collect();
    assert_eq!(without, [""; 0]);
}

/// The columns that the cases of a type, or of an object, have.
pub fn columns_of(name: &str) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    for case in Case::all() {
        if let Ok(records) = fs::read_to_string(case.folder.join("records.json")) {
            let records: Vec<Value> = serde_json::from_str(&records).expect("records.json");
            let objects = records.iter().filter_map(Value::as_object).filter(|_| case.object() == name);
            columns.extend(objects.flat_map(|object| object.keys().cloned()));
        } else if case.event_type == name && (name != "Login" || case.folder.ends_with("login-full")) {
            let file = fs::read_to_string(case.folder.join("file.csv")).expect("file.csv");
            let header = file.lines().next().unwrap_or_default();
            columns.extend(header.split(',').map(|name| name.trim_matches('"').to_owned()));
        }
    }
    columns
}

/// How many more allocations a poll makes for each row, if it reads more rows like the first of a case.
pub fn allocations_per_row(name: &str, config: &[(&str, Value)]) -> f64 {
    const ROWS: usize = 500;
    let mut case = Case::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/files").join(name));
    case.config.extend(config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let file = fs::read_to_string(case.folder.join("file.csv")).expect("file.csv");
    let mut lines = file.lines();
    let (header, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let count = |rows: usize| {
        let body = format!("{header}\n{}", format!("{row}\n").repeat(rows)).into_bytes();
        let mut events = 0;
        let counted = allocation_counter::measure(|| events = case.run_with(Some(body)).events.len());
        assert_eq!(events, rows, "{name}");
        counted.count_total
    };
    (count(2 * ROWS) as f64 - count(ROWS) as f64) / ROWS as f64
}

/// The events that are expected of all cases, with the folder of each.
pub fn expected_events() -> Vec<(String, Value)> {
    expected("expected.ndjson")
}

/// The same with `format = "ocsf"`.
pub fn expected_ocsf_events() -> Vec<(String, Value)> {
    expected("expected.ocsf.ndjson")
}

fn expected(file: &str) -> Vec<(String, Value)> {
    let events = |case: Case| {
        let name =
            case.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(case.folder.join(file)).unwrap_or_default();
        let events: Vec<_> =
            text.lines().map(|line| (name.clone(), serde_json::from_str(line).expect("JSON"))).collect();
        events
    };
    Case::all().into_iter().flat_map(events).collect()
}

#[test]
fn each_file_and_each_object_becomes_the_expected_events() {
    let mut wrong = Vec::new();
    for case in Case::all() {
        let batch = case.run();
        let events: String = batch.events.iter().map(|event| format!("{event}\n")).collect();
        let problems: String = batch.problems.iter().map(|problem| format!("{problem}\n")).collect();
        let ocsf = case.with_format("ocsf").map(|case| case.run().events).unwrap_or_default();
        for event in batch.events.iter().chain(&ocsf) {
            serde_json::from_str::<Value>(event).expect("each event is JSON");
        }
        let ocsf: String = ocsf.iter().map(|event| format!("{event}\n")).collect();
        for (name, text) in
            [("expected.ndjson", events), ("expected.ocsf.ndjson", ocsf), ("problems.txt", problems)]
        {
            let path = case.folder.join(name);
            if env::var_os("UPDATE_CASES").is_some() {
                if text.is_empty() && name != "expected.ndjson" {
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
