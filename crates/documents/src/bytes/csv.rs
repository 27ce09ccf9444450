//! CSV rows out of a stream of bytes, as borrowed fields.
//!
//! The grammar is RFC 4180 as event log files use it ("Event Log File: Supported Event Types", object reference): every
//! value in quotes, a quote within doubled, line breaks within allowed, LF between rows. CRLF, values without quotes and
//! empty lines are read as well. A field that goes on after its closing quote is read as if the quote were text.
//!
//! Why no CSV library: a row must be handed out together with the exact bytes it came from. They are what a
//! checkpoint counts and verifies, and what is delivered when the row makes no sense. A reader that unescapes into
//! buffers of its own cannot tell them, and copies every field once more than needed.

use super::{
    lanes::{self, BLOCK, Masks},
    padded::{PADDING, Padded},
    row::Row,
};
use memchr::{memchr, memchr2};
use std::{
    io::{self, Read},
    ops::Range,
};

/// A row longer than this is not held in memory. Salesforce's longest fields have 131,072 characters.
pub const MAX_ROW: usize = 1 << 20;
const CHUNK: usize = 128 * 1024;

/// Where a field's text lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    /// Whether it lies in the unescaped text and not in the row itself.
    unescaped: bool,
}

/// A position in the row being scanned.
enum Scan {
    /// The row ends.
    End {
        /// Before this offset from its start.
        length: usize,
        /// Whether a line break ended it, and not the stream.
        terminated: bool,
    },
    /// More bytes are needed to tell.
    More,
}

/// Reads rows from a stream.
pub struct Rows<R> {
    input: R,
    /// Behind what was read there are always [`PADDING`] bytes more.
    buffer: Vec<u8>,
    /// The current row, and what follows it, lie between these.
    start: usize,
    end: usize,
    exhausted: bool,
    /// What went wrong while looking ahead: told once what was read before is used up.
    failed: Option<io::Error>,
    /// Offset in the stream of what lies at `start`.
    offset: u64,
    row: usize,
    /// Whether a line break ended the row, and not the stream.
    terminated: bool,
    spans: Vec<Span>,
    unescaped: Vec<u8>,
    /// Whether the row is ASCII without control characters and backslashes, its quotes around fields alone.
    plain: bool,
    /// Where in the buffer the row before lies; once that is filled anew, it lies in `previous`. And the offset of its end.
    previous_at: Option<Range<usize>>,
    previous: Vec<u8>,
    previous_end: u64,
    /// Whether every row is read byte by byte.
    #[cfg(test)]
    careful: bool,
}

/// What the stream holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A row; see [`Rows::row`].
    Row,
    /// A row of more than [`MAX_ROW`] bytes. Its beginning is the row; the rest was skipped.
    TooLong,
    /// Nothing any more.
    End,
    /// It was not to be waited for. Nothing is lost of what was read.
    NotYet,
}

