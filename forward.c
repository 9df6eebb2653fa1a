/*
 * forward.c - the data path: UDP <-> TUN, in batches
 *
 * Upstream, a turn reads the L2TP socket in batches of BATCH datagrams.  Each
 * goes down a ladder of checks in the order of the headers: L2TP (RFC 2661
 * 3.1), the tunnel and its pinned peer, the session, its sequence numbers, PPP
 * (RFC 1661 2, 6.5, 6.6), IPv4 (RFC 1812 5.2.2).  Whatever is wrong is dropped
 * on its rung and counted there.  What is left is put, without a copy, into
 * an array of packets for the TUN.
 *
 * Downstream, a packet is read from the TUN into the next free slot of the
 * send queue, looked up once, and its headers are written in front of it where
 * it lies; that makes the slot a datagram.  Control messages are copied into
 * the same queue, so that everything leaves in the order in which it was made.
 * The queue goes out when it is full and at the end of the turn.
 *
 * Nothing here waits.  A datagram that the socket does not take is counted and
 * lost, as it would be on any full line; one bad destination costs nobody else
 * a packet, and no error makes a turn longer than its share of reads.
 *
 * A session's octets are counted when its packet is queued, so that an
 * accounting record written in the same turn is complete, and taken back if
 * the system then refuses the packet.
 *
 * Owns:     the L2TP socket, both arrays of packets.  Reads the TUN.
 * Calls:    tunnel_input() and ppp_input() for what is not user traffic,
 *           icmp.h, tun.h, the tables.
 * Lifetime: forward_init() to forward_exit().
 */
#define _GNU_SOURCE 1			/* recvmmsg, sendmmsg, in_pktinfo */
#include "forward.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "icmp.h"
#include "ipv4.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "session.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"

#define BATCH		64		/* datagrams a system call */

#define PPP_ALLSTATIONS	0xff		/* RFC 1662 3.1 */
#define PPP_UI		0x03
#define PPP_IPV4	0x0021		/* RFC 1332 3 */

#define PLAIN_HEADER	6		/* flags, tunnel id, session id */

/* Room for the one ancillary datum we use. */
union pktinfo_buf {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* What one recvmmsg() fills. */
static struct {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in from[BATCH];
	union pktinfo_buf ctl[BATCH];
	uint8_t buf[BATCH][PACKET_MAX];
} rx;

/* The send queue: what one sendmmsg() takes. */
static struct {
	unsigned int n;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	union pktinfo_buf ctl[BATCH];
	uint32_t sid[BATCH];		/* whose traffic it is; 0: control */
	uint16_t octets[BATCH];		/* of IP, as counted */
	uint8_t buf[BATCH][PACKET_MAX];
} tx;

/* Packets for the TUN; they lie in rx.buf. */
static struct {
	unsigned int n;
	struct {
		const uint8_t *ip;
		size_t len;
		uint32_t sid;
	} pkt[BATCH];
} up;

static struct loop_fd udp = { .fd = -1 };
static struct loop_fd tun = { .fd = -1 };
static struct loop_hook hook = { .run = forward_flush };
static uint32_t bound;			/* bind_address, or 0: any of ours */

static bool queue_for_lac(const struct peer *, const void *, size_t);
static void queue_for_tun(const uint8_t *, size_t);

void (*forward_tun_write)(const uint8_t *, size_t) = queue_for_tun;
bool (*forward_lac_write)(const struct peer *, const void *, size_t) =
    queue_for_lac;

/* --- out ---------------------------------------------------------------- */

/* A packet to the subscriber that was counted did not leave. */
static void
uncount_tx(unsigned int i)
{
	struct session *s = session_by_sid(tx.sid[i]);

	if (s != NULL) {
		s->tx_octets -= tx.octets[i];
		s->tx_packets--;
	}
}

static void
uncount_rx(unsigned int i)
{
	struct session *s = session_by_sid(up.pkt[i].sid);

	if (s != NULL) {
		s->rx_octets -= up.pkt[i].len;
		s->rx_packets--;
	}
}

static void
send_failed(unsigned int i, int error)
{
	static struct log_limit limit;
	char addr[INET_ADDRSTRLEN];

	COUNT(tunnel_tx_errors);
	uncount_tx(i);
	inet_ntop(AF_INET, &tx.to[i].sin_addr, addr, sizeof(addr));
	log_limited(&limit, LOG_L_WARN, 0, tx.sid[i], "sending to %s: %s",
	    addr, strerror(error));
}

/*
 * sendmmsg() stops in front of the first datagram that fails and reports the
 * error only when that is the first one of a call.  A full socket fails all
 * that is left; an unreachable LAC only its own.
 */
static void
flush_lac(void)
{
	unsigned int done = 0;
	int n, i, error;

	while (done < tx.n) {
		n = sendmmsg(udp.fd, tx.msg + done, tx.n - done, MSG_DONTWAIT);
		if (n > 0) {
			for (i = 0; i < n; i++)
				COUNT_ADD(tunnel_tx_bytes,
				    tx.iov[done + i].iov_len);
			COUNT_ADD(tunnel_tx_packets, n);
			done += n;
			continue;
		}
		error = n < 0 ? errno : EIO;
		do
			send_failed(done++, error);
		while (done < tx.n && (error == EAGAIN || error == EBADF));
	}
	tx.n = 0;
}

static void
flush_tun(void)
{
	static struct log_limit limit;
	unsigned int i;

	for (i = 0; i < up.n; i++) {
		if (write(tun.fd, up.pkt[i].ip, up.pkt[i].len) >= 0) {
			COUNT(eth_tx_packets);
			COUNT_ADD(eth_tx_bytes, up.pkt[i].len);
			continue;
		}
		COUNT(eth_tx_errors);
		log_limited(&limit, LOG_L_WARN, 0, up.pkt[i].sid,
		    "writing to the TUN device: %s", strerror(errno));
		uncount_rx(i);
	}
	up.n = 0;
}

void
forward_flush(void)
{
	if (up.n > 0)
		flush_tun();
	if (tx.n > 0)
		flush_lac();
}

static void
queue_for_tun(const uint8_t *ip, size_t len)
{
	if (up.n == BATCH)
		flush_tun();
	up.pkt[up.n].ip = ip;
	up.pkt[up.n].len = len;
	up.pkt[up.n].sid = 0;
	up.n++;
}

/* Says from which of our addresses slot i leaves: the one the LAC knows. */
static void
set_source(unsigned int i, uint32_t local)
{
	struct msghdr *m = &tx.msg[i].msg_hdr;
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(local) };
	struct cmsghdr *c = &tx.ctl[i].align;

