//! Forms: how the text of a column becomes a value.
//!
//! Most forms pick a part of the text, or say its meaning; nothing is copied for that. The others write a number, a date or
//! a list. Nothing here allocates.

use super::codes::Table;
use crate::bytes::{
    json::{Key, Writer},
    time::Time,
};
use std::net::Ipv6Addr;

/// How a column becomes a value.
#[derive(Clone, Copy)]
pub enum Form {
    /// As it is, as text.
    Keyword,
    /// As it is; of a record, a number as a number, and `true` and `false` as themselves.
    Given,
    /// Without the quotes that Salesforce puts around some values.
    Unquoted,
    /// As a list of one.
    ListOfOne,
    /// As a list of one, a code by its meaning.
    ListOfCode(Table),
    /// A whole number.
    Long,
    /// A number, always with a fraction, so that a column is of one type in every document.
    Double,
    /// `1` and `0` as true and false.
    Boolean,
    /// Milliseconds, written in nanoseconds.
    MillisAsNanos,
    /// Whole milliseconds; what lies below one is cut off.
    Millis,
    /// A date and time.
    Date,
    /// A date and time in milliseconds since 1970.
    Epoch,
    /// A method of HTTP, in capitals (RFC 9110 section 9, RFC 5789).
    Method,
    /// An e-mail address.
    Email,
    /// An address; left out where it is none.
    Ip,
    /// The other values of a column of addresses, such as `Salesforce.com IP`.
    NoIp,
    /// A value of digits alone; others are left out.
    Digits,
    /// The other values of such a column, without quotes around them.
    NoDigits,
    /// A user agent: a product and its version; others are left out (RFC 9110 section 10.1.5).
    Agent,
    /// The id of a user, alone; ids of others and lists of ids are left out.
    OneUser,
    /// An id; left out where it is the constant that stands for none.
    NoEmptyKey,
    /// A code with a meaning; others as they are.
    Code(Table),
    /// What the first three digits mean; others as they are.
    Prefix(Table),
    /// `success` for this value, else `failure`.
    Outcome(&'static str),
    /// `success` or `failure` for what is known to be one; others are left out.
    Status,
    /// `1.2` of `TLSv1.2`; others as they are.
    TlsVersion,
    /// `tls` of `TLSv1.2`; others are left out.
    TlsProtocol,
    /// The user in `For user X, ...`.
    Target,
    /// The user there, if it is an e-mail address.
    TargetEmail,
    /// The user there, if it is an e-mail address of the plain kind.
    TargetAddress,
    /// The user there, up to the `@`.
    TargetName,
    /// What stands behind the `@`.
    TargetDomain,
    /// The scheme of a URL.
    Scheme,
    /// The host of a URL.
    Domain,
    /// The path of a URL, decoded.
    Path,
    /// What the last part of the path ends with after a dot.
    Extension,
    /// What stands behind the `?`.
    Query,
    /// The actions of an Aura request: objects of id, scheme, controller, method and duration.
    Actions,
}

/// What Salesforce writes in place of its own addresses ("Event Log File: Login Event Type").
const OWN_ADDRESS: &[u8] = b"Salesforce.com IP";

impl Form {
    /// What a value is not that does not fit.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Long => "is not a whole number",
            Self::Double | Self::MillisAsNanos | Self::Millis | Self::Given => "is not a number that fits",
            Self::Boolean => "is neither true nor false",
            Self::Date | Self::Epoch => "is not a time",
            Self::Method => "is no method of HTTP",
            Self::Email => "is no e-mail address",
            Self::Ip => "is not an address",
            _ => "is not valid UTF-8; what is not was replaced",
        }
    }

    /// The form of a column that may stand for the same field, by the type that the field has; none where that is a list.
    pub fn of_its_type(self) -> Option<Self> {
        match self {
            Self::Long | Self::MillisAsNanos | Self::Millis | Self::Epoch => Some(Self::Long),
            Self::Double | Self::Boolean | Self::Date | Self::Ip => Some(self),
            Self::Actions | Self::ListOfOne | Self::ListOfCode(_) => None,
            _ => Some(Self::Keyword),
        }
    }

    /// The text to write, where it is one and there is one. Whether the value is an address is known before.
    pub fn part(self, value: &[u8], is_address: bool) -> Option<&[u8]> {
        let found = |found: bool| found.then_some(value);
        match self {
            Self::Ip => found(is_address),
            Self::NoIp => found(!is_address),
            Self::Digits => found(is_digits(value)),
            Self::NoDigits if is_digits(value) => None,
            Self::NoDigits | Self::Unquoted => Some(unquoted(value)),
            Self::Agent => Some(unquoted(value)).filter(|value| is_agent(value)),
            Self::OneUser => found(is_user(value)),
            Self::NoEmptyKey => found(!value.starts_with(b"000000000000000")),
            Self::Code(table) | Self::ListOfCode(table) => {
                Some(meaning(table, value).or_else(|| meaning(table, code_within(value)?)).unwrap_or(value))
            }
            Self::Prefix(table) => {
                let digits = value.get(..3).filter(|_| is_digits(value));
                Some(digits.and_then(|digits| meaning(table, digits)).unwrap_or(value))
            }
            Self::Outcome(success) => Some(outcome(value == success.as_bytes())),
            Self::Status => status(value).map(outcome),
            Self::TlsVersion => Some(tls(value).map_or(value, |(_, version)| version)),
            Self::TlsProtocol => tls(value).map(|(protocol, _)| protocol),
            Self::Target => target(value),
            Self::TargetEmail => target(value).filter(|user| user.contains(&b'@')),
            Self::TargetAddress => target(value).filter(|user| is_email(user)),
            Self::TargetName => {
                target(value).map(|user| split_once(user, b'@').map_or(user, |(name, _)| name))
            }
            Self::TargetDomain => {
                target(value).and_then(|user| split_once(user, b'@')).map(|(_, domain)| domain)
            }
            Self::Scheme => Url::of(value).scheme,
            Self::Domain => Url::of(value).domain,
            Self::Path => Url::of(value).path,
            Self::Extension => Url::of(value).extension(),
            Self::Query => Url::of(value).query,
            _ => Some(value),
        }
    }

    /// Writes a value that is not empty. False if it is not what the form promises; what can be written is written all the
    /// same.
    pub fn write(self, json: &mut Writer, key: &Key, value: &[u8], is_address: bool) -> bool {
        match self {
            Self::Long => match whole_number(value) {
                Some(digits) => json.raw(key, digits),
                None => match Digits::of(value).as_ref().and_then(|digits| whole_number(digits.text())) {
                    Some(digits) => json.raw(key, digits),
                    None => return false,
                },
            },
            Self::Double => match Decimal::of(value) {
                Some(number) if number.is_whole => json.pieces(key, &[value, b".0"]),
                Some(number) if number.has_exponent => double(json, key, value),
                Some(_) => json.raw(key, value),
                None => return false,
            },
            Self::Boolean => match value {
                b"1" | b"true" | b"TRUE" => json.raw(key, b"true"),
                b"0" | b"false" | b"FALSE" => json.raw(key, b"false"),
                _ => return false,
            },
            Self::MillisAsNanos => return nanos(json, key, value),
            Self::Millis => return millis(json, key, value),
            Self::Epoch => match canonical(value).or_else(|| parsed(value)) {
                Some(date) => json.integer(key, epoch(&date)),
                None => return false,
            },
            Self::Method => match METHODS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(value)) {
                Some(method) => return json.part(key, method.as_bytes()),
                None => return false,
            },
            Self::Email if !is_email(value) => return false,
            Self::Date => match canonical(value).or_else(|| parsed(value)) {
                Some(date) => return json.part(key, &date),
                None => return false,
            },
            Self::ListOfOne | Self::ListOfCode(_) => return json.list_of_parts(key, self.part(value, false)),
            Self::Actions => actions(json, key, value),
            _ => {
                let Some(text) = self.part(value, is_address) else {
                    return !matches!(self, Self::Ip) || value == OWN_ADDRESS;
                };
                return if matches!(self, Self::Path) && text.contains(&b'%') {
                    json.decoded(key, text)
                } else {
                    json.part(key, text)
                };
            }
        }
        true
    }

    /// Writes a number, `true` or `false` of a record as it came. False if it is a number that no index could hold.
    pub fn write_bare(json: &mut Writer, key: &Key, value: &[u8]) -> bool {
        match Decimal::of(value) {
            Some(number) if number.has_exponent => double(json, key, value),
            Some(number) if number.is_whole && whole_number(value).is_none() => return false,
            None if !matches!(value, b"true" | b"false") => return false,
            _ => json.raw(key, value),
        }
        true
    }
}

