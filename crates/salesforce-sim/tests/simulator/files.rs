//! Event log files, their downloads, and the truth about them.

use std::io::Read as _;

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use salesforce_sim::{
    EventId, EventLogFile, Fault, FaultAction, Interval, OrgSettings, Rows, Simulator, TrueEvent, Workload,
    event_id,
};

use crate::client::{Answer, Client, settings, start};
use crate::offline::bearer;

fn path(file: &EventLogFile) -> String {
    format!("/services/data/v65.0/sobjects/EventLogFile/{}/LogFile", file.id)
}

pub async fn download(client: &Client<'_>, file: &EventLogFile) -> Answer {
    let answer = client.get_with(&path(file), &[("accept-encoding", "gzip")]).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (StatusCode::OK, "gzip"));
    answer
}

/// The ids of a CSV file, decoded by a parser that this project did not write.
pub fn ids(csv: &[u8]) -> Vec<EventId> {
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.byte_headers().unwrap().clone();
    let names: Vec<&str> = header.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
    reader.byte_records().map(|record| event_id(names.iter().copied().zip(record.unwrap().iter()))).collect()
}

#[tokio::test]
async fn every_file_decodes_to_the_ids_of_the_truth() {
    let simulator = Simulator::start(settings(48, Rows::Total(6_000))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for interval in [Interval::Hourly, Interval::Daily] {
        let mut collected = Vec::new();
        for file in simulator.org().event_log_files(interval) {
            let ids = ids(&download(&client, &file).await.decoded());
            assert_eq!(ids.len() as u64, file.rows);
            collected.extend((0..).zip(ids).map(|(row, event_id)| TrueEvent {
                event_id,
                file: file.id.as_str().into(),
                row,
            }));
        }
        let truth: Vec<TrueEvent> = simulator.org().truth(interval).collect();
        assert!(collected == truth, "{interval:?}: {} and {} events", collected.len(), truth.len());
    }
}

#[tokio::test]
async fn a_daily_file_holds_the_events_of_its_hourly_files() {
    let simulator = Simulator::start(settings(48, Rows::Total(6_000))).await.unwrap();
    let of = |interval, day: &EventLogFile| {
        let date = day.log_date.date_naive();
        let files = simulator.org().event_log_files(interval);
        let files: Vec<String> =
            files.into_iter().filter(|file| file.log_date.date_naive() == date).map(|file| file.id).collect();
        let events =
            simulator.org().truth(interval).filter(|event| files.iter().any(|id| **id == *event.file));
        let mut ids: Vec<EventId> = events.map(|event| event.event_id).collect();
        ids.sort();
        ids
    };
    let days = simulator.org().event_log_files(Interval::Daily);
    assert_eq!(days.len(), 2);
    for day in &days {
        assert_eq!(of(Interval::Hourly, day), of(Interval::Daily, day));
    }
}

#[tokio::test]
async fn gzip_and_plain_give_the_same_bytes_as_many_as_log_file_length() {
    let simulator = Simulator::start(settings(24, Rows::Total(5_000))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let statement = "SELECT Id, LogFileLength FROM EventLogFile WHERE Sequence >= 0";
    let records = client.records(statement).await;
    let files = [Interval::Hourly, Interval::Daily]
        .map(|interval| simulator.org().event_log_files(interval))
        .concat();
    assert_eq!(records.len(), files.len());
    for file in files {
        let plain = client.get(&path(&file)).await;
        assert_eq!((plain.header("content-encoding"), plain.header("content-type")), ("", "text/csv"));
        assert_eq!(plain.header("transfer-encoding"), "chunked");
        let gzip = download(&client, &file).await;
        assert!(gzip.body.len() < plain.body.len());
        assert!(gzip.decoded() == plain.body);
        let record = records.iter().find(|record| record["Id"] == file.id).unwrap();
        assert_eq!(record["LogFileLength"].as_f64(), Some(plain.body.len() as f64));
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let mut starts = Vec::new();
    for seed in [5, 5, 6] {
        let simulator =
            Simulator::start(OrgSettings { seed, ..settings(6, Rows::Total(500)) }).await.unwrap();
        let client = Client::sign_in(&simulator).await;
        let mut files = Vec::new();
        for file in simulator.org().event_log_files(Interval::Hourly) {
            files.push((download(&client, &file).await.decoded(), file));
        }
        starts.push(files);
    }
    assert!(starts[0] == starts[1]);
    assert!(starts[0] != starts[2]);
}

#[tokio::test]
async fn no_event_id_comes_twice() {
    let simulator = Simulator::start(settings(48, Rows::Total(50_000))).await.unwrap();
    let mut ids: Vec<EventId> = simulator.org().truth(Interval::Hourly).map(|event| event.event_id).collect();
    assert_eq!(ids.len(), 50_000);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50_000);
}

#[tokio::test]
async fn a_file_that_is_unknown_or_not_made_yet_is_not_found() {
    let mut not_yet = settings(1, Rows::PerHour(5));
    not_yet.workload = Workload { end: not_yet.clock_fixed_at, ..not_yet.workload };
    let simulator = Simulator::start(not_yet).await.unwrap();
    assert!(simulator.org().event_log_files(Interval::Hourly).is_empty());
    assert_eq!(simulator.org().truth(Interval::Hourly).count(), 0);
    simulator.org().clock().advance(chrono::TimeDelta::hours(6));
    let client = Client::sign_in(&simulator).await;
    let file = simulator.org().event_log_files(Interval::Hourly).remove(0);
    assert_eq!(client.get(&path(&file)).await.status, StatusCode::OK);
    assert_eq!(client.get(&path(&file).replace(&file.id, &file.id[..15])).await.status, StatusCode::OK);
    simulator.org().clock().advance(chrono::TimeDelta::hours(-6));
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.get(&path(&file)).await.error(), (404, "NOT_FOUND".to_owned()));
    let unknown = path(&file).replace(&file.id, "0AT000000000000AAA");
    assert_eq!(client.get(&unknown).await.error(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_body_that_is_cut_silently_looks_complete_and_is_short() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(500))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let file = simulator.org().event_log_files(Interval::Hourly).remove(0);
    let whole = client.get(&path(&file)).await.body;
    for encoding in ["gzip", "identity"] {
        let action = FaultAction::CutSilently { after: 100_001 };
        simulator.org().plan_fault(Fault { path_contains: "/LogFile".to_owned(), nth: 1, action });
        let cut = client.get_with(&path(&file), &[("accept-encoding", encoding)]).await;
        assert!(!cut.broken);
        assert!(cut.decoded() == whole[..100_001]);
    }
}

#[tokio::test]
async fn a_cut_connection_breaks_after_what_was_sent() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(500))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let file = simulator.org().event_log_files(Interval::Hourly).remove(0);
    let whole = client.get(&path(&file)).await.body;
    for encoding in ["gzip", "identity"] {
        let action = FaultAction::CutConnection { after: 100_001 };
        simulator.org().plan_fault(Fault { path_contains: "/LogFile".to_owned(), nth: 1, action });
        let cut = client.get_with(&path(&file), &[("accept-encoding", encoding)]).await;
        assert!(cut.broken);
        assert!(cut.decoded() == whole[..100_001], "{encoding}: {} bytes", cut.decoded().len());
        let record = simulator.org().requests().records().pop().unwrap();
        assert!(!record.complete && record.decoded_bytes == 100_001);
    }
    let action = FaultAction::CutConnection { after: 10 };
    simulator.org().plan_fault(Fault { path_contains: "/query".to_owned(), nth: 1, action });
    let cut = client.query("SELECT Id FROM EventLogFile WHERE Interval = 'Hourly'").await;
    assert!(cut.broken && cut.body == br#"{"totalSiz"#);
}

#[tokio::test]
async fn a_slow_reader_holds_the_generator_back_so_a_file_of_300_mb_is_never_in_memory() {
    /// What may lie between generator and reader: the channel, the server's and the client's buffers, and both socket
    /// buffers, which the kernel grows to a few megabytes.
    const UNDER_WAY: u64 = 24_000_000;
    let simulator = Simulator::start(settings(1, Rows::OneFileOfBytes(300_000_000))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let file = simulator.org().event_log_files(Interval::Hourly).remove(0);
    let bearer = format!("Bearer {}", client.token);
    let begin =
        async || start(simulator.url(), Method::GET, &path(&file), &[("authorization", &bearer)], "").await;
    let read = async |response: Response<Incoming>| {
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            bytes += frame.unwrap().data_ref().unwrap().len() as u64;
        }
        bytes
    };
    let slow = begin().await;
    // All the time that a whole download takes, nobody reads the first one.
    let whole = read(begin().await).await;
    let records = simulator.org().requests().records();
    let made: Vec<u64> = records
        .iter()
        .filter(|record| record.path.contains("/LogFile"))
        .map(|record| record.decoded_bytes)
        .collect();
    assert!(made[0] <= UNDER_WAY && made[1] == whole, "{made:?}");
    assert_eq!(read(slow).await, whole);
    assert_eq!(simulator.org().log_file_length(&file), whole);
    assert!(whole > 295_000_000);
}

/// Written out, the file would fill the memory of many machines. Read in this process without a network, so that it takes
/// seconds; the test of 300 MB sends a file of the same kind over HTTP.
#[test]
fn a_file_of_5_gb_is_read_to_its_end_in_pieces_of_less_than_a_megabyte() {
    const SIZE: u64 = 5_000_000_000;
    let org = Simulator::offline(settings(1, Rows::OneFileOfBytes(SIZE))).unwrap();
    let file = org.org().event_log_files(Interval::Hourly).remove(0);
    let bearer = bearer(&org);
    let answer = org.answer("GET", &path(&file), &[("authorization", &bearer)], b"").unwrap();
    assert_eq!(answer.status, 200);
    let (mut body, mut buffer) = (answer.body, vec![0; 1 << 20]);
    let (mut bytes, mut lines, mut largest) = (0, 0, 0);
    loop {
        let length = body.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        bytes += length as u64;
        largest = largest.max(length);
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    assert!(bytes.abs_diff(SIZE) < SIZE / 200, "{bytes}");
    assert!(lines > file.rows, "{lines} lines of {} rows", file.rows);
    assert!(largest < 1 << 20, "{largest}");
    let record = org.org().requests().records().pop().unwrap();
    assert!(record.complete && record.decoded_bytes == bytes);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < 1_000_000, "all tests of this process together took {kilobytes} kB at most");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_generator() {
    let simulator = Simulator::start(settings(1, Rows::OneFileOfBytes(5_000_000_000))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let file = simulator.org().event_log_files(Interval::Hourly).remove(0);
    let bearer = format!("Bearer {}", client.token);
    let response = start(simulator.url(), Method::GET, &path(&file), &[("authorization", &bearer)], "").await;
    simulator.org().requests().wait_for_body_bytes(1_000_000, "/LogFile").await;
    drop(response);
    // The runtime of this test waits for its blocking threads when it ends: a generator that went on would be noticed.
    let record = simulator.org().requests().records().pop().unwrap();
    assert!(!record.complete && record.decoded_bytes < 100_000_000);
}
