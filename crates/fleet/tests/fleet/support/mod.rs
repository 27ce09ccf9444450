//! What the tests need of the world.

pub mod dice;
pub mod nats;
pub mod proxy;
pub mod worker;
