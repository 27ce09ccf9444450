"""What it costs a Python host to take 1,000 events of 1,899 bytes from a component: as a list, and as one text that it cuts.

    embed/python/.venv/bin/python tests/bench/border/border.py

It also leaves the component of border.wat as dist/border.wasm, for border.mjs.
"""

from pathlib import Path
from statistics import median
from time import perf_counter

import wasmtime
from wasmtime import component

here = Path(__file__).parent
wasm = wasmtime.wat2wasm((here / "border.wat").read_text())
(here.parents[2] / "dist" / "border.wasm").write_bytes(wasm)

engine = wasmtime.Engine()
store = wasmtime.Store(engine)
instance = component.Linker(engine).instantiate(store, component.Component(engine, bytes(wasm)))


def call(name):
    function = instance.get_func(store, name)
    result = function(store)
    function.post_return(store)
    return result


WAYS = {"a list": lambda: call("list"), "one text": lambda: call("text").split("\n")}
times = {what: [] for what in WAYS}
assert call("list") == call("text").split("\n")[:-1]
for _ in range(101):
    for what, take in WAYS.items():
        start = perf_counter()
        take()
        times[what].append(perf_counter() - start)
for what, all_of_it in times.items():
    print(f"Python, {what}: {median(all_of_it) * 1e3:.2f} µs an event, {min(all_of_it) * 1e3:.2f} at best")
