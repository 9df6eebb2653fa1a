/*
 * l2tp_avp_test.c - headers, every AVP at its boundary lengths, hiding
 *
 * The table of AVPs here was written from RFC 2661 4.4 and RFC 3145, not from
 * the codec; the hidden values in hex come from an implementation of 4.3 in
 * another language.  Whatever is decoded lies in a block of its exact size,
 * so that a sanitizer sees a read past its end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "l2tp_avp.h"

#define M	0x8000
#define H	0x4000
#define ANY	1017		/* 1023 octets less the AVP's header */

enum shape { U16, U32, U64, BLOB, NOTHING, OTHER };

static const struct want {
	uint16_t type, min, max;
	bool hide;
	enum shape shape;
	size_t off;
} wants[] = {
#define AT(member)	offsetof(struct l2tp_msg, member)
	{ 2, 2, 2, false, U16, AT(protocol_version) },
	{ 3, 4, 4, true, U32, AT(framing) },
	{ 4, 4, 4, true, U32, AT(bearer) },
	{ 5, 8, 8, false, U64, AT(tie_breaker) },
	{ 6, 2, 2, true, U16, AT(firmware) },
	{ 7, 1, ANY, false, BLOB, AT(host_name) },
	{ 8, 0, ANY, true, BLOB, AT(vendor_name) },
	{ 9, 2, 2, true, U16, AT(assigned_tunnel) },
	{ 10, 2, 2, false, U16, AT(receive_window) },
	{ 11, 1, ANY, true, BLOB, AT(challenge) },
	{ 12, 3, ANY, false, BLOB, AT(q931) },
	{ 13, 16, 16, true, BLOB, AT(challenge_response) },
	{ 14, 2, 2, true, U16, AT(assigned_session) },
	{ 15, 4, 4, true, U32, AT(call_serial) },
	{ 16, 4, 4, true, U32, AT(min_bps) },
	{ 17, 4, 4, true, U32, AT(max_bps) },
	{ 18, 4, 4, true, U32, AT(bearer) },
	{ 19, 4, 4, true, U32, AT(framing) },
	{ 21, 0, ANY, true, BLOB, AT(called) },
	{ 22, 0, ANY, true, BLOB, AT(calling) },
	{ 23, 0, ANY, true, BLOB, AT(sub_address) },
	{ 24, 4, 4, true, U32, AT(tx_speed) },
	{ 25, 4, 4, true, U32, AT(phys_channel) },
	{ 26, 0, ANY, true, BLOB, AT(lcp_initial) },
	{ 27, 0, ANY, true, BLOB, AT(lcp_last_sent) },
	{ 28, 0, ANY, true, BLOB, AT(lcp_last_recv) },
	{ 29, 2, 2, true, U16, AT(proxy_auth_type) },
	{ 30, 0, ANY, true, BLOB, AT(proxy_name) },
	{ 31, 1, ANY, true, BLOB, AT(proxy_challenge) },
	{ 32, 2, 2, true, OTHER, 0 },
	{ 33, 0, ANY, true, BLOB, AT(proxy_response) },
	{ 34, 26, 26, true, BLOB, AT(call_errors) },
	{ 35, 10, 10, true, BLOB, AT(accm) },
	{ 36, 1, ANY, false, OTHER, 0 },
	{ 37, 0, ANY, true, BLOB, AT(private_group) },
	{ 39, 0, 0, false, NOTHING, AT(sequencing_required) },
	{ 46, 5, ANY, true, BLOB, AT(disconnect_cause) },
#undef AT
};
#define WANTS	(sizeof(wants) / sizeof(wants[0]))

static uint8_t msg_buf[8192], scratch[8192], pattern[2048];
static struct wr out;
static uint8_t *exact;			/* what the last decode() looked at */

static int
fresh(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 13 + 5);
	out = wr_init(msg_buf, sizeof(msg_buf));
	return 0;
}

static int
done(void **state)
{
	(void)state;
	free(exact);
	exact = NULL;
	return 0;
}

/* One AVP whose length field may lie. */
static void
put_lying(uint16_t flags, uint16_t vendor, uint16_t type, const void *p,
    size_t len, uint16_t claimed)
{
	wr_u16(&out, (uint16_t)(flags | claimed));
	wr_u16(&out, vendor);
	wr_u16(&out, type);
	wr_bytes(&out, p, len);
}

static void
put(uint16_t flags, uint16_t type, const void *p, size_t len)
{
	put_lying(flags, 0, type, p, len, (uint16_t)(len + 6));
}

/* Starts the body of a message of the given type anew. */
static void
start(uint16_t type)
{
	uint8_t v[2] = { (uint8_t)(type >> 8), (uint8_t)type };

	out = wr_init(msg_buf, sizeof(msg_buf));
	put(M, AVP_MESSAGE_TYPE, v, 2);
}

static bool
decode(const char *secret, struct l2tp_msg *m)
{
	size_t len = wr_len(&out);

	assert_false(out.full);
	free(exact);
	exact = malloc(len > 0 ? len : 1);
	assert_non_null(exact);
	memcpy(exact, msg_buf, len);
	return l2tp_msg_decode(rd_init(exact, len), secret, scratch, len, m);
}

static void
assert_good(const struct l2tp_msg *m)
{
	assert_int_equal(m->bad_result, 0);
	assert_int_equal(m->bad_error, 0);
	assert_null(m->bad_text);
}

static void
assert_bad(const struct l2tp_msg *m, uint16_t error, uint16_t avp)
{
	assert_int_equal(m->bad_result, 2);
	assert_int_equal(m->bad_error, error);
	assert_int_equal(m->bad_avp, avp);
	assert_non_null(m->bad_text);
}

