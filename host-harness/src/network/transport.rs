//! How a request travels, once it was admitted.
//!
//! [`Transport`] is the seam: tests and benches answer from memory, the default goes over TCP and TLS. The default keeps
//! connections open between requests, in a pool of its own: what a connection may carry besides requests (a server's
//! idea of who is calling, a TLS session) must not leak from one tenant to another, so each source has its own.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::dial::{DIALING, Dial, Dialer, Dialing, Lookup, USUAL_CONNECT, cause, system_lookup};
use super::egress::PrivateNetworks;
use super::guarded::{Guard, Guarded, Polled};
use super::proxy::{Proxy, ProxyError};
use super::tls::{Identity, Roots, client_config};

/// The answer to a request, to come.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

/// Sends requests that were admitted.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use source_host::{Answer, HttpTransport, Options, Timeouts, Transport, WasiBody};
///
/// /// Counts what another one sends.
/// struct Counting<T>(T, Arc<AtomicU64>);
///
/// impl<T: Transport> Transport for Counting<T> {
///     fn send(&self, request: http::Request<WasiBody>, timeouts: Timeouts) -> Answer {
///         self.1.fetch_add(1, Ordering::Relaxed);
///         self.0.send(request, timeouts)
///     }
/// }
///
/// let sent = Arc::new(AtomicU64::new(0));
/// let options = Options::new().transport(Counting(HttpTransport::new()?, Arc::clone(&sent)));
/// # Ok::<(), source_host::Error>(())
/// ```
pub trait Transport: Send + Sync {
    /// Sends one request. Follows no redirect.
    fn send(&self, request: Request<WasiBody>, timeouts: Timeouts) -> Answer;
}

/// How long to wait for what. The defaults hold where a component asks for nothing; it may ask for more, up to the host's
/// maxima, and the time of the whole call bounds them all.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(source_host::Timeouts::default().connect, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For name resolution, TCP and TLS together. 10 s by default, at most a minute.
    pub connect: Duration,
    /// From the connection to the head of the response. 60 s by default, at most 5 minutes.
    pub first_byte: Duration,
    /// Between two pieces of the response body. 30 s by default, at most 5 minutes.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: USUAL_CONNECT,
            first_byte: Duration::from_secs(60),
            between_bytes: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    const MAXIMA: Self = Self {
        connect: Duration::from_secs(60),
        first_byte: Duration::from_secs(300),
        between_bytes: Duration::from_secs(300),
    };

    /// What the component asked for, at most the maxima, or the defaults where it asked for nothing.
    pub(crate) fn capped(options: Option<RequestOptions>) -> Self {
        let (usual, most) = (Self::default(), Self::MAXIMA);
        let options = options.unwrap_or_default();
        Self {
            connect: options.connect_timeout.map_or(usual.connect, |t| t.min(most.connect)),
            first_byte: options.first_byte_timeout.map_or(usual.first_byte, |t| t.min(most.first_byte)),
            between_bytes: options
                .between_bytes_timeout
                .map_or(usual.between_bytes, |t| t.min(most.between_bytes)),
        }
    }
}

/// The default transport: HTTP/1.1 over TCP and TLS, with a pool of connections. No redirects, no cookies, nothing from the
/// environment.
pub struct HttpTransport {
    client: Client<Dialer, WasiBody>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// With Mozilla's roots, no client certificate and no proxy.
    ///
    /// ```
    /// use source_host::{HttpTransport, Options};
    ///
    /// // For each instance one of its own, which goes with it.
    /// let options = Options::new().transport_made_by(HttpTransport::new);
    /// ```
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, crate::error::Error> {
        Self::builder().build()
    }

    /// What else there is to say: whom to trust, as whom to appear, and through which proxy to go.
    ///
    /// ```no_run
    /// use source_host::{HttpTransport, Roots};
    ///
    /// let transport = HttpTransport::builder()
    ///     .roots(Roots::System)
    ///     .extra_ca_file("/etc/pki/proxy-ca.pem")
    ///     .client_certificate("/etc/source-host/client.pem", "/run/secrets/client-key.pem")
    ///     .proxy("http://collector:secret@proxy.internal:3128")?
    ///     .build()?;
    /// # Ok::<(), source_host::Error>(())
    /// ```
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }
}

