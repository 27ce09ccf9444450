//! A component that attacks its compiler, and a compiler that fails: with the real program as the child that compiles.

use anyhow::Result;
use e2e::hosted::{component_path, program};
use source_host::{Admission, Compiler, Error, Runtime};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A component within the bounds of size and shape that takes long to compile: so many functions, each as long as it may be,
/// of which each instruction depends on all before it.
pub static SLOW: LazyLock<Vec<u8>> = LazyLock::new(|| {
    const FUNCTIONS: usize = 16;
    let body = "(local.set 0 (i64.xor (i64.rotl (local.get 0) (local.get 1)) (i64.load (i32.wrap_i64 (local.get 0)))))";
    let function = format!("(func (param i64 i64) {})", body.repeat(15_000));
    let text = format!("(component (core module (memory 1) {}))", function.repeat(FUNCTIONS));
    test_guests::from_text(&text).expect("a component")
});

fn admission(change: impl FnOnce(&mut Admission)) -> Admission {
    let mut admission = Admission::default();
    change(&mut admission);
    admission
}

/// The program as a compiler, which tells its number before it begins.
struct Apart {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Apart {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = format!(
            // Descriptor 9 is one that is left open by mistake.
            "exec 9</dev/null; echo $$ > {}; exec {} compile",
            folder.path().join("number").display(),
            program("source-host").display()
        );
        let runtime = Runtime::new()?.compiled_by(Compiler::child("/bin/sh", ["-c", script.as_str()]));
        Ok(Self { folder, runtime })
    }

