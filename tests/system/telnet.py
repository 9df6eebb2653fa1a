"""The telnet program on a pseudo-terminal, and what a script would send.

	t = Telnet(net.lns)			# Debian's client, 80 columns
	t.expect("Username: $"); t.type("joe\\r")
	s = Line(net.lac, "10.99.1.2")		# a bare connection
"""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import termios
import time

import net

# What telnet says beside the text.
OPTIONS = re.compile(rb"\xff\xfa.*?\xff\xf0|\xff[\xfb-\xfe].|\xff[\xf0-\xf9]",
                     re.S)


class Conversation:
    """Text that comes in, and what it is waited for."""

    def __init__(self):
        self.text = ""          # what was not expected yet
        self.ended = False

    def more(self, seconds):
        raise NotImplementedError

    def expect(self, pattern, seconds=15):
        """The text up to and with the match; TimeoutError when late."""
        regex = re.compile(pattern, re.S)
        end = time.monotonic() + seconds
        while True:
            found = regex.search(self.text)
            if found:
                seen = self.text[:found.end()]
                self.text = self.text[found.end():]
                return seen
            if self.ended or time.monotonic() > end:
                raise TimeoutError("%s before %r:\n%r" % (
                    "closed" if self.ended else "%g s" % seconds, pattern,
                    self.text[-3000:]))
            self.more(0.2)

    def expect_end(self, seconds=15):
        end = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > end:
                raise TimeoutError("not closed: %r" % self.text[-3000:])
            self.more(0.2)
        return self.text

    def type(self, text):
        raise NotImplementedError

    def login(self, name, password):
        self.expect("Username: $")
        self.type(name + "\r")
        self.expect("Password: $")
        self.type(password + "\r")
        return self

    def prompt(self, seconds=15):
        return self.expect(r"\n[\w.-]+(\(config\))?[>#] $", seconds)

    def run(self, line, seconds=15):
        """What a command prints, in lines; without echo and prompt."""
        self.type(line + "\r")
        lines = self.prompt(seconds).split("\r\n")
        return [each for each in lines[1:-1] if each]


class Telnet(Conversation):
    """Debian's telnet in a namespace, on a terminal of its own."""

    def __init__(self, space, address="127.0.0.1", columns=80, argv=None):
        super().__init__()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            net.die_with_parent()
            argv = argv or space.argv("telnet", address, "23")
            os.execvp(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))

    def more(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.ended = not data
        self.text += data.decode("latin1")

    def type(self, text):
        os.write(self.fd, text.encode("latin1"))

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class Line(Conversation):
    """A connection that answers no options, as many a script's does."""

    def __init__(self, space, address="127.0.0.1", buffer=None):
        super().__init__()
        self.raw = b""

        def connect():
            self.socket = space.socket(kind=socket.SOCK_STREAM)
            if buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                       buffer)
            self.socket.settimeout(15)
            try:
                self.socket.connect((address, 23))
                return True
            except ConnectionRefusedError:      # it is just starting
                self.socket.close()

        net.wait_for("port 23 of " + address, 10, connect)

    def more(self, seconds):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self.raw += data
        if self.raw.endswith(b"\xff"):
            return
        self.text += OPTIONS.sub(b"", self.raw).decode("latin1")
        self.raw = b""

    def send(self, data):
        self.socket.settimeout(15)
        self.socket.sendall(data)

    def type(self, text):
        self.send(text.encode("latin1"))

    def close(self):
        self.socket.close()
