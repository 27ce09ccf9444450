"""The program: `python -m pipeline_source`, or `pipeline-source`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .component import Component
from .configuration import Settings, read_config, read_settings
from .errors import ConfigurationError, NotASource, PollFailure, SourceError, StateError, UnsupportedWasmtime
from .output import EventFile
from .source import Batch, Source
from .state import StateFile
from .stopping import StopOnSignal

_DESCRIPTION = """\
Runs a log source, a WebAssembly component, and writes its events as NDJSON.

CONFIG is a TOML file in the format of source-host, in which paths are relative to it:

  component = "source.wasm"
  [source]                                # for the component; see --describe
  url   = "https://logs.example.com"
  token = { env = "LOGS_TOKEN" }          # or { file = "token.txt" }
  [state]
  path = "state.json"                     # how far collection has come
  [output]
  kind = "file"                           # or "stdout", the default
  path = "events.ndjson"
  [egress]
  allow = ["logs.example.com"]            # or "*.example.com", "host:port"; nothing else
  [limits]                                # optional; these are the defaults
  memory = "64MiB"
  call_time = "300s"

or the JSON document that stands under [source], with what else is needed as options.
"""
_EPILOG = """\
Start with:
  pipeline-source --component source.wasm --describe     what it collects
  pipeline-source CONFIG.toml --check                    whether everything is in place
  pipeline-source CONFIG.toml --until-caught-up          collect what is there, then end
  pipeline-source CONFIG.toml                            collect until stopped (Ctrl-C loses nothing)
  pipeline-source --component source.wasm config.json --state state.json --output events.ndjson

The component gets clocks, HTTP to the authorities that its configuration needs and `allow` covers (by name: what address
a name has is not checked), and no files, environment or sockets.

