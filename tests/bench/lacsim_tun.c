/*
 * lacsim_tun.c - real programs as subscribers
 *
 * A TUN device gets the address of each session.  A packet that the kernel
 * routes into it leaves through the session that its source address names;
 * what the LNS sends comes out of the device.  So ping, iperf3 or nc bound to
 * a session's address are that subscriber.  Routes are the caller's:
 * "ip route add default dev NAME" will do, beside the route to the LNS.
 *
 * Owns:     the device and its addresses; both go with the process.
 * Calls:    ip_send() for what programs send.
 * Lifetime: opened once.
 */
#include "lacsim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TUN_READS	64

static int nl = -1, ctl = -1;
static unsigned ifindex;
static int mtu;

static void
tun_ifreq(unsigned long request, struct ifreq *r, const char *what)
{
	if (ioctl(ctl, request, r))
		die("%s: %s: %s", L.o.tun, what, strerror(errno));
}

static void
tun_mtu(int to)
{
	struct ifreq r = { 0 };

	if (to == mtu)
		return;
	mtu = to;
	strncpy(r.ifr_name, L.o.tun, IFNAMSIZ - 1);
	r.ifr_mtu = to;
	tun_ifreq(SIOCSIFMTU, &r, "set MTU");
}

void
tun_open(void)
{
	struct ifreq r = { 0 };

	if (strlen(L.o.tun) >= IFNAMSIZ)
		die("--tun %s: name too long", L.o.tun);
	L.tun_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (L.tun_fd < 0)
		die("/dev/net/tun: %s", strerror(errno));
	strncpy(r.ifr_name, L.o.tun, IFNAMSIZ - 1);
	r.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (L.o.tun_offload)
		r.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(L.tun_fd, TUNSETIFF, &r))
		die("TUNSETIFF %s: %s", L.o.tun, strerror(errno));
	if (L.o.tun_offload && ioctl(L.tun_fd, TUNSETOFFLOAD,
	    (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)))
		die("TUNSETOFFLOAD: %s", strerror(errno));
	ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (ctl < 0 || nl < 0)
		die("socket: %s", strerror(errno));
	tun_ifreq(SIOCGIFINDEX, &r, "get index");
	ifindex = (unsigned)r.ifr_ifindex;
	tun_mtu(L.o.mru < 1500 ? L.o.mru : 1500);
	tun_ifreq(SIOCGIFFLAGS, &r, "get flags");
	r.ifr_flags |= IFF_UP;
	tun_ifreq(SIOCSIFFLAGS, &r, "set up");
}

/* One request, one answer: addresses come slowly enough for that. */
static void
tun_address(uint32_t ip, bool add)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
		uint8_t attr[16];
	} m = { 0 };
	uint32_t be = htonl(ip);
	struct rtattr ra = { .rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL };
	uint8_t answer[1024];
	ssize_t n;
	int error = 0;
	char text[16];

	m.h.nlmsg_len = sizeof(m);
	m.h.nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
	    (add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	m.a.ifa_family = AF_INET;
	m.a.ifa_prefixlen = 32;
	m.a.ifa_index = ifindex;
	memcpy(m.attr, &ra, sizeof(ra));
	memcpy(m.attr + 4, &be, 4);
	ra.rta_type = IFA_ADDRESS;
	memcpy(m.attr + 8, &ra, sizeof(ra));
	memcpy(m.attr + 12, &be, 4);
	if (send(nl, &m, sizeof(m), 0) < 0) {
		fprintf(stderr, "netlink: %s\n", strerror(errno));
		return;
	}
	n = recv(nl, answer, sizeof(answer), 0);
	if (n >= (ssize_t)(NLMSG_HDRLEN + sizeof(int)))
		memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
	if (error && add)
		fprintf(stderr, "%s: address %s: %s\n", L.o.tun,
		    ip_text(ip, text), strerror(-error));
}

/* The device's MTU is what every session so far can carry both ways. */
void
tun_session_up(struct session *s)
{
	int can = s->peer_mru < s->mru ? s->peer_mru : s->mru;

	if (L.tun_fd < 0)
		return;
	if (can < mtu)
		tun_mtu(can);
	if (L.o.tun_addresses && s->tun_ip != s->ip) {
		tun_address(s->ip, true);
		s->tun_ip = s->ip;
	}
}

void
tun_session_down(struct session *s)
{
	if (L.tun_fd < 0 || !s->tun_ip)
		return;
	tun_address(s->tun_ip, false);
	s->tun_ip = 0;
}

static struct session *
tun_sender(const uint8_t *p, size_t n)
{
	struct session *s = n >= 20 && p[0] >> 4 == 4 ?
	    session_by_ip(get32(p + 12)) : NULL;

	return s && s->state == S_UP ? s : NULL;
}

bool
tun_read(void)
{
	static uint8_t b[1 << 17];
	size_t skip = L.o.tun_offload ? sizeof(struct virtio_net_hdr) : 0;

	for (int i = 0; i < TUN_READS; i++) {
		ssize_t n = read(L.tun_fd, b, sizeof(b));
		struct virtio_net_hdr h = { 0 };
		struct session *s;

		if (n <= (ssize_t)skip)
			return false;
		memcpy(&h, b, skip);
		n -= (ssize_t)skip;
		s = tun_sender(b + skip, (size_t)n);
		if (s && offload_cut(s, &h, b + skip, (size_t)n))
			L.c.tun_tx++;
		else
			L.c.tun_drop++;
	}
	return true;
}

void
tun_put(const struct virtio_net_hdr *h, const uint8_t *p, size_t n)
{
	struct virtio_net_hdr copy = *h;
	struct iovec v[2] = { { &copy, sizeof(copy) }, { (void *)(size_t)p, n } };
	size_t skip = L.o.tun_offload ? 0 : 1, total = n;

	if (!skip)
		total += sizeof(copy);
	if (writev(L.tun_fd, v + skip, (int)(2 - skip)) == (ssize_t)total)
		L.c.tun_rx++;
	else
		L.c.tun_drop++;
}

/* A packet from the LNS. */
void
tun_write(const uint8_t *p, size_t n)
{
	static const struct virtio_net_hdr none;

	if (L.o.tun_offload)
		offload_write(p, n);
	else
		tun_put(&none, p, n);
}

/* At the end of a turn. */
void
tun_flush(void)
{
	if (L.o.tun_offload)
		offload_flush();
}
