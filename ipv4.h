/*
 * ipv4.h - IPv4 packets: header checks, checksums, MSS clamping, fragments
 *
 * Codec: no side effects, no logging.  The data path reads each header once,
 * with ipv4_decode(), and asks the struct from then on.
 */
#ifndef IPV4_H
#define IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPV4_HEADER	20	/* octets without options, RFC 791 3.1 */

enum ipv4_protocol {
	IPV4_ICMP = 1,
	IPV4_TCP = 6,
	IPV4_UDP = 17
};

/* What the daemon asks of a header (RFC 791 3.1); integers in host order. */
struct ipv4 {
	uint32_t src, dst;
	uint16_t len;			/* Total Length, header included */
	uint16_t id;
	uint16_t offset;		/* of this fragment, in octets */
	uint8_t hlen;			/* header with options, in octets */
	uint8_t protocol;
	bool dont_fragment, more_fragments;
};

static inline uint16_t
ipv4_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
ipv4_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static inline void
ipv4_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
ipv4_put32(uint8_t *p, uint32_t v)
{
	ipv4_put16(p, (uint16_t)(v >> 16));
	ipv4_put16(p + 2, (uint16_t)v);
}

/* Fragments but the first: no ports, no flags, nothing of the next header. */
static inline bool
ipv4_is_fragment(const struct ipv4 *h)
{
	return h->offset != 0 || h->more_fragments;
}

/*
 * The checks of RFC 1812 5.2.2: room for a header, version 4, a header length
 * of at least 20, a total length that holds the header and is held by the n
 * octets, a correct checksum; and no fragment may lie beyond 65,535 octets.
 * Octets after the total length are padding.
 */
bool ipv4_decode(const uint8_t *p, size_t n, struct ipv4 *);

/* The Internet checksum (RFC 1071) of n octets, as it is put on the wire. */
uint16_t ipv4_checksum(const uint8_t *p, size_t n);

/* Writes the header checksum anew. */
void ipv4_set_checksum(uint8_t *ip, size_t hlen);

/* The checksum after a 16-bit word at an even place changed (RFC 1624). */
uint16_t ipv4_checksum_update(uint16_t sum, uint16_t from, uint16_t to);

/*
 * Lowers the MSS option of a TCP SYN to mss (RFC 9293 3.7.1) and mends the
 * TCP checksum.  Leaves everything else alone: fragments, other segments, a
 * smaller or absent option, options that make no sense.  True if it changed
 * something.  h was decoded from ip.
 */
bool ipv4_clamp_mss(uint8_t *ip, const struct ipv4 *h, uint16_t mss);

/*
 * TCP and UDP ports of a packet or first fragment; false when there are none
 * or they are cut off.
 */
bool ipv4_ports(const uint8_t *ip, const struct ipv4 *h, uint16_t *src,
    uint16_t *dst);

/*
 * Writes into out the next fragment, of at most mtu octets, of the packet ip
 * (itself perhaps a fragment) as RFC 791 3.2 says; *at is how much of the
 * payload is done, 0 at first.  The fragment's length, 0 when all is done or
 * it cannot be done in this mtu or size.
 */
size_t ipv4_fragment(const uint8_t *ip, const struct ipv4 *h, size_t mtu,
    size_t *at, uint8_t *out, size_t size);

#endif
