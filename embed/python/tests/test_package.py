"""The package as others install it: as a wheel, and not from its folder."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from .conftest import ROOT

PACKAGE = ROOT / "embed/python"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None:
        pytest.skip(
            "pip and hatchling are not both here, so that no wheel can be built without a network: pip install "
            "--editable 'embed/python[test]'"
        )
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", place, PACKAGE)
    [made] = place.iterdir()
    return made


OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_wheel_has_all_that_the_package_has_and_no_more(wheel: Path) -> None:
    with ZipFile(wheel) as file:
        inside = {name for name in file.namelist() if ".dist-info/" not in name}
        gate = file.read("pipeline_source/gate.wat")
    source = PACKAGE / "src/pipeline_source"
    assert inside == {f"pipeline_source/{path.name}" for path in source.iterdir() if path.is_file()}
    assert {"pipeline_source/gate.wat", "pipeline_source/py.typed"} <= inside
    assert gate == (source / "gate.wat").read_bytes()


def test_what_was_installed_from_it_runs_a_component(wheel: Path, tmp_path: Path, hostile_path: Path) -> None:
    place = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", place)
    python = place / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", *OFFLINE, wheel)
    # What it depends on is taken from here: no network is asked. An editable package is not found that way.
    [packages] = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    lies = run(python, "-I", "-c", "import pipeline_source; print(pipeline_source.__file__)").strip()
    assert Path(lies).is_relative_to(place)
    described = run(place / "bin/pipeline-source", "--component", hostile_path, "--describe")
    assert json.loads(described)["name"] == "hostile"
