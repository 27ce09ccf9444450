//! The runner of the host as it is, with its limits: it waits, stops what takes too long, starts instances anew, and decides
//! whether a problem ends the run.
//!
//! Its time is tokio's, which a test can pause: then a wait is over as soon as there is nothing else to do. A request takes as
//! long in tokio's time as in the world's, so that the host's limit on the time of a call means what it means in life. The
//! host is switched off and on as planned, and started anew for each configuration. Beside that the set must be right, one
//! thing is demanded: *the run never ends by itself*. Nothing that is planned is for the operator to mend but what a stream
//! says of itself.

use super::{
    engine::{HOST, answer_of},
    ledger::{Ledger, Truth},
    library::Library,
    plan::{Plan, moment},
    world::World,
};
use anyhow::{Context as _, Result, bail};
use event_output::{Check, Delivered, Delivery, Output};
use source_host::{Answer, Clock, Egress, Options, Plugin, Timeouts, Transport, WasiBody};
use source_host_cli::{Configured, End, Pipeline, Runner, Secret};
use state_store::{Memory, Owner, Settings};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// How long after the planned end a run goes on, in milliseconds.
const GRACE: i64 = 4 * 3_600_000;

/// The world, at the time of tokio.
struct Timed {
    world: Arc<World>,
    began: Instant,
    org_began: i64,
}

impl Timed {
    /// Lets the world's time pass up to tokio's.
    fn catch_up(&self) {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.world.pass(self.org_began + elapsed - self.world.org_ms());
    }

    /// When it is so late in tokio's time.
    fn instant(&self, org: i64) -> Instant {
        self.began + Duration::from_millis(u64::try_from(org - self.org_began).unwrap_or_default())
    }
}

impl Clock for Timed {
    fn now(&self) -> Duration {
        self.catch_up();
        Duration::from_millis(self.world.host_ms().unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

struct TimedTransport(Arc<Timed>);

impl Transport for TimedTransport {
    fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Answer {
        let timed = Arc::clone(&self.0);
        Box::pin(async move {
            timed.catch_up();
            let answer = answer_of(&timed.world, request).await;
            // It took its time in the world; so it does here.
            sleep_until(timed.instant(timed.world.org_ms())).await;
            answer
        })
    }
}

/// What the host delivers and stores.
#[derive(Default)]
struct Kept {
    ledger: Ledger,
    library: Library,
    generation: u32,
    wrong: Option<anyhow::Error>,
}

#[derive(Clone)]
struct Keeper(Arc<Mutex<Kept>>, Arc<Timed>);

impl Keeper {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output for Keeper {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        let kept = &mut *self.kept();
        let mut numbers = Vec::with_capacity(events.len());
        for event in events {
            match kept.library.number(event, kept.generation) {
                Ok(number) => numbers.push(number),
                Err(error) => {
                    kept.wrong.get_or_insert(error);
                }
            }
        }
        kept.ledger.deliver(&numbers, &kept.library, self.1.world.org_ms());
        kept.ledger.save(numbers);
        Box::pin(async { Ok(Delivered::default()) })
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(async { Ok(String::new()) })
    }
}

/// Lets the runner of the host go through a plan.
///
/// # Errors
/// When it ends by itself, or what it delivered is not what there was.
pub fn drive(plan: &Plan, plugin: &Plugin, world: Arc<World>, truth: &Truth) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(go(plan, plugin, world, truth))
}

async fn go(plan: &Plan, plugin: &Plugin, world: Arc<World>, truth: &Truth) -> Result<()> {
    let timed = Arc::new(Timed { org_began: world.org_ms(), began: Instant::now(), world });
    let keeper = Keeper(Arc::default(), Arc::clone(&timed));
    let states = Memory::new(Settings::default());
    let end = plan.end + GRACE;
    loop {
        timed.catch_up();
        let now = timed.world.org_ms();
        if now >= end {
            break;
        }
        let off = &plan.timeline.off;
        if let Some((_, until)) = off.iter().find(|(from, until)| (*from..*until).contains(&now)) {
            sleep_until(timed.instant(*until)).await;
            continue;
        }
        let config = &plan.configs[plan.config_at(now)];
        let next_config = plan.configs.iter().map(|config| config.from).find(|from| *from > now);
        let next_off = off.iter().map(|(from, _)| *from).find(|from| *from > now);
        let until = [next_config, next_off].into_iter().flatten().min().unwrap_or(end).min(end);
        keeper.kept().generation = config.generation;

        let options = Options::new()
            .egress(Egress::allow([HOST])?)
            .transport(TimedTransport(Arc::clone(&timed)))
            .clock(Arc::clone(&timed));
        let opened = Configured::open(plugin, options, Secret::new(config.json.clone())).await;
        let (source, _) = opened.context("the configuration")?;
        let store = states.tenant(Owner::new("tenant", "salesforce", "0"))?;
        let runner = Runner::new(Pipeline::new(source, Box::new(keeper.clone()), Box::new(store)));
        let stopper = runner.stopper();
        let stop = async {
            sleep_until(timed.instant(until)).await;
            stopper.stop();
            // Whoever polls finishes what it is at.
            sleep(Duration::from_secs(3600)).await;
        };
        let finished = tokio::select! {
            finished = runner.run() => finished,
            () = stop => bail!("the runner does not stop"),
        };
        match finished.end {
            Ok(End::Stopped) => {}
            Ok(other) => bail!("the run ended by itself at {}: {other:?}", moment(timed.world.org_ms())),
            Err(error) => bail!("the run ended by itself at {}: {error}", moment(timed.world.org_ms())),
        }
    }
    let kept = &mut *keeper.kept();
    if let Some(wrong) = kept.wrong.take() {
        return Err(wrong);
    }
    kept.ledger.verify(&kept.library, truth).map(|_| ())
}
