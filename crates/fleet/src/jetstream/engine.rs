//! The four verbs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::{AckKind, Acker, PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::clock::ServerClock;
use super::errors::{answer, away, no_jetstream, not_published, other_consumer};
use super::layout::{Layout, OLDEST_SERVER, patiently, stream};
use crate::engine::{CommitError, Engine, EngineError, has_room};
use crate::job::{Checkpoint, Event, Job, Revision, Wake};
use crate::ledger::{At, Ledger, Refusal, is_committed, replace};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long one request waits for a job. Short, since a server that ends forgets the requests that wait.
const PULL: Duration = Duration::from_secs(5);
/// Events of one commit that are sent before the first was acknowledged.
const IN_FLIGHT: usize = 256;
/// The same of all commits of this process. A server that syncs each to its disk takes a few hundred a second on a slow one, and all
/// of them have to be acknowledged within [`PATIENCE`].
const ALL_IN_FLIGHT: usize = 1024;
/// How much else may be sent and not acknowledged: a checkpoint or a schedule of each place.
const OTHERS_IN_FLIGHT: usize = 4096;
/// How often a job is published that is refused as if there were one.
const WAKE_ATTEMPTS: u32 = 8;
/// How long a job rests whose checkpoint could not be read.
const UNREAD: Duration = Duration::from_secs(1);

/// What the headers of a message have at most besides an id, in bytes: they count as part of it.
const HEADERS: usize = 512;
/// The consumer that all workers share.
const WORKERS: &str = "workers";

const COMMITS: &str = "Fleet-Commits";
const EVENTS: &str = "Fleet-Events";
const WRITER: &str = "Fleet-Writer";
const OPERATION: &str = "KV-Operation";

/// An engine that many hosts share. Cheap to clone.
#[derive(Clone)]
pub struct JetStream {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) context: Context,
    pub(super) layout: Layout,
    consumer: Consumer<pull::Config>,
    checkpoints: Stream<()>,
    events: Stream<()>,
    clock: ServerClock,
    /// Room for events that are not acknowledged yet.
    in_flight: Semaphore,
}

/// A job of [`JetStream`].
pub struct JobLease {
    tenant: String,
    acker: Acker,
    known: Mutex<Known>,
}

/// What a worker knows of its job.
struct Known {
    /// When the lease was known to hold.
    held: Instant,
    checkpoint: At,
}

impl JobLease {
    /// Whose job it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that holds it panics half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another may have got the job meanwhile.
    fn is_late(&self, lease_time: Duration) -> bool {
        self.known().held.elapsed() > lease_time
    }
}

impl std::fmt::Debug for JobLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobLease").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// What a job says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Order {
    failures: u32,
    woken: bool,
}

impl std::fmt::Debug for JetStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStream").field("layout", &self.inner.layout).finish_non_exhaustive()
    }
}

