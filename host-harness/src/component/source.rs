//! One configured instance of a component, and the calls of the contract.
//!
//! A call is stopped in two ways at its deadline: a guest that computes is interrupted at every tick of the epoch, gives
//! way to other tasks, and traps when its time is up; a guest that waits for the network is stopped by a timer outside.
//! Either way, and after any trap, the instance is in no state to be trusted: it refuses all further calls, and the
//! caller opens a new one with the same state ([`Source::renew`]). Nothing is lost by that, as the contract's first rule says.
//!
//! A host of many sources drops instances that only wait: [`Source::suspend`] before the wait, [`Source::revive`] after it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tracing::field::Empty;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpCtx;

use super::answer;
use super::calls::{Calls, Code};
use super::cpu::{Metered, Scheduler, Usage};
use super::guest::{Guest, Injected};
use super::limits::{Limits, Meter};
use super::options::{Clock, Options, SystemClock};
use super::session::Session;
use super::stream::Stream;
use super::ticker::{Ticker, Ticking};
use crate::account::{Account, Exceeded};
use crate::bindings::exports::pipeline::source::source::{self as wit, TimeRange};
use crate::contract::{Batch, Description, Failure, Finding, Grants, printable};
use crate::error::Error;
use crate::network::egress::Gate;
use crate::network::outgoing::{Bell, Outgoing, Pace};
use crate::network::transport::Transport;
use crate::observer::CallRecord;

/// One instance of a component: `configure` once, then `poll` in a loop.
///
/// ```no_run
/// # fn deliver(_: &[String]) {}
/// # fn save(_: &str) {}
/// # async fn example(mut source: source_host::Source, config: &str, saved: Option<String>) -> Result<(), source_host::Error> {
/// use std::time::Duration;
///
/// use source_host::Error;
///
/// let grants = source.configure(config).await?;
/// if !source.denied().is_empty() {
///     println!("of {:?} these are not allowed: {:?}", grants.authorities, source.denied());
/// }
/// let mut state = saved;
/// loop {
///     match source.poll(state.as_deref()).await {
///         Ok(batch) => {
///             // First the events, then the state: it covers them.
///             deliver(&batch.events);
///             save(&batch.state);
///             tokio::time::sleep(Duration::from_millis(batch.next_poll_ms.into())).await;
///             state = Some(batch.state);
///         }
///         Err(Error::Failure(failure)) if failure.problem.kind.passes() => {
///             let wait = failure.problem.retry_after_ms.unwrap_or(60_000);
///             tokio::time::sleep(Duration::from_millis(wait.into())).await;
///         }
///         // Stopped or trapped: a new instance goes on from the same state. Wait before you do this again.
///         Err(error) if !source.is_usable() => {
///             println!("{error}, after {:?} and {} bytes", source.cpu_time(), source.peak_memory());
///             source.renew().await?;
///             source.configure(config).await?;
///         }
///         Err(error) => return Err(error),
///     }
/// }
/// # }
/// ```
pub struct Source {
    /// What a new instance is made of.
    code: Code,
    ticker: Arc<Ticker>,
    options: Options,
    /// Kept from one instance to the next that takes its place at once.
    transport: Option<Arc<dyn Transport>>,
    usage: Arc<Usage>,
    /// What it makes the host hold, in all instances and in batches that outlive them.
    account: Arc<Account>,
    /// Over all instances: one that crashes does not begin anew.
    pace: Arc<Mutex<Pace>>,
    instance: Option<Instance>,
    denied: Vec<String>,
    peak: u64,
    /// How long the component may rest within the call at hand.
    rest: Duration,
}

struct Instance {
    store: Store<Guest>,
    calls: Calls,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("usable", &self.is_usable()).finish_non_exhaustive()
    }
}

/// Ends the borrow of the instance as soon as there is a future, and puts the instance back when the call has ended well: one
/// that was dropped half-way, stopped or trapped is gone. What is logged meanwhile stands in a span with the call's name.
macro_rules! call {
    ($self:ident, $function:ident, $name:literal, $fuel:expr $(, $argument:expr)*) => {{
        let span = tracing::debug_span!($name, requests = Empty);
        call!(in span, $self, $function, $name, $fuel $(, $argument)*)
    }};
    (in $span:ident, $self:ident, $function:ident, $name:literal, $fuel:expr $(, $argument:expr)*) => {{
        let mut instance = $self.begin($fuel)?;
        let started = Instant::now();
        let call = instance.calls.$function(&mut instance.store $(, $argument)*);
        let ended = $self.bounds().run(call).instrument($span.clone()).await;
        instance.store.data_mut().outgoing.end_call();
        $span.record("requests", instance.store.data().outgoing.requests());
        let outcome = settle(ended, &instance.store, &$self.options.limits, $name);
        $self.peak = $self.peak.max(instance.store.data().meter.peak());
        $self.told($name, started, outcome.as_ref().err());
        if outcome.is_ok() {
            $self.instance = Some(instance);
        }
        outcome?
    }};
}

