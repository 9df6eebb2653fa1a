/*
 * ipv4_test.c - headers, checksums, MSS clamping and fragments, by the octet
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ipv4.h"

/* RFC 1071's sum, written down once more and slowly. */
static uint16_t
slow_checksum(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint64_t)p[i] * 256 : p[i];
	while (sum > 0xffff)
		sum = sum % 65536 + sum / 65536;
	return (uint16_t)(0xffff - sum);
}

static uint16_t
tcp_checksum(const uint8_t *ip, size_t hlen, size_t len)
{
	uint8_t pseudo[2048];
	size_t n = len - hlen;

	assert_true(n + 12 <= sizeof(pseudo));
	memcpy(pseudo, ip + 12, 8);
	pseudo[8] = 0;
	pseudo[9] = 6;
	ipv4_put16(pseudo + 10, (uint16_t)n);
	memcpy(pseudo + 12, ip + hlen, n);
	return slow_checksum(pseudo, n + 12);
}

/* A packet of `len` octets whose payload counts up. */
static void
make(uint8_t *p, size_t hlen, size_t len, uint8_t protocol)
{
	size_t i;

	memset(p, 0, hlen);
	p[0] = (uint8_t)(0x40 | hlen / 4);
	ipv4_put16(p + 2, (uint16_t)len);
	ipv4_put16(p + 4, 0xbeef);
	p[8] = 64;
	p[9] = protocol;
	ipv4_put32(p + 12, 0x0a000002);
	ipv4_put32(p + 16, 0xc0000201);
	memset(p + 20, 1, hlen - 20);	/* NOPs */
	for (i = hlen; i < len; i++)
		p[i] = (uint8_t)i;
	ipv4_set_checksum(p, hlen);
}

static void
test_decode(void **state)
{
	uint8_t p[100];
	struct ipv4 h;

	(void)state;
	make(p, 24, 60, 17);
	ipv4_put16(p + 6, 0x4000);
	ipv4_set_checksum(p, 24);
	assert_true(ipv4_decode(p, 60, &h));
	assert_int_equal(h.src, 0x0a000002);
	assert_int_equal(h.dst, 0xc0000201);
	assert_int_equal(h.len, 60);
	assert_int_equal(h.hlen, 24);
	assert_int_equal(h.id, 0xbeef);
	assert_int_equal(h.protocol, 17);
	assert_true(h.dont_fragment);
	assert_false(h.more_fragments);
	assert_int_equal(h.offset, 0);
	assert_true(ipv4_decode(p, 100, &h));	/* padding */
	assert_int_equal(h.len, 60);
}

static void
test_decode_refuses(void **state)
{
	uint8_t p[100];
	struct ipv4 h;
	size_t n;

	(void)state;
	make(p, 20, 60, 17);
	assert_true(ipv4_decode(p, 60, &h));
	for (n = 0; n < 60; n++)	/* total length beyond the packet */
		assert_false(ipv4_decode(p, n, &h));
	p[8] ^= 1;			/* a flipped bit */
	assert_false(ipv4_decode(p, 60, &h));
	make(p, 20, 60, 17);
	p[0] = 0x65;
	ipv4_set_checksum(p, 20);
	assert_false(ipv4_decode(p, 60, &h));
	for (n = 0; n < 5; n++) {	/* header length below 20 */
		make(p, 20, 60, 17);
		p[0] = (uint8_t)(0x40 | n);
		ipv4_set_checksum(p, 20);
		assert_false(ipv4_decode(p, 60, &h));
	}
	make(p, 20, 60, 17);		/* total length below the header's */
	ipv4_put16(p + 2, 19);
	ipv4_set_checksum(p, 20);
	assert_false(ipv4_decode(p, 60, &h));
	make(p, 20, 60, 1);		/* a fragment past the end: ping of death */
	ipv4_put16(p + 6, 0x1fff);
	ipv4_set_checksum(p, 20);
	assert_false(ipv4_decode(p, 60, &h));
}

