#!/usr/bin/env python3
"""Measures hosts of log sources beside one another: each collects the same Login files from a simulated org with the same component.

Prints a table, in Markdown: rows a second by the clock and per second of the processor, the most memory that the process had, and the
time from its start to its first request. What has to be compiled or transpiled once is, before anything is measured. Needs Python 3.11
and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE = 300.0  # seconds that one run may take
FILES = 24


class Mistake(Exception):
    """What keeps a host from being measured, in words."""


class Collected(NamedTuple):
    """One collection."""

    wall: float
    cpu: float
    memory: int


class Org:
    """A simulated org with Login files, in a process of its own."""

    def __init__(self, program: Path, folder: Path, rows: int) -> None:
        self.key = folder / "key.pem"
        arguments = ["--quiet", "--hours", str(FILES), "--rows", str(rows), "--key-file", str(self.key)]
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.about = json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def configuration(folder: Path, component: Path, url: str, org: Org) -> Path:
    # A host may see nothing but this folder.
    shutil.copy(org.key, folder)
    path = folder / "source.toml"
    path.write_text(
        f"""component = {json.dumps(str(component))}
[source]
instance_url = {json.dumps(url)}
[source.auth]
flow = "jwt-bearer"
client_id = {json.dumps(org.about["client_id"])}
username = {json.dumps(org.about["username"])}
audience = {json.dumps(org.about["audience"])}
private_key = {{ file = {json.dumps(org.key.name)} }}
[source.streams.login]
event_log_file = {{ interval = "1h", log_file_interval = "hourly" }}
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = [{json.dumps(url.removeprefix("http://"))}]
"""
    )
    return path


def command(host: dict[str, list[str]], toml: Path, *more: str) -> list[str]:
    """How it is started: as it is measured, where hosts.toml says so, or as it is tried."""
    parts, more = (host["measured"], ()) if "measured" in host else (host["command"], more)
    return [part.format(root=ROOT, toml=toml, folder=toml.parent) for part in parts] + list(more)


def run(host: dict[str, list[str]], toml: Path, *more: str) -> subprocess.Popen[bytes]:
    """Starts it; what it says is in `said.txt` beside the configuration."""
    with open(toml.parent / "said.txt", "wb") as said:
        return subprocess.Popen(command(host, toml, *more), stdout=said, stderr=said)


def said_in(folder: Path) -> str:
    """The last that a host said, as a cell of a table."""
    return " ".join((folder / "said.txt").read_text(errors="replace")[-500:].split()).replace("|", "/")


def collect(host: dict[str, list[str]], component: Path, org: Org, rows: int) -> Collected:
    """One whole collection, into a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        toml = configuration(folder, component, org.about["url"], org)
        begin = time.monotonic()
        process = run(host, toml, "--until-caught-up")
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Mistake(f"it ended with {process.returncode}: {said_in(folder)}")
        with open(folder / "events.ndjson", "rb") as events:
            lines = sum(1 for _ in events)
        if lines != rows:
            raise Mistake(f"it delivered {lines} events of {rows}")
        return Collected(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def start(host: dict[str, list[str]], component: Path, org: Org) -> float:
    """Seconds until it sends a request."""
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            self.send_error(503)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with tempfile.TemporaryDirectory() as name, HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        toml = configuration(Path(name), component, f"http://127.0.0.1:{server.server_port}", org)
        begin = time.monotonic()
        process = run(host, toml)
        # A host that has ended sends nothing any more.
        while not asked.wait(0.1) and process.poll() is None and time.monotonic() - begin < PATIENCE:
            pass
        took = time.monotonic() - begin
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        server.shutdown()
        if not asked.is_set():
            raise Mistake(f"it sends no request: {said_in(Path(name))}")
        return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", help="names in hosts.toml; all of them without")
    parser.add_argument("--rows", type=int, default=100_000, help=f"rows, in {FILES} files (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--component", type=Path, default=ROOT / "dist/salesforce-source.wasm")
    parser.add_argument("--simulator", type=Path, default=ROOT / "target/release/salesforce-sim")
    options = parser.parse_args()
    known = tomllib.loads((HERE / "hosts.toml").read_text())
    hosts = options.hosts or list(known)
    if unknown := [name for name in hosts if name not in known]:
        parser.error(f"hosts.toml has no {', '.join(unknown)}; it has {', '.join(known)}")
    for path in (options.component, options.simulator):
        if not path.exists():
            parser.error(f"{path} is not there: run `make build`")
    print("| host | rows/s | rows per CPU second | memory | start |\n|---|---|---|---|---|", flush=True)
    status = 0
    with tempfile.TemporaryDirectory() as name:
        org = Org(options.simulator, Path(name), options.rows)
        try:
            for host in hosts:
                about = known[host]
                try:
                    # What is compiled once is compiled here.
                    start(about, options.component, org)
                    runs = [collect(about, options.component, org, options.rows) for _ in range(options.rounds)]
                    starts = [start(about, options.component, org) for _ in range(options.rounds)]
                except (Mistake, OSError) as error:
                    print(f"| {host} | {error} | | | |", flush=True)
                    status = 1
                    continue
                wall, cpu = (statistics.median(getattr(one, key) for one in runs) for key in ("wall", "cpu"))
                print(
                    f"| {host} | {options.rows / wall:,.0f} | {options.rows / cpu:,.0f} "
                    f"| {max(one.memory for one in runs) / 2**20:,.0f} MiB | {statistics.median(starts) * 1000:,.0f} ms |",
                    flush=True,
                )
        finally:
            org.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
