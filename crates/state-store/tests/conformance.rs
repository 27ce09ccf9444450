//! All stores pass the suite that the crate ships.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use state_store::conformance::{Bench, all};
use state_store::{Database, Memory, Owner, Settings, StateError, StateFile, StateStore};

#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    fn settings(&self) -> Settings {
        let seconds = Arc::clone(&self.0);
        Settings::default()
            .clock(move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

struct File(PathBuf, Clock, #[expect(dead_code, reason = "keeps the folder")] tempfile::TempDir);

impl Bench for File {
    fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError> {
        Ok(Box::new(StateFile::open(&self.0, owner, self.1.settings())?))
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }
}

#[tokio::test]
async fn a_file_keeps_what_is_promised() {
    all(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        File(path, Clock::new(), folder)
    })
    .await;
}

struct Shared(Database, Clock, #[expect(dead_code, reason = "keeps the folder")] tempfile::TempDir);

impl Bench for Shared {
    fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError> {
        Ok(Box::new(self.0.tenant(owner)?))
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }
}

#[tokio::test]
async fn a_database_keeps_what_is_promised() {
    all(|| {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        Shared(Database::open(&folder.path().join("states.db"), clock.settings()).unwrap(), clock, folder)
    })
    .await;
}

/// As above, and opened anew each time, so that nothing is remembered in the process.
struct Reopened(tempfile::TempDir, Clock);

impl Bench for Reopened {
    fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError> {
        let database = Database::open(&self.0.path().join("states.db"), self.1.settings())?;
        Ok(Box::new(database.tenant(owner)?))
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }
}

#[tokio::test]
async fn a_database_that_is_opened_anew_each_time_keeps_what_is_promised() {
    all(|| Reopened(tempfile::tempdir().unwrap(), Clock::new())).await;
}

struct InMemory(Memory, Clock);

impl Bench for InMemory {
    fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError> {
        Ok(Box::new(self.0.tenant(owner)?))
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }
}

#[tokio::test]
async fn the_memory_keeps_what_is_promised() {
    all(|| {
        let clock = Clock::new();
        InMemory(Memory::new(clock.settings()), clock)
    })
    .await;
}

/// Whatever is asked in whatever order, the stores answer alike. So what holds for one by its tests holds for the others.
#[tokio::test]
async fn all_stores_answer_alike() {
    for _ in 0..8 {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let file = File(folder.path().join("state.json"), clock.clone(), tempfile::tempdir().unwrap());
        let database = Reopened(folder, clock.clone());
        let memory = InMemory(Memory::new(clock.settings()), clock.clone());
        let open = |version: u8| {
            let owner = Owner::new("acme", "salesforce", version.to_string());
            let benches: [&dyn Bench; 3] = [&file, &database, &memory];
            benches.map(|bench| bench.open(owner.clone()).unwrap())
        };
        let mut stores = open(0);
        let mut revision = None;
        for step in 0..60 {
            let mut answers = Vec::new();
            let (what, number) = (rand::random_range(0..10), rand::random_range(0..step + 2));
            let text = format!("state {}", rand::random_range(0..4));
            clock.advance(Duration::from_secs(60 * rand::random_range(0..40)));
            if what == 0 {
                drop(stores);
                stores = open(rand::random_range(0..3));
            }
            for store in &mut stores {
                let answer = match what {
                    0..=5 => store.save(&text, revision).await.map(|revision| format!("{revision}")),
                    6 => store.save(&text, Some(number)).await.map(|revision| format!("{revision}")),
                    7 => store.roll_back(number).await.map(|stored| format!("{} {stored:?}", stored.state)),
                    _ => store.history().await.map(|history| format!("{history:?}")),
                };
                let kind = |error: StateError| format!("{} {}", error.is_users(), error.is_conflict());
                answers.push((answer.unwrap_or_else(kind), store.load().await.unwrap()));
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{what} {number}: {answers:?}");
            revision = answers[0].1.as_ref().map(|stored| stored.revision);
        }
    }
}
