//! The page and what it asks for, on loopback alone.
//!
//! The attack that this stops: a page of another site, open in the same browser, asks for `http://127.0.0.1:…` to read events. Its requests
//! carry its own `Origin`, and are refused; if it has a name of its own resolve to 127.0.0.1, its requests have that name in `Host`,
//! and are refused. The page itself may load nothing from anywhere else (`Content-Security-Policy`), so that no text of an event
//! that became markup by a mistake could carry anything away. Whoever has an account on the same machine can reach the port.

use crate::{
    definitions::Dashboard,
    engine::{Engine, Fields},
    index::{Index, LONGEST_LINE, Snapshot},
    panels::{self, View},
    query::{Mistake, Query},
    segment,
};
use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Query as Parameters, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};

include!(concat!(env!("OUT_DIR"), "/page.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// So many panels are worked on at a time; the others wait.
const AT_A_TIME: usize = 2;
/// What is looked at reaches so far beyond the first and the last document, in milliseconds, and no farther: a year.
const BEYOND: i64 = 365 * 24 * 3_600_000;
/// How often is looked for what is new.
const LOOK: Duration = Duration::from_secs(1);

/// Whether the page was built into this program.
pub fn has_page() -> bool {
    !PAGE.is_empty()
}

struct Shown {
    dashboards: Vec<Dashboard>,
    engine: RwLock<Arc<Engine>>,
    read: AtomicU64,
    total: AtomicU64,
    begun: AtomicBool,
    work: Semaphore,
}

impl Shown {
    fn engine(&self) -> Arc<Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    shown: Arc<Shown>,
    address: SocketAddr,
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 is any that is free.
    pub async fn bind(port: u16, dashboards: Vec<Dashboard>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
            format!("cannot listen on 127.0.0.1:{port}; --port names another one, 0 takes any that is free")
        })?;
        let address = listener.local_addr()?;
        let shown = Arc::new(Shown {
            dashboards,
            engine: RwLock::new(Arc::new(Engine::new(Arc::new(Snapshot::default()), Fields::default()))),
            read: AtomicU64::new(0),
            total: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            work: Semaphore::new(AT_A_TIME),
        });
        Ok(Self { listener, shown, address })
    }

    /// Where the page is.
    pub fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves, and follows the files, until the process ends. What stops the following is told in the page. `told` hears how many bytes of how many are read.
    pub async fn run(self, mut index: Index, told: impl Fn(u64, u64) + Send + Sync + 'static) -> Result<()> {
        let shown = self.shown.clone();
        thread::Builder::new().name("follow".into()).spawn(move || {
            let newest = Mutex::new(());
            let progress = |read, total| {
                let _one = newest.lock().unwrap_or_else(PoisonError::into_inner);
                shown.read.store(read, Ordering::Relaxed);
                shown.total.store(total, Ordering::Relaxed);
                told(read, total);
            };
            let mut goes_on = true;
            while goes_on {
                // A mistake of this program is told in the page, which would look as if nothing came any more.
                let refreshed = panic::catch_unwind(AssertUnwindSafe(|| index.refresh(&progress)));
                goes_on = refreshed.is_ok();
                if !goes_on {
                    index.stop();
                }
                if refreshed.unwrap_or(true) {
                    let engine = Arc::new(shown.engine().next(index.snapshot()));
                    *shown.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
                }
                shown.begun.store(true, Ordering::Relaxed);
                thread::sleep(LOOK);
            }
        })?;
        let port = self.address.port();
        let router = Router::new()
            .route("/api/state", get(state))
            .route("/api/panel", get(panel))
            .route("/api/document", get(document))
            .fallback(page)
            .layer(middleware::from_fn(move |request: Request, next: Next| guarded(port, request, next)))
            .with_state(self.shown);
        axum::serve(self.listener, router).await?;
        Ok(())
    }
}

/// Whether a request comes from the page, or from what was typed. The page itself holds no event: a link to it may be followed from anywhere, as
/// long as it is opened for itself and not in a frame.
fn allowed(port: u16, path: &str, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let own = |host: &str| host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}");
    text(header::HOST).is_some_and(own)
        && text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://").is_some_and(own))
        && (headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
            || path == "/"
                && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
                && headers.get("sec-fetch-dest").is_some_and(|to| to == "document"))
}

