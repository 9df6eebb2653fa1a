/*
 * forward_lac.c - the L2TP socket: datagrams in, datagrams out, many at once
 *
 * In: recvmmsg() fills an array of large buffers.  With UDP_GRO the kernel
 * puts consecutive datagrams of one LAC that have the same size into one
 * buffer and tells the size; they are handed on one by one.
 *
 * Out: frames are queued by destination, because all sessions of a LAC share
 * one outer flow: frames of equal size, whosever they are, leave in one
 * sendmsg() with UDP_SEGMENT and pass most of the kernel as a single packet.
 * Between two frames to one LAC the order never changes.  The frames lie
 * where they were made, in the arena, and are gathered from there.
 *
 * Nothing here waits.  A datagram that the socket does not take is counted and
 * lost, as it would be on any full line; one bad destination costs nobody else
 * a packet, and no error makes a turn longer than its share of reads.
 *
 * Owns:     the socket, the arena, the queue of frames.
 * Calls:    forward_found_from_lac() for each datagram.
 * Lifetime: lac_open() to lac_close().
 */
#define _GNU_SOURCE 1			/* recvmmsg, sendmmsg, in_pktinfo */
#include "forward_io.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/sock_diag.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "forward.h"
#include "log.h"
#include "loop.h"
#include "table.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif
#ifndef UDP_GRO
#define UDP_GRO		104
#endif

#define BATCH		64		/* datagrams a recvmmsg() */
#define RX_ROOM		65536		/* the largest that UDP_GRO makes */
#define RX_STRIDE	(RX_ROOM + 17 * 64)	/* no two in one cache set */

#define DROPS_MS	1000

#define ARENA		(256 * 1024)
#define FRAMES		1024
#define DESTS		64
#define DEST_BUCKETS	128
#define SEGMENTS	64		/* frames a sendmsg(): the kernel's limit */
#define SEGMENT_OCTETS	65000		/* and what fits a datagram */
#define OUTER		28		/* IPv4 and UDP header */

/* Ancillary data: source address and segment size; or what recvmmsg tells. */
union control {
	struct cmsghdr align;
	char out[CMSG_SPACE(sizeof(struct in_pktinfo)) +
	    CMSG_SPACE(sizeof(uint16_t))];
	char in[CMSG_SPACE(sizeof(struct in_pktinfo)) +
	    CMSG_SPACE(sizeof(int))];
};

/* What one recvmmsg() fills. */
static struct {
	unsigned int used;		/* as many are to be made ready again */
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in from[BATCH];
	struct peer peer[BATCH];
	union control ctl[BATCH];
	uint8_t (*buf)[RX_STRIDE];	/* BATCH of them, in large pages */
} rx;

/* Datagrams that came, and whose they will be; some before each is handled. */
static struct {
	unsigned int n;
	struct datagram {
		const struct peer *peer;
		uint8_t *buf;
		size_t len;
		struct session *session;
	} datagram[BATCH];
} in;

/* A datagram that waits. */
struct frame {
	struct iovec part[2];
	uint32_t sid;			/* whose traffic it is; 0: control */
	uint16_t len;
	uint16_t octets;		/* of IP, as counted */
	uint16_t next;			/* frame to the same LAC, + 1 */
};

struct dest {
	struct peer peer;
	uint16_t first, last;		/* frames */
	uint8_t next;			/* destination of the same bucket, + 1 */
};

static struct {
	unsigned int nframes, ndests;
	bool control;			/* some since the last lac_settle() */
	uint8_t bucket[DEST_BUCKETS];	/* dest + 1 */
	uint8_t recent;			/* the dest of the last frame */
	struct dest dest[DESTS];
	struct frame frame[FRAMES];
} q;

/* The queue as sendmmsg() wants it. */
static struct {
	unsigned int nmsg, niov;
	struct mmsghdr msg[FRAMES];
	uint16_t first[FRAMES], count[FRAMES];	/* frames of each message */
	struct sockaddr_in to[DESTS];
	union control ctl[FRAMES];
	struct iovec iov[FRAMES * 2];
} out;

