"""The guest: a small machine with a real xl2tpd and pppd, under qemu.

It stands on the carrier's bridge with an address of its own.  run() executes
a shell script in it; dial() and the rest are made of that.
"""

import base64
import os
import re
import socket

import guest_image
import net

GUEST_ADDR = "10.99.1.10"
READY_SECONDS = 90
PPPD_ALWAYS = """noauth
nodetach
debug
logfile /tmp/ppp.log
usepeerdns
defaultroute
ipcp-accept-local
ipcp-accept-remote
lcp-echo-interval 5
lcp-echo-failure 4
mtu 1400
mru 1400
"""
# Without these pppd also asks for IPv6 and compression.
PPPD_QUIET = """noipv6
noccp
novj
"""
# In the place of pppd, for a call whose pppd crash_pppd() may kill: xl2tpd
# must not see its child end, so the child is this shell.
PPPD_WRAPPER = """#!/bin/sh
trap 'exec 0<&-; kill -TERM $pid; wait $pid; exit 5' TERM
while :; do
	/usr/sbin/pppd.real "$@" &
	pid=$!
	wait $pid
	status=$?
	[ -e /tmp/again ] || exit $status
	rm -f /tmp/again
	# The kernel keeps the dead pppd's channel until the line changes.
	ldattach TTY "$1"
	killall -q ldattach
done
"""


class Dead(Exception):
    """The guest does not answer any more."""


class Result(str):
    """What a script wrote; .status is how it ended."""

    status = 0


