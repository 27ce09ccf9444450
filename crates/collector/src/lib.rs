#![doc = "Collects"]
pub mod config;
mod errors;
mod event_id;
pub mod io;
mod key;
mod origin;
pub mod problem;
mod rows;
pub mod secret;
mod session;
mod soql;
mod time;
pub const NAME: &str = "salesforce-source";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
