//! Which workers there are, and which tenants are in trouble: what `fleet status` shows. Nothing depends on it.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::kv::{CreateErrorKind, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bucket::{entries, open};
use super::engine::JetStream;
use super::errors::away;
use crate::engine::EngineError;

/// After so long a worker that says nothing is not shown any more.
const GONE: Duration = Duration::from_secs(60);

/// Who looks whether anybody is forgotten. No worker has this name.
const SWEEPER: &str = "sweeper";

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Presence {
    /// Its name, which no other run has.
    pub worker: String,
    /// The version of its program.
    pub version: String,
    /// How many tenants it polls at the same time.
    pub places: u64,
    /// How many it polls now.
    pub busy: u64,
    /// Since when, in seconds.
    pub up_s: u64,
    /// Jobs that came to an end.
    pub jobs: u64,
    /// Calls of sources.
    pub polls: u64,
    /// Events committed.
    pub events: u64,
    /// Jobs that could not be polled.
    pub failed: u64,
    /// Jobs that another worker had gone on with.
    pub fenced: u64,
    /// Polls a second, of late.
    pub polls_per_s: f64,
    /// Events a second, of late.
    pub events_per_s: f64,
}

/// Why a tenant does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What happened, and what to do.
    pub why: String,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again, in seconds from when this was written.
    pub again_in_s: u64,
    /// Which worker says so.
    pub worker: String,
}

/// Both. Cheap to clone.
#[derive(Clone)]
pub struct Roster {
    engine: JetStream,
    workers: Store,
    troubles: Store,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").finish_non_exhaustive()
    }
}

impl Roster {
    /// That of this fleet.
    ///
    /// # Errors
    ///
    /// If its buckets cannot be opened.
    pub async fn open(engine: &JetStream) -> Result<Self, EngineError> {
        let (context, layout) = (&engine.inner.context, engine.layout());
        let workers = open(context, layout, "workers", GONE).await?;
        let troubles = open(context, layout, "troubles", Duration::ZERO).await?;
        Ok(Self { engine: engine.clone(), workers, troubles })
    }

    /// A worker is there. To be said again within half a minute.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn here(&self, presence: &Presence) -> Result<(), EngineError> {
        let text = serde_json::to_vec(presence).map_err(away)?;
        self.workers.put(&presence.worker, text.into()).await.map(drop).map_err(away)
    }

    /// Whether this worker is to look now whether anybody is forgotten: one of all does, once a minute, since it reads every name.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn may_sweep(&self, worker: &str) -> Result<bool, EngineError> {
        // It goes by itself, as what a worker says does, also where this one dies half-way.
        match self.workers.create(SWEEPER, worker.to_owned().into()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(away(error)),
        }
    }

    /// A worker ends.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn gone(&self, worker: &str) -> Result<(), EngineError> {
        self.workers.purge(worker).await.map_err(away)
    }

    /// A tenant is in trouble, or out of it.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn trouble(&self, tenant: &str, trouble: Option<&Trouble>) -> Result<(), EngineError> {
        match trouble {
            None => self.troubles.purge(tenant).await.map_err(away),
            Some(trouble) => {
                let text = serde_json::to_vec(trouble).map_err(away)?;
                self.troubles.put(tenant, text.into()).await.map(drop).map_err(away)
            }
        }
    }

    /// The workers, with when each said so last.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn workers(&self) -> Result<Vec<(Presence, SystemTime)>, EngineError> {
        let all: Vec<(String, Presence, SystemTime)> = self.read("workers").await?;
        Ok(all.into_iter().map(|(_, presence, at)| (presence, at)).collect())
    }

    /// The tenants in trouble, each with its trouble and when that was written.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn troubles(&self) -> Result<Vec<(String, Trouble, SystemTime)>, EngineError> {
        self.read("troubles").await
    }

    async fn read<T: DeserializeOwned>(&self, of: &str) -> Result<Vec<(String, T, SystemTime)>, EngineError> {
        let bucket = self.engine.layout().bucket(of);
        let all = entries(&self.engine.inner.context, &bucket, false).await?;
        // What a newer version wrote may be something else, and is not shown.
        let of = |entry: super::bucket::Entry| {
            let value = serde_json::from_slice(&entry.value).ok()?;
            Some((entry.key, value, entry.written))
        };
        let mut found: Vec<_> = all.into_iter().filter_map(of).collect();
        found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        Ok(found)
    }
}
