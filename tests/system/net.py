"""Network namespaces, the processes in them, and packet captures.

Every run makes three namespaces of its own, named after its process:

	lac   the access carrier      10.99.1.1 (bridge br0; the guest too)
	lns   the server              10.99.1.2 (lac0) and 10.99.2.2 (inet0)
	inet  the internet            10.99.2.1 (lns0), and RADIUS servers

The first and second are joined by 10.99.1.0/24, the second and third by
10.99.2.0/24.  Subscribers have 10.50.0.0/16, which inet routes to the server.

A process started here dies with the test run, even when that is killed; the
namespaces of runs that died are removed by the next one.
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time

PREFIX = "l2tpns-test-"

LAC_ADDR = "10.99.1.1"
LNS_ADDR = "10.99.1.2"
LNS_INET_ADDR = "10.99.2.2"
INET_ADDR = "10.99.2.1"
INET_ADDR2 = "10.99.2.3"
# What IPCP tells the subscribers; not where the carrier reaches the server.
PEER_ADDR = "10.99.9.1"
POOL = "10.50.0.0/24"
SUBSCRIBERS = "10.50.0.0/16"

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def wait_for(what, seconds, ready, step=0.05):
    """Return ready()'s first true value; TimeoutError(what) when late.

    what may be a function that makes the text when it is needed.
    """
    end = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise TimeoutError("waited %g s for %s" % (seconds, text))
        time.sleep(step)


def sh(*argv, timeout=30, check=True, stdin=None):
    """Run a command, return its output; RuntimeError if it fails."""
    done = subprocess.run(argv, timeout=timeout, text=True, input=stdin,
                          stdin=None if stdin else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode:
        raise RuntimeError("%s: exit %d\n%s" % (
            " ".join(argv), done.returncode, done.stdout))
    return done.stdout


def die_with_parent():
    """In a new child: be killed when the test run goes."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """A child in the background, its output in a file."""

    def __init__(self, argv, logfile, env=None, cwd=None, keep=()):
        self.argv = argv
        self.logfile = logfile
        self.out = open(logfile, "ab", buffering=0)
        self.child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            env=env, cwd=cwd, start_new_session=True,
            pass_fds=keep, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def log(self):
        """All that it wrote so far."""
        with open(self.logfile, errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds, start=0):
        """The first match of the regular expression, from offset start."""
        regex = re.compile(pattern, re.M)

        def look():
            found = regex.search(self.log(), start)
            if not found and not self.alive():
                raise RuntimeError("%s ended (%s) before it said %r:\n%s" % (
                    self.argv[0], self.child.returncode, pattern,
                    self.log()[-4000:]))
            return found

        return wait_for(lambda: "%r in %s:\n%s" % (
            pattern, self.logfile, self.log()[-4000:]), seconds, look)

    def send(self, number):
        if self.alive():
            self.child.send_signal(number)

    def wait(self, seconds):
        """Its exit status; subprocess.TimeoutExpired when it lives on."""
        return self.child.wait(seconds)

    def stop(self, seconds=10, number=signal.SIGTERM):
        """End it, with its process group, by force if it will not."""
        if self.out.closed:
            return self.child.returncode
        self.send(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait(10)
            self.out.close()


class Namespace:
    """One network namespace."""

    def __init__(self, name):
        self.name = name
        sh("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def argv(self, *argv):
        """The command that runs a command in here."""
        return ["ip", "netns", "exec", self.name] + list(argv)

    def run(self, *argv, timeout=30, check=True, stdin=None):
        return sh(*self.argv(*argv), timeout=timeout, check=check,
                  stdin=stdin)

    def ip(self, command):
        """ip(8) in here, the command in one string."""
        return sh("ip", "-n", self.name, *command.split())

    def sysctl(self, key, value):
        self.run("sysctl", "-qw", "%s=%s" % (key, value))

    def start(self, argv, logfile, env=None, cwd=None):
        return Process(self.argv(*argv), logfile, env=env, cwd=cwd)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0):
        """A socket that lives in here, for the use of this process.

        Only the calling thread visits the namespace, and comes back.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns " + self.name)
            try:
                return socket.socket(family, kind, proto)
            finally:
                if libc.setns(home, CLONE_NEWNET):
                    os._exit(99)    # lost in a foreign network
        finally:
            os.close(home)
            os.close(there)

    def udp_bound(self, port):
        """Is anybody bound to this UDP port?"""
        return bool(self.run("ss", "-Hlnu", "sport = :%d" % port).strip())

    def pids(self):
        out = sh("ip", "netns", "pids", self.name, check=False)
        return [int(p) for p in out.split()]

    def remove(self):
        """Kill who is left in here, and remove it."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        sh("ip", "netns", "del", self.name, check=False)


def remove_stale():
    """Remove the namespaces of runs that are no more."""
    for line in sh("ip", "netns", "list").splitlines():
        found = re.match(re.escape(PREFIX) + r"(\d+)-\w+", line)
        if found and not os.path.exists("/proc/" + found.group(1)):
            stale = Namespace.__new__(Namespace)
            stale.name = found.group(0)
            stale.remove()


class Net:
    """The three namespaces and what joins them."""

    def __init__(self):
        remove_stale()
        self.names = []
        try:
            self.lac = self.make("lac")
            self.lns = self.make("lns")
            self.inet = self.make("inet")
            self.join()
        except BaseException:
            self.remove()
            raise

    def make(self, word):
        name = "%s%d-%s" % (PREFIX, os.getpid(), word)
        space = Namespace(name)
        self.names.append(space)
        # Nobody here speaks IPv6, and silence makes captures readable.
        space.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        space.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        # What a test leaves unsent when it ends its TCP is not to be sent
        # again into the next one.
        space.sysctl("net.ipv4.tcp_orphan_retries", 1)
        return space

    def join(self):
        lac, lns, inet = self.lac, self.lns, self.inet
        sh("ip", "link", "add", "lns0", "netns", lac.name, "type", "veth",
           "peer", "name", "lac0", "netns", lns.name)
        sh("ip", "link", "add", "inet0", "netns", lns.name, "type", "veth",
           "peer", "name", "lns0", "netns", inet.name)
        lac.ip("link add br0 type bridge")
        lac.ip("link set lns0 master br0")
        lac.ip("addr add %s/24 dev br0" % LAC_ADDR)
        lac.ip("link set lns0 up")
        lac.ip("link set br0 up")
        lns.ip("addr add %s/24 dev lac0" % LNS_ADDR)
        lns.ip("addr add %s/24 dev inet0" % LNS_INET_ADDR)
        lns.ip("link set lac0 up")
        lns.ip("link set inet0 up")
        lns.sysctl("net.ipv4.ip_forward", 1)
        inet.ip("addr add %s/24 dev lns0" % INET_ADDR)
        inet.ip("addr add %s/24 dev lns0" % INET_ADDR2)
        inet.ip("link set lns0 up")
        inet.ip("route add %s via %s" % (SUBSCRIBERS, LNS_INET_ADDR))

    def remove(self):
        for space in self.names:
            space.remove()
        self.names = []


class Capture:
    """tcpdump on an interface; stopped, tshark reads what it saw."""

    def __init__(self, space, interface, path, what="udp"):
        self.path = path
        self.process = space.start(
            ["tcpdump", "-i", interface, "--immediate-mode", "-U", "-s", "0",
             "-B", "16384",
             "-Z", "root", "-w", path, what], path + ".log")
        try:
            self.process.wait_log("listening on", 10)
        except BaseException:
            self.process.stop(5)
            raise

    def stop(self):
        """End it; give the last packets a moment to reach it first."""
        time.sleep(0.3)
        self.process.stop(10, signal.SIGINT)
        return self.path


def tshark(path, display="", fields=(), options=(), timeout=60):
    """Decode a capture.

    With fields: one list of the fields' values for every packet that the
    display filter chooses, a value being a list, as a field may come often.
    Without: the text of tshark -V.
    """
    argv = ["tshark", "-n", "-r", path]
    for option in options:
        argv += ["-o", option]
    if display:
        argv += ["-Y", display]
    if fields:
        argv += ["-T", "fields", "-E", "separator=/t", "-E",
                 "aggregator=|"]
        for field in fields:
            argv += ["-e", field]
    else:
        argv += ["-V"]
    done = subprocess.run(argv, timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError("tshark: " + done.stderr)
    if not fields:
        return done.stdout
    return [[value.split("|") if value else [] for value in line.split("\t")]
            for line in done.stdout.splitlines()]


class TcpSource:
    """A TCP server in this process that sends data, or takes and keeps it.

    Give it data and it sends them to whoever connects; without, it keeps
    what comes in, in received, and sets finished at the end.  One peer only.

    What it lets be under way is little, so that no queue between here and
    the peer is ever full, not on a busy machine either: nothing is lost
    where nobody counts it.
    """

    WINDOW = 65536

    def __init__(self, space, port, data=None):
        self.data = data
        self.received = bytearray()
        self.finished = threading.Event()
        self.socket = space.socket(kind=socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, self.WINDOW)
        self.socket.settimeout(120)
        self.socket.bind(("0.0.0.0", port))
        self.socket.listen(1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            peer, _ = self.socket.accept()
            with peer:
                peer.settimeout(120)
                if self.data is not None:
                    peer.sendall(self.data)
                    peer.shutdown(socket.SHUT_WR)
                while True:
                    chunk = peer.recv(65536)
                    if not chunk:
                        break
                    self.received += chunk
                self.finished.set()
        except OSError:
            pass    # finished stays unset: the test sees that

    def close(self):
        self.socket.close()
        self.thread.join(5)
