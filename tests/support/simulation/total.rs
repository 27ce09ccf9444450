//! Many seeds, on all processors.

use super::{
    knobs::Knobs,
    run::{Engines, Summary, replay_command, simulate},
};
use anyhow::{Result, anyhow};
use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A seed that did not hold.
#[derive(Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What it said.
    pub error: anyhow::Error,
}

/// Is called after each seed, with what it said if it does not hold.
pub type Done<'d> = dyn Fn(u64, Option<&anyhow::Error>) + Sync + 'd;

/// What many seeds saw. Displayed: one line for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    /// Seeds that held.
    pub seeds: u64,
    /// Polls.
    pub polls: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that a planned fault struck.
    pub faults: u64,
    /// New instances.
    pub restarts: u64,
    /// New instances that were given a session, of whatever kind.
    pub resumed: u64,
    /// States that were not saved.
    pub unsaved: u64,
    /// Different events.
    pub events: u64,
    /// Deliveries of them.
    pub deliveries: u64,
    /// The largest state, in bytes.
    pub largest_state: usize,
    /// The most memory that a component held, in bytes.
    pub peak_memory: u64,
}

impl Total {
    /// Runs seeds on all processors. `done` is called after each one.
    ///
    /// # Errors
    /// What the first seed that does not hold says, with the command that replays it.
    pub fn of(seeds: RangeInclusive<u64>, engines: &Engines, knobs: Knobs, done: &Done<'_>) -> Result<Self> {
        let seeds: Vec<u64> = seeds.collect();
        let (total, mut failed) = Self::with_failures(&seeds, engines, knobs, 1, done);
        match failed.pop() {
            Some(Failed { seed, error }) => {
                let again = replay_command(seed, engines, knobs);
                Err(anyhow!("seed {seed} failed: {error:#}\nsee it again, step by step: {again}"))
            }
            None => Ok(total),
        }
    }

    /// Runs seeds on all processors until so many do not hold. Returns those that do not, by their numbers.
    pub fn with_failures(
        seeds: &[u64],
        engines: &Engines,
        knobs: Knobs,
        most: usize,
        done: &Done<'_>,
    ) -> (Self, Vec<Failed>) {
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new((Self::default(), Vec::<Failed>::new()));
        let lock = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            loop {
                let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)).copied() else { return };
                if lock().1.len() >= most {
                    return;
                }
                let result = simulate(seed, engines, knobs, &mut |_: &dyn Fn() -> String| ());
                done(seed, result.as_ref().err());
                let (total, failed) = &mut *lock();
                match result {
                    Ok(summary) => total.add(&summary),
                    Err(error) => failed.push(Failed { seed, error }),
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let (total, mut failed) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_by_key(|failed| failed.seed);
        failed.truncate(most);
        (total, failed)
    }
    fn add(&mut self, summary: &Summary) {
        self.seeds += 1;
        self.polls += u64::from(summary.polls);
        self.requests += summary.requests;
        self.faults += u64::from(summary.faults);
        self.restarts += u64::from(summary.restarts);
        self.resumed += u64::from(summary.resumed);
        self.unsaved += u64::from(summary.unsaved);
        self.events += summary.tally.events;
        self.deliveries += summary.tally.deliveries;
        self.largest_state = self.largest_state.max(summary.largest_state);
        self.peak_memory = self.peak_memory.max(summary.peak_memory);
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seeds, events, deliveries, polls, requests, faults, restarts, resumed, unsaved] = [
            self.seeds,
            self.events,
            self.deliveries,
            self.polls,
            self.requests,
            self.faults,
            self.restarts,
            self.resumed,
            self.unsaved,
        ]
        .map(source_host::grouped);
        write!(
            f,
            "{seeds} seeds hold: {events} events in {deliveries} deliveries, {polls} polls, {requests} requests, {faults} \
             faults, {restarts} instances, {resumed} with a session, {unsaved} states not saved, largest state {}",
            source_host::bytes(self.largest_state as u64)
        )?;
        match self.peak_memory {
            0 => Ok(()),
            peak => write!(f, ", component's peak memory {}", source_host::bytes(peak)),
        }
    }
}
