//! The loop, against a scripted source, with time that only the test moves: it is paused, and jumps to the next thing that is
//! waited for.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use captured_log::Log;
use event_output::{Check, Delivered, Delivery, Output, OutputError, OutputErrorKind};
use source_host::{Batch, Error, Failure, Problem, ProblemKind};
use source_host_cli::{
    End, Finished, HeldEvents, Next, Pipeline, Policy, Pollable, RunError, Runner, Watcher,
};
use state_store::{Answer, Memory, MemoryState, Owner, Past, Settings, StateError, StateStore, Stored};
use tokio::sync::Notify;
use tokio::time::Instant;

/// One thing after the other, as it happened.
#[derive(Clone, Default)]
struct Diary {
    entries: Arc<Mutex<Vec<String>>>,
    written: Arc<Notify>,
}

impl Diary {
    fn note(&self, entry: String) {
        self.entries.lock().unwrap().push(entry);
        self.written.notify_one();
    }

    fn entries(&self) -> Vec<String> {
        self.entries.lock().unwrap().clone()
    }

    fn told(&self) -> Vec<String> {
        self.entries().into_iter().filter(|entry| entry.starts_with("told")).collect()
    }

    fn polls(&self) -> Vec<String> {
        self.entries().into_iter().filter(|entry| entry.starts_with("poll")).collect()
    }

    /// Comes back once this entry is written.
    async fn has(&self, entry: &str) {
        while !self.entries().iter().any(|written| written == entry) {
            self.written.notified().await;
        }
    }
}

type Polled = Result<Batch, Error>;

struct Scripted {
    answers: VecDeque<Polled>,
    /// How renewals end; none: never.
    renewals: VecDeque<Option<Result<(), Error>>>,
    diary: Diary,
    started: Instant,
    /// How long each poll takes.
    takes: Duration,
}

impl Pollable for Scripted {
    async fn poll(&mut self, state: Option<&str>) -> Polled {
        let at = self.started.elapsed().as_secs();
        self.diary.note(format!("poll({}) at {at} s", state.unwrap_or("-")));
        tokio::time::sleep(self.takes).await;
        match self.answers.pop_front() {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn renew(&mut self) -> Result<(), Error> {
        self.diary.note("renew".into());
        match self.renewals.pop_front() {
            Some(Some(end)) => end,
            Some(None) => std::future::pending().await,
            None => Ok(()),
        }
    }

    fn peak_memory(&self) -> u64 {
        4096
    }
}

impl Watcher for Diary {
    fn delivered(&self, _: &Delivered, events: &[String], _: Duration) {
        self.note(format!("told: delivered {}", events.join(",")));
    }

    fn poll_failed(&self, error: &Error) {
        self.note(format!("told: {error}"));
    }

    fn output_failed(&self, error: &OutputError) {
        self.note(format!("told: {error}"));
    }
}

/// What the output answers, one after the other; then it takes everything.
#[derive(Default)]
struct Receiver {
    diary: Diary,
    answers: VecDeque<OutputError>,
}

impl Output for Receiver {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        self.diary.note(format!("deliver {}", events.join(",")));
        let answer = self.answers.pop_front();
        Box::pin(async { answer.map_or_else(|| Ok(Delivered::default()), Err) })
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(async { Ok(String::new()) })
    }

    fn reopen(&mut self) {
        self.diary.note("reopen".into());
    }
}

/// A store in memory, whose next saves fail as often as it says.
struct Kept {
    diary: Diary,
    store: MemoryState,
    /// What was saved by a run before.
    earlier: Option<String>,
    fails: usize,
}

impl StateStore for Kept {
    fn load(&mut self) -> Answer<'_, Option<Stored>> {
        Box::pin(async {
            if let Some(earlier) = self.earlier.take() {
                self.store.save(&earlier, None).await?;
            }
            self.store.load().await
        })
    }

    fn save<'a>(&'a mut self, state: &'a str, expected: Option<u64>) -> Answer<'a, u64> {
        if self.fails > 0 {
            self.fails -= 1;
            self.diary.note(format!("save {state} fails"));
            let reason = std::io::Error::from(std::io::ErrorKind::StorageFull);
            let error = StateError::Io { action: "write the state", location: "state.json".into(), reason };
            return Box::pin(async { Err(error) });
        }
        self.diary.note(format!("save {state}"));
        self.store.save(state, expected)
    }

