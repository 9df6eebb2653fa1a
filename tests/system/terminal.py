"""A terminal on the command line: telnet, without the program of that name.

	t = Terminal(net.lns)
	t.run("show session")		-> what it printed
	t.enable(); t.configure(); t.run("set debug 3")
"""

import re
import socket
import time

# Commands of telnet: sub-negotiations, options, others.
TELNET = re.compile(rb"\xff\xfa.*?\xff\xf0|\xff[\xfb-\xfe].|\xff[^\xff]", re.S)
PROMPT = re.compile(rb"(?:^|\n)[^\s>#]+(?:\(config\))?[>#] $")


def plain(octets):
    """What was printed, without telnet's own."""
    return TELNET.sub(b"", octets).replace(b"\r", b"")


class Terminal:
    """Logs in with (user, password) if given, else expects not to have to."""

    def __init__(self, space, address="127.0.0.1", login=None, seconds=20):
        self.socket = space.socket(kind=socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect((address, 23))
        self.buffer = bytearray()
        if login is not None:
            self.read(re.compile(rb"[Uu]sername: $"))
            self.send(login[0])
            self.read(re.compile(rb"[Pp]assword: $"))
            self.send(login[1])
        self.prompt()

    def send(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def read(self, pattern, seconds=60):
        """Up to and with what matches at the end; telnet's own taken out."""
        end = time.monotonic() + seconds
        while True:
            if pattern.search(plain(self.buffer[-1024:])[-200:]):
                text = plain(self.buffer)
                self.buffer = bytearray()
                return text
            if time.monotonic() > end:
                raise TimeoutError("no %r in %r" % (
                    pattern.pattern, plain(self.buffer)[-2000:]))
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("closed after %r" %
                               plain(self.buffer)[-2000:])
            self.buffer += more

    def prompt(self, seconds=60):
        """What was printed until there is a prompt again."""
        text = self.read(PROMPT, seconds).decode("ascii")
        # libcli begins a new line before each prompt.
        return text[:text.rfind("\n")]

    def run(self, line, seconds=60):
        """A command's output, without its echo and the prompt."""
        self.send(line)
        text = self.prompt(seconds)
        return text.split("\n", 1)[1] if "\n" in text else ""

    def enable(self, password=None):
        self.send("enable")
        if password is not None:
            self.read(re.compile(rb"[Pp]assword: $"))
            self.send(password)
        self.prompt()

    def configure(self):
        self.run("configure terminal")

    def close(self):
        self.socket.close()
