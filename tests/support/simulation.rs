//! Deterministic simulation: an org of several days, a collector that meets everything that can go wrong, and the proof
//! that it delivers what there was.
//!
//! A seed decides all of it: what the org is like and what it is asked for ([`plan`]), which requests fail and how, how far
//! the host's clock is off, when time passes, when the host restarts and which state it still has ([`run`]). One run takes a
//! fraction of a second, since nothing waits: clocks are moved. So a seed that fails can be run again, step by step.
//!
//! The same code drives the collector natively and the component in wasmtime ([`engine`]). What must hold at the end is
//! written down in [`ledger`].

pub mod engine;
pub mod ledger;
pub mod plan;
pub mod run;
pub mod world;

pub use run::{Engines, Summary, replay_command, simulate};
