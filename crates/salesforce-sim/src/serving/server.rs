//! The simulator over HTTP: two listeners on 127.0.0.1, one for the org and one for its control.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::Duration;

use super::body::Body;
use super::control;
use super::offline::OfflineOrg;
use super::reply::{self, MAX_REQUEST, Received, ReplyBody};
use crate::faults::QueryFaults;
use crate::org::Org;
use crate::rest::answer::{Answer, Lost};
use crate::settings::OrgSettings;

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
        settings.check()?;
        let listener = bind(settings.port).await?;
        let control = bind(settings.control_port).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let control_url = format!("http://{}", control.local_addr()?);
        let base_url = url.clone();
        let org =
            spawn_blocking(move || Arc::new(Org::new(settings, base_url))).await.map_err(io::Error::other)?;
        let tasks = [
            tokio::spawn(accept(listener, Arc::clone(&org), serve)).abort_handle(),
            tokio::spawn(accept(control, Arc::clone(&org), serve_control)).abort_handle(),
        ];
        Ok(Self { org, url, control_url, tasks })
    }

    /// Makes an org that is asked without a network; see [`OfflineOrg`].
    ///
    /// # Errors
    /// If an event type is unknown; the message names it.
    pub fn offline(settings: OrgSettings) -> io::Result<OfflineOrg> {
        OfflineOrg::new(settings)
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
    F: Future<Output = Result<Response<Body>, Closed>> + Send + 'static,
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
        let service = service_fn(move |request| serve(Arc::clone(&org), request));
        connections.spawn(async move {
            // Clients break connections, and faults do: neither concerns anyone here.
            let mut http = http1::Builder::new();
            // The org dates its answers itself, and some not at all.
            http.auto_date_header(false);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed")]
struct Closed;

/// Answers one request to the control listener.
async fn serve_control(org: Arc<Org>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    Ok(control::serve(org, request).await)
}

/// Answers one request to the org.
async fn serve(org: Arc<Org>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let (request, body) = request.into_parts();
    let mut received = Received::new(&org, &request);
    if received.delay > 0 {
        tokio::time::sleep(Duration::from_millis(received.delay)).await;
    }
    let answer = match received.planned.take() {
        Some(answer) => answer,
        None => answer(Arc::clone(&org), request, body, received.query_faults.clone()).await,
    };
    let reply = match received.reply(&org, answer) {
        Ok(reply) => reply,
        Err(Lost::Closed) => return Err(Closed),
        Err(Lost::Stalled) => std::future::pending().await,
    };
    let body = match reply.body {
        ReplyBody::Whole(bytes, end) => Body::cut(bytes, end),
        ReplyBody::Download(download) => Body::download(*download),
    };
    let body = match reply.pace {
        Some(pace) => body.dripping(pace),
        None => body,
    };
    let mut response = Response::new(body.counted(Arc::clone(&org), Arc::clone(&received.entry)));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

async fn answer(org: Arc<Org>, request: Parts, body: Incoming, faults: QueryFaults) -> Answer {
    let body = Limited::new(body, MAX_REQUEST).collect().await.ok().map(Collected::to_bytes);
    // Off the runtime's threads: a query may measure files, and a signature takes its time.
    let answer = spawn_blocking(move || reply::answer(&org, &request, body.as_deref(), &faults)).await;
    answer.unwrap_or_else(|error| {
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN_EXCEPTION", &error.to_string())
    })
}
