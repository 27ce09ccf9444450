//! What one test logs, as text.
//!
//! Tests run on threads of one process, and tracing keeps for each place that logs whether anybody wants to hear of it. Where
//! one thread alone listens, and another is the first to come to such a place, tracing takes it that nobody ever does, and the
//! listener hears nothing. So there is somebody here who leaves that open on all threads.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest, set_default, set_global_default},
};
use tracing_subscriber::fmt::MakeWriter;

/// A log that is kept. Clones are the same one.
///
/// ```
/// let log = captured_log::Log::default();
/// let guard = log.listen(tracing::Level::INFO);
/// tracing::info!(rows = 3, "read");
/// drop(guard);
/// tracing::info!("not heard any more");
/// assert!(log.text().ends_with("read rows=3\n"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Keeps what is logged on this thread at this level and above, as lines for people, until the guard is dropped.
    pub fn listen(&self, level: tracing::Level) -> DefaultGuard {
        self.listen_as(
            tracing_subscriber::fmt()
                .with_max_level(level)
                .with_ansi(false)
                .with_writer(self.clone())
                .finish(),
        )
    }

    /// The same by a subscriber that writes to this log in a form of its own.
    pub fn listen_as(&self, subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
        LazyLock::force(&UNDECIDED);
        set_default(subscriber)
    }

    /// All that was logged.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

static UNDECIDED: LazyLock<()> = LazyLock::new(|| {
    // Where a test listens on all threads by itself, nothing is left to decide.
    let _ = set_global_default(Undecided);
});

/// Hears nothing, and rules nothing out.
struct Undecided;

impl Subscriber for Undecided {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::Log;
    use std::{sync::mpsc, thread};
    use tracing::Level;

    #[test]
    fn two_threads_that_listen_at_once_hear_themselves() {
        let (both, wait) = mpsc::channel::<()>();
        let other = thread::spawn(move || {
            let log = Log::default();
            let _guard = log.listen(Level::WARN);
            wait.recv().expect("the other listens");
            tracing::warn!("here");
            log.text()
        });
        let log = Log::default();
        let _guard = log.listen(Level::WARN);
        both.send(()).expect("a receiver");
        assert_eq!(other.join().expect("no panic").matches("here").count(), 1);
        assert_eq!(log.text(), "");
    }
}
