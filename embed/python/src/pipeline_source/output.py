"""Events as lines in a file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Self

from .disk import sync_folder_of

_OPENED = os.O_RDWR | os.O_CREAT | os.O_APPEND


class EventFile:
    """A file of lines, mode 0600, that is appended to by this process alone.

    The lock is on `<path>.lock`, ends with the process, and is the one of `source-host` and of the package for Node.

    A last line without an end was torn when a process was killed; its batch was not acknowledged and comes again, so it is cut
    off. A file that was given another name meanwhile (logrotate) is begun anew by its own. Raises `ValueError` if the file ends with
    something else, and `OSError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # What is wrong with the path is told of it, and not of its lock.
        os.close(os.open(path, _OPENED, 0o600))
        # One file, one lock: whichever links lead to it.
        self._real = os.path.realpath(path)
        self._lock = os.open(f"{self._real}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Behind the lock: whoever held it before may have given the file another name until then.
            self._file = self._opened()
        except BlockingIOError:
            os.close(self._lock)
            raise ValueError(f"{path}: another process writes to it; stop that one, or choose another file") from None
        except BaseException:
            os.close(self._lock)
            raise

    def _opened(self) -> BufferedRandom:
        file = os.fdopen(os.open(self._real, _OPENED, 0o600), "r+b")
        try:
            self._cut_torn_line(file)
            # The name of a new file has to survive as well, or its events are lost and the state is kept.
            sync_folder_of(self._real)
        except BaseException:
            file.close()
            raise
        return file

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._real))
        except FileNotFoundError:
            return False

    def _cut_torn_line(self, file: BufferedRandom) -> None:
        start = end = file.seek(0, os.SEEK_END)
        while start:
            block = max(0, start - 65536)
            file.seek(block)
            found = file.read(start - block).rfind(b"\n")
            if found >= 0:
                start = block + found + 1
                break
            start = block
        if start < end:
            file.seek(start)
            if file.read(1) != b"{":
                raise ValueError(f"{self.path}: does not end with a line of events; choose another file or move it away")
            file.truncate(start)

    def append(self, lines: Iterable[str]) -> None:
        """Appends lines. Once this returns they are on the disk; where it raises `OSError` the file is as long as before."""
        data = memoryview("".join(line + "\n" for line in lines).encode())
        if not data:
            return
        if not self._is_in_place():
            # Whoever rotated it may compress it or take it away.
            rotated, self._file = self._file, self._opened()
            rotated.close()
        file = self._file.fileno()
        before = os.fstat(file).st_size
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        except OSError:
            # Part of a line would stand in the middle once the batch comes again.
            os.ftruncate(file, before)
            raise

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
