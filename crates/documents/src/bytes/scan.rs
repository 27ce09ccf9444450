//! JSON that may be damaged: where a value ends, and what a text says.
//!
//! Why no JSON library: one raw control character, one byte that is not UTF-8, one lone surrogate makes it refuse the whole
//! answer, and with it every other record. Here a text ends at its quote, whatever stands in it, and is decoded by itself;
//! what could not be read is told in words. The frame (brackets, commas, colons, names) is held to the grammar (RFC 8259),
//! since that is how a quote that is missing or too many is noticed.

use super::json::is_plain;
use memchr::memchr2;
use std::{borrow::Cow, fmt};

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end inside a value.
    End,
    /// Something stands where it must not.
    Here,
}

/// Reads JSON from front to back.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    /// Offset of what is read next.
    pub at: usize,
    /// The brackets that are open. On the heap: how deep a value lies is up to whoever wrote it.
    open: Vec<u8>,
    /// How many were open at once at most, in all values that were passed over.
    pub deepest: usize,
}

/// What is told of a value while it is passed over.
pub trait Visit {
    /// A text, as it stands between the quotes.
    fn text(&mut self, raw: &[u8]);
    /// What is neither text, list nor object: a number, `true`, `false`, `null`, or something that is none.
    fn bare(&mut self, token: &[u8]);
}

/// Passes over a value and looks at nothing.
pub struct Pass;

impl Visit for Pass {
    fn text(&mut self, _: &[u8]) {}
    fn bare(&mut self, _: &[u8]) {}
}

/// What can be said of all that was passed over.
pub struct Soundness {
    /// Whether it is JSON.
    pub sound: bool,
    /// Whether its numbers are such that any reader takes them.
    pub usual: bool,
    /// How many texts there are in it, names included.
    pub texts: usize,
}

impl Visit for Soundness {
    fn text(&mut self, raw: &[u8]) {
        self.texts += 1;
        self.sound &= is_plain(raw) || decode(raw).1.is_empty();
    }

    fn bare(&mut self, token: &[u8]) {
        self.sound &= is_literal(token);
        self.usual &= is_usual(token);
    }
}

impl<'a> Scanner<'a> {
    /// Reads from an offset on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, open: Vec::new(), deepest: 0 }
    }

    /// All bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over white space.
    #[inline]
    pub fn space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Passes over a byte, if it is the next one.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Why nothing goes on from here.
    fn stop(&self) -> Stop {
        if self.at < self.bytes.len() { Stop::Here } else { Stop::End }
    }

    /// Reads a text: what stands between its quotes.
    #[inline]
    pub fn text(&mut self) -> Result<&'a [u8], Stop> {
        if !self.take(b'"') {
            return Err(self.stop());
        }
        let start = self.at;
        let mut from = start;
        loop {
            let Some(found) = quote_or_backslash(self.bytes, from) else {
                self.at = self.bytes.len();
                return Err(Stop::End);
            };
            if self.bytes[found] == b'"' {
                self.at = found + 1;
                return Ok(&self.bytes[start..found]);
            }
            from = found + 2;
        }
    }

    /// Reads the name of a member, up to its value.
    #[inline]
    pub fn name(&mut self) -> Result<&'a [u8], Stop> {
        self.space();
        let name = self.text()?;
        self.space();
        if !self.take(b':') {
            return Err(self.stop());
        }
        self.space();
        Ok(name)
    }

    /// Passes over a number, a word, or what stands in its place.
    #[inline]
    pub fn bare(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"' | 0..=b' ');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        if length == 0 || self.at == self.bytes.len() {
            return Err(self.stop());
        }
        Ok(&rest[..length])
    }

    /// Passes over a value, and gives it as it came.
    pub fn value(&mut self, visit: &mut impl Visit) -> Result<&'a [u8], Stop> {
        let start = self.at;
        self.open.clear();
        loop {
            // A value begins here.
            match self.peek() {
                Some(b'"') => visit.text(self.text()?),
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.space();
                    if !self.take(closing(bracket)) {
                        self.open.push(bracket);
                        self.deepest = self.deepest.max(self.open.len());
                        if bracket == b'{' {
                            visit.text(self.name()?);
                        }
                        continue;
                    }
                }
                _ => visit.bare(self.bare()?),
            }
            // A value ended here, and with it maybe what it is the last of.
            loop {
                let Some(bracket) = self.open.last().copied() else {
                    return Ok(&self.bytes[start..self.at]);
                };
                self.space();
                if self.take(b',') {
                    if bracket == b'{' {
                        visit.text(self.name()?);
                    }
                    self.space();
                    break;
                }
                if !self.take(closing(bracket)) {
                    return Err(self.stop());
                }
                self.open.pop();
            }
        }
    }
}

