#!/bin/sh
#
# install-deps.sh - get from Debian 12 what building and testing need
#
# With no argument: everything that "make check" uses.  --build-only is the
# compiler and the libraries; --demo adds what "make demo" runs; --bench is
# everything, and what "make bench" measures beside.  Nothing is fetched when
# all packages are there already, so the make targets call this every time.
# Services that packages bring with them are not started: a policy-rc.d saying
# no stands in /usr/sbin for the time of the installation, unless the machine
# has one of its own.

set -eu

build='gcc make pkg-config libc6-dev libmnl-dev nettle-dev libcli-dev
	libcrypt-dev'
demo='iproute2 iputils-ping netcat-openbsd'
check='g++ clang libclang-rt-14-dev libcmocka-dev procps python3 python3-pytest
	python3-scapy python3-seccomp freeradius freeradius-utils iptables ipset conntrack nftables tcpdump
	tshark iperf3 inetutils-telnet qemu-system-x86 ethtool bird2 frr
	libpam0g libpcap0.8 libssl3 libsystemd0'

usage() {
	echo "usage: $0 [--build-only | --demo | --bench]" >&2
	exit 2
}

case ${1:-} in
'')		want="$build $demo $check" ;;
--build-only)	want="$build" ;;
--demo)		want="$build $demo" ;;
--bench)	want="$build $demo $check l2tpns gnuplot-nox" ;;
*)		usage ;;
esac
test $# -le 1 || usage

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "$0: this needs Debian (dpkg and apt-get)" >&2
	exit 1
fi

# Which of the packages given are not installed?  A name may also be one
# that another package provides (pkg-config by pkgconf).
missing() {
	have=$(dpkg-query -W \
	    -f '${db:Status-Status} ${Package}, ${Provides}\n' |
	    sed -n 's/^installed //p' |
	    tr ',' '\n' | sed 's/(.*//; s/[[:space:]]//g' | sort -u)
	for p in "$@"; do
		echo "$have" | grep -Fqx "$p" || echo "$p"
	done
}

# shellcheck disable=SC2086  # lists of words
lack=$(missing $want)
if [ -z "$lack" ]; then
	exit 0
fi

# shellcheck disable=SC2086
set -- $lack
echo "Installing from Debian: $*"
if [ "$(id -u)" != 0 ]; then
	echo "$0: must be root to install packages" >&2
	exit 1
fi

shim=/usr/sbin/policy-rc.d
made_shim=
cleanup() {
	if [ -n "$made_shim" ]; then
		rm -f "$shim"
	fi
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

if [ ! -e "$shim" ] && [ ! -L "$shim" ]; then
	printf '#!/bin/sh\n# put here by %s, to be removed by it\nexit 101\n' \
	    "install-deps.sh" >"$shim"
	chmod 755 "$shim"
	made_shim=yes
fi

export DEBIAN_FRONTEND=noninteractive
# tshark asks whether ordinary users may capture; they may not.
if ! apt-get -q -o DPkg::Lock::Timeout=300 update; then
	echo "$0: apt-get update failed; going on with the old lists" >&2
fi
apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold \
    --no-install-recommends install "$@"

# shellcheck disable=SC2086
lack=$(missing $want)
if [ -n "$lack" ]; then
	echo "$0: still missing after the installation:" $lack >&2
	exit 1
fi
