"""The data path with its offloads, and without: nobody can tell.

Real TCP stacks on both sides; lacsim with a TUN device is the carrier with
its subscribers.  What crosses the carrier's wire and the internet's is
captured as it is there, packet by packet, and wirecheck looks at every one.
"""

import contextlib
import ipaddress
import os
import random
import socket
import struct
import threading
import time

import pytest

import daemon as daemon_module
import lac as lac_module
import sim
import wirecheck
from net import INET_ADDR, LNS_ADDR, wait_for
from world import MB, exchange, hang_up
from world import wires, world      # fixtures

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has no offloads")

BOTH = pytest.mark.parametrize("offload", [True, False],
                               ids=["offload", "plain"])


# -- TCP

def stops(path):
    """Accounting Stops: (in, out octets, in, out packets) by address."""
    found = {}
    for frame in wirecheck.frames(path):
        packet = wirecheck.Packet(frame, padding=True)
        if packet.proto != wirecheck.UDP or packet.offset or \
                struct.unpack_from("!H", packet.l4, 2)[0] != 1813:
            continue
        body, value = packet.l4[28:], {}
        while body:
            value[body[0]] = body[2:body[1]]
            body = body[body[1]:]
        if value[40] != b"\0\0\0\2":
            continue
        number = {k: int.from_bytes(v, "big") for k, v in value.items()
                  if len(v) == 4}
        found[str(ipaddress.ip_address(value[8]))] = (
            number[42] + (number.get(52, 0) << 32),
            number[43] + (number.get(53, 0) << 32),
            number[47], number[48])
    return found


def compare(world, carrier, tun, internet):
    """Both ways; nothing may be lost between the sides in silence."""
    up = wirecheck.Comparison(tun.up, carrier.up)
    down = wirecheck.Comparison(tun.down, carrier.down)
    counters = world.counters()
    for name in ("tunnel_tx_errors", "eth_tx_errors", "eth_rx_errors",
                 "tunnel_rx_errors", "tunnel_rx_dropped"):
        assert counters[name] == 0, name
    assert up.lost == 0
    assert down.lost == world.tun_drops()
    assert wirecheck.not_in(carrier.up, internet.up) == (0, 0)
    if down.lost == 0:
        assert wirecheck.gaps(carrier.down) == wirecheck.gaps(tun.down)
    return up, down


def assert_accounted(world, carrier, path):
    """The Stops say what was seen to pass; world's subscribers are gone."""
    told = stops(path)
    for address in [a for c in world.carriers for a in c.addresses]:
        came, packets_in = carrier.up.from_host(address)
        went, packets_out = carrier.down.to_host(address)
        assert told[address] == (came, went, packets_in, packets_out)


def tcp_both_ways(world, offload, up, down, control="cubic"):
    """The whole of it, for carriers that are there already."""
    world.dump()
    took = exchange(world, up, down, control)
    complaint = world.lns.log()
    hang_up(world)
    carrier, tun, internet = world.look()
    ways = compare(world, carrier, tun, internet)
    assert_accounted(world, carrier, world.inet_pcap)
    # Super-packets on the TUN device, both ways, where they are wanted.
    assert internet.down.largest() > 10000
    for way in ways:
        assert (way.cut > 0) == offload
    assert carrier.outer_largest <= 1500
    sim.quote("offload-tcp-%s" % world.name, {
        "offload": offload, "seconds": took,
        "mbit_up_and_down": (up + down) * 8e-6 * sum(
            len(c.addresses) for c in world.carriers) / took,
        "packets_up": ways[0].single, "packets_down": ways[1].single,
        "writes": ways[0].whole, "reads": ways[1].whole,
        "longest_up": ways[0].most, "longest_down": ways[1].most,
        "tun_drops": ways[1].lost})
    assert "TUN device" not in complaint and "sending to" not in complaint
    return carrier


@BOTH
def test_tcp_comes_whole_over_a_clean_link(world, offload):
    world.name = "clean"
    world.daemon(offload=offload)
    world.carrier("of-a", 2, tun_offload=True, gso=32)
    world.carrier("of-b", 1, source_port=1702)
    tcp_both_ways(world, offload, 8 * MB, (16 if offload else 8) * MB)


@BOTH
def test_tcp_comes_whole_over_a_bad_link(world, offload):
    """It loses, doubles and reorders."""
    world.name = "bad"
    world.daemon(offload=offload)
    world.carrier("of-a", 2, tun_offload=True, loss=1, reorder=2, dup=1)
    tcp_both_ways(world, offload, 2 * MB, 2 * MB, "bbr")


