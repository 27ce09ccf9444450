//! Who runs: the collector natively, the component in the host, and loops that nobody here has an interest in.
//!
//! The first two run whole polls against an org in memory: sign-in, listing, download, decompression, CSV, ids, documents,
//! batches of the default size; the host also checks all that the component returns. The baselines are what one would write
//! in an afternoon: they read a CSV file row by row and write JSON lines, and know of no ids, no times, no damage and no
//! resuming. They are in `baselines/`.

use crate::cpu::Cpu;
use anyhow::{Context, Result, ensure};
use e2e::{
    hosted,
    inputs::{self, Collected, Input},
};
use serde::Deserialize;
use source_host::{Limits, Plugin};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::Instant,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// One run of a contender over an input.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Run {
    /// Processor seconds.
    pub cpu_seconds: f64,
    /// Seconds on the wall.
    pub wall_seconds: f64,
    /// Bytes of the documents.
    pub bytes_out: usize,
    /// The most memory that the component held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

/// A contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Native(&'static str),
    Component(&'static str),
    GoFlat,
    GoNested,
    Python,
}

impl Contender {
    /// In the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Native("ecs"),
        Self::Native("ocsf"),
        Self::Native("raw"),
        Self::Component("ecs"),
        Self::Component("ocsf"),
        Self::Component("raw"),
        Self::GoFlat,
        Self::GoNested,
        Self::Python,
    ];

    /// What it is called in the report.
    pub fn name(self) -> String {
        match self {
            Self::Native(format) => format!("native, {format}"),
            Self::Component(format) => format!("component, {format}"),
            Self::GoFlat => String::from("Go, flat"),
            Self::GoNested => String::from("Go, nested"),
            Self::Python => String::from("Python, flat"),
        }
    }
}

/// An input as the contenders get it.
pub struct Prepared {
    /// What it is called in the report.
    pub name: String,
    pub input: Rc<Input>,
    gzip: bool,
    /// How many bytes of it are downloaded.
    pub wire_bytes: usize,
    /// The file that the baselines read; none of records.
    file: Option<PathBuf>,
}

/// All that contenders need.
pub struct Arena {
    runtime: Runtime,
    plugin: Plugin,
    go: Option<PathBuf>,
    python: Option<String>,
    folder: TempDir,
    /// Which baselines there are, and which are left out.
    pub notes: Vec<String>,
}

