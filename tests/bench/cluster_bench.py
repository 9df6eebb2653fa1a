"""What a cluster carries, and what it costs to keep its members in step.

	cluster_bench.py [--only capacity,changes] [--share 10] ...

Needs root, `make all bench-tools`, and processors to itself.  Results are
lines of JSON.

capacity: subscribers send as fast as the generator can, and what comes out at
the internet's side is counted.  All servers run on processor 0, each in a
control group that gives it --share per cent of it (cpu.cfs_quota_us, 10 ms
periods); generator, router and everything else on processor 1.  So three
members are three small machines, and each carries what its share of a
processor can.  Measured one after the other, --rounds times:

	one	a server without a cluster, with one share
	slaves	three members; traffic comes to the two slaves, as it does
		with BGP and cluster_master_min_adv 1
	all	the same, and traffic comes to the master too
	big	a server without a cluster that has three shares

changes: calls come and go, --rate a second, all of them through the master
(then all through a slave), with no other member, one, and two of them.  What
it costs is the time of each process on the processor, by
/proc/PID/schedstat.  A change is what `show cluster` counts: a tunnel's or a
session's new state, as it goes into the stream.
"""

import argparse
import json
import os
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "system"))
sys.dont_write_bytecode = True

import cluster
import sim
from cluster import INET_ADDR
from net import wait_for

GROUPS = "/sys/fs/cgroup/cpu"
PERIOD = 10000          # us
SERVER_CPU, OTHER_CPU = 0, 1
SINK_PORT = 7002
SIZE = 128
HEADERS = 14 + 20 + 8   # once in each packet of a device


def say(part, **figures):
    print(json.dumps({"part": part, **figures}), flush=True)
    return figures


# -- shares of a processor

class Share:
    """A control group of one process, on the servers' processor."""

    def __init__(self, pid, per_cent):
        self.path = os.path.join(GROUPS, "l2tpns-bench-%d" % pid)
        os.makedirs(self.path, exist_ok=True)
        self.write("cpu.cfs_period_us", PERIOD)
        self.write("cpu.cfs_quota_us", int(PERIOD * per_cent / 100))
        self.write("cgroup.procs", pid)
        os.sched_setaffinity(pid, {SERVER_CPU})

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w") as f:
            f.write(str(value))

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class Scene(cluster.Bed):
    """Some members, routes by hand, the far end drops what it gets."""

    def __init__(self, directory, members, config):
        os.makedirs(directory, exist_ok=True)
        super().__init__(directory, members=members, bgp=False,
                         radius={"delay": 2}, config={
                             "debug": 1, "max_sessions": 65000, **config})
        self.shares = []
        try:
            self.net.inet.run("nft", "-f", "-", stdin="""
table netdev bench {
	chain far_end {
		type filter hook ingress device eth0 priority 0;
		udp dport %d drop
	}
}
""" % SINK_PORT)
            self.net.route([1])
            for n in range(1, members + 1):
                self.start(n)
                if n == 1:
                    self.wait_first()
            if members > 1:
                self.wait_whole(20)
        except BaseException:
            self.close()
            raise

    def wait_first(self):
        wait_for("a master", 10, lambda: self.member[1].status().get(
            "status") != "Slave" and self.member[1].is_up())

    def close(self):
        for one in self.lacs:
            one.kill()
        for m in self.up():
            m.kill()
        super().close()
        for share in getattr(self, "shares", []):
            share.remove()

    def limit(self, per_cent):
        self.shares = [Share(m.pid, per_cent) for m in self.up()]

    def carried(self):
        """Octets and packets to the internet, and each member's time."""
        words = self.net.inet.run(
            "cat", "/sys/class/net/eth0/statistics/rx_bytes",
            "/sys/class/net/eth0/statistics/rx_packets").split()
        return (time.monotonic(), int(words[0]), int(words[1]),
                {m.n: sim.cpu_seconds(m.pid) for m in self.up()})


def blast(scene, sessions, hops, share, seconds):
    """Packets a second of them all, while every process has its share."""
    lac = scene.lac("traffic", tunnels=min(300, sessions), sessions=sessions,
                    rate=2000, hold=36000, hello=0, setup_timeout=60,
                    blast="up", blast_to="%s:%d" % (INET_ADDR, SINK_PORT),
                    size=SIZE, seconds=seconds + 4)
    lac.wait_hold(90)
    scene.net.route(hops)
    scene.limit(share)
    time.sleep(1.5)
    then, octets, packets, cpu = scene.carried()
    time.sleep(seconds)
    now, octets2, packets2, cpu2 = scene.carried()
    wall = now - then
    sends = packets2 - packets
    moved = (octets2 - octets - sends * HEADERS) / (SIZE - 28)
    busy = {n: round((cpu2[n] - cpu[n]) / wall, 3) for n in cpu}
    return {"kpps": round(moved / wall / 1000, 1), "busy": busy,
            "kpps_per_cpu_s": round(moved / wall / 1000 / sum(
                busy[n] for n in hops), 1)}


