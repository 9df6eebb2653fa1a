"""Measure the daemon beside Debian's l2tpns 2.4.1 and a bare relay.

Each of the three has three network namespaces of its own, alike: the
carrier, the server, the internet (tests/system/net.py).  The server has
processor 0 to itself, everything else runs on processor 1.  In each round
every server is measured once, in turn, so that whatever disturbs the machine
disturbs all of them; results are ratios within a round, and their median and
range over the rounds.

A packet is counted when the server's virtual Ethernet device sends it; the
segments of a super-packet are counted each, by its octets.  What is given is
packets per second of processor time that the server's process used, by
/proc/PID/schedstat.  The kernel works for the server in the process's time
(writing to TUN takes a packet through routing and the virtual Ethernet), so
that is in it; receiving from the carrier's side happens in the generator's.

Behind the server nothing is received: packets are dropped as they enter the
far ends, so that processor 1 is the generator's and the server is not billed
for the far ends' sockets.  With --receivers they are received and counted.

The relay has no L2TP: our own daemon brings the sessions up, is killed, and
the relay takes its place while the carrier goes on sending.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))

import net
import sim

SERVER_CPU, OTHER_CPU = 0, 1
SINK_PORT = 7002
CONTROL_OCTETS = 110    # at most, of an IP packet with L2TP that is no blast
OUTSTANDING = (4, 16, 64, 256)
L2TP_PORT = 1701
OUTER = 14 + 20 + 8     # Ethernet, IP and UDP of each packet of a device
INNER = 14 + 20 + 8
DOCUMENT = os.path.join(TOP, "Docs", "PERFORMANCE.md")
RESULTS = os.path.join(TOP, "build", "bench", "results")
DEBIAN = "/usr/sbin/l2tpns"

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


def say(text):
    print(text, flush=True)


# -- the servers

class Server:
    """One server with its namespaces; started once for each set of runs."""

    name = None
    config = COMMON

    def __init__(self, directory, options):
        self.directory = os.path.join(directory, self.name)
        self.options = options
        self.process = None
        self.overhead = None    # L2TP and PPP octets of a packet down
        self.outstanding = 4    # set-ups at once that suit it best
        self.tried = {}
        self.rss_empty = 0      # before the first session ever
        os.makedirs(self.directory)
        net.PREFIX = "be-%s-" % self.name
        self.net = net.Net()
        sim.add_sources(self.net)
        for device in ("lac0", "inet0"):
            self.net.lns.run("ethtool", "-K", device, "gro",
                             "off" if options.no_gro else "on", check=False)
        with open(os.path.join(self.directory, "startup-config"), "w") as f:
            f.write(self.config)
        with open(os.path.join(self.directory, "ip_pool"), "w") as f:
            f.write(net.SUBSCRIBERS + "\n")
        self.radius = sim.RadResp(self.net.inet, self.directory, delay=2)

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
    config = COMMON + "set l2tp_sccrq_rate 100000\n"

    def argv(self):
        return [os.environ.get("L2TPNS", os.path.join(
            TOP, "build", "l2tpns")), "-c",
            os.path.join(self.directory, "startup-config")]


class Debian(Server):
    """It reads ip_pool in /etc/l2tpns only: ours is bound over that."""

    name = "debian"
    config = COMMON + """set cluster_interface "lo"
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


# -- what is measured

class Sample:
    """Counters at one moment."""

    def __init__(self, server, device):
        out = server.net.lns.run(
            "cat", "/proc/%d/schedstat" % server.pid(),
            "/sys/class/net/%s/statistics/tx_packets" % device,
            "/sys/class/net/%s/statistics/tx_bytes" % device)
        words = out.split()
        self.time = time.monotonic()
        self.cpu = int(words[0]) / 1e9
        self.packets, self.octets = int(words[3]), int(words[4])
        self.softirq = softirq_seconds()


def softirq_seconds():
    """Of the server's processor, as far as the kernel tells it apart."""
    with open("/proc/stat") as f:
        for line in f:
            words = line.split()
            if words[0] == "cpu%d" % SERVER_CPU:
                return int(words[7]) / os.sysconf("SC_CLK_TCK")
    return 0.0


