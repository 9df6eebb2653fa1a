/*
 * lpm_test.c - longest-prefix match against a list searched from end to end
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <string.h>

#include "lpm.h"

#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static struct lpm *l;

static int
fresh(void **state)
{
	(void)state;
	l = lpm_new();
	return l == NULL;
}

static int
done(void **state)
{
	(void)state;
	lpm_free(l);
	l = NULL;
	return 0;
}

static void
test_empty(void **state)
{
	(void)state;
	assert_int_equal(lpm_count(l), 0);
	assert_int_equal(lpm_find(l, 0), 0);
	assert_int_equal(lpm_find(l, UINT32_MAX), 0);
	assert_int_equal(lpm_get(l, 0, 0), 0);
	assert_false(lpm_del(l, 0, 0, 0));
	assert_false(lpm_del(l, 0, 32, 1));
	lpm_free(NULL);
}

static void
test_longest_wins(void **state)
{
	(void)state;
	assert_true(lpm_set(l, 0, 0, 1));
	assert_true(lpm_set(l, IP(10, 0, 0, 0), 8, 2));
	assert_true(lpm_set(l, IP(10, 1, 2, 3), 16, 3));	/* 10.1/16 */
	assert_true(lpm_set(l, IP(10, 1, 2, 128), 25, 4));
	assert_true(lpm_set(l, IP(10, 1, 2, 200), 32, 5));
	assert_int_equal(lpm_count(l), 5);
	assert_int_equal(lpm_find(l, IP(11, 0, 0, 0)), 1);
	assert_int_equal(lpm_find(l, IP(10, 2, 0, 0)), 2);
	assert_int_equal(lpm_find(l, IP(10, 1, 2, 127)), 3);
	assert_int_equal(lpm_find(l, IP(10, 1, 2, 128)), 4);
	assert_int_equal(lpm_find(l, IP(10, 1, 2, 200)), 5);
	assert_int_equal(lpm_find(l, IP(10, 1, 2, 255)), 4);
	assert_int_equal(lpm_get(l, IP(10, 1, 99, 99), 16), 3);
	assert_int_equal(lpm_get(l, IP(10, 1, 0, 0), 17), 0);
	assert_true(lpm_del(l, IP(10, 1, 2, 200), 25, 4));
	assert_int_equal(lpm_find(l, IP(10, 1, 2, 128)), 3);
	assert_true(lpm_del(l, 0, 0, 1));
	assert_int_equal(lpm_find(l, IP(11, 0, 0, 0)), 0);
	assert_int_equal(lpm_count(l), 3);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_false(lpm_set(l, 1, 33, 1));
	assert_false(lpm_set(l, 1, 32, 0));
	assert_int_equal(lpm_count(l), 0);
	assert_true(lpm_set(l, 1, 32, 7));
	assert_false(lpm_del(l, 1, 32, 8));	/* somebody else's by now */
	assert_false(lpm_del(l, 1, 33, 7));
	assert_int_equal(lpm_get(l, 1, 33), 0);
	assert_true(lpm_set(l, 1, 32, 8));	/* replaced, not added */
	assert_int_equal(lpm_count(l), 1);
	assert_false(lpm_del(l, 1, 32, 7));
	assert_true(lpm_del(l, 1, 32, 8));
	assert_int_equal(lpm_count(l), 0);
}

/* Addresses as pools hand them out, in a row and in strides. */
static void
test_growth(void **state)
{
	static const uint32_t stride[] = { 1, 2, 256, 65536, 0x9e3779b1 };
	uint32_t i, n = 50000;
	size_t s;

	(void)state;
	for (s = 0; s < 5; s++) {
		for (i = 0; i < n; i++)
			assert_true(lpm_set(l, i * stride[s], 32, i + 1));
		for (i = 0; i < n; i++)
			if (stride[s] != 65536)
				assert_int_equal(lpm_find(l, i * stride[s]),
				    i + 1);
		for (i = n; i-- > 0;)
			lpm_del(l, i * stride[s], 32,
			    lpm_get(l, i * stride[s], 32));
		assert_int_equal(lpm_count(l), 0);
	}
}

