//! Attacks by way of the network.

use crate::bindings::{
    http::{
        client,
        types::{Fields, Method, Request, Response, Scheme},
    },
    wit_future, wit_stream,
};
use std::{future::poll_fn, pin::pin, task::Poll};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

/// A request with a body that comes from the writer, unless it is a GET.
fn request(authority: &str, path: &str, contents: Option<StreamReader<u8>>) -> Option<Request> {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let method = if contents.is_some() { Method::Post } else { Method::Get };
    let (request, _) = Request::new(Fields::new(), contents, trailers, None);
    request.set_method(&method).ok()?;
    request.set_scheme(Some(&Scheme::Http)).ok()?;
    request.set_authority(Some(authority)).ok()?;
    request.set_path_with_query(Some(path)).ok()?;
    Some(request)
}

/// Reads a body for as long as there is any.
async fn read(response: Response) -> Result<u64, String> {
    let (_, outcome) = wit_future::new(|| Ok(()));
    let (mut stream, end) = Response::consume_body(response, outcome);
    let (mut count, mut space) = (0, Vec::with_capacity(1 << 20));
    loop {
        space.clear();
        let result;
        (result, space) = stream.read(space).await;
        if result == StreamResult::Dropped {
            return match end.await {
                Ok(_) => Ok(count),
                Err(code) => Err(format!("after {count} bytes: {code:?}")),
            };
        }
        count += space.len() as u64;
    }
}

async fn get(authority: &str, path: &str) -> Result<u64, String> {
    let request = request(authority, path, None).ok_or("no request")?;
    let response = client::send(request).await.map_err(|code| format!("{code:?}"))?;
    read(response).await
}

pub async fn read_all(authority: &str, path: &str) -> String {
    match get(authority, path).await {
        Ok(count) => format!("read {count}"),
        Err(error) => error,
    }
}

/// One after the other, each to its end.
pub async fn many_requests(authority: &str, number: usize) -> String {
    for done in 0..number {
        if let Err(error) = get(authority, "/").await {
            return format!("done {done}, then {error}");
        }
    }
    format!("done {number}")
}

pub async fn denied_requests(number: usize) -> String {
    let mut denied = 0;
    for n in 0..number {
        denied += u32::from(get(&format!("h{n}.attacker.example.net"), "/").await.is_err());
    }
    format!("denied {denied}")
}

/// Requests that are sent and whose answers nobody waits for.
pub async fn dropped_requests(authority: &str, number: usize) -> String {
    for _ in 0..number {
        let Some(request) = request(authority, "/slow", None) else { break };
        let mut sent = pin!(client::send(request));
        // Started, and then cancelled.
        poll_fn(|context| {
            let _ = sent.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    format!("sent {number}")
}

/// Requests that wait for their answers all at the same time.
pub async fn requests_at_once(authority: &str, number: usize) -> String {
    let requests = (0..number).filter_map(|_| request(authority, "/slow", None));
    let mut waiting: Vec<_> = requests.map(|request| Box::pin(client::send(request))).collect();
    let mut refused = 0_usize;
    poll_fn(|context| {
        waiting.retain_mut(|sent| sent.as_mut().poll(context).is_pending());
        refused = number - waiting.len();
        // Eight at most are under way, and those are never answered.
        if waiting.len() <= 8 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    format!("refused {refused}")
}

pub async fn large_request(authority: &str, length: usize) -> String {
    let (mut writer, reader): (StreamWriter<u8>, _) = wit_stream::new();
    let Some(request) = request(authority, "/upload", Some(reader)) else { return String::new() };
    let mut sent = pin!(client::send(request));
    let mut written = pin!(async move {
        let mut count = 0;
        while count < length {
            let rest = writer.write_all(vec![7; 1 << 20]).await;
            count += (1 << 20) - rest.len();
            if !rest.is_empty() {
                break;
            }
        }
        count
    });
    let mut count = None;
    let answer = poll_fn(|context| {
        if count.is_none()
            && let Poll::Ready(wrote) = written.as_mut().poll(context)
        {
            count = Some(wrote);
        }
        sent.as_mut().poll(context)
    })
    .await;
    format!("wrote {count:?}, then {:?}", answer.map(|response| response.get_status_code()))
}
