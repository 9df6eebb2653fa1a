"""Interception: copies are, octet by octet, what was sent and received.

What the subscribers send and get is captured on the carrier's wire and taken
out of L2TP; the copies are read from a socket.
"""

import os
import random
import socket
import threading
import time

import pytest

import daemon as daemon_module
import wirecheck
from net import INET_ADDR, LNS_ADDR
from terminal import Terminal
from world import MB, Dump, exchange
from world import wires, world      # fixtures

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has another command")

SO_RCVBUFFORCE = 33
PORT = 9123


class Copies(threading.Thread):
    """The target: all that comes, in order."""

    def __init__(self, space, address, port):
        threading.Thread.__init__(self, daemon=True)
        self.socket = space.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 * MB)
        self.socket.bind((address, port))
        self.socket.settimeout(0.2)
        self.packets = []
        self.done = False
        self.start()

    def run(self):
        while not self.done:
            try:
                self.packets.append(self.socket.recv(65536))
            except TimeoutError:
                pass

    def stop(self):
        time.sleep(0.5)
        self.done = True
        self.join(5)
        self.socket.close()
        return self.packets

    def of(self, address):
        """From the subscriber, and to it."""
        a = socket.inet_aton(address)
        return ([p for p in self.packets if p[12:16] == a],
                [p for p in self.packets if p[16:20] == a])


class Kept(wirecheck.Traffic):
    """What crossed the carrier's wire one way, as it is."""

    def __init__(self):
        wirecheck.Traffic.__init__(self)
        self.all = []

    def add(self, packet, verify):
        self.all.append(packet.raw)
        wirecheck.Traffic.add(self, packet, verify)


class Wire:
    """The carrier's wire from here on."""

    def __init__(self, world):
        self.dump = Dump(world.net.lac, "lns0",
                         os.path.join(world.directory, "wire.pcap"))
        world.keep(self.dump.process)
        self.dump.process.wait_log("listening on", 10)

    def of(self, address):
        time.sleep(1.2)     # tcpdump gets its last packets within a second
        seen = wirecheck.Carrier(LNS_ADDR)
        seen.up, seen.down = Kept(), Kept()
        seen.read(self.dump.stop())
        a = socket.inet_aton(address)
        return ([p for p in seen.up.all if p[12:16] == a],
                [p for p in seen.down.all if p[16:20] == a])


def same(sent, copies):
    """Which is the first that differs is said rather than shown."""
    for n, (one, other) in enumerate(zip(sent, copies)):
        assert one == other, (n, one.hex(), other.hex())
    assert len(sent) == len(copies)


def ping(world, address, count, size):
    world.net.lac.run("ping", "-n", "-q", "-I", address, "-c", str(count),
                      "-i", "0.01", "-s", str(size), INET_ADDR)


def datagrams(world, address, count, size):
    """Both ways, in bursts."""
    rng = random.Random(size)
    far, near = world.net.inet.socket(), world.net.lac.socket()
    far.bind((INET_ADDR, 7100))
    near.bind((address, 7100))
    for _ in range(count):
        near.sendto(rng.randbytes(size), (INET_ADDR, 7100))
        far.sendto(rng.randbytes(size), (address, 7100))
    time.sleep(0.2)
    far.close()
    near.close()


def scene(world, offload=True, **config):
    world.daemon(offload=offload, snoop_host=INET_ADDR, snoop_port=PORT,
                 **config)
    carrier = world.carrier("sn", 2, tun_offload=True, gso=20)
    terminal = Terminal(world.net.lns)
    terminal.enable()
    return carrier.addresses, terminal


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_copies_are_what_was_sent_and_received(world, offload):
    """Small packets, 1400 octets, bursts of TCP; of one of two."""
    (address, other), terminal = scene(world, offload)
    ping(world, address, 3, 56)
    copies = Copies(world.net.inet, INET_ADDR, PORT)
    wire = Wire(world)
    assert terminal.run("snoop sn-0") == \
        "Snooping user sn-0 to %s:%d\n" % (INET_ADDR, PORT)
    for size in (0, 1, 56, 1400 - 28):
        ping(world, address, 20, size)
        ping(world, other, 5, size)
    datagrams(world, address, 100, 1400 - 28)
    exchange(world, 4 * MB, 4 * MB)
    time.sleep(0.5)
    assert terminal.run("no snoop sn-0") == "Not snooping user sn-0\n"
    before = world.counters()
    up, down = wire.of(address)
    ping(world, address, 5, 56)
    came = copies.stop()
    copied_up, copied_down = copies.of(address)
    same(up, copied_up)
    same(down, copied_down)
    assert len(came) == len(up) + len(down)
    assert len(up) > 2000 and len(down) > 3000
    counters = world.counters()
    assert counters["packets_snooped"] == before["packets_snooped"] == \
        len(came)
    assert counters["snoop_errors"] == 0
    world.lns.wait_log(r"interception of sn-0 begins: copies to %s port %d, "
                       r"by " % (INET_ADDR, PORT))
    world.lns.wait_log(r"interception of sn-0 ends")
    terminal.close()


