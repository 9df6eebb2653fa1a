"""BGP: what routers are told, phase by phase, and what they may do to us.

The router is in the internet's namespace, 10.99.2.1; the server's address on
that wire is 10.99.2.2.
"""

import json
import os
import shutil
import signal
import socket
import struct
import time

import pytest

import bird as bird_module
import daemon as daemon_module
import freeradius
from bird import (KEEPALIVE, NOTIFICATION, OPEN, REFRESH, UPDATE, Bird, Frr,
                  Speaker, message, open_message)
from net import (INET_ADDR, INET_ADDR2, LNS_ADDR, LNS_INET_ADDR, POOL,
                 wait_for)
from terminal import Terminal

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="about this daemon only")

SECRETS = "alice * first *\n"
HOME = LNS_ADDR + "/32"
OUR_AS, ROUTER_AS = 64512, 65001
KEYS = {"bind_address": LNS_ADDR, "as_number": OUR_AS,
        "bgp_peer1": INET_ADDR, "bgp_peer1_as": ROUTER_AS, "debug": 4}


@pytest.fixture
def router(net, tmp_path):
    """A function that starts a BIRD as the server's neighbour."""
    made = []

    def start(address=INET_ADDR, local_as=ROUTER_AS, remote_as=OUR_AS,
              options=()):
        made.append(Bird(net.inet, str(tmp_path / ("bird%d" % len(made))),
                         address, LNS_INET_ADDR, local_as, remote_as,
                         options))
        return made[-1]
    yield start
    for one in made:
        one.stop()


@pytest.fixture
def speaker(net):
    one = Speaker(net.inet, INET_ADDR)
    yield one
    one.close()


class Desk(Terminal):
    def __init__(self, space):
        Terminal.__init__(self, space)
        self.enable()

    def peer(self, name=INET_ADDR):
        row, = json.loads(self.run("show bgp %s json" % name))
        return row


@pytest.fixture
def desk(net):
    made = []

    def make():
        made.append(Desk(net.lns))
        return made[-1]
    yield make
    for one in made:
        one.close()


# -- what is announced

def test_every_phase(daemon, router, carrier, radius, desk):
    book = radius({"alice": ("first", {"Framed-IP-Address": "10.50.9.9",
                                       "Framed-Route": "10.50.8.0/24"}),
                   "bob": ("second", {})})
    bird = router()
    server = daemon(config={**KEYS, "primary_radius": book.address,
                            "radius_secret": freeradius.SECRET})
    bird.wait({HOME, POOL})
    for attributes in bird.table().values():
        assert attributes == {
            "origin": "IGP", "as_path": str(OUR_AS),
            "next_hop": LNS_INET_ADDR, "med": "1", "local_pref": "100",
            "community": "(65535,65281)"}
    wait_for("the log", 5, lambda: "session established, AS 65001, hold "
             "time 180 s" in server.log())

    # Sessions: of the pool nothing, else the address and its routes.
    lac = carrier()
    alice, bob = lac.call(), lac.call()
    bob.online("bob", "second")
    alice.online("alice", "first")
    everything = {HOME, POOL, "10.50.9.9/32", "10.50.8.0/24"}
    bird.wait(everything)
    t = desk()
    assert t.peer()["prefixes"] == 4

    # Another pool.
    server.write("ip_pool", "10.50.0.0/25\n10.51.0.0/16\n10.52.0.1\n")
    server.reload()
    bird.wait({HOME, "10.50.0.0/25", "10.51.0.0/16", "10.52.0.1/32",
               "10.50.9.9/32", "10.50.8.0/24"} | (
                   {bob.address + "/32"} if int(
                       bob.address.split(".")[3]) > 127 else set()))
    server.write("ip_pool", POOL + "\n")
    server.reload()
    bird.wait(everything)

    # Suspended, and not any more.
    assert t.run("suspend bgp") == "Suspending peer %s\n" % INET_ADDR
    bird.wait(set())
    assert bird.up() and t.peer()["suspended"]
    alice.hangup()
    assert t.run("no suspend bgp") == "Un-suspending peer %s\n" % INET_ADDR
    bird.wait({HOME, POOL})
    assert t.run("suspend bgp " + INET_ADDR)
    bird.wait(set())
    assert t.run("no suspend bgp " + INET_ADDR)
    bird.wait({HOME, POOL})

    # Asked for everything again.
    bird.ask("reload", "in", "lns")
    time.sleep(0.5)
    bird.wait({HOME, POOL})

    # Begun again.
    assert t.run("restart bgp") == "Restarting peer %s\n" % INET_ADDR
    wait_for("the Cease", 5, lambda: "Received: Administrative reset" in
             bird.log())
    bird.wait({HOME, POOL})
    assert t.peer()["lost"] == 1
    text = t.run("show bgp")
    assert text.startswith("BGPv4 router identifier %s, local AS number "
                           "64512, hold time 180s\n" % LNS_INET_ADDR)
    assert text.splitlines()[2].split()[:4] == [
        INET_ADDR, "65001", INET_ADDR, "Established"]

    # The end: withdrawn at once, forwarding goes on.
    assert bob.ping(INET_ADDR, 3) == 3
    server.process.send(signal.SIGTERM)
    server.expected_exit = True
    bird.wait(set(), 2)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert bob.ping(INET_ADDR, 1) == 1
        assert bird.up()
    server.process.wait(12)
    assert "Received: Administrative shutdown" in bird.log()


