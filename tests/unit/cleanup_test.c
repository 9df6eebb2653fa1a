/*
 * cleanup_test.c - what overload has cost, every cleanup_interval
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "counters.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "table.h"
#include "timer.h"

struct l2tpns lns;

static uint64_t stall, bad_fds;
static char status[128], path[64];
static int runs;

uint64_t loop_stall_usec(void) { return stall; }
uint64_t loop_bad_fds(void) { return bad_fds; }
uint32_t table_sessions(void) { return 12; }
uint32_t table_tunnels(void) { return 3; }

void
notify_status(const char *text)
{
	runs++;
	snprintf(status, sizeof(status), "%s", text);
}

/* What was logged since the last time. */
static const char *
logged(void)
{
	static char text[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_int_equal(truncate(path, 0), 0);
	return text;
}

static int
setup(void **state)
{
	(void)state;
	int fd;

	strcpy(path, "/tmp/cleanup_test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	timers_init();
	timer_fake(0);
	counters_clear();
	stall = bad_fds = 0;
	runs = 0;
	lns.config.cleanup_interval = 10;
	assert_true(log_open(path, NULL, 0));
	cleanup_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_open("", NULL, 0);
	return unlink(path);
}

static void
test_interval(void **state)
{
	(void)state;
	timer_fake(9500);
	assert_int_equal(runs, 0);
	timer_fake(1000);
	assert_int_equal(runs, 1);
	assert_string_equal(status, "12 sessions on 3 tunnels");
	timer_fake(100000);
	assert_in_range(runs, 10, 11);
	/* A new interval holds at once. */
	lns.config.cleanup_interval = 3600;
	runs = 0;
	timer_fake(600000);
	assert_int_equal(runs, 0);
	lns.config.cleanup_interval = 1;
	timer_fake(1100);
	assert_int_equal(runs, 1);
	assert_string_equal(logged(), "");
}

static void
test_overload(void **state)
{
	const char *text;

	(void)state;
	COUNT_ADD(tunnel_rx_dropped, 1234);
	COUNT_ADD(acct_dropped, 1);
	COUNT_ADD(tunnel_rx_packets, 99);
	timer_fake(10100);
	text = logged();
	assert_non_null(strstr(text, "WARN 00/00 in the last 10 s: 1234 "
	    "datagrams from LACs dropped: receive buffer full\n"));
	assert_non_null(strstr(text, "in the last 10 s: 1 accounting records "
	    "lost"));
	assert_null(strstr(text, "99"));
	/* Nothing since, nothing said. */
	timer_fake(10000);
	assert_string_equal(logged(), "");
	/* `clear counters` in between. */
	counters_clear();
	COUNT_ADD(tunnel_rx_dropped, 7);
	timer_fake(10000);
	assert_non_null(strstr(logged(), ": 7 datagrams"));
}

static void
test_loop(void **state)
{
	const char *text;

	(void)state;
	stall = 99000;
	timer_fake(10100);
	assert_string_equal(logged(), "");
	stall = 340000;
	bad_fds = 2;
	timer_fake(10000);
	text = logged();
	assert_non_null(strstr(text, "WARN 00/00 the loop stood still for "
	    "340 ms"));
	assert_non_null(strstr(text, "ERROR 00/00 2 descriptors"));
	timer_fake(10000);
	assert_string_equal(logged(), "");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_interval),
		TEST(test_overload),
		TEST(test_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
