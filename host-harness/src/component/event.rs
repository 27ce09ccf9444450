//! Whether an event is what the contract says: one JSON object on one line.
//!
//! # What it protects
//!
//! What a component hands over becomes a line in a file or a record in a pipeline, beside the lines of other tenants. An event
//! with a line break in it would be two; one that is no JSON would stop a reader behind us, and every event after it. So it is
//! held to what the strictest of them takes: the grammar of RFC 8259, no control characters, escapes of whole characters
//! (section 8.2), numbers that a `double` holds, at most 127 levels, and no name twice in an object: Elasticsearch refuses such a
//! document, and others take the first or the last of the two, so that two readers see two events.
//!
//! # Why no JSON library
//!
//! This is asked of every byte that is delivered. `serde_json` takes a quarter of the time that the component needs to make the
//! event, since it reads texts a byte or a word at a time; here they are passed over sixteen bytes at a time. The tests hold
//! both to the same verdict.
//!
//! Names are compared with those before them in their object, eight bytes of each at first. Where that would be slow (an object of
//! very many names) or wrong (a name with an escape in it is equal to one without), a second pass does it with sets; no document of
//! ours needs it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use wide::u8x16;

/// Levels of objects and lists within each other at most.
const MOST_LEVELS: usize = 127;
const LANE: usize = 16;

/// Names of one object that are compared with each other.
const MOST_COMPARED: usize = 64;

/// Whether texts are events. One for a whole batch: it keeps its memory.
#[derive(Default)]
pub struct Checker {
    /// Those of all objects that are open, outermost first.
    names: Vec<Name>,
}

impl Checker {
    /// Whether a text is one JSON object, without anything around it and on one line.
    pub fn is_object_on_a_line(&mut self, event: &str) -> bool {
        self.names.clear();
        let mut names = Names { open: &mut self.names, first: 0, is_unsure: false };
        event.starts_with('{')
            && check(event.as_bytes(), &mut names).is_some()
            && (!names.is_unsure || is_without_doubles(event))
    }
}

/// A name of an object, by where it stands.
#[derive(Clone, Copy)]
struct Name {
    /// Its length and some of its bytes: two that differ in it are two names.
    mark: u64,
    start: usize,
    end: usize,
}

/// The names of all open objects.
struct Names<'a> {
    open: &'a mut Vec<Name>,
    /// Where those of the innermost object begin.
    first: usize,
    /// Whether it takes a second pass to know.
    is_unsure: bool,
}

impl Names<'_> {
    /// Takes a name, from behind its first quote to its last; none if its object has it.
    #[inline(always)]
    fn add(&mut self, text: &[u8], start: usize, end: usize) -> Option<()> {
        let mark = mark(text, start, end);
        let before = self.open.get(self.first..)?;
        if before.len() >= MOST_COMPARED {
            self.is_unsure = true;
            return Some(());
        }
        // All of them, without a way out: that is a few instructions for several at once.
        if before.iter().fold(false, |found, name| found | (name.mark == mark)) {
            self.compare(text, start, end, mark)?;
        }
        self.open.push(Name { mark, start, end });
        Some(())
    }

    #[cold]
    fn compare(&self, text: &[u8], start: usize, end: usize, mark: u64) -> Option<()> {
        let is_same =
            |name: &Name| name.mark == mark && text.get(name.start..name.end) == text.get(start..end);
        (!self.open.get(self.first..)?.iter().any(is_same)).then_some(())
    }
}

/// The length of a name and its first and last bytes, as a number.
#[inline(always)]
fn mark(text: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    let bytes = match length {
        8.. => eight(text, start) ^ eight(text, end - 8).rotate_left(23),
        // What follows it is masked out.
        _ => eight(text, start) & ((1 << (8 * length)) - 1),
    };
    bytes ^ (length as u64).rotate_right(8)
}

/// Eight bytes as a number; at the very end of a text there are fewer.
#[inline(always)]
fn eight(text: &[u8], at: usize) -> u64 {
    #[cold]
    fn fewer(text: &[u8], at: usize) -> u64 {
        let rest = text.get(at..).unwrap_or_default();
        rest.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
    match text.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => fewer(text, at),
    }
}

