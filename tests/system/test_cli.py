"""The command line: who gets in, what it is like, and what it stands.

Commands and their output are tested in test_commands.py; here it is about
terminals.  Some of it is done with the telnet program on a pseudo-terminal,
the rest over bare connections.
"""

import contextlib
import crypt
import os
import random
import re
import resource
import signal
import socket
import subprocess
import time
import warnings

import pytest

import net as net_module
from telnet import Line, Telnet

warnings.filterwarnings("ignore", category=DeprecationWarning)

USERS = "joe:secret\nann:%s\nenable:more\n" % crypt.crypt(
    "correct horse?", crypt.mksalt(crypt.METHOD_SHA512, rounds=1000))
ANYWHERE = {"cli_bind_address": "0.0.0.0"}


@pytest.fixture
def terminals():
    """Closes what it is given: t = terminals(Line(...))."""
    with contextlib.ExitStack() as stack:
        def keep(one):
            stack.callback(one.close)
            return one
        yield keep


def children(daemon, name="l2tpns: terminal"):
    """The daemon's processes of that name."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % pid) as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            with open("/proc/%s/cmdline" % pid) as f:
                title = f.read()
        except (OSError, ValueError):
            continue
        if parent == daemon.pid and title.startswith(name):
            found.append(int(pid))
    return found


def joe(terminals, space, address="127.0.0.1", kind=Line):
    one = terminals(kind(space, address)).login("joe", "secret")
    one.prompt()
    return one


def enabled(terminals, space, address="127.0.0.1", kind=Line):
    one = joe(terminals, space, address, kind)
    one.type("enable\r")
    one.expect("Password: $")
    one.type("more\r")
    one.expect("# $")
    return one


def listening(space, address):
    return address + ":23" in space.run("ss", "-Hltn", "sport = :23")


# --- a human at the telnet program -----------------------------------------

def test_telnet_session(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = terminals(Telnet(net.lns))
    t.expect("Username: $")
    t.type("joe\r")
    t.expect("Password: $")
    t.type("secret\r")
    assert "secret" not in t.expect("lns1> $")

    # Privileged commands are not there yet.
    assert "Invalid command" in "".join(t.run("clear counters"))
    text = "".join(t.run("help"))
    assert "show session" in text and "clear counters" not in text

    t.type("enable\r")
    t.expect("Password: $")
    t.type("more\r")
    assert "more" not in t.expect("lns1# $")
    assert "clear counters" in "".join(t.run("help"))
    assert t.run("clear counters") == ["Counters cleared"]

    # A mode, and two ways out of it.
    t.type("configure terminal\r")
    t.expect(r"lns1\(config\)# $")
    t.type("exit\r")
    t.expect("lns1# $")
    t.type("conf t\r")
    t.expect(r"lns1\(config\)# $")
    t.type("\x1a")
    t.expect("lns1# $")

    t.type("disable\r")
    t.expect("lns1> $")
    t.type("quit\r")
    t.expect("closed")


def test_help_completion_history(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = enabled(terminals, net.lns, kind=Telnet)

    # `?` behind half a word, behind a word, behind everything.
    t.type("show ver?")
    text = t.expect(r"lns1# show ver$")
    assert re.search(r"\n  version +\w", text)
    t.type("\x15show ?")
    text = t.expect(r"lns1# show $")
    for word in ("session", "users", "tunnels", "pool", "counters"):
        assert re.search(r"\n  %s +\w" % word, text), word
    t.type("\x15show session ?")
    text = t.expect(r"lns1# show session $")
    assert "[SID]" in text and "[json]" in text and "<cr>" in text
    t.type("\x15shutdown ?")
    assert "<cr>" in t.expect(r"lns1# shutdown $")
    t.type("\x15drop session ?")
    assert "<SID>" in t.expect(r"lns1# drop session $")

    t.type("\x15sho\tver\t\r")
    assert "L2TPNS" in t.prompt()
    # What must be spelled out is in nobody's way.
    assert "L2TPNS" in "".join(t.run("sh ver"))
    assert "Invalid command" in "".join(t.run("shut"))

    # The arrow keys: up, into the line, and to its end.
    t.type("\x1b[A")
    t.expect("shut$")
    t.type("\x1b[A")
    t.expect("sh ver$")
    t.type("\x01\x1b[C\x1b[Cow\x05\r")
    assert "L2TPNS" in t.prompt()
    history = t.run("history")
    assert any(line.endswith(". show ver") for line in history)

    # ^C forgets the line, ^U empties it.
    t.type("show nonsense\x03")
    assert "Invalid" not in t.expect("lns1# $")
    t.type("nonsense\x15show version\r")
    assert "L2TPNS" in t.prompt()


def test_completion_of_keys(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = enabled(terminals, net.lns, kind=Telnet)
    t.type("conf t\rset snoop_h\t")
    t.expect("set snoop_h.*snoop_host $")
    t.type("\x15set radius_i?")
    text = t.expect(r"\(config\)# set radius_i$")
    assert "radius_interim" in text and "radius_secret" not in text


def test_pipes(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = enabled(terminals, net.lns)
    whole = t.run("show running-config")
    assert whole[0] == "# Current configuration:" and whole[-1] == "# end"
    some = t.run("show running-config | include radius")
    assert some == [line for line in whole if "radius" in line]
    rest = t.run("show running-config | exclude set")
    assert rest == [line for line in whole if "set" not in line]
    assert t.run("show run | begin # Plugins") == \
        whole[whole.index("# Plugins"):]
    assert t.run("show running-config | count") == [str(len(whole))]
    assert t.run("show run | grep ^set.l2tp_") == [
        line for line in whole if re.match("set.l2tp_", line)]
    assert t.run("show run | egrep \"mtu|window\"") == [
        line for line in whole if re.search("mtu|window", line)]
    assert t.run("show run | include set | include mtu") == [
        line for line in whole if "mtu" in line]
    for wrong in ("show run |", "show run | ", "show run | nonsense",
                  "show run | grep (", "show run | egrep (", "| count"):
        t.run(wrong)
    assert t.run("show running-config | count") == [str(len(whole))]


def test_lines_as_scripts_send_them(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    for end in ("\r\n", "\n", "\r", "\r\0"):
        t = terminals(Line(net.lns))
        t.expect("Username: $")
        t.type(end.join(["joe", "secret", "show version", "quit", ""]))
        assert "L2TPNS" in t.expect_end()


def test_running_config_can_be_pasted(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = enabled(terminals, net.lns)
    whole = t.run("show running-config")
    t.type("configure terminal\r")
    t.expect(r"\(config\)# $")
    for line in whole + ["! don't | (", "  #what", "#"]:
        said = t.run(line)
        if line.lstrip()[0] in "#!":
            assert said == [], line
        else:
            assert said[0].startswith("Setting \"%s\"" % line.split()[1])
    assert t.run("end") == []
    assert t.run("show running-config") == whole


def test_write_alone(net, daemon, terminals):
    """As Cisco's engineers are used to."""
    one = daemon(users=USERS, argv=["-h", "lns1"])
    path = os.path.join(one.directory, "startup-config")
    t = enabled(terminals, net.lns)
    t.type("conf t\r")
    t.expect(r"\(config\)# $")
    t.run("set throttle_speed 1234")
    assert t.run("wr") == ["Writing configuration"]
    with open(path) as f:
        assert "set throttle_speed 1234" in f.read()
    t.run("set throttle_speed 99")
    other = joe(terminals, net.lns)
    for line in ("wr", "write", "write memory", "write x", "wr m"):
        other.run(line)
        t.run("write x")
    with open(path) as f:
        assert "set throttle_speed 1234" in f.read()
    assert "set throttle_speed 99" in other.run("wr t")
    assert "set throttle_speed 99" in t.run("wr t")
    assert t.run("wr mem") == ["Writing configuration"]
    with open(path) as f:
        assert "set throttle_speed 99" in f.read()


