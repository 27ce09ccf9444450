//! JSON written straight into the text of an event. No tree is built on the way.
//!
//! Every member is written with a comma behind it, which the brace that ends the object replaces. So a member needs not
//! know whether it is the first, and what comes before it can be rendered once for a whole file.

use super::{
    buffer::Buffer,
    padded::{PADDING, Padded, PaddedBuf},
};
use std::ops::Range;

/// A key as it stands before a value.
pub struct Key {
    /// `"key":"`
    text: PaddedBuf,
    /// `"key":{`
    object: PaddedBuf,
}

/// Writes one JSON object after another. Objects within that stay empty are left out.
#[derive(Default)]
pub struct Writer {
    /// The objects that are finished and not taken yet, and the one that is written.
    out: Buffer,
    /// Where that one begins.
    start: usize,
    /// Where each open object begins, with its key.
    open: Vec<usize>,
    /// Memory for a text that is not written as it came.
    scratch: Vec<u8>,
    /// Whether the row has nothing that needs an escape.
    row_is_plain: bool,
}

impl Key {
    /// A key of letters that need no escape.
    #[inline(never)]
    pub fn new(name: &str) -> Self {
        let before = |value: char| PaddedBuf::new(format!("\"{name}\":{value}").as_bytes());
        Self { text: before('"'), object: before('{') }
    }

    /// A key of any characters.
    pub fn escaped(name: &str) -> Self {
        let mut json = Writer::default();
        json.string(name.as_bytes());
        let name = String::from_utf8_lossy(json.out.bytes());
        Self::new(&name)
    }

    /// As it stands before all that is not a text.
    fn bare(&self) -> Padded<'_> {
        self.text.but_last()
    }
}

impl Writer {
    /// Begins the object of a row. If that is plain, its [parts](Self::part) are written as they are.
    pub fn begin_row(&mut self, is_plain: bool) {
        self.begin();
        self.row_is_plain = is_plain;
    }

    /// Begins an object. What was not finished is gone.
    pub fn begin(&mut self) {
        self.row_is_plain = false;
        self.out.truncate(self.start);
        self.open.clear();
        self.out.put_array(b"{");
    }

    /// Ends the object as a whole, and takes it.
    pub fn finish(&mut self) -> String {
        let range = self.keep();
        self.start = range.start;
        let text = text(&self.out.bytes()[range]);
        self.out.truncate(self.start);
        text
    }

    /// Ends the object as a whole, and keeps it. Returns where it lies.
    pub fn keep(&mut self) -> Range<usize> {
        self.end();
        let end = self.out.len() - 1;
        self.out.truncate(end);
        std::mem::replace(&mut self.start, end)..end
    }

    /// Writes a text of so many letters or digits that are not known yet. Returns where they belong.
    pub fn hole(&mut self, key: &Key, letters: usize) -> usize {
        const UNKNOWN: [u8; PADDING] = [b'-'; PADDING];
        self.out.put_padded(key.text.get());
        let at = self.out.len();
        self.out.put_padded(Padded::new(&UNKNOWN, letters));
        self.out.put_array(b"\",");
        at
    }

    /// Fills a hole in an object that is kept.
    pub fn fill(&mut self, hole: usize, letters: &[u8]) {
        self.out.patch(hole, letters);
    }

    /// Takes all objects that are kept, which lie at these offsets.
    pub fn take(&mut self, ranges: impl Iterator<Item = Range<usize>>, mut each: impl FnMut(String)) {
        let bytes = &self.out.bytes()[..self.start];
        // Looked at together: it is one call.
        match simdutf8::basic::from_utf8(bytes) {
            Ok(all) => ranges.for_each(|range| each(all.get(range).unwrap_or_default().to_owned())),
            Err(_) => ranges.for_each(|range| each(text(bytes.get(range).unwrap_or_default()))),
        }
        self.start = 0;
        self.out.truncate(0);
    }

    /// Begins an object within.
    pub fn open(&mut self, key: &Key) {
        self.open.push(self.out.len());
        self.out.put_padded(key.object.get());
    }

    /// Ends the object begun last.
    pub fn close(&mut self) {
        let start = self.open.pop().unwrap_or_default();
        if self.out.last() == Some(b'{') {
            self.out.truncate(start);
        } else {
            self.end();
        }
    }

    /// Ends an object that [`put`](Self::put) began.
    pub fn end(&mut self) {
        if self.out.last() == Some(b',') {
            self.out.truncate(self.out.len() - 1);
        }
        self.out.put_array(b"},");
    }

    /// Puts in members that were rendered before: up to a comma, or to the brace that opens an object.
    pub fn put(&mut self, members: &str) {
        self.out.put(members.as_bytes());
    }