class Guest:
    def __init__(self, space, directory, memory=192):
        self.space = space
        self.console = os.path.join(directory, "guest-console.log")
        self.number = 0
        self.rest = b""
        self.channel = None
        self.process = None
        kernel, initrd = guest_image.build(
            os.environ.get("L2TPNS_GUEST",
                           os.path.join(guest_image.TOP, "build", "guest")))
        space.ip("tuntap add dev tap0 mode tap")
        try:
            space.ip("link set tap0 master br0")
            space.ip("link set tap0 up")
            self.boot(kernel, initrd, directory, memory)
        except BaseException:
            self.stop()
            raise

    def boot(self, kernel, initrd, directory, memory):
        # The path of a Unix socket is short: use a pair, and pass one end.
        self.channel, other = socket.socketpair()
        other.set_inheritable(True)
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc",
                "-m", str(memory), "-smp", "1", "-nodefaults",
                "-no-user-config", "-no-reboot", "-display", "none",
                "-serial", "file:" + self.console,
                "-kernel", kernel, "-initrd", initrd,
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off "
                "random.trust_cpu=on",
                "-device", "virtio-rng-pci",
                "-device", "virtio-serial-pci",
                "-chardev", "socket,id=ctl,fd=%d" % other.fileno(),
                "-device", "virtserialport,chardev=ctl,name=control",
                "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
                "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56"]
        self.process = net.Process(
            self.space.argv(*argv),
            os.path.join(directory, "guest-qemu.log"), keep=[other.fileno()])
        other.close()
        self.answer("ready", READY_SECONDS)
        self.check("ip addr add %s/24 dev eth0 && ip link set eth0 up" %
                   GUEST_ADDR)
        # A slow machine: what xl2tpd is late for must not be lost.
        self.check("cd /proc/sys/net/core && for f in rmem_max rmem_default "
                   "wmem_max wmem_default; do echo 16777216 >$f; done")

    # -- the channel

    def receive(self):
        try:
            chunk = self.channel.recv(65536)
        except socket.timeout:
            raise Dead("guest: no answer in time; console:\n" +
                       self.console_tail())
        if not chunk:
            raise Dead("guest: gone; console:\n" + self.console_tail())
        self.rest += chunk

    def answer(self, want, seconds):
        """Read one answer, which must be to the command want."""
        self.channel.settimeout(seconds)
        while b"\n" not in self.rest:
            self.receive()
        line, self.rest = self.rest.split(b"\n", 1)
        word, status, length = line.decode().split()
        while len(self.rest) < int(length):
            self.receive()
        text = Result(self.rest[:int(length)].decode(errors="replace"))
        text.status = int(status)
        self.rest = self.rest[int(length):]
        if word != want:
            raise Dead("guest: answer to %s, not %s" % (word, want))
        return text

    def run(self, script, timeout=30):
        """Run a shell script in the guest; a str with its .status."""
        self.number += 1
        word = "c%d" % self.number
        line = "%s %d %s\n" % (
            word, timeout, base64.b64encode(script.encode()).decode())
        self.channel.settimeout(timeout + 15)
        try:
            self.channel.sendall(line.encode())
        except OSError as error:
            raise Dead("guest: %s; console:\n%s" % (
                error, self.console_tail()))
        return self.answer(word, timeout + 15)

    def check(self, script, timeout=30):
        """As run(), and RuntimeError when the script fails."""
        result = self.run(script, timeout)
        if result.status:
            raise RuntimeError("guest: %s\nexit %d\n%s" % (
                script, result.status, result))
        return result

    def write(self, path, text):
        """Make a file in the guest."""
        data = base64.b64encode(text.encode()).decode()
        self.check("umask 077; echo %s | base64 -d >%s" % (data, path))

    def console_tail(self):
        try:
            with open(self.console, errors="replace") as f:
                return f.read()[-3000:]
        except OSError:
            return "(none)"

    def stop(self):
        if self.channel:
            self.channel.close()
        if self.process:
            self.process.stop(5)
        self.space.run("ip", "link", "del", "tap0", check=False)

    # -- a subscriber's life

    def dial(self, user, password, auth="chap", extra="", lns=net.LNS_ADDR,
             secret="", kernel=False, quiet=True, restart=False):
        """Start a call; returns at once.

        auth is "chap" or "pap": what pppd agrees to.  extra is more pppd
        options, one a line.  secret makes xl2tpd ask the server to prove
        that it knows it, and prove itself.  kernel chooses PPP over L2TP in
        the guest's kernel in place of a pty.  Unless quiet, pppd asks for
        CCP and IPv6 too.  restart makes crash_pppd() possible.
        """
        self.reset()
        if restart:
            self.write("/tmp/wrapper", PPPD_WRAPPER)
            self.check("cd /usr/sbin && { [ -e pppd.real ] || "
                       "mv pppd pppd.real; } && cp /tmp/wrapper pppd && "
                       "chmod 755 pppd")
        else:
            self.check("cd /usr/sbin && if [ -e pppd.real ]; then "
                       "mv pppd.real pppd; fi")
        if quiet:
            extra = PPPD_QUIET + extra
        refuse = {"chap": "refuse-pap", "pap": "refuse-chap"}[auth]
        options = PPPD_ALWAYS + extra + "\n" + "\n".join([
            'user "%s"' % user, refuse, "refuse-mschap", "refuse-mschap-v2",
            "refuse-eap"]) + "\n"
        self.write("/tmp/options", options)
        line = '"%s" * "%s" *\n' % (user, password)
        for name in ("chap-secrets", "pap-secrets"):
            self.write("/etc/ppp/" + name, line)
        self.write("/etc/ppp/options", "")
        self.write("/tmp/l2tp-secrets", "* * %s\n" % secret)
        self.write("/tmp/xl2tpd.conf", "\n".join([
            "[global]",
            "port = 1701",
            "auth file = /tmp/l2tp-secrets",
            "force userspace = %s" % ("no" if kernel else "yes"),
            "debug tunnel = yes",
            "debug avp = yes",
            "debug state = yes",
            "[lac isp]",
            "lns = " + lns,
            "ppp debug = yes",
            "pppoptfile = /tmp/options",
            "challenge = %s" % ("yes" if secret else "no"),
            "length bit = yes",
            "redial = no",
            "autodial = no", ""]))
        if kernel:
            self.check("while read m; do [ -d /sys/module/${m%.ko} ] || "
                       "insmod /modules/$m || exit; done </modules/l2tp")
        self.check("""
            xl2tpd -D -c /tmp/xl2tpd.conf -p /tmp/xl2tpd.pid \
                -C /tmp/l2tp-control >/tmp/xl2tpd.log 2>&1 &
            for i in 1 2 3 4 5 6 7 8 9 10; do
                [ -p /tmp/l2tp-control ] && break
                sleep 0.2
            done
            echo 'c isp' >/tmp/l2tp-control""")

    def reset(self):
        """End what an earlier call left, and forget its logs."""
        self.check("""
            rm -f /tmp/again
            killall -q -CONT pppd pppd.real xl2tpd
            killall -q pppd pppd.real xl2tpd
            for i in $(seq 50); do
                pidof pppd pppd.real xl2tpd >/dev/null || break
                sleep 0.1
            done
            killall -q -9 pppd pppd.real xl2tpd
            rm -f /tmp/ppp.log /tmp/xl2tpd.log /tmp/l2tp-control \
                /etc/ppp/resolv.conf /tmp/down /tmp/up
            :""")

    def ppp_log(self):
        return self.run("cat /tmp/ppp.log")

    def xl2tpd_log(self):
        return self.run("cat /tmp/xl2tpd.log")

    def logs(self):
        return "--- pppd\n%s\n--- xl2tpd\n%s" % (
            self.ppp_log(), self.xl2tpd_log())

    def wait_log(self, pattern, seconds):
        """The first match of the expression in pppd's log."""
        def look():
            gone = self.run("pidof pppd pppd.real").status
            log = self.ppp_log()
            found = re.search(pattern, log, re.M)
            if not found and gone and "Using interface" in log:
                raise RuntimeError("pppd ended before it wrote %r; "
                                   "guest's logs:\n%s" % (
                                       pattern, self.logs()))
            return found

        return net.wait_for(
            lambda: "%r; guest's logs:\n%s" % (pattern, self.logs()),
            seconds, look, step=0.3)

    def wait_up(self, seconds=40):
        """Wait for ppp0; its (own address, peer's address)."""
        found = self.wait_log(
            r"^local  IP address (\S+)\nremote IP address (\S+)", seconds)
        net.wait_for("ppp0 with an address", 5, lambda: found.group(1) in
                     self.run("ip -4 addr show dev ppp0"))
        return found.group(1), found.group(2)

    def wait_down(self, seconds=30):
        """Wait for the end of pppd."""
        net.wait_for(lambda: "the end of pppd; guest's logs:\n" + self.logs(),
                     seconds, lambda: self.run("pidof pppd pppd.real").status,
                     step=0.3)

    def hangup(self, how="ppp", seconds=30):
        """End the call: pppd first ("ppp") or xl2tpd's tunnel ("l2tp")."""
        if how == "ppp":
            self.check("kill -TERM $(cat /var/run/ppp0.pid)")
        else:
            self.check("echo 'd isp' >/tmp/l2tp-control")
        self.wait_down(seconds)

    def crash_pppd(self):
        """Kill pppd without a word to anybody; another takes its place.

        The L2TP session stays, as behind a carrier whose subscriber pulled
        the plug of its router.
        """
        self.check("touch /tmp/again && rm /tmp/ppp.log && "
                   "kill -KILL $(cat /var/run/ppp0.pid)")

    def dns(self):
        """The name servers that pppd was given, in order."""
        text = self.run("cat /etc/ppp/resolv.conf")
        return re.findall(r"^nameserver (\S+)", text, re.M)

    def ping(self, address, count, interval=0.05, size=56, seconds=None):
        """Send count echo requests; how many came back."""
        seconds = seconds or count * interval + 20
        out = self.run("ping -q -c %d -i %g -s %d -W 5 %s" % (
            count, interval, size, address), int(seconds))
        found = re.search(r"(\d+) packets received", out)
        if not found:
            raise RuntimeError("guest: ping: " + out)
        return int(found.group(1))

    def counters(self):
        """ppp0's (bytes sent, bytes received, packets out, packets in)."""
        text = self.check("cd /sys/class/net/ppp0/statistics && "
                          "cat tx_bytes rx_bytes tx_packets rx_packets")
        return tuple(int(n) for n in text.split())

    def udp_losses(self):
        """How many datagrams the guest's sockets had no room for, ever."""
        text = self.check("grep Udp: /proc/net/snmp")
        names, values = (line.split() for line in text.splitlines())
        return sum(int(values[names.index(name)])
                   for name in ("RcvbufErrors", "SndbufErrors"))

    def sent_received(self):
        """pppd's own count at the end of the call: (sent, received)."""
        found = re.search(r"Sent (\d+) bytes, received (\d+) bytes",
                          self.ppp_log())
        if not found:
            raise RuntimeError("guest: pppd did not count:\n" +
                               self.ppp_log())
        return int(found.group(1)), int(found.group(2))
