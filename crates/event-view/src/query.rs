//! The search language: what Kibana calls KQL, of which this reads
//!
//! | | |
//! |---|---|
//! | `event.outcome:failure` | a field has a value; `*` and `?` in it stand for any text and any character |
//! | `source.ip:203.0.113.0/24` | an address lies in a network |
//! | `user.roles:(Guest or Partner)` | one of several values |
//! | `event.duration >= 5000000000` | a number, or a time such as `@timestamp < "2026-11-27T08:00"` |
//! | `error.message:*` | the field is there |
//! | `203.0.113.9` | any field has it, as a part of its text |
//! | `and`, `or`, `not`, `( )`, `" "` | as everywhere; two terms beside each other are joined by `and` |

use std::{fmt, net::IpAddr};

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
    /// The very text, letters of either case alike.
    Exact(String),
    /// Text with `*` and `?`, in small letters.
    Wildcard(Vec<char>),
    /// Addresses that share their first so many bits.
    Network(IpAddr, u8),
}

impl Pattern {
    fn new(text: &str, quoted: bool) -> Self {
        if !quoted {
            if let Some(network) = network(text) {
                return network;
            }
            if text.contains(['*', '?']) {
                return Self::Wildcard(text.to_lowercase().chars().collect());
            }
        }
        Self::Exact(text.to_owned())
    }

    /// Whether a value is like this.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value || same_letters(text, value),
            Self::Wildcard(pattern) => wildcard(pattern, &value.to_lowercase()),
            Self::Network(network, bits) => {
                value.parse().is_ok_and(|address| within(*network, *bits, address))
            }
        }
    }

    /// Whether a text has this in it.
    pub fn within(&self, text: &str) -> bool {
        match self {
            Self::Exact(part) => text.to_lowercase().contains(&part.to_lowercase()),
            other => other.matches(text),
        }
    }
}

fn same_letters(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_ascii() && one.to_lowercase() == other.to_lowercase())
}

fn network(text: &str) -> Option<Pattern> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Pattern::Network(address, bits))
}

fn within(network: IpAddr, bits: u8, address: IpAddr) -> bool {
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
fn wildcard(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < text.len() {
        if at < pattern.len() && pattern[at] == '*' {
            star = Some((at + 1, from));
            at += 1;
        } else if at < pattern.len() && (pattern[at] == '?' || pattern[at] == text[from]) {
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
    pattern[at..].iter().all(|c| *c == '*')
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

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String, bool),
    Colon,
    Compare(Comparison),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let begun = at;
        let token = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            ':' => Token::Colon,
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
                let mut word = String::new();
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += usize::from(chars[at] == '\\' && at + 1 < chars.len());
                    word.push(chars[at]);
                    at += 1;
                }
                if at == chars.len() {
                    return Err(Mistake { at: begun, what: "this quote is not closed".into() });
                }
                Token::Word(word, true)
            }
            _ => {
                let mut word = String::new();
                // A colon ends a field's name, but an address of version 6 has several.
                let address = address_at(&chars[at..]);
                let end = at + address;
                while at < chars.len()
                    && (at < end || !(chars[at].is_whitespace() || "():<>\"".contains(chars[at])))
                {
                    at += usize::from(chars[at] == '\\' && at + 1 < chars.len());
                    word.push(chars[at]);
                    at += 1;
                }
                at -= 1;
                Token::Word(word, false)
            }
        };
        at += 1;
        tokens.push((begun, token));
    }
    Ok(tokens)
}

