//! The set is right: who got what, and which deliveries count.
//!
//! A host that does not save a state gets events again; that is the contract, and no mistake. So deliveries are kept in two
//! lists: all that ever happened, and those behind the saved state, from which the ones that the host forgot are taken back.
//! In the second, each event stands exactly once. As an operator would say it: *everything that there was has come; what
//! came twice, came twice because a state was not saved*, or because hourly and daily files, of which a row can be in either,
//! were changed for each other.
//!
//! Two runs of a seed end with the same events behind their states. What may differ is a row of a file that was replaced
//! before one of them had read it, and of a source that was taken out of the configuration.

use super::{
    library::{Delivery, Library},
    plan::{Plan, Source, What},
};
use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use salesforce_sim::{Interval, OfflineOrg, OrgSettings, Simulator, StoredObject};
use std::collections::{HashMap, HashSet};

/// From the beginning on, how long states may be lost while the backlog is still read, in milliseconds.
const FIRST_HOURS: i64 = 3 * 3_600_000;

/// The deliveries of one run.
#[derive(Default)]
pub struct Ledger {
    /// Deliveries behind the saved state, batch by batch, by their numbers in the library.
    saved: Vec<Vec<usize>>,
    /// When each event was delivered first.
    first: HashMap<usize, i64>,
    /// Deliveries of all kinds.
    deliveries: u64,
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
    pub fn deliver(&mut self, numbers: &[usize], library: &Library, now: i64) {
        self.deliveries += numbers.len() as u64;
        for number in numbers {
            self.first.entry(library.get(*number).same_as).or_insert(now);
        }
    }

    /// Notes that the state of a batch was saved.
    pub fn save(&mut self, numbers: Vec<usize>) {
        self.saved.push(numbers);
    }

    /// How many states were saved.
    pub fn saves(&self) -> usize {
        self.saved.len()
    }

    /// Takes back what stands behind a state that the host goes back from.
    pub fn go_back_to(&mut self, saves: usize) {
        self.saved.truncate(saves);
    }

    /// When each event was delivered first, by its number in the library.
    pub fn first(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        self.first.iter().map(|(number, at)| (*number, *at))
    }