static void count_drops(struct timer *);

static uint8_t arena[ARENA] __attribute__((aligned(64)));
static size_t arena_used, arena_held;

/*
 * The largest frames that this LAC takes in segments.  The kernel refuses to
 * cut what does not fit the MTU of the route to it (EINVAL), so such frames
 * go one by one and are fragmented.  Routes change: after a while it is tried
 * again.
 */
#define LIMITS		256
#define LIMIT_MS	60000
static struct {
	uint64_t until;			/* ms */
	uint32_t addr;
	uint16_t max;
} limit_of[LIMITS];

static struct loop_fd udp = { .fd = -1 };
static struct timer drops_timer = { .fire = count_drops };
static uint32_t bound;			/* bind_address, or 0: any of ours */
static bool segment;			/* UDP_SEGMENT may be used */

/* --- the arena ----------------------------------------------------------- */

size_t
lac_space(void)
{
	return ARENA - arena_used;
}

uint8_t *
lac_room(size_t n)
{
	if (lac_space() < n) {
		lac_flush();
		arena_used = arena_held;
	}
	return arena + arena_used;
}

void
lac_keep(size_t n)
{
	arena_used += (n + 15) & ~(size_t)15;
}

void
lac_hold(void)
{
	arena_held = arena_used;
}

void
lac_reset(void)
{
	lac_flush();
	arena_used = arena_held = 0;
}

bool
lac_owns(const void *buf)
{
	return (uintptr_t)buf >= (uintptr_t)arena &&
	    (uintptr_t)buf < (uintptr_t)arena + ARENA;
}

/* --- the queue ------------------------------------------------------------ */

static uint32_t
addr_hash(uint32_t addr, uint16_t port)
{
	return (addr ^ port) * UINT32_C(2654435769) >> 16;
}

static bool
is_dest(const struct dest *d, const struct peer *p)
{
	return d->peer.addr == p->addr && d->peer.port == p->port &&
	    d->peer.local == p->local;
}

static struct dest *
find_dest(const struct peer *p)
{
	uint8_t *bucket, i;
	struct dest *d;

	if (q.ndests > 0 && is_dest(&q.dest[q.recent], p))
		return &q.dest[q.recent];
	bucket = &q.bucket[addr_hash(p->addr, p->port) % DEST_BUCKETS];
	for (i = *bucket; i != 0; i = q.dest[i - 1].next)
		if (is_dest(&q.dest[i - 1], p)) {
			q.recent = (uint8_t)(i - 1);
			return &q.dest[i - 1];
		}
	if (q.ndests == DESTS)
		lac_flush();
	q.recent = (uint8_t)q.ndests++;
	d = &q.dest[q.recent];
	*d = (struct dest){ .peer = *p, .first = UINT16_MAX, .next = *bucket };
	*bucket = (uint8_t)(q.recent + 1);
	return d;
}

void
lac_put(const struct peer *p, void *part1, size_t len1, void *part2,
    size_t len2, uint32_t sid, size_t octets)
{
	struct dest *d;
	uint16_t n;

	log_hex(0, sid, "to LAC", part1, len1);
	if (len2 != 0)
		log_hex(0, sid, "to LAC, continued", part2, len2);
	if (q.nframes == FRAMES)
		lac_flush();
	d = find_dest(p);
	n = (uint16_t)q.nframes++;
	q.frame[n] = (struct frame){ .part = { { part1, len1 },
	    { part2, len2 } }, .sid = sid, .len = (uint16_t)(len1 + len2),
	    .octets = (uint16_t)octets };
	if (d->first == UINT16_MAX)
		d->first = n;
	else
		q.frame[d->last].next = (uint16_t)(n + 1);
	d->last = n;
}

