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
//! | to read about | look into |
//! |---|---|
//! | what a component says, in plain types | `contract` |
//! | where a component may connect to | `network/egress` |
//! | what becomes of a request | `network/outgoing`, `network/transport` |
//! | how a component is admitted, and what is linked | `component/plugin`, `component/runtime` |
//! | what it may use, and what a call comes to | `component/limits`, `component/source` |
//! | the configuration file, its schema, and secrets in it | `config`, `schema`, `secrets` |
//! | the loop, and how a run ends | `run/runner`, `run/ending` |
//! | where events and states go | `run/sink`, `run/state` |
//! | the program's flags and commands | `bin/source-host` |
//!
//! Each of these knows only what stands below it: `units`, `bindings`, `secrets`, `schema`; `contract`; `error`; `network`;
//! `component`; `config` and `run`; the program.
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
mod component;
pub mod config;
mod contract;
mod error;
mod network;
mod run;
pub mod schema;
mod secrets;
mod units;

pub use component::limits::Limits;
pub use component::options::{Clock, Options};
pub use component::plugin::Plugin;
pub use component::runtime::Runtime;
pub use component::source::Source;
pub use contract::{
    ApiUsage, Batch, Description, Failure, Finding, Grants, Problem, ProblemKind, Stats, StreamDescription,
    Verdict, printable,
};
pub use error::Error;
pub use network::egress::{Egress, RuleError};
pub use network::transport::{Answer, HttpTransport, Timeouts, Transport};
pub use run::ending::{End, Finished, RunError};
pub use run::pollable::{Configured, Pollable};
pub use run::report::{Progress, Report};
pub use run::runner::{Policy, Runner, Stopper};
pub use run::sink::{Delivery, EventFile, Lines, Sink, SinkError};
pub use run::state::{StateError, StateFile, StateStore};
pub use secrets::Secret;
pub use units::{bytes, grouped, parse_size, parse_time};
/// The body of a request or a response, and why one failed: what a [`Transport`] handles.
pub use wasmtime_wasi_http::{Error as TransportError, WasiBody};