static uint64_t
number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* The member that the row names holds the value. */
static void
assert_value(const struct want *w, const struct l2tp_msg *m, size_t len)
{
	const void *p = (const char *)m + w->off;
	const struct blob *b = p;

	switch (w->shape) {
	case U16:
		assert_int_equal(*(const uint16_t *)p, number(pattern, 2));
		break;
	case U32:
		assert_int_equal(*(const uint32_t *)p, number(pattern, 4));
		break;
	case U64:
		assert_true(*(const uint64_t *)p == number(pattern, 8));
		break;
	case BLOB:
		assert_int_equal(b->len, len);
		assert_non_null(b->p);
		assert_memory_equal(b->p, pattern, len);
		break;
	case NOTHING:
		assert_true(*(const bool *)p);
		break;
	case OTHER:
		break;
	}
}

/* --- header -------------------------------------------------------------- */

static enum l2tp_bad
header(const uint8_t *p, size_t len, struct l2tp_header *h)
{
	free(exact);
	exact = malloc(len > 0 ? len : 1);
	assert_non_null(exact);
	memcpy(exact, p, len);
	return l2tp_header_decode(exact, len, h);
}

/* Any mix of L, S, O, P and reserved bits in data; every truncation. */
static void
test_header_data(void **state)
{
	uint8_t buf[64];
	struct l2tp_header h;
	unsigned int bits;
	size_t need, len;
	struct wr w;

	(void)state;
	for (bits = 0; bits < 0x8000; bits += 0x10) {
		w = wr_init(buf, sizeof(buf));
		wr_u16(&w, (uint16_t)(bits | 2));
		if (bits & L2TP_F_LENGTH)
			wr_u16(&w, 0);
		wr_u16(&w, 0x1111);
		wr_u16(&w, 0x2222);
		if (bits & L2TP_F_SEQUENCE)
			wr_u32(&w, 0x33334444);
		if (bits & L2TP_F_OFFSET) {
			wr_u16(&w, 3);
			wr_zero(&w, 3);
		}
		need = wr_len(&w);
		wr_u32(&w, 0xff030021);
		if (bits & L2TP_F_LENGTH)
			wr_patch_u16(&w, 2, (uint16_t)wr_len(&w));
		wr_u16(&w, 0xdead);	/* beyond Length, if there is one */

		assert_int_equal(header(buf, wr_len(&w), &h), L2TP_OK);
		assert_false(h.control);
		assert_int_equal(h.tunnel_id, 0x1111);
		assert_int_equal(h.session_id, 0x2222);
		assert_int_equal(h.Ns,
		    bits & L2TP_F_SEQUENCE ? 0x3333 : 0);
		assert_int_equal(h.Nr,
		    bits & L2TP_F_SEQUENCE ? 0x4444 : 0);
		assert_int_equal(h.priority, (bits & L2TP_F_PRIORITY) != 0);
		assert_int_equal(rd_left(&h.body),
		    bits & L2TP_F_LENGTH ? 4 : 6);
		assert_int_equal(rd_u32(&h.body), 0xff030021);

		if (bits & 0x30f0)	/* reserved bits: once is enough */
			continue;
		for (len = 0; len < need; len++)
			assert_int_not_equal(header(buf, len, &h), L2TP_OK);
	}
}

/* Ends inside the header, or inside the offset pad. */
static void
test_header_short(void **state)
{
	static const uint8_t offset[] = { 0x02, 0x02, 0, 1, 0, 2, 0xff, 0xff,
	    1, 2, 3, 4 };
	struct l2tp_header h;
	uint8_t zlb[12];
	size_t len;

	(void)state;
	assert_int_equal(l2tp_zlb(zlb, sizeof(zlb), 1, 2, 3), 12);
	for (len = 0; len < 4; len++)
		assert_int_equal(header(zlb, len, &h), L2TP_SHORT);
	for (; len < 12; len++)
		assert_int_equal(header(zlb, len, &h), L2TP_LENGTH);
	assert_int_equal(header(offset, sizeof(offset), &h), L2TP_SHORT);
	assert_int_equal(header(offset, 6, &h), L2TP_SHORT);
}

static void
test_header_version(void **state)
{
	uint8_t zlb[12];
	struct l2tp_header h;
	uint8_t v;

	(void)state;
	l2tp_zlb(zlb, sizeof(zlb), 1, 2, 3);
	for (v = 0; v < 16; v++) {
		zlb[1] = v;
		assert_int_equal(header(zlb, 12, &h),
		    v == 2 ? L2TP_OK : L2TP_VERSION);
	}
}

/* Control wants exactly T, L and S; reserved bits do not matter. */
static void
test_header_control_flags(void **state)
{
	uint8_t zlb[12];
	struct l2tp_header h;
	unsigned int bits;

	(void)state;
	l2tp_zlb(zlb, sizeof(zlb), 1, 2, 3);
	for (bits = 0x8000; bits < 0x10000; bits += 0x10) {
		zlb[0] = (uint8_t)(bits >> 8);
		zlb[1] = (uint8_t)((bits & 0xf0) | 2);
		assert_int_equal(header(zlb, 12, &h),
		    (bits & 0x4b00) == 0x4800 ? L2TP_OK : L2TP_FLAGS);
	}
}

/* Length smaller than the header, or larger than the datagram. */
static void
test_header_length(void **state)
{
	uint8_t buf[20] = { 0xc8, 0x02, 0, 0, 0, 7, 0, 9, 0, 1, 0, 2 };
	struct l2tp_header h;
	unsigned int n;

	(void)state;
	for (n = 0; n < 0x10000; n++) {
		buf[2] = (uint8_t)(n >> 8);
		buf[3] = (uint8_t)n;
		assert_int_equal(header(buf, sizeof(buf), &h),
		    n >= 12 && n <= 20 ? L2TP_OK : L2TP_LENGTH);
		if (n >= 12 && n <= 20) {
			assert_int_equal(rd_left(&h.body), n - 12);
			assert_int_equal(h.tunnel_id, 7);
			assert_int_equal(h.session_id, 9);
			assert_int_equal(h.Ns, 1);
			assert_int_equal(h.Nr, 2);
		}
	}
}

/* --- AVPs ---------------------------------------------------------------- */

