"""A bad link between the carrier and the server.

badproxy stands between lacsim and the daemon and loses, doubles, reorders and
delays, each way by itself, whatever passes: control messages and PPP.  All
sessions must come up and no tunnel be lost, without a flood of repeats, and
every message must have had its effect exactly once: as many tunnels and calls
as there were asked for, one accounting Start and one Stop each.

The short test is the one that "make check" runs; the matrix goes through what
access networks do: loss by duplication by reordering by delay.
"""

import pytest

import daemon as daemon_module
import net as net_module
import peek
import sim
from net import INET_ADDR, LNS_ADDR
from sim import LacSim, RadResp

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference does not promise this")

SESSIONS = 2000
BASE_SESSIONS = 500
PROXY = "127.0.0.1:1799"


class BadProxy(sim.Tool):
    """The bad link, from PROXY in the carrier's namespace to the server."""

    def __init__(self, space, directory, name, **options):
        argv = [sim.program("badproxy"), "--transparent", "--listen", PROXY,
                "--to", "%s:1701" % LNS_ADDR]
        for key, value in options.items():
            argv += ["--" + key.replace("_", "-"), str(value)]
        sim.Tool.__init__(self, space, directory, name, argv)
        net_module.wait_for("badproxy to listen", 10,
                            lambda: space.udp_bound(1799))


@pytest.fixture
def world(net, daemon, tmp_path):
    """world.run(name, link, lac) -> lacsim's result; world.finish()."""
    class World:
        directory = str(tmp_path)

        def __init__(self):
            self.made = []
            self.sessions = self.tunnels = 0
            self.radresp = self.keep(RadResp(net.inet, self.directory,
                                             delay=2))
            self.lns = daemon(config={
                "radius_secret": sim.SECRET, "primary_radius": INET_ADDR,
                "radius_accounting": True, "debug": 2,
                "l2tp_sccrq_rate": 10000}, ip_pool="10.50.0.0/16\n")

        def keep(self, tool):
            self.made.append(tool)
            return tool

        def run(self, name, link, seconds=300, sessions=SESSIONS, tunnels=10,
                **lac):
            """Bring sessions up over the link and take them down again."""
            proxy = self.keep(BadProxy(net.lac, self.directory,
                                       "badproxy-" + name, **link))
            options = dict(lns=PROXY, source=sim.SOURCES, tunnels=tunnels,
                           sessions=sessions, rate=1000, auth="any", hold=2,
                           setup_timeout=180)
            options.update(lac)
            result = self.keep(LacSim(
                net.lac, self.directory, "lacsim-" + name,
                **options)).result(seconds)
            result["link"] = proxy.end()
            self.sessions += sessions
            self.tunnels += tunnels
            return result

        def finish(self):
            """Each message once, said by its effects; what radresp saw."""
            counters = peek.counters(self.lns.pid)
            book = self.radresp.end()
            assert counters["tunnel_created"] == self.tunnels
            assert counters["session_created"] == self.sessions
            assert counters["tunnel_timeout"] == 0
            assert counters["session_timeout"] == 0
            assert counters["ppp_auth_failed"] == 0
            assert not any(book["faults"].values()), book["faults"]
            assert book["sessions"]["by_starts_and_stops"] == \
                {"1/1": self.sessions}
            return counters

        def finish_disturbed(self):
            """Some calls were made twice: each has one Start, one Stop."""
            assert self.lns.quit(90) == 0
            book = self.radresp.end()
            assert not any(book["faults"].values()), book["faults"]
            assert set(book["sessions"]["by_starts_and_stops"]) == {"1/1"}
            assert book["sessions"]["total"] >= self.sessions

    sim.add_sources(net)
    one = World()
    yield one
    for tool in one.made:
        tool.kill()


def assert_all_up(result, sessions=SESSIONS, tunnels=10):
    """Every session came up; no tunnel and no session was lost."""
    t, s = result["tunnels"], result["sessions"]
    assert (t["established"], t["failed"], t["lost"]) == (tunnels, 0, 0), t
    assert (s["established"], s["failed"], s["lost"]) == (sessions, 0, 0), s
    assert s["up"] == sessions
    assert s["address_twice"] == 0
    assert result["control"]["malformed"] == 0