impl Source {
    pub(crate) async fn open(code: &Code, ticker: &Arc<Ticker>, options: Options) -> Result<Self, Error> {
        let pace = Pace::new(&options.limits.of_requests());
        let account = Account::new(options.limits.total_memory, options.memory.clone());
        let mut source = Self {
            code: code.clone(),
            ticker: Arc::clone(ticker),
            options,
            transport: None,
            usage: Arc::default(),
            account: Arc::new(account),
            pace: Arc::new(Mutex::new(pace)),
            instance: None,
            denied: Vec::new(),
            peak: 0,
            rest: Duration::ZERO,
        };
        source.renew().await?;
        Ok(source)
    }

    /// Puts a fresh instance in the place of one that was stopped or dropped. It is not configured yet.
    ///
    /// # Errors
    ///
    /// If it needs more than the limits from the start.
    pub async fn renew(&mut self) -> Result<(), Error> {
        self.discard();
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::clone(self.transport.insert(self.options.transport.transport()?)),
        };
        let limits = self.options.limits.clone();
        let clock = self.options.clock.clone().unwrap_or_else(|| Arc::new(SystemClock) as Arc<dyn Clock>);
        let mut wasi = WasiCtx::builder();
        wasi.wall_clock(Injected(Arc::clone(&clock))).monotonic_clock(Injected(clock));
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles());
        let bounds = limits.of_requests();
        let gate = Gate::new(self.options.egress.clone());
        let observer = self.options.observer.clone();
        let guest = Guest {
            table,
            wasi: wasi.build(),
            http,
            outgoing: Outgoing::new(
                gate,
                transport,
                bounds,
                Arc::clone(&self.pace),
                Arc::clone(&self.account),
                observer,
            ),
            meter: Meter::new(limits.memory, Arc::clone(&self.account)),
            usage: Arc::clone(&self.usage),
            deadline: Instant::now() + limits.call_time,
            short: None,
        };
        let mut store = Store::new(self.code.pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.answer_fuel());
        store.set_max_component_handles(limits.handles());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            let guest = context.data();
            if Instant::now() < guest.deadline && !guest.usage.is_used_up() {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Ok(UpdateDeadline::Interrupt)
            }
        });
        self.usage.begin(limits.cpu_time);
        let started = Instant::now();
        let ended = self.bounds().run(Calls::instantiate(&self.code, &mut store)).await;
        let made = settle(ended, &store, &limits, "instantiate");
        self.told("instantiate", started, made.as_ref().err());
        self.instance = Some(Instance { calls: made?, store });
        Ok(())
    }

    pub(super) fn discard(&mut self) {
        self.denied.clear();
        self.instance = None;
    }

    /// Drops the instance and its memory, until [`Source::renew`] or [`Source::revive`], and returns what the next one can go
    /// on with, so that it need not sign in. None where there is nothing worth keeping.
    ///
    /// ```no_run
    /// # async fn example(mut source: source_host::Source, config: &str) -> Result<(), source_host::Error> {
    /// let batch = source.poll(None).await?;
    /// let session = source.suspend().await.unwrap_or_default();
    /// // For as long as `batch.next_poll_ms` says, it takes no memory of the component.
    /// source.revive(config, session).await?;
    /// let batch = source.poll(Some(&batch.state)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit. The instance is gone in any case, and the next one signs in.
    pub async fn suspend(&mut self) -> Result<Option<Session>, Error> {
        if self.instance.is_none() {
            return Ok(None);
        }
        let answer = self.hand_over().await;
        self.discard();
        self.transport = None;
        answer::session(answer?, &self.options.limits)
    }

    async fn hand_over(&mut self) -> Result<Option<String>, Error> {
        Ok(call!(self, suspend, "suspend", self.options.limits.answer_fuel()))
    }

    /// Gives back what [`Source::suspend`] returned ([`Source::revive`] does so, and what comes before), of this source or of another with the same component and configuration:
    /// after [`Source::configure`], before the first [`Source::poll`]. Nobody else is to have it.
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit. That a session is not fit to go on with is no error.
    pub async fn resume(&mut self, session: Session) -> Result<(), Error> {
        call!(self, resume, "resume", self.options.limits.answer_fuel(), session.text());
        Ok(())
    }

    /// Puts a fresh instance in the place of one that was suspended: [`Source::renew`], [`Source::configure`], and
    /// [`Source::resume`] if there is a session. An instance that fails over its session is replaced by one that has none.
    ///
    /// # Errors
    ///
    /// As [`Source::renew`] and [`Source::configure`].
    pub async fn revive(&mut self, config: &str, session: Option<Session>) -> Result<Grants, Error> {
        self.renew().await?;
        let grants = self.configure(config).await?;
        let Some(session) = session else { return Ok(grants) };
        match self.resume(session).await {
            Ok(()) => Ok(grants),
            Err(cancelled @ Error::Cancelled { .. }) => Err(cancelled),
            Err(_) => {
                self.renew().await?;
                self.configure(config).await
            }
        }
    }

    /// Confines it to what happened in a range of time, for a backfill beside a source that goes on: after [`Source::configure`],
    /// before the first [`Source::poll`], and again for each new instance. It is polled with states of its own until
    /// [`Source::is_complete`].
    ///
    /// ```no_run
    /// # async fn example(mut source: source_host::Source, config: &str) -> Result<(), source_host::Error> {
    /// use std::time::{Duration, SystemTime};
    ///
    /// let now = SystemTime::now();
    /// source.configure(config).await?;
    /// source.confine(now - Duration::from_secs(7 * 24 * 3600)..now).await?;
    /// let mut state = None;
    /// loop {
    ///     let batch = source.poll(state.as_deref()).await?;
    ///     // Deliver the events, save the state, wait for `batch.next_poll_ms`.
    ///     if source.is_complete(&batch.state).await? {
    ///         break;
    ///     }
    ///     state = Some(batch.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if the range is empty, or if the component fails or exceeds a limit.
    pub async fn confine(&mut self, range: Range<SystemTime>) -> Result<(), Error> {
        let range = TimeRange { from_ms: milliseconds(range.start), until_ms: milliseconds(range.end) };
        let answer = call!(self, confine, "confine", self.options.limits.answer_fuel(), range);
        answer.map_err(|problem| Error::Configuration(vec![problem.into()]))
    }

    /// Whether a state is the last one: the source has an end, by its configuration or by [`Source::confine`], and no poll will
    /// return anything any more.
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit.
    pub async fn is_complete(&mut self, state: &str) -> Result<bool, Error> {
        Ok(call!(self, is_complete, "is-complete", self.options.limits.answer_fuel(), state))
    }

    /// What this component is. Needs neither configuration nor network.
    ///
    /// ```no_run
    /// # async fn example(mut source: source_host::Source) -> Result<(), source_host::Error> {
    /// let described = source.describe().await?;
    /// println!("{} {}", described.name, described.version);
    /// for stream in described.streams {
    ///     println!("  {}: {}", stream.name, stream.summary);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit.
    pub async fn describe(&mut self) -> Result<Description, Error> {
        let answer = call!(self, describe, "describe", self.options.limits.answer_fuel());
        answer::description(answer, &self.options.limits)
    }

    /// Hands the configuration over, a JSON document. Requests are possible from here on, to what the component asks for
    /// and [`Options::egress`] allows. May be called again to replace the configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] with every problem, or if the component fails or exceeds a limit.
    pub async fn configure(&mut self, config: &str) -> Result<Grants, Error> {
        self.denied.clear();
        if let Some(instance) = &mut self.instance {
            let gate = &mut instance.store.data_mut().outgoing.gate;
            gate.grant(&[]).map_err(|error| Error::Setup(error.to_string()))?;
        }
        let answer = call!(self, configure, "configure", self.options.limits.answer_fuel(), config);
        self.reached(
            answer::too_many(
                match &answer {
                    Ok(grants) => &grants.warnings,
                    Err(problems) => problems,
                },
                &self.options.limits,
            ),
            "problems",
        );
        let grants = answer::grants(answer, &self.options.limits)?;
        if let Some(instance) = &mut self.instance {
            let gate = &mut instance.store.data_mut().outgoing.gate;
            gate.grant(&grants.authorities).map_err(|error| {
                Error::Refused(format!("a grant that is none: {}", printable(error.to_string())))
            })?;
            self.denied = gate.denied(&grants.authorities);
        }
        Ok(grants)
    }

    /// The authorities that the configuration needs and [`Options::egress`] does not allow. Polling will fail there.
    pub fn denied(&self) -> &[String] {
        &self.denied
    }

    /// Tries each thing that a poll needs.
    ///
    /// ```no_run
    /// # async fn example(mut source: source_host::Source, config: &str) -> Result<(), source_host::Error> {
    /// source.configure(config).await?;
    /// for finding in source.check().await? {
    ///     println!("{:?} {}: {} {}", finding.verdict, finding.name, finding.message, finding.hint.unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit. What does not work is a finding, not an error.
    pub async fn check(&mut self) -> Result<Vec<Finding>, Error> {
        let answer = call!(self, check, "check", self.options.limits.answer_fuel());
        answer::findings(answer, &self.options.limits)
    }

    /// The next events after `state` (none = from the beginning).
    ///
    /// # Errors
    ///
    /// [`Error::Failure`] if the source could do nothing at all, [`Error::Refused`] if what it returned breaks the
    /// contract or a limit, or if the component fails or exceeds a limit.
    pub async fn poll(&mut self, state: Option<&str>) -> Result<Batch, Error> {
        let span = tracing::debug_span!("poll", events = Empty, requests = Empty);
        let answer = call!(in span, self, poll, "poll", self.options.limits.poll_fuel(), state);
        self.polled(answer, &span)
    }

    /// Begins to follow.
    pub(super) async fn stream(&mut self, state: Option<&str>) -> Result<Stream, Error> {
        let stream = call!(self, follow, "follow", self.options.limits.answer_fuel(), state);
        stream.ok_or(Error::NoSuchCall { call: "follow" })
    }

    /// The next element of what is followed, within the limits of a poll and the time that the component rests before it.
    pub(super) async fn next_of(&mut self, stream: &Stream, rest: Duration) -> Result<Option<Batch>, Error> {
        self.rest = rest;
        let next = self.element(stream).await;
        self.rest = Duration::ZERO;
        next
    }

    async fn element(&mut self, stream: &Stream) -> Result<Option<Batch>, Error> {
        let span = tracing::debug_span!("follow", events = Empty, requests = Empty);
        let answer = call!(in span, self, next, "follow", self.options.limits.poll_fuel(), stream);
        answer.map(|answer| self.polled(answer, &span)).transpose()
    }

    /// What a poll came to, measured and checked.
    fn polled(
        &mut self,
        answer: Result<wit::Batch, wit::Failure>,
        span: &tracing::Span,
    ) -> Result<Batch, Error> {
        let limits = &self.options.limits;
        self.reached(answer::asks_for_too_long(&answer, limits), "wait");
        match answer {
            Ok(batch) => {
                span.record("events", batch.events.len());
                self.reached(answer::too_many(&batch.problems, limits), "problems");
                let mut batch = answer::batch(batch, limits)?;
                let held = self.account.hold(batch.size());
                self.reached(held.is_err(), "memory");
                batch.held = held.map_err(|exceeded| no_memory(exceeded, limits))?.into();
                Ok(batch)
            }
            Err(failure) => {
                let failure = answer::failure(Failure::from(failure), limits)?;
                Err(Error::Failure(Box::new(failure)))
            }
        }
    }

    /// The most linear memory an instance of this source has held, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let now = self.instance.as_ref().map_or(0, |instance| instance.store.data().meter.peak());
        self.peak.max(now)
    }

    /// How long it has computed, in all calls.
    pub fn cpu_time(&self) -> Duration {
        self.usage.total()
    }

    /// Whether it may be called. False after a trap, a time-out, a call that was dropped half-way, or [`Source::suspend`].
    pub fn is_usable(&self) -> bool {
        self.instance.is_some()
    }

    /// Takes the instance for a call: if the call's future is dropped, the instance goes with it.
    fn begin(&mut self, fuel: usize) -> Result<Instance, Error> {
        let mut instance = self.instance.take().ok_or(Error::Spent)?;
        let limits = &self.options.limits;
        self.usage.begin(limits.cpu_time);
        let guest = instance.store.data_mut();
        guest.deadline = Instant::now() + limits.call_time + self.rest;
        guest.outgoing.begin_call();
        // What it hands over at once is copied before it can be counted: no more than could be held.
        let (left, bound) = self.account.left();
        let left = usize::try_from(left).unwrap_or(usize::MAX).max(LEAST_ANSWER);
        guest.short = (left < fuel).then_some(bound);
        instance.store.set_epoch_deadline(1);
        instance.store.set_hostcall_fuel(fuel.min(left));
        Ok(instance)
    }

    /// Tells that an answer ran into a limit, if it did.
    fn reached(&self, reached: bool, limit: &'static str) {
        if reached {
            Bell::new(self.options.observer.clone(), Arc::clone(&self.pace)).ring(limit);
        }
    }

    fn bounds(&self) -> Bounded {
        Bounded {
            time: self.options.limits.call_time + self.rest,
            cancel: self.options.cancel.clone(),
            usage: Arc::clone(&self.usage),
            scheduler: self.options.scheduler.clone(),
            _ticking: self.ticker.call(),
        }
    }

    fn told(&self, function: &'static str, started: Instant, error: Option<&Error>) {
        let Some(observer) = &self.options.observer else { return };
        let ended_by = error.map(|error| match error {
            Error::Memory { .. } | Error::TotalMemory { .. } | Error::SharedMemory => "memory",
            Error::Timeout { .. } => "time",
            Error::CpuTime { .. } => "cpu",
            Error::Cancelled { .. } => "cancelled",
            Error::Refused(_) => "answer",
            _ => "trap",
        });
        let (duration, cpu) = (started.elapsed(), self.usage.call());
        observer.call(&CallRecord { function, duration, cpu, peak_memory: self.peak_memory(), ended_by });
    }
}

