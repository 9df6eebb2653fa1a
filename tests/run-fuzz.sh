#!/bin/sh
# run-fuzz.sh SECONDS TARGET... - fuzzes each target, or with 0 seconds only
# replays its corpus.  New inputs go to build/fuzz/found/, what crashes stays
# in build/fuzz/crash-*.

. "$(dirname "$0")/tally.sh"
seconds=$1
shift
corpora=$(dirname "$0")/fuzz/corpus
passed=0 failed=0
limits="-rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=5 -max_len=65507"
export ASAN_OPTIONS=detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1

for target in "$@"; do
	name=$(basename "$target" | sed s/^fuzz_//)
	found=build/fuzz/found/$name
	mkdir -p "$found"
	seeds=
	[ -d "$corpora/$name" ] && seeds=$corpora/$name
	if [ "$seconds" -eq 0 ]; then
		set -- -runs=0
	else
		set -- -max_total_time="$seconds" -print_final_stats=1
	fi
	log=build/fuzz/$name.log
	# shellcheck disable=SC2086
	if "$target" $limits "$@" -artifact_prefix="build/fuzz/crash-$name-" \
	    "$found" $seeds > "$log" 2>&1; then
		passed=$((passed + 1))
		[ "$seconds" -eq 0 ] || printf '%-12s %s\n' "$name" \
		    "$(grep -h 'number_of_executed_units\|new_units_added' \
		    "$log" | sed 's/stat:://; s/  */ /' | tr '\n' ' ')"
	else
		failed=$((failed + 1))
		echo "FAILED $target"
		tail -40 "$log"
	fi
done
tally fuzz $passed $failed 0
