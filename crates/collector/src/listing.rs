//! The list of event log files that an org has for a stream.

use crate::{
    config::Source,
    session::{Org, Trouble},
    soql::{IntervalField, event_log_files, query_path},
    state::{FileInfo, FilesState},
    time::Time,
};
use serde::Deserialize;
use std::collections::VecDeque;

/// Files taken from one listing at most. The rest is listed again once these are read.
const MAX_FILES: usize = 10_000;
/// Pages asked for at most, should an org answer pages for ever.
const MAX_PAGES: usize = 200;

/// Files to read, oldest first.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, each with an id that is fit for a path.
    pub files: VecDeque<FileInfo>,
    /// Whether these are all.
    pub complete: bool,
    /// Records that lack what is needed, by what they do have.
    pub unusable: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    done: bool,
    records: Vec<Record>,
    #[serde(rename = "nextRecordsUrl")]
    next: Option<String>,
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

/// Asks for the files that are not known yet.
pub fn list(
    org: &mut Org<'_>,
    source: &Source,
    event_type: &str,
    state: &FilesState,
    interval: IntervalField,
) -> Result<Listing, Trouble> {
    let soql = event_log_files(source, event_type, state.floor, interval);
    let mut path = query_path(&org.config.api_version, &soql);
    let mut listing = Listing::default();
    for _ in 0..MAX_PAGES {
        let page: Page = org.get_json(&path)?;
        for record in page.records {
            match record.file(source) {
                Ok(file) if state.is_known(&file.id, file.created) => {}
                Ok(file) => listing.files.push_back(file),
                Err(id) => listing.unusable.push(id),
            }
        }
        let Some(next) = page.next else {
            if !page.done {
                return Err(Trouble::Garbled(String::from(
                    "a page of the list has no next one and is not the last",
                )));
            }
            listing.complete = true;
            break;
        };
        if listing.files.len() >= MAX_FILES {
            break;
        }
        path = next_path(&next)?;
    }
    if !listing.complete && listing.files.is_empty() {
        return Err(Trouble::Garbled(format!(
            "{MAX_PAGES} pages of the list name no new file, and there are more"
        )));
    }
    // Salesforce sorts them, but the floor depends on it: better to be sure.
    listing.files.make_contiguous().sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    Ok(listing)
}

/// The path of the next page. The token must not follow it to another host.
fn next_path(next: &str) -> Result<String, Trouble> {
    let is_path = next.starts_with("/services/data/")
        && next.len() <= 2000
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    if is_path {
        return Ok(next.to_owned());
    }
    let shown = crate::problem::quoted(next, 100);
    Err(Trouble::Garbled(format!("the next page is not a path of this org: '{shown}'")))
}

impl Record {
    /// The file, or what is known of a record that is none.
    fn file(self, source: &Source) -> Result<FileInfo, String> {
        let id = self.id.unwrap_or_default();
        let is_id = matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let time = |text: Option<String>| text.and_then(|text| Time::parse(&text));
        let log_date = time(self.log_date);
        match time(self.created_date) {
            Some(created) if is_id => Ok(FileInfo {
                id,
                event_type: self.event_type.unwrap_or_default(),
                created,
                log_date: log_date.unwrap_or(created),
                length: whole(self.log_file_length),
                interval: self.interval.unwrap_or_else(|| source.cadence.name().to_owned()),
                sequence: u32::try_from(whole(self.sequence)).unwrap_or(u32::MAX),
                api_version: self.api_version.map_or_else(String::new, |version| format!("{version:.1}")),
            }),
            _ => Err(crate::problem::quoted(&id, 40)),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_only_followed_within_the_org() {
        assert!(next_path("/services/data/v65.0/query/0r8xx-2000").is_ok());
        for next in
            ["https://evil.example/services/data/", "//evil.example/", "/services/data/\r\nX: y", "", "/x"]
        {
            assert!(next_path(next).is_err(), "{next}");
        }
    }
}
