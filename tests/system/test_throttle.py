"""Throttled sessions: real TCP at the rate asked for, and short queues."""

import json
import os
import re
import time

import pytest

import daemon as daemon_module
import sim
from net import INET_ADDR, wait_for
from terminal import Terminal
from world import wires, world      # fixtures

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has another command")

RATES = (512, 2000, 10000, 100000)      # kbit/s
LATENCY = 120                           # ms, with the line full

# MTU 1462: 20 octets of IPv4, 20 of TCP, 12 of its timestamp option.
IP_OF_PAYLOAD = 1462 / (1462 - 52)


def console(world):
    """A terminal that may."""
    one = Terminal(world.net.lns)
    one.enable()
    return one


class Subscriber:
    """One session of a carrier, and what measures it."""

    def __init__(self, world, carrier, n):
        self.world = world
        self.user = "%s-%d" % (carrier.name, n)
        self.address = carrier.addresses[n]
        self.port = 5201 + n
        self.runs = 0

    def iperf(self, seconds, down):
        """Starts TCP through the session; rate() tells."""
        inet, lac, directory = (self.world.net.inet, self.world.net.lac,
                                self.world.directory)
        self.runs += 1
        base = "%s/%s.%d." % (directory, self.user, self.runs)
        self.server = self.world.keep(inet.start(
            ["iperf3", "-s", "-1", "-p", str(self.port)], base + "server"))
        wait_for("iperf3 to listen", 10, lambda: inet.run(
            "ss", "-Hlnt", "sport = :%d" % self.port).strip())
        self.client = self.world.keep(lac.start(
            ["iperf3", "-c", INET_ADDR, "-B", self.address, "-p",
             str(self.port), "-t", str(seconds), "-J"] +
            (["-R"] if down else []), base + "client"))

    def ping(self, seconds):
        self.pings = self.world.keep(self.world.net.lac.start(
            ["ping", "-n", "-I", self.address, "-i", "0.1", "-c",
             str(seconds * 10), "-W", "2", INET_ADDR],
            "%s/%s.%d.ping" % (self.world.directory, self.user, self.runs)))

    def rate(self, seconds):
        """kbit/s of IP that iperf3 received."""
        self.client.wait(seconds + 30)
        self.server.wait(10)
        end = json.loads(self.client.log())["end"]
        return end["sum_received"]["bits_per_second"] / 1000 * IP_OF_PAYLOAD

    def times(self):
        """Round trips in ms, sorted."""
        self.pings.wait(30)
        return sorted(float(t) for t in re.findall(
            r"time=([\d.]+) ms", self.pings.log()))


