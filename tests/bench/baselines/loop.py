"""A baseline: CSV rows to JSON lines as a short script does it, with the standard library alone."""

import csv
import gzip
import json
import os
import sys
import time


def open_log(path):
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8", newline="", buffering=1 << 16)


def main(path):
    rows = bytes_out = 0
    encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
    with open_log(path) as log, open(os.devnull, "wb", buffering=1 << 16) as out:
        reader = csv.reader(log)
        header = next(reader)
        for row in reader:
            bytes_out += out.write(encode(dict(zip(header, row))).encode())
            out.write(b"\n")
            rows += 1
    return rows, bytes_out


if __name__ == "__main__":
    wall, cpu = time.perf_counter(), time.process_time()
    rows, bytes_out = main(sys.argv[1])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"rows": rows, "bytes_out": bytes_out, "cpu_seconds": cpu, "wall_seconds": wall}))
