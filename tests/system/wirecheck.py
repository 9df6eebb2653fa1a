"""Every packet of a capture, checked by hand.

Three captures are needed: of the carrier's wire, where IP is inside L2TP; of
the TUN device, where super-packets cross whole; and of the internet's wire.
Each packet is checked by itself first: lengths, all checksums, headers.  Then
each flow is followed through the daemon: what went into it must have come out
in the same order, octet by octet, but for the cutting that a super-packet is
made for (RFC 9293, RFC 3168 6.1.2 for the flags).  What the kernel made of
the super-packets of the daemon must be what the carrier sent.  Nothing is
shared with the daemon.
"""

import collections
import ipaddress
import struct

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, PSH, CWR = 0x01, 0x02, 0x08, 0x80


class Wrong(AssertionError):
    """A packet that may not be."""


def sum_right(data):
    """Is the Internet checksum over all of it what it ought to be?"""
    if len(data) % 2:
        data += b"\0"
    # Not 0 as a whole, and 0 modulo 65535: RFC 1071, in one division.
    return int.from_bytes(data, "big") % 65535 == 0


ETHERNET, RAW = 1, 101      # link types


def frames(path):
    """The IPv4 packets of a pcap file, perhaps with padding."""
    with open(path, "rb") as f:
        data = f.read()
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") \
        else ">"
    head = struct.Struct(order + "IIII")
    link = struct.unpack_from(order + "I", data, 20)[0]
    at = 24
    while at + 16 <= len(data):
        _, _, caught, size = head.unpack_from(data, at)
        at += 16
        if at + caught > len(data):
            break    # written while tcpdump was ended
        if caught != size:
            raise Wrong("a packet of %d octets was cut to %d" % (
                size, caught))
        if link == RAW:
            yield data[at:at + caught]
        elif link == ETHERNET and data[at + 12:at + 14] == b"\x08\0":
            yield data[at + 14:at + caught]
        at += caught


class Packet:
    """An IPv4 packet, its header verified."""

    __slots__ = ("raw", "hlen", "id", "df", "mf", "offset", "proto", "src",
                 "dst", "l4", "ttl")

    def __init__(self, raw, padding=False):
        if len(raw) < 20 or raw[0] >> 4 != 4:
            raise Wrong("no IPv4 packet: " + raw[:20].hex())
        self.hlen = (raw[0] & 15) * 4
        total, self.id, fragment = struct.unpack_from("!HHH", raw, 2)
        if padding:
            raw = raw[:total]
        if total != len(raw) or not 20 <= self.hlen <= total:
            raise Wrong("IPv4 of %d octets says %d, header %d" % (
                len(raw), total, self.hlen))
        if not sum_right(raw[:self.hlen]):
            raise Wrong("IPv4 header checksum: " + raw[:self.hlen].hex())
        self.raw = raw
        self.df = bool(fragment & 0x4000)
        self.mf = bool(fragment & 0x2000)
        self.offset = (fragment & 0x1fff) * 8
        self.ttl, self.proto = raw[8], raw[9]
        self.src, self.dst = raw[12:16], raw[16:20]
        self.l4 = raw[self.hlen:]

    def pseudo(self):
        return self.src + self.dst + struct.pack("!HH", self.proto,
                                                 len(self.l4))

    def check_l4(self):
        """Lengths and the checksum of what is inside."""
        l4 = self.l4
        if self.proto == TCP:
            if len(l4) < 20 or not 20 <= (l4[12] >> 4) * 4 <= len(l4):
                raise Wrong("TCP header: " + self.raw[:60].hex())
            if not sum_right(self.pseudo() + l4):
                raise Wrong("TCP checksum: " + self.raw[:60].hex())
        elif self.proto == UDP:
            if len(l4) < 8 or struct.unpack_from("!H", l4, 4)[0] != len(l4):
                raise Wrong("UDP length: " + self.raw[:60].hex())
            if l4[6:8] != b"\0\0" and not sum_right(self.pseudo() + l4):
                raise Wrong("UDP checksum: " + self.raw[:60].hex())
        elif self.proto == ICMP:
            if len(l4) < 8 or not sum_right(l4):
                raise Wrong("ICMP checksum: " + self.raw[:60].hex())

    def header(self):
        """The transport header's length."""
        if self.proto == TCP:
            return (self.l4[12] >> 4) * 4
        return 8 if self.proto == UDP else 0

    def flow(self):
        ports = self.l4[:4] if self.proto in (TCP, UDP) else b""
        return (self.src, self.dst, self.proto, ports)

    def __str__(self):
        return "%s > %s protocol %d id %d, %d octets: %s" % (
            ipaddress.ip_address(self.src), ipaddress.ip_address(self.dst),
            self.proto, self.id, len(self.raw), self.raw[:60].hex())