impl Arena {
    /// Compiles what there is to compile, outside of any clock.
    pub fn prepare() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let baselines = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/baselines");
        let (go, python) = (variable("GO", "go"), variable("PYTHON", "python3"));
        let mut notes = Vec::new();
        let mut is_there = |program: &str, argument: &str, what: &str| {
            let version = said(Command::new(program).arg(argument));
            notes.push(match &version {
                Some(version) => format!("{what}: {version}."),
                None => format!("{what}: left out, since there is no {program} here."),
            });
            version.is_some()
        };
        let has_go = is_there(&go, "version", "The loops of Go");
        let has_python = is_there(&python, "--version", "The loop of Python");
        let program = folder.path().join("loop");
        if has_go {
            let mut build = Command::new(&go);
            let built = build.args(["build", "-o"]).arg(&program).arg(baselines.join("loop.go")).output()?;
            ensure!(built.status.success(), "{build:?}: {}", String::from_utf8_lossy(&built.stderr));
        }
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            plugin: hosted::plugin()?,
            go: has_go.then_some(program),
            python: has_python.then_some(python),
            folder,
            notes,
        })
    }

    /// Makes an input ready; what is compressed is compressed already.
    pub fn input(&self, input: &Rc<Input>, gzip: bool) -> Result<Prepared> {
        let ending = if gzip { ".csv.gz" } else { ".csv" };
        let kind = input.kind.name();
        let file = match input.file(gzip) {
            Some(bytes) => {
                let file = self.folder.path().join(format!("{kind}{ending}"));
                fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
                Some(file)
            }
            None => None,
        };
        let name = format!("{kind}{}", if gzip { ", gzip" } else { "" });
        let wire_bytes = if gzip { input.compress()? } else { input.bytes };
        Ok(Prepared { name, input: Rc::clone(input), gzip, wire_bytes, file })
    }

    /// Whether a contender can run on an input here.
    pub fn has(&self, contender: Contender, on: &Prepared) -> bool {
        match contender {
            Contender::Native(_) | Contender::Component(_) => true,
            Contender::GoFlat | Contender::GoNested => self.go.is_some() && on.file.is_some(),
            Contender::Python => self.python.is_some() && on.file.is_some(),
        }
    }

    /// Runs a contender once, and does not believe it if it has not read everything.
    pub fn run(&self, contender: Contender, on: &Prepared) -> Result<Run> {
        let compressed = on.input.compressed_answers();
        let (rows, run) = match contender {
            Contender::Native(format) => native(on, format)?,
            Contender::Component(format) => self.runtime.block_on(self.component(on, format))?,
            Contender::GoFlat => baseline(go(&self.go, "flat"), on)?,
            Contender::GoNested => baseline(go(&self.go, "nested"), on)?,
            Contender::Python => {
                let mut python = Command::new(self.python.as_deref().unwrap_or_default());
                python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/baselines/loop.py"));
                baseline(python, on)?
            }
        };
        let (name, of) = (contender.name(), on.input.rows);
        let late = on.input.compressed_answers() - compressed;
        ensure!(late == 0, "{name} asked for {late} answers that were compressed while the clock ran");
        ensure!(rows == of, "{name} made {rows} documents of the {of} rows of {}", on.name);
        Ok(run)
    }

    async fn component(&self, on: &Prepared, format: &str) -> Result<(usize, Run)> {
        let mut source = hosted::open(&self.plugin, on.input.org(on.gzip), Limits::default()).await?;
        source.configure(&on.input.config(format)).await?;
        let clock = Stopwatch::start()?;
        let (mut state, mut collected) = (None, Collected::default());
        loop {
            let batch = source.poll(state.as_deref()).await?;
            collected.add(&batch.events);
            state = Some(batch.state);
            if batch.next_poll_ms > 0 {
                break;
            }
        }
        let run = clock.stop(collected.bytes)?;
        Ok((collected.events, Run { peak_memory: Some(source.peak_memory()), ..run }))
    }
}

fn variable(name: &str, or: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| or.to_owned())
}

/// The first line that a program says, if it is there and runs.
fn said(program: &mut Command) -> Option<String> {
    let output = program.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

fn native(on: &Prepared, format: &str) -> Result<(usize, Run)> {
    let mut collector = inputs::configured(&on.input.config(format))?;
    let mut org = on.input.org(on.gzip);
    let clock = Stopwatch::start()?;
    let collected = inputs::collect(&mut collector, &mut org)?;
    Ok((collected.events, clock.stop(collected.bytes)?))
}

fn go(program: &Option<PathBuf>, shape: &str) -> Command {
    let mut go = Command::new(program.as_deref().unwrap_or(Path::new("")));
    go.arg(shape);
    go
}

/// What a baseline says of itself. It starts its clock after it has started, as the others do.
#[derive(Deserialize)]
struct Report {
    rows: usize,
    bytes_out: usize,
    cpu_seconds: f64,
    wall_seconds: f64,
}

fn baseline(mut program: Command, on: &Prepared) -> Result<(usize, Run)> {
    let output = program.arg(on.file.as_deref().unwrap_or(Path::new(""))).output()?;
    ensure!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout).context("a baseline said no JSON")?;
    let Report { rows, bytes_out, cpu_seconds, wall_seconds } = report;
    Ok((rows, Run { cpu_seconds, wall_seconds, bytes_out, peak_memory: None }))
}

struct Stopwatch {
    cpu: Cpu,
    wall: Instant,
}

impl Stopwatch {
    fn start() -> Result<Self> {
        Ok(Self { cpu: Cpu::of_thread()?, wall: Instant::now() })
    }

    fn stop(self, bytes_out: usize) -> Result<Run> {
        let cpu_seconds = (Cpu::of_thread()? - self.cpu).seconds();
        let wall_seconds = self.wall.elapsed().as_secs_f64();
        Ok(Run { cpu_seconds, wall_seconds, bytes_out, peak_memory: None })
    }
}
