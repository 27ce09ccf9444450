//! What was measured: for people first the ratios, which hold from machine to machine, then the rates, which do not; for
//! programs everything, each round by itself.

use crate::{
    contenders::{Contender, Prepared, Run},
    end_to_end::EndToEnd,
};
use serde::Serialize;
use serde_json::{Value, json};
use source_host::{bytes, grouped};
use std::{fmt::Write as _, fs, process::Command, thread::available_parallelism};

/// The rounds of a contender on an input.
pub struct Measured {
    pub contender: Contender,
    input: String,
    rows: usize,
    bytes: usize,
    wire_bytes: usize,
    pub rounds: Vec<Run>,
}

impl Measured {
    pub fn new(contender: Contender, on: &Prepared) -> Self {
        Self {
            contender,
            input: on.name.clone(),
            rows: on.input.rows,
            bytes: on.input.bytes,
            wire_bytes: on.wire_bytes,
            rounds: Vec::new(),
        }
    }

    fn spread(&self, of: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(of))
    }

    fn json(&self) -> Value {
        json!({
            "input": self.input,
            "contender": self.contender.name(),
            "rows": self.rows,
            "bytes": self.bytes,
            "wire_bytes": self.wire_bytes,
            "rows_per_cpu_second": self.spread(|run| self.rows as f64 / run.cpu_seconds),
            "rounds": self.rounds,
        })
    }
}

/// The middle of some numbers, and the ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of some numbers; of none there is none.
    pub fn of(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let half = numbers.len() / 2;
        let median = match numbers.len() % 2 {
            0 => (numbers[half - 1] + numbers[half]) / 2.0,
            _ => numbers[half],
        };
        Some(Self { median, least, most })
    }

    /// With so many decimals, the ends in brackets.
    pub fn text(self, decimals: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.decimals$} ({least:.decimals$}-{most:.decimals$})")
    }

    fn grouped(self) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(|n| grouped(n.round() as u64));
        format!("{median} ({least}-{most})")
    }
}

/// How many times as many rows one contender makes of a processor second as another.
struct Ratio<'m> {
    of: &'m Measured,
    to: Contender,
    times: Spread,
}

/// Ratios are taken round by round, of runs that lie seconds apart: what slows the machine for longer slows both.
fn ratios(all: &[Measured]) -> Vec<Ratio<'_>> {
    let components = all.iter().filter(|measured| matches!(measured.contender, Contender::Component(_)));
    let mut ratios = Vec::new();
    for of in components {
        let Contender::Component(format) = of.contender else { continue };
        for to in [Contender::GoFlat, Contender::Native(format), Contender::GoNested, Contender::Python] {
            let Some(other) = all.iter().find(|other| other.input == of.input && other.contender == to)
            else {
                continue;
            };
            let pairs = of.rounds.iter().zip(&other.rounds);
            if let Some(times) = Spread::of(pairs.map(|(of, to)| to.cpu_seconds / of.cpu_seconds)) {
                ratios.push(Ratio { of, to, times });
            }
        }
    }
    ratios
}

/// The tables.
pub fn text(all: &[Measured], end_to_end: &EndToEnd, notes: &[String]) -> String {
    let mut text = format!("{}\n", machine_line());
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    let ratios = ratios(all);
    if !ratios.is_empty() {
        text.push_str(
            "\nRows in a processor second, as a multiple: the median of the rounds (least-most).\n\n",
        );
        let mut table =
            Table::new(["input", "of", "to Go, flat", "to native", "to Go, nested", "to Python, flat"]);
        for measured in all {
            let of: Vec<_> = ratios.iter().filter(|ratio| std::ptr::eq(ratio.of, measured)).collect();
            let to = |is: fn(Contender) -> bool| {
                let found = of.iter().find(|ratio| is(ratio.to));
                found.map_or_else(|| String::from("-"), |ratio| ratio.times.text(2))
            };
            if !of.is_empty() {
                table.add([
                    measured.input.clone(),
                    measured.contender.name(),
                    to(|to| to == Contender::GoFlat),
                    to(|to| matches!(to, Contender::Native(_))),
                    to(|to| to == Contender::GoNested),
                    to(|to| to == Contender::Python),
                ]);
            }
        }
        text.push_str(&table.text());
    }
    if !all.is_empty() {
        text.push_str(
            "\nRates for a processor second and, last, for a second on the wall; MB of uncompressed log, of documents in \
             brackets.\n\n",
        );
        let columns =
            ["input", "contender", "rows/s", "MB/s", "rows/s on the wall", "memory of the component"];
        let mut table = Table::new(columns);
        for measured in all {
            let Measured { rows, bytes: size, rounds, .. } = measured;
            let cpu = measured.spread(|run| *rows as f64 / run.cpu_seconds);
            let wall = measured.spread(|run| *rows as f64 / run.wall_seconds);
            let (Some(cpu), Some(wall)) = (cpu, wall) else { continue };
            let megabytes = |size: usize| cpu.median * size as f64 / *rows as f64 / 1e6;
            let out = rounds.last().map_or(0, |run| run.bytes_out);
            let memory = rounds.iter().filter_map(|run| run.peak_memory).max();
            table.add([
                measured.input.clone(),
                measured.contender.name(),
                cpu.grouped(),
                format!("{:.0} ({:.0})", megabytes(*size), megabytes(out)),
                wall.grouped(),
                memory.map_or_else(|| String::from("-"), bytes),
            ]);
        }
        text.push_str(&table.text());
    }
    text.push_str(&end_to_end.text());
    text
}

/// Everything, for programs.
pub fn json(all: &[Measured], end_to_end: &EndToEnd, notes: &[String]) -> Value {
    let ratios: Vec<Value> = ratios(all)
        .iter()
        .map(|ratio| {
            json!({
                "input": ratio.of.input,
                "of": ratio.of.contender.name(),
                "to": ratio.to.name(),
                "times": ratio.times,
            })
        })
        .collect();
    json!({
        "machine": machine(),
        "notes": notes,
        "ratios": ratios,
        "measurements": all.iter().map(Measured::json).collect::<Vec<_>>(),
        "end_to_end": end_to_end,
    })
}

#[derive(Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    date: String,
    commit: String,
}

fn machine() -> Machine {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    Machine {
        cpu: name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
        cores: available_parallelism().map_or(1, usize::from),
        date: chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        commit: commit.ok().filter(|commit| !commit.is_empty()).unwrap_or_else(|| String::from("unknown")),
    }
}

fn machine_line() -> String {
    let Machine { cpu, cores, date, commit } = machine();
    format!("{cpu}, {cores} cores, {date}, commit {commit}")
}

/// A table that reads well on a terminal and can be copied to a README.
pub struct Table<const N: usize> {
    lines: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(columns: [&str; N]) -> Self {
        Self { lines: vec![columns.map(str::to_owned)] }
    }

    pub fn add(&mut self, line: [String; N]) {
        self.lines.push(line);
    }

    pub fn text(&self) -> String {
        let width =
            |column: usize| self.lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for (nth, line) in self.lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
            if nth == 0 {
                for width in widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}
