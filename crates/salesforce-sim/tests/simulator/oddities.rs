//! Event types, late data, files that come and go, and odd CSV.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use salesforce_sim::{
    EventId, EventLogFile, Files, Interval, OrgSettings, Rows, Simulator, event_id, event_types,
};

use crate::client::{Client, settings};

async fn org(hours: u32, rows: Rows, files: Files) -> Simulator {
    Simulator::start(OrgSettings { files, ..settings(hours, rows) }).await.unwrap()
}

async fn download(client: &Client<'_>, file: &EventLogFile) -> Vec<u8> {
    let path = format!("/services/data/v65.0/sobjects/EventLogFile/{}/LogFile", file.id);
    let answer = client.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body
}

/// Header and rows of a file.
fn parse(csv: &[u8]) -> (Vec<String>, Vec<csv::ByteRecord>) {
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (header, reader.byte_records().map(Result::unwrap).collect())
}

fn ids(csv: &[u8]) -> Vec<EventId> {
    let (header, rows) = parse(csv);
    rows.iter().map(|row| event_id(header.iter().map(String::as_str).zip(row))).collect()
}

fn all_types() -> Vec<String> {
    event_types().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_event_type_has_files_that_decode_to_the_ids_of_the_truth() {
    let files = Files { event_types: all_types(), ..Files::default() };
    let simulator = org(3, Rows::PerHour(200), files).await;
    assert!(event_types().len() >= 13);
    simulator.org().clock().advance(TimeDelta::hours(1));
    let client = Client::sign_in(&simulator).await;
    let found = simulator.org().event_log_files(Interval::Hourly);
    let types: BTreeSet<&str> = found.iter().map(|file| file.event_type).collect();
    assert_eq!(types, event_types().into_iter().collect());
    let mut truth = simulator.org().truth(Interval::Hourly);
    for file in &found {
        let csv = download(&client, file).await;
        assert_eq!(csv.len() as u64, simulator.org().log_file_length(file));
        let (header, rows) = parse(&csv);
        assert_eq!(rows.len() as u64, file.rows);
        let kind = header.iter().position(|name| name == "EVENT_TYPE").unwrap();
        assert!(rows.iter().all(|row| &row[kind] == file.event_type.as_bytes()));
        for id in ids(&csv) {
            assert_eq!(truth.next().unwrap().event_id, id, "{}", file.event_type);
        }
    }
    assert_eq!(truth.next(), None);
}

#[tokio::test]
async fn no_two_rows_of_any_type_are_equal() {
    let files = Files { event_types: all_types(), ..Files::default() };
    let simulator = org(2, Rows::PerHour(4_000), files).await;
    let all: Vec<EventId> = simulator.org().truth(Interval::Hourly).map(|event| event.event_id).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[tokio::test]
async fn each_type_has_its_own_columns() {
    let files = Files { event_types: all_types(), ..Files::default() };
    let simulator = org(1, Rows::PerHour(400), files).await;
    // Logouts are an hour after the logins.
    simulator.org().clock().advance(TimeDelta::hours(1));
    let client = Client::sign_in(&simulator).await;
    let mut headers = BTreeMap::new();
    let mut columns = BTreeMap::new();
    for file in simulator.org().event_log_files(Interval::Hourly) {
        let (header, rows) = parse(&download(&client, &file).await);
        for (index, name) in header.iter().enumerate() {
            let values: BTreeSet<Vec<u8>> = rows.iter().map(|row| row[index].to_vec()).collect();
            columns.insert((file.event_type, name.clone()), values);
        }
        headers.insert(file.event_type, header.join(","));
    }
    let apex =
        "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,RUN_TIME,CPU_TIME,URI,SESSION_KEY,LOGIN_KEY";
    let tail = "TIMESTAMP_DERIVED,USER_ID_DERIVED,CLIENT_IP,URI_ID_DERIVED";
    for (event_type, middle) in [
        (
            "ApexCallout",
            "TYPE,METHOD,SUCCESS,STATUS_CODE,TIME,REQUEST_SIZE,RESPONSE_SIZE,URL,BOT_ID,BOT_SESSION_ID,PLANNER_ID",
        ),
        (
            "ApexExecution",
            "EXEC_TIME,DB_TOTAL_TIME,CALLOUT_TIME,NUMBER_SOQL_QUERIES,ENTRY_POINT,QUIDDITY,IS_LONG_RUNNING_REQUEST,BOT_ID,BOT_SESSION_ID,PLANNER_ID",
        ),
        (
            "ApexRestApi",
            "USER_TYPE,REQUEST_STATUS,DB_TOTAL_TIME,METHOD,MEDIA_TYPE,STATUS_CODE,USER_AGENT,ROWS_PROCESSED,NUMBER_FIELDS,DB_BLOCKS,DB_CPU_TIME,REQUEST_SIZE,RESPONSE_SIZE,ENTITY_NAME,CONNECTED_APP_ID,CLIENT_NAME,EXCEPTION_MESSAGE,QUERY,BOT_ID,BOT_SESSION_ID,PLANNER_ID",
        ),
        (
            "ApexSoap",
            "USER_TYPE,REQUEST_STATUS,DB_TOTAL_TIME,CLIENT_NAME,CLASS_NAME,METHOD_NAME,LIMIT_USAGE_PERCENT,QUERY",
        ),
        (
            "ApexTrigger",
            "USER_TYPE,REQUEST_STATUS,DB_TOTAL_TIME,TRIGGER_ID,TRIGGER_NAME,ENTITY_NAME,TRIGGER_TYPE,EXEC_TIME,BOT_ID,BOT_SESSION_ID,PLANNER_ID",
        ),
    ] {
        assert_eq!(headers[event_type], format!("{apex},{middle},{tail}"));
    }
    assert_eq!(
        headers["ExternalCustomApexCallout"],
        "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,ENTITY,ACTION,OFFSET,LIMIT,SELECT,FILTER,ORDERBY,\
         SUBQUERIES,STATUS,ROWS,ROWS_FETCHED,EXECUTE_MS,FETCH_MS,TOTAL_MS,THROUGHPUT,MESSAGE,TIMESTAMP_DERIVED"
    );
    assert_eq!(
        headers["Login"],
        "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,RUN_TIME,CPU_TIME,URI,SESSION_KEY,LOGIN_KEY,USER_TYPE,\
         REQUEST_STATUS,DB_TOTAL_TIME,LOGIN_TYPE,BROWSER_TYPE,API_TYPE,API_VERSION,USER_NAME,TLS_PROTOCOL,CIPHER_SUITE,\
         USE_API_TOKEN,HTTP_REFERER,LOGIN_URL,COUNTRY_CODE,AUTHENTICATION_METHOD_REFERENCE,LOGIN_SUB_TYPE,\
         AUTHENTICATION_SERVICE_ID,AUTHENTICATION_CONTEXT_CLASS_REFERENCE,TIMESTAMP_DERIVED,USER_ID_DERIVED,CLIENT_IP,\
         URI_ID_DERIVED,LOGIN_STATUS,SOURCE_IP,FORWARDED_FOR_IP"
    );
    assert_eq!(
        headers["Logout"],
        "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,USER_TYPE,SESSION_TYPE,SESSION_LEVEL,BROWSER_TYPE,\
         PLATFORM_TYPE,RESOLUTION_TYPE,APP_TYPE,CLIENT_VERSION,API_TYPE,API_VERSION,USER_INITIATED_LOGOUT,SESSION_KEY,\
         LOGIN_KEY,TIMESTAMP_DERIVED,USER_ID_DERIVED,CLIENT_IP"
    );
    let values = |event_type, name: &str| &columns[&(event_type, name.to_owned())];
    let empty = BTreeSet::from([Vec::new()]);
    assert_eq!((values("ApexTrigger", "RUN_TIME"), values("ApexCallout", "RUN_TIME")), (&empty, &empty));
    let any = |event_type, name: &str, test: &dyn Fn(&str) -> bool| {
        values(event_type, name).iter().any(|value| test(std::str::from_utf8(value).unwrap()))
    };
    assert!(
        any("ApexCallout", "URL", &|url| url.starts_with('"') && url.ends_with('"')),
        "three quotes in the CSV"
    );
    assert!(any("ApexUnexpectedException", "STACK_TRACE", &|trace| trace.contains('\n')));
    assert!(any("ApexSoap", "LIMIT_USAGE_PERCENT", &|percent| percent == "-1.0"));
}

#[tokio::test]
async fn logout_files_have_the_logouts_of_logout_event() {
    let files = Files { event_types: vec!["Logout".to_owned()], ..Files::default() };
    let simulator = org(3, Rows::Total(400), files).await;
    simulator.org().clock().advance(TimeDelta::hours(1));
    let client = Client::sign_in(&simulator).await;
    let mut by_key = BTreeMap::new();
    for file in simulator.org().event_log_files(Interval::Hourly) {
        let (header, rows) = parse(&download(&client, &file).await);
        let index = |name: &str| header.iter().position(|column| column == name).unwrap();
        for row in &rows {
            let text = |name| String::from_utf8(row[index(name)].to_vec()).unwrap();
            by_key.insert(text("LOGIN_KEY"), (text("TIMESTAMP_DERIVED"), text("USER_ID_DERIVED")));
        }
    }
    let events = client.records("SELECT LoginKey, EventDate, UserId FROM LogoutEvent").await;
    assert!(!events.is_empty() && events.len() == by_key.len());
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap().replace("+0000", "Z");
        assert_eq!(by_key[&text("LoginKey")], (text("EventDate"), text("UserId")));
    }
}

fn late() -> Files {
    Files { late_one_in: 2, late_by: TimeDelta::hours(6), ..Files::default() }
}

#[tokio::test]
async fn late_data_is_a_new_hourly_file_with_the_next_sequence_and_only_the_new_rows() {
    let simulator = org(24, Rows::PerHour(50), late()).await;
    simulator.org().clock().advance(TimeDelta::hours(12));
    let files = simulator.org().event_log_files(Interval::Hourly);
    let mut hours: BTreeMap<DateTime<Utc>, Vec<&EventLogFile>> = BTreeMap::new();
    for file in &files {
        hours.entry(file.log_date).or_default().push(file);
    }
    assert_eq!(hours.len(), 24);
    assert!(hours.values().any(|files| files.len() == 2) && hours.values().any(|files| files.len() == 1));
    for files in hours.values() {
        let sequences: Vec<u32> = files.iter().map(|file| file.sequence).collect();
        assert_eq!(sequences, [1, 2][..files.len()]);
        assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 50);
        if let [first, late] = files.as_slice() {
            assert!(late.created_date - first.created_date >= TimeDelta::hours(6) && late.rows == 10);
        }
    }
    let distinct: BTreeSet<EventId> =
        simulator.org().truth(Interval::Hourly).map(|event| event.event_id).collect();
    assert_eq!(distinct.len(), 24 * 50);
}

