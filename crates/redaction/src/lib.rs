//! What leaves and what does not: fields that are hashed, masked or dropped, and rows that are left out or sampled.
//!
//! What is to become of the rows of a stream is a [`Treatment`]; laid out against the columns of a file or an object it is a [`Plan`], which
//! answers value by value. What a row is, and what is made of it, the caller knows. This runs where somebody asked for it alone, and is
//! compiled for size.
//!
//! ```
//! use redaction::{Pattern, Plan, Redaction, Treatment};
//!
//! let treatment = Treatment { redactions: vec![(Pattern::new("*_IP"), Redaction::Mask)], ..Treatment::default() };
//! let columns = ["TIMESTAMP", "CLIENT_IP"].map(String::from);
//! let mut plan = Plan::new(&treatment, &columns, &[0]).unwrap();
//! assert_eq!(plan.value(0, b"20260601101530.123"), None);
//! assert_eq!(plan.value(1, b"203.0.113.77"), Some(&b"203.0.113.0"[..]));
//! ```

#![deny(missing_docs)]

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// What stands instead of what is masked.
const MASK: &[u8] = b"***";
/// Digits of a hash.
const DIGITS: usize = 32;
/// For how many rows each row of a file stands that Salesforce sampled itself (DatabaseSave).
const SAMPLE_FACTOR: &str = "SAMPLE_FACTOR";

/// A text in which `*` stands for any characters, or none. Letters are the same in both cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern of a text.
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase())
    }

    /// The name that it stands for, if it stands for one alone.
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }

    /// Whether it stands for a text. Takes as many steps as both are long together, at most times the pattern's length.
    pub fn matches(&self, text: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut nth) = (0, 0);
        // Where the last asterisk is, and how much it stands for so far.
        let mut star: Option<(usize, usize)> = None;
        while nth < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, nth));
                    at += 1;
                }
                Some(byte) if *byte == text[nth].to_ascii_lowercase() => {
                    at += 1;
                    nth += 1;
                }
                _ => {
                    let Some((from, taken)) = star else { return false };
                    star = Some((from, taken + 1));
                    (at, nth) = (from + 1, taken + 1);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// What becomes of a field; what leaves less of it is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redaction {
    /// Of an address its network (IPv4 /24, IPv6 /48), of an e-mail address and of a URL its domain, of anything else nothing but
    /// that it was there.
    Mask,
    /// HMAC-SHA-256 of it (RFC 2104) with the key, the first 32 hexadecimal digits.
    Hash,
    /// Nothing.
    Drop,
}

/// When a row is left out: all of its terms are true.
#[derive(Clone, Debug)]
pub struct Condition(pub Vec<Term>);

/// What a condition says of a column. One that is not there is empty.
#[derive(Clone, Debug)]
pub struct Term {
    /// The column.
    pub column: String,
    /// What its value must be, or must not be.
    pub value: Pattern,
    /// Whether it must not.
    pub differs: bool,
}

/// What becomes of the rows of a stream.
#[derive(Clone, Debug, Default)]
pub struct Treatment {
    /// What becomes of which columns. Where several patterns fit, the least is left.
    pub redactions: Vec<(Pattern, Redaction)>,
    /// What hashes are made with.
    pub key: Option<Hmac<Sha256>>,
    /// Rows that are left out.
    pub exclude: Vec<Condition>,
    /// Of how many rows one is kept; 0 and 1 = all.
    pub sample: u32,
}

impl Treatment {
    /// The key of hashes, of a secret of any length.
    pub fn key(secret: &[u8]) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(secret).ok()
    }

    /// Whether rows are passed on as they are.
    pub fn is_none(&self) -> bool {
        self.redactions.is_empty() && self.exclude.is_empty() && self.sample <= 1
    }
}

/// A treatment, laid out against the columns of a file or an object.
pub struct Plan {
    actions: Vec<Option<Redaction>>,
    redactions: Vec<(Pattern, Redaction)>,
    withholds: bool,
    key: Option<Hmac<Sha256>>,
    exclude: Vec<Vec<(Option<usize>, Pattern, bool)>>,
    sample: u32,
    /// The column that says for how many rows each stands already.
    factor: Option<usize>,
    value: Vec<u8>,
    unknown: Vec<String>,
}

