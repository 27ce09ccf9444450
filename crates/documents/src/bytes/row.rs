//! What the CSV reader and a record have in common: values by column.

use super::padded::Padded;
use std::borrow::Cow;

/// The values of a row or of a record, by column.
pub trait Row {
    /// The value of a column, empty where there is none.
    fn field(&self, index: usize) -> &[u8];

    /// The same, with what lies behind it in memory.
    fn padded(&self, index: usize) -> Padded<'_> {
        Padded::exact(self.field(index))
    }

    /// Whether all values are ASCII that a JSON text holds as it is.
    fn is_plain(&self) -> bool {
        false
    }

    /// Whether the value is JSON and no text: a number, `true` or `false`.
    fn is_bare(&self, _: usize) -> bool {
        false
    }

    /// The record, if it came as JSON: as it came, where that is JSON that any reader takes.
    fn json(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// What of it could not be read, in words.
    fn damages(&self) -> &[String] {
        &[]
    }
}
