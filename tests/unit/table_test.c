/*
 * table_test.c - slots: bounds, reuse, walks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
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

static bool
is_there(const void *p)
{
	uintptr_t page = (uintptr_t)p & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
	unsigned char there = 0;

	assert_int_equal(mincore((void *)page, 1, &there), 0);
	return (there & 1) != 0;
}

/*
 * The session with which a huge page of facts begins finds its locals' page
 * there, as two that are first touched in one turn take too long.
 */
static void
facts_and_locals_do_not_both_begin_a_page(void **state)
{
	enum { HUGE_PAGE = 2 << 20, SESSIONS = 9000 };
	struct session *s, *before;
	size_t stride, size;
	int begun = 0;

	(void)state;
	table_free();
	assert_true(table_init(SESSIONS, 3));
	before = table_session_new();
	s = table_session_new();
	stride = (size_t)((char *)session_local(s) -
	    (char *)session_local(before));
	size = (size_t)((char *)s - (char *)before);
	for (before = s; before->sid < SESSIONS; before = s) {
		const char *next = (char *)before + size;
		bool there = is_there((char *)session_local(before) + stride);
		bool begins = ((uintptr_t)next / HUGE_PAGE !=
		    (uintptr_t)before / HUGE_PAGE);

		s = table_session_new();
		/* Until the first page is half full there was no time. */
		if (!begins || (size_t)before->sid * size < HUGE_PAGE / 2)
			continue;
		assert_true(there);
		begun++;
	}
	assert_in_range(begun, SESSIONS * size / HUGE_PAGE - 1,
	    SESSIONS * size / HUGE_PAGE + 1);
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
		cmocka_unit_test_setup_teardown(
		    facts_and_locals_do_not_both_begin_a_page, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
