//! Its one way to ask.

use crate::bindings::{
    http::{
        outgoing_handler,
        types::{Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingRequest, Scheme},
    },
    wasi::io::streams::StreamError,
};

/// What a server answers; or, in words, why it does not.
pub fn get(authority: &str, path: &str) -> Result<String, String> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Get).map_err(|()| "no method")?;
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "no scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "no path")?;
    let future = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    let response = response(&future)?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()));
    }
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

fn response(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    loop {
        match future.get() {
            Some(Ok(Ok(response))) => return Ok(response),
            Some(Ok(Err(code))) => return Err(format!("{code:?}")),
            Some(Err(())) => return Err("the answer was taken already".to_owned()),
            None => future.subscribe().block(),
        }
    }
}
