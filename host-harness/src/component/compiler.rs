//! Who makes machine code of a component, and within which bounds.
//!
//! The threat: compiling is the one thing that a component makes the host do before any limit of a running component counts.
//! Its size and shape are bounded before ([`Admission`]), but what a compiler needs for a component is only known once it is
//! compiled. So it can be done by a child process with limits of its own for time and memory, which takes nobody along when it
//! exceeds them or crashes.
//!
//! What a child does not do: make the compiler trustworthy. The host runs what comes back, and no machine code can be checked.
//! A component that takes over its compiler, by a fault of it, has taken over the host one step later. Against that a digest or
//! a signature helps, which are looked at before.
//!
//! The child gets its limits and the component on its standard input, gives back machine code on its standard output, and
//! reasons on its standard error.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use super::admission::{self, Admission, Contract};
use crate::contract::printable;
use crate::error::Error;
use crate::units::bytes;

/// On how many threads a child compiles at most. What it needs for each of them counts as its memory.
const THREADS: usize = 4;

/// Bytes of reasons that are listened to.
const REASONS: u64 = 4 << 10;

/// How nice a child is to others. Not as nice as can be: beside components that compute without end it would get next to nothing,
/// and its time would be up for any component.
#[cfg(unix)]
const NICE: i32 = 10;

/// How a child ends that found the component wrong, and not itself.
const REFUSED: u8 = 3;

/// Who makes machine code of components: this process, or a child that is held to [`Admission::compile_time`] and
/// [`Admission::compile_memory`].
///
/// A program that loads what strangers wrote runs itself as a child:
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use source_host::{Compiler, Runtime};
///
/// fn main() -> ExitCode {
///     if std::env::args().nth(1).as_deref() == Some("compile") {
///         return Compiler::run_as_child();
///     }
///     let runtime = Runtime::new().map(|runtime| runtime.compiled_by(Compiler::this_program(["compile"])));
///     // Go on with `runtime.load(…)`.
///     if runtime.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Compiler(Means);

#[derive(Clone, Debug, Default)]
enum Means {
    #[default]
    InProcess,
    Child {
        program: PathBuf,
        arguments: Vec<OsString>,
    },
}

impl Compiler {
    /// This process, on a thread of its own. Only the size and shape of a component are bounded then.
    ///
    /// ```
    /// use source_host::{Compiler, Runtime};
    ///
    /// let runtime = Runtime::new()?.compiled_by(Compiler::in_process());
    /// # Ok::<(), source_host::Error>(())
    /// ```
    pub fn in_process() -> Self {
        Self(Means::InProcess)
    }

