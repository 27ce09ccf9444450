//! What a poll does when files are many, cut, changed or gone, and when Salesforce refuses.

use crate::cases::{NOW, configured};
use collector::{
    Collector,
    batch::{Batch, Failure},
    check::Verdict,
    io::Http,
    problem::Kind,
};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use std::collections::BTreeSet;

const HOUR: i64 = 3_600_000;

/// The CSV of a file with these request ids.
fn csv(ids: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut text = String::from("\"EVENT_TYPE\",\"REQUEST_ID\",\"TIMESTAMP_DERIVED\",\"BROWSER_TYPE\"\n");
    for id in ids {
        text.push_str(&format!("\"Login\",\"{id}\",\"2026-06-01T10:00:00.000Z\",\"a \"\"b\"\"\nc\"\n"));
    }
    text.into_bytes()
}

pub fn file(n: u32, rows: u32) -> CannedFile {
    CannedFile::new(n, csv((0..rows).map(|row| format!("{n}-{row}"))))
}

/// Request ids in the order of the events.
pub fn ids(events: &[String]) -> Vec<String> {
    let id = |event: &String| {
        let event: serde_json::Value = serde_json::from_str(event).expect("JSON");
        event["salesforce"]["login"]["request"]["id"].as_str().unwrap_or("malformed").to_owned()
    };
    events.iter().map(id).collect()
}

pub fn expected(files: &[(u32, u32)]) -> Vec<String> {
    files.iter().flat_map(|(n, rows)| (0..*rows).map(move |row| format!("{n}-{row}"))).collect()
}

/// A collection that goes on from poll to poll, through waits.
pub struct Run {
    pub collector: Collector,
    pub clock: StillClock,
    pub state: Option<String>,
    pub events: Vec<String>,
    pub problems: Vec<String>,
    pub given_up: u32,
}

impl Run {
    pub fn new(more: &str) -> Self {
        Self::of(configured(more))
    }

    pub fn of(collector: Collector) -> Self {
        Self {
            collector,
            clock: StillClock::at(NOW),
            state: None,
            events: Vec::new(),
            problems: Vec::new(),
            given_up: 0,
        }
    }

    pub fn poll(&mut self, org: &mut dyn Http) -> Result<Batch, Failure> {
        let result = self.collector.poll(org, &self.clock, self.state.as_deref());
        match &result {
            Ok(batch) => {
                self.state = Some(batch.state.clone());
                self.given_up += batch.stats.files_given_up;
                self.events.extend(batch.events.iter().cloned());
                self.problems.extend(batch.problems.iter().map(ToString::to_string));
            }
            Err(failure) => {
                self.state = failure.state.clone().or(self.state.take());
                self.problems.push(failure.problem.to_string());
            }
        }
        result
    }

    /// Polls for so long, in milliseconds.
    pub fn go_on_for(&mut self, org: &mut dyn Http, ms: i64) {
        let end = collector::io::Clock::now_ms(&self.clock) + ms;
        while collector::io::Clock::now_ms(&self.clock) < end {
            let wait = match self.poll(org) {
                Ok(batch) => batch.next_poll_ms,
                Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
            };
            self.clock.advance(i64::from(wait));
        }
    }

    /// Polls until all is read and nothing is waited for but the next listing.
    pub fn until_caught_up(&mut self, org: &mut dyn Http) {
        for _ in 0..500 {
            let wait = match self.poll(org) {
                Ok(batch) if batch.next_poll_ms == 0 => 0,
                Ok(batch) if batch.stats.backlog_files == 0 => return,
                Ok(batch) => batch.next_poll_ms,
                Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
            };
            self.clock.advance(i64::from(wait));
        }
        panic!("never caught up: {:?}", self.problems);
    }
}

#[test]
fn any_batch_size_on_any_instance_gives_the_same_events_in_the_same_order() {
    let files = vec![file(1, 5), file(2, 0), file(3, 1), file(4, 12)];
    let mut whole = Run::new("");
    whole.until_caught_up(&mut CannedOrg::with(files.clone()));
    assert_eq!(ids(&whole.events), expected(&[(1, 5), (3, 1), (4, 12)]));
    for events in [1, 2, 3, 5, 6, 7, 17, 18, 19] {
        for fresh in [false, true] {
            for gzip in [false, true] {
                let limit = format!("\"batch\": {{\"max_events\": {events}}},");
                let mut org = CannedOrg { gzip, ..CannedOrg::with(files.clone()) };
                let mut run = Run::new(&limit);
                loop {
                    let batch = run.poll(&mut org).expect("a batch");
                    assert!(batch.events.len() <= events);
                    if batch.next_poll_ms > 0 {
                        break;
                    }
                    if fresh {
                        run.collector = configured(&limit);
                    }
                }
                assert_eq!(run.events, whole.events, "{events} events, fresh {fresh}, gzip {gzip}");
                assert!(run.problems.is_empty(), "{:?}", run.problems);
            }
        }
    }
}

#[test]
fn an_unsaved_state_gives_the_same_events_again() {
    let mut org = CannedOrg::with(vec![file(1, 9)]);
    let mut run = Run::new("\"batch\": {\"max_events\": 2},");
    run.poll(&mut org).expect("a batch");
    let state = run.state.clone();
    let first = run.poll(&mut org).expect("a batch");
    run.poll(&mut org).expect("a batch");
    run.state = state;
    let again = run.poll(&mut org).expect("a batch");
    assert_eq!((again.events, again.state), (first.events, first.state));
}

#[test]
fn a_batch_ends_with_the_event_that_exceeds_its_bytes() {
    let mut run = Run::new("\"batch\": {\"max_bytes\": \"2KiB\"},");
    let batch = run.poll(&mut CannedOrg::with(vec![file(1, 100)])).expect("a batch");
    let bytes: usize = batch.events.iter().map(String::len).sum();
    let last = batch.events.last().map_or(0, String::len);
    assert!(bytes >= 2048 && bytes - last < 2048, "{bytes}");
}

