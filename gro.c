/*
 * gro.c - joining packets of one flow before they go to the TUN device
 *
 * Each packet finds the open group of its flow by a hash of addresses and
 * ports.  It joins if nobody could tell afterwards: same addresses, ports,
 * TOS, TTL, DF and options; IPv4 ids that count up; a sequence number that
 * continues; the size of all that came before, or less as the last one;
 * and a right checksum, as the kernel will compute a new one over the whole.
 * FIN and PSH may only be on the last segment and end the group; every other
 * flag but ACK keeps a segment by itself.  These are the rules of the kernel's
 * own receive offload.
 *
 * What does not join closes the group of its flow and begins another.  Groups
 * leave in the order in which they began, so within a flow nothing overtakes.
 *
 * Owns:     struct gro; the packets are the caller's.
 * Calls:    cksum.c.
 */
#include "gro.h"

#include <string.h>

#include "cksum.h"
#include "ipv4.h"

/*
 * Packets of a group.  TCP: what writev() takes besides the device's header
 * (IOV_MAX).  UDP: what the kernel itself joins, and programs that ask for
 * UDP_GRO reckon with.
 */
#define TCP_PACKETS	1023
#define UDP_PACKETS	64

#define IPV6_HEADER	40
#define TCP_HEADER	20
#define UDP_HEADER	8
#define IPV6_ICMP	58

#define TCP_FIN		0x01
#define TCP_PSH		0x08
#define TCP_ACK		0x10

#define TCP_SEQ		4
#define TCP_ACKNO	8
#define TCP_OFFSET	12
#define TCP_FLAGS	13
#define TCP_WINDOW	14
#define TCP_CHECKSUM	16
#define TCP_URGENT	18
#define UDP_LENGTH	4
#define UDP_CHECKSUM	6

/* What the rules look at, read once from a packet. */
struct flow {
	uint8_t *ip;
	uint32_t hash, hosts;		/* hosts: of the addresses alone */
	uint16_t len, l4, hlen, payload;
	uint16_t id;
	uint32_t seq;
	bool ipv6, tcp;
	bool joinable;			/* it may be part of a group */
	bool last;			/* nothing may come behind it */
	bool hidden;			/* its ports cannot be told */
};

void
gro_reset(struct gro *g)
{
	g->npackets = g->ngroups = 0;
	memset(g->bucket, 0, sizeof(g->bucket));
	memset(g->barrier, 0, sizeof(g->barrier));
}

/* --- reading ------------------------------------------------------------ */

static size_t
addrs_at(bool ipv6)
{
	return ipv6 ? 8 : 12;
}

static size_t
addrs_len(bool ipv6)
{
	return ipv6 ? 32 : 8;
}

static uint32_t
mix(uint32_t h, const uint8_t *p, size_t n)
{
	for (; n >= 4; p += 4, n -= 4)
		h = (h ^ ipv4_get32(p)) * UINT32_C(2654435769);
	return h ^ h >> 15;
}

/* The ports are there, in a packet that is no fragment. */
static void
read_tcp(struct flow *f)
{
	const uint8_t *tcp = f->ip + f->l4;
	uint16_t n;
	uint8_t flags;

	if (f->len < f->l4 + TCP_HEADER)
		return;
	n = (uint16_t)((tcp[TCP_OFFSET] >> 4) * 4);
	flags = tcp[TCP_FLAGS];
	f->hlen = (uint16_t)(f->l4 + n);
	if (n < TCP_HEADER || f->hlen >= f->len)
		return;
	f->payload = (uint16_t)(f->len - f->hlen);
	f->seq = ipv4_get32(tcp + TCP_SEQ);
	f->last = (flags & (TCP_FIN | TCP_PSH)) != 0;
	f->joinable = (flags & ~(TCP_FIN | TCP_PSH)) == TCP_ACK;
}

static void
read_udp(struct flow *f)
{
	const uint8_t *udp = f->ip + f->l4;

	f->hlen = (uint16_t)(f->l4 + UDP_HEADER);
	if (f->len <= f->hlen)
		return;
	f->payload = (uint16_t)(f->len - f->hlen);
	/* Without a checksum it can not be told whether it came whole. */
	f->joinable = ipv4_get16(udp + UDP_LENGTH) == f->len - f->l4 &&
	    ipv4_get16(udp + UDP_CHECKSUM) != 0;
}

/* An extension header (RFC 8200 4) keeps the ports out of sight. */
static bool
is_extension(uint8_t next_header)
{
	return next_header != IPV4_TCP && next_header != IPV4_UDP &&
	    next_header != IPV6_ICMP;
}