    /// Compares with the truth.
    ///
    /// # Errors
    /// When anything is missing, came twice, or never was.
    pub fn verify(&self, library: &Library, truth: &Truth) -> Result<Tally> {
        let mut counts: HashMap<&Delivery, u64> = HashMap::new();
        let mut rows: HashMap<(&str, &str, &str), u64> = HashMap::new();
        for number in self.saved.iter().flatten() {
            let delivery = &library.get(*number).delivery;
            *counts.entry(delivery).or_default() += 1;
            *rows.entry((&delivery.stream, &delivery.provider, &delivery.id)).or_default() += 1;
        }
        let (mut missing, mut twice, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (delivery, fact) in &truth.facts {
            let count = counts.get(delivery).copied().unwrap_or_default();
            let came = if fact.once {
                count >= fact.times
            } else {
                rows.contains_key(&(
                    delivery.stream.as_str(),
                    delivery.provider.as_str(),
                    delivery.id.as_str(),
                ))
            };
            if fact.must && !came {
                missing.push(delivery);
            }
            if fact.once && count > fact.times {
                twice.push(delivery);
            }
        }
        // Rows of files that were replaced: once with the old file if it was read in time, and with the new one.
        let ids: HashSet<(&str, &str)> =
            truth.facts.keys().map(|d| (d.stream.as_str(), d.id.as_str())).collect();
        let files: HashSet<(&str, &str)> =
            truth.facts.keys().map(|delivery| (&*delivery.file, &*delivery.created)).collect();
        for delivery in counts.keys().filter(|delivery| !truth.facts.contains_key(**delivery)) {
            let replaced =
                !files.contains(&(&*delivery.file, &*delivery.created)) && !delivery.file.is_empty();
            if !(replaced && ids.contains(&(delivery.stream.as_str(), delivery.id.as_str()))) {
                unknown.push(*delivery);
            }
        }
        // Of a record whose id is lost, something came all the same.
        let mut nameless: HashMap<&str, u64> = HashMap::new();
        unknown.retain(|delivery| {
            let expected = truth.nameless.get(&delivery.stream).copied().unwrap_or_default();
            let came = nameless.entry(&delivery.stream).or_default();
            *came += 1;
            !delivery.file.is_empty() || *came > expected
        });
        for (stream, expected) in &truth.nameless {
            let came = nameless.get(stream.as_str()).copied().unwrap_or_default();
            ensure!(
                came > 0 || *expected == 0 || truth.optional.contains(stream),
                "missing: {expected} records of {stream} are damaged, and nothing of them came"
            );
        }
        for (what, mut found) in [("missing", missing), ("delivered twice", twice), ("never was", unknown)] {
            if !found.is_empty() {
                found.sort_by(|a, b| (&a.provider, &a.created, &a.id).cmp(&(&b.provider, &b.created, &b.id)));
                let first = found.iter().take(3).map(|delivery| format!("{delivery:?}")).collect::<Vec<_>>();
                bail!("{what}: {} of {} events, {}", found.len(), truth.facts.len(), first.join(", "));
            }
        }
        let ids: HashSet<(&str, &str)> =
            counts.keys().map(|delivery| (&*delivery.provider, &*delivery.id)).collect();
        Ok(Tally { events: ids.len() as u64, deliveries: self.deliveries })
    }

    /// Compares with another run of the same seed.
    ///
    /// # Errors
    /// When one of them delivered what the other did not, of what both must deliver.
    pub fn agrees_with(&self, other: &Self, library: &Library, truth: &Truth) -> Result<()> {
        let rows = |ledger: &Self| {
            let all = ledger.saved.iter().flatten().map(|number| &library.get(*number).delivery);
            let settled = all.filter(|d| {
                let nameless = truth.nameless.contains_key(&d.stream) && d.file.is_empty();
                truth.facts.get(*d).map_or(!nameless, |fact| fact.must)
            });
            settled.map(|d| (d.stream.clone(), d.provider.clone(), d.id.clone())).collect::<HashSet<_>>()
        };
        let (ours, theirs) = (rows(self), rows(other));
        let optional: HashSet<&str> = truth.optional.iter().map(String::as_str).collect();
        let differs = |row: &&(String, String, String)| !optional.contains(row.0.as_str());
        let alone: Vec<_> = ours.symmetric_difference(&theirs).filter(differs).take(3).collect();
        if alone.is_empty() {
            return Ok(());
        }
        bail!("one instance and a fresh one for each poll delivered different events, such as {alone:?}")
    }
}

/// What must be delivered, or may be.
#[derive(Debug, Default)]
pub struct Truth {
    facts: HashMap<Delivery, Fact>,
    /// Streams of which not everything must have come in the end.
    optional: Vec<String>,
    /// Ids of damaged records, whose date may be unknown.
    damaged: HashSet<String>,
    /// By stream, how many records are so damaged that nobody can tell their ids.
    nameless: HashMap<String, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Fact {
    times: u64,
    must: bool,
    once: bool,
}

impl Truth {
    /// What a complete collection of a plan delivers.
    ///
    /// # Errors
    /// When there is no such org.
    pub fn of(plan: &Plan) -> Result<Self> {
        let mut truth = Self::default();
        let settings = |at: i64| OrgSettings {
            clock_fixed_at: DateTime::from_timestamp_millis(at),
            ..plan.settings.clone()
        };
        let org = Simulator::offline(settings(plan.begin)).context("the org")?;
        let mut now = plan.begin;
        // What expires is there for a while alone.
        let step = plan.settings.files.retention.map_or(i64::MAX, |kept| kept.num_milliseconds() / 2);
        loop {
            for source in &plan.sources {
                truth.look(source, &org);
            }
            if now >= plan.end {
                break;
            }
            let next = if step == i64::MAX { plan.end } else { (now + step).min(plan.end) };
            org.org().clock().advance(TimeDelta::milliseconds(next - now));
            now = next;
            if step == i64::MAX {
                truth.facts.clear();
            }
        }
        truth.excuse_what_expires_early(plan);
        for source in &plan.sources {
            truth.see_damage(plan, source, &org);
        }
        truth.optional =
            plan.sources.iter().filter(|source| !source.must).map(|s| s.stream.clone()).collect();
        Ok(truth)
    }