#[test]
fn the_next_poll_is_due_exactly_at_the_interval_and_costs_nothing_before() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let mut run = Run::new("");
    assert_eq!(run.poll(&mut org).expect("a batch").next_poll_ms, 3_600_000);
    let requests = org.requests.len();
    run.clock.advance(10 * 60_000);
    let batch = run.poll(&mut org).expect("a batch");
    assert_eq!((batch.next_poll_ms, batch.stats.requests, org.requests.len()), (50 * 60_000, 0, requests));
    run.clock.advance(50 * 60_000);
    assert_eq!(run.poll(&mut org).expect("a batch").next_poll_ms, 3_600_000);
    assert_eq!(org.requests.len(), requests + 1);
}

#[test]
fn a_clock_that_jumps_back_stops_nothing() {
    let date = Some("Mon, 01 Jun 2026 14:00:00 GMT");
    let mut org = CannedOrg { date, ..CannedOrg::with(vec![file(1, 1)]) };
    let mut run = Run::new("");
    run.poll(&mut org).expect("a batch");
    run.clock.advance(-1000 * HOUR);
    org.files.push(file(2, 1));
    let batch = run.poll(&mut org).expect("a batch");
    assert_eq!((ids(&batch.events), batch.next_poll_ms), (expected(&[(2, 1)]), 3_600_000));

    org.mishaps.push(Mishap { path: "/query", what: What::Answer(503, "<html>") });
    run.clock.advance(HOUR);
    run.poll(&mut org).expect_err("a failure");
    run.clock.advance(-1000 * HOUR);
    org.files.push(file(3, 1));
    assert_eq!(ids(&run.poll(&mut org).expect("a batch").events), expected(&[(3, 1)]));
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was_cut() {
    let whole = file(1, 10);
    for error in [true, false] {
        for after in 0..whole.body.len() {
            let mut org = CannedOrg::with(vec![whole.clone(), file(2, 2)]);
            org.mishaps.push(Mishap { path: "/LogFile", what: What::Cut { after, error } });
            let mut run = Run::new("");
            let batch = run.poll(&mut org);
            // What came whole before the cut is delivered, and the second file is not held up.
            let rows =
                whole.body[..after].iter().filter(|byte| **byte == b'\n').count().saturating_sub(1) / 2;
            let events = ids(&batch.expect("a batch").events);
            assert_eq!(events, expected(&[(1, u32::try_from(rows).expect("few")), (2, 2)]), "after {after}");
            if after % 2 == 0 {
                run.collector = configured("");
            }
            run.clock.advance(60_000);
            run.until_caught_up(&mut org);
            let mut all = ids(&run.events);
            all.sort();
            let mut wanted = expected(&[(1, 10), (2, 2)]);
            wanted.sort();
            assert_eq!(all, wanted, "after {after}, with an error: {error}");
            assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
            assert!(run.problems[0].contains("0AT000000000000001"), "{:?}", run.problems);
        }
    }
}

#[test]
fn a_download_that_is_cut_again_and_again_loses_nothing() {
    for batch in [1, 2, 3, 4, 100] {
        for fresh in [false, true] {
            let more = format!("\"batch\": {{\"max_events\": {batch}}},");
            let whole = file(1, 30);
            let mut org = CannedOrg::with(vec![whole.clone()]);
            for step in (100..whole.body.len()).step_by(37) {
                org.mishaps
                    .push(Mishap { path: "/LogFile", what: What::Cut { after: step, error: step % 2 == 0 } });
            }
            let mut run = Run::new(&more);
            loop {
                let wait = match run.poll(&mut org) {
                    Ok(batch) if batch.next_poll_ms > 0 && batch.stats.backlog_files == 0 => break,
                    Ok(batch) => batch.next_poll_ms,
                    Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
                };
                run.clock.advance(i64::from(wait));
                if fresh {
                    run.collector = configured(&more);
                }
            }
            assert_eq!(
                ids(&run.events),
                expected(&[(1, 30)]),
                "{batch} events, fresh {fresh}: {:?}",
                run.problems
            );
        }
    }
}

#[test]
fn a_cut_behind_an_empty_line_is_no_reason_to_read_again() {
    let mut with_blank = file(1, 3);
    let mut body = with_blank.body.to_vec();
    body.extend_from_slice(b"\n\n");
    let cut = body.len();
    body.extend_from_slice(&csv([String::from("1-3")])[61..]);
    with_blank.body = body.into();
    let mut org = CannedOrg::with(vec![with_blank]);
    org.mishaps.push(Mishap { path: "/LogFile", what: What::Cut { after: cut, error: false } });
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&[(1, 4)]), "{:?}", run.problems);
    assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
}

#[test]
fn a_download_that_ends_before_the_checkpoint_is_cut_and_not_changed() {
    let mut org = CannedOrg::with(vec![file(1, 12)]);
    let more = "\"batch\": {\"max_events\": 8},";
    let mut run = Run::new(more);
    run.poll(&mut org).expect("a batch");
    run.collector = configured(more);
    for after in [0, 20, 100] {
        org.mishaps.push(Mishap { path: "/LogFile", what: What::Cut { after, error: false } });
    }
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&[(1, 12)]));
    assert!(run.problems.iter().all(|problem| problem.contains("ended after")), "{:?}", run.problems);
}

