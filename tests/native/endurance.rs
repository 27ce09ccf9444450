//! No answer, however strange, stops a stream, and no stream stops another.
//!
//! Each test meets the collector with something that nobody promised it would not meet, for a span of time or for good, and
//! then compares what was delivered with what there was.

use crate::{
    cases::NOW,
    collection::{BROKEN, Collection, HOUR, MINUTE, answer, beginning, settings, time},
    polls::Run,
};
use chrono::TimeDelta;
use collector::{Collector, batch::Batch};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use salesforce_sim::{
    Crowd, Failure, FaultAction, LateRecords, LocatorRefusal, Objects, Oddities, OrgSettings, PlannedFault,
    QueriesOf, StoredObject, Total, Which,
};
use serde_json::{Value, json};

const DAY: TimeDelta = TimeDelta::days(1);

fn busy() -> Objects {
    Objects { audit_rows_per_hour: 60, ..Objects::default() }
}

fn object_stream(stream: &str) -> Value {
    json!({stream: {"initial_interval": "1d", "object": {"interval": "5m"}}})
}

/// The objects that are read in windows, and those that are paged through.
const BOTH: [(&str, StoredObject); 2] =
    [("login", StoredObject::LoginEvent), ("setupaudittrail", StoredObject::SetupAuditTrail)];

#[test]
fn what_the_org_says_of_the_number_of_records_loses_none_and_repeats_none() {
    for (stream, object) in BOTH {
        for says in [
            Total::MinusOne,
            Total::OfThePage,
            Total::Absent,
            Total::Off(-7),
            Total::Off(1),
            Total::Off(100_000),
        ] {
            for page_size in [20, 2000] {
                let settings = OrgSettings { page_size, ..settings(60, 3, busy()) };
                let mut run = Collection::new(settings, &object_stream(stream));
                run.world.org.org().plan_fault(PlannedFault::every("/query", FaultAction::Total { says }));
                run.go_on_for(4 * HOUR);
                let comparison = run.compare(stream, object, DAY);
                assert!(
                    comparison.is_clean() && comparison.wanted > 500,
                    "{stream} {says:?} {page_size}: {comparison}"
                );
                let queries = run.queries().len();
                assert!(queries < 400, "{stream} {says:?} {page_size}: {queries} queries");
                // Only more than comes is a doubt that is worth a word.
                let doubted = matches!(says, Total::Off(more) if more > 0);
                assert_eq!(!run.problems.is_empty(), doubted, "{stream} {says:?}: {:?}", run.problems);
            }
        }
    }
}

#[test]
fn an_answer_with_fewer_records_than_it_says_is_asked_for_again() {
    for (stream, object) in BOTH {
        let mut run = Collection::new(settings(60, 0, busy()), &object_stream(stream));
        run.world
            .org
            .org()
            .plan_fault(PlannedFault::every("/query", FaultAction::FewerRecords { by: 10 }).times(1));
        run.round();
        let comparison = run.compare(stream, object, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 500, "{stream}: {comparison}");
        assert!(run.problems.is_empty(), "{:?}", run.problems);
    }
}

#[test]
fn whatever_fails_for_what_is_too_much_is_asked_for_in_smaller_pieces() {
    for (stream, object) in BOTH {
        for failure in [
            Failure::QueryTimeout,
            Failure::RequestRunningTooLong,
            Failure::OperationTooLarge,
            Failure::Json(502),
            Failure::Json(503),
            Failure::Page(502),
            Failure::Page(504),
            Failure::Page(500),
            Failure::Closed,
            Failure::Stall,
        ] {
            for costly in [
                FaultAction::more_than(60, failure),
                FaultAction::wider_than(TimeDelta::minutes(50), failure),
            ] {
                let mut run = Collection::new(settings(40, 0, busy()), &object_stream(stream));
                run.world
                    .org
                    .org()
                    .plan_fault(PlannedFault::every("/query", costly.clone()).of(object.into()));
                run.go_on_for(8 * HOUR);
                let comparison = run.compare(stream, object, DAY);
                assert!(
                    comparison.is_clean() && comparison.wanted > 400,
                    "{stream} {costly:?}: {comparison}"
                );
            }
        }
    }
}

