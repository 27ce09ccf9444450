//! The one door out of a component: every request it sends comes through here, is checked, counted and told of.
//!
//! A request is sent by a task of its own, which holds the permit for a connection until the request is over. A component that
//! drops what it waits for gets no permit back for it: it would open connections without end.
//!
//! What is refused is told of as well, and so it comes no faster than what is sent: it takes its turn in the same rate, and of those
//! that nobody waits for the last one is told for all. How fast a source may be is remembered over its instances ([`Pace`]).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::account::{Account, Hold};
use crate::contract::printable;
use crate::observer::{Observer, RequestRecord};
use crate::throttle::Throttle;

/// Bytes of a request's body that the host holds for a component, for each body that it has open.
const CHUNK: usize = 16 << 10;

/// Bytes that the host holds for a request under way: the head of its answer and what is read ahead (128 KiB), the piece that is
/// being read, what is encrypted, and a piece of its own body.
const UNDER_WAY: u64 = 256 << 10;

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
    pace: Arc<Mutex<Pace>>,
    account: Arc<Account>,
    observer: Option<Arc<dyn Observer>>,
    /// The last one of those that were refused faster than they may be told of: denied, or refused for another reason.
    untold: [Option<Exchange>; 2],
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
        pace: Arc<Mutex<Pace>>,
        account: Arc<Account>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            gate,
            transport,
            permits: Arc::new(Semaphore::new(bounds.connections)),
            pace,
            account,
            observer,
            untold: [None, None],
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

    /// A call has ended: what was not told of yet, is.
    pub(crate) fn end_call(&mut self) {
        self.untold = [None, None];
    }

    /// Requests since the call began.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Checks a request and brings its authority into the form that was checked.
    fn admit(&mut self, request: &mut Request<WasiBody>) -> Result<UnderWay, Error> {
        let target = self.gate.admit(request.uri()).map_err(|reason| {
            if let Some(suppressed) = locked(&self.pace).log.admit() {
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
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            self.limit("connections");
            Error::ConnectionLimitReached
        })?;
        let buffers = self.account.hold(UNDER_WAY).map_err(|_| {
            self.limit("memory");
            Error::ConnectionLimitReached
        })?;
        Ok(UnderWay { _permit: permit, _buffers: buffers })
    }

    /// Tells of a request that was refused, or keeps it for the next one to tell.
    fn refused(&mut self, mut exchange: Exchange, error: &Error) {
        exchange.failed(error);
        let untold = &mut self.untold[usize::from(exchange.denied)];
        if let Some(mut before) = untold.take() {
            exchange.untold_before = before.untold_before + 1;
            before.observer = None;
            before.denied = true;
        }
        if !locked(&self.pace).lines.take() {
            *untold = Some(exchange);
        }
    }

    fn bell(&self) -> Bell {
        Bell { observer: self.observer.clone(), pace: Arc::clone(&self.pace), caller: Span::current() }
    }

    fn limit(&self, limit: &'static str) {
        self.bell().ring(limit);
    }
}

/// What a request holds until it is over.
#[derive(Debug)]
struct UnderWay {
    _permit: OwnedSemaphorePermit,
    _buffers: Hold,
}

/// Tells that something ran into a limit, from wherever that is noticed.
#[derive(Clone)]
pub(crate) struct Bell {
    observer: Option<Arc<dyn Observer>>,
    pace: Arc<Mutex<Pace>>,
    /// Whose it is: bodies are read and written by tasks that know nothing of the call.
    caller: Span,
}

impl Bell {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>, pace: Arc<Mutex<Pace>>) -> Self {
        Self { observer, pace, caller: Span::current() }
    }

    pub(crate) fn ring(&self, limit: &'static str) {
        if let Some(observer) = &self.observer {
            observer.limit(limit);
        }
        let admitted = locked(&self.pace).limits(limit).admit();
        if let Some(suppressed) = admitted {
            self.caller.in_scope(|| tracing::warn!(limit, suppressed, "the component ran into a limit"));
        }
    }
}

fn locked(pace: &Mutex<Pace>) -> std::sync::MutexGuard<'_, Pace> {
    // Nothing that holds it panics half-way.
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How fast a source may send and be told of. It stays when an instance goes: one that crashes would get all of it anew.
pub(crate) struct Pace {
    requests: Rate,
    /// What is told of refused requests.
    lines: Rate,
    log: Throttle,
    log_lines_per_minute: u32,
    /// One line a minute for each limit.
    limits: BTreeMap<&'static str, Throttle>,
}

