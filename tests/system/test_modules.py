"""The plugins that come with it, in the real daemon, and the one of PLUGINS.md.

FreeRADIUS sends the Cisco-AVPairs, one of our own carriers (lac.py) brings the
subscribers, nsctl is the built one.
"""

import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import daemon as daemon_module
import lac as lac_module
from lac import Lac, Refused
from net import INET_ADDR, TcpSource, wait_for
from plugdir import OURS, put, run
from plugdir import plugin_dir      # fixture
from terminal import Terminal

WORD = "the password of the test"
PORT = 9123             # of the copies

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference has plugins of its own")


class Scene:
    """Users by their Cisco-AVPairs, the daemon, a tunnel, a terminal."""

    def __init__(self, net, daemon, radius, plugin_dir, users, plugins,
                 **config):
        self.net = net
        self.radius = radius({name: (WORD, {"Cisco-AVPair": pairs} if pairs
                                     else {})
                              for name, pairs in users.items()})
        keys = {"plugin_dir": plugin_dir, "radius_accounting": True,
                "radius_secret": self.radius.secret,
                "primary_radius": self.radius.address,
                "snoop_host": INET_ADDR, "snoop_port": PORT}
        keys.update(config)
        self.lns = daemon(config=keys, lines=["load plugin " + name
                                              for name in plugins])
        for name in plugins:
            assert "plugin %s loaded" % name in self.lns.log()
        self.lac = Lac(net.lac)
        self.lac.connect()
        self.terminal = Terminal(net.lns)
        self.terminal.enable()

    def online(self, user):
        call = self.lac.call()
        call.online(user, WORD)
        call.sid = self.sid(user)
        return call

    def sid(self, user):
        found = re.search(r"^ *(\d+) +\d+ %s " % re.escape(user),
                          self.terminal.run("show session"), re.M)
        return int(found.group(1)) if found else None

    def rates(self, call):
        """(in, out) in kbit/s; 0 is full speed."""
        rows = [line.split() for line in self.terminal.run(
            "show throttle").splitlines()]
        got = {row[2]: int(row[3]) for row in rows
               if len(row) > 10 and row[1] == str(call.sid)}
        return got.get("in", 0), got.get("out", 0)

    def target(self, call):
        """Where copies go: "IP:PORT" or "no"."""
        return re.search(r"Intercepted:?\s+(\S+)", self.terminal.run(
            "show session %d" % call.sid)).group(1)

    def nsctl(self, *words):
        """Exit status, and what was printed."""
        status, out, err = run(self.net.lns, OURS, *words)
        return status, out + err

    def close(self):
        self.terminal.close()
        self.lac.stop()
        self.lac.close()


@pytest.fixture
def scene(net, daemon, radius, plugin_dir):
    made = []

    def make(users, plugins, **config):
        made.append(Scene(net, daemon, radius, plugin_dir, users, plugins,
                          **config))
        return made[-1]

    yield make
    for one in made:
        one.close()


def listen(space, port):
    sock = space.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((INET_ADDR, port))
    sock.settimeout(5)
    return sock


def drain(sock):
    """All that is there, and what comes within half a second more."""
    got = []
    sock.settimeout(0.5)
    try:
        while True:
            got.append(sock.recv(65536))
    except socket.timeout:
        return got


# -- by RADIUS

def udp(source, payload):
    head = b"\x0f\xa0\x0f\xa1" + (8 + len(payload)).to_bytes(2, "big") + \
        b"\0\0"
    return lac_module.ip_packet(source, INET_ADDR, 17, head + payload)


def test_throttled_and_intercepted_from_the_first_packet(net, scene):
    """100 packets of 1,028 octets at once, each way: at 64 kbit/s that takes
    13 s.  The way up is copied before it is throttled, the way down after."""
    one = scene({"joe": "throttle=yes,intercept=yes"},
                ["autothrottle", "autosnoop"], throttle_speed=64)
    far, copies = listen(net.inet, 4001), listen(net.inet, PORT)
    call = one.lac.call()
    call.online("joe", WORD)
    sent = [udp(call.address, b"%03d" % n + bytes(997)) for n in range(100)]
    for packet in sent:
        call.send_ppp(lac_module.IP, packet)
    up = drain(far)
    assert 1 <= len(up) <= 40 and up[0][:3] == b"000"
    assert drain(copies) == sent
    call.packets.clear()
    for n in range(100):
        far.sendto(b"%03d" % n + bytes(997), (call.address, 4000))
    call.lac.pump(1)
    down = [p for p in call.packets if p[9] == 17]
    assert 1 <= len(down) <= 40 and down[0][28:31] == b"000"
    assert drain(copies)[:len(down)] == down
    call.sid = one.sid("joe")
    assert one.rates(call) == (64, 64)
    assert one.target(call) == "%s:%d" % (INET_ADDR, PORT)
    one.lns.wait_log("interception of joe begins: .*by plugin autosnoop")


