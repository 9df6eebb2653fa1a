"""Plugins that look at packets: each once each way, single and complete.

tests/plugins/count.c counts what it is shown, by session, and looks at every
length and checksum itself; that must be what the sessions have counted, with
offloads and without.  Some packets, UDP of port 7777, it plays with.
"""

import contextlib
import json
import re
import socket
import struct
import threading
import time

import pytest

import daemon as daemon_module
from net import INET_ADDR, LNS_INET_ADDR, wait_for
from plugdir import nsctl
from plugdir import plugin_dir      # fixture
from terminal import Terminal
from test_offload import BOTH, UDP_SEGMENT, assert_comes, bodies, udp_socket
from world import MB, exchange
from world import wires, world      # fixtures

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference never calls packet hooks")

PLAY = 7777
COUNTS = re.compile(r"rx (\d+) (\d+) tx (\d+) (\d+) bad (\d+) longest (\d+)")


class Scene:
    """A server with the plugin count, subscribers, and eyes on both."""

    def __init__(self, world, plugin_dir, sessions, load=True, **config):
        self.world = world
        self.lns = world.daemon(plugin_dir=plugin_dir, **config)
        self.carrier = world.carrier("ph", sessions, tun_offload=True, gso=16)
        self.addresses = self.carrier.addresses
        self.terminal = Terminal(world.net.lns)
        self.terminal.enable()
        self.sids = {row["ip"]: row["sid"] for row in self.rows("session")}
        if load:
            self.nsctl("load_plugin", "count")

    def nsctl(self, *words):
        return nsctl(self.world.net.lns, *words)

    def rows(self, what):
        return json.loads(self.terminal.run("show %s json" % what))

    def seen(self, sid=None):
        """(packets, octets up, packets, octets down) that the plugin saw."""
        told = self.nsctl("count", *[str(sid)] if sid else [])
        numbers = [int(n) for n in COUNTS.search(told).groups()]
        assert numbers[4] == 0, told
        assert numbers[5] <= 1500, told
        return tuple(numbers[:4])

    def passed(self, sid):
        """The same, as the session has it."""
        row, = self.rows("session %d" % sid)
        return (row["uploaded_packets"], row["uploaded"],
                row["downloaded_packets"], row["downloaded"])

    def assert_seen(self):
        """By the plugin what the sessions counted, all of them; returns how
        many packets each way."""
        sids = list(self.sids.values())
        wait_for("the last packets", 5, lambda: [
            self.seen(s) for s in sids] == [self.passed(s) for s in sids])
        every = [self.seen(s) for s in sids]
        assert self.seen() == tuple(map(sum, zip(*every)))
        return [(one[0], one[2]) for one in every]

    def counter(self, name):
        return self.world.counters()[name]

    @contextlib.contextmanager
    def sockets(self, *places):
        """UDP sockets at ("lac" or "inet", address, port) each."""
        with contextlib.ExitStack() as stack:
            found = []
            for where, address, port in places:
                one = udp_socket(getattr(self.world.net, where), address,
                                 port)
                stack.callback(one.close)
                found.append(one)
            yield found


def burst(one, to, size, count, seed):
    """One write that the kernel makes many datagrams of."""
    data = bodies(seed, 0, [size] * count)
    one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
    one.sendto(b"".join(data), to)
    one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
    return data


def bundles(scene, address):
    """Both ways, sixteen at a time, twenty times."""
    with scene.sockets(("lac", address, 7000),
                       ("inet", INET_ADDR, 7001)) as (a, b):
        for n in range(20):
            assert_comes(b, burst(a, (INET_ADDR, 7001), 1200 - n, 16, n))
            assert_comes(a, burst(b, (address, 7000), 700 + n, 16, n))


def fragments(scene, address):
    """Datagrams of three and of four pieces; returns how many of those."""
    with scene.sockets(("lac", address, 7000),
                       ("inet", INET_ADDR, 7001)) as (a, b):
        data = bodies(3, 0, [4000] * 10)
        for body in data:
            a.sendto(body, (INET_ADDR, 7001))
            b.sendto(body, (address, 7000))
        assert_comes(a, data)
        assert_comes(b, data)


