//! Engines, and the worker over them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cluster;
mod jetstream;
mod measures;
mod memory;
mod restart;
mod simulation;
mod support;
