//! The sandbox against a component that misbehaves on request.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, SystemTime};

use source_host::{Admission, Egress, Error, Limits, Options, Plugin, ProblemKind, Runtime};

async fn load(name: &str, content: Vec<u8>) -> Result<Plugin, Error> {
    Runtime::new().unwrap().load_bytes(name, content, &Admission::default()).await
}

async fn plugin() -> Plugin {
    load("guest.wasm", test_guests::component().unwrap()).await.unwrap()
}

fn options(limits: Limits) -> Options {
    Options::new().limits(limits).egress(Egress::allow(["*.example.com"]).unwrap())
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

async fn poll(limits: Limits, letter: &str) -> (Error, bool) {
    let mut source = plugin().await.open(options(limits)).await.unwrap();
    source.configure("{}").await.unwrap();
    let error = source.poll(Some(letter)).await.unwrap_err();
    (error, source.is_usable())
}

#[tokio::test]
async fn a_well_behaved_source_describes_configures_and_polls() {
    let mut source = plugin().await.open(options(Limits::default())).await.unwrap();
    let description = source.describe().await.unwrap();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("guest", "0.0.0"));
    assert_eq!(source.configure("{}").await.unwrap().authorities, ["logs.example.com"]);
    assert!(source.denied().is_empty());
    assert!(source.check().await.unwrap().is_empty());
    let batch = source.poll(None).await.unwrap();
    assert_eq!(batch.events, ["{\"n\":1}"]);
    assert_eq!((batch.state.as_str(), batch.next_poll_ms), ("{}", 60_000));
    assert_eq!(source.peak_memory(), 40 * 65_536);
}

#[tokio::test]
async fn a_source_that_was_suspended_goes_on_with_its_session_once_it_is_revived() {
    let mut source = plugin().await.open(options(Limits::default())).await.unwrap();
    source.configure("{}").await.unwrap();
    let session = source.suspend().await.unwrap();
    assert!(!source.is_usable());
    assert!(matches!(source.poll(None).await.unwrap_err(), Error::Spent));
    assert_eq!(format!("{session:?}"), "Some(Session(not shown))");
    assert!(source.suspend().await.unwrap().is_none(), "there is no instance");

    source.revive("{}", session).await.unwrap();
    assert_eq!(source.poll(None).await.unwrap().next_poll_ms, 60_005);
    source.revive("{}", None).await.unwrap();
    assert_eq!(source.poll(None).await.unwrap().next_poll_ms, 60_000);
}

#[tokio::test]
async fn a_source_is_confined_to_a_range_and_says_which_state_is_the_last() {
    let mut source = plugin().await.open(options(Limits::default())).await.unwrap();
    source.configure("{}").await.unwrap();
    let (start, end) = (SystemTime::UNIX_EPOCH, SystemTime::now());
    source.confine(start..end).await.unwrap();
    // Before 1970 as well.
    source.confine(start - Duration::from_secs(1)..start).await.unwrap();
    let error = source.confine(end..start).await.unwrap_err();
    let Error::Configuration(problems) = error else { panic!("{error}") };
    assert_eq!(problems[0].message, "nothing [2Jworks");
    assert!(source.is_usable());
    assert!(source.is_complete("c").await.unwrap() && !source.is_complete("{}").await.unwrap());
}

