//! The one door out of a component: every request it sends comes through here, is checked, counted and told of.
//!
//! A request is sent by a task of its own, which holds the permit for a connection until the request is over. A component that
//! drops what it waits for gets no permit back for it: it would open connections without end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Uri};
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tracing::{Instrument as _, Span, debug_span, field};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::egress::Gate;
use super::guarded::{Guard, Guarded, Polled, length};
use super::transport::{Timeouts, Transport};
use crate::contract::printable;
use crate::observer::{Observer, RequestRecord};
use crate::throttle::Throttle;

/// Bytes of a request's body that the host holds for a component, for each body that it has open.
const CHUNK: usize = 16 << 10;

/// Headers that speak to whoever is next on the way (RFC 9110 section 7.6.1), and that the host alone may say. wasmtime refuses
/// them to a component already; a credential that reaches a proxy should not hang on that.
const FOR_THE_NEXT_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What requests may come to. The meaning of each is that of [`crate::Limits`].
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) requests_per_second: u32,
    pub(crate) request_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) request_time: Duration,
    pub(crate) log_lines_per_minute: u32,
}

/// What wasmtime asks for each outgoing request.
pub(crate) struct Outgoing {
    pub(crate) gate: Gate,
    transport: Arc<dyn Transport>,
    bounds: Bounds,
    permits: Arc<Semaphore>,
    rate: Rate,
    log: Throttle,
    observer: Option<Arc<dyn Observer>>,
    /// Bytes of answers that this call may still read.
    left: Arc<AtomicU64>,
    /// Requests of this call, denied ones included.
    requests: u64,
    /// Requests under way. They end with the component.
    tasks: JoinSet<()>,
}

impl Outgoing {
    pub(crate) fn new(
        gate: Gate,
        transport: Arc<dyn Transport>,
        bounds: Bounds,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            gate,
            transport,
            permits: Arc::new(Semaphore::new(bounds.connections)),
            rate: Rate::per_second(bounds.requests_per_second),
            log: Throttle::per_minute(bounds.log_lines_per_minute),
            observer,
            left: Arc::new(AtomicU64::new(bounds.received_bytes)),
            requests: 0,
            bounds,
            tasks: JoinSet::new(),
        }
    }

    /// A call begins, which may read so much.
    pub(crate) fn begin_call(&mut self) {
        self.left.store(self.bounds.received_bytes, Ordering::Relaxed);
        self.requests = 0;
    }

    /// Requests since the call began.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Checks a request and brings its authority into the form that was checked.
    fn admit(&mut self, request: &mut Request<WasiBody>) -> Result<OwnedSemaphorePermit, Error> {
        let target = self.gate.admit(request.uri()).map_err(|reason| {
            if let Some(suppressed) = self.log.admit() {
                let authority = request.uri().authority().map_or("", Authority::as_str);
                let authority = printable(authority.to_owned());
                tracing::warn!(authority, reason, suppressed, "request denied");
            }
            Error::HttpRequestDenied
        })?;
        // CONNECT would make the server on the other side a tunnel to anywhere.
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let authority = target.authority();
        let host = HeaderValue::from_str(&authority).map_err(|_| Error::HttpRequestUriInvalid)?;
        let mut parts = request.uri().clone().into_parts();
        parts.authority = Some(authority.parse().map_err(|_| Error::HttpRequestUriInvalid)?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)?;
        let headers = request.headers_mut();
        for name in FOR_THE_NEXT_HOP {
            headers.remove(name);
        }
        headers.insert(header::HOST, host);
        request.extensions_mut().insert(self.gate.private_networks(&target));
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            self.limit("connections");
            Error::ConnectionLimitReached
        })
    }

    fn limit(&self, limit: &'static str) {
        if let Some(observer) = &self.observer {
            observer.limit(limit);
        }
    }
}

/// So many requests a second, and as many at once as in one second.
struct Rate {
    gap: Duration,
    /// When the next request would be due if they came evenly.
    due: Instant,
}

impl Rate {
    const AT_ONCE: Duration = Duration::from_secs(1);

    fn per_second(requests: u32) -> Self {
        Self { gap: Self::AT_ONCE / requests.max(1), due: Instant::now() }
    }

