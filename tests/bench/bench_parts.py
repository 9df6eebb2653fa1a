"""What the bench measures: one function a part, one round of it a call.

A packet is counted when the server's virtual Ethernet device sends it; the
segments of a super-packet are counted each, by its octets.  What is given is
packets, or bits of TCP, per second of processor time that the server's
process used, by /proc/PID/schedstat.  The kernel works for the server in the
process's time (writing to TUN takes a packet through routing and the virtual
Ethernet), so that is in it; receiving from the carrier's side happens in the
generator's.

Behind the server no UDP is received: packets are dropped as they enter the
far ends, so that processor 1 is the generator's and the server is not billed
for the far ends' sockets.  With --receivers they are received and counted.
"""

import json
import os
import signal
import time

from bench_world import (Carrier, Debian, Ours, Relay, SERVER_CPU, SINK_PORT,
                         net, other, sim)

OUTSTANDING = (4, 16, 64, 256)
OUTER = 14 + 20 + 8     # Ethernet, IP and UDP of each packet of a device
INNER = 14 + 20 + 8
TCP_PORT = 5200
# name, subscribers, flows of each
TCP_CASES = (("1 flow", 1, 1), ("50 flows of one subscriber", 1, 50),
             ("50 subscribers, one flow each", 50, 1))
SCALE_RATE = 2700
JITTER = 30


def say(text):
    print(text, flush=True)


# -- UDP

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


def kind_of(way, size, mode):
    """The name of a figure; mode: single, polled, or burst as x16."""
    return "%s %d%s" % (way, size, "" if mode == "single" else " " + mode)


def burst_of(mode):
    return int(mode[1:]) if mode.startswith("x") else 1


def measure_down(server, carrier, size, burst, options):
    blast = other(server, "blast", "--blast-from", carrier.addresses,
                  "--size", size, "--seconds", options.seconds + 2,
                  "--gso", burst)
    time.sleep(0.7)
    figures = measure(server, "lac0", OUTER, size + server.overhead,
                      options.seconds)
    figures["offered_pps"] = blast.result(30)["pps"]
    return figures