/// The methods of HTTP.
const METHODS: &[&str] = &["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];

/// Whether a text is an e-mail address of the plain kind: a name, an `@`, and a host with a dot in it.
fn is_email(value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(byte);
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    split_once(value, b'@').is_some_and(|(name, host)| {
        let dot = host.iter().position(|byte| *byte == b'.').unwrap_or(0);
        !name.is_empty()
            && name.iter().all(is_name)
            && dot > 0
            && dot + 1 < host.len()
            && host.iter().all(|byte| is_label(byte) || *byte == b'.')
    })
}

fn meaning(table: Table, code: &[u8]) -> Option<&'static [u8]> {
    table.iter().find(|(known, _)| known.as_bytes() == code).map(|(_, meaning)| meaning.as_bytes())
}

fn outcome(success: bool) -> &'static [u8] {
    if success { b"success" } else { b"failure" }
}

/// Whether a status is known to be a success or a failure: a REQUEST_STATUS, a flag, or a text that begins so. What went
/// before the word in `AutomatedSuccess`, `JobComplete` and `ReportedDenied` says how it came to it.
fn status(value: &[u8]) -> Option<bool> {
    let begins = |word: &[u8]| value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match value {
        b"S" | b"R" | b"1" | b"true" | b"TRUE" | b"LOGIN_NO_ERROR" | b"AutomatedSuccess" | b"JobComplete" => {
            Some(true)
        }
        b"F" | b"A" | b"N" | b"0" | b"false" | b"FALSE" | b"ReportedDenied" => Some(false),
        _ if begins(b"succe") => Some(true),
        _ if begins(b"fail") || begins(b"error") || begins(b"denied") || begins(b"block") => Some(false),
        _ => None,
    }
}

