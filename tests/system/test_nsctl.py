"""nsctl and plugins: our client, Debian's, forgers, and hostile files.

Debian's nsctl 2.4.1 is run as it comes; requests that it cannot make are made
here by hand from the drawing in control_proto.h.
"""

import contextlib
import hashlib
import hmac
import os
import random
import socket
import struct
import time

import pytest

import daemon as daemon_module
import peek
import sim
from net import LAC_ADDR, LNS_ADDR, wait_for
from plugdir import OURS, run
from plugdir import plugin_dir      # fixture

DEBIANS = "/usr/sbin/nsctl"
SECRET = "the secret of the test, which is long"
PORT = 1702

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference knows no signatures")


@pytest.fixture
def server(daemon, plugin_dir):
    return daemon(config={"plugin_dir": plugin_dir, "nsctl_secret": SECRET})


def body(kind, *args):
    return bytes([kind, len(args)]) + b"".join(
        bytes([len(a)]) + a for a in args) + b"\xff"


def v2(kind, *args):
    return b"\x90\x13" + body(kind, *args)


def v1(kind, *args, ident=0x11223344):
    data = b"".join(a + b"\0" for a in args)
    return struct.pack("!HHHI", 0x9012, kind, 10 + len(data), ident) + data


def signed(kind, *args, secret=SECRET, off=0.0, label=b"request"):
    data = struct.pack("!HQI", 0x9014, int((time.time() + off) * 1e6),
                       random.getrandbits(32)) + body(kind, *args)
    return data + hmac.new(secret.encode(), b"l2tpns nsctl " + label + b"\0" +
                           data, hashlib.sha256).digest()[:16]


@contextlib.contextmanager
def udp(space, address="0.0.0.0", port=0):
    with space.socket() as s:
        s.bind((address, port))
        s.settimeout(0.5)
        yield s


def ask(s, data, to):
    """The answer, or None."""
    s.sendto(data, (to, PORT))
    try:
        return s.recvfrom(65536)[0]
    except socket.timeout:
        return None


# --- clients -----------------------------------------------------------------

NO_GARDEN = "the module garden is not loaded"


@pytest.mark.skipif(not os.access(DEBIANS, os.X_OK),
                    reason="needs Debian's l2tpns")
def test_debians_nsctl(net, server, capture):
    seen = capture(net.lns, "lo", "udp port 1702")

    def debian(*argv):
        return run(net.lns, DEBIANS, *argv)

    assert debian("load_plugin", "answer") == (0, "", "")
    assert debian("echo", "hello", "world") == (0, "hello\nworld\n", "")
    status, out, err = debian("fail")
    assert status == 1 and "it went wrong" in out + err
    status, out, err = debian("load_plugin", "answer")
    assert status == 1 and "loaded already" in out + err
    status, out, err = debian("help")
    assert status == 0 and "Load named plugin" in out
    assert "  ticks  " in out
    for word in "garden", "ungarden":
        status, out, err = debian(word, "12")
        assert status == 1 and NO_GARDEN in out + err
    assert debian("unload_plugin", "answer") == (0, "", "")
    status, out, err = debian("echo", "hello")
    assert status == 1 and "unknown command: echo" in out + err
    assert os.path.getsize(seen.stop()) > 1000
    assert "nsctl from 127.0.0.1: load_plugin answer: done" in server.log()


