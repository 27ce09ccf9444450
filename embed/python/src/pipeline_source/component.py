"""Components and their instances: loading, linking, calling, and what ends a call."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError

from . import answers
from .answers import Limits
from .contract import INTERFACE, VERSION, Description, printable
from .egress import Gate, gate_text
from .errors import ComponentCrashed, NotASource, SourceError, TimeLimitExceeded, UnsupportedWasmtime

_INSTALLED = importlib.metadata.version("wasmtime")
try:
    from wasmtime.component import Component as Compiled
    from wasmtime.component import ComponentInstanceType, Func, Linker, Variant
except ImportError:
    raise ImportError(
        f"wasmtime {_INSTALLED} cannot run components: install the version that pipeline-source asks for"
    ) from None

_LARGEST_COMPONENT = 32 << 20
_TICK = 0.1
"""Seconds between two looks at the time of calls."""
_HANDLER = "wasi:http/outgoing-handler"
_FUNCTIONS = frozenset(
    ("describe", "configure", "check", "poll", "suspend", "resume", "confine", "is-complete")
)
_OFFERED = frozenset(
    (
        "wasi:clocks/monotonic-clock",
        "wasi:clocks/wall-clock",
        _HANDLER,
        "wasi:http/types",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
    )
)


class _Clockwork:
    """An engine, and the thread that counts its epochs while calls are under way."""

    def __init__(self, cache: Path | None) -> None:
        config = Config()
        config.epoch_interruption = True
        if cache is not None:
            _keep_compiled(config, cache)
        self.engine = Engine(config)
        self.gate = Compiled(self.engine, gate_text())
        self._lock = threading.Lock()
        self._calls = 0
        self._busy = threading.Event()
        threading.Thread(target=self._tick, name="pipeline-source-epochs", daemon=True).start()

    def _tick(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(_TICK)
            self.engine.increment_epoch()

    @contextmanager
    def limited(self, store: Store, seconds: float) -> Iterator[None]:
        store.set_epoch_deadline(math.ceil(seconds / _TICK) + 1)
        with self._lock:
            self._calls += 1
            self._busy.set()
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._busy.clear()


def _keep_compiled(config: Config, folder: Path) -> None:
    """Has wasmtime keep what it compiles in a folder, which must be one that nobody else can write to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as settings:
        # TOML has the escapes of JSON in its strings.
        settings.write(f"[cache]\ndirectory = {_quoted(str(folder.resolve()))}\n")
        settings.flush()
        config.cache = settings.name


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@functools.cache
def _clockwork(cache: Path | None) -> _Clockwork:
    require_http(Linker)
    return _Clockwork(cache)


def require_http(linker: type) -> None:
    """Raises `UnsupportedWasmtime` if this kind of linker has no `wasi:http`."""
    if not hasattr(linker, "add_wasi_http"):
        raise UnsupportedWasmtime(
            f"wasmtime {_INSTALLED} has no wasi:http for components",
            hint="install the version that pipeline-source asks for: pip install --force-reinstall pipeline-source",
        )


