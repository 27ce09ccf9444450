//! A thread that owns what blocks.
//!
//! A write to a pipe whose reader stalls, or to a file server that hangs, may take for ever. On a thread of the executor it
//! would stop everything else, and on one of its blocking threads the end of the program would wait for it. So each such
//! output has a thread of its own, which nobody waits for at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use crate::output::OutputError;

/// Works on the state, and returns what tells the result. That is called once the state is let go: whoever has the result
/// may drop the worker, and finds the state free.
type Job<S> = Box<dyn FnOnce(&mut S) -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

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
                let tell = held.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(job);
                if let Some(tell) = tell {
                    tell();
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
        let job = move |state: &mut S| -> Tell {
            if reply.is_closed() {
                return Box::new(|| ());
            }
            let result = job(state);
            Box::new(move || drop(reply.send(result)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_a_result_finds_the_state_free_after_the_drop() {
        for _ in 0..2000 {
            let state = Arc::new(());
            let worker = Worker::start(state.clone()).unwrap();
            worker.run(|_| ()).await.unwrap();
            drop(worker);
            assert_eq!(Arc::strong_count(&state), 1);
        }
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_left_out_before_it_begins() {
        let (go, stall) = std::sync::mpsc::channel::<()>();
        let (tell, begun) = std::sync::mpsc::channel();
        let worker = Worker::start(Vec::new()).unwrap();
        let mut first = Box::pin(worker.run(move |list: &mut Vec<u32>| {
            tell.send(()).unwrap();
            stall.recv().unwrap();
            list.push(1);
        }));
        let mut second = Box::pin(worker.run(|list| list.push(2)));
        std::future::poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            begun.recv().unwrap();
            assert!(second.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(second);
        go.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(worker.run(|list| list.clone()).await.unwrap(), [1]);
    }
}
