"""A restart that nobody notices: save_state, SIGTERM, and on it goes.

lacsim's subscribers send LCP echoes and probes all the while, so that what is
lost and how long nothing came is counted from their end.  radresp's ledger
says whether accounting went on: one Start and one Stop a session.
"""

import os
import re
import signal
import subprocess
import time

import pytest

import daemon as daemon_module
import sim
from net import INET_ADDR, wait_for
from test_scale import assert_faultless, world  # noqa: F401

pytestmark = pytest.mark.skipif(
    daemon_module.REFERENCE, reason="the reference does not promise this")

PROBE = 100                     # octets of IP


def start(world, **config):
    """Accounting, probes, and a state file of its own."""
    world.sessions = os.path.join(world.directory, "radresp.sessions")
    book = world.radresp(delay=2, sessions=world.sessions)
    world.reflect()
    state = os.path.join(world.directory, "var", "state")
    lns = world.daemon(radius_accounting=True, save_state=True,
                       state_file=state, **config)
    return lns, book, state


def come_up(world, sessions, tunnels, interval=500, **options):
    options.setdefault("hold", 3600)
    options.setdefault("echo", 2)
    options.setdefault("source", sim.SOURCES)
    lac = world.sim(tunnels=tunnels, sessions=sessions,
                    rate=1500, auth="mix", echo_fail=5, probe_size=PROBE,
                    probe=INET_ADDR + ":7001", probe_interval=interval,
                    **options)
    lac.wait_status("all to be up", 60 + sessions / 500,
                    lambda now: now["up"] == sessions)
    return lac


def terminate(lns, how=signal.SIGTERM):
    lns.process.send(how)
    status = lns.process.wait(30)
    assert status == (0 if how == signal.SIGTERM else -how), lns.log()[-3000:]


def restart(lns):
    """SIGTERM and a new process; how long that took, in seconds."""
    began = time.monotonic()
    terminate(lns)
    ended = time.monotonic()
    said = len(lns.log())
    lns.start()
    lns.wait_log(r"l2tpns \S+ ready", 20, said)
    return {"save_seconds": ended - began,
            "start_seconds": time.monotonic() - ended}


def octets(path):
    """What the Stops of the ledger add up to, and their number."""
    n = down = up = 0
    with open(path) as f:
        for line in f:
            found = re.search(r"starts=(\d+) .* stops=(\d+) in=(\d+) "
                              r"out=(\d+)", line)
            assert (found[1], found[2]) == ("1", "1"), line
            n += 1
            up += int(found[3])
            down += int(found[4])
    return n, up, down


def carry_on(world, sessions, tunnels, interval, name, echo=2):
    lns, book, state = start(world)
    lac = come_up(world, sessions, tunnels, interval, echo=echo)
    time.sleep(3)
    before = lac.status()
    took = restart(lns)
    assert not os.path.exists(state)
    assert "state restored: %d sessions on %d tunnels" % (
        sessions, tunnels) in lns.log()
    # Those who had an echo on its way when the server went miss that one.
    time.sleep(4 + echo)
    settled = lac.wait_status("the dust to settle", 10, lambda now: True)
    again = lac.wait_status(
        "echoes of everybody", 20 + 4 * echo,
        lambda now: now["echo_sent"] >= settled["echo_sent"] + 3 * sessions)
    assert again["echo_lost"] == settled["echo_lost"]
    assert again["up"] == sessions
    during = book.summary()
    assert (during["accounting"]["starts"], during["accounting"]["stops"]) \
        == (sessions, 0)
    result = lac.end(60 + sessions / 200)
    after = book.end()
    sim.quote(name, dict(
        took, sessions=sessions, tunnels=tunnels, probes=result["probes"],
        echo_lost=settled["echo_lost"] - before["echo_lost"]))

    assert result["sessions"]["lost"] == 0, result["sessions"]
    assert result["tunnels"]["lost"] == 0
    assert result["data"]["renegotiated_by_peer"] == 0
    # Every session carries data again, and soon: where probes are rare, no
    # two in a row are lost.
    assert result["probes"]["longest_gap_ms"] < max(5000, 2 * interval + 100)
    assert result["probes"]["corrupt"] == 0
    assert after["accounting"]["starts"] == sessions
    assert after["accounting"]["stops"] == sessions
    assert_faultless(after)
    # The counters went on: what came back is what was charged for.
    n, up, down = octets(world.sessions)
    assert n == sessions
    assert down == result["probes"]["received"] * PROBE
    assert up >= down


