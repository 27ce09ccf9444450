//! How a connection is made: the name resolved, its addresses looked at, TCP and, if there is one, the way through the proxy.
//!
//! Names are resolved here and not by the operating system's `connect`, so that the addresses that were checked are the
//! ones connected to: asking twice would let a name server answer "public" the first time and "127.0.0.1" the second.
//!
//! With a proxy it is the proxy that resolves a target's name, and nothing here does. To resolve it here as well would look
//! like a check and be none: the proxy asks again and may be told something else, and where a proxy is the only way out,
//! outer names often do not resolve inside. So the rules here say which names are reached, and the proxy's own rules must
//! say that none of them leads inside (in Squid: `http_access deny to_localhost`, and the same for private networks). What
//! means this machine (`localhost`, `127.0.0.1`) never goes to a proxy: there it would mean the proxy's machine.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::egress::{PrivateNetworks, is_loopback, name_may_resolve_to};
use super::proxy::{Proxy, ProxyError, tunnel};
use crate::contract::printable;
use crate::throttle::Throttle;

/// How long connecting takes at most where nothing else was asked for.
pub(crate) const USUAL_CONNECT: Duration = Duration::from_secs(10);
const LOG_LINES_PER_MINUTE: u32 = 10;

/// What a request says of the connection that is made for it.
#[derive(Clone, Debug)]
pub(crate) struct Dialing {
    pub(crate) within: Duration,
    pub(crate) private: PrivateNetworks,
}

impl Default for Dialing {
    fn default() -> Self {
        Self { within: USUAL_CONNECT, private: PrivateNetworks::default() }
    }
}

tokio::task_local! {
    /// The client has no way to pass anything from a request to the connection made for it; this is one.
    pub(crate) static DIALING: Dialing;
}

/// Of the request that a connection is made for. One that the pool finishes in the background after its request was served
/// belongs to no request, unless it was begun for one.
fn dialing() -> Dialing {
    DIALING.try_with(Clone::clone).unwrap_or_default()
}

/// Makes connections within the time the request allows.
#[derive(Clone)]
pub(crate) struct Dialer {
    https: HttpsConnector<Route>,
}

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Dialer {
    pub(crate) fn new(tls: rustls::ClientConfig, lookup: Lookup, proxy: Option<Proxy>) -> Self {
        let log: Log = Arc::new(Mutex::new(Throttle::per_minute(LOG_LINES_PER_MINUTE)));
        let proxied = proxy.map(|proxy| Proxied {
            tcp: tcp(Resolver { lookup: Arc::clone(&lookup), may_be_inner: true, log: Arc::clone(&log) }),
            proxy: Arc::new(proxy),
            log: Arc::clone(&log),
        });
        let direct = tcp(Resolver { lookup, may_be_inner: false, log });
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Route { direct, proxied });
        Self { https }
    }
}

fn tcp(resolver: Resolver) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    tcp
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialing = dialing();
        let within = dialing.within;
        let connecting = self.https.call(uri);
        Box::pin(async move {
            match timeout(within, DIALING.scope(dialing, connecting)).await {
                Ok(connected) => connected,
                Err(_) => Err(Dial::Timeout.into()),
            }
        })
    }
}

/// Straight to the target, or through the proxy.
#[derive(Clone)]
struct Route {
    direct: HttpConnector<Resolver>,
    proxied: Option<Proxied>,
}

#[derive(Clone)]
struct Proxied {
    tcp: HttpConnector<Resolver>,
    proxy: Arc<Proxy>,
    log: Log,
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match &self.proxied {
            Some(proxied) if !uri.host().is_some_and(is_loopback) => {
                let proxied = proxied.clone();
                // Made before the one around it, so that it ends first and says who was waited for.
                let within = timeout(dialing().within, proxied.clone().connect(uri.clone()));
                Box::pin(async move {
                    let connected = within.await.unwrap_or(Err(ProxyError::Timeout));
                    Ok(connected.inspect_err(|error| proxied.tell(&uri, error))?)
                })
            }
            _ => {
                let connecting = self.direct.call(uri);
                Box::pin(async move { Ok(connecting.await?) })
            }
        }
    }
}

