//! Faults by plan, as a client meets them.

use std::io::Read as _;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use salesforce_sim::{Files, OrgSettings, PlannedFault, Rows, Simulator};
use tokio::time::{Duration, Instant};

use crate::client::{Client, QUERY, call, encode, settings, start};

const STATEMENT: &str = "SELECT Id, LogFile, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly'";

async fn org() -> Simulator {
    Simulator::start(settings(1, Rows::PerHour(400))).await.unwrap()
}

fn plan(simulator: &Simulator, json: &str) {
    PlannedFault::plan(json).unwrap().into_iter().for_each(|fault| simulator.org().plan_fault(fault));
}

async fn file_path(client: &Client<'_>) -> String {
    client.records(STATEMENT).await[0]["LogFile"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_fault_on_every_request_strikes_those_of_its_method_and_path_alone() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let html = r#"{"kind":"answer","status":502,"body":"<html>Bad Gateway</html>"}"#;
    plan(&simulator, &format!(r#"[{{"method":"GET","path":"/query","every":true,"action":{html}}}]"#));
    for _ in 0..3 {
        let answer = client.query(STATEMENT).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert!(answer.header("content-type").starts_with("text/html"), "the edge answers in HTML");
    }
    assert_eq!(client.get("/services/data/v65.0/limits").await.status, StatusCode::OK);
    simulator.org().clear_faults();
    assert_eq!(client.query(STATEMENT).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_answer_comes_after_its_delay() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    plan(&simulator, r#"[{"path":"/query","action":{"kind":"delay","millis":90000}}]"#);
    let before = Instant::now();
    assert_eq!(client.query(STATEMENT).await.status, StatusCode::OK);
    assert!(before.elapsed() >= Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_takes_a_second_for_each_byte() {
    let simulator = org().await;
    plan(&simulator, r#"[{"path":"/services/data","action":{"kind":"drip"}}]"#);
    let before = Instant::now();
    let answer = call(simulator.url(), Method::GET, "/services/data", &[], "").await;
    assert_eq!(answer.json()[0]["version"], "46.0");
    assert!(before.elapsed() >= Duration::from_secs(answer.body.len() as u64 - 1));
}

#[tokio::test(start_paused = true)]
async fn drops_are_as_large_and_as_far_apart_as_the_plan_says() {
    let simulator = org().await;
    plan(&simulator, r#"[{"path":"/services/data","action":{"kind":"drip","bytes":100,"millis":7000}}]"#);
    let before = Instant::now();
    let answer = call(simulator.url(), Method::GET, "/services/data", &[], "").await;
    assert_eq!(answer.json()[0]["version"], "46.0");
    let drops = answer.body.len().div_ceil(100) as u64;
    assert!(drops > 5, "{drops}");
    let range = Duration::from_secs(7 * (drops - 1))..Duration::from_secs(7 * drops);
    assert!(range.contains(&before.elapsed()), "{drops}: {:?}", before.elapsed());
}

#[tokio::test]
async fn a_stalled_body_sends_its_beginning_and_then_nothing() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let path = file_path(&client).await;
    plan(&simulator, r#"[{"path":"/LogFile","action":{"kind":"stall","after":1000}}]"#);
    let bearer = format!("Bearer {}", client.token);
    let response = start(simulator.url(), Method::GET, &path, &[("authorization", &bearer)], "").await;
    let (mut body, mut seen) = (response.into_body(), 0);
    while seen < 1_000 {
        seen += body.frame().await.unwrap().unwrap().data_ref().unwrap().len();
    }
    assert_eq!(seen, 1_000);
    let record = simulator.org().requests().records().pop().unwrap();
    assert_eq!((record.decoded_bytes, record.complete), (1_000, false));
}

#[tokio::test]
async fn a_corrupt_gzip_body_does_not_decode() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let path = file_path(&client).await;
    plan(&simulator, r#"[{"path":"/LogFile","action":{"kind":"corrupt-gzip","at":5000}}]"#);
    let bad = client.get_with(&path, &[("accept-encoding", "gzip")]).await;
    let decoded = flate2::read::GzDecoder::new(bad.body.as_slice()).read_to_end(&mut Vec::new());
    assert!(decoded.is_err() && !bad.broken);
    let good = client.get_with(&path, &[("accept-encoding", "gzip")]).await;
    assert!(!good.decoded().is_empty() && good.body != bad.body && good.body.len() == bad.body.len());
}

#[tokio::test]
async fn a_wrong_log_file_length_is_off_by_what_the_plan_says() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let right = client.records(STATEMENT).await[0]["LogFileLength"].as_f64().unwrap();
    plan(&simulator, r#"[{"path":"/query","action":{"kind":"wrong-length","by":-7}}]"#);
    assert_eq!(client.records(STATEMENT).await[0]["LogFileLength"], right - 7.0);
    assert_eq!(client.records(STATEMENT).await[0]["LogFileLength"], right);
}

#[tokio::test]
async fn a_wrong_log_file_length_changes_no_other_byte() {
    let simulator = Simulator::start(settings(5, Rows::PerHour(40))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let others = "SELECT FIELDS(STANDARD) FROM ApiEvent";
    for statement in [STATEMENT, "SELECT LogFileLength FROM EventLogFile WHERE Sequence > 0", others] {
        let right = String::from_utf8(client.query(statement).await.decoded()).unwrap();
        plan(&simulator, r#"[{"path":"/query","action":{"kind":"wrong-length","by":3}}]"#);
        let wrong = String::from_utf8(client.query(statement).await.decoded()).unwrap();
        let lengths = |text: &str| -> Vec<f64> {
            let parts = text.split("\"LogFileLength\":").skip(1);
            parts.map(|part| part[..part.find([',', '}']).unwrap()].parse().unwrap()).collect()
        };
        let (before, after) = (lengths(&right), lengths(&wrong));
        assert_eq!(before.len(), if statement == others { 0 } else { 5 });
        assert!(
            before.iter().zip(&after).all(|(right, wrong)| right + 3.0 == *wrong),
            "{before:?} {after:?}"
        );
        let back = after.iter().zip(&before).fold(wrong, |text, (wrong, right)| {
            text.replacen(
                &format!("\"LogFileLength\":{wrong:.1}"),
                &format!("\"LogFileLength\":{right:.1}"),
                1,
            )
        });
        assert_eq!(back, right);
    }
}

#[tokio::test]
async fn an_exhausted_quota_and_a_revoked_session_are_planned_too() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    plan(&simulator, r#"[{"path":"/query","nth":2,"action":{"kind":"exhaust-quota"}}]"#);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(client.query(STATEMENT).await.status.as_u16());
    }
    assert_eq!(codes, [200, 403, 403]);
    plan(&simulator, r#"[{"path":"/limits","action":{"kind":"revoke-sessions"}}]"#);
    assert_eq!(client.get("/services/data/v65.0/limits").await.error().1, "INVALID_SESSION_ID");
}

#[tokio::test]
async fn a_plan_is_set_over_the_control_port_and_its_mistakes_are_all_named() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let post = async |body: &str| call(simulator.control_url(), Method::POST, "/faults", &[], body).await;
    let plan = r#"[{"path":"/query","action":{"kind":"answer","status":503,"body":"[]"}}]"#;
    assert_eq!(post(plan).await.json()["planned"], 1);
    let path = format!("{QUERY}{}", encode(STATEMENT));
    assert_eq!(client.get(&path).await.status.as_u16(), 503);
    let wrong = post(r#"[{"nth":0,"action":{"kind":"drop"}}]"#).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json()["mistakes"].as_array().unwrap().len(), 2);
    post(plan).await;
    let cleared = call(simulator.control_url(), Method::DELETE, "/faults", &[], "").await;
    assert_eq!((cleared.status, client.get(&path).await.status), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn an_unknown_event_type_is_named_at_the_start() {
    let files = Files { event_types: vec!["Login".to_owned(), "Logins".to_owned()], ..Files::default() };
    let problem = Simulator::start(OrgSettings { files, ..settings(1, Rows::Total(1)) }).await.err().unwrap();
    assert!(problem.to_string().starts_with("no event type Logins: there are Login, Logout,"), "{problem}");
}
