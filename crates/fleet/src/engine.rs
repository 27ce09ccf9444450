//! What a fleet needs of a system that all its workers share.

use std::time::Duration;

use thiserror::Error;

use crate::job::{Checkpoint, Event, Job, Revision, Wake};

/// Four verbs. `conformance` (a feature of this crate) tries an engine.
///
/// Every call may be dropped at any point, as it is when a worker dies: then it was done, or it was not, or events were
/// published and the checkpoint not replaced. Never the other way round.
pub trait Engine: Send + Sync {
    /// What a job is known by while a worker holds it.
    type Lease: Send + Sync;

    /// Waits for a job. Nobody else gets it before its lease runs out; fair over tenants, the one that waits longest first.
    fn next_job(&self) -> impl Future<Output = Result<Job<Self::Lease>, EngineError>> + Send;

    /// Has the lease begin anew. That it has run out meanwhile need not be noticed: only [`Engine::commit`] fences.
    fn extend(&self, lease: &Self::Lease) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Publishes events and then replaces the checkpoint that has this revision. Returns the revision of the new one.
    ///
    /// Where it is known beforehand that not all of them are taken, none is published: what waits longer than an engine knows ids
    /// would come again.
    fn commit(
        &self,
        lease: &Self::Lease,
        events: &[Event],
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> impl Future<Output = Result<Revision, CommitError>> + Send;

    /// Is done with the job, and has the tenant's next one come later. It cannot happen that the one is done and the other is not
    /// in such a way that the tenant is forgotten. Who is late is told that it is fenced, where another has committed meanwhile: when
    /// the tenant wakes is the other's to say.
    fn sleep_until(
        &self,
        lease: &Self::Lease,
        wake: Wake,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// How long a lease holds that is not extended.
    fn lease_time(&self) -> Duration;
}

/// An engine could not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// It may pass: a server is away, or did not answer in time.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody has to act.
    #[error("{0}")]
    Refused(String),
}

/// Whether so many events more of a tenant have room, where so many wait.
pub(crate) fn has_room(more: u64, waiting: u64, room: u64) -> Result<(), CommitError> {
    if more > room {
        return Err(EngineError::Refused(format!(
            "a batch of {more} events never has room where {room} of a tenant may wait; give the stream of events more \
             (max_msgs_per_subject)"
        ))
        .into());
    }
    if waiting.saturating_add(more) > room {
        return Err(CommitError::Full(format!("{waiting} wait, {more} more have come, and {room} may wait")));
    }
    Ok(())
}

/// Why nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Another worker has replaced the checkpoint. What was polled is to be thrown away, and the job is no longer one's own.
    #[error("another worker has gone on: the checkpoint has revision {} by now", .0.0)]
    Fenced(Revision),
    /// The tenant's events are not taken away as fast as they come; those of others may be.
    #[error("there is no room for the tenant's events: {0}")]
    Full(String),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
