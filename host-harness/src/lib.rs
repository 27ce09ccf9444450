//! Hosts log sources: WebAssembly components that know a vendor and nothing else.
//!
//! A source speaks the contract of `wit/source.wit`: it is configured with one JSON document and then polled with a
//! state; events and a new state come back. This crate is the other side: it gives the component a clock and outgoing
//! HTTP and nothing else, bounds its memory, its time and its connections, and checks what it returns.
//!
//! - [`Runtime`] compiles, [`Plugin`] is a compiled component, [`Source`] an instance of it. A pipeline that has its own
//!   loop needs no more than these three.
//! - [`Egress`] says where a source may connect to, [`Limits`] what it may use, [`Transport`] how requests travel.
//! - [`Runner`] is a loop for those who have none: it polls, delivers to a [`Sink`], saves to a [`StateStore`], waits out
//!   trouble and starts crashed components again.
//! - [`config`] is the configuration file of the program `source-host`, which puts all of this together, and [`schema`]
//!   the JSON Schema of it.
//!
//! ```no_run
//! # async fn example() -> Result<(), source_host::Error> {
//! use source_host::{Egress, Options, Runtime};
//!
//! let plugin = Runtime::new()?.load("source.wasm")?;
//! let egress = Egress::allow(["logs.example.com"]).unwrap_or_default();
//! let mut source = plugin.open(Options { egress, ..Options::default() }).await?;
//! source.configure(r#"{"url": "https://logs.example.com"}"#).await?;
//! let batch = source.poll(None).await?;
//! println!("{} events, again in {} ms", batch.events.len(), batch.next_poll_ms);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod bindings;
pub mod config;
mod contract;
mod egress;
mod ending;
mod error;
mod event;
mod handler;
mod limits;
mod outgoing;
mod plugin;
mod pollable;
mod report;
mod runner;
mod runtime;
pub mod schema;
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
pub use ending::{End, Finished, RunError};
pub use error::Error;
pub use limits::Limits;
pub use plugin::{Clock, Options, Plugin};
pub use pollable::{Configured, Pollable};
pub use report::{Progress, Report};
pub use runner::{Policy, Runner, Stopper};
pub use runtime::Runtime;
pub use secrets::Secret;
pub use sink::{Delivery, EventFile, Lines, Sink, SinkError};
pub use source::Source;
pub use state::{StateError, StateFile, StateStore};
pub use transport::{Answer, HttpTransport, Timeouts, Transport};
pub use units::{bytes, grouped, parse_size, parse_time};
/// The body of a request or a response, and why one failed: what a [`Transport`] handles.
pub use wasmtime_wasi_http::{Error as TransportError, WasiBody};
