//! Events in a stream of NATS JetStream.
//!
//! Each event is published with its `event.id` as `Nats-Msg-Id`, and counts as safe once the stream acknowledged it. Within
//! the stream's duplicate window (two minutes by default) an event that comes again is dropped by the server; whoever waits
//! longer between attempts sets a longer one. The stream is not created here: how long events are kept is its owner's
//! decision.

use std::collections::VecDeque;
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{
    Context, ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};

use crate::address;
use crate::document::{Document, one_line};
use crate::files::{DeadLetters, Letter, check_dead_letters, set_aside};
use crate::output::{Check, Closing, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, Secret, SettingsError};
use crate::web::ClientCertificate;
use crate::web::tls;

/// The name of this output in dead letters.
const NAME: &str = "nats";

const SCHEMES: [&str; 2] = ["nats", "tls"];

/// The oldest server whose streams this project trusts, by its own tests.
const TRUSTED: (u32, u32) = (2, 14);

/// A connection that is to last notices within three of these that nobody answers any more.
const PING: Duration = Duration::from_secs(5);

/// How this side shows who it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum NatsAuthentication {
    /// Not at all, or by a client certificate.
    #[default]
    None,
    /// A file with a user's JWT and seed (`.creds`), read at each connect.
    CredentialsFile(PathBuf),
    /// A token.
    Token(Secret),
    /// A user and a password.
    User {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// Settings of [`Nats`].
#[derive(Clone)]
#[non_exhaustive]
pub struct NatsSettings {
    /// The servers of one cluster: `nats://host:4222`, or `tls://` where TLS must be used.
    pub servers: Vec<String>,
    /// The subject of an event. `{dataset}` and `{namespace}` stand for those of the event, one token each: whatever is not
    /// a letter, a digit, `-` or `_` becomes `_` (`salesforce.login` is `salesforce_login`). `logs.{dataset}.{namespace}` by
    /// default.
    pub subject: String,
    /// The dataset where an event names none: `generic` by default.
    pub default_dataset: String,
    /// The namespace where an event names none: `default` by default.
    pub default_namespace: String,
    /// The stream that has to take the events; another refuses them. None, the default: whichever has the subject.
    pub stream: Option<String>,
    /// Credentials.
    pub authentication: NatsAuthentication,
    /// Whether a token or a password may travel without TLS to another machine. Not by default.
    pub credentials_without_tls: bool,
    /// More authorities that may certify the servers, in PEM. Mozilla's are known; the system's are not asked.
    pub ca_file: Option<PathBuf>,
    /// A certificate of this side.
    pub client_certificate: Option<ClientCertificate>,
    /// How many events may wait for their acknowledgement: 256 by default, 1 to 10,000.
    pub in_flight: usize,
    /// How long one is waited for: 10 seconds by default, 1 second to 10 minutes.
    pub ack_timeout: Duration,
    /// For a connection: 10 seconds by default, 1 second to 10 minutes.
    pub connect_timeout: Duration,
    /// Where events are kept that are longer than the server takes. Without it the delivery is refused until somebody acts.
    pub dead_letters: Option<DeadLetters>,
}

impl NatsSettings {
    /// To this server, everything else as it is by default.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            servers: vec![server.into()],
            subject: "logs.{dataset}.{namespace}".into(),
            default_dataset: "generic".into(),
            default_namespace: "default".into(),
            stream: None,
            authentication: NatsAuthentication::None,
            credentials_without_tls: false,
            ca_file: None,
            client_certificate: None,
            in_flight: 256,
            ack_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            dead_letters: None,
        }
    }

    /// Names everything that is wrong. Reads the certificates that are named here.
    ///
    /// # Errors
    ///
    /// If something is.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let mut problems = Problems::default();
        problems.unless(!self.servers.is_empty(), "servers", "must name one at least");
        for server in &self.servers {
            problems.take("servers", address::parse(server, SCHEMES));
        }
        let sample = self.subject.replace("{dataset}", "a").replace("{namespace}", "a");
        let fine = |c: char| c.is_ascii_graphic() && !matches!(c, '*' | '>' | '{' | '}');
        problems.unless(
            sample.split('.').all(|token| !token.is_empty() && token.chars().all(fine))
                && !sample.starts_with('$'),
            "subject",
            "must be tokens with dots between them, without wildcards; known are {dataset} and {namespace}",
        );
        problems.unless((1..=10_000).contains(&self.in_flight), "in_flight", "must be between 1 and 10,000");
        for (name, time) in [("ack_timeout", self.ack_timeout), ("connect_timeout", self.connect_timeout)] {
            let fine = (Duration::from_secs(1)..=Duration::from_secs(600)).contains(&time);
            problems.unless(fine, name, "must be between 1 second and 10 minutes");
        }
        if let Err((setting, message)) = self.tls() {
            problems.add(setting, message);
        }
        problems.done(Some(()))
    }

    fn tls(&self) -> Result<rustls::ClientConfig, (&'static str, String)> {
        tls::config(self.ca_file.as_deref(), self.client_certificate.as_ref())
    }

    /// A token or a password is sent as it is, so TLS has to be there first. A seed signs and stays here.
    fn needs_tls(&self) -> bool {
        let told =
            matches!(&self.authentication, NatsAuthentication::Token(_) | NatsAuthentication::User { .. });
        let here =
            |server: &String| address::parse(server, SCHEMES).is_ok_and(|url| address::is_this_machine(&url));
        let away = !self.servers.iter().all(here);
        told && away && !self.credentials_without_tls
    }

    /// A connection with these settings, for who does more with the servers than deliver to them. It is kept up by itself: where
    /// it is lost it is made anew, for as long as that takes, and what is asked meanwhile waits. Answers come below `inbox`: whoever
    /// may subscribe to that sees them.
    ///
    /// # Errors
    ///
    /// Why there is none: the settings, the credentials, or that nobody answers.
    pub async fn connect(&self, name: &str, inbox: &str) -> Result<Client, OutputError> {
        self.validate().map_err(|error| OutputError::refused(error.to_string()))?;
        let options = ConnectOptions::new().name(name).ping_interval(PING).custom_inbox_prefix(inbox);
        self.connected(options).await
    }

    async fn connected(&self, options: ConnectOptions) -> Result<Client, OutputError> {
        let shown = || self.shown().join(", ");
        let tls =
            self.tls().map_err(|(setting, message)| OutputError::refused(format!("{setting}: {message}")))?;
        let options = options
            .connection_timeout(self.connect_timeout)
            .tls_client_config(tls)
            .require_tls(self.needs_tls())
            // Others than those of the settings are not contacted, whatever the servers say of their cluster.
            .ignore_discovered_servers();
        let options = match &self.authentication {
            NatsAuthentication::None => options,
            NatsAuthentication::CredentialsFile(path) => {
                options.credentials_file(path).await.map_err(|reason| {
                    OutputError::refused(format!(
                        "cannot use the credentials file {}: {reason}",
                        path.display()
                    ))
                })?
            }
            NatsAuthentication::Token(token) => options.token(token.expose().to_owned()),
            NatsAuthentication::User { user, password } => {
                options.user_and_password(user.clone(), password.expose().to_owned())
            }
        };
        let connecting = options.connect(self.servers.clone());
        let client = tokio::time::timeout(self.connect_timeout, connecting).await;
        client
            .map_err(|_| OutputError::unavailable(format!("{} did not answer in time", shown())))?
            .map_err(|error| {
                let what = format!("cannot connect to {}: {error}", shown());
                match error.kind() {
                    _ if tls::distrust(&error).is_some() => {
                        OutputError::refused(format!("{what}; check ca_file and client_certificate"))
                    }
                    ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                        OutputError::refused(format!("{what}; check the credentials"))
                    }
                    ConnectErrorKind::Tls => OutputError::refused(format!(
                        "{what}; TLS is needed for these credentials or by the server: check the certificates, and that \
                         the server offers it"
                    )),
                    ConnectErrorKind::ServerParse => OutputError::refused(what),
                    _ => OutputError::unavailable(what),
                }
            })
    }

    fn subject_of(&self, document: &Document) -> String {
        let dataset = token(document.any_dataset().unwrap_or(&self.default_dataset));
        let namespace = token(document.stream_namespace.as_deref().unwrap_or(&self.default_namespace));
        self.subject.replace("{dataset}", &dataset).replace("{namespace}", &namespace)
    }

    /// The servers, to be shown.
    fn shown(&self) -> Vec<String> {
        self.servers.iter().map(|server| address::shown(server)).collect()
    }

    /// All subjects of events.
    fn pattern(&self) -> String {
        self.subject.replace("{dataset}", "*").replace("{namespace}", "*")
    }
}