def test_our_nsctl(net, server):
    def ours(*argv, **env):
        return run(net.lns, OURS, *argv, env=env)

    assert ours("load_plugin", "answer") == (0, "", "")
    for where in ([], ["127.0.0.1"], ["localhost"], ["-h", "127.0.0.1"],
                  [LNS_ADDR], ["-h", "127.0.0.1:1702"], ["127.0.0.1:1702"]):
        assert ours(*where, "echo", "a b", "c") == (0, "a b\nc\n", "")
        status, out, err = ours(*where, "garden", "12")
        assert (status, out) == (1, "") and NO_GARDEN in err
    assert ours("fail") == (1, "", "nsctl: it went wrong\n")
    assert ours("plain") == (0, "", "")
    status, out, err = ours("help")
    assert status == 0 and out.startswith("Available commands:\n")
    assert "  ticks  " in out
    assert ours("long", "1000") == (0, 3 * ("x" * 255 + "\n") +
                                    "x" * 235 + "\n", "")
    # The old protocol.
    assert ours("-1", "unload_plugin", "answer") == (0, "", "")
    status, out, err = ours("-1", "127.0.0.1", "ungarden", "12")
    assert status == 1 and NO_GARDEN in err
    assert ours("-1", "help")[0] == 2
    # Signed, where it need not be; and wrongly signed.
    assert ours("help", NSCTL_SECRET=SECRET)[0] == 0
    status, out, err = ours("-t", "0.3", "help", NSCTL_SECRET="wrong")
    assert (status, out) == (3, "") and "timed out" in err
    # What never leaves.
    assert ours()[0] == 2
    assert ours("-x")[0] == 2
    assert ours("--help")[0] == 0
    status, out, err = ours("garden")
    assert status == 2 and "Not enough parameters for garden" in err
    assert ours("load_plugin")[0] == 2
    assert ours("127.0.0.1")[0] == 2
    assert ours("echo", "x" * 256)[0] == 2
    status, out, err = ours("drop", "a\tb")
    assert status == 2 and "control character" in err
    status, out, err = ours("-h", "127.0.0.1:9", "help")
    assert status == 3 and "nobody listens" in err


def test_taken_without_an_answer(net, server):
    assert run(net.lns, OURS, "load_plugin", "answer")[0] == 0
    begin = time.monotonic()
    status, out, err = run(net.lns, OURS, "-t", "1", "mute")
    assert (status, out) == (3, "") and "timed out" in err
    assert 0.9 < time.monotonic() - begin < 5


def test_from_another_machine(net, server, tmp_path):
    key = tmp_path / "key"
    key.write_text(SECRET + "\n")
    key.chmod(0o600)
    status, out, err = run(net.lac, OURS, "-k", str(key), LNS_ADDR,
                           "load_plugin", "answer")
    assert (status, out, err) == (0, "", "")
    assert run(net.lac, OURS, "-h", LNS_ADDR, "echo", "far",
               env={"NSCTL_SECRET": SECRET}) == (0, "far\n", "")
    assert "nsctl from %s: echo far: done" % LAC_ADDR in server.log()
    for secret in "", "wrong":
        status, out, err = run(net.lac, OURS, "-t", "0.5", LNS_ADDR, "help",
                               env={"NSCTL_SECRET": secret})
        assert (status, out) == (3, "") and "timed out" in err
    key.chmod(0o644)
    assert run(net.lac, OURS, "-k", str(key), LNS_ADDR, "help")[0] == 2
    # The secret is changed, one end after the other.
    server.write_config(nsctl_secret="a new secret, which is long too",
                        nsctl_secret_old=SECRET)
    server.reload()
    server.wait_log("configuration loaded again")
    assert run(net.lac, OURS, LNS_ADDR, "help",
               env={"NSCTL_SECRET": SECRET})[0] == 0
    assert run(net.lac, OURS, LNS_ADDR, "help", env={
        "NSCTL_SECRET": "a new secret, which is long too"})[0] == 0


def test_both_versions_by_hand(net, server):
    with udp(net.lns, port=1703) as s:
        assert ask(s, v2(0x11, b"answer"), "127.0.0.1") == v2(0x21)
        assert ask(s, v2(0x14, b"echo", b"x"), "127.0.0.1") == \
            v2(0x21, b"x")
        assert ask(s, v1(6, b"answer"), "127.0.0.1") == v1(1)
        got = ask(s, v1(1000, b"12"), "127.0.0.1")
        assert got[:4] == b"\x90\x12\x00\x02" and got[6:10] == b"\x11\x22\x33D"
        assert len(got) == struct.unpack("!H", got[4:6])[0]
        assert NO_GARDEN.encode() in got and got.endswith(b"\0")


# --- forgers -------------------------------------------------------------------

def forge(space, source, payload):
    packet = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 7, 0, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton(LNS_ADDR))
    packet += struct.pack("!HHHH", 4000, PORT, 8 + len(payload), 0)
    with space.socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_RAW) as s:
        s.sendto(packet + payload, (LNS_ADDR, 0))


