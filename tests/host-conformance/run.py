#!/usr/bin/env python3
"""Tries a host of log sources: whether it does with the reference source what the contract asks of it.

The reference source asks a server for what it is to do, and that server is this program: it sees when the host polls and with
which state, and looks at the host's output and stored state at that moment. Needs Python 3.11 and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from simulated import ROOT, placed, read_hosts, there

PATIENCE = 60.0  # seconds that anything may take before it is taken for never
EXAMPLES = """\
examples:
  run.py rust                    a host of this repository, by its name in hosts.toml
  run.py rust python node        several
  run.py --only kill rust        the trials that have this in their names
  run.py -- myhost --config {toml}                             a host of your own
  run.py -- myhost {component} {config} {state} {output}       or one that takes these apart

The command runs until it is stopped by SIGTERM. {component} is the reference source, {config} the JSON document that `configure`
takes, {state} the file that remembers the state, {output} the file that events are appended to, a line each; {toml} is one file
in the form that source-host takes, with all of these in it. {allow} is an authority that may be contacted, and the only one.

Exit status: 0 all hold, 1 some do not, 2 a mistake in what was given."""


class Failed(Exception):
    """What the host did wrong, in words."""


def demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


class Server:
    """What the reference source asks. `answer` is told the state (none at first) and how often that was asked with before."""

    def __init__(self) -> None:
        self.answer: Callable[[str | None, int], str] = lambda _state, _times: "next 60000"
        self.asked: list[tuple[float, str | None]] = []
        self.changed = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = server._poll(self.path) if self.path.startswith("/poll") else ""
                try:
                    self.send_response(200)
                    self.send_header("content-length", str(len(body.encode())))
                    self.end_headers()
                    self.wfile.write(body.encode())
                except OSError:
                    pass  # the host was killed meanwhile

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.authority = f"127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _poll(self, path: str) -> str:
        state = parse_qs(urlsplit(path).query).get("state", [None])[0]
        with self.changed:
            times = sum(1 for _, asked in self.asked if asked == state)
            self.asked.append((time.monotonic(), state))
            self.changed.notify_all()
        return self.answer(state, times)

    def states(self) -> list[str | None]:
        with self.changed:
            return [state for _, state in self.asked]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Trial:
    """A host in a folder of its own, with a server that it asks."""

    def __init__(self, command: list[str], component: Path, folder: Path) -> None:
        self.command, self.component, self.folder = command, component, folder
        self.server = Server()
        self.state, self.output = folder / "state", folder / "events.ndjson"
        self.said = folder / "said.txt"
        self.host: subprocess.Popen[bytes] | None = None
        self.wrong: list[str] = []

    def start(self, **config: str) -> None:
        config = {"authority": self.server.authority, **config}
        (self.folder / "config.json").write_text(json.dumps(config))
        source = "".join(f"{key} = {json.dumps(value)}\n" for key, value in config.items())
        (self.folder / "source.toml").write_text(
            f"component = {json.dumps(str(self.component))}\n[source]\n{source}"
            f"[state]\npath = {json.dumps(str(self.state))}\n"
            f'[output]\nkind = "file"\npath = {json.dumps(str(self.output))}\n'
            f"[egress]\nallow = [{json.dumps(self.server.authority)}]\n"
        )
        with self.said.open("ab") as said:
            self.host = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def arguments(self) -> list[str]:
        values = {
            "component": self.component,
            "config": self.folder / "config.json",
            "toml": self.folder / "source.toml",
            "state": self.state,
            "output": self.output,
            "allow": self.server.authority,
        }
        return [part.format(**values) for part in self.command]

    def events(self) -> list[dict]:
        """The events that are there; the last line may be under way."""
        try:
            text = self.output.read_bytes().decode()
        except FileNotFoundError:
            return []
        events = []
        for line in text.split("\n")[:-1]:
            try:
                event = json.loads(line)
            except ValueError:
                raise Failed(f"its output has a line that is no JSON: {line[:80]!r}") from None
            demand(isinstance(event, dict), f"its output has a line that is no object: {line[:80]!r}")
            events.append(event)
        return events

    def ids(self) -> list[str]:
        return [event["id"] for event in self.events() if "id" in event]

    def stored(self) -> str:
        try:
            return self.state.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def until(self, holds: Callable[[], bool], otherwise: str, seconds: float = PATIENCE, pause: float = 0.01) -> None:
        end = time.monotonic() + seconds
        while not holds():
            demand(not self.wrong, self.wrong[0] if self.wrong else "")
            ended = self.host is not None and self.host.poll() is not None
            demand(not ended or holds(), f"it has ended with status {self.host and self.host.returncode}: {otherwise}")
            demand(time.monotonic() < end, f"after {seconds:.0f} s: {otherwise}")
            # Wakes with the next poll; of files and of the host's end nobody tells.
            with self.server.changed:
                self.server.changed.wait(pause)

    def asked_with(self, state: str | None, times: int = 1) -> None:
        called = "no state" if state is None else f"the state {state!r}"
        self.until(lambda: self.server.states().count(state) >= times, f"it does not poll with {called} (time {times})")

    def ends(self, seconds: float = PATIENCE) -> int:
        assert self.host is not None
        try:
            return self.host.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not end within {seconds:.0f} s") from None

    def stop(self) -> int:
        assert self.host is not None
        self.host.send_signal(signal.SIGTERM)
        return self.ends()

    def kill(self) -> None:
        if self.host is not None and self.host.poll() is None:
            self.host.kill()
            self.host.wait()

    def close(self) -> None:
        self.kill()
        self.server.close()


def events(step: int, count: int = 3) -> str:
    return "".join(f'event {{"id":"{step}-{nth}"}}\n' for nth in range(count))


def ids_up_to(step: int, count: int = 3) -> list[str]:
    return [f"{before}-{nth}" for before in range(step) for nth in range(count)]


def step_of(state: str | None) -> int:
    return 0 if state is None else int(state.removeprefix("step-"))


def steps(trial: Trial, last: int, count: int = 3) -> None:
    """Batches one after the other, as many as are asked for, and then nothing more. At each poll the events of all before must
    be in the output: the state that it polls with says that they are safe."""

    def answer(state: str | None, _times: int) -> str:
        step = step_of(state)
        try:
            missing = set(ids_up_to(step, count)) - set(trial.ids())
        except Failed as failed:
            trial.wrong.append(str(failed))
            missing = set()
        if missing:
            trial.wrong.append(f"it polls with {state!r} and its output lacks {sorted(missing)[:3]}: the state ran ahead of the events")
        if step >= last:
            return f"state step-{step}\nnext 60000\n"
        return f"{events(step, count)}state step-{step + 1}\n"

    trial.server.answer = answer


TRIALS: list[Callable[[Trial], None]] = []


def trial(function: Callable[[Trial], None]) -> Callable[[Trial], None]:
    TRIALS.append(function)
    return function


@trial
def batches_are_delivered_in_order_and_each_state_after_its_events(it: Trial) -> None:
    steps(it, last=20)
    it.start()
    it.asked_with("step-20")
    demand(it.ids() == ids_up_to(20), "its output has not each event once and in order")
    it.until(lambda: "step-20" in it.stored(), "the last state is not in its file")
    demand(it.server.states()[0] is None, "it began with a state, and there was none")


@trial
def a_stop_ends_it_soon_and_well_and_the_next_start_goes_on(it: Trial) -> None:
    steps(it, last=5)
    it.start()
    it.asked_with("step-5")
    status = it.stop()
    demand(status == 0, f"it was asked to stop, and ended with status {status}")
    demand("step-5" in it.stored(), "what it has delivered is not in its stored state")
    steps(it, last=8)
    it.start()
    it.asked_with("step-8")
    demand(it.ids() == ids_up_to(8), "its output has not each event once and in order")


@trial
def a_kill_at_any_moment_loses_nothing(it: Trial) -> None:
    rng = random.Random(20_261_128)
    last = 0
    for _ in range(8):
        last += 15
        steps(it, last)
        it.start()
        reached = rng.randrange(last - 14, last)
        moments: list[Callable[[int], bool]] = [
            lambda at: any(step_of(state) >= at for state in it.server.states()),
            lambda at: f"{at}-0" in it.ids(),
            # Whichever is stored when this looks: each is there for a moment only.
            lambda at: any(int(step) >= at for step in re.findall(r"step-(\d+)", it.stored())),
        ]
        moment = rng.choice(moments)
        it.until(lambda at=reached, here=moment: here(at), f"it does not come to step {reached}", pause=0)
        it.kill()
        stored = [step for step in range(last + 1) if f"step-{step}\n" in it.stored() + "\n" or it.stored().endswith(f"step-{step}")]
        known = set(it.output.read_text().split("\n")[:-1]) if it.output.exists() else set()
        for step in stored[-1:]:
            lacks = [one for one in ids_up_to(step) if f'{{"id":"{one}"}}' not in known]
            demand(not lacks, f"its stored state is {step}, and its output lacks {lacks[:3]}")
    steps(it, last)
    it.start()
    it.asked_with(f"step-{last}")
    demand(set(it.ids()) == set(ids_up_to(last)), "events are missing")


@trial
def a_crash_is_followed_by_another_try_with_the_same_state(it: Trial) -> None:
    steps(it, last=4)
    usual = it.server.answer
    it.server.answer = lambda state, times: "trap" if state == "step-2" and times == 0 else usual(state, times)
    it.start()
    it.asked_with("step-2", times=2)
    it.asked_with("step-4")
    demand(it.ids() == ids_up_to(4), "its output has not each event once and in order")


@trial
def a_failed_poll_is_tried_again_and_not_before_its_time(it: Trial) -> None:
    steps(it, last=4)
    usual = it.server.answer
    wait = 1.5

    def answer(state: str | None, times: int) -> str:
        if state == "step-2" and times == 0:
            return f"state step-2\nfail rate-limited {int(wait * 1000)} patience, please"
        return usual(state, times)

    it.server.answer = answer
    it.start()
    it.asked_with("step-4")
    at = [when for when, state in it.server.asked if state == "step-2"]
    demand(at[1] - at[0] >= wait, f"it came again after {at[1] - at[0]:.2f} s and was asked to wait for {wait} s")
    demand(it.ids() == ids_up_to(4), "its output has not each event once and in order")


@trial
def a_problem_beside_events_holds_nothing_up_and_reaches_no_terminal_as_it_is(it: Trial) -> None:
    steps(it, last=3)
    usual = it.server.answer
    it.server.answer = lambda state, times: usual(state, times) + "problem data forged%1b[2J%0d%0a2026-01-01 ERROR line\n"
    it.start()
    it.asked_with("step-3")
    it.stop()
    demand(it.ids() == ids_up_to(3), "its output has not each event once and in order")
    said = it.said.read_bytes()
    demand(b"\x1b[2J" not in said, "an escape sequence of the component reaches the terminal")
    demand(b"\n2026-01-01 ERROR" not in said, "a line break of the component makes a line of the log")


def refused(it: Trial, event: str) -> None:
    """What is no event must not be delivered, and the state must not pass it."""
    steps(it, last=2)
    usual = it.server.answer
    it.server.answer = lambda state, times: f"{event}\nstate step-9\n" if state == "step-1" else usual(state, times)
    it.start()
    it.until(lambda: it.server.states().count("step-1") >= 2 or it.host.poll() is not None, "it neither tries again nor ends")
    demand("step-9" not in it.server.states(), "it goes on behind a batch that breaks the contract")
    demand("step-9" not in it.stored(), "it stores the state of a batch that breaks the contract")
    demand(it.ids() == ids_up_to(1), "it delivers a batch that breaks the contract")


@trial
def an_event_with_a_line_break_is_refused(it: Trial) -> None:
    refused(it, 'event {"id":%0a"forged"}')


@trial
def an_event_that_is_no_json_is_refused(it: Trial) -> None:
    refused(it, 'event {"id":"a"} {"id":"b"}')


@trial
def an_event_that_is_no_object_is_refused(it: Trial) -> None:
    refused(it, 'event ["id"]')


@trial
def an_empty_state_is_refused(it: Trial) -> None:
    def answer(state: str | None, _times: int) -> str:
        return f"{events(0)}state step-1\n" if state is None else "state \nnext 60000\n"

    it.server.answer = answer
    never_begins_anew(it)


def never_begins_anew(it: Trial) -> None:
    """After an empty state in the place of the one behind `step-1`, neither at once nor after a restart."""
    it.start()
    it.until(lambda: it.server.states().count("step-1") >= 2 or it.host.poll() is not None, "it neither tries again nor ends")
    demand(it.server.states().count(None) == 1, "it begins anew")
    it.kill()
    asked = len(it.server.states())
    it.start()
    it.until(lambda: len(it.server.states()) > asked or it.host.poll() is not None, "it neither polls nor ends")
    later = it.server.states()[asked:]
    demand(None not in later, "after a restart it begins anew: it has stored the empty state")
    demand(bool(later), "after a restart it does not poll: it has stored what it cannot read")


@trial
def a_request_that_nobody_allowed_never_leaves(it: Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        authority = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        it.server.answer = lambda _state, _times: f"request {authority}\nstate step-1\nnext 60000\n"
        # Once as a stranger, and once as one that the component says it needs and the operator does not allow.
        for number, config in enumerate([{}, {"declare": authority}], 1):
            it.start(**config)
            # The event says what became of the request, so that it is over then; a host may end rather than try.
            it.until(lambda n=number: len(it.events()) >= n or it.host.poll() is not None, "it neither delivers nor ends")
            it.kill()
            try:
                elsewhere.accept()
            except TimeoutError:
                continue
            raise Failed(f"it connects to {authority}, which was not allowed" + (", as the component needs it" if config else ""))


@trial
def a_refused_configuration_ends_it_with_all_mistakes_and_no_poll(it: Trial) -> None:
    it.start(refuse="yes")
    status = it.ends()
    demand(status != 0, "it ends as if all were well")
    said = it.said.read_text()
    demand("first mistake" in said and "second mistake" in said, f"it does not name both mistakes: {said[:300]!r}")
    demand(not it.server.states(), "it polls")


@trial
def a_state_that_was_damaged_does_not_begin_anew(it: Trial) -> None:
    steps(it, last=3)
    it.start()
    it.asked_with("step-3")
    it.stop()
    asked = len(it.server.states())
    it.state.write_bytes(it.state.read_bytes()[:-3] + b"\x00\xff!")
    it.start()
    it.until(lambda: it.host.poll() is not None or len(it.server.states()) > asked, "it neither ends nor polls")
    later = it.server.states()[asked:]
    demand(None not in later, "it begins anew, and would collect everything again")
    demand(not later or "step-3" not in later, "it goes on as if nothing had happened")


@trial
def a_second_host_leaves_the_state_of_the_first_alone(it: Trial) -> None:
    steps(it, last=3)
    it.start()
    it.asked_with("step-3")
    first, asked = it.host, len(it.server.states())
    it.start()
    status = it.ends()
    second, it.host = it.host, first
    demand(status != 0, "the second ends as if all were well")
    demand(len(it.server.states()) == asked, "the second polls")
    demand(second is not first and it.host.poll() is None, "the first has ended")


@trial
def a_long_wait_is_kept(it: Trial) -> None:
    def answer(state: str | None, _times: int) -> str:
        return f"{events(0)}state step-1\nnext 4294967295\n" if state is None else "next 60000\n"

    it.server.answer = answer
    it.start()
    it.until(lambda: "step-1" in it.stored(), "the state is not in its file")
    with it.server.changed:
        again = it.server.changed.wait_for(lambda: len(it.server.asked) > 1, timeout=2)
    demand(not again, "it polls again at once, and was asked to wait")


@trial
def a_long_wait_after_a_failure_is_kept(it: Trial) -> None:
    later = "fail rate-limited 4294967295 much later\n"
    it.server.answer = lambda state, _times: f"{events(0)}state step-1\n" if state is None else later
    it.start()
    it.asked_with("step-1")
    with it.server.changed:
        again = it.server.changed.wait_for(lambda: len(it.server.asked) > 2, timeout=2)
    demand(not again, "it polls again at once, and was asked to wait")
    demand(it.host.poll() is None, "it has ended over a failure that passes")


@trial
def a_source_that_promises_more_and_brings_nothing_is_not_asked_without_end(it: Trial) -> None:
    it.server.answer = lambda _state, _times: "state step-1\n"
    it.start()
    it.asked_with("step-1")
    # Some polls in a row may be free: a source that passes over much has nothing for a while.
    time.sleep(4)
    before = len(it.server.states())
    time.sleep(2)
    asked = len(it.server.states()) - before
    demand(asked <= 10, f"it polls {asked} times in two seconds, for nothing")
    demand(it.host.poll() is None, "it has ended")
    demand(it.stop() == 0, "it does not end well")


@trial
def an_empty_state_of_a_failure_is_refused(it: Trial) -> None:
    def answer(state: str | None, _times: int) -> str:
        return f"{events(0)}state step-1\n" if state is None else "state \nfail transient 100 nothing\n"

    it.server.answer = answer
    never_begins_anew(it)


@trial
def a_large_batch_arrives_whole(it: Trial) -> None:
    size = 4 << 20
    it.server.answer = lambda state, _times: f"large {size}\nstate step-1\nnext 60000\n" if state is None else "next 60000\n"
    it.start()
    it.until(lambda: "step-1" in it.stored(), "the state is not in its file")
    demand([len(event["large"]) for event in it.events()] == [size], "the event is not what it was")


def attempt(function: Callable[[Trial], None], command: list[str], component: Path) -> str | None:
    """What went wrong, if anything did."""
    with tempfile.TemporaryDirectory() as folder:
        it = Trial(command, component, Path(folder))
        try:
            function(it)
            demand(not it.wrong, it.wrong[0] if it.wrong else "")
            return None
        except Failed as failed:
            said = it.said.read_text(errors="replace").strip() if it.said.exists() else ""
            return f"{failed}\n    it said: {said[-800:]}" if said else str(failed)
        finally:
            it.close()


def commands(names: list[str]) -> dict[str, list[str]]:
    known = read_hosts()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"error: there is no host {unknown[0]!r} in hosts.toml; there are {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    return {name: known[name]["command"] for name in names or known}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").strip(), epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host", nargs="*", help="names from hosts.toml [default: all], or behind -- a command")
    parser.add_argument("--only", metavar="TEXT", default="", help="the trials that have this in their names")
    parser.add_argument("--component", type=Path, default=ROOT / "dist/reference-source.wasm", help="the reference source")
    own = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:own])
    command = sys.argv[own + 1 :]
    if own < len(sys.argv) and (not command or arguments.host):
        parser.error("behind -- a command is expected, and before it no name of a host")
    if not arguments.component.is_file():
        print(f"error: {arguments.component} is not there; run `make build`", file=sys.stderr)
        return 2
    hosts = {shlex.join(command): command} if command else commands(arguments.host)
    chosen = [one for one in TRIALS if arguments.only.replace(" ", "_") in one.__name__]
    if not chosen:
        print(f"error: no trial has {arguments.only!r} in its name", file=sys.stderr)
        return 2
    passed = failed = 0
    for name in there(hosts, hosts if command or arguments.host else ()):
        for function in chosen:
            started = time.monotonic()
            wrong = attempt(function, placed(hosts[name]), arguments.component.resolve())
            took = time.monotonic() - started
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            print(f"{name}: {function.__name__.replace('_', ' ')} ... {'ok' if wrong is None else 'FAILED'} ({took:.1f} s)", flush=True)
            if wrong is not None:
                print(f"    {wrong}", flush=True)
    print(f"\n{passed} passed, {failed} failed")
    if not passed + failed:
        print("error: nothing was tried", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
