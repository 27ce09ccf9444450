//! What lies where in JetStream, and whether what is there already is that.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode, context::GetStreamErrorKind};
use tokio::time::{Instant, sleep};

use super::errors::{away, is_without_jetstream, no_fleet, no_jetstream, not_created, other_stream};
use crate::engine::EngineError;

/// The oldest server that is used: older ones ignore what they do not know of a stream's settings.
pub const OLDEST_SERVER: (u32, u32) = (2, 14);

/// The most jobs that all workers together have under way.
const UNDER_WAY: i64 = 100_000;
/// The most places of all workers together that wait for a job.
const WAITING: i64 = 16_384;
/// How long servers that start are waited for.
const START: Duration = Duration::from_secs(30);
const START_AGAIN: Duration = Duration::from_millis(500);
/// The longest name of a fleet or a tenant, in bytes.
const LONGEST_NAME: usize = 64;

/// What a fleet is made of in JetStream. Streams that are there already stay as they are, where that does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Its name: letters, digits and `-`. All its streams begin with it.
    pub fleet: String,
    /// On how many servers each message lies. Default 3, which needs a cluster.
    pub replicas: usize,
    /// Whether what lacks of it is made. Otherwise there is no such fleet, and nothing is changed.
    pub make: bool,
    /// How long a job is held by a worker that does not say that it goes on. Default 30 s. Of a fleet that is there it is what it is.
    pub lease: Duration,
    /// For how long an event that comes again is known by its id. Default 10 min; the server keeps each id of it in memory.
    pub window: Duration,
    /// Events of one tenant that wait to be taken, at most; then it is not polled until some were. Default 100,000.
    pub waiting_events: u32,
    /// Bytes of events of all tenants that wait, at most; the servers set so much of their disk aside. Default none: what they have.
    pub waiting_bytes: Option<u64>,
}

impl Layout {
    /// The usual one of a fleet by this name.
    ///
    /// # Errors
    ///
    /// If it is no name.
    pub fn new(fleet: &str) -> Result<Self, EngineError> {
        check_name("a fleet", fleet)?;
        Ok(Self {
            fleet: fleet.to_owned(),
            replicas: 3,
            make: true,
            lease: Duration::from_secs(30),
            window: Duration::from_secs(600),
            waiting_events: 100_000,
            waiting_bytes: None,
        })
    }

    pub(super) fn jobs(&self) -> String {
        format!("{}-jobs", self.fleet)
    }

    pub(super) fn job(&self, tenant: &str) -> String {
        format!("{}.job.{tenant}", self.fleet)
    }

    pub(super) fn wake(&self, tenant: &str) -> String {
        format!("{}.wake.{tenant}", self.fleet)
    }

    /// The stream that has the events of all tenants.
    pub fn events(&self) -> String {
        format!("{}-events", self.fleet)
    }

    /// The subject of a tenant's events. What is collected for it besides, behind a dot, goes there too.
    pub fn events_of(&self, tenant: &str) -> String {
        let tenant = tenant.split('.').next().unwrap_or(tenant);
        format!("{}.events.{tenant}", self.fleet)
    }

    pub(super) fn bucket(&self, of: &str) -> String {
        format!("{}-{of}", self.fleet)
    }

    pub(super) fn checkpoint(&self, tenant: &str) -> String {
        format!("$KV.{}.{tenant}", self.bucket("checkpoints"))
    }

    pub(super) fn jobs_config(&self) -> Config {
        Config {
            name: self.jobs(),
            description: Some(
                "who is to be polled: jobs that wait for a worker, and schedules of later ones".to_owned(),
            ),
            subjects: vec![self.job(">"), self.wake(">")],
            retention: RetentionPolicy::WorkQueue,
            max_messages_per_subject: 1,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_message_schedules: true,
            ..Config::default()
        }
    }

    pub(super) fn events_config(&self) -> Config {
        Config {
            name: self.events(),
            description: Some(
                "events that wait for whoever reads them, a subject for each tenant".to_owned(),
            ),
            subjects: vec![self.events_of("*")],
            retention: RetentionPolicy::WorkQueue,
            max_messages_per_subject: i64::from(self.waiting_events),
            max_bytes: self.waiting_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            storage: StorageType::File,
            num_replicas: self.replicas,
            duplicate_window: self.window,
            allow_direct: true,
            ..Config::default()
        }
    }

