//! What Salesforce answers when it refuses, as sentences that a person can act on.
//!
//! Sources: "OAuth 2.0 Authorization Errors" of Salesforce Help for the token endpoint, "Status Codes and Error
//! Responses" of the REST API guide for everything else. The token endpoint answers `{"error", "error_description"}`,
//! the API a JSON array of `{"message", "errorCode"}`, and whatever stands in front of either may answer HTML.
//!
//! What is known stands in tables: [`OAUTH`], [`API`], [`STATUSES`], and [`NO_ANSWER`] for what is no answer of Salesforce.
//! `docs/errors.md` is made of them, and a test sees to it that it still is.
//!
//! # What an error means
//!
//! Each row says four things apart, since one does not follow from another: how far the error reaches ([`Scope`]), what is
//! done about it ([`Remedy`]), who must act ([`Kind`], which also decides how long is waited: see `backoff`), and the words.
//! Whoever meets an error asks for its [`Meaning`]; nothing else looks at codes. No scope but [`Scope::Everything`] stops
//! a stream that did not meet the error itself.

use crate::{
    org::quota::Usage,
    problem::{Kind, Problem},
    secret::Secret,
};
use documents::quoted;
use serde_json::Value;

/// How far an error reaches: everything within meets it as well, and nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One page of an answer: the query can be asked again.
    Page,
    /// What one query asks for: another span of time may work.
    Window,
    /// One event log file: the others may be read.
    File,
    /// One stream: what it asks for, or may not read.
    Stream,
    /// Every request to the org.
    Everything,
}

impl Scope {
    /// As it stands in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Window => "window",
            Self::File => "file",
            Self::Stream => "stream",
            Self::Everything => "everything",
        }
    }

    /// The scope of the same error where a file is downloaded: it may be that file's alone.
    pub const fn of_download(self) -> Self {
        match self {
            Self::Everything => Self::Everything,
            _ => Self::File,
        }
    }
}

/// What is done about an error. After each but [`Again`](Self::Again) of a page there is a wait, longer each time; and
/// whatever fails twice for a span of time is asked for in a narrower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same is asked again: at once for a page, since a query begins anew, else after a wait.
    Again,
    /// Less is asked for at a time.
    Narrower,
    /// It is left out for now, and the rest goes on.
    StepAround,
    /// A new sign-in, once.
    SignInAgain,
    /// Nothing is sent before the org has had the time that it wants.
    Wait,
    /// It is asked for ever more rarely, since it does not pass by itself: something has to be changed.
    StopAsking,
}

impl Remedy {
    /// As it stands in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Narrower => "narrower",
            Self::StepAround => "step around",
            Self::SignInAgain => "sign in again",
            Self::Wait => "wait",
            Self::StopAsking => "rarely, until changed",
        }
    }
}

