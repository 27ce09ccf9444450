"""What is left of a write that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline_source.output import EventFile


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
