//! What all objects have in common: ground truth, windows, many records on one instant, and what each kind may be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use salesforce_sim::{Crowd, Objects, OrgSettings, Rows, Simulator, StoredObject, event_id};
use serde_json::Value;

use crate::client::{Client, all, always, settings};

/// The object's own date, and its key where it has one.
fn cursor(object: StoredObject) -> (&'static str, Option<&'static str>) {
    match object {
        StoredObject::LoginHistory => ("LoginTime", Some("Id")),
        StoredObject::SetupAuditTrail => ("CreatedDate", Some("Id")),
        StoredObject::ApiAnomalyEventStore
        | StoredObject::SessionHijackingEventStore
        | StoredObject::CredentialStuffingEventStore
        | StoredObject::LoginAnomalyEventStore
        | StoredObject::ReportAnomalyEventStore
        | StoredObject::GuestUserAnomalyEventStore => ("EventDate", Some("Id")),
        StoredObject::AuraRequestEventLog => ("Timestamp", None),
        _ => ("EventDate", Some("EventIdentifier")),
    }
}

/// The id that a collection gives a record of `FIELDS(STANDARD)`.
fn id(simulator: &Simulator, object: StoredObject, record: &Value) -> String {
    let digest = |columns: &[(&str, String)]| {
        event_id(columns.iter().map(|(name, text)| (*name, text.as_bytes()))).to_string()
    };
    let text = |name: &str| record[name].as_str().unwrap().to_owned();
    match cursor(object) {
        (_, Some("Id")) => {
            let host = simulator.url().trim_start_matches("http://").to_owned();
            digest(&[("object", object.name().to_owned()), ("host", host), ("Id", text("Id"))])
        }
        (_, Some(key)) => text(key),
        (_, None) => {
            let fields = record.as_object().unwrap().iter().filter(|(name, _)| *name != "attributes");
            let texts = fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| {
                (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            });
            digest(&texts.collect::<Vec<_>>())
        }
    }
}

pub fn ids(simulator: &Simulator, object: StoredObject, records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| id(simulator, object, record)).collect()
}

pub fn truth(simulator: &Simulator, object: StoredObject) -> BTreeSet<String> {
    simulator.org().object_truth(object, always()).collect()
}

/// Fourteen days are the most that every object can be asked for at once.
const TWO_WEEKS: &str = "2026-02-20T00:00:00Z";

pub async fn standard(client: &Client<'_>, object: StoredObject) -> Vec<Value> {
    let (date, _) = cursor(object);
    all(client, &format!("SELECT FIELDS(STANDARD) FROM {} WHERE {date} >= {TWO_WEEKS}", object.name())).await
}

