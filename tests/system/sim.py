"""lacsim and radresp, the carrier and the RADIUS server for thousands.

Both are built by `make -C tests/bench`; $LACSIM and $RADRESP name others.
"""

import json
import os
import signal
import subprocess
import time

import daemon
import net

SECRET = "radius secret of the tests"

# Further addresses of the carrier: --source SOURCES.
SOURCES = "10.98.0.0/24"


def program(name):
    path = os.environ.get(name.upper(), os.path.join(
        daemon.TOP, "build", "bench", name))
    if not os.access(path, os.X_OK):
        raise RuntimeError("no %s: make -C tests/bench" % path)
    return path


def add_sources(network):
    """Let lacsim speak from SOURCES, and the server answer there."""
    network.lac.ip("route replace local %s dev lo" % SOURCES)
    network.lns.ip("route replace %s via %s" % (SOURCES, net.LAC_ADDR))


class Tool:
    """A program of tests/bench that writes a summary in JSON at its end."""

    def __init__(self, space, directory, name, argv, nice=0):
        os.makedirs(directory, exist_ok=True)
        self.json = os.path.join(directory, "%s.json" % name)
        self.process = space.start(
            ["nice", "-n", str(nice)] + argv + ["--json", self.json],
            os.path.join(directory, "%s.log" % name))

    def log(self):
        return self.process.log()

    def result(self, seconds=60):
        """Wait for its end; what it found, and its exit status."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError("it goes on after %g s:\n%s" % (
                seconds, self.log()[-3000:])) from None
        if not os.path.exists(self.json):
            raise RuntimeError("it left no summary:\n" + self.log()[-3000:])
        with open(self.json) as f:
            return json.load(f)

    def end(self, seconds=60):
        """Ask it to end in its own way; what it found."""
        self.process.send(signal.SIGTERM)
        return self.result(seconds)

    def kill(self):
        self.process.stop(1, signal.SIGKILL)


class LacSim(Tool):
    """lacsim in the carrier's namespace: LacSim(space, dir, sessions=10).

    Options are lacsim's own, with _ for -; True is an option without value.
    """

    def __init__(self, space, directory, name="lacsim", nice=0, **options):
        self.status_file = os.path.join(directory, "%s.status" % name)
        options.setdefault("lns", net.LNS_ADDR)
        options.setdefault("status", self.status_file)
        argv = [program("lacsim")]
        for key, value in options.items():
            argv.append("--" + key.replace("_", "-"))
            if value is not True:
                argv.append(str(value))
        Tool.__init__(self, space, directory, name, argv, nice)

    def status(self):
        """The figures of the last second, {} when there are none yet."""
        try:
            with open(self.status_file) as f:
                return json.load(f)
        except FileNotFoundError:
            return {}

    def wait_status(self, what, seconds, test):
        """Until test(status) is true, at the grain of a second."""
        def look():
            if not self.process.alive():
                raise RuntimeError("lacsim ended before %s:\n%s" % (
                    what, self.log()[-3000:]))
            now = self.status()
            return now if now and test(now) else None
        return net.wait_for(lambda: "%s:\n%s" % (what, self.log()[-3000:]),
                            seconds, look)

    def wait_hold(self, seconds=60):
        """Until every session is up or has failed."""
        return self.wait_status("the hold", seconds,
                                lambda now: now["state"] == "hold")


class RadResp(Tool):
    """radresp in the internet's namespace; it says yes to everybody."""

    def __init__(self, space, directory, address=net.INET_ADDR, **options):
        argv = [program("radresp"), "--bind", address, "--secret", SECRET]
        if not {"password", "accept_file"} & set(options):
            options["any"] = True
        for key, value in options.items():
            argv.append("--" + key.replace("_", "-"))
            if value is not True:
                argv.append(str(value))
        Tool.__init__(self, space, directory, "radresp-" + address, argv)
        net.wait_for("radresp to listen", 10, lambda: space.run(
            "ss", "-Hlnu", "src = %s:1812" % address).strip())

    def turn_silence(self):
        """From answering to silence, or back."""
        self.process.send(signal.SIGUSR2)

    def summary(self):
        """What it has seen so far."""
        if os.path.exists(self.json):
            os.unlink(self.json)
        self.process.send(signal.SIGUSR1)
        net.wait_for("radresp's summary", 10,
                     lambda: os.path.exists(self.json))
        with open(self.json) as f:
            return json.load(f)


# -- a process looked at from outside

def rss(pid):
    """Resident memory in bytes."""
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def cpu_seconds(pid):
    """On the processor so far, user and system."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def quote(name, figures):
    """Keep and print figures that a document may cite."""
    directory = os.path.join(daemon.TOP, "build", "results")
    os.makedirs(directory, exist_ok=True)
    figures = dict(figures, date=time.strftime("%Y-%m-%d %H:%M:%S"),
                   load=os.getloadavg()[0])
    with open(os.path.join(directory, name + ".json"), "w") as f:
        json.dump(figures, f, indent=1)
    print(name, json.dumps(figures))
