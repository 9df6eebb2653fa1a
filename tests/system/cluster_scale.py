"""A cluster with many subscribers: what joining, resting and dying cost.

	cluster_scale.py [--sessions 60000] [--rate 300] ...

One after the other, of one bed, and each prints a line of JSON:

	up      two members and --sessions subscribers
	rest    what the cluster costs while nothing happens but an LCP echo of
	        each subscriber in --echo seconds
	join    a third member starts, while --rate calls a second come and go
	three   as rest, with three members
	kill    kill -9 of the master, under the same calls; a subscriber whose
	        packets come through a survivor is probed each 10 ms

A stall is the longest turn of a loop, from when select() returned to when it
is asked again, by the wall clock: on a busy machine it contains the time in
which the process was not let run.  The load is niced, so that the daemons are
let run first.
"""

import argparse
import json
import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import cluster
import peek
import sim
from cluster import INET_ADDR, TIMEOUT
from net import wait_for

PROBE = INET_ADDR + ":7000"
NICE = 10

# What is asked of it.
JOIN_S, GAP_MS = 10, 100


class Meter:
    """What every member, and its part of the wire, does in a while."""

    def __init__(self, bed):
        self.bed = bed
        self.members = bed.up()
        for m in self.members:
            peek.forget_stall(m.pid)
        self.begin = self.look()

    def look(self):
        return time.monotonic(), {m.n: (
            sim.cpu_seconds(m.pid), peek.counters(m.pid))
            for m in self.members if m.is_up()}

    def read(self):
        """{n: figures} of those that are still there."""
        (then, before), (now, after) = self.begin, self.look()
        wall, figures = now - then, {}
        for m in self.members:
            if m.n not in after:
                continue
            (cpu, old), (busy, new) = before[m.n], after[m.n]

            def moved(name):
                return new[name] - old[name]
            figures[m.n] = {
                "cpu_ms_s": round((busy - cpu) / wall * 1000, 1),
                "stall_ms": round(peek.longest_stall(m.pid) / 1000, 2),
                "sent_octets_s": round(moved("cluster_tx_bytes") / wall),
                "sent_packets_s": round(moved("cluster_tx_packets") / wall),
                "resent": moved("cluster_resent"),
                "asked": moved("cluster_asked"),
                "lost": moved("cluster_lost")}
        return figures


