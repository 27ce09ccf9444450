//! The frame of an answer: which bytes are its records.

use super::record::BEGINNING;
use crate::bytes::scan::{Pass, Scanner, Stop, decode, number};
use memchr::memmem;
use std::fmt;

/// A page.
#[derive(Debug)]
pub struct Page<'a> {
    /// How many records the query has in all, as far as it says so: for big objects it says -1.
    pub total: Option<u64>,
    /// Whether this is the last page. Where nothing is said of it, whether no next one is named.
    pub done: bool,
    /// Where the next page is.
    pub next: Option<String>,
    /// The records, each as it came.
    pub records: Vec<&'a [u8]>,
}

/// Why an answer is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    what: &'static str,
    /// Where, in bytes.
    at: usize,
    /// How long the answer is.
    of: usize,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {} of {})", self.what, self.at, self.of)
    }
}

impl<'a> Page<'a> {
    /// Finds the records of an answer.
    ///
    /// # Errors
    /// When it is no object with a list of records, or does not come to its end.
    pub fn parse(body: &'a [u8]) -> Result<Self, Flaw> {
        let beginning = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let mut reader = PageReader { json: Scanner::new(body, beginning), records: Vec::new(), again: 0 };
        reader.json.space();
        if !reader.json.take(b'{') {
            return Err(reader.flaw("it is no JSON object"));
        }
        let (mut total, mut done, mut next, mut listed) = (None, None, None, false);
        reader.json.space();
        let mut more = !reader.json.take(b'}');
        while more {
            let name = reader.json.name().map_err(|_| reader.broken())?;
            if name == b"records" && reader.json.take(b'[') {
                reader.list()?;
                listed = true;
            } else {
                let value = reader.json.value(&mut Pass).map_err(|_| reader.broken())?;
                match name {
                    b"totalSize" => total = count(value),
                    b"done" => done = flag(value),
                    b"nextRecordsUrl" => next = path(value),
                    _ => {}
                }
            }
            reader.json.space();
            more = reader.json.take(b',');
            if !more && !reader.json.take(b'}') {
                return Err(reader.broken());
            }
        }
        reader.json.space();
        if reader.json.peek().is_some() {
            return Err(reader.flaw("it goes on behind its end"));
        }
        if !listed {
            return Err(reader.flaw("it has no list of records"));
        }
        Ok(Self { total, done: done.unwrap_or(next.is_none()), next, records: reader.records })
    }
}

/// A whole number that is not below zero, also as `3.0` or as a text.
fn count(value: &[u8]) -> Option<u64> {
    let number = number(str::from_utf8(unquoted(value)).ok()?)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    let count = ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64);
    count
}

