//! What somebody found who read the collector to break it: clocks of the org that were ahead, streams that take each other's
//! capacity, downloads that never end at the same position.

use crate::{
    cases::{NOW, configured_with},
    polls::Run,
};
use collector::{
    Collector,
    io::{Clock, Http, Request, Response, TransportError},
};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use serde_json::{Value, json};
use std::{cell::Cell, collections::BTreeSet, rc::Rc, time::Duration};

const HOUR: i64 = 3_600_000;

fn collecting(more: &str, streams: &str) -> Collector {
    configured_with(&[
        ("\"streams\": {\"login\": {\"event_log_file\": {}}}", &format!("\"streams\": {{{streams}}}")),
        ("{", &format!("{{{more}")),
    ])
}

fn stream(name: &str, types: &[&str], more: &str) -> String {
    let types = json!(types);
    format!("\"{name}\": {{\"event_log_file\": {{\"event_types\": {types}{more}}}}}")
}

fn file(n: u32, event_type: &str, created: &str) -> CannedFile {
    let row = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"{event_type}\",\"row-{n}\"\n");
    CannedFile {
        created: format!("{created}.000+0000"),
        event_type: event_type.to_owned(),
        ..CannedFile::new(n, row.into_bytes())
    }
}

/// Whether an event with this text was delivered.
fn has(run: &Run, text: &str) -> bool {
    run.events.iter().any(|event| event.contains(text))
}

const NO_ACCESS: &str = r#"[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]"#;

#[test]
fn a_stream_whose_files_all_fail_takes_no_capacity_from_the_others() {
    let mut org = CannedOrg::default();
    for n in 0..400 {
        let file = file(n, "TypeA", &format!("2026-06-01T11:{:02}:{:02}", n / 60, n % 60));
        org.always.push((format!("{}/LogFile", file.id), 403, NO_ACCESS));
        org.files.push(file);
    }
    let streams = [stream("a", &["TypeA"], ""), stream("b", &["TypeB"], "")].join(",");
    let mut run = Run::of(collecting("", &streams));
    run.go_on_for(&mut org, 400 * HOUR);

    // 2026-06-18T06:00 by now.
    let bad = file(900, "TypeB", "2026-06-18T05:00:00");
    org.always.push((format!("{}/LogFile", bad.id), 403, NO_ACCESS));
    org.files.push(bad);
    org.files.push(file(901, "TypeB", "2026-06-18T05:30:00"));
    run.go_on_for(&mut org, 24 * HOUR);
    assert!(
        has(&run, "row-901"),
        "one bad file holds up the stream, since another stream took all the capacity"
    );
}

#[test]
fn a_date_of_the_org_that_was_ahead_for_one_answer_loses_no_file() {
    let mut org = CannedOrg::with(vec![file(1, "Login", "2026-06-01T13:00:00")]);
    let mut run = Run::of(configured_with(&[]));
    org.date = Some("Thu, 04 Jun 2026 14:00:00 GMT");
    run.poll(&mut org).expect("a batch");
    org.date = Some("Mon, 01 Jun 2026 15:00:00 GMT");
    run.clock.advance(HOUR);
    org.files.push(file(2, "Login", "2026-06-01T14:30:00"));
    run.poll(&mut org).expect("a batch");
    assert!(has(&run, "row-1") && has(&run, "row-2"));
}

#[test]
fn a_date_of_the_org_that_was_ahead_for_one_poll_silences_no_object() {
    let record = json!([{"EventIdentifier": "k1", "EventDate": "2026-06-01T14:30:00.000Z"}]).to_string();
    let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
    let mut run = Run::of(collecting("", "\"login\": {\"object\": {}}"));
    org.date = Some("Thu, 04 Jun 2026 14:00:00 GMT");
    run.poll(&mut org).expect("a batch");
    org.date = Some("Mon, 01 Jun 2026 15:00:00 GMT");
    org.records = Some(record);
    run.clock.advance(HOUR);
    run.poll(&mut org).expect("a batch");
    assert!(has(&run, "k1"), "nothing is asked for before the org's clock shows what it showed once");
    assert!(!run.problems.is_empty(), "not a word");
}

#[test]
fn a_total_beyond_all_numbers_is_no_panic() {
    for total in ["18446744073709551615", "9223372036854775808", "1e300", "10000000000000000000"] {
        let body = format!(
            r#"{{"totalSize":{total},"done":false,"nextRecordsUrl":"/services/data/v65.0/query/x-2000","records":[]}}"#
        );
        let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
        org.mishaps.push(Mishap { path: "/query?q", what: What::Bytes(200, body.into_bytes()) });
        let mut run = Run::of(collecting("", "\"login\": {\"object\": {}}"));
        run.poll(&mut org).expect("a batch");
    }
}

