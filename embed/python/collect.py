#!/usr/bin/env python3
"""A host in one file: polls a log source component, writes its events as NDJSON, keeps its state.

An example of the package beside it to start your own host from. It ends at the first failure that somebody must act on;
`python -m pipeline_source` goes on and does more. Exit status: 0 done, 1 something failed, 2 a mistake in what was given.
"""

import argparse
import dataclasses
import json
import logging
import sys
from contextlib import ExitStack
from pathlib import Path

from pipeline_source import (
    Component,
    ConfigurationError,
    EventFile,
    NotASource,
    Source,
    SourceError,
    StateError,
    StateFile,
    StopOnSignal,
    read_config,
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs a log source component and writes its events as NDJSON.")
    parser.add_argument("component", help="the component, a .wasm file")
    parser.add_argument("config", type=Path, nargs="?", help="its configuration, a JSON file")
    parser.add_argument("--state", type=Path, metavar="FILE", help="remembers how far collection has come")
    parser.add_argument("--output", type=Path, metavar="FILE", help="takes the events, instead of standard output")
    parser.add_argument("--allow", action="append", metavar="HOST", help="may be contacted (default: what CONFIG needs)")
    parser.add_argument("--until-caught-up", action="store_true", help="end when nothing is left to read")
    parser.add_argument("--describe", action="store_true", help="print name, version and streams as JSON")
    args = parser.parse_args()
    component = Component(args.component)
    if args.describe:
        about = dataclasses.asdict(component.describe())
        print(json.dumps({key: about[key] for key in ("name", "version", "streams")}, indent=2))
        return 0
    if args.config is None:
        parser.error("CONFIG is missing")
    with ExitStack() as stack:
        state = stack.enter_context(StateFile(args.state, tenant=args.config.stem)) if args.state else None
        output = stack.enter_context(EventFile(args.output)) if args.output else None
        source = Source(
            component,
            read_config(args.config),
            folder=args.config.parent,
            state=state,
            allow=args.allow,
            until_caught_up=args.until_caught_up,
            stop=stack.enter_context(StopOnSignal()),
        )
        for batch in stack.enter_context(source):
            if output:
                output.append(batch.lines)
            else:
                sys.stdout.buffer.write("".join(line + "\n" for line in batch.lines).encode())
                sys.stdout.flush()
            batch.ack()
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    try:
        sys.exit(main())
    except (ConfigurationError, NotASource, StateError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (OSError, ValueError, SourceError) as error:
        sys.exit(f"error: {error}")
