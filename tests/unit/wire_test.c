/*
 * wire_test.c - the cursors: every integer, every cut, sticky errors
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire.h"

static const uint8_t count_up[16] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
};

static void
test_integers(void **state)
{
	struct rd r = rd_init(count_up, sizeof(count_up));

	(void)state;
	assert_int_equal(rd_left(&r), 16);
	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(rd_left(&r), 1);
	assert_false(rd_done(&r));
	assert_int_equal(rd_u8(&r), 0x10);
	assert_true(rd_done(&r));
}

static void
test_high_bits(void **state)
{
	static const uint8_t ff[15] = { 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa,
	    0xf9, 0xf8, 0xf7, 0xf6, 0xf5, 0xf4, 0xf3, 0xf2, 0xf1 };
	struct rd r = rd_init(ff, sizeof(ff));

	(void)state;
	assert_int_equal(rd_u8(&r), 0xff);
	assert_int_equal(rd_u16(&r), 0xfefd);
	assert_true(rd_u32(&r) == UINT32_C(0xfcfbfaf9));
	assert_true(rd_u64(&r) == UINT64_C(0xf8f7f6f5f4f3f2f1));
}

/* Each read that is too long gives 0, and nothing can be read afterwards. */
static void
test_sticky_read(void **state)
{
	static const size_t width[] = { 1, 2, 4, 8 };
	size_t i, len;
	uint64_t v;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (len = 0; len < width[i]; len++) {
			struct rd r = rd_init(count_up, len);

			v = i == 0 ? rd_u8(&r) : i == 1 ? rd_u16(&r) :
			    i == 2 ? rd_u32(&r) : 0;
			assert_true(v == 0);
			if (i == 3)
				rd_u64(&r);
			assert_true(r.bad);
			assert_int_equal(rd_left(&r), 0);
			assert_int_equal(rd_u8(&r), 0);
			assert_null(rd_bytes(&r, 0));
			assert_false(rd_done(&r));
		}
	}
}

static void
test_bytes_and_copy(void **state)
{
	struct rd r = rd_init(count_up, 6);
	uint8_t out[8];

	(void)state;
	assert_ptr_equal(rd_bytes(&r, 0), count_up);
	assert_ptr_equal(rd_bytes(&r, 2), count_up);
	rd_copy(&r, out, 3);
	assert_memory_equal(out, count_up + 2, 3);
	memset(out, 0xaa, sizeof(out));
	rd_copy(&r, out, 2);
	assert_true(r.bad);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 0);
	assert_int_equal(out[2], 0xaa);
}

static void
test_huge_length(void **state)
{
	struct rd r = rd_init(count_up, 4);
	uint8_t buf[4];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_true(r.bad);
	assert_null(wr_room(&w, SIZE_MAX));
	assert_true(w.full);
}

static void
test_child(void **state)
{
	struct rd r = rd_init(count_up, 8), c;

	(void)state;
	c = rd_sub(&r, 3);
	assert_int_equal(rd_left(&c), 3);
	assert_int_equal(rd_left(&r), 5);
	assert_int_equal(rd_u32(&c), 0);	/* may not look past its end */
	assert_true(c.bad);
	assert_false(r.bad);
	assert_int_equal(rd_u8(&r), 4);
	c = rd_sub(&r, 0);
	assert_true(rd_done(&c));
	c = rd_sub(&r, 5);
	assert_true(c.bad);
	assert_true(r.bad);
	assert_int_equal(rd_left(&c), 0);
	assert_false(rd_done(&c));
}

static void
test_empty(void **state)
{
	struct rd r = rd_init(count_up, 0);
	uint8_t b = 0x55;
	struct wr w = wr_init(&b, 0);

	(void)state;
	assert_true(rd_done(&r));
	wr_bytes(&w, NULL, 0);
	wr_zero(&w, 0);
	assert_false(w.full);
	wr_u8(&w, 1);
	assert_true(w.full);
	assert_int_equal(wr_done(&w), 0);
	assert_int_equal(b, 0x55);
}

static void
test_write(void **state)
{
	static const uint8_t want[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	    0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0, 0, 1, 2 };
	uint8_t buf[32];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	wr_u8(&w, 0x01);
	wr_u16(&w, 0x0203);
	wr_u32(&w, 0x04050607);
	wr_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	wr_zero(&w, 2);
	wr_bytes(&w, count_up, 2);
	assert_int_equal(wr_done(&w), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

static void
build(struct wr *w)
{
	size_t mark, from;

	wr_u8(w, 7);
	mark = wr_hold_u16(w);
	from = wr_len(w);
	wr_u32(w, 42);
	wr_bytes(w, "abc", 3);
	wr_len_u16(w, mark, from);
	wr_u64(w, 1);
}

/* A packet of 18 bytes in every smaller buffer: nothing, and no overrun. */
static void
test_write_every_size(void **state)
{
	uint8_t buf[24];
	size_t size;

	(void)state;
	for (size = 0; size <= 20; size++) {
		struct wr w = wr_init(buf, size);

		memset(buf, 0xee, sizeof(buf));
		build(&w);
		assert_int_equal(wr_done(&w), size < 18 ? 0 : 18);
		assert_int_equal(w.full, size < 18);
		assert_int_equal(buf[size], 0xee);
	}
	assert_int_equal(buf[1], 0);
	assert_int_equal(buf[2], 7);
}

static void
test_sticky_write(void **state)
{
	uint8_t buf[4] = { 0, 0, 0, 0 };
	struct wr w = wr_init(buf, 3);

	(void)state;
	wr_u8(&w, 1);
	wr_u32(&w, 0x02020202);		/* too long: full from here on */
	wr_u8(&w, 3);
	assert_true(w.full);
	assert_int_equal(wr_len(&w), 0);
	wr_patch_u16(&w, 0, 0xffff);
	assert_int_equal(buf[0], 1);
	assert_int_equal(buf[3], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_high_bits),
		cmocka_unit_test(test_sticky_read),
		cmocka_unit_test(test_bytes_and_copy),
		cmocka_unit_test(test_huge_length),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_every_size),
		cmocka_unit_test(test_sticky_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
