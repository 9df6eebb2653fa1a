#!/bin/sh
# install-test.sh - make install into an empty place, and again over edited
# configuration files; -t finds no fault in what was installed; hardening.

set -e
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

make -s install DESTDIR="$root"
for f in startup-config ip_pool users build-garden ppp-secrets; do
	test -f "$root/etc/l2tpns/$f"
	echo "# edited" >> "$root/etc/l2tpns/$f"
done
test -x "$root/usr/sbin/l2tpns"
test -x "$root/usr/sbin/nsctl"
test -d "$root/usr/lib/l2tpns"
make -s install DESTDIR="$root"
for f in startup-config ip_pool users build-garden ppp-secrets; do
	grep -q '^# edited' "$root/etc/l2tpns/$f"
	cmp "etc/$f.default" "$root/etc/l2tpns/$f.default"
done

"$root/usr/sbin/l2tpns" -t -c "$root/etc/l2tpns/startup-config"
"$root/usr/sbin/l2tpns" -V | grep -q '^l2tpns '
status=0
"$root/usr/sbin/l2tpns" -Z 2> "$root/usage" || status=$?
test $status -eq 2
grep -q '^usage:' "$root/usage"
echo 'set nonsense 1' > "$root/bad"
status=0
"$root/usr/sbin/l2tpns" -t -c "$root/bad" > "$root/faults" || status=$?
test $status -eq 1
grep -q "^$root/bad:1: " "$root/faults"

"$root/usr/sbin/nsctl" -V | grep -q '^nsctl '
"$root/usr/sbin/nsctl" --help | grep -q '^Usage:'
status=0
"$root/usr/sbin/nsctl" > /dev/null 2> "$root/usage" || status=$?
test $status -eq 2
grep -q '^Usage:' "$root/usage"

# A plugin needs nothing but the header, in C99 and, if there is one, in C++.
cat > "$root/smallest.c" << 'END'
#include "plugin.h"
int plugin_api_version = PLUGIN_API_VERSION;
int plugin_timer(struct param_timer *data)
{
	return data->time_now > 0 ? PLUGIN_RET_OK : PLUGIN_RET_ERROR;
}
END
cc -std=c99 -pedantic -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
    -I"$root/usr/include/l2tpns" -o "$root/smallest.so" "$root/smallest.c"
nm -D "$root/smallest.so" | grep -q ' T plugin_timer$'
nm -D "$root/smallest.so" | grep -q ' [BD] plugin_api_version$'
if command -v c++ > /dev/null; then
	c++ -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -shared -fPIC \
	    -fvisibility=hidden -I"$root/usr/include/l2tpns" \
	    -o "$root/smallest.so" "$root/smallest.c"
	nm -D "$root/smallest.so" | grep -q ' T plugin_timer$'
fi

# So do those that come with it; they show nothing but what it declares, and
# anybody can build them again.
for m in autosnoop autothrottle sessionctl setrxspeed snoopctl stripdomain \
    throttlectl; do
	test -e "$root/usr/lib/l2tpns/$m.so"
done
for so in "$root"/usr/lib/l2tpns/*.so; do
	m=$(basename "$so" .so)
	test "$(stat -c %a "$so")" = 644
	nm -D --defined-only "$so" | grep -q ' D plugin_api_version$'
	if nm -D --defined-only "$so" | grep -v ' [BDT] plugin_[a-z_]*$'; then
		exit 1
	fi
	cp "$m.c" "$root/again.c"
	cc -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
	    -I"$root/usr/include/l2tpns" -o "$root/again.so" "$root/again.c"
done

# Position independent, full RELRO, no executable stack, stack protector.
elf=$(readelf -hldsW "$root/usr/sbin/l2tpns")
echo "$elf" | grep -q 'Type: *DYN'
echo "$elf" | grep -q 'BIND_NOW'
echo "$elf" | grep -q 'GNU_RELRO'
echo "$elf" | grep 'GNU_STACK' | grep -qv 'RWE'
echo "$elf" | grep -q '__stack_chk_fail'
echo "$elf" | grep -q '_chk@'

# From init.  The unit's own text is looked at by tests/system.
for f in lib/systemd/system/l2tpns.service lib/sysusers.d/l2tpns.conf \
    share/doc/l2tpns/l2tpns.inittab share/doc/l2tpns/l2tpns.logrotate \
    share/doc/l2tpns/manual.md; do
	test -s "$root/usr/$f"
done
cmp etc/l2tpns.service "$root/usr/lib/systemd/system/l2tpns.service"
make -s install DESTDIR="$root/local" PREFIX=/usr/local
grep -q '^ExecStart=/usr/local/sbin/l2tpns$' \
    "$root/local/usr/local/lib/systemd/system/l2tpns.service"
grep -q ':/usr/local/sbin/l2tpns$' \
    "$root/local/usr/local/share/doc/l2tpns/l2tpns.inittab"
if command -v logrotate > /dev/null; then
	logrotate -d etc/l2tpns.logrotate > "$root/logrotate" 2>&1
fi
if command -v systemd-sysusers > /dev/null; then
	cp etc/l2tpns.sysusers "$root/l2tpns.conf"
	systemd-sysusers --root="$root" --dry-run "$root/l2tpns.conf" \
	    > "$root/sysusers" 2>&1 || { cat "$root/sysusers"; exit 1; }
fi

# The manual pages can be read, and what the documents say is there.
for m in man8/l2tpns.8 man8/nsctl.8 man5/startup-config.5; do
	test -s "$root/usr/share/man/$m"
done
tests/docs-check.sh
