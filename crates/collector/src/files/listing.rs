//! The list of event log files that an org has for some streams, asked for in one query.
//!
//! A listing may have many pages, and a poll only so much time. So it may end after any page: what was created before the
//! last record of that page is listed then, and the next part begins there. What the org says of the number of files
//! (`totalSize`) is doubted: if fewer come than it says, the list is asked for once more.

use crate::{
    config::streams::{Cadence, EventTypes, FilesSource, TimeRange},
    org::{
        pages::{Pages, read_page},
        session::{Org, RequestError},
        soql::{IntervalField, event_log_files, file_by_id, query_path},
    },
    state::{FilesState, is_id},
};
use documents::{EventLogFile, Record, quoted, time::Time};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Files taken from one part of a listing at most.
const MAX_FILES: usize = 10_000;

/// Files to read.
#[derive(Debug, Default)]
pub struct Listing {
    /// For each stream its files, oldest first, each with an id that is fit for a path.
    pub queues: Vec<VecDeque<EventLogFile>>,
    /// The org's time.
    pub now: Option<Time>,
    /// If these are not all: everything that was created before this is there.
    pub until: Option<Time>,
    /// Records that lack what is needed, by what they do have.
    pub unusable: Vec<String>,
    /// What the org says that there is, and how much of it came, if that is less, asked twice.
    pub shortage: Option<(u64, u64)>,
}

/// Asks for the files that are not known yet, of all streams in one go: each from the position it is at. After a page
/// at which `enough` says so, the rest is left for another time.
pub fn list(
    org: &mut Org<'_>,
    streams: &[(&FilesSource, &FilesState)],
    cadence: Cadence,
    interval: IntervalField,
    enough: &dyn Fn() -> bool,
) -> Result<Listing, RequestError> {
    let first = list_once(org, streams, cadence, interval, enough)?;
    if first.shortage.is_none() {
        return Ok(first);
    }
    list_once(org, streams, cadence, interval, enough)
}

fn list_once(
    org: &mut Org<'_>,
    streams: &[(&FilesSource, &FilesState)],
    cadence: Cadence,
    interval: IntervalField,
    enough: &dyn Fn() -> bool,
) -> Result<Listing, RequestError> {
    let types: Vec<&EventTypes> = streams.iter().map(|(source, _)| &source.event_types).collect();
    let since = streams.iter().map(|(_, state)| state.list_from()).min().unwrap_or(Time(0));
    let window = streams.iter().filter_map(|(_, state)| state.window).min();
    let until =
        window.map(|window| since.after(Duration::from_millis(window))).filter(|until| *until < org.now());
    let ranges: Vec<TimeRange> = streams.iter().map(|(source, _)| source.range).collect();
    let soql = event_log_files(&types, cadence, since, until, interval, &log_dates(&ranges, cadence));
    let mut pages = Pages::new(query_path(&org.api_version()?, &soql));
    let mut listing = Listing { queues: vec![VecDeque::new(); streams.len()], until, ..Listing::default() };
    let (mut found, mut last) = (0, since);
    while let Some(path) = pages.path() {
        let body = org.get_body(path, &[])?;
        let page = read_page(&body)?;
        pages.read(page.records.len(), page.records.len(), page.total, page.done, page.next.as_deref())?;
        let now = org.now();
        listing.now = Some(now);
        // Of each stream, what is too young may still be written to.
        let is_old_enough = |source: &FilesSource, file: &EventLogFile| {
            source.settle.is_zero() || file.created <= now.before(source.settle)
        };
        let (mut usable, mut too_young) = (0, 0);
        for raw in page.records {
            let file = match file_of(&Record::parse(raw), cadence) {
                Ok(file) => file,
                Err(shown) => {
                    listing.unusable.push(shown);
                    continue;
                }
            };
            usable += 1;
            too_young += usize::from(!streams.iter().any(|(source, _)| is_old_enough(source, &file)));
            last = last.max(file.created);
            for ((source, state), queue) in streams.iter().zip(&mut listing.queues) {
                let wanted = source.event_types.include(&file.event_type)
                    && source.range.covers(file.log_date, source.cadence)
                    && is_old_enough(source, &file);
                let is_known = state.is_known(&file.event_type, &file.id, file.created);
                if wanted && !is_known && !state.is_covered(&file) {
                    found += 1;
                    queue.push_back(file.clone());
                }
            }
        }
        // They come oldest first: behind a page that is too young there is nothing that is not.
        if usable > 0 && usable == too_young {
            break;
        }
        if pages.path().is_some() && last > since && (found >= MAX_FILES || enough()) {
            listing.until = Some(last);
            break;
        }
    }
    listing.shortage = pages.shortage();
    for queue in &mut listing.queues {
        // Salesforce sorts them, but the low watermark depends on it: better to be sure.
        queue.make_contiguous().sort_unstable_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    }
    Ok(listing)
}

/// How many files, and bytes of them, by type and day in UTC.
pub type Days = BTreeMap<(String, String), (u32, u64)>;

/// Files by type and day, and how many pages it took to list them.
pub struct Survey {
    /// The files.
    pub days: Days,
    /// Pages of the list.
    pub pages: u32,
    /// Whether that is all of it.
    pub is_whole: bool,
    /// What the oldest of them covers begins then.
    pub first: Option<Time>,
}

/// Pages of a survey at most: 200,000 files.
const MOST_PAGES: u32 = 100;