    /// A child process: this program with these arguments, which calls [`Compiler::run_as_child`] first of all.
    ///
    /// It has an empty environment and a low priority, and is killed when its time is up or nobody waits for it any more.
    /// Its program must have been built with the same version of this crate: machine code of another engine is refused.
    ///
    /// ```
    /// use source_host::{Compiler, Runtime};
    ///
    /// let compiler = Compiler::child("/usr/libexec/acme/compile-source", ["--quiet"]);
    /// let runtime = Runtime::new()?.compiled_by(compiler);
    /// # Ok::<(), source_host::Error>(())
    /// ```
    pub fn child<I>(program: impl Into<PathBuf>, arguments: I) -> Self
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self(Means::Child { program: program.into(), arguments })
    }

    /// The same with the program that runs now. On Linux that is the very file that was started, even if another lies in its
    /// place by now.
    pub fn this_program<I>(arguments: I) -> Self
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let program = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            // Where the system does not tell it, starting the child fails and says so.
            std::env::current_exe().unwrap_or_default()
        };
        Self::child(program, arguments)
    }

    /// What a child does: reads a component from its standard input and writes machine code to its standard output, within
    /// limits that it sets itself first. To be called before anything else, as it closes what it has inherited; its result is
    /// that of `main`.
    pub fn run_as_child() -> ExitCode {
        match child() {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(refused)) => {
                eprintln!("{refused}");
                ExitCode::from(REFUSED)
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Machine code of a component that was inspected. `permit` is held for as long as somebody works on it.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`] if it does not compile or exceeds a limit, [`Error::Compiler`] if something else went wrong.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        name: &str,
        content: &Arc<Vec<u8>>,
        admission: &Admission,
        permit: impl Send + 'static,
    ) -> Result<Vec<u8>, Error> {
        let refuse = |reason| Error::NotAdmitted { name: name.to_owned(), reason };
        match &self.0 {
            Means::InProcess => {
                let (engine, content) = (engine.clone(), Arc::clone(content));
                let made = off_the_executor(move || {
                    let _permit = permit;
                    engine
                        .precompile_component(&content)
                        .map_err(|error| does_not_compile(&format!("{error:#}")))
                });
                made.await?.map_err(refuse)
            }
            Means::Child { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments);
                let made = in_child(command, content, admission).await;
                drop(permit);
                made.map_err(|stopped| match stopped {
                    Stopped::Time => refuse(format!(
                        "compiling it took longer than its limit of {} s (`compile_time`)",
                        admission.compile_time.as_secs_f64()
                    )),
                    Stopped::Memory => refuse(format!(
                        "compiling it needs more memory than its limit of {} (`compile_memory`)",
                        bytes(admission.compile_memory)
                    )),
                    Stopped::Refused(reason) => refuse(does_not_compile(&reason)),
                    Stopped::Failed(reason) => Error::Compiler { name: name.to_owned(), reason },
                })
            }
        }
    }
}

/// Does what takes its time where nobody waits for it.
pub(super) async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Setup(error.to_string()))
}

fn does_not_compile(reason: &str) -> String {
    printable(format!("it does not compile: {reason}"))
}

/// The engine that machine code of components with this contract is made for. The same in a child: else what comes back is refused.
pub(crate) fn engine(contract: Contract) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // One call at a time is all that `Source` knows, and calls are five times as fast without.
        .concurrency_support(contract == Contract::AsyncSource)
        .epoch_interruption(true);
    Engine::new(&config)
}

/// The component that machine code stands for.
///
/// # Errors
///
/// If it was made for another engine, or is none.
pub(crate) fn run(engine: &Engine, name: &str, code: &[u8]) -> Result<Component, Error> {
    #[expect(unsafe_code, reason = "no machine code can be checked: its maker is trusted or nothing is run")]
    // SAFETY: it comes from this process, or from a child that the embedder has named and that nobody else can write to.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| Error::Compiler {
        name: name.to_owned(),
        reason: printable(format!("what came back is not for this engine: {error:#}")),
    })
}

/// Why there is no machine code.
enum Stopped {
    Time,
    Memory,
    /// By the compiler: the component is wrong.
    Refused(String),
    /// Something else is.
    Failed(String),
}

async fn in_child(mut command: Command, content: &[u8], admission: &Admission) -> Result<Vec<u8>, Stopped> {
    let failed = |what: &'static str| move |error: io::Error| Stopped::Failed(format!("{what}: {error}"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    command
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        // Each thread would set aside 64 MiB of address space else, which counts as memory.
        .env("MALLOC_ARENA_MAX", "2")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What a terminal sends is for the host.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(failed("it cannot be started"))?;
    // Threads of the processor count each for itself. A second more, so that it is the clock that ends it.
    let processor = (admission.compile_time.as_secs() + 2).saturating_mul(threads as u64);
    let bounds = [admission.compile_memory.to_le_bytes(), processor.to_le_bytes()].concat();
    let ended = tokio::time::timeout(
        admission.compile_time,
        exchange(&mut child, &bounds, content, admission.compile_memory),
    );
    let Ok(ended) = ended.await else {
        child.kill().await.map_err(failed("it cannot be stopped"))?;
        return Err(Stopped::Time);
    };
    let (status, code, reasons) = ended.map_err(failed("it cannot be talked to"))?;
    if !status.success() {
        return Err(why(status, &reasons));
    }
    if code.len() as u64 > admission.compile_memory {
        return Err(Stopped::Memory);
    }
    Ok(code)
}

/// Gives a child what it needs and takes what it says. It reads all of it before it says anything.
async fn exchange(
    child: &mut Child,
    bounds: &[u8],
    content: &[u8],
    most: u64,
) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    let (Some(mut input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let give = async move {
        input.write_all(bounds).await?;
        input.write_all(content).await
    };
    // Why it did not take all of it says its end.
    let (_, code, reasons) = tokio::join!(give, take(output, most + 1), take(errors, REASONS));
    let reasons = String::from_utf8_lossy(&reasons?).into_owned();
    Ok((child.wait().await?, code?, reasons))
}

async fn take(from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut taken = Vec::new();
    from.take(most).read_to_end(&mut taken).await?;
    Ok(taken)
}

/// Why a child ended that has made nothing.
fn why(status: ExitStatus, reasons: &str) -> Stopped {
    let reasons = reasons.trim();
    if is_about_memory(reasons) {
        return Stopped::Memory;
    }
    if status.code() == Some(REFUSED.into()) {
        return Stopped::Refused(reasons.to_owned());
    }
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(rustix::process::Signal::XCPU.as_raw())
    {
        return Stopped::Time;
    }
    let said = if reasons.is_empty() { "and said nothing" } else { reasons };
    Stopped::Failed(printable(format!("it ended with {status}: {said}")))
}

/// Whether that is what a program says that gets no more memory: an allocation that fails, or a mapping.
fn is_about_memory(reasons: &str) -> bool {
    ["memory allocation of ", "Cannot allocate memory", "out of memory"]
        .iter()
        .any(|words| reasons.contains(words))
}

/// What happens in a child. The inner error is the component's.
fn child() -> io::Result<Result<(), String>> {
    close_inherited()?;
    let mut input = io::stdin().lock();
    let (mut memory, mut processor) = ([0; 8], [0; 8]);
    input.read_exact(&mut memory)?;
    input.read_exact(&mut processor)?;
    confine(u64::from_le_bytes(memory), Duration::from_secs(u64::from_le_bytes(processor)))?;
    let mut content = Vec::new();
    input.read_to_end(&mut content)?;
    match engine(admission::contract(&content)).and_then(|engine| engine.precompile_component(&content)) {
        Ok(code) => io::stdout().write_all(&code).map(Ok),
        Err(error) => Ok(Err(format!("{error:#}"))),
    }
}

/// Closes what the parent left open to it and that is none of its business.
#[cfg(unix)]
fn close_inherited() -> io::Result<()> {
    const STANDARD: i32 = 2;
    // All of them first: the folder itself is one while it is read.
    let open: Vec<i32> = std::fs::read_dir("/dev/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > STANDARD)
        .collect();
    for descriptor in open {
        #[expect(unsafe_code, reason = "what was inherited has no owner in Rust")]
        // SAFETY: nothing in this process has opened any yet. One of them was the folder's own: it is closed, and stays so.
        unsafe {
            rustix::io::close(descriptor)
        };
    }
    Ok(())
}

/// Lowers what this process may have, for good, and its priority.
#[cfg(unix)]
fn confine(memory: u64, processor: Duration) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
    // Nobody can raise what is lower already.
    let lower = |resource, soft: u64, hard: u64| {
        let hard = getrlimit(resource).maximum.map_or(hard, |before| before.min(hard));
        setrlimit(resource, Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) })
    };
    let seconds = processor.as_secs();
    lower(Resource::As, memory, memory)?;
    // The first has it ended with a reason, the second at any rate.
    lower(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    // It writes no files, and no picture of its memory.
    lower(Resource::Fsize, 0, 0)?;
    lower(Resource::Core, 0, 0)?;
    setpriority_process(None, NICE)?;
    Ok(())
}

#[cfg(not(unix))]
fn close_inherited() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn confine(_: u64, _: Duration) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such limits"))
}