static void
test_checksums(void **state)
{
	uint8_t p[64];
	uint16_t old, sum;
	int i;

	(void)state;
	srandom(1);
	for (i = 0; i < 100000; i++) {
		size_t n = (size_t)random() % (sizeof(p) - 2) + 2, j, at;

		for (j = 0; j < n; j++)
			p[j] = (uint8_t)(random() % 7 == 0 ? 0xff : random());
		sum = ipv4_checksum(p, n);
		assert_int_equal(sum, slow_checksum(p, n));
		at = (size_t)random() % (n / 2) * 2;
		if (at + 2 > n)
			continue;
		old = ipv4_get16(p + at);
		ipv4_put16(p + at, (uint16_t)random());
		sum = ipv4_checksum_update(sum, old, ipv4_get16(p + at));
		/* RFC 1624 3: the two zeros stand for the same */
		if (sum != 0xffff && slow_checksum(p, n) != 0xffff)
			assert_int_equal(sum, slow_checksum(p, n));
	}
	/* RFC 1624 section 4, its own example */
	assert_int_equal(ipv4_checksum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

/* A SYN with these octets of options, padded with zeros to a multiple of 4. */
static size_t
make_syn(uint8_t *p, size_t ip_hlen, const uint8_t *opt, size_t n,
    uint8_t flags)
{
	size_t tcp_len = 20 + (n + 3) / 4 * 4, len = ip_hlen + tcp_len + 10;
	uint8_t *tcp = p + ip_hlen;

	make(p, ip_hlen, len, 6);
	memset(tcp, 0, tcp_len);
	ipv4_put16(tcp, 1234);
	ipv4_put16(tcp + 2, 80);
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = flags;
	memcpy(tcp + 20, opt, n);
	ipv4_put16(tcp + 16, tcp_checksum(p, ip_hlen, len));
	return len;
}

static bool
clamp(uint8_t *p, size_t len, uint16_t mss)
{
	struct ipv4 h;

	assert_true(ipv4_decode(p, len, &h));
	return ipv4_clamp_mss(p, &h, mss);
}

static void
test_clamp(void **state)
{
	static const uint8_t first[] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7 };
	static const uint8_t odd[] = { 1, 2, 4, 0x05, 0xb4, 4, 2 };
	static const uint8_t later[] = { 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8,
	    2, 4, 0x05, 0xb4 };
	static const struct {
		const uint8_t *opt;
		size_t n, at;
	} rows[] = {
		{ first, sizeof(first), 2 }, { odd, sizeof(odd), 3 },
		{ later, sizeof(later), 14 }
	};
	uint8_t p[256];
	size_t i, hlen, len;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (hlen = 20; hlen <= 60; hlen += 20) {
			len = make_syn(p, hlen, rows[i].opt, rows[i].n, 0x02);
			assert_true(clamp(p, len, 1422));
			assert_int_equal(ipv4_get16(p + hlen + 20 + rows[i].at),
			    1422);
			assert_int_equal(tcp_checksum(p, hlen, len), 0);
			assert_false(clamp(p, len, 1422));
			assert_false(clamp(p, len, 1460));
		}
		len = make_syn(p, 20, rows[i].opt, rows[i].n, 0x12);
		assert_true(clamp(p, len, 536));	/* SYN, ACK */
		assert_int_equal(tcp_checksum(p, 20, len), 0);
	}
}

/* Nothing may change, whatever the options say (CVE-2001-0026 and friends). */
static void
test_clamp_leaves_alone(void **state)
{
	static const uint8_t good[] = { 2, 4, 0x05, 0xb4 };
	static const uint8_t bad[][6] = {
		{ 2, 0, 0x05, 0xb4 }, { 2, 1, 0x05, 0xb4 },
		{ 2, 2, 0x05, 0xb4 }, { 2, 3, 0x05, 0xb4 },
		{ 2, 5, 0x05, 0xb4, 0, 0 }, { 2, 255, 0x05, 0xb4 },
		{ 8, 0, 2, 4, 0x05, 0xb4 }, { 8, 1, 2, 4, 0x05, 0xb4 },
		{ 0, 0, 2, 4, 0x05, 0xb4 }, { 1, 1, 1, 1, 1, 2 },
		{ 1, 1, 1, 1, 1, 8 }, { 1, 1, 1, 1, 2, 4 },
		{ 8, 7, 2, 4, 0x05, 0xb4 },
	};
	uint8_t p[256], was[256];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		len = make_syn(p, 20, bad[i], 6, 0x02);
		memcpy(was, p, len);
		assert_false(clamp(p, len, 100));
		assert_memory_equal(p, was, len);
	}
	len = make_syn(p, 20, good, 4, 0x10);	/* no SYN */
	assert_false(clamp(p, len, 100));
	len = make_syn(p, 20, good, 4, 0x02);
	p[9] = 17;				/* not TCP */
	ipv4_set_checksum(p, 20);
	assert_false(clamp(p, len, 100));
	len = make_syn(p, 20, good, 4, 0x02);
	ipv4_put16(p + 6, 0x2000);		/* the first fragment */
	ipv4_set_checksum(p, 20);
	assert_false(clamp(p, len, 100));
	ipv4_put16(p + 6, 0x0001);		/* another one */
	ipv4_set_checksum(p, 20);
	assert_false(clamp(p, len, 100));
	for (i = 0; i < 24; i++) {		/* cut inside the TCP header */
		len = make_syn(p, 20, good, 4, 0x02);
		ipv4_put16(p + 2, (uint16_t)(20 + i));
		ipv4_set_checksum(p, 20);
		assert_false(clamp(p, len, 100));
	}
	len = make_syn(p, 20, good, 4, 0x02);
	p[32] = 0x40;				/* data offset below 20 */
	assert_false(clamp(p, len, 100));
	p[32] = 0xf0;				/* and beyond the packet */
	assert_false(clamp(p, len, 100));
}

