//! One run: polls, with everything that may happen between them, until all is calm; then the comparison.

use super::{
    engine::{Engine, Hosted, Native, Polled},
    ledger::{Ledger, Tally},
    plan::Plan,
    world::World,
};
use crate::random::Random;
use anyhow::{Context as _, Result, anyhow, ensure};
use salesforce_sim::{Fault, FaultAction, Simulator};
use source_host::Plugin;
use std::{
    fmt,
    num::NonZeroUsize,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a state may have here, in bytes. The contract allows 1 MiB, which orgs of this size never come near to.
const LARGEST_STATE: usize = 64 << 10;
/// Polls at most: a run that needs more goes round in circles.
const MOST_POLLS: u32 = 60_000;
/// Requests of one poll at most.
const MOST_REQUESTS: u64 = 3_000;
const MINUTE: i64 = 60_000;
/// How far the clock may go by being looked at, at the end of one poll and the beginning of the next, in milliseconds.
const TICKS: i64 = 20;

/// What a seed is run on.
#[derive(Clone)]
pub enum Engines {
    /// The collector itself.
    Native,
    /// The component in wasmtime, compiled already.
    Hosted(Box<Plugin>),
}

/// What a run saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Polls.
    pub polls: u32,
    /// Requests.
    pub requests: u64,
    /// Faults that were planned.
    pub faults: u32,
    /// New instances.
    pub restarts: u32,
    /// States that were not saved.
    pub unsaved: u32,
    /// What was delivered.
    pub tally: Tally,
    /// The largest state, in bytes.
    pub largest_state: usize,
    /// The most memory that the component held, in bytes; 0 if there was none.
    pub peak_memory: u64,
}

/// The command that runs a seed again.
pub fn replay_command(seed: u64, engines: &Engines) -> String {
    let hosted = if matches!(engines, Engines::Hosted(_)) { " HOSTED=1" } else { "" };
    format!("make simulate SEED={seed}{hosted}")
}

/// Runs a seed. `say` is told what happens, step by step.
///
/// # Errors
/// When anything that must hold does not.
pub fn simulate(seed: u64, engines: &Engines, say: &mut dyn FnMut(String)) -> Result<Summary> {
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random);
    say(format!("{}", plan.config["streams"]));
    let org = Simulator::offline(plan.settings.clone()).context("the org")?;
    let world = Arc::new(World::new(org, Random::new(random.bits())));
    let mut run = |engine: &mut dyn Engine, random| {
        let mut run = Run {
            plan: &plan,
            world: &world,
            engine,
            random,
            ledger: Ledger::default(),
            history: vec![(None, 0)],
            without: plan.comes_and_goes.is_some(),
            next: None,
            summary: Summary::default(),
            say,
        };
        run.go()?;
        Ok(run.summary)
    };
    match engines {
        Engines::Native => run(&mut Native::new(Arc::clone(&world)), random),
        Engines::Hosted(plugin) => {
            let mut engine = Hosted::new((**plugin).clone(), Arc::clone(&world))?;
            let summary: Result<Summary> = run(&mut engine, random);
            Ok(Summary { peak_memory: engine.peak_memory, ..summary? })
        }
    }
}

struct Run<'r> {
    plan: &'r Plan,
    world: &'r World,
    engine: &'r mut dyn Engine,
    random: Random,
    ledger: Ledger,
    /// The states that were saved last, each with the number of saves behind it. The last one is the present.
    history: Vec<(Option<String>, usize)>,
    /// Whether the stream that comes and goes is not there.
    without: bool,
    /// When the last poll said that there is something to do, on the host's clock; none once that may have changed.
    next: Option<i64>,
    summary: Summary,
    say: &'r mut dyn FnMut(String),
}

