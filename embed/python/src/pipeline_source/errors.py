"""What can go wrong between a host and a source. None of it ever shows a secret or a state.

| exception | what happened | the source may be used on |
|---|---|---|
| `ConfigurationError` | the configuration is wrong; `problems` has everything at once | no: make a new one |
| `NotASource` | the file is no component, or none that this package can run | no |
| `UnsupportedWasmtime` | the installed wasmtime lacks what sources need | no |
| `PollFailure` | a poll could do nothing at all, and time alone does not mend it | yes: iterate again |
| `ComponentCrashed` | a call trapped, ran out of memory or (`TimeLimitExceeded`) took too long, several times in a row | yes: the next call begins with a new instance |
| `BrokenContract` | what came back is not what the contract says, several times in a row; nothing of it was handed out | yes, likely in vain |
| `StateError` | a state cannot be loaded or saved, or (`StateInUse`) is held by another process | after `load`: no; after `ack`: acknowledge again |
"""

from __future__ import annotations

from collections.abc import Iterable

from .contract import Kind, Problem


class SourceError(Exception):
    """Whatever goes wrong with a source."""

    kind: Kind
    """Who must act."""
    hint: str | None
    """What to do about it, where something can be done."""
    path: str | None
    """Where in the configuration, as dotted keys."""
    stream: str | None
    retry_after: float | None
    """Seconds after which trying again makes sense."""

    def __init__(
        self,
        message: str,
        *,
        kind: Kind = "internal",
        hint: str | None = None,
        path: str | None = None,
        stream: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind, self.hint, self.path, self.stream, self.retry_after = kind, hint, path, stream, retry_after

    def __str__(self) -> str:
        where = self.path or self.stream
        return (f"{where}: " if where else "") + self.message + (f" ({self.hint})" if self.hint else "")


class ConfigurationError(SourceError):
    """The configuration is wrong. `problems` names everything at once; the other attributes are those of the first."""

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(
            first.message, kind="config", hint=first.hint, path=first.path, stream=first.stream
        )

    @classmethod
    def one(cls, message: str, *, path: str | None = None, hint: str | None = None) -> ConfigurationError:
        return cls([Problem("config", message, path=path, hint=hint)])

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class NotASource(SourceError):
    """The file is no component, or none that keeps this contract."""


class UnsupportedWasmtime(SourceError):
    """The installed wasmtime cannot run sources."""


class PollFailure(SourceError):
    """A poll could do nothing at all, or a run until caught up ended before it was."""

    @classmethod
    def of(cls, problem: Problem, message: str | None = None) -> PollFailure:
        return cls(
            message or problem.message,
            kind=problem.kind,
            hint=problem.hint,
            path=problem.path,
            stream=problem.stream,
            retry_after=problem.retry_after,
        )


class ComponentCrashed(SourceError):
    """A call ended in a trap. The instance is spent; nothing that was acknowledged is lost."""


class TimeLimitExceeded(ComponentCrashed):
    """A call took longer than its limit and was stopped."""


class BrokenContract(SourceError):
    """What the component returned breaks the contract or a limit. Nothing of it was handed out."""


class StateError(SourceError):
    """A state cannot be loaded or saved. What lies there is left as it is."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, kind="state", hint=hint)


class StateInUse(StateError):
    """Another process holds the state."""