#[tokio::test]
async fn a_late_file_can_repeat_rows_of_the_first() {
    let simulator = org(24, Rows::PerHour(50), Files { repeated_rows: 7, ..late() }).await;
    simulator.org().clock().advance(TimeDelta::hours(12));
    let late =
        simulator.org().event_log_files(Interval::Hourly).iter().filter(|file| file.sequence == 2).count();
    let all: Vec<EventId> = simulator.org().truth(Interval::Hourly).map(|event| event.event_id).collect();
    assert!(late > 0);
    assert_eq!(all.len(), 24 * 50 + 7 * late);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 24 * 50);
}

#[tokio::test]
async fn a_daily_file_with_late_data_is_issued_again_whole_and_the_first_issue_is_gone() {
    for reissue_keeps_id in [false, true] {
        let simulator = org(48, Rows::PerHour(50), Files { reissue_keeps_id, ..late() }).await;
        let client = Client::sign_in(&simulator).await;
        // 2026-03-03 became a file some time after 02:00 of the next day; look back to before it is issued again.
        simulator.org().clock().advance(TimeDelta::hours(-14));
        let day = "2026-03-03T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let of_day = || {
            let files = simulator.org().event_log_files(Interval::Daily);
            files.into_iter().filter(|file| file.log_date == day).collect::<Vec<_>>()
        };
        let first = of_day();
        assert_eq!(first.len(), 1);
        let before: BTreeSet<EventId> = ids(&download(&client, &first[0]).await).into_iter().collect();
        simulator.org().clock().advance(TimeDelta::hours(14));
        let client = Client::sign_in(&simulator).await;
        let again = of_day();
        assert_eq!(again.len(), 1, "one at a time");
        let after: BTreeSet<EventId> = ids(&download(&client, &again[0]).await).into_iter().collect();
        assert!(again[0].created_date > first[0].created_date);
        assert!(before.len() < after.len() && before.is_subset(&after) && after.len() == 24 * 50);
        assert_eq!(again[0].id == first[0].id, reissue_keeps_id);
        let path = format!("/services/data/v65.0/sobjects/EventLogFile/{}/LogFile", first[0].id);
        let old = client.get(&path).await.status;
        assert_eq!(old == StatusCode::NOT_FOUND, !reissue_keeps_id);
    }
}