impl JetStream {
    /// The fleet of this layout. What lacks of it is made.
    ///
    /// # Errors
    ///
    /// If the server is older than [`OLDEST_SERVER`], has no JetStream, or streams by these names that are of something else.
    pub async fn open(client: Client, mut layout: Layout) -> Result<Self, EngineError> {
        let server = client.server_info();
        if !is_new_enough(&server.version) {
            let (major, minor) = OLDEST_SERVER;
            return Err(EngineError::Refused(format!(
                "the server {} has version {}, and a fleet needs {major}.{minor} at least: an older one has no schedules and says \
                 nothing when it is asked for them",
                server.server_name, server.version
            )));
        }
        if !server.jetstream {
            return Err(no_jetstream());
        }
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .max_ack_inflight(ALL_IN_FLIGHT + OTHERS_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client);
        let configs = [layout.jobs_config(), layout.events_config(), layout.bucket_config("checkpoints")];
        for config in configs {
            stream(&context, &layout, config).await?;
        }
        let jobs = context.get_stream_no_info(layout.jobs()).await.map_err(away)?;
        // One that is there stays as it is: whoever looks at a fleet does not change its lease.
        let wanted = layout.consumer_config();
        let consumer = patiently(|| async {
            let made = jobs.get_or_create_consumer(WORKERS, wanted.clone()).await;
            made.map_err(|error| away(format!("the consumer of {} cannot be made: {error}", layout.jobs())))
        })
        .await?;
        let there = &consumer.cached_info().config;
        if there.ack_policy != wanted.ack_policy || there.filter_subject != wanted.filter_subject {
            return Err(other_consumer(&layout.jobs(), WORKERS));
        }
        layout.lease = there.ack_wait;
        if there.max_waiting < wanted.max_waiting {
            tracing::warn!(
                "the consumer {WORKERS} of {} was made by an older version: no more than {} places of all workers can ask for jobs at \
                 once (its max_waiting). Remove it while no worker runs, and the next one makes it anew",
                layout.jobs(),
                there.max_waiting
            );
        }
        let checkpoints = format!("KV_{}", layout.bucket("checkpoints"));
        let checkpoints = context.get_stream_no_info(checkpoints).await.map_err(away)?;
        let events = context.get_stream_no_info(layout.events()).await.map_err(away)?;
        let (clock, in_flight) = (ServerClock::default(), Semaphore::new(ALL_IN_FLIGHT));
        let inner = Inner { context, layout, consumer, checkpoints, events, clock, in_flight };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What lies where.
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// Has a tenant polled now, unless a job of it waits or is under way. Returns whether there was none.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn wake(&self, tenant: &str) -> Result<bool, EngineError> {
        let failed = |error: &dyn std::fmt::Display| away(format!("{tenant} cannot be woken: {error}"));
        let job = self.inner.layout.job(tenant);
        let jobs = self.jobs().await?;
        for _ in 0..WAKE_ATTEMPTS {
            let message = order(&Order { failures: 0, woken: true })?.expected_last_subject_sequence(0);
            match self.publish(job.clone(), message).await {
                Ok(()) => return Ok(true),
                Err(error) if answer(&error).is_some_and(is_wrong_sequence) => {}
                Err(error) => return Err(failed(&error)),
            }
            // The refusal proves nothing by itself: the job may have been acknowledged meanwhile, or not have been there.
            match jobs.get_last_raw_message_by_subject(&job).await {
                Ok(_) => return Ok(false),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(&"the servers refuse its job, and have none"))
    }

    /// The events of a tenant that nobody has taken yet, in order.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn waiting_events(&self, tenant: &str) -> Result<Vec<String>, EngineError> {
        let subject = self.inner.layout.events_of(tenant);
        let mut events = Vec::new();
        let mut next = 1;
        loop {
            let found =
                self.inner.events.raw_message_builder().sequence(next).next_by_subject(subject.clone());
            let found = found.send().await;
            match found {
                Ok(message) => {
                    next = message.sequence + 1;
                    events.push(String::from_utf8_lossy(&message.payload).into_owned());
                }
                Err(error) if is_absent(&error) => return Ok(events),
                Err(error) => return Err(away(format!("the events of {tenant} cannot be read: {error}"))),
            }
        }
    }

