//! HTTP through `wasi:http`: one request at a time, the body read as it comes.

use crate::bindings::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
            RequestOptions, Scheme,
        },
    },
    wasi::io::streams::{InputStream, StreamError},
};
use crate::words::words;
use collector::{
    io::{Http, Request, Response, TransportError},
    secret::{Secret, wipe_bytes},
};
use std::{
    io::{self, Read},
    time::Duration,
};

/// More than a host returns from one read.
const READ: u64 = 64 * 1024;

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
    let internal = |_| ErrorCode::InternalError(None);
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
    let outgoing = OutgoingRequest::new(fields.map_err(|_| ErrorCode::InternalError(None))?);
    let method = if request.body.is_some() { Method::Post } else { Method::Get };
    outgoing.set_method(&method).map_err(internal)?;
    let scheme = if request.secure { Scheme::Https } else { Scheme::Http };
    outgoing.set_scheme(Some(&scheme)).map_err(internal)?;
    outgoing.set_authority(Some(&request.authority)).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    outgoing.set_path_with_query(Some(&request.path)).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let options = RequestOptions::new();
    // A host that cannot keep one of these has limits of its own.
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds(request.timeouts.connect));
    let _ = options.set_first_byte_timeout(nanoseconds(request.timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(nanoseconds(request.timeouts.between_bytes));

    let body = outgoing.body().map_err(internal)?;
    let future = outgoing_handler::handle(outgoing, Some(options))?;
    // Who answers before all is read may stop reading: the answer counts, and tells why.
    let _ = write(body, request.body.as_ref());

    let answer = loop {
        match future.get() {
            Some(answer) => break answer,
            None => future.subscribe().block(),
        }
    };
    let response = answer.map_err(internal)??;
    let status = response.status();
    let headers = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()))
        .collect();
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
                    let words =
                        crate::bindings::http::types::http_error_code(&error).map(|code| words(&code));
                    return Err(io::Error::other(words.unwrap_or_else(|| error.to_debug_string())));
                }
            }
        }
    }
}
