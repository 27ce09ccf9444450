//! Where a component may connect to. Nowhere, unless the operator wrote it down and the component announced it.
//!
//! The threat is a component, or a service that talks to it, that makes the host send requests for it (SSRF): to the
//! cloud's metadata service, to a database on the private network, to an attacker's server with a token in the header.
//! What stops which attack:
//!
//! | attack | what stops it |
//! |---|---|
//! | a request to a host nobody meant | [`Gate::admit`]: the authority must match a rule of the operator **and** a grant of the component, for every single request |
//! | a rule that lets in more than was meant: `*.com`, `*.co.uk` | under a public suffix anybody can own a name, so it is no rule |
//! | a look-alike: `evil-example.com`, `example.com.evil.net`, `example.com@evil.net` | rules compare whole labels; user information in an authority is refused |
//! | an address in disguise: `0x7f.1`, `2130706433`, `127.1` | no rule can name such a host, so none matches |
//! | a listed name that resolves to an inner address, at once or later (DNS rebinding) | [`name_may_resolve_to`] looks at each address after resolution, and the connection goes to those very addresses |
//! | an IPv4 address wrapped in IPv6: `::ffff:169.254.169.254`, NAT64, 6to4 | addresses are unwrapped first, or refused |
//! | a redirect to elsewhere | the host follows none; a component that does passes this gate again |
//! | reading credentials on the wire | plain `http` reaches loopback only |
//!
//! Literal addresses count only where they are listed literally. One that is listed may be private, since the operator
//! said so; link-local (where metadata services live), multicast and unspecified addresses are refused even then.
//!
//! A service that is reached through the operator's own network (AWS PrivateLink and its like) has a name that
//! resolves to a private address. [`Egress::allow_private`] says so for that name and those networks; nothing else changes.
//!
//! # Which suffixes are public
//!
//! Those of the Public Suffix List's ICANN section (<https://publicsuffix.org>), as it was when this was built: registries,
//! where a name is a matter of minutes. The list's private section (`github.io`, `s3.amazonaws.com`) is allowed, with a
//! warning in the log. There one provider hands out the names, vendors put the hosts of their customers on such domains, and
//! a vendor may have a domain entered there at any time: a rule such as `*.my.example.com` must not end with an upgrade.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use psl::{Psl, Type};

use super::address::{never, wrapped};

/// The operator's allow-list. The default allows nothing.
///
/// ```
/// use source_host::{Egress, Options};
///
/// let egress = Egress::allow(["*.example.com", "login.example.net:8443"])?;
/// let options = Options::new().egress(egress);
/// # Ok::<(), source_host::RuleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    rules: Vec<Rule>,
    private: Vec<Private>,
}