/// Of the servers, host and port alone: whoever has not had them checked may have written a password there.
impl std::fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsSettings")
            .field("servers", &self.shown())
            .field("subject", &self.subject)
            .field("default_dataset", &self.default_dataset)
            .field("default_namespace", &self.default_namespace)
            .field("stream", &self.stream)
            .field("authentication", &self.authentication)
            .field("credentials_without_tls", &self.credentials_without_tls)
            .field("ca_file", &self.ca_file)
            .field("client_certificate", &self.client_certificate)
            .field("in_flight", &self.in_flight)
            .field("ack_timeout", &self.ack_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("dead_letters", &self.dead_letters)
            .finish()
    }
}

/// A text as one token of a subject. An event must not choose a subject that is not meant for it.
fn token(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if text.is_empty() { "_".into() } else { text }
}

/// Publishes events to a stream of NATS JetStream.
///
/// At least once, and once by `event.id` within the stream's duplicate window. Order is kept, but for events that are sent
/// again.
///
/// ```
/// use event_output::{Nats, NatsAuthentication, NatsSettings};
///
/// let mut settings = NatsSettings::new("tls://nats.example.com:4222");
/// settings.authentication = NatsAuthentication::CredentialsFile("/etc/source-host/nats.creds".into());
/// settings.stream = Some("LOGS".into());
/// let output = Nats::new(settings)?;
/// # Ok::<(), event_output::SettingsError>(())
/// ```
pub struct Nats {
    settings: NatsSettings,
    link: Option<Link>,
}