/// How many characters of an address of version 6, or of a network of such, stand here.
fn address_at(chars: &[char]) -> usize {
    let end =
        chars.iter().position(|c| !(c.is_ascii_hexdigit() || ":./".contains(*c))).unwrap_or(chars.len());
    let text: String = chars[..end].iter().collect();
    let address = text.split('/').next().unwrap_or_default();
    if address.parse::<std::net::Ipv6Addr>().is_ok() { end } else { 0 }
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
        let found =
            matches!(self.peek(), Some(Token::Word(word, false)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, field: Option<&str>) -> Result<Query, Mistake> {
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

    fn both(&mut self, field: Option<&str>) -> Result<Query, Mistake> {
        let mut parts = vec![self.one(field)?];
        loop {
            let joined = self.keyword("and");
            let another = match self.peek() {
                Some(Token::Word(word, false)) => !word.eq_ignore_ascii_case("or"),
                Some(Token::Word(..) | Token::Open) => true,
                _ => joined,
            };
            if !another {
                break;
            }
            parts.push(self.one(field)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::And(parts) })
    }

    fn one(&mut self, field: Option<&str>) -> Result<Query, Mistake> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let query = self.bare(field)?;
        Ok(if negated { Query::Not(Box::new(query)) } else { query })
    }

    fn bare(&mut self, field: Option<&str>) -> Result<Query, Mistake> {
        let begun = self.at;
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
            Some(Token::Word(word, quoted)) => {
                self.at += 1;
                if let Some(field) = field {
                    return Ok(is(field, &word, quoted));
                }
                match self.peek().cloned() {
                    Some(Token::Colon) => {
                        self.at += 1;
                        match self.peek().cloned() {
                            Some(Token::Open) => self.bare(Some(&word)),
                            Some(Token::Word(value, quoted)) => {
                                self.at += 1;
                                Ok(is(&word, &value, quoted))
                            }
                            _ => Err(self.mistake(&format!("the value of {word} is missing here"))),
                        }
                    }
                    Some(Token::Compare(comparison)) => {
                        self.at += 1;
                        let Some(Token::Word(value, _)) = self.peek().cloned() else {
                            return Err(
                                self.mistake(&format!("what {word} is compared with is missing here"))
                            );
                        };
                        if number_or_time(&value).is_none() {
                            return Err(self.mistake(&format!(
                                "\"{value}\" is neither a number nor a time such as \"2026-11-27T08:00\""
                            )));
                        }
                        self.at += 1;
                        Ok(Query::Compares(word, comparison, value))
                    }
                    _ => Ok(Query::Text(Pattern::new(&word, quoted))),
                }
            }
            Some(Token::Close) => Err(self.mistake("something to search for is missing before this bracket")),
            Some(Token::Colon | Token::Compare(_)) => {
                Err(self.mistake("the name of a field is missing before this"))
            }
            None => {
                self.at = begun;
                Err(self.mistake("something to search for is missing here"))
            }
        }
    }
}

fn is(field: &str, value: &str, quoted: bool) -> Query {
    if value == "*" && !quoted {
        Query::Exists(field.to_owned())
    } else {
        Query::Is(field.to_owned(), Pattern::new(value, quoted))
    }
}

/// A number, or a time in milliseconds since 1970.
pub fn number_or_time(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).or_else(|| {
        let whole = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            16 => format!("{text}:00Z"),
            19 => format!("{text}Z"),
            _ => text.to_owned(),
        };
        crate::time::parse(&whole).map(|at| at as f64)
    })
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
            Query::Is("source.ip".into(), Pattern::Exact("2001:db8::1".into()))
        );
        let Query::Is(_, pattern) = read("source.ip:2001:db8::/32") else { panic!() };
        assert!(pattern.matches("2001:db8:1::9") && !pattern.matches("2001:db9::1"));
    }

    #[test]
    fn and_binds_stronger_than_or_and_not_stronger_than_both() {
        let word = |word: &str| Query::Text(Pattern::Exact(word.into()));
        assert_eq!(
            read("a or b and not c"),
            Query::Or(vec![word("a"), Query::And(vec![word("b"), Query::Not(Box::new(word("c")))])])
        );
        assert_eq!(read("a b"), read("a AND b"));
    }

    #[test]
    fn one_field_can_have_one_of_several_values() {
        assert_eq!(
            read("user.roles:(Guest or \"Power Custom\")"),
            read("user.roles:Guest or user.roles:\"Power Custom\"")
        );
    }

    #[test]
    fn a_star_stands_for_any_text_unless_it_is_quoted() {
        let Query::Is(_, pattern) = read("url.path:/s/*Admin?") else { panic!() };
        assert!(pattern.matches("/s/x/ADMIN1") && !pattern.matches("/s/admin"));
        let Query::Is(_, pattern) = read("url.path:\"/s/*\"") else { panic!() };
        assert!(pattern.matches("/s/*") && !pattern.matches("/s/x"));
        assert_eq!(read("error.message:*"), Query::Exists("error.message".into()));
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
        ] {
            let mistake = Query::parse(text).unwrap_err();
            assert!(mistake.at == at && mistake.what.contains(what), "{text}: {mistake}");
        }
        assert!(Query::parse(&"(".repeat(100_000)).is_err());
    }
}
