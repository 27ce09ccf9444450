//! What Salesforce answers when it refuses, as sentences that a person can act on.
//!
//! Sources: "OAuth 2.0 Authorization Errors" of Salesforce Help for the token endpoint, "Status Codes and Error
//! Responses" of the REST API guide for everything else. The token endpoint answers `{"error", "error_description"}`,
//! the API a JSON array of `{"message", "errorCode"}`, and whatever stands in front of either may answer HTML.

use crate::{
    problem::{Kind, Problem, quoted},
    secret::Secret,
};
use serde::Deserialize;

/// An answer with an error status.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `errorCode` or `error`, if the body had one.
    pub code: Option<String>,
    /// What the body said about it.
    pub message: String,
    /// Seconds from `Retry-After`.
    pub retry_after: Option<u32>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(rename = "errorCode")]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Refusal {
    /// Reads the body of an answer with an error status. `secrets` are taken out of it, should it repeat them.
    pub fn read(status: u16, retry_after: Option<u32>, body: &[u8], secrets: &[&Secret]) -> Self {
        let clean = |text: &str| {
            let secrets = secrets.iter().map(|secret| secret.reveal()).filter(|secret| !secret.is_empty());
            secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
        };
        let (code, message) =
            if let Ok([first, ..]) = serde_json::from_slice::<Vec<ApiError>>(body).as_deref() {
                (Some(first.code.clone()), reason(&first.message).to_owned())
            } else if let Ok(error) = serde_json::from_slice::<OAuthError>(body) {
                (Some(error.error), error.error_description)
            } else {
                (None, String::new())
            };
        let code = code.map(|code| quoted(&clean(&code), 80));
        Self { status, code, message: quoted(&clean(&message), 300), retry_after }
    }

    /// Whether the error code is this one.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether Salesforce says that there is no such thing. A 404 without its code comes from something in between.
    pub fn is_gone(&self) -> bool {
        self.is("NOT_FOUND") || self.is("ENTITY_IS_DELETED")
    }

    /// Whether a new sign-in may help. Two texts under the same code say that it will not.
    pub fn is_expired_session(&self) -> bool {
        let hopeless = ["not valid for use with the REST API", "Connected app is not attached to Agent"];
        (self.is("INVALID_SESSION_ID")
            || self.is("INVALID_AUTH_HEADER")
            || (self.status == 401 && self.code.is_none()))
            && !hopeless.iter().any(|text| self.message.contains(text))
    }

    fn said(&self) -> String {
        match (&self.code, self.message.as_str()) {
            (Some(code), "") => format!("{code} (HTTP {})", self.status),
            (Some(code), message) => format!("{code}: {message} (HTTP {})", self.status),
            (None, _) => format!("HTTP status {}", self.status),
        }
    }

    fn retry_after_ms(&self) -> Option<i64> {
        self.retry_after.map(|seconds| i64::from(seconds) * 1000)
    }
}

/// What is said of a query, without the query: where a query is refused, Salesforce repeats it, points into it, and
/// gives the reason on the line after the position.
fn reason(message: &str) -> &str {
    let after = message.split_once("ERROR at Row:").and_then(|(_, position)| position.split_once('\n'));
    after.map_or(message, |(_, reason)| reason)
}

/// A refusal of the token endpoint as a problem.
pub fn sign_in_problem(refusal: &Refusal) -> Problem {
    let description = refusal.message.to_ascii_lowercase();
    let row = OAUTH.iter().find(|row| refusal.is(row.error) && description.contains(row.description));
    let (kind, meaning, hint) = match row {
        Some(row) => (row.kind, row.meaning, row.hint),
        None if refusal.status == 429 => (Kind::RateLimited, "too many requests", "wait"),
        None if refusal.status >= 500 || refusal.status == 420 => {
            (Kind::Transient, "the sign-in service is not available", "nothing to do but wait")
        }
        None if refusal.code.is_some() => (
            Kind::Auth,
            "the request was refused",
            "compare the auth table with the app's settings in Salesforce",
        ),
        None => (
            Kind::Auth,
            "the token endpoint does not answer as Salesforce does",
            "check token_url; an address of a login page or of a proxy is a common mistake",
        ),
    };
    let problem = Problem::new(kind, format!("sign-in failed: {meaning} [{}]", refusal.said())).hint(hint);
    match refusal.retry_after_ms() {
        Some(wait) => problem.retry_after_ms(wait),
        None => problem,
    }
}

