//! What every store must pass.
//!
//! An implementation hands over a way to make a fresh [`Bench`] and calls [`all`] in a test:
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//! use std::time::{Duration, SystemTime};
//! use state_store::{Memory, Owner, Settings, StateError, StateStore, conformance};
//!
//! struct InMemory(Memory, Arc<AtomicU64>);
//!
//! impl conformance::Bench for InMemory {
//!     fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError> {
//!         Ok(Box::new(self.0.tenant(owner)?))
//!     }
//!
//!     fn advance(&self, by: Duration) {
//!         self.1.fetch_add(by.as_secs(), Ordering::Relaxed);
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! conformance::all(|| {
//!     let seconds = Arc::new(AtomicU64::new(1_800_000_000));
//!     let clock = Arc::clone(&seconds);
//!     let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
//!     InMemory(Memory::new(Settings::default().clock(now)), seconds)
//! })
//! .await;
//! # });
//! ```
//!
//! The cases panic with what is wrong, as tests do.

use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use crate::error::StateError;
use crate::limits::LARGEST_STATE;
use crate::store::{Owner, StateStore};

/// A store to be tested, with the default settings but for the clock.
pub trait Bench {
    /// Opens the state of this owner, at the same location each time.
    ///
    /// # Errors
    ///
    /// If another has it open and the store cannot be shared.
    fn open(&self, owner: Owner) -> Result<Box<dyn StateStore>, StateError>;

    /// Moves the clock on.
    fn advance(&self, by: Duration);
}

/// Runs all cases, each on a fresh store.
pub async fn all<B: Bench>(fresh: impl Fn() -> B) {
    there_is_no_state_at_the_beginning(fresh()).await;
    what_is_saved_is_loaded_verbatim(fresh()).await;
    the_same_text_keeps_its_revision(fresh()).await;
    a_save_from_an_old_revision_is_a_conflict_and_writes_nothing(fresh()).await;
    two_hosts_never_overwrite_each_other(fresh()).await;
    what_the_next_start_would_refuse_is_refused_at_save(fresh()).await;
    another_tenant_or_component_never_gets_this_state(fresh()).await;
    another_version_gets_the_state_and_the_last_of_the_old_one_is_kept(fresh()).await;
    the_history_has_at_most_five_states_an_hour_apart(fresh()).await;
    going_back_is_a_new_revision_and_can_be_undone(fresh()).await;
    going_back_to_what_is_not_there_changes_nothing(fresh()).await;
    a_check_changes_nothing(fresh()).await;
    a_save_that_was_dropped_can_be_made_again(fresh()).await;
    no_error_and_no_debug_output_shows_a_state(fresh()).await;
}

const SECRET: &str = "{\"user\": \"jane.doe@example.com\"}";

fn owner(version: &str) -> Owner {
    Owner::new("acme", "salesforce", version)
}

#[track_caller]
fn ok<T>(result: Result<T, StateError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused<T: Debug>(result: Result<T, StateError>) -> StateError {
    match result {
        Ok(value) => panic!("not refused: {value:?}"),
        Err(error) => {
            let kinds = [error.is_users(), error.is_conflict(), error.passes()];
            assert_eq!(kinds.iter().filter(|&&kind| kind).count(), 1, "not of one kind: {error}");
            error
        }
    }
}

async fn text(store: &mut dyn StateStore) -> Option<String> {
    ok(store.load().await).map(|stored| stored.state)
}

async fn there_is_no_state_at_the_beginning(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    assert_eq!(ok(store.load().await), None);
    assert_eq!(ok(store.history().await), []);
}

async fn what_is_saved_is_loaded_verbatim(bench: impl Bench) {
    let largest = "ü".repeat(LARGEST_STATE / 2);
    let mut revision = None;
    for state in ["{\"a\": \"ü\"}\n  ", "\0a\0", "\n", "\u{feff}x", largest.as_str(), "SELECT '?'"] {
        let mut store = ok(bench.open(owner("1").with_digest("sha256:1")));
        let saved = ok(store.save(state, revision).await);
        assert!(Some(saved) > revision, "revisions grow");
        revision = Some(saved);
        drop(store);
        let Some(stored) = ok(ok(bench.open(owner("1"))).load().await) else { panic!("nothing is there") };
        assert!(stored.state == state && stored.revision == saved);
        assert_eq!(stored.version.as_deref(), Some("1"));
        assert_eq!(stored.digest.as_deref(), Some("sha256:1"));
        assert!(stored.saved_at.is_some());
    }
}

async fn the_same_text_keeps_its_revision(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let revision = ok(store.save("a", None).await);
    let first = ok(store.load().await);
    bench.advance(Duration::from_secs(3600));
    assert_eq!(ok(store.save("a", Some(revision)).await), revision);
    assert_eq!(ok(store.load().await), first);
    assert_eq!(ok(store.history().await), []);
}

async fn a_save_from_an_old_revision_is_a_conflict_and_writes_nothing(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let first = ok(store.save("a", None).await);
    let second = ok(store.save("b", Some(first)).await);
    for expected in [None, Some(first), Some(second + 1), Some(0), Some(u64::MAX)] {
        for state in ["c", "b"] {
            assert!(refused(store.save(state, expected).await).is_conflict(), "{expected:?}");
        }
    }
    assert_eq!(text(&mut *store).await.as_deref(), Some("b"));
    assert!(ok(store.save("c", Some(second)).await) > second);
}

async fn two_hosts_never_overwrite_each_other(bench: impl Bench) {
    let mut first = ok(bench.open(owner("1")));
    let start = ok(first.save("start", None).await);
    match bench.open(owner("1")) {
        Err(error) => {
            assert!(refused::<()>(Err(error)).is_users());
            ok(first.save("goes on", Some(start)).await);
            drop(first);
            ok(bench.open(owner("1")));
        }
        Ok(mut second) => {
            assert_eq!(text(&mut *second).await.as_deref(), Some("start"));
            let ahead = ok(second.save("second", Some(start)).await);
            assert!(refused(first.save("first", Some(start)).await).is_conflict());
            assert_eq!(text(&mut *first).await.as_deref(), Some("second"));
            ok(first.save("first", Some(ahead)).await);
            assert!(refused(second.save("second again", Some(ahead)).await).is_conflict());
        }
    }
}

async fn what_the_next_start_would_refuse_is_refused_at_save(bench: impl Bench) {
    let large = "x".repeat(LARGEST_STATE + 1);
    for expected in [None, Some(1)] {
        let mut store = ok(bench.open(owner("1")));
        let error = refused(store.save("", expected).await);
        assert!(error.is_users() && error.to_string().contains("empty"), "{error}");
        let error = refused(store.save(&large, expected).await);
        assert!(error.is_users() && error.to_string().contains("1048577"), "{error}");
        drop(store);
        let mut store = ok(bench.open(owner("1")));
        assert_eq!(text(&mut *store).await.as_deref(), expected.map(|_| "a"));
        ok(store.save("a", expected).await);
    }
}

async fn another_tenant_or_component_never_gets_this_state(bench: impl Bench) {
    ok(ok(bench.open(owner("1"))).save(SECRET, None).await);
    for other in [Owner::new("globex", "salesforce", "1"), Owner::new("acme", "okta", "1")] {
        let mut store = ok(bench.open(other));
        match store.load().await {
            Ok(stored) => assert_eq!(stored, None),
            Err(error) => {
                assert!(refused::<()>(Err(error)).is_users());
                assert!(refused(store.save("mine", None).await).is_users());
                assert!(refused(store.save("mine", Some(1)).await).is_users());
                assert!(refused(store.roll_back(1).await).is_users());
                assert!(refused(store.check().await).is_users());
            }
        }
    }
    assert_eq!(text(&mut *ok(bench.open(owner("1")))).await.as_deref(), Some(SECRET));
}

async fn another_version_gets_the_state_and_the_last_of_the_old_one_is_kept(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let a = ok(store.save("a", None).await);
    let b = ok(store.save("b", Some(a)).await);
    let mut last = ok(store.save("last", Some(b)).await);
    drop(store);
    let old = last;
    let mut store = ok(bench.open(owner("2")));
    assert_eq!(text(&mut *store).await.as_deref(), Some("last"));
    for hour in 0..10 {
        last = ok(store.save(&format!("new {hour}"), Some(last)).await);
        bench.advance(Duration::from_secs(3600));
    }
    let history = ok(store.history().await);
    let Some(kept) = history.iter().find(|past| past.revision == old) else {
        panic!("the last state before the upgrade is gone: {history:?}")
    };
    assert_eq!((kept.bytes, kept.version.as_deref()), (4, Some("1")));
    drop(store);
    let mut store = ok(bench.open(owner("1")));
    let back = ok(store.roll_back(old).await);
    assert_eq!((back.state.as_str(), back.version.as_deref()), ("last", Some("1")));
}

async fn the_history_has_at_most_five_states_an_hour_apart(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let mut revision = None;
    for minute in (0..600).step_by(20) {
        revision = Some(ok(store.save(&format!("minute {minute}"), revision).await));
        bench.advance(Duration::from_secs(20 * 60));
    }
    let history = ok(store.history().await);
    assert_eq!(history.len(), 5);
    let times: Vec<_> = history.iter().filter_map(|past| past.saved_at).collect();
    for pair in times.windows(2) {
        assert_eq!(pair[0].duration_since(pair[1]).ok(), Some(Duration::from_secs(3600)));
    }
    assert!(history.is_sorted_by(|a, b| a.revision > b.revision));
}

async fn going_back_is_a_new_revision_and_can_be_undone(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let first = ok(store.save("first", None).await);
    let second = ok(store.save("second", Some(first)).await);
    let back = ok(store.roll_back(first).await);
    assert!(back.state == "first" && back.revision > second);
    assert_eq!(ok(store.load().await), Some(back.clone()));
    assert!(refused(store.save("third", Some(second)).await).is_conflict(), "a host that still runs");
    let again = ok(store.roll_back(second).await);
    assert!(again.state == "second" && again.revision > back.revision);
    assert_eq!(ok(store.roll_back(again.revision).await), again);
    ok(store.save("third", Some(again.revision)).await);
}

async fn going_back_to_what_is_not_there_changes_nothing(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    assert!(refused(store.roll_back(1).await).is_users());
    let first = ok(store.save("first", None).await);
    let second = ok(store.save("second", Some(first)).await);
    for to in [0, 99, u64::MAX] {
        let error = refused(store.roll_back(to).await);
        assert!(error.is_users() && error.to_string().contains(&to.to_string()), "{error}");
    }
    assert_eq!(ok(store.save("third", Some(second)).await), second + 1);
}

async fn a_check_changes_nothing(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    ok(store.check().await);
    assert_eq!(ok(store.load().await), None);
    let revision = ok(store.save("a", None).await);
    let before = ok(store.load().await);
    ok(store.check().await);
    assert_eq!(ok(store.load().await), before);
    assert_eq!(ok(store.save("b", Some(revision)).await), revision + 1);
}

async fn a_save_that_was_dropped_can_be_made_again(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let mut revision = ok(store.save("start", None).await);
    for i in 0..50 {
        let mut save = store.save("dropped", Some(revision));
        // Polled once, so that it has begun. A store that answers at once has been heard of, any other has not.
        let answer = std::future::poll_fn(|context| Poll::Ready(save.as_mut().poll(context))).await;
        drop(save);
        if let Poll::Ready(answer) = answer {
            revision = ok(answer);
        }
        revision = ok(store.save(&format!("again {i}"), Some(revision)).await);
        let Some(stored) = ok(store.load().await) else { panic!("nothing is there") };
        assert_eq!((stored.state, stored.revision), (format!("again {i}"), revision));
    }
}

async fn no_error_and_no_debug_output_shows_a_state(bench: impl Bench) {
    let mut store = ok(bench.open(owner("1")));
    let revision = ok(store.save(SECRET, None).await);
    let shown = format!("{:?}", ok(store.load().await));
    assert!(!shown.contains("jane"), "{shown}");
    for error in [
        refused(store.save(SECRET, Some(revision + 1)).await),
        refused(store.save(&SECRET.repeat(1 + LARGEST_STATE / SECRET.len()), Some(revision)).await),
        refused(store.roll_back(revision + 1).await),
    ] {
        assert!(!format!("{error} {error:?}").contains("jane"), "{error}");
    }
}