	if (bound != 0 || local == 0) {
		m->msg_control = NULL;
		m->msg_controllen = 0;
		return;
	}
	m->msg_control = c;
	m->msg_controllen = sizeof(tx.ctl[i]);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

/* The packet that was read into the free slot is already where it belongs. */
static bool
queue_for_lac(const struct peer *peer, const void *buf, size_t len)
{
	uint8_t *start;
	unsigned int i;

	if (len > PACKET_MAX)
		return false;
	if (tx.n == BATCH)
		flush_lac();
	i = tx.n++;
	start = tx.buf[i];
	if ((uintptr_t)buf >= (uintptr_t)start &&
	    (uintptr_t)buf + len <= (uintptr_t)start + PACKET_MAX)
		start += (uintptr_t)buf - (uintptr_t)start;
	else
		memcpy(start, buf, len);
	log_hex(0, 0, "to LAC", start, len);
	tx.iov[i] = (struct iovec){ .iov_base = start, .iov_len = len };
	tx.to[i] = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_port = htons(peer->port), .sin_addr.s_addr = htonl(peer->addr) };
	tx.msg[i].msg_hdr = (struct msghdr){ .msg_iov = &tx.iov[i],
	    .msg_iovlen = 1, .msg_name = &tx.to[i],
	    .msg_namelen = sizeof(tx.to[i]) };
	set_source(i, peer->local);
	tx.sid[i] = 0;
	return true;
}

bool
forward_send(const struct peer *peer, const void *buf, size_t len)
{
	if (forward_lac_write(peer, buf, len))
		return true;
	COUNT(tunnel_tx_errors);
	return false;
}

/* --- what both ways share ----------------------------------------------- */

/* The DoS cap: so many packets of a session in each 0.1 s, both ways. */
static bool
within_limit(struct session_local *l)
{
	uint32_t window = (uint32_t)(timer_now() / 100);

	if (lns.config.packet_limit == 0)
		return true;
	if (l->limit_window != window) {
		l->limit_window = window;
		l->limit_count = 0;
	}
	return l->limit_count++ < lns.config.packet_limit;
}

static void
clamp(const struct session *s, uint8_t *ip, const struct ipv4 *h)
{
	if (s->mss != 0 && h->protocol == IPV4_TCP &&
	    ipv4_clamp_mss(ip, h, s->mss))
		COUNT(mss_clamped);
}

