//! What Salesforce answers when it refuses, as sentences that a person can act on.
//!
//! Sources: "OAuth 2.0 Authorization Errors" of Salesforce Help for the token endpoint, "Status Codes and Error
//! Responses" of the REST API guide for everything else. The token endpoint answers `{"error", "error_description"}`,
//! the API a JSON array of `{"message", "errorCode"}`, and whatever stands in front of either may answer HTML.
//!
//! What is known stands in two tables, [`OAUTH`] and [`API`]; `docs/errors.md` is made of them, and a test sees to it that it
//! still is. Who must act is also what decides how long is waited: see `backoff`.

use crate::{
    problem::{Kind, Problem, quoted},
    quota::Usage,
    secret::Secret,
};
use serde_json::Value;

/// An answer with an error status.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `errorCode` or `error`, if the body had one.
    pub code: Option<String>,
    /// What the body said about it.
    pub message: String,
    /// The wait that `Retry-After` asks for, in milliseconds.
    pub retry_after_ms: Option<i64>,
    /// The host that a redirect leads to.
    pub redirect: Option<String>,
    /// How much of the allowance is used, where that is the reason.
    pub usage: Option<Usage>,
    /// Where Salesforce says that the org is and where it was looked for, if these differ.
    pub elsewhere: Option<(String, String)>,
}

impl Refusal {
    /// Reads the body of an answer with an error status. `secrets` are taken out of it, should it repeat them.
    pub fn read(status: u16, body: &[u8], secrets: &[&Secret]) -> Self {
        let clean = |text: &str| {
            let secrets = secrets.iter().map(|secret| secret.reveal()).filter(|secret| !secret.is_empty());
            secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |from: &Value, key: &str| from.get(key).and_then(Value::as_str).map(str::to_owned);
        let (code, message) = match &body {
            Value::Array(errors) => {
                let first = errors.first().unwrap_or(&Value::Null);
                let message = text(first, "message").unwrap_or_default();
                (text(first, "errorCode"), reason(&message).to_owned())
            }
            body => (text(body, "error"), text(body, "error_description").unwrap_or_default()),
        };
        let code = code.map(|code| quoted(&clean(&code), 80));
        let message = quoted(&clean(&message), 300);
        Self { status, code, message, retry_after_ms: None, redirect: None, usage: None, elsewhere: None }
    }

    /// Whether the error code is this one.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether Salesforce says that there is no such thing. A 404 without its code comes from something in between.
    pub fn is_gone(&self) -> bool {
        self.is("NOT_FOUND") || self.is("ENTITY_IS_DELETED")
    }

    /// Whether the org serves no more requests to anyone. That too many run at the same moment passes by itself.
    pub fn is_allowance_used_up(&self) -> bool {
        self.is("REQUEST_LIMIT_EXCEEDED") && !self.message.contains("Concurrent")
    }

    /// Whether a new sign-in may help. Two texts under the same code say that it will not.
    pub fn is_expired_session(&self) -> bool {
        (self.is("INVALID_SESSION_ID")
            || self.is("INVALID_AUTH_HEADER")
            || (self.status == 401 && self.code.is_none()))
            && !HOPELESS.iter().any(|text| self.message.contains(text))
    }

    fn said(&self) -> String {
        let status = self.status;
        match (&self.code, self.message.as_str(), &self.redirect) {
            (Some(code), "", _) => format!("{code} (HTTP {status})"),
            (Some(code), message, _) => format!("{code}: {message} (HTTP {status})"),
            (None, _, Some(host)) => format!("HTTP status {status}, a redirect to {host}"),
            (None, ..) => format!("HTTP status {status}"),
        }
    }

    fn waited(&self, problem: Problem) -> Problem {
        match self.retry_after_ms {
            Some(wait) => problem.retry_after_ms(wait),
            None => problem,
        }
    }
}

/// What is said of a query, without the query: where a query is refused, Salesforce repeats it, points into it, and
/// gives the reason on the line after the position.
fn reason(message: &str) -> &str {
    let after = message.split_once("ERROR at Row:").and_then(|(_, position)| position.split_once('\n'));
    after.map_or(message, |(_, reason)| reason)
}

/// One error that is known.
struct Row {
    /// Usual HTTP status.
    #[cfg_attr(not(test), expect(dead_code, reason = "for docs/errors.md; the code decides"))]
    status: u16,
    /// `error` or `errorCode`; with an asterisk, how it begins.
    code: &'static str,
    /// Part of the description. Compared in lower case, and empty = any.
    text: &'static str,
    kind: Kind,
    /// What it means; empty = the description says it.
    meaning: &'static str,
    /// What to do; empty = give the permissions that the object needs.
    hint: &'static str,
}

impl Row {
    fn fits(&self, refusal: &Refusal, message: &str) -> bool {
        let code = refusal.code.as_deref().unwrap_or_default();
        let same = self.code.strip_suffix('*').map_or(code == self.code, |start| code.starts_with(start));
        same && message.contains(self.text)
    }