static void
test_zlb_and_message_type(void **state)
{
	static const uint8_t hello[2] = { 0, 6 }, none[2] = { 0, 0 };
	struct l2tp_msg m;

	(void)state;
	assert_true(decode("", &m));		/* a ZLB */
	assert_int_equal(m.type, 0);
	assert_good(&m);

	put(0, AVP_MESSAGE_TYPE, hello, 2);
	assert_true(decode("", &m));
	assert_int_equal(m.type, L2TP_HELLO);
	assert_false(m.mandatory);

	start(999);				/* unknown, the M bit tells */
	assert_true(decode("", &m));
	assert_int_equal(m.type, 999);
	assert_true(m.mandatory);
	assert_null(l2tp_msg_name(m.type));
	assert_int_equal(l2tp_msg_missing(&m), -1);

	out = wr_init(msg_buf, sizeof(msg_buf));	/* would be a ZLB */
	put(M, AVP_MESSAGE_TYPE, none, 2);
	assert_false(decode("", &m));
	assert_bad(&m, L2TP_E_VALUE, 0);

	out = wr_init(msg_buf, sizeof(msg_buf));	/* not first */
	put(M, AVP_FIRMWARE, hello, 2);
	put(M, AVP_MESSAGE_TYPE, hello, 2);
	assert_false(decode("", &m));
	assert_bad(&m, L2TP_E_VALUE, 0);
}

static void
test_message_type_malformed(void **state)
{
	static const uint16_t flags[] = { M | H, M | 0x2000, M | 0x0400 };
	static const uint8_t hello[4] = { 0, 6, 0, 0 };
	struct l2tp_msg m;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		out = wr_init(msg_buf, sizeof(msg_buf));
		put(flags[i], AVP_MESSAGE_TYPE, hello, 2);
		assert_false(decode("secret", &m));
		assert_int_equal(m.bad_result, 2);
	}
	for (i = 0; i < 5; i++) {
		out = wr_init(msg_buf, sizeof(msg_buf));
		put(M, AVP_MESSAGE_TYPE, hello, i);
		assert_int_equal(decode("", &m), i == 2);
	}
	out = wr_init(msg_buf, sizeof(msg_buf));
	put_lying(M, 9, AVP_MESSAGE_TYPE, hello, 2, 8);
	assert_false(decode("", &m));
	for (i = 1; i < 8; i++) {
		start(L2TP_HELLO);
		out.p = out.start + i;
		assert_false(decode("", &m));
		assert_bad(&m, L2TP_E_LENGTH, 0);
	}
}

/* Each AVP at min - 1, min, max, max + 1, with and without M (7.1). */
static void
test_every_row(void **state)
{
	struct l2tp_msg m;
	const struct want *w;
	size_t i, k, len;
	bool fits;
	int mandatory;

	(void)state;
	for (i = 0; i < WANTS; i++) {
		w = &wants[i];
		assert_non_null(l2tp_avp_name(w->type));
		for (k = 0; k < 8; k++) {
			len = (k & 2 ? w->max : w->min) + (k & 1);
			if (k & 4)
				len = len >= 2 ? len - 2 : 0;
			if (len > ANY)
				continue;
			fits = len >= w->min && len <= w->max;
			for (mandatory = 0; mandatory < 2; mandatory++) {
				start(L2TP_HELLO);
				put(mandatory ? M : 0, w->type, pattern, len);
				put(M, AVP_CALL_SERIAL, pattern + 9, 4);
				assert_true(decode("secret", &m));
				assert_int_equal(L2TP_HAVE(&m, w->type),
				    fits || w->type == AVP_CALL_SERIAL);
				if (fits)
					assert_value(w, &m, len);
				if (fits || !mandatory)
					assert_good(&m);
				else
					assert_bad(&m, L2TP_E_LENGTH, w->type);
				assert_true(L2TP_HAVE(&m, AVP_CALL_SERIAL));
			}
		}
	}
}

/* Every string at the lengths that have overrun somebody's array. */
static void
test_string_lengths(void **state)
{
	static const size_t lens[] = { 0, 1, 2, 63, 64, 127, 128, 253, 254,
	    255, 256, 1016, 1017 };
	const struct want *w;
	struct l2tp_msg m;
	size_t i, k;

	(void)state;
	for (i = 0; i < WANTS; i++) {
		w = &wants[i];
		if (w->shape != BLOB || w->max != ANY)
			continue;
		for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			start(L2TP_ICRQ);
			put(M, w->type, pattern, lens[k]);
			assert_true(decode("", &m));
			if (lens[k] < w->min) {
				assert_bad(&m, L2TP_E_LENGTH, w->type);
				continue;
			}
			assert_good(&m);
			assert_value(w, &m, lens[k]);
		}
	}
}

/* A length that cannot hold its own header ends the walk. */
static void
test_length_below_header(void **state)
{
	static const uint16_t flags[] = { 0, M, H, M | H };
	struct l2tp_msg m;
	uint16_t len, type;
	size_t f;

	(void)state;
	for (type = 0; type < 64; type++)
		for (len = 0; len < 6; len++)
			for (f = 0; f < 4; f++) {
				start(L2TP_ICRQ);
				put_lying(flags[f], 0, type, pattern, 20, len);
				assert_true(decode("secret", &m));
				assert_bad(&m, L2TP_E_LENGTH, type);
				assert_true(m.have == 1);
			}
}

/* A length that goes on behind the end of the message. */
static void
test_length_beyond_message(void **state)
{
	struct l2tp_msg m;
	uint16_t len;
	size_t i;

	(void)state;
	for (len = 27; len <= 1023; len++) {
		start(L2TP_ICRQ);
		put_lying(0, 0, AVP_CALLING_NUMBER, pattern, 20, len);
		assert_true(decode("", &m));
		assert_bad(&m, L2TP_E_LENGTH, AVP_CALLING_NUMBER);
		assert_null(m.calling.p);
	}
	for (i = 1; i < 6; i++) {		/* crumbs at the end */
		start(L2TP_ICRQ);
		wr_zero(&out, i);
		assert_true(decode("", &m));
		assert_bad(&m, L2TP_E_LENGTH, 0);
	}
}

