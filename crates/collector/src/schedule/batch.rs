//! What a poll returns, and how it knows that it has enough.

use crate::{config::Limits, io::Clock, problem::Problem};
use std::time::Duration;

/// The next events, and where they lead to.
#[derive(Debug)]
pub struct Batch {
    /// Each is one JSON object without line breaks.
    pub events: Vec<String>,
    /// To be passed to the next poll.
    pub state: String,
    /// When to poll again, in milliseconds. 0 = more is ready now.
    pub next_poll_ms: u32,
    /// What went wrong in single streams.
    pub problems: Vec<Problem>,
    /// What the poll did.
    pub stats: Stats,
}

/// A poll that could do nothing at all.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub problem: Problem,
    /// The old state plus the back-off, where waiting is part of the answer.
    pub state: Option<String>,
}

/// What a poll did, as in `wit/source.wit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests sent, token requests included.
    pub requests: u32,
    /// Token requests among them.
    pub token_requests: u32,
    /// Bytes of bodies as they came over the wire.
    pub bytes_received: u64,
    /// Bytes of log content read.
    pub bytes_read: u64,
    /// Rows read, malformed ones included.
    pub rows_read: u32,
    /// Rows that could not be understood.
    pub rows_malformed: u32,
    /// Files read to their end.
    pub files_completed: u32,
    /// Files given up, of which something was not read.
    pub files_given_up: u32,
    /// Requests used and allowed in 24 hours.
    pub api_usage: Option<(u32, u32)>,
    /// Files known of and not read to their end.
    pub backlog_files: u32,
    /// Bytes of them still to read.
    pub backlog_bytes: u64,
}

/// A batch that is being filled.
pub struct Progress<'a> {
    /// The events so far.
    pub events: Vec<String>,
    /// The counts so far.
    pub stats: Stats,
    /// Events that are there or announced, and their bytes.
    announced: usize,
    bytes: usize,
    left_out: u64,
    limits: Limits,
    clock: &'a dyn Clock,
    start: Duration,
    out_of_time: bool,
    /// Whether the state has moved on.
    moved: bool,
    /// The same for the slice that goes on; none between two slices.
    slice_moved: Option<bool>,
    /// Whether the time ran out in a slice that had not moved the state.
    fruitless: bool,
    /// Whether something was asked for and answered as it should be.
    worked: bool,
    /// How long the poll may take for a slice that does not move the state on.
    patience: Duration,
}

/// How long a poll may take at most for a slice that does not move the state on. Hosts stop a call after five minutes, and the
/// longest request takes two.
const MOST_PATIENCE: Duration = Duration::from_secs(120);

impl<'a> Progress<'a> {
    /// An empty batch. `stalled` says how many polls before this one ended in a slice that had not moved the state: each gives
    /// such a slice twice the time of the one before, so that a host which uses a new instance for every poll comes to the
    /// end of what takes long (a listing of many pages, the way to a checkpoint), and one that keeps its instance goes on
    /// where it was. What other slices moved in the same poll is no help to the one that got nowhere.
    pub fn new(limits: Limits, clock: &'a dyn Clock, stalled: u32) -> Self {
        let patience = limits.time.saturating_mul(1 << stalled.min(12));
        Self {
            patience: patience.min(MOST_PATIENCE).max(limits.time),
            events: Vec::new(),
            stats: Stats::default(),
            announced: 0,
            bytes: 0,
            left_out: 0,
            limits,
            clock,
            start: clock.elapsed(),
            out_of_time: false,
            moved: false,
            slice_moved: None,
            fruitless: false,
            worked: false,
        }
    }

    /// Whether the batch has enough, in events, bytes or time.
    pub fn is_full(&self) -> bool {
        !self.has_capacity() || self.out_of_time
    }

    /// Whether there is capacity for another event, in time or not: what came already costs none.
    pub fn has_capacity(&self) -> bool {
        self.announced < self.limits.events && self.bytes < self.limits.bytes
    }

    /// Whether there is room for so many more events, of so many bytes.
    pub fn has_room_for(&self, events: u64, bytes: u64) -> bool {
        let fits = |more: u64, have: usize, limit: usize| {
            usize::try_from(more).unwrap_or(usize::MAX).saturating_add(have) < limit
        };
        !self.out_of_time
            && fits(events, self.announced, self.limits.events)
            && fits(bytes, self.bytes, self.limits.bytes)
    }

    /// Looks at the clock; to be called wherever time may have passed. All time counts, whatever it went by for: before the
    /// state has moved on, there may be more of it.
    pub fn check_time(&mut self) {
        let spent = self.clock.elapsed().saturating_sub(self.start);
        let moved = self.slice_moved.unwrap_or(self.moved);
        self.out_of_time = spent >= if moved { self.limits.time } else { self.patience };
        self.fruitless |= self.out_of_time && !moved;
    }

    /// A source begins its slice.
    pub fn begin_slice(&mut self) {
        self.slice_moved = Some(false);
    }

    /// Its slice is over.
    pub fn end_slice(&mut self) {
        self.slice_moved = None;
    }

    /// Notes that something was asked for and answered as it should be.
    pub fn worked(&mut self) {
        self.worked = true;
    }

    /// Whether anything was.
    pub fn has_worked(&self) -> bool {
        self.worked
    }

