//! Many seeds of the simulation, on every run of the tests. `SEEDS` says how many, `make simulate` runs them at length.

use e2e::{
    hosted,
    simulation::{Engines, Knobs, Total, asks::Asks, journal::Spans, knobs::Knob, timeline::HOUR},
};
use std::process::Command;

/// One seed in so many is run through the component as well.
const HOSTED_ONE_IN: u64 = 20;

fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn every_event_is_delivered_and_only_an_unsaved_state_repeats_one_natively() {
    let total = Total::of(1..=seeds(), &Engines::Native, Knobs::all(), &|_, _| ()).expect("each seed holds");
    println!("{total}");
    // What is claimed to be survived must have happened.
    assert!(total.faults > 0 && total.restarts > 0 && total.resumed > 0 && total.unsaved > 0, "{total}");
}

#[test]
fn no_event_is_late_and_no_source_is_passed_over_and_no_request_is_without_a_reason() {
    let seeds = 1..=seeds().div_ceil(3);
    let total = Total::of(seeds, &Engines::Native, Knobs::timely(), &|_, _| ()).expect("each seed holds");
    println!("{total}");
    assert!(total.faults > 0 && total.restarts > 0 && total.resumed > 0 && total.unsaved > 0, "{total}");
}

#[test]
fn every_event_is_delivered_and_only_an_unsaved_state_repeats_one_in_the_component() {
    let engines = Engines::Hosted(Box::new(hosted::plugin().expect("the component")));
    let total = Total::of(1..=seeds().div_ceil(HOSTED_ONE_IN), &engines, Knobs::all(), &|_, _| ())
        .expect("each seed holds");
    println!("{total}");
    assert!(total.peak_memory > 0 && total.faults > 0 && total.restarts > 0, "{total}");
}

#[test]
fn a_seed_does_the_same_each_time() {
    let run = || {
        let mut steps = Vec::new();
        let summary =
            e2e::simulation::simulate(20, &Engines::Native, Knobs::all(), &mut |step| steps.push(step()));
        (steps, summary.map(|summary| summary.polls).map_err(|error| error.to_string()))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_path_tells_what_it_asks_for() {
    let query = |soql: &str| Asks::of(&format!("/services/data/v65.0/query?q={}", soql.replace(' ', "+")));
    let object = |name: &str, width| Asks::Object { object: name.to_owned(), width };
    assert_eq!(
        query(
            "SELECT Id FROM LoginEvent WHERE EventDate >= 2026-03-02T10:00:00.000Z AND EventDate < 2026-03-02T11:00:00.000Z"
        ),
        object("LoginEvent", Some(HOUR))
    );
    // Behind a record of the first instant.
    assert_eq!(
        query(
            "SELECT Id FROM SetupAuditTrail WHERE (CreatedDate > 2026-03-02T10:00:00.000Z OR (CreatedDate = 2026-03-02T10:00:00.000Z \
             AND Id > 'x')) AND CreatedDate < 2026-03-02T12:00:00.000Z ORDER BY CreatedDate ASC, Id ASC LIMIT 2000"
        ),
        object("SetupAuditTrail", Some(2 * HOUR))
    );
    assert_eq!(
        query(
            "SELECT Id FROM LoginEvent WHERE EventDate = 2026-03-02T10:00:00.000Z AND EventIdentifier > %27x%27"
        ),
        object("LoginEvent", Some(0))
    );
    assert_eq!(
        query(
            "SELECT Id, EventType FROM EventLogFile WHERE EventType IN (%27A%27,%27B%27) AND Interval = %27Daily%27 AND CreatedDate >= x"
        ),
        Asks::Listing { types: Some(vec![String::from("A"), String::from("B")]), daily: true }
    );
    assert_eq!(
        query("SELECT Id, EventType FROM EventLogFile WHERE Interval = 'Hourly' AND CreatedDate >= x"),
        Asks::Listing { types: None, daily: false }
    );
    let file = "/services/data/v65.0/sobjects/EventLogFile/0AT5j0000F2lTkhGQE/LogFile";
    assert_eq!(Asks::of(file), Asks::File(String::from("0AT5j0000F2lTkhGQE")));
    assert_eq!(Asks::of("/services/data/v65.0/query/0r8xx-2000"), Asks::Page);
    assert_eq!(Asks::of("/services/oauth2/token"), Asks::Token);
    assert_eq!(Asks::of("/services/data"), Asks::Versions);
}

#[test]
fn time_that_two_things_excuse_counts_once() {
    let spans = Spans::new(vec![(50, 60), (0, 10), (5, 20), (30, 30), (i64::MIN, -100)]);
    assert_eq!(spans.covered(0, 100), 30);
    assert_eq!(spans.covered(8, 55), 17);
    assert_eq!(spans.covered(20, 50), 0);
    assert_eq!(spans.covered(-200, 1), 101);
    assert!(spans.hold(0) && spans.hold(19) && !spans.hold(20));
}

#[test]
fn knobs_are_read_by_their_names_and_a_wrong_one_is_named() {
    let knobs = Knobs::parse("all,-width").expect("knobs");
    assert!(knobs.on(Knob::Lateness) && !knobs.on(Knob::Width));
    for (knob, name) in Knob::ALL {
        let one = Knobs::parse(name).expect(name);
        assert!(one.on(knob) && one.to_string() == name, "{name}");
    }
    for text in ["none", "all", "all,-width,-silence", "lateness,width"] {
        let knobs = Knobs::parse(text).expect(text);
        assert!(Knobs::parse(&knobs.in_short()).expect(text) == knobs, "{}", knobs.in_short());
    }
    let said = Knobs::parse("widht").map(|_| ()).expect_err("no such knob").to_string();
    assert!(said.contains("'widht'") && said.contains("width"), "{said}");
}

#[test]
fn each_mistake_of_the_list_can_be_made_in_the_collector_as_it_is() {
    let output =
        Command::new(hosted::program("mutants")).arg("--check").output().expect("the program mutants");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