/* 4.1: reserved bit, foreign vendor or unknown number: the M bit decides. */
static void
test_unrecognised(void **state)
{
	static const uint16_t numbers[] = { 20, 40, 45, 47, 62, 63, 64, 65,
	    97, 255, 0x7fff, 0xffff };
	struct l2tp_msg m;
	uint16_t bit, type;
	size_t i;

	(void)state;
	for (bit = 0x0400; bit <= 0x2000; bit = (uint16_t)(bit << 1))
		for (type = 2; type < 40; type++) {
			start(L2TP_ICRQ);
			put(bit, type, pattern, 4);
			assert_true(decode("s", &m));
			assert_good(&m);
			assert_true(m.have == 1);
			start(L2TP_ICRQ);
			put(M | bit, type, pattern, 4);
			assert_true(decode("s", &m));
			assert_bad(&m, L2TP_E_UNKNOWN_AVP, type);
			assert_true(m.have == 1);
		}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		start(L2TP_ICRQ);
		put(0, numbers[i], pattern, 4);
		assert_true(decode("", &m));
		assert_good(&m);
		assert_null(l2tp_avp_name(numbers[i]));
		start(L2TP_ICRQ);
		put(M, numbers[i], pattern, 4);
		assert_true(decode("", &m));
		assert_bad(&m, L2TP_E_UNKNOWN_AVP, numbers[i]);
		assert_true(m.have == 1);
	}
}

static void
test_vendors(void **state)
{
	static const uint16_t vendors[] = { 1, 9, 311, 2636, 3561, 0xffff };
	struct l2tp_msg m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
		start(L2TP_ICRQ);
		put_lying(0, vendors[i], AVP_CALL_SERIAL, pattern, 4, 10);
		put_lying(H, vendors[i], AVP_CALLING_NUMBER, pattern, 4, 10);
		assert_true(decode("", &m));
		assert_good(&m);
		assert_true(m.have == 1);
		put_lying(M, vendors[i], AVP_CALLED_NUMBER, pattern, 4, 10);
		assert_true(decode("", &m));
		assert_bad(&m, L2TP_E_UNKNOWN_AVP, AVP_CALLED_NUMBER);
	}
}

/* Of two of a kind the first holds; so does the first fault. */
static void
test_first_wins(void **state)
{
	struct l2tp_msg m;

	(void)state;
	start(L2TP_ICRQ);
	put(M, AVP_CALLING_NUMBER, "one", 3);
	put(M, AVP_CALLING_NUMBER, "three", 5);
	put(M, AVP_MESSAGE_TYPE, pattern, 2);
	put(M, AVP_CALL_SERIAL, pattern, 4);
	put(M, AVP_CALL_SERIAL, pattern, 3);
	assert_true(decode("", &m));
	assert_good(&m);
	assert_int_equal(m.type, L2TP_ICRQ);
	assert_int_equal(m.calling.len, 3);

	start(L2TP_ICRQ);
	put(M, AVP_MIN_BPS, pattern, 3);
	put(M, 500, pattern, 3);
	put(M, AVP_MAX_BPS, pattern, 4);
	assert_true(decode("", &m));
	assert_bad(&m, L2TP_E_LENGTH, AVP_MIN_BPS);
	assert_true(L2TP_HAVE(&m, AVP_MAX_BPS));
}

/* Two octets, or four, or four and text; never three (4.4.2). */
static void
test_result_code(void **state)
{
	static const uint8_t v[] = { 0, 2, 0, 8, 'h', 'e', 'l', 'p' };
	struct l2tp_msg m;
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof(v); len++) {
		start(L2TP_CDN);
		put(M, AVP_RESULT_CODE, v, len);
		assert_true(decode("", &m));
		if (len < 2 || len == 3) {
			assert_bad(&m, L2TP_E_LENGTH, AVP_RESULT_CODE);
			assert_int_equal(m.result, 0);
			continue;
		}
		assert_good(&m);
		assert_int_equal(m.result, 2);
		assert_int_equal(m.error, len >= 4 ? 8 : 0);
		assert_int_equal(m.result_text.len, len > 4 ? len - 4 : 0);
		if (len > 4)
			assert_memory_equal(m.result_text.p, v + 4, len - 4);
		else
			assert_null(m.result_text.p);
	}
}

static void
rx(const void *p, size_t len, struct l2tp_msg *m)
{
	start(L2TP_ICCN);
	put(M, AVP_RX_SPEED, p, len);
	assert_true(decode("", m));
}

/* Rx Connect Speed: 32 bits, or the digits of an AS5300. */
static void
test_rx_speed(void **state)
{
	static const struct {
		const char *digits;
		uint32_t speed;
	} ascii[] = {
		{ "0", 0 }, { "300", 300 }, { "9600", 9600 },
		{ "33600", 33600 }, { "64000", 64000 },
		{ "10000000", 10000000 }, { "4294967295", 4294967295 },
	};
	struct l2tp_msg m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ascii) / sizeof(ascii[0]); i++) {
		rx(ascii[i].digits, strlen(ascii[i].digits), &m);
		assert_good(&m);
		assert_int_equal(m.rx_speed, ascii[i].speed);
	}
	rx("\x00\x98\x96\x80", 4, &m);
	assert_good(&m);
	assert_int_equal(m.rx_speed, 10000000);
	rx("99:9", 4, &m);
	assert_int_equal(m.rx_speed, 0x39393a39);
	rx("4294967296", 10, &m);
	assert_bad(&m, L2TP_E_VALUE, AVP_RX_SPEED);
	rx("", 0, &m);
	assert_bad(&m, L2TP_E_LENGTH, AVP_RX_SPEED);
	rx("00000000001", 11, &m);
	assert_bad(&m, L2TP_E_LENGTH, AVP_RX_SPEED);
	rx("12a45", 5, &m);
	assert_bad(&m, L2TP_E_LENGTH, AVP_RX_SPEED);
	rx("\x25\x80", 2, &m);
	assert_bad(&m, L2TP_E_LENGTH, AVP_RX_SPEED);
	assert_false(L2TP_HAVE(&m, AVP_RX_SPEED));
}

