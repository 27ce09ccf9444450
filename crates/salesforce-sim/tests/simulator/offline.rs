//! The org without a network: the same answers as over HTTP, reproducible, and never waiting.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use salesforce_sim::{
    EventLogFile, Files, Interval, OfflineAnswer, OfflineOrg, OrgSettings, PlannedFault, Rows, Simulator,
    StoredObject, Unanswered,
};
use serde_json::Value;

use crate::client::{Client, QUERY, assertion, claims_of, encode, settings};

pub fn org(settings: OrgSettings) -> OfflineOrg {
    Simulator::offline(settings).unwrap()
}

pub fn plan(org: &OfflineOrg, json: &str) {
    PlannedFault::plan(json).unwrap().into_iter().for_each(|fault| org.org().plan_fault(fault));
}

fn token_request(org: &OfflineOrg) -> Result<OfflineAnswer, Unanswered> {
    let grant = encode("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let form = format!("grant_type={grant}&assertion={}", encode(&assertion(&claims_of(org.org()))));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    org.answer("POST", "/services/oauth2/token", &headers, form.as_bytes())
}

/// An `authorization` header of a new session.
pub fn bearer(org: &OfflineOrg) -> String {
    let answer: Value = serde_json::from_slice(&body(token_request(org).unwrap())).unwrap();
    assert_eq!(answer["instance_url"], org.url());
    format!("Bearer {}", answer["access_token"].as_str().unwrap())
}

pub fn body(mut answer: OfflineAnswer) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.body.read_to_end(&mut bytes).unwrap();
    bytes
}

pub fn get(org: &OfflineOrg, bearer: &str, path: &str) -> OfflineAnswer {
    org.answer("GET", path, &[("authorization", bearer)], b"").unwrap()
}

pub fn query(statement: &str) -> String {
    format!("{QUERY}{}", encode(statement))
}

pub fn path(file: &EventLogFile) -> String {
    format!("/services/data/v65.0/sobjects/EventLogFile/{}/LogFile", file.id)
}

/// What a body gives before it fails, and how it fails.
fn failing(mut answer: OfflineAnswer) -> (Vec<u8>, ErrorKind) {
    let mut bytes = Vec::new();
    let error = answer.body.read_to_end(&mut bytes).expect_err("the body fails");
    (bytes, error.kind())
}

#[tokio::test]
async fn an_offline_org_answers_as_the_one_over_http_does() {
    let settings = settings(5, Rows::PerHour(300));
    let simulator = Simulator::start(settings.clone()).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let org = org(settings);
    let bearer = bearer(&org);
    let files = org.org().event_log_files(Interval::Hourly);
    let mut paths = vec![
        "/services/data".to_owned(),
        "/services/data/v65.0/limits".to_owned(),
        "/services/data/v65.0/nowhere".to_owned(),
        query("SELECT FIELDS(STANDARD) FROM EventLogFile WHERE Interval = 'Hourly'"),
        query("SELECT Id FROM Nothing"),
        path(&files[0]),
    ];
    paths.extend(
        StoredObject::ALL
            .map(|object| query(&format!("SELECT FIELDS(STANDARD) FROM {} LIMIT 700", object.name()))),
    );
    for path in paths {
        for encoding in ["gzip", "identity"] {
            let over_http = client.get_with(&path, &[("accept-encoding", encoding)]).await;
            let headers = [("authorization", bearer.as_str()), ("accept-encoding", encoding)];
            let offline = org.answer("GET", &path, &headers, b"").unwrap();
            assert_eq!(offline.status, over_http.status.as_u16(), "{path}");
            for (name, value) in &offline.headers {
                assert_eq!(value, over_http.header(name), "{path}: {name}");
            }
            assert!(body(offline) == over_http.body, "{path} {encoding}");
        }
    }
}

#[test]
fn the_same_settings_and_requests_get_the_same_bytes() {
    let run = || {
        let org = org(settings(3, Rows::PerHour(200)));
        let mut seen = Vec::new();
        for round in 0..3 {
            let token = token_request(&org).unwrap();
            seen.push((token.headers.clone(), body(token)));
            let bearer = bearer(&org);
            let statement = "SELECT Id, LogFile, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly'";
            for path in [query(statement), query("SELECT Id FROM LoginHistory ORDER BY LoginTime")] {
                let answer = get(&org, &bearer, &path);
                seen.push((answer.headers.clone(), body(answer)));
            }
            for file in org.org().event_log_files(Interval::Hourly) {
                let headers = [("authorization", bearer.as_str()), ("accept-encoding", "gzip")];
                let answer = org.answer("GET", &path(&file), &headers, b"").unwrap();
                seen.push((answer.headers.clone(), body(answer)));
            }
            org.org().clock().advance(chrono::TimeDelta::hours(round));
        }
        seen
    };
    assert!(run() == run());
}

