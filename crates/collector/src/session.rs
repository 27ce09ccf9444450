//! Signed in to one org: a token in memory, used until Salesforce says that it is over, and requests made with it.
//!
//! The JWT bearer flow answers no lifetime with its token ("OAuth 2.0 JWT Bearer Flow", Salesforce Help), so there is no
//! expiry to watch. A request that is refused for its session signs in anew and is sent once more, never twice: a
//! session policy that ends every session at once would otherwise be answered with a storm of sign-ins.

use crate::{
    config::{Config, JwtBearer},
    errors::{Refusal, api_problem, sign_in_problem},
    io::{Clock, Http, Request, Response, TransportError},
    origin::{Origin, TOKEN_PATH},
    problem::{Kind, Problem},
    secret::Secret,
    time::Time,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::json;
use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
    time::Duration,
};

/// How long an assertion is good for. Salesforce accepts at most 3 minutes; this leaves a minute either way for clocks
/// that differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(120);
/// A refused assertion is tried once more with the org's clock if the host's differs by more than this.
const TOLERATED_SKEW_MS: i64 = 30_000;
/// More than any token answer or error body has.
const SMALL_BODY: u64 = 64 * 1024;
/// How much of a page is read. Nearly all have less: 2,000 records of 4 KB.
const PAGE_BODY: u64 = 8 * 1024 * 1024;

/// What is remembered between requests. None of it is needed: it only saves requests.
#[derive(Debug, Default)]
pub struct Session {
    token: Option<Secret>,
    /// The org's clock minus the host's, once the org has told its time.
    skew_ms: Option<i64>,
    /// Requests used and allowed in 24 hours, once the org has told.
    api_usage: Option<(u32, u32)>,
    requests: u32,
    token_requests: u32,
    received: Rc<Cell<u64>>,
}

/// What the requests of one poll cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Requests sent, token requests included.
    pub requests: u32,
    /// Token requests among them.
    pub token_requests: u32,
    /// Bytes of bodies as they came over the wire.
    pub received: u64,
}

impl Session {
    /// The costs since the last call.
    pub fn take_costs(&mut self) -> Costs {
        Costs {
            requests: std::mem::take(&mut self.requests),
            token_requests: std::mem::take(&mut self.token_requests),
            received: self.received.take(),
        }
    }

    /// Requests used and allowed in 24 hours, once the org has told.
    pub fn api_usage(&self) -> Option<(u32, u32)> {
        self.api_usage
    }

    /// The org's clock minus the host's, in milliseconds, once the org has told its time.
    pub fn skew_ms(&self) -> Option<i64> {
        self.skew_ms
    }
}

/// Why a request brought nothing.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody is signed in, and the problem says why.
    SignIn(Problem),
    /// Salesforce refused the request.
    Refused(Refusal),
    /// No answer came.
    Transport(TransportError, String),
    /// An answer came that is not what it should be.
    Garbled(String),
    /// A page came that is longer than what is read of one.
    TooLong,
}

impl Trouble {
    /// As a problem; `what` says what was tried, as a noun: `the list of event log files`.
    pub fn problem(&self, what: &str) -> Problem {
        match self {
            Self::SignIn(problem) => problem.clone(),
            Self::Refused(refusal) => api_problem(refusal, what),
            Self::Transport(error, authority) => transport_problem(error, authority),
            Self::Garbled(message) => Problem::new(Kind::Transient, format!("{what} failed: {message}"))
                .hint("if it stays, something between this host and Salesforce changes the answers"),
            Self::TooLong => Problem::new(
                Kind::Data,
                format!("{what} failed: a page of it is longer than {PAGE_BODY} bytes"),
            )
            .hint("collect fewer fields of this object"),
        }
    }
}

