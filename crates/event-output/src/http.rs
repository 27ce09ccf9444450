//! Events in the bodies of HTTP requests.

use bytes::Bytes;
use reqwest::Method;

use crate::document::{lines, one_line};
use crate::files::check_dead_letters;
use crate::output::{Check, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, SettingsError};
use crate::web::answers::{Rules, Verdict, judge};
use crate::web::client::Client;
use crate::web::pieces::{Requests, deliver};
use crate::web::{Compression, WebSettings};

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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpSettings {
    /// The receiver, and how it is reached. No compression by default: not every receiver knows what a compressed request is.
    pub web: WebSettings,
    /// POST by default.
    pub method: SendMethod,
    /// One event per line by default.
    pub format: Format,
}

impl HttpSettings {
    /// To this address, everything else as it is by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            web: WebSettings::new(url, Compression::None),
            method: SendMethod::default(),
            format: Format::default(),
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

    fn client(&self) -> Result<Client, SettingsError> {
        let mut problems = Problems::default();
        let client = Client::new(&self.web, &mut problems);
        problems.done(client)
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
/// settings.web.headers.push(("authorization".into(), "Bearer secret".into()));
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

    async fn probe(&self) -> Result<String, OutputError> {
        // Nothing in HTTP asks whether a POST would be taken. HEAD shows at least that somebody answers there.
        let reply = self.client.send(Method::HEAD, self.client.url(), &[], Bytes::new(), ANSWER).await?;
        let seen = format!("{} answered {} to HEAD", self.client.origin(), reply.status);
        // Many receivers know no HEAD: these answers say nothing of POST.
        if !matches!(reply.status.as_u16(), 400 | 404..=406 | 411..=415 | 422 | 501)
            && let Verdict::Failed(error) = judge(&self.client, &reply, "", Rules::Http)
        {
            return Err(error);
        }
        check_dead_letters(self.settings.web.dead_letters.as_ref()).await?;
        Ok(format!("{seen}; whether it takes events is seen with the first"))
    }
}

impl Requests for Http {
    const NAME: &'static str = "http";

    fn settings(&self) -> &WebSettings {
        &self.settings.web
    }

    async fn post(&self, events: &[String], delivered: &mut Delivered) -> Verdict {
        let (content_type, body) = match self.settings.format {
            Format::Ndjson => ("application/x-ndjson", lines(events)),
            Format::JsonArray => ("application/json", array(events)),
        };
        let method = match self.settings.method {
            SendMethod::Post => Method::POST,
            SendMethod::Put => Method::PUT,
        };
        let url = self.client.url();
        match self.client.send_events(method, url, content_type, body, ANSWER, delivered).await {
            Ok(reply) => judge(&self.client, &reply, &String::from_utf8_lossy(&reply.body), Rules::Http),
            Err(error) => Verdict::Failed(error),
        }
    }
}

impl Output for Http {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(deliver(self, events))
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(self.probe())
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