#[test]
fn faults_of_time_become_errors_and_nobody_waits() {
    let org = org(settings(1, Rows::PerHour(400)));
    let bearer = bearer(&org);
    let file = org.org().event_log_files(Interval::Hourly).remove(0);
    let whole = body(get(&org, &bearer, &path(&file)));
    let began = Instant::now();

    plan(&org, r#"[{"path":"/query","action":{"kind":"delay","millis":86400000}}]"#);
    let calls = org.org().api_calls();
    let delayed = org.answer("GET", &query("SELECT Id FROM LoginEvent"), &[("authorization", &bearer)], b"");
    assert_eq!(delayed.err(), Some(Unanswered::TimedOut(86_400_000)));
    assert_eq!(org.org().api_calls(), calls, "the org never looked at it");
    assert_eq!(get(&org, &bearer, &query("SELECT Id FROM LoginEvent LIMIT 1")).status, 200);

    plan(&org, r#"[{"path":"/LogFile","action":{"kind":"stall","after":70000}}]"#);
    let stalled = failing(get(&org, &bearer, &path(&file)));
    assert!(stalled == (whole[..70_000].to_vec(), ErrorKind::TimedOut));

    plan(&org, r#"[{"path":"/LogFile","action":{"kind":"drip"}}]"#);
    let dripping = failing(get(&org, &bearer, &path(&file)));
    assert!(dripping == (whole[..16].to_vec(), ErrorKind::TimedOut));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn cut_and_damaged_bodies_are_those_of_http() {
    let org = org(settings(1, Rows::PerHour(400)));
    let bearer = bearer(&org);
    let file = org.org().event_log_files(Interval::Hourly).remove(0);
    let whole = body(get(&org, &bearer, &path(&file)));

    plan(&org, r#"[{"path":"/LogFile","action":{"kind":"cut-connection","after":70000}}]"#);
    let cut = failing(get(&org, &bearer, &path(&file)));
    assert!(cut == (whole[..70_000].to_vec(), ErrorKind::ConnectionReset));
    let record = org.org().requests().records().pop().unwrap();
    assert_eq!((record.status, record.decoded_bytes, record.complete), (200, 70_000, false));

    plan(&org, r#"[{"path":"/LogFile","action":{"kind":"cut-silently","after":70000}}]"#);
    assert!(body(get(&org, &bearer, &path(&file))) == whole[..70_000]);

    let gzip = [("authorization", bearer.as_str()), ("accept-encoding", "gzip")];
    for at in [20, 1_000_000_000_u64] {
        let action = format!(r#"{{"kind":"corrupt-gzip","at":{at}}}"#);
        plan(&org, &format!(r#"[{{"path":"/LogFile","action":{action}}}]"#));
        let bytes = body(org.answer("GET", &path(&file), &gzip, b"").unwrap());
        let decoded = flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut Vec::new());
        assert!(decoded.is_err(), "wrong at {at}");
    }

    plan(&org, r#"[{"path":"/query","action":{"kind":"answer","status":503,"body":"<h1>Down</h1>"}}]"#);
    let down = get(&org, &bearer, &query("SELECT Id FROM LoginEvent"));
    assert_eq!((down.status, body(down)), (503, b"<h1>Down</h1>".to_vec()));

    plan(&org, r#"[{"path":"/query","action":{"kind":"revoke-sessions"}}]"#);
    assert_eq!(get(&org, &bearer, &query("SELECT Id FROM LoginEvent")).status, 401);
}

#[test]
fn what_is_no_request_is_refused_by_name() {
    let org = org(settings(1, Rows::PerHour(1)));
    for (method, path, header) in [("G T", "/", "a"), ("GET", "no path", "a"), ("GET", "/", "line\nbreak")] {
        let refused = org.answer(method, path, &[("x-test", header)], b"").err();
        assert!(matches!(refused, Some(Unanswered::NoRequest(_))), "{method} {path} {header:?}");
    }
    let long = vec![b'x'; 70_000];
    assert_eq!(org.answer("POST", "/services/oauth2/token", &[], &long).unwrap().status, 413);
    let files = Files { event_types: vec!["Nope".to_owned()], ..Files::default() };
    let problem = Simulator::offline(OrgSettings { files, ..OrgSettings::default() }).err().unwrap();
    assert!(problem.to_string().contains("no event type Nope"));
}

#[test]
fn a_week_of_an_org_is_collected_in_a_moment() {
    let began = Instant::now();
    let org = org(settings(168, Rows::Total(20_000)));
    let bearer = bearer(&org);
    let statement = "SELECT Id, LogFile, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly'";
    let listing: Value = serde_json::from_slice(&body(get(&org, &bearer, &query(statement)))).unwrap();
    let mut bytes = 0;
    for file in listing["records"].as_array().unwrap() {
        let headers = [("authorization", bearer.as_str()), ("accept-encoding", "gzip")];
        bytes += body(org.answer("GET", file["LogFile"].as_str().unwrap(), &headers, b"").unwrap()).len();
    }
    let files = began.elapsed();
    let end = org.org().clock().now();
    for object in StoredObject::ALL {
        let date = match object {
            StoredObject::LoginHistory => "LoginTime",
            StoredObject::SetupAuditTrail => "CreatedDate",
            StoredObject::AuraRequestEventLog => "Timestamp",
            _ => "EventDate",
        };
        for hour in 0..180 {
            let [from, to] = [hour + 1, hour]
                .map(|hours| (end - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            let window = format!(
                "SELECT FIELDS(STANDARD) FROM {} WHERE {date} >= {from} AND {date} < {to}",
                object.name()
            );
            bytes += body(get(&org, &bearer, &query(&window))).len();
        }
    }
    println!("files {files:?}, all {:?}, {bytes} bytes", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
