//! What was delivered against what there was.

use crate::template::Template;
use anyhow::{Context, Result, ensure};
use salesforce_sim::{Interval, Org};
use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Read},
};

/// How many times each event was delivered, and how it read.
#[derive(Default)]
pub struct Delivered {
    /// By id, a digest of each delivery: a collection may be larger than memory.
    events: HashMap<String, Vec<u64>>,
    count: u64,
    template: Template,
}

impl Delivered {
    /// Takes events over from NDJSON. A last line without a line break is one that a killed host was still writing.
    pub fn read(&mut self, ndjson: impl Read) -> Result<()> {
        let mut lines = BufReader::new(ndjson);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.add(line.trim_end())?;
            line.clear();
        }
        Ok(())
    }

    /// Takes an event over.
    ///
    /// # Errors
    /// When it is no event, or has a field that the index template does not have with its type.
    pub fn add(&mut self, event: &str) -> Result<()> {
        let json: serde_json::Value =
            serde_json::from_str(event).with_context(|| format!("no JSON: {event}"))?;
        crate::names::unique(event).with_context(|| format!("no event: {event}"))?;
        let wrong = self.template.sample("an event", &json);
        ensure!(wrong.is_empty(), "{}: {event}", wrong.join(", "));
        let id = json["event"]["id"].as_str().with_context(|| format!("no event.id: {event}"))?;
        let mut digest = DefaultHasher::new();
        event.hash(&mut digest);
        self.events.entry(id.to_owned()).or_default().push(digest.finish());
        self.count += 1;
        Ok(())
    }

    /// Events in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The id of an event that was delivered more than once, and not with the same bytes each time.
    pub fn changed(&self) -> Option<&str> {
        let changed = |versions: &Vec<u64>| versions.iter().any(|version| *version != versions[0]);
        self.events.iter().find(|(_, versions)| changed(versions)).map(|(id, _)| id.as_str())
    }

    /// Compares with what a complete collection of an org's files delivers.
    pub fn compare(&self, org: &Org, interval: Interval) -> Comparison {
        self.compare_with(org.truth(interval).map(|event| event.event_id.to_string()))
    }

    /// Compares with the ids that a complete collection delivers.
    pub fn compare_with(&self, ids: impl Iterator<Item = String>) -> Comparison {
        let mut wanted: HashMap<String, u64> = HashMap::new();
        for id in ids {
            *wanted.entry(id).or_default() += 1;
        }
        let mut comparison = Comparison { wanted: wanted.values().sum(), ..Comparison::default() };
        for (id, times) in &wanted {
            let delivered = self.events.get(id).map_or(0, |versions| versions.len() as u64);
            comparison.delivered += delivered.min(*times);
            comparison.missing += times.saturating_sub(delivered);
            comparison.duplicated += delivered.saturating_sub(*times);
        }
        let unknown = self.events.iter().filter(|(id, _)| !wanted.contains_key(*id));
        comparison.unknown = unknown.map(|(_, versions)| versions.len() as u64).sum();
        comparison
    }
}

/// The result of a comparison. Displayed: `delivered 50,123 of 50,123, missing 0, duplicated 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Events that there were.
    pub wanted: u64,
    /// Events of them that were delivered.
    pub delivered: u64,
    /// Events of them that were not.
    pub missing: u64,
    /// Deliveries beyond the first.
    pub duplicated: u64,
    /// Deliveries of events that there never were.
    pub unknown: u64,
}

impl Comparison {
    /// Whether every event was delivered.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.unknown == 0 && self.wanted > 0
    }

    /// Whether every event was delivered exactly once.
    pub fn is_clean(&self) -> bool {
        self.is_complete() && self.duplicated == 0
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [delivered, wanted, missing, duplicated] =
            [self.delivered, self.wanted, self.missing, self.duplicated].map(source_host::grouped);
        write!(f, "delivered {delivered} of {wanted}, missing {missing}, duplicated {duplicated}")?;
        match self.unknown {
            0 => Ok(()),
            unknown => write!(f, ", unknown {}", source_host::grouped(unknown)),
        }
    }
}
