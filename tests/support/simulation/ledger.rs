//! Who got what: every delivery of every event, and which of them count.
//!
//! A host that does not save a state gets events again; that is the contract, and no mistake. So deliveries are kept in two
//! lists: all that ever happened, which must be byte-equal for the same event from the same source; and those behind the
//! saved state, from which the ones that the host forgot are taken back. In the second, each event stands exactly once.

use super::{
    plan::{Plan, Wanted},
    world::World,
};
use crate::template::Template;
use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// An event as it came from one source: its id, and where it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Delivery {
    id: String,
    /// `EventLogFile`, or the name of an object.
    provider: String,
    /// Id and CreatedDate of the file: one that was issued again is another.
    file: String,
    created: String,
}

/// The deliveries of one run.
#[derive(Default)]
pub struct Ledger {
    /// What was delivered first.
    seen: HashMap<Delivery, String>,
    /// Deliveries behind the saved state, batch by batch.
    saved: Vec<Vec<Delivery>>,
    /// Deliveries of all kinds.
    deliveries: u64,
    template: Template,
}

/// What a run delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Different events.
    pub events: u64,
    /// Deliveries of them, those included that the host forgot.
    pub deliveries: u64,
}

impl Ledger {
    /// Takes a batch over. It counts once it is [saved](Self::save).
    ///
    /// # Errors
    /// When an event comes again with other bytes, is no event, or has a field that the index template does not have with
    /// its type.
    pub fn deliver(&mut self, events: &[String]) -> Result<Delivered> {
        let mut batch = Vec::with_capacity(events.len());
        for event in events {
            let json: Value = serde_json::from_str(event).with_context(|| format!("no JSON: {event}"))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let file = &json["salesforce"]["event_log_file"];
            let object = text(&json["salesforce"]["object_name"]);
            let provider = text(&json["event"]["provider"]);
            let delivery = Delivery {
                id: text(&json["event"]["id"]),
                provider: if provider == "Object" { object } else { provider },
                file: text(&file["id"]),
                created: text(&file["created_date"]),
            };
            ensure!(!delivery.id.is_empty() && !delivery.provider.is_empty(), "no id or provider: {event}");
            let wrong = self.template.sample("an event", &json);
            ensure!(wrong.is_empty(), "{}: {event}", wrong.join(", "));
            let first = self.seen.entry(delivery.clone()).or_insert_with(|| event.clone());
            ensure!(first == event, "an event came with other bytes than before:\n{event}\n{first}");
            batch.push(delivery);
        }
        self.deliveries += events.len() as u64;
        Ok(Delivered(batch))
    }

    /// Notes that the state of a batch was saved.
    pub fn save(&mut self, batch: Delivered) {
        self.saved.push(batch.0);
    }

    /// How many states were saved.
    pub fn saves(&self) -> usize {
        self.saved.len()
    }

    /// Takes back what stands behind a state that the host goes back from.
    pub fn go_back_to(&mut self, saves: usize) {
        self.saved.truncate(saves);
    }

    /// Compares with the truth.
    ///
    /// # Errors
    /// When anything is missing, came twice, or never was.
    pub fn verify(&self, plan: &Plan, world: &World) -> Result<Tally> {
        let mut counts: HashMap<&Delivery, u64> = HashMap::new();
        for delivery in self.saved.iter().flatten() {
            *counts.entry(delivery).or_default() += 1;
        }
        let mut wanted: HashMap<Delivery, u64> = HashMap::new();
        // Rows of files that were replaced: once with the old file if it was read in time, and with the new one.
        let mut rows: HashSet<String> = HashSet::new();
        for source in &plan.wanted {
            for delivery in truth(source, world) {
                if !delivery.file.is_empty() {
                    rows.insert(delivery.id.clone());
                }
                *wanted.entry(delivery).or_default() += 1;
            }
        }
        let files: HashSet<(&str, &str)> =
            wanted.keys().map(|delivery| (&*delivery.file, &*delivery.created)).collect();
        let (mut missing, mut twice, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (delivery, times) in &wanted {
            let count = counts.get(delivery).copied().unwrap_or_default();
            if count < *times {
                missing.push(delivery);
            }
            if count > *times {
                twice.push(delivery);
            }
        }
        for delivery in counts.keys().filter(|delivery| !wanted.contains_key(**delivery)) {
            let replaced = !files.contains(&(&*delivery.file, &*delivery.created));
            if !(replaced && !delivery.file.is_empty() && rows.contains(&delivery.id)) {
                unknown.push(*delivery);
            }
        }
        for (what, mut found) in [("missing", missing), ("delivered twice", twice), ("never was", unknown)] {
            if !found.is_empty() {
                found.sort_by(|a, b| (&a.provider, &a.created, &a.id).cmp(&(&b.provider, &b.created, &b.id)));
                let first = found.iter().take(3).map(|delivery| format!("{delivery:?}")).collect::<Vec<_>>();
                bail!("{what}: {} of {} events, {}", found.len(), wanted.len(), first.join(", "));
            }
        }
        let ids: HashSet<(&str, &str)> =
            counts.keys().map(|delivery| (&*delivery.provider, &*delivery.id)).collect();
        Ok(Tally { events: ids.len() as u64, deliveries: self.deliveries })
    }
}

/// A batch that was delivered and is not saved yet.
pub struct Delivered(Vec<Delivery>);

/// What a complete collection of a source delivers.
fn truth(source: &Wanted, world: &World) -> Vec<Delivery> {
    let org = world.org.org();
    let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
    match source {
        Wanted::Files { event_types, interval } => {
            let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
            let created: HashMap<String, String> = org
                .event_log_files(*interval)
                .into_iter()
                .map(|file| (file.id.clone(), time(file.created_date)))
                .collect();
            let types: Vec<&str> = event_types.iter().map(String::as_str).collect();
            let row = |event: salesforce_sim::TrueEvent| Delivery {
                id: event.event_id.to_string(),
                provider: String::from("EventLogFile"),
                created: created.get(&*event.file).cloned().unwrap_or_default(),
                file: event.file.to_string(),
            };
            org.truth_of(*interval, &types, always).map(row).collect()
        }
        Wanted::Object(object) => {
            let record = |id| Delivery {
                id,
                provider: object.name().to_owned(),
                file: String::new(),
                created: String::new(),
            };
            org.object_truth(*object, always).map(record).collect()
        }
    }
}
