//! What an output reads of an event. An event travels as the text it is.
//!
//! It is read as a document of the Elastic Common Schema; one with a `class_uid` as one of the Open Cybersecurity Schema Framework
//! (OCSF, <https://schema.ocsf.io>), whose attributes count as the fields that mean the same.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The event on one line. In JSON a line break stands between tokens alone, where a space means the same; without this an
/// event could end a line early and begin one of its own: an action of Elasticsearch's bulk format, say.
pub(crate) fn one_line(event: &str) -> Cow<'_, str> {
    if event.bytes().any(|b| b == b'\n' || b == b'\r') {
        Cow::Owned(event.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(event)
    }
}

/// Every event on a line of its own.
pub(crate) fn lines(events: &[String]) -> Vec<u8> {
    let mut text = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
    for event in events {
        text.extend_from_slice(one_line(event).as_bytes());
        text.push(b'\n');
    }
    text
}

/// The id by which an event is known when it comes again: its `event.id`, in OCSF `metadata.uid`.
pub fn event_id(event: &str) -> Option<String> {
    Document::read(event).ok().and_then(|document| document.id)
}

/// The fields that outputs look at. One that is no text counts as absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub timestamp: Option<String>,
    pub id: Option<String>,
    pub action: Option<String>,
    pub dataset: Option<String>,
    pub outcome: Option<String>,
    pub level: Option<String>,
    pub stream_type: Option<String>,
    pub stream_dataset: Option<String>,
    pub stream_namespace: Option<String>,
    /// Whether it lacks the field `@timestamp`, and `timestamp` was made of another one.
    pub is_timed_otherwise: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top {
    #[serde(rename = "@timestamp")]
    timestamp: Lenient<Option<String>>,
    class_uid: Lenient<Option<u64>>,
    time: Lenient<Option<i64>>,
    activity_name: Lenient<Option<String>>,
    severity: Lenient<Option<String>>,
    status: Lenient<Option<String>>,
    metadata: Lenient<Metadata>,
    event: Lenient<Inner>,
    data_stream: Lenient<Inner>,
    log: Lenient<Inner>,
}

/// What is looked at inside `event`, `data_stream` and `log`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    id: Lenient<Option<String>>,
    action: Lenient<Option<String>>,
    dataset: Lenient<Option<String>>,
    outcome: Lenient<Option<String>>,
    level: Lenient<Option<String>>,
    #[serde(rename = "type")]
    kind: Lenient<Option<String>>,
    namespace: Lenient<Option<String>>,
}

/// What is looked at inside `metadata`, a part of documents of OCSF.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    uid: Lenient<Option<String>>,
    log_source: Lenient<Option<String>>,
}

/// A value that counts as absent where it is something else.
#[derive(Default)]
struct Lenient<T>(T);

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).unwrap_or_default()))
    }
}

impl Document {
    /// Reads an event, or says in words why it is none.
    pub fn read(event: &str) -> Result<Self, String> {
        if !event.trim_start().starts_with('{') {
            return Err("not a JSON object".into());
        }
        let top: Top = serde_json::from_str(event).map_err(|error| format!("not a JSON object: {error}"))?;
        if top.class_uid.0.is_some() {
            return Ok(Self::of_ocsf(top));
        }
        let (event, stream, log) = (top.event.0, top.data_stream.0, top.log.0);
        Ok(Self {
            timestamp: top.timestamp.0,
            id: event.id.0.filter(|id| !id.is_empty()),
            action: event.action.0,
            dataset: event.dataset.0,
            outcome: event.outcome.0,
            level: log.level.0,
            stream_type: stream.kind.0,
            stream_dataset: stream.dataset.0,
            stream_namespace: stream.namespace.0,
            is_timed_otherwise: false,
        })
    }

    /// What a document of OCSF says: `time` (milliseconds since 1970), `metadata.uid`, `metadata.log_source`, `activity_name`,
    /// `status`, and `severity` where it is one to look at.
    fn of_ocsf(top: Top) -> Self {
        let own = top.timestamp.0;
        let time = top.time.0.and_then(DateTime::from_timestamp_millis);
        let made = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
        let status = top.status.0.map(|status| status.to_ascii_lowercase());
        let is_nothing =
            |severity: &String| matches!(severity.as_str(), "Unknown" | "Informational" | "Other");
        let stream = top.data_stream.0;
        Self {
            is_timed_otherwise: own.is_none() && made.is_some(),
            timestamp: own.or(made),
            id: top.metadata.0.uid.0.filter(|id| !id.is_empty()),
            action: top.activity_name.0,
            dataset: top.metadata.0.log_source.0,
            outcome: status.filter(|status| matches!(status.as_str(), "success" | "failure")),
            level: top.severity.0.filter(|severity| !is_nothing(severity)),
            stream_type: stream.kind.0,
            stream_dataset: stream.dataset.0,
            stream_namespace: stream.namespace.0,
        }
    }

    /// The dataset, wherever it stands.
    pub fn any_dataset(&self) -> Option<&str> {
        self.stream_dataset.as_deref().or(self.dataset.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_event_are_found() {
        let document = Document::read(
            r#"{"@timestamp":"2026-06-01T10:15:30.123Z","data_stream":{"type":"logs","dataset":"salesforce.apex"},"event":{"id":"16a9","type":["connection"],"outcome":"success"}}"#,
        )
        .unwrap();
        assert_eq!(document.id.as_deref(), Some("16a9"));
        assert_eq!(document.any_dataset(), Some("salesforce.apex"));
        assert_eq!(document.stream_type.as_deref(), Some("logs"));
        assert_eq!(document.timestamp.as_deref(), Some("2026-06-01T10:15:30.123Z"));
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        let document = Document::read(r#"{"event":{"id":7},"data_stream":"x","log":null}"#).unwrap();
        assert_eq!(document, Document::default());
    }

    #[test]
    fn a_document_of_ocsf_is_read_by_its_own_attributes() {
        let event = r#"{"class_uid":3002,"activity_name":"Logon","severity":"High","status":"Failure","time":1780308930123,"metadata":{"uid":"16a9","log_source":"salesforce.login"},"event":{"id":"no"}}"#;
        let expected = Document {
            timestamp: Some("2026-06-01T10:15:30.123Z".into()),
            id: Some("16a9".into()),
            action: Some("Logon".into()),
            dataset: Some("salesforce.login".into()),
            outcome: Some("failure".into()),
            level: Some("High".into()),
            is_timed_otherwise: true,
            ..Document::default()
        };
        assert_eq!(Document::read(event).unwrap(), expected);
    }

    #[test]
    fn what_a_document_of_ocsf_does_not_say_is_absent() {
        let event =
            r#"{"class_uid":0,"severity":"Informational","status":"Unknown","time":"x","metadata":[]}"#;
        assert_eq!(Document::read(event).unwrap(), Document::default());
        let dated = r#"{"class_uid":0,"time":0,"@timestamp":"2026-06-01T10:15:30.123Z"}"#;
        let document = Document::read(dated).unwrap();
        assert!(!document.is_timed_otherwise);
        assert_eq!(document.timestamp.as_deref(), Some("2026-06-01T10:15:30.123Z"));
    }

    #[test]
    fn what_is_no_object_is_told() {
        assert!(Document::read("[1]").is_err());
        assert!(Document::read("{\"a\":").is_err());
        assert!(Document::read("").is_err());
    }

    #[test]
    fn an_event_cannot_begin_a_line_of_its_own() {
        assert_eq!(one_line("{\n\"delete\":1}"), "{ \"delete\":1}");
        assert!(matches!(one_line("{}"), Cow::Borrowed(_)));
    }
}