    /// What lies there as a job's checkpoint, whatever it is.
    async fn last_of(&self, job: &str) -> Result<Option<StreamMessage>, EngineError> {
        let key = self.inner.layout.checkpoint(job);
        match self.inner.checkpoints.get_last_raw_message_by_subject(&key).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(away(format!("the checkpoint of {job} cannot be read: {error}"))),
        }
    }

    /// The revision of that. Zero: there is none.
    pub(super) async fn last_revision(&self, job: &str) -> Result<Revision, EngineError> {
        Ok(self.last_of(job).await?.map_or(Revision(0), |message| Revision(message.sequence)))
    }

    pub(super) async fn publish(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<(), async_nats::jetstream::context::PublishError> {
        self.inner.context.send_publish(subject, message).await?.await.map(|_| ())
    }

    /// Whether all that is to be committed will be taken. What is published without the rest stands in the stream twice, if the
    /// rest has to wait for longer than ids are known.
    async fn would_take(
        &self,
        tenant: &str,
        events: &[Event],
        checkpoint: &Checkpoint,
    ) -> Result<(), CommitError> {
        let refused = |what: String| Err(EngineError::Refused(what).into());
        let most = self.inner.context.client().server_info().max_payload;
        if checkpoint.state.len() + HEADERS > most {
            let bytes = checkpoint.state.len();
            return refused(format!(
                "the state of {tenant} has {bytes} bytes, and the servers take {most} in a message; raise their `max_payload`"
            ));
        }
        let size = |event: &Event| event.text.len() + event.id.as_ref().map_or(0, String::len) + HEADERS;
        if let Some(event) = events.iter().find(|event| size(event) > most) {
            let bytes = event.text.len();
            return refused(format!(
                "an event of {tenant} has {bytes} bytes, and the servers take {most} in a message; raise their `max_payload`, or \
                 lower `limits.event_bytes` of the tenant"
            ));
        }
        if events.is_empty() {
            return Ok(());
        }
        let subject = self.inner.layout.events_of(tenant);
        let failed = |error: &dyn std::fmt::Display| {
            away(format!("how many events of {tenant} wait cannot be learnt: {error}"))
        };
        let asked = self.inner.events.info_with_subjects(&subject).await;
        let mut there = asked.map_err(|error| failed(&error))?;
        let (config, state) = (there.info.config.clone(), there.info.state.clone());
        let mut waiting = 0;
        while let Some(counted) = there.next().await {
            waiting += counted.map_err(|error| failed(&error))?.1 as u64;
        }
        if let Ok(room @ 1..) = u64::try_from(config.max_messages_per_subject) {
            has_room(events.len() as u64, waiting, room)?;
        }
        let bytes: usize = events.iter().map(size).sum();
        match u64::try_from(config.max_bytes) {
            Ok(room @ 1..) if state.bytes.saturating_add(bytes as u64) > room => {
                Err(CommitError::Full(format!("{} bytes of all tenants wait, and {room} may", state.bytes)))
            }
            _ => Ok(()),
        }
    }

    /// Publishes all, and returns once all are safe.
    async fn publish_all(&self, tenant: &str, events: &[Event]) -> Result<(), CommitError> {
        let subject = self.inner.layout.events_of(tenant);
        let of = tenant.split('.').next().unwrap_or(tenant);
        for part in events.chunks(IN_FLIGHT) {
            // Room for all of a part before the first is sent: who has some and waits for more keeps it from others who do the same.
            let room = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let _room = self.inner.in_flight.acquire_many(room).await.map_err(away)?;
            let mut waiting = Vec::with_capacity(part.len());
            let mut failed = None;
            for event in part {
                let mut message =
                    PublishMessage::build().payload(Bytes::copy_from_slice(event.text.as_bytes()));
                // What a header cannot hold identifies nothing.
                if let Some(id) = event.id.as_ref().filter(|id| id.bytes().all(|b| b.is_ascii_graphic())) {
                    message = message.header(NATS_MESSAGE_ID, format!("{of}:{id}"));
                }
                match self.inner.context.send_publish(subject.clone(), message).await {
                    Ok(ack) => waiting.push(ack),
                    Err(error) => {
                        failed = Some(not_published(&subject, &error));
                        break;
                    }
                }
            }
            // Those behind one that failed are waited for, since they are not to arrive later than what comes next; but all of them
            // together no longer than one: ids are forgotten meanwhile, and others want the room.
            let mut until = None;
            for ack in waiting {
                let answered = match until {
                    None => ack.await,
                    Some(until) => match timeout_at(until, ack).await {
                        Ok(answered) => answered,
                        Err(_) => break,
                    },
                };
                if let Err(error) = answered {
                    failed.get_or_insert(not_published(&subject, &error));
                    until.get_or_insert(Instant::now() + PATIENCE);
                }
            }
            if let Some(failed) = failed {
                return Err(failed);
            }
        }
        Ok(())
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()),
        (Some(Some(major)), Some(Some(minor))) if (major, minor) >= OLDEST_SERVER)
}

