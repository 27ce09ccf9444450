//! Simulated org.
fn main() {}
