"""A carrier with real subscribers: lacsim with a TUN device, the wires between
the namespaces as they are in the world, and everything captured on them.
"""

import hashlib
import os
import random
import signal
import socket
import threading
import time

import pytest

import net as net_module
import peek
import sim
import wirecheck
from net import INET_ADDR, LNS_ADDR, wait_for

MB = 1 << 20
RULES = 1000            # of ip rule: their place


# -- the wires

# (namespace, device, features): frames are cut and complete where they are
# captured, but the internet's TCP hands over super-packets.
WIRES = (
    ("lns", "lac0", {"tx": "off", "tso": "off", "gso": "off", "gro": "on",
                     "tx-udp-segmentation": "off"}),
    ("lac", "lns0", {"tx": "off", "tso": "off", "gso": "off",
                     "tx-udp-segmentation": "off"}),
    ("lns", "inet0", {"tx": "off", "tso": "off", "gso": "off", "gro": "off",
                      "tx-udp-segmentation": "off"}),
)
DEFAULTS = {"tx": "on", "tso": "on", "gso": "on", "gro": "off",
            "tx-udp-segmentation": "on"}


def features(net, space, device, wanted):
    for key, value in wanted.items():
        getattr(net, space).run("ethtool", "-K", device, key, value,
                                check=False)


@pytest.fixture(scope="module")
def wires(net):
    for space, device, wanted in WIRES:
        features(net, space, device, wanted)
    for space in (net.lac, net.lns, net.inet):
        space.sysctl("net.ipv4.conf.all.rp_filter", 0)
        space.sysctl("net.ipv4.conf.default.rp_filter", 0)
    yield
    for space, device, wanted in WIRES:
        features(net, space, device, {k: DEFAULTS[k] for k in wanted})


class Dump:
    """tcpdump with room for all that a test sends."""

    def __init__(self, space, interface, path):
        self.path = path
        self.process = space.start(
            ["tcpdump", "-i", interface, "-s", "0", "-B", "200000", "-Z",
             "root", "-w", path, "ip"], path + ".log")

    def stop(self):
        self.process.stop(20, signal.SIGINT)
        log = self.process.log()
        assert "\n0 packets dropped by kernel" in log, log
        return self.path


# -- the scene

class Carrier:
    """A lacsim whose subscribers have addresses of this namespace."""

    def __init__(self, world, name, sessions=1, **options):
        self.name = name
        self.table = str(100 + len(world.carriers))
        self.net = world.net
        addresses = os.path.join(world.directory, name + ".addresses")
        self.lac = world.keep(sim.LacSim(
            world.net.lac, world.directory, name, sessions=sessions,
            rate=50, tun=name, addresses=addresses, until_up=True,
            user=name + "-%d", **options))
        wait_for("%s to be up:\n%s" % (name, self.lac.log()), 30,
                 lambda: "all up" in self.lac.log())
        with open(addresses) as f:
            self.addresses = [line.split()[0] for line in f]
        assert len(self.addresses) == sessions
        lac = world.net.lac
        lac.ip("route replace default dev %s table %s" % (name, self.table))
        for address in self.addresses:
            lac.ip("rule add from %s lookup %s pref %d" % (
                address, self.table, RULES))

    def forget(self):
        for address in self.addresses:
            net_module.sh("ip", "-n", self.net.lac.name, "rule", "del",
                          "from", address, "pref", str(RULES), check=False)


