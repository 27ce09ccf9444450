//! LoginEvent, LogoutEvent and SetupAuditTrail.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use salesforce_sim::{Interval, Objects, OrgSettings, Rows, Simulator, StoredObject};
use serde_json::Value;

use crate::client::{Client, all, always, settings};

async fn org() -> Simulator {
    Simulator::start(settings(6, Rows::Total(3_000))).await.unwrap()
}

fn truth(simulator: &Simulator, object: StoredObject) -> BTreeSet<String> {
    simulator.org().object_truth(object, always()).collect()
}

fn texts(records: &[Value], field: &str) -> Vec<String> {
    records.iter().map(|record| record[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn login_events_come_newest_first_in_pages_with_one_constant_id() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let records = all(&client, "SELECT Id, EventIdentifier, EventDate FROM LoginEvent").await;
    assert_eq!(records.len(), 3_000);
    assert!(records.iter().all(|record| record["Id"] == "000000000000000AAA"));
    let dates = texts(&records, "EventDate");
    assert!(dates.windows(2).all(|pair| pair[0] >= pair[1]), "newest first");
    assert!(dates[0].ends_with("+0000") && dates.iter().any(|date| !date.ends_with(".000+0000")));
    let ids: BTreeSet<String> = texts(&records, "EventIdentifier").into_iter().collect();
    assert_eq!(ids.len(), 3_000);
    assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'4'));
    assert_eq!(ids, truth(&simulator, StoredObject::LoginEvent));
}

#[tokio::test]
async fn login_events_tell_of_the_same_logins_as_the_login_files() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let files = client.records("SELECT LogFile FROM EventLogFile WHERE Interval = 'Hourly'").await;
    let mut rows = BTreeMap::new();
    for file in &files {
        let csv = client.get(file["LogFile"].as_str().unwrap()).await.decoded();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        for row in reader.deserialize::<BTreeMap<String, String>>() {
            let row = row.unwrap();
            rows.insert(row["LOGIN_KEY"].clone(), row);
        }
    }
    let events =
        all(&client, "SELECT LoginKey, EventDate, UserId, Username, Status, SourceIp FROM LoginEvent").await;
    assert_eq!((events.len(), rows.len()), (3_000, 3_000));
    for event in &events {
        let row = &rows[event["LoginKey"].as_str().unwrap()];
        let text = |field: &str| event[field].as_str().unwrap_or("");
        assert_eq!(text("EventDate").replace("+0000", "Z"), row["TIMESTAMP_DERIVED"]);
        assert_eq!(
            (text("UserId"), text("Username")),
            (row["USER_ID_DERIVED"].as_str(), row["USER_NAME"].as_str())
        );
        assert_eq!(text("SourceIp"), row["SOURCE_IP"]);
        assert_eq!(text("Status") == "Success", row["LOGIN_STATUS"] == "LOGIN_NO_ERROR");
    }
    let logouts = all(&client, "SELECT LoginKey, UserId, EventDate FROM LogoutEvent").await;
    assert!(logouts.len() > 600 && logouts.len() < 800, "a quarter: {}", logouts.len());
    for logout in &logouts {
        let row = &rows[logout["LoginKey"].as_str().unwrap()];
        assert_eq!(row["LOGIN_STATUS"], "LOGIN_NO_ERROR");
        assert_eq!(row["USER_ID_DERIVED"], logout["UserId"].as_str().unwrap());
        assert!(logout["EventDate"].as_str().unwrap() > row["TIMESTAMP_DERIVED"].as_str());
    }
    assert_eq!(logouts.len(), truth(&simulator, StoredObject::LogoutEvent).len());
}

#[tokio::test]
async fn windows_on_event_date_cover_the_events_exactly() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let mut found = Vec::new();
    for hour in 7..13 {
        for (from, to) in [("00:00.000", "29:59.999"), ("29:59.999", "59:59.999")] {
            let (from, to) = (format!("2026-03-04T{hour:02}:{from}Z"), format!("2026-03-04T{hour:02}:{to}Z"));
            let statement = format!(
                "SELECT EventIdentifier FROM LoginEvent WHERE EventDate > {from} AND EventDate <= {to}"
            );
            found.extend(texts(&all(&client, &statement).await, "EventIdentifier"));
        }
    }
    let at_hours = simulator.org().object_truth(StoredObject::LoginEvent, always()).count() - found.len();
    assert!(at_hours < 3, "only an event at the full hour itself is outside of every window");
    let one = &all(&client, "SELECT EventDate, EventIdentifier FROM LoginEvent LIMIT 1").await[0];
    let date = one["EventDate"].as_str().unwrap().replace("+0000", "Z");
    let statement =
        format!("SELECT EventIdentifier FROM LoginEvent WHERE EventDate = {date} AND EventIdentifier > '0'");
    assert_eq!(all(&client, &statement).await[0]["EventIdentifier"], one["EventIdentifier"]);
}