/// `success` or `failure` of what several columns say: a failure in one of them is one, whatever the others say. A request
/// that was answered well can have started a job that failed.
pub fn outcome_of<'v>(values: impl Iterator<Item = &'v [u8]>) -> Option<&'static [u8]> {
    success_of(values).map(outcome)
}

/// The same, as true or false.
pub fn success_of<'v>(values: impl Iterator<Item = &'v [u8]>) -> Option<bool> {
    let mut success = None;
    for value in values {
        match status(value) {
            Some(false) => return Some(false),
            Some(true) => success = Some(true),
            None => {}
        }
    }
    success
}

/// The code in `HIGH_ASSURANCE(db=10,api=HIGH_ASSURANCE)`, which stands in Logout files of real orgs.
fn code_within(value: &[u8]) -> Option<&[u8]> {
    let (_, rest) = split_once(value.strip_suffix(b")")?, b'(')?;
    let (code, _) = split_once(rest.strip_prefix(b"db=")?, b',')?;
    Some(code)
}

/// Whether a text begins as a user agent does: `Mozilla/5.0 (X11)`, `curl/8.7.1`.
fn is_agent(value: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    split_once(value, b'/').is_some_and(|(product, rest)| {
        let version = &rest[..rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len())];
        !product.is_empty()
            && product.iter().all(is_token)
            && version.iter().any(u8::is_ascii_digit)
            && version.iter().all(is_token)
    })
}

/// Whether a text is the id of a user, in 15 or 18 characters ("Standard Object Prefixes": 005).
fn is_user(value: &[u8]) -> bool {
    matches!(value.len(), 15 | 18) && value.starts_with(b"005") && value.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether two names are of the same user. The longer form of an id begins with the shorter one.
pub fn is_same_user(one: &[u8], other: &[u8]) -> bool {
    one == other || (one.len().min(other.len()) == 15 && (one.starts_with(other) || other.starts_with(one)))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == at)?;
    Some((&text[..at], &text[at + 1..]))
}

fn is_digits(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_digit)
}

/// A value that Salesforce wrote in quotes of its own ("Event Log File: Supported Event Types"), without them.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// `TLSv1.2`, `TLS 1.2`: the protocol in lower case, and the version.
fn tls(value: &[u8]) -> Option<(&'static [u8], &[u8])> {
    let at = value.iter().position(|byte| matches!(byte, b'v' | b'V' | b' '))?;
    let (protocol, version) = (&value[..at], &value[at + 1..]);
    let known: [&[u8]; 2] = [b"tls", b"ssl"];
    let protocol = known.into_iter().find(|known| known.eq_ignore_ascii_case(protocol))?;
    version.first().is_some_and(u8::is_ascii_digit).then_some((protocol, version))
}

/// X of `For user X, ...`.
fn target(value: &[u8]) -> Option<&[u8]> {
    const START: &[u8] = b"for user ";
    let start = value.get(..START.len())?;
    let (user, _) = split_once(&value[START.len()..], b',')?;
    (start.eq_ignore_ascii_case(START) && !user.is_empty()).then_some(user)
}

/// The parts of a URL, or of a path with a query (RFC 3986 section 3).
#[derive(Default)]
struct Url<'v> {
    scheme: Option<&'v [u8]>,
    domain: Option<&'v [u8]>,
    path: Option<&'v [u8]>,
    query: Option<&'v [u8]>,
}