    /// A bucket. Each read is answered by the server that leads it: what lies behind is no basis for a poll.
    pub(super) fn bucket_config(&self, of: &str) -> Config {
        let bucket = self.bucket(of);
        Config {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_rollup: true,
            deny_delete: true,
            ..Config::default()
        }
    }

    pub(super) fn consumer_config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some("workers".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.lease,
            deliver_policy: DeliverPolicy::All,
            filter_subject: self.job(">"),
            max_ack_pending: UNDER_WAY,
            max_deliver: -1,
            max_waiting: WAITING,
            ..pull::Config::default()
        }
    }
}

/// Tries until it is done, or somebody has to act. Servers that have just started take some seconds until they have a leader.
pub(super) async fn patiently<T, A>(attempt: impl Fn() -> A) -> Result<T, EngineError>
where
    A: Future<Output = Result<T, EngineError>>,
{
    let deadline = Instant::now() + START;
    loop {
        match attempt().await {
            Err(EngineError::Unavailable(why)) if Instant::now() < deadline => {
                tracing::debug!("{why}; tried again");
                sleep(START_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Makes a stream, or finds that there is one that does.
pub(super) async fn stream(context: &Context, layout: &Layout, wanted: Config) -> Result<(), EngineError> {
    patiently(|| found_or_made(context, layout, wanted.clone())).await
}

async fn found_or_made(context: &Context, layout: &Layout, wanted: Config) -> Result<(), EngineError> {
    let (name, replicas) = (wanted.name.clone(), wanted.num_replicas);
    // One that is there may lie on another number of servers.
    let info = match context.get_stream(&name).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                if !layout.make {
                    return Err(no_fleet(&layout.fleet, &name));
                }
                let made = context.create_stream(wanted.clone()).await;
                made.map_err(|error| not_created(&name, replicas, &error))?.cached_info().clone()
            }
            GetStreamErrorKind::JetStream(answer) if is_without_jetstream(&answer) => {
                return Err(no_jetstream());
            }
            _ => return Err(away(format!("the stream {name} cannot be looked at: {error}"))),
        },
    };
    match difference(&wanted, &info) {
        None => Ok(()),
        Some(how) => Err(other_stream(&name, &how)),
    }
}

/// What differs that matters. A server that is too old takes a setting and leaves it out of what it answers.
fn difference(wanted: &Config, info: &Info) -> Option<String> {
    let there = &info.config;
    let differs = |what: &str, is: &dyn std::fmt::Debug, needed: &dyn std::fmt::Debug| {
        format!("its {what} is {is:?}, and {needed:?} is needed")
    };
    // How many events wait is for whoever made the stream to say.
    let may_be_bounded = wanted.discard_new_per_subject;
    if there.subjects != wanted.subjects {
        Some(differs("subjects", &there.subjects, &wanted.subjects))
    } else if there.retention != wanted.retention {
        Some(differs("retention", &there.retention, &wanted.retention))
    } else if wanted.allow_message_schedules && !there.allow_message_schedules {
        Some(differs("allow_msg_schedules", &false, &true))
    } else if there.discard != wanted.discard {
        Some(differs("discard", &there.discard, &wanted.discard))
    } else if wanted.discard_new_per_subject && !there.discard_new_per_subject {
        Some(differs("discard_new_per_subject", &false, &true))
    } else if wanted.max_messages_per_subject == 1 && there.max_messages_per_subject != 1 {
        Some(differs("max_msgs_per_subject", &there.max_messages_per_subject, &1))
    } else if there.storage != wanted.storage {
        Some(differs("storage", &there.storage, &wanted.storage))
    } else if there.max_age != wanted.max_age && wanted.max_age.is_zero() {
        Some(differs("max_age", &there.max_age, &wanted.max_age))
    } else if there.max_messages > 0 {
        Some(differs("max_msgs", &there.max_messages, &-1))
    } else if there.max_bytes > 0 && !may_be_bounded {
        Some(differs("max_bytes", &there.max_bytes, &-1))
    } else if there.no_ack {
        Some(differs("no_ack", &true, &false))
    } else if wanted.allow_rollup && !there.allow_rollup {
        Some(differs("allow_rollup_hdrs", &false, &true))
    } else {
        None
    }
}

/// Whether a text can be a token of a subject, a key and part of a file's name.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), EngineError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name =
        (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-');
    if is_name {
        return Ok(());
    }
    Err(EngineError::Refused(format!(
        "{name:?} is no name of {what}: letters, digits, `-` and `_`, at most {LONGEST_NAME} of them"
    )))
}
