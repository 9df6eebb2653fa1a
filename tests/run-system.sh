#!/bin/sh
# run-system.sh BUILD [PYTEST ARGUMENT...] - tests with the real daemon of
# BUILD and real peers, in network namespaces.  Test files that are not there
# are left out.  With AGAIN=1, up to three that failed get a second try, which
# the output shows: others may have been at work on the machine meanwhile.

. "$(dirname "$0")/tally.sh"
build=$1
shift
if [ "$(id -u)" -ne 0 ]; then
	echo "system tests make network namespaces: run this as root" >&2
	exit 1
fi
top=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
L2TPNS=$(cd "$build" && pwd)/l2tpns
export L2TPNS
[ $# -gt 0 ] || set -- -m "not long"

cd "$top/tests/system" || exit 1
for arg in "$@"; do
	shift
	case $arg in
	test_*.py) [ -e "$arg" ] || continue ;;
	esac
	set -- "$@" "$arg"
done
cache=$(mktemp -d)
trap 'rm -rf "$out" "$cache"' EXIT
run()
{
	/usr/bin/python3 -m pytest -o cache_dir="$cache" -rsf --tb=short "$@" \
	    2>&1 | tee "$out"
}
count()
{
	tail -1 "$out" | grep -o "[0-9]* $1" | grep -o '[0-9]*' || echo 0
}
run "$@"
failed=$(($(count failed) + $(count error)))
passed=$(count passed)
skipped=$(count skipped)
[ "$passed" -gt 0 ] || failed=$((failed + 1))
if [ "${AGAIN:-}" = 1 ] && [ "$failed" -gt 0 ] && [ "$failed" -le 3 ]; then
	echo "== $failed failed: once more"
	run --lf "$@"
	if [ "$(count passed)" -ge "$failed" ] &&
	    [ $(($(count failed) + $(count error))) -eq 0 ]; then
		passed=$((passed + failed))
		failed=0
	fi
fi
tally system "$passed" "$failed" "$skipped"
