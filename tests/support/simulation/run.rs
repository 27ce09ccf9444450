//! One run: polls, with everything that may happen between them, until all is calm; then the oracles.

use super::{
    driven,
    engine::{Engine, Handed, Hosted, Native, Polled, foreign_session},
    journal::Poll,
    knobs::{Knob, Knobs},
    ledger::{Ledger, Tally, Truth},
    library::Library,
    oracles::Evidence,
    plan::{Plan, moment},
    timeline::{HOUR, Lost},
    world::World,
};
use crate::random::Random;
use anyhow::{Context as _, Result, ensure};
use collector::secret::Secret;
use salesforce_sim::Simulator;
use serde_json::Value;
use source_host::Plugin;
use std::sync::Arc;

/// What a state may have here, in bytes. The contract allows 1 MiB, which orgs of this size never come near to.
const LARGEST_STATE: usize = 128 << 10;
/// Polls at most: a run that needs more goes round in circles.
const MOST_POLLS: u32 = 30_000;
/// Requests of one poll at most.
const MOST_REQUESTS: u64 = 3_000;
/// The most requests that the collector has under way beside the one it waits for (`MOST_BEGUN`).
const AHEAD: u64 = 3;
/// How far the clock may go by being looked at, at the end of one poll and the beginning of the next, in milliseconds.
const TICKS: i64 = 20;
/// How long a host lets a poll go on by default, in milliseconds (`limits.call_time`). What it stops has neither events nor a
/// state.
const CALL_TIME: i64 = 300_000;
/// How long a poll goes on before it returns what it has, in milliseconds: what is configured for `max_time`.
const BATCH_TIME: i64 = 10_000;
/// How many sessions are kept that no instance was given.
const MOST_SESSIONS: usize = 8;
/// How long after the planned end a run may go on.
const GRACE: i64 = 24 * HOUR;

/// What a seed is run on.
#[derive(Clone)]
pub enum Engines {
    /// The collector itself.
    Native,
    /// The component in wasmtime, compiled already.
    Hosted(Box<Plugin>),
}

/// How instances come and go in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// One for each configuration.
    One,
    /// One for each poll.
    Fresh,
    /// Replaced now and then.
    Some,
}

/// What the runs of a seed saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Polls.
    pub polls: u32,
    /// Requests.
    pub requests: u64,
    /// Requests that a planned fault struck.
    pub faults: u32,
    /// New instances.
    pub restarts: u32,
    /// New instances that were given a session, of whatever kind.
    pub resumed: u32,
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
pub fn replay_command(seed: u64, engines: &Engines, knobs: Knobs) -> String {
    let hosted = if matches!(engines, Engines::Hosted(_)) { " HOSTED=1" } else { "" };
    let knobs = if knobs == Knobs::all() { String::new() } else { format!(" KNOBS={}", knobs.in_short()) };
    format!("make simulate SEED={seed}{hosted}{knobs}")
}

/// Is told what happens, step by step, in words that are made if they are wanted.
pub type Say<'s> = dyn FnMut(&dyn Fn() -> String) + 's;

