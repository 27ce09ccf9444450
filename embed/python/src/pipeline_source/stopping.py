"""How a run is told to end."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Protocol, Self


class StopEvent(Protocol):
    """What ends an iteration: `threading.Event` and `StopOnSignal` are such."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float, /) -> bool:
        """Waits so many seconds, or until it is set; returns whether it is."""


class StopOnSignal:
    """An event that SIGINT and SIGTERM set: the iteration ends after the batch at hand. A second signal ends the process.

    A context manager, for the main thread. (`threading.Event` must not be set by a handler of a signal: it could wait for
    a lock that the interrupted code holds.)
    """

    def __init__(self, *signals: int) -> None:
        self._signals = signals or (signal.SIGINT, signal.SIGTERM)
        self._reader, self._writer = os.pipe()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            os.write(self._writer, b"x")

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float, /) -> bool:
        # Waits of days are cut: what waits asks again.
        select.select([self._reader], [], [], min(max(timeout, 0.0), 86_400.0))
        return self._set

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.set()
        signal.signal(number, signal.SIG_DFL)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in self._signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)