class Scale:
    def __init__(self, options, directory):
        self.options = options
        self.bed = cluster.Bed(directory, radius={"delay": 2},
                               config={"debug": 2, "max_sessions": 65000,
                                       **options.config})
        self.found = {}
        self.broken = []

    def say(self, part, broken=(), **figures):
        self.found[part] = figures
        self.broken += ["%s: %s" % (part, text) for text in broken]
        print(json.dumps({"part": part, **figures, "broken": list(broken)}),
              flush=True)

    def lac(self, name, **options):
        return self.bed.lac(name, nice=NICE, hold=100000, **options)

    def up(self):
        o, bed = self.options, self.bed
        bed.start(1)
        bed.wait_master(10)
        bed.start(2)
        bed.wait_whole(20)
        meter = Meter(bed)
        begin = time.monotonic()
        self.stay = self.lac("stay", tunnels=o.tunnels, sessions=o.sessions,
                             rate=2500, echo=o.echo, setup_timeout=60)
        now = self.stay.wait_hold(60 + o.sessions / 500)
        took = time.monotonic() - begin
        broken = []
        if now["up"] != o.sessions:
            broken.append("%d sessions are up" % now["up"])
        bed.wait_whole(20)
        self.say("up", sessions=now["up"], seconds=round(took, 1),
                 resident_mib={m.n: sim.rss(m.pid) >> 20 for m in bed.up()},
                 members=meter.read(), broken=broken)

    def rest(self, name):
        """Counters of 60,000 sessions are told within ten seconds."""
        time.sleep(3)
        meter = Meter(self.bed)
        time.sleep(self.options.rest)
        self.say(name, seconds=self.options.rest, members=meter.read())

    def churn(self):
        o = self.options
        return self.bed.lac("churn%d" % len(self.bed.lacs), nice=NICE,
                            tunnels=20, sessions=max(20, o.rate),
                            rate=o.rate, cycles=10 ** 9)

    def judge(self, figures, names, broken):
        for n in names:
            if figures[n]["stall_ms"] > self.options.stall:
                broken.append("member %d stalled for %.1f ms" % (
                    n, figures[n]["stall_ms"]))

    def join(self):
        bed, broken = self.bed, []
        churn = self.churn()
        time.sleep(3)
        lost = self.stay.status()["lost"]
        meter = Meter(bed)
        begin = time.monotonic()
        bed.start(3)
        new = bed.member[3]
        started = time.monotonic() - begin
        wait_for("member 3 up to date", 60, new.is_up_to_date, 0.02)
        took = time.monotonic() - begin
        walked = peek.longest_stall(new.pid) / 1000
        peek.forget_stall(new.pid)
        time.sleep(4)           # the router has heard of it meanwhile
        figures = meter.read()
        self.judge(figures, (1, 2), broken)
        carrying = peek.longest_stall(new.pid) / 1000
        # Until it is up to date nobody waits for it.
        if carrying > self.options.stall:
            broken.append("member 3 stalled for %.1f ms" % carrying)
        if took > JOIN_S:
            broken.append("up to date after %.1f s" % took)
        now = self.stay.status()["lost"] - lost
        if now:
            broken.append("%d sessions lost" % now)
        self.ended(churn, broken)
        self.say("join", up_to_date_s=round(took, 2),
                 of_these_to_start_s=round(started, 2),
                 master_stall_ms=figures[1]["stall_ms"],
                 slave_stall_ms=round(walked, 2),
                 slave_carrying_stall_ms=round(carrying, 2),
                 slave_cpu_s=round(sim.cpu_seconds(new.pid), 2),
                 members=figures, lost=now, broken=broken)

    def ended(self, churn, broken):
        """Calls that came and went; what of them failed."""
        result = churn.end(60)["sessions"]
        if result["lost"]:
            broken.append("%d of the new sessions lost" % result["lost"])
        print(json.dumps({"part": "calls", **{k: result[k] for k in (
            "established", "failed", "lost", "reasons")}}), flush=True)

    def kill(self):
        bed, broken = self.bed, []
        master = bed.wait_whole(10)
        lost = self.stay.status()["lost"]
        churn = self.churn()
        fast = self.lac("fast%d" % len(bed.lacs), tunnels=12, sessions=60,
                        rate=300, probe=PROBE, probe_interval=10)
        fast.wait_hold(30)
        time.sleep(2)
        meter = Meter(bed)
        begin = time.monotonic()
        master.kill()
        new = bed.wait_master(20, step=0.01, among=[m.n for m in bed.up()])
        took = time.monotonic() - begin
        time.sleep(self.options.after)
        figures = meter.read()
        gone = self.stay.status()["lost"] - lost
        result = fast.end(60)
        gap = result["probes"]["longest_gap_ms"]
        gone += result["sessions"]["lost"]
        self.judge(figures, figures, broken)
        if took > TIMEOUT + 0.5:
            broken.append("new master after %.2f s" % took)
        if gap > GAP_MS + 10:
            broken.append("no probes for %.0f ms" % gap)
        if gone:
            broken.append("%d sessions lost" % gone)
        self.ended(churn, broken)
        self.say("kill", victim=master.n, new_master=new.n,
                 new_master_s=round(took, 2), lost=gone, probe_gap_ms=gap,
                 members=figures, broken=broken)

    def run(self):
        wanted = self.options.only.split(",")
        try:
            self.up()
            if "rest" in wanted:
                self.rest("rest")
            if "join" in wanted:
                self.join()
            if "three" in wanted:
                self.rest("three")
            if "kill" in wanted:
                self.kill()
        finally:
            for one in self.bed.lacs:
                one.kill()
            for m in self.bed.up():
                m.kill()        # nobody waits for 60,000 Stops
            self.bed.close()
        return self.found


def arguments(words=None, **config):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--only", default="rest,join,three,kill")
    p.add_argument("--sessions", type=int, default=60000)
    p.add_argument("--tunnels", type=int, default=100)
    p.add_argument("--rate", type=int, default=300)
    p.add_argument("--echo", type=int, default=30)
    p.add_argument("--rest", type=float, default=20)
    p.add_argument("--after", type=float, default=5)
    p.add_argument("--stall", type=float, default=10,
                   help="ms that no loop may stand still for")
    p.add_argument("--keep", help="directory for the logs")
    options = p.parse_args(words)
    options.config = config
    return options


def main():
    options = arguments()
    directory = options.keep or tempfile.mkdtemp(prefix="l2tpns-scale-")
    os.makedirs(directory, exist_ok=True)
    scale = Scale(options, directory)
    scale.run()
    print(json.dumps({"part": "all", "broken": scale.broken,
                      "logs": directory}))
    return 1 if scale.broken else 0


if __name__ == "__main__":
    sys.exit(main())
