//! A server for HTTP/1.1 that answers what it is told, tears connections, is killed and starts again.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// By their names in lower case.
    pub headers: HashMap<String, String>,
    /// Decompressed.
    pub body: Vec<u8>,
}

impl Request {
    pub fn lines(&self) -> Vec<String> {
        String::from_utf8(self.body.clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

pub enum Answer {
    Status(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is torn.
    Tear,
    /// Nothing comes.
    Silence,
    /// The whole server is killed.
    Die,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), Vec::new())
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

pub struct Fake {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<JoinHandle<()>>,
    /// Holds the port without listening, so that nobody else gets it while the server is killed.
    _held: TcpSocket,
}

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    asked: AtomicUsize,
    die: Notify,
    tls: Option<TlsAcceptor>,
}

impl Fake {
    pub async fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(handler, None).await
    }

    pub async fn start_with(
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            asked: AtomicUsize::new(0),
            die: Notify::new(),
            tls,
        });
        let held = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = held.local_addr().unwrap();
        let listener = bind(address).listen(64).unwrap();
        let running = Some(tokio::spawn(serve(listener, shared.clone())));
        Self { address, shared, running, _held: held }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Kills it with all its connections.
    pub async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Starts it at its old address, if it does not run.
    pub async fn revive(&mut self) {
        if self.running.as_ref().is_none_or(JoinHandle::is_finished) {
            let listener = bind(self.address).listen(64).unwrap();
            self.running = Some(tokio::spawn(serve(listener, self.shared.clone())));
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // With the set its connections are dropped.
            () = shared.die.notified() => return,
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                let shared = shared.clone();
                connections.spawn(async move {
                    match shared.tls.clone() {
                        None => connection(stream, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, shared).await;
                            }
                        }
                    }
                });
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let answer = (shared.handler)(&request);
        let head = request.method == "HEAD";
        shared.requests.lock().unwrap().push(request);
        shared.asked.fetch_add(1, Ordering::SeqCst);
        match answer {
            Answer::Status(status, headers, body) => {
                let mut text = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                text.push_str("\r\n");
                let mut bytes = text.into_bytes();
                if !head {
                    bytes.extend(body);
                }
                let sent = stream.get_mut().write_all(&bytes).await;
                if sent.is_err() || stream.get_mut().flush().await.is_err() {
                    return;
                }
            }
            Answer::Tear => return,
            Answer::Silence => std::future::pending().await,
            Answer::Die => {
                shared.die.notify_one();
                std::future::pending().await
            }
        }
    }
}

async fn read(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
        match line.trim().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = match headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zstd") => zstd::decode_all(&*body).unwrap(),
        _ => body,
    };
    Some(Request { method, target, headers, body })
}