/// What an error means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// How far it reaches.
    pub scope: Scope,
    /// What is done.
    pub remedy: Remedy,
    /// Who must act.
    pub kind: Kind,
    /// What they can do; empty = give the permissions that the object needs.
    pub hint: &'static str,
}

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
    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether Salesforce says that there is no such thing. A 404 without its code comes from something in between.
    pub fn is_gone(&self) -> bool {
        self.is("NOT_FOUND") || self.is("ENTITY_IS_DELETED")
    }

    /// Whether, for a page behind the first, it says that the answer is not there any more: that is bound to the session
    /// that asked, and to the time that the org keeps it.
    pub fn is_lost_answer(&self) -> bool {
        let meaning = self.meaning();
        let client = (400..405).contains(&self.status) && meaning.remedy != Remedy::Wait;
        meaning.scope == Scope::Page || meaning.remedy == Remedy::SignInAgain || client
    }

    /// Whether it can be that the org does not have this version of the API.
    pub fn may_be_the_version(&self) -> bool {
        self.is("NOT_FOUND") || self.is("UNSUPPORTED_API_VERSION") || self.status == 410
    }

    /// Whether it can be that the org is elsewhere.
    pub fn may_be_the_address(&self) -> bool {
        self.is("URL_NOT_RESET") || self.status == 401 || (300..400).contains(&self.status)
    }

    /// Whether the org does not know `EventLogFile.Interval`.
    pub fn lacks_interval(&self) -> bool {
        self.is("INVALID_FIELD") && self.message.contains("'Interval'")
    }

    /// Whether an assertion may be refused for its time.
    pub fn may_be_the_clock(&self) -> bool {
        self.is("invalid_grant")
    }

    /// What it means, as an answer of the REST API.
    pub fn meaning(&self) -> Meaning {
        Row::find(API, self).map_or_else(|| Status::find(self).meaning, |row| row.meaning)
    }

    /// What was answered, in one line.
    pub fn said(&self) -> String {
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
    meaning: Meaning,
    /// The same in words; empty = the description says it.
    words: &'static str,
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
const fn grant(error: &'static str, text: &'static str, words: &'static str, hint: &'static str) -> Row {
    Row { status: 400, code: error, text, meaning: sign_in(Remedy::StopAsking, Kind::Auth, hint), words }
}

/// What an error of the token endpoint means: without a token, nothing can be asked.
const fn sign_in(remedy: Remedy, kind: Kind, hint: &'static str) -> Meaning {
    Meaning { scope: Scope::Everything, remedy, kind, hint }
}

/// A row of [`API`].
const fn api(
    status: u16,
    code: &'static str,
    scope: Scope,
    remedy: Remedy,
    kind: Kind,
    hint: &'static str,
) -> Row {
    said(status, code, "", scope, remedy, kind, hint)
}

/// The same for one description of the code.
const fn said(
    status: u16,
    code: &'static str,
    text: &'static str,
    scope: Scope,
    remedy: Remedy,
    kind: Kind,
    hint: &'static str,
) -> Row {
    Row { status, code, text, meaning: Meaning { scope, remedy, kind, hint }, words: "" }
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
    let remedy = if matches!(kind, Kind::RateLimited) { Remedy::Wait } else { Remedy::Again };
    Row { status, code, text, meaning: sign_in(remedy, kind, said.1), words: said.0 }
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
        meaning: sign_in(Remedy::Again, Kind::Transient, "check auth.token_url if it stays"),
        words: "Salesforce has an error of its own",
    },
    Row {
        status: 500,
        code: "server_error",
        text: "",
        meaning: sign_in(Remedy::Again, Kind::Transient, WAIT),
        words: "Salesforce has an error of its own",
    },
];

const SESSION: &str = "the session ended right after it was made; look for session policies, or for other programs that sign in as \
                       this user through this app (Salesforce keeps five sessions)";
const NARROWER: &str = "nothing to do but wait: less is asked for at a time";
const ENABLED: &str = "the API needs an edition that has it, and the user the permission 'API Enabled'";

