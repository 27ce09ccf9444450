//! The search language: what Kibana calls KQL, of which this reads
//!
//! | | |
//! |---|---|
//! | `event.outcome:failure` | a field has a value; `*` and `?` in it stand for any text and any character |
//! | `source.ip:203.0.113.0/24` | an address lies in a network |
//! | `user.id:"005xx000001Sv6AAAS"` | in quotes: this very text, unless it is a network or a time |
//! | `user.roles:(Guest or Partner)`, `user.roles:Guest Partner` | one of several values |
//! | `event.duration >= 5000000000` | a number, or a time such as `@timestamp < 2026-11-27T08:00` |
//! | `@timestamp:2026-11-27` | a time, as long as it is precise: here a day |
//! | `error.message:*` | the field is there |
//! | `source.*:203.0.113.9` | one of the fields with such a name has the value |
//! | `203.0.113.9` | any field has it: a text as a part of it, a number as all of it |
//! | `and`, `or`, `not`, `( )`, `" "` | as everywhere; two terms beside each other are joined by `and` |
//!
//! What other languages write otherwise, and would find nothing here, is told as a mistake with what to write instead.

use crate::{
    segment::{TIME, searched},
    time,
};
use memchr::memmem;
use std::{fmt, net::IpAddr, ops::Range};

/// What a document must be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Every document.
    All,
    /// All of them.
    And(Vec<Query>),
    /// One of them.
    Or(Vec<Query>),
    /// Not this.
    Not(Box<Query>),
    /// A field has one value like this.
    Is(String, Pattern),
    /// A field compares like this with a number or a time.
    Compares(String, Comparison, String),
    /// A field has any value.
    Exists(String),
    /// This is so of one of the fields whose names are like this, whichever field it names.
    InFields(Pattern, Box<Query>),
    /// Any field has this in its text.
    Text(Pattern),
}

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What a value is held against.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// The text: the very same if it was quoted, else with letters of either case alike.
    Exact(String, bool),
    /// Text with `*` and `?`, letters of either case alike.
    Wildcard(Vec<Sign>),
    /// Addresses that share their first so many bits, or the very network as a text.
    Network(IpAddr, u8),
    /// An address, however it is written, and how it was written.
    Address(IpAddr, String),
    /// From when on and before when, in milliseconds since 1970, and how it was written.
    Time(Range<i64>, String),
}

/// A part of a text that is searched for, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// This character.
    Letter(char),
    /// `?`: any character.
    One,
    /// `*`: any text.
    Any,
}

impl Pattern {
    fn new(word: &Word) -> Self {
        let text = word.text.as_str();
        if word.quoted {
            return Self::Exact(searched(text).to_owned(), true);
        }
        if let Some(network) = network(text) {
            return network;
        }
        if !word.wild.is_empty() {
            return Self::Wildcard(word.signs());
        }
        if let Ok(address) = text.parse() {
            return Self::Address(address, text.to_owned());
        }
        match day_or_less(text) {
            Some(times) => Self::Time(times, text.to_owned()),
            None => Self::Exact(searched(text).to_owned(), false),
        }
    }

    /// The value of a field. A network and a time are what they are in quotes as well: Kibana reads them so, and would find what this did not.
    fn of_value(field: &str, word: &Word) -> Self {
        let text = &word.text;
        let times = if field == TIME { times(text) } else { day_or_less(text) };
        match (network(text), times) {
            (Some(network), _) => network,
            (None, Some(times)) => Self::Time(times, text.clone()),
            (None, None) => Self::new(word),
        }
    }