impl Egress {
    /// Allows nothing.
    ///
    /// ```
    /// assert!(!source_host::Egress::deny_all().covers("logs.example.com"));
    /// ```
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// Reads rules: `host`, `host:port`, `*.suffix`, `*.suffix:port`. Without a port, the scheme's own port is meant.
    ///
    /// # Errors
    ///
    /// The first rule that is none, and why. A suffix under which anybody can own a name is none.
    ///
    /// ```
    /// let error = source_host::Egress::allow(["*.co.uk"]).unwrap_err();
    /// assert!(error.to_string().contains("`*.example.co.uk`"));
    /// ```
    ///
    /// ```
    /// let egress = source_host::Egress::allow(["*.example.com", "127.0.0.1:8080"])?;
    /// assert!(egress.covers("logs.example.com"));
    /// assert!(!egress.covers("example.com"));
    /// # Ok::<(), source_host::RuleError>(())
    /// ```
    pub fn allow<I>(rules: I) -> Result<Self, RuleError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let rules: Vec<Rule> =
            rules.into_iter().map(|rule| rule.as_ref().parse()).collect::<Result<_, _>>()?;
        for Rule { pattern, .. } in &rules {
            if let Pattern::Suffix(suffix) = pattern
                && public_suffix(&suffix[1..]) == Some(Type::Private)
            {
                tracing::warn!(
                    "the egress rule `*{suffix}` allows hosts of everybody who is a customer there"
                );
            }
        }
        Ok(Self { rules, private: Vec::new() })
    }

    /// Says that a name (`host` or `*.suffix`) may resolve to private addresses, if they lie in one of these networks.
    ///
    /// For services that are reached through the operator's own network, such as AWS PrivateLink and its like.
    /// It allows no request by itself: the name needs a rule as any other does. Networks are within `10.0.0.0/8`,
    /// `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10` and `fc00::/7`. What is never allowed stays so, whatever is written:
    /// loopback, link-local, multicast and unspecified addresses, and those of metadata services.
    ///
    /// It has no effect on names that a proxy resolves.
    ///
    /// # Errors
    ///
    /// If the name is no host name or suffix, or one of the networks is no private network; and why.
    ///
    /// ```
    /// let egress = source_host::Egress::allow(["acme.my.example.com"])?
    ///     .allow_private("acme.my.example.com", ["10.20.0.0/16"])?;
    /// assert!(egress.clone().allow_private("acme.my.example.com", ["169.254.0.0/16"]).is_err());
    /// # Ok::<(), source_host::RuleError>(())
    /// ```
    pub fn allow_private<I>(mut self, name: &str, networks: I) -> Result<Self, RuleError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let bad = |reason: &'static str| {
            RuleError::new(name, "a name that may resolve to private addresses", reason)
        };
        let Rule { pattern, port } = name.parse()?;
        match &pattern {
            _ if port.is_some() => {
                return Err(bad("a name resolves the same for every port: leave the port out"));
            }
            Pattern::Host(Host::Address(_)) => {
                return Err(bad("it is an address already, which needs a rule and no more"));
            }
            Pattern::Host(host) if host.is_loopback() => {
                return Err(bad("it means loopback and nothing else"));
            }
            _ => {}
        }
        let networks = networks
            .into_iter()
            .map(|network| {
                let network = network.as_ref();
                private_network(network)
                    .map_err(|reason| RuleError::new(network, "a private network", reason))
            })
            .collect::<Result<_, _>>()?;
        self.private.push(Private { pattern, networks });
        Ok(self)
    }

    /// Whether requests to this authority (`host` or `host:port`), as a component grants it, would be allowed.
    ///
    /// ```
    /// let egress = source_host::Egress::allow(["logs.example.com"])?;
    /// assert!(egress.covers("LOGS.example.com.") && !egress.covers("logs.example.com:8443"));
    /// # Ok::<(), source_host::RuleError>(())
    /// ```
    pub fn covers(&self, authority: &str) -> bool {
        let Ok(Rule { pattern, port }) = authority.parse() else { return false };
        let same_port = |rule: &Rule| match (rule.port, port) {
            (None, None) => true,
            (None, Some(port)) => port == 443,
            (Some(rule), port) => rule == port.unwrap_or(443),
        };
        self.rules.iter().any(|rule| {
            same_port(rule)
                && match &pattern {
                    Pattern::Host(host) => rule.pattern.matches(host),
                    Pattern::Suffix(_) => rule.pattern == pattern,
                }
        })
    }
}

/// A name that may resolve to addresses that are not public.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Private {
    pattern: Pattern,
    networks: Vec<IpNet>,
}

/// The networks, besides what is public, that the name of one request may resolve to. It travels with the request, as an
/// extension of it, from the gate to whoever connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrivateNetworks(pub(super) Vec<IpNet>);

impl PrivateNetworks {
    /// Asks twice what the rules were asked already, for this is the last look before a connection.
    fn contain(&self, address: IpAddr) -> bool {
        let is_private = PRIVATE_USE.iter().any(|network| network.contains(&address));
        is_private && !never(address) && self.0.iter().any(|network| network.contains(&address))
    }
}

/// What networks use inside and nobody reaches from outside: RFC 1918, RFC 6598, RFC 4193.
const PRIVATE_USE: [IpNet; 5] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)),
];

/// A network in CIDR notation, or one address.
fn private_network(text: &str) -> Result<IpNet, Cow<'static, str>> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = network.map_err(|_| "write it as `10.20.0.0/16` or `fd12:3456::/48`")?;
    if network.trunc() != network {
        return Err(format!("it begins elsewhere: write `{}`", network.trunc()).into());
    }
    if !PRIVATE_USE.iter().any(|private| private.contains(&network)) {
        return Err("private are 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7, and what is in them".into());
    }
    if never(network.network()) && never(network.broadcast()) {
        return Err("such addresses are never allowed".into());
    }
    Ok(network)
}

