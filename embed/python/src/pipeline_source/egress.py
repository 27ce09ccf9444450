"""Where a component may connect to. Nowhere, unless its configuration needs it and, where rules are given, they allow it.

wasmtime-py 50.0.1 has no hook for outgoing HTTP: `Store.set_wasi_http()` takes no argument, and a component linked to it
reaches whatever the process reaches. So the component is not linked to it. The linker gives it a `wasi:http/outgoing-handler`
that is a Python function ([`Gate.link`]), which looks at the scheme and the authority of each request and refuses it with
`HTTP-request-denied`, or passes it on to wasmtime's own through a second, tiny component (`gate.wat`).

The attacks, and what stops them:

| attack | what stops it |
|---|---|
| a request to a host nobody meant | the authority must be one that `configure` named, in full, **and** match a rule, for every request |
| a look-alike: `evil-example.com`, `example.com@evil.net` | rules compare whole labels; an authority is a name or address and a port, nothing else |
| an address in disguise: `0x7f.1`, `2130706433`, `127.1` | such a host is neither a name nor an address here |
| a literal address of a metadata service | link-local, multicast, unspecified and known metadata addresses are refused even where a rule lists them, and IPv6 \
addresses that wrap such a one (NAT64, 6to4, IPv4-compatible) |
| reading credentials on the wire | plain `http` reaches loopback only |
| another way out than HTTP | a component that imports sockets, files or anything but HTTP and clocks is not loaded |

Not stopped here: **a listed name that resolves to an inner address**, at once or later (DNS rebinding). wasmtime resolves names
itself, behind the gate. Where whoever controls the DNS of an allowed name is not trusted, confine the process as well (a network
policy that denies private ranges), or use `source-host`, which checks addresses.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .errors import ConfigurationError

logger = logging.getLogger("pipeline_source")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "255.255.255.255/32",
            # Metadata services, besides the link-local ones.
            "100.100.100.200/32",
            "168.63.129.16/32",
            "fd00:ec2::/32",
            "fd20:ce::/32",
            "fd00:c1::a9fe:a9fe/128",
            # NAT64 of a network's own. Where in it the IPv4 address stands, nobody else knows.
            "64:ff9b:1::/48",
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_MOST_DENIALS_LOGGED = 100


def _host(text: str) -> str | Address | None:
    """A host in normal form: a name in lower case without trailing dot, or an address with IPv4 unwrapped."""
    if text.startswith("["):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            return None
        return address.ipv4_mapped or address
    name = text.removesuffix(".").lower()
    try:
        return ipaddress.IPv4Address(name)
    except ValueError:
        pass
    labels = name.split(".")
    # The system's resolver reads `0x7f.1`, `127.1` and `2130706433` as addresses, so they are no names.
    numeric = labels[-1].isdigit() or labels[-1].startswith("0x")
    fits = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return name if fits and not numeric else None


def _never(address: Address) -> bool:
    """Refused even where it is listed: nothing that serves logs lives there, and metadata services do."""
    wrapped = _wrapped(address)
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or any(address in network for network in _NEVER)
        or (wrapped is not None and _never(wrapped))
    )


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: by NAT64, by 6to4, or as it was once compatible. (A mapped one is unwrapped already.)"""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return None
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.sixtofour


