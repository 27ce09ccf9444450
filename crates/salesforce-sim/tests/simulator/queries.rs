//! The REST API and SOQL.

use http::{Method, StatusCode};
use salesforce_sim::{Fault, FaultAction, OrgSettings, Rows, Simulator};

use crate::client::{Client, QUERY, call, encode, settings};

async fn org() -> Simulator {
    Simulator::start(settings(48, Rows::Total(4_800))).await.unwrap()
}

#[tokio::test]
async fn versions_are_listed_without_a_session_and_without_counting() {
    let simulator = org().await;
    for path in ["/services/data", "/services/data/"] {
        let answer = call(simulator.url(), Method::GET, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()[21]["url"], "/services/data/v67.0");
        assert_eq!(answer.header("sforce-limit-info"), "");
    }
    assert_eq!(simulator.org().api_calls(), 0);
}

#[tokio::test]
async fn every_call_with_a_session_states_the_api_usage_and_the_orgs_time() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for (path, usage) in
        [(QUERY, "api-usage=1/100000"), ("/services/data/v65.0/nothing", "api-usage=2/100000")]
    {
        let answer = client.get(path).await;
        assert_eq!(answer.header("sforce-limit-info"), usage);
        assert_eq!(answer.header("date"), "Wed, 04 Mar 2026 18:20:00 GMT");
    }
    simulator.org().clock().advance(chrono::TimeDelta::seconds(90));
    assert_eq!(client.get(QUERY).await.header("date"), "Wed, 04 Mar 2026 18:21:30 GMT");
}

#[tokio::test]
async fn an_unknown_endpoint_or_version_is_not_found() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for path in [
        "/",
        "/services/data/v65.0/sobjects/Account",
        "/services/data/v45.0/query?q=x",
        "/services/data/v68.0/query",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.error(), (404, "NOT_FOUND".to_owned()), "{path}");
        assert_eq!(answer.json()[0]["message"], "The requested resource does not exist");
    }
}

#[tokio::test]
async fn a_method_other_than_get_is_not_allowed() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let bearer = format!("Bearer {}", client.token);
    let answer = call(simulator.url(), Method::POST, QUERY, &[("authorization", &bearer)], "").await;
    assert_eq!(answer.error(), (405, "METHOD_NOT_ALLOWED".to_owned()));
}

#[tokio::test]
async fn a_record_has_the_shape_that_salesforce_gives_it() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let statement = "SELECT Id, LogDate, EventType, LogFileLength, Sequence, Interval, LogFile, ApiVersion, IsDeleted \
                     FROM EventLogFile WHERE Interval = 'Hourly' ORDER BY LogDate DESC LIMIT 1";
    let body = client.query(statement).await;
    let text = String::from_utf8(body.decoded()).unwrap();
    assert!(
        text.starts_with(
            r#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"EventLogFile","url":"#
        )
    );
    let record = &body.json()["records"][0];
    let id = record["Id"].as_str().unwrap();
    assert!(id.starts_with("0AT") && id.len() == 18);
    assert_eq!(record["attributes"]["url"], format!("/services/data/v65.0/sobjects/EventLogFile/{id}"));
    assert_eq!(record["LogFile"], format!("/services/data/v65.0/sobjects/EventLogFile/{id}/LogFile"));
    assert_eq!(record["LogDate"], "2026-03-04T12:00:00.000+0000");
    assert_eq!((record["EventType"].as_str(), record["Interval"].as_str()), (Some("Login"), Some("Hourly")));
    assert_eq!(
        (record["Sequence"].to_string().as_str(), record["ApiVersion"].to_string().as_str()),
        ("1", "67.0")
    );
    assert!(record["LogFileLength"].to_string().ends_with(".0") && record["IsDeleted"] == false);
}