def test_five_hundred_sessions_carry_on(world):
    carry_on(world, 500, 5, 200, "state-short")


@pytest.mark.long
def test_twenty_thousand_sessions_carry_on(world):
    carry_on(world, 20000, 20, 1000, "state-20000")


@pytest.mark.long
def test_sixty_thousand_sessions_carry_on(world):
    carry_on(world, 60000, 20, 3000, "state-60000", echo=10)


def test_again_and_again(world):
    """Each process hands over to the next."""
    lns, book, _ = start(world)
    lac = come_up(world, 50, 2, 200)
    for _ in range(4):
        time.sleep(1.5)
        restart(lns)
    time.sleep(2)
    result = lac.end()
    after = book.end()
    assert result["sessions"]["lost"] == 0, result["sessions"]
    assert result["probes"]["longest_gap_ms"] < 5000
    assert (after["accounting"]["starts"], after["accounting"]["stops"]) \
        == (50, 50)
    assert_faultless(after)
    assert octets(world.sessions)[2] == result["probes"]["received"] * PROBE


def test_pool_remembers_and_new_calls_come(world):
    """Sticky addresses survive, and none is given out twice."""
    lns, _, _ = start(world)
    first = os.path.join(world.directory, "first")
    gone = come_up(world, 30, 1, user="sticky%d", addresses=first,
                   source="10.98.0.77")
    gone.end()
    stay = come_up(world, 30, 1, name="stay", user="stays%d",
                   source="10.98.0.78")
    restart(lns)
    second = os.path.join(world.directory, "second")
    back = world.sim("back", tunnels=1, sessions=30, rate=500, auth="mix",
                     user="sticky%d", addresses=second, hold=2,
                     source="10.98.0.77")
    back.wait_hold(30)
    assert back.result(60)["sessions"]["established"] == 30

    def table(path):
        with open(path) as f:
            return sorted(f.read().split("\n"))
    assert table(first) == table(second)
    assert stay.end()["sessions"]["lost"] == 0


def test_a_pool_address_that_is_routed_to_somebody(world):
    """It is nobody else's: not remembered for who had it, not given out."""
    accept = os.path.join(world.directory, "accept")
    with open(accept, "w") as f:
        f.write("had Password=password\nlate Password=password\n"
                "routed Password=password Framed-Route=10.50.0.1/32\n")
    world.radresp(accept_file=accept)
    lns = world.daemon(ip_pool="10.50.0.1\n10.50.0.2", save_state=True,
                       state_file=os.path.join(world.directory, "var/state"))
    had = world.sim("had", user="had", hold=1)
    assert had.result(30)["sessions"]["established"] == 1
    routed = world.sim("routed", user="routed", hold=3600,
                       source="10.98.0.50")
    routed.wait_hold(30)
    said = len(lns.log())
    restart(lns)
    assert "state restored: 1 sessions on 1 tunnels" in lns.log()[said:]
    late = world.sim("late", user="late", hold=1, setup_timeout=3,
                     source="10.98.0.51")
    assert late.result(30)["sessions"]["established"] == 0
    assert routed.end()["sessions"]["lost"] == 0
    late = world.sim("later", user="late", hold=1, source="10.98.0.51")
    assert late.result(30)["sessions"]["established"] == 1


def test_records_that_no_server_has_are_not_lost(world):
    """The servers are away while the process changes."""
    lns, book, _ = start(world)
    lac = come_up(world, 40, 2, source="10.98.0.49")
    book.turn_silence()
    leave = world.sim("leave", sessions=20, rate=500, user="leave%d", hold=1,
                      source="10.98.0.50", setup_timeout=5)
    leave.result(60)
    assert lac.end()["sessions"]["lost"] == 0
    wait_for("the Stops to be sent", 10,
             lambda: book.summary()["accounting"]["stops"] >= 40)
    restart(lns)
    restart(lns)
    assert re.search(r"state restored: 0 sessions.* 40 accounting records",
                     lns.log())
    book.turn_silence()
    wait_for("the records", 40, lambda: sum(
        1 for line in ledger(world) if "stops=1" in line) == 40)
    after = book.end()
    assert_faultless(after)


def ledger(world):
    """A line for each accounting session, as things stand."""
    with open(world.sessions) as f:
        return f.read().splitlines()