    /// The first row that fits.
    fn find<'r>(rows: &'r [Self], refusal: &Refusal) -> Option<&'r Self> {
        let message = refusal.message.to_ascii_lowercase();
        rows.iter().find(|row| row.fits(refusal, &message))
    }
}

/// A row of [`OAUTH`].
const fn grant(error: &'static str, text: &'static str, meaning: &'static str, hint: &'static str) -> Row {
    Row { status: 400, code: error, text, kind: Kind::Auth, meaning, hint }
}

/// A row of [`API`].
const fn api(status: u16, code: &'static str, kind: Kind, hint: &'static str) -> Row {
    Row { status, code, text: "", kind, meaning: "", hint }
}

const WAIT: &str = "nothing to do but wait";
const BUG: &str = "if it stays, this is worth a bug report";
const QUERY: &str =
    "check fields, cursor_field and api_version; if they are right, this is worth a bug report";

const NOT_INSTALLED: (&str, &str) = (
    "the app is not installed in this org",
    "install or deploy the app in this org (in a sandbox again after each refresh), or ask for tokens at the My Domain address \
     of the org that has it: leave auth.token_url out, and check instance_url",
);
const NOT_APPROVED: (&str, &str) = (
    "the user is not approved for the app",
    "add a permission set or profile of the user to the app's policies",
);
const BLOCKED: (&str, &str) = (
    "the app is blocked in this org",
    "have an administrator unblock it in Setup, Connected Apps OAuth Usage",
);
const UNINSTALLED: (&str, &str) = (
    "the app is not installed in this org",
    "have an administrator install it in Setup, Connected Apps OAuth Usage, or give the user the permission 'Approve \
     Uninstalled Connected Apps'",
);
const NO_POLICY: (&str, &str) = (
    "the app has no OAuth policies in this org",
    "set and save them in Setup, External Client App Manager, or Manage Connected Apps",
);
const FLOW_OFF: (&str, &str) = (
    "the flow is switched off",
    "switch it on in the app's OAuth settings and in Setup, OAuth and OpenID Connect Settings, or use another auth.flow",
);
const DPOP: (&str, &str) = (
    "the app wants a proof of possession (DPoP)",
    "switch that off in the app's OAuth settings: this program has no such proof",
);
const DOWN: (&str, &str) = ("the sign-in service is not available", WAIT);
const TOO_OFTEN: (&str, &str) = (
    "the user signs in too often",
    "Salesforce allows 3,600 sign-ins per user and hour; look for other programs that use this user",
);

/// A row of [`OAUTH`] whose meaning and advice others share.
const fn same(error: &'static str, text: &'static str, (meaning, hint): (&'static str, &'static str)) -> Row {
    grant(error, text, meaning, hint)
}

/// The same for what passes by itself.
const fn passing(
    status: u16,
    code: &'static str,
    text: &'static str,
    kind: Kind,
    said: (&'static str, &'static str),
) -> Row {
    Row { status, code, text, kind, meaning: said.0, hint: said.1 }
}