fn flag(value: &[u8]) -> Option<bool> {
    match unquoted(value) {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The path of the next page. What is no text is given as it came, for the error that it leads to.
fn path(value: &[u8]) -> Option<String> {
    (value != b"null").then(|| decode(unquoted(value)).0.into_owned())
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

struct PageReader<'a> {
    json: Scanner<'a>,
    records: Vec<&'a [u8]>,
    /// Bytes that were read in vain, and will be read again.
    again: usize,
}

impl<'a> PageReader<'a> {
    fn flaw(&self, what: &'static str) -> Flaw {
        Flaw { what, at: self.json.at, of: self.json.bytes().len() }
    }

    fn broken(&self) -> Flaw {
        let is_cut = self.json.peek().is_none();
        self.flaw(if is_cut { "it ends before its end" } else { "it does not go on as JSON" })
    }

    /// Reads the list of records, behind its bracket.
    fn list(&mut self) -> Result<(), Flaw> {
        loop {
            self.json.space();
            match self.json.peek() {
                None => return Err(self.broken()),
                Some(b',') => self.json.at += 1,
                Some(b']') => {
                    self.json.at += 1;
                    return Ok(());
                }
                Some(_) => self.record()?,
            }
        }
    }

    fn record(&mut self) -> Result<(), Flaw> {
        let start = self.json.at;
        let read = self.json.value(&mut Pass).and_then(|record| {
            self.json.space();
            match self.json.peek() {
                Some(b',' | b'{') => Ok(record),
                Some(b']') if self.list_ends() => Ok(record),
                Some(_) => Err(Stop::Here),
                None => Err(Stop::End),
            }
        });
        let record = match read {
            Ok(record) => record,
            Err(Stop::End) => return Err(self.broken()),
            Err(Stop::Here) => self.damaged(start).ok_or_else(|| self.broken())?,
        };
        self.records.push(record);
        Ok(())
    }

    /// Whether the bracket that is read next ends the list, and not a text that lost its quotes: the page ends with it, or goes
    /// on with a name.
    fn list_ends(&self) -> bool {
        let mut json = Scanner::new(self.json.bytes(), self.json.at + 1);
        json.space();
        let (more, last) = (json.take(b','), json.take(b'}'));
        json.space();
        json.peek().is_none_or(|byte| more && !last && byte == b'"')
    }

    /// A record of which the grammar is broken: up to the beginning of the next, or to the end of the list.
    fn damaged(&mut self, start: usize) -> Option<&'a [u8]> {
        let bytes = self.json.bytes();
        // Records within records could each be read up to the end in vain; a page of damaged records is read twice or so.
        self.again += self.json.at - start;
        if self.again > 4 * bytes.len() {
            return None;
        }
        // A related record, or a list of such, stands behind a name.
        let is_own = |at: &usize| {
            let before = bytes[..*at].trim_ascii_end();
            let before = before.strip_suffix(b"[").unwrap_or(before).trim_ascii_end();
            let name = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
            name.is_none_or(|name| !name.ends_with(b"\""))
        };
        let next = memmem::find_iter(&bytes[start + 1..], BEGINNING).map(|at| start + 1 + at).find(is_own);
        let end = match next {
            Some(next) => next,
            None => {
                // Only the list and the page may end behind it.
                let end = bytes.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end().strip_suffix(b"]")?;
                if self.json.at > end.len() || end.trim_ascii_end().last() != Some(&b'}') {
                    return None;
                }
                end.len()
            }
        };
        self.json.at = end;
        let record = bytes[start..end].trim_ascii_end();
        Some(record.strip_suffix(b",").unwrap_or(record).trim_ascii_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bytes::row::Row as _,
        records::{
            Record,
            record::{MAX_DAMAGES, MAX_FIELDS},
        },
    };

    fn records<'a>(page: &Page<'a>) -> Vec<&'a str> {
        page.records.iter().map(|record| str::from_utf8(record).expect("UTF-8")).collect()
    }

    #[test]
    fn a_page_holds_its_records_apart() {
        let json = r#" {"totalSize": 3, "done": false, "nextRecordsUrl": "\/n", "records": [{"Id": "a"}, 7 , null,[{}]], "x": {}} "#;
        let page = Page::parse(json.as_bytes()).expect("a page");
        assert_eq!((page.total, page.done, page.next.as_deref()), (Some(3), false, Some("/n")));
        assert_eq!(records(&page), ["{\"Id\": \"a\"}", "7", "null", "[{}]"]);
    }

    #[test]
    fn a_total_is_believed_only_where_it_is_one_and_spoils_no_page() {
        for (total, expected) in [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("1.2E3", Some(1200)),
            ("\"7\"", Some(7)),
            ("0", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("1e999", None),
            ("null", None),
            ("nul", None),
            ("\"many\"", None),
            ("[1]", None),
            ("99999999999999999999", None),
        ] {
            let json = format!(r#"{{"totalSize":{total},"done":true,"records":[]}}"#);
            let page = Page::parse(json.as_bytes()).expect(total);
            assert_eq!((page.total, page.done), (expected, true), "{total}");
        }
        let read = |json: &str| {
            let page = Page::parse(json.as_bytes()).expect(json);
            (page.total, page.done, page.next)
        };
        assert_eq!(read(r#"{"records":[]}"#), (None, true, None));
        assert_eq!(read(r#"{"records":[],"nextRecordsUrl":null}"#), (None, true, None));
        assert_eq!(read(r#"{"records":[],"nextRecordsUrl":"/n"}"#), (None, false, Some(String::from("/n"))));
        assert_eq!(read(r#"{"records":[],"done":"maybe"}"#), (None, true, None));
        assert_eq!(read("\u{feff}{\"records\":[]}"), (None, true, None));
    }

    #[test]
    fn what_is_no_page_is_refused_with_its_position() {
        for (json, said) in [
            ("", "it is no JSON object (byte 0 of 0)"),
            ("[]", "it is no JSON object (byte 0 of 2)"),
            ("null", "it is no JSON object (byte 0 of 4)"),
            ("<html>", "it is no JSON object (byte 0 of 6)"),
            ("{}", "it has no list of records (byte 2 of 2)"),
            (r#"{"records":{}}"#, "it has no list of records (byte 14 of 14)"),
            (r#"{"records":null,"done":true}"#, "it has no list of records (byte 28 of 28)"),
            (r#"{"records":[]} x"#, "it goes on behind its end (byte 15 of 16)"),
            (r#"{"records":[]}{"records":[]}"#, "it goes on behind its end (byte 14 of 28)"),
            (r#"{"records":[],}"#, "it does not go on as JSON (byte 14 of 15)"),
            (r#"{"done" true}"#, "it does not go on as JSON (byte 8 of 13)"),
            (r#"{"records":[{"a":"b},{"#, "it ends before its end (byte 22 of 22)"),
        ] {
            assert_eq!(Page::parse(json.as_bytes()).expect_err(json).to_string(), said, "{json}");
        }
    }

    const SOUND: &str = concat!(
        r#"{"totalSize":4,"done":true,"records":[{"attributes":{"type":"X","url":"/x"},"Id":"k1","B":"Mozilla \"5\" \\","N":1.0},"#,
        r#"{"attributes":{"type":"X","url":"/x"},"Id":"k2","B":"é💥 }]}","C":{"attributes":{"type":"U"},"Name":"Ann"}},"#,
        r#"{"attributes":{"type":"X","url":"/x"},"Id":"k3","B":null,"N":-2E7},"#,
        r#"{"attributes":{"type":"X","url":"/x"},"Id":"k4","B":"\ud83d\udca5{\"attributes\"","N":4}]}"#
    );

    #[test]
    fn a_page_that_is_cut_anywhere_is_none() {
        let damaged = SOUND.replace("Mozilla", "Moz\"illa").replace("\"N\":4", "N:4");
        for json in [SOUND, &damaged] {
            assert_eq!(Page::parse(json.as_bytes()).map(|page| page.records.len()), Ok(4), "{json}");
            for cut in 0..json.len() {
                let flaw = Page::parse(&json.as_bytes()[..cut]).expect_err("a flaw");
                assert!(
                    flaw.at <= cut && flaw.of == cut,
                    "{flaw}: {}",
                    String::from_utf8_lossy(&json.as_bytes()[..cut])
                );
            }
        }
    }

    /// Whatever becomes of one byte of a record, the others come as they were; where it is not within the quotes of the last
    /// record, there is a page.
    #[test]
    fn records_are_found_beside_one_of_which_any_byte_is_damaged() {
        let sound = Page::parse(SOUND.as_bytes()).expect("a page");
        let start = SOUND.find("[{").expect("a list") + 1;
        let mut refused = 0;
        for at in start..SOUND.len() - 2 {
            for byte in [
                0, b'\t', b' ', b'"', b'\\', b',', b':', b'{', b'}', b'[', b']', b'x', b'0', 0x80, 0xC3, 0xFF,
            ] {
                let mut json = SOUND.as_bytes().to_vec();
                if json[at] == byte {
                    continue;
                }
                json[at] = byte;
                let shown = String::from_utf8_lossy(&json);
                let offset = |record: &[u8]| record.as_ptr() as usize - SOUND.as_ptr() as usize - start;
                let hit = sound.records.iter().position(|record| {
                    (offset(record)..offset(record) + record.len()).contains(&(at - start))
                });
                let Ok(page) = Page::parse(&json) else {
                    refused += 1;
                    // A list that ends too soon, and a quote that is open up to the end, look like a cut.
                    assert!(hit.is_none() || hit == Some(3) || byte == b']', "{at} became {byte}: {shown}");
                    continue;
                };
                for record in &page.records {
                    let record = Record::parse(record);
                    assert!(
                        serde_json::from_str::<serde_json::Value>(&record.json().expect("JSON")).is_ok(),
                        "{shown}"
                    );
                }
                // What stands instead of a comma belongs to one of the records beside it.
                let is_there = |record: &&[u8]| {
                    page.records.contains(record)
                        || (hit.is_none() && page.records.iter().any(|found| found.starts_with(record)))
                };
                for (nth, record) in sound.records.iter().enumerate().filter(|(nth, _)| Some(*nth) != hit) {
                    assert!(is_there(record), "record {nth} after byte {at} became {byte}: {shown}");
                }
                // Nor does the record lose its own key, unless that is what was hit, or the comma beside it.
                let key = hit.map(|hit| format!("k{}", hit + 1));
                let offset = key.as_ref().and_then(|key| SOUND.find(&format!(",\"Id\":\"{key}\",")));
                if offset.is_some_and(|offset| !(offset..offset + 11).contains(&at)) {
                    let mut found = page.records.iter().map(|record| Record::parse(record));
                    assert!(
                        found.any(|record| record.text("Id") == key.as_deref()),
                        "{at} became {byte}: {shown}"
                    );
                }
                // A related record whose name is damaged is taken for one of its own.
                if hit.is_some() {
                    assert!((4..=5).contains(&page.records.len()), "byte {at} became {byte}: {shown}");
                }
            }
        }
        assert!(refused < 60, "{refused} pages refused");
    }

    /// Inputs made to be slow or deep, each of a few megabytes: over in a moment, or not at all.
    #[test]
    fn hostile_nesting_costs_neither_the_stack_nor_the_day() {
        let page = |inside: &str| format!(r#"{{"done":true,"records":[{{"attributes":{inside}"#);
        for (json, deep) in [
            (page(&"[".repeat(5_000_000)), false),
            (page(&"[1,{\"attributes\":".repeat(300_000)), false),
            (page(&"{\"a\":{\"x\":1,\"b\":".repeat(300_000)), false),
            (page(&format!("{}{}}}]}}", "[".repeat(2_000_000), "]".repeat(2_000_000))), true),
            (page(&format!("1,\"b\":{}x\"}}]}}", "{\"x\":1,\"b\":".repeat(300_000))), true),
            (page(&format!("1{}x\"}}]}}", ",\"b\":[{\"x\":1}".repeat(300_000))), true),
            (page(&format!("1{}}}]}}", ",\"b\" \"".repeat(300_000))), true),
        ] {
            let parsed = Page::parse(json.as_bytes());
            assert_eq!(parsed.is_ok(), deep, "{}", &json[..80]);
            for record in parsed.map(|page| page.records).unwrap_or_default() {
                let record = Record::parse(record);
                assert!(record.names().count() <= MAX_FIELDS && record.damages().len() <= MAX_DAMAGES + 1);
            }
            Record::parse(json.as_bytes());
        }
    }
}
