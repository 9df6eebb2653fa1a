"""A real subscriber: pppd behind xl2tpd, in a machine of its own.

About the octets.  pppd prints at the end of a call what its ppp0 carried
between the moment IPCP opened and the moment it closed: the bytes of the IP
packets, without PPP's own header (address, control and protocol fields) and
without LCP, PAP, CHAP and the first IPCP, which do not pass while it counts.
So do the records for RADIUS: Acct-Output-Octets is what the subscriber
received, Acct-Input-Octets what it sent, in bytes of IP packets.
"""

import hashlib
import os
import re
import signal
import socket
import threading
import time

import pytest

import daemon as daemon_module
import net as net_module
from freeradius import octets
from net import INET_ADDR, LNS_ADDR, PEER_ADDR, TcpSource, wait_for
from terminal import Terminal
from test_garden import EVERYTHING, NSCTL, PORTAL, plugin_dir  # noqa: F401

pytestmark = pytest.mark.guest

ours_only = pytest.mark.skipif(daemon_module.REFERENCE,
                               reason="the reference does not promise this")

MB10 = 10 * 1024 * 1024
USER, PASSWORD = "alice@example.net", "a secret of 25 octets: #1"
USERS = {USER: (PASSWORD, {})}
SECRETS = """# client server secret addresses
"%s" * "%s" *
fixed * fixed-password 10.50.0.77
""" % (USER, PASSWORD)


def with_radius(server, **more):
    keys = {"primary_radius": server.address, "radius_secret": server.secret,
            "radius_accounting": True}
    keys.update(more)
    return keys


def check_transfer(net, guest, size=MB10):
    """The same bytes arrive, down and then up."""
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    source = TcpSource(net.inet, 5001, data)
    try:
        guest.check("nc %s 5001 </dev/null >/tmp/down" % INET_ADDR, 120)
        text = guest.check("sha256sum </tmp/down; wc -c </tmp/down")
        assert text.split() == [digest, "-", str(size)]
        assert source.finished.wait(10)
    finally:
        source.close()
    sink = TcpSource(net.inet, 5002)
    try:
        guest.check("nc %s 5002 </tmp/down" % INET_ADDR, 120)
        assert sink.finished.wait(30)
        assert len(sink.received) == size
        assert hashlib.sha256(sink.received).hexdigest() == digest
    finally:
        sink.close()
        guest.run("rm -f /tmp/down")


def check_billing(server, guest, user=USER):
    """One Start, one Stop, one session, and the octets pppd counted."""
    # What xl2tpd lost the server has counted and pppd has not.
    assert guest.udp_losses() == 0
    sent, received = guest.sent_received()
    server.wait_ledger(1, user, "Stop")
    time.sleep(1)    # a second one would come now
    records = server.ledger(user)
    kinds = [r["Acct-Status-Type"] for r in records]
    assert kinds == ["Start", "Stop"]
    start, stop = records
    assert start["Acct-Session-Id"] == stop["Acct-Session-Id"]
    assert start["Framed-IP-Address"] == stop["Framed-IP-Address"]
    assert octets(stop) == (sent, received)
    return start, stop


def check_idle(guest, seconds):
    """Nothing but echoes for a while: each of ours answered, theirs too."""
    before = guest.ppp_log()
    time.sleep(seconds)
    log = guest.ppp_log()[len(before):]
    asked = re.findall(r"sent \[LCP EchoReq id=(\S+)", log)
    answered = re.findall(r"rcvd \[LCP EchoRep id=(\S+)", log)
    assert len(asked) >= seconds // 5 - 1
    # The last one may still be on its way.
    assert set(asked[:-1]) <= set(answered)
    heard = re.findall(r"rcvd \[LCP EchoReq id=(\S+)", log)
    replied = re.findall(r"sent \[LCP EchoRep id=(\S+)", log)
    assert heard == replied
    return len(heard)


