//! `make simulate`: many seeds of the simulation at length, or one of them step by step.

use anyhow::Result;
use clap::Parser;
use e2e::{
    hosted,
    simulation::{Engines, run::Total, simulate},
};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

/// Runs collections of several days against a simulated org, with everything that can go wrong, and compares what was
/// delivered with what there was.
///
/// Each seed is an org, a configuration and a schedule of faults, restarts and lost states of its own. The same seed does
/// the same each time. Ends with status 1 at the first seed that does not hold, and prints the command that replays it.
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
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let hosted = || hosted::plugin().map(|plugin| Engines::Hosted(Box::new(plugin)));
    if let Some(seed) = arguments.seed {
        let engines = if arguments.hosted { hosted()? } else { Engines::Native };
        let summary = simulate(seed, &engines, &mut |step| println!("{step}"))?;
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
        let step = |_: u64| {
            bar.inc(1);
            // Where there is no terminal for the bar, a log gets a line now and then.
            if bar.is_hidden() && bar.position().is_multiple_of(100) {
                eprintln!("{what}: {} of {seeds} seeds", bar.position());
            }
        };
        match Total::of(1..=seeds, &engines, &step) {
            Ok(total) => {
                bar.finish_and_clear();
                println!("{what}: {total}");
            }
            Err(error) => {
                bar.abandon();
                eprintln!("{error}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
