"""The walled garden: real packets, a real firewall, many who come at once.

lacsim is the carrier, and its TUN device gives this process addresses to speak
from; radresp refuses who is called bad.  The portal, where build-garden leads,
stands in the internet's namespace.  (test_guest.py has FreeRADIUS and pppd.)
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import daemon as daemon_module
import net as net_module
import peek
import sim
from net import INET_ADDR, wait_for
from sim import LacSim, RadResp
from terminal import Terminal
from test_scale import WIDE_POOL, sanitized
from world import Carrier

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has no such plugin")

BUILD = os.path.dirname(daemon_module.program())
NSCTL = os.path.join(BUILD, "nsctl")
PORTAL = "192.168.1.1"          # of the manual's examples

# The two examples of the manual as they stand there.
EVERYTHING = """
iptables -t nat -A garden -p tcp -m tcp --dport 25 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p udp -m udp --dport 53 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p tcp -m tcp --dport 53 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p tcp -m tcp --dport 80 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p tcp -m tcp --dport 110 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p tcp -m tcp --dport 443 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p icmp -m icmp --icmp-type echo-request -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p icmp -j ACCEPT
iptables -t nat -A garden -j DROP
"""
BUT_DNS = """
iptables -t nat -A garden -p tcp --dport ! 53 -j DNAT --to 192.168.1.1
iptables -t nat -A garden -p udp --dport ! 53 -j DNAT --to 192.168.1.1
"""

# Rules of somebody else, which must be there afterwards.
FOREIGN = [
    ["-t", "nat", "-N", "theirs"],
    ["-t", "nat", "-A", "theirs", "-p", "tcp", "--dport", "8080", "-j",
     "REDIRECT"],
    ["-t", "nat", "-A", "PREROUTING", "-d", "203.0.113.1/32", "-j", "theirs"],
    ["-t", "nat", "-A", "POSTROUTING", "-s", "10.77.0.0/16", "-j",
     "MASQUERADE"],
    ["-t", "filter", "-A", "FORWARD", "-s", "10.78.0.0/16", "-j", "DROP"],
]

# What hides or changes programs, for one process and its children.
WITHIN = {
    "nft": [],
    "rules": ["mount --bind /dev/null /usr/sbin/ipset"],
    "legacy": ["mount --bind /usr/sbin/xtables-legacy-multi "
               "/usr/sbin/xtables-nft-multi"],
    "legacy-rules": ["mount --bind /dev/null /usr/sbin/ipset",
                     "mount --bind /usr/sbin/xtables-legacy-multi "
                     "/usr/sbin/xtables-nft-multi"],
}


def within(kind):
    if not WITHIN[kind]:
        return []
    return ["unshare", "-m", "sh", "-c", " && ".join(
        WITHIN[kind] + ['exec "$@"']), "within"]


class Server:
    """In the internet: says who was asked for, and by whom, on TCP and UDP."""

    def __init__(self, net, port, name):
        self.name = name.encode()
        self.udp = net.inet.socket()
        self.tcp = net.inet.socket(kind=socket.SOCK_STREAM)
        for one in self.udp, self.tcp:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind((name, port))
        self.tcp.bind((name, port))
        self.tcp.listen(16)
        for serve in self.serve_udp, self.serve_tcp:
            threading.Thread(target=serve, daemon=True).start()

    def serve_udp(self):
        try:
            while True:
                _, who = self.udp.recvfrom(2048)
                if who is None:     # closed
                    return
                self.udp.sendto(self.name, who)
        except OSError:
            pass

    def serve_tcp(self):
        try:
            while True:
                peer, _ = self.tcp.accept()
                with peer:
                    peer.settimeout(5)
                    peer.sendall(self.name)
        except OSError:
            pass

    def close(self):
        for one in self.udp, self.tcp:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


@pytest.fixture
def portal(net):
    """The portal and another host, each on three ports."""
    net.inet.ip("addr add %s/32 dev lo" % PORTAL)
    net.lns.ip("route add %s via %s" % (PORTAL, INET_ADDR))
    made = [Server(net, port, name) for name in (PORTAL, INET_ADDR)
            for port in (53, 80, 9999)]
    yield made
    for one in made:
        one.close()
    net.inet.ip("addr del %s/32 dev lo" % PORTAL)
    net.lns.ip("route del %s" % PORTAL)


@pytest.fixture
def plugin_dir():
    top = tempfile.mkdtemp(prefix="l2tpns-test-", dir="/run")
    os.chmod(top, 0o755)
    shutil.copy(os.path.join(BUILD, "garden.so"), top)
    os.chmod(os.path.join(top, "garden.so"), 0o644)
    yield top
    shutil.rmtree(top)


class Firewall:
    """What iptables and ipset say in the server's namespace."""

    def __init__(self, net, kind="nft"):
        self.net = net
        self.program = "iptables-legacy" if "legacy" in kind else "iptables"

    def iptables(self, *argv, check=True):
        return self.net.lns.run(self.program, "-w", *argv, check=check)

    def rules(self, table="nat"):
        return [line for line in self.iptables("-t", table, "-S").splitlines()
                if line.startswith("-")]

    def addresses(self):
        """Who is in, by the set or by the chain; None: there is neither."""
        text = self.net.lns.run("ipset", "save", check=False)
        if "create garden_users " in text:
            return set(re.findall(r"^add garden_users (\S+)", text, re.M))
        text = self.iptables("-t", "nat", "-S", "garden_users", check=False)
        if "-N garden_users" not in text:
            return None
        return set(re.findall(r"^-A garden_users -s ([\d.]+)", text, re.M))

    def wait(self, addresses, seconds=20):
        wait_for(lambda: "%d addresses; there are %s" % (
            len(addresses), self.addresses()), seconds,
            lambda: self.addresses() == set(addresses))

    def packets(self, target):
        """Of the chain garden, as the manual says one looks."""
        text = self.iptables("-t", "nat", "-L", "garden", "-nvx")
        return sum(int(line.split()[0]) for line in text.splitlines()[2:]
                   if target in line)

    def leave(self):
        for table in "nat", "filter":
            self.iptables("-t", table, "-F")
            self.iptables("-t", table, "-X")
        self.net.lns.run("ipset", "destroy", check=False)