/// Errors of the REST API ("Status Codes and Error Responses", REST API guide, and the codes of the SOAP API's ExceptionCode).
/// The first row that fits is the answer.
const API: &[Row] = &{
    use {Kind::*, Remedy::*, Scope::*};
    [
        api(400, "MALFORMED_QUERY", Stream, StopAsking, Config, QUERY),
        api(400, "INVALID_FIELD", Stream, StopAsking, Config, QUERY),
        api(400, "INVALID_TYPE", Stream, StopAsking, Permission, ""),
        api(
            400,
            "INVALID_QUERY_FILTER_OPERATOR",
            Stream,
            StopAsking,
            Config,
            "check cursor_field: it must be a date and time that can be filtered by",
        ),
        api(
            400,
            "INVALID_QUERY_LOCATOR",
            Page,
            Again,
            Transient,
            "nothing to do but wait: the query is asked again from its beginning",
        ),
        api(400, "QUERY_TIMEOUT", Window, Narrower, Transient, NARROWER),
        api(400, "QUERY_TOO_COMPLICATED", Stream, StopAsking, Config, "name fewer fields or event types"),
        api(400, "EXCEEDED_ID_LIMIT", Window, Narrower, Internal, BUG),
        api(400, "MALFORMED_ID", Stream, StopAsking, Internal, BUG),
        api(400, "JSON_PARSER_ERROR", Stream, StopAsking, Internal, BUG),
        api(400, "NUMBER_OUTSIDE_VALID_RANGE", Stream, StopAsking, Internal, BUG),
        api(400, "INVALID_SEARCH", Stream, StopAsking, Internal, BUG),
        api(
            400,
            "OPERATION_TOO_LARGE",
            Window,
            Narrower,
            Transient,
            "nothing to do but wait: less is asked for at a time; if it stays, name fewer fields",
        ),
        api(400, "UNABLE_TO_LOCK_ROW", Window, Again, Transient, WAIT),
        api(
            400,
            "BIG_OBJECT_UNSUPPORTED_OPERATION",
            Stream,
            StopAsking,
            Config,
            "check cursor_field: a big object is filtered by EventDate alone",
        ),
        api(403, "API_DISABLED_FOR_ORG", Everything, StopAsking, Permission, ENABLED),
        api(403, "API_CURRENTLY_DISABLED", Everything, StopAsking, Permission, ENABLED),
        said(
            401,
            "INVALID_SESSION_ID",
            "not valid for use with the rest api",
            Everything,
            StopAsking,
            Permission,
            "give the app the scope 'Manage user data via APIs (api)' and the user the permission 'API Enabled'",
        ),
        said(
            401,
            "INVALID_SESSION_ID",
            "not attached to agent",
            Everything,
            StopAsking,
            Permission,
            "this app is one of an agent; make an app of its own for the collector",
        ),
        api(401, "INVALID_SESSION_ID", Window, SignInAgain, Auth, SESSION),
        api(401, "INVALID_AUTH_HEADER", Window, SignInAgain, Auth, SESSION),
        said(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "concurrent",
            Window,
            Wait,
            RateLimited,
            "too many long requests run in the org at the same time; nothing to do but wait",
        ),
        api(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            Everything,
            Wait,
            RateLimited,
            "the org's allowance of API requests is used up; it comes back over 24 hours, see Setup, Company Information",
        ),
        api(403, "INSUFFICIENT_ACCESS", Stream, StopAsking, Permission, ""),
        api(403, "INSUFFICIENT_ACCESS_OR_READONLY", Stream, StopAsking, Permission, ""),
        api(403, "FUNCTIONALITY_NOT_ENABLED", Stream, StopAsking, Permission, ""),
        api(
            403,
            "CLIENT_NOT_ACCESSIBLE_FOR_USER",
            Everything,
            StopAsking,
            Permission,
            "add a permission set or profile of the user to the app's policies",
        ),
        api(
            403,
            "TXN_SECURITY_*",
            Stream,
            StopAsking,
            Permission,
            "a transaction security policy of the org stops this; leave the user out of it in Setup, Transaction Security \
             Policies",
        ),
        api(404, "NOT_FOUND", Stream, StopAsking, Config, "check instance_url and api_version"),
        api(404, "ENTITY_IS_DELETED", File, StepAround, Data, WAIT),
        api(
            404,
            "URL_NOT_RESET",
            Stream,
            StopAsking,
            Config,
            "set instance_url to the My Domain address of the org",
        ),
        api(
            404,
            "UNSUPPORTED_API_VERSION",
            Stream,
            StopAsking,
            Config,
            "set api_version to one that the org has",
        ),
        api(405, "METHOD_NOT_ALLOWED", Stream, StopAsking, Internal, BUG),
        api(500, "UNKNOWN_EXCEPTION", Window, Again, Transient, WAIT),
        api(500, "REQUEST_RUNNING_TOO_LONG", Window, Narrower, Transient, NARROWER),
        api(503, "SERVER_UNAVAILABLE", Window, Again, Transient, WAIT),
        api(503, "ORG_IN_MAINTENANCE", Window, Again, Transient, WAIT),
    ]
};

/// What to make of a status where the code is unknown, or there is none because a proxy answers, or a page that says "back
/// soon".
struct Status {
    first: u16,
    last: u16,
    /// Whether a code is there; none = either.
    coded: Option<bool>,
    meaning: Meaning,
}