impl<'v> Url<'v> {
    fn of(value: &'v [u8]) -> Self {
        let value = unquoted(value);
        let value = split_once(value, b'#').map_or(value, |(start, _)| start);
        let (mut rest, query) =
            split_once(value, b'?').map_or((value, None), |(start, query)| (start, Some(query)));
        let mut url = Self { query: query.filter(|query| !query.is_empty()), ..Self::default() };
        let colon = rest.windows(3).position(|part| part == b"://");
        if let Some(colon) =
            colon.filter(|colon| *colon > 0 && rest[..*colon].iter().all(u8::is_ascii_alphanumeric))
        {
            url.scheme = Some(&rest[..colon]);
            let authority = &rest[colon + 3..];
            let path = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
            let host = &authority[..path];
            let host = host.rsplit(|byte| *byte == b'@').next().unwrap_or(host);
            let port = host.iter().rposition(|byte| *byte == b':').filter(|at| is_digits(&host[at + 1..]));
            url.domain = Some(&host[..port.unwrap_or(host.len())]).filter(|host| !host.is_empty());
            rest = &authority[path..];
        }
        if rest.starts_with(b"/") {
            url.path = Some(rest);
        } else if url.scheme.is_none() {
            // Names such as `CALLOUT-LOG` stand in columns of URLs as well.
            url.query = None;
        }
        url
    }

    fn extension(&self) -> Option<&'v [u8]> {
        let name = self.path?.rsplit(|byte| *byte == b'/').next()?;
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        Some(&name[dot + 1..]).filter(|extension| !extension.is_empty())
    }
}

/// A number as JSON writes it.
struct Decimal<'v> {
    negative: bool,
    whole: &'v [u8],
    fraction: &'v [u8],
    exponent: i64,
    /// Whether it has neither a fraction nor an exponent.
    is_whole: bool,
    has_exponent: bool,
}

impl<'v> Decimal<'v> {
    /// Of at most 40 characters and a magnitude that a `double` holds.
    fn of(text: &'v [u8]) -> Option<Self> {
        let negative = text.starts_with(b"-");
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let (mantissa, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&digits[..at], Some(&digits[at + 1..])),
            None => (digits, None),
        };
        let point = split_once(mantissa, b'.');
        let (whole, fraction) = point.unwrap_or((mantissa, b""));
        let canonical = whole == b"0" || (!whole.is_empty() && !whole.starts_with(b"0"));
        let exponent_fits = exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
            (1..=2).contains(&digits.len()) && is_digits(digits)
        });
        let power = exponent.and_then(|exponent| str::from_utf8(exponent).ok()?.parse().ok());
        let fits = canonical
            && text.len() <= 40
            && is_digits(whole)
            && is_digits(fraction)
            && !(point.is_some() && fraction.is_empty())
            && exponent_fits;
        let is_whole = point.is_none() && exponent.is_none();
        let (exponent, has_exponent) = (power.unwrap_or_default(), exponent.is_some());
        fits.then_some(Self { negative, whole, fraction, exponent, is_whole, has_exponent })
    }
}

/// A whole number that JSON and a `long` can hold, as its digits. Salesforce writes some with a fraction of zero.
fn whole_number(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_suffix(b".0").unwrap_or(text);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = digits == b"0" || (!digits.starts_with(b"0") && !digits.is_empty());
    // 18 digits are below 2^63.
    (canonical && digits.len() <= 18 && is_digits(digits)).then_some(text)
}

/// A number whose exponent is written out in digits. Salesforce writes doubles as Java does: `1.05127115E9` from ten
/// millions on, `2.5E-4` below a thousandth.
struct Digits {
    text: [u8; 48],
    length: usize,
}

