//! Events in the data streams of Elasticsearch, or of OpenSearch.
//!
//! An event's `event.id` (in OCSF `metadata.uid`) becomes its `_id`, and it is created, never replaced: so an event that comes again is answered
//! with 409 and is not there twice. That holds within a backing index; after a rollover the same id may be created again.
//!
//! An event names its data stream itself. What it may say there is what keeps it from writing to an index that is not
//! meant for it, so each part is checked.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::document::{Document, one_line};
use crate::files::{Letter, check_dead_letters, set_aside};
use crate::output::{Check, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, Secret, SettingsError};
use crate::web::answers::{Rules, Verdict, judge};
use crate::web::client::{Client, Reply};
use crate::web::pieces::cut;
use crate::web::{Compression, WebSettings};

/// The name of this output in dead letters.
const NAME: &str = "elasticsearch";

/// The most that is read of an answer, in bytes. 100,000 items with an error each are longer: they are asked in halves.
const ANSWER: usize = 16 << 20;

const NDJSON: &str = "application/x-ndjson";

/// The longest pause before events are sent again: what takes longer is up to the caller.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is read of an answer, so that it stays short.
const FILTER: &str = "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";

/// How this side shows who it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Authentication {
    /// Not at all, or by a client certificate.
    #[default]
    None,
    /// An API key as Elasticsearch returns it in `encoded`.
    ApiKey(Secret),
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// Settings of [`Elasticsearch`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ElasticsearchSettings {
    /// The cluster, such as `https://es.example.com:9200`, and how it is reached. gzip by default; zstd is not understood.
    pub web: WebSettings,
    /// API key, user and password, or token.
    pub authentication: Authentication,
    /// The type of the data stream where an event names none: `logs` by default.
    pub default_type: String,
    /// The dataset where an event names none: `generic` by default.
    pub default_dataset: String,
    /// The namespace where an event names none: `default` by default.
    pub default_namespace: String,
    /// How often events that the cluster had no capacity for (429 or 5xx of an item) are sent again at once: 3 by default, up
    /// to 10. After that the delivery fails, and it is up to the caller.
    pub retries: u32,
    /// The pause before the first of these: 250 milliseconds by default, up to 10 seconds. It doubles, up to 10 seconds.
    pub pause: Duration,
}

impl ElasticsearchSettings {
    /// To this cluster, everything else as it is by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            web: WebSettings::new(url, Compression::Gzip),
            authentication: Authentication::None,
            default_type: "logs".into(),
            default_dataset: "generic".into(),
            default_namespace: "default".into(),
            retries: 3,
            pause: Duration::from_millis(250),
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
        problems.unless(self.retries <= 10, "retries", "must be at most 10");
        problems.unless(self.pause <= LONGEST_PAUSE, "pause", "must be at most 10 seconds");
        problems.unless(self.web.compression != Compression::Zstd, "compression", "must be gzip or none");
        for (setting, part) in [
            ("default_type", &self.default_type),
            ("default_dataset", &self.default_dataset),
            ("default_namespace", &self.default_namespace),
        ] {
            problems.take(setting, checked_part(part));
        }
        let mut web = self.web.clone();
        let mut hidden = None;
        let authorization = match &self.authentication {
            Authentication::None => None,
            Authentication::ApiKey(key) => Some(format!("ApiKey {}", key.expose())),
            Authentication::Bearer(token) => Some(format!("Bearer {}", token.expose())),
            Authentication::Basic { user, password } => {
                problems.unless(!user.contains(':'), "authentication", "a user's name must hold no colon");
                hidden = Some(password.clone());
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
            }
        };
        let twice = web.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        problems.unless(
            authorization.is_none() || !twice,
            "headers",
            "must hold no authorization beside the credentials that are set",
        );
        web.headers.extend(authorization.map(|value| ("authorization".to_owned(), Secret::new(value))));
        let mut client = Client::new(&web, &mut problems);
        if let (Some(client), Some(hidden)) = (&mut client, hidden) {
            client.hide(hidden);
        }
        problems.done(client)
    }
}

