#!/bin/busybox sh
#
# guest_init.sh - process 1 of the guest: a subscriber's machine
#
# Loads the modules that guest_image.py chose, then executes what the test
# sends.  Commands come through the virtio serial port "control", one line
# each:
#
#	ID LIMIT BASE64
#
# ID is any word, LIMIT a number of seconds, BASE64 a shell script.  The
# answer is a line "ID STATUS LENGTH" and LENGTH bytes: what the script wrote
# to its stdout and stderr.  A script still running after LIMIT seconds is
# killed (STATUS 143).  When the port closes the guest powers off.

export PATH=/bin:/sbin:/usr/bin:/usr/sbin

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /run /tmp /var/run/xl2tpd /var/log
mount -t devpts devpts /dev/pts
exec </dev/null >/dev/console 2>&1

while read -r module; do
	insmod "/modules/$module" || echo "guest: cannot load $module"
done </modules/at-boot

ip link set lo up

# The names that a machine gives to ports: /sys/class/virtio-ports/*/name
port=
while [ -z "$port" ]; do
	for dir in /sys/class/virtio-ports/*; do
		if [ "$(cat "$dir/name" 2>/dev/null)" = control ]; then
			port=/dev/${dir##*/}
		fi
	done
	[ -n "$port" ] || sleep 0.1
done

exec 3<>"$port"
echo "ready 0 0" >&3
while read -r id limit script <&3; do
	echo "$script" | base64 -d >"/tmp/.script.$id"
	timeout "$limit" sh "/tmp/.script.$id" </dev/null \
	    >"/tmp/.out.$id" 2>&1 3>&-
	status=$?
	# A background process may go on writing: send what was there now.
	cp "/tmp/.out.$id" /tmp/.answer
	echo "$id $status $(wc -c </tmp/.answer)" >&3
	cat /tmp/.answer >&3
	rm -f "/tmp/.script.$id" "/tmp/.out.$id" /tmp/.answer
done
poweroff -f