/// Errors of the token endpoint. The first row that fits is the answer.
///
/// Sources: "OAuth 2.0 Authorization Errors" (Salesforce Help); the codes that Salesforce's own Mobile SDK knows of the
/// endpoint (`OAuthErrorCode` in SalesforceMobileSDK-Android, 2026); forcedotcom/cli 3482 and dust-tt/dust 26727
/// (`app_not_found`); "Prepare for Connected App Usage Restrictions Change" (Salesforce Help 005132365: apps that are not installed);
/// Microsoft's Copilot for Sales pages (`OAUTH_APP_BLOCKED`, `OAUTH_APP_ACCESS_DENIED`). Where a text comes under several
/// codes, the code is an asterisk.
const OAUTH: &[Row] = &[
    same("*", "not installed in this org", NOT_INSTALLED),
    same("app_not_found", "", NOT_INSTALLED),
    same("OAUTH_EC_APP_NOT_FOUND", "", NOT_INSTALLED),
    same("*", "must be installed into org", UNINSTALLED),
    same("OAUTH_APPROVAL_ERROR_GENERIC", "", UNINSTALLED),
    same("*", "blocked by admin", BLOCKED),
    same("OAUTH_APP_BLOCKED", "", BLOCKED),
    same("app_blocked", "", BLOCKED),
    same("fail_close_app_blocked", "", BLOCKED),
    same("*", "not admin approved", NOT_APPROVED),
    same("OAUTH_APP_ACCESS_DENIED", "", NOT_APPROVED),
    same("OAUTH_AUTHORIZATION_BLOCKED", "", NOT_APPROVED),
    same("ecapp_policy_not_found", "", NO_POLICY),
    same("oauth_policy_not_found", "", NO_POLICY),
    same("oauth_flow_disabled", "", FLOW_OFF),
    same("*", "flow disabled", FLOW_OFF),
    same("*", "flow is disabled", FLOW_OFF),
    same("*", "flow not enabled", FLOW_OFF),
    same("*", "flow is not enabled", FLOW_OFF),
    same("invalid_dpop_proof", "", DPOP),
    same("use_dpop_nonce", "", DPOP),
    grant(
        "INVALID_SSO_GATEWAY_URL",
        "",
        "the user signs in by single sign-on, and the org does not check the password itself",
        "use jwt-bearer, or a user without the permission 'Is Single Sign-On Enabled'",
    ),
    grant(
        "invalid_session_level",
        "",
        "the app or the user's profile wants a session of high assurance, which no program gets",
        "relax the session security level for this user or app in Setup",
    ),
    passing(400, "*", "rate exceeded", Kind::RateLimited, TOO_OFTEN),
    passing(400, "*", "logins exceeded", Kind::RateLimited, TOO_OFTEN),
    passing(503, "service_unavailable", "", Kind::Transient, DOWN),
    passing(503, "system_down", "", Kind::Transient, DOWN),
    passing(503, "temporarily_unavailable", "", Kind::Transient, DOWN),
    grant(
        "invalid_grant",
        "hasn't approved this consumer",
        "the user is not pre-authorised for the app",
        "in the app's policies set Permitted Users to 'Admin approved users are pre-authorized' and add a permission set \
         or profile of the user",
    ),
    grant(
        "invalid_grant",
        "audience",
        "the audience of the assertion is wrong",
        "set auth.audience to https://login.salesforce.com, or to https://test.salesforce.com for a sandbox or scratch org; \
         some orgs want their My Domain address",
    ),
    grant(
        "invalid_grant",
        "assertion",
        "the assertion is not accepted",
        "the key must be the one whose certificate is uploaded to the app, and the host's clock must be right",
    ),
    grant(
        "invalid_grant",
        "jwt",
        "the signature of the assertion does not fit",
        "the key must be the one whose certificate is uploaded to the app",
    ),
    grant(
        "invalid_grant",
        "ip restricted",
        "the user may not sign in from this address or at this hour",
        "add this host's address to the profile's login IP ranges, or relax IP restrictions in the app's policies",
    ),
    grant(
        "invalid_grant",
        "login hours",
        "the user may not sign in at this hour",
        "widen the login hours of the user's profile",
    ),
    grant("invalid_grant", "locked", "the user is locked", "unlock the user in Setup, Users"),
    grant("invalid_grant", "inactive user", "the user is not active", "activate the user in Setup, Users"),
    grant(
        "invalid_grant",
        "organization",
        "the org is not active",
        "check the subscription, or the address if this is a sandbox that was deleted",
    ),
    grant(
        "invalid_grant",
        "not supported on this domain",
        "this host does not sign in this way",
        "set auth.token_url to the My Domain address of the org",
    ),
    grant(
        "invalid_grant",
        "no client credentials user",
        "the app names no user for the client-credentials flow",
        "in the app's policies, under Client Credentials Flow, set Run As to the user to collect as",
    ),
    grant("invalid_grant", "expired", "what was sent is out of date", "set the host's clock by NTP"),
    grant(
        "invalid_grant",
        "scope",
        "the app lacks a scope",
        "give the app the scopes 'Manage user data via APIs (api)' and 'Perform requests at any time (refresh_token, \
         offline_access)'",
    ),
    grant(
        "invalid_grant",
        "authentication failure",
        "user name, password or security token are wrong, or the user is locked, or the flow is blocked",
        "the Login History of the user in Setup names the reason. 'Username-Password Flow Disabled': use another flow, or \
         switch it on in Setup, OAuth and OpenID Connect Settings. From networks that the org does not trust, set \
         auth.security_token. The user name of a sandbox has a suffix",
    ),
    grant(
        "invalid_grant",
        "",
        "the user name or the grant is not accepted",
        "check auth.username (a sandbox has a suffix) and the Login History of the user in Setup, which names the reason",
    ),
    grant(
        "invalid_client_id",
        "",
        "the consumer key is unknown",
        "check auth.client_id and the host in auth.token_url; a new app needs about ten minutes",
    ),
    grant(
        "invalid_client",
        "",
        "the app is not accepted",
        "check auth.client_secret and auth.client_id, and that the app allows this flow",
    ),
    same("invalid_app_access", "", NOT_APPROVED),
    grant(
        "invalid_assertion_type",
        "",
        "the assertion is not accepted",
        "check auth.token_url: this is not an endpoint for the JWT bearer flow",
    ),
    grant(
        "invalid_assertion",
        "",
        "the assertion is not accepted",
        "the key must be the one whose certificate is uploaded to the app, and the host's clock must be right",
    ),
    grant("inactive_user", "", "the user is not active", "activate the user in Setup, Users"),
    grant("inactive_org", "", "the org is not active", "check the subscription"),
    passing(400, "rate_limit_exceeded", "", Kind::RateLimited, TOO_OFTEN),
    grant(
        "invalid_scope",
        "",
        "the app lacks a scope",
        "give the app the scopes 'Manage user data via APIs (api)' and 'Perform requests at any time (refresh_token, \
         offline_access)'",
    ),
    grant(
        "unsupported_grant_type",
        "",
        "the flow is not known there",
        "check auth.token_url, and that the app allows the flow in auth.flow",
    ),
    grant(
        "unsupported_response_type",
        "",
        "the flow is not known there",
        "check auth.token_url: this is not the token endpoint",
    ),
    grant(
        "redirect_uri_mismatch",
        "",
        "the app wants a flow with a browser",
        "check that the app allows the flow in auth.flow",
    ),
    grant(
        "invalid_request",
        "",
        "the request is not understood",
        "check auth.token_url, and what stands between this host and Salesforce",
    ),
    grant(
        "access_denied",
        "",
        "access is denied",
        "add a permission set or profile of the user to the app's policies",
    ),
    grant(
        "unauthorized_client",
        "",
        "the app may not use this flow",
        "allow the flow in the app's OAuth settings, and set Permitted Users in its policies",
    ),
    grant(
        "authorization_pending",
        "",
        "the app wants the device flow",
        "check that the app allows the flow in auth.flow",
    ),
    grant(
        "slow_down",
        "",
        "the app wants the device flow",
        "check that the app allows the flow in auth.flow",
    ),
    Row {
        status: 400,
        code: "unknown_error",
        text: "",
        kind: Kind::Transient,
        meaning: "Salesforce has an error of its own",
        hint: "check auth.token_url if it stays",
    },
    Row {
        status: 500,
        code: "server_error",
        text: "",
        kind: Kind::Transient,
        meaning: "Salesforce has an error of its own",
        hint: WAIT,
    },
];

