//! The loop around one pipeline, until it has caught up or is stopped.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ending::{End, Finished, RunError};
use super::pipeline::{Next, Pipeline};
use super::pollable::Pollable;
use super::report::Progress;

/// Asks a runner to stop after the batch it is at.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Asks a runner to open its output again: what lies under its name may be another file by now.
#[derive(Clone, Debug)]
pub struct Reopener(watch::Sender<()>);

impl Reopener {
    /// Asks.
    pub fn reopen(&self) {
        self.0.send_replace(());
    }
}

type Shown = Box<dyn FnMut(Progress<'_>) + Send>;

/// Drives one pipeline.
pub struct Runner<P> {
    pipeline: Pipeline<P>,
    stopped: watch::Receiver<bool>,
    stopper: Stopper,
    reopened: watch::Receiver<()>,
    reopener: Reopener,
    shown: Option<Shown>,
}

impl<P> std::fmt::Debug for Runner<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl<P: Pollable> Runner<P> {
    /// A runner of this pipeline.
    pub fn new(pipeline: Pipeline<P>) -> Self {
        let (sender, stopped) = watch::channel(false);
        let (reopener, reopened) = watch::channel(());
        Self {
            pipeline,
            stopped,
            stopper: Stopper(sender),
            reopened,
            reopener: Reopener(reopener),
            shown: None,
        }
    }

    /// Has a function called after each step.
    #[must_use]
    pub fn show(mut self, shown: impl FnMut(Progress<'_>) + Send + 'static) -> Self {
        self.shown = Some(Box::new(shown));
        self
    }

    /// What stops this runner, from anywhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What has this runner open its output again, from anywhere: at once, or after the batch under way.
    pub fn reopener(&self) -> Reopener {
        self.reopener.clone()
    }

    /// Runs to the end.
    pub async fn run(mut self) -> Finished {
        let started = Instant::now();
        let end = self.drive().await;
        // What it held is let go of; that this fails changes nothing any more.
        let _ = self.pipeline.output().close().await;
        let mut report = self.pipeline.report().clone();
        report.seconds = started.elapsed().as_secs_f64();
        Finished { report, end }
    }

    async fn drive(&mut self) -> Result<End, RunError> {
        loop {
            // A batch that waits for its output does not hold up the end: it comes again.
            if *self.stopped.borrow() {
                return Ok(End::Stopped);
            }
            // Fails only if all senders are gone, and one of them is ours.
            if self.reopened.has_changed().unwrap_or_default() {
                self.reopened.mark_unchanged();
                self.pipeline.output().reopen();
            }
            let next = self.pipeline.step().await?;
            let wait = match next {
                Next::Wait(wait) => Some(wait),
                Next::Again | Next::End(_) => None,
            };
            if let Some(shown) = &mut self.shown {
                shown(self.pipeline.progress(wait));
            }
            match next {
                Next::Again => {}
                Next::End(end) => return Ok(end),
                Next::Wait(wait) => self.pause(wait).await,
            }
        }
    }

    async fn pause(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            // The receivers fail only if all senders are gone, and one of each is ours.
            tokio::select! {
                () = sleep_until(until) => return,
                _ = self.stopped.wait_for(|stop| *stop) => return,
                _ = self.reopened.changed() => self.pipeline.output().reopen(),
            }
        }
    }
}
