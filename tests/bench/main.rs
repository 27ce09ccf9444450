//! `make bench`: how fast logs become events, against loops that do less, in one run on one machine.
//!
//! A rate says as much of the machine, and of who else uses it, as of the program. So every contender reads the very same
//! bytes in the very same minutes: in each round all of them run once on each input, in an order that turns from round to
//! round. What is printed first is how they compare. Time is processor time; nothing is written and nothing goes over a
//! network, except end to end, where the program `source-host` does all of what it does for an operator.
//!
//! What does not depend on the machine is no benchmark but a test: allocations for a row (`native/allocations.rs`),
//! instructions for a row (`hosted/instructions.rs`) and the size of the component (`hosted/borders.rs`).

mod beside;
mod contenders;
mod cpu;
mod end_to_end;
mod report;
mod served;
mod tenants;
mod watched;

use anyhow::{Context, Result, ensure};
use beside::Beside;
use clap::Parser;
use contenders::{Arena, Contender, Prepared};
use e2e::inputs::{Input, Kind};
use end_to_end::EndToEnd;
use indicatif::{ProgressBar, ProgressStyle};
use report::Measured;
use served::Served;
use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};
use watched::Watched;

/// Measures how fast logs become events: natively, in the component, and in loops of Go and Python that map less.
///
/// Prints ratios, then rates, each as the median of the rounds with the least and the most, and writes every round to a JSON
/// file. Ends by itself: no round begins once the budget is used up.
#[derive(Parser)]
#[command(after_help = "Examples:
  bench                                  everything that is quick, in five minutes
  bench --only 'Login, gzip'             one input
  bench --only component --rounds 20     one contender, and no ratios, which need two
  bench --rounds 1 --megabytes 4         whether it works at all
  bench --end-to-end --rounds 0          source-host with a gigabyte and with 10,000 files
  bench --tenants 1,1000,10000           what a tenant costs that waits
  bench --metrics 1000,10000             what it costs to watch so many
  bench --end-to-end --rounds 0 --gigabytes 5   whether it takes more memory then

A contender is faster than another where least and most of the ratio are both above 1. Where these are far apart, something else \
used the machine: run it again, with more rounds.

PYTHON and GO name other programs than python3 and go. What is not there is left out.")]
struct Arguments {
    /// How often each contender runs on each input; 0 for end to end alone
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    rounds: usize,

    /// How large each input is, uncompressed, in millions of bytes
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=2000))]
    megabytes: u64,

    /// Run what has this in its name alone, as the report prints it: an input, or a contender
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// After how many seconds no more runs begin, once each contender has run; end to end comes on top
    #[arg(long, value_name = "NUMBER", default_value_t = 270)]
    seconds: u64,

    /// Collect a large file, and 10,000 small ones, over HTTP
    #[arg(long)]
    end_to_end: bool,

    /// How large the large file is, uncompressed, in thousands of millions of bytes
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=20))]
    gigabytes: u64,

    /// How much a tenant costs that waits, in folders of so many, and what one waits for beside twenty that compute without end;
    /// and nothing else
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    tenants: Vec<usize>,

    /// How much the metrics of so many tenants cost, and a scrape of them; and nothing else
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', conflicts_with = "tenants")]
    metrics: Vec<usize>,

    /// Where the JSON goes
    #[arg(long, value_name = "FILE", default_value = "dist/bench.json")]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let budget = Duration::from_secs(arguments.seconds);
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    if !arguments.tenants.is_empty() {
        let served: Vec<Served> =
            arguments.tenants.iter().map(|tenants| Served::measure(*tenants, &bar)).collect::<Result<_>>()?;
        let beside = Beside::measure(&bar)?;
        bar.finish_and_clear();
        print!("{}{}", Served::text(&served), beside.text());
        let json = serde_json::json!({"served": served, "beside": beside});
        return write(&arguments.output, &format!("{json:#}\n"));
    }
    if !arguments.metrics.is_empty() {
        let watched = Watched::measure(&arguments.metrics, &bar)?;
        bar.finish_and_clear();
        print!("{}", Watched::text(&watched));
        return write(&arguments.output, &format!("{:#}\n", serde_json::to_value(&watched)?));
    }
    let (measured, notes) = match arguments.rounds {
        0 => (Vec::new(), Vec::new()),
        _ => rounds(&arguments, &bar, started + budget)?,
    };
    let end_to_end = EndToEnd::measure(arguments.end_to_end.then_some(arguments.gigabytes), &bar)?;
    bar.finish_and_clear();
    print!("{}", report::text(&measured, &end_to_end, &notes));
    write(&arguments.output, &format!("{:#}\n", report::json(&measured, &end_to_end, &notes)))
}