/// What a component may hand over at once in any case: the heads of requests and answers.
const LEAST_ANSWER: usize = 64 << 10;

/// Since 1970; before it less than none.
fn milliseconds(time: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// What a call runs within.
struct Bounded {
    time: Duration,
    cancel: CancellationToken,
    usage: Arc<Usage>,
    scheduler: Option<Scheduler>,
    _ticking: Ticking,
}

impl Bounded {
    /// Runs a call until it ends, its time is up, or it is cancelled.
    async fn run<T>(self, call: impl Future<Output = wasmtime::Result<T>>) -> Ended<T> {
        let call = Metered::new(call, self.usage, self.scheduler);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Ended::Cancelled,
            outcome = tokio::time::timeout(self.time, call) => match outcome {
                Ok(outcome) => Ended::ByItself(outcome),
                Err(_) => Ended::Late,
            },
        }
    }
}

/// How a call ended.
enum Ended<T> {
    ByItself(wasmtime::Result<T>),
    Late,
    Cancelled,
}

fn settle<T>(ended: Ended<T>, store: &Store<Guest>, limits: &Limits, call: &'static str) -> Result<T, Error> {
    match ended {
        Ended::ByItself(Ok(value)) => Ok(value),
        Ended::ByItself(Err(error)) => Err(classify(store, limits, call, &error)),
        Ended::Late => Err(Error::Timeout { call, limit: limits.call_time }),
        Ended::Cancelled => Err(Error::Cancelled { call }),
    }
}

fn no_memory(exceeded: Exceeded, limits: &Limits) -> Error {
    match exceeded {
        Exceeded::Memory => Error::Memory { limit: limits.memory },
        Exceeded::Total => Error::TotalMemory { limit: limits.total_memory },
        Exceeded::Shared => Error::SharedMemory,
    }
}

/// Names the limit behind a trap, where it was one.
fn classify(store: &Store<Guest>, limits: &Limits, call: &'static str, error: &wasmtime::Error) -> Error {
    let guest = store.data();
    if let Some(exceeded) = guest.meter.exceeded {
        return no_memory(exceeded, limits);
    }
    if guest.usage.has_exceeded() {
        return Error::CpuTime { call, limit: limits.cpu_time };
    }
    if matches!(error.downcast_ref(), Some(wasmtime::Trap::Interrupt)) {
        return Error::Timeout { call, limit: limits.call_time };
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        if let Some(short) = guest.short {
            return no_memory(short, limits);
        }
        return Error::Refused("more than its limits allow".into());
    }
    // The chain begins with a backtrace of the guest, whose names come from the guest.
    let reason = match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    tracing::debug!(call, error = printable(text), "call failed");
    Error::Trap { call, reason: printable(reason) }
}
