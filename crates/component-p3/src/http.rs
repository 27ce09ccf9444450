//! HTTP through `wasi:http`: one request at a time, the body read as it comes.
//!
//! The collector waits for an answer where it stands, so each wait is one `block_on`: the call of the host that it happens in is
//! asynchronous, and the host does other things meanwhile.

#[path = "../../component/src/words.rs"]
mod words;

use crate::bindings::{
    http::{
        client,
        types::{
            ErrorCode, Fields, Method, Request as Outgoing, RequestOptions, Response as Incoming, Scheme,
            Trailers,
        },
    },
    wit_future, wit_stream,
};
use collector::{
    io::{Http, Request, Response, TransportError},
    secret::wipe_bytes,
};
use std::{
    future::poll_fn,
    io::{self, Read},
    pin::pin,
    task::Poll,
    time::Duration,
};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, block_on};
use words::words;

/// How much is asked for at once.
const READ: usize = 64 * 1024;

/// The host's HTTP.
pub struct WasiHttp;

impl Http for WasiHttp {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        send(request).map_err(|code| match code {
            ErrorCode::HttpRequestDenied => TransportError::Denied(String::from("the host denies it")),
            code => TransportError::Failed(words(&code)),
        })
    }
}

fn send(request: &Request) -> Result<Response, ErrorCode> {
    let internal = |()| ErrorCode::InternalError(None);
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.reveal().as_bytes().to_vec()))
        .collect();
    // Without it a host sends a body in chunks, which some gateways refuse.
    if let Some(body) = &request.body {
        let length = body.reveal().len().to_string();
        headers.push((String::from("content-length"), length.into_bytes()));
    }
    let fields = Fields::from_list(&headers);
    headers.iter_mut().for_each(|(_, value)| wipe_bytes(value));
    let options = RequestOptions::new();
    // A host that cannot keep one of these has limits of its own.
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds(request.timeouts.connect));
    let _ = options.set_first_byte_timeout(nanoseconds(request.timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(nanoseconds(request.timeouts.between_bytes));
    let (content, contents) = match &request.body {
        Some(body) => {
            let (writer, reader) = wit_stream::new();
            (Some((writer, body.reveal().as_bytes().to_vec())), Some(reader))
        }
        None => (None, None),
    };
    let (no_trailers, trailers) = wit_future::new(|| Ok(None));
    let fields = fields.map_err(|_| ErrorCode::InternalError(None))?;
    let (outgoing, _sent) = Outgoing::new(fields, contents, trailers, Some(options));
    let method = if request.body.is_some() { Method::Post } else { Method::Get };
    outgoing.set_method(&method).map_err(internal)?;
    let scheme = if request.secure { Scheme::Https } else { Scheme::Http };
    outgoing.set_scheme(Some(&scheme)).map_err(internal)?;
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    outgoing.set_authority(Some(&request.authority)).map_err(invalid)?;
    outgoing.set_path_with_query(Some(&request.path)).map_err(invalid)?;

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
        let response = first(client::send(outgoing), write).await?;
        let status = response.get_status_code();
        let headers = response
            .get_headers()
            .copy_all()
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let (understood, outcome) = wit_future::new(|| Ok(()));
        let (stream, end) = Incoming::consume_body(response, outcome);
        // Said at once: whoever drops a body later may do so where nothing can be waited for.
        let _ = understood.write(Ok(())).await;
        let body = Body { stream, end: Some(end), read: Vec::new(), given: 0 };
        Ok(Response { status, headers, body: Box::new(body) })
    })
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
    end: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
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
