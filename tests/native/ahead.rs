//! Downloads that are begun before it is their turn: what is asked for when, and that nothing depends on it.

use crate::{
    cases::configured_with,
    polls::{Run, expected, file, ids},
};
use collector::io::{Http, Pending, Request, Response, TransportError};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use std::{cell::Cell, rc::Rc};

/// An org that takes requests whose answers are wanted later.
struct Eager {
    org: CannedOrg,
    /// What became of those it took.
    begun: usize,
    under_way: Rc<Cell<usize>>,
    most_under_way: usize,
    /// How far the clock goes on while one is waited for.
    slow: Option<(StillClock, i64)>,
}

impl Eager {
    fn new(org: CannedOrg) -> Self {
        Self { org, begun: 0, under_way: Rc::default(), most_under_way: 0, slow: None }
    }

    fn downloads(&self) -> Vec<&str> {
        self.org.requests.iter().filter(|path| path.ends_with("/LogFile")).map(String::as_str).collect()
    }
}

impl Http for Eager {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if let Some((clock, ms)) = &self.slow
            && request.path.ends_with("/LogFile")
        {
            clock.advance(*ms);
        }
        self.org.send(request)
    }

    fn begin(&mut self, request: &Request) -> Option<Box<dyn Pending>> {
        self.begun += 1;
        self.under_way.set(self.under_way.get() + 1);
        self.most_under_way = self.most_under_way.max(self.under_way.get());
        let answer = self.org.send(request);
        Some(Box::new(Begun { answer: Some(answer), under_way: Rc::clone(&self.under_way) }))
    }
}

struct Begun {
    answer: Option<Result<Response, TransportError>>,
    under_way: Rc<Cell<usize>>,
}

impl Pending for Begun {
    fn answer(mut self: Box<Self>) -> Result<Response, TransportError> {
        self.answer.take().expect("one answer")
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.under_way.set(self.under_way.get() - 1);
    }
}

fn org(files: &[(u32, u32)]) -> CannedOrg {
    CannedOrg::with(files.iter().map(|(n, rows)| file(*n, *rows)).collect())
}

#[test]
fn small_files_are_asked_for_three_at_a_time_and_once_each() {
    let files: Vec<_> = (1..=9).map(|n| (n, 3)).collect();
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new(""));
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&files));
    assert_eq!(run.problems, Vec::<String>::new());
    assert_eq!((org.begun, org.most_under_way), (8, 3), "all but the first");
    assert_eq!(org.downloads().len(), 9, "{:?}", org.downloads());
}

#[test]
fn what_a_poll_costs_counts_what_was_begun() {
    let files: Vec<_> = (1..=4).map(|n| (n, 3)).collect();
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new(""));
    let batch = run.poll(&mut org).expect("a batch");
    assert_eq!(batch.stats.requests as usize, org.org.requests.len());
}

#[test]
fn nothing_is_begun_for_which_the_batch_has_no_room_once_it_is_known_how_long_rows_are() {
    let files: Vec<_> = (1..=20).map(|n| (n, 40)).collect();
    for limit in ["\"max_events\": 50", "\"max_bytes\": \"60KB\""] {
        let mut org = Eager::new(org(&files));
        let mut run = Run::new(&format!("\"batch\": {{{limit}}},"));
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), expected(&files), "{limit}");
        let downloads = org.downloads().len();
        assert!(downloads <= files.len() + 3, "{limit}: {downloads} downloads of {} files", files.len());
    }
}

#[test]
fn a_file_of_which_the_batch_takes_a_part_is_asked_for_ahead_too() {
    let files: Vec<_> = (1..=20).map(|n| (n, 40)).collect();
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new("\"batch\": {\"max_events\": 140},"));
    let mut polls = 0;
    loop {
        let (before, begun) = (org.downloads().len(), org.begun);
        let batch = run.poll(&mut org).expect("a batch");
        let (downloads, begun) = (org.downloads().len() - before, org.begun - begun);
        assert_eq!(
            downloads - begun,
            usize::from(polls == 0),
            "{downloads} downloads, of which {begun} were begun ahead"
        );
        polls += 1;
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    assert_eq!(ids(&run.events), expected(&files));
    assert!(polls > 4 && org.downloads().len() == files.len(), "{polls} polls, {:?}", org.downloads());
}