    fn history(&mut self) -> Answer<'_, Vec<Past>> {
        self.store.history()
    }

    fn roll_back(&mut self, to: u64) -> Answer<'_, Stored> {
        self.store.roll_back(to)
    }

    fn check(&mut self) -> Answer<'_, ()> {
        self.store.check()
    }
}

fn runner(answers: Vec<Polled>, until_caught_up: bool) -> (Runner<Scripted>, Diary) {
    build(answers, until_caught_up, None, Vec::new(), 0)
}

fn pipeline(
    answers: Vec<Polled>,
    until_caught_up: bool,
    earlier: Option<&str>,
    refusals: Vec<OutputError>,
    fails: usize,
) -> (Pipeline<Scripted>, Diary) {
    let diary = Diary::default();
    let source = Scripted {
        answers: answers.into(),
        renewals: VecDeque::new(),
        diary: diary.clone(),
        started: Instant::now(),
        takes: Duration::ZERO,
    };
    let receiver = Receiver { diary: diary.clone(), answers: refusals.into() };
    let memory = Memory::new(Settings::default());
    let store = memory.tenant(Owner::new("tenant", "scripted", "1.0.0")).unwrap();
    let store = Kept { diary: diary.clone(), store, earlier: earlier.map(str::to_owned), fails };
    let policy = Policy { until_caught_up, ..Policy::default() };
    (Pipeline::new(source, Box::new(receiver), Box::new(store)).policy(policy), diary)
}

fn build(
    answers: Vec<Polled>,
    until_caught_up: bool,
    earlier: Option<&str>,
    refusals: Vec<OutputError>,
    fails: usize,
) -> (Runner<Scripted>, Diary) {
    let (pipeline, diary) = pipeline(answers, until_caught_up, earlier, refusals, fails);
    (Runner::new(pipeline), diary)
}

fn down(accepted: usize) -> OutputError {
    OutputError::new(OutputErrorKind::Unavailable, "the receiver is down").with_accepted(accepted)
}

fn batch(events: &[&str], state: &str, next_poll_ms: u32) -> Batch {
    let mut batch = Batch::default();
    batch.events = events.iter().map(|e| (*e).to_owned()).collect();
    batch.state = state.into();
    batch.next_poll_ms = next_poll_ms;
    batch.stats.requests = 2;
    batch.stats.rows_read = events.len() as u32;
    batch
}

fn with_problems(mut batch: Batch, problems: Vec<Problem>) -> Batch {
    batch.problems = problems;
    batch
}

fn problem(kind: ProblemKind, retry_after_ms: Option<u32>) -> Problem {
    let mut problem = Problem::new(kind, "trouble");
    problem.retry_after_ms = retry_after_ms;
    problem
}

fn troubled(kind: ProblemKind, state: &str, next_poll_ms: u32) -> Polled {
    Ok(with_problems(batch(&[], state, next_poll_ms), vec![problem(kind, None)]))
}

fn failure(kind: ProblemKind, retry_after_ms: Option<u32>, state: Option<&str>) -> Polled {
    let problem = problem(kind, retry_after_ms);
    Err(Error::Failure(Box::new(Failure::new(problem, state.map(str::to_owned)))))
}

fn in_stream(kind: ProblemKind, stream: &str, retry_after_ms: u32) -> Problem {
    let mut problem = problem(kind, Some(retry_after_ms));
    problem.stream = Some(stream.into());
    problem
}

fn trap() -> Polled {
    Err(Error::Trap { call: "poll", reason: "unreachable".into() })
}

