/*
 * gso.c - cutting super-packets into the segments that the LAC shall see
 *
 * What the kernel would have done on the way to a wire is done here: each
 * segment gets its own lengths, IPv4 id, header checksum, TCP sequence number
 * and checksum; FIN and PSH belong to the last segment only, CWR to the first
 * (RFC 3168 6.1.2).  The checksum field of a super-packet is partial, a sum of
 * the pseudo-header only, so it is never taken over but computed.
 *
 * Owns:     nothing.
 * Calls:    cksum.c.
 */
#include "gso.h"

#include <string.h>

#include "cksum.h"
#include "ipv4.h"

#define IPV6_HEADER	40
#define TCP_HEADER	20
#define UDP_HEADER	8

#define TCP_FIN		0x01
#define TCP_PSH		0x08
#define TCP_CWR		0x80

/* Places in the headers. */
#define IPV4_TOTAL_LENGTH	2
#define IPV4_ID			4
#define IPV4_ADDRESSES		12
#define IPV6_PAYLOAD_LENGTH	4
#define IPV6_NEXT_HEADER	6
#define IPV6_ADDRESSES		8
#define TCP_SEQ			4
#define TCP_DATA_OFFSET		12
#define TCP_FLAGS		13
#define TCP_CHECKSUM		16
#define UDP_LENGTH		4
#define UDP_CHECKSUM		6

static uint16_t
host16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

void
vnet_decode(const uint8_t p[VNET_HDR], struct vnet *v)
{
	v->flags = p[0];
	v->gso_type = p[1];
	v->hdr_len = host16(p + 2);
	v->gso_size = host16(p + 4);
	v->csum_start = host16(p + 6);
	v->csum_offset = host16(p + 8);
}

void
vnet_encode(uint8_t p[VNET_HDR], const struct vnet *v)
{
	p[0] = v->flags;
	p[1] = v->gso_type;
	memcpy(p + 2, &v->hdr_len, 2);
	memcpy(p + 4, &v->gso_size, 2);
	memcpy(p + 6, &v->csum_start, 2);
	memcpy(p + 8, &v->csum_offset, 2);
}

bool
gso_complete_checksum(uint8_t *ip, size_t len, const struct vnet *v)
{
	size_t at = (size_t)v->csum_start + v->csum_offset;
	uint16_t sum;

	if (v->csum_start >= len || at + 2 > len)
		return false;
	/* The field holds the pseudo-header's sum: it is simply added in. */
	sum = (uint16_t)~cksum_sum(ip + v->csum_start, len - v->csum_start);
	/* UDP: 0 would mean that there is none; all ones is the same number. */
	if (sum == 0 && v->csum_offset == UDP_CHECKSUM)
		sum = 0xffff;
	ipv4_put16(ip + at, sum);
	return true;
}

/* The length of the IP header, 0 if it is none that is cut here. */
static uint16_t
ip_header(const uint8_t *ip, size_t len, bool ipv6, uint8_t protocol)
{
	uint16_t hlen;

	if (ipv6)
		return len >= IPV6_HEADER && ip[0] >> 4 == 6 &&
		    ip[IPV6_NEXT_HEADER] == protocol ? IPV6_HEADER : 0;
	if (len < IPV4_HEADER || ip[0] >> 4 != 4 || ip[9] != protocol)
		return 0;
	hlen = (uint16_t)((ip[0] & 15) * 4);
	return hlen >= IPV4_HEADER && hlen <= len ? hlen : 0;
}

static uint16_t
l4_header(const struct gso *g)
{
	uint16_t n;

	if (!g->tcp)
		return UDP_HEADER;
	if (g->len < (size_t)g->l4 + TCP_HEADER)
		return 0;
	n = (uint16_t)((g->ip[g->l4 + TCP_DATA_OFFSET] >> 4) * 4);
	return n >= TCP_HEADER ? n : 0;
}

