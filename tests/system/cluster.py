"""Servers of a cluster, the routers around them, and what can happen to them.

Six namespaces, named as net.Net's are:

	lac     the access carrier    10.97.1.1; tunnels from 10.98.0.0/16
	inet    the internet          10.97.2.1, and RADIUS there
	router  BIRD, with ECMP       10.97.1.254, 10.97.2.254, 10.97.3.254
	m1..m3  the members           10.97.3.1 to 10.97.3.3 on eth0

Every member has 10.97.9.1, the bind_address, on its loopback interface.
Which of them gets a packet to that address or to a subscriber is for the
router to say: what BGP told it, or (bgp=False) what route() did.

A member's link to the others can be cut, one way or both, without the router
noticing: only cluster packets are lost then (nft in the receiver).  Loss and
doubling are made the same way.  power_off() takes the whole interface.
"""

import json
import os
import re
import signal
import time

import daemon as daemon_module
import net
import sim
import telnet
from net import sh, wait_for

VIP = "10.97.9.1"
LAC_ADDR = "10.97.1.1"
INET_ADDR = "10.97.2.1"
ROUTER_ADDR = "10.97.3.254"
SOURCES = "10.98.0.0/16"
POOL = "10.50.0.0/16"
AS, ROUTER_AS = 64512, 64500
CLUSTER_PORT = 32792
SECRET = "of this cluster only"

# cluster_hb_interval and _timeout of every member here, in seconds.
INTERVAL, TIMEOUT = 0.5, 2.0


def address(n):
    """Of the nth member, from 1."""
    return "10.97.3.%d" % n


class ClusterNet(net.Net):
    """The namespaces and what joins them."""

    def __init__(self, members=3):
        self.count = members
        net.remove_stale()
        self.names = []
        try:
            self.lac = self.make("lac")
            self.inet = self.make("inet")
            self.router = self.make("router")
            self.members = {n: self.make("m%d" % n)
                            for n in range(1, members + 1)}
            self.join()
        except BaseException:
            self.remove()
            raise

    def make(self, word):
        return super().make("cluster_" + word)  # beside the other Net

    def pair(self, space, name, peer_name):
        """A wire between a namespace and the router."""
        sh("ip", "link", "add", name, "netns", space.name, "type", "veth",
           "peer", "name", peer_name, "netns", self.router.name)
        space.ip("link set %s up" % name)
        self.router.ip("link set %s up" % peer_name)

    def join(self):
        router = self.router
        router.ip("link add br0 type bridge mcast_snooping 0")
        router.ip("link set br0 up")
        for space, n, peer in (self.lac, 1, "lac0"), (self.inet, 2, "inet0"):
            self.pair(space, "eth0", peer)
            space.ip("addr add 10.97.%d.1/24 dev eth0" % n)
            router.ip("addr add 10.97.%d.254/24 dev %s" % (n, peer))
            space.ip("route add default via 10.97.%d.254" % n)
        router.ip("addr add %s/24 dev br0" % ROUTER_ADDR)
        self.lac.ip("route add local %s dev lo" % SOURCES)
        router.ip("route add %s via %s" % (SOURCES, LAC_ADDR))
        for n, space in self.members.items():
            self.pair(space, "eth0", "m%d" % n)
            router.ip("link set m%d master br0" % n)
            space.ip("addr add %s/24 dev eth0" % address(n))
            space.ip("addr add %s/32 dev lo" % VIP)
            space.ip("route add default via " + ROUTER_ADDR)
        for space in self.names:
            for key in ("ip_forward=1", "conf.all.rp_filter=0",
                        "conf.default.rp_filter=0",
                        "conf.all.send_redirects=0",
                        "conf.default.send_redirects=0"):
                space.sysctl("net.ipv4." + key.split("=")[0],
                             key.split("=")[1])
        # By ports too: as routers do it, and so that flows are spread.
        router.sysctl("net.ipv4.fib_multipath_hash_policy", 1)

    def route(self, members):
        """By hand: these members get what is for the VIP and the pool."""
        for prefix in VIP + "/32", POOL:
            if members:
                hops = []
                for n in members:
                    hops += ["nexthop", "via", address(n)]
                sh("ip", "-n", self.router.name, "route", "replace", prefix,
                   *hops)
            else:
                sh("ip", "-n", self.router.name, "route", "del", prefix,
                   check=False)