/// Builds an [`HttpTransport`]. Whatever is left out is as in [`HttpTransport::new`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpTransportBuilder {
    roots: Roots,
    ca_files: Vec<PathBuf>,
    identity: Option<Identity>,
    proxy: Option<Proxy>,
    idle_timeout: Duration,
    idle_per_host: usize,
}

impl Default for HttpTransportBuilder {
    fn default() -> Self {
        Self {
            roots: Roots::default(),
            ca_files: Vec::new(),
            identity: None,
            proxy: None,
            idle_timeout: Duration::from_secs(50),
            idle_per_host: 4,
        }
    }
}

impl HttpTransportBuilder {
    /// Which certificate authorities are trusted. Mozilla's by default.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// A PEM file with certificate authorities that are trusted besides. May be called several times.
    pub fn extra_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_files.push(file.into());
        self
    }

    /// The certificate (with those between it and its root, if there are any) that servers see who ask for one, and its
    /// private key: two PEM files, the key without passphrase. Needed where an org demands mutual TLS.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity { certificate: certificate.into(), key: key.into() });
        self
    }

    /// The HTTP proxy that all requests go through but those to this machine: `http://host:port` or
    /// `http://user:password@host:port`, with what is special in a URL percent-encoded. By default there is none: variables
    /// such as `HTTPS_PROXY` are never looked at.
    ///
    /// The way to the proxy is not encrypted, what goes through it is: TLS is with the target. The credentials are for the
    /// proxy alone, and are sent in clear to it, so it should be near. It may have a private address.
    ///
    /// The proxy resolves the names of targets, so that it alone can refuse one that leads inside
    /// ([`crate::Egress::allow_private`] has no effect then). Its own rules should do that.
    ///
    /// # Errors
    ///
    /// If it is no such URL. The error does not quote it.
    pub fn proxy(mut self, url: &str) -> Result<Self, crate::error::Error> {
        self.proxy = Some(Proxy::parse(url)?);
        Ok(self)
    }

    /// How long a connection is kept that nothing is on. 50 s by default, at most a minute: for longer, what a firewall
    /// between forgot is not noticed in time.
    pub fn pool_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time.min(Duration::from_secs(60));
        self
    }

    /// How many such connections are kept for each host. 4 by default; 0 = none.
    pub fn pool_idle_per_host(mut self, connections: usize) -> Self {
        self.idle_per_host = connections;
        self
    }

    /// Reads the files and sets up TLS. Connects to nothing.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or does not hold what it should, with its name; or if nobody is trusted.
    pub fn build(self) -> Result<HttpTransport, crate::error::Error> {
        self.build_with(system_lookup())
    }

    fn build_with(self, lookup: Lookup) -> Result<HttpTransport, crate::error::Error> {
        let tls = client_config(self.roots, &self.ca_files, self.identity.as_ref())?;
        let client = Client::builder(TokioExecutor::new())
            .http1_max_buf_size(LONGEST_HEAD)
            .http1_max_headers(MOST_HEADERS)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout)
            .pool_max_idle_per_host(self.idle_per_host)
            .build(Dialer::new(tls, lookup, self.proxy));
        Ok(HttpTransport { client })
    }
}

/// Bytes of the head of an answer, and of what is read ahead of its body.
const LONGEST_HEAD: usize = 128 << 10;
const MOST_HEADERS: usize = 256;
/// Answers that announce another (RFC 9110 section 15.2). A server that sends them without end would keep a thread busy.
const MOST_INFORMATIONAL: usize = 16;