def _is_loopback(host: str | Address) -> bool:
    return host == "localhost" if isinstance(host, str) else host.is_loopback


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an allow-list: `host`, `host:port`, `*.suffix` or `*.suffix:port`. Without a port, the scheme's own is meant."""

    host: str | Address
    """With a leading dot, it is a suffix."""
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Reads a rule. Raises `ValueError` with a sentence if it is none."""
        if "/" in text or "@" in text:
            raise ValueError(f"`{text}` is no host to allow: write the host alone, without scheme, user and path")
        match = _AUTHORITY.fullmatch(text.removeprefix("*."))
        host = _host(match[1]) if match else None
        if match is None or host is None:
            raise ValueError(
                f"`{text}` is no host to allow: a host name (`logs.example.com`), a suffix (`*.example.com`) or an "
                "address is expected, with `:port` if it is not the usual one"
            )
        port = int(match[2]) if match[2] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"`{text}` is no host to allow: the port is a number from 1 to 65535")
        if text.startswith("*."):
            if not isinstance(host, str) or "." not in host:
                raise ValueError(f"`{text}` is no host to allow: a suffix needs two labels, as in `*.example.com`")
            host = "." + host
        return cls(host, port)

    @property
    def is_suffix(self) -> bool:
        return isinstance(self.host, str) and self.host.startswith(".")

    def matches(self, host: str | Address, port: int, usual_port: int) -> bool:
        if port != (self.port or usual_port):
            return False
        if self.is_suffix and isinstance(host, str) and isinstance(self.host, str):
            return host.endswith(self.host) and len(host) > len(self.host)
        return host == self.host


def parse_rules(rules: Iterable[str], path: str = "allow") -> list[Rule]:
    """Reads an allow-list. Raises `ConfigurationError` for the first rule that is none."""
    parsed = []
    for index, rule in enumerate(rules):
        try:
            parsed.append(Rule.parse(rule))
        except ValueError as error:
            raise ConfigurationError.one(str(error), path=f"{path}[{index}]") from None
    return parsed


class Gate:
    """Decides on each request of one source."""

    def __init__(self, rules: list[Rule] | None) -> None:
        self._rules = rules
        self._granted: list[Rule] = []
        self._logged: set[str] = set()
        self.interruption: BaseException | None = None
        """What a signal raised while the gate was asked, to be raised once the call is over."""

    def grant(self, authorities: Iterable[str]) -> list[str]:
        """Replaces what the component asked for, and returns what of it the rules do not allow.

        Raises `ValueError` if one is no authority: a component names each host in full.
        """
        granted, denied = [], []
        for authority in authorities:
            rule = Rule.parse(authority)
            if rule.is_suffix:
                raise ValueError(f"`{authority}` is no host in full")
            granted.append(rule)
            # Without a port, the one of https is meant.
            port = rule.port or 443
            if self._rules is not None and not any(r.matches(rule.host, port, 443) for r in self._rules):
                denied.append(authority)
        self._granted = granted
        return denied

    def refusal(self, scheme: str, authority: str) -> str | None:
        """Why a request may not be sent; none if it may. `scheme` is `HTTP`, `HTTPS` or another."""
        match = _AUTHORITY.fullmatch(authority)
        host = _host(match[1]) if match else None
        if match is None or host is None:
            return "its host is neither a name nor an address"
        if scheme not in ("HTTP", "HTTPS"):
            return "only https is supported"
        if scheme == "HTTP" and not _is_loopback(host):
            return "plain http is for loopback alone"
        usual = 443 if scheme == "HTTPS" else 80
        port = int(match[2]) if match[2] else usual
        if not isinstance(host, str) and _never(host):
            return "such an address is never allowed"
        if self._rules is not None and not any(rule.matches(host, port, usual) for rule in self._rules):
            return "the rules do not allow it"
        if not any(rule.matches(host, port, usual) for rule in self._granted):
            return "the source did not ask for it when it was configured"
        return None

    def _admits(self, scheme: Any, authority: str | None) -> bool:
        tag = "HTTPS" if scheme is None else scheme.tag
        reason = self.refusal(tag, authority or "")
        if reason is None:
            return True
        shown = repr((authority or "")[:300])
        if shown not in self._logged and len(self._logged) < _MOST_DENIALS_LOGGED:
            self._logged.add(shown)
            logger.warning("denied a request to %s: %s", shown, reason)
        return False

    def handler(self, call: Callable[..., Any], denied: Any) -> Callable[..., Any]:
        """What takes the place of `wasi:http/outgoing-handler.handle`. `call` calls the functions of `gate.wat`."""

        def handle(store: Any, request: Any, options: Any) -> Any:
            try:
                admits = self._admits(call("scheme", store, request), call("authority", store, request))
            except Exception:  # what is not understood is not sent
                logger.exception("denied a request")
                admits = False
            except BaseException as interruption:  # which must not cross wasmtime
                self.interruption, admits = interruption, False
            if admits:
                return call("handle", store, request, options)
            for resource in (request, options):
                if resource is not None:
                    resource.drop(store)
            return denied

        return handle


def gate_text() -> str:
    return files(__package__).joinpath("gate.wat").read_text("utf-8")