#[tokio::test]
async fn every_object_answers_exactly_the_records_of_its_truth() {
    let simulator = Simulator::start(settings(30, Rows::Total(4_000))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in StoredObject::ALL {
        let records = standard(&client, object).await;
        let truth = truth(&simulator, object);
        assert!(truth.len() >= 30, "{object:?}: {}", truth.len());
        assert_eq!(records.len(), truth.len(), "{object:?}");
        assert_eq!(ids(&simulator, object, &records), truth, "{object:?}");
    }
}

#[tokio::test]
async fn windows_of_any_width_cover_every_object_exactly() {
    let few = Objects {
        audit_rows_per_hour: 1,
        api_rows_per_hour: 1,
        report_rows_per_hour: 2,
        anomaly_rows_per_hour: 3,
        aura_rows_per_hour: 5,
        ..Objects::default()
    };
    let many = Objects {
        settle: TimeDelta::minutes(3),
        audit_rows_per_hour: 11_000,
        api_rows_per_hour: 333,
        report_rows_per_hour: 7,
        aura_rows_per_hour: 2_500,
        ..Objects::default()
    };
    for (rows, objects) in [(200, Objects::default()), (1, few), (37, many)] {
        windows_cover_the_objects(OrgSettings { objects, ..settings(5, Rows::PerHour(rows)) }).await;
    }
}

async fn windows_cover_the_objects(settings: OrgSettings) {
    let simulator = Simulator::start(settings).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in StoredObject::ALL {
        let (date, _) = cursor(object);
        let mut found = Vec::new();
        let mut from: DateTime<Utc> = "2026-03-04T08:00:00Z".parse().unwrap();
        let end: DateTime<Utc> = "2026-03-04T15:00:00Z".parse().unwrap();
        for width in [1_u32, 1_789, 59_999, 777_777, 3_600_000].into_iter().cycle() {
            if from >= end {
                break;
            }
            let until = from + TimeDelta::milliseconds(i64::from(width));
            let [a, b] = [from, until].map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            let statement = format!(
                "SELECT FIELDS(STANDARD) FROM {} WHERE {date} >= {a} AND {date} < {b}",
                object.name()
            );
            let records = all(&client, &statement).await;
            let span: BTreeSet<String> = simulator.org().object_truth(object, from..until).collect();
            assert_eq!(ids(&simulator, object, &records), span, "{object:?} from {a} to {b}");
            found.extend(records);
            from = until;
        }
        assert_eq!(found.len(), truth(&simulator, object).len(), "{object:?}");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_records_and_another_one_others() {
    let records = async |seed: u64| {
        let simulator =
            Simulator::start(OrgSettings { seed, ..settings(2, Rows::PerHour(60)) }).await.unwrap();
        let client = Client::sign_in(&simulator).await;
        let mut records = Vec::new();
        for object in StoredObject::ALL {
            records.push(standard(&client, object).await);
        }
        records
    };
    let first = records(1).await;
    assert_eq!(first, records(1).await);
    let other = records(2).await;
    assert!(first.iter().zip(&other).all(|(one, other)| one != other));
}

#[tokio::test]
async fn ordinary_objects_are_resumed_behind_a_date_and_an_id() {
    let simulator = Simulator::start(settings(8, Rows::PerHour(300))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in
        [StoredObject::LoginHistory, StoredObject::SetupAuditTrail, StoredObject::ApiAnomalyEventStore]
    {
        let (date, _) = cursor(object);
        let (name, mut found, mut behind) = (object.name(), Vec::new(), String::new());
        loop {
            let records = client
                .records(&format!(
                    "SELECT Id, {date} FROM {name} {behind} ORDER BY {date} ASC, Id ASC LIMIT 37"
                ))
                .await;
            let Some(last) = records.last() else { break };
            let at = last[date].as_str().unwrap().replace("+0000", "Z");
            let last = last["Id"].as_str().unwrap();
            behind = format!("WHERE {date} > {at} OR ({date} = {at} AND Id > '{last}')");
            found.extend(records);
        }
        let order: Vec<(&str, &str)> = found
            .iter()
            .map(|record| (record[date].as_str().unwrap(), record["Id"].as_str().unwrap()))
            .collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        assert_eq!(ids(&simulator, object, &found), truth(&simulator, object), "{name}");
    }
}

#[tokio::test]
async fn login_history_tells_of_the_logins_of_login_event_in_whole_seconds() {
    let simulator = Simulator::start(settings(3, Rows::PerHour(400))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let history: BTreeMap<String, Value> = standard(&client, StoredObject::LoginHistory)
        .await
        .into_iter()
        .map(|login| (login["Id"].as_str().unwrap().to_owned(), login))
        .collect();
    let events = standard(&client, StoredObject::LoginEvent).await;
    assert_eq!((history.len(), events.len()), (1_200, 1_200));
    for event in &events {
        let login = &history[event["LoginHistoryId"].as_str().unwrap()];
        let date = event["EventDate"].as_str().unwrap();
        assert_eq!(login["LoginTime"], format!("{}.000+0000", &date[..19]));
        for field in ["UserId", "Status", "SourceIp", "Browser", "Application", "LoginUrl"] {
            assert_eq!(login[field], event[field], "{field}");
        }
    }
}

#[tokio::test]
async fn api_report_and_page_events_are_of_users_who_signed_in_shortly_before() {
    let simulator = Simulator::start(settings(3, Rows::PerHour(400))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let logins: BTreeMap<String, Value> = standard(&client, StoredObject::LoginEvent)
        .await
        .into_iter()
        .map(|login| (login["LoginKey"].as_str().unwrap().to_owned(), login))
        .collect();
    for (object, user) in [
        (StoredObject::ApiEvent, "UserId"),
        (StoredObject::ReportEvent, "UserId"),
        (StoredObject::ApiAnomalyEventStore, "UserId"),
        (StoredObject::AuraRequestEventLog, "UserIdentifier"),
    ] {
        let (date, _) = cursor(object);
        for record in standard(&client, object).await {
            let login = &logins[record["LoginKey"].as_str().unwrap()];
            assert_eq!((&login["UserId"], &login["Status"]), (&record[user], &"Success".into()));
            assert!(login["EventDate"].as_str() <= record[date].as_str(), "{record}");
        }
    }
}

#[tokio::test]
async fn a_crowd_of_ten_thousand_records_on_one_instant_is_read_key_after_key() {
    let at = "2026-03-04T10:17:42.345Z";
    let crowd = Crowd {
        at: at.parse().unwrap(),
        rows: 10_000,
        objects: vec![StoredObject::LoginEvent, StoredObject::SetupAuditTrail, StoredObject::LoginHistory],
    };
    let objects = Objects { crowd: Some(crowd.clone()), max_rows: 5_000, ..Objects::default() };
    let simulator =
        Simulator::start(OrgSettings { objects, ..settings(6, Rows::PerHour(20)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in crowd.objects {
        let (date, key) = cursor(object);
        let (name, key) = (object.name(), key.unwrap());
        let instant = if date == "EventDate" { at } else { "2026-03-04T10:17:42Z" };
        let mut found = BTreeSet::new();
        let (mut after, began) = (String::new(), Instant::now());
        loop {
            let statement =
                format!("SELECT {key} FROM {name} WHERE {date} = {instant} AND {key} > '{after}'");
            let after_it = if after.is_empty() {
                format!("SELECT {key} FROM {name} WHERE {date} = {instant}")
            } else {
                statement
            };
            let records = all(&client, &after_it).await;
            // Of what comes, the lowest keys are kept: no order of the answer is relied on.
            let keys = records.iter().map(|record| (record[key].as_str().unwrap(), record));
            let keys: BTreeMap<&str, &Value> =
                keys.collect::<BTreeMap<_, _>>().into_iter().take(2_000).collect();
            match keys.last_key_value() {
                Some((last, _)) => after = (*last).to_owned(),
                None => break,
            }
            found.extend(keys.into_values().map(|record| id(&simulator, object, record)));
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
        let second: DateTime<Utc> = instant.parse().unwrap();
        let truth: BTreeSet<String> =
            simulator.org().object_truth(object, second..second + TimeDelta::milliseconds(1)).collect();
        assert!(found.len() >= 10_000 && found == truth, "{name}: {} of {}", found.len(), truth.len());
    }
    let wide = client.query("SELECT Id FROM LoginEvent WHERE EventDate >= 2026-03-04T10:17:00Z").await;
    assert_eq!(wide.error(), (400, "QUERY_TIMEOUT".to_owned()));
    let files = simulator.org().truth(salesforce_sim::Interval::Hourly).count();
    assert_eq!(files, 120, "no file is longer for it");
}

#[tokio::test]
async fn a_crowd_outside_of_the_workload_is_found_too() {
    let at: DateTime<Utc> = "2026-03-01T10:17:42.345Z".parse().unwrap();
    let objects = StoredObject::ALL.to_vec();
    let objects = Objects { crowd: Some(Crowd { at, rows: 30, objects }), ..Objects::default() };
    let simulator =
        Simulator::start(OrgSettings { objects, ..settings(2, Rows::PerHour(20)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in StoredObject::ALL {
        let truth = truth(&simulator, object);
        assert_eq!(ids(&simulator, object, &standard(&client, object).await), truth, "{object:?}");
        let before =
            simulator.org().object_truth(object, at - TimeDelta::seconds(1)..at + TimeDelta::seconds(1));
        assert_eq!(before.count(), 30, "{object:?}");
    }
}

#[tokio::test]
async fn an_event_log_object_is_asked_for_15_days_at_most() {
    let simulator = Simulator::start(settings(500, Rows::PerHour(4))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let ask = async |condition: &str| {
        client.query(&format!("SELECT Id FROM AuraRequestEventLog {condition}")).await
    };
    for refused in [
        "",
        "WHERE Timestamp > 2026-02-17T18:19:59Z",
        "WHERE Timestamp < 2026-03-04T00:00:00Z",
        "WHERE Timestamp >= 2026-02-14T00:00:00Z AND Timestamp < 2026-03-01T00:00:00.001Z",
        "WHERE Timestamp > 2026-03-01T00:00:00Z OR UserType = 'Standard'",
    ] {
        assert_eq!(
            ask(refused).await.error(),
            (400, "INVALID_QUERY_FILTER_OPERATOR".to_owned()),
            "{refused}"
        );
    }
    for served in [
        "WHERE Timestamp > 2026-02-17T18:20:00Z",
        "WHERE Timestamp >= 2026-02-14T00:00:00Z AND Timestamp < 2026-03-01T00:00:00Z",
        "WHERE Timestamp > 2026-03-01T00:00:00Z AND UserType = 'Standard' ORDER BY Timestamp ASC NULLS FIRST",
    ] {
        assert_eq!(ask(served).await.status.as_u16(), 200, "{served}");
    }
}

#[tokio::test]
async fn records_of_an_event_log_object_have_no_key_come_late_and_in_no_order_and_go_after_30_days() {
    let mut late = settings(800, Rows::PerHour(400));
    late.workload.end = late.clock_fixed_at;
    let simulator = Simulator::start(late).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let count = async |since: &str, until: &str| {
        let condition = format!("Timestamp >= {since} AND Timestamp < {until}");
        let statement = format!("SELECT Id, Timestamp FROM AuraRequestEventLog WHERE {condition}");
        let records = all(&client, &statement).await;
        assert!(records.iter().all(|record| record["Id"] == "000000000000000AAA"));
        let dates: Vec<String> =
            records.iter().map(|record| record["Timestamp"].as_str().unwrap().to_owned()).collect();
        assert!(dates.len() < 10 || !dates.is_sorted(), "{since}");
        records.len()
    };
    // It is 18:20: all that happened up to 17:35 is there, and nothing of the last 25 minutes.
    let settled = count("2026-03-04T17:00:00Z", "2026-03-04T17:35:00Z").await;
    assert!((30..=40).contains(&settled), "{settled}");
    assert_eq!(count("2026-03-04T17:55:00Z", "2026-03-04T18:00:00Z").await, 0);
    assert!((1..60 - settled).contains(&count("2026-03-04T17:35:00Z", "2026-03-04T18:00:00Z").await));
    simulator.org().clock().advance(TimeDelta::minutes(26));
    assert_eq!(count("2026-03-04T17:00:00Z", "2026-03-04T17:35:00Z").await, settled);
    assert_eq!(count("2026-03-04T17:00:00Z", "2026-03-04T18:00:00Z").await, 60);
    let kept = count("2026-02-02T18:46:00Z", "2026-02-02T19:00:00Z").await;
    assert!(kept > 0 && kept == count("2026-02-02T17:00:00Z", "2026-02-02T19:00:00Z").await);
}

#[tokio::test]
async fn an_object_without_rows_is_empty() {
    let objects = Objects {
        audit_rows_per_hour: 0,
        api_rows_per_hour: 0,
        report_rows_per_hour: 0,
        anomaly_rows_per_hour: 0,
        aura_rows_per_hour: 0,
        ..Objects::default()
    };
    let simulator =
        Simulator::start(OrgSettings { objects, ..settings(2, Rows::PerHour(10)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for object in StoredObject::ALL {
        let wanted = match object {
            StoredObject::LoginEvent | StoredObject::LoginHistory => 20,
            StoredObject::LogoutEvent => 6,
            _ => 0,
        };
        assert_eq!(standard(&client, object).await.len(), wanted, "{object:?}");
        assert_eq!(truth(&simulator, object).len(), wanted, "{object:?}");
    }
}

#[tokio::test]
async fn all_filterable_fields_of_the_new_objects_filter() {
    let simulator = Simulator::start(settings(24, Rows::PerHour(40))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let one = &standard(&client, StoredObject::ApiAnomalyEventStore).await[3];
    let text = |field: &str| one[field].as_str().unwrap().to_owned();
    for condition in [
        format!("EventIdentifier = '{}'", text("EventIdentifier")),
        format!("Id = '{}'", text("Id")),
        format!("RequestIdentifier = '{}'", text("RequestIdentifier")),
        format!(
            "Score = {} AND UserId = '{}' AND LoginKey = '{}'",
            one["Score"],
            text("UserId"),
            text("LoginKey")
        ),
    ] {
        let found = client.records(&format!("SELECT Id FROM ApiAnomalyEventStore WHERE {condition}")).await;
        assert_eq!(found.len(), 1, "{condition}");
        assert_eq!(found[0]["Id"], one["Id"], "{condition}");
    }
    for (object, field) in [
        ("ApiAnomalyEventStore", "Summary"),
        ("ApiEvent", "Username"),
        ("ReportEvent", "Name"),
        ("LoginHistory", "Status"),
    ] {
        let refused = client.query(&format!("SELECT Id FROM {object} WHERE {field} = 'x'")).await;
        assert_eq!(refused.error(), (400, "INVALID_FIELD".to_owned()), "{object} {field}");
    }
}
