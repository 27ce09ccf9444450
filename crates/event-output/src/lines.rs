//! One event per line, to standard output or any other writer.

use std::io::{self, Write};

use crate::document;
use crate::output::{Check, Closing, Delivered, Delivery, Output, OutputError, OutputErrorKind};
use crate::worker::Worker;

/// Standard output, or any other writer: one event per line.
///
/// Events count as safe once the system took them: a pipe's reader may still lose them. Order is kept. What a write that
/// failed half-way left behind is not taken back.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use event_output::{Lines, Output};
///
/// let mut output = Lines::stdout()?;
/// let delivered = output.deliver(&[r#"{"event":{"id":"1"}}"#.to_owned()]).await.unwrap();
/// assert_eq!(delivered.events, 1);
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub struct Lines<W> {
    worker: Worker<W>,
    to: String,
}

impl Lines<io::Stdout> {
    /// To standard output.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn stdout() -> io::Result<Self> {
        Self::new(io::stdout(), "standard output")
    }
}

impl<W: Write + Send + 'static> Lines<W> {
    /// To a writer, named in messages as `to`. It may block: it gets a thread of its own.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn new(writer: W, to: impl Into<String>) -> io::Result<Self> {
        Ok(Self { worker: Worker::start(writer)?, to: to.into() })
    }

    async fn write(&self, text: Vec<u8>) -> Result<u64, OutputError> {
        let length = text.len() as u64;
        let written =
            self.worker.run(move |writer| writer.write_all(&text).and_then(|()| writer.flush())).await?;
        written.map(|()| length).map_err(|reason| {
            let kind = match reason.kind() {
                io::ErrorKind::BrokenPipe => OutputErrorKind::Closed,
                _ => OutputErrorKind::Unavailable,
            };
            OutputError::new(kind, format!("cannot write events to {}: {reason}", self.to))
        })
    }
}

impl<W> std::fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("to", &self.to).finish_non_exhaustive()
    }
}

impl<W: Write + Send + 'static> Output for Lines<W> {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(async move {
            let bytes_sent = self.write(document::lines(events)).await?;
            Ok(Delivered { events: events.len() as u64, requests: 1, bytes_sent, ..Delivered::default() })
        })
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(async move {
            self.write(Vec::new()).await?;
            Ok(format!("{}, one event per line", self.to))
        })
    }

    fn close<'a>(&'a mut self) -> Closing<'a> {
        Box::pin(async move { self.write(Vec::new()).await.map(drop) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Blocks until it is let go.
    struct Stalled(mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.recv().map(|()| text.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_told_apart_from_a_failure() {
        let error = Lines::new(Closed, "a pipe").unwrap().deliver(&["{}".into()]).await.unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Closed);
    }

    #[tokio::test]
    async fn lines_go_to_a_writer_with_a_line_break_each() {
        let kept = Kept::default();
        let mut output = Lines::new(kept.clone(), "memory").unwrap();
        let delivered = output.deliver(&["{}".into(), "{\"a\":\n1}".into()]).await.unwrap();
        assert_eq!(*kept.0.lock().unwrap(), b"{}\n{\"a\": 1}\n");
        assert_eq!((delivered.events, delivered.bytes_sent), (2, 12));
    }

    #[tokio::test]
    async fn a_reader_that_stalls_does_not_stop_the_executor() {
        let (go, stall) = mpsc::channel();
        let mut output = Lines::new(Stalled(stall), "a pipe").unwrap();
        let events = ["{}".to_owned()];
        let mut delivery = output.deliver(&events);
        // This thread is the executor's only one, and it goes on.
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(delivery.as_mut().poll(cx))).await.is_pending()
        );
        go.send(()).unwrap();
        assert_eq!(delivery.await.unwrap().events, 1);
    }
}