@pytest.fixture
def garden(net, daemon, plugin_dir, portal, tmp_path):
    """start(kind, script) -> Garden."""
    class Garden:
        directory = str(tmp_path)

        def __init__(self, kind="nft", script=EVERYTHING, **config):
            self.net = net
            self.carriers, self.made = [], []
            made.append(self)
            self.firewall = Firewall(net, kind)
            self.radius = self.keep(RadResp(net.inet, self.directory,
                                            reject="^bad"))
            for rule in FOREIGN:
                self.firewall.iptables(*rule)
            self.before = self.foreign()
            keys = {"radius_secret": sim.SECRET, "primary_radius": INET_ADDR,
                    "radius_accounting": True, "plugin_dir": plugin_dir,
                    "l2tp_sccrq_rate": 10000, **config}
            self.script = script
            self.lns = daemon(config=keys, lines=["load plugin garden"],
                              ip_pool=WIDE_POOL, within=within(kind),
                              files={"build-garden": script})
            self.lns.wait_log("the walled garden is built", 20)

        def foreign(self):
            """All rules but those of the garden."""
            return [line for table in ("nat", "filter")
                    for line in self.firewall.rules(table)
                    if "garden" not in line]

        def keep(self, one):
            self.made.append(one)
            return one

        def carrier(self, name, sessions=1):
            one = Carrier(self, name, sessions, source_port=0)
            self.carriers.append(one)
            return one

        def nsctl(self, *argv):
            done = subprocess.run(
                net.lns.argv(NSCTL, *argv), timeout=30, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT)
            return done.returncode, done.stdout

        def sessions(self):
            """`show session`, each row by the user's name."""
            terminal = Terminal(net.lns)
            try:
                return {row["username"]: row for row in json.loads(
                    terminal.run("show session json"))}
            finally:
                terminal.close()

        def accounts(self):
            return self.radius.summary()["accounting"]

        def assert_gone(self):
            """Nothing of ours is left, and all that is theirs."""
            assert self.firewall.addresses() is None
            assert "garden" not in "\n".join(self.firewall.rules())
            assert self.foreign() == self.before
            assert "garden" not in net.lns.run("ipset", "list", "-n")

        def clean(self):
            for one in self.carriers:
                one.forget()
            for one in self.made:
                one.kill() if hasattr(one, "kill") else one.stop(1)
            self.firewall.leave()

    made = []
    sim.add_sources(net)
    yield Garden
    try:
        for one in made:
            if hasattr(one, "lns"):
                one.lns.finish()
    finally:
        for one in made:
            one.clean()


