/*
 * offload_model.h - packets to join and to cut, and a slow model of cutting
 *
 * Everything here is written octet by octet from RFC 791, 768, 9293 and 8200,
 * and shares no code with gro.c, gso.c or cksum.c.
 */
#ifndef OFFLOAD_MODEL_H
#define OFFLOAD_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct model_packet {
	uint8_t b[65536];
	size_t len;
};

static inline uint32_t
model_get(const uint8_t *p, int n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static inline void
model_put(uint8_t *p, uint32_t v, int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* RFC 1071, two octets at a time, into whatever sum there was. */
static inline uint32_t
model_sum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline size_t
model_l4(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? 40 : (size_t)(ip[0] & 15) * 4;
}

static inline uint8_t
model_protocol(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? ip[6] : ip[9];
}

/* The checksum that a TCP or UDP packet ought to have. */
static inline uint16_t
model_l4_checksum(const uint8_t *ip, size_t len)
{
	size_t l4 = model_l4(ip), field = model_protocol(ip) == 6 ? 16 : 6;
	uint32_t sum = model_protocol(ip) + (uint32_t)(len - l4);
	static uint8_t copy[65536];

	sum = ip[0] >> 4 == 6 ? model_sum(sum, ip + 8, 32) :
	    model_sum(sum, ip + 12, 8);
	memcpy(copy, ip + l4, len - l4);
	copy[field] = copy[field + 1] = 0;
	sum = ~model_sum(sum, copy, len - l4) & 0xffff;
	return (uint16_t)(sum == 0 && field == 6 ? 0xffff : sum);
}

/* Lengths and both checksums of a packet put right. */
static inline void
model_finish(struct model_packet *p)
{
	uint8_t *ip = p->b;
	size_t l4 = model_l4(ip);

	if (ip[0] >> 4 == 6) {
		model_put(ip + 4, (uint32_t)(p->len - 40), 2);
	} else {
		model_put(ip + 2, (uint32_t)p->len, 2);
		model_put(ip + 10, 0, 2);
		model_put(ip + 10, ~model_sum(0, ip, l4) & 0xffff, 2);
	}
	if (model_protocol(ip) == 17)
		model_put(ip + l4 + 4, (uint32_t)(p->len - l4), 2);
	model_put(ip + l4 + (model_protocol(ip) == 6 ? 16 : 6),
	    model_l4_checksum(ip, p->len), 2);
}

/*
 * Segment number n of a super-packet cut at `size` octets of payload; false
 * past the last.
 */
static inline bool
model_cut(const uint8_t *ip, size_t len, size_t size, size_t n,
    struct model_packet *out)
{
	size_t l4 = model_l4(ip), hlen, from, count;
	bool tcp = model_protocol(ip) == 6;

	hlen = l4 + (tcp ? (size_t)(ip[l4 + 12] >> 4) * 4 : 8);
	from = hlen + n * size;
	if (from >= len)
		return false;
	count = len - from < size ? len - from : size;
	memcpy(out->b, ip, hlen);
	memcpy(out->b + hlen, ip + from, count);
	out->len = hlen + count;
	if (ip[0] >> 4 == 4)
		model_put(out->b + 4, model_get(ip + 4, 2) + (uint32_t)n, 2);
	if (tcp) {
		model_put(out->b + l4 + 4, model_get(ip + l4 + 4, 4) +
		    (uint32_t)(n * size), 4);
		if (n > 0)
			out->b[l4 + 13] &= 0x7f;	/* CWR: the first */
		if (from + count < len)
			out->b[l4 + 13] &= 0xf6;	/* FIN, PSH: the last */
	}
	model_finish(out);
	return true;
}

/*
 * What a packet must agree in with the one before it in its flow: addresses,
 * protocol and ports, for the packets that have ports.
 */
static inline bool
model_same_flow(const uint8_t *a, const uint8_t *b)
{
	if (a[0] >> 4 != b[0] >> 4)
		return false;
	if (a[0] >> 4 == 6 ? memcmp(a + 8, b + 8, 32) != 0 :
	    memcmp(a + 12, b + 12, 8) != 0)
		return false;
	return true;
}

#endif