def packets(result):
    """Control packets of both sides for one session, from ICRQ to CDN."""
    return result["control"]["messages_per_session"]


def figures(result):
    control = result["control"]
    return {"setup": result["setup"], "packets_per_session": packets(result),
            "retransmitted": control["retransmitted"],
            "zlb": control["zlb_sent"] + control["zlb_received"],
            "link": result["link"]}


def assert_link_was_bad(result, loss, dup, reorder):
    """The link did what the test is about, or it shows nothing."""
    for way in (result["link"]["up"], result["link"]["down"]):
        survived = way["received"] - way["lost"]
        for key, percent, of in (
                ("lost", loss, way["received"]), ("doubled", dup, survived),
                ("reordered", reorder, survived + way["doubled"])):
            share = 100.0 * way[key] / of
            assert 0.8 * percent <= share <= 1.2 * percent, (key, way)


def test_two_thousand_sessions_on_a_bad_link(world):
    """Loss 10 %, duplication 5 %, reordering 10 %."""
    good = world.run("good", {}, sessions=BASE_SESSIONS)
    assert_all_up(good, BASE_SESSIONS)
    bad = world.run("bad", {"loss": 10, "dup": 5, "reorder": 10})
    assert_all_up(bad)
    assert_link_was_bad(bad, 10, 5, 10)
    assert packets(bad) <= 3 * packets(good)
    counters = world.finish()
    assert counters["tunnel_held"] > 0
    assert counters["tunnel_duplicates"] > 0
    sim.quote("lossy", {"good": figures(good), "bad": figures(bad),
                        "held": counters["tunnel_held"],
                        "duplicates": counters["tunnel_duplicates"],
                        "retries": counters["tunnel_retries"]})


@pytest.mark.long
def test_a_carrier_that_only_has_a_timer(world):
    """One repeat a second for each tunnel: slower, but all come up."""
    result = world.run("plain", {"loss": 10, "dup": 5, "reorder": 10},
                       plain_retransmit=True)
    assert_all_up(result)
    world.finish()
    sim.quote("lossy-plain", figures(result))


@pytest.mark.long
def test_three_hundred_calls_a_second_at_five_percent(world):
    """From the first ICRQ to the last IPCP, with PPP's 3 s for each loss."""
    result = world.run("rate", {"loss": 5}, sessions=20000, rate=500)
    assert_all_up(result, 20000)
    assert result["setup"]["rate"] >= 300
    world.finish()
    sim.quote("lossy-rate", figures(result))


@pytest.mark.long
@pytest.mark.parametrize("delay", [0, 50, 200])
@pytest.mark.parametrize("reorder", [0, 10])
@pytest.mark.parametrize("dup", [0, 5])
@pytest.mark.parametrize("loss", [0, 1, 5, 10, 20])
def test_matrix(world, loss, dup, reorder, delay):
    """All up within 60 s, with some echoes afterwards.

    At 20 % six losses in a row are no longer rare: there the carrier calls
    again whom it loses, and has 180 s.
    """
    tunnels = 20
    tolerant = {"reconnect": 1, "seconds": 700} if loss > 10 else {}
    good = world.run("good", {"delay": delay}, sessions=BASE_SESSIONS,
                     tunnels=tunnels)
    assert_all_up(good, BASE_SESSIONS, tunnels)
    bad = world.run("bad", {"loss": loss, "dup": dup, "reorder": reorder,
                            "delay": delay}, tunnels=tunnels,
                    hold=10, echo=2, echo_fail=30, **tolerant)
    sim.quote("lossy-%d-%d-%d-%d" % (loss, dup, reorder, delay),
              {"good": figures(good), "bad": figures(bad)})
    assert_link_was_bad(bad, loss, dup, reorder)
    if loss > 10:
        assert bad["sessions"]["peak"] == SESSIONS
        assert bad["sessions"]["up"] == SESSIONS
        assert bad["setup"]["seconds"] <= 180
        world.finish_disturbed()
        return
    assert_all_up(bad, SESSIONS, tunnels)
    assert bad["setup"]["seconds"] <= 60
    assert packets(bad) <= 3 * packets(good)
    world.finish()
