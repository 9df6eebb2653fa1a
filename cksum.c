/*
 * cksum.c - the Internet checksum, eight octets at a time
 *
 * RFC 1071 lets words be added in any byte order and width, and the bytes be
 * swapped once at the end.  Each 64-bit word is added as two halves into
 * accumulators of 64 bits, which then cannot overflow in any packet.
 *
 * Owns:     nothing.
 * Calls:    nothing.
 */
#include "cksum.h"

#include <string.h>

static inline uint64_t
word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static uint16_t
fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t
cksum_sum(const void *buf, size_t n)
{
	const uint8_t *p = buf;
	uint64_t lo = 0, hi = 0;
	uint8_t tail[8] = { 0 };
	uint16_t sum;

	for (; n >= 32; p += 32, n -= 32) {
		uint64_t a = word(p), b = word(p + 8);
		uint64_t c = word(p + 16), d = word(p + 24);

		lo += (a & 0xffffffff) + (b & 0xffffffff) +
		    (c & 0xffffffff) + (d & 0xffffffff);
		hi += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	for (; n >= 8; p += 8, n -= 8) {
		lo += word(p) & 0xffffffff;
		hi += word(p) >> 32;
	}
	if (n > 0)
		memcpy(tail, p, n);
	lo += word(tail) & 0xffffffff;
	hi += word(tail) >> 32;
	sum = fold((lo & 0xffffffff) + (lo >> 32) + (hi & 0xffffffff) +
	    (hi >> 32));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	sum = (uint16_t)(sum << 8 | sum >> 8);
#endif
	return sum;
}