    /// Whether a value is like this.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text, quoted) => text == value || !quoted && same_letters(text, value),
            Self::Wildcard(pattern) => wildcard(pattern, value),
            Self::Network(address, bits) => match value.parse() {
                Ok(other) => within(*address, *bits, other),
                Err(_) => network(value).as_ref() == Some(self),
            },
            Self::Address(address, _) => {
                value.parse().is_ok_and(|other: IpAddr| other.to_canonical() == address.to_canonical())
            }
            Self::Time(own, text) => {
                value == text
                    || times(value).is_some_and(|other| own.start <= other.start && other.end <= own.end)
            }
        }
    }

    /// Says of numbers whether one is like this. What is needed for that is made ready once.
    pub fn number(&self) -> Box<dyn Fn(f64) -> bool + '_> {
        match self {
            Self::Exact(text, _) => match text.parse::<f64>() {
                Ok(number) => Box::new(move |value| value == number),
                Err(_) => Box::new(|_| false),
            },
            Self::Wildcard(_) => Box::new(|value| self.matches(&value.to_string())),
            Self::Network(..) | Self::Address(..) | Self::Time(..) => Box::new(|_| false),
        }
    }

    /// Says of texts whether one has this in it. What is needed for that is made ready once.
    pub fn part(&self) -> Box<dyn FnMut(&str) -> bool + '_> {
        let text = match self {
            Self::Exact(text, _) | Self::Address(_, text) | Self::Time(_, text) => small(text),
            Self::Network(address, bits) => format!("{address}/{bits}"),
            Self::Wildcard(_) => return Box::new(|value| self.matches(value)),
        };
        let is_address = matches!(self, Self::Address(..) | Self::Network(..));
        let part = memmem::Finder::new(&text).into_owned();
        let mut lower = String::new();
        Box::new(move |value| {
            lower.clear();
            make_small(value, &mut lower);
            part.find(lower.as_bytes()).is_some() || is_address && self.matches(value)
        })
    }
}

fn small(text: &str) -> String {
    let mut lower = String::new();
    make_small(text, &mut lower);
    lower
}

fn make_small(text: &str, lower: &mut String) {
    if text.is_ascii() {
        lower.push_str(text);
        lower.make_ascii_lowercase();
    } else {
        lower.extend(text.chars().flat_map(char::to_lowercase));
    }
}

fn same_letters(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_ascii() && one.to_lowercase() == other.to_lowercase())
}

fn same_letter(one: char, other: char) -> bool {
    one == other || one.to_lowercase().eq(other.to_lowercase())
}

fn network(text: &str) -> Option<Pattern> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    // One of version 4, written in version 6.
    let (address, bits) = match address.to_canonical() {
        own if own != address && (96..=128).contains(&bits) => (own, bits - 96),
        _ => (address, bits),
    };
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Pattern::Network(address, bits))
}

fn within(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let address = if network.is_ipv4() { address.to_canonical() } else { address };
    let shared = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u32::from(network) ^ u32::from(address)).leading_zeros()
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (u128::from(network) ^ u128::from(address)).leading_zeros()
        }
        _ => return false,
    };
    shared >= u32::from(bits)
}

/// Steps back to the last `*` where it does not fit, so it takes no more than the product of both lengths.
fn wildcard(pattern: &[Sign], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < text.len() {
        let fits = match pattern.get(at) {
            Some(Sign::Any) => {
                star = Some((at + 1, from));
                at += 1;
                continue;
            }
            Some(Sign::One) => true,
            Some(Sign::Letter(letter)) => same_letter(*letter, text[from]),
            None => false,
        };
        if fits {
            at += 1;
            from += 1;
        } else if let Some((after, begun)) = star {
            at = after;
            from = begun + 1;
            star = Some((after, from));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|sign| *sign == Sign::Any)
}

/// What is wrong with a search, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// In the search, in characters, from 0.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at + 1, self.what)
    }
}

impl std::error::Error for Mistake {}

/// A word as it is meant. Behind a backslash, and in quotes, `*` and `?` stand for themselves.
#[derive(Clone, Debug, PartialEq)]
struct Word {
    text: String,
    quoted: bool,
    /// Which of its characters stand for others.
    wild: Vec<usize>,
}

impl Word {
    fn signs(&self) -> Vec<Sign> {
        let sign = |(at, letter)| match letter {
            '*' if self.wild.contains(&at) => Sign::Any,
            '?' if self.wild.contains(&at) => Sign::One,
            letter => Sign::Letter(letter),
        };
        self.text.chars().enumerate().map(sign).collect()
    }

    /// The names of the fields that are meant, if this is one with signs that stand for others.
    fn names(&self) -> Option<Pattern> {
        (!self.wild.is_empty()).then(|| Pattern::Wildcard(self.signs()))
    }

    /// What is asked of the field with this name, or of those with such a name.
    fn asks(&self, query: Query) -> Query {
        match self.names() {
            Some(names) => Query::InFields(names, Box::new(query)),
            None => query,
        }
    }

