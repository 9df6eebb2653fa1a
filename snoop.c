/*
 * snoop.c - interception: what a subscriber sends and gets, to somebody else
 *
 * forward.c shows each packet of a session with SF_SNOOP: from the subscriber
 * as it came, once its source is known to be true; to the subscriber as it
 * leaves, so that what a throttle drops is no copy and what it delays is one
 * later.  Copies are collected and leave in one sendmmsg() at the end of the
 * turn.  Nothing waits for a slow target: what the socket does not take is
 * counted and lost.  A copy that became larger than the MTU is fragmented by
 * the kernel.
 *
 * The target may be behind a session that is intercepted itself, or be its
 * own.  Then our copies come by here again, and so may what the target thinks
 * of them.  To copy any of that would never end, so whatever our socket sent,
 * is sent, or is quoted by an ICMP error, is left out; by its address and port
 * rather than by the target's, since others may send to that too.
 *
 * Owns:     the socket, the copies that wait; of struct session SF_SNOOP,
 *           snoop_ip, snoop_port.
 * Calls:    tun_address_own().
 * Lifetime: snoop_init() to snoop_exit(); a session's end ends it.
 */
#define _GNU_SOURCE 1			/* sendmmsg */
#include "snoop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipv4.h"
#include "log.h"
#include "loop.h"
#include "replica.h"
#include "session.h"
#include "tun.h"

#define COPIES		512
#define ROOM		(512 * 1024)
#define UDP_HEADER	8
#define LONGEST		(UINT16_MAX - IPV4_HEADER - UDP_HEADER)

/* Copies that wait. */
static struct {
	unsigned int n;
	size_t used;			/* of room[] */
	struct mmsghdr msg[COPIES];
	struct iovec iov[COPIES];
	struct sockaddr_in to[COPIES];
	uint32_t sid[COPIES];
	uint8_t room[ROOM];
} q;

static int fd = -1;
static uint16_t port;			/* of the socket */
static struct loop_hook hook = { .run = snoop_flush };

/* --- out ------------------------------------------------------------------ */

static void
copy_failed(unsigned int i, int error)
{
	static struct log_limit limit;
	char addr[INET_ADDRSTRLEN];

	COUNT(snoop_errors);
	inet_ntop(AF_INET, &q.to[i].sin_addr, addr, sizeof(addr));
	log_limited_private(&limit, LOG_L_WARN, 0, q.sid[i],
	    "sending a copy to %s: %s", addr, strerror(error));
}

/*
 * sendmmsg() stops in front of a message that fails.  A full socket fails all
 * that is left, an unreachable target only its own.
 */
void
snoop_flush(void)
{
	unsigned int done = 0;
	int n, error;

	while (done < q.n) {
		n = sendmmsg(fd, q.msg + done, q.n - done, MSG_DONTWAIT);
		if (n > 0) {
			COUNT_ADD(packets_snooped, n);
			done += (unsigned int)n;
			continue;
		}
		error = n < 0 ? errno : EIO;
		do
			copy_failed(done++, error);
		while (done < q.n && (error == EAGAIN || error == ENOBUFS ||
		    error == EBADF));
	}
	q.n = 0;
	q.used = 0;
}

static void
put(const struct session *s, const uint8_t *ip, size_t len)
{
	unsigned int i;

	if (q.n == COPIES || q.used + len > ROOM)
		snoop_flush();
	i = q.n++;
	memcpy(q.room + q.used, ip, len);
	q.sid[i] = s->sid;
	q.to[i] = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_port = htons(s->snoop_port),
	    .sin_addr.s_addr = htonl(s->snoop_ip) };
	q.iov[i] = (struct iovec){ q.room + q.used, len };
	q.msg[i].msg_hdr = (struct msghdr){ .msg_name = &q.to[i],
	    .msg_namelen = sizeof(q.to[i]), .msg_iov = &q.iov[i],
	    .msg_iovlen = 1 };
	q.used += len;
}

/* --- what is no subscriber's ---------------------------------------------- */

/* The fields of an IP header that tell a copy; perhaps quoted and cut off. */
struct look {
	uint32_t src, dst;
	uint16_t id, offset;		/* offset with the flags beside it */
	uint8_t protocol;
	const uint8_t *payload;
	size_t len;
};

#define OFFSET		0x1fff		/* RFC 791 3.1 */

