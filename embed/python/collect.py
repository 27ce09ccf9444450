#!/usr/bin/env python3
"""Hosts a log source component: polls it, writes its events as NDJSON, keeps its state.

CONFIG is the JSON document that the component's `configure` takes; a value {"file": "path relative to CONFIG"} or
{"env": "NAME"} in it is read from there. Exit status: 0 done, 1 something failed, 2 a mistake in what was given.

The component gets HTTP, clocks and 64 MiB of memory; no files, environment or sockets. What this host cannot do: choose
where HTTP goes. wasmtime-py has no hook for it, so the component reaches whatever this process reaches: confine the
process with a network policy, or run a component that you trust. Nor does it break off a poll that never ends.
"""
import argparse, json, os, signal, sys, time
from collections import Counter
from pathlib import Path
from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

INTERFACE = "pipeline:source/source@0.1.0"
RETRY_AFTER, PATIENCE = 30, 300  # seconds


def load(path):
    """A function that calls the component: call("poll", state). Its records have kebab-case attributes, see vars()."""
    engine = Engine()
    store, linker = Store(engine), Linker(engine)
    store.set_limits(memory_size=64 << 20)
    store.set_wasi(WasiConfig())
    store.set_wasi_http()
    linker.add_wasip2()
    linker.add_wasi_http()
    try:
        instance = linker.instantiate(store, Component.from_file(engine, path))
    except (OSError, WasmtimeError) as error:
        mistake(f"{path}: cannot load the component: {error}")
    interface = instance.get_export_index(store, INTERFACE) or mistake(f"{path}: does not export {INTERFACE}")
    export = lambda name: instance.get_func(store, instance.get_export_index(store, name, interface))
    return lambda name, *values: export(name)(store, *values)


def resolve(value, folder, path=""):
    """The configuration with a text in place of each {"file": ...} and {"env": ...}. A name that leads nowhere is not
    shown: it may be the secret itself."""
    match value:
        case {"file": str(name)} if len(value) == 1:
            return read(folder / name, path, "the file that it names").rstrip("\r\n")
        case {"env": str(name)} if len(value) == 1:
            return os.environ.get(name) or mistake(f"{path}: the environment variable that it names is not set")
        case dict():
            return {key: resolve(item, folder, f"{path}.{key}".lstrip(".")) for key, item in value.items()}
        case list():
            return [resolve(item, folder, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def read(path, what, shown=None):
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        mistake(f"{what}: cannot read {shown or path}: {getattr(error, 'strerror', None) or 'not UTF-8'}")


def mistake(*lines):
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(2)


def words(problem):
    where, hint = problem.path or problem.stream, problem.hint
    return f"{problem.kind}: " + (f"{where}: " if where else "") + problem.message + (f" ({hint})" if hint else "")


def open_output(path):
    """The file to append to. A last line without an end was torn when a run was killed; its batch was not acknowledged
    and comes again, so the line is cut off."""
    out = open(path, "a+b")
    start = end = out.seek(0, os.SEEK_END)
    while start and (out.seek(start - 1), out.read(1))[1] != b"\n":
        start -= 1
    if start < end and (out.seek(start), out.read(1))[1] != b"{":
        mistake(f"{path}: does not end with a line of events; choose another file or move it away")
    if start < end:
        out.truncate(start)
    return out


def save(path, state):
    """Replaces the file as a whole or not at all."""
    beside = path.with_name(path.name + ".tmp")
    with open(beside, "wb") as file:
        file.write(state.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def run(call, args, state, out, stop, total):
    """Polls until stopped or caught up, and returns the exit status."""
    progress = time.monotonic()
    while not stop:
        answer = call("poll", state)
        ok, result = answer.tag == "ok", answer.payload
        problems = result.problems if ok else [result.problem]
        for problem in problems:
            print(words(problem), file=sys.stderr)
        kinds = {problem.kind for problem in problems}
        if ok:
            out.write("".join(event + "\n" for event in result.events).encode())
            out.flush()
            if args.output:
                os.fsync(out.fileno())
            stats = vars(result.stats)
            total.update(events=len(result.events), files=stats["files-completed"], requests=stats["requests"])
            if result.events or stats["bytes-read"] or stats["files-completed"]:
                progress = time.monotonic()
            caught_up = not kinds - {"data"} and not stats["backlog-files"]
            wait = getattr(result, "next-poll-ms") / 1000
        else:
            if kinds & {"config", "state"}:
                return 2
            caught_up = False
            wait = (getattr(result.problem, "retry-after-ms") or RETRY_AFTER * 1000) / 1000
        if result.state is not None and result.state != state:
            state = result.state
            if args.state:
                save(args.state, state)
        if args.until_caught_up and wait:
            if caught_up:
                return 0
            if (not ok or kinds - {"data"}) and not kinds & {"transient", "rate-limited"}:
                return 1
            if time.monotonic() - progress + wait > PATIENCE:
                print(f"given up: no progress, and the next attempt is {wait:.0f} s away", file=sys.stderr)
                return 1
        until = time.monotonic() + wait
        while not stop and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
    return 0


def main():
    parser = argparse.ArgumentParser(description="Runs a log source component and writes its events as NDJSON.")
    parser.add_argument("component", help="the component, a .wasm file")
    parser.add_argument("config", type=Path, nargs="?", help="its configuration, a JSON file")
    parser.add_argument("--state", type=Path, metavar="FILE", help="remembers how far collection has come")
    parser.add_argument("--output", type=Path, metavar="FILE", help="takes the events, instead of standard output")
    parser.add_argument("--until-caught-up", action="store_true", help="end when nothing is left to read")
    parser.add_argument("--describe", action="store_true", help="print name, version and streams as JSON")
    args = parser.parse_args()
    call = load(args.component)
    if args.describe:
        about = vars(call("describe"))
        about["streams"] = [vars(stream) for stream in about["streams"]]
        return print(json.dumps({key: about[key] for key in ("name", "version", "streams")}, indent=2))
    if args.config is None:
        parser.error("CONFIG is missing")
    try:
        config = json.loads(read(args.config, "CONFIG"))
    except ValueError as error:
        mistake(f"{args.config}: {error}")
    grants = call("configure", json.dumps(resolve(config, args.config.parent)))
    if isinstance(grants, list):  # not the grants but the problems: their Python types differ, so neither is tagged
        mistake(*map(words, grants))
    for warning in grants.warnings:
        print(words(warning), file=sys.stderr)
    state = read(args.state, "--state") if args.state and args.state.exists() else None
    out = open_output(args.output) if args.output else sys.stdout.buffer
    stop, total = [], Counter()

    def stopping(number, _):  # ends after this batch; a second signal ends at once, which loses nothing
        stop.append(number)
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopping)
    try:
        return run(call, args, state, out, stop, total)
    except BrokenPipeError:  # the reader of standard output has gone, as in `collect.py ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        print("{events} events from {files} files in {requests} requests".format_map(total), file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"error: {error}")
    except WasmtimeError as error:
        sys.exit(f"error: the component crashed, perhaps at the limit of its memory: {error}")
