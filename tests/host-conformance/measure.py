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
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

from simulated import SIMULATOR, Host, Org, configuration, hosts_there, known_hosts

PATIENCE = 300.0  # seconds that one run may take
FILES = 24


class Mistake(Exception):
    """What keeps a host from being measured, in words."""


class Collected(NamedTuple):
    """One collection."""

    wall: float
    cpu: float
    memory: int


def configured(folder: Path, host: Host, url: str, org: Org) -> Path:
    # A host may see nothing but this folder.
    shutil.copy(org.key, folder)
    path = folder / "source.toml"
    streams = '[source.streams.login]\nevent_log_file = { interval = "1h", log_file_interval = "hourly" }'
    allow = url.removeprefix("http://")
    path.write_text(configuration(host, org.about, streams, url=json.dumps(url), allow=allow, key=org.key.name))
    return path


def said_in(folder: Path) -> str:
    """The last that a host said, as a cell of a table."""
    return " ".join((folder / "said.txt").read_text(errors="replace")[-500:].split()).replace("|", "/")


def collect(host: Host, org: Org, rows: int) -> Collected:
    """One whole collection, into a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        toml = configured(folder, host, org.about["url"], org)
        begin = time.monotonic()
        process = host.start(toml, "--until-caught-up")
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


def start(host: Host, org: Org) -> float:
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
        toml = configured(Path(name), host, f"http://127.0.0.1:{server.server_port}", org)
        begin = time.monotonic()
        process = host.start(toml)
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
    known = known_hosts()
    parser.add_argument("hosts", nargs="*", help=f"{', '.join(known)}; all of them without")
    parser.add_argument("--rows", type=int, default=100_000, help=f"rows, in {FILES} files (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--component", type=Path, help="in the place of the one that a host has")
    parser.add_argument("--simulator", type=Path, default=SIMULATOR)
    options = parser.parse_args()
    if unknown := [name for name in options.hosts if name not in known]:
        parser.error(f"there is no host {unknown[0]!r}; there are {', '.join(known)}")
    hosts = [known[name] for name in options.hosts or known]
    if options.component:
        hosts = [host._replace(component=options.component) for host in hosts]
    for path in [options.simulator, *(host.component for host in hosts)]:
        if not path.exists():
            parser.error(f"{path} is not there: run `make build`")
    hosts = hosts_there(hosts, options.hosts)
    print("| host | rows/s | rows per CPU second | memory | start |\n|---|---|---|---|---|", flush=True)
    status = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Org(folder, "--quiet", "--hours", str(FILES), "--rows", str(options.rows), program=options.simulator) as org:
            for host in hosts:
                try:
                    # What is compiled once is compiled here.
                    start(host, org)
                    runs = [collect(host, org, options.rows) for _ in range(options.rounds)]
                    starts = [start(host, org) for _ in range(options.rounds)]
                except (Mistake, OSError) as error:
                    print(f"| {host.name} | {error} | | | |", flush=True)
                    status = 1
                    continue
                wall, cpu = (statistics.median(getattr(one, key) for one in runs) for key in ("wall", "cpu"))
                print(
                    f"| {host.name} | {options.rows / wall:,.0f} | {options.rows / cpu:,.0f} "
                    f"| {max(one.memory for one in runs) / 2**20:,.0f} MiB | {statistics.median(starts) * 1000:,.0f} ms |",
                    flush=True,
                )
    return status


if __name__ == "__main__":
    sys.exit(main())
