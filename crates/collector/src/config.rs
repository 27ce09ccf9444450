//! The configuration: one JSON document, typed once it is read.

pub mod schema;
pub mod streams;

use crate::{
    ecs::Output,
    key::PrivateKey,
    origin::Origin,
    problem::{Kind, Problem},
    secret::Secret,
};
use schema::{Checked, Flaw, Key, Shape};
use serde_json::{Value, json};
use std::time::Duration;
use streams::Streams;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn days(n: u64) -> Duration {
    minutes(n * 24 * 60)
}

const DOCUMENT: &[Key] = &[
    Key::required(
        "instance_url",
        Shape::Text(origin),
        "The My Domain address of the org, such as \"https://acme.my.salesforce.com\".",
    ),
    Key::defaulted(
        "api_version",
        Shape::Text(api_version),
        "65.0",
        "The version of the REST API, at least 46.0.",
    ),
    Key::required("auth", Shape::Table(AUTH), "How to sign in."),
    Key::optional("batch", Shape::Table(BATCH), "What one poll returns at most."),
    Key::defaulted(
        "format",
        Shape::OneOf(&["ecs", "raw"]),
        "ecs",
        "What an event is: a document in the Elastic Common Schema, or the record as Salesforce gave it.",
    ),
    Key::defaulted(
        "preserve_original_event",
        Shape::Switch,
        "false",
        "Whether documents in the Elastic Common Schema hold the record as it came, in event.original.",
    ),
    Key::required("streams", streams::STREAMS, "What to collect."),
];

const AUTH: &[Key] = &[
    Key::required("flow", Shape::OneOf(&["jwt-bearer"]), "The OAuth 2.0 flow."),
    Key::required(
        "client_id",
        Shape::Text(filled),
        "The consumer key of the connected app or external client app.",
    ),
    Key::required("username", Shape::Text(filled), "The user to sign in as, pre-authorised for the app."),
    Key::required(
        "private_key",
        Shape::Secret,
        "The RSA private key, in PEM form, whose certificate the app holds. PKCS#1 or PKCS#8, not encrypted.",
    ),
    Key::defaulted(
        "audience",
        Shape::Text(audience),
        "https://login.salesforce.com",
        "The audience of the assertion: https://login.salesforce.com, https://test.salesforce.com for sandboxes, or the \
         address of an Experience Cloud site.",
    ),
    Key::optional(
        "token_url",
        Shape::Text(token_url),
        "Where to ask for tokens: a host, or the full endpoint. The instance_url if left out.",
    ),
];

const BATCH: &[Key] = &[
    Key::defaulted("max_events", Shape::Count(1, 100_000), "5000", "Events in a batch at most."),
    Key::defaulted(
        "max_bytes",
        Shape::Size(1 << 10, 16 << 20),
        "4MiB",
        "Bytes of the events of a batch at most, exceeded by no more than the last event.",
    ),
    Key::defaulted(
        "max_time",
        Shape::Span(Duration::from_millis(100), minutes(1)),
        "10s",
        "How long a poll goes on before it returns what it has. Finding the place again in a file is not counted.",
    ),
];

fn filled(text: &str) -> Result<(), Flaw> {
    if text.trim().is_empty() { Err(Flaw::new("is empty")) } else { Ok(()) }
}

fn origin(text: &str) -> Result<(), Flaw> {
    Origin::parse(text).map(|_| ())
}

fn token_url(text: &str) -> Result<(), Flaw> {
    Origin::parse_token_url(text).map(|_| ())
}

/// The audience is compared by Salesforce as text; it need not be a host that is ever contacted.
fn audience(text: &str) -> Result<(), Flaw> {
    if text.trim().starts_with("https://") || Origin::parse(text).is_ok() {
        return Ok(());
    }
    Err(Flaw::with_hint(
        "must be an https:// URL",
        "use \"https://login.salesforce.com\", or test for sandboxes",
    ))
}

fn api_version(text: &str) -> Result<(), Flaw> {
    match text.strip_suffix(".0").map(|major| (major.len(), major.parse::<u16>())) {
        Some((2 | 3, Ok(46..))) if text.starts_with(|first| ('1'..='9').contains(&first)) => Ok(()),
        _ => Err(Flaw::with_hint("must be a version of at least 46.0", "use \"65.0\"")),
    }
}

/// A configuration in which nothing is left to be checked.
pub struct Config {
    /// The org.
    pub instance: Origin,
    /// `65.0`
    pub api_version: String,
    /// How to sign in.
    pub auth: JwtBearer,
    /// What one poll returns at most.
    pub limits: Limits,
    /// How events are written.
    pub output: Output,
    /// What to collect.
    pub streams: Streams,
}

