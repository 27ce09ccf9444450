//! The built component in its hosts, against the simulated org: everything that a user sees.

mod borders;
mod collection;
mod mistakes;
mod portable;
mod readme;