#[test]
fn more_records_of_one_instant_than_a_window_holds_come_page_by_page() {
    let at = beginning() - TimeDelta::hours(2);
    let crowd = Crowd { at, rows: 5_000, objects: vec![StoredObject::LoginEvent] };
    let objects = Objects { crowd: Some(crowd), ..Objects::default() };
    let streams = json!({"login": {"initial_interval": "1d", "object": {"interval": "5m"}}});
    let mut run = Collection::new(settings(40, 0, objects), &streams);
    // Nothing else is waited for, so that a query that goes round in circles is seen soon.
    for _ in 0..40 {
        if run.poll().next_poll_ms > 0 {
            break;
        }
    }
    let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
    assert!(comparison.is_clean() && comparison.wanted > 5_000, "{comparison}");
}

#[test]
fn a_long_backlog_behind_a_narrow_limit_costs_few_queries_that_fail() {
    let streams = json!({"login": {"initial_interval": "20d", "object": {"interval": "1h"}}});
    let mut run = Collection::new(settings(40, 0, Objects::default()), &streams);
    let limit = TimeDelta::minutes(10);
    let costly = FaultAction::wider_than(limit, Failure::QueryTimeout);
    run.world.org.org().plan_fault(PlannedFault::every("/query", costly).of(QueriesOf::Big));
    run.go_on_for(8 * HOUR);
    assert!(run.compare("login", StoredObject::LoginEvent, TimeDelta::days(20)).is_clean());
    let windows = run.windows();
    let failed = windows.iter().filter(|(from, until)| time(until) - time(from) > limit).count();
    // Twenty days are 2,880 windows of ten minutes at least.
    assert!(windows.len() > 2_880 && failed < 50, "{failed} of {} failed", windows.len());
}

#[test]
fn files_are_listed_in_parts_where_all_at_once_fails_again_and_again() {
    for failure in [Failure::QueryTimeout, Failure::Page(504), Failure::Closed] {
        let streams = json!({"login": {"initial_interval": "2d", "event_log_file": {"interval": "1h"}}});
        let mut run = Collection::new(settings(10, 0, Objects::default()), &streams);
        let costly = FaultAction::wider_than(TimeDelta::hours(5), failure);
        run.world.org.org().plan_fault(
            PlannedFault::every("/query", costly).of(QueriesOf::Object(String::from("EventLogFile"))),
        );
        run.go_on_for(8 * HOUR);
        let rows = run.delivered.count();
        assert!(rows >= 80, "{failure:?}: {rows} rows, {:?}", run.problems.last());
    }
}

#[test]
fn pages_that_die_with_their_session_are_asked_for_anew_at_once_and_nobody_must_act() {
    for refusal in [LocatorRefusal::BadRequest, LocatorRefusal::Unauthorized, LocatorRefusal::Forbidden] {
        for (stream, object) in BOTH {
            let oddities = Oddities { locator_refusal: Some(refusal), ..Oddities::default() };
            let settings = OrgSettings { page_size: 20, oddities, ..settings(10, 0, busy()) };
            let mut run = Collection::new(settings, &object_stream(stream));
            run.world.org.org().plan_fault(answer("/query/", Some(4), 401, EXPIRED));
            run.round();
            assert!(run.problems.is_empty(), "{refusal:?} {stream}: {:?}", run.problems);
            let comparison = run.compare(stream, object, DAY);
            assert!(comparison.is_clean() && comparison.wanted > 100, "{refusal:?} {stream}: {comparison}");
        }
    }
}

const EXPIRED: &str = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;

#[test]
fn rows_of_a_deployment_that_commits_late_are_collected_once() {
    let from = beginning() + TimeDelta::minutes(5);
    for minutes in [10, 40] {
        for fresh in [false, true] {
            let committed = from + TimeDelta::minutes(minutes);
            let object = StoredObject::SetupAuditTrail;
            let late = LateRecords { object, from, committed, which: Which::OneIn(2) };
            let oddities = Oddities { late: vec![late], ..Oddities::default() };
            let streams =
                json!({"setupaudittrail": {"initial_interval": "1d", "object": {"interval": "5m"}}});
            let settings = OrgSettings { oddities, ..settings(1, 3, busy()) };
            let mut run = Collection::in_batches_of(7, settings, &streams);
            let end = run.world.org_ms() + 3 * HOUR;
            while run.world.org_ms() < end {
                let wait = run.poll().next_poll_ms;
                if fresh {
                    run.restart();
                }
                run.world.pass(i64::from(wait));
            }
            let comparison = run.compare("setupaudittrail", object, DAY);
            assert!(
                comparison.is_clean() && comparison.wanted > 800,
                "{minutes} min, fresh {fresh}: {comparison}"
            );
        }
    }
}

