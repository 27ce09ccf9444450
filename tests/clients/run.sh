#!/usr/bin/env bash
# Runs each client of this folder against a simulated org of its own: run.sh <simulator> <name> <command>...
set -euo pipefail

simulator=$1 name=$2
shift 2
folder=$(mktemp -d)
"$simulator" --hours 30 --rows 3000 --page-size 7 --key-file "$folder/key.pem" > "$folder/line" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT

# The start line is there once the org listens; it takes a second or two to make a key.
for _ in $(seq 300); do
	[ -s "$folder/line" ] && break
	kill -0 "$pid" 2>/dev/null || { echo "FAIL  $name: the simulator did not start"; exit 1; }
	sleep 0.1
done

if ! "$@" "$(cat "$folder/line")"; then
	echo "FAIL  $name"
	exit 1
fi