struct OAuthRow {
    error: &'static str,
    /// Part of the description, in lower case.
    description: &'static str,
    kind: Kind,
    meaning: &'static str,
    hint: &'static str,
}

const fn row(
    error: &'static str,
    description: &'static str,
    kind: Kind,
    meaning: &'static str,
    hint: &'static str,
) -> OAuthRow {
    OAuthRow { error, description, kind, meaning, hint }
}

/// The first row that fits is the answer.
const OAUTH: &[OAuthRow] = &[
    row(
        "invalid_grant",
        "hasn't approved this consumer",
        Kind::Auth,
        "the user is not pre-authorised for the app",
        "in the app's policies set Permitted Users to 'Admin approved users are pre-authorized' and add a permission set \
         or profile of the user",
    ),
    row(
        "invalid_grant",
        "audience",
        Kind::Auth,
        "the audience of the assertion is wrong",
        "set auth.audience to https://login.salesforce.com, or to https://test.salesforce.com for a sandbox; some orgs \
         want their My Domain address",
    ),
    row(
        "invalid_grant",
        "assertion",
        Kind::Auth,
        "the assertion is not accepted",
        "the key must be the one whose certificate is uploaded to the app, and the host's clock must be right",
    ),
    row(
        "invalid_grant",
        "jwt",
        Kind::Auth,
        "the signature of the assertion does not fit",
        "the key must be the one whose certificate is uploaded to the app",
    ),
    row(
        "invalid_grant",
        "ip restricted",
        Kind::Auth,
        "the user may not sign in from this address or at this hour",
        "add this host's address to the profile's login IP ranges, or relax IP restrictions in the app's policies",
    ),
    row(
        "invalid_grant",
        "login hours",
        Kind::Auth,
        "the user may not sign in at this hour",
        "widen the login hours of the user's profile",
    ),
    row("invalid_grant", "locked", Kind::Auth, "the user is locked", "unlock the user in Setup, Users"),
    row(
        "invalid_grant",
        "inactive user",
        Kind::Auth,
        "the user is not active",
        "activate the user in Setup, Users",
    ),
    row(
        "invalid_grant",
        "organization",
        Kind::Auth,
        "the org is not active",
        "check the subscription, or the address if this is a sandbox that was deleted",
    ),
    row(
        "invalid_grant",
        "not supported on this domain",
        Kind::Auth,
        "this host does not sign in this way",
        "set auth.token_url to the My Domain address of the org",
    ),
    row(
        "invalid_grant",
        "",
        Kind::Auth,
        "the user name or the grant is not accepted",
        "check auth.username (a sandbox has a suffix) and the Login History of the user in Setup, which names the reason",
    ),
    row(
        "invalid_client_id",
        "",
        Kind::Auth,
        "the consumer key is unknown",
        "check auth.client_id and the host in auth.token_url; a new app needs about ten minutes",
    ),
    row(
        "invalid_client",
        "",
        Kind::Auth,
        "the app is not accepted",
        "check auth.client_id, and that the app allows the JWT bearer flow",
    ),
    row(
        "invalid_app_access",
        "",
        Kind::Auth,
        "the user is not approved for the app",
        "add a permission set or profile of the user to the app's policies",
    ),
    row("inactive_user", "", Kind::Auth, "the user is not active", "activate the user in Setup, Users"),
    row("inactive_org", "", Kind::Auth, "the org is not active", "check the subscription"),
    row(
        "rate_limit_exceeded",
        "",
        Kind::RateLimited,
        "the user signs in too often",
        "Salesforce allows 3,600 sign-ins per user and hour; look for other programs that use this user",
    ),
    row(
        "OAUTH_APPROVAL_ERROR_GENERIC",
        "",
        Kind::Auth,
        "the app is not installed in this org",
        "install the connected app in the org, or give the user the permission 'Approve Uninstalled Connected Apps'",
    ),
    row(
        "unknown_error",
        "",
        Kind::Transient,
        "Salesforce has an error of its own",
        "check auth.token_url if it stays",
    ),
    row("server_error", "", Kind::Transient, "Salesforce has an error of its own", "nothing to do but wait"),
];