bool
lac_put_copy(const struct peer *p, const void *buf, size_t len, uint32_t sid,
    size_t octets)
{
	uint8_t *room;

	if (len > PACKET_MAX)
		return false;
	room = lac_room(len);
	memcpy(room, buf, len);
	lac_keep(len);
	lac_put(p, room, len, NULL, 0, sid, octets);
	if (sid == 0)
		q.control = true;
	return true;
}

/* --- out ------------------------------------------------------------------ */

/* What was counted for a subscriber did not leave. */
static void
frame_failed(const struct frame *f, const struct sockaddr_in *to, int error)
{
	static struct log_limit limit;
	struct session *s = session_by_sid(f->sid);
	char addr[INET_ADDRSTRLEN];

	COUNT(tunnel_tx_errors);
	if (s != NULL) {
		s->tx_octets -= f->octets;
		s->tx_packets--;
	}
	inet_ntop(AF_INET, &to->sin_addr, addr, sizeof(addr));
	log_limited(&limit, LOG_L_WARN, 0, f->sid, "sending to %s: %s", addr,
	    strerror(error));
}

static uint16_t
segment_max(uint32_t addr)
{
	uint32_t i = addr_hash(addr, 0) % LIMITS;
	uint16_t mtu = (uint16_t)(lns.config.l2tp_mtu - OUTER);

	if (!segment)
		return 0;
	return limit_of[i].addr == addr && limit_of[i].max < mtu &&
	    limit_of[i].until > timer_now() ? limit_of[i].max : mtu;
}

static void
add_control(struct msghdr *m, union control *c, uint32_t local, uint16_t size)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(local) };
	struct cmsghdr *h = &c->align;
	size_t used = 0;

	if (bound == 0 && local != 0) {
		h->cmsg_level = IPPROTO_IP;
		h->cmsg_type = IP_PKTINFO;
		h->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(h), &info, sizeof(info));
		used = CMSG_SPACE(sizeof(info));
	}
	if (size != 0) {
		h = (struct cmsghdr *)(void *)(c->out + used);
		h->cmsg_level = IPPROTO_UDP;
		h->cmsg_type = UDP_SEGMENT;
		h->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(h), &size, sizeof(size));
		used += CMSG_SPACE(sizeof(size));
	}
	m->msg_control = used != 0 ? c : NULL;
	m->msg_controllen = used;
}

/*
 * Makes one message of the frame and of those behind it that fit: all of its
 * size, and one shorter to end with.  The next frame + 1, or 0.
 */
static uint16_t
make_message(unsigned int d, uint16_t n, uint16_t max)
{
	unsigned int m = out.nmsg++, count = 0, octets = 0;
	struct iovec *first = &out.iov[out.niov];
	uint16_t size = q.frame[n].len, next;
	const struct frame *f;

	out.first[m] = n;
	for (;;) {
		f = &q.frame[n];
		out.iov[out.niov++] = f->part[0];
		if (f->part[1].iov_len != 0)
			out.iov[out.niov++] = f->part[1];
		count++;
		octets += f->len;
		next = f->next;
		if (next == 0 || f->len < size || size > max ||
		    count == SEGMENTS)
			break;
		n = (uint16_t)(next - 1);
		if (q.frame[n].len > size ||
		    octets + q.frame[n].len > SEGMENT_OCTETS)
			break;
	}
	out.count[m] = (uint16_t)count;
	out.msg[m].msg_hdr = (struct msghdr){ .msg_name = &out.to[d],
	    .msg_namelen = sizeof(out.to[d]), .msg_iov = first,
	    .msg_iovlen = (size_t)(&out.iov[out.niov] - first) };
	add_control(&out.msg[m].msg_hdr, &out.ctl[m], q.dest[d].peer.local,
	    count > 1 ? size : 0);
	return next;
}

static void
make_messages(void)
{
	unsigned int d;

	out.nmsg = out.niov = 0;
	for (d = 0; d < q.ndests; d++) {
		const struct peer *p = &q.dest[d].peer;
		uint16_t n, max = segment_max(p->addr);

		out.to[d] = (struct sockaddr_in){ .sin_family = AF_INET,
		    .sin_port = htons(p->port),
		    .sin_addr.s_addr = htonl(p->addr) };
		for (n = (uint16_t)(q.dest[d].first + 1); n != 0; )
			n = make_message(d, (uint16_t)(n - 1), max);
	}
}