class Fragments:
    """Puts them together; each is checked on the way."""

    def __init__(self):
        self.parts = {}
        self.seen = 0

    def add(self, packet):
        """The whole packet, or None while there is more to come."""
        if not packet.mf and packet.offset == 0:
            return packet
        self.seen += 1
        if packet.mf and len(packet.l4) % 8:
            raise Wrong("a fragment of an odd size: %s" % packet)
        key = (packet.src, packet.dst, packet.proto, packet.id)
        parts = self.parts.setdefault(key, {})
        if packet.offset in parts:
            raise Wrong("a fragment came twice: %s" % packet)
        parts[packet.offset] = packet
        at, last = 0, None
        while at in parts:
            last = parts[at]
            at += len(last.l4)
        if last is None or last.mf:
            return None
        del self.parts[key]
        if len(parts) != len([o for o in parts if o < at]):
            raise Wrong("fragments overlap: %s" % packet)
        return self.join(parts, at)

    @staticmethod
    def join(parts, length):
        first = parts[0]
        head = bytearray(first.raw[:first.hlen])
        struct.pack_into("!H", head, 2, first.hlen + length)
        head[6:8] = b"\x40\0" if first.df else b"\0\0"
        head[10:12] = b"\0\0"
        total = int.from_bytes(head, "big") % 65535
        struct.pack_into("!H", head, 10, 0xffff - total)
        return Packet(bytes(head) + b"".join(
            parts[o].l4 for o in sorted(parts)))


class Traffic:
    """What one side saw: packets by flow, in order, and octets by host."""

    def __init__(self):
        self.flows = collections.defaultdict(list)
        self.octets = collections.Counter()     # (src, dst): IP octets
        self.packets = collections.Counter()
        self.fragments = Fragments()

    def add(self, packet, verify):
        self.octets[packet.src, packet.dst] += len(packet.raw)
        self.packets[packet.src, packet.dst] += 1
        whole = self.fragments.add(packet)
        if whole is None:
            return
        if verify:
            whole.check_l4()
        self.flows[whole.flow()].append(whole)

    def from_host(self, address):
        a = ipaddress.ip_address(address).packed
        return (sum(n for (s, _), n in self.octets.items() if s == a),
                sum(n for (s, _), n in self.packets.items() if s == a))

    def to_host(self, address):
        a = ipaddress.ip_address(address).packed
        return (sum(n for (_, d), n in self.octets.items() if d == a),
                sum(n for (_, d), n in self.packets.items() if d == a))

    def largest(self):
        return max((len(p.raw) for f in self.flows.values() for p in f),
                   default=0)

    def count(self):
        return sum(self.packets.values())


class Carrier:
    """The carrier's side: datagrams taken apart, both ways.

    wrong: what subscribers send may have wrong checksums.
    """

    def __init__(self, server, wrong=False):
        self.wrong = wrong
        self.server = ipaddress.ip_address(server).packed
        self.outer = Fragments()
        self.up, self.down = Traffic(), Traffic()
        self.forms = collections.Counter()  # PPP and L2TP headers, downward
        self.sequence = {}
        self.control = 0
        self.outer_largest = 0

    def read(self, path):
        for frame in frames(path):
            self.datagram(Packet(frame, padding=True))
        if self.outer.parts:
            raise Wrong("datagrams that never became whole")
        return self

    def datagram(self, packet):
        if packet.proto != UDP:
            return
        self.outer_largest = max(self.outer_largest, len(packet.raw))
        packet = self.outer.add(packet)
        if packet is None or b"\x06\xa5" not in (
                packet.l4[0:2], packet.l4[2:4]):
            return
        packet.check_l4()
        if packet.l4[6:8] == b"\0\0":
            raise Wrong("a datagram without a checksum: %s" % packet)
        down = packet.src == self.server
        body = self.l2tp(packet.l4[8:], down)
        if body is not None:
            (self.down if down else self.up).add(
                Packet(body, padding=not down), down or not self.wrong)

    def l2tp(self, data, down):
        """IP inside, or None: RFC 2661 3.1, RFC 1661 2 and 6."""
        flags = struct.unpack_from("!H", data)[0]
        if flags & 0x8000:
            self.control += 1
            return None
        if flags & 0xf != 2:
            raise Wrong("L2TP version: " + data[:12].hex())
        at = 2
        if flags & 0x4000:
            if struct.unpack_from("!H", data, at)[0] != len(data):
                raise Wrong("L2TP length: " + data[:12].hex())
            at += 2
        ids = data[at:at + 4]
        at += 4
        if flags & 0x0800:
            if down:
                self.in_sequence(ids, struct.unpack_from("!H", data, at)[0])
            at += 4
        if flags & 0x0200:
            at += 2 + struct.unpack_from("!H", data, at)[0]
        form = "S" if flags & 0x0800 else ""
        if data[at:at + 2] == b"\xff\x03":
            at += 2
        else:
            form += " acfc"
        if data[at] & 1:
            protocol = data[at]
            at += 1
            form += " pfc"
        else:
            protocol = struct.unpack_from("!H", data, at)[0]
            at += 2
        if protocol != 0x21:
            return None
        if down:
            self.forms[form] += 1
        return data[at:]

    def in_sequence(self, ids, number):
        """RFC 2661 5.4: each data message has the next number."""
        if number != self.sequence.get(ids, number):
            raise Wrong("Ns %d instead of %d" % (number, self.sequence[ids]))
        self.sequence[ids] = (number + 1) & 0xffff