impl Transport for HttpTransport {
    fn send(&self, mut request: Request<WasiBody>, timeouts: Timeouts) -> Answer {
        let (announced, flood) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let tell = Arc::clone(&flood);
        hyper::ext::on_informational(&mut request, move |_| {
            if announced.fetch_add(1, Ordering::Relaxed) >= MOST_INFORMATIONAL {
                tell.notify_one();
            }
        });
        let private = request.extensions_mut().remove::<PrivateNetworks>().unwrap_or_default();
        let response = self.client.request(request);
        let response = DIALING.scope(Dialing { within: timeouts.connect, private }, response);
        Box::pin(async move {
            // Connecting has its own timeout inside; a pooled connection needs none of it.
            let response = tokio::select! {
                response = timeout(timeouts.connect + timeouts.first_byte, response) => response,
                // They are heads as well, and too many of them.
                () = flood.notified() => return Err(Error::HttpResponseHeaderSectionSize(None)),
            };
            let response = response
                .map_err(|_| Error::ConnectionReadTimeout)?
                .map_err(|error| sending_failed(&error))?;
            Ok(response.map(|body| {
                let body = body.map_err(|error| exchange_failed(&error));
                timed(body, timeouts.between_bytes).boxed_unsync()
            }))
        })
    }
}

/// The word of WASI for a request that got no response.
fn sending_failed(error: &ClientError) -> Error {
    if let Some(error) = cause::<ProxyError>(error) {
        return proxy_failed(error);
    }
    match cause::<Dial>(error) {
        Some(Dial::Timeout) => return Error::ConnectionTimeout,
        Some(Dial::Prohibited) => return Error::DestinationIpProhibited,
        Some(Dial::NotFound) => {
            return Error::DnsError { rcode: Some("the name does not resolve".into()), info_code: None };
        }
        None => {}
    }
    if let Some(error) = cause::<rustls::Error>(error) {
        return match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Error::TlsCertificateError
            }
            rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
                alert_id: Some(u8::from(*alert)),
                alert_message: alert.as_str().map(str::to_owned),
            },
            _ => Error::TlsProtocolError,
        };
    }
    if let Some(error) = cause::<hyper::Error>(error) {
        return exchange_failed(error);
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        Some(io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            Error::DestinationUnavailable
        }
        Some(io::ErrorKind::UnexpectedEof) if error.is_connect() => Error::TlsProtocolError,
        _ if error.is_connect() => Error::DestinationUnavailable,
        _ => Error::ConnectionTerminated,
    }
}

/// The word of WASI for a proxy that gave no tunnel. They are those of RFC 9209, which has them from proxies. Which proxy it was
/// and what it said is in the host's log: a component needs to know who must act and no more.
fn proxy_failed(error: &ProxyError) -> Error {
    match error {
        ProxyError::Unreachable(Some(io::ErrorKind::ConnectionRefused)) => Error::ConnectionRefused,
        ProxyError::Unreachable(_) => Error::DestinationUnavailable,
        ProxyError::Timeout | ProxyError::Answered(StatusCode::GATEWAY_TIMEOUT) => Error::ConnectionTimeout,
        // Its credentials or its rules: the operator's matter, as no later attempt will be.
        ProxyError::Answered(status) if status.is_client_error() => Error::ConfigurationError,
        ProxyError::Answered(_) => Error::DestinationUnavailable,
        ProxyError::Protocol => Error::HttpProtocolError,
    }
}

/// The word of WASI for a connection that failed while a request or a response was on it.
fn exchange_failed(error: &hyper::Error) -> Error {
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_closed() || error.is_canceled() || cause::<io::Error>(error).is_some() {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}

/// Fails a response's body when nothing comes for too long. The clock starts when a reader waits and stops with each piece: a
/// component that takes its time between two reads loses nothing.
struct Timed {
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
    waiting: bool,
}

fn timed<B>(inner: B, limit: Duration) -> Guarded<B, Timed> {
    Guarded { inner, guard: Timed { limit, alarm: Box::pin(sleep(limit)), waiting: false } }
}

impl Guard for Timed {
    fn pass(&mut self, polled: Polled, context: &mut Context<'_>) -> Polled {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        if !self.waiting {
            self.waiting = true;
            self.alarm.as_mut().reset(Instant::now() + self.limit);
        }
        self.alarm.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }
}