# Subscribers of one host would talk behind the server's back, so what they
# say to the internet goes to the other one.
ECHO = """table ip hooks {
    chain in {
        type nat hook prerouting priority dstnat;
        iifname "tun0" ip saddr %(one)s udp dport 7100 dnat to %(other)s:7000
        iifname "tun0" ip saddr %(other)s udp dport 7100 dnat to %(one)s:7000
    }
}"""


def among_subscribers(scene, one, other):
    """A burst, and single ones back."""
    net = scene.world.net
    net.lac.sysctl("net.ipv4.conf.ph.accept_local", 1)
    net.lns.run("nft", "-f", "-", stdin=ECHO % {"one": one, "other": other})
    try:
        with scene.sockets(("lac", one, 7000), ("lac", other, 7000)) \
                as (a, b):
            for n in range(5):
                assert_comes(b, burst(a, (INET_ADDR, 7100), 1000, 16, n))
                body, = bodies(n, 0, [100])
                b.sendto(body, (INET_ADDR, 7100))
                assert_comes(a, [body])
    finally:
        net.lns.run("nft", "delete", "table", "ip", "hooks")


def from_the_server_itself(scene, address):
    """Single packets whose checksum the kernel leaves to the device."""
    with scene.sockets(("lac", address, 7000),
                       ("lns", LNS_INET_ADDR, 7001)) as (a, b):
        data = bodies(4, 0, range(1, 11))
        for body in data:
            b.sendto(body, (address, 7000))
        assert_comes(a, data)


def throttled(scene, address):
    """A burst that the queue has room for; it is seen when it comes."""
    before = scene.seen(scene.sids[address])
    delayed = scene.counter("throttle_delayed")
    with scene.sockets(("lac", address, 7000),
                       ("inet", INET_ADDR, 7001)) as (a, b):
        data = burst(b, (address, 7000), 1200, 30, 5)
        assert_comes(a, data)
        data = burst(a, (INET_ADDR, 7001), 1200, 30, 6)
        assert_comes(b, data)
    scene.assert_seen()
    after = scene.seen(scene.sids[address])
    assert (after[0] - before[0], after[2] - before[2]) == (30, 30)
    assert scene.counter("throttle_delayed") > delayed
    assert scene.counter("throttle_dropped") == 0


@BOTH
def test_every_packet_once(world, plugin_dir, offload):
    scene = Scene(world, plugin_dir, 3, offload=offload, throttle_speed=64)
    first, second, third = scene.addresses
    before = scene.assert_seen()
    bundles(scene, first)
    fragments(scene, second)
    from_the_server_itself(scene, third)
    among_subscribers(scene, first, third)
    gone = [(after[0] - was[0], after[1] - was[1])
            for was, after in zip(before, scene.assert_seen())]
    by_address = dict(zip(scene.sids, gone))
    assert by_address[first] == (320 + 80, 320 + 5)
    # 4008 octets are three fragments of up to 1462, or of up to 1500, of
    # which the kernel makes two each where they are too long for the device.
    assert by_address[second] == (30, 50)
    assert by_address[third] == (5, 80 + 10)
    assert scene.terminal.run("throttle ph-1 4000") == \
        "Throttling user ph-1\n"
    throttled(scene, second)
    scene.terminal.run("no throttle ph-1")
    # TCP last: it has a word to say when all is over, too.
    exchange(world, MB, 2 * MB)
    scene.assert_seen()
    _, up, _, down = scene.seen()
    assert up > 3 * MB and down > 6 * MB
    for name in ("drop_plugin", "drop_plugin_header", "plugin_bad_length",
                 "tunnel_tx_errors", "eth_tx_errors", "eth_rx_errors"):
        assert scene.counter(name) == 0, name
    # Gone, it sees nothing more; back, it begins anew.
    scene.nsctl("unload_plugin", "count")
    bundles(scene, first)
    scene.nsctl("load_plugin", "count")
    assert scene.seen()[1] < MB


