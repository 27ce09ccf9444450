//! Where a key stands in a file.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::secrets::join;

/// The lines of a file's keys.
#[derive(Debug, Default)]
pub(crate) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Those of a text that is TOML; of one that is none, none.
    pub(crate) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            lines.table(text, "", table.get_ref());
        }
        lines
    }

    fn table(&mut self, text: &str, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.note(text, &path, key.span().start);
            self.value(text, &path, value.get_ref());
        }
    }

    fn value(&mut self, text: &str, path: &str, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.table(text, path, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.note(text, &path, item.span().start);
                    self.value(text, &path, item.get_ref());
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str, path: &str, at: usize) {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        self.0.insert(path.to_owned(), line);
    }

    /// The line of a key; of one that is missing, that of the table it belongs into.
    pub(crate) fn line(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_may_stand_and_a_missing_one_by_its_table() {
        let lines = Lines::of(
            "a = 1\n\n[b]\nc.d = 2\ne = { f = 3 }\n\"g h\" = [\n  4,\n  5,\n]\n[[k]]\nl = 1\n[[k]]\nl = 2\n",
        );
        for (path, line) in [
            ("a", Some(1)),
            ("b", Some(3)),
            ("b.c.d", Some(4)),
            ("b.e.f", Some(5)),
            ("b.\"g h\"[1]", Some(8)),
            ("k[1].l", Some(13)),
            ("b.missing", Some(3)),
            ("b.e.missing.too", Some(5)),
            ("missing", None),
        ] {
            assert_eq!(lines.line(path), line, "{path}");
        }
    }
}
