//! Response bodies: whole, or streamed out of a thread that makes them.
//!
//! A streamed body comes through a channel of a few pieces. A client that reads slowly fills it and so stops the thread
//! that makes the rest: no file is ever held in memory, however long it is.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, Sleep, sleep};

use super::download::Download;
use super::piece::{CutEnd, Piece};
use crate::event_log_file::CHUNK;
use crate::org::Org;
use crate::org::requests::Entry;

/// Pieces that wait between the thread and the connection.
pub(crate) const PIECES_IN_FLIGHT: usize = 4;

/// A body of either kind.
pub(crate) struct Body {
    source: Source,
    /// Where the bytes are counted.
    counted: Option<(Arc<Org>, Arc<Entry>)>,
    drip: Option<Drip>,
}

enum Source {
    /// With what comes behind it.
    Whole(Option<Bytes>, CutEnd),
    Stream(mpsc::Receiver<Piece>),
    Breaking,
    Stalled,
}

/// How a body drips.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) bytes: NonZeroUsize,
    /// From one drop to the next.
    pub(crate) millis: u64,
}

/// A body in drops.
struct Drip {
    pace: Pace,
    left: Bytes,
    next: Pin<Box<Sleep>>,
}

/// The connection is cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut")]
pub(crate) struct Cut;

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::cut(bytes, CutEnd::Complete)
    }

    /// A body of these bytes, and what comes behind them.
    pub(crate) fn cut(bytes: impl Into<Bytes>, end: CutEnd) -> Self {
        let bytes = Some(bytes.into()).filter(|bytes| !bytes.is_empty());
        Self { source: Source::Whole(bytes, end), counted: None, drip: None }
    }

    /// A file, made by a thread of its own.
    pub(crate) fn download(mut download: Download) -> Self {
        Self::sent_by(move |pieces| {
            loop {
                let piece = download.next_piece();
                let last = !matches!(piece, Piece::Data(_));
                // An error means that the client has gone; nobody is left to be told.
                if pieces.blocking_send(piece).is_err() || last {
                    break;
                }
            }
        })
    }

    /// A body that `make` writes from a thread of its own.
    pub(crate) fn written(make: impl FnOnce(PieceWriter) + Send + 'static) -> Self {
        Self::sent_by(move |pieces| make(PieceWriter { pieces, buffer: Vec::with_capacity(CHUNK + 4096) }))
    }

    fn sent_by(send: impl FnOnce(mpsc::Sender<Piece>) + Send + 'static) -> Self {
        let (pieces, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        tokio::task::spawn_blocking(move || send(pieces));
        Self { source: Source::Stream(receiver), counted: None, drip: None }
    }

    /// Counts what is sent of this body in the org's request log.
    pub(crate) fn counted(mut self, org: Arc<Org>, entry: Arc<Entry>) -> Self {
        if self.is_over() {
            org.requests().completed(&entry);
        }
        self.counted = Some((org, entry));
        self
    }

    /// The same body in drops.
    pub(crate) fn dripping(mut self, pace: Pace) -> Self {
        self.drip = Some(Drip { pace, left: Bytes::new(), next: Box::pin(sleep(Duration::ZERO)) });
        self
    }

    /// Whether nothing comes any more, and that is how it should be.
    fn is_over(&self) -> bool {
        matches!(self.source, Source::Whole(None, CutEnd::Complete))
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
        if self.drip.as_ref().is_some_and(|drip| drip.left.is_empty()) {
            match ready!(self.poll_bytes(cx)) {
                Some(Ok(bytes)) => {
                    if let Some(drip) = &mut self.drip {
                        drip.left = bytes;
                    }
                }
                end => return Poll::Ready(end.map(|error| error.map(Frame::data))),
            }
        }
        if let Some(drip) = &mut self.drip {
            ready!(drip.next.as_mut().poll(cx));
            drip.next.as_mut().reset(Instant::now() + Duration::from_millis(drip.pace.millis));
            let drop = drip.left.split_to(drip.pace.bytes.get().min(drip.left.len()));
            let last = drip.left.is_empty() && self.is_over();
            self.sent(&drop);
            if last {
                self.completed();
            }
            return Poll::Ready(Some(Ok(Frame::data(drop))));
        }
        let next = ready!(self.poll_bytes(cx));
        if let Some(Ok(bytes)) = &next {
            self.sent(bytes);
            if self.is_over() {
                self.completed();
            }
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over() && self.drip.as_ref().is_none_or(|drip| drip.left.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes, CutEnd::Complete) if self.drip.is_none() => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            _ => SizeHint::default(),
        }
    }
}

impl Body {
    /// The next bytes of the source.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let piece = match &mut self.source {
            Source::Whole(bytes, end) => match (bytes.take(), *end) {
                (Some(bytes), _) => Some(Piece::Data(bytes)),
                (None, CutEnd::Complete) => return Poll::Ready(None),
                (None, end) => Some(end.piece()),
            },
            Source::Breaking => return Poll::Ready(Some(Err(Cut))),
            Source::Stalled => return Poll::Pending,
            Source::Stream(pieces) => match pieces.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece,
            },
        };
        match piece {
            Some(Piece::Data(bytes)) => Poll::Ready(Some(Ok(bytes))),
            Some(Piece::Stall) => {
                self.source = Source::Stalled;
                Poll::Pending
            }
            Some(Piece::End) => {
                self.completed();
                self.source = Source::Whole(None, CutEnd::Complete);
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
