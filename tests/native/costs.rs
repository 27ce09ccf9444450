//! What a collection costs, in requests and in downloads: each one counts against the allowance of the org.

use crate::{
    cases::NOW,
    collection::{Collection, HOUR, settings},
};
use collector::io::Clock as _;
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use salesforce_sim::{EmptyFiles, FaultAction, FileEnd, Objects, Oddities, OrgSettings, PlannedFault};
use serde_json::{Value, json};

fn of_types(names: &[&str], interval: &str) -> Value {
    let stream = |name: &&str| {
        (
            name.to_lowercase(),
            json!({"event_log_file": {"event_types": [name], "interval": interval}, "initial_interval": "1d"}),
        )
    };
    Value::Object(names.iter().map(stream).collect())
}

#[test]
fn streams_with_one_interval_share_their_listings_although_the_clock_moves_between_them() {
    let names = ["URI", "API", "Report", "ReportExport", "Search", "Dashboard"];
    let mut run = Collection::new(settings(2, 26, Objects::default()), &of_types(&names, "1h"));
    run.go_on_for(24 * HOUR);
    let listings = run.queries_of("EventLogFile");
    assert!((24..=29).contains(&listings), "{listings} listings in a day");
}

#[test]
fn streams_whose_intervals_began_apart_share_their_listings_from_then_on() {
    let mut run = Collection::new(settings(2, 30, Objects::default()), &of_types(&["URI"], "1h"));
    run.go_on_for(HOUR / 2);
    let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
    config["streams"] = of_types(&["URI", "API", "Report"], "1h");
    run.config = config.to_string();
    run.restart();
    run.go_on_for(3 * HOUR);
    let before = run.queries_of("EventLogFile");
    run.go_on_for(20 * HOUR);
    let listings = run.queries_of("EventLogFile") - before;
    assert!((19..=23).contains(&listings), "{listings} listings in 20 hours");
}

#[test]
fn windows_of_many_objects_are_found_by_bytes_as_well_as_by_records() {
    // 50,000 records of a kilobyte and a half in eight objects: fewer than a page of them are what may be held.
    let per_hour = 60;
    let own = |name: &str| json!({"initial_interval": "5d", "object": {"name": name, "interval": "1h"}});
    let streams = json!({
        "login": {"initial_interval": "5d", "object": {"interval": "1h"}},
        "logout": {"initial_interval": "5d", "object": {"interval": "1h"}},
        "setupaudittrail": {"initial_interval": "5d", "object": {"interval": "1h"}},
        "api": own("ApiEvent"),
        "reports": own("ReportEvent"),
        "history": own("LoginHistory"),
        "anomalies": own("ApiAnomalyEventStore"),
        "aura": own("AuraRequestEventLog"),
    });
    let objects = Objects {
        audit_rows_per_hour: per_hour,
        api_rows_per_hour: per_hour,
        report_rows_per_hour: per_hour,
        anomaly_rows_per_hour: per_hour,
        aura_rows_per_hour: per_hour,
        ..Objects::default()
    };
    let workload = salesforce_sim::Workload {
        hours: 120,
        rows: salesforce_sim::Rows::PerHour(u64::from(per_hour)),
        end: Some(crate::collection::beginning()),
        ..salesforce_sim::Workload::default()
    };
    let mut run = Collection::new(OrgSettings { workload, objects, ..OrgSettings::default() }, &streams);
    run.round();
    let queries = run.queries().len();
    let records = run.delivered.count();
    assert!(records > 20_000, "{records}");
    assert!(queries < 8 * 14, "{queries} queries for {records} records");
}

