//! Which tenants there are, and how each is configured.
//!
//! A bucket has a record for each. Secrets do not stand in it: a configuration says where they lie, and a worker looks there.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::bucket::{entries, open};
use super::engine::JetStream;
use super::errors::away;
use super::layout::check_name;
use crate::engine::EngineError;

/// What is collected for a tenant besides is known to the queue by the tenant's name with this behind it.
const BACKFILL: &str = ".backfill";

/// How a tenant is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The configuration, as `source-host run` takes it in a file.
    pub config: String,
    /// The digest of its component, `sha256:` and 64 hexadecimal digits.
    pub component: String,
    /// Whether it is not to be polled.
    #[serde(default)]
    pub paused: bool,
}

/// A range of time that is collected besides: `from <= time < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end, which is not in it any more.
    pub until: DateTime<Utc>,
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(f, "from {} until {}", text(self.from), text(self.until))
    }
}

/// The tenants of a fleet. Cheap to clone.
#[derive(Clone)]
pub struct Tenants {
    engine: JetStream,
    records: Store,
    backfills: Store,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Tenants {
    /// Those of this fleet.
    ///
    /// # Errors
    ///
    /// If their bucket cannot be opened.
    pub async fn open(engine: &JetStream) -> Result<Self, EngineError> {
        let (context, layout) = (&engine.inner.context, engine.layout());
        let records = open(context, layout, "tenants", Duration::ZERO).await?;
        let backfills = open(context, layout, "backfills", Duration::ZERO).await?;
        Ok(Self { engine: engine.clone(), records, backfills })
    }

    /// The record of a tenant, and its revision. What a job is of besides a tenant, a backfill, has the tenant's.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is none.
    pub async fn get(&self, job: &str) -> Result<Option<(Record, u64)>, EngineError> {
        let tenant = tenant_of(job);
        let entry = self.records.entry(tenant).await.map_err(away)?;
        let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
        parse(tenant, &entry.value).map(|record| Some((record, entry.revision)))
    }

    /// The records of all tenants, by name; of one that is none, why.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn all(&self) -> Result<Vec<(String, Result<Record, EngineError>)>, EngineError> {
        let bucket = self.engine.layout().bucket("tenants");
        let mut found: Vec<_> = entries(&self.engine.inner.context, &bucket, false)
            .await?
            .into_iter()
            .map(|entry| {
                let record = parse(&entry.key, &entry.value);
                (entry.key, record)
            })
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    /// Adds a tenant, or has it go on with another configuration. It is polled at once, unless it is paused.
    ///
    /// # Errors
    ///
    /// If its name is none, or the server does not take it.
    pub async fn put(&self, tenant: &str, record: &Record) -> Result<(), EngineError> {
        check_name("a tenant", tenant)?;
        let text = serde_json::to_vec(record).map_err(away)?;
        self.records.put(tenant, text.into()).await.map_err(away)?;
        if !record.paused {
            self.engine.wake(tenant).await?;
        }
        Ok(())
    }

    /// The same, but only if its record still has this revision, as [`Tenants::version`] tells it. Returns whether it had.
    ///
    /// # Errors
    ///
    /// If its name is none, or the server does not take it.
    pub async fn replace(&self, tenant: &str, record: &Record, revision: u64) -> Result<bool, EngineError> {
        check_name("a tenant", tenant)?;
        let text = serde_json::to_vec(record).map_err(away)?;
        match self.records.update(tenant, text.into(), revision).await {
            Ok(_) => {}
            // Somebody else has changed it meanwhile.
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => return Ok(false),
            Err(error) => return Err(away(error)),
        }
        if !record.paused {
            self.engine.wake(tenant).await?;
        }
        Ok(true)
    }

    /// Has a tenant polled no more, or again. Returns whether there is one.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn pause(&self, tenant: &str, paused: bool) -> Result<bool, EngineError> {
        check_name("a tenant", tenant)?;
        loop {
            let Some((record, revision)) = self.get(tenant).await? else { return Ok(false) };
            if self.replace(tenant, &Record { paused, ..record }, revision).await? {
                break;
            }
        }
        if !paused && self.backfill(tenant).await?.is_some() {
            self.engine.wake(&Self::backfill_of(tenant)).await?;
        }
        Ok(true)
    }