# -- a subscriber's packets

def ask(net, own, to, port, seconds=0.3):
    """Who answers UDP there; None: nobody."""
    with net.lac.socket() as one:
        one.settimeout(seconds)
        one.bind((own, 0))
        one.sendto(b"who are you?", (to, port))
        try:
            return one.recvfrom(100)[0].decode()
        except (socket.timeout, ConnectionError):
            return None


def connect(net, own, to, port, seconds=0.3):
    """Who answers TCP there; None: nobody."""
    with net.lac.socket(kind=socket.SOCK_STREAM) as one:
        one.settimeout(seconds)
        one.bind((own, 0))
        try:
            one.connect((to, port))
            one.settimeout(5)
            return one.recv(100).decode()
        except (socket.timeout, ConnectionError):
            return None


def ping(net, own, to):
    return "1 received" in net.lac.run(
        "ping", "-c", "1", "-W", "1", "-I", own, to, check=False)


def assert_free(net, own):
    assert connect(net, own, INET_ADDR, 80, 5) == INET_ADDR
    assert ask(net, own, INET_ADDR, 53, 5) == INET_ADDR
    assert ask(net, own, INET_ADDR, 9999, 5) == INET_ADDR


def assert_gardened(net, own):
    """By the first example."""
    assert connect(net, own, INET_ADDR, 80, 5) == PORTAL
    assert connect(net, own, "198.51.100.1", 80, 5) == PORTAL
    assert ask(net, own, "198.51.100.1", 53, 5) == PORTAL
    assert ask(net, own, INET_ADDR, 9999) is None
    assert connect(net, own, INET_ADDR, 9999) is None
    assert ask(net, own, net_module.LNS_INET_ADDR, 1702) is None


@pytest.mark.parametrize("kind", list(WITHIN))
def test_the_refused_are_in_and_the_others_are_not(net, garden, kind):
    one = garden(kind)
    bad = one.carrier("bad", 2)
    good = one.carrier("good", 1)
    one.firewall.wait(bad.addresses)
    for own in bad.addresses:
        assert_gardened(net, own)
    assert ping(net, bad.addresses[0], "198.51.100.1")
    assert_free(net, good.addresses[0])
    assert one.firewall.packets("DNAT") > 0
    assert one.foreign() == one.before
    hooks = [rule for rule in one.firewall.rules()
             if rule.startswith("-A PREROUTING")]
    assert hooks[0] == "-A PREROUTING -j garden_users" and len(hooks) == 2

    rows = one.sessions()
    assert [rows[name]["garden"] for name in ("bad-0", "bad-1", "good-0")] \
        == [True, True, False]
    assert one.accounts()["starts"] == 1

    # Out, at once: also on the port from which the garden was asked.
    sid = str(rows["bad-0"]["sid"])
    with net.lac.socket() as old:
        old.settimeout(5)
        old.bind((bad.addresses[0], 0))
        old.sendto(b"?", (INET_ADDR, 53))
        assert old.recv(100).decode() == PORTAL
        assert one.nsctl("ungarden", sid) == (
            0, "Session %s is out of the walled garden\n" % sid)
        one.firewall.wait(bad.addresses[1:])

        def free():
            old.sendto(b"?", (INET_ADDR, 53))
            return old.recv(100).decode() == INET_ADDR
        wait_for("the old connection to be forgotten", 10, free)
    assert_free(net, bad.addresses[0])
    wait_for("the Start", 10, lambda: one.accounts()["starts"] == 2)
    assert one.sessions()["bad-0"]["garden"] is False

    # Back in, by name; then it ends, and its address is out.
    assert one.nsctl("garden", "bad-0") == (
        0, "Session %s is in the walled garden\n" % sid)
    one.firewall.wait(bad.addresses)
    assert_gardened(net, bad.addresses[0])
    bad.lac.process.send(signal.SIGTERM)
    one.firewall.wait([])
    assert one.lns.quit() == 0
    one.assert_gone()
    assert not any(one.radius.end()["faults"].values())


