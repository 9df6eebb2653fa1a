# tally.sh - sourced by the runners: count, report, and add to $TALLY
#
# tally NAME PASSED FAILED SKIPPED prints one line and, when the variable
# TALLY names a file, appends it there for check.sh to add up.

tally()
{
	printf '%-10s %d passed, %d failed, %d skipped\n' "$1" "$2" "$3" "$4"
	if [ -n "${TALLY:-}" ]; then
		echo "$2 $3 $4" >> "$TALLY"
	fi
	[ "$3" -eq 0 ]
}
