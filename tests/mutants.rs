//! `make mutants`: whether the simulation finds mistakes that somebody could make in the collector.
//!
//! Each mistake of `tests/mutants.toml` is made in a copy of the sources, which is built and run for some seeds. A seed that
//! does not hold has caught it, if it holds without the mistake; which do, is seen first.

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde::Deserialize;
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

/// Makes mistakes in a copy of the collector, one at a time, and says which of them the simulation finds.
///
/// Ends with status 1 if one survives.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run for each
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    seeds: u64,

    /// What a run may meet and is held against, as for `simulate`
    #[arg(long, value_name = "NAMES", default_value = "all")]
    knobs: String,

    /// Only mistakes with this text in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Does not run the copy without a mistake first
    #[arg(long)]
    no_baseline: bool,

    /// Checks that each mistake can be made, and ends
    #[arg(long)]
    check: bool,
}

/// The list of mistakes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutants {
    mutant: Vec<Mutant>,
}

/// A mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What it is, in words.
    name: String,
    /// Where it is made, from the top of the repository.
    file: String,
    /// What stands there now, exactly once.
    find: String,
    /// What stands there then.
    replace: String,
}

/// A copy of the sources, and where it is built.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let top = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let list = fs::read_to_string(top.join("tests/mutants.toml")).context("tests/mutants.toml")?;
    let mutants: Mutants = toml::from_str(&list).context("tests/mutants.toml")?;
    let mistaken: Vec<String> = mutants
        .mutant
        .iter()
        .filter_map(|mutant| mutant.mutated(&top).err())
        .map(|e| format!("{e:#}"))
        .collect();
    ensure!(mistaken.is_empty(), "these mistakes cannot be made:\n{}", mistaken.join("\n"));
    if arguments.check {
        println!("each of {} mistakes can be made", mutants.mutant.len());
        return Ok(ExitCode::SUCCESS);
    }

    let copy = Copy::of(&top)?;
    let mut anyway = Vec::new();
    if !arguments.no_baseline {
        eprintln!("without a mistake: building, and running {} seeds", arguments.seeds);
        copy.build()?;
        anyway = copy.run(&arguments, &[], true)?.into_iter().map(|failed| failed.0).collect();
        if !anyway.is_empty() {
            println!("these seeds do not hold without a mistake, and count for nothing: {anyway:?}");
        }
    }
    let chosen: Vec<&Mutant> =
        mutants.mutant.iter().filter(|mutant| mutant.name.contains(&arguments.only)).collect();
    let mut survivors = Vec::new();
    for (number, mutant) in chosen.iter().enumerate() {
        let began = Instant::now();
        let path = copy.tree.join(&mutant.file);
        let original = fs::read_to_string(&path)?;
        fs::write(&path, mutant.mutated(&copy.tree)?)?;
        let outcome = copy.build().and_then(|()| copy.run(&arguments, &anyway, false));
        fs::write(&path, original)?;
        let failed = outcome.with_context(|| format!("with the mistake '{}'", mutant.name))?;
        let (verdict, said) = match failed.into_iter().next() {
            Some((_, said)) => ("caught  ", said),
            None => {
                survivors.push(mutant.name.as_str());
                ("SURVIVED", format!("{} seeds hold", arguments.seeds))
            }
        };
        let seconds = began.elapsed().as_secs();
        println!("{verdict} {:2} of {}: {} ({seconds} s): {said}", number + 1, chosen.len(), mutant.name);
    }
    let caught = chosen.len() - survivors.len();
    println!("{caught} of {} mistakes are caught within {} seeds", chosen.len(), arguments.seeds);
    if survivors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("what survives: {}", survivors.join(", "));
    Ok(ExitCode::FAILURE)
}