#[tokio::test]
async fn a_long_result_comes_in_pages_that_cover_it_exactly() {
    let simulator =
        Simulator::start(OrgSettings { page_size: 7, ..settings(48, Rows::PerHour(1)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let statement = "SELECT Id FROM EventLogFile WHERE Sequence >= 0 ORDER BY CreatedDate, Id";
    let (mut path, mut sizes, mut ids) = (format!("{QUERY}{}", encode(statement)), Vec::new(), Vec::new());
    loop {
        let page = client.get(&path).await.json();
        assert_eq!(page["totalSize"], 50);
        let records = page["records"].as_array().unwrap();
        sizes.push(records.len());
        ids.extend(records.iter().map(|record| record["Id"].as_str().unwrap().to_owned()));
        match page["nextRecordsUrl"].as_str() {
            Some(next) => {
                assert_eq!(page["done"], false);
                assert!(next.starts_with("/services/data/v65.0/query/0r8"), "{next}");
                assert!(next.ends_with(&format!("-{}", ids.len())), "{next}");
                path = next.to_owned();
            }
            None => {
                assert_eq!(page["done"], true);
                break;
            }
        }
    }
    assert_eq!(sizes, [7, 7, 7, 7, 7, 7, 7, 1]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn a_batch_size_is_honoured_between_200_and_2000() {
    let simulator = Simulator::start(settings(700, Rows::PerHour(1))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let path = format!("{QUERY}{}", encode("SELECT Id FROM EventLogFile WHERE Interval = 'Hourly'"));
    for (option, size) in [("batchSize=250", 250), ("batchSize=1", 200), ("batchSize=9999", 700), ("x", 700)]
    {
        let page = client.get_with(&path, &[("sforce-query-options", option)]).await.json();
        assert_eq!(page["records"].as_array().unwrap().len(), size, "{option}");
    }
}

#[tokio::test]
async fn an_unknown_or_old_locator_is_refused() {
    let simulator =
        Simulator::start(OrgSettings { page_size: 5, ..settings(48, Rows::PerHour(1)) }).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let page = client.query("SELECT Id FROM EventLogFile WHERE Interval = 'Hourly'").await.json();
    let next = page["nextRecordsUrl"].as_str().unwrap();
    assert_eq!(client.get(next).await.status, StatusCode::OK);
    let refused = (400, "INVALID_QUERY_LOCATOR".to_owned());
    for path in [&next.replace("-5", "-48"), &next.replace("-5", ""), "/services/data/v65.0/query/0r8x-2000"]
    {
        assert_eq!(client.get(path).await.error(), refused, "{path}");
    }
    simulator.org().clock().advance(chrono::TimeDelta::days(3));
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.get(next).await.error(), refused);
}

#[tokio::test]
async fn a_statement_that_salesforce_refuses_is_refused_with_its_code() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for (statement, status, code, words) in [
        ("SELECT Id FROM", 400, "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        (
            "SELECT Nope FROM EventLogFile",
            400,
            "INVALID_FIELD",
            "No such column 'Nope' on entity 'EventLogFile'",
        ),
        ("SELECT Id FROM Nope", 400, "INVALID_TYPE", "sObject type 'Nope' is not supported."),
        (
            "SELECT Id FROM EventLogFile WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            400,
            "INVALID_FIELD",
            "must be of type dateTime and should not be enclosed in quotes",
        ),
        ("SELECT format(Id) FROM EventLogFile", 501, "NOT_IMPLEMENTED_IN_SIMULATOR", "function format()"),
    ] {
        let answer = client.query(statement).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{statement}");
        let message = answer.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn an_org_without_hourly_files_does_not_know_the_field_interval() {
    let daily_only = OrgSettings { hourly_files: false, ..settings(48, Rows::Total(4_800)) };
    let simulator = Simulator::start(daily_only).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for statement in
        ["SELECT Interval FROM EventLogFile", "SELECT Id FROM EventLogFile WHERE Interval = 'Daily'"]
    {
        let answer = client.query(statement).await;
        assert_eq!(answer.error(), (400, "INVALID_FIELD".to_owned()));
        let message = answer.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("No such column 'Interval' on entity 'EventLogFile'"), "{message}");
    }
    assert_eq!(client.records("SELECT Id FROM EventLogFile WHERE Sequence = 0").await.len(), 2);
    assert_eq!(client.records("SELECT Id FROM EventLogFile WHERE Sequence != 0").await.len(), 0);
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_a_client_that_accepts_it() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let path = format!("{QUERY}{}", encode("SELECT Id FROM EventLogFile WHERE Interval = 'Hourly'"));
    let plain = client.get(&path).await;
    let gzip = client.get_with(&path, &[("accept-encoding", "gzip")]).await;
    assert_eq!((plain.header("content-encoding"), gzip.header("content-encoding")), ("", "gzip"));
    assert!(gzip.body.len() < plain.body.len() / 2);
    assert_eq!(gzip.json(), plain.json());
}

#[tokio::test]
async fn a_planned_answer_strikes_the_nth_matching_request_alone() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let body = r#"[{"message":"busy","errorCode":"SERVER_UNAVAILABLE"}]"#.to_owned();
    let action = FaultAction::answer(503, body);
    simulator.org().plan_fault(Fault { path_contains: "/query".to_owned(), nth: 2, action });
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(client.query("SELECT Id FROM EventLogFile").await.status.as_u16());
    }
    assert_eq!(seen, [200, 503, 200]);
}

#[tokio::test]
async fn a_planned_revocation_ends_the_session_before_the_request() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let fault = Fault { path_contains: "/query".to_owned(), nth: 1, action: FaultAction::RevokeSessions };
    simulator.org().plan_fault(fault);
    let refused = client.query("SELECT Id FROM EventLogFile").await;
    assert_eq!(refused.error(), (401, "INVALID_SESSION_ID".to_owned()));
}

#[tokio::test]
async fn the_request_log_tells_what_was_asked_and_what_was_sent() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let answer = client.query("SELECT Id FROM EventLogFile").await;
    let log = simulator.org().requests();
    log.wait_until(|records| records.len() == 2 && records[1].complete).await;
    let records = log.records();
    assert_eq!((records[0].method.as_str(), records[0].path.as_str()), ("POST", "/services/oauth2/token"));
    assert_eq!((records[1].status, records[1].body_bytes), (200, answer.body.len() as u64));
    log.wait_for_requests(1, "/query").await;
    log.wait_for_body_bytes(answer.body.len() as u64, "/query").await;
    assert_eq!(log.count("/query"), 1);
}