def test_half_open_calls_are_told(world):
    """They cannot be carried over: the LAC hears of it, and tries again."""
    lns, book, _ = start(world)
    lac = come_up(world, 20, 1, source="10.98.0.8")
    slow = world.sim("slow", source="10.98.0.9", sessions=50, rate=50,
                     user="slow%d", reconnect=1, hold=3600, delay=400)
    time.sleep(0.8)
    restart(lns)
    slow.wait_status("all to be up at last", 60,
                     lambda now: now["up"] == 50)
    assert lac.status()["lost"] == 0
    slow.end()
    lac.end()
    after = book.end()
    assert after["accounting"]["starts"] == after["accounting"]["stops"]
    assert_faultless(after)


def test_damaged_state_is_refused(world):
    lns, book, state = start(world)
    lac = come_up(world, 10, 1, reconnect=1)
    terminate(lns)
    with open(state, "r+b") as f:
        f.seek(100)
        octet = f.read(1)
        f.seek(100)
        f.write(bytes([octet[0] ^ 1]))
    assert os.stat(state).st_mode & 0o777 == 0o600
    lns.start()
    lns.wait_log("saved state %s refused: it is damaged" % re.escape(state))
    assert os.path.exists(state + ".refused")
    assert not os.path.exists(state)
    lac.wait_status("all to be up again", 60,
                    lambda now: now["up"] == 10 and now["established"] >= 20)
    lac.end()


def test_old_state_is_refused(world):
    lns, _, state = start(world, state_max_age=1)
    come_up(world, 5, 1)
    terminate(lns)
    time.sleep(2.5)
    lns.start()
    lns.wait_log("saved state %s refused: it is too old" % re.escape(state))


@pytest.mark.parametrize("why", ["too old", "max_sessions"])
def test_accounts_of_what_cannot_go_on_are_closed(world, why):
    """Each Start has its Stop, with all that was counted."""
    lns, book, state = start(world, state_max_age=2)
    lac = come_up(world, 20, 1, 100)
    time.sleep(1)
    said = len(lns.log())
    terminate(lns)
    moved = lac.status()["probes_received"]
    if why == "max_sessions":
        lns.write_config(max_sessions=10)
    else:
        time.sleep(3.5)
    lns.start()
    lns.wait_log("saved state .* refused: .*%s" % why, 10, said)
    assert "20 accounting records of the saved state are sent" in lns.log()
    wait_for("the Stops", 30,
             lambda: book.summary()["accounting"]["stops"] >= 20)
    after = book.end()
    n, up, down = octets(world.sessions)
    assert n == 20
    assert down >= moved * PROBE and up >= down
    assert_faultless(after)


def limit_files(pid, octets):
    """As its own user: root may be without the right to limit others."""
    owner = os.stat("/proc/%d" % pid)
    subprocess.run(["setpriv", "--reuid", str(owner.st_uid), "--regid",
                    str(owner.st_gid), "--clear-groups", "prlimit", "--pid",
                    str(pid), "--fsize=%d:%d" % (octets, octets)],
                   check=True)


@pytest.mark.parametrize("why", ["a directory", "no room"])
def test_state_that_cannot_be_saved(world, why):
    """The sessions end as without save_state: their Stops are sent."""
    lns, book, state = start(world)
    come_up(world, 50, 1)
    if why == "a directory":
        os.makedirs(state)
    else:
        room = os.path.getsize(lns.logfile) + 2000      # it logs into a file
        limit_files(lns.pid, room)
    lns.expected_exit = True
    terminate(lns)
    assert "state cannot be saved" in lns.log()
    if why == "no room":
        assert not os.listdir(os.path.dirname(state))
    after = book.end()
    assert (after["accounting"]["starts"], after["accounting"]["stops"]) \
        == (50, 50)


def killed(world, sessions, tunnels):
    """SIGKILL leaves no state: the LACs come back by themselves."""
    lns, book, state = start(world)
    lac = come_up(world, sessions, tunnels, 1000, reconnect=1, echo=2,
                  hello=5, retries=3)
    terminate(lns, signal.SIGKILL)
    began = time.monotonic()
    assert not os.path.exists(state)
    lns.start()
    lac.wait_status("all to be back", 120,
                    lambda now: now["up"] == sessions and
                    now["established"] >= 2 * sessions)
    took = time.monotonic() - began
    result = lac.end(60 + sessions / 200)
    sim.quote("killed-%d" % sessions, {"sessions": sessions,
                                       "all_back_seconds": took})
    assert result["data"]["wrong_destination"] == 0
    assert took <= 120


def test_killed_without_state(world):
    killed(world, 200, 4)


@pytest.mark.long
def test_twenty_thousand_killed_without_state(world):
    killed(world, 20000, 20)
