//! Files with strange ends and strange answers.

use std::io::Read as _;

use chrono::TimeDelta;
use salesforce_sim::{
    Doubles, EmptyFiles, EventLogFile, FaultAction, FileEnd, Files, Interval, Oddities, OfflineOrg,
    OrgSettings, PlannedFault, Rows,
};
use serde_json::Value;

use crate::client::settings;
use crate::offline::{bearer, body, get, org, path, query};

const LISTING: &str = "SELECT Id, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly'";

fn odd(oddities: Oddities, rows: Rows) -> OfflineOrg {
    org(OrgSettings { oddities, ..settings(24, rows) })
}

fn files(org: &OfflineOrg) -> Vec<EventLogFile> {
    org.org().event_log_files(Interval::Hourly)
}

/// `LogFileLength` of a file, as a listing says it.
fn listed(org: &OfflineOrg, file: &EventLogFile) -> f64 {
    let listing: Value = serde_json::from_slice(&body(get(org, &bearer(org), &query(LISTING)))).unwrap();
    let records = listing["records"].as_array().unwrap().clone();
    let found = records.iter().find(|record| record["Id"] == *file.id).unwrap();
    found["LogFileLength"].as_f64().unwrap()
}

#[test]
fn a_blank_line_at_the_end_of_a_file_is_counted_or_not_as_was_said() {
    for text in ["\n", "\n\n", "\r\n"] {
        for counted in [false, true] {
            let end = Some(FileEnd { text: text.to_owned(), counted, one_in: 1 });
            let org = odd(Oddities { file_end: end, ..Oddities::default() }, Rows::PerHour(5));
            let file = files(&org).remove(0);
            let bytes = body(get(&org, &bearer(&org), &path(&file)));
            assert!(bytes.ends_with(format!("\"\n{text}").as_bytes()), "{text:?}");
            let uncounted = if counted { 0 } else { text.len() };
            assert_eq!(listed(&org, &file) as usize + uncounted, bytes.len(), "{text:?} {counted}");
        }
    }
}

#[test]
fn one_file_in_so_many_has_a_strange_end() {
    let end = Some(FileEnd { text: "\n".to_owned(), counted: false, one_in: 3 });
    let org = odd(Oddities { file_end: end, ..Oddities::default() }, Rows::PerHour(2));
    let bearer = bearer(&org);
    let strange =
        files(&org).iter().filter(|file| body(get(&org, &bearer, &path(file))).ends_with(b"\n\n")).count();
    assert!((1..24).contains(&strange), "{strange}");
}

#[test]
fn what_is_appended_by_plan_comes_within_the_gzip_stream_and_what_is_behind_it_does_not() {
    let org = odd(Oddities::default(), Rows::PerHour(50));
    let bearer = bearer(&org);
    let path = path(&files(&org)[0]);
    let gzip = [("authorization", bearer.as_str()), ("accept-encoding", "gzip")];
    let download = || body(org.answer("GET", &path, &gzip, b"").unwrap());
    let decode = |bytes: &[u8]| {
        let mut decoder = flate2::bufread::GzDecoder::new(bytes);
        let mut decoded = Vec::new();
        decoder.read_to_end(&mut decoded).unwrap();
        (decoded, decoder.into_inner().to_vec())
    };
    let (plain, behind) = decode(&download());
    assert!(behind.is_empty());
    org.org().plan_fault(
        PlannedFault::every("/LogFile", FaultAction::Append { text: "\r\n".to_owned() }).times(1),
    );
    let (appended, behind) = decode(&download());
    assert!(appended == [plain.as_slice(), b"\r\n"].concat() && behind.is_empty());
    let zeros = FaultAction::BehindGzip { text: "\0".repeat(512) };
    org.org().plan_fault(PlannedFault::every("/LogFile", zeros).times(1));
    let (same, behind) = decode(&download());
    assert!(same == plain && behind == [0; 512]);
    assert!(decode(&download()) == (plain, Vec::new()), "each of them once");
}