#[test]
fn dates_that_are_compared_more_finely_than_they_are_shown_lose_nothing_and_end() {
    for (stream, object) in BOTH {
        for fresh in [false, true] {
            let oddities = Oddities { finer_dates: vec![object], ..Oddities::default() };
            let settings = OrgSettings { oddities, ..settings(60, 2, busy()) };
            let mut run = Collection::in_batches_of(50, settings, &object_stream(stream));
            let end = run.world.org_ms() + 3 * HOUR;
            let mut polls = 0;
            while run.world.org_ms() < end {
                let wait = run.poll().next_poll_ms;
                if fresh {
                    run.restart();
                }
                run.world.pass(i64::from(wait));
                polls += 1;
            }
            let comparison = run.compare(stream, object, DAY);
            assert!(
                comparison.is_clean() && comparison.wanted > 500,
                "{stream}, fresh {fresh}: {comparison}"
            );
            assert!(polls < 200 && run.problems.is_empty(), "{polls} polls, {:?}", run.problems);
        }
    }
}

#[test]
fn records_without_the_date_that_they_are_collected_by_are_delivered_once() {
    // FIELDS(STANDARD) has no field of the org's own. Should one be missing all the same, it comes to an end.
    let object = "{\"name\": \"Account\", \"cursor_field\": \"Seen__c\"}";
    let streams = format!("\"streams\": {{\"own\": {{\"object\": {object}}}}}");
    let records: Vec<Value> =
        (0..50).map(|n| json!({"Id": format!("001{n:015}"), "Name": format!("n{n}")})).collect();
    let mut org = CannedOrg {
        date: Some("Mon, 01 Jun 2026 14:00:00 GMT"),
        records: Some(Value::from(records).to_string()),
        ..CannedOrg::default()
    };
    let clock = StillClock::at(NOW);
    let more = "\"batch\": {\"max_events\": 7},";
    let collecting = || {
        crate::cases::configured_with(&[
            ("\"streams\": {\"login\": {\"event_log_file\": {}}}", &streams),
            ("\"instance_url\"", &format!("{more} \"instance_url\"")),
        ])
    };
    let (mut state, mut events) = (None::<String>, Vec::new());
    for _ in 0..30 {
        let batch = collecting().poll(&mut org, &clock, state.as_deref()).expect("a batch");
        events.extend(batch.events);
        state = Some(batch.state);
    }
    events.sort();
    let count = events.len();
    events.dedup();
    assert_eq!((count, events.len()), (50, 50));
    let asked = org.requests.iter().find(|path| path.contains("FROM+Account")).expect("a query");
    assert!(asked.contains("FIELDS%28STANDARD%29%2C+Seen__c"), "{asked}");
}

#[test]
fn a_host_clock_that_was_ahead_and_is_set_right_leaves_no_silence() {
    let hour = HOUR;
    for ahead in [8 * hour, -8 * hour, 3 * 24 * hour] {
        let mut run = Collection::new(settings(60, 14, Objects::default()), &object_stream("login"));
        run.world.set_host_ahead(ahead);
        run.round();
        run.go_on_for(HOUR);
        run.world.set_host_ahead(0);
        for _ in 0..10 {
            run.go_on_for(10 * MINUTE);
            let behind = run.world.org_ms() - run.cursor("login").timestamp_millis();
            assert!(behind < 15 * MINUTE, "{ahead}: {behind} ms behind");
        }
        let comparison = run.compare("login", StoredObject::LoginEvent, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 500, "{ahead}: {comparison}");
    }
}

