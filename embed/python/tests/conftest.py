"""The component, the component that attacks its host, and simulated orgs.

They are looked for in the repository, or where SOURCE_COMPONENT, HOSTILE_COMPONENT, REFERENCE_COMPONENT, SALESFORCE_SIM and
SOURCE_HOST say. What is not there is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_source import Component

ROOT = Path(__file__).resolve().parents[3]


def built(variable: str, path: str) -> Path:
    found = Path(os.environ.get(variable) or ROOT / path)
    if not found.exists():
        pytest.skip(f"{found} is not there: run `make build`, or set {variable}")
    return found


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def component_path() -> Path:
    return built("SOURCE_COMPONENT", "dist/salesforce-source.wasm")


@pytest.fixture(scope="session")
def component(component_path: Path, cache: Path) -> Component:
    return Component(component_path, cache=cache)


@pytest.fixture(scope="session")
def hostile_path() -> Path:
    return built("HOSTILE_COMPONENT", "dist/hostile-source.wasm")


@pytest.fixture(scope="session")
def hostile(hostile_path: Path, cache: Path) -> Component:
    return Component(hostile_path, cache=cache)


@pytest.fixture(scope="session")
def source_host() -> Path:
    return built("SOURCE_HOST", "target/release/source-host")


class Org:
    """A simulated org in a process of its own."""

    def __init__(self, program: Path, folder: Path, *arguments: str) -> None:
        self.key_file = folder / "key.pem"
        self._process = subprocess.Popen(
            [program, "--key-file", self.key_file, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.about: dict[str, Any] = json.loads(self._process.stdout.readline())

    @property
    def authority(self) -> str:
        return str(self.about["url"]).removeprefix("http://")

    def config(self, **batch: Any) -> dict[str, Any]:
        return {
            "instance_url": self.about["url"],
            "auth": {
                "flow": "jwt-bearer",
                "client_id": self.about["client_id"],
                "username": self.about["username"],
                "audience": self.about["audience"],
                "private_key": {"file": str(self.key_file)},
            },
            "batch": batch,
            "streams": {"login": {"event_log_file": {"interval": "1h", "log_file_interval": "hourly"}}},
        }

    def toml_file(self, folder: Path, component: Path, **batch: int) -> Path:
        """The file that collects its Login files into events.ndjson of that folder, with a state beside it."""
        config = self.config()
        path = folder / "acme.toml"
        path.write_text(
            f"""
component = {json.dumps(os.path.relpath(component, folder))}
[source]
instance_url = "{config["instance_url"]}"
batch = {{ {", ".join(f"{key} = {value}" for key, value in batch.items())} }}
[source.auth]
flow = "jwt-bearer"
client_id = "{config["auth"]["client_id"]}"
username = "{config["auth"]["username"]}"
audience = "{config["auth"]["audience"]}"
private_key = {{ file = {json.dumps(os.path.relpath(self.key_file, folder))} }}
[source.streams.login]
event_log_file = {{ interval = "1h", log_file_interval = "hourly" }}
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = ["{self.authority}"]
"""
        )
        return path

    def _control(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.about["control_url"] + path, data, method=method)
        with urllib.request.urlopen(request) as answer:
            content: bytes = answer.read()
        return content

    def truth(self) -> Counter[str]:
        """The ids of the events that a complete collection delivers."""
        lines = self._control("GET", "/truth?interval=hourly").splitlines()
        return Counter(json.loads(line)["event_id"] for line in lines)

    def expire_sessions(self) -> None:
        self._control("POST", "/expire-sessions")

    def plan_faults(self, *faults: dict[str, Any]) -> None:
        self._control("POST", "/faults", faults)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


StartOrg = Callable[..., Org]


@pytest.fixture
def start_org(tmp_path: Path) -> Iterator[StartOrg]:
    program = built("SALESFORCE_SIM", "target/release/salesforce-sim")
    orgs = []

    def start(*arguments: str) -> Org:
        orgs.append(Org(program, tmp_path, *(arguments or ("--hours", "3", "--rows", "600"))))
        return orgs[-1]

    yield start
    for org in orgs:
        org.end()


class Time:
    """A clock that goes on by waiting alone."""

    def __init__(self, stop: threading.Event | None = None, stop_after: int = 1_000) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._stop, self._stop_after = stop, stop_after

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if self._stop is not None and len(self.waits) >= self._stop_after:
            self._stop.set()
