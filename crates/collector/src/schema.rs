//! One description of the configuration, from which come the checks, the defaults and the JSON Schema.
//!
//! A document is walked once. Every problem is noted with its path, unknown keys with the nearest known one, so that
//! an operator mends a file in one go and not one error at a time.

pub mod texts;

use crate::{
    problem::{Kind, Problem},
    secret::is_blank,
};
use documents::time::Time;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// So many minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// So many days.
pub const fn days(n: u64) -> Duration {
    minutes(n * 24 * 60)
}

/// A key of a table.
pub struct Key {
    /// As written in the document.
    pub name: &'static str,
    /// What its value must be.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// What holds when it is not, as the document would say it.
    pub default: Option<&'static str>,
    /// What it is for. One sentence, for the schema.
    pub about: &'static str,
}

impl Key {
    /// A key that must be there.
    pub const fn required(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, required: true, default: None, about }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, required: false, default: None, about }
    }

    /// A key that has a value even when it is left out.
    pub const fn defaulted(
        name: &'static str,
        shape: Shape,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, shape, required: false, default: Some(default), about }
    }
}

/// What a value must be.
pub enum Shape {
    /// A text that passes a check, which answers what is wrong and what to do about it.
    Text(fn(&str) -> Result<(), Flaw>),
    /// A text that must not be shown, and that passes a check. The words of the check are written in the program, so that nothing
    /// of a secret can get into them.
    Secret(fn(&str) -> Result<(), SecretFlaw>),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds, both included.
    Count(u32, u32),
    /// A length of time within bounds, both included: `90s`, `1h30m`, `7d`, `500ms`.
    Span(Duration, Duration),
    /// An instant: `2026-01-02T03:04:05Z`, with any offset, or a day, which means its beginning in UTC.
    Instant,
    /// An amount of bytes within bounds, both included: `4MiB`, `64KiB`, `1000000`.
    Size(u64, u64),
    /// A part of a whole, above none of it: `"50%"`, `0.5`.
    Share,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table whose other keys depend on the word that one of them holds.
    Choice {
        /// The key that holds the word.
        tag: &'static Key,
        /// The words, each with the keys that go with it.
        variants: &'static [Variant],
    },
    /// Tables by name: some that are known, and others of the user's own. At least one, each with at least one table in it.
    Map {
        /// The known names.
        known: &'static [Key],
        /// The keys of a table with another name.
        other: &'static [Key],
        /// Which other names there may be.
        name: fn(&str) -> Result<(), Flaw>,
    },
    /// A list of texts that pass a check, at least one.
    Names {
        /// Answers what is wrong with one of them.
        check: fn(&str) -> Result<(), Flaw>,
        /// Whether `"*"` may stand in its place.
        all: bool,
    },
}

/// One of the forms of a [`Shape::Choice`].
pub struct Variant {
    /// The word.
    pub name: &'static str,
    /// The keys that go with it, the one that holds the word left out.
    pub keys: &'static [Key],
    /// What it is. One sentence, for the schema.
    pub about: &'static str,
}

/// What is wrong with a value, and what to do about it.
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The same of a secret: what is wrong with it, and what to do about it.
pub type SecretFlaw = (&'static str, &'static str);

