//! The engines, and what they offer to components: clocks, streams and outgoing HTTP. Nothing else is linked, so nothing
//! else can be reached, whatever a component imports.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{clocks, io as wasi_io};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use super::admission::Contract;
use super::compiler;
use super::guest::Guest;
use super::handler;
use crate::error::Error;

/// What components of one contract run on. Each has its own: what lets a component wait beside others costs those that do not.
#[derive(Clone)]
pub(super) struct Platform {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<Guest>>,
}

impl Platform {
    pub(super) fn of(contract: Contract) -> Result<Self, Error> {
        let engine = compiler::engine(contract).map_err(setup)?;
        let linker = match contract {
            Contract::Source => wasi_0_2(&engine),
            Contract::AsyncSource => wasi_0_3(&engine),
        };
        Ok(Self { engine, linker: Arc::new(linker.map_err(setup)?) })
    }
}

fn setup(error: wasmtime::Error) -> Error {
    Error::Setup(format!("{error:#}"))
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

fn wasi_0_2(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let to = &mut linker;
    wasi_io::error::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    wasi_io::poll::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    wasi_io::streams::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(to, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(to, Guest::clocks)?;
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    http::types::add_to_linker::<Guest, WasiHttp>(to, &options.into(), Guest::http)?;
    handler::add_to_linker(to)?;
    Ok(linker)
}

fn wasi_0_3(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p3::clocks::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    Ok(linker)
}
