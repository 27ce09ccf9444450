//! Replacing a checkpoint where refusals are not to be believed.
//!
//! A replicated store may refuse the right revision under load, and an answer may be lost on its way though the checkpoint was
//! replaced. So a refusal is no proof that there is another writer: what lies there is read again and compared.

use std::time::Duration;

use crate::engine::{CommitError, EngineError};
use crate::job::{Checkpoint, Revision};

/// How often a replacement is tried whose revision is the right one.
const ATTEMPTS: u32 = 8;
/// The wait before the second attempt, doubled with each.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Where checkpoints lie.
pub trait Ledger: Sync {
    /// What lies there, and its revision. One that was removed may leave a revision behind.
    fn read(
        &self,
        tenant: &str,
    ) -> impl Future<Output = Result<(Option<Checkpoint>, Revision), EngineError>> + Send;

    /// Replaces the one that has this revision.
    fn update(
        &self,
        tenant: &str,
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> impl Future<Output = Result<Revision, Refusal>> + Send;
}

/// Why a checkpoint was not replaced, as far as the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The store says that the revision is another one.
    WrongRevision,
    /// It may have been replaced, or not.
    Unknown(String),
    /// Somebody has to act.
    Refused(String),
}

/// What whoever may be late looks at before it publishes anything: the revision of what it wants to write, if that is there already.
///
/// # Errors
///
/// [`CommitError::Fenced`] if another has replaced the checkpoint that it knows.
pub(crate) async fn is_committed<L: Ledger>(
    ledger: &L,
    tenant: &str,
    mine: &Checkpoint,
    known: Revision,
) -> Result<Option<Revision>, CommitError> {
    match ledger.read(tenant).await? {
        (Some(found), at) if found == *mine => Ok(Some(at)),
        (_, at) if at > known => Err(CommitError::Fenced(at)),
        _ => Ok(None),
    }
}

/// The checkpoint of a job, as far as who works on it knows.
#[derive(Clone, Debug)]
pub(crate) struct At {
    revision: Revision,
    /// By which name it has written since, if it is to have written: no other run has that name.
    writer: Option<String>,
}

impl At {
    /// As it was read with the job.
    pub(crate) fn read(revision: Revision) -> Self {
        Self { revision, writer: None }
    }

    /// This one may be there from now on, whether the answer comes or not.
    pub(crate) fn writes(&mut self, checkpoint: &Checkpoint) {
        self.writer = Some(checkpoint.writer.clone());
    }

    /// It is there.
    pub(crate) fn written(&mut self, at: Revision) {
        self.revision = at;
    }

    /// What whoever may be late looks at before it plans anything.
    ///
    /// # Errors
    ///
    /// [`CommitError::Fenced`] if another has replaced it.
    pub(crate) async fn is_last<L: Ledger>(&self, ledger: &L, tenant: &str) -> Result<(), CommitError> {
        match ledger.read(tenant).await? {
            (Some(found), _) if self.writer.as_ref() == Some(&found.writer) => Ok(()),
            (_, at) if at > self.revision => Err(CommitError::Fenced(at)),
            _ => Ok(()),
        }
    }
}

/// Replaces the checkpoint that has this revision, or finds that it is replaced already.
///
/// # Errors
///
/// [`CommitError::Fenced`] only if what lies there has another revision and is not what was to be written.
pub async fn replace<L: Ledger>(
    ledger: &L,
    tenant: &str,
    checkpoint: &Checkpoint,
    revision: Revision,
) -> Result<Revision, CommitError> {
    let mut wait = FIRST_WAIT;
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        match ledger.update(tenant, checkpoint, revision).await {
            Ok(new) => return Ok(new),
            Err(Refusal::Refused(why)) => return Err(EngineError::Refused(why).into()),
            Err(Refusal::WrongRevision) => last = "the store refuses the right revision".to_owned(),
            Err(Refusal::Unknown(why)) => last = why,
        }
        match ledger.read(tenant).await {
            Ok((Some(found), at)) if found == *checkpoint => return Ok(at),
            Ok((_, at)) if at > revision => return Err(CommitError::Fenced(at)),
            // What was read may be behind, or the refusal was wrong.
            Ok(_) => {}
            Err(EngineError::Unavailable(why)) => last = why,
            Err(error) => return Err(error.into()),
        }
    }
    Err(EngineError::Unavailable(format!("the checkpoint cannot be replaced: {last}")).into())
}