/// A refusal of the REST API as a problem.
pub fn api_problem(refusal: &Refusal, what: &str) -> Problem {
    let code = refusal.code.as_deref().unwrap_or_default();
    let (kind, hint) = match (code, refusal.status) {
        ("REQUEST_LIMIT_EXCEEDED", _) if refusal.message.contains("Concurrent") => (
            Kind::RateLimited,
            "too many long requests run in the org at the same time; nothing to do but wait",
        ),
        ("REQUEST_LIMIT_EXCEEDED", _) => (
            Kind::RateLimited,
            "the org's allowance of API requests is used up; it comes back over 24 hours, see Setup, Company Information",
        ),
        ("INVALID_SESSION_ID" | "INVALID_AUTH_HEADER", _) if !refusal.is_expired_session() => (
            Kind::Permission,
            "give the app the scope 'Manage user data via APIs (api)' and the user the permission 'API Enabled'",
        ),
        ("INVALID_SESSION_ID" | "INVALID_AUTH_HEADER", _) | ("", 401) => (
            Kind::Auth,
            "the session ended right after it was made; look for session policies, or for other programs that sign in as \
             this user through this app (Salesforce keeps five sessions)",
        ),
        ("API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED", _) => {
            (Kind::Permission, "the API needs an edition that has it, and the permission 'API Enabled'")
        }
        ("INVALID_TYPE", _) => (
            Kind::Permission,
            "the user needs the permissions 'API Enabled' and 'View Event Log Files', and the org Event Monitoring for \
             more than the free event types",
        ),
        (
            "INSUFFICIENT_ACCESS"
            | "FUNCTIONALITY_NOT_ENABLED"
            | "CLIENT_NOT_ACCESSIBLE_FOR_USER"
            | "INSUFFICIENT_ACCESS_OR_READONLY",
            _,
        ) => (Kind::Permission, "give the user the permissions 'API Enabled' and 'View Event Log Files'"),
        ("URL_NOT_RESET", _) => (Kind::Config, "set instance_url to the My Domain address of the org"),
        ("UNSUPPORTED_API_VERSION", _) | (_, 410) => {
            (Kind::Config, "set api_version to one that the org has")
        }
        ("QUERY_TIMEOUT" | "UNABLE_TO_LOCK_ROW" | "UNKNOWN_EXCEPTION" | "REQUEST_RUNNING_TOO_LONG", _)
        | ("SERVER_UNAVAILABLE" | "ORG_IN_MAINTENANCE" | "INVALID_QUERY_LOCATOR", _) => {
            (Kind::Transient, "nothing to do but wait")
        }
        (_, 429) => (Kind::RateLimited, "nothing to do but wait"),
        (_, 420 | 500..) => (Kind::Transient, "nothing to do but wait"),
        // Without a code it is not Salesforce's API that answers, but a proxy, or a page that says "back soon".
        ("", _) => (
            Kind::Transient,
            "if it stays, check instance_url, and what stands between this host and Salesforce",
        ),
        ("NOT_FOUND", _) => (Kind::Config, "check instance_url and api_version"),
        ("MALFORMED_QUERY" | "INVALID_FIELD", _) => {
            (Kind::Config, "check api_version; if it is right, this is worth a bug report")
        }
        (_, 403) => {
            (Kind::Permission, "give the user the permissions 'API Enabled' and 'View Event Log Files'")
        }
        _ => (Kind::Transient, "if it stays, this is worth a bug report"),
    };
    let problem = Problem::new(kind, format!("{what} failed: {}", refusal.said())).hint(hint);
    match refusal.retry_after_ms() {
        Some(wait) => problem.retry_after_ms(wait),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, None, body.as_bytes(), &[])
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
            ("authentication failure", "user name"),
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
        assert_eq!(api_problem(&refusal(404, "<html>"), "x").kind, Kind::Transient);
        assert_eq!(api_problem(&refusal(502, "<html>"), "x").kind, Kind::Transient);
        assert_eq!(api_problem(&refusal(429, "<html>"), "x").kind, Kind::RateLimited);
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
}
