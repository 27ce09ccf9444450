//! `POST /services/oauth2/token`: four ways to sign in, and why each is refused. The parameters come as a form, or in the
//! query string of the URI with no form behind it.
//!
//! - JWT bearer (help.salesforce.com, `remoteaccess_oauth_jwt_flow`): RS256 alone; `iss` is the consumer key, `sub` the
//!   username (the older `prn` wins where both stand), `aud` one of the login hosts, `exp` in seconds, not past and at
//!   most three minutes ahead of Salesforce's clock.
//! - Password (help, `remoteaccess_oauth_username_password_flow`): client id and secret, username, password with or
//!   without the security token. Where the flow is blocked the answer is that of a wrong password.
//! - Client credentials (help, `remoteaccess_oauth_client_credentials_flow`): client id and secret in the form or as Basic
//!   authorization; at My Domain alone; signs in as the user that the app names.
//! - Refresh token (help, `remoteaccess_oauth_refresh_token_flow`): client id and secret, and a token that an earlier
//!   authorization gave, which is not rotated.
//!
//! No answer has `expires_in` or a refresh token. Errors: help, `remoteaccess_oauth_flow_errors`; always with
//! `Cache-Control: no-store`. `format` or `Accept` asks for JSON, XML or a form.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use ring::hmac;
use serde_json::Value;

use super::answer::{Answer, xml_text};
use crate::org::Org;
use crate::settings::Obstacle;

/// Where the token endpoint is.
pub(crate) const PATH: &str = "/services/oauth2/token";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How far ahead of the org's clock `exp` may be, in milliseconds: three minutes, and half a second for clients that round
/// to the nearest second, as simple-salesforce does.
const MAX_LIFETIME: i64 = 180_500;

/// Why sign-in is refused: `error` and `error_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal(&'static str, &'static str);

const BAD_ASSERTION: Refusal = Refusal("invalid_grant", "invalid assertion");
const AUTHENTICATION_FAILURE: Refusal = Refusal("invalid_grant", "authentication failure");

/// The flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    JwtBearer,
    Password,
    ClientCredentials,
    RefreshToken,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
    Urlencoded,
}

/// Answers a request to the token endpoint.
pub(crate) fn token(org: &Org, request: &Parts, body: &[u8]) -> Answer {
    let form = Form { body, query: request.uri.query().unwrap_or(""), headers: &request.headers };
    let (status, fields) = match sign_in(org, &request.method, &form) {
        Ok((flow, user)) => (StatusCode::OK, granted(org, flow, &user)),
        Err(Refusal(error, description)) => {
            // RFC 6749 section 5.2: who tried to authenticate with a header is answered with one.
            let basic = error == "invalid_client" && form.basic().is_some();
            let status = if basic { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            (status, vec![("error", error.to_owned()), ("error_description", description.to_owned())])
        }
    };
    let answer = match form.format() {
        Format::Json => {
            let object: serde_json::Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            Answer::json(status, &object)
        }
        Format::Xml => {
            let inner: String =
                fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", xml_text(value))).collect();
            let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth>{inner}</OAuth>");
            Answer::new(status, "application/xml;charset=UTF-8", xml.into_bytes())
        }
        Format::Urlencoded => {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            Answer::new(status, "application/x-www-form-urlencoded;charset=UTF-8", text.into_bytes())
        }
    };
    let answer = answer.with(CACHE_CONTROL, "no-store");
    if status == StatusCode::UNAUTHORIZED { answer.with(WWW_AUTHENTICATE, "Basic") } else { answer }
}

fn granted(org: &Org, flow: Flow, user: &str) -> Vec<(&'static str, String)> {
    let now = org.clock().now();
    let issued_at = now.timestamp_millis().to_string();
    let id = org.identity_url(user);
    let mut fields = vec![("access_token", org.sessions.open(user, now))];
    match flow {
        Flow::JwtBearer => fields.push(("scope", "api id".to_owned())),
        Flow::Password | Flow::ClientCredentials | Flow::RefreshToken => {
            if flow == Flow::RefreshToken {
                fields.push(("scope", "refresh_token api id".to_owned()));
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, org.settings.client_secret.as_bytes());
            let signature = hmac::sign(&key, format!("{id}{issued_at}").as_bytes());
            fields.push(("signature", BASE64_STANDARD.encode(signature)));
        }
    }
    fields.extend([
        ("instance_url", org.base_url.clone()),
        ("id", id),
        ("token_type", "Bearer".to_owned()),
        ("issued_at", issued_at),
    ]);
    fields
}

/// The request's form and headers.
struct Form<'a> {
    body: &'a [u8],
    /// The parameters of the URI, which may be there instead of a form.
    query: &'a str,
    headers: &'a HeaderMap,
}

impl Form<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.body).chain(form_urlencoded::parse(self.query.as_bytes()));
        let (_, value) = { pairs }.find(|(key, value)| key == name && !value.is_empty())?;
        Some(value.into_owned())
    }

    fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Client id and secret of Basic authorization.
    fn basic(&self) -> Option<(String, String)> {
        let (scheme, encoded) = self.header(AUTHORIZATION).split_once(' ')?;
        let decoded =
            BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
        let text = String::from_utf8(decoded).ok()?;
        text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
    }

    fn format(&self) -> Format {
        let accept = self.header(ACCEPT);
        match self.parameter("format").as_deref() {
            Some("json") => Format::Json,
            Some("xml") => Format::Xml,
            Some("urlencoded") => Format::Urlencoded,
            _ if accept.starts_with("application/xml") => Format::Xml,
            _ if accept.starts_with("application/x-www-form-urlencoded") => Format::Urlencoded,
            _ => Format::Json,
        }
    }
}