# -- the router

BIRD = """
router id %(router)s;
log stderr all;
protocol device { scan time 1; }
protocol kernel {
	ipv4 {
		import none;
		export where source = RTS_BGP;
	};
	merge paths on;
}
template bgp server_ {
	local %(router)s as %(router_as)d;
	ipv4 { import all; export none; };
	hold time 9;
	connect retry time 1;
	connect delay time 1;
	error wait time 1, 2;
}
"""


class Bird:
    """BIRD 2 in the router's namespace, a neighbour of every member."""

    def __init__(self, network, directory):
        self.space = network.router
        self.control = os.path.join(directory, "bird.ctl")
        conf = os.path.join(directory, "bird.conf")
        with open(conf, "w") as f:
            f.write(BIRD % {"router": ROUTER_ADDR, "router_as": ROUTER_AS})
            for n in network.members:
                f.write("protocol bgp m%d from server_ { neighbor %s as %d; "
                        "}\n" % (n, address(n), AS))
        self.process = self.space.start(
            ["bird", "-f", "-c", conf, "-s", self.control,
             "-P", os.path.join(directory, "bird.pid")],
            os.path.join(directory, "bird.log"))
        self.process.wait_log("Started", 10)

    def ask(self, command):
        return self.space.run("birdc", "-s", self.control, *command.split(),
                              check=False)

    def prefixes(self, n):
        """What the nth member has announced to it."""
        return set(re.findall(r"^(\d+\.\d+\.\d+\.\d+/\d+)\s",
                              self.ask("show route protocol m%d" % n), re.M))

    def table(self):
        """{prefix: next hops} of the kernel of the router."""
        routes = {}
        for route in json.loads(self.space.run("ip", "-j", "route")):
            if route.get("protocol") != "bird":
                continue
            hops = [hop["gateway"] for hop in route.get("nexthops", [])]
            if "gateway" in route:
                hops.append(route["gateway"])
            dst = route["dst"] + ("" if "/" in route["dst"] else "/32")
            routes[dst] = sorted(hops)
        return routes

    def stop(self):
        self.process.stop(5)


# -- the members

class Gone(RuntimeError):
    """It is not there to be asked."""