/// The same for any names, by another reader of a text that is JSON.
#[cold]
fn is_without_doubles(event: &str) -> bool {
    Unique.deserialize(&mut serde_json::Deserializer::from_str(event)).is_ok()
}

/// A value in which no object has a name twice.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name that is there twice"));
            }
            map.next_value_seed(Unique)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What is open, innermost last: of each level one bit, set for an object, and where the names of the object around it begin.
struct Levels {
    objects: u128,
    count: usize,
    around: [usize; MOST_LEVELS],
}

impl Levels {
    #[inline(always)]
    fn open(&mut self, is_object: bool, names: &mut Names<'_>) -> Option<()> {
        *self.around.get_mut(self.count)? = names.first;
        self.objects = self.objects << 1 | u128::from(is_object);
        self.count += 1;
        if is_object {
            names.first = names.open.len();
        }
        Some(())
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }

    #[inline(always)]
    fn close(&mut self, names: &mut Names<'_>) {
        if self.is_object() {
            names.open.truncate(names.first);
        }
        self.objects >>= 1;
        self.count -= 1;
        names.first = self.around[self.count];
    }
}

/// Goes through a document that is an object; none where it is not one.
fn check(text: &[u8], names: &mut Names<'_>) -> Option<()> {
    let mut levels = Levels { objects: 0, count: 0, around: [0; MOST_LEVELS] };
    let mut at = 0;
    loop {
        // A value begins here.
        at = space(text, at);
        let byte = *text.get(at)?;
        at = match byte {
            b'"' => string(text, at + 1)?.0,
            b'{' | b'[' => {
                let is_object = byte == b'{';
                levels.open(is_object, names)?;
                at = space(text, at + 1);
                let end = if is_object { b'}' } else { b']' };
                if text.get(at) != Some(&end) {
                    if is_object {
                        at = name(text, at, names)?;
                    }
                    continue;
                }
                levels.close(names);
                at + 1
            }
            _ => bare(text, at)?,
        };
        // A value ended here, and with it maybe what it stands in.
        loop {
            if levels.count == 0 {
                return (at == text.len()).then_some(());
            }
            at = space(text, at);
            match (text.get(at)?, levels.is_object()) {
                (b',', true) => {
                    at = name(text, space(text, at + 1), names)?;
                    break;
                }
                (b',', false) => {
                    at += 1;
                    break;
                }
                (b'}', true) | (b']', false) => levels.close(names),
                _ => return None,
            }
            at += 1;
        }
    }
}

/// Passes over spaces. Line breaks are none here.
#[inline(always)]
fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Passes over a name and the colon behind it.
#[inline(always)]
fn name(text: &[u8], at: usize, names: &mut Names<'_>) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let (end, has_escapes) = string(text, at + 1)?;
    names.is_unsure |= has_escapes;
    names.add(text, at + 1, end - 1)?;
    let at = space(text, end);
    (text.get(at) == Some(&b':')).then_some(at + 1)
}

/// Passes over a text, from behind its first quote to behind its last. Says besides whether it has escapes.
#[inline(always)]
fn string(text: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut has_escapes = false;
    loop {
        let rest = text.get(at..)?;
        let special = match rest.first_chunk::<LANE>() {
            Some(lane) => {
                let lane = u8x16::new(*lane);
                let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
                let control = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
                (is(b'"') | is(b'\\') | control).to_bitmask().trailing_zeros() as usize
            }
            None => rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?,
        };
        if special >= LANE {
            at += LANE;
            continue;
        }
        at += special;
        match text[at] {
            b'"' => return Some((at + 1, has_escapes)),
            b'\\' => {
                has_escapes = true;
                at = escape(text, at + 1)?;
            }
            _ => return None,
        }
    }
}

/// Passes over an escape, from behind its backslash. A character in two halves must have both (RFC 8259 section 7).
#[cold]
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => match code(text, at + 1)? {
            0xd800..0xdc00 => {
                let second = text.get(at + 5..at + 7) == Some(b"\\u");
                let low = code(text, at + 7).filter(|low| second && (0xdc00..0xe000).contains(low));
                low.map(|_| at + 11)
            }
            0xdc00..0xe000 => None,
            _ => Some(at + 5),
        },
        _ => None,
    }
}

