//! A range of time, collected besides: by the server of a folder, and by a run of its own.

use crate::serve::{Fixture, is_clean, is_complete, org_with};
use chrono::{TimeDelta, Utc};
use e2e::org::TestOrg;
use salesforce_sim::{Interval, Rows, Workload};
use std::{
    fs,
    time::{Duration, Instant},
};

/// An org whose four hours are ten days ago, further back than a collection begins.
async fn long_ago(rows: u64) -> TestOrg {
    let end = Some(Utc::now() - TimeDelta::days(10));
    org_with(Workload { hours: 4, rows: Rows::Total(rows), end, ..Workload::default() }).await
}

fn days_ago(days: i64) -> String {
    (Utc::now() - TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_collects_a_range_of_time_besides_and_a_killed_server_goes_on_with_it() {
    const ROWS: u64 = 60_000;
    let org = long_ago(ROWS).await;
    let fixture = Fixture::new();
    fixture.write(
        "acme",
        &fixture.config("acme", &org).replace("[source.auth]", "batch.max_events = 500\n[source.auth]"),
    );
    let server = fixture.serve();
    fixture.wait("acme", "waiting", |status| status.is_some_and(|one| one["state"] == "waiting"));
    let written = || fixture.output("acme").metadata().map_or(0, |file| file.len());
    assert_eq!(written(), 0, "its own collection begins later");
    let (from, until) = (days_ago(11), days_ago(9));
    let said = fixture.tenants(&["backfill", "acme", "--from", &from, "--until", &until]);
    assert_eq!(said, Some(format!("acme collects from {from} until {until} besides\n")));
    let mut server = Some(server);
    for _ in 0..3 {
        let (before, started) = (written(), Instant::now());
        // In the midst of it, wherever that is.
        while written() <= before + 500_000 {
            assert!(started.elapsed() < Duration::from_secs(120), "{}", fixture.log());
            tokio::task::yield_now().await;
        }
        server.take().expect("a server").kill();
        server = Some(fixture.serve());
    }
    fixture.wait("acme", "done", |status| {
        status.is_some_and(|one| one["backfill"].is_null() && one["state"] == "waiting")
    });
    let log = server.take().expect("a server").stop();
    assert!(log.matches("a backfill goes on").count() >= 3, "{log}");
    assert!(log.contains(&format!("the backfill from {from} until {until} is complete")), "{log}");
    is_complete(&fixture.delivered("acme"), &org);
    assert!(!fixture.folder().join("backfills/acme").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_brings_the_same_events_as_the_collection_into_the_same_output() {
    const ROWS: u64 = 2_000;
    let org = org_with(Workload {
        hours: 4,
        rows: Rows::Total(ROWS),
        end: Some(Utc::now() - TimeDelta::days(6)),
        ..Workload::default()
    })
    .await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let server = fixture.serve();
    fixture.wait_for_events("acme", ROWS);
    is_clean(&fixture.delivered("acme"), &org);
    assert!(
        fixture.tenants(&["backfill", "acme", "--from", &days_ago(7), "--until", &days_ago(5)]).is_some()
    );
    fixture.wait("acme", "done", |status| {
        status.is_some_and(|one| one["backfill"].is_null() && one["events"].as_u64() >= Some(ROWS))
    });
    server.stop();
    let delivered = fixture.delivered("acme");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert_eq!((comparison.missing, comparison.duplicated), (0, ROWS), "{comparison}");
    assert_eq!(delivered.changed(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_makes_no_sense_is_refused_and_one_that_is_not_wanted_ends() {
    let org = long_ago(200).await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let server = fixture.serve();
    fixture.wait("acme", "waiting", |status| status.is_some_and(|one| one["state"] == "waiting"));
    let (from, until) = (days_ago(11), days_ago(9));
    for (arguments, why) in [
        (vec!["nobody", "--from", from.as_str()], "there is no tenant nobody"),
        (vec!["acme", "--from", &until, "--until", &from], "nothing in a range"),
        (vec!["acme", "--from", "2999-01-01", "--until", "2999-01-02"], "is in the future"),
        (vec!["acme", "--from", "yesterday"], "a date is expected"),
        (vec!["acme"], "--from"),
        (vec!["acme", "--end"], "acme has no backfill"),
    ] {
        let said = fixture.refused(&[&["backfill"], arguments.as_slice()].concat());
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    assert!(fixture.tenants(&["pause", "acme"]).is_some());
    // Up to now: of the last days there may come more, and so it waits.
    assert!(fixture.tenants(&["backfill", "acme", "--from", &from]).is_some());
    let said = fixture.refused(&["backfill", "acme", "--from", &from, "--until", &until]);
    assert!(said.contains("has a backfill under way") && said.contains("--end"), "{said}");
    assert!(fixture.tenants(&["resume", "acme"]).is_some());
    fixture.wait("acme", "caught up", |status| {
        status.is_some_and(|one| one["backfill"]["events"] == 200 && one["state"] == "waiting")
    });
    assert!(fixture.tenants(&["list"]).is_some_and(|table| table.contains("backfill from")));
    assert!(fixture.tenants(&["backfill", "acme", "--end"]).is_some());
    fixture.wait("acme", "alone", |status| status.is_some_and(|one| one["backfill"].is_null()));
    server.stop();
    is_clean(&fixture.delivered("acme"), &org);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_goes_back_to_an_earlier_state_and_collects_from_there() {
    const ROWS: u64 = 2_000;
    let org = crate::serve::org(ROWS).await;
    let fixture = Fixture::new();
    fixture.write(
        "acme",
        &fixture.config("acme", &org).replace("[source.auth]", "batch.max_events = 100\n[source.auth]"),
    );
    let server = fixture.serve();
    fixture.wait_for_events("acme", ROWS);
    let history = fixture.tenants(&["history", "acme", "--json"]).expect("a history");
    let history: Vec<serde_json::Value> = serde_json::from_str(&history).expect("JSON");
    let oldest = history.last().expect("an earlier state")["revision"].to_string();
    let table = fixture.tenants(&["history", "acme"]).expect("a table");
    assert!(table.contains("revision") && table.contains(&oldest), "{table}");
    let said = fixture.refused(&["roll-back", "acme", "999999"]);
    assert!(said.contains("999999"), "{said}");
    assert!(fixture.refused(&["history", "nobody"]).contains("there is no tenant nobody"));
    // Of a tenant that is paused as well, which it then stays.
    assert!(fixture.tenants(&["pause", "acme"]).is_some());
    let said = fixture.tenants(&["roll-back", "acme", &oldest]).expect("gone back");
    assert!(said.starts_with(&format!("acme goes on from the state {oldest}, which is now ")), "{said}");
    fixture.wait("acme", "paused", |status| status.is_some_and(|one| one["state"] == "paused"));
    assert!(fixture.tenants(&["resume", "acme"]).is_some());
    fixture.wait("acme", "done", |status| {
        status.is_some_and(|one| one["state"] == "waiting" && one["events"].as_u64() > Some(0))
    });
    server.stop();
    let delivered = fixture.delivered("acme");
    is_complete(&delivered, &org);
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.duplicated > 0 && delivered.changed().is_none(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_range_ends_when_all_of_it_is_there_and_leaves_the_other_state_alone() {
    const ROWS: u64 = 1_000;
    let org = long_ago(ROWS).await;
    let folder = tempfile::tempdir().expect("a folder");
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config(folder.path(), output, "").expect("a configuration");
    let run = |range: &[&str]| {
        let mut command = crate::host();
        let done = command.arg("run").arg(&config).args(range).output().expect("the host");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (from, until) = (days_ago(11), days_ago(9));
    let range = ["--from", from.as_str(), "--until", until.as_str()];
    let (code, said) = run(&range);
    assert!(code == Some(0) && said.contains("complete: 1,000 events"), "{said}");
    let mut delivered = e2e::truth::Delivered::default();
    delivered.read(fs::File::open(folder.path().join("events.ndjson")).expect("events")).expect("events");
    is_clean(&delivered, &org);
    assert!(!folder.path().join("state.json").exists());
    // The same again brings nothing: its state knows that it is complete.
    let (code, said) = run(&range);
    assert!(code == Some(0) && said.contains("complete: 0 events"), "{said}");
    for (range, why) in [
        (vec!["--from", from.as_str()], "--until"),
        (vec!["--from", &until, "--until", &from], "nothing in a range"),
        (vec!["--from", "yesterday", "--until", &from], "a date is expected"),
    ] {
        let (code, said) = run(&range);
        assert!(code == Some(2) && said.contains(why), "{range:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_its_own_goes_back_to_an_earlier_state_as_well() {
    const ROWS: u64 = 500;
    let org = crate::serve::org(ROWS).await;
    let folder = tempfile::tempdir().expect("a folder");
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config(folder.path(), output, "").expect("a configuration");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, text.replace("[source.auth]", "batch.max_events = 100\n[source.auth]"))
        .expect("written");
    let host = |arguments: &[&str]| {
        let mut command = crate::host();
        let done = command.args(arguments).arg(&config).output().expect("the host");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    host(&["run", "--until-caught-up"]);
    let states: Vec<serde_json::Value> = serde_json::from_str(&host(&["states", "--json"])).expect("JSON");
    let oldest = states.last().expect("an earlier state")["revision"].to_string();
    assert!(host(&["states"]).contains(&oldest));
    let said = host(&["states", "--roll-back", &oldest]);
    assert!(said.starts_with(&format!("the next run goes on from the state {oldest}")), "{said}");
    host(&["run", "--until-caught-up"]);
    let mut delivered = e2e::truth::Delivered::default();
    delivered.read(fs::File::open(folder.path().join("events.ndjson")).expect("events")).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_complete() && comparison.duplicated > 0, "{comparison}");
    assert_eq!(delivered.changed(), None);
}
