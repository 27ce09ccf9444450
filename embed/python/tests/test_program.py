"""The program, `python -m pipeline_source`, and the example `collect.py`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, StartOrg

Run = Callable[..., subprocess.CompletedProcess[str]]
COLLECT = ROOT / "embed/python/collect.py"


def command(cache: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipeline_source", "--cache", str(cache), *map(str, arguments)]


@pytest.fixture
def run(cache: Path) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(cache, *arguments), capture_output=True, text=True)

    return run


def delivered(path: Path) -> Counter[str]:
    return Counter(json.loads(line)["event"]["id"] for line in path.read_text().splitlines())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_of_source_host_is_collected(component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run) -> None:
    org = start_org()
    toml = org.toml_file(tmp_path, component_path)
    ended = run(toml, "--until-caught-up")
    assert ended.returncode == 0, ended.stderr
    assert delivered(tmp_path / "events.ndjson") == org.truth()
    assert f"{org.truth().total()} events from" in ended.stderr and ended.stdout == ""
    assert (tmp_path / "events.ndjson").stat().st_mode & 0o777 == 0o600
    # A second run has nothing to do.
    again = run(toml, "--until-caught-up")
    assert again.returncode == 0 and again.stderr.startswith("0 events"), again.stderr
    checked = run(toml, "--check")
    assert checked.returncode == 0 and "pass  sign-in" in checked.stdout


def test_json_with_options_is_collected(component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run) -> None:
    org = start_org()
    config = tmp_path / "config.json"
    config.write_text(json.dumps(org.config()))
    ended = run("--component", component_path, config, "--until-caught-up", "--allow", org.authority)
    assert ended.returncode == 0, ended.stderr
    assert Counter(json.loads(line)["event"]["id"] for line in ended.stdout.splitlines()) == org.truth()


def test_the_example_does_the_same(component_path: Path, start_org: StartOrg, tmp_path: Path) -> None:
    org = start_org()
    config = tmp_path / "config.json"
    config.write_text(json.dumps(org.config()))
    output, state = tmp_path / "events.ndjson", tmp_path / "state.json"
    arguments: list[str | Path] = [COLLECT, component_path, config, "--state", state, "--output", output, "--until-caught-up"]
    for _ in range(2):
        ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert delivered(output) == org.truth()


def test_killed_at_any_moment_it_loses_nothing(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run, cache: Path
) -> None:
    org = start_org("--hours", "3", "--rows", "3000")
    toml, output = org.toml_file(tmp_path, component_path, max_events=20), tmp_path / "events.ndjson"
    kills, size = 0, 0
    while kills < 5:
        process = subprocess.Popen(command(cache, toml, "--until-caught-up"), stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or (output.exists() and output.stat().st_size > size + 20_000))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            break
        kills, size = kills + 1, output.stat().st_size
    assert kills == 5
    ended = run(toml, "--until-caught-up")
    assert ended.returncode == 0, ended.stderr
    found = delivered(output)
    assert found.keys() == org.truth().keys() and found >= org.truth()
    # What came twice is the same to the byte.
    assert len(set(output.read_text().splitlines())) == len(found)


def test_a_signal_ends_it_after_the_batch_at_hand(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run, cache: Path
) -> None:
    org = start_org()
    toml, output = org.toml_file(tmp_path, component_path), tmp_path / "events.ndjson"
    process = subprocess.Popen(command(cache, toml), stderr=subprocess.PIPE, text=True)
    until(lambda: output.exists() and output.stat().st_size > 0)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and "events from" in said
    assert run(toml, "--until-caught-up").returncode == 0
    assert delivered(output) == org.truth()


def test_a_second_run_with_the_same_state_is_refused(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run, cache: Path
) -> None:
    toml = start_org().toml_file(tmp_path, component_path)
    process = subprocess.Popen(command(cache, toml), stderr=subprocess.DEVNULL)
    until((tmp_path / "events.ndjson").exists)
    ended = run(toml, "--until-caught-up")
    process.terminate()
    assert process.wait() == 0
    assert ended.returncode == 2 and "in use by another process" in ended.stderr


def test_refused_credentials_end_a_run_until_caught_up_with_status_1(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run
) -> None:
    org = start_org("--obstacle", "user-not-approved")
    toml = org.toml_file(tmp_path, component_path)
    ended = run(toml, "--until-caught-up")
    assert ended.returncode == 1 and "\nauth: sign-in failed" in ended.stderr, ended.stderr
    assert run(toml, "--check").returncode == 1


@pytest.mark.parametrize(
    "document",
    [
        '{"auth": {"client_secret": {"file": "c4n4ry"}}}',
        '{"auth": {"client_secret": {"env": "c4n4ry"}}}',
        '{"auth": {"client_secret": {"file": "c4n4ry\\u0000"}}}',
        '{"auth": {"client_secret": {"env": "c4n4ry\\u0000"}}}',
        '{"auth": {"client_secret": "c4n4ry" "x"}}',
        '{"auth": {"client_secret": c4n4ry}}',
        '{"auth": {"client_secret": {"file": "c4n4ry", "env": "c4n4ry"}}}',
        '["c4n4ry"]',
    ],
    ids=range(8),
)
def test_no_secret_is_repeated_that_stands_in_the_place_of_its_name(
    component_path: Path, tmp_path: Path, run: Run, document: str
) -> None:
    config = tmp_path / "config.json"
    config.write_text(document)
    by_example = subprocess.run([sys.executable, COLLECT, component_path, config], capture_output=True, text=True)
    for ended in (run("--component", component_path, config), by_example):
        assert ended.returncode == 2, ended.stderr
        assert "c4n4ry" not in ended.stderr and len(ended.stderr) > 20, ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "lines",
    [
        'client_secret = { file = "c4n4ry" }',
        'client_secret = { env = "c4n4ry" }',
        "client_secret = c4n4ry",
        'client_secret = "c4n4ry" "x"',
        'client_secret = "c4n4ry',
        '"c4n4ry',
    ],
    ids=range(6),
)
def test_nor_in_toml(component_path: Path, tmp_path: Path, run: Run, lines: str) -> None:
    toml = tmp_path / "acme.toml"
    toml.write_text(f'component = "{component_path}"\nstate.path = "state.json"\n[source.auth]\n{lines}\n')
    ended = run(toml)
    assert ended.returncode == 2 and "c4n4ry" not in ended.stderr and len(ended.stderr) > 20, ended.stderr


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path: Path, run: Run) -> None:
    toml = tmp_path / "acme.toml"
    toml.write_text(
        """