/// What a new sign-in cannot mend, under a code that says that it would.
const HOPELESS: [&str; 2] = ["not valid for use with the REST API", "Connected app is not attached to Agent"];

const SESSION: &str = "the session ended right after it was made; look for session policies, or for other programs that sign in as \
                       this user through this app (Salesforce keeps five sessions)";

/// Errors of the REST API ("Status Codes and Error Responses", REST API guide, and the codes of the SOAP API's ExceptionCode).
/// The first row that fits is the answer.
const API: &[Row] = &[
    api(400, "MALFORMED_QUERY", Kind::Config, QUERY),
    api(400, "INVALID_FIELD", Kind::Config, QUERY),
    api(400, "INVALID_TYPE", Kind::Permission, ""),
    api(
        400,
        "INVALID_QUERY_FILTER_OPERATOR",
        Kind::Config,
        "check cursor_field: it must be a date and time that can be filtered by",
    ),
    api(
        400,
        "INVALID_QUERY_LOCATOR",
        Kind::Transient,
        "nothing to do but wait: the query is asked again from its beginning",
    ),
    api(400, "QUERY_TIMEOUT", Kind::Transient, "nothing to do but wait: less is asked for at a time"),
    api(400, "QUERY_TOO_COMPLICATED", Kind::Config, "name fewer fields or event types"),
    api(400, "EXCEEDED_ID_LIMIT", Kind::Internal, BUG),
    api(400, "MALFORMED_ID", Kind::Internal, BUG),
    api(400, "JSON_PARSER_ERROR", Kind::Internal, BUG),
    api(400, "NUMBER_OUTSIDE_VALID_RANGE", Kind::Internal, BUG),
    api(400, "INVALID_SEARCH", Kind::Internal, BUG),
    api(400, "OPERATION_TOO_LARGE", Kind::Transient, "if it stays, name fewer fields"),
    api(400, "UNABLE_TO_LOCK_ROW", Kind::Transient, WAIT),
    api(
        400,
        "BIG_OBJECT_UNSUPPORTED_OPERATION",
        Kind::Config,
        "check cursor_field: a big object is filtered by EventDate alone",
    ),
    api(
        403,
        "API_DISABLED_FOR_ORG",
        Kind::Permission,
        "the API needs an edition that has it, and the user the permission 'API Enabled'",
    ),
    api(
        403,
        "API_CURRENTLY_DISABLED",
        Kind::Permission,
        "the API needs an edition that has it, and the user the permission 'API Enabled'",
    ),
    Row {
        status: 401,
        code: "INVALID_SESSION_ID",
        text: "not valid for use with the rest api",
        kind: Kind::Permission,
        meaning: "",
        hint: "give the app the scope 'Manage user data via APIs (api)' and the user the permission 'API Enabled'",
    },
    Row {
        status: 401,
        code: "INVALID_SESSION_ID",
        text: "not attached to agent",
        kind: Kind::Permission,
        meaning: "",
        hint: "this app is one of an agent; make an app of its own for the collector",
    },
    api(401, "INVALID_SESSION_ID", Kind::Auth, SESSION),
    api(401, "INVALID_AUTH_HEADER", Kind::Auth, SESSION),
    Row {
        status: 403,
        code: "REQUEST_LIMIT_EXCEEDED",
        text: "concurrent",
        kind: Kind::RateLimited,
        meaning: "",
        hint: "too many long requests run in the org at the same time; nothing to do but wait",
    },
    api(
        403,
        "REQUEST_LIMIT_EXCEEDED",
        Kind::RateLimited,
        "the org's allowance of API requests is used up; it comes back over 24 hours, see Setup, Company Information",
    ),
    api(403, "INSUFFICIENT_ACCESS", Kind::Permission, ""),
    api(403, "INSUFFICIENT_ACCESS_OR_READONLY", Kind::Permission, ""),
    api(403, "FUNCTIONALITY_NOT_ENABLED", Kind::Permission, ""),
    api(
        403,
        "CLIENT_NOT_ACCESSIBLE_FOR_USER",
        Kind::Permission,
        "add a permission set or profile of the user to the app's policies",
    ),
    api(
        403,
        "TXN_SECURITY_*",
        Kind::Permission,
        "a transaction security policy of the org stops this; leave the user out of it in Setup, Transaction Security Policies",
    ),
    api(404, "NOT_FOUND", Kind::Config, "check instance_url and api_version"),
    api(404, "ENTITY_IS_DELETED", Kind::Data, WAIT),
    api(404, "URL_NOT_RESET", Kind::Config, "set instance_url to the My Domain address of the org"),
    api(404, "UNSUPPORTED_API_VERSION", Kind::Config, "set api_version to one that the org has"),
    api(405, "METHOD_NOT_ALLOWED", Kind::Internal, BUG),
    api(500, "UNKNOWN_EXCEPTION", Kind::Transient, WAIT),
    api(500, "REQUEST_RUNNING_TOO_LONG", Kind::Transient, WAIT),
    api(503, "SERVER_UNAVAILABLE", Kind::Transient, WAIT),
    api(503, "ORG_IN_MAINTENANCE", Kind::Transient, WAIT),
];