Exit status: 0 done, 1 something failed, 2 a mistake in what was given (configuration, component, state).
"""
_MISTAKES = (ConfigurationError, NotASource, StateError, UnsupportedWasmtime)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit status."""
    args = _parser().parse_args(arguments)
    progress = Progress(sys.stderr.isatty() and not args.quiet)
    handler = _Handler(progress)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("pipeline_source")
    root.addHandler(handler)
    root.setLevel(logging.ERROR if args.quiet else logging.WARNING)
    try:
        return _run(args, progress)
    except SourceError as error:
        progress.clear()
        print(_sentence(error), file=sys.stderr)
        return 2 if isinstance(error, _MISTAKES) or error.kind in ("config", "state") else 1
    except (OSError, ValueError) as error:
        progress.clear()
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    finally:
        root.removeHandler(handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pipeline-source",
        usage="%(prog)s [OPTIONS] CONFIG.toml\n       %(prog)s [OPTIONS] --component FILE [CONFIG.json]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="the configuration, TOML or JSON")
    parser.add_argument("--component", type=Path, metavar="FILE", help="the component; a TOML file names it itself")
    parser.add_argument("--state", type=Path, metavar="FILE", help="with JSON: remembers how far collection has come")
    parser.add_argument("--output", type=Path, metavar="FILE", help="with JSON: takes the events, instead of standard output")
    parser.add_argument(
        "--allow",
        action="append",
        metavar="HOST",
        help="with JSON: a host, host:port or *.suffix that may be contacted, of those that the configuration needs; may be "
        "given several times (default: all that it needs)",
    )
    parser.add_argument("--until-caught-up", action="store_true", help="end when nothing is left to read")
    parser.add_argument("--check", action="store_true", help="try each thing that collecting needs, and say how to mend it")
    parser.add_argument("--describe", action="store_true", help="print name, version and streams as JSON")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep compiled components there; later starts are faster")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    return parser


def _run(args: argparse.Namespace, progress: Progress) -> int:
    settings = _settings(args)
    if settings.state is None and args.config and args.config.suffix == ".toml" and not (args.check or args.describe):
        raise ConfigurationError.one(
            f"{args.config} says not where the state lies, which remembers how far collection has come",
            hint='write [state] and path = "state.json"',
        )
    component = Component(settings.component, cache=args.cache)
    if args.describe:
        about = dataclasses.asdict(component.describe(settings.limits))
        print(json.dumps({key: about[key] for key in ("name", "version", "streams")}, indent=2))
        return 0
    with ExitStack() as stack:
        stop = stack.enter_context(StopOnSignal())
        state = None
        if settings.state is not None and not args.check:
            state = stack.enter_context(StateFile(settings.state, tenant=settings.tenant))
        try:
            source = Source(
                component,
                settings.source,
                state=state,
                allow=settings.allow,
                folder=settings.folder,
                limits=settings.limits,
                until_caught_up=args.until_caught_up,
                stop=stop,
            )
        except ConfigurationError as error:
            raise _as_in_file(error, args.config) from None
        stack.enter_context(source)
        if args.check:
            findings = source.check()
            print(*findings, sep="\n")
            return int(any(finding.verdict == "fail" for finding in findings))
        if settings.output is None:
            return _collect(source, stop, _print, progress, until_caught_up=args.until_caught_up)
        with EventFile(settings.output) as output:
            return _collect(source, stop, output.append, progress, until_caught_up=args.until_caught_up)


def _settings(args: argparse.Namespace) -> Settings:
    if args.config is not None and args.config.suffix == ".toml":
        given = [name for name in ("component", "state", "output", "allow") if getattr(args, name) is not None]
        if given:
            raise ConfigurationError.one(f"--{given[0]} is for JSON; {args.config} says it itself")
        return read_settings(args.config)
    if args.component is None:
        raise ConfigurationError.one(
            "give a CONFIG.toml, or --component and a CONFIG.json; --help shows what stands in them"
        )
    if args.config is None and not args.describe:
        raise ConfigurationError.one("CONFIG is missing; --help shows what stands in it")
    return Settings(
        component=args.component,
        source={} if args.describe else read_config(args.config),
        folder=args.config.parent if args.config else Path(),
        tenant=args.config.stem if args.config else "default",
        allow=args.allow,
        state=args.state,
        output=args.output,
    )


def _as_in_file(error: ConfigurationError, file: Path) -> ConfigurationError:
    """With the paths as they stand in the file."""
    if file.suffix != ".toml":
        return error
    return ConfigurationError(
        dataclasses.replace(p, path="egress.allow" if p.path == "allow" else f"source.{p.path}" if p.path else "source")
        for p in error.problems
    )


def _sentence(error: SourceError) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"{error.kind}: {error}"


def _print(lines: Iterable[str]) -> None:
    sys.stdout.buffer.write("".join(line + "\n" for line in lines).encode())
    sys.stdout.buffer.flush()


def _collect(
    source: Source,
    stop: StopOnSignal,
    deliver: Callable[[list[str]], None],
    progress: Progress,
    *,
    until_caught_up: bool,
) -> int:
    total: Counter[str] = Counter(events=0, files=0, requests=0)
    worked = False
    try:
        while not stop.is_set():
            try:
                for batch in source:
                    deliver(batch.lines)
                    batch.ack()
                    worked = True
                    _count(total, batch)
                    progress.show(_progress(total, batch))
                return 0
            except PollFailure as failure:
                # Whoever must act may do so while this runs. A configuration that has worked may work again: a stream was renamed.
                if until_caught_up or failure.kind == "state" or (failure.kind == "config" and not worked):
                    raise
                logging.getLogger("pipeline_source").error("%s", _sentence(failure))
        return 0
    except BrokenPipeError:  # the reader of standard output has gone, as in `pipeline-source ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        progress.clear()
        print("{events} events from {files} files in {requests} requests".format_map(total), file=sys.stderr)


def _count(total: Counter[str], batch: Batch) -> None:
    total["events"] += len(batch.lines)
    total["files"] += batch.stats.files_completed
    total["requests"] += batch.stats.requests


def _progress(total: Counter[str], batch: Batch) -> str:
    stats = batch.stats
    left = f", {stats.backlog_files:,} files of {stats.backlog_bytes / 1e6:,.1f} MB to read" if stats.backlog_files else ""
    wait = f", next poll in {batch.next_poll:.0f} s" if batch.next_poll else ""
    return f"{total['events']:,} events, {total['files']:,} files{left}{wait}"


class Progress:
    """A line on a terminal that is written over."""

    def __init__(self, shown: bool) -> None:
        self._shown, self._last, self._dirty = shown, 0.0, False

    def show(self, text: str) -> None:
        now = time.monotonic()
        if self._shown and (now - self._last > 0.1 or "next poll" in text):
            self._last, self._dirty = now, True
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._dirty:
            self._dirty = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self, progress: Progress) -> None:
        super().__init__(sys.stderr)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.clear()
        super().emit(record)
