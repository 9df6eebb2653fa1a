"""What the bench tells: tables in Markdown, plots by gnuplot.

All is written from the stored figures, whenever they were measured.
"""

import os
import statistics
import subprocess

from bench_parts import HOOK_STATES, OUTSTANDING, TCP_CASES

NAMES = {"ours": "this server", "debian": "Debian 2.4.1", "relay": "relay"}


def spread(values, digits):
    """median (lowest to highest), or the one value"""
    form = "%%.%df" % digits
    if len(values) == 1:
        return form % values[0]
    return (form + " (" + form + " to " + form + ")") % (
        statistics.median(values), min(values), max(values))


def ratio(ours, theirs):
    return spread([a / b for a, b in zip(ours, theirs)], 2)


def scaled(values, unit):
    return "%.*f" % (1 if unit > 1e6 else 0, statistics.median(values) / unit)


def table(*rows):
    """Of lists of words; the first is the head."""
    lines = ["| %s |" % " | ".join(str(word) for word in row)
             for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return lines + [""]


def said(*parts):
    """When they were measured, and on how busy a machine."""
    def of(get):
        found = sorted({get(part) for part in parts})
        return " to ".join(str(v) for v in (found[0], found[-1])
                           [:len(found)])

    return ["*Measured %s at commit %s; rounds: %s; seconds a figure: %s; "
            "load of the machine before: %s.*" % (
                of(lambda p: p["about"]["date"]),
                ", ".join(sorted({p["about"]["commit"] for p in parts})),
                of(lambda p: len(p["rounds"])),
                of(lambda p: "%g" % p["about"]["seconds"]),
                of(lambda p: "%.1f" % p["about"]["load_before"])), ""]


def column(part, name, key, field="per_cpu_second"):
    return [r[name][key][field] for r in part["rounds"]]


def udp_tables(figures):
    lines = []
    for name, part in sorted(figures.items()):
        if not name.startswith("udp "):
            continue
        rows = [("way, octets", "this server, 1,000 packets per CPU-s",
                 "/ Debian 2.4.1", "/ relay",
                 "busy: this, Debian, relay")]
        for key in part["rounds"][0]["ours"]:
            ours, debian, relay = (column(part, who, key)
                                   for who in ("ours", "debian", "relay"))
            rows.append((key, scaled(ours, 1e3), ratio(ours, debian),
                         ratio(ours, relay), ", ".join(
                             "%.0f %%" % (100 * statistics.median(
                                 column(part, who, key, "busy")))
                             for who in ("ours", "debian", "relay"))))
        lines += ["### UDP, %s sessions" % name.split()[1], ""]
        lines += table(*rows) + said(part)
    return lines


def tcp_table(figures):
    part = figures.get("tcp")
    if not part:
        return []
    rows = [("flows, way", "this server, Gbit per CPU-s",
             "Debian 2.4.1, Gbit per CPU-s", "ratio", "busy: this, Debian")]
    for name, _, _ in TCP_CASES:
        for way in ("down", "up"):
            key = "%s, %s" % (name, way)
            ours, debian = (column(part, who, key)
                            for who in ("ours", "debian"))
            rows.append((key, scaled(ours, 1e9), scaled(debian, 1e9),
                         ratio(ours, debian), ", ".join(
                             "%.0f %%" % (100 * statistics.median(
                                 column(part, who, key, "busy")))
                             for who in ("ours", "debian"))))
    return ["### TCP", ""] + table(*rows) + said(part)


def sessions_of(figures):
    """[(number of sessions, part), ...] of the flat parts"""
    return sorted((int(name.split()[1]), part)
                  for name, part in figures.items()
                  if name.startswith("flat "))


def flat_table(figures):
    parts = sessions_of(figures)
    if not parts:
        return []
    ways = [key for key in parts[0][1]["rounds"][0]["ours"]
            if key != "setup"]
    lines = ["### The number of sessions", ""]
    for way in ways:
        rows = [("%s: sessions" % way, "this server, 1,000 packets per CPU-s",
                 "Debian 2.4.1", "relay", "/ Debian 2.4.1")]
        for count, part in parts:
            ours, debian, relay = (column(part, who, way)
                                   for who in ("ours", "debian", "relay"))
            rows.append((count, scaled(ours, 1e3), scaled(debian, 1e3),
                         scaled(relay, 1e3), ratio(ours, debian)))
        first, last = (statistics.median(column(p, "ours", way))
                       for _, p in (parts[0], parts[-1]))
        lines += table(*rows)
        lines += ["This server, %d sessions against %d: %.2f." % (
            parts[-1][0], parts[0][0], last / first), ""]
    rows = [("set-up: sessions", "this server, sessions/s", "CPU-ms each",
             "p99, ms", "Debian 2.4.1, sessions/s", "CPU-ms each",
             "p99, ms")]
    for count, part in parts:
        row = [count]
        for who in ("ours", "debian"):
            of = [r[who]["setup"] for r in part["rounds"]]
            row += ["%.0f" % statistics.median(s["rate"] for s in of),
                    "%.3f" % statistics.median(s["cpu_ms"] for s in of),
                    "%.0f" % statistics.median(s["time_ms"]["p99"]
                                               for s in of)]
        rows.append(row)
    return lines + table(*rows) + [
        "![Packets per CPU-second against sessions]"
        "(performance-throughput.png)", "",
        "![Set-up against sessions](performance-setup.png)", ""] + said(
            *(part for _, part in parts))


def setup_table(figures):
    part = figures.get("setup")
    if not part:
        return []
    both = ("ours", "debian")

    def of(name, key):
        return [r[name][key] for r in part["rounds"]]

    first = part["rounds"][0]
    rows = [("%d sessions, RADIUS answering after 2 ms" %
             first["ours"]["sessions"], "this server", "Debian 2.4.1",
             "ratio")]
    for n in OUTSTANDING:
        rows.append(["sessions/s, %d at once (500 sessions)" % n] + [
            spread([t[str(n)] for t in of(name, "tried")], 0)
            for name in both] + [""])
    rows.append(["best of these, used below"] + [
        ", ".join(sorted({str(n) for n in of(name, "outstanding")}))
        for name in both] + [""])
    for key, what, digits in (("rate", "sessions/s", 0),
                              ("cpu_ms", "CPU-ms a session", 3)):
        rows.append([what] + [spread(of(name, key), digits) for name in both]
                    + [ratio(of("ours", key), of("debian", key))])
    for key in ("p50", "p99"):
        rows.append(["time of a set-up, %s, ms" % key] + [
            spread([t[key] for t in of(name, "time_ms")], 1)
            for name in both] + [""])
    return ["### Set-up, as fast as it goes", ""] + table(*rows) + said(part)


def scale_table(figures):
    part = figures.get("scale")
    if not part:
        return []

    def of(name, which, get):
        return [get(r[name][which]) for r in part["rounds"]]

    def row(what, get, digits, *columns):
        return [what] + [spread(of(name, which, get), digits)
                         for name, which in columns]

    every = (("ours", "2"), ("ours", "200"), ("debian", "2"))
    rows = [
        ("%d sessions, with accounting" %
         part["rounds"][0]["ours"]["2"]["sessions"],
         "this server, RADIUS in 2 ms", "RADIUS in 200 ms",
         "Debian 2.4.1, RADIUS in 2 ms"),
        row("sessions/s", lambda f: f["setup"]["rate"], 0, *every),
        row("CPU-ms a session", lambda f: f["cpu_ms"], 3, *every),
        row("time of a set-up, p50, ms",
            lambda f: f["setup"]["time_ms"]["p50"], 1, *every),
        row("time of a set-up, p99, ms",
            lambda f: f["setup"]["time_ms"]["p99"], 1, *every),
        row("failed or lost", lambda f: f["failed"] + f["lost"], 0, *every),
        row("resident at start, MiB", lambda f: f["rss_empty"] / 2**20, 1,
            *every),
        row("resident with all sessions, MiB",
            lambda f: f["rss_full"] / 2**20, 1, *every),
        row("octets a session", lambda f: f["octets"], 0, *every),
        row("idle, an echo every 10 s: CPU-ms a second",
            lambda f: f["idle_cpu_ms"], 1, every[0]) + [""] +
        row("", lambda f: f["idle_cpu_ms"], 1, every[2])[1:]]
    back = [r["ours"]["reconnect"] for r in part["rounds"]]
    return ["### 60,000 sessions", ""] + table(*rows) + [
        "All of them dropped at once and called again after 0 to 30 s "
        "(this server): all back after %s s, %s RADIUS requests and %s "
        "CPU-ms each." % tuple(
            spread([b[key] for b in back], digits) for key, digits in (
                ("seconds", 1), ("radius_requests", 2), ("cpu_ms", 3))),
        ""] + said(part)


def hooks_table(figures):
    part = figures.get("hooks")
    if not part:
        return []
    rows = [["way, per CPU-second", "never a plugin"] +
            ["%s / never" % state for state in HOOK_STATES]]
    for key in part["rounds"][0][HOOK_STATES[0]]:
        with_it = [column(part, state, key) for state in HOOK_STATES]
        without = [column(part, state + " never", key)
                   for state in HOOK_STATES]
        tcp = key.startswith("TCP")
        rows.append([key, scaled(sum(without, []), 1e9 if tcp else 1e3) +
                     (" Gbit" if tcp else " k packets")] +
                    [ratio(*pair) for pair in zip(with_it, without)])
    return ["### A plugin that is shown every packet", ""] + \
        table(*rows) + said(part)


def report(about, figures):
    lines = ["On %d processors (%s), Linux %s; Debian's l2tpns is %s.  "
             "Medians and, in brackets, ranges over the rounds." % (
                 about["cpus"], about["cpu"], about["kernel"],
                 about["debian"]), ""]
    for tables in (tcp_table, udp_tables, flat_table, setup_table,
                   scale_table, hooks_table):
        lines += tables(figures)
    return "\n".join(lines)


# -- plots

STYLE = """set terminal pngcairo size 900,420 font 'sans,10' noenhanced linewidth 2
set datafile missing '-'
set logscale x
set xtics (%(tics)s)
set xrange [%(low)d:%(high)d]
set yrange [0:*]
set grid
set xlabel 'sessions'
"""


def write_data(path, names, rows):
    with open(path, "w") as f:
        f.write("# " + " ".join(names) + "\n")
        for row in rows:
            f.write(" ".join("%g" % value for value in row) + "\n")


def gnuplot(script):
    subprocess.run(["gnuplot"], input=script, text=True, check=True,
                   timeout=60)


def plot_throughput(directory, parts, style):
    ways = [key for key in parts[0][1]["rounds"][0]["ours"]
            if key != "setup"]
    data = os.path.join(directory, "performance-throughput.dat")
    names = [(way, who) for way in ways for who in NAMES]
    write_data(data, ["sessions"] + [
        "%s-%s" % (who, way.replace(" ", "-")) for way, who in names],
        [[count] + [statistics.median(column(part, who, way)) / 1e3
                    for way, who in names] for count, part in parts])
    script = style + ("set output '%s'\nset multiplot layout 1,%d\n" % (
        data.replace(".dat", ".png"), len(ways)) +
        "set ylabel '1,000 packets per CPU-second'\nset key bottom left\n")
    for way in ways:
        script += "set title '%s octets'\nplot %s\n" % (way, ", ".join(
            "'%s' using 1:%d with linespoints title '%s'" % (
                data, 2 + names.index((way, who)), NAMES[who])
            for who in NAMES))
    gnuplot(script + "unset multiplot\n")


def plot_setup(directory, parts, style):
    data = os.path.join(directory, "performance-setup.dat")
    rows = []
    for count, part in parts:
        rows.append([count])
        for who in ("ours", "debian"):
            of = [r[who]["setup"] for r in part["rounds"]]
            rate = statistics.median(s["rate"] for s in of)
            rows[-1] += [count / rate, statistics.median(
                s["cpu_ms"] for s in of)]
    write_data(data, ["sessions", "ours-seconds", "ours-cpu-ms",
                      "debian-seconds", "debian-cpu-ms"], rows)
    script = style + "set output '%s'\nset multiplot layout 1,2\n" % (
        data.replace(".dat", ".png")) + "set key top left\n"
    for title, label, first, log in (
            ("time until all are up", "seconds", 2, True),
            ("processor time of a set-up", "CPU-ms a session", 3, False)):
        script += "set title '%s'\nset ylabel '%s'\n%s\nplot %s\n" % (
            title, label, "set logscale y\nset yrange [*:*]" if log else
            "unset logscale y\nset yrange [0:*]", ", ".join(
                "'%s' using 1:%d with linespoints title '%s'" % (
                    data, first + 2 * i, NAMES[who])
                for i, who in enumerate(("ours", "debian"))))
    gnuplot(script + "unset multiplot\n")


def plots(directory, figures):
    """Nothing without figures for two numbers of sessions."""
    parts = sessions_of(figures)
    if len(parts) < 2:
        return
    counts = [count for count, _ in parts]
    style = STYLE % {"tics": ", ".join("'%d' %d" % (c, c) for c in counts),
                     "low": counts[0] * 0.8, "high": counts[-1] * 1.25}
    plot_throughput(directory, parts, style)
    plot_setup(directory, parts, style)
