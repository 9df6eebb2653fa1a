#!/bin/sh
# check.sh [long] - everything: installs what is missing, builds with gcc and
# clang without a warning, runs all tests plain and under ASan and UBSan.
# The last line is `N passed, N failed, N skipped`.

cd "$(dirname "$0")/.." || exit 1
. tests/tally.sh
long=${1:-}
if [ "$(id -u)" -ne 0 ]; then
	echo "make check makes network namespaces: run it as root" >&2
	exit 1
fi
TALLY=$(mktemp)
export TALLY
trap 'rm -f "$TALLY"' EXIT
jobs=$(nproc)
san=SAN=address,undefined
# Real peers on a machine that others share: up to three system tests of a part
# that fail are run once more, and the output says so.
AGAIN=1
export AGAIN

step()
{
	echo "== $*"
}

# run NAME COMMAND... - one step that counts as one test
run()
{
	name=$1 log=$(mktemp)
	shift
	if "$@" > "$log" 2>&1; then
		tally "$name" 1 0 0
	else
		tail -60 "$log"
		tally "$name" 0 1 0
	fi
	rm -f "$log"
}

# part NAME COMMAND... - a runner that tallies; one that does not has failed
part()
{
	name=$1 mine=$(mktemp)
	shift
	TALLY=$mine "$@"
	[ -s "$mine" ] || TALLY=$mine tally "$name" 0 1 0
	cat "$mine" >> "$TALLY"
	rm -f "$mine"
}

step "packages"
tests/install-deps.sh || exit 1
step "build: gcc, clang, sanitizers; a warning is an error"
run gcc make -s -j"$jobs" all bench-tools CFLAGS=-Werror
run clang make -s -j"$jobs" all CC=clang CFLAGS=-Werror
run sanitized make -s -j"$jobs" all $san CFLAGS=-Werror
step "unit tests"
part unit make -s -j"$jobs" check-unit
part unit make -s -j"$jobs" check-unit $san
step "scripted conversations"
part replay make -s -j"$jobs" check-replay
part replay make -s -j"$jobs" check-replay $san
step "fuzz corpora"
if [ -n "$long" ]; then
	part fuzz make -s -j"$jobs" fuzz TIME="${TIME:-600}"
else
	part fuzz make -s -j"$jobs" check-fuzz
fi
step "installation and documents"
run install tests/install-test.sh

# What measures has the machine to itself, and the daemon as it is shipped.
# The rest runs sanitized, beside the guest, which is slow but patient; the
# long run has everything both ways.
guest=test_guest.py
measured="test_scale.py test_lossy.py test_limits.py test_desk.py"
measured="$measured test_cluster.py"
ordinary=
for f in tests/system/test_*.py; do
	f=$(basename "$f")
	case " $guest $measured " in
	*" $f "*) ;;
	*) ordinary="$ordinary $f" ;;
	esac
done
sanitized=build/san-address-undefined
step "system tests: with xl2tpd and pppd in a guest; sanitized: $ordinary"
beside=$(mktemp)
part guest tests/run-system.sh build $guest -m "not long" > "$beside" 2>&1 &
# shellcheck disable=SC2086
part sanitized tests/run-system.sh $sanitized $ordinary -m "not long"
wait
cat "$beside"
rm -f "$beside"
# The packets' other path: everything once more with `offload no`, but for
# test_offload.py, which runs both by itself.  And as another user than root:
# with setuid, or in the sandbox of l2tpns.service where there is what it takes.
plain=$(echo "$ordinary" | sed 's/ test_offload.py//')
user=L2TPNS_SETUID=1
if /usr/bin/python3 -B tests/system/sandbox.py 65534 /tmp build/l2tpns -V; then
	user=L2TPNS_SANDBOX=1
fi
step "system tests without offloads, $user: $guest$plain"
beside=$(mktemp)
part guest-plain env OFFLOAD=no L2TPNS_SETUID=1 tests/run-system.sh build \
    $guest -m "not long" > "$beside" 2>&1 &
# shellcheck disable=SC2086
part ordinary-plain env OFFLOAD=no $user tests/run-system.sh build $plain \
    -m "not long"
wait
cat "$beside"
rm -f "$beside"
step "system tests that measure"
# shellcheck disable=SC2086
part measured tests/run-system.sh build $measured -m "not long"
if [ -n "$long" ]; then
	# shellcheck disable=SC2086
	part ordinary tests/run-system.sh build $ordinary -m "not long"
	# shellcheck disable=SC2086
	part sanitized tests/run-system.sh $sanitized $guest $measured \
	    -m "not long"
	# shellcheck disable=SC2086
	part measured-plain env OFFLOAD=no tests/run-system.sh build $measured \
	    -m "not long"
	part long tests/run-system.sh build -m long
fi

awk '{ p += $1; f += $2; s += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s
	exit f > 0 || p == 0 }' "$TALLY"
