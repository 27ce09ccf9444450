//! Hosts log sources: components that speak the contract of `wit/source.wit`.
#![deny(missing_docs)]

mod bindings;
pub mod config;
mod contract;
mod egress;
mod error;
mod limits;
mod outgoing;
mod plugin;
mod runtime;
mod secrets;
mod sink;
mod source;
mod state;
mod transport;
mod units;

pub use contract::{
    ApiUsage, Batch, Description, Failure, Finding, Grants, Problem, ProblemKind, Stats, StreamDescription,
    Verdict, printable,
};
pub use egress::{Egress, RuleError};
pub use error::Error;
pub use limits::Limits;
pub use plugin::{Options, Plugin, WallClock};
pub use runtime::Runtime;
pub use secrets::Secret;
pub use sink::{Delivery, EventFile, Lines, Sink, SinkError};
pub use source::Source;
pub use state::{StateError, StateFile, StateStore};
pub use transport::{Answer, HttpTransport, Timeouts, Transport};
pub use units::{bytes, grouped, parse_size, parse_time};
/// The body of a request or response, and why one failed: what a [`Transport`] handles.
pub use wasmtime_wasi_http::{Error as TransportError, WasiBody};
