"""Configurations in files, with secrets that lie elsewhere.

What is wrong is said with its place and never with its text: where a name leads nowhere, the name may be the secret itself.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import Limits
from .contract import Problem
from .egress import Rule
from .errors import ConfigurationError

_SIZES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

KEYS: Mapping[str, Sequence[str]] = {
    "": ("component", "source", "state", "output", "egress", "limits"),
    "state": ("path",),
    "output": ("kind", "path"),
    "egress": ("allow",),
    "limits": ("memory", "call_time", "batch_bytes", "event_bytes", "longest_wait"),
}
"""The keys of a TOML file that this package knows, by table. `source` is the component's."""

_OF_SOURCE_HOST: Mapping[str, Sequence[str]] = {
    "": ("admission",),
    "output": ("rotate_size", "rotate_after", "keep", "url", "headers", "servers", "subject", "format", "compression"),
    "egress": ("private", "ca_file", "roots", "client_certificate", "client_key", "proxy"),
    "limits": (
        "cpu_time",
        "connections",
        "requests_per_second",
        "request_bytes",
        "received_bytes",
        "request_time",
        "log_lines_per_minute",
    ),
}


def resolved(value: Any, folder: str | os.PathLike[str] = ".") -> Any:
    """A configuration with a text in the place of each `{"file": "path"}` and `{"env": "NAME"}`.

    Paths are relative to `folder`; line breaks at the end of a file are no part of the text. Raises `ConfigurationError`.
    """
    problems: list[Problem] = []
    result = _resolved(value, Path(folder), "", problems)
    if problems:
        raise ConfigurationError(problems)
    return result