def test_silence(net, server):
    """Unsigned from elsewhere, wrongly signed, replayed, reflected, late."""
    # The worst that an administrator can do: own addresses from anywhere.
    for name in "all", "lac0":
        net.lns.sysctl("net.ipv4.conf.%s.route_localnet" % name, 1)
        net.lns.sysctl("net.ipv4.conf.%s.accept_local" % name, 1)
        net.lns.sysctl("net.ipv4.conf.%s.rp_filter" % name, 0)
    try:
        with udp(net.lac) as s:
            for data in (v2(0x13), v2(0x11, b"answer"), v1(5, b"answer"),
                         v2(0x14, b"garden", b"12"), v2(0x21), b"", b"\x90"):
                assert ask(s, data, LNS_ADDR) is None
            for how in ({"secret": "wrong"}, {"secret": ""}, {"off": 11},
                        {"label": b"reply"}, {"off": -11}):
                assert ask(s, signed(0x13, **how), LNS_ADDR) is None
            data = signed(0x11, b"answer")
            answer = ask(s, data, LNS_ADDR)
            assert answer[:2] == b"\x90\x14" and answer[2:14] == data[2:14]
            assert ask(s, data, LNS_ADDR) is None
            assert ask(s, answer, LNS_ADDR) is None
        # Replayed from elsewhere; by the server's own machine too.
        for space, to in (net.inet, LNS_ADDR), (net.lns, "127.0.0.1"):
            with udp(space) as s:
                net.inet.run("ip", "route", "replace", LNS_ADDR, "via",
                             "10.99.2.2")
                assert ask(s, data, to) is None
        # From the server's own addresses, through the wire.
        refused = peek.counters(server.pid)["nsctl_refused"]
        forge(net.lac, "127.0.0.1", v2(0x12, b"answer"))
        forge(net.lac, LNS_ADDR, v2(0x12, b"answer"))
        wait_for("both to arrive", 5, lambda: peek.counters(
            server.pid)["nsctl_refused"] == refused + 2)
        assert run(net.lns, OURS, "echo", "still", "here") == \
            (0, "still\nhere\n", "")
        counters = peek.counters(server.pid)
        assert counters["nsctl_requests"] == 2
        assert counters["nsctl_replayed"] == 3
        assert counters["nsctl_late"] == 2
        assert counters["nsctl_refused"] == refused + 2
    finally:
        net.inet.run("ip", "route", "del", LNS_ADDR, check=False)
        for name in "all", "lac0":
            net.lns.sysctl("net.ipv4.conf.%s.route_localnet" % name, 0)
            net.lns.sysctl("net.ipv4.conf.%s.accept_local" % name, 0)