/// Four hexadecimal digits.
fn code(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?.iter().map(|digit| char::from(*digit).to_digit(16));
    digits.into_iter().try_fold(0, |code, digit| Some(code << 4 | digit?))
}

/// Passes over a number, `true`, `false` or `null`.
#[inline]
fn bare(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    for word in [&b"true"[..], b"false", b"null"] {
        if rest.starts_with(word) {
            return Some(at + word.len());
        }
    }
    number(rest).map(|length| at + length)
}

/// The length of a number that a text begins with.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let some = |count: usize| (count > 0).then_some(count);
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = some(digits(at))?;
    if whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        at += 1 + some(digits(at + 1))?;
    }
    let has_exponent = matches!(text.get(at), Some(b'e' | b'E'));
    if has_exponent {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at += some(digits(at))?;
    }
    // Up to 1.8e308 a double can hold, and readers differ in how they round beside it.
    if has_exponent || whole > 300 {
        return serde_json::from_slice::<f64>(&text[..at]).is_ok().then_some(at);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn is_object_on_a_line(event: &str) -> bool {
        Checker::default().is_object_on_a_line(event)
    }

    /// What another reader says of the same text.
    fn expected(text: &str) -> bool {
        expected_besides(text) && is_without_doubles(text)
    }

    /// The same of one that does not mind a name that is there twice.
    fn expected_besides(text: &str) -> bool {
        let on_one_line = !text.contains(['\n', '\r']);
        on_one_line
            && text.starts_with('{')
            && text.ends_with('}')
            && serde_json::from_str::<Value>(text).is_ok()
    }

    const SOUND: &[&str] = &[
        r#"{}"#,
        r#"{"a":[1,{"b":null}],"c":{},"d":[],"e":[[],[{}]]}"#,
        r#"{"a":-0.5e-3,"b":1E+9,"c":0,"d":-12,"e":true,"f":false,"g":1.25}"#,
        r#"{ "a" : [ 1 , 2 ] , "b" : "x" }"#,
        r#"{"text":"a long text of more than sixteen bytes, and \"quotes\", \\, \/, \b\f\n\r\t in it"}"#,
        r#"{"é":"💥 and \ud83d\udca5 and \u00e9 \uFFFF","k":"sixteen bytes ..","l":"fifteen bytes ."}"#,
        r#"{"@timestamp":"2026-06-01T10:15:30.123Z","event":{"id":"8d","kind":"event","duration":61000000},"related":{"ip":["203.0.113.7"]}}"#,
    ];

    #[test]
    fn any_byte_that_is_changed_left_out_or_put_in_is_judged_as_another_reader_judges_it() {
        let (mut sound, mut broken) = (0, 0);
        for text in SOUND {
            assert!(is_object_on_a_line(text), "{text}");
            for at in 0..=text.len() {
                let (before, after) = text.as_bytes().split_at(at);
                let rest = after.get(1..).unwrap_or_default();
                let mut texts = vec![[before, rest].concat(), before.to_vec(), after.to_vec()];
                for byte in (0..0x80).chain([0xc3, 0xff]) {
                    texts.push([before, &[byte], rest].concat());
                    texts.push([before, &[byte], after].concat());
                }
                for text in texts.iter().filter_map(|text| str::from_utf8(text).ok()) {
                    let expected = expected(text);
                    assert_eq!(is_object_on_a_line(text), expected, "{text:?}");
                    *(if expected { &mut sound } else { &mut broken }) += 1;
                }
            }
        }
        assert!(sound > 10_000 && broken > 50_000, "{sound} {broken}");
    }

    #[test]
    fn any_two_pieces_of_json_beside_each_other_are_judged_as_another_reader_judges_them() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"\"",
            "\"a\"",
            "1",
            "-",
            "0",
            "01",
            "1.",
            "1e",
            "1e400",
            "-1e-400",
            "true",
            "nul",
            "\\",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            " ",
            "\t",
            "\u{1}",
            "\n",
            "é",
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    for (before, behind) in [("{\"a\":", "}"), ("{\"a\":[", "]}"), ("{", "}"), ("", "")] {
                        let text = [before, one, two, three, behind].concat();
                        assert_eq!(is_object_on_a_line(&text), expected(&text), "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_document_is_as_deep_as_another_reader_takes_and_no_deeper() {
        for levels in [1, 126, 127, 128, 129, 100_000] {
            // Half of them objects, so that both kinds of levels are remembered.
            let open: String =
                (0..levels).map(|level| if level % 2 == 0 { "{\"a\":" } else { "[" }).collect();
            let close: String =
                (0..levels).rev().map(|level| if level % 2 == 0 { '}' } else { ']' }).collect();
            let text = format!("{open}1{close}");
            assert_eq!(is_object_on_a_line(&text), expected(&text), "{levels}");
            assert_eq!(is_object_on_a_line(&text), levels <= MOST_LEVELS, "{levels}");
        }
    }

    #[test]
    fn a_name_stands_once_in_its_object_and_as_often_as_wanted_in_others() {
        let many = |last: &str| {
            let names: Vec<String> =
                (0..1_000).map(|n| format!("\"a name, and it is number {n}\":{n}")).collect();
            format!("{{{},\"{last}\":0}}", names.join(","))
        };
        for sound in [
            r#"{"a":1,"b":{"a":1,"b":[{"a":1},{"a":{"a":1}}]},"c":2}"#,
            r#"{"":1,"a":2,"aa":3,"aaaaaaaa":4,"aaaaaaaaa":5,"A":6}"#,
            r#"{"\u0061":1,"b":{"a":2},"\\u0061":3}"#,
            r#"{"abcdefgh-1-abcdefgh":1,"abcdefgh-2-abcdefgh":2}"#,
            &many("another"),
        ] {
            assert!(is_object_on_a_line(sound), "{sound}");
        }
        for double in [
            r#"{"a":1,"a":2}"#,
            r#"{"":1,"":2}"#,
            r#"{"a":1,"b":{"x":[1,{"y":2}]},"a":2}"#,
            r#"{"a":[{"b":1,"c":{},"b":2}]}"#,
            r#"{"a name of more bytes":1,"b":2,"a name of more bytes":3}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"\u0061":1,"a":2}}"#,
            r#"{"a\"":1,"a\"":2}"#,
            r#"{"é":1,"\u00e9":2}"#,
            &many("a name, and it is number 0"),
            &many("a name, and it is number 999"),
        ] {
            assert!(!is_object_on_a_line(double), "{double}");
            // JSON it is.
            assert!(expected_besides(double), "{double}");
        }
        // One after the other, with what the first has left.
        let mut checker = Checker::default();
        assert!(
            checker.is_object_on_a_line(r#"{"a":{"b":1}}"#)
                && checker.is_object_on_a_line(r#"{"a":1,"b":2}"#)
        );
        assert!(
            !checker.is_object_on_a_line(r#"{"a":{"b":"#) && checker.is_object_on_a_line(r#"{"a":1,"b":2}"#)
        );
    }

    #[test]
    fn a_number_is_judged_as_another_reader_judges_it_up_to_the_last_double() {
        for digits in [300, 301, 308, 309, 310, 1000] {
            for number in ["1", "17976931348623157", "17976931348623158", "9"] {
                let whole = number.to_owned() + &"0".repeat(digits - number.len());
                for text in [
                    whole.clone(),
                    format!("-{whole}"),
                    format!("{whole}.5"),
                    format!("{number}e{}", digits - 1),
                ] {
                    let text = format!("{{\"a\":{text}}}");
                    assert_eq!(is_object_on_a_line(&text), expected(&text), "{text}");
                }
            }
        }
        for number in
            ["1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e-400", "0e999"]
        {
            let text = format!("{{\"a\":{number}}}");
            assert_eq!(is_object_on_a_line(&text), expected(&text), "{text}");
        }
    }
}
