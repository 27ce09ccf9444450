//! The collector alone, against an org in memory: what a poll does, step by step, and what events look like.

mod cases;
mod configuration;
mod polls;
