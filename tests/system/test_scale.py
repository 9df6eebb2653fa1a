"""Thousands of sessions: set-up rate, memory, outages, endings, limits.

lacsim is the carrier with its subscribers, radresp the RADIUS server.  A
long test is followed by its short form, which is part of "make check".
Figures for documents are left in build/results.
"""

import time

import pytest

import daemon as daemon_module
import peek
import sim
from net import INET_ADDR, INET_ADDR2, wait_for
from sim import LacSim, RadResp

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference does not promise this")

WIDE_POOL = "10.50.0.0/16\n"


def sanitized():
    with open(daemon_module.program(), "rb") as f:
        return b"__asan_init" in f.read()


@pytest.fixture
def world(net, daemon, tmp_path):
    """start(config) -> daemon; world.sim(...), world.radresp(...).

    What is started here ends with the test.
    """
    class World:
        directory = str(tmp_path)

        def __init__(self):
            self.made = []

        def keep(self, one):
            self.made.append(one)
            return one

        def radresp(self, address=INET_ADDR, **options):
            return self.keep(RadResp(net.inet, self.directory, address,
                                     **options))

        def sim(self, name="lacsim", **options):
            return self.keep(LacSim(net.lac, self.directory, name,
                                    **options))

        def reflect(self, port=7001):
            return self.keep(sim.Tool(
                net.inet, self.directory, "reflect",
                [sim.program("lacsim"), "--reflect", str(port)]))

        def daemon(self, ip_pool=WIDE_POOL, secondary=None, users=None,
                   **config):
            keys = {"radius_secret": sim.SECRET,
                    "primary_radius": INET_ADDR, "debug": 2,
                    "l2tp_sccrq_rate": 10000}
            if secondary:
                keys["secondary_radius"] = secondary
            keys.update(config)
            return daemon(config=keys, ip_pool=ip_pool, users=users)

    one = World()
    sim.add_sources(net)
    yield one
    for tool in one.made:
        tool.kill()


def assert_whole(result, sessions, tunnels):
    """Every session came up, and none was lost."""
    s = result["sessions"]
    assert (s["established"], s["failed"], s["lost"]) == (sessions, 0, 0), \
        result["sessions"]
    t = result["tunnels"]
    assert (t["established"], t["failed"], t["lost"]) == (tunnels, 0, 0), t
    assert s["up"] == sessions
    assert s["address_twice"] == 0


def assert_faultless(book):
    """radresp found nothing to blame the daemon for."""
    assert not any(book["faults"].values()), book["faults"]


# -- many sessions, and how fast they come

