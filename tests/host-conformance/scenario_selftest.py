#!/usr/bin/env python3
"""Whether the scenario can find something: a host that is right comes through, and one with a fault does not.

The host is the one in Python, in which each fault is a line here. `scenario_selftest.py` runs the scenario;
`scenario_selftest.py --host FAULT UNLUCKY TOML ...` is the host, and UNLUCKY the id of the event that some faults are about."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import scenario
from scenario import Collected, Differs, Host, Org, Place
from selftest import tries_nothing
from simulated import ROOT

# What is wrong with the host, the part that has to notice, and what it has to say.
FAULTS = {
    "drops": ("collection", "1 of ", "events are missing"),
    "alters": ("collection", "event ", "has other bytes"),
    "repeats": ("collection", "event ", "comes again, and"),
    "reorders": ("collection", "in salesforce.", "the order is not the same"),
    "state-first": ("collection", "", "events are missing"),
    "state-of-its-own": ("collection", "", "the states differ"),
    "begins-anew": ("relay", "event ", "comes again, and nobody was killed before it"),
    "dies-when-asked-to-stop": ("collection", "it was asked to stop, and ended with status -15"),
    "shrugs": ("another private key", "it ends with status 0, not 1"),
    "silent": ("five mistakes at once", "it says 0 things, not 5"),
    "first-mistake": ("five mistakes at once", "it says 1 things, not 5"),
    "own-words": ("a user that is not let in", "", "it says something else"),
    "saves-nothing": ("a user that is not let in", "", "it leaves another state"),
    "asks": ("an org that is not allowed", "", "it asks the org"),
}


def host(fault: str, unlucky: str, arguments: list[str]) -> int:
    """The host in Python with a fault, if it has a name."""
    from pipeline_source import Batch, ConfigurationError, EventFile, StateFile, StopOnSignal, program

    append, ack, load, save, errors = EventFile.append, Batch.ack, StateFile.load, StateFile.save, ConfigurationError.__init__
    held: list[tuple[EventFile, list[str]]] = []

    def each(becomes: Callable[[str], list[str]]) -> Callable[[EventFile, list[str]], None]:
        """In the place of `append`: something else instead of the unlucky event."""
        return lambda it, lines: append(it, [two for one in lines for two in (becomes(one) if unlucky in one else [one])])

    def ack_first(batch: Batch) -> None:
        ack(batch)
        time.sleep(0.3)  # so that who kills it as the state is stored sees it
        append(*held.pop())

    faults = {
        "drops": (EventFile, "append", each(lambda _: [])),
        "alters": (EventFile, "append", each(lambda one: [one.replace("8.11.0", "8.11.1")])),
        "repeats": (EventFile, "append", each(lambda one: [one, one])),
        "reorders": (EventFile, "append", lambda it, lines: append(it, lines[::-1])),
        "state-of-its-own": (StateFile, "save", lambda it, state: save(it, state.replace('"version":3', '"version":3,"spare":0'))),
        "begins-anew": (StateFile, "load", lambda it: load(it) and None),
        "saves-nothing": (StateFile, "save", lambda _it, _state: None),
        "dies-when-asked-to-stop": (StopOnSignal, "__enter__", lambda it: setattr(it, "_before", {}) or it),
        "silent": (program, "_sentence", lambda _: ""),
        "first-mistake": (ConfigurationError, "__init__", lambda it, problems: errors(it, list(problems)[:1])),
        "own-words": (program, "_sentence", lambda _: "the sign-in was refused"),
    }
    if fault == "state-first":
        EventFile.append = lambda it, lines: held.append((it, lines))  # type: ignore[method-assign]
        Batch.ack = ack_first  # type: ignore[method-assign]
    elif fault == "asks":
        toml = Path(arguments[0])
        org = tomllib.loads(toml.read_text())["source"]["instance_url"]
        toml.write_text(toml.read_text().replace("elsewhere.example", org.removeprefix("http://")))
    elif fault in faults:
        where, name, instead = faults[fault]
        setattr(where, name, instead)
    status = program.main(["--cache", str(ROOT / "target/conformance-cache/python"), *arguments])
    return 0 if fault == "shrugs" else status


def hosts_toml(rust: str, python: str, node: str) -> str:
    return f"[rust]\ncommand = {rust}\n[python]\ncommand = {python}\n[node]\ncommand = {node}\n"


THERE, ABSENT = f'["{sys.executable}"]', '["/nowhere/host"]'
# What compares nothing, or not what was asked for, and so must not end as if all were well.
NOTHING = {
    "a named host that is not there": (hosts_toml(THERE, ABSENT, THERE), ["--host", "python"], "python is not tried"),
    "a named host that is not there, behind the program that starts it": (
        hosts_toml(THERE, '["env", "{root}/nowhere/host"]', THERE), ["--host", "python"], "python is not tried"
    ),
    "a named host whose Node is not there": (hosts_toml(THERE, THERE, '["{node}"]'), ["--host", "node"], "/nowhere/node is not there"),
    "a named host whose Node 24 is not there": (hosts_toml(THERE, THERE, THERE), ["--host", "node-wasi-0.3"], "node-wasi-0.3 is not tried"),
    "no host to compare a named one with": (hosts_toml(ABSENT, THERE, THERE), ["--host", "python"], "rust is not tried"),
    "no host to compare all others with": (hosts_toml(ABSENT, THERE, THERE), [], "rust is not tried"),
    "no host at all": (hosts_toml(ABSENT, ABSENT, ABSENT), [], "rust is not tried"),
    "a name that no host has": (hosts_toml(THERE, THERE, THERE), ["--host", "cobol"], "there is no host 'cobol'"),
}


def reads_what_came_since() -> str | None:
    with tempfile.TemporaryDirectory() as name, Place(Path(name) / "place", Path(name)) as place:
        place.events.write_bytes(b"one\ntwo\nhalf")
        before = place.count()
        # A line less where it has looked already, which it does not notice.
        place.events.write_bytes(b"one two\nthree\nfour\n")
        counts = (before, place.count(), place.whole)
    return None if counts == (2, 4, 19) else f"it counts {counts}"


def waits_for_its_port() -> str | None:
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        try:
            # Whoever has the port lets go of it once the org could not begin.
            with mock.patch.object(scenario.time, "sleep", lambda _: other.close()), Org(Path(name), 1, port=port):
                return None
        except OSError as error:
            return str(error)


def without_hosts() -> list[str | None]:
    """What is wrong with the rest of the scenario, each as far as it was tried."""
    with mock.patch.dict(os.environ, NODE="/nowhere/node"):
        tried = {f"{title}: ends with 2": tries_nothing("scenario.py", *case) for title, case in NOTHING.items()}
    tried |= {"what was counted is not read again": reads_what_came_since(), "an org waits for its port": waits_for_its_port()}
    for title, found in tried.items():
        print(f"{title} ... {'ok' if found is None else f'FAILED: {found}'}", flush=True)
    return list(tried.values())


def main() -> int:
    tried = without_hosts()
    wrong = len(tried) - tried.count(None)
    python = ROOT / "embed/python/.venv/bin/python"
    if not python.exists():
        print(f"the rest is left out, for {python} is not there")
        return 1 if wrong else 0
    scenario.ROWS, scenario.BATCH = 1600, 50
    rust = scenario.known_hosts()[scenario.REFERENCE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Org(folder, 1, "other.pem") as org:
            port = org.port
        expected: dict[str, Collected | scenario.Refused] = {}

        def come_of(which: Host, part: str) -> Collected | scenario.Refused:
            slow = part in ("collection", "relay")
            with Org(folder, 1, port=port, faults=scenario.FAULTS if slow else []) as org:
                with tempfile.TemporaryDirectory() as inner, Place(Path(inner) / "place", folder) as place:
                    if part == "collection":
                        return scenario.collection(which, org, place)
                    if part == "relay":
                        return scenario.relay([rust, which, rust], org, place)
                    return scenario.refusal(which, org, place, part)

        def differs(fault: str, part: str) -> str | None:
            unlucky = list(expected["collection"].lines)[777]
            which = Host(fault, [str(python), "-B", __file__, "--host", fault, unlucky, "{toml}"])
            try:
                found = come_of(which, part)
                if isinstance(found, Collected):
                    scenario.compare(found, expected["collection"])
                else:
                    scenario.compare_refusals(found, expected[part])
            except Differs as differs:
                return str(differs)
            return None

        parts = ["collection", "relay", *scenario.MISTAKES]
        for part in parts:
            if part != "relay":
                expected[part] = come_of(rust, part)
            found = differs("none", part)
            wrong += found is not None
            print(f"a host without a fault: {part} ... {'ok' if found is None else f'FAILED: {found}'}", flush=True)
        # A host that is not well may never come to what is waited for. What had to be compiled has been.
        scenario.PATIENCE = 20.0
        for fault, (part, *words) in FAULTS.items():
            found = differs(fault, part)
            noticed = found is not None and all(word in found for word in words)
            wrong += not noticed
            print(f"{fault}: {part} ... {'noticed' if noticed else 'NOT NOTICED'}: {found}", flush=True)
    print(f"\n{len(tried) + len(parts) + len(FAULTS) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(host(sys.argv[2], sys.argv[3], sys.argv[4:]) if sys.argv[1:2] == ["--host"] else main())
