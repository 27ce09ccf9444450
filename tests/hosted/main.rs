//! The built component in its hosts, against the simulated org: everything that a user sees.

#![expect(clippy::expect_used, reason = "a test that meets what it does not expect has failed")]

mod borders;
mod collection;
mod mistakes;
mod portable;
mod readme;
