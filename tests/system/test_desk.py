"""The operator's desk while packets flow: nothing he does may be felt.

Many sessions, a blast both ways and probes; then every command that is long,
alone and all at once, from terminals that read and from some that do not.
What counts is the longest turn of the loop ("longest loop stall" of `show
counters`) and that no packet is lost.  A packet may be lost in four places,
and each has its own counter: the daemon's socket (tunnel_rx_dropped), the
queue of its TUN device, and the sockets of the two ends, which are niced so
that the daemon is not the one that waits for a processor.
"""

import contextlib
import json
import os
import re
import signal
import threading
import time

import pytest

import daemon as daemon_module
import peek
import sim
from net import INET_ADDR, wait_for
from terminal import Terminal
from test_scale import sanitized, world  # noqa: F401

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="about this daemon only")

NICE = 10                       # of what makes the packets
SINK = 7002
REFLECT = 7001
PASSWORD = "open sesame"
# crypt(PASSWORD), yescrypt as Debian makes it: some 15 ms of work.
HASH = ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"
        "6JlLzEdKMvGk83Zgd3owplAejssJr2SFlJFlOc7i54A")
TUNNELS = 10
LOGINS = 10
TERMINALS = 32


def be_nice(level):
    """This thread alone: operators are on other machines."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), level)


class Desk:
    """A daemon with sessions, packets both ways, and the meter."""

    def __init__(self, world, net, tmp_path, sessions, pps, most_ms, name):
        self.world, self.net, self.name = world, net, name
        self.sessions, self.pps, self.most_ms = sessions, pps, most_ms
        self.figures = {}
        self.usage = str(tmp_path / "usage")
        self.terminals = []
        daemon_module.mkdir(self.usage)
        world.radresp(delay=2)
        world.reflect(REFLECT)
        self.lns = world.daemon(
            ip_pool="10.48.0.0/12\n", radius_accounting=True,
            accounting_dir=self.usage, accounting_interval=3600,
            save_state=True, state_file=str(tmp_path / "state"),
            users="alice:%s\nenable:%s\n" % (HASH, HASH),
            throttle_speed=1000, snoop_host=INET_ADDR, snoop_port=9)
        net.inet.ip("route replace 10.48.0.0/12 via 10.99.2.2")
        self.start_blast(tmp_path)

    def start_blast(self, tmp_path):
        addresses = str(tmp_path / "addresses")
        self.sink = self.tool("sink", "--sink", str(SINK))
        self.lac = self.world.sim(
            nice=NICE, source=sim.SOURCES, tunnels=TUNNELS,
            sessions=self.sessions, rate=1800, auth="chap", stop="silent",
            drop_how="stopccn",
            blast="both", blast_to="%s:%d" % (INET_ADDR, SINK),
            pps=self.pps // 2, seconds=3600, addresses=addresses,
            probe="%s:%d" % (INET_ADDR, REFLECT), probe_sessions=1000,
            probe_interval=500)
        self.lac.wait_status("all to be up", 60 + self.sessions / 300,
                             lambda now: now["up"] == self.sessions and
                             now["state"] == "hold")
        self.blast = self.tool("blast", "--blast-from", addresses, "--pps",
                               str(self.pps // 2), "--seconds", "3600")
        time.sleep(3)

    def tool(self, name, *argv):
        return self.world.keep(sim.Tool(
            self.net.inet, self.world.directory, name,
            [sim.program("lacsim")] + list(argv), NICE))

    # -- terminals

    def terminal(self, enable=True):
        t = Terminal(self.net.lns, login=("alice", PASSWORD))
        self.terminals.append(t)
        if enable:
            t.enable(PASSWORD)
        return t

    def together(self, *jobs):
        """Run them at once, each in a thread; what they return, in order."""
        results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

        def work(i, job):
            be_nice(NICE)
            barrier.wait(30)
            results[i] = job()

        threads = [threading.Thread(target=work, args=pair, daemon=True)
                   for pair in enumerate(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(200)
        assert all(r is not None for r in results), results
        return results

    # -- the meter

    def tun_dropped(self):
        return json.loads(self.net.lns.ip("-s -j link show tun0"))[0][
            "stats64"]["tx"]["dropped"]

    @contextlib.contextmanager
    def metered(self, what, most_ms=None):
        """A figure for what is done meanwhile; it may not stall the loop."""
        before = peek.counters(self.lns.pid), self.tun_dropped()
        peek.forget_stall(self.lns.pid)
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        worst = peek.longest_stall(self.lns.pid) / 1000
        after = peek.counters(self.lns.pid), self.tun_dropped()
        span = time.monotonic() - began
        self.figures[what] = figure = {
            "stall_ms": round(worst, 2), "seconds": round(took, 2),
            "socket_dropped": after[0]["tunnel_rx_dropped"] -
            before[0]["tunnel_rx_dropped"],
            "tun_dropped": after[1] - before[1],
            "pps": int((after[0]["eth_tx_packets"] +
                        after[0]["eth_rx_packets"] -
                        before[0]["eth_tx_packets"] -
                        before[0]["eth_rx_packets"]) / span)}
        print("%-40s %s" % (what, figure))
        if worst > (most_ms or self.most_ms):
            self.late.append((what, figure))

    late = ()

    def books(self):
        """End the blasts; what was sent, and what became of it."""
        down = self.blast.end()
        time.sleep(1)
        lac = self.lac.end()
        time.sleep(0.5)
        sink = self.sink.end()
        self.figures["books"] = found = {
            "up_sent": lac["blast_up"]["sent"],
            "up_received": sink["received"],
            "sink_overflow": sink["socket_overflow"],
            "down_sent": down["sent"],
            "down_received": lac["blast_down"]["received"],
            "lacsim_overflow": lac["data"]["socket_overflow"],
            "generator_errors": down["errors"] + lac["data"]["send_errors"],
            "probes_sent": lac["probes"]["sent"],
            "probes_lost": lac["probes"]["lost"],
            "socket_dropped":
                peek.counters(self.lns.pid)["tunnel_rx_dropped"],
            "tun_dropped": self.tun_dropped()}
        print(found)
        return found

    def close(self):
        for t in self.terminals:
            t.close()


@pytest.fixture
def desk(world, net, tmp_path):  # noqa: F811
    made = []

    def start(sessions, pps, most_ms, name):
        one = Desk(world, net, tmp_path, sessions, pps, most_ms, name)
        one.late = []
        made.append(one)
        be_nice(NICE)
        return one
    yield start
    be_nice(0)
    for one in made:
        one.close()
        sim.quote("desk-" + one.name, one.figures)


def usage_files(desk):
    """How many are whole."""
    return len([n for n in os.listdir(desk.usage) if n[0] != "."])


def next_usage_file(desk):
    before = usage_files(desk)
    wait_for("a usage file", 60, lambda: usage_files(desk) > before)
    return True


def all_at_once(desk):
    """Long lists, a usage file and logins, one by one and together."""
    t = [desk.terminal() for _ in range(4)]
    with desk.metered("nothing (5 s)"):
        time.sleep(5)
    t[3].configure()
    with desk.metered("%d logins" % LOGINS):
        desk.together(*[desk.terminal] * LOGINS)
    with desk.metered("usage file"):
        t[3].run("set accounting_interval 1")
        next_usage_file(desk)
    with desk.metered("all at once"):
        out = desk.together(
            lambda: t[0].run("show session", 100),
            lambda: t[1].run("show session json", 100),
            lambda: t[2].run("show pool", 100),
            lambda: next_usage_file(desk),
            *[lambda: desk.terminal(enable=False)] * LOGINS)
    t[3].run("set accounting_interval 3600")
    assert out[0].count("\n") == desk.sessions + 1
    assert len(json.loads(out[1])) == desk.sessions
    assert out[2].count("\n") == desk.sessions + 5
    for one in desk.terminals:
        one.close()
    desk.terminals = []


COMMANDS = (
    "show session", "show session json", "show session | include user77 ",
    "show session | count", "show users", "show pool", "show pool json",
    "show pool | exclude user", "show pool all | count", "show ipcache",
    "show tunnels 1 2 3 4 5 6 7 8 9 10", "show throttle", "show counters",
    "show counters json", "show histogram idle", "show histogram open",
    "show running-config", "show radius", "uptime", "snoop user5",
    "throttle user5", "throttle user6 in 512 out 2000", "show throttle",
    "no throttle user5", "no throttle user6", "no snoop user5",
    "write memory")


def each_command(desk):
    t = desk.terminal()
    time.sleep(0.5)
    for line in COMMANDS:
        with desk.metered(line):
            t.run(line, 100)


def readers_that_do_not_read(desk):
    """Their lists are held up, and nothing else is."""
    slow = [desk.terminal() for _ in range(5)]
    t = desk.terminal()
    with desk.metered("5 terminals that do not read"):
        for one in slow:
            one.send("show session json")
        time.sleep(3)
        t.run("show session | count", 100)
    with desk.metered("they read at last"):
        texts = desk.together(*[one.prompt for one in slow])
    assert all(len(json.loads(text.split("\n", 1)[1])) for text in texts)
    with desk.metered("they leave in the middle"):
        for one in slow:
            one.send("show session json")
        time.sleep(0.5)
        for one in slow:
            one.close()
        time.sleep(0.5)
    t.close()
    desk.terminals = []


def all_terminals(desk):
    wait_for("room", 10, lambda: len(children(desk)) == 0)
    time.sleep(1.2)
    with desk.metered("%d terminals come" % TERMINALS):
        for _ in range(4):
            desk.together(*[lambda: desk.terminal(enable=False)] *
                          (TERMINALS // 4))
    # More processes than processors want to run now.  The daemon goes first,
    # but one that has begun is let run for some milliseconds.
    with desk.metered("%d x show session json" % TERMINALS,
                      5 * desk.most_ms):
        texts = desk.together(*[
            (lambda t: lambda: t.run("show session json", 150))(t)
            for t in desk.terminals])
    counts = {len(json.loads(text)) for text in texts}
    assert len(counts) == 1, counts
    for one in desk.terminals:
        one.close()
    desk.terminals = []
    wait_for("room", 10, lambda: len(children(desk)) == 0)


def children(desk):
    with open("/proc/%d/task/%d/children" % (
            desk.lns.pid, desk.lns.pid)) as f:
        return f.read().split()


def assert_books(desk):
    """What was sent has come; a throttle may have dropped, and says so."""
    found = desk.books()
    throttled = peek.counters(desk.lns.pid)["throttle_dropped"]
    lost = found["up_sent"] - found["up_received"] + \
        found["down_sent"] - found["down_received"]
    assert found["probes_lost"] == 0, found
    assert lost == throttled < 100, (lost, throttled, found)


def assert_never_late(desk):
    assert not desk.late, desk.late


def routes(desk):
    return desk.net.lns.ip("route show dev tun0").split("\n")


def reloads(desk):
    """The configuration again, and another pool; nobody misses a packet."""
    t = desk.terminal()
    with desk.metered("reload"):
        t.run("reload")
    with desk.metered("SIGHUP"):
        at = len(desk.lns.log())
        desk.lns.reload()
        desk.lns.wait_log("configuration loaded again", 10, at)
    with desk.metered("reload: another /12 besides"):
        desk.lns.write("ip_pool", "10.48.0.0/12\n10.128.0.0/12\n")
        t.run("reload")
        wait_for("the route", 20, lambda: any(
            "10.128.0.0/12" in line for line in routes(desk)))
        time.sleep(1)
    with desk.metered("reload: half of the pool is gone"):
        desk.lns.write("ip_pool", "10.48.%d.0/24\n" % (
            desk.sessions // 254 // 2))
        t.run("reload")
        wait_for("the routes of sessions", 30, lambda: not any(
            "10.48.0.0/12" in line for line in routes(desk)))
        time.sleep(1)
    assert len(routes(desk)) > desk.sessions - 254
    with desk.metered("reload: the old pool again"):
        desk.lns.write("ip_pool", "10.48.0.0/12\n")
        t.run("reload")
        time.sleep(2)
    assert t.run("show pool | include Used:").split()[-1] == \
        str(desk.sessions)


def written(desk):
    """write memory on a disk that others keep busy."""
    t = desk.terminal()
    big = os.path.join(desk.world.directory, "big")
    stop = threading.Event()

    def scribble():
        be_nice(19)
        while not stop.is_set():
            with open(big, "wb") as f:
                f.write(bytes(32 << 20))
                f.flush()
                os.fsync(f.fileno())

    thread = threading.Thread(target=scribble, daemon=True)
    thread.start()
    time.sleep(0.5)
    try:
        with desk.metered("write memory, 20 times on a busy disk"):
            for _ in range(20):
                t.run("write memory")
    finally:
        stop.set()
        thread.join(20)
        os.unlink(big)


def drops(desk):
    t = desk.terminal()
    with desk.metered("drop session 7"):
        t.run("drop session 7")
    with desk.metered("drop user user9"):
        t.run("drop user user9")
    with desk.metered("drop tunnel, %d sessions" % (desk.sessions // 10)):
        t.run("drop tunnel 3")
        wait_for("the tunnel to be gone", 30, lambda:
                 t.run("drop tunnel 3") == "Tunnel 3 is not connected\n",
                 0.5)


def restart(desk):
    """SIGTERM saves everybody; the next process has them again."""
    began = time.monotonic()
    desk.lns.process.send(signal.SIGTERM)
    assert desk.lns.process.wait(60) == 0
    ended = time.monotonic()
    at = len(desk.lns.log())
    be_nice(0)
    desk.lns.start(60)
    be_nice(NICE)
    desk.lns.wait_log(r"l2tpns \S+ ready", 60, at)
    ready = time.monotonic()
    saved = re.search(r"state saved: (\d+) sessions", desk.lns.log())
    desk.figures["restart"] = {
        "sessions": int(saved.group(1)), "stop_seconds":
        round(ended - began, 2), "start_seconds": round(ready - ended, 2),
        "log": saved.group(0)}
    t = desk.terminal()
    assert t.run("show users | count").strip() == saved.group(1)


@pytest.mark.long
def test_sixty_thousand_sessions_and_the_desk(desk):
    at_the_desk(desk(60000, 100000, 10, "long"))


def test_thousands_of_sessions_and_the_desk(desk):
    at_the_desk(desk(3000, 10000, 1000 if sanitized() else 100, "short"))


def at_the_desk(one):
    all_at_once(one)
    each_command(one)
    readers_that_do_not_read(one)
    all_terminals(one)
    reloads(one)
    written(one)
    assert_books(one)
    assert_never_late(one)


@pytest.mark.long
def test_sixty_thousand_sessions_go_and_come_back(desk):
    go_and_come_back(desk(60000, 100000, 10, "restart-long"))


def test_thousands_of_sessions_go_and_come_back(desk):
    go_and_come_back(desk(3000, 10000, 1000 if sanitized() else 100,
                          "restart-short"))


def the_lacs_restart(desk):
    """All tunnels end with all that is in them, by StopCCN."""
    t = desk.terminal()
    with desk.metered("StopCCN on %d tunnels" % (TUNNELS - 1)):
        desk.lac.process.send(signal.SIGUSR2)
        wait_for("all sessions to be gone", 60,
                 lambda: ", 0 users," in t.run("uptime"), 0.2)


def go_and_come_back(one):
    drops(one)
    restart(one)
    the_lacs_restart(one)
    one.lac.kill()
    assert_never_late(one)
