//! The collector alone, against an org in memory: what a poll does, step by step, and what events look like.

#![expect(clippy::expect_used, reason = "a test that meets what it does not expect has failed")]

mod adversary;
mod ahead;
mod allocations;
mod architecture;
mod backfill;
mod behaviours;
mod cases;
mod collection;
mod configuration;
mod costs;
mod damaged;
/// It runs in a component alone, where no test does: its own tests run here.
#[path = "../../crates/egress-gate/src/rule.rs"]
#[expect(dead_code, reason = "the gate asks more of it than its tests do")]
mod egress_rule;
mod endurance;
mod fields;
mod mapping;
mod names;
mod objects;
mod ocsf;
mod plans;
mod polls;
mod public_cases;
mod receipts;
mod redaction;
mod resumption;
mod rules;
mod security;
mod session;
mod sign_in;
