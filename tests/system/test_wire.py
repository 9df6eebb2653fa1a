"""What the daemon sends, read by others: tshark, scapy, and by hand.

One long conversation makes it say nearly all that it can say.  Then every
packet of it is decoded by programs that know nothing of it.
"""

import contextlib
import hashlib
import hmac
import logging
import socket
import struct

import pytest

import daemon as daemon_module
import lac as wire
from freeradius import FreeRadius
from lac import Lac, Refused, avp, checksum, ip_packet
from net import INET_ADDR, LNS_ADDR, LNS_INET_ADDR, Capture, tshark

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import (PPP, PPP_CHAP, PPP_CHAP_ChallengeResponse,
                              PPP_IPCP, PPP_LCP, PPP_LCP_Configure,
                              PPP_PAP_Response)
from scapy.layers.radius import Radius
from scapy.packet import Padding, Raw
from scapy.utils import rdpcap

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE,
    reason="the reference cannot hold the conversation")

NAME, WORD = "eve", "the password of eve"
TUNNEL_SECRET = "tunnel secret"
CCP = 0x80fd


class Spoken:
    """The conversation's captures, and what was known about it."""


def offer_all_kinds(call):
    """Make the session use every PPP code that an LNS answers with."""
    call.send_ppp(CCP, struct.pack("!BBHBB", 1, 1, 6, 26, 2))
    call.send_cp(wire.LCP, 77, 200, b"what is this")
    call.send_ppp(0x1234, b"no such protocol")
    call.echo()
    # Options that nobody knows, wrong values.
    call.send_cp(wire.IPCP, wire.CONFREQ, 201, b"\x4d\x03\x01\x03\x06" +
                 socket.inet_aton("192.0.2.1"))
    call.send_cp(wire.IPCP, wire.CONFREQ, 202, b"\x03\x06" +
                 socket.inet_aton("192.0.2.1"))
    call.lac.pump(1)
    # The last one makes LCP start again.
    call.reset()
    call.send_cp(wire.LCP, wire.CONFREQ, 203, b"\x4d\x03\x01")
    call.lac.pump(1)


def refused_calls(tunnel):
    """Wrong passwords, in both ways; a call that the carrier gives up."""
    for auth in ("pap", "chap"):
        call = tunnel.call()
        with pytest.raises(Refused):
            call.login(NAME, "wrong", auth)
        tunnel.wait("the end of the call", lambda: call.closed, 15)
    call = tunnel.call()
    call.hangup("l2tp")


def odd_carriers(net):
    """Tunnels that the daemon has to turn down."""
    odd = Lac(net.lac, name="odd")
    with pytest.raises((Refused, TimeoutError)):
        # An unknown attribute that must be understood.
        odd.connect(extra=avp(1234, b"?"), seconds=4)
    odd.stop()
    odd.close()


def converse(net, lns):
    """Everything, once."""
    tunnel = Lac(net.lac, secret=TUNNEL_SECRET)
    tunnel.connect()
    refused_calls(tunnel)
    for auth in ("chap", "pap"):
        call = tunnel.call()
        call.online(NAME, WORD, auth)
        assert call.ping(INET_ADDR, 5) == 5
        assert call.ping(INET_ADDR, 2, size=1400) == 2
        call.hangup()
    call = tunnel.call()
    call.online(NAME, WORD)
    offer_all_kinds(call)
    call.online(NAME, WORD)
    # Silence, until echoes come.
    tunnel.pump(5)
    assert any(m[:2] == (wire.LCP, wire.ECHOREQ) for m in call.messages)
    # An address that nobody has.
    net.inet.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.50.0.250",
                 check=False)
    tunnel.pump(0.5)
    odd_carriers(net)
    # The daemon's own farewell, to a call that is up.
    lns.expected_exit = True
    lns.process.send(daemon_module.signal.SIGQUIT)
    tunnel.wait("the end of the tunnel", lambda: tunnel.closed, 15)
    tunnel.pump(1)
    lns.process.wait(15)
    messages = list(call.messages)
    tunnel.close()
    return messages


CHECKSUMMED = (("lns", "lac0"), ("lns", "inet0"), ("inet", "lns0"))


def checksums(net, on):
    """Whether the kernel leaves outgoing checksums to the hardware."""
    for name, interface in CHECKSUMMED:
        getattr(net, name).run("ethtool", "-K", interface, "tx", on)