static void
test_ports(void **state)
{
	uint8_t p[64];
	struct ipv4 h;
	uint16_t src, dst;

	(void)state;
	make(p, 20, 40, 17);
	ipv4_put16(p + 20, 5000);
	ipv4_put16(p + 22, 1701);
	assert_true(ipv4_decode(p, 40, &h));
	assert_true(ipv4_ports(p, &h, &src, &dst));
	assert_int_equal(src, 5000);
	assert_int_equal(dst, 1701);
	h.len = 23;
	assert_false(ipv4_ports(p, &h, &src, &dst));
	h.len = 40;
	h.offset = 8;
	assert_false(ipv4_ports(p, &h, &src, &dst));
	h.offset = 0;
	h.protocol = 1;
	assert_false(ipv4_ports(p, &h, &src, &dst));
}

/* Cuts a packet and puts it together again; returns the number of pieces. */
static int
cut_and_join(const uint8_t *p, size_t mtu)
{
	uint8_t out[2048], whole[2048];
	struct ipv4 h, f;
	size_t at = 0, n, done = 0;
	int pieces = 0;

	assert_true(ipv4_decode(p, 2048, &h));
	while ((n = ipv4_fragment(p, &h, mtu, &at, out, sizeof(out))) > 0) {
		pieces++;
		assert_true(n <= mtu);
		assert_true(ipv4_decode(out, n, &f));
		assert_int_equal(f.len, n);
		assert_int_equal(f.id, h.id);
		assert_int_equal(f.src, h.src);
		assert_int_equal(f.dst, h.dst);
		assert_int_equal(f.offset, h.offset + done);
		assert_int_equal(f.more_fragments,
		    at < (size_t)(h.len - h.hlen) || h.more_fragments);
		memcpy(whole + done, out + f.hlen, n - f.hlen);
		done += n - f.hlen;
	}
	assert_int_equal(done, h.len - h.hlen);
	assert_memory_equal(whole, p + h.hlen, done);
	return pieces;
}

static void
test_fragment(void **state)
{
	uint8_t p[2048];
	size_t mtu;

	(void)state;
	make(p, 20, 1500, 17);
	assert_int_equal(cut_and_join(p, 1500), 1);
	assert_int_equal(cut_and_join(p, 1499), 2);
	assert_int_equal(cut_and_join(p, 576), 3);
	for (mtu = 28; mtu < 1500; mtu += 13)
		assert_true(cut_and_join(p, mtu) > 1);
	make(p, 20, 1500, 17);		/* a fragment, in the middle */
	ipv4_put16(p + 6, 0x2000 | 100);
	ipv4_set_checksum(p, 20);
	assert_int_equal(cut_and_join(p, 576), 3);
}

/* Record Route stays in the first fragment, the copied ones go into all. */
static void
test_fragment_options(void **state)
{
	static const uint8_t options[12] = { 7, 3, 4, 0x83, 3, 4, 0, 7, 3, 4 };
	uint8_t p[2048], out[2048];
	struct ipv4 h;
	size_t at = 0;

	(void)state;
	make(p, 32, 1500, 17);
	memcpy(p + 20, options, sizeof(options));
	ipv4_set_checksum(p, 32);
	assert_true(ipv4_decode(p, 1500, &h));
	assert_true(ipv4_fragment(p, &h, 800, &at, out, sizeof(out)) > 0);
	assert_memory_equal(out + 20, options, 12);
	assert_true(ipv4_fragment(p, &h, 800, &at, out, sizeof(out)) > 0);
	assert_memory_equal(out + 20, "\1\1\1\x83\3\4\0\7\3\4", 10);
}

static void
test_fragment_refuses(void **state)
{
	uint8_t p[2048], out[64];
	struct ipv4 h;
	size_t at = 0;

	(void)state;
	make(p, 20, 1500, 17);
	assert_true(ipv4_decode(p, 1500, &h));
	assert_int_equal(ipv4_fragment(p, &h, 27, &at, out, 64), 0);
	assert_int_equal(ipv4_fragment(p, &h, 576, &at, out, 64), 0);
	assert_int_equal(at, 0);
	make(p, 20, 20, 17);		/* nothing to cut */
	assert_true(ipv4_decode(p, 20, &h));
	assert_int_equal(ipv4_fragment(p, &h, 576, &at, out, 64), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_clamp),
		cmocka_unit_test(test_clamp_leaves_alone),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_fragment_options),
		cmocka_unit_test(test_fragment_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
