//! The engine, and what it offers to components: clocks, streams and outgoing HTTP. Nothing else is linked, so nothing
//! else can be reached, whatever a component imports.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{clocks, io as wasi_io};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use super::admission::{self, Admission};
use super::guest::Guest;
use super::handler;
use super::plugin::{self, Plugin};
use crate::error::Error;

/// How often a component that computes is interrupted, to give way to others and to be stopped when its time is up.
const TICK: Duration = Duration::from_millis(5);

/// Compiles components. One for the whole process; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    linker: Arc<Linker<Guest>>,
    /// Whose turn it is to compile: one component after another, as each takes all processors and much memory.
    compiling: Arc<Semaphore>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// next time. What lies there is run as machine code: a directory that others may write to is refused.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used, or belongs to somebody else, or others may write to it.
    pub fn with_cache(directory: &Path) -> Result<Self, Error> {
        private(directory)?;
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
        Ok(Self { engine, linker, compiling: Arc::new(Semaphore::new(1)) })
    }

    /// Reads and compiles a component, off the executor. A signature is looked for beside it: `source.wasm.sig`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] and [`Error::NotAdmitted`].
    pub async fn load(&self, path: impl AsRef<Path>, admission: &Admission) -> Result<Plugin, Error> {
        let (path, admission) = (path.as_ref().to_owned(), admission.clone());
        let runtime = self.clone();
        self.in_turn(move || {
            let name = path.display().to_string();
            let (content, signature) = component_file(&path, &admission)?;
            plugin::admit(&runtime.engine, &runtime.linker, &name, &content, signature.as_deref(), &admission)
        })
        .await
    }

    /// Compiles a component that is already in memory, off the executor. `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`].
    pub async fn load_bytes(
        &self,
        name: &str,
        content: Vec<u8>,
        admission: &Admission,
    ) -> Result<Plugin, Error> {
        let (name, admission) = (name.to_owned(), admission.clone());
        let runtime = self.clone();
        self.in_turn(move || {
            plugin::admit(&runtime.engine, &runtime.linker, &name, &content, None, &admission)
        })
        .await
    }

    async fn in_turn<F>(&self, work: F) -> Result<Plugin, Error>
    where
        F: FnOnce() -> Result<Plugin, Error> + Send + 'static,
    {
        // Fails only if the semaphore is closed, and it never is.
        let _turn = self.compiling.acquire().await.map_err(|error| Error::Setup(error.to_string()))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Setup(error.to_string()))?
    }
}

/// Reads a component's file, and the signature beside it if there has to be one.
pub(crate) fn component_file(
    path: &Path,
    admission: &Admission,
) -> Result<(Vec<u8>, Option<Vec<u8>>), Error> {
    const SIGNATURE: u64 = 64;
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |reason| Error::Unreadable { path, reason }
    };
    let content = admission::read(path, admission).map_err(unreadable(path))?;
    let name = path.display().to_string();
    let content = content.map_err(|reason| Error::NotAdmitted { name, reason })?;
    if admission.signed_by.is_none() {
        return Ok((content, None));
    }
    let mut beside = path.to_owned().into_os_string();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    let mut signature = Vec::new();
    match File::open(&beside).and_then(|file| file.take(SIGNATURE + 1).read_to_end(&mut signature)) {
        Ok(_) => Ok((content, Some(signature))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((content, None)),
        Err(error) => Err(unreadable(&beside)(error)),
    }
}

/// Refuses a directory that others may write to.
#[cfg(unix)]
fn private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    const OTHERS_WRITE: u32 = 0o022;
    let unusable = |why: &dyn fmt::Display| Error::Setup(format!("the cache {} {why}", directory.display()));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| unusable(&format_args!("cannot be made: {error}")))?;
    let found = directory.metadata().map_err(|error| unusable(&format_args!("cannot be used: {error}")))?;
    let own = own_user(directory).map_err(|error| unusable(&format_args!("cannot be used: {error}")))?;
    if found.uid() != own {
        return Err(unusable(&"belongs to somebody else; what lies there is run as machine code"));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(unusable(
            &"can be written to by others, and what lies there is run as machine code; take that right away (chmod go-w)",
        ));
    }
    Ok(())
}

/// Whom this process runs as: who owns a file that it makes.
#[cfg(unix)]
fn own_user(directory: &Path) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let path = directory.join(format!(".owner-{}", std::process::id()));
    let owner = File::create(&path)?.metadata()?.uid();
    std::fs::remove_file(&path)?;
    Ok(owner)
}

#[cfg(not(unix))]
fn private(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(|error| Error::Setup(error.to_string()))
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