@pytest.fixture(scope="module")
def spoken(net, tmp_path_factory):
    """Hold the conversation once, for all tests here."""
    base = tmp_path_factory.mktemp("wire")
    with contextlib.ExitStack() as stack:
        # The captured checksums shall be the sent ones.
        checksums(net, "off")
        stack.callback(checksums, net, "on")
        server = FreeRadius(
            net.inet, str(base / "radius"), {NAME: (WORD, {
                "Reply-Message": "hello", "Class": "0x0102"})})
        stack.callback(server.stop)
        captures = []
        for interface in ("lac0", "inet0"):
            one = Capture(net.lns, interface,
                          str(base / (interface + ".pcap")), "ip")
            stack.callback(one.process.stop, 5)
            captures.append(one)
        lns = daemon_module.Daemon(net.lns, str(base / "daemon"), config={
            "primary_radius": server.address, "radius_secret": server.secret,
            "radius_accounting": True, "l2tp_secret": TUNNEL_SECRET,
            "echo_timeout": 2, "idle_echo_timeout": 20, "icmp_rate": 10})
        stack.callback(lns.finish)
        made = Spoken()
        made.messages = converse(net, lns)
        made.secret = server.secret
        made.lac, made.inet = [c.stop() for c in captures]
        yield made


def payloads(path, source, ports):
    """The UDP payloads that source sent from or to one of the ports."""
    found = []
    for packet in rdpcap(path):
        if not (packet.haslayer("IP") and packet.haslayer("UDP")):
            continue
        ip, udp = packet["IP"], packet["UDP"]
        if ip.src == source and {ip.sport, ip.dport} & set(ports):
            found.append(bytes(udp.payload)[:udp.len - 8])
    return found


def is_control(data):
    return data[0] & 0x80


def test_tshark_finds_nothing_malformed(spoken):
    count = 0
    for path, source in ((spoken.lac, LNS_ADDR),
                         (spoken.inet, LNS_INET_ADDR)):
        sent = "ip.src == %s" % source
        rows = tshark(path, sent, ["frame.number"])
        assert len(rows) > 10
        count += len(rows)
        bad = tshark(path, sent + " && (_ws.malformed || "
                     "_ws.expert.severity == error)",
                     options=["radius.validate_authenticator:TRUE",
                              "radius.shared_secret:" + spoken.secret])
        assert bad == ""
    assert count > 80


def test_tshark_finds_all_checksums_right(spoken):
    options = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE",
               "tcp.check_checksum:TRUE"]
    for path, source in ((spoken.lac, LNS_ADDR),
                         (spoken.inet, LNS_INET_ADDR)):
        bad = tshark(path, "ip.src == %s && (ip.checksum.status == 0 || "
                     "udp.checksum.status == 0 || icmp.checksum.status == 0)"
                     % source, options=options)
        assert bad == ""


def test_the_conversation_was_a_rich_one(spoken):
    """Else the other tests here prove little."""
    rows = tshark(spoken.lac, "ip.src == %s && l2tp" % LNS_ADDR,
                  ["l2tp.avp.message_type"])
    kinds = {int(v) for (values,) in rows for v in values}
    assert kinds >= {wire.SCCRP, wire.STOPCCN, wire.ICRP, wire.CDN}
    codes = {(p, c) for p, c, _, _ in spoken.messages}
    assert codes >= {(wire.LCP, c) for c in (
        wire.CONFREQ, wire.CONFACK, wire.CONFREJ, wire.CODEREJ,
        wire.PROTREJ, wire.ECHOREQ, wire.ECHOREP)}
    assert codes >= {(wire.IPCP, c) for c in (
        wire.CONFREQ, wire.CONFACK, wire.CONFREJ, wire.CONFNAK)}


def test_l2tp_headers_say_what_rfc_2661_says(spoken):
    """T, L and S with version 2 on control messages; data as it may be."""
    sent = payloads(spoken.lac, LNS_ADDR, [1701])
    control = [d for d in sent if is_control(d)]
    assert len(control) > 15
    for data in control:
        flags, length = struct.unpack("!HH", data[:4])
        assert flags == 0xc802
        assert length == len(data)
    for data in sent:
        header = L2TP(data)
        assert header.version == 2
        if is_control(data):
            continue
        # No reserved bit, and a session that is somebody's.
        assert struct.unpack("!H", data[:2])[0] & 0x34f0 == 0
        assert header.session_id != 0 and header.tunnel_id != 0


def test_each_control_message_begins_with_its_type_and_fits(spoken):
    """RFC 2661 4.1: no reserved bit; 4.4.1: Message Type comes first."""
    number = 0
    for data in payloads(spoken.lac, LNS_ADDR, [1701]):
        if not is_control(data) or len(data) == 12:
            continue
        body, first = data[12:], True
        while body:
            head, vendor, kind = struct.unpack("!HHH", body[:6])
            assert head & 0x3c00 == 0
            assert 6 <= head & 0x3ff <= len(body)
            if first:
                assert (vendor, kind, head & 0x8000) == (0, 0, 0x8000)
            first = False
            body = body[head & 0x3ff:]
        number += 1
    assert number >= 10