#[test]
fn one_file_that_is_always_refused_does_not_stop_the_others() {
    for (status, body) in [
        (500, r#"[{"errorCode":"UNKNOWN_EXCEPTION","message":"An unexpected error occurred"}]"#),
        (403, r#"[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]"#),
        (404, "<html>"),
        (404, r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#),
    ] {
        let mut org = CannedOrg::with(vec![file(1, 2), file(2, 2)]);
        for _ in 0..40 {
            org.mishaps.push(Mishap { path: "0AT000000000000001/LogFile", what: What::Answer(status, body) });
        }
        let mut run = Run::new("");
        let start = run.clock.clone();
        while run.events.len() < 2 {
            let wait = match run.poll(&mut org) {
                Ok(batch) => batch.next_poll_ms,
                Err(failure) => failure.problem.retry_after_ms.expect("a wait"),
            };
            run.clock.advance(i64::from(wait));
        }
        assert_eq!(ids(&run.events), expected(&[(2, 2)]));
        assert!(collector::io::Clock::now_ms(&start) - NOW < HOUR, "the second file waits too long");
        org.mishaps.clear();
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), ["2-0", "2-1", "1-0", "1-1"], "{status} {body}");
    }
}

#[test]
fn no_state_means_from_the_beginning_on_a_used_instance_as_well() {
    let mut org = CannedOrg::with(vec![file(1, 1), file(2, 1), file(3, 1)]);
    let mut run = Run::new("\"batch\": {\"max_events\": 2},");
    run.poll(&mut org).expect("a batch");
    let body = r#"{"error":"invalid_grant","error_description":"authentication failure"}"#;
    org.mishaps.push(Mishap { path: "/token", what: What::Answer(400, body) });
    let expired = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;
    org.mishaps.push(Mishap { path: "/LogFile", what: What::Answer(401, expired) });
    run.poll(&mut org).expect("a batch with a problem");
    run.poll(&mut org).expect_err("a wait");
    run.state = None;
    run.events.clear();
    assert_eq!(ids(&run.poll(&mut org).expect("a batch").events), expected(&[(1, 1), (2, 1)]));
}

#[test]
fn going_over_to_daily_files_leaves_no_gap() {
    let at = |n: u32, created: &str| CannedFile { created: created.to_owned(), ..file(n, 1) };
    let mut org = CannedOrg::with(vec![at(1, "2026-06-01T13:30:00.000+0000")]);
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    // The daily file of the day before was there all the time.
    org.files.push(at(2, "2026-06-01T02:30:00.000+0000"));
    let daily = "\"event_log_file\": {\"log_file_interval\": \"daily\"}";
    run.collector = crate::cases::configured_with(&[("\"event_log_file\": {}", daily)]);
    run.until_caught_up(&mut org);
    assert!(ids(&run.events).contains(&String::from("2-0")), "{:?}", ids(&run.events));
}

#[test]
fn an_answer_that_is_no_list_is_not_taken_for_an_empty_one() {
    for body in [r#"{"ok":true}"#, "[]", r#"{"done":false,"records":[]}"#, r#"{"done":true,"records":null}"#]
    {
        let mut org = CannedOrg::with(vec![file(1, 1)]);
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(200, body) });
        let failure = Run::new("").poll(&mut org).expect_err(body);
        assert_eq!(failure.problem.kind, Kind::Transient, "{body}");
    }
}

#[test]
fn a_page_that_is_not_of_salesforce_is_waited_out_and_not_blamed_on_the_configuration() {
    for (status, body) in [(404, "<html>"), (302, ""), (400, "<html>"), (503, "<html>"), (420, "<html>")] {
        let mut org = CannedOrg::with(vec![file(1, 1)]);
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(status, body) });
        let failure = Run::new("").poll(&mut org).expect_err("a failure");
        assert_eq!(failure.problem.kind, Kind::Transient, "{status}");
    }
}

#[test]
fn a_state_of_another_org_is_refused() {
    let mut run = Run::new("");
    run.poll(&mut CannedOrg::with(vec![])).expect("a batch");
    run.collector = crate::cases::configured_with(&[("acme.my.salesforce.com", "other.my.salesforce.com")]);
    let failure = run.poll(&mut CannedOrg::with(vec![])).expect_err("a refusal");
    assert_eq!((failure.problem.kind, failure.state), (Kind::State, None));
}

#[test]
fn a_file_that_always_ends_early_is_asked_for_as_long_as_it_is_listed() {
    let mut short = file(1, 3);
    let mut body = short.body.to_vec();
    body.extend_from_slice(b"\"Login\",\"1-last\",\"2026-06-01T10:00:00.000Z\",\"no line break\"");
    short.length = Some(body.len() as u64 + 100);
    short.body = body.clone().into();
    let mut org = CannedOrg::with(vec![short]);
    let mut run = Run::new("");
    run.go_on_for(&mut org, 30 * 24 * HOUR);
    // Of the row without a line break nobody knows whether it is whole.
    assert_eq!(ids(&run.events), ["1-0", "1-1", "1-2"]);
    let downloads = org.requests.iter().filter(|path| path.ends_with("/LogFile")).count();
    assert!((20..200).contains(&downloads), "{downloads} downloads in 30 days");
    assert_eq!(run.given_up, 0);
    // Then its rest comes.
    body.extend_from_slice(b"\n");
    body.extend_from_slice(&csv([String::from("1-rest")])[61..]);
    org.files[0].length = Some(body.len() as u64);
    org.files[0].body = body.into();
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), ["1-0", "1-1", "1-2", "1-last", "1-rest"]);
}

#[test]
fn a_file_whose_length_is_corrected_in_the_listing_is_complete_with_it() {
    for empty in [true, false] {
        let mut long = file(1, if empty { 0 } else { 3 });
        if empty {
            long.body = Vec::new().into();
        }
        let truth = long.body.len() as u64;
        long.length = Some(truth + 1000);
        let mut org = CannedOrg::with(vec![long]);
        let mut run = Run::new("");
        run.go_on_for(&mut org, HOUR / 60);
        org.files[0].length = Some(truth);
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), expected(&[(1, if empty { 0 } else { 3 })]));
        assert_eq!(run.given_up, 0);
        let downloads = org.requests.iter().filter(|path| path.ends_with("/LogFile")).count();
        assert!(downloads < 8, "{downloads}");
    }
}

