"""A carrier and its subscribers, small and obedient, for single sessions.

Where pppd and lacsim do what subscribers do, this one does what a test says:
it shows every message that came, and sends whatever is asked.  Written from
RFC 2661, 1661, 1332, 1334, 1994 and 1877 for these tests only.

	lac = Lac(net.lac)
	lac.connect()
	call = lac.call()
	call.login("alice", "secret", auth="pap")
	call.wait_ip()
	call.send_udp("10.99.2.1", 9, b"hello")
	call.hangup()

Nothing happens between the calls: each that waits also receives, answers and
acknowledges.
"""

import hashlib
import os
import random
import select
import socket
import struct
import time

import net

# RFC 2661 3.2
SCCRQ, SCCRP, SCCCN, STOPCCN, HELLO = 1, 2, 3, 4, 6
ICRQ, ICRP, ICCN, CDN, SLI = 10, 11, 12, 14, 16
# RFC 2661 4.4
A_TYPE, A_RESULT, A_VERSION, A_FRAMING, A_HOST = 0, 1, 2, 3, 7
A_TUNNEL, A_WINDOW, A_CHALLENGE, A_RESPONSE = 9, 10, 11, 13
A_SESSION, A_SERIAL, A_FRAMETYPE, A_CALLED, A_CALLING = 14, 15, 19, 21, 22
A_SPEED = 24

IP, IPCP, LCP, PAP, CHAP = 0x0021, 0x8021, 0xc021, 0xc023, 0xc223
CONFREQ, CONFACK, CONFNAK, CONFREJ, TERMREQ, TERMACK = 1, 2, 3, 4, 5, 6
CODEREJ, PROTREJ, ECHOREQ, ECHOREP = 7, 8, 9, 10


class Refused(Exception):
    """The server said no: StopCCN, CDN, or a negative answer."""


def avp(kind, value, mandatory=True):
    if isinstance(value, int):
        value = struct.pack("!H", value)
    elif isinstance(value, str):
        value = value.encode()
    head = (0x8000 if mandatory else 0) | (6 + len(value))
    return struct.pack("!HHH", head, 0, kind) + value


def read_avps(data):
    """type -> value, of those that the IETF named."""
    found = {}
    while data:
        head, vendor, kind = struct.unpack("!HHH", data[:6])
        length = head & 0x3ff
        assert 6 <= length <= len(data), "AVP of impossible length"
        if vendor == 0:
            found[kind] = data[6:length]
        data = data[length:]
    return found


def read_options(data):
    """type -> value of a Configure message."""
    found = {}
    while data:
        kind, length = data[0], data[1]
        assert 2 <= length <= len(data), "option of impossible length"
        found[kind] = data[2:length]
        data = data[length:]
    return found


def write_options(options):
    return b"".join(struct.pack("BB", k, 2 + len(v)) + v
                    for k, v in options.items())


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_packet(source, destination, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload),
                       random.randrange(65536), 0, 64, protocol, 0,
                       socket.inet_aton(source),
                       socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


