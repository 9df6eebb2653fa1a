"""RADIUS octet by octet, and what a reload must not break.

The server here is a few lines of our own (Book): it keeps every packet as it
came, and says what the test tells it to say, right or wrong.
"""

import hashlib
import hmac
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

import daemon as daemon_module
from lac import Lac, Refused
from net import INET_ADDR, INET_ADDR2, LNS_ADDR, LNS_INET_ADDR, wait_for

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference does not promise this")

SECRET = b"octets"
NAME, WORD = "bob", "word"

ACCEPT, REJECT, CHALLENGE = 2, 3, 11
START, STOP, INTERIM = 1, 2, 3


def attributes(data):
    """[(type, value)] of what follows a RADIUS header."""
    found = []
    while data:
        kind, length = data[0], data[1]
        assert 2 <= length <= len(data), "attribute of impossible length"
        found.append((kind, data[2:length]))
        data = data[length:]
    return found


def put(kind, value):
    """One attribute: an int is 4 octets, a dotted text an address."""
    if isinstance(value, int):
        value = struct.pack("!I", value)
    elif isinstance(value, str) and re.fullmatch(r"\d+\.\d+\.\d+\.\d+", value):
        value = socket.inet_aton(value)
    elif isinstance(value, str):
        value = value.encode()
    return bytes([kind, 2 + len(value)]) + value


class Packet:
    """One request as it came."""

    def __init__(self, data, source):
        self.data, self.source = data, source
        self.code, self.id, length = struct.unpack("!BBH", data[:4])
        assert length == len(data), "octets beyond the Length"
        self.authenticator = data[4:20]
        self.list = attributes(data[20:])
        self.time = time.monotonic()

    def all(self, kind):
        return [v for k, v in self.list if k == kind]

    def one(self, kind):
        values = self.all(kind)
        assert len(values) == 1, "attribute %d: %s" % (kind, values)
        return values[0]

    def number(self, kind):
        return int.from_bytes(self.one(kind), "big")

    def address(self, kind):
        return socket.inet_ntoa(self.one(kind))

    def signed(self, secret):
        """Is its authenticator, or Message-Authenticator, right?"""
        if self.code == 4:
            zero = self.data[:4] + bytes(16) + self.data[20:]
            return hashlib.md5(zero + secret).digest() == self.authenticator
        zero = self.data[:22] + bytes(16) + self.data[38:]
        return self.data[20:22] == b"\x50\x12" and hmac.new(
            secret, zero, "md5").digest() == self.data[22:38]

    def reply(self, code, attrs=b"", secret=SECRET, sign=True):
        head = struct.pack("!BBH", code, self.id,
                           20 + len(attrs) + (18 if sign else 0))
        if sign:
            mac = hmac.new(secret, head + self.authenticator + b"\x50\x12" +
                           bytes(16) + attrs, "md5").digest()
            attrs = b"\x50\x12" + mac + attrs
        return head + hashlib.md5(
            head + self.authenticator + attrs + secret).digest() + attrs


class Book:
    """A RADIUS server that keeps every packet.

    accept is the attributes of each Access-Accept; answer(packet), if given,
    says what to send for an Access-Request instead: a list of datagrams.
    """

    def __init__(self, space, accept=b"", answer=None, address=INET_ADDR,
                 secret=SECRET):
        self.accept, self.answer, self.secret = accept, answer, secret
        self.silent = self.ended = False
        self.deaf = None
        self.asked, self.billed = [], []
        self.sockets, self.threads = [], []
        for port in (1812, 1813):
            sock = space.socket()
            sock.bind((address, port))
            sock.settimeout(0.1)
            self.sockets.append(sock)
            self.threads.append(threading.Thread(
                target=self.serve, args=(sock,), daemon=True))
            self.threads[-1].start()

    def serve(self, sock):
        while not self.ended:
            try:
                p = Packet(*sock.recvfrom(65535))
            except socket.timeout:
                continue
            (self.asked if p.code == 1 else self.billed).append(p)
            if self.silent or self.lose(p):
                continue
            if p.code == 4:
                out = [p.reply(5, secret=self.secret, sign=False)]
            elif self.answer:
                out = self.answer(p)
            else:
                out = [p.reply(ACCEPT, self.accept, self.secret)]
            for data in out:
                sock.sendto(data, p.source)

    def lose(self, p):
        """When deaf is a dictionary: records are heard from the second on,
        those of users with an odd number from the third."""
        if self.deaf is None or p.code != 4:
            return False
        times = self.deaf[p.one(44)] = self.deaf.get(p.one(44), 0) + 1
        return times < (3 if p.one(1)[-1] % 2 else 2)

    def kind(self, status):
        return [p for p in self.billed if p.number(40) == status]

    def wait(self, status, count=1, seconds=10):
        wait_for(lambda: "%d records of kind %d" % (count, status), seconds,
                 lambda: len(self.kind(status)) >= count)
        return self.kind(status)

    def close(self):
        self.ended = True
        for sock, thread in zip(self.sockets, self.threads):
            thread.join()
            sock.close()


