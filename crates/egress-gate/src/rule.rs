//! One line of an allow-list, and what it covers.

#[path = "../../../host-harness/src/network/address.rs"]
mod address;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host in normal form: lower-case without trailing dot, or an address with IPv4 unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// From what stands in an authority, brackets of an IPv6 address included.
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return inner
                .parse::<Ipv6Addr>()
                .ok()
                .map(|address| Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // Resolvers read `0x7f.1`, `127.1` and `2130706433` as addresses, so they are no names.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        let is_name = name.len() <= 253 && name.split('.').all(is_label) && !is_number;
        is_name.then_some(Self::Name(name))
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Refused even where it is listed.
    pub(crate) fn is_never_allowed(&self) -> bool {
        matches!(self, Self::Address(address) if address::never(*address))
    }
}

/// A host and a port, as a request has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Reads `host` or `host:port`. User information, a path or anything else in it makes it none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self { host: Host::parse(host)?, port })
    }
}

/// Whether a path stays behind its authority, also where a host puts one behind the other to a text.
pub(crate) fn is_path(text: &str) -> bool {
    text.starts_with('/')
}

/// One line of an allow-list: an authority, or all names that end with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    authority: Authority,
    is_suffix: bool,
}

impl Rule {
    /// Reads a rule; or says in a sentence why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let none = |why: &str| Err(format!("`{text}` is no host to allow: {why}"));
        if text.contains(['/', '@']) {
            return none("write the host alone, without scheme, user and path");
        }
        let (name, is_suffix) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let Some(authority) = Authority::parse(name) else {
            return none(
                "a host name (`logs.example.com`), a suffix (`*.example.com`) or an address is expected, with `:port` if it \
                 is not the usual one",
            );
        };
        let is_short = !matches!(&authority.host, Host::Name(name) if name.contains('.'));
        if is_suffix && is_short {
            return none("a suffix needs two labels, as in `*.example.com`");
        }
        Ok(Self { authority, is_suffix })
    }

    /// Whether it covers a host at a port, where `usual` is the port of the scheme.
    pub(crate) fn covers(&self, host: &Host, port: u16, usual: u16) -> bool {
        if self.authority.port.unwrap_or(usual) != port {
            return false;
        }
        match (&self.authority.host, host) {
            // More than the suffix itself: at least a label and the dot stand in front.
            (Host::Name(suffix), Host::Name(name)) if self.is_suffix => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (own, host) => !self.is_suffix && own == host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all gates are tried with.
    fn cases(name: &str) -> Vec<String> {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/cases/egress.json")).unwrap();
        serde_json::from_value(cases[name].clone()).unwrap()
    }

    fn covers(rule: &str, authority: &str) -> bool {
        Authority::parse(authority).is_some_and(|authority| {
            Rule::parse(rule).unwrap().covers(&authority.host, authority.port.unwrap_or(443), 443)
        })
    }

    #[test]
    fn some_addresses_are_never_allowed_in_whatever_an_address_of_ipv4_is_wrapped() {
        for address in cases("never_allowed") {
            let authority = Authority::parse(&address).unwrap_or_else(|| panic!("{address}"));
            assert!(authority.host.is_never_allowed(), "{address}");
        }
    }

    #[test]
    fn other_hosts_are_allowed_where_they_are_listed() {
        for host in cases("allowed_where_listed") {
            let authority = Authority::parse(&host).unwrap_or_else(|| panic!("{host}"));
            assert!(!authority.host.is_never_allowed() && covers(&host, &host), "{host}");
        }
    }

    #[test]
    fn what_only_looks_like_a_host_is_not_covered_by_its_rule() {
        for authority in cases("look_alikes").into_iter().chain(cases("disguised")) {
            assert!(!covers("a.example.com", &authority) && !covers("127.0.0.1", &authority), "{authority}");
        }
    }

    #[test]
    fn what_is_no_path_would_change_the_host_and_is_none() {
        for path in
            ["@evil.net/", ".evil.net/", ":8443/", "\t/", "\n@evil.net", "\\evil.net", "?x", "#x", "x", " /"]
        {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(is_path("/x?y=z") && is_path("//evil.net/") && is_path("/@evil.net/"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for rule in cases("no_rules").into_iter().chain(cases("disguised")) {
            assert!(Rule::parse(&rule).is_err(), "{rule}");
        }
    }
}
