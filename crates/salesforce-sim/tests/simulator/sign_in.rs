//! Sign-in and sessions.

use http::{Method, StatusCode};
use salesforce_sim::{OrgSettings, Rows, Simulator};
use serde_json::{Value, json};

use crate::client::{
    Answer, Client, QUERY, assertion, assertion_with, call, claims, settings, token, token_form,
};

async fn org() -> Simulator {
    Simulator::start(settings(1, Rows::Total(1))).await.unwrap()
}

fn refusal(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("cache-control"), "no-store");
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (text("error"), text("error_description"))
}

/// The refusal that good claims with one changed get.
async fn refused_with(name: &str, value: Value) -> (String, String) {
    let simulator = org().await;
    let mut claims = claims(&simulator);
    claims[name] = value;
    refusal(&token(&simulator, &assertion(&claims)).await)
}

fn pair(error: &str, description: &str) -> (String, String) {
    (error.to_owned(), description.to_owned())
}

#[tokio::test]
async fn a_good_assertion_gets_a_token_with_the_fields_that_salesforce_sends() {
    let simulator = org().await;
    let answer = token(&simulator, &assertion(&claims(&simulator))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let json = answer.json();
    assert!(json["access_token"].as_str().unwrap().starts_with("00D"));
    assert_eq!(json["access_token"].as_str().unwrap().find('!'), Some(15));
    assert_eq!(json["instance_url"], simulator.url());
    assert!(json["id"].as_str().unwrap().starts_with("https://login.salesforce.com/id/00D"));
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["issued_at"], simulator.org().clock().now().timestamp_millis().to_string());
    assert_eq!(json["scope"], "api id");
    assert!(json.get("expires_in").is_none() && json.get("refresh_token").is_none());
    assert_eq!(simulator.org().tokens_issued(), 1);
}

#[tokio::test]
async fn an_assertion_for_another_app_is_refused() {
    assert_eq!(
        refused_with("iss", json!("other")).await,
        pair("invalid_client_id", "client identifier invalid")
    );
}

#[tokio::test]
async fn an_assertion_for_another_audience_is_refused() {
    let refused = refused_with("aud", json!("https://acme.my.salesforce.com")).await;
    assert_eq!(refused, pair("invalid_grant", "audience is invalid"));
}

#[tokio::test]
async fn an_assertion_for_a_user_who_did_not_approve_is_refused() {
    let refused = refused_with("sub", json!("other@example.com")).await;
    assert_eq!(refused, pair("invalid_grant", "user hasn't approved this consumer"));
}

