"""Usage files in accounting_dir, over a real disk that fails now and then.

A file tells the octets since the file before.  So all files of a run, added
up, are what the subscribers have moved: that is compared with what lacsim
sent and got.
"""

import glob
import os
import re
import signal
import time

import pytest

import daemon as daemon_module
import net as net_module
import peek
import sim
from net import INET_ADDR, wait_for
from test_scale import sanitized, world  # noqa: F401

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference counts otherwise")

PROBE = 100


def start(world, directory, **config):
    world.radresp(delay=2)
    world.reflect()
    return world.daemon(accounting_dir=directory, accounting_interval=1,
                        debug=3, **config)


def come_up(world, sessions, user="user%d", **options):
    lac = world.sim(source=sim.SOURCES, tunnels=2, sessions=sessions,
                    rate=1000, auth="mix", user=user, hold=3600,
                    probe_size=PROBE, probe=INET_ADDR + ":7001", **options)
    lac.wait_status("all to be up", 60,
                    lambda now: now["up"] == sessions)
    return lac


def read(directory):
    """{user: [up, down]} of all files, which must be sound in form."""
    sums = {}
    for name in sorted(glob.glob(os.path.join(directory, "*"))):
        assert re.fullmatch(r"\d{14}(-\d+)?", os.path.basename(name)), name
        with open(name) as f:
            lines = f.read().split("\n")
        assert lines.pop() == ""
        head = [line for line in lines if line.startswith("#")]
        assert head[0].startswith("# l2tpns "), head
        assert [line.split()[1] for line in head[1:]] == [
            "host:", "time:", "uptime:", "format:"]
        assert head[4] == "# format: username ip qos uptxoctets downrxoctets"
        assert len(lines) > len(head), "a file without a subscriber"
        for line in lines[len(head):]:
            user, ip, qos, up, down = line.split(" ")
            assert re.fullmatch(r"(\d+\.){3}\d+", ip) and qos in "12"
            was = sums.setdefault(user, [0, 0])
            was[0] += int(up)
            was[1] += int(down)
    return sums


def total(sums, way):
    return sum(one[way] for one in sums.values())


def quiet_end(world, lac, directory):
    """No more answers; what the files add up to, and what lacsim got."""
    for tool in world.made:
        if "reflect" in tool.json:
            tool.process.send(signal.SIGSTOP)
    wait_for("a file after the last answer", 20,
             lambda: lac.status()["probes_received"] and
             newest_age(directory) > 2.5)
    return read(directory), lac.status()


def newest_age(directory):
    files = glob.glob(os.path.join(directory, "*"))
    return time.time() - max(os.path.getmtime(f) for f in files) \
        if files else 0


def test_files_add_up(world, tmp_path):
    directory = str(tmp_path / "usage")
    daemon_module.mkdir(directory)
    lns = start(world, directory)
    lac = come_up(world, 50, probe_interval=100)
    wait_for("some files", 20, lambda: len(os.listdir(directory)) >= 5)
    sums, now = quiet_end(world, lac, directory)
    assert set(sums) == {"user%d" % i for i in range(50)}
    assert total(sums, 1) == now["probes_received"] * PROBE
    assert total(sums, 0) >= total(sums, 1)
    lac.end()


def test_names_cannot_break_a_line(world, tmp_path):
    directory = str(tmp_path / "usage")
    daemon_module.mkdir(directory)
    lns = start(world, directory)
    lac = come_up(world, 5, user="# a\nb 1 2\x1b[31m %d", probe_interval=100)
    wait_for("a file", 20, lambda: len(os.listdir(directory)) >= 2)
    assert set(read(directory)) == {
        "%%23%%20a%%0Ab%%201%%202%%1B[31m%%20%d" % i for i in range(5)}
    assert lns.process.alive()
    lac.end()


