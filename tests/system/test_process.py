"""The process among others: another user, a sandbox, a service manager."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import daemon as daemon_module
import freeradius
import sandbox
from net import INET_ADDR, wait_for
from terminal import Terminal

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="about this daemon only")

SECRETS = "alice * first *\nbob * second *\n"
USER = daemon_module.USER

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def kept(pid):
    return int(status(pid)["CapEff"], 16)


def bits(*numbers):
    return sum(1 << n for n in numbers)


BIND, ADMIN, RAW, LOCK, NICE = 10, 12, 13, 14, 23


def works(server, carrier, radius):
    """What needs rights still works: routes, reloads, log, pool."""
    book = radius({"carol": ("third", {"Framed-IP-Address": "10.50.9.9",
                                       "Framed-Route": "10.50.8.0/24"})})
    lac = carrier()
    call = lac.call()
    call.online("alice", "first")
    assert call.ping(INET_ADDR, 3) == 3
    server.write_config(primary_radius=book.address,
                        radius_secret=freeradius.SECRET,
                        primary_dns="10.99.2.77")
    start = len(server.log())
    server.reload()
    server.wait_log("configuration loaded again", 10, start)
    other = lac.call()
    other.online("carol", "third")
    assert other.address == "10.50.9.9" and other.dns[0] == "10.99.2.77"
    wait_for("routes of a subscriber", 5,
             lambda: "10.50.9.9" in server.routes() and
             "10.50.8.0/24" in server.routes())
    assert other.ping(INET_ADDR, 3) == 3
    assert call.ping(INET_ADDR, 3) == 3
    other.hangup()
    wait_for("routes to go", 5,
             lambda: "10.50.9.9" not in server.routes())
    call.hangup()
    console = Terminal(server.space)
    console.run("enable")
    console.run("configure terminal")
    console.run("set icmp_rate 7")
    console.run("exit")
    said = console.run("write memory")
    assert "Writing configuration" in said and "Error" not in said
    path = os.path.join(server.directory, "startup-config")
    assert "set icmp_rate 7\n" in open(path).read()
    assert os.stat(path).st_uid == USER
    console.close()


# -- setuid

def test_setuid_leaves_root_for_good_and_all_goes_on(
        daemon, carrier, radius, tmp_path):
    log, pid = str(tmp_path / "l2tpns.log"), str(tmp_path / "pid")
    server = daemon(config={"log_file": log, "pid_file": pid},
                    secrets=SECRETS, setuid=True, sandbox=False)
    wait_for("it to be ready", 5, lambda: "ready" in open(log).read())
    is_now = status(server.pid)
    assert is_now["Uid"].split() == [str(USER)] * 4
    assert is_now["Gid"].split() == ["65534"] * 4
    assert is_now["Groups"].strip() == ""
    assert kept(server.pid) == bits(BIND, ADMIN, RAW)
    assert int(is_now["CapBnd"], 16) == bits(BIND, ADMIN, RAW)
    assert int(is_now["CapAmb"], 16) == 0
    assert is_now["NoNewPrivs"] == "1"
    # logrotate, by moving and by making a new one.
    os.rename(log, log + ".1")
    server.reload()
    wait_for("a new log file", 5, lambda: os.path.exists(log) and
             "loaded again" in open(log).read())
    assert os.stat(log).st_uid == USER
    # works() reads what the daemon says.
    server.process.logfile = log
    works(server, carrier, radius)
    assert "cannot" not in open(log).read()
    server.process.send(signal.SIGTERM)
    assert server.process.wait(10) == 0
    server.expected_exit = True
    assert not os.path.exists(pid)


def test_setuid_says_what_it_will_miss(daemon):
    server = daemon(config={"setuid": USER}, secrets=SECRETS, setuid=False,
                    sandbox=False, env={"ASAN_OPTIONS": "detect_leaks=0"})
    server.wait_log("startup-config: user %d cannot read it" % USER)
    start = len(server.log())
    server.reload()
    server.wait_log("stays in force", 5, start)


@pytest.mark.parametrize("lost", ["setuid", "setgid"])
def test_setuid_that_fails_ends_the_start(net, tmp_path, lost):
    """CVE-2006-2194: never on as root."""
    (tmp_path / "startup-config").write_text(
        "set setuid %d\nset tundevicename tun7\nset pid_file %s\n" % (
            USER, tmp_path / "pid"))
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    done = subprocess.run(
        net.lns.argv("setpriv", "--bounding-set=-" + lost,
                     "--inh-caps=-" + lost, daemon_module.program(),
                     "-c", str(tmp_path / "startup-config")),
        text=True, timeout=30, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert done.returncode == 1
    assert "setuid %d: " % USER in done.stdout
    assert "ready" not in done.stdout
    assert not net.lns.udp_bound(1701)
    assert not (tmp_path / "pid").exists()


# -- scheduler and memory

def test_priorities_are_had(daemon, carrier):
    server = daemon(config={"scheduler_fifo": True, "lock_pages": True},
                    secrets=SECRETS, setuid=True, sandbox=False)
    if os.cpu_count() > 1:
        assert os.sched_getscheduler(server.pid) & 0xff == os.SCHED_FIFO
        assert os.sched_getparam(server.pid).sched_priority == 1
    if "san-" not in daemon_module.program():   # ASan locks nothing
        assert int(status(server.pid)["VmLck"].split()[0]) > 0
    assert kept(server.pid) == bits(BIND, ADMIN, RAW, LOCK)
    call = carrier().call()
    call.online("alice", "first")
    assert call.ping(INET_ADDR, 3) == 3


def test_priorities_that_are_refused_are_done_without(net, tmp_path):
    (tmp_path / "startup-config").write_text(
        "set scheduler_fifo yes\nset lock_pages yes\nset debug 3\n")
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    log = tmp_path / "log"
    process = net.lns.start(
        ["prlimit", "--memlock=8388608:8388608", "setpriv",
         "--bounding-set=-sys_nice,-ipc_lock",
         daemon_module.program(), "-c", str(tmp_path / "startup-config")],
        str(log))
    try:
        process.wait_log("ready", 10)
        said = process.log()
        assert re.search("WARN.*scheduler_fifo", said)
        assert re.search("WARN.*lock_pages.*8192 KiB", said)
        assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER
    finally:
        process.stop()


# -- from init

def test_a_failed_start_in_the_background_is_told(net, tmp_path):
    (tmp_path / "startup-config").write_text(
        "set setuid %d\nset log_file %s\n" % (USER, tmp_path / "log"))
    (tmp_path / "ip_pool").write_text("10.50.0.0/28\n")
    done = subprocess.run(
        net.lns.argv("setpriv", "--bounding-set=-setuid",
                     daemon_module.program(), "-d", "-c",
                     str(tmp_path / "startup-config")), text=True,
        timeout=30, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1 and "setuid" in done.stdout
    assert re.search("CRIT.*setuid", (tmp_path / "log").read_text())


def test_a_service_manager_hears_of_everything(daemon, tmp_path):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    os.chmod(str(tmp_path / "notify"), 0o777)
    manager.settimeout(10)
    server = daemon(secrets=SECRETS, env={
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "1000000"})
    assert manager.recv(512) == b"READY=1\nMAINPID=%d" % server.pid

    def heard(word):
        while True:
            text = manager.recv(512)
            if text.startswith(word):
                return text
    heard(b"WATCHDOG=1")
    begin = time.monotonic()
    for _ in range(4):
        heard(b"WATCHDOG=1")
    assert 1.5 < time.monotonic() - begin < 3
    server.reload()
    heard(b"RELOADING=1")
    heard(b"READY=1")
    # A loop that stands still says nothing.
    server.process.send(signal.SIGSTOP)
    time.sleep(0.7)
    manager.setblocking(False)
    try:
        while manager.recv(512):
            pass
    except BlockingIOError:
        pass
    time.sleep(1.2)
    with pytest.raises(BlockingIOError):
        manager.recv(512)
    server.process.send(signal.SIGCONT)
    manager.settimeout(10)
    heard(b"WATCHDOG=1")
    server.quit()
    heard(b"STOPPING=1")
    # No child and no plugin sees the manager's variables.
    manager.close()


@needs_systemd
def test_the_unit_is_sound_and_closed_enough():
    said = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true",
         sandbox.UNIT], text=True, timeout=60, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT).stdout
    exposure = re.search(r"exposure level for l2tpns.service: ([\d.]+)", said)
    if not exposure:
        pytest.skip("this systemd-analyze cannot: " + said[:200])
    assert float(exposure[1]) <= 2.5
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
         sandbox.UNIT], text=True, timeout=60, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT).stdout
    complaints = [line for line in said.splitlines()
                  if "l2tpns.service" in line and "not executable" not in line]
    assert not complaints


def test_in_the_sandbox_of_the_unit_all_goes_on(daemon, carrier, radius):
    if not sandbox.usable(daemon_module.program()):
        pytest.skip("no systemd-analyze, no python3-seccomp, or this checkout "
                    "is closed to others")
    server = daemon(secrets=SECRETS, sandbox=True, setuid=False)
    is_now = status(server.pid)
    assert is_now["Seccomp"] == "2" and is_now["NoNewPrivs"] == "1"
    assert is_now["Uid"].split() == [str(USER)] * 4
    assert kept(server.pid) == bits(BIND, ADMIN, RAW, LOCK, NICE)
    # What the unit lends us is not lent on to children.
    assert int(is_now["CapAmb"], 16) == 0
    works(server, carrier, radius)
    assert not re.search("ERROR|not permitted|denied", server.log())


# -- what is logged

def test_the_speed_is_dumped_each_second_at_any_level(daemon, carrier):
    server = daemon(config={"dump_speed": True, "debug": 0}, secrets=SECRETS)
    call = carrier().call()
    call.online("alice", "first")
    end = time.monotonic() + 3.2
    while time.monotonic() < end:
        call.ping(INET_ADDR, 10, size=1000)
    lines = re.findall(r" INFO 00/00 Bandwidth: UDP-ETH:\d+/\d+  "
                       r"ETH-UDP:\d+/\d+  TOTAL:\d+\.\d   IN:(\d+) OUT:(\d+)$",
                       server.log(), re.M)
    assert len(lines) >= 3
    assert any(int(i) >= 10 and int(o) >= 10 for i, o in lines)
    server.write_config(dump_speed=False)
    server.reload()
    time.sleep(0.5)
    start = len(server.log())
    time.sleep(1.5)
    assert "Bandwidth" not in server.log()[start:]
