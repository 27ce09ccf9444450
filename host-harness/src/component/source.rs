//! One configured instance of a component, and the calls of the contract.
//!
//! A call is stopped in two ways at its deadline: a guest that computes is interrupted at every tick of the epoch, gives
//! way to other tasks, and traps when its time is up; a guest that waits for the network is stopped by a timer outside.
//! Either way, and after any trap, the instance is in no state to be trusted: it refuses all further calls, and the
//! caller opens a new one with the same state. Nothing is lost by that, as the contract's first rule says.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpCtx;

use super::event::is_object_on_a_line;
use super::guest::{Guest, Injected};
use super::limits::{Limits, Meter};
use super::options::Options;
use crate::bindings::{Plugin as Exports, PluginPre};
use crate::contract::{Batch, Description, Failure, Finding, Grants, problems};
use crate::error::Error;
use crate::network::egress::Gate;
use crate::network::outgoing::Outgoing;
use crate::network::transport::HttpTransport;
use crate::units::bytes;

/// One instance of a component: `configure` once, then `poll` in a loop.
pub struct Source {
    store: Store<Guest>,
    exports: Exports,
    limits: Limits,
    usable: bool,
    denied: Vec<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("usable", &self.usable).finish_non_exhaustive()
    }
}

impl Source {
    pub(crate) async fn open(pre: &PluginPre<Guest>, options: Options) -> Result<Self, Error> {
        let Options { limits, egress, transport, clock } = options;
        let transport = match transport {
            Some(transport) => transport,
            None => Arc::new(HttpTransport::new()?),
        };
        let mut wasi = WasiCtx::builder();
        if let Some(clock) = clock {
            wasi.wall_clock(Injected(Arc::clone(&clock))).monotonic_clock(Injected(clock));
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles());
        let guest = Guest {
            table,
            wasi: wasi.build(),
            http,
            outgoing: Outgoing::new(Gate::new(egress), transport, limits.connections),
            meter: Meter::new(limits.memory),
            deadline: Instant::now() + limits.call_time,
        };
        let mut store = Store::new(pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.hostcall_fuel());
        store.set_max_component_handles(limits.handles());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            if Instant::now() < context.data().deadline {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Ok(UpdateDeadline::Interrupt)
            }
        });
        let made = tokio::time::timeout(limits.call_time, pre.instantiate_async(&mut store)).await;
        let exports = match made {
            Ok(Ok(exports)) => exports,
            Ok(Err(error)) => return Err(classify(&store, &limits, "instantiate", &error)),
            Err(_) => return Err(Error::Timeout { call: "instantiate", limit: limits.call_time }),
        };
        Ok(Self { store, exports, limits, usable: true, denied: Vec::new() })
    }

    /// What this component is. Needs neither configuration nor network.
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit.
    pub async fn describe(&mut self) -> Result<Description, Error> {
        self.begin()?;
        let call = self.exports.pipeline_source_source().call_describe(&mut self.store);
        let outcome = tokio::time::timeout(self.limits.call_time, call).await;
        Ok(self.settle("describe", outcome)?.into())
    }

    /// Hands the configuration over, a JSON document. Requests are possible from here on, to what the component asks for
    /// and [`Options::egress`] allows. May be called again to replace the configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] with every problem, or if the component fails or exceeds a limit.
    pub async fn configure(&mut self, config: &str) -> Result<Grants, Error> {
        self.begin()?;
        self.forget_grants()?;
        let call = self.exports.pipeline_source_source().call_configure(&mut self.store, config);
        let outcome = tokio::time::timeout(self.limits.call_time, call).await;
        let grants: Grants = match self.settle("configure", outcome)? {
            Ok(grants) => grants.into(),
            Err(found) => return Err(Error::Configuration(problems(found))),
        };
        let gate = &mut self.store.data_mut().outgoing.gate;
        gate.grant(&grants.authorities).map_err(|e| Error::Refused(format!("a grant that is none: {e}")))?;
        self.denied = gate.denied(&grants.authorities);
        Ok(grants)
    }

    /// The authorities that the configuration needs and [`Options::egress`] does not allow. Polling will fail there.
    pub fn denied(&self) -> &[String] {
        &self.denied
    }

    /// Tries each thing that a poll needs.
    ///
    /// # Errors
    ///
    /// If the component fails or exceeds a limit. What does not work is a finding, not an error.
    pub async fn check(&mut self) -> Result<Vec<Finding>, Error> {
        self.begin()?;
        let call = self.exports.pipeline_source_source().call_check(&mut self.store);
        let outcome = tokio::time::timeout(self.limits.call_time, call).await;
        Ok(self.settle("check", outcome)?.into_iter().map(Into::into).collect())
    }

    /// The next events after `state` (none = from the beginning).
    ///
    /// # Errors
    ///
    /// [`Error::Failure`] if the source could do nothing at all, [`Error::Refused`] if what it returned breaks the
    /// contract or a limit, or if the component fails or exceeds a limit.
    pub async fn poll(&mut self, state: Option<&str>) -> Result<Batch, Error> {
        self.begin()?;
        let call = self.exports.pipeline_source_source().call_poll(&mut self.store, state);
        let outcome = tokio::time::timeout(self.limits.call_time, call).await;
        match self.settle("poll", outcome)? {
            Ok(batch) => {
                let batch = Batch::from(batch);
                inspect(&batch, &self.limits)?;
                Ok(batch)
            }
            Err(failure) => {
                let failure = Failure::from(failure);
                inspect_state(failure.state.as_deref().unwrap_or_default(), &self.limits)?;
                Err(Error::Failure(Box::new(failure)))
            }
        }
    }

    /// The most linear memory this instance has held, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.store.data().meter.peak()
    }

    /// Whether it may be called again. False after a trap, a time-out, or a call that was dropped half-way.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    fn begin(&mut self) -> Result<(), Error> {
        if !self.usable {
            return Err(Error::Spent);
        }
        // Until the call has ended: if its future is dropped, the instance stays unusable.
        self.usable = false;
        self.store.data_mut().deadline = Instant::now() + self.limits.call_time;
        self.store.set_epoch_deadline(1);
        Ok(())
    }

    fn forget_grants(&mut self) -> Result<(), Error> {
        self.denied.clear();
        self.store.data_mut().outgoing.gate.grant(&[]).map_err(|e| Error::Setup(e.to_string()))
    }

    fn settle<T>(
        &mut self,
        call: &'static str,
        outcome: Result<wasmtime::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, Error> {
        match outcome {
            Ok(Ok(value)) => {
                self.usable = true;
                Ok(value)
            }
            Ok(Err(error)) => Err(classify(&self.store, &self.limits, call, &error)),
            Err(_) => Err(Error::Timeout { call, limit: self.limits.call_time }),
        }
    }
}

