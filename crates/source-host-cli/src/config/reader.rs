//! Reads values of a configuration one by one, and collects mistakes instead of stopping at the first.

use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};

use super::lines::Lines;
use super::mistake::Mistake;
use crate::secrets::{NOT_BELOW, Secret, Vault, is_below, join};
use crate::units::{parse_size, parse_time};

pub(super) struct Reader<'a> {
    pub(super) vault: Vault<'a>,
    pub(super) lines: Lines,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    pub(super) fn note(&mut self, path: String, message: String) {
        let line = self.lines.line(&path);
        self.mistakes.push(Mistake { line, path, message });
    }

    pub(super) fn wrong<T>(&mut self, path: &str, message: &str) -> Option<T> {
        self.note(path.to_owned(), message.to_owned());
        None
    }

    pub(super) fn missing<T>(&mut self, path: &str, what: &str) -> Option<T> {
        self.note(path.to_owned(), format!("is missing; it gives {what}"));
        None
    }

    /// Refuses keys that are none of the allowed ones.
    pub(super) fn known(&mut self, table: &Table, path: &str, allowed: &[&str]) {
        for key in table.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let meant =
                nearest(key, allowed).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let allowed = allowed.join(", ");
            self.note(join(path, key), format!("unknown key{meant} (allowed here: {allowed})"));
        }
    }

    pub(super) fn table<'t>(&mut self, root: &'t Table, key: &str, allowed: &[&str]) -> Option<&'t Table> {
        match root.get(key)? {
            Value::Table(table) => {
                self.known(table, key, allowed);
                Some(table)
            }
            _ => self.wrong(key, &format!("a table is expected: [{key}]")),
        }
    }

    pub(super) fn text<'t>(&mut self, value: &'t Value, path: &str) -> Option<&'t str> {
        match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => self.wrong(path, "a text that is not empty is expected"),
        }
    }

    pub(super) fn path(&mut self, value: &Value, path: &str) -> Option<PathBuf> {
        let text = self.text(value, path)?;
        Some(self.vault.base.join(text))
    }

    /// The text of a key in the table `path`, if it is there.
    pub(super) fn text_of(&mut self, table: &Table, path: &str, key: &str) -> Option<String> {
        self.text(table.get(key)?, &join(path, key)).map(str::to_owned)
    }

    pub(super) fn path_of(&mut self, table: &Table, path: &str, key: &str) -> Option<PathBuf> {
        let at = join(path, key);
        let value = table.get(key)?;
        if self.vault.confined && value.as_str().is_some_and(|text| !is_below(text)) {
            return self.wrong(&at, NOT_BELOW);
        }
        self.path(value, &at)
    }

    /// Refuses one of two keys without the other; each with what it gives.
    pub(super) fn together(&mut self, table: &Table, path: &str, keys: [(&str, &str); 2]) {
        let [first, second] = keys;
        for ((key, _), (other, gives)) in [(first, second), (second, first)] {
            if table.contains_key(key) && !table.contains_key(other) {
                self.missing::<()>(&join(path, other), gives);
            }
        }
    }

    /// The files of `client_certificate` and `client_key`.
    pub(super) fn certificate_of(&mut self, table: &Table, path: &str) -> Option<(PathBuf, PathBuf)> {
        let keys = [
            ("client_certificate", "the certificate of the client key"),
            ("client_key", "the key of the client certificate"),
        ];
        self.together(table, path, keys);
        self.path_of(table, path, "client_certificate").zip(self.path_of(table, path, "client_key"))
    }

    pub(super) fn size_of(&mut self, table: &Table, path: &str, key: &str) -> Option<u64> {
        let text = self.text_of(table, path, key)?;
        parse_size(&text).map_err(|message| self.note(join(path, key), message)).ok()
    }

    pub(super) fn time_of(&mut self, table: &Table, path: &str, key: &str) -> Option<Duration> {
        let text = self.text_of(table, path, key)?;
        parse_time(&text).map_err(|message| self.note(join(path, key), message)).ok()
    }

    pub(super) fn count_of(&mut self, table: &Table, path: &str, key: &str) -> Option<usize> {
        match table.get(key)? {
            Value::Integer(count) if usize::try_from(*count).is_ok() => usize::try_from(*count).ok(),
            _ => self.wrong(&join(path, key), "a whole number is expected"),
        }
    }

    pub(super) fn flag_of(&mut self, table: &Table, path: &str, key: &str) -> Option<bool> {
        match table.get(key)? {
            Value::Boolean(flag) => Some(*flag),
            _ => self.wrong(&join(path, key), "true or false is expected"),
        }
    }

    /// One of several words.
    pub(super) fn choice_of<T: Copy>(
        &mut self,
        table: &Table,
        path: &str,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = table.get(key)?.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        self.wrong(&join(path, key), &format!("one of {} is expected", words.join(", ")))
    }

    /// A text, or one that lies elsewhere.
    pub(super) fn secret_of(&mut self, table: &Table, path: &str, key: &str) -> Option<Secret> {
        let path = join(path, key);
        match self.vault.secret(table.get(key)?) {
            Ok(secret) => Some(secret),
            Err(message) => self.wrong(&path, &message),
        }
    }

    /// A table of names and texts, which may lie elsewhere.
    pub(super) fn secrets_of(&mut self, table: &Table, path: &str, key: &str) -> Vec<(String, Secret)> {
        match table.get(key) {
            None => Vec::new(),
            Some(Value::Table(inner)) => {
                let path = join(path, key);
                let names = inner.keys();
                names.filter_map(|name| Some((name.clone(), self.secret_of(inner, &path, name)?))).collect()
            }
            Some(_) => {
                self.note(join(path, key), "a table of names and texts is expected".into());
                Vec::new()
            }
        }
    }
}

/// The position and the reason, but not the line itself: it may hold a password.
pub(super) fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("not TOML at line {line}, column {column}: {}", error.message())
}

/// The allowed key that a mistyped one was probably meant to be.
fn nearest<'a>(key: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let far = key.chars().count() / 3 + 1;
    allowed.iter().map(|a| (distance(key, a), *a)).filter(|(d, _)| *d <= far).min().map(|(_, a)| a)
}

/// Letters to add, drop or change to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_resembles_none_gets_no_suggestion() {
        assert_eq!(nearest("memmory", &["memory", "call_time"]), Some("memory"));
        assert_eq!(nearest("frobnicate", &["memory", "call_time"]), None);
    }
}