pub(super) fn is_wrong_sequence(answer: &async_nats::jetstream::Error) -> bool {
    let code = answer.error_code();
    code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE || code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
}

pub(super) fn is_absent(error: &RawMessageError) -> bool {
    match error.kind() {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(answer) => answer.error_code() == ErrorCode::NO_MESSAGE_FOUND,
        _ => false,
    }
}

fn order(order: &Order) -> Result<PublishMessage, EngineError> {
    let order = serde_json::to_vec(order).map_err(away)?;
    Ok(PublishMessage::build().payload(order.into()))
}

impl Ledger for JetStream {
    async fn read(&self, tenant: &str) -> Result<(Option<Checkpoint>, Revision), EngineError> {
        let Some(message) = self.last_of(tenant).await? else { return Ok((None, Revision(0))) };
        let revision = Revision(message.sequence);
        if message.headers.get(OPERATION).is_some() {
            return Ok((None, revision));
        }
        let text = |name: &str| message.headers.get(name).map(|value| value.as_str()).unwrap_or_default();
        let number = |name: &str| text(name).parse().ok();
        let state = String::from_utf8(message.payload.to_vec()).ok();
        let (Some(state), Some(commits), Some(events)) = (state, number(COMMITS), number(EVENTS)) else {
            return Err(EngineError::Refused(format!(
                "what lies in {} for {tenant} is no checkpoint; somebody else wrote it",
                self.inner.layout.bucket("checkpoints")
            )));
        };
        let writer = text(WRITER).to_owned();
        Ok((Some(Checkpoint { state, commits, events, writer }), revision))
    }

    async fn update(
        &self,
        tenant: &str,
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> Result<Revision, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.0.to_string());
        headers.insert(COMMITS, checkpoint.commits.to_string());
        headers.insert(EVENTS, checkpoint.events.to_string());
        headers.insert(WRITER, &*checkpoint.writer);
        let message = PublishMessage::build()
            .payload(Bytes::copy_from_slice(checkpoint.state.as_bytes()))
            .headers(headers);
        let sent = self.inner.context.send_publish(self.inner.layout.checkpoint(tenant), message).await;
        let answered = match sent {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(ack) => Ok(Revision(ack.sequence)),
            Err(error) => Err(match answer(&error) {
                Some(answer) if is_wrong_sequence(answer) => Refusal::WrongRevision,
                Some(answer) if answer.code() < 500 => Refusal::Refused(answer.to_string()),
                _ => match error.kind() {
                    async_nats::jetstream::context::PublishErrorKind::WrongLastSequence => {
                        Refusal::WrongRevision
                    }
                    async_nats::jetstream::context::PublishErrorKind::MaxPayloadExceeded => Refusal::Refused(
                        format!("the state of {tenant} is too large for the server: {error}"),
                    ),
                    _ => Refusal::Unknown(error.to_string()),
                },
            }),
        }
    }
}

impl Engine for JetStream {
    type Lease = JobLease;

