"""What routers know of a cluster, phase by phase, and where its garden is.

BIRD, which routes, and FRR, which only looks on, have to have exactly the
right prefixes of every member.  One bed serves the whole file, and its tests
follow each other: a subscriber with an address and a network of his own, and
one in the walled garden are online all the time.
"""

import json
import os
import socket
import threading

import pytest

import cluster
import daemon as daemon_module
import plugdir
from bird import Frr
from cluster import INET_ADDR, ROUTER_ADDR, TIMEOUT, VIP
from net import wait_for

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="it has a protocol of its own")

FRR_AS = 65001
PORTAL = "10.97.2.9"
ELSEWHERE = "198.51.100.7"      # where the gardened subscriber wants to go
GARDEN = """
iptables -t nat -A garden -p tcp --dport 80 -j DNAT --to %s
iptables -t nat -A garden -j DROP
""" % PORTAL

ALL = {VIP + "/32", cluster.POOL}
OWN = {"10.60.0.1/32", "10.61.0.0/24"}
NEW_POOL = "10.52.0.0/16"


class Story:
    """The bed, a portal, and the two subscribers."""

    def __init__(self, directory, plugin_dir):
        self.directory = directory
        self.frr = self.portal = None
        accept = os.path.join(directory, "accept")
        with open(accept, "w") as f:
            f.write("own-0 Framed-IP-Address=10.60.0.1 "
                    "Framed-Route=10.61.0.0/24\n")
        self.bed = cluster.Bed(
            directory, config={"plugin_dir": plugin_dir,
                               "bgp_peer2": INET_ADDR,
                               "bgp_peer2_as": FRR_AS},
            radius={"accept_file": accept, "any": True, "reject": "^poor"},
            lines=["load plugin garden"], files={"build-garden": GARDEN})

    def begin(self):
        inet = self.bed.net.inet
        if os.path.exists(Frr.BGPD):
            self.frr = Frr(inet, os.path.join(self.directory, "frr"),
                           INET_ADDR, [cluster.address(n) for n in (1, 2, 3)],
                           FRR_AS, cluster.AS,
                           options=("ebgp-multihop 8", "timers 3 9",
                                    "timers connect 1"))
        inet.ip("addr add %s/32 dev lo" % PORTAL)
        self.bed.net.router.ip("route add %s via %s" % (PORTAL, INET_ADDR))
        self.portal = inet.socket(kind=socket.SOCK_STREAM)
        self.portal.bind((PORTAL, 80))
        self.portal.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                peer, who = self.portal.accept()
                with peer:
                    peer.sendall(who[0].encode())
        except OSError:
            pass

    def call(self, name):
        """One subscriber with a TUN device; his address."""
        path = os.path.join(self.directory, name)
        space = self.bed.net.lac
        lac = self.bed.lac(name, sessions=1, until_up=True, addresses=path,
                           tun=name, tun_bare=True)
        wait_for("%s to be up" % name, 20, lambda: "all up" in lac.log())
        with open(path) as f:
            address = f.read().split()[0]
        table = str(100 + len(self.bed.lacs))
        space.ip("addr add %s/32 dev %s" % (address, name))
        space.ip("route add default dev %s table %s" % (name, table))
        space.ip("rule add from %s lookup %s pref 1000" % (address, table))
        return address

    def portal_answers(self, seconds=0.3):
        """Does the portal, and to the subscriber's own address?"""
        with self.bed.net.lac.socket(kind=socket.SOCK_STREAM) as one:
            one.settimeout(seconds)
            one.bind((self.poor, 0))
            try:
                one.connect((ELSEWHERE, 80))
                return one.recv(100).decode() == self.poor
            except OSError:
                return False

    def close(self):
        if self.portal is not None:
            self.portal.shutdown(socket.SHUT_RDWR)
            self.portal.close()
        if self.frr is not None:
            self.frr.stop()
        self.bed.close()

    # What is known of the members.

    def tables(self):
        """{n: prefixes} of each router."""
        bed, both = self.bed, []
        both.append({n: bed.bird.prefixes(n) for n in bed.member})
        if self.frr is not None:
            both.append({n: self.frr.prefixes(cluster.address(n))
                         for n in bed.member})
        return both

    def expect(self, wanted, seconds=10):
        """Exactly these of each member, and nothing of the others."""
        wanted = {n: wanted.get(n, set()) for n in self.bed.member}
        wait_for(lambda: "%r, not %r" % (wanted, self.tables()), seconds,
                 lambda: all(one == wanted for one in self.tables()))

    def firewalls(self):
        """The members in whose kernels there is anything of the garden."""
        return {m.n for m in self.bed.member.values() if
                "garden" in m.space.run("iptables", "-t", "nat", "-S") +
                m.space.run("ipset", "list", "-n")}

    def expect_all(self, seconds=10, more=frozenset()):
        """Of a whole cluster with both subscribers; the master."""
        master = self.bed.wait_whole(seconds)
        self.expect({m.n: self.garden if m is master else
                     ALL | OWN | set(more) for m in self.bed.up()}, seconds)
        wait_for(lambda: "one firewall, not %r" % self.firewalls(), 5,
                 lambda: self.firewalls() == {master.n})
        return master


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with plugdir.made() as plugin_dir:
        one = Story(str(tmp_path_factory.mktemp("routes")), plugin_dir)
        try:
            one.begin()
            yield one
        finally:
            one.close()