def capacity(options, directory):
    alone = {"cluster_address": "0.0.0.0"}
    kinds = (("one", 1, alone, [1], 1), ("slaves", 3, {}, [2, 3], 1),
             ("all", 3, {}, [1, 2, 3], 1), ("big", 1, alone, [1], 3))
    for n in range(options.rounds):
        found = {}
        for name, members, config, hops, shares in kinds:
            scene = Scene(os.path.join(directory, "%s%d" % (name, n)),
                          members, config)
            try:
                found[name] = blast(scene, options.sessions, hops,
                                    options.share * shares, options.seconds)
            finally:
                scene.close()
        one = found["one"]["kpps"]
        say("capacity", share=options.share, sessions=options.sessions,
            ratio={k: round(v["kpps"] / one, 2) for k, v in found.items()},
            **found)


# -- the cost of changes

def calls(scene, rate, seconds):
    """CPU of each member for each call that came and went, in ms."""
    churn = scene.lac("churn%d" % len(scene.lacs), tunnels=20, sessions=rate,
                      rate=rate, cycles=10 ** 9)
    time.sleep(4)

    def look():
        up = scene.up()
        changes = max(m.status().get("changes", 0) for m in up)
        return (time.monotonic(), churn.status()["established"], changes,
                {m.n: sim.cpu_seconds(m.pid) for m in up})

    then, made, changes, cpu = look()
    time.sleep(seconds)
    now, made2, changes2, cpu2 = look()
    # The status is a second old at most, both times.
    figures = {"calls_s": round((made2 - made) / (now - then)),
               "changes": changes2 - changes, "calls": made2 - made,
               "changes_a_call": round((changes2 - changes) /
                                       (made2 - made), 2),
               "cpu_ms": {n: round((cpu2[n] - cpu[n]) * 1000, 1)
                          for n in cpu},
               "cpu_ms_a_call": {n: round((cpu2[n] - cpu[n]) * 1000 /
                                          (made2 - made), 4) for n in cpu}}
    churn.end(60)
    return figures


def changes(options, directory):
    scene = Scene(os.path.join(directory, "changes"), 3, {})
    try:
        found = {}
        calls(scene, options.rate, 1)   # memory is touched for the first time
        found["two_slaves"] = calls(scene, options.rate, options.seconds)
        found["two_slaves_rest"] = rest(scene, options.seconds)
        scene.net.route([2])
        found["through_a_slave"] = calls(scene, options.rate, options.seconds)
        scene.net.route([1])
        scene.member[3].kill()
        scene.wait_whole(20)
        time.sleep(2.5)         # until it is given up
        found["one_slave"] = calls(scene, options.rate, options.seconds)
        scene.member[2].kill()
        time.sleep(4)
        found["no_slave"] = calls(scene, options.rate, options.seconds)
        two, none = found["two_slaves"], found["no_slave"]
        one = found["one_slave"]

        def a_thousand(some, n, base):
            """ms for 1,000 changes, more than without a cluster."""
            return round((some["cpu_ms_a_call"][n] - base) * 1000 /
                         some["changes_a_call"], 2)
        base = none["cpu_ms_a_call"][1]
        say("changes", rate=options.rate, **found,
            cpu_ms_per_1000_changes={
                "master, one slave": a_thousand(one, 1, base),
                "master, two slaves": a_thousand(two, 1, base),
                "slave": a_thousand(two, 3, 0)})
    finally:
        scene.close()


def rest(scene, seconds):
    cpu = {m.n: sim.cpu_seconds(m.pid) for m in scene.up()}
    time.sleep(seconds)
    return {"cpu_ms_s": {m.n: round((sim.cpu_seconds(m.pid) - cpu[m.n]) *
                                    1000 / seconds, 2) for m in scene.up()}}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--only", default="capacity,changes")
    p.add_argument("--share", type=float, default=10, help="per cent")
    p.add_argument("--sessions", type=int, default=3000)
    p.add_argument("--rate", type=int, default=500)
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--rounds", type=int, default=3)
    options = p.parse_args()
    directory = tempfile.mkdtemp(prefix="l2tpns-cluster-bench-")
    os.sched_setaffinity(0, {OTHER_CPU})
    if "capacity" in options.only.split(","):
        capacity(options, directory)
    if "changes" in options.only.split(","):
        changes(options, directory)


if __name__ == "__main__":
    sys.exit(main())
