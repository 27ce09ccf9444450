//! Secrets: from where they lie to the component, and to nowhere else.
//!
//! In a configuration, any table with exactly one key `file` or `env` stands for a text that lies elsewhere. The host
//! puts the text in its place and hands the document to the component. [`Secret`] holds it on the way: it cannot be
//! printed, and it is wiped when it is dropped.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Component, Path};

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// The largest secret file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// A text that is not for printing. Wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Not for messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// Where secrets are looked up.
pub(crate) struct Vault<'a> {
    /// Paths of `file` are relative to this folder.
    pub(crate) base: &'a Path,
    pub(crate) env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Whether somebody else may have written the configuration: then nothing is looked for anywhere but below that folder.
    pub(crate) confined: bool,
    /// Reads a file, but no more than so many bytes of it.
    pub(crate) read: &'a dyn Fn(&Path, u64) -> io::Result<Vec<u8>>,
}

impl Vault<'_> {
    /// Turns a TOML table into the JSON document for the component, with all references resolved.
    ///
    /// Each problem is passed on with its path; then there is no document.
    pub(crate) fn document(
        &self,
        table: &toml::Table,
        path: &str,
        mut report: impl FnMut(String, String),
    ) -> Option<Secret> {
        let mut failed = false;
        let mut document = self.table(table, path, &mut |path, message| {
            failed = true;
            report(path, message);
        });
        // Writing a `Value` of finite numbers cannot fail.
        let text = serde_json::to_string(&document).ok().map(Secret::new);
        wipe(&mut document);
        if failed { None } else { text }
    }

    fn table(&self, table: &toml::Table, path: &str, report: &mut dyn FnMut(String, String)) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            object.insert(key.clone(), self.value(value, &join(path, key), report));
        }
        Value::Object(object)
    }

    fn value(&self, value: &toml::Value, path: &str, report: &mut dyn FnMut(String, String)) -> Value {
        match value {
            toml::Value::String(text) => Value::String(text.clone()),
            toml::Value::Integer(number) => Value::from(*number),
            toml::Value::Boolean(flag) => Value::Bool(*flag),
            // Dates and times of TOML are written as RFC 3339 has them.
            toml::Value::Datetime(time) => Value::String(time.to_string()),
            toml::Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
                || {
                    report(path.to_owned(), "a finite number is expected".into());
                    Value::Null
                },
                Value::Number,
            ),
            toml::Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.value(item, &format!("{path}[{index}]"), report))
                .collect(),
            toml::Value::Table(table) => match reference(table) {
                None => self.table(table, path, report),
                Some(reference) => match self.fetch(reference) {
                    Ok(text) => Value::String(text),
                    Err(message) => {
                        report(path.to_owned(), message);
                        Value::Null
                    }
                },
            },
        }
    }

    /// A text, or one that lies elsewhere.
    pub(crate) fn secret(&self, value: &toml::Value) -> Result<Secret, String> {
        match value {
            toml::Value::String(text) if !text.is_empty() => Ok(Secret::new(text.clone())),
            toml::Value::Table(table) => match reference(table) {
                Some(reference) => self.fetch(reference).map(Secret::new),
                None => Err(ELSEWHERE.to_owned()),
            },
            _ => Err(ELSEWHERE.to_owned()),
        }
    }

    fn fetch(&self, reference: Reference<'_>) -> Result<String, String> {
        match reference {
            Reference::Env(name) => {
                let value = (self.env)(name).ok_or_else(|| match is_variable(name) {
                    true => format!("the environment variable {name} is not set"),
                    false => format!("the environment variable that it names is not set{NOT_SHOWN}"),
                })?;
                let text = value
                    .into_string()
                    .map_err(|_| format!("the environment variable {name} is not UTF-8"))?;
                if text.is_empty() {
                    return Err(format!("the environment variable {name} is empty"));
                }
                Ok(text)
            }
            Reference::File(name) => {
                let file = self.base.join(name);
                if self.confined && !is_below(name) {
                    return Err(NOT_BELOW.to_owned());
                }
                let shown = file.display();
                let unreadable = |error: io::Error| match is_path(name) {
                    true => format!("cannot read the file {shown}: {error}"),
                    // The system's words alone: the error itself may name the file.
                    false => format!("cannot read the file that it names: {}{NOT_SHOWN}", error.kind()),
                };
                // What is no plain file tells no size, and may have no end.
                let mut bytes = (self.read)(&file, LARGEST_FILE + 1).map_err(unreadable)?;
                if bytes.len() as u64 > LARGEST_FILE {
                    bytes.zeroize();
                    return Err(format!("the file {shown} is larger than 1 MiB, so it is no secret"));
                }
                let mut text = String::from_utf8(bytes).map_err(|error| {
                    error.into_bytes().zeroize();
                    format!("the file {shown} is not text in UTF-8")
                })?;
                // Editors and `echo` end a file with a line break that is not part of a password.
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                if text.is_empty() {
                    return Err(format!("the file {shown} is empty"));
                }
                Ok(text)
            }
        }
    }
}