/// Where the next quote or backslash is. Nearly all texts are short: they are looked at eight bytes at a time, in place.
#[inline]
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const SHORT: usize = 32;
    let rest = bytes.get(from..)?;
    for (nth, word) in rest.as_chunks().0.iter().take(SHORT / 8).enumerate() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of a byte is set where it is this one; and maybe in bytes behind it.
        let is = |byte: u8| {
            let other = word ^ (ONES * u64::from(byte));
            other.wrapping_sub(ONES) & !other & (ONES << 7)
        };
        let found = is(b'"') | is(b'\\');
        if found != 0 {
            return Some(from + 8 * nth + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = SHORT.min(rest.len() / 8 * 8);
    memchr2(b'"', b'\\', &rest[passed..]).map(|found| from + passed + found)
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

/// Names of one object that are held without an allocation, and those that are compared with each other in all.
const FEW_NAMES: usize = 64;
const MOST_NAMES: usize = 2000;

/// Whether an object of a value has a name twice, or may have: of very many names nobody knows, and two that are spelled with escapes can be
/// one. The value is JSON of few levels.
pub fn has_twins(value: &[u8]) -> bool {
    fn pass(scanner: &mut Scanner<'_>) -> Option<()> {
        scanner.space();
        match scanner.peek()? {
            b'"' => drop(scanner.text().ok()?),
            b'{' => {
                let (mut few, mut count, mut more) = ([&[][..]; FEW_NAMES], 0, Vec::<&[u8]>::new());
                // A bit for each name: nearly all names have one of their own.
                let mut seen = [0u64; 64];
                scanner.at += 1;
                scanner.space();
                while !scanner.take(b'}') {
                    let name = scanner.name().ok()?;
                    let hash = name
                        .iter()
                        .fold(0u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
                    let (word, bit) = ((hash >> 26) as usize, 1u64 << (hash >> 20 & 63));
                    let maybe = seen[word] & bit != 0;
                    seen[word] |= bit;
                    let is_known = maybe && (few[..count].contains(&name) || more.contains(&name));
                    if is_known || name.contains(&b'\\') || more.len() >= MOST_NAMES {
                        return None;
                    }
                    if count < FEW_NAMES {
                        few[count] = name;
                        count += 1;
                    } else {
                        more.push(name);
                    }
                    pass(scanner)?;
                    scanner.take(b',');
                }
            }
            b'[' => {
                scanner.at += 1;
                scanner.space();
                while !scanner.take(b']') {
                    pass(scanner)?;
                    scanner.take(b',');
                    scanner.space();
                }
            }
            _ => drop(scanner.bare().ok()?),
        }
        scanner.space();
        Some(())
    }
    pass(&mut Scanner::new(value, 0)).is_none()
}

/// Whether this is `null`, `true`, `false` or a number as JSON writes them.
pub fn is_literal(token: &[u8]) -> bool {
    matches!(token, b"null" | b"true" | b"false") || is_number(token)
}

/// Whether this is a number as JSON writes it (RFC 8259 section 6), of whatever size.
pub fn is_number(token: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then(|| &text[count..])
    }
    let after = |text: &[u8]| -> Option<bool> {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        let mut rest = text.strip_prefix(b"0").or_else(|| digits(text))?;
        if let Some(fraction) = rest.strip_prefix(b".") {
            rest = digits(fraction)?;
        }
        if let [b'e' | b'E', exponent @ ..] = rest {
            let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
            rest = digits(exponent)?;
        }
        Some(rest.is_empty())
    };
    after(token) == Some(true)
}

/// Whether a number is one that a double holds, by its looks. Many readers take no other.
pub fn is_usual(token: &[u8]) -> bool {
    let exponent = token.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let digits = |at: usize| token[at..].iter().filter(|byte| byte.is_ascii_digit()).count();
    token.len() < 100 && exponent.map_or(0, digits) <= 2
}

/// A number as JSON writes it.
pub fn number(text: &str) -> Option<f64> {
    is_number(text.as_bytes()).then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Surrogate,
    Bytes,
    Control,
    Escape,
}

/// Something that is wrong with a text, in words: `held a lone surrogate at character 12, replaced by U+FFFD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oddity {
    kind: Kind,
    /// The first character that has it, counted from 1.
    at: usize,
    times: usize,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, many, remedy) = match self.kind {
            Kind::Surrogate => ("a lone surrogate", "lone surrogates", "replaced by U+FFFD"),
            Kind::Bytes => {
                ("bytes that are not UTF-8", "runs of bytes that are not UTF-8", "replaced by U+FFFD")
            }
            Kind::Control => ("a raw control character", "raw control characters", "kept"),
            Kind::Escape => {
                ("an escape that JSON does not have", "escapes that JSON does not have", "kept as written")
            }
        };
        match self.times {
            1 => write!(f, "held {one} at character {}, {remedy}", self.at),
            times => write!(f, "held {times} {many}, the first at character {}, {remedy}", self.at),
        }
    }
}