impl Flaw {
    /// A flaw that explains itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// A flaw with advice.
    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// Notes everything in `table` that does not fit `keys`.
pub fn check(table: &Map<String, Value>, keys: &[Key], path: &str, problems: &mut Vec<Problem>) {
    for name in table.keys().filter(|name| !keys.iter().any(|key| key.name == **name)) {
        problems.push(unknown(name, &names(keys), path));
    }
    for key in keys {
        check_key(table, key, path, problems);
    }
}

fn check_key(table: &Map<String, Value>, key: &Key, path: &str, problems: &mut Vec<Problem>) {
    let path = join(path, key.name);
    match table.get(key.name) {
        Some(value) => check_value(value, key, &path, problems),
        None if key.required => problems
            .push(Problem::new(Kind::Config, format!("'{}' is missing", key.name)).hint(key.about).at(path)),
        None => {}
    }
}

/// Notes what does not fit the form that was chosen. Where none was, no key is missed, and all of any form are known.
fn check_choice(
    table: &Map<String, Value>,
    tag: &Key,
    variants: &[Variant],
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let chosen = variant(table, tag, variants);
    let known = |name: &str| {
        let of = chosen.map_or(variants, std::slice::from_ref);
        name == tag.name || of.iter().any(|variant| variant.keys.iter().any(|key| key.name == name))
    };
    for name in table.keys().filter(|name| !known(name)) {
        let owners = variants.iter().filter(|variant| variant.keys.iter().any(|key| key.name == name));
        let owners: Vec<&str> = owners.map(|variant| variant.name).collect();
        if let (Some(chosen), false) = (chosen, owners.is_empty()) {
            let message = format!("'{name}' has no meaning with {} = \"{}\"", tag.name, chosen.name);
            let hint = format!(
                "it belongs to {} = \"{}\"; leave it out, or change the {0}",
                tag.name,
                owners.join("\" or \"")
            );
            problems.push(Problem::new(Kind::Config, message).hint(hint).at(join(path, name)));
            continue;
        }
        let mut allowed = vec![tag.name];
        for key in chosen.map_or(variants, std::slice::from_ref).iter().flat_map(|variant| variant.keys) {
            if !allowed.contains(&key.name) {
                allowed.push(key.name);
            }
        }
        problems.push(unknown(name, &allowed, path));
    }
    check_key(table, tag, path, problems);
    for key in chosen.iter().flat_map(|variant| variant.keys) {
        check_key(table, key, path, problems);
    }
}

fn variant<'v>(table: &Map<String, Value>, tag: &Key, variants: &'v [Variant]) -> Option<&'v Variant> {
    let word = table.get(tag.name).and_then(Value::as_str)?;
    variants.iter().find(|variant| variant.name == word)
}

fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