fn write(output: &Path, json: &str) -> Result<()> {
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(output, json).with_context(|| format!("cannot write {}", output.display()))?;
    println!("\nEach round: {}", output.display());
    Ok(())
}

/// All rounds, or as many as there is time for, and what there is to say of them.
fn rounds(arguments: &Arguments, bar: &ProgressBar, end: Instant) -> Result<(Vec<Measured>, Vec<String>)> {
    bar.set_message("making the inputs, compiling the component and the baselines");
    let arena = Arena::prepare()?;
    let only = arguments.only.as_deref().unwrap_or_default().to_lowercase();
    let mut inputs: Vec<Prepared> = Vec::new();
    for kind in Kind::ALL {
        let bytes = usize::try_from(arguments.megabytes)? * 1_000_000;
        let input = Rc::new(Input::with_bytes(kind, bytes)?);
        inputs.push(arena.input(&input, false)?);
        inputs.push(arena.input(&input, true)?);
    }
    let is_wanted = |contender: Contender, on: &Prepared| {
        let names = [on.name.to_lowercase(), contender.name().to_lowercase()];
        arena.has(contender, on) && names.iter().any(|name| name.contains(&only))
    };
    // By input, so that those who are compared run one after the other.
    let mut groups: Vec<(&Prepared, Vec<Measured>)> = Vec::new();
    for on in &inputs {
        let wanted = Contender::ALL.into_iter().filter(|contender| is_wanted(*contender, on));
        groups.push((on, wanted.map(|contender| Measured::new(contender, on)).collect()));
    }
    let runs = groups.iter().map(|(_, group)| group.len()).sum::<usize>();
    ensure!(runs > 0, "no input and no contender has '{only}' in its name");

    bar.set_length((runs * arguments.rounds) as u64);
    let style = "[{bar:30}] {pos} of {len} runs, {eta} left at most: {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    let mut notes = arena.notes.clone();
    'rounds: for round in 0..arguments.rounds {
        for (on, group) in &mut groups {
            for step in 0..group.len() {
                if round > 0 && Instant::now() >= end {
                    notes.push(format!(
                        "The time was up in round {} of {}: what is there counts.",
                        round + 1,
                        arguments.rounds
                    ));
                    break 'rounds;
                }
                let index = (step + round) % group.len();
                let measured = &mut group[index];
                bar.set_message(format!("{}: {}", on.name, measured.contender.name()));
                measured.rounds.push(arena.run(measured.contender, on)?);
                bar.inc(1);
            }
        }
    }
    notes.push(format!(
        "{} MB of each log; rounds: {}, by turns; the shortest run took {:.2} s.",
        arguments.megabytes,
        groups.iter().flat_map(|(_, group)| group).map(|one| one.rounds.len()).max().unwrap_or(0),
        groups
            .iter()
            .flat_map(|(_, group)| group)
            .flat_map(|one| &one.rounds)
            .map(|run| run.cpu_seconds)
            .fold(f64::INFINITY, f64::min),
    ));
    Ok((groups.into_iter().flat_map(|(_, group)| group).collect(), notes))
}
