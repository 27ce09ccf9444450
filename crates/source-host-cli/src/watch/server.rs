//! Answers three addresses, and nothing else.
//!
//! Whoever can reach it may be slow, or many: connections are bounded, a head must come in time, no connection lives for
//! long, and one scrape is made at a time. It asks nobody for a password, so it listens to this machine alone unless told
//! otherwise.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::metrics::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";

/// What a client may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Connections at the same time. Others wait. Default 32.
    pub connections: usize,
    /// Until the head of a request must be there. Default 10 s.
    pub header_time: Duration,
    /// Until a connection is closed after the answer it is at. Default 60 s; twice that, and it is cut.
    pub connection_time: Duration,
    /// What answers get to end in when the server is told to stop. Default 5 s.
    pub shutdown_time: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 32,
            header_time: Duration::from_secs(10),
            connection_time: Duration::from_secs(60),
            shutdown_time: Duration::from_secs(5),
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another program listens there.
    #[error(
        "cannot listen on {0} for metrics and health: another program does; is a second host running, or is the address taken?"
    )]
    InUse(SocketAddr),
    /// The system would not have it.
    #[error("cannot listen on {0} for metrics and health: {1}")]
    Refused(SocketAddr, io::Error),
}

/// Answers `/metrics`, `/healthz` and `/readyz`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ServerLimits,
    pages: Pages,
}

#[derive(Clone, Debug)]
struct Pages {
    metrics: Metrics,
    health: Health,
    /// One at a time: what is made for ten thousand tenants is large.
    one_at_a_time: Arc<Semaphore>,
}

impl Server {
    /// Listens. Nothing is answered before [`run`](Self::run).
    pub async fn bind(
        address: SocketAddr,
        metrics: Metrics,
        health: Health,
        limits: ServerLimits,
    ) -> Result<Self, ServerError> {
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ServerError::InUse(address),
            _ => ServerError::Refused(address, error),
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let pages = Pages { metrics, health, one_at_a_time: Arc::new(Semaphore::new(1)) };
        Ok(Self { listener, address, limits, pages })
    }

    /// Where it listens: with the port that was found where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to stop, and then ends what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.limits.connections.max(1)));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    tokio::spawn(converse(stream, permit, self.pages.clone(), self.limits, stop.clone()));
                }
                Err(error) => {
                    // Mostly there are no file descriptors left: they come back, and asking on at once would spin.
                    tracing::warn!(%error, "a connection for metrics could not be taken");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        let all = u32::try_from(self.limits.connections.max(1)).unwrap_or(u32::MAX);
        let _ = timeout(self.limits.shutdown_time, permits.acquire_many(all)).await;
    }
}

/// A permit first: who finds none waits in the system's queue and costs nothing.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn converse(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    pages: Pages,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| answer(pages.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let grace = tokio::select! {
        _ = &mut connection => return,
        () = stop.cancelled() => limits.shutdown_time,
        () = sleep(limits.connection_time) => limits.connection_time,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(grace, connection).await;
    drop(permit);
}

async fn answer(pages: Pages, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let metrics = pages.metrics.clone();
            let text = aside(&pages.one_at_a_time, move || metrics.scrape()).await;
            text.map(|text| (StatusCode::OK, OPEN_METRICS, text))
        }
        (&Method::GET, "/healthz") => {
            let health = pages.health.clone();
            let report = aside(&pages.one_at_a_time, move || health.report()).await;
            report.map(|report| {
                let status = if report.stuck == 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, JSON, serde_json::to_string(&report).unwrap_or_default())
            })
        }
        (&Method::GET, "/readyz") => Some(match pages.health.ready() {
            Ok(()) => (StatusCode::OK, JSON, r#"{"status":"ready"}"#.to_owned()),
            Err(why) => {
                let body = format!(r#"{{"status":"not ready","why":"{why}"}}"#);
                (StatusCode::SERVICE_UNAVAILABLE, JSON, body)
            }
        }),
        _ => Some((
            StatusCode::NOT_FOUND,
            "text/plain",
            "there are /metrics, /healthz and /readyz\n".to_owned(),
        )),
    };
    let (status, kind, body) =
        page.unwrap_or((StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()));
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// On a thread that may block, one at a time.
async fn aside<T: Send + 'static>(
    one_at_a_time: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let permit = Arc::clone(one_at_a_time).acquire_owned().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    done.await.ok()
}