#[test]
fn a_file_that_changed_under_a_checkpoint_is_read_from_its_beginning() {
    let mut org = CannedOrg::with(vec![file(1, 6)]);
    let mut run = Run::new("\"batch\": {\"max_events\": 4},");
    run.poll(&mut org).expect("a batch");
    org.files[0].body = csv((0..8).map(|row| format!("other-{row}"))).into();
    run.collector = configured("");
    run.until_caught_up(&mut org);
    let all: BTreeSet<String> = ids(&run.events).into_iter().collect();
    assert!((0..8).all(|row| all.contains(&format!("other-{row}"))), "{all:?}");
    assert!(run.problems[0].contains("is not what it was"), "{:?}", run.problems);
}

const GONE: &str = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;

#[test]
fn a_file_that_is_given_up_has_a_receipt_that_says_so() {
    let mut org = CannedOrg::with(vec![file(1, 2), file(2, 2)]);
    org.always.push((String::from("0AT000000000000001/LogFile"), 404, GONE));
    let mut run = Run::new("\"receipts\": true,");
    run.go_on_for(&mut org, 20 * 24 * HOUR);
    org.files.remove(0);
    run.until_caught_up(&mut org);
    assert_eq!(run.given_up, 1);
    let events =
        run.events.iter().map(|event| serde_json::from_str::<serde_json::Value>(event).expect("JSON"));
    let receipts: Vec<_> = events
        .filter(|event| event["event"]["dataset"] == "salesforce.collector")
        .map(|event| {
            let (salesforce, outcome) = (&event["salesforce"], &event["event"]["outcome"]);
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            (text(&salesforce["event_log_file"]["id"]), text(outcome), salesforce["receipt"]["rows"].clone())
        })
        .collect();
    let told =
        |nth: u32, outcome: &str, rows: u32| (format!("0AT{nth:015}"), outcome.to_owned(), rows.into());
    assert_eq!(receipts, [told(2, "success", 2), told(1, "failure", 0)]);
}

#[test]
fn a_file_that_is_gone_is_given_up_once_the_org_does_not_list_it_any_more_and_not_before() {
    let mut org = CannedOrg::with(vec![file(1, 2), file(2, 2)]);
    let gone = |org: &mut CannedOrg, times: usize| {
        for _ in 0..times {
            let what = What::Answer(404, GONE);
            org.mishaps.push(Mishap { path: "0AT000000000000001/LogFile", what });
        }
    };
    gone(&mut org, 1000);
    let mut run = Run::new("");
    run.go_on_for(&mut org, 20 * 24 * HOUR);
    assert_eq!((ids(&run.events), run.given_up), (expected(&[(2, 2)]), 0), "{:?}", run.problems.last());
    org.files.remove(0);
    run.until_caught_up(&mut org);
    let last = run.problems.last().expect("problems");
    assert!(last.contains("is given up") && last.contains("0 of its "), "{last}");
    assert_eq!((run.given_up, run.events.len()), (1, 2));
    let asked = org.requests.len();
    run.clock.advance(HOUR);
    run.until_caught_up(&mut org);
    assert_eq!(org.requests.len(), asked + 1, "it is asked for again");
}

#[test]
fn a_file_that_is_not_listed_any_more_is_tried_for_an_hour_and_four_times() {
    let mut org = CannedOrg::with(vec![file(1, 2)]);
    org.mishaps.push(Mishap { path: "/LogFile", what: What::Answer(404, GONE) });
    let mut run = Run::new("");
    run.poll(&mut org).expect("a problem");
    for _ in 0..1000 {
        org.mishaps.push(Mishap { path: "/LogFile", what: What::Answer(404, GONE) });
    }
    org.files.clear();
    run.until_caught_up(&mut org);
    let passed = collector::io::Clock::now_ms(&run.clock) - NOW;
    assert!((HOUR..4 * HOUR).contains(&passed), "{passed}");
    assert_eq!(run.given_up, 1);
}

#[test]
fn neither_a_host_that_was_switched_off_nor_a_clock_that_was_ahead_gives_a_file_up() {
    for (ahead, back) in [(8 * 24 * HOUR, 0), (8 * 24 * HOUR, -8 * 24 * HOUR), (400 * 24 * HOUR, 0)] {
        let mut org = CannedOrg::with(vec![file(1, 2)]);
        for _ in 0..3 {
            org.mishaps.push(Mishap { path: "/LogFile", what: What::Answer(404, GONE) });
        }
        let mut run = Run::new("");
        run.poll(&mut org).expect("a problem");
        let files = std::mem::take(&mut org.files);
        run.clock.advance(ahead);
        run.collector = configured("");
        let _ = run.poll(&mut org);
        run.clock.advance(back);
        run.collector = configured("");
        let _ = run.poll(&mut org);
        assert_eq!(run.given_up, 0, "{:?}", run.problems);
        org.files = files;
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), expected(&[(1, 2)]), "{:?}", run.problems);
    }
}

#[test]
fn an_older_issue_of_a_daily_file_is_not_pursued_once_a_newer_one_was_read() {
    let at = |n: u32, created: &str| CannedFile { created: created.to_owned(), ..file(n, 2) };
    let mut org =
        CannedOrg { interval: "Daily", ..CannedOrg::with(vec![at(1, "2026-06-01T12:00:00.000+0000")]) };
    for _ in 0..1000 {
        let what = What::Answer(404, GONE);
        org.mishaps.push(Mishap { path: "0AT000000000000001/LogFile", what });
    }
    let daily = "\"event_log_file\": {\"log_file_interval\": \"daily\"}";
    let mut run = Run::new("");
    run.collector = crate::cases::configured_with(&[("\"event_log_file\": {}", daily)]);
    run.go_on_for(&mut org, HOUR / 2);
    org.files = vec![at(2, "2026-06-01T13:30:00.000+0000")];
    run.clock.advance(HOUR);
    run.until_caught_up(&mut org);
    assert_eq!((ids(&run.events), run.given_up), (expected(&[(2, 2)]), 0));
    let asked =
        |org: &CannedOrg| org.requests.iter().filter(|path| path.contains("0AT000000000000001/")).count();
    let before = asked(&org);
    run.go_on_for(&mut org, 5 * HOUR);
    assert_eq!(asked(&org), before, "it is pursued");
}

