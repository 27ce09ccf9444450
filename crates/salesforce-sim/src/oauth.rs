//! `POST /services/oauth2/token`: the JWT bearer flow.
//!
//! Rules of the assertion: help.salesforce.com, `remoteaccess_oauth_jwt_flow`. RS256 alone; `iss` is the consumer key,
//! `sub` the username (the older `prn` wins where both stand), `aud` one of the login hosts, `exp` in seconds, not past and
//! at most three minutes ahead of Salesforce's clock. There is neither `expires_in` nor a refresh token in the answer.
//! Errors: help.salesforce.com, `remoteaccess_oauth_flow_errors`; always with `Cache-Control: no-store`.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::org::Org;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How far ahead of the org's clock `exp` may be, in seconds.
const MAX_LIFETIME: i64 = 180;

/// Why sign-in is refused: `error` and `error_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal(&'static str, &'static str);

const BAD_ASSERTION: Refusal = Refusal("invalid_grant", "invalid assertion");

/// Answers a request to the token endpoint.
pub(crate) fn token(org: &Org, method: &Method, headers: &HeaderMap, body: &[u8]) -> Answer {
    let answer = match sign_in(org, method, headers, body) {
        Ok(()) => Answer::json(
            StatusCode::OK,
            &json!({
                "access_token": org.open_session(),
                "scope": "api id",
                "instance_url": org.base_url,
                "id": org.identity_url(),
                "token_type": "Bearer",
                "issued_at": org.clock().now().timestamp_millis().to_string(),
            }),
        ),
        Err(Refusal(error, description)) => Answer::json(
            StatusCode::BAD_REQUEST,
            &json!({ "error": error, "error_description": description }),
        ),
    };
    answer.with(CACHE_CONTROL, "no-store")
}

fn sign_in(org: &Org, method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    if method != Method::POST {
        return Err(Refusal("invalid_request", "must use HTTP POST"));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !content_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(Refusal("invalid_request", "the request body must be form-encoded"));
    }
    let parameter = |name: &str| {
        form_urlencoded::parse(body)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|v| !v.is_empty())
    };
    match parameter("grant_type").as_deref() {
        None => Err(Refusal("invalid_request", "grant_type is missing")),
        Some(JWT_BEARER) => match parameter("assertion") {
            None => Err(Refusal("invalid_request", "assertion is missing")),
            Some(assertion) => check_assertion(org, &assertion),
        },
        Some(_) => Err(Refusal("unsupported_grant_type", "grant type not supported")),
    }
}

fn check_assertion(org: &Org, assertion: &str) -> Result<(), Refusal> {
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let object = |part: &str| decode(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (signed, signature) = assertion.rsplit_once('.').ok_or(BAD_ASSERTION)?;
    let (header, claims) = signed.split_once('.').ok_or(BAD_ASSERTION)?;
    let (header, claims) = (object(header).ok_or(BAD_ASSERTION)?, object(claims).ok_or(BAD_ASSERTION)?);
    let signature = decode(signature).ok_or(BAD_ASSERTION)?;
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);

    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(BAD_ASSERTION);
    }
    if claim("iss") != Some(&org.settings.client_id) {
        return Err(Refusal("invalid_client_id", "client identifier invalid"));
    }
    if !org.settings.public_key.as_ref().is_some_and(|key| key.verifies(signed.as_bytes(), &signature)) {
        return Err(BAD_ASSERTION);
    }
    let audience = claim("aud").unwrap_or("").trim_end_matches('/');
    if audience != org.base_url && !org.settings.audiences.iter().any(|accepted| accepted == audience) {
        return Err(Refusal("invalid_grant", "audience is invalid"));
    }
    let left = expiry(&claims).ok_or(BAD_ASSERTION)?.saturating_sub(org.clock().now().timestamp());
    if !(0..=MAX_LIFETIME).contains(&left) {
        return Err(BAD_ASSERTION);
    }
    let user = claim("prn").or_else(|| claim("sub")).ok_or(BAD_ASSERTION)?;
    if !user.eq_ignore_ascii_case(&org.settings.username) {
        return Err(Refusal("invalid_grant", "user hasn't approved this consumer"));
    }
    Ok(())
}

/// `exp`: a number, or a number in a string, which Salesforce takes too.
fn expiry(claims: &Value) -> Option<i64> {
    match claims.get("exp")? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