#[test]
fn a_record_beside_its_window_is_delivered_once_on_fresh_instances() {
    // The window ends at 13:57:00, three minutes before now.
    let records = json!([
        {"EventIdentifier": "beside", "EventDate": "2026-06-01T13:57:00.500Z"},
        {"EventIdentifier": "within", "EventDate": "2026-06-01T13:00:00.000Z"},
    ]);
    let mut org = CannedOrg { records: Some(records.to_string()), ..CannedOrg::default() };
    let collector = || collecting("\"batch\": {\"max_events\": 1},", "\"login\": {\"object\": {}}");
    let mut run = Run::of(collector());
    for _ in 0..20 {
        let wait = run.poll(&mut org).expect("a batch").next_poll_ms;
        run.collector = collector();
        if wait > 0 {
            break;
        }
    }
    assert!(has(&run, "within"), "{} events", run.events.len());
    assert_eq!(run.events.len(), 2);
}

#[test]
fn one_refusal_does_not_take_the_names_of_users_for_ever() {
    let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
    org.mishaps.push(Mishap { path: "FROM+SetupAuditTrail", what: What::Answer(403, NO_ACCESS) });
    let mut run = Run::of(collecting("", "\"setupaudittrail\": {\"object\": {}}"));
    run.go_on_for(&mut org, 3 * 24 * HOUR);
    let names = org.requests.iter().filter(|path| path.contains("CreatedBy.")).count();
    assert!(names > 1, "the names are asked for {names} times in three days");
}

#[test]
fn types_that_are_added_where_the_memory_is_full_lose_no_file() {
    let mut org = CannedOrg::default();
    for n in 0..5000 {
        let created = format!("2026-05-31T{:02}:{:02}:{:02}", 10 + n / 3600, n / 60 % 60, n % 60);
        org.files.push(file(n, "TypeA", &created));
    }
    let more = ", \"overlap\": \"7d\"";
    let mut run = Run::of(collecting("", &stream("s", &["TypeA"], more)));
    run.go_on_for(&mut org, HOUR);
    assert_eq!(run.events.len(), 5000);
    for n in 0..3 {
        org.files.push(file(6000 + n, "TypeB", &format!("2026-05-28T10:0{n}:00")));
    }
    let streams = [stream("s", &["TypeA", "TypeB"], more), stream("t", &["TypeC"], "")].join(",");
    for _ in 0..12 {
        run.collector = collecting("\"batch\": {\"max_events\": 1},", &streams);
        let wait = run.poll(&mut org).expect("a batch").next_poll_ms;
        run.clock.advance(i64::from(wait));
    }
    for n in 0..3 {
        assert!(has(&run, &format!("\"row-{}\"", 6000 + n)), "file {n} of the new type is lost");
    }
}

/// A clock whose two hands can be moved apart.
#[derive(Clone)]
struct TwoHands {
    now: Rc<Cell<i64>>,
    elapsed: Rc<Cell<i64>>,
}

impl Clock for TwoHands {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed.get().unsigned_abs())
    }
}

/// An org whose list of versions nobody gets.
struct WithoutVersions(CannedOrg);

impl Http for WithoutVersions {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if request.path == "/services/data" {
            return Err(TransportError::Failed(String::from("reset")));
        }
        self.0.send(request)
    }
}

#[test]
fn clocks_that_went_apart_stop_nothing_where_the_list_of_versions_cannot_be_had() {
    let records = json!([{"EventIdentifier": "k1", "EventDate": "2026-06-01T13:00:00.000Z"}]).to_string();
    let mut org = WithoutVersions(CannedOrg {
        date: Some("Mon, 01 Jun 2026 14:00:00 GMT"),
        records: Some(String::from("[]")),
        ..CannedOrg::default()
    });
    let clock = TwoHands { now: Rc::new(Cell::new(NOW)), elapsed: Rc::new(Cell::new(5)) };
    let mut collector = collecting("\"api_version\": \"65.0\",", "\"login\": {\"object\": {}}");
    let batch = collector.poll(&mut org, &clock, None).expect("a batch");
    // A host that slept: its monotonic clock stood still.
    clock.now.set(NOW + HOUR);
    org.0.date = Some("Mon, 01 Jun 2026 15:00:00 GMT");
    org.0.records = Some(records.replace("13:00", "14:00"));
    let batch = collector.poll(&mut org, &clock, Some(&batch.state));
    let batch = batch.unwrap_or_else(|failure| panic!("{}", failure.problem));
    assert_eq!(batch.events.len(), 1);
}