/// A connection. All clones are the same.
#[derive(Clone)]
struct Link {
    client: Client,
    stream: Context,
    /// What the server said last that is not an answer to a message, such as a permission that lacks.
    said: Arc<Mutex<Option<String>>>,
}

/// An event on its way.
enum Sent {
    Waiting(PublishAckFuture),
    Never(String),
}

impl Nats {
    /// Checks the settings; the connection is made by the first delivery.
    ///
    /// # Errors
    ///
    /// If the settings are wrong.
    pub fn new(settings: NatsSettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self { settings, link: None })
    }

    fn servers(&self) -> String {
        self.settings.shown().join(", ")
    }

    /// The connection, made anew where it is lost: that tells what is wrong, where the client in the background does not.
    async fn link(&mut self) -> Result<Link, OutputError> {
        let link = match self.link.take().filter(|link| link.client.connection_state() == State::Connected) {
            Some(link) => link,
            None => self.connect().await?,
        };
        Ok(self.link.insert(link).clone())
    }

    async fn connect(&self) -> Result<Link, OutputError> {
        let settings = &self.settings;
        let said = Arc::new(Mutex::new(None));
        let heard = said.clone();
        let options = ConnectOptions::new()
            .name("event-output")
            .max_reconnects(settings.servers.len())
            .event_callback(move |event| {
                let text = match event {
                    Event::ServerError(ServerError::Other(text)) => Some(text),
                    Event::ServerError(error) => Some(error.to_string()),
                    Event::Connected => None,
                    _ => return std::future::ready(()),
                };
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = text;
                std::future::ready(())
            });
        let client = settings.connected(options).await?;
        // Twice as many as are sent at once: those of a delivery that was dropped still count.
        let stream = ContextBuilder::new()
            .timeout(settings.ack_timeout)
            .ack_timeout(settings.ack_timeout)
            .max_ack_inflight(settings.in_flight * 2)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Link { client, stream, said })
    }

    async fn deliver_all(&mut self, events: &[String]) -> Result<Delivered, OutputError> {
        if events.is_empty() {
            return Ok(Delivered::default());
        }
        let link = self.link().await?;
        let mut sent = Delivered::default();
        let mut letters: Vec<Letter<'_>> = Vec::new();
        // Of those before the first letter: how many they are, and how many of them duplicates.
        let mut before_letters = (0, 0);
        let mut accepted = 0;
        let mut waiting = VecDeque::with_capacity(self.settings.in_flight);
        let mut rest = events.iter();
        let mut stopped = None;
        loop {
            while stopped.is_none()
                && waiting.len() < self.settings.in_flight
                && let Some(event) = rest.next()
            {
                match self.publish(&link, event, &mut sent).await {
                    Ok(one) => waiting.push_back(one),
                    // Those before it may still be acknowledged.
                    Err(error) => stopped = Some(error),
                }
            }
            // In the order in which they were sent, so that what is accepted is a prefix.
            let Some(one) = waiting.pop_front() else { break };
            let settled = match one {
                Sent::Never(reason) => Ok(Err(reason)),
                Sent::Waiting(ack) => match ack.await {
                    Ok(ack) => Ok(Ok(ack.duplicate)),
                    Err(error) => self.judge(&link, &error).map(Err),
                },
            };
            match settled {
                Ok(Ok(duplicate)) => {
                    sent.events += 1;
                    sent.duplicates += u64::from(duplicate);
                }
                Ok(Err(reason)) => {
                    if letters.is_empty() {
                        before_letters = (accepted, sent.duplicates);
                    }
                    letters.push(Letter { event: &events[accepted], reason });
                }
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
            accepted += 1;
        }
        if let Err(error) = set_aside(self.settings.dead_letters.as_ref(), NAME, &letters).await {
            // What was taken behind the first of these comes again, as a duplicate.
            let (first, duplicates) = before_letters;
            sent = Delivered { events: first as u64, duplicates, ..sent };
            return Err(error.with_accepted(first).with_delivered(sent));
        }
        sent.set_aside = letters.len() as u64;
        match stopped {
            None => Ok(sent),
            Some(error) => Err(error.with_accepted(accepted).with_delivered(sent)),
        }
    }

    async fn publish(&self, link: &Link, event: &str, sent: &mut Delivered) -> Result<Sent, OutputError> {
        let document = match Document::read(event) {
            Ok(document) => document,
            Err(reason) => return Ok(Sent::Never(reason)),
        };
        let subject = self.settings.subject_of(&document);
        let mut message = PublishMessage::build().payload(one_line(event).into_owned().into());
        // What a header cannot hold identifies nothing.
        if let Some(id) = document.id.filter(|id| id.bytes().all(|b| b.is_ascii_graphic())) {
            message = message.message_id(id);
        }
        if let Some(stream) = &self.settings.stream {
            message = message.expected_stream(stream);
        }
        match link.stream.send_publish(subject, message).await {
            Ok(ack) => {
                sent.requests += 1;
                sent.bytes_sent += event.len() as u64;
                Ok(Sent::Waiting(ack))
            }
            Err(error) => self.judge(link, &error).map(Sent::Never),
        }
    }

    /// What a failed message means: the reason why it is never taken, or the error.
    fn judge(&self, link: &Link, error: &PublishError) -> Result<String, OutputError> {
        let servers = self.servers();
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Ok(format!("too large for {servers}: {error}")),
            PublishErrorKind::StreamNotFound => Err(OutputError::refused(format!(
                "no stream of {servers} takes the subject {}; create one, or correct the subject",
                self.settings.pattern()
            ))),
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
                let said = link.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(match said.filter(|said| said.to_ascii_lowercase().contains("permissions violation")) {
                    Some(said) => OutputError::refused(format!(
                        "{servers} does not let these credentials publish: {said}; grant them the subject {}",
                        self.settings.pattern()
                    )),
                    None => OutputError::unavailable(format!("{servers} did not acknowledge: {error}")),
                })
            }
            _ => {
                let source = error.source().and_then(|source| source.downcast_ref());
                judge_stream(&servers, error, source)
            }
        }
    }

    async fn probe(&mut self) -> Result<String, OutputError> {
        let link = self.link().await?;
        let servers = self.servers();
        let pattern = self.settings.pattern();
        let info = link.client.server_info();
        let name = match &self.settings.stream {
            Some(stream) => stream.clone(),
            None => link.stream.stream_by_subject(pattern.clone()).await.map_err(|error| {
                OutputError::refused(format!(
                    "no stream of {servers} takes the subject {pattern} ({error}); create one, or correct the subject"
                ))
            })?,
        };
        let stream = link.stream.get_stream(&name).await.map_err(|error| {
            OutputError::refused(format!("the stream {name} of {servers} cannot be used: {error}; create it"))
        })?;
        let window = stream.cached_info().config.duplicate_window.as_secs();
        check_dead_letters(self.settings.dead_letters.as_ref()).await?;
        let version = &info.version;
        let mut seen =
            format!("NATS {version} at {servers}, stream {name}, duplicates dropped within {window} seconds");
        if !is_trusted(version) {
            seen.push_str(&format!(
                "; warning: this server is older than {}.{}, whose streams lost or doubled messages in known ways: update it",
                TRUSTED.0, TRUSTED.1
            ));
        }
        Ok(seen)
    }
}