/// Who may sign in, and by which flow.
fn sign_in(org: &Org, method: &Method, form: &Form<'_>) -> Result<(Flow, String), Refusal> {
    if method != Method::POST {
        return Err(Refusal("invalid_request", "must use HTTP POST"));
    }
    let in_uri = form.body.is_empty() && form.parameter("grant_type").is_some();
    if !in_uri
        && !form.header(CONTENT_TYPE).to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
    {
        return Err(Refusal("invalid_request", "the request body must be form-encoded"));
    }
    match form.parameter("grant_type").as_deref() {
        None => Err(Refusal("invalid_request", "grant_type is missing")),
        Some(JWT_BEARER) => {
            let assertion =
                form.parameter("assertion").ok_or(Refusal("invalid_request", "assertion is missing"))?;
            check_assertion(org, &assertion)?;
            obstacles(org, Flow::JwtBearer)?;
            Ok((Flow::JwtBearer, org.settings.username.clone()))
        }
        Some("password") => {
            check_client(org, form)?;
            obstacles(org, Flow::Password)?;
            check_password(org, form)?;
            Ok((Flow::Password, org.settings.username.clone()))
        }
        Some("client_credentials") => {
            if blocked(org, Obstacle::NotMyDomain) {
                return Err(Refusal("invalid_grant", "request not supported on this domain"));
            }
            check_client(org, form)?;
            if blocked(org, Obstacle::NoRunAsUser) {
                return Err(Refusal("invalid_grant", "no client credentials user enabled"));
            }
            obstacles(org, Flow::ClientCredentials)?;
            Ok((Flow::ClientCredentials, org.settings.run_as_user.clone()))
        }
        Some("refresh_token") => {
            check_client(org, form)?;
            obstacles(org, Flow::RefreshToken)?;
            if form.parameter("refresh_token").as_deref() != Some(&org.settings.refresh_token) {
                return Err(Refusal("invalid_grant", "expired access/refresh token"));
            }
            Ok((Flow::RefreshToken, org.settings.username.clone()))
        }
        Some(_) => Err(Refusal("unsupported_grant_type", "grant type not supported")),
    }
}

fn blocked(org: &Org, obstacle: Obstacle) -> bool {
    org.settings.obstacles.contains(&obstacle)
}

/// What keeps this user out whoever asks; the password flow does not tell a locked user from a wrong password.
fn obstacles(org: &Org, flow: Flow) -> Result<(), Refusal> {
    let refusal = |obstacle: &Obstacle| match (obstacle, flow) {
        (Obstacle::PasswordFlowBlocked | Obstacle::UserLocked, Flow::Password) => {
            Some(AUTHENTICATION_FAILURE)
        }
        (Obstacle::UserLocked, _) => Some(Refusal("invalid_grant", "user account is locked")),
        (Obstacle::UserInactive, _) => Some(Refusal("invalid_grant", "inactive user")),
        (Obstacle::OrgInactive, _) => Some(Refusal("invalid_grant", "organization is not active")),
        (Obstacle::UserNotApproved, _) => {
            Some(Refusal("invalid_grant", "user hasn't approved this consumer"))
        }
        (Obstacle::NotAdminApproved, _) => {
            Some(Refusal("invalid_app_access", "user is not admin approved to access this app"))
        }
        (Obstacle::IpRestricted, _) => Some(Refusal("invalid_grant", "ip restricted or invalid login hours")),
        (Obstacle::AppNotInstalled, _) => {
            Some(Refusal("app_not_found", "External client app is not installed in this org"))
        }
        (Obstacle::AppBlocked, _) => Some(Refusal("OAUTH_APP_BLOCKED", "this app is blocked by admin")),
        (Obstacle::LoginRateExceeded, _) => Some(Refusal("rate_limit_exceeded", "login rate exceeded")),
        (
            Obstacle::PasswordFlowBlocked
            | Obstacle::SecurityTokenRequired
            | Obstacle::NotMyDomain
            | Obstacle::NoRunAsUser,
            _,
        ) => None,
    };
    org.settings.obstacles.iter().find_map(refusal).map_or(Ok(()), Err)
}

/// Client id and secret, of the form or of Basic authorization.
fn check_client(org: &Org, form: &Form<'_>) -> Result<(), Refusal> {
    let basic = form.basic();
    let (id, secret) = match basic {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (form.parameter("client_id"), form.parameter("client_secret")),
    };
    let id = id.ok_or(Refusal("invalid_request", "client_id is missing"))?;
    if id != org.settings.client_id {
        return Err(Refusal("invalid_client_id", "client identifier invalid"));
    }
    match secret {
        Some(secret) if secret == org.settings.client_secret => Ok(()),
        _ => Err(Refusal("invalid_client", "invalid client credentials")),
    }
}

fn check_password(org: &Org, form: &Form<'_>) -> Result<(), Refusal> {
    let (settings, given) = (&org.settings, form.parameter("password").unwrap_or_default());
    let user = form.parameter("username").unwrap_or_default();
    let with_token = given == format!("{}{}", settings.password, settings.security_token);
    let bare = given == settings.password && !blocked(org, Obstacle::SecurityTokenRequired);
    if user.eq_ignore_ascii_case(&settings.username) && (with_token || bare) {
        Ok(())
    } else {
        Err(AUTHENTICATION_FAILURE)
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
    let expiry = expiry(&claims).ok_or(BAD_ASSERTION)?;
    let left = expiry.saturating_mul(1_000).saturating_sub(org.clock().now().timestamp_millis());
    if !(-999..=MAX_LIFETIME).contains(&left) {
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