impl Digits {
    /// Of a number with an exponent whose digits are at most so many. Others need none.
    fn of(text: &[u8]) -> Option<Self> {
        let number = Decimal::of(text).filter(|number| number.has_exponent)?;
        let mut digits = Self { text: [0; 48], length: 0 };
        let (whole, fraction) = (number.whole.iter(), number.fraction.iter());
        let point = i64::try_from(number.whole.len()).ok()? + number.exponent;
        let count = i64::try_from(number.whole.len() + number.fraction.len()).ok()?;
        if number.negative {
            digits.push(b'-')?;
        }
        let start = digits.length;
        // Zeros in front of the number belong to none of its digits.
        for position in point.min(0)..point.max(count) {
            if position == point {
                if digits.length == start {
                    digits.push(b'0')?;
                }
                digits.push(b'.')?;
            }
            let digit =
                usize::try_from(position).ok().and_then(|at| whole.clone().chain(fraction.clone()).nth(at));
            let digit = digit.copied().unwrap_or(b'0');
            if digits.length > start || digit != b'0' || position >= point {
                digits.push(digit)?;
            }
        }
        if digits.length == start {
            digits.push(b'0')?;
        }
        if digits.text().contains(&b'.') {
            let zeros = digits.text().iter().rev().take_while(|digit| **digit == b'0').count();
            digits.length -= zeros;
            digits.length -= usize::from(digits.text().ends_with(b"."));
        }
        Some(digits)
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.text.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// A number with an exponent as it came, and a whole one in digits. It keeps a fraction, so that it stays a double.
fn double(json: &mut Writer, key: &Key, value: &[u8]) {
    match Digits::of(value).filter(|digits| !digits.text().contains(&b'.')) {
        Some(digits) => json.pieces(key, &[digits.text(), b".0"]),
        None => json.raw(key, value),
    }
}

/// What stands around the two numbers of a location.
pub type Around = [&'static [u8]; 3];
/// `location` with `lat` and `lon`.
pub const LOCATION: Around = [b"\"location\":{\"lat\":", b",\"lon\":", b"},"];
/// `lat` and `long`.
pub const COORDINATES: Around = [b"\"lat\":", b",\"long\":", b","];

/// Writes a location, if both are degrees.
pub fn location(json: &mut Writer, around: &Around, latitude: &[u8], longitude: &[u8]) -> bool {
    let digits = [latitude, longitude].map(Digits::of);
    let latitude = digits[0].as_ref().map_or(latitude, Digits::text);
    let longitude = digits[1].as_ref().map_or(longitude, Digits::text);
    let fits = is_degrees(latitude, 90) && is_degrees(longitude, 180);
    if fits {
        let [before, between, after] = around;
        json.put_all(&[before, latitude, between, longitude, after]);
    }
    fits
}

/// Whether a text is a number of degrees, at most so many in either direction.
fn is_degrees(text: &[u8], most: u32) -> bool {
    Decimal::of(text).filter(|number| !number.has_exponent).is_some_and(|number| {
        let whole = str::from_utf8(number.whole).ok().and_then(|whole| whole.parse::<u32>().ok());
        let edge = number.fraction.iter().all(|digit| *digit == b'0');
        whole.is_some_and(|whole| whole < most || (whole == most && edge))
    })
}

/// Milliseconds as nanoseconds. What lies below a nanosecond is cut off.
fn nanos(json: &mut Writer, key: &Key, value: &[u8]) -> bool {
    const ZEROS: &[u8; 6] = b"000000";
    let Some(number) = Decimal::of(value) else { return false };
    if number.has_exponent {
        return Digits::of(value).is_some_and(|digits| nanos(json, key, digits.text()));
    }
    if number.whole.len() > 12 {
        return false;
    }
    // Below zero it is not known, which its own field says as well.
    if number.negative {
        return true;
    }
    let fraction = &number.fraction[..number.fraction.len().min(6)];
    let zeros = &ZEROS[fraction.len()..];
    if number.whole != b"0" {
        json.pieces(key, &[number.whole, fraction, zeros]);
    } else {
        match fraction.iter().position(|digit| *digit != b'0') {
            Some(first) => json.pieces(key, &[&fraction[first..], zeros]),
            None => json.raw(key, b"0"),
        }
    }
    true
}

/// Whole milliseconds.
fn millis(json: &mut Writer, key: &Key, value: &[u8]) -> bool {
    let Some(number) = Decimal::of(value) else { return false };
    if number.has_exponent {
        return Digits::of(value).is_some_and(|digits| millis(json, key, digits.text()));
    }
    if number.whole.len() > 18 {
        return false;
    }
    // Below zero it is not known, which its own field says as well.
    if !number.negative {
        json.raw(key, number.whole);
    }
    true
}

/// Whether a text is an address, of version 4 or 6.
pub fn is_address(text: &[u8]) -> bool {
    is_address_of_version_4(text) || (text.contains(&b':') && is_address_of_version_6(text))
}

/// Four numbers from 0 to 255 without zeros in front of them, divided by dots.
fn is_address_of_version_4(text: &[u8]) -> bool {
    let (mut numbers, mut digits, mut number) = (1, 0, 0u32);
    if text.len() > 15 {
        return false;
    }
    for byte in text {
        match byte {
            b'0'..=b'9' if digits == 0 || number > 0 => {
                number = 10 * number + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 => {
                numbers += 1;
                (digits, number) = (0, 0);
            }
            _ => return false,
        }
        if number > 255 {
            return false;
        }
    }
    numbers == 4 && digits > 0
}

#[inline(never)]
fn is_address_of_version_6(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `2026-01-02T03:04:05.678Z` as it is, and `2026-01-02T03:04:05.678+0000` in this form: the two that are written by far
/// most often.
pub fn canonical(text: &[u8]) -> Option<[u8; 24]> {
    const FORM: &[u8; 23] = b"0000-00-00T00:00:00.000";
    let (date, zone) = text.split_first_chunk::<23>()?;
    let number = |from: usize| (date[from] - b'0') * 10 + date[from + 1] - b'0';
    let fits = matches!(zone, b"Z" | b"+0000")
        && date
            .iter()
            .zip(FORM)
            .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
        && (1..=12).contains(&number(5))
        && (1..=28).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60;
    let mut canonical = [b'Z'; 24];
    canonical[..23].copy_from_slice(date);
    fits.then_some(canonical)
}

fn parsed(text: &[u8]) -> Option<[u8; 24]> {
    Time::parse(str::from_utf8(text).ok()?).and_then(written)
}

/// A time in the canonical form in milliseconds since 1970 ("chrono-Compatible Low-Level Date Algorithms", days_from_civil).
pub fn epoch(date: &[u8; 24]) -> i64 {
    let number = |from: usize, to: usize| {
        date[from..to].iter().fold(0, |number, digit| 10 * number + i64::from(digit.wrapping_sub(b'0')))
    };
    let (month, day) = (number(5, 7), number(8, 10));
    // A year that begins in March ends with the day that some years have and others have not.
    let year = number(0, 4) - i64::from(month < 3);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + 365 * year + year / 4 - year / 100 + day_of_year - 719_468;
    let seconds = 3600 * number(11, 13) + 60 * number(14, 16) + number(17, 19);
    1000 * (86_400 * days + seconds) + number(20, 23)
}

/// A time in the canonical form, in the years that it can write.
pub fn written(time: Time) -> Option<[u8; 24]> {
    time.to_rfc3339().as_bytes().try_into().ok()
}

/// `<id>$<scheme>://<controller>/ACTION$<method>=<ms>`, divided by semicolons. What looks otherwise is passed over.
fn actions(json: &mut Writer, key: &Key, value: &[u8]) {
    json.open_list(key);
    for action in value.split(|byte| *byte == b';') {
        if let Some([id, scheme, controller, method, duration]) = action_parts(action) {
            json.open_item();
            json.member(b"\"id\":\"", id);
            json.member(b"\"scheme\":\"", scheme);
            json.member(b"\"controller\":\"", controller);
            json.member(b"\"method\":\"", method);
            let digits = Digits::of(duration);
            if let Some(digits) = whole_number(digits.as_ref().map_or(duration, Digits::text)) {
                json.raw_member(b"\"duration\":", digits);
            }
            json.end();
        }
    }
    json.close_list();
}

fn action_parts(action: &[u8]) -> Option<[&[u8]; 5]> {
    const BEFORE_METHOD: &[u8] = b"/ACTION$";
    let (id, rest) = split_once(action, b'$')?;
    let colon = rest.windows(3).position(|part| part == b"://")?;
    let (scheme, rest) = (&rest[..colon], &rest[colon + 3..]);
    let at = rest.windows(BEFORE_METHOD.len()).position(|part| part == BEFORE_METHOD)?;
    let (controller, rest) = (&rest[..at], &rest[at + BEFORE_METHOD.len()..]);
    let (method, duration) = split_once(rest, b'=').unwrap_or((rest, b""));
    let parts = [id, scheme, controller, method, duration];
    parts[..4].iter().all(|part| !part.is_empty()).then_some(parts)
}

/// The form of a column that no document mentions, by its name in snake case. One name, one type, in every row:
///
/// - `double`: `duration`, `effective_page_time`, `throughput`, `score`, `sample_factor`, and what ends in `_duration`,
///   `_percent`, `_percentage`, `_ratio`, `_rate`, `_score`, `_latitude`, `_longitude`
/// - `boolean`: what begins with `is_` or `has_`
/// - `long`: `rows`, `limit`, `offset`, `rank`; what begins with `number_`, `num_` or `rows_`; what ends in `_time`, `_ms`,
///   `_size`, `_bytes`, `_length`, `_count`, `_rows`, `_blocks`, `_failures`, `_errors`, `_calls`; but no `login_time`,
///   `start_time`, `end_time` or `date_time`, which may be dates
/// - `keyword`: all else. So ids, keys, codes, versions and statuses are never numbers.
pub fn by_name(name: &str) -> Form {
    let is = |words: &str| words.split_ascii_whitespace().any(|word| word == name);
    let begins = |words: &str| words.split_ascii_whitespace().any(|word| name.starts_with(word));
    let ends = |words: &str| words.split_ascii_whitespace().any(|word| name.ends_with(word));
    if is("duration effective_page_time throughput score sample_factor")
        || ends("_duration _percent _percentage _ratio _rate _score _latitude _longitude")
    {
        Form::Double
    } else if begins("is_ has_") {
        Form::Boolean
    } else if ends("login_time start_time end_time date_time") {
        Form::Keyword
    } else if is("rows limit offset rank sample_weight")
        || begins("number_ num_ rows_")
        || ends("_time _ms _size _bytes _length _count _rows _blocks _failures _errors _calls")
    {
        Form::Long
    } else {
        Form::Keyword
    }
}

/// The same for a field of a record: as it is, a number as a number, for in a record Salesforce tells which is one; but what
/// ends in `_id`, `_key`, `_code` or `_version` is a `keyword`.
pub fn of_record(name: &str) -> Form {
    let ends = ["_id", "_key", "_code", "_version"].iter().any(|ending| name.ends_with(ending));
    if ends { Form::Keyword } else { Form::Given }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_the_standard_library_takes_for_one() {
        let parts = [
            "", "0", "1", "00", "01", "25", "255", "256", "999", "1000", "a", " ", "-1", "::", "ffff", ":",
            "fe80", "%eth0",
        ];
        let mut addresses = 0;
        for separator in [".", ":", "::", ".."] {
            for count in 1..=5 {
                for first in 0..parts.len() {
                    for step in 0..parts.len() {
                        let own: Vec<&str> =
                            (0..count).map(|nth| parts[(first + nth * step) % parts.len()]).collect();
                        for text in [
                            own.join(separator),
                            format!("::{}", own.join(separator)),
                            own.join(separator) + ".",
                        ] {
                            let expected = text.parse::<std::net::IpAddr>().is_ok();
                            assert_eq!(is_address(text.as_bytes()), expected, "{text}");
                            addresses += u32::from(expected);
                        }
                    }
                }
            }
        }
        assert!(addresses > 100, "{addresses}");
    }

    /// The value that a form makes of a text, as JSON; and whether the text fits.
    fn written_as(form: Form, value: &str) -> (String, bool) {
        let mut json = Writer::default();
        json.begin();
        let fits = form.write(&mut json, &Key::new("k"), value.as_bytes(), is_address(value.as_bytes()));
        let text = json.finish();
        (text.strip_prefix("{\"k\":").map_or("", |text| &text[..text.len() - 1]).to_owned(), fits)
    }

    #[test]
    fn milliseconds_become_nanoseconds_to_the_last_digit() {
        for (millis, nanos) in [
            ("0", "0"),
            ("0.0", "0"),
            ("42", "42000000"),
            ("12.5", "12500000"),
            ("0.25", "250000"),
            ("0.000001", "1"),
            ("0.0000009", "0"),
            ("1.0000019", "1000001"),
            ("999999999999", "999999999999000000"),
            ("-1", ""),
            ("1e3", "1000000000"),
            ("1.2345678E7", "12345678000000"),
            ("1.23456789E7", "12345678900000"),
            ("2.5E-4", "250"),
            ("9.9E-7", "0"),
            ("-1.0E7", ""),
        ] {
            assert_eq!(written_as(Form::MillisAsNanos, millis), (nanos.to_owned(), true), "{millis}");
        }
        for text in ["1e", "1E99", "1.0E12", "fast", "1.", ".5", "01", "1234567890123", "NaN", ""] {
            assert_eq!(written_as(Form::MillisAsNanos, text), (String::new(), false), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_only_where_json_and_an_index_can_hold_them() {
        for (form, value, expected) in [
            (Form::Long, "-1", Some("-1")),
            (Form::Long, "5199.0", Some("5199")),
            (Form::Long, "5199.5", None),
            (Form::Long, "1234567890123456789", None),
            (Form::Long, "007", None),
            (Form::Long, "1.05127115E9", Some("1051271150")),
            (Form::Long, "-1.05127115E9", Some("-1051271150")),
            (Form::Long, "1.0E7", Some("10000000")),
            (Form::Long, "1E+7", Some("10000000")),
            (Form::Long, "0.0E0", Some("0")),
            (Form::Long, "0.012E3", Some("12")),
            (Form::Long, "1200.0E-2", Some("12")),
            (Form::Long, "1.5E0", None),
            (Form::Long, "1.23456789E7", None),
            (Form::Long, "1.0E18", None),
            (Form::Long, "1.0E99", None),
            (Form::Double, "81604961", Some("81604961.0")),
            (Form::Double, "8.16E7", Some("81600000.0")),
            (Form::Double, "8.16123456789E7", Some("8.16123456789E7")),
            (Form::Double, "1.5E-7", Some("1.5E-7")),
            (Form::Double, "1.0E99", Some("1.0E99")),
            (Form::Double, "-1.0", Some("-1.0")),
            (Form::Double, "1e999", None),
            (Form::Double, "Infinity", None),
            (Form::Double, "0x10", None),
            (Form::Boolean, "1", Some("true")),
            (Form::Boolean, "false", Some("false")),
            (Form::Boolean, "2", None),
        ] {
            let (text, fits) = written_as(form, value);
            assert_eq!((text.as_str(), fits), (expected.unwrap_or_default(), expected.is_some()), "{value}");
        }
    }

    #[test]
    fn an_exponent_is_written_out_in_digits() {
        for (text, digits) in [
            ("1.05127115E9", "1051271150"),
            ("1.5E0", "1.5"),
            ("1.25E1", "12.5"),
            ("2.5E-4", "0.00025"),
            ("-2.50E-1", "-0.25"),
            ("0E5", "0"),
            ("0.0E-5", "0"),
            ("10.0E-1", "1"),
        ] {
            let found = Digits::of(text.as_bytes()).expect(text);
            assert_eq!(String::from_utf8_lossy(found.text()), digits, "{text}");
        }
        for text in ["1", "1.5", "1.0E99", "1.0E-99", "E5", "1E", ""] {
            assert!(Digits::of(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn dates_are_written_in_one_form_and_impossible_ones_are_refused() {
        for text in
            ["2026-01-31T03:04:05.678+0000", "2026-01-31T04:04:05.678+01:00", "2026-01-31T03:04:05.678Z"]
        {
            assert_eq!(
                written_as(Form::Date, text),
                (String::from("\"2026-01-31T03:04:05.678Z\""), true),
                "{text}"
            );
        }
        for text in
            ["2026-02-30T03:04:05.678Z", "2026-13-01T03:04:05.678+0000", "2026-01-01T24:04:05.678Z", "soon"]
        {
            assert!(!written_as(Form::Date, text).1, "{text}");
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let part = |form: Form, url: &str| {
            form.part(url.as_bytes(), false).map(|part| String::from_utf8_lossy(part).into_owned())
        };
        for (url, scheme, domain, path, extension, query) in [
            ("/aura?r=3", None, None, Some("/aura"), None, Some("r=3")),
            (
                "\"https://a.b:8443/x/y.z.js#f\"",
                Some("https"),
                Some("a.b"),
                Some("/x/y.z.js"),
                Some("js"),
                None,
            ),
            ("https://user:pw@a.b", Some("https"), Some("a.b"), None, None, None),
            (
                "https://[2001:db8::7]:1/?q#?",
                Some("https"),
                Some("[2001:db8::7]"),
                Some("/"),
                None,
                Some("q"),
            ),
            ("CALLOUT-LOG", None, None, None, None, None),
            ("://", None, None, None, None, None),
            ("", None, None, None, None, None),
        ] {
            let found = [Form::Scheme, Form::Domain, Form::Path, Form::Extension, Form::Query]
                .map(|form| part(form, url));
            assert_eq!(
                found,
                [scheme, domain, path, extension, query].map(|part| part.map(str::to_owned)),
                "{url}"
            );
        }
        assert_eq!(written_as(Form::Path, "/a%20b%2Fc%zz%2").0, "\"/a b/c%zz%2\"");
    }

    #[test]
    fn the_affected_user_is_found_in_what_is_displayed() {
        for (text, name, email) in [
            ("For user erik.ek@acme.com, changed", Some("erik.ek"), Some("erik.ek@acme.com")),
            ("for user Erik Ek, changed", Some("Erik Ek"), None),
            ("For user erik.ek@acme.com", None, None),
            ("For user , changed", None, None),
            ("Changed for user a, b", None, None),
        ] {
            let part =
                |form: Form| form.part(text.as_bytes(), false).and_then(|part| str::from_utf8(part).ok());
            assert_eq!((part(Form::TargetName), part(Form::TargetEmail)), (name, email), "{text}");
        }
    }

    #[test]
    fn ids_keys_codes_and_versions_are_never_numbers() {
        for name in [
            "user_id",
            "login_key",
            "status_code",
            "api_version",
            "request_status",
            "new",
            "timestamp",
            "size_mb",
        ] {
            assert!(matches!(by_name(name), Form::Keyword), "{name}");
        }
        for name in ["run_time", "number_fields", "rows_processed", "response_size", "limit", "db_blocks"] {
            assert!(matches!(by_name(name), Form::Long), "{name}");
        }
        assert!(matches!(by_name("duration"), Form::Double) && matches!(by_name("is_new"), Form::Boolean));
        assert!(
            matches!(of_record("api_version"), Form::Keyword) && matches!(of_record("rows"), Form::Given)
        );
    }
}
