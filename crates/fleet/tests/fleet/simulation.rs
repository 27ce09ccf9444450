//! The worker against the engine in memory, through crashes, pauses longer than a lease, late acknowledgements, lost answers and
//! wrong refusals, by seed: what is delivered is the truth, once, and no checkpoint goes back. And with mistakes in the order of
//! steps, each of which has to be found.
//!
//! Time is paused and everything runs on one thread, so a seed is the same run each time: `SEED=7` runs one, `SEEDS=1000` more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::{
    CommitError, Done, Engine, EngineError, Event, Fault, Job, Ledger as _, Memory, Moment, PollError,
    Polled, Revision, Settings, Source, Sources, Wake, Worker, replace,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::support::dice::Dice;

const LEASE: Duration = Duration::from_secs(30);
const TENANTS: usize = 5;
const WORKERS: usize = 3;
const EVENTS: u64 = 240;
/// A tenant has a new event so often.
const EVERY: Duration = Duration::from_secs(4);
/// For how long things go wrong, and how long it takes until all is well after that.
const STORM: Duration = Duration::from_secs(1500);
const CALM: Duration = Duration::from_secs(1500);
const ROOM: usize = 60;

/// What goes wrong in a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Workers die and calls fail or take a while, but nobody is held up for as long as a lease.
    Gusts,
    /// The same, and workers are paused for longer than their lease.
    Storm,
    /// Nothing goes wrong, but whoever takes the events away is so slow that they wait for longer than ids are known.
    Drought,
}

/// A mistake in the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// The job is done with before what was polled is committed.
    AcknowledgesFirst,
    /// The checkpoint is replaced before the events are published.
    CheckpointFirst,
    /// The checkpoint is replaced whichever it is.
    IgnoresRevision,
}

/// The engine with a mistake.
#[derive(Clone)]
struct Mistaken {
    engine: Memory,
    mistake: Mistake,
}

impl Engine for Mistaken {
    type Lease = <Memory as Engine>::Lease;

    async fn next_job(&self) -> Result<Job<Self::Lease>, EngineError> {
        self.engine.next_job().await
    }

    async fn extend(&self, lease: &Self::Lease) -> Result<(), EngineError> {
        self.engine.extend(lease).await
    }

    async fn commit(
        &self,
        lease: &Self::Lease,
        events: &[Event],
        checkpoint: &fleet::Checkpoint,
        revision: Revision,
    ) -> Result<Revision, CommitError> {
        let engine = &self.engine;
        match self.mistake {
            Mistake::None => engine.commit(lease, events, checkpoint, revision).await,
            Mistake::AcknowledgesFirst => {
                engine.sleep_until(lease, Wake { after: Duration::ZERO, failures: 0 }).await?;
                engine.commit(lease, events, checkpoint, revision).await
            }
            Mistake::CheckpointFirst => {
                let tenant = lease.tenant();
                let new = replace(engine, tenant, checkpoint, revision).await?;
                // Publishes, and finds the checkpoint replaced.
                engine.commit(lease, events, checkpoint, revision).await.map(|_| new)
            }
            Mistake::IgnoresRevision => {
                let (_, now) = engine.read(lease.tenant()).await?;
                engine.commit(lease, events, checkpoint, now).await
            }
        }
    }

    async fn sleep_until(&self, lease: &Self::Lease, wake: Wake) -> Result<(), CommitError> {
        self.engine.sleep_until(lease, wake).await
    }

    fn lease_time(&self) -> Duration {
        self.engine.lease_time()
    }
}

/// The sources of tenants: each has an event every few seconds, numbered; the state is how many were read.
#[derive(Clone)]
struct Logs {
    began: Instant,
    dice: Dice,
    gate: watch::Receiver<bool>,
    still: Arc<AtomicU64>,
}

struct Log(Logs);

async fn open(gate: &watch::Receiver<bool>) {
    // It is closed only once the run is over.
    let _ = gate.clone().wait_for(|paused| !paused).await;
}

impl Sources for Logs {
    type Source = Log;

    async fn open(&self, _tenant: &str) -> Result<Option<Log>, PollError> {
        open(&self.gate).await;
        Ok(Some(Log(self.clone())))
    }
}

