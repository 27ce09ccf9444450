//! The built component in its hosts, against the simulated org: everything that a user sees.

#![expect(clippy::expect_used, reason = "a test that meets what it does not expect has failed")]

mod ahead;
mod asynchronous;
mod backfills;
mod bench;
mod borders;
mod canary;
mod checks;
mod collection;
mod command;
mod compiling;
mod distribution;
mod errors;
mod fleet;
mod hostile;
mod instructions;
mod mistakes;
mod objects;
mod portable;
mod readme;
mod serve;
mod sessions;
mod sign_in;
mod slow;
mod traced;
mod versions;

use e2e::hosted::program;
use std::process::Command;

/// The program `source-host`, with one folder for the compiled component among all tests.
fn host() -> Command {
    let mut host = Command::new(program("source-host"));
    host.env("SOURCE_HOST_CACHE", env!("CARGO_TARGET_TMPDIR"));
    host
}
