//! How much one poll may do, when what failed is tried again, and what a source works with while it has its turn.

pub mod backoff;
pub mod batch;
pub mod slice;