/// Runs a seed twice, with one instance and with a fresh one for each poll, and compares both with the truth and with each
/// other. `say` is told what happens, step by step.
///
/// # Errors
/// When anything that must hold does not.
pub fn simulate(seed: u64, engines: &Engines, knobs: Knobs, say: &mut Say<'_>) -> Result<Summary> {
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random, knobs)?;
    for config in &plan.configs {
        let json: Value = serde_json::from_str(&config.json)?;
        say(&|| format!("from {}: {} {}", moment(config.from), json["batch"], json["streams"]));
    }
    say(&|| plan.describe());
    let truth = Truth::of(&plan)?;
    let mut library = Library::default();
    let mut summary = Summary::default();
    let mut ledgers = Vec::new();
    let one = if matches!(engines, Engines::Native) { Instances::One } else { Instances::Some };
    for instances in [one, Instances::Fresh] {
        say(&|| format!("--- {instances:?}"));
        let org = Simulator::offline(plan.settings.clone()).context("the org")?;
        let world = Arc::new(World::planned(org, plan.timeline.clone(), random.clone()));
        let mut run = |engine: &mut dyn Engine| {
            let mut run = Run {
                plan: &plan,
                world: &world,
                engine,
                instances,
                ledger: Ledger::default(),
                library: &mut library,
                history: vec![Saved { at: i64::MIN, state: None, saves: 0 }],
                config: 0,
                lost: plan.timeline.lost.clone(),
                restarts: plan.restarts.clone(),
                sessions: Vec::new(),
                hand: Random::new(!seed),
                next: None,
                given_up: 0,
                polls: Vec::new(),
                summary: Summary::default(),
                say,
            };
            run.go(&truth, knobs).with_context(|| format!("with instances {instances:?}"))?;
            Ok::<_, anyhow::Error>((run.summary, run.ledger))
        };
        let (seen, ledger) = match engines {
            Engines::Native => run(&mut Native::new(Arc::clone(&world)))?,
            Engines::Hosted(plugin) => {
                let mut engine = Hosted::new((**plugin).clone(), Arc::clone(&world))?;
                let (seen, ledger) = run(&mut engine)?;
                (Summary { peak_memory: engine.peak_memory, ..seen }, ledger)
            }
        };
        summary.add(&seen);
        ledgers.push(ledger);
    }
    if let [one, fresh] = &ledgers[..] {
        one.agrees_with(fresh, &library, &truth)?;
    }
    let plain = plan.configs.iter().all(|config| !config.old_state);
    if let Engines::Hosted(plugin) = engines
        && knobs.on(Knob::Runner)
        && plain
    {
        say(&|| String::from("--- the runner"));
        let org = Simulator::offline(plan.settings.clone()).context("the org")?;
        let world = Arc::new(World::planned(org, plan.timeline.clone(), random.clone()));
        driven::drive(&plan, plugin, world, &truth).context("with the runner")?;
    }
    Ok(summary)
}

impl Summary {
    fn add(&mut self, other: &Self) {
        self.polls += other.polls;
        self.requests += other.requests;
        self.faults += other.faults;
        self.restarts += other.restarts;
        self.resumed += other.resumed;
        self.unsaved += other.unsaved;
        self.tally.events = self.tally.events.max(other.tally.events);
        self.tally.deliveries += other.tally.deliveries;
        self.largest_state = self.largest_state.max(other.largest_state);
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// A state that was saved.
struct Saved {
    /// When, on the org's clock.
    at: i64,
    /// The state; none at the beginning.
    state: Option<String>,
    /// How many saves stand behind it.
    saves: usize,
}

struct Run<'r> {
    plan: &'r Plan,
    world: &'r World,
    engine: &'r mut dyn Engine,
    instances: Instances,
    ledger: Ledger,
    library: &'r mut Library,
    /// The states that the host may still go back to. The last one is the present.
    history: Vec<Saved>,
    /// The index of the configuration that counts.
    config: usize,
    /// States that are still to be lost.
    lost: Vec<Lost>,
    /// Restarts that are still to come.
    restarts: Vec<i64>,
    /// What earlier instances were signed in with and no later one was given.
    sessions: Vec<Handed>,
    /// Decides about sessions, apart from all else.
    hand: Random,
    /// When the last poll said that there is something to do, on the host's clock; none once that may have changed.
    next: Option<i64>,
    /// Requests that were begun, counted and given up, and may still reach the org.
    given_up: u64,
    polls: Vec<Poll>,
    summary: Summary,
    say: &'r mut Say<'r>,
}

impl Run<'_> {
    fn go(&mut self, truth: &Truth, knobs: Knobs) -> Result<()> {
        self.renew()?;
        // What happened before the first poll is the first configuration.
        self.config = self.plan.config_at(self.world.org_ms());
        loop {
            ensure!(
                (self.polls.len() as u32) < MOST_POLLS,
                "it does not come to an end in {MOST_POLLS} polls, at {}",
                moment(self.world.org_ms())
            );
            self.come_and_go()?;
            let polled = self.poll()?;
            let now = self.world.org_ms();
            let stopped = self.polls.last().is_some_and(|poll| poll.stopped);
            let quiet = !stopped
                && polled.next_poll_ms > 0
                && polled.events.is_empty()
                && (polled.problems.is_empty() || (self.plan.doubtful && !polled.failed))
                && polled.backlog_files == 0;
            if quiet && now >= self.plan.end {
                break;
            }
            ensure!(
                now < self.plan.end + GRACE,
                "a day after the end it is not quiet: {} files left, {:?}",
                polled.backlog_files,
                polled.problems
            );
            let wait = i64::from(polled.next_poll_ms);
            self.meet_fate(polled)?;
            if wait > 0 {
                let now = self.world.org_ms();
                // A host that is given another configuration begins with it at once.
                let changed = self.plan.configs.iter().map(|config| config.from).find(|from| *from > now);
                let at = changed.map_or(now + wait, |from| from.min(now + wait));
                let next = self.plan.timeline.next_poll(now, at);
                self.world.pass(next - now);
            }
        }
        self.summary.tally = self.ledger.verify(self.library, truth)?;
        self.summary.requests = self.world.requests();
        self.summary.faults = self.world.struck().iter().map(|struck| struck.times).sum();
        self.summary.polls = u32::try_from(self.polls.len()).unwrap_or(u32::MAX);
        let evidence = Evidence {
            plan: self.plan,
            world: self.world,
            polls: &self.polls,
            ledger: &self.ledger,
            library: self.library,
            truth,
            fresh: self.instances == Instances::Fresh,
            given: u64::from(self.summary.resumed),
        };
        evidence.judge(knobs)
    }

