//! Simulated org.
