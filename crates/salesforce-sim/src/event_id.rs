//! The id of an event.
//!
//! The recipe, so that anyone can check a collector against it:
//!
//! > `event.id` is the lower-case hex of the first 16 bytes of BLAKE3 over, for every column whose decoded value is not
//! > empty, in ascending byte order of the column's name: the first 4 bytes of BLAKE3 over the name, the value's length in
//! > bytes as u32 little-endian, the value's bytes.
//!
//! It depends on nothing but the record, so the same record has the same id in the hourly and in the daily file, and
//! columns that a later API version inserts empty do not change it. This implementation shares no code with any collector.

use std::fmt;

use serde::{Serialize, Serializer};

/// The id of an event; prints as 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The id of a record given as columns with their decoded values, in any order.
pub fn event_id<'a>(columns: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> EventId {
    let mut columns: Vec<(&str, &[u8])> = columns.into_iter().collect();
    columns.sort_unstable_by_key(|(name, _)| *name);
    digest(columns.into_iter().map(|(name, value)| (tag(name), value)), &mut Vec::new())
}

/// What stands for a column's name.
pub(crate) fn tag(name: &str) -> [u8; 4] {
    let mut tag = [0; 4];
    tag.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..4]);
    tag
}

/// The digest of tagged columns that come in ascending order of their names.
pub(crate) fn digest<'a>(
    columns: impl IntoIterator<Item = ([u8; 4], &'a [u8])>,
    buffer: &mut Vec<u8>,
) -> EventId {
    buffer.clear();
    for (tag, value) in columns {
        if value.is_empty() {
            continue;
        }
        buffer.extend_from_slice(&tag);
        buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
        buffer.extend_from_slice(value);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(buffer).as_bytes()[..16]);
    EventId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_one_of_the_recipe() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&blake3::hash(b"A").as_bytes()[..4]);
        bytes.extend_from_slice(b"\x02\0\0\0xy");
        bytes.extend_from_slice(&blake3::hash(b"B_C").as_bytes()[..4]);
        bytes.extend_from_slice(b"\x01\0\0\0z");
        let expected: String = blake3::hash(&bytes).to_hex()[..32].to_owned();
        let columns: [(&str, &[u8]); 3] = [("B_C", b"z"), ("EMPTY", b""), ("A", b"xy")];
        assert_eq!(event_id(columns).to_string(), expected);
    }
}
