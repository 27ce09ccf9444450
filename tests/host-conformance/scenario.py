#!/usr/bin/env python3
"""Has each host go through the same day with the component of Salesforce, and compares what comes of it: events, states and errors.

Each host collects four streams from a simulated org of its own, with the same seed and the same data, and does not have it easy: it
is stopped and killed in the middle, and sessions end under its hands. Its events must be the org's, each as the Rust host writes it,
byte for byte; its state the one that the Rust host stores. Then the hosts take one collection over from one another, and last each
gets wrong configurations. Needs Python 3.11 and nothing else; what it starts listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import simulated
from simulated import ROOT, SIMULATOR, Host, hosts_there, known_hosts

EXAMPLES = """\
examples:
  scenario.py                          all hosts of hosts.toml, and those in Rust and Node with the component for WASI 0.3
  scenario.py --host python            the Python host beside the Rust host, which is what all are compared with
  scenario.py --host node --only relay one part of it: collection, relay or mistakes
  scenario.py --seed 7                 another org; the same seed has the same users, rows and faults

parts:
  collection   starts it, ends its session, stops it by SIGTERM; starts it, ends its session, kills it as a state is stored; starts
               it, kills it as events are written; starts it until it has caught up. Compared: its events with the org's and with
               the Rust host's (ids, bytes, the order in each stream), which of them came twice, and the state in its file
  relay        the hosts go on from one another's state in the middle of the collection; then each once more from the last state,
               with nothing to deliver
  mistakes     five mistakes at once, another private key, a user that is not let in, an org that is not allowed: exit status, what
               the component says of it, and the state that is left

What differs is printed, and written with both sides in full to a file in target/scenario.

