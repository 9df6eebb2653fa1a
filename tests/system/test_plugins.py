"""Events of plugins, over whole sessions, against FreeRADIUS.

The plugins record and record2 (tests/plugins/record.c) write every event with
every field into the log, and do in each what they are told to by nsctl.
"""

import re
import signal
import threading
import time

import pytest

import peek
from lac import Lac, Refused
from net import INET_ADDR, wait_for
from plugdir import OURS, nsctl, plugin_dir, run    # fixture
from test_scale import world    # fixture

NAME, WORD = "bob", "a password"
REPLY = {"Cisco-AVPair": ["throttle=yes,intercept=no", "single"],
         "Filter-Id": "filter", "Session-Timeout": 3600,
         "Acct-Interim-Interval": 600}

LINE = re.compile(r"(record2?): (\w+) t (\d+) s (\d+) (.*?)\{(.*)\}$", re.M)


class Event:
    """What a plugin has seen."""

    def __init__(self, match):
        self.plugin, self.name, t, s, text, self.session = match.groups()
        self.text = text.strip()
        self.t, self.s = int(t), int(s)

    def __repr__(self):
        return "%s %s %s {%s}" % (self.plugin, self.name, self.text,
                                  self.session)


class Scene:
    """FreeRADIUS, a server with both recorders, a tunnel."""

    def __init__(self, net, daemon, radius, plugin_dir, users=None, **config):
        self.space = net.lns
        self.radius = radius(users or {NAME: (WORD, REPLY)})
        self.lns = daemon(
            config={"plugin_dir": plugin_dir, "radius_accounting": True,
                    "primary_radius": self.radius.address,
                    "radius_secret": self.radius.secret,
                    "radius_authtypes": "chap,pap", "throttle_speed": 100,
                    **config},
            lines=["load plugin record", "load plugin record2"])
        self.lac = Lac(net.lac)
        self.lac.connect()
        self.mark = 0

    def tell(self, *words, plugin="record"):
        nsctl(self.space, plugin, *words)

    def forget(self):
        """What was seen and told so far."""
        for plugin in "record", "record2":
            self.tell("reset", plugin=plugin)
        self.mark = len(self.lns.log())

    def events(self, *names):
        seen = [Event(m) for m in LINE.finditer(self.lns.log()[self.mark:])]
        return [e for e in seen if not names or e.name in names]

    def wait_event(self, name, plugin="record"):
        def look():
            return [e for e in self.events(name) if e.plugin == plugin]
        return wait_for(lambda: "%s among %s" % (name, self.events()), 10,
                        look)[0]

    def online(self, name=NAME, word=WORD, auth="pap"):
        call = self.lac.call()
        call.online(name, word, auth)
        return call

    def refused(self, name=NAME, word=WORD, auth="pap"):
        call = self.lac.call()
        with pytest.raises(Refused):
            call.login(name, word, auth)
        return call

    def end(self):
        self.lac.stop()
        self.lac.close()


@pytest.fixture
def scene(net, daemon, radius, plugin_dir):
    made = []

    def make(**more):
        made.append(Scene(net, daemon, radius, plugin_dir, **more))
        return made[-1]

    yield make
    for one in made:
        one.end()


# --- what is seen ---------------------------------------------------------------