/// Files of an hour each in so many streams, of which so many of each cannot be downloaded for `answer`.
fn streams_with_bad_files(
    streams: usize,
    bad: usize,
    good: usize,
    status: u16,
    body: &'static str,
) -> (CannedOrg, String) {
    let mut org = CannedOrg::default();
    let mut configured = Vec::new();
    for stream in 0..streams {
        configured
            .push(format!("\"s{stream}\": {{\"event_log_file\": {{\"event_types\": [\"Type{stream}\"]}}}}"));
        for n in 0..bad + good {
            let number = u32::try_from(stream * 100 + n).expect("few");
            let row = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Type{stream}\",\"{number}\"\n");
            let created = format!("2026-06-01T12:{:02}:{:02}.000+0000", n, stream);
            let event_type = format!("Type{stream}");
            let file = CannedFile { created, event_type, ..CannedFile::new(number, row.into_bytes()) };
            if n < bad {
                org.always.push((format!("{}/LogFile", file.id), status, body));
            }
            org.files.push(file);
        }
    }
    (org, format!("\"streams\": {{{}}}", configured.join(",")))
}

fn collecting(streams: &str) -> Collector {
    crate::cases::configured_with(&[("\"streams\": {\"login\": {\"event_log_file\": {}}}", streams)])
}

#[test]
fn files_that_are_always_refused_do_not_hold_up_the_others() {
    let concurrent = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded"}]"#;
    for (status, body) in [
        (429, ""),
        (401, EXPIRED),
        (401, ""),
        (403, concurrent),
        (500, BROKEN),
        (403, r#"[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]"#),
    ] {
        for (streams, bad) in [(1, 1), (1, 2), (16, 1), (16, 8)] {
            let (mut org, configuration) = streams_with_bad_files(streams, bad, 3, status, body);
            let mut collector = collecting(&configuration);
            let clock = StillClock::at(NOW);
            let (mut state, mut events, mut sign_ins, mut polls) = (None::<String>, 0, 0, 0);
            let start = NOW;
            while events < 3 * streams {
                let wait = match collector.poll(&mut org, &clock, state.as_deref()) {
                    Ok(batch) => {
                        events += batch.events.len();
                        sign_ins += batch.stats.token_requests;
                        state = Some(batch.state);
                        batch.next_poll_ms
                    }
                    Err(failure) => {
                        state = failure.state.or(state);
                        failure.problem.retry_after_ms.expect("a wait")
                    }
                };
                polls += 1;
                clock.advance(i64::from(wait));
                let passed = collector::io::Clock::now_ms(&clock) - start;
                assert!(
                    passed < HOUR && polls < 3000,
                    "{status} {body}, {bad} bad files in {streams} streams: {events} events after {passed} ms"
                );
            }
            // One for each file, since it may be the session; not one for each attempt.
            let most = u32::try_from(2 + 2 * bad * streams).expect("few");
            assert!(sign_ins <= most, "{status} {body}: {sign_ins} sign-ins in {polls} polls");
        }
    }
}

#[test]
fn files_that_failed_while_no_download_worked_are_all_read_soon_after_one_does() {
    let csv = |n: u32| format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"{n}\"\n").into_bytes();
    let mut org = CannedOrg::with((1..=5).map(|n| CannedFile::new(n, csv(n))).collect());
    org.always.push((String::from("/LogFile"), 502, "<html>back soon</html>"));
    let mut run = Run::of(crate::cases::configured(""));
    run.go_on_for(&mut org, 40 * HOUR);
    assert!(run.events.is_empty());
    // By now each waits for hours after each try.
    org.always.clear();
    org.files.push(CannedFile {
        created: String::from("2026-06-03T05:00:00.000+0000"),
        ..CannedFile::new(6, csv(6))
    });
    run.go_on_for(&mut org, HOUR + 10 * MINUTE);
    let read = (1..=6).filter(|n| run.events.iter().any(|event| event.contains(&format!("0AT{n:015}"))));
    assert_eq!(read.count(), 6, "{:?}", run.events.len());
}

