//! A host that is killed at any moment leaves the state that it last reported as saved, or a newer one, and never a torn
//! one. And of two processes on one state, neither overwrites what the other has saved.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use state_store::{Database, Owner, Settings, StateError, StateFile, StateStore};

const STORE: &str = "STATE_STORE_KILL_TEST";

fn owner() -> Owner {
    Owner::new("acme", "salesforce", "1")
}

/// By the path's name, a file or a database.
fn open(path: &Path) -> Result<Box<dyn StateStore>, StateError> {
    // No distance in time, so that the history is written with every save and is hit by the kills as well.
    let settings = Settings::default().interval(Duration::ZERO);
    if path.extension().is_some_and(|extension| extension == "db") {
        return Ok(Box::new(Database::open(path, settings)?.tenant(owner())?));
    }
    Ok(Box::new(StateFile::open(path, owner(), settings)?))
}

/// A state that shows whether it is whole: its number, its length, and bytes that follow from the number.
fn state(number: u64) -> String {
    let length = 10 + usize::try_from(number * 7919 % 9_000).unwrap();
    let mut text = format!("{number} {length} ");
    text.extend((0..length).map(|i| char::from(b'a' + u8::try_from((i + number as usize) % 26).unwrap())));
    text
}

fn number(text: &str) -> u64 {
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Does nothing as a test. As the child of one it saves one state after another until it is killed.
#[tokio::test]
async fn a_child_that_saves() {
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    let mut store = open(&path).unwrap();
    let stored = store.load().await.unwrap();
    let mut revision = stored.as_ref().map(|stored| stored.revision);
    let mut next = stored.map_or(0, |stored| number(&stored.state)) + 1;
    loop {
        match store.save(&state(next), revision).await {
            Ok(saved) => {
                revision = Some(saved);
                println!("\nsaved {next} as {saved}");
                next += 1;
            }
            Err(error) if error.is_conflict() => {
                println!("\nconflict");
                let stored = store.load().await.unwrap().unwrap();
                revision = Some(stored.revision);
                next = number(&stored.state) + 1;
            }
            Err(error) => panic!("{error}"),
        }
        std::io::stdout().flush().unwrap();
    }
}

fn spawn(path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_that_saves", "--nocapture", "--quiet"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// The number and the revision that the line reports.
fn reported(line: &str) -> Option<(u64, u64)> {
    let (number, revision) = line.strip_prefix("saved ")?.split_once(" as ")?;
    Some((number.parse().ok()?, revision.parse().ok()?))
}

/// In memory where that is possible: a kill does not ask how slow the disk is, and ten times as many fit into the time.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

async fn survives_kills(name: &str, kills: u32) {
    let folder = folder();
    let path = folder.path().join(name);
    let begun = Instant::now();
    let (mut newest, mut ahead, mut survived) = (0, 0, 0);
    while survived < kills && begun.elapsed() < Duration::from_secs(4) {
        let (mut child, mut output) = spawn(&path);
        let mut line = String::new();
        let mut left = rand::rng().random_range(0..4);
        // From the first report on, at a random moment of a later save.
        while left > 0 {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the child has ended by itself");
            if let Some((number, _)) = reported(line.trim_end()) {
                newest = number;
                left -= 1;
            }
        }
        let moment = Instant::now() + Duration::from_micros(rand::rng().random_range(0..2_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it reported before it died counts as well.
        for line in output.lines() {
            newest = reported(&line.unwrap()).map_or(newest, |(number, _)| number);
        }
        let mut store = open(&path).unwrap();
        let stored = store.load().await.unwrap();
        let found = stored.as_ref().map_or(0, |stored| number(&stored.state));
        assert!(found == newest || found == newest + 1, "{found} is there, {newest} was reported");
        if let Some(stored) = stored {
            assert!(stored.state == state(found), "torn");
            ahead += u32::from(found > newest);
        }
        newest = found;
        for past in store.history().await.unwrap() {
            assert!(past.revision <= newest, "the history runs ahead");
        }
        survived += 1;
    }
    println!("{name}: {survived} kills, {newest} states, {ahead} times ahead of what was reported");
    assert!(survived >= 20 && newest > 20);
}

#[tokio::test]
async fn a_file_survives_kills_at_any_moment() {
    survives_kills("state.json", 400).await;
}

#[tokio::test]
async fn a_database_survives_kills_at_any_moment() {
    survives_kills("states.db", 400).await;
}

#[tokio::test]
async fn a_second_process_on_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let (mut child, output) = spawn(&path);
    let mut reports = output.lines().map(Result::unwrap);
    assert!(reports.any(|line| reported(&line).is_some()), "the child saves");
    let Err(error) = open(&path) else { panic!("both hold it") };
    assert!(matches!(error, StateError::InUse { .. }) && error.is_users());
    assert!(reports.any(|line| reported(&line).is_some()), "and goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    open(&path).unwrap().check().await.unwrap();
}

#[tokio::test]
async fn two_processes_on_a_database_never_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("states.db");
    let (mut child, output) = spawn(&path);
    let mut reports = output.lines().map(Result::unwrap);
    assert!(reports.any(|line| reported(&line).is_some()), "the child saves");
    let mut store = open(&path).unwrap();
    let (mut conflicts, mut ours) = (0, Vec::new());
    while ours.len() < 30 {
        let stored = store.load().await.unwrap().unwrap();
        match store.save(&state(number(&stored.state) + 1), Some(stored.revision)).await {
            Ok(revision) => ours.push(revision),
            Err(error) => {
                assert!(error.is_conflict(), "{error}");
                conflicts += 1;
            }
        }
    }
    let mut all = ours;
    let mut refused = 0;
    let mut take = |line: &str| {
        all.extend(reported(line).map(|(_, revision)| revision));
        refused += u32::from(line == "conflict");
        refused
    };
    // Sooner or later the child meets our saves.
    assert!(reports.by_ref().any(|line| take(&line) > 0), "the child saves over ours");
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reports {
        take(&line);
    }
    let saved = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), saved, "a revision was given twice");
    println!("{saved} saves of two processes; {conflicts} and {refused} conflicts");
    // Every save added one, so if none was overwritten, number and revision are the same.
    let stored = store.load().await.unwrap().unwrap();
    assert_eq!(number(&stored.state), stored.revision);
}