@pytest.fixture
def world(net, daemon):
    """make(accept, answer, **config) -> (book, daemon, lac)"""
    class World:
        def __init__(self):
            self.made = []

        def book(self, *args, **options):
            one = Book(net.inet, *args, **options)
            self.made.append(one.close)
            return one

        def lac(self, **options):
            one = Lac(net.lac, **options)
            self.made.append(one.close)
            one.connect()
            return one

        def __call__(self, accept=b"", answer=None, start=None, **config):
            book = self.book(accept, answer)
            keys = {"radius_accounting": True, "primary_radius": INET_ADDR,
                    "radius_secret": SECRET.decode()}
            keys.update(config)
            lns = daemon(config=keys, **(start or {}))
            self.made.append(lns.finish)    # before the book is closed
            return book, lns, self.lac()

    made = World()
    yield made
    for close in reversed(made.made):
        close()


# -- what is asked and billed

def test_every_request_says_who_where_and_is_signed(world):
    book, lns, lac = world(b"".join((
        put(25, b"first\0class"), put(25, b"second"), put(1, "bob@isp"))))
    call = lac.call(called="4711", calling="0815")
    address = call.online(NAME, WORD, "pap")
    call.hangup()
    book.wait(STOP)
    asked, = book.asked
    start, stop = book.billed
    assert asked.signed(SECRET) and asked.list[0][0] == 80
    assert asked.one(1) == b"bob"
    for p in (start, stop):
        assert p.signed(SECRET)
        assert p.one(1) == b"bob@isp"
        assert p.all(25) == [b"first\0class", b"second"]
        assert p.address(8) == address
        assert abs(p.number(55) - time.time()) < 10
        assert p.number(41) == 0
        assert p.number(45) == 1
    for p in (asked, start, stop):
        assert p.one(44) == asked.one(44)
        assert p.number(5) == asked.number(5) >= 1
        assert p.number(61) == 5
        assert p.number(6) == 2 and p.number(7) == 1
        assert p.one(30) == b"4711" and p.one(31) == b"0815"
        assert p.one(66)[1:] == b"10.99.1.1"
        assert p.one(67)[1:] == LNS_ADDR.encode()
        assert p.one(90)[1:] == b"lac.test"
        assert p.address(4) == LNS_INET_ADDR
    assert not asked.all(8) and not asked.all(41)
    assert stop.number(49) == 1


@pytest.mark.parametrize("how, cause", [
    ("lcp", 1), ("cdn carrier", 2), ("cdn admin", 6), ("stopccn", 3),
    ("quit", 7), ("term", 11), ("again", 6), ("mute", 2)])
def test_how_it_ended_is_billed(world, how, cause):
    book, lns, lac = world(echo_timeout=1, idle_echo_timeout=3)
    call = lac.call()
    call.online(NAME, WORD)
    book.wait(START)
    if how == "lcp":
        call.hangup()
    elif how.startswith("cdn"):
        lac.send_control(14, struct.pack("!HHHHHHHH", 0x8008, 0, 14,
                         call.session, 0x8008, 0, 1,
                         1 if "carrier" in how else 3), call.peer_session)
    elif how == "stopccn":
        lac.stop()
    elif how == "quit":
        lns.expected_exit = True
        lns.process.send(3)
    elif how == "term":
        lns.expected_exit = True
        lns.process.send(15)
    elif how == "again":
        lac.call().online("BOB", WORD)
    elif how == "mute":
        call.answer_echo = False
    lac.wait("the Stop", lambda: book.kind(STOP), 12)
    assert book.kind(STOP)[0].number(49) == cause


# -- what the reply may not do

FORBIDDEN = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1",
             LNS_ADDR, LNS_INET_ADDR, INET_ADDR]