class Lac:
    """One tunnel."""

    def __init__(self, space, name="lac.test", lns=net.LNS_ADDR, secret=None,
                 address=net.LAC_ADDR, port=0):
        self.name = name
        self.secret = secret
        self.sock = space.socket()
        self.sock.bind((address, port))
        self.sock.connect((lns, 1701))
        self.tunnel = random.randrange(1, 65536)
        self.peer_tunnel = 0
        self.ns = self.nr = 0
        self.unacked = []           # [Ns, datagram, when to send again]
        self.control = []           # all messages: (type, AVPs, session)
        self.calls = {}             # our session id -> Call
        self.closed = None          # the StopCCN's AVPs
        self.next_call = random.randrange(1, 60000)
        self.serial = 0

    # -- sending and receiving

    def send_control(self, kind, avps=b"", session=0):
        body = avp(A_TYPE, kind) + avps
        head = struct.pack("!HHHHHH", 0xc802, 12 + len(body),
                           self.peer_tunnel, session, self.ns, self.nr)
        self.unacked.append([self.ns, head + body, time.monotonic() + 1])
        self.ns = (self.ns + 1) & 0xffff
        self.emit(head + body)

    def send_zlb(self):
        self.emit(struct.pack("!HHHHHH", 0xc802, 12, self.peer_tunnel, 0,
                              self.ns, self.nr))

    def emit(self, data):
        try:
            self.sock.send(data)
        except ConnectionRefusedError:
            pass    # an ICMP error of before; what is lost is sent again

    def pump(self, seconds):
        """Receive for a while, at least what is there."""
        end = time.monotonic() + seconds
        while True:
            left = max(0, end - time.monotonic())
            ready, _, _ = select.select([self.sock], [], [], min(left, 0.2))
            if ready:
                try:
                    self.receive(self.sock.recv(65535))
                except ConnectionRefusedError:
                    pass
            now = time.monotonic()
            for item in self.unacked:
                if now > item[2]:
                    item[2] = now + 1
                    self.emit(item[1])
            if not ready and now >= end:
                return
            if now >= end + 5:
                return    # a flood: enough for now

    def wait(self, what, ready, seconds=10):
        """Pump until ready() is true; its value."""
        end = time.monotonic() + seconds
        while True:
            value = ready()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError("waited %g s for %s" % (
                    seconds, what() if callable(what) else what))
            self.pump(0.02)

    def receive(self, data):
        flags, = struct.unpack("!H", data[:2])
        at = 2
        if flags & 0x4000:
            length, = struct.unpack("!H", data[at:at + 2])
            assert 6 <= length <= len(data)
            data = data[:length]
            at += 2
        tunnel, session = struct.unpack("!HH", data[at:at + 4])
        at += 4
        ns = nr = None
        if flags & 0x0800:
            ns, nr = struct.unpack("!HH", data[at:at + 4])
            at += 4
        if flags & 0x0200:
            at += 2 + struct.unpack("!H", data[at:at + 2])[0]
        assert flags & 0xf == 2 and tunnel == self.tunnel, "not for us"
        if flags & 0x8000:
            self.receive_control(session, ns, nr, data[at:])
        elif session in self.calls:
            self.calls[session].receive(data[at:])

    def receive_control(self, session, ns, nr, body):
        # Acknowledged is what lies before nr, modulo 65536.
        self.unacked = [i for i in self.unacked
                        if (nr - i[0] - 1) & 0xffff >= 0x8000]
        if not body:
            return
        if ns != self.nr:
            self.send_zlb()    # seen before, or too early
            return
        self.nr = (self.nr + 1) & 0xffff
        avps = read_avps(body)
        kind, = struct.unpack("!H", avps[A_TYPE])
        self.control.append((kind, avps, session))
        if kind == SCCRP:
            self.peer_tunnel, = struct.unpack("!H", avps[A_TUNNEL])
        if kind == STOPCCN:
            self.closed = avps
            for call in self.calls.values():
                call.closed = call.closed or avps
        if session in self.calls:
            self.calls[session].control(kind, avps)
        self.send_zlb()

    def seen(self, kind):
        for one, avps, _ in self.control:
            if one == kind:
                return avps
        return None

    # -- the tunnel

    def connect(self, extra=b"", seconds=10):
        """SCCRQ, SCCRP, SCCCN; the AVPs of the SCCRP."""
        avps = avp(A_VERSION, b"\1\0") + avp(A_HOST, self.name) + \
            avp(A_FRAMING, struct.pack("!I", 3)) + \
            avp(A_TUNNEL, self.tunnel) + avp(A_WINDOW, 16)
        challenge = os.urandom(16)
        if self.secret:
            avps += avp(A_CHALLENGE, challenge)
        self.send_control(SCCRQ, avps + extra)
        reply = self.wait("SCCRP", lambda: self.seen(SCCRP) or self.closed,
                          seconds)
        if self.closed:
            raise Refused("StopCCN %s" % self.closed)
        if self.secret:
            want = hashlib.md5(bytes([SCCRP]) + self.secret.encode() +
                               challenge).digest()
            assert reply.get(A_RESPONSE) == want, "server's proof is wrong"
        answer = b""
        if A_CHALLENGE in reply:
            proof = hashlib.md5(bytes([SCCCN]) + (self.secret or "").encode()
                                + reply[A_CHALLENGE]).digest()
            answer = avp(A_RESPONSE, proof)
        self.send_control(SCCCN, answer)
        self.wait("acknowledgement of SCCCN",
                  lambda: not self.unacked or self.closed)
        if self.closed:
            raise Refused("StopCCN %s" % self.closed)
        return reply

    def call(self, called="0800-called", calling="0170-calling", seconds=10):
        """ICRQ, ICRP, ICCN; the Call."""
        self.next_call = self.next_call % 65535 + 1
        self.serial += 1
        call = Call(self, self.next_call)
        self.calls[call.session] = call
        self.send_control(ICRQ, avp(A_SESSION, call.session) +
                          avp(A_SERIAL, struct.pack("!I", self.serial)) +
                          avp(A_CALLED, called) + avp(A_CALLING, calling))
        self.wait("ICRP", lambda: call.peer_session or call.closed, seconds)
        if call.closed:
            raise Refused("CDN %s" % call.closed)
        self.send_control(ICCN, avp(A_SPEED, struct.pack("!I", 10000000)) +
                          avp(A_FRAMETYPE, struct.pack("!I", 1)),
                          call.peer_session)
        return call

    def stop(self, result=1):
        """StopCCN, acknowledged or not."""
        if self.peer_tunnel and not self.closed:
            self.send_control(STOPCCN, avp(A_TUNNEL, self.tunnel) +
                              avp(A_RESULT, result))
            try:
                self.wait("acknowledgement of StopCCN",
                          lambda: not self.unacked, 3)
            except TimeoutError:
                pass

    def close(self):
        """Vanish without a word."""
        self.sock.close()


