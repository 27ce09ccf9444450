"""Files that are no source."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import Config, Engine, WasmtimeError, wat2wasm
from wasmtime.component import Component as Compiled

from pipeline_source import Component, ComponentCrashed, Limits, NotASource, SourceError, UnsupportedWasmtime
from pipeline_source.component import Instance, _why_not_compiled, require_http
from pipeline_source.egress import Gate


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(NotASource) as refused:
        Component(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it.wasm"


def test_a_file_that_is_missing_or_no_file(path: Path) -> None:
    with pytest.raises(NotASource, match="No such file"):
        Component(path)
    with pytest.raises(NotASource, match="not a file"):
        Component(path.parent)


def test_something_else(path: Path) -> None:
    assert "not a WebAssembly component" in refusal(path, b"")
    # What wasmtime would read as the text form of a component.
    assert "not a WebAssembly component" in refusal(path, b"(component)")


def test_a_core_module(path: Path) -> None:
    assert "core WebAssembly module" in refusal(path, b"\0asm\x01\0\0\0")


def test_a_component_that_is_no_source(path: Path) -> None:
    assert "does not export pipeline:source/source" in refusal(path, b"\0asm\x0d\0\x01\0")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_component_cut_off(path: Path, hostile_path: Path, share: float) -> None:
    content = hostile_path.read_bytes()
    assert "damaged or cut off" in refusal(path, content[: int(len(content) * share)])


def test_a_component_of_another_version_of_the_contract(path: Path, hostile_path: Path) -> None:
    content = hostile_path.read_bytes().replace(b"pipeline:source/source@0.1.0", b"pipeline:source/source@0.2.0")
    said = refusal(path, content)
    assert "version 0.2.0 of the contract" in said and "0.1.x" in said


def test_a_later_patch_of_the_contract_is_taken(path: Path, hostile_path: Path) -> None:
    path.write_bytes(
        hostile_path.read_bytes().replace(b"pipeline:source/source@0.1.0", b"pipeline:source/source@0.1.9")
    )
    assert Component(path).describe().name == "hostile"


@pytest.mark.parametrize("wanted", ["wasi:io/files@0.2.0", "wasi:io/error@0.3.0", "wasi:io/err@0.2.0-a"])
def test_a_component_that_wants_more_than_a_source_gets(path: Path, hostile_path: Path, wanted: str) -> None:
    content = hostile_path.read_bytes().replace(b"wasi:io/error@0.2.0", wanted.encode())
    assert f"wants {wanted}, and" in refusal(path, content)


def test_a_wasmtime_without_http_is_named() -> None:
    with pytest.raises(UnsupportedWasmtime, match="has no wasi:http") as refused:
        require_http(object)
    assert refused.value.hint and isinstance(refused.value, SourceError)


def test_a_wasmtime_without_vectors_is_told(hostile_path: Path) -> None:
    config = Config()
    config.wasm_simd = config.wasm_relaxed_simd = False
    with pytest.raises(WasmtimeError) as refused:
        Compiled(Engine(config), hostile_path.read_bytes())
    said = _why_not_compiled(str(refused.value))
    assert said.startswith("it needs vectors of 128 bits (SIMD), and this wasmtime has them switched off")


def with_memories(path: Path, number: int) -> Component:
    """A component with so many memories."""
    names = ("describe", "configure", "check", "poll", "suspend", "resume", "confine", "is-complete")
    path.write_bytes(
        wat2wasm(
            '(component (core module $m (memory 1) (func (export "f")))'
            + "".join(f"(core instance $m{nth} (instantiate $m))" for nth in range(number))
            + '(func $f (canon lift (core func $m0 "f")))'
            + f'(instance $source {"".join(f"""(export "{name}" (func $f))""" for name in names)})'
            + '(export "pipeline:source/source@0.1.0" (instance $source)))'
        )
    )
    return Component(path)


def test_a_component_has_one_memory_so_that_its_limit_is_one_figure(path: Path) -> None:
    Instance(with_memories(path, 1), Limits(), Gate([])).close()
    with pytest.raises(ComponentCrashed, match="memory count"):
        Instance(with_memories(path, 2), Limits(), Gate([]))
