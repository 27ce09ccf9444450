//! Ground truth: what a complete collection of files delivers.
//!
//! A row that a late file repeats comes twice here, with one id; a header that comes again is no row.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::catalogue::Catalogue;
use super::file::EventLogFile;
use crate::event_id::{EventId, digest, tag};
use crate::rows::login::Row;

/// One event that a complete collection delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueEvent {
    /// The id by the recipe of [`event_id`](crate::event_id()).
    pub event_id: EventId,
    /// The id of the event log file it is in.
    #[serde(serialize_with = "text")]
    pub file: Arc<str>,
    /// Its index among the rows of the file, from 0; the header is not counted.
    pub row: u64,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
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
    /// Indices and tags of its columns, in ascending order of their names.
    columns: Vec<(usize, [u8; 4])>,
    /// Index of the part within the file.
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
                    let mut columns: Vec<_> = columns.map(|(index, name, _)| (index, name)).collect();
                    columns.sort_unstable_by_key(|(_, name)| *name);
                    let columns = columns.into_iter().map(|(index, name)| (index, tag(name))).collect();
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
            let columns = reading.columns.iter().map(|(index, tag)| (*tag, self.row.value(*index)));
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
    fn an_event_serializes_as_one_flat_object() {
        let event = TrueEvent { event_id: EventId([1; 16]), file: "0AT".into(), row: 3 };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"event_id":"01010101010101010101010101010101","file":"0AT","row":3}"#);
    }
}