#[test]
fn a_file_that_failed_otherwise_before_is_not_gone_at_the_first_word_of_it() {
    let mut org = CannedOrg::with(vec![file(1, 2)]);
    let gone = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
    for (status, body) in [(200, "<html>back soon</html>"), (404, gone)] {
        org.mishaps.push(Mishap { path: "/LogFile", what: What::Answer(status, body) });
    }
    let mut run = Run::new("");
    run.poll(&mut org).expect("a problem");
    run.clock.advance(3 * HOUR);
    run.poll(&mut org).expect("a problem");
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&[(1, 2)]), "{:?}", run.problems);
}

#[test]
fn an_expired_session_is_renewed_in_the_middle_without_a_trace() {
    for path in ["/query", "/LogFile"] {
        let mut org = CannedOrg::with(vec![file(1, 2)]);
        org.mishaps.push(Mishap {
            path,
            what: What::Answer(
                401,
                r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#,
            ),
        });
        let mut run = Run::new("");
        let batch = run.poll(&mut org).expect("a batch");
        assert_eq!(batch.stats.token_requests, 2, "{path}");
        assert_eq!(ids(&batch.events), expected(&[(1, 2)]));
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
    }
}

#[test]
fn a_session_that_always_expires_does_not_sign_in_for_ever() {
    let mut org = CannedOrg::with(vec![file(1, 2)]);
    for _ in 0..50 {
        let body = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(401, body) });
    }
    let failure = Run::new("").poll(&mut org).expect_err("nothing works");
    assert_eq!(failure.problem.kind, Kind::Auth);
    assert_eq!(org.requests.len(), 4, "{:?}", org.requests);
}

#[test]
fn a_path_that_a_new_session_did_not_help_is_judged_by_the_session_that_is_there_now() {
    let refused = |path| {
        let body = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;
        Mishap { path, what: What::Answer(401, body) }
    };
    // Whether the session has ended when the file is asked for again, and how many sign-ins there are in all.
    for (has_ended, sign_ins) in [(true, 3), (false, 2)] {
        let mut org = CannedOrg::with(vec![file(1, 2), file(2, 1)]);
        org.mishaps = vec![refused("/LogFile"), refused("/LogFile")];
        let mut run = Run::new("");
        let first = run.poll(&mut org).expect("a batch with a problem");
        assert_eq!((first.events.len(), first.problems.len()), (1, 1), "{:?}", first.problems);
        org.mishaps = vec![refused("/LogFile")];
        if has_ended {
            org.mishaps.push(refused("/limits"));
        }
        run.clock.advance(2 * 3_600_000);
        let second = run.poll(&mut org).expect("a batch");
        assert_eq!(second.events.len(), if has_ended { 2 } else { 0 }, "{:?}", second.problems);
        assert_eq!(second.problems.is_empty(), has_ended, "{:?}", second.problems);
        let tokens = org.requests.iter().filter(|path| path.contains("/token")).count();
        assert_eq!(tokens, sign_ins, "{:?}", org.requests);
    }
}

#[test]
fn a_host_whose_clock_is_wrong_signs_in_by_the_clock_of_the_org() {
    let mut org = CannedOrg::with(vec![file(1, 2)]);
    org.date = Some("Mon, 01 Jun 2026 13:50:00 GMT");
    let body = r#"{"error":"invalid_grant","error_description":"invalid assertion"}"#;
    org.mishaps.push(Mishap { path: "/token", what: What::Answer(400, body) });
    let batch = Run::new("").poll(&mut org).expect("a batch");
    assert_eq!((batch.stats.token_requests, batch.events.len()), (2, 2));
}

#[test]
fn a_sign_in_that_fails_is_tried_again_only_after_a_wait_that_survives_a_restart() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let body = r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#;
    for _ in 0..2 {
        org.mishaps.push(Mishap { path: "/token", what: What::Answer(400, body) });
    }
    let mut run = Run::new("");
    let first = run.poll(&mut org).expect_err("no sign-in").problem;
    assert_eq!(first.kind, Kind::Auth);
    let requests = org.requests.len();
    run.collector = configured("");
    let waiting = run.poll(&mut org).expect_err("a wait").problem;
    assert!(waiting.message.contains("waiting until"), "{waiting}");
    assert_eq!((waiting.kind, org.requests.len()), (Kind::Auth, requests));
    run.clock.advance(i64::from(waiting.retry_after_ms.expect("a wait")));
    let second = run.poll(&mut org).expect_err("no sign-in").problem;
    assert!(second.retry_after_ms > first.retry_after_ms, "{second:?}");
    run.clock.advance(i64::from(second.retry_after_ms.expect("a wait")));
    assert_eq!(run.poll(&mut org).expect("a batch").events.len(), 1);
}

#[test]
fn an_answer_to_a_token_request_that_breaks_off_is_waited_out_and_not_blamed_on_the_operator() {
    for error in [true, false] {
        let mut org = CannedOrg::with(vec![file(1, 1)]);
        org.mishaps.push(Mishap { path: "/token", what: What::Cut { after: 5, error } });
        let failure = Run::new("").poll(&mut org).expect_err("no token");
        let kind = if error { Kind::Transient } else { Kind::Auth };
        assert_eq!(failure.problem.kind, kind, "{}", failure.problem);
    }
}