    /// When the next request may be sent, which is then taken for sent.
    fn next(&mut self) -> Instant {
        let now = Instant::now();
        self.due = self.due.max(now) + self.gap;
        (self.due - Self::AT_ONCE.min(self.due - now)).max(now)
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send> {
        while self.tasks.try_join_next().is_some() {}
        self.requests += 1;
        let admitted = self.admit(&mut request);
        let mut exchange = Exchange::new(&request, self.observer.clone());
        let permit = match admitted {
            Ok(permit) => permit,
            Err(error) => {
                exchange.failed(&error);
                return Box::new(async { Err(error) });
            }
        };
        let at = self.rate.next();
        if at > Instant::now() {
            self.limit("requests");
        }
        let deadline = Instant::now() + self.bounds.request_time;
        let request = {
            let (sent, limit) = (Arc::clone(&exchange.sent), self.bounds.request_bytes);
            request.map(|inner| Guarded { inner, guard: Capped { sent, limit } }.boxed_unsync())
        };
        let transport = Arc::clone(&self.transport);
        let timeouts = Timeouts::capped(options);
        let left = Arc::clone(&self.left);
        let (sender, answer) = oneshot::channel();
        let span = exchange.span.clone();
        let sending = async move {
            sleep_until(at).await;
            let answer = timeout_at(deadline, transport.send(request, timeouts)).await;
            let answer =
                answer.unwrap_or(Err(Error::HttpResponseTimeout)).inspect_err(|e| exchange.failed(e));
            let answer = answer.map(|response| {
                exchange.answered(response.status().as_u16());
                response.map(|inner| {
                    let alarm = Box::pin(sleep_until(deadline));
                    let guard = Counted { left, alarm, exchange, _permit: permit };
                    Guarded { inner, guard }.boxed_unsync()
                })
            });
            // Nobody may wait for it any more: then it is dropped here, and its connection with it.
            let _ = sender.send(answer);
        };
        // Within whoever calls, even where the request has no span of its own.
        self.tasks.spawn(sending.instrument(span).in_current_span());
        Box::new(async move {
            let response = answer.await.map_err(|_| Error::ConnectionTerminated)??;
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

/// What is told of a request once it is over.
struct Exchange {
    span: Span,
    observer: Option<Arc<dyn Observer>>,
    method: Method,
    uri: Uri,
    started: Instant,
    sent: Arc<AtomicU64>,
    received: u64,
    status: Option<u16>,
    error: Option<String>,
    denied: bool,
}

impl Exchange {
    fn new(request: &Request<WasiBody>, observer: Option<Arc<dyn Observer>>) -> Self {
        let uri = request.uri();
        let span = debug_span!(
            "request",
            method = %request.method(),
            host = printable(uri.authority().map_or("", Authority::as_str).to_owned()),
            // Without the query, which may hold what is secret.
            path = printable(uri.path().to_owned()),
            status = field::Empty,
        );
        Self {
            span,
            observer,
            method: request.method().clone(),
            uri: request.uri().clone(),
            started: Instant::now(),
            sent: Arc::default(),
            received: 0,
            status: None,
            error: None,
            denied: false,
        }
    }

    fn answered(&mut self, status: u16) {
        self.status = Some(status);
        self.span.record("status", status);
    }

    fn failed(&mut self, error: &Error) {
        self.denied = matches!(error, Error::HttpRequestDenied);
        self.error = Some(printable(error.to_string()));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let authority = self.uri.authority().map_or("", Authority::as_str);
        if !self.denied {
            let (error, millis) = (self.error.as_deref(), duration.as_millis());
            self.span.in_scope(|| tracing::debug!(error, millis, "request"));
        }
        if let Some(observer) = &self.observer {
            observer.request(&RequestRecord {
                method: self.method.as_str(),
                scheme: self.uri.scheme_str().unwrap_or_default(),
                authority,
                path: self.uri.path(),
                status: self.status,
                error: self.error.as_deref(),
                denied: self.denied,
                bytes_sent: self.sent.load(Ordering::Relaxed),
                bytes_received: self.received,
                duration,
            });
        }
    }
}

/// Ends a request's body with an error when it gets too long.
struct Capped {
    sent: Arc<AtomicU64>,
    limit: u64,
}

impl Guard for Capped {
    fn pass(&mut self, polled: Polled, _: &mut Context<'_>) -> Polled {
        let length = length(&polled);
        if self.sent.fetch_add(length, Ordering::Relaxed) + length > self.limit {
            return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.limit)))));
        }
        polled
    }
}

/// Counts a response as a request under way until its body is dropped, and ends that with an error when it gets too long, in
/// bytes or in time.
struct Counted {
    left: Arc<AtomicU64>,
    alarm: Pin<Box<Sleep>>,
    exchange: Exchange,
    _permit: OwnedSemaphorePermit,
}

