//! What the contract's calls do. Both components have this file: one exports them as they are, the other as asynchronous ones.

use crate::bindings::contract::{Batch, Failure, Finding, Grants, Problem, TimeRange};
use crate::{clock::Clock, contract, http, request::transport_error};
use collector::{
    Collector,
    io::{Http, Pending, Request, Response, TransportError},
    secret::Secret,
};
use std::cell::RefCell;

thread_local! {
    /// One instance is one configured source.
    static COLLECTOR: RefCell<Collector> = RefCell::new(Collector::new());
}

pub(crate) fn configure(config: String) -> Result<Grants, Vec<Problem>> {
    // It holds secrets: it is wiped when it is dropped.
    let config = Secret::new(config);
    contract::grants(COLLECTOR.with_borrow_mut(|collector| collector.configure(config.reveal())))
}

pub(crate) fn check() -> Vec<Finding> {
    let findings = COLLECTOR.with_borrow_mut(|collector| collector.check(&mut WasiHttp, &Clock));
    findings.into_iter().map(Finding::from).collect()
}

/// Once in the code, however often it is called.
#[inline(never)]
pub(crate) fn poll(state: Option<String>) -> Result<Batch, Failure> {
    let result =
        COLLECTOR.with_borrow_mut(|collector| collector.poll(&mut WasiHttp, &Clock, state.as_deref()));
    result.map(Batch::from).map_err(Failure::from)
}

pub(crate) fn suspend() -> Option<String> {
    // The copy that goes to the host cannot be wiped here: it goes with the instance.
    COLLECTOR.with_borrow(Collector::suspend).map(|session| session.reveal().to_owned())
}

pub(crate) fn resume(session: String) {
    let session = Secret::new(session);
    COLLECTOR.with_borrow_mut(|collector| collector.resume(session.reveal()));
}

pub(crate) fn confine(range: TimeRange) -> Result<(), Problem> {
    let confined = COLLECTOR.with_borrow_mut(|collector| collector.confine(range.from_ms, range.until_ms));
    confined.map_err(Problem::from)
}

pub(crate) fn is_complete(state: &str) -> bool {
    COLLECTOR.with_borrow(|collector| collector.is_complete(state))
}

/// The host's HTTP.
struct WasiHttp;

impl Http for WasiHttp {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        http::send(request).map_err(|code| transport_error(&code))
    }

    fn begin(&mut self, request: &Request) -> Option<Box<dyn Pending>> {
        http::begin(request)
    }
}