    /// The same, of several pieces.
    #[inline(never)]
    pub fn put_all(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.out.put(piece);
        }
    }

    /// Writes an object of texts, or its members alone where it has no name. In little code, for what few events have.
    #[inline(never)]
    pub fn rare(&mut self, name: &str, members: &[(&str, &[u8])]) {
        if !name.is_empty() {
            self.open(&Key::new(name));
        }
        for (name, value) in members {
            self.text(&Key::new(name), value);
        }
        if !name.is_empty() {
            self.close();
        }
    }

    /// Remembers how much is written.
    pub fn mark(&mut self) {
        self.open.push(self.out.len());
    }

    /// Whether something was written since that was remembered last.
    pub fn has_grown(&mut self) -> bool {
        self.open.pop().is_some_and(|mark| self.out.len() > mark)
    }

    /// Writes a text. Returns whether it was UTF-8; what was not is replaced.
    #[inline]
    pub fn text(&mut self, key: &Key, value: &[u8]) -> bool {
        self.out.put_padded(key.text.get());
        let valid = self.string(value);
        self.out.put_array(b"\",");
        valid
    }

    /// Writes a part of a value of the row, or a text of letters and digits. Returns whether it was UTF-8; what was not is
    /// replaced.
    #[inline]
    pub fn part(&mut self, key: &Key, value: &[u8]) -> bool {
        self.out.put_padded(key.text.get());
        let valid = self.string_of_row(value);
        self.out.put_array(b"\",");
        valid
    }

    /// Writes a text that is known to need no escape: see [`is_plain`].
    #[inline(always)]
    pub fn plain(&mut self, key: &Key, value: Padded<'_>) {
        self.out.put_member(key.text.get(), value, *b"\",");
    }

    /// Writes a text under a key as it stands before a text.
    #[inline]
    pub fn member(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.out.put(key);
        let valid = self.string(value);
        self.out.put_array(b"\",");
        valid
    }

    /// Writes a text of which `%2F` and the like are decoded (RFC 3986 section 2.1).
    pub fn decoded(&mut self, key: &Key, value: &[u8]) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut rest = value;
        while let Some((byte, after)) = rest.split_first() {
            let code = rest.get(1..3).filter(|_| *byte == b'%');
            let code = code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
            scratch.push(code.unwrap_or(*byte));
            rest = if code.is_some() { &rest[3..] } else { after };
        }
        let valid = self.text(key, &scratch);
        self.scratch = scratch;
        valid
    }

    /// Writes what `make` writes into another object as a text.
    pub fn quoted(&mut self, key: &Key, make: impl FnOnce(&mut Writer)) {
        let mut inner = Self { out: Buffer::of(std::mem::take(&mut self.scratch)), ..Self::default() };
        inner.begin();
        make(&mut inner);
        inner.end();
        let text = &inner.out.bytes()[..inner.out.len() - 1];
        self.text(key, text);
        self.scratch = inner.out.into_spare();
    }

    /// Writes a value that is JSON already.
    pub fn raw(&mut self, key: &Key, value: &[u8]) {
        self.out.put_padded(key.bare());
        self.out.put(value);
        self.out.put_array(b",");
    }

    /// Writes a whole number.
    #[inline(never)]
    pub fn integer(&mut self, key: &Key, number: i64) {
        let mut digits = [b'-'; 20];
        let (mut at, mut rest) = (digits.len(), number.unsigned_abs());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let sign = usize::from(number < 0);
        self.raw(key, &digits[at - sign..]);
    }

    /// Writes a value that is JSON already, under a key as it stands before it.
    pub fn raw_member(&mut self, key: &[u8], value: &[u8]) {
        self.out.put(key);
        self.out.put(value);
        self.out.put_array(b",");
    }

    /// Writes a value that is JSON already, in pieces.
    pub fn pieces(&mut self, key: &Key, pieces: &[&[u8]]) {
        self.out.put_padded(key.bare());
        for piece in pieces {
            self.out.put(piece);
        }
        self.out.put_array(b",");
    }

    /// Writes a value that is JSON already and may have line breaks between its parts, on one line.
    pub fn raw_lines(&mut self, key: &Key, value: &[u8]) {
        self.out.put_padded(key.bare());
        for line in value.split(|byte| matches!(byte, b'\n' | b'\r')) {
            self.out.put(line);
        }
        self.out.put_array(b",");
    }

    /// Begins a list of objects.
    pub fn open_list(&mut self, key: &Key) {
        self.open.push(self.out.len());
        self.out.put_padded(key.bare());
        self.out.put_array(b"[");
    }

    /// Begins an object of the list.
    pub fn open_item(&mut self) {
        self.out.put_array(b"{");
    }

    /// Writes an object of the list that ends with a part of a value of the row.
    #[inline(never)]
    pub fn item(&mut self, before: &[u8], value: &[u8]) {
        self.out.put(before);
        self.string_of_row(value);
        self.out.put_array(b"\"},");
    }

    /// Ends a list of one object that [`put`](Self::put) began.
    #[inline(never)]
    pub fn end_list(&mut self) {
        self.end();
        self.out.truncate(self.out.len() - 1);
        self.out.put_array(b"],");
    }

    /// Ends the list.
    pub fn close_list(&mut self) {
        let start = self.open.pop().unwrap_or_default();
        if self.out.last() == Some(b'[') {
            self.out.truncate(start);
        } else {
            self.out.truncate(self.out.len() - 1);
            self.out.put_array(b"],");
        }
    }

    /// Writes a list of parts of values of the row, unless it is empty. Returns whether they were UTF-8.
    pub fn list_of_parts<'t>(&mut self, key: &Key, values: impl IntoIterator<Item = &'t [u8]>) -> bool {
        self.texts(key, values, Self::string_of_row)
    }

    /// Writes a list of texts, unless it is empty. Returns whether they were UTF-8.
    pub fn list<'t>(&mut self, key: &Key, values: impl IntoIterator<Item = &'t [u8]>) -> bool {
        self.texts(key, values, Self::string)
    }

    #[inline]
    fn texts<'t>(
        &mut self,
        key: &Key,
        values: impl IntoIterator<Item = &'t [u8]>,
        write: impl Fn(&mut Self, &[u8]) -> bool,
    ) -> bool {
        self.open_list(key);
        let mut valid = true;
        for value in values {
            self.out.put_array(b"\"");
            valid &= write(self, value);
            self.out.put_array(b"\",");
        }
        self.close_list();
        valid
    }

    #[inline(always)]
    fn string_of_row(&mut self, text: &[u8]) -> bool {
        if self.row_is_plain {
            self.out.put(text);
            return true;
        }
        self.string(text)
    }

    /// A text as it stands between the quotes.
    #[inline(always)]
    fn string(&mut self, text: &[u8]) -> bool {
        if is_plain(text) {
            self.out.put(text);
            return true;
        }
        let valid = str::from_utf8(text).is_ok();
        if valid {
            self.escape(text);
        } else {
            self.escape(String::from_utf8_lossy(text).as_bytes());
        }
        valid
    }

    fn escape(&mut self, text: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut from = 0;
        for (at, &byte) in text.iter().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.put(&text[from..at]);
            from = at + 1;
            match byte {
                b'"' => self.out.put_array(b"\\\""),
                b'\\' => self.out.put_array(b"\\\\"),
                b'\n' => self.out.put_array(b"\\n"),
                b'\r' => self.out.put_array(b"\\r"),
                b'\t' => self.out.put_array(b"\\t"),
                _ => {
                    let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                    self.out.put_array(b"\\u00");
                    self.out.put_array(&digits);
                }
            }
        }
        self.out.put(&text[from..]);
    }
}

