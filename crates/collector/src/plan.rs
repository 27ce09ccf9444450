//! What there is to collect of a stream in its range of time, and what that takes: said before anybody waits for it.
//!
//! The org is asked for its list of files, and for how many records there are of objects that it counts. Big objects, Event Log Objects: nobody can
//! tell before they are read ("SOQL with Big Objects": no aggregate functions).

use crate::{
    check::{Backlog, Finding, Verdict},
    config::streams::{Cadence, FilesSource, ObjectSource, Paging, TimeRange},
    files::{
        lacks_interval,
        listing::{Days, Survey, survey},
    },
    org::{
        session::{Org, RequestError},
        soql::{IntervalField, count, query_path},
    },
};
use documents::time::{Time, millis};
use serde_json::Value;
use std::time::Duration;

/// Bytes of log content in a second, where nothing else is the limit.
const BYTES_A_SECOND: u64 = 10 << 20;
/// Records on a page of an answer.
const PAGE: u64 = 2000;

/// The findings for what has a range.
pub fn plan(org: &mut Org<'_>) -> Vec<Finding> {
    let streams = &org.config.streams;
    let has_range = |range: TimeRange| range != TimeRange::default();
    let files = streams.files.iter().filter(|source| has_range(source.range));
    let objects = streams.objects.iter().filter(|source| has_range(source.range));
    let mut findings: Vec<Finding> = files.map(|source| of_files(org, source)).collect();
    findings.extend(objects.map(|source| of_object(org, source)));
    findings
}