component = "missing.wasm"
sauce = 1
[state]
pth = "x"
[output]
kind = "http"
url = "https://example.com"
[egress]
allow = ["*.com", "https://x.example.com"]
private = {}
[limits]
memory = "64MB"
call_time = 3
[admission]
digest = "sha256:00"
"""
    )
    ended = run(toml)
    assert ended.returncode == 2
    for part in (
        "sauce: there is no such key; did you mean `source`?",
        "state.pth: there is no such key; did you mean `path`?",
        "state.path: is missing",
        "output.kind: the Python host has",
        "output.url: this is for source-host",
        "egress.allow[0]: ",
        "egress.allow[1]: ",
        "egress.private: this is for source-host",
        "limits.memory: a size is expected",
        "limits.call_time: a time is expected",
        "admission: this is for source-host",
    ):
        assert part in ended.stderr, (part, ended.stderr)


def test_what_is_not_allowed_is_said_as_it_stands_in_the_file(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run
) -> None:
    toml = start_org().toml_file(tmp_path, component_path)
    toml.write_text(toml.read_text().partition("[egress]")[0])
    ended = run(toml)
    assert ended.returncode == 2 and ended.stderr.startswith("egress.allow: does not allow"), ended.stderr


def test_a_file_without_a_state_is_refused(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run
) -> None:
    toml = start_org().toml_file(tmp_path, component_path)
    toml.write_text(toml.read_text().replace('[state]\npath = "state.json"', ""))
    ended = run(toml)
    assert ended.returncode == 2 and "says not where the state lies" in ended.stderr, ended.stderr
    assert run(toml, "--check").returncode == 0


def test_a_mistake_in_the_source_is_named_with_its_path_in_the_file(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run
) -> None:
    toml = start_org().toml_file(tmp_path, component_path)
    toml.write_text(toml.read_text().replace("client_id", "client_idd"))
    ended = run(toml)
    assert ended.returncode == 2 and "source.auth.client_idd: " in ended.stderr, ended.stderr


def test_describe_prints_name_version_and_streams(component_path: Path, run: Run) -> None:
    about: dict[str, Any] = json.loads(run("--component", component_path, "--describe").stdout)
    assert about.keys() == {"name", "version", "streams"} and about["streams"][0]["summary"]


def test_help_teaches_the_file_and_the_status(run: Run) -> None:
    ended = run("--help")
    assert ended.returncode == 0
    for part in ("component = ", "[egress]", "--until-caught-up", "Exit status: 0 done"):
        assert part in ended.stdout


def test_what_is_missing_is_said(component_path: Path, run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    for arguments in (
        (),
        ("--component", component_path),
        (missing.with_suffix(".toml"),),
        ("--component", component_path, missing),
    ):
        ended = run(*arguments)
        assert ended.returncode == 2 and "Traceback" not in ended.stderr and ended.stderr, arguments


def test_a_torn_line_is_cut_off_and_anything_else_is_left_alone(
    component_path: Path, start_org: StartOrg, tmp_path: Path, run: Run
) -> None:
    org = start_org()
    toml, output = org.toml_file(tmp_path, component_path), tmp_path / "events.ndjson"
    output.write_text('{"event":{"id":"before"}}\n{"event":{"id":"to')
    assert run(toml, "--until-caught-up").returncode == 0
    assert delivered(output) == org.truth() + Counter(["before"])
    output.write_text("a letter")
    ended = run(toml, "--until-caught-up")
    assert ended.returncode == 2 and "does not end with a line of events" in ended.stderr
    assert output.read_text() == "a letter"
