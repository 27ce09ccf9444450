"""What the scenario and the measures begin with: hosts, a simulated org, and the file with which a host collects from it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIMULATOR = ROOT / "target/release/salesforce-sim"


class Org:
    """A simulated org, in a process of its own; `arguments` are the simulator's. Raises `OSError` if it does not start."""

    def __init__(self, folder: Path, *arguments: str | Path, key: str = "key.pem", program: Path = SIMULATOR) -> None:
        self.key = folder / key
        self.process = subprocess.Popen([program, "--key-file", self.key, *arguments], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise OSError("the simulated org does not start; what it said stands above")
        self.about: dict[str, Any] = json.loads(line)
        self.authority = self.about["url"].removeprefix("http://")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def command(host: dict[str, list[str]], toml: Path, *more: str) -> list[str]:
    """How a host of hosts.toml is started: as it is measured, where that says so, or as it is tried."""
    parts, more = (host["measured"], ()) if "measured" in host else (host["command"], more)
    return [part.format(root=ROOT, toml=toml, folder=toml.parent) for part in parts] + list(more)


def configuration(
    component: Path, about: dict[str, Any], streams: str, *, url: str, allow: str, key: str, source: str = "", more: str = ""
) -> str:
    """The file that all hosts take: `streams` from an org as it told `about` itself. `url` is JSON; `source` are more lines of
    `[source]`, and `more` come last."""
    return f"""component = {json.dumps(str(component))}
[source]
instance_url = {url}
{source}
[source.auth]
flow = "jwt-bearer"
client_id = {json.dumps(about["client_id"])}
username = {json.dumps(about["username"])}
audience = {json.dumps(about["audience"])}
private_key = {{ file = {json.dumps(key)} }}
{streams}
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = [{json.dumps(allow)}]
{more}
"""
