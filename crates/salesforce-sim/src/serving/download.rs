//! The body of an event log file: `GET …/sobjects/EventLogFile/<Id>/LogFile`.
//!
//! REST guide, `dome_event_log_file_download`: files exceed 100 MB, clients are told to stream them and to ask for gzip.
//! There is no `Content-Length`; `LogFileLength` of the record is what a client can check a download against.

use std::io::{self, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::piece::{CutAt, CutEnd, Piece};
use crate::event_log_file::{CHUNK, Cursor, EventLogFile};
use crate::org::Org;
use crate::org::requests::Entry;

/// What faults do to a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyFaults {
    pub(crate) cut: Option<CutAt>,
    /// Where a byte of a gzip body comes out wrong.
    pub(crate) wrong_byte: Option<u64>,
    /// A text behind everything else.
    pub(crate) append: String,
    /// Bytes behind the end of a gzip body.
    pub(crate) behind_gzip: String,
}

/// The CSV of a file as it goes over the wire, made piece by piece while it is sent.
pub(crate) struct Download {
    org: Arc<Org>,
    entry: Arc<Entry>,
    cursor: Cursor,
    csv: Vec<u8>,
    coder: Coder,
    cut: CutAt,
    /// How far ahead a byte on the wire is that comes out wrong.
    wrong_byte: Option<u64>,
    append: String,
    behind_gzip: String,
    /// What comes behind the last byte, once that was sent.
    end: Option<CutEnd>,
}

enum Coder {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Finished,
}

impl Download {
    pub(crate) fn new(
        org: &Arc<Org>,
        entry: &Arc<Entry>,
        file: EventLogFile,
        gzip: bool,
        faults: BodyFaults,
    ) -> Self {
        let BodyFaults { cut, wrong_byte, append, behind_gzip } = faults;
        let coder = if gzip {
            Coder::Gzip(Box::new(GzEncoder::new(Vec::with_capacity(CHUNK), Compression::fast())))
        } else {
            Coder::Plain(Vec::new())
        };
        Self {
            cursor: org.catalogue.cursor(file),
            org: Arc::clone(org),
            entry: Arc::clone(entry),
            csv: Vec::with_capacity(CHUNK + 4096),
            coder,
            cut: cut.unwrap_or(CutAt { after: u64::MAX, end: CutEnd::Complete }),
            wrong_byte: wrong_byte.filter(|_| gzip),
            append,
            behind_gzip,
            end: None,
        }
    }

    /// The next piece of the body; what is not data is the last.
    pub(crate) fn next_piece(&mut self) -> Piece {
        loop {
            if let Some(end) = self.end {
                return end.piece();
            }
            // Writing to memory does not fail.
            let _ = self.advance();
            let ready = match &mut self.coder {
                Coder::Plain(bytes) => std::mem::take(bytes),
                Coder::Gzip(encoder) if self.end == Some(CutEnd::Complete) => {
                    let _ = encoder.try_finish();
                    std::mem::take(encoder.get_mut())
                }
                Coder::Gzip(encoder) if self.end.is_some() || encoder.get_ref().len() >= CHUNK / 4 => {
                    std::mem::take(encoder.get_mut())
                }
                Coder::Gzip(_) => continue,
                Coder::Finished => return Piece::End,
            };
            let mut ready = self.damaged(ready);
            if self.end.is_some() {
                let coder = std::mem::replace(&mut self.coder, Coder::Finished);
                if self.end == Some(CutEnd::Complete) && matches!(coder, Coder::Gzip(_)) {
                    ready.extend_from_slice(self.behind_gzip.as_bytes());
                }
            }
            if !ready.is_empty() {
                return Piece::Data(ready.into());
            }
        }
    }

    /// Makes some more of the CSV and codes it; sets `end` once there is no more to send.
    fn advance(&mut self) -> io::Result<()> {
        self.csv.clear();
        let mut more = self.org.catalogue.write_some(&mut self.cursor, &mut self.csv);
        if !more && !self.append.is_empty() {
            self.csv = std::mem::take(&mut self.append).into_bytes();
            more = true;
        }
        let kept = self.csv.len().min(usize::try_from(self.cut.after).unwrap_or(usize::MAX));
        let piece = &self.csv[..kept];
        self.cut.after -= kept as u64;
        self.entry.made(kept as u64);
        match &mut self.coder {
            Coder::Plain(bytes) => bytes.extend_from_slice(piece),
            Coder::Gzip(encoder) => encoder.write_all(piece)?,
            Coder::Finished => {}
        }
        if self.cut.after == 0 {
            self.end = Some(self.cut.end);
            // Everything up to here can be decoded. The trailer of gzip is sent only where the body looks complete.
            if let Coder::Gzip(encoder) = &mut self.coder {
                encoder.flush()?;
            }
        } else if !more {
            self.end = Some(CutEnd::Complete);
        }
        Ok(())
    }

    /// The same bytes, but for the one that is to come out wrong. A body too short to reach it is wrong at its end.
    fn damaged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len() as u64;
        match self.wrong_byte.take() {
            Some(at) if at < length => bytes[at as usize] ^= 0xff,
            Some(_) if self.end.is_some() => {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 0xff;
                }
            }
            at => self.wrong_byte = at.map(|at| at - length),
        }
        bytes
    }
}
