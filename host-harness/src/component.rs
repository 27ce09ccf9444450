//! A component: what it may use, how it is compiled and admitted, and the calls to an instance of it.

pub(crate) mod admission;
mod answer;
mod cache;
mod calls;
pub(crate) mod compiler;
pub(crate) mod cpu;
pub(crate) mod digest;
mod event;
pub(crate) mod following;
mod guest;
mod handler;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod options;
mod platform;
pub(crate) mod plugin;
mod refusals;
pub(crate) mod runtime;
pub(crate) mod session;
pub(crate) mod source;
mod stream;
mod ticker;
