"""Where a state lies between runs.

A lost state means everything again, an older one duplicates, and one of another tenant a gap. `StateFile` therefore
writes the file as `source-host` does, so that either goes on where the other stopped:

    <FF>state<FF>1 <SHA-256 of all that follows this line, in hex>
    {"tenant":"acme","component":"salesforce","version":"1.4.0","revision":17,...}
    the state, verbatim

A file that holds the state alone, as hosts wrote it before, is loaded too, and bound to its tenant by the first save.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from .contract import Description, printable
from .disk import sync_folder_of
from .errors import StateError, StateInUse

T = TypeVar("T")

LARGEST_STATE = 1 << 20
_LARGEST_FILE = LARGEST_STATE + (16 << 10)
_MAGIC = b"\xffstate\xff"
_MOVE_AWAY = "it is left as it is: restore it, or move it away to start from the beginning"
_HINTS = {
    errno.ENOENT: "create the folder, or mount it again",
    errno.ENOTDIR: "create the folder, or mount it again",
    errno.EACCES: "give this user the right to read and write it and its folder",
    errno.EPERM: "give this user the right to read and write it and its folder",
    errno.EROFS: "mount it so that it can be written to",
    errno.ENOSPC: "make room, then it goes on from the state saved before",
    errno.EDQUOT: "make room, then it goes on from the state saved before",
}


class StateStore(Protocol):
    """What a `Source` keeps its state in. Either may raise; `StateError` where somebody must act."""

    def load(self) -> str | None:
        """The state that was saved last; none = from the beginning."""

    def save(self, state: str, /) -> None:
        """Replaces it, as a whole or not at all. Once this returns, it is there after a kill or a power failure."""


class StateFile:
    """A state in a file of its own, mode 0600, held by this process alone until `close` (or the end of a `with`).

    Saving writes a file beside it, syncs, renames and syncs the folder. The lock is on `<path>.lock`, ends with the process,
    and is the one of `source-host`. The path must lie on a disk with locks and atomic renames.

    `tenant` names whose state it is, 1 to 256 bytes; a file of another tenant or another component is refused. (`source-host`
    takes the name of its configuration file without `.toml`.)

    Raises `StateInUse` if another process holds it, and `StateError` if its folder cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, tenant: str = "default") -> None:
        # With links followed, so that two names of one state have one lock.
        self.path = Path(os.path.realpath(path))
        if os.path.islink(path) and not os.path.exists(path):
            raise StateError(f"{path}: the state is a link that leads nowhere")
        if not _is_name(tenant):
            raise StateError("the tenant of a state must have 1 to 256 bytes and no control characters")
        self._owner: dict[str, Any] = {"tenant": tenant, "component": None, "version": None, "digest": None}
        self._revision = 0
        self._state: str | None = None
        self._labelled = False
        lock = self._beside(".lock")
        self._lock = self._try("create the lock", lock, lambda: os.open(lock, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StateInUse(
                f"{self.path}: the state is in use by another process",
                hint="stop that one, or give this one a state of its own",
            ) from None
        except OSError as error:
            os.close(self._lock)
            raise self._failed("lock", lock, error) from None
        beside = self._beside(".tmp")
        self._try("write beside the state", beside, lambda: _probe(beside))

    def bind(self, description: Description, digest: str) -> None:
        """Says whose state it is. A `Source` does so before it loads."""
        if not _is_name(description.name) or not _is_name(description.version):
            raise StateError("the component's name and version must have 1 to 256 bytes: no state can be bound to them")
        self._owner.update(component=description.name, version=description.version, digest=digest)

    def load(self) -> str | None:
        try:
            if self.path.exists() and not self.path.is_file():
                raise self._unfit("is not a file")
            with self.path.open("rb") as file:
                content = file.read(_LARGEST_FILE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read the state", self.path, error) from None
        if len(content) > _LARGEST_FILE:
            raise self._unfit("is larger than 1 MiB, so no source wrote it")
        self._labelled = content.startswith(_MAGIC)
        self._state = self._text(self._opened(content[len(_MAGIC) :]) if self._labelled else content)
        return self._state

    def save(self, state: str, /) -> None:
        if not 0 < len(state.encode()) <= LARGEST_STATE:
            raise StateError(f"{self.path}: a state has 1 byte to 1 MiB; the one saved before is kept")
        self._check_held()
        if state == self._state and self._labelled:
            return
        label = {
            **self._owner,
            "revision": self._revision + 1,
            "saved_at": int(time.time() * 1000),
            "bytes": len(state.encode()),
        }
        body = json.dumps(label, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" + state.encode()
        content = _MAGIC + b"1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        self._try("write the state", self.path, lambda: _replace(self.path, self._beside(".tmp"), content))
        self._revision, self._state, self._labelled = self._revision + 1, state, True

    def close(self) -> None:
        """Lets go of it. The lock's file stays, and means nothing by being there."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _opened(self, content: bytes) -> bytes:
        if not content.startswith(b"1 "):
            raise self._unfit("is damaged, or was written by a newer program")
        checksum, _, body = content[2:].partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            raise self._unfit("is damaged")
        header, _, state = body.partition(b"\n")
        try:
            label = json.loads(header)
            found = {name: str(label[name]) for name in ("tenant", "component")}
            self._revision = int(label["revision"])
        except (ValueError, KeyError, TypeError):
            raise self._unfit("is damaged, or was written by a newer program") from None
        for name, value in found.items():
            if self._owner[name] is not None and value != self._owner[name]:
                raise StateError(
                    f"{self.path}: the state was saved for {name} {printable(value)!r} and not for {self._owner[name]!r}",
                    hint="it is left as it is: correct the path, or move it away to start from the beginning",
                )
        return state

    def _text(self, content: bytes) -> str:
        if not content:
            raise self._unfit("is empty")
        if len(content) > LARGEST_STATE:
            raise self._unfit("is larger than 1 MiB, so no source wrote it")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._unfit("is not UTF-8, so no source wrote it") from None

    def _check_held(self) -> None:
        """What is written to a removed file is lost, and a lock on one holds nobody off."""
        lock = self._beside(".lock")
        try:
            held = os.path.samestat(os.fstat(self._lock), os.stat(lock))
        except OSError:
            held = False
        if not held:
            raise StateError(
                f"{lock} was removed or replaced while this process used it, so another may use the state too; nothing more "
                "is saved",
                hint="see to it that nothing cleans up that folder, and start again",
            )

    def _unfit(self, why: str) -> StateError:
        return StateError(f"{self.path}: the state {why}", hint=_MOVE_AWAY)

    def _failed(self, action: str, path: Path, error: OSError) -> StateError:
        return StateError(f"cannot {action} {path}: {error.strerror}", hint=_HINTS.get(error.errno or 0))

    def _try(self, action: str, path: Path, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            raise self._failed(action, path, error) from None


def _is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= 256 and printable(text) == text


def _probe(temporary: Path) -> None:
    """Tries whether a state could be saved, before anything is collected."""
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    temporary.unlink()


def _replace(path: Path, temporary: Path, content: bytes) -> None:
    # What a killed process left is removed rather than written to: it may be a link, or readable by all.
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder_of(path)
