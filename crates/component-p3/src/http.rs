//! HTTP through `wasi:http`, the body read as it comes.
//!
//! The collector waits for an answer where it stands, so each wait is one `block_on`: the call of the host that it happens in is
//! asynchronous, and the host does other things meanwhile.

use crate::{
    bindings::{
        http::{
            client,
            types::{ErrorCode, Request as Outgoing, Response as Incoming, Trailers},
        },
        wit_future, wit_stream,
    },
    request,
    words::words,
};
use collector::{
    io::{Pending, Request, Response, TransportError},
    secret::wipe_bytes,
};
use std::{
    future::{poll_fn, ready},
    io::{self, Read},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, block_on};

/// How a body ends.
type End = Result<Option<Trailers>, ErrorCode>;

/// How much is asked for at once.
const READ: usize = 64 * 1024;

pub(crate) fn send(request: &Request) -> Result<Response, ErrorCode> {
    let (content, contents) = match &request.body {
        Some(body) => {
            let (writer, reader) = wit_stream::new();
            (Some((writer, body.reveal().as_bytes().to_vec())), Some(reader))
        }
        None => (None, None),
    };
    let (outgoing, no_trailers) = outgoing(request, contents)?;
    block_on(async move {
        let write = async {
            if let Some((mut writer, bytes)) = content {
                let mut rest = writer.write_all(bytes).await;
                wipe_bytes(&mut rest);
            }
            // The writer is gone: that is the end of the body.
            let _ = no_trailers.write(Ok(None)).await;
        };
        // Who answers before all is read may stop reading: the answer counts, and tells why.
        received(first(client::send(outgoing), write).await?).await
    })
}

/// Sends a request without a body. The host goes on with it while the component does other things.
pub(crate) fn begin(request: &Request) -> Option<Box<dyn Pending>> {
    let (outgoing, no_trailers) = outgoing(request, None).ok()?;
    let mut sent: Sent = Box::pin(client::send(outgoing));
    let mut ended: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        let _ = no_trailers.write(Ok(None)).await;
    });
    // Looked at once, both are under way: the host has them, and this call of it looks after them until they are waited for. Were that done
    // within a `block_on`, that would wait for them.
    let context = &mut Context::from_waker(Waker::noop());
    let _ = ended.as_mut().poll(context);
    let sent = match sent.as_mut().poll(context) {
        Poll::Ready(answer) => Box::pin(ready(answer)),
        Poll::Pending => sent,
    };
    Some(Box::new(Begun { sent, _ended: ended }))
}

type Sent = Pin<Box<dyn Future<Output = Result<Incoming, ErrorCode>>>>;

struct Begun {
    sent: Sent,
    /// Says that no trailers come.
    _ended: Pin<Box<dyn Future<Output = ()>>>,
}

impl Pending for Begun {
    fn answer(self: Box<Self>) -> Result<Response, TransportError> {
        let answer = block_on(async move { received(self.sent.await?).await });
        answer.map_err(|code| request::transport_error(&code))
    }
}

/// A request to be sent, and where to say that no trailers come.
fn outgoing(
    request: &Request,
    contents: Option<StreamReader<u8>>,
) -> Result<(Outgoing, FutureWriter<End>), ErrorCode> {
    let internal = |()| ErrorCode::InternalError(None);
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    let fields = request::fields(request)?;
    let (no_trailers, trailers) = wit_future::new(|| Ok(None));
    let (outgoing, _sent) = Outgoing::new(fields, contents, trailers, Some(request::options(request)));
    outgoing.set_method(&request::method(request)).map_err(internal)?;
    outgoing.set_scheme(Some(&request::scheme(request))).map_err(internal)?;
    outgoing.set_authority(Some(&request.authority)).map_err(invalid)?;
    outgoing.set_path_with_query(Some(&request.path)).map_err(invalid)?;
    Ok((outgoing, no_trailers))
}

async fn received(response: Incoming) -> Result<Response, ErrorCode> {
    let status = response.get_status_code();
    let headers = request::headers(response.get_headers().copy_all());
    let (understood, outcome) = wit_future::new(|| Ok(()));
    let (stream, end) = Incoming::consume_body(response, outcome);
    // Said at once: whoever drops a body later may do so where nothing can be waited for.
    let _ = understood.write(Ok(())).await;
    let body = Body { stream, end: Some(end), read: Vec::new(), given: 0 };
    Ok(Response { status, headers, body: Box::new(body) })
}

/// What the first of two comes to, while the second goes on beside it for as long as that takes.
async fn first<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut is_over = false;
    poll_fn(|context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(value);
        }
        is_over = is_over || second.as_mut().poll(context).is_ready();
        Poll::Pending
    })
    .await
}

/// The body of an answer.
struct Body {
    stream: StreamReader<u8>,
    /// Tells how it ended, once.
    end: Option<FutureReader<End>>,
    /// What came last, and how much of it was handed on.
    read: Vec<u8>,
    given: usize,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.given == self.read.len() {
            let mut space = std::mem::take(&mut self.read);
            space.clear();
            space.reserve_exact(READ);
            self.given = 0;
            let result;
            (result, self.read) = block_on(self.stream.read(space));
            if result != StreamResult::Dropped {
                continue;
            }
            let Some(end) = self.end.take() else { return Ok(0) };
            block_on(end.into_future()).map_err(|code| io::Error::other(words(&code)))?;
            return Ok(0);
        }
        let ready = &self.read[self.given..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.given += count;
        Ok(count)
    }
}
