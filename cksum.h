/*
 * cksum.h - the Internet checksum (RFC 1071), fast over long packets
 *
 * A sum here is the one's complement sum of 16-bit words in network byte
 * order, as a host integer below 65536; sums of adjacent parts are added with
 * cksum_add() as long as each part but the last has an even length.
 */
#ifndef CKSUM_H
#define CKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum of n octets; an odd last octet is padded with zero. */
uint16_t cksum_sum(const void *p, size_t n);

static inline uint16_t
cksum_add(uint32_t a, uint32_t b)
{
	uint32_t s = a + b;

	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

/*
 * The sum of the pseudo-header: addrs are the source and destination address
 * as they lie in the packet, 8 octets for IPv4 and 32 for IPv6 (RFC 9293 3.1,
 * RFC 8200 8.1).  len is that of the TCP or UDP header and payload.
 */
static inline uint16_t
cksum_pseudo(const uint8_t *addrs, size_t n, uint8_t protocol, uint32_t len)
{
	return cksum_add(cksum_sum(addrs, n),
	    (uint32_t)protocol + (len >> 16) + (len & 0xffff));
}

#endif