class Component:
    """A compiled source, of which any number of instances can be made, in any threads.

    Compiling takes seconds; `cache` names a folder that keeps what was compiled for the next start. It must be writable for
    nobody else, since what lies there is run without another look.

    Raises `NotASource` if the file is no component that keeps the contract.
    """

    def __init__(self, path: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        content = self._read()
        self.digest = "sha256:" + hashlib.sha256(content).hexdigest()
        try:
            self._clockwork = _clockwork(None if cache is None else Path(cache))
        except (OSError, WasmtimeError) as error:
            raise SourceError(f"{cache}: cannot keep compiled components there: {error}") from None
        try:
            self._compiled = Compiled(self._clockwork.engine, content)
        except WasmtimeError as error:
            raise self._unfit(_why_not_compiled(str(error))) from None
        kind = self._compiled.type
        self._imports = list(kind.imports(self._clockwork.engine))
        self._interface = self._interface_of(kind.exports(self._clockwork.engine))
        unknown = sorted(name for name in self._imports if not _is_offered(name))
        if unknown:
            raise self._unfit(
                f"it wants {', '.join(map(printable, unknown))}, and a source gets HTTP and clocks of WASI 0.2 alone"
            )

    def _unfit(self, why: str) -> NotASource:
        return NotASource(f"{self.path}: {why}")

    def _read(self) -> bytes:
        try:
            if not self.path.is_file() and self.path.exists():
                raise self._unfit("it is not a file")
            with self.path.open("rb") as file:
                content = file.read(_LARGEST_COMPONENT + 1)
        except OSError as error:
            raise self._unfit(f"cannot read the component: {error.strerror}") from None
        if len(content) > _LARGEST_COMPONENT:
            raise self._unfit(f"it is larger than the {_LARGEST_COMPONENT >> 20} MiB that a component may have")
        if not content.startswith(b"\0asm"):
            raise self._unfit("it is not a WebAssembly component")
        if content[6:8] == b"\0\0":
            raise self._unfit("it is a core WebAssembly module and not a component")
        return content

    def _interface_of(self, exports: Mapping[str, Any]) -> str:
        versions = []
        for name, export in exports.items():
            interface, _, version = name.partition("@")
            if interface == INTERFACE and version.startswith(VERSION + "."):
                kind = export.ty
                if not isinstance(kind, ComponentInstanceType):
                    raise self._unfit(f"what it exports as {name} is no interface")
                if missing := sorted(_FUNCTIONS - kind.exports(self._clockwork.engine).keys()):
                    raise self._unfit(f"its {name} lacks {', '.join(missing)}")
                return name
            if interface == INTERFACE:
                versions.append(version)
        if versions:
            raise self._unfit(
                f"it keeps version {printable(', '.join(versions))} of the contract {INTERFACE}, and this package knows "
                f"{VERSION}.x; use a package and a component that belong together"
            )
        raise self._unfit(f"it is a component, but no source: it does not export {INTERFACE}")

    def describe(self, limits: Limits = Limits()) -> Description:
        """What the component is. Needs no configuration and no network."""
        instance = Instance(self, limits, Gate([]))
        try:
            return instance.describe()
        finally:
            instance.close()


def _is_offered(name: str) -> bool:
    """Whether a source gets what is imported by this name: these interfaces, at any patch version of 0.2."""
    interface, _, version = name.partition("@")
    return interface in _OFFERED and re.fullmatch(r"0\.2\.[0-9]+", version) is not None


def _why_not_compiled(message: str) -> str:
    if "unexpected end" in message or "out of bounds" in message:
        return "it is damaged or cut off; copy it again"
    if "SIMD support is not enabled" in message:
        return "it needs vectors of 128 bits (SIMD), and this wasmtime has them switched off; take one that has them"
    return "it cannot be compiled: " + printable(" ".join(message.split()))[:300]


# Eight bytes each, and no memory of an instance's, so that the limit of memory does not cover them: 6 MiB in all tables.
_TABLE_ELEMENTS = 100_000
_TABLES = 8
# The limit of memory is one of each memory. So there is one, and the one of `gate.wat`, which has a limit of its own: 1 MiB.
_MEMORIES = 2


class Instance:
    """One instance: one configured source, called by one thread at a time. After a call that fails it is spent."""

    def __init__(self, component: Component, limits: Limits, gate: Gate) -> None:
        self._component, self._limits, self.gate = component, limits, gate
        self.is_spent = False
        clockwork = component._clockwork
        self._store = Store(clockwork.engine)
        self._store.set_limits(
            memory_size=limits.memory,
            table_elements=_TABLE_ELEMENTS,
            instances=64,
            tables=_TABLES,
            memories=_MEMORIES,
        )
        self._store.set_wasi(WasiConfig())
        self._store.set_wasi_http()
        with self._running("instantiate"):
            own = self._linker()
            passing = own.instantiate(self._store, clockwork.gate)
            functions = {name: passing.get_func(self._store, name) for name in ("scheme", "authority", "handle")}
            linker = self._linker()
            linker.allow_shadowing = True
            handler = gate.handler(_caller(functions), Variant("HTTP-request-denied"))
            with linker.root() as root:
                # By the very name that the component imports: it is found before any compatible version.
                for name in component._imports:
                    if name.partition("@")[0] == _HANDLER:
                        with root.add_instance(name) as place:
                            place.add_func("handle", handler)
            self._instance = linker.instantiate(self._store, component._compiled)
        interface = self._instance.get_export_index(self._store, component._interface)
        self._functions = {}
        for name in _FUNCTIONS:
            index = self._instance.get_export_index(self._store, name, interface)
            function = None if index is None else self._instance.get_func(self._store, index)
            assert function is not None  # looked for when the component was loaded
            self._functions[name] = function

    def _linker(self) -> Linker:
        linker = Linker(self._component._clockwork.engine)
        linker.add_wasip2()
        linker.add_wasi_http()
        return linker

    def call(self, name: str, *values: Any) -> Any:
        """Calls a function of the contract. Raises `ComponentCrashed`, after which the instance is spent."""
        if self.is_spent:
            raise ComponentCrashed("the instance was stopped in an earlier call")
        with self._running(name):
            return self._functions[name](self._store, *values)

    def describe(self) -> Description:
        record = self.call("describe")
        answers.fits(len(record.streams), "streams", self._limits.list_length)
        answers.fits(len(getattr(record, "config-schema")), "characters of schema", self._limits.schema_bytes)
        return Description.of(record)

    @contextmanager
    def _running(self, name: str) -> Iterator[None]:
        try:
            with self._component._clockwork.limited(self._store, self._limits.call_time):
                yield
        except WasmtimeError as error:
            self.is_spent = True
            raise _crash(name, str(error), self._limits) from None
        except BaseException:
            self.is_spent = True
            raise
        finally:
            if self.gate.interruption is not None:
                interruption, self.gate.interruption = self.gate.interruption, None
                raise interruption

    def close(self) -> None:
        """Gives back its memory at once."""
        self.is_spent = True
        self._store.close()


def _caller(functions: dict[str, Func | None]) -> Callable[..., Any]:
    def call(name: str, store: Any, *values: Any) -> Any:
        function = functions[name]
        assert function is not None
        return function(store, *values)

    return call


def _crash(name: str, message: str, limits: Limits) -> ComponentCrashed:
    if "wasm trap: interrupt" in message:
        return TimeLimitExceeded(
            f"a call of `{name}` took longer than its limit of {limits.call_time:g} s and was stopped"
        )
    # The last line has the cause, those before it the functions that were being run.
    cause = printable(message.strip().rpartition("\n")[2].strip())
    return ComponentCrashed(
        f"the component crashed in `{name}`, perhaps at its limit of {limits.memory >> 20} MiB of memory: {cause}"
    )