def flip(rng, data):
    bit = rng.randrange(len(data) * 8)
    return (data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) +
            data[bit // 8 + 1:])


def rubbish(rng):
    """4,096 datagrams: random ones, and good ones with a flipped bit."""
    made = []
    for i in range(1024):
        made.append(rng.randbytes(rng.randrange(0, 200)))
        made.append(b"\x90" + bytes([0x12 + i % 3]) +
                    rng.randbytes(rng.randrange(0, 60)))
        made.append(flip(rng, v2(0x14, b"garden", b"12")))
        made.append(flip(rng, signed(0x14, b"garden", b"12")))
    return made


@pytest.mark.parametrize("count", [
    100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_rubbish(net, server, count):
    """Random and bit-flipped datagrams: no answer, no growth, no stall."""
    rng = random.Random(4)
    assert run(net.lns, OURS, "help")[0] == 0
    with udp(net.lac) as s:
        s.connect((LNS_ADDR, PORT))
        for data in rubbish(rng):
            s.send(data)
        time.sleep(0.5)
        before = sim.rss(server.pid)
        peek.forget_stall(server.pid)
        made = rubbish(rng)
        for i in range(count):
            s.send(made[i % 4096])
            if i % 128 == 0:            # not faster than a queue holds
                time.sleep(0.001)
            if i % 40960 == 0:
                made = rubbish(rng)
        wait_for("the queue to be empty", 10, lambda: not net.lns.run(
            "ss", "-Hlnu", "sport = :%d" % PORT).split()[1].strip("0"))
        with pytest.raises(socket.timeout):
            s.recv(1)
    counters = peek.counters(server.pid)
    dropped = counters["nsctl_refused"] + counters["nsctl_malformed"]
    assert dropped > count / 2
    assert counters["nsctl_requests"] == 1
    assert sim.rss(server.pid) <= before + (64 << 10) or sanitized()
    stall = peek.longest_stall(server.pid)
    print("longest stall %d us, grown by %d octets" % (
        stall, sim.rss(server.pid) - before))
    assert stall < 50_000 or sanitized()
    assert run(net.lns, OURS, "help")[0] == 0
    # From this machine what is no request has no answer either.
    with udp(net.lns, "127.0.0.1") as s:
        for _ in range(4096):
            s.sendto(rng.randbytes(rng.randrange(0, 200)), ("127.0.0.1", PORT))
        assert ask(s, b"\x90\x13\x14\x01", "127.0.0.1") is None
    assert len(server.log().splitlines()) < 100


def sanitized():
    with open(daemon_module.program(), "rb") as f:
        return b"__asan_init" in f.read()


def test_at_most_100_a_second(net, server):
    with udp(net.lns, "127.0.0.1") as s:
        begin = time.monotonic()
        for _ in range(1000):
            s.sendto(v2(0x13), ("127.0.0.1", PORT))
            time.sleep(0.001)
        seconds = time.monotonic() - begin
        time.sleep(0.2)
        answers = 0
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while s.recv(2000):
                answers += 1
    assert 100 <= answers <= 100 + 100 * (seconds + 0.3)


def test_no_port(net, daemon):
    lns = daemon(config={"nsctl_port": 0})
    assert not net.lns.udp_bound(PORT)
    status, out, err = run(net.lns, OURS, "help")
    assert status == 3 and "nobody listens" in err
    lns.finish()
    daemon("other", config={"nsctl_port": 17020})
    assert run(net.lns, OURS, "-h", "localhost:17020", "help")[0] == 0


def test_port_in_use(net, daemon):
    """Somebody else has it, even if he would share: the server goes without."""
    with net.lns.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("0.0.0.0", PORT))
        lns = daemon()
        assert "nsctl: UDP port 1702: Address already in use" in lns.log()


# --- plugins --------------------------------------------------------------------

def test_lines_of_startup_config(net, daemon, plugin_dir):
    lns = daemon(config={"plugin_dir": plugin_dir},
                 lines=["load plugin second", "load plugin absent",
                        'load plugin "answer"', "load plugin oldversion"])
    log = lns.log()
    assert "plugin second loaded, takes part in: control" in log
    assert "plugin answer loaded, takes part in: timer, control" in log
    assert "load plugin absent: there is no " in log
    assert "load plugin oldversion: oldversion.so is made for version 7" in log
    assert run(net.lns, OURS, "echo", "x") == (0, "second\n", "")
    wait_for("a tick", 5, lambda: not run(
        net.lns, OURS, "ticks")[1].startswith("0 "))
    # The difference; what was loaded by hand stays.
    assert run(net.lns, OURS, "load_plugin", "nothing")[0] == 0
    lns.lines = ["load plugin answer"]
    begin = len(lns.log())
    lns.write_config()
    lns.reload()
    lns.wait_log("configuration loaded again", start=begin)
    assert "plugin second removed" in lns.log()[begin:]
    assert "answer" not in lns.log()[begin:]
    assert run(net.lns, OURS, "echo", "x") == (0, "x\n", "")
    assert run(net.lns, OURS, "unload_plugin", "nothing")[0] == 0
    # A file with a fault changes nothing.
    lns.lines = ["load plugin second", "load nonsense"]
    begin = len(lns.log())
    lns.write_config()
    lns.reload()
    lns.wait_log("stays in force", start=begin)
    assert run(net.lns, OURS, "second")[0] == 1


def test_hostile_files(net, server, plugin_dir):
    def load(name, why):
        status, out, err = run(net.lns, OURS, "load_plugin", name)
        assert (status, out) == (1, "") and why in err, err

    load("../answer", "no name")
    load("noversion", "plugin_api_version")
    load("unresolved", "nobody_has_this_function")
    load("refuses", "does not want")
    assert "refuses: not today" in server.log()
    path = os.path.join(plugin_dir, "answer.so")
    os.chmod(path, 0o666)
    load("answer", "others than root can write to")
    os.chmod(path, 0o644)
    os.chmod(plugin_dir, 0o777)
    load("answer", "others than root can write to")
    os.chmod(plugin_dir, 0o755)
    os.chown(path, 12, 0)
    load("answer", "does not belong to root")
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)
    load("answer", "symbolic link")
    assert run(net.lns, OURS, "load_plugin", "second")[0] == 0