    fn is_star(&self) -> bool {
        self.text == "*" && !self.wild.is_empty()
    }

    fn is_keyword(&self) -> bool {
        !self.quoted && ["and", "or", "not"].iter().any(|keyword| self.text.eq_ignore_ascii_case(keyword))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Word),
    Colon,
    Compare(Comparison),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    // Where the word before ends, if there is one.
    let mut behind = None;
    while at < chars.len() {
        let begun = at;
        let token = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            // An address of version 6 may begin with one, but not where it touches a name.
            ':' if behind == Some(at) || address_at(&chars[at..]) == 0 => Token::Colon,
            '<' | '>' => {
                let equal = chars.get(at + 1) == Some(&'=');
                at += usize::from(equal);
                Token::Compare(match (chars[begun], equal) {
                    ('<', false) => Comparison::Less,
                    ('<', true) => Comparison::LessOrEqual,
                    (_, false) => Comparison::Greater,
                    (_, true) => Comparison::GreaterOrEqual,
                })
            }
            '"' => {
                let mut text = String::new();
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += usize::from(chars[at] == '\\' && at + 1 < chars.len());
                    text.push(chars[at]);
                    at += 1;
                }
                if at == chars.len() {
                    return Err(Mistake { at: begun, what: "this quote is not closed".into() });
                }
                Token::Word(Word { text, quoted: true, wild: Vec::new() })
            }
            first => {
                let (mut text, mut wild, mut length) = (String::new(), Vec::new(), 0);
                // A colon ends a field's name, but an address of version 6 has several, and a time.
                let end = at + address_at(&chars[at..]).max(time_at(&chars[at..]));
                while at < chars.len()
                    && (at < end || !(chars[at].is_whitespace() || "():<>\"".contains(chars[at])))
                {
                    let escaped = chars[at] == '\\' && at + 1 < chars.len();
                    at += usize::from(escaped);
                    if !escaped && "*?".contains(chars[at]) {
                        wild.push(length);
                    }
                    text.push(chars[at]);
                    length += 1;
                    at += 1;
                }
                at -= 1;
                if let Some(what) = foreign(first, &text) {
                    return Err(Mistake { at: begun, what: what.to_owned() });
                }
                Token::Word(Word { text, quoted: false, wild })
            }
        };
        at += 1;
        behind = matches!(token, Token::Word(_)).then_some(at);
        tokens.push((begun, token));
    }
    Ok(tokens)
}

/// What other languages write and this one does not.
fn foreign(first: char, word: &str) -> Option<&'static str> {
    match word {
        "&&" => Some("here && is written and; in quotes it is a text"),
        "||" => Some("here || is written or; in quotes it is a text"),
        "=" | "==" => Some("that a field has a value is written with a colon, such as event.outcome:failure"),
        _ if first == '!' => {
            Some("here ! is written not, such as not event.outcome:failure; in quotes it is a text")
        }
        _ => None,
    }
}

/// How many characters of something stand here that is made of such characters.
fn stands(chars: &[char], made_of: impl Fn(char) -> bool, is: impl Fn(&str) -> bool) -> usize {
    let end = chars.iter().position(|c| !made_of(*c)).unwrap_or(chars.len());
    if is(&chars[..end].iter().collect::<String>()) { end } else { 0 }
}

/// How many characters of an address of version 6, or of a network of such, stand here.
fn address_at(chars: &[char]) -> usize {
    let is_address =
        |text: &str| text.split('/').next().unwrap_or_default().parse::<std::net::Ipv6Addr>().is_ok();
    stands(chars, |c| c.is_ascii_hexdigit() || ":./".contains(c), is_address)
}

/// How many characters of a time stand here.
fn time_at(chars: &[char]) -> usize {
    stands(chars, |c| c.is_ascii_digit() || "-T:.Z+".contains(c), |text| day_or_less(text).is_some())
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: usize,
}

/// Deeper ones are nobody's search.
const DEEPEST: usize = 64;