impl Plan {
    /// For rows with these columns, of which some, by their indices, are not to be touched. None where rows are passed on as they are.
    pub fn new(treatment: &Treatment, columns: &[String], kept: &[usize]) -> Option<Self> {
        if treatment.is_none() {
            return None;
        }
        let action = |(index, name): (usize, &String)| {
            action(&treatment.redactions, name).filter(|_| !kept.contains(&index))
        };
        let position = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        let term = |term: &Term| (position(&term.column), term.value.clone(), term.differs);
        let literals = treatment.redactions.iter().filter_map(|(pattern, _)| pattern.literal());
        let terms = treatment.exclude.iter().flat_map(|condition| &condition.0);
        let names = literals.chain(terms.map(|term| term.column.as_str()));
        Some(Self {
            actions: columns.iter().enumerate().map(action).collect(),
            redactions: treatment.redactions.clone(),
            withholds: !treatment.redactions.is_empty(),
            key: treatment.key.clone(),
            exclude: treatment.exclude.iter().map(|all| all.0.iter().map(term).collect()).collect(),
            sample: treatment.sample.max(1),
            factor: position(SAMPLE_FACTOR),
            value: Vec::new(),
            unknown: names.filter(|name| position(name).is_none()).map(str::to_owned).collect(),
        })
    }

    /// What becomes of a column becomes at least what would become of columns with these names: it shows what they show.
    pub fn include(&mut self, column: usize, names: &[String]) {
        if let Some(of_column) = self.actions.get_mut(column) {
            let of_names = names.iter().filter_map(|name| action(&self.redactions, name));
            *of_column = of_names.chain(*of_column).max();
        }
    }

    /// How many columns a row has.
    pub fn columns(&self) -> usize {
        self.actions.len()
    }

    /// Columns that it names and that are not there.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether fields of rows are not to be shown, whatever columns there are: what is damaged may lack the name of one.
    pub fn withholds(&self) -> bool {
        self.withholds
    }

    /// Whether rows tell for how many they stand.
    pub fn samples(&self) -> bool {
        self.sample > 1
    }

    /// Whether a row leaves: no condition leaves it out, by its values by column, and it is one of the sample, by its id. The same row
    /// is, or is not, whenever it comes.
    pub fn keeps<'r>(&self, field: &dyn Fn(usize) -> &'r [u8], id: &mut dyn FnMut() -> Vec<u8>) -> bool {
        let value = |column: &Option<usize>| column.map_or(&[][..], field);
        let is_excluded = self.exclude.iter().any(|all| {
            all.iter().all(|(column, pattern, differs)| pattern.matches(value(column)) != *differs)
        });
        !is_excluded && (!self.samples() || self.is_of_sample(&id()))
    }

    fn is_of_sample(&self, id: &[u8]) -> bool {
        let digest = Sha256::digest(id);
        let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number.is_multiple_of(self.sample.into())
    }

    /// For how many rows one stands, by its values by column.
    pub fn weight<'r>(&self, field: &dyn Fn(usize) -> &'r [u8]) -> u64 {
        let text = self.factor.and_then(|column| str::from_utf8(field(column)).ok());
        let factor = text.and_then(|text| text.trim_end_matches(".0").parse::<u64>().ok()).unwrap_or(1);
        factor.max(1).saturating_mul(u64::from(self.sample))
    }

    /// What is left of a value; none if all of it is.
    pub fn value(&mut self, column: usize, value: &[u8]) -> Option<&[u8]> {
        let action = self.actions.get(column).copied().flatten()?;
        self.value.clear();
        match (action, &self.key) {
            _ if value.is_empty() => {}
            (Redaction::Drop, _) => {}
            (Redaction::Hash, Some(key)) => hash(key.clone(), value, &mut self.value),
            (Redaction::Hash, None) => self.value.extend_from_slice(MASK),
            (Redaction::Mask, _) => mask(value, &mut self.value),
        }
        Some(&self.value)
    }
}

/// What becomes of a column with this name.
fn action(redactions: &[(Pattern, Redaction)], name: &str) -> Option<Redaction> {
    let fits = redactions.iter().filter(|(pattern, _)| pattern.matches(name.as_bytes()));
    fits.map(|(_, action)| *action).max()
}

