"""What no ordinary TCP sends: super-packets made by hand, every protocol,
packets that may not pass, and packets too big for a subscriber.  All of it
with offloads and without, and for sessions that are throttled or intercepted:
the subscriber cannot tell which.
"""

import contextlib
import os
import random
import signal
import socket
import struct
import time

import pytest

import daemon as daemon_module
import peek
import wirecheck
from lac import CDN, IP, STOPCCN, A_RESULT, A_SESSION, A_TUNNEL, Lac, avp
from lac import checksum, ip_packet
from net import INET_ADDR
from terminal import Terminal

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has no offloads")

WAYS = pytest.mark.parametrize("offload, slow", [
    (True, None), (False, None), (True, "throttle eve in 900000 out 900000"),
    (True, "snoop eve %s 4321" % INET_ADDR)],
    ids=["offload", "plain", "throttled", "snooped"])

IPV6 = 0x0057
PROTOCOL_REJECT = 8
SO_RCVBUFFORCE = 33


class Scene:
    """One subscriber, of this MRU, who is online."""

    def __init__(self, net, daemon, stack, offload, slow=None, mru=1460,
                 **config):
        self.net = net
        self.daemon = daemon(config=dict(
            config, offload=offload, throttle_speed=900000),
            secrets="eve * x *\n")
        self.tunnel = Lac(net.lac)
        stack.callback(self.tunnel.close)
        stack.callback(self.tunnel.stop)
        self.tunnel.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE,
                                    16 << 20)
        self.tunnel.connect()
        self.call = self.tunnel.call()
        options = self.call.lcp_options
        self.call.lcp_options = lambda: dict(
            options()) | {1: struct.pack("!H", mru)}
        self.own = self.call.online("eve", "x")
        if slow:
            terminal = Terminal(net.lns)
            terminal.enable()
            text = terminal.run(slow)
            terminal.close()
            assert "eve" in text and "not" not in text.lower(), text
        self.call.packets.clear()

    def got(self, count, seconds=3):
        """So many packets came to the subscriber, and no more."""
        with contextlib.suppress(TimeoutError):
            self.tunnel.wait("%d packets" % count,
                             lambda: len(self.call.packets) >= count, seconds)
        self.tunnel.pump(0.2)
        packets = list(self.call.packets)
        self.call.packets.clear()
        return packets

    def raw(self, stack, protocol):
        """A socket on the internet for all of this protocol."""
        one = self.net.inet.socket(kind=socket.SOCK_RAW, proto=protocol)
        stack.callback(one.close)
        one.bind((INET_ADDR, 0))
        one.settimeout(3)
        return one

    def counter(self, name):
        return peek.counters(self.daemon.pid)[name]


# -- super-packets made by hand

VNET = struct.Struct("=BBHHHH")
NEEDS_CSUM, TCPV4, UDP_L4, ECN = 1, 1, 5, 0x80
HOPS = 1


class Wire:
    """The internet's end of its wire, super-packets and all."""

    def __init__(self, net, stack):
        self.socket = net.inet.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                      socket.htons(0x0800))
        stack.callback(self.socket.close)
        self.socket.setsockopt(263, 15, 1)      # SOL_PACKET, PACKET_VNET_HDR
        self.socket.bind(("lns0", 0x0800))
        mac = [net.lns.run("cat", "/sys/class/net/inet0/address").strip(),
               net.inet.run("cat", "/sys/class/net/lns0/address").strip()]
        self.ethernet = bytes.fromhex("".join(mac).replace(":", "")) + \
            b"\x08\x00"

    def send(self, ip, kind=0, size=0):
        hlen = (ip[0] & 15) * 4
        head = bytes(VNET.size)
        if kind:
            l4 = (ip[hlen + 12] >> 4) * 4 if ip[9] == 6 else 8
            head = VNET.pack(NEEDS_CSUM, kind, 14 + hlen + l4, size,
                             14 + hlen, 16 if ip[9] == 6 else 6)
        self.socket.send(head + self.ethernet + ip)


def pseudo_sum(ip, hlen):
    return ~checksum(ip[12:20] + struct.pack("!HH", ip[9],
                                             len(ip) - hlen)) & 0xffff


