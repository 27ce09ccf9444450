//! Dashboards over files of events, in a browser on the same machine.
//!
//! It knows documents of the Elastic Common Schema and nothing of where they come from: what is shown is told by files of
//! definitions (`dashboards/*.toml`). A document goes one way: a file, segments of columns ([`segment`]), the index of all files
//! ([`index`]), answers to questions ([`engine`]), panels ([`panels`]), the page ([`server`]).

pub mod definitions;
pub mod engine;
pub mod export;
pub mod index;
pub mod panels;
pub mod query;
pub mod segment;
pub mod server;
pub mod time;