impl Proxied {
    async fn connect(mut self, uri: Uri) -> Result<TokioIo<TcpStream>, ProxyError> {
        let stream = self
            .tcp
            .call(self.proxy.uri.clone())
            .await
            .map_err(|error| ProxyError::Unreachable(cause::<io::Error>(&error).map(io::Error::kind)))?;
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let target = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(usual));
        tunnel(stream, &self.proxy, &target).await
    }

    fn tell(&self, uri: &Uri, error: &ProxyError) {
        let Some(suppressed) = admit(&self.log) else { return };
        let proxy = self.proxy.uri.authority().map_or("", |authority| authority.as_str());
        let target = printable(uri.host().unwrap_or_default().to_owned());
        tracing::warn!(proxy, target, suppressed, "{error}");
    }
}

type Log = Arc<Mutex<Throttle>>;

fn admit(log: &Log) -> Option<u64> {
    log.lock().unwrap_or_else(PoisonError::into_inner).admit()
}

/// Why no connection was made, where the cause is our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
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
/// Finds the addresses of a name.
pub(crate) type Lookup = Arc<dyn Fn(String) -> Addresses + Send + Sync>;

pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Resolves a name and passes on those addresses alone that may be connected to.
#[derive(Clone)]
struct Resolver {
    lookup: Lookup,
    /// The operator wrote the proxy's name and no component can, so it may be anywhere.
    may_be_inner: bool,
    log: Log,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Dial;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Dial>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Dial>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = (self.lookup)(name.as_str().to_owned());
        let private = dialing().private;
        let (may_be_inner, log) = (self.may_be_inner, Arc::clone(&self.log));
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
                .filter(|address| may_be_inner || name_may_resolve_to(name.as_str(), *address, &private))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() {
                if let Some(suppressed) = admit(&log) {
                    tracing::warn!(%name, suppressed, "resolves to addresses that are not allowed, and to no other");
                }
                return Err(Dial::Prohibited);
            }
            Ok(allowed.into_iter())
        })
    }
}

/// Finds an error of a type among the causes of another, also where an `io::Error` hides it from `source`.
pub(crate) fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(answers: &'static [&'static [&'static str]]) -> Resolver {
        let answers = Mutex::new(answers.iter());
        let lookup: Lookup = Arc::new(move |_| {
            let answer = answers.lock().unwrap().next().unwrap();
            let addresses = answer.iter().map(|address| address.parse().unwrap()).collect();
            Box::pin(async move { Ok(addresses) })
        });
        Resolver { lookup, may_be_inner: false, log: Arc::new(Mutex::new(Throttle::per_minute(1))) }
    }

    async fn addresses(resolver: &mut Resolver, private: &[&str]) -> Result<Vec<String>, Dial> {
        let private = PrivateNetworks(private.iter().map(|network| network.parse().unwrap()).collect());
        let dialing = Dialing { private, ..Dialing::default() };
        let found =
            DIALING.scope(dialing, async { resolver.call("logs.example.com".parse().unwrap()).await });
        Ok(found.await?.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn a_name_that_is_rebound_to_loopback_is_refused_the_second_time() {
        let mut resolver = resolver(&[&["93.184.216.34", "127.0.0.1"], &["127.0.0.1"]]);
        let first = addresses(&mut resolver, &[]).await.unwrap();
        assert_eq!(first, ["93.184.216.34"], "and what is connected to is what was checked");
        assert_eq!(addresses(&mut resolver, &[]).await.unwrap_err(), Dial::Prohibited);
    }

    #[tokio::test]
    async fn a_name_with_an_exception_is_rebound_to_nothing_outside_of_it() {
        let mut resolver = resolver(&[
            &["10.20.0.1", "127.0.0.1", "10.21.0.1"],
            &["127.0.0.1"],
            &["169.254.169.254"],
            &["10.21.0.1"],
        ]);
        let first = addresses(&mut resolver, &["10.20.0.0/16"]).await.unwrap();
        assert_eq!(first, ["10.20.0.1"]);
        for _ in 0..3 {
            assert_eq!(addresses(&mut resolver, &["10.20.0.0/16"]).await.unwrap_err(), Dial::Prohibited);
        }
    }
}
