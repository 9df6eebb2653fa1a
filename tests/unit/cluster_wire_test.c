/*
 * cluster_wire_test.c - datagrams of the cluster: made, read, damaged; windows
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cluster_wire.h"

#define SECRET	"a secret of the cluster"
#define STATE	66			/* octets of a CW_F_STATE */

static const struct cw_head head = {
	.kind = CW_HEARTBEAT, .cluster = 0x0a630101, .from = 0x0a580001,
	.to = 0x0a580002, .epoch = UINT64_C(0x0123456789abcdef), .number = 77
};

static const struct cw_state state_said = {
	.flags = CW_UP_TO_DATE | CW_HAS_ROUTES, .interval = 5, .timeout = 20,
	.uptime = UINT64_C(0x1122334455667788), .basetime = 1700000000,
	.changes = UINT64_C(0xfedcba9876543210), .master = 0x0a580001,
	.master_age = 250, .reign = 3, .next = 1000, .oldest = 900,
	.challenge = UINT64_C(0x8877665544332211)
};

static const struct cw_member members[2] = {
	{ 0x0a580002, 2, 20 }, { 0x0a580003, 3, 30 }
};

static uint8_t buf[CW_DATAGRAM_MAX];

static size_t
heartbeat(const char *secret)
{
	struct wr w = wr_init(buf, sizeof(buf));

	cw_begin(&w, &head);
	cw_put_state(&w, &state_said);
	cw_put_members(&w, members, 2);
	return cw_seal(&w, secret);
}

/* The octets that other releases will have to send. */
static void
on_the_wire(void **state)
{
	static const uint8_t want[] = {
		'L', 'N', 'S', 'C', 1, 2, 0, 0, 0x0a, 0x63, 1, 1, 0x0a, 0x58,
		0, 1, 0x0a, 0x58, 0, 2, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
		0xcd, 0xef, 0, 0, 0, 0, 0, 0, 0, 77,
		1, 0, 0, 66, 0, 9, 0, 5, 0, 20, 0x11, 0x22, 0x33, 0x44, 0x55,
		0x66, 0x77, 0x88, 0, 0, 0, 0, 0x65, 0x53, 0xf1, 0, 0xfe, 0xdc,
		0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0x0a, 0x58, 0, 1, 0, 0, 0,
		250, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x03, 0xe8, 0, 0, 0, 0, 0,
		0, 0x03, 0x84, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		1, 1, 0, 40, 0x0a, 0x58, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0,
		0, 0, 0, 0, 0, 20, 0x0a, 0x58, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3,
		0, 0, 0, 0, 0, 0, 0, 30
	};
	/* By python3's hmac, over these octets with SECRET. */
	static const uint8_t mac[CW_MAC] = { 0x99, 0x44, 0xe1, 0x49, 0x10, 0x0a, 0xc7, 0x63,
	    0x2c, 0x96, 0x7f, 0x49, 0x4b, 0x4e, 0x0a, 0x10 };
	size_t len = heartbeat(SECRET);

	(void)state;
	assert_int_equal(len, sizeof(want) + CW_MAC);
	assert_memory_equal(buf, want, sizeof(want));
	assert_memory_equal(buf + sizeof(want), mac, CW_MAC);
}

static void
there_and_back(void **state)
{
	size_t len = heartbeat(SECRET);
	struct cw_member m;
	struct rd body, value;
	struct cw_state s;
	struct cw_head h;
	uint16_t type;

	(void)state;
	assert_int_equal(cw_open(buf, len, SECRET, &h, &body), CW_OK);
	assert_int_equal(h.kind, head.kind);
	assert_int_equal(h.cluster, head.cluster);
	assert_int_equal(h.from, head.from);
	assert_int_equal(h.to, head.to);
	assert_true(h.epoch == head.epoch && h.number == head.number);
	assert_true(cw_next(&body, &type, &value));
	assert_int_equal(type, CW_F_STATE);
	memset(&s, 0, sizeof(s));
	assert_true(cw_get_state(&value, &s));
	assert_memory_equal(&s, &state_said, sizeof(s));
	assert_true(cw_next(&body, &type, &value));
	assert_int_equal(type, CW_F_MEMBERS);
	for (int i = 0; i < 2; i++) {
		assert_true(cw_get_member(&value, &m));
		assert_int_equal(m.addr, members[i].addr);
		assert_true(m.epoch == members[i].epoch);
		assert_true(m.challenge == members[i].challenge);
	}
	assert_false(cw_get_member(&value, &m));
	assert_false(cw_next(&body, &type, &value));
	assert_true(rd_done(&body));
}