    /// Before a poll: the configuration may change, and the instance be replaced.
    fn come_and_go(&mut self) -> Result<()> {
        let now = self.world.org_ms();
        let config = self.plan.config_at(now);
        let changed = config != self.config;
        if changed {
            self.config = config;
            (self.say)(&|| format!("{} configuration {config}", moment(now)));
            if self.plan.configs[config].old_state
                && let Some(saved) = self.history.last_mut()
                && let Some(state) = &mut saved.state
            {
                *state = of_version_1(state)?;
                (self.say)(&|| format!("the state is one of version 1: {state}"));
            }
        }
        let due = self.restarts.iter().take_while(|at| **at <= now).count();
        self.restarts.drain(..due);
        match self.instances {
            Instances::Fresh => self.renew(),
            Instances::Some if due > 0 => self.renew(),
            _ if changed => self.renew(),
            Instances::One | Instances::Some => Ok(()),
        }?;
        if changed {
            self.next = None;
        }
        Ok(())
    }

    /// A new instance. It gets the session of the one before, if there is one; or none, an older one, one of somebody else, or
    /// one that is damaged.
    fn renew(&mut self) -> Result<()> {
        self.summary.restarts += 1;
        let config = &self.plan.configs[self.config].json;
        let last = self.engine.suspend()?;
        let drawn = self.hand.below(100);
        let (session, left) = match (drawn, last) {
            (0..50, Some(last)) => (Some(last), None),
            (50..65, last) => (self.older_session(), last),
            (65..75, Some(Handed::Native(last))) => (Some(self.damaged(&last)), Some(Handed::Native(last))),
            (75..85, Some(last @ Handed::Native(_))) => {
                (Some(Handed::Native(foreign_session(config)?)), Some(last))
            }
            (_, last) => (None, last),
        };
        self.summary.resumed += u32::from(session.is_some());
        self.sessions.extend(left);
        if self.sessions.len() > MOST_SESSIONS {
            self.sessions.remove(0);
        }
        self.engine.renew(config, session)
    }

