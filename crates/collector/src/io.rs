//! The two doors to the world: HTTP and the clock. Whoever runs the collector brings both.

use crate::secret::Secret;
use std::{fmt, io::Read, time::Duration};

/// Time as the host knows it.
pub trait Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z. May jump.
    fn now_ms(&self) -> i64;
    /// Time since an unspecified start. Never goes back.
    fn elapsed(&self) -> Duration;
}

/// Sends HTTP requests. Follows no redirects, decodes nothing, keeps no cookies.
pub trait Http {
    /// Sends a request and returns once the answer's headers are there.
    ///
    /// # Errors
    /// When no answer came. An answer with an error status is an answer.
    fn send(&mut self, request: &Request) -> Result<Response, TransportError>;

    /// Sends a request whose answer is wanted later, and returns at once. Nothing, where it sends one request at a time.
    fn begin(&mut self, _request: &Request) -> Option<Box<dyn Pending>> {
        None
    }
}

/// A request that is under way. Whoever drops it gives it up.
pub trait Pending {
    /// Waits until the answer's headers are there.
    ///
    /// # Errors
    /// As [`Http::send`].
    fn answer(self: Box<Self>) -> Result<Response, TransportError>;
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// Until an answer begins.
    pub first_byte: Duration,
    /// Between two parts of a body. A body as a whole may take any time, as long as it flows.
    pub between_bytes: Duration,
}

/// An HTTP request.
#[derive(Debug)]
pub struct Request {
    /// GET without a body, POST with one.
    pub body: Option<Secret>,
    /// `https`, but for loopback addresses.
    pub secure: bool,
    /// Host, or host and port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case. Values may be secrets.
    pub headers: Vec<(&'static str, Secret)>,
    /// How long to wait for the answer.
    pub timeouts: Timeouts,
}

/// The head of an HTTP answer, and a body to read.
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it comes over the wire: not decompressed.
    pub body: Box<dyn Read>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why no answer came, in the transport's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// The host forbids contacting this authority. Trying again will not help.
    Denied(String),
    /// Anything else: name resolution, connection, TLS, time-outs.
    Failed(String),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}
