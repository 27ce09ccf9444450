//! A thread that owns what blocks.
//!
//! A write to a pipe whose reader stalls, or to a file server that hangs, may take for ever. On a thread of the executor it
//! would stop everything else, and on one of its blocking threads the end of the program would wait for it. So each such
//! output has a thread of its own, which nobody waits for at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use crate::output::OutputError;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

pub(crate) struct Worker<S> {
    jobs: mpsc::Sender<Job<S>>,
    state: Arc<Mutex<Option<S>>>,
}

impl<S: Send + 'static> Worker<S> {
    pub fn start(state: S) -> io::Result<Self> {
        // One job waits at most: a caller that gives up again and again must not fill the memory.
        let (jobs, mut queue) = mpsc::channel::<Job<S>>(1);
        let state = Arc::new(Mutex::new(Some(state)));
        let held = state.clone();
        thread::Builder::new().name("event-output".into()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                if let Some(state) = held.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    job(state);
                }
            }
            held.lock().unwrap_or_else(PoisonError::into_inner).take();
        })?;
        Ok(Self { jobs, state })
    }

    /// Runs the job there. Once begun it is done to its end, even if nobody waits any more; before, it is left out then.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, OutputError> {
        let gone = || OutputError::unavailable("the thread that writes is gone; start the program again");
        let (reply, answer) = oneshot::channel();
        let job = move |state: &mut S| {
            if !reply.is_closed() {
                let _ = reply.send(job(state));
            }
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

impl<S> Drop for Worker<S> {
    /// An idle one lets go at once, so that a file may be opened again; a busy one when it is done.
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.take();
        }
    }
}
