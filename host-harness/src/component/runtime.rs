//! The engine, and what it offers to components: clocks, streams and outgoing HTTP. Nothing else is linked, so nothing
//! else can be reached, whatever a component imports.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{clocks, io};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use super::guest::Guest;
use super::plugin::Plugin;
use crate::component::handler;
use crate::component::plugin;
use crate::error::Error;

/// How often a component that computes is interrupted, to give way to others and to be stopped when its time is up.
const TICK: Duration = Duration::from_millis(20);

/// Compiles components. One for the whole process; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    linker: Arc<Linker<Guest>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runtime")
    }
}

impl Runtime {
    /// A runtime that compiles each component anew.
    ///
    /// # Errors
    ///
    /// If this machine has no engine to offer.
    pub fn new() -> Result<Self, Error> {
        Self::build(None)
    }

    /// A runtime that keeps compiled components in a directory (absolute, created if missing) and finds them there the
    /// next time. What lies there is run as machine code: nobody else may have the right to write to it.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used.
    pub fn with_cache(directory: &Path) -> Result<Self, Error> {
        let mut config = CacheConfig::new();
        config.with_directory(directory);
        Self::build(Some(Cache::new(config).map_err(setup)?))
    }

    fn build(cache: Option<Cache>) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // One call at a time is all the contract knows, and calls are five times as fast without.
            .concurrency_support(false)
            .epoch_interruption(true)
            .cache(cache);
        let engine = Engine::new(&config).map_err(setup)?;
        let linker = Arc::new(linker(&engine).map_err(setup)?);
        tick(&engine)?;
        Ok(Self { engine, linker })
    }

    /// Reads and compiles a component.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] and [`Error::NotAdmitted`], each with what to do.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Plugin, Error> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|reason| Error::Unreadable { path: path.to_owned(), reason })?;
        self.load_bytes(&path.display().to_string(), &bytes)
    }

    /// Compiles a component that is already in memory. `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Plugin, Error> {
        plugin::admit(&self.engine, &self.linker, name, bytes)
    }
}

fn setup(error: wasmtime::Error) -> Error {
    Error::Setup(format!("{error:#}"))
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let to = &mut linker;
    io::error::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    io::poll::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    io::streams::add_to_linker::<Guest, Table>(to, |guest| &mut guest.table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(to, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(to, Guest::clocks)?;
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    http::types::add_to_linker::<Guest, WasiHttp>(to, &options.into(), Guest::http)?;
    handler::add_to_linker(to)?;
    Ok(linker)
}

/// Advances the engine's epoch until the engine is gone.
fn tick(engine: &Engine) -> Result<(), Error> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("source-host-epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|e| Error::Setup(format!("cannot start a thread: {e}")))?;
    Ok(())
}