static void
test_special_values(void **state)
{
	static const uint16_t farewell[] = { L2TP_STOPCCN, L2TP_CDN };
	struct l2tp_msg m;
	size_t i;

	(void)state;
	start(L2TP_SCCRQ);
	put(M, AVP_ASSIGNED_TUNNEL, "\0\0", 2);
	assert_true(decode("", &m));
	assert_bad(&m, L2TP_E_VALUE, AVP_ASSIGNED_TUNNEL);
	start(L2TP_ICRQ);
	put(M, AVP_ASSIGNED_SESSION, "\0\0", 2);
	assert_true(decode("", &m));
	assert_bad(&m, L2TP_E_VALUE, AVP_ASSIGNED_SESSION);
	assert_int_equal(l2tp_msg_missing(&m), AVP_ASSIGNED_SESSION);
	for (i = 0; i < 2; i++) {
		start(farewell[i]);
		put(M, AVP_ASSIGNED_TUNNEL, "\0\0", 2);
		put(M, AVP_ASSIGNED_SESSION, "\0\0", 2);
		assert_true(decode("", &m));
		assert_good(&m);
	}
	start(L2TP_SCCRQ);
	put(M, AVP_RECEIVE_WINDOW, "\0\0", 2);
	put(0, AVP_PROXY_AUTH_ID, "\xff\x07", 2);
	assert_true(decode("", &m));
	assert_good(&m);
	assert_int_equal(m.receive_window, 1);
	assert_int_equal(m.proxy_auth_id, 7);
	assert_int_equal(m.tie_breaker, 0);
	assert_null(m.host_name.p);
}

/* RFC 2661 6, from the text: what must be in each message. */
static void
test_missing(void **state)
{
	static const struct {
		uint16_t type;
		int need[8];		/* ends with 0 */
	} rows[] = {
		{ L2TP_SCCRQ, { 2, 3, 7, 9 } },
		{ L2TP_SCCRP, { 2, 3, 7, 9 } },
		{ L2TP_SCCCN, { 0 } },
		{ L2TP_STOPCCN, { 1, 9 } },
		{ L2TP_HELLO, { 0 } },
		{ L2TP_OCRQ, { 14, 15, 16, 17, 18, 19, 21 } },
		{ L2TP_OCRP, { 14 } },
		{ L2TP_OCCN, { 19, 24 } },
		{ L2TP_ICRQ, { 14, 15 } },
		{ L2TP_ICRP, { 14 } },
		{ L2TP_ICCN, { 19, 24 } },
		{ L2TP_CDN, { 1, 14 } },
		{ L2TP_WEN, { 34 } },
		{ L2TP_SLI, { 35 } },
	};
	struct l2tp_msg m;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&m, 0, sizeof(m));
		m.type = rows[i].type;
		assert_non_null(l2tp_msg_name(m.type));
		for (k = 0; rows[i].need[k] != 0; k++) {
			assert_int_equal(l2tp_msg_missing(&m),
			    rows[i].need[k]);
			m.have |= UINT64_C(1) << rows[i].need[k];
		}
		assert_int_equal(l2tp_msg_missing(&m), -1);
	}
	memset(&m, 0, sizeof(m));
	assert_int_equal(l2tp_msg_missing(&m), -1);
	m.type = 17;
	assert_int_equal(l2tp_msg_missing(&m), -1);
	assert_string_equal(l2tp_msg_name(L2TP_SCCRQ), "SCCRQ");
	assert_string_equal(l2tp_msg_name(L2TP_STOPCCN), "StopCCN");
	assert_null(l2tp_msg_name(0));
	assert_null(l2tp_msg_name(5));
	assert_null(l2tp_msg_name(0xffff));
}

/* Cut anywhere, a full message is a clear fault or a shorter message. */
static void
test_every_truncation(void **state)
{
	struct l2tp_msg m;
	size_t i, full, ends = 0;

	(void)state;
	start(L2TP_ICCN);
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	for (i = 0; i < WANTS; i++)
		if (wants[i].max < ANY)
			put(M, wants[i].type, pattern, wants[i].max);
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, "12345", 5, "s",
	    pattern, 16, 9);
	full = wr_len(&out);
	for (i = 1; i <= full; i++) {
		out.p = out.start + i;
		if (!decode("s", &m)) {
			assert_true(i < 8);
			assert_bad(&m, L2TP_E_LENGTH, 0);
		} else if (m.bad_result == 0) {
			ends++;
		} else {
			assert_int_equal(m.bad_error, L2TP_E_LENGTH);
		}
	}
	assert_int_equal(m.bad_result, 0);
	assert_int_equal(m.calling.len, 5);
	/* One good end behind each AVP: three here, and the rows. */
	for (i = 0, full = 3; i < WANTS; i++)
		full += wants[i].max < ANY;
	assert_int_equal(ends, full);
}

/* --- hiding -------------------------------------------------------------- */

static size_t
from_hex(uint8_t *dst, const char *hex)
{
	unsigned int byte;
	size_t n = 0;

	for (; hex[0] != '\0'; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		dst[n++] = (uint8_t)byte;
	}
	return n;
}