@pytest.mark.parametrize("script", [
    BUT_DNS, BUT_DNS.replace("--dport !", "! --dport")], ids=["old", "new"])
def test_the_other_example(net, garden, script):
    one = garden(script=script)
    bad = one.carrier("bad")
    own = bad.addresses[0]
    one.firewall.wait([own])
    assert ask(net, own, INET_ADDR, 53, 5) == INET_ADDR
    assert connect(net, own, INET_ADDR, 53, 5) == INET_ADDR
    assert connect(net, own, INET_ADDR, 80, 5) == PORTAL
    assert ask(net, own, INET_ADDR, 9999, 5) == PORTAL


def test_nsctl_says_what_is_wrong(garden):
    one = garden()
    assert one.nsctl("garden", "17") == (
        1, "nsctl: Session not connected: 17\n")
    assert one.nsctl("ungarden", "jane") == (
        1, "nsctl: User not connected: jane\n")
    assert one.nsctl("garden")[0] != 0
    status, text = one.nsctl("help")
    assert status == 0 and "ungarden USER|SID" in text


def kill(lns):
    lns.expected_exit = True
    lns.process.send(signal.SIGKILL)
    lns.process.wait(10)


def test_what_a_crash_leaves_is_put_right(net, garden):
    """Stale addresses go, and the rules are there once."""
    one = garden()
    bad = one.carrier("bad", 3)
    one.firewall.wait(bad.addresses)
    kill(one.lns)
    assert one.firewall.addresses() == set(bad.addresses)
    before = one.firewall.rules()
    net.lns.run("ipset", "create", "garden_next", "hash:ip")
    one.lns.start()
    one.firewall.wait([])
    assert one.firewall.rules() == before
    one.lns.process.send(signal.SIGTERM)
    assert one.lns.process.wait(20) == 0
    one.assert_gone()


def test_a_restart_keeps_who_is_in(net, garden, tmp_path):
    one = garden(save_state=True, state_file=str(tmp_path / "state"))
    bad = one.carrier("bad", 3)
    good = one.carrier("good", 1)
    one.firewall.wait(bad.addresses)
    one.lns.expected_exit = True
    one.lns.process.send(signal.SIGTERM)
    assert one.lns.process.wait(20) == 0
    one.assert_gone()
    one.lns.start()
    one.firewall.wait(bad.addresses)
    assert len(one.sessions()) == 4
    assert_free(net, good.addresses[0])
    assert_gardened(net, bad.addresses[2])


def test_who_is_in_is_out_with_the_plugin(net, garden):
    one = garden()
    one.carrier("bad", 2)
    good = one.carrier("good", 1)
    wait_for("both", 10, lambda: len(one.firewall.addresses()) == 2)
    assert one.nsctl("unload_plugin", "garden")[0] == 0
    one.assert_gone()
    assert set(one.sessions()) == {"good-0"}
    assert_free(net, good.addresses[0])
    assert one.nsctl("load_plugin", "garden")[0] == 0
    one.firewall.wait([])


def test_a_firewall_that_was_emptied_is_filled_again(net, garden):
    """iptables -F, or a firewall that is loaded anew."""
    one = garden()
    bad = one.carrier("bad", 1)
    one.firewall.wait(bad.addresses)
    one.firewall.iptables("-t", "nat", "-F")
    assert_free(net, bad.addresses[0])
    # Anything that does not work shows it: at once, not in half a minute.
    net.lns.run("ipset", "flush")
    one.firewall.iptables("-t", "nat", "-X")
    net.lns.run("ipset", "destroy", "garden_users")
    more = one.carrier("bad2", 1)
    one.firewall.wait(bad.addresses + more.addresses)
    assert_gardened(net, bad.addresses[0])
    assert_gardened(net, more.addresses[0])
    assert "has failed" in one.lns.log()


