//! The answer of a query, page by page.
//!
//! "Query", REST API guide: an answer that is not done names where it goes on. What a service says besides is a hint:
//! `totalSize` is -1 for some big objects, counts one page alone, or more than comes. It may save a request, and it may raise
//! a doubt ([`Pages::shortage`]), but it never ends the reading. A service that names a page again, or pages without end, is
//! not believed: the path must be one of this org that was not read yet, and of pages that hold nothing there are few.

use crate::org::session::RequestError;
use documents::Page;
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Pages in a row without a new record that are put up with.
const EMPTY_PAGES: u32 = 10;
/// Pages of one answer at most: two million records on full ones.
const MOST_PAGES: usize = 1000;

/// Where the reading of an answer stands.
pub struct Pages {
    /// The page to read next; none after the last.
    path: Option<String>,
    /// Digests of the paths that were read.
    seen: HashSet<u64>,
    empty: u32,
    records: u64,
    total: Option<u64>,
}

impl Pages {
    /// Before the first page.
    pub fn new(path: String) -> Self {
        Self { path: Some(path), seen: HashSet::new(), empty: 0, records: 0, total: None }
    }

    /// The page to read next; none after the last.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Whether a page was read.
    pub fn has_begun(&self) -> bool {
        !self.seen.is_empty()
    }

    /// How many records there are in all, if the answer told, and told at least as many as came.
    pub fn total(&self) -> Option<u64> {
        self.total.filter(|total| *total >= self.records)
    }

    /// How many records there are in all and how many came, where the answer is at its end and that is less.
    pub fn shortage(&self) -> Option<(u64, u64)> {
        let total = self.total.filter(|total| self.path.is_none() && *total > self.records);
        total.map(|total| (total, self.records))
    }

    /// Notes what a page said of itself. Of its `records`, so many are `new`: no other page of this answer had them.
    pub fn read(
        &mut self,
        records: usize,
        new: usize,
        total: Option<u64>,
        done: bool,
        next: Option<&str>,
    ) -> Result<(), RequestError> {
        let garbled = |message: String| Err(RequestError::Garbled(message));
        if let Some(path) = &self.path {
            self.seen.insert(digest(path));
        }
        self.records += records as u64;
        self.empty = if new == 0 { self.empty + 1 } else { 0 };
        self.total = self.total.or(total);
        let path = match (done, next) {
            // A next page decides, whatever is said of the end: what is on it would be lost.
            (_, Some(next)) => Some(next_path(next)?),
            (true, None) => None,
            (false, None) => return garbled(String::from("a page has no next one and is not the last")),
        };
        if path.as_deref().is_some_and(|path| self.seen.contains(&digest(path))) {
            return garbled(String::from("a page names one as the next that was read before"));
        }
        if path.is_some() && (self.empty > EMPTY_PAGES || self.seen.len() > MOST_PAGES) {
            let (pages, records) = (self.seen.len(), self.records);
            return garbled(format!("it has {pages} pages or more for {records} records"));
        }
        self.path = path;
        Ok(())
    }
}

/// Reads a page.
pub fn read_page(body: &[u8]) -> Result<Page<'_>, RequestError> {
    Page::parse(body)
        .map_err(|flaw| RequestError::Garbled(format!("the answer is no page of records: {flaw}")))
}

fn digest(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// The path of the next page. The token must not follow it to another host.
fn next_path(next: &str) -> Result<String, RequestError> {
    let is_path = next.starts_with("/services/data/")
        && next.len() <= 2000
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    if is_path {
        return Ok(next.to_owned());
    }
    let shown = documents::quoted(next, 100);
    Err(RequestError::Garbled(format!("the next page is not a path of this org: '{shown}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: u64) -> String {
        format!("/services/data/v65.0/query/x-{n}")
    }

    #[test]
    fn the_next_page_is_only_followed_within_the_org() {
        assert!(next_path("/services/data/v65.0/query/0r8xx-2000").is_ok());
        for next in
            ["https://evil.example/services/data/", "//evil.example/", "/services/data/\r\nX: y", "", "/x"]
        {
            assert!(next_path(next).is_err(), "{next}");
        }
    }

    #[test]
    fn pages_that_never_end_are_not_followed_for_ever() {
        let read = |records, total| {
            let mut pages = Pages::new(page(0));
            (1..u64::MAX).find(|n| pages.read(records, records, total, false, Some(&page(*n))).is_err())
        };
        assert_eq!(read(0, Some(250)), Some(11));
        assert_eq!(read(2000, None), Some(1001));
        // Two pages that name each other.
        let mut pages = Pages::new(page(0));
        assert!(pages.read(1, 1, None, false, Some(&page(1))).is_ok());
        assert!(pages.read(1, 1, None, false, Some(&page(0))).is_err());
        assert!(Pages::new(page(0)).read(1, 1, Some(9), false, Some(&page(0))).is_err());
        assert!(Pages::new(page(0)).read(1, 1, Some(9), false, None).is_err());
        let mut pages = Pages::new(page(0));
        assert!(pages.read(1, 1, Some(1), true, None).is_ok() && pages.path().is_none());
    }

    #[test]
    fn whatever_is_said_of_the_number_of_records_ends_no_reading() {
        for total in [None, Some(0), Some(1), Some(2), Some(9), Some(u64::MAX)] {
            let mut pages = Pages::new(page(0));
            assert!(pages.read(2, 2, total, false, Some(&page(1))).is_ok(), "{total:?}");
            assert!(pages.shortage().is_none(), "{total:?} before the end");
            assert!(pages.read(2, 2, Some(2), true, None).is_ok(), "{total:?}");
            let short = total.filter(|total| *total > 4).map(|total| (total, 4));
            assert_eq!(pages.shortage(), short);
        }
    }

    #[test]
    fn a_number_of_records_is_a_hint_as_long_as_no_more_came() {
        for (total, hint) in [(None, None), (Some(1), None), (Some(2), Some(2)), (Some(9), Some(9))] {
            let mut pages = Pages::new(page(0));
            assert!(pages.read(2, 2, total, false, Some(&page(1))).is_ok());
            assert_eq!(pages.total(), hint);
        }
    }
}