def test_sigquit_and_a_second_signal(daemon, router, carrier):
    bird = router()
    server = daemon(config=KEYS, secrets=SECRETS)
    bird.wait({HOME, POOL})
    call = carrier().call()
    call.online("alice", "first")
    start = time.monotonic()
    server.expected_exit = True
    server.process.send(signal.SIGQUIT)
    bird.wait(set(), 2)
    assert call.ping(INET_ADDR, 1) == 1
    server.process.send(signal.SIGQUIT)
    while server.process.alive():
        call.lac.pump(0.1)
        assert time.monotonic() - start < 4.5


def test_restart_with_sessions(daemon, router, carrier, tmp_path):
    """save_state: withdrawn, saved after 5 s, announced by the next."""
    bird = router()
    directory = str(tmp_path / "state")
    daemon_module.mkdir(directory)
    secrets = 'alice * first 10.50.9.9\n'
    config = {**KEYS, "save_state": True,
              "state_file": directory + "/state"}
    server = daemon(config=config, secrets=secrets)
    call = carrier().call()
    call.online("alice", "first")
    assert call.address == "10.50.9.9"
    everything = {HOME, POOL, "10.50.9.9/32"}
    bird.wait(everything)
    server.expected_exit = True
    server.process.send(signal.SIGTERM)
    bird.wait(set(), 2)
    assert call.ping(INET_ADDR, 2) == 2
    server.process.wait(8)
    server.start()
    bird.wait(everything, 20)
    assert call.ping(INET_ADDR, 2) == 2


def test_no_wait_without_a_session(daemon):
    """Nobody was told anything: the end need not wait."""
    server = daemon(config=KEYS)
    server.wait_log(r"no session: Connection refused; again in", 5)
    server.expected_exit = True
    start = time.monotonic()
    server.process.send(signal.SIGTERM)
    server.process.wait(10)
    assert time.monotonic() - start < 4.5


def test_gratuitous_arp_only_without_bgp(daemon, desk):
    server = daemon(config={**KEYS, "send_garp": True})
    server.wait_log("ready")
    t = desk()
    rows = {r["counter"]: r["value"] for r in json.loads(
        t.run("show counters json"))}
    assert rows["arp_sent"] == 0


