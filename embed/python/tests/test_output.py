"""What is left of a write that fails, and who else may write."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from pipeline_source.output import EventFile

from .conftest import StartOrg


def test_a_write_that_fails_half_way_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    write = os.write

    def full(file: int, data: memoryview) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(file, data[:10])

    with EventFile(path) as events:
        events.append(['{"a":1}'])
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(OSError, match="No space"):
                events.append(['{"a":"2222222"}'])
        events.append(['{"a":3}'])
    assert path.read_text() == '{"a":1}\n{"a":3}\n'


def test_of_two_that_are_to_write_to_one_file_the_second_is_refused_by_whichever_path(tmp_path: Path) -> None:
    path, link, folder = tmp_path / "events.jsonl", tmp_path / "link", tmp_path / "folder"
    link.symlink_to(path)
    folder.symlink_to(tmp_path)
    # Also where the link led nowhere when the first came.
    for first, second in ((link, path), (path, link), (path, folder / path.name)):
        with EventFile(first):
            for _ in range(2):
                with pytest.raises(ValueError, match="another process writes to it"):
                    EventFile(second)
        EventFile(second).close()


@pytest.mark.parametrize("is_begun_anew", [True, False])
def test_a_file_that_was_rotated_before_it_held_the_lock_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_begun_anew: bool
) -> None:
    path, rotated, link = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1", tmp_path / "link"
    path.write_text('{"a":1}\n')
    link.symlink_to(path)
    flock = fcntl.flock

    def rotate_and_let_go(lock: int, how: int) -> None:
        """As a host does that has the lock until now."""
        path.rename(rotated)
        if is_begun_anew:
            path.write_text('{"a":2}\n')
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", rotate_and_let_go)
    with EventFile(link) as events:
        events.append(['{"a":3}'])
    assert rotated.read_text() == '{"a":1}\n'
    assert path.read_text() == ('{"a":2}\n' if is_begun_anew else "") + '{"a":3}\n'


def test_a_file_that_is_rotated_between_two_batches_is_whole_and_so_is_the_next(tmp_path: Path) -> None:
    path, rotated, link = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1", tmp_path / "link"
    link.symlink_to(path)
    with EventFile(link) as events:
        events.append(['{"a":1}'])
        path.rename(rotated)
        events.append(['{"a":2}'])
        # Or taken away, with another one in its place.
        path.unlink()
        path.write_text('{"a":3}\n{"torn')
        events.append(['{"a":4}'])
        with pytest.raises(ValueError, match="another process writes to it"):
            EventFile(path)
    assert (rotated.read_text(), path.read_text()) == ('{"a":1}\n', '{"a":3}\n{"a":4}\n')


def test_the_folder_of_a_new_file_is_synced_wherever_the_path_to_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    path = folder / "events.jsonl"
    folder.mkdir()
    link.symlink_to(path)
    synced: list[os.stat_result] = []

    def sync(file: int) -> None:
        assert path.exists()
        synced.append(os.fstat(file))

    monkeypatch.setattr(os, "fsync", sync)
    EventFile(link).close()
    assert any(os.path.samestat(one, folder.stat()) for one in synced)


def test_it_and_source_host_exclude_each_other(
    component_path: Path, source_host: Path, start_org: StartOrg, tmp_path: Path
) -> None:
    toml, path, link = start_org().toml_file(tmp_path, component_path), tmp_path / "events.ndjson", tmp_path / "link"
    link.symlink_to(path)
    command: list[str | Path] = [source_host, "--quiet", "run", toml]
    with EventFile(path):
        refused = subprocess.run([*command, "--until-caught-up"], capture_output=True, text=True, timeout=60)
        assert refused.returncode != 0 and "is in use by another host" in refused.stderr, refused.stderr
    process = subprocess.Popen(command)
    try:
        until = time.monotonic() + 60
        while not path.exists() or not path.stat().st_size:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        before = path.read_bytes()
        for name in (path, link):
            with pytest.raises(ValueError, match="another process writes to it"):
                EventFile(name)
        assert path.read_bytes().startswith(before)
    finally:
        process.terminate()
        process.wait()
    EventFile(path).close()