class World:
    def __init__(self, net, start, directory):
        self.net = net
        self.start = start
        self.directory = directory
        self.made = []
        self.carriers = []
        self.lns = None

    def keep(self, one):
        self.made.append(one)
        return one

    def daemon(self, ip_pool=net_module.POOL, **config):
        self.radius = self.keep(sim.RadResp(self.net.inet, self.directory))
        keys = {"radius_secret": sim.SECRET, "primary_radius": INET_ADDR,
                "radius_accounting": True, "debug": 2}
        keys.update(config)
        self.lns = self.start(config=keys, ip_pool=ip_pool + "\n")
        return self.lns

    def carrier(self, name, sessions=1, **options):
        one = Carrier(self, name, sessions, **options)
        self.carriers.append(one)
        return one

    def dump(self):
        self.dumps = [
            Dump(self.net.lac, "lns0", os.path.join(self.directory,
                                                    "carrier.pcap")),
            Dump(self.net.lns, "tun0", os.path.join(self.directory,
                                                    "tun.pcap")),
            Dump(self.net.inet, "lns0", os.path.join(self.directory,
                                                     "internet.pcap"))]
        for one in self.dumps:
            self.keep(one.process)
        for one in self.dumps:
            one.process.wait_log("listening on", 10)

    def look(self, wrong=False):
        """The captures, read and checked; wrong: checksums may be wrong."""
        time.sleep(1.2)     # tcpdump gets its last packets within a second
        for one in self.dumps:
            one.process.send(signal.SIGINT)
        paths = [one.stop() for one in self.dumps]
        self.inet_pcap = paths[2]
        subscribers = net_module.SUBSCRIBERS
        return (wirecheck.Carrier(LNS_ADDR, wrong).read(paths[0]),
                wirecheck.Inner(subscribers, whole=True).read(paths[1]),
                wirecheck.Inner(subscribers, whole=wrong).read(paths[2]))

    def inet_checksums(self, on):
        """Whether the internet's host leaves them to its device."""
        features(self.net, "inet", "lns0", {"tx": on})

    def counters(self):
        return peek.counters(self.lns.pid)

    def tun_drops(self):
        """Captured, but never in the device's queue: it was full."""
        return int(self.net.lns.run(
            "cat", "/sys/class/net/tun0/statistics/tx_dropped"))

    def end(self):
        """The daemon first: its records are answered while radresp is
        there, else it waits for that."""
        try:
            if self.lns is not None:
                self.lns.finish()
        finally:
            self.clean()

    def clean(self):
        self.inet_checksums("on")
        for one in self.carriers:
            one.forget()
        for one in self.made:
            one.kill() if hasattr(one, "kill") else one.stop(1)


@pytest.fixture
def world(net, wires, daemon, tmp_path):
    one = World(net, daemon, str(tmp_path))
    yield one
    one.end()


# -- TCP

def some_data(seed, size):
    """Octets that repeat nowhere near, in chunks of odd sizes."""
    rng = random.Random(seed)
    block = rng.randbytes(4 * MB)
    while size > 0:
        n = min(size, rng.choice((1, 100, 1447, 1448, 5000, 65536, 200000)))
        at = rng.randrange(len(block) - n)
        yield block[at:at + n]
        size -= n


class Pipe(threading.Thread):
    """One way of a connection: what was sent, or what came, as a digest."""

    def __init__(self, peer, seed, size, sends):
        threading.Thread.__init__(self, daemon=True)
        self.peer, self.seed, self.size, self.sends = peer, seed, size, sends
        self.digest = hashlib.blake2b()
        self.octets = 0
        self.error = None
        self.start()

    def run(self):
        try:
            self.send() if self.sends else self.receive()
        except OSError as error:
            self.error = error

    def send(self):
        for chunk in some_data(self.seed, self.size):
            self.peer.sendall(chunk)
            self.digest.update(chunk)
            self.octets += len(chunk)
        self.peer.shutdown(socket.SHUT_WR)

    def receive(self):
        while True:
            chunk = self.peer.recv(256 * 1024)
            if not chunk:
                break
            self.digest.update(chunk)
            self.octets += len(chunk)


def tcp_socket(space, control):
    one = space.socket(kind=socket.SOCK_STREAM)
    one.settimeout(120)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                   control.encode())
    return one


def connect(world, address, port, control):
    server = tcp_socket(world.net.inet, control)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((INET_ADDR, port))
    server.listen(1)
    client = tcp_socket(world.net.lac, control)
    client.bind((address, 0))
    client.connect((INET_ADDR, port))
    peer, _ = server.accept()
    server.close()
    peer.settimeout(120)
    return client, peer


def exchange(world, up, down, control="cubic", seconds=100):
    """So many octets each way, through every subscriber at once."""
    addresses = [a for c in world.carriers for a in c.addresses]
    pipes, sockets = [], []
    began = time.monotonic()
    for n, address in enumerate(addresses):
        client, peer = connect(world, address, 5001 + n, control)
        sockets += [client, peer]
        pipes.append((Pipe(client, n, up, True), Pipe(peer, n, up, False)))
        pipes.append((Pipe(peer, -n, down, True),
                      Pipe(client, -n, down, False)))
    for pair in pipes:
        for pipe in pair:
            pipe.join(max(0.1, seconds - (time.monotonic() - began)))
    took = time.monotonic() - began
    for one in sockets:
        one.close()
    for sent, came in pipes:
        assert sent.error is None and came.error is None, (
            sent.error, came.error)
        assert sent.octets == came.octets
        assert sent.digest.digest() == came.digest.digest()
    return took


def hang_up(world):
    """The subscribers end their calls; lacsim's results, with the books
    closed."""
    want = 0
    for one in world.carriers:
        one.lac.process.send(signal.SIGTERM)
        want += len(one.addresses)
    results = [one.lac.result(30) for one in world.carriers]
    wait_for("the Stops", 15, lambda: world.radius.summary()[
        "accounting"]["stops"] == want)
    return results
