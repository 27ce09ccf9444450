//! A worker in a process of its own, so that it can be killed and stopped: this test program, started once more.
//!
//! Its sources are logs of numbered events that the tenant's name says nothing of; how many there are and how they are polled stands in
//! the environment. What it does it says on its standard output, a line each.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleet::{
    Checkpoint, CommitError, Done, Engine, EngineError, Event, JetStream, Job, JobLease, Layout, PollError,
    Polled, Revision, Settings, Source, Sources, Wake, Worker,
};
use serde::{Deserialize, Serialize};

use super::nats::connect;

const TASK: &str = "FLEET_TEST_WORKER";

/// What a worker is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub urls: Vec<String>,
    pub replicas: usize,
    pub lease: Duration,
    pub room: u32,
    pub places: usize,
    /// Events that each tenant has.
    pub events: u64,
    /// Events of one poll at most.
    pub batch: u64,
    /// How long a poll takes.
    pub poll: Duration,
    /// How long a tenant sleeps at most that has more.
    pub wait: Duration,
    /// How long one sleeps that has no more.
    pub rest: Duration,
}

impl Task {
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::new("test").unwrap();
        layout.replicas = self.replicas;
        layout.lease = self.lease;
        layout.waiting_events = self.room;
        layout
    }
}

/// What a worker said, and when it was heard.
#[derive(Clone, Debug)]
pub struct Said {
    pub at: Instant,
    pub worker: usize,
    pub words: Vec<String>,
}

/// What all workers said, in the order in which it was heard.
pub type Log = Arc<Mutex<Vec<Said>>>;

/// A worker's process, killed at the end.
pub struct Process {
    child: Child,
    /// Which one it is, of all that there were.
    pub number: usize,
}

impl Process {
    pub fn start(task: &Task, number: usize, log: &Log) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "support::worker::this_is_a_worker",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::clone(log);
        std::thread::spawn(move || {
            for line in lines {
                let Some(said) = line.strip_prefix("fleet: ") else { continue };
                let words = said.split(' ').map(str::to_owned).collect();
                log.lock().unwrap().push(Said { at: Instant::now(), worker: number, words });
            }
        });
        Self { child, number }
    }

    /// `-STOP`, `-CONT`, `-KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(text: std::fmt::Arguments<'_>) {
    // Whoever listens may have gone.
    let _ = writeln!(std::io::stdout().lock(), "fleet: {text}");
}

/// The engine, which tells what becomes of commits.
struct Telling(JetStream);

impl Engine for Telling {
    type Lease = JobLease;

    async fn next_job(&self) -> Result<Job<JobLease>, EngineError> {
        let job = self.0.next_job().await?;
        say(format_args!("start {} {}", job.tenant, job.deliveries));
        Ok(job)
    }

    async fn extend(&self, lease: &JobLease) -> Result<(), EngineError> {
        self.0.extend(lease).await
    }

    async fn commit(
        &self,
        lease: &JobLease,
        events: &[Event],
        checkpoint: &Checkpoint,
        revision: Revision,
    ) -> Result<Revision, CommitError> {
        let done = self.0.commit(lease, events, checkpoint, revision).await;
        if done.is_ok() {
            say(format_args!(
                "commit {} {} {} {}",
                lease.tenant(),
                checkpoint.commits,
                events.len(),
                checkpoint.writer
            ));
        }
        done
    }

    async fn sleep_until(&self, lease: &JobLease, wake: Wake) -> Result<(), CommitError> {
        self.0.sleep_until(lease, wake).await
    }

    fn lease_time(&self) -> Duration {
        self.0.lease_time()
    }
}

struct Logs(Task);

struct Log1(Task, u64);

impl Sources for Logs {
    type Source = Log1;

    async fn open(&self, _tenant: &str) -> Result<Option<Log1>, PollError> {
        Ok(Some(Log1(self.0.clone(), 0)))
    }
}

impl Source for Log1 {
    async fn poll(&mut self, state: Option<&str>) -> Result<Polled, PollError> {
        let Self(task, polls) = self;
        *polls += 1;
        tokio::time::sleep(task.poll).await;
        let read: u64 = state.map_or(Ok(0), str::parse).map_err(|_| PollError {
            message: "the state is no number".into(),
            retry_after: None,
            state: None,
        })?;
        let until = task.events.min(read + task.batch);
        let event = |number: u64| Event {
            id: Some(number.to_string()),
            text: format!("{{\"event\":{{\"id\":\"{number}\"}},\"message\":\"{:200}\"}}", ""),
        };
        let wait = match until {
            until if until == task.events => task.rest,
            // Some go on at once, and others sleep for a part of it.
            until => task.wait * u32::try_from(until / task.batch % 4).unwrap() / 3,
        };
        Ok(Polled { events: (read..until).map(event).collect(), state: until.to_string(), wait })
    }
}

#[test]
#[ignore = "is a worker that other tests start"]
fn this_is_a_worker() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    // What the tests' harness says of this one ends here.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = connect(&task.urls).await;
        let engine = Telling(JetStream::open(client, task.layout()).await.unwrap());
        let sources = Logs(task.clone());
        say(format_args!("ready"));
        let (engine, sources) = (&engine, &sources);
        let place = |number: usize| async move {
            let name = format!("worker-{}/{number}", std::process::id());
            let worker = Worker::new(engine, sources, &name, Settings::default());
            let told = |tenant: &str, done: &Done| match done {
                Done::Slept { polls, events, .. } => say(format_args!("slept {tenant} {polls} {events}")),
                Done::Fenced => say(format_args!("fenced {tenant}")),
                Done::Failed { why, .. } => say(format_args!("failed {tenant} {why}")),
                Done::Left(why) => say(format_args!("left {tenant} {why}")),
                Done::Absent => {}
            };
            worker.run(std::future::pending(), told).await;
        };
        futures_util::future::join_all((0..task.places).map(place)).await;
    });
}
