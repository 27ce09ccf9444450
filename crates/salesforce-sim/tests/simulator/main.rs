//! The simulator over real HTTP, seen from outside.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod attacks;
mod client;
mod control;
mod damaged;
mod faults;
mod files;
mod flows;
mod objects;
mod odd_answers;
mod odd_files;
mod oddities;
mod offline;
mod peers;
mod program;
mod queries;
mod readme;
mod records;
mod rest;
mod sessions;
mod sign_in;