/// What to make of a status where the code is unknown, or there is none because a proxy answers, or a page that says "back
/// soon": first and last status, whether a code is there (none = either), who must act, and what to do.
const STATUSES: &[(u16, u16, Option<bool>, Kind, &str)] = &[
    (
        300,
        399,
        None,
        Kind::Transient,
        "check instance_url: it must be the org's own address, which redirects nowhere",
    ),
    (401, 401, Some(false), Kind::Auth, SESSION),
    (403, 403, Some(true), Kind::Permission, ""),
    (410, 410, None, Kind::Config, "set api_version to one that the org has"),
    (414, 414, None, Kind::Config, "the query is too long for a URL; name fewer fields or event types"),
    (431, 431, None, Kind::Config, "the query is too long for a URL; name fewer fields or event types"),
    (420, 420, None, Kind::Transient, WAIT),
    (429, 429, None, Kind::RateLimited, WAIT),
    (500, 599, None, Kind::Transient, WAIT),
    (
        0,
        999,
        Some(false),
        Kind::Transient,
        "if it stays, check instance_url, and what stands between this host and Salesforce",
    ),
    (0, 999, Some(true), Kind::Transient, BUG),
];

/// A refusal of the token endpoint as a problem.
pub fn sign_in_problem(refusal: &Refusal) -> Problem {
    let (kind, meaning, hint) = match Row::find(OAUTH, refusal) {
        Some(row) => (row.kind, row.meaning, row.hint),
        None if refusal.status == 429 => (Kind::RateLimited, "too many requests", WAIT),
        None if refusal.status >= 500 || refusal.status == 420 => {
            (Kind::Transient, "the sign-in service is not available", WAIT)
        }
        None if refusal.code.is_some() => (
            Kind::Auth,
            "the request was refused",
            "compare the auth table with the app's settings in Salesforce",
        ),
        None if refusal.redirect.is_some() => (
            Kind::Auth,
            "the token endpoint redirects elsewhere, where no secret is sent",
            "set auth.token_url to an address that answers itself: the org's My Domain, login or test",
        ),
        None => (
            Kind::Auth,
            "the token endpoint does not answer as Salesforce does",
            "check token_url; an address of a login page or of a proxy is a common mistake",
        ),
    };
    let problem = Problem::new(kind, format!("sign-in failed: {meaning} [{}]", refusal.said())).hint(hint);
    refusal.waited(problem)
}

