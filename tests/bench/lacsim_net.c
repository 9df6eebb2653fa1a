/*
 * lacsim_net.c - the outer UDP socket of lacsim
 *
 * One socket carries all tunnels, whatever their source address: IP_PKTINFO
 * says it in both directions, and IP_FREEBIND lets addresses be used that no
 * interface has (the way back still needs "ip route add local PREFIX dev lo").
 * Packets out are packed end to end into an arena, so that neighbours with
 * the same two ends and the same size can leave as one UDP_SEGMENT send.
 *
 * RFC 2661 8.1 wants checksums on control messages always, and lets them be
 * off on data.  SO_NO_CHECK belongs to the socket, so a batch holds only one
 * kind then, and the switch is thrown between batches; order is kept.
 *
 * --loss, --dup, --reorder and --delay make a bad link of a good one, in each
 * direction by itself, right here.
 *
 * Owns:     the socket, the send arena, the receive buffers, the late packets.
 * Calls:    l2tp_input() for each datagram.
 * Lifetime: opened once.
 */
#include "lacsim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif
#ifndef UDP_GRO
#define UDP_GRO		104
#endif
#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE	33
#define SO_SNDBUFFORCE	32
#endif

#define TX_ARENA	(1 << 20)
#define TX_BATCH	256
#define RX_BATCH	32
#define RX_BUF		65536
#define GSO_MAX		61440		/* octets in one segmented send */
#define SOCK_BUF	(16 << 20)

struct txent {
	struct sockaddr_in to;
	uint32_t src;
	size_t off, len, seg;	/* seg: size of each datagram but the last */
	uint32_t segs;
	bool closed;		/* its last datagram is a shorter one */
};

static struct {
	uint8_t arena[TX_ARENA];
	struct txent ent[TX_BATCH];
	size_t n, used;
	enum net_class class;
	const struct tunnel *t;		/* of the reservation */
	enum net_class want;
	bool no_check;			/* the socket's state now */
} tx;

static uint8_t rxbuf[RX_BATCH][RX_BUF];

static void
sock_int(int fd, int level, int name, int v, const char *what)
{
	if (setsockopt(fd, level, name, &v, sizeof(v)))
		die("setsockopt %s: %s", what, strerror(errno));
}

void
net_open(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = SOCK_BUF, one = 1;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	sock_int(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
	sock_int(fd, IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND");
	/* Needs CAP_NET_ADMIN; without it only local sources can be used. */
	setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	if (L.o.gro)
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	a.sin_port = htons(L.o.source_port);
	if (L.o.source_count == 1)
		a.sin_addr.s_addr = htonl(L.o.source);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("bind to port %u: %s", L.o.source_port, strerror(errno));
	L.fd = fd;
}

/* ---- out ---- */

static size_t
tx_control(struct msghdr *m, char *ctl, const struct txent *e)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)ctl;
	size_t n = 0;

	if (e->src) {
		struct in_pktinfo pi = { 0 };

		pi.ipi_spec_dst.s_addr = htonl(e->src);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(pi));
		memcpy(CMSG_DATA(c), &pi, sizeof(pi));
		n += CMSG_SPACE(sizeof(pi));
		c = (struct cmsghdr *)(void *)(ctl + n);
	}
	if (e->segs > 1) {
		uint16_t seg = (uint16_t)e->seg;

		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(seg));
		memcpy(CMSG_DATA(c), &seg, sizeof(seg));
		n += CMSG_SPACE(sizeof(seg));
	}
	m->msg_control = n ? ctl : NULL;
	m->msg_controllen = n;
	return n;
}

static void
tx_wait(void)
{
	struct pollfd p = { .fd = L.fd, .events = POLLOUT };

	L.c.tx_again++;
	poll(&p, 1, 10);
}