/// Names the limit behind a trap, where it was one.
fn classify(store: &Store<Guest>, limits: &Limits, call: &'static str, error: &wasmtime::Error) -> Error {
    let guest = store.data();
    if guest.meter.exceeded {
        return Error::Memory { limit: limits.memory };
    }
    if matches!(error.downcast_ref(), Some(wasmtime::Trap::Interrupt)) {
        return Error::Timeout { call, limit: limits.call_time };
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return Error::Refused("more than its limits allow".into());
    }
    // The chain begins with a backtrace of the guest, whose names come from the guest.
    let reason = match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    tracing::debug!(call, error = crate::contract::printable(text), "call failed");
    Error::Trap { call, reason: crate::contract::printable(reason) }
}

fn inspect(batch: &Batch, limits: &Limits) -> Result<(), Error> {
    let refused = |what: String| Err(Error::Refused(what));
    if batch.events.len() > limits.batch_events {
        return refused(format!(
            "{} events, more than the {} of its limit",
            batch.events.len(),
            limits.batch_events
        ));
    }
    let size: usize = batch.events.iter().map(String::len).sum();
    if size > limits.batch_bytes {
        let (size, limit) = (bytes(size as u64), bytes(limits.batch_bytes as u64));
        return refused(format!("{size} of events, more than the {limit} of its limit"));
    }
    for (index, event) in batch.events.iter().enumerate() {
        if !is_object_on_a_line(event) {
            return refused(format!(
                "an event (number {} of its batch) that is not one JSON object on one line",
                index + 1
            ));
        }
    }
    inspect_state(&batch.state, limits)
}

fn inspect_state(state: &str, limits: &Limits) -> Result<(), Error> {
    if state.len() > limits.state_bytes {
        let (size, limit) = (bytes(state.len() as u64), bytes(limits.state_bytes as u64));
        return Err(Error::Refused(format!("a state of {size}, more than the {limit} of its limit")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: &[&str]) -> Batch {
        Batch { events: events.iter().map(|e| (*e).to_owned()).collect(), ..Batch::default() }
    }

    fn refusal(batch: &Batch, limits: &Limits) -> String {
        inspect(batch, limits).unwrap_err().to_string()
    }

    #[test]
    fn an_event_is_one_json_object_on_one_line() {
        let limits = Limits::default();
        assert!(inspect(&batch(&["{}", r#"{"a":[1,{"b":null}]}"#]), &limits).is_ok());
        for bad in ["", "[]", "1", " {}", "{", "{}{}", "{\n}", "{\"a\":1,\r\"b\":2}", "{\"a\":}", "{} x"] {
            let text = refusal(&batch(&["{}", bad]), &limits);
            assert!(text.contains("number 2"), "{bad:?}: {text}");
        }
    }

    #[test]
    fn a_batch_with_too_many_events_is_refused() {
        let limits = Limits { batch_events: 2, ..Limits::default() };
        assert!(inspect(&batch(&["{}", "{}"]), &limits).is_ok());
        assert!(refusal(&batch(&["{}", "{}", "{}"]), &limits).contains("3 events"));
    }

    #[test]
    fn a_batch_with_too_many_bytes_is_refused() {
        let limits = Limits { batch_bytes: 3, ..Limits::default() };
        assert!(refusal(&batch(&["{}", "{}"]), &limits).contains("4 bytes of events"));
    }

    #[test]
    fn a_state_beyond_its_limit_is_refused() {
        let limits = Limits::default();
        let mut batch = batch(&[]);
        batch.state = "x".repeat((1 << 20) + 1);
        assert!(refusal(&batch, &limits).contains("1 MiB of its limit"));
    }
}