fn check_value(value: &Value, key: &Key, path: &str, problems: &mut Vec<Problem>) {
    let flaw = match (&key.shape, value) {
        (Shape::Table(keys), Value::Object(table)) => return check(table, keys, path, problems),
        (Shape::Choice { tag, variants }, Value::Object(table)) => {
            return check_choice(table, tag, variants, path, problems);
        }
        (Shape::Map { known, other, name }, Value::Object(table)) => {
            for (entry, value) in table {
                let path = join(path, &documents::quoted(entry, 60));
                match (known.iter().find(|key| key.name == entry), value) {
                    (Some(key), _) => check_value(value, key, &path, problems),
                    (None, _) if name(entry).is_err() => {
                        let Err(flaw) = name(entry) else { continue };
                        let message = format!("'{}' {}", documents::quoted(entry, 60), flaw.message);
                        let problem = Problem::new(Kind::Config, message).at(path);
                        problems.push(problem.hint(flaw.hint.unwrap_or_default()));
                    }
                    (None, Value::Object(table)) => check(table, other, &path, problems),
                    (None, _) => {
                        problems
                            .push(Problem::new(Kind::Config, format!("'{entry}' must be a table")).at(path));
                    }
                }
            }
            return;
        }
        (Shape::Table(_) | Shape::Choice { .. } | Shape::Map { .. }, _) => Some(Flaw::new("must be a table")),
        (Shape::Names { all: true, .. }, Value::String(text)) if text == "*" => None,
        (Shape::Names { check, .. }, Value::Array(names)) if !names.is_empty() => {
            names.iter().find_map(|name| match name {
                Value::String(name) => check(name).err(),
                _ => Some(Flaw::new("must be a list of texts")),
            })
        }
        (Shape::Names { all, .. }, _) => {
            let all = if *all { ", or \"*\"" } else { "" };
            Some(Flaw::new(format!("must be a list of texts that is not empty{all}")))
        }
        (Shape::Text(check), Value::String(text)) => check(text).err(),
        (Shape::Secret(_), Value::String(text)) if text.trim_matches(is_blank).is_empty() => {
            Some(Flaw::with_hint("is empty", "the file or environment variable it comes from has no content"))
        }
        (Shape::Secret(check), Value::String(text)) => {
            check(text).err().map(|(message, hint)| Flaw::with_hint(message, hint))
        }
        (Shape::Text(_) | Shape::Secret(_), _) => Some(Flaw::new("must be a text")),
        (Shape::OneOf(words), Value::String(text)) if words.contains(&text.as_str()) => None,
        (Shape::OneOf(words), Value::String(text)) => {
            let nearest = nearest(text, words.iter().copied()).map(|word| format!("did you mean '{word}'?"));
            let shown = documents::quoted(text, 60);
            Some(Flaw { message: format!("must be {}, not '{shown}'", alternatives(words)), hint: nearest })
        }
        (Shape::OneOf(words), _) => Some(Flaw::new(format!("must be {}", alternatives(words)))),
        (Shape::Switch, Value::Bool(_)) => None,
        (Shape::Switch, _) => Some(Flaw::new("must be true or false")),
        (Shape::Count(least, most), _) => match value.as_u64() {
            Some(n) if (u64::from(*least)..=u64::from(*most)).contains(&n) => None,
            _ => Some(Flaw::new(format!("must be a whole number from {least} to {most}"))),
        },
        (Shape::Share, _) => match parse_share(value) {
            Some(_) => None,
            None => Some(Flaw::new("must be a share, above none of it, such as \"50%\" or 0.5")),
        },
        (Shape::Span(least, most), _) => match value.as_str().and_then(parse_span) {
            Some(span) if (*least..=*most).contains(&span) => None,
            _ => Some(Flaw::new(format!(
                "must be a length of time from {} to {}, such as \"90s\", \"5m\", \"1h30m\" or \"7d\"",
                write_span(*least),
                write_span(*most)
            ))),
        },
        (Shape::Instant, _) => match value.as_str().and_then(parse_instant) {
            Some(_) => None,
            None => Some(Flaw::with_hint(
                "must be a date and time",
                "write it as \"2026-01-02T03:04:05Z\", or with another offset, or a day as \"2026-01-02\"",
            )),
        },
        (Shape::Size(least, most), _) => match parse_size(value) {
            Some(size) if (*least..=*most).contains(&size) => None,
            _ => Some(Flaw::new(format!(
                "must be an amount of bytes from {} to {}, such as \"4MiB\" or 1000000",
                write_size(*least),
                write_size(*most)
            ))),
        },
    };
    if let Some(flaw) = flaw {
        let message = format!("'{}' {}", key.name, flaw.message);
        let problem = Problem::new(Kind::Config, message).at(path);
        problems.push(match flaw.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }
}

fn unknown(name: &str, names: &[&str], path: &str) -> Problem {
    let mut hint = format!("allowed here: {}", names.join(", "));
    if let Some(nearest) = nearest(name, names.iter().copied()) {
        hint = format!("did you mean '{nearest}'? {hint}");
    }
    let name = documents::quoted(name, 60);
    Problem::new(Kind::Config, format!("'{name}' is not a known key")).hint(hint).at(join(path, &name))
}

/// The JSON Schema of a table.
pub fn json_schema(keys: &[Key]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = written(r#"{"type":"object","additionalProperties":false}"#);
    schema["properties"] = Value::Object(properties);
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// That at least one of the tables in a table has to be there.
fn one_table_of(keys: &[Key]) -> Value {
    let tables = keys.iter().filter(|key| matches!(key.shape, Shape::Table(_)));
    let required = |key: &Key| {
        let mut schema = written(r#"{"required":[""]}"#);
        schema["required"][0] = json!(key.name);
        schema
    };
    tables.map(required).collect()
}

/// A part of a schema that is written out. `json!` would make ten times the code of it.
fn written(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or_default()
}

fn property(key: &Key) -> Value {
    let mut schema = match &key.shape {
        Shape::Text(_) => written(r#"{"type":"string"}"#),
        Shape::Secret(_) => written(r#"{"type":"string","writeOnly":true,"minLength":1}"#),
        Shape::OneOf(words) => {
            let mut schema = Value::Null;
            schema["enum"] = json!(words);
            schema
        }
        Shape::Switch => written(r#"{"type":"boolean"}"#),
        Shape::Count(least, most) => {
            written(&format!(r#"{{"type":"integer","minimum":{least},"maximum":{most}}}"#))
        }
        Shape::Span(..) => written(r#"{"type":"string","pattern":"^\\s*([0-9]+\\s*(ms|s|m|h|d|w)\\s*)+$"}"#),
        Shape::Instant => written(
            r#"{"type":"string","pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2}))?$"}"#,
        ),
        Shape::Size(least, most) => written(&format!(
            r#"{{"oneOf":[{{"type":"integer","minimum":{least},"maximum":{most}}},
                {{"type":"string","pattern":"^\\s*[0-9]+\\s*(B|KiB|MiB|GiB|KB|MB|GB)?\\s*$"}}]}}"#
        )),
        Shape::Share => written(
            r#"{"oneOf":[{"type":"string","pattern":"^\\s*[0-9]+\\s*%\\s*$"},
                {"type":"number","exclusiveMinimum":0,"maximum":1}]}"#,
        ),
        Shape::Table(keys) => json_schema(keys),
        Shape::Choice { tag, variants } => {
            let forms = variants.iter().map(|variant| {
                let mut form = json_schema(variant.keys);
                form["description"] = json!(variant.about);
                form["properties"][tag.name]["const"] = json!(variant.name);
                form["properties"][tag.name]["description"] = json!(tag.about);
                if !form["required"].is_array() {
                    form["required"] = Value::Array(Vec::new());
                }
                if let Value::Array(required) = &mut form["required"] {
                    required.insert(0, json!(tag.name));
                }
                form
            });
            let mut schema = written(r#"{"type":"object","required":[""]}"#);
            schema["oneOf"] = forms.collect();
            schema["required"][0] = json!(tag.name);
            schema
        }
        Shape::Map { known, other, .. } => {
            let mut schema = json_schema(known);
            schema["minProperties"] = json!(1);
            let first = known.iter().find_map(|key| match key.shape {
                Shape::Table(keys) => {
                    Some((key.name, keys.iter().find(|key| matches!(key.shape, Shape::Table(_)))?.name))
                }
                _ => None,
            });
            if let Some((name, table)) = first {
                schema["examples"] = written("[{}]");
                schema["examples"][0][name][table] = written("{}");
            }
            for key in *known {
                if let Shape::Table(keys) = key.shape {
                    schema["properties"][key.name]["anyOf"] = one_table_of(keys);
                }
            }
            schema["additionalProperties"] = json_schema(other);
            schema["additionalProperties"]["anyOf"] = one_table_of(other);
            schema
        }
        Shape::Names { all, .. } => {
            let list = r#"{"type":"array","minItems":1,"items":{"type":"string"}}"#;
            if *all { written(&format!(r#"{{"oneOf":[{list},{{"const":"*"}}]}}"#)) } else { written(list) }
        }
    };
    let bounds = match &key.shape {
        Shape::Span(least, most) => format!(" From {} to {}.", write_span(*least), write_span(*most)),
        Shape::Size(least, most) => format!(" From {} to {}.", write_size(*least), write_size(*most)),
        _ => String::new(),
    };
    schema["description"] = json!(format!("{}{bounds}", key.about));
    if let Some(default) = key.default {
        schema["default"] = match key.shape {
            Shape::Switch => json!(default == "true"),
            Shape::Count(..) => default.parse::<u32>().map_or(Value::Null, Value::from),
            _ => json!(default),
        };
    }
    schema
}

/// A checked table, to take values from. What is missing has its default; what was refused, something harmless.
#[derive(Clone, Copy)]
pub struct Checked<'a> {
    table: &'a Map<String, Value>,
    keys: &'static [Key],
}

impl<'a> Checked<'a> {
    /// A table that `check` has seen.
    pub fn new(table: &'a Map<String, Value>, keys: &'static [Key]) -> Self {
        Self { table, keys }
    }

    /// A text, or its default.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let default = || self.keys.iter().find(|key| key.name == name).and_then(|key| key.default);
        self.table.get(name).and_then(Value::as_str).or_else(default)
    }

    /// A length of time, or its default.
    pub fn span(&self, name: &str) -> Duration {
        self.text(name).and_then(parse_span).unwrap_or_default()
    }

    /// An instant.
    pub fn instant(&self, name: &str) -> Option<Time> {
        self.text(name).and_then(parse_instant)
    }

    /// An amount of bytes, or its default.
    pub fn size(&self, name: &str) -> u64 {
        let given = self.table.get(name).and_then(parse_size);
        given.or_else(|| self.text(name).and_then(parse_size_text)).unwrap_or_default()
    }

    /// A whole number, or its default.
    pub fn count(&self, name: &str) -> u32 {
        let given = self.table.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        given.or_else(|| self.text(name).and_then(|text| text.parse().ok())).unwrap_or_default()
    }

    /// A share in thousandths, or its default.
    pub fn share(&self, name: &str) -> u32 {
        let given = self.table.get(name).and_then(parse_share);
        given.or_else(|| self.text(name).and_then(parse_percent)).unwrap_or(1000)
    }

    /// `true` or `false`, or its default.
    pub fn switch(&self, name: &str) -> bool {
        let given = self.table.get(name).and_then(Value::as_bool);
        given.unwrap_or_else(|| self.text(name) == Some("true"))
    }

    /// Whether nothing, right or wrong, is given for a key.
    pub fn is_empty(&self, name: &str) -> bool {
        !self.table.contains_key(name)
    }

    /// The texts of a list.
    pub fn names(&self, name: &str) -> Vec<String> {
        let list = self.table.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The tables within, known or the user's own, each by its name.
    pub fn entries(&self, shape: &Shape) -> Vec<(&'a str, Self)> {
        let Shape::Map { known, other, .. } = shape else { return Vec::new() };
        let entry = |(name, value): (&'a String, &'a Value)| {
            let keys =
                known.iter().find(|key| key.name == name).map_or(Some(*other), |key| match key.shape {
                    Shape::Table(keys) => Some(keys),
                    _ => None,
                })?;
            Some((name.as_str(), Self { table: value.as_object()?, keys }))
        };
        self.table.iter().filter_map(entry).collect()
    }

    /// Whether there is nothing in the table, right or wrong.
    pub fn has_no_entry(&self) -> bool {
        self.table.is_empty()
    }

    /// A table within, if it is there.
    pub fn table(&self, name: &str) -> Option<Self> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        match (&key.shape, self.table.get(name)) {
            (Shape::Table(keys), Some(Value::Object(table))) => Some(Self { table, keys }),
            (Shape::Map { known, .. }, Some(Value::Object(table))) => Some(Self { table, keys: known }),
            (Shape::Choice { tag, variants }, Some(Value::Object(table))) => {
                Some(Self { table, keys: variant(table, tag, variants)?.keys })
            }
            _ => None,
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `'a', 'b' or 'c'`
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The known name that a mistyped one most likely meant: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.map(|known| (distance(name, known), known)).min()?;
    (best.0 <= best.1.len().div_ceil(3)).then_some(best.1)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let cost = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn parse_instant(text: &str) -> Option<Time> {
    Time::parse_day(text).or_else(|| Time::parse(text))
}

const SPANS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `1h30m`, `7d`, `500ms`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        let (_, factor) = SPANS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then(|| Duration::from_millis(total))
}

fn write_span(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let whole = SPANS.iter().skip(1).find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor));
    whole.map_or_else(|| format!("{millis}ms"), |(name, factor)| format!("{}{name}", millis / factor))
}

/// A share in thousandths.
fn parse_share(value: &Value) -> Option<u32> {
    if let Some(text) = value.as_str() {
        return parse_percent(text);
    }
    let share = value.as_f64().filter(|share| (0.001..=1.0).contains(share))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1000")]
    let thousandths = (share * 1000.0).round() as u32;
    Some(thousandths)
}

fn parse_percent(text: &str) -> Option<u32> {
    let percent = text.trim().strip_suffix('%')?.trim_end().parse::<u32>().ok()?;
    (1..=100).contains(&percent).then_some(percent * 10)
}

const SIZES: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
    ("", 1),
];

fn parse_size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(parse_size_text))
}

fn parse_size_text(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write_size(size: u64) -> String {
    let whole = SIZES[..3].iter().rev().find(|(_, factor)| size >= *factor && size.is_multiple_of(*factor));
    whole.map_or_else(|| format!("{size} bytes"), |(name, factor)| format!("{}{name}", size / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_the_units_people_write() {
        for (text, seconds) in
            [("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), (" 2 w ", 1_209_600)]
        {
            assert_eq!(parse_span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_span("500ms"), Some(Duration::from_millis(500)));
        for text in ["", "5", "h", "-1h", "1.5h", "5 minutes", "99999999999999999999d"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (value, bytes) in [
            (json!("4MiB"), 4 << 20),
            (json!("64 kib"), 64 << 10),
            (json!(1000), 1000),
            (json!("2MB"), 2_000_000),
        ] {
            assert_eq!(parse_size(&value), Some(bytes), "{value}");
        }
        for value in [json!("4MiBs"), json!(-1), json!(1.5), json!(null), json!("MiB")] {
            assert_eq!(parse_size(&value), None, "{value}");
        }
    }

    #[test]
    fn shares_are_read_as_percent_and_as_a_part_of_one() {
        for (value, thousandths) in [
            (json!("50%"), 500),
            (json!(" 5 % "), 50),
            (json!(0.5), 500),
            (json!(1), 1000),
            (json!("100%"), 1000),
        ] {
            assert_eq!(parse_share(&value), Some(thousandths), "{value}");
        }
        for value in
            [json!("0%"), json!("101%"), json!(0), json!(1.5), json!(-0.5), json!("0.5"), json!("half")]
        {
            assert_eq!(parse_share(&value), None, "{value}");
        }
    }

    #[test]
    fn the_nearest_key_is_named_only_when_it_is_near() {
        let known = ["interval", "log_file_interval", "overlap"];
        assert_eq!(nearest("intervall", known.into_iter()), Some("interval"));
        assert_eq!(nearest("overlp", known.into_iter()), Some("overlap"));
        assert_eq!(nearest("password", known.into_iter()), None);
    }
}