/// What a text says that stands so between its quotes, and what is wrong with it.
#[inline]
pub fn decode(raw: &[u8]) -> (Cow<'_, str>, Vec<Oddity>) {
    if let Ok(text) = str::from_utf8(raw)
        && (is_plain(raw) || !raw.iter().any(|byte| *byte == b'\\' || *byte < 0x20))
    {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut decoder = Decoder { out: String::with_capacity(raw.len()), oddities: Vec::new() };
    decoder.read(raw);
    (Cow::Owned(decoder.out), decoder.oddities)
}

struct Decoder {
    out: String,
    oddities: Vec<Oddity>,
}

impl Decoder {
    fn read(&mut self, mut raw: &[u8]) {
        while let Some(found) = raw.iter().position(|byte| *byte == b'\\' || *byte < 0x20) {
            self.characters(&raw[..found]);
            let special = raw[found];
            raw = &raw[found + 1..];
            if special == b'\\' {
                raw = self.escape(raw);
            } else {
                self.note(Kind::Control);
                self.out.push(char::from(special));
            }
        }
        self.characters(raw);
    }

    fn characters(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.out.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.note(Kind::Bytes);
                self.out.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Reads what stands behind a backslash, and gives what follows.
    fn escape<'r>(&mut self, raw: &'r [u8]) -> &'r [u8] {
        let (character, length) = match raw.first() {
            Some(byte @ (b'"' | b'\\' | b'/')) => (char::from(*byte), 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => match unicode(raw) {
                Some((Some(character), length)) => (character, length),
                Some((None, length)) => {
                    self.note(Kind::Surrogate);
                    (char::REPLACEMENT_CHARACTER, length)
                }
                None => {
                    self.note(Kind::Escape);
                    ('\\', 0)
                }
            },
            _ => {
                self.note(Kind::Escape);
                ('\\', 0)
            }
        };
        self.out.push(character);
        &raw[length..]
    }

    #[cold]
    fn note(&mut self, kind: Kind) {
        match self.oddities.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.times += 1,
            None => {
                let at = self.out.chars().count() + 1;
                self.oddities.push(Oddity { kind, at, times: 1 });
            }
        }
    }
}