    /// How many polls have ended in a slice that had not moved the state, after this one. As long as there is more to do, what
    /// it takes is kept in mind: whoever got nowhere gets a slice again later.
    pub fn stalled(&self, before: u32, more: bool) -> u32 {
        match more {
            true if self.fruitless => before.saturating_add(1),
            true => before,
            false => 0,
        }
    }

    /// The time on the monotonic clock.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How long one window of an object may take to be read, page after page.
    pub fn time(&self) -> Duration {
        self.limits.time
    }

    /// Notes that a file is given up.
    pub fn gave_up(&mut self) {
        self.stats.files_given_up = self.stats.files_given_up.saturating_add(1);
    }

    /// Notes that the state has moved on, with or without an event.
    pub fn moved(&mut self) {
        self.moved = true;
        self.slice_moved = self.slice_moved.map(|_| true);
    }

    /// Adds an event.
    pub fn push(&mut self, event: String) {
        self.announce(event.len());
        self.events.push(event);
    }

    /// Adds an event that is about no row: a receipt.
    pub fn push_receipt(&mut self, event: String) {
        self.count_event(event.len());
        self.events.push(event);
    }

    /// Counts an event of so many bytes that is put to the others before the slice is over.
    pub fn announce(&mut self, bytes: usize) {
        self.stats.rows_read = self.stats.rows_read.saturating_add(1);
        self.count_event(bytes);
    }

    fn count_event(&mut self, bytes: usize) {
        self.announced += 1;
        self.bytes += bytes;
        self.moved();
    }

    /// Counts a row that is left out.
    pub fn leave_out(&mut self) {
        self.stats.rows_read = self.stats.rows_read.saturating_add(1);
        self.left_out += 1;
        self.moved();
    }

    /// Rows that were left out so far.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Bytes of the events so far.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Adds an event for a row that could not be understood.
    pub fn push_malformed(&mut self, event: String) {
        self.stats.rows_malformed = self.stats.rows_malformed.saturating_add(1);
        self.push(event);
    }

    /// Counts bytes of log content.
    pub fn count_bytes(&mut self, bytes: u64) {
        self.stats.bytes_read = self.stats.bytes_read.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Default)]
    struct SetClock(Cell<Duration>);

    impl Clock for SetClock {
        fn now_ms(&self) -> i64 {
            0
        }

        fn elapsed(&self) -> Duration {
            self.0.get()
        }
    }

    fn limits() -> Limits {
        Limits { events: 3, bytes: 10, time: SECOND }
    }

    fn is_full_after(progress: &mut Progress<'_>, clock: &SetClock, seconds: u32) -> bool {
        clock.0.set(SECOND * seconds);
        progress.check_time();
        progress.is_full()
    }

    #[test]
    fn a_batch_is_full_by_events_and_by_bytes() {
        let clock = SetClock::default();
        let full = |events: &[&str]| {
            let mut progress = Progress::new(limits(), &clock, 0);
            events.iter().for_each(|event| progress.push((*event).to_owned()));
            progress.is_full()
        };
        assert!(!full(&["a", "b"]) && full(&["a", "b", "c"]));
        assert!(!full(&["123456789"]) && full(&["1234567890"]));
    }

    #[test]
    fn a_slice_that_moved_nothing_has_the_more_time_the_more_polls_got_nowhere() {
        for (stalled, seconds) in [(0, 1), (1, 2), (3, 8), (20, 120)] {
            let clock = SetClock::default();
            let mut progress = Progress::new(limits(), &clock, stalled);
            progress.begin_slice();
            assert!(!is_full_after(&mut progress, &clock, seconds - 1), "{stalled}");
            assert!(is_full_after(&mut progress, &clock, seconds), "{stalled}");
        }
    }

    #[test]
    fn what_other_slices_moved_gives_the_one_at_hand_no_less_time() {
        let clock = SetClock::default();
        let mut progress = Progress::new(limits(), &clock, 2);
        progress.begin_slice();
        progress.moved();
        progress.end_slice();
        progress.begin_slice();
        assert!(!is_full_after(&mut progress, &clock, 3));
        // Between two slices, what has moved counts.
        progress.end_slice();
        assert!(is_full_after(&mut progress, &clock, 3));
        progress.begin_slice();
        assert!(!is_full_after(&mut progress, &clock, 3));
        progress.moved();
        assert!(is_full_after(&mut progress, &clock, 3));
    }

    #[test]
    fn a_poll_is_stalled_where_the_time_ran_out_in_a_slice_that_moved_nothing() {
        let ended = |moves: bool, seconds: u32| {
            let clock = SetClock::default();
            let mut progress = Progress::new(limits(), &clock, 0);
            progress.begin_slice();
            if moves {
                progress.moved();
            }
            is_full_after(&mut progress, &clock, seconds);
            progress.end_slice();
            (progress.stalled(4, true), progress.stalled(4, false))
        };
        assert_eq!(ended(false, 1), (5, 0));
        assert_eq!(ended(false, 0), (4, 0));
        assert_eq!(ended(true, 1), (4, 0));
    }

    #[test]
    fn rows_and_bytes_are_counted() {
        let clock = SetClock::default();
        let mut progress = Progress::new(limits(), &clock, 0);
        progress.push(String::from("a"));
        progress.push_malformed(String::from("b"));
        progress.count_bytes(3);
        progress.count_bytes(4);
        let stats = Stats { rows_read: 2, rows_malformed: 1, bytes_read: 7, ..Stats::default() };
        assert_eq!(progress.stats, stats);
    }
}
