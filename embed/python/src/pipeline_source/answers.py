"""What a component returns, measured before anybody sees it.

What breaks the contract, or a limit that leaves no doubt what was meant, is refused as a whole: handing out half a batch would
lose the other half. Of what is only told (problems, warnings) as much is kept as somebody would read.

An event becomes a line in a file or a record in a pipeline, beside those of others, so it is held to what the strictest reader
takes: one JSON object on one line (RFC 8259), no name twice in an object, numbers that a double holds, whole characters, and at
most 127 levels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .contract import Problem
from .errors import BrokenContract

_MOST_LEVELS = 127
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may use, and what is accepted of what it returns. Sizes in bytes, times in seconds."""

    memory: int = 64 << 20
    """The linear memory of the component, which may have one. The gate beside it has another of 1 MiB at most."""
    call_time: float = 300.0
    """One call, by the clock. A call that waits for the network is stopped when that wait is over."""
    batch_events: int = 100_000
    batch_bytes: int = 32 << 20
    event_bytes: int = 8 << 20
    state_bytes: int = 1 << 20
    longest_wait: float = 24 * 3600.0
    """What a batch asks for beyond this is cut to it."""
    list_length: int = 100
    """Streams, authorities, findings in one answer; problems and warnings beyond it are counted and dropped."""
    backlog_days: int = 5_000
    schema_bytes: int = 256 << 10


def refuse(what: str) -> BrokenContract:
    return BrokenContract(f"the component returned {what}", hint="report it to the component's author")


def fits(count: int, what: str, limit: int) -> None:
    if count > limit:
        raise refuse(f"{count:,} {what}, more than the {limit:,} of its limit")


def first_of(records: Sequence[Any], limits: Limits) -> tuple[Problem, ...]:
    """The first problems, and one more that says how many there were."""
    kept = [Problem.of(record) for record in records[: limits.list_length]]
    if beyond := len(records) - len(kept):
        kept.append(Problem("internal", f"{beyond:,} more were reported and are not shown"))
    return tuple(kept)


def checked_state(state: str, limits: Limits) -> str:
    if not state:
        raise refuse("an empty state")
    fits(len(state.encode()), "bytes of state", limits.state_bytes)
    return state


def checked_events(lines: Sequence[str], limits: Limits) -> list[Event]:
    """The events of a batch, each of them checked."""
    fits(len(lines), "events", limits.batch_events)
    sizes = [len(line.encode()) for line in lines]
    fits(sum(sizes), "bytes of events", limits.batch_bytes)
    fits(max(sizes, default=0), "bytes of one event", limits.event_bytes)
    events = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(_event(line))
        except (ValueError, RecursionError):
            raise refuse(
                f"an event (number {number} of its batch) that is not one JSON object on one line"
            ) from None
    return events


def _unique(pairs: list[tuple[str, Any]]) -> Event:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that no double holds")
    return number


def _whole(text: str) -> int:
    # Some 300 digits at most, which is also what bounds the time that this takes.
    _finite(text)
    return int(text)


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_int=_whole, parse_constant=_no_constant)


def _event(line: str) -> Event:
    if not line.startswith("{") or not line.endswith("}") or "\n" in line or "\r" in line:
        raise ValueError("not one object on one line")
    event: Event = _DECODER.decode(line)
    if line.count("{") + line.count("[") > _MOST_LEVELS:
        _check_levels(event)
    if "\\u" in line:
        # A lone surrogate is no character; encoding finds it.
        json.dumps(event, ensure_ascii=False).encode()
    return event


def _check_levels(event: Event) -> None:
    level: list[Any] = [event]
    for _ in range(_MOST_LEVELS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError("too many levels")
