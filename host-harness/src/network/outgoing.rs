//! The one door out of a component: every request it sends comes through here, is checked, counted and logged.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{HeaderValue, Method, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::egress::Gate;
use super::transport::{Timeouts, Transport};

/// What wasmtime asks for each outgoing request.
pub(crate) struct Outgoing {
    pub(crate) gate: Gate,
    transport: Arc<dyn Transport>,
    permits: Arc<Semaphore>,
}

impl Outgoing {
    pub(crate) fn new(gate: Gate, transport: Arc<dyn Transport>, connections: usize) -> Self {
        Self { gate, transport, permits: Arc::new(Semaphore::new(connections)) }
    }

    /// Checks a request and brings its authority into the form that was checked.
    fn admit(&self, request: &mut Request<WasiBody>) -> Result<OwnedSemaphorePermit, Error> {
        let target = self.gate.admit(request.uri()).map_err(|reason| {
            let authority = request.uri().authority().map_or("", Authority::as_str);
            tracing::warn!(authority, reason, "request denied");
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
        request.headers_mut().insert(header::HOST, host);
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send> {
        let permit = match self.admit(&mut request) {
            Ok(permit) => permit,
            Err(error) => return Box::new(async { Err(error) }),
        };
        let started = Instant::now();
        let method = request.method().clone();
        let authority = request.uri().authority().map_or(String::new(), ToString::to_string);
        let answer = self.transport.send(request, Timeouts::capped(options));
        Box::new(async move {
            let answer = answer.await;
            let millis = started.elapsed().as_millis();
            match answer {
                Ok(response) => {
                    let status = response.status().as_u16();
                    tracing::debug!(%method, authority, status, millis, "request");
                    let response = response.map(|inner| Counted { inner, _permit: permit }.boxed_unsync());
                    Ok((response, Box::new(async { Ok(()) }) as Io))
                }
                Err(error) => {
                    tracing::debug!(%method, authority, %error, millis, "request failed");
                    Err(error)
                }
            }
        })
    }
}

/// A response body that counts as a request under way until it is dropped.
struct Counted {
    inner: WasiBody,
    _permit: OwnedSemaphorePermit,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
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
        let mut gate = Gate::new(Egress::allow(["logs.example.com"]).unwrap());
        gate.grant(&["logs.example.com".into()]).unwrap();
        Outgoing::new(gate, transport, 1)
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
