/*
 * ratelimit_test.c - so many a second and source, others untouched
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ratelimit.h"
#include "timer.h"

static struct ratelimit rl;

static int
reset(void **state)
{
	(void)state;
	timers_init();
	timer_fake(1000);
	memset(&rl, 0, sizeof(rl));
	return 0;
}

static int
take(uint32_t addr, uint32_t rate, int times)
{
	int taken = 0;

	while (times-- > 0)
		taken += ratelimit_take(&rl, addr, rate);
	return taken;
}

static void
burst_is_one_second_of_the_rate(void **state)
{
	(void)state;
	assert_int_equal(take(0x0a000001, 20, 1000), 20);
	assert_int_equal(take(0x0a000001, 20, 1000), 0);
}

static void
fills_at_the_rate(void **state)
{
	(void)state;
	take(0x0a000001, 20, 20);
	timer_fake(49);
	assert_int_equal(take(0x0a000001, 20, 10), 0);
	timer_fake(1);
	assert_int_equal(take(0x0a000001, 20, 10), 1);
	timer_fake(500);
	assert_int_equal(take(0x0a000001, 20, 1000), 10);
	timer_fake(3600000);
	assert_int_equal(take(0x0a000001, 20, 1000), 20);
}

static void
other_sources_have_their_own(void **state)
{
	int starved = 0;

	(void)state;
	take(0x0a000001, 5, 1000);
	for (uint32_t i = 2; i < 102; i++)
		starved += take(0x0a000000 + i, 5, 5) != 5;
	/* Two addresses may share a bucket, but hardly ever. */
	assert_in_range(starved, 0, 3);
}

static void
rate_zero_is_no_limit(void **state)
{
	(void)state;
	assert_int_equal(take(0x0a000001, 0, 100000), 100000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(burst_is_one_second_of_the_rate, reset),
		cmocka_unit_test_setup(fills_at_the_rate, reset),
		cmocka_unit_test_setup(other_sources_have_their_own, reset),
		cmocka_unit_test_setup(rate_zero_is_no_limit, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
