/*
 * table_test.c - slots: bounds, reuse, walks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "table.h"

#define MAX	200

static int
fresh(void **state)
{
	(void)state;
	return table_init(MAX, 3) ? 0 : -1;
}

static int
done(void **state)
{
	(void)state;
	table_free();
	return 0;
}

static void
ids_out_of_range_give_null(void **state)
{
	(void)state;
	table_session_new();
	assert_non_null(session_by_sid(1));
	assert_null(session_by_sid(0));
	assert_null(session_by_sid(2));
	assert_null(session_by_sid(MAX));
	assert_null(session_by_sid(MAX + 1));
	assert_null(session_by_sid(UINT32_MAX));
	assert_null(tunnel_by_tid(1));
}

static void
the_highest_number_in_use(void **state)
{
	(void)state;
	assert_int_equal(table_highest_session(), 0);
	for (int i = 0; i < 129; i++)
		table_session_new();
	assert_int_equal(table_highest_session(), 129);
	table_session_del(session_by_sid(129));
	assert_int_equal(table_highest_session(), 128);
	for (uint32_t i = 128; i > 5; i--)
		table_session_del(session_by_sid(i));
	assert_int_equal(table_highest_session(), 5);
	assert_int_equal(table_highest_tunnel(), 0);
	table_tunnel_new();
	assert_int_equal(table_highest_tunnel(), 1);
}

/* Exactly full, one more, and back to empty. */
static void
fills_to_the_last_slot_and_no_further(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= MAX; i++) {
		struct session *s = table_session_new();

		assert_non_null(s);
		assert_int_equal(s->sid, i);
	}
	assert_null(table_session_new());
	assert_int_equal(table_sessions(), MAX);
	table_session_del(session_by_sid(MAX));
	assert_null(session_by_sid(MAX));
	assert_int_equal(table_session_new()->sid, MAX);
	for (uint32_t i = 1; i <= MAX; i++)
		table_session_del(session_by_sid(i));
	assert_int_equal(table_sessions(), 0);
	assert_null(session_next(0));
}

static void
a_slot_comes_back_zeroed(void **state)
{
	struct session *s = table_session_new();
	uint32_t sid = s->sid;

	(void)state;
	memset((char *)s + sizeof(sid), 0xff, sizeof(*s) - sizeof(sid));
	session_local(s)->auth = (void *)s;
	table_session_del(s);
	s = table_session_new();
	assert_int_equal(s->sid, sid);
	assert_int_equal(s->state, S_IDLE);
	assert_int_equal(s->rx_octets, 0);
	assert_string_equal(s->user, "");
	assert_null(session_local(s)->auth);
}

static void
a_walk_meets_each_once_in_order(void **state)
{
	bool in_use[MAX + 1] = { false };

	(void)state;
	srand(2);
	for (int i = 0; i < MAX; i++)
		in_use[table_session_new()->sid] = true;
	for (int round = 0; round < 2000; round++) {
		uint32_t sid = (uint32_t)rand() % MAX + 1, at = 0;
		struct session *s = session_by_sid(sid);

		if (s != NULL)
			table_session_del(s);
		else
			sid = table_session_new()->sid;
		in_use[sid] = !in_use[sid];
		for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
			for (at++; at < s->sid; at++)
				assert_false(in_use[at]);
			assert_true(in_use[s->sid]);
		}
	}
}

static void
tunnels_have_slots_of_their_own(void **state)
{
	(void)state;
	assert_int_equal(table_tunnel_new()->tid, 1);
	assert_int_equal(table_tunnel_new()->tid, 2);
	assert_int_equal(table_tunnel_new()->tid, 3);
	assert_null(table_tunnel_new());
	table_tunnel_del(tunnel_by_tid(2));
	assert_int_equal(tunnel_next(1)->tid, 3);
	assert_int_equal(table_tunnel_new()->tid, 2);
	assert_int_equal(table_tunnels(), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ids_out_of_range_give_null,
		    fresh, done),
		cmocka_unit_test_setup_teardown(the_highest_number_in_use,
		    fresh, done),
		cmocka_unit_test_setup_teardown(
		    fills_to_the_last_slot_and_no_further, fresh, done),
		cmocka_unit_test_setup_teardown(a_slot_comes_back_zeroed,
		    fresh, done),
		cmocka_unit_test_setup_teardown(a_walk_meets_each_once_in_order,
		    fresh, done),
		cmocka_unit_test_setup_teardown(tunnels_have_slots_of_their_own,
		    fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
