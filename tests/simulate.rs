//! `make simulate`: many seeds of the simulation at length, or one of them step by step.

use anyhow::Result;
use clap::Parser;
use e2e::{
    hosted,
    simulation::{Engines, Knobs, Total, replay_command, simulate},
};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

/// Runs collections of several days against a simulated org, with everything that can go wrong, and compares what was
/// delivered with what there was.
///
/// Each seed is an org, a configuration and a schedule of faults, restarts and lost states of its own. The same seed does
/// the same each time. Ends with status 1 at the first seed that does not hold, and prints the command that replays it. Each seed is run twice,
/// with one instance and with a fresh one for each poll.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run, from 1 on
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// Run this seed alone, and print each step
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Run the component in wasmtime, and not the collector itself
    ///
    /// With --seeds: run one seed in twenty in the component besides.
    #[arg(long)]
    hosted: bool,

    /// What a run may meet and is held against: all, timely, none, or names with commas between them, each with a minus in
    /// front to switch it off
    #[arg(long, value_name = "NAMES", default_value = "all", value_parser = Knobs::parse)]
    knobs: Knobs,

    /// Go on until so many seeds do not hold, and list them
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    failures: usize,

    /// Leave this seed out; may come again and again
    #[arg(long, value_name = "SEED")]
    skip: Vec<u64>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let hosted = || hosted::plugin().map(|plugin| Engines::Hosted(Box::new(plugin)));
    if let Some(seed) = arguments.seed {
        let engines = if arguments.hosted { hosted()? } else { Engines::Native };
        let summary = simulate(seed, &engines, arguments.knobs, &mut |step| {
            let step = step();
            if !step.is_empty() {
                println!("{step}");
            }
        })?;
        println!("{summary:?}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut parts = vec![("collector", Engines::Native, arguments.seeds)];
    if arguments.hosted {
        parts.push(("component", hosted()?, arguments.seeds.div_ceil(20)));
    }
    for (what, engines, seeds) in parts {
        let bar = ProgressBar::new(seeds).with_message(what);
        let style = "{msg} [{bar:40}] {pos} of {len} seeds, {eta} left";
        bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        let knobs = arguments.knobs;
        let step = |seed: u64, failed: Option<&anyhow::Error>| {
            if let Some(error) = failed {
                let again = replay_command(seed, &engines, knobs);
                bar.suspend(|| {
                    println!("seed {seed} failed: {error:#}\nsee it again, step by step: {again}")
                });
            }
            bar.inc(1);
            // Where there is no terminal for the bar, a log gets a line now and then.
            if bar.is_hidden() && bar.position().is_multiple_of(100) {
                eprintln!("{what}: {} of {seeds} seeds", bar.position());
            }
        };
        let chosen: Vec<u64> = (1..=seeds).filter(|seed| !arguments.skip.contains(seed)).collect();
        let (total, failed) = Total::with_failures(&chosen, &engines, knobs, arguments.failures, &step);
        bar.finish_and_clear();
        if !failed.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        println!("{what}: {total}");
    }
    Ok(ExitCode::SUCCESS)
}
