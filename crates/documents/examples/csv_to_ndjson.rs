//! Turns an event log file that lies on disk into ECS documents, one on a line:
//!
//! ```sh
//! cargo run --release -p documents --example csv_to_ndjson -- Login login.csv >login.ndjson
//! ```

use documents::{
    Common, EventLogFile, Mapper, Origin, Output,
    csv::{Next, Rows},
    time::Time,
};
use std::{
    env,
    fs::File,
    io::{self, BufWriter, Write},
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [event_type, path] = &arguments[..] else {
        return Err(io::Error::other("usage: csv_to_ndjson EVENT_TYPE FILE"));
    };
    let file = EventLogFile {
        id: String::from("0AT000000000000001"),
        event_type: event_type.clone(),
        created: Time(0),
        log_date: Time(0),
        length: 0,
        interval: String::from("Hourly"),
        sequence: 1,
        api_version: String::from("65.0"),
    };
    let stream = event_type.to_lowercase();
    let common = Common {
        stream: &stream,
        instance_url: "https://acme.my.salesforce.com",
        since: file.log_date,
        output: Output::default(),
        origin: Origin::File(&file),
    };
    let mut rows = Rows::new(File::open(path)?, 0);
    if rows.advance_while(|| true)? != Next::Row {
        return Err(io::Error::other("there is no header"));
    }
    let names = (0..rows.width()).map(|index| String::from_utf8_lossy(rows.field(index)).into_owned());
    let mut mapper = Mapper::new(&common, names.collect());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut events = Vec::new();
    loop {
        match rows.advance_while(|| true)? {
            Next::Row if rows.width() == mapper.columns() => drop(mapper.add(rows.fields())),
            Next::Row | Next::TooLong => {
                mapper.take(&mut events);
                events.push(mapper.malformed(rows.row(), "no row of this file"));
            }
            Next::End | Next::NotYet => break,
        }
        if mapper.is_full() {
            mapper.take(&mut events);
            write_lines(&mut out, &mut events)?;
        }
    }
    mapper.take(&mut events);
    write_lines(&mut out, &mut events)?;
    out.flush()
}

fn write_lines(out: &mut impl Write, events: &mut Vec<String>) -> io::Result<()> {
    events.drain(..).try_for_each(|event| writeln!(out, "{event}"))
}