    /// Removes a tenant: its record, its jobs, and how far it had come. Events that wait stay. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn remove(&self, tenant: &str) -> Result<bool, EngineError> {
        check_name("a tenant", tenant)?;
        let was_there = self.has_job(tenant).await?;
        self.records.purge(tenant).await.map_err(away)?;
        self.backfills.purge(tenant).await.map_err(away)?;
        self.engine.forget(tenant).await?;
        self.engine.forget(&Self::backfill_of(tenant)).await?;
        Ok(was_there)
    }

    /// Has a range of time collected besides. Returns the one that is under way instead, if there is one.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn begin_backfill(
        &self,
        tenant: &str,
        range: TimeRange,
    ) -> Result<Option<TimeRange>, EngineError> {
        check_name("a tenant", tenant)?;
        let job = Self::backfill_of(tenant);
        let text = Bytes::from(serde_json::to_vec(&range).map_err(away)?);
        loop {
            let revision = self.engine.last_revision(&job).await?;
            if let Some(under_way) = self.backfill(tenant).await? {
                return Ok(Some(under_way));
            }
            // What one left that ended: its state belongs to its range. Whoever began another meanwhile has done this already.
            if !self.engine.forget_progress(&job, Some(revision)).await? {
                continue;
            }
            match self.backfills.create(tenant, text.clone()).await {
                Ok(_) => break,
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
                Err(error) => return Err(away(error)),
            }
        }
        self.engine.wake(&job).await?;
        Ok(None)
    }

    /// Ends a backfill that is complete, if it is still this one.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn complete_backfill(&self, job: &str, range: TimeRange) -> Result<(), EngineError> {
        let tenant = tenant_of(job);
        let entry = self.backfills.entry(tenant).await.map_err(away)?;
        let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(()) };
        if serde_json::from_slice(&entry.value).ok() != Some(range) {
            return Ok(());
        }
        self.backfills.purge_expect_revision(tenant, Some(entry.revision)).await.map_err(away)
    }

    /// Ends a backfill, complete or not. Returns the one that there was.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn end_backfill(&self, tenant: &str) -> Result<Option<TimeRange>, EngineError> {
        check_name("a tenant", tenant)?;
        let found = self.backfill(tenant).await?;
        self.backfills.purge(tenant).await.map_err(away)?;
        Ok(found)
    }

    /// What is collected for a tenant besides.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn backfill(&self, job: &str) -> Result<Option<TimeRange>, EngineError> {
        let tenant = tenant_of(job);
        let Some(text) = self.backfills.get(tenant).await.map_err(away)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            EngineError::Refused(format!("the backfill of {tenant} is no range of time: {error}"))
        })
    }

    /// What the queue calls the backfill of a tenant.
    pub fn backfill_of(tenant: &str) -> String {
        format!("{tenant}{BACKFILL}")
    }

    /// Whether a job is of a backfill.
    pub fn is_backfill(job: &str) -> bool {
        job.ends_with(BACKFILL)
    }

    /// Whether there should be a job by this name.
    pub(super) async fn has_job(&self, job: &str) -> Result<bool, EngineError> {
        let (bucket, key) = match job.strip_suffix(BACKFILL) {
            Some(tenant) => (&self.backfills, tenant),
            None => (&self.records, job),
        };
        // A name that is none is nobody's.
        if check_name("a tenant", key).is_err() {
            return Ok(false);
        }
        let entry = bucket.entry(key).await.map_err(away)?;
        Ok(entry.is_some_and(|entry| entry.operation == Operation::Put))
    }

    /// Which record of a tenant there is, and of a backfill which range: another number after each change.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn version(&self, job: &str) -> Result<(u64, u64), EngineError> {
        let tenant = tenant_of(job);
        let of = |entry: Option<async_nats::jetstream::kv::Entry>| entry.map_or(0, |entry| entry.revision);
        let record = of(self.records.entry(tenant).await.map_err(away)?);
        let range =
            if Self::is_backfill(job) { of(self.backfills.entry(tenant).await.map_err(away)?) } else { 0 };
        Ok((record, range))
    }

    /// Has a tenant polled now.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn wake(&self, job: &str) -> Result<(), EngineError> {
        self.engine.wake(job).await.map(drop)
    }

    /// The jobs that there should be.
    pub(super) async fn jobs(&self) -> Result<Vec<String>, EngineError> {
        let (context, layout) = (&self.engine.inner.context, self.engine.layout());
        let tenants = entries(context, &layout.bucket("tenants"), true).await?;
        let backfills = entries(context, &layout.bucket("backfills"), true).await?;
        let backfills = backfills.into_iter().map(|entry| Self::backfill_of(&entry.key));
        Ok(tenants.into_iter().map(|entry| entry.key).chain(backfills).collect())
    }

    /// Tells of each change of a tenant, for as long as the servers are there, and wakes whom it concerns.
    ///
    /// # Errors
    ///
    /// Why nothing more is heard. What was missed then is found by [`JetStream::sweep`], and at each poll.
    pub async fn watch(&self, mut told: impl FnMut(&str, Option<&Record>)) -> Result<(), EngineError> {
        let mut changes = self.records.watch_all().await.map_err(away)?;
        while let Some(change) = changes.next().await {
            let change = change.map_err(away)?;
            let record = match change.operation {
                Operation::Put => parse(&change.key, &change.value),
                Operation::Delete | Operation::Purge => {
                    told(&change.key, None);
                    continue;
                }
            };
            match record {
                Ok(record) => {
                    told(&change.key, Some(&record));
                    if !record.paused && check_name("a tenant", &change.key).is_ok() {
                        self.engine.wake(&change.key).await?;
                    }
                }
                Err(error) => tracing::error!(tenant = change.key, "{error}"),
            }
        }
        Err(away("the watch has ended"))
    }
}

/// Whose job it is, by its name.
fn tenant_of(job: &str) -> &str {
    job.strip_suffix(BACKFILL).unwrap_or(job)
}

fn parse(tenant: &str, text: &[u8]) -> Result<Record, EngineError> {
    serde_json::from_slice(text)
        .map_err(|error| EngineError::Refused(format!("the record of {tenant} is none: {error}")))
}