#[test]
fn an_hour_without_rows_has_the_file_that_was_asked_for() {
    assert!(files(&odd(Oddities::default(), Rows::Total(10))).iter().all(|file| file.rows > 0));
    for (empty, status, begins) in [
        (EmptyFiles::NoContent, 204, None),
        (EmptyFiles::NoBytes, 200, None),
        (EmptyFiles::HeaderAlone, 200, Some(b"\"EVENT_TYPE\",")),
    ] {
        let org = odd(Oddities { empty_files: Some(empty), ..Oddities::default() }, Rows::Total(10));
        let all = files(&org);
        let mut without_rows = all.iter().filter(|file| file.rows == 0);
        let file = without_rows.next().unwrap();
        let answer = get(&org, &bearer(&org), &path(file));
        assert_eq!(answer.status, status);
        let bytes = body(answer);
        assert_eq!(listed(&org, file) as usize, bytes.len(), "{empty:?}");
        assert!(begins.map_or(bytes.is_empty(), |begins| bytes.starts_with(begins)), "{empty:?}");
        let rows: u64 = all.iter().map(|file| file.rows).sum();
        assert_eq!((rows, org.org().truth(Interval::Hourly).count()), (10, 10));
    }
}

#[test]
fn a_log_file_length_in_scientific_form_is_the_same_number() {
    for (doubles, form) in [(Doubles::Plain, "."), (Doubles::Java, "."), (Doubles::Scientific, "E4")] {
        let org = odd(Oddities { doubles, ..Oddities::default() }, Rows::PerHour(50));
        let file = files(&org).remove(0);
        let text = String::from_utf8(body(get(&org, &bearer(&org), &query(LISTING)))).unwrap();
        let (_, value) = text.split_once("\"LogFileLength\":").unwrap();
        let value = &value[..value.find(['}', ',']).unwrap()];
        assert!(value.contains(form), "{doubles:?}: {value}");
        assert_eq!(listed(&org, &file) as u64, org.org().log_file_length(&file));
    }
}

#[test]
fn several_files_are_bad_at_once_each_in_its_way_while_listings_name_them() {
    let org = odd(Oddities::default(), Rows::PerHour(5));
    let bearer = bearer(&org);
    let all = files(&org);
    let now = org.org().clock().now();
    let rule = |n: usize, action| PlannedFault::every(all[n].id.clone(), action);
    org.org()
        .plan_fault(rule(0, FaultAction::answer(404, r#"[{"errorCode":"NOT_FOUND","message":"gone"}]"#)));
    org.org().plan_fault(rule(1, FaultAction::answer(429, "")).during(now..now + TimeDelta::hours(1)));
    org.org().plan_fault(rule(2, FaultAction::CutSilently { after: 0 }).times(2));
    let status = |n: usize| get(&org, &bearer, &path(&all[n])).status;
    let length = |n: usize| body(get(&org, &bearer, &path(&all[n]))).len();
    assert_eq!([status(0), status(1), status(3)], [404, 429, 200]);
    assert_eq!([length(2), length(2)], [0, 0]);
    assert!(length(2) > 0, "it was bad twice");
    org.org().clock().advance(TimeDelta::hours(1));
    assert_eq!([status(0), status(1)], [404, 200]);
    let listing: Value = serde_json::from_slice(&body(get(&org, &bearer, &query(LISTING)))).unwrap();
    assert_eq!(listing["totalSize"], 24);
}

#[test]
fn a_file_past_its_retention_is_in_no_listing_and_in_no_download() {
    let files_kept = Files { retention: Some(TimeDelta::days(2)), ..Files::default() };
    let org = org(OrgSettings { files: files_kept, ..settings(3, Rows::PerHour(5)) });
    let file = files(&org).remove(0);
    let counts = |bearer: &str| {
        let listing: Value = serde_json::from_slice(&body(get(&org, bearer, &query(LISTING)))).unwrap();
        (listing["totalSize"].as_u64().unwrap(), get(&org, bearer, &path(&file)).status)
    };
    assert_eq!(counts(&bearer(&org)), (3, 200));
    org.org().clock().advance(file.created_date + TimeDelta::days(2) - org.org().clock().now());
    assert_eq!(counts(&bearer(&org)), (2, 404));
    org.org().clock().advance(TimeDelta::days(1));
    assert_eq!(counts(&bearer(&org)).0, 0);
}