impl Status {
    /// What fits a refusal.
    fn find(refusal: &Refusal) -> &'static Self {
        let fits = |row: &&Self| {
            (row.first..=row.last).contains(&refusal.status)
                && row.coded.is_none_or(|coded| coded == refusal.code.is_some())
        };
        STATUSES.iter().find(fits).unwrap_or(&ANY_STATUS)
    }
}

/// A row of [`STATUSES`].
const fn status(
    (first, last): (u16, u16),
    coded: Option<bool>,
    scope: Scope,
    remedy: Remedy,
    kind: Kind,
    hint: &'static str,
) -> Status {
    Status { first, last, coded, meaning: Meaning { scope, remedy, kind, hint } }
}

/// The last row of [`STATUSES`].
const ANY_STATUS: Status = status((0, 999), Some(true), Scope::Window, Remedy::Again, Kind::Transient, BUG);

const STATUSES: &[Status] = &{
    use {Kind::*, Remedy::*, Scope::*};
    [
        status(
            (300, 399),
            None,
            Window,
            Again,
            Transient,
            "check instance_url: it must be the org's own address, which redirects nowhere",
        ),
        status((401, 401), Some(false), Window, SignInAgain, Auth, SESSION),
        status((403, 403), Some(true), Stream, StopAsking, Permission, ""),
        status((410, 410), None, Stream, StopAsking, Config, "set api_version to one that the org has"),
        status(
            (414, 414),
            None,
            Stream,
            StopAsking,
            Config,
            "the query is too long for a URL; name fewer fields or event types",
        ),
        status(
            (431, 431),
            None,
            Stream,
            StopAsking,
            Config,
            "the query is too long for a URL; name fewer fields or event types",
        ),
        status((420, 420), None, Window, Again, Transient, WAIT),
        status((429, 429), None, Window, Wait, RateLimited, WAIT),
        status((500, 599), None, Window, Again, Transient, WAIT),
        status(
            (0, 999),
            Some(false),
            Window,
            Again,
            Transient,
            "if it stays, check instance_url, and what stands between this host and Salesforce",
        ),
        ANY_STATUS,
    ]
};

/// What is no answer of Salesforce at all.
pub struct NoAnswer {
    /// What happened, for the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "for docs/errors.md"))]
    pub what: &'static str,
    /// What it means.
    pub meaning: Meaning,
}

impl NoAnswer {
    /// As a problem, with words for what happened.
    pub fn problem(&self, message: String) -> Problem {
        Problem::new(self.meaning.kind, message).hint(self.meaning.hint)
    }
}

const fn no_answer(
    what: &'static str,
    scope: Scope,
    remedy: Remedy,
    kind: Kind,
    hint: &'static str,
) -> NoAnswer {
    NoAnswer { what, meaning: Meaning { scope, remedy, kind, hint } }
}

/// The host does not let the request out.
pub const DENIED: NoAnswer = no_answer(
    "the host denies the request",
    Scope::Everything,
    Remedy::StopAsking,
    Kind::Config,
    "add it to what the host allows",
);
/// No connection, no answer in time, or one that broke off before its head was there.
pub const UNREACHED: NoAnswer = no_answer(
    "no answer came: no connection, a reset, a time-out",
    Scope::Window,
    Remedy::Again,
    Kind::Transient,
    "check that this host reaches it, through proxies and firewalls too",
);
/// An answer that is not what it should be.
pub const GARBLED: NoAnswer = no_answer(
    "an answer that broke off, or is not the JSON that it should be",
    Scope::Window,
    Remedy::Again,
    Kind::Transient,
    "if it stays, something between this host and Salesforce changes the answers",
);
/// A page that is longer than what is read of one.
pub const TOO_LONG: NoAnswer = no_answer(
    "a page of more than 8 MiB",
    Scope::Window,
    Remedy::Narrower,
    Kind::Data,
    "collect fewer fields of this object",
);
#[cfg(test)]
const NO_ANSWER: [&NoAnswer; 4] = [&DENIED, &UNREACHED, &GARBLED, &TOO_LONG];