fn hash(mut key: Hmac<Sha256>, value: &[u8], into: &mut Vec<u8>) {
    key.update(value);
    for byte in &key.finalize().into_bytes()[..DIGITS / 2] {
        into.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
}

/// What a mask leaves of a value. Of a list of addresses it leaves one of networks.
fn mask(value: &[u8], into: &mut Vec<u8>) {
    let Ok(text) = str::from_utf8(value) else { return into.extend_from_slice(MASK) };
    let networks: Option<Vec<String>> = text.split(',').map(|part| network(part.trim())).collect();
    if let Some(networks) = networks {
        return into.extend_from_slice(networks.join(", ").as_bytes());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && is_domain(host) {
            return into.extend_from_slice(format!("{scheme}://{host}/").as_bytes());
        }
    }
    into.extend_from_slice(MASK);
    if let Some((_, domain)) = text.rsplit_once('@')
        && is_domain(domain)
    {
        into.push(b'@');
        into.extend_from_slice(domain.as_bytes());
    }
}

/// Whether a text can be a domain and its port, and is no address.
fn is_domain(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let is_address = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !is_address
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// The network of an address, as text (RFC 5952).
fn network(text: &str) -> Option<String> {
    match text.parse().ok()? {
        IpAddr::V4(address) => Some(network_of_four(address.octets())),
        // 6to4 (RFC 3056): the first 48 bits are an IPv4 address.
        IpAddr::V6(address) if address.segments()[0] == 0x2002 => {
            let [_, _, a, b, c, d, ..] = address.octets();
            Some(network_of_four([a, b, c, d]))
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            // An IPv4 address within one is as telling as by itself.
            Some(within) => Some(network_of_four(within.octets())),
            None => {
                let mut groups = address.segments()[..3].to_vec();
                while groups.pop_if(|last| *last == 0).is_some() {}
                let groups: Vec<String> = groups.iter().map(|group| format!("{group:x}")).collect();
                Some(format!("{}::", groups.join(":")))
            }
        },
    }
}

fn network_of_four([a, b, c, _]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_anything_and_case_for_nothing() {
        for (pattern, text, fits) in [
            ("USER_*", "USER_NAME", true),
            ("user_*", "USER_", true),
            ("*_IP", "CLIENT_IP", true),
            ("*_IP", "CLIENT_IPS", false),
            ("*IP*", "FORWARDED_FOR_IP", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("**a", "ba", true),
            ("USER", "USER_NAME", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text.as_bytes()), fits, "{pattern} {text}");
        }
        // Many asterisks take no more than the product of the lengths.
        let hostile = Pattern::new(&format!("{}b", "*a".repeat(200)));
        assert!(!hostile.matches("a".repeat(20_000).as_bytes()));
    }

    #[test]
    fn a_mask_leaves_networks_and_domains_alone() {
        for (value, left) in [
            ("203.0.113.77", "203.0.113.0"),
            ("2001:db8:aa:bb::1", "2001:db8:aa::"),
            ("2001:db8::1", "2001:db8::"),
            ("::1", "::"),
            ("2002:cb00:714d::1", "203.0.113.0"),
            ("https://203.0.113.77/x", "***"),
            ("https://[2001:db8::7]:8443/x", "***"),
            ("anna@203.0.113.77", "***"),
            ("::ffff:203.0.113.77", "203.0.113.0"),
            ("10.1.2.3, 2001:db8:1:2::3", "10.1.2.0, 2001:db8:1::"),
            ("10.1.2.3, anna", "***"),
            ("anna@acme.com", "***@acme.com"),
            ("anna@acme.com and bob", "***"),
            ("https://u:p@acme.com:8443/path?who=anna#x", "https://acme.com:8443/"),
            ("https://acme.com", "https://acme.com/"),
            ("javascript://%0aanna", "***"),
            ("Anna", "***"),
            ("005xx", "***"),
        ] {
            let mut masked = Vec::new();
            mask(value.as_bytes(), &mut masked);
            assert_eq!(String::from_utf8_lossy(&masked), left, "{value}");
        }
        let mut masked = Vec::new();
        mask(b"\xFF@acme.com", &mut masked);
        assert_eq!(masked, MASK);
    }

    #[test]
    fn a_hash_is_what_anybody_computes_with_the_key() {
        // RFC 4231, test case 2.
        let mut into = Vec::new();
        let key = Treatment::key(b"Jefe").expect("a key");
        hash(key, b"what do ya want for nothing?", &mut into);
        assert_eq!(into, b"5bdcc146bf60754e6a042426089575c7");
    }
}