/* --- from the subscriber ------------------------------------------------ */

static bool
is_own_source(const struct session *s, uint32_t src)
{
	const struct prefix *r;
	unsigned int i;

	if (src == s->ip)
		return src != 0;
	if ((s->flags & SF_ROUTED) == 0)
		return false;
	for (i = 0; i < s->nroutes && i < ROUTES_MAX; i++) {
		r = &s->routes[i];
		if (r->len > 0 && r->len <= 32 &&
		    (src ^ r->addr) >> (32 - r->len) == 0)
			return true;
	}
	return false;
}

/* RFC 1812 5.3.7: 0/8, 127/8, and what is no unicast address. */
static bool
is_martian(uint32_t addr)
{
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >> 29 == 7;
}

/*
 * The daemon's own ports, which nobody has business with from inside a
 * tunnel: a subscriber could drive the CLI, forge control messages of LACs
 * and cluster members, or loop a tunnel through itself.  A packet too short to
 * tell its ports is not let through either.
 */
static const struct own_port {
	uint8_t protocol;
	uint16_t port;
} own_ports[] = {
	{ IPV4_TCP, 23 },		/* CLI */
	{ IPV4_TCP, 179 },		/* BGP */
	{ IPV4_UDP, L2TP_PORT },
	{ IPV4_UDP, 1702 },		/* nsctl */
	{ IPV4_UDP, 32792 },		/* cluster */
};

static bool
is_own_port(const uint8_t *ip, const struct ipv4 *h)
{
	uint16_t src, dst;
	size_t i;

	if ((h->protocol != IPV4_TCP && h->protocol != IPV4_UDP) ||
	    h->offset != 0 || !tun_address_own(h->dst))
		return false;
	if (!ipv4_ports(ip, h, &src, &dst))
		return true;
	for (i = 0; i < sizeof(own_ports) / sizeof(own_ports[0]); i++)
		if (own_ports[i].protocol == h->protocol &&
		    own_ports[i].port == dst)
			return true;
	return false;
}

static void
drop_spoofed(const struct session *s, uint32_t src)
{
	static struct log_limit limit;

	COUNT(drop_spoofed);
	log_limited(&limit, LOG_L_WARN, s->tid, s->sid,
	    "dropped a packet from %u.%u.%u.%u, not an address of this "
	    "subscriber", src >> 24, src >> 16 & 255, src >> 8 & 255,
	    src & 255);
}

/* One IPv4 packet of a subscriber, PPP taken off. */
static void
ip_from_subscriber(struct session *s, uint8_t *ip, size_t n)
{
	struct session_local *l = session_local(s);
	struct ipv4 h;

	if ((s->flags & SF_OPEN) == 0) {
		COUNT(drop_not_open);
		return;
	}
	l->ppp.last_heard = timer_now();
	if (!ipv4_decode(ip, n, &h)) {
		COUNT(drop_malformed);
		return;
	}
	if (!is_own_source(s, h.src)) {
		drop_spoofed(s, h.src);
		return;
	}
	if (is_martian(h.dst)) {
		COUNT(drop_martian);
		return;
	}
	if (is_own_port(ip, &h)) {
		COUNT(drop_own_port);
		return;
	}
	if (!within_limit(l)) {
		COUNT(drop_limited);
		return;
	}
	clamp(s, ip, &h);
	s->rx_octets += h.len;
	s->rx_packets++;
	s->last_data = (uint32_t)(timer_now() / 1000);
	forward_tun_write(ip, h.len);
	if (up.n > 0 && up.pkt[up.n - 1].ip == ip)
		up.pkt[up.n - 1].sid = s->sid;
}

/*
 * Address and control field may be there or not, the protocol field may have
 * one octet or two, whatever was negotiated (RFC 1661 6.5, 6.6: be ready).
 */
static void
ppp_from_lac(struct session *s, uint8_t *p, size_t n)
{
	uint16_t protocol;

	if (n >= 2 && p[0] == PPP_ALLSTATIONS && p[1] == PPP_UI) {
		p += 2;
		n -= 2;
	}
	if (n >= 1 && (p[0] & 1) != 0) {
		protocol = p[0];
		p += 1;
		n -= 1;
	} else if (n >= 2) {
		protocol = ipv4_get16(p);
		p += 2;
		n -= 2;
	} else {
		COUNT(ppp_rx_malformed);
		return;
	}
	if (protocol == PPP_IPV4)
		ip_from_subscriber(s, p, n);
	else
		ppp_input(s, protocol, p, n);
}