/// The JWT bearer flow.
pub struct JwtBearer {
    /// Consumer key.
    pub client_id: String,
    /// User to sign in as.
    pub username: String,
    /// Signs the assertion.
    pub private_key: PrivateKey,
    /// Audience of the assertion.
    pub audience: String,
    /// Where to ask for tokens.
    pub token_host: Origin,
}

/// What one poll returns at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Bytes of all events together, exceeded by no more than the last event.
    pub bytes: usize,
    /// Time after which a poll returns what it has.
    pub time: Duration,
}

impl Config {
    /// Reads a configuration, or names everything that is wrong with it.
    ///
    /// # Errors
    /// One problem for each mistake, each with its path.
    pub fn parse(json: &str) -> Result<Self, Vec<Problem>> {
        let value: Value = serde_json::from_str(json).map_err(|error| {
            let position = format!("line {}, column {}", error.line(), error.column());
            vec![Problem::new(Kind::Config, format!("the configuration is not a JSON document ({position})"))]
        })?;
        let Value::Object(document) = &value else {
            return Err(vec![Problem::new(Kind::Config, "the configuration is not a JSON object")]);
        };
        let mut problems = Vec::new();
        schema::check(document, DOCUMENT, "", &mut problems);
        let checked = Checked::new(document, DOCUMENT);
        let streams = checked.table("streams").map(|table| streams::read(table, &mut problems));
        let streams = streams.unwrap_or_default();
        let api_version = checked.text("api_version").unwrap_or_default();
        problems.extend(fields_unknown(&streams, api_version));
        let auth = checked.table("auth").and_then(|auth| jwt_bearer(auth, &checked, &mut problems));
        let instance = checked.text("instance_url").and_then(|text| Origin::parse(text).ok());
        match (instance, auth) {
            (Some(instance), Some(auth)) if problems.is_empty() => Ok(Self {
                instance,
                api_version: api_version.to_owned(),
                auth,
                limits: limits(checked.table("batch")),
                output: Output {
                    raw: checked.text("format") == Some("raw"),
                    original: checked.switch("preserve_original_event"),
                },
                streams,
            }),
            _ => Err(problems),
        }
    }

    /// The authorities that a collection contacts.
    pub fn authorities(&self) -> Vec<String> {
        let mut authorities = vec![self.instance.authority.clone(), self.auth.token_host.authority.clone()];
        authorities.dedup();
        authorities
    }
}

fn limits(batch: Option<Checked<'_>>) -> Limits {
    let empty = serde_json::Map::new();
    let batch = batch.unwrap_or(Checked::new(&empty, BATCH));
    Limits {
        events: batch.count("max_events") as usize,
        bytes: usize::try_from(batch.size("max_bytes")).unwrap_or(usize::MAX),
        time: batch.span("max_time"),
    }
}

fn jwt_bearer(auth: Checked<'_>, document: &Checked<'_>, problems: &mut Vec<Problem>) -> Option<JwtBearer> {
    let private_key = match PrivateKey::from_pem(&Secret::new(auth.text("private_key")?.to_owned())) {
        Ok(key) => Some(key),
        Err(_) if auth.text("private_key")?.trim().is_empty() => None,
        Err(problem) => {
            problems.push(problem.at("auth.private_key"));
            None
        }
    };
    let token_url = auth.text("token_url").or_else(|| document.text("instance_url"))?;
    Some(JwtBearer {
        client_id: auth.text("client_id")?.trim().to_owned(),
        username: auth.text("username")?.trim().to_owned(),
        private_key: private_key?,
        audience: auth.text("audience")?.trim().trim_end_matches('/').to_owned(),
        token_host: Origin::parse_token_url(token_url).ok()?,
    })
}

/// FIELDS() came with version 51.0 ("FIELDS()", SOQL reference).
fn fields_unknown(streams: &Streams, api_version: &str) -> Vec<Problem> {
    let major = api_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major >= 51) {
        return Vec::new();
    }
    let unlisted = streams.objects.iter().filter(|object| object.fields.is_none());
    let problem = |object: &streams::ObjectSource| {
        let message =
            format!("version {api_version} of the API cannot query all fields of {}", object.object);
        Problem::new(Kind::Config, message)
            .at(format!("streams.{}.object", object.stream))
            .hint("use api_version 51.0 or later")
    };
    unlisted.map(problem).collect()
}

/// The configuration's JSON Schema, draft 2020-12.
pub fn json_schema() -> Value {
    let mut schema = schema::json_schema(DOCUMENT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Salesforce source");
    schema
}
