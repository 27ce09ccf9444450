//! What one instance may use, and what is accepted of what it returns.
//!
//! The threat: a component, or whoever feeds it data, that grows without end, runs without end, or returns more than the
//! host can hold. A host runs many tenants' components in one process, so none of these may end the process. Memory,
//! tables and instances are counted by wasmtime's resource limiter; time by epochs (for a guest that computes) together
//! with a timer (for a guest that waits); copies from guest to host by wasmtime's "hostcall fuel"; handles by the
//! resource table's capacity; and every returned batch is measured before anybody sees it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::account::{Account, Exceeded};
use crate::network::outgoing::Bounds;
use crate::units::bytes;

/// Limits of one instance. [`Limits::default`] is right for most sources.
///
/// ```
/// use std::time::Duration;
///
/// let mut limits = source_host::Limits::default();
/// limits.memory = 128 << 20;
/// limits.call_time = Duration::from_secs(60);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of linear memory, all memories of the component together, tables included. Default 64 MiB.
    pub memory: u64,
    /// Bytes of all that the host holds for the component: its memory and tables, batches until they are dropped, 256 KiB for
    /// each request under way. Default 128 MiB.
    pub total_memory: u64,
    /// Wall-clock time of one call. Default 300 s: one request may well take two minutes.
    pub call_time: Duration,
    /// Time of the processor in one call, waiting not counted. Default 20 s: a poll of 10 MB takes a fifth of a second.
    pub cpu_time: Duration,
    /// Events in one batch. Default 100,000.
    pub batch_events: usize,
    /// Bytes of all events in one batch. Default 32 MiB.
    pub batch_bytes: usize,
    /// Bytes of one event. Default 8 MiB.
    pub event_bytes: usize,
    /// Bytes of a state. Default 1 MiB, as the contract says.
    pub state_bytes: usize,
    /// Bytes of a session. Default 16 KiB, as the contract says.
    pub session_bytes: usize,
    /// Bytes of all that `describe`, `configure`, `check` and `suspend` return. Default 1 MiB.
    pub answer_bytes: usize,
    /// Bytes of the schema of a configuration. Default 256 KiB.
    pub schema_bytes: usize,
    /// Problems, warnings, findings, authorities or streams in one answer. Of problems and warnings, more are counted and
    /// dropped; more of anything else is refused. Default 100.
    pub list_length: usize,
    /// Days of backlog in all findings of a check; more are refused. Default 5,000.
    pub backlog_days: usize,
    /// The longest wait that a batch, a failure or a problem may ask for; longer ones are cut to it. Default 24 h.
    pub longest_wait: Duration,
    /// Requests under way at the same time, response bodies included, and those whose answer nobody waits for any more.
    /// Default 8.
    pub connections: usize,
    /// Requests a second; what comes sooner waits. Default 1,000.
    pub requests_per_second: u32,
    /// Bytes (roughly) of the headers of one request. Default 64 KiB.
    pub header_bytes: usize,
    /// Bytes of the body of one request. Default 16 MiB.
    pub request_bytes: u64,
    /// Bytes of answers read in one call, as they come over the wire. Default 4 GiB.
    pub received_bytes: u64,
    /// Time of one request, from its beginning until its answer is read. Default 1 h: a file may be read over many polls.
    pub request_time: Duration,
    /// Lines of the log a minute that the component can cause, besides one for each kind of limit that it runs into. Default 60.
    pub log_lines_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            total_memory: 128 << 20,
            call_time: Duration::from_secs(300),
            cpu_time: Duration::from_secs(20),
            batch_events: 100_000,
            batch_bytes: 32 << 20,
            event_bytes: 8 << 20,
            state_bytes: 1 << 20,
            session_bytes: 16 << 10,
            answer_bytes: 1 << 20,
            schema_bytes: 256 << 10,
            list_length: 100,
            backlog_days: 5_000,
            longest_wait: Duration::from_secs(24 * 3600),
            connections: 8,
            requests_per_second: 1_000,
            header_bytes: 64 << 10,
            request_bytes: 16 << 20,
            received_bytes: 4 << 30,
            request_time: Duration::from_secs(3600),
            log_lines_per_minute: 60,
        }
    }
}

impl Limits {
    /// Handles a component may hold: requests, bodies, streams, pollables. Each request under way takes a handful.
    pub(crate) fn handles(&self) -> usize {
        64 + 32 * self.connections
    }

