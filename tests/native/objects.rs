//! What becomes of query answers that are not what they should be: events, or a problem that names the query.

use crate::cases::{NOW, configured_with};
use collector::{
    Collector,
    batch::{Batch, Failure},
    io::{Http, Request, Response, TransportError},
    problem::Kind,
};
use e2e::{
    canned::{CannedOrg, Mishap, StillClock, What},
    inputs::{self, Input},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write as _;

const AUDIT: &str = "\"streams\": {\"setupaudittrail\": {\"object\": {}}}";
const LOGINS: &str = "\"streams\": {\"login\": {\"object\": {}}}";
const AURA: &str = "\"streams\": {\"aura\": {\"object\": {\"name\": \"AuraRequestEventLog\"}}}";

fn collecting(streams: &str) -> Collector {
    configured_with(&[("\"streams\": {\"login\": {\"event_log_file\": {}}}", streams)])
}

/// An org that answers queries with these bodies, one after the other, and then with nothing.
fn org(bodies: impl IntoIterator<Item = String>) -> CannedOrg {
    let mut org = CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
    for body in bodies {
        // Tests are short, and so is what they leak.
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(200, body.leak()) });
    }
    org
}

fn page(records: &Value) -> String {
    json!({"totalSize": records.as_array().map_or(0, Vec::len), "done": true, "records": records}).to_string()
}

fn poll(streams: &str, org: &mut CannedOrg) -> Result<Batch, Failure> {
    collecting(streams).poll(org, &StillClock::at(NOW), None)
}

fn events(batch: &Batch) -> Vec<Value> {
    batch.events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
}

#[test]
fn a_record_that_lacks_what_it_should_have_is_an_event_all_the_same() {
    let created = "2026-06-01T10:00:00.000+0000";
    for (record, malformed) in [
        (json!({"Id": "0Ym000000000001", "CreatedDate": created, "Action": "changedPassword"}), 0),
        (json!({"Id": "0Ym000000000001", "CreatedDate": created, "Action": null, "Display": null}), 0),
        (json!({"CreatedDate": created, "Action": "x"}), 0),
        (json!({"Id": null, "CreatedDate": created, "Action": "x"}), 0),
        (json!({"Id": "0Ym000000000001", "Action": "x"}), 1),
        (json!({"Id": "0Ym000000000001", "CreatedDate": "yesterday", "Action": "x"}), 1),
        (json!({"Id": "0Ym000000000001", "CreatedDate": null, "Action": "x"}), 1),
        (json!({"Id": 7, "CreatedDate": 7}), 1),
        (json!({}), 1),
        (json!(7), 1),
        (json!(null), 1),
        (json!("text"), 1),
        (json!([{"Id": "0Ym000000000001"}]), 1),
    ] {
        let batch = poll(AUDIT, &mut org([page(&json!([record]))])).expect("a batch");
        let events = events(&batch);
        assert_eq!((events.len(), batch.stats.rows_malformed), (1, malformed), "{record}");
        assert!(events[0]["event"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{record}");
        assert!(events[0]["@timestamp"].is_string(), "{record}");
        assert_eq!(events[0]["error"]["message"].is_array(), malformed > 0, "{record}: {}", batch.events[0]);
    }
}

#[test]
fn numbers_of_any_size_and_nested_records_arrive_as_they_were_sent() {
    let body = r#"{"totalSize": 1, "done": true, "records": [{"attributes": {"type": "SetupAuditTrail"},
        "Id": "0Ym000000000001", "CreatedDate": "2026-06-01T10:00:00.000+0000",
        "Big__c": 12345678901234567890123, "Odd__c": 9007199254740993, "Small__c": 1e-7,
        "CreatedBy": {"attributes": {"type": "User"}, "Name": "Ann", "Manager": {"Name": "Bob"}}}]}"#;
    let batch = poll(AUDIT, &mut org([body.to_owned()])).expect("a batch");
    for text in ["12345678901234567890123", "9007199254740993", "1e-7", "\"Ann\"", "\"Bob\""] {
        assert!(batch.events[0].contains(text), "{text}: {}", batch.events[0]);
    }
    assert!(!batch.events[0].contains("attributes"), "{}", batch.events[0]);
}