impl Mutant {
    /// The file with the mistake in it.
    fn mutated(&self, top: &Path) -> Result<String> {
        let Self { name, file, find, replace } = self;
        let text = fs::read_to_string(top.join(file)).with_context(|| format!("'{name}': {file}"))?;
        let times = text.matches(find.as_str()).count();
        ensure!(
            times == 1,
            "'{name}': what it replaces stands {times} times in {file}, and not once: {find}"
        );
        ensure!(find != replace, "'{name}' replaces nothing");
        Ok(text.replacen(find.as_str(), replace, 1))
    }
}

/// Removes what an earlier copy had and this one has not, such as a file that was moved.
fn remove_others(tree: &Path, folder: &Path, names: &HashSet<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(tree.join(folder)) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(tree, &name, names)?;
        } else if !names.contains(&name) {
            fs::remove_file(entry.path()).with_context(|| format!("removing {}", name.display()))?;
        }
    }
    Ok(())
}

impl Copy {
    /// Copies all that is no product of a build, as far as it has changed.
    fn of(top: &Path) -> Result<Self> {
        let copy = Self { tree: top.join("target/mutants/tree"), target: top.join("target/mutants/target") };
        let list = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(top)
            .output()
            .context("git ls-files")?;
        ensure!(list.status.success(), "git ls-files: {}", String::from_utf8_lossy(&list.stderr));
        let list = String::from_utf8_lossy(&list.stdout);
        let names: HashSet<PathBuf> =
            list.split_terminator('\0').filter(|name| top.join(name).is_file()).map(PathBuf::from).collect();
        remove_others(&copy.tree, Path::new(""), &names)?;
        for name in list.split_terminator('\0') {
            let (from, to) = (top.join(name), copy.tree.join(name));
            // A file that was removed and is still in the index.
            let Ok(bytes) = fs::read(&from) else { continue };
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&to, bytes).with_context(|| format!("copying {name}"))?;
        }
        if !copy.target.is_dir() && top.join("target/release").is_dir() {
            // What is built already of other people's crates need not be built again.
            fs::create_dir_all(&copy.target)?;
            let status = Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(top.join("target/release"))
                .arg(&copy.target)
                .status()?;
            ensure!(status.success(), "cp of target/release");
        }
        Ok(copy)
    }

    /// Builds the copy.
    fn build(&self) -> Result<()> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| String::from("cargo"));
        let built = Command::new(cargo)
            .args([
                "build",
                "--release",
                "--workspace",
                "--exclude",
                "salesforce-source",
                "--exclude",
                "hostile-source",
                "--locked",
                "--quiet",
            ])
            .args(["--bin", "simulate"])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null())
            .output()?;
        ensure!(built.status.success(), "it does not build: {}", String::from_utf8_lossy(&built.stderr));
        Ok(())
    }

    /// Runs the seeds but for some: until the first that does not hold, or all of them. Returns those that do not, each with
    /// what it said.
    fn run(&self, arguments: &Arguments, without: &[u64], all: bool) -> Result<Vec<(u64, String)>> {
        let seeds = arguments.seeds.to_string();
        let skipped: Vec<String> = without.iter().map(u64::to_string).collect();
        let skip = skipped.iter().flat_map(|seed| ["--skip", seed]);
        let run = Command::new(self.target.join("release/simulate"))
            .args(["--seeds", &seeds, "--knobs", &arguments.knobs])
            .args(skip)
            .args(["--failures", if all { &seeds } else { "1" }])
            .current_dir(&self.tree)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&run.stdout);
        if run.status.success() {
            return Ok(Vec::new());
        }
        let seed = |line: &str| {
            let seed = line.strip_prefix("seed ")?.split(' ').next()?.parse().ok()?;
            Some((seed, line.chars().take(240).collect::<String>()))
        };
        let failed: Vec<(u64, String)> = said.lines().filter_map(seed).collect();
        if failed.is_empty() {
            // A panic is a catch as well, wherever it was.
            let all = String::from_utf8_lossy(&run.stderr);
            let panic = all.lines().find(|line| line.contains("panicked"));
            let panic = panic.with_context(|| format!("it ended without a word of a seed: {said}{all}"))?;
            return Ok(vec![(0, panic.to_owned())]);
        }
        Ok(failed)
    }
}