def ipv4(dst, protocol, l4, number, tos=0, options=b"", df=True, ttl=64):
    hlen = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | hlen // 4, tos,
                       hlen + len(l4), number & 0xffff, 0x4000 * df, ttl,
                       protocol, 0, socket.inet_aton(INET_ADDR),
                       socket.inet_aton(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + l4


def tcp(seq, flags, payload, options=b"", urgent=0):
    return struct.pack("!HHIIBBHHH", 80, 5000, seq & 0xffffffff, 77,
                       (20 + len(options)) // 4 << 4, flags, 500, 0,
                       urgent) + options + payload


def udp(payload):
    return struct.pack("!HHHH", 443, 5000, 8 + len(payload), 0) + payload


def finished(ip):
    """With its transport checksum."""
    hlen = (ip[0] & 15) * 4
    at = hlen + (16 if ip[9] == 6 else 6)
    ip = ip[:at] + b"\0\0" + ip[at + 2:]
    total = ~(pseudo_sum(ip, hlen) + (~checksum(ip[hlen:]) & 0xffff))
    total = checksum(struct.pack("!I", ~total & 0xffffffff))
    if ip[9] == 17 and total == 0:
        total = 0xffff
    return ip[:at] + struct.pack("!H", total) + ip[at + 2:]


def partial(ip):
    hlen = (ip[0] & 15) * 4
    at = hlen + (16 if ip[9] == 6 else 6)
    return ip[:at] + struct.pack("!H", pseudo_sum(ip, hlen)) + ip[at + 2:]


TIMESTAMP = b"\1\1\x08\x0a" + struct.pack("!II", 123456, 654321)
SACK = b"\1\1\5\x0a" + struct.pack("!II", 1000, 2000)
FIN, PSH, ACK, URG, ECE, CWR = 1, 8, 16, 32, 64, 128

SUPERS = {
    "plain": dict(),
    "timestamps and SACK": dict(options=TIMESTAMP + SACK),
    "FIN PSH": dict(flags=FIN | PSH | ACK),
    "CWR ECE": dict(flags=CWR | ECE | ACK, tos=2),
    "CWR told": dict(flags=CWR | PSH | ACK, tos=3, kind=TCPV4 | ECN),
    "CE": dict(tos=3),
    "urgent": dict(flags=URG | PSH | ACK, urgent=9),
    "IPv4 options": dict(ip_options=b"\1" * 8),
    "id wraps": dict(number=65530),
    "sequence wraps": dict(seq=0xfffff000),
    "may be fragmented": dict(df=False),
    "two octets": dict(size=2, total=81),
    "no rest": dict(size=1000, total=20000),
    "odd size": dict(size=1399, total=39000),
    "64 KiB": dict(size=1200, total=65535 - 40),
}


def tcp_super(own, size=1200, total=25001, flags=ACK, seq=5, number=99,
              options=b"", ip_options=b"", urgent=0, tos=0, df=True,
              kind=TCPV4):
    """A super-packet, and what it has to become (RFC 9293, RFC 3168)."""
    payload = random.Random(total).randbytes(total)
    whole = partial(ipv4(own, 6, tcp(seq, flags, payload, options, urgent),
                         number, tos, ip_options, df))
    cut = []
    for n, at in enumerate(range(0, total, size)):
        own_flags = flags if n == 0 else flags & ~CWR
        if at + size < total:
            own_flags &= ~(FIN | PSH)
        cut.append(finished(ipv4(
            own, 6, tcp(seq + at, own_flags, payload[at:at + size], options,
                        urgent), number + n, tos, ip_options, df,
            64 - HOPS)))
    return whole, kind, size, cut


def udp_super(own, size, total):
    payload = random.Random(total).randbytes(total)
    cut = [finished(ipv4(own, 17, udp(payload[at:at + size]), 7 + n,
                         ttl=64 - HOPS))
           for n, at in enumerate(range(0, total, size))]
    return partial(ipv4(own, 17, udp(payload), 7)), UDP_L4, size, cut


def syn(own, mss, ttl=64):
    return finished(ipv4(own, 6, tcp(1, 2, b"", b"\2\4" +
                                     struct.pack("!H", mss)), 3, ttl=ttl))


@WAYS
def test_super_packets_made_by_hand(net, daemon, offload, slow):
    """Every segment is the one that the kernel's own cutter would make."""
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow, l2tp_mtu=1538,
                    mru=1500)
        wire = Wire(net, stack)
        for name, how in SUPERS.items():
            whole, kind, size, want = tcp_super(one.own, **how)
            wire.send(whole, kind, size)
            assert one.got(len(want)) == want, name
        for size, total in ((1200, 1200 * 40), (1350, 12 * 1350 + 1),
                            (100, 6400), (1, 60), (1472, 44000)):
            whole, kind, size, want = udp_super(one.own, size, total)
            wire.send(whole, kind, size)
            assert one.got(len(want)) == want, "UDP of %d" % size
        assert one.counter("eth_rx_errors") == 0
        assert one.counter("tunnel_tx_errors") == 0