def test_ten_thousand(daemon, router, desk):
    addresses = ["10.%d.%d.%d" % (53 + i // 12000, i // 120 % 100,
                                  2 * (i % 120) + 1) for i in range(10000)]
    bird = router()
    server = daemon(config={**KEYS, "debug": 2},
                    ip_pool="\n".join(addresses) + "\n")
    wanted = {HOME} | {a + "/32" for a in addresses}
    bird.wait(wanted, 30)
    t = desk()
    t.run("clear counters")
    server.write("ip_pool", "\n".join(addresses[::2]) + "\n")
    server.reload()
    bird.wait({HOME} | {a + "/32" for a in addresses[::2]}, 30)
    t.run("suspend bgp")
    bird.wait(set(), 30)
    t.run("no suspend bgp")
    wait_for("all of it", 30, lambda: len(bird.prefixes()) == 5001)
    assert t.peer()["prefixes"] == 5001
    rows = {r["counter"]: r["value"] for r in json.loads(
        t.run("show counters json"))}
    assert rows["bgp_withdrawn"] == 5000 + 5001
    assert rows["bgp_announced"] == 5001


# -- kinds of neighbours

def test_ibgp(daemon, router):
    bird = router(local_as=OUR_AS)
    daemon(config={**KEYS, "bgp_peer1_as": None})
    bird.wait({HOME, POOL})
    for attributes in bird.table().values():
        assert attributes == {
            "origin": "IGP", "as_path": "", "next_hop": LNS_INET_ADDR,
            "med": "1", "local_pref": "100", "community": "(65535,65281)"}


def test_four_octets(daemon, router):
    bird = router(local_as=4200000001, remote_as=4200000000)
    daemon(config={**KEYS, "as_number": 4200000000,
                   "bgp_peer1_as": 4200000001})
    bird.wait({HOME, POOL})
    assert {a["as_path"] for a in bird.table().values()} == {"4200000000"}


def test_two_octets_only(daemon, router):
    """A router that speaks no 4-octet AS numbers: AS_TRANS and AS4_PATH."""
    bird = router(remote_as=None, options=("enable as4 off",))
    daemon(config={**KEYS, "as_number": 4200000000})
    bird.wait({HOME, POOL})
    for attributes in bird.table().values():
        assert attributes["as_path"] == "4200000000"


def test_password(daemon, router, desk):
    bird = router(options=('password "shared secret"',))
    server = daemon(config={**KEYS, "bgp_peer1_password": "shared secret"})
    bird.wait({HOME, POOL})
    t = desk()
    assert "shared secret" not in server.log()
    # The wrong one: the router hears nothing of us.
    t.configure()
    t.run('set bgp_peer1_password "another"')
    wait_for("the end of the session", 5, lambda: not bird.up())
    time.sleep(4)
    assert not bird.up()
    assert t.peer()["state"] == "Connect"
    t.run('set bgp_peer1_password "shared secret"')
    bird.wait({HOME, POOL})
    # None at all.
    t.run('set bgp_peer1_password ""')
    wait_for("the end of the session", 5, lambda: not bird.up())
    t.run('set bgp_peer1_password "shared secret"')
    bird.wait({HOME, POOL})


@pytest.mark.parametrize("theirs, ours, up", [
    ("on", True, True), ("on", False, True), ("off", False, True),
    ("off", True, False)])
def test_ttl_security(daemon, router, theirs, ours, up):
    """We always send 255; BIRD without it sends 1 to its neighbours."""
    bird = router(options=("ttl security " + theirs,))
    daemon(config={**KEYS, "bgp_peer1_ttl_security": ours})
    if up:
        bird.wait({HOME, POOL})
    else:
        time.sleep(3)
        assert not bird.up()


def test_router_comes_and_goes(daemon, router, desk):
    server = daemon(config=KEYS)
    server.wait_log(r"no session: Connection refused", 5)
    bird = router()
    bird.wait({HOME, POOL}, 20)
    t = desk()
    for number in signal.SIGTERM, signal.SIGKILL:
        bird.stop(number)
        wait_for("the end of the session", 5,
                 lambda: t.peer()["state"] != "Established")
        bird.start()
        bird.wait({HOME, POOL}, 20)
    assert t.peer()["lost"] == 2


