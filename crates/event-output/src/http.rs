//! Events in the bodies of HTTP requests.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName};

use crate::document::{lines, one_line};
use crate::files::{DeadLetters, check_dead_letters};
use crate::output::{Check, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, Secret, SettingsError};
use crate::web::answers::{Rules, Verdict, judge};
use crate::web::client::{Client, Reply};
use crate::web::pieces::{Bounds, Requests, deliver};
use crate::web::{Compression, Transport};

/// The name of this output in dead letters.
const NAME: &str = "http";

/// How much of an answer is read, in bytes: it is read by people alone.
const ANSWER: usize = 16 << 10;

/// How events stand in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One event per line (`application/x-ndjson`).
    #[default]
    Ndjson,
    /// A JSON array of events (`application/json`).
    JsonArray,
}

/// How events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendMethod {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// Settings of [`Http`].
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Where events are sent to. May hold a token in its path or query: it is never shown beyond host and port.
    pub url: String,
    /// POST by default.
    pub method: SendMethod,
    /// One event per line by default.
    pub format: Format,
    /// None by default: not every receiver knows what a compressed request is.
    pub compression: Compression,
    /// Headers of every request, such as credentials. Values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// The most bytes of events in a request, before compression: 4 MiB by default, 1 KiB to 64 MiB. An event that is
    /// longer has a request of its own.
    pub max_bytes: usize,
    /// The most events in a request: 5,000 by default, 1 to 100,000.
    pub max_events: usize,
    /// Where events are kept that the receiver never takes. Without it the delivery is refused until somebody acts.
    pub dead_letters: Option<DeadLetters>,
    /// Time limits, certificates, proxy.
    pub transport: Transport,
}

impl HttpSettings {
    /// To this address, everything else as it is by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: SendMethod::default(),
            format: Format::default(),
            compression: Compression::None,
            headers: Vec::new(),
            max_bytes: 4 << 20,
            max_events: 5_000,
            dead_letters: None,
            transport: Transport::default(),
        }
    }

    /// Names everything that is wrong. Reads the files that are named here.
    ///
    /// # Errors
    ///
    /// If something is.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.client().map(drop)
    }

    fn bounds(&self) -> Bounds {
        Bounds { bytes: self.max_bytes, events: self.max_events }
    }

    fn client(&self) -> Result<Client, SettingsError> {
        let mut problems = Problems::default();
        self.bounds().check(&mut problems);
        let client = Client::new(&self.url, &self.headers, &self.transport, &mut problems);
        problems.done(client)
    }
}

/// The address is left out, since it may hold a token.
impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSettings")
            .field("method", &self.method)
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("headers", &self.headers)
            .field("max_bytes", &self.max_bytes)
            .field("max_events", &self.max_events)
            .field("dead_letters", &self.dead_letters)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Sends events in the bodies of HTTP requests, as lines or as an array.
///
/// At least once: a request whose answer is lost is sent again. Order is kept. What each answer leads to stands in the
/// crate's README.
///
/// ```
/// use event_output::{Http, HttpSettings};
///
/// let mut settings = HttpSettings::new("https://logs.example.com/ingest");
/// settings.headers.push(("authorization".into(), "Bearer secret".into()));
/// let output = Http::new(settings)?;
/// # Ok::<(), event_output::SettingsError>(())
/// ```
#[derive(Debug)]
pub struct Http {
    settings: HttpSettings,
    client: Client,
}

impl Http {
    /// Checks the settings and prepares everything; nothing is sent.
    ///
    /// # Errors
    ///
    /// If the settings are wrong.
    pub fn new(settings: HttpSettings) -> Result<Self, SettingsError> {
        let client = settings.client()?;
        Ok(Self { settings, client })
    }

    async fn send(
        &self,
        method: Method,
        headers: &[(HeaderName, &'static str)],
        body: Bytes,
    ) -> Result<Reply, OutputError> {
        self.client.send(method, self.client.url(), headers, body, ANSWER).await
    }

    async fn look(&self) -> Result<String, OutputError> {
        // Nothing in HTTP asks whether a POST would be taken. HEAD shows at least that somebody answers there.
        let reply = self.send(Method::HEAD, &[], Bytes::new()).await?;
        let seen = format!("{} answered {} to HEAD", self.client.origin(), reply.status);
        // Many receivers know no HEAD: these answers say nothing of POST.
        if !matches!(reply.status.as_u16(), 400 | 404..=406 | 411..=415 | 422 | 501)
            && let Verdict::Failed(error) = judge(&self.client, &reply, "", Rules::Http)
        {
            return Err(error);
        }
        check_dead_letters(self.settings.dead_letters.as_ref()).await?;
        Ok(format!("{seen}; whether it takes events is seen with the first"))
    }
}

impl Requests for Http {
    async fn post(&self, events: &[String], delivered: &mut Delivered) -> Verdict {
        let (content_type, plain) = match self.settings.format {
            Format::Ndjson => ("application/x-ndjson", lines(events)),
            Format::JsonArray => ("application/json", array(events)),
        };
        let mut headers = vec![(CONTENT_TYPE, content_type)];
        headers.extend(self.settings.compression.header());
        let method = match self.settings.method {
            SendMethod::Post => Method::POST,
            SendMethod::Put => Method::PUT,
        };
        let sent = async {
            let body = self.settings.compression.apply(plain).await?;
            delivered.requests += 1;
            delivered.bytes_sent += body.len() as u64;
            self.send(method, &headers, body).await
        };
        match sent.await {
            Ok(reply) => judge(&self.client, &reply, &String::from_utf8_lossy(&reply.body), Rules::Http),
            Err(error) => Verdict::Failed(error),
        }
    }
}

impl Output for Http {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(deliver(NAME, self, events, self.settings.bounds(), self.settings.dead_letters.as_ref()))
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(self.look())
    }

    fn reopen(&mut self) {
        self.client.reopen();
    }
}

fn array(events: &[String]) -> Vec<u8> {
    let mut text = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum::<usize>() + 1);
    for (index, event) in events.iter().enumerate() {
        text.push(if index == 0 { b'[' } else { b',' });
        text.extend_from_slice(one_line(event).as_bytes());
    }
    text.push(b']');
    text
}
