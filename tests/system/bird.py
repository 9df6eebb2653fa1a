"""Routers that speak BGP: BIRD, FRR's bgpd, and one that says what it likes."""

import json
import os
import re
import signal
import socket
import struct

import net

PORT = 179


class Bird:
    """BIRD in a namespace, with the BGP protocol `lns`.

    options are further lines of that protocol; without remote_as any other
    AS will do.  It is started by the constructor and may be stopped and
    started again.
    """

    def __init__(self, space, directory, address, remote, local_as,
                 remote_as, options=()):
        os.makedirs(directory)
        self.space, self.directory = space, directory
        self.socket = os.path.join(directory, "ctl")
        self.logfile = os.path.join(directory, "bird.log")
        self.config = os.path.join(directory, "bird.conf")
        self.process = None
        with open(self.config, "w") as f:
            f.write("""router id %s;
log stderr all;
debug protocols { states, events };
protocol device {}
protocol direct { ipv4; }
protocol bgp lns {
    local %s as %d;
    neighbor %s %s;
    strict bind on;
    connect delay time 1;
    error wait time 1, 2;
    ipv4 { import all; export none; };
    %s
}
""" % (address, address, local_as, remote,
       "as %d" % remote_as if remote_as else "external",
       "\n    ".join(o + ";" for o in options)))
        self.start()

    def start(self):
        self.process = self.space.start(
            ["bird", "-f", "-c", self.config, "-s", self.socket],
            self.logfile)
        net.wait_for("BIRD", 10, lambda: os.path.exists(self.socket))

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.stop(5, number)
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.process = None

    def log(self):
        with open(self.logfile, errors="replace") as f:
            return f.read()

    def ask(self, *words):
        return net.sh("birdc", "-s", self.socket, *words)

    def up(self):
        return "Established" in self.ask("show", "protocols", "lns")

    def details(self):
        return self.ask("show", "protocols", "all", "lns")

    def table(self):
        """{prefix: {attribute: value}} of what it learnt by BGP."""
        found, routes = None, {}
        for line in self.ask("show", "route", "all", "protocol",
                             "lns").splitlines():
            begins = re.match(r"(\d[\d./]+)\s", line)
            if begins:
                found = routes.setdefault(begins.group(1), {})
            attribute = re.match(r"\s+BGP\.(\w+): ?(.*)", line)
            if attribute:
                found[attribute.group(1)] = attribute.group(2)
        return routes

    def prefixes(self):
        return set(self.table())

    def wait(self, wanted, seconds=10):
        """Until its table has exactly these prefixes."""
        wanted = set(wanted)
        net.wait_for(lambda: "%s, not %s:\n%s" % (
            sorted(wanted), sorted(self.prefixes()), self.log()[-2000:]),
            seconds, lambda: self.prefixes() == wanted)

    def wait_up(self, seconds=10):
        net.wait_for(lambda: "a session:\n" + self.log()[-2000:], seconds,
                     self.up)


class Frr:
    """FRR's bgpd alone: it says what it learnt and routes nothing.

    remote is an address or a list of them.
    """

    BGPD = "/usr/lib/frr/bgpd"

    def __init__(self, space, directory, address, remote, local_as,
                 remote_as, options=()):
        os.makedirs(directory)
        os.chmod(directory, 0o777)
        self.directory = directory
        remotes = [remote] if isinstance(remote, str) else remote
        config = os.path.join(directory, "bgpd.conf")
        with open(config, "w") as f:
            f.write("\n".join(
                ["router bgp %d" % local_as, " bgp router-id " + address,
                 " no bgp ebgp-requires-policy",
                 " no bgp network import-check"] + [
                    " neighbor %s %s" % (one, line) for one in remotes
                    for line in ["remote-as %d" % remote_as, *options]]) +
                    "\n")
        self.process = space.start(
            [self.BGPD, "-n", "-S", "-f", config, "-i",
             os.path.join(directory, "pid"), "-z",
             os.path.join(directory, "zserv"), "-P", "0", "--vty_socket",
             directory, "-l", address, "--log", "stdout"],
            os.path.join(directory, "bgpd.log"))
        net.wait_for(lambda: "bgpd:\n" + self.process.log(), 20,
                     lambda: os.path.exists(directory + "/bgpd.vty"))

    def ask(self, command):
        return net.sh("vtysh", "--vty_socket", self.directory, "-d", "bgpd",
                      "-c", command)

    def prefixes(self, remote=None):
        """All, or what this neighbour has announced."""
        of = " neighbors %s routes" % remote if remote else ""
        text = self.ask("show bgp ipv4 unicast%s json" % of)
        return set(json.loads(text or "{}").get("routes", {}))

    def wait(self, wanted, seconds=20):
        net.wait_for(lambda: "%s, not %s" % (
            sorted(wanted), sorted(self.prefixes())), seconds,
            lambda: self.prefixes() == set(wanted))

    def stop(self):
        self.process.stop(5)


# -- messages

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5


def message(kind, body=b""):
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def open_message(local_as, hold=90, identifier="10.99.2.1", version=4,
                 parameters=b""):
    return message(OPEN, struct.pack(
        ">BHH4sB", version, min(local_as, 23456 if local_as > 65535 else
                                65535), hold,
        socket.inet_aton(identifier), len(parameters)) + parameters)


class Speaker:
    """A socket on port 179 of an address, for one connection at a time."""

    def __init__(self, space, address):
        self.listener = space.socket(kind=socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, PORT))
        self.listener.listen(5)
        self.listener.settimeout(10)
        self.peer = None
        self.buffer = b""

    def accept(self, seconds=10):
        self.hang_up()
        self.listener.settimeout(seconds)
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(10)
        self.buffer = b""

    def hang_up(self):
        if self.peer is not None:
            self.peer.close()
        self.peer = None

    def close(self):
        self.hang_up()
        self.listener.close()

    def say(self, *octets):
        self.peer.sendall(b"".join(octets))

    def hear(self):
        """The next message: its type and body; (None, b"") at the end."""
        while True:
            if len(self.buffer) >= 19:
                assert self.buffer[:16] == MARKER
                size, kind = struct.unpack(">HB", self.buffer[16:19])
                if len(self.buffer) >= size:
                    body = self.buffer[19:size]
                    self.buffer = self.buffer[size:]
                    return kind, body
            more = self.peer.recv(65536)
            if not more:
                assert not self.buffer, self.buffer
                return None, b""
            self.buffer += more

    def hear_kind(self, wanted):
        """The body of the next message of a kind; others are passed over."""
        while True:
            kind, body = self.hear()
            if kind == wanted or kind is None:
                return body if kind is not None else None