/// Which section of the Public Suffix List the names under this one belong to, if it is a public suffix.
fn public_suffix(name: &str) -> Option<Type> {
    let suffix = |name: &str| {
        let suffix =
            psl::List.suffix(name.as_bytes()).filter(|suffix| suffix.as_bytes() == name.as_bytes())?;
        suffix.typ()
    };
    // The list says `*.kawasaki.jp` and not `kawasaki.jp`: then each name below is a public suffix.
    suffix(name).or_else(|| suffix(&format!("any-name-at-all.{name}")))
}

/// Whether a host, as a URI has it, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    Host::parse(host).is_some_and(|host| host.is_loopback())
}

/// One line of an allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Host(Host),
    /// With the leading dot: `.example.com`.
    Suffix(String),
}

/// A host in normal form: lower-case without trailing dot, or an address with IPv4 unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// From a URI's or a rule's host, brackets of an IPv6 address included.
    fn parse(text: &str) -> Option<Self> {
        let unbracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(inner) = unbracketed {
            return inner.parse::<Ipv6Addr>().ok().map(|a| Self::Address(IpAddr::V6(a).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let fits = name.len() <= 253 && name.split('.').all(label);
        // The system's resolver reads `0x7f.1`, `127.1` and `2130706433` as addresses, so they are not names.
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
        (fits && !numeric).then_some(Self::Name(name))
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Pattern {
    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Host(rule), host) => rule == host,
            // More than the suffix itself, so there is at least one label in front.
            (Self::Suffix(suffix), Host::Name(name)) => name.len() > suffix.len() && name.ends_with(suffix),
            (Self::Suffix(_), Host::Address(_)) => false,
        }
    }
}

impl Rule {
    fn matches(&self, target: &Target) -> bool {
        let port = self.port.unwrap_or(if target.tls { 443 } else { 80 });
        port == target.port && self.pattern.matches(&target.host)
    }
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is not {what}: {reason}")]
pub struct RuleError {
    rule: String,
    what: &'static str,
    reason: Cow<'static, str>,
}

impl RuleError {
    fn new(rule: &str, what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { rule: crate::contract::printable(rule.to_owned()), what, reason: reason.into() }
    }

    fn no_host(rule: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(rule, "a host to allow", reason)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let bad = |reason: &'static str| RuleError::no_host(text, reason);
        if text.contains("://") || text.contains('/') {
            return Err(bad("write the host alone, without scheme and path"));
        }
        if text.contains('@') {
            return Err(bad("user information does not belong here"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(bad("write an IPv6 address in brackets: `[::1]`"));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => match port.parse() {
                Ok(port) if port != 0 => (host, Some(port)),
                _ => return Err(bad("the port is a number from 1 to 65535")),
            },
            _ => (text, None),
        };
        let form =
            "a host name (`logs.example.com`), a suffix (`*.example.com`) or a literal address is expected";
        let pattern = match host.strip_prefix("*.") {
            None => Pattern::Host(Host::parse(host).ok_or_else(|| bad(form))?),
            Some(suffix) => match Host::parse(suffix) {
                Some(Host::Name(name)) if public_suffix(&name) == Some(Type::Icann) && name.contains('.') => {
                    let reason = format!(
                        "anybody can own a name under `{name}`; write the host in full, or the domain of one owner, as in `*.example.{name}`"
                    );
                    return Err(RuleError::no_host(text, reason));
                }
                Some(Host::Name(name)) if name.contains('.') => Pattern::Suffix(format!(".{name}")),
                Some(Host::Name(_)) => {
                    return Err(bad("a suffix needs at least two labels, as in `*.example.com`"));
                }
                _ => return Err(bad(form)),
            },
        };
        Ok(Self { pattern, port })
    }
}

/// Where a request goes, after it was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    tls: bool,
    host: Host,
    port: u16,
}

impl Target {
    fn parse(uri: &Uri) -> Result<Self, &'static str> {
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("there is user information in the authority");
        }
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err("only https is supported"),
        };
        let host = Host::parse(authority.host()).ok_or("its host is neither a name nor an address")?;
        let default = if tls { 443 } else { 80 };
        // `Authority::port` has none for what is no number as well.
        let behind = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let port = match behind.strip_prefix(':') {
            None | Some("") => default,
            Some(port) => port.parse().map_err(|_| "its port is not a number")?,
        };
        Ok(Self { tls, host, port })
    }

    /// `host` or `host:port` in normal form. The request is sent with this one, so that what was checked, what is
    /// resolved, what the certificate is compared with and what the `Host` header says are one and the same.
    pub(crate) fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// Decides on each request of one source.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    allowed: Egress,
    granted: Vec<Rule>,
}

