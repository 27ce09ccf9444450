"""A configured source, and its batches."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from . import answers
from .answers import Event, Limits
from .component import Component, Instance
from .configuration import as_json
from .contract import PASSING, Description, Finding, Grants, Problem, Stats, printable
from .egress import Gate, parse_rules
from .errors import BrokenContract, ComponentCrashed, ConfigurationError, PollFailure, SourceError
from .state import StateFile, StateStore
from .stopping import StopEvent

logger = logging.getLogger("pipeline_source")

RETRY_AFTER = 30.0
"""Seconds to wait after a failure that does not say how long."""
_SHORTEST_RETRY = 0.1
_LONGEST_PAUSE = 60.0
_LOST = (ComponentCrashed, BrokenContract, ConfigurationError)
"""What a call of an instance ends in that is not to be asked again at once. The last one, where a new instance refuses what
the first one took."""
_EMPTY_PROMISES = 10
"""Polls in a row that promise more at once and bring nothing, after which each costs a wait."""
_EMPTY_WAIT = 1.0
_SOON = 1.0
"""A source that wants to be polled again sooner than that promises more at once."""
_FRUITLESS = 60.0
"""For how long a source goes on at full speed that reads and has no events: of some files all may be left out."""
_FRUITLESS_WAIT = 0.1
"""The wait after each such poll from then on."""


class Batch:
    """The next events, and the state they lead to. A batch may be without events; its state counts all the same."""

    events: list[Event]
    lines: list[str]
    """The same events as the component wrote them, one JSON object each, without the line break."""
    state: str
    """Opaque. Covers exactly the events up to and including this batch."""
    next_poll: float
    """Seconds until the next poll, from when this batch came. 0 = more is ready now."""
    problems: tuple[Problem, ...]
    """What went wrong in single streams while others went on. Each was logged as a warning."""
    stats: Stats

    def __init__(self, record: Any, limits: Limits, acknowledge: Callable[[Batch], None]) -> None:
        self.lines = record.events
        self.events = answers.checked_events(self.lines, limits)
        self.state = answers.checked_state(record.state, limits)
        self.next_poll = min(getattr(record, "next-poll-ms") / 1000, limits.longest_wait)
        self.problems = answers.first_of(record.problems, limits)
        self.stats = Stats.of(record.stats)
        self.acknowledged = False
        self._acknowledge = acknowledge

    def ack(self) -> None:
        """Says that the events are safe: the state is stored now, and the next batch follows this one.

        Raises what the store raises; the batch is then not acknowledged, and `ack` may be called again. A second call does
        nothing.
        """
        if not self.acknowledged:
            self._acknowledge(self)
            self.acknowledged = True


class Source:
    """A source of events. Iterate over it for batches, and acknowledge each once its events are safe:

        with StateFile("state.json", tenant="acme") as state:
            with Source("source.wasm", config, state=state, allow=["acme.my.salesforce.com"]) as source:
                for batch in source:
                    deliver(batch.lines)
                    batch.ack()

    **Nothing is lost, and what comes twice has the same `event.id`.** A state is stored by `ack` and by nothing else. A batch
    that was not acknowledged when the next one is asked for is handed out again (the same object, without a request to the
    service), after a pause that grows from one second to a minute. A process that ends without acknowledging polls again from
    the last state that was stored.

    An iteration goes on for ever, waiting as long as each batch asks for, and ends after the batch at hand when `stop` is set;
    with `until_caught_up`, when nothing is left to read; after `confine`, when all of the range is there. Iterating again goes
    on where it ended.

    Failures that pass by themselves are logged and waited out; with `until_caught_up` for `give_up_after` seconds without
    progress. Others raise `PollFailure`, and the next iteration begins with the wait that the failure asks for. After a crash,
    or an answer that breaks the contract, a new instance goes on from the last acknowledged state, after a pause that doubles;
    the `crashes`-th in a row raises `ComponentCrashed` or `BrokenContract`. A source that promises more at once and brings
    nothing, ten times in a row, is polled once a second.

    component: its file, or a `Component`, which several sources can share
    config:    the document for `configure`, a dictionary or JSON; a dictionary may have {"file": "path"} (relative to `folder`)
               and {"env": "NAME"} in the place of a text
    state:     where the state lies between runs, or a state to begin with, which is then kept in memory (`source.state`)
    allow:     where the component may connect to, of what its configuration needs (`grants.authorities`): "host", "host:port",
               "*.suffix". None = all that it needs. See `pipeline_source.egress` for what is not checked
    stop:      an event that ends the iteration, such as `StopOnSignal()` or `threading.Event()`
    clock, wait: for tests. `clock` counts seconds; `wait` waits so many, or until `stop` is set

    Not for several threads at once. Raises `ConfigurationError`, `NotASource`, `UnsupportedWasmtime` or `StateError`.
    """

    def __init__(
        self,
        component: Component | str | os.PathLike[str],
        config: Mapping[str, Any] | str,
        *,
        state: StateStore | str | None = None,
        allow: Iterable[str] | None = None,
        folder: str | os.PathLike[str] = ".",
        limits: Limits = Limits(),
        until_caught_up: bool = False,
        give_up_after: float = 300.0,
        crashes: int = 5,
        stop: StopEvent | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.component = component if isinstance(component, Component) else Component(component)
        self._config = config if isinstance(config, str) else as_json(config, folder)
        _check_json(self._config)
        self._gate = Gate(None if allow is None else parse_rules(allow))
        self._limits = limits
        self._until_caught_up, self._give_up_after, self._crashes = until_caught_up, give_up_after, crashes
        self._stop: StopEvent = stop or threading.Event()
        self._clock, self._wait = clock, wait or self._stop.wait
        self._range: SimpleNamespace | None = None
        self._instance: Instance | None = None
        self._pending: Batch | None = None
        self._due = self._progress = clock()
        self._fruitless: float | None = None
        self._crashed = self._repeated = self._promises = 0
        self.grants = self._open()
        for warning in self.grants.warnings:
            logger.warning("%s", warning)
        self._store = None if state is None or isinstance(state, str) else state
        if isinstance(self._store, StateFile):
            self._store.bind(self.describe(), self.component.digest)
        self._state = state if isinstance(state, str) else self._store.load() if self._store else None

    @property
    def state(self) -> str | None:
        """The last acknowledged state; none = from the beginning."""
        return self._state

    def describe(self) -> Description:
        """What the component is."""
        return self._opened().describe()

    def check(self) -> list[Finding]:
        """Tries each thing that a poll needs, with one cheap request each, and says how to mend what fails."""
        findings = self._opened().call("check")
        answers.fits(len(findings), "findings", self._limits.list_length)
        answers.fits(sum(len(f.backlog) for f in findings), "days of backlog", self._limits.backlog_days)
        return [Finding.of(finding) for finding in findings]

    def confine(self, since: datetime, until: datetime) -> None:
        """Confines this source to what happened in `since <= time < until`, before the first poll.

        For a backfill, beside the collection that goes on: with the same configuration and a state of its own. The iteration
        ends when the range is complete, which it is not as long as the service may still add to it. More than the range may
        come with it, with the same ids.

        Raises `ConfigurationError` where the range is empty. Times need a zone.
        """
        if since.tzinfo is None or until.tzinfo is None:
            raise ConfigurationError.one("the times of a range need a zone, such as datetime.UTC")
        bounds = (since, until)
        milliseconds = (round(at.timestamp() * 1000) for at in bounds)
        self._range = SimpleNamespace(**dict(zip(("from-ms", "until-ms"), milliseconds, strict=True)))
        try:
            self._confine(self._opened())
        except SourceError:
            self._range = None
            raise

    def is_complete(self, state: str | None = None) -> bool:
        """Whether `state` (the last acknowledged one if left out) is the last there will be: the range is all there."""
        state = state if state is not None else self._state
        return state is not None and bool(self._opened().call("is-complete", state))

    def close(self) -> None:
        """Gives back the memory of the instance. A store stays open: it is its owner's to close."""
        if self._instance is not None:
            self._instance.close()
            self._instance = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            if self._pending is not None:
                self._pause_before_repeating()
            elif self._until(self._due):
                self._pending = self._poll()
            if self._stop.is_set():
                return
            batch = self._pending
            if batch is None:
                continue
            yield batch
            if batch.acknowledged and self._ends_after(batch):
                return

    def _pause_before_repeating(self) -> None:
        pause = min(2.0**self._repeated, _LONGEST_PAUSE)
        self._repeated = min(self._repeated + 1, 6)
        logger.warning("a batch was not acknowledged and comes again, in %.0f s", pause)
        self._until(self._clock() + pause)

    def _poll(self) -> Batch | None:
        """A batch, or none where it failed in a way that passes."""
        try:
            answer = self._opened().call("poll", self._state)
            failed = answer.tag == "err"
            batch = None if failed else Batch(answer.payload, self._limits, self._acknowledge)
            if failed and answer.payload.state is not None:
                answers.checked_state(answer.payload.state, self._limits)
        except _LOST as crash:
            self._after_crash(crash)
            return None
        self._repeated = 0
        if batch is None:
            self._crashed = 0
            self._failed(answer.payload)
            return None
        for problem in batch.problems:
            logger.warning("%s: %s", problem.kind, problem)
        self._due = self._clock() + batch.next_poll
        return batch

    def _after_crash(self, crash: SourceError) -> None:
        """Waits for a new instance, ever longer; raises each `crashes`-th in a row."""
        self.close()
        self._crashed += 1
        pause = min(2.0 ** min(self._crashed - 1, 6), _LONGEST_PAUSE)
        # Also for who catches what is raised and goes on.
        self._due = max(self._due, self._clock() + pause)
        if self._crashed % self._crashes == 0:
            raise crash
        logger.error("%s; a new instance goes on in %.0f s", crash, pause)

    def _least_wait(self, batch: Batch, has_changed: bool) -> float:
        """How long it is at least until the next poll, whatever the source wants itself. Asked once for each batch."""
        now, stats = self._clock(), batch.stats
        # What was read is what the source says; that it goes on from somewhere else is seen.
        has_read = stats.bytes_read or stats.rows_read or stats.files_completed
        if batch.lines or (has_read and has_changed):
            self._progress, self._promises = now, 0
        elif batch.next_poll < _SOON:
            self._promises += 1
        if batch.lines or batch.next_poll >= _FRUITLESS:
            self._fruitless = None
        elif self._fruitless is None:
            self._fruitless = now
        if batch.lines or batch.next_poll >= _SOON:
            return 0.0
        if self._promises > _EMPTY_PROMISES:
            return _EMPTY_WAIT
        return _FRUITLESS_WAIT if self._fruitless is not None and now - self._fruitless >= _FRUITLESS else 0.0

    def _failed(self, failure: Any) -> None:
        problem = Problem.of(failure.problem)
        if failure.state is not None and problem.kind != "state":
            # The old place plus the back-off: storing it spares the service a host that was restarted.
            self._save(failure.state)
        wait = max(min(problem.retry_after or RETRY_AFTER, self._limits.longest_wait), _SHORTEST_RETRY)
        self._due = self._clock() + wait
        if problem.kind not in PASSING:
            raise PollFailure.of(problem)
        self._check_patience(problem, wait)
        logger.warning("%s: %s; again in %.0f s", problem.kind, problem, wait)

    def _check_patience(self, problem: Problem, wait: float) -> None:
        waited = self._clock() - self._progress
        if self._until_caught_up and waited + wait > self._give_up_after:
            raise PollFailure.of(
                problem,
                f"given up, as nothing came for {waited:.0f} s and the next attempt is {wait:.0f} s away: {problem.message}",
            )

    def _ends_after(self, batch: Batch) -> bool:
        try:
            if self._range is not None and self.is_complete():
                return True
        except _LOST as crash:
            # The batch is safe; the same is asked after the next one.
            self._after_crash(crash)
            return False
        self._crashed = 0
        if not self._until_caught_up:
            return False
        wait = max(0.0, self._due - self._clock())
        if not batch.next_poll:
            self._check_patience(Problem("transient", "the source promises more and brings nothing"), wait)
            return False
        troubles = [problem for problem in batch.problems if problem.kind != "data"]
        if not troubles and not batch.stats.backlog_files:
            return True
        lasting = [problem for problem in troubles if problem.kind not in PASSING]
        if len(lasting) == len(troubles) > 0:
            raise PollFailure.of(lasting[0])
        still = Problem("transient", f"{batch.stats.backlog_files} files are not read yet")
        self._check_patience(troubles[0] if troubles else still, wait)
        return False

    def _until(self, due: float) -> bool:
        """Waits until then; false where it was stopped before."""
        while not self._stop.is_set() and (left := due - self._clock()) > 0:
            self._wait(left)
        return not self._stop.is_set()

    def _acknowledge(self, batch: Batch) -> None:
        if batch is not self._pending:
            raise RuntimeError("this batch is not the one at hand")
        has_changed = batch.state != self._state
        self._save(batch.state)
        self._pending = None
        if self._range is None:  # otherwise the instance is asked once more, and may crash over it
            self._crashed = 0
        self._due = max(self._due, self._clock() + self._least_wait(batch, has_changed))

    def _save(self, state: str) -> None:
        if self._store is not None:
            self._store.save(state)
        self._state = state

    def _opened(self) -> Instance:
        if self._instance is None or self._instance.is_spent:
            self.close()
            self._open()
        assert self._instance is not None
        return self._instance

    def _open(self) -> Grants:
        instance = Instance(self.component, self._limits, self._gate)
        try:
            grants = self._configured(instance)
            self._confine(instance)
        except BaseException:
            instance.close()
            raise
        self._instance = instance
        return grants

    def _configured(self, instance: Instance) -> Grants:
        answer = instance.call("configure", self._config)
        # Not tagged: the grants are a record, the problems a list.
        if isinstance(answer, list):
            raise ConfigurationError(
                answers.first_of(answer, self._limits) or [Problem("internal", "refused without a reason")]
            )
        answers.fits(len(answer.authorities), "authorities", self._limits.list_length)
        grants = Grants(tuple(map(printable, answer.authorities)), answers.first_of(answer.warnings, self._limits))
        try:
            denied = self._gate.grant(grants.authorities)
        except ValueError as error:
            raise answers.refuse(f"an authority that is none: {error}") from None
        if denied:
            raise ConfigurationError.one(
                f"does not allow what the source has to contact: {', '.join(denied)}",
                path="allow",
                hint="if it may, add it",
            )
        return grants

    def _confine(self, instance: Instance) -> None:
        if self._range is not None and (problem := instance.call("confine", self._range)) is not None:
            raise ConfigurationError([Problem.of(problem)])


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        # The position and the reason, never the text: it may hold a password.
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it has what JSON does not have"
        raise ConfigurationError.one(f"the configuration is not JSON: {reason}") from None
