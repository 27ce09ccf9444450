//! Which names are looked up: the words for them, and the objects that have them.

use crate::schema::{Flaw, Key, Shape, days, minutes, nearest};
use documents::{Wanted, quoted};
use std::time::Duration;

pub const LOOKUP: Key = Key::optional(
    "lookup",
    Shape::Names { check: word, all: false },
    "Whose names are put beside ids: \"user\", \"profile\", \"report\", \"dashboard\", \"content\". It takes requests.",
);
pub const LOOKUP_AGE: Key = Key::defaulted(
    "lookup_age",
    Shape::Span(minutes(1), days(30)),
    "12h",
    "How long a name that was looked up is believed.",
);

/// What is looked up.
pub struct Lookup {
    /// The word for it in the configuration.
    pub word: &'static str,
    /// How its ids begin.
    prefix: &'static str,
    /// The object.
    pub object: &'static str,
    /// The fields with its name.
    pub fields: &'static [&'static str],
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

/// Whether a word of the configuration is one of them.
fn word(word: &str) -> Result<(), Flaw> {
    if LOOKUPS.iter().any(|lookup| lookup.word == word) {
        return Ok(());
    }
    let words = LOOKUPS.iter().map(|lookup| lookup.word);
    let hint = match nearest(word, words) {
        Some(known) => format!("did you mean '{known}'?"),
        None => String::from("there are user, profile, report, dashboard, content"),
    };
    Err(Flaw::with_hint(format!("holds '{}', for which there are no names", quoted(word, 60)), hint))
}

/// What a configuration wants to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    /// Of each of [`LOOKUPS`] whether it is wanted.
    wanted: Vec<bool>,
    /// For how long a name is believed.
    pub age: Duration,
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

    /// Which of [`LOOKUPS`] an id is of, if it is wanted.
    pub fn nth_of(&self, id: &[u8]) -> Option<usize> {
        let is_of =
            |(lookup, is_wanted): (&Lookup, &bool)| *is_wanted && id.starts_with(lookup.prefix.as_bytes());
        LOOKUPS.iter().zip(&self.wanted).position(is_of)
    }

    /// Of which ids the documents have to have names.
    pub fn of_documents(&self) -> Wanted {
        let users = |lookup: &Lookup| lookup.object == "User";
        Wanted { users: self.all().any(users), others: self.all().any(|lookup| !users(lookup)) }
    }
}