    async fn next_job(&self) -> Result<Job<JobLease>, EngineError> {
        let message = loop {
            let waiting = self.inner.consumer.batch().max_messages(1).expires(PULL).messages();
            let mut messages = waiting.await.map_err(away)?;
            match messages.next().await {
                // A server that is left or forgets the request says so, and another is asked.
                None => {}
                Some(Ok(message)) => break message,
                Some(Err(error)) => return Err(away(error)),
            }
        };
        let held = Instant::now();
        let prefix = self.inner.layout.job("");
        let tenant = message.subject.strip_prefix(&*prefix).unwrap_or_default().to_owned();
        let deliveries = message.info().map_err(away)?.delivered;
        let order: Order = serde_json::from_slice(&message.payload).unwrap_or_default();
        let (_, acker) = message.split();
        let (checkpoint, revision, unreadable) = match self.read(&tenant).await {
            Ok((checkpoint, revision)) => (checkpoint, revision, None),
            Err(EngineError::Refused(why)) => (None, Revision::default(), Some(why)),
            Err(error) => {
                // Somebody else may be able to, and it need not wait for the lease.
                let _ = acker.ack_with(AckKind::Nak(Some(UNREAD))).await;
                return Err(error);
            }
        };
        let lease = JobLease {
            tenant: tenant.clone(),
            acker,
            known: Mutex::new(Known { held, checkpoint: At::read(revision) }),
        };
        Ok(Job {
            tenant,
            failures: order.failures,
            woken: order.woken,
            deliveries: u64::try_from(deliveries).unwrap_or_default(),
            checkpoint,
            unreadable,
            revision,
            lease,
        })
    }

    async fn extend(&self, lease: &JobLease) -> Result<(), EngineError> {
        let asked = Instant::now();
        lease.acker.double_ack_with(AckKind::Progress).await.map_err(away)?;
        let mut known = lease.known();
        // The server says the same to whoever has lost the job, so who was late once stays it.
        if asked.duration_since(known.held) <= self.lease_time() {
            known.held = asked;
        }
        Ok(())
    }

    async fn commit(
        &self,
        lease: &JobLease,
        events: &[Event],
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> Result<Revision, CommitError> {
        // Another may have published the same events so long ago that their ids are forgotten. It is no fence: the update is.
        if lease.is_late(self.lease_time())
            && let Some(at) = is_committed(self, &lease.tenant, checkpoint, revision).await?
        {
            lease.known().checkpoint.written(at);
            return Ok(at);
        }
        self.would_take(&lease.tenant, events, checkpoint).await?;
        self.publish_all(&lease.tenant, events).await?;
        // From here on it may be there, whatever is heard of it.
        lease.known().checkpoint.writes(checkpoint);
        let new = replace(self, &lease.tenant, checkpoint, revision).await?;
        lease.known().checkpoint.written(new);
        Ok(new)
    }

    async fn sleep_until(&self, lease: &JobLease, wake: Wake) -> Result<(), CommitError> {
        // What is published here takes the place of what another has planned.
        if lease.is_late(self.lease_time()) {
            let known = lease.known().checkpoint.clone();
            known.is_last(self, &lease.tenant).await?;
        }
        // What is sent while no server is there arrives later, when another may have gone on.
        if self.inner.context.client().connection_state() != State::Connected {
            return Err(
                away(format!("{} cannot be put to sleep: no server is connected", lease.tenant)).into()
            );
        }
        let layout = &self.inner.layout;
        let message = order(&Order { failures: wake.failures, woken: false })?;
        let failed = |error| away(format!("{} cannot be put to sleep: {error}", lease.tenant));
        if wake.after.is_zero() {
            // It takes the place of the job that is held, at the end of the queue.
            return Ok(self.publish(layout.job(&lease.tenant), message).await.map_err(failed)?);
        }
        let at = self.inner.clock.after(&self.inner.context, &layout.jobs(), wake.after).await?;
        let message = message
            .header(async_nats::header::NATS_SCHEDULE, format!("@at {at}"))
            .header(async_nats::header::NATS_SCHEDULE_TARGET, layout.job(&lease.tenant));
        self.publish(layout.wake(&lease.tenant), message).await.map_err(failed)?;
        Ok(lease.acker.double_ack().await.map_err(away)?)
    }

    fn lease_time(&self) -> Duration {
        self.inner.layout.lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_known() {
        for (version, is_enough) in [
            ("2.15.1", true),
            ("2.14.0", true),
            ("2.14.0-RC.1", true),
            ("2.13.9", false),
            ("2.9.10", false),
            ("3.0.0", true),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(is_new_enough(version), is_enough, "{version}");
        }
    }
}
