//! Collecting a range of time: what an incident needs, beside a collection that goes on.

use crate::collection::{BROKEN, Collection, HOUR, MINUTE, answer, beginning, settings, time};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::truth::Comparison;
use salesforce_sim::{Interval, Objects, StoredObject};
use serde_json::{Value, json};
use std::ops::Range;

/// Streams of both kinds. What lies further back than the range is in reach, so that it is the range that leaves it out.
fn streams(range: &Value) -> Value {
    let mut streams = json!({
        "login": {"event_log_file": {}},
        "logout": {"object": {}},
        "setupaudittrail": {"object": {}},
    });
    for (_, stream) in streams.as_object_mut().into_iter().flatten() {
        stream["initial_interval"] = json!("30d");
        for (key, value) in range.as_object().into_iter().flatten() {
            stream[key] = value.clone();
        }
    }
    streams
}

fn org() -> salesforce_sim::OrgSettings {
    settings(40, 24, Objects::default())
}

/// Five hours that begin and end in the middle of an hour, and are long over.
fn range() -> Range<DateTime<Utc>> {
    time("2026-03-04T08:20:00Z")..time("2026-03-04T13:20:00Z")
}

/// A collection days after the range, when no file of it can come any more.
fn days_after(most: u32) -> Collection {
    let run = Collection::in_batches_of(most, org(), &streams(&json!({})));
    run.world.pass(5 * 24 * HOUR);
    run
}

fn ms(range: &Range<DateTime<Utc>>) -> (i64, i64) {
    (range.start.timestamp_millis(), range.end.timestamp_millis())
}

/// What was delivered, against what happened in a range: of files, against all of those that hold something of it.
fn compare(run: &Collection, range: &Range<DateTime<Utc>>) -> Comparison {
    let org = run.world.org.org();
    let hour = |at: DateTime<Utc>| {
        let seconds = at.timestamp();
        DateTime::from_timestamp(seconds - seconds.rem_euclid(3600), 0).expect("a time")
    };
    let files = org.truth_of(Interval::Hourly, &["Login"], hour(range.start)..range.end);
    let files: Vec<String> = files.map(|event| event.event_id.to_string()).collect();
    let objects = [StoredObject::LogoutEvent, StoredObject::SetupAuditTrail];
    let objects = objects.into_iter().flat_map(|object| org.object_truth(object, range.clone()));
    run.delivered.compare_with(files.into_iter().chain(objects))
}

impl Collection {
    fn is_complete(&mut self) -> bool {
        let state = self.state.clone().unwrap_or_default();
        self.native.collector().is_complete(&state)
    }

    fn confine(&mut self, range: &Range<DateTime<Utc>>) {
        let (from, until) = ms(range);
        self.native.collector().confine(from, until).expect("a range");
    }
}

#[test]
fn a_confined_collection_brings_what_happened_in_its_range_and_is_complete_then() {
    let mut run = days_after(5000);
    run.confine(&range());
    assert!(!run.is_complete());
    let wait = run.round();
    let comparison = compare(&run, &range());
    assert!(comparison.is_clean() && comparison.wanted > 300, "{comparison}");
    assert!(run.problems.is_empty(), "{:?}", run.problems);
    assert!(run.is_complete() && wait > 30 * 24 * HOUR, "{wait}");
    // And it asks for nothing any more.
    let requests = run.queries().len();
    run.world.pass(26 * HOUR);
    assert_eq!((run.poll().events.len(), run.queries().len()), (0, requests));
    let lists = run.queries().into_iter().filter(|query| query.contains("FROM EventLogFile"));
    for list in lists {
        let bounds = "AND LogDate >= 2026-03-04T08:00:00.000Z AND LogDate < 2026-03-04T13:20:00.000Z";
        assert!(list.contains(bounds), "{list}");
    }
}

#[test]
fn what_a_backfill_brings_is_byte_for_byte_what_the_running_collection_brought() {
    let mut run = days_after(5000);
    run.round();
    let main = run.state.take();
    run.confine(&range());
    run.round();
    assert!(run.is_complete() && run.delivered.changed().is_none(), "{:?}", run.delivered.changed());
    let comparison = compare(&run, &range());
    assert_eq!((comparison.missing, comparison.duplicated), (0, comparison.wanted), "{comparison}");
    // The collection itself stands where it stood.
    run.restart();
    run.state = main;
    assert!(!run.is_complete());
    let before = run.delivered.count();
    run.round();
    assert_eq!(run.delivered.count(), before);
}

#[test]
fn a_backfill_goes_on_where_it_was_whatever_instance_it_has() {
    for most in [1, 7, 100] {
        let mut run = days_after(most);
        loop {
            run.restart();
            run.confine(&range());
            if run.is_complete() {
                break;
            }
            let wait = run.poll().next_poll_ms;
            assert!(wait == 0 || run.is_complete(), "{wait}: {:?}", run.problems);
        }
        let comparison = compare(&run, &range());
        assert!(comparison.is_clean(), "{most}: {comparison}");
    }
}

#[test]
fn a_range_that_reaches_into_the_future_is_complete_once_nothing_of_it_can_come_any_more() {
    let future = beginning() - TimeDelta::hours(2)..beginning() + TimeDelta::hours(3);
    let mut run = Collection::new(org(), &streams(&json!({})));
    run.confine(&future);
    run.go_on_for(3 * HOUR);
    assert!(run.delivered.count() > 0 && !run.is_complete());
    // Of an hour there may be files three days later.
    run.go_on_for(3 * 24 * HOUR);
    assert!(!run.is_complete());
    run.go_on_for(30 * HOUR);
    assert!(run.is_complete(), "{:?}", run.state);
    let comparison = compare(&run, &future);
    assert!(comparison.is_clean(), "{comparison}, {:?}", run.problems);
    let asked = run.queries().len();
    run.go_on_for(10 * HOUR);
    assert_eq!(run.queries().len(), asked);
}

