"""What a source says of itself and of its work, as the contract (`wit/source.wit`, `pipeline:source@0.1`) has it.

Times are in seconds, where the contract counts milliseconds. Texts of the component are fit for a terminal and a log: control
characters and those that reorder text are spaces, and what is longer than 4096 characters is cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

INTERFACE = "pipeline:source/source"
VERSION = "0.1"
"""The version of the contract. Its patch versions are compatible."""

Kind = Literal["config", "auth", "permission", "rate-limited", "transient", "data", "state", "internal"]
"""Who must act: the operator (`config`, `state`), whoever has the credentials (`auth`), an administrator of the service
(`permission`), nobody (`rate-limited`, `transient`, `data`), the component's author (`internal`)."""

PASSING: frozenset[str] = frozenset({"rate-limited", "transient"})
"""The kinds that pass by themselves."""

_LONGEST_TEXT = 4096
_REORDERING = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """A text of an untrusted component, fit for a terminal or a log.

    >>> printable("done\\n2026-01-01 ERROR forged")
    'done 2026-01-01 ERROR forged'
    """
    clean = "".join(
        " " if unicodedata.category(c) == "Cc" or c in _REORDERING else c for c in text[:_LONGEST_TEXT]
    )
    return clean + "…" if len(text) > _LONGEST_TEXT else clean


def _optional(text: str | None) -> str | None:
    return None if text is None else printable(text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong, in words for a person."""

    kind: Kind
    message: str
    stream: str | None = None
    path: str | None = None
    """Where in the configuration, as dotted keys: `auth.private_key`."""
    hint: str | None = None
    retry_after: float | None = None
    """Seconds after which trying again makes sense."""

    @classmethod
    def of(cls, record: Any) -> Problem:
        wait = getattr(record, "retry-after-ms")
        return cls(
            kind=record.kind,
            message=printable(record.message),
            stream=_optional(record.stream),
            path=_optional(record.path),
            hint=_optional(record.hint),
            retry_after=None if wait is None else wait / 1000,
        )

    def __str__(self) -> str:
        where = self.path or self.stream
        return (f"{where}: " if where else "") + self.message + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of events that the source can emit."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Description:
    """What the source is."""

    name: str
    version: str
    config_schema: str
    """JSON Schema (draft 2020-12) of the configuration. Secrets are marked `writeOnly`."""
    streams: tuple[Stream, ...]

    @classmethod
    def of(cls, record: Any) -> Description:
        return cls(
            name=printable(record.name),
            version=printable(record.version),
            config_schema=getattr(record, "config-schema"),
            streams=tuple(Stream(printable(s.name), printable(s.summary)) for s in record.streams),
        )


@dataclass(frozen=True, slots=True)
class Grants:
    """What a configuration needs of the host."""

    authorities: tuple[str, ...]
    """`host` or `host:port`, each in full."""
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class BacklogDay:
    """What there is to collect of one kind on one day."""

    kind: str
    day: str | None
    """`2026-01-02`, in UTC; none = of all days together."""
    items: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of trying one thing that a poll needs."""

    name: str
    """Short and stable, fit to be matched by a program: `sign-in`."""
    verdict: Literal["pass", "warn", "fail"]
    message: str
    hint: str | None
    backlog: tuple[BacklogDay, ...]

    @classmethod
    def of(cls, record: Any) -> Finding:
        days = (BacklogDay(printable(d.kind), _optional(d.day), d.items, d.bytes) for d in record.backlog)
        return cls(
            printable(record.name), record.verdict, printable(record.message), _optional(record.hint), tuple(days)
        )

    def __str__(self) -> str:
        return f"{self.verdict}  {self.name}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class ApiUsage:
    """How much of the service's allowance is used, as the service last told."""

    used: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a poll did. Counts are of this poll alone; the last three describe the present."""

    requests: int
    token_requests: int
    bytes_received: int
    bytes_read: int
    rows_read: int
    rows_malformed: int
    files_completed: int
    files_given_up: int
    api_usage: ApiUsage | None
    backlog_files: int
    backlog_bytes: int

    @classmethod
    def of(cls, record: Any) -> Stats:
        values: Mapping[str, Any] = {name.replace("-", "_"): value for name, value in vars(record).items()}
        usage = values["api_usage"]
        return cls(**{**values, "api_usage": None if usage is None else ApiUsage(usage.used, usage.maximum)})