def test_what_a_command_lacks(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    t = enabled(terminals, net.lns)
    for line, said in (
            ("snoop", "Specify username ip port"),
            ("throttle", "Specify username"),
            ("drop session", "Specify a session ID"),
            ("drop tunnel | include a", "Specify a tunnel ID")):
        assert t.run(line) == [said]
    assert t.run("show version | include") == [
        "Incomplete command, missing required argument 'TEXT' for command "
        "'include'"]
    t.type("configure terminal\r")
    t.expect(r"\(config\)# $")
    for line, said in (("set", "Specify variable and value"),
                       ("set debug", "Specify variable and value"),
                       ("load plugin", "Specify a plugin to load"),
                       ("remove plugin", "Specify a plugin to remove")):
        assert t.run(line) == [said]


def test_quotes_and_question_marks(net, daemon, terminals):
    one = daemon(users="joe:secret\nann:?what? is\nenable:en?\n",
                 argv=["-h", "lns1"])
    t = terminals(Line(net.lns)).login("ann", "?what? is")
    t.prompt()
    t.type("enable\r")
    t.expect("Password: $")
    t.type("en?\r")
    t.expect("# $")
    t.type("configure terminal\r")
    t.expect(r"\(config\)# $")
    t.run("set l2tp_secret \"who's | there?\"")
    t.run("set radius_secret \"it's \"'\"so\"'")
    text = t.run("show running-config")
    assert "set l2tp_secret \"who's | there?\"" in text
    assert "set radius_secret \"it's \"'\"so\"'" in text
    assert "there?" not in one.log() and "\"so\"" not in one.log()


# --- who gets in -----------------------------------------------------------

def test_wrong_passwords(net, daemon, terminals):
    one = daemon(users=USERS)
    t = terminals(Line(net.lns))
    for name, password in (("joe", "Secret"), ("nobody", "secret"),
                           ("joe", "")):
        t.login(name, password)
        begin = time.monotonic()
        t.expect("Access denied")
        assert 0.9 < time.monotonic() - begin < 5
    t.expect_end()
    assert one.log().count('refused: wrong password') == 2
    assert one.log().count('refused: no such user') == 1
    assert "Secret" not in one.log()
    # The loopback is never locked out, and enable is nobody's name.
    for _ in range(2):
        t = terminals(Line(net.lns))
        for _ in range(3):
            t.login("enable", "more").expect("Access denied")
        t.expect_end()
    joe(terminals, net.lns)


def test_wrong_enable_passwords(net, daemon, terminals):
    daemon(users=USERS)
    t = joe(terminals, net.lns)
    t.run("show version")       # what libcli keeps of a line is gone by now
    for guess in ("secret", "moRe", "more "):
        t.type("enable\r")
        t.expect("Password: $")
        begin = time.monotonic()
        t.type(guess + "\r")
        t.expect("Access denied")
        assert time.monotonic() - begin > 0.9
    t.expect_end()


def test_every_kind_of_hash(net, daemon, terminals):
    salts = ["$1$abcdefgh", "$5$saltsalt", "$6$saltsalt",
             "$2b$05$abcdefghijklmnopqrstuu", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1"]
    hashes = [crypt.crypt("pass word", salt) for salt in salts]
    hashes += ["{crypt}" + crypt.crypt("pass word", "ab"), "pass word"]
    users = "".join("u%d:%s\n" % pair for pair in enumerate(hashes))
    one = daemon(users=users + "odd:$9$x$y\nnone:\nstar:*0\n")
    for i in range(len(hashes)):
        t = terminals(Line(net.lns)).login("u%d" % i, "pass word")
        t.prompt()
    for name, password in (("odd", "$9$x$y"), ("none", ""), ("star", "*0")):
        terminals(Line(net.lns)).login(name, password).expect("denied")
    for i, stored in enumerate(hashes[:-1]):
        terminals(Line(net.lns)).login("u%d" % i, stored).expect("denied")
    assert "users:8: odd: a hash that is not known here" in one.log()


def test_lockout_of_an_address(net, daemon, terminals):
    one = daemon(users=USERS, config=ANYWHERE)
    far = net_module.LNS_ADDR
    # More guesses at once than may fail: the right one among the last.
    lines = [terminals(Line(net.lac, far)) for _ in range(8)]
    for line in lines:
        line.expect("Username: $")
    for i, line in enumerate(lines):
        line.type("joe\r%s\r" % ("wrong" if i < 5 else "secret"))
        if i == 4:
            time.sleep(0.7)     # until those are counted
    for line in lines:
        assert "Access denied" in line.expect("denied")
    one.wait_log("%s is locked out for 60 s" % net_module.LAC_ADDR)
    t = terminals(Line(net.lac, far))
    assert "try again later" in t.expect_end()
    # Others are not.
    joe(terminals, net.inet, net_module.LNS_INET_ADDR)
    joe(terminals, net.lns)


@pytest.mark.long
def test_any_five_in_a_minute_lock_out(net, daemon, terminals):
    """Not only five in a minute that begins with the first."""
    one = daemon(users=USERS, config=ANYWHERE)
    began = time.monotonic()

    def fail(times):
        line = terminals(Line(net.lac, net_module.LNS_ADDR))
        for _ in range(times):
            line.login("joe", "wrong").expect("denied")

    fail(1)
    time.sleep(55 - (time.monotonic() - began))
    fail(2)
    fail(1)
    time.sleep(62 - (time.monotonic() - began))
    fail(1)
    assert "locked out" not in one.log()
    fail(1)
    one.wait_log("%s is locked out for 60 s after 5" % net_module.LAC_ADDR)


def test_without_users_only_this_machine(net, daemon, terminals):
    one = daemon(config={"cli_bind_address": None}, argv=["-h", "lns1"])
    assert listening(net.lns, "127.0.0.1")
    assert not listening(net.lns, "0.0.0.0")
    one.wait_log("there are no users: only this machine may connect")
    t = terminals(Line(net.lns))
    t.expect("lns1> $")
    t.type("enable\r")
    t.expect("lns1# $")
    # Users come: the port is open to all, and one must log in.
    one.write("users", USERS)
    one.reload()
    one.wait_log("configuration loaded again")
    net_module.wait_for("the port", 5,
                        lambda: listening(net.lns, "0.0.0.0"))
    joe(terminals, net.lac, net_module.LNS_ADDR)
    t.run("show version")       # who was in stays in


def test_without_users_but_told_where(net, daemon, terminals):
    one = daemon(config={"cli_bind_address": net_module.LNS_ADDR},
                 argv=["-h", "lns1"])
    one.wait_log("whoever reaches port 23 is let in without a password")
    t = terminals(Line(net.lac, net_module.LNS_ADDR))
    t.expect("lns1> $")
    t.type("enable\r")
    assert "No password set" in t.expect("lns1> $")


def test_no_enable_password(net, daemon, terminals):
    daemon(users="joe:secret\n", config=ANYWHERE)
    t = joe(terminals, net.lns)
    t.type("enable\r")
    t.expect("# $")
    t = joe(terminals, net.lac, net_module.LNS_ADDR)
    t.type("enable\r")
    assert "No password set" in t.expect("> $")


def test_users_read_again(net, daemon, terminals):
    one = daemon(users=USERS)
    t = joe(terminals, net.lns)
    one.write("users", "ann:new\n")
    one.reload()
    one.wait_log("configuration loaded again")
    terminals(Line(net.lns)).login("joe", "secret").expect("denied")
    terminals(Line(net.lns)).login("ann", "new").prompt()
    t.run("show version")


# --- the process of a terminal ---------------------------------------------

def test_terminal_has_no_rights(net, daemon, terminals):
    one = daemon(users=USERS)
    terminals(Line(net.lns)).expect("Username: $")
    pid, = children(one)
    with open("/proc/%d/cmdline" % pid) as f:
        assert f.read().rstrip("\0") == "l2tpns: terminal 127.0.0.1"
    with open("/proc/%d/status" % pid) as f:
        status = dict(line.split(":", 1) for line in f)
    # Who is not root any more can be nobody else, in the sandbox not even
    # without what a file could have brought back (NoNewPrivs).
    user = one.user or 65534
    assert status["Uid"].split() == [str(user)] * 4
    assert set(status["Gid"].split()) <= {"65534", str(user)}
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"].split() == ["1"]
    for caps in ("CapPrm", "CapEff", "CapAmb") + \
            (() if one.sandbox else ("CapInh",)):
        assert int(status[caps], 16) == 0
    links = [os.readlink("/proc/%d/fd/%s" % (pid, fd))
             for fd in os.listdir("/proc/%d/fd" % pid)]
    sockets = [link for link in links if link.startswith("socket:")]
    assert len(sockets) == 4    # the connection, libcli's pair, the daemon
    with open("/proc/%d/environ" % pid, "rb") as f:
        assert b"secret" not in f.read()


def test_terminal_dies(net, daemon, terminals):
    one = daemon(users=USERS)
    first = joe(terminals, net.lns)
    pid, = children(one)
    second = joe(terminals, net.lns)
    os.kill(pid, signal.SIGKILL)
    first.expect_end()
    one.wait_log("terminal of joe from 127.0.0.1 was ended by signal 9")
    second.run("show version")
    third, = children(one)
    os.kill(third, signal.SIGSTOP)      # hangs: the peer goes, so does it
    second.close()
    os.kill(third, signal.SIGCONT)
    net_module.wait_for("no process left", 10, lambda: not children(one))
    joe(terminals, net.lns)


def test_daemon_goes(net, daemon, terminals):
    one = daemon(users=USERS)
    lines = [joe(terminals, net.lns) for _ in range(3)]
    pids = children(one)
    assert len(pids) == 3
    one.quit()
    for line in lines:
        assert "The server stops" in line.expect_end()
    net_module.wait_for("no process left", 10, lambda: not any(
        os.path.exists("/proc/%d" % pid) for pid in pids))


def test_shutdown_command(net, daemon, terminals):
    one = daemon(users=USERS)
    t = enabled(terminals, net.lns)
    one.expected_exit = True
    t.type("shutdown\r")
    t.expect_end()
    assert one.process.wait(20) == 0


def test_idle_terminal(net, daemon, terminals):
    daemon(users=USERS, config={"cli_idle_timeout": 3})
    t = joe(terminals, net.lns)
    begin = time.monotonic()
    t.expect("[Ii]dle time-?out", 10)
    t.expect_end()
    assert time.monotonic() - begin > 2


def test_thirty_three_terminals(net, daemon, terminals):
    one = daemon(users=USERS)
    lines = [terminals(Line(net.lns)) for _ in range(32)]
    for line in lines:
        line.expect("Username: $")
    assert len(children(one)) == 32
    late = terminals(Line(net.lns))
    assert "All terminals are in use" in late.expect_end()
    lines[0].close()

    def room():
        try:
            return joe(terminals, net.lns)
        except TimeoutError:
            return None

    net_module.wait_for("room for one", 10, room)


def test_this_machine_always_gets_in(net, daemon, terminals):
    one = daemon(users=USERS, config=ANYWHERE)
    far = [joe(terminals, net.lac, net_module.LNS_ADDR)]
    far += [terminals(Line(net.lac, net_module.LNS_ADDR))
            for _ in range(31)]
    for line in far[1:]:
        line.expect("Username: $")
    late = terminals(Line(net.lac, net_module.LNS_ADDR))
    assert "All terminals are in use" in late.expect_end()
    near = joe(terminals, net.lns)
    one.wait_log("connection from %s is closed" % net_module.LAC_ADDR)
    far[1].expect_end()
    for line in far[2:]:
        line.more(0)
        assert line.text == "" and not line.ended
    far[0].run("show version")
    near.run("show version")


def test_a_name_cannot_forge_a_line(net, daemon, terminals):
    one = daemon(users=USERS)
    name = 'x" from 192.0.2.9 refused: wrong password'
    terminals(Line(net.lns)).login(name, "y").expect("denied")
    assert 'login of "x\\x22 from 192.0.2.9 refused: wrong password" from ' \
        '127.0.0.1 refused: no such user' in one.log()
    assert '" from 192.0.2.9' not in one.log()


def test_port_is_taken(net, daemon):
    taken = net.lns.socket(kind=socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 23))
    taken.listen(1)
    with taken:
        one = daemon(users=USERS)
        one.wait_log("127.0.0.1 port 23: Address already in use")
    # It is free again: a reload takes it.
    one.reload()
    net_module.wait_for("the port", 5,
                        lambda: listening(net.lns, "127.0.0.1"))


def test_other_port(net, daemon):
    daemon(users=USERS, config={"cli_port": 2323})
    assert not listening(net.lns, "127.0.0.1")
    assert ":2323" in net.lns.run("ss", "-Hltn", "sport = :2323")


# --- debug ------------------------------------------------------------------

def test_debug(net, daemon, terminals):
    daemon(users=USERS, config={"debug": 2}, argv=["-h", "lns1"])
    t = joe(terminals, net.lns)
    assert t.run("debug") == ["Debugging off"]
    t.run("debug warning err")
    assert t.run("debug") == ["Currently debugging: error warning"]
    t.type("show vers")         # half a line, drawn again behind each line
    other = terminals(Line(net.lns)).login("joe", "secret")
    other.prompt()
    text = t.expect("lns1> show vers$")
    assert re.search(r"\nWARN-0-0 CLI: joe from 127.0.0.1 logged in\r\n",
                     text)
    t.type("ion\r")
    assert "L2TPNS" in t.prompt()
    assert "Invalid debugging level" in t.run("debug nonsense")[0]
    t.run("no debug warning")
    assert t.run("debug") == ["Currently debugging: error"]
    t.run("debug all")
    assert t.run("debug") == [
        "Currently debugging: critical error warning info calls"]
    t.run("no debug")
    assert t.run("debug") == ["Debugging off"]


# --- what it stands ---------------------------------------------------------

def test_slow_reader(net, daemon, terminals):
    """65,000 rows to one who does not read: nobody else notices."""
    one = daemon(users=USERS, ip_pool="10.50.0.0/16\n")
    slow = terminals(Line(net.lns, buffer=4096)).login("joe", "secret")
    slow.prompt()
    slow.type("show pool all\r")
    time.sleep(1)
    for _ in range(5):
        joe(terminals, net.lns).run("show version")
    before = os.times().elapsed
    with open("/proc/%d/stat" % one.pid) as f:
        ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    time.sleep(2)
    with open("/proc/%d/stat" % one.pid) as f:
        busy = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) - ticks
    assert busy < 20 * (os.times().elapsed - before), "it spins"
    # ^C ends it long before the end.
    slow.type("\x03")
    text = slow.prompt(30)
    assert text.count("\n") < 60000
    slow.run("show version")
    # And whoever does read gets everything.
    rows = joe(terminals, net.lns).run("show pool all", 60)
    assert len([row for row in rows if row.startswith("10.50.")]) > 64000