/// Creates events in the data streams of Elasticsearch.
///
/// At least once, and once by `event.id` within a backing index. Order is not kept where single events are sent again.
///
/// ```
/// use event_output::{Authentication, DeadLetters, Elasticsearch, ElasticsearchSettings};
///
/// let mut settings = ElasticsearchSettings::new("https://es.example.com:9200");
/// settings.authentication = Authentication::ApiKey("VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1z".into());
/// settings.web.dead_letters = Some(DeadLetters::new("/var/lib/source-host/dead.ndjson"));
/// let output = Elasticsearch::new(settings)?;
/// # Ok::<(), event_output::SettingsError>(())
/// ```
pub struct Elasticsearch {
    settings: ElasticsearchSettings,
    client: Client,
    bulk: Url,
    root: Url,
}

/// What became of an event so far.
#[derive(Clone)]
enum State {
    Pending,
    Stored,
    Duplicate,
    Never(String),
}

#[derive(Deserialize)]
struct BulkAnswer {
    items: Vec<Outer>,
}

#[derive(Deserialize)]
struct Outer {
    create: Item,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
    caused_by: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Root {
    cluster_name: String,
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
}

impl Item {
    fn reason(&self) -> String {
        let mut text = format!("answered {}", self.status);
        if let Some(error) = &self.error {
            let _ = write!(text, ", {}: {}", error.kind, error.reason);
            if let Some(cause) = error.caused_by.as_ref().filter(|cause| !cause.reason.is_empty()) {
                let _ = write!(text, " ({})", cause.reason);
            }
        }
        text
    }
}

/// The event with an `@timestamp`, without which a data stream takes none: what tells its time otherwise, in OCSF, gets one.
fn timed<'e>(event: &'e str, document: &Document) -> Cow<'e, str> {
    match (&document.timestamp, event.trim_start().strip_prefix('{')) {
        (Some(time), Some(rest)) if document.is_timed_otherwise => {
            Cow::Owned(format!("{{\"@timestamp\":\"{time}\",{rest}"))
        }
        _ => Cow::Borrowed(event),
    }
}

impl Elasticsearch {
    /// Checks the settings and prepares everything; nothing is sent.
    ///
    /// # Errors
    ///
    /// If the settings are wrong.
    pub fn new(settings: ElasticsearchSettings) -> Result<Self, SettingsError> {
        let client = settings.client()?;
        let mut root = client.url().clone();
        root.set_query(None);
        let path = format!("{}/", root.path().trim_end_matches('/'));
        root.set_path(&path);
        let mut bulk = root.clone();
        bulk.set_path(&format!("{path}_bulk"));
        bulk.set_query(Some(&format!("filter_path={FILTER}")));
        Ok(Self { settings, client, bulk, root })
    }

    async fn deliver_all(&self, events: &[String]) -> Result<Delivered, OutputError> {
        let mut states = vec![State::Pending; events.len()];
        let mut sent = Delivered::default();
        let mut stopped = self.send_all(events, &mut states, &mut sent).await.err();
        let mut accepted =
            states.iter().position(|state| matches!(state, State::Pending)).unwrap_or(events.len());
        // Of what comes again nothing is set aside: it would be set aside twice.
        let mut letters = Vec::new();
        let mut first = accepted;
        for (index, state) in states.iter().enumerate().take(accepted) {
            if let State::Never(reason) = state {
                first = first.min(index);
                letters.push(Letter { event: &events[index], reason: reason.clone() });
            }
        }
        if let Err(error) = set_aside(self.settings.web.dead_letters.as_ref(), NAME, &letters).await {
            stopped = Some(error);
            accepted = first;
        }
        for state in states.iter().take(accepted) {
            match state {
                State::Pending => {}
                State::Stored => sent.events += 1,
                State::Duplicate => {
                    sent.events += 1;
                    sent.duplicates += 1;
                }
                State::Never(_) => sent.set_aside += 1,
            }
        }
        match stopped {
            None => Ok(sent),
            Some(error) => Err(error.with_accepted(accepted).with_delivered(sent)),
        }
    }

