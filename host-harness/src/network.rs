//! The network as a component has it: where it may connect to, how its requests travel, and the one door they go through.

mod address;
mod dial;
pub(crate) mod egress;
mod guarded;
pub(crate) mod outgoing;
mod proxy;
pub(crate) mod tls;
pub(crate) mod transport;
