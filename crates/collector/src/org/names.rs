//! The names that are known of ids, and those that are to be asked for. How they are asked for, `look_up` says.
//!
//! Which object an id is of, its first three characters say ("Standard Field Record ID Prefix Decoder", Salesforce Help); so a column need
//! not be known.

use crate::{
    config::lookup::{LOOKUPS, Lookups},
    problem::Problem,
};
use documents::{Name, Names, time::Time};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// An id without the three characters that make it independent of case.
const KEY: usize = 15;
pub type Key = [u8; KEY];
/// Ids that are asked for at a time, of each object.
const MOST_WANTED: usize = 3000;
/// Names of the younger half of those that are kept, and their bytes.
const MOST_NAMES: usize = 5000;
const MOST_BYTES: usize = 768 << 10;
/// How long an object that is refused is not asked for.
pub const REFUSED: Duration = Duration::from_secs(3600);

/// The names that are known.
#[derive(Debug, Default)]
pub struct KnownNames {
    /// In two halves: when the younger one is full, the older one is forgotten.
    young: HashMap<Key, Known>,
    old: HashMap<Key, Known>,
    /// Bytes of names in the younger half.
    bytes: usize,
    /// Ids that are to be asked for, of each of [`LOOKUPS`].
    pub wanted: [Vec<Key>; LOOKUPS.len()],
    /// Until when an object is not asked for, on the host's clock.
    pub waits: BTreeMap<Time, BTreeSet<String>>,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// What is known of an id: none = it has no name that can be seen.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: Option<Name>,
    /// Since when, on the host's monotonic clock.
    pub since: Duration,
}

/// An id, if it is one.
pub fn key(id: &[u8]) -> Option<Key> {
    let is_id = matches!(id.len(), KEY | 18) && id.iter().all(u8::is_ascii_alphanumeric);
    if is_id { id.first_chunk().copied() } else { None }
}

impl Names for KnownNames {
    fn name(&self, id: &[u8]) -> Option<&Name> {
        let key = key(id)?;
        self.young.get(&key).or_else(|| self.old.get(&key))?.name.as_ref()
    }
}

impl KnownNames {
    /// Notes what stands in a column of ids, if its name is wanted and not known.
    pub fn want(&mut self, lookups: &Lookups, id: &[u8], now: Duration) {
        let Some(key) = key(id) else { return };
        let Some(nth) = lookups.nth_of(&key) else { return };
        let is_young = |known: &Known| now.saturating_sub(known.since) < lookups.age;
        if self.young.get(&key).is_some_and(is_young) {
            return;
        }
        if self.old.get(&key).is_some_and(is_young)
            && let Some(known) = self.old.remove(&key)
        {
            return self.insert(key, known);
        }
        let wanted = &mut self.wanted[nth];
        if wanted.len() < MOST_WANTED && !wanted.contains(&key) {
            wanted.push(key);
        }
    }

    /// Keeps what is known of an id.
    pub fn insert(&mut self, key: Key, known: Known) {
        if self.young.len() >= MOST_NAMES || self.bytes >= MOST_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += known.name.as_ref().map_or(0, |name| match name {
            Name::User { username, full_name, email } => username.len() + full_name.len() + email.len(),
            Name::Other(name) => name.len(),
        });
        self.young.insert(key, known);
    }

    /// Notes until when an object is not asked for; none = it may be.
    pub fn put_off(&mut self, object: &str, until: Option<Time>) {
        self.waits.retain(|_, objects| {
            objects.remove(object);
            !objects.is_empty()
        });
        if let Some(until) = until {
            self.waits.entry(until).or_default().insert(object.to_owned());
        }
    }

    /// Milliseconds until an object may be asked for. What is further off than any wait is over: the clock went back.
    pub fn wait(&self, object: &str, now: Time) -> i64 {
        let waits = self.waits.iter().filter(|(_, objects)| objects.contains(object));
        let wait = waits.map(|(until, _)| until.0.saturating_sub(now.0)).max().unwrap_or(0);
        if wait > documents::time::millis(REFUSED) { 0 } else { wait.max(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn id(n: usize) -> String {
        format!("005{n:012}")
    }

    fn wanted(names: &KnownNames) -> usize {
        names.wanted.iter().map(Vec::len).sum()
    }

    fn user(n: usize) -> Known {
        let name = Name::User { username: id(n), full_name: String::new(), email: String::new() };
        Known { name: Some(name), since: Duration::ZERO }
    }

    #[test]
    fn an_id_is_wanted_once_in_either_length_and_if_it_is_one() {
        let lookups = Lookups::new(&[String::from("user")], HOUR);
        let mut names = KnownNames::default();
        for (text, count) in [
            ("0055j000004XYz1", 1),
            ("0055j000004XYz1AAE", 1),
            ("0055j000004XYz2", 2),
            ("0055j000004XYz", 2),
            ("0055j000004XYz1A", 2),
            ("0055j000004XY'1", 2),
            ("00e5j000004XYz1", 2),
            ("", 2),
        ] {
            names.want(&lookups, text.as_bytes(), Duration::ZERO);
            assert_eq!(wanted(&names), count, "{text}");
        }
    }

    #[test]
    fn a_name_is_believed_until_it_is_too_old_and_used_until_there_is_another() {
        let lookups = Lookups::new(&[String::from("user")], HOUR);
        let mut names = KnownNames::default();
        names.insert(key(id(1).as_bytes()).expect("an id"), user(1));
        names.want(&lookups, id(1).as_bytes(), HOUR - Duration::from_millis(1));
        assert_eq!(wanted(&names), 0);
        names.want(&lookups, id(1).as_bytes(), HOUR);
        assert_eq!(wanted(&names), 1);
        assert!(names.name(id(1).as_bytes()).is_some());
    }

    #[test]
    fn the_names_used_last_are_kept_and_never_more_than_so_many() {
        let lookups = Lookups::new(&[String::from("user")], HOUR);
        let mut names = KnownNames::default();
        for n in 0..3 * MOST_NAMES {
            names.insert(key(id(n).as_bytes()).expect("an id"), user(n));
            // One that is met all the time.
            names.want(&lookups, id(0).as_bytes(), Duration::ZERO);
            assert!(names.young.len() + names.old.len() <= 2 * MOST_NAMES, "{n}");
        }
        assert!(names.name(id(0).as_bytes()).is_some());
        assert!(names.name(id(1).as_bytes()).is_none());
        assert_eq!(wanted(&names), 0);
    }
}
