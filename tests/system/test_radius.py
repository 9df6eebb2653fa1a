"""RADIUS against FreeRADIUS: what is asked, what is obeyed, what is billed.

One of our own carriers (lac.py) brings the sessions.  The ledger is what
FreeRADIUS wrote down; what the subscriber sent and received is counted here,
in bytes of IP packets.
"""

import re
import socket
import struct
import time

import pytest

import daemon as daemon_module
from freeradius import Silent, octets
from lac import Lac, Refused
from net import INET_ADDR, INET_ADDR2, LNS_ADDR, PEER_ADDR, wait_for

ours_only = pytest.mark.skipif(daemon_module.REFERENCE,
                               reason="the reference does not promise this")

NAME, WORD = "bob", "a password longer than sixteen octets"


def config(*servers, **more):
    keys = {"radius_accounting": True, "radius_secret": servers[0].secret,
            "primary_radius": servers[0].address}
    if len(servers) > 1:
        keys["secondary_radius"] = servers[1].address
    keys.update(more)
    return keys


@pytest.fixture
def lac(net):
    """A carrier with its tunnel up, made when called; closed at the end."""
    made = []

    def connect(**options):
        one = Lac(net.lac, **options)
        made.append(one)
        one.connect()
        return one

    yield connect
    for one in made:
        one.stop()
        one.close()


@pytest.fixture
def world(daemon, radius, lac):
    """A RADIUS server with one user, the daemon, a tunnel.

    world({attribute: value}) -> (server, daemon, lac)
    """
    def make(reply=None, **more):
        server = radius({NAME: (WORD, reply or {})})
        lns = daemon(config=config(server, **more))
        return server, lns, lac()
    return make


def listen(net, port=4001):
    """A UDP socket on the internet."""
    sock = net.inet.socket()
    sock.bind(("0.0.0.0", port))
    sock.settimeout(3)
    return sock


# -- who gets in

@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_accept_brings_the_subscriber_online(world, auth):
    server, lns, lac = world()
    call = lac.call(called="4711", calling="0815")
    address = call.online(NAME, WORD, auth)
    assert re.match(r"10\.50\.0\.\d+$", address)
    assert call.peer_address == PEER_ADDR
    assert call.dns == ["10.99.2.53", "10.99.2.54"]
    assert call.ping(INET_ADDR, 10) == 10

    assert len(server.requests(NAME)) == 1
    request = server.requests(NAME)[0]
    assert request["Service-Type"] == "Framed-User"
    assert request["Called-Station-Id"] == "4711"
    assert request["Calling-Station-Id"] == "0815"
    assert int(request["NAS-Port"]) >= 1
    if not daemon_module.REFERENCE:
        assert request["Framed-Protocol"] == "PPP"
        assert "Message-Authenticator" in request
    if auth == "pap":
        assert request["User-Password"] == WORD
    else:
        assert len(request["CHAP-Password"]) == 2 + 34
    call.hangup()
    server.wait_ledger(1, NAME, "Stop")


@ours_only
@pytest.mark.parametrize("auth", ["pap", "chap"])
@pytest.mark.parametrize("name, word", [(NAME, "wrong"), ("nobody", WORD),
                                        (NAME, "")])
def test_reject_is_told_and_the_call_ends(world, auth, name, word):
    server, lns, lac = world()
    call = lac.call()
    with pytest.raises(Refused, match="authentication"):
        call.login(name, word, auth)
    lac.wait("the end of the call", lambda: call.closed, 15)
    assert server.ledger() == []
    # The tunnel, and the next call, are not hurt.
    other = lac.call()
    other.online(NAME, WORD, auth)
    assert other.ping(INET_ADDR) == 1


@ours_only
@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_reply_message_reaches_the_subscriber(world, auth):
    server, lns, lac = world({"Reply-Message": "Welcome to the tests"})
    call = lac.call()
    call.login(NAME, WORD, auth)
    assert call.auth_message == b"Welcome to the tests"


@ours_only
def test_a_server_with_another_secret_is_not_believed(
        net, daemon, radius, lac):
    server = radius({NAME: (WORD, {})}, secret="not the same one",
                    require_authenticator=False)
    lns = daemon(config=config(server, radius_secret="the daemon's"))
    call = lac().call()
    with pytest.raises(TimeoutError):
        call.login(NAME, WORD, "chap", seconds=6)
    # FreeRADIUS did not believe the daemon either, and said nothing.
    assert len(re.findall(r"invalid Message-Authenticator",
                          server.log())) >= 2
    assert server.requests() == []
    assert lns.process.alive()