    /// Sends until no event is pending, or nothing goes on.
    async fn send_all(
        &self,
        events: &[String],
        states: &mut [State],
        sent: &mut Delivered,
    ) -> Result<(), OutputError> {
        let mut waiting: Vec<(Vec<usize>, u32)> = cut(events, self.settings.web.bounds())
            .into_iter()
            .rev()
            .map(|range| (range.collect(), 0))
            .collect();
        while let Some((piece, attempt)) = waiting.pop() {
            let (indices, body) = self.body(events, &piece, states);
            if indices.is_empty() {
                continue;
            }
            let reply = self.client.send_events(Method::POST, &self.bulk, NDJSON, body, ANSWER, sent).await?;
            let said = words(&reply);
            match judge(&self.client, &reply, &said, Rules::Http) {
                Verdict::Accepted if reply.whole => {}
                Verdict::Accepted | Verdict::TooLarge if indices.len() > 1 => {
                    let (front, back) = indices.split_at(indices.len() / 2);
                    waiting.push((back.to_vec(), attempt));
                    waiting.push((front.to_vec(), attempt));
                    continue;
                }
                Verdict::Accepted => {
                    return Err(OutputError::unavailable(format!(
                        "{} answered at too great length",
                        self.client.origin()
                    )));
                }
                Verdict::TooLarge => {
                    for index in indices {
                        let length = events[index].len();
                        states[index] = State::Never(format!("too large for this cluster: {length} bytes"));
                    }
                    continue;
                }
                // A bulk request as a whole is wrong or right whatever its events are.
                Verdict::Never(what) => {
                    return Err(OutputError::refused(format!("{what}; is this Elasticsearch?")));
                }
                Verdict::Failed(error) => return Err(error),
            }
            let (again, why) = self.read(&reply, &indices, states)?;
            if again.is_empty() {
                continue;
            }
            if attempt >= self.settings.retries {
                return Err(OutputError::unavailable(format!(
                    "{} has no room for {} events: {why}",
                    self.client.origin(),
                    again.len()
                )));
            }
            tokio::time::sleep(pause(self.settings.pause, attempt)).await;
            waiting.push((again, attempt + 1));
        }
        Ok(())
    }

    /// The body of a request, and which events stand in it.
    fn body(&self, events: &[String], piece: &[usize], states: &mut [State]) -> (Vec<usize>, Vec<u8>) {
        let mut indices = Vec::with_capacity(piece.len());
        let mut body = Vec::with_capacity(piece.iter().map(|index| events[*index].len() + 128).sum());
        for &index in piece {
            let event = one_line(&events[index]);
            match Document::read(&event).and_then(|document| Ok((self.action(&document)?, document))) {
                Ok((action, document)) => {
                    body.extend_from_slice(action.as_bytes());
                    body.push(b'\n');
                    body.extend_from_slice(timed(&event, &document).as_bytes());
                    body.push(b'\n');
                    indices.push(index);
                }
                Err(reason) => states[index] = State::Never(reason),
            }
        }
        (indices, body)
    }

    fn action(&self, document: &Document) -> Result<String, String> {
        let index = self.data_stream(document)?;
        let mut create = serde_json::Map::new();
        if let Some(id) = &document.id {
            create.insert("_id".into(), id.clone().into());
        }
        create.insert("_index".into(), index.into());
        Ok(serde_json::json!({ "create": create }).to_string())
    }