def a_life(net, guest, daemon, radius, auth, idle, size=MB10):
    server = radius(USERS)
    lns = daemon(config=with_radius(server, echo_timeout=10,
                                    idle_echo_timeout=30))
    guest.dial(USER, PASSWORD, auth)
    own, peer = guest.wait_up()
    assert re.match(r"10\.50\.0\.\d+$", own)
    assert peer == PEER_ADDR
    assert guest.dns() == ["10.99.2.53", "10.99.2.54"]
    wait_for("the Start", 10, lambda: server.ledger(USER, "Start"))

    assert guest.ping(INET_ADDR, 100, interval=0.02) == 100
    out = net.inet.run("ping", "-q", "-c", "100", "-i", "0.02", "-W", "5",
                       own)
    assert "100 received" in out
    check_transfer(net, guest, size)
    check_idle(guest, idle)
    assert guest.ping(INET_ADDR, 10) == 10

    guest.hangup()
    start, stop = check_billing(server, guest)
    assert start["Framed-IP-Address"] == own
    if not daemon_module.REFERENCE:
        assert stop["Acct-Terminate-Cause"] == "User-Request"
    sent, received = octets(stop)
    assert sent > size and received > size
    request = server.requests(USER)[0]
    if auth == "chap":
        assert "CHAP-Password" in request
    else:
        # FreeRADIUS compared it, so it was hidden with the right secret.
        assert request["User-Password"] == PASSWORD
    return lns