static const struct vector {
	uint16_t type;
	const char *secret, *rv, *value, *hidden;
	size_t pad;
} vectors[] = {
	{ AVP_ASSIGNED_TUNNEL, "secret", "000102030405060708090a0b0c0d0e0f",
	    "1234", "be6a0ff3", 0 },
	{ AVP_CALLING_NUMBER, "secret", "000102030405060708090a0b0c0d0e0f",
	    "35353531323334", "75c232c3a71987787c", 0 },
	{ AVP_CALLING_NUMBER, "another, longer secret", "78",
	    "30313233343536373839616263646566",
	    "091608185e1d64aded380b5dcc09afd883afb2248e", 3 },
	{ AVP_PROXY_AUTH_RESPONSE, "s",
	    "ffffffffffffffffffffffffffffffffffffffff"
	    "ffffffffffffffffffffffffffffffffffffffff",
	    "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2"
	    "d9e0",
	    "48b2ef44573cec2c115fe5724e1ad72b1859680c0dc1fb50d7418594f77748"
	    "6894a5bbba34dedc82", 5 },
};

/* What we hide is what the other implementation hides, and back. */
static void
test_hidden_vectors(void **state)
{
	uint8_t rv[64], value[64], want[64];
	size_t i, nrv, nvalue, nwant, at;
	const struct vector *v;
	const struct blob *b;
	struct l2tp_msg m;

	(void)state;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		v = &vectors[i];
		nrv = from_hex(rv, v->rv);
		nvalue = from_hex(value, v->value);
		nwant = from_hex(want, v->hidden);
		start(L2TP_ICCN);
		put(M, AVP_RANDOM_VECTOR, rv, nrv);
		at = wr_len(&out);
		l2tp_avp_hidden(&out, true, v->type, value, nvalue, v->secret,
		    rv, nrv, v->pad);
		assert_int_equal(wr_len(&out) - at, 6 + nwant);
		assert_memory_equal(msg_buf + at + 6, want, nwant);
		assert_true(decode(v->secret, &m));
		assert_good(&m);
		if (v->type == AVP_ASSIGNED_TUNNEL) {
			assert_int_equal(m.assigned_tunnel, 0x1234);
			continue;
		}
		b = v->type == AVP_CALLING_NUMBER ? &m.calling :
		    &m.proxy_response;
		assert_int_equal(b->len, nvalue);
		assert_memory_equal(b->p, value, nvalue);
	}
}

static void
test_hidden_long_vector(void **state)
{
	struct digest_part part;
	uint8_t rv[16], sum[16], want[16];
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++)
		rv[i] = (uint8_t)i;
	l2tp_avp_hidden(&out, false, AVP_CHALLENGE, pattern, 1000, "secret",
	    rv, 16, 0);
	assert_int_equal(wr_len(&out), 1008);
	part = (struct digest_part){ msg_buf + 6, 1002 };
	digest_md5(sum, &part, 1);
	from_hex(want, "a78b2e7e18b34227256815fd6755c828");
	assert_memory_equal(sum, want, 16);
}

/* There and back at every length of value and pad around the blocks. */
static void
test_hidden_lengths(void **state)
{
	static const size_t lens[] = { 0, 1, 2, 13, 14, 15, 16, 17, 18, 29,
	    30, 31, 32, 33, 46, 47, 1000, 1015 };
	static const size_t pads[] = { 0, 1, 7, 16, 31 };
	struct l2tp_msg m;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (k = 0; k < 5; k++) {
			if (lens[i] + pads[k] > ANY - 2)
				continue;
			start(L2TP_ICCN);
			put(M, AVP_RANDOM_VECTOR, pattern + 7, 16);
			l2tp_avp_hidden(&out, true, AVP_CALLED_NUMBER,
			    pattern, lens[i], "a secret", pattern + 7, 16,
			    pads[k]);
			assert_true(decode("a secret", &m));
			assert_good(&m);
			assert_int_equal(m.called.len, lens[i]);
			assert_non_null(m.called.p);
			assert_memory_equal(m.called.p, pattern, lens[i]);
		}
}

/* Every row that may be hidden, and those that must not. */
static void
test_hidden_rows(void **state)
{
	const struct want *w;
	struct l2tp_msg m;
	size_t i;

	(void)state;
	for (i = 0; i < WANTS; i++) {
		w = &wants[i];
		start(L2TP_ICCN);
		put(M, AVP_RANDOM_VECTOR, pattern, 16);
		l2tp_avp_hidden(&out, true, w->type, pattern, w->min, "s",
		    pattern, 16, 4);
		assert_true(decode("s", &m));
		if (w->hide) {
			assert_good(&m);
			assert_value(w, &m, w->min);
		} else {
			assert_bad(&m, L2TP_E_VALUE, w->type);
		}
		if (w->min == 0 || !w->hide)
			continue;
		start(L2TP_ICCN);		/* one octet short */
		put(M, AVP_RANDOM_VECTOR, pattern, 16);
		l2tp_avp_hidden(&out, true, w->type, pattern, w->min - 1u,
		    "s", pattern, 16, 4);
		assert_true(decode("s", &m));
		assert_bad(&m, L2TP_E_LENGTH, w->type);
	}
}

/* A single block whose inner length takes every value there is. */
static void
test_hidden_inner_lengths(void **state)
{
	static const size_t sizes[] = { 2, 3, 10, 16, 17 };
	uint8_t cipher[32];
	struct l2tp_msg m;
	unsigned int n;
	size_t i, at;

	(void)state;
	for (i = 0; i < 5; i++) {
		out = wr_init(msg_buf, sizeof(msg_buf));
		l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, pattern,
		    sizes[i] - 2, "s", pattern, 16, 0);
		memcpy(cipher, msg_buf + 6, sizes[i]);
		for (n = 0; n < 0x10000; n++) {
			start(L2TP_ICRQ);
			put(M, AVP_RANDOM_VECTOR, pattern, 16);
			at = wr_len(&out) + 6;
			put(M | H, AVP_CALLING_NUMBER, cipher, sizes[i]);
			/* turns the length that was hidden into n */
			msg_buf[at] ^= (uint8_t)(n >> 8);
			msg_buf[at + 1] ^= (uint8_t)(n ^ (sizes[i] - 2));
			assert_true(decode("s", &m));
			if (n <= sizes[i] - 2) {
				assert_good(&m);
				assert_int_equal(m.calling.len, n);
			} else {
				assert_bad(&m, L2TP_E_LENGTH,
				    AVP_CALLING_NUMBER);
				assert_null(m.calling.p);
			}
		}
	}
}

