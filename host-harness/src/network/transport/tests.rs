//! The transport against servers on loopback that answer as each test says.

mod secured;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// A server that answers every request with the same bytes, and counts.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// `None` = takes the request and never answers.
    async fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    while stream.read_buf(&mut seen).await.unwrap_or(0) > 0 {
                        if seen.ends_with(b"\r\n\r\n") {
                            seen.clear();
                            requests.fetch_add(1, Ordering::SeqCst);
                            let Some(answer) = answer else { continue };
                            let _ = stream.write_all(answer.as_bytes()).await;
                            if answer.contains("connection: close") {
                                return;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    fn uri(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

fn no_lookup() -> Lookup {
    Arc::new(|name| panic!("{name} was looked up"))
}

fn fixed_lookup(answers: Vec<&'static str>) -> Lookup {
    let answers = Arc::new(std::sync::Mutex::new(answers));
    Arc::new(move |_| {
        let answer = answers.lock().unwrap().remove(0);
        let addresses = answer.split(',').filter(|a| !a.is_empty()).map(|a| a.parse().unwrap()).collect();
        Box::pin(async move { Ok(addresses) })
    })
}

fn transport(lookup: Lookup) -> HttpTransport {
    HttpTransport::builder().build_with(lookup).unwrap()
}

async fn get(transport: &HttpTransport, uri: &str, timeouts: Timeouts) -> Result<Response<WasiBody>, Error> {
    let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
    transport.send(Request::get(uri).body(body).unwrap(), timeouts).await
}

async fn text(response: Response<WasiBody>) -> Result<String, Error> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn code<T>(result: Result<T, Error>) -> String {
    format!("{:?}", result.err().unwrap())
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn connections_are_kept_open_between_requests() {
    let server = Server::start(Some(OK)).await;
    let transport = transport(no_lookup());
    for _ in 0..5 {
        let response = get(&transport, &server.uri(), Timeouts::default()).await.unwrap();
        assert_eq!(text(response).await.unwrap(), "hello");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 5);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn two_sources_never_share_a_connection() {
    let server = Server::start(Some(OK)).await;
    for transport in [transport(no_lookup()), transport(no_lookup())] {
        text(get(&transport, &server.uri(), Timeouts::default()).await.unwrap()).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_redirect_is_handed_on_and_not_followed() {
    let target = Server::start(Some(OK)).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.uri());
    let server = Server::start(Some(redirect.leak())).await;
    let response = get(&transport(no_lookup()), &server.uri(), Timeouts::default()).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused_before_any_connection() {
    let server = Server::start(Some(OK)).await;
    let uri = format!("http://logs.example.com:{}/", server.port);
    for inner in ["127.0.0.1", "::1,127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254,10.0.0.1"] {
        let result = get(&transport(fixed_lookup(vec![inner])), &uri, Timeouts::default()).await;
        assert_eq!(code(result), "DestinationIpProhibited", "{inner}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn localhost_may_resolve_to_loopback() {
    let server = Server::start(Some(OK)).await;
    let uri = format!("http://localhost:{}/", server.port);
    let response = get(&transport(fixed_lookup(vec!["127.0.0.1"])), &uri, Timeouts::default()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_error() {
    let nothing =
        get(&transport(fixed_lookup(vec![""])), "https://logs.example.com/", Timeouts::default()).await;
    assert!(code(nothing).starts_with("DnsError"));
    let failing: Lookup = Arc::new(|_| Box::pin(async { Err(io::Error::other("no such name")) }));
    let failed = get(&transport(failing), "https://logs.example.com/", Timeouts::default()).await;
    assert!(code(failed).starts_with("DnsError"));
}

#[tokio::test]
async fn a_port_without_a_server_refuses_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(code(get(&transport(no_lookup()), &uri, Timeouts::default()).await), "ConnectionRefused");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(code(get(&transport(no_lookup()), &uri, Timeouts::default()).await), "TlsProtocolError");
}

#[tokio::test]
async fn a_lookup_that_never_ends_is_a_connect_timeout() {
    let endless: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let timeouts = Timeouts { connect: Duration::from_millis(20), ..Timeouts::default() };
    let result = get(&transport(endless), "https://logs.example.com/", timeouts).await;
    assert_eq!(code(result), "ConnectionTimeout");
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_read_timeout() {
    let server = Server::start(None).await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(100),
        first_byte: Duration::from_millis(100),
        ..Timeouts::default()
    };
    assert_eq!(code(get(&transport(no_lookup()), &server.uri(), timeouts).await), "ConnectionReadTimeout");
}

#[tokio::test]
async fn a_download_that_stops_half_way_is_an_incomplete_response() {
    let server =
        Server::start(Some("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhello")).await;
    let response = get(&transport(no_lookup()), &server.uri(), Timeouts::default()).await.unwrap();
    let error = text(response).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseIncomplete | Error::ConnectionTerminated), "{error:?}");
}

#[tokio::test]
async fn forty_thousand_headers_are_refused() {
    let mut answer = String::from("HTTP/1.1 200 OK\r\n");
    for n in 0..40_000 {
        answer.push_str(&format!("x-{n}: y\r\n"));
    }
    answer.push_str("\r\n");
    let server = Server::start(Some(answer.leak())).await;
    let result = get(&transport(no_lookup()), &server.uri(), Timeouts::default()).await;
    assert_eq!(code(result), "HttpResponseHeaderSectionSize(None)");
}

/// A body whose pieces a test sends when it likes.
struct Pieces(mpsc::UnboundedReceiver<&'static str>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|p| Ok(Frame::data(Bytes::from_static(p.as_bytes())))))
    }
}

#[tokio::test(start_paused = true)]
async fn each_piece_of_a_body_starts_the_clock_anew() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut body = timed(Pieces(receiver), Duration::from_secs(30));
    let started = Instant::now();
    tokio::spawn(async move {
        for _ in 0..5 {
            sleep(Duration::from_secs(29)).await;
            sender.send("piece").unwrap();
        }
        std::future::pending::<()>().await;
        drop(sender);
    });
    for _ in 0..5 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    assert!(matches!(body.frame().await, Some(Err(Error::ConnectionReadTimeout))));
    assert_eq!(started.elapsed().as_secs(), 5 * 29 + 30);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_loses_nothing() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut body = timed(Pieces(receiver), Duration::from_secs(30));
    for _ in 0..3 {
        sleep(Duration::from_secs(100)).await;
        sender.send("piece").unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }
}

#[test]
fn a_component_may_ask_for_other_waits_within_bounds() {
    let seconds = |connect, first_byte, between_bytes| Timeouts {
        connect: Duration::from_secs(connect),
        first_byte: Duration::from_secs(first_byte),
        between_bytes: Duration::from_secs(between_bytes),
    };
    let asked = |asked: Timeouts| {
        let options = RequestOptions {
            connect_timeout: Some(asked.connect),
            first_byte_timeout: Some(asked.first_byte),
            between_bytes_timeout: Some(asked.between_bytes),
        };
        Timeouts::capped(Some(options))
    };
    assert_eq!(Timeouts::capped(None), seconds(10, 60, 30));
    assert_eq!(asked(seconds(1, 120, 90)), seconds(1, 120, 90));
    assert_eq!(asked(seconds(600, 6000, 6000)), seconds(60, 300, 300));
}