@pytest.mark.parametrize("auth, idle, size", [("chap", 16, MB10),
                                              ("pap", 6, MB10 // 10)])
def test_pppd_lives_a_whole_session_and_is_billed_exactly(
        net, guest, daemon, radius, auth, idle, size):
    a_life(net, guest, daemon, radius, auth, idle, size)


@pytest.mark.long
@pytest.mark.parametrize("auth", ["chap", "pap"])
def test_pppd_lives_a_whole_session_with_90_idle_seconds(
        net, guest, daemon, radius, auth):
    a_life(net, guest, daemon, radius, auth, idle=90)


@ours_only
@pytest.mark.parametrize("auth, size", [("chap", MB10), ("pap", 100000)])
def test_pppd_gets_online_from_ppp_secrets_without_radius(
        net, guest, daemon, auth, size):
    lns = daemon(secrets=SECRETS)
    guest.dial(USER, PASSWORD, auth)
    own, peer = guest.wait_up()
    assert re.match(r"10\.50\.0\.\d+$", own)
    assert peer == PEER_ADDR
    assert guest.dns() == ["10.99.2.53", "10.99.2.54"]
    assert guest.ping(INET_ADDR, 100, interval=0.02) == 100
    check_transfer(net, guest, size)
    guest.hangup()
    sent, received = guest.sent_received()
    assert sent > size and received > size
    assert lns.process.alive()


@ours_only
def test_pppd_gets_the_address_that_ppp_secrets_names(guest, daemon):
    daemon(secrets=SECRETS)
    guest.dial("fixed", "fixed-password")
    assert guest.wait_up()[0] == "10.50.0.77"
    assert guest.ping(INET_ADDR, 5) == 5


def refused(guest, auth, password="wrong"):
    guest.dial(USER, password, auth)
    guest.wait_log({"chap": "CHAP authentication failed",
                    "pap": "PAP authentication failed"}[auth], 30)
    guest.wait_down()
    assert "local  IP address" not in guest.ppp_log()


@ours_only
@pytest.mark.parametrize("auth", ["chap", "pap"])
def test_wrong_password_is_told_and_ends_the_call(
        guest, daemon, radius, auth):
    server = radius(USERS)
    lns = daemon(config=with_radius(server))
    refused(guest, auth)
    # The next call with the right one is not hurt by it.
    guest.dial(USER, PASSWORD, auth)
    guest.wait_up()
    guest.hangup()
    check_billing(server, guest)
    assert lns.process.alive()


@ours_only
@pytest.mark.parametrize("auth", ["chap", "pap"])
def test_wrong_password_is_told_without_radius(guest, daemon, auth):
    daemon(secrets=SECRETS)
    refused(guest, auth)
    refused(guest, auth, password="")


@ours_only
def test_without_ppp_secrets_nobody_gets_in_and_the_log_says_so(
        guest, daemon):
    lns = daemon()
    refused(guest, "chap", PASSWORD)
    assert len(re.findall(r"ppp-secrets", lns.log())) >= 1


def test_pppd_that_crashed_and_came_back_renegotiates(
        guest, daemon, radius):
    """The session stays: LCP starts again from Opened (RFC 1661 4.3)."""
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD, restart=True)
    own, _ = guest.wait_up()
    assert guest.ping(INET_ADDR, 5) == 5
    guest.crash_pppd()
    assert guest.wait_up()[0] == own
    assert guest.ping(INET_ADDR, 20) == 20
    guest.hangup()
    server.wait_ledger(1, USER, "Stop")
    time.sleep(1)
    kinds = [r["Acct-Status-Type"] for r in server.ledger(USER)]
    assert kinds == ["Start", "Stop"]


@pytest.mark.parametrize("radius_too", [True, False])
def test_sigquit_disconnects_the_subscriber_cleanly(
        guest, daemon, radius, radius_too):
    if radius_too:
        server = radius(USERS)
        lns = daemon(config=with_radius(server))
    elif daemon_module.REFERENCE:
        pytest.skip("the reference has no ppp-secrets")
    else:
        lns = daemon(secrets=SECRETS)
    guest.dial(USER, PASSWORD)
    guest.wait_up()
    assert guest.ping(INET_ADDR, 5) == 5
    status = lns.quit()
    guest.wait_down(15)
    log = guest.xl2tpd_log()
    # A Call-Disconnect-Notify for the session, a Stop-Control-Connection-
    # Notification for the tunnel.
    if not daemon_module.REFERENCE:
        assert "Call-Disconnect-Notify" in log
        assert "Stop-Control-Connection-Notification" in log
        assert status == 0
        assert not lns.has_interface()
    if radius_too:
        start, stop = check_billing(server, guest)
        assert "Acct-Terminate-Cause" in stop


@ours_only
def test_pppd_does_not_notice_a_restart(net, guest, daemon, radius, tmp_path):
    """SIGTERM and a new server: the same call goes on, and is billed once."""
    server = radius(USERS)
    lns = daemon(config=with_radius(
        server, save_state=True, state_file=str(tmp_path / "state")))
    guest.dial(USER, PASSWORD)
    guest.wait_up()
    assert guest.ping(INET_ADDR, 5) == 5
    for _ in range(2):
        lns.process.send(signal.SIGTERM)
        assert lns.process.wait(20) == 0
        lns.start()
        lns.wait_log("state restored: 1 sessions on 1 tunnels")
        assert guest.ping(INET_ADDR, 5) == 5
    check_transfer(net, guest, MB10 // 10)
    guest.hangup()
    check_billing(server, guest)


def test_xl2tpd_closing_its_tunnel_ends_the_session(guest, daemon, radius):
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD)
    guest.wait_up()
    assert guest.ping(INET_ADDR, 5) == 5
    guest.hangup("l2tp")
    check_billing(server, guest)


@ours_only
def test_tunnel_secret_is_proved_both_ways(guest, daemon):
    daemon(config={"l2tp_secret": "tunnel-secret",
                   "l2tp_require_secret": True}, secrets=SECRETS)
    guest.dial(USER, PASSWORD, secret="tunnel-secret")
    guest.wait_up()
    assert guest.ping(INET_ADDR, 5) == 5
    guest.hangup()


@ours_only
def test_xl2tpd_with_another_secret_is_not_deceived(guest, daemon):
    """Nor the daemon: test_wire.py shows that."""
    daemon(config={"l2tp_secret": "tunnel-secret",
                   "l2tp_require_secret": True}, secrets=SECRETS)
    guest.dial(USER, PASSWORD, secret="another-secret")
    wait_for("the end of the tunnel", 20, lambda: re.search(
        r"Invalid challenge authentication", guest.xl2tpd_log()), step=0.3)
    assert guest.ppp_log().status != 0    # pppd never began
    guest.dial(USER, PASSWORD, secret="tunnel-secret")
    guest.wait_up()


def test_pppd_that_asks_for_compression_and_ipv6_is_served(
        guest, daemon, radius):
    """CCP and IPV6CP are turned down, and hurt nobody."""
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD, quiet=False)
    guest.wait_up()
    assert guest.ping(INET_ADDR, 50) == 50
    log = guest.ppp_log()
    assert re.search(r"sent \[CCP ConfReq", log)
    assert re.search(r"rcvd \[(LCP ProtRej|CCP ConfRej)", log)
    guest.hangup()
    server.wait_ledger(1, USER, "Stop")


def test_pppd_in_the_kernel_of_the_guest_gets_online(
        net, guest, daemon, radius):
    """PPP over L2TP of Linux itself: another sender of data messages."""
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD, kernel=True)
    guest.wait_up()
    assert guest.ping(INET_ADDR, 100, interval=0.02) == 100
    check_transfer(net, guest)
    guest.hangup()
    # The reference loses some of what this sender sends at once.
    if not daemon_module.REFERENCE:
        check_billing(server, guest)


