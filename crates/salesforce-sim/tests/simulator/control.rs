//! The control listener.

use http::{Method, StatusCode};
use salesforce_sim::{
    Damage, DamagedRecords, Interval, Oddities, OrgSettings, Rows, Simulator, StoredObject, Which,
};
use serde_json::Value;

use crate::client::{Client, call, settings};

#[tokio::test]
async fn the_truth_is_streamed_as_ndjson() {
    let simulator = Simulator::start(settings(48, Rows::Total(3_000))).await.unwrap();
    for (name, interval) in [("hourly", Interval::Hourly), ("daily", Interval::Daily)] {
        let path = format!("/truth?interval={name}");
        let answer = call(simulator.control_url(), Method::GET, &path, &[], "").await;
        let lines: Vec<Value> =
            serde_json::Deserializer::from_slice(&answer.body).into_iter().map(Result::unwrap).collect();
        let expected: Vec<Value> =
            simulator.org().truth(interval).map(|event| serde_json::to_value(event).unwrap()).collect();
        assert!(!expected.is_empty() && lines == expected);
    }
}

#[tokio::test]
async fn the_truth_is_asked_for_by_object_event_type_and_span() {
    let simulator = Simulator::start(settings(6, Rows::PerHour(50))).await.unwrap();
    let get = async |query: &str| {
        let path = format!("/truth?{query}");
        let answer = call(simulator.control_url(), Method::GET, &path, &[], "").await;
        (answer.status.as_u16(), answer.body.iter().filter(|byte| **byte == b'\n').count())
    };
    let hour = "from=2026-03-04T09:00:00Z&to=2026-03-04T10:00:00Z";
    assert_eq!(get(&format!("interval=hourly&{hour}")).await, (200, 50));
    assert_eq!(get("interval=hourly&event_types=Login,Logout").await, (200, 300));
    assert_eq!(get("interval=hourly&event_types=Logout").await, (200, 0));
    assert_eq!(get(&format!("object=LoginEvent&{hour}")).await, (200, 50));
    assert_eq!(get("object=SetupAuditTrail").await, (200, 72));
    for wrong in ["object=Nope", "from=yesterday", "event_types=Nope", "interval=weekly"] {
        assert_eq!(get(wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn which_records_are_damaged_is_told_from_outside() {
    let how = Damage::MissingKey;
    let damaged =
        vec![DamagedRecords { object: StoredObject::LoginEvent, which: Which::OneIn(10), how, field: None }];
    let oddities = Oddities { damaged, ..Oddities::default() };
    let settings = OrgSettings { oddities, ..settings(2, Rows::PerHour(20)) };
    let simulator = Simulator::start(settings).await.unwrap();
    let get = async |path| call(simulator.control_url(), Method::GET, path, &[], "").await;
    let answer = get("/damaged?object=LoginEvent").await;
    let lines: Vec<Value> =
        serde_json::Deserializer::from_slice(&answer.body).into_iter().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!(
            (&line["event_id"], &line["id_survives"]),
            (&line["sound"]["EventIdentifier"], &false.into())
        );
    }
    assert!(get("/damaged?object=LogoutEvent").await.body.is_empty());
    assert_eq!(get("/damaged?object=Nope").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn sessions_and_clock_are_controlled_from_outside() {
    let simulator = Simulator::start(settings(1, Rows::Total(3))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let post = async |path, body| call(simulator.control_url(), Method::POST, path, &[], body).await;
    assert_eq!(post("/expire-sessions", "").await.json()["expired"], 1);
    assert_eq!(client.query("SELECT Id FROM EventLogFile").await.status, StatusCode::UNAUTHORIZED);
    let moved = post("/clock", r#"{"advance_seconds":60}"#).await;
    assert_eq!(moved.json()["now"], "2026-03-04T18:21:00+00:00");
    assert_eq!(post("/clock", r#"{"seconds":60}"#).await.status, StatusCode::BAD_REQUEST);
    let stats = call(simulator.control_url(), Method::GET, "/stats", &[], "").await.json();
    assert_eq!(
        (&stats["tokens_issued"], &stats["live_sessions"], &stats["hourly"]["rows"]),
        (&1.into(), &0.into(), &3.into())
    );
}

#[tokio::test]
async fn the_orgs_port_serves_no_control() {
    let simulator = Simulator::start(settings(1, Rows::Total(1))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.get("/truth?interval=hourly").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get("/stats").await.status, StatusCode::NOT_FOUND);
    let foreign = call(simulator.control_url(), Method::GET, "/services/data", &[], "").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_dropped_simulator_frees_its_ports() {
    let simulator = Simulator::start(settings(1, Rows::Total(1))).await.unwrap();
    let port = simulator.url().rsplit(':').next().unwrap().parse().unwrap();
    let taken = Simulator::start(OrgSettings { port, ..settings(1, Rows::Total(1)) }).await;
    assert!(taken.err().unwrap().to_string().contains(&port.to_string()));
    drop(simulator);
    // The tasks end when they are next polled, so the port is free after a few.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        let again = OrgSettings { port, ..settings(1, Rows::Total(1)) };
        if Simulator::start(again).await.is_ok() {
            return;
        }
    }
    panic!("port {port} is still taken");
}