async fn guarded(port: u16, request: Request, next: Next) -> Response {
    let mut response = if allowed(port, request.uri().path(), request.headers()) {
        next.run(request).await
    } else {
        error(
            StatusCode::FORBIDDEN,
            "This is answered to its own page alone: open it by the address that event-view printed.",
        )
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in
        [("cross-origin-resource-policy", "same-origin"), ("cross-origin-opener-policy", "same-origin")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": text }).to_string())
        .into_response()
}

fn answered(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn page(request: Request) -> Response {
    let path = request.uri().path();
    let name = if path == "/" { "index.html" } else { &path[1..] };
    match PAGE.iter().find(|(known, _)| *known == name) {
        Some((name, bytes)) => {
            let kind = match name.rsplit('.').next() {
                Some("html") => "text/html; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("css") => "text/css; charset=utf-8",
                _ => "application/json",
            };
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, "gzip")];
            (headers, Body::from(*bytes)).into_response()
        }
        None if path == "/" => (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            "This event-view was built without its page. `make view` builds it where there is Node 20 with npm.\n",
        )
            .into_response(),
        None => error(StatusCode::NOT_FOUND, "There is nothing here."),
    }
}

async fn state(State(shown): State<Arc<Shown>>) -> Response {
    let engine = shown.engine();
    let snapshot = engine.snapshot();
    let (span, fields) = match (engine.span(), panels::fields(&engine)) {
        (Ok(span), Ok(fields)) => (span, fields),
        (Err(problem), _) | (_, Err(problem)) => {
            return error(StatusCode::INTERNAL_SERVER_ERROR, &format!("The index cannot be read: {problem}"));
        }
    };
    let documents: u64 = snapshot.files.iter().map(|file| u64::from(file.lines.documents)).sum();
    answered(&json!({
        "ready": shown.begun.load(Ordering::Relaxed),
        "progress": [shown.read.load(Ordering::Relaxed), shown.total.load(Ordering::Relaxed)],
        "generation": snapshot.generation,
        "documents": documents,
        "span": span.map(|span| [span.start, span.end]),
        "files": snapshot.files,
        "notices": snapshot.notices,
        "dashboards": shown.dashboards,
        "fields": fields.keys().collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
struct Asked {
    dashboard: String,
    panel: String,
    #[serde(default)]
    q: String,
    /// Further searches that all must match: the filters that were clicked, as a list in JSON.
    #[serde(default)]
    filters: String,
    from: Option<i64>,
    to: Option<i64>,
    #[serde(default)]
    skip: usize,
}

fn searched(asked: &Asked) -> Result<Query, Mistake> {
    let mut query = Query::parse(&asked.q)?;
    let filters: Vec<String> = match asked.filters.as_str() {
        "" => Vec::new(),
        list => serde_json::from_str(list)
            .map_err(|_| Mistake { at: 0, what: "the filters are no list".into() })?,
    };
    for filter in filters {
        query = query.and(Query::parse(&filter)?);
    }
    Ok(query)
}

async fn panel(State(shown): State<Arc<Shown>>, Parameters(asked): Parameters<Asked>) -> Response {
    let query = match searched(&asked) {
        Ok(query) => query,
        Err(mistake) => {
            let body = json!({ "error": format!("This search cannot be read: {mistake}"), "at": mistake.at });
            return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body.to_string())
                .into_response();
        }
    };
    let Ok(_permit) = shown.work.acquire().await else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "The program is about to end.");
    };
    let known = shown.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let dashboard = known.dashboards.iter().find(|dashboard| dashboard.name == asked.dashboard);
        let panel =
            dashboard.and_then(|dashboard| dashboard.panels.iter().find(|panel| panel.id == asked.panel));
        let (Some(dashboard), Some(panel)) = (dashboard, panel) else {
            return Ok(None);
        };
        let engine = known.engine();
        let span = engine.span()?.unwrap_or(0..0);
        // Where nothing is there is nothing to see: so far beyond the documents all looks the same, and can be reckoned with.
        let bounds = span.start - BEYOND..=span.end + BEYOND;
        let within = |at: i64| at.clamp(*bounds.start(), *bounds.end());
        let from = within(asked.from.unwrap_or(span.start));
        let to = within(asked.to.unwrap_or(span.end + 1)).max(from + 1);
        let begun = std::time::Instant::now();
        let mut answer =
            panels::answer(&engine, dashboard, panel, &View { query, times: from..to }, asked.skip)?;
        answer["from"] = json!(from);
        answer["to"] = json!(to);
        answer["generation"] = json!(engine.snapshot().generation);
        answer["milliseconds"] = json!(begun.elapsed().as_secs_f64() * 1000.0);
        anyhow::Ok(Some(answer))
    });
    match answer.await {
        Ok(Ok(Some(answer))) => answered(&answer),
        Ok(Ok(None)) => error(StatusCode::NOT_FOUND, "There is no such panel."),
        Ok(Err(problem)) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, &format!("This panel cannot be made: {problem:#}"))
        }
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "This panel cannot be made: its work broke off."),
    }
}

#[derive(Deserialize)]
struct Wanted {
    file: String,
    offset: u64,
    /// When the document is said to be of, so that another one that has come to stand there is not taken for it.
    at: i64,
}

/// The line as it stands in the file, as text: the page shows it and does not believe it.
async fn document(State(shown): State<Arc<Shown>>, Parameters(wanted): Parameters<Wanted>) -> Response {
    let engine = shown.engine();
    let snapshot = engine.snapshot();
    let Some(file) = snapshot.files.iter().find(|file| file.id == wanted.file) else {
        return error(StatusCode::NOT_FOUND, "There is no such file any more.");
    };
    if wanted.offset >= file.read {
        return error(StatusCode::NOT_FOUND, "There is no such document: the file has changed.");
    }
    match line(&file.path, wanted.offset) {
        Ok(Some(line)) if segment::time_of(&line) == Some(wanted.at) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()
        }
        Ok(_) => error(StatusCode::NOT_FOUND, "This document is not there any more: the file has changed."),
        Err(problem) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, &format!("The file cannot be read: {problem}"))
        }
    }
}

fn line(path: &std::path::Path, offset: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = fs::File::open(path)?;
    if offset > 0 {
        let mut before = [0];
        file.seek(SeekFrom::Start(offset - 1))?;
        file.read_exact(&mut before)?;
        if before != *b"\n" {
            return Ok(None);
        }
    }
    let mut line = Vec::new();
    BufReader::new(file.take(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    Ok(Some(line))
}