@pytest.mark.parametrize("auth, number", [("pap", "c023"), ("chap", "c223")])
def test_a_whole_life(scene, auth, number):
    scene = scene()
    begin = scene.events()
    assert [(e.plugin, e.name, e.text) for e in begin] == [
        ("record", "become_master", "sessions 0 master 1"),
        ("record2", "become_master", "sessions 0 master 1")]
    call = scene.online(auth=auth)
    scene.wait_event("new_session", "record2")
    call.hangup()
    scene.wait_event("kill_session", "record2")
    scene.radius.wait_ledger(1, NAME, "Stop")
    seen = scene.events()[2:]
    # One after the other, in the order in which they were loaded.
    assert [e.plugin for e in seen] == ["record", "record2"] * (len(seen) // 2)
    first, second = seen[::2], seen[1::2]
    assert [(e.name, e.t, e.s, e.text) for e in first] == [
        (e.name, e.t, e.s, e.text) for e in second]
    assert [e.name for e in first] == [
        "auth_request", "pre_auth", "post_auth", "radius_response",
        "radius_response", "radius_response", "radius_account", "new_session",
        "kill_session", "radius_account"]
    assert {(e.t, e.s) for e in first} == {(1, 1)}
    word = WORD if auth == "pap" else ""
    address = "".join("%02x" % int(n) for n in call.address.split("."))
    address = address.lstrip("0")
    out = "bob/out/ip 0/closed"
    logged = "bob/in/ip %s/closed" % address
    up = "bob/in/ip %s/open" % address
    assert [(e.text, e.session) for e in first] == [
        ("protocol %s username bob password %s password_length %d" % (
            number, word, len(word)), out),
        ("username bob password %s protocol %s continue_auth 1 accepted 1 "
         "framed_ip 0 dns1 0 dns2 0 session_timeout 3600 idle_timeout 0 "
         "interim_interval 600 filter_id filter message" % (word, number),
         out),
        ("username bob auth_allowed 1 protocol %s" % number, out),
        ("key throttle value yes", logged),
        ("key intercept value no", logged),
        ("key single value", logged),
        ("type 1", logged),
        ("", up),
        ("", first[8].session),
        ("type 2", first[9].session)]
    assert first[8].session.startswith("bob/in/ip %s/" % address)


def test_a_reject(scene):
    scene = scene()
    scene.mark = len(scene.lns.log())
    scene.refused(word="wrong", auth="pap")
    scene.wait_event("kill_session", "record2")
    first = [e for e in scene.events() if e.plugin == "record"]
    assert [e.name for e in first] == ["auth_request", "pre_auth", "post_auth",
                                       "kill_session"]
    assert " accepted 0 " in first[1].text
    assert "auth_allowed 0" in first[2].text
    assert not scene.radius.ledger()


def test_no_answer_is_no_verdict(scene):
    """Nobody is let in because RADIUS is not to be had: here, never asked."""
    scene = scene(radius_secret=None)
    scene.forget()
    scene.tell("post_auth", "allow")
    scene.refused()
    scene.wait_event("kill_session", "record2")
    assert {e.name for e in scene.events()} == {"auth_request", "kill_session"}
    assert "no RADIUS server answered" in scene.lns.log()


# --- STOP and ERROR -------------------------------------------------------------

PER_SESSION = ["auth_request", "pre_auth", "post_auth", "radius_response",
               "radius_account", "new_session", "kill_session"]


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_stop_ends_it_for_those_after(scene, auth):
    scene = scene()
    for name in PER_SESSION:
        scene.forget()
        scene.tell(name, "stop")
        scene.online(auth=auth).hangup()
        scene.wait_event("kill_session", "record" if name == "kill_session"
                         else "record2")
        seen = scene.events(name)
        assert {e.plugin for e in seen} == {"record"}, (name, seen)
        others = [e for e in scene.events() if e.name != name]
        assert [e.plugin for e in others] == ["record", "record2"] * (
            len(others) // 2)
    assert "an error" not in scene.lns.log()


@pytest.mark.parametrize("wrong", ["error", "number"])
def test_error_ends_it_and_refuses_a_login(scene, wrong):
    scene = scene()
    for name in PER_SESSION:
        scene.forget()
        scene.tell(name, wrong)
        if name in ("auth_request", "pre_auth", "post_auth"):
            scene.refused()
        else:
            scene.online().hangup()
        scene.wait_event("kill_session", "record" if name == "kill_session"
                         else "record2")
        assert {e.plugin for e in scene.events(name)} == {"record"}
        assert "plugin record: plugin_%s returned %d, an error" % (
            name, 0 if wrong == "error" else 4711) in \
            scene.lns.log()[scene.mark:]
    # Nobody is asked in vain: the first refusal was before RADIUS.
    assert len(scene.radius.requests(NAME)) == len(PER_SESSION) - 1


# --- what may be set --------------------------------------------------------------

def test_what_an_answer_may_say(scene):
    scene = scene(users={NAME: (WORD, {}), "renamed": ("changed", REPLY)})
    scene.forget()
    scene.tell("auth_request", "rename")
    scene.tell("pre_auth", "settle")
    call = scene.online(word="whatever")
    assert call.address == "10.9.8.7"
    assert call.dns == ["1.1.1.1", "2.2.2.2"]
    assert call.auth_message == b"hello from record"
    seen = scene.wait_event("pre_auth", "record2")
    assert seen.text == (
        "username renamed password changed protocol c023 continue_auth 1 "
        "accepted 1 framed_ip a090807 dns1 1010101 dns2 2020202 "
        "session_timeout 3000 idle_timeout 4000 interim_interval 60 "
        "filter_id from record message hello from record")
    assert scene.wait_event("new_session").session.startswith("renamed/in/")
    call.hangup()
    # What post_auth sets holds, for who is let in by it too.
    for word in "changed", "wrong":
        scene.forget()
        scene.tell("post_auth", "allow", "dns")
        call = scene.online(name="renamed", word=word)
        assert call.dns == ["9.9.9.9", "10.99.2.54"]
        call.hangup()
    # Halted: the second is not asked, and nothing else is different.
    scene.forget()
    scene.tell("pre_auth", "halt", "settle")
    assert scene.online().address == "10.9.8.7"
    assert [e.plugin for e in scene.events("pre_auth")] == ["record"]
    assert len(scene.events("post_auth")) == 2


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_the_last_word(scene, auth):
    """Forced in either direction; of two plugins the later one decides."""
    scene = scene()
    pool = scene.online(auth=auth)
    assert pool.address.startswith("10.50.")
    for event, yes, no in (("post_auth", "allow", "deny"),
                           ("pre_auth", "accept", "reject")):
        scene.forget()
        scene.tell(event, yes)
        call = scene.online(name="nobody", word="wrong", auth=auth)
        assert call.address.startswith("10.50.")
        # A reject says nothing of value.
        assert not scene.events("radius_response")
        call.hangup()
        scene.forget()
        scene.tell(event, no)
        scene.refused(name=NAME, auth=auth)
        scene.forget()
        scene.tell(event, no)
        scene.tell(event, yes, plugin="record2")
        scene.online(auth=auth).hangup()
    assert "login of nobody allowed by a plugin" in scene.lns.log()


def test_the_garden_keeps_no_books(scene):
    scene = scene()
    scene.tell("post_auth", "allow", "garden")
    one = scene.online(word="wrong")
    two = scene.online(word="wrong")        # two of a name, in the garden
    assert one.ping(INET_ADDR) == 1 and two.ping(INET_ADDR) == 1
    assert scene.wait_event("new_session").session.endswith("/garden")
    scene.tell("reset")
    plain = scene.online()
    assert one.ping(INET_ADDR) == 1 and plain.ping(INET_ADDR) == 1
    scene.radius.wait_ledger(1, NAME, "Start")
    # Out of it, by the plugin: it is the one and only then, and is billed.
    scene.tell("kill_session", "ungarden")
    assert not plain.closed
    for call in one, two:
        call.hangup()
    time.sleep(0.3)
    assert len(scene.radius.ledger(NAME)) == 1
    plain.hangup()
    scene.radius.wait_ledger(1, NAME, "Stop")
    assert len(scene.radius.ledger(NAME)) == 2


def test_released_from_the_garden(scene):
    """garden and ungarden of sessions that are up, one by the other's event."""
    scene = scene()
    scene.tell("new_session", "garden")
    call = scene.online()
    scene.radius.wait_ledger(1, NAME, "Stop")   # it was up and billed
    other = scene.lac.call()
    scene.tell("new_session", "ungarden")
    scene.tell("post_auth", "garden")
    other.online(NAME, WORD, "pap")
    scene.radius.wait_ledger(2, NAME, "Start")
    ids = [r["Acct-Session-Id"] for r in scene.radius.ledger(NAME)]
    assert ids[0] == ids[1] != ids[2]
    assert not call.closed                  # in the garden, so not counted
    assert other.ping(INET_ADDR) == 1
    # Counters begin with the release.
    other.hangup()
    stop = scene.radius.wait_ledger(2, NAME, "Stop")[1]
    assert stop["Acct-Input-Octets"] == "84"


def test_a_restart_keeps_it_in_the_garden(scene, tmp_path):
    scene = scene(save_state=True,
                  state_file=str(tmp_path / "state"))
    scene.tell("post_auth", "allow", "garden")
    call = scene.online(word="wrong")
    scene.lns.process.send(signal.SIGTERM)
    assert scene.lns.process.wait(30) == 0
    scene.mark = len(scene.lns.log())
    scene.lns.start()
    scene.lns.wait_log(r"l2tpns \S+ ready", 20, scene.mark)
    begin = scene.events()
    assert [(e.plugin, e.name, e.text) for e in begin] == [
        ("record", "become_master", "sessions 1 master 1"),
        ("record2", "become_master", "sessions 1 master 1")]
    assert call.ping(INET_ADDR) == 1
    scene.tell("kill_session", "ungarden")      # too late for that
    call.hangup()
    assert scene.wait_event("kill_session").session.endswith("/garden")
    assert not scene.radius.ledger()


def test_attributes_in_accounting(scene):
    scene = scene(users={NAME: (WORD, {})})
    scene.tell("radius_account", "add")
    scene.tell("radius_account", "add", "error", plugin="record2")
    call = scene.online()
    call.hangup()
    records = scene.radius.wait_ledger(1, NAME, "Stop") + \
        scene.radius.ledger(NAME, "Start")
    for record in records:
        assert record["Filter-Id"] == "filter record"
        assert record["Cisco-AVPair"] == "pair=record"


def test_garbage(scene):
    """In every field, from the first of two; the second finds it in order."""
    scene = scene()
    for name in PER_SESSION + ["timer"]:
        scene.forget()
        scene.tell(name, "garbage")
        call = scene.online()
        assert call.address.startswith("10.50.")
        call.hangup()
        scene.wait_event("kill_session", "record2")
        first = [e for e in scene.events() if e.plugin == "record"]
        second = [e for e in scene.events() if e.plugin == "record2"]
        # Any number is a time that makes sense.
        assert [(e.name, e.s, e.text) for e in first] == [
            (e.name, e.s, e.text.replace(
                "session_timeout 4294967295 idle_timeout 4294967295 "
                "interim_interval 4294967295", "session_timeout 3600 "
                "idle_timeout 0 interim_interval 600")) for e in second]
    log = scene.lns.log()
    assert "record: added" not in log
    for event, members in (
            ("auth_request", "username, password_length"),
            ("pre_auth", "accepted, framed_ip, dns1, dns2, filter_id, "
             "message"), ("post_auth", "auth_allowed")):
        assert "plugin record: plugin_%s set to what cannot be, and left as " \
            "it was: %s\n" % (event, members) in log
    assert len(scene.radius.wait_ledger(8, NAME, "Stop")) == 8


# --- what a plugin may do meanwhile -----------------------------------------------

@pytest.mark.parametrize("how", ["kill", "shutdown"])
def test_a_session_ended_in_any_event(scene, how):
    scene = scene()
    for name in PER_SESSION:
        scene.forget()
        scene.tell(name, how, "garden", "ungarden")
        call = scene.lac.call()
        try:
            call.login(NAME, WORD, "pap", seconds=1)
            call.wait_ip(seconds=1)
        except (Refused, TimeoutError):
            assert name != "kill_session"
        if name == "kill_session":
            call.hangup()
        end = scene.wait_event("kill_session")
        assert len(scene.events("kill_session")) in (1, 2)
        assert end.session != "none"
        # Nothing is left of it that would be in the way of the next.
        scene.forget()
        scene.online().hangup()
        scene.wait_event("kill_session", "record2")
    starts = scene.radius.ledger(NAME, "Start")
    scene.radius.wait_ledger(len(starts), NAME, "Stop")
    assert [r["Acct-Session-Id"] for r in scene.radius.ledger(NAME, "Stop")] \
        == [r["Acct-Session-Id"] for r in starts]


def test_removed_and_loaded_under_traffic(scene):
    scene = scene()
    call = scene.online()
    scene.tell("post_auth", "kill")
    over = threading.Event()
    errors = []

    def load_and_remove():
        while not over.is_set():
            for word in "unload_plugin", "load_plugin":
                for name in "record", "record2":
                    done = run(scene.space, OURS, word, name)
                    if done[0] != 0:
                        errors.append((word, name, done))
                    time.sleep(0.02)        # 100 requests a second

    thread = threading.Thread(target=load_and_remove)
    thread.start()
    try:
        for i in range(10):
            other = scene.lac.call()
            try:
                other.online("bob%d" % i, "wrong", "pap")
            except Refused:
                pass
            assert call.ping(INET_ADDR, 3) == 3
    finally:
        over.set()
        thread.join()
    assert not errors
    assert call.ping(INET_ADDR) == 1
    # A newcomer hears who is master, and what there is.
    assert "record: become_master t 0 s 0 sessions 1 master 1" in \
        scene.lns.log()


def test_whatever_they_do_nothing_is_lost(net, world, plugin_dir):
    """Two plugins do all that there is, at random; then the books are balanced.
    """
    pairs = "throttle=yes,intercept=no".encode().hex()
    book = world.radresp(reject=30, attr="26.9.1=0x" + pairs)
    lns = world.daemon(radius_accounting=True, plugin_dir=plugin_dir,
                       throttle_speed=100)
    for plugin in "record", "record2":
        nsctl(net.lns, "load_plugin", plugin)
        for event in PER_SESSION + ["timer"]:
            nsctl(net.lns, plugin, event, "chaos")
            time.sleep(0.02)            # 100 requests a second
    lac = world.sim(tunnels=3, sessions=150, cycles=900, rate=400,
                    auth="mix", setup_timeout=3)
    lac.process.wait(90)
    for plugin in "record", "record2":
        nsctl(net.lns, "unload_plugin", plugin)
    after = peek.counters(lns.pid)
    assert after["session_created"] >= 800, after
    assert after["ppp_auth_ok"] >= 100, after
    assert after["ip_allocated"] == after["ip_freed"]

    def billed():
        now = book.summary()
        whole = now["sessions"]
        return whole["total"] == whole["one_start_one_stop"] > 100 and \
            not now["faults"]["sum"]
    wait_for(book.summary, 10, billed, 0.3)


def test_in_cplusplus(net, daemon, plugin_dir):
    lns = daemon(config={"plugin_dir": plugin_dir},
                 lines=["load plugin plusplus"], secrets="* * *\n")
    assert nsctl(net.lns, "plusplus") == "1\n"
    assert nsctl(net.lns, "plusplus") == "2\n"
    assert "plusplus" in nsctl(net.lns, "help")
    nsctl(net.lns, "unload_plugin", "plusplus")
    nsctl(net.lns, "load_plugin", "plusplus")
    assert nsctl(net.lns, "plusplus") == "1\n"
    assert "plugin plusplus loaded, takes part in: timer, control" in lns.log()