const ELSEWHERE: &str =
    "a text is expected, or one that lies elsewhere: { file = \"...\" } or { env = \"...\" }";

/// Whether a path leads to what lies below the folder that it begins in.
pub(crate) fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// What is said of one that does not.
pub(crate) const NOT_BELOW: &str = "it does not lie in the folder of secrets: a path without `..` is expected, which does not begin with `/`";

/// Why a name is missing in a message.
const NOT_SHOWN: &str = "; its name is not shown, since it may be the secret itself";

/// Whether a name is surely one of a variable. People write a secret in the place of the name of where it lies, and what
/// cannot be found there must not be repeated.
fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase());
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    // Keys and tokens may be in capitals and digits too, but are long and have no underscore.
    starts && name.len() <= 60 && name.bytes().all(fits) && (name.len() < 20 || name.contains('_'))
}

/// The same of a file: a path with an ending (`client-key.pem`), or one from a root without capitals (`/run/secrets/key`).
fn is_path(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-/\\:~ ".contains(&b);
    let ending = name.rsplit_once('.').is_some_and(|(_, ending)| {
        (2..=6).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_lowercase())
    });
    let rooted = name.starts_with(['/', '.', '~']) && !name.bytes().any(|b| b.is_ascii_uppercase());
    name.len() <= 200 && name.bytes().all(fits) && (ending || rooted)
}

enum Reference<'a> {
    File(&'a str),
    Env(&'a str),
}

fn reference(table: &toml::Table) -> Option<Reference<'_>> {
    if table.len() != 1 {
        return None;
    }
    let (key, value) = table.iter().next()?;
    match (key.as_str(), value.as_str()?) {
        ("file", name) => Some(Reference::File(name)),
        ("env", name) => Some(Reference::Env(name)),
        _ => None,
    }
}