@ours_only
def test_an_answer_without_message_authenticator_is_refused_if_asked_so(
        world):
    """FreeRADIUS 3.2.1 puts none into an Access-Accept."""
    server, lns, lac = world(radius_require_message_authenticator="yes")
    call = lac.call()
    with pytest.raises(TimeoutError):
        call.login(NAME, WORD, "pap", seconds=6)
    # It said yes more than once, in vain.
    said = re.findall(r"Sent Access-Accept|duplicate reply", server.log())
    assert len(said) >= 2
    assert re.search(r"Message-Authenticator", lns.log())


# -- what the reply says

def test_framed_ip_address_is_the_subscribers(net, world):
    server, lns, lac = world({"Framed-IP-Address": "10.51.7.9",
                              "Framed-IP-Netmask": "255.255.255.255"})
    call = lac.call()
    assert call.online(NAME, WORD) == "10.51.7.9"
    net.inet.ip("route replace 10.51.0.0/16 via 10.99.2.2")
    try:
        assert call.ping(INET_ADDR, 3) == 3
        assert re.search(r"10\.51\.7\.9(/32)? dev tun0", lns.routes())
        call.hangup()
        server.wait_ledger(1, NAME, "Stop")
        wait_for("the route to go", 10,
                 lambda: "10.51.7.9" not in lns.routes())
    finally:
        net.inet.ip("route del 10.51.0.0/16")
    start, stop = server.ledger(NAME)
    assert start["Framed-IP-Address"] == "10.51.7.9"
    assert stop["Framed-IP-Address"] == "10.51.7.9"


def test_framed_ip_address_254_means_one_of_the_pool(world):
    server, lns, lac = world({"Framed-IP-Address": "255.255.255.254"})
    call = lac.call()
    assert call.online(NAME, WORD).startswith("10.50.0.")
    assert call.ping(INET_ADDR, 3) == 3


@ours_only
def test_framed_ip_address_255_brings_an_address_that_works(world):
    server, lns, lac = world({"Framed-IP-Address": "255.255.255.255"})
    call = lac.call()
    call.login(NAME, WORD)
    call.wanted[3] = socket.inet_aton("10.50.0.200")
    assert call.wait_ip().startswith("10.50.0.")
    assert call.ping(INET_ADDR, 3) == 3


def test_framed_routes_lead_to_the_subscriber_and_only_to_it(net, world):
    server, lns, lac = world({"Framed-Route": [
        "10.77.1.0/24 0.0.0.0 1", "10.77.2.16/28 0.0.0.0 1"]})
    call = lac.call()
    own = call.online(NAME, WORD)
    assert "10.77.1.0/24 dev tun0" in lns.routes()
    assert "10.77.2.16/28 dev tun0" in lns.routes()
    net.inet.ip("route replace 10.77.0.0/16 via 10.99.2.2")
    try:
        # From behind the subscriber, and back.
        assert call.ping(INET_ADDR, 3, source="10.77.1.200") == 3
        assert call.ping(INET_ADDR, 3, source="10.77.2.17") == 3
        # Another's address is not its own.
        sock = listen(net)
        try:
            call.send_udp(INET_ADDR, 4001, b"lie", source="10.77.3.1")
            call.send_udp(INET_ADDR, 4001, b"lie", source="10.50.0.99")
            call.send_udp(INET_ADDR, 4001, b"truth")
            heard = sock.recvfrom(100)
            assert heard == (b"truth", (own, 4000))
        finally:
            sock.close()
        call.hangup()
        server.wait_ledger(1, NAME, "Stop")
        wait_for("the routes to go", 10, lambda: "10.77." not in lns.routes())
    finally:
        net.inet.ip("route del 10.77.0.0/16")


@pytest.mark.parametrize("reply", [
    {"MS-Primary-DNS-Server": "192.0.2.53",
     "MS-Secondary-DNS-Server": "192.0.2.54"},
    {"Attr-135": "0xc0000235", "Attr-136": "0xc0000236"}],
    ids=["microsoft", "ascend"])