impl Gate {
    pub(crate) fn new(allowed: Egress) -> Self {
        Self { allowed, granted: Vec::new() }
    }

    /// Replaces what the component asked for. Grants are exact: a component cannot ask for `*.suffix`.
    pub(crate) fn grant(&mut self, authorities: &[String]) -> Result<(), RuleError> {
        self.granted.clear();
        self.granted = authorities
            .iter()
            .map(|authority| {
                let rule: Rule = authority.parse()?;
                match rule.pattern {
                    Pattern::Host(_) => Ok(rule),
                    Pattern::Suffix(_) => {
                        Err(RuleError::no_host(authority, "a component names each host in full"))
                    }
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Those of the authorities that the operator does not allow.
    pub(crate) fn denied(&self, authorities: &[String]) -> Vec<String> {
        authorities.iter().filter(|a| !self.allowed.covers(a)).cloned().collect()
    }

    /// Where else than to public addresses the name of a target may lead.
    pub(crate) fn private_networks(&self, target: &Target) -> PrivateNetworks {
        let named = self.allowed.private.iter().filter(|private| private.pattern.matches(&target.host));
        PrivateNetworks(named.flat_map(|private| private.networks.iter().copied()).collect())
    }

    /// Whether a request may be sent, and where to; or why not.
    pub(crate) fn admit(&self, uri: &Uri) -> Result<Target, &'static str> {
        let target = Target::parse(uri)?;
        if !target.tls && !target.host.is_loopback() {
            return Err("plain http is for loopback alone");
        }
        if !self.allowed.rules.iter().any(|rule| rule.matches(&target)) {
            return Err("the egress rules do not allow it");
        }
        if !self.granted.iter().any(|rule| rule.matches(&target)) {
            return Err("the source did not ask for it when it was configured");
        }
        match target.host {
            Host::Address(address) if never(address) => Err("such an address is never allowed"),
            _ => Ok(target),
        }
    }
}

/// Whether a connection for this name may go to this address that it resolved to.
pub(crate) fn name_may_resolve_to(name: &str, address: IpAddr, private: &PrivateNetworks) -> bool {
    let address = address.to_canonical();
    match name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost") {
        true => address.is_loopback(),
        false => is_public(address) || private.contain(address),
    }
}

/// Whether an address is reachable for everybody: in none of the special-purpose registries (RFC 6890 and successors).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [b0, b1, b2, _] = a.octets();
            !(never(address)
                || a.is_private()
                || a.is_loopback()
                || a.is_documentation()
                || (b0 == 100 && b1 & 0b1100_0000 == 64)
                || (b0, b1, b2) == (192, 0, 0)
                || (b0, b1, b2) == (192, 88, 99)
                || (b0 == 198 && b1 & 0b1111_1110 == 18)
                || b0 >= 240)
        }
        IpAddr::V6(a) => match a.segments() {
            // NAT64: what counts is the IPv4 address inside.
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => wrapped(a).is_some_and(|inner| is_public(inner.into())),
            // Teredo and other protocol assignments; documentation; 6to4.
            [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => false,
            // Global unicast, and nothing else.
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(allow: &[&str], grant: &[&str]) -> Gate {
        let mut gate = Gate::new(Egress::allow(allow).unwrap());
        let grant: Vec<String> = grant.iter().map(|g| (*g).to_owned()).collect();
        gate.grant(&grant).unwrap();
        gate
    }

    fn admits(gate: &Gate, uri: &str) -> bool {
        gate.admit(&uri.parse().unwrap()).is_ok()
    }

    /// What all gates are tried with.
    fn cases(name: &str) -> Vec<String> {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/cases/egress.json")).unwrap();
        serde_json::from_value(cases[name].clone()).unwrap()
    }

    fn as_strs(texts: &[String]) -> Vec<&str> {
        texts.iter().map(String::as_str).collect()
    }

    fn admits_authority(gate: &Gate, authority: &str) -> bool {
        let uri = Uri::builder().scheme("https").authority(authority).path_and_query("/").build();
        uri.is_ok_and(|uri| gate.admit(&uri).is_ok())
    }

    #[test]
    fn everything_is_denied_by_default() {
        let gate = gate(&[], &["logs.example.com"]);
        assert!(!admits(&gate, "https://logs.example.com/"));
    }

    #[test]
    fn what_the_operator_allows_is_denied_until_the_source_asks_for_it() {
        let gate = gate(&["*.example.com"], &["a.example.com"]);
        assert!(admits(&gate, "https://a.example.com/x?y=z"));
        assert!(!admits(&gate, "https://b.example.com/"));
    }

    #[test]
    fn what_the_source_asks_for_is_denied_unless_the_operator_allows_it() {
        let gate = gate(&["a.example.com"], &["a.example.com", "evil.net"]);
        assert!(!admits(&gate, "https://evil.net/"));
        assert_eq!(gate.denied(&["a.example.com".into(), "evil.net".into()]), ["evil.net"]);
    }

    #[test]
    fn grants_of_an_earlier_configuration_are_gone() {
        let mut gate = gate(&["*.example.com"], &["a.example.com"]);
        gate.grant(&["b.example.com".into()]).unwrap();
        assert!(!admits(&gate, "https://a.example.com/"));
        assert!(gate.grant(&["not a host".into()]).is_err());
        assert!(!admits(&gate, "https://b.example.com/"));
    }

    #[test]
    fn a_source_cannot_grant_itself_a_wildcard() {
        let mut gate = Gate::new(Egress::allow(["*.example.com"]).unwrap());
        assert!(gate.grant(&["*.example.com".into()]).is_err());
    }

    #[test]
    fn a_suffix_needs_a_label_before_it_and_matches_whole_labels() {
        let egress = Egress::allow(["*.example.com"]).unwrap();
        assert!(egress.covers("a.example.com") && egress.covers("a.b.example.com"));
        for no in ["example.com", "evilexample.com", "a.example.com.evil.net", ".example.com"] {
            assert!(!egress.covers(no), "{no}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_trailing_dot() {
        let gate = gate(&["Logs.Example.COM."], &["logs.example.com"]);
        assert!(admits(&gate, "https://LOGS.example.com./"));
        let target = gate.admit(&"https://LOGS.example.com.:443/".parse().unwrap()).unwrap();
        assert_eq!(target.authority(), "logs.example.com");
    }

    #[test]
    fn another_port_is_another_target() {
        let gate = gate(
            &["logs.example.com", "api.example.com:8443"],
            &["logs.example.com", "api.example.com:8443"],
        );
        assert!(admits(&gate, "https://logs.example.com:443/"));
        assert!(!admits(&gate, "https://logs.example.com:22/"));
        assert!(admits(&gate, "https://api.example.com:8443/"));
        assert!(!admits(&gate, "https://api.example.com/"));
        assert!(!admits(&gate, "https://api.example.com:99999/"));
    }

    #[test]
    fn user_information_is_refused() {
        let gate = gate(&["logs.example.com"], &["logs.example.com"]);
        assert!(!admits(&gate, "https://user:pw@logs.example.com/"));
        assert!(!admits(&gate, "https://logs.example.com@evil.net/"));
        assert!("u@example.com".parse::<Rule>().is_err());
    }

    #[test]
    fn plain_http_reaches_loopback_alone() {
        let all = ["logs.example.com:80", "127.0.0.1:8080", "localhost:8080", "[::1]:8080"];
        let gate = gate(&all, &all);
        assert!(!admits(&gate, "http://logs.example.com/"));
        assert!(admits(&gate, "http://127.0.0.1:8080/"));
        assert!(admits(&gate, "http://localhost:8080/"));
        assert!(admits(&gate, "http://[::1]:8080/"));
        assert!(!admits(&gate, "ftp://127.0.0.1:8080/"));
    }

    #[test]
    fn the_metadata_address_is_denied_by_default() {
        let gate = gate(&["*.example.com"], &["169.254.169.254"]);
        assert!(!admits(&gate, "https://169.254.169.254/"));
    }

    #[test]
    fn some_addresses_are_denied_even_if_listed_and_in_every_spelling() {
        let addresses = cases("never_allowed");
        let gate = gate(&as_strs(&addresses), &as_strs(&addresses));
        for address in &addresses {
            assert!(!admits_authority(&gate, address), "{address}");
        }
    }

    #[test]
    fn other_hosts_are_admitted_where_they_are_listed() {
        let hosts = cases("allowed_where_listed");
        let gate = gate(&as_strs(&hosts), &as_strs(&hosts));
        for host in &hosts {
            assert!(admits_authority(&gate, host), "{host}");
        }
    }

    #[test]
    fn what_only_looks_like_a_host_that_is_allowed_is_denied() {
        let gate = gate(&["a.example.com", "127.0.0.1"], &["a.example.com", "127.0.0.1"]);
        for authority in cases("look_alikes").iter().chain(&cases("disguised")) {
            assert!(!admits_authority(&gate, authority), "{authority}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for rule in cases("no_rules").iter().chain(&cases("disguised")) {
            assert!(rule.parse::<Rule>().is_err(), "{rule}");
        }
        for disguise in cases("disguised") {
            assert!(Host::parse(&disguise).is_none(), "{disguise}");
        }
    }

    #[test]
    fn a_literal_address_counts_only_where_it_is_listed_literally() {
        let gate = gate(&["*.example.com", "10.1.2.3"], &["10.1.2.3", "10.1.2.4", "93.184.216.34"]);
        assert!(admits(&gate, "https://10.1.2.3/"));
        assert!(admits(&gate, "https://[::ffff:10.1.2.3]/"));
        assert!(!admits(&gate, "https://10.1.2.4/"));
        assert!(!admits(&gate, "https://93.184.216.34/"));
    }

    #[test]
    fn a_name_may_not_resolve_to_an_inner_address() {
        let inner = [
            "127.0.0.1",
            "169.254.169.254",
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ];
        let none = PrivateNetworks::default();
        for address in inner {
            assert!(!name_may_resolve_to("logs.example.com", address.parse().unwrap(), &none), "{address}");
        }
        for address in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"] {
            assert!(name_may_resolve_to("logs.example.com", address.parse().unwrap(), &none), "{address}");
        }
    }

    #[test]
    fn localhost_is_loopback_and_nothing_else() {
        let may = |name, address: &str| {
            name_may_resolve_to(name, address.parse().unwrap(), &PrivateNetworks::default())
        };
        assert!(may("localhost", "127.0.0.1"));
        assert!(may("localhost", "::1"));
        assert!(!may("localhost", "93.184.216.34"));
        assert!(!may("localhost.example.com", "127.0.0.1"));
    }

    #[test]
    fn a_rule_that_is_none_says_how_to_write_it() {
        for (rule, says) in [
            ("https://example.com/x", "without scheme and path"),
            ("example.com:0", "from 1 to 65535"),
            ("example.com:https", "from 1 to 65535"),
            ("*", "is expected"),
            ("*.com", "at least two labels"),
            ("a.*.example.com", "is expected"),
            ("*.10.0.0.1", "is expected"),
            ("", "is expected"),
            ("exa mple.com", "is expected"),
            ("::1", "in brackets"),
        ] {
            let error = rule.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains(says), "{rule}: {error}");
        }
    }

    #[test]
    fn a_suffix_under_which_anybody_can_own_a_name_is_no_rule() {
        for suffix in ["co.uk", "CO.UK.", "com.au", "kawasaki.jp", "anything.ck", "xn--55qx5d.cn"] {
            let rule = format!("*.{suffix}");
            let error = Egress::allow([&rule]).unwrap_err().to_string();
            let instead = format!("`*.example.{}`", suffix.trim_end_matches('.').to_lowercase());
            assert!(error.contains(&format!("`{rule}`")) && error.contains(&instead), "{error}");
            assert!(format!("{rule}:8443").parse::<Rule>().is_err(), "{rule}");
        }
    }

    #[test]
    fn a_suffix_with_one_owner_is_a_rule_and_so_is_one_whose_owner_hands_out_names() {
        let owned =
            ["*.example.co.uk", "*.my.example.com", "*.force.com", "*.city.kawasaki.jp", "*.corp.internal"];
        let handed_out = ["*.s3.amazonaws.com", "*.github.io"];
        for rule in owned.iter().chain(&handed_out) {
            assert!(Egress::allow([rule]).is_ok(), "{rule}");
        }
        assert_eq!(public_suffix("github.io"), Some(Type::Private));
    }

    fn private(name: &str, networks: &[&str]) -> Result<Egress, RuleError> {
        Egress::allow(["*.example.com", "127.0.0.1:8443", "localhost"]).unwrap().allow_private(name, networks)
    }

    #[test]
    fn a_name_may_resolve_to_the_private_networks_that_are_written_for_it_and_to_no_other() {
        let egress = private("logs.example.com", &["10.20.0.0/16", "fd12:3456::/48"]).unwrap();
        let mut gate = Gate::new(egress);
        gate.grant(&["logs.example.com".into(), "other.example.com".into()]).unwrap();
        let may = |name: &str, address: &str| {
            let target = gate.admit(&format!("https://{name}/").parse().unwrap()).unwrap();
            name_may_resolve_to(name, address.parse().unwrap(), &gate.private_networks(&target))
        };
        for address in ["10.20.0.1", "10.20.255.255", "::ffff:10.20.0.1", "fd12:3456::1", "93.184.216.34"] {
            assert!(may("logs.example.com", address), "{address}");
        }
        for address in ["10.21.0.1", "192.168.0.1", "fd12:3457::1", "127.0.0.1", "64:ff9b::a14:1"] {
            assert!(!may("logs.example.com", address), "{address}");
        }
        assert!(!may("other.example.com", "10.20.0.1"));
    }

    #[test]
    fn a_name_that_may_be_private_still_needs_a_rule() {
        let egress = Egress::deny_all().allow_private("logs.example.com", ["10.0.0.0/8"]).unwrap();
        assert!(!egress.covers("logs.example.com"));
    }

    #[test]
    fn a_private_network_that_is_none_says_what_to_write() {
        for (network, says) in [
            ("10.20.0.1/16", "write `10.20.0.0/16`"),
            ("0.0.0.0/0", "private are 10.0.0.0/8"),
            ("::/0", "private are 10.0.0.0/8"),
            ("10.0.0.0/7", "private are 10.0.0.0/8"),
            ("127.0.0.0/8", "private are 10.0.0.0/8"),
            ("169.254.0.0/16", "private are 10.0.0.0/8"),
            ("169.254.169.254", "private are 10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "private are 10.0.0.0/8"),
            ("fe80::/10", "private are 10.0.0.0/8"),
            ("224.0.0.0/4", "private are 10.0.0.0/8"),
            ("93.184.216.0/24", "private are 10.0.0.0/8"),
            ("100.100.100.200", "never allowed"),
            ("fd00:ec2::254", "never allowed"),
            ("fd00:ec2::/32", "never allowed"),
            ("my network", "write it as"),
        ] {
            let error = private("logs.example.com", &[network]).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(network), "{network}: {error}");
        }
        for (name, says) in [
            ("10.0.0.1", "an address already"),
            ("localhost", "loopback and nothing else"),
            ("logs.example.com:443", "leave the port out"),
            ("*.co.uk", "anybody can own a name"),
            ("*", "is expected"),
        ] {
            let error = private(name, &["10.0.0.0/8"]).unwrap_err().to_string();
            assert!(error.contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn no_exception_reaches_a_metadata_service_loopback_or_the_like() {
        // More than any rule can say, so that the last look is looked at alone.
        let all = PrivateNetworks(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2002:a83f:8110::1",
            "169.254.170.2",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "100.100.100.200",
            "168.63.129.16",
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "fe80::1",
            "255.255.255.255",
            "192.0.2.1",
        ] {
            assert!(!name_may_resolve_to("logs.example.com", address.parse().unwrap(), &all), "{address}");
        }
        assert!(name_may_resolve_to("logs.example.com", "10.0.0.1".parse().unwrap(), &all));
    }

    #[test]
    fn a_grant_with_the_usual_port_is_covered_by_a_rule_without_one() {
        let egress = Egress::allow(["logs.example.com", "127.0.0.1:9000"]).unwrap();
        assert!(egress.covers("logs.example.com:443"));
        assert!(egress.covers("127.0.0.1:9000"));
        assert!(!egress.covers("127.0.0.1:9001"));
        assert!(!egress.covers("127.0.0.1"));
    }
}
