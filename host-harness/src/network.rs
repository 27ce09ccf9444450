//! The network as a component has it: where it may connect to, how its requests travel, and the one door they go through.

pub(crate) mod egress;
pub(crate) mod outgoing;
pub(crate) mod transport;