#[test]
fn records_without_a_key_of_their_own_are_told_apart_by_their_content() {
    let record = |uri: &str| json!({"Id": "000000000000000AAA", "Timestamp": "2026-06-01T10:00:00.000+0000", "Uri": uri});
    let answer = page(&json!([record("/a"), record("/b"), record("/a")]));
    let batch = poll(AURA, &mut org([answer])).expect("a batch");
    let mut ids: Vec<String> = events(&batch).iter().map(|e| e["event"]["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.iter().all(|id| !id.contains("0000000000")), "{ids:?}");
}

#[test]
fn an_answer_that_is_no_page_is_a_problem_that_names_the_query() {
    for body in
        ["", "[]", "{}", "null", "<html>", r#"{"done":true}"#, r#"{"done":true,"records":{}}"#, "{\"done\":"]
    {
        let failure = poll(AUDIT, &mut org([body.to_owned()])).expect_err(body);
        assert_eq!(failure.problem.kind, Kind::Transient, "{body}");
        assert_eq!(failure.problem.stream.as_deref(), Some("setupaudittrail"), "{body}");
        assert!(
            failure.problem.message.contains("the query of SetupAuditTrail from 2026-05-"),
            "{}",
            failure.problem
        );
        assert!(failure.state.is_some(), "{body}");
    }
}

#[test]
fn a_next_page_on_another_host_is_not_asked_for() {
    for next in
        ["https://evil.example/services/data/v65.0/query/x", "//evil.example/x", "/services/data/\\..\\x"]
    {
        let body = json!({"totalSize": 9, "done": false, "records": [], "nextRecordsUrl": next}).to_string();
        let mut org = org([body]);
        let failure = poll(LOGINS, &mut org).expect_err(next);
        assert!(failure.problem.message.contains("not a path of this org"), "{}", failure.problem);
        assert_eq!(org.requests.len(), 2, "{:?}", org.requests);
    }
}

#[test]
fn pages_that_repeat_themselves_for_ever_come_to_an_end() {
    let record = |key: &str| json!({"Id": "000000000000000AAA", "EventIdentifier": key, "EventDate": "2026-06-01T10:00:00.000+0000"});
    // The same page under new names, the same name again and again, and pages with nothing on them.
    let renamed = |n: u32| {
        json!({"totalSize": 3, "done": false, "records": [record("a")],
            "nextRecordsUrl": format!("/services/data/v65.0/query/x-{n}")})
    };
    let same = |_: u32| {
        json!({"totalSize": 3, "done": false, "records": [record("a")],
            "nextRecordsUrl": "/services/data/v65.0/query/x"})
    };
    let empty = |n: u32| {
        json!({"totalSize": 3, "done": false, "records": [],
            "nextRecordsUrl": format!("/services/data/v65.0/query/x-{n}")})
    };
    let pages: [&dyn Fn(u32) -> Value; 3] = [&renamed, &same, &empty];
    for page in pages {
        let mut org = org((0..1000).map(|n| page(n).to_string()));
        let failure = poll(LOGINS, &mut org).expect_err("a failure");
        assert_eq!(failure.problem.kind, Kind::Transient, "{}", failure.problem);
        assert!(org.requests.len() < 30, "{} requests", org.requests.len());
        assert!(failure.problem.message.contains("LoginEvent"), "{}", failure.problem);
    }
}

#[test]
fn an_object_that_answers_the_same_records_to_every_query_comes_to_an_end() {
    let records: Vec<Value> = (0..2000)
        .map(|n| json!({"Id": format!("0Ym{n:015}"), "CreatedDate": "2026-06-01T10:00:00.000+0000"}))
        .collect();
    let answer = page(&records.into());
    let mut org = org((0..50).map(|_| answer.clone()));
    let mut collector = collecting(AUDIT);
    let clock = StillClock::at(NOW);
    let (mut state, mut delivered) = (None::<String>, 0);
    for _ in 0..20 {
        match collector.poll(&mut org, &clock, state.as_deref()) {
            Ok(batch) => {
                delivered += batch.events.len();
                state = Some(batch.state);
            }
            Err(failure) => state = failure.state.or(state),
        }
    }
    assert_eq!(delivered, 2000);
    assert!(org.requests.len() < 10, "{} requests", org.requests.len());
}

#[test]
fn a_page_of_any_length_is_not_held_in_memory_beyond_its_bound() {
    let long = "x".repeat(9 << 20);
    let body = page(
        &json!([{"Id": "0Ym000000000001", "CreatedDate": "2026-06-01T10:00:00.000+0000", "Display": long}]),
    );
    let mut org = org((0..30).map(|_| body.clone()));
    let batch = poll(AUDIT, &mut org).expect("a narrower window was tried");
    let problem = batch.problems.first().expect("a problem");
    assert_eq!((batch.events.len(), problem.kind), (0, Kind::Data), "{problem}");
    assert!(problem.message.contains("the query of SetupAuditTrail from 2026-05-25"), "{problem}");
    assert!(problem.message.contains("longer than"), "{problem}");
    assert!(problem.retry_after_ms > Some(1000) && org.requests.len() < 30, "{}", org.requests.len());
}

/// An org, and what it was asked with.
struct Asked {
    org: CannedOrg,
    encodings: Vec<Option<String>>,
}

impl Http for Asked {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        let encoding = request.headers.iter().find(|(name, _)| *name == "accept-encoding");
        self.encodings.push(encoding.map(|(_, value)| value.reveal().to_owned()));
        self.org.send(request)
    }
}

#[test]
fn answers_to_queries_may_come_compressed_and_say_the_same() {
    let input = Input::with_rows(inputs::Kind::LoginEvent, 4_500).expect("an input");
    let collected = [false, true].map(|gzip| {
        let (mut org, mut received) = (Asked { org: input.org(gzip), encodings: Vec::new() }, 0);
        let mut collector = inputs::configured(&input.config("ecs")).expect("a collector");
        let (mut state, mut events) = (None, Vec::new());
        loop {
            let batch = collector.poll(&mut org, &inputs::clock(), state.as_deref()).expect("a batch");
            assert_eq!(batch.problems, []);
            received += batch.stats.bytes_received;
            events.extend(batch.events);
            state = Some(batch.state);
            if batch.next_poll_ms > 0 {
                break;
            }
        }
        let (tokens, queries) = org.encodings.split_at(1);
        assert_eq!(tokens, [None]);
        assert!(queries.iter().all(|encoding| encoding.as_deref() == Some("gzip")), "{queries:?}");
        (events, received)
    });
    let [(plain, plainly), (compressed, received)] = collected;
    assert_eq!(plain.len(), 4_500);
    assert_eq!(plain, compressed);
    assert!(received * 3 < plainly, "{received} of {plainly} bytes");
}

#[test]
fn a_compressed_answer_that_is_cut_is_asked_for_again_and_nothing_of_it_counts() {
    let records: Vec<_> = (0..200)
        .map(|n| json!({"Id": format!("0Ym{n:012}"), "CreatedDate": "2026-06-01T10:00:00.000+0000", "Action": "x"}))
        .collect();
    let whole = compressed(page(&json!(records)).as_bytes());
    for length in [0, 5, 12, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let mut org = CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
        org.mishaps.push(Mishap { path: "/query", what: What::Gzip(whole[..length].to_vec()) });
        let failure = poll(AUDIT, &mut org);
        let problem = match &failure {
            Ok(batch) => {
                assert!(batch.events.is_empty(), "{length}");
                &batch.problems[0]
            }
            Err(failure) => &failure.problem,
        };
        assert!(problem.retry_after_ms.is_some(), "{length}: {problem}");
        org.mishaps.push(Mishap { path: "/query", what: What::Gzip(whole.clone()) });
        assert_eq!(poll(AUDIT, &mut org).expect("a batch").events.len(), 200);
    }
}

#[test]
fn a_small_answer_that_unpacks_to_a_huge_one_is_not_held_in_memory_beyond_the_bound_of_a_page() {
    let mut org = CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
    let bomb = compressed(&vec![b' '; 256 << 20]);
    org.mishaps.extend((0..30).map(|_| Mishap { path: "/query", what: What::Gzip(bomb.clone()) }));
    let batch = poll(AUDIT, &mut org).expect("a narrower window was tried");
    let problem = batch.problems.first().expect("a problem");
    assert!(problem.message.contains("longer than 8388608 bytes"), "{problem}");
    assert!(org.requests.len() < 30, "{}", org.requests.len());
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).expect("written");
    gzip.finish().expect("written")
}

#[test]
fn a_next_page_is_read_although_the_page_before_says_that_it_is_the_last() {
    let record = |key: &str| json!({"Id": "000000000000000AAA", "EventIdentifier": key, "EventDate": "2026-06-01T10:00:00.000+0000"});
    let first = json!({"totalSize": 2, "done": true, "records": [record("a")],
        "nextRecordsUrl": "/services/data/v65.0/query/x-1"});
    let second = json!({"totalSize": 2, "done": true, "records": [record("b")]});
    let batch = poll(LOGINS, &mut org([first.to_string(), second.to_string()])).expect("a batch");
    assert_eq!((batch.events.len(), batch.problems.len()), (2, 0), "{:?}", batch.problems);
}

#[test]
fn a_record_that_comes_twice_in_an_answer_is_one_event() {
    let record = json!({"Id": "000000000000000AAA", "EventIdentifier": "a", "EventDate": "2026-06-01T10:00:00.000+0000"});
    let batch = poll(LOGINS, &mut org([page(&json!([record, record]))])).expect("a batch");
    assert_eq!(batch.events.len(), 1, "{:?}", batch.events);
}

#[test]
fn a_cursor_that_is_no_time_is_refused_and_nothing_is_asked() {
    let state = poll(LOGINS, &mut org([page(&json!([]))])).expect("a batch").state;
    let good: Value = serde_json::from_str(&state).expect("JSON");
    let mut bad = good.clone();
    assert!(good["streams"]["login"]["object"]["cursor"].is_string(), "{good}");
    bad["streams"]["login"]["object"]["cursor"] = json!("not-a-time");
    let mut org = org([page(&json!([]))]);
    let failure = collecting(LOGINS).poll(&mut org, &StillClock::at(NOW), Some(&bad.to_string()));
    let failure = failure.expect_err("a refusal");
    assert_eq!((failure.problem.kind, failure.state, org.requests.len()), (Kind::State, None, 0));
}

#[test]
fn another_object_under_the_same_name_begins_anew() {
    let callouts = AURA.replace("AuraRequestEventLog", "ApexCalloutEventLog");
    let empty = page(&json!([]));
    let mut org = org([empty.clone(), empty]);
    let first = poll(AURA, &mut org).expect("a batch");
    assert!(first.state.contains(r#""name":"AuraRequestEventLog""#), "{}", first.state);
    // Both are collected by the same field.
    let second = collecting(&callouts).poll(&mut org, &StillClock::at(NOW), Some(&first.state));
    let state = second.expect("a batch").state;
    assert!(state.contains(r#""name":"ApexCalloutEventLog""#), "{state}");
}
