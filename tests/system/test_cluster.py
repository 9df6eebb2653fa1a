"""A cluster of three servers whose members die, freeze, part and come back.

One bed serves the whole file: its tests follow each other, with the same
subscribers online from the first to the last, and the ledger is read at the
end.  The long form, `make check-cluster`, is in cluster_long.py.
"""

import os
import socket
import time

import pytest

import cluster
import daemon as daemon_module
import forge
import lac
import plugdir
from cluster import INET_ADDR, TIMEOUT, VIP, assert_exact
from net import wait_for

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="it has a protocol of its own")

NSCTL = os.path.join(os.path.dirname(daemon_module.program()), "nsctl")

# What a busy machine may add, in seconds: check-cluster measures, this looks.
# Whoever waited for a new master would wait for TIMEOUT.
LATE = 0.5

SESSIONS = 300
TUNNELS = 24
SLOW = "lac-7"                  # is throttled
SLOW_RATE = 64                  # kbit/s


# Whoever is in the garden finds the internet's reflector at this address.
PORTAL = "10.97.2.9"
GARDEN = """
iptables -t nat -A garden -p udp -d %s --dport 7000 -j DNAT --to %s
iptables -t nat -A garden -j DROP
""" % (PORTAL, INET_ADDR)


class Story:
    """The bed, and what a test leaves for those after it."""

    def __init__(self, directory, plugin_dir):
        self.bed = cluster.Bed(
            directory, radius={"reject": "^poor"},
            config={"plugin_dir": plugin_dir}, lines=["load plugin garden"],
            files={"build-garden": GARDEN})
        self.more = 0
        self.lac = None
        self.addresses = {}

    def begin(self):
        self.bed.start(1)
        self.bed.wait_master(10)
        self.bed.start(2, 3)
        self.bed.wait_whole(20)

    def address(self, user):
        if not self.addresses:
            path = os.path.join(self.bed.directory, "addresses")
            with open(path) as f:
                self.addresses = {line.split()[1]: line.split()[0]
                                  for line in f}
        return self.addresses[user]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with plugdir.made() as plugin_dir:
        yield from tell(Story(str(tmp_path_factory.mktemp("cluster")),
                              plugin_dir))


def tell(one):
    try:
        one.begin()
        yield one
    finally:
        one.bed.close()


def announced(bed):
    """{n: what BIRD has of it}, members that are up only."""
    return {m.n: bed.bird.prefixes(m.n) for m in bed.up()}


ALL = {VIP + "/32", cluster.POOL}


def test_first_is_master(story):
    """All begin as slaves; the longest up decides, the others announce."""
    bed = story.bed
    assert bed.wait_whole(5).n == 1
    for n in 2, 3:
        assert bed.member[n].status()["master"] == cluster.address(1)
    wait_for(lambda: "the right prefixes: %r" % announced(bed), 10,
             lambda: announced(bed) == {1: set(), 2: ALL, 3: ALL})
    hops = bed.bird.table()
    assert hops[VIP + "/32"] == [cluster.address(2), cluster.address(3)]


def test_sessions_through_slaves(story):
    """Calls are set up by the master, packets carried by the slaves."""
    bed = story.bed
    story.lac = bed.lac(tunnels=TUNNELS, sessions=SESSIONS, rate=300,
                        echo=1, echo_fail=15, hold=600, probe=INET_ADDR +
                        ":7000", probe_interval=500, addresses=os.path.join(
                            bed.directory, "addresses"), until_up=True)
    now = story.lac.wait_hold(30)
    assert now["up"] == SESSIONS, now
    wait_for("the addresses", 5, lambda: os.path.exists(
        os.path.join(bed.directory, "addresses")))
    for m in bed.up():
        wait_for("all sessions on member %d" % m.n, 5,
                 lambda: len(m.count("session")) == SESSIONS)
    book = bed.radius.summary()
    assert book["accounting"]["starts"] == SESSIONS


def refused(lines):
    return any("must be run on master: " + cluster.address(1) in line
               for line in lines)


def test_commands_on_a_slave(story):
    """What changes something is refused, what shows something is not."""
    slave = story.bed.member[2]
    slave.cli("enable")
    assert refused(slave.cli("drop user lac-3"))
    assert refused(slave.cli("throttle lac-3"))
    assert refused(slave.cli("snoop lac-3 %s 7777" % INET_ADDR))
    said = slave.space.run(NSCTL, "drop", "lac-3", check=False)
    assert "must be run on master: " + cluster.address(1) in said, said
    assert len(slave.count("session")) == SESSIONS


