//! What the tests share: an org in memory, the component, and where the programs are.

pub mod canned;
pub mod hosted;
pub mod inputs;
pub mod names;
pub mod ocsf;
pub mod org;
pub mod random;
pub mod signing_in;
pub mod simulation;
pub mod template;
pub mod truth;
pub mod wasi;