@ours_only
def test_the_server_asks_a_silent_subscriber_whether_it_lives(
        guest, daemon, radius):
    """LCP echoes of ours keep a session that says nothing by itself."""
    server = radius(USERS)
    daemon(config=with_radius(server, echo_timeout=1, idle_echo_timeout=5))
    guest.dial(USER, PASSWORD, extra="lcp-echo-interval 0\n")
    guest.wait_up()
    time.sleep(9)
    log = guest.ppp_log()
    assert len(re.findall(r"rcvd \[LCP EchoReq", log)) >= 3
    assert guest.ping(INET_ADDR, 5) == 5
    guest.hangup()
    check_billing(server, guest)


def test_a_subscriber_that_vanished_is_dropped(guest, daemon, radius):
    server = radius(USERS)
    daemon(config=with_radius(server, echo_timeout=2, idle_echo_timeout=8))
    guest.dial(USER, PASSWORD)
    guest.wait_up()
    began = time.monotonic()
    # Frozen: it answers no echo and no control message.
    guest.check("kill -STOP $(pidof xl2tpd) $(pidof pppd)")
    server.wait_ledger(1, USER, "Stop", seconds=40)
    assert 6 <= time.monotonic() - began
    stop = server.ledger(USER, "Stop")[0]
    assert stop["Acct-Terminate-Cause"] in ("Lost-Carrier", "Idle-Timeout",
                                            "Lost-Service")
    guest.run("killall -9 pppd xl2tpd")


def test_packets_of_all_sizes_pass(net, guest, daemon, radius):
    """The server cuts what is larger than the link into IP fragments."""
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD, extra="mru 1500\nmtu 1440\n")
    own, _ = guest.wait_up()
    for size in (0, 1, 512, 1411, 1412, 1413, 1434, 1472, 4000):
        assert guest.ping(INET_ADDR, 3, size=size) == 3, size
    guest.hangup()
    check_billing(server, guest)


@ours_only
def test_no_packet_is_larger_than_the_mru_the_subscriber_asked_for(
        net, guest, daemon, radius):
    """RFC 1661 6.1: the peer said how much it can take."""
    server = radius(USERS)
    daemon(config=with_radius(server))
    guest.dial(USER, PASSWORD, extra="mru 1300\nmtu 1300\n")
    guest.wait_up()
    for size in (1271, 1272, 1273, 1472, 4000):
        assert guest.ping(INET_ADDR, 3, size=size) == 3, size
    check_transfer(net, guest, 1024 * 1024)
    guest.hangup()
    check_billing(server, guest)


# -- the walled garden