@BOTH
def test_tcp_comes_whole_over_links_of_many_sizes(world, offload):
    """Each with other headers, all in one queue of the daemon's."""
    world.name = "mixed"
    world.daemon(offload=offload, l2tp_mtu=1400)
    world.carrier("of-a", 1, tun_offload=True, gso=20)
    world.carrier("of-b", 1, source_port=1702, mru=1200, gso=10)
    world.carrier("of-c", 1, source_port=1703, sequence=True,
                  tun_offload=True, gso=10)
    world.carrier("of-d", 1, source_port=1704, acfc=True, pfc=True,
                  data_length=True, data_offset=3, tun_offload=True)
    carrier = tcp_both_ways(world, offload, 2 * MB, 2 * MB)
    assert set(carrier.forms) == {"", "S", " acfc pfc"}


LINKS = {
    "clean": [dict(sessions=2, tun_offload=True, gso=32)],
    "lossy": [dict(sessions=2, tun_offload=True, loss=1)],
    "reordered": [dict(sessions=2, tun_offload=True, reorder=1)],
    "mixed": [dict(tun_offload=True, gso=20),
              dict(source_port=1702, mru=1200, tun_offload=True, gso=10),
              dict(source_port=1703, sequence=True, tun_offload=True),
              dict(source_port=1704, acfc=True, pfc=True, gso=10,
                   tun_offload=True)],
}


@pytest.mark.long
@pytest.mark.parametrize("link", LINKS)
@BOTH
def test_a_gigabyte_each_way(world, offload, link):
    """lacsim looks at every segment down, before its TUN device joins."""
    world.daemon(offload=offload, l2tp_mtu=1400 if link == "mixed" else 1500)
    for n, options in enumerate(LINKS[link]):
        world.carrier("of-%d" % n, **options)
    each = 1024 * MB // sum(len(c.addresses) for c in world.carriers)
    took = exchange(world, each, each, "bbr", 900)
    results = hang_up(world)
    counters = world.counters()
    sim.quote("offload-gigabyte-%s-%s" % (link, offload), {
        "offload": offload, "seconds": took,
        "mbit_up_and_down": 2048 * MB * 8e-6 / took,
        "cpu_seconds": sim.cpu_seconds(world.lns.pid),
        "tun_drops": world.tun_drops(),
        "socket_drops": counters["tunnel_rx_dropped"]})
    for result in results:
        assert result["data"]["malformed"] == 0
        assert result["data"]["tcp_malformed"] == 0
    for name in ("tunnel_tx_errors", "eth_tx_errors", "eth_rx_errors",
                 "tunnel_rx_errors"):
        assert counters[name] == 0, name


# -- everything that is not TCP

SO_RCVBUFFORCE = 33
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
UDP_SEGMENT = 103
ANY_PROTOCOL = 253              # RFC 3692: for experiments


def udp_socket(space, address, port):
    one = space.socket()
    one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 * MB)
    one.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    one.bind((address, port))
    one.settimeout(5)
    return one


def raw_socket(space, address, protocol):
    one = space.socket(kind=socket.SOCK_RAW, proto=protocol)
    one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 * MB)
    one.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    one.bind((address, 0))
    one.settimeout(5)
    return one


def bodies(seed, head, sizes):
    """What makes IP packets of these sizes, behind so many octets."""
    rng = random.Random(seed)
    return [rng.randbytes(n - head) for n in sizes]


def pour(one, to, data):
    """All of it, but not faster than queues of a thousand take it."""
    for n, body in enumerate(data):
        one.sendto(body, to)
        if n % 100 == 99:
            time.sleep(0.01)


def assert_comes(one, data):
    """In this order, and nothing else."""
    for n, body in enumerate(data):
        try:
            came = one.recv(65536)
        except TimeoutError:
            pytest.fail("number %d of %d did not come" % (n, len(data)))
        assert came == body, "number %d of %d" % (n, len(data))


def echo_request(number, body):
    head = struct.pack("!BBHHH", 8, 0, 0, 7, number)
    total = lac_module.checksum(head + body)
    return head[:2] + struct.pack("!H", total) + head[4:] + body


def all_sizes(world, address):
    """20 to 1500 octets of IP, each size once, each way."""
    there, here = world.net.inet, world.net.lac
    with contextlib.ExitStack() as stack:
        def opened(one):
            stack.callback(one.close)
            return one

        a = opened(udp_socket(here, address, 7000))
        b = opened(udp_socket(there, INET_ADDR, 7000))
        data = bodies(1, 28, range(28, 1501))
        pour(a, (INET_ADDR, 7000), data)
        assert_comes(b, data)
        pour(b, (address, 7000), data)
        assert_comes(a, data)
        a = opened(raw_socket(here, address, ANY_PROTOCOL))
        b = opened(raw_socket(there, INET_ADDR, ANY_PROTOCOL))
        data = bodies(2, 20, range(20, 1501))
        for one, to in ((a, INET_ADDR), (b, address)):
            pour(one, (to, 0), data)
        for one in (a, b):
            for body in data:
                assert one.recv(65536)[20:] == body
        a = opened(raw_socket(here, address, socket.IPPROTO_ICMP))
        b = opened(raw_socket(there, INET_ADDR, socket.IPPROTO_ICMP))
        for one, to in ((a, INET_ADDR), (b, address)):
            data = bodies(3, 28, range(28, 1501))
            pour(one, (to, 0), [echo_request(n, body)
                                for n, body in enumerate(data)])
            replies = [p[20:] for p in (one.recv(65536) for _ in range(
                2 * len(data) if one is b else len(data))) if p[20] == 0]
            assert [p[8:] for p in replies] == data


