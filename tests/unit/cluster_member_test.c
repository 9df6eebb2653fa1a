/*
 * cluster_member_test.c - the table of members, their challenge, their age
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster_member.h"

#define ADDR(i)	(0x0a580001 + (uint32_t)(i))

/* What one member has said back is worth nothing when another has come. */
static void
challenge_is_new(void **state)
{
	uint64_t before;
	struct member *m;

	(void)state;
	members_init();
	before = members_challenge();
	assert_true(before == members_challenge());
	m = member_admit(ADDR(1), 11, 1000);
	assert_non_null(m);
	assert_true(before != members_challenge());
	before = members_challenge();
	assert_ptr_equal(member_admit(ADDR(1), 12, 2000), m);
	assert_true(before != members_challenge());
	before = members_challenge();
	member_drop(m);
	assert_true(before != members_challenge());
	before = members_challenge();
	members_init();
	assert_true(before != members_challenge());
}

/* A new epoch has nothing of the old one. */
static void
begins_anew(void **state)
{
	struct member *m;

	(void)state;
	members_init();
	m = member_admit(ADDR(1), 11, 1000);
	m->master = true;
	m->state.changes = 77;
	assert_true(cw_window_take(&m->window, 50));
	assert_ptr_equal(member_admit(ADDR(1), 12, 2000), m);
	assert_false(m->master);
	assert_int_equal(m->state.changes, 0);
	assert_true(m->epoch == 12 && m->heard == 2000);
	assert_true(cw_window_take(&m->window, 50));
	assert_int_equal(members_count(), 1);
}

static void
as_many_as_fit(void **state)
{
	struct member *m = NULL;
	uint32_t n = 0;

	(void)state;
	members_init();
	assert_null(member_next(NULL));
	for (int i = 0; i < CW_MEMBERS_MAX; i++)
		assert_non_null(member_admit(ADDR(i), 1, 0));
	assert_null(member_admit(ADDR(CW_MEMBERS_MAX), 1, 0));
	assert_non_null(member_admit(ADDR(3), 2, 0));
	assert_int_equal(members_count(), CW_MEMBERS_MAX);
	member_drop(member_find(ADDR(5)));
	assert_null(member_find(ADDR(5)));
	assert_int_equal(members_count(), CW_MEMBERS_MAX - 1);
	assert_non_null(member_admit(ADDR(CW_MEMBERS_MAX), 1, 0));
	while ((m = member_next(m)) != NULL)
		assert_ptr_equal(member_find(m->addr), m), n++;
	assert_int_equal(n, CW_MEMBERS_MAX);
}

static void
excused(void **state)
{
	struct member *m;

	(void)state;
	members_init();
	m = member_admit(ADDR(1), 11, 1000);
	m->heard_group = 900;
	members_excuse(5000);
	assert_true(m->heard == 6000 && m->hears_us == 6000);
	assert_true(m->heard_group == 5900);
}

/* Two servers must not each think that the other one is older. */
static void
seniority(void **state)
{
	(void)state;
	assert_true(member_is_senior(1000, 1, 5000, 2));
	assert_false(member_is_senior(5000, 2, 1000, 1));
	/* What both cannot tell exactly is the same. */
	for (uint64_t late = 0; late <= 1000; late++) {
		assert_true(member_is_senior(5000 + late, 2, 5000, 1));
		assert_true(member_is_senior(5000, 2, 5000 + late, 1));
		assert_false(member_is_senior(5000 + late, 1, 5000, 2));
	}
	/* Up for longer than this machine: before its clock began. */
	assert_true(member_is_senior(UINT64_MAX - 10000, 1, 5000, 2));
	assert_false(member_is_senior(5000, 2, UINT64_MAX - 10000, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenge_is_new),
		cmocka_unit_test(begins_anew),
		cmocka_unit_test(as_many_as_fit),
		cmocka_unit_test(excused),
		cmocka_unit_test(seniority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