# -- what it does to packets

def inverted(body):
    return bytes(octet ^ 0xff for octet in body)


@BOTH
def test_what_a_plugin_changes_arrives(world, plugin_dir, offload):
    """Bursts: cut before it sees them, joined after that."""
    scene = Scene(world, plugin_dir, 1, offload=offload)
    address, = scene.addresses
    scene.nsctl("play", "turn")
    with scene.sockets(("lac", address, PLAY),
                       ("inet", INET_ADDR, PLAY)) as (a, b):
        for n in range(5):
            data = burst(a, (INET_ADDR, PLAY), 1100, 16, n)
            assert_comes(b, map(inverted, data))
            data = burst(b, (address, PLAY), 1100, 16, n)
            assert_comes(a, map(inverted, data))
    scene.assert_seen()


class Probe:
    """One datagram after the other, from a subscriber or to it."""

    def __init__(self, scene, address, a, b):
        self.scene, self.address, self.a, self.b = scene, address, a, b
        self.number = 0

    def send(self, up):
        self.number += 1
        body = struct.pack("!I", self.number) + bytes(100)
        if up:
            self.a.sendto(body, (INET_ADDR, PLAY))
        else:
            self.b.sendto(body, (self.address, PLAY))
        return body

    def passes(self):
        for up, far in ((True, self.b), (False, self.a)):
            body = self.send(up)
            assert far.recv(65536) == body

    def is_dropped(self, counter):
        for up in (True, False):
            before = self.scene.counter(counter)
            self.send(up)
            wait_for(counter, 5, lambda: self.scene.counter(
                counter) == before + 1)

    def nothing_came(self):
        for one in (self.a, self.b):
            one.settimeout(0.2)
            with pytest.raises(TimeoutError):
                one.recv(65536)
            one.settimeout(5)


def test_rubbish_that_a_plugin_returns(world, plugin_dir):
    scene = Scene(world, plugin_dir, 1)
    address, = scene.addresses
    with scene.sockets(("lac", address, PLAY),
                       ("inet", INET_ADDR, PLAY)) as (a, b):
        probe = Probe(scene, address, a, b)
        probe.passes()
        for n in (1, 4, 100000, 2 ** 31 - 200, -2 ** 31):
            scene.nsctl("play", "add", str(n))
            probe.passes()
        assert scene.counter("plugin_bad_length") == 10
        scene.nsctl("play", "return", "2")      # PLUGIN_RET_STOP
        probe.passes()
        for n in (0, -1, 3, 2 ** 31 - 1):
            scene.nsctl("play", "return", str(n))
            probe.is_dropped("drop_plugin")
        scene.nsctl("play", "len", "0")
        probe.is_dropped("drop_plugin")
        for n in (1, 19):
            scene.nsctl("play", "len", str(n))
            probe.is_dropped("drop_plugin_header")
        for n in range(0, 20, 3):
            scene.nsctl("play", "spoil", str(n))
            probe.is_dropped("drop_plugin_header")
        probe.nothing_came()
        scene.nsctl("play", "nothing")
        probe.passes()
    log = scene.lns.log()
    assert "plugin count: plugin_packet_rx set len to 133 of 132 octets; " \
        "it stays as it was" in log
    assert "plugin count: plugin_packet_rx returned 0, an error" in log
    assert "left no sound IP header; packet dropped" in log
    assert log.count("plugin count: ") < 20


def test_a_shorter_length_is_in_the_header(world, plugin_dir, capture):
    scene = Scene(world, plugin_dir, 1)
    address, = scene.addresses
    with scene.sockets(("lac", address, PLAY), ("inet", INET_ADDR, PLAY)) \
            as (a, b), world.net.inet.socket(
                kind=socket.SOCK_RAW, proto=socket.IPPROTO_UDP) as raw:
        raw.settimeout(5)
        scene.nsctl("play", "len", "77")
        Probe(scene, address, a, b).send(up=True)
        # The kernel has looked at the header, and UDP is not asked here.
        while True:
            packet = raw.recv(65536)
            if packet[22:24] == struct.pack("!H", PLAY):
                break
        assert len(packet) == 77
        assert struct.unpack_from("!H", packet, 2)[0] == 77
    sid, = scene.sids.values()
    assert scene.passed(sid)[1] - scene.seen(sid)[1] == 77 - 132


