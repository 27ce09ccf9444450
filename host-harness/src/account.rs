//! What sources make the host hold: one account for each, one budget for all.
//!
//! What a component can grow by itself (linear memory, tables), the copy of a batch until it is delivered, and the buffers of requests
//! under way are taken out of the same account, so that no mixture of them comes to more than each alone may.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory that the sources of a process share: what they make the host hold together stays below it, whatever each may have.
/// Cheap to clone.
///
/// ```
/// use source_host::{MemoryBudget, Options};
///
/// let budget = MemoryBudget::new(1 << 30);
/// let options = Options::new().memory_budget(budget.clone());
/// assert_eq!(budget.held(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Bounded>);

impl MemoryBudget {
    /// So many bytes for all: linear memories, tables, batches until they are dropped, buffers of requests.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Bounded::new(bytes)))
    }

    /// Bytes that are held now.
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Bounded {
    limit: u64,
    held: AtomicU64,
}

impl Bounded {
    fn new(limit: u64) -> Self {
        Self { limit, held: AtomicU64::new(0) }
    }

    fn take(&self, more: u64) -> bool {
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(more).filter(|after| *after <= self.limit)
        });
        taken.is_ok()
    }

    fn give_back(&self, less: u64) {
        self.held.fetch_sub(less, Ordering::Relaxed);
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.held.load(Ordering::Relaxed))
    }
}

/// Which bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// That of the memory of one instance.
    Memory,
    /// That of all that one source makes the host hold.
    Total,
    /// What all sources may have together.
    Shared,
}

/// What one source makes the host hold.
#[derive(Debug)]
pub(crate) struct Account {
    own: Bounded,
    shared: Option<MemoryBudget>,
}

impl Account {
    pub(crate) fn new(limit: u64, shared: Option<MemoryBudget>) -> Self {
        Self { own: Bounded::new(limit), shared }
    }

    pub(crate) fn take(&self, more: u64) -> Result<(), Exceeded> {
        if !self.own.take(more) {
            return Err(Exceeded::Total);
        }
        if self.shared.as_ref().is_some_and(|shared| !shared.0.take(more)) {
            self.own.give_back(more);
            return Err(Exceeded::Shared);
        }
        Ok(())
    }

    pub(crate) fn give_back(&self, less: u64) {
        self.own.give_back(less);
        if let Some(shared) = &self.shared {
            shared.0.give_back(less);
        }
    }

    /// How much can be taken now, and which bound is met then.
    pub(crate) fn left(&self) -> (u64, Exceeded) {
        let own = self.own.left();
        match self.shared.as_ref().map(|shared| shared.0.left()).filter(|shared| *shared < own) {
            Some(shared) => (shared, Exceeded::Shared),
            None => (own, Exceeded::Total),
        }
    }

    /// Takes so much until it is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Result<Hold, Exceeded> {
        self.take(bytes)?;
        Ok(Hold { account: Arc::clone(self), bytes })
    }
}

/// Bytes that are held, and given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    account: Arc<Account>,
    bytes: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

/// The same as part of a value that is compared, copied and printed as if it were not there. Copies hold it together.
#[derive(Clone, Default)]
pub(crate) struct Held(Option<Arc<Hold>>);

impl From<Hold> for Held {
    fn from(hold: Hold) -> Self {
        Self(Some(Arc::new(hold)))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_ref().map_or(0, |hold| hold.bytes))
    }
}

impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_for_one_and_for_all_until_the_last_copy_is_dropped() {
        let budget = MemoryBudget::new(100);
        let one = Arc::new(Account::new(80, Some(budget.clone())));
        let other = Arc::new(Account::new(80, Some(budget.clone())));
        assert_eq!(one.left(), (80, Exceeded::Total));
        let held = Held::from(one.hold(70).unwrap());
        let copy = held.clone();
        assert_eq!(one.hold(20).err(), Some(Exceeded::Total));
        assert_eq!(other.left(), (30, Exceeded::Shared));
        assert_eq!(other.hold(31).err(), Some(Exceeded::Shared));
        drop(held);
        assert_eq!(budget.held(), 70);
        drop(copy);
        assert_eq!((budget.held(), one.left().0, other.left().0), (0, 80, 80));
        assert!(other.hold(80).is_ok());
        assert_eq!(one.hold(u64::MAX).err(), Some(Exceeded::Total));
    }
}
