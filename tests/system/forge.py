"""Cluster packets of somebody who is no member.

Written from the picture in cluster_wire.h alone, so that it is also a second
opinion of what goes over the wire.
"""

import hashlib
import hmac
import socket
import struct
import time

import cluster

PING, HEARTBEAT, STREAM, RESEND, RECORD = 1, 2, 3, 4, 5
KINDS = PING, HEARTBEAT, STREAM, RESEND, RECORD
F_STATE, F_MEMBERS, F_STREAM, F_RESEND = 256, 257, 258, 259
UP_TO_DATE, LEAVING = 0x01, 0x10
ETH_P_IP = 0x0800


def number(address):
    return struct.unpack("!I", socket.inet_aton(address))[0]


def field(kind, value, length=None):
    """length: what it says of itself, if that is not true."""
    return struct.pack("!HH", kind,
                       len(value) if length is None else length) + value


def state(flags=0, uptime=0, changes=0, master=0, reign=0, following=1,
          oldest=1, challenge=0):
    return field(F_STATE, struct.pack(
        "!HHHQqQIIIQQQ", flags, int(cluster.INTERVAL * 10),
        int(cluster.TIMEOUT * 10), uptime, 1700000000, changes, master, 0,
        reign, following, oldest, challenge))


def datagram(kind, source, body, epoch=1, count=1, to=0, secret=b"",
             version=1, group=cluster.VIP):
    data = b"LNSC" + struct.pack("!BBHIIIQQ", version, kind, 0, number(group),
                                 number(source), to, epoch, count) + body
    return data + hmac.new(secret, data, hashlib.sha256).digest()[:16]


class Forger:
    """Sends from any address, out of the router; and listens there."""

    def __init__(self, network):
        self.out = network.router.socket(socket.AF_INET, socket.SOCK_RAW,
                                         socket.IPPROTO_RAW)
        self.out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            socket.inet_aton(cluster.ROUTER_ADDR))
        self.ear = network.router.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                         socket.htons(ETH_P_IP))
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.ear.bind(("br0", ETH_P_IP))

    def close(self):
        self.out.close()
        self.ear.close()

    def send(self, source, to, data):
        port = cluster.CLUSTER_PORT
        udp = struct.pack("!HHHH", port, port, 8 + len(data), 0) + data
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 1,
                           socket.IPPROTO_UDP, 0, socket.inet_aton(source),
                           socket.inet_aton(to))
        self.out.sendto(head + udp, (to, 0))

    def listen(self, seconds):
        """[(source, destination, datagram)] of the cluster's."""
        heard = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ear.settimeout(max(0.01, end - time.monotonic()))
            try:
                packet = self.ear.recv(65536)
            except TimeoutError:
                break
            at = (packet[0] & 15) * 4
            if packet[9] == socket.IPPROTO_UDP and struct.unpack(
                    "!H", packet[at + 2:at + 4])[0] == cluster.CLUSTER_PORT:
                length, = struct.unpack("!H", packet[2:4])
                heard.append((socket.inet_ntoa(packet[12:16]),
                              socket.inet_ntoa(packet[16:20]),
                              packet[at + 8:length]))
        return heard
