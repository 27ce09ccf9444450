//! Text to tokens.
//!
//! Literals are told apart here by their shape: date-times stand unquoted in SOQL (`2026-01-02T03:04:05.678Z`, an offset
//! instead of the `Z` is allowed), strings in single quotes with backslash escapes (SOQL guide, "Quoted String Escape
//! Sequences" and "Date Formats").

use chrono::{DateTime, NaiveDate, Timelike as _, Utc};

use super::error::{Fault, SoqlError};

/// A token and the byte offset where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A keyword or a name; names may be dotted.
    Word(String),
    /// A quoted string, unescaped.
    Text(String),
    /// A number.
    Number(f64),
    /// A date-time with its zone resolved.
    DateTime(DateTime<Utc>),
    /// A date without time.
    Date,
    /// `,`
    Comma,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `:`
    Colon,
    /// `=`, `!=` (also written `<>`), `<`, `<=`, `>`, `>=`
    Operator(&'static str),
    /// The end of the statement.
    End,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => write!(f, "{number}"),
            Self::DateTime(_) => f.write_str("dateTime"),
            Self::Date => f.write_str("date"),
            Self::Comma => f.write_str(","),
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::Colon => f.write_str(":"),
            Self::Operator(operator) => f.write_str(operator),
            Self::End => f.write_str("<EOF>"),
        }
    }
}

fn malformed(at: usize, message: impl Into<String>) -> SoqlError {
    SoqlError::new(Fault::MalformedQuery, at, message)
}

/// Splits a statement into tokens; the last one is always [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, SoqlError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let next = bytes.get(at + 1).copied();
        let (kind, length) = match (byte, next) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {
                at += 1;
                continue;
            }
            (b',', _) => (Kind::Comma, 1),
            (b'(', _) => (Kind::Open, 1),
            (b')', _) => (Kind::Close, 1),
            (b':', _) => (Kind::Colon, 1),
            (b'!', Some(b'=')) | (b'<', Some(b'>')) => (Kind::Operator("!="), 2),
            (b'<', Some(b'=')) => (Kind::Operator("<="), 2),
            (b'>', Some(b'=')) => (Kind::Operator(">="), 2),
            (b'=', _) => (Kind::Operator("="), 1),
            (b'<', _) => (Kind::Operator("<"), 1),
            (b'>', _) => (Kind::Operator(">"), 1),
            (b'\'', _) => quoted(text, at)?,
            (b'0'..=b'9' | b'-' | b'+', _) => literal(text, at)?,
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => {
                let rest = &text[at..];
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
                    .unwrap_or(rest.len());
                (Kind::Word(rest[..end].to_owned()), end)
            }
            _ => {
                let found = text[at..].chars().next().unwrap_or(' ');
                return Err(malformed(
                    at,
                    format!("line 1:{at} no viable alternative at character '{found}'"),
                ));
            }
        };
        tokens.push(Token { kind, at: start });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, at: text.len() });
    Ok(tokens)
}

/// A string from its opening quote at `at`; also how many bytes it takes.
fn quoted(text: &str, at: usize) -> Result<(Kind, usize), SoqlError> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\'' => return Ok((Kind::Text(value), offset + 2)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n' | 'N') => value.push('\n'),
                Some('r' | 'R') => value.push('\r'),
                Some('t' | 'T') => value.push('\t'),
                Some('b' | 'B') => value.push('\u{8}'),
                Some('f' | 'F') => value.push('\u{c}'),
                Some(c @ ('\'' | '"' | '\\')) => value.push(c),
                // LIKE needs to tell `\%` and `\_` from the wildcards, so the backslash stays.
                Some(c @ ('%' | '_')) => value.extend(['\\', c]),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                    value.push(code.and_then(char::from_u32).ok_or_else(|| {
                        malformed(at + 1 + offset, format!("Illegal string escape '\\u{digits}'"))
                    })?);
                }
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(malformed(at + 1 + offset, format!("Illegal string escape '\\{other}'")));
                }
            },
            c => value.push(c),
        }
    }
    Err(malformed(at, "unexpected end of string literal: missing closing quote"))
}

/// A number, date or date-time from `at`; also how many bytes it takes.
fn literal(text: &str, at: usize) -> Result<(Kind, usize), SoqlError> {
    let rest = &text[at..];
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '+' | '-')))
        .unwrap_or(rest.len());
    let word = &rest[..end];
    let unexpected = || malformed(at, format!("unexpected token: '{word}'"));
    let looks_like_date =
        word.as_bytes().get(4) == Some(&b'-') && word.len() >= 10 && word.is_char_boundary(10);
    if !looks_like_date {
        let plain = word.bytes().skip(1).all(|c| c.is_ascii_digit() || c == b'.');
        let number = word.parse::<f64>().ok().filter(|_| plain).ok_or_else(unexpected)?;
        return Ok((Kind::Number(number), end));
    }
    if word.len() == 10 {
        NaiveDate::parse_from_str(word, "%Y-%m-%d").map_err(|_| unexpected())?;
        return Ok((Kind::Date, end));
    }
    let time = DateTime::parse_from_rfc3339(word).map_err(|_| unexpected())?;
    // Clients send six digits of a fraction too, as tap-salesforce does. What Salesforce makes of the last three no page says.
    let millis = time.nanosecond() / 1_000_000 * 1_000_000;
    let time = time.with_timezone(&Utc).with_nanosecond(millis).ok_or_else(unexpected)?;
    Ok((Kind::DateTime(time), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Kind {
        tokens(text).unwrap()[0].kind.clone()
    }

    #[test]
    fn date_times_with_and_without_milliseconds_and_with_offsets_are_the_same_instant() {
        let expected = one("2026-01-02T03:04:05Z");
        assert!(matches!(expected, Kind::DateTime(_)));
        for text in ["2026-01-02T03:04:05.000Z", "2026-01-02T04:04:05+01:00", "2026-01-01T22:04:05.0-05:00"] {
            assert_eq!(one(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fraction_of_more_than_three_digits_is_read_to_the_millisecond() {
        let millis = one("2026-01-02T03:04:05.678Z");
        for text in
            ["2026-01-02T03:04:05.678000Z", "2026-01-02T03:04:05.678999Z", "2026-01-02T03:04:05.6789Z"]
        {
            assert_eq!(one(text), millis, "{text}");
        }
        assert!(matches!(one("9999-12-31T23:59:59Z"), Kind::DateTime(_)));
    }

    #[test]
    fn a_date_time_whose_plus_became_a_blank_is_malformed() {
        let error = tokens("2026-01-02T03:04:05 01:00").unwrap_err();
        assert_eq!((error.fault, error.at), (Fault::MalformedQuery, 0));
    }

    #[test]
    fn a_string_is_unescaped_and_keeps_escaped_wildcards_apart() {
        assert_eq!(one(r"'a\'b\\c\u0041'"), Kind::Text(r"a'b\cA".to_owned()));
        assert_eq!(one(r"'50\%'"), Kind::Text(r"50\%".to_owned()));
        assert_eq!(tokens(r"'\q'").unwrap_err().fault, Fault::MalformedQuery);
    }

    #[test]
    fn a_string_without_its_closing_quote_is_malformed() {
        assert_eq!(tokens("x = 'abc").unwrap_err().at, 4);
    }

    #[test]
    fn tokens_know_where_they_begin() {
        let offsets: Vec<usize> = tokens("a  >= 12").unwrap().iter().map(|t| t.at).collect();
        assert_eq!(offsets, [0, 3, 6, 8]);
    }
}
