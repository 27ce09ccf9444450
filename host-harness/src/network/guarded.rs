//! Bodies that somebody watches while they pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

/// What a body brought: a piece, an error, its end, or nothing yet.
pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// Sees all that a body brings, and may put an error in its place.
pub(super) trait Guard: Unpin {
    fn pass(&mut self, polled: Polled, context: &mut Context<'_>) -> Polled;
}

/// How many bytes of a body there are in what it brought.
pub(super) fn length(polled: &Polled) -> u64 {
    match polled {
        Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, |data| data.len() as u64),
        _ => 0,
    }
}

/// A body with its guard.
pub(super) struct Guarded<B, G> {
    pub(super) inner: B,
    pub(super) guard: G,
}

impl<B, G> Body for Guarded<B, G>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
    G: Guard,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        self.guard.pass(polled, context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
