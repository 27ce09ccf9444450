//! What one instance may use, and what is accepted of what it returns.
//!
//! The threat: a component, or whoever feeds it data, that grows without end, runs without end, or returns more than the
//! host can hold. A host runs many tenants' components in one process, so none of these may end the process. Memory,
//! tables and instances are counted by wasmtime's resource limiter; time by epochs (for a guest that computes) together
//! with a timer (for a guest that waits); copies from guest to host by wasmtime's "hostcall fuel"; handles by the
//! resource table's capacity; and every returned batch is measured before anybody sees it.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::units::bytes;

/// Limits of one instance. [`Limits::default`] is right for most sources.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of linear memory, all memories of the component together. Default 64 MiB.
    pub memory: u64,
    /// Wall-clock time of one call. Default 300 s: one request may well take two minutes.
    pub call_time: Duration,
    /// Events in one batch. Default 100,000.
    pub batch_events: usize,
    /// Bytes of all events in one batch. Default 32 MiB.
    pub batch_bytes: usize,
    /// Bytes of a state. Default 1 MiB, as the contract says.
    pub state_bytes: usize,
    /// Requests under way at the same time, response bodies included. Default 8.
    pub connections: usize,
    /// Bytes (roughly) of the headers of one request. Default 64 KiB.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            call_time: Duration::from_secs(300),
            batch_events: 100_000,
            batch_bytes: 32 << 20,
            state_bytes: 1 << 20,
            connections: 8,
            header_bytes: 64 << 10,
        }
    }
}

impl Limits {
    /// Handles a component may hold: requests, bodies, streams, pollables. Each request under way takes a handful.
    pub(crate) fn handles(&self) -> usize {
        64 + 32 * self.connections
    }

    /// What one call may copy out of the guest, in the unit wasmtime counts: bytes, lists at the size of their elements
    /// in the host. Twice the batch plus state plus the list's own elements, so that a batch somewhat over its limit
    /// gets the clearer answer of [`crate::Error::Refused`].
    pub(crate) fn hostcall_fuel(&self) -> usize {
        let elements = self.batch_events.saturating_mul(2 * size_of::<String>());
        self.batch_bytes
            .saturating_add(self.state_bytes)
            .saturating_mul(2)
            .saturating_add(elements)
            .saturating_add(1 << 20)
    }
}

/// Counts what the instance holds, and says no at the limit.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: u64,
    held: u64,
    peak: u64,
    asked: u64,
    /// The limit was hit: whatever error follows, this is its cause.
    pub(crate) exceeded: bool,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, held: 0, peak: 0, asked: 0, exceeded: false }
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }
}

impl ResourceLimiter for Meter {
    /// An error, not `false`: with `false` the guest's allocator aborts some way further on, and all that is left to
    /// report is "unreachable executed". An error stops the guest here, and the operator reads which limit to raise.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.asked = (desired as u64).saturating_sub(current as u64);
        let after = self.held.saturating_add(self.asked);
        if after > self.limit {
            self.exceeded = true;
            wasmtime::bail!("memory limit of {} exceeded", bytes(self.limit));
        }
        self.held = after;
        self.peak = self.peak.max(after);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.held = self.held.saturating_sub(self.asked);
        Err(error.context("the host has no more memory to give"))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
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

    #[test]
    fn memory_is_counted_over_all_memories_together() {
        let mut meter = Meter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 60, None).is_err());
        assert!(meter.exceeded);
        assert_eq!(meter.peak(), 60);
    }

    #[test]
    fn a_growth_that_failed_is_not_counted() {
        let mut meter = Meter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_grow_failed(wasmtime::Error::msg("no")).is_err());
        assert!(meter.memory_growing(0, 100, None).unwrap());
    }
}