#[tokio::test]
async fn what_the_index_of_a_big_object_does_not_serve_is_refused() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let big = "BIG_OBJECT_UNSUPPORTED_OPERATION";
    let date = "2026-03-04T10:00:00Z";
    for (condition, code) in [
        ("WHERE EventIdentifier = 'x'".to_owned(), big),
        (format!("WHERE EventDate <= {date} AND EventIdentifier = 'x'"), big),
        (format!("WHERE EventIdentifier = 'x' AND EventDate = {date}"), big),
        (format!("WHERE EventDate != {date}"), big),
        (format!("WHERE EventDate > {date} OR EventDate < {date}"), big),
        (format!("WHERE EventDate > {date} AND EventDate > {date}"), big),
        (format!("WHERE NOT EventDate > {date}"), big),
        ("WHERE EventIdentifier LIKE 'a%'".to_owned(), big),
        ("ORDER BY EventDate".to_owned(), big),
        ("ORDER BY EventIdentifier DESC".to_owned(), big),
        ("WHERE UserId = '0055j0000000000AAA'".to_owned(), "INVALID_FIELD"),
        ("ORDER BY Username".to_owned(), "INVALID_FIELD"),
    ] {
        for object in ["LoginEvent", "LogoutEvent", "ApiEvent", "ReportEvent"] {
            let answer = client.query(&format!("SELECT Id FROM {object} {condition}")).await;
            assert_eq!(answer.error(), (400, code.to_owned()), "{condition}");
        }
    }
    assert_eq!(client.query("SELECT count() FROM LoginEvent").await.error(), (400, big.to_owned()));
    let newest = client.records("SELECT EventDate FROM LoginEvent ORDER BY EventDate DESC LIMIT 5").await;
    assert_eq!(newest.len(), 5);
}

