#!/bin/sh
#
# demo.sh [BUILD] - three subscribers online on one machine: `sudo make demo`
#
# Makes a small world of three network namespaces, starts the daemon in it
# with the configuration that is installed by default, has lacsim bring three
# subscribers up, sends pings and files both ways, and takes it all down.  At
# the end, after Ctrl-C, and when anything fails, nothing is left but the
# Debian packages and the directory build/.
#
# Exit status: 0 when all went well, 1 when not, 128 + signal when stopped.

set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

bin=${1:-build}
prefix=l2tpns-demo
carrier=$prefix-carrier
server=$prefix-server
internet=$prefix-internet
dir=/run/$prefix		# configuration, logs, files; and the lock

lac_addr=198.51.100.2		# documentation addresses, RFC 5737
lns_addr=198.51.100.1
out_addr=203.0.113.1
host_addr=203.0.113.80
size=10				# MB of a file

user_format='line10%d@example.net'
user_of() { echo "line10$1@example.net"; }

# --- words ----------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') green=$(printf '\033[32m')
	red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
	bold='' green='' red='' plain=''
fi

number=0
running=

step()
{
	number=$((number + 1))
	printf '\n%s%s. %s%s\n' "$bold" "$number" "$*" "$plain"
}

# say TEXT... - a paragraph, filled
say()
{
	echo "$*" | fold -s -w 72 | sed 's/ *$//; s/^/   /'
}

ok()
{
	printf '   %sok%s  ' "$green" "$plain"
	echo "$*" | fold -s -w 70 | sed 's/ *$//; 2,$s/^/       /'
}

# fail SENTENCE [FILE] - the end, with the tail of a log
fail()
{
	printf '   %sFAILED%s  %s\n' "$red" "$plain" "$1"
	if [ -n "${2:-}" ] && [ -s "$2" ]; then
		printf '\n   The end of %s:\n' "${2##*/}"
		tail -n 15 "$2" | sed 's/^/   | /'
	fi
	exit 1
}

# refuse SENTENCE... - before anything was begun
refuse()
{
	echo "make demo: $*" | fold -s -w 76 >&2
	exit 1
}

milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

# since MS - "1.3 s"
since()
{
	ms=$(($(milliseconds) - $1))
	printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# --- what it needs --------------------------------------------------------

check_root()
{
	[ "$(id -u)" -eq 0 ] || refuse "this makes network namespaces and" \
	    "TUN devices, which only root may do. Type: sudo make demo"
}

check_kernel()
{
	if [ ! -c /dev/net/tun ] && command -v modprobe >/dev/null; then
		modprobe -q tun
	fi
	[ -c /dev/net/tun ] || refuse "there is no /dev/net/tun here. The" \
	    "kernel module 'tun' makes it; a container must be given it" \
	    "(docker run --device /dev/net/tun --cap-add NET_ADMIN" \
	    "--cap-add SYS_ADMIN)."
	( : <>/dev/net/tun ) 2>/dev/null || refuse "/dev/net/tun cannot be" \
	    "opened, although it is there. In a container it has to be" \
	    "allowed (docker run --device /dev/net/tun)."
	unshare --net true 2>/dev/null || refuse "network namespaces cannot" \
	    "be made here: either the kernel has none (CONFIG_NET_NS), or" \
	    "this is a container without the right to (docker run" \
	    "--privileged)."
}

# One at a time; the lock goes with this process, however it ends.
take_lock()
{
	mkdir -p "$dir" && chmod 700 "$dir" || exit 1
	exec 9>"$dir/lock"
	flock -n 9 || refuse "another make demo is running on this machine."
}

# --- cleaning up ----------------------------------------------------------

# Everything that has our name: of this run, or of one that crashed.
remove_world()
{
	command -v ip >/dev/null || return 0
	for ns in $carrier $server $internet; do
		[ -e "/run/netns/$ns" ] || continue
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$ns" 2>/dev/null ||
		    echo "   $ns cannot be removed" >&2
	done
}

clean_up()
{
	status=$?
	trap '' HUP INT TERM PIPE
	trap - EXIT
	[ -z "$running" ] || remove_world
	# What was built as root belongs to whoever owns the source.
	if [ -d build ] && [ "$(stat -c %u .)" -ne 0 ]; then
		chown -R --no-dereference --reference=. build
	fi
	if [ $status -eq 0 ]; then
		rm -rf "$dir"
		exit 0
	fi
	printf '\n   %s\n   %s\n' "Stopped: everything is cleaned up." \
	    "The logs are in $dir."
	rm -f "$dir"/file*
	exit $status
}

# --- programs -------------------------------------------------------------

build()
{
	start=$(milliseconds)
	jobs=$(nproc)
	{ make -s -j"$jobs" all && make -s -j"$jobs" -C tests/bench; } \
	    >"$dir/build.log" 2>&1 9>&- ||
	    fail "The programs could not be built." "$dir/build.log"
	ok "$bin/l2tpns and $bin/bench/lacsim are built ($(since "$start"))"
}

packages()
{
	start=$(milliseconds)
	{
		tests/install-deps.sh --demo 9>&-
		echo $? >"$dir/status"
	} 2>&1 | tee "$dir/packages.log" | while read -r line; do
		case $line in
		Installing*) say "$line" ;;
		esac
	done
	[ "$(cat "$dir/status")" -eq 0 ] || fail "The packages could not be \
installed. Is there a way to a Debian mirror?" "$dir/packages.log"
	if [ -s "$dir/packages.log" ]; then
		ok "Debian packages are installed ($(since "$start"))"
	else
		ok "all Debian packages are here already"
	fi
}

