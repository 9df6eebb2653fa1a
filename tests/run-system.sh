#!/bin/sh
# run-system.sh BUILD [PYTEST ARGUMENT...] - tests with the real daemon of
# BUILD and real peers, in network namespaces.  Test files that are not there
# are left out.

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
/usr/bin/python3 -m pytest -p no:cacheprovider -rsf --tb=short "$@" 2>&1 |
    tee "$out"
count()
{
	tail -1 "$out" | grep -o "[0-9]* $1" | grep -o '[0-9]*' || echo 0
}
failed=$(($(count failed) + $(count error)))
passed=$(count passed)
[ "$passed" -gt 0 ] || failed=$((failed + 1))
tally system "$passed" "$failed" "$(count skipped)"
