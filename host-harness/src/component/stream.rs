//! The stream of an instance that is followed. It goes on while somebody waits for its next element, and stands still otherwise: what
//! is between two elements is one call, with the limits of one.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wasmtime::component::{Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{Store, StoreContextMut};

use super::guest::Guest;
use crate::bindings::exports::pipeline::source::source as wit;

/// What a poll came to.
pub(super) type Element = Result<wit::Batch, wit::Failure>;

/// The stream of an instance that is followed.
#[derive(Debug)]
pub(super) struct Stream(Arc<Mutex<Slot>>);

/// Between the stream and who waits for its next element.
#[derive(Debug, Default)]
struct Slot {
    element: Option<Box<Element>>,
    /// Nothing comes any more.
    is_over: bool,
    /// Somebody waits for an element.
    is_wanted: bool,
    reader: Option<Waker>,
    stream: Option<Waker>,
}

impl Stream {
    pub(super) fn of(stream: StreamReader<Element>, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        let slot = Arc::default();
        stream.pipe(store, Consumer(Arc::clone(&slot)))?;
        Ok(Self(slot))
    }

    pub(super) async fn next(&self, store: &mut Store<Guest>) -> wasmtime::Result<Option<Element>> {
        let next = poll_fn(|context| {
            let mut slot = lock(&self.0);
            if let Some(element) = slot.element.take() {
                return Poll::Ready(Some(*element));
            }
            if slot.is_over {
                return Poll::Ready(None);
            }
            slot.is_wanted = true;
            slot.reader = Some(context.waker().clone());
            if let Some(stream) = slot.stream.take() {
                stream.wake();
            }
            Poll::Pending
        });
        store.run_concurrent(async |_| next.await).await
    }
}

struct Consumer(Arc<Mutex<Slot>>);

impl StreamConsumer<Guest> for Consumer {
    type Item = Element;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<Guest>,
        mut source: Source<'_, Element>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut slot = lock(&self.0);
        // One at a time: what was taken is to be asked for before the next one is.
        if !slot.is_wanted || slot.element.is_some() {
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            slot.stream = Some(context.waker().clone());
            return Poll::Pending;
        }
        let mut element = None;
        source.read(store, &mut element)?;
        if let Some(element) = element {
            slot.element = Some(Box::new(element));
            slot.is_wanted = false;
            if let Some(reader) = slot.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Consumer {
    /// The component has dropped its end, or is gone.
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.is_over = true;
        if let Some(reader) = slot.reader.take() {
            reader.wake();
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // Nothing that holds the lock panics half-way.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