#[test]
fn a_listing_that_fails_is_a_failure_with_a_wait_and_not_a_silent_pause() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let body = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    org.mishaps.push(Mishap { path: "/query", what: What::Answer(403, body) });
    let mut run = Run::new("");
    let failure = run.poll(&mut org).expect_err("a failure");
    assert_eq!(failure.problem.kind, Kind::RateLimited);
    assert!(failure.problem.retry_after_ms >= Some(45_000));
    let requests = org.requests.len();
    run.collector = configured("");
    let waiting = run.poll(&mut org).expect_err("a wait");
    assert_eq!((waiting.problem.kind, org.requests.len()), (Kind::RateLimited, requests));
    run.clock.advance(HOUR);
    run.until_caught_up(&mut org);
    assert_eq!(run.events.len(), 1);
}

#[test]
fn a_file_that_appears_late_with_an_older_date_is_found() {
    let at = |n: u32, created: &str| CannedFile { created: created.to_owned(), ..file(n, 1) };
    let mut org = CannedOrg::with(vec![at(1, "2026-06-01T13:30:00.000+0000")]);
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    org.files.push(at(2, "2026-06-01T12:45:00.000+0000"));
    org.files.push(at(3, "2026-06-01T13:30:00.000+0000"));
    run.collector = configured("");
    run.clock.advance(HOUR);
    run.until_caught_up(&mut org);
    run.clock.advance(HOUR);
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), ["1-0", "2-0", "3-0"]);
}

#[test]
fn files_are_read_in_the_order_of_their_creation() {
    let at = |n: u32, created: &str| CannedFile { created: created.to_owned(), ..file(n, 1) };
    let mut org = CannedOrg::with(vec![
        at(2, "2026-06-01T13:20:00.000+0000"),
        at(9, "2026-06-01T13:10:00.000+0000"),
        at(1, "2026-06-01T13:20:00.000+0000"),
    ]);
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), ["9-0", "1-0", "2-0"]);
}

#[test]
fn every_page_of_a_listing_is_read() {
    let mut org = CannedOrg::with((1..=7).map(|n| file(n, 1)).collect());
    org.page = Some(2);
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    assert_eq!(run.events.len(), 7);
    assert_eq!(org.requests.iter().filter(|path| path.contains("/query")).count(), 4);
}

#[test]
fn a_next_page_on_another_host_is_not_asked_for() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let body = r#"{"done":false,"records":[],"nextRecordsUrl":"https://evil.example/services/data/"}"#;
    org.mishaps.push(Mishap { path: "/query", what: What::Answer(200, body) });
    let failure = Run::new("").poll(&mut org).expect_err("a failure");
    assert!(failure.problem.message.contains("not a path of this org"), "{}", failure.problem);
    assert!(org.requests.iter().all(|path| !path.contains("evil")), "{:?}", org.requests);
}

#[test]
fn pages_that_go_on_for_ever_come_to_an_end() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    for _ in 0..1000 {
        let body = r#"{"done":false,"records":[],"nextRecordsUrl":"/services/data/v65.0/query/again"}"#;
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(200, body) });
    }
    let failure = Run::new("").poll(&mut org).expect_err("a failure");
    assert!(org.requests.len() < 500, "{}", org.requests.len());
    assert!(failure.problem.retry_after_ms >= Some(1000), "{}", failure.problem);
}

#[test]
fn an_org_without_hourly_files_is_told_apart() {
    let body =
        r#"[{"errorCode":"INVALID_FIELD","message":"No such column 'Interval' on entity 'EventLogFile'."}]"#;
    let mishap = || Mishap { path: "/query", what: What::Answer(400, body) };
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    org.mishaps.push(mishap());
    let failure = Run::new("").poll(&mut org).expect_err("a failure");
    assert_eq!(failure.problem.kind, Kind::Config);
    assert_eq!(failure.problem.path.as_deref(), Some("streams.login.event_log_file.log_file_interval"));

    org.mishaps.push(mishap());
    let mut run = Run::new("");
    run.collector = crate::cases::configured_with(&[(
        "\"event_log_file\": {}",
        "\"event_log_file\": {\"log_file_interval\": \"daily\"}",
    )]);
    run.until_caught_up(&mut org);
    assert_eq!((run.events.len(), run.problems.len()), (1, 0), "{:?}", run.problems);
    assert!(org.requests.iter().any(|path| path.contains("Sequence+%3D+0")), "{:?}", org.requests);
}

#[test]
fn a_host_that_denies_a_request_is_named_as_the_reason() {
    let mut org = CannedOrg::with(vec![]);
    org.mishaps.push(Mishap { path: "/token", what: What::Denied });
    let failure = Run::new("").poll(&mut org).expect_err("a failure");
    assert_eq!(failure.problem.kind, Kind::Config);
    assert!(failure.problem.message.contains("acme.my.salesforce.com"), "{}", failure.problem);
}

#[test]
fn an_org_that_does_not_answer_is_waited_for() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    org.mishaps.push(Mishap { path: "/token", what: What::NoAnswer });
    org.mishaps.push(Mishap { path: "/query", what: What::NoAnswer });
    org.mishaps.push(Mishap { path: "/LogFile", what: What::NoAnswer });
    let mut run = Run::new("");
    assert_eq!(run.poll(&mut org).expect_err("a failure").problem.kind, Kind::Transient);
    run.clock.advance(60_000);
    run.until_caught_up(&mut org);
    assert_eq!((run.events.len(), run.problems.len()), (1, 3), "{:?}", run.problems);
}

