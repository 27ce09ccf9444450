//! Engines, and the worker over them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod memory;
mod simulation;
