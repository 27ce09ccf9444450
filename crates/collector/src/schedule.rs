//! How much one poll may do, when what failed is tried again, and what a source works with in its slice.

pub mod backoff;
pub mod batch;
pub mod slice;
