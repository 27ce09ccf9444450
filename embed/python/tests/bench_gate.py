"""What the gate before HTTP costs: processor time of 2,000 requests to loopback, with it and without.

    embed/python/.venv/bin/python embed/python/tests/bench_gate.py dist/hostile-source.wasm
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pipeline_source import Component, Source

REQUESTS = 2_000


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


def milliseconds(component: Component, config: str) -> float:
    with Source(component, config) as source:
        begin = time.process_time()
        assert next(iter(source)).state == f"done {REQUESTS}"
        return (time.process_time() - begin) / REQUESTS * 1000


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    component = Component(sys.argv[1])
    config = json.dumps(
        {"do": "many-requests", "authority": f"127.0.0.1:{server.server_port}"}, separators=(",", ":")
    )
    gated = [milliseconds(component, config) for _ in range(3)]
    # Linked to wasmtime's own HTTP, as if there were no gate.
    component._imports.clear()
    open_ = [milliseconds(component, config) for _ in range(3)]
    print(f"ms a request, server included: {min(gated):.2f} with the gate, {min(open_):.2f} without")


if __name__ == "__main__":
    main()