def measure(world, them, rates, seconds, down):
    """TCP and ping through each at once."""
    for one in them:
        one.iperf(seconds, down)
    time.sleep(1)
    for one in them:
        one.ping(seconds - 2)
    figures = {}
    for one, rate in zip(them, rates):
        got, times = one.rate(seconds), one.times()
        figures[rate] = {"kbit": round(got), "of_rate": round(got / rate, 4),
                         "ping_max": times[-1],
                         "ping_median": times[len(times) // 2],
                         "pings_lost": seconds * 10 - 20 - len(times)}
    sim.quote("throttle-tcp-%s" % ("down" if down else "up"), figures)
    return figures


def tcp_at_its_rate(world, seconds, offload, within):
    """What TCP hands over comes in lumps when something was lost, so the
    shorter the time the wider the bounds."""
    world.daemon(throttle_speed=64, offload=offload)
    carrier = world.carrier("th", len(RATES), tun_offload=True, gso=32)
    them = [Subscriber(world, carrier, n) for n in range(len(RATES))]
    terminal = console(world)
    for one, rate in zip(them, RATES):
        assert terminal.run("throttle %s %d" % (one.user, rate)) == \
            "Throttling user %s\n" % one.user
    for down in (True, False):
        figures = measure(world, them, RATES, seconds, down)
        for rate, got in figures.items():
            assert abs(got["of_rate"] - 1) <= within, (down, rate, got)
            assert got["ping_max"] <= LATENCY, (down, rate, got)
    terminal.close()


def test_tcp_at_its_rate(world):
    tcp_at_its_rate(world, 5, True, 0.1)


@pytest.mark.long
@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_tcp_at_its_rate_for_longer(world, offload):
    tcp_at_its_rate(world, 20, offload, 0.05)


def test_each_way_has_its_own_rate_and_it_may_change(world):
    """`in` is from the subscriber; what throttle_speed becomes later does not
    matter to whom it was given."""
    world.daemon(throttle_speed=3000)
    carrier = world.carrier("th", 3, tun_offload=True)
    one, two, free = [Subscriber(world, carrier, n) for n in range(3)]
    terminal = console(world)
    terminal.run("throttle %s in 1000 out 4000" % one.user)
    terminal.run("throttle %s" % two.user)
    terminal.configure()
    terminal.run("set throttle_speed 100")
    terminal.run("exit")
    for down, rates in ((True, (4000, 3000)), (False, (1000, 3000))):
        for each in (one, two):
            each.iperf(3, down)
        for each, rate in zip((one, two), rates):
            assert 0.85 <= each.rate(3) / rate <= 1.1, (down, rate)
    assert terminal.run("no throttle %s" % one.user) == \
        "Unthrottling user %s\n" % one.user
    one.iperf(2, True)
    free.iperf(2, True)
    assert one.rate(2) > 20000 and free.rate(2) > 20000
    terminal.close()


def test_who_hangs_up_with_a_full_queue(world):
    world.daemon(throttle_speed=200)
    carrier = world.carrier("th", 2, tun_offload=True)
    them = [Subscriber(world, carrier, n) for n in range(2)]
    terminal = console(world)
    for one in them:
        terminal.run("throttle %s" % one.user)
        one.iperf(10, True)
    time.sleep(1)
    terminal.run("drop user %s" % them[0].user)
    time.sleep(0.3)
    carrier.lac.end()
    assert "throttled" not in terminal.run("show throttle")
    terminal.close()


# -- many

def passed_up(world):
    """{address: octets} that reached the internet, counted there."""
    text = world.net.inet.run("nft", "list", "set", "ip", "throttle", "hosts")
    return {a: int(n) for a, n in re.findall(
        r"([\d.]+) counter packets \d+ bytes (\d+)", text)}


def passed_down(terminal):
    """{sid: octets} that were let through, as the daemon has it."""
    found = {}
    for line in terminal.run("show throttle").splitlines():
        words = line.split()
        if len(words) > 10 and words[2] == "out":
            found[words[1]] = int(words[9])
    return found


def spread(before, after, seconds, rate):
    """The rates, each in proportion to what it ought to be, sorted."""
    return sorted((after[one] - before[one]) * 8 / 1000 / seconds / rate
                  for one in after)


COUNT = """table ip throttle {
    set hosts { type ipv4_addr; size 65535; flags dynamic; counter; }
    chain in {
        type filter hook input priority 0;
        udp dport 7001 add @hosts { ip saddr }
    }
}"""


def many_at_once(world, sessions, rate, seconds):
    """Half as much again as all of them may have, each way."""
    size = 600
    pps = sessions * rate * 1000 // 8 // size * 3 // 2
    inet, directory = world.net.inet, world.directory
    addresses = os.path.join(directory, "addresses")
    world.daemon(ip_pool="10.50.0.0/16", throttle_speed=rate)
    inet.run("nft", "-f", "-", stdin=COUNT)
    world.keep(inet.start([sim.program("lacsim"), "--sink", "7001"],
                          directory + "/sink"))
    blast = dict(size=size, pps=pps, seconds=seconds + 60)
    lac = world.keep(sim.LacSim(
        world.net.lac, directory, "lacsim", sessions=sessions, rate=500,
        tunnels=8, user="th-%d", addresses=addresses, until_up=True,
        blast="both", blast_to=INET_ADDR + ":7001", hold=seconds + 90,
        **blast))
    lac.wait_hold()
    world.keep(inet.start(
        [sim.program("lacsim"), "--blast-from", addresses] +
        [w for k, v in blast.items() for w in ("--" + k, str(v))],
        directory + "/blast"))
    terminal = console(world)
    for n in range(sessions):
        assert "Throttling" in terminal.run("throttle th-%d" % n)
    time.sleep(2)
    began, up, down = time.monotonic(), passed_up(world), passed_down(terminal)
    cpu = sim.cpu_seconds(world.lns.pid)
    time.sleep(seconds)
    took = time.monotonic() - began
    up = spread(up, passed_up(world), took, rate)
    down = spread(down, passed_down(terminal), took, rate)
    sim.quote("throttle-%d-sessions" % sessions, {
        "kbit": rate, "seconds": took, "up": (up[0], up[-1]),
        "down": (down[0], down[-1]),
        "cpu": (sim.cpu_seconds(world.lns.pid) - cpu) / took})
    inet.run("nft", "delete", "table", "ip", "throttle")
    assert len(up) == len(down) == sessions
    for figures in (up, down):
        assert 0.9 <= figures[0] and figures[-1] <= 1.1, figures
    terminal.close()


def test_a_hundred_at_once(world):
    many_at_once(world, 100, 256, 5)


@pytest.mark.long
def test_a_thousand_at_once(world):
    many_at_once(world, 1000, 128, 20)
