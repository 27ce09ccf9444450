//! Attacks by way of the network.

use crate::bindings::{
    http::{
        outgoing_handler,
        types::{Fields, FutureIncomingResponse, Method, OutgoingRequest, Scheme},
    },
    wasi::io::streams::{OutputStream, StreamError},
};

fn request(authority: &str, path: &str, method: &Method) -> Option<OutgoingRequest> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(method).ok()?;
    request.set_scheme(Some(&Scheme::Http)).ok()?;
    request.set_authority(Some(authority)).ok()?;
    request.set_path_with_query(Some(path)).ok()?;
    Some(request)
}

fn send(authority: &str, path: &str) -> Result<FutureIncomingResponse, String> {
    let request = request(authority, path, &Method::Get).ok_or("no request")?;
    outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))
}

/// Waits for the answer and reads its body for as long as there is any.
fn read(future: &FutureIncomingResponse) -> Result<u64, String> {
    let response = loop {
        match future.get() {
            Some(Ok(Ok(response))) => break response,
            Some(answer) => return Err(format!("{answer:?}")),
            None => future.subscribe().block(),
        }
    };
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut count = 0;
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(bytes) => count += bytes.len() as u64,
            Err(StreamError::Closed) => return Ok(count),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(format!("after {count} bytes: {}", error.to_debug_string()));
            }
        }
    }
}

pub fn read_all(authority: &str, path: &str) -> String {
    match send(authority, path).and_then(|future| read(&future)) {
        Ok(count) => format!("read {count}"),
        Err(error) => error,
    }
}

/// Writes for as long as the host takes something.
fn fill(stream: &OutputStream) -> u64 {
    let mut count = 0;
    loop {
        match stream.check_write() {
            Ok(0) | Err(_) => return count,
            Ok(allowed) => {
                let part = vec![7; usize::try_from(allowed).unwrap_or(1 << 20).min(1 << 20)];
                if stream.write(&part).is_err() {
                    return count;
                }
                count += part.len() as u64;
            }
        }
    }
}

/// Requests whose bodies are filled and that are never sent.
pub fn unsent_bodies(authority: &str, number: usize) -> String {
    let (mut held, mut bytes) = (Vec::new(), 0);
    for _ in 0..number {
        let Some(request) = request(authority, "/", &Method::Post) else { break };
        let Ok(body) = request.body() else { break };
        let Ok(stream) = body.write() else { break };
        bytes += fill(&stream);
        held.push((stream, body, request));
    }
    // Children first.
    for (stream, body, request) in held {
        drop(stream);
        drop(body);
        drop(request);
    }
    format!("filled {bytes}")
}

/// Requests that are sent and whose answers nobody waits for.
pub fn dropped_requests(authority: &str, number: usize) -> String {
    let (mut sent, mut refused, mut last) = (0, 0, String::new());
    for _ in 0..number {
        match send(authority, "/slow") {
            Ok(future) => {
                drop(future);
                sent += 1;
            }
            Err(error) => {
                refused += 1;
                last = error;
            }
        }
    }
    format!("sent {sent}, refused {refused}: {last}")
}

pub fn denied_requests(number: usize) -> String {
    let denied = |n: &usize| {
        let sent = send(&format!("h{n}.attacker.example.net"), "/");
        sent.and_then(|future| read(&future)).is_err()
    };
    let denied = (0..number).filter(denied).count();
    format!("denied {denied}")
}

/// Denied requests whose answer nobody waits for.
pub fn denied_and_dropped(number: usize) -> String {
    let sent = (0..number).filter(|n| send(&format!("h{n}.attacker.example.net"), "/").is_ok()).count();
    format!("sent {sent}")
}

/// One after the other, each to its end.
pub fn many_requests(authority: &str, number: usize) -> String {
    let mut done = 0;
    for _ in 0..number {
        match send(authority, "/").and_then(|future| read(&future)) {
            Ok(_) => done += 1,
            Err(error) => return format!("done {done}, then {error}"),
        }
    }
    format!("done {done}")
}

pub fn large_request(authority: &str, length: u64) -> String {
    let Some(request) = request(authority, "/upload", &Method::Post) else { return String::new() };
    let Ok(body) = request.body() else { return String::new() };
    let Ok(stream) = body.write() else { return String::new() };
    let future = match outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(code) => return format!("{code:?}"),
    };
    let part = vec![7; 4096];
    let mut count = 0;
    while count < length {
        if let Err(error) = stream.blocking_write_and_flush(&part) {
            let why = match error {
                StreamError::Closed => "closed".to_owned(),
                StreamError::LastOperationFailed(error) => error.to_debug_string(),
            };
            let answer = match future.get() {
                Some(answer) => format!("{answer:?}"),
                None => String::new(),
            };
            return format!("wrote {count}, then {why} {answer}");
        }
        count += part.len() as u64;
    }
    format!("wrote {count}")
}