def test_an_address_that_no_subscriber_may_have_is_refused(world):
    book, lns, lac = world()
    for address in FORBIDDEN:
        book.accept = put(8, address)
        with pytest.raises(Refused):
            lac.call().online(NAME, WORD)
    assert len(book.asked) == len(FORBIDDEN) and not book.billed
    book.accept = b""
    lac.call().online(NAME, WORD)


def test_a_route_that_takes_our_own_traffic_is_refused(world):
    book, lns, lac = world(b"".join(put(22, text) for text in (
        "0.0.0.0/0", "10.0.0.0/8", LNS_ADDR, LNS_INET_ADDR + "/32 0.0.0.0 1",
        INET_ADDR + "/32", "10.99.2.0/24", "127.0.0.0/8", "224.0.0.0/4",
        "not a route", "10.77.1.0/33", "", " 10.77.9.0/24 0.0.0.0 1")))
    before = lns.routes()
    call = lac.call()
    call.online(NAME, WORD)
    wait_for("the one good route", 5, lambda: "10.77.9.0/24" in lns.routes())
    new = set(lns.routes().splitlines()) - set(before.splitlines())
    assert [line.split()[0] for line in new] == ["10.77.9.0/24"], new
    assert call.ping(INET_ADDR, 2) == 2


ROUTES = [
    ("10.77.1.0/24 0.0.0.0 1", "10.77.1.0/24"),
    ("10.77.1.0/24", "10.77.1.0/24"),
    ("10.77.1.0/24 10.50.0.1", "10.77.1.0/24"),
    ("10.77.1.9/24 0.0.0.0 1 2 -1", "10.77.1.0/24"),
    ("192.168.77.0 0.0.0.0 1", "192.168.77.0/24"),
    ("10.77.1.7/32 0.0.0.0 1", "10.77.1.7"),
    ("10.77.1.0/24\t0.0.0.0 1", "10.77.1.0/24"),
    ("10.77.1.0/24\0", "10.77.1.0/24")]


def test_forms_of_framed_route(world):
    book, lns, lac = world()
    for text, route in ROUTES:
        def there():
            return re.search("^%s dev tun0" % route, lns.routes(), re.M)
        book.accept = put(22, text)
        call = lac.call()
        call.online(NAME, WORD)
        wait_for("the route of %r" % text, 3, there)
        call.hangup()
        wait_for("it to go", 3, lambda: not there())


# -- replies that are none

def other(p):
    """Everything that can be wrong with an answer, then a right one."""
    good = p.reply(ACCEPT, put(18, "right"))
    bad = [
        p.reply(ACCEPT, put(18, "forged"), b"another secret"),
        p.reply(ACCEPT, put(18, "proxied") + put(33, b"state")),
        p.reply(5, put(18, "code")),
        p.reply(ACCEPT, put(18, "torn") + b"\x01\x01"),
        good[:10], good[:-1],
        good[:1] + bytes([good[1] ^ 1]) + good[2:],
        good[:38] + bytes([good[38] ^ 1]) + good[39:],
        b"", b"\x02"]
    twice = put(80, bytes(16))
    bad.append(p.reply(ACCEPT, put(18, "two signs") + twice))
    return bad + [good, good, p.reply(REJECT)]


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_what_is_wrong_is_dropped_and_the_right_one_taken(world, auth):
    book, lns, lac = world(answer=other)
    call = lac.call()
    call.online(NAME, WORD, auth)
    assert call.auth_message == b"right"
    assert len(book.asked) == 1


def test_an_answer_from_elsewhere_is_not_heard(net, world):
    elsewhere = net.inet.socket()
    elsewhere.bind((INET_ADDR2, 1812))

    def answer(p):
        elsewhere.sendto(p.reply(ACCEPT), p.source)
        return []
    book, lns, lac = world(answer=answer)
    try:
        with pytest.raises(TimeoutError):
            lac.call().login(NAME, WORD, seconds=3)
    finally:
        elsewhere.close()


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_a_challenge_is_a_refusal(world, auth):
    book, lns, lac = world(answer=lambda p: [
        p.reply(CHALLENGE, put(18, "say more") + put(24, b"state"))])
    call = lac.call()
    with pytest.raises(Refused):
        call.login(NAME, WORD, auth)
    assert call.auth_message == b"say more"