#[tokio::test]
async fn a_range_with_too_many_rows_times_out_and_a_smaller_one_does_not() {
    let objects = Objects { max_rows: 700, ..Objects::default() };
    let simulator =
        Simulator::start(OrgSettings { objects, ..settings(6, Rows::PerHour(500)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let window = |from: u32, to: u32| {
        format!(
            "SELECT Id FROM LoginEvent WHERE EventDate >= 2026-03-04T{from:02}:00:00Z AND EventDate < 2026-03-04T{to:02}:00:00Z"
        )
    };
    let wide = client.query(&window(8, 12)).await;
    assert_eq!(wide.error(), (400, "QUERY_TIMEOUT".to_owned()));
    assert_eq!(client.query(&window(8, 9)).await.json()["totalSize"], 500);
    assert_eq!(client.query("SELECT Id FROM LoginEvent").await.error().1, "QUERY_TIMEOUT");
}

#[tokio::test]
async fn a_record_becomes_queryable_seconds_after_its_event_or_later_within_the_settle_delay() {
    let objects = Objects { settle: TimeDelta::minutes(10), ..Objects::default() };
    let mut late = OrgSettings { objects, ..settings(1, Rows::PerHour(3_600)) };
    late.workload.end = late.clock_fixed_at;
    let simulator = Simulator::start(late).await.unwrap();
    // The last hour ended at 18:00; its last minute, seen as time goes on from 18:00:01.
    simulator.org().clock().advance(TimeDelta::seconds(-19 * 60 - 59));
    let client = Client::sign_in(&simulator).await;
    let statement = "SELECT EventIdentifier FROM LoginEvent WHERE EventDate >= 2026-03-04T17:59:00Z";
    let mut counts = Vec::new();
    for _ in 0..12 {
        counts.push(all(&client, statement).await.len());
        simulator.org().clock().advance(TimeDelta::minutes(1));
    }
    assert!(counts[0] < counts[1] && counts[1] < counts[11], "{counts:?}");
    assert_eq!(counts[10], counts[11], "all are there after ten minutes: {counts:?}");
    assert!(counts.windows(2).all(|pair| pair[0] <= pair[1]));
}

#[tokio::test]
async fn standard_fields_are_all_fields_of_the_object() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for (object, fields) in [
        ("LoginEvent", 46),
        ("LogoutEvent", 12),
        ("ApiEvent", 30),
        ("ReportEvent", 36),
        ("LoginHistory", 25),
        ("SetupAuditTrail", 10),
        ("ApiAnomalyEventStore", 26),
        ("EventLogFile", 16),
    ] {
        let record = &client.records(&format!("SELECT FIELDS(STANDARD) FROM {object} LIMIT 1")).await;
        let found = record.first().map_or(fields, |record| record.as_object().unwrap().len() - 1);
        assert_eq!(found, fields, "{object}");
    }
    let twice = client.query("SELECT FIELDS(STANDARD), Id FROM SetupAuditTrail").await;
    assert_eq!(twice.error(), (400, "MALFORMED_QUERY".to_owned()));
}

#[tokio::test]
async fn count_gives_a_total_and_no_records() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let answer = client.query("SELECT count() FROM SetupAuditTrail").await.json();
    assert_eq!((&answer["totalSize"], &answer["done"]), (&72.into(), &true.into()));
    assert_eq!(answer["records"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn rows_of_the_audit_trail_share_seconds_and_are_resumed_by_date_and_id() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let ordered = "FROM SetupAuditTrail ORDER BY CreatedDate, Id";
    let rows = client.records(&format!("SELECT Id, CreatedDate, Action, Display, Section {ordered}")).await;
    let mut of_second: BTreeMap<String, usize> = BTreeMap::new();
    for date in texts(&rows, "CreatedDate") {
        assert!(date.ends_with(".000+0000"));
        *of_second.entry(date).or_default() += 1;
    }
    assert!(of_second.values().all(|rows| *rows >= 3), "three rows in one second");
    let last = &rows[9];
    let (date, id) =
        (last["CreatedDate"].as_str().unwrap().replace("+0000", "Z"), last["Id"].as_str().unwrap());
    let rest = format!(
        "SELECT Id FROM SetupAuditTrail WHERE CreatedDate > {date} OR (CreatedDate = {date} AND Id > '{id}') \
         ORDER BY CreatedDate, Id"
    );
    assert_eq!(texts(&client.records(&rest).await, "Id"), texts(&rows[10..], "Id"));
    let ids: BTreeSet<String> = texts(&rows, "Id").into_iter().collect();
    assert_eq!(ids.len(), truth(&simulator, StoredObject::SetupAuditTrail).len());
}

#[tokio::test]
async fn display_and_section_are_sorted_by_and_not_filtered() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for field in ["Display", "Section"] {
        let refused = client.query(&format!("SELECT Id FROM SetupAuditTrail WHERE {field} = 'x'")).await;
        assert_eq!(refused.error(), (400, "INVALID_FIELD".to_owned()));
        let message = refused.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("can not be filtered in a query call"), "{message}");
        assert_eq!(
            client.records(&format!("SELECT Id FROM SetupAuditTrail ORDER BY {field}")).await.len(),
            72
        );
    }
}

#[tokio::test]
async fn the_truth_of_a_span_is_that_of_the_records_in_it() {
    let simulator = org().await;
    let hour = |hour: u32| format!("2026-03-04T{hour:02}:00:00Z").parse::<DateTime<Utc>>().unwrap();
    let parts: usize = (7..13)
        .map(|h| simulator.org().object_truth(StoredObject::LoginEvent, hour(h)..hour(h + 1)).count())
        .sum();
    assert_eq!(parts, 3_000);
    assert_eq!(simulator.org().truth(Interval::Hourly).count(), 3_000);
}

#[tokio::test]
async fn name_username_and_email_of_who_changed_something_come_with_the_audit_trail() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let statement = "SELECT Id, CreatedBy.Name, Action, CreatedBy.Username, createdby.email, CreatedById FROM SetupAuditTrail";
    let answer = client.query(&format!("{statement} ORDER BY CreatedDate LIMIT 1")).await;
    let text = String::from_utf8(answer.decoded()).unwrap();
    let record = &answer.json()["records"][0];
    let by = &record["CreatedBy"];
    let url = format!("/services/data/v65.0/sobjects/User/{}", record["CreatedById"].as_str().unwrap());
    assert_eq!((&by["attributes"]["type"], &by["attributes"]["url"]), (&"User".into(), &url.into()));
    let (name, username) = (by["Name"].as_str().unwrap(), by["Username"].as_str().unwrap());
    assert!(name.contains(' ') && name.chars().next().unwrap().is_uppercase(), "{name}");
    let first = name.split(' ').next().unwrap().to_lowercase();
    assert!(username.starts_with(&first) && username.ends_with("@example.com"), "{name} {username}");
    assert_eq!(by["Email"], by["Username"]);
    let order = [
        "\"Id\"",
        "\"CreatedBy\":",
        "\"Name\"",
        "\"Username\"",
        "\"Email\"",
        "\"Action\"",
        "\"CreatedById\"",
    ];
    let offsets: Vec<usize> = order.iter().map(|key| text.find(key).expect(key)).collect();
    assert!(offsets.is_sorted(), "in the order of SELECT, a relationship where it is first named: {text}");

    let users = client.records("SELECT Username FROM LoginEvent").await;
    assert!(users.iter().any(|user| user["Username"] == username), "{username} signs in too");
    let his =
        client.records(&format!("{statement} WHERE CreatedBy.Name = '{name}' ORDER BY CreatedBy.Name")).await;
    assert!(!his.is_empty() && his.iter().all(|record| record["CreatedBy"]["Name"] == name));
    for (field, status, code) in
        [("CreatedBy.ProfileId", 501, "NOT_IMPLEMENTED_IN_SIMULATOR"), ("Creator.Name", 400, "INVALID_FIELD")]
    {
        let answer = client.query(&format!("SELECT {field} FROM SetupAuditTrail")).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{field}");
    }
}

