//! Commands for a server that runs: a local socket, one line of JSON each way.
//!
//! Whoever may write to the folder may command its server: the socket lies there, with mode 0600.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use state_store::Past;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::backfill::TimeRange;
use super::error::ServeError;

/// The longest line that is read as a command, in bytes.
const LONGEST: u64 = 64 << 10;
/// How long a command may take to arrive, and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// What all tenants are at.
    Status,
    /// A tenant is not polled any more, until it is resumed.
    Pause {
        /// Its name.
        tenant: String,
    },
    /// It is polled again, now.
    Resume {
        /// Its name.
        tenant: String,
    },
    /// It is polled now, whenever it would be due.
    Poll {
        /// Its name.
        tenant: String,
    },
    /// It collects a range of time besides.
    Backfill {
        /// Its name.
        tenant: String,
        /// What to collect.
        range: TimeRange,
    },
    /// It does so no more.
    EndBackfill {
        /// Its name.
        tenant: String,
    },
    /// The earlier states that it can go back to.
    History {
        /// Its name.
        tenant: String,
    },
    /// It goes on from an earlier state.
    RollBack {
        /// Its name.
        tenant: String,
        /// The state's revision.
        revision: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What was asked for is done.
    Done(String),
    /// It cannot be done, in words.
    Refused(String),
    /// The tenants, by name.
    Tenants(Vec<TenantStatus>),
    /// Earlier states, newest first.
    States(Vec<EarlierState>),
}

/// A state that can be gone back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierState {
    /// Its revision.
    pub revision: u64,
    /// When it was saved; none if a host that knew no revisions saved it.
    pub saved_at: Option<DateTime<Utc>>,
    /// The version of the component that wrote it; none likewise.
    pub version: Option<String>,
    /// The size of its text.
    pub bytes: usize,
}

impl From<Past> for EarlierState {
    fn from(past: Past) -> Self {
        Self {
            revision: past.revision,
            saved_at: past.saved_at.map(DateTime::from),
            version: past.version,
            bytes: past.bytes,
        }
    }
}

/// What a tenant is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantStatus {
    /// Its name.
    pub tenant: String,
    /// `waiting`, `ready`, `running`, `paused` or `failed`.
    pub state: String,
    /// Milliseconds until it is polled next, where it waits.
    pub next_poll_ms: Option<u64>,
    /// Events delivered since the server began.
    pub events: u64,
    /// Polls since the server began.
    pub polls: u64,
    /// Why it failed, if it did.
    pub failed: Option<String>,
    /// What it collects besides, if it does.
    pub backfill: Option<BackfillStatus>,
}

/// What a backfill is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillStatus {
    /// The range of time.
    pub range: TimeRange,
    /// Events of it that were delivered since the tenant was opened.
    pub events: u64,
}

/// Where the socket of a folder lies.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Asks the server of a folder.
///
/// # Errors
///
/// If there is none, or it does not answer in time.
pub async fn ask(folder: &Path, ask: &Ask) -> io::Result<Answer> {
    let exchange = async {
        let stream = UnixStream::connect(socket(folder)).await?;
        let (read, mut write) = stream.into_split();
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(read).read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

pub(super) struct Request {
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The socket, for as long as it lives.
pub(super) struct Control {
    pub(super) requests: mpsc::Receiver<Request>,
    path: PathBuf,
    listening: JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Control {
    pub(super) async fn listen(folder: &Path) -> Result<Self, ServeError> {
        let path = socket(folder);
        let failed = |reason: &dyn std::fmt::Display| ServeError::Control {
            path: path.clone(),
            reason: reason.to_string(),
        };
        // One that nobody answers at was left by a server that was killed.
        if UnixStream::connect(&path).await.is_ok() {
            return Err(failed(&"another server serves this folder"));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| failed(&error))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).map_err(|error| failed(&error))?;
        let (sender, requests) = mpsc::channel(16);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    // Who does not come to an end is left alone.
                    let _ = timeout(PATIENCE, serve(stream, sender)).await;
                });
            }
        });
        Ok(Self { requests, path, listening })
    }
}

async fn serve(stream: UnixStream, requests: mpsc::Sender<Request>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Err(error) => Answer::Refused(format!("not understood: {error}")),
        Ok(ask) => {
            let (answer, answered) = oneshot::channel();
            let _ = requests.send(Request { ask, answer }).await;
            answered.await.unwrap_or_else(|_| Answer::Refused("the server is stopping".to_owned()))
        }
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}