def test_a_restart_tells_nothing_twice(world, tmp_path):
    directory = str(tmp_path / "usage")
    daemon_module.mkdir(directory)
    lns = start(world, directory, save_state=True,
                state_file=str(tmp_path / "state"))
    lac = come_up(world, 20, probe_interval=100)
    for _ in range(2):
        wait_for("files", 20, lambda: len(os.listdir(directory)) >= 2)
        time.sleep(0.3)
        said = len(lns.log())
        lns.process.send(signal.SIGTERM)
        assert lns.process.wait(20) == 0
        lns.start()
        lns.wait_log(r"l2tpns \S+ ready", 20, said)
    sums, now = quiet_end(world, lac, directory)
    assert total(sums, 1) == now["probes_received"] * PROBE
    lac.end()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    path = str(tmp_path / "disk")
    daemon_module.mkdir(path)
    net_module.sh("mount", "-t", "tmpfs", "-o", "size=64k", "none", path)
    yield path
    net_module.sh("umount", "-l", path)


def test_disk_that_fails_now_and_then(world, small_disk):
    """Full, read-only, gone: no half file, no octet lost, one line each."""
    lns = start(world, small_disk)
    lac = come_up(world, 30, probe_interval=100)

    def complaints(why):
        return len(re.findall("no usage file in .*: " + why, lns.log()))

    wait_for("a file", 20, lambda: os.listdir(small_disk))
    filler = os.path.join(small_disk, "20000101000000")
    with open(filler, "wb", buffering=0) as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(1024))
    wait_for("complaints", 20,
             lambda: complaints("No space left on device") >= 2)
    for name in os.listdir(small_disk):
        assert os.path.getsize(os.path.join(small_disk, name)) > 0 or \
            name.startswith("."), name
    os.unlink(filler)
    net_module.sh("mount", "-o", "remount,ro", small_disk)
    wait_for("complaints", 20,
             lambda: complaints("Read-only file system") >= 2)
    net_module.sh("mount", "-o", "remount,rw", small_disk)
    before = len(os.listdir(small_disk))
    wait_for("files again", 20,
             lambda: len(os.listdir(small_disk)) > before)
    sums, now = quiet_end(world, lac, small_disk)
    assert not [n for n in os.listdir(small_disk) if n.startswith(".")]
    assert total(sums, 1) == now["probes_received"] * PROBE
    lac.end()


def test_directory_that_comes_late(world, tmp_path):
    directory = str(tmp_path / "late")
    lns = start(world, directory)
    lac = come_up(world, 5, probe_interval=100)
    wait_for("a complaint", 20,
             lambda: "No such file or directory; its octets" in lns.log())
    daemon_module.mkdir(directory)
    sums = {}

    def all_there():
        sums.update(read(directory))
        return len(sums) == 5
    wait_for("everybody in a file", 20, all_there)
    lac.end()


@pytest.mark.long
def test_sixty_thousand_sessions_do_not_stall_the_loop(world, tmp_path):
    directory = str(tmp_path / "usage")
    daemon_module.mkdir(directory)
    lns = start(world, directory, save_state=False)
    lac = world.sim(source=sim.SOURCES, tunnels=20, sessions=60000,
                    rate=1500, auth="chap", hold=3600, probe_size=PROBE,
                    probe=INET_ADDR + ":7001", probe_interval=4000)
    lac.wait_status("all to be up", 180, lambda now: now["up"] == 60000)
    time.sleep(5)
    peek.forget_stall(lns.pid)
    time.sleep(15)
    worst = peek.longest_stall(lns.pid)
    lns.write_config(accounting_dir="")
    lns.reload()
    time.sleep(4)
    peek.forget_stall(lns.pid)
    time.sleep(15)
    without = peek.longest_stall(lns.pid)
    files = len(os.listdir(directory))
    sim.quote("usage-60000", {"stall_ms": worst / 1e3,
                              "stall_without_ms": without / 1e3,
                              "files": files})
    assert files >= 3
    lac.kill()
    if not sanitized():
        assert worst < 10_000 or worst < 2 * without
