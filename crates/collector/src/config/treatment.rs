//! What leaves of a stream and what does not: the keys, and what is wrong with them.

use crate::{
    problem::{Kind, Problem},
    schema::{Checked, Flaw, Key, SecretFlaw, Shape, nearest},
    secret::is_blank,
};
use documents::{Mapper, quoted};
use redaction::{Condition, Pattern, Redaction, Term, Treatment};

/// The shortest key of hashes, in bytes: as many as half a digest has (RFC 2104 advises against fewer).
const LEAST_KEY: usize = 16;
const KEY_HINT: &str =
    "use at least 16 characters that nobody can guess, such as those of: openssl rand -hex 32";

pub const HASH_FIELDS: Key = Key::optional(
    "hash_fields",
    Shape::Names { check: field_pattern, all: false },
    "Fields to replace by HMAC-SHA-256 with hash_key, by their names in Salesforce; * stands for any characters.",
);
pub const MASK_FIELDS: Key = Key::optional(
    "mask_fields",
    Shape::Names { check: field_pattern, all: false },
    "Fields to mask: of an address its network is left (/24, /48), of e-mail addresses and URLs the domain, of all else nothing.",
);
pub const DROP_FIELDS: Key =
    Key::optional("drop_fields", Shape::Names { check: field_pattern, all: false }, "Fields to leave out.");
pub const DROP_EVENTS: Key = Key::optional(
    "drop_events",
    Shape::Names { check: condition, all: false },
    "Events to leave out, such as \"USER_TYPE = Automated*\" or \"URI = /services/* and STATUS_CODE != 5*\".",
);
pub const SAMPLE: Key = Key::optional(
    "sample",
    Shape::Count(1, 1_000_000),
    "Of how many events one is kept. It tells so (sample_weight).",
);
pub const DAILY_BYTES: Key = Key::optional(
    "daily_bytes",
    Shape::Size(1 << 10, 1 << 50),
    "Bytes of events after which the stream waits until the next day in UTC. Nothing is dropped.",
);
/// Beside the streams.
pub const HASH_KEY: Key = Key::optional("hash_key", Shape::Secret(hash_key), "The key of hash_fields.");

/// A key without what shows nothing: a file ends with a line break.
fn bare(key: &str) -> &str {
    key.trim_matches(is_blank)
}

fn hash_key(text: &str) -> Result<(), SecretFlaw> {
    if bare(text).len() >= LEAST_KEY { Ok(()) } else { Err(("is too short for a key", KEY_HINT)) }
}

/// Names of fields in Salesforce, those of related records included, and asterisks.
fn field_pattern(name: &str) -> Result<(), Flaw> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.*".contains(&byte);
    if !name.is_empty() && name.len() <= 120 && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Flaw::with_hint(
        format!("holds '{}', which is no name of a field", quoted(name, 60)),
        "letters, digits, underscores, dots, and * for any of them: \"USER_*\"",
    ))
}

fn condition(text: &str) -> Result<(), Flaw> {
    read_condition(text).map(drop)
}

/// `FIELD = PATTERN`, `FIELD != PATTERN`, several of them joined with `and`.
fn read_condition(text: &str) -> Result<Condition, Flaw> {
    let term = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let (name, differs) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        let name = name.trim();
        let is_name = field_pattern(name).is_ok() && !name.contains('*');
        is_name.then(|| Term { column: name.to_owned(), value: Pattern::new(value.trim()), differs })
    };
    let terms: Option<Vec<Term>> = text.split(" and ").map(term).collect();
    terms.map(Condition).ok_or_else(|| {
        Flaw::with_hint(
            format!("holds '{}', which is no condition", quoted(text, 60)),
            "write FIELD = PATTERN or FIELD != PATTERN, and join several with and: \"USER_TYPE = Guest and STATUS_CODE = 2*\"",
        )
    })
}

/// What becomes of the rows of a stream.
pub fn read(stream: Checked<'_>, hash_key: Option<&str>) -> Treatment {
    let mut treatment = Treatment { sample: stream.count("sample"), ..Treatment::default() };
    for (key, redaction) in
        [("mask_fields", Redaction::Mask), ("hash_fields", Redaction::Hash), ("drop_fields", Redaction::Drop)]
    {
        let names = stream.names(key);
        treatment.redactions.extend(names.iter().map(|name| (Pattern::new(name), redaction)));
    }
    let conditions = stream.names("drop_events");
    treatment.exclude.extend(conditions.iter().filter_map(|text| read_condition(text).ok()));
    if !stream.is_empty("hash_fields") {
        treatment.key = hash_key.and_then(|key| Treatment::key(bare(key).as_bytes()));
    }
    treatment
}

/// That hashes need a key.
pub fn missing_key(name: &str, stream: Checked<'_>, hash_key: Option<&str>) -> Option<Problem> {
    (!stream.is_empty("hash_fields") && hash_key.is_none()).then(|| {
        Problem::new(Kind::Config, "'hash_key' is missing: whoever can guess a value can hash it as well")
            .at(format!("streams.{name}.hash_fields"))
            .hint(KEY_HINT)
    })
}

/// Names in a treatment that rows do not have, such as those of `Login files`: a field that was to be redacted leaves as it is.
/// Where rows of other types may have them, one is doubted only if it is nearly that of a column.
pub fn unknown_names(mapper: &Mapper, rows: &str, only: bool) -> Vec<Problem> {
    let unknown = mapper.unknown().iter();
    let problem = |name: &String| {
        // A related record that is not there has no fields.
        let (related, _) = name.split_once('.').unwrap_or((name, ""));
        if related != name && mapper.names().any(|column| column.eq_ignore_ascii_case(related)) {
            return None;
        }
        let near = mapper.names().find(|column| {
            let column = column.to_ascii_lowercase();
            nearest(name, std::iter::once(column.as_str())).is_some()
        });
        if near.is_none() && !only {
            return None;
        }
        let message = format!("{rows} have no field '{}', which the configuration names", quoted(name, 60));
        let hint = match near {
            Some(near) => format!("did you mean '{near}'? Until then nothing becomes of it"),
            None => String::from("nothing becomes of it; * stands for any characters"),
        };
        Some(Problem::new(Kind::Config, message).hint(hint))
    };
    unknown.filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_people_write_them() {
        let read = |text: &str| {
            read_condition(text).map(|Condition(terms)| {
                let term = |term: Term| (term.column, term.value, term.differs);
                terms.into_iter().map(term).collect::<Vec<_>>()
            })
        };
        let term = |column: &str, value: &str, differs| (column.to_owned(), Pattern::new(value), differs);
        assert_eq!(read("USER_TYPE=Guest").ok(), Some(vec![term("USER_TYPE", "Guest", false)]));
        assert_eq!(
            read("URI = /a?b=c and CreatedBy.Name != ").ok(),
            Some(vec![term("URI", "/a?b=c", false), term("CreatedBy.Name", "", true)])
        );
        for text in ["", "USER_TYPE", "USER_* = x", "A = b and C", "= x", "A B = c", "A = b and and C = d"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
