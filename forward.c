/*
 * forward.c - the data path: UDP <-> TUN, packet by packet
 *
 * Upstream, each datagram goes down a ladder of checks in the order of the
 * headers: L2TP (RFC 2661 3.1), the tunnel and its pinned peer, the session,
 * its sequence numbers, PPP (RFC 1661 2, 6.5, 6.6), IPv4 (RFC 1812 5.2.2).
 * Whatever is wrong is dropped on its rung and counted there.  What is left is
 * queued for the TUN, without a copy, where packets of one flow are joined.
 *
 * Downstream, a packet is looked up once and its headers are written in front
 * of it where it lies; that makes it a datagram.  A super-packet of the kernel
 * is looked up once and cut: every segment gets its headers, the payload stays
 * where it is.  Control messages are copied into the same queue, so that
 * everything leaves in the order in which it was made.
 *
 * A session's octets are counted when its packet is queued, so that an
 * accounting record written in the same turn is complete, and taken back if
 * the system then refuses the packet.
 *
 * A session that is throttled or intercepted takes the same ladders, but its
 * super-packets are cut first and each packet is shown to throttle.c, which
 * may keep a copy and bring it back later, and to snoop.c.  So does everybody
 * while a plugin wants to see packets: forward_hook.c shows them, once and
 * before the throttle, as what the throttle brings back does not come by here.
 *
 * On a slave of a cluster the ladders are the same, and end early: control, PPP
 * that is not IP, and all packets of sessions that are not simply open go to
 * the master, who climbs them again.  Nothing has been changed in a packet by
 * then.  Each of these is a rung where others leave the ladder too, so that
 * who has no slaves pays nothing.
 *
 * Owns:     the ladders.  forward_lac.c has the socket and its queue,
 *           forward_tun.c the device and its queue.
 * Calls:    tunnel_input() and ppp_input() for what is not user traffic,
 *           forward_hook(), throttle.h, snoop.h, icmp.h, tun.h, the tables.
 * Lifetime: forward_init() to forward_exit().
 */
#include "forward.h"

#include <string.h>

#include "control_proto.h"
#include "forward_io.h"
#include "icmp.h"
#include "ipv4.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "session.h"
#include "snoop.h"
#include "table.h"
#include "throttle.h"
#include "tun.h"
#include "tunnel.h"

#define PPP_ALLSTATIONS	0xff		/* RFC 1662 3.1 */
#define PPP_UI		0x03
#define PPP_IPV4	0x0021		/* RFC 1332 3 */

#define PLAIN_HEADER	6		/* flags, tunnel id, session id */
#define SEQUENCE_LATE	1024		/* packets */

static struct loop_hook hook = { .run = forward_flush };

static bool queue_for_lac(const struct peer *, const void *, size_t);
static void queue_for_tun(const uint8_t *, size_t);

void (*forward_lac_away)(const struct peer *, const uint8_t *, size_t);
bool (*forward_tun_away)(const struct session *, const uint8_t *, size_t);
void (*forward_before_control)(void);

void (*forward_tun_write)(const uint8_t *, size_t) = queue_for_tun;
bool (*forward_lac_write)(const struct peer *, const void *, size_t) =
    queue_for_lac;

/* Where the datagram that is being worked on begins, and what it is. */
static const uint8_t *datagram;
static const struct peer *datagram_peer;
static size_t datagram_len;

/* Whose traffic the packet that is being queued is, and its octets. */
static struct {
	uint32_t sid;
	size_t octets;
} whose;

/* --- out ---------------------------------------------------------------- */

void
forward_discard(void)
{
	lac_discard();
}

void
forward_flush(void)
{
	lac_settle();
	tundev_flush();
	lac_flush();
	throttle_flushed();
}

/* It lies in a receive buffer, which is ours until the next flush. */
static void
queue_for_tun(const uint8_t *ip, size_t len)
{
	tundev_put((uint8_t *)(uintptr_t)ip, len, (size_t)(ip - datagram),
	    whose.sid);
}

