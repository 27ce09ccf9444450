//! Ground truth: what a complete collection delivers.
//!
//! The id recipe, so that anyone can check a collector against it:
//!
//! > `event.id` is the lower-case hex of the first 16 bytes of BLAKE3 over, for every column whose decoded value is not
//! > empty, in ascending byte order of the column's name: the first 4 bytes of BLAKE3 over the name, the value's length in
//! > bytes as u32 little-endian, the value's bytes.
//!
//! It depends on nothing but the record, so the same record has the same id in the hourly and in the daily file, and
//! columns that a later API version inserts empty do not change it. A row that a late file repeats comes twice here, with
//! one id; a header that comes again is no row. This implementation shares no code with any collector.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::event_log_file::{Catalogue, EventLogFile};
use crate::login_rows::Row;

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

/// One event that a complete collection delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueEvent {
    /// The id by the recipe of this module.
    pub event_id: EventId,
    /// The id of the event log file it is in.
    #[serde(serialize_with = "text")]
    pub file: Arc<str>,
    /// Its place among the rows of the file, from 0; the header is not counted.
    pub row: u64,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The id of a record given as columns with their decoded values, in any order.
pub fn event_id<'a>(columns: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> EventId {
    let mut columns: Vec<(&str, &[u8])> = columns.into_iter().collect();
    columns.sort_unstable_by_key(|(name, _)| *name);
    digest(columns.into_iter().map(|(name, value)| (tag(name), value)), &mut Vec::new())
}

/// What stands for a column's name.
fn tag(name: &str) -> [u8; 4] {
    let mut tag = [0; 4];
    tag.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..4]);
    tag
}

/// The digest of tagged columns that come in ascending order of their names.
fn digest<'a>(columns: impl IntoIterator<Item = ([u8; 4], &'a [u8])>, buffer: &mut Vec<u8>) -> EventId {
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

/// The events of some files, row by row; made as they are asked for.
pub struct Truth<'a> {
    catalogue: &'a Catalogue,
    files: std::vec::IntoIter<&'a EventLogFile>,
    file: Option<Reading<'a>>,
    row: Row,
    buffer: Vec<u8>,
}

struct Reading<'a> {
    file: &'a EventLogFile,
    id: Arc<str>,
    /// Places and tags of its columns, in ascending order of their names.
    columns: Vec<(usize, [u8; 4])>,
    /// Place of the part within the file.
    part: usize,
    /// Row within the part, and within the file.
    index: u64,
    row: u64,
}

impl<'a> Truth<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, files: Vec<&'a EventLogFile>) -> Self {
        Self { catalogue, files: files.into_iter(), file: None, row: Row::default(), buffer: Vec::new() }
    }
}

impl Iterator for Truth<'_> {
    type Item = TrueEvent;

    fn next(&mut self) -> Option<TrueEvent> {
        loop {
            let reading = match &mut self.file {
                Some(reading) => reading,
                None => {
                    let file = self.files.next()?;
                    let columns = self.catalogue.columns(file).into_iter();
                    let mut columns: Vec<_> = columns.map(|(place, name, _)| (place, name)).collect();
                    columns.sort_unstable_by_key(|(_, name)| *name);
                    let columns = columns.into_iter().map(|(place, name)| (place, tag(name))).collect();
                    let id = file.id.as_str().into();
                    self.file.insert(Reading { file, id, columns, part: 0, index: 0, row: 0 })
                }
            };
            let Some(part) = reading.file.parts.get(reading.part) else {
                self.file = None;
                continue;
            };
            let index = part.rows.start + reading.index;
            if index == part.rows.end {
                reading.part += 1;
                reading.index = 0;
                continue;
            }
            self.catalogue.fill_row(reading.file, part.hour, index, &mut self.row);
            let columns = reading.columns.iter().map(|(place, tag)| (*tag, self.row.value(*place)));
            let event_id = digest(columns, &mut self.buffer);
            let event = TrueEvent { event_id, file: Arc::clone(&reading.id), row: reading.row };
            reading.index += 1;
            reading.row += 1;
            return Some(event);
        }
    }
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

    #[test]
    fn an_event_serializes_as_one_flat_object() {
        let event = TrueEvent { event_id: EventId([1; 16]), file: "0AT".into(), row: 3 };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"event_id":"01010101010101010101010101010101","file":"0AT","row":3}"#);
    }
}