#[tokio::test]
async fn a_hidden_file_is_listed_after_files_with_a_later_created_date() {
    let files = Files { hidden_one_in: 3, hidden_for: TimeDelta::hours(30), ..Files::default() };
    let simulator = org(24, Rows::PerHour(5), files).await;
    let listed = |simulator: &Simulator| {
        let files = simulator.org().event_log_files(Interval::Hourly);
        files.iter().map(|file| (file.created_date, file.id.clone())).collect::<BTreeSet<_>>()
    };
    let before = listed(&simulator);
    simulator.org().clock().advance(TimeDelta::hours(30));
    let after = listed(&simulator);
    assert_eq!(after.len(), 24);
    let newest = before.iter().next_back().unwrap();
    assert!(after.difference(&before).any(|file| file < newest), "one came in behind the newest of before");
}

#[tokio::test]
async fn a_file_expires_out_of_queries_and_downloads() {
    let files = Files { retention: Some(TimeDelta::days(1)), ..Files::default() };
    let simulator = org(24, Rows::PerHour(5), files).await;
    let client = Client::sign_in(&simulator).await;
    let statement =
        "SELECT Id, LogFile FROM EventLogFile WHERE Interval = 'Hourly' ORDER BY CreatedDate LIMIT 1";
    let record = client.records(statement).await.remove(0);
    assert_eq!(client.get(record["LogFile"].as_str().unwrap()).await.status, StatusCode::OK);
    simulator.org().clock().advance(TimeDelta::days(2));
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.records(statement).await.len(), 0);
    assert_eq!(client.get(record["LogFile"].as_str().unwrap()).await.error(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(simulator.org().truth(Interval::Hourly).count(), 0);
}

#[tokio::test]
async fn files_of_days_before_a_change_lack_columns_that_later_ones_have_in_the_middle() {
    let change = Some("2026-03-03T00:00:00Z".parse().unwrap());
    let files = Files { event_types: all_types(), columns_change: change, ..Files::default() };
    let simulator = org(48, Rows::PerHour(4), files).await;
    let client = Client::sign_in(&simulator).await;
    let statement =
        "SELECT ApiVersion, LogDate, LogFile, LogFileFieldNames FROM EventLogFile WHERE EventType = ";
    for (event_type, new, before) in [
        ("Login", "HTTP_REFERER", "AUTHENTICATION_METHOD_REFERENCE"),
        ("ApexCallout", "STATUS_CODE", "TIME"),
        ("ApexRestApi", "USER_TYPE", "REQUEST_STATUS"),
    ] {
        let days = client.records(&format!("{statement}'{event_type}' ORDER BY LogDate")).await;
        assert_eq!(days.len(), 2);
        let headers: Vec<Vec<String>> = days
            .iter()
            .map(|day| day["LogFileFieldNames"].as_str().unwrap().split(',').map(str::to_owned).collect())
            .collect();
        let at = |header: &[String], name: &str| header.iter().position(|column| column == name);
        assert_eq!(at(&headers[0], new), None);
        assert!(at(&headers[1], new).unwrap() < at(&headers[1], before).unwrap());
        assert_eq!((&days[0]["ApiVersion"], &days[1]["ApiVersion"]), (&58.0.into(), &67.0.into()));
        for (day, header) in days.iter().zip(&headers) {
            let csv = client.get(day["LogFile"].as_str().unwrap()).await.body;
            assert_eq!(&parse(&csv).0, header);
        }
    }
    for interval in [Interval::Hourly, Interval::Daily] {
        for file in simulator.org().event_log_files(interval) {
            let found = ids(&download(&client, &file).await);
            let span = file.log_date..file.log_date + TimeDelta::seconds(1);
            let truth: Vec<EventId> = simulator
                .org()
                .truth_of(interval, &[file.event_type], span)
                .map(|event| event.event_id)
                .collect();
            assert_eq!(found, truth);
        }
    }
}

#[tokio::test]
async fn nul_bytes_and_a_second_header_are_in_the_csv_if_the_org_has_them() {
    let files =
        Files { nul_bytes: true, repeated_header: true, event_types: all_types(), ..Files::default() };
    let simulator = org(1, Rows::PerHour(800), files).await;
    let client = Client::sign_in(&simulator).await;
    for file in simulator.org().event_log_files(Interval::Hourly) {
        let csv = download(&client, &file).await;
        assert_eq!(csv.len() as u64, simulator.org().log_file_length(&file));
        let (header, mut rows) = parse(&csv);
        assert_eq!(rows.len() as u64, file.rows + 1);
        let again = rows.iter().position(|row| row.iter().eq(header.iter().map(String::as_bytes)));
        rows.remove(again.unwrap());
        let found: Vec<EventId> =
            rows.iter().map(|row| event_id(header.iter().map(String::as_str).zip(row))).collect();
        let truth = simulator.org().truth_of(
            Interval::Hourly,
            &[file.event_type],
            DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC,
        );
        assert_eq!(found, truth.map(|event| event.event_id).collect::<Vec<_>>());
        if file.event_type != "Logout" {
            assert!(memchr::memchr(0, &csv).is_some(), "{}", file.event_type);
        }
    }
}
