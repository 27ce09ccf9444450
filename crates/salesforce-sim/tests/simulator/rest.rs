//! The resources around queries and files: versions, limits, quota, and what the edge refuses.

use chrono::TimeDelta;
use http::{Method, StatusCode};
use salesforce_sim::{OrgSettings, Rows, Simulator};

use crate::client::{Client, QUERY, call, encode, settings};

async fn org() -> Simulator {
    Simulator::start(settings(1, Rows::Total(1))).await.unwrap()
}

#[tokio::test]
async fn versions_come_as_xml_for_who_asks_by_accept_or_by_suffix() {
    let simulator = org().await;
    for (path, headers) in
        [("/services/data", vec![("accept", "application/xml")]), ("/services/data.xml", vec![])]
    {
        let answer = call(simulator.url(), Method::GET, path, &headers, "").await;
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert!(answer.header("content-type").starts_with("application/xml"));
        assert!(text.contains("<Versions><Version><label>Summer '19</label>"), "{text}");
        assert!(text.contains("<url>/services/data/v67.0</url><version>67.0</version></Version></Versions>"));
    }
}

#[tokio::test]
async fn a_version_lists_its_resources() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for path in ["/services/data/v65.0", "/services/data/v65.0/"] {
        assert_eq!(client.get(path).await.json()["query"], "/services/data/v65.0/query");
    }
}

#[tokio::test]
async fn the_limits_resource_and_the_header_agree() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    client.query("SELECT Id FROM EventLogFile").await;
    let answer = client.get("/services/data/v65.0/limits").await;
    let daily = &answer.json()["DailyApiRequests"];
    assert_eq!((&daily["Max"], &daily["Remaining"]), (&100_000.into(), &99_998.into()));
    assert_eq!(answer.header("sforce-limit-info"), "api-usage=2/100000");
}

#[tokio::test]
async fn a_quota_that_is_used_up_refuses_every_call_until_a_day_has_passed() {
    let small = OrgSettings { daily_api_limit: 2, ..settings(1, Rows::Total(1)) };
    let simulator = Simulator::start(small).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    for expected in [200, 200, 403, 403] {
        let answer = client.query("SELECT Id FROM EventLogFile").await;
        assert_eq!(answer.status.as_u16(), expected);
        if expected == 403 {
            assert_eq!(answer.error().1, "REQUEST_LIMIT_EXCEEDED");
            assert_eq!(answer.json()[0]["message"], "TotalRequests Limit exceeded.");
            assert_eq!(answer.header("sforce-limit-info"), "api-usage=2/2");
        }
    }
    simulator.org().clock().advance(TimeDelta::days(1));
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.query("SELECT Id FROM EventLogFile").await.status, StatusCode::OK);
    simulator.org().exhaust_quota();
    assert_eq!(client.query("SELECT Id FROM EventLogFile").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_uri_past_16384_bytes_gets_414_and_headers_past_it_431_in_html() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let long = |total: usize| format!("{QUERY}{}", "x".repeat(total - QUERY.len()));
    for (path, padding, status) in
        [(long(16_385), 0, 414), (long(16_384), 0, 431), (long(100), 16_384, 431), (long(15_000), 0, 400)]
    {
        let padding = "p".repeat(padding);
        let answer = client.get_with(&path, &[("x-padding", &padding)]).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("content-type").starts_with("text/html"), status != 400);
    }
}

#[tokio::test]
async fn an_error_comes_as_xml_for_a_client_that_accepts_that() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    let path = format!("{QUERY}{}", encode("SELECT Id FROM Nope<>"));
    let answer = client.get_with(&path, &[("accept", "application/xml")]).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("<Errors><Error><errorCode>MALFORMED_QUERY</errorCode><message>"), "{text}");
    assert!(text.contains("&lt;"), "{text}");
}

#[tokio::test]
async fn the_date_of_an_answer_is_that_of_an_org_whose_clock_is_skewed() {
    let skewed = OrgSettings {
        clock_fixed_at: None,
        clock_skew: TimeDelta::minutes(-10),
        ..settings(1, Rows::Total(1))
    };
    let simulator = Simulator::start(skewed).await.unwrap();
    let before = chrono::Utc::now();
    let answer = call(simulator.url(), Method::GET, "/services/data", &[], "").await;
    let date = chrono::DateTime::parse_from_rfc2822(answer.header("date")).unwrap().to_utc();
    let off = date - before;
    assert!((-601..=-580).contains(&off.num_seconds()), "{off}");
}

#[tokio::test]
async fn the_oldest_and_the_newest_version_are_served() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    for version in [46, 67] {
        let path = format!(
            "/services/data/v{version}.0/query?q={}",
            encode("SELECT Id, LogFile FROM EventLogFile WHERE Sequence > 0")
        );
        let record = &client.get(&path).await.json()["records"][0];
        assert!(record["LogFile"].as_str().unwrap().starts_with(&format!("/services/data/v{version}.0/")));
    }
}