static void
stream_and_resend(void **state)
{
	struct cw_stream s = { 7, UINT64_C(1) << 40, 99 };
	struct cw_range r, ranges[2] = { { 5, 1 }, { UINT64_MAX, 1000 } };
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd body, value;
	uint32_t reign;
	uint16_t type;

	(void)state;
	cw_put_stream(&w, &s);
	cw_put(&w, 3, "abc", 3);
	cw_put(&w, 4, "", 0);
	cw_put_resend(&w, 9, ranges, 2);
	body = rd_init(buf, wr_done(&w));
	s = (struct cw_stream){ 0 };
	assert_true(cw_next(&body, &type, &value));
	assert_true(type == CW_F_STREAM && cw_get_stream(&value, &s));
	assert_true(s.reign == 7 && s.seq == UINT64_C(1) << 40);
	assert_true(s.changes == 99);
	assert_true(cw_next(&body, &type, &value));
	assert_true(type == 3 && rd_left(&value) == 3);
	assert_memory_equal(value.p, "abc", 3);
	assert_true(cw_next(&body, &type, &value));
	assert_true(type == 4 && rd_done(&value));
	assert_true(cw_next(&body, &type, &value));
	assert_int_equal(type, CW_F_RESEND);
	assert_true(cw_get_reign(&value, &reign));
	assert_int_equal(reign, 9);
	assert_true(cw_get_range(&value, &r) && r.from == 5 && r.count == 1);
	assert_true(cw_get_range(&value, &r) && r.from == UINT64_MAX &&
	    r.count == 1000);
	assert_false(cw_get_range(&value, &r));
	assert_false(cw_next(&body, &type, &value));
}

/* What a later release adds to a field, or as a field, is passed over. */
static void
from_the_future(void **state)
{
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd body, value;
	uint8_t longer[100];
	struct cw_state s;
	uint16_t type;

	(void)state;
	cw_put_state(&w, &state_said);
	assert_int_equal(wr_done(&w), CW_FIELD + STATE);
	memcpy(longer, buf + CW_FIELD, STATE);
	memset(longer + STATE, 0x5a, 8);
	w = wr_init(buf, sizeof(buf));
	cw_put(&w, 300, "new", 3);
	cw_put(&w, CW_F_STATE, longer, STATE + 8);
	body = rd_init(buf, wr_done(&w));
	assert_true(cw_next(&body, &type, &value) && type == 300);
	assert_true(cw_next(&body, &type, &value) && type == CW_F_STATE);
	assert_true(cw_get_state(&value, &s));
	assert_true(s.challenge == state_said.challenge);
	assert_false(cw_next(&body, &type, &value) || body.bad);
}

