//! What every engine has to do, tried against one.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::engine::{CommitError, Engine, EngineError};
use crate::job::{Checkpoint, Event, Job, Revision, Wake};

/// An engine that is to be tried, empty, with room for [`ROOM`] events of a tenant, and what the four verbs do not tell.
pub trait Rig: Sync {
    /// Its engine.
    type Engine: Engine;

    /// As one worker has it.
    fn engine(&self) -> &Self::Engine;

    /// Has a tenant polled now.
    fn wake(&self, tenant: &str) -> impl Future<Output = ()> + Send;

    /// The events of a tenant that were published, in order.
    fn published(&self, tenant: &str) -> impl Future<Output = Vec<String>> + Send;
}

/// How many events of a tenant wait at most.
pub const ROOM: usize = 20;

type JobOf<R> = Job<<<R as Rig>::Engine as Engine>::Lease>;

/// Tries everything, one after the other, each with tenants of its own.
///
/// # Panics
///
/// At what does not hold.
pub async fn conforms<R: Rig>(rig: &R) {
    a_tenant_is_handed_to_one_worker_at_a_time(rig).await;
    a_lease_that_is_extended_holds_and_one_that_is_not_runs_out(rig).await;
    a_commit_is_where_the_next_job_goes_on(rig).await;
    a_checkpoint_is_replaced_by_its_revision_alone(rig).await;
    whoever_is_late_with_its_acknowledgement_makes_nobody_forgotten(rig).await;
    whoever_is_late_changes_nothing_of_what_another_has_done_and_planned(rig).await;
    whoever_is_late_and_was_the_last_to_commit_is_not_fenced_by_itself(rig).await;
    a_tenant_sleeps_as_long_as_it_was_told(rig).await;
    events_that_come_again_are_one(rig).await;
    a_tenant_without_room_does_not_hold_up_another(rig).await;
}

async fn next<R: Rig>(rig: &R) -> JobOf<R> {
    let limit = rig.engine().lease_time() * 4 + Duration::from_secs(10);
    timeout(limit, rig.engine().next_job()).await.expect("a job in time").expect("a job")
}

async fn none<R: Rig>(rig: &R, within: Duration) {
    let job = timeout(within, rig.engine().next_job()).await;
    assert!(job.is_err(), "there is no job, and one came: {:?}", job.map(|job| job.map(|job| job.tenant)));
}

fn checkpoint(state: &str, commits: u64, writer: &str) -> Checkpoint {
    Checkpoint { state: state.to_owned(), commits, events: 0, writer: writer.to_owned() }
}

fn event(id: &str) -> Event {
    Event { id: Some(id.to_owned()), text: format!("{{\"event\":{{\"id\":\"{id}\"}}}}") }
}

/// Puts a tenant to sleep for longer than all this takes.
async fn rest<R: Rig>(rig: &R, job: &JobOf<R>) {
    let wake = Wake { after: Duration::from_secs(3600), failures: 0 };
    rig.engine().sleep_until(&job.lease, wake).await.expect("it sleeps");
}

async fn a_tenant_is_handed_to_one_worker_at_a_time<R: Rig>(rig: &R) {
    rig.wake("one").await;
    rig.wake("one").await;
    let job = next(rig).await;
    assert_eq!((&*job.tenant, job.deliveries, job.failures), ("one", 1, 0));
    assert_eq!((&job.checkpoint, job.revision), (&None, Revision(0)));
    rig.wake("one").await;
    none(rig, rig.engine().lease_time() / 2).await;
    rest(rig, &job).await;
}

async fn a_lease_that_is_extended_holds_and_one_that_is_not_runs_out<R: Rig>(rig: &R) {
    let lease_time = rig.engine().lease_time();
    rig.wake("two").await;
    let job = next(rig).await;
    let until = Instant::now() + lease_time * 2;
    while Instant::now() < until {
        rig.engine().extend(&job.lease).await.expect("it is extended");
        none(rig, lease_time / 3).await;
    }
    let again = next(rig).await;
    assert_eq!((&*again.tenant, again.deliveries), ("two", 2));
    rest(rig, &again).await;
}

