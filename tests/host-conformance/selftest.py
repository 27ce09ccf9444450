#!/usr/bin/env python3
"""Whether the trials can fail: a host that is right passes all, and one with a fault does not pass the trial of that fault.

The host is this file as well, without WebAssembly: it does itself what the reference source would do, so that a fault is a line
here. `selftest.py` runs the trials; `selftest.py --host FAULT TOML` is the host."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from pathlib import Path
from urllib.parse import quote, unquote

# What is wrong with the host, and the trial that has to notice.
FAULTS = {
    "state-first": "batches are delivered in order and each state after its events",
    "unsaved": "a stop ends it soon and well and the next start goes on",
    "deaf": "a stop ends it soon and well and the next start goes on",
    "state-before-events": "a kill at any moment loses nothing",
    "ends-at-a-crash": "a crash is followed by another try",
    "skips-a-crash": "a crash is followed by another try",
    "impatient": "a failed poll is tried again and not before its time",
    "raw": "a problem beside events holds nothing up",
    "unchecked-breaks": "an event with a line break is refused",
    "unchecked-json": "an event that is no json is refused",
    "unchecked-objects": "an event that is no object is refused",
    "empty-state": "an empty state is refused",
    "anywhere": "a request that nobody allowed never leaves",
    "declared": "a request that nobody allowed never leaves",
    "first-mistake": "a refused configuration ends it with all mistakes",
    "all-is-well": "a refused configuration ends it with all mistakes",
    "begins-anew": "a state that was damaged does not begin anew",
    "unlocked": "a second host leaves the state of the first alone",
    "overflow": "a long wait is kept",
    "overflow-of-a-failure": "a long wait after a failure is kept",
    "credulous": "a source that promises more and brings nothing is not asked without end",
    "empty-state-of-a-failure": "an empty state of a failure is refused",
    "cuts": "a large batch arrives whole",
}


def host(fault: str, toml: str) -> int:
    settings = tomllib.loads(Path(toml).read_text())
    source, allowed = settings["source"], settings["egress"]["allow"]
    state_file, output = Path(settings["state"]["path"]), Path(settings["output"]["path"])
    if "refuse" in source:
        print("first mistake" if fault == "first-mistake" else "first mistake, second mistake", file=sys.stderr)
        return 0 if fault == "all-is-well" else 2
    stopped = threading.Event()
    if fault != "deaf":
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = open(f"{state_file}.lock", "w")
    if fault != "unlocked":
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("somebody else has the state", file=sys.stderr)
            return 1
    state: str | None = None
    if state_file.exists():
        text = state_file.read_text(errors="replace")
        if text.endswith("."):
            state = text[:-1]
        elif fault != "begins-anew":
            print("the state is damaged", file=sys.stderr)
            return 1

    def save(text: str) -> None:
        if fault == "unsaved":
            return
        beside = state_file.with_suffix(".new")
        beside.write_text(text + "." if text else "")
        os.replace(beside, state_file)

    promises = 0
    while not stopped.is_set():
        query = "" if state is None else f"?state={quote(state)}"
        with urllib.request.urlopen(f"http://{source['authority']}/poll{query}") as answer:
            lines = answer.read().decode().splitlines()
        events, after, told, wait, failed = [], state or "start", None, 0.0, None
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "trap":
                if fault == "ends-at-a-crash":
                    return 1
                if fault == "skips-a-crash":
                    after = f"step-{int((state or 'step-0')[5:]) + 1}"
                    continue
                after, events, wait = state or "start", [], 0.1
                break
            if word == "event":
                events.append(unquote(rest))
            elif word == "large":
                events.append(json.dumps({"large": "x" * (int(rest) // 2 if fault == "cuts" else int(rest))}))
            elif word == "state":
                after = told = unquote(rest)
            elif word == "next":
                wait = (int(rest) + (1 if fault == "overflow" else 0)) % 2**32 / 1000
            elif word == "problem":
                text = unquote(rest)
                print(text if fault == "raw" else repr(text), file=sys.stderr, flush=True)
            elif word == "fail":
                failed = (int(rest.split()[1]) + (1 if fault == "overflow-of-a-failure" else 0)) % 2**32 / 1000
            elif word == "request":
                is_declared = fault == "declared" and rest == source.get("declare")
                if is_declared:
                    time.sleep(0.5)  # so that who looks too soon sees nothing
                if rest in allowed or fault == "anywhere" or is_declared:
                    try:
                        urllib.request.urlopen(f"http://{rest}/", timeout=0.3)
                    except OSError:
                        pass
                events.append(json.dumps({"request": rest}))
        if failed is not None and (told != "" or fault == "empty-state-of-a-failure"):
            if told is not None:
                save(told)
                state = told or None
            stopped.wait(0.1 if fault == "impatient" else min(failed, 86_400))
            continue

        def fits(event: str) -> bool:
            try:
                value = json.loads(event)
            except ValueError:
                return fault == "unchecked-json"
            return (fault == "unchecked-objects" or isinstance(value, dict)) and (fault == "unchecked-breaks" or "\n" not in event)

        if not all(map(fits, events)) or (not after and fault != "empty-state"):
            print("that breaks the contract", file=sys.stderr, flush=True)
            stopped.wait(0.1)
            continue
        if fault in ("state-first", "state-before-events"):
            save(after)
            time.sleep(0.005)
        if fault == "state-first" and not wait:
            state, late = after, events
            threading.Timer(0.2, lambda late=late: write(output, late)).start()
            continue
        write(output, events)
        save(after)
        state = after or None
        promises = 0 if events or wait >= 1 else promises + 1
        stopped.wait(1 if promises > 10 and fault != "credulous" else min(wait, 86_400))
    return 0


def write(output: Path, events: list[str]) -> None:
    with output.open("a") as file:
        file.writelines(f"{event}\n" for event in events)
        file.flush()
        os.fsync(file.fileno())


# What tries nothing, and so must not end as if all were well; beside a hosts.toml whose hosts are not there.
NOTHING = {
    "a command that is not there": ["--", "./no-such-host", "{toml}"],
    "no command behind --": ["--"],
    "a name and a command": ["absent", "--", sys.executable],
    "a name that is not in hosts.toml": ["no-such-host"],
    "a named host that is not there": ["absent"],
    "a named host that is not there, behind the program that starts it": ["behind"],
    "all hosts, of which none is there": [],
    "a trial that is not there": ["--only", "no such trial", "--", sys.executable],
}


ABSENT = '[absent]\ncommand = ["/nowhere/host", "{toml}"]\n[behind]\ncommand = ["env", "{root}/nowhere/host", "{toml}"]\n'


def tries_nothing(script: str, hosts: str, arguments: list[str], says: str = "error: ") -> str | None:
    """What is wrong with how run.py or scenario.py ends beside such a hosts.toml, if anything is. What is built is there, and empty."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "tests/host-conformance")
        built = ["target/release/salesforce-sim", *(f"dist/{name}.wasm" for name in ("reference-source", "salesforce-source", "salesforce-source-p3"))]
        for path in [folder / "hosts.toml", *(Path(root, path) for path in built)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (folder / "hosts.toml").write_text(hosts)
        for name in (script, "simulated.py"):
            shutil.copy(Path(__file__).with_name(name), folder)
        ended = subprocess.run([sys.executable, "-B", folder / script, *arguments], cwd=root, capture_output=True, text=True)
    is_right = ended.returncode == 2 and says in ended.stderr
    return None if is_right else f"it ends with {ended.returncode}: {ended.stdout}{ended.stderr}"


def main() -> int:
    import run

    run.PATIENCE = 8.0
    component = Path(__file__)  # not asked for
    wrong = 0
    good = [sys.executable, __file__, "--host", "none", "{toml}"]
    for function in run.TRIALS:
        name = function.__name__.replace("_", " ")
        found = run.attempt(function, good, component)
        wrong += found is not None
        print(f"a host without a fault: {name} ... {'ok' if found is None else 'FAILED'}", flush=True)
        if found is not None:
            print(f"    {found}")
    for fault, title in FAULTS.items():
        function = next(one for one in run.TRIALS if one.__name__.replace("_", " ").startswith(title))
        found = run.attempt(function, [*good[:3], fault, "{toml}"], component)
        wrong += found is None
        print(f"{fault}: {title} ... {'noticed' if found else 'NOT NOTICED'}", flush=True)
    for title, arguments in NOTHING.items():
        found = tries_nothing("run.py", ABSENT, arguments)
        wrong += found is not None
        print(f"{title}: ends with 2 ... {'ok' if found is None else 'FAILED'}", flush=True)
        if found is not None:
            print(f"    {found}")
    print(f"\n{len(run.TRIALS) + len(FAULTS) + len(NOTHING) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(host(*sys.argv[2:4]) if sys.argv[1:2] == ["--host"] else main())
