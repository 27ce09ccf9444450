"""The gate before HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline_source import ConfigurationError
from pipeline_source.egress import Gate, parse_rules


# What all gates are tried with.
CASES = json.loads((Path(__file__).parents[3] / "tests/cases/egress.json").read_text("utf-8"))


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


@pytest.mark.parametrize("authority", CASES["look_alikes"])
def test_what_only_looks_like_it_is_denied(authority: str) -> None:
    assert not admits(gate(None, ["a.example.com"]), authority)


def test_names_are_compared_without_case_and_trailing_dot() -> None:
    made = gate(["Logs.Example.COM."], ["logs.example.com"])
    assert admits(made, "LOGS.example.com.") and admits(made, "logs.example.com:443")


@pytest.mark.parametrize("address", CASES["never_allowed"])
def test_some_addresses_are_denied_even_where_they_are_listed(address: str) -> None:
    assert not admits(gate([address], [address]), address)


@pytest.mark.parametrize("host", CASES["allowed_where_listed"])
def test_other_hosts_are_admitted_where_they_are_listed(host: str) -> None:
    assert admits(gate([host], [host]), host)


@pytest.mark.parametrize("disguised", CASES["disguised"])
def test_an_address_in_disguise_is_no_host(disguised: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_rules([disguised])
    assert not admits(gate(None, ["127.0.0.1"]), disguised)


def test_plain_http_is_for_loopback_alone() -> None:
    for host, expected in (("logs.example.com", False), ("127.0.0.1:8080", True), ("localhost:1", True), ("[::1]:1", True)):
        assert admits(gate(None, [host, host.partition(":8")[0]]), host, "HTTP") == expected, host
    assert not admits(gate(None, ["logs.example.com"]), "logs.example.com", "other")


@pytest.mark.parametrize("rule", CASES["no_rules"])
def test_what_is_no_rule_is_refused_with_its_place(rule: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_rules(["a.example.com", rule])
    assert refused.value.path == "allow[1]"