#[test]
fn a_quiet_stream_makes_no_listing_page_through_all_that_the_org_keeps() {
    // One type has a file every hour for 60 days, the other none since the first.
    let hour = |n: i64| {
        let at = chrono::DateTime::from_timestamp_millis(NOW - n * HOUR).expect("a time");
        at.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
    };
    let row = |n: u32| format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"X\",\"{n}\"\n").into_bytes();
    let mut org = CannedOrg { page: Some(100), ..CannedOrg::default() };
    for n in 1..60 * 24_u32 {
        org.files.push(CannedFile {
            created: hour(i64::from(n)),
            event_type: String::from("Busy"),
            ..CannedFile::new(n, row(n))
        });
    }
    org.files.push(CannedFile {
        created: hour(60 * 24),
        event_type: String::from("Quiet"),
        ..CannedFile::new(9999, row(9999))
    });
    let streams = "\"streams\": {\"busy\": {\"initial_interval\": \"61d\", \"event_log_file\": {\"event_types\": [\"Busy\"]}},
        \"quiet\": {\"initial_interval\": \"61d\", \"event_log_file\": {\"event_types\": [\"Quiet\"]}}}";
    let mut collector =
        crate::cases::configured_with(&[("\"streams\": {\"login\": {\"event_log_file\": {}}}", streams)]);
    let clock = StillClock::at(NOW);
    let (mut state, mut events) = (None::<String>, 0);
    let mut go_on = |org: &mut CannedOrg, rounds: usize| {
        for _ in 0..rounds {
            loop {
                let batch = collector.poll(org, &clock, state.as_deref()).expect("a batch");
                events += batch.events.len();
                state = Some(batch.state);
                clock.advance(i64::from(batch.next_poll_ms));
                if batch.next_poll_ms > 0 {
                    break;
                }
            }
        }
        events
    };
    assert_eq!(go_on(&mut org, 1), 60 * 24);
    let before = org.requests.len();
    go_on(&mut org, 10);
    assert!(org.requests.len() - before <= 12, "{} requests in ten rounds", org.requests.len() - before);
}

#[test]
fn files_that_are_all_too_young_are_not_paged_through() {
    let mut org =
        CannedOrg { page: Some(10), date: Some("Mon, 01 Jun 2026 13:01:00 GMT"), ..CannedOrg::default() };
    for n in 0..12_000 {
        org.files.push(CannedFile::new(n, b"\"EVENT_TYPE\"\n\"Login\"\n".to_vec()));
    }
    let mut collector = crate::cases::configured("");
    let clock = StillClock::at(NOW);
    let batch = collector.poll(&mut org, &clock, None).expect("a batch");
    assert!(batch.events.is_empty() && batch.next_poll_ms > 0, "{:?}", batch.stats);
    assert!(org.requests.len() < 5, "{} requests", org.requests.len());
}

#[test]
fn a_listing_of_many_pages_goes_on_in_the_next_poll_on_any_instance() {
    // 300 files that are done stand before one that is new, and each page takes seven seconds.
    struct Slow(CannedOrg, StillClock);
    impl collector::io::Http for Slow {
        fn send(
            &mut self,
            request: &collector::io::Request,
        ) -> Result<collector::io::Response, collector::io::TransportError> {
            self.1.advance(7_000);
            collector::io::Http::send(&mut self.0, request)
        }
    }
    let clock = StillClock::at(NOW);
    let mut org = CannedOrg { page: Some(10), ..CannedOrg::default() };
    for n in 0..300_u32 {
        let created = format!("2026-06-01T12:{:02}:{:02}.000+0000", 10 + n / 10, n % 10);
        let row = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"{n}\"\n").into_bytes();
        org.files.push(CannedFile { created, ..CannedFile::new(n, row) });
    }
    let mut state = None::<String>;
    let mut events = 0;
    let mut slow = Slow(org, clock.clone());
    for _ in 0..2000 {
        let before = clock.now_ms();
        let mut collector = crate::cases::configured("");
        let batch = collector.poll(&mut slow, &clock, state.as_deref()).expect("a batch");
        let took = clock.now_ms() - before;
        assert!(took <= 90_000, "a poll took {took} ms");
        events += batch.events.len();
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    assert_eq!(events, 300);
}