/* The transport protocol, 0 when there is none that we join. */
static uint8_t
read_ip(struct flow *f)
{
	uint8_t protocol;

	f->ipv6 = f->ip[0] >> 4 == 6;
	if (f->ipv6) {
		f->l4 = IPV6_HEADER;
		if (f->len < IPV6_HEADER)
			return 0;
		protocol = f->ip[6];
		f->hidden = is_extension(protocol);
	} else {
		f->l4 = IPV4_HEADER;
		if (f->len < IPV4_HEADER)
			return 0;
		protocol = f->ip[9];
		f->id = ipv4_get16(f->ip + 4);
		f->hidden = (ipv4_get16(f->ip + 6) & 0x3fff) != 0;
		/* Options: not worth the trouble, but they have an order. */
		if ((f->ip[0] & 15) * 4 != IPV4_HEADER)
			f->hidden = true;
	}
	if (protocol != IPV4_TCP && protocol != IPV4_UDP)
		return 0;
	if (f->len < f->l4 + UDP_HEADER)
		f->hidden = true;
	return f->hidden ? 0 : protocol;
}

static void
read_flow(struct flow *f, uint8_t *ip, size_t len, const struct gro *g)
{
	uint8_t protocol;

	*f = (struct flow){ .ip = ip, .len = (uint16_t)len };
	protocol = len >= IPV4_HEADER ? read_ip(f) : 0;
	if (protocol == 0 && !f->hidden)
		return;
	f->hosts = mix(0, ip + addrs_at(f->ipv6), addrs_len(f->ipv6));
	if (f->hidden)
		return;
	f->tcp = protocol == IPV4_TCP;
	f->hash = mix(f->hosts + protocol, ip + f->l4, 4);
	if (f->tcp && g->tcp)
		read_tcp(f);
	else if (!f->tcp && g->udp)
		read_udp(f);
}

/* --- the rules ---------------------------------------------------------- */

static bool
checksum_right(const uint8_t *ip, uint16_t len, uint16_t l4, bool ipv6,
    bool tcp)
{
	uint16_t sum = cksum_pseudo(ip + addrs_at(ipv6), addrs_len(ipv6),
	    tcp ? IPV4_TCP : IPV4_UDP, (uint32_t)(len - l4));

	return cksum_add(sum, cksum_sum(ip + l4, (size_t)(len - l4))) ==
	    0xffff;
}

static bool
same(const uint8_t *a, const uint8_t *b, size_t at, size_t n)
{
	return memcmp(a + at, b + at, n) == 0;
}

static bool
same_flow(const struct gro_group *g, const uint8_t *first,
    const struct flow *f)
{
	return g->hash == f->hash && g->ipv6 == f->ipv6 && g->tcp == f->tcp &&
	    same(first, f->ip, addrs_at(f->ipv6), addrs_len(f->ipv6)) &&
	    same(first, f->ip, f->l4, 4);
}

/* TOS, TTL, DF; for IPv6 traffic class, flow label, hop limit. */
static bool
same_ip(const struct gro_group *g, const uint8_t *first, const struct flow *f)
{
	if (f->ipv6)
		return same(first, f->ip, 0, 4) && first[7] == f->ip[7];
	return first[1] == f->ip[1] && same(first, f->ip, 6, 3) &&
	    f->id == g->next_id;
}

/* Acknowledgement, offset with reserved bits, window, urgent, options. */
static bool
same_tcp(const struct gro_group *g, const uint8_t *first, const struct flow *f)
{
	const uint8_t *a = first + g->l4, *b = f->ip + f->l4;

	return f->seq == g->next_seq && same(a, b, TCP_ACKNO, 5) &&
	    same(a, b, TCP_WINDOW, 2) && same(a, b, TCP_URGENT, 2) &&
	    same(a, b, TCP_HEADER, (size_t)(g->hlen - g->l4 - TCP_HEADER));
}

static bool
may_join(struct gro *gro, struct gro_group *g, const struct flow *f)
{
	const struct gro_packet *p = &gro->packet[g->first];

	if (!f->joinable || f->hlen != g->hlen || f->payload > g->size ||
	    g->count == (f->tcp ? TCP_PACKETS : UDP_PACKETS) ||
	    g->len + f->payload > UINT16_MAX || !same_ip(g, p->ip, f) ||
	    (f->tcp && !same_tcp(g, p->ip, f)))
		return false;
	if (!g->verified)
		g->verified = checksum_right(p->ip, p->len, g->l4, g->ipv6,
		    g->tcp);
	return g->verified &&
	    checksum_right(f->ip, f->len, f->l4, f->ipv6, f->tcp);
}

/* --- groups ------------------------------------------------------------- */

/*
 * A packet that hides its ports may belong to any flow between its two hosts:
 * what comes behind it does not join what began in front of it.
 */
static void
set_barrier(struct gro *g, const struct flow *f)
{
	g->barrier[f->hosts % GRO_BUCKETS] = (uint16_t)(g->ngroups + 1);
}