/// Asks for all files that a stream would collect within its range, of which none is read.
pub fn survey(
    org: &mut Org<'_>,
    source: &FilesSource,
    interval: IntervalField,
) -> Result<Survey, RequestError> {
    let (types, range, cadence) = ([&source.event_types], source.range, source.cadence);
    // A file is created after what it covers.
    let since = range.first_file(cadence).unwrap_or_else(|| org.now().before(source.initial_interval));
    let mut condition = format!(" AND LogDate >= {since}");
    if let Some(until) = range.until {
        condition.push_str(&format!(" AND LogDate < {until}"));
    }
    let soql = event_log_files(&types, cadence, since, None, interval, &condition);
    let mut listing = Pages::new(query_path(&org.api_version()?, &soql));
    let mut survey = Survey { days: BTreeMap::new(), pages: 0, is_whole: true, first: None };
    while let Some(path) = listing.path() {
        if survey.pages >= MOST_PAGES {
            survey.is_whole = false;
            break;
        }
        let body = org.get_body(path, &[])?;
        let page = read_page(&body)?;
        let count = page.records.len();
        for file in page.records.iter().filter_map(|raw| file_of(&Record::parse(raw), cadence).ok()) {
            if !source.event_types.include(&file.event_type) || !range.covers(file.log_date, cadence) {
                continue;
            }
            survey.first = Some(survey.first.map_or(file.log_date, |first| first.min(file.log_date)));
            let day = file.log_date.to_string().chars().take(10).collect();
            let (files, bytes) = survey.days.entry((file.event_type, day)).or_default();
            *files = files.saturating_add(1);
            *bytes = bytes.saturating_add(file.length);
        }
        listing.read(count, count, page.total, page.done, page.next.as_deref())?;
        survey.pages += 1;
    }
    Ok(survey)
}

/// What the org says of a file that it lists.
pub struct Listed {
    /// `LogFileLength`
    pub length: u64,
}

/// A condition on what files cover, where that has an end for all streams: of an hour long ago all files were created after it,
/// and so were all others since.
fn log_dates(ranges: &[TimeRange], cadence: Cadence) -> String {
    let ends: Option<Vec<Time>> = ranges.iter().map(|range| range.until).collect();
    let Some(until) = ends.and_then(|ends| ends.into_iter().max()) else { return String::new() };
    let starts: Option<Vec<Time>> = ranges.iter().map(|range| range.first_file(cadence)).collect();
    let from = starts.and_then(|starts| starts.into_iter().min());
    let from = from.map_or_else(String::new, |from| format!(" AND LogDate >= {from}"));
    format!("{from} AND LogDate < {until}")
}

/// Asks whether the org still lists a file; none = it does not.
pub fn look_up(org: &mut Org<'_>, file: &EventLogFile) -> Result<Option<Listed>, RequestError> {
    let soql = file_by_id(&file.id);
    let path = query_path(&org.api_version()?, &soql);
    let body = org.get_body(&path, &[])?;
    let page = read_page(&body)?;
    let mut records = page.records.iter().map(|raw| Record::parse(raw));
    let same = records.find(|record| record.text("Id") == Some(file.id.as_str()));
    Ok(same.map(|record| Listed { length: whole(record.number("LogFileLength")) }))
}

/// The file, or what is known of a record that is none.
fn file_of(record: &Record<'_>, cadence: Cadence) -> Result<EventLogFile, String> {
    let id = record.text("Id").unwrap_or_default();
    let time = |name: &str| record.text(name).and_then(Time::parse);
    let event_type = record.text("EventType").unwrap_or_default();
    let is_type = (1..=80).contains(&event_type.len())
        && event_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match time("CreatedDate") {
        Some(created) if is_id(id) && is_type => Ok(EventLogFile {
            id: id.to_owned(),
            event_type: event_type.to_owned(),
            created,
            log_date: time("LogDate").unwrap_or(created),
            length: whole(record.number("LogFileLength")),
            interval: cut(record.text("Interval").unwrap_or(cadence.name())),
            sequence: u32::try_from(whole(record.number("Sequence"))).unwrap_or(u32::MAX),
            api_version: record.number("ApiVersion").map_or_else(String::new, |v| cut(&format!("{v:.1}"))),
        }),
        _ => Err(quoted(&String::from_utf8_lossy(record.as_it_came()), 60)),
    }
}

/// Long enough for every name of an interval, short enough for the state.
fn cut(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(20).collect()
}

/// Salesforce writes whole numbers as doubles: `5199.0`, from eight digits on `1.23E7`.
fn whole(number: Option<f64>) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped; a cast of NaN is 0"
    )]
    let whole = number.unwrap_or(0.0).clamp(0.0, 9e15) as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_fit_for_a_path_and_for_the_state_is_a_file() {
        let of = |id: &str, event_type: &str| {
            let json = format!(
                r#"{{"Id":"{id}","EventType":"{event_type}","CreatedDate":"2026-06-01T13:30:00.000+0000"}}"#
            );
            file_of(&Record::parse(json.as_bytes()), Cadence::Daily).is_ok()
        };
        let id = "0AT000000000001AAA";
        assert!(of(id, "Login") && of(id, "Login_2") && of(id, &"T".repeat(80)));
        for id in ["", "0AT", "0AT/../../x/000", "0AT00000000000001AAA"] {
            assert!(!of(id, "Login"), "{id}");
        }
        for event_type in ["", "Lo gin", "Lo'gin", "L-", &"T".repeat(81)] {
            assert!(!of(id, event_type), "{event_type}");
        }
        let dateless = format!(r#"{{"Id":"{id}","EventType":"Login","CreatedDate":"soon"}}"#);
        assert!(file_of(&Record::parse(dateless.as_bytes()), Cadence::Daily).is_err());
    }
}