    fn data_stream(&self, document: &Document) -> Result<String, String> {
        let settings = &self.settings;
        let mut parts = Vec::new();
        for (name, part, default) in [
            ("data_stream.type", document.stream_type.as_deref(), &settings.default_type),
            ("data_stream.dataset", document.any_dataset(), &settings.default_dataset),
            ("data_stream.namespace", document.stream_namespace.as_deref(), &settings.default_namespace),
        ] {
            let part = checked_part(part.unwrap_or(default)).map_err(|wrong| format!("{name} {wrong}"))?;
            parts.push(part);
        }
        let name = parts.join("-");
        if name.len() > 255 {
            Err("the data stream's name is longer than 255 bytes".into())
        } else {
            Ok(name)
        }
    }

    /// Reads what became of each event. Returned are those to send again, and why.
    fn read(
        &self,
        reply: &Reply,
        indices: &[usize],
        states: &mut [State],
    ) -> Result<(Vec<usize>, String), OutputError> {
        let origin = self.client.origin();
        let items = serde_json::from_slice::<BulkAnswer>(&reply.body).map(|answer| answer.items);
        let items = items.ok().filter(|items| items.len() == indices.len()).ok_or_else(|| {
            OutputError::refused(format!("{origin} did not answer like Elasticsearch; check the address"))
        })?;
        let mut again = Vec::new();
        let mut why = String::new();
        let mut refusal = None;
        for (&index, Outer { create }) in indices.iter().zip(&items) {
            match create.status {
                200..=299 => states[index] = State::Stored,
                409 => states[index] = State::Duplicate,
                429 | 500..=599 => {
                    why = self.client.excerpt(&create.reason());
                    again.push(index);
                }
                401 | 403 | 404 => refusal = refusal.or_else(|| Some(create.reason())),
                _ => states[index] = State::Never(self.client.excerpt(&create.reason())),
            }
        }
        match refusal {
            None => Ok((again, why)),
            Some(reason) => Err(OutputError::refused(format!(
                "{origin} does not let these events be created ({}); check the permissions of the credentials and the \
                 index templates",
                self.client.excerpt(&reason)
            ))),
        }
    }

    async fn probe(&self) -> Result<String, OutputError> {
        let reply = self.client.send(Method::GET, &self.root, &[], Bytes::new(), 64 << 10).await?;
        let origin = self.client.origin();
        let seen = match judge(&self.client, &reply, &words(&reply), Rules::Http) {
            Verdict::Accepted => {
                let root: Root = serde_json::from_slice(&reply.body).map_err(|_| {
                    OutputError::refused(format!(
                        "{origin} did not answer like Elasticsearch; check the address"
                    ))
                })?;
                let name = self.client.excerpt(&root.cluster_name);
                format!("cluster {name} at {origin}, version {}", self.client.excerpt(&root.version.number))
            }
            // Credentials that may do nothing but write are not shown the version.
            Verdict::Failed(_) if reply.status == 403 => {
                format!("{origin} knows the credentials, and does not show its version (privilege `monitor`)")
            }
            Verdict::Failed(error) => return Err(error),
            Verdict::TooLarge | Verdict::Never(_) => {
                return Err(OutputError::refused(format!(
                    "{origin} answered {}; is this Elasticsearch?",
                    reply.status
                )));
            }
        };
        check_dead_letters(self.settings.web.dead_letters.as_ref()).await?;
        Ok(seen)
    }
}

/// Its addresses are left out, since they may hold a token.
impl std::fmt::Debug for Elasticsearch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elasticsearch").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Output for Elasticsearch {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(self.deliver_all(events))
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(self.probe())
    }

    fn reopen(&mut self) {
        self.client.reopen();
    }
}

/// The pause before a further attempt.
fn pause(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_PAUSE)
}

/// What an answer says to people.
fn words(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: ItemError,
    }
    if reply.status.is_success() {
        return String::new();
    }
    match serde_json::from_slice::<Said>(&reply.body) {
        Ok(Said { error }) => format!("{}: {}", error.kind, error.reason),
        Err(_) => String::from_utf8_lossy(&reply.body).into_owned(),
    }
}

