//! The configuration: one JSON document, typed once it is read.

pub mod lookup;
pub mod streams;
pub mod treatment;

use crate::{
    address::Origin,
    io::Timeouts,
    problem::{Kind, Problem},
    schema::{self, Checked, Flaw, Key, Shape, minutes},
    secret,
    sign_in::flows::{self, Auth},
};
use documents::{Format, Id, Output};
use lookup::Lookups;
use serde_json::{Value, json};
use std::{rc::Rc, time::Duration};
use streams::Streams;

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
        "The version of the REST API, at least 46.0; \"latest\" for the newest that the org has.",
    ),
    Key::required("auth", flows::AUTH, "How to sign in."),
    Key::defaulted(
        "api_quota_share",
        Shape::Share,
        "50%",
        "How much of the org's daily allowance of API requests may be used up, by all programs together, for this source \
         to send more: \"50%\", or 0.5.",
    ),
    Key::optional("timeouts", Shape::Table(TIMEOUTS), "How long to wait for answers."),
    Key::optional("batch", Shape::Table(BATCH), "What one poll returns at most."),
    Key::defaulted(
        "format",
        Shape::OneOf(Format::NAMES),
        "ecs",
        "What an event is: a document in the Elastic Common Schema, one of the Open Cybersecurity Schema Framework, or the record \
         as Salesforce gave it.",
    ),
    Key::defaulted(
        "preserve_original_event",
        Shape::Switch,
        "false",
        "Whether documents hold the record as it came, in event.original or raw_data.",
    ),
    Key::defaulted(
        "receipts",
        Shape::Switch,
        "false",
        "Whether an event tells of each file that was read, and of each window of an object, how much came of it.",
    ),
    lookup::LOOKUP,
    lookup::LOOKUP_AGE,
    treatment::HASH_KEY,
    Key::required("streams", streams::STREAMS, "What to collect."),
];

const TIMEOUTS: &[Key] = &[
    Key::defaulted(
        "connect",
        Shape::Span(Duration::from_secs(1), minutes(1)),
        "10s",
        "How long connecting may take, name resolution and TLS included.",
    ),
    Key::defaulted(
        "first_byte",
        Shape::Span(Duration::from_secs(1), minutes(5)),
        "130s",
        "How long an answer may take to begin. Salesforce ends a query after two minutes, and says so then.",
    ),
    Key::defaulted(
        "between_bytes",
        Shape::Span(Duration::from_secs(1), minutes(5)),
        "30s",
        "How long an answer may pause. As long as it flows, it may take any time.",
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
        "How long a poll goes on before it returns what it has. It may take more before it has anything.",
    ),
];

fn origin(text: &str) -> Result<(), Flaw> {
    if Origin::parse_instance(text)?.is_login_host() {
        return Err(Flaw::with_hint(
            "is where users sign in, and not the address of an org",
            "use the org's My Domain address, such as \"https://acme.my.salesforce.com\"; Setup, My Domain shows it",
        ));
    }
    Ok(())
}

/// Any version from 46.0 on, however new: which there are, the org says.
fn api_version(text: &str) -> Result<(), Flaw> {
    let text = bare_version(text);
    if text == LATEST {
        return Ok(());
    }
    match text.strip_suffix(".0").map(|major| (major.len(), major.parse::<u16>())) {
        Some((2 | 3, Ok(46..))) if text.starts_with(|first| ('1'..='9').contains(&first)) => Ok(()),
        _ => Err(Flaw::with_hint("must be a version of at least 46.0", "use \"65.0\", or \"latest\"")),
    }
}

/// A version without what is written around it: Salesforce's own pages say "v68.0".
fn bare_version(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix(['v', 'V']).unwrap_or(text)
}

/// What stands in place of a version to mean the newest one.
const LATEST: &str = "latest";

