#!/bin/sh
# run-replay.sh ENGINE SCRIPT... - runs scripted conversations.

. "$(dirname "$0")/tally.sh"
engine=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0

for script in "$@"; do
	if timeout 60 "$engine" "$script" > "$out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $script"
		tail -30 "$out"
	fi
done
tally replay $passed $failed 0
