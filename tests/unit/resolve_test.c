/*
 * resolve_test.c - names, by a process that is this test again
 *
 * Only what needs no network: /etc/hosts has localhost.  What a name server
 * says, and one that says nothing, is for tests/system/test_bgp.py.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "loop.h"
#include "resolve.h"
#include "timer.h"

static unsigned int answers;
static uint32_t found;
static char reason[256];

static void
answered(void *arg, uint32_t addr, const char *why)
{
	assert_string_equal(arg, "arg");
	answers++;
	found = addr;
	strncpy(reason, why, sizeof(reason) - 1);
}

static int
setup(void **state)
{
	(void)state;
	timers_init();
	assert_true(loop_init());
	answers = 0;
	found = 0;
	return 0;
}

/* Turns until there are so many answers, or no process is left. */
static void
wait_for(unsigned int n)
{
	for (int i = 0; i < 600 && answers < n; i++)
		loop_turn(50);
	assert_int_equal(answers, n);
}

static char arg[] = "arg";

static void
test_found(void **state)
{
	(void)state;
	assert_non_null(resolve_start("localhost", answered, arg));
	assert_int_equal(answers, 0);		/* nobody waits */
	wait_for(1);
	assert_int_equal(found >> 24, 127);
	assert_string_equal(reason, "");
}

/* Too long to be a name: no server has to be asked. */
static void
test_not_found(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(resolve_start(name, answered, arg));
	wait_for(1);
	assert_int_equal(found, 0);
	assert_string_not_equal(reason, "");
	assert_null(strchr(reason, '\n'));
}

/* Of several at once, those that are not cancelled are told. */
static void
test_cancelled(void **state)
{
	struct resolve *r[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		r[i] = resolve_start("localhost", answered, arg);
		assert_non_null(r[i]);
	}
	resolve_cancel(r[0]);
	resolve_cancel(r[2]);
	wait_for(2);
	for (int i = 0; i < 600 && waitpid(-1, NULL, WNOHANG) == 0; i++)
		loop_turn(50);
	assert_int_equal(answers, 2);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);	/* no process is left behind */
}

static void
test_not_that_process(void **state)
{
	char title[] = "l2tpns", resolve[] = "l2tpns: resolve";
	char *one[] = { title, title, NULL }, *two[] = { resolve, NULL };
	int status;

	(void)state;
	assert_false(resolve_child(2, one, &status));
	assert_false(resolve_child(1, two, &status));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_found, setup),
		cmocka_unit_test_setup(test_not_found, setup),
		cmocka_unit_test_setup(test_cancelled, setup),
		cmocka_unit_test_setup(test_not_that_process, setup),
	};
	int status;

	if (resolve_child(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
