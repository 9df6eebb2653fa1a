"""The world of the bench: three servers with their networks, and carriers.

Each server has three network namespaces of its own, alike: the carrier, the
server, the internet (tests/system/net.py).  The server has processor 0 to
itself, everything else runs on processor 1.

The relay has no L2TP: our own daemon brings the sessions up, is killed, and
the relay takes its place while the carrier goes on sending.
"""

import os
import shutil
import signal
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))

import net
import sim

SERVER_CPU, OTHER_CPU = 0, 1
SINK_PORT = 7002
CONTROL_OCTETS = 110    # at most, of an IP packet with L2TP that is no blast
L2TP_PORT = 1701
DEBIAN = "/usr/sbin/l2tpns"
L2TPNS = os.environ.get("L2TPNS", os.path.join(TOP, "build", "l2tpns"))
BUILD = os.path.dirname(L2TPNS)     # its plugins are there, and nsctl

COMMON = """set debug 0
set primary_radius %s
set radius_secret "%s"
set radius_authtypes "chap,pap"
set peer_address %s
set primary_dns 10.99.2.53
set tundevicename "tun0"
set cli_bind_address 127.0.0.1
set allow_duplicate_users yes
set send_garp no
""" % (net.INET_ADDR, sim.SECRET, net.PEER_ADDR)


# -- the servers

class Server:
    """One server with its namespaces; started once for each set of runs."""

    name = None
    config = COMMON
    outstanding = 256           # set-ups at once that suit it best

    def __init__(self, directory, options):
        self.directory = os.path.join(directory, self.name)
        self.options = options
        self.process = None
        self.overhead = None    # L2TP and PPP octets of a packet down
        self.rss_empty = 0      # before the first session ever
        os.makedirs(self.directory)
        net.PREFIX = "be-%s-" % self.name
        self.net = net.Net()
        sim.add_sources(self.net)
        for device in ("lac0", "inet0"):
            self.net.lns.run("ethtool", "-K", device, "gro", "on")
        with open(os.path.join(self.directory, "startup-config"), "w") as f:
            f.write(self.config)
        with open(os.path.join(self.directory, "ip_pool"), "w") as f:
            f.write(net.SUBSCRIBERS + "\n")
        self.radius = sim.RadResp(self.net.inet, self.directory, delay=2)

    def radius_delay(self, ms):
        """A new RADIUS server, as slow as that."""
        self.radius.kill()
        self.radius = sim.RadResp(self.net.inet, self.directory, delay=ms)

    def poll_in_batches(self, on):
        """Let the carrier's packets wait for one another at the server.

        A network card at load gives its driver many packets at a time.  A
        virtual Ethernet gives each packet as it is sent, unless its queue is
        polled by a thread (and the sender has no TSO, or it is not polled at
        all).  The thread is with the generator, and takes its turn when that
        yields; a batch is up to 64 packets, as with real cards.
        """
        self.net.lac.run("ethtool", "-K", "lns0", "tso",
                         "off" if on else "on")
        self.net.lns.run("sh", "-c", "echo %d > "
                         "/sys/class/net/lac0/threaded" % on)
        if on:
            pid = net.wait_for("the NAPI thread", 5, self.napi_thread)
            os.sched_setaffinity(pid, {OTHER_CPU})
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))

    @staticmethod
    def napi_thread():
        """The newest of lac0: those of other namespaces have the name too."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/comm" % pid) as f:
                    if f.read().startswith("napi/lac0"):
                        found.append(int(pid))
            except OSError:
                continue
        return max(found, default=0)

    def drop_at_far_ends(self, drop):
        """Let the blasts end as they enter the carrier and the internet."""
        for space, device, what in (
                (self.net.inet, "lns0", "udp dport %d" % SINK_PORT),
                (self.net.lac, "lns0", "udp sport %d ip length > %d" % (
                    L2TP_PORT, CONTROL_OCTETS))):
            space.run("nft", "delete", "table", "netdev", "bench",
                      check=False)
            if drop:
                space.run("nft", "-f", "-", stdin="""