class Call:
    """One session with its PPP."""

    def __init__(self, lac, session):
        self.lac = lac
        self.session = session
        self.peer_session = 0
        self.closed = None          # AVPs of the CDN or StopCCN
        self.user = self.password = ""
        self.refuse = None          # an authentication we will not do
        self.messages = []          # (protocol, code, id, data) received
        self.packets = []           # IP packets received
        self.answer_echo = True
        self.reset()

    def reset(self, address="0.0.0.0"):
        """As a subscriber that was switched on."""
        self.magic = random.randrange(1, 1 << 32)
        self.identifier = 0
        self.requested = {}         # protocol -> identifier, last ConfReq
        self.lcp_up = [False, False]    # ours acknowledged, theirs too
        self.ipcp_up = [False, False]
        self.auth = None            # what the server wants
        self.authenticated = None   # True, False
        self.auth_message = b""
        self.wanted = {3: socket.inet_aton(address), 129: bytes(4),
                       131: bytes(4)}
        self.peer_address = None
        self.peer_options = {}

    # -- sending

    def send_ppp(self, protocol, payload):
        head = struct.pack("!HHHBBH", 0x0002, self.lac.peer_tunnel,
                           self.peer_session, 0xff, 3, protocol)
        self.lac.emit(head + payload)

    def send_cp(self, protocol, code, identifier, data=b""):
        self.send_ppp(protocol, struct.pack("!BBH", code, identifier,
                                            4 + len(data)) + data)

    def configure(self, protocol, options):
        self.identifier = (self.identifier + 1) & 0xff
        self.requested[protocol] = self.identifier
        self.send_cp(protocol, CONFREQ, self.identifier,
                     write_options(options))

    def lcp_options(self):
        return {1: struct.pack("!H", 1460), 5: struct.pack("!I", self.magic)}

    # -- receiving

    def control(self, kind, avps):
        if kind == ICRP:
            self.peer_session, = struct.unpack("!H", avps[A_SESSION])
        elif kind == CDN:
            self.closed = avps

    def receive(self, data):
        if data[:2] == b"\xff\x03":
            data = data[2:]
        if data[0] & 1:
            protocol, data = data[0], data[1:]
        else:
            protocol, data = struct.unpack("!H", data[:2])[0], data[2:]
        if protocol == IP:
            self.packets.append(data)
            return
        code, identifier, length = struct.unpack("!BBH", data[:4])
        assert 4 <= length <= len(data)
        data = data[4:length]
        self.messages.append((protocol, code, identifier, data))
        if protocol == LCP:
            self.lcp(code, identifier, data)
        elif protocol == IPCP:
            self.ipcp(code, identifier, data)
        elif protocol == CHAP:
            self.chap(code, identifier, data)
        elif protocol == PAP:
            self.authenticated = code == 2
            self.auth_message = data[1:1 + data[0]] if data else b""
        else:
            self.send_cp(LCP, PROTREJ, identifier,
                         struct.pack("!HBBH", protocol, code, identifier,
                                     4 + len(data)) + data)

    def lcp(self, code, identifier, data):
        if code == CONFREQ:
            options = read_options(data)
            auth = options.get(3, b"")
            name = {b"\xc0\x23": "pap", b"\xc2\x23\x05": "chap"}.get(auth)
            if name and name == self.refuse:
                other = {"chap": b"\xc0\x23", "pap": b"\xc2\x23\x05"}[name]
                self.send_cp(LCP, CONFNAK, identifier,
                             write_options({3: other}))
                return
            unknown = {k: v for k, v in options.items()
                       if k not in (1, 2, 3, 5, 7, 8)}
            if unknown:
                self.send_cp(LCP, CONFREJ, identifier,
                             write_options(unknown))
                return
            self.peer_options = options
            self.auth = name
            self.send_cp(LCP, CONFACK, identifier, data)
            self.lcp_up[1] = True
            self.lcp_opened()
        elif code == CONFACK and identifier == self.requested.get(LCP):
            self.lcp_up[0] = True
            self.lcp_opened()
        elif code == ECHOREQ and self.answer_echo:
            self.send_cp(LCP, ECHOREP, identifier,
                         struct.pack("!I", self.magic) + data[4:])
        elif code == TERMREQ:
            self.send_cp(LCP, TERMACK, identifier)

    def lcp_opened(self):
        if all(self.lcp_up) and self.auth == "pap" and \
                self.authenticated is None:
            self.send_pap()

    def send_pap(self):
        name, word = self.user.encode(), self.password.encode()
        self.identifier = (self.identifier + 1) & 0xff
        self.send_cp(PAP, 1, self.identifier, bytes([len(name)]) + name +
                     bytes([len(word)]) + word)

    def chap(self, code, identifier, data):
        if code == 1:
            challenge = data[1:1 + data[0]]
            proof = hashlib.md5(bytes([identifier]) + self.password.encode()
                                + challenge).digest()
            self.send_cp(CHAP, 2, identifier, b"\x10" + proof +
                         self.user.encode())
        else:
            self.authenticated = code == 3
            self.auth_message = data

    def ipcp(self, code, identifier, data):
        if code == CONFREQ:
            options = read_options(data)
            if set(options) != {3}:
                self.send_cp(IPCP, CONFREJ, identifier, write_options(
                    {k: v for k, v in options.items() if k != 3}))
                return
            self.peer_address = socket.inet_ntoa(options[3])
            self.send_cp(IPCP, CONFACK, identifier, data)
            self.ipcp_up[1] = True
        elif identifier != self.requested.get(IPCP):
            return
        elif code == CONFACK:
            self.ipcp_up[0] = True
        elif code == CONFNAK:
            self.wanted.update(read_options(data))
            self.configure(IPCP, self.wanted)
        elif code == CONFREJ:
            for kind in read_options(data):
                self.wanted.pop(kind, None)
            self.configure(IPCP, self.wanted)

    # -- a subscriber's life

    def wait(self, what, ready, seconds=10):
        """As Lac.wait(), but Refused when the call was closed."""
        def look():
            value = ready()
            if not value and self.closed:
                raise Refused("closed while waiting for %s: %s" % (
                    what, self.closed))
            return value
        return self.lac.wait(
            lambda: "%s; came so far: %s" % (what, self.messages), look,
            seconds)

    def login(self, user, password, auth=None, seconds=15):
        """LCP and authentication; Refused if the server says no.

        auth is "pap" or "chap" to refuse the other, None for either.
        """
        self.user, self.password = user, password
        self.refuse = {"pap": "chap", "chap": "pap", None: None}[auth]
        self.configure(LCP, self.lcp_options())
        self.wait("LCP", lambda: all(self.lcp_up), seconds)
        self.wait("authentication",
                  lambda: self.authenticated is not None, seconds)
        if not self.authenticated:
            raise Refused("authentication: %r" % self.auth_message)

    def wait_ip(self, seconds=15):
        """IPCP; our address."""
        self.configure(IPCP, self.wanted)
        self.wait("IPCP", lambda: all(self.ipcp_up), seconds)
        return self.address

    @property
    def address(self):
        return socket.inet_ntoa(self.wanted[3])

    @property
    def dns(self):
        return [socket.inet_ntoa(self.wanted[k]) for k in (129, 131)
                if k in self.wanted]

    def online(self, user, password, auth=None):
        """login() and wait_ip()."""
        self.login(user, password, auth)
        return self.wait_ip()

    def hangup(self, how="ppp"):
        """Terminate-Request, then CDN ("ppp"); or CDN at once ("l2tp")."""
        if how == "ppp" and not self.closed:
            self.identifier = (self.identifier + 1) & 0xff
            self.send_cp(LCP, TERMREQ, self.identifier)
            self.lac.wait("Terminate-Ack", lambda: self.closed or any(
                m[:2] == (LCP, TERMACK) for m in self.messages), 5)
        if not self.closed:
            self.lac.send_control(CDN, avp(A_SESSION, self.session) +
                                  avp(A_RESULT, 3), self.peer_session)
        self.lac.wait("acknowledgements", lambda: not self.lac.unacked, 5)
        self.lac.calls.pop(self.session, None)

    def send_udp(self, destination, port, payload, source=None, sport=4000):
        """One UDP packet to the internet; its size in bytes of IP."""
        datagram = struct.pack("!HHHH", sport, port, 8 + len(payload), 0) + \
            payload
        packet = ip_packet(source or self.address, destination, 17, datagram)
        self.send_ppp(IP, packet)
        return len(packet)

    def ping(self, destination, count=1, source=None, seconds=5, size=56):
        """Echo requests, one after the other; how many came back."""
        came = 0
        for number in range(1, count + 1):
            key = random.randrange(65536)
            body = struct.pack("!HH", key, number) + bytes(size)
            body = struct.pack("!BBH", 8, 0, checksum(
                b"\x08\0\0\0" + body)) + body
            self.send_ppp(IP, ip_packet(source or self.address, destination,
                                        1, body))

            def back():
                return any(p[9] == 1 and p[20] == 0 and
                           p[24:28] == struct.pack("!HH", key, number)
                           for p in self.packets)
            try:
                self.wait("echo reply", back, seconds)
                came += 1
            except TimeoutError:
                pass
        return came

    def echo(self, seconds=5):
        """An LCP Echo-Request; True when answered."""
        self.identifier = (self.identifier + 1) & 0xff
        mine = self.identifier
        self.send_cp(LCP, ECHOREQ, mine, struct.pack("!I", self.magic))
        return self.wait("Echo-Reply", lambda: any(
            m[:3] == (LCP, ECHOREP, mine) for m in self.messages), seconds)
