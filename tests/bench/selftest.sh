#!/bin/sh
# selftest.sh - do the bench tools themselves tell the truth?
#
# radresp is asked by FreeRADIUS' radclient, which checks authenticators on
# its own; the internet side of lacsim talks to itself and to python3, tcpload
# to itself; lacsim without an LNS must fail as it says.  Needs no root:
# loopback, high ports.
# BENCH=DIR names the programs' directory [build/bench].

here=$(cd "$(dirname "$0")" && pwd)
bench=${BENCH:-$here/../../build/bench}
dir=$(mktemp -d) || exit 1
port=${PORT:-21800}
pids=
good=0
bad=0

finish() {
	for p in $pids; do
		kill "$p" 2>/dev/null
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() {			# say RESULT NAME
	if [ "$1" = 0 ]; then
		good=$((good + 1))
		echo "ok      $2"
	else
		bad=$((bad + 1))
		echo "NOT OK  $2"
	fi
}

json() {		# json FILE PATH.TO.KEY
	python3 - "$1" "$2" <<-'P'
	import json, sys
	v = json.load(open(sys.argv[1]))
	for k in sys.argv[2].split("."):
	    v = v[k]
	print(v)
	P
}

is() {			# is NAME FILE KEY VALUE
	v=$(json "$2" "$3")
	[ "$v" = "$4" ]
	say $? "$1 ($3 is $v, want $4)"
}

start_radresp() {	# start_radresp OPTIONS...
	port=$((port + 2))
	"$bench/radresp" --auth-port $port --acct-port $((port + 1)) \
	    --secret testing --json "$dir/rad.json" --ledger "$dir/ledger" \
	    --sessions "$dir/sessions" "$@" &
	rad=$!
	pids="$pids $rad"
	sleep 0.3
}

stop_radresp() {
	kill $rad
	wait $rad
}

ask() {			# ask auth|acct ATTRIBUTES...
	kind=$1
	shift
	p=$port
	[ "$kind" = acct ] && p=$((port + 1))
	printf '%s\n' "$@" | radclient -x -r 1 -t 1 127.0.0.1:$p "$kind" \
	    testing >"$dir/out" 2>&1
}

radius_tests() {
	start_radresp --password 'secret%d' --attr Session-Timeout=3600 \
	    --attr Class=blue --attr MS-Primary-DNS-Server=10.1.2.3 \
	    --attr 'Cisco-AVPair=throttle=yes' --pool 10.9.0.1
	ask auth Message-Authenticator=0x00 User-Name=user7 \
	    User-Password=secret7 NAS-Identifier=self
	say $? "PAP with the right password is accepted"
	grep -q 'Session-Timeout = 3600' "$dir/out" &&
	    grep -q 'MS-Primary-DNS-Server = 10.1.2.3' "$dir/out" &&
	    grep -q 'Cisco-AVPair = "throttle=yes"' "$dir/out" &&
	    grep -q 'Framed-IP-Address = 10.9.0.1' "$dir/out" &&
	    grep -q 'Message-Authenticator' "$dir/out"
	say $? "its reply has the attributes asked for"
	ask auth Message-Authenticator=0x00 User-Name=user7 \
	    User-Password=secret8 NAS-Identifier=self
	grep -q 'Access-Reject' "$dir/out"
	say $? "PAP with a wrong password is rejected"
	ask auth Message-Authenticator=0x00 User-Name=user12 \
	    CHAP-Password=secret12 NAS-Identifier=self
	grep -q 'Access-Accept' "$dir/out"
	say $? "CHAP with the right password is accepted"
	ask auth User-Name=user12 CHAP-Password=nonsense NAS-Identifier=self
	grep -q 'Access-Reject' "$dir/out"
	say $? "CHAP with a wrong password is rejected"
	ask auth Message-Authenticator=0x00 User-Name=user7 \
	    User-Password=a-password-of-more-than-sixteen-octets \
	    NAS-Identifier=self
	grep -q 'Access-Reject' "$dir/out"
	say $? "a long password is read to its end"
	for s in Start Interim-Update Stop; do
		ask acct User-Name=user7 Acct-Session-Id=s1 \
		    Acct-Status-Type=$s NAS-Identifier=self Class=0x626c7565 \
		    Acct-Input-Octets=5 Acct-Input-Gigawords=1 \
		    Acct-Output-Octets=7 Acct-Terminate-Cause=User-Request \
		    "Event-Timestamp=1700000000"
		say $? "accounting $s is answered"
	done
	ask acct User-Name=user7 Acct-Session-Id=s1 Acct-Status-Type=Stop \
	    NAS-Identifier=self Class=0x00 Acct-Input-Octets=6 \
	    Acct-Input-Gigawords=1 Acct-Output-Octets=7 \
	    Acct-Terminate-Cause=User-Request "Event-Timestamp=1700000000"
	stop_radresp
	is "all were counted" "$dir/rad.json" auth.requests 5
	is "accepts" "$dir/rad.json" auth.accepts 2
	is "rejects" "$dir/rad.json" auth.rejects 3
	is "a second Stop is a fault" "$dir/rad.json" faults.stop_twice 1
	is "a wrong Class is a fault" "$dir/rad.json" faults.class_wrong 1
	is "no Message-Authenticator is a fault" "$dir/rad.json" \
	    faults.message_authenticator_missing 1
	is "gigawords count" "$dir/rad.json" sessions.input_octets 4294967302
	grep -q 'session="s1".*starts=1 interims=1 stops=2' "$dir/sessions"
	say $? "the session's line says so too"
	[ "$(grep -c ' in ' "$dir/ledger")" = 9 ]
	say $? "the ledger has a line for each request"
}

radius_bad_tests() {
	start_radresp --any --ma bad
	ask auth Message-Authenticator=0x00 User-Name=u User-Password=p \
	    NAS-Identifier=self
	[ $? != 0 ]
	say $? "a wrong Message-Authenticator is not believed"
	stop_radresp
	start_radresp --any --bad-authenticator
	ask auth Message-Authenticator=0x00 User-Name=u User-Password=p \
	    NAS-Identifier=self
	[ $? != 0 ]
	say $? "a wrong Response Authenticator is not believed"
	stop_radresp
	start_radresp --any --silent
	printf 'User-Name=u,User-Password=p,NAS-Identifier=self\n' |
	    radclient -r 3 -t 1 127.0.0.1:$port auth testing >/dev/null 2>&1
	stop_radresp
	is "retransmissions are known" "$dir/rad.json" retransmits 2
	is "and are the same octets" "$dir/rad.json" \
	    faults.retransmission_changed 0
	start_radresp --any --reject '^bad'
	ask auth User-Name=badman User-Password=p NAS-Identifier=self
	grep -q 'Access-Reject' "$dir/out"
	say $? "--reject by name"
	ask auth User-Name=goodman User-Password=p NAS-Identifier=self
	grep -q 'Access-Accept' "$dir/out"
	say $? "and nobody else"
	stop_radresp
	printf 'alice Password=x Framed-Route="10.5.0.0/24 0.0.0.0 1"\n' \
	    >"$dir/users"
	start_radresp --accept-file "$dir/users" --secret other
	printf 'User-Name=alice,User-Password=x,NAS-Identifier=self\n' |
	    radclient -x -r 1 -t 1 127.0.0.1:$port auth other >"$dir/out" 2>&1
	grep -q 'Framed-Route = "10.5.0.0/24 0.0.0.0 1"' "$dir/out"
	say $? "--accept-file gives attributes of one user"
	ask acct User-Name=u Acct-Session-Id=s Acct-Status-Type=Start
	stop_radresp
	is "accounting under another secret is a fault" "$dir/rad.json" \
	    faults.accounting_authenticator_wrong 1
}

lacsim_tests() {
	"$bench/lacsim" --reflect $((port + 10)) --json "$dir/r.json" &
	r=$!
	"$bench/lacsim" --sink $((port + 11)) --json "$dir/s.json" &
	s=$!
	pids="$pids $r $s"
	sleep 0.3
	python3 - $((port + 10)) <<-'P'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(2)
	for n in (0, 1, 100, 1400):
	    s.sendto(bytes(n), ("127.0.0.1", int(sys.argv[1])))
	    b, a = s.recvfrom(2000)
	    assert b == bytes(n) and a[0] == "127.0.0.1", (b, a)
	P
	say $? "--reflect sends back what it got"
	for i in 0 1 2; do
		echo "127.0.0.1 user$i $i"
	done >"$dir/addr"
	"$bench/lacsim" --blast-from "$dir/addr" --port $((port + 11)) \
	    --pps 5000 --seconds 1 --size 200 --json "$dir/b.json"
	"$bench/lacsim" --blast-from "$dir/addr" --port $((port + 11)) \
	    --pps 5000 --seconds 1 --size 200 --gso 8 --json "$dir/b2.json"
	sleep 0.3
	kill $r $s
	wait $r $s
	sent=$(($(json "$dir/b.json" sent) + $(json "$dir/b2.json" sent)))
	is "the sink got all of the blasts" "$dir/s.json" received $sent
	is "in order" "$dir/s.json" reordered 0
	is "of three flows" "$dir/s.json" flows 3
	"$bench/lacsim" --lns 127.0.0.1:$((port + 12)) --source-port 0 \
	    --retries 1 --quiet --hold 0 --json "$dir/l.json" >/dev/null
	[ $? = 1 ]
	say $? "without an LNS lacsim fails with 1"
	is "because of its tunnel" "$dir/l.json" tunnels.failed 1
	mkfifo "$dir/pipe"
	cat "$dir/pipe" >"$dir/l2.json" &
	"$bench/lacsim" --lns 127.0.0.1:$((port + 12)) --source-port 0 \
	    --retries 1 --quiet --hold 0 --json "$dir/pipe" >/dev/null
	wait $!
	[ -p "$dir/pipe" ]
	say $? "a result file that is none is not replaced"
	is "but written to" "$dir/l2.json" tunnels.failed 1
	"$bench/lacsim" --lns 127.0.0.1 --user '%s%s' >/dev/null 2>&1
	[ $? = 2 ]
	say $? "a format that is none of ours is refused with 2"
}

tcpload_tests() {
	printf '127.0.0.%d user 1\n' 2 3 4 >"$dir/from"
	"$bench/tcpload" --serve $((port + 20)) &
	t=$!
	pids="$pids $t"
	sleep 0.3
	for way in "" --down; do
		# shellcheck disable=SC2086  # no option, or one
		"$bench/tcpload" --to 127.0.0.1:$((port + 20)) --from "$dir/from" \
		    --flows 2 --seconds 0.5 $way >"$dir/t.json"
		is "tcpload $way: two flows from each address" "$dir/t.json" \
		    flows 6
		is "none ends early" "$dir/t.json" ended 0
		[ "$(json "$dir/t.json" least)" -gt 0 ]
		say $? "and each of them moves octets"
	done
	kill $t
	wait $t
	"$bench/tcpload" --to 127.0.0.1:$((port + 20)) --from "$dir/from" \
	    >/dev/null 2>&1
	[ $? = 1 ]
	say $? "nobody there: tcpload fails with 1"
	"$bench/tcpload" --to 127.0.0.1 --from "$dir/from" >/dev/null 2>&1
	[ $? = 2 ]
	say $? "no port: refused with 2"
}

for p in "$bench/lacsim" "$bench/radresp" "$bench/tcpload"; do
	[ -x "$p" ] || { echo "$p: build it first"; exit 1; }
done
if command -v radclient >/dev/null; then
	radius_tests
	radius_bad_tests
else
	echo "skipped radresp: radclient (freeradius-utils) is missing"
fi
lacsim_tests
tcpload_tests
echo "selftest: $good passed, $bad failed"
[ $bad = 0 ]
