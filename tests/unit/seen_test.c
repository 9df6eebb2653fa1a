/*
 * seen_test.c - what was here before, and for how long it is known
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "seen.h"
#include "timer.h"

static struct seen seen;

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	memset(&seen, 0, sizeof(seen));
	return 0;
}

static void
test_the_second_time(void **state)
{
	(void)state;
	assert_false(seen_before(&seen, 7));
	assert_false(seen_before(&seen, 7));	/* a doubled datagram */
	timer_fake(300);
	assert_false(seen_before(&seen, 7));
	timer_fake(700);			/* the first one counts */
	assert_true(seen_before(&seen, 7));
	assert_true(seen_before(&seen, 7));
	assert_false(seen_before(&seen, 8));
}

static void
test_forgotten(void **state)
{
	(void)state;
	assert_false(seen_before(&seen, 7));
	timer_fake(SEEN_LATE + 200);
	assert_false(seen_before(&seen, 7));
	timer_fake(1000);
	assert_true(seen_before(&seen, 7));
	/* Zero is a thing like others, though memory is zero at first. */
	assert_false(seen_before(&seen, 0));
	timer_fake(1000);
	assert_true(seen_before(&seen, 0));
}

/* 200,000 others in the second between: nearly all are known after it. */
static void
test_flood(void **state)
{
	unsigned int known = 0, wrong = 0;
	uint64_t other = UINT64_C(1) << 40;

	(void)state;
	for (uint64_t n = 0; n < 5000; n++)
		seen_before(&seen, n);
	for (int ms = 0; ms < 1000; ms += 10) {
		for (int i = 0; i < 2000; i++)
			wrong += seen_before(&seen, other++);
		timer_fake(10);
	}
	for (uint64_t n = 0; n < 5000; n++)
		known += seen_before(&seen, n);
	assert_in_range(known, 4900, 5000);
	assert_in_range(wrong, 0, 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_second_time, fresh),
		cmocka_unit_test_setup(test_forgotten, fresh),
		cmocka_unit_test_setup(test_flood, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
