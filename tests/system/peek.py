"""The counters of a running daemon, read out of its memory.

The names and their order come from COUNTERS() in counters.h, the place from
the program's symbol table.
"""

import os
import re
import struct

import daemon
import net


def names():
    with open(os.path.join(daemon.TOP, "counters.h")) as f:
        return re.findall(r"^\s*X\((\w+),", f.read(), re.M)


def place(pid, symbol="counters"):
    """The address of a variable in the process."""
    program = os.readlink("/proc/%d/exe" % pid)
    found = re.search(r"^([0-9a-f]+) [Bb] %s$" % symbol,
                      net.sh("nm", program), re.M)
    if not found:
        raise RuntimeError("%s has no symbol `%s`" % (program, symbol))
    with open("/proc/%d/maps" % pid) as f:
        for line in f:
            if line.rstrip().endswith(program):
                return int(line.split("-")[0], 16) + int(found.group(1), 16)
    raise RuntimeError("%s is not mapped in %d" % (program, pid))


def counters(pid):
    """{name: value} of the daemon with this process id."""
    rows = names()
    with open("/proc/%d/mem" % pid, "rb") as f:
        f.seek(place(pid))
        data = f.read(8 * len(rows))
    return dict(zip(rows, struct.unpack("=%dQ" % len(rows), data)))


def longest_stall(pid):
    """Microseconds of the longest turn of its loop."""
    with open("/proc/%d/mem" % pid, "rb") as f:
        f.seek(place(pid, "stall_usec"))
        return struct.unpack("=Q", f.read(8))[0]


def forget_stall(pid):
    """longest_stall() is of the time from now on."""
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as f:
        f.seek(place(pid, "stall_usec"))
        f.write(bytes(8))
