/*
 * speed_test.c - the line of `uptime`, and dump_speed
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

#include "counters.h"
#include "l2tpns.h"
#include "log.h"
#include "speed.h"
#include "timer.h"

struct l2tpns lns;

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	counters_clear();
	lns.config.dump_speed = false;
	speed_init();
	return 0;
}

/* Nothing in use; and a buffer that is too short. */
static void
test_idle(void **state)
{
	char line[128];

	(void)state;
	assert_string_equal(speed_print(line, sizeof(line)),
	    "Bandwidth: UDP-ETH:0/0  ETH-UDP:0/0  TOTAL:0.0   IN:0 OUT:0");
	timer_fake(1000);
	assert_string_equal(speed_print(line, sizeof(line)),
	    "Bandwidth: UDP-ETH:0/0  ETH-UDP:0/0  TOTAL:0.0   IN:0 OUT:0");
	speed_print(line, 11);
	assert_string_equal(line, "Bandwidth:");
}

/* The example of the manual.  Octets are bits eight at a time, and a megabit is 10^6 of them. */
static void
test_busy(void **state)
{
	char line[128];
	struct speed s;

	(void)state;
	COUNT_ADD(tunnel_rx_bytes, 750000);
	COUNT_ADD(eth_tx_bytes, 700000);
	COUNT_ADD(eth_rx_bytes, 1600000);
	COUNT_ADD(tunnel_tx_bytes, 1650000);
	COUNT_ADD(eth_tx_packets, 3033);
	COUNT_ADD(eth_rx_packets, 2569);
	timer_fake(1000);
	speed_get(&s);
	assert_int_equal(s.udp_rx, 6000000);
	assert_int_equal(s.eth_tx, 5600000);
	assert_int_equal(s.eth_rx, 12800000);
	assert_int_equal(s.udp_tx, 13200000);
	assert_int_equal(s.in, 3033);
	assert_int_equal(s.out, 2569);
	speed_print(line, sizeof(line));
	assert_string_equal(line, "Bandwidth: UDP-ETH:6/6  ETH-UDP:13/13  "
	    "TOTAL:37.6   IN:3033 OUT:2569");

	/* Cleared under way: what came since counts, nothing is negative. */
	counters_clear();
	COUNT_ADD(tunnel_rx_bytes, 250000);
	timer_fake(1000);
	speed_get(&s);
	assert_int_equal(s.udp_rx, 2000000);
	assert_int_equal(s.eth_rx, 0);
	timer_fake(1000);
	speed_get(&s);
	assert_int_equal(s.udp_rx, 0);
}

/* A line each second at debug 0 too, and none when it is off. */
static void
test_dump(void **state)
{
	char path[] = "/tmp/speed_test.XXXXXX", text[4096];
	int fd = mkstemp(path), n = 0;
	size_t len;
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	assert_true(log_open(path, text, sizeof(text)));
	log_set_level(0);
	timer_fake(1000);
	lns.config.dump_speed = true;
	timer_fake(1000);
	timer_fake(1000);
	lns.config.dump_speed = false;
	timer_fake(1000);
	log_set_level(LOG_L_WARN);
	log_open("", NULL, 0);
	f = fdopen(fd, "r");
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	for (const char *p = text; (p = strstr(p,
	    " INFO 00/00 Bandwidth: UDP-ETH:")) != NULL; p++)
		n++;
	assert_int_equal(n, 2);
	fclose(f);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_idle, fresh),
		cmocka_unit_test_setup(test_busy, fresh),
		cmocka_unit_test_setup(test_dump, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