#[test]
fn records_without_any_key_are_delivered_once_however_many_they_are() {
    let records: Vec<Value> = (0..2500)
        .map(|n| json!({"Name": format!("n{n}"), "CreatedDate": format!("2026-06-01T10:{:02}:{:02}.000+0000", n / 60, n % 60)}))
        .collect();
    let mut org = CannedOrg { records: Some(Value::from(records).to_string()), ..CannedOrg::default() };
    let streams: Vec<String> =
        (0..2).map(|n| format!("\"o{n}\": {{\"object\": {{\"name\": \"Object{n}\"}}}}")).collect();
    let mut run = Run::of(collecting("", &streams.join(",")));
    for _ in 0..40 {
        let wait = match run.poll(&mut org) {
            Ok(batch) => batch.next_poll_ms,
            Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
        };
        run.clock.advance(i64::from(wait.min(4 * 60_000)));
    }
    let all: BTreeSet<&String> = run.events.iter().collect();
    assert_eq!((run.events.len(), all.len()), (5000, 5000), "{:?}", run.problems);
}

/// An org in which a download that is refused takes a minute.
struct SlowRefusals {
    org: CannedOrg,
    clock: StillClock,
    bad: Vec<String>,
}

impl Http for SlowRefusals {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if self.bad.iter().any(|id| request.path.contains(&format!("{id}/LogFile"))) {
            self.clock.advance(60_000);
            return Err(TransportError::Failed(String::from("time-out")));
        }
        self.org.send(request)
    }
}

#[test]
fn files_set_aside_that_take_long_to_fail_starve_no_new_file() {
    let mut run = Run::of(collecting("", &stream("a", &["TypeA"], "")));
    let files: Vec<_> =
        (0..100).map(|n| file(n, "TypeA", &format!("2026-06-01T11:{:02}:{:02}", n / 60, n % 60))).collect();
    let bad = files.iter().map(|file| file.id.clone()).collect();
    let mut org = SlowRefusals { org: CannedOrg::with(files), clock: run.clock.clone(), bad };
    run.go_on_for(&mut org, 48 * HOUR);
    let aside = run.state.as_ref().map_or(0, |state| state.matches("\"failing\"").count());
    org.org.files.push(file(900, "TypeA", "2026-06-03T13:00:00"));
    let before = run.clock.now_ms();
    while !has(&run, "row-900") {
        run.go_on_for(&mut org, 60_000);
        assert!(run.clock.now_ms() - before < 4 * HOUR, "{aside} files set aside starve a new one");
    }
}

/// An org that answers the rows of a file in another order each time, or so slowly that a checkpoint is far away.
struct Shuffled {
    org: CannedOrg,
    downloads: u32,
}

impl Http for Shuffled {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if request.path.ends_with("/LogFile") {
            self.downloads += 1;
            let rows = (0..20).map(|n| (n + self.downloads) % 20);
            let rows: String = rows.map(|n| format!("\"Login\",\"row-{n:02}\"\n")).collect();
            self.org.files[0].body = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n{rows}").into_bytes().into();
        }
        self.org.send(request)
    }
}

#[test]
fn a_file_whose_rows_go_on_to_change_their_order_is_waited_for_longer_each_time() {
    let mut file = file(1, "Login", "2026-06-01T13:00:00");
    file.length = Some(26 + 20 * 17);
    let mut org = Shuffled { org: CannedOrg::with(vec![file]), downloads: 0 };
    let mut run = Run::of(configured_with(&[]));
    let mut waits = Vec::new();
    for polls in 0.. {
        run.collector = configured_with(&[("{", "{\"batch\": {\"max_events\": 7},")]);
        let wait = match run.poll(&mut org) {
            Ok(batch) => batch.next_poll_ms,
            Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
        };
        if wait > 0 {
            // At once the first time.
            let changes = format!("\"changes\":{}", waits.len() + 2);
            let state = run.state.as_deref().expect("a state");
            assert!(state.contains(&changes), "{changes}: {state}");
            waits.push(wait);
            run.clock.advance(i64::from(wait));
        }
        if waits.len() == 3 {
            break;
        }
        assert!(polls < 300, "{} downloads, {} events of 20 rows", org.downloads, run.events.len());
    }
    assert!(waits.is_sorted(), "{waits:?}");
}

/// An org whose downloads end at another position each time.
struct Cutting {
    org: CannedOrg,
    downloads: usize,
}

impl Http for Cutting {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if request.path.ends_with("/LogFile") {
            let rows: String = (0..if self.downloads == 0 { 20 } else { 5 + self.downloads % 2 })
                .map(|n| format!("\"Login\",\"row-{n:02}\"\n"))
                .collect();
            self.downloads += 1;
            self.org.files[0].body = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n{rows}").into_bytes().into();
        }
        self.org.send(request)
    }
}

#[test]
fn downloads_that_end_at_another_position_each_time_are_no_storm() {
    let mut file = file(1, "Login", "2026-06-01T13:00:00");
    file.length = Some(1000);
    let mut org = Cutting { org: CannedOrg::with(vec![file]), downloads: 0 };
    let mut run = Run::of(configured_with(&[]));
    run.go_on_for(&mut org, 24 * HOUR);
    assert_eq!(run.events.len(), 20);
    assert!(org.downloads < 150, "{} downloads in a day", org.downloads);
}