bool
gso_begin(struct gso *g, const uint8_t *ip, size_t len, const struct vnet *v)
{
	uint8_t type = v->gso_type & (uint8_t)~VNET_GSO_ECN;
	uint16_t l4;

	if (len == 0 || len > UINT16_MAX || v->gso_size == 0 ||
	    (type != VNET_GSO_TCPV4 && type != VNET_GSO_TCPV6 &&
	    type != VNET_GSO_UDP_L4))
		return false;
	*g = (struct gso){ .ip = ip, .len = len, .size = v->gso_size,
	    .tcp = type != VNET_GSO_UDP_L4,
	    .ipv6 = type == VNET_GSO_TCPV6 ||
	    (type == VNET_GSO_UDP_L4 && ip[0] >> 4 == 6) };
	g->l4 = ip_header(ip, len, g->ipv6, g->tcp ? IPV4_TCP : IPV4_UDP);
	l4 = g->l4 != 0 ? l4_header(g) : 0;
	g->hlen = (uint16_t)(g->l4 + l4);
	if (l4 == 0 || g->hlen >= len)
		return false;
	g->segments = (uint16_t)((len - g->hlen + g->size - 1) / g->size);
	return true;
}

static void
finish_ip(const struct gso *g, uint8_t *hdr, size_t payload)
{
	if (g->ipv6) {
		ipv4_put16(hdr + IPV6_PAYLOAD_LENGTH,
		    (uint16_t)(g->hlen - IPV6_HEADER + payload));
		return;
	}
	ipv4_put16(hdr + IPV4_TOTAL_LENGTH, (uint16_t)(g->hlen + payload));
	ipv4_put16(hdr + IPV4_ID,
	    (uint16_t)(ipv4_get16(g->ip + IPV4_ID) + g->next));
	ipv4_set_checksum(hdr, g->l4);
}

static void
finish_tcp(const struct gso *g, uint8_t *tcp)
{
	ipv4_put32(tcp + TCP_SEQ, ipv4_get32(g->ip + g->l4 + TCP_SEQ) +
	    (uint32_t)g->next * g->size);
	if (g->next != 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	if (g->next + 1 != g->segments)
		tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
}

/* Over pseudo-header, header and payload; the field is written, not read. */
static void
finish_checksum(const struct gso *g, uint8_t *hdr, const uint8_t *payload,
    size_t len)
{
	uint8_t *field = hdr + g->l4 + (g->tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	size_t l4len = (size_t)(g->hlen - g->l4) + len;
	uint16_t sum;

	ipv4_put16(field, 0);
	sum = g->ipv6 ?
	    cksum_pseudo(hdr + IPV6_ADDRESSES, 32, g->tcp ? IPV4_TCP :
	    IPV4_UDP, (uint32_t)l4len) :
	    cksum_pseudo(hdr + IPV4_ADDRESSES, 8, g->tcp ? IPV4_TCP :
	    IPV4_UDP, (uint32_t)l4len);
	sum = cksum_add(sum, cksum_sum(hdr + g->l4, g->hlen - g->l4));
	sum = (uint16_t)~cksum_add(sum, cksum_sum(payload, len));
	ipv4_put16(field, sum == 0 && !g->tcp ? 0xffff : sum);
}

bool
gso_next(struct gso *g, uint8_t *hdr, const uint8_t **payload, size_t *len)
{
	size_t at = g->hlen + (size_t)g->next * g->size;

	if (g->next == g->segments)
		return false;
	*payload = g->ip + at;
	*len = g->len - at < g->size ? g->len - at : g->size;
	memcpy(hdr, g->ip, g->hlen);
	finish_ip(g, hdr, *len);
	if (g->tcp)
		finish_tcp(g, hdr + g->l4);
	else
		ipv4_put16(hdr + g->l4 + UDP_LENGTH,
		    (uint16_t)(UDP_HEADER + *len));
	finish_checksum(g, hdr, *payload, *len);
	g->next++;
	return true;
}