    /// A session that was left, of whichever time and configuration.
    fn older_session(&mut self) -> Option<Handed> {
        let at = usize::try_from(self.hand.below(self.sessions.len() as u64)).unwrap_or_default();
        (at < self.sessions.len()).then(|| self.sessions.remove(at))
    }

    /// A session with a part missing, or with a letter that was another one.
    fn damaged(&mut self, session: &Secret) -> Handed {
        let mut text = session.reveal().to_owned();
        let at = usize::try_from(self.hand.below(text.len() as u64)).unwrap_or_default();
        if self.hand.percent(50) {
            text.truncate(at);
        } else {
            // All of it is ASCII.
            text.replace_range(at..=at, "~");
        }
        Handed::Native(Secret::new(text))
    }

    /// Compares how many requests a poll says that it sent with how many the org was asked.
    ///
    /// What was begun ahead and given up with a poll counts in that poll. It reaches the org later, while the host does something
    /// else, or never. A poll that failed tells no number.
    fn count(&mut self, counted: u64, asked: u64, failed: bool) -> Result<()> {
        if failed {
            self.given_up = AHEAD;
            return Ok(());
        }
        let before = self.given_up;
        ensure!(
            asked <= counted + before && counted <= asked + AHEAD,
            "{counted} of {asked} requests counted, with {before} given up before",
        );
        self.given_up = (counted + before - asked).min(AHEAD);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let number = u32::try_from(self.polls.len()).unwrap_or(u32::MAX);
        self.world.begin_poll(number);
        let state = self.history.last().and_then(|saved| saved.state.as_deref());
        let (began, host_began, before) = (self.world.org_ms(), self.world.host_ms(), self.world.requests());
        let mut polled = self.engine.poll(state)?;
        let ended = self.world.org_ms();
        let requests = self.world.requests() - before;
        (self.say)(&|| {
            format!(
                "{} polled: {} events, {} requests in {} ms, again in {} ms, {} files left, {:?}",
                moment(began),
                polled.events.len(),
                requests,
                ended - began,
                polled.next_poll_ms,
                polled.backlog_files,
                polled.problems
            )
        });
        (self.say)(&|| {
            let asks = self.world.sent(|sent| sent[before as usize..].to_vec());
            asks.iter()
                .map(|sent| format!("    {} {:?}", moment(sent.at), sent.asks))
                .collect::<Vec<_>>()
                .join("\n")
        });
        let max_events = self.plan.max_events;
        ensure!(polled.events.len() as u64 <= max_events, "{} events in a batch", polled.events.len());
        ensure!(requests <= MOST_REQUESTS, "{requests} requests in one poll");
        self.count(u64::from(polled.requests), requests, polled.failed)?;
        if let Some(state) = &polled.state {
            self.summary.largest_state = self.summary.largest_state.max(state.len());
            ensure!(state.len() <= LARGEST_STATE, "a state of {} bytes", state.len());
        }
        if let Some(next) = self.next.take() {
            let idle = requests == 0 && polled.events.is_empty();
            // The clock went on while it spoke.
            ensure!(
                host_began + TICKS >= next || idle,
                "it said {} ms too late that there is something to do",
                next - host_began
            );
            ensure!(
                host_began < next || !idle,
                "it said that there is something to do, and there was nothing, at {}",
                moment(began)
            );
        }
        let stopped = ended - began > CALL_TIME;
        if stopped {
            (self.say)(&|| format!("the host stops it after {CALL_TIME} ms"));
            polled = Polled { next_poll_ms: 1_000, ..Polled::default() };
        }
        self.polls.push(Poll {
            began,
            ended,
            more: polled.next_poll_ms == 0,
            stopped,
            lost: false,
            requests,
            events: polled.events.len(),
            sources: Vec::new(),
            problems: polled.problems.clone(),
        });
        if stopped {
            // What was stopped hands nothing on.
            drop(self.engine.suspend()?);
            self.renew()?;
        }
        Ok(polled)
    }