impl<R: Read> Rows<R> {
    /// Rows of a stream of which `offset` bytes were read before.
    pub fn new(input: R, offset: u64) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            exhausted: false,
            failed: None,
            offset,
            row: 0,
            terminated: false,
            spans: Vec::new(),
            unescaped: Vec::new(),
            plain: false,
            previous_at: None,
            previous: Vec::new(),
            previous_end: offset,
            #[cfg(test)]
            careful: false,
        }
    }

    /// The same rows, of which each is read byte by byte.
    #[cfg(test)]
    pub fn carefully(self) -> Self {
        Self { careful: true, ..self }
    }

    /// Goes on to the next row. Empty lines are passed over.
    #[cfg(test)]
    pub fn advance(&mut self) -> io::Result<Next> {
        self.advance_while(|| true)
    }

    /// Goes on to the next row, as long as `go_on` says so, which is asked before each wait for more of the stream. Empty
    /// lines are passed over.
    #[inline]
    pub fn advance_while(&mut self, mut go_on: impl FnMut() -> bool) -> io::Result<Next> {
        if self.row > 0 {
            self.previous_at = Some(self.start..self.start + self.row);
            self.previous_end = self.offset + self.row as u64;
        }
        self.consume(self.row);
        self.row = 0;
        loop {
            match self.scan() {
                Scan::End { length: 0, .. } if self.exhausted => return Ok(Next::End),
                Scan::End { length, .. } if self.is_blank(length) => self.consume(length),
                Scan::End { length, .. } => {
                    self.row = length;
                    return Ok(Next::Row);
                }
                Scan::More if self.end - self.start >= MAX_ROW => {
                    self.row = self.end - self.start;
                    self.spans.clear();
                    return Ok(Next::TooLong);
                }
                Scan::More if go_on() => self.fill()?,
                Scan::More => return Ok(Next::NotYet),
            }
        }
    }

    /// After [`Next::TooLong`]: passes over the rest of the row, up to the line break that ends it. False if the stream
    /// ended before one.
    pub fn skip_rest(&mut self) -> io::Result<bool> {
        let mut state = FieldState::Start;
        let mut length = self.row;
        loop {
            let bytes = &self.buffer[self.start..self.start + length];
            let found = state.pass(bytes);
            self.consume(found.unwrap_or(length));
            self.row = 0;
            if found.is_some() {
                self.accept_rest();
                return Ok(true);
            }
            if self.start == self.end {
                if self.exhausted {
                    return Ok(false);
                }
                self.fill()?;
            }
            length = self.end - self.start;
        }
    }

    /// After [`skip_rest`](Self::skip_rest) came to the end of the stream: takes what was skipped for a whole row.
    pub fn accept_rest(&mut self) {
        self.previous_at = None;
        self.previous.clear();
        self.previous_end = self.offset;
    }

    /// Reads ahead until so many bytes of what follows the row are there, or all that comes, as long as `go_on` says so. What is
    /// there may end within a row. At most [`MAX_ROW`] is of use.
    pub fn look_ahead(&mut self, most: usize, mut go_on: impl FnMut() -> bool) -> &[u8] {
        while self.end - self.start < self.row + most && !self.exhausted && self.failed.is_none() && go_on() {
            if let Err(error) = self.fill() {
                self.failed = Some(error);
            }
        }
        &self.buffer[self.start + self.row..self.end]
    }

    /// The bytes of the row, with its line break.
    pub fn row(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.row]
    }

    /// Whether a line break ended the row. If not, the stream ended, and there may have been more of the row.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// The last row that was handed out whole, and the offset of its end: this one, or the one before if this one could
    /// not be read. Empty if it was too long to be kept.
    pub fn last_row(&self) -> (&[u8], u64) {
        if self.row > 0 {
            return (self.row(), self.position());
        }
        let previous = self.previous_at.clone().map_or(&self.previous[..], |at| &self.buffer[at]);
        (previous, self.previous_end)
    }

    /// How many fields the row has.
    pub fn width(&self) -> usize {
        self.spans.len()
    }

    /// The bytes of a field, unescaped. Empty if there is no such field.
    pub fn field(&self, index: usize) -> &[u8] {
        self.fields().get(index).bytes()
    }

    /// All fields.
    #[inline]
    pub fn fields(&self) -> Fields<'_> {
        Fields {
            row: self.buffer.get(self.start..).unwrap_or_default(),
            spans: &self.spans,
            unescaped: &self.unescaped,
            plain: self.plain,
        }
    }

    /// Gives the row back: the position is that before it. To be used when nothing more is read.
    pub fn unread(&mut self) {
        self.row = 0;
        self.spans.clear();
    }

    /// Offset in the stream of the end of the row.
    pub fn position(&self) -> u64 {
        self.offset + self.row as u64
    }

    /// Reads up to `most` bytes past the row: those that are there, or that come next. None at the end of the stream.
    pub fn skip_some(&mut self, most: u64) -> io::Result<&[u8]> {
        self.consume(self.row);
        self.row = 0;
        if self.start == self.end && !self.exhausted {
            self.fill()?;
        }
        let part = usize::try_from(most).unwrap_or(usize::MAX).min(self.end - self.start);
        self.consume(part);
        Ok(&self.buffer[self.start - part..self.start])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    fn is_blank(&self, length: usize) -> bool {
        matches!(&self.buffer[self.start..self.start + length], b"\n" | b"\r\n" | b"\r")
    }

    fn fill(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Some(at) = self.previous_at.take() {
            self.previous.clear();
            self.previous.extend_from_slice(&self.buffer[at]);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let capacity = self.buffer.len().saturating_sub(PADDING);
        if capacity < self.end + CHUNK {
            // Doubled, so that a long row is scanned again only as often as it doubles.
            let capacity = (capacity * 2).clamp(2 * CHUNK, MAX_ROW + 2 * CHUNK).max(self.end + CHUNK);
            self.buffer.resize(capacity + PADDING, 0);
        }
        let capacity = self.buffer.len() - PADDING;
        loop {
            match self.input.read(&mut self.buffer[self.end..capacity]) {
                Ok(count) => {
                    self.exhausted = count == 0;
                    self.end += count;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds the fields of the row at `start`, and its end.
    fn scan(&mut self) -> Scan {
        let length = self.end - self.start;
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        self.spans.clear();
        let found = regular(bytes, length, &mut self.spans);
        #[cfg(test)]
        let found = found.filter(|_| !self.careful);
        let scan = match found {
            Some((length, plain)) => {
                self.plain = plain;
                Scan::End { length, terminated: true }
            }
            None => {
                self.plain = false;
                let bytes = bytes.get(..length).unwrap_or_default();
                carefully(bytes, self.exhausted, &mut self.spans, &mut self.unescaped)
            }
        };
        if let Scan::End { terminated, .. } = scan {
            self.terminated = terminated;
        }
        scan
    }
}

/// Where in a field a byte stands, as [`Rows::scan`] sees it. A quote counts only where a field begins with one.
#[derive(Clone, Copy)]
enum FieldState {
    /// At its beginning.
    Start,
    /// Outside quotes.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind a quote that ends the field, unless another follows.
    Closing,
}

impl FieldState {
    /// Goes on behind some bytes, or up to behind the line break that ends the row, of which it gives the offset.
    fn pass(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            at += 1;
            *self = match (*self, byte) {
                (Self::Start, b'"') | (Self::Closing, b'"') => Self::Quoted,
                (Self::Start | Self::Plain | Self::Closing, b',') => Self::Start,
                (Self::Start | Self::Plain | Self::Closing, b'\n') => return Some(at),
                (Self::Start | Self::Plain | Self::Closing, _) => Self::Plain,
                (Self::Quoted, b'"') => Self::Closing,
                (Self::Quoted, _) => {
                    at = memchr(b'"', &bytes[at..]).map_or(bytes.len(), |found| at + found);
                    Self::Quoted
                }
            };
        }
        None
    }
}

/// Finds the fields of a row of which all is there, and whose quotes stand around fields alone, as in nearly all rows: its
/// length, and whether it is plain. None if it is another. The bytes go on for [`PADDING`] more than so many.
///
/// It depends on no type of the caller's, so that it is compiled here, for speed.
#[inline(never)]
fn regular(bytes: &[u8], length: usize, spans: &mut Vec<Span>) -> Option<(usize, bool)> {
    let (mut quotes, mut quoted, mut odd) = (0, 0, 0);
    // All ones if what comes next lies within quotes.
    let mut within = 0u64;
    let mut from = 0;
    for (nth, block) in bytes.as_chunks::<BLOCK>().0.iter().enumerate() {
        let at = nth * BLOCK;
        if at >= length {
            return None;
        }
        let masks = Masks::of(block);
        let there = lanes::below(length - at);
        let inside = lanes::parity(masks.quotes & there) ^ within;
        let line = (masks.lines & there & !inside).trailing_zeros();
        // Up to the line feed that ends the row, or to what is not there yet.
        let row = there & lanes::below(line as usize);
        let mut ends = masks.separators & row & !inside;
        quotes += (masks.quotes & row).count_ones();
        odd |= masks.odd & row;
        while ends != 0 {
            let end = at + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            let (span, is_quoted) = field(bytes, from, end)?;
            spans.push(span);
            quoted += u32::from(is_quoted);
            from = end + 1;
        }
        if line < u64::BITS {
            let end = at + line as usize;
            let (span, is_quoted) = field(bytes, from, end)?;
            spans.push(span);
            quoted += u32::from(is_quoted);
            // No quotes but those around fields.
            return (quotes == 2 * quoted).then_some((end + 1, odd == 0));
        }
        // The highest bit, in all positions.
        within = 0u64.wrapping_sub(inside >> 63);
    }
    None
}

/// The same for any row, byte by byte.
#[inline(never)]
fn carefully(bytes: &[u8], exhausted: bool, spans: &mut Vec<Span>, unescaped: &mut Vec<u8>) -> Scan {
    spans.clear();
    unescaped.clear();
    let mut at = 0;
    loop {
        let (span, next) = if bytes.get(at) == Some(&b'"') {
            match quoted(bytes, at, exhausted, unescaped) {
                Some(found) => found,
                None => return Scan::More,
            }
        } else {
            let end = memchr2(b',', b'\n', &bytes[at..]).map(|found| at + found);
            match end {
                Some(end) => (plain(bytes, at, end), end),
                None if exhausted => (plain(bytes, at, bytes.len()), bytes.len()),
                None => return Scan::More,
            }
        };
        if next == 0 && bytes.is_empty() {
            return Scan::End { length: 0, terminated: false };
        }
        spans.push(span);
        match bytes.get(next) {
            Some(b',') => at = next + 1,
            Some(_) => return Scan::End { length: next + 1, terminated: true },
            None => return Scan::End { length: next, terminated: false },
        }
    }
}

/// A field that begins and ends with a quote, or that begins with none: its text, and whether there are quotes around it. None
/// if it is another.
#[inline(always)]
fn field(bytes: &[u8], from: usize, end: usize) -> Option<(Span, bool)> {
    match bytes.get(from..end)? {
        [b'"', .., b'"'] => Some((Span { start: from + 1, end: end - 1, unescaped: false }, true)),
        [b'"', ..] | [.., b'\r'] => None,
        _ => Some((Span { start: from, end, unescaped: false }, false)),
    }
}

/// A field without quotes. A CR before the line break belongs to the line break.
fn plain(bytes: &[u8], start: usize, end: usize) -> Span {
    let line_ends = bytes.get(end).is_none_or(|byte| *byte == b'\n');
    let end = if line_ends && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
    Span { start, end, unescaped: false }
}

/// A field that starts with a quote: its span, and the offset of what follows it. None if more bytes are needed.
fn quoted(bytes: &[u8], start: usize, exhausted: bool, unescaped: &mut Vec<u8>) -> Option<(Span, usize)> {
    let mut field = Quoted { bytes, begin: start + 1, from: start + 1, copied: unescaped.len(), unescaped };
    let mut at = field.from;
    loop {
        let Some(quote) = memchr(b'"', &bytes[at..]).map(|found| at + found) else {
            // An unclosed quote goes on to the end of the stream.
            return exhausted.then(|| (field.until(bytes.len()), bytes.len()));
        };
        match bytes.get(quote + 1) {
            Some(b'"') => {
                field.unescape(quote);
                at = field.from;
                continue;
            }
            Some(b',' | b'\n') => return Some((field.until(quote), quote + 1)),
            Some(b'\r') if bytes.get(quote + 2) == Some(&b'\n') => {
                return Some((field.until(quote), quote + 2));
            }
            Some(b'\r') if bytes.len() == quote + 2 => {
                return exhausted.then(|| (field.until(quote), quote + 2));
            }
            None => return exhausted.then(|| (field.until(quote), quote + 1)),
            Some(_) => {}
        }
        // The field goes on after its closing quote. It ends where one without quotes would.
        let end = match memchr2(b',', b'\n', &bytes[quote..]) {
            Some(found) => quote + found,
            None if exhausted => bytes.len(),
            None => return None,
        };
        return Some((field.until(plain(bytes, quote, end).end), end));
    }
}

/// A field that started with a quote.
struct Quoted<'a> {
    bytes: &'a [u8],
    begin: usize,
    /// What lies before this was copied.
    from: usize,
    /// Where in the unescaped text the copy starts.
    copied: usize,
    unescaped: &'a mut Vec<u8>,
}

impl Quoted<'_> {
    /// Copies up to a doubled quote, and the first quote of it.
    fn unescape(&mut self, quote: usize) {
        self.unescaped.extend_from_slice(&self.bytes[self.from..=quote]);
        self.from = quote + 2;
    }

    /// The field, if its text ends here. Borrowed as long as nothing was copied.
    fn until(&mut self, end: usize) -> Span {
        if self.from == self.begin {
            return Span { start: self.begin, end, unescaped: false };
        }
        self.unescaped.extend_from_slice(&self.bytes[self.from..end]);
        Span { start: self.copied, end: self.unescaped.len(), unescaped: true }
    }
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// The row, and what lies behind it.
    row: &'a [u8],
    spans: &'a [Span],
    unescaped: &'a [u8],
    plain: bool,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn get(self, index: usize) -> Padded<'a> {
        match self.spans.get(index) {
            Some(span) if span.unescaped => Padded::exact(&self.unescaped[span.start..span.end]),
            Some(span) => Padded::new(&self.row[span.start..], span.end - span.start),
            None => Padded::exact(&[]),
        }
    }
}

impl Row for Fields<'_> {
    #[inline(always)]
    fn field(&self, index: usize) -> &[u8] {
        self.get(index).bytes()
    }

    #[inline(always)]
    fn padded(&self, index: usize) -> Padded<'_> {
        self.get(index)
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.plain
    }
}

