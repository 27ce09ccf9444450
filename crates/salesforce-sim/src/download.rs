//! The body of an event log file: `GET …/sobjects/EventLogFile/<Id>/LogFile`.
//!
//! REST guide, `dome_event_log_file_download`: files exceed 100 MB, clients are told to stream them and to ask for gzip.
//! There is no `Content-Length`; `LogFileLength` of the record is what a client can check a download against.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::body::{Body, Piece, PieceWriter};
use crate::event_log_file::EventLogFile;
use crate::org::Org;
use crate::requests::Entry;

/// How a body ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutAt {
    /// Decoded bytes that are still sent.
    pub(crate) after: u64,
    pub(crate) end: CutEnd,
}

/// What is behind the last byte of a body that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutEnd {
    /// The body looks complete.
    Complete,
    /// The connection breaks.
    Breaks,
    /// Nothing, and the connection stays open.
    Stalls,
}

/// The CSV of a file, made while it is sent.
pub(crate) fn body(
    org: &Arc<Org>,
    entry: &Arc<Entry>,
    file: EventLogFile,
    gzip: bool,
    cut: Option<CutAt>,
    wrong_byte: Option<u64>,
) -> Body {
    let wrong_byte = wrong_byte.filter(|_| gzip);
    let (source, counter) = (Arc::clone(org), Arc::clone(entry));
    Body::written(move |mut writer| {
        writer.corrupt(wrong_byte);
        // An error means that the client has gone; nobody is left to be told.
        let _ = write(&source, &counter, &file, gzip, cut, writer);
    })
}

fn write(
    org: &Org,
    entry: &Entry,
    file: &EventLogFile,
    gzip: bool,
    cut: Option<CutAt>,
    writer: PieceWriter,
) -> io::Result<()> {
    let mut coder =
        if gzip { Coder::Gzip(GzEncoder::new(writer, Compression::fast())) } else { Coder::Plain(writer) };
    let mut left = cut.map_or(u64::MAX, |cut| cut.after);
    let mut outcome = Ok(());
    let flow = org.catalogue.generate(file, |piece| {
        let piece = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        left -= piece.len() as u64;
        entry.made(piece.len() as u64);
        outcome = coder.write_all(piece);
        if outcome.is_err() || left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    outcome?;
    match cut {
        Some(CutAt { end: CutEnd::Breaks, .. }) if flow.is_break() => coder.leave(Piece::Break),
        Some(CutAt { end: CutEnd::Stalls, .. }) if flow.is_break() => coder.leave(Piece::Stall),
        _ => coder.finish(),
    }
}

enum Coder {
    Plain(PieceWriter),
    Gzip(GzEncoder<PieceWriter>),
}

impl Coder {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.finish(),
            Self::Gzip(encoder) => encoder.finish()?.finish(),
        }
    }

    /// Everything written so far can be decoded, then the body is left as `last` says. The trailer of gzip is not sent.
    fn leave(self, last: Piece) -> io::Result<()> {
        match self {
            Self::Plain(mut writer) => writer.leave(last),
            Self::Gzip(mut encoder) => {
                encoder.flush()?;
                encoder.get_mut().leave(last)
            }
        }
    }
}
