//! The collector as a WASI 0.2 component: the contract of `wit/source.wit` on one side, `collector` on the other.
//!
//! Glue alone. What is about Salesforce stands in `collector`; `component-p3` beside it is the same for WASI 0.3.

mod bindings;
mod calls;
mod clock;
mod contract;
mod http;
mod request;
mod words;

use bindings::Plugin;
use bindings::contract::{Batch, Description, Failure, Finding, Grants, Problem, TimeRange};
use bindings::exports::pipeline::source::source::Guest;

impl Guest for Plugin {
    fn describe() -> Description {
        contract::description()
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        calls::configure(config)
    }

    fn check() -> Vec<Finding> {
        calls::check()
    }

    fn poll(state: Option<String>) -> Result<Batch, Failure> {
        calls::poll(state)
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
