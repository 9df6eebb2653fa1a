"""make check-cluster: what a cluster goes through under load, with figures.

	cluster_long.py [--only kills,stops,...] [--sessions 20000] ...

Three servers, BIRD with ECMP, a carrier with --sessions subscribers whose
probes make --pps packets a second, and another one whose calls come and go,
--rate a second.  Every part prints one line of JSON for each thing that it
did, and at the end one of the whole.  The exit status is 1 when a promise was
broken; what was, is in the lines under "broken".

Parts:

	kills       kill -9 of the master, --kills times, --every seconds apart
	stops       SIGSTOP of the master for 0.5 to 30 time-outs, then SIGCONT
	parts       links cut: one way, 2+1, 1+1+1, for a second each second
	power       the master's link goes down, and then its process
	loss        --loss % of the cluster's packets lost, --double % doubled
	join        a member joins with --join-sessions subscribers online
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

import cluster
import daemon as daemon_module
import peek
import sim
from cluster import INET_ADDR, INTERVAL, TIMEOUT
from net import wait_for

PROBE = INET_ADDR + ":7000"
PROBE_SIZE = 100        # lacsim's own
SEEN = 0.1              # by how much what is seen may be late
AGAIN = 5               # records under way when a master dies


# -- who is master, seen from outside every ten milliseconds

def offset(field):
    """Of a member of struct l2tpns."""
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "o.c")
        with open(source, "w") as f:
            f.write('#include <stdio.h>\n#include "l2tpns.h"\nint main(void)'
                    '{ printf("%%zu\\n", offsetof(struct l2tpns, %s)); }\n'
                    % field)
        program = os.path.join(directory, "o")
        subprocess.run(["cc", "-I", daemon_module.TOP, "-o", program, source],
                       check=True)
        return int(subprocess.check_output([program]))


class Watch(threading.Thread):
    """Samples which of the running members believe to be master."""

    def __init__(self, bed):
        super().__init__(daemon=True)
        self.bed = bed
        self.where = offset("master")
        self.place = {}
        self.ended = False
        self.lock = threading.Lock()
        self.samples = []       # (time, set of n)
        self.start()

    def look(self, member):
        """None when it cannot be seen."""
        try:
            pid = member.process.pid
            if pid not in self.place:
                self.place[pid] = peek.place(pid, "lns") + self.where
            with open("/proc/%d/mem" % pid, "rb", buffering=0) as f:
                f.seek(self.place[pid])
                return f.read(1) == b"\1"
        except (OSError, AttributeError, RuntimeError):
            return None

    def run(self):
        while not self.ended:
            acting = {m.n for m in list(self.bed.member.values())
                      if m.is_up() and self.look(m)}
            with self.lock:
                self.samples.append((time.monotonic(), acting))
                del self.samples[:-200000]
            time.sleep(0.01)

    def since(self, begin):
        with self.lock:
            return [s for s in self.samples if s[0] >= begin]

    def overlap(self, begin):
        """The longest time with more than one, in seconds."""
        return self.longest(begin, lambda acting: len(acting) > 1)

    def vacancy(self, begin):
        """The longest time with none."""
        return self.longest(begin, lambda acting: not acting)

    def longest(self, begin, what):
        longest, since = 0.0, None
        for when, acting in self.since(begin):
            if not what(acting):
                since = None
                continue
            since = since or when
            longest = max(longest, when - since)
        return longest


# -- the load

class Load:
    """The bed with its carriers."""

    def __init__(self, options, directory):
        self.options = options
        self.bed = cluster.Bed(
            directory, radius={"delay": 2, "ledger": os.path.join(
                directory, "ledger")},
            config={"debug": 2, "max_sessions": 65000})
        self.directory = directory
        self.lines = 0
        self.broken = []
        self.total = self.deaths = 0
        self.parted = False
        self.octets = 0         # that subscribers have sent, in probes
        self.churn = self.stay = None
        self.watch = None

    def begin(self):
        o, bed = self.options, self.bed
        bed.start(1)
        bed.wait_master(10)
        bed.start(2, 3)
        bed.wait_whole(20)
        self.watch = Watch(bed)
        self.stay = bed.lac(
            "stay", tunnels=o.tunnels, sessions=o.sessions, rate=1500,
            echo=10, echo_fail=8, hold=100000, probe=PROBE,
            probe_interval=max(1, int(1000 * o.sessions / o.pps)))
        now = self.stay.wait_hold(60 + o.sessions / 500)
        self.say("up", sessions=now["up"], broken=[] if now["up"] ==
                 o.sessions else ["%d sessions are up" % now["up"]])
        if o.rate:
            self.churn = bed.lac("churn", tunnels=50, sessions=max(
                20, o.rate), rate=o.rate, cycles=10 ** 9)
        time.sleep(5)

    def say(self, part, broken=(), **figures):
        print(json.dumps({"part": part, **figures, "broken": list(broken)}),
              flush=True)
        self.broken += ["%s: %s" % (part, text) for text in broken]

    def lost(self):
        return self.stay.status()["lost"]

    def whole(self, seconds=15):
        return self.bed.wait_whole(seconds)

    def call_gap(self, begin, end):
        """The longest time without an Access-Request, in seconds."""
        longest, before = 0.0, begin
        self.bed.radius.summary()       # so that the ledger is written
        with open(os.path.join(self.directory, "ledger")) as f:
            for line in f:
                when = ledger_time(line)
                if when is None or when < begin or when > end:
                    continue
                longest = max(longest, when - before)
                before = when
        return max(longest, end - before)

    def end(self):
        """Everybody off, and the books closed."""
        o = self.options
        made = 0
        if self.churn is not None:
            result = self.churn.end(120)
            made = result["sessions"]["established"]
            self.say("churn", **{k: result["sessions"][k] for k in (
                "established", "failed", "lost", "ended")},
                reasons=result["sessions"]["reasons"])
        result = self.stay.end(180)
        gap = result["probes"]["longest_gap_ms"]
        lost = result["sessions"]["lost"]
        self.octets += PROBE_SIZE * result["probes"]["sent"]
        broken = []
        if lost:
            broken.append("%d sessions lost" % lost)
        self.say("stay", sessions=o.sessions, lost=lost,
                 reasons=result["sessions"]["reasons"], probes={
                     k: result["probes"][k] for k in (
                         "sent", "received", "lost", "longest_gap_ms")},
                 echo_lost=result["echo"]["lost"], longest_gap_ms=gap,
                 broken=broken)
        time.sleep(5)
        book = self.bed.radius.summary()
        accounting = book["accounting"]
        broken = []
        faults = {k: v for k, v in book["faults"].items() if v}
        by = accounts(book)
        # What RADIUS was being told when a master died is told again: nobody
        # knows whether the answer was on its way.
        again = sum(n for k, n in by.items() if "more" in k)
        if again > AGAIN * self.deaths:
            broken.append("%d records came again" % again)
        # The side of a parted cluster that gives way forgets what it began.
        if set(by) - {"1/1", "1/more", "more/1", "more/more"} and \
                not self.parted:
            broken.append("not one Start and one Stop for each: %r" % by)
        if set(faults) - {"start_twice", "stop_twice", "sum"}:
            broken.append("faults: %r" % faults)
        made += self.total + o.sessions
        if accounting["starts"] != made and self.churn is None:
            broken.append("%d Starts" % accounting["starts"])
        self.say("ledger", established=made, **accounting,
                 by=by, again=again,
                 deaths=self.deaths, faults=faults, octets_sent=self.octets,
                 octets_accounted=book["sessions"]["input_octets"],
                 broken=broken)


def accounts(book):
    """{"Starts/Stops": sessions}, wherever the summary has it."""
    for value in [book] + [v for v in book.values() if isinstance(v, dict)]:
        if "by_starts_and_stops" in value:
            return value["by_starts_and_stops"]
    return {}


def ledger_time(line):
    """When an Access-Request came, by the wall clock; None for others."""
    words = line.split()
    if len(words) < 4 or words[1] != "in" or words[3] != "code=1":
        return None
    return float(words[0])


# -- the parts

def strike(load, name, act, undo=None, allowed=TIMEOUT + 0.5):
    """The master goes; what became of it in figures."""
    bed = load.bed
    master = load.whole()
    lost = load.lost()
    fast = bed.lac("f%d" % len(bed.lacs), tunnels=12, sessions=60, rate=300,
                   probe=PROBE, probe_interval=10, hold=100000)
    slow = bed.lac("s%d" % len(bed.lacs), sessions=1, probe=PROBE,
                   probe_interval=50, hold=100000)
    fast.wait_hold(30)
    slow.wait_hold(30)
    user = "s%d-0" % (len(bed.lacs) - 1)
    master.cli("enable")
    master.cli("throttle %s 64" % user)
    time.sleep(0.5)
    wall = time.time()
    begin = time.monotonic()
    act(master)
    new = bed.wait_master(allowed + 20, among=[
        m.n for m in bed.up() if m is not master], step=0.01)
    took = time.monotonic() - begin
    time.sleep(3)
    if undo:
        undo(master)
    after = load.whole(20)
    time.sleep(max(0.0, 1.5 - INTERVAL))
    fast_result, slow_result = fast.end(60), slow.end(60)
    load.total += 61
    load.octets += PROBE_SIZE * (fast_result["probes"]["sent"] +
                                 slow_result["probes"]["sent"])
    load.deaths += 1
    gap = fast_result["probes"]["longest_gap_ms"]
    slow_gap = slow_result["probes"]["longest_gap_ms"]
    figures = {
        "victim": master.n, "new_master": new.n, "after": after.n,
        "election_s": round(took, 3),
        "calls_gap_s": round(load.call_gap(wall - 1, time.time()), 3)
        if load.churn else None,
        "probe_gap_ms": gap, "throttled_gap_ms": slow_gap,
        "two_masters_s": round(load.watch.overlap(begin), 3),
        "lost": load.lost() - lost + fast_result["sessions"]["lost"] +
        slow_result["sessions"]["lost"],
    }
    broken = []
    if took > allowed + 0.1:
        broken.append("new master after %.2f s" % took)
    if figures["calls_gap_s"] is not None and figures["calls_gap_s"] > 3:
        broken.append("no calls for %.2f s" % figures["calls_gap_s"])
    if gap > 100 + 10:
        broken.append("no probes for %.0f ms" % gap)
    if slow_gap > took * 1000 + 1000:
        broken.append("throttled session silent for %.0f ms" % slow_gap)
    if figures["two_masters_s"] > INTERVAL:
        broken.append("two masters for %.2f s" % figures["two_masters_s"])
    if figures["lost"]:
        broken.append("%d sessions lost" % figures["lost"])
    load.say(name, **figures, broken=broken)


def kills(load):
    for n in range(load.options.kills):
        began = time.monotonic()
        victim = []

        def act(master):
            victim.append(master)
            master.kill()
        strike(load, "kill %d" % (n + 1), act,
               lambda master: load.bed.start(master.n))
        time.sleep(max(0.0, load.options.every - (time.monotonic() - began)))


def power(load):
    def undo(master):
        load.bed.link(master.n)
        load.bed.start(master.n)
    strike(load, "power", lambda master: load.bed.power_off(master.n), undo)
    load.whole(20)


def stops(load):
    """For longer than the time-out another one takes over."""
    bed = load.bed
    for times in 0.5, 1, 2, 5, 30:
        master = load.whole(20)
        lost = load.lost()
        begin = time.monotonic()
        master.freeze()
        time.sleep(times * TIMEOUT)
        master.thaw()
        thawed = time.monotonic()
        after = load.whole(20)
        healed = time.monotonic() - thawed
        time.sleep(3)
        overlap = load.watch.overlap(begin)
        broken = []
        if overlap > INTERVAL:
            broken.append("two masters for %.2f s" % overlap)
        if healed > 5:
            broken.append("healed after %.2f s" % healed)
        if load.lost() != lost:
            broken.append("%d sessions lost" % (load.lost() - lost))
        load.say("stop", timeouts=times, victim=master.n, after=after.n,
                 two_masters_s=round(overlap, 3), healed_s=round(healed, 3),
                 lost=load.lost() - lost, broken=broken)
        bed.wait_whole(10)


def partition(load, name, apply, seconds, one=False):
    """one: there is never a reason for two masters, but a beat."""
    bed = load.bed
    load.whole(20)
    load.parted = True
    lost = load.lost()
    begin = time.monotonic()
    apply(begin + seconds)
    bed.part()
    healing = time.monotonic()
    after = load.whole(30)
    healed = time.monotonic() - healing
    time.sleep(3)
    figures = {"after": after.n, "healed_s": round(healed, 3),
               "two_masters_s": round(load.watch.overlap(begin), 3),
               "lost": load.lost() - lost}
    broken = []
    if healed > 5:
        broken.append("healed after %.2f s" % healed)
    if figures["lost"]:
        broken.append("%d sessions lost" % figures["lost"])
    if one and figures["two_masters_s"] > INTERVAL + SEEN:
        broken.append("two masters for %.2f s" % figures["two_masters_s"])
    load.say(name, **figures, broken=broken)


def parts(load):
    bed = load.bed

    def hold(*groups):
        def apply(until):
            bed.part(*groups)
            time.sleep(max(0.0, until - time.monotonic()))
        return apply

    def one_way(a, b):
        def apply(until):
            bed.cut(*[(x, y) for x in a for y in b])
            time.sleep(max(0.0, until - time.monotonic()))
        return apply

    def flap(until):
        while time.monotonic() < until:
            bed.part([1], [2], [3])
            time.sleep(1)
            bed.part()
            time.sleep(1)

    m = load.whole(20).n
    rest = [n for n in bed.member if n != m]
    partition(load, "master is not heard", one_way([m], rest), 8, True)
    m = load.whole(20).n
    rest = [n for n in bed.member if n != m]
    partition(load, "master hears nobody", one_way(rest, [m]), 8, True)
    m = load.whole(20).n
    rest = [n for n in bed.member if n != m]
    partition(load, "one slave does not hear", one_way([m], rest[:1]), 8, True)
    partition(load, "master | two slaves", hold([m], rest), 8)
    m = load.whole(20).n
    rest = [n for n in bed.member if n != m]
    partition(load, "master and slave | slave", hold([m, rest[0]], rest[1:]),
              8)
    partition(load, "1 | 1 | 1", hold([1], [2], [3]), 8)
    partition(load, "flapping", flap, 20)


def loss(load):
    o, bed = load.options, load.bed
    master = load.whole(20)
    lost, changes = load.lost(), 0
    bed.spoil(o.loss, o.double)
    begin = time.monotonic()
    behind = worst = 0.0
    since = {}
    while time.monotonic() < begin + o.loss_seconds:
        for m in bed.up():
            now = m.status()
            if now.get("status") == "Master":
                changes += m is not master
            elif now.get("up_to_date"):
                since.pop(m.n, None)
            else:
                since.setdefault(m.n, time.monotonic())
                behind = time.monotonic() - since[m.n]
                worst = max(worst, behind)
        time.sleep(0.1)
    overlap = load.watch.overlap(begin)
    bed.spoil(0, 0)
    after = load.whole(10)
    broken = []
    if changes:
        broken.append("elections")
    if worst > 2:
        broken.append("a slave was behind for %.1f s" % worst)
    if load.lost() != lost:
        broken.append("%d sessions lost" % (load.lost() - lost))
    load.say("loss", per_cent=o.loss, doubled=o.double,
             seconds=o.loss_seconds, elections=changes,
             same_master=after is master, two_masters_s=round(overlap, 3),
             behind_s=round(worst, 2), lost=load.lost() - lost,
             broken=broken)


def join(options, directory):
    """A scene of its own: two members, many sessions, then a third."""
    load = Load(argparse.Namespace(**{
        **vars(options), "sessions": options.join_sessions, "rate": 0,
        "pps": 2000}), directory)
    bed = load.bed
    try:
        bed.start(1)
        bed.wait_master(10)
        bed.start(2)
        bed.wait_whole(20)
        load.stay = bed.lac("stay", tunnels=options.tunnels,
                            sessions=options.join_sessions, rate=2000,
                            echo=30, hold=100000)
        now = load.stay.wait_hold(120 + options.join_sessions / 500)
        time.sleep(3)
        master = bed.wait_whole(20)
        peek.forget_stall(master.pid)
        busy = sim.cpu_seconds(master.pid)
        begin = time.monotonic()
        bed.start(3)
        wait_for("member 3 up to date", 60, bed.member[3].is_up_to_date)
        took = time.monotonic() - begin
        stall = peek.longest_stall(master.pid) / 1000
        broken = []
        if took > 10:
            broken.append("up to date after %.1f s" % took)
        if stall > 10:
            broken.append("master stalled for %.1f ms" % stall)
        load.say("join", sessions=now["up"], up_to_date_s=round(took, 2),
                 master_stall_ms=round(stall, 2),
                 master_cpu_s=round(sim.cpu_seconds(master.pid) - busy, 2),
                 broken=broken)
    finally:
        bed.close()
    return load.broken


PARTS = {"kills": kills, "stops": stops, "power": power, "parts": parts,
         "loss": loss}


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--only", default="kills,stops,power,parts,loss,join")
    p.add_argument("--sessions", type=int, default=20000)
    p.add_argument("--tunnels", type=int, default=200)
    p.add_argument("--rate", type=int, default=300)
    p.add_argument("--pps", type=int, default=20000)
    p.add_argument("--kills", type=int, default=20)
    p.add_argument("--every", type=float, default=30)
    p.add_argument("--loss", type=float, default=10)
    p.add_argument("--double", type=float, default=5)
    p.add_argument("--loss-seconds", type=float, default=120)
    p.add_argument("--join-sessions", type=int, default=60000)
    p.add_argument("--keep", help="directory for the logs")
    return p.parse_args()


def main():
    options = arguments()
    wanted = options.only.split(",")
    directory = options.keep or tempfile.mkdtemp(prefix="l2tpns-cluster-")
    os.makedirs(directory, exist_ok=True)
    broken = []
    running = [name for name in wanted if name in PARTS]
    if running:
        load = Load(options, os.path.join(directory, "load"))
        try:
            load.begin()
            for name in running:
                PARTS[name](load)
            load.end()
        finally:
            load.bed.close()
        broken += load.broken
    if "join" in wanted:
        broken += join(options, os.path.join(directory, "join"))
    print(json.dumps({"part": "all", "broken": broken, "logs": directory}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