fn failed(finished: Finished) -> RunError {
    finished.end.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn events_are_delivered_before_their_state_is_saved() {
    let (runner, diary) =
        runner(vec![Ok(batch(&["{1}", "{2}"], "a", 0)), Ok(batch(&["{3}"], "b", 1000))], true);
    let finished = runner.run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    let expected = ["poll(-) at 0 s", "deliver {1},{2}", "save a", "poll(a) at 0 s", "deliver {3}", "save b"];
    assert_eq!(diary.entries(), expected);
    let report = finished.report;
    assert_eq!((report.events, report.event_bytes, report.requests, report.polls), (3, 9, 4, 2));
    assert!(report.caught_up);
    assert_eq!(report.peak_memory_bytes, 4096);
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_from_the_stored_state() {
    let (runner, diary) = build(vec![Ok(batch(&[], "b", 1000))], true, Some("a"), Vec::new(), 0);
    runner.run().await.end.unwrap();
    assert_eq!(diary.entries(), ["poll(a) at 0 s", "save b"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_end_waits_as_long_as_the_source_says() {
    let (runner, diary) = runner(vec![Ok(batch(&[], "a", 60_000)), Ok(batch(&[], "b", 5_000))], false);
    let stopper = runner.stopper();
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("save b").await;
        // Into the wait of 5 s that follows.
        tokio::time::advance(Duration::from_secs(3)).await;
        stopper.stop();
    });
    assert_eq!(finished.end.unwrap(), End::Stopped);
    assert_eq!(diary.entries(), ["poll(-) at 0 s", "save a", "poll(a) at 60 s", "save b"]);
    assert_eq!(finished.report.seconds.round(), 63.0);
    assert!(!finished.report.caught_up);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_batch_under_way_be_delivered_and_saved() {
    let (runner, diary) = runner(vec![Ok(batch(&["{1}"], "a", 0)), Ok(batch(&["{2}"], "b", 0))], false);
    let stopper = runner.stopper();
    // Called after the first batch, before the second poll.
    let finished = runner.show(move |_| stopper.stop()).run().await;
    assert_eq!(finished.end.unwrap(), End::Stopped);
    assert_eq!(diary.entries(), ["poll(-) at 0 s", "deliver {1}", "save a"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_gone_ends_the_run_well_and_leaves_the_state_of_what_was_read() {
    let (runner, diary) = build(
        vec![Ok(batch(&["{1}"], "b", 0))],
        false,
        Some("a"),
        vec![OutputError::new(OutputErrorKind::Closed, "gone")],
        0,
    );
    assert_eq!(runner.run().await.end.unwrap(), End::ReaderGone);
    assert_eq!(diary.entries(), ["poll(a) at 0 s", "deliver {1}"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_waited_out_with_its_back_off_stored() {
    let answers = vec![
        failure(ProblemKind::Transient, Some(7_000), Some("a+back-off")),
        failure(ProblemKind::RateLimited, None, None),
        Ok(batch(&["{1}"], "b", 1000)),
    ];
    let (runner, diary) = build(answers, true, Some("a"), Vec::new(), 0);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    let expected = [
        "poll(a) at 0 s",
        "save a+back-off",
        "poll(a+back-off) at 7 s",
        "poll(a+back-off) at 37 s",
        "deliver {1}",
        "save b",
    ];
    assert_eq!(diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_does_not_end_a_run_that_waits_out_a_failure() {
    let answers = vec![
        failure(ProblemKind::Transient, Some(7_000), Some("a+back-off")),
        Ok(batch(&["{1}"], "b", 1000)),
    ];
    let (runner, diary) = build(answers, true, None, Vec::new(), 1);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    let expected = ["poll(-) at 0 s", "save a+back-off fails", "poll(-) at 7 s", "deliver {1}", "save b"];
    assert_eq!(diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_asks_for_no_wait_gets_one_all_the_same() {
    let answers = vec![failure(ProblemKind::Transient, Some(0), None), Ok(batch(&[], "b", 1000))];
    let (runner, _) = runner(answers, true);
    let started = Instant::now();
    runner.run().await.end.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_state_ends_the_run_at_once_and_is_not_overwritten() {
    for until_caught_up in [true, false] {
        let answers = vec![failure(ProblemKind::State, None, Some("overwritten"))];
        let (runner, diary) = build(answers, until_caught_up, Some("foreign"), Vec::new(), 0);
        assert!(failed(runner.run().await).is_users());
        assert_eq!(diary.entries(), ["poll(foreign) at 0 s"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_concerns_one_stream_ends_no_run_whatever_it_is_and_its_back_off_is_kept() {
    for kind in [ProblemKind::Config, ProblemKind::Permission, ProblemKind::Auth, ProblemKind::Internal] {
        let failed = Failure::new(in_stream(kind, "history", 10_000), Some("a+back-off".into()));
        let answers = vec![Err(Error::Failure(Box::new(failed))), Ok(batch(&["{1}"], "b", 1000))];
        let (runner, diary) = build(answers, false, Some("a"), Vec::new(), 0);
        let stopper = runner.stopper();
        let (finished, ()) = tokio::join!(runner.run(), async {
            diary.has("save b").await;
            stopper.stop();
        });
        assert_eq!(finished.end.unwrap(), End::Stopped, "{kind}");
        let expected =
            ["poll(a) at 0 s", "save a+back-off", "poll(a+back-off) at 10 s", "deliver {1}", "save b"];
        assert_eq!(diary.entries(), expected, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_up_after_the_source_has_worked_ends_no_run() {
    let answers = vec![
        Ok(batch(&["{1}"], "a", 1_000)),
        failure(ProblemKind::Config, Some(60_000), Some("a+back-off")),
        Ok(batch(&["{2}"], "b", 1_000)),
    ];
    let (runner, diary) = runner(answers, false);
    let stopper = runner.stopper();
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("save b").await;
        stopper.stop();
    });
    assert_eq!(finished.end.unwrap(), End::Stopped);
    assert_eq!(diary.polls(), ["poll(-) at 0 s", "poll(a) at 1 s", "poll(a+back-off) at 61 s"]);
    // Before it has worked, nobody is helped by going on.
    let (runner, _) =
        build(vec![failure(ProblemKind::Config, Some(60_000), None)], false, None, Vec::new(), 0);
    assert!(failed(runner.run().await).is_users());
}

#[tokio::test(start_paused = true)]
async fn a_run_until_caught_up_reads_all_other_streams_before_it_ends_with_the_problem_of_one() {
    let problems = vec![in_stream(ProblemKind::Permission, "history", 60_000)];
    let troubled = with_problems(batch(&["{1}"], "a", 0), problems);
    let answers = vec![Ok(troubled), Ok(batch(&["{2}"], "b", 0)), Ok(batch(&["{3}"], "c", 1_000))];
    let (runner, diary) = runner(answers, true);
    let error = failed(runner.run().await);
    assert_eq!(error.to_string(), "permission: history: trouble");
    assert!(diary.entries().contains(&"deliver {3}".to_owned()), "{:?}", diary.entries());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_next_attempt_is_not_taken_for_read() {
    let problems = vec![in_stream(ProblemKind::Transient, "history", 5_000)];
    let troubled = with_problems(batch(&[], "a", 1_000), problems);
    // Another stream has its slice before, and says nothing of it.
    let answers = vec![Ok(troubled), Ok(batch(&["{1}"], "b", 4_000)), Ok(batch(&["{2}"], "c", 60_000))];
    let (runner, diary) = runner(answers, true);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    assert_eq!(diary.polls(), ["poll(-) at 0 s", "poll(a) at 1 s", "poll(b) at 5 s"]);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_end_a_run_until_caught_up_and_are_retried_in_one_without_end() {
    let (first, _) = runner(vec![failure(ProblemKind::Auth, None, None)], true);
    let error = failed(first.run().await);
    assert!(!error.is_users());
    assert_eq!(error.to_string(), "auth: trouble");

    let (second, diary) =
        runner(vec![failure(ProblemKind::Auth, None, None), failure(ProblemKind::State, None, None)], false);
    second.run().await.end.unwrap_err();
    assert_eq!(diary.entries(), ["poll(-) at 0 s", "poll(-) at 30 s"]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_not_caught_up() {
    let mut waiting = batch(&["{1}"], "a", 2_000);
    waiting.stats.backlog_files = 1;
    let (runner, diary) = runner(vec![Ok(waiting), Ok(batch(&["{2}"], "b", 1000))], true);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    assert_eq!(diary.entries()[3], "poll(a) at 2 s");
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_passing_errors_is_not_caught_up() {
    for kind in [ProblemKind::Transient, ProblemKind::RateLimited] {
        let (runner, diary) = runner(vec![troubled(kind, "a", 10_000), Ok(batch(&[], "b", 1000))], true);
        assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
        assert_eq!(diary.entries()[2], "poll(a) at 10 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_lasting_errors_fails_the_run_once_the_others_are_read() {
    for kind in [ProblemKind::Config, ProblemKind::Auth, ProblemKind::Permission, ProblemKind::Internal] {
        let (runner, diary) = runner(vec![troubled(kind, "a", 0), troubled(kind, "b", 1000)], true);
        assert!(matches!(failed(runner.run().await), RunError::Problem(_)));
        assert_eq!(diary.entries(), ["poll(-) at 0 s", "save a", "poll(a) at 0 s", "save b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_data_that_was_stepped_around_does_not_fail_the_run() {
    let (runner, _) = runner(vec![troubled(ProblemKind::Data, "a", 1000)], true);
    let finished = runner.run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    assert_eq!(finished.report.problems, 1);
}

#[tokio::test(start_paused = true)]
async fn errors_without_progress_are_given_up_on_before_a_useless_wait() {
    let wait = |_| troubled(ProblemKind::Transient, "a", 100_000);
    let (runner, diary) = runner((0..9).map(wait).collect(), true);
    let error = failed(runner.run().await);
    // The troubled batches still say that rows were read: none here.
    assert!(matches!(error, RunError::NoProgress { .. }), "{error}");
    let polls = diary.entries().iter().filter(|e| e.starts_with("poll")).count();
    assert_eq!(polls, 4, "at 0, 100, 200 and 300 s");
}

#[tokio::test(start_paused = true)]
async fn progress_renews_the_patience() {
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(failure(ProblemKind::Transient, Some(200_000), None));
        answers.push(Ok(batch(&["{}"], "a", 0)));
    }
    answers.push(Ok(batch(&[], "b", 1000)));
    let (runner, _) = runner(answers, true);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
}

#[tokio::test(start_paused = true)]
async fn a_crash_starts_a_new_instance_with_the_same_state() {
    let (runner, diary) =
        build(vec![trap(), trap(), Ok(batch(&["{1}"], "b", 1000))], true, Some("a"), Vec::new(), 0);
    let finished = runner.run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    let expected =
        ["poll(a) at 0 s", "renew", "poll(a) at 1 s", "renew", "poll(a) at 3 s", "deliver {1}", "save b"];
    assert_eq!(diary.entries(), expected);
    assert_eq!(finished.report.problems, 2);
}

#[tokio::test(start_paused = true)]
async fn three_crashes_in_a_row_end_a_run_until_caught_up() {
    let (runner, diary) = runner(vec![trap(), trap(), trap()], true);
    let error = failed(runner.run().await);
    assert!(matches!(error, RunError::Crashed { times: 3, last: Error::Trap { .. } }), "{error}");
    assert_eq!(diary.entries().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_that_cannot_be_opened_is_told_and_one_that_was_not_waited_for_is_opened_again() {
    let answers = vec![trap(), Ok(batch(&[], "b", 1000))];
    let (mut pipeline, diary) = pipeline(answers, false, None, Vec::new(), 0);
    pipeline.source().renewals = [Some(trap().map(drop)), None].into();
    let mut pipeline = pipeline.watcher(Arc::new(diary.clone()));
    assert_eq!(pipeline.step().await.unwrap(), Next::Wait(Duration::from_secs(1)));
    assert_eq!(pipeline.step().await.unwrap(), Next::Wait(Duration::from_secs(2)));
    assert!(tokio::time::timeout(Duration::from_secs(1), pipeline.step()).await.is_err());
    pipeline.step().await.unwrap();
    let told = format!("told: {}", trap().unwrap_err());
    let expected = ["poll(-) at 0 s", &told, "renew", &told, "renew", "renew", "poll(-) at 1 s", "save b"];
    assert_eq!(diary.entries(), expected);
    assert_eq!(pipeline.report().problems, 2);
}

#[tokio::test(start_paused = true)]
async fn crashes_with_success_between_them_are_not_in_a_row() {
    let ok = || Ok(batch(&["{}"], "a", 0));
    let answers = vec![trap(), trap(), ok(), trap(), trap(), Ok(batch(&[], "b", 1000))];
    let (runner, _) = runner(answers, true);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_end_backs_off_from_crashes_up_to_a_minute() {
    let (runner, diary) = runner((0..10).map(|_| trap()).collect(), false);
    let stopper = runner.stopper();
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("poll(-) at 243 s").await;
        stopper.stop();
    });
    assert_eq!(finished.end.unwrap(), End::Stopped);
    let times = [0, 1, 3, 7, 15, 31, 63, 123, 183, 243];
    assert_eq!(diary.polls(), times.map(|t| format!("poll(-) at {t} s")));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_promises_more_and_brings_nothing_cannot_spin() {
    let answers = (0..40).map(|_| Ok(batch(&[], "a", 0))).collect();
    let (runner, diary) = runner(answers, false);
    let stopper = runner.stopper();
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("poll(a) at 6 s").await;
        stopper.stop();
    });
    let first = ["poll(-) at 0 s".to_owned()];
    let at_once = std::iter::repeat_n("poll(a) at 0 s".to_owned(), 9);
    let each_second = (0..=6).map(|second| format!("poll(a) at {second} s"));
    let expected: Vec<_> = first.into_iter().chain(at_once).chain(each_second).collect();
    assert_eq!(diary.polls(), expected, "ten at once, then one a second");
    assert_eq!(finished.report.polls, expected.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_it_reads_and_goes_on_from_where_it_was_cannot_spin() {
    let claims = |state: &str, next_poll_ms| {
        let mut batch = batch(&[], state, next_poll_ms);
        (batch.stats.rows_read, batch.stats.bytes_read, batch.stats.files_completed) = (1, 1, 1);
        Ok(batch)
    };
    for soon in [0, 1] {
        let answers = (0..40).map(|_| claims("a", soon)).collect();
        let (runner, diary) = runner(answers, false);
        let stopper = runner.stopper();
        let (finished, ()) = tokio::join!(runner.run(), async {
            diary.has("poll(a) at 9 s").await;
            stopper.stop();
        });
        // The first one has another state than none; ten more come at once.
        assert_eq!(finished.report.polls, 1 + 10 + 10, "{soon}: {:?}", diary.polls());
    }
}

/// Polls that a source gets in each of some minutes which reads without end and has no events, each poll taking 10 ms.
async fn polls_without_events(minutes: usize) -> Vec<usize> {
    let answers = (0..20_000).map(|n| {
        let mut batch = batch(&[], &format!("s{n}"), 0);
        batch.stats.rows_read = 1_000;
        Ok(batch)
    });
    let (mut pipeline, diary) = pipeline(answers.collect(), false, None, Vec::new(), 0);
    pipeline.source().takes = Duration::from_millis(10);
    let run = Runner::new(pipeline).run();
    let time = Duration::from_secs(60 * minutes as u64);
    assert!(tokio::time::timeout(time, run).await.is_err(), "it goes on");
    let mut polls = vec![0; minutes];
    for entry in diary.polls() {
        let (_, at) = entry.split_once(" at ").unwrap();
        let second: usize = at.trim_end_matches(" s").parse().unwrap();
        polls[(second / 60).min(minutes - 1)] += 1;
    }
    polls
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_rows_are_all_left_out_goes_on_at_full_speed_for_a_minute_and_then_somewhat_slower() {
    let polls = polls_without_events(3).await;
    // Tokio's clock has steps of a millisecond, and a wait ends in the one after it.
    assert!((5_400..=6_000).contains(&polls[0]), "{polls:?}");
    for later in &polls[1..] {
        assert!((530..=550).contains(later), "{polls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_events_after_all_is_as_fast_as_before() {
    let mut answers: Vec<Polled> = Vec::new();
    for n in 0..300 {
        let mut batch = batch(if n == 200 { &["{1}"] } else { &[] }, &format!("s{n}"), 0);
        batch.stats.rows_read = 1_000;
        answers.push(Ok(batch));
    }
    answers.push(Ok(batch(&[], "end", 60_000)));
    let (mut pipeline, _) = pipeline(answers, true, None, Vec::new(), 0);
    pipeline.source().takes = Duration::from_secs(1);
    let finished = Runner::new(pipeline).run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    // 301 polls of a second; after a minute each of the others before the events, and likewise after them, costs a tenth more.
    let waits = (200 - 60) + (300 - 261);
    let expected = 301.0 + f64::from(waits) / 10.0;
    assert!((finished.report.seconds - expected).abs() < 1.0, "{} and {expected}", finished.report.seconds);
}

#[tokio::test(start_paused = true)]
async fn batches_and_problems_fill_no_log_and_what_was_not_written_is_counted() {
    let log = Log::default();
    let guard = log.listen(tracing::Level::INFO);
    let mut answers: Vec<Polled> = Vec::new();
    for n in 0..1_000 {
        // The last one comes in the minute after the others.
        let next = if n >= 998 { 61_000 } else { 0 };
        let batch = batch(&["{1}"], &format!("s{n}"), next);
        answers.push(Ok(with_problems(batch, vec![problem(ProblemKind::Data, None); 5])));
    }
    let (pipeline, diary) = pipeline(answers, false, None, Vec::new(), 0);
    let runner = Runner::new(pipeline.log_lines(3));
    let stopper = runner.stopper();
    tokio::join!(runner.run(), async {
        diary.has("save s999").await;
        stopper.stop();
    });
    drop(guard);
    let text = log.text();
    let lines = |what: &str| text.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    let (batches, problems) = (lines("batch delivered"), lines("trouble"));
    assert_eq!((batches.len(), problems.len()), (3 + 1, 3 + 3), "{text}");
    assert!(batches[3].contains("suppressed=996"), "{}", batches[3]);
    assert!(problems[3].contains("suppressed=4992"), "{}", problems[3]);
}

#[tokio::test(start_paused = true)]
async fn an_output_is_opened_again_while_its_source_waits_which_goes_on_waiting() {
    let answers = vec![Ok(batch(&["{1}"], "a", 60_000)), Ok(batch(&[], "b", 60_000))];
    let (runner, diary) = runner(answers, false);
    let (stopper, reopener) = (runner.stopper(), runner.reopener());
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("save a").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        reopener.reopen();
        diary.has("reopen").await;
        diary.has("save b").await;
        stopper.stop();
    });
    assert_eq!(finished.end.unwrap(), End::Stopped);
    assert_eq!(diary.polls(), ["poll(-) at 0 s", "poll(a) at 60 s"]);
}

#[tokio::test(start_paused = true)]
async fn the_watcher_sees_the_backlog_and_the_wait() {
    let mut waiting = batch(&["{1}"], "a", 2_000);
    (waiting.stats.backlog_files, waiting.stats.backlog_bytes) = (3, 4_000);
    let (runner, _) = runner(vec![Ok(waiting), Ok(batch(&[], "b", 1000))], true);
    let (sender, receiver) = std::sync::mpsc::channel();
    let runner = runner.show(move |p| {
        sender
            .send((p.report.events, p.backlog_files, p.backlog_bytes, p.wait.map(|w| w.as_secs())))
            .unwrap();
    });
    runner.run().await.end.unwrap();
    assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [(1, 3, 4_000, Some(2)), (1, 0, 0, None)]);
}

#[test]
fn the_summary_is_one_line_for_people() {
    let report = source_host_cli::Report {
        events: 50_123,
        files: 24,
        bytes_received: 1_500_000,
        requests: 30,
        seconds: 4.25,
        peak_memory_bytes: 3 << 20,
        ..Default::default()
    };
    let line =
        "50,123 events from 24 files, 1.4 MiB received in 30 requests, 4.2 s, component's peak memory 3 MiB";
    assert_eq!(report.to_string(), line);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_down_pauses_its_source_and_gets_the_rest_when_it_is_up_again() {
    let answers = vec![Ok(batch(&["{1}", "{2}", "{3}"], "a", 0)), Ok(batch(&["{4}"], "b", 1000))];
    let (runner, diary) = build(answers, true, None, vec![down(1), down(0), down(1)], 0);
    let finished = runner.run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    let expected = [
        "poll(-) at 0 s",
        "deliver {1},{2},{3}",
        "deliver {2},{3}",
        "deliver {2},{3}",
        "deliver {3}",
        "save a",
        "poll(a) at 7 s",
        "deliver {4}",
        "save b",
    ];
    assert_eq!(diary.entries(), expected);
    assert_eq!(finished.report.events, 4);
}

#[tokio::test(start_paused = true)]
async fn what_an_output_takes_before_it_fails_is_told_as_delivered_once() {
    let answers = vec![Ok(batch(&["{1}", "{2}", "{3}"], "a", 1000))];
    let (pipeline, diary) = pipeline(answers, true, None, vec![down(1), down(0)], 0);
    Runner::new(pipeline.watcher(Arc::new(diary.clone()))).run().await.end.unwrap();
    let expected = [
        "told: delivered {1}",
        "told: the receiver is down",
        "told: the receiver is down",
        "told: delivered {2},{3}",
    ];
    assert_eq!(diary.told(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_takes_a_little_each_time_is_not_given_up_on() {
    let events: Vec<String> = (0..20).map(|n| format!("{{{n}}}")).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let (runner, _) = build(vec![Ok(batch(&events, "a", 1000))], true, None, vec![down(1); 19], 0);
    let finished = runner.run().await;
    assert_eq!(finished.end.unwrap(), End::CaughtUp);
    assert!(finished.report.seconds > 300.0, "longer than what is waited out without any progress");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_is_tried_again_before_anything_else_is_read() {
    let answers = vec![Ok(batch(&["{1}"], "a", 0)), Ok(batch(&["{2}"], "b", 1000))];
    let (runner, diary) = build(answers, true, None, Vec::new(), 2);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    let expected = [
        "poll(-) at 0 s",
        "deliver {1}",
        "save a fails",
        "save a fails",
        "save a",
        "poll(a) at 3 s",
        "deliver {2}",
        "save b",
    ];
    assert_eq!(diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_stays_down_ends_a_run_that_should_end_and_names_what_it_said() {
    let (runner, diary) = build(vec![Ok(batch(&["{1}"], "a", 0))], true, None, vec![down(0); 100], 0);
    let error = failed(runner.run().await);
    assert!(matches!(error, RunError::NoProgress { .. }), "{error}");
    assert!(error.to_string().contains("the receiver is down"), "{error}");
    assert!(!diary.entries().iter().any(|entry| entry.starts_with("save")));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_refuses_from_the_start_ends_the_run_at_once() {
    let refused = OutputError::new(OutputErrorKind::Refused, "the key is wrong");
    let (runner, _) = build(vec![Ok(batch(&["{1}"], "a", 0))], false, None, vec![refused], 0);
    let error = failed(runner.run().await);
    assert!(matches!(error, RunError::Output(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn events_for_which_there_is_no_capacity_are_let_go_and_polled_for_again() {
    let answers = || vec![Ok(batch(&["{1}", "{2}"], "a", 0)), Ok(batch(&["{1}", "{2}"], "a", 1000))];
    for (capacity, polls) in [(1_000, 1), (3, 2)] {
        let held = HeldEvents::new(capacity);
        let (pipeline, diary) = pipeline(answers(), false, None, vec![down(0)], 0);
        let mut pipeline = pipeline.held_events(held.clone());
        assert_eq!(pipeline.step().await.unwrap(), Next::Wait(Duration::from_secs(1)));
        assert_eq!(held.bytes(), if polls == 1 { 6 } else { 0 });
        pipeline.step().await.unwrap();
        assert_eq!(held.bytes(), 0);
        assert_eq!(diary.polls().len(), polls);
        assert_eq!(diary.entries().last().unwrap(), "save a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_dropped_half_way_is_done_again() {
    let (mut pipeline, diary) = pipeline(Vec::new(), false, Some("a"), Vec::new(), 0);
    for _ in 0..3 {
        let step = pipeline.step();
        assert!(tokio::time::timeout(Duration::from_secs(1), step).await.is_err());
    }
    assert_eq!(diary.polls(), ["poll(a) at 0 s", "poll(a) at 1 s", "poll(a) at 2 s"]);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_says_when_to_come_again_is_left_alone_until_then() {
    let retry = |seconds| down(0).with_retry_after(Some(Duration::from_secs(seconds)));
    let answers = vec![Ok(batch(&["{1}"], "a", 0)), Ok(batch(&[], "b", 1000))];
    // The second time it asks for less than the wait doubled, which is waited for all the same.
    let (runner, diary) = build(answers, true, None, vec![retry(120), retry(1)], 0);
    assert_eq!(runner.run().await.end.unwrap(), End::CaughtUp);
    assert_eq!(diary.polls(), ["poll(-) at 0 s", "poll(a) at 122 s"]);
    assert_eq!(diary.entries().iter().filter(|entry| *entry == "deliver {1}").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_down_for_an_hour_is_asked_once_a_minute_and_its_source_not_at_all() {
    let answers = vec![Ok(batch(&["{1}", "{2}"], "a", 0)), Ok(batch(&["{3}"], "b", 1000))];
    // 1, 2, 4, 8, 16 and 32 seconds, then sixty minutes.
    let (runner, diary) = build(answers, false, None, vec![down(0); 66], 0);
    let stopper = runner.stopper();
    let (finished, ()) = tokio::join!(runner.run(), async {
        diary.has("save b").await;
        stopper.stop();
    });
    assert_eq!(finished.end.unwrap(), End::Stopped);
    assert_eq!(diary.polls(), ["poll(-) at 0 s".to_owned(), format!("poll(a) at {} s", 63 + 60 * 60)]);
    let entries = diary.entries();
    assert_eq!(entries[1..68], vec!["deliver {1},{2}".to_owned(); 67]);
    assert_eq!(entries[68..], ["save a", "poll(a) at 3663 s", "deliver {3}", "save b"]);
    assert_eq!(finished.report.events, 3);
}
