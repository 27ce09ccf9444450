//! What workers and engines speak of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which checkpoint it is: another one after each replacement, and larger. Zero: there is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// How far the collection of a tenant has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What the source is polled with next.
    pub state: String,
    /// How many commits there have been. Never goes back.
    pub commits: u64,
    /// How many events they had.
    pub events: u64,
    /// Who made the last one: a name of a place of a worker that no other run has.
    pub writer: String,
}

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same for the same record, whoever polls it and how often. Without one, repeats are not recognised.
    pub id: Option<String>,
    /// The event itself.
    pub text: String,
}

/// A tenant that is to be polled now, by whoever holds the lease.
#[derive(Debug)]
pub struct Job<L> {
    /// The tenant.
    pub tenant: String,
    /// How often in a row it could not be polled.
    pub failures: u32,
    /// Whether somebody had it woken: then how often it could not be polled before is not known.
    pub woken: bool,
    /// How often this job was handed out, this time included. More than once: a worker died over it, or was late.
    pub deliveries: u64,
    /// Where to go on.
    pub checkpoint: Option<Checkpoint>,
    /// Why what lies there is no checkpoint. The tenant is not polled until somebody mends it.
    pub unreadable: Option<String>,
    /// Which one it is.
    pub revision: Revision,
    /// What the engine knows it by.
    pub lease: L,
}

/// When a tenant is to be polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// From now on. A length and no time of day, so that no worker's clock matters.
    pub after: Duration,
    /// How often in a row it could not be polled.
    pub failures: u32,
}
