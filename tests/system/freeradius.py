"""Debian's FreeRADIUS with a private configuration, in a namespace.

It knows the users that it is given, answers PAP and CHAP, and writes two
detail files: every Access-Request, and every accounting record.  Tests read
them as lists of dictionaries; the second one is the ledger.
"""

import os
import re
import socket

import net

SECRET = "radius secret of the tests"

RADIUSD_CONF = """
prefix = {dir}
name = freeradius
logdir = {dir}
radacctdir = {dir}
raddbdir = {dir}
run_dir = {dir}
confdir = {dir}
db_dir = {dir}
libdir = /usr/lib/freeradius
pidfile = {dir}/freeradius.pid
correct_escapes = true
max_request_time = 10
cleanup_delay = 2
max_requests = 16384
hostname_lookups = no
log {{
	destination = stdout
	auth = no
}}
security {{
	allow_core_dumps = no
	max_attributes = 200
	reject_delay = 0
	status_server = no
	allow_vulnerable_openssl = yes
}}
proxy_requests = no
client tests {{
	ipaddr = 0.0.0.0/0
	secret = "{secret}"
	require_message_authenticator = {require}
}}
modules {{
	pap {{
	}}
	chap {{
	}}
	files {{
		filename = {dir}/users
	}}
	detail auth_log {{
		filename = {dir}/auth-detail
		permissions = 0600
	}}
	detail {{
		filename = {dir}/acct-detail
		permissions = 0600
	}}
}}
server default {{
	listen {{
		type = auth
		ipaddr = {address}
		port = {port}
	}}
	listen {{
		type = acct
		ipaddr = {address}
		port = {acct_port}
	}}
	authorize {{
		auth_log
		chap
		files
		pap
	}}
	authenticate {{
		Auth-Type PAP {{
			pap
		}}
		Auth-Type CHAP {{
			chap
		}}
	}}
	preacct {{
	}}
	accounting {{
		detail
	}}
	post-auth {{
	}}
}}
"""

DICTIONARY = "$INCLUDE /usr/share/freeradius/dictionary\n"


def users_line(name, password, reply):
    """One entry of the users file; a list value is an attribute repeated."""
    lines = []
    for attribute, values in reply.items():
        if not isinstance(values, (list, tuple)):
            values = [values]
        for value in values:
            op = "+=" if lines else "="
            if isinstance(value, str) and not re.fullmatch(
                    r"[\d.]+|0x[0-9a-fA-F]+", value):
                value = '"%s"' % value
            lines.append("\t%s %s %s" % (attribute, op, value))
    return '"%s" Cleartext-Password := "%s"\n%s\n' % (
        name, password, ",\n".join(lines))


def read_detail(path):
    """The complete records of a detail file."""
    try:
        with open(path, errors="replace") as f:
            text = f.read()
    except FileNotFoundError:
        return []
    records = []
    # A record ends with an empty line; what follows the last is unfinished.
    for block in text.split("\n\n")[:-1]:
        record = {}
        for line in block.splitlines()[1:]:
            name, _, value = line.strip().partition(" = ")
            value = value.strip('"')
            # One that comes twice becomes a list.
            if name in record:
                before = record[name]
                if not isinstance(before, list):
                    before = [before]
                record[name] = before + [value]
            else:
                record[name] = value
        records.append(record)
    return records


class FreeRadius:
    """users: name -> (password, {reply attribute: value or values})."""

    def __init__(self, space, directory, users, address=net.INET_ADDR,
                 port=1812, secret=SECRET, require_authenticator=True):
        self.space = space
        self.directory = directory
        self.address = address
        self.port = port
        self.secret = secret
        self.process = None
        os.makedirs(directory, mode=0o700)
        self.write("radiusd.conf", RADIUSD_CONF.format(
            dir=directory, address=address, port=port, acct_port=port + 1,
            secret=secret, require="yes" if require_authenticator else "no"))
        self.write("dictionary", DICTIONARY)
        self.write("users", "\n".join(
            users_line(name, *entry) for name, entry in users.items()))
        self.start()

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as f:
            f.write(text)

    def start(self):
        """Start it, or start it again."""
        log = os.path.join(self.directory, "freeradius.log")
        start = os.path.getsize(log) if os.path.exists(log) else 0
        self.process = self.space.start(
            ["freeradius", "-X", "-d", self.directory, "-n", "radiusd"], log)
        try:
            self.process.wait_log(r"^Ready to process requests", 20, start)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Stop it: the port is closed then, and the host says so by ICMP."""
        self.mend()
        if self.process:
            self.process.stop(5)
            self.process = None

    def cut(self):
        """From now on nothing reaches it, and nobody says so."""
        self.space.run("nft", "-f", "-", stdin="""
            table ip cut_%d {
                chain c {
                    type filter hook input priority 0;
                    ip daddr %s udp dport { %d, %d } drop;
                }
            }""" % (self.number(), self.address, self.port, self.port + 1))

    def mend(self):
        self.space.run("nft", "delete", "table", "ip",
                       "cut_%d" % self.number(), check=False)

    def number(self):
        return int.from_bytes(socket.inet_aton(self.address), "big")

    def log(self):
        with open(os.path.join(self.directory, "freeradius.log"),
                  errors="replace") as f:
            return f.read()

    def requests(self, user=None):
        """The Access-Requests so far, in order."""
        return self.chosen("auth-detail", user)

    def ledger(self, user=None, kind=None, session=None):
        """The accounting records so far, in order.

        kind is Start, Interim-Update or Stop.
        """
        records = self.chosen("acct-detail", user)
        return [r for r in records
                if (kind is None or r.get("Acct-Status-Type") == kind)
                and (session is None
                     or r.get("Acct-Session-Id") == session)]

    def chosen(self, name, user):
        records = read_detail(os.path.join(self.directory, name))
        return [r for r in records
                if user is None or r.get("User-Name") == user]

    def wait_ledger(self, count, user=None, kind=None, seconds=15):
        """Wait until there are count such records, and return them."""
        def enough():
            records = self.ledger(user, kind)
            return records if len(records) >= count else None
        return net.wait_for(lambda: "%d accounting records (%s, %s): %s" % (
            count, user, kind, self.ledger()), seconds, enough)


def octets(record):
    """(input, output) octets of a record, gigawords and all."""
    def whole(way):
        return (int(record.get("Acct-%s-Gigawords" % way, 0)) << 32) + \
            int(record["Acct-%s-Octets" % way])
    return whole("Input"), whole("Output")


class Silent:
    """A bound port where nobody answers: a dead server, without the ICMP."""

    def __init__(self, space, address, port=1812):
        self.sockets = []
        for number in (port, port + 1):
            sock = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, number))
            sock.setblocking(False)
            self.sockets.append(sock)

    def heard(self):
        """How many datagrams arrived since the last look."""
        count = 0
        for sock in self.sockets:
            try:
                while True:
                    sock.recv(65535)
                    count += 1
            except BlockingIOError:
                pass
        return count

    def stop(self):
        for sock in self.sockets:
            sock.close()