class Names:
    """A name server: every name is the portal's."""

    def __init__(self, net):
        self.socket = net.inet.socket()
        self.socket.bind((PORTAL, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        address = socket.inet_aton(PORTAL)
        while True:
            try:
                query, who = self.socket.recvfrom(2048)
            except OSError:
                return
            if who is None:
                return
            end = query.index(b"\0", 12) + 5
            found = query[end - 4:end - 2] == b"\0\1"       # type A
            self.socket.sendto(
                query[:2] + b"\x85\x80\0\1\0" + bytes([found]) +
                b"\0\0\0\0" + query[12:end] + (
                    b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + address
                    if found else b""), who)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


@pytest.fixture
def portal(net, tmp_path):
    """What build-garden leads to: names, and a page that tells."""
    net.inet.ip("addr add %s/32 dev lo" % PORTAL)
    net.lns.ip("route add %s via %s" % (PORTAL, INET_ADDR))
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("please pay\n")
    web = net.inet.start(
        ["/usr/bin/python3", "-m", "http.server", "--bind", PORTAL,
         "--directory", str(tmp_path / "www"), "80"], str(tmp_path / "web"))
    names = Names(net)
    wait_for("the portal", 10, lambda: net.inet.run(
        "ss", "-Hlnt", "sport = :80").strip())
    yield web
    names.close()
    web.stop(5)
    net.inet.ip("addr del %s/32 dev lo" % PORTAL)
    net.lns.ip("route del %s" % PORTAL)


def garden_flag(net):
    terminal = Terminal(net.lns)
    try:
        rows = [line.split() for line in
                terminal.run("show session").splitlines()]
    finally:
        terminal.close()
    return rows[1][rows[0].index("G")]


@ours_only
def test_who_is_refused_lives_in_the_garden(
        net, guest, daemon, radius, portal, plugin_dir):  # noqa: F811
    server = radius(USERS)
    lns = daemon(config=with_radius(server, plugin_dir=plugin_dir),
                 lines=["load plugin garden"],
                 files={"build-garden": EVERYTHING})
    lns.wait_log("the walled garden is built", 30)
    guest.dial(USER, "not the password", "pap")
    own, _ = guest.wait_up()
    assert garden_flag(net) == "Y"
    # Whoever is asked for by name or by address, it is the portal.
    for where in "198.51.100.7", INET_ADDR:
        assert guest.check("wget -q -O - http://%s/" % where) == \
            "please pay\n"
    guest.check("cp /etc/ppp/resolv.conf /etc/resolv.conf")
    assert PORTAL in guest.check("nslookup www.example.com 10.99.2.53")
    assert guest.check("wget -q -O - http://www.example.com/") == \
        "please pay\n"
    assert guest.ping("198.51.100.7", 3) == 3
    # Nothing else gets anywhere.
    sink = TcpSource(net.inet, 5003, b"free")
    try:
        assert "free" not in guest.run("nc -w 2 %s 5003 </dev/null" %
                                       INET_ADDR)
        text = net.lns.run("iptables", "-t", "nat", "-L", "garden", "-nvx")
        assert re.search(r"^ +[1-9]\d* +\d+ DNAT .*dpt:80 ", text, re.M)
        assert re.search(r"^ +[1-9]\d* +\d+ DNAT .*to:0.0.0.0", text, re.M)
        assert server.ledger(USER) == []

        net.lns.run(NSCTL, "127.0.0.1", "ungarden", "1")
        assert garden_flag(net) == "N"
        wait_for("the Start", 10, lambda: server.ledger(USER, "Start"))
        assert guest.check("nc -w 5 %s 5003 </dev/null" % INET_ADDR) == "free"
    finally:
        sink.close()
    assert guest.ping(INET_ADDR, 3) == 3
    guest.hangup()
    server.wait_ledger(1, USER, "Stop")
    records = server.ledger(USER)
    assert [r["Acct-Status-Type"] for r in records] == ["Start", "Stop"]
    assert {r["Framed-IP-Address"] for r in records} == {own}
    # Counted from when it was let out.
    sent, received = guest.sent_received()
    billed = octets(records[1])
    assert 0 < billed[0] < sent and 0 < billed[1] < received
    assert lns.quit() == 0
    assert "garden" not in net.lns.run("iptables", "-t", "nat", "-S")
