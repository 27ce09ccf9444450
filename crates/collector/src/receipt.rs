//! Receipts, with `receipts = true`: an event for each file that was read or given up, and one for each window of an object, so
//! that anybody can show from the events alone that an hour is complete.
//!
//! A receipt stands behind the events that it is for, in their batch or the next one, and is counted from the state: what a stop or
//! a crash brings again brings the same receipt. Its id is made of what it says of the content, not of when and how it was
//! collected.

use crate::{
    org::session::Org,
    state::{Collected, Reading},
};
use documents::{Common, Id, Mapper, Nameless, Origin, Record, time::Time};
use serde_json::Value;
use std::time::Duration;

/// The stream of receipts.
const STREAM: &str = "collector";

/// The receipt for a file that covers `span`, of which so many bytes were read: to its end, or it is given up.
pub fn of_file(
    org: &Org<'_>,
    stream: &str,
    span: Duration,
    reading: &Reading,
    read: u64,
    complete: bool,
) -> String {
    let file = &reading.file;
    let until = file.log_date.after(span);
    let after = |time: Time| (millis_between(until, time) / 1000).to_string();
    let members = [
        ("EventType", text(&file.event_type)),
        ("Rows", reading.rows.to_string()),
        ("Malformed", reading.malformed.to_string()),
        ("LeftOut", reading.left_out.to_string()),
        ("Bytes", read.to_string()),
        ("Length", file.length.to_string()),
        ("CreatedAfterSeconds", after(file.created)),
    ];
    let of_the_reading = [
        ("CollectedAfterSeconds", after(org.now())),
        ("Tries", reading.failures.saturating_add(1).to_string()),
    ];
    write(org, Origin::FileReceipt(file), stream, (file.log_date, until), complete, &members, &of_the_reading)
}

/// The receipt for a window of an object that ends at `until`.
pub fn of_window(org: &Org<'_>, stream: &str, object: &str, collected: &Collected, until: Time) -> String {
    let members = [
        ("Records", collected.records.to_string()),
        ("Malformed", collected.malformed.to_string()),
        ("LeftOut", collected.left_out.to_string()),
    ];
    let after = (millis_between(until, org.now()) / 1000).to_string();
    let of_the_reading = [("CollectedAfterSeconds", after), ("Queries", collected.queries.to_string())];
    write(
        org,
        Origin::WindowReceipt(object),
        stream,
        (collected.from, until),
        true,
        &members,
        &of_the_reading,
    )
}

fn millis_between(from: Time, until: Time) -> i64 {
    until.0.saturating_sub(from.0)
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn write(
    org: &Org<'_>,
    origin: Origin<'_>,
    stream: &str,
    (from, until): (Time, Time),
    complete: bool,
    members: &[(&str, String)],
    of_the_reading: &[(&str, String)],
) -> String {
    let instance_url = org.config.instance.to_string();
    let what = match origin {
        Origin::FileReceipt(file) => &file.id,
        Origin::WindowReceipt(object) => object,
        Origin::File(_) | Origin::Object { .. } => "",
    };
    let mut record =
        format!(r#"{{"Stream":{},"From":"{from}","Until":"{until}","Complete":{complete}"#, text(stream));
    let add = |record: &mut String, members: &[(&str, String)]| {
        for (name, value) in members {
            record.push_str(&format!(r#","{name}":{value}"#));
        }
    };
    add(&mut record, members);
    let id = Id::of(format!("{instance_url} {what} {record}").as_bytes());
    add(&mut record, of_the_reading);
    record.push_str(&format!(r#","Collected":"{}","Receipt":"{}"}}"#, org.now(), id.as_str()));
    let record = Record::parse(record.as_bytes());
    let common = Common {
        stream: STREAM,
        instance_url: &instance_url,
        since: until,
        output: org.config.output,
        origin,
    };
    Mapper::new(&common, record.names().map(str::to_owned).collect())
        .event(&record, &Nameless)
        .unwrap_or_default()
}
