//! What of a request and its answer WASI 0.2 and 0.3 say with the same types. Both components have this file.

use crate::bindings::http::types::{ErrorCode, Fields, Method, RequestOptions, Scheme};
use crate::words::words;
use collector::{
    io::{Request, TransportError},
    secret::wipe_bytes,
};
use std::time::Duration;

/// Why no answer came.
pub(crate) fn transport_error(code: &ErrorCode) -> TransportError {
    match code {
        ErrorCode::HttpRequestDenied => TransportError::Denied(String::from("the host denies it")),
        code => TransportError::Failed(words(code)),
    }
}

/// Its headers, and the length of its body: without that a host sends the body in chunks, which some gateways refuse.
pub(crate) fn fields(request: &Request) -> Result<Fields, ErrorCode> {
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.reveal().as_bytes().to_vec()))
        .collect();
    if let Some(body) = &request.body {
        let length = body.reveal().len().to_string();
        headers.push((String::from("content-length"), length.into_bytes()));
    }
    let fields = Fields::from_list(&headers);
    headers.iter_mut().for_each(|(_, value)| wipe_bytes(value));
    fields.map_err(|_| ErrorCode::InternalError(None))
}

/// How long it may take. A host that cannot keep one of these times has limits of its own.
pub(crate) fn options(request: &Request) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds(request.timeouts.connect));
    let _ = options.set_first_byte_timeout(nanoseconds(request.timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(nanoseconds(request.timeouts.between_bytes));
    options
}

pub(crate) fn method(request: &Request) -> Method {
    if request.body.is_some() { Method::Post } else { Method::Get }
}

pub(crate) fn scheme(request: &Request) -> Scheme {
    if request.secure { Scheme::Https } else { Scheme::Http }
}

/// The headers of an answer, their names in lower case.
pub(crate) fn headers(entries: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()))
        .collect()
}