#[tokio::test]
async fn a_session_beyond_its_limit_is_refused_and_the_instance_is_gone() {
    let mut source = plugin().await.open(options(limits(|l| l.session_bytes = 4))).await.unwrap();
    source.configure("{}").await.unwrap();
    let error = source.suspend().await.unwrap_err();
    assert!(error.to_string().contains("a session of 5 bytes"), "{error}");
    assert!(!error.to_string().contains("guest") && !source.is_usable());
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_listed_after_configuring() {
    let mut source = plugin().await.open(Options::new()).await.unwrap();
    source.configure("{}").await.unwrap();
    assert_eq!(source.denied(), ["logs.example.com"]);
}

#[tokio::test]
async fn a_refused_configuration_is_an_answer_and_the_source_stays_usable() {
    let mut source = plugin().await.open(Options::new()).await.unwrap();
    let error = source.configure("{\"a\":1}").await.unwrap_err();
    let Error::Configuration(problems) = error else { panic!("{error}") };
    assert_eq!(problems[0].message, "nothing [2Jworks");
    assert!(source.is_usable());
    source.configure("{}").await.unwrap();
}

#[tokio::test]
async fn a_failure_is_an_answer_without_control_characters() {
    let (error, usable) = poll(Limits::default(), "e").await;
    let Error::Failure(failure) = error else { panic!("{error}") };
    assert_eq!(failure.problem.kind, ProblemKind::Transient);
    assert_eq!(failure.problem.message, "nothing [2Jworks");
    assert_eq!(failure.problem.retry_after_ms, Some(250));
    assert!(usable);
}

#[tokio::test]
async fn a_trap_spends_the_instance_and_the_next_call_says_so() {
    let mut source = plugin().await.open(Options::new()).await.unwrap();
    let error = source.poll(Some("t")).await.unwrap_err();
    assert!(matches!(&error, Error::Trap { call: "poll", .. }), "{error}");
    assert!(!source.is_usable());
    assert!(matches!(source.poll(None).await.unwrap_err(), Error::Spent));
}

#[tokio::test]
async fn an_endless_loop_is_stopped_at_the_limit() {
    let (error, usable) = poll(limits(|l| l.call_time = Duration::from_millis(100)), "l").await;
    assert!(matches!(error, Error::Timeout { call: "poll", .. }), "{error}");
    assert!(!usable);
}

#[tokio::test]
async fn an_endless_loop_leaves_other_tasks_their_share() {
    let mut source =
        plugin().await.open(options(limits(|l| l.call_time = Duration::from_secs(600)))).await.unwrap();
    // On this one thread, the other branch can end only if the loop gives way.
    tokio::select! {
        outcome = source.poll(Some("l")) => panic!("{outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert!(!source.is_usable(), "a call that was dropped half-way spends the instance");
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_with_the_name_of_the_limit() {
    let (error, usable) = poll(Limits::default(), "m").await;
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    assert!(error.to_string().contains("64 MiB") && error.to_string().contains("limits.memory"), "{error}");
    assert!(!usable);
}

#[tokio::test]
async fn a_source_that_needs_too_much_from_the_start_is_not_opened() {
    let error = plugin().await.open(options(limits(|l| l.memory = 1 << 20))).await.unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

#[tokio::test]
async fn what_breaks_the_contract_is_refused() {
    for (letter, says) in [
        ("j", "not one JSON object"),
        ("s", "a state of 1.0 MiB"),
        ("n", "200000 events"),
        ("f", "more than its limits"),
    ] {
        let (error, _) = poll(Limits::default(), letter).await;
        assert!(matches!(error, Error::Refused(_)), "{letter}: {error:?}");
        assert!(error.to_string().contains(says), "{letter}: {error}");
    }
}

#[tokio::test]
async fn a_component_that_wants_more_than_a_source_gets_is_refused_by_name() {
    let text = r#"(component
        (import "wasi:filesystem/types@0.2.0" (instance))
        (import "wasi:cli/environment@0.2.0" (instance))
        (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    let bytes = test_guests::from_text(text).unwrap();
    let error = load("greedy.wasm", bytes).await.unwrap_err().to_string();
    assert!(error.contains("`wasi:cli/environment@0.2.0`, `wasi:filesystem/types@0.2.0`"), "{error}");
    assert!(!error.contains("wall-clock@"), "{error}");
}

#[tokio::test]
async fn a_component_of_another_version_of_the_contract_is_told() {
    let bytes = test_guests::from_text(
        r#"(component (instance $i) (export "pipeline:source/source@0.2.0" (instance $i)))"#,
    )
    .unwrap();
    let error = load("next.wasm", bytes).await.unwrap_err().to_string();
    assert!(error.contains("source@0.2.0") && error.contains("source@0.1.0"), "{error}");
}

#[tokio::test]
async fn a_cached_component_is_the_same_component() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let runtime = Runtime::with_cache(&folder.path().canonicalize().unwrap()).unwrap();
        let content = test_guests::component().unwrap();
        let plugin = runtime.load_bytes("guest.wasm", content, &Admission::default()).await.unwrap();
        assert!(plugin.imports().is_empty());
    }
}
