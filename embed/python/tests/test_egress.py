"""The gate before HTTP."""

from __future__ import annotations

import pytest

from pipeline_source import ConfigurationError
from pipeline_source.egress import Gate, parse_rules


def gate(allow: list[str] | None, grant: list[str]) -> Gate:
    made = Gate(None if allow is None else parse_rules(allow))
    made.grant(grant)
    return made


def admits(made: Gate, authority: str, scheme: str = "HTTPS") -> bool:
    return made.refusal(scheme, authority) is None


def test_without_rules_the_grants_alone_are_admitted() -> None:
    made = gate(None, ["logs.example.com"])
    assert admits(made, "logs.example.com") and not admits(made, "other.example.com")


def test_what_is_allowed_is_denied_until_the_source_asks_for_it() -> None:
    made = gate(["*.example.com"], ["a.example.com"])
    assert admits(made, "a.example.com") and not admits(made, "b.example.com")


def test_what_the_source_asks_for_is_denied_unless_it_is_allowed() -> None:
    made = Gate(parse_rules(["a.example.com"]))
    assert made.grant(["a.example.com", "evil.net"]) == ["evil.net"]
    assert not admits(made, "evil.net")


def test_no_rule_allows_nothing() -> None:
    assert Gate([]).grant(["a.example.com"]) == ["a.example.com"]


def test_a_source_cannot_grant_itself_a_suffix() -> None:
    with pytest.raises(ValueError):
        Gate(None).grant(["*.example.com"])


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "evilexample.com",
        "a.example.com.evil.net",
        "a.example.com@evil.net",
        "evil.net/a.example.com",
        "a.example.com:443:80",
        "a.example.com:8443",
        "a.example.com:99999",
        "a.example.com\n",
        "a.example.com ",
        "ä.example.com",
        "%61.example.com",
        "[a.example.com]",
    ],
)
def test_what_only_looks_like_it_is_denied(authority: str) -> None:
    assert not admits(gate(None, ["a.example.com"]), authority)


def test_names_are_compared_without_case_and_trailing_dot() -> None:
    made = gate(["Logs.Example.COM."], ["logs.example.com"])
    assert admits(made, "LOGS.example.com.") and admits(made, "logs.example.com:443")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "[::]",
        "[ff02::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fd00:c1::a9fe:a9fe]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::100.100.100.200]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[2002:a9fe:a9fe::1]",
        "[2002:a83f:8110::1]",
        "[::a9fe:a9fe]",
        "[::168.63.129.16]",
    ],
)
def test_some_addresses_are_denied_even_where_they_are_listed(address: str) -> None:
    assert not admits(gate([address], [address]), address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "10.1.2.3", "127.0.0.1", "[::1]", "[2606:2800:220:1::1]", "[64:ff9b::5db8:d822]", "[2002:5db8:d822::1]"],
)
def test_other_addresses_are_admitted_where_they_are_listed(address: str) -> None:
    assert admits(gate([address], [address]), address)


@pytest.mark.parametrize("disguised", ["0x7f.1", "127.1", "2130706433", "0177.0.0.1"])
def test_an_address_in_disguise_is_no_host(disguised: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_rules([disguised])
    assert not admits(gate(None, ["127.0.0.1"]), disguised)


def test_plain_http_is_for_loopback_alone() -> None:
    for host, expected in (("logs.example.com", False), ("127.0.0.1:8080", True), ("localhost:1", True), ("[::1]:1", True)):
        assert admits(gate(None, [host, host.partition(":8")[0]]), host, "HTTP") == expected, host
    assert not admits(gate(None, ["logs.example.com"]), "logs.example.com", "other")


@pytest.mark.parametrize("rule", ["*.com", "https://a.example.com", "a@b.example.com", "a.example.com:0", "*", "", "*.1.2.3.4"])
def test_what_is_no_rule_is_refused_with_its_place(rule: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_rules(["a.example.com", rule])
    assert refused.value.path == "allow[1]"
