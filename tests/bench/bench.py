"""Measure the daemon beside Debian's l2tpns 2.4.1 and a bare relay.

In each round every server is measured once, in turn, so that whatever
disturbs the machine disturbs all of them; results are ratios within a round,
and their median and range over the rounds.

bench_world.py has the servers and their networks, bench_parts.py what is
measured, bench_report.py the tables and plots.  Figures are kept by part in
Docs/performance.json: a part that is measured again takes the place of the
old figures, or with --add has its rounds put beside them.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time

import bench_parts
import bench_report
from bench_world import (DEBIAN, Debian, Hooked, OTHER_CPU, Ours, Relay,
                         TOP)

DOCUMENTS = os.path.join(TOP, "Docs")
DOCUMENT = os.path.join(DOCUMENTS, "PERFORMANCE.md")
FIGURES = os.path.join(DOCUMENTS, "performance.json")
RESULTS = os.path.join(TOP, "build", "bench", "results")
PARTS = ("tcp", "udp", "flat", "setup", "scale", "hooks")
MODES = ("single", "polled", "x16")

say = bench_parts.say


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


# -- the run

def wanted(options):
    """[(name, server classes, what makes a round of it), ...]"""
    parts = bench_parts
    all3, two = (Ours, Debian, Relay), (Ours, Debian)
    found = []
    if "tcp" in options.only:
        found.append(("tcp", two, lambda s: parts.tcp(s, options)))
    if "udp" in options.only:
        found += [("udp %d" % n, all3,
                   lambda s, n=n: parts.udp(s, n, options))
                  for n in options.sessions]
    if "flat" in options.only:
        found += [("flat %d" % n, all3,
                   lambda s, n=n: parts.flat(s, n, options))
                  for n in options.counts]
    if "setup" in options.only:
        found.append(("setup", two, lambda s: parts.setups(s, options)))
    if "scale" in options.only:
        found.append(("scale", two, lambda s: parts.scale(
            s, options.scale_sessions, options)))
    if "hooks" in options.only:
        found.append(("hooks", (Ours, Hooked), lambda s: parts.hooks(
            *s, options.sessions[0], options)))
    return found


def run(directory, options, keep):
    """All parts; keep(name, rounds) after each round."""
    servers = {}
    try:
        for name, kinds, once in wanted(options):
            for kind in kinds:
                if kind not in servers:
                    servers[kind] = kind(directory, options)
            rounds = []
            for n in range(options.rounds):
                say("%s, round %d of %d" % (name, n + 1, options.rounds))
                rounds.append(once([servers[kind] for kind in kinds]))
                for kind in kinds:
                    servers[kind].stop()
                keep(name, rounds)
    finally:
        for server in servers.values():
            server.remove()


# -- what is kept

def load():
    if not os.path.exists(FIGURES):
        return {"about": {}, "figures": {}}
    with open(FIGURES) as f:
        return json.load(f)


def rounded(value):
    """Five digits say enough, and keep the file small."""
    if isinstance(value, float):
        return float("%.5g" % value)
    if isinstance(value, dict):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return value


def store(stored, path):
    with open(path + ".new", "w") as f:
        json.dump(rounded(stored), f, indent=1)
        f.write("\n")
    os.rename(path + ".new", path)


BEGIN, END = "<!-- bench.py writes from here -->", "<!-- to here -->"


def write_document(stored):
    with open(DOCUMENT) as f:
        old = f.read()
    if BEGIN not in old or END not in old:
        raise RuntimeError("%s lacks the lines that %r stands between" % (
            DOCUMENT, BEGIN))
    text = bench_report.report(stored["about"], stored["figures"])
    with open(DOCUMENT, "w") as f:
        f.write(old[:old.index(BEGIN)] + BEGIN + "\n\n" + text + "\n" +
                old[old.index(END):])
    bench_report.plots(DOCUMENTS, stored["figures"])


# -- options

def numbers(text):
    return [int(word) for word in text.split(",")]


def words_of(allowed):
    def words(text):
        found = text.split(",")
        for word in found:
            if word not in allowed:
                raise argparse.ArgumentTypeError("%r is none of %s" % (
                    word, ", ".join(allowed)))
        return found
    return words


def parse():
    p = argparse.ArgumentParser(
        prog="bench.sh", description=__doc__.split("\n\n")[0])
    p.add_argument("--only", type=words_of(PARTS), default=PARTS,
                   help="parts to measure, of %s [all]" % ",".join(PARTS))
    p.add_argument("--add", action="store_true",
                   help="put the rounds beside those kept of the same part")
    p.add_argument("--quick", action="store_true",
                   help="udp and setup in some minutes; writes no document")
    p.add_argument("--rounds", type=int, default=3, help="[3]")
    p.add_argument("--seconds", type=float, default=3,
                   help="of each figure [3]")
    p.add_argument("--sessions", type=numbers, default=[5000],
                   help="of udp, as 500,5000 [5000]")
    p.add_argument("--sizes", type=numbers, default=[128, 1400],
                   help="octets of the IP packets [128,1400]; flat takes the "
                   "first")
    p.add_argument("--modes", type=words_of(MODES), default=MODES,
                   help="of udp, how packets come [%s]" % ",".join(MODES))
    p.add_argument("--counts", type=numbers,
                   default=[100, 1000, 5000, 20000, 60000],
                   help="of sessions, for flat [100,1000,5000,20000,60000]")
    p.add_argument("--setup-sessions", type=int, default=5000,
                   help="[5000]")
    p.add_argument("--scale-sessions", type=int, default=60000,
                   help="[60000]")
    p.add_argument("--idle-seconds", type=float, default=20,
                   help="of scale [20]")
    p.add_argument("--receivers", action="store_true",
                   help="receive UDP at the far ends instead of dropping "
                   "there")
    p.add_argument("--no-document", action="store_true",
                   help="leave Docs/ as it is")
    p.add_argument("--write-only", action="store_true",
                   help="measure nothing, write the document from what is "
                   "kept")
    options = p.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 2
        options.only, options.modes = ["udp", "setup"], ["single"]
        options.sessions, options.setup_sessions = [500], 2000
        options.no_document = True
    return options


def check():
    if not os.access(DEBIAN, os.X_OK):
        sys.exit("%s is missing: apt-get install l2tpns, and let no service "
                 "of it run" % DEBIAN)
    if os.geteuid() != 0:
        sys.exit("it makes network namespaces: run it as root")
    if os.cpu_count() < 2:
        sys.exit("it needs two processors: one is the server's alone")
    os.sched_setaffinity(0, {OTHER_CPU})


def main():
    options = parse()
    stored = load()
    if options.write_only:
        write_document(stored)
        return
    check()
    about = dict(machine(), seconds=options.seconds)
    directory = os.path.join(RESULTS, time.strftime("%Y%m%d-%H%M%S"))
    os.makedirs(directory)
    before = stored["figures"] if options.add else {}
    stored = {"about": about, "figures": dict(stored["figures"])}
    mine = {}

    def keep(name, rounds):
        old = before.get(name, {"rounds": []})["rounds"]
        mine[name] = stored["figures"][name] = {
            "about": about, "rounds": old + rounds}
        store({"about": about, "figures": mine},
              os.path.join(directory, "results.json"))
        if not options.no_document:
            store(stored, FIGURES)

    run(directory, options, keep)
    say("\n" + bench_report.report(about, rounded(mine)))
    say("all figures: %s/results.json" % os.path.relpath(directory, TOP))
    if not options.no_document:
        write_document(load())


if __name__ == "__main__":
    main()
