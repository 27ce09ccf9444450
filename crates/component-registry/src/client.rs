//! Requests to one repository of a registry, and what is sent to nobody.
//!
//! A password and the tokens that it is good for go to the registry, and to the token service that it names if that belongs to the same
//! domain (`registry.gitlab.com` and `gitlab.com`); a redirect never takes them along. Otherwise a registry, or whoever answers in its
//! place, could name a service of its own and be handed them (CVE-2020-15157 was such a hole). Bodies are read up to a limit, and what a
//! registry says of an error is shown by its code alone: its words may be anything, an echo of a header among them.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use psl::Psl as _;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use source_host::{Roots, bytes as sized, printable, tls_config};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::access::{Access, Credentials};
use crate::error::Error;
use crate::reference::Reference;

const CONNECT: Duration = Duration::from_secs(10);
/// How long a registry may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 4;
/// A token and what stands around it; an error and what is said of it.
const SMALL: u64 = 64 << 10;

/// What is asked for leave to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Pull,
    Push,
}

/// A request, before it is known where it ends up.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: &'a str,
    /// Its body, and the type of that.
    pub(crate) body: Option<(&'a str, Bytes)>,
}

pub(crate) struct Client {
    http: reqwest::Client,
    /// `https://host/v2/`
    base: Url,
    registry: String,
    repository: String,
    scope: Scope,
    insecure: bool,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Client {
    pub(crate) fn new(reference: &Reference, access: &Access, scope: Scope) -> Result<Self, Error> {
        let registry = reference.registry();
        // The registry of Docker has a name that it does not answer to.
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let no = |_| Error::Settings(format!("{registry} is not a host"));
        let mut base = Url::parse(&format!("https://{host}/v2/")).map_err(no)?;
        if access.insecure || is_this_machine(&base) && access.ca_file.is_none() {
            base = Url::parse(&format!("http://{host}/v2/")).map_err(no)?;
        }
        let extra: Vec<_> = access.ca_file.iter().cloned().collect();
        let tls = tls_config(Roots::Mozilla, &extra).map_err(|error| Error::Settings(error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("source-host/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        // A proxy of the environment is for what lies outside.
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Error::Settings(told(error)))?;
        Ok(Self {
            http,
            base,
            registry: registry.to_owned(),
            repository: reference.repository().to_owned(),
            scope,
            insecure: access.insecure,
            credentials: access.credentials.clone(),
            authorization: Mutex::default(),
        })
    }

    /// An address in the repository: `manifests/1.0`.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base
            .join(&format!("{}/{path}", self.repository))
            .map_err(|_| Error::Settings(format!("{path} has no place in a registry")))
    }

    /// An address that the registry named.
    pub(crate) fn named(&self, response: &Response) -> Result<Url, Error> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| response.url().join(location).ok());
        let url = url.ok_or_else(|| self.wrong("sends somewhere, and says not where"))?;
        self.fits(&url)?;
        Ok(url)
    }

    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Registry { registry: self.registry.clone(), reason: reason.into() }
    }

    /// Sends a request. Reads are sent on where the registry redirects them; a first refusal is answered with what the registry wants to see.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        let mut url = request.url.clone();
        let mut asked = false;
        for _ in 0..=REDIRECTS {
            let response = self.once(request, &url).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && self.is_own(&url) && !asked {
                asked = true;
                let authorization = self.authorize(response.headers()).await?;
                *self.authorization.lock().await = Some(authorization);
            } else if status.is_redirection() && matches!(request.method, Method::GET | Method::HEAD) {
                url = self.named(&response)?;
            } else {
                return Ok(response);
            }
        }
        Err(self.wrong("redirects without an end"))
    }

    async fn once(&self, request: &Request<'_>, url: &Url) -> Result<Response, Error> {
        let mut builder = self.http.request(request.method.clone(), url.clone());
        if !request.accept.is_empty() {
            builder = builder.header(ACCEPT, request.accept);
        }
        if let Some((kind, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        if self.is_own(url)
            && let Some(authorization) = &*self.authorization.lock().await
        {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        builder.send().await.map_err(|error| self.wrong(format!("cannot be asked: {}", told(error))))
    }

    /// The body of an answer, which may have so many bytes.
    pub(crate) async fn body(&self, response: Response, most: u64, what: &str) -> Result<Vec<u8>, Error> {
        let beyond = || self.wrong(format!("sends {what} of more than {}", sized(most)));
        if response.content_length().is_some_and(|length| length > most) {
            return Err(beyond());
        }
        let mut response = response;
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| self.wrong(format!("breaks off {what}: {}", told(error))))?;
            let Some(chunk) = chunk else { return Ok(body) };
            if (body.len() + chunk.len()) as u64 > most {
                return Err(beyond());
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Why an answer is none of those that were expected.
    pub(crate) async fn refusal(&self, response: Response, what: &str) -> Error {
        let status = response.status();
        let codes = match self.is_own(response.url()) {
            true => self.body(response, SMALL, "an error").await.map(|body| codes(&body)).unwrap_or_default(),
            false => String::new(),
        };
        match (status, &self.credentials) {
            (StatusCode::NOT_FOUND, _) => Error::Missing(what.to_owned()),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => Error::Settings(format!(
                "{} gives {what} to nobody without credentials ({status}{codes}): set them in [registry], or with --username",
                self.registry
            )),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(who)) => Error::Settings(format!(
                "{} does not let {} have {what} ({status}{codes})",
                self.registry,
                printable(who.username.clone())
            )),
            _ => self.wrong(format!("answers {status}{codes} when asked for {what}")),
        }
    }

    /// Whether an address is one of the registry itself: there, and there alone, credentials go.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Refuses what would be read or changed on the way, and what a registry outside has no business to send this machine to.
    fn fits(&self, url: &Url) -> Result<(), Error> {
        let plain = url.scheme() == "http" && self.base.scheme() == "http";
        match url.scheme() {
            "https" => Ok(()),
            _ if plain && (self.insecure || is_this_machine(url)) => Ok(()),
            _ => Err(self.wrong(format!("sends to {}, which is not https", place(url)))),
        }
    }

    /// What the registry wants to see, as it says itself.
    async fn authorize(&self, headers: &HeaderMap) -> Result<HeaderValue, Error> {
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<(&str, &str)> =
            challenges.filter_map(|challenge| challenge.trim().split_once(' ')).collect();
        let find = |scheme: &str| challenges.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        if let Some((_, parameters)) = find("bearer") {
            return self.token(parameters).await;
        }
        if find("basic").is_none() {
            return Err(self.wrong("refuses the request, and does not say how to sign in"));
        }
        let who = self.credentials.as_ref().ok_or_else(|| {
            Error::Settings(format!(
                "{} wants credentials: set them in [registry], or with --username",
                self.registry
            ))
        })?;
        self.sensitive(&format!("Basic {}", &*basic(who)))
    }

    /// A token of the service that the registry names.
    async fn token(&self, parameters: &str) -> Result<HeaderValue, Error> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let realm = parameter(parameters, "realm").and_then(|realm| Url::parse(&realm).ok());
        let mut realm = realm.ok_or_else(|| self.wrong("names no token service"))?;
        self.fits(&realm)?;
        let actions = if self.scope == Scope::Push { "pull,push" } else { "pull" };
        realm.query_pairs_mut().append_pair("scope", &format!("repository:{}:{actions}", self.repository));
        if let Some(service) = parameter(parameters, "service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.http.get(realm.clone());
        if let Some(who) = &self.credentials {
            if !is_related(&self.base, &realm) {
                return Err(self.wrong(format!(
                    "wants the password to be sent to {}, which is not of its domain: it is not sent",
                    place(&realm)
                )));
            }
            request = request.header(AUTHORIZATION, self.sensitive(&format!("Basic {}", &*basic(who)))?);
        }
        let response = request.send().await;
        let response = response.map_err(|error| {
            self.wrong(format!("has a token service that cannot be asked: {}", told(error)))
        })?;
        if response.status() != StatusCode::OK {
            let (status, place) = (response.status(), place(&realm));
            return Err(Error::Settings(format!(
                "{place} gives no token for {} ({status})",
                self.repository
            )));
        }
        let body = Zeroizing::new(self.body(response, SMALL, "a token").await?);
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_| self.wrong("has a token service that sends no token"))?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty());
        let token =
            Zeroizing::new(token.ok_or_else(|| self.wrong("has a token service that sends no token"))?);
        self.sensitive(&format!("Bearer {}", &*token))
    }

    fn sensitive(&self, text: &str) -> Result<HeaderValue, Error> {
        let mut value =
            HeaderValue::from_str(text).map_err(|_| self.wrong("cannot be sent these credentials"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn basic(who: &Credentials) -> Zeroizing<String> {
    use base64::Engine as _;
    let pair = Zeroizing::new(format!("{}:{}", who.username, &*who.password));
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
}

/// The value of a parameter of a challenge (RFC 9110 section 11.4): `realm="https://…",service="…"`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']);
        let (value, behind) = match after.trim_start().strip_prefix('"') {
            None => after
                .split_once(',')
                .map_or((after.trim().to_owned(), ""), |(value, behind)| (value.trim().to_owned(), behind)),
            Some(quoted) => {
                let (mut value, mut letters) = (String::new(), quoted.char_indices());
                loop {
                    match letters.next()? {
                        (_, '\\') => value.push(letters.next()?.1),
                        (at, '"') => break (value, &quoted[at + 1..]),
                        (_, letter) => value.push(letter),
                    }
                }
            }
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = behind;
    }
    None
}

/// The codes of an error as registries write it: ` MANIFEST_UNKNOWN`.
fn codes(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: String,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(body) else { return String::new() };
    let is_code = |code: &str| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    errors.into_iter().take(3).filter(|one| is_code(&one.code)).map(|one| format!(" {}", one.code)).collect()
}

fn is_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Whether two addresses belong to one owner: the same host, or hosts of one registrable domain.
fn is_related(one: &Url, other: &Url) -> bool {
    let domain = |host: &str| psl::List.domain(host.as_bytes()).map(|domain| domain.as_bytes().to_vec());
    match (one.domain(), other.domain()) {
        (Some(a), Some(b)) => a == b || domain(a).is_some_and(|a| domain(b) == Some(a)),
        (None, None) => one.host() == other.host(),
        _ => false,
    }
}

/// A host with its scheme, for messages: paths and queries may hold what is secret.
fn place(url: &Url) -> String {
    printable(url.origin().ascii_serialization())
}

/// What went wrong with a request, down to its cause, without the address.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    printable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart() {
        let text = r#"realm="https://auth.example.com/token?a=b,c",service="a \"b\"",scope=pull"#;
        assert_eq!(parameter(text, "realm").as_deref(), Some("https://auth.example.com/token?a=b,c"));
        assert_eq!(parameter(text, "Service").as_deref(), Some(r#"a "b""#));
        assert_eq!(parameter(text, "scope").as_deref(), Some("pull"));
        assert_eq!(parameter(text, "error"), None);
        assert_eq!(parameter(r#"realm="https://never.ends"#, "realm"), None);
    }

    #[test]
    fn a_token_service_is_related_to_its_registry_by_the_domain_that_somebody_owns() {
        let related = |a: &str, b: &str| is_related(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(related("https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth"));
        assert!(related("https://registry-1.docker.io/v2/", "https://auth.docker.io/token"));
        assert!(related("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token"));
        assert!(!related("https://ghcr.io/v2/", "https://ghcr.io.example.com/token"));
        // Two customers of one provider.
        assert!(!related("https://acme.azurewebsites.net/v2/", "https://other.azurewebsites.net/token"));
        assert!(!related("http://127.0.0.1:5000/v2/", "http://127.0.0.2:5000/token"));
    }

    #[test]
    fn of_an_error_its_code_is_told_and_nothing_else() {
        assert_eq!(codes(br#"{"errors":[{"code":"DENIED","message":"Basic bWU6czNjcmV0"}]}"#), " DENIED");
        assert_eq!(codes(br#"{"errors":[{"code":"Basic bWU6czNjcmV0"}]}"#), "");
        assert_eq!(codes(b"<html>"), "");
    }
}