async fn a_commit_is_where_the_next_job_goes_on<R: Rig>(rig: &R) {
    let engine = rig.engine();
    rig.wake("three").await;
    let job = next(rig).await;
    let first = checkpoint("a", 1, "w");
    let at = engine.commit(&job.lease, &[event("a")], &first, job.revision).await.expect("committed");
    let second = checkpoint("b", 2, "w");
    let later = engine.commit(&job.lease, &[event("b")], &second, at).await.expect("committed");
    assert!(later > at && at > Revision(0), "{at:?} {later:?}");
    engine.sleep_until(&job.lease, Wake { after: Duration::ZERO, failures: 3 }).await.expect("it sleeps");
    let job = next(rig).await;
    assert_eq!((&*job.tenant, job.failures, job.deliveries), ("three", 3, 1));
    assert_eq!((job.checkpoint.as_ref(), job.revision), (Some(&second), later));
    assert_eq!(rig.published("three").await, [event("a").text, event("b").text]);
    rest(rig, &job).await;
}

async fn a_checkpoint_is_replaced_by_its_revision_alone<R: Rig>(rig: &R) {
    let engine = rig.engine();
    rig.wake("four").await;
    let late = next(rig).await;
    let job = next(rig).await;
    assert_eq!(job.tenant, late.tenant);
    let first = checkpoint("new", 1, "second");
    let at = engine.commit(&job.lease, &[], &first, job.revision).await.expect("committed");
    let lost = engine.commit(&late.lease, &[], &checkpoint("old", 1, "first"), late.revision).await;
    assert_eq!(lost, Err(CommitError::Fenced(at)));
    // An answer that was lost: the same is written again.
    assert_eq!(engine.commit(&job.lease, &[], &first, job.revision).await, Ok(at));
    rest(rig, &job).await;
}

async fn whoever_is_late_with_its_acknowledgement_makes_nobody_forgotten<R: Rig>(rig: &R) {
    let engine = rig.engine();
    rig.wake("five").await;
    let late = next(rig).await;
    let job = next(rig).await;
    assert_eq!((&*job.tenant, job.deliveries), ("five", 2));
    engine.sleep_until(&late.lease, Wake { after: Duration::ZERO, failures: 0 }).await.expect("it sleeps");
    // The second dies here, and the tenant comes again all the same.
    drop(job);
    let again = next(rig).await;
    assert_eq!(again.tenant, "five");
    rest(rig, &again).await;
}

async fn whoever_is_late_changes_nothing_of_what_another_has_done_and_planned<R: Rig>(rig: &R) {
    let engine = rig.engine();
    rig.wake("eleven").await;
    let late = next(rig).await;
    let job = next(rig).await;
    let first = checkpoint("new", 1, "second");
    let at = engine.commit(&job.lease, &[event("a")], &first, job.revision).await.expect("committed");
    let wake = Wake { after: Duration::from_secs(3), failures: 0 };
    engine.sleep_until(&job.lease, wake).await.expect("it sleeps");
    // It comes to itself in the middle of a poll. Whether the extension is answered is the engine's affair.
    let _ = engine.extend(&late.lease).await;
    let old = checkpoint("old", 1, "first");
    let lost = engine.commit(&late.lease, &[event("b")], &old, late.revision).await;
    assert_eq!(lost, Err(CommitError::Fenced(at)));
    assert_eq!(rig.published("eleven").await, [event("a").text], "ids may be forgotten by then");
    let wake = Wake { after: Duration::from_secs(3600), failures: 9 };
    assert_eq!(engine.sleep_until(&late.lease, wake).await, Err(CommitError::Fenced(at)));
    let job = next(rig).await;
    assert_eq!((&*job.tenant, job.failures, job.revision), ("eleven", 0, at));
    rest(rig, &job).await;
}