def as_json(config: Mapping[str, Any], folder: str | os.PathLike[str] = ".") -> str:
    """A configuration as `configure` takes it, its secrets in their places. Raises `ConfigurationError`."""
    try:
        return json.dumps(resolved(config, folder), default=_date, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError.one("the configuration has values that JSON does not have") from None


def _date(value: Any) -> str:
    """A date or a time of TOML, or of Python."""
    text: str = value.isoformat() if hasattr(value, "isoformat") else json.dumps(value)
    return text


def _resolved(value: Any, folder: Path, path: str, problems: list[Problem]) -> Any:
    match value:
        case {"file": str(name)} if len(value) == 1:
            try:
                return (folder / name).read_bytes().decode().rstrip("\r\n")
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or "not UTF-8, or no path"
                problems.append(Problem("config", f"cannot read the file that it names: {why}", path=path))
                return ""
        case {"env": str(name)} if len(value) == 1:
            # A name with a NUL in it is one that nothing can be set to.
            text = os.environ.get(name) if name and "\0" not in name else None
            if not text:
                problems.append(Problem("config", "the environment variable that it names is not set", path=path))
            return text or ""
        case Mapping():
            return {k: _resolved(v, folder, f"{path}.{k}".lstrip("."), problems) for k, v in value.items()}
        case list():
            return [_resolved(v, folder, f"{path}[{index}]", problems) for index, v in enumerate(value)]
    return value


@dataclass
class Settings:
    """What a run needs, as a configuration file has it. Paths are as they will be opened."""

    component: Path
    source: dict[str, Any]
    """For `configure`, with its secrets still elsewhere."""
    folder: Path
    """What paths in `source` are relative to."""
    tenant: str
    allow: list[str] | None = None
    state: Path | None = None
    output: Path | None = None
    """None = standard output."""
    limits: Limits = field(default_factory=Limits)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON document in a file, with its secrets still elsewhere. Raises `ConfigurationError`."""
    try:
        config = json.loads(_text(Path(path)))
    except ValueError as error:
        raise ConfigurationError.one(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ConfigurationError.one(f"{path}: a JSON object is expected")
    return config


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """A TOML file in the format of `source-host`, as far as this package has it.

    What it does not have, such as `[output] kind = "http"`, is refused and not passed over. Raises `ConfigurationError` with
    everything at once.
    """
    file = Path(path)
    try:
        table = tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)$", str(error))
        raise ConfigurationError.one(f"{path}: not TOML at {place[1] if place else 'some place'}") from None
    return _Reader(file, table).settings()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigurationError.one(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError.one(f"{path}: cannot read the configuration: not UTF-8") from None


class _Reader:
    def __init__(self, file: Path, table: dict[str, Any]) -> None:
        self._file, self._root = file, table
        self._problems: list[Problem] = []

    def settings(self) -> Settings:
        self._known("", self._root)
        tables = {name: self._table(name) for name in KEYS if name}
        component = self._path("", self._root, "component")
        if "component" not in self._root:
            self._note("component", 'is missing: component = "source.wasm"')
        source = self._root.get("source", {})
        if not isinstance(source, dict):
            self._note("source", "a table is expected: [source]")
        if "state" in self._root and "path" not in tables["state"]:
            self._note("state.path", "is missing: the file that remembers how far collection has come")
        settings = Settings(
            component=component or Path(),
            source=source,
            folder=self._file.parent,
            tenant=self._file.stem,
            allow=self._allow(tables["egress"]),
            state=self._path("state", tables["state"], "path"),
            output=self._output(tables["output"]),
            limits=self._limits(tables["limits"]),
        )
        if settings.output is not None and settings.output == settings.state:
            self._note("output.path", "it is the same file as state.path")
        if self._problems:
            raise ConfigurationError(self._problems)
        return settings

    def _note(self, path: str, message: str) -> None:
        self._problems.append(Problem("config", message, path=path))

    def _table(self, name: str) -> dict[str, Any]:
        table = self._root.get(name, {})
        if not isinstance(table, dict):
            self._note(name, f"a table is expected: [{name}]")
            return {}
        self._known(name, table)
        return table

    def _known(self, name: str, table: dict[str, Any]) -> None:
        for key in table:
            if key in KEYS[name]:
                continue
            path = f"{name}.{key}".lstrip(".")
            if key in _OF_SOURCE_HOST.get(name, ()):
                self._note(path, "this is for source-host; the Python host does not have it")
            else:
                near = difflib.get_close_matches(key, KEYS[name], 1)
                self._note(path, "there is no such key" + (f"; did you mean `{near[0]}`?" if near else ""))

    def _given(self, name: str, table: dict[str, Any], key: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            self._note(f"{name}.{key}".lstrip("."), "a text is expected")
            return None
        return value

    def _path(self, name: str, table: dict[str, Any], key: str) -> Path | None:
        text = self._given(name, table, key)
        return None if text is None else self._file.parent / text

    def _allow(self, table: dict[str, Any]) -> list[str]:
        allow = table.get("allow", [])
        if not isinstance(allow, list) or not all(isinstance(rule, str) for rule in allow):
            self._note("egress.allow", 'a list is expected: allow = ["logs.example.com"]')
            return []
        for index, rule in enumerate(allow):
            try:
                Rule.parse(rule)
            except ValueError as error:
                self._note(f"egress.allow[{index}]", str(error))
        return allow

    def _output(self, table: dict[str, Any]) -> Path | None:
        kind = self._given("output", table, "kind") or "stdout"
        path = self._path("output", table, "path")
        if kind == "file" and path is None:
            self._note("output.path", "is missing: the file that takes the events")
        elif kind == "stdout" and path is not None:
            self._note("output.path", 'is for kind = "file"')
        elif kind not in ("file", "stdout"):
            self._note("output.kind", 'the Python host has "stdout" and "file"; the other outputs are those of source-host')
        return path

    def _limits(self, table: dict[str, Any]) -> Limits:
        return Limits(
            **{
                key: value
                for key in KEYS["limits"]
                if (value := self._amount(table, key, of_time=key in ("call_time", "longest_wait"))) is not None
            }
        )

    def _amount(self, table: dict[str, Any], key: str, *, of_time: bool) -> Any:
        value = table.get(key)
        if value is None:
            return None
        units: Mapping[str, float] = _TIMES if of_time else _SIZES
        match = re.fullmatch(r"\s*(\d{1,15})\s*([A-Za-z]*)\s*", value if isinstance(value, str) else "")
        if match is None or match[2] not in units or int(match[1]) == 0:
            example = '"30s" (units: ms, s, m, h, d)' if of_time else '"64MiB" (units: B, KiB, MiB, GiB)'
            self._note(f"limits.{key}", f"{'a time' if of_time else 'a size'} is expected, such as {example}")
            return None
        return int(match[1]) * units[match[2]]