@pytest.mark.guest
def test_pppd_from_its_first_packet(net, guest, scene):
    """The copies are as many octets as pppd counted, each way."""
    one = scene({"joe": "throttle=yes,intercept=yes"},
                ["autothrottle", "autosnoop"], throttle_speed=200)
    copies = listen(net.inet, PORT)
    source = TcpSource(net.inet, 5001, bytes(100000))
    guest.dial("joe", WORD)
    own = socket.inet_aton(guest.wait_up()[0])
    begin = time.monotonic()
    guest.check("nc %s 5001 </dev/null >/dev/null" % INET_ADDR, 60)
    assert time.monotonic() - begin > 100000 * 8 / 200000 * 0.9
    source.close()
    guest.hangup()
    assert guest.udp_losses() == 0
    got = drain(copies)
    octets = (sum(len(p) for p in got if p[12:16] == own),
              sum(len(p) for p in got if p[16:20] == own))
    assert octets == guest.sent_received()
    assert octets[1] > 100000


def test_forms_of_throttle(scene):
    cisco = "lcp:interface-config#%d=service-policy %s"
    forms = {
        "yes": ("throttle=yes", (64, 64)),
        "rate": ("throttle=512", (512, 512)),
        "ways": ("throttle=in 512 out 2000", (512, 2000)),
        "down": ("intercept=no, throttle = out 2000", (0, 2000)),
        "cisco": ([cisco % (1, "input 512"), cisco % (2, "output 2000")],
                  (512, 2000)),
        "last": (["throttle=512", "throttle=no"], (0, 0)),
        "none": (None, (0, 0)),
        "fast": ("throttle=fast", (0, 0)),
        "gold": (["throttle=512", cisco % (1, "input GOLD")], (512, 512)),
    }
    one = scene({name: pairs for name, (pairs, _) in forms.items()},
                ["autothrottle"], throttle_speed=64)
    for name, (_, rates) in forms.items():
        assert (name, one.rates(one.online(name))) == (name, rates)
    faults = re.findall(r"autothrottle: not done: (.*)", one.lns.log())
    assert faults == ["throttle=fast: that is no rate",
                      "lcp:interface-config#1=service-policy input GOLD: "
                      "that is no rate"]
    # The global setting comes first.
    one.terminal.configure()
    one.terminal.run("set throttle_speed 0")
    one.terminal.run("exit")
    assert one.rates(one.online("rate")) == (0, 0)
    one.lns.wait_log("throttle=512: throttle_speed is 0")


def test_forms_of_intercept(scene):
    forms = {
        "there": ("intercept=192.0.2.7:99", "192.0.2.7:99"),
        "maybe": ("intercept=maybe", "no"),
        "both": (["intercept=yes", "intercept=no"], "no"),
        "unset": ("intercept=yes", "no"),
    }
    one = scene({name: pairs for name, (pairs, _) in forms.items()},
                ["autosnoop"], snoop_port=0)
    # Who may not know it does not hear of it.
    stranger = Terminal(one.net.lns)
    stranger.run("debug all")
    for name, (_, target) in forms.items():
        assert (name, one.target(one.online(name))) == (name, target)
    one.lns.wait_log("intercept=maybe: that is not yes, no or ADDRESS:PORT")
    one.lns.wait_log("intercept=yes: set snoop_host and snoop_port")
    heard = stranger.run("no debug")
    assert "Access-Accept" in heard and "intercept" not in heard
    stranger.close()


# -- by nsctl