def test_the_server_proves_that_it_knows_the_tunnel_secret(spoken):
    """lac.py verifies the response; here: there was one to verify."""
    rows = tshark(spoken.lac, "ip.src == %s && l2tp.avp.message_type == 2"
                  % LNS_ADDR, ["l2tp.avp.type"])
    assert rows and all("13" in values for (values,) in rows)


PPP_LAYERS = {
    wire.LCP: PPP_LCP, wire.IPCP: PPP_IPCP, wire.CHAP: PPP_CHAP,
    wire.PAP: PPP_PAP_Response,
}


def test_scapy_decodes_every_ppp_message_to_the_last_byte(spoken):
    seen = set()
    for data in payloads(spoken.lac, LNS_ADDR, [1701]):
        if is_control(data):
            continue
        frame = bytes(L2TP(data).payload)
        packet = PPP(frame)[PPP]
        if packet.proto not in PPP_LAYERS:
            assert packet.proto == wire.IP, hex(packet.proto)
            continue
        assert frame[:2] == b"\xff\x03"
        length = struct.unpack("!H", frame[6:8])[0]
        assert length == len(frame) - 4
        layer = packet.payload
        assert not layer.haslayer(Padding)
        # Message by message what scapy makes of it is what there was.
        layer.clear_cache()
        assert bytes(layer) == frame[4:], layer.show(dump=True)
        seen.add(packet.proto)
    assert seen == set(PPP_LAYERS)


def test_scapy_reads_the_chap_challenges_and_they_differ(spoken):
    values = []
    for data in payloads(spoken.lac, LNS_ADDR, [1701]):
        if is_control(data):
            continue
        packet = PPP(bytes(L2TP(data).payload))[PPP]
        if packet.proto == wire.CHAP and \
                isinstance(packet.payload, PPP_CHAP_ChallengeResponse) and \
                packet.payload.code == 1:
            values.append(bytes(packet.payload.value))
            assert len(values[-1]) >= 16
            assert packet.payload.optional_name
    assert len(values) >= 3
    assert len(set(values)) == len(values)


def test_scapy_reads_what_lcp_asks_for(spoken):
    number = 0
    for data in payloads(spoken.lac, LNS_ADDR, [1701]):
        if is_control(data):
            continue
        packet = PPP(bytes(L2TP(data).payload))[PPP]
        if packet.proto != wire.LCP or \
                not isinstance(packet.payload, PPP_LCP_Configure) or \
                packet.payload.code != wire.CONFREQ:
            continue
        kinds = {o.type for o in packet.payload.options}
        assert {1, 3, 5} <= kinds
        number += 1
    assert number >= 3


def attributes(data):
    """(type, value) of a RADIUS packet, in order."""
    found, body = [], data[20:]
    while body:
        assert 2 <= body[1] <= len(body)
        found.append((body[0], body[2:body[1]]))
        body = body[body[1]:]
    return found


def requests(spoken, code):
    sent = payloads(spoken.inet, LNS_INET_ADDR, [1812, 1813])
    found = [d for d in sent if d[0] == code]
    assert found
    for data in found:
        assert struct.unpack("!H", data[2:4])[0] == len(data)
    return found


def test_message_authenticator_comes_first_and_is_right(spoken):
    secret = spoken.secret.encode()
    for data in requests(spoken, 1):
        kind, value = attributes(data)[0]
        assert kind == 80
        zeroed = data[:22] + bytes(16) + data[38:]
        assert hmac.new(secret, zeroed, hashlib.md5).digest() == value


def test_accounting_authenticators_are_right(spoken):
    secret = spoken.secret.encode()
    for data in requests(spoken, 4):
        want = hashlib.md5(data[:4] + bytes(16) + data[20:] + secret).digest()
        assert data[4:20] == want


def test_scapy_decodes_every_radius_packet_to_the_last_byte(spoken):
    for data in requests(spoken, 1) + requests(spoken, 4):
        packet = Radius(data)
        assert not packet.haslayer(Raw) and not packet.haslayer(Padding)
        kinds = [a.type for a in packet.attributes]
        assert kinds == [k for k, _ in attributes(data)]
        # What may be there once only (RFC 2865 5.44, RFC 2866 5.13).
        for kind in (1, 2, 3, 4, 5, 6, 7, 8, 30, 31, 32, 40, 41, 44, 61, 80):
            assert kinds.count(kind) <= 1
        if data[0] == 1:
            assert 1 in kinds and (2 in kinds) != (3 in kinds)
        else:
            assert {40, 44} <= set(kinds) and not {2, 3} & set(kinds)
        assert {4, 32} & set(kinds)