#[test]
fn the_way_to_a_checkpoint_goes_on_in_the_next_poll_on_any_instance() {
    // A file of 3 MB that comes in pieces of which each takes a second.
    struct Dripping(CannedOrg, StillClock);
    struct Drops(Box<dyn std::io::Read>, StillClock);
    impl std::io::Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1.advance(1_000);
            let most = buffer.len().min(32 * 1024);
            self.0.read(&mut buffer[..most])
        }
    }
    impl collector::io::Http for Dripping {
        fn send(
            &mut self,
            request: &collector::io::Request,
        ) -> Result<collector::io::Response, collector::io::TransportError> {
            let response = collector::io::Http::send(&mut self.0, request)?;
            let body: Box<dyn std::io::Read> = if request.path.ends_with("/LogFile") {
                Box::new(Drops(response.body, self.1.clone()))
            } else {
                response.body
            };
            Ok(collector::io::Response { body, ..response })
        }
    }
    for fresh in [false, true] {
        let rows: String = (0..28_000).map(|n| format!("\"Login\",\"{n:0>90}\"\n")).collect();
        let body = format!("\"EVENT_TYPE\",\"REQUEST_ID\"\n{rows}").into_bytes();
        let clock = StillClock::at(NOW);
        let mut org = Dripping(CannedOrg::with(vec![CannedFile::new(1, body)]), clock.clone());
        let (mut collector, mut state, mut events) = (crate::cases::configured(""), None::<String>, 0);
        for poll in 0.. {
            assert!(poll < 500, "it never comes to an end: {events} events");
            let before = clock.now_ms();
            let batch = collector.poll(&mut org, &clock, state.as_deref()).expect("a batch");
            let took = clock.now_ms() - before;
            assert!(took <= 140_000, "a poll took {took} ms");
            events += batch.events.len();
            state = Some(batch.state);
            if fresh {
                collector = crate::cases::configured("");
            }
            if batch.next_poll_ms > 0 {
                break;
            }
        }
        assert_eq!(events, 28_000, "fresh {fresh}");
    }
}

#[test]
fn whatever_stands_behind_the_last_row_is_one_download_and_no_problem() {
    let streams = json!({"login": {"initial_interval": "1d", "event_log_file": {"interval": "1h"}}});
    let ends: Vec<Option<FileEnd>> = ["\n", "\n\n", "\r\n", "\r\n\r\n"]
        .into_iter()
        .flat_map(|text| {
            [true, false].map(|counted| Some(FileEnd { text: text.to_owned(), counted, one_in: 1 }))
        })
        .collect();
    for file_end in ends.into_iter().chain([None]) {
        for empty in [EmptyFiles::NoContent, EmptyFiles::NoBytes, EmptyFiles::HeaderAlone] {
            let oddities =
                Oddities { file_end: file_end.clone(), empty_files: Some(empty), ..Oddities::default() };
            let settings = OrgSettings { oddities, ..settings(3, 0, Objects::default()) };
            let mut run = Collection::new(settings, &streams);
            run.go_on_for(8 * HOUR);
            let records = run.world.org.org().requests().records();
            let mut downloads: Vec<&str> =
                records.iter().filter(|r| r.path.ends_with("/LogFile")).map(|r| r.path.as_str()).collect();
            let count = downloads.len();
            downloads.sort_unstable();
            downloads.dedup();
            assert_eq!(count, downloads.len(), "{file_end:?} {empty:?}: files were read again");
            assert!(
                count > 8 && run.problems.is_empty(),
                "{file_end:?} {empty:?}: {count}, {:?}",
                run.problems
            );
        }
    }
}

#[test]
fn bytes_behind_a_gzip_stream_are_not_read_for_a_fault() {
    let streams = json!({"login": {"initial_interval": "1d", "event_log_file": {"interval": "1h"}}});
    let mut run = Collection::new(settings(30, 0, Objects::default()), &streams);
    let behind = FaultAction::BehindGzip { text: String::from("\0\0\0trailing") };
    run.world.org.org().plan_fault(PlannedFault::every("/LogFile", behind));
    run.go_on_for(6 * HOUR);
    assert!(run.delivered.count() > 200 && run.problems.is_empty(), "{:?}", run.problems);
}
