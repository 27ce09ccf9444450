//! The password and the client-credentials flow, and what stands in the way of signing in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use salesforce_sim::{Fault, FaultAction, Obstacle, OrgSettings, Rows, Simulator};

use crate::client::{Answer, QUERY, assertion, call, claims, encode, settings, token, token_form};

async fn org(obstacles: &[Obstacle]) -> Simulator {
    let settings = OrgSettings { obstacles: obstacles.to_vec(), ..settings(1, Rows::Total(1)) };
    Simulator::start(settings).await.unwrap()
}

fn password_form(password: &str) -> String {
    let org = OrgSettings::default();
    let [id, secret, user, password] =
        [&org.client_id, &org.client_secret, &org.username, password].map(encode);
    format!("grant_type=password&client_id={id}&client_secret={secret}&username={user}&password={password}")
}

fn client_form(secret: &str) -> String {
    let id = encode(&OrgSettings::default().client_id);
    format!("grant_type=client_credentials&client_id={id}&client_secret={}", encode(secret))
}

fn refusal(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (answer.status.as_u16(), text("error"), text("error_description"))
}

fn refused(status: u16, error: &str, description: &str) -> (u16, String, String) {
    (status, error.to_owned(), description.to_owned())
}

#[tokio::test]
async fn a_password_signs_in_with_and_without_its_security_token() {
    let simulator = org(&[]).await;
    let defaults = OrgSettings::default();
    for password in [defaults.password.clone(), format!("{}{}", defaults.password, defaults.security_token)] {
        let answer = token_form(&simulator, &password_form(&password)).await;
        assert_eq!(answer.status, StatusCode::OK);
        let json = answer.json();
        assert!(json["signature"].is_string() && json.get("scope").is_none() && json["id"].is_string());
        let bearer = format!("Bearer {}", json["access_token"].as_str().unwrap());
        let path = format!("{QUERY}{}", encode("SELECT Id FROM EventLogFile"));
        let used = call(simulator.url(), Method::GET, &path, &[("authorization", &bearer)], "").await;
        assert_eq!(used.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_wrong_password_user_client_or_secret_is_refused_by_its_kind() {
    let simulator = org(&[]).await;
    let good = password_form(&OrgSettings::default().password);
    for (form, error, description) in [
        (password_form("wrong"), "invalid_grant", "authentication failure"),
        (good.replace("username=collector", "username=other"), "invalid_grant", "authentication failure"),
        (good.replace("client_id=3", "client_id=4"), "invalid_client_id", "client identifier invalid"),
        (good.replace("secret=s", "secret=t"), "invalid_client", "invalid client credentials"),
    ] {
        assert_eq!(refusal(&token_form(&simulator, &form).await), refused(400, error, description), "{form}");
    }
}

#[tokio::test]
async fn a_bare_password_is_refused_where_the_security_token_is_required() {
    let simulator = org(&[Obstacle::SecurityTokenRequired]).await;
    let defaults = OrgSettings::default();
    let bare = token_form(&simulator, &password_form(&defaults.password)).await;
    assert_eq!(refusal(&bare), refused(400, "invalid_grant", "authentication failure"));
    let both = format!("{}{}", defaults.password, defaults.security_token);
    assert_eq!(token_form(&simulator, &password_form(&both)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_blocked_password_flow_answers_like_a_wrong_password_and_leaves_the_others_open() {
    let simulator = org(&[Obstacle::PasswordFlowBlocked]).await;
    let defaults = OrgSettings::default();
    let answer = token_form(&simulator, &password_form(&defaults.password)).await;
    assert_eq!(refusal(&answer), refused(400, "invalid_grant", "authentication failure"));
    assert_eq!(token(&simulator, &assertion(&claims(&simulator))).await.status, StatusCode::OK);
    assert_eq!(token_form(&simulator, &client_form(&defaults.client_secret)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn client_credentials_sign_in_from_the_form_and_from_basic_authorization() {
    let simulator = org(&[]).await;
    let defaults = OrgSettings::default();
    let answer = token_form(&simulator, &client_form(&defaults.client_secret)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json()["signature"].is_string());
    let basic = async |secret: &str| {
        let pair = BASE64_STANDARD.encode(format!("{}:{secret}", defaults.client_id));
        let headers = [
            ("authorization", format!("Basic {pair}")),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let form = "grant_type=client_credentials";
        call(simulator.url(), Method::POST, "/services/oauth2/token", &headers, form).await
    };
    assert_eq!(basic(&defaults.client_secret).await.status, StatusCode::OK);
    let wrong = basic("wrong").await;
    assert_eq!(refusal(&wrong), refused(401, "invalid_client", "invalid client credentials"));
    assert_eq!(wrong.header("www-authenticate"), "Basic");
}

#[tokio::test]
async fn client_credentials_are_refused_away_from_my_domain_and_without_a_run_as_user() {
    for (obstacle, description) in [
        (Obstacle::NotMyDomain, "request not supported on this domain"),
        (Obstacle::NoRunAsUser, "no client credentials user enabled"),
    ] {
        let simulator = org(&[obstacle]).await;
        let answer = token_form(&simulator, &client_form(&OrgSettings::default().client_secret)).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_grant", description));
        assert_eq!(token(&simulator, &assertion(&claims(&simulator))).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn each_obstacle_is_answered_with_its_row_of_the_error_table() {
    let secret = OrgSettings::default().client_secret;
    let password = OrgSettings::default().password;
    for (obstacle, error, description) in [
        (Obstacle::UserNotApproved, "invalid_grant", "user hasn't approved this consumer"),
        (Obstacle::NotAdminApproved, "invalid_app_access", "user is not admin approved to access this app"),
        (Obstacle::IpRestricted, "invalid_grant", "ip restricted or invalid login hours"),
        (Obstacle::UserLocked, "invalid_grant", "user account is locked"),
        (Obstacle::UserInactive, "invalid_grant", "inactive user"),
        (Obstacle::OrgInactive, "invalid_grant", "organization is not active"),
        (Obstacle::LoginRateExceeded, "rate_limit_exceeded", "login rate exceeded"),
    ] {
        let simulator = org(&[obstacle]).await;
        let expected = refused(400, error, description);
        assert_eq!(refusal(&token(&simulator, &assertion(&claims(&simulator))).await), expected);
        assert_eq!(refusal(&token_form(&simulator, &client_form(&secret)).await), expected);
        let by_password = refusal(&token_form(&simulator, &password_form(&password)).await);
        if obstacle == Obstacle::UserLocked {
            assert_eq!(by_password, refused(400, "invalid_grant", "authentication failure"));
        } else {
            assert_eq!(by_password, expected);
        }
    }
}

#[tokio::test]
async fn every_other_row_of_the_error_table_is_answered_by_plan() {
    let simulator = org(&[]).await;
    for (status, error, description) in [
        (400, "invalid_grant", "Audience validation failed"),
        (400, "invalid_grant", "Failed: : Couldn't validate jwt token."),
        (400, "invalid_grant", "expired authorization code"),
        (400, "invalid_grant", "expired access/refresh token"),
        (400, "invalid_grant", "ip restricted"),
        (400, "invalid_assertion_type", "specified assertion type is not supported"),
        (400, "invalid_assertion", "the assertion is invalid"),
        (400, "inactive_user", "user is inactive"),
        (400, "inactive_org", "organization is locked, closed, or suspended"),
        (400, "invalid_scope", "the requested scope is invalid, unknown, or malformed"),
        (400, "unsupported_response_type", "response type not supported"),
        (400, "redirect_uri_mismatch", "redirect_uri must match configuration"),
        (401, "unauthorized_client", "client not authorized to request an access token"),
        (400, "access_denied", "end-user denied authorization"),
        (400, "OAUTH_APPROVAL_ERROR_GENERIC", "app must be installed into org"),
        (400, "unknown_error", "retry your request"),
        (500, "server_error", "retry your request"),
    ] {
        let body = serde_json::json!({ "error": error, "error_description": description }).to_string();
        let action = FaultAction::answer(status, body);
        simulator.org().plan_fault(Fault { path_contains: "/oauth2/token".to_owned(), nth: 1, action });
        let answer = token(&simulator, &assertion(&claims(&simulator))).await;
        assert_eq!(refusal(&answer), refused(status, error, description));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(token(&simulator, &assertion(&claims(&simulator))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_answer_comes_as_json_xml_or_a_form_as_format_or_accept_asks() {
    let simulator = org(&[]).await;
    let good = client_form(&OrgSettings::default().client_secret);
    let accepting = async |form: &str, accept: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", accept)];
        let answer = call(simulator.url(), Method::POST, "/services/oauth2/token", &headers, form).await;
        (answer.header("content-type").to_owned(), String::from_utf8(answer.body).unwrap())
    };
    for (form, accept, content_type, begin) in [
        (good.clone(), "*/*", "application/json", "{"),
        (
            good.clone(),
            "application/xml",
            "application/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><access_token>00D",
        ),
        (format!("{good}&format=xml"), "application/json", "application/xml", "<?xml"),
        (
            good.clone(),
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded",
            "access_token=00D",
        ),
        (format!("{good}&format=urlencoded"), "*/*", "application/x-www-form-urlencoded", "access_token=00D"),
        (
            client_form("x") + "&format=xml",
            "*/*",
            "application/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><error>invalid_client</error>",
        ),
    ] {
        let (found, body) = accepting(&form, accept).await;
        assert!(
            found.starts_with(content_type) && body.starts_with(begin),
            "{form} {accept}: {found} {body}"
        );
    }
}