def test_request_authenticators_never_repeat(spoken):
    values = {}
    for data in requests(spoken, 1):
        # The same one again is the same request again.
        assert values.setdefault(data[4:20], data) == data
    assert len(values) >= 4


def test_an_address_that_nobody_has_is_unreachable(spoken):
    """RFC 792: host unreachable, with the header of what caused it."""
    rows = tshark(spoken.inet, "icmp.type == 3",
                  ["icmp.code", "icmp.checksum.status", "ip.dst"])
    assert 1 <= len(rows) <= 10
    for codes, states, hosts in rows:
        # The second of each is what the message quotes.
        assert codes[0] == "1" and states[0] == "1"
        assert hosts == [INET_ADDR, "10.50.0.250"]


# -- the tunnel's secret

@pytest.mark.parametrize("require", [True, False])
def test_a_carrier_that_cannot_prove_the_secret_is_refused_if_asked(
        net, daemon, require):
    """RFC 2661 4.4.3: StopCCN with result 4, not authorized."""
    daemon(config={"l2tp_secret": TUNNEL_SECRET,
                   "l2tp_require_secret": require}, secrets="eve * x *\n")
    ignorant = Lac(net.lac)
    try:
        if require:
            with pytest.raises(Refused):
                ignorant.connect()
            result = ignorant.closed[wire.A_RESULT]
            assert struct.unpack("!H", result[:2])[0] == 4
        else:
            ignorant.connect()
            assert ignorant.call().online("eve", "x")
    finally:
        ignorant.stop()
        ignorant.close()


# -- MSS

def tcp_syn(source, destination, sport, dport, mss):
    """A SYN with an MSS option, checksummed."""
    segment = struct.pack("!HHIIBBHHHBBH", sport, dport, 1000, 0, 6 << 4, 2,
                          64000, 0, 0, 2, 4, mss)
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + \
        struct.pack("!HH", 6, len(segment))
    total = checksum(pseudo + segment)
    segment = segment[:16] + struct.pack("!H", total) + segment[18:]
    return ip_packet(source, destination, 6, segment)


def tcp_mss(packet):
    """(MSS, is the checksum right?) of a TCP packet with options."""
    head = (packet[0] & 15) * 4
    segment = packet[head:struct.unpack("!H", packet[2:4])[0]]
    pseudo = packet[12:20] + struct.pack("!HH", 6, len(segment))
    right = checksum(pseudo + segment) == 0
    options = segment[20:(segment[12] >> 4) * 4]
    while options and options[0] != 0:
        if options[0] == 1:
            options = options[1:]
            continue
        if options[0] == 2:
            return struct.unpack("!H", options[2:4])[0], right
        options = options[options[1]:]
    return None, right


@pytest.mark.parametrize("offered, mtu", [(1460, 1500), (9000, 1500),
                                          (536, 1500), (1460, 1400)])
def test_mss_is_clamped_in_both_directions(
        net, daemon, capture, offered, mtu):
    """A segment of that size, its headers and all of L2TP fit the MTU."""
    daemon(config={"l2tp_mtu": mtu}, secrets="eve * %s *\n" % "x")
    tunnel = Lac(net.lac)
    checksums(net, "off")
    server = net.inet.socket(kind=socket.SOCK_STREAM)
    try:
        server.bind((INET_ADDR, 8080))
        server.listen(1)
        tunnel.connect()
        call = tunnel.call()
        own = call.online("eve", "x")
        seen = capture(net.inet, "lns0", "tcp")
        call.send_ppp(wire.IP, tcp_syn(own, INET_ADDR, 5555, 8080, offered))
        call.wait("the SYN and ACK", lambda: [
            p for p in call.packets if p[9] == 6 and p[33] == 0x12])
        back = [p for p in call.packets if p[9] == 6 and p[33] == 0x12][0]
        path = seen.stop()
    finally:
        server.close()
        tunnel.stop()
        tunnel.close()
        checksums(net, "on")
    there = [bytes(p["IP"]) for p in rdpcap(path)
             if p.haslayer("TCP") and p["TCP"].flags == "S"]
    assert len(there) == 1
    # IP, UDP, L2TP and PPP around IP and TCP.
    limit = mtu - 20 - 8 - 6 - 4 - 40
    got, right = tcp_mss(there[0])
    assert right
    assert got <= limit and got >= min(offered, limit - 20)
    got, right = tcp_mss(back)
    assert right
    assert limit - 20 <= got <= limit
