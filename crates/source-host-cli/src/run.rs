//! A run: what polls, delivers and saves, in which order, what is told of it, and how it ends.

pub(crate) mod ending;
pub(crate) mod opinion;
pub(crate) mod pipeline;
pub(crate) mod pollable;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod told;
pub(crate) mod watcher;
