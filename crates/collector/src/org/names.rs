//! The names of what ids in events stand for: asked for together, and kept for a while.
//!
//! Which object an id is of, its first three characters say ("Standard Field Record ID Prefix Decoder", Salesforce Help); so a column need not be known.
//! Deleted records are asked for as well (`queryAll`). What has no name that this user may see stays an id, and that is no problem. Where a
//! whole object is refused, that is said once, and nothing more is asked of it for an hour: events never wait for a name.

use crate::{
    org::{
        errors::{Remedy, needs},
        pages::{Pages, read_page},
        session::{Org, RequestError},
        soql::query_all_path,
    },
    problem::Problem,
    schema::{Flaw, nearest},
};
use documents::{Name, Names, Record, Wanted, quoted, time::Time};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// What is looked up.
pub struct Lookup {
    /// The word for it in the configuration.
    pub word: &'static str,
    /// How its ids begin.
    prefix: &'static str,
    /// The object.
    pub object: &'static str,
    /// The fields with its name.
    fields: &'static [&'static str],
}

impl Lookup {
    /// Asks for one of them, to see whether that is allowed.
    pub fn glance(&self) -> String {
        format!("SELECT Id, {} FROM {} LIMIT 1", self.fields.join(", "), self.object)
    }
}

/// All of it.
pub const LOOKUPS: &[Lookup] = &[
    Lookup { word: "user", prefix: "005", object: "User", fields: &["Username", "Name", "Email"] },
    Lookup { word: "profile", prefix: "00e", object: "Profile", fields: &["Name"] },
    Lookup { word: "report", prefix: "00O", object: "Report", fields: &["Name"] },
    Lookup { word: "dashboard", prefix: "01Z", object: "Dashboard", fields: &["Title"] },
    Lookup { word: "content", prefix: "069", object: "ContentDocument", fields: &["Title"] },
    Lookup { word: "content", prefix: "068", object: "ContentVersion", fields: &["Title"] },
];

/// An id without the three characters that make it independent of case.
const KEY: usize = 15;
type Key = [u8; KEY];
/// Ids in one query: their text is a third of the longest address that Salesforce takes (16,384 bytes).
const MOST_IDS: usize = 300;
/// Ids that are asked for at a time, of each object.
const MOST_WANTED: usize = 3000;
/// Names of the younger half of those that are kept, and their bytes.
const MOST_NAMES: usize = 5000;
const MOST_BYTES: usize = 768 << 10;
/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 255;
/// How long an object that is refused is not asked for.
const REFUSED: Duration = Duration::from_secs(3600);
/// The same for one that did not answer.
const UNANSWERED: Duration = Duration::from_secs(300);
/// The same where every other request would fail as well.
const ELSEWHERE: Duration = Duration::from_secs(60);

/// Whether a word of the configuration is one of them.
pub fn lookup_word(word: &str) -> Result<(), Flaw> {
    if LOOKUPS.iter().any(|lookup| lookup.word == word) {
        return Ok(());
    }
    let words: BTreeSet<&str> = LOOKUPS.iter().map(|lookup| lookup.word).collect();
    let hint = match nearest(word, words.iter().copied()) {
        Some(known) => format!("did you mean '{known}'?"),
        None => format!("there are {}", words.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Err(Flaw::with_hint(format!("holds '{}', for which there are no names", quoted(word, 60)), hint))
}

/// What a configuration wants to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    /// Of each of [`LOOKUPS`] whether it is wanted.
    wanted: Vec<bool>,
    /// For how long a name is believed.
    age: Duration,
}

impl Lookups {
    /// Of these words.
    pub fn new(words: &[String], age: Duration) -> Self {
        let is_wanted = |lookup: &Lookup| words.iter().any(|word| word == lookup.word);
        Self { wanted: LOOKUPS.iter().map(is_wanted).collect(), age }
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        !self.wanted.contains(&true)
    }

    /// What is.
    pub fn all(&self) -> impl Iterator<Item = &'static Lookup> {
        LOOKUPS.iter().zip(&self.wanted).filter(|(_, is_wanted)| **is_wanted).map(|(lookup, _)| lookup)
    }

    /// Of which ids the documents have to have names.
    pub fn of_documents(&self) -> Wanted {
        let users = |lookup: &Lookup| lookup.object == "User";
        Wanted { users: self.all().any(users), others: self.all().any(|lookup| !users(lookup)) }
    }
}