#[test]
fn a_file_that_fails_alone_is_asked_for_ever_more_rarely_though_others_are_read() {
    let csv = |n: u32| format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"{n}\"\n").into_bytes();
    let mut org = CannedOrg::with(vec![CannedFile::new(1, csv(1))]);
    org.always.push((format!("0AT{:015}/LogFile", 1), 502, "<html>back soon</html>"));
    let mut run = Run::of(crate::cases::configured(""));
    for hour in 0..48 {
        let created = format!("2026-06-{:02}T{:02}:30:00.000+0000", 2 + hour / 24, hour % 24);
        org.files.push(CannedFile { created, ..CannedFile::new(100 + hour, csv(hour)) });
    }
    run.go_on_for(&mut org, 72 * HOUR);
    assert_eq!(run.events.len(), 48);
    let asked = org.requests.iter().filter(|path| path.contains("0AT000000000000001/LogFile")).count();
    assert!((20..60).contains(&asked), "{asked}");
}

#[test]
fn a_session_that_is_refused_for_everything_costs_two_sign_ins_and_not_two_for_each_stream() {
    let (mut org, configuration) = streams_with_bad_files(1, 0, 1, 200, "");
    let objects: Vec<String> =
        (0..12).map(|n| format!("\"o{n}\": {{\"object\": {{\"name\": \"Object{n}\"}}}}")).collect();
    let files = configuration.trim_start_matches("\"streams\": {").trim_end_matches('}');
    let configuration = format!("\"streams\": {{{files}}}}}, {}}}", objects.join(","));
    org.always.push((String::from("/services/data/v"), 401, EXPIRED));
    let mut collector = collecting(&configuration);
    let failure = collector.poll(&mut org, &StillClock::at(NOW), None).expect_err("nothing works");
    assert!(failure.problem.stream.is_none(), "{}", failure.problem);
    let sign_ins = org.requests.iter().filter(|path| path.contains("/token")).count();
    assert_eq!(sign_ins, 2, "{:?}", org.requests);
    assert!(org.requests.len() < 12, "{:?}", org.requests);
}

#[test]
fn going_over_to_daily_files_with_a_file_half_read_leaves_no_gap_on_any_instance() {
    for fresh in [false, true] {
        let csv = |n: u32, rows: u32| {
            let rows: String = (0..rows).map(|row| format!("\"Login\",\"{n}-{row}\"\n")).collect();
            format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n{rows}").into_bytes()
        };
        let at = |n: u32, created: &str, rows: u32| CannedFile {
            created: created.to_owned(),
            ..CannedFile::new(n, csv(n, rows))
        };
        let mut org = CannedOrg::with(vec![at(1, "2026-06-01T13:30:00.000+0000", 40)]);
        let batch = "\"batch\": {\"max_events\": 5}, \"instance_url\"";
        let configured = |daily: bool| {
            let files = if daily {
                "\"event_log_file\": {\"log_file_interval\": \"daily\"}"
            } else {
                "\"event_log_file\": {}"
            };
            crate::cases::configured_with(&[("\"event_log_file\": {}", files), ("\"instance_url\"", batch)])
        };
        let clock = StillClock::at(NOW);
        let mut collector = configured(false);
        let first = collector.poll(&mut org, &clock, None).expect("a batch");
        assert_eq!(first.events.len(), 5);
        // The daily files of four days were there all the time.
        org.files = vec![org.files[0].clone()];
        for day in 29..=31 {
            let file = at(day, &format!("2026-05-{day}T02:30:00.000+0000"), 3);
            org.files.push(file);
        }
        org.files.push(at(32, "2026-06-01T02:30:00.000+0000", 3));
        org.interval = "Daily";
        collector = configured(true);
        let (mut state, mut events) = (first.state, first.events);
        for _ in 0..200 {
            let polled: Batch = collector.poll(&mut org, &clock, Some(&state)).expect("a batch");
            events.extend(polled.events);
            state = polled.state;
            if fresh {
                collector = configured(true);
            }
            if polled.next_poll_ms > 1000 {
                break;
            }
        }
        let all = events.join("\n");
        for day in 29..=32 {
            for row in 0..3 {
                assert!(all.contains(&format!("\"{day}-{row}\"")), "{day}-{row}, fresh {fresh}");
            }
        }
    }
}

