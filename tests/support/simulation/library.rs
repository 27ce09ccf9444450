//! Every event that any run of a seed has delivered, once: what it is, and how it reads.
//!
//! The runs of a seed share it. So an event must have the same bytes whichever instance it comes from, and after whatever
//! went wrong before; where the configuration changes how events read, the same bytes within a generation of it.

use crate::template::Template;
use anyhow::{Context as _, Result, ensure};
use chrono::DateTime;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// An event as it came from one source: its id, and where it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// `event.id`
    pub id: String,
    /// The stream.
    pub stream: String,
    /// `EventLogFile`, or the name of an object.
    pub provider: String,
    /// Id of the file.
    pub file: String,
    /// CreatedDate of the file: one that was issued again is another.
    pub created: String,
}

/// What the library knows of an event.
#[derive(Debug)]
pub struct Known {
    /// What it is.
    pub delivery: Delivery,
    /// When what it is about could be collected at the earliest: the date of a record, the CreatedDate of a file.
    pub at: i64,
    /// Whether its file is a daily one.
    pub daily: bool,
    /// The number of the first event that is the same, whatever the configuration made of it.
    pub same_as: usize,
    text: String,
}

/// The events.
#[derive(Default)]
pub struct Library {
    events: Vec<Known>,
    by_text: HashMap<(u32, u64), usize>,
    by_delivery: HashMap<(u32, Delivery), usize>,
    same: HashMap<Delivery, usize>,
    template: Template,
}

impl Library {
    /// An event by its number.
    pub fn get(&self, number: usize) -> &Known {
        &self.events[number]
    }

    /// The number of an event.
    ///
    /// # Errors
    /// When it came with other bytes before, is no event, or has a field that the index template does not have with its
    /// type.
    pub fn number(&mut self, event: &str, generation: u32) -> Result<usize> {
        let mut digest = DefaultHasher::new();
        event.hash(&mut digest);
        let key = (generation, digest.finish());
        if let Some(number) = self.by_text.get(&key) {
            return Ok(*number);
        }
        let json: Value = serde_json::from_str(event).with_context(|| format!("no JSON: {event}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let file = &json["salesforce"]["event_log_file"];
        let dataset = text(&json["data_stream"]["dataset"]);
        // Of a record, the object tells which view of the event this is.
        let object = text(&json["salesforce"]["object_name"]);
        let delivery = Delivery {
            id: text(&json["event"]["id"]),
            stream: dataset.rsplit('.').next().unwrap_or_default().to_owned(),
            provider: if object.is_empty() { text(&json["event"]["provider"]) } else { object },
            file: text(&file["id"]),
            created: text(&file["created_date"]),
        };
        ensure!(!delivery.id.is_empty() && !delivery.provider.is_empty(), "no id or provider: {event}");
        let wrong = self.template.sample("an event", &json);
        ensure!(wrong.is_empty(), "{}: {event}", wrong.join(", "));
        // What a record lacks may be told by what was asked for when it came.
        let damaged = delivery.file.is_empty() && !json["error"]["message"].is_null();
        if let Some(first) = self.by_delivery.get(&(generation, delivery.clone())).filter(|_| !damaged) {
            let first = &self.events[*first].text;
            ensure!(
                first == event || differ_in_names_alone(first, &json),
                "an event came with other bytes than before:\n{event}\n{first}"
            );
        }
        let date =
            if delivery.file.is_empty() { text(&json["@timestamp"]) } else { delivery.created.clone() };
        let at = DateTime::parse_from_rfc3339(&date).with_context(|| format!("no date: {event}"))?;
        let number = self.events.len();
        self.by_text.insert(key, number);
        self.by_delivery.insert((generation, delivery.clone()), number);
        let same_as = *self.same.entry(delivery.clone()).or_insert(number);
        self.events.push(Known {
            delivery,
            same_as,
            at: at.timestamp_millis(),
            daily: file["interval"] == "Daily",
            text: event.to_owned(),
        });
        Ok(number)
    }
}

/// Whether one of two events of the audit trail has the names of its user and the other does without, as it must while the org
/// refuses what belongs to users.
fn differ_in_names_alone(one: &str, other: &Value) -> bool {
    let Ok(one) = serde_json::from_str::<Value>(one) else { return false };
    let named = |event: &Value| !event["user"]["name"].is_null();
    let nameless = |event: &Value| {
        let mut event = event.clone();
        let id = event["user"]["id"].take();
        event["user"] = json!({"id": id});
        if let Some(users) = event["related"]["user"].as_array_mut() {
            users.retain(|user| *user == id);
        }
        event
    };
    one["salesforce"]["object_name"] == "SetupAuditTrail"
        && named(&one) != named(other)
        && nameless(&one) == nameless(other)
}
