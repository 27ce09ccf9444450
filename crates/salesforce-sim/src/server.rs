//! The simulator over HTTP: two listeners on 127.0.0.1, one for the org and one for its control.

use std::convert::Infallible;
use std::io;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderValue, VARY};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};

use crate::answer::{Answer, Content};
use crate::body::{Body, Piece};
use crate::control;
use crate::download::{self, CutAt, CutEnd};
use crate::faults::FaultAction;
use crate::org::Org;
use crate::requests::Entry;
use crate::rest;
use crate::settings::OrgSettings;

/// Most bytes of a request body.
const MAX_REQUEST: usize = 64 * 1024;

/// JSON answers from this length on are compressed for clients that accept it.
const COMPRESSED_FROM: usize = 1024;

/// A running simulator. Dropping it closes both listeners and every connection.
pub struct Simulator {
    org: Arc<Org>,
    url: String,
    control_url: String,
    tasks: [AbortHandle; 2],
}

impl Simulator {
    /// Makes an org and serves it from tasks of the current tokio runtime.
    ///
    /// # Errors
    /// If a port cannot be bound or an event type is unknown; the message names it.
    pub async fn start(settings: OrgSettings) -> io::Result<Self> {
        let known = crate::event_types();
        let unknown = settings.files.event_types.iter().filter(|name| !known.contains(&name.as_str()));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            let (unknown, known) = (unknown.join(", "), known.join(", "));
            let problem = format!("no event type {unknown}: there are {known}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let listener = bind(settings.port).await?;
        let control = bind(settings.control_port).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let control_url = format!("http://{}", control.local_addr()?);
        let base_url = url.clone();
        let org =
            spawn_blocking(move || Arc::new(Org::new(settings, base_url))).await.map_err(io::Error::other)?;
        let tasks = [
            tokio::spawn(accept(listener, Arc::clone(&org), serve)).abort_handle(),
            tokio::spawn(accept(control, Arc::clone(&org), control::serve)).abort_handle(),
        ];
        Ok(Self { org, url, control_url, tasks })
    }

    /// Base URL of the org, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Base URL of the control listener, without a slash at its end.
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// The org behind it.
    pub fn org(&self) -> &Arc<Org> {
        &self.org
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

/// Accepts connections until it is aborted; they end with it.
async fn accept<S, F>(listener: TcpListener, org: Arc<Org>, serve: S)
where
    S: Fn(Arc<Org>, Request<Incoming>) -> F + Copy + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is the failure of one client, or passes.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        // Without it small answers can wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let org = Arc::clone(&org);
        let service = service_fn(move |request| {
            let answer = serve(Arc::clone(&org), request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        connections.spawn(async move {
            // Clients break connections, and faults do: neither concerns anyone here.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Answers one request to the org.
async fn serve(org: Arc<Org>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let entry = org.requests().received(request.method().as_str(), &path);
    let gzip = accepts_gzip(request.headers());
    let method = request.method().as_str().to_owned();
    let (mut planned, mut damage, mut delay) = (None, Damage::default(), 0);
    for action in org.faults.strike(&method, &path) {
        let cut = |after, end| Some(CutAt { after, end });
        match action {
            FaultAction::Answer { status, body } => planned = Some(planned_answer(status, body)),
            FaultAction::Delay { millis } => delay += millis,
            FaultAction::CutSilently { after } => damage.cut = cut(after, CutEnd::Complete),
            FaultAction::CutConnection { after } => damage.cut = cut(after, CutEnd::Breaks),
            FaultAction::Stall { after } => damage.cut = cut(after, CutEnd::Stalls),
            FaultAction::Drip {} => damage.drips = true,
            FaultAction::CorruptGzip { at } => damage.wrong_byte = Some(at),
            FaultAction::WrongLength { by } => damage.length_off = by,
            FaultAction::RevokeSessions => {
                org.expire_sessions();
            }
            FaultAction::ExhaustQuota => org.exhaust_quota(),
        }
    }
    if delay > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
    }
    let mut answer = match planned {
        Some(answer) => answer,
        None => answer(Arc::clone(&org), request).await,
    };
    if damage.length_off != 0 {
        shift_lengths(&mut answer, damage.length_off);
    }
    render(&org, &entry, answer, gzip, damage)
}

/// What faults do to an answer on its way.
#[derive(Debug, Clone, Copy, Default)]
struct Damage {
    cut: Option<CutAt>,
    drips: bool,
    wrong_byte: Option<u64>,
    length_off: i64,
}

/// Makes every `LogFileLength` wrong by so many bytes.
fn shift_lengths(answer: &mut Answer, by: i64) {
    let Content::Whole { bytes, .. } = &mut answer.content else { return };
    let Ok(mut page) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let records = page.get_mut("records").and_then(serde_json::Value::as_array_mut);
    for record in records.into_iter().flatten() {
        if let Some(length) = record.get("LogFileLength").and_then(serde_json::Value::as_f64) {
            record["LogFileLength"] = (length + by as f64).into();
        }
    }
    *bytes = page.to_string().into_bytes();
}

async fn answer(org: Arc<Org>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_REQUEST).collect().await else {
        let message = format!("request bodies end at {MAX_REQUEST} bytes");
        return Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", &message);
    };
    // Off the runtime's threads: a query may measure files, and a signature takes its time.
    let answer = spawn_blocking(move || rest::answer(&org, &parts, &body.to_bytes())).await;
    answer.unwrap_or_else(|error| {
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN_EXCEPTION", &error.to_string())
    })
}

fn planned_answer(status: u16, body: String) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = body.starts_with(['[', '{']);
    let content_type = if json { "application/json;charset=UTF-8" } else { "text/html;charset=UTF-8" };
    Answer::new(status, content_type, body.into_bytes())
}

fn render(
    org: &Arc<Org>,
    entry: &Arc<Entry>,
    answer: Answer,
    gzip: bool,
    Damage { cut, drips, wrong_byte, .. }: Damage,
) -> Response<Body> {
    let mut headers = HeaderMap::from_iter(answer.headers);
    let now = org.clock().now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::from_str(&now) {
        headers.insert(DATE, now);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    let body = match answer.content {
        Content::LogFile(file) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
            if gzip {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            download::body(org, entry, file, gzip, cut, wrong_byte)
        }
        Content::Whole { content_type, mut bytes } => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            let short = cut.filter(|cut| cut.after < bytes.len() as u64);
            if let Some(cut) = short {
                bytes.truncate(cut.after as usize);
            }
            entry.made(bytes.len() as u64);
            let compressible = gzip && bytes.len() >= COMPRESSED_FROM && short.is_none();
            if let Some(compressed) = compressible.then(|| compress(&bytes)).and_then(Result::ok) {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                bytes = compressed;
                let last = bytes.len().saturating_sub(1);
                if let Some(byte) = wrong_byte.and_then(|at| bytes.get_mut(last.min(at as usize))) {
                    *byte ^= 0xff;
                }
            }
            match short {
                Some(CutAt { end: end @ (CutEnd::Breaks | CutEnd::Stalls), .. }) => {
                    let last = if end == CutEnd::Breaks { Piece::Break } else { Piece::Stall };
                    Body::written(move |mut writer| {
                        let _ = writer.write_all(&bytes).and_then(|()| writer.leave(last));
                    })
                }
                _ => Body::whole(bytes),
            }
        }
    };
    let body = if drips { body.dripping() } else { body };
    org.requests().answered(entry, answer.status.as_u16());
    let mut response = Response::new(body.counted(Arc::clone(org), Arc::clone(entry)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Whether `Accept-Encoding` lists gzip with a weight other than 0 (RFC 9110 section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !zero
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_the_client_lists_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(accepts("gzip") && accepts("deflate, GZIP;q=0.5"));
        assert!(!accepts("identity") && !accepts("gzip;q=0") && !accepts_gzip(&HeaderMap::new()));
    }
}