class Inner:
    """A place where IP is not inside anything; the subscribers' packets.

    whole: super-packets may come, with their checksums still to be made.
    """

    def __init__(self, subscribers, whole=False):
        self.net = ipaddress.ip_network(subscribers)
        self.whole = whole
        self.up, self.down = Traffic(), Traffic()

    def read(self, path):
        for frame in frames(path):
            packet = Packet(frame, padding=True)
            if ipaddress.ip_address(packet.src) in self.net:
                self.up.add(packet, not self.whole)
            elif ipaddress.ip_address(packet.dst) in self.net:
                self.down.add(packet, False)
        return self


# -- from side to side

def same_ip(sent, got, nth):
    """The IP header, but for the length and the nth id."""
    a, b = sent.raw, got.raw
    return (a[0] == b[0] and a[1] == b[1] and a[6:10] == b[6:10] and
            a[20:sent.hlen] == b[20:got.hlen] and
            got.id == (sent.id + nth) & 0xffff)


def tcp_flags(sent, at, end):
    """Those of the segment from at to end of the payload."""
    flags = sent.l4[13]
    if end < len(sent.l4) - sent.header():
        flags &= ~(FIN | PSH)
    if at > 0:
        flags &= ~CWR
    return flags


def same_transport(sent, got, at):
    """The TCP or UDP header, of the piece that begins at this octet."""
    n = sent.header()
    a, b = sent.l4, got.l4
    if n != got.header() or a[:4] != b[:4]:
        return False
    if sent.proto != TCP:
        return True
    if a[13] & SYN:
        return a[4:14] == b[4:14]    # the MSS may have been lowered
    seq = struct.unpack_from("!I", a, 4)[0]
    return (struct.unpack_from("!I", b, 4)[0] == (seq + at) & 0xffffffff and
            b[13] == tcp_flags(sent, at, at + len(b) - n) and
            a[8:13] == b[8:13] and a[14:16] == b[14:16] and
            a[18:n] == b[18:n])


def piece_of(sent, got, at, nth):
    """Is that the nth packet made of sent, with the octets from at on?"""
    n = sent.header()
    body = got.l4[n:]
    return (same_ip(sent, got, nth) and same_transport(sent, got, at) and
            sent.l4[n + at:n + at + len(body)] == body)


def pieces(sent, got, i):
    """How many packets from got[i] on were made of sent; 0: it got lost."""
    length = len(sent.l4) - sent.header()
    at, count, size = 0, 0, None
    while i + count < len(got):
        one = got[i + count]
        if not piece_of(sent, one, at, count):
            break
        part = len(one.l4) - one.header()
        size = part if size is None else size
        at += part
        count += 1
        if at >= length:
            return count
        if part != size:
            raise Wrong("a short one that is not the last: %s" % one)
        if part == 0:
            break
    if count:
        raise Wrong("%d of %d octets came of: %s" % (at, length, sent))
    return 0


class Comparison:
    """What became of each packet of one side, super-packets perhaps, on the
    other, where there are none.

    lost: those that are not there at all.
    """

    def __init__(self, whole, cut):
        self.whole = self.single = self.lost = self.cut = self.most = 0
        for flow in set(whole.flows) | set(cut.flows):
            self.flow(whole.flows.get(flow, []), cut.flows.get(flow, []))

    def flow(self, whole, cut):
        i = 0
        for one in whole:
            n = pieces(one, cut, i)
            self.lost += n == 0
            self.cut += n > 1
            self.most = max(self.most, n)
            i += n
        if i < len(cut):
            raise Wrong("alone, or out of its place: %s" % cut[i])
        self.whole += len(whole)
        self.single += len(cut)


def as_sent(packet, hops):
    """Its octets before so many hops; a SYN without what may be lowered."""
    raw = bytearray(packet.raw)
    raw[8] += hops
    raw[10:12] = b"\0\0"
    if packet.proto == TCP and packet.l4[13] & SYN:
        del raw[packet.hlen + 16:]
    return bytes(raw)


def not_in(sent, came):
    """(how many of sent did not come, how many came that were not sent).

    The kernel's own ways may change the order, so that is not looked at.
    """
    count = collections.Counter(
        as_sent(p, 0) for flow in sent.flows.values() for p in flow)
    count.subtract(as_sent(p, 1) for flow in came.flows.values()
                   for p in flow)
    return (sum(n for n in count.values() if n > 0),
            -sum(n for n in count.values() if n < 0))


def gaps(traffic):
    """TCP segments that begin behind where the one before them ended."""
    count = 0
    for (_, _, protocol, _), flow in traffic.flows.items():
        if protocol != TCP:
            continue
        reach = None
        for p in flow:
            seq = struct.unpack_from("!I", p.l4, 4)[0]
            end = seq + len(p.l4) - p.header() + bool(p.l4[13] & (SYN | FIN))
            if reach is not None and 0 < (seq - reach) & 0xffffffff < 1 << 31:
                count += 1
            if reach is None or (end - reach) & 0xffffffff < 1 << 31:
                reach = end & 0xffffffff
    return count