impl Guard for Counted {
    fn pass(&mut self, polled: Polled, context: &mut Context<'_>) -> Polled {
        let is_late = match &polled {
            Poll::Pending => self.alarm.as_mut().poll(context).is_ready(),
            Poll::Ready(_) => self.alarm.deadline() <= Instant::now(),
        };
        let length = length(&polled);
        self.exchange.received += length;
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(length), Ordering::Relaxed);
        let error = match polled {
            _ if is_late => Error::HttpResponseTimeout,
            _ if left < length => Error::HttpResponseBodySize(Some(self.exchange.received)),
            Poll::Ready(Some(Err(error))) => error,
            polled => return polled,
        };
        self.exchange.failed(&error);
        Poll::Ready(Some(Err(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::network::egress::Egress;
    use crate::network::transport::Answer;

    /// Answers everything and remembers what it was asked.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<(String, HeaderValue)>>);

    impl Transport for Recorder {
        fn send(&self, request: Request<WasiBody>, _: Timeouts) -> Answer {
            let host = request.headers()[header::HOST].clone();
            self.0.lock().unwrap().push((request.uri().to_string(), host));
            Box::pin(async { Ok(Response::new(empty())) })
        }
    }

    fn empty() -> WasiBody {
        http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
    }

    fn outgoing(transport: Arc<Recorder>) -> Outgoing {
        bounded(transport, |_| {})
    }

    fn bounded(transport: Arc<dyn Transport>, change: impl FnOnce(&mut Bounds)) -> Outgoing {
        let mut gate = Gate::new(Egress::allow(["logs.example.com"]).unwrap());
        gate.grant(&["logs.example.com".into()]).unwrap();
        let mut bounds = Bounds {
            connections: 1,
            requests_per_second: 1_000,
            request_bytes: 1_000,
            received_bytes: 1_000,
            request_time: Duration::from_secs(60),
            log_lines_per_minute: 1,
        };
        change(&mut bounds);
        Outgoing::new(gate, transport, bounds, None)
    }

    async fn send(outgoing: &mut Outgoing, method: Method, uri: &str) -> Result<Response<WasiBody>, Error> {
        let request = Request::builder().method(method).uri(uri).body(empty()).unwrap();
        let sent = outgoing.send_request(request, None, Box::new(async { Ok(()) }));
        Box::into_pin(sent).await.map(|(response, _)| response)
    }

    #[tokio::test]
    async fn a_denied_request_never_reaches_the_transport() {
        let recorder = Arc::new(Recorder::default());
        let error =
            send(&mut outgoing(Arc::clone(&recorder)), Method::GET, "https://evil.net/").await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied));
        assert!(recorder.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_checked() {
        let recorder = Arc::new(Recorder::default());
        let mut outgoing = outgoing(Arc::clone(&recorder));
        send(&mut outgoing, Method::GET, "https://LOGS.Example.com.:443/a?b=c").await.unwrap();
        let sent = recorder.0.lock().unwrap();
        assert_eq!(sent[0].0, "https://logs.example.com/a?b=c");
        assert_eq!(sent[0].1, "logs.example.com");
    }

    #[tokio::test]
    async fn what_speaks_to_the_next_hop_is_left_out() {
        let recorder = Arc::new(Recorder::default());
        let mut outgoing = outgoing(Arc::clone(&recorder));
        let mut request = Request::get("https://logs.example.com/").body(empty()).unwrap();
        for name in FOR_THE_NEXT_HOP.into_iter().chain([header::HOST, header::ACCEPT]) {
            request.headers_mut().insert(name, HeaderValue::from_static("x"));
        }
        let _permit = outgoing.admit(&mut request).unwrap();
        assert_eq!(request.headers().len(), 2);
        assert_eq!(request.headers()[header::HOST], "logs.example.com");
    }

    #[tokio::test]
    async fn a_tunnel_is_refused() {
        let recorder = Arc::new(Recorder::default());
        let error =
            send(&mut outgoing(recorder), Method::CONNECT, "https://logs.example.com/").await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestMethodInvalid));
    }

    #[tokio::test]
    async fn a_body_that_is_still_held_counts_as_a_connection() {
        let recorder = Arc::new(Recorder::default());
        let mut outgoing = outgoing(recorder);
        let held = send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap();
        let error = send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap_err();
        assert!(matches!(error, Error::ConnectionLimitReached));
        drop(held);
        assert!(send(&mut outgoing, Method::GET, "https://logs.example.com/").await.is_ok());
    }
}