static void
count_sent(unsigned int m)
{
	const struct msghdr *h = &out.msg[m].msg_hdr;

	COUNT_ADD(tunnel_tx_packets, out.count[m]);
	for (size_t i = 0; i < h->msg_iovlen; i++)
		COUNT_ADD(tunnel_tx_bytes, h->msg_iov[i].iov_len);
}

/* The frames of a message that did not go as segments go one by one. */
static void
send_singly(unsigned int m)
{
	struct msghdr h = out.msg[m].msg_hdr;
	const struct sockaddr_in *to = h.msg_name;
	uint32_t addr = ntohl(to->sin_addr.s_addr);
	uint32_t slot = addr_hash(addr, 0) % LIMITS;
	uint16_t n = out.first[m];
	unsigned int i;

	limit_of[slot].addr = addr;
	limit_of[slot].max = (uint16_t)(q.frame[n].len - 1);
	limit_of[slot].until = timer_now() + LIMIT_MS;
	if (bound != 0 || h.msg_controllen <= CMSG_SPACE(sizeof(uint16_t)))
		h.msg_control = NULL;
	h.msg_controllen = h.msg_control == NULL ? 0 :
	    CMSG_SPACE(sizeof(struct in_pktinfo));
	for (i = 0; i < out.count[m]; i++) {
		struct frame *f = &q.frame[n];

		h.msg_iov = f->part;
		h.msg_iovlen = f->part[1].iov_len != 0 ? 2 : 1;
		if (sendmsg(udp.fd, &h, MSG_DONTWAIT) < 0) {
			frame_failed(f, to, errno);
		} else {
			COUNT(tunnel_tx_packets);
			COUNT_ADD(tunnel_tx_bytes, f->len);
		}
		n = (uint16_t)(f->next - 1);
	}
}

/* True if the message was refused for being in segments. */
static bool
not_in_segments(unsigned int m, int error)
{
	return out.count[m] > 1 && (error == EINVAL || error == EMSGSIZE ||
	    error == EIO || error == EOPNOTSUPP);
}

static void
message_failed(unsigned int m, int error)
{
	uint16_t n = out.first[m];

	if (not_in_segments(m, error)) {
		send_singly(m);
		return;
	}
	for (unsigned int i = 0; i < out.count[m]; i++) {
		frame_failed(&q.frame[n], out.msg[m].msg_hdr.msg_name, error);
		n = (uint16_t)(q.frame[n].next - 1);
	}
}

/*
 * sendmmsg() stops in front of the first message that fails and reports the
 * error only when that is the first one of a call.  A full socket fails all
 * that is left; an unreachable LAC only its own.
 */
static void
send_messages(void)
{
	unsigned int done = 0;
	int n, i, error;

	while (done < out.nmsg) {
		n = sendmmsg(udp.fd, out.msg + done, out.nmsg - done,
		    MSG_DONTWAIT);
		if (n > 0) {
			for (i = 0; i < n; i++)
				count_sent(done + (unsigned int)i);
			done += (unsigned int)n;
			continue;
		}
		error = n < 0 ? errno : EIO;
		do
			message_failed(done++, error);
		while (done < out.nmsg && (error == EAGAIN || error == EBADF ||
		    error == ENOBUFS));
	}
}

/*
 * Whoever takes over must know what a LAC has been told, so that is said to
 * them before; not in the middle of saying it, when half of it is not so yet.
 */
void
lac_settle(void)
{
	if (q.control && forward_before_control != NULL)
		forward_before_control();
	q.control = false;
}

void
lac_flush(void)
{
	if (q.nframes == 0)
		return;
	make_messages();
	send_messages();
	lac_discard();
}