def test_alone(story):
    """A master without slaves takes everything itself."""
    story.bed.start(1)
    story.bed.wait_master(10)
    story.expect({1: ALL})
    assert story.call("own") == "10.60.0.1"
    story.poor = story.call("poor")
    story.garden = {story.poor + "/32"}
    story.expect({1: ALL | OWN | story.garden})
    assert story.portal_answers(5)


def test_slaves(story):
    """Then only what nobody else can carry."""
    for n in 2, 3:
        story.bed.start(n)
        assert story.expect_all().n == 1
    # By way of a slave, whom the router sends what is for the VIP.
    assert story.portal_answers(5)


def test_behind(story):
    """Who has no copy announces nothing, nor makes itself master."""
    bed = story.bed
    bed.member[3].kill()
    bed.cut((1, 3))
    bed.start(3)
    bed.member[3].wait_log("10.97.3.1 is not heard here, but by 10.97.3.2",
                           TIMEOUT + 3, len(bed.member[3].log()) // 2)
    assert not bed.member[3].is_master()
    story.expect({1: story.garden, 2: ALL | OWN}, 5)
    bed.cut()
    assert story.expect_all().n == 1


def test_suspend(story):
    """One member takes no more packets, for a while."""
    one = story.bed.member[3]
    one.cli("enable")
    assert one.cli("suspend bgp") == [
        "Suspending peer " + ROUTER_ADDR, "Suspending peer " + INET_ADDR]
    story.expect({1: story.garden, 2: ALL | OWN})
    one.cli("no suspend bgp")
    story.expect_all()
    one.cli("restart bgp")
    story.expect_all()


def test_pool(story):
    for m in story.bed.up():
        m.write("ip_pool", "%s\n%s\n" % (cluster.POOL, NEW_POOL))
        m.reload()
    story.expect_all(more={NEW_POOL})
    for m in story.bed.up():
        m.write("ip_pool", cluster.POOL + "\n")
        m.reload()
    story.expect_all()


def test_demoted_master(story):
    """Frozen, deposed, and back: nothing of the garden is left there."""
    bed = story.bed
    bed.member[1].freeze()
    new = bed.wait_master(TIMEOUT + 3)
    wait_for("the garden at member %d" % new.n, 5,
             lambda: story.garden <= bed.bird.prefixes(new.n))
    bed.member[1].thaw()
    assert story.expect_all() is new
    assert story.portal_answers(5)


def test_deaths(story):
    """Of a slave, of the master, and of all but one: what they left in their
    kernels is no slave's to have."""
    bed = story.bed
    bed.slaves()[0].kill()
    master = story.expect_all()
    master.kill()
    last = bed.wait_master(TIMEOUT + 3)
    story.expect({last.n: ALL | OWN | story.garden}, 5)
    wait_for("the portal", 5, story.portal_answers)
    for n in bed.member:
        if n != last.n:
            bed.start(n)
    assert story.expect_all() is last


def test_out(story):
    """Out of the garden, and then offline: the routes go with them."""
    bed = story.bed
    master, = bed.masters()
    said = master.space.run(plugdir.OURS, "ungarden", "poor-0")
    assert "out of the walled garden" in said, said
    story.expect({m.n: ALL | OWN for m in bed.slaves()})
    assert not story.portal_answers()
    for lac in bed.lacs:
        lac.end()
    story.expect({m.n: ALL for m in bed.slaves()})


def test_leaving(story):
    """The master is gone at once, a slave 5 s after its routes."""
    bed = story.bed
    master, = bed.masters()
    master.leave()
    assert master.left() == 0
    new = bed.wait_whole(5)
    story.expect({m.n: ALL for m in bed.slaves()})
    slave, = bed.slaves()
    slave.leave()
    story.expect({new.n: ALL}, 4)
    assert slave.process.alive()
    assert slave.left() == 0