    /// What becomes of a batch: mostly it is delivered and its state saved, but not always.
    fn meet_fate(&mut self, polled: Polled) -> Result<()> {
        let now = self.world.org_ms();
        let due = self.lost.iter().take_while(|lost| lost.at <= now).count();
        let Some(lost) = self.lost.drain(..due).next_back() else {
            // What it says is exact as long as nobody sets the clock it goes by.
            // A poll that ran out of time does not know what is left.
            let in_time = self.polls.last().is_some_and(|poll| poll.ended - poll.began < BATCH_TIME);
            let steady = in_time && self.plan.timeline.ahead.is_empty();
            if polled.next_poll_ms > 0 && polled.state.is_some() && steady {
                self.next = Some(self.world.host_ms() + i64::from(polled.next_poll_ms));
            }
            return self.settle(polled);
        };
        self.summary.unsaved += 1;
        self.next = None;
        if let Some(poll) = self.polls.last_mut() {
            poll.lost = true;
        }
        if lost.delivered {
            // Delivered, and the host died before the state was safe.
            self.deliver(&polled)?;
        }
        // Sometimes an older state is all that is left, or none.
        while self.history.len() > 1 && self.history.last().is_some_and(|saved| saved.at >= lost.back_to) {
            self.history.pop();
        }
        let saved = self.history.last().map_or(0, |saved| saved.saves);
        (self.say)(&|| format!("not saved; {} saves back", self.ledger.saves() - saved));
        self.ledger.go_back_to(saved);
        Ok(())
    }

    /// Delivers a batch; returns the numbers of its events.
    fn deliver(&mut self, polled: &Polled) -> Result<Vec<usize>> {
        let generation = self.plan.configs[self.config].generation;
        let numbers = polled
            .events
            .iter()
            .map(|event| self.library.number(event, generation))
            .collect::<Result<Vec<_>>>()?;
        self.ledger.deliver(&numbers, self.library, self.world.org_ms());
        if let Some(poll) = self.polls.last_mut() {
            for number in &numbers {
                let known = self.library.get(*number);
                let source =
                    self.plan.source_of(&known.delivery.stream, &known.delivery.provider, known.daily);
                if let Some(source) = source
                    && !poll.sources.contains(&source)
                {
                    poll.sources.push(source);
                }
            }
        }
        Ok(numbers)
    }

    /// Delivers a batch and saves its state.
    fn settle(&mut self, polled: Polled) -> Result<()> {
        let numbers = self.deliver(&polled)?;
        let Some(state) = polled.state else {
            ensure!(polled.events.is_empty(), "events without a state");
            return Ok(());
        };
        let now = self.world.org_ms();
        // Nobody goes back to a state that a newer one stands behind, unless a loss lies between them.
        if let Some(last) = self.history.last()
            && last.at > i64::MIN
            && !self.lost.iter().any(|lost| last.at < lost.back_to && lost.back_to <= now)
        {
            self.history.pop();
        }
        self.ledger.save(numbers);
        self.history.push(Saved { at: now, state: Some(state), saves: self.ledger.saves() });
        Ok(())
    }
}

/// A state as the first version of this program wrote it, which knew nothing but hourly Login files.
fn of_version_1(state: &str) -> Result<String> {
    let mut state: Value = serde_json::from_str(state).context("the state")?;
    let mut files = state["streams"]["login"]["event_log_file"].take();
    fn forget(files: &mut Value) {
        if let Some(members) = files.as_object_mut() {
            for (new, old) in [("low_watermark", "floor"), ("low_watermark_id", "floor_id")] {
                if let Some(value) = members.remove(new) {
                    members.insert(old.to_owned(), value);
                }
            }
            members
                .retain(|name, _| !["interval", "event_types", "earlier", "turn"].contains(&name.as_str()));
        }
    }
    forget(&mut files);
    state["version"] = 1.into();
    state["streams"] = serde_json::json!({"login": {"event_log_file": files}});
    Ok(state.to_string())
}
