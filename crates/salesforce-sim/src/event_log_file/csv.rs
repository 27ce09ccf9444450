//! The CSV of a file: made piece by piece, and measured.
//!
//! Nothing is kept of it but its length, so a file of any size costs no memory.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{MutexGuard, PoisonError};

use super::catalogue::Catalogue;
use super::file::{EventLogFile, PartKey};
use crate::rows::login::Row;

/// Bytes that [`Catalogue::write_some`] makes at a time, give or take a row.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Rows that one thread measures before it takes the next piece of work.
const MEASURED_AT_ONCE: u64 = 20_000;

/// How far the CSV of a file was made.
pub(crate) struct Cursor {
    file: EventLogFile,
    header: Vec<u8>,
    indices: Vec<usize>,
    /// Index of the part within the file, and of the row within the part.
    part: usize,
    index: u64,
    /// Rows until the header comes again.
    until_header: u64,
    /// What comes behind the last row.
    end: Vec<u8>,
    begun: bool,
    row: Row,
}

impl Catalogue {
    /// The beginning of a file.
    pub(crate) fn cursor(&self, file: EventLogFile) -> Cursor {
        let maker = &self.streams[file.stream].maker;
        Cursor {
            header: self.header(&file),
            indices: maker.indices(file.api_version),
            part: 0,
            index: 0,
            until_header: if self.repeated_header { file.rows.div_ceil(2) } else { u64::MAX },
            end: self.end(&file).map_or_else(Vec::new, |end| end.text.clone().into_bytes()),
            begun: false,
            row: Row::default(),
            file,
        }
    }

    /// Appends the next piece of the CSV to a buffer that is empty, and says whether there was any left.
    pub(crate) fn write_some(&self, cursor: &mut Cursor, out: &mut Vec<u8>) -> bool {
        if !cursor.begun {
            cursor.begun = true;
            out.extend_from_slice(&cursor.header);
        }
        while let Some(part) = cursor.file.parts.get(cursor.part) {
            let index = part.rows.start + cursor.index;
            if index >= part.rows.end {
                (cursor.part, cursor.index) = (cursor.part + 1, 0);
                continue;
            }
            if out.len() >= CHUNK {
                break;
            }
            self.fill_stream(cursor.file.stream, part.hour, index, &mut cursor.row);
            cursor.row.write_csv(&cursor.indices, out);
            cursor.index += 1;
            cursor.until_header -= 1;
            if cursor.until_header == 0 {
                out.extend_from_slice(&cursor.header);
                cursor.until_header = u64::MAX;
            }
        }
        if cursor.part == cursor.file.parts.len() {
            out.append(&mut cursor.end);
        }
        !out.is_empty()
    }

    /// `LogFileLength`: the exact bytes of the file's CSV, undecoded by any content coding.
    pub(crate) fn length(&self, file: &EventLogFile) -> u64 {
        self.measure(std::slice::from_ref(&file));
        let measured = self.measured();
        let rows: u64 = file.part_keys().filter_map(|key| measured.get(&key)).sum();
        let headers = if self.repeated_header && file.rows > 0 { 2 } else { 1 };
        let end = self.end(file).filter(|end| end.counted).map_or(0, |end| end.text.len() as u64);
        headers * self.header(file).len() as u64 + rows + end
    }

    fn measured(&self) -> MutexGuard<'_, HashMap<PartKey, u64>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the lengths of these files, each part once for good, on all processors.
    pub(crate) fn measure(&self, files: &[&EventLogFile]) {
        let unmeasured = || {
            let measured = self.measured();
            let all = files.iter().flat_map(|file| file.part_keys());
            all.filter(|key| !measured.contains_key(key)).collect::<HashSet<PartKey>>()
        };
        if unmeasured().is_empty() {
            return;
        }
        let _one_at_a_time = self.measuring.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<PartKey> = unmeasured().into_iter().collect();
        let pieces: Vec<(usize, Range<u64>)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(slot, &(_, _, first, end, _))| {
                let starts = (first..end).step_by(MEASURED_AT_ONCE as usize);
                starts.map(move |from| (slot, from..end.min(from + MEASURED_AT_ONCE)))
            })
            .collect();
        let totals: Vec<AtomicU64> = wanted.iter().map(|_| AtomicU64::new(0)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut row, mut buffer) = (Row::default(), Vec::with_capacity(2048));
            while let Some((slot, rows)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (stream, hour, _, _, version) = wanted[*slot];
                let indices = self.streams[stream].maker.indices(version);
                let mut bytes = 0;
                for index in rows.clone() {
                    self.fill_stream(stream, hour, index, &mut row);
                    buffer.clear();
                    row.write_csv(&indices, &mut buffer);
                    bytes += buffer.len() as u64;
                }
                totals[*slot].fetch_add(bytes, Ordering::Relaxed);
            }
        };
        // A thread costs more than a few rows.
        let rows: u64 = pieces.iter().map(|(_, rows)| rows.end - rows.start).sum();
        let worth = usize::try_from(rows / MEASURED_AT_ONCE).unwrap_or(usize::MAX).max(1);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(worth);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let totals = totals.into_iter().map(AtomicU64::into_inner);
        self.measured().extend(wanted.into_iter().zip(totals));
    }
}