def tunnels_for(sessions):
    """Enough of them: a LAC may have few set-ups in flight in each."""
    return max(10, min(60, sessions // 1000))


def blast_carrier(server, sessions, size, mode, options):
    more = {"blast_yield": True} if mode == "polled" else {}
    return Carrier(
        server, "traffic", sessions=sessions, tunnels=tunnels_for(sessions),
        rate=20000, max_outstanding=server.outstanding, hold=36000,
        hello=0, setup_timeout=30, size=size, gso=burst_of(mode),
        blast="both", blast_to="%s:%d" % (net.INET_ADDR, SINK_PORT),
        seconds=options.seconds + 1.5, **more)


def traffic(server, sessions, size, mode, options):
    """{"up 128": {...}, "down 128": {...}} of one server, once."""
    found = {}
    sink = None
    if options.receivers:
        sink = other(server, "sink", "--sink", SINK_PORT)
    carrier = blast_carrier(server, sessions, size, mode, options)
    try:
        carrier.wait_up(sessions)
        server.prepare_traffic()
        server.drop_at_far_ends(not options.receivers)
        if mode == "polled":
            server.poll_in_batches(True)
        time.sleep(0.2)
        found[kind_of("up", size, mode)] = measure(
            server, "inet0", INNER, size - 28, options.seconds)
        # The blast began with the hold; wait for its end.
        time.sleep(1.5)
        if sink:
            found[kind_of("sink", size, mode)] = sink.end()
        if mode == "polled":
            server.poll_in_batches(False)
        else:
            if server.overhead is None:
                calibrate(server, carrier)
            found[kind_of("down", size, mode)] = measure_down(
                server, carrier, size, burst_of(mode), options)
        server.drop_at_far_ends(False)
        if not isinstance(server, Relay):
            carrier.tool.end(120)
    finally:
        if sink:
            sink.kill()
        carrier.tool.kill()
    server.after_traffic()
    return found


def udp(servers, sessions, options):
    found = {}
    for server in servers:
        mine = found[server.name] = {}
        server.restart()
        for size in options.sizes:
            for mode in options.modes:
                mine.update(traffic(server, sessions, size, mode, options))
        say("  %-7s %s" % (server.name, "  ".join(
            "%s %.0f k/CPU-s (busy %.0f %%)" % (
                key, value["per_cpu_second"] / 1e3, 100 * value["busy"])
            for key, value in mine.items() if "per_cpu_second" in value)))
    return found


# -- TCP

def tcp_run(server, carrier, flows, way, seconds):
    """The load's own figures, with the server's processor time."""
    space, log = server.net.lac, os.path.join(carrier.directory, "load.log")
    far = server.net.inet.start(
        [sim.program("tcpload"), "--serve", str(TCP_PORT)], log + ".far")
    near = None
    try:
        net.wait_for("tcpload to listen", 5, lambda: server.net.inet.run(
            "ss", "-Hlnt", "sport = :%d" % (TCP_PORT + 1)).strip())
        before = sim.cpu_seconds(server.pid())
        near = space.start(
            [sim.program("tcpload"), "--to", "%s:%d" % (
                net.INET_ADDR, TCP_PORT), "--from", carrier.addresses,
             "--flows", str(flows), "--seconds", str(seconds)] +
            (["--down"] if way == "down" else []), log)
        status = near.wait(seconds + 60)
        cpu = sim.cpu_seconds(server.pid()) - before
        if status:
            raise RuntimeError("tcpload: " + near.log())
        figures = json.loads(near.log())
    finally:
        far.stop(1, signal.SIGKILL)
        if near:
            near.stop(1, signal.SIGKILL)
    return dict(figures, cpu=cpu, busy=cpu / figures["seconds"],
                per_cpu_second=figures["octets"] * 8 / cpu)


def tcp_once(server, subscribers, flows, way, seconds):
    carrier = Carrier(
        server, "tcp", sessions=subscribers, tunnels=1, rate=1000,
        max_outstanding=server.outstanding, hold=36000, hello=0, tun="sub0",
        tun_offload=True, gso=32)
    try:
        carrier.wait_up(subscribers)
        server.net.lac.ip("route replace %s/32 dev sub0" % net.INET_ADDR)
        figures = tcp_run(server, carrier, flows, way, seconds)
        data = carrier.tool.end(60)
    finally:
        carrier.tool.kill()
    bad = data["data"].get("tcp_bad", 0)
    if bad or figures["ended"] or not figures["least"]:
        raise RuntimeError("%s: %d bad segments, %s" % (
            server.name, bad, figures))
    return figures


def tcp(servers, options):
    found = {}
    for server in servers:
        mine = found[server.name] = {}
        server.restart()
        for name, subscribers, flows in TCP_CASES:
            for way in ("down", "up"):
                one = mine["%s, %s" % (name, way)] = tcp_once(
                    server, subscribers, flows, way, options.seconds)
                say("  %-7s %s, %s: %.1f Gbit/CPU-s (busy %.0f %%)" % (
                    server.name, name, way, one["per_cpu_second"] / 1e9,
                    100 * one["busy"]))
    return found


# -- plugins that look at packets

HOOK_STATES = ("before", "loaded", "removed")


def hook_kinds(sessions, options):
    """What is measured: functions of a server that return figures by name."""
    def tcp_way(way):
        name, subscribers, flows = TCP_CASES[0]
        return lambda server: {"TCP, %s, %s" % (name, way): tcp_once(
            server, subscribers, flows, way, options.seconds)}

    return (lambda server: traffic(server, sessions, options.sizes[0],
                                   "single", options),
            tcp_way("down"), tcp_way("up"))


def hooks(never, hooked, sessions, options):
    """A server before it has a plugin that looks at packets, with it, and
    without it again; each time beside one that never has it and is as old.
    Which of the two comes first changes from round to round; what they differ
    by before is chance, or of their places."""
    found = {}
    hooks.order = -hooks.order
    never.restart()
    hooked.restart()
    for state in HOOK_STATES:
        if state != "before":
            hooked.load(state == "loaded")
        for kind in hook_kinds(sessions, options):
            for name, server in ((state, hooked),
                                 (state + " never", never))[::hooks.order]:
                found.setdefault(name, {}).update(kind(server))
        for name in (state, state + " never"):
            say("  %-13s %s" % (name, "  ".join(
                "%s %.4g/CPU-s" % (key, value["per_cpu_second"])
                for key, value in found[name].items())))
    return found


hooks.order = 1


# -- set-up

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


def setups(servers, options):
    """How fast, with each number of set-ups at once: too many harm some."""
    found = {}
    for server in servers:
        server.restart()
        tried = {}
        for n in OUTSTANDING:
            tried[n] = setup(server, 500, n)["rate"]
        server.restart()
        best = max(tried, key=tried.get)
        mine = setup(server, options.setup_sessions, best)
        mine["tried"] = {str(n): rate for n, rate in tried.items()}
        found[server.name] = mine
        say("  %-7s %.0f/s, %.3f CPU-ms each" % (
            server.name, mine["rate"], mine["cpu_ms"]))
    return found


# -- the number of sessions

def flat(servers, sessions, options):
    """Set-up of so many, then the traffic of all of them."""
    found = {}
    for server in servers:
        server.restart()
        mine = found[server.name] = {}
        if not isinstance(server, Relay):
            mine["setup"] = setup(server, sessions, server.outstanding)
        for size in options.sizes[:1]:
            mine.update(traffic(server, sessions, size, "single", options))
        say("  %-7s %s" % (server.name, "  ".join(
            "%s %.0f k/CPU-s" % (key, value["per_cpu_second"] / 1e3)
            for key, value in mine.items() if key != "setup")))
    return found


# -- as many as there are addresses

def come_up(server, name, sessions, **more):
    """(carrier in its hold, {"cpu_ms", memory...})"""
    before = sim.cpu_seconds(server.pid())
    carrier = Carrier(
        server, name, sessions=sessions, tunnels=10, tunnel_rate=1000,
        setup_timeout=60, **dict({"rate": SCALE_RATE, "hold": 36000}, **more))
    try:
        carrier.wait_up(sessions)
    except BaseException:
        carrier.tool.kill()
        raise
    cpu = sim.cpu_seconds(server.pid()) - before
    full = sim.rss(server.pid())
    return carrier, {
        "sessions": sessions, "cpu_ms": cpu / sessions * 1e3,
        "rss_empty": server.rss_empty, "rss_full": full,
        "octets": (full - server.rss_empty) / sessions}


def idle(server, seconds):
    """CPU-ms a second, while all echo and nothing else happens."""
    time.sleep(12)      # the first echoes of all are over
    before, began = sim.cpu_seconds(server.pid()), time.monotonic()
    time.sleep(seconds)
    return (sim.cpu_seconds(server.pid()) - before) * 1e3 / (
        time.monotonic() - began)


def finish(carrier, figures):
    try:
        end = carrier.tool.end(180)
    finally:
        carrier.tool.kill()
    figures["setup"] = {k: end["setup"][k] for k in ("rate", "time_ms")}
    figures["lost"] = end["sessions"]["lost"]
    figures["failed"] = end["sessions"]["failed"]
    return end


def reconnect(server, sessions):
    """All dropped at once, back with a jitter."""
    server.restart()
    carrier, _ = come_up(
        server, "reconnect", sessions, rate=4000, max_outstanding=500,
        reconnect=JITTER)
    asked = server.radius.summary()["auth"]["requests"]
    cpu = sim.cpu_seconds(server.pid())
    carrier.tool.process.send(signal.SIGUSR2)
    time.sleep(JITTER)
    carrier.tool.wait_status("all to be back", 120,
                             lambda now: now["up"] >= sessions)
    figures = {
        "cpu_ms": (sim.cpu_seconds(server.pid()) - cpu) / sessions * 1e3,
        "radius_requests": (server.radius.summary()["auth"]["requests"] -
                            asked) / sessions}
    figures["seconds"] = finish(carrier, figures)["all_back_seconds"]
    return figures


def scale_ours(server, sessions, options):
    found = {}
    server.restart()
    carrier, figures = come_up(server, "scale-2", sessions)
    figures["idle_cpu_ms"] = idle(server, options.idle_seconds)
    finish(carrier, figures)
    found["2"] = figures
    found["reconnect"] = reconnect(server, sessions)
    server.radius_delay(200)
    server.restart()
    carrier, figures = come_up(server, "scale-200", sessions)
    finish(carrier, figures)
    server.radius_delay(2)
    found["200"] = figures
    return found


def scale_debian(server, sessions, options):
    server.restart()
    carrier, figures = come_up(
        server, "scale-2", sessions, rate=20000,
        max_outstanding=server.outstanding)
    figures["idle_cpu_ms"] = idle(server, options.idle_seconds)
    finish(carrier, figures)
    return {"2": figures}


def scale(servers, sessions, options):
    found = {}
    for server in servers:
        if isinstance(server, Ours):
            found[server.name] = scale_ours(server, sessions, options)
        elif isinstance(server, Debian):
            found[server.name] = scale_debian(server, sessions, options)
        say("  %-7s %s" % (server.name, json.dumps(found[server.name])))
    return found
