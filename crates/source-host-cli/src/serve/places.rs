//! Who gets a place, and when.
//!
//! A slice holds a place until its call under way ends, and that may be long: a call may wait for five minutes and compute for
//! twenty seconds, and cannot be interrupted without losing what it has read. So that nobody waits for those who do:
//!
//! 1. The next place goes to whoever has used the least of late, then to who came first. What counts is the time in a place and
//!    the time of the processor; after a minute each counts half.
//! 2. A quarter of the places (one at least) is kept for the *modest*, who have used less than five seconds of late. Everybody
//!    is modest until something else is known.
//! 3. Who holds a place for longer than half a slice is modest no more. All who are not count for three quarters of the places
//!    at most, however many they are: where modest ones turn out greedy, others get the places that are kept. Up to four
//!    times as many slices run then, which bounds the memory that they hold.
//!
//! What waits for a compiler holds no place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// After this time what was used counts half.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Who has used less of late is modest.
const MODEST: Duration = Duration::from_secs(5);
/// One of so many places is kept for the modest.
const KEPT: usize = 4;
/// So many times more slices than places may run.
const CROWD: usize = 4;

/// What a tenant has used of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage(Option<(f64, Instant)>);

impl Usage {
    pub(super) fn add(&mut self, spent: Duration) {
        let now = Instant::now();
        let before = self.0.map_or(0.0, |(used, at)| {
            used * 0.5_f64.powf(now.duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64())
        });
        self.0 = Some((before + spent.as_secs_f64(), now));
    }

    /// When it will be modest, or since when it has been, in milliseconds from a moment. Whoever has used less is so sooner:
    /// this order stays the same while time goes on.
    fn modest_from(self, start: Instant) -> i64 {
        let Some((used, at)) = self.0.filter(|(used, _)| *used > 0.0) else { return i64::MIN };
        let half_lives = (used / MODEST.as_secs_f64()).log2();
        (at.duration_since(start).as_secs_f64() * 1e3 + half_lives * HALF_LIFE.as_secs_f64() * 1e3) as i64
    }
}

/// A place that is held.
#[derive(Debug)]
struct Held {
    since: Instant,
    /// From when on who holds it is not modest.
    greedy_from: Instant,
}

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Places {
    places: usize,
    /// For how long a modest tenant may hold one.
    patience: Duration,
    start: Instant,
    arrived: u64,
    /// By when they are modest, then by when they came.
    waiting: BTreeMap<(i64, u64), String>,
    held: HashMap<String, Held>,
    /// When those that hold places stop to be modest; may name some that hold none any more.
    turning: BinaryHeap<Reverse<Instant>>,
}

impl Places {
    pub(super) fn new(places: usize, slice: Duration) -> Self {
        Self {
            places: places.max(1),
            patience: slice / 2,
            start: Instant::now(),
            arrived: 0,
            waiting: BTreeMap::new(),
            held: HashMap::new(),
            turning: BinaryHeap::new(),
        }
    }

    /// Who came is in the queue until [`next`](Self::next) names it, whatever becomes of it.
    pub(super) fn queue(&mut self, name: String, usage: Usage) {
        self.arrived += 1;
        self.waiting.insert((usage.modest_from(self.start), self.arrived), name);
    }