/// A part of a data stream's name: what Elasticsearch allows in the name of an index, no `-`, which divides the parts, and
/// at most 100 characters (<https://www.elastic.co/docs/reference/ecs/ecs-data_stream>).
fn checked_part(part: &str) -> Result<&str, String> {
    let wrong = if part.is_empty() {
        "is empty"
    } else if part.chars().count() > 100 {
        "is longer than 100 characters"
    } else if part.starts_with(['-', '_', '+', '.', ',']) {
        "begins with one of -_+.,"
    } else if part.chars().any(|c| c.is_uppercase() || c.is_control() || c.is_whitespace()) {
        "holds an upper-case letter or white space"
    } else if part.contains(['/', '\\', '*', '?', '"', '<', '>', '|', ',', '#', ':', '-']) {
        "holds a character that no data stream's name holds there"
    } else {
        return Ok(part);
    };
    Err(format!("is no part of a data stream's name: it {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Elasticsearch {
        Elasticsearch::new(ElasticsearchSettings::new("https://es.example.com/es/")).unwrap()
    }

    fn action(event: &str) -> Result<String, String> {
        output().action(&Document::read(event)?)
    }

    #[test]
    fn an_event_names_its_data_stream_and_its_id() {
        let event = r#"{"event":{"id":"1\"}"},"data_stream":{"type":"logs","dataset":"salesforce.apex"}}"#;
        assert_eq!(
            action(event).unwrap(),
            r#"{"create":{"_id":"1\"}","_index":"logs-salesforce.apex-default"}}"#
        );
        assert_eq!(action("{}").unwrap(), r#"{"create":{"_index":"logs-generic-default"}}"#);
        assert_eq!(output().bulk.path(), "/es/_bulk");
    }

    #[test]
    fn an_event_cannot_write_to_another_index() {
        for dataset in
            ["", "../x", ".security", "a-b", "A", "a b", "a*", "a,b", "a\\u0000", "_all", "a:b", "+a", "a\\n"]
        {
            let event = format!(r#"{{"data_stream":{{"dataset":"{dataset}"}}}}"#);
            assert!(action(&event).is_err(), "{dataset}");
        }
        assert!(checked_part(&"x".repeat(101)).is_err());
        assert!(checked_part(&"x".repeat(100)).is_ok());
        let long = "é".repeat(100);
        let event = format!(r#"{{"data_stream":{{"dataset":"{long}","namespace":"{long}"}}}}"#);
        assert!(action(&event).unwrap_err().contains("255 bytes"));
        let event = r#"{"data_stream":{"type":".kibana","dataset":"a"}}"#;
        assert!(action(event).unwrap_err().contains("data_stream.type"));
    }

    #[test]
    fn settings_that_make_no_sense_are_named_all_at_once() {
        let mut settings = ElasticsearchSettings::new("es.example.com");
        settings.default_type = "Logs".into();
        settings.web.compression = Compression::Zstd;
        settings.web.max_events = 0;
        assert_eq!(settings.validate().unwrap_err().problems().len(), 4);
    }

    #[test]
    fn pauses_double_and_do_not_grow_beyond_ten_seconds() {
        let first = Duration::from_millis(250);
        assert_eq!(pause(first, 0), first);
        assert_eq!(pause(first, 2), Duration::from_secs(1));
        assert_eq!(pause(LONGEST_PAUSE, 9), LONGEST_PAUSE);
    }

    #[test]
    fn credentials_are_not_shown() {
        let mut settings = ElasticsearchSettings::new("https://es.example.com/hunter22");
        settings.authentication =
            Authentication::Basic { user: "elastic".into(), password: "hunter22".into() };
        let output = Elasticsearch::new(settings.clone()).unwrap();
        assert!(!format!("{output:?} {settings:?}").contains("hunter22"));
        assert_eq!(output.client.excerpt("hunter22 ZWxhc3RpYzpodW50ZXIyMg=="), "*** ***");
    }
}