def test_counts_come_together(story):
    """What the slaves carried is in the master's books within seconds."""
    bed = story.bed
    address = story.address("lac-11")
    before = octets(bed.member[1], address)
    # The subscriber is lacsim's, which answers no ping: count both ways.
    for _ in range(20):
        bed.net.inet.run("ping", "-c1", "-W0.05", "-s", "972", address,
                         check=False)
    wait_for(lambda: "20,000 octets more than %r: %r" % (
        before, octets(bed.member[1], address)), 8,
        lambda: octets(bed.member[1], address)["downloaded"] >=
        before["downloaded"] + 20000)


def test_interception_on_slaves(story):
    """Whoever carries a packet makes the copy."""
    bed = story.bed
    master = bed.wait_whole(5)
    with bed.net.inet.socket() as target:
        target.bind((INET_ADDR, 7777))
        target.settimeout(5)
        master.cli("enable")
        master.cli("snoop lac-5 %s 7777" % INET_ADDR)
        copy, sender = target.recvfrom(2000)
        assert sender[0] in [m.address for m in bed.slaves()]
        assert socket.inet_ntoa(copy[12:16]) == story.address("lac-5") or \
            socket.inet_ntoa(copy[16:20]) == story.address("lac-5")
        master.cli("no snoop lac-5")


def octets(member, address):
    """The row of `show session json` of this address."""
    for row in member.count("session"):
        if address in row.values():
            return row
    raise AssertionError("no session has " + address)


def is_slow(member, user):
    return any(row["username"] == user and row["throttled"]
               for row in member.count("session"))


def take_over(bed, victim, strike):
    """Strikes the master; the new one, and after how many seconds."""
    begin = time.monotonic()
    strike()
    master = bed.wait_master(TIMEOUT + 3)
    took = time.monotonic() - begin
    assert master.n != victim
    return master, took


def test_kill_the_master(story):
    """Nobody's traffic stops, and calls come in again in 3 s."""
    bed = story.bed
    master = bed.wait_whole(5)
    master.cli("enable")
    said = master.cli("throttle %s %d" % (SLOW, SLOW_RATE))
    for m in bed.up():
        wait_for("%s to be slow on member %d: %r" % (SLOW, m.n, said), 2,
                 lambda: is_slow(m, SLOW))
    fast = bed.lac("fast", tunnels=8, sessions=40, rate=300, probe=INET_ADDR +
                   ":7000", probe_interval=20, hold=600)
    assert fast.wait_hold(20)["up"] == 40
    poor = bed.lac("poor", sessions=1, probe=PORTAL + ":7000",
                   probe_interval=50, hold=600, addresses=os.path.join(
                       bed.directory, "poor"), until_up=True)
    poor.wait_status("the garden", 10, lambda now: now["probes_received"] > 9)
    with open(os.path.join(bed.directory, "poor")) as f:
        garden = f.read().split()[0] + "/32"
    assert announced(bed)[master.n] == {garden}
    story.more = 40
    new, took = take_over(bed, master.n, master.kill)
    begin = time.monotonic()
    late = bed.lac("late", sessions=20, rate=100, hold=600)
    now = late.wait_hold(20)
    assert now["up"] == 20, now
    calls = time.monotonic() - begin
    story.more += 20
    print("new master %d after %.2f s, 20 calls in %.2f s" % (
        new.n, took, calls))
    assert took <= TIMEOUT + 0.5 + LATE, took
    assert calls < 3 + LATE
    bed.wait_whole(5)
    time.sleep(1)
    result = fast.end()
    assert result["sessions"]["lost"] == 0, result["sessions"]
    print("no probe for %.0f ms" % result["probes"]["longest_gap_ms"])
    assert result["probes"]["longest_gap_ms"] < 100 + 1000 * LATE
    assert announced(bed)[new.n] == {garden}
    gap = poor.end()["probes"]["longest_gap_ms"] / 1000
    print("out of the garden for %.2f s" % gap)
    assert gap < took + 1 + LATE
    assert story.lac.status()["lost"] == 0
    for row in new.count("session"):
        assert row, new.n
    assert len(new.count("session")) == SESSIONS + 20
    assert is_slow(new, SLOW)


