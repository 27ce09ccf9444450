//! Who computes when, and for how long.
//!
//! A component that computes gives way at every tick of the epoch. That alone is not fair: twenty that never wait and one that
//! computes for 60 ms a minute would all get a twenty-first of the processor. So a call needs a *slot* to go on, there are as
//! many as the host has processors, and whoever has used the least of late gets the next one. There is one more for those
//! alone who have used next to nothing: they do not wait for a tick to end, and the system, which prefers threads that have
//! slept, makes room for them beside those that compute.
//!
//! What counts is the time that a thread spent computing, not what a clock on the wall shows: waiting for the network is free.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// After this time what was used counts half.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// Who has used fewer microseconds of late may have the slot that is kept: about a thirtieth of a processor.
const LITTLE: u64 = 500_000;

/// Gives processors to calls, fairly. One for all sources of a process; cheap to clone.
///
/// The executor needs some threads more than there are slots. With as many or fewer, calls wait in its own queue, which is fair to
/// all alike, and not here; and nobody is left to look after the network.
///
/// ```
/// use source_host::{Options, Scheduler};
///
/// let scheduler = Scheduler::new(2);
/// let options = Options::new().scheduler(scheduler.clone());
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler(Arc<Mutex<Slots>>);

#[derive(Debug)]
struct Slots {
    free: usize,
    /// Whether the slot is free that is kept for those who have used little.
    kept: bool,
    /// In the order in which they get a slot: by what they have used, then by when they came.
    waiting: BTreeMap<(u64, u64), Waker>,
    next: u64,
}

impl Scheduler {
    /// So many calls compute at the same time, and one more of a source that has used little of late.
    pub fn new(slots: usize) -> Self {
        let slots = Slots { free: slots.max(1), kept: true, waiting: BTreeMap::new(), next: 0 };
        Self(Arc::new(Mutex::new(slots)))
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Nothing that holds the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Scheduler {
    /// As many slots as there are processors.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Which slot somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Common,
    Kept,
}

impl Slots {
    /// The slot for who has used so much, if there is one.
    fn free_for(&self, used: u64) -> Option<Kind> {
        if self.free > 0 {
            return Some(Kind::Common);
        }
        (self.kept && used < LITTLE).then_some(Kind::Kept)
    }

    /// Takes a slot for who has this rank, unless somebody else is to have it.
    fn take(&mut self, rank: (u64, u64), waker: &Waker) -> Option<Kind> {
        let first = self.waiting.first_key_value().is_none_or(|(first, _)| rank <= *first);
        let Some(kind) = self.free_for(rank.0).filter(|_| first) else {
            self.waiting.insert(rank, waker.clone());
            return None;
        };
        match kind {
            Kind::Common => self.free -= 1,
            Kind::Kept => self.kept = false,
        }
        self.waiting.remove(&rank);
        Some(kind)
    }

    fn give_back(&mut self, kind: Kind) {
        match kind {
            Kind::Common => self.free += 1,
            Kind::Kept => self.kept = true,
        }
        self.wake();
    }

    /// Wakes who is to have the next slot, if there is one.
    fn wake(&self) {
        if let Some(((used, _), waker)) = self.waiting.first_key_value()
            && self.free_for(*used).is_some()
        {
            waker.wake_by_ref();
        }
    }
}

/// What one source has used of the processor.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Nanoseconds in this call, up to when it was resumed last.
    call: AtomicU64,
    /// What the thread's clock showed when it was resumed last.
    resumed: AtomicU64,
    /// Nanoseconds that a call may use.
    limit: AtomicU64,
    exceeded: AtomicBool,
    /// Nanoseconds of late, and when that was so.
    recent: Mutex<Option<(f64, Instant)>>,
    total: AtomicU64,
}

impl Usage {
    pub(crate) fn begin(&self, limit: Duration) {
        self.call.store(0, Ordering::Relaxed);
        self.limit.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
    }

    /// Whether the call has used more than it may. Asked from within it.
    pub(crate) fn is_used_up(&self) -> bool {
        let since = thread_time().saturating_sub(self.resumed.load(Ordering::Relaxed));
        let used = self.call.load(Ordering::Relaxed) + since;
        let used_up = used > self.limit.load(Ordering::Relaxed);
        if used_up {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        used_up
    }

    pub(crate) fn has_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Of this call.
    pub(crate) fn call(&self) -> Duration {
        Duration::from_nanos(self.call.load(Ordering::Relaxed))
    }

    /// Of all calls.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.load(Ordering::Relaxed))
    }

    fn resume(&self) {
        self.resumed.store(thread_time(), Ordering::Relaxed);
    }

    fn pause(&self) {
        let spent = thread_time().saturating_sub(self.resumed.load(Ordering::Relaxed));
        self.call.fetch_add(spent, Ordering::Relaxed);
        self.total.fetch_add(spent, Ordering::Relaxed);
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = recent.map_or(0.0, |(used, at)| decayed(used, now.duration_since(at)));
        *recent = Some((before + spent as f64, now));
    }