/* A peer that is not there answers with ICMP: that error is no news. */
static void
tx_send(struct mmsghdr *m, size_t n)
{
	size_t done = 0;
	int again = 0;

	while (done < n) {
		int k = sendmmsg(L.fd, m + done, (unsigned)(n - done), 0);

		if (k > 0) {
			done += (size_t)k;
			again = 0;
		} else if (errno == EINTR) {
			continue;
		} else if ((errno == EAGAIN || errno == ENOBUFS) &&
		    again++ < 100) {
			tx_wait();
		} else {
			if (errno != ECONNREFUSED)
				L.c.tx_error++;
			done++;
		}
	}
}

void
net_flush(void)
{
	static struct mmsghdr m[TX_BATCH];
	static struct iovec iov[TX_BATCH];
	static char ctl[TX_BATCH][CMSG_SPACE(sizeof(struct in_pktinfo)) +
	    CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));

	if (!tx.n)
		return;
	if (!L.o.data_checksum && tx.no_check != (tx.class == NET_DATA)) {
		tx.no_check = tx.class == NET_DATA;
		sock_int(L.fd, SOL_SOCKET, SO_NO_CHECK, tx.no_check,
		    "SO_NO_CHECK");
	}
	for (size_t i = 0; i < tx.n; i++) {
		struct txent *e = &tx.ent[i];
		struct msghdr *h = &m[i].msg_hdr;

		iov[i].iov_base = tx.arena + e->off;
		iov[i].iov_len = e->len;
		memset(h, 0, sizeof(*h));
		h->msg_name = &e->to;
		h->msg_namelen = sizeof(e->to);
		h->msg_iov = &iov[i];
		h->msg_iovlen = 1;
		tx_control(h, ctl[i], e);
	}
	L.c.tx_batches++;
	tx_send(m, tx.n);
	tx.n = tx.used = 0;
}

uint8_t *
net_reserve(const struct tunnel *t, enum net_class class, size_t max)
{
	if (tx.n && ((!L.o.data_checksum && class != tx.class) ||
	    tx.used + max > TX_ARENA || tx.n == TX_BATCH))
		net_flush();
	tx.t = t;
	tx.want = class;
	return tx.arena + tx.used;
}

static bool
tx_joins(const struct txent *e, size_t n)
{
	return tx.want == NET_DATA && tx.class == NET_DATA && !e->closed &&
	    e->segs < L.o.gso && n <= e->seg && e->len + n <= GSO_MAX &&
	    e->src == tx.t->src &&
	    e->to.sin_addr.s_addr == tx.t->peer.sin_addr.s_addr &&
	    e->to.sin_port == tx.t->peer.sin_port;
}

static void
tx_commit(size_t n)
{
	struct txent *e = tx.n ? &tx.ent[tx.n - 1] : NULL;

	if (e && tx_joins(e, n)) {
		e->closed = n < e->seg;
		e->len += n;
		e->segs++;
	} else {
		e = &tx.ent[tx.n++];
		e->to = tx.t->peer;
		e->src = tx.t->src;
		e->off = tx.used;
		e->len = e->seg = n;
		e->segs = 1;
		e->closed = false;
	}
	tx.class = tx.want;
	tx.used += n;
}

/* ---- a bad link ---- */

/* A packet that will be there later. */
struct late {
	struct timer timer;
	bool outward;
	enum net_class class;
	struct tunnel ends;		/* outward: its src and peer are used */
	struct sockaddr_in from;	/* inward */
	uint32_t dst;
	size_t n;
	uint8_t bytes[];
};

static void
late_due(struct timer *t)
{
	struct late *l = container_of(t, struct late, timer);

	if (l->outward) {
		memcpy(net_reserve(&l->ends, l->class, l->n), l->bytes, l->n);
		tx_commit(l->n);
	} else {
		l2tp_input(l->bytes, l->n, &l->from, l->dst);
	}
	free(l);
}