impl Query {
    /// Reads a search; an empty one is every document.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(Self::All);
        }
        let mut parser = Parser { tokens, at: 0, end: text.chars().count(), depth: 0 };
        let query = parser.either(None)?;
        match parser.peek() {
            None => Ok(query),
            Some(_) => Err(parser.mistake("this bracket was never opened")),
        }
    }

    /// Both of them.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// The fields that it names.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::All | Self::Text(_) => Vec::new(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(part) => part.fields(),
            Self::Is(field, _) | Self::Compares(field, ..) | Self::Exists(field) => vec![field],
            Self::InFields(_, about) => about.fields(),
        }
    }

    /// The same about another field.
    pub fn of_field(&self, field: &str) -> Self {
        let field = field.to_owned();
        match self.clone() {
            Self::Is(_, pattern) => Self::Is(field, pattern),
            Self::Compares(_, comparison, value) => Self::Compares(field, comparison, value),
            Self::Exists(_) => Self::Exists(field),
            other => other,
        }
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn mistake(&self, what: &str) -> Mistake {
        Mistake { at: self.tokens.get(self.at).map_or(self.end, |(at, _)| *at), what: what.to_owned() }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if !word.quoted && word.text.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, field: Option<&Word>) -> Result<Query, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.mistake("so many brackets are in each other that this is not read"));
        }
        let mut parts = vec![self.both(field)?];
        while self.keyword("or") {
            parts.push(self.both(field)?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Or(parts) })
    }

    fn both(&mut self, field: Option<&Word>) -> Result<Query, Mistake> {
        let mut parts = vec![self.one(field)?];
        loop {
            let joined = self.keyword("and");
            let another = match self.peek() {
                Some(Token::Word(word)) => word.quoted || !word.text.eq_ignore_ascii_case("or"),
                Some(Token::Open) => true,
                _ => joined,
            };
            if !another {
                break;
            }
            parts.push(self.one(field)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::And(parts) })
    }

    fn one(&mut self, field: Option<&Word>) -> Result<Query, Mistake> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let query = self.bare(field)?;
        Ok(if negated { Query::Not(Box::new(query)) } else { query })
    }

    fn bare(&mut self, field: Option<&Word>) -> Result<Query, Mistake> {
        match self.peek().cloned() {
            Some(Token::Open) => {
                self.at += 1;
                let query = self.either(field)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.mistake("a closing bracket is missing here"));
                }
                self.at += 1;
                Ok(query)
            }
            Some(Token::Word(word)) if word.is_keyword() => {
                Err(self
                    .mistake("something to search for is missing here; as a text this word stands in quotes"))
            }
            Some(Token::Word(word)) => {
                if let Some(field) = field {
                    return self.values(field, true);
                }
                self.at += 1;
                let name = &word.text;
                match self.peek().cloned() {
                    Some(Token::Colon) if !word.quoted && day_or_less(name).is_some() => {
                        Err(self.mistake("a time goes on here that is none, such as 2026-11-27T08:00 is"))
                    }
                    Some(Token::Colon) => {
                        self.at += 1;
                        self.of_field(&word)
                    }
                    Some(Token::Compare(comparison)) => {
                        self.at += 1;
                        let Some(Token::Word(Word { text: value, .. })) = self.peek().cloned() else {
                            return Err(self.mistake(&format!(
                                "the value that {name} is compared with is missing here"
                            )));
                        };
                        if number(&value).is_none() && times(&value).is_none() {
                            return Err(self.mistake(&format!("{value} is neither a number nor a time")));
                        }
                        self.at += 1;
                        self.no_colon(name)?;
                        Ok(word.asks(Query::Compares(word.text.clone(), comparison, value)))
                    }
                    _ if word.is_star() => Ok(Query::All),
                    _ => Ok(Query::Text(Pattern::new(&word))),
                }
            }
            Some(Token::Colon | Token::Compare(_)) => {
                Err(self.mistake("the name of a field is missing before this"))
            }
            Some(Token::Close) | None => Err(self.mistake("something to search for is missing here")),
        }
    }

    /// Behind the colon of a field.
    fn of_field(&mut self, field: &Word) -> Result<Query, Mistake> {
        let name = &field.text;
        match self.peek().cloned() {
            Some(Token::Word(word)) if name == "_exists_" && !field.quoted => {
                Err(self.mistake(&format!("that a field is there is written {}:*", word.text)))
            }
            Some(Token::Word(word)) if word.is_keyword() => Err(self.mistake(&format!(
                "the value of {name} is missing here; as a value this word stands in quotes"
            ))),
            Some(Token::Word(..)) => self.values(field, false),
            Some(Token::Open) => self.bare(Some(field)),
            Some(Token::Compare(_)) => Err(self.mistake(&format!("a comparison has no colon: {name} > 5"))),
            _ => Err(self.mistake(&format!("the value of {name} is missing here"))),
        }
    }

    /// One value or several: words that stand beside each other without quotes are any of them, and in brackets all that do.
    fn values(&mut self, field: &Word, in_brackets: bool) -> Result<Query, Mistake> {
        let mut parts = Vec::new();
        while let Some(Token::Word(word)) = self.peek().cloned() {
            let quoted = word.quoted;
            let names = matches!(self.tokens.get(self.at + 1), Some((_, Token::Colon | Token::Compare(_))));
            let ends = word.is_keyword() || names || quoted && !in_brackets;
            if ends && !parts.is_empty() {
                break;
            }
            parts.push(self.value(field, &word)?);
            self.at += 1;
            self.no_colon(&field.text)?;
            if quoted && !in_brackets {
                break;
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Or(parts) })
    }

    fn value(&self, of: &Word, word: &Word) -> Result<Query, Mistake> {
        let (field, text, quoted) = (&of.text, &word.text, word.quoted);
        let next = self.tokens.get(self.at + 1);
        if !quoted
            && text.starts_with(['[', '{'])
            && matches!(next, Some((_, Token::Word(to))) if !to.quoted && to.text == "TO")
        {
            return Err(self.mistake(&format!("a range is written {field} >= 1 and {field} <= 5")));
        }
        if !quoted && text.starts_with("//") {
            return Err(
                self.mistake("a value that has a colon stands in quotes, such as \"https://example.com\"")
            );
        }
        if word.is_star() {
            return Ok(if of.is_star() { Query::All } else { of.asks(Query::Exists(field.clone())) });
        }
        let pattern = Pattern::of_value(field, word);
        let is_time = match &pattern {
            Pattern::Time(..) => true,
            Pattern::Exact(text, _) => number(text).is_some(),
            _ => false,
        };
        if field == TIME && !is_time {
            return Err(self.mistake(&format!("{text} is no time; {TIME}:2026-11-27 is all of that day")));
        }
        Ok(of.asks(Query::Is(field.clone(), pattern)))
    }

    /// A colon behind a value is one that belongs to it.
    fn no_colon(&self, field: &str) -> Result<(), Mistake> {
        match self.peek() {
            Some(Token::Colon) => Err(self.mistake(&format!(
                "a value that has a colon stands in quotes: that of {field} goes on here"
            ))),
            _ => Ok(()),
        }
    }
}