#[tokio::test]
async fn prn_wins_over_sub() {
    let refused = refused_with("prn", json!("other@example.com")).await;
    assert_eq!(refused, pair("invalid_grant", "user hasn't approved this consumer"));
    let simulator = org().await;
    let mut claims = claims(&simulator);
    claims["prn"] = claims["sub"].clone();
    claims["sub"] = json!("other@example.com");
    assert_eq!(token(&simulator, &assertion(&claims)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_assertion_that_expires_too_far_ahead_is_refused() {
    let simulator = org().await;
    let now = simulator.org().clock().now().timestamp();
    for (exp, accepted) in [(180, true), (181, false), (0, true), (-1, false)] {
        let mut claims = claims(&simulator);
        claims["exp"] = json!(now + exp);
        let answer = token(&simulator, &assertion(&claims)).await;
        assert_eq!(answer.status == StatusCode::OK, accepted, "exp = now + {exp}");
        if !accepted {
            assert_eq!(refusal(&answer).0, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn an_expiry_that_was_rounded_to_the_nearest_second_is_taken() {
    for (millis, accepted) in [(400, false), (600, true)] {
        let mut rounding = settings(1, Rows::Total(1));
        rounding.clock_skew = chrono::TimeDelta::milliseconds(millis);
        let simulator = Simulator::start(rounding).await.unwrap();
        let mut claims = claims(&simulator);
        claims["exp"] = json!(simulator.org().clock().now().timestamp() + 181);
        let answer = token(&simulator, &assertion(&claims)).await;
        assert_eq!(answer.status == StatusCode::OK, accepted, "{millis} ms into the second");
    }
}

#[tokio::test]
async fn an_expiry_in_a_string_is_taken() {
    let simulator = org().await;
    let mut claims = claims(&simulator);
    claims["exp"] = json!(claims["exp"].to_string());
    assert_eq!(token(&simulator, &assertion(&claims)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn expiry_is_judged_by_the_orgs_clock_and_not_by_the_hosts() {
    let skewed = OrgSettings { clock_skew: chrono::TimeDelta::minutes(-10), ..settings(1, Rows::Total(1)) };
    let simulator = Simulator::start(OrgSettings { clock_fixed_at: None, ..skewed }).await.unwrap();
    let mut claims = claims(&simulator);
    assert_eq!(token(&simulator, &assertion(&claims)).await.status, StatusCode::OK);
    claims["exp"] = json!(chrono::Utc::now().timestamp() + 60);
    assert_eq!(refusal(&token(&simulator, &assertion(&claims)).await).0, "invalid_grant");
}

#[tokio::test]
async fn the_simulators_own_url_is_an_accepted_audience() {
    let simulator = org().await;
    let mut claims = claims(&simulator);
    claims["aud"] = json!(simulator.url());
    assert_eq!(token(&simulator, &assertion(&claims)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_changed_assertion_is_refused() {
    let simulator = org().await;
    let good = assertion(&claims(&simulator));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut other = claims(&simulator);
    other["jti"] = json!("1");
    let swapped = assertion(&other);
    let claims = swapped.split('.').nth(1).unwrap();
    let forged = format!("{header}.{claims}.{signature}");
    for bad in [forged.as_str(), signed, "", "a.b", "a.b.c", "...."] {
        if bad.is_empty() {
            continue;
        }
        let refused = refusal(&token(&simulator, bad).await);
        assert_eq!(refused, pair("invalid_grant", "invalid assertion"), "{bad}");
    }
}

#[tokio::test]
async fn an_algorithm_other_than_rs256_is_refused() {
    let simulator = org().await;
    for algorithm in ["none", "HS256", "RS512"] {
        let assertion = assertion_with(&json!({ "alg": algorithm }), &claims(&simulator));
        assert_eq!(refusal(&token(&simulator, &assertion).await), pair("invalid_grant", "invalid assertion"));
    }
}

#[tokio::test]
async fn an_app_without_a_registered_key_refuses_every_assertion() {
    let no_key = OrgSettings { public_key: None, ..settings(1, Rows::Total(1)) };
    let simulator = Simulator::start(no_key).await.unwrap();
    let refused = refusal(&token(&simulator, &assertion(&claims(&simulator))).await);
    assert_eq!(refused, pair("invalid_grant", "invalid assertion"));
}

#[tokio::test]
async fn a_request_that_is_no_grant_is_refused_by_its_kind() {
    let simulator = org().await;
    let form = async |form: &str| refusal(&token_form(&simulator, form).await);
    assert_eq!(
        form("grant_type=authorization_code&code=a").await,
        pair("unsupported_grant_type", "grant type not supported")
    );
    assert_eq!(form("").await.0, "invalid_request");
    assert_eq!(form("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer").await.0, "invalid_request");
    let got = call(simulator.url(), Method::GET, "/services/oauth2/token", &[], "").await;
    assert_eq!(refusal(&got), pair("invalid_request", "must use HTTP POST"));
    let json = call(simulator.url(), Method::POST, "/services/oauth2/token", &[], "{}").await;
    assert_eq!(refusal(&json).0, "invalid_request");
}

#[tokio::test]
async fn a_call_without_a_live_session_is_refused() {
    let simulator = org().await;
    let get = async |header: Option<&str>| {
        let headers: Vec<_> = header.into_iter().map(|value| ("authorization", value)).collect();
        call(simulator.url(), Method::GET, QUERY, &headers, "").await.error()
    };
    assert_eq!(get(None).await, (401, "INVALID_AUTH_HEADER".to_owned()));
    assert_eq!(get(Some("Basic abc")).await, (401, "INVALID_AUTH_HEADER".to_owned()));
    assert_eq!(get(Some("Bearer ")).await, (401, "INVALID_AUTH_HEADER".to_owned()));
    assert_eq!(get(Some("Bearer 00D!x")).await, (401, "INVALID_SESSION_ID".to_owned()));
}

#[tokio::test]
async fn expired_sessions_are_refused_in_the_words_of_salesforce() {
    let simulator = org().await;
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.query("SELECT Id FROM EventLogFile").await.status, StatusCode::OK);
    assert_eq!(simulator.org().expire_sessions(), 1);
    let answer = client.query("SELECT Id FROM EventLogFile").await;
    assert_eq!(answer.error(), (401, "INVALID_SESSION_ID".to_owned()));
    assert_eq!(answer.json()[0]["message"], "Session expired or invalid");
    let again = Client::sign_in(&simulator).await;
    assert_ne!(again.token, client.token);
    assert_eq!(again.query("SELECT Id FROM EventLogFile").await.status, StatusCode::OK);
    assert_eq!(simulator.org().tokens_issued(), 2);
}