def many(world, sessions, tunnels, rate, seconds, echo, name):
    world.radresp(delay=2)
    lns = world.daemon(radius_accounting=True)
    empty = sim.rss(lns.pid)
    busy = sim.cpu_seconds(lns.pid)
    lac = world.sim(source=sim.SOURCES, tunnels=tunnels, sessions=sessions,
                    rate=rate, auth="chap", echo=echo, hold=seconds)
    lac.wait_hold(60 + 2 * sessions / rate)
    busy = sim.cpu_seconds(lns.pid) - busy
    full = sim.rss(lns.pid)
    result = lac.result(seconds + 120)
    book = world.made[0].end()
    per_session = (full - empty) / sessions
    sim.quote(name, {
        "sessions": sessions, "tunnels": tunnels, "offered_rate": rate,
        "setup": result["setup"], "cpu_ms_per_session":
            busy / sessions * 1e3, "bytes_per_session": per_session,
        "echo": result["echo"], "held_seconds": seconds})

    assert_whole(result, sessions, tunnels)
    assert result["echo"]["lost"] == 0
    assert result["echo"]["sent"] >= sessions * (seconds // echo - 1)
    assert result["control"]["malformed"] == 0
    assert result["data"]["malformed"] == 0
    assert book["accounting"]["starts"] == sessions
    assert book["accounting"]["stops"] == sessions
    assert_faultless(book)
    assert lns.process.alive()
    return result, per_session


@pytest.mark.long
def test_ten_thousand_sessions_stay_for_five_minutes(world):
    result, per_session = many(world, 10000, 10, 1500, 300, 10, "scale-long")
    if not sanitized():
        assert result["setup"]["rate"] >= 1000
        assert per_session <= 8192


def test_a_thousand_sessions_stay(world):
    result, per_session = many(world, 1000, 10, 1500, 20, 2, "scale-short")
    if not sanitized():     # slots come in huge pages: 2 MiB in each array
        assert per_session * 1000 <= 8192 * 1000 + 2 * 2**21


@pytest.mark.long
def test_sessions_come_up_at_a_thousand_a_second(world):
    """Thirty seconds of it, and no second is a slow one."""
    world.radresp(delay=2)
    lns = world.daemon(radius_accounting=True)
    lac = world.sim(source=sim.SOURCES, tunnels=10, sessions=40000,
                    rate=1250, auth="chap", hold=5)
    result = lac.result(180)
    sim.quote("setup-rate", {
        "setup": result["setup"],
        "cpu_ms_per_session": sim.cpu_seconds(lns.pid) / 40000 * 1e3})
    assert_whole(result, 40000, 10)
    assert result["setup"]["rate"] >= 1000
    assert result["setup"]["per_second_min"] >= 1000


# -- RADIUS servers that die

def test_sessions_come_up_though_the_primary_is_dead(world):
    world.radresp(silent=True)
    second = world.radresp(INET_ADDR2, delay=2)
    world.daemon(secondary=INET_ADDR2, radius_accounting=True)
    lac = world.sim(tunnels=2, sessions=300, rate=50, auth="mix", hold=2)
    result = lac.result(90)
    assert_whole(result, 300, 2)
    # Found out once, the dead one costs nobody any waiting.
    assert result["setup"]["time_ms"]["p50"] < 1000
    book = second.end()
    assert book["auth"]["accepts"] == 300
    assert book["accounting"]["stops"] == 300
    assert_faultless(book)


def outage(world, seconds):
    servers = [world.radresp(delay=2), world.radresp(INET_ADDR2, delay=2)]
    world.reflect()
    lns = world.daemon(secondary=INET_ADDR2, radius_accounting=True)
    old = world.sim("old", source="10.98.0.1", tunnels=2, sessions=500,
                    rate=500, hold=3600, echo=5,
                    probe=INET_ADDR + ":7001")
    old.wait_hold()
    for server in servers:
        server.turn_silence()
    began = time.monotonic()
    # Who comes now is refused in good time, and the tunnel stays.
    new = world.sim("new", source="10.98.0.2", sessions=100, rate=50,
                    user="new%d", hold=max(1, seconds - 20),
                    setup_timeout=50)
    refused = new.result(seconds + 90)
    time.sleep(max(0, seconds - (time.monotonic() - began)))
    assert old.status()["lost"] == 0
    for server in servers:
        server.turn_silence()
    back = time.monotonic()
    late = world.sim("late", source="10.98.0.3", sessions=300, rate=300,
                     user="late%d", hold=1)
    welcome = late.result(120)
    waited = time.monotonic() - back
    kept = old.end(60)

    assert refused["sessions"]["failed"] == 100
    assert set(refused["sessions"]["reasons"]) <= {
        "auth_refused", "lcp_terminate", "cdn"}, refused["sessions"]
    assert refused["tunnels"]["lost"] == 0
    assert refused["tunnels"]["established"] == 1
    assert_whole(welcome, 300, 1)
    assert waited < 45
    assert_whole(kept, 500, 2)
    assert kept["echo"]["lost"] == 0
    assert kept["probes"]["lost"] == 0
    # No record is lost: what could not be told is told later.
    wait_for("the last Stops", 60, lambda: sum(
        s.summary()["accounting"]["stops"] for s in servers) >= 800)
    counters = peek.counters(lns.pid)
    assert counters["acct_dropped"] == 0
    assert counters["ip_allocated"] == counters["ip_freed"]
    for server in servers:
        assert_faultless(server.end())


@pytest.mark.long
def test_a_minute_without_radius_hurts_no_session(world):
    outage(world, 60)


def test_a_moment_without_radius_hurts_no_session(world):
    outage(world, 15)


# -- over and over

def cycles(world, count):
    """Exactly as many slots and addresses as sessions: a leak would show."""
    world.radresp(delay=2)
    lns = world.daemon(ip_pool="".join(
        "10.50.1.%d\n" % n for n in range(1, 201)), max_sessions=200,
        radius_accounting=True)
    empty = sim.descriptors(lns.pid)
    options = dict(source=sim.SOURCES, tunnels=10, sessions=200, rate=1000,
                   auth="mix")

    def settle(stops):
        wait_for("accounting to be done", 30, lambda:
                 world.made[0].summary()["accounting"]["stops"] == stops)
        return sim.rss(lns.pid), sim.descriptors(lns.pid)

    assert_whole(world.sim("first", hold=2, **options).result(120), 200, 10)
    world.sim("warm", cycles=2000, hold=0.1, **options).result(120)
    before = settle(2200)
    result = world.sim("cycles", cycles=count, hold=0.1, **options).result(
        60 + count / 50)
    after = settle(2200 + count)
    again = world.sim("again", hold=2, **options).result(120)
    settle(2400 + count)
    counters = peek.counters(lns.pid)
    sim.quote("cycles-%d" % count, {
        "setup": result["setup"], "rss_before": before[0],
        "rss_after": after[0], "fds_empty": empty, "fds_before": before[1],
        "fds_after": after[1]})

    s = result["sessions"]
    assert (s["established"], s["ended"], s["failed"], s["lost"]) == \
        (count, count, 0, 0), s
    assert_whole(again, 200, 10)
    assert after[1] == before[1]
    if not sanitized():     # ASan keeps what was freed for a while
        assert after[0] - before[0] <= 512 * 1024
    assert counters["session_created"] == 2400 + count
    assert counters["ip_allocated"] == counters["ip_freed"] == 2400 + count
    assert counters["session_overflow"] == 0
    assert counters["ip_exhausted"] == 0
    assert counters["acct_dropped"] == 0
    assert_faultless(world.made[0].end())


@pytest.mark.long
def test_twenty_thousand_cycles_leave_nothing_behind(world):
    cycles(world, 20000)


def test_cycles_leave_nothing_behind(world):
    cycles(world, 4000)


# -- the end of everything

def test_sigquit_tells_everybody_and_ends(world):
    world.radresp(delay=2)
    lns = world.daemon(radius_accounting=True)
    lac = world.sim(source=sim.SOURCES, tunnels=10, sessions=2000, rate=1000,
                    hold=3600)
    lac.wait_hold()
    began = time.monotonic()
    status = lns.quit(20)
    took = time.monotonic() - began
    result = lac.end(60)
    book = world.made[0].end()
    sim.quote("sigquit", {"seconds": took, "sessions": 2000})
    assert status == 0
    assert took < (15 if sanitized() else 5)
    assert sum(result["tunnels"]["cdn_results"].values()) == 2000
    assert sum(result["tunnels"]["stopccn_results"].values()) == 10
    assert book["accounting"]["stops"] == 2000
    assert_faultless(book)


@pytest.mark.long
def test_sigquit_ends_though_the_carrier_is_gone(world):
    world.radresp(delay=2)
    lns = world.daemon()
    lac = world.sim(tunnels=5, sessions=500, rate=500, hold=3600)
    lac.wait_hold()
    lac.kill()
    began = time.monotonic()
    assert lns.quit(60) == 0
    assert time.monotonic() - began < 40


# -- no more room

def test_the_call_too_many_is_refused_and_the_tunnel_lives(world):
    world.radresp(delay=2)
    lns = world.daemon(max_sessions=100)
    first = world.sim("first", source="10.98.0.1", sessions=100, rate=200,
                      hold=3600)
    assert first.wait_hold()["up"] == 100
    # RFC 2661 4.4.2: result 2 says see the error, error 4 no resources.
    late = world.sim("late", source="10.98.0.2", sessions=1, user="late%d",
                     hold=3600, reconnect=1, timeout=1)
    late.wait_status("refusals", 30, lambda now: now["tunnels_up"] == 1 and
                     peek.counters(lns.pid)["session_overflow"] >= 3)
    assert late.status()["up"] == 0
    assert first.status()["lost"] == 0
    assert_whole(first.end(), 100, 1)
    late.wait_status("the late one to be up", 30,
                     lambda now: now["up"] == 1)
    result = late.end()
    assert result["tunnels"]["established"] == 1
    assert result["tunnels"]["lost"] == 0
    refused = result["sessions"]["failed"]
    assert refused >= 3
    assert result["tunnels"]["cdn_results"]["2"] == refused
    assert result["tunnels"]["cdn_errors"]["4"] == refused
