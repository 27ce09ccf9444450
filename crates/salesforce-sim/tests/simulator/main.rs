//! The simulator over real HTTP, seen from outside.

mod client;
mod control;
mod files;
mod program;
mod queries;
mod sign_in;