def test_a_member_joins(story):
    bed = story.bed
    begin = time.monotonic()
    bed.start(1)
    bed.wait_whole(10)
    print("joined in %.2f s" % (time.monotonic() - begin))
    wait_for("all sessions on it", 5,
             lambda: len(bed.member[1].count("session")) == SESSIONS + 20)


class Subscriber(lac.Call):
    """Begins anew when the server does (RFC 1661 4.3)."""

    def lcp(self, code, identifier, data):
        if code == lac.CONFREQ and all(self.lcp_up):
            self.lcp_up, self.ipcp_up = [False, False], [False, False]
            self.authenticated = None
            self.configure(lac.LCP, self.lcp_options())
        super().lcp(code, identifier, data)


class Setup(lac.Lac):
    """Comes online step by step; between two steps a server may die."""

    STEPS = 8

    def __init__(self, space, n):
        super().__init__(space, "half-%d" % n, lns=VIP,
                         address="10.98.200.%d" % n)
        self.at = 0
        self.again = 0
        self.one = Subscriber(self, n + 1)
        self.one.user, self.one.password = self.name, "password"
        self.calls[n + 1] = self.one

    def repeat(self, protocol, options):
        """A Configure-Request, and the same after 3 s."""
        if time.monotonic() > self.again:
            self.again = time.monotonic() + 3
            self.one.configure(protocol, options)

    def move(self):
        """The next step, if it can be."""
        one = self.one
        assert not self.closed and not one.closed, (self.name, one.closed)
        if self.at == 0:
            self.send_control(lac.SCCRQ, lac.avp(lac.A_VERSION, b"\1\0") +
                              lac.avp(lac.A_HOST, self.name) +
                              lac.avp(lac.A_FRAMING, b"\0\0\0\3") +
                              lac.avp(lac.A_TUNNEL, self.tunnel))
        elif self.at == 1 and self.seen(lac.SCCRP):
            self.send_control(lac.SCCCN)
        elif self.at == 2:
            self.send_control(lac.ICRQ, lac.avp(lac.A_SESSION, one.session) +
                              lac.avp(lac.A_SERIAL, bytes(4)))
        elif self.at == 3 and one.peer_session:
            self.send_control(lac.ICCN, lac.avp(lac.A_SPEED, bytes(4)) +
                              lac.avp(lac.A_FRAMETYPE, b"\0\0\0\1"),
                              one.peer_session)
        elif self.at >= 4 and not all(one.lcp_up):
            self.repeat(lac.LCP, one.lcp_options())
            self.at = 5
            return
        elif self.at == 5:
            self.again = 0
        elif self.at == 6 and one.authenticated:
            self.repeat(lac.IPCP, one.wanted)
        elif self.at == 7 and all(one.ipcp_up):
            pass
        else:
            if self.at == 7 and one.authenticated:
                self.repeat(lac.IPCP, one.wanted)
            return
        self.at += 1

    def move_to(self, step, seconds=10):
        end = time.monotonic() + seconds
        while self.at < step:
            self.move()
            if self.at < step:
                self.pump(0.01)
            assert time.monotonic() < end, (self.name, self.at, step)


def test_calls_half_way(story):
    """Whatever was going on when the master died goes on, once."""
    bed = story.bed
    master = bed.wait_whole(5)
    others = len(master.count("session"))
    half = [Setup(bed.net.lac, n) for n in range(1, Setup.STEPS + 1)]
    for step, one in enumerate(half, 1):
        one.move_to(step)
    master.kill()
    bed.wait_master(TIMEOUT + 3)
    begin = time.monotonic()
    while any(one.at < Setup.STEPS for one in half):
        for one in half:
            one.pump(0)
            one.move()
        assert time.monotonic() < begin + 15, [
            (one.name, one.at) for one in half]
    print("all up after %.2f s" % (time.monotonic() - begin))
    assert len({one.one.address for one in half}) == len(half)
    for one in half:
        one.stop()
        one.close()
    story.more += len(half)
    bed.start(master.n)
    bed.wait_whole(10)
    for m in bed.up():
        wait_for("nobody else on member %d" % m.n, 5,
                 lambda: len(m.count("session")) == others)