def measure(server, device, per_packet, octets, seconds):
    """Packets per processor second of the server over a window.

    octets: of each packet behind the headers that a super-packet has once,
    which are per_packet octets long.
    """
    a = Sample(server, device)
    time.sleep(seconds)
    b = Sample(server, device)
    devices = b.packets - a.packets
    packets = round((b.octets - a.octets - devices * per_packet) / octets)
    cpu, wall = b.cpu - a.cpu, b.time - a.time
    return {"packets": packets, "sends": devices, "cpu": cpu, "wall": wall,
            "softirq": b.softirq - a.softirq,
            "busy": cpu / wall, "pps": packets / wall,
            "per_cpu_second": packets / cpu if cpu > 0 else 0}


def calibrate(server, carrier):
    """L2TP and PPP octets of a packet down, from a trickle of single ones."""
    a = Sample(server, "lac0")
    other(server, "trickle", "--blast-from", carrier.addresses, "--size", 200,
          "--pps", 100, "--seconds", 0.5).result(10)
    time.sleep(0.1)
    b = Sample(server, "lac0")
    count = b.packets - a.packets
    if count < 20:
        raise RuntimeError("%s sends nothing down" % server.name)
    server.overhead = round((b.octets - a.octets) / count - 200 - OUTER)


def kind_of(way, size, burst):
    """The name of a figure."""
    return "%s %d%s" % (way, size, " x%d" % burst if burst > 1 else "")


def measure_down(server, carrier, size, burst, options):
    blast = other(server, "blast", "--blast-from", carrier.addresses,
                  "--size", size, "--seconds", options.seconds + 2,
                  "--gso", burst)
    time.sleep(0.7)
    figures = measure(server, "lac0", OUTER, size + server.overhead,
                      options.seconds)
    figures["offered_pps"] = blast.result(30)["pps"]
    return figures


def traffic(server, sessions, size, burst, options):
    """{"up 128": {...}, "down 128": {...}} of one server, once."""
    found = {}
    sink = None
    if options.receivers:
        sink = other(server, "sink", "--sink", SINK_PORT)
    carrier = Carrier(
        server, "traffic", sessions=sessions, tunnels=tunnels_for(sessions),
        rate=5000, max_outstanding=server.outstanding, hold=36000,
        hello=0, setup_timeout=30, size=size, gso=burst, blast="both",
        blast_to="%s:%d" % (net.INET_ADDR, SINK_PORT),
        seconds=options.seconds + 1.5)
    try:
        carrier.wait_up(sessions)
        server.prepare_traffic()
        server.drop_at_far_ends(not options.receivers)
        time.sleep(0.2)
        found[kind_of("up", size, burst)] = measure(
            server, "inet0", INNER, size - 28, options.seconds)
        # The blast began with the hold; wait for its end.
        time.sleep(1.5)
        if sink:
            found[kind_of("sink", size, burst)] = sink.end()
        if server.overhead is None:
            calibrate(server, carrier)
        found[kind_of("down", size, burst)] = measure_down(
            server, carrier, size, burst, options)
        server.drop_at_far_ends(False)
        if not isinstance(server, Relay):
            end = carrier.tool.end(120)
            found[kind_of("carrier", size, burst)] = {
                k: end[k] for k in ("sessions", "data", "blast_up",
                                    "blast_down")}
    finally:
        if sink:
            sink.kill()
        carrier.tool.kill()
    server.after_traffic()
    return found