/* The slow model: all prefixes in one array. */
static struct model {
	uint32_t addr, sid;
	unsigned int len;
} model[512];
static unsigned int model_len;
static uint64_t seed = 2463534242u;

static uint32_t
random_u32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 11);
}

static uint32_t
mask_of(unsigned int len)
{
	return len == 0 ? 0 : UINT32_MAX << (32 - len);
}

static struct model *
model_find(uint32_t addr, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < model_len; i++)
		if (model[i].len == len &&
		    model[i].addr == (addr & mask_of(len)))
			return &model[i];
	return NULL;
}

static uint32_t
model_match(uint32_t addr)
{
	const struct model *best = NULL;
	unsigned int i;

	for (i = 0; i < model_len; i++)
		if (model[i].addr == (addr & mask_of(model[i].len)) &&
		    (best == NULL || model[i].len > best->len))
			best = &model[i];
	return best != NULL ? best->sid : 0;
}

/* Few distinct bits, so that prefixes meet and cover each other. */
static uint32_t
random_addr(void)
{
	return random_u32() & 0xc0010307;
}

static unsigned int
random_len(void)
{
	return random_u32() % 2 ? 32 : random_u32() % 33;
}

static void
model_set(uint32_t addr, unsigned int len, uint32_t sid)
{
	struct model *m = model_find(addr, len);

	if (m == NULL && model_len == 512)
		return;
	assert_true(lpm_set(l, addr, len, sid));
	if (m == NULL)
		m = &model[model_len++];
	*m = (struct model){ addr & mask_of(len), sid, len };
}

static void
model_del(uint32_t addr, unsigned int len, uint32_t sid)
{
	struct model *m = model_find(addr, len);
	bool there = m != NULL && m->sid == sid;

	assert_int_equal(lpm_del(l, addr, len, sid), there);
	if (there)
		*m = model[--model_len];
}

static void
test_random_against_model(void **state)
{
	unsigned int i, len;
	uint32_t addr;

	(void)state;
	model_len = 0;
	for (i = 0; i < 200000; i++) {
		addr = random_addr();
		len = random_len();
		if (random_u32() % 2)
			model_set(addr, len, 1 + random_u32() % 4);
		else
			model_del(addr, len, 1 + random_u32() % 4);
		addr = random_addr();
		assert_int_equal(lpm_find(l, addr), model_match(addr));
		assert_int_equal(lpm_count(l), model_len);
	}
}

static size_t
heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* A million logins and logouts: same memory, and nothing left behind. */
static void
test_churn_is_flat(void **state)
{
	enum { LIVE = 1000 };
	size_t before = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000000; i++) {
		assert_true(lpm_set(l, i * 7, 32, i + 1));
		assert_true(lpm_set(l, i << 4, 28, i + 1));
		if (i < LIVE)
			continue;
		if (i == LIVE)
			before = heap();
		assert_true(lpm_del(l, (i - LIVE) * 7, 32, i - LIVE + 1));
		assert_true(lpm_del(l, (i - LIVE) << 4, 28, i - LIVE + 1));
	}
	assert_true(heap() == before);
	assert_int_equal(lpm_count(l), 2 * LIVE);
	for (i = 1000000 - LIVE; i < 1000000; i++)
		assert_int_equal(lpm_find(l, i * 7), i + 1);
	assert_int_equal(lpm_get(l, 0, 32), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, fresh, done),
		cmocka_unit_test_setup_teardown(test_longest_wins, fresh,
		    done),
		cmocka_unit_test_setup_teardown(test_refused, fresh, done),
		cmocka_unit_test_setup_teardown(test_growth, fresh, done),
		cmocka_unit_test_setup_teardown(test_random_against_model,
		    fresh, done),
		cmocka_unit_test_setup_teardown(test_churn_is_flat, fresh,
		    done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
