//! A row costs the allocation of its event, and none for any of its fields. A record costs a few.

use crate::cases::allocations_per_row;
use e2e::inputs::{Input, Kind, collect, configured};
use serde_json::json;

#[test]
fn no_field_of_a_row_is_allocated() {
    let all = [
        "login-full",
        "logout",
        "apex-callout",
        "apex-execution",
        "apex-rest-api",
        "apex-soap",
        "apex-trigger",
        "apex-external-custom-callout",
        "aura-request",
        "generic-rest-api",
        "generic-lightning-page-view",
        "generic-bulk-api2",
    ];
    for name in all {
        for config in [
            &[][..],
            &[("format", json!("raw"))],
            &[("format", json!("ocsf"))],
            &[("preserve_original_event", json!(true))],
        ] {
            let count = allocations_per_row(name, config);
            // The event, and what lists of events and rows grow by.
            assert!((0.9..1.1).contains(&count), "{name} with {config:?}: {count} allocations for a row");
        }
    }
}

/// How many more allocations whole polls make for each row, if there are twice as many.
fn allocations_per_row_of(kind: Kind, gzip: bool, format: &str) -> f64 {
    const ROWS: usize = 800;
    let count = |rows: usize| {
        let input = Input::with_rows(kind, rows).expect("an input");
        let mut collector = configured(&input.config(format)).expect("a collector");
        let mut org = input.org(gzip);
        let mut collected = None;
        let counted = allocation_counter::measure(|| collected = collect(&mut collector, &mut org).ok());
        assert_eq!(collected.expect("events").events, rows, "{kind:?}");
        counted.count_total
    };
    (count(2 * ROWS) as f64 - count(ROWS) as f64) / ROWS as f64
}

/// A row costs its event. A record costs its event, its key, which tells it from the others of its window, and the lists that
/// it is parsed into while they grow.
#[test]
fn the_logs_of_the_benchmark_cost_no_more_allocations_than_this() {
    for (kind, most) in
        [(Kind::Login, 1.1), (Kind::ApexExecution, 1.1), (Kind::Wide, 1.15), (Kind::LoginEvent, 9.0)]
    {
        for format in ["ecs", "ocsf", "raw"] {
            for gzip in [false, true] {
                let count = allocations_per_row_of(kind, gzip, format);
                assert!(count <= most, "{kind:?}, gzip {gzip}, {format}: {count} allocations for a row");
            }
        }
    }
}