static struct late *
late_new(const uint8_t *p, size_t n)
{
	double ms = L.o.delay;
	struct late *l;

	if (rng_unit(&L.rng) * 100 < L.o.reorder) {
		ms += 1 + rng_unit(&L.rng) * 20;
		L.c.link_late++;
	}
	l = xcalloc(1, sizeof(*l) + n);
	l->n = n;
	memcpy(l->bytes, p, n);
	l->timer.fn = late_due;
	timer_set(&L.wheel, &l->timer, L.now + (uint64_t)(ms * 1e6));
	return l;
}

/* How often the packet is to arrive. */
static int
link_copies(void)
{
	if (rng_unit(&L.rng) * 100 < L.o.loss) {
		L.c.link_lost++;
		return 0;
	}
	if (rng_unit(&L.rng) * 100 < L.o.dup) {
		L.c.link_doubled++;
		return 2;
	}
	return 1;
}

static void
link_out(size_t n)
{
	for (int i = link_copies(); i > 0; i--) {
		struct late *l = late_new(tx.arena + tx.used, n);

		l->outward = true;
		l->class = tx.want;
		l->ends.src = tx.t->src;
		l->ends.peer = tx.t->peer;
	}
}

static void
link_in(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    uint32_t dst)
{
	for (int i = link_copies(); i > 0; i--) {
		struct late *l = late_new(p, n);

		l->from = *from;
		l->dst = dst;
	}
}

void
net_commit(size_t n)
{
	if (L.o.impaired)
		link_out(n);
	else
		tx_commit(n);
}

/* ---- in ---- */

struct rxinfo {
	uint32_t dst;
	size_t seg;
};

static struct rxinfo
rx_control(struct msghdr *h)
{
	struct rxinfo r = { 0, 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo pi;

			memcpy(&pi, CMSG_DATA(c), sizeof(pi));
			r.dst = ntohl(pi.ipi_addr.s_addr);
		} else if (c->cmsg_level == IPPROTO_UDP &&
		    c->cmsg_type == UDP_GRO) {
			int seg;

			memcpy(&seg, CMSG_DATA(c), sizeof(seg));
			r.seg = seg > 0 ? (size_t)seg : 0;
		} else if (c->cmsg_level == SOL_SOCKET &&
		    c->cmsg_type == SO_RXQ_OVFL) {
			uint32_t drops;

			memcpy(&drops, CMSG_DATA(c), sizeof(drops));
			L.c.rx_overflow = drops;
		}
	}
	return r;
}

static void
rx_one(struct mmsghdr *m, const uint8_t *p, const struct sockaddr_in *from)
{
	struct rxinfo r = rx_control(&m->msg_hdr);
	size_t left = m->msg_len;

	if (!r.seg)
		r.seg = left;
	do {
		size_t n = left < r.seg ? left : r.seg;

		if (L.o.impaired)
			link_in(p, n, from, r.dst);
		else
			l2tp_input(p, n, from, r.dst);
		p += n;
		left -= n;
	} while (left);
}

bool
net_read(void)
{
	static struct mmsghdr m[RX_BATCH];
	static struct iovec iov[RX_BATCH];
	static struct sockaddr_in from[RX_BATCH];
	static char ctl[RX_BATCH][128] __attribute__((aligned(8)));
	int n;

	for (int i = 0; i < RX_BATCH; i++) {
		struct msghdr *h = &m[i].msg_hdr;

		iov[i].iov_base = rxbuf[i];
		iov[i].iov_len = RX_BUF;
		memset(h, 0, sizeof(*h));
		h->msg_name = &from[i];
		h->msg_namelen = sizeof(from[i]);
		h->msg_iov = &iov[i];
		h->msg_iovlen = 1;
		h->msg_control = ctl[i];
		h->msg_controllen = sizeof(ctl[i]);
	}
	do {
		n = recvmmsg(L.fd, m, RX_BATCH, 0, NULL);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	L.now = now_ns();
	L.c.rx_batches++;
	for (int i = 0; i < n; i++)
		rx_one(&m[i], rxbuf[i], &from[i]);
	return n == RX_BATCH;
}
