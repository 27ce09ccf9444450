//! An org that is asked without a network, from any thread.
//!
//! For tests that run many collections: no socket, no runtime, no waiting, and with [`OrgSettings::clock_fixed_at`] set
//! nothing that is not in the settings or in the requests. The same settings and the same requests, in the same order,
//! get the same answers, byte by byte, tokens included.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use http::Request;

use super::piece::Piece;
use super::reply::{self, Received, ReplyBody};
use crate::org::Org;
use crate::org::requests::Entry;
use crate::rest::answer::Lost;
use crate::settings::OrgSettings;

/// Where an offline org says that it is.
const URL: &str = "https://simulated.my.salesforce.com";

/// How much of a body comes before a client is tired of one byte a second.
const DRIPPED: usize = 16;

/// How many milliseconds a client has waited that gave up where nothing ever came: a day.
const STALLED: u64 = 86_400_000;

/// An org without a network.
///
/// Planned faults happen as over HTTP, but for those that are about time. A [delay](crate::FaultAction::Delay) is a request
/// that gets no answer, and that the org never looks at; a [stall](crate::FaultAction::Stall) is a body that ends with an
/// error where it would stand still, [drip](crate::FaultAction::Drip) one that ends with an error after 16 bytes. Both
/// errors have the kind [`io::ErrorKind::TimedOut`]; that of a cut connection is [`io::ErrorKind::ConnectionReset`].
///
/// ```
/// use std::io::Read as _;
/// use salesforce_sim::{OrgSettings, Rows, Simulator, Workload};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let org = Simulator::offline(OrgSettings {
///     clock_fixed_at: Some("2026-03-04T18:20:00Z".parse()?),
///     workload: Workload { hours: 3, rows: Rows::Total(1_000), ..Workload::default() },
///     ..OrgSettings::default()
/// })?;
/// let form = "grant_type=client_credentials&client_id=3MVG9simulated.consumer.key\
///             &client_secret=simulated.consumer.secret";
/// let headers = [("content-type", "application/x-www-form-urlencoded")];
/// let mut granted = org.answer("POST", "/services/oauth2/token", &headers, form.as_bytes())?;
/// assert_eq!(granted.status, 200);
///
/// let mut json = String::new();
/// granted.body.read_to_string(&mut json)?;
/// let token = serde_json::from_str::<serde_json::Value>(&json)?["access_token"].to_string();
/// let bearer = format!("Bearer {}", token.trim_matches('"'));
/// let query = "/services/data/v65.0/query?q=SELECT+count()+FROM+LoginHistory";
/// let mut counted = org.answer("GET", query, &[("authorization", &bearer)], b"")?;
/// json.clear();
/// counted.body.read_to_string(&mut json)?;
/// assert!(json.starts_with(r#"{"totalSize":1000"#));
/// # Ok(())
/// # }
/// ```
pub struct OfflineOrg {
    org: Arc<Org>,
}

/// An answer of an [`OfflineOrg`].
pub struct OfflineAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it would come over the wire, made while it is read: compressed where the request accepts gzip.
    pub body: Box<dyn Read + Send>,
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The request is none: its method, its path or one of its headers.
    #[error("no HTTP request: {0}")]
    NoRequest(String),
    /// A planned delay, or a query that cost too much and stalls: then nothing came for a day.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// The connection was closed before the first byte.
    #[error("the connection was closed")]
    Closed,
}

impl OfflineOrg {
    pub(crate) fn new(settings: OrgSettings) -> io::Result<Self> {
        settings.check()?;
        Ok(Self { org: Arc::new(Org::new(settings, URL.to_owned())) })
    }

    /// Base URL of the org, which `instance_url` says and `aud` may be. Nothing listens there.
    pub fn url(&self) -> &str {
        &self.org.base_url
    }

    /// The org behind it.
    pub fn org(&self) -> &Arc<Org> {
        &self.org
    }

    /// Sends a request. `path` begins with a slash and has its query.
    ///
    /// # Errors
    /// If it is no request, or it is planned that it gets no answer or a late one.
    pub fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<OfflineAnswer, Unanswered> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).map_err(|error| Unanswered::NoRequest(error.to_string()))?;
        let (request, ()) = request.into_parts();
        let mut received = Received::new(&self.org, &request);
        if received.delay > 0 {
            return Err(Unanswered::TimedOut(received.delay));
        }
        let answer = match received.planned.take() {
            Some(answer) => answer,
            None => reply::answer(&self.org, &request, Some(body), &received.query_faults),
        };
        let reply = received.reply(&self.org, answer).map_err(|lost| match lost {
            Lost::Closed => Unanswered::Closed,
            Lost::Stalled => Unanswered::TimedOut(STALLED),
        })?;
        let headers = reply.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(OfflineAnswer {
            status: reply.status.as_u16(),
            headers: headers.collect(),
            body: Box::new(Body {
                org: Arc::clone(&self.org),
                entry: received.entry,
                source: reply.body,
                piece: Bytes::new(),
                dripped: reply.pace.map(|_| 0),
            }),
        })
    }
}

/// A body that is made while it is read.
struct Body {
    org: Arc<Org>,
    entry: Arc<Entry>,
    source: ReplyBody,
    /// What of the last piece is not read yet.
    piece: Bytes,
    /// Bytes read of a body that drips.
    dripped: Option<usize>,
}

impl Body {
    fn next_piece(&mut self) -> Piece {
        match &mut self.source {
            ReplyBody::Download(download) => download.next_piece(),
            ReplyBody::Whole(bytes, end) if bytes.is_empty() => end.piece(),
            ReplyBody::Whole(bytes, _) => Piece::Data(std::mem::take(bytes).into()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.piece.is_empty() {
            match self.next_piece() {
                Piece::Data(piece) => self.piece = piece,
                Piece::End => {
                    self.org.requests().completed(&self.entry);
                    return Ok(0);
                }
                Piece::Break => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the body was cut"));
                }
                Piece::Stall => return Err(io::Error::new(io::ErrorKind::TimedOut, "the body stands still")),
            }
        }
        let mut length = buffer.len().min(self.piece.len());
        if let Some(dripped) = &mut self.dripped {
            length = length.min(DRIPPED - *dripped);
            if length == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the body comes one byte a second"));
            }
            *dripped += length;
        }
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.advance(length);
        self.org.requests().sent(&self.entry, length as u64);
        Ok(length)
    }
}