#[tokio::test]
async fn date_literals_stand_for_whole_days_of_the_orgs_clock() {
    // Four days of one row an hour, up to 12:00 on 2026-03-04.
    let simulator = Simulator::start(settings(96, Rows::PerHour(1))).await.unwrap();
    simulator.org().clock().advance(TimeDelta::minutes(-3));
    let client = Client::sign_in(&simulator).await;
    for (condition, rows) in [
        ("= TODAY", 13),
        ("= YESTERDAY", 24),
        ("= LAST_N_DAYS:1", 37),
        ("= last_n_days:2", 61),
        ("< TODAY", 83),
        ("<= YESTERDAY", 83),
        ("< YESTERDAY", 59),
        ("> YESTERDAY", 13),
        (">= YESTERDAY", 37),
        ("> TODAY", 0),
        (">= LAST_N_DAYS:2", 61),
    ] {
        for (object, date) in
            [("LoginHistory", "LoginTime"), ("LoginEvent", "EventDate"), ("EventLogFile", "LogDate")]
        {
            let and = if object == "EventLogFile" { "Interval = 'Hourly' AND " } else { "" };
            let statement = format!("SELECT Id FROM {object} WHERE {and}{date} {condition}");
            assert_eq!(all(&client, &statement).await.len(), rows, "{statement}");
        }
    }
    for (condition, rows) in [("!= TODAY", 83), ("IN (TODAY, YESTERDAY)", 37), ("= LAST_N_DAYS:100000", 96)] {
        let statement = format!("SELECT Id FROM LoginHistory WHERE LoginTime {condition}");
        assert_eq!(all(&client, &statement).await.len(), rows, "{statement}");
    }
    let refused = client.query("SELECT Id FROM LoginHistory WHERE UserId = TODAY").await;
    assert_eq!(refused.error(), (400, "INVALID_FIELD".to_owned()));
    let refused = client.query("SELECT Id FROM LoginHistory WHERE LoginTime = LAST_FISCAL_YEAR").await;
    assert_eq!(refused.error(), (501, "NOT_IMPLEMENTED_IN_SIMULATOR".to_owned()));
}

#[tokio::test]
async fn a_date_literal_is_the_last_condition_on_a_big_object() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for (condition, served) in [
        ("EventDate >= LAST_N_DAYS:2", true),
        ("EventDate >= 2026-03-04T10:00:00Z AND EventDate <= TODAY", true),
        ("EventDate >= LAST_N_DAYS:2 AND EventDate < 2026-03-04T10:00:00Z", false),
        ("EventDate = TODAY AND EventIdentifier = 'x'", false),
    ] {
        let answer = client.query(&format!("SELECT Id FROM LoginEvent WHERE {condition}")).await;
        let expected = if served { 200 } else { 400 };
        assert_eq!(answer.status.as_u16(), expected, "{condition}");
        assert!(served || answer.error().1 == "BIG_OBJECT_UNSUPPORTED_OPERATION", "{condition}");
    }
}
