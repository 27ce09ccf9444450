//! Whether an event is what the contract says: one JSON object on one line.
//!
//! # What it protects
//!
//! What a component hands over becomes a line in a file or a record in a pipeline, beside the lines of other tenants. An event
//! with a line break in it would be two; one that is no JSON would stop a reader behind us, and every event after it. So it is
//! held to what the strictest of them takes: the grammar of RFC 8259, no control characters, escapes of whole characters
//! (section 8.2), numbers that a `double` holds, and at most 127 levels.
//!
//! # Why no JSON library
//!
//! This is asked of every byte that is delivered. `serde_json` takes a quarter of the time that the component needs to make the
//! event, since it reads texts a byte or a word at a time; here they are passed over sixteen bytes at a time. The tests hold
//! both to the same verdict.

use wide::u8x16;

/// Levels of objects and lists within each other at most.
const MOST_LEVELS: usize = 127;
const LANE: usize = 16;

/// Whether a text is one JSON object, without anything around it and on one line.
pub fn is_object_on_a_line(event: &str) -> bool {
    event.starts_with('{') && check(event.as_bytes()).is_some()
}

/// What is open, innermost last: of each level one bit, set for an object.
#[derive(Default)]
struct Levels {
    objects: u128,
    count: usize,
}

impl Levels {
    fn open(&mut self, is_object: bool) -> Option<()> {
        (self.count < MOST_LEVELS).then(|| {
            self.objects = self.objects << 1 | u128::from(is_object);
            self.count += 1;
        })
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.count -= 1;
    }
}

/// Goes through a document that is an object; none where it is not one.
fn check(text: &[u8]) -> Option<()> {
    let mut levels = Levels::default();
    let mut at = 0;
    loop {
        // A value begins here.
        at = space(text, at);
        let byte = *text.get(at)?;
        at = match byte {
            b'"' => string(text, at + 1)?,
            b'{' | b'[' => {
                let is_object = byte == b'{';
                levels.open(is_object)?;
                at = space(text, at + 1);
                let end = if is_object { b'}' } else { b']' };
                if text.get(at) != Some(&end) {
                    if is_object {
                        at = name(text, at)?;
                    }
                    continue;
                }
                levels.close();
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
                    at = name(text, space(text, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at += 1;
                    break;
                }
                (b'}', true) | (b']', false) => levels.close(),
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
fn name(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let at = space(text, string(text, at + 1)?);
    (text.get(at) == Some(&b':')).then_some(at + 1)
}

/// Passes over a text, from behind its first quote to behind its last.
#[inline(always)]
fn string(text: &[u8], mut at: usize) -> Option<usize> {
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
            b'"' => return Some(at + 1),
            b'\\' => at = escape(text, at + 1)?,
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

    /// What another reader says of the same text.
    fn expected(text: &str) -> bool {
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