@WAYS
def test_a_syn_among_super_packets_is_clamped(net, daemon, offload, slow):
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow, mru=1400)
        wire = Wire(net, stack)
        want = []
        for n in range(5):
            whole, kind, size, cut = tcp_super(one.own, total=20000 + n,
                                               number=500 * n)
            wire.send(whole, kind, size)
            wire.send(syn(one.own, 1460))
            want += cut + [syn(one.own, 1400 - 40, 64 - HOPS)]
        assert one.got(len(want)) == want


# -- every protocol

@WAYS
def test_all_protocols_pass_both_ways(net, daemon, offload, slow):
    """GRE, ESP, AH, SCTP, IPIP; tiny and large, in the order sent."""
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow)
        rng = random.Random(4)
        for protocol in (47, 50, 51, 132, 4):
            there = one.raw(stack, protocol)
            data = [rng.randbytes(n) for n in (1, 7, 8, 20, 100, 576, 1440)]
            for body in data:
                one.call.send_ppp(IP, ip_packet(one.own, INET_ADDR, protocol,
                                                body))
            assert [there.recv(65536)[20:] for _ in data] == data, protocol
            for body in data:
                there.sendto(body, (one.own, 0))
            came = one.got(len(data))
            assert [p[20:] for p in came] == data, protocol


@WAYS
def test_datagrams_of_a_hundred_flows_keep_their_borders(
        net, daemon, offload, slow):
    """DNS and QUIC: runs of one size, a shorter one, other flows between."""
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow)
        there = net.inet.socket()
        stack.callback(there.close)
        there.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        there.bind((INET_ADDR, 443))
        there.settimeout(3)
        rng = random.Random(5)
        sent = {}
        for n in range(1500):
            port = 4000 + (n // 7 % 100 if n % 3 else rng.randrange(100))
            size = rng.choice((1200, 1200, 1200, 1350, 1431, 40, 0))
            body = rng.randbytes(size)
            sent.setdefault(port, []).append(body)
            packet = ip_packet(one.own, INET_ADDR, 17, struct.pack(
                "!HHHH", port, 443, 8 + size, 0) + body)
            one.call.send_ppp(IP, finished(packet))
            if n % 100 == 99:
                one.tunnel.pump(0.02)
        came = {}
        for _ in range(1500):
            body, (address, port) = there.recvfrom(65536)
            assert address == one.own
            came.setdefault(port, []).append(body)
        assert came == sent


# -- what may not pass

@WAYS
def test_what_may_not_pass(net, daemon, offload, slow):
    """IPv6 that nobody agreed on, and what is no host's address."""
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow)
        before = peek.counters(one.daemon.pid)
        v6 = struct.pack("!IHBB", 6 << 28, 8, 17, 64) + bytes(32) + bytes(8)
        one.call.send_ppp(IPV6, v6)
        one.call.wait("Protocol-Reject", lambda: any(
            m[1] == PROTOCOL_REJECT and m[3][:2] == b"\0\x57"
            for m in one.call.messages))
        one.call.send_ppp(IP, v6)       # and under IPv4's number
        for address in ("224.0.0.1", "239.255.255.250", "255.255.255.255",
                        "240.0.0.1", "127.0.0.1", "0.0.0.0"):
            one.call.send_udp(address, 9, b"x")
        one.tunnel.pump(0.3)
        after = peek.counters(one.daemon.pid)
        assert after["drop_martian"] - before["drop_martian"] == 6
        assert after["drop_malformed"] - before["drop_malformed"] == 1
        assert after["eth_tx_packets"] == before["eth_tx_packets"]


@pytest.mark.parametrize("how", ["CDN", "StopCCN"])
def test_what_comes_behind_the_end_of_a_call(net, daemon, how):
    """All in one batch: the server is made to wait until all is there."""
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, True, "throttle eve in 900000")
        there = net.inet.socket()
        stack.callback(there.close)
        there.bind((INET_ADDR, 9000))
        there.settimeout(1)
        time.sleep(0.1)         # a bucket is empty at first, and holds 20 ms
        os.kill(one.daemon.pid, signal.SIGSTOP)
        try:
            for n in range(20):
                one.call.send_udp(INET_ADDR, 9000, bytes([n]))
                if n == 9 and how == "CDN":
                    one.tunnel.send_control(
                        CDN, avp(A_SESSION, one.call.session) +
                        avp(A_RESULT, 3), one.call.peer_session)
                elif n == 9:
                    one.tunnel.send_control(
                        STOPCCN, avp(A_TUNNEL, one.tunnel.tunnel) +
                        avp(A_RESULT, 1))
        finally:
            os.kill(one.daemon.pid, signal.SIGCONT)
        came = []
        with contextlib.suppress(TimeoutError):
            while True:
                came.append(there.recv(100))
        assert came == [bytes([n]) for n in range(10)]
        counters = peek.counters(one.daemon.pid)
        assert counters["unknown_session"] + counters["unknown_tunnel"] == 10
        one.tunnel.pump(0.2)


