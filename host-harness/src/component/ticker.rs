//! Advances the epoch of the engines, by which a component that computes is interrupted: while any call is under way, and not
//! otherwise. A process whose sources all wait wakes no processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

use crate::error::Error;

/// How often a component that computes is interrupted, to give way to others and to be stopped when its time is up.
const TICK: Duration = Duration::from_millis(5);

/// The thread that does it, which ends with the last of its owners.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    is_over: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engines: Vec<Engine>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let started = thread::Builder::new().name("source-host-epoch".into()).spawn(move || {
            while !seen.is_over.load(Ordering::Acquire) {
                if seen.calls.load(Ordering::Acquire) == 0 {
                    // Whoever begins or ends all wakes it; what wakes it otherwise does no harm.
                    thread::park();
                } else {
                    engines.iter().for_each(Engine::increment_epoch);
                    thread::sleep(TICK);
                }
            }
        });
        let started = started.map_err(|error| Error::Setup(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared, thread: started.thread().clone() })
    }

    /// A call is under way until what is returned is dropped.
    pub(crate) fn call(self: &Arc<Self>) -> Ticking {
        if self.shared.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Ticking(Arc::clone(self))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A call that is under way.
pub(crate) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::AcqRel);
    }
}