/* The plain length must fit the row, whatever the hidden one was. */
static void
test_hidden_plain_length(void **state)
{
	struct l2tp_msg m;
	size_t len;

	(void)state;
	for (len = 0; len < 40; len++) {
		start(L2TP_ICCN);
		put(M, AVP_RANDOM_VECTOR, pattern, 16);
		l2tp_avp_hidden(&out, true, AVP_TX_SPEED, pattern, len, "s",
		    pattern, 16, 40 - len);
		assert_true(decode("s", &m));
		if (len == 4) {
			assert_good(&m);
			assert_int_equal(m.tx_speed, number(pattern, 4));
		} else {
			assert_bad(&m, L2TP_E_LENGTH, AVP_TX_SPEED);
		}
	}
}

/* Too short, without a vector, before it, without a secret. */
static void
test_hidden_without(void **state)
{
	struct l2tp_msg m;
	size_t len;

	(void)state;
	for (len = 0; len < 2; len++) {
		start(L2TP_ICRQ);
		put(M, AVP_RANDOM_VECTOR, pattern, 16);
		put(M | H, AVP_CALLING_NUMBER, pattern, len);
		assert_true(decode("s", &m));
		assert_bad(&m, L2TP_E_LENGTH, AVP_CALLING_NUMBER);
	}
	start(L2TP_ICRQ);
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, "5", 1, "s", pattern,
	    16, 0);
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	assert_true(decode("s", &m));
	assert_bad(&m, L2TP_E_VALUE, AVP_CALLING_NUMBER);

	start(L2TP_ICRQ);
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, "5", 1, "s", pattern,
	    16, 0);
	assert_true(decode("", &m));
	assert_bad(&m, L2TP_E_VALUE, AVP_CALLING_NUMBER);
	assert_null(m.calling.p);

	start(L2TP_ICRQ);			/* not mandatory: ignored */
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	l2tp_avp_hidden(&out, false, AVP_CALLING_NUMBER, "5", 1, "s", pattern,
	    16, 0);
	assert_true(decode("", &m));
	assert_good(&m);
	assert_null(m.calling.p);
}

/* Each Random Vector holds until the next; a bad one leaves none (4.3). */
static void
test_random_vectors(void **state)
{
	static const size_t lens[] = { 1, 2, 15, 16, 17, 256, 1017 };
	struct l2tp_msg m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		start(L2TP_ICRQ);
		put(M, AVP_RANDOM_VECTOR, "first vector", 12);
		l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, "one", 3, "s",
		    "first vector", 12, 0);
		put(M, AVP_RANDOM_VECTOR, pattern, lens[i]);
		l2tp_avp_hidden(&out, true, AVP_CALLED_NUMBER, "two", 3, "s",
		    pattern, lens[i], 0);
		assert_true(decode("s", &m));
		assert_good(&m);
		assert_memory_equal(m.calling.p, "one", 3);
		assert_memory_equal(m.called.p, "two", 3);
	}
	start(L2TP_ICRQ);
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	put(0, AVP_RANDOM_VECTOR, pattern, 0);
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, "one", 3, "s",
	    pattern, 16, 0);
	assert_true(decode("s", &m));
	assert_bad(&m, L2TP_E_VALUE, AVP_CALLING_NUMBER);
}

/* The scratch must be able to hold the plaintext; too small is a fault. */
static void
test_hidden_scratch(void **state)
{
	struct l2tp_msg m;
	uint8_t *small;
	size_t size;

	(void)state;
	start(L2TP_ICRQ);
	put(M, AVP_RANDOM_VECTOR, pattern, 16);
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, pattern, 20, "s",
	    pattern, 16, 0);
	for (size = 0; size < 30; size++) {
		small = malloc(size > 0 ? size : 1);
		assert_non_null(small);
		assert_true(l2tp_msg_decode(rd_init(msg_buf, wr_len(&out)),
		    "s", small, size, &m));
		if (size < 22)
			assert_bad(&m, L2TP_E_LENGTH, AVP_CALLING_NUMBER);
		else
			assert_memory_equal(m.calling.p, pattern, 20);
		free(small);
	}
}

/* --- writers ------------------------------------------------------------- */

static void
test_write_message(void **state)
{
	static const uint8_t want[] = {
		0xc8, 0x02, 0x00, 0x3c, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0,
		0x80, 0x08, 0, 0, 0, 0, 0, 14,
		0x00, 0x08, 0, 0, 0, 6, 0x06, 0x90,
		0x80, 0x0a, 0, 0, 0, 3, 0, 0, 0, 3,
		0x80, 0x08, 0, 0, 0, 1, 0, 3,
		0x80, 0x0e, 0, 0, 0, 1, 0, 2, 0, 6, 'b', 'u', 's', 'y',
	};
	struct l2tp_header h;
	struct l2tp_msg m;

	(void)state;
	l2tp_msg_begin(&out, 0x1234, 0x5678, L2TP_CDN);
	l2tp_avp_u16(&out, false, AVP_FIRMWARE, 0x0690);
	l2tp_avp_u32(&out, true, AVP_FRAMING_CAP, 3);
	l2tp_avp_result(&out, CDN_ADMIN, 0, NULL);
	l2tp_avp_result(&out, CDN_ERROR, L2TP_E_VENDOR, "busy");
	assert_int_equal(l2tp_msg_end(&out), sizeof(want));
	assert_memory_equal(msg_buf, want, sizeof(want));
	l2tp_msg_stamp(msg_buf, 0xfffe, 0x8001);
	assert_int_equal(l2tp_header_decode(msg_buf, sizeof(want), &h),
	    L2TP_OK);
	assert_true(h.control);
	assert_int_equal(h.Ns, 0xfffe);
	assert_int_equal(h.Nr, 0x8001);
	assert_true(l2tp_msg_decode(h.body, "", scratch, sizeof(scratch),
	    &m));
	assert_good(&m);
	assert_int_equal(m.type, L2TP_CDN);
	assert_int_equal(m.result, CDN_ADMIN);
}

