//! How one source is run: what it may use, where it may connect to, and what its clocks show.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::cpu::Scheduler;
use super::limits::Limits;
use crate::account::MemoryBudget;
use crate::error::Error;
use crate::network::egress::Egress;
use crate::network::transport::{HttpTransport, Transport};
use crate::observer::Observer;

/// Clocks other than the system's, for tests that travel in time.
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
///
/// use source_host::Clock;
///
/// /// Goes when it is told to.
/// struct Stopped(Mutex<Duration>);
///
/// impl Clock for Stopped {
///     fn now(&self) -> Duration {
///         Duration::from_secs(1_780_000_000) + self.elapsed()
///     }
///
///     fn elapsed(&self) -> Duration {
///         *self.0.lock().unwrap()
///     }
/// }
///
/// let clock = std::sync::Arc::new(Stopped(Mutex::default()));
/// let options = source_host::Options::new().clock(clock.clone());
/// *clock.0.lock().unwrap() += Duration::from_secs(3600);
/// ```
pub trait Clock: Send + Sync {
    /// What the wall clock shows: the time since 1970-01-01T00:00:00Z.
    fn now(&self) -> Duration;

    /// What the monotonic clock shows: the time since a moment that stays the same. It never goes back.
    fn elapsed(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
    }
}

/// The system's clocks. The monotonic one counts from the same moment for all instances of the process, so that one that goes
/// on with the session of another knows how much time has passed.
pub(super) struct SystemClock;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn elapsed(&self) -> Duration {
        BEGAN.elapsed()
    }
}

/// The transport that a source is to have.
#[derive(Default)]
pub(crate) enum Wanted {
    /// The host's own.
    #[default]
    Usual,
    /// This one.
    Given(Arc<dyn Transport>),
    /// A new one for each instance.
    MadeBy(Box<dyn Fn() -> Result<Arc<dyn Transport>, Error> + Send + Sync>),
}

impl Wanted {
    /// That of an instance.
    pub(crate) fn transport(&self) -> Result<Arc<dyn Transport>, Error> {
        match self {
            Self::Usual => Ok(Arc::new(HttpTransport::new()?)),
            Self::Given(transport) => Ok(Arc::clone(transport)),
            Self::MadeBy(make) => make(),
        }
    }
}

/// How one source is run. Each is for one source: it cannot be copied, so that no transport is shared by mistake.
///
/// ```
/// use source_host::{Egress, Limits, Options};
///
/// let mut limits = Limits::default();
/// limits.memory = 32 << 20;
/// let options = Options::new().egress(Egress::allow(["logs.example.com"])?).limits(limits);
/// # Ok::<(), source_host::RuleError>(())
/// ```
///
/// In a process with many sources, each is told what it shares with the others, and can be stopped and watched apart:
///
/// ```
/// use std::sync::Arc;
///
/// use source_host::{CallRecord, HttpTransport, MemoryBudget, Observer, Options, Scheduler};
/// use tokio_util::sync::CancellationToken;
///
/// struct Slow(&'static str);
///
/// impl Observer for Slow {
///     fn call(&self, call: &CallRecord) {
///         if call.duration.as_secs() > 60 {
///             println!("{}: {} took {:?}", self.0, call.function, call.duration);
///         }
///     }
/// }
///
/// // One for the process.
/// let (scheduler, memory) = (Scheduler::default(), MemoryBudget::new(1 << 30));
/// // One for each source.
/// let stop = CancellationToken::new();
/// let options = Options::new()
///     .scheduler(scheduler.clone())
///     .memory_budget(memory.clone())
///     .observer(Arc::new(Slow("acme")))
///     .transport_made_by(HttpTransport::new)
///     .cancelled_by(stop.clone());
/// ```
#[derive(Default)]
#[must_use]
pub struct Options {
    pub(crate) limits: Limits,
    pub(crate) egress: Egress,
    pub(crate) transport: Wanted,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) memory: Option<MemoryBudget>,
}

impl Options {
    /// The usual limits, and nowhere to connect to.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it may connect to. Nowhere by default.
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// How its requests travel. By default a [`crate::HttpTransport`] of its own.
    ///
    /// ```no_run
    /// use source_host::{HttpTransport, Options};
    ///
    /// let transport = HttpTransport::builder().proxy("http://proxy.internal:3128")?.build()?;
    /// let options = Options::new().transport(transport);
    /// # Ok::<(), source_host::Error>(())
    /// ```
    ///
    /// It is taken by value: connections carry what a server thinks of who calls, and are not for other tenants.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Wanted::Given(Arc::new(transport));
        self
    }

    /// The same, made when there is an instance that needs it and dropped with it: a source that is suspended holds no
    /// connection and no memory for any.
    pub fn transport_made_by<T, F>(mut self, make: F) -> Self
    where
        T: Transport + 'static,
        F: Fn() -> Result<T, Error> + Send + Sync + 'static,
    {
        self.transport = Wanted::MadeBy(Box::new(move || Ok(Arc::new(make()?))));
        self
    }

    /// The clocks it sees. By default the system's. Limits go by the system's in any case.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What stops a call that is under way, from anywhere: it returns [`crate::Error::Cancelled`], and the instance is spent.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Who is told what happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What gives it time of the processor, by turns with the other sources. Without one it takes what the executor gives.
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// The memory that it shares with the other sources, besides its own limit.
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.memory = Some(budget);
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("limits", &self.limits)
            .field("egress", &self.egress)
            .finish_non_exhaustive()
    }
}