impl Run<'_> {
    fn go(&mut self) -> Result<()> {
        self.renew()?;
        loop {
            self.summary.polls += 1;
            ensure!(self.summary.polls < MOST_POLLS, "it does not come to an end in {MOST_POLLS} polls");
            let calm = self.world.org_ms() >= self.plan.calm.timestamp_millis();
            if calm {
                self.be_calm()?;
            } else {
                self.disturb()?;
            }
            let polled = self.poll()?;
            let wait = i64::from(polled.next_poll_ms);
            let quiet = polled.next_poll_ms > 0 && polled.problems.is_empty() && polled.backlog_files == 0;
            let now = self.world.org_ms();
            if calm && quiet && now >= self.plan.end().timestamp_millis() {
                self.summary.tally = self.ledger.verify(self.plan, self.world)?;
                self.summary.requests = self.world.requests();
                return Ok(());
            }
            if calm {
                self.settle(polled)?;
                self.world.pass(wait);
            } else {
                self.meet_fate(polled)?;
                self.wait(wait);
            }
        }
    }

    /// From here on nothing goes wrong, and every stream is there.
    fn be_calm(&mut self) -> Result<()> {
        self.world.org.org().clear_faults();
        if self.without {
            self.without = false;
            self.renew()?;
        }
        Ok(())
    }

    /// What may happen before a poll.
    fn disturb(&mut self) -> Result<()> {
        if self.random.percent(self.plan.faults) {
            let fault = self.fault();
            (self.say)(format!("planned: {fault:?}"));
            self.world.org.org().plan_fault(fault);
            self.summary.faults += 1;
        }
        if self.random.percent(self.plan.clock_changes) {
            let ahead = self.random.either_way(10 * 60_000);
            (self.say)(format!("the host's clock is {ahead} ms ahead"));
            self.world.set_host_ahead(ahead);
            self.next = None;
        }
        if self.plan.comes_and_goes.is_some() && self.random.percent(1) {
            self.without = !self.without;
            (self.say)(format!("{:?} is there: {}", self.plan.comes_and_goes, !self.without));
            self.renew()?;
        } else if self.random.percent(self.plan.restarts) {
            self.renew()?;
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<()> {
        self.summary.restarts += 1;
        self.next = None;
        self.engine.renew(&self.plan.config(self.without))
    }

    fn poll(&mut self) -> Result<Polled> {
        let state = self.history.last().and_then(|(state, _)| state.clone());
        let (began, before) = (self.world.host_ms(), self.world.requests());
        let polled = self.engine.poll(state.as_deref())?;
        let requests = self.world.requests() - before;
        (self.say)(format!(
            "{} polled: {} events, {} requests, again in {} ms, {} files left, {:?}",
            self.world.org.org().clock().now(),
            polled.events.len(),
            requests,
            polled.next_poll_ms,
            polled.backlog_files,
            polled.problems
        ));
        ensure!(
            polled.events.len() as u64 <= self.plan.max_events,
            "{} events in a batch",
            polled.events.len()
        );
        ensure!(requests <= MOST_REQUESTS, "{requests} requests in one poll");
        ensure!(
            polled.failed || u64::from(polled.requests) == requests,
            "{} of {requests} requests counted",
            polled.requests
        );
        if let Some(state) = &polled.state {
            self.summary.largest_state = self.summary.largest_state.max(state.len());
            ensure!(state.len() <= LARGEST_STATE, "a state of {} bytes", state.len());
        }
        if let Some(next) = self.next.take() {
            let idle = requests == 0 && polled.events.is_empty();
            // The clock went on while it spoke.
            ensure!(
                began + TICKS >= next || idle,
                "it said {} ms too late that there is something to do",
                next - began
            );
            ensure!(began < next || !idle, "it said that there is something to do, and there was nothing");
        }
        Ok(polled)
    }

    /// What becomes of a batch: mostly it is delivered and its state saved, but not always.
    fn meet_fate(&mut self, polled: Polled) -> Result<()> {
        if !self.random.percent(self.plan.unsaved) {
            let began = self.world.host_ms();
            // What it says is exact as long as nobody sets the clock it goes by.
            if polled.next_poll_ms > 0 && polled.state.is_some() && self.plan.clock_changes == 0 {
                self.next = Some(began + i64::from(polled.next_poll_ms));
            }
            return self.settle(polled);
        }
        self.summary.unsaved += 1;
        self.next = None;
        if self.random.percent(70) {
            // Delivered, and the host died before the state was safe.
            self.ledger.deliver(&polled.events)?;
        }
        // Sometimes an older state is all that is left, or none.
        let back = match self.random.below(20) {
            0 => self.history.len() - 1,
            1..6 => self.random.below(8).min(self.history.len() as u64 - 1) as usize,
            _ => 0,
        };
        self.history.truncate(self.history.len() - back);
        let saves = self.history.last().map_or(0, |(_, saves)| *saves);
        self.ledger.go_back_to(saves);
        (self.say)(format!("not saved; {back} saves back"));
        if self.random.percent(70) { self.renew() } else { Ok(()) }
    }

    /// Delivers a batch and saves its state.
    fn settle(&mut self, polled: Polled) -> Result<()> {
        let delivered = self.ledger.deliver(&polled.events)?;
        let Some(state) = polled.state else {
            ensure!(polled.events.is_empty(), "events without a state");
            return Ok(());
        };
        self.ledger.save(delivered);
        self.history.push((Some(state), self.ledger.saves()));
        Ok(())
    }

    /// Lets time pass until the next poll.
    fn wait(&mut self, wait: i64) {
        let ms = match self.random.below(10) {
            0 => i64::try_from(self.random.below(wait.unsigned_abs() + 1)).unwrap_or_default(),
            1 => wait + self.random.either_way(60 * 60_000).abs(),
            2 if self.random.percent(10) => wait + 12 * 60 * MINUTE,
            _ => wait,
        };
        self.world.pass(ms);
    }

    /// Something that goes wrong with one of the next requests.
    fn fault(&mut self) -> Fault {
        let random = &mut self.random;
        let path = *random.pick(&["", "/token", "/query", "/LogFile", "/LogFile", "/query/"]);
        let after = random.below(60_000);
        let error = |status, code: &str, message: &str| {
            FaultAction::answer(status, format!(r#"[{{"errorCode":"{code}","message":"{message}"}}]"#))
        };
        let html = |status| FaultAction::answer(status, "<html>back soon</html>");
        let seconds = (after / 10).to_string();
        let busy = |status| {
            let body = r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"back soon"}]"#;
            FaultAction::answer_with(status, body, [("Retry-After", &seconds)])
        };
        let action = match random.below(22) {
            0 => html(503),
            1 => html(502),
            2 => html(200),
            3 => error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
            4 => busy(503),
            5 => error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            6 => error(
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded",
            ),
            7 => error(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
            8 => error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
            9 => busy(429),
            10 => error(401, "INVALID_SESSION_ID", "Session expired or invalid"),
            11 => error(404, "NOT_FOUND", "The requested resource does not exist"),
            12 => error(403, "INSUFFICIENT_ACCESS", "no"),
            13 => FaultAction::CutSilently { after },
            14 | 15 => FaultAction::CutConnection { after },
            16 => FaultAction::Stall { after },
            17 => FaultAction::Drip { bytes: NonZeroUsize::MIN, millis: 1_000 },
            18 => FaultAction::Delay { millis: random.below(100_000) },
            // Longer than the truth: a file that seems to be cut. Shorter never comes with a cut that nothing else shows.
            19 => FaultAction::WrongLength { by: i64::try_from(random.between(1, 500)).unwrap_or(1) },
            20 => FaultAction::ExhaustQuota,
            _ => FaultAction::RevokeSessions,
        };
        let nth = u32::try_from(random.between(1, 4)).unwrap_or(1);
        Fault { path_contains: path.to_owned(), nth, action }
    }
}

/// Says of an error which seed it is of, and how to see it again.
fn blame(seed: u64, engines: &Engines, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("seed {seed} failed: {error:#}\nsee it again, step by step: {}", replay_command(seed, engines))
}

/// What many seeds saw. Displayed: one line for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    /// Seeds that held.
    pub seeds: u64,
    /// Polls.
    pub polls: u64,
    /// Requests.
    pub requests: u64,
    /// Faults that were planned.
    pub faults: u64,
    /// New instances.
    pub restarts: u64,
    /// States that were not saved.
    pub unsaved: u64,
    /// Different events.
    pub events: u64,
    /// Deliveries of them.
    pub deliveries: u64,
    /// The largest state, in bytes.
    pub largest_state: usize,
    /// The most memory that a component held, in bytes.
    pub peak_memory: u64,
}

impl Total {
    /// Runs seeds on all processors. `done` is called after each one.
    ///
    /// # Errors
    /// What the first seed that does not hold says, with the command that replays it.
    pub fn of(seeds: RangeInclusive<u64>, engines: &Engines, done: &(dyn Fn(u64) + Sync)) -> Result<Self> {
        let next = AtomicU64::new(*seeds.start());
        let outcome = Mutex::new((Self::default(), None::<(u64, anyhow::Error)>));
        let lock = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if !seeds.contains(&seed) || lock().1.is_some() {
                    return;
                }
                let result = simulate(seed, engines, &mut |_| ());
                let (total, failed) = &mut *lock();
                match result {
                    Ok(summary) => total.add(&summary),
                    Err(error) if failed.as_ref().is_none_or(|(first, _)| seed < *first) => {
                        *failed = Some((seed, error));
                    }
                    Err(_) => {}
                }
                done(seed);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let (total, failed) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        match failed {
            Some((seed, error)) => Err(blame(seed, engines, &error)),
            None => Ok(total),
        }
    }

    fn add(&mut self, summary: &Summary) {
        self.seeds += 1;
        self.polls += u64::from(summary.polls);
        self.requests += summary.requests;
        self.faults += u64::from(summary.faults);
        self.restarts += u64::from(summary.restarts);
        self.unsaved += u64::from(summary.unsaved);
        self.events += summary.tally.events;
        self.deliveries += summary.tally.deliveries;
        self.largest_state = self.largest_state.max(summary.largest_state);
        self.peak_memory = self.peak_memory.max(summary.peak_memory);
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seeds, events, deliveries, polls, requests, faults, restarts, unsaved] = [
            self.seeds,
            self.events,
            self.deliveries,
            self.polls,
            self.requests,
            self.faults,
            self.restarts,
            self.unsaved,
        ]
        .map(source_host::grouped);
        write!(
            f,
            "{seeds} seeds hold: {events} events in {deliveries} deliveries, {polls} polls, {requests} requests, {faults} \
             faults, {restarts} instances, {unsaved} states not saved, largest state {}",
            source_host::bytes(self.largest_state as u64)
        )?;
        match self.peak_memory {
            0 => Ok(()),
            peak => write!(f, ", component's peak memory {}", source_host::bytes(peak)),
        }
    }
}
