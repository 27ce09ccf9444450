//! What the tests share: an org in memory, and where the programs are.

pub mod canned;
