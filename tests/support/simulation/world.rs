//! What a collector meets: the simulated org, two clocks that differ, and the way between.

use crate::random::Random;
use chrono::TimeDelta;
use salesforce_sim::{OfflineAnswer, OfflineOrg, Unanswered};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// The world of one run. Time passes while requests travel; nothing waits.
pub struct World {
    /// The org. Its clock is the true one.
    pub org: OfflineOrg,
    /// How far the host's clock is ahead of the org's, in milliseconds.
    host_ahead: AtomicI64,
    random: Mutex<Random>,
    requests: AtomicU64,
}

impl World {
    /// A world in which everything that looks random follows from `random`.
    pub fn new(org: OfflineOrg, random: Random) -> Self {
        Self { org, host_ahead: AtomicI64::new(0), random: Mutex::new(random), requests: AtomicU64::new(0) }
    }

    /// The host's clock, in milliseconds since 1970.
    pub fn host_ms(&self) -> i64 {
        self.org_ms() + self.host_ahead.load(Ordering::SeqCst)
    }

    /// Looks at the host's clock, which may go on before it is looked at again.
    pub fn look_at_host_clock(&self) -> i64 {
        let tick = self.random.lock().unwrap_or_else(PoisonError::into_inner).below(2);
        self.pass(i64::try_from(tick).unwrap_or_default());
        self.host_ms()
    }

    /// The org's clock.
    pub fn org_ms(&self) -> i64 {
        self.org.org().clock().now().timestamp_millis()
    }

    /// Sets the host's clock, by how much it is ahead of the org's.
    pub fn set_host_ahead(&self, ms: i64) {
        self.host_ahead.store(ms, Ordering::SeqCst);
    }

    /// Lets time pass, on both clocks.
    pub fn pass(&self, ms: i64) {
        self.org.org().clock().advance(TimeDelta::milliseconds(ms.max(0)));
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Sends a request, which takes its time.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<OfflineAnswer, Unanswered> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (there, back) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.below(400), random.below(400))
        };
        self.pass(i64::try_from(there).unwrap_or_default());
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let answer = self.org.answer(method, path, &headers, body);
        self.pass(i64::try_from(back).unwrap_or_default());
        answer
    }
}