fn of_files(org: &mut Org<'_>, source: &FilesSource) -> Finding {
    let name = format!("streams.{}.event_log_file.backlog", source.stream);
    let began = org.clock.elapsed();
    let surveyed = match survey(org, source, IntervalField::Known) {
        Err(error) if source.cadence == Cadence::Daily && lacks_interval(&error) => {
            survey(org, source, IntervalField::Unknown)
        }
        surveyed => surveyed,
    };
    let elapsed = org.clock.elapsed().saturating_sub(began);
    let Survey { days, pages, is_whole, first } = match surveyed {
        Ok(surveyed) => surveyed,
        Err(error) => return Finding::fail(&name, error.problem("the list of event log files")),
    };
    let files: u64 = days.values().map(|(files, _)| u64::from(*files)).sum();
    let bytes = days.values().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let requests = files + u64::from(pages);
    let time =
        Duration::from_secs(bytes / BYTES_A_SECOND) + each(elapsed, pages).saturating_mul(cut(requests));
    let at_least = if is_whole { "" } else { "at least " };
    let cadence = source.cadence.name().to_ascii_lowercase();
    let mut types: Vec<&String> = days.keys().map(|(event_type, _)| event_type).collect();
    types.dedup();
    let types = if types.len() == 1 { String::from("one type") } else { format!("{} types", types.len()) };
    let message = format!(
        "{at_least}{} of {types}{}, {} of log: about {} and {}",
        counted(files, &format!("{cadence} file")),
        spelled(source.range),
        size(bytes),
        counted(requests, "request"),
        minutes(time)
    );
    let backlog = shortened(days).into_iter().map(|((kind, day), (items, bytes))| Backlog {
        kind,
        day: Some(day).filter(|day| !day.is_empty()),
        items: Some(items),
        bytes: Some(bytes),
    });
    let finding = match (first, source.range.first_file(source.cadence)) {
        (None, _) => Finding::warn(
            &name,
            format!("the org lists no {cadence} file{}", spelled(source.range)),
            "where nothing happened there is no file; Salesforce deletes files after 24 hours, 30 days or a year, depending on \
             the licence (\"EventLogFile\", object reference)",
        ),
        (Some(first), Some(from)) if first.0.saturating_sub(from.0) >= millis(DAY) => Finding::warn(
            &name,
            format!("{message}; the oldest is of {first}"),
            "what is older has been deleted by the org, or nothing happened",
        ),
        _ => Finding::pass(&name, message),
    };
    Finding { backlog: backlog.collect(), ..finding }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Rows of a table that somebody reads.
const MOST_ROWS: usize = 1000;

/// The same by month where there are too many days, and all days together where there are too many months.
fn shortened(mut days: Days) -> Days {
    for digits in [7, 0] {
        if days.len() <= MOST_ROWS {
            break;
        }
        let mut longer = Days::new();
        for ((kind, day), (files, bytes)) in days {
            let sums = longer.entry((kind, day.chars().take(digits).collect())).or_default();
            *sums = (sums.0.saturating_add(files), sums.1.saturating_add(bytes));
        }
        days = longer;
    }
    days
}

fn of_object(org: &mut Org<'_>, source: &ObjectSource) -> Finding {
    let name = format!("streams.{}.object.backlog", source.stream);
    let (object, range) = (&source.object, spelled(source.range));
    let unknown = Backlog { kind: object.clone(), day: None, items: None, bytes: None };
    if source.paging != Paging::Ascending {
        let message =
            format!("how many records {object} has{range}, the org does not tell before they are read");
        return Finding { backlog: vec![unknown], verdict: Verdict::Pass, ..Finding::pass(&name, message) };
    }
    let began = org.clock.elapsed();
    match total(org, source) {
        Ok(total) => {
            let elapsed = org.clock.elapsed().saturating_sub(began);
            let requests = 1 + total / PAGE;
            let time = elapsed.saturating_mul(cut(requests));
            let message = format!(
                "{} of {object}{range}: about {} and {}",
                counted(total, "record"),
                counted(requests, "request"),
                minutes(time)
            );
            let items = u32::try_from(total).unwrap_or(u32::MAX);
            Finding {
                backlog: vec![Backlog { items: Some(items), ..unknown }],
                ..Finding::pass(&name, message)
            }
        }
        Err(error) => {
            let what = format!("counting the records of {object}");
            Finding::fail(&name, error.problem_with(&what, object))
        }
    }
}

fn total(org: &mut Org<'_>, source: &ObjectSource) -> Result<u64, RequestError> {
    let soql = count(source, source.range);
    let path = query_path(&org.api_version()?, &soql);
    let answer = org.get_json(&path)?;
    let total = answer.get("totalSize").and_then(Value::as_u64);
    total.ok_or_else(|| RequestError::Garbled(String::from("the answer has no totalSize")))
}

/// The time of one of so many requests.
fn each(elapsed: Duration, requests: u32) -> Duration {
    elapsed / requests.max(1)
}

fn cut(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn spelled(range: TimeRange) -> String {
    let part =
        |word: &str, time: Option<Time>| time.map_or_else(String::new, |time| format!(" {word} {time}"));
    part("from", range.from) + &part("until", range.until)
}

/// So many of something, as a person says it.
fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A length of time, as a person says it.
fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        0 | 1 => String::from("1 minute"),
        minutes @ 2..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes.div_ceil(60)),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x2_8000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_long_is_one_of_months_and_then_of_types() {
        let table = |types: usize, days: usize| {
            let day = |(kind, day): (usize, usize)| {
                ((format!("Type{kind}"), format!("2026-{:02}-{:02}", 1 + day / 28, 1 + day % 28)), (1, 10))
            };
            let all = (0..types).flat_map(|kind| (0..days).map(move |nth| (kind, nth)));
            let table = shortened(all.map(day).collect());
            assert_eq!(table.values().map(|(files, _)| *files as usize).sum::<usize>(), types * days);
            (table.len(), table.keys().next().map(|(_, day)| day.clone()).unwrap_or_default())
        };
        assert_eq!(table(10, 100), (1000, String::from("2026-01-01")));
        assert_eq!(table(11, 100), (44, String::from("2026-01")));
        assert_eq!(table(200, 300), (200, String::new()));
    }

    #[test]
    fn lengths_of_time_and_sizes_are_said_as_people_say_them() {
        for (seconds, said) in [
            (0, "1 minute"),
            (60, "1 minute"),
            (61, "2 minutes"),
            (7140, "119 minutes"),
            (7141, "2 hours"),
            (90_000, "25 hours"),
        ] {
            assert_eq!(minutes(Duration::from_secs(seconds)), said);
        }
        for (bytes, said) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1 << 20, "1 MiB"),
            (10 << 30, "10 GiB"),
            (9 << 30, "9216 MiB"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }
}
