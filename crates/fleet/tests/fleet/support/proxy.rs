//! A network that can be cut: connections stand still, as where a cable was pulled, until it is mended; then they are lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Connections to one address, through here.
pub struct Proxy {
    address: SocketAddr,
    cable: Arc<Cable>,
}

struct Cable {
    cut: watch::Sender<bool>,
    /// It is cut as soon as a client has sent this.
    at: Mutex<Vec<u8>>,
}

impl Proxy {
    /// To a port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = Arc::new(Cable { cut: watch::Sender::new(false), at: Mutex::default() });
        let shared = Arc::clone(&cable);
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(carry(inbound, port, Arc::clone(&shared)));
            }
        });
        Self { address, cable }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    pub fn cut(&self, cut: bool) {
        self.cable.cut.send_replace(cut);
    }

    /// Cuts it once, as soon as a client has sent this; that arrives.
    pub fn cut_at(&self, text: &str) {
        *self.cable.at.lock().unwrap() = text.as_bytes().to_vec();
    }
}

impl Cable {
    /// Whether it is to be cut behind this, where `before` has the end of what was sent before.
    fn ends(&self, before: &mut Vec<u8>, sent: &[u8]) -> bool {
        let mut at = self.at.lock().unwrap();
        before.extend_from_slice(sent);
        let found = !at.is_empty() && before.windows(at.len()).any(|part| part == *at);
        before.drain(..before.len().saturating_sub(at.len()));
        if found {
            at.clear();
        }
        found
    }
}

async fn carry(inbound: TcpStream, port: u16, cable: Arc<Cable>) {
    let mut is_cut = cable.cut.subscribe();
    if is_cut.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(outbound) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_client, mut to_client) = inbound.into_split();
    let (mut from_server, mut to_server) = outbound.into_split();
    let there = async {
        let mut bytes = vec![0; 64 << 10];
        let mut before = Vec::new();
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            if to_server.write_all(&bytes[..read]).await.is_err() {
                break;
            }
            if cable.ends(&mut before, &bytes[..read]) {
                cable.cut.send_replace(true);
                // Whoever waits for that below ends this.
                std::future::pending::<()>().await;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
            if to_client.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
    };
    let cut = tokio::select! {
        () = there => false,
        () = back => false,
        cut = is_cut.wait_for(|cut| *cut) => cut.is_ok(),
    };
    if cut {
        // Nothing passes, and neither side hears of it before it is mended.
        let _ = is_cut.wait_for(|cut| !cut).await;
    }
}
