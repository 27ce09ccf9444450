//! A row costs the allocation of its event, and none for any of its fields.

use crate::cases::allocations_per_row;
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
        for config in [&[][..], &[("format", json!("raw"))], &[("preserve_original_event", json!(true))]] {
            let count = allocations_per_row(name, config);
            // The event, and what lists of events and rows grow by.
            assert!((0.9..1.1).contains(&count), "{name} with {config:?}: {count} allocations for a row");
        }
    }
}