def test_hold_time(daemon, router, net):
    """The wire is cut: both sides notice within the hold time."""
    bird = router()
    server = daemon(config={**KEYS, "bgp_hold_time": 3})
    bird.wait({HOME, POOL})
    net.lns.run("iptables", "-I", "INPUT", "-p", "tcp", "--sport", "179",
                "-j", "DROP")
    try:
        server.wait_log("sent NOTIFICATION: Hold Timer Expired", 5)
    finally:
        net.lns.run("iptables", "-F", "INPUT")
    bird.wait({HOME, POOL}, 30)


@pytest.fixture
def names(net):
    """A function that says what the server's hosts and resolv.conf hold."""
    directory = "/etc/netns/" + net.lns.name
    os.makedirs(directory, exist_ok=True)

    def write(hosts, resolv_conf):
        for name, text in ("hosts", hosts), ("resolv.conf", resolv_conf):
            with open(os.path.join(directory, name), "w") as f:
                f.write(text)
    yield write
    shutil.rmtree(directory)


def test_names(daemon, router, names, desk):
    names("%s core.example.net\n" % INET_ADDR,
          "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    bird = router()
    server = daemon(config={**KEYS, "bgp_peer1": "core.example.net",
                            "bgp_peer2": "nobody.example.net"})
    bird.wait({HOME, POOL})
    server.wait_log(r"bgp nobody.example.net: no session: the name has "
                    r"no address: .*; again in", 10)
    t = desk()
    assert t.peer("core.example.net")["address"] == INET_ADDR
    assert t.peer("nobody.example.net")["address"] is None
    assert t.run("restart bgp " + INET_ADDR) == \
        "Restarting peer core.example.net\n"
    bird.wait({HOME, POOL})


def test_name_server_that_hangs(daemon, names, net, carrier, desk):
    """Nobody waits for it: not packets, not the desk, not the end."""
    deaf = net.inet.socket()
    deaf.bind((INET_ADDR, 53))
    names("", "nameserver %s\noptions timeout:30 attempts:2\n" % INET_ADDR)
    server = daemon(config={**KEYS, "bgp_peer1": "core.example.net"},
                    secrets=SECRETS)
    call = carrier().call()
    call.online("alice", "first")
    t = desk()
    t.run("clear counters")
    assert call.ping(INET_ADDR, 10) == 10
    assert t.peer("core.example.net")["state"] == "Connect"
    rows = {r["counter"]: r["value"] for r in json.loads(
        t.run("show counters json"))}
    assert rows["longest_loop_stall"] < 500000
    server.expected_exit = True
    start = time.monotonic()
    server.process.send(signal.SIGTERM)
    server.process.wait(10)
    assert time.monotonic() - start < 4.5
    deaf.close()
    wait_for("whoever asked to be gone", 2, lambda: not net.lns.pids())


# -- configuration

def test_router_bgp(daemon, router, desk, net):
    """Typed, written, read again; from nothing to two neighbours and back."""
    bird = router()
    other = router(address=INET_ADDR2, local_as=OUR_AS)
    server = daemon(config={"bind_address": LNS_ADDR})
    t = desk()
    assert t.run("show bgp json") == "[]\n"
    t.configure()
    for line in ("router bgp 64512",
                 " neighbour %s remote-as 65001" % INET_ADDR,
                 " neighbor %s timers 5 15" % INET_ADDR,
                 " neighbor %s remote-as 64512" % INET_ADDR2):
        assert t.run(line) == "", line
    assert "3..65535" not in t.run("neighbour %s timers 1 2" % INET_ADDR)
    assert t.run("neighbour 10.0.0.1 timers 1 3") == \
        "neighbour 10.0.0.1: say its remote-as first\n"
    t.run("exit")
    bird.wait({HOME, POOL})
    other.wait({HOME, POOL})
    assert t.peer()["hold"] == 15
    block = ("router bgp 64512\n"
             "neighbour %s remote-as 65001\n"
             "neighbour %s timers 5 15\n"
             "neighbour %s remote-as 64512\n"
             "exit\n" % (INET_ADDR, INET_ADDR, INET_ADDR2))
    assert block in t.run("show running-config")
    assert "Error" not in t.run("write memory")
    path = os.path.join(server.directory, "startup-config")
    with open(path) as f:
        assert block in f.read()
    # Reloading the same disturbs nobody.
    start = len(server.log())
    server.reload()
    server.wait_log("configuration loaded again", 10, start)
    time.sleep(0.5)
    assert [t.peer(a)["lost"] for a in (INET_ADDR, INET_ADDR2)] == [0, 0]
    # One goes, and the other one stays.
    t.run("router bgp 64512")
    assert t.run("no neighbor " + INET_ADDR2) == ""
    t.run("exit")
    wait_for("its end", 5, lambda: not other.up())
    assert "Received: Peer de-configured" in other.log()
    assert bird.up() and t.peer()["lost"] == 0
    # A file with a fault changes nothing.
    with open(path, "a") as f:
        f.write("router bgp 64512\nneighbour %s timers 5 1\n" % INET_ADDR)
    assert "hold time of 1 is neither" in t.run("exit") + Desk(
        net.lns).run("reload")
    assert bird.up()
    with open(path, "w") as f:
        f.write("set bind_address %s\nset cli_bind_address 127.0.0.1\n" %
                LNS_ADDR)
    server.reload()
    wait_for("its end", 5, lambda: not bird.up())


# -- a router that says what it likes

def established(speaker, seconds=10, parameters=b""):
    speaker.accept(seconds)
    kind, body = speaker.hear()
    assert kind == OPEN
    speaker.say(open_message(ROUTER_AS, parameters=parameters),
                message(KEEPALIVE))
    assert speaker.hear_kind(KEEPALIVE) == b""
    return body


def update(withdrawn=b"", attributes=b"", prefixes=b""):
    return message(UPDATE, struct.pack(">H", len(withdrawn)) + withdrawn +
                   struct.pack(">H", len(attributes)) + attributes + prefixes)


WRONG = [                       # in Established
    (b"\0" * 19, (1, 1, b"")),
    (bird_module.MARKER + b"\0\0\4", (1, 2, b"\0\0")),
    (bird_module.MARKER + b"\0\22\4", (1, 2, b"\0\22")),
    (bird_module.MARKER + b"\20\1\2", (1, 2, b"\20\1")),
    (bird_module.MARKER + b"\377\377\2", (1, 2, b"\377\377")),
    (message(KEEPALIVE, b"x"), (1, 2, b"\0\24")),
    (message(9), (1, 3, b"\11")),
    (open_message(ROUTER_AS), (5, 3, b"")),
    (message(UPDATE, b"\377\377\0\0"), (3, 1, b"")),
    (update(attributes=b"\x40\xff\1x"), (3, 2, b"\x40\xff\1x")),
    (update(attributes=b"\x80\x0e\2xy"), (3, 9, b"\x80\x0e\2xy")),
    (update(prefixes=b"\41\0\0\0\0\0"), (3, 10, b"")),
    (update(withdrawn=b"\30\12"), (3, 10, b"")),
]
WRONG_OPENS = [
    (open_message(ROUTER_AS, version=3), (2, 1, b"\0\4")),
    (open_message(65002), (2, 2, b"")),
    (open_message(ROUTER_AS, identifier="0.0.0.0"), (2, 3, b"")),
    (open_message(ROUTER_AS, parameters=b"\1\1x"), (2, 4, b"\1\1x")),
    (open_message(ROUTER_AS, hold=2), (2, 6, b"")),
    (open_message(ROUTER_AS, parameters=b"\2\6\1\4\0\2\0\1"),
     (2, 7, b"\1\4\0\1\0\1")),
    (open_message(ROUTER_AS, parameters=b"\2\3\x41\4\0"), (2, 0, b"")),
    (open_message(ROUTER_AS, parameters=b"\xff"), (2, 0, b"")),
    (message(KEEPALIVE), (5, 1, b"")),
    (update(), (5, 1, b"")),
]


def test_wrong_messages(daemon, speaker, desk):
    """Each gets its NOTIFICATION, and the peer is tried again."""
    daemon(config={**KEYS, "debug": 3})
    t = desk()
    for up, cases in (True, WRONG), (False, WRONG_OPENS):
        for octets, (code, subcode, data) in cases:
            if up:
                established(speaker)
            else:
                speaker.accept()
                assert speaker.hear()[0] == OPEN
            speaker.say(octets, message(KEEPALIVE))     # and more behind it
            assert speaker.hear_kind(NOTIFICATION) == bytes(
                (code, subcode)) + data, octets
            assert speaker.hear()[0] is None
            # Not to wait for the back-off.
            t.run("restart bgp")
    established(speaker)
    assert t.peer()["state"] == "Established"


def test_what_routers_may_say(daemon, speaker, desk):
    """A flood of routes, faulty attributes, text of operators, silence."""
    server = daemon(config={**KEYS, "debug": 3})
    t = desk()
    established(speaker)
    path = bytes.fromhex("40010100" "4002040201fde9" "4003040a000002")
    many = b"".join(b"\30" + struct.pack(">I", i)[1:] for i in range(1000))
    for _ in range(200):                # 200,000 routes
        speaker.say(update(attributes=path, prefixes=many))
    speaker.say(update(attributes=b"\x40\1\1\7", prefixes=b"\30\12\1\1"))
    rows = {}

    def taken():
        rows.update((r["counter"], r["value"]) for r in json.loads(
            t.run("show counters json")))
        return rows["bgp_rx_faulty"] == 1
    wait_for("all of it", 20, taken)
    assert rows["bgp_rx_prefixes"] == 200001
    assert t.peer()["state"] == "Established"
    # What an operator says is for the log, and no line of it.
    text = "sorry\nWARN 00/00 forged \x1b[2J".encode()
    speaker.say(message(NOTIFICATION, b"\6\2" + bytes((len(text),)) + text))
    server.wait_log(r"the peer's operator says: sorry\\x0aWARN 00/00 forged "
                    r"\\x1b", 5)
    assert t.peer()["last_error"] == \
        "received NOTIFICATION: Cease, Administrative Shutdown"
    # A text that claims to be longer than the message is none.
    established(speaker)
    speaker.say(message(NOTIFICATION, b"\6\4\377abc"))
    wait_for("the end", 5, lambda: t.peer()["last_error"] ==
             "received NOTIFICATION: Cease, Administrative Reset")
    assert server.log().count("operator says") == 1


def test_old_router(daemon, speaker):
    """One that knows no capabilities is asked without."""
    daemon(config=KEYS)
    speaker.accept()
    kind, body = speaker.hear()
    assert kind == OPEN and body[9] > 0
    speaker.say(message(NOTIFICATION, b"\2\4"))
    speaker.accept()
    assert speaker.hear() == (OPEN, body[:9] + b"\0")
    speaker.say(open_message(ROUTER_AS), message(KEEPALIVE))
    told = speaker.hear_kind(UPDATE)
    assert told.endswith(b"\x20" + socket.inet_aton(LNS_ADDR)) or \
        b"\x18\x0a\x32\x00" in told
    assert bytes.fromhex("400204 0201fc00") in told     # two octets


def test_in_pieces(daemon, speaker, desk):
    """One octet in a segment, hundreds of messages in the next."""
    daemon(config=KEYS)
    t = desk()
    speaker.accept()
    speaker.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert speaker.hear()[0] == OPEN
    # Long parameters (RFC 9072): a capability that nobody knows, 300 octets.
    unknown = b"\x99\xc6" + bytes(198) + b"\x98\x62" + bytes(98)
    octets = message(OPEN, struct.pack(
        ">BHH4s", 4, ROUTER_AS, 90, socket.inet_aton(INET_ADDR)) +
        b"\xff\xff\1\x2f\2\1\x2c" + unknown) + message(KEEPALIVE)
    for i in range(len(octets)):
        speaker.say(octets[i:i + 1])
        time.sleep(0.0005)
    assert speaker.hear_kind(UPDATE)
    keepalive = message(KEEPALIVE)
    speaker.say(keepalive[:18])
    time.sleep(0.1)
    speaker.say(keepalive[18:] + 500 * keepalive + message(REFRESH,
                                                           b"\0\1\0\1"))
    assert speaker.hear_kind(UPDATE)
    assert t.peer()["state"] == "Established"
    assert t.peer()["messages_in"] == 2 + 501 + 1


def test_refresh_and_silence(daemon, speaker, desk):
    daemon(config={**KEYS, "bgp_hold_time": 3})
    established(speaker, parameters=b"\2\2\2\0")
    first = speaker.hear_kind(UPDATE)
    speaker.say(message(REFRESH, b"\0\1\0\1"))
    assert speaker.hear_kind(UPDATE) == first
    speaker.say(message(REFRESH, b"\0\2\0\1"))
    # Now it says nothing more: 4, and nothing with it.
    assert speaker.hear_kind(NOTIFICATION) == b"\4\0"


def test_router_that_never_reads(daemon, speaker, carrier, desk):
    """It costs nobody anything, and its hold time ends it."""
    addresses = ["10.50.%d.%d" % (i // 60, 2 * (i % 60) + 1)
                 for i in range(12000)]
    daemon(config={**KEYS, "bgp_hold_time": 6}, secrets=SECRETS,
           ip_pool="\n".join(addresses) + "\n")
    speaker.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    established(speaker)
    t = desk()
    call = carrier().call()
    call.online("alice", "first")
    assert t.peer()["state"] == "Established"
    assert call.ping(INET_ADDR, 5) == 5
    wait_for("the end of the session", 10,
             lambda: t.peer()["state"] != "Established")
    assert call.ping(INET_ADDR, 5) == 5


# -- FRR

@pytest.mark.skipif(not os.path.exists(Frr.BGPD), reason="needs frr")
def test_frr(daemon, net, tmp_path, desk):
    """A default FRR, with a password: in, suspended, in, out."""
    frr = Frr(net.inet, str(tmp_path / "frr"), INET_ADDR, LNS_INET_ADDR,
              ROUTER_AS, OUR_AS, options=("password shared",))
    try:
        server = daemon(config={**KEYS, "bgp_peer1_password": "shared"})
        frr.wait({HOME, POOL})
        routes = json.loads(frr.ask("show bgp ipv4 unicast %s json" % POOL))
        path = routes["paths"][0]
        assert path["origin"] == "IGP" and path["metric"] == 1
        assert path["community"]["string"] == "no-export"
        assert path["nexthops"][0]["ip"] == LNS_INET_ADDR
        t = desk()
        t.run("suspend bgp")
        frr.wait(set())
        t.run("no suspend bgp")
        frr.wait({HOME, POOL})
        frr.ask("clear bgp * soft in")
        time.sleep(0.5)
        frr.wait({HOME, POOL})
        frr.ask("clear bgp *")
        server.wait_log("received NOTIFICATION: Cease, Administrative Reset",
                        5)
        frr.wait({HOME, POOL}, 30)
        server.expected_exit = True
        server.process.send(signal.SIGTERM)
        frr.wait(set(), 3)
        server.process.wait(12)
    finally:
        frr.stop()