static bool
look_at(const uint8_t *ip, size_t n, struct look *l)
{
	size_t hlen = n >= IPV4_HEADER ? (ip[0] & 15) * 4u : 0;

	if (hlen < IPV4_HEADER || n < hlen + UDP_HEADER)
		return false;
	*l = (struct look){ .id = ipv4_get16(ip + 4),
	    .offset = ipv4_get16(ip + 6), .protocol = ip[9],
	    .src = ipv4_get32(ip + 12), .dst = ipv4_get32(ip + 16),
	    .payload = ip + hlen, .len = n - hlen };
	return true;
}

/* Sent by our socket: has its port, and an address of this machine. */
static bool
is_from_us(const struct look *l)
{
	return l->protocol == IPV4_UDP && (l->offset & OFFSET) == 0 &&
	    ipv4_get16(l->payload) == port && tun_address_own(l->src);
}

static bool
is_to_us(const struct look *l)
{
	return l->protocol == IPV4_UDP && (l->offset & OFFSET) == 0 &&
	    ipv4_get16(l->payload + 2) == port && tun_address_own(l->dst);
}

/*
 * The other fragments of a copy have no port.  They come right behind the
 * first: nobody but us makes copies.
 */
static bool
is_fragment_of_copy(const struct look *l, bool from_us)
{
	static struct look first;

	if (from_us)
		first = *l;
	return l->protocol == IPV4_UDP && (l->offset & OFFSET) != 0 &&
	    l->src == first.src && l->dst == first.dst && l->id == first.id;
}

/* RFC 792: an error quotes the header and 8 octets of what caused it. */
static bool
is_error_about_us(const struct look *l)
{
	static const uint8_t errors[] = { 3, 4, 5, 11, 12 };
	struct look quoted;

	return l->protocol == IPV4_ICMP && (l->offset & OFFSET) == 0 &&
	    memchr(errors, l->payload[0], sizeof(errors)) != NULL &&
	    look_at(l->payload + 8, l->len - 8, &quoted) &&
	    (is_from_us(&quoted) || is_fragment_of_copy(&quoted, false));
}

static bool
is_copy(const uint8_t *ip, size_t len)
{
	struct look l;
	bool from_us;

	if (!look_at(ip, len, &l))
		return false;
	from_us = is_from_us(&l);
	return is_fragment_of_copy(&l, from_us) || from_us || is_to_us(&l) ||
	    is_error_about_us(&l);
}

void
snoop_packet(const struct session *s, const uint8_t *ip, size_t len)
{
	if (fd < 0 || len > LONGEST) {
		COUNT(snoop_errors);
		return;
	}
	if (!is_copy(ip, len))
		put(s, ip, len);
}

/* --- who is intercepted --------------------------------------------------- */

static void
audit(const struct session *s, const char *what, const char *who)
{
	log_private(s->tid, s->sid, "interception of %s %s: copies to "
	    "%u.%u.%u.%u port %u, by %s", s->user, what, s->snoop_ip >> 24,
	    s->snoop_ip >> 16 & 255, s->snoop_ip >> 8 & 255,
	    s->snoop_ip & 255, s->snoop_port, who);
}

bool
snoop_start(struct session *s, uint32_t ip, uint16_t target_port,
    const char *who)
{
	bool moves = (s->flags & SF_SNOOP) != 0;

	if (fd < 0 || ip == 0 || target_port == 0 || s->dying)
		return false;
	s->snoop_ip = ip;
	s->snoop_port = target_port;
	s->flags |= SF_SNOOP;
	replica_session_changed(s);
	audit(s, moves ? "moves" : "begins", who);
	return true;
}

void
snoop_stop(struct session *s, const char *who)
{
	if ((s->flags & SF_SNOOP) == 0)
		return;
	audit(s, "ends", who);
	s->flags &= (uint16_t)~SF_SNOOP;
	replica_session_changed(s);
	s->snoop_ip = 0;
	s->snoop_port = 0;
}

/* --- start and stop ------------------------------------------------------- */

/*
 * Path MTU discovery is off, so that large copies are fragmented and not
 * refused.  Nobody reads what is sent to the socket.
 */
static bool
set_options(void)
{
	int dont = IP_PMTUDISC_DONT, size = (int)lns.config.socket_buffer;
	int nothing = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size,
	    sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &nothing, sizeof(nothing));
	return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont,
	    sizeof(dont)) == 0;
}

bool
snoop_init(char *err, size_t errlen)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || !set_options() ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) != 0) {
		snprintf(err, errlen, "%s", strerror(errno));
		snoop_exit();
		return false;
	}
	port = ntohs(sin.sin_port);
	q.n = 0;
	q.used = 0;
	loop_at_turn_end(&hook);
	return true;
}

void
snoop_exit(void)
{
	if (fd < 0)
		return;
	snoop_flush();
	close(fd);
	fd = -1;
}