/// A refusal of the REST API as a problem. `what` was tried, and `object` was asked for.
pub fn api_problem(refusal: &Refusal, what: &str, object: &str) -> Problem {
    let by_status = || {
        let fits = |(first, last, coded, ..): &&(u16, u16, Option<bool>, Kind, &str)| {
            (*first..=*last).contains(&refusal.status)
                && coded.is_none_or(|coded| coded == refusal.code.is_some())
        };
        STATUSES.iter().find(fits).map_or((Kind::Transient, BUG), |row| (row.3, row.4))
    };
    let (kind, hint) = Row::find(API, refusal).map_or_else(by_status, |row| (row.kind, row.hint));
    let hint = if hint.is_empty() { needs(object) } else { hint };
    let mut message = format!("{what} failed: {}", refusal.said());
    let mut hint = hint.to_owned();
    if let Some(Usage { used, maximum }) = refusal.usage {
        message.push_str(&format!("; {used} of {maximum} requests of 24 hours are used"));
    }
    if let Some((told, configured)) = &refusal.elsewhere {
        message.push_str(&format!(
            "; Salesforce says that the org is at {told}, and instance_url is {configured}"
        ));
        hint = format!("set instance_url to \"{told}\", and let the host allow it");
    }
    refusal.waited(Problem::new(kind, message).hint(hint))
}