fn transport_problem(error: &TransportError, authority: &str) -> Problem {
    match error {
        TransportError::Denied(_) => {
            Problem::new(Kind::Config, format!("the host does not allow requests to {authority}"))
                .hint("add it to what the host allows")
        }
        TransportError::Failed(why) => Problem::new(
            Kind::Transient,
            format!("no answer from {authority}: {}", crate::problem::quoted(why, 200)),
        )
        .hint("check that this host reaches it, through proxies and firewalls too"),
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

/// An org that requests can be sent to.
pub struct Org<'a> {
    /// Where it is and how to sign in.
    pub config: &'a Config,
    /// The way out.
    pub http: &'a mut dyn Http,
    /// The host's clock.
    pub clock: &'a dyn Clock,
    /// What is remembered between requests.
    pub session: &'a mut Session,
}

impl Org<'_> {
    /// The time on the org's clock, as far as it is known.
    pub fn now(&self) -> Time {
        Time(self.clock.now_ms() + self.session.skew_ms.unwrap_or(0))
    }

    /// Makes sure that a token is there.
    pub fn sign_in(&mut self) -> Result<(), Trouble> {
        if self.session.token.is_none() {
            self.session.token = Some(self.request_token()?);
        }
        Ok(())
    }

    /// Gets a path of the REST API and returns the answer if its status is 200.
    pub fn get(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Result<Response, Trouble> {
        let mut renewed = false;
        loop {
            self.sign_in()?;
            let token = self.session.token.as_ref().map_or("", Secret::reveal);
            let authorization = Secret::new(format!("Bearer {token}"));
            let mut all = vec![("authorization", authorization)];
            all.extend(headers.iter().map(|(name, value)| (*name, Secret::new((*value).to_owned()))));
            let response = self.send(&self.config.instance, path, None, all)?;
            if response.status == 200 {
                return Ok(response);
            }
            let refusal = self.read_refusal(response, &[])?;
            if !refusal.is_expired_session() || renewed {
                return Err(Trouble::Refused(refusal));
            }
            renewed = true;
            self.session.token = None;
        }
    }

    /// Gets a path that answers JSON.
    pub fn get_json<T: for<'de> Deserialize<'de>>(&mut self, path: &str) -> Result<T, Trouble> {
        parse_json(&self.get_body(path, &[])?)
    }

    /// Gets a path that answers JSON, as bytes; `headers` come besides.
    pub fn get_body(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Result<Vec<u8>, Trouble> {
        let mut all = vec![("accept", "application/json")];
        all.extend_from_slice(headers);
        let response = self.get(path, &all)?;
        let body = read_body(response, PAGE_BODY + 1)?;
        if body.len() as u64 > PAGE_BODY { Err(Trouble::TooLong) } else { Ok(body) }
    }

    /// Gets the list of API versions, which needs no token.
    pub fn get_versions<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, Trouble> {
        let headers = vec![("accept", Secret::new(String::from("application/json")))];
        let response = self.send(&self.config.instance, "/services/data", None, headers)?;
        if response.status == 200 {
            parse_json(&read_body(response, PAGE_BODY)?)
        } else {
            Err(Trouble::Refused(self.read_refusal(response, &[])?))
        }
    }

    /// Reads an error's explanation, in which whoever answers may repeat what it was sent.
    fn read_refusal(&self, response: Response, more: &[&Secret]) -> Result<Refusal, Trouble> {
        let retry_after = response.header("retry-after").and_then(|text| text.trim().parse().ok());
        let status = response.status;
        let body = read_body(response, SMALL_BODY)?;
        let secrets: Vec<&Secret> = self.session.token.iter().chain(more.iter().copied()).collect();
        Ok(Refusal::read(status, retry_after, &body, &secrets))
    }

    fn request_token(&mut self) -> Result<Secret, Trouble> {
        let mut corrected = false;
        loop {
            let skew = self.session.skew_ms.unwrap_or(0);
            let auth = &self.config.auth;
            let assertion = assertion(auth, self.now().after(ASSERTION_LIFETIME)).map_err(Trouble::SignIn)?;
            let body = Secret::new(format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
                assertion.reveal()
            ));
            let headers = vec![
                ("content-type", Secret::new(String::from("application/x-www-form-urlencoded"))),
                ("accept", Secret::new(String::from("application/json"))),
            ];
            self.session.token_requests += 1;
            let response = self.send(&auth.token_host, TOKEN_PATH, Some(body), headers)?;
            let interrupted = |_| {
                Trouble::SignIn(
                    Problem::new(
                        Kind::Transient,
                        "sign-in failed: the answer to the token request broke off",
                    )
                    .hint("nothing to do but wait"),
                )
            };
            if response.status == 200 {
                let body = read_body(response, SMALL_BODY).map_err(interrupted)?;
                let answer: TokenAnswer = parse_json(&body).map_err(|_| {
                    Trouble::SignIn(
                        Problem::new(Kind::Auth, "sign-in failed: the answer to the token request holds no token")
                            .hint("check auth.token_url; an address of a login page or of a proxy is a common mistake"),
                    )
                })?;
                return Ok(Secret::new(answer.access_token));
            }
            let refusal = self.read_refusal(response, &[&assertion]).map_err(interrupted)?;
            let learned = self.session.skew_ms.unwrap_or(skew);
            if corrected || !refusal.is("invalid_grant") || (learned - skew).abs() <= TOLERATED_SKEW_MS {
                return Err(Trouble::SignIn(sign_in_problem(&refusal)));
            }
            corrected = true;
        }
    }

    fn send(
        &mut self,
        origin: &Origin,
        path: &str,
        body: Option<Secret>,
        mut headers: Vec<(&'static str, Secret)>,
    ) -> Result<Response, Trouble> {
        headers.push(("user-agent", Secret::new(format!("{}/{}", crate::NAME, crate::VERSION))));
        let request = Request {
            body,
            secure: origin.secure,
            authority: origin.authority.clone(),
            path: path.to_owned(),
            headers,
        };
        self.session.requests += 1;
        let mut response =
            self.http.send(&request).map_err(|error| Trouble::Transport(error, origin.authority.clone()))?;
        if let Some(time) = response.header("date").and_then(Time::parse_http_date) {
            self.session.skew_ms = Some(time.0 - self.clock.now_ms());
        }
        if let Some(usage) = response.header("sforce-limit-info").and_then(parse_usage) {
            self.session.api_usage = Some(usage);
        }
        response.body = Box::new(Counted { body: response.body, total: Rc::clone(&self.session.received) });
        Ok(response)
    }
}

/// `api-usage=10018/100000; …` ("Limit Info Header", REST API guide).
fn parse_usage(header: &str) -> Option<(u32, u32)> {
    let usage = header.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, maximum) = usage.split_once('/')?;
    Some((used.trim().parse().ok()?, maximum.trim().parse().ok()?))
}

/// The assertion of RFC 7523 with the claims that Salesforce reads, signed.
fn assertion(auth: &JwtBearer, expires: Time) -> Result<Secret, Problem> {
    let claims = json!({
        "iss": auth.client_id,
        "sub": auth.username,
        "aud": auth.audience,
        "exp": expires.0 / 1000,
    });
    let unsigned = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = auth.private_key.sign(&unsigned)?;
    Ok(Secret::new(format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// A body as a whole; what lies beyond the limit is left unread.
fn read_body(response: Response, limit: u64) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    match response.body.take(limit).read_to_end(&mut body) {
        Ok(_) => Ok(body),
        Err(error) => {
            let reason = crate::problem::quoted(&error.to_string(), 200);
            Err(Trouble::Garbled(format!("the answer broke off: {reason}")))
        }
    }
}

/// Reads JSON.
pub fn parse_json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        let position = format!("line {}, column {}, {} bytes", error.line(), error.column(), body.len());
        Trouble::Garbled(format!("the answer is not the JSON it should be ({position})"))
    })
}

/// Counts what is read through it.
struct Counted {
    body: Box<dyn Read>,
    total: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.total.set(self.total.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_found_among_the_parts_of_the_limit_header() {
        assert_eq!(parse_usage("api-usage=10018/100000"), Some((10_018, 100_000)));
        assert_eq!(parse_usage("api-bursts=1/750; api-usage=1/2"), Some((1, 2)));
        assert_eq!(parse_usage("per-app-api-usage=17/250(appName=x)"), None);
        assert_eq!(parse_usage("api-usage=x/2"), None);
    }
}