def test_name_servers_of_the_reply_are_told(world, reply):
    if daemon_module.REFERENCE and "Attr-135" not in reply:
        pytest.skip("the reference does not know these")
    server, lns, lac = world(reply)
    call = lac.call()
    call.online(NAME, WORD)
    assert call.dns == ["192.0.2.53", "192.0.2.54"]


@ours_only
def test_class_comes_back_in_all_accounting(world):
    server, lns, lac = world({"Class": ["0x0102ff00aa", "0x626c7565"]})
    call = lac.call()
    call.online(NAME, WORD)
    call.hangup()
    server.wait_ledger(1, NAME, "Stop")
    for record in server.ledger(NAME):
        assert record["Class"] == ["0x0102ff00aa", "0x626c7565"]


def test_session_timeout_ends_the_session(world):
    server, lns, lac = world({"Session-Timeout": 4})
    call = lac.call()
    call.online(NAME, WORD)
    began = time.monotonic()
    lac.wait("the end of the call", lambda: call.closed, 25)
    lasted = time.monotonic() - began
    stop = server.wait_ledger(1, NAME, "Stop")[0]
    if daemon_module.REFERENCE:
        assert 3 < lasted
        return
    assert 3 < lasted < 6
    assert stop["Acct-Terminate-Cause"] == "Session-Timeout"
    assert 3 <= int(stop["Acct-Session-Time"]) <= 5


@ours_only
def test_idle_timeout_ends_a_session_without_traffic_only(world):
    """Echoes are no traffic."""
    server, lns, lac = world({"Idle-Timeout": 4}, echo_timeout=1)
    call = lac.call()
    call.online(NAME, WORD)
    for _ in range(5):
        assert call.ping(INET_ADDR) == 1
        lac.pump(2)
    assert not call.closed
    assert any(m[:2] == (0xc021, 9) for m in call.messages)
    began = time.monotonic()
    while not call.closed and time.monotonic() < began + 12:
        lac.pump(0.2)
    assert call.closed
    assert time.monotonic() - began < 8
    stop = server.wait_ledger(1, NAME, "Stop")[0]
    assert stop["Acct-Terminate-Cause"] == "Idle-Timeout"


# -- the ledger

def test_the_ledger_holds_what_the_subscriber_counted(net, world):
    server, lns, lac = world()
    call = lac.call(called="4711", calling="0815")
    own = call.online(NAME, WORD)
    sock = listen(net)
    sent = received = sent_packets = received_packets = 0
    try:
        for size in (0, 1, 100, 999, 1400):
            sent += call.send_udp(INET_ADDR, 4001, bytes(size))
            sent_packets += 1
            data, where = sock.recvfrom(2000)
            assert len(data) == size and where == (own, 4000)
            for _ in range(3):
                sock.sendto(bytes(size), where)
                received += 28 + size
                received_packets += 1
        call.wait("the packets", lambda: len(call.packets) ==
                  received_packets)
    finally:
        sock.close()
    lac.pump(1)
    call.hangup()
    server.wait_ledger(1, NAME, "Stop")
    lac.pump(1)
    assert [r["Acct-Status-Type"] for r in server.ledger(NAME)] == \
        ["Start", "Stop"]
    start, stop = server.ledger(NAME)
    assert octets(stop) == (sent, received)
    assert int(stop["Acct-Input-Packets"]) == sent_packets
    assert int(stop["Acct-Output-Packets"]) == received_packets
    for name in ("Acct-Session-Id", "NAS-Port", "Framed-IP-Address",
                 "Called-Station-Id", "Calling-Station-Id"):
        assert start[name] == stop[name], name
    assert start["Framed-IP-Address"] == own
    assert 1 <= int(stop["Acct-Session-Time"]) <= 20
    if not daemon_module.REFERENCE:
        assert stop["Acct-Terminate-Cause"] == "User-Request"
        for record in (start, stop):
            assert "Event-Timestamp" in record
            assert record["Acct-Delay-Time"] == "0"


@ours_only
def test_the_server_names_itself_in_all_it_asks(world):
    """RFC 2865 5.4, 5.32: at least one of the two."""
    server, lns, lac = world(bind_address=LNS_ADDR, hostname="lns.test")
    call = lac.call()
    call.online(NAME, WORD)
    call.hangup()
    server.wait_ledger(1, NAME, "Stop")
    for record in server.requests(NAME) + server.ledger(NAME):
        assert record["NAS-IP-Address"] == LNS_ADDR
        assert record["NAS-Identifier"] == "lns.test"


