"""A component that attacks its host."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline_source import (
    BrokenContract,
    Component,
    ComponentCrashed,
    ConfigurationError,
    Limits,
    Source,
    TimeLimitExceeded,
)

from .conftest import Time

QUICK = Limits(call_time=0.3)


def attacked_by(hostile: Component, attack: str, **settings: str) -> Source:
    time = Time()
    config = json.dumps({"do": attack, **settings}, separators=(",", ":"))
    return Source(hostile, config, limits=QUICK, crashes=1, clock=time.clock, wait=time.wait)


@pytest.fixture
def server() -> Iterator[str]:
    """A server on loopback that answers each request with five bytes."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_well_behaved_one_is_polled(hostile: Component) -> None:
    with attacked_by(hostile, "nothing") as source:
        assert next(iter(source)).lines == ['{"event":{"id":"1"}}']


def test_a_poll_that_never_ends_is_stopped(hostile: Component) -> None:
    with attacked_by(hostile, "spin") as source, pytest.raises(TimeLimitExceeded, match="0.3 s"):
        next(iter(source))


def test_memory_is_bounded(hostile: Component) -> None:
    with attacked_by(hostile, "grow") as source, pytest.raises(ComponentCrashed, match="limit of 64 MiB of memory"):
        next(iter(source))


@pytest.mark.parametrize("attack", ["spin-in-confine", "trap-in-is-complete", "spin-in-is-complete"])
def test_after_a_crash_in_any_call_the_next_call_has_a_new_instance(hostile: Component, attack: str) -> None:
    with attacked_by(hostile, attack) as source:
        with pytest.raises(ComponentCrashed):
            if "confine" in attack:
                source.confine(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
            else:
                source.is_complete("{}")
        assert next(iter(source)).lines


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        ("empty-state", "empty state"),
        ("large-event", "bytes of one event"),
        ("twice", "not one JSON object"),
        ("deep", "not one JSON object"),
        ("surrogate", "not one JSON object"),
        ("number", "not one JSON object"),
    ],
)
def test_what_breaks_the_contract_is_not_handed_out(hostile: Component, attack: str, what: str) -> None:
    with attacked_by(hostile, attack) as source, pytest.raises(BrokenContract, match=what):
        next(iter(source))


def test_many_problems_are_counted_and_the_batch_is_kept(hostile: Component) -> None:
    with attacked_by(hostile, "many-problems") as source:
        batch = next(iter(source))
    assert len(batch.problems) == 101 and "4,900 more" in batch.problems[-1].message


@pytest.mark.parametrize("attack", ["many-warnings", "many-refusals", "many-authorities"])
def test_an_answer_without_end_ends_in_an_error(hostile: Component, attack: str) -> None:
    with pytest.raises((ComponentCrashed, BrokenContract)):
        attacked_by(hostile, attack)


@pytest.mark.parametrize("attack", ["many-findings", "many-days"])
def test_findings_without_end_end_in_an_error(hostile: Component, attack: str) -> None:
    with attacked_by(hostile, attack) as source, pytest.raises((ComponentCrashed, BrokenContract)):
        source.check()


def test_a_source_that_wants_to_sleep_for_weeks_is_asked_after_a_day(hostile: Component) -> None:
    with attacked_by(hostile, "silent") as source:
        assert next(iter(source)).next_poll == 24 * 3600


def test_a_request_goes_where_the_configuration_says(hostile: Component, server: str) -> None:
    with attacked_by(hostile, "one-request", authority=server) as source:
        assert next(iter(source)).state == "read 5"


def test_a_request_to_a_server_that_would_answer_is_denied_before_it_is_sent(hostile: Component, server: str) -> None:
    with attacked_by(hostile, "one-request", authority=server) as source:
        source._gate.grant(["logs.example.com"])
        assert next(iter(source)).state == "ErrorCode::HttpRequestDenied"


@pytest.mark.parametrize("path", ["@evil", ".evil", ":1234", "x/slo"])
def test_what_is_no_path_is_not_sent(hostile_path: Path, tmp_path: Path, server: str, path: str) -> None:
    """wasmtime refuses it when the request is made, and has authority and path apart all the way."""
    content = hostile_path.read_bytes()
    assert len(path) == len("/slow") and b"/slow" in content
    other = tmp_path / "other.wasm"
    other.write_bytes(content.replace(b"/slow", path.encode()))
    with attacked_by(Component(other), "silent-server", authority=server) as source:
        assert next(iter(source)).state == "no request"


def test_a_request_goes_nowhere_else(hostile: Component, caplog: pytest.LogCaptureFixture) -> None:
    with Source(hostile, '{"do":"denied-requests","authority":"logs.example.com"}') as source:
        assert next(iter(source)).state == "denied 2500"
    denials = [record.getMessage() for record in caplog.records if "denied" in record.getMessage()]
    assert "attacker.example.net" in denials[0] and len(denials) <= 100


def test_what_the_rules_do_not_allow_is_refused_before_the_first_poll(hostile: Component, server: str) -> None:
    config = json.dumps({"do": "one-request", "authority": server}, separators=(",", ":"))
    with pytest.raises(ConfigurationError, match=server) as refused:
        Source(hostile, config, allow=["logs.example.com"])
    assert refused.value.path == "allow"
    with Source(hostile, config, allow=[server]) as source:
        assert next(iter(source)).state == "read 5"


def test_what_is_allowed_and_was_not_asked_for_is_denied(hostile: Component) -> None:
    config = '{"do":"denied-requests","authority":"logs.example.com"}'
    with Source(hostile, config, allow=["logs.example.com", "*.example.net"]) as source:
        assert next(iter(source)).state == "denied 2500"
