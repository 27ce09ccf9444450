"""What a source is asked, and when: the reference source, which does what a server here tells it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline_source import BrokenContract, Component, ComponentCrashed, Limits, PollFailure, Source

from .conftest import Time, built

Answer = Callable[[str | None, int], str]


class Server:
    """What the reference source asks; `answer` is told the state, and how many polls there were before."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _state, _polls: "next 60000"
        self.polls = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                state = parse_qs(urlsplit(self.path).query).get("state", [None])[0]
                body = server.answer(state, server.polls).encode()
                server.polls += 1
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.authority = f"127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def reference(cache: Path) -> Component:
    return Component(built("REFERENCE_COMPONENT", "dist/reference-source.wasm"), cache=cache)


def source(reference: Component, server: Server, time: Time, **options: Any) -> Source:
    return Source(reference, {"authority": server.authority}, clock=time.clock, wait=time.wait, **options)


def take(source: Source, number: int) -> None:
    batches = iter(source)
    for _ in range(number):
        next(batches).ack()


EVENT = 'event {"id":"1"}\n'


@pytest.mark.parametrize(
    "broken", ["event []", "state ", "state \nfail transient 0 later"], ids=["event", "state", "state of a failure"]
)
def test_what_breaks_the_contract_is_a_crash_and_is_asked_for_again_ever_later(
    reference: Component, server: Server, broken: str
) -> None:
    time = Time()
    server.answer = lambda _state, polls: broken if polls < 6 else EVENT
    with source(reference, server, time, crashes=3) as it:
        for waits in ([1.0, 2.0], [1.0, 2.0, 4.0, 8.0, 16.0]):
            with pytest.raises(BrokenContract):
                next(iter(it))
            assert time.waits == waits and it.state is None
        assert next(iter(it)).lines and time.waits[-1] == 32.0


def test_a_source_that_crashes_when_it_is_asked_whether_it_is_complete_is_polled_ever_later(hostile: Component) -> None:
    time = Time()
    config, limits = '{"do":"trap-in-is-complete"}', Limits(longest_wait=0.5)
    with Source(hostile, config, limits=limits, crashes=3, clock=time.clock, wait=time.wait) as it:
        it.confine(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
        with pytest.raises(ComponentCrashed):
            for batch in it:
                # The batch is safe before it is asked.
                batch.ack()
        assert time.waits == [1.0, 2.0] and it.state == "{}"
        next(iter(it))
        assert time.waits == [1.0, 2.0, 4.0]


def test_a_source_that_promises_more_and_brings_nothing_is_polled_once_a_second(
    reference: Component, server: Server
) -> None:
    for promise in ("next 0", "next 999"):
        time = Time()
        server.answer = lambda state, _polls, promise=promise: f"state {state or 'step'}x\n{promise}"  # type: ignore[misc]
        with source(reference, server, time) as it:
            take(it, 14)
        assert time.waits[-3:] == [1.0, 1.0, 1.0] and len([wait for wait in time.waits if wait == 1.0]) == 3


def test_a_failure_that_asks_for_a_wait_of_a_millisecond_costs_more(reference: Component, server: Server) -> None:
    time = Time()
    server.answer = lambda _state, polls: EVENT if polls else "fail transient 1 busy"
    with source(reference, server, time) as it:
        take(it, 1)
    assert time.waits == [0.1]


def test_events_make_up_for_empty_promises(reference: Component, server: Server) -> None:
    time = Time()
    server.answer = lambda _state, polls: "" if polls % 10 else EVENT
    with source(reference, server, time) as it:
        take(it, 50)
    assert time.waits == []


def test_a_source_that_reads_for_ever_and_has_no_events_is_slowed_down(reference: Component, server: Server) -> None:
    time = Time()
    with source(reference, server, time) as it:
        batch = next(iter(it))
        batch.next_poll, batch.lines = 0.0, []
        object.__setattr__(batch.stats, "rows_read", 1)
        assert it._least_wait(batch, True) == 0.0
        time.now += 60.0
        assert it._least_wait(batch, True) == 0.1
        assert it._promises == 0 and it._progress == 60.0


@pytest.mark.parametrize("next_poll", [0, 500])
def test_until_caught_up_gives_up_on_a_source_that_promises_more_for_ever(
    reference: Component, server: Server, next_poll: int
) -> None:
    time = Time()
    problem = "problem transient later\n" if next_poll else ""
    server.answer = lambda _state, _polls: f"{problem}next {next_poll}"
    with source(reference, server, time, until_caught_up=True, give_up_after=60) as it:
        with pytest.raises(PollFailure, match="given up"):
            for batch in it:
                assert server.polls < 1_000
                batch.ack()
    assert 50 < time.now <= 60 and server.polls < 100


def test_until_caught_up_does_not_take_a_slow_output_for_a_source_that_does_nothing(
    reference: Component, server: Server
) -> None:
    time = Time()
    server.answer = lambda _state, polls: EVENT if polls < 3 else "next 60000"
    with source(reference, server, time, until_caught_up=True, give_up_after=60) as it:
        for batch in it:
            time.now += 100
            batch.ack()
    assert server.polls == 4


def program(reference: Component, server: Server, folder: Path, cache: Path) -> subprocess.Popen[str]:
    toml = folder / "it.toml"
    toml.write_text(
        f'component = "{reference.path}"\n[source]\nauthority = "{server.authority}"\n[state]\npath = "state"\n'
        f'[output]\nkind = "file"\npath = "events.ndjson"\n[egress]\nallow = ["{server.authority}"]\n'
    )
    command = [sys.executable, "-m", "pipeline_source", "--cache", str(cache), str(toml)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_configuration_that_never_worked_ends_the_program(
    reference: Component, server: Server, tmp_path: Path, cache: Path
) -> None:
    server.answer = lambda _state, _polls: "fail config 10 there is no such stream"
    process = program(reference, server, tmp_path, cache)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and server.polls == 1, said


def test_a_configuration_that_has_worked_is_tried_again(
    reference: Component, server: Server, tmp_path: Path, cache: Path
) -> None:
    again = threading.Event()

    def answer(_state: str | None, polls: int) -> str:
        if 0 < polls < 3:
            return "fail config 10 there is no such stream"
        if polls == 3:
            again.set()
        return f"{EVENT}state step-{polls}\nnext {60_000 if polls else 0}"

    server.answer = answer
    process = program(reference, server, tmp_path, cache)
    has_come = again.wait(60)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert has_come and process.returncode == 0 and said.count("config: there is no such stream") == 2, said