    /// Microseconds used of late.
    fn recent(&self) -> u64 {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.map_or(0, |(used, at)| (decayed(used, at.elapsed()) / 1e3) as u64)
    }
}

fn decayed(used: f64, after: Duration) -> f64 {
    used * 0.5_f64.powf(after.as_secs_f64() / HALF_LIFE.as_secs_f64())
}

/// Nanoseconds that this thread has computed.
fn thread_time() -> u64 {
    let time = ThreadTime::try_now().map(|time| time.as_duration()).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A call that computes in a slot, and whose computing is counted.
pub(crate) struct Metered<F> {
    call: Pin<Box<F>>,
    usage: Arc<Usage>,
    scheduler: Option<Scheduler>,
    rank: Option<(u64, u64)>,
}

impl<F> Metered<F> {
    pub(crate) fn new(call: F, usage: Arc<Usage>, scheduler: Option<Scheduler>) -> Self {
        Self { call: Box::pin(call), usage, scheduler, rank: None }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let mut held = None;
        if let Some(scheduler) = &this.scheduler {
            let mut slots = scheduler.slots();
            let rank = *this.rank.get_or_insert_with(|| {
                slots.next += 1;
                (this.usage.recent(), slots.next)
            });
            let Some(kind) = slots.take(rank, context.waker()) else { return Poll::Pending };
            held = Some((scheduler, kind));
            this.rank = None;
            // Others may have slots as well.
            slots.wake();
        }
        // Given back even if the guest's code unwinds.
        let _slot = Slot { usage: &this.usage, held };
        this.usage.resume();
        this.call.as_mut().poll(context)
    }
}

struct Slot<'a> {
    usage: &'a Usage,
    held: Option<(&'a Scheduler, Kind)>,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.usage.pause();
        if let Some((scheduler, kind)) = self.held {
            scheduler.slots().give_back(kind);
        }
    }
}

impl<F> Drop for Metered<F> {
    fn drop(&mut self) {
        if let (Some(scheduler), Some(rank)) = (&self.scheduler, self.rank) {
            let mut slots = scheduler.slots();
            slots.waiting.remove(&rank);
            // It may have been woken for a slot that another can have now.
            slots.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one that has used so many seconds.
    fn used(seconds: u32) -> Arc<Usage> {
        let recent = Some((f64::from(seconds) * 1e9, Instant::now()));
        Arc::new(Usage { recent: Mutex::new(recent), ..Usage::default() })
    }

    /// Computes for a time of its thread, giving way after each piece.
    async fn compute(pieces: usize) {
        for _ in 0..pieces {
            let end = thread_time() + 2_000_000;
            while thread_time() < end {
                std::hint::black_box(0);
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_a_call_computes_is_counted_and_what_it_waits_is_not() {
        let usage = Arc::new(Usage::default());
        usage.begin(Duration::from_secs(1));
        let call = async {
            compute(5).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Metered::new(call, Arc::clone(&usage), None).await;
        let used = usage.total();
        assert!(used >= Duration::from_millis(10) && used < Duration::from_millis(40), "{used:?}");
        assert!(!usage.is_used_up() || usage.has_exceeded());
    }

    #[tokio::test]
    async fn who_has_used_little_goes_before_those_who_have_used_much() {
        let scheduler = Scheduler::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let call = |name: &'static str, usage: &Arc<Usage>, pieces| {
            let order = Arc::clone(&order);
            let done = async move {
                compute(pieces).await;
                order.lock().unwrap().push(name);
            };
            tokio::spawn(Metered::new(done, Arc::clone(usage), Some(scheduler.clone())))
        };
        // Neither has used so little that a slot is kept for it.
        let (greedy, modest) = (used(3), used(1));
        call("greedy", &greedy, 20).await.unwrap();
        let again = call("greedy again", &greedy, 50);
        tokio::task::yield_now().await;
        let little = call("modest", &modest, 3);
        again.await.unwrap();
        little.await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["greedy", "modest", "greedy again"]);
    }

    #[test]
    fn who_has_used_next_to_nothing_waits_for_nobody_but_his_like() {
        let mut slots = Slots { free: 1, kept: true, waiting: BTreeMap::new(), next: 0 };
        let (little, much) = (LITTLE - 1, LITTLE);
        let nobody = Waker::noop();
        assert_eq!(slots.take((much, 1), nobody), Some(Kind::Common));
        assert_eq!(slots.take((much, 2), nobody), None);
        assert_eq!(slots.take((little, 3), nobody), Some(Kind::Kept));
        assert_eq!(slots.take((little, 4), nobody), None);
        // What is given back first is for who is first, whichever slot it is.
        slots.give_back(Kind::Common);
        assert_eq!(slots.take((much, 2), nobody), None);
        assert_eq!(slots.take((little, 4), nobody), Some(Kind::Common));
        slots.give_back(Kind::Kept);
        assert_eq!(slots.take((much, 2), nobody), None);
        slots.give_back(Kind::Common);
        assert_eq!(slots.take((much, 2), nobody), Some(Kind::Common));
        assert!(slots.waiting.is_empty() && slots.kept);
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_while_it_waits_leaves_no_slot_behind() {
        let scheduler = Scheduler::new(1);
        let (usage, held) = (used(10), scheduler.slots().take((0, 0), Waker::noop()));
        assert_eq!(held, Some(Kind::Common));
        let mut waiting = Box::pin(Metered::new(async {}, Arc::clone(&usage), Some(scheduler.clone())));
        let polled = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        drop(waiting);
        assert!(scheduler.slots().waiting.is_empty());
        scheduler.slots().give_back(Kind::Common);
        Metered::new(async {}, usage, Some(scheduler.clone())).await;
        assert_eq!(scheduler.slots().free, 1);
    }
}
