//! What the tests share: an org in memory, the component, and where the programs are.

pub mod canned;
pub mod hosted;
pub mod inputs;
pub mod names;
#[path = "../../crates/fleet/tests/fleet/support/nats.rs"]
#[expect(
    clippy::unwrap_used,
    missing_docs,
    reason = "it is a file of the tests of the fleet, which fail by panicking"
)]
pub mod nats;
pub mod ocsf;
pub mod org;
pub mod random;
pub mod signing_in;
pub mod simulation;
pub mod template;
pub mod truth;
pub mod wasi;