def test_each_session_has_an_id_of_its_own(world):
    server, lns, lac = world(allow_duplicate_users=True)
    for _ in range(5):
        call = lac.call()
        call.online(NAME, WORD)
        call.hangup()
    server.wait_ledger(5, NAME, "Stop")
    starts = [r["Acct-Session-Id"] for r in server.ledger(NAME, "Start")]
    stops = [r["Acct-Session-Id"] for r in server.ledger(NAME, "Stop")]
    assert len(set(starts)) == 5
    assert sorted(starts) == sorted(stops)


@ours_only
def test_session_ids_are_not_used_again_after_a_restart(daemon, radius, lac):
    server = radius({NAME: (WORD, {})})
    for name in ("first", "second"):
        lns = daemon(name=name, config=config(server))
        call = lac().call()
        call.online(NAME, WORD)
        call.hangup()
        server.wait_ledger(1 if name == "first" else 2, NAME, "Stop")
        lns.finish()
    ids = [r["Acct-Session-Id"] for r in server.ledger(NAME, "Start")]
    assert len(set(ids)) == 2


def test_a_second_login_ends_the_first(world):
    server, lns, lac = world(allow_duplicate_users=False)
    first = lac.call()
    first.online(NAME, WORD)
    second = lac.call()
    second.online(NAME, WORD)
    lac.wait("the end of the first", lambda: first.closed, 15)
    assert not second.closed
    assert second.ping(INET_ADDR, 3) == 3
    second.hangup()
    server.wait_ledger(2, NAME, "Stop")
    assert len(server.ledger(NAME, "Start")) == 2


@ours_only
def test_duplicate_users_live_side_by_side_if_allowed(world):
    server, lns, lac = world(allow_duplicate_users=True)
    calls = [lac.call() for _ in range(3)]
    addresses = {call.online(NAME, WORD) for call in calls}
    assert len(addresses) == 3
    for call in calls:
        assert call.ping(INET_ADDR, 2) == 2


@ours_only
def test_renegotiation_keeps_the_session_and_its_bill(world):
    """LCP from Opened: a new login, the same address, one Start, one Stop."""
    server, lns, lac = world()
    call = lac.call()
    own = call.online(NAME, WORD, "chap")
    assert call.ping(INET_ADDR, 4) == 4
    call.reset()
    assert call.online(NAME, WORD, "pap") == own
    assert call.ping(INET_ADDR, 4) == 4
    call.hangup()
    server.wait_ledger(1, NAME, "Stop")
    lac.pump(1)
    assert [r["Acct-Status-Type"] for r in server.ledger(NAME)] == \
        ["Start", "Stop"]
    # 8 echoes of 84 bytes each way.
    assert octets(server.ledger(NAME)[1]) == (672, 672)
    assert len(server.requests(NAME)) == 2


@ours_only
def test_a_carrier_that_vanished_is_billed_as_lost(world):
    server, lns, lac = world(echo_timeout=1, idle_echo_timeout=4)
    call = lac.call()
    call.online(NAME, WORD)
    assert call.ping(INET_ADDR) == 1
    stop = server.wait_ledger(1, NAME, "Stop", seconds=20)[0]
    assert stop["Acct-Terminate-Cause"] in ("Lost-Carrier", "Lost-Service")
    assert octets(stop) == (84, 84)


@pytest.mark.long
@pytest.mark.parametrize("where", ["reply", "config"])
def test_interim_records_come_each_interval(net, world, where):
    if where == "reply":
        server, lns, lac = world({"Acct-Interim-Interval": 60})
    else:
        server, lns, lac = world(radius_interim=60)
    call = lac.call()
    call.online(NAME, WORD)
    assert call.ping(INET_ADDR, 5) == 5
    lac.pump(65)
    assert call.ping(INET_ADDR, 5) == 5
    lac.pump(60)
    interim = server.ledger(NAME, "Interim-Update")
    assert len(interim) == 2
    assert [octets(r) for r in interim] == [(420, 420), (840, 840)]
    assert 59 <= int(interim[0]["Acct-Session-Time"]) <= 62
    assert 119 <= int(interim[1]["Acct-Session-Time"]) <= 122
    call.hangup()
    stop = server.wait_ledger(1, NAME, "Stop")[0]
    assert octets(stop) == (840, 840)


# -- servers that die