impl Source for Log {
    async fn poll(&mut self, state: Option<&str>) -> Result<Polled, PollError> {
        let logs = &self.0;
        let is_stormy = logs.still.load(Ordering::Relaxed) == 0;
        sleep(logs.dice.millis(if is_stormy { 4000 } else { 100 })).await;
        open(&logs.gate).await;
        if is_stormy && logs.dice.below(20) == 0 {
            return Err(PollError { message: "the org is away".into(), retry_after: None, state: None });
        }
        let read: u64 = state.map_or(0, |state| state.parse().unwrap());
        let there = (logs.began.elapsed().as_secs() / EVERY.as_secs()).min(EVENTS);
        let until = there.min(read + 1 + logs.dice.below(20));
        let event = |number: u64| Event { id: Some(number.to_string()), text: number.to_string() };
        let wait = if until < there { Duration::ZERO } else { logs.dice.millis(30_000) };
        Ok(Polled { events: (read..until).map(event).collect(), state: until.to_string(), wait })
    }
}

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    wrong: Vec<String>,
    fenced: u64,
    full: u64,
    left: u64,
    deaths: u64,
}

fn run(seed: u64, weather: Weather, mistake: Mistake) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(weathered(seed, weather, mistake))
}

async fn weathered(seed: u64, weather: Weather, mistake: Mistake) -> Outcome {
    let (window, slow) = match weather {
        Weather::Drought => (Duration::from_secs(40), 120_000),
        _ => (STORM + CALM, 60_000),
    };
    let engine = Memory::new(LEASE, window, ROOM);
    let still = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    for tenant in 0..TENANTS {
        engine.wake(&tenant.to_string());
    }
    let dice = Dice::new(seed);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..WORKERS {
        let host = Host {
            number,
            engine: engine.clone(),
            weather,
            mistake,
            began,
            dice: Dice::new(dice.below(u64::MAX)),
            still: Arc::clone(&still),
            outcome: Arc::clone(&outcome),
        };
        tasks.spawn(host.live());
    }
    let taker = engine.clone();
    let pace = dice.clone();
    let at_last = Arc::clone(&still);
    tasks.spawn(async move {
        loop {
            let is_over = weather == Weather::Drought && at_last.load(Ordering::Relaxed) == 1;
            sleep(pace.millis(if is_over { 4_000 } else { slow })).await;
            taker.drain(&pace.below(TENANTS as u64).to_string());
        }
    });
    sleep(STORM).await;
    still.store(1, Ordering::Relaxed);
    sleep(CALM).await;
    tasks.shutdown().await;
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap());
    for tenant in 0..TENANTS {
        judge(&engine, &tenant.to_string(), &mut outcome.wrong);
    }
    if weather == Weather::Gusts && outcome.fenced > 0 {
        let fenced = outcome.fenced;
        outcome
            .wrong
            .push(format!("{fenced} times two workers had the same tenant, and no lease had run out"));
    }
    outcome
}

/// Holds what was stored against the truth.
fn judge(engine: &Memory, tenant: &str, wrong: &mut Vec<String>) {
    let stored = engine.stored(tenant);
    let ids: BTreeSet<u64> = stored.events.iter().map(|event| event.text.parse().unwrap()).collect();
    let missing: Vec<u64> = (0..EVENTS).filter(|number| !ids.contains(number)).collect();
    if !missing.is_empty() {
        wrong.push(format!("tenant {tenant} lacks {} events: {missing:?}", missing.len()));
    }
    if stored.repeats() > 0 {
        wrong.push(format!("tenant {tenant} has {} events twice", stored.repeats()));
    }
    for pair in stored.checkpoints.windows(2) {
        let [(earlier, before), (later, after)] = pair else { continue };
        let read = |state: &str| state.parse::<u64>().unwrap();
        let is_back = read(&after.state) < read(&before.state)
            || after.commits != before.commits + 1
            || after.events < before.events
            || later <= earlier;
        if is_back {
            wrong.push(format!("tenant {tenant}: {before:?} was followed by {after:?}"));
        }
    }
}

/// A machine whose worker dies and comes again.
struct Host {
    number: usize,
    engine: Memory,
    weather: Weather,
    mistake: Mistake,
    began: Instant,
    dice: Dice,
    still: Arc<AtomicU64>,
    outcome: Arc<Mutex<Outcome>>,
}

impl Host {
    async fn live(self) {
        for life in 0.. {
            let (pause, gate) = watch::channel(false);
            let name = format!("worker {} in its life {life}", self.number);
            let work = self.work(name, gate);
            let fate = self.fate(&pause);
            tokio::select! {
                biased;
                () = fate => self.outcome.lock().unwrap().deaths += 1,
                () = work => {}
            }
            sleep(self.dice.millis(20_000)).await;
        }
    }

    fn is_still(&self) -> bool {
        self.still.load(Ordering::Relaxed) == 1
    }