/* A data message, as far as we look into its header. */
struct data {
	uint16_t tunnel_id, session_id;
	uint16_t Ns;
	bool sequenced;
	uint8_t *ppp;
	size_t len;
};

/*
 * RFC 2661 5.4: with sequence numbers in use, what is old or a duplicate is
 * not delivered; a gap is.  Where the LAC did not promise them they may still
 * come, and are of no meaning.
 */
static bool
in_sequence(struct session *s, const struct data *d)
{
	if (!d->sequenced || (s->flags & SF_RECV_SEQ) == 0)
		return true;
	if ((int16_t)(uint16_t)(d->Ns - s->data_Nr) < 0)
		return false;
	s->data_Nr = (uint16_t)(d->Ns + 1);
	return true;
}

static void
drop_wrong_peer(const struct tunnel *t, const struct peer *peer)
{
	static struct log_limit limit;

	COUNT(wrong_peer);
	log_limited(&limit, LOG_L_WARN, t->tid, 0,
	    "dropped data from %u.%u.%u.%u port %u, not this tunnel's peer",
	    peer->addr >> 24, peer->addr >> 16 & 255, peer->addr >> 8 & 255,
	    peer->addr & 255, peer->port);
}

static void
data_from_lac(const struct peer *peer, const struct data *d)
{
	struct tunnel *t = tunnel_by_local_id(d->tunnel_id);
	struct session *s;

	if (t == NULL) {
		COUNT(unknown_tunnel);
		return;
	}
	if (t->peer.addr != peer->addr || t->peer.port != peer->port) {
		drop_wrong_peer(t, peer);
		return;
	}
	t->last_data = (uint32_t)(timer_now() / 1000);
	s = tunnel_session(t, d->session_id);
	if (s == NULL || s->state != S_ESTABLISHED) {
		COUNT(unknown_session);
		return;
	}
	if (!in_sequence(s, d)) {
		COUNT(drop_sequence);
		return;
	}
	ppp_from_lac(s, d->ppp, d->len);
}

/* The two headers that nearly all data has: none of L, S, O and P, or L. */
static bool
plain_header(uint8_t *buf, size_t len, struct data *d)
{
	uint16_t flags, length;
	size_t ids = 2;

	if (len < PLAIN_HEADER + 2)
		return false;
	flags = ipv4_get16(buf);
	if (flags == (L2TP_F_LENGTH | L2TP_VERSION_2)) {
		length = ipv4_get16(buf + 2);
		if (length < PLAIN_HEADER + 2 || length > len)
			return false;
		len = length;
		ids = 4;
	} else if (flags != L2TP_VERSION_2) {
		return false;
	}
	*d = (struct data){ .tunnel_id = ipv4_get16(buf + ids),
	    .session_id = ipv4_get16(buf + ids + 2),
	    .ppp = buf + ids + 4, .len = len - ids - 4 };
	return true;
}

void
forward_from_lac(const struct peer *peer, uint8_t *buf, size_t len)
{
	struct l2tp_header h;
	struct data d;

	COUNT(tunnel_rx_packets);
	COUNT_ADD(tunnel_rx_bytes, len);
	log_hex(0, 0, "from LAC", buf, len);
	if (plain_header(buf, len, &d)) {
		data_from_lac(peer, &d);
		return;
	}
	if (l2tp_header_decode(buf, len, &h) != L2TP_OK) {
		COUNT(tunnel_rx_errors);
		return;
	}
	if (h.control) {
		tunnel_input(peer, &h, buf, len);
		return;
	}
	d = (struct data){ .tunnel_id = h.tunnel_id,
	    .session_id = h.session_id, .Ns = h.Ns, .sequenced = h.sequenced,
	    .ppp = buf + (h.body.p - buf), .len = rd_left(&h.body) };
	data_from_lac(peer, &d);
}

/* --- to the subscriber -------------------------------------------------- */

/*
 * Writes the headers of PPP and L2TP in front of an IP packet, as this
 * session wants them; where the datagram begins.
 */