/// The character of `u0041`, or of two such that are a pair, and its length; none is the half of a pair alone.
fn unicode(raw: &[u8]) -> Option<(Option<char>, usize)> {
    let unit = |raw: &[u8]| {
        let digits =
            raw.strip_prefix(b"u")?.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(raw)?;
    let second = raw[5..].strip_prefix(b"\\").and_then(unit);
    match (first, second) {
        (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
            let code = 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            Some((char::from_u32(code), 11))
        }
        _ => Some((char::from_u32(first), 5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(raw: &[u8]) -> (String, Vec<String>) {
        let (text, oddities) = decode(raw);
        (text.into_owned(), oddities.iter().map(Oddity::to_string).collect())
    }

    #[test]
    fn a_sound_text_says_what_a_json_library_says_and_a_damaged_one_what_is_wrong() {
        for raw in
            ["", "plain", "é💥", r#"a\"b\\c\/d"#, r"\b\f\n\r\t", r"A\u00e9", r"\ud83d\udCA5!", r"\u0000"]
        {
            let expected: String = serde_json::from_str(&format!("\"{raw}\"")).expect("JSON");
            assert_eq!(words(raw.as_bytes()), (expected, Vec::new()), "{raw}");
        }
        for (raw, text, said) in [
            (&br"ab\ud83d"[..], "ab\u{fffd}", "held a lone surrogate at character 3, replaced by U+FFFD"),
            (
                br"\udca5\ud83d\ud83d\udca5\ud83dx",
                "\u{fffd}\u{fffd}💥\u{fffd}x",
                "held 3 lone surrogates, the first at character 1, replaced by U+FFFD",
            ),
            (
                b"\xc3\xa9\xff\xfe",
                "é\u{fffd}\u{fffd}",
                "held 2 runs of bytes that are not UTF-8, the first at character 2, replaced by U+FFFD",
            ),
            (
                b"a\xed\xa0\xbd",
                "a\u{fffd}\u{fffd}\u{fffd}",
                "held 3 runs of bytes that are not UTF-8, the first at character 2, replaced by U+FFFD",
            ),
            (b"a\tb", "a\tb", "held a raw control character at character 2, kept"),
            (br"a\x41", r"a\x41", "held an escape that JSON does not have at character 2, kept as written"),
            (br"\u12", r"\u12", "held an escape that JSON does not have at character 1, kept as written"),
            (b"\\", "\\", "held an escape that JSON does not have at character 1, kept as written"),
            (br"\u+123", r"\u+123", "held an escape that JSON does not have at character 1, kept as written"),
        ] {
            assert_eq!(words(raw), (text.to_owned(), vec![said.to_owned()]), "{raw:?}");
        }
        let (text, said) = words(b"\x01\\ud800\xff\\q");
        assert_eq!((text.as_str(), said.len()), ("\u{1}\u{fffd}\u{fffd}\\q", 4), "{said:?}");
    }

    #[test]
    fn numbers_are_those_that_json_has() {
        for text in ["0", "-0", "12", "0.5", "1e9", "1.2E-30", "1E+999", "-12345678901234567890.5"] {
            assert!(is_number(text.as_bytes()), "{text}");
        }
        for text in
            ["", "-", "+1", "01", ".5", "1.", "1e", "0x10", "NaN", "Infinity", "1 2", "1e+", "--1", "nul"]
        {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_value_ends_where_it_ends_whatever_its_texts_hold() {
        for value in [
            "\"a\\\"]}\"",
            "{}",
            "[]",
            "[ ]",
            "{\"a\":[1,{\"b\":\"}\"}],\"c\":null}",
            "[[],{},[{}]]",
            "12",
            "nul",
            "\"\\ud800 \u{1} \\x\"",
            "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }",
        ] {
            let text = format!("{value},");
            let mut scanner = Scanner::new(text.as_bytes(), 0);
            assert_eq!(scanner.value(&mut Pass), Ok(value.as_bytes()), "{value}");
            for cut in 0..value.len() {
                let mut scanner = Scanner::new(&value.as_bytes()[..cut], 0);
                assert_eq!(scanner.value(&mut Pass), Err(Stop::End), "{}", &value[..cut]);
            }
        }
        for (value, at) in [
            ("{\"a\" 1}", 5),
            ("[1}", 2),
            ("{\"a\":1]", 6),
            ("{1:2}", 1),
            ("[,]", 1),
            ("{\"a\":}", 5),
            ("[\"a\"b\"]", 4),
        ] {
            let mut scanner = Scanner::new(value.as_bytes(), 0);
            assert_eq!((scanner.value(&mut Pass), scanner.at), (Err(Stop::Here), at), "{value}");
        }
    }

    #[test]
    fn a_value_ten_million_levels_deep_is_passed_over_level_by_level() {
        const DEEP: usize = 10_000_000;
        let mut text = "[".repeat(DEEP);
        assert_eq!(Scanner::new(text.as_bytes(), 0).value(&mut Pass), Err(Stop::End));
        text.push_str(&"]".repeat(DEEP));
        assert_eq!(Scanner::new(text.as_bytes(), 0).value(&mut Pass).map(<[u8]>::len), Ok(2 * DEEP));
    }
}