void
lac_discard(void)
{
	q.nframes = q.ndests = 0;
	q.recent = 0;
	memset(q.bucket, 0, sizeof(q.bucket));
}

/* --- in ------------------------------------------------------------------- */

/* What the kernel tells beside a datagram. */
struct told {
	uint32_t local;			/* which of our addresses it came to */
	size_t size;			/* of each datagram in the buffer, or 0 */
};

static void
read_control(struct msghdr *m, struct told *t)
{
	struct in_pktinfo info;
	struct cmsghdr *c;
	int size;

	*t = (struct told){ .local = bound };
	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    bound == 0) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			t->local = ntohl(info.ipi_spec_dst.s_addr);
		} else if (c->cmsg_level == IPPROTO_UDP &&
		    c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			t->size = size > 0 ? (size_t)size : 0;
		}
	}
}

/* Looks ahead for all, then works on all. */
static void
handle(void)
{
	struct datagram *d, *end = in.datagram + in.n;

	for (d = in.datagram; d < end; d++)
		forward_ahead_lac(d->buf, d->len);
	for (d = in.datagram; d < end; d++)
		d->session = forward_find_lac(d->buf, d->len);
	for (d = in.datagram; d < end; d++)
		forward_found_from_lac(d->peer, d->buf, d->len, d->session);
	in.n = 0;
}

static void
add_datagram(const struct peer *peer, uint8_t *buf, size_t len)
{
	if (in.n == BATCH)
		handle();
	in.datagram[in.n++] = (struct datagram){ peer, buf, len, NULL };
}

static void
received(unsigned int i)
{
	struct msghdr *m = &rx.msg[i].msg_hdr;
	size_t len = rx.msg[i].msg_len, at = 0, n;
	struct told t;

	if (m->msg_namelen < sizeof(rx.from[i]) ||
	    rx.from[i].sin_family != AF_INET)
		return;
	read_control(m, &t);
	rx.peer[i] = (struct peer){ .addr = ntohl(rx.from[i].sin_addr.s_addr),
	    .port = ntohs(rx.from[i].sin_port), .local = t.local };
	if (t.size == 0)
		t.size = len;
	/* No datagram is larger than what our own l2tp_mtu could bring. */
	if (t.size > PACKET_MAX || (m->msg_flags & MSG_TRUNC) != 0) {
		COUNT(tunnel_rx_errors);
		return;
	}
	do {
		n = len - at < t.size ? len - at : t.size;
		add_datagram(&rx.peer[i], rx.buf[i] + at, n);
		at += n;
	} while (at < len);
}

/*
 * One recvmmsg(); true if there may be more.  Any error but "nothing there"
 * is one that the kernel kept for us (an ICMP message, say) and is used up by
 * the call, so it does not end the turn; the caller's count does.
 */
static bool
receive_batch(void)
{
	static struct log_limit limit;
	unsigned int i;
	int n;

	for (i = 0; i < rx.used; i++) {
		rx.iov[i] = (struct iovec){ rx.buf[i], RX_ROOM };
		rx.msg[i].msg_hdr = (struct msghdr){ .msg_name = &rx.from[i],
		    .msg_namelen = sizeof(rx.from[i]), .msg_iov = &rx.iov[i],
		    .msg_iovlen = 1, .msg_control = &rx.ctl[i],
		    .msg_controllen = sizeof(rx.ctl[i]) };
	}
	rx.used = 0;
	n = recvmmsg(udp.fd, rx.msg, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0) {
		if (errno == EAGAIN)
			return false;
		log_limited(&limit, LOG_L_WARN, 0, 0,
		    "reading the L2TP socket: %s", strerror(errno));
		return true;
	}
	rx.used = (unsigned int)n;
	for (i = 0; i < rx.used; i++)
		received(i);
	handle();
	lac_settle();
	tundev_flush();			/* rx.buf is used again */
	return n == BATCH;
}

static void
udp_readable(struct loop_fd *f)
{
	int64_t reads = lns.config.multi_read_count;

	(void)f;
	COUNT(call_processudp);
	lac_settle();
	while (reads-- > 0 && receive_batch())
		continue;
}

