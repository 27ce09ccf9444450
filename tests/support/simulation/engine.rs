//! What is put to the test: the collector itself, or the component in the host.

use super::world::World;
use crate::canned::{CannedOrg, StillClock};
use anyhow::{Context as _, Result, bail};
use collector::{
    Collector,
    check::Finding,
    io::{Clock, Http, Request, Response, TransportError},
    secret::Secret,
};
use http_body_util::BodyExt;
use source_host::{
    Answer, Egress, Error, Limits, Options, Plugin, Session, Source, Timeouts, Transport, WasiBody,
};
use std::{sync::Arc, time::Duration};

/// The host name of the org.
pub const HOST: &str = "simulated.my.salesforce.com";

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// The events.
    pub events: Vec<String>,
    /// The state; none where a failure came without.
    pub state: Option<String>,
    /// When to poll again, in milliseconds.
    pub next_poll_ms: u32,
    /// What went wrong.
    pub problems: Vec<String>,
    /// Requests that were sent.
    pub requests: u32,
    /// Files known of and not read to their end.
    pub backlog_files: u32,
    /// Whether nothing at all could be done.
    pub failed: bool,
}

impl Polled {
    /// A poll that could do nothing at all.
    fn failure(retry_after_ms: Option<u32>, problem: String, state: Option<String>) -> Self {
        // The wait of hosts where a failure names none.
        let next_poll_ms = retry_after_ms.unwrap_or(30_000);
        Self { next_poll_ms, problems: vec![problem], state, failed: true, ..Self::default() }
    }
}

/// What one instance hands to the next.
pub enum Handed {
    /// Of the collector.
    Native(Secret),
    /// Of the component.
    Hosted(Session),
}

/// Something that can be polled.
pub trait Engine {
    /// Drops the instance, and returns what it hands to the next.
    ///
    /// # Errors
    /// When it breaks the contract.
    fn suspend(&mut self) -> Result<Option<Handed>>;

    /// A new instance, configured anew, that is given a session if there is one.
    ///
    /// # Errors
    /// When the configuration is refused.
    fn renew(&mut self, config: &str, session: Option<Handed>) -> Result<()>;

    /// Polls.
    ///
    /// # Errors
    /// When it breaks the contract: traps, exceeds a limit, refuses a state of its own.
    fn poll(&mut self, state: Option<&str>) -> Result<Polled>;
}

/// The collector alone.
pub struct Native {
    collector: Collector,
    door: Door,
}

struct Door(Arc<World>);

impl Native {
    /// A collector in a world.
    pub fn new(world: Arc<World>) -> Self {
        Self { collector: Collector::new(), door: Door(world) }
    }

    /// Tries each thing that a poll needs.
    pub fn check(&mut self) -> Vec<Finding> {
        let clock = HostClock(Arc::clone(&self.door.0));
        self.collector.check(&mut self.door, &clock)
    }

    /// The collector, for what it answers without the org.
    pub fn collector(&mut self) -> &mut Collector {
        &mut self.collector
    }
}

impl Http for Door {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if request.authority != HOST {
            return Err(TransportError::Denied(format!("{} is not allowed", request.authority)));
        }
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.reveal().to_owned()))
            .collect();
        let body = request.body.as_ref().map(|body| body.reveal().as_bytes());
        let method = if body.is_some() { "POST" } else { "GET" };
        let answer = self.0.send(method, &request.path, &headers, body.unwrap_or_default());
        let answer = answer.map_err(|error| TransportError::Failed(error.to_string()))?;
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

struct HostClock(Arc<World>);

impl source_host::Clock for HostClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.look_at_host_clock().unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        Clock::elapsed(self)
    }
}

impl Clock for HostClock {
    fn now_ms(&self) -> i64 {
        self.0.look_at_host_clock()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.org_ms().unsigned_abs())
    }
}

/// The session of a collector with another configuration, which signed in to another org.
///
/// # Errors
/// When the configuration is refused, or it could not sign in.
pub fn foreign_session(config: &str) -> Result<Secret> {
    let mut config: serde_json::Value = serde_json::from_str(config)?;
    config["auth"]["client_id"] = "stranger".into();
    let mut stranger = Collector::new();
    if let Err(problems) = stranger.configure(&config.to_string()) {
        bail!("the configuration is refused: {problems:?}");
    }
    // How the poll ends does not matter: it has signed in.
    let _ = stranger.poll(&mut CannedOrg::default(), &StillClock::at(0), None);
    stranger.suspend().context("it has not signed in")
}