@pytest.mark.parametrize("death", ["silent", "closed"])
def test_the_secondary_stands_in_for_a_dead_primary(
        net, daemon, radius, lac, death):
    server = radius({NAME: (WORD, {})}, address=INET_ADDR2)
    dead = Silent(net.inet, INET_ADDR) if death == "silent" else None
    try:
        lns = daemon(config=config(
            server, primary_radius=INET_ADDR, secondary_radius=INET_ADDR2,
            allow_duplicate_users=True))
        tunnel = lac()
        took = []
        for _ in range(4):
            began = time.monotonic()
            call = tunnel.call()
            call.online(NAME, WORD)
            took.append(time.monotonic() - began)
            assert call.ping(INET_ADDR) == 1
            call.hangup()
        server.wait_ledger(4, NAME, "Stop", 40)
        # The reference drops a record when the primary did not answer.
        if not daemon_module.REFERENCE:
            assert len(server.ledger(NAME, "Start")) == 4
        if dead:
            assert dead.heard() >= 1
        assert max(took) < 10
        # By now it is known to be dead, and costs no waiting.
        if not daemon_module.REFERENCE:
            assert took[-1] < 1.5
    finally:
        if dead:
            dead.stop()


@ours_only
@pytest.mark.long
def test_the_primary_is_asked_again_when_it_is_back(net, daemon, radius, lac):
    """Dead it stays known for half a minute."""
    second = radius({NAME: (WORD, {})}, address=INET_ADDR2)
    first = radius({NAME: (WORD, {})}, address=INET_ADDR)
    first.stop()
    daemon(config=config(first, second, allow_duplicate_users=True))
    tunnel = lac()
    tunnel.call().online(NAME, WORD)
    assert len(second.requests(NAME)) == 1
    first.start()
    end = time.monotonic() + 50
    while not first.requests(NAME) and time.monotonic() < end:
        tunnel.pump(4)
        call = tunnel.call()
        call.online(NAME, WORD)
        call.hangup()
    assert first.requests(NAME)


def outage(net, daemon, radius, lac, seconds):
    first = radius({NAME: (WORD, {}), "carol": (WORD, {})})
    second = radius({NAME: (WORD, {}), "carol": (WORD, {})},
                    address=INET_ADDR2)
    lns = daemon(config=config(first, second, allow_duplicate_users=True))
    tunnel = lac()
    old = tunnel.call()
    old.online(NAME, WORD)
    leaving = tunnel.call()
    leaving.online("carol", WORD)
    assert leaving.ping(INET_ADDR, 3) == 3
    wait_for("both Starts", 10,
             lambda: len(first.ledger() + second.ledger()) == 2)

    first.cut()
    second.cut()
    began = time.monotonic()
    left = time.time()
    leaving.hangup()

    # A new one fails, and is told so.
    new = tunnel.call()
    with pytest.raises(Refused):
        new.login(NAME, WORD, seconds=40)
    tunnel.wait("the end of the call", lambda: new.closed, 20)
    while time.monotonic() - began < seconds:
        assert old.ping(INET_ADDR) == 1
        tunnel.pump(2)
    assert not old.closed

    first.mend()
    second.mend()
    fresh = tunnel.call()
    fresh.online(NAME, WORD)
    assert fresh.ping(INET_ADDR, 3) == 3
    assert old.ping(INET_ADDR, 3) == 3

    def stops():
        return [r for one in (first, second)
                for r in one.ledger("carol", "Stop")]
    wait_for("the Stop that waited", 60, stops)
    assert len({r["Acct-Session-Id"] for r in stops()}) == 1
    for stop in stops():
        assert octets(stop) == (252, 252)
        # When it happened, by what the server knows.
        delay = int(stop["Acct-Delay-Time"])
        assert delay >= seconds
        assert abs(int(stop["Timestamp"]) - delay - left) <= 2
    fresh.hangup()
    old.hangup()
    wait_for("all Stops", 30, lambda: len(
        {r["Acct-Session-Id"] for one in (first, second)
         for r in one.ledger(NAME, "Stop")}) == 2)
    assert lns.process.alive()


@ours_only
def test_a_short_outage_of_both_servers_loses_nothing(
        net, daemon, radius, lac):
    outage(net, daemon, radius, lac, 0)


@ours_only
@pytest.mark.long
def test_both_servers_dead_for_a_minute_hurt_no_session(
        net, daemon, radius, lac):
    outage(net, daemon, radius, lac, 60)