table netdev bench {
	chain far_end {
		type filter hook ingress device %s priority 0;
		ip protocol udp %s drop
	}
}
""" % (device, what))

    def argv(self):
        raise NotImplementedError

    def launch(self, argv):
        process = self.net.lns.start(
            ["taskset", "-c", str(SERVER_CPU)] + argv,
            os.path.join(self.directory, "server.log"))
        net.wait_for("%s to listen:\n%s" % (self.name, process.log()), 30,
                     lambda: self.net.lns.udp_bound(L2TP_PORT) and
                     process.alive())
        return process

    def start(self):
        self.process = self.launch(self.argv())
        self.rss_empty = sim.rss(self.pid())

    def restart(self):
        """A server slows down with what it remembers of earlier rounds."""
        self.stop()
        self.start()

    def prepare_traffic(self):
        """The sessions are up, traffic is about to be measured."""

    def after_traffic(self):
        """The carrier is gone."""

    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process:
            self.process.stop(5)
            self.process = None

    def remove(self):
        self.stop()
        self.radius.kill()
        self.net.remove()


class Ours(Server):
    name = "ours"
    config = COMMON + """set l2tp_sccrq_rate 100000
set radius_accounting yes
set echo_timeout 10
"""

    def argv(self):
        return [L2TPNS, "-c",
            os.path.join(self.directory, "startup-config")]


class Hooked(Ours):
    """A plugin looks at packets, or did before."""

    name = "hooked"
    config = Ours.config + """set plugin_dir "%s"
"""

    def __init__(self, directory, options):
        # The server takes plugins only from where nobody else can write.
        self.plugins = tempfile.mkdtemp(prefix="l2tpns-bench-", dir="/run")
        os.chmod(self.plugins, 0o755)
        shutil.copy(os.path.join(BUILD, "plugins", "glance.so"), self.plugins)
        self.config = self.config % self.plugins
        Ours.__init__(self, directory, options)

    def load(self, on):
        self.net.lns.run(os.path.join(BUILD, "nsctl"),
                         "load_plugin" if on else "unload_plugin", "glance")

    def remove(self):
        Ours.remove(self)
        shutil.rmtree(self.plugins)


class Debian(Server):
    """It reads ip_pool in /etc/l2tpns only: ours is bound over that."""

    name = "debian"
    outstanding = 16
    config = COMMON + """set radius_accounting yes
set echo_timeout 10
set cluster_interface "lo"
set cluster_hb_timeout 20
set pid_file "/nonexistent/l2tpns.pid"
"""

    def argv(self):
        return ["unshare", "-m", "sh", "-c",
                'mount --bind "$0" /etc/l2tpns && exec "$@"', self.directory,
                DEBIAN, "-c", os.path.join(self.directory, "startup-config")]

    def start(self):
        Server.start(self)
        # It takes no call before its cluster has elected a master.
        for _ in range(10):
            time.sleep(2)
            one = Carrier(self, "ready", sessions=1, hold=0, retries=2)
            if one.tool.result(60)["sessions"]["established"] == 1:
                return
        raise RuntimeError("Debian's l2tpns takes no calls:\n" +
                           self.process.log()[-2000:])


class Relay(Ours):
    name = "relay"

    def prepare_traffic(self):
        self.process.stop(1, signal.SIGKILL)
        self.process = self.net.lns.start(
            ["taskset", "-c", str(SERVER_CPU), sim.program("relay"), "tun0",
             str(L2TP_PORT)], os.path.join(self.directory, "relay.log"))
        net.wait_for("the relay's device", 10, lambda: "tun0" in
                     self.net.lns.run("ip", "-o", "link"))
        self.net.lns.ip("addr add 10.50.255.254/32 dev tun0")
        self.net.lns.ip("link set tun0 up")
        self.net.lns.ip("route add %s dev tun0" % net.SUBSCRIBERS)

    def after_traffic(self):
        self.process.stop(1, signal.SIGKILL)
        self.start()


# -- carriers, and the internet

class Carrier:
    """One run of lacsim against a server."""

    serial = 0

    def __init__(self, server, name, **options):
        Carrier.serial += 1
        options.setdefault("source", sim.SOURCES)
        options.setdefault("auth", "chap")
        options.setdefault("stop", "stopccn")
        self.directory = os.path.join(server.directory,
                                      "%d-%s" % (Carrier.serial, name))
        self.addresses = os.path.join(self.directory, "addresses")
        options["addresses"] = self.addresses
        self.tool = sim.LacSim(server.net.lac, self.directory, **options)

    def wait_up(self, sessions):
        """Until they are up; RuntimeError when more than 1 in 1000 fail."""
        now = self.tool.wait_hold(60 + sessions / 20)
        if now["up"] < sessions * 0.999:
            raise RuntimeError("only %d of %d sessions are up:\n%s" % (
                now["up"], sessions, self.tool.log()[-2000:]))


def other(server, name, *argv):
    """A lacsim of the internet's side."""
    Carrier.serial += 1
    return sim.Tool(
        server.net.inet, os.path.join(server.directory, "%d-%s" % (
            Carrier.serial, name)), name,
        [sim.program("lacsim")] + [str(a) for a in argv])


