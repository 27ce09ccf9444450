//! The collector as a WASI 0.2 component: the contract of `wit/source.wit` on one side, `collector` on the other.
//!
//! Glue alone. What is about Salesforce stands in `collector`; `component-p3` beside it is the same for WASI 0.3.

mod bindings;
mod contract;
mod http;
mod words;

use bindings::Plugin;
use bindings::clocks::{monotonic_clock, wall_clock};
use bindings::contract::{Batch, Description, Failure, Finding, Grants, Problem, TimeRange};
use bindings::exports::pipeline::source::source::Guest;
use collector::{Collector, secret::Secret};
use std::{cell::RefCell, time::Duration};

thread_local! {
    /// One instance is one configured source.
    static COLLECTOR: RefCell<Collector> = RefCell::new(Collector::new());
}

impl Guest for Plugin {
    fn describe() -> Description {
        contract::description()
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        // It holds secrets: it is wiped when it is dropped.
        let config = Secret::new(config);
        contract::grants(COLLECTOR.with_borrow_mut(|collector| collector.configure(config.reveal())))
    }

    fn check() -> Vec<Finding> {
        let findings =
            COLLECTOR.with_borrow_mut(|collector| collector.check(&mut http::WasiHttp, &WasiClock));
        findings.into_iter().map(Finding::from).collect()
    }

    fn poll(state: Option<String>) -> Result<Batch, Failure> {
        let result = COLLECTOR
            .with_borrow_mut(|collector| collector.poll(&mut http::WasiHttp, &WasiClock, state.as_deref()));
        result.map(Batch::from).map_err(Failure::from)
    }

    fn suspend() -> Option<String> {
        // The copy that goes to the host cannot be wiped here: it goes with the instance.
        COLLECTOR.with_borrow(Collector::suspend).map(|session| session.reveal().to_owned())
    }

    fn resume(session: String) {
        let session = Secret::new(session);
        COLLECTOR.with_borrow_mut(|collector| collector.resume(session.reveal()));
    }

    fn confine(range: TimeRange) -> Result<(), Problem> {
        let confined =
            COLLECTOR.with_borrow_mut(|collector| collector.confine(range.from_ms, range.until_ms));
        confined.map_err(Problem::from)
    }

    fn is_complete(state: String) -> bool {
        COLLECTOR.with_borrow(|collector| collector.is_complete(&state))
    }
}

struct WasiClock;

impl collector::io::Clock for WasiClock {
    fn now_ms(&self) -> i64 {
        let now = wall_clock::now();
        i64::try_from(now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)).unwrap_or(i64::MAX)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }
}
