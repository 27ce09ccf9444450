//! How sessions end.

use chrono::TimeDelta;
use http::StatusCode;
use salesforce_sim::{OrgSettings, Rows, SessionRefusal, Simulator};

use crate::client::{Client, settings};

const STATEMENT: &str = "SELECT Id FROM EventLogFile";

#[tokio::test]
async fn a_session_ends_when_it_was_not_used_for_its_life_time() {
    let short = OrgSettings { session_lifetime: TimeDelta::minutes(15), ..settings(1, Rows::Total(1)) };
    let simulator = Simulator::start(short).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for _ in 0..3 {
        simulator.org().clock().advance(TimeDelta::minutes(14));
        assert_eq!(client.query(STATEMENT).await.status, StatusCode::OK);
    }
    simulator.org().clock().advance(TimeDelta::minutes(15));
    assert_eq!(client.query(STATEMENT).await.error(), (401, "INVALID_SESSION_ID".to_owned()));
    assert_eq!(simulator.org().live_sessions(), 0);
}

#[tokio::test]
async fn a_sixth_token_revokes_the_oldest_and_no_other() {
    let simulator = Simulator::start(settings(1, Rows::Total(1))).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(Client::sign_in(&simulator).await);
    }
    let mut statuses = Vec::new();
    for client in &clients {
        statuses.push(client.query(STATEMENT).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 200, 200, 200, 200, 200]);
    assert_eq!(simulator.org().live_sessions(), 5);
}

#[tokio::test]
async fn an_org_can_refuse_a_live_session_in_the_two_texts_that_signing_in_does_not_cure() {
    for (refusal, text) in [
        (SessionRefusal::NotForRest, "This session is not valid for use with the REST API"),
        (SessionRefusal::NotAttachedToAgent, "Connected app is not attached to Agent"),
    ] {
        let refusing = OrgSettings { session_refusal: Some(refusal), ..settings(1, Rows::Total(1)) };
        let simulator = Simulator::start(refusing).await.unwrap();
        let answer = Client::sign_in(&simulator).await.query(STATEMENT).await;
        assert_eq!(answer.error(), (401, "INVALID_SESSION_ID".to_owned()));
        assert_eq!(answer.json()[0]["message"], text);
    }
}