    /// Takes out of the queue who may have a place now.
    pub(super) fn next(&mut self) -> Option<String> {
        let now = Instant::now();
        while self.turning.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.turning.pop();
        }
        let is_modest = self.waiting.first_key_value()?.0.0 <= self.millis(now);
        let held = self.held.len();
        let greedy = self.held.values().filter(|held| held.greedy_from <= now).count();
        let open_to_all = self.places - (self.places / KEPT).max(1);
        let has_place = if is_modest {
            held - greedy + greedy.min(open_to_all) < self.places && held < self.places * CROWD
        } else {
            // Of a single place nothing can be kept: modest ones come beside who holds it.
            held < open_to_all.max(1)
        };
        if has_place { self.waiting.pop_first().map(|(_, name)| name) } else { None }
    }

    /// When [`next`](Self::next) may name somebody though nobody has given back a place.
    pub(super) fn changes_at(&self) -> Option<Instant> {
        let (modest_from, _) = self.waiting.first_key_value()?.0;
        let modest_from = u64::try_from(*modest_from).ok().map(|ms| self.start + Duration::from_millis(ms));
        let modest_from = modest_from.filter(|at| *at > Instant::now());
        self.turning.peek().map(|Reverse(at)| *at).into_iter().chain(modest_from).min()
    }

    /// Somebody holds a place from now on.
    pub(super) fn take(&mut self, name: String, usage: Usage) {
        let now = Instant::now();
        let is_modest = usage.modest_from(self.start) <= self.millis(now);
        let greedy_from = if is_modest { now + self.patience } else { now };
        self.turning.push(Reverse(greedy_from));
        self.held.insert(name, Held { since: now, greedy_from });
    }

    /// Gives a place back, and tells for how long it was held: no time, if it was not.
    pub(super) fn give_back(&mut self, name: &str) -> Duration {
        self.held.remove(name).map_or(Duration::ZERO, |held| held.since.elapsed())
    }

    fn millis(&self, at: Instant) -> i64 {
        i64::try_from(at.duration_since(self.start).as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SLICE: Duration = Duration::from_secs(2);

    fn used(seconds: u64) -> Usage {
        let mut usage = Usage::default();
        usage.add(Duration::from_secs(seconds));
        usage
    }

    /// Gives places to all who may have one, and tells who got one.
    fn fill(places: &mut Places, usage: Usage) -> Vec<String> {
        let mut got = Vec::new();
        while let Some(name) = places.next() {
            places.take(name.clone(), usage);
            got.push(name);
        }
        got
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_used_the_least_of_late_is_next_and_then_who_came_first() {
        let mut places = Places::new(1, SLICE);
        let long_ago = used(4);
        advance(2 * HALF_LIFE).await;
        for (name, usage) in [
            ("two", used(2)),
            ("four, halved twice", long_ago),
            ("new", Usage::default()),
            ("also new", Usage::default()),
        ] {
            places.queue(name.to_owned(), usage);
        }
        let mut order = Vec::new();
        while let Some(name) = places.next() {
            places.take(name.clone(), Usage::default());
            assert_eq!(places.next(), None, "there is one place");
            assert_eq!(places.give_back(&name), Duration::ZERO);
            order.push(name);
        }
        assert_eq!(order, ["new", "also new", "four, halved twice", "two"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_wears_off() {
        let mut places = Places::new(4, SLICE);
        places.queue("greedy".to_owned(), used(20));
        places.queue("greedier".to_owned(), used(80));
        places.take("a".to_owned(), used(60));
        places.take("b".to_owned(), used(60));
        places.take("c".to_owned(), used(60));
        assert_eq!(places.next(), None);
        // Twenty seconds are five after two half-lives, and that is when somebody has to look.
        let at = places.changes_at().unwrap();
        assert_eq!(at.duration_since(places.start).as_secs(), 2 * HALF_LIFE.as_secs());
        advance(at - Instant::now() - Duration::from_millis(2)).await;
        assert_eq!(places.next(), None);
        advance(Duration::from_millis(3)).await;
        assert_eq!(places.next().as_deref(), Some("greedy"));
        assert_eq!(places.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_greedy_never_hold_the_places_that_are_kept() {
        let mut places = Places::new(16, SLICE);
        for nth in 0..40 {
            places.queue(format!("greedy-{nth}"), used(100));
        }
        assert_eq!(fill(&mut places, used(100)).len(), 12);
        for nth in 0..6 {
            places.queue(format!("modest-{nth}"), used(1));
        }
        assert_eq!(fill(&mut places, used(1)), ["modest-0", "modest-1", "modest-2", "modest-3"]);
        assert_eq!(places.give_back("modest-0"), Duration::ZERO);
        assert_eq!(fill(&mut places, used(1)), ["modest-4"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_modest_ones_turn_out_greedy_the_places_that_are_kept_are_others() {
        let mut places = Places::new(16, SLICE);
        for nth in 0..100 {
            places.queue(format!("spinner-{nth}"), Usage::default());
        }
        assert_eq!(fill(&mut places, Usage::default()).len(), 16);
        let mut all = 16;
        while all < 64 {
            let at = places.changes_at().unwrap();
            assert_eq!(at - Instant::now(), SLICE / 2);
            advance(SLICE / 2).await;
            let more = fill(&mut places, Usage::default()).len();
            assert_eq!(more, 4, "of {all}");
            all += more;
        }
        advance(SLICE).await;
        assert_eq!(places.next(), None, "there is a bound");
        // Those that come to an end are known, and do not get as many again.
        for nth in 0..64 {
            assert!(places.give_back(&format!("spinner-{nth}")) >= SLICE);
        }
        places.waiting.clear();
        for nth in 0..64 {
            places.queue(format!("spinner-{nth}"), used(20));
        }
        assert_eq!(fill(&mut places, used(20)).len(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_single_place_the_modest_have_their_part() {
        let mut places = Places::new(1, SLICE);
        places.queue("greedy".to_owned(), used(100));
        places.queue("greedier".to_owned(), used(200));
        assert_eq!(fill(&mut places, used(100)), ["greedy"]);
        places.queue("modest".to_owned(), used(1));
        assert_eq!(fill(&mut places, used(1)), ["modest"]);
        places.give_back("greedy");
        places.give_back("modest");
        assert_eq!(fill(&mut places, used(200)), ["greedier"]);
    }
}