/// `a.b`, or `a."b.c"` where the key is not a bare one.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(base: &Path, toml: &str) -> (Option<Secret>, Vec<String>) {
        let env = |name: &str| match name {
            "TOKEN" => Some(OsString::from("s3cret")),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        };
        let mut problems = Vec::new();
        let vault = Vault { base, env: &env, confined: false, read: &crate::config::read_file };
        let table: toml::Table = toml.parse().unwrap();
        let secret =
            vault.document(&table, "source", |path, message| problems.push(format!("{path}: {message}")));
        (secret, problems)
    }

    fn json(toml: &str) -> String {
        resolve(Path::new("."), toml).0.unwrap().expose().to_owned()
    }

    #[test]
    fn a_reference_to_the_environment_becomes_its_text() {
        assert_eq!(json(r#"a.b = { env = "TOKEN" }"#), r#"{"a":{"b":"s3cret"}}"#);
    }

    #[test]
    fn a_reference_to_a_file_is_relative_to_the_configuration_and_loses_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), "-----BEGIN\nabc\n-----END\r\n").unwrap();
        let (secret, problems) = resolve(folder.path(), r#"key = [{ file = "key.pem" }]"#);
        assert!(problems.is_empty());
        assert_eq!(secret.unwrap().expose(), r#"{"key":["-----BEGIN\nabc\n-----END"]}"#);
    }

    #[test]
    fn a_table_with_more_keys_is_no_reference() {
        assert_eq!(json(r#"a = { env = "TOKEN", x = 1 }"#), r#"{"a":{"env":"TOKEN","x":1}}"#);
        assert_eq!(json("a = { file = 1 }"), r#"{"a":{"file":1}}"#);
    }

    #[test]
    fn dates_become_text_and_numbers_stay_numbers() {
        assert_eq!(
            json("t = 2026-01-02T03:04:05Z\nn = 1\nf = 1.5"),
            r#"{"f":1.5,"n":1,"t":"2026-01-02T03:04:05Z"}"#
        );
    }

    #[test]
    fn every_secret_that_is_missing_is_named_with_its_path() {
        let toml = r#"
            a = { env = "NOT_SET" }
            b.c = { env = "EMPTY" }
            d = [1, { file = "no-such-file.txt" }]
            e = nan
        "#;
        let (secret, problems) = resolve(Path::new("/nowhere"), toml);
        assert!(secret.is_none());
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("source.a: the environment variable NOT_SET is not set"));
        assert!(problems[1].starts_with("source.b.c: the environment variable EMPTY is empty"));
        assert!(
            problems[2]
                .starts_with("source.d[1]: cannot read the file /nowhere/no-such-file.txt: No such file")
        );
        assert!(problems[3].starts_with("source.e: a finite number"));
    }

    #[test]
    fn a_secret_in_the_place_of_its_name_is_not_repeated() {
        let hex = "9F8E7D6C5B4A39281706F5E4D3C2B1A09F8E7D6C5B4A39281706F5E4D3C2B1A0";
        let upper = hex.replace(|c: char| c.is_ascii_digit(), "A");
        for secret in [
            "hunter2",
            "Correct-Horse",
            "correct horse battery",
            "1234567890123456789",
            "Ab9dEf7hIj5kLm3nOp1qRs2t",
            "c4n4ry_c4n4ry",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ==",
            "/9j4AAQSkZJRgABAQEAYABgAAD",
            hex,
            &upper,
        ] {
            for kind in ["file", "env"] {
                let written = toml::Value::from(secret);
                let (document, problems) = resolve(Path::new("."), &format!("a = {{ {kind} = {written} }}"));
                assert!(document.is_none());
                assert!(
                    problems[0].starts_with("source.a: ") && problems[0].contains("not shown"),
                    "{problems:?}"
                );
                assert!(!problems[0].contains(secret) && !problems[0].contains(&secret[..7]), "{problems:?}");
            }
        }
        for (kind, name) in [
            ("env", "LOGS_CLIENT_SECRET"),
            ("env", "PASSWORD"),
            ("file", "client-key.pem"),
            ("file", "./Keys/Client Key.pem"),
            ("file", "/run/secrets/logs"),
        ] {
            let (_, problems) = resolve(Path::new("/nowhere"), &format!("a = {{ {kind} = \"{name}\" }}"));
            assert!(problems[0].contains(name), "{problems:?}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("s3cret".into());
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("s3cret"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        let (_, problems) = resolve(Path::new("/"), "a = { file = \"dev/zero\" }");
        assert!(problems[0].contains("is larger than 1 MiB"), "{problems:?}");
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe, b'k']).unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("large"), vec![b'k'; (1 << 20) + 1]).unwrap();
        let (_, problems) = resolve(
            folder.path(),
            "a = { file = \"binary\" }\nb = { file = \"empty\" }\nc = { file = \"large\" }",
        );
        assert!(
            problems[0].contains("not text in UTF-8") && problems[1].contains("is empty"),
            "{problems:?}"
        );
        assert!(problems[2].contains("is larger than 1 MiB"), "{problems:?}");
    }
}