#[test]
fn of_streams_that_take_turns_each_begins_what_its_share_of_the_batch_has_room_for() {
    let types = ["Login", "Logout", "URI"];
    let files: Vec<_> = (1..=60).map(|n| (n, 40)).collect();
    let of_type = |n: u32| CannedFile { event_type: types[n as usize % 3].to_owned(), ..file(n, 40) };
    let mut org = Eager::new(CannedOrg::with(files.iter().map(|(n, _)| of_type(*n)).collect()));
    let stream = |name: &str| {
        format!(
            "\"{}\": {{\"event_log_file\": {{\"event_types\": [\"{name}\"]}}}}",
            name.to_lowercase() + "_files"
        )
    };
    let streams = types.map(stream).join(",");
    let mut run = Run::of(configured_with(&[
        ("{", "{\"batch\": {\"max_events\": 330},"),
        ("\"login\": {\"event_log_file\": {}}", &streams),
    ]));
    run.until_caught_up(&mut org);
    assert_eq!(run.events.len(), 60 * 40);
    let downloads = org.downloads().len();
    assert!(downloads <= 60 + 4, "{downloads} downloads of 60 files");
    assert!(org.begun >= 30, "{} begun ahead", org.begun);
}

#[test]
fn nothing_is_begun_before_a_long_file_and_while_one_is_read() {
    let files = [(1, 2), (2, 40_000), (3, 2)];
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new("\"batch\": {\"max_events\": 10000},"));
    // Of the long file's rows, which have 60 bytes, half make a megabyte.
    while run.events.len() < 20_000 {
        run.poll(&mut org).expect("a batch");
        assert_eq!(org.begun, 0, "behind {} events", run.events.len());
    }
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&files));
    assert_eq!((org.begun, org.downloads().len()), (1, 3), "the end of a long file is like a short one");
}

#[test]
fn what_was_begun_and_brings_no_file_is_asked_for_again_when_its_turn_comes() {
    let files: Vec<_> = (1..=5).map(|n| (n, 2)).collect();
    for what in [
        || What::Answer(503, "down"),
        || What::Answer(401, r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired"}]"#),
        || What::Answer(404, r#"[{"errorCode":"NOT_FOUND","message":"gone"}]"#),
        || What::Answer(302, ""),
        || What::NoAnswer,
    ] {
        let mut canned = org(&files);
        canned.mishaps.push(Mishap { path: "0AT000000000000003/LogFile", what: what() });
        let (mut org, mut run) = (Eager::new(canned), Run::new(""));
        run.until_caught_up(&mut org);
        assert_eq!(ids(&run.events), expected(&files));
        assert_eq!(run.problems, Vec::<String>::new());
        assert_eq!(org.downloads().len(), 6, "{:?}", org.downloads());
    }
}

#[test]
fn a_file_that_cannot_be_read_has_failed_once_and_not_twice() {
    let mut canned = org(&[(1, 2), (2, 2), (3, 2)]);
    canned.always.push((String::from("0AT000000000000002/LogFile"), 500, "broken"));
    let (mut org, mut run) = (Eager::new(canned), Run::new(""));
    run.poll(&mut org).expect("a batch");
    let state: serde_json::Value =
        serde_json::from_str(run.state.as_deref().expect("a state")).expect("JSON");
    assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
    let text = state.to_string();
    assert!(text.contains(r#""tries":1"#) && !text.contains(r#""tries":2"#), "{text}");
}

#[test]
fn what_has_waited_for_long_is_asked_for_again() {
    let files: Vec<_> = (1..=3).map(|n| (n, 2)).collect();
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new(""));
    org.slow = Some((run.clock.clone(), 11_000));
    run.until_caught_up(&mut org);
    assert_eq!(ids(&run.events), expected(&files));
    assert!(org.downloads().len() > files.len(), "{:?}", org.downloads());
}

#[test]
fn nothing_is_under_way_between_two_polls() {
    let files: Vec<_> = (1..=12).map(|n| (n, 3)).collect();
    let (mut org, mut run) = (Eager::new(org(&files)), Run::new("\"batch\": {\"max_time\": \"1s\"},"));
    // The time runs out while more is under way.
    org.slow = Some((run.clock.clone(), 1_500));
    while run.poll(&mut org).expect("a batch").next_poll_ms == 0 {
        assert_eq!(org.under_way.get(), 0);
    }
    assert_eq!(ids(&run.events), expected(&files));
    assert!(org.begun > 0);
}
