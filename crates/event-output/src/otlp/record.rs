//! An event as a log record.
//!
//! The body is the whole event, structured (a kvlist), and not its JSON as a string: by the log data model a body may be
//! either, and a receiver need not parse a structured one before it can route, filter or redact by a field. The Elasticsearch
//! exporter of the Collector indexes such a body as the very document (`mapping: {mode: bodymap}`).
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-body>
//!
//! Beside it stand, by the semantic conventions and ECS, what receivers look at: `log.record.uid` (by which repeats may be
//! dropped), `event.*`, and `data_stream.*` (by which Elastic's exporters route).

use std::fmt;

use chrono::DateTime;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::document::Document;

pub(super) fn attribute(name: &str, value: impl Into<String>) -> KeyValue {
    key_value(name.to_owned(), AnyValue { value: Some(Value::StringValue(value.into())) })
}

fn key_value(key: String, value: AnyValue) -> KeyValue {
    KeyValue { key, value: Some(value), ..KeyValue::default() }
}

/// The record of an event. One that is no JSON travels as the text it is.
pub(super) fn of(event: &str, observed_time_unix_nano: u64) -> LogRecord {
    let document = Document::read(event).unwrap_or_default();
    let body = serde_json::from_str(event)
        .map_or_else(|_| AnyValue { value: Some(Value::StringValue(event.to_owned())) }, |Any(value)| value);
    let time = document.timestamp.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let time = time.and_then(|time| time.timestamp_nanos_opt());
    let (severity, severity_text) = severity(&document);
    let mut attributes = Vec::new();
    for (name, value) in [
        ("log.record.uid", &document.id),
        ("event.id", &document.id),
        ("event.action", &document.action),
        ("event.dataset", &document.dataset),
        ("event.outcome", &document.outcome),
        ("data_stream.type", &document.stream_type),
        ("data_stream.dataset", &document.stream_dataset),
        ("data_stream.namespace", &document.stream_namespace),
    ] {
        attributes.extend(value.as_ref().map(|value| attribute(name, value.clone())));
    }
    LogRecord {
        // 0 is "unknown".
        time_unix_nano: time.and_then(|time| u64::try_from(time).ok()).unwrap_or_default(),
        observed_time_unix_nano,
        severity_number: severity.into(),
        severity_text,
        body: Some(body),
        attributes,
        // What identifies the structure of an event is its dataset.
        event_name: document.any_dataset().unwrap_or_default().to_owned(),
        ..LogRecord::default()
    }
}

/// `log.level` where there is one, by the log data model's table, or the severity of OCSF; otherwise a failure is a warning.
fn severity(document: &Document) -> (SeverityNumber, String) {
    if let Some(level) = &document.level {
        let number = match level.to_ascii_lowercase().as_str() {
            "trace" => SeverityNumber::Trace,
            "debug" => SeverityNumber::Debug,
            "info" | "information" | "informational" => SeverityNumber::Info,
            "notice" | "low" => SeverityNumber::Info2,
            "warn" | "warning" | "medium" => SeverityNumber::Warn,
            "error" | "err" | "high" => SeverityNumber::Error,
            "critical" | "crit" => SeverityNumber::Error2,
            "alert" => SeverityNumber::Error3,
            "fatal" | "emergency" | "emerg" => SeverityNumber::Fatal,
            _ => SeverityNumber::Unspecified,
        };
        return (number, level.clone());
    }
    let number = match document.outcome.as_deref() {
        Some("failure") => SeverityNumber::Warn,
        Some("success") => SeverityNumber::Info,
        _ => SeverityNumber::Unspecified,
    };
    (number, String::new())
}

/// Any JSON, read in one pass, with its members in their order.
struct Any(AnyValue);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor).map(|value| Self(AnyValue { value }))
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    /// The empty value.
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::BoolValue(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::IntValue(value)))
    }

    /// Beyond what OTLP counts, digits are kept as a text.
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(i64::try_from(value).map_or_else(|_| Value::StringValue(value.to_string()), Value::IntValue)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::DoubleValue(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::StringValue(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Some(Value::StringValue(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Any(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Some(Value::ArrayValue(ArrayValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some((key, Any(value))) = map.next_entry()? {
            values.push(key_value(key, value));
        }
        Ok(Some(Value::KvlistValue(KeyValueList { values })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
        match attributes.iter().find(|pair| pair.key == name)?.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn an_event_becomes_a_record_with_its_time_its_id_and_its_fields_in_order() {
        let event = r#"{"@timestamp":"2026-06-01T10:15:30.123Z","z":1,"a":[null,1.5,true,18446744073709551615],"event":{"id":"16a9","outcome":"failure","dataset":"salesforce.apex"}}"#;
        let record = of(event, 7);
        assert_eq!(record.time_unix_nano, 1_780_308_930_123_000_000);
        assert_eq!(record.observed_time_unix_nano, 7);
        assert_eq!(record.severity_number, i32::from(SeverityNumber::Warn));
        assert_eq!(record.event_name, "salesforce.apex");
        assert_eq!(text(&record.attributes, "log.record.uid"), Some("16a9"));
        let Some(Value::KvlistValue(body)) = record.body.unwrap().value else { panic!("no kvlist") };
        let keys: Vec<&str> = body.values.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(keys, ["@timestamp", "z", "a", "event"]);
        let Some(Value::ArrayValue(list)) = &body.values[2].value.as_ref().unwrap().value else {
            panic!("no array")
        };
        let values: Vec<_> = list.values.iter().map(|value| value.value.clone()).collect();
        assert_eq!(
            values,
            [
                None,
                Some(Value::DoubleValue(1.5)),
                Some(Value::BoolValue(true)),
                Some(Value::StringValue("18446744073709551615".into()))
            ]
        );
    }

    #[test]
    fn a_level_goes_before_an_outcome() {
        let record = of(r#"{"log":{"level":"Critical"},"event":{"outcome":"success"}}"#, 0);
        assert_eq!(record.severity_number, i32::from(SeverityNumber::Error2));
        assert_eq!(record.severity_text, "Critical");
        assert_eq!(record.time_unix_nano, 0);
    }

    #[test]
    fn what_is_no_json_travels_as_text() {
        assert_eq!(of("{torn", 0).body.unwrap().value, Some(Value::StringValue("{torn".into())));
    }
}