/// The names that are known.
#[derive(Debug, Default)]
pub struct KnownNames {
    /// In two halves: when the younger one is full, the older one is forgotten.
    young: HashMap<Key, Known>,
    old: HashMap<Key, Known>,
    /// Bytes of names in the younger half.
    bytes: usize,
    /// Ids that are to be asked for, of each of [`LOOKUPS`].
    wanted: [BTreeSet<Key>; LOOKUPS.len()],
    /// Until when an object is not asked for, on the host's clock.
    pub waits: BTreeMap<String, Time>,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// What is known of an id: none = it has no name that can be seen.
#[derive(Clone, Debug)]
struct Known {
    name: Option<Name>,
    /// Since when, on the host's monotonic clock.
    since: Duration,
}

/// An id, if it is one.
fn key(id: &[u8]) -> Option<Key> {
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
        let is_of = |(lookup, is_wanted): (&Lookup, &bool)| *is_wanted && key.starts_with(lookup.prefix.as_bytes());
        let Some(nth) = LOOKUPS.iter().zip(&lookups.wanted).position(is_of) else { return };
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
        if wanted.len() < MOST_WANTED {
            wanted.insert(key);
        }
    }

    fn insert(&mut self, key: Key, known: Known) {
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

    /// Milliseconds until an object may be asked for. What is further off than any wait is over: the clock went back.
    fn wait(&self, object: &str, now: Time) -> i64 {
        let wait = self.waits.get(object).map_or(0, |until| until.0.saturating_sub(now.0));
        if wait > documents::time::millis(REFUSED) { 0 } else { wait.max(0) }
    }
}

/// The name that a record tells.
fn name(lookup: &Lookup, record: &Record<'_>) -> Option<Name> {
    let text = |field: &str| {
        let text = record.text(field).unwrap_or_default();
        text.chars().take(LONGEST_NAME).collect::<String>()
    };
    match lookup.fields {
        [username, full_name, email] => {
            let [username, full_name, email] = [username, full_name, email].map(|field| text(field));
            Some(Name::User { username, full_name, email })
        }
        [field, ..] => Some(text(field)).filter(|name| !name.is_empty()).map(Name::Other),
        [] => None,
    }
}

impl Org<'_> {
    /// Notes what stands in a column of ids.
    pub fn want_name(&mut self, id: &[u8]) {
        self.names.want(&self.config.lookups, id, self.clock.elapsed());
    }

    /// Asks for the names of all that was noted, for events of this stream.
    pub fn look_up(&mut self, stream: &str) {
        for (nth, lookup) in LOOKUPS.iter().enumerate() {
            let wanted: Vec<Key> = std::mem::take(&mut self.names.wanted[nth]).into_iter().collect();
            for ids in wanted.chunks(MOST_IDS) {
                if self.names.wait(lookup.object, Time(self.clock.now_ms())) > 0 {
                    break;
                }
                if let Err(error) = self.ask(lookup, ids) {
                    self.put_off(lookup, stream, &error);
                }
            }
        }
    }

    fn ask(&mut self, lookup: &Lookup, ids: &[Key]) -> Result<(), RequestError> {
        let ids_in_soql: Vec<String> =
            ids.iter().map(|id| format!("'{}'", String::from_utf8_lossy(id))).collect();
        let soql = format!(
            "SELECT Id, {} FROM {} WHERE Id IN ({})",
            lookup.fields.join(", "),
            lookup.object,
            ids_in_soql.join(",")
        );
        let mut pages = Pages::new(query_all_path(&self.api_version()?, &soql));
        let mut found = HashMap::new();
        while let Some(path) = pages.path() {
            let body = self.get_body(path, &[])?;
            let page = read_page(&body)?;
            for record in page.records.iter().map(|record| Record::parse(record)) {
                if let Some(key) = record.text("Id").and_then(|id| key(id.as_bytes()))
                    && let Some(name) = name(lookup, &record)
                {
                    found.insert(key, name);
                }
            }
            let records = page.records.len();
            pages.read(records, records, page.total, page.done, page.next.as_deref())?;
        }
        self.names.waits.remove(lookup.object);
        let since = self.clock.elapsed();
        for id in ids {
            self.names.insert(*id, Known { name: found.remove(id), since });
        }
        Ok(())
    }

    /// Lets an object be for a while.
    fn put_off(&mut self, lookup: &Lookup, stream: &str, error: &RequestError) {
        let is_refused = error.meaning().remedy == Remedy::StopAsking;
        let wait = match error {
            // Whoever asks next meets it as well, and says so.
            RequestError::Everywhere(_) => ELSEWHERE,
            _ if is_refused => REFUSED,
            _ => UNANSWERED,
        };
        let until = Time(self.clock.now_ms()).after(wait);
        self.names.waits.insert(lookup.object.to_owned(), until);
        if matches!(error, RequestError::Everywhere(_)) {
            return;
        }
        let what = format!("the query for names of {}", lookup.object);
        let problem = error.problem_with(&what, lookup.object).in_stream(stream);
        let hint = if is_refused { needs(lookup.object) } else { "it is asked again" };
        let hint = format!("{hint}; until then ids stay ids");
        self.names.problems.push(problem.hint(hint).retry_after_ms(documents::time::millis(wait)));
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
        names.wanted.iter().map(BTreeSet::len).sum()
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

    #[test]
    fn the_longest_query_fits_an_address() {
        let ids = vec![format!("'{}'", id(0)); MOST_IDS].join(",");
        assert!(query_all_path("65.0", &ids).len() < 12_000);
    }
}