impl Comparison {
    /// Whether a value compares so with what reaches from one number to another.
    pub fn holds(self, value: f64, (from, to): (f64, f64)) -> bool {
        match self {
            Self::Less => value < from,
            Self::LessOrEqual => value <= to,
            Self::Greater => value > to,
            Self::GreaterOrEqual => value >= from,
        }
    }
}

/// A number that a text is.
pub fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// How long a day is, written.
const DAY_LONG: usize = "2026-11-27".len();

/// A time that a text tells beyond doubt: a year or a month alone may as well be a number or a text.
fn day_or_less(text: &str) -> Option<Range<i64>> {
    times(text).filter(|_| text.len() >= DAY_LONG)
}

/// The time that a text tells, as long as it is precise: a year, a month, a day, an hour, a minute, a second or a millisecond. In
/// milliseconds since 1970, by UTC unless it tells another zone.
pub fn times(text: &str) -> Option<Range<i64>> {
    if !text.is_ascii() || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let zone =
        text.find('T').and_then(|at| Some(at + text[at..].find(['Z', '+', '-'])?)).unwrap_or(text.len());
    let (text, zone) = text.split_at(zone);
    let (rest, length) = match text.len() {
        4 => ("-01-01T00:00:00", 0),
        7 => ("-01T00:00:00", 0),
        DAY_LONG => ("T00:00:00", 24 * 3_600_000),
        13 => (":00:00", 3_600_000),
        16 => (":00", 60_000),
        19 => ("", 1000),
        20.. => ("", 1),
        _ => return None,
    };
    let at = time::parse(&format!("{text}{rest}{}", if zone.is_empty() { "Z" } else { zone }))?;
    let months = match text.len() {
        4 => 12,
        7 => 1,
        _ => return Some(at..at + length),
    };
    let begin = chrono::DateTime::from_timestamp_millis(at)?;
    Some(at..begin.checked_add_months(chrono::Months::new(months))?.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn a_network_is_read_as_one_and_holds_its_addresses() {
        let query = read("event.outcome:failure and source.ip:203.0.113.0/24");
        let Query::And(parts) = query else { panic!() };
        let Query::Is(field, pattern) = &parts[1] else { panic!() };
        assert_eq!(field, "source.ip");
        assert!(pattern.matches("203.0.113.255") && !pattern.matches("203.0.114.0") && !pattern.matches("x"));
    }

    #[test]
    fn an_address_of_version_6_is_one_word() {
        assert_eq!(
            read("source.ip:2001:db8::1"),
            Query::Is(
                "source.ip".into(),
                Pattern::Address("2001:db8::1".parse().unwrap(), "2001:db8::1".into())
            )
        );
        let Query::Is(_, pattern) = read("source.ip:2001:db8::/32") else { panic!() };
        assert!(pattern.matches("2001:db8:1::9") && !pattern.matches("2001:db9::1"));
    }

    #[test]
    fn an_address_that_begins_with_colons_is_one_wherever_it_stands() {
        let address = || Pattern::Address("::1".parse().unwrap(), "::1".into());
        let is = |field: &str, pattern| Query::Is(field.into(), pattern);
        let exact = |text: &str| Pattern::Exact(text.into(), false);
        assert_eq!(read("::1"), Query::Text(address()));
        assert_eq!(read("not ::1"), Query::Not(Box::new(Query::Text(address()))));
        assert_eq!(read("a and ::1"), Query::And(vec![Query::Text(exact("a")), Query::Text(address())]));
        assert_eq!(read("a ::1"), read("a and ::1"));
        for search in ["source.ip:::1", "source.ip: ::1", "source.ip : ::1", "source.ip:(::1)"] {
            assert_eq!(read(search), is("source.ip", address()), "{search}");
        }
        let either = Query::Or(vec![is("a", exact("x")), is("a", address())]);
        for search in ["a:x ::1", "a:(x or ::1)", "a:(x ::1)"] {
            assert_eq!(read(search), either, "{search}");
        }
        assert_eq!(read("a :b"), read("a:b"));
    }

    #[test]
    fn an_address_of_version_4_is_the_same_in_version_6() {
        for search in ["203.0.113.0/24", "::ffff:203.0.113.0/120", "203.0.113.5", "(::ffff:203.0.113.5)"] {
            let Query::Is(_, pattern) = read(&format!("source.ip:{search}")) else { panic!() };
            for address in ["203.0.113.5", "::ffff:203.0.113.5", "::ffff:cb00:7105"] {
                assert!(pattern.matches(address), "{search} has {address}");
            }
            assert!(!pattern.matches("::ffff:203.0.114.5") && !pattern.matches("2001:db8::5"), "{search}");
        }
    }

    #[test]
    fn and_binds_stronger_than_or_and_not_stronger_than_both() {
        let word = |word: &str| Query::Text(Pattern::Exact(word.into(), false));
        assert_eq!(
            read("a or b and not c"),
            Query::Or(vec![word("a"), Query::And(vec![word("b"), Query::Not(Box::new(word("c")))])])
        );
        assert_eq!(read("a b"), read("a AND b"));
    }

    #[test]
    fn one_field_can_have_one_of_several_values() {
        let either = read("a:x or a:y");
        for same in ["a:x y", "a:(x y)", "a:(x or y)"] {
            assert_eq!(read(same), either, "{same}");
        }
        assert_eq!(read("a:(\"x\" y)"), read("a:\"x\" or a:y"));
        assert_eq!(read("a:x y b:z"), read("(a:x or a:y) and b:z"));
        assert_eq!(read("a:\"x\" and y"), read("a:\"x\" y"));
        assert_eq!(
            read("user.roles:(Guest or \"Power Custom\")"),
            read("user.roles:Guest or user.roles:\"Power Custom\"")
        );
    }

    #[test]
    fn a_star_stands_for_any_text_unless_it_is_quoted() {
        let Query::Is(_, pattern) = read("url.path:/s/*Admin?") else { panic!() };
        assert!(pattern.matches("/s/x/ADMIN1") && !pattern.matches("/s/admin"));
        for literal in ["url.path:\"/s/*\"", r"url.path:/s/\*"] {
            let Query::Is(_, pattern) = read(literal) else { panic!() };
            assert!(pattern.matches("/s/*") && !pattern.matches("/s/x"), "{literal}");
        }
        let Query::Is(_, pattern) = read(r"url.path:/a\*b*") else { panic!() };
        assert!(pattern.matches("/A*b/c") && !pattern.matches("/axxb"));
        let Query::Is(_, pattern) = read("a:Ärger*") else { panic!() };
        assert!(pattern.matches("ärgerlich") && !pattern.matches("arger"));
        assert_eq!(read("error.message:*"), Query::Exists("error.message".into()));
    }

    #[test]
    fn a_time_is_as_long_as_it_is_precise() {
        for (text, from, to) in [
            ("2026", "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
            ("2024-02", "2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("2026-11-27", "2026-11-27T00:00:00.000Z", "2026-11-28T00:00:00.000Z"),
            ("2026-11-27T08", "2026-11-27T08:00:00.000Z", "2026-11-27T09:00:00.000Z"),
            ("2026-11-27T08:30", "2026-11-27T08:30:00.000Z", "2026-11-27T08:31:00.000Z"),
            ("2026-11-27T08:30Z", "2026-11-27T08:30:00.000Z", "2026-11-27T08:31:00.000Z"),
            ("2026-11-27T08:30+01:00", "2026-11-27T07:30:00.000Z", "2026-11-27T07:31:00.000Z"),
            ("2026-11-27T08:30:01", "2026-11-27T08:30:01.000Z", "2026-11-27T08:30:02.000Z"),
            ("2026-11-27T08:30:01.5", "2026-11-27T08:30:01.500Z", "2026-11-27T08:30:01.501Z"),
        ] {
            assert_eq!(
                times(text).map(|times| (time::format(times.start), time::format(times.end))),
                Some((from.into(), to.into())),
                "{text}"
            );
        }
        for text in ["", "12", "abcd", "2026-13", "2026-11-27T25", "2026-11-27T08:00x", "20261127"] {
            assert_eq!(times(text), None, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_where_it_is() {
        for (text, at, what) in [
            ("a and", 5, "missing here"),
            ("event.outcome:", 14, "value of event.outcome"),
            ("(a", 2, "closing bracket"),
            ("a)", 1, "never opened"),
            ("x > soon", 4, "neither a number nor a time"),
            ("\"a", 0, "not closed"),
            (":a", 0, "name of a field"),
            ("a && b", 2, "written and"),
            ("a || b", 2, "written or"),
            ("!event.outcome:failure", 0, "written not"),
            ("event.outcome:!failure", 14, "written not"),
            ("event.outcome = failure", 14, "with a colon"),
            ("event.outcome:or", 14, "in quotes"),
            ("a or or b", 5, "missing here"),
            ("event.duration:[1 TO 5]", 15, "event.duration >= 1 and event.duration <= 5"),
            ("event.duration:>5", 15, "has no colon"),
            ("_exists_:error.message", 9, "error.message:*"),
            ("not _exists_:error.message", 13, "error.message:*"),
            ("url.full:https://example.com", 14, "in quotes"),
            ("https://example.com", 6, "in quotes"),
            ("a:(x or https://example.com)", 13, "in quotes"),
            ("@timestamp >= 2026-11-27T08:0", 27, "in quotes"),
            ("2026-11-27T08:0", 13, "a time goes on"),
            ("@timestamp:2026-11-27*", 11, "is no time"),
            ("@timestamp:yesterday", 11, "is no time"),
        ] {
            let mistake = Query::parse(text).unwrap_err();
            assert!(mistake.at == at && mistake.what.contains(what), "{text}: {mistake}");
        }
        assert!(Query::parse(&"(".repeat(100_000)).is_err());
        // In quotes they are names of fields.
        for name in ["_exists_", "2026-11-27", "2026-11-27T08:00", "and"] {
            assert_eq!(
                read(&format!("\"{name}\":\"x\"")),
                Query::Is(name.into(), Pattern::Exact("x".into(), true))
            );
        }
    }
}