def test_auto_believes_unsigned_answers_until_a_signed_one_came(world):
    signs = [False]
    book, lns, lac = world(allow_duplicate_users=True, answer=lambda p: [
        p.reply(ACCEPT, sign=signs[0])])
    lac.call().online(NAME, WORD)
    signs[0] = True
    lac.call().online(NAME, WORD)
    signs[0] = False
    with pytest.raises(TimeoutError):
        lac.call().login(NAME, WORD, seconds=3)


def test_a_repeat_is_the_same_octets_from_the_same_port(world):
    book, lns, lac = world()
    book.silent = True
    with pytest.raises(Refused):
        lac.call().login(NAME, WORD, seconds=30)
    assert len(book.asked) == 4
    assert len({(p.data, p.source) for p in book.asked}) == 1
    gaps = [b.time - a.time for a, b in zip(book.asked, book.asked[1:])]
    assert 1.7 < gaps[0] < 2.4 and 3.5 < gaps[1] < 4.6 and gaps[2] < 7


def test_a_record_sent_again_is_a_new_packet_with_its_delay(world):
    book, lns, lac = world()
    call = lac.call()
    call.online(NAME, WORD)
    book.wait(START)
    book.silent = True
    call.hangup()
    book.wait(STOP, 3, 12)
    book.silent = False
    book.wait(STOP, 4, 12)
    stops = book.kind(STOP)
    assert len({(p.source, p.id) for p in stops}) == len(stops)
    assert all(p.signed(SECRET) for p in stops)
    delays = [p.number(41) for p in stops]
    assert delays == sorted(delays) and delays[-1] >= 4
    for kind in (1, 44, 46, 42, 43, 49, 55):
        assert len({p.one(kind) for p in stops}) == 1
    began = stops[0].time
    for p, delay in zip(stops, delays):
        assert abs(p.time - began - delay) < 1.1


# -- a reload

def test_a_new_secret_holds_for_what_is_on_its_way(world):
    book, lns, lac = world()
    book.secret = b"new one"
    book.silent = True
    call = lac.call()
    with pytest.raises(TimeoutError):
        call.login(NAME, WORD, seconds=1)
    lns.write_config(radius_secret="new one")
    book.silent = False
    book.answer = lambda p: [p.reply(ACCEPT, secret=b"new one")] \
        if p.signed(b"new one") else []
    lns.reload()
    call.wait("authentication", lambda: call.authenticated, 5)


def test_a_stop_is_sent_after_accounting_was_turned_off(world):
    book, lns, lac = world()
    call = lac.call()
    call.online(NAME, WORD)
    book.wait(START)
    lns.write_config(radius_accounting=False)
    lns.reload()
    lns.wait_log("configuration loaded again")
    call.hangup()
    book.wait(STOP)
    lac.call().online(NAME, WORD)
    lac.pump(1)
    assert len(book.billed) == 2


def test_accounting_turned_on_bills_who_comes_after(world):
    book, lns, lac = world(radius_accounting=False,
                           allow_duplicate_users=True)
    first = lac.call()
    first.online(NAME, WORD)
    lns.write_config(radius_accounting=True)
    lns.reload()
    lns.wait_log("configuration loaded again")
    second = lac.call()
    second.online(NAME, WORD)
    first.hangup()
    second.hangup()
    book.wait(STOP)
    lac.pump(0.5)
    assert [p.number(40) for p in book.billed] == [START, STOP]


def test_a_subscriber_survives_the_loss_of_its_pool(net, world):
    book, lns, lac = world()
    call = lac.call()
    call.online(NAME, WORD)
    assert call.ping(INET_ADDR, 2) == 2
    lns.write("ip_pool", "10.50.7.0/24\n")
    lns.reload()
    lns.wait_log("configuration loaded again")
    lac.pump(0.5)
    assert call.ping(INET_ADDR, 2) == 2
    late = lac.call()
    assert late.online("late", WORD).startswith("10.50.7.")
    gone = call.address
    call.hangup()
    book.wait(STOP)
    wait_for("its route to go", 5, lambda: gone not in lns.routes())
    # And the pool comes back under a session.
    lns.write("ip_pool", "10.50.0.0/24\n10.50.7.0/24\n")
    lns.reload()
    assert late.ping(INET_ADDR, 2) == 2


