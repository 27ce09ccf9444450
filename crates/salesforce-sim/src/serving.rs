//! From a request to an answer on its way: over HTTP, or without a network.

mod body;
mod control;
mod download;
pub(crate) mod offline;
mod piece;
mod reply;
pub(crate) mod server;
