//! HTTP through `wasi:http`, the body read as it comes.

use crate::{
    bindings::{
        http::{
            outgoing_handler,
            types::{
                ErrorCode, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingBody,
                OutgoingRequest, http_error_code,
            },
        },
        wasi::io::streams::{InputStream, StreamError},
    },
    request,
    words::words,
};
use collector::{
    io::{Pending, Request, Response, TransportError},
    secret::Secret,
};
use std::io::{self, Read};

/// More than a host returns from one read.
const READ: u64 = 64 * 1024;

pub(crate) fn send(request: &Request) -> Result<Response, ErrorCode> {
    answer(&start(request)?)
}

/// Sends a request. The host goes on with it while the component does other things.
pub(crate) fn begin(request: &Request) -> Option<Box<dyn Pending>> {
    Some(Box::new(Begun(start(request).ok()?)))
}

struct Begun(FutureIncomingResponse);

impl Pending for Begun {
    fn answer(self: Box<Self>) -> Result<Response, TransportError> {
        answer(&self.0).map_err(|code| request::transport_error(&code))
    }
}

fn start(request: &Request) -> Result<FutureIncomingResponse, ErrorCode> {
    let internal = |_| ErrorCode::InternalError(None);
    let outgoing = OutgoingRequest::new(request::fields(request)?);
    outgoing.set_method(&request::method(request)).map_err(internal)?;
    outgoing.set_scheme(Some(&request::scheme(request))).map_err(internal)?;
    outgoing.set_authority(Some(&request.authority)).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    outgoing.set_path_with_query(Some(&request.path)).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let body = outgoing.body().map_err(internal)?;
    let future = outgoing_handler::handle(outgoing, Some(request::options(request)))?;
    // Who answers before all is read may stop reading: the answer counts, and tells why.
    let _ = write(body, request.body.as_ref());
    Ok(future)
}

fn answer(future: &FutureIncomingResponse) -> Result<Response, ErrorCode> {
    let internal = |_| ErrorCode::InternalError(None);
    let answer = loop {
        match future.get() {
            Some(answer) => break answer,
            None => future.subscribe().block(),
        }
    };
    let response = answer.map_err(internal)??;
    let status = response.status();
    let headers = request::headers(response.headers().entries());
    let body = response.consume().map_err(internal)?;
    let stream = body.stream().map_err(internal)?;
    Ok(Response { status, headers, body: Box::new(Body { stream, _body: body, _response: response }) })
}

fn write(body: OutgoingBody, content: Option<&Secret>) -> Result<(), ErrorCode> {
    if let Some(content) = content {
        let stream = body.write().map_err(|()| ErrorCode::InternalError(None))?;
        for part in content.reveal().as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(part).map_err(|_| ErrorCode::ConnectionTerminated)?;
        }
    }
    OutgoingBody::finish(body, None)
}

/// The body of an answer. The fields are dropped in this order, children first.
struct Body {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.stream.blocking_read(READ.min(buffer.len() as u64)) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    return Ok(bytes.len());
                }
                Err(StreamError::Closed) => return Ok(0),
                Err(StreamError::LastOperationFailed(error)) => {
                    let words = http_error_code(&error).map(|code| words(&code));
                    return Err(io::Error::other(words.unwrap_or_else(|| error.to_debug_string())));
                }
            }
        }
    }
}
