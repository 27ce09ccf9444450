//! The list of event log files that an org has for some streams, asked for in one query.

use crate::{
    config::streams::{Cadence, EventTypes, FilesSource},
    pages::Pages,
    record::Page,
    session::{Org, Trouble},
    soql::{IntervalField, event_log_files, query_path},
    state::{FileInfo, FilesState},
    time::Time,
};
use serde::Deserialize;
use std::collections::VecDeque;

/// Files taken from one listing at most. The rest is listed again once these are read.
const MAX_FILES: usize = 10_000;
/// Pages asked for at most, should they name no new file.
const MAX_PAGES: usize = 200;

/// Files to read.
#[derive(Debug, Default)]
pub struct Listing {
    /// For each stream its files, oldest first, each with an id that is fit for a path.
    pub queues: Vec<VecDeque<FileInfo>>,
    /// Whether these are all.
    pub complete: bool,
    /// Records that lack what is needed, by what they do have.
    pub unusable: Vec<String>,
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

/// Asks for the files that are not known yet, of all streams in one go: each with the place where it stands.
pub fn list(
    org: &mut Org<'_>,
    streams: &[(&FilesSource, &FilesState)],
    cadence: Cadence,
    interval: IntervalField,
) -> Result<Listing, Trouble> {
    let types: Vec<&EventTypes> = streams.iter().map(|(source, _)| &source.event_types).collect();
    let since = streams.iter().map(|(_, state)| state.floor).min().unwrap_or(Time(0));
    let soql = event_log_files(&types, cadence, since, interval);
    let mut pages = Pages::new(query_path(&org.api_version()?, &soql));
    let mut listing = Listing { queues: vec![VecDeque::new(); streams.len()], ..Listing::default() };
    let mut found = 0;
    for _ in 0..MAX_PAGES {
        let Some(path) = pages.path() else { break };
        let body = org.get_body(path, &[])?;
        let page = Page::parse(&body)
            .map_err(|flaw| Trouble::Garbled(format!("the answer is no page of records: {flaw}")))?;
        pages.read(page.records.len(), page.total, page.done, page.next.as_deref())?;
        for raw in page.records {
            let record = serde_json::from_slice::<Record>(raw);
            let shown = || crate::problem::quoted(&String::from_utf8_lossy(raw), 40);
            match record.map_err(|_| shown()).and_then(|r| r.file(cadence)) {
                Ok(file) => {
                    for ((source, state), queue) in streams.iter().zip(&mut listing.queues) {
                        let wanted = source.event_types.include(&file.event_type);
                        if wanted && !state.is_known(&file.event_type, &file.id, file.created) {
                            found += 1;
                            queue.push_back(file.clone());
                        }
                    }
                }
                Err(shown) => listing.unusable.push(shown),
            }
        }
        if found >= MAX_FILES {
            break;
        }
    }
    listing.complete = pages.path().is_none();
    if !listing.complete && found == 0 {
        return Err(Trouble::Garbled(format!(
            "{MAX_PAGES} pages of the list name no new file, and there are more"
        )));
    }
    let now = org.now();
    for ((source, _), queue) in streams.iter().zip(&mut listing.queues) {
        // What is too young may still be written to.
        let youngest = now.before(source.settle);
        queue.retain(|file| file.created <= youngest || source.settle.is_zero());
        // Salesforce sorts them, but the floor depends on it: better to be sure.
        queue.make_contiguous().sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    }
    Ok(listing)
}

impl Record {
    /// The file, or what is known of a record that is none.
    fn file(self, cadence: Cadence) -> Result<FileInfo, String> {
        let id = self.id.unwrap_or_default();
        let is_id = matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let time = |text: Option<String>| text.and_then(|text| Time::parse(&text));
        let log_date = time(self.log_date);
        let event_type = self.event_type.unwrap_or_default();
        match time(self.created_date) {
            Some(created) if is_id && !event_type.is_empty() && event_type.len() <= 80 => Ok(FileInfo {
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
    text.chars().take(20).collect()
}

/// Salesforce writes whole numbers as doubles: `5199.0`.
fn whole(number: Option<f64>) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped; a cast of NaN is 0"
    )]
    let whole = number.unwrap_or(0.0).clamp(0.0, 9e15) as u64;
    whole
}
