"""What an operator does to a running server, and carriers that misbehave."""

import os
import re
import signal
import subprocess
import time

import pytest

import daemon as daemon_module
import freeradius
from lac import A_RESULT, IPCP as PPP_IPCP, LCP as PPP_LCP, PROTREJ, Lac, \
    Refused
from net import INET_ADDR, wait_for

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="about this daemon only")

SECRETS = "alice * first *\nbob * second *\n"


@pytest.fixture
def carrier(net):
    """A function that makes carriers, which are closed at the end."""
    made = []

    def make(**options):
        made.append(Lac(net.lac, **options))
        return made[-1]
    yield make
    for lac in made:
        lac.stop()
        lac.close()


def online(lac, user="alice", password="first"):
    call = lac.call()
    call.online(user, password)
    return call


def reload(server, expected="configuration loaded again"):
    start = len(server.log())
    server.reload()
    server.wait_log(expected, 10, start)
    return server.log()[start:]


def run(*argv, space=None, **options):
    """The program with these arguments, to its end: status and output."""
    argv = [daemon_module.program()] + list(argv)
    if space:
        argv = space.argv(*argv)
    done = subprocess.run(argv, timeout=30, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    return done.returncode, done.stdout


# -- SIGHUP

def test_a_new_tunnel_secret_holds_for_new_tunnels(daemon, carrier):
    server = daemon(config={"l2tp_secret": "one",
                            "l2tp_require_secret": True}, secrets=SECRETS)
    old = carrier(secret="one")
    old.connect()
    call = online(old)
    server.write_config(l2tp_secret="two")
    said = reload(server)
    assert "l2tp_secret" in said and "two" not in said
    assert call.ping(INET_ADDR) == 1
    assert online(old, "bob", "second").ping(INET_ADDR) == 1
    carrier(secret="two").connect()
    with pytest.raises((Refused, AssertionError)):
        carrier(secret="one").connect()


def test_a_new_pool_is_for_new_sessions(daemon, carrier):
    server = daemon(secrets=SECRETS, ip_pool="10.50.0.0/28\n")
    lac = carrier()
    lac.connect()
    old = online(lac)
    server.write("ip_pool", "10.50.1.0/28\n")
    reload(server)
    assert old.ping(INET_ADDR, 3) == 3
    new = online(lac, "bob", "second")
    assert new.address.startswith("10.50.1.")
    assert new.ping(INET_ADDR, 3) == 3
    # The way back is for the old address too.
    assert old.address.startswith("10.50.0.") and old.ping(INET_ADDR) == 1
    old.hangup()
    again = online(lac)
    assert again.address.startswith("10.50.1.")


@pytest.mark.parametrize("broken", ["missing", "faults"])
def test_a_broken_pool_file_costs_nobody_his_address(
        daemon, carrier, broken):
    server = daemon(secrets=SECRETS, ip_pool="10.50.0.0/28\n")
    lac = carrier()
    lac.connect()
    call = online(lac)
    path = os.path.join(server.directory, "ip_pool")
    if broken == "missing":
        os.unlink(path)
    else:
        server.write("ip_pool", "10.50.0.0/28\nnonsense\n")
    assert "ip_pool" in reload(server)
    assert call.ping(INET_ADDR, 3) == 3
    assert online(lac, "bob", "second").ping(INET_ADDR) == 1


def test_new_subscribers_are_let_in_and_old_ones_not(daemon, carrier):
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    call = online(lac)
    server.write("ppp-secrets", "carol * third *\n")
    reload(server)
    assert call.ping(INET_ADDR) == 1
    online(lac, "carol", "third")
    with pytest.raises(Refused):
        online(lac, "bob", "second")


def test_radius_comes_and_goes(daemon, carrier, radius):
    """Its users come in from the reload on; who is there stays."""
    book = radius({"carol": ("third", {})})
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    here = online(lac)
    server.write_config(primary_radius=book.address, radius_accounting=True,
                        radius_secret=freeradius.SECRET)
    reload(server)
    there = online(lac, "carol", "third")
    with pytest.raises(Refused):
        online(lac, "bob", "second")    # ppp-secrets is not asked any more
    server.write_config(primary_radius="0.0.0.0", radius_accounting=False)
    reload(server)
    other = online(lac, "bob", "second")
    for call in here, there, other:
        assert call.ping(INET_ADDR) == 1


def test_a_configuration_with_faults_changes_nothing(daemon, carrier):
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    server.write("startup-config",
                 "set primary_dns 10.99.2.99\nset debug 17\n")
    said = reload(server, "stays in force")
    assert re.search(r"startup-config:2: debug", said)
    call = online(lac)
    assert call.dns == ["10.99.2.53", "10.99.2.54"]


def test_no_packet_is_lost_by_reloading(daemon, carrier):
    server = daemon(secrets=SECRETS, ip_pool="10.50.0.0/24\n10.50.7.0/24\n")
    lac = carrier()
    lac.connect()
    call = online(lac)
    for _ in range(30):
        server.reload()
        assert call.ping(INET_ADDR, 5, seconds=1) == 5


def test_the_log_file_is_opened_again(daemon, tmp_path):
    path = str(tmp_path / "l2tpns.log")
    server = daemon(config={"log_file": path}, secrets=SECRETS)
    wait_for("the log file", 5, lambda: os.path.exists(path))
    os.rename(path, path + ".1")
    server.reload()
    wait_for("a new log file", 5, lambda: os.path.exists(path) and
             "loaded again" in open(path).read())
    assert "ready" in open(path + ".1").read()


# -- SIGTERM

def test_who_restarts_the_server_tells_the_carriers_nothing(daemon, carrier):
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    online(lac)
    heard = len(lac.control)
    server.process.send(signal.SIGTERM)
    assert server.process.wait(5) == 0
    server.expected_exit = True
    lac.pump(1)
    assert lac.closed is None and len(lac.control) == heard


# -- the command line

def test_a_second_daemon_does_not_hurt_the_first(
        net, daemon, carrier, tmp_path):
    pid = str(tmp_path / "pid")
    server = daemon(config={"pid_file": pid}, secrets=SECRETS)
    lac = carrier()
    lac.connect()
    call = online(lac)
    path = os.path.join(server.directory, "startup-config")
    status, said = run("-c", path, space=net.lns)
    assert status == 1 and "process %d" % server.pid in said
    server.write_config(pid_file="")
    status, said = run("-c", path, space=net.lns)
    assert status == 1 and "busy" in said.lower()
    server.write_config(tundevicename="tun9")
    status, said = run("-c", path, space=net.lns)
    assert status == 1 and "port 1701" in said and "in use" in said
    assert call.ping(INET_ADDR, 3) == 3
    with open(pid) as f:
        assert int(f.read()) == server.pid
    server.process.send(signal.SIGTERM)
    assert server.process.wait(10) == 0
    server.expected_exit = True
    assert not os.path.exists(pid)


def test_in_the_background_it_tells_its_starter_of_success(
        net, daemon, tmp_path):
    log, pid = str(tmp_path / "log"), str(tmp_path / "pid")
    (tmp_path / "startup-config").write_text(
        "set debug 3\nset log_file %s\nset pid_file %s\n" % (log, pid))
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    argv = ["-d", "-c", str(tmp_path / "startup-config")]
    assert run(*argv, space=net.lns) == (0, "")
    number = int(open(pid).read())
    try:
        assert net.lns.udp_bound(1701)
        wait_for("its log", 5, lambda: "ready" in open(log).read())
        status, said = run(*argv, space=net.lns)
        assert status == 1 and "process %d" % number in said
    finally:
        os.kill(number, signal.SIGTERM)
    wait_for("its end", 10, lambda: not os.path.exists(pid))
    assert "stopped" in open(log).read()


def test_what_it_lacks_is_told_in_one_line(net, tmp_path):
    (tmp_path / "startup-config").write_text("")
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    path = str(tmp_path / "startup-config")
    status, said = run("-c", str(tmp_path / "nothing"))
    assert status == 1 and str(tmp_path / "nothing") in said
    inside = ["unshare", "-m", "sh", "-c",
              'mount -t tmpfs none /dev/net && exec "$0" "$@"',
              daemon_module.program(), "-c", path]
    done = subprocess.run(net.lns.argv(*inside), text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1 and "/dev/net/tun" in done.stdout
    # As nobody: not root, and not even the configuration may be read.
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         daemon_module.program(), "-t", "-c", path], text=True, timeout=30,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode != 0 and "ermission denied" in done.stdout


def test_faults_are_named_and_counted_by_the_status(tmp_path):
    config = tmp_path / "startup-config"
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n10.50.0.300\n")
    config.write_text("set debug 3\nset foo bar\nset l2tp_mtu 99\n")
    status, said = run("-t", "-c", str(config))
    assert status == 1
    assert "%s:2: " % config in said and "%s:3: " % config in said
    assert "%s:2: " % (tmp_path / "ip_pool") in said
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    config.write_text("set debug 3\n")
    status, said = run("-t", "-c", str(config))
    assert status == 0 and "no faults" in said
    assert run("-V") == (0, run("-V")[1]) and re.match(
        r"l2tpns \d+\.\d+", run("-V")[1])
    for wrong in ["-x"], ["-c"], ["word"]:
        status, said = run(*wrong)
        assert status == 2 and "usage:" in said


# -- carriers

def test_a_carrier_that_restarts_with_the_same_ids_is_served(
        daemon, carrier):
    daemon(secrets=SECRETS)
    first = carrier(port=1701)
    first.connect()
    online(first)
    first.sock.close()              # without a word
    time.sleep(4)
    second = carrier(port=1701)
    second.tunnel = first.tunnel
    second.connect(seconds=4)
    second.next_call = first.next_call - 1
    assert online(second).ping(INET_ADDR) == 1
    first.closed = {A_RESULT: b""}  # nothing to say good-bye with


def test_two_carriers_behind_one_address_keep_apart(daemon, carrier):
    daemon(secrets=SECRETS)
    one, two = carrier(port=4001), carrier(port=4002)
    two.tunnel = one.tunnel
    one.connect()
    two.connect()
    two.next_call = one.next_call
    a, b = online(one), online(two, "bob", "second")
    assert a.session == b.session
    assert a.address != b.address
    assert a.ping(INET_ADDR, 3) == 3 and b.ping(INET_ADDR, 3) == 3
    one.stop()
    assert b.ping(INET_ADDR) == 1


def test_a_tunnel_too_many_is_refused(daemon, carrier):
    daemon(config={"max_tunnels": 2}, secrets=SECRETS)
    one = carrier()
    one.connect()
    carrier().connect()
    with pytest.raises(Refused):
        carrier().connect()
    assert online(one).ping(INET_ADDR) == 1


def test_an_empty_pool_refuses_and_serves_again(daemon, carrier):
    server = daemon(secrets=SECRETS, ip_pool="10.50.0.9\n")
    lac = carrier()
    lac.connect()
    first = online(lac)
    with pytest.raises(Refused):
        online(lac, "bob", "second")
    server.wait_log("out of addresses")
    first.hangup()
    assert online(lac, "bob", "second").address == "10.50.0.9"


@pytest.mark.parametrize("how, words", [
    ("ppp", r"the subscriber hung up, and the LAC sent CDN, result 3 "
            r"\(administrative\)"),
    ("l2tp", r"ended: the LAC sent CDN, result 3 \(administrative\)"),
])
def test_the_log_says_who_ended_it(daemon, carrier, how, words):
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    online(lac).hangup(how)
    server.wait_log(words)


def test_a_subscriber_cannot_flood_the_log(daemon, carrier):
    """IPCP and rejects over and over: one login, and not a line for each."""
    server = daemon(secrets=SECRETS)
    lac = carrier()
    lac.connect()
    call = online(lac)
    start = len(server.log())
    for _ in range(100):
        call.send_cp(PPP_LCP, PROTREJ, 1, b"\x80\xfd\x01\x01\0\4")
        call.ipcp_up = [False, False]
        call.configure(PPP_IPCP, call.wanted)
        call.wait("IPCP", lambda: all(call.ipcp_up))
        lac.pump(0.02)
    assert call.ping(INET_ADDR) == 1
    said = server.log()[start:]
    assert said.count("Login by") == 0
    assert said.count("rejects protocol") < 15