# -- sizes

def whole_of(packets):
    """Fragments, in order, as the packet they were."""
    data = b""
    for n, raw in enumerate(packets):
        one = wirecheck.Packet(raw)
        assert one.offset == len(data) and not one.df
        assert one.mf == (n + 1 < len(packets))
        data += one.l4
    return data


SIZES = [(1460, 1492), (1500, 1400), (1538, 576)]
MORE = [pytest.param(mtu, mru, marks=pytest.mark.long)
        for mtu in (1460, 1500, 1538) for mru in (576, 1400, 1492)
        if (mtu, mru) not in SIZES]


@pytest.mark.parametrize("l2tp_mtu, mru", SIZES + MORE)
@pytest.mark.parametrize("offload, slow", [
    (True, None), (False, None), (True, "throttle eve in 900000 out 900000")],
    ids=["offload", "plain", "throttled"])
def test_what_is_too_big_for_the_subscriber(
        net, daemon, l2tp_mtu, mru, offload, slow):
    """RFC 1191 4 with DF, RFC 791 3.2 without; RFC 9293 3.7.1 before."""
    device = l2tp_mtu - 38
    limit = min(mru, device)
    with contextlib.ExitStack() as stack:
        one = Scene(net, daemon, stack, offload, slow, mru, l2tp_mtu=l2tp_mtu)
        errors = one.raw(stack, socket.IPPROTO_ICMP)
        wire = Wire(net, stack)
        for size in (limit, limit + 1, 1500):
            body = udp(bytes(n & 255 for n in range(size - 28)))
            for df in (True, False):
                packet = finished(ipv4(one.own, 17, body, size, df=df))
                wire.send(packet)
                if size <= limit:
                    came = one.got(1)
                    assert [p[20:] for p in came] == [packet[20:]]
                elif df:
                    error = errors.recv(65536)
                    assert error[20:22] == b"\3\4"
                    assert checksum(error[20:]) == 0
                    # For the device's the kernel speaks, and first.
                    assert struct.unpack_from("!H", error, 26)[0] == (
                        device if size > device else limit)
                    assert error[28 + 16:28 + 20] == packet[16:20]
                    assert one.got(0) == []
                else:
                    came = one.got(2)
                    assert len(came) > 1
                    assert max(map(len, came)) <= limit
                    assert whole_of(came) == packet[20:]
        # Both ways, whoever asks.
        wire.send(syn(one.own, 1460))
        assert one.got(1) == [syn(one.own, limit - 40, 64 - HOPS)]
        there = one.raw(stack, socket.IPPROTO_TCP)
        asked = ip_packet(one.own, INET_ADDR, 6, tcp(
            1, 2, b"", b"\2\4" + struct.pack("!H", 1460)))
        one.call.send_ppp(IP, finished(asked))
        came = there.recv(65536)
        assert came[42:44] == struct.pack("!H", limit - 40)
        assert finished(came) == came
        # Super-packets: what fits, and what is by one octet too big.
        one.got(1)                      # the answer to that
        whole, kind, size, want = tcp_super(one.own, limit - 40, 30000)
        wire.send(whole, kind, size)
        assert one.got(len(want)) == want
        if limit < device:
            whole, kind, size, _ = tcp_super(one.own, limit - 39,
                                             (limit - 39) * 20)
            wire.send(whole, kind, size)
            error = errors.recv(65536)
            assert error[20:22] == b"\3\4"
            assert struct.unpack_from("!H", error, 26)[0] == limit
            assert one.got(0) == []
            whole, kind, size, want = tcp_super(one.own, limit - 39, 3000,
                                                df=False)
            wire.send(whole, kind, size)
            came = one.got(2 * len(want) - 1)
            assert max(map(len, came)) <= limit
            assert b"".join(p[20:] for p in came) == \
                b"".join(p[20:] for p in want)