class Member(daemon_module.Daemon):
    """A server of the cluster."""

    def __init__(self, bed, n, directory, config):
        self.n = n
        self.address = address(n)
        self.line = None
        self.frozen = self.leaving = False
        keys = {
            "bind_address": VIP, "cluster_address": "239.192.13.13",
            "cluster_interface": "eth0", "cluster_secret": SECRET,
            "cluster_hb_interval": int(INTERVAL * 10),
            "cluster_hb_timeout": int(TIMEOUT * 10),
            "radius_secret": sim.SECRET, "primary_radius": INET_ADDR,
            "radius_accounting": True, "l2tp_sccrq_rate": 10000,
            "throttle_speed": 64, "debug": 3,
        }
        if bed.bgp:
            keys.update({"as_number": AS, "bgp_peer1": ROUTER_ADDR,
                         "bgp_peer1_as": ROUTER_AS})
        keys.update(config or {})
        super().__init__(bed.net.members[n], directory, config=keys,
                         ip_pool=bed.pool + "\n", lines=bed.lines,
                         files=bed.files, setuid=False, sandbox=False)

    # What happens to it.

    def gone(self):
        self.expected_exit = True
        self.frozen = self.leaving = False
        if self.line is not None:
            self.line.close()
            self.line = None

    def kill(self):
        """kill -9."""
        self.process.send(signal.SIGKILL)
        self.process.wait(10)
        self.gone()

    def leave(self):
        """SIGTERM, and left() is its exit status."""
        self.process.send(signal.SIGTERM)
        self.leaving = True

    def left(self, seconds=30):
        status = self.process.wait(seconds)
        self.gone()
        return status

    def again(self):
        """A new process after kill() or left()."""
        self.process.out.close()
        self.expected_exit = False
        self.start()

    def freeze(self):
        self.process.send(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        self.process.send(signal.SIGCONT)
        self.frozen = False

    def is_up(self):
        return (self.process is not None and self.process.alive() and
                not self.frozen and not self.leaving)

    # What it says.

    def cli(self, line, seconds=15):
        """What a command prints, in lines."""
        if not self.is_up():
            raise Gone("member %d" % self.n)
        try:
            if self.line is None:
                self.line = telnet.Line(self.space)
                self.line.prompt()
            return self.line.run(line, seconds)
        except (OSError, TimeoutError) as error:
            self.line = None
            raise Gone("member %d: %s" % (self.n, error)) from None

    def status(self):
        """`show cluster json`, {} when it does not answer."""
        try:
            return json.loads("".join(self.cli("show cluster json")))[0]
        except (Gone, ValueError, IndexError):
            return {}

    def is_master(self):
        return self.status().get("status") == "Master"

    def is_up_to_date(self):
        now = self.status()
        return now.get("status") == "Slave" and bool(now.get("up_to_date"))

    def count(self, what):
        """show X json, as a list."""
        return json.loads("".join(self.cli("show %s json" % what)))

    def finish(self):
        if self.line is not None:
            self.line.close()
            self.line = None
        if self.frozen:
            self.thaw()
        if self.leaving:
            assert self.left() == 0, "exit status:\n" + self.log()[-2000:]
        if self.expected_exit:
            assert not self.complaints(), self.complaints()
            self.process.stop(1)
            self.process = None
        super().finish()


class Bed:
    """The whole scene.  Everything that is made here ends with close()."""

    def __init__(self, directory, members=3, bgp=True, pool=POOL,
                 radius=None, config=None, lines=(), files=None):
        self.directory = directory
        self.lines, self.files = lines, files
        self.bgp = bgp
        self.pool = pool
        self.config = config
        self.made = []
        self.member = {}
        self.cuts = set()
        self.loss = {}
        self.lacs = []
        self.net = ClusterNet(members)
        try:
            self.radius = self.keep(sim.RadResp(
                self.net.inet, directory, INET_ADDR, **(radius or {})))
            self.reflect = self.keep(sim.Tool(
                self.net.inet, directory, "reflect",
                [sim.program("lacsim"), "--reflect", "7000"]))
            self.bird = Bird(self.net, directory) if bgp else None
        except BaseException:
            self.close()
            raise

    def keep(self, one):
        self.made.append(one)
        return one

    def close(self):
        """Members first, so that RADIUS hears the end; then all else."""
        faults = []
        for lac in self.lacs:
            lac.kill()
        for one in self.up():
            one.leave()
            time.sleep(0.1)
            one.leave()         # do not wait for routers
        for one in self.member.values():
            try:
                one.finish()
            except AssertionError as fault:
                faults.append("member %d: %s" % (one.n, fault))
        for one in self.made:
            one.kill()
        if getattr(self, "bird", None) is not None:
            self.bird.stop()
        self.net.remove()
        assert not faults, "\n".join(faults)

    # -- members

    def start(self, *numbers, **config):
        """Starts members, one after the other."""
        for n in numbers:
            if n in self.member:
                self.member[n].again()
            else:
                self.member[n] = Member(
                    self, n, os.path.join(self.directory, "m%d" % n),
                    {**(self.config or {}), **config})

    def up(self):
        return [m for m in self.member.values() if m.is_up()]

    def masters(self):
        return [m for m in self.up() if m.is_master()]

    def wait_master(self, seconds, among=None, step=0.05):
        """The one master, when there is exactly one."""
        def one():
            found = self.masters()
            if among is not None:
                found = [m for m in found if m.n in among]
            return found[0] if len(found) == 1 else None
        return wait_for(self.told("one master"), seconds, one, step)

    def wait_whole(self, seconds):
        """One master, and everybody else up to date."""
        def whole():
            up = self.up()
            masters = [m for m in up if m.is_master()]
            if len(masters) == 1 and all(
                    m is masters[0] or m.is_up_to_date() for m in up):
                return masters[0]
            return None
        return wait_for(self.told("a whole cluster"), seconds, whole)

    def told(self, what):
        """For wait_for(): what, and how it is."""
        def text():
            return what + ":\n" + "\n".join(
                "%d: %r" % (m.n, m.status()) for m in self.up())
        return text

    def slaves(self):
        return [m for m in self.up() if not m.is_master()]

    # -- wires

    def impair(self, n):
        """Brings the rules of a member's namespace to what is wanted."""
        space = self.net.members[n]
        drops = ["ip saddr %s udp dport %d drop" % (address(a), CLUSTER_PORT)
                 for a, b in self.cuts if b == n]
        loss, double = self.loss.get(n, (0, 0))
        if loss:
            drops.append("udp dport %d numgen random mod 1000 < %d drop" % (
                CLUSTER_PORT, loss * 10))
        rules = "".join("table %s bed {\n}\ndelete table %s bed\n" % (f, f)
                        for f in ("ip", "netdev"))
        if drops:
            rules += ("table ip bed {\n chain in {\n  type filter hook input "
                      "priority 0\n  %s\n }\n}\n" % "\n  ".join(drops))
        if double:
            rules += ("table netdev bed {\n chain out {\n  type filter hook "
                      "egress device \"eth0\" priority 0\n  udp dport %d "
                      "numgen random mod 1000 < %d dup to \"eth0\"\n }\n}\n"
                      % (CLUSTER_PORT, double * 10))
        space.run("nft", "-f", "-", stdin=rules)

    def cut(self, *pairs):
        """From now on these, and no others: b hears nothing of a."""
        before, self.cuts = self.cuts, set(pairs)
        for n in {b for _, b in before ^ self.cuts}:
            self.impair(n)

    def part(self, *groups):
        """Members of different groups do not hear each other; () heals."""
        self.cut(*[(a, b) for one in groups for a in one
                   for other in groups if other is not one for b in other])

    def spoil(self, loss, double):
        """Per cent of all cluster packets; 0, 0 ends it."""
        for n in self.net.members:
            self.loss[n] = (loss, double)
            self.impair(n)

    def power_off(self, n):
        """No FIN, no goodbye: its link goes down, then it is no more."""
        self.net.router.ip("link set m%d down" % n)
        self.member[n].kill()

    def link(self, n, up=True):
        self.net.router.ip("link set m%d %s" % (n, "up" if up else "down"))

    # -- subscribers

    def lac(self, name="lac", **options):
        """A lacsim.  Its tunnels' sources differ, so the router spreads
        them."""
        options.setdefault("lns", VIP)
        options.setdefault("source", "10.98.%d.0/24" % len(self.lacs))
        options.setdefault("source_port", 1701 + len(self.lacs))
        options.setdefault("auth", "chap")
        options.setdefault("user", name + "-%d")
        one = sim.LacSim(self.net.lac, self.directory, name, **options)
        self.lacs.append(one)
        return one

    def books(self, stops, seconds=20):
        """The ledger, when it has so many Stops."""
        def closed():
            book = self.radius.summary()
            return book if book["accounting"]["stops"] >= stops else None
        return wait_for("%d Stops" % stops, seconds, closed, 0.5)


def assert_exact(book, sessions):
    """One Start and one Stop for each, and nothing to blame."""
    accounting = book["accounting"]
    assert (accounting["starts"], accounting["stops"]) == (
        sessions, sessions), accounting
    assert not any(book["faults"].values()), book["faults"]


def ping(bed, source, seconds, size=56):
    """How long until something came back from the internet, in seconds."""
    begin = time.monotonic()

    def answered():
        return "1 received" in bed.net.lac.run(
            "ping", "-c1", "-W1", "-s", str(size), "-I", source, INET_ADDR,
            check=False)
    wait_for("an answer to " + source, seconds, answered, 0.05)
    return time.monotonic() - begin