@BOTH
def test_packets_of_all_sizes_pass_unchanged(world, offload):
    world.daemon(offload=offload)
    world.carrier("of-a", 1, gso=16)
    world.inet_checksums("off")
    world.dump()
    all_sizes(world, world.carriers[0].addresses[0])
    hang_up(world)
    carrier, tun, internet = world.look()
    up, down = compare(world, carrier, tun, internet)
    # And from the internet, where nothing was a super-packet.
    assert wirecheck.not_in(internet.down, carrier.down) == (0, 0)
    assert up.single >= 1473 * 4 and down.single >= 1473 * 4
    assert carrier.up.fragments.seen and carrier.down.fragments.seen
    assert down.lost == 0
    assert_accounted(world, carrier, world.inet_pcap)


@BOTH
def test_datagrams_in_bursts_come_whole_and_in_order(world, offload):
    """UDP that the kernel hands over, and takes, in super-packets."""
    world.daemon(offload=offload)
    world.carrier("of-a", 2, gso=32)
    world.dump()
    with contextlib.ExitStack() as stack:
        for n, address in enumerate(world.carriers[0].addresses):
            a = udp_socket(world.net.lac, address, 7000)
            b = udp_socket(world.net.inet, INET_ADDR, 7001 + n)
            stack.callback(a.close)
            stack.callback(b.close)
            a.connect((INET_ADDR, 7001 + n))
            b.connect((address, 7000))
            for size in (1, 2, 18, 500, 1433, 1434):
                count = min(60, 60000 // size)
                data = bodies(size, 0, [size] * count + [1 + size // 2])
                b.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
                b.send(b"".join(data))
                assert_comes(a, data)
                for body in data:
                    a.send(body)
                assert_comes(b, data)
    hang_up(world)
    carrier, tun, internet = world.look()
    ways = compare(world, carrier, tun, internet)
    for way in ways:
        assert (way.cut > 0) == offload
    assert ways[1].lost == 0
    assert_accounted(world, carrier, world.inet_pcap)


def odd_segment(rng, address, port, seq, number, size):
    """One of a TCP flow that goes on, and now and then odd in some way."""
    flags, window, urgent, tos, ttl, options = 0x10, 500, 0, 0, 64, b""
    odd = rng.randrange(60)
    if odd == 0:
        flags = rng.randrange(256)
    elif odd == 1:
        flags |= wirecheck.PSH
    elif odd == 2:
        window = rng.randrange(65536)
    elif odd == 3:
        urgent = 1
    elif odd == 4:
        tos = rng.randrange(256)
    elif odd == 5:
        ttl = 60
    elif odd == 6:
        options = bytes([1] * 4 * rng.randrange(11))
    elif odd == 7:
        number += rng.randrange(1, 4)
    segment = struct.pack("!HHIIBBHHH", port, 9999, seq & 0xffffffff, 1,
                          (20 + len(options)) // 4 << 4, flags, window, 0,
                          urgent) + options + rng.randbytes(size)
    total = lac_module.checksum(
        socket.inet_aton(address) + socket.inet_aton(INET_ADDR) +
        struct.pack("!HH", 6, len(segment)) + segment)
    if odd == 8:
        total ^= 0x0100
    segment = segment[:16] + struct.pack("!H", total) + segment[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, tos, 0,
                       number % 65535 + 1, 0x4000, ttl, 6, 0,
                       socket.inet_aton(address),
                       socket.inet_aton(INET_ADDR)) + segment


def test_odd_segments_cross_the_kernel_unchanged(world):
    """What is joined, the kernel cuts again; what came, leaves."""
    world.daemon(offload=True)
    world.carrier("of-a", 1, gso=60)
    address = world.carriers[0].addresses[0]
    rng = random.Random(11)
    odd = world.net.lac.socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_RAW)
    odd.bind((address, 0))
    world.dump()
    seq, number = 0xfffff000, 65000
    for size in (1, 1, 1, 8, 100, 536, 1300, 1) * 3:
        for _ in range(400):
            n = size if rng.randrange(40) else rng.randrange(1, 1300)
            odd.sendto(odd_segment(rng, address, 2000, seq, number, n),
                       (INET_ADDR, 0))
            seq += n
            number += 1
        time.sleep(0.02)
    odd.close()
    hang_up(world)
    carrier, tun, internet = world.look(wrong=True)
    up, _ = compare(world, carrier, tun, internet)
    assert up.single >= 9600
    # One of sixty is odd, and breaks the run; two writes for each, then.
    assert up.cut > 100 and up.most >= 10


# -- odd places

@contextlib.contextmanager
def narrow_way(net, mtu):
    """The server's route to the carrier, narrower than l2tp_mtu."""
    route = "route replace 10.99.1.0/24 dev lac0 proto kernel scope link " \
        "src " + LNS_ADDR
    net.lns.ip(route + " mtu %d" % mtu)
    try:
        yield
    finally:
        net.lns.ip(route)


def test_a_narrow_way_to_the_carrier_costs_fragments_only(world):
    """The kernel does not cut what it would have to fragment."""
    world.name = "narrow"
    with narrow_way(world.net, 1300):
        world.daemon(offload=True)
        world.carrier("of-a", 2, tun_offload=True)
        carrier = tcp_both_ways(world, True, 2 * MB, 2 * MB)
    assert carrier.outer.seen > 1000


def test_a_hundred_carriers_in_one_batch(world):
    """More destinations than the queue has room for at once."""
    sim.add_sources(world.net)
    world.daemon(offload=True, l2tp_sccrq_rate=1000)
    addresses = os.path.join(world.directory, "addresses")
    lac = world.keep(sim.LacSim(
        world.net.lac, world.directory, source=sim.SOURCES, tunnels=120,
        sessions=240, rate=240, tunnel_rate=500, blast="down", hold=60,
        until_up=True, addresses=addresses))
    lac.wait_hold()
    world.dump()
    blast = world.keep(sim.Tool(world.net.inet, world.directory, "blast", [
        sim.program("lacsim"), "--blast-from", addresses, "--size", "600",
        "--pps", "20000", "--seconds", "1", "--gso", "1"]))
    sent = blast.result(30)
    carrier, tun, _ = world.look()
    down = wirecheck.Comparison(tun.down, carrier.down)
    counters = world.counters()
    result = lac.end(30)["blast_down"]
    assert sent["sent"] > 5000 and sent["errors"] == 0
    assert counters["tunnel_tx_errors"] == 0
    assert down.whole >= sent["sent"] and down.lost == world.tun_drops()
    assert len(carrier.down.flows) >= 240
    assert result["received"] + down.lost == sent["sent"]
    assert result["corrupt"] == 0


class Flood(threading.Thread):
    """Datagrams to a subscriber until told to stop."""

    def __init__(self, world, address):
        threading.Thread.__init__(self, daemon=True)
        self.socket = world.net.inet.socket()
        self.to = (address, 7000)
        self.over = False
        self.start()

    def run(self):
        while not self.over:
            for size in (100, 100, 100, 700, 700, 1434):
                self.socket.sendto(bytes(size), self.to)
            time.sleep(0.0005)

    def stop(self):
        self.over = True
        self.join(5)
        self.socket.close()


@pytest.mark.parametrize("offload, how", [(True, "stopccn"), (False, "lcp")])
def test_the_books_are_right_when_a_call_ends_in_a_flood(
        world, offload, how):
    world.daemon(offload=offload)
    world.carrier("of-a", 2, stop=how)
    sink = udp_socket(world.net.lac, world.carriers[0].addresses[0], 7000)
    world.dump()
    floods = [Flood(world, a) for a in world.carriers[0].addresses]
    time.sleep(0.3)
    hang_up(world)
    for one in floods:
        one.stop()
    sink.close()
    carrier, tun, _ = world.look()
    assert carrier.down.count() > 500
    assert_accounted(world, carrier, world.inet_pcap)
    assert world.counters()["tunnel_tx_errors"] == 0


def test_a_packet_limit_cuts_super_packets_first(world):
    """1000 packets in each tenth of a second, both ways together."""
    world.daemon(offload=True, packet_limit=1000)
    world.carrier("of-a", 1, tun_offload=True)
    world.dump()
    exchange(world, MB, 4 * MB)
    time.sleep(0.3)
    dropped = world.counters()["drop_limited"]
    hang_up(world)
    carrier, tun, _ = world.look()
    assert dropped > 0
    assert tun.down.largest() > 10000
    passed = carrier.down.count() + tun.up.count()
    assert passed > 3000
    assert world.counters()["eth_rx_packets"] - dropped <= \
        carrier.down.count() + carrier.up.count()
    told = stops(world.inet_pcap)[world.carriers[0].addresses[0]]
    assert told[1::2] == carrier.down.to_host(world.carriers[0].addresses[0])