def test_a_pool_that_grows_over_an_address_in_use_does_not_give_it_away(
        net, world):
    book, lns, lac = world(put(8, "10.50.9.1"))
    fixed = lac.call()
    fixed.online(NAME, WORD)
    book.accept = b""
    lns.write("ip_pool", "10.50.9.1\n10.50.9.2\n")
    lns.reload()
    lns.wait_log("configuration loaded again")
    assert lac.call().online("carol", WORD) == "10.50.9.2"
    assert fixed.ping(INET_ADDR, 2) == 2
    with pytest.raises(Refused):
        lac.call().online("dave", WORD)
    fixed.hangup()
    book.wait(STOP)
    assert lac.call().online("dave", WORD) == "10.50.9.1"


def test_a_detached_daemon_finds_its_files_again(net, tmp_path):
    for name, text in (("startup-config", "set debug 2\nset log_file %s/log\n"
                        "set pid_file %s/pid\n" % (tmp_path, tmp_path)),
                       ("ip_pool", "10.50.0.0/24\n")):
        (tmp_path / name).write_text(text)
    subprocess.run(net.lns.argv(daemon_module.program(), "-d", "-c",
                                "startup-config"), cwd=tmp_path, check=True,
                   timeout=20)
    log = tmp_path / "log"
    wait_for("the pid", 10, lambda: (tmp_path / "pid").exists() and
             (tmp_path / "pid").read_text().endswith("\n"))
    pid = int((tmp_path / "pid").read_text())
    try:
        os.kill(pid, 1)
        wait_for("the reload", 5, lambda: re.search(
            "loaded again|cannot be read", log.read_text()))
        assert "loaded again" in log.read_text()
    finally:
        os.kill(pid, 15)
        wait_for("its end", 10, lambda: not os.path.exists("/proc/%d" % pid))
    assert not (tmp_path / "pid").exists()


# -- names

HOSTILE = ["%n%s%d%x", "a b c", "x\ny\r\x1b[2J", "\u00fc\u00f1\u4e2d", "*",
           "'\";`$(id)", "../../etc", "n" * 253]


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_hostile_names_pass_as_they_are_and_log_clean(world, auth):
    book, lns, lac = world()
    for number, name in enumerate(HOSTILE):
        call = lac.call(called=name[:60], calling=name[:60])
        call.online(name, WORD, auth)
        call.hangup()
        book.wait(STOP, number + 1)
        for p in (book.asked[-1], book.billed[-2], book.billed[-1]):
            assert p.one(1) == name.encode()
    with open(lns.logfile, "rb") as f:
        log = f.read()
    assert not re.search(rb"[^\x20-\x7e\n]", log)
    for line in log.splitlines():
        assert re.match(rb"\d{4}-\d\d-\d\d |l2tpns", line), line


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_names_that_radius_cannot_carry_are_refused(world, auth):
    book, lns, lac = world()
    for name in ("", "n" * 254, "a\0b"):
        with pytest.raises((Refused, TimeoutError)):
            lac.call().login(name, WORD, auth, seconds=5)
    assert not book.asked


# -- the pool

@pytest.mark.parametrize("key", ["peer_address", "iftun_address"])
def test_the_servers_own_address_is_not_given_out_of_the_pool(world, key):
    book, lns, lac = world(**{key: "10.50.0.2"}, start={
        "ip_pool": "10.50.0.0/30\n10.50.0.9\n"})
    given = [lac.call().online("user%d" % n, WORD) for n in range(3)]
    assert sorted(given) == ["10.50.0.1", "10.50.0.3", "10.50.0.9"]
    with pytest.raises(Refused):
        lac.call().online("one too many", WORD)


def test_a_pool_of_more_addresses_than_can_be_used_is_no_fault(world):
    book, lns, lac = world(start={"ip_pool": "10.0.0.0/8\n10.50.0.9\n"})
    assert lac.call().online(NAME, WORD) == "10.0.0.1"
    assert " ERROR " not in lns.log()


# -- files

