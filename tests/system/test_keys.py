"""Every key, from the table: set, shown, written, read again, refused."""

import os
import re
import subprocess

import pytest

import daemon as daemon_module
from net import wait_for
from terminal import Terminal

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="about this daemon only")

# Docs/config.md is written from the table, and `make check` sees to that.
ROW = re.compile(r"^\| `(\w+)` \| (\w+)(?: (-?\d+)\.\.(\d+))?(?: of (\d+))?"
                 r"[^|]* \| (?:`(.*?)`|empty) \| (at once|at start|not yet) \|")


def keys():
    with open(os.path.join(daemon_module.TOP, "Docs", "config.md")) as f:
        return [found for found in map(ROW.match, f) if found]


def values(row):
    """A value that is not the default, as typed and as shown; and bad ones."""
    name, kind, low, high, longest, default, _ = row.groups()
    text = '"/tmp/it\'s there"' if re.search("_(file|dir)$", name) else \
        '"x1"' if longest or re.match("hostname|bgp_peer", name) else \
        '"it\'s so"'
    garbage = ["nonsense", "1.2.3", '""', "99999999999999999999", "-"]
    if kind == "int":
        value = low if default == high else high
        return value, value, garbage + [str(int(low) - 1), str(int(high) + 1)]
    if kind == "boolean":
        return ("no",) * 2 + (garbage,) if default == "yes" else \
            ("TRUE", "yes", garbage)
    if kind == "address":
        return "239.1.2.3", "239.1.2.3", garbage + ["1.2.3.256", "1.2.3.4/8"]
    if kind == "list":
        return "PAP", "pap", garbage + ["pap,pap", "mschap"]
    if kind == "choice":
        return "yes", "yes", garbage
    too_long = '"/%s"' % ("x" * int(longest or 255))
    return text, text, [too_long] + (['"****"'] if kind == "secret" else [])


def running(console):
    said = console.run("show running-config")
    lines = said.strip().split("\n")
    assert lines[0] == "# Current configuration:" and lines[-1] == "# end"
    return dict(line.split(" ", 2)[1:] for line in lines
                if line.startswith("set "))


def test_every_key(daemon, tmp_path):
    server = daemon(config=dict.fromkeys(daemon_module.DEFAULTS))
    console = Terminal(server.space)
    console.run("enable")
    console.run("terminal width 0")
    table = [row for row in keys() if row[1] != "log_file"]
    assert len(table) > 60
    before = running(console)
    assert set(before) == {row[1] for row in table} | {"log_file"}

    console.run("configure terminal")
    want = dict(before)
    for row in table:
        name = row[1]
        typed, shown, garbage = values(row)
        for bad in garbage:
            said = console.run("set %s %s" % (name, bad))
            assert name in said and "Setting" not in said, (name, bad)
        said = console.run("set %s %s" % (name, typed))
        assert said.startswith('Setting "%s" to' % name), (name, said)
        assert ("after a restart" in said) == (row[7] == "at start"), said
        want[name] = shown
    for unknown in "nonsense", "Debug", "debug_":
        said = console.run("set %s 1" % unknown)
        assert said.strip() == 'Unknown variable "%s"' % unknown
    console.run("exit")
    assert running(console) == want

    assert "Error" not in console.run("write memory")
    path = os.path.join(server.directory, "startup-config")
    done = subprocess.run([daemon_module.program(), "-t", "-c", path],
                          text=True, timeout=30, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
    assert "loaded again" in console.run("reload")
    assert running(console) == want

    # Back by pasting what there was, in the order in which it is printed.
    console.run("configure terminal")
    for name, value in before.items():
        said = console.run("set %s %s" % (name, value))
        assert "Setting" in said, said
    console.run("exit")
    assert running(console) == before


def test_debian_s_own_file_loads(daemon):
    """What the package l2tpns 2.4.1 installs, where it is installed."""
    path = "/etc/l2tpns/startup-config"
    if not os.path.exists(path) or "throttle_buckets" not in open(path).read():
        pytest.skip("Debian's l2tpns is not installed")
    server = daemon()
    with open(path) as f:
        server.write("startup-config", f.read().replace(
            "/var/log/l2tpns", os.path.join(server.directory, "log")))
    server.reload()
    log = os.path.join(server.directory, "log")
    wait_for("the file to be loaded", 10, lambda: os.path.exists(log) and
             "loaded again" in open(log).read())
    assert "unknown" not in server.log() + open(log).read()
