//! Deterministic simulation: an org of several days, a collector that meets everything that can go wrong, and the proof
//! that it does what an operator means by right.
//!
//! A seed decides all of it: what the org is like and what it is asked for ([`plan`]), and what goes wrong when
//! ([`timeline`]): which requests fail and how, how far the host's clock is off, when the host is off, polls too early or
//! loses states, and which session a new instance is given. Each seed is run twice, with one instance and with a fresh one for each poll ([`run`]). One run takes a
//! fraction of a second, since nothing waits: clocks are moved. So a seed that fails can be run again, step by step.
//!
//! The same code drives the collector natively and the component in wasmtime ([`engine`]). What must hold at the end is
//! written down in [`ledger`] (the set is right), [`library`] (the bytes are) and [`oracles`] (nothing is late, nobody
//! passed over, nothing asked, said or left unsaid without a reason). What is switched on of all that, says [`knobs`].

pub mod asks;
pub mod driven;
pub mod engine;
pub mod journal;
pub mod knobs;
pub mod ledger;
pub mod library;
pub mod odd;
pub mod oracles;
pub mod plan;
pub mod run;
pub mod timeline;
pub mod total;
pub mod world;

pub use knobs::Knobs;
pub use run::{Engines, Summary, replay_command, simulate};
pub use total::Total;