def test_partition(story):
    """Two masters, then one again, and nobody lost anything."""
    bed = story.bed
    master = bed.wait_whole(5)
    others = [m.n for m in bed.up() if m is not master]
    bed.part([master.n], others)
    wait_for(bed.told("a second master"), TIMEOUT + 3,
             lambda: len(bed.masters()) == 2)
    bed.part()
    begin = time.monotonic()
    bed.wait_whole(8)
    took = time.monotonic() - begin
    print("healed in %.2f s" % took)
    assert took < 5 + LATE
    for m in bed.up():
        assert len(m.count("session")) == SESSIONS + 20
    assert story.lac.status()["lost"] == 0


def test_frozen_master(story):
    """SIGSTOP for longer than the time-out: it comes back as a slave."""
    bed = story.bed
    master = bed.wait_whole(5)
    take_over(bed, master.n, master.freeze)
    time.sleep(1)
    master.thaw()
    after = bed.wait_whole(8)
    assert after is not master
    assert story.lac.status()["lost"] == 0


def test_leave(story):
    """SIGTERM: no time-out is waited for."""
    bed = story.bed
    master = bed.wait_whole(5)
    new, took = take_over(bed, master.n, master.leave)
    print("new master %d after %.2f s" % (new.n, took))
    assert took < TIMEOUT, took
    assert master.left() == 0
    bed.start(master.n)
    bed.wait_whole(10)
    assert story.lac.status()["lost"] == 0


def forgeries(bed):
    """(source, destination, datagram): what would do harm if it counted."""
    goodbye = forge.state(forge.LEAVING)
    winner = forge.state(forge.UP_TO_DATE, uptime=1 << 40, changes=1 << 40,
                         reign=9, following=1000000)
    stream = forge.field(forge.F_STREAM, bytes(20)) + \
        forge.field(4, (1).to_bytes(4, "big"))
    cut_short = forge.field(forge.F_STATE, bytes(30), 66)
    resend = forge.field(forge.F_RESEND, bytes(8) + b"\xff" * 8)
    record = forge.field(33, bytes(12)) + forge.field(32, bytes(9))
    n = 1000000
    for m in bed.up():
        source = m.address
        for to in [one.address for one in bed.up() if one is not m] + [
                "239.192.13.13"]:
            for secret in b"", b"another", cluster.SECRET.encode():
                for body in (goodbye, winner, stream, cut_short, resend,
                             record):
                    for kind in forge.KINDS:
                        n += 1
                        yield source, to, forge.datagram(
                            kind, source, body, count=n, secret=secret)
            for size in 0, 1, 35, 36, 51, 52, 53, 1400:
                yield source, to, (b"LNSC\1\2" + bytes(1400))[:size]


def refusals(member):
    rows = {row["counter"]: row["value"] for row in member.count("counters")}
    return [rows["cluster_" + why] for why in (
        "forged", "unproven", "replayed", "malformed")]


def test_forgers(story):
    """Without the secret, or with it and no ears: no effect.  Played again,
    none either."""
    bed = story.bed
    bed.wait_whole(5)
    forger = forge.Forger(bed.net)
    try:
        heard = forger.listen(1.2)
        assert heard and all(data[:4] == b"LNSC" for _, _, data in heard)
        before = {m.n: m.status()["status"] for m in bed.up()}
        changes = {m.n: m.status()["changes"] for m in bed.up()}
        refused_before = {m.n: refusals(m) for m in bed.up()}
        sent = 0
        for source, to, data in forgeries(bed):
            forger.send(source, to, data)
            sent += 1
            if sent % 50 == 0:
                bed.wait_whole(2)
        for source, to, data in heard:
            forger.send(source, to, data)
            for m in bed.up():
                if m.address != source:
                    forger.send(source, m.address, data)
        time.sleep(TIMEOUT / 2)
    finally:
        forger.close()
    assert {m.n: m.status()["status"] for m in bed.up()} == before
    assert {m.n: m.status()["changes"] for m in bed.up()} == changes
    for m in bed.up():
        for was, now in zip(refused_before[m.n], refusals(m)):
            assert now > was, (m.n, refused_before[m.n], refusals(m))
        assert len(m.count("session")) == SESSIONS + 20
    assert story.lac.status()["lost"] == 0


def test_ledger(story):
    """One Start and one Stop of everybody, whoever it was that died."""
    bed = story.bed
    for lac in bed.lacs:
        if lac.process.alive():
            result = lac.end(60)
            assert result["sessions"]["lost"] == 0, result["sessions"]
    total = SESSIONS + story.more
    assert_exact(bed.books(total), total)
    for m in bed.up():
        wait_for("nobody on member %d" % m.n, 5,
                 lambda: m.count("session") == [])
