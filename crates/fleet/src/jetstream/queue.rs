//! What waits, what is under way and what sleeps; and that nobody is forgotten.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_ROLLUP};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt as _;

use super::bucket::entries;
use super::engine::{JetStream, is_absent, is_wrong_sequence};
use super::errors::{answer, away};
use super::tenants::Tenants;
use crate::engine::EngineError;
use crate::job::{Checkpoint, Revision};

/// How deep the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that wait for a worker.
    pub waiting: u64,
    /// Jobs that a worker has.
    pub under_way: u64,
    /// Tenants that sleep until it is time.
    pub asleep: u64,
    /// For how long the oldest job has been there, waiting or under way.
    pub oldest: Duration,
    /// Events that nobody has taken yet.
    pub events: u64,
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tenants that had neither a job nor a schedule, and have one now.
    pub woken: Vec<String>,
    /// Jobs and schedules that were of nobody, and are gone.
    pub removed: Vec<String>,
}

/// Where a tenant's next job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It sleeps.
    Asleep,
    /// It waits for a worker, or one has it.
    Due,
}

/// How far a tenant has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose it is.
    pub tenant: String,
    /// How many commits there were, how many events they had and who made the last one; not the state.
    pub checkpoint: Checkpoint,
    /// When the last one was made.
    pub at: SystemTime,
}

impl JetStream {
    pub(super) async fn jobs(&self) -> Result<Stream<()>, EngineError> {
        self.inner.context.get_stream_no_info(self.layout().jobs()).await.map_err(away)
    }

    /// How deep the queue is.
    ///
    /// # Errors
    ///
    /// If the servers do not say.
    pub async fn depth(&self) -> Result<Depth, EngineError> {
        let stream = self.jobs().await?;
        let consumer = stream.consumer_info("workers").await.map_err(away)?;
        let messages = stream.get_info().await.map_err(away)?.state.messages;
        let (waiting, under_way) = (consumer.num_pending, consumer.num_ack_pending as u64);
        let oldest = self.oldest_job(&stream).await?.unwrap_or_default();
        let events = self.inner.context.get_stream_no_info(self.layout().events()).await.map_err(away)?;
        let events = events.get_info().await.map_err(away)?.state.messages;
        Ok(Depth { waiting, under_way, asleep: messages.saturating_sub(waiting + under_way), oldest, events })
    }

    async fn oldest_job(&self, stream: &Stream<()>) -> Result<Option<Duration>, EngineError> {
        let first = stream.raw_message_builder().sequence(1).next_by_subject(self.layout().job(">"));
        match first.send().await {
            Ok(message) => Ok(SystemTime::now().duration_since(SystemTime::from(message.time)).ok()),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    /// Which tenants have a job, and which sleep.
    ///
    /// # Errors
    ///
    /// If the servers do not say.
    pub async fn standings(&self) -> Result<Vec<(String, Standing)>, EngineError> {
        let stream = self.jobs().await?;
        let mut found = Vec::new();
        for (prefix, standing) in
            [(self.layout().job(""), Standing::Due), (self.layout().wake(""), Standing::Asleep)]
        {
            let mut subjects = stream.info_with_subjects(format!("{prefix}>")).await.map_err(away)?;
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(away)?;
                if let Some(tenant) = subject.strip_prefix(&*prefix) {
                    found.push((tenant.to_owned(), standing));
                }
            }
        }
        Ok(found)
    }

    /// How far all tenants have come.
    ///
    /// # Errors
    ///
    /// If the servers do not say.
    pub async fn progress(&self) -> Result<Vec<Progress>, EngineError> {
        let found = entries(&self.inner.context, &self.layout().bucket("checkpoints"), true).await?;
        let of = |entry: super::bucket::Entry| {
            let text = |name: &str| entry.headers.get(name).map(|value| value.as_str()).unwrap_or_default();
            let number = |name: &str| text(name).parse().unwrap_or_default();
            let checkpoint = Checkpoint {
                state: String::new(),
                commits: number("Fleet-Commits"),
                events: number("Fleet-Events"),
                writer: text("Fleet-Writer").to_owned(),
            };
            Progress { checkpoint, at: entry.written, tenant: entry.key }
        };
        Ok(found.into_iter().map(of).collect())
    }

    /// Sees to it that each tenant has a job or a schedule, and nobody else. There is no leader: each worker sweeps now and then.
    ///
    /// A tenant loses neither by what a worker does. It may by what an operator does (a stream that was put back from a copy), or
    /// have none yet, where whoever added it was cut off.
    ///
    /// # Errors
    ///
    /// If the servers do not answer.
    pub async fn sweep(&self, tenants: &Tenants) -> Result<Swept, EngineError> {
        // In this order, so that one that is added meanwhile is not removed.
        let queued: BTreeSet<String> = self.standings().await?.into_iter().map(|(name, _)| name).collect();
        let wanted: BTreeSet<String> = tenants.jobs().await?.into_iter().collect();
        let mut swept = Swept::default();
        for tenant in wanted.difference(&queued) {
            // Its schedule may have become a job between the two looks.
            if self.wake(tenant).await? {
                swept.woken.push(tenant.clone());
            }
        }
        for tenant in queued.difference(&wanted) {
            // What was read may come from a server that lies behind. This one is asked of the one that leads.
            if tenants.has_job(tenant).await? {
                continue;
            }
            self.drop_jobs(tenant).await?;
            swept.removed.push(tenant.clone());
        }
        Ok(swept)
    }

    async fn drop_jobs(&self, tenant: &str) -> Result<(), EngineError> {
        let stream = self.jobs().await?;
        for subject in [self.layout().wake(tenant), self.layout().job(tenant)] {
            stream.purge().filter(subject).await.map_err(away)?;
        }
        Ok(())
    }

    /// Removes the jobs of a tenant, and how far it had come.
    pub(super) async fn forget(&self, tenant: &str) -> Result<(), EngineError> {
        self.drop_jobs(tenant).await?;
        self.forget_progress(tenant, None).await.map(drop)
    }

    /// Removes how far a job has come; if a revision is named, only while that is the last. Returns whether it was.
    pub(super) async fn forget_progress(
        &self,
        job: &str,
        last: Option<Revision>,
    ) -> Result<bool, EngineError> {
        // A mark stays in its place, so that whoever holds an older one finds another revision.
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "PURGE");
        headers.insert(NATS_ROLLUP, "sub");
        if let Some(Revision(last)) = last {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
        }
        let mark = PublishMessage::build().headers(headers);
        match self.publish(self.layout().checkpoint(job), mark).await {
            Ok(()) => Ok(true),
            Err(error) if last.is_some() && answer(&error).is_some_and(is_wrong_sequence) => Ok(false),
            Err(error) => Err(away(format!("how far {job} has come cannot be removed: {error}"))),
        }
    }
}