# Here and below: whoever lives on after us must not hold our lock (9>&-), and
# what is sent to the background must be no function, or $! were a shell's.
inside()
{
	ip netns exec "$@" 9>&-
}

# --- the world ------------------------------------------------------------

# join NS1 DEV1 ADDR1 NS2 DEV2 ADDR2 - an Ethernet cable between two
join()
{
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4" &&
	    ip -n "$1" addr add "$3" dev "$2" && ip -n "$1" link set "$2" up &&
	    ip -n "$4" addr add "$6" dev "$5" && ip -n "$4" link set "$5" up
}

make_world()
{
	running=yes
	for ns in $carrier $server $internet; do
		ip netns add "$ns" && ip -n "$ns" link set lo up || return
	done
	join $carrier wan0 $lac_addr/24 $server carrier0 $lns_addr/24 &&
	    join $server internet0 $out_addr/24 $internet eth0 $host_addr/24 &&
	    inside $server sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' &&
	    ip -n $internet route add default via $out_addr
}

# The files as they are installed; of our own only the subscribers.
make_config()
{
	mkdir "$dir/etc" || return
	for f in startup-config ip_pool users build-garden; do
		cp etc/$f.default "$dir/etc/$f" || return
	done
	for i in 0 1 2; do
		printf '%s\t*\t"password of line 10%d"\t*\n' \
		    "$(user_of $i)" $i
	done >"$dir/etc/ppp-secrets"
	chmod 600 "$dir/etc/ppp-secrets"
}

# wait_for SECONDS PID COMMAND... - until it succeeds, or the process is gone
wait_for()
{
	left=$(($1 * 20)) pid=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
}

start_server()
{
	ip netns exec $server "$bin/l2tpns" -c "$dir/etc/startup-config" \
	    -h demo >"$dir/l2tpns.log" 2>&1 9>&- &
	lns_pid=$!
	wait_for 10 $lns_pid grep -q ' ready: ' "$dir/l2tpns.log" ||
	    fail "The server did not start." "$dir/l2tpns.log"
}

start_subscribers()
{
	ip netns exec $carrier "$bin/bench/lacsim" --lns $lns_addr \
	    --source $lac_addr --host carrier --sessions 3 --rate 10 --auth mix \
	    --user "$user_format" --password 'password of line 10%d' \
	    --calling '0301010%d' --echo 5 --tun subscribers \
	    --addresses "$dir/addresses" --until-up \
	    >"$dir/lacsim.log" 2>&1 9>&- &
	lac_pid=$!
	wait_for 30 $lac_pid grep -q '^all up' "$dir/lacsim.log" ||
	    fail "Not all subscribers came online." "$dir/l2tpns.log"
	wait_for 5 $lac_pid test -s "$dir/addresses" ||
	    fail "lacsim wrote no addresses." "$dir/lacsim.log"
	ip -n $carrier route add default dev subscribers ||
	    fail "The subscribers have no default route."
}

# The log says: DATE TIME WARN TT/SS Login by USER at ADDRESS from LAC (NAME)
show_online()
{
	awk 'BEGIN {
		printf "   %-22s %-12s %-25s %s\n", "USER", "ADDRESS",
		    "LAC", "SINCE"
	}
	/ Login by / {
		printf "   %-22s %-12s %-25s %s\n", $7, $9, $11 " " $12, $2
		n++
	}
	END { exit n != 3 }' "$dir/l2tpns.log" ||
	    fail "The log does not name three subscribers." "$dir/l2tpns.log"
}

# --- packets --------------------------------------------------------------

# ping_from NAMESPACE FROM TO - leaves "5 of 5, 0.2 ms" in $pinged
ping_from()
{
	out=$(exec 9>&-; inside "$1" ping -q -c 5 -i 0.2 -W 2 -I "$2" "$3" 2>&1)
	got=$(echo "$out" | sed -n 's/.* \([0-9]*\) received.*/\1/p')
	rtt=$(echo "$out" | sed -n 's/^rtt.*= [^/]*\/\([^/]*\).*/\1/p')
	[ "$got" = 5 ] || fail "From $2 to $3 ${got:-0} of 5 pings were \
answered." "$dir/l2tpns.log"
	pinged="5 of 5, $rtt ms"
}

# ping_both ADDRESS USER INDEX - as in lacsim's list of addresses
ping_both()
{
	ping_from $carrier "$1" $host_addr
	up=$pinged
	ping_from $internet $host_addr "$1"
	printf '   %-10s %-14s %-21s %s\n' "line10$3" "$1" "$up" "$pinged"
}

