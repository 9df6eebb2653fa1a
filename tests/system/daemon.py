"""The daemon under test, in the server's namespace.

The program is $L2TPNS, or build/l2tpns of this checkout.  With
L2TPNS_REFERENCE=1 it is taken to be Debian's l2tpns 2.4.1: the way to learn
whether a test that fails is wrong itself.  With OFFLOAD=no every daemon whose
test does not say otherwise has `offload no`: the other path of the packets.

L2TPNS_SETUID=1 starts every daemon with `set setuid`; L2TPNS_SANDBOX=1 starts
every daemon under the restrictions of etc/l2tpns.service (sandbox.py).  Both
are the user USER then, to whom the files of the test are given.
"""

import os
import re
import signal

import net
import sandbox as sandbox_module

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

REFERENCE = os.environ.get("L2TPNS_REFERENCE") == "1"

SETUID = os.environ.get("L2TPNS_SETUID") == "1"
SANDBOX = os.environ.get("L2TPNS_SANDBOX") == "1"
USER = 45678                    # in no user database

SANITIZER = re.compile(
    r"^.*(ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:"
    r"|SUMMARY: \w*Sanitizer).*$", re.M)

DEFAULTS = {
    "debug": 3,
    "primary_dns": "10.99.2.53",
    "secondary_dns": "10.99.2.54",
    "peer_address": net.PEER_ADDR,
    "radius_authtypes": "chap,pap",
    "tundevicename": "tun0",
    "cli_bind_address": "127.0.0.1",
    "send_garp": False,
}

if os.environ.get("OFFLOAD") and not REFERENCE:
    DEFAULTS["offload"] = os.environ["OFFLOAD"] == "yes"

# What the reference needs, and ours does not.
REFERENCE_DEFAULTS = {
    "cluster_interface": "lac0",
    "cluster_hb_timeout": 20,
    "pid_file": "/nonexistent/l2tpns.pid",
}


def program():
    return os.environ.get("L2TPNS", "/usr/sbin/l2tpns" if REFERENCE else
                          os.path.join(TOP, "build", "l2tpns"))


def config_line(key, value):
    if isinstance(value, bool):
        value = "yes" if value else "no"
    elif isinstance(value, str) and not re.fullmatch(r"[\d.]+", value):
        value = '"%s"' % value
    return "set %s %s\n" % (key, value)


def mkdir(path):
    """A directory that a daemon may write to, whoever it is."""
    os.mkdir(path)
    if SETUID or SANDBOX:
        os.chown(path, USER, USER)


class Daemon:
    """One run of the daemon; start() is called by the constructor.

    config adds to and overrides DEFAULTS (None leaves a key out); lines are
    further lines of startup-config.  secrets is the text of ppp-secrets, files
    are more of them.  within is a command that runs the daemon.
    """

    def __init__(self, space, directory, config=None, lines=(),
                 ip_pool=net.POOL + "\n", secrets=None, users=None,
                 argv=(), env=None, seconds=30, setuid=SETUID,
                 sandbox=SANDBOX, within=(), files=None):
        self.space = space
        self.directory = directory
        self.logfile = os.path.join(directory, "daemon.log")
        self.process = None
        self.expected_exit = False
        self.sandbox = sandbox
        self.user = USER if setuid or sandbox else None
        os.makedirs(directory, mode=0o700)
        if setuid or sandbox:
            self.give_away()
        if setuid:
            config = {"setuid": USER, **(config or {})}
        keys = dict(DEFAULTS)
        if REFERENCE:
            keys.update(REFERENCE_DEFAULTS)
        keys.update(config or {})
        self.config = {k: v for k, v in keys.items() if v is not None}
        self.lines = list(lines)
        self.write_config()
        self.write("ip_pool", ip_pool)
        if secrets is not None:
            self.write("ppp-secrets", secrets)
        if users is not None:
            self.write("users", users)
        for name, text in (files or {}).items():
            self.write(name, text)
        self.argv = list(argv)
        self.within = list(within)
        self.env = dict(os.environ)
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        if setuid or sandbox:
            # The leak check traces, which is not allowed any more.
            self.env["ASAN_OPTIONS"] = ":".join(filter(None, [
                self.env.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        self.env.update(env or {})
        self.start(seconds)

    def give_away(self):
        """Let USER have this directory and the test's, and get there."""
        for path in self.directory, os.path.dirname(self.directory):
            os.chown(path, USER, USER)
        while path != "/":
            os.chmod(path, os.stat(path).st_mode | 0o011)
            path = os.path.dirname(path)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        owner = os.stat(self.directory)
        with open(path, "w") as f:
            os.chmod(path, 0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
            f.write(text)

    def write_config(self, **changes):
        """(Re)write startup-config, with some keys changed."""
        self.config.update(changes)
        self.write("startup-config", "".join(
            [config_line(k, v) for k, v in self.config.items()] +
            [line + "\n" for line in self.lines]))

    def start(self, seconds=30):
        argv = [program(), "-c", os.path.join(self.directory,
                                              "startup-config")]
        if REFERENCE:
            # It reads ip_pool in /etc/l2tpns only: bind ours over that.
            argv = ["unshare", "-m", "sh", "-c",
                    'mount --bind "$0" /etc/l2tpns && exec "$@"',
                    self.directory] + argv
        if self.sandbox:
            argv = [sandbox_module.PYTHON, "-B", sandbox_module.__file__,
                    str(USER), os.path.dirname(self.directory)] + argv
        begin = os.path.getsize(self.logfile) if os.path.exists(
            self.logfile) else 0
        self.process = self.space.start(self.within + argv + self.argv,
                                        self.logfile,
                                        env=self.env)

        def ready():
            if not self.process.alive():
                raise RuntimeError("daemon ended (%s) at its start:\n%s" % (
                    self.process.child.returncode,
                    self.process.log()[begin:][-4000:]))
            return self.space.udp_bound(1701)

        try:
            net.wait_for(lambda: "the daemon to be ready:\n" +
                         self.process.log()[begin:][-4000:], seconds, ready)
            if REFERENCE:
                self.process.wait_log("becoming master", seconds, begin)
        except BaseException:
            self.process.stop(1)
            raise

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.log()

    def wait_log(self, pattern, seconds=10, start=0):
        return self.process.wait_log(pattern, seconds, start)

    def reload(self):
        self.process.send(signal.SIGHUP)

    def quit(self, seconds=15):
        """SIGQUIT: disconnect everybody, then end.  The exit status."""
        self.expected_exit = True
        self.process.send(signal.SIGQUIT)
        return self.process.wait(seconds)

    def has_interface(self):
        return "tun0" in self.space.run("ip", "-o", "link")

    def routes(self):
        return self.space.ip("-4 route show")

    def complaints(self):
        """What a sanitizer said, from the first report on; "" is good."""
        log = self.log()
        found = SANITIZER.search(log)
        return log[found.start():][:6000] if found else ""

    def finish(self):
        """Stop it; AssertionError when it was not well.

        A daemon must live until it is told to go, go when told, leave with
        status 0, and never make a sanitizer speak.
        """
        if self.process is None:
            return
        alive = self.process.alive()
        status = self.process.child.returncode
        if alive:
            status = self.process.stop(15, signal.SIGTERM)
        said = self.complaints()
        log = self.log()[-4000:]
        self.process = None
        assert not said, "sanitizer report:\n" + said
        assert alive or self.expected_exit, \
            "the daemon died with status %s:\n%s" % (status, log)
        if not REFERENCE:
            assert status is not None, "SIGTERM did not end it:\n" + log
            assert status == 0, "exit status %s:\n%s" % (status, log)