def test_reader_goes_away(net, daemon, terminals):
    one = daemon(users=USERS, ip_pool="10.50.0.0/16\n")
    for _ in range(3):
        t = joe(terminals, net.lns)
        t.type("show pool all\r")
        t.expect("10.50.")
        t.close()
    net_module.wait_for("no process left", 10, lambda: not children(one))


def test_endless_line_and_options(net, daemon, terminals):
    daemon(users=USERS, argv=["-h", "lns1"])
    for stage in ("login", "prompt"):
        t = terminals(Line(net.lns))
        if stage == "prompt":
            t.login("joe", "secret").prompt()
        else:
            t.expect("Username: $")
        for _ in range(16):
            t.send(b"x" * 65536)
            t.more(0.01)
        t.send(b"\xff" * 65536)
        t.send(b"\xff\xfa\x1f" + b"y" * 65536 + b"\xff\xf0")
        for _ in range(1000):
            t.send(b"\xff\xfd\x06\xff\xfb\x18")
            t.more(0)
        t.type("\x15\r")
        if stage == "prompt":
            t.expect("lns1> $")
            t.text = ""
            assert "L2TPNS" in "".join(t.run("show version"))
        t.close()
    joe(terminals, net.lns)


def fuzz_keys(chance, n):
    """Keys that editors of lines have trouble with, words among them."""
    words = ["show ", "session", "sess", "no ", "| include ", "|", " | count",
             "set ", "debug ", "\"", "'", "\\", "?", "??", "\t", "\t\t", "\r",
             "\n", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1bOA", "\x1b",
             "\x01", "\x02", "\x03", "\x05", "\x06", "\x08", "\x0b", "\x0c",
             "\x0e", "\x10", "\x15", "\x17", "\x1a", "\x7f", "x" * 100, "a ",
             "%n%s%x", "\xe9", "\x00", "\xff\xff", "\xff\xf4", "\xff\xfb\x18",
             "\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0", "terminal width 40\r",
             "show version | grep L2\r", "show histogram open\r",
             "configure terminal\r", "enable\r", " ", "1", "l2tp_secret "]
    # ^D, quit and what leaves are left out: they only end the test.
    return "".join(chance.choice(words) for _ in range(n))


