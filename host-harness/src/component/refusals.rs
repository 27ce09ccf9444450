//! What did not compile within its limits is not tried again at once: each try takes all processors for as long as the limit allows, and
//! while it lasts no other component is compiled.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::digest::Digest;

/// For how long: a machine that was busy may have time later.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// How many, so that whoever brings ever other components cannot fill the memory.
const MOST: usize = 256;

/// A component, and the limits that it was held to: with others it is tried again.
type Key = (Digest, Duration, u64);

#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, (Instant, String)>>);

impl Refusals {
    /// Why a component was refused, if that was lately.
    pub(super) fn of(&self, digest: Digest, admission: &Admission) -> Option<String> {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        refused.get(&key(digest, admission)).map(|(_, reason)| reason.clone())
    }

    /// Notes that a component was refused.
    pub(super) fn note(&self, digest: Digest, admission: &Admission, reason: &str) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST
            && let Some(oldest) = refused.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| *key)
        {
            refused.remove(&oldest);
        }
        refused.insert(key(digest, admission), (Instant::now(), reason.to_owned()));
    }
}

fn key(digest: Digest, admission: &Admission) -> Key {
    (digest, admission.compile_time, admission.compile_memory)
}
