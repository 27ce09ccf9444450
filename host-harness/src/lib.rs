//! Hosts log sources: WebAssembly components that know a vendor and nothing else.
//!
//! A source speaks the contract of `wit/source.wit`, on WASI 0.2, or of `wit/async-source.wit`, on 0.3: it is configured with one JSON document and then polled with a
//! state; events and a new state come back. This crate is the other side: it gives the component a clock and outgoing
//! HTTP and nothing else, bounds its memory, its time and its connections, and checks what it returns.
//!
//! - [`Runtime`] compiles, [`Plugin`] is a compiled component, [`Source`] an instance of it. A pipeline that has its own
//!   loop needs no more than these three.
//! - [`Egress`] says where a source may connect to, [`Limits`] what it may use, [`Transport`] how requests travel.
//!
//! What a program needs besides (a configuration file, a loop, outputs, stores) is in the crate `source-host-cli`.
//!
//! | to read about | look into |
//! |---|---|
//! | what a component says, in plain types | `contract` |
//! | where a component may connect to | `network/egress`, `network/address` |
//! | what becomes of a request | `network/outgoing`, `network/transport` |
//! | how it connects, through which proxy, and whom it trusts | `network/dial`, `network/proxy`, `network/tls` |
//! | the keys that it is signed with | `component/keys` |
//! | how a component is admitted, and what is linked | `component/plugin`, `component/runtime`, `component/platform` |
//! | who makes machine code of it, and where that is kept | `component/compiler`, `component/cache` |
//! | which contract it speaks, and its functions | `component/admission`, `component/calls` |
//! | what it may use, and what a call comes to | `component/limits`, `component/source` |
//! | what it makes the host hold, and what all do | `account` |
//! | what a dropped instance leaves to the next | `component/session` |
//!
//! Each of these knows only what stands below it: `units`, `account`, `bindings`, `throttle`, `observer`; `contract`; `error`; `network`;
//! `component`.
//!
//! ```no_run
//! # async fn example() -> Result<(), source_host::Error> {
//! use source_host::{Admission, Egress, Options, Runtime};
//!
//! let plugin = Runtime::new()?.load("source.wasm", &Admission::default()).await?;
//! let egress = Egress::allow(["logs.example.com"]).unwrap_or_default();
//! let mut source = plugin.open(Options::new().egress(egress)).await?;
//! source.configure(r#"{"url": "https://logs.example.com"}"#).await?;
//! let batch = source.poll(None).await?;
//! println!("{} events, again in {} ms", batch.events.len(), batch.next_poll_ms);
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

mod account;
mod bindings;
mod component;
mod contract;
mod error;
mod network;
mod observer;
mod throttle;
mod units;

pub use account::MemoryBudget;
pub use component::admission::Admission;
pub use component::compiler::Compiler;
pub use component::cpu::Scheduler;
pub use component::digest::{Digest, DigestError};
pub use component::following::Following;
pub use component::keys::{PublicKey, PublicKeyError, SIGNATURE, SIGNATURES, SigningKey, SigningKeyError};
pub use component::limits::Limits;
pub use component::options::{Clock, Options};
pub use component::plugin::Plugin;
pub use component::runtime::Runtime;
pub use component::session::Session;
pub use component::source::Source;
pub use contract::{
    ApiUsage, BacklogDay, Batch, Description, Failure, Finding, Grants, Problem, ProblemKind, Stats,
    StreamDescription, Verdict, printable, printable_json,
};
pub use error::Error;
pub use network::egress::{Egress, RuleError};
pub use network::tls::{Roots, tls_config};
pub use network::transport::{Answer, HttpTransport, HttpTransportBuilder, Timeouts, Transport};
pub use observer::{CallRecord, Observer, RequestRecord};
pub use throttle::Throttle;
pub use units::{bytes, grouped};
/// The body of a request or a response, and why one failed: what a [`Transport`] handles.
pub use wasmtime_wasi_http::{Error as TransportError, WasiBody};