async fn whoever_is_late_and_was_the_last_to_commit_is_not_fenced_by_itself<R: Rig>(rig: &R) {
    let engine = rig.engine();
    rig.wake("twelve").await;
    let late = next(rig).await;
    // Another gets the job, and dies of it.
    drop(next(rig).await);
    let own = checkpoint("own", 1, "first");
    let at = engine.commit(&late.lease, &[], &own, late.revision).await.expect("nobody else has committed");
    // The answer was lost, so it is written again.
    assert_eq!(engine.commit(&late.lease, &[], &own, late.revision).await, Ok(at));
    engine.sleep_until(&late.lease, Wake { after: Duration::ZERO, failures: 0 }).await.expect("it sleeps");
    let job = next(rig).await;
    assert_eq!((&*job.tenant, job.revision), ("twelve", at));
    rest(rig, &job).await;
}

async fn a_tenant_sleeps_as_long_as_it_was_told<R: Rig>(rig: &R) {
    rig.wake("six").await;
    let job = next(rig).await;
    let after = Duration::from_secs(3);
    let started = Instant::now();
    rig.engine().sleep_until(&job.lease, Wake { after, failures: 7 }).await.expect("it sleeps");
    let job = next(rig).await;
    let slept = started.elapsed();
    assert_eq!((&*job.tenant, job.failures), ("six", 7));
    assert!(slept + Duration::from_millis(100) >= after, "it slept {slept:?} only");
    rest(rig, &job).await;
}

async fn events_that_come_again_are_one<R: Rig>(rig: &R) {
    let engine = rig.engine();
    let mut jobs = Vec::new();
    for tenant in ["seven", "eight"] {
        rig.wake(tenant).await;
        jobs.push(next(rig).await);
    }
    for job in &jobs {
        let events = [event("x"), event("y")];
        let at = engine.commit(&job.lease, &events, &checkpoint("a", 1, "w"), job.revision).await;
        let events = [event("y"), event("z")];
        let next = checkpoint("b", 2, "w");
        engine.commit(&job.lease, &events, &next, at.expect("committed")).await.expect("committed");
    }
    // Those of two tenants are two, whatever their ids.
    for tenant in ["seven", "eight"] {
        let expected = ["x", "y", "z"].map(|id| event(id).text);
        assert_eq!(rig.published(tenant).await, expected, "{tenant}");
    }
    for job in &jobs {
        rest(rig, job).await;
    }
}

async fn a_tenant_without_room_does_not_hold_up_another<R: Rig>(rig: &R) {
    let engine = rig.engine();
    let mut jobs = Vec::new();
    for tenant in ["nine", "ten"] {
        rig.wake(tenant).await;
        jobs.push(next(rig).await);
    }
    let [full, other] = &jobs[..] else { unreachable!("there are two") };
    let events = |numbers: std::ops::Range<usize>| -> Vec<Event> {
        numbers.map(|number| event(&format!("{number:03}"))).collect()
    };
    let first = checkpoint("a", 1, "w");
    // More than ever has room: somebody has to act.
    let refused = engine.commit(&full.lease, &events(0..ROOM + 1), &first, full.revision).await;
    assert!(matches!(refused, Err(CommitError::Engine(EngineError::Refused(_)))), "{refused:?}");
    assert_eq!(rig.published("nine").await, [""; 0], "a part of a batch would come again");
    let at = engine.commit(&full.lease, &events(0..ROOM - 1), &first, full.revision).await.expect("room");
    let second = checkpoint("b", 2, "w");
    for _ in 0..2 {
        let refused = engine.commit(&full.lease, &events(ROOM - 1..ROOM + 1), &second, at).await;
        assert!(matches!(refused, Err(CommitError::Full(_))), "{refused:?}");
        assert_eq!(rig.published("nine").await.len(), ROOM - 1, "a part of a batch would come again");
    }
    engine.commit(&full.lease, &events(ROOM - 1..ROOM), &second, at).await.expect("room for one");
    let taken = engine.commit(&other.lease, &[event("a")], &checkpoint("a", 1, "w"), other.revision).await;
    assert!(taken.is_ok(), "{taken:?}");
    for job in &jobs {
        rest(rig, job).await;
    }
    sleep(Duration::from_millis(1)).await;
}
