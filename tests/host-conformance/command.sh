#!/bin/sh
# A host made of a command: holds the lock of the state, and starts the command again when it ends with something that may pass.
# What a supervisor does of a command with --follow, in the fewest words; docs/command.md tells why each line is there.
set -u
runner=$1 command=$2 config=$3 state=$4 output=$5 allow=$6
folder=$(dirname "$state")
exec 9>"$state.lock"
# A command whose supervisor was killed has the lock until it has ended itself.
flock -w 5 9 || { echo "the state $state is in use by another host"; exit 2; }
trap 'kill "$child" 2>/dev/null; wait "$child"; exit 0' TERM
while :; do
	setpriv --pdeathsig KILL "$runner" run -S http --dir "$folder::/data" "$command" --follow --quiet \
		--state "/data/$(basename "$state")" --output "/data/$(basename "$output")" --allow "$allow" \
		"/data/$(basename "$config")" &
	child=$!
	wait "$child"
	[ $? -eq 2 ] && exit 2
	sleep 1
done