def test_keys_of_a_madman(net, daemon, terminals):
    one = daemon(users="", argv=["-h", "lns1"])
    chance = random.Random(4)
    for _ in range(8):
        t = terminals(Line(net.lns))
        t.expect("lns1> $")
        for _ in range(20):
            t.type(fuzz_keys(chance, 60))
            t.more(0.02)
        t.type("\x03\x15\r")
        time.sleep(0.3)
        while not t.ended and t.text:
            t.text = ""
            t.more(0.3)
        t.close()
    assert "ended by signal" not in one.log()
    assert "talks nonsense" not in one.log()


def test_started_with_two_thousand_descriptors(net, daemon, terminals):
    """select() ends at 1024; what a careless parent left open does not."""
    null = os.open("/dev/null", os.O_RDONLY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    many = [os.dup(null) for _ in range(2000)]
    popen = subprocess.Popen

    def careless(*args, **kwargs):
        kwargs.pop("pass_fds", None)
        return popen(*args, close_fds=False, **kwargs)

    try:
        for fd in many:
            os.set_inheritable(fd, True)
        subprocess.Popen = careless
        one = daemon(users=USERS)
    finally:
        subprocess.Popen = popen
        for fd in many + [null]:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    joe(terminals, net.lns).run("show version")
    assert len(os.listdir("/proc/%d/fd" % one.pid)) < 100


def test_many_connections(net, daemon, terminals):
    """Faster than terminals are given out: the daemon turns them away."""
    one = daemon(users=USERS)
    for _ in range(600):
        with net.lns.socket(kind=socket.SOCK_STREAM) as s:
            s.connect(("127.0.0.1", 23))
    net_module.wait_for("no process left", 20, lambda: not children(one))
    joe(terminals, net.lns).run("show version")
    assert len(os.listdir("/proc/%d/fd" % one.pid)) < 60


def test_privileged_commands_are_logged(net, daemon, terminals):
    one = daemon(users=USERS)
    t = enabled(terminals, net.lns)
    t.run("clear counters")
    t.type("conf t\r")
    t.expect(r"\(config\)# $")
    t.run("set radius_secret hush-hush")
    t.run("set debug 4")
    log = one.log()
    assert re.search("joe from 127.0.0.1: set debug", log)
    assert "set radius_secret" in log and "hush-hush" not in log