/// A refusal of the token endpoint as a problem.
pub fn sign_in_problem(refusal: &Refusal) -> Problem {
    // What every door of the org may answer is known from the REST API.
    let passing = |row: &&Row| matches!(row.meaning.kind, Kind::RateLimited | Kind::Transient);
    let general = || Row::find(API, refusal).filter(passing);
    let (kind, meaning, hint) = match Row::find(OAUTH, refusal) {
        Some(row) => (row.meaning.kind, row.words, row.meaning.hint),
        None if let Some(row) = general() => (row.meaning.kind, "not for now", row.meaning.hint),
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
    let Meaning { kind, hint, .. } = refusal.meaning();
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
        "User" => "the user needs the permissions 'API Enabled' and 'View All Users'",
        "Profile" => "the user needs the permissions 'API Enabled' and 'View Setup and Configuration'",
        "Report" | "Dashboard" => {
            "the user needs the permissions 'API Enabled', 'Run Reports' and access to the folders, such as by 'Manage All Private Reports and Dashboards'"
        }
        "ContentDocument" | "ContentVersion" => {
            "the user needs the permissions 'API Enabled' and 'Query All Files'"
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
    use crate::schedule::backoff::Backoff;
    use documents::time::Time;

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
    fn a_token_request_that_is_refused_for_now_as_any_request_may_be_is_nobodys_mistake() {
        for code in ["REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE"] {
            let body = format!(r#"[{{"errorCode":"{code}","message":"ConcurrentRequests Limit exceeded"}}]"#);
            let (sign_in, other) =
                (sign_in_problem(&refusal(403, &body)), api_problem(&refusal(403, &body), "x", ""));
            assert_eq!((sign_in.kind, sign_in.hint), (other.kind, other.hint), "{code}");
            assert!(!matches!(sign_in.kind, Kind::Auth | Kind::Config | Kind::Permission), "{code}");
        }
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
        let asks_for_one = |message| session(message).meaning().remedy == Remedy::SignInAgain;
        assert!(asks_for_one("Session expired or invalid"));
        assert!(!asks_for_one("This session is not valid for use with the REST API"));
        assert!(!asks_for_one("Connected app is not attached to Agent"));
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
            assert!(!row.words.is_empty() && !row.meaning.hint.is_empty(), "{}", row.code);
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

    /// What stands of a meaning in a table: how far the error reaches, what is done, who must act, what to do.
    fn meaning(meaning: Meaning) -> String {
        let hint = if meaning.hint.is_empty() { "*(the permissions below)*" } else { meaning.hint };
        let (scope, remedy) = (meaning.scope.name(), meaning.remedy.name());
        format!("{scope} | {remedy} | {} | {hint} |", meaning.kind.name())
    }

    fn table(rows: &[Row], with_words: bool) -> String {
        let mut out = String::new();
        for row in rows {
            let text = if row.text.is_empty() { String::new() } else { format!("`{}`", row.text) };
            out.push_str(&format!("| {} | `{}` | {text} | ", row.status, row.code));
            if with_words {
                // Everything waits for a sign-in; the column would say the same in each row.
                let Meaning { remedy, kind, hint, .. } = row.meaning;
                out.push_str(&format!("{} | {} | {} | {hint} |\n", remedy.name(), kind.name(), row.words));
            } else {
                out.push_str(&format!("{}\n", meaning(row.meaning)));
            }
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
        for row in STATUSES {
            let status = match (row.first, row.last) {
                (0, _) => String::from("any other"),
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first} to {last}"),
            };
            let code = match row.coded {
                None => "any or none",
                Some(true) => "unknown",
                Some(false) => "none",
            };
            out.push_str(&format!("| {status} | {code} | {}\n", meaning(row.meaning)));
        }
        out.push_str(include_str!("errors/no-answer.md"));
        for row in NO_ANSWER {
            out.push_str(&format!("| {} | {}\n", row.what, meaning(row.meaning)));
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