/* A packet from the TUN is already where it may stay; others are copied. */
static bool
queue_for_lac(const struct peer *peer, const void *buf, size_t len)
{
	if (!lac_owns(buf))
		return lac_put_copy(peer, buf, len, whose.sid, whose.octets);
	lac_put(peer, (void *)(uintptr_t)buf, len, NULL, 0, whose.sid,
	    whose.octets);
	return true;
}

bool
forward_send(const struct peer *peer, const void *buf, size_t len)
{
	whose.sid = 0;
	if (forward_lac_write(peer, buf, len))
		return true;
	COUNT(tunnel_tx_errors);
	return false;
}

/* --- to the master ------------------------------------------------------ */

static bool
is_slave(void)
{
	return !lns.master && forward_lac_away != NULL;
}

/* The datagram that is being worked on; false if nobody but us is to do it. */
static bool
hand_up(void)
{
	if (!is_slave())
		return false;
	forward_lac_away(datagram_peer, datagram, datagram_len);
	return true;
}

static bool
hand_up_tun(const struct session *s, const uint8_t *ip, size_t len)
{
	return is_slave() && forward_tun_away(s, ip, len);
}

/* --- what both ways share ----------------------------------------------- */

/* The DoS cap: so many packets of a session in each 0.1 s, both ways. */
static bool
within_limit(const struct session *s)
{
	struct session_local *l = session_local(s);
	uint32_t window;

	if (lns.config.packet_limit == 0)
		return true;
	window = (uint32_t)(timer_now() / 100);
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

/* One test for all that keeps a packet from going straight on. */
static inline bool
goes_slowly(const struct session *s, enum plugin_event event)
{
	return ((s->flags & SF_SLOW) |
	    (plugin_hooks & UINT32_C(1) << event)) != 0;
}

/*
 * Plugins, which may shorten or drop it, then the throttle, which may keep it.
 * The length with which it goes on now, or 0.
 */
static size_t
let_pass(struct session *s, bool out, uint8_t *ip, size_t len)
{
	if (plugin_wanted(out ? PE_packet_tx : PE_packet_rx))
		len = forward_hook(s, out, ip, len);
	if (len != 0 && (s->flags & SF_THROTTLE) != 0 &&
	    !throttle_pass(s, out, ip, len))
		len = 0;
	return len;
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
	{ IPV4_TCP, 23 },		/* CLI, if cli_port is not another */
	{ IPV4_TCP, 179 },		/* BGP */
	{ IPV4_UDP, L2TP_PORT },
	{ IPV4_UDP, CONTROL_PORT },	/* nsctl, if nsctl_port is not another */
	{ IPV4_UDP, 32792 },		/* cluster, if cluster_port is not another */
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
	if (h->protocol == IPV4_UDP ? dst == lns.config.nsctl_port ||
	    dst == lns.config.cluster_port : dst == lns.config.cli_port)
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

static void
pass_from_subscriber(struct session *s, uint8_t *ip, size_t len)
{
	s->rx_octets += len;
	s->rx_packets++;
	s->last_data = (uint32_t)(timer_now() / 1000);
	whose.sid = s->sid;
	forward_tun_write(ip, len);
}

/* One IPv4 packet of a subscriber, PPP taken off. */
static void
ip_from_subscriber(struct session *s, uint8_t *ip, size_t n)
{
	struct ipv4 h;
	size_t len;

	if ((s->flags & SF_OPEN) == 0) {
		if (!hand_up())
			COUNT(drop_not_open);
		return;
	}
	if (!ipv4_decode(ip, n, &h)) {
		COUNT(drop_malformed);
		return;
	}
	if (!is_own_source(s, h.src)) {
		drop_spoofed(s, h.src);
		return;
	}
	if ((s->flags & SF_SNOOP) != 0)
		snoop_packet(s, ip, h.len);
	if (is_martian(h.dst)) {
		COUNT(drop_martian);
		return;
	}
	if (is_own_port(ip, &h)) {
		COUNT(drop_own_port);
		return;
	}
	if (!within_limit(s)) {
		COUNT(drop_limited);
		return;
	}
	clamp(s, ip, &h);
	len = h.len;
	if (goes_slowly(s, PE_packet_rx))
		len = let_pass(s, false, ip, len);
	if (len != 0)
		pass_from_subscriber(s, ip, len);
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
	else if (!hand_up())
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
 * not delivered; a gap is.  Nothing on a network is late by SEQUENCE_LATE
 * packets: then the LAC has begun anew, or never began at zero, and would
 * else not be heard for half the numbers there are.  Where it did not promise
 * numbers they may still come, and are of no meaning.
 */
static bool
in_sequence(struct session *s, const struct data *d)
{
	if (!d->sequenced || (s->flags & SF_RECV_SEQ) == 0)
		return true;
	if ((uint16_t)(s->data_Nr - d->Ns - 1) < SEQUENCE_LATE)
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

/* Is it still what these ids stand for? */
static bool
is_session(const struct session *s, const struct tunnel *t, uint16_t id)
{
	return s != NULL && s->tid == t->tid && s->local_id == id && !s->dying;
}

static void
data_from_lac(const struct peer *peer, const struct data *d,
    struct session *s)
{
	struct tunnel *t = tunnel_by_local_id(d->tunnel_id);

	if (t == NULL) {
		if (!hand_up())
			COUNT(unknown_tunnel);
		return;
	}
	if (t->peer.addr != peer->addr || t->peer.port != peer->port) {
		drop_wrong_peer(t, peer);
		return;
	}
	t->last_data = (uint32_t)(timer_now() / 1000);
	if (!is_session(s, t, d->session_id))
		s = tunnel_session(t, d->session_id);
	if (s == NULL || s->state != S_ESTABLISHED) {
		if (!hand_up())
			COUNT(unknown_session);
		return;
	}
	if ((s->flags & SF_AWAY) != 0 && hand_up())
		return;
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
forward_found_from_lac(const struct peer *peer, uint8_t *buf, size_t len,
    struct session *s)
{
	struct l2tp_header h;
	struct data d;

	datagram = buf;
	datagram_peer = peer;
	datagram_len = len;
	COUNT(tunnel_rx_packets);
	COUNT_ADD(tunnel_rx_bytes, len);
	log_hex(0, 0, "from LAC", buf, len);
	if (plain_header(buf, len, &d)) {
		data_from_lac(peer, &d, s);
		return;
	}
	if (l2tp_header_decode(buf, len, &h) != L2TP_OK) {
		COUNT(tunnel_rx_errors);
		return;
	}
	if (h.control) {
		if (!hand_up())
			tunnel_input(peer, &h, buf, len);
		return;
	}
	d = (struct data){ .tunnel_id = h.tunnel_id,
	    .session_id = h.session_id, .Ns = h.Ns, .sequenced = h.sequenced,
	    .ppp = buf + (h.body.p - buf), .len = rd_left(&h.body) };
	data_from_lac(peer, &d, NULL);
}

void
forward_from_lac(const struct peer *peer, uint8_t *buf, size_t len)
{
	forward_found_from_lac(peer, buf, len, NULL);
}

void
forward_ahead_lac(uint8_t *buf, size_t len)
{
	const struct tunnel *t;
	struct data d;

	if (!plain_header(buf, len, &d))
		return;
	t = tunnel_by_local_id(d.tunnel_id);
	if (t != NULL)
		idmap_prefetch(&tunnel_local(t)->ids, d.session_id);
}

struct session *
forward_find_lac(uint8_t *buf, size_t len)
{
	const struct tunnel *t;
	struct session *s;
	struct data d;

	if (!plain_header(buf, len, &d))
		return NULL;
	t = tunnel_by_local_id(d.tunnel_id);
	s = t != NULL ? tunnel_session(t, d.session_id) : NULL;
	if (s != NULL)
		__builtin_prefetch(s, 1);
	return s;
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
count_sent(struct session *s, size_t packets, size_t octets)
{
	s->tx_octets += octets;
	s->tx_packets += packets;
	s->last_data = (uint32_t)(timer_now() / 1000);
}

static void
pass_to_subscriber(struct session *s, const struct tunnel *t, uint8_t *ip,
    size_t len)
{
	uint8_t *p = wrap(s, t, ip);

	whose.sid = s->sid;
	whose.octets = len;
	if (!forward_lac_write(&t->peer, p, (size_t)(ip - p) + len)) {
		COUNT(tunnel_tx_errors);
		return;
	}
	count_sent(s, 1, len);
	if ((s->flags & SF_SNOOP) != 0)
		snoop_packet(s, ip, len);
}

static void
send_to_subscriber(struct session *s, const struct tunnel *t, uint8_t *ip,
    size_t len)
{
	if (goes_slowly(s, PE_packet_tx))
		len = let_pass(s, true, ip, len);
	if (len != 0)
		pass_to_subscriber(s, t, ip, len);
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
forward_found_from_tun(uint8_t *ip, size_t len, uint32_t sid)
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
	s = session_by_sid(sid);
	t = s != NULL ? tunnel_by_tid(s->tid) : NULL;
	if (t == NULL) {
		if (hand_up_tun(NULL, ip, h.len))
			return;
		COUNT(drop_no_route);
		icmp_unreachable(ip, h.len);
		return;
	}
	if ((s->flags & SF_OPEN) == 0) {
		if (!hand_up_tun(s, ip, h.len))
			COUNT(drop_not_open);
		return;
	}
	if ((s->flags & SF_AWAY) != 0 && hand_up_tun(s, ip, h.len))
		return;
	if (!within_limit(s)) {
		COUNT(drop_limited);
		return;
	}
	clamp(s, ip, &h);
	if (fits(s, h.len, &mtu))
		send_to_subscriber(s, t, ip, h.len);
	else
		send_too_big(s, t, ip, &h, mtu);
}

void
forward_from_tun(uint8_t *ip, size_t len)
{
	forward_found_from_tun(ip, len, forward_find_tun(ip, len));
}

void
forward_ahead_tun(const uint8_t *ip, size_t len)
{
	if (len >= IPV4_HEADER)
		lpm_prefetch(lns.lpm, ipv4_get32(ip + 16));
}

/* Of what is no IPv4 something is found too; it will not be used. */
uint32_t
forward_find_tun(const uint8_t *ip, size_t len)
{
	const struct session *s;
	uint32_t sid;

	if (len < IPV4_HEADER)
		return 0;
	sid = lpm_find(lns.lpm, ipv4_get32(ip + 16));
	s = session_by_sid(sid);
	if (s != NULL)
		__builtin_prefetch(s, 1);
	return sid;
}

/* --- super-packets ------------------------------------------------------ */

/*
 * The usual case: every segment has its headers written behind what was read,
 * and its payload stays where it is.
 */
static void
cut_in_place(struct session *s, const struct tunnel *t, struct gso *g)
{
	size_t len;
	uint8_t *hdr, *p;
	const uint8_t *payload;

	for (;;) {
		hdr = lac_room(FORWARD_HEADROOM + GSO_HEADERS) +
		    FORWARD_HEADROOM;
		if (!gso_next(g, hdr, &payload, &len))
			break;
		lac_keep(FORWARD_HEADROOM + (size_t)g->hlen);
		p = wrap(s, t, hdr);
		lac_put(&t->peer, p, (size_t)(hdr - p) + g->hlen,
		    (void *)(uintptr_t)payload, len, s->sid, g->hlen + len);
		count_sent(s, 1, g->hlen + len);
	}
}

/* Any other: each segment goes the way of a packet that came alone. */
static void
cut_apart(struct gso *g, uint32_t sid)
{
	static uint8_t whole[FORWARD_HEADROOM + UINT16_MAX];
	uint8_t *ip = whole + FORWARD_HEADROOM;
	const uint8_t *payload;
	size_t len;

	while (gso_next(g, ip, &payload, &len)) {
		memcpy(ip + g->hlen, payload, len);
		forward_found_from_tun(ip, g->hlen + len, sid);
	}
}

void
forward_super_from_tun(uint8_t *ip, size_t len, const struct vnet *v,
    uint32_t sid)
{
	struct tunnel *t;
	struct session *s;
	struct ipv4 h;
	struct gso g;
	uint16_t mtu;

	if (!gso_begin(&g, ip, len, v)) {
		COUNT(eth_rx_errors);
		return;
	}
	s = !g.ipv6 && ipv4_decode(ip, len, &h) ? session_by_sid(sid) : NULL;
	t = s != NULL ? tunnel_by_tid(s->tid) : NULL;
	if (t == NULL || (s->flags & (SF_OPEN | SF_SLOW)) != SF_OPEN ||
	    ((s->flags & SF_AWAY) != 0 && is_slave()) ||
	    plugin_wanted(PE_packet_tx) || lns.config.packet_limit != 0 ||
	    forward_lac_write != queue_for_lac ||
	    !fits(s, (size_t)g.hlen + g.size, &mtu)) {
		cut_apart(&g, sid);
		return;
	}
	COUNT_ADD(eth_rx_packets, g.segments);
	COUNT_ADD(eth_rx_bytes, len + (g.segments - 1u) * g.hlen);
	cut_in_place(s, t, &g);
}

/* --- what was throttled --------------------------------------------------- */

/* It may come in the middle of another packet's way down the ladder. */
void
forward_release(struct session *s, bool out, uint8_t *ip, size_t len)
{
	const uint8_t *before = datagram;
	struct tunnel *t = tunnel_by_tid(s->tid);

	if (t == NULL || (s->flags & SF_OPEN) == 0) {
		COUNT(drop_not_open);
	} else if (out) {
		pass_to_subscriber(s, t, ip, len);
	} else {
		datagram = ip - FORWARD_HEADROOM;
		pass_from_subscriber(s, ip, len);
		datagram = before;
	}
}

/* --- from a slave --------------------------------------------------------- */

/*
 * Queued for the TUN without a copy, so it must stay where it is until that is
 * flushed.
 */
bool
forward_handed_lac(const struct peer *peer, const uint8_t *buf, size_t len)
{
	static uint8_t room[64 * 1024];
	static size_t used;
	uint8_t *p;

	if (len > PACKET_MAX)
		return false;
	if (sizeof(room) - used < len) {
		tundev_flush();
		used = 0;
	}
	p = memcpy(room + used, buf, len);
	used += len;
	forward_from_lac(peer, p, len);
	return true;
}

bool
forward_handed_tun(const uint8_t *ip, size_t len)
{
	uint8_t *p;

	if (len > LAC_ROOM - FORWARD_HEADROOM)
		return false;
	p = lac_room(FORWARD_HEADROOM + len) + FORWARD_HEADROOM;
	memcpy(p, ip, len);
	lac_keep(FORWARD_HEADROOM + len);
	forward_from_tun(p, len);
	return true;
}

/* --- start and stop ----------------------------------------------------- */

bool
forward_init(int tun_fd, char *err, size_t errlen)
{
	if (!lac_open(err, errlen))
		return false;
	if (!tundev_open(tun_fd, err, errlen)) {
		lac_close();
		return false;
	}
	loop_at_turn_end(&hook);
	return true;
}

void
forward_exit(void)
{
	forward_flush();
	tundev_close();
	lac_close();
}