static uint8_t *
wrap(struct session *s, const struct tunnel *t, uint8_t *ip)
{
	uint16_t flags = L2TP_VERSION_2;
	uint8_t *p = ip;

	*--p = PPP_IPV4;
	if ((s->flags & SF_PFC) == 0)
		*--p = 0;
	if ((s->flags & SF_ACFC) == 0) {
		*--p = PPP_UI;
		*--p = PPP_ALLSTATIONS;
	}
	if ((s->flags & SF_SEND_SEQ) != 0) {
		flags |= L2TP_F_SEQUENCE;
		p -= 4;
		ipv4_put16(p, s->data_Ns++);
		ipv4_put16(p + 2, 0);	/* Nr is reserved in data: 3.1 */
	}
	p -= PLAIN_HEADER;
	ipv4_put16(p, flags);
	ipv4_put16(p + 2, t->peer_id);
	ipv4_put16(p + 4, s->peer_id);
	return p;
}

static void
send_to_subscriber(struct session *s, const struct tunnel *t, uint8_t *ip,
    size_t len)
{
	uint8_t *p = wrap(s, t, ip);

	if (!forward_lac_write(&t->peer, p, (size_t)(ip - p) + len)) {
		COUNT(tunnel_tx_errors);
		return;
	}
	s->tx_octets += len;
	s->tx_packets++;
	s->last_data = (uint32_t)(timer_now() / 1000);
	if (tx.n > 0 && forward_lac_write == queue_for_lac) {
		tx.sid[tx.n - 1] = s->sid;
		tx.octets[tx.n - 1] = (uint16_t)len;
	}
}

/*
 * The device's MTU is what l2tp_mtu leaves, so this is for peers with a
 * smaller MRU: RFC 1812 4.2.2.7, fragment, or say that it cannot be done.
 * The packet may lie in the very slot that its first fragment will take.
 */
static void
send_too_big(struct session *s, const struct tunnel *t, const uint8_t *ip,
    const struct ipv4 *h, uint16_t mtu)
{
	static uint8_t whole[PACKET_MAX];
	static uint8_t piece[FORWARD_HEADROOM + PACKET_MAX];
	uint8_t *out = piece + FORWARD_HEADROOM;
	size_t at = 0, n;

	if (h->dont_fragment || h->len > sizeof(whole)) {
		COUNT(drop_too_big);
		icmp_too_big(ip, h->len, mtu);
		return;
	}
	memcpy(whole, ip, h->len);
	while ((n = ipv4_fragment(whole, h, mtu, &at, out, PACKET_MAX)) > 0)
		send_to_subscriber(s, t, out, n);
}

/* What goes with MSS to spare needs no look at the peer's MRU. */
static bool
fits(const struct session *s, size_t len, uint16_t *mtu)
{
	if (s->mss != 0 && len <= s->mss + 40u)
		return true;
	*mtu = ppp_mtu(s);
	return len <= *mtu;
}

void
forward_from_tun(uint8_t *ip, size_t len)
{
	struct tunnel *t;
	struct session *s;
	struct ipv4 h;
	uint16_t mtu;

	COUNT(eth_rx_packets);
	COUNT_ADD(eth_rx_bytes, len);
	if (!ipv4_decode(ip, len, &h)) {
		COUNT(drop_no_route);
		return;
	}
	s = session_by_sid(lpm_find(lns.lpm, h.dst));
	t = s != NULL ? tunnel_by_tid(s->tid) : NULL;
	if (t == NULL) {
		COUNT(drop_no_route);
		icmp_unreachable(ip, h.len);
		return;
	}
	if ((s->flags & SF_OPEN) == 0) {
		COUNT(drop_not_open);
		return;
	}
	if (!within_limit(session_local(s))) {
		COUNT(drop_limited);
		return;
	}
	clamp(s, ip, &h);
	if (fits(s, h.len, &mtu))
		send_to_subscriber(s, t, ip, h.len);
	else
		send_too_big(s, t, ip, &h, mtu);
}

/* --- in ----------------------------------------------------------------- */

/* Which of our addresses the datagram was sent to. */
static uint32_t
local_address(struct msghdr *m)
{
	struct in_pktinfo info;
	struct cmsghdr *c;

	if (bound != 0)
		return bound;
	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return ntohl(info.ipi_spec_dst.s_addr);
	}
	return 0;
}

static void
received(unsigned int i)
{
	struct msghdr *m = &rx.msg[i].msg_hdr;
	struct peer peer;

	if ((m->msg_flags & MSG_TRUNC) != 0) {
		COUNT(tunnel_rx_errors);
		return;
	}
	if (m->msg_namelen < sizeof(rx.from[i]) ||
	    rx.from[i].sin_family != AF_INET)
		return;
	peer = (struct peer){ .addr = ntohl(rx.from[i].sin_addr.s_addr),
	    .port = ntohs(rx.from[i].sin_port), .local = local_address(m) };
	forward_from_lac(&peer, rx.buf[i], rx.msg[i].msg_len);
}