    /// Pauses, and in the end death.
    async fn fate(&self, pause: &watch::Sender<bool>) {
        loop {
            sleep(self.dice.millis(60_000)).await;
            if self.is_still() || self.weather == Weather::Drought {
                pause.send_replace(false);
                return std::future::pending().await;
            }
            if self.dice.below(3) == 0 {
                return;
            }
            if self.weather == Weather::Storm {
                pause.send_replace(true);
                sleep(self.dice.millis(LEASE.as_millis() as u64 * 3)).await;
                pause.send_replace(false);
            }
        }
    }

    async fn work(&self, name: String, gate: watch::Receiver<bool>) {
        let (dice, still, weather) = (self.dice.clone(), Arc::clone(&self.still), self.weather);
        let at_gate = gate.clone();
        let engine = self.engine.with_faults(move |moment| {
            let (dice, still, gate) = (dice.clone(), Arc::clone(&still), at_gate.clone());
            async move {
                if still.load(Ordering::Relaxed) == 1 {
                    return Fault::None;
                }
                sleep(dice.millis(100)).await;
                open(&gate).await;
                fault(&dice, moment, weather)
            }
        });
        let engine = Mistaken { engine, mistake: self.mistake };
        let logs = Logs { began: self.began, dice: self.dice.clone(), gate, still: Arc::clone(&self.still) };
        let settings = Settings { longest_back_off: Duration::from_secs(60), ..Settings::default() };
        let worker = Worker::new(&engine, &logs, &name, settings);
        let told = |_: &str, done: &Done| {
            let mut outcome = self.outcome.lock().unwrap();
            match done {
                Done::Fenced => outcome.fenced += 1,
                Done::Failed { why, .. } if why.contains("no room") => outcome.full += 1,
                Done::Left(_) => outcome.left += 1,
                _ => {}
            }
        };
        worker.run(std::future::pending(), told).await;
    }
}

fn fault(dice: &Dice, moment: Moment, weather: Weather) -> Fault {
    if weather == Weather::Drought {
        return Fault::None;
    }
    match (moment, dice.below(100)) {
        // Without pauses a lease is extended in time.
        (Moment::Extend, _) if weather == Weather::Gusts => Fault::None,
        (Moment::Publish, 0) | (Moment::Take | Moment::Extend | Moment::Read | Moment::Sleep, 0..3) => {
            Fault::Fails
        }
        (Moment::Publish, 1) | (Moment::Take | Moment::Extend | Moment::Sleep, 3..6) => Fault::LosesAnswer,
        (Moment::Replace, 0..5) => Fault::Fails,
        (Moment::Replace, 5..15) => Fault::LosesAnswer,
        (Moment::Replace, 15..30) => Fault::RefusesRevision,
        _ => Fault::None,
    }
}

fn seeds(by_default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(by_default),
    }
}

#[test]
fn what_is_delivered_is_the_truth_once_whatever_happens_to_workers() {
    let mut total = Outcome::default();
    let mut count = 0;
    for seed in seeds(30) {
        for weather in [Weather::Storm, Weather::Gusts] {
            let outcome = run(seed, weather, Mistake::None);
            assert_eq!(outcome.wrong, [""; 0], "SEED={seed}");
            total.fenced += outcome.fenced;
            total.full += outcome.full;
            total.left += outcome.left;
            total.deaths += outcome.deaths;
            count += 1;
        }
    }
    println!("{count} runs: {total:?}");
    // What can go wrong did.
    if count > 10 {
        assert!(total.fenced > 0 && total.full > 0 && total.left > 0 && total.deaths > 0, "{total:?}");
    }
}

#[test]
fn whoever_takes_events_away_slowly_gets_each_once() {
    let mut full = 0;
    for seed in seeds(20) {
        let outcome = run(seed, Weather::Drought, Mistake::None);
        assert_eq!(outcome.wrong, [""; 0], "SEED={seed}");
        assert_eq!((outcome.deaths, outcome.left), (0, 0), "SEED={seed}");
        full += outcome.full;
    }
    assert!(full > 0, "there was always room");
}

#[test]
fn every_mistake_in_the_order_of_steps_is_found() {
    for mistake in [Mistake::AcknowledgesFirst, Mistake::CheckpointFirst, Mistake::IgnoresRevision] {
        let found = (0..20).find_map(|seed| {
            let of = |weather| run(seed, weather, mistake).wrong.into_iter().next();
            of(Weather::Gusts).or_else(|| of(Weather::Storm)).map(|wrong| (seed, wrong))
        });
        let Some((seed, wrong)) = found else { panic!("{mistake:?} was not found") };
        println!("{mistake:?} was found with seed {seed}: {wrong}");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    assert_eq!(run(3, Weather::Storm, Mistake::None), run(3, Weather::Storm, Mistake::None));
}