/* Text without error carries error 0; an error alone carries no text. */
static void
test_write_result(void **state)
{
	static const uint8_t text[] = { 0x80, 11, 0, 0, 0, 1, 0, 1, 0, 0,
	    'x' };
	static const uint8_t error[] = { 0x80, 10, 0, 0, 0, 1, 0, 2, 0, 8 };
	static const uint8_t plain[] = { 0x80, 8, 0, 0, 0, 1, 0, 6 };

	(void)state;
	l2tp_avp_result(&out, 1, 0, "x");
	assert_int_equal(wr_len(&out), sizeof(text));
	assert_memory_equal(msg_buf, text, sizeof(text));
	out = wr_init(msg_buf, sizeof(msg_buf));
	l2tp_avp_result(&out, 2, 8, NULL);
	assert_int_equal(wr_len(&out), sizeof(error));
	assert_memory_equal(msg_buf, error, sizeof(error));
	out = wr_init(msg_buf, sizeof(msg_buf));
	l2tp_avp_result(&out, 6, 0, "");
	assert_int_equal(wr_len(&out), sizeof(plain));
	assert_memory_equal(msg_buf, plain, sizeof(plain));
}

/* No room, or more than ten bits of length: no message at all. */
static void
test_write_overflow(void **state)
{
	uint8_t small[40];
	size_t size;

	(void)state;
	for (size = 0; size <= sizeof(small); size++) {
		out = wr_init(small, size);
		l2tp_msg_begin(&out, 1, 2, L2TP_HELLO);
		l2tp_avp_bytes(&out, true, AVP_HOST_NAME, "0123456789", 10);
		assert_int_equal(l2tp_msg_end(&out), size >= 36 ? 36 : 0);
	}
	for (size = 1016; size < 1020; size++) {
		out = wr_init(msg_buf, sizeof(msg_buf));
		l2tp_msg_begin(&out, 1, 2, L2TP_HELLO);
		l2tp_avp_bytes(&out, true, AVP_HOST_NAME, pattern, size);
		assert_int_equal(l2tp_msg_end(&out),
		    size <= ANY ? 20 + 6 + size : 0);
		out = wr_init(msg_buf, sizeof(msg_buf));
		l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, pattern,
		    size - 2 - 5, "s", pattern, 16, 5);
		assert_int_equal(wr_len(&out), size <= ANY ? 6 + size : 0);
	}
	out = wr_init(msg_buf, sizeof(msg_buf));
	l2tp_avp_hidden(&out, true, AVP_CALLING_NUMBER, pattern, 8, "s",
	    pattern, 16, SIZE_MAX - 4);
	assert_true(out.full);
}

static void
test_write_longest(void **state)
{
	static uint8_t huge[70000];
	unsigned int i;

	(void)state;
	out = wr_init(huge, sizeof(huge));
	l2tp_msg_begin(&out, 1, 2, L2TP_HELLO);
	for (i = 0; i < 64; i++)
		l2tp_avp_bytes(&out, true, AVP_HOST_NAME, pattern, ANY);
	assert_int_equal(l2tp_msg_end(&out), 20 + 64 * 1023);
	l2tp_avp_bytes(&out, true, AVP_HOST_NAME, pattern, 37);
	assert_int_equal(l2tp_msg_end(&out), 65535);
	assert_int_equal(huge[2], 0xff);
	assert_int_equal(huge[3], 0xff);
	wr_u8(&out, 0);
	assert_int_equal(l2tp_msg_end(&out), 0);
}

static void
test_write_zlb(void **state)
{
	static const uint8_t want[] = { 0xc8, 2, 0, 12, 0xab, 0xcd, 0, 0,
	    0xff, 0xff, 0x80, 0 };
	uint8_t buf[12];

	(void)state;
	assert_int_equal(l2tp_zlb(buf, 11, 0xabcd, 0xffff, 0x8000), 0);
	assert_int_equal(l2tp_zlb(buf, 12, 0xabcd, 0xffff, 0x8000), 12);
	assert_memory_equal(buf, want, 12);
}

static void
test_challenge_response(void **state)
{
	uint8_t rv[16], got[16], want[16];
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++)
		rv[i] = (uint8_t)i;
	from_hex(want, "dd4186e2196f00124a9d588f02701259");
	l2tp_challenge_response(got, L2TP_SCCRP, "secret", rv, 16);
	assert_memory_equal(got, want, 16);
	from_hex(want, "8358f0912d16e9f89a709b7b9869bd19");
	l2tp_challenge_response(got, L2TP_SCCCN, "", "c", 1);
	assert_memory_equal(got, want, 16);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fresh, done)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_header_data),
		TEST(test_header_short),
		TEST(test_header_version),
		TEST(test_header_control_flags),
		TEST(test_header_length),
		TEST(test_zlb_and_message_type),
		TEST(test_message_type_malformed),
		TEST(test_every_row),
		TEST(test_string_lengths),
		TEST(test_length_below_header),
		TEST(test_length_beyond_message),
		TEST(test_unrecognised),
		TEST(test_vendors),
		TEST(test_first_wins),
		TEST(test_result_code),
		TEST(test_rx_speed),
		TEST(test_special_values),
		TEST(test_missing),
		TEST(test_every_truncation),
		TEST(test_hidden_vectors),
		TEST(test_hidden_long_vector),
		TEST(test_hidden_lengths),
		TEST(test_hidden_rows),
		TEST(test_hidden_inner_lengths),
		TEST(test_hidden_plain_length),
		TEST(test_hidden_without),
		TEST(test_random_vectors),
		TEST(test_hidden_scratch),
		TEST(test_write_message),
		TEST(test_write_result),
		TEST(test_write_overflow),
		TEST(test_write_longest),
		TEST(test_write_zlb),
		TEST(test_challenge_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
