//! The way through a proxy: one CONNECT, and then TLS with the target and not with the proxy.
//!
//! The proxy is what the operator wrote, and never what the environment says (`HTTPS_PROXY`): whoever can set a variable could
//! read along otherwise. It learns the target's name and port and sees ciphertext; the target learns nothing of the proxy's
//! credentials, for they are in no other request than CONNECT.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::error::Error;

/// Bytes and lines of the head of a proxy's answer.
const LONGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 100;

/// A proxy as the operator wrote it.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Without credentials.
    pub(crate) uri: Uri,
    credentials: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.uri)
    }
}

impl Proxy {
    /// From `http://host:port` or `http://user:password@host:port`. No error quotes the text, which may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        Self::read(url).map_err(|reason| {
            Error::Setup(format!("the proxy is not usable: {reason}; write `http://host:port` or `http://user:password@host:port`"))
        })
    }

    fn read(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url
            .parse()
            .map_err(|_| "it is no URL (`@`, `/` and the like are percent-encoded in a password)")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return Err("it is reached by plain http, through which TLS with the target goes"),
            None => return Err("it is no URL"),
        }
        let authority = uri.authority().ok_or("it names no host")?;
        let (user, address) = match authority.as_str().rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority.as_str()),
        };
        if authority.port_u16().is_none_or(|port| port == 0) || authority.host().is_empty() {
            return Err("its port is missing, for none is usual");
        }
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err("there is something behind its port");
        }
        let uri = Uri::builder().scheme("http").authority(address).path_and_query("/");
        let uri = uri.build().map_err(|_| "its host is none")?;
        Ok(Self { uri, credentials: user.map(basic).transpose()? })
    }
}

/// What `Proxy-Authorization` says (RFC 7617).
fn basic(user_and_password: &str) -> Result<HeaderValue, &'static str> {
    let (user, password) = user_and_password.split_once(':').unwrap_or((user_and_password, ""));
    let mut plain = Zeroizing::new(Vec::with_capacity(user_and_password.len() + 1));
    plain.extend(percent_decode_str(user));
    if plain.contains(&b':') {
        return Err("a user's name holds no colon");
    }
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let mut said = Zeroizing::new(String::from("Basic "));
    STANDARD.encode_string(&*plain, &mut said);
    let mut value = HeaderValue::from_str(&said).map_err(|_| "its credentials cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why there is no way through the proxy.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// There is no connection to the proxy itself.
    Unreachable(Option<io::ErrorKind>),
    /// It took longer than connecting may.
    Timeout,
    /// It answered, and not with a tunnel.
    Answered(StatusCode),
    /// What it answered is no HTTP, or not what belongs there.
    Protocol,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(Some(kind)) => write!(f, "the proxy cannot be reached: {kind}"),
            Self::Unreachable(None) => f.write_str("the proxy cannot be reached: its name does not resolve"),
            Self::Timeout => f.write_str("the proxy did not connect in time"),
            Self::Answered(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
                f.write_str("the proxy wants other credentials than it was given (407)")
            }
            Self::Answered(status) if status.is_client_error() => {
                write!(f, "the proxy does not allow the target ({})", status.as_u16())
            }
            Self::Answered(status) => write!(f, "the proxy does not reach the target ({})", status.as_u16()),
            Self::Protocol => f.write_str("the proxy does not speak HTTP, or is none"),
        }
    }
}

impl StdError for ProxyError {}

/// Makes a connection to a proxy into one to `target` (`host:port`).
pub(crate) async fn tunnel(
    stream: TokioIo<TcpStream>,
    proxy: &Proxy,
    target: &str,
) -> Result<TokioIo<TcpStream>, ProxyError> {
    let broken = |_| ProxyError::Protocol;
    let mut request = Request::connect(target).header(header::HOST, target);
    if let Some(credentials) = &proxy.credentials {
        request = request.header(header::PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| ProxyError::Protocol)?;
    let mut http = http1::Builder::new();
    http.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) = http.handshake(stream).await.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        match response.status() {
            status if status.is_success() => hyper::upgrade::on(response).await.map_err(broken),
            status => Err(ProxyError::Answered(status)),
        }
    };
    let (mut exchange, connection) = (Box::pin(exchange), Box::pin(connection.with_upgrades()));
    let upgraded = tokio::select! {
        upgraded = &mut exchange => upgraded,
        _ = connection => exchange.await,
    }?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| ProxyError::Protocol)?;
    // In TLS the client speaks first. Whoever speaks before is not the target.
    match parts.read_buf.is_empty() {
        true => Ok(parts.io),
        false => Err(ProxyError::Protocol),
    }
}