/// What is needed to read an object.
pub fn needs(object: &str) -> &'static str {
    match object {
        "EventLogFile" => {
            "the user needs the permissions 'API Enabled' and 'View Event Log Files', and the org Event Monitoring for more \
             than the free event types"
        }
        "SetupAuditTrail" => {
            "the user needs the permissions 'API Enabled' and 'View Setup and Configuration'"
        }
        _ if object.ends_with("EventLog") => {
            "the user needs the permission 'View Event Log Object Data', and Event Log Objects must be switched on in Setup, \
             Event Manager"
        }
        _ if object.ends_with("Event") || object.ends_with("EventStore") => {
            "switch its storage on in Setup, Event Manager, and give the user the permission 'View Real-Time Event Monitoring \
             Data'; the org needs Shield or Event Monitoring"
        }
        _ => "check the name of the object, and that the user's profile or permission sets let it be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backoff::Backoff, time::Time};

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), &[])
    }

    #[test]
    fn each_invalid_grant_is_told_apart_by_its_description() {
        for (description, said) in [
            ("user hasn't approved this consumer", "pre-authorised"),
            ("audience is invalid", "audience"),
            ("invalid assertion", "assertion"),
            ("Failed: : Couldn't validate jwt token.", "signature"),
            ("ip restricted or invalid login hours", "address"),
            ("user account is locked", "locked"),
            ("authentication failure", "flow is blocked"),
            ("something new", "user name"),
        ] {
            let body = format!(r#"{{"error":"invalid_grant","error_description":"{description}"}}"#);
            let problem = sign_in_problem(&refusal(400, &body));
            assert_eq!(problem.kind, Kind::Auth);
            assert!(problem.message.contains(said), "{problem}");
            assert!(problem.message.contains(description), "{problem}");
        }
    }

    #[test]
    fn an_unknown_oauth_error_is_still_a_sign_in_problem() {
        let problem = sign_in_problem(&refusal(400, r#"{"error":"brand_new_error"}"#));
        assert_eq!(problem.kind, Kind::Auth);
        assert!(problem.message.contains("brand_new_error"));
    }

    #[test]
    fn html_from_whatever_stands_in_front_is_judged_by_its_status() {
        assert_eq!(sign_in_problem(&refusal(503, "<html>")).kind, Kind::Transient);
        assert_eq!(sign_in_problem(&refusal(404, "<html>")).kind, Kind::Auth);
        let unavailable = r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"back soon"}]"#;
        assert_eq!(sign_in_problem(&refusal(503, unavailable)).kind, Kind::Transient);
        assert_eq!(api_problem(&refusal(404, "<html>"), "x", "").kind, Kind::Transient);
        assert_eq!(api_problem(&refusal(502, "<html>"), "x", "").kind, Kind::Transient);
        assert_eq!(api_problem(&refusal(429, "<html>"), "x", "").kind, Kind::RateLimited);
    }

    #[test]
    fn the_two_texts_that_a_new_sign_in_cannot_mend_do_not_ask_for_one() {
        let session = |message| {
            refusal(401, &format!(r#"[{{"errorCode":"INVALID_SESSION_ID","message":"{message}"}}]"#))
        };
        assert!(session("Session expired or invalid").is_expired_session());
        assert!(!session("This session is not valid for use with the REST API").is_expired_session());
        assert!(!session("Connected app is not attached to Agent").is_expired_session());
    }

    #[test]
    fn of_a_refused_query_the_reason_is_kept_and_not_the_query() {
        let said = refusal(
            400,
            r#"[{"errorCode":"INVALID_FIELD","message":"\nSELECT X FROM Y\n       ^\nERROR at Row:1:Column:8\nNo such column 'X' on entity 'Y'."}]"#,
        );
        assert_eq!(said.message, "No such column 'X' on entity 'Y'.");
    }

    #[test]
    fn a_message_from_outside_is_kept_to_one_line() {
        let said = refusal(400, r#"[{"errorCode":"X","message":"a\nb\u001b[31m"}]"#).said();
        assert_eq!(said, "X: a b [31m (HTTP 400)");
    }

    #[test]
    fn a_secret_that_an_answer_repeats_is_taken_out() {
        let secret = Secret::new(String::from("hunter2"));
        let body = br#"[{"errorCode":"hunter2","message":"you sent hunter2, hunter2"}]"#;
        let refusal = Refusal::read(400, body, &[&secret]);
        assert_eq!(refusal.said(), "[secret]: you sent [secret], [secret] (HTTP 400)");
    }

    #[test]
    fn each_row_says_who_must_act_and_what_to_do() {
        for row in OAUTH {
            assert!(!row.meaning.is_empty() && !row.hint.is_empty(), "{}", row.code);
        }
        for (index, row) in OAUTH.iter().chain(API).enumerate() {
            assert_eq!(row.text, row.text.to_ascii_lowercase(), "{}", row.code);
            // A row that none before it leaves anything to would never be found.
            let before = OAUTH.iter().chain(API).take(index).filter(|before| before.code == row.code);
            assert!(
                before.clone().all(|before| !row.text.contains(before.text)),
                "{} {}",
                row.code,
                row.text
            );
        }
    }

    /// What is waited after failures of a kind: the first and the longest wait.
    fn waits(kind: Kind) -> String {
        let problem = Problem::new(kind, "x");
        let mut backoff = None;
        let waits: Vec<i64> = (0..16)
            .map(|_| {
                let next = Backoff::after(backoff.as_ref(), &problem, Time(0), "x");
                let wait = next.remaining(Time(0));
                backoff = Some(next);
                wait
            })
            .collect();
        // Jitter takes up to a quarter.
        let whole = |wait: i64| {
            [2_000, 60_000, 900_000, 3_600_000]
                .into_iter()
                .find(|full| (full * 3 / 4..=*full).contains(&wait))
        };
        let named = |wait| match whole(wait) {
            Some(2_000) => "2 s",
            Some(60_000) => "1 min",
            Some(900_000) => "15 min",
            Some(3_600_000) => "1 h",
            _ => "?",
        };
        format!("{}, then twice as long each time, up to {}", named(waits[0]), named(waits[15]))
    }

    fn table(rows: &[Row], with_meaning: bool) -> String {
        let mut out = String::new();
        for row in rows {
            let hint = if row.hint.is_empty() { "*(the permissions below)*" } else { row.hint };
            let meaning = if with_meaning { format!(" {} |", row.meaning) } else { String::new() };
            let text = if row.text.is_empty() { String::new() } else { format!("`{}`", row.text) };
            out.push_str(&format!(
                "| {} | `{}` | {text} | {} |{meaning} {hint} |\n",
                row.status,
                row.code,
                row.kind.name()
            ));
        }
        out
    }

    fn document() -> String {
        let mut out = String::from(include_str!("errors/head.md"));
        for (kind, who) in [
            (Kind::Config, "the operator, in the configuration"),
            (Kind::Auth, "the operator or an administrator, in credentials or the app"),
            (Kind::Permission, "an administrator, who must grant something"),
            (Kind::RateLimited, "nobody: the org asks for patience"),
            (Kind::Transient, "nobody: it passes"),
            (Kind::Data, "nobody: Salesforce sent something else than it promises"),
            (Kind::Internal, "the authors of the component"),
        ] {
            out.push_str(&format!("| `{}` | {who} | after {} |\n", kind.name(), waits(kind)));
        }
        out.push_str(include_str!("errors/sign-in.md"));
        out.push_str(&table(OAUTH, true));
        out.push_str(include_str!("errors/api.md"));
        out.push_str(&table(API, false));
        out.push_str(include_str!("errors/statuses.md"));
        for (first, last, coded, kind, hint) in STATUSES {
            let status = match (first, last) {
                (0, _) => String::from("any other"),
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first} to {last}"),
            };
            let code = match coded {
                None => "any or none",
                Some(true) => "unknown",
                Some(false) => "none",
            };
            let hint = if hint.is_empty() { "*(the permissions below)*" } else { hint };
            out.push_str(&format!("| {status} | {code} | {} | {hint} |\n", kind.name()));
        }
        out.push_str(include_str!("errors/permissions.md"));
        for (object, shown) in [
            ("EventLogFile", "event log files"),
            ("LoginEvent", "LoginEvent, LogoutEvent, other `*Event` and `*EventStore`"),
            ("AuraRequestEventLog", "`*EventLog`"),
            ("SetupAuditTrail", "SetupAuditTrail"),
            ("Account", "any other object"),
        ] {
            out.push_str(&format!("| {shown} | {} |\n", needs(object)));
        }
        out
    }

    #[test]
    fn the_document_of_errors_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let document = document();
        assert!(!document.contains('?'), "a wait is not known");
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(path, &document).expect("written");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == document,
            "docs/errors.md is not what the tables say; write it anew with UPDATE_CASES=1"
        );
    }
}