impl Engine for Native {
    fn suspend(&mut self) -> Result<Option<Handed>> {
        let session = self.collector.suspend().map(Handed::Native);
        self.collector = Collector::new();
        Ok(session)
    }

    fn renew(&mut self, config: &str, session: Option<Handed>) -> Result<()> {
        self.collector = Collector::new();
        if let Err(problems) = self.collector.configure(config) {
            bail!("the configuration is refused: {problems:?}");
        }
        if let Some(Handed::Native(session)) = session {
            self.collector.resume(session.reveal());
        }
        Ok(())
    }

    fn poll(&mut self, state: Option<&str>) -> Result<Polled> {
        let clock = HostClock(Arc::clone(&self.door.0));
        match self.collector.poll(&mut self.door, &clock, state) {
            Ok(batch) => Ok(Polled {
                events: batch.events,
                state: Some(batch.state),
                next_poll_ms: batch.next_poll_ms,
                problems: batch.problems.iter().map(ToString::to_string).collect(),
                requests: batch.stats.requests,
                backlog_files: batch.stats.backlog_files,
                failed: false,
            }),
            Err(failure) if failure.problem.kind == collector::problem::Kind::State => {
                bail!("it refuses its own state: {}", failure.problem)
            }
            Err(failure) => Ok(Polled::failure(
                failure.problem.retry_after_ms,
                failure.problem.to_string(),
                failure.state,
            )),
        }
    }
}

/// The component in the host, with little memory.
pub struct Hosted {
    plugin: Plugin,
    world: Arc<World>,
    runtime: tokio::runtime::Runtime,
    source: Option<Source>,
    /// The most memory that an instance has held, in bytes.
    pub peak_memory: u64,
}

/// What the component may hold in a simulation.
const MEMORY: u64 = 32 << 20;

impl Hosted {
    /// A component in a world.
    ///
    /// # Errors
    /// When there is no runtime for it.
    pub fn new(plugin: Plugin, world: Arc<World>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { plugin, world, runtime, source: None, peak_memory: 0 })
    }
}

impl Engine for Hosted {
    fn suspend(&mut self) -> Result<Option<Handed>> {
        let Some(source) = &mut self.source else { return Ok(None) };
        Ok(self.runtime.block_on(source.suspend())?.map(Handed::Hosted))
    }

    fn renew(&mut self, config: &str, session: Option<Handed>) -> Result<()> {
        let mut limits = Limits::default();
        limits.memory = MEMORY;
        limits.requests_per_second = u32::MAX;
        let options = Options::new()
            .limits(limits)
            .egress(Egress::allow([HOST])?)
            .transport(WorldTransport(Arc::clone(&self.world)))
            .clock(HostClock(Arc::clone(&self.world)));
        let mut source = self.runtime.block_on(self.plugin.open(options))?;
        let session = session.and_then(|session| match session {
            Handed::Hosted(session) => Some(session),
            Handed::Native(_) => None,
        });
        self.runtime.block_on(source.revive(config, session)).context("the configuration")?;
        self.source = Some(source);
        Ok(())
    }

    fn poll(&mut self, state: Option<&str>) -> Result<Polled> {
        let source = self.source.as_mut().context("it is not configured")?;
        let result = self.runtime.block_on(source.poll(state));
        self.peak_memory = self.peak_memory.max(source.peak_memory());
        match result {
            Ok(batch) => Ok(Polled {
                events: batch.events,
                state: Some(batch.state),
                next_poll_ms: batch.next_poll_ms,
                problems: batch.problems.iter().map(ToString::to_string).collect(),
                requests: batch.stats.requests,
                backlog_files: batch.stats.backlog_files,
                failed: false,
            }),
            Err(Error::Failure(failure)) if failure.problem.kind != source_host::ProblemKind::State => Ok(
                Polled::failure(failure.problem.retry_after_ms, failure.problem.to_string(), failure.state),
            ),
            Err(error) => Err(error.into()),
        }
    }
}

struct WorldTransport(Arc<World>);

impl Transport for WorldTransport {
    fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Answer {
        let world = Arc::clone(&self.0);
        Box::pin(async move { answer_of(&world, request).await })
    }
}

/// What a world answers to a request of the host.
///
/// # Errors
/// When no answer comes.
pub async fn answer_of(
    world: &World,
    request: http::Request<WasiBody>,
) -> Result<http::Response<WasiBody>, source_host::TransportError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let answer = world
        .send(parts.method.as_str(), path, &headers, &body)
        .map_err(|_| source_host::TransportError::ConnectionTerminated)?;
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(crate::hosted::from_reader(answer.body))
        .map_err(|_| source_host::TransportError::HttpProtocolError)
}