/* Makes slot i ready for the kernel, which changes these when it fills it. */
static void
prepare(unsigned int i)
{
	rx.iov[i] = (struct iovec){ rx.buf[i], PACKET_MAX };
	rx.msg[i].msg_hdr = (struct msghdr){ .msg_name = &rx.from[i],
	    .msg_namelen = sizeof(rx.from[i]), .msg_iov = &rx.iov[i],
	    .msg_iovlen = 1, .msg_control = bound == 0 ? &rx.ctl[i] : NULL,
	    .msg_controllen = bound == 0 ? sizeof(rx.ctl[i]) : 0 };
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

	n = recvmmsg(udp.fd, rx.msg, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0) {
		if (errno == EAGAIN)
			return false;
		log_limited(&limit, LOG_L_WARN, 0, 0,
		    "reading the L2TP socket: %s", strerror(errno));
		return true;
	}
	for (i = 0; i < (unsigned int)n; i++) {
		received(i);
		prepare(i);
	}
	flush_tun();			/* rx.buf is used again */
	return n == BATCH;
}

static void
udp_readable(struct loop_fd *f)
{
	int64_t reads = lns.config.multi_read_count;

	(void)f;
	while (reads-- > 0 && receive_batch())
		continue;
}

/*
 * False when there is nothing more to read for now.  A device that somebody
 * removed stays "readable" for ever: it is not asked again.
 */
static bool
read_packet(void)
{
	static struct log_limit limit;
	uint8_t *ip;
	ssize_t n;

	if (tx.n == BATCH)
		flush_lac();
	ip = tx.buf[tx.n] + FORWARD_HEADROOM;
	n = read(tun.fd, ip, PACKET_MAX - FORWARD_HEADROOM);
	if (n > 0) {
		forward_from_tun(ip, (size_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	COUNT(eth_rx_errors);
	if (n < 0 && errno == EBADFD) {
		log_crit("the TUN device is gone; no packet can pass until "
		    "the daemon is started again");
		loop_del(&tun);
		return false;
	}
	log_limited(&limit, LOG_L_ERROR, 0, 0, "reading the TUN device: %s",
	    n < 0 ? strerror(errno) : "end of file");
	return false;
}

static void
tun_readable(struct loop_fd *f)
{
	int64_t reads = lns.config.multi_read_count * BATCH;

	(void)f;
	while (reads-- > 0 && read_packet())
		continue;
}

/* --- start and stop ----------------------------------------------------- */

/* More than net.core.{r,w}mem_max allows, if we may; else as much as it is. */
static void
set_buffer(int fd, int force, int plain, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

/*
 * Path MTU discovery is off, so that a datagram that became larger than the
 * way to the LAC is fragmented instead of lost.
 */
static bool
set_options(int fd)
{
	int on = 1, dont = IP_PMTUDISC_DONT;
	int size = (int)lns.config.socket_buffer;

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, size);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, size);
	return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont,
	    sizeof(dont)) == 0 && (lns.config.bind_address != 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0);
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
	snprintf(err, errlen, "UDP socket, %u.%u.%u.%u port %d: %s",
	    addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255,
	    L2TP_PORT, strerror(error));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
forward_init(int tun_fd, char *err, size_t errlen)
{
	int fd = open_socket(err, errlen);
	unsigned int i;

	if (fd < 0)
		return false;
	udp = (struct loop_fd){ .fd = fd, .stage = LOOP_UDP,
	    .readable = udp_readable };
	tun = (struct loop_fd){ .fd = tun_fd, .stage = LOOP_TUN,
	    .readable = tun_readable };
	bound = lns.config.bind_address;
	tx.n = up.n = 0;
	for (i = 0; i < BATCH; i++)
		prepare(i);
	if (!loop_add(&udp) || (tun_fd >= 0 && !loop_add(&tun))) {
		snprintf(err, errlen, "watching the L2TP socket: %s",
		    strerror(errno));
		forward_exit();
		return false;
	}
	loop_at_turn_end(&hook);
	return true;
}

/* The TUN's descriptor is closed by tun_close(). */
void
forward_exit(void)
{
	forward_flush();
	loop_del(&udp);
	loop_del(&tun);
	if (udp.fd >= 0)
		close(udp.fd);
	udp.fd = tun.fd = -1;
}
