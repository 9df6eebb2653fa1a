/*
 * cluster_garden_test.c - which gardened addresses are announced, and when not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bgp.h"
#include "cluster_garden.h"
#include "l2tpns.h"
#include "log.h"
#include "table.h"
#include "timer.h"

#define SESSIONS	2000
#define NET		0x0a000000

struct l2tpns lns;

static int here[SESSIONS + 1];		/* by address: how often announced */
static unsigned int told;

void
bgp_announce_always(uint32_t addr, uint8_t len)
{
	assert_int_equal(len, 32);
	here[addr - NET]++;
	told++;
}

void
bgp_withdraw_always(uint32_t addr, uint8_t len)
{
	assert_int_equal(len, 32);
	here[addr - NET]--;
	told++;
}

void
log_line(enum log_level level, uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	(void)level, (void)tid, (void)sid, (void)fmt;
}

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	memset(&lns, 0, sizeof(lns));
	lns.config.max_sessions = SESSIONS;
	memset(here, 0, sizeof(here));
	told = 0;
	return table_init(SESSIONS, 1) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	cluster_garden_end();
	table_free();
	return 0;
}

static struct session *
session(uint32_t sid, bool gardened)
{
	struct session *s = table_session_at(sid);

	assert_non_null(s);
	s->ip = NET + sid;
	s->flags = gardened ? SF_GARDEN : 0;
	return s;
}

static void
only_gardened(void **state)
{
	(void)state;
	for (uint32_t sid = 1; sid <= 1000; sid++)
		(void)session(sid, sid % 10 == 0);
	timer_fake(2000);
	assert_int_equal(told, 0);		/* not the master yet */
	cluster_garden_begin();
	cluster_garden_begin();
	timer_fake(600);
	assert_int_equal(told, 100);
	for (uint32_t sid = 1; sid <= 1000; sid++)
		assert_int_equal(here[sid], sid % 10 == 0);
	timer_fake(5000);
	assert_int_equal(told, 100);
	cluster_garden_end();
	cluster_garden_end();
	for (uint32_t sid = 1; sid <= SESSIONS; sid++)
		assert_int_equal(here[sid], 0);
	timer_fake(2000);
	assert_int_equal(told, 200);
}

static void
in_and_out(void **state)
{
	struct session *s, *last;

	(void)state;
	s = session(7, false);
	last = session(SESSIONS, true);
	cluster_garden_begin();
	timer_fake(600);
	assert_int_equal(here[7], 0);
	assert_int_equal(here[SESSIONS], 1);
	s->flags |= SF_GARDEN;
	timer_fake(600);
	assert_int_equal(here[7], 1);
	/* Another address. */
	s->ip = NET + 8;
	timer_fake(600);
	assert_int_equal(here[7], 0);
	assert_int_equal(here[8], 1);
	/* None any more, or not yet. */
	s->ip = 0;
	timer_fake(600);
	assert_int_equal(here[8], 0);
	s->ip = NET + 8;
	s->flags = 0;
	timer_fake(600);
	assert_int_equal(here[8], 0);
	/* The last one ends, although no session lies so high any more. */
	last->dying = true;
	timer_fake(600);
	assert_int_equal(here[SESSIONS], 0);
	last->dying = false;
	timer_fake(600);
	assert_int_equal(here[SESSIONS], 1);
	table_session_del(last);
	timer_fake(600);
	assert_int_equal(here[SESSIONS], 0);
}

/* The slot is somebody else's at once. */
static void
slot_again(void **state)
{
	struct session *s;

	(void)state;
	s = session(3, true);
	cluster_garden_begin();
	timer_fake(600);
	table_session_del(s);
	s = session(3, true);
	s->ip = NET + 44;
	timer_fake(600);
	assert_int_equal(here[3], 0);
	assert_int_equal(here[44], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_gardened, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(in_and_out, setup, teardown),
		cmocka_unit_test_setup_teardown(slot_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
