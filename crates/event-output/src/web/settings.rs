//! What every output over HTTP is told: where to, with which headers, how much at a time, and how it travels.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::body::Compression;
use super::tls::ClientCertificate;
use crate::address;
use crate::files::DeadLetters;
use crate::settings::{Problems, Secret};

/// What the settings of all outputs over HTTP have in common.
#[derive(Clone)]
#[non_exhaustive]
pub struct WebSettings {
    /// Where events are sent to. May hold a token in its path or query: it is never shown beyond host and port.
    pub url: String,
    /// Headers of every request, such as credentials. Values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// How bodies are compressed. The default is that of the output.
    pub compression: Compression,
    /// The most bytes of events in a request, before compression and counted as JSON: 4 MiB by default, 1 KiB to 64 MiB. An
    /// event that is longer has a request of its own.
    pub max_bytes: usize,
    /// The most events in a request: 5,000 by default, 1 to 100,000.
    pub max_events: usize,
    /// Where events are kept that the receiver never takes. Without it the delivery is refused until somebody acts.
    pub dead_letters: Option<DeadLetters>,
    /// Time limits, certificates, proxy.
    pub transport: Transport,
}

impl WebSettings {
    pub(crate) fn new(url: impl Into<String>, compression: Compression) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            compression,
            max_bytes: 4 << 20,
            max_events: 5_000,
            dead_letters: None,
            transport: Transport::default(),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { bytes: self.max_bytes, events: self.max_events }
    }
}

/// Of the address, host and port alone: the rest may be a token.
impl fmt::Debug for WebSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSettings")
            .field("url", &address::shown(&self.url))
            .field("headers", &self.headers)
            .field("compression", &self.compression)
            .field("max_bytes", &self.max_bytes)
            .field("max_events", &self.max_events)
            .field("dead_letters", &self.dead_letters)
            .field("transport", &self.transport)
            .finish()
    }
}

/// How requests travel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transport {
    /// For a whole request with its answer: 60 seconds by default, 1 second to 1 hour.
    pub timeout: Duration,
    /// For the connection with its TLS: 10 seconds by default, 1 second to 1 hour.
    pub connect_timeout: Duration,
    /// More authorities that may certify the server, in PEM. Mozilla's are known; the system's are not asked.
    pub ca_file: Option<PathBuf>,
    /// How this side shows who it is.
    pub client_certificate: Option<ClientCertificate>,
    /// The address of a proxy, `http://[user:password@]host:port`. The environment is not asked.
    pub proxy: Option<Secret>,
    /// Whether credentials may travel without TLS to another machine. Not by default: whoever listens could use them.
    pub credentials_without_tls: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            ca_file: None,
            client_certificate: None,
            proxy: None,
            credentials_without_tls: false,
        }
    }
}

/// How much one request holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub bytes: usize,
    pub events: usize,
}

impl Bounds {
    pub fn check(self, problems: &mut Problems) {
        let fine = (1 << 10..=64 << 20).contains(&self.bytes);
        problems.unless(fine, "max_bytes", "must be between 1 KiB and 64 MiB");
        problems.unless((1..=100_000).contains(&self.events), "max_events", "must be between 1 and 100,000");
    }
}