/// A configuration in which nothing is left to be checked.
pub struct Config {
    /// The org.
    pub instance: Origin,
    /// `65.0`; none = the newest that the org has.
    pub api_version: Option<Rc<str>>,
    /// How to sign in.
    pub auth: Auth,
    /// How much of the org's allowance of requests may be used up, in thousandths.
    pub quota_share: u32,
    /// How long to wait for answers.
    pub timeouts: Timeouts,
    /// What one poll returns at most.
    pub limits: Limits,
    /// How events are written.
    pub output: Output,
    /// Whether receipts are written.
    pub receipts: bool,
    /// Which names are looked up.
    pub lookups: Lookups,
    /// What to collect.
    pub streams: Streams,
    /// What tells this configuration from another one, made of all of it but what is secret.
    pub fingerprint: String,
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
        let mut value: Value = serde_json::from_str(json).map_err(|error| {
            let position = format!("line {}, column {}", error.line(), error.column());
            vec![Problem::new(Kind::Config, format!("the configuration is not a JSON document ({position})"))]
        })?;
        let read = match &value {
            Value::Object(document) => Self::read(document),
            _ => Err(vec![Problem::new(Kind::Config, "the configuration is not a JSON object")]),
        };
        // It holds secrets.
        secret::wipe(&mut value);
        read
    }

    fn read(document: &serde_json::Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        schema::check(document, DOCUMENT, "", &mut problems);
        let checked = Checked::new(document, DOCUMENT);
        let hash_key = checked.text("hash_key");
        let streams = checked.table("streams").map(|table| streams::read(table, hash_key, &mut problems));
        let streams = streams.unwrap_or_default();
        let api_version = bare_version(checked.text("api_version").unwrap_or_default());
        problems.extend(fields_unknown(&streams, api_version));
        let instance_url = checked.text("instance_url").unwrap_or_default();
        let auth = checked.table("auth").and_then(|auth| Auth::read(auth, instance_url, &mut problems));
        let instance = Origin::parse(instance_url).ok();
        match (instance, auth) {
            (Some(instance), Some(auth)) if problems.is_empty() => Ok(Self {
                instance,
                api_version: (api_version != LATEST).then(|| Rc::from(api_version)),
                auth,
                quota_share: checked.share("api_quota_share"),
                timeouts: timeouts(checked.table("timeouts")),
                limits: limits(checked.table("batch")),
                output: Output {
                    format: checked.text("format").and_then(Format::named).unwrap_or_default(),
                    original: checked.switch("preserve_original_event"),
                },
                receipts: checked.switch("receipts"),
                lookups: Lookups::new(&checked.names("lookup"), checked.span("lookup_age")),
                streams,
                fingerprint: fingerprint(document),
            }),
            _ => Err(problems),
        }
    }

    /// What is allowed and probably not meant.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings: Vec<Problem> = self.auth.warning().into_iter().collect();
        warnings.extend(self.address_warnings());
        if self.output.format == Format::Raw && !self.lookups.is_empty() {
            let message = "records as they came have no names that are looked up";
            warnings.push(
                Problem::new(Kind::Config, message)
                    .at("lookup")
                    .hint("use the format ecs or ocsf, or leave it out"),
            );
        }
        warnings.extend(self.streams.warnings());
        warnings
    }

    /// What looks wrong with where the org is and where tokens are asked for.
    pub fn address_warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (path, origin) in [("instance_url", &self.instance), ("auth.token_url", &self.auth.token_host)] {
            if path != "instance_url" && *origin == self.instance {
                continue;
            }
            if let Some(Flaw { message, hint }) = origin.doubt() {
                let problem = Problem::new(Kind::Config, format!("{origin} {message}")).at(path);
                warnings.push(Problem { hint, ..problem });
            }
        }
        warnings.extend(self.auth.audience_warning(&self.instance));
        warnings
    }

    /// The authorities that a collection contacts.
    pub fn authorities(&self) -> Vec<String> {
        let mut authorities = vec![self.instance.authority.clone(), self.auth.token_host.authority.clone()];
        authorities.dedup();
        authorities
    }
}

/// A digest of a configuration without its secrets: a state holds it, and a digest of a password could be tried out.
fn fingerprint(document: &serde_json::Map<String, Value>) -> String {
    let open = |name: &str| document.get("auth").and_then(|auth| auth.get(name)).and_then(Value::as_str);
    let auth = ["flow", "client_id", "username", "audience", "token_url"].map(open);
    let is_open = |name: &str| !matches!(name, "auth" | "hash_key");
    let rest: Vec<_> = document.iter().filter(|(name, _)| is_open(name)).collect();
    let text = json!([auth, rest]).to_string();
    Id::of(text.as_bytes()).as_str()[..16].to_owned()
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

fn timeouts(table: Option<Checked<'_>>) -> Timeouts {
    let empty = serde_json::Map::new();
    let table = table.unwrap_or(Checked::new(&empty, TIMEOUTS));
    Timeouts {
        connect: table.span("connect"),
        first_byte: table.span("first_byte"),
        between_bytes: table.span("between_bytes"),
    }
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