# -- coming and going

def pour(scene, one, to, stop):
    while not stop.is_set():
        burst(one, to, 500, 16, 1)
        time.sleep(0.001)


@BOTH
def test_removal_under_traffic(world, plugin_dir, offload):
    """Nothing is lost to it, and nobody falls over."""
    scene = Scene(world, plugin_dir, 2, load=False, offload=offload)
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            for _ in range(3):
                scene.nsctl("load_plugin", "count")
                time.sleep(0.02)
                scene.nsctl("unload_plugin", "count")

    with scene.sockets(("lac", scene.addresses[0], 7000),
                       ("inet", INET_ADDR, 7001)) as (a, b):
        threads = [threading.Thread(target=f, args=args, daemon=True)
                   for f, args in (
                       (pour, (scene, a, (INET_ADDR, 7001), stop)),
                       (pour, (scene, b, (scene.addresses[0], 7000), stop)),
                       (come_and_go, ()))]
        for thread in threads:
            thread.start()
        try:
            exchange(world, 4 * MB, 8 * MB)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    log = scene.lns.log()
    assert log.count("plugin count removed") >= 3
    for name in ("drop_plugin", "drop_plugin_header", "drop_malformed",
                 "tunnel_tx_errors", "eth_tx_errors", "eth_rx_errors"):
        assert scene.counter(name) == 0, name


# -- what it does to the session whose packet it has

def test_a_plugin_ends_the_session_of_the_packet(world, plugin_dir):
    """In the middle of a burst, the rest of which has nowhere to go."""
    scene = Scene(world, plugin_dir, 5)
    ways = [(word, up) for word in ("end", "vanish") for up in (0, 1)]
    for (word, up), address in zip(ways, scene.addresses):
        scene.nsctl("play", word)
        with scene.sockets(("lac", address, PLAY),
                           ("inet", INET_ADDR, PLAY)) as (a, b):
            burst(*((a, (INET_ADDR, PLAY)) if up else (b, (address, PLAY))),
                  900, 16, 1)
            wait_for("the end of " + address, 5, lambda: address not in [
                row["ip"] for row in scene.rows("session")])
            Probe(scene, address, a, b).nothing_came()
    assert scene.lns.log().count("ended: a packet came") == 4
    scene.nsctl("play", "nothing")
    address = scene.addresses[4]
    with scene.sockets(("lac", address, PLAY),
                       ("inet", INET_ADDR, PLAY)) as (a, b):
        Probe(scene, address, a, b).passes()


def test_a_plugin_throttles_the_session_of_the_packet(world, plugin_dir):
    """From this packet on; and when it lets go, what waited comes first."""
    scene = Scene(world, plugin_dir, 1, throttle_speed=64)
    address, = scene.addresses
    sid, = scene.sids.values()
    scene.nsctl("play", "slow", "4000")
    with scene.sockets(("lac", address, PLAY),
                       ("inet", INET_ADDR, PLAY)) as (a, b):
        for one, to, far in ((a, (INET_ADDR, PLAY), b),
                             (b, (address, PLAY), a)):
            data = burst(one, to, 1200, 30, 1)
            assert_comes(far, data)
        assert scene.counter("throttle_delayed") > 0
        assert scene.rows("session")[0]["throttled"]
        scene.assert_seen()
        # With the plugin's own packet on top of a full queue.
        data = burst(b, (address, 7000), 1200, 30, 2)
        scene.nsctl("play", "slow", "0")
        Probe(scene, address, a, b).passes()
        assert not scene.rows("session")[0]["throttled"]
    assert scene.counter("throttle_dropped") == 0
    scene.assert_seen()
    assert scene.passed(sid)[2] == 61