def test_files_that_others_can_change_or_read_are_told(tmp_path):
    """l2tpns -t: warnings, which are no faults."""
    for name, mode, text in (
            ("startup-config", 0o664, 'set l2tp_secret "x"\n'),
            ("ip_pool", 0o666, "10.50.0.0/24\n"),
            ("ppp-secrets", 0o644, "bob * word *\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)

    def check():
        return subprocess.run(
            [daemon_module.program(), "-t", "-c", "startup-config"],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=10)
    said = check()
    assert said.returncode == 0
    assert sorted(re.findall(r"(\S+): warning: (others|everybody)",
                             said.stdout)) == [
        ("./ip_pool", "others"), ("./ppp-secrets", "everybody"),
        ("startup-config", "everybody"), ("startup-config", "others")]
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    assert "warning" not in check().stdout


# -- the end

def test_the_end_waits_for_a_server_that_answers_slowly(world):
    """SIGTERM: records are sent again as long as some are answered."""
    book, lns, lac = world(allow_duplicate_users=True)
    for n in range(12):
        lac.call().online("user%d" % n, WORD)
    book.wait(START, 12)
    book.deaf = {}
    lns.expected_exit = True
    lns.process.send(15)
    assert lns.process.wait(40) == 0
    assert len({p.one(44) for p in book.kind(STOP)}) == 12
    assert all(count >= 2 for count in book.deaf.values())
    assert not re.search(r"accounting records lost", lns.log())


def test_the_end_does_not_wait_long_for_a_dead_server(world):
    book, lns, lac = world()
    lac.call().online(NAME, WORD)
    book.wait(START)
    book.silent = True
    lns.expected_exit = True
    began = time.monotonic()
    lns.process.send(15)
    assert lns.process.wait(40) == 0
    assert time.monotonic() - began < 5
    assert re.search(r"1 accounting records lost", lns.log())


# -- replies at their limits

@pytest.mark.parametrize("number", [0, 1 << 31, 0xffffffff])
def test_limits_that_are_none(world, number):
    book, lns, lac = world(b"".join((
        put(27, number), put(28, number), put(85, number))), echo_timeout=1)
    call = lac.call()
    call.online(NAME, WORD)
    lac.pump(3)
    assert not call.closed
    assert call.ping(INET_ADDR, 2) == 2
    assert [p.number(40) for p in book.billed] == [START]


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_a_reply_as_long_as_can_be(world, auth):
    big = b"".join([put(18, "m" * 253)] * 8 + [put(25, "c" * 253)] * 3 +
                   [put(22, "10.77.%d.0/24" % n) for n in range(20)] +
                   [put(26, struct.pack("!IBB", 9, 1, 9) + b"a=value")] * 40)
    big += put(79, b"\0" * 200) * ((4096 - 38 - len(big)) // 202)
    rest = 4096 - 38 - len(big)
    big += put(222, b"\0" * (rest - 2))
    assert len(big) == 4096 - 38
    book, lns, lac = world(big)
    call = lac.call()
    call.online(NAME, WORD, auth)
    assert call.auth_message.startswith(b"mmm")
    assert call.ping(INET_ADDR, 2) == 2
    assert lns.routes().count("10.77.") == 10
    call.hangup()
    stop, = book.wait(STOP)
    assert stop.all(25) == [b"c" * 253] * 2
    assert len(stop.all(22)) == 10


ACCEPTS = [
    (6, struct.pack("!I", 1), False), (6, struct.pack("!I", 99), False),
    (7, struct.pack("!I", 2), False), (8, b"\x0a\0\0", False),
    (27, b"\0\0\1", False), (26, b"\0\0\0", False),
    (6, struct.pack("!I", 2), True), (26, b"\0\0\0\x09\1", True),
    (26, b"\0\0\0\x09\1\1", True), (26, b"\0\0\0\x09\1\xff", True),
    (9, struct.pack("!I", 0xff00ff00), True), (12, b"\0\0\0\0", True),
    (200, b"", True)]


def test_what_an_accept_may_be(world):
    """RFC 2865 5: a wrong length, or a service that is not ours, is a
    refusal; what makes no sense is none."""
    book, lns, lac = world()
    for kind, value, taken in ACCEPTS:
        book.accept = put(kind, value)
        call = lac.call()
        if not taken:
            with pytest.raises(Refused):
                call.online(NAME, WORD)
            continue
        call.online(NAME, WORD)
        assert call.ping(INET_ADDR) == 1


def test_the_older_of_two_with_one_address_goes(world):
    book, lns, lac = world(put(8, "10.50.0.7"))
    first, second = lac.call(), lac.call()
    first.online("first", WORD)
    assert second.online("second", WORD) == "10.50.0.7"
    lac.wait("the end of the first", lambda: first.closed, 5)
    assert second.ping(INET_ADDR, 2) == 2
    stop, = book.wait(STOP)
    assert stop.one(1) == b"first"
    # And the pool does not give it to a third.
    book.accept = b""
    assert lac.call().online("third", WORD) != "10.50.0.7"