#[test]
fn streams_that_go_over_to_other_files_together_share_a_listing_that_goes_back_for_each() {
    // Interval and types before and after.
    let (login, logout) = (r#"["Login"]"#, r#"["Logout"]"#);
    let ways = [
        (["hourly", login, logout], ["daily", login, logout]),
        (["hourly", r#"["Report"]"#, r#"["URI"]"#], ["hourly", login, logout]),
    ];
    for (before, after) in ways {
        let collecting = |[interval, one, two]: [&str; 3]| {
            let files = |types| format!(r#"{{"event_types": {types}, "log_file_interval": "{interval}"}}"#);
            let (one, two) = (files(one), files(two));
            collecting(&format!(
                r#""streams": {{"one": {{"event_log_file": {one}}}, "two": {{"event_log_file": {two}}}}}"#
            ))
        };
        let file = |n: u32, event_type: &str, created: &str| CannedFile {
            event_type: event_type.to_owned(),
            created: created.to_owned(),
            ..CannedFile::new(
                n,
                format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"{event_type}\",\"{n}\"\n").into_bytes(),
            )
        };
        let new = "2026-06-01T13:30:00.000+0000";
        let mut org = CannedOrg::with(vec![
            file(1, "Login", new),
            file(2, "Logout", new),
            file(3, "Report", new),
            file(6, "URI", new),
        ]);
        let mut run = Run::of(collecting(before));
        run.go_on_for(&mut org, 6 * 3_600_000);
        // Not yet due, but near enough to join a listing.
        run.clock.advance(2_400_000);
        // What comes to light now was there all the time.
        let old = "2026-05-31T02:30:00.000+0000";
        org.files.extend([file(4, "Login", old), file(5, "Logout", old)]);
        if after[0] == "daily" {
            org.interval = "Daily";
        }
        run.collector = collecting(after);
        run.go_on_for(&mut org, 6 * 3_600_000);
        let all = run.events.join("\n");
        for (n, event_type) in [(4, "Login"), (5, "Logout")] {
            assert!(all.contains(&format!("0AT{n:015}")), "{event_type} after {after:?}: {all}");
        }
    }
}

/// An org in which each request takes so long, and those for some paths longer.
struct Slow {
    org: CannedOrg,
    clock: StillClock,
    each: i64,
    slower: Vec<(&'static str, i64)>,
}

impl collector::io::Http for Slow {
    fn send(
        &mut self,
        request: &collector::io::Request,
    ) -> Result<collector::io::Response, collector::io::TransportError> {
        let slower = self.slower.iter().find(|(part, _)| request.path.contains(part));
        self.clock.advance(slower.map_or(self.each, |(_, each)| *each));
        collector::io::Http::send(&mut self.org, request)
    }
}

fn objects(count: usize) -> String {
    let stream =
        |n: usize| format!("\"o{n}\": {{\"object\": {{\"name\": \"Object{n}\", \"interval\": \"5m\"}}}}");
    format!("\"streams\": {{{}}}", (0..count).map(stream).collect::<Vec<_>>().join(","))
}

#[test]
fn no_poll_takes_long_however_many_streams_are_due_and_however_slow_the_org_is() {
    for each in [5_000, 60_000] {
        let clock = StillClock::at(NOW);
        let org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
        let mut slow = Slow { org, clock: clock.clone(), each, slower: Vec::new() };
        let mut state = None::<String>;
        for _ in 0..100 {
            let mut collector = collecting(&objects(32));
            let before = collector::io::Clock::now_ms(&clock);
            let batch = collector.poll(&mut slow, &clock, state.as_deref()).expect("a batch");
            let took = collector::io::Clock::now_ms(&clock) - before;
            assert!(took <= 3 * each + 10_000, "a poll took {took} ms");
            state = Some(batch.state);
            if batch.next_poll_ms > 0 {
                break;
            }
        }
        for n in 0..32 {
            let asked =
                slow.org.requests.iter().filter(|path| path.contains(&format!("FROM+Object{n}+"))).count();
            assert!(asked > 0, "Object{n} was never asked for");
        }
    }
}

#[test]
fn a_slow_object_that_is_added_later_starves_no_other() {
    let clock = StillClock::at(NOW);
    let record =
        |n: usize| json!({"Id": format!("001{n:015}"), "CreatedDate": "2026-06-01T13:00:00.000+0000"});
    let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
    let mut collector = collecting(&objects(4));
    let batch = collector.poll(&mut org, &clock, None).expect("a batch");
    // From now on a fifth object takes a minute for each answer, and never comes to an end.
    clock.advance(6 * MINUTE);
    let page = json!({"done": false, "records": (0..500).map(record).collect::<Vec<_>>(), "nextRecordsUrl": "/services/data/v65.0/query/more"});
    org.always.push((String::from("FROM+Object4+"), 200, page.to_string().leak()));
    let mut slow = Slow { org, clock: clock.clone(), each: 0, slower: Vec::new() };
    let mut state = batch.state;
    let mut asked_after = Vec::new();
    let start = collector::io::Clock::now_ms(&clock);
    while collector::io::Clock::now_ms(&clock) - start < HOUR {
        slow.each = 60_000;
        let mut collector = collecting(&objects(5));
        let before = slow.org.requests.len();
        let wait = match collector.poll(&mut slow, &clock, Some(&state)) {
            Ok(batch) => {
                state = batch.state;
                batch.next_poll_ms
            }
            Err(failure) => {
                state = failure.state.unwrap_or(state);
                failure.problem.retry_after_ms.expect("a wait")
            }
        };
        if slow.org.requests[before..].iter().any(|path| path.contains("FROM+Object0+")) {
            asked_after.push(collector::io::Clock::now_ms(&clock) - start);
        }
        clock.advance(i64::from(wait));
    }
    assert!(asked_after.first().is_some_and(|first| *first < 15 * MINUTE), "{asked_after:?}");
    assert!(asked_after.len() >= 3, "{asked_after:?}");
}

#[test]
fn a_source_that_needs_more_time_than_a_poll_has_gets_it_while_others_always_have_something() {
    let row = |event_type: &str, n: u32| {
        format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"{event_type}\",\"{n}\"\n").into_bytes()
    };
    let record =
        |n: usize| json!({"Id": format!("001{n:015}"), "CreatedDate": "2026-06-01T13:00:00.000+0000"});
    let page = |n: usize| {
        let records: Vec<Value> = (5 * n..5 * n + 5).map(record).collect();
        let next = format!("/services/data/v65.0/query/page-{}", n + 1);
        let more = if n < 2 { json!({"nextRecordsUrl": next}) } else { json!({}) };
        let mut page = json!({"done": n == 2, "records": records});
        page.as_object_mut().expect("a page").extend(more.as_object().expect("members").clone());
        page.to_string()
    };
    let object = r#""slow": {"object": {"name": "Object0", "interval": "1h"}}"#;
    let files = r#""slow": {"event_log_file": {"event_types": ["Report"]}}"#;
    // What is slow, which requests of it, and how much of it there is.
    let cases = [
        (object, vec![("Object0", 6_000), ("/query/page-", 6_000)], 15),
        (files, vec![("0AT000000000009999", 15_000)], 1),
    ];
    for (slow_one, slower, expected) in cases {
        let mut org = CannedOrg::with((0..2_000).map(|n| CannedFile::new(n, row("Login", n))).collect());
        org.files.push(CannedFile {
            event_type: String::from("Report"),
            ..CannedFile::new(9_999, row("Report", 0))
        });
        let paths = ["FROM+Object0+", "/query/page-1", "/query/page-2"];
        org.always =
            paths.iter().enumerate().map(|(n, path)| (String::from(*path), 200, &*page(n).leak())).collect();
        let clock = StillClock::at(NOW);
        let mut slow = Slow { org, clock: clock.clone(), each: 400, slower };
        let configured = || {
            let batch = r#""batch": {"max_time": "10s"}, "streams""#;
            let streams = format!(
                r#""streams": {{"busy": {{"event_log_file": {{"event_types": ["Login"]}}}}, {slow_one}}}"#
            );
            crate::cases::configured_with(&[
                (r#""streams": {"login": {"event_log_file": {}}}"#, &streams),
                (r#""streams""#, batch),
            ])
        };
        let (mut state, mut came, mut polls) = (None::<String>, 0, 0);
        while came < expected {
            let batch = configured().poll(&mut slow, &clock, state.as_deref()).expect("a batch");
            came += batch.events.iter().filter(|event| event.contains("salesforce.slow")).count();
            state = Some(batch.state);
            polls += 1;
            assert!(polls < 15, "{came} of {expected} came in {polls} polls of {slow_one}");
            assert_eq!(batch.next_poll_ms, 0, "the other one always has something");
        }
        assert_eq!(came, expected, "{slow_one}");
    }
}

#[test]
fn one_stream_that_cannot_go_on_says_so_and_ends_no_other() {
    let not_found = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
    let field = r#"[{"errorCode":"INVALID_FIELD","message":"No such column 'X' on entity 'LoginHistory'."}]"#;
    let malformed = r#"[{"errorCode":"MALFORMED_QUERY","message":"unexpected token: X"}]"#;
    for (status, body) in
        [(404, not_found), (400, field), (400, malformed), (410, ""), (414, ""), (403, "[]")]
    {
        let streams = json!({
            "login": {"initial_interval": "1d", "object": {"interval": "5m"}},
            "history": {"initial_interval": "1d", "object": {"name": "LoginHistory", "interval": "10s"}},
        });
        let mut run = Collection::new(settings(60, 2, Objects::default()), &streams);
        run.round();
        run.world.org.org().plan_fault(
            PlannedFault::every("/query", FaultAction::answer(status, body))
                .of(StoredObject::LoginHistory.into()),
        );
        run.go_on_for(2 * HOUR);
        let behind = run.world.org_ms() - run.cursor("login").timestamp_millis();
        assert!(behind < 15 * MINUTE, "{status} {body}: login is {behind} ms behind");
        let said = run.problems.iter().filter(|problem| problem.contains("LoginHistory")).count();
        let asked = run.queries_of("LoginHistory");
        assert!((2..40).contains(&said), "{status} {body}: said {said} times");
        assert!(asked < 60, "{status} {body}: {asked} queries");
        run.world.org.org().clear_faults();
        run.go_on_for(2 * HOUR);
        let comparison = run.compare("history", StoredObject::LoginHistory, DAY);
        assert!(comparison.missing == 0, "{status} {body}: {comparison}");
    }
}

#[test]
fn what_was_wrong_with_the_configuration_is_tried_at_once_when_it_was_changed() {
    let not_found = r#"[{"errorCode":"INVALID_FIELD","message":"No such column 'X' on entity 'Account'."}]"#;
    let streams = |fields: &str| {
        format!(
            "\"streams\": {{\"own\": {{\"object\": {{\"name\": \"Account\", \"fields\": [\"{fields}\"]}}}}}}"
        )
    };
    let clock = StillClock::at(NOW);
    let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
    org.mishaps.push(Mishap { path: "FROM+Account", what: What::Answer(400, not_found) });
    let failure = collecting(&streams("X")).poll(&mut org, &clock, None).expect_err("refused");
    let state = failure.state.expect("a state");
    let asked = org.requests.len();
    let waiting = collecting(&streams("X")).poll(&mut org, &clock, Some(&state)).expect_err("a wait");
    assert!(waiting.problem.message.contains("waiting until"), "{}", waiting.problem);
    assert_eq!(org.requests.len(), asked);
    let batch = collecting(&streams("Name")).poll(&mut org, &clock, Some(&state)).expect("a batch");
    assert!(batch.problems.is_empty() && org.requests.len() > asked, "{:?}", batch.problems);
}

#[test]
fn an_audit_trail_whose_users_may_not_be_read_is_collected_without_their_names() {
    for (status, code) in [(400, "INVALID_FIELD"), (403, "INSUFFICIENT_ACCESS")] {
        let refusal =
            format!(r#"[{{"errorCode":"{code}","message":"No such column 'Name' on entity 'User'."}}]"#);
        let mut run = Collection::new(settings(1, 1, busy()), &object_stream("setupaudittrail"));
        run.world
            .org
            .org()
            .plan_fault(PlannedFault::every("CreatedBy.", FaultAction::answer(status, refusal)));
        run.go_on_for(2 * HOUR);
        let comparison = run.compare("setupaudittrail", StoredObject::SetupAuditTrail, DAY);
        assert!(comparison.is_clean() && comparison.wanted > 500, "{code}: {comparison}");
        let [problem] = &run.problems[..] else { panic!("{:?}", run.problems) };
        assert!(
            problem.contains("names of users are left out") && problem.contains("View All Users"),
            "{problem}"
        );
    }
}