impl Pace {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            requests: Rate::per_second(bounds.requests_per_second),
            lines: Rate::per_second(bounds.requests_per_second),
            log: Throttle::per_minute(bounds.log_lines_per_minute),
            log_lines_per_minute: bounds.log_lines_per_minute,
            limits: BTreeMap::new(),
        }
    }

    fn limits(&mut self, limit: &'static str) -> &mut Throttle {
        let lines = self.log_lines_per_minute.min(1);
        self.limits.entry(limit).or_insert_with(|| Throttle::per_minute(lines))
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
    /// The longest that a request waits for its turn. Those that nobody waits for would push it ever further.
    const LONGEST: Duration = Duration::from_secs(10);

    fn per_second(requests: u32) -> Self {
        Self { gap: Self::AT_ONCE / requests.max(1), due: Instant::now() }
    }

    /// When the next request may be sent, which is then taken for sent.
    fn next(&mut self) -> Instant {
        let now = Instant::now();
        self.due = self.due.max(now) + self.gap;
        (self.due - Self::AT_ONCE.min(self.due - now)).max(now)
    }

    /// The same for a request that is refused, which costs nobody anything: the wait has an end.
    fn next_refused(&mut self) -> Instant {
        let now = Instant::now();
        if self.due.saturating_duration_since(now) >= Self::AT_ONCE + Self::LONGEST {
            return now + Self::LONGEST;
        }
        self.next()
    }

    /// Whether it may be now, and is then.
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let due = self.due.max(now) + self.gap;
        let is_due = due - now <= Self::AT_ONCE;
        if is_due {
            self.due = due;
        }
        is_due
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
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
        let under_way = match admitted {
            Ok(under_way) => under_way,
            Err(error) => {
                let at = locked(&self.pace).requests.next_refused();
                if at > Instant::now() {
                    self.limit("requests");
                }
                self.refused(exchange, &error);
                return Box::new(async move {
                    sleep_until(at).await;
                    Err(error)
                });
            }
        };
        let at = locked(&self.pace).requests.next();
        if at > Instant::now() {
            self.limit("requests");
        }
        let bell = self.bell();
        let deadline = Instant::now() + self.bounds.request_time;
        let request = {
            let (sent, limit, bell) = (Arc::clone(&exchange.sent), self.bounds.request_bytes, bell.clone());
            request.map(|inner| Guarded { inner, guard: Capped { sent, limit, bell } }.boxed_unsync())
        };
        let transport = Arc::clone(&self.transport);
        let timeouts = Timeouts::capped(options);
        let left = Arc::clone(&self.left);
        let (sender, answer) = oneshot::channel();
        let span = exchange.span.clone();
        let sending = async move {
            sleep_until(at).await;
            let answer = timeout_at(deadline, transport.send(request, timeouts)).await;
            let answer = answer.unwrap_or_else(|_| {
                bell.ring("request-time");
                Err(Error::HttpResponseTimeout)
            });
            let answer = answer.inspect_err(|error| {
                if matches!(error, Error::HttpResponseHeaderSectionSize(_)) {
                    bell.ring("response-headers");
                }
                exchange.failed(error);
            });
            let answer = answer.map(|response| {
                exchange.answered(response.status().as_u16());
                response.map(|inner| {
                    let alarm = Box::pin(sleep_until(deadline));
                    let guard = Counted { left, alarm, exchange, bell, _under_way: under_way };
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
    untold_before: u64,
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
            untold_before: 0,
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
                untold_before: self.untold_before,
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
    bell: Bell,
}

impl Guard for Capped {
    fn pass(&mut self, polled: Polled, _: &mut Context<'_>) -> Polled {
        let length = length(&polled);
        if self.sent.fetch_add(length, Ordering::Relaxed) + length > self.limit {
            self.bell.ring("request-bytes");
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
    bell: Bell,
    _under_way: UnderWay,
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
            _ if is_late => {
                self.bell.ring("request-time");
                Error::HttpResponseTimeout
            }
            _ if left < length => {
                self.bell.ring("response-bytes");
                Error::HttpResponseBodySize(Some(self.exchange.received))
            }
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
        let pace = Pace::new(&bounds);
        Outgoing::new(
            gate,
            transport,
            bounds,
            Arc::new(Mutex::new(pace)),
            Arc::new(Account::new(u64::MAX, None)),
            None,
        )
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
        let _under_way = outgoing.admit(&mut request).unwrap();
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
    /// Hears what is told, and when.
    #[derive(Default)]
    struct Told {
        requests: Mutex<Vec<(bool, u64)>>,
        limits: Mutex<Vec<&'static str>>,
    }

    impl Observer for Told {
        fn request(&self, request: &RequestRecord<'_>) {
            self.requests.lock().unwrap().push((request.denied, request.untold_before));
        }

        fn limit(&self, limit: &'static str) {
            self.limits.lock().unwrap().push(limit);
        }
    }

    impl Told {
        /// Lines, and how many requests they are for.
        fn of(&self) -> (usize, u64) {
            let requests = self.requests.lock().unwrap();
            (requests.len(), requests.iter().map(|(_, untold)| 1 + untold).sum())
        }
    }

    fn watched(change: impl FnOnce(&mut Bounds)) -> (Outgoing, Arc<Told>) {
        let told = Arc::new(Told::default());
        let mut outgoing = bounded(Arc::new(Recorder::default()), change);
        outgoing.observer = Some(Arc::clone(&told) as Arc<dyn Observer>);
        (outgoing, told)
    }

    #[tokio::test(start_paused = true)]
    async fn denied_requests_come_no_faster_than_others() {
        let (mut outgoing, told) = watched(|bounds| bounds.requests_per_second = 10);
        let started = Instant::now();
        for _ in 0..50 {
            send(&mut outgoing, Method::GET, "https://evil.net/").await.unwrap_err();
        }
        // Ten at once, and then ten a second.
        assert!(started.elapsed() >= Duration::from_millis(3_900), "{:?}", started.elapsed());
        outgoing.end_call();
        let (lines, requests) = told.of();
        assert!(lines <= 50 && requests == 50, "{lines} lines for {requests}");
        assert!(told.limits.lock().unwrap().contains(&"requests"));
    }

    #[tokio::test(start_paused = true)]
    async fn refused_requests_that_nobody_waits_for_are_told_at_the_same_rate_and_all_of_them() {
        let (mut outgoing, told) = watched(|bounds| bounds.requests_per_second = 10);
        let held = send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap();
        for second in 1..=3 {
            for _ in 0..1_000 {
                for uri in ["https://evil.net/", "https://logs.example.com/"] {
                    let request = Request::get(uri).body(empty()).unwrap();
                    drop(outgoing.send_request(request, None, Box::new(async { Ok(()) })));
                }
            }
            let (lines, _) = told.of();
            assert!(lines <= 10 + 10 * second, "{lines} lines after {second} s");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        outgoing.end_call();
        let (lines, requests) = told.of();
        assert!(lines <= 42 && requests == 6_000, "{lines} lines for {requests}");
        // They are not waited for until the end of days.
        drop(held);
        let started = Instant::now();
        send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap();
        assert!(started.elapsed() <= Rate::LONGEST + Rate::AT_ONCE, "{:?}", started.elapsed());
    }

    /// Never answers.
    struct Silent;

    impl Transport for Silent {
        fn send(&self, _: Request<WasiBody>, _: Timeouts) -> Answer {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_ends_when_its_time_is_up_and_that_is_told() {
        let told = Arc::new(Told::default());
        let mut outgoing = bounded(Arc::new(Silent), |bounds| bounds.request_time = Duration::from_secs(5));
        outgoing.observer = Some(Arc::clone(&told) as Arc<dyn Observer>);
        let started = Instant::now();
        let error = send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap_err();
        assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
        assert_eq!(started.elapsed().as_secs(), 5);
        assert_eq!(*told.limits.lock().unwrap(), ["request-time"]);

        // An answer that is not read to its end as well.
        let (mut outgoing, told) = watched(|bounds| bounds.request_time = Duration::from_secs(5));
        let mut answer = send(&mut outgoing, Method::GET, "https://logs.example.com/").await.unwrap();
        tokio::time::advance(Duration::from_secs(6)).await;
        let error = answer.body_mut().frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
        assert_eq!(*told.limits.lock().unwrap(), ["request-time"]);
    }
}