def test_throttlectl_and_snoopctl(scene):
    one = scene({"joe": None}, ["throttlectl", "snoopctl"],
                throttle_speed=64)
    call = one.online("joe")
    sid = call.sid
    for words, rates in (("throttle joe", (64, 64)),
                         ("throttle %d out 2000" % sid, (64, 2000)),
                         ("throttle joe in 512", (512, 2000)),
                         ("throttle joe 100", (100, 100))):
        assert one.nsctl(*words.split()) == (
            0, "Throttling session %d: in %d out %d kbit/s\n" % (
                (sid,) + rates))
        assert one.rates(call) == rates
    assert one.nsctl("throttle", "joe", "fast")[0] == 1
    assert one.rates(call) == (100, 100)
    assert one.nsctl("unthrottle", "joe") == (
        0, "Unthrottling session %d\n" % sid)
    assert one.rates(call) == (0, 0)
    assert one.nsctl("snoop", "joe", "192.0.2.7", "99") == (
        0, "Snooping session %d to 192.0.2.7:99\n" % sid)
    assert one.target(call) == "192.0.2.7:99"
    assert one.nsctl("snoop", str(sid)) == (
        0, "Snooping session %d to %s:%d\n" % (sid, INET_ADDR, PORT))
    assert one.target(call) == "%s:%d" % (INET_ADDR, PORT)
    assert one.nsctl("unsnoop", "joe") == (
        0, "Not snooping session %d\n" % sid)
    assert one.target(call) == "no"
    for word in "throttle", "unthrottle", "snoop", "unsnoop":
        assert one.nsctl(word, "ann") == (
            1, "nsctl: User not connected: ann\n")
        assert one.nsctl(word, "99") == (
            1, "nsctl: Session not connected: 99\n")
        assert one.nsctl(word)[0] == 2      # the client knows it
    status, text = one.nsctl("help")
    assert "  throttle USER|SID [RATE" in text and "  snoop USER|SID" in text
    log = one.lns.log()
    assert "nsctl from 127.0.0.1: throttle joe in 512: done" in log
    assert "nsctl from 127.0.0.1: unsnoop joe: done" in log
    assert "interception of joe begins: copies to 192.0.2.7 port 99, by " \
        "plugin snoopctl" in log


def test_sessionctl(scene):
    one = scene({"joe": None, "ann": None}, ["sessionctl"])
    joe, ann = one.online("joe"), one.online("ann")
    assert one.nsctl("drop", "joe", "has", "not", "paid") == (
        0, "Dropping session %d\n" % joe.sid)
    one.lac.wait("CDN", lambda: joe.closed)
    assert joe.closed[lac_module.A_RESULT] == b"\0\3\0\0has not paid"
    assert one.nsctl("kill", str(ann.sid)) == (
        0, "Killing session %d\n" % ann.sid)
    wait_for("nobody", 5, lambda: one.sid("ann") is None)
    one.lac.pump(1)
    assert ann.closed is None
    for user in "joe", "ann":
        stop, = one.radius.wait_ledger(1, user, "Stop")
        assert stop["Acct-Terminate-Cause"] == "Admin-Reset"
    for word in "drop", "kill":
        assert one.nsctl(word, "joe") == (
            1, "nsctl: User not connected: joe\n")
    log = one.lns.log()
    assert "nsctl from 127.0.0.1: drop joe has not paid: done" in log
    assert "kill by nsctl" in log


# -- names and speeds

def test_stripdomain_and_setrxspeed(scene):
    one = scene({"joe": None}, ["stripdomain", "setrxspeed"])
    call = one.lac.call()
    call.online("joe@example.net", WORD)
    sid = one.sid("joe")
    assert sid is not None
    assert [r["User-Name"] for r in one.radius.requests()] == ["joe"]
    one.radius.wait_ledger(1, "joe", "Start")
    text = one.terminal.run("show session %d" % sid)
    assert re.search(r"Rx Speed:?\s+10000000\b", text), text


# -- a plugin of one's own

def test_the_example_of_the_document(scene, plugin_dir, tmp_path):
    """Compiled and used as PLUGINS.md says."""
    with open(os.path.join(daemon_module.TOP, "Docs", "PLUGINS.md")) as f:
        text = f.read()
    source, = re.findall(r"^```c\n(.*?)^```$", text, re.M | re.S)
    build, install = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    (tmp_path / "laclimit.c").write_text(source)
    subprocess.run(["sh", "-ec", build.replace(
        "-I/usr/include/l2tpns", "-Werror -I" + daemon_module.TOP)],
        cwd=tmp_path, check=True)
    if shutil.which("c++"):
        subprocess.run(["c++", "-x", "c++", "-fsyntax-only", "-Wall",
                        "-Werror", "-I" + daemon_module.TOP, "laclimit.c"],
                       cwd=tmp_path, check=True)
    assert "nsctl laclimit 500\n" in install
    one = scene({"joe": None, "ann": None}, [])
    put(tmp_path / "laclimit.so", plugin_dir)
    assert one.nsctl("load_plugin", "laclimit") == (0, "")
    assert "  laclimit [NUMBER]" in one.nsctl("help")[1]
    assert one.nsctl("laclimit") == (0, "At most 0 sessions per tunnel\n")
    assert one.nsctl("laclimit", "1") == (
        0, "At most 1 sessions per tunnel\n")
    joe = one.online("joe")
    with pytest.raises(Refused, match="authentication"):
        one.online("ann")
    one.lns.wait_log("laclimit: ann is refused, lac.test has 2 sessions")
    assert re.search(r"laclimit\.refused +1\b",
                     one.terminal.run("show counters"))
    assert one.nsctl("unload_plugin", "laclimit") == (0, "")
    one.online("ann")
    assert joe.ping(INET_ADDR) == 1