#[test]
fn a_row_that_is_too_long_is_delivered_in_part_and_the_file_goes_on() {
    for length in [3_000_000, 50_000_000] {
        let mut body = csv([String::from("before")]);
        body.extend_from_slice(b"\"Login\",\"");
        body.extend(std::iter::repeat_n(b'x', length));
        body.extend_from_slice(b"\",\"\",\"\"\n");
        body.extend_from_slice(&csv([String::from("after")])[60..]);
        let mut run = Run::new("");
        let batch = run.poll(&mut CannedOrg::with(vec![CannedFile::new(1, body)])).expect("a batch");
        assert_eq!(ids(&batch.events), ["before", "malformed", "after"]);
        assert!(batch.events[1].contains("longer than"));
        assert!(batch.events[1].len() < 100_000);
        assert_eq!((batch.stats.rows_read, batch.stats.rows_malformed), (3, 1));
    }
}

/// One event in a batch.
const ONE_EVENT: &str = "\"batch\": {\"max_events\": 1},";

#[test]
fn a_row_that_is_too_long_and_ends_its_file_is_delivered_once_by_fresh_instances() {
    let mut body = csv([String::from("before")]);
    body.extend_from_slice(b"\"Login\",\"");
    body.extend(std::iter::repeat_n(b'x', 3_000_000));
    let mut org = CannedOrg::with(vec![CannedFile::new(1, body)]);
    let mut run = Run::new(ONE_EVENT);
    for _ in 0..6 {
        run.collector = configured(ONE_EVENT);
        run.poll(&mut org).expect("a batch");
    }
    assert_eq!(ids(&run.events), ["before", "malformed"]);
}

#[test]
fn a_foreign_state_is_refused_before_anything_is_asked() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let mut run = Run::new("");
    for state in ["", "{}", "null", r#"{"format":"salesforce-source/state","version":99}"#] {
        let failure = run.collector.poll(&mut org, &run.clock, Some(state)).expect_err(state);
        assert_eq!((failure.problem.kind, failure.state), (Kind::State, None));
    }
    assert!(org.requests.is_empty());
}

#[test]
fn states_of_streams_that_are_not_configured_are_kept() {
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    let mut run = Run::new("");
    run.state = Some(String::from(
        r#"{"format":"salesforce-source/state","version":1,"streams":{"mine":{"event_log_file":{"due":"2026-06-01T00:00:00Z","floor":"2026-05-01T00:00:00Z"}}}}"#,
    ));
    run.until_caught_up(&mut org);
    let state: serde_json::Value = serde_json::from_str(&run.state.expect("a state")).expect("JSON");
    assert_eq!(state["streams"]["mine"]["event_log_file"]["low_watermark"], "2026-05-01T00:00:00.000Z");
    assert!(state["streams"]["login"]["event_log_file"].is_object());
}