    /// Those of requests.
    pub(crate) fn of_requests(&self) -> Bounds {
        Bounds {
            connections: self.connections,
            requests_per_second: self.requests_per_second,
            request_bytes: self.request_bytes,
            received_bytes: self.received_bytes,
            request_time: self.request_time,
            log_lines_per_minute: self.log_lines_per_minute,
        }
    }

    /// The longest wait, as a batch has it.
    pub(crate) fn longest_wait_ms(&self) -> u32 {
        u32::try_from(self.longest_wait.as_millis()).unwrap_or(u32::MAX)
    }

    /// What one poll may copy out of the guest, in the unit wasmtime counts: bytes, lists at the size of their elements
    /// in the host. Twice the batch plus state plus the list's own elements, so that a batch somewhat over its limit
    /// gets the clearer answer of [`crate::Error::Refused`].
    pub(crate) fn poll_fuel(&self) -> usize {
        let elements = self.batch_events.saturating_mul(2 * size_of::<String>());
        self.batch_bytes
            .saturating_add(self.state_bytes)
            .saturating_mul(2)
            .saturating_add(elements)
            .saturating_add(self.answer_bytes)
    }

    /// The same for any other call.
    pub(crate) fn answer_fuel(&self) -> usize {
        self.answer_bytes.saturating_mul(2)
    }
}

/// Counts what the instance holds, and says no at the limit.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: u64,
    account: Arc<Account>,
    held: u64,
    peak: u64,
    asked: u64,
    pub(crate) exceeded: Option<Exceeded>,
}

impl Meter {
    pub(crate) fn new(limit: u64, account: Arc<Account>) -> Self {
        Self { limit, account, held: 0, peak: 0, asked: 0, exceeded: None }
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// An error, not `false`: with `false` the guest's allocator aborts some way further on, and all that is left to
    /// report is "unreachable executed". An error stops the guest here, and the operator reads which limit to raise.
    fn grow(&mut self, more: u64) -> wasmtime::Result<bool> {
        self.asked = more;
        let after = self.held.saturating_add(more);
        if after > self.limit {
            self.exceeded = Some(Exceeded::Memory);
            wasmtime::bail!("memory limit of {} exceeded", bytes(self.limit));
        }
        if let Err(exceeded) = self.account.take(more) {
            self.exceeded = Some(exceeded);
            wasmtime::bail!("what the source or all sources may hold is used up");
        }
        self.held = after;
        self.peak = self.peak.max(after);
        Ok(true)
    }

    fn shrink(&mut self) {
        self.held = self.held.saturating_sub(self.asked);
        self.account.give_back(self.asked);
        self.asked = 0;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.give_back(self.held);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow((desired as u64).saturating_sub(current as u64))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink();
        Err(error.context("the host has no more memory to give"))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        const ELEMENT: u64 = 16;
        self.grow((desired as u64).saturating_sub(current as u64).saturating_mul(ELEMENT))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink();
        Err(error.context("the host has no more memory to give"))
    }

    fn instances(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::MemoryBudget;

    fn meter(limit: u64) -> Meter {
        Meter::new(limit, Arc::new(Account::new(u64::MAX, None)))
    }

    #[test]
    fn memory_is_counted_over_all_memories_and_tables_together() {
        let mut meter = meter(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.table_growing(0, 3, None).is_err());
        assert!(meter.memory_growing(0, 60, None).is_err());
        assert_eq!(meter.exceeded, Some(Exceeded::Memory));
        assert_eq!(meter.peak(), 60);
    }

    #[test]
    fn a_growth_that_failed_is_not_counted() {
        let mut meter = meter(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_grow_failed(wasmtime::Error::msg("no")).is_err());
        assert!(meter.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn what_all_may_have_together_is_given_back_by_who_goes() {
        let budget = MemoryBudget::new(100);
        let mut one = Meter::new(80, Arc::new(Account::new(80, Some(budget.clone()))));
        let mut other = Meter::new(80, Arc::new(Account::new(80, Some(budget.clone()))));
        assert!(one.memory_growing(0, 60, None).unwrap());
        assert!(other.memory_growing(0, 60, None).is_err());
        assert_eq!(other.exceeded, Some(Exceeded::Shared));
        drop(one);
        assert!(other.memory_growing(0, 60, None).unwrap());
        assert_eq!(budget.held(), 60);
        drop(other);
        assert_eq!(budget.held(), 0);
    }
}
