/*
 * counters_test.c - the rows and the struct are the same list
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "counters.h"

/* The rows tile the struct: each counter has one, in order, none twice. */
static void
test_rows_cover_struct(void **state)
{
	(void)state;
	assert_int_equal(counter_rows_n * sizeof(uint64_t),
	    sizeof(struct counters));
	for (size_t i = 0; i < counter_rows_n; i++) {
		assert_int_equal(counter_rows[i].off, i * sizeof(uint64_t));
		assert_true(strlen(counter_rows[i].name) > 0);
		assert_true(strlen(counter_rows[i].help) > 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(counter_rows[i].name,
			    counter_rows[j].name);
	}
}

static void
test_count_and_clear(void **state)
{
	(void)state;
	counters_clear();
	COUNT(tunnel_created);
	COUNT(tunnel_created);
	COUNT_ADD(eth_rx_bytes, UINT64_C(5000000000));
	COUNT_ADD(eth_rx_bytes, UINT64_C(5000000000));
	for (size_t i = 0; i < counter_rows_n; i++) {
		const struct counter_row *row = &counter_rows[i];
		uint64_t want = 0;

		if (strcmp(row->name, "tunnel_created") == 0)
			want = 2;
		if (strcmp(row->name, "eth_rx_bytes") == 0)
			want = UINT64_C(10000000000);
		assert_true(counter_value(row) == want);
	}
	counters_clear();
	for (size_t i = 0; i < counter_rows_n; i++)
		assert_true(counter_value(&counter_rows[i]) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_cover_struct),
		cmocka_unit_test(test_count_and_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