/// A row that is put together anew, field by field.
#[derive(Default)]
pub struct Rewritten {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

impl Rewritten {
    /// Takes all fields out.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.bytes.clear();
    }

    /// Adds a field.
    pub fn push(&mut self, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.spans.push(Span { start, end: self.bytes.len(), unescaped: true });
    }

    /// All fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields { row: &[], spans: &self.spans, unescaped: &self.bytes, plain: false }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::json::is_plain, *};

    /// Gives out its bytes in pieces of the given sizes, and an error at the end if asked to.
    struct Pieces<'a> {
        bytes: &'a [u8],
        size: usize,
        fails: bool,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.bytes.is_empty() && self.fails {
                return Err(io::Error::other("cut"));
            }
            let count = self.size.min(buffer.len()).min(self.bytes.len());
            buffer[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes = &self.bytes[count..];
            Ok(count)
        }
    }

    fn read(text: &[u8], size: usize) -> Vec<Vec<String>> {
        let mut rows = Rows::new(Pieces { bytes: text, size, fails: false }, 0);
        let mut all = Vec::new();
        let mut raw = Vec::new();
        while rows.advance().expect("no error") == Next::Row {
            all.push(
                (0..rows.width()).map(|i| String::from_utf8_lossy(rows.field(i)).into_owned()).collect(),
            );
            raw.extend_from_slice(rows.row());
            assert!(rows.position() <= text.len() as u64);
        }
        assert_eq!(rows.position(), text.len() as u64, "{:?}", String::from_utf8_lossy(text));
        all
    }

    #[test]
    fn fields_are_read_as_salesforce_writes_them() {
        for (text, expected) in [
            ("\"a\",\"b\"\n\"c\",\"d\"\n", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("\"a\",\"\"\n", vec![vec!["a", ""]]),
            ("\"\"\"https://x\"\"\",\"b\"\n", vec![vec!["\"https://x\"", "b"]]),
            ("\"two\nlines\",\"b\"\n", vec![vec!["two\nlines", "b"]]),
            ("\"a\",\"b\"\r\n\"c\",\"d\"", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("a,b\r\nc,\n", vec![vec!["a", "b"], vec!["c", ""]]),
            ("\n\n\"a\"\n\r\n\"b\"\n", vec![vec!["a"], vec!["b"]]),
            ("\"a\"x,\"b\"\n", vec![vec!["a\"x", "b"]]),
            ("\"open,\n\"b\"\n", vec![vec!["open,\n\"b\""]]),
            ("\"a\0b\"\n", vec![vec!["a\0b"]]),
            ("", vec![]),
            ("\n", vec![]),
        ] {
            for size in [1, 2, 3, 1000] {
                assert_eq!(read(text.as_bytes(), size), expected, "{text:?} in pieces of {size}");
            }
        }
    }

    /// The `csv` crate as the judge, on texts made of the characters that matter.
    #[test]
    fn any_regular_text_is_read_as_another_reader_reads_it() {
        let mut seed = 7u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..3000 {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            if random(2) == 0 {
                writer = csv::WriterBuilder::new()
                    .flexible(true)
                    .quote_style(csv::QuoteStyle::Always)
                    .from_writer(Vec::new());
            }
            for _ in 0..=random(4) {
                let fields: Vec<String> = (0..=random(4))
                    .map(|_| {
                        (0..random(6))
                            .map(|_| ["a", "\"", ",", "\n", "é", " ", "\r\n"][random(7) as usize])
                            .collect()
                    })
                    .collect();
                // A row of one empty field is an empty line in one reader and a field in the other.
                if fields.len() > 1 || !fields[0].is_empty() {
                    writer.write_record(&fields).expect("memory does not fail");
                }
            }
            let text = writer.into_inner().expect("memory does not fail");
            let mut judge =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
            let expected: Vec<Vec<String>> = judge
                .records()
                .map(|record| record.expect("valid").iter().map(str::to_owned).collect())
                .collect();
            let size = 1 + random(9) as usize;
            assert_eq!(read(&text, size), expected, "{:?}", String::from_utf8_lossy(&text));
        }
    }

    /// The bytes of a row, its fields, whether it is terminated, where it ends, and the bytes of the last row.
    type Told = (Vec<u8>, Vec<Vec<u8>>, bool, u64, Vec<u8>);

    /// All that can be told of the rows of a text that comes in two parts.
    fn told(text: &[u8], split: usize, careful: bool) -> Vec<Told> {
        let (first, second) = text.split_at(split);
        let rows = Rows::new(first.chain(second), 0);
        let mut rows = if careful { rows.carefully() } else { rows };
        let mut all = Vec::new();
        while rows.advance().expect("no error") == Next::Row {
            let fields = |rows: &Rows<_>| (0..rows.width()).map(|index| rows.field(index).to_vec()).collect();
            for index in 0..rows.width() {
                assert_eq!(rows.fields().padded(index).bytes(), rows.field(index));
            }
            if rows.fields().is_plain() {
                let values: Vec<Vec<u8>> = fields(&rows);
                assert!(values.iter().all(|value| is_plain(value)), "{values:?}");
            }
            let (previous, end) = rows.last_row();
            assert_eq!(end, rows.position());
            all.push((rows.row().to_vec(), fields(&rows), rows.is_terminated(), end, previous.to_vec()));
        }
        all
    }

    #[test]
    fn a_row_that_is_read_in_blocks_is_the_same_that_is_read_byte_by_byte() {
        let mut seed = 11u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let pieces = [
            "a",
            "\",\"",
            "\",\"",
            "\"\n\"",
            "\"",
            ",",
            "\n",
            "\r\n",
            "\r",
            "\"\"",
            "é",
            "\\",
            "\t",
            "\0",
            "0055j000004XYz1AAE",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0",
        ];
        let (mut fast, mut rows) = (0, 0);
        for round in 0..2500 {
            // Most are as Salesforce writes them, and some are odd in one position or in all.
            let odd = [0, 0, 3, 30][round % 4];
            let mut text = String::from("\"");
            for _ in 0..=random(40) {
                text.push_str(match random(100) < odd {
                    true => pieces[random(pieces.len() as u64) as usize],
                    false => [pieces[0], pieces[1], pieces[14], pieces[15], pieces[3]][random(5) as usize],
                });
            }
            text.push_str(["\"\n", "\"", ""][random(3) as usize]);
            let text = text.as_bytes();
            let expected = told(text, 0, true);
            let splits = if round % 50 == 0 { 0..=text.len() } else { 0..=0 };
            for split in splits {
                assert_eq!(
                    told(text, split, false),
                    expected,
                    "{:?} at {split}",
                    String::from_utf8_lossy(text)
                );
            }
            let mut one = Rows::new(text, 0);
            while one.advance().expect("no error") == Next::Row {
                rows += 1;
                fast += u64::from(one.fields().is_plain());
            }
        }
        assert!(fast > rows / 4 && fast < rows, "{fast} of {rows} rows are plain");
    }

    #[test]
    fn a_row_knows_the_bytes_it_came_from_and_where_it_ends() {
        let text = b"\"a\",\"x\"\"y\"\n\"c\",\"d\"\n";
        let mut rows = Rows::new(&text[..], 100);
        assert_eq!(rows.advance().expect("row"), Next::Row);
        assert_eq!((rows.row(), rows.position()), (&text[..11], 111));
        assert_eq!(rows.advance().expect("row"), Next::Row);
        assert_eq!((rows.row(), rows.position()), (&text[11..], 119));
        assert_eq!(rows.advance().expect("end"), Next::End);
    }

    #[test]
    fn rows_before_a_cut_are_read_and_the_cut_is_told() {
        for size in [1, 5, 100] {
            let mut rows = Rows::new(Pieces { bytes: b"\"a\"\n\"b\"\n\"c", size, fails: true }, 0);
            assert_eq!(rows.advance().expect("row"), Next::Row);
            assert_eq!(rows.advance().expect("row"), Next::Row);
            assert_eq!(rows.field(0), b"b");
            assert_eq!(rows.advance().expect_err("cut").to_string(), "cut");
            assert_eq!(rows.last_row(), (&b"\"b\"\n"[..], 8));
        }
    }

    #[test]
    fn a_row_that_never_ends_is_given_up_in_bounded_memory() {
        let mut text = b"\"id\",\"".to_vec();
        text.extend(std::iter::repeat_n(b'x', 5 * MAX_ROW));
        text.extend(b"\"\n\"next\",\"row\"\n");
        let mut rows = Rows::new(Pieces { bytes: &text, size: 40_000, fails: false }, 0);
        assert_eq!(rows.advance().expect("row"), Next::TooLong);
        assert!(rows.row().starts_with(b"\"id\",\"xxx"));
        assert!(rows.buffer.len() <= MAX_ROW + 2 * CHUNK + PADDING, "{}", rows.buffer.len());
        assert!(rows.skip_rest().expect("no error"));
        assert_eq!(rows.advance().expect("row"), Next::Row);
        assert_eq!(rows.field(1), b"row");
        assert_eq!(rows.position(), text.len() as u64);
    }

    /// A row that is too long ends where the same row ends that is not: whatever quotes stand in it.
    #[test]
    fn the_row_behind_one_that_is_too_long_is_read_whatever_quotes_stand_in_it() {
        let long = "x".repeat(2 * MAX_ROW);
        for row in [
            format!("\"a\",{long}\"b,\"c\""),
            format!("\"a\"\"b{long}\",\"c\""),
            format!("\"a\"b\"{long},c"),
            format!("a\"b,{long}"),
            format!("{long},\"c\n\"\"\nd\","),
            format!("{long},\"c\"\r"),
            format!("{long},\"c\"d\re\"\r"),
            format!("\"{}\"\"\n{long}\"", "y".repeat(MAX_ROW)),
        ] {
            let text = format!("{row}\n\"next\",\"row\"\n");
            for size in [MAX_ROW - 1, MAX_ROW + 1, 3_000_017] {
                let mut rows = Rows::new(Pieces { bytes: text.as_bytes(), size, fails: false }, 0);
                assert_eq!(rows.advance().expect("row"), Next::TooLong);
                assert!(rows.skip_rest().expect("no error"), "{:.20} {}", row, &row[row.len() - 20..]);
                assert_eq!(rows.position(), row.len() as u64 + 1, "{:.20} {}", row, &row[row.len() - 20..]);
                assert_eq!(rows.advance().expect("row"), Next::Row);
                assert_eq!((rows.width(), rows.field(1)), (2, &b"row"[..]));
            }
        }
        for row in [format!("\"{long}\"\"\n"), format!("{long},\"\n\na,"), long.clone()] {
            let mut rows = Rows::new(Pieces { bytes: row.as_bytes(), size: 70_001, fails: false }, 0);
            assert_eq!(rows.advance().expect("row"), Next::TooLong);
            assert!(!rows.skip_rest().expect("no error"));
            assert_eq!(rows.position(), row.len() as u64);
        }
    }

    #[test]
    fn blank_lines_at_the_end_are_no_rows_and_count_as_bytes() {
        for blank in ["\n", "\n\n", "\r\n", "\r\n\n\r\n", "\r"] {
            let text = format!("\"a\"\n\"b\"\n{blank}");
            for size in [1, 2, 1000] {
                let mut rows = Rows::new(Pieces { bytes: text.as_bytes(), size, fails: false }, 0);
                for position in [4, 8] {
                    assert_eq!((rows.advance().expect("row"), rows.position()), (Next::Row, position));
                }
                for _ in 0..2 {
                    assert_eq!(
                        (rows.advance().expect("end"), rows.position()),
                        (Next::End, text.len() as u64)
                    );
                }
                assert_eq!(rows.last_row(), (&b"\"b\"\n"[..], 8), "{blank:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn bytes_can_be_skipped_up_to_a_checkpoint() {
        let mut rows = Rows::new(Pieces { bytes: b"\"h\"\n\"a\"\n\"b\"\n", size: 3, fails: false }, 0);
        assert_eq!(rows.advance().expect("header"), Next::Row);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let part = rows.skip_some(4 - seen.len() as u64).expect("no error");
            assert!(!part.is_empty());
            seen.extend_from_slice(part);
        }
        assert_eq!((seen.as_slice(), rows.position()), (&b"\"a\"\n"[..], 8));
        assert_eq!(rows.advance().expect("row"), Next::Row);
        assert_eq!(rows.field(0), b"b");
        while !rows.skip_some(9).expect("no error").is_empty() {}
        assert_eq!(rows.position(), 12);
    }
}