sum()
{
	sha256sum <"$1" | cut -c 1-16
}

listening()
{
	inside $internet ss -Hltn "sport = :$1" | grep -q .
}

# same FILE NAME START - it arrived, and is what was sent
same()
{
	[ "$(sum "$dir/file")" = "$(sum "$1")" ] ||
	    fail "$2: the file arrived damaged."
	ok "$2 in $(since "$3"), SHA-256 $(sum "$1")..."
}

send_up()
{
	ip netns exec $internet nc -d -l 5001 >"$dir/file.up" 9>&- &
	nc_pid=$!
	wait_for 5 $nc_pid listening 5001 || fail "nc does not listen."
	start=$(milliseconds)
	inside $carrier timeout 30 nc -N -s "$1" $host_addr 5001 <"$dir/file" ||
	    fail "The file could not be sent." "$dir/l2tpns.log"
	wait $nc_pid
	same "$dir/file.up" "$2" "$start"
}

send_down()
{
	ip netns exec $internet nc -N -l 5002 <"$dir/file" >/dev/null 9>&- &
	nc_pid=$!
	wait_for 5 $nc_pid listening 5002 || fail "nc does not listen."
	start=$(milliseconds)
	inside $carrier timeout 30 nc -d -s "$1" $host_addr 5002 \
	    >"$dir/file.down" ||
	    fail "The file could not be fetched." "$dir/l2tpns.log"
	wait $nc_pid
	same "$dir/file.down" "$2" "$start"
}

# --- the end --------------------------------------------------------------

all_ended()
{
	[ "$(grep -c ' session of .* ended: ' "$dir/l2tpns.log")" -eq 3 ]
}

hang_up()
{
	kill -TERM $lac_pid
	wait_for 15 $lns_pid all_ended ||
	    fail "Not all sessions ended." "$dir/l2tpns.log"
	wait $lac_pid || fail "lacsim is not content." "$dir/lacsim.log"
	while read -r addr user index; do
		ok "$user has left, $addr is free again"
	done <"$dir/addresses"
}

stop_server()
{
	kill -QUIT $lns_pid
	wait $lns_pid || fail "The server did not end well." "$dir/l2tpns.log"
	if ip -n $server link show tun0 >/dev/null 2>&1; then
		fail "The server has left its TUN device behind."
	fi
	ok "the server has stopped; its TUN device and routes are gone"
}

# --- the story ------------------------------------------------------------

check_root
check_kernel
take_lock
began=$(milliseconds)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
find "$dir" -mindepth 1 ! -name lock -delete
remove_world

cat <<END
${bold}l2tpns: three subscribers come online${plain}

   A telephone company (the access carrier) has the lines, an internet
   provider has the server.  The carrier carries each subscriber's PPP link
   to the provider in an L2TP tunnel; l2tpns is the end of the tunnel.

   subscribers      access carrier        server            internet
                    lacsim, a LAC         l2tpns, the LNS   one host
   line100 --.
   line101 --+---   $lac_addr  ======  $lns_addr
   line102 --'                     L2TP   $out_addr  ----  $host_addr

   Carrier, server and internet are network namespaces of this machine; the
   subscribers live in the carrier's.  Nothing outside of them is touched.
END

step "Packages and programs"
packages
build

step "Three network namespaces"
make_world || fail "The namespaces could not be made."
ok "$carrier, $server, $internet"

step "The server starts"
say "With the configuration that 'make install' installs, unchanged; only" \
    "ppp-secrets, which names the subscribers, was written for this."
make_config || fail "The configuration could not be written."
start_server
ok "$(sed -n 's/.* \(l2tpns .* ready\): \(.*\)/\1: \2/p' "$dir/l2tpns.log")"

step "Three subscribers dial in"
say "The LAC opens one tunnel and three calls in it. In each of them PPP" \
    "agrees on the link, checks the password (two by CHAP, one by PAP) and" \
    "hands out an address from ip_pool. Who is online, from the server's" \
    "log:"
start_subscribers
show_online

step "Pings, both ways"
printf '   %-10s %-14s %-21s %s\n' LINE ADDRESS "TO THE INTERNET" \
    "FROM THE INTERNET"
while read -r addr user index; do
	ping_both "$addr" "$user" "$index"
done <"$dir/addresses"

step "A file, both ways"
say "$size MB of random bytes by TCP, checked at the other end."
first=$(sed -n '1s/ .*//p' "$dir/addresses")
head -c ${size}M /dev/urandom >"$dir/file"
send_up "$first" "from line100 to the internet"
send_down "$first" "from the internet to line100"

step "The subscribers hang up, the server stops"
say "PPP ends each link, the LAC its calls and its tunnel."
hang_up
stop_server

step "Cleaning up"
remove_world
running=
rm -rf "$dir"
ip netns list | grep -q "^$prefix" && fail "A namespace is left."
ok "no namespace, process or file of this demo is left"

cat <<END

${bold}All went well${plain}, in $(since "$began").  It can be run again at once.
README.md tells how to set up a server of your own.
END
