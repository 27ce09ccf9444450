//! Response bodies: whole, or streamed out of a thread that makes them.
//!
//! A streamed body comes through a channel of a few pieces. A client that reads slowly fills it and so stops the thread
//! that makes the rest: no file is ever held in memory, however long it is.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::event_log_file::CHUNK;
use crate::org::Org;
use crate::requests::Entry;

/// Pieces that wait between the thread and the connection.
pub(crate) const PIECES_IN_FLIGHT: usize = 4;

/// A piece of a streamed body. A channel that closes without `End` breaks the connection.
pub(crate) enum Piece {
    Data(Bytes),
    End,
    Break,
}

/// A body of either kind.
pub(crate) struct Body {
    source: Source,
    /// Where the bytes are counted.
    counted: Option<(Arc<Org>, Arc<Entry>)>,
}

enum Source {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Piece>),
    Breaking,
}

/// The connection is cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut")]
pub(crate) struct Cut;

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())), counted: None }
    }

    /// A body that `make` writes from a thread of its own.
    pub(crate) fn written(make: impl FnOnce(PieceWriter) + Send + 'static) -> Self {
        let (pieces, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        tokio::task::spawn_blocking(move || {
            make(PieceWriter { pieces, buffer: Vec::with_capacity(CHUNK + 4096) })
        });
        Self { source: Source::Stream(receiver), counted: None }
    }

    /// Counts what is sent of this body in the org's request log.
    pub(crate) fn counted(mut self, org: Arc<Org>, entry: Arc<Entry>) -> Self {
        if matches!(self.source, Source::Whole(None)) {
            org.requests().completed(&entry);
        }
        self.counted = Some((org, entry));
        self
    }

    fn sent(&self, bytes: &Bytes) {
        if let Some((org, entry)) = &self.counted {
            org.requests().sent(entry, bytes.len() as u64);
        }
    }

    fn completed(&self) {
        if let Some((org, entry)) = &self.counted {
            org.requests().completed(entry);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = match &mut self.source {
            Source::Whole(bytes) => {
                let Some(bytes) = bytes.take() else { return Poll::Ready(None) };
                self.sent(&bytes);
                self.completed();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Source::Breaking => return Poll::Ready(Some(Err(Cut))),
            Source::Stream(pieces) => match pieces.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece,
            },
        };
        match piece {
            Some(Piece::Data(bytes)) => {
                self.sent(&bytes);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Piece::End) => {
                self.completed();
                self.source = Source::Whole(None);
                Poll::Ready(None)
            }
            Some(Piece::Break) | None => {
                // Not at once: the connection flushes what it has while a body is pending.
                self.source = Source::Breaking;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Stream(_) | Source::Breaking => SizeHint::default(),
        }
    }
}

/// The writing end of a streamed body. Writing waits while the client is slow and fails once it has gone.
pub(crate) struct PieceWriter {
    pieces: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
}

impl PieceWriter {
    /// Ends the body as complete.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    /// Breaks the connection after what was written.
    pub(crate) fn break_off(&mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::Break)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK + 4096));
        self.send(Piece::Data(full.into()))
    }
}