    /// Whether an event is one that there is, undamaged.
    pub fn is_sound(&self, delivery: &Delivery) -> bool {
        self.facts.contains_key(delivery) && !self.damaged.contains(&delivery.id)
    }

    /// Records that are damaged come all the same, under an id of their own where theirs is lost.
    fn see_damage(&mut self, plan: &Plan, source: &Source, org: &OfflineOrg) {
        let Some(object) = source.object().filter(|of| plan.damaged_objects().any(|object| object == *of))
        else {
            return;
        };
        let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
        for record in org.org().damaged(object, always) {
            if !record.id_survives {
                if let Some(fact) = self.facts.get_mut(&record_of(source, object, record.event_id.clone())) {
                    fact.must = false;
                }
                *self.nameless.entry(source.stream.clone()).or_default() += 1;
            }
            self.damaged.insert(record.event_id);
        }
    }

    /// While a backlog is read, a host that loses its states begins again: what the org deletes meanwhile it may miss.
    fn excuse_what_expires_early(&mut self, plan: &Plan) {
        let Some(kept) = plan.settings.files.retention else { return };
        for (delivery, fact) in &mut self.facts {
            let created = DateTime::parse_from_rfc3339(&delivery.created).map(|at| at.timestamp_millis());
            fact.must &= created.is_err()
                || created.is_ok_and(|at| at + kept.num_milliseconds() > plan.begin + FIRST_HOURS);
        }
    }

    fn look(&mut self, source: &Source, org: &OfflineOrg) {
        let mut found: HashMap<Delivery, u64> = HashMap::new();
        for delivery in everything(source, org) {
            *found.entry(delivery).or_default() += 1;
        }
        for (delivery, times) in found {
            let fact = self.facts.entry(delivery).or_insert(Fact { times, must: false, once: source.once });
            fact.must |= source.must;
            fact.times = fact.times.max(times);
        }
    }
}

/// What an org has for a source now.
fn everything(source: &Source, org: &OfflineOrg) -> Vec<Delivery> {
    let org = org.org();
    let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
    let provider = || source.provider().to_owned();
    match &source.what {
        What::Files { event_types, interval } => {
            let interval: Interval = *interval;
            let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
            let created: HashMap<String, String> = org
                .event_log_files(interval)
                .into_iter()
                .map(|file| (file.id.clone(), time(file.created_date)))
                .collect();
            let types: Vec<&str> = event_types.iter().map(String::as_str).collect();
            let row = |event: salesforce_sim::TrueEvent| Delivery {
                id: event.event_id.to_string(),
                stream: source.stream.clone(),
                provider: provider(),
                created: created.get(&*event.file).cloned().unwrap_or_default(),
                file: event.file.to_string(),
            };
            org.truth_of(interval, &types, always).map(row).collect()
        }
        What::Object(object) => {
            org.object_truth(*object, always).map(|id| record_of(source, *object, id)).collect()
        }
    }
}

/// A record of an object, as it is delivered.
fn record_of(source: &Source, object: StoredObject, id: String) -> Delivery {
    let (stream, provider) = (source.stream.clone(), object.name().to_owned());
    Delivery { id, stream, provider, file: String::new(), created: String::new() }
}
