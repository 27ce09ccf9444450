//! How large a state may be.

/// The largest state, in bytes: what the contract of components allows.
pub const LARGEST_STATE: usize = 1 << 20;