/// What an error of the stream means.
fn judge_stream(
    servers: &str,
    error: &PublishError,
    source: Option<&async_nats::jetstream::Error>,
) -> Result<String, OutputError> {
    use async_nats::jetstream::ErrorCode;
    let Some(source) = source else {
        return Err(OutputError::unavailable(format!("cannot publish to {servers}: {error}")));
    };
    let code = source.error_code();
    let what = format!("the stream at {servers} answered: {source}");
    if code == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM || code == ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM {
        Ok(what)
    } else if code == ErrorCode::STREAM_NOT_MATCH {
        Err(OutputError::refused(format!("{what}; another stream has the subject: correct one of both")))
    } else if code == ErrorCode::STREAM_STORE_FAILED {
        Err(OutputError::unavailable(format!("{what}; if the stream is full, take from it or enlarge it")))
    } else if source.code() < 500 {
        Err(OutputError::refused(what))
    } else {
        Err(OutputError::unavailable(what))
    }
}

fn is_trusted(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(major)), Some(Some(minor))) if (major, minor) >= TRUSTED)
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Output for Nats {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(self.deliver_all(events))
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(self.probe())
    }

    fn reopen(&mut self) {
        self.link = None;
    }

    fn close<'a>(&'a mut self) -> Closing<'a> {
        self.link = None;
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_cannot_choose_a_subject_that_is_not_meant_for_it() {
        let settings = NatsSettings::new("nats://localhost");
        for (dataset, subject) in [
            ("salesforce.login", "logs.salesforce_login.default"),
            ("a.>", "logs.a__.default"),
            ("*", "logs._.default"),
            ("", "logs._.default"),
            ("a b\r\nPUB x", "logs.a_b__PUB_x.default"),
            ("{namespace}", "logs._namespace_.default"),
        ] {
            let document = Document { dataset: Some(dataset.into()), ..Document::default() };
            assert_eq!(settings.subject_of(&document), subject);
        }
        assert_eq!(settings.pattern(), "logs.*.*");
    }

    #[test]
    fn settings_that_make_no_sense_are_named_all_at_once() {
        let mut settings = NatsSettings::new("nats://user:hunter22@localhost");
        settings.subject = "logs..{event}".into();
        settings.in_flight = 0;
        settings.ack_timeout = Duration::ZERO;
        let error = settings.validate().unwrap_err();
        assert_eq!(error.problems().len(), 4, "{error}");
        assert!(!format!("{error} {settings:?}").contains("hunter22"));
    }

    #[test]
    fn a_password_travels_to_another_machine_by_tls_alone() {
        let mut settings = NatsSettings::new("nats://nats.example.com");
        assert!(!settings.needs_tls());
        settings.authentication = NatsAuthentication::Token("x".into());
        assert!(settings.needs_tls());
        settings.servers = vec!["nats://127.0.0.1:4222".into()];
        assert!(!settings.needs_tls());
    }

    #[test]
    fn servers_that_are_too_old_are_known() {
        for (version, trusted) in
            [("2.15.1", true), ("2.14.0", true), ("2.9.10", false), ("3.0.0", true), ("x", false)]
        {
            assert_eq!(is_trusted(version), trusted, "{version}");
        }
    }
}