Exit status: 0 all is the same, 1 something is not, 2 a mistake in what was given."""

PATIENCE = 120.0  # seconds that anything may take before it is taken for never: a host may have to compile first
RELEASED = 20.0  # seconds within which a port that was given has to be free
HOURS, ROWS, BATCH = 8, 8000, 250
SLOW = 250  # milliseconds that each file takes, so that there is a middle to stop in, on a busy machine too
# Its own session ends in the middle of a poll: before a file, and before a query.
FAULTS = [
    {"path": "/LogFile", "every": True, "action": {"kind": "delay", "millis": SLOW}},
    {"path": "/LogFile", "nth": 3, "action": {"kind": "revoke-sessions"}},
    {"of": "LogoutEvent", "nth": 2, "action": {"kind": "revoke-sessions"}},
]
REFERENCE = "rust"


class Differs(Exception):
    """What is not as it should be, in words; with what was expected and what was found, where there is more to see."""

    def __init__(self, words: str, expected: str = "", found: str = "") -> None:
        super().__init__(words)
        self.expected, self.found = expected, found


def demand(holds: bool, otherwise: str, expected: object = "", found: object = "") -> None:
    if not holds:
        raise Differs(otherwise, str(expected), str(found))


class Org(simulated.Org):
    """The org of a day, told what goes wrong on it."""

    def __init__(self, folder: Path, seed: int, key: str = "key.pem", port: int = 0, faults: list[dict[str, Any]] | None = None) -> None:
        plan = folder / "faults.json"
        plan.write_text(json.dumps(faults or []))
        asked = ["--port", str(port), "--seed", str(seed), "--hours", str(HOURS), "--rows", str(ROWS), "--end", at(END)]
        end = time.monotonic() + RELEASED
        while True:
            try:
                super().__init__(folder, *asked, "--event-types", "Login,RestApi", "--faults", plan, key=key)
                break
            except OSError:
                # The org before let go of the port, and anybody may have it for a moment.
                if not port or time.monotonic() >= end:
                    raise
                time.sleep(0.2)
        self.port = int(self.authority.rpartition(":")[2])

    def ask(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(self.about["control_url"] + path, method=method, data=b"" if method == "POST" else None)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    def stats(self) -> dict[str, int]:
        return json.loads(self.ask("/stats"))

    def truth(self) -> set[str]:
        """The ids of all events that are to be delivered."""
        asked = ["interval=hourly", *(f"object={name}&from={at(FROM)}&to={at(UNTIL)}" for name in ("LogoutEvent", "SetupAuditTrail"))]
        return {json.loads(line)["event_id"] for one in asked for line in self.ask(f"/truth?{one}").splitlines()}


# The same for all orgs and hosts, however long this takes. All files are there by then and none comes while this runs: one is made up
# to six hours after its hour. The objects are collected up to an end that lies behind: without one, their states would hold when
# they were last asked.
END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
FROM, UNTIL = END - timedelta(hours=HOURS), END + timedelta(hours=3)


def at(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


STREAMS = f"""[source.streams.login]
event_log_file = {{ interval = "INTERVAL", log_file_interval = "hourly" }}
[source.streams.rest]
event_log_file = {{ event_types = ["RestApi"], log_file_interval = "hourly" }}
[source.streams.logout]
from = "{at(FROM)}"
until = "{at(UNTIL)}"
object = {{ }}
[source.streams.setupaudittrail]
from = "{at(FROM)}"
until = "{at(UNTIL)}"
object = {{ }}"""


def configuration(host: Host, org: Org, **changes: str) -> str:
    """The file that all hosts take, or with a mistake in it."""
    return simulated.configuration(
        host,
        org.about | {"username": changes.get("username", org.about["username"])},
        STREAMS.replace("INTERVAL", changes.get("interval", "1h")),
        url=changes.get("instance_url", json.dumps(org.about["url"])),
        allow=changes.get("allow", org.authority),
        key=changes.get("key", "key.pem"),
        source=changes.get("more", f"batch = {{ max_events = {BATCH} }}"),
    )


class Place:
    """A folder with a configuration, a state and events: one collection, whoever works at it."""

    def __init__(self, folder: Path, keys: Path) -> None:
        folder.mkdir()
        for key in keys.glob("*.pem"):
            shutil.copy(key, folder)
        self.folder, self.events, self.stored = folder, folder / "events.ndjson", folder / "state.json"
        self.process: subprocess.Popen[bytes] | None = None
        self.host: Host | None = None
        # Whole lines that were counted, and where they end: a file of events grows, but for a torn line that is cut off.
        self.counted = self.whole = 0
        # Where the events of each start begin, and whether the one before was killed.
        self.starts: list[tuple[int, bool]] = []

    def start(self, host: Host, org: Org, **changes: str) -> None:
        toml = self.folder / "source.toml"
        toml.write_text(configuration(host, org, **changes))
        self.count()
        killed = self.process is not None and self.process.returncode != 0
        self.starts.append((self.whole, killed))
        self.host, self.process = host, host.start(toml, "--until-caught-up")

    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")

    def text(self) -> bytes:
        return self.events.read_bytes() if self.events.exists() else b""

    def count(self) -> int:
        """Whole lines. It is asked again and again, and reads what came since."""
        if self.events.exists():
            with open(self.events, "rb") as file:
                file.seek(self.whole)
                more = file.read()
            self.counted += more.count(b"\n")
            self.whole += more.rfind(b"\n") + 1
        return self.counted

    def revision(self) -> tuple[int, int]:
        """Another one with each state that is stored."""
        try:
            found = self.stored.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Asks again and again: a host does not tell when it has written something."""
        assert self.process is not None
        end = time.monotonic() + PATIENCE
        while not holds():
            ended = self.process.poll()
            demand(ended is None or holds(), f"it has ended with status {ended}: {otherwise}", found=self.said())
            demand(time.monotonic() < end, f"after {PATIENCE:.0f} s: {otherwise}", found=self.said())
            time.sleep(0.0005)

    def comes_to(self, events: int) -> None:
        self.until(lambda: self.count() >= events, f"it does not come to {events} events")

    def grows(self) -> None:
        # From whole lines on: a host cuts off a torn one when it starts.
        self.count()
        self.until(lambda: self.events.exists() and self.events.stat().st_size > self.whole, "it delivers no more")

    def stores(self) -> None:
        before = self.revision()
        self.until(lambda: self.revision() != before, "it stores no more states")

    def ends(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Differs(f"it does not end within {PATIENCE:.0f} s", found=self.said()) from None

    def stop(self) -> None:
        """By SIGTERM. A command knows no signals, and to be killed is all that it needs to end well."""
        assert self.process is not None and self.host is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.ends()
        well = (0, -signal.SIGTERM) if self.host.is_command else (0,)
        demand(status in well, f"it was asked to stop, and ended with status {status}", found=self.said())

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def catches_up(self) -> None:
        status = self.ends()
        demand(status == 0, f"it was to collect what there is, and ended with status {status}", found=self.said())

    def state(self) -> str:
        """The source's text in the file that all hosts keep: behind a checksum and a line about whose it is."""
        try:
            head, _, body = self.stored.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return ""
        magic, _, checksum = head.partition(b" ")
        demand(magic == b"\xffstate\xff1", "its state is not kept as source-host keeps it", found=head)
        demand(checksum.decode() == hashlib.sha256(body).hexdigest(), "the checksum of its state does not fit")
        label, _, state = body.partition(b"\n")
        demand(json.loads(label)["tenant"] == "source", "its state is another tenant's", found=label)
        return state.decode()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


# What a state holds of the clock, and of the rounds that it took, which is chance: how far a host came before it was stopped or killed.
CHANCE = {
    r'"due":"[^"]*"': '"due":"<when the stream is looked at next: the time of the last look, and its interval>"',
    r'"turn":\d+': '"turn":<which slice of work was its last: another start makes more of them>',
    r'"since":"[^"]*","until":"[^"]*"': '"since":"<of a back-off: the first try>","until":"<and the next, with chance added>"',
}


def comparable(state: str) -> str:
    """A state with words in the place of what is chance. All else stays as it is, byte for byte."""
    for pattern, words in CHANCE.items():
        state = re.sub(pattern, words, state)
    return state


class Collected(NamedTuple):
    """What came of a collection: each event once, in the order of its first arrival in its stream, and the state."""

    lines: dict[str, bytes]
    streams: dict[str, list[str]]
    state: str
    repeated: int
    sign_ins: int


def taken(place: Place, org: Org) -> Collected:
    """What is in the folder, which is what the org has, and nothing of it twice but what was not safe when a host was killed."""
    lines: dict[str, bytes] = {}
    streams: dict[str, list[str]] = {}
    text = place.text()
    repeated = 0
    bounds = [*place.starts, (len(text), False)]
    for number, ((begin, killed), (end, _)) in enumerate(zip(bounds, bounds[1:]), 1):
        # A batch that was written and whose state was not stored.
        unsafe = set(list(lines)[-BATCH:]) if killed else set()
        for line in text[begin:end].split(b"\n")[:-1]:
            try:
                event = json.loads(line)
                name, stream = event["event"]["id"], event["data_stream"]["dataset"]
            except (ValueError, KeyError, TypeError):
                raise Differs("a line of its output is no event", found=line.decode(errors="replace")) from None
            if name in lines:
                demand(lines[name] == line, f"event {name} comes again, and is another", lines[name].decode(), line.decode())
                why = "was not among the last before the kill" if killed else "nobody was killed before it"
                demand(name in unsafe, f"at start {number} event {name} comes again, and {why}", found=line.decode())
                unsafe.discard(name)
                repeated += 1
                continue
            lines[name] = line
            streams.setdefault(stream, []).append(name)
    truth = org.truth()
    missing, foreign = truth - lines.keys(), lines.keys() - truth
    demand(not missing, f"{len(missing)} of {len(truth)} events are missing", "\n".join(sorted(missing)))
    demand(not foreign, f"{len(foreign)} events are none of the org's", "", "\n".join(lines[one].decode() for one in sorted(foreign)))
    demand(len(streams) == 4, f"it delivers {len(streams)} streams, not four: {', '.join(streams)}")
    return Collected(lines, streams, comparable(place.state()), repeated, org.stats()["tokens_issued"])


def compare(found: Collected, reference: Collected) -> None:
    for name, line in reference.lines.items():
        demand(found.lines[name] == line, f"event {name} has other bytes", line.decode(), found.lines[name].decode())
    for stream, names in reference.streams.items():
        pairs = enumerate(zip(names, found.streams[stream]))
        differs = next((number for number, (one, other) in pairs if one != other), None)
        if differs is not None:
            one, other = reference.lines[names[differs]], found.lines[found.streams[stream][differs]]
            raise Differs(f"in {stream}, event {differs} of {len(names)} is another: the order is not the same", one.decode(), other.decode())
    demand(found.state == reference.state, "the states differ", reference.state, found.state)


def collection(host: Host, org: Org, place: Place) -> Collected:
    """Collects all that there is, with a restart in the middle, two kills and sessions that end."""
    total = len(org.truth())
    place.start(host, org)
    place.comes_to(total // 8)
    org.ask("/expire-sessions", "POST")
    place.comes_to(total // 4)
    place.stop()
    demand(place.count() < total, "all came before it could be stopped")
    place.start(host, org)
    place.grows()
    org.ask("/expire-sessions", "POST")
    place.comes_to(total // 2)
    place.stores()
    place.kill()
    demand(place.count() < total, "all came before it could be killed")
    place.start(host, org)
    place.comes_to(3 * total // 4)
    place.grows()
    place.kill()
    place.start(host, org)
    place.catches_up()
    collected = taken(place, org)
    again = collected.sign_ins - len(place.starts)
    demand(again >= 2, f"it signed in {again} times more than it was started, and four sessions ended in the middle")
    return collected


def relay(hosts: list[Host], org: Org, place: Place) -> Collected:
    """One collection, handed from host to host in the middle, and then once more around with nothing to deliver."""
    total = len(org.truth())
    for number, host in enumerate(hosts, 1):
        with naming(host):
            place.start(host, org)
            if number == len(hosts):
                place.catches_up()
                break
            place.comes_to(max(place.count() + 1, number * total // (len(hosts) + 1)))
            place.stop()
            demand(place.count() < total, "all came before it could be stopped")
    collected = taken(place, org)
    for host in hosts:
        with naming(host):
            place.start(host, org)
            place.catches_up()
            again = place.count() - len(collected.lines) - collected.repeated
            demand(not again, f"it delivers {again} events, and all had been delivered before")
            state = comparable(place.state())
            demand(state == collected.state, "it leaves another state, and there was nothing new", collected.state, state)
    return collected


@contextmanager
def naming(host: Host) -> Iterator[None]:
    try:
        yield
    except Differs as differs:
        raise Differs(f"{host.name}: {differs}", differs.expected, differs.found) from None


class Mistake(NamedTuple):
    """A wrong configuration: with which status a host ends, and how much the component says of it. Demanded of the Rust host too, or
    two that say nothing would say the same."""

    status: int
    messages: int
    changes: dict[str, str]


FIVE = {
    "instance_url": '"ftp://acme"',
    "more": 'batch = { max_events = 0 }\nformat = "xml"\ncolour = "red"',
    "interval": "5 parsecs",
}
NOT_ALLOWED = "an org that is not allowed"
MISTAKES = {
    "five mistakes at once": Mistake(2, 5, FIVE),
    "another private key": Mistake(1, 1, {"key": "other.pem"}),
    "a user that is not let in": Mistake(1, 1, {"username": "nobody@example.com"}),
    # Who has to say it is the host, each in its own words.
    NOT_ALLOWED: Mistake(2, 0, {"allow": "elsewhere.example"}),
}


class Refused(NamedTuple):
    """How a host ended with a wrong configuration."""

    said: frozenset[str]
    state: str


def words(said: str) -> frozenset[str]:
    """What the component says, without what a host puts before and behind it (time, level, kind, number of the line), and what a host
    says itself (the name of the file, and what it has done)."""
    lines = (line.strip() for line in said.splitlines())
    own = re.compile(r"$|.* has \d+ mistakes?:$|(failed: )?\d+ events from ")
    before = re.compile(r"(\d{4}-\S+Z +[A-Z]+ +)?(error: )?(config: |auth: )?(- line \d+: )?")
    return frozenset(before.sub("", line, count=1).removesuffix(' kind="auth"') for line in lines if not own.match(line))


def refusal(host: Host, org: Org, place: Place, mistake: str) -> Refused:
    asked = org.stats()["requests"]
    status, messages, changes = MISTAKES[mistake]
    place.start(host, org, **changes)
    ended = place.ends()
    said = place.said()
    if mistake == NOT_ALLOWED:
        demand(org.stats()["requests"] == asked, "it asks the org, which was not allowed")
        demand(org.authority in said and "allow" in said, "it does not say what is not allowed", org.authority, said)
        said = ""
    demand(ended == status, f"it ends with status {ended}, not {status}", found=said)
    found = words(said)
    demand(len(found) == messages, f"it says {len(found)} things, not {messages}", found=said)
    demand(not place.count(), "it delivers events")
    return Refused(found, comparable(place.state()))


def compare_refusals(found: Refused, reference: Refused) -> None:
    demand(found.said == reference.said, "it says something else", "\n".join(sorted(reference.said)), "\n".join(sorted(found.said)))
    demand(found.state == reference.state, "it leaves another state", reference.state or "none", found.state or "none")


class Report:
    """Tells how it goes, and remembers whether anything differed."""

    def __init__(self) -> None:
        self.folder = ROOT / "target/scenario"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.passed = self.failed = 0

    @contextmanager
    def trying(self, host: str, what: str) -> Iterator[list[str]]:
        """Figures that are put into the list are told too."""
        begin = time.monotonic()
        figures: list[str] = []
        try:
            yield figures
        except Differs as differs:
            self.failed += 1
            print(f"{host}: {what} ... DIFFERS ({time.monotonic() - begin:.1f} s)\n    {differs}", flush=True)
            if differs.expected or differs.found:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = self.folder / f"{host}-{what.replace(' ', '-')}.txt"
                file.write_text(f"{differs}\n\nexpected:\n{differs.expected}\n\nfound:\n{differs.found}\n")
                print(f"    both sides: {file}", flush=True)
        else:
            self.passed += 1
            figures.append(f"{time.monotonic() - begin:.1f} s")
            print(f"{host}: {what} ... ok ({', '.join(figures)})", flush=True)


def figures_of(collected: Collected) -> list[str]:
    counts = ", ".join(f"{stream.rpartition('.')[2]} {len(names):,}" for stream, names in collected.streams.items())
    return [f"{len(collected.lines):,} events: {counts}", f"{collected.repeated} came again", f"{collected.sign_ins} sign-ins"]


def scenario(hosts: list[Host], parts: list[str], seed: int, folder: Path) -> Report:
    report = Report()
    reference = hosts[0]
    with Org(folder, seed, "other.pem") as org:
        port = org.port  # the address of the org stands in its events and in states, so all have the same one
    expected: Collected | None = None
    for host in hosts if "collection" in parts else []:
        with report.trying(host.name, "collection") as figures, Org(folder, seed, port=port, faults=FAULTS) as org:
            with Place(folder / f"collection-{host.name}", folder) as place:
                found = collection(host, org, place)
            figures += figures_of(found)
            if host is reference:
                expected = found
            elif expected is not None:
                compare(found, expected)
    if "relay" in parts:
        chain = [*hosts, reference]
        with report.trying("→".join(host.name for host in chain), "relay") as figures, Org(folder, seed, port=port, faults=FAULTS) as org:
            with Place(folder / "relay", folder) as place:
                found = relay(chain, org, place)
            figures += figures_of(found)
            if expected is not None:
                compare(found, expected)
    if "mistakes" in parts:
        with Org(folder, seed) as org:
            for mistake in MISTAKES:
                refused: Refused | None = None
                for host in hosts:
                    with report.trying(host.name, mistake) as figures:
                        with Place(folder / f"{mistake}-{host.name}", folder) as place:
                            ended = refusal(host, org, place, mistake)
                        compare_refusals(ended, refused or ended)
                        refused = refused or ended
                        figures += [f"status {MISTAKES[mistake].status}", f"{len(ended.said)} messages"]
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = known_hosts()
    parser.add_argument("--host", metavar="NAME", action="append", help=f"{', '.join(known)}; may be given several times [default: all]")
    parser.add_argument("--only", metavar="PART", choices=["collection", "relay", "mistakes"], help="collection, relay or mistakes")
    parser.add_argument("--seed", type=int, default=16, help="of the orgs [default: 16]")
    options = parser.parse_args()
    if unknown := [name for name in options.host or [] if name not in known]:
        parser.error(f"there is no host {unknown[0]!r}; there are {', '.join(known)}")
    hosts = [known[name] for name in known if name == REFERENCE or not options.host or name in options.host]
    for path in [SIMULATOR, *(host.component for host in hosts)]:
        if not path.exists():
            parser.error(f"{path} is not there; run `make build`")
    # What all are compared with is asked for by whoever asks for any.
    hosts = hosts_there(hosts, {REFERENCE, *(options.host or [])})
    parts = [options.only] if options.only else ["collection", "relay", "mistakes"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = scenario(hosts, parts, options.seed, Path(folder))
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
