//! The engine in this process does what every engine has to do.

use std::time::Duration;

use fleet::conformance::{ROOM, Rig, conforms};
use fleet::{Done, Engine as _, Event, Memory, PollError, Polled, Settings, Source, Sources, Worker};

struct InMemory(Memory);

impl Rig for InMemory {
    type Engine = Memory;

    fn engine(&self) -> &Memory {
        &self.0
    }

    async fn wake(&self, tenant: &str) {
        self.0.wake(tenant);
    }

    async fn published(&self, tenant: &str) -> Vec<String> {
        self.0.stored(tenant).events.into_iter().map(|event| event.text).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    conforms(&InMemory(Memory::new(Duration::from_secs(2), Duration::from_secs(3600), ROOM))).await;
}

/// The same source for each tenant.
struct All<S>(S);

impl<S: Source + Copy + Sync> Sources for All<S> {
    type Source = S;

    async fn open(&self, _tenant: &str) -> Result<Option<S>, PollError> {
        Ok(Some(self.0))
    }
}

/// A source that promises more at once and brings nothing.
#[derive(Clone, Copy)]
struct Promises;

impl Source for Promises {
    async fn poll(&mut self, _state: Option<&str>) -> Result<Polled, PollError> {
        Ok(Polled { events: Vec::new(), state: "x".to_owned(), wait: Duration::ZERO })
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_promises_more_and_brings_nothing_holds_no_worker() {
    let engine = Memory::new(Duration::from_secs(2), Duration::from_secs(3600), ROOM);
    engine.wake("acme");
    let worker = Worker::new(&engine, &All(Promises), "w", Settings::default());
    let done = worker.work(engine.next_job().await.unwrap()).await;
    let Done::Slept { polls, wait, .. } = done else { panic!("{done:?}") };
    assert_eq!((polls, wait), (10, Duration::from_secs(1)));
}

/// A source that has more than anybody can read, ten milliseconds a poll (by a clock that stands still otherwise).
#[derive(Clone, Copy)]
struct Endless;

impl Source for Endless {
    async fn poll(&mut self, state: Option<&str>) -> Result<Polled, PollError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let next = state.map_or(0, |state| state.parse::<u32>().unwrap()) + 1;
        let event = Event { id: Some(next.to_string()), text: "{}".to_owned() };
        Ok(Polled { events: vec![event], state: next.to_string(), wait: Duration::ZERO })
    }
}

#[tokio::test(start_paused = true)]
async fn tenants_that_have_more_than_can_be_read_take_turns_and_whoever_comes_late_is_served_before_their_next()
 {
    let engine = Memory::new(Duration::from_secs(30), Duration::from_secs(3600), 1_000_000);
    let settings = Settings { slice: Duration::from_secs(1), ..Settings::default() };
    let worker = Worker::new(&engine, &All(Endless), "w", settings);
    engine.wake("one");
    engine.wake("two");
    let mut served = Vec::new();
    for turn in 0..7 {
        let job = engine.next_job().await.unwrap();
        served.push(job.tenant.clone());
        if turn == 3 {
            engine.wake("zed");
        }
        let Done::Slept { polls, .. } = worker.work(job).await else { panic!("it has more") };
        assert_eq!(polls, 100, "a slice of a second");
    }
    assert_eq!(served, ["one", "two", "one", "two", "one", "zed", "two"]);
}

/// Sources whose worker dies of them.
struct Deadly;

impl Sources for Deadly {
    type Source = Promises;

    async fn open(&self, _tenant: &str) -> Result<Option<Promises>, PollError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_its_workers_die_of_is_put_off_without_a_poll() {
    let lease = Duration::from_secs(2);
    let engine = Memory::new(lease, Duration::from_secs(3600), ROOM);
    engine.wake("acme");
    let worker = Worker::new(&engine, &Deadly, "w", Settings::default());
    for _ in 0..Settings::default().deliveries {
        let job = engine.next_job().await.unwrap();
        assert!(tokio::time::timeout(lease / 10, worker.work(job)).await.is_err(), "it dies");
    }
    let done = worker.work(engine.next_job().await.unwrap()).await;
    assert!(
        matches!(&done, Done::Failed { why, .. } if why.contains("its worker ended over it")),
        "{done:?}"
    );
}