/*
 * What the kernel dropped because we were too slow.  Asked for once a second:
 * as ancillary data of every datagram (SO_RXQ_OVFL) the number costs most
 * just when there is no time for it.
 */
static void
count_drops(struct timer *t)
{
	static uint32_t before;
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(udp.fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0) {
		/* A new socket begins at 0 again. */
		if (info[SK_MEMINFO_DROPS] >= before)
			COUNT_ADD(tunnel_rx_dropped,
			    info[SK_MEMINFO_DROPS] - before);
		before = info[SK_MEMINFO_DROPS];
	}
	timer_arm(t, DROPS_MS);
}

/* --- start and stop --------------------------------------------------------- */

/* More than net.core.{r,w}mem_max allows, if we may; else as much as it is. */
static void
set_buffer(int fd, int force, int plain, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

/* Segments and joined reception, where the kernel knows them. */
static void
set_offload(int fd)
{
	int on = 1, off = 0;

	segment = lns.config.offload && setsockopt(fd, IPPROTO_UDP,
	    UDP_SEGMENT, &off, sizeof(off)) == 0;
	if (lns.config.offload && (!segment ||
	    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) != 0))
		log_warn("this kernel has no UDP_SEGMENT and UDP_GRO: "
		    "datagrams are sent and received one by one");
}

/*
 * Path MTU discovery is off, so that a datagram that became larger than the
 * way to the LAC is fragmented instead of lost.
 */
static bool
set_options(int fd)
{
	int any = lns.config.bind_address == 0, dont = IP_PMTUDISC_DONT;
	int size = (int)lns.config.socket_buffer;

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, size);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, size);
	set_offload(fd);
	return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont,
	    sizeof(dont)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &any, sizeof(any)) == 0;
}

static int
open_socket(char *err, size_t errlen)
{
	uint32_t addr = lns.config.bind_address;
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons(L2TP_PORT), .sin_addr.s_addr = htonl(addr) };
	int fd, error;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && set_options(fd) &&
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	error = errno;
	snprintf(err, errlen, "UDP socket, %u.%u.%u.%u port %d: %s%s",
	    addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255,
	    L2TP_PORT, strerror(error),
	    error == EADDRINUSE ? " (is another L2TP server running?)" :
	    error == EADDRNOTAVAIL ? " (no interface has this bind_address)" :
	    "");
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * A datagram touches little of its buffer, but each a page of its own: large
 * pages save most of the cost of that.
 */
static bool
make_buffers(void)
{
	size_t size = BATCH * sizeof(*rx.buf);

	if (rx.buf != NULL)
		return true;
	rx.buf = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rx.buf == MAP_FAILED) {
		rx.buf = NULL;
		return false;
	}
	(void)madvise(rx.buf, size, MADV_HUGEPAGE);
	return true;
}

bool
lac_open(char *err, size_t errlen)
{
	int fd = open_socket(err, errlen);

	if (fd < 0)
		return false;
	if (!make_buffers()) {
		snprintf(err, errlen, "receive buffers: %s", strerror(errno));
		close(fd);
		return false;
	}
	udp = (struct loop_fd){ .fd = fd, .stage = LOOP_UDP,
	    .readable = udp_readable };
	bound = lns.config.bind_address;
	rx.used = BATCH;
	q.nframes = q.ndests = 0;
	memset(q.bucket, 0, sizeof(q.bucket));
	arena_used = arena_held = 0;
	if (loop_add(&udp)) {
		timer_arm(&drops_timer, DROPS_MS);
		return true;
	}
	snprintf(err, errlen, "watching the L2TP socket: %s", strerror(errno));
	lac_close();
	return false;
}

void
lac_close(void)
{
	timer_disarm(&drops_timer);
	loop_del(&udp);
	if (udp.fd >= 0)
		close(udp.fd);
	udp.fd = -1;
}
