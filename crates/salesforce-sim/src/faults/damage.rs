//! Records that come damaged: which ones, and what is wrong with them.
//!
//! What a text field holds is what users typed and what clients sent, cut at a length. So half a surrogate pair, a control
//! character that nobody escaped or a byte that is no UTF-8 reaches an answer now and then, and with it a page that a strict
//! reader calls no JSON at all. One record of a page is damaged here and its neighbours are sound; what the record holds
//! without the damage is known ([`crate::Org::damaged`]).

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::objects::stored::StoredObject;
use crate::soql::object::{self as soql, Object, Row};

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// A text ends with half a surrogate pair, `\ud83d`.
    LoneSurrogate,
    /// A text has the character U+0001 in its middle, as it is and not escaped.
    ControlCharacter,
    /// A text has the byte FF in its middle, which is never part of UTF-8.
    NotUtf8,
    /// The date that the object is read by is null.
    NullDate,
    /// The date that the object is read by is a text that is no date.
    UnreadableDate,
    /// There is no key: `EventIdentifier` of a big object, `Id` of another.
    MissingKey,
    /// The key is null.
    NullKey,
    /// Instead of the record comes this JSON: `null`, a number, a list.
    Record(String),
    /// Instead of the value of a field comes this text, which may be JSON or none.
    Value {
        /// The name of the field; a record without it is sound.
        field: String,
        /// What stands behind its colon.
        json: String,
    },
}

/// Records of an object that come damaged in every answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DamagedRecords {
    /// The object.
    pub object: StoredObject,
    /// Which of its records.
    pub which: Which,
    /// What is wrong with them.
    pub how: Damage,
    /// The field whose text is damaged; none is the first one that has a text, the key excepted. What says by itself
    /// which field it is about does not look at this.
    #[serde(default)]
    pub field: Option<String>,
}

/// Some records of an object. They are numbered from 0, hour by hour and within an hour nearly in the order of their dates,
/// those of a crowd last; a number is that of one record for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The last of every so many: with 5 the numbers 4, 9, 14. With 0 none, with 1 all.
    OneIn(u64),
    /// The one with this number.
    Number(u64),
}

impl Which {
    pub(crate) fn has(self, number: u64) -> bool {
        match self {
            Self::OneIn(0) => false,
            Self::OneIn(n) => number % n == n - 1,
            Self::Number(wanted) => number == wanted,
        }
    }
}

/// A damaged record, as it is and as it should have come.
#[derive(Debug, Clone, PartialEq)]
pub struct DamagedRecord {
    /// Its id in [`crate::Org::object_truth`].
    pub event_id: String,
    /// Whether the damage leaves a client what it needs to make that id.
    pub id_survives: bool,
    /// Its number, as [`Which`] counts.
    pub number: u64,
    /// When it happened.
    pub date: DateTime<Utc>,
    /// What is wrong with it.
    pub how: Damage,
    /// The field that is damaged where all fields are asked for; none where the whole record is.
    pub field: Option<String>,
    /// The record without the damage, as `FIELDS(STANDARD)` gives it.
    pub sound: Value,
}

/// Damage to one record, and to which of its fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strike<'a> {
    pub(crate) how: &'a Damage,
    /// Whose text is damaged, where that is not said by `how`.
    pub(crate) field: Option<&'a str>,
}

impl Damage {
    /// Whether it is done to a text that anyone may choose.
    pub(crate) fn is_of_a_text(&self) -> bool {
        matches!(self, Self::LoneSurrogate | Self::ControlCharacter | Self::NotUtf8)
    }

    /// Writes what becomes of a text: `json` is that text as it would stand in JSON, with its quotes.
    pub(crate) fn write_text(&self, json: &[u8], out: &mut Vec<u8>) {
        let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
        // Not within a character, nor within an escape.
        let middle = || {
            let plain = |at: &usize| !inner[..*at].contains(&b'\\') && inner[*at] & 0xc0 != 0x80;
            (0..=inner.len() / 2).rev().filter(|at| *at < inner.len()).find(plain).unwrap_or(0)
        };
        let (at, bytes): (usize, &[u8]) = match self {
            Self::LoneSurrogate => (inner.len(), b"\\ud83d"),
            Self::ControlCharacter => (middle(), b"\x01"),
            Self::NotUtf8 => (middle(), b"\xff"),
            _ => (inner.len(), b""),
        };
        out.push(b'"');
        out.extend_from_slice(&inner[..at]);
        out.extend_from_slice(bytes);
        out.extend_from_slice(&inner[at..]);
        out.push(b'"');
    }
}

/// The first of some fields with a text that is not the key.
pub(crate) fn first_text(row: &dyn Row, object: &Object, fields: &[usize], key: &str) -> Option<usize> {
    let is_text = |index: &usize| {
        let field = &object.fields[*index];
        field.is_text() && field.name != key && field.related().is_none()
    };
    fields.iter().copied().filter(is_text).find(|index| has_text(row, *index))
}

/// Whether a field has a text.
pub(crate) fn has_text(row: &dyn Row, index: usize) -> bool {
    matches!(row.value(index), soql::Value::Text(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_damaged_where_nothing_else_breaks() {
        let damaged = |how: Damage, json: &str| {
            let mut out = Vec::new();
            how.write_text(json.as_bytes(), &mut out);
            out
        };
        assert_eq!(damaged(Damage::LoneSurrogate, r#""abc""#), br#""abc\ud83d""#);
        assert_eq!(damaged(Damage::ControlCharacter, r#""abcd""#), b"\"ab\x01cd\"");
        assert_eq!(damaged(Damage::NotUtf8, r#""""#), b"\"\xff\"");
        // The middle of this one is within an escape, and of that one within a character.
        assert_eq!(damaged(Damage::NotUtf8, r#""a\u0041b""#), b"\"a\xff\\u0041b\"");
        assert_eq!(damaged(Damage::NotUtf8, "\"aü\""), b"\"a\xff\xc3\xbc\"");
    }

    #[test]
    fn one_in_so_many_is_the_last_of_them() {
        let of = |which: Which| (0..11).filter(|n| which.has(*n)).collect::<Vec<u64>>();
        assert_eq!(of(Which::OneIn(5)), [4, 9]);
        assert_eq!((of(Which::OneIn(0)), of(Which::Number(7))), (vec![], vec![7]));
        assert_eq!(of(Which::OneIn(1)).len(), 11);
    }
}