    /// The child, once it compiles.
    async fn child(&self) -> Child {
        let number = self.folder.path().join("number");
        let found = async {
            loop {
                let text = fs::read_to_string(&number).unwrap_or_default();
                if let Ok(number) = text.trim().parse() {
                    let child = Child(number);
                    if child.is_confined() {
                        break child;
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, found).await.expect("a child")
    }

    /// Whether the last child has ended.
    async fn is_idle(&self) {
        // None, if it ended before it could tell its number.
        let text = fs::read_to_string(self.folder.path().join("number")).unwrap_or_default();
        if let Ok(number) = text.trim().parse() {
            Child(number).goes().await;
        }
    }

    async fn load(&self, content: Vec<u8>, admission: &Admission) -> Result<(), Error> {
        self.runtime.load_bytes("strange.wasm", content, admission).await.map(|_| ())
    }
}

struct Child(u32);

impl Child {
    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.0.to_string()).join(name)
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.file(name)).unwrap_or_default()).into_owned()
    }

    /// Whether its last limit is set: then all is as it should be.
    fn is_confined(&self) -> bool {
        self.limit("Max core file size").is_some_and(|limit| limit == ["0", "0"]) && self.nice() == Some(10)
    }

    fn limit(&self, name: &str) -> Option<Vec<String>> {
        let limits = self.read("limits");
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().take(2).map(str::to_owned).collect())
    }

    fn nice(&self) -> Option<i64> {
        // The name before it is in parentheses; see proc_pid_stat(5).
        self.read("stat").rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
    }

    fn is_gone(&self) -> bool {
        let stat = self.read("stat");
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    }

    async fn goes(&self) {
        let gone = async {
            while !self.is_gone() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, gone).await.expect("the child is gone");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_thread_that_loads_a_component_does_other_things_meanwhile() {
    let runtime = Runtime::new().expect("a runtime");
    let hostile = component_path().with_file_name("hostile-source.wasm");
    let admission = Admission::default();
    let mut others = 0_u64;
    let loaded = tokio::select! {
        biased;
        loaded = runtime.load(&hostile, &admission) => loaded,
        () = async { loop {
            others += 1;
            tokio::task::yield_now().await;
        } } => unreachable!("it never ends"),
    };
    loaded.expect("a component");
    assert!(others > 100, "{others} times somebody else had the thread");
}

#[tokio::test]
async fn a_component_that_takes_long_to_compile_is_stopped_when_its_time_is_up() {
    let apart = Apart::new().expect("a compiler");
    let short = admission(|admission| admission.compile_time = Duration::from_millis(500));
    let started = Instant::now();
    let error = apart.load(SLOW.clone(), &short).await.expect_err("stopped");
    assert!(matches!(error, Error::NotAdmitted { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("compiling it took longer than its limit of 0.5 s (`compile_time`)"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    // Nothing is left of it, and the next one compiles.
    apart.is_idle().await;
    apart.load(test_guests::component().expect("a guest"), &Admission::default()).await.expect("admitted");
}

#[tokio::test]
async fn what_did_not_compile_is_not_tried_again_until_its_limits_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = folder.path().join("runs");
    let script = format!("echo run >> {}; exec sleep 60", runs.display());
    let runtime = Runtime::new().expect("an engine");
    let runtime = runtime.compiled_by(Compiler::child("/bin/sh", ["-c", script.as_str()]));
    let load = async |name: &str, limit: u64| {
        let content = test_guests::component().expect("a guest");
        let short = admission(|admission| admission.compile_time = Duration::from_millis(limit));
        runtime.load_bytes(name, content, &short).await.expect_err("refused").to_string()
    };
    let count = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    // Two that wait for their permit and one that comes later are refused with the first, each by its own name.
    let (first, second) = tokio::join!(load("one.wasm", 500), load("two.wasm", 500));
    let third = load("three.wasm", 500).await;
    assert_eq!(count(), 1);
    for (said, name) in [(first, "one.wasm"), (second, "two.wasm"), (third, "three.wasm")] {
        assert!(said.starts_with(&format!("{name} is not admitted: compiling it took longer")), "{said}");
    }
    load("one.wasm", 501).await;
    assert_eq!(count(), 2);
}

#[tokio::test]
async fn a_component_that_takes_much_memory_to_compile_is_stopped_at_its_limit() {
    let apart = Apart::new().expect("a compiler");
    let little = admission(|admission| {
        admission.compile_memory = 300 << 20;
        // On a machine that others use as well, the time could be up first.
        admission.compile_time = Duration::from_secs(600);
    });
    apart.load(fs::read(component_path()).expect("the component"), &little).await.expect("enough for others");
    let error = apart.load(SLOW.clone(), &little).await.expect_err("stopped");
    assert!(matches!(error, Error::NotAdmitted { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("compiling it needs more memory than its limit of 300 MiB (`compile_memory`)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_compiler_that_is_killed_is_an_error_and_the_next_component_compiles() {
    let apart = Apart::new().expect("a compiler");
    let content = SLOW.clone();
    let kill = async {
        let Child(number) = apart.child().await;
        Command::new("kill").args(["-9", &number.to_string()]).status().expect("killed")
    };
    let admission = Admission::default();
    let (loaded, killed) = tokio::join!(apart.load(content, &admission), kill);
    assert!(killed.success());
    let error = loaded.expect_err("killed");
    assert!(matches!(error, Error::Compiler { .. }) && error.to_string().contains("signal: 9"), "{error}");
    apart.load(test_guests::component().expect("a guest"), &Admission::default()).await.expect("admitted");
}

#[tokio::test]
async fn a_load_that_is_given_up_takes_its_compiler_along() {
    let (apart, admission) = (Apart::new().expect("a compiler"), Admission::default());
    let child = tokio::select! {
        loaded = apart.load(SLOW.clone(), &admission) => panic!("{loaded:?}"),
        child = apart.child() => child,
    };
    child.goes().await;
    apart.load(test_guests::component().expect("a guest"), &Admission::default()).await.expect("admitted");
}

#[tokio::test]
async fn a_compiler_has_its_pipes_its_limits_and_a_low_priority_and_nothing_else() {
    let apart = Apart::new().expect("a compiler");
    let bounds = admission(|admission| admission.compile_memory = 1 << 30);
    // Kept until all is looked at: a load that is given up takes its compiler along.
    let mut load = std::pin::pin!(apart.load(SLOW.clone(), &bounds));
    let child = tokio::select! {
        loaded = &mut load => panic!("{loaded:?}"),
        child = apart.child() => child,
    };
    let open: Vec<String> = fs::read_dir(child.file("fd"))
        .expect("its descriptors")
        .map(|entry| entry.expect("a descriptor").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(open.iter().all(|descriptor| ["0", "1", "2"].contains(&descriptor.as_str())), "{open:?}");
    // The shell adds to it; what this process has is not in it.
    let environment = child.read("environ");
    assert!(!environment.contains("CARGO") && !environment.contains("HOME="), "{environment}");
    assert_eq!(child.limit("Max address space"), Some(vec![(1 << 30).to_string(); 2]));
    assert_eq!(child.limit("Max file size"), Some(vec!["0".to_owned(); 2]));
    assert!(child.limit("Max cpu time").is_some_and(|limit| limit[0] != "unlimited"));
    assert_eq!(child.nice(), Some(10));
}

/// A runtime whose compiler answers with the content of a file, whatever it is asked.
fn answered_with(answer: &[u8], folder: &Path) -> Result<Runtime> {
    let path = folder.join("answer");
    fs::write(&path, answer)?;
    let script = format!("cat > /dev/null; cat {}", path.display());
    Ok(Runtime::new()?.compiled_by(Compiler::child("/bin/sh", ["-c", script.as_str()])))
}

#[tokio::test]
async fn machine_code_of_another_engine_and_what_is_none_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let guest = test_guests::component().expect("a guest");
    let made_with = |change: fn(&mut wasmtime::Config)| {
        let mut config = wasmtime::Config::new();
        change(&mut config);
        let engine = wasmtime::Engine::new(&config).expect("an engine");
        engine.precompile_component(&guest).expect("machine code")
    };
    let same = made_with(|config| {
        config.concurrency_support(false).epoch_interruption(true);
    });
    // Whoever changes the engine has to change this one as well: else the others prove nothing.
    let runtime = answered_with(&same, folder.path()).expect("a runtime");
    runtime.load_bytes("same.wasm", guest.clone(), &Admission::default()).await.expect("admitted");

    let cannot_be_stopped = made_with(|config| {
        config.concurrency_support(false);
    });
    let counts_fuel = made_with(|config| {
        config.concurrency_support(false).epoch_interruption(true).consume_fuel(true);
    });
    let wrong: [&[u8]; 5] =
        [&cannot_be_stopped, &counts_fuel, b"", b"no machine code", &same[..same.len() / 2]];
    for answer in wrong {
        let runtime = answered_with(answer, folder.path()).expect("a runtime");
        let error = runtime.load_bytes("other.wasm", guest.clone(), &Admission::default()).await;
        let error = error.expect_err("refused");
        assert!(matches!(error, Error::Compiler { .. }), "{error}");
        assert!(error.to_string().contains("what came back is not for this engine"), "{error}");
    }
}

#[tokio::test]
async fn a_compiler_that_says_more_than_it_may_is_not_listened_to() {
    let script = "cat > /dev/null; cat /dev/zero";
    let runtime = Runtime::new().expect("a runtime");
    let runtime = runtime.compiled_by(Compiler::child("/bin/sh", ["-c", script]));
    let little = admission(|admission| admission.compile_memory = 1 << 20);
    let guest = test_guests::component().expect("a guest");
    let error = timeout(PATIENCE, runtime.load_bytes("guest.wasm", guest, &little)).await.expect("an end");
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn what_is_in_the_cache_needs_no_compiler() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let runtime = |compiler| Runtime::with_cache(&cache).expect("a runtime").compiled_by(compiler);
    let load = async |compiler| runtime(compiler).load(component_path(), &Admission::default()).await;
    let nobody = Compiler::child("/nonexistent/compiler", [""; 0]);
    let error = load(nobody.clone()).await.expect_err("nobody compiles").to_string();
    assert!(error.contains("cannot be started"), "{error}");
    load(Compiler::child(program("source-host"), ["compile"])).await.expect("compiled");
    let plugin = load(nobody.clone()).await.expect("found");
    let mut source = plugin.open(source_host::Options::new()).await.expect("an instance");
    assert_eq!(source.describe().await.expect("a description").name, "salesforce-source");

    // What is damaged is as good as absent.
    for entry in fs::read_dir(&cache).expect("the cache") {
        let path = entry.expect("an entry").path();
        // Not in place: it is mapped, and run.
        let damaged = folder.path().join("damaged");
        fs::write(&damaged, b"damaged").expect("written");
        fs::rename(damaged, path).expect("damaged");
    }
    load(nobody).await.expect_err("nobody compiles");
    load(Compiler::in_process()).await.expect("compiled anew");
}

#[test]
fn the_program_compiles_apart_and_names_the_limit_of_its_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("slow.wasm"), &*SLOW).expect("written");
    let run = |bound: &str| {
        let config =
            format!("component = \"slow.wasm\"\n[source]\n[state]\npath = \"s\"\n[admission]\n{bound}\n");
        let path = folder.path().join("source-host.toml");
        fs::write(&path, config).expect("written");
        let output =
            Command::new(program("source-host")).arg("check").arg(path).output().expect("the program");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, text) = run("compile_time = \"1s\"");
    assert!(status == Some(2) && text.contains("longer than its limit of 1 s (`compile_time`)"), "{text}");
    let (status, text) = run("compile_memory = \"300MiB\"\ncompile_time = \"10m\"");
    assert!(status == Some(2) && text.contains("its limit of 300 MiB (`compile_memory`)"), "{text}");
}
