//! One org: the session with it, what its errors mean, how much may be asked of it, and the questions that are asked.

pub mod errors;
mod gzip;
mod look_up;
pub mod names;
pub mod pages;
pub mod quota;
pub mod session;
pub mod soql;
