#!/bin/sh
# run-unit.sh PROGRAM... - runs cmocka programs; shows only what failed.

. "$(dirname "$0")/tally.sh"
export ASAN_OPTIONS=detect_stack_use_after_return=1:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0 skipped=0

for prog in "$@"; do
	timeout 180 "$prog" > "$out" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$out")
	bad=$(grep -c '^\[  FAILED  \] [A-Za-z_]' "$out")
	skip=$(grep -c '^\[  SKIPPED \]' "$out")
	# A crash, a sanitizer report or no test at all is a failure too.
	if [ $status -ne 0 ] && [ "$bad" -eq 0 ] || [ "$ok$bad$skip" = 000 ]; then
		bad=1
	fi
	if [ "$bad" -ne 0 ]; then
		echo "FAILED $prog (exit $status)"
		grep -v '^\[       OK \]\|^\[ RUN' "$out" | tail -40
	fi
	if [ "$skip" -ne 0 ]; then
		echo "skipped in $prog:"
		grep '^\[  SKIPPED \]' "$out"
	fi
	passed=$((passed + ok)) failed=$((failed + bad))
	skipped=$((skipped + skip))
done
tally unit $passed $failed $skipped
