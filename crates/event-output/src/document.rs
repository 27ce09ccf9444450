//! What an output reads of an event. An event travels as the text it is.

use std::borrow::Cow;

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
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top {
    #[serde(rename = "@timestamp")]
    timestamp: Lenient<Option<String>>,
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
        let Top { timestamp, event: Lenient(event), data_stream: Lenient(stream), log: Lenient(log) } =
            serde_json::from_str(event).map_err(|error| format!("not a JSON object: {error}"))?;
        Ok(Self {
            timestamp: timestamp.0,
            id: event.id.0.filter(|id| !id.is_empty()),
            action: event.action.0,
            dataset: event.dataset.0,
            outcome: event.outcome.0,
            level: log.level.0,
            stream_type: stream.kind.0,
            stream_dataset: stream.dataset.0,
            stream_namespace: stream.namespace.0,
        })
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
