//! A run: the loop that polls, delivers and saves, where events and states go, what is told of it, and how it ends.

pub(crate) mod ending;
pub(crate) mod pollable;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod sink;
pub(crate) mod state;
