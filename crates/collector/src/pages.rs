//! The answer of a query, page by page.
//!
//! "Query", REST API guide: an answer that is not done names where it goes on. A service that names a page again, or pages
//! without end, is not believed: the path must be one of this org, another than the last, and no more records may come
//! than the answer said that there are.

use crate::session::Trouble;

/// Pages without a record that are put up with.
const EMPTY_PAGES: u64 = 10;
/// What is taken for the number of records where an answer does not tell it.
const UNTOLD: u64 = 1_000_000;

/// Where the reading of an answer stands.
pub struct Pages {
    /// The page to read next; none after the last.
    path: Option<String>,
    pages: u64,
    records: u64,
    total: Option<u64>,
}

impl Pages {
    /// Before the first page.
    pub fn new(path: String) -> Self {
        Self { path: Some(path), pages: 0, records: 0, total: None }
    }

    /// The page to read next; none after the last.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// How many records there are in all, if the answer told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Notes what a page said of itself.
    pub fn read(
        &mut self,
        records: usize,
        total: Option<u64>,
        done: bool,
        next: Option<&str>,
    ) -> Result<(), Trouble> {
        let garbled = |message: String| Err(Trouble::Garbled(message));
        self.pages += 1;
        self.records += records as u64;
        self.total = self.total.or(total);
        let (pages, records, most) = (self.pages, self.records, self.total.unwrap_or(UNTOLD));
        if records > most {
            return garbled(format!("its pages hold {records} records or more, and there are {most} in all"));
        }
        if pages > most + EMPTY_PAGES {
            return garbled(format!("it has {pages} pages or more for {most} records"));
        }
        let path = match (done, next) {
            // A next page decides, whatever is said of the end: what is on it would be lost.
            (_, Some(next)) => Some(next_path(next)?),
            (true, None) => None,
            (false, None) => return garbled(String::from("a page has no next one and is not the last")),
        };
        if path.is_some() && path == self.path {
            return garbled(String::from("a page names itself as the next one"));
        }
        self.path = path;
        Ok(())
    }
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

    #[test]
    fn pages_that_never_end_are_not_followed_for_ever() {
        let page = |n: u64| format!("/services/data/v65.0/query/x-{n}");
        let read = |records, total| {
            let mut pages = Pages::new(page(0));
            (1..u64::MAX).find(|n| pages.read(records, total, false, Some(&page(*n))).is_err())
        };
        assert_eq!(read(100, Some(250)), Some(3));
        assert_eq!(read(0, Some(250)), Some(261));
        assert!(read(2000, None).is_some() && read(0, None).is_some());
        let mut pages = Pages::new(page(0));
        assert!(pages.read(1, Some(9), false, Some(&page(0))).is_err());
        assert!(Pages::new(page(0)).read(1, Some(9), false, None).is_err());
        let mut pages = Pages::new(page(0));
        assert!(pages.read(1, Some(1), true, None).is_ok() && pages.path().is_none());
    }
}