def tunnels_for(sessions):
    """Enough of them: a LAC may have few set-ups in flight in each."""
    return max(10, min(60, sessions // 1000))


def setup(server, sessions, outstanding):
    """Set-up rate, its cost, and memory; once, from nothing to sessions."""
    before = sim.cpu_seconds(server.pid())
    carrier = Carrier(
        server, "setup", sessions=sessions, tunnels=10,
        rate=20000, max_outstanding=outstanding, hold=36000,
        setup_timeout=30)
    try:
        carrier.wait_up(sessions)
        after = sim.rss(server.pid()), sim.cpu_seconds(server.pid())
        end = carrier.tool.end(120)
    finally:
        carrier.tool.kill()
    return {"sessions": sessions, "outstanding": outstanding,
            "rate": end["setup"]["rate"],
            "time_ms": end["setup"]["time_ms"],
            "retransmitted": end["control"]["retransmitted"],
            "cpu_ms": (after[1] - before) / sessions * 1e3,
            "rss_empty": server.rss_empty, "rss_full": after[0]}


def try_outstanding(server):
    """How many set-ups at once suit a server best: too many harm some."""
    for n in OUTSTANDING:
        server.tried[n] = setup(server, 500, n)["rate"]
    server.outstanding = max(server.tried, key=server.tried.get)
    say("%s: %s" % (server.name, ", ".join(
        "%d at once %.0f/s" % pair for pair in server.tried.items())))


# -- the run

def one_round(servers, sessions, options):
    found = {}
    for server in servers:
        mine = found[server.name] = {}
        # A server slows down with what it remembers of earlier rounds.
        server.stop()
        server.start()
        if not isinstance(server, Relay):
            mine["setup"] = setup(server, options.setup_sessions,
                                  server.outstanding)
            mine["setup"]["tried"] = server.tried
        for size in options.sizes:
            for burst in options.bursts:
                mine.update(traffic(server, sessions, size, burst, options))
        say("  %-7s %s" % (server.name, "  ".join(
            "%s %.0f k/CPU-s (busy %.0f %%)" % (
                key, value["per_cpu_second"] / 1e3, 100 * value["busy"])
            for key, value in mine.items() if "per_cpu_second" in value)))
        if "setup" in mine:
            say("          set-up %.0f/s, %.3f CPU-ms each" % (
                mine["setup"]["rate"], mine["setup"]["cpu_ms"]))
    return found


def run_sessions(directory, sessions, options):
    """All rounds with this many sessions; [{server: figures}, ...]."""
    servers, rounds = [], []
    directory = os.path.join(directory, str(sessions))
    try:
        for kind in (Ours, Debian, Relay):
            servers.append(kind(directory, options))
            servers[-1].start()
            if kind is not Relay:
                try_outstanding(servers[-1])
            else:
                servers[-1].outstanding = servers[0].outstanding
        for n in range(options.rounds):
            say("%d sessions, round %d of %d" % (sessions, n + 1,
                                                 options.rounds))
            rounds.append(one_round(servers, sessions, options))
    finally:
        for server in servers:
            server.remove()
    return rounds


# -- what is told

def spread(values, digits):
    """median (lowest to highest)"""
    form = "%%.%df" % digits
    return (form + " (" + form + " to " + form + ")") % (
        statistics.median(values), min(values), max(values))


def ratio(ours, theirs):
    return spread([a / b for a, b in zip(ours, theirs)], 2)


def kilo(values):
    return "%.0f k" % (statistics.median(values) / 1e3)


def traffic_table(runs, options):
    lines = ["| sessions | way, octets | ours, packets per CPU-s | "
             "ours / Debian 2.4.1 | ours / relay |",
             "|---|---|---|---|---|"]
    for sessions, rounds in runs.items():
        for key in [kind_of(way, size, burst) for burst in options.bursts
                    for way in ("up", "down") for size in options.sizes]:
            ours, debian, relay = (
                [r[name][key]["per_cpu_second"] for r in rounds]
                for name in ("ours", "debian", "relay"))
            lines.append("| %s | %s | %s | %s | %s |" % (
                sessions, key, kilo(ours), ratio(ours, debian),
                ratio(ours, relay)))
    return lines


def setup_table(runs):
    rows = [r for rounds in runs.values() for r in rounds]

    def of(name, key):
        return [r[name]["setup"][key] for r in rows]

    def ratios(key):
        return ratio(of("ours", key), of("debian", key))

    first = rows[0]
    lines = ["| set-up of %d sessions, RADIUS answering after 2 ms | ours | "
             "Debian 2.4.1 | ours / Debian |" %
             first["ours"]["setup"]["sessions"], "|---|---|---|---|"]
    tried = [first[name]["setup"]["tried"] for name in ("ours", "debian")]
    for n in OUTSTANDING:
        lines.append("| sessions/s, %d at once (500, tried once) | %.0f | "
                     "%.0f | |" % (n, *(t[n] for t in tried)))
    lines.append("| at once in what follows | %d | %d | |" % tuple(
        first[name]["setup"]["outstanding"] for name in ("ours", "debian")))
    lines.append("| sessions/s | %s | %s | %s |" % (
        spread(of("ours", "rate"), 0), spread(of("debian", "rate"), 0),
        ratios("rate")))
    lines.append("| CPU-ms a session | %s | %s | %s |" % (
        spread(of("ours", "cpu_ms"), 3), spread(of("debian", "cpu_ms"), 3),
        ratios("cpu_ms")))
    for key in ("p50", "p99"):
        lines.append("| time of a set-up, %s, ms | %s | %s | |" % (
            key, *(spread([r[name]["setup"]["time_ms"][key] for r in rows], 1)
                   for name in ("ours", "debian"))))

    def memory(name):
        s = first[name]["setup"]
        return "%.1f MiB, then %.1f MiB" % (
            s["rss_empty"] / 2**20, s["rss_full"] / 2**20)

    lines.append("| resident memory, none then all sessions | %s | %s | |" % (
        memory("ours"), memory("debian")))
    ours = first["ours"]["setup"]
    lines.append("| octets a session | %.0f | | |" % (
        (ours["rss_full"] - ours["rss_empty"]) / ours["sessions"]))
    return lines


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
        if found:
            model = found.group(1)
    return {"cpu": model, "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "load_before": os.getloadavg()[0],
            "commit": subprocess.run(
                ["git", "-C", TOP, "rev-parse", "--short", "HEAD"],
                stdout=subprocess.PIPE, text=True, check=False).stdout.strip(),
            "debian": subprocess.run(
                ["dpkg-query", "-W", "-f", "${Version}", "l2tpns"],
                stdout=subprocess.PIPE, text=True, check=False).stdout}


def report(about, runs, options):
    lines = ["Measured %s at commit %s on %d processors (%s), Linux %s; "
             "Debian's l2tpns is %s.  %d rounds, %g s a figure; median and, "
             "in brackets, range over the rounds.  Load of the machine "
             "before: %.1f." % (
                 about["date"], about["commit"], about["cpus"], about["cpu"],
                 about["kernel"], about["debian"], options.rounds,
                 options.seconds, about["load_before"]), ""]
    lines += traffic_table(runs, options) + [""] + setup_table(runs)
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- bench.py writes from here -->", "<!-- to here -->"


def write_document(text):
    with open(DOCUMENT) as f:
        old = f.read()
    if BEGIN not in old or END not in old:
        raise RuntimeError("%s lacks the lines that %r stands between" % (
            DOCUMENT, BEGIN))
    with open(DOCUMENT, "w") as f:
        f.write(old[:old.index(BEGIN)] + BEGIN + "\n\n" + text + "\n" +
                old[old.index(END):])


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    p = argparse.ArgumentParser(
        prog="bench.sh", description=__doc__.split("\n\n")[0])
    p.add_argument("--quick", action="store_true",
                   help="a look in under three minutes; writes no document")
    p.add_argument("--sessions", type=numbers, default=[500],
                   help="as 500,5000,60000 [500]")
    p.add_argument("--sizes", type=numbers, default=[128, 1400],
                   help="octets of the IP packets [128,1400]")
    p.add_argument("--rounds", type=int, default=5, help="[5]")
    p.add_argument("--seconds", type=float, default=4,
                   help="of each figure [4]")
    p.add_argument("--setup-sessions", type=int, default=5000,
                   help="of the set-up measurement [5000]")
    p.add_argument("--bursts", type=numbers, default=[1, 16],
                   help="packets that the generators send in one go: up of "
                   "sessions of one tunnel, down to one session [1,16]")
    p.add_argument("--no-gro", action="store_true",
                   help="the server's devices do not join packets, as real "
                   "network cards do")
    p.add_argument("--receivers", action="store_true",
                   help="receive at the far ends instead of dropping there")
    p.add_argument("--no-document", action="store_true",
                   help="leave Docs/PERFORMANCE.md as it is")
    options = p.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.bursts = 2, 2, [1]
        options.setup_sessions = 2000
        options.no_document = True
    return options


def main():
    options = parse()
    for missing in [DEBIAN] if not os.access(DEBIAN, os.X_OK) else []:
        sys.exit("%s is missing: apt-get install l2tpns, and let no service "
                 "of it run" % missing)
    if os.geteuid() != 0:
        sys.exit("it makes network namespaces: run it as root")
    if os.cpu_count() < 2:
        sys.exit("it needs two processors: one is the server's alone")
    os.sched_setaffinity(0, {OTHER_CPU})
    about = machine()
    directory = os.path.join(RESULTS, time.strftime("%Y%m%d-%H%M%S"))
    os.makedirs(directory)
    runs = {}
    for sessions in options.sessions:
        runs[sessions] = run_sessions(directory, sessions, options)
        with open(os.path.join(directory, "results.json"), "w") as f:
            json.dump({"about": about, "options": vars(options),
                       "runs": runs}, f, indent=1)
    text = report(about, runs, options)
    with open(os.path.join(directory, "results.md"), "w") as f:
        f.write(text)
    say("\n" + text)
    say("all figures: %s/results.json" % os.path.relpath(directory, TOP))
    if not options.no_document:
        write_document(text)


if __name__ == "__main__":
    main()