/* The newest group of a flow is the only one that may still be open. */
static struct gro_group *
find_group(struct gro *gro, const struct flow *f)
{
	uint16_t i = gro->bucket[f->hash % GRO_BUCKETS];
	uint16_t barrier = gro->barrier[f->hosts % GRO_BUCKETS];

	for (; i > barrier; i = gro->group[i - 1].same_bucket) {
		struct gro_group *g = &gro->group[i - 1];

		if (same_flow(g, gro->packet[g->first].ip, f))
			return g->open ? g : NULL;
	}
	return NULL;
}

static void
join(struct gro *gro, struct gro_group *g, const struct flow *f, uint16_t n)
{
	gro->packet[g->last].next = (uint16_t)(n + 1);
	g->last = n;
	g->count++;
	g->len += f->payload;
	g->next_seq += f->payload;
	g->next_id++;
	if (f->last || f->payload < g->size)
		g->open = false;
}

static void
begin(struct gro *gro, const struct flow *f, uint16_t n)
{
	uint16_t *bucket = &gro->bucket[f->hash % GRO_BUCKETS];
	struct gro_group *g = &gro->group[gro->ngroups++];

	*g = (struct gro_group){ .first = n, .last = n, .count = 1,
	    .hash = f->hash, .len = f->len, .next_seq = f->seq + f->payload,
	    .next_id = (uint16_t)(f->id + 1), .size = f->payload,
	    .l4 = f->l4, .hlen = f->hlen, .ipv6 = f->ipv6, .tcp = f->tcp,
	    .open = f->joinable && !f->last };
	if (g->open) {
		g->same_bucket = *bucket;
		*bucket = gro->ngroups;
	}
}

void
gro_add(struct gro *gro, uint8_t *ip, size_t len)
{
	uint16_t n = gro->npackets++;
	struct gro_group *g;
	struct flow f;

	read_flow(&f, ip, len, gro);
	gro->packet[n] = (struct gro_packet){ .ip = ip, .len = (uint16_t)len };
	if (f.hidden)
		set_barrier(gro, &f);
	g = f.hash != 0 ? find_group(gro, &f) : NULL;
	if (g != NULL && may_join(gro, g, &f)) {
		join(gro, g, &f, n);
		return;
	}
	if (g != NULL)
		g->open = false;
	begin(gro, &f, n);
}

/* --- out ---------------------------------------------------------------- */

/* The headers of the first become those of the whole, checksum partial. */
static void
patch_headers(const struct gro *gro, const struct gro_group *g)
{
	uint8_t *ip = gro->packet[g->first].ip, *l4 = ip + g->l4;
	const struct gro_packet *last = &gro->packet[g->last];
	uint32_t l4len = g->len - g->l4;
	uint16_t sum;

	if (g->ipv6) {
		ipv4_put16(ip + 4, (uint16_t)l4len);
	} else {
		ipv4_put16(ip + 2, (uint16_t)g->len);
		ipv4_set_checksum(ip, g->l4);
	}
	sum = cksum_pseudo(ip + addrs_at(g->ipv6), addrs_len(g->ipv6),
	    g->tcp ? IPV4_TCP : IPV4_UDP, l4len);
	if (g->tcp) {
		l4[TCP_FLAGS] |= last->ip[g->l4 + TCP_FLAGS];
		ipv4_put16(l4 + TCP_CHECKSUM, sum);
	} else {
		ipv4_put16(l4 + UDP_LENGTH, (uint16_t)l4len);
		ipv4_put16(l4 + UDP_CHECKSUM, sum);
	}
}

static void
describe(const struct gro_group *g, uint8_t vnet[VNET_HDR])
{
	struct vnet v = { .flags = VNET_F_NEEDS_CSUM, .hdr_len = g->hlen,
	    .gso_size = g->size, .csum_start = g->l4,
	    .csum_offset = g->tcp ? TCP_CHECKSUM : UDP_CHECKSUM };

	v.gso_type = !g->tcp ? VNET_GSO_UDP_L4 :
	    g->ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	vnet_encode(vnet, &v);
}

size_t
gro_iov(struct gro *gro, unsigned int i, uint8_t vnet[VNET_HDR],
    struct iovec *iov)
{
	const struct gro_group *g = &gro->group[i];
	const struct gro_packet *p = &gro->packet[g->first];
	size_t n = 0;

	memset(vnet, 0, VNET_HDR);
	if (g->count > 1) {
		patch_headers(gro, g);
		describe(g, vnet);
	}
	iov[n++] = (struct iovec){ vnet, VNET_HDR };
	iov[n++] = (struct iovec){ p->ip, p->len };
	while (p->next != 0) {
		p = &gro->packet[p->next - 1];
		iov[n++] = (struct iovec){ p->ip + g->hlen,
		    (size_t)(p->len - g->hlen) };
	}
	return n;
}
