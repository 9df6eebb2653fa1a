"""Fixtures: the network, the daemon, FreeRADIUS, captures, the guest.

Everything that a fixture starts it also stops, after a failure too.  The
directory of each test, with the logs, the configuration and the captures of
what ran in it, is kept (the last three runs) and named when the test fails.
"""

import contextlib
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

import pytest

import daemon as daemon_module
import freeradius
import guest as guest_module
import net as net_module
from lac import Lac


RUNS = os.path.join(tempfile.gettempdir(), "l2tpns-tests")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Directories where a daemon that is not root any more can get to.

    The default place is closed to others by each pytest that starts.
    """
    if config.option.basetemp or os.geteuid() != 0:
        return
    os.makedirs(RUNS, exist_ok=True)
    os.chmod(RUNS, 0o711)
    runs = sorted((e for e in os.scandir(RUNS) if e.is_dir()),
                  key=lambda e: e.stat().st_mtime)
    for old in runs[:-2]:
        if not os.path.exists("/proc/" + old.name):
            shutil.rmtree(old.path, ignore_errors=True)
    config.option.basetemp = os.path.join(RUNS, str(os.getpid()))


def pytest_collection_modifyitems(items):
    """Explain at once what is missing, for all tests alike."""
    reason = None
    if os.geteuid() != 0:
        reason = "must be root: it makes network namespaces"
    elif not os.path.exists("/dev/net/tun"):
        reason = "needs /dev/net/tun"
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed and "tmp_path" in item.funcargs:
        report.sections.append(
            ("files of this test", str(item.funcargs["tmp_path"])))


@pytest.fixture(scope="session")
def net():
    """The three namespaces, for the whole run."""
    made = net_module.Net()
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def forgetful(request):
    """What the kernel learnt in one test (path MTUs) is not known in the next."""
    yield
    if "net" in request.fixturenames:
        for space in request.getfixturevalue("net").names:
            space.ip("route flush cache")


@pytest.fixture
def daemon(net, tmp_path):
    """A function that starts the daemon; see daemon.Daemon."""
    if not os.access(daemon_module.program(), os.X_OK):
        pytest.fail("no daemon: %s" % daemon_module.program())
    with contextlib.ExitStack() as stack:
        def start(name="daemon", **options):
            one = daemon_module.Daemon(net.lns, str(tmp_path / name),
                                       **options)
            stack.callback(one.finish)
            return one
        yield start


@pytest.fixture
def carrier(net):
    """A function that makes carriers with a tunnel, closed at the end."""
    made = []

    def make():
        made.append(Lac(net.lac))
        made[-1].connect()
        return made[-1]
    yield make
    for lac in made:
        lac.stop()
        lac.close()


@pytest.fixture
def radius(net, tmp_path):
    """A function that starts a FreeRADIUS; see freeradius.FreeRadius."""
    with contextlib.ExitStack() as stack:
        def start(users, address=net_module.INET_ADDR, **options):
            # The reference has no Message-Authenticator to show.
            options.setdefault("require_authenticator",
                               not daemon_module.REFERENCE)
            one = freeradius.FreeRadius(
                net.inet, str(tmp_path / ("radius-" + address)), users,
                address=address, **options)
            stack.callback(one.stop)
            return one
        yield start


@pytest.fixture
def capture(net, tmp_path):
    """A function that captures in a namespace: capture(net.lns, "lac0")."""
    with contextlib.ExitStack() as stack:
        def start(space, interface, what="udp"):
            path = str(tmp_path / ("%s-%d.pcap" % (
                interface, len(list(tmp_path.iterdir())))))
            one = net_module.Capture(space, interface, path, what)
            stack.callback(one.process.stop, 5)
            return one
        yield start


class GuestKeeper:
    """The one guest of a run, made again when a test broke it."""

    def __init__(self, net, directory):
        self.net = net
        self.directory = directory
        self.guest = None

    def get(self):
        if self.guest is not None:
            try:
                self.guest.reset()
                return self.guest
            except (guest_module.Dead, RuntimeError):
                self.drop()
        self.guest = guest_module.Guest(self.net.lac, self.directory)
        return self.guest

    def drop(self):
        if self.guest is not None:
            self.guest.stop()
            self.guest = None


@pytest.fixture(scope="session")
def guest_keeper(net, tmp_path_factory):
    keeper = GuestKeeper(net, str(tmp_path_factory.mktemp("guest")))
    yield keeper
    keeper.drop()


@pytest.fixture
def guest(guest_keeper, daemon):
    """The guest, with no call up; see guest.Guest."""
    # It asks for daemon so that its calls end before the daemon does.
    one = guest_keeper.get()
    yield one
    try:
        one.reset()
    except (guest_module.Dead, RuntimeError):
        guest_keeper.drop()
