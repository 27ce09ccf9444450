//! The people of an org: `User` and `Profile`, which ids in logs refer to (object reference, `sforce_api_objects_user` and
//! `sforce_api_objects_profile`).
//!
//! Those who sign in are the users of the Login files, by the same ids and names. Besides them there are the automated
//! process, which stores events, the maker of event log files, and whoever a client signs in as.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::Ids;
use crate::objects::people::{PROFILE, USER};
use crate::rows::login::LoginRows;
use crate::soql::object::{Row, Value};

/// The profiles of an org, and the kind of user that each is for.
static PROFILES: [(&str, &str); 4] = [
    ("System Administrator", "Standard"),
    ("Standard User", "Standard"),
    ("Sales", "Standard"),
    ("Analytics Cloud Integration User", "Standard"),
];

/// How many of the users who sign in have the first profile: those who change things in Setup are among them.
const ADMINISTRATORS: u64 = 20;

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) username: String,
    /// First and last name.
    pub(crate) name: String,
    profile: usize,
    is_active: bool,
}

/// Everyone.
pub(crate) struct People {
    all: Vec<Person>,
    by_id: HashMap<String, usize>,
    profile_ids: Vec<String>,
    /// When they were created.
    since: DateTime<Utc>,
}

impl People {
    /// The users of the logs, the automated process and the maker of event log files.
    pub(crate) fn new(seed: u64, logins: &LoginRows) -> Self {
        let (ids, profiles) = (Ids::new("005", seed), Ids::new("00e", seed));
        let of_logs = (0..LoginRows::USERS).map(|n| {
            let username = logins.user_name(n as usize).to_owned();
            let profile = if n < ADMINISTRATORS { 0 } else { 1 + n as usize % 2 };
            Person {
                id: ids.nth_18(n),
                name: full_name(&username),
                username,
                profile,
                is_active: n % 40 != 39,
            }
        });
        let mut people = Self {
            all: of_logs.collect(),
            by_id: HashMap::new(),
            profile_ids: (0..PROFILES.len() as u64).map(|n| profiles.nth_18(n)).collect(),
            since: DateTime::UNIX_EPOCH + TimeDelta::days(18_262), // 2020
        };
        people.by_id = people.all.iter().enumerate().map(|(n, person)| (person.id.clone(), n)).collect();
        people.add(Ids::new("005", 1).nth_18(0), "automated.process@example.com");
        people.add(Ids::new("005", seed ^ 1).nth_18(0), "log.maker@example.com");
        people
    }

    /// Adds a user for an integration, if the id is not taken.
    pub(crate) fn add(&mut self, id: String, username: &str) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.by_id.insert(id.clone(), self.all.len());
        let (name, profile) = (full_name(username), PROFILES.len() - 1);
        self.all.push(Person { id, name, username: username.to_owned(), profile, is_active: true });
    }

    /// The user with this username.
    pub(crate) fn with_username(&self, username: &str) -> Option<&Person> {
        self.all.iter().rev().find(|person| person.username.eq_ignore_ascii_case(username))
    }

    /// A field of the user with this id, such as `Name`.
    pub(crate) fn field_of(&self, id: &str, field: &str) -> Value<'static> {
        self.get(id).map_or(Value::Null, |person| self.user_field(person, field))
    }

    /// The user with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Person> {
        self.by_id.get(id).map(|index| &self.all[*index])
    }

    /// A field of a user; of the profile with `Profile.` before it.
    pub(crate) fn user_field(&self, person: &Person, field: &str) -> Value<'static> {
        let text = |text: &str| Value::Text(text.to_owned().into());
        let (first, last) = person.name.split_once(' ').unwrap_or(("", &person.name));
        match field {
            "Id" => text(&person.id),
            "Username" | "Email" => text(&person.username),
            "Name" => text(&person.name),
            "FirstName" if !first.is_empty() => text(first),
            "LastName" => text(last),
            "Alias" => text(&last.chars().take(8).collect::<String>()),
            "IsActive" => Value::Boolean(person.is_active),
            "ProfileId" => text(&self.profile_ids[person.profile]),
            "UserType" => text("Standard"),
            "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(self.since),
            _ => field
                .strip_prefix("Profile.")
                .map_or(Value::Null, |field| self.profile_field(person.profile, field)),
        }
    }

    fn profile_field(&self, profile: usize, field: &str) -> Value<'static> {
        let (name, user_type) = PROFILES[profile];
        match field {
            "Id" => Value::Text(self.profile_ids[profile].clone().into()),
            "Name" => Value::Text(name.into()),
            "UserType" => Value::Text(user_type.into()),
            "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(self.since),
            _ => Value::Null,
        }
    }

    /// All rows of `User`.
    pub(crate) fn users(&self) -> Vec<TableRow> {
        let row = |person| USER.fields.iter().map(|field| self.user_field(person, field.name)).collect();
        self.all.iter().map(row).map(TableRow).collect()
    }

    /// All rows of `Profile`.
    pub(crate) fn profiles(&self) -> Vec<TableRow> {
        let row = |index| PROFILE.fields.iter().map(|field| self.profile_field(index, field.name)).collect();
        (0..PROFILES.len()).map(row).map(TableRow).collect()
    }
}

/// A row that is held: one value for each field of its object.
#[derive(Debug, Clone)]
pub(crate) struct TableRow(Vec<Value<'static>>);

impl TableRow {
    /// A row of texts.
    pub(crate) fn of_texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self(texts.into_iter().map(|text| Value::Text(text.into())).collect())
    }
}

impl Row for TableRow {
    fn value(&self, field: usize) -> Value<'_> {
        self.0[field].clone()
    }
}

/// The name of a user whose username is `anna.müller7@example.com`.
fn full_name(username: &str) -> String {
    let local = username.split('@').next().unwrap_or("").trim_end_matches(|c: char| c.is_ascii_digit());
    let capital = |part: &str| {
        let mut rest = part.chars();
        rest.next().map_or(String::new(), |first| first.to_uppercase().chain(rest).collect::<String>())
    };
    local.split('.').map(capital).collect::<Vec<_>>().join(" ")
}