#[test]
fn a_range_that_has_not_begun_waits_for_it() {
    let range = beginning() + TimeDelta::hours(2)..beginning() + TimeDelta::hours(3);
    let mut run = Collection::new(org(), &streams(&json!({})));
    run.confine(&range);
    run.go_on_for(HOUR);
    assert_eq!(run.delivered.count(), 0);
    assert!(run.queries().len() < 10, "{:?}", run.queries());
    assert!(run.problems.is_empty(), "{:?}", run.problems);
    run.go_on_for(5 * 24 * HOUR);
    let comparison = compare(&run, &range);
    assert!(run.is_complete() && comparison.is_clean(), "{comparison}, {:?}", run.problems);
}

#[test]
fn a_file_that_cannot_be_read_keeps_a_backfill_from_being_complete() {
    let mut run = days_after(5000);
    run.world.org.org().plan_fault(answer("/LogFile", None, 500, BROKEN));
    run.confine(&range());
    run.go_on_for(30 * MINUTE);
    assert!(!run.is_complete() && !run.problems.is_empty());
    run.world.org.org().clear_faults();
    run.go_on_for(2 * HOUR);
    let comparison = compare(&run, &range());
    assert!(run.is_complete() && comparison.is_clean(), "{comparison}");
}

#[test]
fn a_range_in_the_configuration_is_kept_to_and_a_later_end_loses_nothing() {
    let range = range();
    let config = |until: DateTime<Utc>| {
        let bounds = json!({"from": range.start.to_rfc3339(), "until": until.to_rfc3339()});
        streams(&bounds)
    };
    let mut run = Collection::new(org(), &config(range.end));
    run.world.pass(5 * 24 * HOUR);
    run.round();
    let comparison = compare(&run, &range);
    assert!(comparison.is_clean() && run.is_complete(), "{comparison}");
    // The end is put off, and then left away: all of that is older than what was listed last.
    for until in [range.end + TimeDelta::hours(2), range.end + TimeDelta::hours(4)] {
        let longer = range.start..until;
        let mut changed: Value = serde_json::from_str(&run.config).expect("JSON");
        changed["streams"] = config(until);
        run.config = changed.to_string();
        run.restart();
        assert!(!run.is_complete(), "{until}");
        run.go_on_for(2 * HOUR);
        let comparison = compare(&run, &longer);
        assert!(comparison.is_clean() && run.is_complete(), "{until}: {comparison}");
    }
    let mut changed: Value = serde_json::from_str(&run.config).expect("JSON");
    changed["streams"] = streams(&json!({"from": range.start.to_rfc3339()}));
    run.config = changed.to_string();
    run.restart();
    run.go_on_for(2 * HOUR);
    let comparison = compare(&run, &(range.start..beginning() + TimeDelta::days(4)));
    assert_eq!(comparison.missing, 0, "{comparison}");
    assert!(!run.is_complete());
}

#[test]
fn a_day_is_the_same_as_its_beginning_and_a_daily_file_is_taken_whole() {
    let bounds = json!({"from": "2026-03-03", "until": "2026-03-04T00:00:00Z"});
    let mut streams = json!({"login": {"event_log_file": {"log_file_interval": "daily"}}});
    for (key, value) in bounds.as_object().into_iter().flatten() {
        streams["login"][key] = value.clone();
    }
    let mut settings = org();
    settings.workload.hours = 72;
    let mut run = Collection::new(settings, &streams);
    run.world.pass(5 * 24 * HOUR);
    run.round();
    let org = run.world.org.org();
    let day = time("2026-03-03T00:00:00Z")..time("2026-03-04T00:00:00Z");
    let there = org.truth_of(Interval::Daily, &["Login"], day);
    let comparison = run.delivered.compare_with(there.map(|event| event.event_id.to_string()));
    assert!(comparison.is_clean() && run.is_complete(), "{comparison}");
}

#[test]
fn bounds_that_are_no_times_or_leave_nothing_between_them_are_named() {
    for (from, until, said) in [
        ("yesterday", "2026-03-04", "streams.login.from: 'from' must be a date and time"),
        ("2026-03-04T10:00:00", "2026-03-05", "streams.login.from: 'from' must be a date and time"),
        ("2026-03-04", "2026-3-5", "streams.login.until: 'until' must be a date and time"),
        (
            "2026-03-04",
            "2026-03-04",
            "streams.login.until: 'until' is 2026-03-04T00:00:00.000Z, and 'from' is",
        ),
        (
            "2026-03-04T02:00:00+02:00",
            "2026-03-03T23:59:59Z",
            "streams.login.until: 'until' is 2026-03-03T23",
        ),
    ] {
        let mut run = Collection::new(org(), &streams(&json!({})));
        let mut config: Value = serde_json::from_str(&run.config).expect("JSON");
        config["streams"] = json!({"login": {"from": from, "until": until, "object": {}}});
        let problems = run.native.collector().configure(&config.to_string()).expect_err(said);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].starts_with(said), "{text:?}");
    }
    let mut run = Collection::new(org(), &streams(&json!({})));
    let (from, until) = ms(&range());
    let problem = run.native.collector().confine(until, from).expect_err("no range");
    assert!(problem.to_string().contains("is not after"), "{problem}");
}
