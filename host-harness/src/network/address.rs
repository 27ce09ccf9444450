//! Addresses that no request goes to, whoever allows it: for `source-host`, and for the gate of a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Refused even where an operator lists them: nothing that serves logs lives there, and metadata services do.
pub(crate) fn never(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            a.octets()[0] == 0
                || a.is_link_local()
                || a.is_multicast()
                || a.is_broadcast()
                || a == Ipv4Addr::new(100, 100, 100, 200)
                || a == Ipv4Addr::new(168, 63, 129, 16)
        }
        IpAddr::V6(a) => {
            a.is_unspecified()
                || a.is_multicast()
                || a.is_unicast_link_local()
                // What AWS, Google and Oracle have their metadata services at, besides the link-local address.
                || matches!(a.segments(), [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] | [.., 0xa9fe, 0xa9fe])
                // NAT64 of a network's own (RFC 8215). Where in it the IPv4 address stands, nobody else knows.
                || matches!(a.segments(), [0x64, 0xff9b, 1, ..])
                || wrapped(a).is_some_and(|inner| never(inner.into()))
        }
    }
}

/// The IPv4 address that an IPv6 one leads to: by NAT64, by 6to4, or as it was once compatible.
pub(crate) fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        _ if address.is_loopback() => return None,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            (high, low)
        }
        _ => return None,
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}
