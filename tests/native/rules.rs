//! The events that the detection rules of `rules/` are tried on, as the collector writes them.
//!
//! `rules/tests/<rule>/salesforce.json` says what Salesforce has: rows of files and records of objects, by what sets them apart,
//! `match` for those that the rule must find and `no-match` for those that it must not. Beside them stand `match.ndjson` and
//! `no-match.ndjson`, the events that come of it; run the tests with `UPDATE_CASES=1` to write them anew. Whether the rules
//! find them is tried by `rules/tests/check.py`.

use crate::cases::{NOW, configured_with};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// Rows of a file or records of an object.
#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    object: Option<String>,
    #[serde(rename = "match")]
    found: Vec<Map<String, Value>>,
    #[serde(rename = "no-match")]
    passed_over: Vec<Map<String, Value>>,
}

/// Each row or record with its time, as often as it is asked for. Two members are for here: `times`, and `after`, the seconds
/// since the one before.
fn in_time(rows: &[Map<String, Value>]) -> Vec<(DateTime<Utc>, Map<String, Value>)> {
    let mut at = DateTime::from_timestamp_millis(1_780_308_930_239).expect("a time in June 2026");
    let mut all = Vec::new();
    for row in rows {
        let mut row = row.clone();
        let mut number = |name: &str| row.remove(name).and_then(|value| value.as_i64()).unwrap_or(1);
        let (times, after) = (number("times"), number("after"));
        for _ in 0..times {
            at += TimeDelta::seconds(after);
            all.push((at, row.clone()));
        }
    }
    all
}

/// The rows as a file.
fn csv(event_type: &str, rows: &[Map<String, Value>]) -> Vec<u8> {
    let row = |(n, (at, mut row)): (usize, (DateTime<Utc>, Map<String, Value>))| {
        let mut common = |name: &str, value: String| {
            row.entry(name).or_insert(Value::String(value));
        };
        common("EVENT_TYPE", event_type.to_owned());
        common("TIMESTAMP_DERIVED", at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        common("REQUEST_ID", format!("4Ytkf2fEw5GaH40f{n:06}"));
        common("ORGANIZATION_ID", String::from("00D5j00000ABCde"));
        if event_type != "SalesforceLoginAs" {
            common("USER_ID", String::from("0055j000004XYz1"));
            common("CLIENT_IP", String::from("192.0.2.66"));
        }
        row
    };
    let rows: Vec<Map<String, Value>> = in_time(rows).into_iter().enumerate().map(row).collect();
    let header: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let mut file = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    file.write_record(&header).expect("a header");
    for row in &rows {
        let value = |name: &&String| row.get(*name).and_then(Value::as_str).unwrap_or_default();
        file.write_record(header.iter().map(value)).expect("a row");
    }
    file.into_inner().expect("a file")
}

/// The records as the answer to a query.
fn records(object: &str, rows: &[Map<String, Value>]) -> String {
    let record = |(n, (at, row)): (usize, (DateTime<Utc>, Map<String, Value>))| {
        let date = at.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string();
        let id = format!("0Ym5j00000{n:05}AAA");
        let mut record = match object {
            "SetupAuditTrail" => json!({
                "Id": id, "CreatedDate": date, "CreatedById": "0055j000004XYz1AAE", "DelegateUser": null,
                "CreatedBy": {"Name": "Anna Berg", "Username": "anna.berg@acme.com", "Email": "anna@acme.com"},
            }),
            "AuraRequestEventLog" => json!({
                "Id": "000000000000000AAA", "Timestamp": date, "UserIdentifier": "0055j000004XYz1AAE",
                "RequestIdentifier": format!("4Ytkf2fEw5GaH40f{n:06}"), "ClientIp": "192.0.2.66",
            }),
            _ => json!({
                "Id": id, "EventDate": date, "CreatedDate": date, "EventIdentifier": format!("e{n}"),
                "UserId": "0055j000004XYz1AAE", "Username": "anna.berg@acme.com", "SourceIp": "192.0.2.66",
            }),
        };
        record["attributes"] = json!({"type": object});
        for (name, value) in row {
            record[name] = value;
        }
        record
    };
    let all: Vec<Value> = in_time(rows).into_iter().enumerate().map(record).collect();
    Value::Array(all).to_string()
}

/// The events that the collector makes of a source, one a line.
fn events(source: &Source, rows: &[Map<String, Value>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let (streams, mut org) = match (&source.file, &source.object) {
        (Some(event_type), None) => {
            let streams = match event_type.as_str() {
                "Login" => json!({"login": {"event_log_file": {}}}),
                _ => json!({"samples": {"event_log_file": {"event_types": [event_type]}}}),
            };
            let body = csv(event_type, rows);
            let file = CannedFile { event_type: event_type.clone(), ..CannedFile::new(1, body) };
            (streams, CannedOrg::with(vec![file]))
        }
        (None, Some(object)) => {
            let streams = match object.as_str() {
                "SetupAuditTrail" => json!({"setupaudittrail": {"object": {}}}),
                "LoginEvent" => json!({"login": {"object": {}}}),
                _ => json!({"samples": {"object": {"name": object}}}),
            };
            (streams, CannedOrg { records: Some(records(object, rows)), ..CannedOrg::default() })
        }
        _ => panic!("a source is a file or an object"),
    };
    let config = [(r#"{"login": {"event_log_file": {}}}"#, streams.to_string())];
    let config = config.each_ref().map(|(from, to)| (*from, to.as_str()));
    let batch = configured_with(&config).poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
    assert!(
        batch.problems.is_empty(),
        "{:?}",
        batch.problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    let expected = in_time(rows).len();
    assert_eq!(batch.events.len(), expected, "{streams}");
    batch.events.iter().map(|event| format!("{event}\n")).collect()
}

fn folders() -> Vec<PathBuf> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/tests");
    let entries = fs::read_dir(rules).expect("rules/tests").map(|entry| entry.expect("entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("salesforce.json").is_file()).collect();
    folders.sort();
    folders
}

#[test]
fn the_events_that_rules_are_tried_on_are_those_that_the_collector_writes() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let text = fs::read_to_string(folder.join("salesforce.json")).expect("salesforce.json");
        let sources: Vec<Source> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let found: String = sources.iter().map(|source| events(source, &source.found)).collect();
        let passed_over: String = sources.iter().map(|source| events(source, &source.passed_over)).collect();
        assert!(!found.is_empty() && !passed_over.is_empty(), "{}: both kinds are needed", folder.display());
        for (name, events) in [("match.ndjson", found), ("no-match.ndjson", passed_over)] {
            let path = folder.join(name);
            if env::var_os("UPDATE_CASES").is_some() {
                fs::write(path, events).expect("write");
            } else if fs::read_to_string(&path).unwrap_or_default() != events {
                wrong.push(format!("{}: got\n{events}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
