//! From a file or bytes to a component that can be opened: read, inspected, compiled or found in the cache, admitted.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use super::admission::{self, Admission, Contract, Inspected};
use super::cache::Cache;
use super::compiler::{self, Compiler, off_the_executor};
use super::keys::{SIGNATURE, SIGNATURES};
use super::platform::Platform;
use super::plugin::{self, Plugin};
use super::refusals::Refusals;
use super::ticker::Ticker;
use crate::contract::printable;
use crate::error::Error;

/// Compiles components. One for the whole process; cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), source_host::Error> {
/// use source_host::{Admission, Compiler, Runtime};
///
/// // Compiled once, by a child of this program, and found in the folder from then on.
/// let runtime = Runtime::with_cache("/var/cache/acme".as_ref())?.compiled_by(Compiler::this_program(["compile"]));
/// let mut admission = Admission::default();
/// admission.compile_memory = 512 << 20;
/// let plugin = runtime.load("source.wasm", &admission).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime {
    source: Platform,
    async_source: Platform,
    ticker: Arc<Ticker>,
    cache: Option<Cache>,
    compiler: Compiler,
    /// Who may compile: one component after another, as each takes all processors and much memory.
    compiling: Arc<Semaphore>,
    refusals: Arc<Refusals>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("compiler", &self.compiler).finish_non_exhaustive()
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

    /// A runtime that keeps compiled components in a directory (created if missing) and finds them there the next time. What
    /// lies there is run as machine code: a directory that others may write to, or to one that it lies in, is refused.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used, or belongs to somebody else, or others may write to it or to one that it lies in (unless that
    /// one is sticky, as `/tmp` is).
    pub fn with_cache(directory: &Path) -> Result<Self, Error> {
        Self::build(Some(Cache::open(directory)?))
    }

    fn build(cache: Option<Cache>) -> Result<Self, Error> {
        let (source, async_source) = (Platform::of(Contract::Source)?, Platform::of(Contract::AsyncSource)?);
        let ticker = Ticker::start(vec![source.engine.clone(), async_source.engine.clone()])?;
        let compiling = Arc::new(Semaphore::new(1));
        let (compiler, refusals) = (Compiler::in_process(), Arc::default());
        Ok(Self { source, async_source, ticker: Arc::new(ticker), cache, compiler, compiling, refusals })
    }

    /// Has components compiled by this one. By default that is [`Compiler::in_process`].
    #[must_use]
    pub fn compiled_by(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Reads and compiles a component, off the executor. A signature is looked for beside it: `source.wasm.sig`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`], [`Error::NotAdmitted`] and [`Error::Compiler`].
    pub async fn load(&self, path: impl AsRef<Path>, admission: &Admission) -> Result<Plugin, Error> {
        let path = path.as_ref().to_owned();
        let name = path.display().to_string();
        let admitted = admission.clone();
        let read = off_the_executor(move || component_file(&path, &admitted));
        let (content, signature) = read.await??;
        self.admit(name, content, signature, admission).await
    }

    /// Compiles a component that is already in memory, off the executor. `name` is for messages.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use source_host::{Admission, Runtime};
    ///
    /// let content = b"what a registry sent".to_vec();
    /// let error = Runtime::new()?.load_bytes("acme/source:1.0", content, &Admission::default()).await.unwrap_err();
    /// assert_eq!(error.to_string(), "acme/source:1.0 is not admitted: it is not WebAssembly");
    /// # Ok::<(), source_host::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`] and [`Error::Compiler`].
    pub async fn load_bytes(
        &self,
        name: &str,
        content: Vec<u8>,
        admission: &Admission,
    ) -> Result<Plugin, Error> {
        self.admit(name.to_owned(), content, None, admission).await
    }

    async fn admit(
        &self,
        name: String,
        content: Vec<u8>,
        signature: Option<Vec<u8>>,
        admission: &Admission,
    ) -> Result<Plugin, Error> {
        let content = Arc::new(content);
        let (inspected, admitted) = (Arc::clone(&content), admission.clone());
        let inspected =
            off_the_executor(move || admission::inspect(&inspected, signature.as_deref(), &admitted));
        let inspected = inspected.await?;
        let inspected = inspected
            .map_err(|reason| Error::NotAdmitted { name: name.clone(), reason: printable(reason) })?;
        let component = self.component(&name, &content, inspected, admission).await?;
        let runtime = self.clone();
        off_the_executor(move || {
            let platform = runtime.platform(inspected.contract);
            plugin::admit(platform, &runtime.ticker, &name, &content, inspected, &component)
        })
        .await?
    }

    fn platform(&self, contract: Contract) -> &Platform {
        match contract {
            Contract::Source => &self.source,
            Contract::AsyncSource => &self.async_source,
        }
    }

    /// The compiled component, from the cache or from the compiler.
    async fn component(
        &self,
        name: &str,
        content: &Arc<Vec<u8>>,
        inspected: Inspected,
        admission: &Admission,
    ) -> Result<Component, Error> {
        let Inspected { digest, contract } = inspected;
        if let Some(found) = self.cached(inspected).await? {
            return Ok(found);
        }
        let refused = || {
            let reason = self.refusals.of(digest, admission);
            reason.map_or(Ok(()), |reason| Err(Error::NotAdmitted { name: name.to_owned(), reason }))
        };
        refused()?;
        // Fails only if the semaphore is closed, and it never is.
        let permit = Arc::clone(&self.compiling).acquire_owned().await;
        let permit = permit.map_err(|error| Error::Setup(error.to_string()))?;
        // Who had the permit before may have tried the same.
        refused()?;
        if let Some(found) = self.cached(inspected).await? {
            return Ok(found);
        }
        let engine = self.platform(contract).engine.clone();
        let code = self.compiler.compile(&engine, name, content, admission, permit).await;
        if let Err(Error::NotAdmitted { reason, .. }) = &code {
            self.refusals.note(digest, admission, reason);
        }
        let code = code?;
        let (cache, name) = (self.cache.clone(), name.to_owned());
        off_the_executor(move || {
            if let Some(cache) = &cache
                && let Err(error) = cache.keep(&engine, digest, &code)
            {
                tracing::warn!(%error, "a compiled component is not kept");
            }
            compiler::run(&engine, &name, &code)
        })
        .await?
    }

    async fn cached(&self, inspected: Inspected) -> Result<Option<Component>, Error> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let engine = self.platform(inspected.contract).engine.clone();
        off_the_executor(move || cache.find(&engine, inspected.digest)).await
    }
}

/// Reads a component's file, and the signature beside it if there has to be one.
pub(crate) fn component_file(
    path: &Path,
    admission: &Admission,
) -> Result<(Vec<u8>, Option<Vec<u8>>), Error> {
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
    match File::open(&beside)
        .and_then(|file| file.take((SIGNATURE * SIGNATURES) as u64).read_to_end(&mut signature))
    {
        Ok(_) => Ok((content, Some(signature))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((content, None)),
        Err(error) => Err(unreadable(&beside)(error)),
    }
}
