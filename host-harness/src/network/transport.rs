//! How a request travels, once it was admitted.
//!
//! [`Transport`] is the seam: tests and benches answer from memory, the default goes over TCP and TLS. The default keeps
//! connections open between requests, in a pool of its own: what a connection may carry besides requests (a server's
//! idea of who is calling, a TLS session) must not leak from one tenant to another, so each source has its own.
//!
//! Names are resolved here and not by the operating system's `connect`, so that the addresses that were checked are the
//! ones connected to: asking twice would let a name server answer "public" the first time and "127.0.0.1" the second.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::egress::name_may_resolve_to;

/// The answer to a request, to come.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

/// Sends requests that were admitted.
pub trait Transport: Send + Sync {
    /// Sends one request. Follows no redirect.
    fn send(&self, request: Request<WasiBody>, timeouts: Timeouts) -> Answer;
}

/// How long to wait for what. The defaults hold where a component asks for nothing; it may ask for more, up to the host's
/// maxima, and the time of the whole call bounds them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            connect: Duration::from_secs(10),
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

/// The default transport: HTTP/1.1 over TCP and TLS, with Mozilla's roots and a pool of connections. No proxy, no
/// redirects, no cookies.
pub struct HttpTransport {
    client: Client<Dialer, WasiBody>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// With Mozilla's roots alone.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, crate::error::Error> {
        Self::build(None, system_lookup())
    }

    /// With the certificates of a PEM file as roots besides Mozilla's.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no certificate.
    pub fn with_ca_file(file: &Path) -> Result<Self, crate::error::Error> {
        Self::build(Some(file), system_lookup())
    }

    fn build(ca_file: Option<&Path>, lookup: Lookup) -> Result<Self, crate::error::Error> {
        let mut tcp = HttpConnector::new_with_resolver(CheckedResolver { lookup });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .http1_max_buf_size(LONGEST_HEAD)
            .http1_max_headers(MOST_HEADERS)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .pool_max_idle_per_host(4)
            .build(Dialer { https });
        Ok(Self { client })
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
        let response = self.client.request(request);
        let response = CONNECT_TIMEOUT.scope(timeouts.connect, response);
        Box::pin(async move {
            // Connecting has its own timeout inside; a pooled connection needs none of it.
            let response = tokio::select! {
                response = timeout(timeouts.connect + timeouts.first_byte, response) => response,
                () = flood.notified() => return Err(Error::HttpProtocolError),
            };
            let response = response
                .map_err(|_| Error::ConnectionReadTimeout)?
                .map_err(|error| sending_failed(&error))?;
            Ok(response.map(|body| {
                let body = body.map_err(|error| exchange_failed(&error));
                TimedBody::new(body, timeouts.between_bytes).boxed_unsync()
            }))
        })
    }
}

fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, crate::error::Error> {
    let setup = |message: String| crate::error::Error::Setup(message);
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    if let Some(file) = ca_file {
        let unusable =
            |e: &dyn fmt::Display| setup(format!("the CA file {} is not usable: {e}", file.display()));
        let mut found = 0;
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unusable(&e))? {
            roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
            found += 1;
        }
        if found == 0 {
            return Err(unusable(&"it holds no certificate in PEM form"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| setup(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

tokio::task_local! {
    /// The client has no way to pass anything from a request to the connection made for it; this is one.
    static CONNECT_TIMEOUT: Duration;
}

/// Makes connections within the time the request allows.
#[derive(Clone)]
struct Dialer {
    https: HttpsConnector<HttpConnector<CheckedResolver>>,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // A connection that the pool finishes in the background after its request was served belongs to no request.
        let within = CONNECT_TIMEOUT.try_with(|t| *t).unwrap_or(Timeouts::default().connect);
        let connecting = self.https.call(uri);
        Box::pin(async move {
            match timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(Dial::Timeout.into()),
            }
        })
    }
}

/// Why no connection was made, where the cause is our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dial {
    Timeout,
    Prohibited,
    NotFound,
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "connecting took too long",
            Self::Prohibited => "the name resolves to addresses that are not allowed",
            Self::NotFound => "the name does not resolve",
        })
    }
}

impl StdError for Dial {}

type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
type Lookup = Arc<dyn Fn(String) -> Addresses + Send + Sync>;

fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Resolves a name and passes on those addresses alone that may be connected to.
#[derive(Clone)]
struct CheckedResolver {
    lookup: Lookup,
}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Dial;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Dial>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Dial>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await.map_err(|error| {
                tracing::debug!(%name, %error, "name resolution failed");
                Dial::NotFound
            })?;
            if found.is_empty() {
                return Err(Dial::NotFound);
            }
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| name_may_resolve_to(name.as_str(), *address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() {
                tracing::warn!(%name, "resolves to addresses that are not allowed, and to no other");
                return Err(Dial::Prohibited);
            }
            Ok(allowed.into_iter())
        })
    }
}

/// Finds an error of a type among the causes of another, also where an `io::Error` hides it from `source`.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The word of WASI for a request that got no response.
fn sending_failed(error: &ClientError) -> Error {
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

/// A response body that fails when nothing comes for too long. The clock starts when a reader waits and stops with each
/// piece: a component that takes its time between two reads loses nothing.
struct TimedBody<B> {
    inner: B,
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<B> TimedBody<B> {
    fn new(inner: B, limit: Duration) -> Self {
        Self { inner, limit, alarm: Box::pin(sleep(limit)), waiting: false }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                this.waiting = false;
                Poll::Ready(frame)
            }
            Poll::Pending => {
                if !this.waiting {
                    this.waiting = true;
                    this.alarm.as_mut().reset(Instant::now() + this.limit);
                }
                this.alarm.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