/// The text of an object. All that was put in is UTF-8.
fn text(bytes: &[u8]) -> String {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Whether a text is ASCII that needs no escape, as nearly all are. Looks at eight bytes at a time.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().all(|byte| *byte >= 0x20 && *byte < 0x80 && *byte != b'"' && *byte != b'\\');
    };
    text.as_chunks().0.iter().chain([last]).all(|word| !holds_special(u64::from_le_bytes(*word)))
}

/// Whether one of eight bytes is a control character, a quote, a backslash or not ASCII.
#[inline]
fn holds_special(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of a byte is set where it is below the limit; and maybe in bytes above one where it is.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8]) -> (String, bool) {
        let mut json = Writer::default();
        json.begin();
        let valid = json.text(&Key::new("k"), value);
        (json.finish(), valid)
    }

    fn read(json: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
        value["k"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn any_text_is_read_back_as_it_was() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c", "\n\r\t\0\u{1f}\u{7f}", "é💥", &all] {
            let (json, valid) = written(text.as_bytes());
            assert_eq!((read(&json).as_str(), valid), (text, true));
            assert!(!json.contains('\n'));
        }
    }

    #[test]
    fn every_byte_at_every_position_is_read_back() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let (json, valid) = written(&text);
                    assert_eq!(read(&json), String::from_utf8_lossy(&text), "{byte} at {at} of {length}");
                    assert_eq!(valid, byte < 0x80);
                }
            }
        }
    }

    #[test]
    fn objects_and_lists_without_members_are_left_out() {
        let key = Key::new;
        let mut json = Writer::default();
        for _ in 0..2 {
            json.begin();
            json.open(&key("a"));
            json.open(&key("b"));
            json.close();
            json.text(&key("c"), b"1");
            json.open(&key("d"));
            json.raw(&key("e"), b"2");
            json.close();
            json.close();
            json.open(&key("f"));
            json.open(&key("g"));
            json.list(&key("h"), [&b"x"[..], b"y"]);
            json.list(&key("i"), []);
            json.close();
            json.close();
            json.put("\"j\":true,");
            assert_eq!(json.finish(), r#"{"a":{"c":"1","d":{"e":2}},"f":{"g":{"h":["x","y"]}},"j":true}"#);
        }
        json.begin();
        assert_eq!(json.finish(), "{}");
    }
}
