//! A host is killed while it writes to a file: what it said to be safe is there, and what is there are whole lines.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use event_output::conformance::events;
use event_output::{EventFile, FileSettings, Output};

const BATCH: usize = 500;

/// What the other process does: writes batches for ever, and says when each is safe.
#[tokio::test]
async fn the_host_that_is_killed() {
    let Ok(path) = std::env::var("EVENT_OUTPUT_KILLED") else { return };
    let mut settings = FileSettings::new(path);
    settings.rotate_bytes = Some(1 << 20);
    let mut output = EventFile::open(settings).unwrap();
    for batch in 0.. {
        output.deliver(&events(batch * BATCH..(batch + 1) * BATCH)).await.unwrap();
        println!("safe: {}", batch + 1);
    }
}

#[test]
fn what_a_killed_host_called_safe_is_there() {
    for round in 1..=5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::the_host_that_is_killed", "--nocapture"])
            .env("EVENT_OUTPUT_KILLED", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut safe = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after a while, wherever it is then.
        while safe < round * 4 {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, count)) = line.split_once("safe: ") {
                safe = count.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(count) = line.strip_prefix("safe: ") {
                safe = count.parse().unwrap_or(safe);
            }
        }
        // The next host takes the file at once, and mends it.
        drop(EventFile::open(FileSettings::new(&path)).unwrap());
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end != "lock"));
        files.sort_by_key(|file| (*file == path, file.clone()));
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let there: Vec<&str> = text.lines().collect();
        assert!(there.len() >= safe * BATCH, "{} events of {safe} batches", there.len());
        assert_eq!(there, events(0..there.len()));
    }
}
