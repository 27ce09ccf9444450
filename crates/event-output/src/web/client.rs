//! Sends requests, and says nothing that was a secret.
//!
//! An address may hold a token in its path or its query (many receivers give one per tenant), so messages name the origin
//! alone. What a server answers is shown shortened, with every secret of the settings blotted out: some servers echo
//! headers. Redirects are not followed: they would carry credentials and events to somebody else.

use std::error::Error;
use std::iter;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};

use super::body::Compression;
use super::settings::{Transport, WebSettings};
use super::tls::{self, Distrust};
use crate::address;
use crate::output::{Delivered, OutputError};
use crate::settings::{Problems, Secret};

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How much of an answer stands in a message, in characters.
const EXCERPT: usize = 300;

/// One receiver, and what every request to it carries.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    compression: Compression,
    transport: Transport,
}

/// What a server answered.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub location: Option<String>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// Whether the body is whole, and not cut at the limit.
    pub whole: bool,
}

impl Client {
    /// Checks what was set and prepares everything. Reads the files named there.
    pub fn new(settings: &WebSettings, problems: &mut Problems) -> Option<Self> {
        let WebSettings { headers, transport, .. } = settings;
        settings.bounds().check(problems);
        let url = problems.take("url", address::parse(&settings.url, ["https", "http"]));
        let map = headers_of(headers, problems);
        for (name, time) in [("timeout", transport.timeout), ("connect_timeout", transport.connect_timeout)] {
            let fine = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time);
            problems.unless(fine, name, "must be between 1 second and 1 hour");
        }
        if let Some(url) = &url
            && url.scheme() == "http"
            && !headers.is_empty()
            && !transport.credentials_without_tls
            && !address::is_this_machine(url)
        {
            problems.add(
                "url",
                "credentials or headers would travel without TLS: use https://, or allow it with credentials_without_tls",
            );
        }
        let http = build(transport).map_err(|(setting, message)| problems.add(setting, message)).ok();
        let mut secrets: Vec<Secret> = headers.iter().map(|(_, value)| value.clone()).collect();
        secrets.extend(transport.proxy.clone());
        if let Some(url) = &url {
            // A token may stand in the address; a word may be one as well, and is blotted out in vain.
            let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
            let values = url.query_pairs().map(|(_, value)| value.into_owned());
            secrets.extend(segments.chain(values).filter(|part| part.len() >= 12).map(Secret::new));
        }
        Some(Self {
            http: http?,
            url: url?,
            headers: map,
            secrets,
            compression: settings.compression,
            transport: transport.clone(),
        })
    }

    /// Another text that must not be shown.
    pub fn hide(&mut self, secret: Secret) {
        self.secrets.push(secret);
    }

    /// Reads certificates again. If that fails, what was read before stays.
    pub fn reopen(&mut self) {
        match build(&self.transport) {
            Ok(http) => self.http = http,
            Err((setting, message)) => {
                tracing::warn!(setting, message, "the output keeps its old certificates");
            }
        }
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where requests go, without what may be secret.
    pub fn origin(&self) -> String {
        address::origin(&self.url)
    }

    /// Sends events in the body of a request, compressed as it was set, and reads `most` bytes of the answer.
    pub async fn send_events(
        &self,
        method: Method,
        url: &Url,
        content_type: &'static str,
        body: Vec<u8>,
        most: usize,
        delivered: &mut Delivered,
    ) -> Result<Reply, OutputError> {
        let body = self.compression.apply(body).await?;
        delivered.requests += 1;
        delivered.bytes_sent += body.len() as u64;
        let headers: Vec<_> =
            iter::once((CONTENT_TYPE, content_type)).chain(self.compression.header()).collect();
        self.send(method, url, &headers, body, most).await
    }

    /// Sends a request, and reads `most` bytes of the answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, &'static str)],
        body: Bytes,
        most: usize,
    ) -> Result<Reply, OutputError> {
        let mut all = self.headers.clone();
        for (name, value) in headers {
            all.insert(name.clone(), HeaderValue::from_static(value));
        }
        let request = self.http.request(method, url.clone()).headers(all).body(body);
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
        let text = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let mut reply = Reply {
            status: response.status(),
            retry_after: text(RETRY_AFTER).and_then(|value| wait(&value, SystemTime::now())),
            location: text(LOCATION),
            content_type: text(CONTENT_TYPE),
            body: Vec::new(),
            whole: true,
        };
        while reply.whole
            && let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))?
        {
            let left = most - reply.body.len();
            reply.whole = chunk.len() <= left;
            reply.body.extend_from_slice(&chunk[..chunk.len().min(left)]);
        }
        Ok(reply)
    }

    /// The first words of an answer, for a message.
    pub fn excerpt(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            // A value like "Bearer abc" may come back as "abc".
            let whole = secret.expose();
            for part in [whole, whole.split_once(' ').map_or(whole, |(_, token)| token)] {
                if part.len() >= 4 {
                    text = text.replace(part, "***");
                }
            }
        }
        let short: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
        short.trim().to_owned()
    }

    fn failure(&self, error: &reqwest::Error) -> OutputError {
        // The innermost reason: the outer ones name the address.
        let mut reason = error.source();
        while let Some(inner) = reason.and_then(Error::source) {
            reason = Some(inner);
        }
        let reason = reason.map_or("the request failed".into(), |reason| self.excerpt(&reason.to_string()));
        let origin = self.origin();
        if error.is_timeout() {
            return OutputError::unavailable(format!("{origin} did not answer in time"));
        }
        match tls::distrust(error) {
            Some(Distrust::OfServer) => OutputError::refused(format!(
                "the certificate of {origin} is not trusted ({reason}); name its authority in ca_file"
            )),
            Some(Distrust::OfClient) => OutputError::refused(format!(
                "{origin} does not accept the certificate of this side ({reason}); check client_certificate"
            )),
            None => OutputError::unavailable(format!("cannot talk to {origin}: {reason}")),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

fn build(transport: &Transport) -> Result<reqwest::Client, (&'static str, String)> {
    let tls = tls::config(transport.ca_file.as_deref(), transport.client_certificate.as_ref())?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("event-output/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(transport.connect_timeout)
        .timeout(transport.timeout)
        .no_proxy();
    if let Some(address) = &transport.proxy {
        let url = Url::parse(address.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let proxy = url.and_then(|url| reqwest::Proxy::all(url).ok());
        builder =
            builder.proxy(proxy.ok_or(("proxy", "is not an address like http://proxy:3128".to_owned()))?);
    }
    builder.build().map_err(|error| ("transport", error.without_url().to_string()))
}

fn headers_of(headers: &[(String, Secret)], problems: &mut Problems) -> HeaderMap {
    const OURS: [&str; 6] =
        ["content-type", "content-encoding", "content-length", "transfer-encoding", "connection", "host"];
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let Ok(parsed) = HeaderName::try_from(name) else {
            problems.add("headers", format!("{name:?} is not the name of a header"));
            continue;
        };
        if OURS.contains(&parsed.as_str()) {
            problems.add("headers", format!("{name} is set by this output"));
        }
        match HeaderValue::from_str(value.expose()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                map.append(parsed, value);
            }
            Err(_) => problems.add("headers", format!("the value of {name} holds what a header cannot")),
        }
    }
    map
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(value.trim()).ok()?;
            (at.with_timezone(&Utc) - DateTime::<Utc>::from(now)).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str, headers: &[(&str, &str)]) -> Result<Client, crate::SettingsError> {
        let mut settings = WebSettings::new(address, Compression::None);
        settings.headers = headers.iter().map(|(n, v)| ((*n).to_owned(), Secret::from(*v))).collect();
        let mut problems = Problems::default();
        let client = Client::new(&settings, &mut problems);
        problems.done(client)
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(wait("120", now), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("99999999", now), Some(LONGEST_WAIT));
        assert_eq!(wait("soon", now), None);
    }

    #[test]
    fn credentials_do_not_travel_without_tls_unless_that_is_allowed() {
        assert!(client("http://logs.example.com", &[("authorization", "Bearer x")]).is_err());
        assert!(client("http://logs.example.com", &[]).is_ok());
        assert!(client("http://127.0.0.1:9200", &[("authorization", "Bearer x")]).is_ok());
        assert!(client("http://[::1]:9200", &[("authorization", "Bearer x")]).is_ok());
        assert!(client("http://localhost.example.com", &[("authorization", "Bearer x")]).is_err());
        assert!(client("https://logs.example.com", &[("authorization", "Bearer x")]).is_ok());
    }

    #[test]
    fn a_wrong_address_is_told_without_showing_it() {
        for address in ["https://user:hunter22@example.com", "ftp://hunter22", "hunter22"] {
            let error = client(address, &[]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter22"), "{error}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_one_is_told_without_its_value() {
        let error = client(
            "https://example.com",
            &[("x y", "hunter22"), ("x-key", "hunter22\r\nx: y"), ("host", "hunter22")],
        )
        .unwrap_err();
        assert_eq!(error.problems().len(), 3, "{error}");
        assert!(!error.to_string().contains("hunter22"));
    }

    #[test]
    fn what_a_server_echoes_of_a_secret_is_blotted_out() {
        let client = client("https://example.com/tok3n", &[("authorization", "Bearer hunter22")]).unwrap();
        assert_eq!(client.excerpt("no \"hunter22\"\r\nhere"), "no \"***\"  here");
        assert!(!format!("{client:?}").contains("tok3n"));
        assert_eq!(client.excerpt(&"x".repeat(1000)).len(), EXCERPT);
    }
}