def test_a_script_that_is_not_ours_is_not_run(net, garden):
    """Whoever is in gets nowhere then."""
    one = garden(script="touch /tmp/garden-was-here\n")
    path = os.path.join(one.lns.directory, "build-garden")
    os.chmod(path, 0o666)
    begin = len(one.lns.log())
    assert one.nsctl("build-garden")[0] == 0
    one.lns.wait_log("build-garden is not run: .* can be written", 10, begin)
    one.lns.wait_log("the walled garden is built", 10, begin)
    bad = one.carrier("bad", 1)
    one.firewall.wait(bad.addresses)
    own = bad.addresses[0]
    assert connect(net, own, INET_ADDR, 80) is None
    assert not ping(net, own, INET_ADDR)
    # Put right, it is run again without any session's end.
    one.lns.write("build-garden", EVERYTHING)
    begin = len(one.lns.log())
    assert one.nsctl("build-garden")[0] == 0
    one.lns.wait_log("the walled garden is built", 10, begin)
    one.firewall.wait(bad.addresses)
    assert_gardened(net, own)


def test_not_a_packet_gets_out_before_the_rule_is_there(net, garden):
    """They send from the moment that IPCP is open."""
    one = garden()
    with net.inet.socket() as ear:
        ear.bind((INET_ADDR, 7001))
        ear.setblocking(False)

        def send(user):
            lac = one.keep(LacSim(
                net.lac, one.directory, user, source_port=0, sessions=50,
                rate=200, user=user + "%d", probe=INET_ADDR + ":7001",
                probe_interval=5, hold=1))
            assert lac.result(60)["sessions"]["established"] == 50

        send("bad")
        with pytest.raises(BlockingIOError):
            ear.recvfrom(2048)
        send("good")
        ear.recvfrom(2048)


# -- many

def come(one, sessions, rate, tunnels):
    """They come, all in the garden; seconds from the last to its rule."""
    lac = one.keep(LacSim(
        one.net.lac, one.directory, "many", source=sim.SOURCES,
        tunnels=tunnels, sessions=sessions, rate=rate, auth="pap",
        user="bad%d", until_up=True))
    wait_for("all to be up", 60 + 2 * sessions / rate,
             lambda: "all up" in lac.log(), step=0.02)
    began = time.monotonic()
    wait_for("the rules", 60, lambda: len(one.firewall.addresses()) ==
             sessions, step=0.02)
    return lac, time.monotonic() - began


def connections(net, own, count):
    """ms of one new connection to the portal, the median."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        assert connect(net, own, INET_ADDR, 80, 5) == PORTAL
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took)[count // 2]


def many(net, one, sessions, rate, tunnels, name):
    bad = one.carrier("bad", 10)
    one.firewall.wait(bad.addresses)
    few = connections(net, bad.addresses[0], 200)
    peek.forget_stall(one.lns.pid)
    _, late = come_beside(one, bad, sessions, rate, tunnels)
    stall = peek.longest_stall(one.lns.pid)
    lots = connections(net, bad.addresses[0], 200)
    counted = re.findall(r"garden\.\w+ +\d+",
                         Terminal(net.lns).run("show counters"))
    sim.quote(name, {
        "sessions": sessions, "rate": rate, "stall_ms": stall / 1e3,
        "rules_after_s": late, "connect_ms_of_10": few,
        "connect_ms_of_all": lots, "counters": counted})
    kill(one.lns)
    one.lns.start()
    one.firewall.wait([])
    assert one.foreign() == one.before
    return stall, late, few, lots


def come_beside(one, bad, sessions, rate, tunnels):
    real = one.firewall.addresses
    one.firewall.addresses = lambda: real() - set(bad.addresses)
    try:
        return come(one, sessions, rate, tunnels)
    finally:
        one.firewall.addresses = real


def test_five_hundred_come_at_once(net, garden):
    one = garden(debug=2)
    many(net, one, 500, 500, 10, "garden-short")


@pytest.mark.long
def test_ten_thousand_come_at_a_thousand_a_second(net, garden):
    one = garden(debug=2)
    stall, late, few, lots = many(net, one, 10000, 1000, 10, "garden-long")
    if not sanitized():
        assert stall < 10000
        assert late < 2
        assert lots < few * 1.5 + 0.2
