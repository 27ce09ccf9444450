"""States in files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_source import Component, Source, StateError, StateFile, StateInUse
from pipeline_source.contract import Description

from .conftest import StartOrg


def described(name: str = "logs", version: str = "1.0.0") -> Description:
    return Description(name, version, "{}", ())


def opened(path: Path, tenant: str = "acme", name: str = "logs") -> StateFile:
    file = StateFile(path, tenant=tenant)
    file.bind(described(name), "sha256:00")
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.mark.parametrize("state", ["{}", "\n", "a\0b\r\n\n", "ü\U0010ffff", "x" * (1 << 20)])
def test_a_state_comes_out_as_it_went_in(path: Path, state: str) -> None:
    with opened(path) as file:
        assert file.load() is None
        file.save(state)
    with opened(path) as file:
        assert file.load() == state


def test_only_its_owner_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(path) as file:
            file.save("{}")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Path(f"{path}.lock").stat().st_mode & 0o777 == 0o600


def test_every_damaged_byte_is_noticed_and_nothing_is_overwritten(path: Path) -> None:
    with opened(path) as file:
        file.save('{"cursor": 17}')
    whole = path.read_bytes()
    damages = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    damages += [whole[:i] for i in range(len(whole))] + [whole + b" "]
    for damaged in damages:
        path.write_bytes(damaged)
        with opened(path) as file, pytest.raises(StateError, match="left as it is"):
            file.load()
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * ((1 << 20) + 1), "larger than 1 MiB")],
)
def test_what_is_no_state_is_refused(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with opened(path) as file, pytest.raises(StateError, match=why):
        file.load()


def test_the_state_of_somebody_else_is_refused(path: Path) -> None:
    with opened(path) as file:
        file.save("{}")
    with opened(path, tenant="other") as file, pytest.raises(StateError, match="tenant 'acme' and not for 'other'"):
        file.load()
    with opened(path, name="other") as file, pytest.raises(StateError, match="component 'logs' and not for 'other'"):
        file.load()


def test_a_plain_state_is_taken_over(path: Path) -> None:
    path.write_text("{}")
    with opened(path) as file:
        assert file.load() == "{}"
        assert path.read_text() == "{}"
        file.save("{}")
    assert path.read_bytes().startswith(b"\xffstate\xff1 ")


def test_a_second_process_is_refused(path: Path) -> None:
    code = f"from pipeline_source import StateFile; StateFile({str(path)!r}, tenant='acme')"

    def tries() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    with opened(path):
        ended = tries()
        assert ended.returncode == 1 and "StateInUse" in ended.stderr and "in use by another process" in ended.stderr
    assert tries().returncode == 0


def test_a_second_name_of_it_has_the_same_lock(path: Path, tmp_path: Path) -> None:
    with opened(path) as file:
        file.save("{}")
        (tmp_path / "link.json").symlink_to(path)
        with pytest.raises(StateInUse):
            opened(tmp_path / "link.json")


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere.json")
    with pytest.raises(StateError, match="a link that leads nowhere"):
        opened(tmp_path / "link.json")
    assert [file.name for file in tmp_path.iterdir()] == ["link.json"]


def test_a_lock_that_was_removed_ends_saving(path: Path) -> None:
    with opened(path) as file:
        Path(f"{path}.lock").unlink()
        with pytest.raises(StateError, match="removed or replaced"):
            file.save("{}")


@pytest.mark.parametrize("place", ["missing/state.json", "file/state.json"])
def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="create the folder") as refused:
        opened(tmp_path / place)
    assert refused.value.kind == "state"


def test_a_folder_that_cannot_be_written_to_is_said_at_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("root may write everywhere")
        with pytest.raises(StateError, match="give this user the right"):
            opened(tmp_path / "state.json")
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_disk_is_said_at_the_start() -> None:
    """The folder of processes takes no files, whoever asks."""
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc")
    with pytest.raises(StateError, match="cannot create the lock"):
        opened(Path("/proc/self/state.json"))


def test_a_save_that_fails_keeps_the_state_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with opened(path) as file:
        file.save("first")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StateError, match="make room"):
            file.save("second")
        monkeypatch.undo()
        assert file.load() == "first"
        file.save("third")
        assert file.load() == "third"
    assert not list(path.parent.glob("*.tmp"))


def test_it_is_the_file_of_source_host(
    component: Component, source_host: Path, start_org: StartOrg, tmp_path: Path
) -> None:
    """Either goes on where the other stopped."""
    org = start_org()
    toml = org.toml_file(tmp_path, component.path)
    state = tmp_path / "state.json"
    with StateFile(state, tenant="acme") as file, Source(component, org.config(max_events=50), state=file) as source:
        first = next(iter(source))
        first.ack()
    run_source_host: list[str | Path] = [source_host, "run", toml, "--until-caught-up", "-q"]
    subprocess.run(run_source_host, check=True, capture_output=True)
    lines = (tmp_path / "events.ndjson").read_text().splitlines()
    assert len(first.lines) + len(lines) == org.truth().total()
    assert not set(first.lines) & set(lines)
    with StateFile(state, tenant="acme") as file:
        with Source(component, org.config(), state=file, until_caught_up=True) as source:
            for batch in source:
                assert batch.lines == []
                batch.ack()
    subprocess.run(run_source_host, check=True, capture_output=True)
