//! How fast the rows of a file are found, by this crate and by `csv`, one after the other and five times each:
//!
//! ```sh
//! cargo run --release -p documents --example rows_per_second -- login.csv
//! ```

use documents::csv::{Next, Rows};
use std::{env, fs, io, time::Instant};

const RUNS: usize = 5;

fn main() -> io::Result<()> {
    let path = env::args().nth(1).ok_or_else(|| io::Error::other("usage: rows_per_second FILE"))?;
    let content = fs::read(path)?;
    let mut best = [0.0f64; 2];
    for _ in 0..RUNS {
        for (best, run) in best.iter_mut().zip([ours, theirs]) {
            let start = Instant::now();
            let rows = run(&content)?;
            *best = best.max(rows as f64 / start.elapsed().as_secs_f64());
        }
    }
    println!("documents::csv  {:.0} rows/s", best[0]);
    println!("csv 1           {:.0} rows/s", best[1]);
    Ok(())
}

fn ours(content: &[u8]) -> io::Result<usize> {
    let (mut rows, mut count) = (Rows::new(content, 0), 0);
    while rows.advance_while(|| true)? == Next::Row {
        count += 1;
    }
    Ok(count)
}

fn theirs(content: &[u8]) -> io::Result<usize> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content);
    let (mut record, mut count) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        count += 1;
    }
    Ok(count)
}
