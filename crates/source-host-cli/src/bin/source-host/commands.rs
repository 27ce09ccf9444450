//! The program's commands, one file each.

#[macro_use]
mod exit;
pub(crate) mod check;
pub(crate) mod describe;
pub(crate) mod fleet;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod pull;
pub(crate) mod push;
mod registry;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod serve;
mod setup;
mod starter;
pub(crate) mod states;
pub(crate) mod verify;
mod watched;
mod wit;
