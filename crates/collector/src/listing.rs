//! The list of event log files that an org has for some streams, asked for in one query.
//!
//! A listing may have many pages, and a poll only so much time. So it may end after any page: what was created before the
//! last record of that page is listed then, and the next part begins there. What the org says of the number of files
//! (`totalSize`) is doubted: if fewer come than it says, the list is asked for once more.

use crate::{
    config::streams::{Cadence, EventTypes, FilesSource},
    pages::Pages,
    record::Page,
    session::{Org, Trouble, parse_json},
    soql::{IntervalField, event_log_files, file_by_id, query_path},
    state::{FileInfo, FilesState, is_id},
    time::Time,
};
use serde::Deserialize;
use std::{collections::VecDeque, time::Duration};

/// Files taken from one part of a listing at most.
const MAX_FILES: usize = 10_000;

/// Files to read.
#[derive(Debug, Default)]
pub struct Listing {
    /// For each stream its files, oldest first, each with an id that is fit for a path.
    pub queues: Vec<VecDeque<FileInfo>>,
    /// The org's time.
    pub now: Option<Time>,
    /// If these are not all: everything that was created before this is there.
    pub until: Option<Time>,
    /// Records that lack what is needed, by what they do have.
    pub unusable: Vec<String>,
    /// What the org says that there is, and how much of it came, if that is less, asked twice.
    pub shortage: Option<(u64, u64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    id: Option<String>,
    event_type: Option<String>,
    created_date: Option<String>,
    log_date: Option<String>,
    #[serde(default)]
    log_file_length: Option<f64>,
    #[serde(default)]
    interval: Option<String>,
    #[serde(default)]
    sequence: Option<f64>,
    #[serde(default)]
    api_version: Option<f64>,
}

/// Asks for the files that are not known yet, of all streams in one go: each with the place where it stands. After a page
/// at which `enough` says so, the rest is left for another time.
pub fn list(
    org: &mut Org<'_>,
    streams: &[(&FilesSource, &FilesState)],
    cadence: Cadence,
    interval: IntervalField,
    enough: &dyn Fn() -> bool,
) -> Result<Listing, Trouble> {
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
) -> Result<Listing, Trouble> {
    let types: Vec<&EventTypes> = streams.iter().map(|(source, _)| &source.event_types).collect();
    let since = streams.iter().map(|(_, state)| state.list_from()).min().unwrap_or(Time(0));
    let window = streams.iter().filter_map(|(_, state)| state.window).min();
    let until =
        window.map(|window| since.after(Duration::from_millis(window))).filter(|until| *until < org.now());
    let soql = event_log_files(&types, cadence, since, until, interval);
    let mut pages = Pages::new(query_path(&org.api_version()?, &soql));
    let mut listing = Listing { queues: vec![VecDeque::new(); streams.len()], until, ..Listing::default() };
    let (mut found, mut last) = (0, since);
    while let Some(path) = pages.path() {
        let body = org.get_body(path, &[])?;
        let page: Page<'_> = parse_json(&body)?;
        pages.read(page.records.len(), page.records.len(), page.total, page.done, page.next.as_deref())?;
        let now = org.now();
        listing.now = Some(now);
        // Of each stream, what is too young may still be written to.
        let is_old_enough = |source: &FilesSource, file: &FileInfo| {
            source.settle.is_zero() || file.created <= now.before(source.settle)
        };
        let (mut usable, mut too_young) = (0, 0);
        for raw in page.records {
            let record = serde_json::from_str::<Record>(raw.get());
            let file =
                record.map_err(|_| crate::problem::quoted(raw.get(), 40)).and_then(|r| r.file(cadence));
            let file = match file {
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
                let wanted = source.event_types.include(&file.event_type) && is_old_enough(source, &file);
                if wanted && !state.is_known(&file.event_type, &file.id, file.created) {
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
        queue.make_contiguous().sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    }
    Ok(listing)
}

/// What the org says of a file that it lists.
pub struct Listed {
    /// `LogFileLength`
    pub length: u64,
}

/// Asks whether the org still lists a file; none = it does not.
pub fn look_up(org: &mut Org<'_>, file: &FileInfo) -> Result<Option<Listed>, Trouble> {
    let soql = file_by_id(&file.id);
    let path = query_path(&org.api_version()?, &soql);
    let body = org.get_body(&path, &[])?;
    let page: Page<'_> = parse_json(&body)?;
    let records = page.records.iter().filter_map(|raw| serde_json::from_str::<Record>(raw.get()).ok());
    let mut same = records.filter(|record| record.id.as_deref() == Some(file.id.as_str()));
    Ok(same.next().map(|record| Listed { length: whole(record.log_file_length) }))
}

impl Record {
    /// The file, or what is known of a record that is none.
    fn file(self, cadence: Cadence) -> Result<FileInfo, String> {
        let id = self.id.unwrap_or_default();
        let time = |text: Option<String>| text.and_then(|text| Time::parse(&text));
        let log_date = time(self.log_date);
        let event_type = self.event_type.unwrap_or_default();
        let is_type = (1..=80).contains(&event_type.len())
            && event_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match time(self.created_date) {
            Some(created) if is_id(&id) && is_type => Ok(FileInfo {
                id,
                event_type,
                created,
                log_date: log_date.unwrap_or(created),
                length: whole(self.log_file_length),
                interval: cut(self.interval.unwrap_or_else(|| cadence.name().to_owned())),
                sequence: u32::try_from(whole(self.sequence)).unwrap_or(u32::MAX),
                api_version: cut(self
                    .api_version
                    .map_or_else(String::new, |version| format!("{version:.1}"))),
            }),
            _ => Err(crate::problem::quoted(&id, 40)),
        }
    }
}

/// Long enough for every name of an interval, short enough for the state.
fn cut(text: String) -> String {
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
