/*
 * ipv4.c - IPv4 packets: header checks, checksums, MSS clamping, fragments
 *
 * What a router has to know of the packets it passes on, bytes in and bytes
 * out.  Every length in here comes from the packet, so nothing is read before
 * it was compared with what is there: headers shorter than 20 octets, total
 * lengths beyond the datagram and TCP options of length 0 are all daily fare.
 *
 * Owns:     nothing.
 * Calls:    nothing.
 */
#include "ipv4.h"

#include <string.h>

#define TCP_HEADER	20		/* RFC 9293 3.1 */
#define TCP_SYN		0x02
#define TCPOPT_END	0
#define TCPOPT_NOP	1
#define TCPOPT_MSS	2

#define OFFSET_MF	0x2000		/* RFC 791 3.1, Flags */
#define OFFSET_DF	0x4000
#define OFFSET_MASK	0x1fff		/* in units of eight octets */

#define IPOPT_END	0
#define IPOPT_NOP	1
#define IPOPT_COPIED	0x80		/* goes into every fragment */

/* Sum of 16-bit words, the last octet padded; n is at most 65,535. */
static uint32_t
sum16(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (; n >= 2; p += 2, n -= 2)
		sum += ipv4_get16(p);
	if (n > 0)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t
fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

uint16_t
ipv4_checksum(const uint8_t *p, size_t n)
{
	return (uint16_t)~fold(sum16(p, n));
}

void
ipv4_set_checksum(uint8_t *ip, size_t hlen)
{
	ipv4_put16(ip + 10, 0);
	ipv4_put16(ip + 10, ipv4_checksum(ip, hlen));
}

/* RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m'). */
uint16_t
ipv4_checksum_update(uint16_t sum, uint16_t from, uint16_t to)
{
	return (uint16_t)~fold((uint32_t)(uint16_t)~sum + (uint16_t)~from + to);
}

bool
ipv4_decode(const uint8_t *p, size_t n, struct ipv4 *h)
{
	uint16_t frag;

	if (n < IPV4_HEADER || p[0] >> 4 != 4)
		return false;
	h->hlen = (uint8_t)((p[0] & 15) * 4);
	h->len = ipv4_get16(p + 2);
	if (h->hlen < IPV4_HEADER || h->len < h->hlen || h->len > n)
		return false;
	if (fold(sum16(p, h->hlen)) != 0xffff)
		return false;
	h->id = ipv4_get16(p + 4);
	frag = ipv4_get16(p + 6);
	h->dont_fragment = (frag & OFFSET_DF) != 0;
	h->more_fragments = (frag & OFFSET_MF) != 0;
	h->offset = (uint16_t)((frag & OFFSET_MASK) * 8);
	if (h->offset + (h->len - h->hlen) > UINT16_MAX)
		return false;
	h->protocol = p[9];
	h->src = ipv4_get32(p + 12);
	h->dst = ipv4_get32(p + 16);
	return true;
}

bool
ipv4_ports(const uint8_t *ip, const struct ipv4 *h, uint16_t *src,
    uint16_t *dst)
{
	if (h->protocol != IPV4_TCP && h->protocol != IPV4_UDP)
		return false;
	if (h->offset != 0 || h->len - h->hlen < 4)
		return false;
	*src = ipv4_get16(ip + h->hlen);
	*dst = ipv4_get16(ip + h->hlen + 2);
	return true;
}

static uint16_t
swap16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

/* Where the value of the MSS option lies in n octets of options, or 0. */
static size_t
find_mss(const uint8_t *opt, size_t n)
{
	size_t i = 0;

	while (i < n && opt[i] != TCPOPT_END) {
		if (opt[i] == TCPOPT_NOP) {
			i++;
			continue;
		}
		if (n - i < 2 || opt[i + 1] < 2 || opt[i + 1] > n - i)
			break;
		if (opt[i] == TCPOPT_MSS)
			return opt[i + 1] == 4 ? i + 2 : 0;
		i += opt[i + 1];
	}
	return 0;
}

bool
ipv4_clamp_mss(uint8_t *ip, const struct ipv4 *h, uint16_t mss)
{
	uint8_t *tcp = ip + h->hlen;
	size_t n = (size_t)(h->len - h->hlen), hlen, at;
	uint16_t old, sum;

	if (h->protocol != IPV4_TCP || ipv4_is_fragment(h) || n < TCP_HEADER ||
	    (tcp[13] & TCP_SYN) == 0)
		return false;
	hlen = (size_t)(tcp[12] >> 4) * 4;
	if (hlen <= TCP_HEADER || hlen > n)
		return false;
	at = find_mss(tcp + TCP_HEADER, hlen - TCP_HEADER);
	if (at == 0)
		return false;
	at += TCP_HEADER;
	old = ipv4_get16(tcp + at);
	if (old <= mss)
		return false;
	ipv4_put16(tcp + at, mss);
	/* At an odd place the two octets belong to the other halves. */
	sum = ipv4_get16(tcp + 16);
	sum = at % 2 == 0 ? ipv4_checksum_update(sum, old, mss) :
	    ipv4_checksum_update(sum, swap16(old), swap16(mss));
	ipv4_put16(tcp + 16, sum);
	return true;
}

/* RFC 791 3.1: options without the copied flag are in the first one only. */
static void
blank_options(uint8_t *opt, size_t n)
{
	size_t i = 0, len;

	while (i < n && opt[i] != IPOPT_END) {
		len = 1;
		if (opt[i] != IPOPT_NOP) {
			if (n - i < 2 || opt[i + 1] < 2 || opt[i + 1] > n - i)
				break;
			len = opt[i + 1];
			if ((opt[i] & IPOPT_COPIED) == 0)
				memset(opt + i, IPOPT_NOP, len);
		}
		i += len;
	}
}

size_t
ipv4_fragment(const uint8_t *ip, const struct ipv4 *h, size_t mtu,
    size_t *at, uint8_t *out, size_t size)
{
	size_t total = (size_t)(h->len - h->hlen), take;
	uint16_t frag;
	bool last;

	if (*at >= total || mtu < h->hlen + 8u)
		return 0;
	take = total - *at;
	last = h->hlen + take <= mtu;
	if (!last)
		take = (mtu - h->hlen) / 8 * 8;
	if (h->hlen + take > size)
		return 0;
	memcpy(out, ip, h->hlen);
	memcpy(out + h->hlen, ip + h->hlen + *at, take);
	if (*at > 0)
		blank_options(out + IPV4_HEADER, h->hlen - IPV4_HEADER);
	ipv4_put16(out + 2, (uint16_t)(h->hlen + take));
	frag = (uint16_t)((h->offset + *at) / 8);
	if (!last || h->more_fragments)
		frag |= OFFSET_MF;
	ipv4_put16(out + 6, frag);
	ipv4_set_checksum(out, h->hlen);
	*at += take;
	return h->hlen + take;
}