def test_a_throttled_one_is_copied_as_it_passes(world):
    (address, _), terminal = scene(world, throttle_speed=5000)
    copies = Copies(world.net.inet, INET_ADDR, PORT)
    wire = Wire(world)
    terminal.run("throttle sn-0")
    terminal.run("snoop sn-0 %s %d" % (INET_ADDR, PORT))
    datagrams(world, address, 300, 1400)
    exchange(world, MB // 2, MB // 2)
    time.sleep(0.5)
    assert world.counters()["throttle_dropped"] > 0
    up, down = wire.of(address)
    copies.stop()
    copied_up, copied_down = copies.of(address)
    same(up, copied_up)
    same(down, copied_down)
    terminal.close()


def test_copies_larger_than_the_mtu_are_fragmented(world):
    """The way to the LAC takes 1538, so subscribers send 1492."""
    net = world.net
    for space, device in ((net.lac, "lns0"), (net.lac, "br0"),
                          (net.lns, "lac0")):
        space.ip("link set %s mtu 1538" % device)
    try:
        (address, _), terminal = scene(world, l2tp_mtu=1538)
        copies = Copies(net.inet, INET_ADDR, PORT)
        terminal.run("snoop sn-0")
        ping(world, address, 10, 1492 - 28)
        time.sleep(0.3)
        assert len(copies.stop()) == 20
        assert {len(p) for p in copies.packets} == {1492}
        assert world.counters()["snoop_errors"] == 0
        terminal.close()
    finally:
        for space, device in ((net.lac, "lns0"), (net.lac, "br0"),
                              (net.lns, "lac0")):
            space.ip("link set %s mtu 1500" % device)


def quiet(world, seconds=1.0):
    """Copies that are made while nobody sends anything."""
    time.sleep(0.5)
    before = world.counters()["packets_snooped"]
    time.sleep(seconds)
    return world.counters()["packets_snooped"] - before


@pytest.mark.parametrize("listening", [True, False],
                         ids=["open", "closed"])
def test_a_target_behind_the_session_itself(world, listening):
    """Its copies come by again, and what it says to them: never copied."""
    (address, other), terminal = scene(world)
    copies = [Copies(world.net.lac, a, PORT)
              for a in (address, other)] if listening else []
    terminal.run("snoop sn-0 %s %d" % (address, PORT))
    for size in (56, 1400, 1434):       # copies of the last are fragmented
        ping(world, address, 10, size)
    assert quiet(world) == 0
    made = world.counters()["packets_snooped"]
    assert 60 <= made <= 70, made
    # Each in the other's way: both are copied, and their copies are not.
    terminal.run("snoop sn-0 %s %d" % (other, PORT))
    terminal.run("snoop sn-1 %s %d" % (address, PORT))
    for size in (56, 1400, 1434):
        ping(world, address, 10, size)
        ping(world, other, 10, size)
    assert quiet(world) == 0
    assert 120 <= world.counters()["packets_snooped"] - made <= 140
    for one in copies:
        one.stop()
        assert one.packets
    terminal.close()


def test_an_unreachable_target_costs_nobody_anything(world):
    (address, other), terminal = scene(world)
    terminal.run("snoop sn-0 192.0.2.1 9")      # no route
    copies = Copies(world.net.inet, INET_ADDR, PORT)
    terminal.run("snoop sn-1")
    ping(world, address, 20, 56)
    ping(world, other, 20, 56)
    assert len(copies.stop()) == 40
    counters = world.counters()
    assert counters["snoop_errors"] == 40
    assert counters["packets_snooped"] == 40
    terminal.run("drop user sn-0")
    world.lns.wait_log(r"interception of sn-0 ends: copies to 192.0.2.1 "
                       r"port 9, by the session's end")
    terminal.close()
