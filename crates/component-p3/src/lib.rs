//! The collector as a WASI 0.3 component: the contract of `wit/async-source.wit` on one side, `collector` on the other.
//!
//! Glue alone, like `component` beside it, which is the same for WASI 0.2 and lends it what is not about one of them.

mod bindings;
#[path = "../../component/src/calls.rs"]
mod calls;
mod clock;
#[path = "../../component/src/contract.rs"]
mod contract;
mod follow;
mod http;
#[path = "../../component/src/request.rs"]
mod request;
#[path = "../../component/src/words.rs"]
mod words;

use bindings::Plugin;
use bindings::contract::{Batch, Description, Failure, Finding, Grants, Problem, TimeRange};
use bindings::exports::pipeline::source::async_source::Guest;
use wit_bindgen::StreamReader;

impl Guest for Plugin {
    fn describe() -> Description {
        contract::description()
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        calls::configure(config)
    }

    async fn check() -> Vec<Finding> {
        calls::check()
    }

    async fn poll(state: Option<String>) -> Result<Batch, Failure> {
        calls::poll(state)
    }

    async fn follow(state: Option<String>) -> StreamReader<Result<Batch, Failure>> {
        follow::follow(state)
    }

    fn suspend() -> Option<String> {
        calls::suspend()
    }

    fn resume(session: String) {
        calls::resume(session);
    }

    fn confine(range: TimeRange) -> Result<(), Problem> {
        calls::confine(range)
    }

    fn is_complete(state: String) -> bool {
        calls::is_complete(&state)
    }
}