#[test]
fn neither_token_nor_key_stands_in_anything_that_comes_out() {
    let mut org = CannedOrg::with(vec![file(1, 3)]);
    for (path, status, body) in [
        ("/token", 400, r#"{"error":"invalid_grant","error_description":"authentication failure"}"#),
        ("/query", 500, r#"[{"errorCode":"X","message":"bad header authorization: Bearer 00D!token"}]"#),
        ("/LogFile", 403, r#"[{"errorCode":"00D!token","message":"no 00D!token"}]"#),
    ] {
        org.mishaps.push(Mishap { path, what: What::Answer(status, body) });
    }
    let mut run = Run::new("");
    run.until_caught_up(&mut org);
    let out = format!("{:?}{:?}{:?}", run.events, run.problems, run.state);
    assert_eq!(run.problems.len(), 3, "{:?}", run.problems);
    assert!(out.contains("[secret]"), "what was sent was not repeated: {out}");
    assert!(!out.contains("00D!token") && !out.contains("PRIVATE KEY"), "{out}");
    assert!(org.requests.iter().all(|path| !path.contains("00D!token")));
}

#[test]
fn a_check_tries_each_thing_and_stops_where_nothing_more_can_work() {
    let check = |org: &mut CannedOrg| {
        let findings = configured("").check(org, &StillClock::at(NOW));
        findings
            .into_iter()
            .map(|finding| format!("{} {:?}", finding.name, finding.verdict))
            .collect::<Vec<_>>()
    };
    let mut org = CannedOrg::with(vec![file(1, 1)]);
    org.date = Some("Mon, 01 Jun 2026 14:00:00 GMT");
    assert_eq!(
        check(&mut org),
        [
            "instance-url Pass",
            "api-version Pass",
            "clock Pass",
            "sign-in Pass",
            "api-enabled Pass",
            "event-log-file Pass",
            "hourly-files Pass",
            "streams.login.event_log_file Pass"
        ]
    );
    org.date = Some("Mon, 01 Jun 2026 13:50:00 GMT");
    let versions = r#"[{"version":"60.0"}]"#;
    org.mishaps.push(Mishap { path: "/services/data", what: What::Answer(200, versions) });
    org.mishaps.push(Mishap { path: "/token", what: What::Answer(400, r#"{"error":"invalid_client_id"}"#) });
    assert_eq!(check(&mut org), ["instance-url Pass", "api-version Fail", "clock Warn", "sign-in Fail"]);
    org.mishaps.push(Mishap { path: "/services/data", what: What::NoAnswer });
    assert_eq!(check(&mut org), ["instance-url Fail"]);
}

#[test]
fn a_cut_inside_a_row_that_is_too_long_does_not_turn_its_rest_into_rows() {
    let mut body = csv([String::from("before")]);
    body.extend_from_slice(b"\"Login\",\"");
    for _ in 0..30_000 {
        body.extend_from_slice(&[b'x'; 99]);
        body.push(b'\n');
    }
    body.extend_from_slice(b"\",\"\",\"\"\n");
    body.extend_from_slice(&csv([String::from("after")])[61..]);
    for error in [true, false] {
        let mut org = CannedOrg::with(vec![CannedFile::new(1, body.clone())]);
        org.mishaps.push(Mishap { path: "/LogFile", what: What::Cut { after: 2_000_000, error } });
        let mut run = Run::new("");
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), ["before", "malformed", "after"], "with an error: {error}");
    }
}

#[test]
fn a_checkpoint_with_impossible_numbers_is_read_from_the_beginning_and_not_a_panic() {
    let mut org = CannedOrg::with(vec![file(1, 4)]);
    let more = "\"batch\": {\"max_events\": 2},";
    let mut run = Run::new(more);
    run.poll(&mut org).expect("a batch");
    let good: serde_json::Value = serde_json::from_str(&run.state.expect("a state")).expect("JSON");
    for (offset, row_length) in [(0, 0), (5, 9), (u64::MAX, u64::MAX), (u64::MAX, 0), (200, u64::MAX)] {
        let mut state = good.clone();
        let checkpoint = &mut state["streams"]["login"]["event_log_file"]["reading"]["checkpoint"];
        assert!(checkpoint.is_object(), "{good}");
        checkpoint["offset"] = offset.into();
        checkpoint["row_length"] = row_length.into();
        let mut again = Run::new(more);
        again.state = Some(state.to_string());
        again.until_caught_up(&mut org);
        assert_eq!(ids(&again.events), expected(&[(1, 4)]), "{offset}, {row_length}: {:?}", again.problems);
    }
}

#[test]
fn a_check_finds_that_an_org_has_no_hourly_files() {
    let body =
        r#"[{"errorCode":"INVALID_FIELD","message":"No such column 'Interval' on entity 'EventLogFile'."}]"#;
    let daily = ("\"event_log_file\": {}", "\"event_log_file\": {\"log_file_interval\": \"daily\"}");
    for (replacements, hourly) in [(vec![], Some(Verdict::Fail)), (vec![daily], None)] {
        let mut org = CannedOrg::with(vec![]);
        org.mishaps.push(Mishap { path: "/query", what: What::Answer(400, body) });
        let mut collector = crate::cases::configured_with(&replacements);
        let findings = collector.check(&mut org, &StillClock::at(NOW));
        let verdict =
            |name: &str| findings.iter().find(|finding| finding.name == name).map(|finding| finding.verdict);
        assert_eq!(verdict("event-log-file"), Some(Verdict::Warn), "{findings:?}");
        assert_eq!(verdict("hourly-files"), hourly, "{findings:?}");
    }
}

#[test]
fn a_new_column_whose_name_is_taken_gets_a_key_of_its_own() {
    let names = ["EVENT_TYPE", "LOGIN_STATUS", "CLIENT_IP", "STATUS", "CLIENT", "Status", "status"];
    let quoted = |values: &[&str]| format!("\"{}\"\n", values.join("\",\""));
    let body = quoted(&names) + &quoted(&["Login", "LOGIN_NO_ERROR", "192.0.2.1", "a", "b", "c", "d"]);
    let batch = Run::new("").poll(&mut CannedOrg::with(vec![CannedFile::new(1, body.into_bytes())]));
    let event = batch.expect("a batch").events.remove(0);
    // A reader that keeps the last of equal keys would lose values: each must be found, whatever its key.
    let json: serde_json::Value = serde_json::from_str(&event).expect("JSON");
    let login = json["salesforce"]["login"].as_object().expect("an object");
    let values: Vec<_> = login.values().filter_map(|value| value.as_str()).collect();
    assert_eq!(login["client"]["ip"], "192.0.2.1", "{event}");
    for value in ["LOGIN_NO_ERROR", "a", "b", "c", "d"] {
        assert!(values.contains(&value), "{value} is not in {event}");
    }
}

#[test]
fn streams_of_hourly_and_of_daily_files_are_listed_each_by_itself() {
    let both =
        r#""login": {"event_log_file": {}}, "logout": {"event_log_file": {"log_file_interval": "daily"}}"#;
    let mut org = CannedOrg::default();
    let mut run = Run::of(crate::cases::configured_with(&[("\"login\": {\"event_log_file\": {}}", both)]));
    run.until_caught_up(&mut org);
    let asked = |types: &str, interval: &str| {
        let both = |path: &&String| {
            path.contains(&format!("EventType+%3D+%27{types}%27"))
                && path.contains(&format!("%27{interval}%27"))
        };
        org.requests.iter().filter(both).count()
    };
    let counts = [("Login", "Hourly"), ("Logout", "Daily")].map(|(types, interval)| asked(types, interval));
    assert_eq!(counts, [1, 1], "{:?}", org.requests);
}

#[test]
fn what_is_wrong_with_the_types_of_one_stream_reaches_the_others_twice_at_most() {
    let both = r#""login": {"event_log_file": {}}, "logout": {"event_log_file": {}}"#;
    let mut org = CannedOrg::default();
    let refused = r#"[{"errorCode":"MALFORMED_QUERY","message":"x"}]"#;
    org.always.push((String::from("Logout"), 400, refused));
    let mut run = Run::of(crate::cases::configured_with(&[("\"login\": {\"event_log_file\": {}}", both)]));
    let (mut of_login, mut of_logout) = (0, 0);
    for _ in 0..50 {
        let (problems, wait) = match run.poll(&mut org) {
            Ok(batch) => (batch.problems, Some(batch.next_poll_ms)),
            Err(failure) => {
                let wait = failure.problem.retry_after_ms;
                (vec![failure.problem], wait)
            }
        };
        let of = |stream| problems.iter().filter(|p| p.stream.as_deref() == Some(stream)).count();
        of_login += of("login");
        of_logout += of("logout");
        run.clock.advance(i64::from(wait.expect("a wait")));
    }
    assert!(of_logout > 5, "{:?}", run.problems);
    assert!(of_login <= 2, "{of_login}: {:?}", run.problems);
}
