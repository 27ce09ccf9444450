//! Events as log records of OpenTelemetry, by OTLP/HTTP in protobuf.

mod record;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};

use crate::files::check_dead_letters;
use crate::output::{Check, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, SettingsError};
use crate::web::answers::{Rules, Verdict, judge};
use crate::web::client::{Client, Reply};
use crate::web::pieces::{Requests, deliver};
use crate::web::{Compression, WebSettings};

/// The most that is read of an answer, in bytes.
const ANSWER: usize = 64 << 10;

const PROTOBUF: &str = "application/x-protobuf";

/// Settings of [`Otlp`].
#[derive(Clone)]
#[non_exhaustive]
pub struct OtlpSettings {
    /// The receiver, and how it is reached. Its address with a path is used as it is; without one, `/v1/logs` is added
    /// (`http://localhost:4318` is `http://localhost:4318/v1/logs`). gzip by default, which every receiver knows. Where a
    /// receiver rejects some events of a request, and does not tell which, all of that request are set aside: fewer are set
    /// aside where requests are smaller.
    pub web: WebSettings,
    /// `service.name` of the resource: `event-output` by default.
    pub service_name: String,
    /// More attributes of the resource. Values are never shown.
    pub resource: Vec<(String, String)>,
}

/// Attributes by their names alone: a value may come from a file or a variable.
impl std::fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.resource.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpSettings")
            .field("web", &self.web)
            .field("service_name", &self.service_name)
            .field("resource", &names)
            .finish()
    }
}

impl OtlpSettings {
    /// To this receiver, everything else as it is by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            web: WebSettings::new(url, Compression::Gzip),
            service_name: "event-output".into(),
            resource: Vec::new(),
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
        problems.unless(!self.service_name.is_empty(), "service_name", "must not be empty");
        let client = Client::new(&self.web, &mut problems);
        problems.done(client)
    }
}

/// Sends events as log records of OpenTelemetry.
///
/// At least once; a receiver may drop repeats by the attribute `log.record.uid`, which is the event's id. Order is kept.
///
/// ```
/// use event_output::{Otlp, OtlpSettings};
///
/// let mut settings = OtlpSettings::new("http://localhost:4318");
/// settings.service_name = "salesforce".into();
/// let output = Otlp::new(settings)?;
/// # Ok::<(), event_output::SettingsError>(())
/// ```
pub struct Otlp {
    settings: OtlpSettings,
    client: Client,
    url: Url,
}

/// `google.rpc.Status`, which an error's body is.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

impl Otlp {
    /// Checks the settings and prepares everything; nothing is sent.
    ///
    /// # Errors
    ///
    /// If the settings are wrong.
    pub fn new(settings: OtlpSettings) -> Result<Self, SettingsError> {
        let client = settings.client()?;
        let mut url = client.url().clone();
        if url.path() == "/" {
            url.set_path("/v1/logs");
        }
        Ok(Self { settings, client, url })
    }

    /// Encodes a request, beside the executor.
    async fn encode(&self, events: Vec<String>) -> Result<Vec<u8>, OutputError> {
        let mut attributes = vec![record::attribute("service.name", self.settings.service_name.clone())];
        for (name, value) in &self.settings.resource {
            attributes.push(record::attribute(name, value.clone()));
        }
        let resource = Some(Resource { attributes, ..Resource::default() });
        let encode = move || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let observed = u64::try_from(now.as_nanos()).unwrap_or_default();
            let scope = InstrumentationScope {
                name: "event-output".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                ..InstrumentationScope::default()
            };
            let log_records = events.iter().map(|event| record::of(event, observed)).collect();
            let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() }];
            let resource_logs = vec![ResourceLogs { resource, scope_logs, schema_url: String::new() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        };
        tokio::task::spawn_blocking(encode)
            .await
            .map_err(|error| OutputError::unavailable(format!("cannot encode events: {error}")))
    }

    fn verdict(&self, reply: &Reply, sent: usize) -> Verdict {
        let verdict = judge(&self.client, reply, &words(reply), Rules::Otlp);
        if !matches!(verdict, Verdict::Accepted) {
            return verdict;
        }
        // A receiver that answers in something else took it all the same: that is what the status says.
        let partial = is_protobuf(reply)
            .then(|| ExportLogsServiceResponse::decode(&*reply.body).ok())
            .flatten()
            .and_then(|response| response.partial_success)
            .unwrap_or_default();
        let said = self.client.excerpt(&partial.error_message);
        if partial.rejected_log_records > 0 {
            return Verdict::Never(format!(
                "{} rejected {} of {sent} log records, without telling which, and must not be sent them again: {said}",
                self.client.origin(),
                partial.rejected_log_records
            ));
        }
        if !said.is_empty() {
            tracing::warn!(receiver = self.client.origin(), said, "the receiver took the events and warns");
        }
        Verdict::Accepted
    }

    async fn probe(&self) -> Result<String, OutputError> {
        // A request without records: a receiver answers it like any other.
        let headers = [(CONTENT_TYPE, PROTOBUF)];
        let reply = self.client.send(Method::POST, &self.url, &headers, Bytes::new(), ANSWER).await?;
        match self.verdict(&reply, 0) {
            Verdict::Accepted => {}
            Verdict::Failed(error) => return Err(error),
            Verdict::TooLarge | Verdict::Never(_) => {
                return Err(OutputError::refused(format!(
                    "{} answered {} to a request without events; is this OTLP/HTTP?",
                    self.client.origin(),
                    reply.status
                )));
            }
        }
        check_dead_letters(self.settings.web.dead_letters.as_ref()).await?;
        Ok(format!("{} takes log records", self.client.origin()))
    }
}

impl Requests for Otlp {
    const NAME: &'static str = "otlp";

    fn settings(&self) -> &WebSettings {
        &self.settings.web
    }

    async fn post(&self, events: &[String], delivered: &mut Delivered) -> Verdict {
        let sent = async {
            let body = self.encode(events.to_vec()).await?;
            self.client.send_events(Method::POST, &self.url, PROTOBUF, body, ANSWER, delivered).await
        };
        match sent.await {
            Ok(reply) => self.verdict(&reply, events.len()),
            Err(error) => Verdict::Failed(error),
        }
    }
}

/// Its addresses are left out, since they may hold a token.
impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Otlp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Output for Otlp {
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

fn is_protobuf(reply: &Reply) -> bool {
    reply.content_type.as_deref().is_some_and(|kind| kind.starts_with(PROTOBUF))
}

/// What an answer says to people.
fn words(reply: &Reply) -> String {
    if is_protobuf(reply) {
        Status::decode(&*reply.body).map(|status| status.message).unwrap_or_default()
    } else {
        String::from_utf8_lossy(&reply.body).into_owned()
    }
}