static void
every_length_and_bit(void **state)
{
	size_t len = heartbeat(SECRET);
	struct cw_head h, same;
	enum cw_result result;
	struct rd body;

	(void)state;
	memset(&h, 0x77, sizeof(h));
	same = h;
	for (size_t n = 0; n < len; n++)
		assert_int_not_equal(cw_open(buf, n, SECRET, &h, &body),
		    CW_OK);
	for (size_t bit = 0; bit < len * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		result = cw_open(buf, len, SECRET, &h, &body);
		assert_int_equal(result, bit < 32 ? CW_SHORT :
		    bit < 40 ? CW_OTHER_VERSION : CW_FORGED);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_memory_equal(&h, &same, sizeof(h));
	assert_int_equal(cw_open(buf, len, "a secret of the clustes", &h,
	    &body), CW_FORGED);
	assert_int_equal(cw_open(buf, len, "", &h, &body), CW_FORGED);
	assert_int_equal(cw_open(buf, len + 1, SECRET, &h, &body), CW_FORGED);
	assert_int_equal(cw_open(buf, sizeof(buf), SECRET, &h, &body),
	    CW_FORGED);
	assert_int_equal(cw_open(buf, sizeof(buf) + 1, SECRET, &h, &body),
	    CW_SHORT);
	/* Without a secret it is a checksum only. */
	len = heartbeat("");
	assert_int_equal(cw_open(buf, len, "", &h, &body), CW_OK);
}

/* Fields that claim more than there is, cut at each place. */
static void
fields_cut(void **state)
{
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd body, value;
	struct cw_state s;
	uint16_t type;
	size_t len;

	(void)state;
	cw_put_state(&w, &state_said);
	len = wr_done(&w);
	for (size_t n = 0; n < len; n++) {
		body = rd_init(buf, n);
		assert_false(cw_next(&body, &type, &value));
		assert_true(n == 0 || body.bad);
	}
	for (uint16_t n = 0; n < STATE; n++) {
		w = wr_init(buf, sizeof(buf));
		cw_put(&w, CW_F_STATE, buf + 200, n);
		body = rd_init(buf, wr_done(&w));
		assert_true(cw_next(&body, &type, &value));
		assert_false(cw_get_state(&value, &s));
	}
}

static void
too_much(void **state)
{
	static uint8_t big[UINT16_MAX + 1];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	cw_begin(&w, &head);
	cw_put(&w, 1, big, sizeof(buf) - CW_HEAD - CW_FIELD - CW_MAC);
	assert_int_equal(cw_seal(&w, SECRET), sizeof(buf));
	w = wr_init(buf, sizeof(buf));
	cw_begin(&w, &head);
	cw_put(&w, 1, big, sizeof(buf) - CW_HEAD - CW_FIELD - CW_MAC + 1);
	assert_int_equal(cw_seal(&w, SECRET), 0);
	w = wr_init(big, sizeof(big));
	cw_put(&w, 1, big, sizeof(big));
	assert_int_equal(wr_done(&w), 0);
}

/* --- the window ------------------------------------------------------------- */

static void
window(void **state)
{
	struct cw_window w = { 0 };

	(void)state;
	assert_false(cw_window_take(&w, 0));
	for (uint64_t n = 1; n < 5000; n++) {
		assert_true(cw_window_take(&w, n));
		assert_false(cw_window_take(&w, n));
		assert_false(cw_window_take(&w, n > 900 ? n - 900 : 1));
	}
	/* Overtaken by less than the window: once. */
	assert_true(cw_window_take(&w, 6000));
	for (uint64_t n = 5999; n > 6000 - 900; n--) {
		assert_true(cw_window_take(&w, n));
		assert_false(cw_window_take(&w, n));
	}
	assert_false(cw_window_take(&w, 6000 - CW_WINDOW));
	assert_false(cw_window_take(&w, 4999));
	/* A leap forgets all below, and takes nothing of it. */
	assert_true(cw_window_take(&w, UINT64_MAX - 3));
	assert_false(cw_window_take(&w, 6001));
	assert_false(cw_window_take(&w, UINT64_MAX - 3));
	assert_true(cw_window_take(&w, UINT64_MAX));
	assert_true(cw_window_take(&w, UINT64_MAX - 1));
	assert_false(cw_window_take(&w, UINT64_MAX));
}

static void
window_from(void **state)
{
	struct cw_window w;

	(void)state;
	for (uint64_t from = 1; from < 200; from++) {
		memset(&w, 0, sizeof(w));
		cw_window_begin(&w, from);
		for (uint64_t n = 1; n <= from; n++)
			assert_false(cw_window_take(&w, n));
		for (uint64_t n = from + 300; n > from; n--)
			assert_true(cw_window_take(&w, n));
		for (uint64_t n = from + 300; n > 0; n--)
			assert_false(cw_window_take(&w, n));
	}
}

/* Against the plain way to do it: a set of all that came. */
static void
window_at_random(void **state)
{
	static bool seen[20000];
	struct cw_window w = { 0 };
	uint64_t top = 0, n;
	uint32_t x = 1;
	bool fresh;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		n = top + 8 > (x >> 8) % 1200 ? top + 8 - (x >> 8) % 1200 : 0;
		if (n == 0 || n >= 20000)
			continue;
		fresh = cw_window_take(&w, n);
		if (seen[n] || n + CW_WINDOW <= top)
			assert_false(fresh);
		else if (n + CW_WINDOW - 64 > top)
			assert_true(fresh);
		seen[n] |= fresh;
		top = n > top ? n : top;
	}
	assert_true(top > 4000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_the_wire),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(stream_and_resend),
		cmocka_unit_test(from_the_future),
		cmocka_unit_test(every_length_and_bit),
		cmocka_unit_test(fields_cut),
		cmocka_unit_test(too_much),
		cmocka_unit_test(window),
		cmocka_unit_test(window_from),
		cmocka_unit_test(window_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
