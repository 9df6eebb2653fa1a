/*
 * relay.c - UDP to TUN and back, and nothing else: the limit of a method
 *
 * What a server could do at best that moves packet by packet between a UDP
 * socket and a TUN device: a fixed number of octets is cut off each datagram
 * and the rest written to TUN; a fixed L2TP and PPP header is put before each
 * packet out of TUN and the whole sent to where the last batch of datagrams
 * came from.  No session is looked up, nothing is checked, nothing counted.
 * Datagrams are moved in batches, by recvmmsg() and sendmmsg(); TUN knows no
 * batches.
 *
 *	relay TUN PORT
 *
 * Owns:     its two descriptors.
 * Calls:    libc only.
 * Lifetime: until a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH		64
#define ROOM		2048
#define SOCK_BUF	(8 << 20)

/* RFC 2661 3.1 without options, tunnel 1, session 1; RFC 1661 in full. */
static const uint8_t header[] = { 0x00, 0x02, 0, 1, 0, 1, 0xff, 0x03, 0, 0x21 };

static uint8_t buf[BATCH][ROOM];
static struct iovec iov[BATCH];
static struct mmsghdr m[BATCH];
static struct sockaddr_in from[BATCH], peer;

static void __attribute__((noreturn))
die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
open_tun(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r) != 0)
		die(name);
	return fd;
}

static int
open_udp(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = SOCK_BUF;

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size,
	    sizeof(size)) != 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE,
	    &size, sizeof(size)) != 0)
		die("socket buffers");
	a.sin_port = htons(port);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("bind");
	return fd;
}

static void
prepare(int i, size_t len, struct sockaddr_in *who)
{
	iov[i] = (struct iovec){ buf[i], len };
	m[i].msg_hdr = (struct msghdr){
		.msg_name = who, .msg_namelen = sizeof(*who),
		.msg_iov = &iov[i], .msg_iovlen = 1
	};
}

static void
up(int udp, int tun)
{
	int n;

	for (int i = 0; i < BATCH; i++)
		prepare(i, ROOM, &from[i]);
	n = recvmmsg(udp, m, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (m[i].msg_len > sizeof(header) && write(tun,
		    buf[i] + sizeof(header),
		    m[i].msg_len - sizeof(header)) < 0 && errno != EINVAL &&
		    errno != EIO && errno != EAGAIN)
			die("write to TUN");
	if (n > 0)
		peer = from[0];
}

static void
down(int udp, int tun)
{
	int n = 0, done = 0;

	for (; n < BATCH; n++) {
		ssize_t len = read(tun, buf[n] + sizeof(header),
		    ROOM - sizeof(header));

		if (len <= 0)
			break;
		memcpy(buf[n], header, sizeof(header));
		prepare(n, sizeof(header) + (size_t)len, &peer);
	}
	while (peer.sin_port != 0 && done < n) {
		int k = sendmmsg(udp, m + done, (unsigned)(n - done),
		    MSG_DONTWAIT);

		done += k > 0 ? k : 1;	/* one that cannot be sent is lost */
	}
}

int
main(int argc, char **argv)
{
	struct pollfd p[2];

	if (argc != 3 || atoi(argv[2]) <= 0 || atoi(argv[2]) > 65535) {
		fprintf(stderr, "usage: relay TUN PORT\n");
		return 2;
	}
	p[0] = (struct pollfd){ open_udp((uint16_t)atoi(argv[2])), POLLIN, 0 };
	p[1] = (struct pollfd){ open_tun(argv[1]), POLLIN, 0 };
	for (;;) {
		if (poll(p, 2, -1) < 0)
			die("poll");
		if (p[0].revents != 0)
			up(p[0].fd, p[1].fd);
		if (p[1].revents != 0)
			down(p[0].fd, p[1].fd);
	}
}
