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

step "packages"
tests/install-deps.sh || exit 1
step "build: gcc, clang, sanitizers; a warning is an error"
run gcc make -s -j"$jobs" all bench-tools CFLAGS=-Werror
run clang make -s -j"$jobs" all CC=clang CFLAGS=-Werror
run sanitized make -s -j"$jobs" all $san CFLAGS=-Werror
step "unit tests"
make -s -j"$jobs" check-unit
make -s -j"$jobs" check-unit $san
step "scripted conversations"
make -s -j"$jobs" check-replay
make -s -j"$jobs" check-replay $san
step "fuzz corpora"
if [ -n "$long" ]; then
	make -s -j"$jobs" fuzz TIME="${TIME:-600}"
else
	make -s -j"$jobs" check-fuzz
fi
step "installation and documents"
run install tests/install-test.sh
step "system tests"
if [ -n "$long" ]; then
	tests/run-system.sh build
else
	tests/run-system.sh build -m "not long"
fi
step "system tests, sanitized daemon"
tests/run-system.sh build/san-address-undefined -m "not long and not guest"
[ -z "$long" ] || tests/run-system.sh build -m long

awk '{ p += $1; f += $2; s += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s
	exit f > 0 || p == 0 }' "$TALLY"
