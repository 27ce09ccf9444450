//! Many seeds of the simulation, on every run of the tests. `SEEDS` says how many, `make simulate` runs them at length.

use e2e::{
    hosted,
    simulation::{Engines, run::Total},
};

/// One seed in so many is run through the component as well.
const HOSTED_ONE_IN: u64 = 20;

fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

#[test]
fn every_event_is_delivered_and_only_an_unsaved_state_repeats_one_natively() {
    let total = Total::of(1..=seeds(), &Engines::Native, &|_| ()).expect("each seed holds");
    println!("{total}");
    // What is claimed to be survived must have happened.
    assert!(total.faults > 0 && total.restarts > 0 && total.unsaved > 0, "{total}");
}

#[test]
fn every_event_is_delivered_and_only_an_unsaved_state_repeats_one_in_the_component() {
    let engines = Engines::Hosted(Box::new(hosted::plugin().expect("the component")));
    let total = Total::of(1..=seeds().div_ceil(HOSTED_ONE_IN), &engines, &|_| ()).expect("each seed holds");
    println!("{total}");
    assert!(total.peak_memory > 0 && total.faults > 0 && total.restarts > 0, "{total}");
}

#[test]
fn a_seed_does_the_same_each_time() {
    let run = || {
        let mut steps = Vec::new();
        let summary = e2e::simulation::simulate(7, &Engines::Native, &mut |step| steps.push(step));
        (steps, summary.map(|summary| summary.polls).map_err(|error| error.to_string()))
    };
    assert_eq!(run(), run());
}
